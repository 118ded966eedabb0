# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

MODULE = "direct_copy_cutover"


@pytest.fixture
def ready(copies):
    copies.add("WaitingForUserAction", "WaitingForCutoverTrigger")
    copies.answers |= {
        "SELECT current_setting('wal_level')": [("logical", 9, 0, 9, 0, 0, "mover", True, None)],
        "FROM pg_subscription p": [(1, True, 0, 0, 1, 0, 0, 0, 2)],
        "FROM pg_replication_slots": [(200, 200, True)],
        "FROM pg_stat_replication": [(0.0,)],
        "pg_stat_user_tables": [(5, 2, 1)],
    }
    return copies


def test_a_copy_that_is_not_there(run_module, copies):
    assert run_module(MODULE, copies.args)["failure"]["code"] == "UnknownCopy"


def test_check_mode_says_that_it_would_go_ahead(run_module, ready):
    outcome = run_module(MODULE, ready.args, check_mode=True)
    assert not outcome.failed, outcome["msg"]
    assert outcome["changed"] and outcome["copy"]["state"] == "Succeeded" and ready.writes == []


def test_what_is_cut_over_stays_so(run_module, copies):
    copies.add("Succeeded", "Completed")
    assert not run_module(MODULE, copies.args)["changed"] and copies.writes == []


def test_an_offline_copy_has_none(run_module, copies):
    copies.add("InProgress", "MigratingData", mode="offline")
    outcome = run_module(MODULE, copies.args)
    assert outcome["failure"]["code"] == "CutoverRefused" and "offline" in outcome["msg"]


@pytest.mark.parametrize("state", ["Failed", "Canceled"])
def test_what_has_ended_badly_has_none(run_module, copies, state):
    copies.add(state)
    assert "has ended" in run_module(MODULE, copies.args)["msg"]


def test_a_copy_that_is_not_ready(run_module, copies):
    copies.add("InProgress", "MigratingData")
    assert "not ready" in run_module(MODULE, copies.args)["msg"] and copies.writes == []


def test_a_target_that_is_behind(run_module, ready):
    ready.answers["FROM pg_stat_replication"] = [(99.0,)]
    outcome = run_module(MODULE, {**ready.args, "max_latency": 10})
    assert outcome["failure"]["code"] == "CutoverRefused" and "99 s behind" in outcome["msg"]


def test_changes_that_are_refused_again_and_again(run_module, ready):
    ready.rows[0][10][0]["seen"] = [100, 6, 1, 0]
    ready.answers["FROM pg_replication_slots"] = [(100, 200, True)]
    ready.answers["FROM pg_subscription p"] = [(1, True, 0, 0, 1, 0, 9, 0, 2)]
    assert run_module(MODULE, ready.args)["failure"]["code"] == "ApplyFails"


def test_a_database_that_the_copy_does_not_have(run_module, ready):
    assert run_module(MODULE, {**ready.args, "databases": ["other"]})["failure"]["code"] == "UnknownDatabase"


@pytest.mark.parametrize(
    ("part", "rows", "said"),
    [
        ("pg_stat_activity a", [("shop", 7, "postgres", "psql", None, False, True)], "psql as postgres"),
        (
            "pg_db_role_setting s ON",
            [("shop", 7, "loader", ["default_transaction_read_only=off"])],
            'ALTER ROLE "loader"',
        ),
        ("pg_prepared_xacts", [("shop", "tx 1")], "transaction tx 1 of shop"),
        ("FROM pg_subscription s", [("shop", "feed")], "subscription feed goes on writing to shop"),
        ("pg_has_role('pg_signal_backend'", [("app",)], "GRANT pg_signal_backend"),
    ],
)
def test_nothing_is_stopped_while_somebody_could_go_on_writing(run_module, ready, part, rows, said):
    ready.answers = {
        "pg_has_role('pg_signal_backend'": [],
        "rolcanlogin": [("loader",)],
        "pg_stat_activity a": [("shop", 8, "app", "shop", None, False, False)],
        **ready.answers,
        part: rows,
    }
    ready.answers = {part: rows, **ready.answers}
    outcome = run_module(MODULE, ready.args)
    assert outcome["failure"]["code"] == "CutoverRefused" and said in outcome["msg"]
    assert not [text for text in ready.writes if "DATABASE" in text]


def test_the_providers_own_sessions_and_those_to_keep_are_only_told(run_module, ready):
    ready.answers = {
        "pg_stat_activity a": [
            ("shop", 7, "azuresu", "watchdog", None, False, True),
            ("shop", 8, "postgres", "backup 1", None, False, True),
        ],
        **ready.answers,
    }
    outcome = run_module(MODULE, {**ready.args, "keep_applications": ["backup*"]}, check_mode=True)
    assert not outcome.failed, outcome["msg"]
    assert [kept["application_name"] for kept in outcome["kept_sessions"]] == ["watchdog", "backup 1"]


def test_what_the_way_back_needs_is_looked_at_first(run_module, ready):
    args = {**ready.args, "keep_reverse_replication": True}
    assert not run_module(MODULE, args, check_mode=True).failed
    ready.answers["t.tgenabled IN"] = [("public", "orders", "audit", "A")]
    outcome = run_module(MODULE, args)
    assert outcome["failure"]["code"] == "WayBackRefused"
    assert 'ALTER TABLE ONLY "public"."orders" DISABLE TRIGGER "audit"' in outcome["failure"]["hint"]
    ready.answers["SELECT current_setting('wal_level')"] = [("replica", 9, 0, 9, 0, 0, "mover", False, None)]
    outcome = run_module(MODULE, args)
    assert outcome["failure"]["code"] == "ReplicationNotReady" and ready.writes == []
    assert "wal_level" in outcome["msg"] and "ALTER ROLE" in outcome["msg"]
    assert "without keep_reverse_replication" in outcome["failure"]["hint"]
