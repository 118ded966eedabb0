# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "private_dns_zone_link"
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
OTHER_SUB = "/subscriptions/99999999-9999-9999-9999-999999999999"
NETWORK = "providers/Microsoft.Network"
NAME = "shop.private.postgres.database.azure.com"
ZONE = f"{OTHER_SUB}/resourceGroups/dns-rg/{NETWORK}/privateDnsZones/{NAME}"
SHOP = f"{SUB}/resourceGroups/shop-rg/{NETWORK}/virtualNetworks/shop-vnet"
HUB = f"{SUB}/resourceGroups/shop-rg/{NETWORK}/virtualNetworks/hub-vnet"
LINKS = f"{ZONE}/virtualNetworkLinks"
OURS = "pgflex-shop-vnet-38dcc603"
MADE = {"pgflex-made": "migrate"}
DNS = {"actions": ["Microsoft.Network/*"], "notActions": []}
READER = {"actions": ["*/read"], "notActions": []}
SERVER = f"{SUB}/resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-flex"


def link(network: str = SHOP, name: str = "somebodys", *, zone: str = ZONE, **more: Any) -> dict[str, Any]:
    tags = more.pop("tags", {})
    properties = {
        "virtualNetwork": {"id": network},
        "registrationEnabled": False,
        "virtualNetworkLinkState": "Completed",
        "provisioningState": "Succeeded",
        "resolutionPolicy": "NxDomainRedirect",
        **more,
    }
    return {"id": f"{zone}/virtualNetworkLinks/{name}", "name": name, "tags": tags, "properties": properties}


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def zone(resource_id: str, links: int = 0, registering: int = 0) -> dict[str, Any]:
    properties = {
        "numberOfVirtualNetworkLinks": links,
        "numberOfVirtualNetworkLinksWithRegistration": registering,
    }
    return {"id": resource_id, "name": resource_id.rsplit("/", 1)[-1], "properties": properties}


class Azure:
    """The script, in the words of a zone and its networks."""

    def __init__(self, arm: Any) -> None:
        self.arm = arm
        arm.any_order = True

    def links(self, *rows: dict[str, Any], of: str = ZONE) -> None:
        self.arm.expect("GET", f"{of}/virtualNetworkLinks", json={"value": list(rows)})

    def networks(self, *ids: str) -> None:
        for resource_id in ids:
            self.arm.expect("GET", resource_id, json={"id": resource_id, "name": "x", "properties": {}})

    def rights(self, *ids: str, at_zone: dict[str, Any] | None = None) -> None:
        for resource_id, permission in ((ZONE, at_zone or DNS), *((one, DNS) for one in ids)):
            path = resource_id.replace("Microsoft.Network/", "Microsoft.Network//")
            url = f"{path}/providers/Microsoft.Authorization/permissions"
            self.arm.expect("GET", url, json={"value": [permission]})

    def zones(self, *rows: dict[str, Any]) -> None:
        listed = {SUB: [row for row in rows if row["id"].startswith(SUB)], OTHER_SUB: [zone(ZONE, links=1)]}
        for subscription, found in listed.items():
            self.arm.expect("GET", f"{subscription}/{NETWORK}/privateDnsZones", json={"value": found})


@pytest.fixture
def azure(arm: Any) -> Azure:
    return Azure(arm)


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "zone_id": ZONE, "virtual_network_ids": [SHOP]}


def test_links_many_networks(run_module: Any, azure: Azure, args: Any) -> None:
    azure.links()
    azure.networks(SHOP, HUB)
    azure.rights(SHOP, HUB)
    azure.zones()
    sent = {
        "location": "global",
        "tags": {**MADE, "wave": "3"},
        "properties": {"virtualNetwork": {"id": SHOP}, "registrationEnabled": False},
    }
    answer = link(SHOP, OURS, tags=sent["tags"])
    azure.arm.expect("PUT", f"{LINKS}/{OURS}", status=201, json=answer, body=sent)
    hub = "pgflex-hub-vnet-e0eff49b"
    azure.arm.expect("PUT", f"{LINKS}/{hub}", status=201, json=link(HUB, hub, tags=sent["tags"]))
    result = run_module(MODULE, {**args, "virtual_network_ids": [SHOP, HUB], "tags": {"wave": 3}}, diff=True)
    assert result["changed"] and [row["name"] for row in result[MODULE]["links"]] == [OURS, hub]
    assert result[MODULE]["zone_id"] == ZONE and result["diff"]["before"] == {}
    assert result[MODULE]["links"][0] == {
        "id": f"{LINKS}/{OURS}",
        "name": OURS,
        "virtual_network_id": SHOP,
        "registration_enabled": False,
        "state": "Completed",
        "tags": sent["tags"],
    }


