# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.states import (
    FINAL,
    NAME,
    copy_result,
    explain,
    final,
    latency,
    next_interval,
    offline,
    open_databases,
    ready_for_cutover,
    still_open,
    tables,
    waits_for,
)

CUTOVER = "WaitingForCutoverTrigger"


def row(name: str = "shop", state: str | None = "InProgress", **values: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "latency": None, "message": None, **values}


def migration(state: str = "InProgress", substate: str | None = None, *rows: Any, **values: Any) -> dict[str, Any]:
    return {"state": state, "substate": substate, "databases": list(rows), **values}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("InProgress", False),
        ("WaitingForUserAction", False),
        ("CleaningUp", False),
        (None, False),
        ("Succeeded", True),
        ("Failed", True),
        ("Canceled", True),
        ("ValidationFailed", True),
    ],
)
def test_final(state: Any, expected: bool) -> None:
    assert final(migration(state)) is expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (migration("WaitingForUserAction", CUTOVER), True),
        (migration("InProgress", CUTOVER), True),
        # The previews answer with the databases' states only.
        (migration("InProgress", "MigratingData", row(state=CUTOVER)), True),
        (migration("InProgress", None, row(state="READY_TO_COMPLETE"), row("stock", "READY_TO_COMPLETE")), True),
        (migration("InProgress", None, row(state="READY_TO_COMPLETE"), row("stock", "Failed")), True),
        (migration("InProgress", None, row(state="READY_TO_COMPLETE"), row("stock", "InProgress")), False),
        (migration("InProgress", "MigratingData"), False),
        (migration("InProgress", "CompletingMigration", row(state="Succeeded")), False),
        (migration("Succeeded", "Completed", row(state=CUTOVER)), False),
        (migration("Canceled", CUTOVER), False),
    ],
)
def test_ready_for_cutover(found: dict[str, Any], expected: bool) -> None:
    assert ready_for_cutover(found) is expected


@pytest.mark.parametrize(
    ("state", "substate", "option"),
    [
        (
            "WaitingForUserAction",
            "WaitingForLogicalReplicationSetupRequestOnSourceDB",
            "setup_logical_replication_on_source_db_if_needed",
        ),
        ("WaitingForUserAction", "WaitingForDBsToMigrateSpecification", "dbs_to_migrate"),
        ("WaitingForUserAction", "WaitingForTargetDBOverwriteConfirmation", "overwrite_dbs_in_target"),
        ("WaitingForUserAction", "WaitingForDataMigrationScheduling", "start_data_migration"),
        ("InProgress", "WaitingForDataMigrationWindow", "start_data_migration"),
        ("WaitingForUserAction", CUTOVER, None),
        ("InProgress", "MigratingData", None),
        ("InProgress", None, None),
        ("Failed", "WaitingForTargetDBOverwriteConfirmation", None),
    ],
)
def test_what_releases_a_waiting_migration(state: str, substate: str | None, option: str | None) -> None:
    found = waits_for(migration(state, substate))
    assert (found and found[0]) == option


@pytest.mark.parametrize(
    ("mode", "expected"), [("Offline", True), ("offline", True), ("Online", False), ("online", False), (None, False)]
)
def test_offline(mode: str | None, expected: bool) -> None:
    assert offline({"migration_mode": mode}) is expected


OPEN = migration(
    "InProgress",
    None,
    row("shop"),
    row("stock", "Succeeded"),
    row("old", "Canceled"),
    row("bad", "Failed"),
    row("x", None),
)


def test_databases_that_have_not_ended() -> None:
    assert [found["name"] for found in open_databases(OPEN)] == ["shop", "x"]
    assert open_databases({"state": "InProgress"}) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["shop", "stock"], ["shop"]),
        (["stock", "old", "bad"], []),
        # Not listed yet, as in a migration's first minutes.
        (["new", "stock"], ["new"]),
        ([], []),
    ],
)
def test_which_of_some_databases_are_open(names: list[str], expected: list[str]) -> None:
    assert still_open(OPEN, names) == expected


@pytest.mark.parametrize(
    ("rows", "names", "expected"),
    [
        ([row(latency=3), row("stock", latency=7)], None, 7),
        ([row(latency=3), row("stock", latency=7)], ["shop"], 3),
        ([row(latency=0)], None, 0),
        ([row(latency=None), row("stock", latency=2)], None, 2),
        ([row(latency=None)], None, None),
        ([row(latency=1), row("stock", "Succeeded", latency=99)], None, 1),
        ([row(latency="12")], None, 12),
        ([], None, None),
    ],
)
def test_latency_is_the_worst_of_the_open_databases(rows: Any, names: Any, expected: int | None) -> None:
    assert latency(migration("InProgress", None, *rows), names) == expected


