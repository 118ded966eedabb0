# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "private_endpoint_info"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
SUB = f"/subscriptions/{SUBSCRIPTION}"
GROUP = f"{SUB}/resourceGroups/shop-rg"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
ENDPOINTS = f"{NETWORK}/privateEndpoints"
SERVER = f"{GROUP}/providers/Microsoft.DBforPostgreSQL/servers/shop-old"
SUBNET = f"{NETWORK}/virtualNetworks/shop-vnet/subnets/endpoints"
ZONE = f"{NETWORK}/privateDnsZones/privatelink.postgres.database.azure.com"
FQDN = "shop-old.postgres.database.azure.com"
NIC = f"{NETWORK}/networkInterfaces/shop-end.nic.1"


def endpoint(name: str = "shop-end", *, grouped: bool = True, server: str = SERVER, **changes: Any) -> dict[str, Any]:
    """An endpoint as the service answers it; with a zone group it does not tell its address."""
    connection = {
        "name": name,
        "properties": {
            "privateLinkServiceId": server,
            "privateLinkServiceConnectionState": {"status": "Approved"},
        },
    }
    return {
        "id": f"{ENDPOINTS}/{name}",
        "name": name,
        "type": "Microsoft.Network/privateEndpoints",
        "location": "westeurope",
        "tags": {"team": "shop"},
        "properties": {
            "subnet": {"id": SUBNET},
            "networkInterfaces": [{"id": NIC}],
            "customDnsConfigs": [] if grouped else [{"fqdn": FQDN, "ipAddresses": ["10.0.1.4"]}],
            "privateLinkServiceConnections": [connection],
            "manualPrivateLinkServiceConnections": [],
            **changes,
        },
    }


def group_answer(*addresses: str) -> dict[str, Any]:
    records = [{"recordType": "A", "recordSetName": "shop-old", "ipAddresses": list(addresses)}]
    config = {"name": "zone", "properties": {"privateDnsZoneId": ZONE, "recordSets": records}}
    return {"value": [{"name": "default", "properties": {"privateDnsZoneConfigs": [config]}}]}


def nic_answer() -> dict[str, Any]:
    config = {
        "name": "privateEndpointIpConfig",
        "properties": {"privateIPAddress": "10.0.1.4", "privateLinkConnectionProperties": {"fqdns": [FQDN]}},
    }
    return {"id": NIC, "name": "shop-end.nic.1", "properties": {"ipConfigurations": [config]}}


ROW = {
    "id": f"{ENDPOINTS}/shop-end",
    "name": "shop-end",
    "resource_group": "shop-rg",
    "subscription_id": SUBSCRIPTION,
    "location": "westeurope",
    "virtual_network_id": f"{NETWORK}/virtualNetworks/shop-vnet",
    "subnet_id": SUBNET,
    "private_ip_addresses": ["10.0.1.4"],
    "server_id": SERVER,
    "status": "Approved",
    "fqdns": [FQDN],
    "private_dns_zone_ids": [ZONE],
    "tags": {"team": "shop"},
}


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
def args(sign_in: dict[str, str], arm: Any) -> dict[str, Any]:
    arm.any_order = True
    return {**sign_in, "resource_group": "shop-rg", "name": "shop-end"}


def expect_endpoint(arm: Any, name: str = "shop-end", *, grouped: bool = True) -> None:
    arm.expect("GET", f"{ENDPOINTS}/{name}", json=endpoint(name, grouped=grouped))
    answer = group_answer("10.0.1.4") if grouped else {"value": []}
    arm.expect("GET", f"{ENDPOINTS}/{name}/privateDnsZoneGroups", json=answer)
    if grouped:
        arm.expect("GET", NIC, json=nic_answer())


def test_the_address_is_the_interfaces(run_module: Any, arm: Any, args: Any) -> None:
    expect_endpoint(arm)
    result = run_module(MODULE, args)
    assert not result["changed"] and result["private_endpoints"] == [ROW]


def test_without_a_zone_group_the_endpoint_tells_it(run_module: Any, arm: Any, args: Any) -> None:
    expect_endpoint(arm, grouped=False)
    assert run_module(MODULE, args)["private_endpoints"] == [{**ROW, "private_dns_zone_ids": []}]


