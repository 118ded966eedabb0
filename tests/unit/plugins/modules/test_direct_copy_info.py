# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import psycopg

MODULE = "direct_copy_info"


def args(copies, **more):
    return {"target": copies.args["target"], **more}


def test_no_table_means_no_copies(run_module, copies):
    copies.prepared = False
    assert run_module(MODULE, args(copies))["copies"] == []


def test_all_copies_are_listed(run_module, copies):
    copies.add("Succeeded", "Completed", mode="offline")
    outcome = run_module(MODULE, args(copies))
    assert not outcome["changed"] and copies.writes == []
    row = outcome["copies"][0]
    assert row["migration_mode"] == "Offline" and row["dbs_to_migrate"] == ["shop"] and row["source"] == "shop-old:5432"
    assert row["databases"][0]["state"] == "Succeeded" and row["databases"][0]["tables_completed"] is None


def test_one_copy_is_found_by_its_name(run_module, copies):
    copies.add("Failed")
    assert len(run_module(MODULE, args(copies, name="shop-1"))["copies"]) == 1
    assert run_module(MODULE, args(copies, name="other"))["copies"] == []


def test_without_the_source_nothing_is_measured(run_module, copies):
    copies.add("WaitingForUserAction", "WaitingForCutoverTrigger")
    assert run_module(MODULE, args(copies))["copies"][0]["databases"][0]["latency"] == 0
    assert not any("pg_replication_slots" in text for text in copies.statements)


def test_with_the_source_the_lag_is_measured(run_module, copies):
    copies.add("WaitingForUserAction", "WaitingForCutoverTrigger")
    copies.answers |= {
        "FROM pg_subscription p": [(1, True, 0, 0, 1, 0, 0, 0, 2)],
        "FROM pg_replication_slots": [(100, 200, True)],
        "FROM pg_stat_replication": [(7.5,)],
        "pg_stat_user_tables": [(5, 2, 1)],
    }
    row = run_module(MODULE, {**args(copies), "source": copies.args["source"]})["copies"][0]["databases"][0]
    assert row["latency"] == 7 and row["inserts"] == 5 and row["applied_changes"] == 8


def test_a_slot_that_is_gone_is_told(run_module, copies):
    copies.add("WaitingForUserAction", "WaitingForCutoverTrigger")
    copies.answers |= {"FROM pg_subscription p": [(1, True, 0, 0, 1, 0, 0, 0, 2)], "FROM pg_replication_slots": []}
    outcome = run_module(MODULE, {**args(copies), "source": copies.args["source"]})
    assert not outcome.failed
    row = outcome["copies"][0]["databases"][0]
    assert "slot pgflex_0123456789_0 is gone" in row["message"] and row["latency"] is None


def test_a_table_that_may_not_be_read(run_module, copies):
    copies.refuse["FROM pgflex.copies"] = psycopg.errors.InsufficientPrivilege("permission denied for schema pgflex")
    assert "pgflex.copies" in run_module(MODULE, args(copies))["msg"]
