# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications, service principals, secrets, role assignments, providers."""

from __future__ import annotations

import time
from typing import Any

from azure_cli import CLIENT, VERSION, Az
from conformance_table import tried

APPLICATION = ("id", "appId", "displayName", "signInAudience", "publisherDomain", "web", "createdDateTime")
PRINCIPAL = ("id", "appId", "displayName", "servicePrincipalType", "servicePrincipalNames", "accountEnabled")
ASSIGNMENT = ("id", "name", "principalId", "principalType", "roleDefinitionId", "scope", "type")
PROVIDER = ("id", "namespace", "registrationPolicy", "registrationState", "resourceTypes")
REGISTERED_SECONDS = 30.0


def test_application(az: Az) -> None:
    name = f"application-{time.monotonic_ns()}"
    made = az.ok("ad", "app", "create", "--display-name", name, has=APPLICATION)
    again = az.ok("ad", "app", "create", "--display-name", name, has=APPLICATION)
    assert again["id"] == made["id"], "the CLI looks for an application of this name first"
    key = ("--id", made["appId"])
    az.ok("ad", "app", "show", *key, has=APPLICATION)
    assert [item["id"] for item in az.ok("ad", "app", "list", "--display-name", name)] == [made["id"]]
    az.ok("ad", "app", "update", *key, "--web-home-page-url", "https://shop.example")
    assert az.ok("ad", "app", "show", *key, has=APPLICATION)["web"]["homePageUrl"] == "https://shop.example"
    az.ok("ad", "app", "delete", *key)
    az.refused("ad", "app", "show", *key, says="does not exist")


def test_service_principal_and_its_secrets(az: Az) -> None:
    application = az.ok("ad", "app", "create", "--display-name", f"principal-{time.monotonic_ns()}", has=APPLICATION)
    key = ("--id", application["appId"])
    az.ok("ad", "sp", "create", *key, has=PRINCIPAL)
    az.ok("ad", "sp", "show", *key, has=PRINCIPAL)
    az.ok("ad", "sp", "list", "--filter", f"appId eq '{application['appId']}'", has=PRINCIPAL, judge=one)
    az.ok("ad", "app", "credential", "reset", *key, "--display-name", "first", has=("appId", "password", "tenant"))
    az.ok("ad", "app", "credential", "reset", *key, "--append", "--years", "2", has=("appId", "password", "tenant"))
    listed = az.ok("ad", "app", "credential", "list", *key, has=("displayName", "endDateTime", "hint", "keyId"))
    assert len(listed) == 2
    az.ok("ad", "app", "credential", "delete", *key, "--key-id", listed[0]["keyId"])
    assert len(az.ok("ad", "app", "credential", "list", *key)) == 1
    az.ok("ad", "sp", "delete", *key)
    az.ok("ad", "app", "delete", *key)


def one(found: list[Any]) -> None:
    assert len(found) == 1


def test_roles_of_a_new_principal(az: Az) -> None:
    """The scope is a server, as a migration needs it; the principal is so new that the CLI has to wait for it."""
    made = az.ok("ad", "sp", "create-for-rbac", has=("appId", "displayName", "password", "tenant"))
    server = az.ok("postgres", "flexible-server", "show", "-g", "shop-rg", "-n", "shop-flex")["id"]
    grant = ("--assignee", made["appId"], "--role", "Contributor", "--scope", server)

    def judge(assignment: dict[str, Any]) -> None:
        assert assignment["scope"] == server and assignment["principalType"] == "ServicePrincipal"

    first = az.ok("role", "assignment", "create", *grant, has=ASSIGNMENT, judge=judge)
    again = az.ok("role", "assignment", "create", *grant, has=ASSIGNMENT, judge=judge)
    assert again["id"] == first["id"]
    shown = (*ASSIGNMENT, "roleDefinitionName")
    az.ok("role", "assignment", "list", "--assignee", made["appId"], "--scope", server, has=shown, judge=one)
    az.ok("role", "assignment", "delete", *grant)
    assert az.ok("role", "assignment", "list", "--assignee", made["appId"], "--scope", server) == []
    az.ok("ad", "sp", "delete", "--id", made["appId"])


def test_role_definitions(az: Az) -> None:
    az.ok(
        *("role", "definition", "list", "--name", "Contributor"),
        has=("assignableScopes", "id", "name", "permissions", "roleName", "roleType", "type"),
        judge=one,
    )
    group = az.ok("group", "show", "-n", "shop-rg", has=("id",))
    az.refused(
        *("role", "assignment", "create", "--assignee-object-id", "00000000-0000-4000-8000-000000000000"),
        *("--assignee-principal-type", "ServicePrincipal", "--role", "No such role", "--scope", group["id"]),
        says="No such role",
    )


def test_registering_a_provider(az: Az) -> None:
    name = ("-n", "Microsoft.DataMigration")
    az.ok("provider", "show", *name, has=PROVIDER)
    az.ok("provider", "register", *name)
    with tried(CLIENT, VERSION, "provider register, until Registered"):
        deadline = time.monotonic() + REGISTERED_SECONDS
        while az.ok("provider", "show", *name, has=PROVIDER)["registrationState"] != "Registered":
            assert time.monotonic() < deadline
    az.ok("provider", "list", has=PROVIDER)
