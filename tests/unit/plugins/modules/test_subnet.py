# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "subnet"
GROUP = "/subscriptions/99999999-9999-9999-9999-999999999999/resourceGroups/shop-rg/providers/Microsoft.Network"
VNET = f"{GROUP}/virtualNetworks/shop-vnet"
URL = f"{VNET}/subnets/migration"
FLEXIBLE = "Microsoft.DBforPostgreSQL/flexibleServers"
NSG = {"id": f"{GROUP}/networkSecurityGroups/shop-nsg"}


def subnet(name: str = "migration", prefix: str = "10.1.0.32/27", **more: Any) -> dict[str, Any]:
    properties = {"addressPrefix": prefix, "delegations": [], "provisioningState": "Succeeded", **more}
    return {"id": f"{VNET}/subnets/{name}", "name": name, "etag": 'W/"1"', "properties": properties}


def vnet(*subnets: dict[str, Any], space: str = "10.1.0.0/24") -> dict[str, Any]:
    properties = {"addressSpace": {"addressPrefixes": [space]}, "subnets": list(subnets)}
    return {"id": VNET, "name": "shop-vnet", "properties": properties}


def delegated(service: str = FLEXIBLE) -> dict[str, Any]:
    return {"name": "0", "id": "some", "properties": {"serviceName": service, "actions": ["join"]}}


def used(number: int) -> list[dict[str, str]]:
    return [{"id": f"nic{index}"} for index in range(number)]


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


FIRST = subnet("default", "10.1.0.0/27")


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "virtual_network_id": VNET, "name": "migration"}


def test_makes_it_in_the_next_free_block(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(FIRST))
    sent = {"addressPrefix": "10.1.0.32/27", "delegations": [], "serviceEndpoints": [{"service": "Microsoft.Sql"}]}
    answer = subnet(serviceEndpoints=[{"service": "Microsoft.Sql", "locations": ["*"]}])
    arm.expect("PUT", URL, status=201, json=answer, body={"properties": sent})
    result = run_module(MODULE, {**args, "service_endpoints": ["Microsoft.Sql"]}, diff=True)
    assert result["changed"]
    assert result[MODULE] == {
        "id": URL,
        "name": "migration",
        "address_prefix": "10.1.0.32/27",
        "delegations": [],
        "service_endpoints": ["Microsoft.Sql"],
        "free_addresses": 27,
        "network_security_group_id": None,
    }
    assert result["diff"] == {"before": {}, "after": result.visible(MODULE)}


def test_makes_it_where_it_is_asked_for(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(FIRST))
    sent = {
        "addressPrefix": "10.1.0.128/28",
        "delegations": [{"name": "flexibleServers", "properties": {"serviceName": FLEXIBLE}}],
        "serviceEndpoints": [],
    }
    answer = subnet(prefix="10.1.0.128/28", delegations=[delegated()])
    arm.expect("PUT", URL, status=201, json=answer, body={"properties": sent})
    result = run_module(MODULE, {**args, "address_prefix": "10.1.0.128/28", "delegation": FLEXIBLE})
    assert result[MODULE]["delegations"] == [FLEXIBLE]


def test_one_that_is_there_is_left_as_it_is(run_module: Any, arm: Any, args: Any) -> None:
    there = subnet("Migration", serviceEndpoints=[{"service": "microsoft.sql"}], ipConfigurations=used(3))
    arm.expect("GET", VNET, json=vnet(FIRST, there))
    wanted = {"service_endpoints": ["Microsoft.Sql"], "address_prefix": "10.1.0.32/27", "minimum_free_addresses": 24}
    result = run_module(MODULE, {**args, **wanted})
    assert not result["changed"] and arm.writes == [] and result[MODULE]["free_addresses"] == 24


