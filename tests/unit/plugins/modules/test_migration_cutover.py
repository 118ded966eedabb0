# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._source.activity import ClientSession, Writer

MODULE = "migration_cutover"
ALL = {"properties": {"triggerCutover": "True", "dbsToTriggerCutoverOn": ["shop", "stock"]}}
SOURCE = {"host": "shop-single.example.org", "user": "pgadmin@shop-single", "password": "Source-Password-1"}


def ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


@pytest.fixture
def args(target: dict[str, Any]) -> dict[str, Any]:
    return {**target, "writers_stopped": True}


class Source:
    """The source server as the module sees it: who writes, and what was asked of it."""

    def __init__(self) -> None:
        self.found: list[Writer] = []
        self.asked: list[tuple[Any, ...]] = []

    @contextlib.contextmanager
    def connect(self, server: Any, database: str) -> Iterator[str]:
        self.asked.append((str(server), database))
        yield "the connection"

    def writers(self, connection: Any, databases: Any, sample_seconds: float) -> list[Writer]:
        self.asked.append((connection, list(databases), sample_seconds))
        return self.found


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    made = Source()
    name = f"ansible_collections.pgflex.migrate.plugins.modules.{MODULE}"
    monkeypatch.setattr(f"{name}.connect", made.connect)
    monkeypatch.setattr(f"{name}.writers", made.writers)
    return made


def test_cuts_over_all_databases(run_module: Any, current: Any, args: Any) -> None:
    current.expect_get(current.ready())
    current.expect_patch(ALL, current.migration("InProgress", "CompletingMigration", triggerCutover="True"))
    result = run_module(MODULE, args, diff=True)
    assert result["changed"] and result["migration"]["substate"] == "CompletingMigration"
    assert "trigger_cutover" not in result["diff"]["before"]
    assert result["diff"]["after"] == result.visible("migration")


def test_cuts_over_with_the_classic_service(run_module: Any, classic: Any, args: Any) -> None:
    classic.expect_get(classic.ready())
    classic.expect_patch(
        {"properties": {"triggerCutover": True}}, classic.migration("InProgress", "CompletingMigration")
    )
    assert run_module(MODULE, {**args, "generation": "classic"})["changed"]


def test_the_first_previews_words_for_ready_count(run_module: Any, classic: Any, args: Any) -> None:
    rows = [classic.database("shop", "READY_TO_COMPLETE")]
    classic.expect_get(classic.migration("InProgress", None, databases=rows, migrationMode=None))
    classic.expect_patch({"properties": {"triggerCutover": True}})
    assert run_module(MODULE, {**args, "generation": "classic"})["changed"]


def test_cuts_over_some_databases(run_module: Any, current: Any, args: Any) -> None:
    current.expect_get(current.ready())
    current.expect_patch({"properties": {"triggerCutover": "True", "dbsToTriggerCutoverOn": ["stock"]}})
    assert run_module(MODULE, {**args, "databases": ["stock"]})["changed"]


@pytest.mark.parametrize("databases", [None, ["shop", "stock"]])
def test_databases_that_are_over_are_left_out(run_module: Any, current: Any, args: Any, databases: Any) -> None:
    rows = [current.database("shop", "Succeeded"), current.database("stock")]
    current.expect_get(current.ready(databases=rows))
    current.expect_patch({"properties": {"triggerCutover": "True", "dbsToTriggerCutoverOn": ["stock"]}})
    assert run_module(MODULE, {**args, "databases": databases})["changed"]


@pytest.mark.parametrize(
    ("state", "substate"),
    [("Succeeded", "Completed"), ("InProgress", "CompletingMigration")],
)
def test_a_cutover_that_was_triggered_is_not_triggered_again(
    run_module: Any, arm: Any, service: Any, args: Any, state: str, substate: str
) -> None:
    service.expect_get(service.migration(state, substate))
    result = run_module(MODULE, {**args, "generation": "classic" if service.classic else "current"})
    assert not result["changed"] and arm.writes == []


