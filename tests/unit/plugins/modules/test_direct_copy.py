# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import psycopg
import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils import _wait

MODULE = "direct_copy"


@pytest.fixture
def args(copies):
    return {**copies.args, "databases": ["shop"], "programs": copies.programs}


def test_check_mode_looks_at_everything_and_makes_nothing(run_module, copies, args):
    copies.prepared = False
    outcome = run_module(MODULE, args, check_mode=True, diff=True)
    assert not outcome.failed, outcome["msg"]
    assert outcome["changed"] and outcome["copy"]["state"] == "Succeeded" and copies.writes == []
    assert outcome["diff"]["before"] == {} and outcome["diff"]["after"]["dbs_to_migrate"] == ["shop"]
    assert any("has_table_privilege" in text for text in copies.statements)
    assert all(connection.closed for connection in copies.connections)


def test_what_is_over_is_left_alone(run_module, copies, args):
    copies.add("Succeeded", "Completed", mode="offline")
    outcome = run_module(MODULE, args)
    assert not outcome["changed"] and outcome["copy"]["engine"] == "direct" and copies.writes == []


def test_what_waits_for_its_cutover_is_left_alone(run_module, copies, args):
    copies.add("WaitingForUserAction", "WaitingForCutoverTrigger")
    assert not run_module(MODULE, {**args, "mode": "online"})["changed"] and copies.writes == []


def test_a_name_means_one_copy(run_module, copies, args):
    copies.add("Succeeded", "Completed", mode="offline")
    outcome = run_module(MODULE, {**args, "databases": ["billing"], "exclude_tables": ["a.b"], "mode": "online"})
    assert outcome.failed and outcome["failure"]["code"] == "NameTaken"
    assert "databases, mode, exclude_tables" in outcome["msg"]


def test_there_has_to_be_a_database(run_module, args):
    assert run_module(MODULE, {**args, "databases": []})["failure"]["code"] == "NoDatabases"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"FROM pg_database d WHERE": []}, "UnknownDatabase"),
        ({"pg_extension e JOIN": [("postgis", "public")]}, "ExtensionMissing"),
        (
            {
                "SELECT datname::text FROM pg_database": [("shop",)],
                "SELECT type, identity FROM (": [("table", "public.orders")],
            },
            "TargetNotEmpty",
        ),
    ],
)
def test_what_can_not_be_copied_is_told_before_anything_is_made(run_module, copies, args, change, code):
    copies.answers = {**change, **{key: rows for key, rows in copies.answers.items() if key not in change}}
    outcome = run_module(MODULE, args)
    assert outcome.failed and outcome["failure"]["code"] == code and copies.writes == []


def test_tables_that_can_not_be_read_are_named(run_module, copies, args):
    copies.answers["c.relkind IN ('r', 'p')"] = [copies.table("orders", readable=False)]
    outcome = run_module(MODULE, args)
    assert outcome["failure"]["code"] == "PermissionDenied" and outcome["unreadable"] == ["public.orders"]


def test_patterns_that_match_nothing_are_named(run_module, args):
    outcome = run_module(MODULE, {**args, "exclude_tables": ["public.no*"], "include_schemas": ["nowhere"]})
    assert outcome["failure"]["code"] == "UnknownObjects"
    assert "include_schemas nowhere, exclude_tables public.no*" in outcome["msg"]


@pytest.mark.parametrize(
    ("source", "target", "mode", "words"),
    [
        (90400, 160000, "offline", "9.5"),
        (90600, 160000, "online", "logical replication begins with 10"),
        (150000, 130000, "offline", "version 14 or later"),
        (140000, 140000, "online", "before 15"),
        (170000, 160000, "offline", "which is newer"),
    ],
)
def test_versions_that_do_not_go_together(run_module, copies, args, source, target, mode, words):
    copies.version = {"shop-old": source, "shop-new": target}
    outcome = run_module(MODULE, {**args, "mode": mode})
    assert outcome["failure"]["code"] == "WrongVersion" and words in outcome["msg"]


def test_programs_that_are_not_there(run_module, args, tmp_path):
    (tmp_path / "psql").unlink()
    outcome = run_module(MODULE, args)
    assert outcome["failure"]["code"] == "ProgramsMissing" and "postgresql-client-16" in outcome["msg"]


def test_a_table_of_copies_that_may_not_be_made(run_module, copies, args):
    copies.prepared = False
    copies.refuse["CREATE SCHEMA"] = psycopg.errors.InsufficientPrivilege("permission denied for database postgres")
    outcome = run_module(MODULE, args)
    assert outcome.failed and "pgflex.copies" in outcome["msg"] and "Marker-Secret-4711" not in outcome.raw_output


def test_another_run_is_waited_for_and_then_named(run_module, copies, args, monkeypatch):
    copies.free = False
    copies.answers["l.locktype"] = [(77, "10.0.0.9", None)]
    monkeypatch.setattr(_wait.Deadline, "over", property(lambda self: True))
    assert run_module(MODULE, args)["failure"]["code"] == "CopyRuns"


def test_absent_takes_the_record_and_the_databases_away(run_module, copies, args):
    copies.add("Canceled")
    copies.answers["SELECT 1 FROM pgflex.copies"] = [(1,)]
    outcome = run_module(MODULE, {**args, "state": "absent"})
    assert not outcome.failed, outcome["msg"]
    assert outcome["changed"] and outcome["copy"] is None
    assert 'DROP DATABASE IF EXISTS "shop" WITH (FORCE)' in copies.writes
    assert any(text.startswith("DELETE FROM pgflex.copies") for text in copies.writes)


def test_absent_twice_changes_nothing(run_module, copies, args):
    assert not run_module(MODULE, {**args, "state": "absent"})["changed"] and copies.writes == []


def test_a_database_that_was_cut_over_is_never_begun_anew(run_module, copies, args):
    copies.add("Canceled", mode="offline")
    copies.rows[0][10][0] |= {"state": "Succeeded", "step": "done"}
    copies.answers["SELECT datname::text FROM pg_database"] = [("postgres",), ("shop",)]
    outcome = run_module(MODULE, args)
    assert not outcome.failed, outcome["msg"]
    assert outcome["copy"]["state"] == "Succeeded"
    assert not any(text.startswith(("DROP DATABASE", "CREATE DATABASE")) for text in copies.statements)
