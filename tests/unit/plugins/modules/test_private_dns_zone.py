# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "private_dns_zone"
GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg"
NAME = "shop.private.postgres.database.azure.com"
URL = f"{GROUP}/providers/Microsoft.Network/privateDnsZones/{NAME}"
OPERATION = f"{GROUP}/providers/Microsoft.Network/privateDnsOperationStatuses/1"


def zone(links: int = 0, **tags: str) -> dict[str, Any]:
    properties = {"numberOfRecordSets": 1, "numberOfVirtualNetworkLinks": links, "provisioningState": "Succeeded"}
    return {"id": URL, "name": NAME, "location": "global", "tags": tags, "properties": properties}


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def absent(arm: Any) -> None:
    arm.expect("GET", URL, status=404, json=error("ResourceNotFound"))


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "resource_group": "shop-rg", "name": NAME}


def begun(arm: Any, method: str, **more: Any) -> None:
    headers = {"Azure-AsyncOperation": f"https://management.azure.com{OPERATION}?api-version=1"}
    arm.expect(method, URL, status=202, headers=headers, **more)


def test_makes_it(run_module: Any, arm: Any, args: Any) -> None:
    absent(arm)
    begun(arm, "PUT", body={"location": "global", "tags": {"wave": "3"}})
    arm.expect("GET", OPERATION, json={"status": "InProgress"})
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    arm.expect("GET", URL, json=zone(wave="3"))
    result = run_module(MODULE, {**args, "tags": {"wave": 3}}, diff=True)
    assert result["changed"] and result[MODULE]["id"] == URL and result[MODULE]["tags"] == {"wave": "3"}
    assert result["diff"] == {"before": {}, "after": result[MODULE]}


def test_one_that_is_there_is_left_alone(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=zone(links=2, env="production"))
    result = run_module(MODULE, args)
    assert not result["changed"] and arm.writes == [] and result[MODULE]["virtual_network_links"] == 2


def test_tags_are_added(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=zone(env="production"))
    arm.expect(
        "PUT",
        URL,
        json=zone(env="production", wave="3"),
        body={"location": "global", "tags": {"env": "production", "wave": "3"}},
    )
    assert run_module(MODULE, {**args, "tags": {"wave": "3"}})["changed"]


def test_check_mode_foretells_what_is_made(run_module: Any, arm: Any, args: Any) -> None:
    absent(arm)
    foretold = run_module(MODULE, args, check_mode=True)
    assert foretold["changed"] and arm.writes == []
    absent(arm)
    arm.expect("PUT", URL, status=200, json=zone())
    assert run_module(MODULE, args)[MODULE] == foretold[MODULE]


def test_deletes_it(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=zone())
    begun(arm, "DELETE")
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    result = run_module(MODULE, {**args, "state": "absent"})
    assert result["changed"] and result[MODULE] is None


def test_absent_without_a_zone_changes_nothing(run_module: Any, arm: Any, args: Any) -> None:
    absent(arm)
    assert not run_module(MODULE, {**args, "state": "absent"})["changed"]


def test_a_linked_zone_is_not_deleted(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=zone(links=2))
    result = run_module(MODULE, {**args, "state": "absent"})
    assert result.failed and result["failure"]["code"] == "ZoneIsLinked" and arm.writes == []
    assert "2 virtual networks" in result["msg"]


def test_no_such_group(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, status=404, json=error("ResourceGroupNotFound"))
    arm.expect("PUT", URL, status=404, json=error("ResourceGroupNotFound", "There is no such group"))
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == "ResourceGroupNotFound"
    assert result["msg"].startswith(f"Failed to write the private DNS zone {NAME} in shop-rg: There is no such group")


def test_forbidden(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, status=403, json=error("AuthorizationFailed", "The client may not"))
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["status"] == 403
    assert result["msg"].startswith(f"Failed to read the private DNS zone {NAME} in shop-rg: The client may not")


def test_an_operation_that_does_not_end_in_time(run_module: Any, arm: Any, args: Any) -> None:
    absent(arm)
    begun(arm, "PUT")
    arm.fallback = (200, {"status": "InProgress"})
    result = run_module(MODULE, {**args, "wait_timeout": 0})
    assert result.failed and result["failure"]["code"] == "Timeout" and "run again" in result["msg"]


def test_does_not_wait_when_told_so(run_module: Any, arm: Any, args: Any) -> None:
    absent(arm)
    begun(arm, "PUT")
    assert run_module(MODULE, {**args, "wait": False})[MODULE]["name"] == NAME