def test_a_service_endpoint_is_added_and_everything_else_stays(run_module: Any, arm: Any, args: Any) -> None:
    kept = {
        "addressPrefix": "10.1.0.32/27",
        "networkSecurityGroup": NSG,
        "routeTable": {"id": "routes"},
        "natGateway": {"id": "nat"},
        "privateEndpointNetworkPolicies": "Enabled",
        "somethingNew": {"of": "tomorrow"},
        "delegations": [delegated()],
    }
    storage = {"service": "Microsoft.Storage", "locations": ["eastus"]}
    there = subnet(**kept, serviceEndpoints=[storage], ipConfigurations=used(1))
    arm.expect("GET", VNET, json=vnet(FIRST, there))
    sent = {**kept, "serviceEndpoints": [storage, {"service": "Microsoft.Sql"}]}
    answer = subnet(**sent)
    arm.expect("PUT", URL, json=answer, body={"properties": sent})
    result = run_module(MODULE, {**args, "service_endpoints": ["Microsoft.Sql"], "delegation": FLEXIBLE.lower()})
    assert result["changed"] and result[MODULE]["service_endpoints"] == ["Microsoft.Storage", "Microsoft.Sql"]
    assert result[MODULE]["network_security_group_id"] == NSG["id"]


def test_check_mode_writes_nothing_and_foretells(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(FIRST))
    result = run_module(MODULE, {**args, "prefix_length": 26}, check_mode=True)
    assert result["changed"] and arm.writes == [] and result[MODULE]["address_prefix"] == "10.1.0.64/26"


def test_another_host_takes_the_block_first(run_module: Any, arm: Any, args: Any) -> None:
    prefixes: list[Any] = []
    arm.expect("GET", VNET, json=vnet(FIRST))
    refused = error("NetcfgSubnetRangesOverlap")
    arm.expect("PUT", URL, status=400, json=refused, check=prefixes.append)
    arm.expect("GET", VNET, json=vnet(FIRST, subnet("others")))
    arm.expect("PUT", URL, status=409, json=error("AnotherOperationInProgress"))
    arm.expect("GET", VNET, json=vnet(FIRST, subnet("others")))
    answer = subnet(prefix="10.1.0.64/27")
    arm.expect("PUT", URL, status=201, json=answer, check=prefixes.append)
    result = run_module(MODULE, args)
    assert result["changed"] and result[MODULE]["address_prefix"] == "10.1.0.64/27"
    assert [sent["properties"]["addressPrefix"] for sent in prefixes] == ["10.1.0.32/27", "10.1.0.64/27"]


def test_another_host_makes_the_very_subnet(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(FIRST))
    arm.expect("PUT", URL, status=409, json=error("AnotherOperationInProgress"))
    arm.expect("GET", VNET, json=vnet(FIRST, subnet(prefix="10.1.0.96/27")))
    result = run_module(MODULE, args)
    assert result["changed"] and result[MODULE]["address_prefix"] == "10.1.0.96/27" and len(arm.writes) == 1


@pytest.mark.parametrize(
    ("there", "more", "code"),
    [
        (subnet(), {"address_prefix": "10.1.0.64/27"}, "ImmutableOption"),
        (subnet(delegations=[delegated()]), {}, "SubnetDelegated"),
        (subnet(delegations=[delegated("Microsoft.Web/serverFarms")]), {"delegation": FLEXIBLE}, "SubnetDelegated"),
        (subnet(ipConfigurations=used(2)), {"delegation": FLEXIBLE}, "SubnetInUse"),
        (subnet(ipConfigurations=used(20)), {"minimum_free_addresses": 8}, "SubnetTooSmall"),
        (FIRST, {"minimum_free_addresses": 28}, "SubnetTooSmall"),
        (FIRST, {"address_prefix": "10.1.0.16/28"}, "NetcfgSubnetRangesOverlap"),
        (FIRST, {"address_prefix": "10.2.0.0/27"}, "NetcfgSubnetRangeOutsideVnet"),
        (FIRST, {"address_prefix": "10.1.0.33/27"}, "InvalidAddressPrefix"),
        (subnet("all", "10.1.0.0/24"), {}, "AddressSpaceFull"),
        (FIRST, {"prefix_length": 30}, "InvalidPrefixLength"),
    ],
)
def test_what_can_not_be_is_refused_before_any_write(
    run_module: Any, arm: Any, args: Any, there: Any, more: Any, code: str
) -> None:
    arm.expect("GET", VNET, json=vnet(there))
    result = run_module(MODULE, {**args, **more})
    assert result.failed and result["failure"]["code"] == code and arm.writes == []


def test_an_empty_subnet_is_delegated(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(subnet(networkSecurityGroup=NSG)))
    delegation = {"name": "flexibleServers", "properties": {"serviceName": FLEXIBLE}}
    sent = {"addressPrefix": "10.1.0.32/27", "networkSecurityGroup": NSG, "serviceEndpoints": []}
    answer = subnet(delegations=[delegated()], networkSecurityGroup=NSG)
    arm.expect("PUT", URL, json=answer, body={"properties": {**sent, "delegations": [delegation]}})
    assert run_module(MODULE, {**args, "delegation": FLEXIBLE})["changed"]


