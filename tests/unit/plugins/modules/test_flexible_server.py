# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "flexible_server"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
SUB = f"/subscriptions/{SUBSCRIPTION}"
GROUP = f"{SUB}/resourceGroups/shop-rg"
PROVIDER = "providers/Microsoft.DBforPostgreSQL"
SERVER = f"{GROUP}/{PROVIDER}/flexibleServers/shop-new"
SINGLE = f"{GROUP}/{PROVIDER}/servers/shop-old"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
SUBNET = f"{NETWORK}/virtualNetworks/shop-vnet/subnets/pg"
ZONE = f"{NETWORK}/privateDnsZones/shop.private.postgres.database.azure.com"
CAPABILITIES = f"{SUB}/{PROVIDER}/locations/westeurope/capabilities"
OPERATION = f"{SUB}/{PROVIDER}/locations/westeurope/azureAsyncOperation/1"
ACCEPTED = {"Azure-AsyncOperation": f"https://management.azure.com{OPERATION}?api-version=1", "Retry-After": "1"}
PASSWORD = "Chosen-Passw0rd!"
PUBLIC = {"publicNetworkAccess": "Enabled"}
INSIDE = {"delegatedSubnetResourceId": SUBNET, "privateDnsZoneArmResourceId": ZONE}


def answer(*, tags: dict[str, str] | None = None, sku: str = "Standard_D4ds_v5", **changes: Any) -> dict[str, Any]:
    return {
        "id": SERVER,
        "name": "shop-new",
        "location": "West Europe",
        "sku": {"name": sku, "tier": "GeneralPurpose"},
        "tags": tags or {},
        "properties": {
            "administratorLogin": "shopadmin",
            "version": "16",
            "minorVersion": "9",
            "state": "Ready",
            "fullyQualifiedDomainName": "shop-new.postgres.database.azure.com",
            "storage": {"storageSizeGB": 128, "autoGrow": "Disabled"},
            "network": PUBLIC,
            "highAvailability": {"mode": "Disabled", "state": "NotEnabled"},
            "backup": {"backupRetentionDays": 7},
            "replicationRole": "Primary",
            **changes,
        },
    }


ROW = {
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
    "public_network_access": "Enabled",
    "network": {"delegated_subnet_id": None, "private_dns_zone_id": None},
    "private_endpoint_connections": [],
    "high_availability": "Disabled",
    "backup_retention_days": 7,
    "replication_role": "Primary",
    "state": "Ready",
    "tags": {},
    "password_updated": False,
}


def body(**changes: Any) -> dict[str, Any]:
    """What a creation sends."""
    properties = {
        "createMode": "Default",
        "version": "16",
        "administratorLogin": "shopadmin",
        "administratorLoginPassword": PASSWORD,
        "storage": {"storageSizeGB": 128},
        "backup": {"backupRetentionDays": 7},
        "highAvailability": {"mode": "Disabled"},
        "network": PUBLIC,
        **changes,
    }
    sku = {"name": "Standard_D4ds_v5", "tier": "GeneralPurpose"}
    return {"location": "westeurope", "tags": {}, "sku": sku, "properties": properties}


def capabilities() -> dict[str, Any]:
    def sku(name: str) -> dict[str, Any]:
        return {"name": name, "vCores": int(name[10]), "supportedMemoryPerVcoreMb": 4096}

    edition = {
        "name": "GeneralPurpose",
        "supportedServerSkus": [sku(name) for name in ("Standard_D2ds_v5", "Standard_D4ds_v5", "Standard_D8ds_v5")],
        "supportedStorageEditions": [
            {"name": "ManagedDisk", "supportedStorageMb": [{"storageSizeMb": gb * 1024} for gb in (64, 128, 256)]}
        ],
    }
    versions = [{"name": name} for name in ("13", "14", "15", "16")]
    return {"value": [{"supportedServerEditions": [edition], "supportedServerVersions": versions}]}


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def expect_missing(arm: Any) -> None:
    arm.expect("GET", SERVER, status=404, json=error("ResourceNotFound"))


def expect_creation(arm: Any, sent: dict[str, Any], found: dict[str, Any]) -> None:
    arm.expect("PUT", SERVER, status=202, headers=ACCEPTED, body=sent)
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    arm.expect("GET", SERVER, json=found)
    arm.expect("GET", SERVER, json=found)