def test_a_link_of_any_name_counts(run_module: Any, azure: Azure, args: Any) -> None:
    azure.links(link(HUB, "another"), link(SHOP.upper()))
    result = run_module(MODULE, {**args, "virtual_network_ids": [SHOP, SHOP.lower().lstrip("/")]})
    assert not result["changed"] and azure.arm.writes == []
    assert [row["name"] for row in result[MODULE]["links"]] == ["somebodys"]


def test_a_link_is_changed_and_everything_else_stays(run_module: Any, azure: Azure, args: Any) -> None:
    azure.links(link(tags={"env": "production"}))
    azure.rights(SHOP)
    azure.zones()
    sent = {
        "virtualNetwork": {"id": SHOP},
        "registrationEnabled": True,
        "resolutionPolicy": "NxDomainRedirect",
    }
    answer = link(registrationEnabled=True, tags={"env": "production"})
    body = {"location": "global", "tags": {"env": "production"}, "properties": sent}
    azure.arm.expect("PUT", f"{LINKS}/somebodys", json=answer, body=body)
    result = run_module(MODULE, {**args, "registration_enabled": True})
    assert result["changed"] and result[MODULE]["links"][0]["registration_enabled"]


def test_check_mode_writes_nothing_and_foretells(run_module: Any, azure: Azure, args: Any) -> None:
    azure.links()
    azure.networks(SHOP)
    azure.rights(SHOP)
    azure.zones()
    result = run_module(MODULE, args, check_mode=True)
    assert result["changed"] and azure.arm.writes == [] and result[MODULE]["links"][0]["tags"] == MADE


def test_a_second_registration_is_found_before_any_write(run_module: Any, azure: Azure, args: Any) -> None:
    other = f"{SUB}/resourceGroups/shop-rg/{NETWORK}/privateDnsZones/machines.example"
    azure.links()
    azure.networks(SHOP)
    azure.rights(SHOP)
    azure.zones(zone(other, links=3, registering=1), zone(f"{other}.net", links=5))
    azure.links(link(zone=other, registrationEnabled=True), link(HUB, zone=other), of=other)
    result = run_module(MODULE, {**args, "registration_enabled": True})
    assert result.failed and result["failure"]["code"] == "SecondRegistration" and azure.arm.writes == []
    assert other in result["msg"]


def test_another_zone_of_the_same_name_is_found_before_any_write(run_module: Any, azure: Azure, args: Any) -> None:
    other = f"{SUB}/resourceGroups/shop-rg/{NETWORK}/privateDnsZones/{NAME}"
    azure.links()
    azure.networks(SHOP)
    azure.rights(SHOP)
    azure.zones(zone(other, links=1))
    azure.links(link(zone=other), of=other)
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == "OverlappingZones" and azure.arm.writes == []


def test_missing_rights_are_found_before_any_write(run_module: Any, azure: Azure, args: Any) -> None:
    azure.links()
    azure.networks(SHOP)
    azure.rights(SHOP, at_zone=READER)
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == "AuthorizationFailed" and azure.arm.writes == []
    assert f"Microsoft.Network/privateDnsZones/virtualNetworkLinks/write at {ZONE}" in result["msg"]


def test_a_network_that_is_not_there_is_found_before_any_write(run_module: Any, azure: Azure, args: Any) -> None:
    azure.links()
    azure.arm.expect("GET", SHOP, status=404, json=error("ResourceNotFound"))
    result = run_module(MODULE, args)
    assert result.failed and result["msg"].startswith("There is no virtual network shop-vnet in shop-rg")


def test_zones_that_may_not_be_listed_are_left_to_azure(run_module: Any, azure: Azure, args: Any) -> None:
    azure.links()
    azure.networks(SHOP)
    azure.rights(SHOP)
    for subscription in (SUB, OTHER_SUB):
        refused = error("AuthorizationFailed")
        azure.arm.expect("GET", f"{subscription}/{NETWORK}/privateDnsZones", status=403, json=refused)
    azure.arm.expect("PUT", f"{LINKS}/{OURS}", status=409, json=error("Conflict", "Only 1 zone"))
    result = run_module(MODULE, args)
    assert result.failed and "Only 1 zone (Conflict)" in result["msg"] and "registration_enabled" in result["msg"]


