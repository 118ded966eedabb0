# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from typing import Any

import pytest

MODULE = "virtual_network_peering"
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
OTHER_SUB = "/subscriptions/99999999-9999-9999-9999-999999999999"
SHOP = f"{SUB}/resourceGroups/shop-rg/providers/Microsoft.Network/virtualNetworks/shop-vnet"
HUB = f"{OTHER_SUB}/resourceGroups/hub-rg/providers/Microsoft.Network/virtualNetworks/hub-vnet"
FLAGS = ("allowVirtualNetworkAccess", "allowForwardedTraffic", "allowGatewayTransit", "useRemoteGateways")
NEW = dict(zip(FLAGS, (True, False, False, False), strict=True))
CONTRIBUTOR = {"actions": ["Microsoft.Network/*"], "notActions": []}
READER = {"actions": ["*/read"], "notActions": []}
# sha256 of the other network's id: a name that changes would make every second run refer to nothing.
TO_HUB, TO_SHOP = "pgflex-hub-vnet-1b117ade", "pgflex-shop-vnet-38dcc603"


def peering(network: str, remote: str, name: str, state: str = "Connected", **more: Any) -> dict[str, Any]:
    level = "RemoteNotInSync" if state == "Initiated" else "FullyInSync"
    properties = {
        **NEW,
        "remoteVirtualNetwork": {"id": remote},
        "peeringState": state,
        "peeringSyncLevel": level,
        "provisioningState": "Succeeded",
        "remoteAddressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
        "doNotVerifyRemoteGateways": True,
        **more,
    }
    return {"id": f"{network}/virtualNetworkPeerings/{name}", "name": name, "properties": properties}


def network(resource_id: str, space: str, *peerings: dict[str, Any]) -> dict[str, Any]:
    properties = {"addressSpace": {"addressPrefixes": [space]}, "virtualNetworkPeerings": list(peerings)}
    return {"id": resource_id, "name": resource_id.rsplit("/", 1)[-1], "properties": properties}


def there(state: str = "Connected", name: str = "to-hub", **more: Any) -> dict[str, Any]:
    return peering(SHOP, HUB, name, state, **more)


def back(state: str = "Connected", name: str = "to-shop", **more: Any) -> dict[str, Any]:
    return peering(HUB, SHOP, name, state, **more)


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


class Azure:
    """The script, in the words of two networks."""

    def __init__(self, arm: Any) -> None:
        self.arm = arm
        arm.any_order = True

    def networks(self, one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
        self.arm.expect("GET", SHOP, json=network(SHOP, "10.1.0.0/16", *one))
        self.arm.expect("GET", HUB, json=network(HUB, "10.2.0.0/16", *other))

    def rights(self, shop: dict[str, Any] | None = None, hub: dict[str, Any] | None = None) -> None:
        for resource_id, permission in ((SHOP, shop), (HUB, hub)):
            path = resource_id.replace("Microsoft.Network/", "Microsoft.Network//")
            url = f"{path}/providers/Microsoft.Authorization/permissions"
            self.arm.expect("GET", url, json={"value": [permission or CONTRIBUTOR]})

    def put(self, answer: dict[str, Any], **expected: Any) -> None:
        self.arm.expect("PUT", answer["id"], json=answer, **expected)


@pytest.fixture
def azure(arm: Any) -> Azure:
    return Azure(arm)


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "virtual_network_id": SHOP, "remote_virtual_network_id": HUB}


def rows(result: Any) -> list[tuple[str, str]]:
    return [(row["name"], row["peering_state"]) for row in result[MODULE]["peerings"]]