def expect_change(arm: Any, sent: dict[str, Any], found: dict[str, Any]) -> None:
    arm.expect("PATCH", SERVER, status=202, headers=ACCEPTED, body=sent)
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    arm.expect("GET", SERVER, json=found)
    arm.expect("GET", SERVER, json=found)


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "resource_group": "shop-rg", "name": "shop-new"}


@pytest.fixture
def new(args: dict[str, Any]) -> dict[str, Any]:
    size = {"location": "West Europe", "version": "16", "sku_name": "standard_d4ds_v5"}
    return {**args, **size, "administrator_login": "shopadmin", "administrator_password": PASSWORD}


def test_a_server_is_made(run_module: Any, arm: Any, new: Any) -> None:
    expect_missing(arm)
    arm.expect("GET", CAPABILITIES, json=capabilities())
    expect_creation(arm, body(), answer())
    result = run_module(MODULE, new, diff=True)
    assert result["changed"] and result["flexible_server"] == {**ROW, "password_updated": True}
    assert result["diff"]["before"] == {} and PASSWORD not in result.raw_output


def test_check_mode_foretells_it(run_module: Any, arm: Any, new: Any) -> None:
    expect_missing(arm)
    arm.expect("GET", CAPABILITIES, json=capabilities())
    result = run_module(MODULE, new, check_mode=True, diff=True)
    unknown = {"minor_version": None, "fully_qualified_domain_name": None}
    assert result["changed"] and arm.writes == []
    assert result["flexible_server"] == {**ROW, **unknown, "password_updated": True}
    assert result["diff"]["after"] == result.visible("flexible_server")


def test_the_groups_location_and_all_else(run_module: Any, arm: Any, new: Any) -> None:
    expect_missing(arm)
    arm.expect("GET", GROUP.replace("resourceGroups", "resourcegroups"), json={"location": "westeurope"})
    arm.expect("GET", CAPABILITIES, json=capabilities())
    sent = body(
        storage={"storageSizeGB": 256},
        network=INSIDE,
        highAvailability={"mode": "SameZone"},
        backup={"backupRetentionDays": 14},
    )
    found = answer(
        network={**INSIDE, "publicNetworkAccess": "Disabled"},
        storage={"storageSizeGB": 256},
        highAvailability={"mode": "SameZone"},
        backup={"backupRetentionDays": 14},
        tags={"team": "1"},
    )
    expect_creation(arm, {**sent, "tags": {"team": "1"}}, found)
    given = {"location": None, "storage_gb": 256, "high_availability": "SameZone", "backup_retention_days": 14}
    network = {"delegated_subnet_id": SUBNET, "private_dns_zone_id": ZONE.strip("/")}
    result = run_module(MODULE, {**new, **given, **network, "tags": {"team": 1}})
    row = result["flexible_server"]
    assert row["network"] == {"delegated_subnet_id": SUBNET, "private_dns_zone_id": ZONE}
    assert (row["public_network_access"], row["tags"]) == ("Disabled", {"team": "1"})


def test_a_server_that_is_there_as_asked(run_module: Any, arm: Any, new: Any) -> None:
    arm.expect("GET", SERVER, json=answer(tags={"a": "b"}, sku="standard_d4ds_v5"))
    result = run_module(MODULE, {**new, "tags": {"a": "b"}, "storage_gb": 128, "public_network_access": "Enabled"})
    assert not result["changed"] and result["flexible_server"]["state"] == "Ready"


