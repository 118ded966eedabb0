# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways in: a cloud that was registered, and AzureCloud through the proxy."""

from __future__ import annotations

from typing import Any

from azure_cli import CLIENT, VERSION, Az
from conformance_table import tried

STRANGER = "44444444-0000-4000-8000-00000000000d"


def test_the_account_is_kept_on_disk(az: Az) -> None:
    """A later process knows who signed in."""
    fields = ("environmentName", "homeTenantId", "id", "name", "state", "tenantId", "user.name", "user.type")
    account = az.ok("account", "show", has=fields, runner=az.process)
    assert account["user"]["type"] == "servicePrincipal" and account["state"] == "Enabled"
    assert az.ok("account", "list", has=("id", "tenantId"))[0]["id"] == account["id"]
    az.ok("account", "get-access-token", has=("accessToken", "expiresOn", "expires_on", "subscription", "tenant"))


def test_endpoints_of_the_custom_cloud(custom: Az) -> None:
    def judge(cloud: dict[str, Any]) -> None:
        places = cloud["endpoints"]
        assert cloud["isActive"] and places["resourceManager"] == places["activeDirectory"] == custom.lab.url
        assert places["microsoftGraphResourceId"].rstrip("/") == custom.lab.url

    custom.ok("cloud", "show", has=("name", "endpoints.activeDirectoryResourceId", "suffixes"), judge=judge)


def test_endpoints_of_azure_are_untouched(proxied: Az) -> None:
    def judge(cloud: dict[str, Any]) -> None:
        assert cloud["name"] == "AzureCloud"
        assert cloud["endpoints"]["resourceManager"] == "https://management.azure.com/"

    proxied.ok("cloud", "show", judge=judge)


def test_groups(az: Az) -> None:
    az.ok("group", "show", "-n", "shop-rg", has=("id", "location", "name", "properties.provisioningState", "type"))
    assert [item["name"] for item in az.ok("group", "list", has=("id", "name"))] == ["shop-rg"]
    az.refused("group", "show", "-n", "nowhere", says="Resource group 'nowhere' could not be found.")


def test_a_wrong_secret(az: Az) -> None:
    """Another one's than of who is signed in, whose token the CLI would take from its cache."""
    tenant = az.lab.environment()["AZURE_TENANT"]
    az.refused(
        "login", "--service-principal", "-u", STRANGER, "-p", "not-the-secret", "--tenant", tenant, says="AADSTS7000215"
    )
    az.ok("account", "show", has=("id",))


def test_tables_by_a_process_of_its_own(az: Az) -> None:
    with tried(CLIENT, VERSION, "postgres flexible-server list --output table"):
        done = az.process("postgres", "flexible-server", "list", "-g", "shop-rg", "--output", "table")
        assert done.code == 0 and "shop-flex" in done.out, str(done)


def test_the_proxy_leads_nowhere_else(proxied: Az) -> None:
    url = "https://pgflex-lab.example/"
    done = proxied.run("rest", "--method", "get", "--url", url, "--skip-authorization-header")
    assert done.code != 0 and "Tunnel connection failed: 403" in done.err, str(done)