def test_makes_both_sides(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([], [])
    azure.rights()
    azure.put(there("Initiated", TO_HUB), status=201, body={"properties": {**NEW, "remoteVirtualNetwork": {"id": HUB}}})
    azure.put(back(name=TO_SHOP), status=201, body={"properties": {**NEW, "remoteVirtualNetwork": {"id": SHOP}}})
    azure.networks([there("Initiated", TO_HUB)], [back("Initiated", TO_SHOP)])
    azure.networks([there(name=TO_HUB)], [back(name=TO_SHOP)])
    result = run_module(MODULE, args, diff=True)
    assert result["changed"] and rows(result) == [(TO_HUB, "Connected"), (TO_SHOP, "Connected")]
    assert result["diff"] == {"before": {}, "after": result[MODULE]}


def test_a_peering_of_any_name_counts(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([there(name="somebodys")], [back(name="elses")])
    result = run_module(MODULE, {**args, "name": "mine", "virtual_network_id": SHOP.upper().lstrip("/")})
    assert not result["changed"] and azure.arm.writes == []
    assert rows(result) == [("somebodys", "Connected"), ("elses", "Connected")]


def test_only_the_missing_side_is_made(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([there("Initiated")], [])
    azure.rights()
    azure.put(back(), status=201)
    azure.networks([there()], [back()])
    result = run_module(MODULE, {**args, "remote_name": "to-shop"})
    assert result["changed"] and [request.path for request in azure.arm.writes] == [back()["id"]]


def test_a_flag_is_changed_and_everything_else_stays(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([there(allowGatewayTransit=True)], [back()])
    azure.rights()
    sent = {**NEW, "allowGatewayTransit": True, "allowForwardedTraffic": True, "doNotVerifyRemoteGateways": True}
    answer = there(allowGatewayTransit=True, allowForwardedTraffic=True)
    azure.put(answer, body={"properties": {**sent, "remoteVirtualNetwork": {"id": HUB}}})
    azure.networks([answer], [back()])
    result = run_module(MODULE, {**args, "allow_forwarded_traffic": True}, diff=True)
    assert result["changed"] and result[MODULE]["peerings"][0]["allow_gateway_transit"]
    assert not result["diff"]["before"]["peerings"][0]["allow_forwarded_traffic"]


def test_a_gateway_is_lent_before_it_is_used(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([], [])
    azure.rights()
    lent, used = back(allowGatewayTransit=True), there(useRemoteGateways=True)
    azure.put(lent)
    azure.put(used)
    azure.networks([used], [lent])
    names = {"name": "to-hub", "remote_name": "to-shop"}
    run_module(MODULE, {**args, **names, "use_remote_gateways": True, "remote_allow_gateway_transit": True})
    assert [request.path for request in azure.arm.writes] == [lent["id"], used["id"]]


def test_a_disconnected_side_is_made_again_with_its_flags(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([there("Disconnected", allowForwardedTraffic=True)], [])
    azure.rights()
    azure.arm.expect("DELETE", there()["id"], status=200)
    sent = {**NEW, "allowForwardedTraffic": True, "doNotVerifyRemoteGateways": True}
    azure.put(there("Initiated"), status=201, body={"properties": {**sent, "remoteVirtualNetwork": {"id": HUB}}})
    azure.put(back(), status=201)
    azure.networks([there(allowForwardedTraffic=True)], [back()])
    result = run_module(MODULE, {**args, "remote_name": "to-shop"})
    assert result["changed"] and [request.method for request in azure.arm.writes] == ["DELETE", "PUT", "PUT"]


def test_a_changed_address_space_is_taken_over(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([there(peeringSyncLevel="LocalNotInSync")], [back()])
    azure.rights()
    azure.put(there(), query={"syncRemoteAddressSpace": "true"})
    azure.networks([there()], [back()])
    assert run_module(MODULE, args)["changed"]


def test_overlapping_address_spaces_are_refused_before_any_write(run_module: Any, azure: Azure, args: Any) -> None:
    azure.arm.expect("GET", SHOP, json=network(SHOP, "10.1.0.0/16"))
    azure.arm.expect("GET", HUB, json=network(HUB, "10.1.128.0/20"))
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == "VnetAddressSpacesOverlap"
    assert "10.1.0.0/16 and 10.1.128.0/20" in result["msg"] and azure.arm.writes == []


@pytest.mark.parametrize("known", ["remoteAddressSpace", "remoteVirtualNetworkAddressSpace"])
def test_a_network_that_overlaps_a_peer_is_refused_before_any_write(
    run_module: Any, azure: Azure, args: Any, known: str
) -> None:
    spoke = peering(HUB, f"{SHOP}-2", "to-spoke", **{known: {"addressPrefixes": ["10.1.64.0/20"]}})
    azure.networks([], [spoke])
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet"
    assert "10.1.0.0/16 of the latter and 10.1.64.0/20 of" in result["msg"] and azure.arm.writes == []


def test_missing_rights_on_one_side_are_found_before_any_write(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([], [])
    azure.rights(hub=READER)
    result = run_module(MODULE, args, check_mode=True)
    assert result.failed and result["failure"]["code"] == "AuthorizationFailed" and azure.arm.writes == []
    for action in ("virtualNetworkPeerings/write", "peer/action"):
        assert re.search(rf"Microsoft.Network/virtualNetworks/{action} at {HUB}", result["msg"])
    assert SHOP not in result["msg"]


def test_check_mode_writes_nothing_and_foretells(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([], [])
    azure.rights()
    result = run_module(MODULE, args, check_mode=True, diff=True)
    assert result["changed"] and azure.arm.writes == []
    assert rows(result) == [(TO_HUB, "Connected"), (TO_SHOP, "Connected")]


def test_another_operation_is_waited_out(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([], [back("Initiated")])
    azure.rights()
    busy = there(name=TO_HUB)["id"]
    azure.arm.expect("PUT", busy, status=409, json=error("AnotherOperationInProgress"))
    azure.arm.expect("PUT", busy, status=429, json=error("AnotherOperationInProgress"))
    azure.put(there(name=TO_HUB), status=201)
    azure.networks([there(name=TO_HUB)], [back()])
    assert run_module(MODULE, args)["changed"]


def test_a_side_that_never_connects_is_a_clear_failure(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([], [back("Initiated")])
    azure.rights()
    azure.put(there("Initiated", TO_HUB), status=201)
    azure.networks([there("Initiated", TO_HUB)], [back("Initiated")])
    result = run_module(MODULE, {**args, "wait_timeout": 0})
    assert result.failed and result["failure"]["code"] == "Timeout"
    assert "last state Initiated and Initiated" in result["msg"]


def test_does_not_wait_when_told_so(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([], [])
    azure.rights()
    azure.put(there("Initiated", TO_HUB), status=201)
    azure.put(back("Initiated", TO_SHOP), status=201)
    assert run_module(MODULE, {**args, "wait": False})["changed"]


def test_removes_what_is_between_the_two(run_module: Any, azure: Azure, args: Any) -> None:
    elsewhere = peering(SHOP, SHOP.replace("shop-vnet", "third-vnet"), "to-third")
    azure.networks([elsewhere, there()], [back()])
    azure.rights()
    azure.arm.expect("DELETE", there()["id"], status=200)
    azure.arm.expect("DELETE", back()["id"], status=204)
    result = run_module(MODULE, {**args, "state": "absent"})
    assert result["changed"] and result[MODULE] is None


def test_removes_only_the_side_that_is_named(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([there()], [back()])
    path = SHOP.replace("Microsoft.Network/", "Microsoft.Network//")
    azure.arm.expect("GET", f"{path}/providers/Microsoft.Authorization/permissions", json={"value": [CONTRIBUTOR]})
    azure.arm.expect("DELETE", there()["id"], status=200)
    run_module(MODULE, {**args, "state": "absent", "name": "TO-hub", "remote_name": "pgflex-other"})


def test_absent_without_a_network_changes_nothing(run_module: Any, azure: Azure, args: Any) -> None:
    azure.arm.expect("GET", SHOP, json=network(SHOP, "10.1.0.0/16"))
    azure.arm.expect("GET", HUB, status=404, json=error("ResourceNotFound"))
    assert not run_module(MODULE, {**args, "state": "absent"})["changed"]


def test_a_network_that_is_not_there_is_named_with_its_option(run_module: Any, azure: Azure, args: Any) -> None:
    azure.arm.expect("GET", SHOP, json=network(SHOP, "10.1.0.0/16"))
    azure.arm.expect("GET", HUB, status=404, json=error("ResourceNotFound"))
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["status"] == 404
    assert result["msg"].startswith("There is no virtual network hub-vnet in hub-rg (subscription 99999999-")
    assert "remote_virtual_network_id" in result["msg"]


def test_forbidden_names_the_network(run_module: Any, azure: Azure, args: Any) -> None:
    azure.arm.expect("GET", SHOP, json=network(SHOP, "10.1.0.0/16"))
    azure.arm.expect("GET", HUB, status=403, json=error("AuthorizationFailed", "The client may not"))
    result = run_module(MODULE, args)
    assert result.failed and result["msg"].startswith("Failed to read the virtual network hub-vnet in hub-rg: ")


def test_a_taken_name_is_refused(run_module: Any, azure: Azure, args: Any) -> None:
    azure.networks([peering(SHOP, SHOP.replace("shop-vnet", "third-vnet"), "To-Hub")], [])
    result = run_module(MODULE, {**args, "name": "to-hub"})
    assert result.failed and result["failure"]["code"] == "NameTaken" and "third-vnet" in result["msg"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"remote_virtual_network_id": SHOP.upper()}, "name the same network"),
        ({"virtual_network_id": "shop-vnet"}, "virtual_network_id is not the id of an Azure resource"),
        (
            {"virtual_network_id": f"{SHOP}/subnets/a"},
            "virtual_network_id is not the id of a Microsoft.Network/virtual",
        ),
    ],
)
def test_wrong_ids_send_nothing(run_module: Any, arm: Any, args: Any, wrong: Any, sentence: str) -> None:
    result = run_module(MODULE, {**args, **wrong})
    assert result.failed and sentence in result["msg"] and arm.requests == []