def test_only_what_differs_is_sent(run_module: Any, arm: Any, args: Any) -> None:
    asked = {
        **args,
        "sku_name": "Standard_D8ds_v5",
        "storage_gb": 256,
        "tags": {"c": "d"},
        "high_availability": "ZoneRedundant",
        "backup_retention_days": 30,
        "public_network_access": "Disabled",
    }
    sent = {
        "sku": {"name": "Standard_D8ds_v5", "tier": "GeneralPurpose"},
        "tags": {"a": "b", "c": "d"},
        "properties": {
            "storage": {"storageSizeGB": 256},
            "highAvailability": {"mode": "ZoneRedundant"},
            "backup": {"backupRetentionDays": 30},
            "network": {"publicNetworkAccess": "Disabled"},
        },
    }
    after = answer(
        sku="Standard_D8ds_v5",
        tags={"a": "b", "c": "d"},
        storage={"storageSizeGB": 256},
        highAvailability={"mode": "ZoneRedundant"},
        backup={"backupRetentionDays": 30},
        network={"publicNetworkAccess": "Disabled"},
    )
    for _each in range(2):
        arm.expect("GET", SERVER, json=answer(tags={"a": "b"}))
        arm.expect("GET", CAPABILITIES, json=capabilities())
    foretold = run_module(MODULE, asked, check_mode=True, diff=True)
    assert foretold["changed"] and arm.writes == []
    expect_change(arm, sent, after)
    assert run_module(MODULE, asked, diff=True).result == foretold.result


def test_another_zone_and_the_subnet_spelled_otherwise(run_module: Any, arm: Any, args: Any) -> None:
    inside = {**INSIDE, "publicNetworkAccess": "Disabled"}
    arm.expect("GET", SERVER, json=answer(network=inside))
    other = ZONE.replace("shop.private", "other.private")
    moved = answer(network={**inside, "privateDnsZoneArmResourceId": other})
    expect_change(arm, {"properties": {"network": {"privateDnsZoneArmResourceId": other}}}, moved)
    asked = {**args, "delegated_subnet_id": SUBNET.upper(), "private_dns_zone_id": other}
    assert run_module(MODULE, asked)["flexible_server"]["network"]["private_dns_zone_id"] == other


def test_the_password_is_set_only_when_asked(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, json=answer())
    assert not run_module(MODULE, {**args, "administrator_password": PASSWORD})["changed"]
    arm.expect("GET", SERVER, json=answer())
    expect_change(arm, {"properties": {"administratorLoginPassword": PASSWORD}}, answer())
    always = {**args, "administrator_password": PASSWORD, "update_password": "always"}
    result = run_module(MODULE, always)
    assert result["changed"] and result["flexible_server"] == {**ROW, "password_updated": True}


def test_deleting(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, json=answer())
    arm.expect("DELETE", SERVER, status=202, headers=ACCEPTED)
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    result = run_module(MODULE, {**args, "state": "absent"})
    assert result["changed"] and result["flexible_server"] is None
    expect_missing(arm)
    assert not run_module(MODULE, {**args, "state": "absent"})["changed"]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"location": "northeurope"}, "location can not be changed once the resource exists"),
        ({"administrator_login": "other"}, "administrator_login can not be changed"),
        ({"delegated_subnet_id": SUBNET, "private_dns_zone_id": ZONE}, "delegated_subnet_id can not be changed"),
        ({"storage_gb": 64}, "storage_gb can not become less: it is 128, 64 was asked for."),
        ({"version": "13"}, "A server never goes back to an older version: make a new one."),
        ({"version": "17"}, "az postgres flexible-server upgrade --validate"),
    ],
)
def test_what_can_not_be_changed(run_module: Any, arm: Any, args: Any, asked: Any, text: str) -> None:
    arm.expect("GET", SERVER, json=answer())
    result = run_module(MODULE, {**args, **asked})
    assert result["failure"]["code"] == "ImmutableOption" and text in result["msg"] and arm.writes == []


def test_wrong_options_are_all_named_before_any_request(run_module: Any, arm: Any, new: Any) -> None:
    wrong = {
        "name": "Shop_New",
        "backup_retention_days": 3,
        "storage_gb": 0,
        "delegated_subnet_id": ZONE,
        "private_dns_zone_id": "zone",
        "public_network_access": "Enabled",
        "sku_name": "Standard_B2s",
        "high_availability": "SameZone",
    }
    result = run_module(MODULE, {**new, **wrong})
    assert result["failure"]["code"] == "InvalidOptions" and arm.requests == []
    assert result["msg"] == (
        "Failed to update the flexible server Shop_New in shop-rg, nothing was changed: "
        "name needs 3 to 63 small letters, digits and hyphens, with no hyphen at its ends; "
        "backup_retention_days is 3 and has to be from 7 to 35; storage_gb is 0 and has to be at least 1; "
        f"delegated_subnet_id is '{ZONE}' and has to be the id of virtualNetworks/subnets; "
        "private_dns_zone_id is 'zone' and has to be the id of privateDnsZones; "
        "public_network_access can not be Enabled for a server in a delegated subnet; "
        "high_availability needs a size of the tier GeneralPurpose or MemoryOptimized."
    )