def validation(*checks: tuple[str, str, str, list[str]]) -> dict[str, Any]:
    """Rows of (database or empty for the server, type, state, messages)."""
    server = [{"type": kind, "state": state, "messages": texts} for where, kind, state, texts in checks if not where]
    databases = [
        {"name": where, "checks": [{"type": kind, "state": state, "messages": texts}]}
        for where, kind, state, texts in checks
        if where
    ]
    return {"status": "Failed", "server": server, "databases": databases}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (migration("Failed", error="It broke."), "It broke."),
        (migration("Failed", None, row(state="Failed", message="No space.")), "shop: No space."),
        (
            migration("Failed", None, row(state="Failed", message="No space."), error="shop: No space."),
            "shop: No space.",
        ),
        (
            migration("Failed", None, row(state="Failed", message="A."), row("stock", "Failed", message="B.")),
            "shop: A. stock: B.",
        ),
        (migration("Failed", None, row(state="Succeeded", message="Fine.")), "the service gave no reason"),
        (
            migration(
                "ValidationFailed", validation=validation(("", "SourceVersionValidation", "Failed", ["Too old."]))
            ),
            "SourceVersionValidation: Too old.",
        ),
        (
            migration(
                "ValidationFailed",
                validation=validation(
                    ("shop", "ExtensionsValidation", "Failed", ["postgres_fdw."]),
                    ("stock", "ExtensionsValidation", "Warning", ["pg_cron."]),
                ),
            ),
            "shop: postgres_fdw.",
        ),
        (migration("Failed", validation=None), "the service gave no reason"),
    ],
)
def test_explain_uses_the_services_words(found: dict[str, Any], expected: str) -> None:
    assert explain(found) == expected


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        ({"tables_completed": 3, "tables_queued": 4, "tables_loading": 2, "tables_errored": 1}, (3, 10)),
        ({"tables_completed": 0, "tables_queued": 0}, (0, 0)),
        ({"tables_completed": None, "tables_queued": None}, (0, 0)),
        ({}, (0, 0)),
    ],
)
def test_tables(counters: dict[str, Any], expected: tuple[int, int]) -> None:
    assert tables(row(**counters)) == expected


@pytest.mark.parametrize(
    ("substate", "elapsed", "expected"),
    [
        ("MigratingData", 0, 5),
        ("MigratingData", 100, 5),
        ("MigratingData", 400, 20),
        ("MigratingData", 86400, 60),
        ("CompletingMigration", 86400, 5),
        (None, 1000, 50),
    ],
)
def test_time_until_the_next_look(substate: str | None, elapsed: float, expected: float) -> None:
    assert next_interval(migration("InProgress", substate), elapsed, 5, 60) == expected


def test_least_wins_over_a_smaller_most() -> None:
    assert next_interval(migration(), 0, 10, 10) == 10


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("shop-1", True),
        ("1", True),
        ("A-", True),
        ("-a", False),
        ("a_b", False),
        ("a.b", False),
        ("", False),
        ("ä", False),
    ],
)
def test_names_of_migrations(name: str, legal: bool) -> None:
    assert bool(NAME.fullmatch(name)) is legal


# A direct copy, told as a migration of the service is


STARTED, UPDATED, ENDED = (f"2026-11-21T0{hour}:00:00+00:00" for hour in (1, 2, 3))


def copied(state: str, substate: str | None = None, *rows: Any, **values: Any) -> dict[str, Any]:
    times = {"started_on": STARTED, "updated_on": UPDATED, "ended_on": ENDED if state in FINAL else None}
    return {**migration(state, substate, *rows), "name": "shop-1", "error": None, **times, **values}


@pytest.mark.parametrize(
    ("state", "substate", "outcome"),
    [
        ("Succeeded", "Completed", "succeeded"),
        ("Failed", None, "failed"),
        ("Canceled", None, "canceled"),
        ("InProgress", CUTOVER, "ready"),
        ("InProgress", "MigratingData", "watching"),
        ("WaitingForUserAction", None, "watching"),
    ],
)
def test_how_a_copy_ended(state: str, substate: str | None, outcome: str) -> None:
    found = copied(state, substate)
    told = copy_result(found, "shop")
    assert (told["label"], told["name"], told["outcome"], told["migration"]) == ("shop", "shop-1", outcome, found)
    assert [step["state"] for step in told["history"]] == ["InProgress", state]
    assert [step["at"] for step in told["history"]] == [STARTED, UPDATED]
    assert told["ready_since"] == (UPDATED if outcome == "ready" else None)
    assert told["history"][1]["ready"] is (outcome == "ready") and told["history"][0]["ready"] is False


def test_a_copy_whose_databases_are_ready_is() -> None:
    assert copy_result(copied("InProgress", None, row(state=CUTOVER)), "shop")["outcome"] == "ready"
    assert copy_result(copied("InProgress", None, row(state=CUTOVER), row("b")), "shop")["outcome"] == "watching"


def test_why_a_copy_failed() -> None:
    failed = copied("Failed", None, row(state="Failed", message="No space."), error="It broke.")
    assert copy_result(failed, "shop")["message"] == "It broke. shop: No space."
    assert copy_result(copied("Canceled", error="Somebody stopped it."), "shop")["message"] == "Somebody stopped it."
    assert copy_result(copied("InProgress", CUTOVER, error="Tried again."), "shop")["message"] is None


def test_a_copy_whose_last_change_is_not_known_ended_when_it_ended() -> None:
    assert copy_result(copied("Succeeded", updated_on=None), "shop")["history"][1]["at"] == ENDED


def test_no_copy_is_missing() -> None:
    expected = {"label": "shop", "outcome": "missing", "message": None, "history": [], "migration": None}
    assert copy_result({}, "shop") == expected
