# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

MODULE = "direct_copy_reverse"
KEPT = {"state": "Running", "databases": ["shop"], "target_from_source": None}


@pytest.mark.parametrize("action", ["end", "switch_back"])
def test_without_a_way_back_there_is_nothing_to_do(run_module, copies, action):
    copies.add("Succeeded", "Completed")
    outcome = run_module(MODULE, {**copies.args, "action": action})
    assert outcome["failure"]["code"] == "NoReverse" and "keep_reverse_replication" in outcome["msg"]


def test_a_copy_that_is_not_there(run_module, copies):
    assert run_module(MODULE, {**copies.args, "action": "end"})["failure"]["code"] == "UnknownCopy"


@pytest.mark.parametrize("state", ["Ended", "SwitchedBack"])
def test_what_is_ended_stays_ended(run_module, copies, state):
    copies.add("Succeeded", "Completed", reverse={**KEPT, "state": state})
    assert not run_module(MODULE, {**copies.args, "action": "end"})["changed"] and copies.writes == []


def test_what_is_ended_can_not_be_used(run_module, copies):
    copies.add("Succeeded", "Completed", reverse={**KEPT, "state": "Ended"})
    assert run_module(MODULE, {**copies.args, "action": "switch_back"})["failure"]["code"] == "NoReverse"


def test_check_mode_ends_nothing(run_module, copies):
    copies.add("Succeeded", "Completed", reverse=KEPT)
    outcome = run_module(MODULE, {**copies.args, "action": "end"}, check_mode=True, diff=True)
    assert outcome["changed"] and outcome["diff"]["after"]["reverse"]["state"] == "Ended" and copies.writes == []


def test_the_end_takes_away_what_was_made_on_both_sides(run_module, copies):
    copies.add("Succeeded", "Completed", reverse=KEPT, widened=[["public", "log", "d", ""]])
    copies.answers |= {"FROM pg_subscription p": [(1, True, 0, 0, 1, 0, 0, 0, 2)], "FROM pg_replication_slots": []}
    outcome = run_module(MODULE, {**copies.args, "action": "end"})
    assert not outcome.failed, outcome["msg"]
    assert outcome["copy"]["reverse"]["state"] == "Ended"
    assert 'DROP SUBSCRIPTION "pgflex_0123456789_0_back"' in copies.writes
    assert 'DROP PUBLICATION IF EXISTS "pgflex_0123456789_0_back"' in copies.writes
    assert copies.writes.count('ALTER TABLE IF EXISTS "public"."log" REPLICA IDENTITY DEFAULT') == 2


def test_what_to_do_has_to_be_said(run_module, copies):
    assert run_module(MODULE, copies.args).failed
