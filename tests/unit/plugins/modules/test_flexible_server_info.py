# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

MODULE = "flexible_server_info"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
SUB = f"/subscriptions/{SUBSCRIPTION}"
GROUP = f"{SUB}/resourceGroups/shop-rg"
PROVIDER = "providers/Microsoft.DBforPostgreSQL/flexibleServers"
SERVER = f"{GROUP}/{PROVIDER}/shop-new"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/shop-vnet/subnets/pg"
ZONE = f"{GROUP}/providers/Microsoft.Network/privateDnsZones/shop.private.postgres.database.azure.com"
RECORDED = Path(__file__).parents[4].parent / "shared" / "reference" / "recorded"


def answer(name: str = "shop-new", sku: str = "Standard_D4ds_v5") -> dict[str, Any]:
    return {
        "id": f"{GROUP}/{PROVIDER}/{name}",
        "name": name,
        "type": "Microsoft.DBforPostgreSQL/flexibleServers",
        "location": "West Europe",
        "sku": {"name": sku, "tier": "GeneralPurpose"},
        "properties": {
            "administratorLogin": "shopadmin",
            "version": "16",
            "minorVersion": "9",
            "state": "Ready",
            "fullyQualifiedDomainName": f"{name}.postgres.database.azure.com",
            "storage": {"storageSizeGB": 128, "autoGrow": "Disabled", "tier": "P10"},
            "network": {
                "publicNetworkAccess": "Disabled",
                "delegatedSubnetResourceId": SUBNET,
                "privateDnsZoneArmResourceId": ZONE,
            },
            "highAvailability": {"mode": "ZoneRedundant", "state": "Healthy"},
            "backup": {"backupRetentionDays": 14, "geoRedundantBackup": "Disabled"},
            "replicationRole": "Primary",
            "privateEndpointConnections": [],
        },
    }


RESULT = {
    "id": SERVER,
    "name": "shop-new",
    "resource_group": "shop-rg",
    "subscription_id": SUBSCRIPTION,
    "location": "westeurope",
    "version": "16",
    "minor_version": "9",
    "sku": "Standard_D4ds_v5",
    "tier": "GeneralPurpose",
    "vcores": 4,
    "storage_gb": 128,
    "fully_qualified_domain_name": "shop-new.postgres.database.azure.com",
    "administrator_login": "shopadmin",
    "public_network_access": "Disabled",
    "network": {"delegated_subnet_id": SUBNET, "private_dns_zone_id": ZONE},
    "private_endpoint_connections": [],
    "high_availability": "ZoneRedundant",
    "backup_retention_days": 14,
    "replication_role": "Primary",
    "state": "Ready",
    "tags": {},
}


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "resource_group": "shop-rg", "name": "shop-new"}


def test_one_server(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, json=answer())
    result = run_module(MODULE, args)
    assert not result["changed"] and result["flexible_servers"] == [RESULT]


def test_a_group_says_the_same_as_one_and_pages_are_followed(run_module: Any, arm: Any, args: Any) -> None:
    more = f"https://management.azure.com{GROUP}/{PROVIDER}?api-version=2026-10-01&$skipToken=1"
    arm.expect("GET", f"{GROUP}/{PROVIDER}", json={"value": [answer()], "nextLink": more})
    arm.expect("GET", f"{GROUP}/{PROVIDER}", query={"$skipToken": "1"}, json={"value": [answer("other")]})
    found = run_module(MODULE, {**args, "name": None})["flexible_servers"]
    assert found[0] == RESULT and found[1]["name"] == "other"


def test_the_whole_subscription(run_module: Any, arm: Any, sign_in: Any) -> None:
    arm.expect("GET", f"{SUB}/{PROVIDER}", json={"value": [answer()]})
    assert run_module(MODULE, sign_in)["flexible_servers"] == [RESULT]


@pytest.mark.parametrize(
    ("sku", "vcores"),
    [("Standard_B1ms", 1), ("Standard_B12ms", 12), ("Standard_E96ds_v5", 96), ("Standard_DC2ds_v5", 2), ("Odd", None)],
)
def test_the_size_tells_the_vcores(run_module: Any, arm: Any, args: Any, sku: str, vcores: int | None) -> None:
    arm.expect("GET", SERVER, json=answer(sku=sku))
    assert run_module(MODULE, args)["flexible_servers"][0]["vcores"] == vcores


def test_an_unknown_server_is_an_empty_list(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, status=404, json=error("ResourceNotFound"))
    assert run_module(MODULE, args)["flexible_servers"] == []


def test_an_unknown_group_is_an_empty_list(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{GROUP}/{PROVIDER}", status=404, json=error("ResourceGroupNotFound"))
    assert run_module(MODULE, {**args, "name": None})["flexible_servers"] == []


def test_missing_rights_are_a_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, status=403, json=error("AuthorizationFailed", "You may not."))
    result = run_module(MODULE, args)
    assert result["msg"].startswith("Failed to read the flexible servers: You may not (AuthorizationFailed).")


def test_a_name_needs_its_group(run_module: Any, arm: Any, sign_in: Any) -> None:
    result = run_module(MODULE, {**sign_in, "name": "shop-new"})
    assert result.failed and "resource_group" in result["msg"] and arm.requests == []


@pytest.mark.parametrize(
    "recording", ["migration-2024-08-01-onpremises-validate.json", "migration-2025-08-01-onpremises-validate.json"]
)
def test_a_recorded_answer_of_the_service(run_module: Any, arm: Any, sign_in: Any, recording: str) -> None:
    if not RECORDED.is_dir():
        pytest.skip("the recorded answers of the service are not beside this repository")
    step = json.loads((RECORDED / recording).read_text())["interactions"][0]
    parts = step["path"].split("/")
    subscription, group, name = parts[2], parts[4], parts[8]
    arm.expect(step["method"], step["path"], json=step["response"])
    where = {"subscription_id": subscription, "resource_group": group, "name": name}
    (found,) = run_module(MODULE, {**sign_in, **where})["flexible_servers"]
    assert found == {
        "id": step["path"],
        "name": name,
        "resource_group": group,
        "subscription_id": subscription,
        "location": "eastus2euap",
        "version": "13",
        "minor_version": "23",
        "sku": "Standard_D4s_v3",
        "tier": "GeneralPurpose",
        "vcores": 4,
        "storage_gb": 32,
        "fully_qualified_domain_name": f"{name}.postgres.database.azure.com",
        "administrator_login": "portaltestuser",
        "public_network_access": "Enabled",
        "network": {"delegated_subnet_id": None, "private_dns_zone_id": None},
        "private_endpoint_connections": [],
        "high_availability": "Disabled",
        "backup_retention_days": 7,
        "replication_role": "Primary",
        "state": "Ready",
        "tags": {},
    }