def test_without_its_interface_the_zones_records_tell_it(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{ENDPOINTS}/shop-end", json=endpoint())
    arm.expect("GET", f"{ENDPOINTS}/shop-end/privateDnsZoneGroups", json=group_answer("10.0.1.4", "10.0.1.5"))
    arm.expect("GET", NIC, status=404, json=error("ResourceNotFound"))
    (found,) = run_module(MODULE, args)["private_endpoints"]
    assert found == {**ROW, "private_ip_addresses": ["10.0.1.4", "10.0.1.5"], "fqdns": []}


def test_those_of_a_server(run_module: Any, arm: Any, args: Any, sign_in: Any) -> None:
    ends = [{"id": f"{SERVER}/x/{n}", "properties": {"privateEndpoint": {"id": f"{ENDPOINTS}/{n}"}}} for n in "ab"]
    server = {"id": SERVER, "name": "shop-old", "properties": {"privateEndpointConnections": [*ends, {"id": "c"}]}}
    arm.expect("GET", SERVER, json=server)
    expect_endpoint(arm, "a", grouped=False)
    arm.expect("GET", f"{ENDPOINTS}/b", status=404, json=error("ResourceNotFound"))
    found = run_module(MODULE, {**sign_in, "server_id": SERVER})["private_endpoints"]
    assert [row["name"] for row in found] == ["a"]


def test_a_server_that_is_not_there_has_none(run_module: Any, arm: Any, args: Any, sign_in: Any) -> None:
    flexible = SERVER.replace("/servers/", "/flexibleServers/")
    arm.expect("GET", flexible, status=404, json=error("ResourceNotFound"))
    assert run_module(MODULE, {**sign_in, "server_id": flexible})["private_endpoints"] == []


def test_a_group_and_the_subscription(run_module: Any, arm: Any, args: Any, sign_in: Any) -> None:
    rows = [endpoint(grouped=False), endpoint("blob", server=f"{GROUP}/providers/Microsoft.Storage/accounts/a")]
    for where, given in ((GROUP, {"resource_group": "shop-rg"}), (SUB, {})):
        arm.expect("GET", f"{where}/providers/Microsoft.Network/privateEndpoints", json={"value": rows})
        arm.expect("GET", f"{ENDPOINTS}/shop-end/privateDnsZoneGroups", json={"value": []})
        found = run_module(MODULE, {**sign_in, **given})["private_endpoints"]
        assert found == [{**ROW, "private_dns_zone_ids": []}]


def test_by_ids_of_several_subscriptions(run_module: Any, arm: Any, args: Any, sign_in: Any) -> None:
    other = f"{ENDPOINTS}/far".replace(SUBSCRIPTION, "99999999-1111-1111-1111-111111111111")
    expect_endpoint(arm, grouped=False)
    arm.expect("GET", other, json={**endpoint(grouped=False), "id": other, "name": "far"})
    arm.expect("GET", f"{other}/privateDnsZoneGroups", json={"value": []})
    ids = [f"{ENDPOINTS}/shop-end", other, f"{ENDPOINTS}/shop-end"]
    found = run_module(MODULE, {**sign_in, "ids": ids})["private_endpoints"]
    assert [row["name"] for row in found] == ["shop-end", "far"]
    assert run_module(MODULE, {**sign_in, "ids": []})["private_endpoints"] == []


def test_an_endpoint_that_waits_for_approval(run_module: Any, arm: Any, args: Any) -> None:
    made = endpoint(grouped=False, privateLinkServiceConnections=[])
    state = {"privateLinkServiceId": SERVER, "privateLinkServiceConnectionState": {"status": "Pending"}}
    made["properties"]["manualPrivateLinkServiceConnections"] = [{"name": "shop-end", "properties": state}]
    arm.expect("GET", f"{ENDPOINTS}/shop-end", json=made)
    arm.expect("GET", f"{ENDPOINTS}/shop-end/privateDnsZoneGroups", json={"value": []})
    (found,) = run_module(MODULE, args)["private_endpoints"]
    assert (found["status"], found["server_id"]) == ("Pending", SERVER)


@pytest.mark.parametrize("given", [{"server_id": SUBNET}, {"server_id": f"{SERVER}/databases/shop"}, {"ids": [SERVER]}])
def test_ids_of_other_things(run_module: Any, arm: Any, sign_in: Any, given: Any) -> None:
    result = run_module(MODULE, {**sign_in, **given})
    assert result.failed and "not the id of a" in result["msg"] and arm.requests == []


def test_missing_rights(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{ENDPOINTS}/shop-end", status=403, json=error("AuthorizationFailed", "You may not."))
    result = run_module(MODULE, args)
    assert result["msg"].startswith("Failed to read the private endpoints: You may not (AuthorizationFailed).")
