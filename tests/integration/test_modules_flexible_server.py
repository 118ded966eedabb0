# SPDX-License-Identifier: GPL-3.0-or-later
"""flexible_server against the lab: made, changed, refused and deleted, with a real PostgreSQL behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from arm import Arm
from module_tasks import Result, Task, changed, failures, run
from plays import GROUP, PASSWORD, Pair, Player

from pgflex_lab.process import Running

DELEGATION = "Microsoft.DBforPostgreSQL/flexibleServers"
ADMIN = {"administrator_login": "pgadmin", "administrator_password": PASSWORD}
SIZE = {"version": "16", "sku_name": "Standard_D2ds_v5", "storage_gb": 64}


@pytest.fixture
def arm(shared_lab: Running) -> Arm:
    return Arm(shared_lab)


@pytest.fixture
def scope(shared_lab: Running) -> str:
    return f"/subscriptions/{shared_lab.environment()['AZURE_SUBSCRIPTION_ID']}/resourceGroups/{GROUP}/providers"


@pytest.fixture
def where(arm: Arm, scope: str, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The options that name a server of this test's own, which is not there afterwards."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    yield {"resource_group": GROUP, "name": name}
    arm.delete(f"{scope}/{DELEGATION}/{name}")


def server(args: dict[str, Any], *, check: bool = False) -> Task:
    return Task("flexible_server", args, check=check)


def login(lab: Running, name: str, password: str) -> str:
    """The administrator's name as the server's own PostgreSQL knows it."""
    (address,) = [row["hostaddr"] for row in lab.admin("GET", "state")["servers"] if row["name"] == name]
    with psycopg.connect(
        host=address, user="pgadmin", password=password, dbname="postgres", sslmode="require"
    ) as connection:
        (row,) = connection.execute("SELECT current_user").fetchall()
    return str(row[0])


def without(result: Result, *names: str) -> Result:
    return {name: value for name, value in result["flexible_server"].items() if name not in names}


def test_a_server_from_beginning_to_end(
    player: Player, arm: Arm, scope: str, where: dict[str, str], shared_lab: Running
) -> None:
    new = {**where, **ADMIN, **SIZE, "tags": {"app": "shop"}}
    foretold = run(player, check=server(new, check=True))["check"]
    assert player.writes() == []
    larger = {**where, "sku_name": "Standard_D4ds_v5", "storage_gb": 128, "tags": {"env": "test"}}
    found = run(
        player,
        made=server(new),
        again=server(new),
        info=Task("flexible_server_info", where),
        larger=server({**larger, "backup_retention_days": 14, "high_availability": "ZoneRedundant"}),
        larger_again=server({**larger, "backup_retention_days": 14, "high_availability": "ZoneRedundant"}),
        smaller=server({**where, "storage_gb": 64}),
        upgraded=server({**where, "version": "17"}),
        moved=server({**where, "location": "westeurope"}),
        renamed=server({**where, "administrator_login": "other"}),
        days=server({**where, "backup_retention_days": 99}),
        unknown_size=server({**where, "sku_name": "Standard_D3ds_v5"}),
        password=server({**where, "administrator_password": f"{PASSWORD}2", "update_password": "always"}),
    )
    assert changed(found) == ["made", "larger", "password"]
    assert failures(found) == {
        "smaller": "ImmutableOption",
        "upgraded": "ImmutableOption",
        "moved": "ImmutableOption",
        "renamed": "ImmutableOption",
        "days": "InvalidOptions",
        "unknown_size": "NotOffered",
    }
    known_later = ("minor_version", "fully_qualified_domain_name")
    assert without(found["made"], *known_later) == without(foretold, *known_later)
    assert without(found["again"], "password_updated") == found["info"]["flexible_servers"][0]
    row = found["larger"]["flexible_server"]
    assert (row["sku"], row["vcores"], row["storage_gb"], row["backup_retention_days"], row["tags"]) == (
        "Standard_D4ds_v5",
        4,
        128,
        14,
        {"app": "shop", "env": "test"},
    )
    assert arm.get(row["id"])["properties"]["highAvailability"]["mode"] == "ZoneRedundant"
    assert login(shared_lab, where["name"], f"{PASSWORD}2") == "pgadmin"
    # One to make it, one to change it, one for the password.
    assert len(player.writes()) == 3
    gone = run(
        player,
        check=server({**where, "state": "absent"}, check=True),
        gone=server({**where, "state": "absent"}),
        again=server({**where, "state": "absent"}),
    )
    assert changed(gone) == ["check", "gone"] and len(player.writes()) == 1
    assert run(player, info=Task("flexible_server_info", where))["info"]["flexible_servers"] == []


def test_a_server_inside_a_network(player: Player, arm: Arm, scope: str, where: dict[str, str]) -> None:
    vnet = f"{scope}/Microsoft.Network/virtualNetworks/inside-vnet"
    delegated = [{"name": "pg", "properties": {"serviceName": DELEGATION}}]
    subnets = [
        {"name": "pg", "properties": {"addressPrefix": "10.71.0.0/28", "delegations": delegated}},
        {"name": "plain", "properties": {"addressPrefix": "10.71.1.0/28"}},
    ]
    space = {"addressPrefixes": ["10.71.0.0/16"]}
    arm.put(vnet, {"location": "eastus", "properties": {"addressSpace": space, "subnets": subnets}})
    zones = f"{scope}/Microsoft.Network/privateDnsZones"
    zone = f"{zones}/inside.private.postgres.database.azure.com"
    unlinked, odd = f"{zones}/unlinked.private.postgres.database.azure.com", f"{zones}/inside.example.com"
    for each in (zone, unlinked, odd):
        arm.put(each, {"location": "global"})
        if each != unlinked:
            link = {"virtualNetwork": {"id": vnet}, "registrationEnabled": False}
            arm.put(f"{each}/virtualNetworkLinks/inside", {"location": "global", "properties": link})
    new = {**where, **ADMIN, **SIZE, "delegated_subnet_id": f"{vnet}/subnets/pg", "private_dns_zone_id": zone}
    player.writes()
    found = run(
        player,
        plain=server({**new, "delegated_subnet_id": f"{vnet}/subnets/plain"}),
        odd=server({**new, "private_dns_zone_id": odd}),
        unlinked=server({**new, "private_dns_zone_id": unlinked}),
        public=server({**new, "public_network_access": "Enabled"}),
        half=server({**new, "private_dns_zone_id": None}),
        made=server(new),
        again=server(new),
        rules=Task(
            "firewall_rules",
            {
                "resource_group": GROUP,
                "server_name": where["name"],
                "server_type": "flexible_server",
                "rules": [{"name": "office", "start_ip_address": "203.0.113.1"}],
            },
        ),
        out=server({**new, "delegated_subnet_id": f"{vnet}/subnets/plain"}),
    )
    assert changed(found) == ["made"]
    assert failures(found) == {
        "plain": "OperationFailed",
        "odd": "PrivateDnsZoneNameNotValid",
        "unlinked": "PrivateDnsZoneNotLinkedToVirtualNetwork",
        "public": "InvalidOptions",
        "half": "InvalidOptions",
        "rules": "NoFirewall",
        "out": "ImmutableOption",
    }
    assert "Delegate the subnet with pgflex.migrate.subnet" in found["plain"]["msg"]
    assert "pgflex.migrate.private_dns_zone_link" in found["unlinked"]["msg"]
    row = found["made"]["flexible_server"]
    assert row["network"] == {"delegated_subnet_id": f"{vnet}/subnets/pg", "private_dns_zone_id": zone}
    assert (row["public_network_access"], row["state"]) == ("Disabled", "Ready")


def test_a_server_like_another(player: Player, pair: Pair, arm: Arm, scope: str, where: dict[str, str]) -> None:
    single = {"server_type": "single_server", "resource_group": GROUP, "name": pair.source.name}
    like = {**where, **ADMIN, "like": single}
    small = {"resource_group": GROUP, "name": pair.target.name, "like": {**single, "used_storage_gb": 200}}
    found = run(
        player,
        check=server(like, check=True),
        made=server(like),
        again=server(like),
        small=server(small),
        grown=server({**small, "storage_gb": 256}),
        none=server({**like, "like": {**single, "name": "nope"}}),
        lacking=server({**where, "name": "not-there", "like": single}),
        taken=server({**where, **ADMIN, **SIZE, "name": pair.source.name}),
        no_group=server({**ADMIN, **SIZE, "resource_group": "nope", "name": "not-there"}),
    )
    assert changed(found) == ["check", "made", "grown"]
    assert failures(found) == {
        "small": "TooSmall",
        "none": "ResourceNotFound",
        "lacking": "MissingOptions",
        "taken": "ServerNameAlreadyExists",
        "no_group": "ResourceGroupNotFound",
    }
    row = found["made"]["flexible_server"]
    assert (row["sku"], row["storage_gb"], row["version"], row["location"]) == ("Standard_D4ds_v5", 128, "11", "eastus")
    assert "its storage of 128 GB is less than 250 GB" in found["small"]["msg"]


def test_a_run_that_lost_its_patience_is_picked_up(player: Player, where: dict[str, str], shared_lab: Running) -> None:
    new = {**where, **ADMIN, **SIZE}
    found = run(player, started=server({**new, "wait": False}), again=server(new))
    assert found["started"]["flexible_server"]["state"] == "Provisioning"
    assert failures(found) == {} and found["again"]["flexible_server"]["state"] == "Ready"
    assert login(shared_lab, where["name"], PASSWORD) == "pgadmin"


def test_an_operation_that_fails_in_the_end(player: Player, where: dict[str, str], shared_lab: Running) -> None:
    quota = {"kind": "fail_operation", "code": "QuotaExceeded", "message": "No cores are left.", "method": "PUT"}
    shared_lab.plan_faults({**quota, "path": f"flexibleServers/{where['name']}"})
    found = run(player, made=server({**where, **ADMIN, **SIZE}))["made"]
    assert found["msg"].startswith(f"Failed to create {where['name']} in {GROUP}: ") and "QuotaExceeded" in found["msg"]
    assert found["failure"]["hint"] == "Ask for more quota in the region or take a smaller size."
