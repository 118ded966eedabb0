# SPDX-License-Identifier: GPL-3.0-or-later
"""firewall_rules, virtual_network_rule and private_endpoint_info against the lab, read back by plain requests."""

from __future__ import annotations

from typing import Any

import pytest
from arm import Arm
from module_tasks import Task, changed, failures, run
from plays import GROUP, Pair, Player

from pgflex_lab.process import Running

OFFICE = {"name": "office", "start_ip_address": "203.0.113.0", "end_ip_address": "203.0.113.255"}
AZURE = {"name": "azure", "start_ip_address": "0.0.0.0", "end_ip_address": "0.0.0.0"}
SEEDED = {**AZURE, "name": "AllowAllAzureIps"}
DELEGATION = "Microsoft.DBforPostgreSQL/flexibleServers"


@pytest.fixture
def arm(shared_lab: Running) -> Arm:
    return Arm(shared_lab)


@pytest.fixture
def scope(shared_lab: Running) -> str:
    return f"/subscriptions/{shared_lab.environment()['AZURE_SUBSCRIPTION_ID']}/resourceGroups/{GROUP}/providers"


def server_of(pair: Pair, scope: str, kind: str) -> tuple[str, dict[str, Any]]:
    """A server's id and the options that name it."""
    server, folder = (pair.source, "servers") if kind == "single_server" else (pair.target, "flexibleServers")
    where = {"resource_group": GROUP, "server_name": server.name}
    return f"{scope}/Microsoft.DBforPostgreSQL/{folder}/{server.name}", where


def addresses(arm: Arm, server: str) -> dict[str, tuple[str, str]]:
    rows = arm.get(f"{server}/firewallRules")["value"]
    return {row["name"]: tuple(row["properties"][key] for key in ("startIpAddress", "endIpAddress")) for row in rows}


def network(arm: Arm, scope: str, name: str, number: int, **subnets: dict[str, Any]) -> str:
    """A virtual network with the subnets given by their properties."""
    made = f"{scope}/Microsoft.Network/virtualNetworks/{name}"
    rows = [
        {"name": subnet, "properties": {"addressPrefix": f"10.{number}.{at}.0/24", **properties}}
        for at, (subnet, properties) in enumerate(subnets.items())
    ]
    space = {"addressPrefixes": [f"10.{number}.0.0/16"]}
    arm.put(made, {"location": "eastus", "properties": {"addressSpace": space, "subnets": rows}})
    return made


@pytest.mark.parametrize("kind", ["single_server", "flexible_server"])
def test_firewall_rules(player: Player, pair: Pair, arm: Arm, scope: str, kind: str) -> None:
    server, where = server_of(pair, scope, kind)
    common = {**where, "server_type": kind}
    rules = {**common, "rules": [OFFICE, {"name": "azure", "start_ip_address": "0.0.0.0"}]}
    foretold = run(player, check=Task("firewall_rules", rules, check=True))["check"]
    assert list(addresses(arm, server)) == ["AllowAllAzureIps"] and player.writes() == []
    found = run(
        player,
        made=Task("firewall_rules", rules),
        again=Task("firewall_rules", rules),
        grown=Task("firewall_rules", {**common, "rules": [{**OFFICE, "end_ip_address": "203.0.114.9"}]}),
        exact=Task("firewall_rules", {**rules, "exact": True}),
        wrong=Task("firewall_rules", {**common, "rules": [{**OFFICE, "end_ip_address": "10.0.0.1"}]}),
        gone=Task("firewall_rules", {**common, "rules": [{"name": "OFFICE"}], "state": "absent"}),
        gone_again=Task("firewall_rules", {**common, "rules": [{"name": "OFFICE"}], "state": "absent"}),
    )
    assert changed(found) == ["made", "grown", "exact", "gone"] and failures(found) == {"wrong": "InvalidRules"}
    assert found["made"] == foretold
    assert found["made"]["firewall_rules"] == {"server": server, "rules": [SEEDED, AZURE, OFFICE]}
    assert found["exact"]["firewall_rules"]["rules"] == [AZURE, OFFICE]
    assert addresses(arm, server) == {"azure": ("0.0.0.0", "0.0.0.0")}
    # Made two, changed one, put it back and removed the seeded one, removed one.
    assert len(player.writes()) == 6


def test_firewall_rules_of_another_server(player: Player, pair: Pair, arm: Arm, scope: str) -> None:
    source, where_source = server_of(pair, scope, "single_server")
    target, where_target = server_of(pair, scope, "flexible_server")
    there = {**where_source, "server_type": "single_server"}
    here = {**where_target, "server_type": "flexible_server"}
    found = run(
        player,
        source=Task("firewall_rules", {**there, "rules": [OFFICE]}),
        copied=Task("firewall_rules", {**here, "copy_from": there, "exact": True}),
        again=Task("firewall_rules", {**here, "copy_from": there, "exact": True}),
    )
    assert changed(found) == ["source", "copied"] and failures(found) == {}
    assert addresses(arm, target) == addresses(arm, source)


