# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

MODULE = "direct_copy_cutover"


@pytest.fixture
def ready(copies):
    copies.add("WaitingForUserAction", "WaitingForCutoverTrigger")
    copies.answers |= {
        "FROM pg_subscription p": [(1, True, 0, 0, 1, 0, 0)],
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
    ready.answers["FROM pg_subscription p"] = [(1, True, 0, 0, 1, 0, 9)]
    assert run_module(MODULE, ready.args)["failure"]["code"] == "ApplyFails"


def test_a_database_that_the_copy_does_not_have(run_module, ready):
    assert run_module(MODULE, {**ready.args, "databases": ["other"]})["failure"]["code"] == "UnknownDatabase"