@pytest.mark.parametrize("given", [{"delegated_subnet_id": SUBNET}, {"private_dns_zone_id": ZONE}])
def test_a_subnet_and_its_zone_go_together(run_module: Any, arm: Any, new: Any, given: Any) -> None:
    asked = {**new, "delegated_subnet_id": None, "private_dns_zone_id": None, **given}
    result = run_module(MODULE, asked)
    assert "delegated_subnet_id and private_dns_zone_id go together" in result["msg"] and arm.requests == []


def test_what_a_new_server_needs(run_module: Any, arm: Any, args: Any) -> None:
    expect_missing(arm)
    arm.expect("GET", CAPABILITIES, json=capabilities())
    result = run_module(MODULE, {**args, "location": "westeurope"})
    assert result["msg"] == (
        "shop-new in shop-rg is not there, and can not be made without version, sku_name, administrator_login, "
        "administrator_password."
    )


def test_what_the_location_does_not_offer(run_module: Any, arm: Any, new: Any) -> None:
    expect_missing(arm)
    arm.expect("GET", CAPABILITIES, json=capabilities())
    result = run_module(MODULE, {**new, "sku_name": "Standard_D4s_v9", "storage_gb": 100, "version": "18"})
    assert result["failure"]["code"] == "NotOffered"
    assert "westeurope does not offer the size Standard_D4s_v9 (there are Standard_D4ds_v5), nor" in result["msg"]


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ("EmptyPrivateDnsZoneArmResourceId", "No.", "Give private_dns_zone_id"),
        ("PrivateDnsZoneNameNotValid", "No.", "Take a zone whose name"),
        ("PrivateDnsZoneNotLinkedToVirtualNetwork", "No.", "pgflex.migrate.private_dns_zone_link"),
        ("ServerNameAlreadyExists", "No.", "choose another one"),
        ("QuotaExceeded", "No.", "Ask for more quota"),
        ("OperationFailed", "The subnet name as pg is missing required delegations X", "Delegate the subnet with pgfl"),
    ],
)
def test_refusals_have_a_way_out(run_module: Any, arm: Any, new: Any, code: str, message: str, hint: str) -> None:
    expect_missing(arm)
    arm.expect("GET", CAPABILITIES, json=capabilities())
    arm.expect("PUT", SERVER, status=400, json=error(code, message))
    result = run_module(MODULE, new)
    assert result["msg"].startswith(f"Failed to create shop-new in shop-rg: {message.rstrip('.')} ({code}).")
    assert hint in result["failure"]["hint"]


def test_a_server_that_is_still_being_made_is_waited_for(run_module: Any, arm: Any, new: Any) -> None:
    arm.expect("GET", SERVER, json=answer(state="Provisioning"))
    arm.expect("GET", SERVER, json=answer(state="Updating"))
    arm.expect("GET", SERVER, json=answer())
    result = run_module(MODULE, new)
    assert not result["changed"] and result["flexible_server"]["state"] == "Ready"


def test_a_stopped_server_is_left_alone(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, json=answer(state="Stopped"))
    assert not run_module(MODULE, args)["changed"]
    arm.expect("GET", SERVER, json=answer(state="Stopped"))
    result = run_module(MODULE, {**args, "tags": {"a": "b"}})
    assert result["failure"]["code"] == "ServerNotReady" and arm.writes == []


def test_without_waiting(run_module: Any, arm: Any, new: Any) -> None:
    expect_missing(arm)
    arm.expect("GET", CAPABILITIES, json=capabilities())
    arm.expect("PUT", SERVER, status=202, headers=ACCEPTED, body=body())
    result = run_module(MODULE, {**new, "wait": False})
    assert result["changed"] and result["flexible_server"]["state"] == "Provisioning"