def test_a_database_that_is_over_needs_no_cutover(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    rows = [current.database("shop", "Succeeded"), current.database("stock")]
    current.expect_get(current.ready(databases=rows))
    assert not run_module(MODULE, {**args, "databases": ["shop"]})["changed"] and arm.writes == []


# The gate


def test_nothing_is_asked_of_the_source_when_the_writers_are_stopped(
    run_module: Any, current: Any, args: Any, source: Source
) -> None:
    current.expect_get(current.ready())
    current.expect_patch(ALL)
    assert run_module(MODULE, {**args, "source": SOURCE})["changed"] and source.asked == []


def test_a_quiet_source_lets_the_cutover_pass(run_module: Any, current: Any, target: Any, source: Source) -> None:
    current.expect_get(current.ready())
    current.expect_patch(ALL)
    assert run_module(MODULE, {**target, "source": SOURCE, "sample_seconds": 1.5})["changed"]
    assert source.asked == [
        ("the source server shop-single.example.org:5432", "shop"),
        ("the connection", ["shop", "stock"], 1.5),
    ]


def test_only_the_databases_cut_over_are_looked_at(run_module: Any, current: Any, target: Any, source: Source) -> None:
    current.expect_get(current.ready())
    current.expect_patch({"properties": {"triggerCutover": "True", "dbsToTriggerCutoverOn": ["stock"]}})
    run_module(MODULE, {**target, "source": SOURCE, "databases": ["stock"]})
    assert [row[1] for row in source.asked] == ["stock", ["stock"]]


def test_writers_are_named(run_module: Any, arm: Any, current: Any, target: Any, source: Source) -> None:
    session = ClientSession("shop", 4711, "webshop", "checkout", "10.0.0.4", has_transaction_id=True, superuser=False)
    source.found = [Writer("shop", 12, (session,))]
    current.expect_get(current.ready())
    result = run_module(MODULE, {**target, "source": SOURCE})
    assert result.failed and result["failure"]["code"] == "CutoverRefused" and arm.writes == []
    assert "the source is still written to (shop (12 rows by checkout)); stop the applications" in result["msg"]
    assert "writers_stopped" in result["msg"]


def test_every_refusal_is_named_at_once(run_module: Any, arm: Any, current: Any, target: Any, source: Source) -> None:
    source.found = [Writer("stock", 3, ())]
    current.expect_get(current.ready(databases=[current.database("shop", latency=31), current.database("stock")]))
    result = run_module(MODULE, {**target, "source": SOURCE, "ready_since": ago(73)})
    assert result.failed and arm.writes == []
    assert result["msg"].startswith(
        "The cutover of shop-1 is refused: the target is 31 s behind and max_latency is 30 s;"
    )
    assert "the cutover window of 72 hours has passed (counted from " in result["msg"]
    assert "the source is still written to (stock (3 rows));" in result["msg"]


@pytest.mark.parametrize(
    ("rows", "given", "sentence"),
    [
        ({"shop": 31}, {}, "the target is 31 s behind and max_latency is 30 s"),
        ({"shop": 1}, {"max_latency": 0}, "the target is 1 s behind and max_latency is 0 s"),
        ({"shop": 0, "stock": 99}, {}, "the target is 99 s behind"),
        ({"shop": 99, "stock": 0}, {"databases": ["stock"]}, None),
        ({"shop": 30}, {}, None),
        ({"shop": None, "stock": None}, {}, "the service has not said yet how far the target is behind"),
    ],
)
def test_the_worst_latency_of_the_databases_counts(
    run_module: Any, arm: Any, current: Any, args: Any, rows: dict[str, Any], given: Any, sentence: str | None
) -> None:
    current.expect_get(current.ready(databases=[current.database(name, latency=late) for name, late in rows.items()]))
    result = run_module(MODULE, {**args, **given}, check_mode=True)
    assert result.failed == (sentence is not None)
    assert sentence is None or sentence in result["msg"]


@pytest.mark.parametrize(
    ("given", "started", "refused"),
    [
        ({"ready_since": ago(71)}, ago(100), False),
        ({"ready_since": ago(73)}, ago(100), True),
        ({"ready_since": ago(3), "window_hours": 2}, None, True),
        ({"ready_since": ago(3), "window_hours": 4}, None, False),
        ({}, ago(73), True),
        ({}, ago(71), False),
        ({}, None, False),
        # A time without a zone is UTC.
        ({"ready_since": ago(73).removesuffix("+00:00")}, None, True),
        ({"ready_since": ago(71).removesuffix("+00:00")}, None, False),
    ],
    # The times in them differ with every run, and so would their names.
    ids=map(str, range(9)),
)
def test_the_window_is_counted_from_when_it_was_ready(
    run_module: Any, arm: Any, current: Any, args: Any, given: Any, started: str | None, refused: bool
) -> None:
    current.expect_get(current.ready(databases=[current.database("shop", startedOn=started)]))
    result = run_module(MODULE, {**args, **given}, check_mode=True)
    assert result.failed == refused
    assert not refused or "hours has passed" in result["msg"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"ready_since": "yesterday"}, "ready_since 'yesterday' is no time"),
        ({"databases": []}, "databases is empty: name at least one, or leave the option out"),
        (
            {"generation": "classic", "databases": ["shop"]},
            "databases: the classic service cuts over all databases at once",
        ),
    ],
)
def test_bad_options_are_refused_before_any_request(
    run_module: Any, arm: Any, args: Any, given: dict[str, Any], sentence: str
) -> None:
    result = run_module(MODULE, {**args, **given})
    assert result.failed and result["msg"].startswith(sentence) and arm.requests == []