def test_a_busy_server_takes_the_rules_in_the_end(player: Player, pair: Pair, scope: str, shared_lab: Running) -> None:
    _server, where = server_of(pair, scope, "flexible_server")
    busy = {"kind": "error", "status": 409, "code": "ServerIsBusy", "message": "Not now."}
    shared_lab.plan_faults({**busy, "method": "PUT", "path": f"{pair.target.name}/firewallRules", "times": 2})
    rules = {**where, "server_type": "flexible_server", "rules": [OFFICE]}
    assert run(player, made=Task("firewall_rules", rules))["made"]["changed"]


def test_virtual_network_rule(player: Player, pair: Pair, arm: Arm, scope: str) -> None:
    server, where = server_of(pair, scope, "single_server")
    endpoint = {"serviceEndpoints": [{"service": "Microsoft.Sql"}]}
    subnets = f"{network(arm, scope, 'rules-vnet', 61, open=endpoint, plain={})}/subnets"
    rules = {**where, "rules": [{"name": "pgflex-open", "subnet_id": f"{subnets}/open"}]}
    closed = {**where, "rules": [{"name": "pgflex-plain", "subnet_id": f"{subnets}/plain"}]}
    early = {"name": "pgflex-plain", "subnet_id": f"{subnets}/plain", "ignore_missing_vnet_service_endpoint": True}
    foretold = run(player, check=Task("virtual_network_rule", rules, check=True))["check"]
    assert arm.get(f"{server}/virtualNetworkRules")["value"] == []
    found = run(
        player,
        made=Task("virtual_network_rule", rules),
        again=Task("virtual_network_rule", rules),
        closed=Task("virtual_network_rule", closed),
        early=Task("virtual_network_rule", {**where, "rules": [early]}),
        exact=Task("virtual_network_rule", {**rules, "exact": True}),
        gone=Task("virtual_network_rule", {**where, "rules": [{"name": "pgflex-open"}], "state": "absent"}),
        gone_again=Task("virtual_network_rule", {**where, "rules": [{"name": "pgflex-open"}], "state": "absent"}),
    )
    assert changed(found) == ["made", "early", "exact", "gone"]
    assert failures(found) == {"closed": "VirtualNetworkRuleBadRequest"}
    assert "pgflex.migrate.subnet with service_endpoints" in found["closed"]["msg"]
    assert found["made"] == foretold
    assert [row["name"] for row in found["early"]["virtual_network_rule"]["rules"]] == ["pgflex-open", "pgflex-plain"]
    assert arm.get(f"{server}/virtualNetworkRules")["value"] == []


def test_private_endpoint_info(player: Player, pair: Pair, arm: Arm, scope: str) -> None:
    server, _where = server_of(pair, scope, "single_server")
    vnet = network(arm, scope, "ends-vnet", 62, ends={})
    zone = f"{scope}/Microsoft.Network/privateDnsZones/privatelink.postgres.database.azure.com"
    arm.put(zone, {"location": "global"})
    endpoint = f"{scope}/Microsoft.Network/privateEndpoints/rules-end"
    connection = {"name": "c", "properties": {"privateLinkServiceId": server, "groupIds": ["postgresqlServer"]}}
    properties = {"subnet": {"id": f"{vnet}/subnets/ends"}, "privateLinkServiceConnections": [connection]}
    arm.put(endpoint, {"location": "eastus", "properties": properties})
    plain = run(player, of=Task("private_endpoint_info", {"server_id": server}))["of"]["private_endpoints"]
    configs = [{"name": "zone", "properties": {"privateDnsZoneId": zone}}]
    arm.put(f"{endpoint}/privateDnsZoneGroups/default", {"properties": {"privateDnsZoneConfigs": configs}})
    found = run(
        player,
        server=Task("private_endpoint_info", {"server_id": server}),
        ids=Task("private_endpoint_info", {"ids": [endpoint, f"{endpoint}-nope"]}),
        name=Task("private_endpoint_info", {"resource_group": GROUP, "name": "rules-end"}),
        group=Task("private_endpoint_info", {"resource_group": GROUP}),
        none=Task("private_endpoint_info", {"resource_group": "nope"}),
        wrong=Task("private_endpoint_info", {"server_id": vnet}),
    )
    (row,) = found["server"]["private_endpoints"]
    assert row["private_ip_addresses"] == ["10.62.0.4"] and row["private_dns_zone_ids"] == [zone]
    assert row["fqdns"] == [f"{pair.source.name}.postgres.database.azure.com"]
    assert (row["server_id"], row["status"], row["virtual_network_id"]) == (server, "Approved", vnet)
    assert plain == [{**row, "private_dns_zone_ids": []}]
    assert found["ids"]["private_endpoints"] == found["name"]["private_endpoints"] == [row]
    assert row in found["group"]["private_endpoints"] and found["none"]["private_endpoints"] == []
    assert found["wrong"]["failed"] and changed(found) == []
