# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "migration_cancel"
WHOLE = {"properties": {"cancel": "True", "dbsToCancelMigrationOn": ["shop", "stock"]}}
STOCK = {"properties": {"cancel": "True", "dbsToCancelMigrationOn": ["stock"]}}


def running(service: Any, **states: str) -> dict[str, Any]:
    rows = [
        service.database(name, state)
        for name, state in ({"shop": "InProgress", "stock": "InProgress"} | states).items()
    ]
    found: dict[str, Any] = service.migration("InProgress", "MigratingData", databases=rows)
    return found


def test_cancels_the_whole_and_waits_for_it(run_module: Any, current: Any, target: Any) -> None:
    current.expect_get(running(current))
    current.expect_patch(WHOLE)
    current.expect_get(current.migration("InProgress", "CancelingRequestedDBMigrations"))
    current.expect_get(current.migration("CleaningUp"), current.migration("Canceled", "Completed"))
    result = run_module(MODULE, target, diff=True)
    assert result["changed"] and result["migration"]["state"] == "Canceled"
    assert result["diff"]["before"]["state"] == "InProgress" and result["diff"]["after"] == result.visible("migration")


def test_the_classic_service_cancels_by_deleting(run_module: Any, classic: Any, target: Any) -> None:
    classic.expect_get(running(classic))
    classic.expect_delete()
    classic.expect_get(classic.migration("Canceled"))
    assert run_module(MODULE, {**target, "generation": "classic"})["migration"]["state"] == "Canceled"


def test_a_classic_migration_that_is_gone_counts_as_canceled(run_module: Any, classic: Any, target: Any) -> None:
    classic.expect_get(running(classic))
    classic.expect_delete()
    classic.expect_get(None)
    result = run_module(MODULE, {**target, "generation": "classic"})
    assert result["changed"] and result["migration"]["state"] == "Canceled"


def test_some_databases_are_canceled_and_the_others_go_on(run_module: Any, current: Any, target: Any) -> None:
    current.expect_get(running(current))
    current.expect_patch(STOCK)
    current.expect_get(running(current, stock="Canceling"), running(current, stock="Canceled"))
    result = run_module(MODULE, {**target, "databases": ["stock"]})
    assert result["changed"] and result["migration"]["state"] == "InProgress"
    assert {row["name"]: row["state"] for row in result["migration"]["databases"]} == {
        "shop": "InProgress",
        "stock": "Canceled",
    }


def test_databases_that_ended_are_not_canceled_again(run_module: Any, arm: Any, current: Any, target: Any) -> None:
    current.expect_get(running(current, stock="Canceled"))
    result = run_module(MODULE, {**target, "databases": ["stock"]})
    assert not result["changed"] and arm.writes == []


def test_only_the_open_ones_of_the_databases_are_canceled(run_module: Any, current: Any, target: Any) -> None:
    current.expect_get(running(current, shop="Succeeded"))
    current.expect_patch(STOCK)
    current.expect_get(current.migration("Succeeded"))
    assert run_module(MODULE, {**target, "databases": ["shop", "stock"]})["changed"]


def test_databases_can_be_canceled_before_the_service_counts_them(run_module: Any, current: Any, target: Any) -> None:
    """In the first minutes a migration has no rows of databases, only their names."""
    early = current.migration("InProgress", "PerformingPreRequisiteSteps", databases=[])
    current.expect_get(early)
    current.expect_patch(STOCK)
    current.expect_get(early, running(current, stock="Canceled"))
    assert run_module(MODULE, {**target, "databases": ["stock"]})["changed"]


@pytest.mark.parametrize("state", ["Succeeded", "Failed", "Canceled", "ValidationFailed"])
def test_a_migration_that_ended_is_left_alone(run_module: Any, arm: Any, service: Any, target: Any, state: str) -> None:
    service.expect_get(service.migration(state))
    result = run_module(MODULE, {**target, "generation": "classic" if service.classic else "current"})
    assert not result["changed"] and arm.writes == [] and result["migration"]["state"] == state


def test_without_waiting_it_comes_back_at_once(run_module: Any, current: Any, target: Any) -> None:
    current.expect_get(running(current))
    current.expect_patch(WHOLE)
    assert run_module(MODULE, {**target, "wait": False})["changed"]


@pytest.mark.parametrize(
    ("databases", "foretold"),
    [(None, {"state": "Canceled", "cancel": True}), (["stock"], {"dbs_to_cancel_migration_on": ["stock"]})],
)
def test_check_mode_cancels_nothing(
    run_module: Any, arm: Any, current: Any, target: Any, databases: Any, foretold: dict[str, Any]
) -> None:
    current.expect_get(running(current))
    result = run_module(MODULE, {**target, "databases": databases}, check_mode=True, diff=True)
    assert result["changed"] and arm.writes == []
    assert {key: result["migration"][key] for key in foretold} == foretold
    assert result["diff"]["after"] == result.visible("migration")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"databases": ["nope", "shop"]}, "The migration has no database nope: check the option databases."),
        ({"databases": ["shop"], "generation": "classic"}, "databases: the classic service cancels a whole migration"),
    ],
)
def test_databases_that_can_not_be_canceled_are_refused(
    run_module: Any, arm: Any, current: Any, target: Any, given: dict[str, Any], sentence: str
) -> None:
    arm.expect("GET", current.url(), json=running(current))
    result = run_module(MODULE, {**target, **given})
    assert result.failed and result["msg"].startswith(sentence) and arm.writes == []


def test_an_empty_choice_does_not_mean_all(run_module: Any, arm: Any, target: Any) -> None:
    result = run_module(MODULE, {**target, "databases": []})
    assert result.failed and result["msg"].startswith("databases is empty") and arm.requests == []


def test_an_unknown_migration_is_named(run_module: Any, current: Any, target: Any) -> None:
    current.expect_get(None)
    result = run_module(MODULE, target)
    assert result.failed and result["failure"]["code"] == "ResourceNotFound"
    assert result["msg"].startswith("There is no migration shop-1 to the server shop-flex in shop-rg.")


def test_missing_rights_are_told(run_module: Any, arm: Any, current: Any, target: Any) -> None:
    current.expect_get(running(current))
    refusal = {"error": {"code": "AuthorizationFailed", "message": "Not yours."}}
    arm.expect("PATCH", current.url(), status=403, json=refusal)
    result = run_module(MODULE, target)
    assert result.failed and result["failure"]["status"] == 403
    assert result["msg"].startswith("Failed to update the migration shop-1 to shop-flex: Not yours")


def test_a_cancel_that_takes_too_long_says_where_it_stands(
    run_module: Any, current: Any, target: Any, clock: Any
) -> None:
    current.expect_get(running(current))
    current.expect_patch(WHOLE)
    current.expect_get(running(current), current.migration("CleaningUp"))
    result = run_module(MODULE, {**target, "wait_timeout": 1})
    assert result.failed and result["failure"]["code"] == "Timeout"
    assert "not done after 1 s (wait_timeout 1 s), last state CleaningUp." in result["msg"]
