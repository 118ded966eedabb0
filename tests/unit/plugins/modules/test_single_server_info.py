# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "single_server_info"
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{SUB}/resourceGroups/shop-rg"
PROVIDER = "providers/Microsoft.DBforPostgreSQL/servers"
SERVER = f"{GROUP}/{PROVIDER}/shop-old"
ENDPOINT = f"{GROUP}/providers/Microsoft.Network/privateEndpoints/shop-pe"


def answer(name: str = "shop-old") -> dict[str, Any]:
    return {
        "id": f"{GROUP}/{PROVIDER}/{name}",
        "name": name,
        "type": "Microsoft.DBforPostgreSQL/servers",
        "location": "westeurope",
        "sku": {"name": "GP_Gen5_4", "tier": "GeneralPurpose", "family": "Gen5", "capacity": 4},
        "tags": {"team": "shop"},
        "properties": {
            "administratorLogin": "shopadmin",
            "version": "11",
            "sslEnforcement": "Enabled",
            "minimalTlsVersion": "TLSEnforcementDisabled",
            "userVisibleState": "Ready",
            "fullyQualifiedDomainName": f"{name}.postgres.database.azure.com",
            "earliestRestoreDate": "2026-11-14T08:00:00+00:00",
            "storageProfile": {"storageMB": 128000, "backupRetentionDays": 7, "storageAutogrow": "Enabled"},
            "replicationRole": "None",
            "replicaCapacity": 5,
            "publicNetworkAccess": "Disabled",
            "privateEndpointConnections": [
                {
                    "id": f"{SERVER}/privateEndpointConnections/shop-pe-1",
                    "properties": {
                        "privateEndpoint": {"id": ENDPOINT},
                        "privateLinkServiceConnectionState": {"status": "Approved", "description": "Auto-approved"},
                        "provisioningState": "Ready",
                    },
                }
            ],
        },
    }


RESULT = {
    "id": SERVER,
    "name": "shop-old",
    "resource_group": "shop-rg",
    "subscription_id": "11111111-1111-1111-1111-111111111111",
    "location": "westeurope",
    "version": "11",
    "sku": "GP_Gen5_4",
    "tier": "GeneralPurpose",
    "vcores": 4,
    "storage_mb": 128000,
    "fully_qualified_domain_name": "shop-old.postgres.database.azure.com",
    "administrator_login": "shopadmin",
    "public_network_access": "Disabled",
    "ssl_enforcement": "Enabled",
    "minimal_tls_version": "TLSEnforcementDisabled",
    "private_endpoint_connections": [
        {
            "id": f"{SERVER}/privateEndpointConnections/shop-pe-1",
            "private_endpoint_id": ENDPOINT,
            "status": "Approved",
        }
    ],
    "replication_role": "None",
    "state": "Ready",
    "tags": {"team": "shop"},
}


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "resource_group": "shop-rg", "name": "shop-old"}


def test_one_server(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, api_version="2017-12-01", json=answer())
    result = run_module(MODULE, args)
    assert not result["changed"] and result["single_servers"] == [RESULT]


def test_a_group_says_the_same_as_one(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{GROUP}/{PROVIDER}", json={"value": [answer(), answer("other")]})
    found = run_module(MODULE, {**args, "name": None})["single_servers"]
    assert found[0] == RESULT and found[1]["name"] == "other"


def test_the_whole_subscription(run_module: Any, arm: Any, sign_in: Any) -> None:
    arm.expect("GET", f"{SUB}/{PROVIDER}", json={"value": [answer()]})
    assert run_module(MODULE, sign_in)["single_servers"] == [RESULT]


def test_an_unknown_server_is_an_empty_list(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, status=404, json=error("ResourceNotFound"))
    assert run_module(MODULE, args)["single_servers"] == []


def test_an_unknown_group_is_an_empty_list(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{GROUP}/{PROVIDER}", status=404, json=error("ResourceGroupNotFound"))
    assert run_module(MODULE, {**args, "name": None})["single_servers"] == []


def test_an_unknown_subscription_is_a_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, status=404, json=error("SubscriptionNotFound"))
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == "SubscriptionNotFound"


def test_missing_rights_are_a_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, status=403, json=error("AuthorizationFailed", "You may not."))
    result = run_module(MODULE, args)
    assert result["msg"].startswith("Failed to read the single servers: You may not (AuthorizationFailed).")


def test_a_name_needs_its_group(run_module: Any, arm: Any, sign_in: Any) -> None:
    result = run_module(MODULE, {**sign_in, "name": "shop-old"})
    assert result.failed and "resource_group" in result["msg"] and arm.requests == []


def test_a_server_that_says_little(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, json={"id": SERVER, "name": "shop-old", "properties": {}})
    (found,) = run_module(MODULE, args)["single_servers"]
    assert found.keys() == RESULT.keys()
    assert (found["vcores"], found["storage_mb"], found["private_endpoint_connections"], found["tags"]) == (
        None,
        None,
        [],
        {},
    )