@pytest.mark.parametrize(
    ("state", "substate", "told"),
    [
        (
            "InProgress",
            "MigratingData",
            "it is not ready: InProgress, MigratingData instead of WaitingForCutoverTrigger",
        ),
        ("InProgress", None, "it is not ready: InProgress, no substate"),
        ("WaitingForUserAction", "WaitingForTargetDBOverwriteConfirmation", "it is not ready: WaitingForUserAction"),
    ],
)
def test_a_migration_that_is_not_ready_is_refused(
    run_module: Any, arm: Any, service: Any, target: Any, source: Source, state: str, substate: str | None, told: str
) -> None:
    service.expect_get(service.migration(state, substate))
    generation = "classic" if service.classic else "current"
    result = run_module(MODULE, {**target, "source": SOURCE, "generation": generation})
    assert result.failed and result["failure"]["code"] == "CutoverRefused" and told in result["msg"]
    assert arm.writes == [] and source.asked == []


@pytest.mark.parametrize(
    ("answer", "given", "code", "sentence"),
    [
        ({"migrationMode": "Offline"}, {}, "603114", "The migration shop-1 is offline: it has no cutover"),
        ({"state": "Failed"}, {}, "603113", "The migration shop-1 has ended (Failed); it can not be cut over."),
        ({"state": "Canceled"}, {}, "603113", "The migration shop-1 has ended (Canceled)"),
        ({}, {"databases": ["shop", "nope"]}, None, "The migration shop-1 has no database nope"),
    ],
)
def test_what_has_no_cutover_is_refused(
    run_module: Any, arm: Any, current: Any, args: Any, answer: Any, given: Any, code: str | None, sentence: str
) -> None:
    values = {"state": "WaitingForUserAction", "substate": "WaitingForCutoverTrigger", **answer}
    current.expect_get(current.migration(databases=[current.database("shop"), current.database("stock")], **values))
    result = run_module(MODULE, {**args, **given})
    assert result.failed and result["failure"]["code"] == code and result["msg"].startswith(sentence)
    assert arm.writes == []


def test_the_source_is_needed_unless_the_writers_are_stopped(run_module: Any, arm: Any, target: Any) -> None:
    result = run_module(MODULE, target)
    assert result.failed and "source" in result["msg"] and arm.requests == []


def test_an_unknown_migration_is_named(run_module: Any, current: Any, args: Any) -> None:
    current.expect_get(None)
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == "ResourceNotFound"
    assert result["msg"].startswith("There is no migration shop-1 to the server shop-flex in shop-rg.")


def test_check_mode_passes_the_gate_and_triggers_nothing(
    run_module: Any, arm: Any, current: Any, target: Any, source: Source
) -> None:
    current.expect_get(current.ready())
    result = run_module(MODULE, {**target, "source": SOURCE}, check_mode=True, diff=True)
    assert result["changed"] and arm.writes == [] and source.asked
    assert result["migration"]["trigger_cutover"] is True
    assert result["migration"]["dbs_to_trigger_cutover_on"] == ["shop", "stock"]
    assert result["diff"]["after"] == result.visible("migration")


def test_missing_rights_are_told(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    current.expect_get(current.ready())
    arm.expect("PATCH", current.url(), status=403, json={"error": {"code": "AuthorizationFailed", "message": "No."}})
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == "AuthorizationFailed"
    assert result["msg"].startswith("Failed to update the migration shop-1 to shop-flex: No (AuthorizationFailed).")


def test_the_services_refusal_of_a_second_cutover_is_told(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    current.expect_get(current.ready())
    sentence = "Cutover cannot be initiated now."
    arm.expect("PATCH", current.url(), status=409, json={"error": {"code": "603112", "message": sentence}})
    result = run_module(MODULE, args)
    assert result.failed and "Cutover cannot be initiated now (603112)." in result["msg"]