def test_several_prefixes_of_one_subnet(run_module: Any, arm: Any, args: Any) -> None:
    there = subnet(addressPrefix=None, addressPrefixes=["fd00:1::/64", "10.1.0.32/27"])
    arm.expect("GET", VNET, json=vnet(there))
    result = run_module(MODULE, {**args, "address_prefix": "10.1.0.32/27"})
    assert not result["changed"]
    assert result[MODULE]["address_prefix"] == "10.1.0.32/27" and result[MODULE]["free_addresses"] == 27


def test_removes_it(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(subnet(delegations=[delegated()])))
    arm.expect("DELETE", URL, status=200)
    result = run_module(MODULE, {**args, "state": "absent"})
    assert result["changed"] and result[MODULE] is None


def test_absent_without_a_subnet_changes_nothing(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(FIRST))
    assert not run_module(MODULE, {**args, "state": "absent"})["changed"]


def test_absent_without_a_network_changes_nothing(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, status=404, json=error("ResourceGroupNotFound"))
    assert not run_module(MODULE, {**args, "state": "absent"})["changed"]


def test_a_subnet_in_use_is_not_removed(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(subnet(ipConfigurations=used(1))))
    arm.expect("DELETE", URL, status=400, json=error("InUseSubnetCannotBeDeleted", "It is in use"))
    result = run_module(MODULE, {**args, "state": "absent"})
    assert result.failed and result["failure"]["hint"] == "Delete what is in the subnet first."


def test_a_subnet_that_a_deleted_server_still_holds_is_tried_again(run_module: Any, arm: Any, args: Any) -> None:
    there = subnet(delegations=[delegated()], serviceAssociationLinks=[{"id": f"{URL}/serviceAssociationLinks/gone"}])
    arm.expect("GET", VNET, json=vnet(there))
    for _try in range(2):
        arm.expect("DELETE", URL, status=400, json=error("InUseSubnetCannotBeDeleted", "It is in use"))
    arm.expect("DELETE", URL, status=200)
    assert run_module(MODULE, {**args, "state": "absent"})["changed"]


def test_a_subnet_that_is_held_for_too_long_is_told(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(subnet(delegations=[delegated()])))
    arm.expect("DELETE", URL, status=400, json=error("InUseSubnetCannotBeDeleted", "It is in use by gone"))
    result = run_module(MODULE, {**args, "state": "absent", "wait_timeout": 0})
    assert result.failed and result["failure"]["hint"] == "Delete what is in the subnet first."
    assert "It is in use by gone (InUseSubnetCannotBeDeleted)" in result["msg"]


def test_no_such_network(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, status=404, json=error("ResourceNotFound"))
    result = run_module(MODULE, args)
    assert result.failed and result["msg"].startswith("There is no virtual network shop-vnet in shop-rg")


def test_no_such_subscription_is_never_taken_for_absence(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, status=404, json=error("SubscriptionNotFound"))
    result = run_module(MODULE, {**args, "state": "absent"})
    assert result.failed and result["failure"]["code"] == "SubscriptionNotFound"


def test_forbidden(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(FIRST))
    arm.expect("PUT", URL, status=403, json=error("AuthorizationFailed", "The client may not"))
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["status"] == 403
    assert result["msg"].startswith("Failed to create the subnet migration of shop-vnet in shop-rg: The client may not")


def test_a_write_that_does_not_end_in_time(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(FIRST))
    operation = "https://management.azure.com/subscriptions/s/providers/Microsoft.Network/locations/eastus/operations/1"
    headers = {"Azure-AsyncOperation": operation}
    answer = subnet(provisioningState="Updating")
    arm.expect("PUT", URL, status=201, json=answer, headers=headers)
    arm.fallback = (200, {"status": "InProgress"})
    result = run_module(MODULE, {**args, "wait_timeout": 0})
    assert result.failed and result["failure"]["code"] == "Timeout"


def test_does_not_wait_when_told_so(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", VNET, json=vnet(FIRST))
    arm.expect("PUT", URL, status=201, json=subnet())
    assert run_module(MODULE, {**args, "wait": False})[MODULE]["address_prefix"] == "10.1.0.32/27"