def test_time_is_up(run_module: Any, arm: Any, new: Any) -> None:
    expect_missing(arm)
    arm.expect("GET", CAPABILITIES, json=capabilities())
    arm.expect("PUT", SERVER, status=202, headers=ACCEPTED, body=body())
    arm.fallback = (200, {"status": "InProgress"})
    result = run_module(MODULE, {**new, "wait_timeout": 0})
    assert result["failure"]["code"] == "Timeout" and "run again" in result["failure"]["hint"]


def test_missing_rights(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SERVER, status=403, json=error("AuthorizationFailed", "You may not."))
    result = run_module(MODULE, args)
    assert result["msg"].startswith("Failed to read the flexible server shop-new in shop-rg: You may not (Authorizati")


# A target like the source

LIKE = {"server_type": "single_server", "resource_group": "shop-rg", "name": "shop-old"}


def source(access: str = "Enabled", storage_gb: int = 100) -> dict[str, Any]:
    return {
        "id": SINGLE,
        "name": "shop-old",
        "location": "westeurope",
        "sku": {"name": "GP_Gen5_4", "tier": "GeneralPurpose", "capacity": 4},
        "properties": {
            "version": "11",
            "storageProfile": {"storageMB": storage_gb * 1024},
            "publicNetworkAccess": access,
            "userVisibleState": "Ready",
        },
    }


@pytest.fixture
def like(args: dict[str, Any]) -> dict[str, Any]:
    who = {"administrator_login": "shopadmin", "administrator_password": PASSWORD}
    return {**args, **who, "like": {**LIKE, "used_storage_gb": 110}}


def test_a_new_server_like_the_source(run_module: Any, arm: Any, like: Any) -> None:
    expect_missing(arm)
    arm.expect("GET", SINGLE, json=source())
    arm.expect("GET", CAPABILITIES, json=capabilities())
    sent = body(version="13", storage={"storageSizeGB": 256})
    expect_creation(arm, sent, answer(version="13", storage={"storageSizeGB": 256}))
    row = run_module(MODULE, like)["flexible_server"]
    assert (row["sku"], row["storage_gb"], row["version"]) == ("Standard_D4ds_v5", 256, "13")


def test_options_win_unless_they_are_too_small(run_module: Any, arm: Any, like: Any) -> None:
    expect_missing(arm)
    arm.expect("GET", SINGLE, json=source())
    arm.expect("GET", CAPABILITIES, json=capabilities())
    asked = {**like, "sku_name": "Standard_D2ds_v5", "version": "16", "storage_gb": 128}
    result = run_module(MODULE, asked)
    assert result["msg"].startswith(
        "shop-new in shop-rg is too small to be like shop-old, nothing was changed: its storage of 128 GB is less than "
        "138 GB."
    )
    assert result["failure"]["code"] == "TooSmall"


def test_a_server_that_is_there_is_measured(run_module: Any, arm: Any, like: Any) -> None:
    arm.expect("GET", SERVER, json=answer(sku="Standard_D2ds_v5"))
    arm.expect("GET", CAPABILITIES, json=capabilities())
    arm.expect("GET", SINGLE, json=source())
    result = run_module(MODULE, like)
    assert "storage of 128 GB is less than 138 GB; its 2 vCores are fewer than 4; its memory of 8 GB" in result["msg"]
    arm.expect("GET", SERVER, json=answer(storage={"storageSizeGB": 256}))
    arm.expect("GET", CAPABILITIES, json=capabilities())
    arm.expect("GET", SINGLE, json=source())
    assert not run_module(MODULE, like)["changed"]


def test_a_private_source_needs_a_word_about_the_network(run_module: Any, arm: Any, like: Any) -> None:
    expect_missing(arm)
    arm.expect("GET", SINGLE, json=source("Disabled"))
    arm.expect("GET", CAPABILITIES, json=capabilities())
    result = run_module(MODULE, like)
    assert result["failure"]["code"] == "NetworkNotGiven" and "delegated_subnet_id" in result["msg"]


def test_a_source_that_is_not_there(run_module: Any, arm: Any, like: Any) -> None:
    expect_missing(arm)
    arm.expect("GET", SINGLE, status=404, json=error("ResourceNotFound", "No such server."))
    result = run_module(MODULE, like)
    assert result["msg"].startswith(
        "Failed to read shop-old in shop-rg, which shop-new in shop-rg is to be like: No such server (ResourceNotFo"
    )
