# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "resource_tags"
SERVER = (
    "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg"
    "/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-flex"
)
URL = f"{SERVER}/providers/Microsoft.Resources/tags/default"


def answer(**tags: str) -> dict[str, Any]:
    return {"id": URL, "name": "default", "type": "Microsoft.Resources/tags", "properties": {"tags": tags}}


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "resource_id": SERVER, "tags": {"wave": 3}}


def test_merges(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=answer(env="production"))
    arm.expect(
        "PATCH",
        URL,
        json=answer(env="production", wave="3"),
        body={"operation": "Merge", "properties": {"tags": {"wave": "3"}}},
    )
    result = run_module(MODULE, args, diff=True)
    assert result["changed"]
    assert result["resource_tags"] == {"env": "production", "wave": "3"}
    assert result["diff"] == {"before": {"env": "production"}, "after": result["resource_tags"]}


def test_changes_nothing_when_all_are_there(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=answer(env="production", wave="3"))
    assert not run_module(MODULE, args)["changed"] and arm.writes == []


def test_names_have_no_case(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=answer(Wave="3"))
    assert not run_module(MODULE, args)["changed"]


def test_check_mode_writes_nothing(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=answer(wave="2"))
    result = run_module(MODULE, args, check_mode=True)
    assert result["changed"] and arm.writes == [] and result["resource_tags"] == {"wave": "3"}


def test_takes_away_only_what_is_named(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=answer(env="production", Wave="2"))
    arm.expect(
        "PATCH",
        URL,
        json=answer(env="production"),
        body={"operation": "Delete", "properties": {"tags": {"Wave": "2"}}},
    )
    result = run_module(MODULE, {**args, "state": "absent"})
    assert result["changed"] and result["resource_tags"] == {"env": "production"}


def test_nothing_to_take_away(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=answer(env="production"))
    assert not run_module(MODULE, {**args, "state": "absent"})["changed"]


def test_a_resource_that_is_not_there(run_module: Any, arm: Any, args: Any) -> None:
    gone = {"error": {"code": "ResourceNotFound", "message": "The Resource was not found."}}
    arm.expect("GET", URL, status=404, json=gone)
    result = run_module(MODULE, args)
    assert result.failed
    assert result["msg"].startswith(
        f"Failed to read the tags of {SERVER}: The Resource was not found (ResourceNotFound)."
    )


def test_missing_rights(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=answer())
    arm.expect("PATCH", URL, status=403, json={"error": {"code": "AuthorizationFailed", "message": "You may not."}})
    assert run_module(MODULE, args)["failure"]["code"] == "AuthorizationFailed"


def test_a_long_operation_that_does_not_end(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=answer())
    later = "https://management.azure.com/subscriptions/11111111-1111-1111-1111-111111111111/operations/1?api-version=1"
    arm.expect("PATCH", URL, status=202, headers={"Location": later, "Retry-After": "1"})
    arm.fail_everything(status=202)
    result = run_module(MODULE, {**args, "wait_timeout": 0})
    assert result.failed and result["failure"]["code"] == "Timeout"


OTHER = SERVER.replace("flexibleServers/shop-flex", "servers/shop-old")


def test_copies_tags_of_another_resource_but_not_our_own(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=answer(env="production"))
    theirs = {"Wave": "2", "owner": "ann", "pgflex-validated-x": "1", "hidden-title": "t"}
    arm.expect("GET", URL.replace(SERVER, OTHER), json=answer(**theirs))
    merged = {"operation": "Merge", "properties": {"tags": {"wave": "3", "owner": "ann"}}}
    arm.expect("PATCH", URL, json=answer(env="production", wave="3", owner="ann"), body=merged)
    result = run_module(MODULE, {**args, "copy_from": OTHER})
    assert result["changed"] and result["resource_tags"] == {"env": "production", "wave": "3", "owner": "ann"}


def test_copied_tags_that_are_there_change_nothing(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=answer(env="production", owner="ann"))
    arm.expect("GET", URL.replace(SERVER, OTHER), json=answer(Owner="ann"))
    result = run_module(MODULE, {**args, "tags": None, "copy_from": OTHER})
    assert not result["changed"] and arm.writes == []


def test_tags_can_not_be_copied_away(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", URL, json=answer(env="production"))
    result = run_module(MODULE, {**args, "copy_from": OTHER, "state": "absent"})
    assert result.failed and "copy_from can not be used with the state absent" in result["msg"]