def test_finds_the_zone_of_a_server_in_a_network(run_module: Any, azure: Azure, sign_in: Any) -> None:
    properties = {"network": {"privateDnsZoneArmResourceId": ZONE}}
    azure.arm.expect("GET", SERVER, json={"id": SERVER, "name": "shop-flex", "properties": properties})
    azure.links(link())
    server = {"resource_group": "shop-rg", "name": "shop-flex"}
    result = run_module(MODULE, {**sign_in, "server": server, "virtual_network_ids": [SHOP]})
    assert not result["changed"] and result[MODULE]["zone_id"] == ZONE


def test_a_public_server_has_no_zone(run_module: Any, azure: Azure, sign_in: Any) -> None:
    found = {"id": SERVER, "name": "shop-flex", "properties": {"network": {"publicNetworkAccess": "Enabled"}}}
    for _once_for_its_endpoints in range(2):
        azure.arm.expect("GET", SERVER, json=found)
    server = {"resource_group": "shop-rg", "name": "shop-flex"}
    result = run_module(MODULE, {**sign_in, "server": server, "virtual_network_ids": [SHOP]})
    assert result.failed and result["failure"]["code"] == "NoPrivateDnsZone"


def test_removes_the_links_of_the_networks(run_module: Any, azure: Azure, args: Any) -> None:
    azure.links(link(), link(HUB, "stays"))
    azure.rights()
    azure.arm.expect("DELETE", f"{LINKS}/somebodys", status=200)
    result = run_module(MODULE, {**args, "state": "absent"})
    assert result["changed"] and result[MODULE] is None


@pytest.mark.parametrize("status", [200, 404])
def test_absent_without_a_link_changes_nothing(run_module: Any, azure: Azure, args: Any, status: int) -> None:
    azure.arm.expect("GET", LINKS, status=status, json={"value": []} if status == 200 else error("ResourceNotFound"))
    assert not run_module(MODULE, {**args, "state": "absent"})["changed"]


def test_no_such_zone(run_module: Any, azure: Azure, args: Any) -> None:
    azure.arm.expect("GET", LINKS, status=404, json=error("ResourceNotFound"))
    result = run_module(MODULE, args)
    assert result.failed and result["msg"].startswith(f"There is no private DNS zone {NAME} in dns-rg")


def test_forbidden(run_module: Any, azure: Azure, args: Any) -> None:
    azure.arm.expect("GET", LINKS, status=403, json=error("AuthorizationFailed", "The client may not"))
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["status"] == 403
    assert result["msg"].startswith(f"Failed to read the links of the zone of {ZONE}: The client may not")


def test_an_operation_that_does_not_end_in_time(run_module: Any, azure: Azure, args: Any) -> None:
    azure.links(link())
    azure.rights(SHOP)
    headers = {"Azure-AsyncOperation": f"https://management.azure.com{ZONE}/operations/1?api-version=1"}
    azure.arm.expect("PUT", f"{LINKS}/somebodys", status=202, headers=headers)
    azure.arm.fallback = (200, {"status": "InProgress"})
    result = run_module(MODULE, {**args, "tags": {"wave": "3"}, "wait_timeout": 0})
    assert result.failed and result["failure"]["code"] == "Timeout"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"zone_id": SHOP}, "zone_id is not the id of a Microsoft.Network/privateDnsZones"),
        ({"virtual_network_ids": [ZONE]}, "virtual_network_ids is not the id of a Microsoft.Network/virtualNetworks"),
        ({"virtual_network_ids": []}, "virtual_network_ids is empty"),
        ({"zone_id": None}, "one of the following is required: zone_id, server"),
        ({"server": {"resource_group": "a", "name": "b"}}, "mutually exclusive: zone_id|server"),
    ],
)
def test_wrong_input_sends_nothing(run_module: Any, arm: Any, args: Any, wrong: Any, sentence: str) -> None:
    result = run_module(MODULE, {key: value for key, value in {**args, **wrong}.items() if value is not None})
    assert result.failed and sentence in result["msg"] and arm.requests == []
