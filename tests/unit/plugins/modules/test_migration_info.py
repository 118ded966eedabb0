# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "migration_info"


@pytest.fixture
def args(target: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in target.items() if name != "name"}


def generation(service: Any) -> dict[str, str]:
    return {"generation": "classic" if service.classic else "current"}


def test_one_migration_comes_with_all_its_counters(run_module: Any, service: Any, target: Any) -> None:
    shop = service.database("shop", "InProgress", fullLoadCompletedTables=7, fullLoadLoadingTables=2, latency=4)
    row = service.migration("InProgress", "MigratingData", databases=[shop], tags={"team": "shop"})
    service.expect_get(row)
    result = run_module(MODULE, {**target, **generation(service)})
    assert not result["changed"]
    (found,) = result["migrations"]
    assert (found["name"], found["state"], found["substate"]) == ("shop-1", "InProgress", "MigratingData")
    assert found["dbs_to_migrate"] == ["shop", "stock"] and found["tags"] == {"team": "shop"}
    (database,) = found["databases"]
    assert (database["name"], database["state"], database["latency"]) == ("shop", "InProgress", 4)
    assert (database["tables_completed"], database["tables_loading"], database["tables_queued"]) == (7, 2, 0)


def test_a_name_that_is_not_there_gives_an_empty_list(run_module: Any, service: Any, target: Any) -> None:
    service.expect_get(None)
    assert run_module(MODULE, {**target, **generation(service)})["migrations"] == []


@pytest.mark.parametrize(("which", "asked"), [({"which": "active"}, "Active"), ({"which": "all"}, "All"), ({}, "All")])
def test_lists_what_is_asked_for(run_module: Any, current: Any, args: Any, which: dict[str, str], asked: str) -> None:
    rows = [current.migration("Failed", name="shop-0"), current.migration("InProgress", "MigratingData")]
    current.expect_list(asked, *rows)
    result = run_module(MODULE, {**args, **which})
    assert [(row["name"], row["state"]) for row in result["migrations"]] == [
        ("shop-0", "Failed"),
        ("shop-1", "InProgress"),
    ]


def test_a_list_of_either_generation_keeps_every_property(run_module: Any, service: Any, args: Any) -> None:
    """The SDK's models do not know the classic spelling; nothing may be lost on the way through them."""
    key = "overwriteDBsInTarget" if service.classic else "overwriteDbsInTarget"
    row = service.migration("InProgress", "MigratingData", **{key: True if service.classic else "True"})
    service.expect_list("All", row)
    (found,) = run_module(MODULE, {**args, **generation(service)})["migrations"]
    assert found["dbs_to_migrate"] == ["shop", "stock"] and found["overwrite_dbs_in_target"] is True
    assert found["source_db_server_resource_id"].endswith("/servers/shop-single")
    assert found["substate"] == "MigratingData"


def test_further_pages_are_read(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    first = {"value": [current.migration(name="shop-0")]}
    address = f"{current.url('')}".rstrip("/")
    following = f"https://management.azure.com{address}?api-version={current.api_version}&$skipToken=2"
    arm.expect("GET", address, json={**first, "nextLink": following})
    arm.expect("GET", address, query={"$skipToken": "2"}, json={"value": [current.migration(name="shop-1")]})
    assert [row["name"] for row in run_module(MODULE, args)["migrations"]] == ["shop-0", "shop-1"]


def test_details_read_each_of_the_list(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    arm.any_order = True
    current.expect_list("Active", *(current.migration(name=name) for name in ("shop-0", "shop-1", "shop-2")))
    for name in ("shop-0", "shop-2"):
        current.expect_get(current.migration(name=name, databases=[current.database()]), name=name)
    # It ended and was deleted in between.
    current.expect_get(None, name="shop-1")
    result = run_module(MODULE, {**args, "which": "active", "details": True})
    assert [(row["name"], len(row["databases"])) for row in result["migrations"]] == [("shop-0", 1), ("shop-2", 1)]


def test_many_servers_are_asked_with_one_request_each(
    run_module: Any, arm: Any, current: Any, sign_in: dict[str, str]
) -> None:
    arm.any_order = True
    current.expect_list("Active", current.migration("InProgress", "MigratingData"))
    address = current.url("").rstrip("/")
    for name, status, code in (("gone-flex", 404, "ResourceNotFound"), ("other-flex", 403, "AuthorizationFailed")):
        there = address.replace("shop-flex", name)
        arm.expect("GET", there, status=status, json={"error": {"code": code, "message": "It is refused."}})
    names = ("shop-flex", "gone-flex", "other-flex")
    servers = [{"label": name[:-5], "resource_group": "shop-rg", "server_name": name} for name in names]
    rows = run_module(MODULE, {**sign_in, "servers": servers, "which": "active"})["migrations"]
    assert [(row["label"], row["name"], row["state"]) for row in rows] == [
        ("shop", "shop-1", "InProgress"),
        ("other", None, "Unknown"),
    ]
    assert rows[1]["error"].startswith("Failed to read the migrations of other-flex in shop-rg: It is refused")


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"servers": [], "server_name": "a", "resource_group": "b"},
        {"server_name": "a"},
        {"servers": [], "name": "a"},
    ],
)
def test_one_server_or_many(run_module: Any, arm: Any, sign_in: dict[str, str], more: dict[str, Any]) -> None:
    assert run_module(MODULE, {**sign_in, **more}).failed and arm.requests == []


def test_an_empty_list_is_no_failure(run_module: Any, current: Any, args: Any) -> None:
    current.expect_list("All")
    result = run_module(MODULE, {**args, "details": True})
    assert result["migrations"] == [] and not result["changed"]


def test_check_mode_reads_as_always(run_module: Any, arm: Any, current: Any, target: Any) -> None:
    current.expect_get(current.migration())
    result = run_module(MODULE, target, check_mode=True, diff=True)
    assert len(result["migrations"]) == 1 and arm.writes == [] and "diff" not in result


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (403, "AuthorizationFailed", "Give the signed-in identity a role"),
        (404, "ResourceNotFound", "server_name"),
        (404, "ResourceGroupNotFound", "resource_group"),
    ],
)
def test_a_refused_list_is_one_sentence(
    run_module: Any, arm: Any, current: Any, args: Any, status: int, code: str, hint: str
) -> None:
    address = current.url("").rstrip("/")
    arm.expect("GET", address, status=status, json={"error": {"code": code, "message": "It is refused."}})
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == code and hint in result["failure"]["hint"]
    assert result["msg"].startswith(f"Failed to read the migrations of shop-flex in shop-rg: It is refused ({code}).")
