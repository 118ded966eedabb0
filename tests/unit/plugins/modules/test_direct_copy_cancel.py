# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

MODULE = "direct_copy_cancel"


def test_a_copy_that_is_not_there(run_module, copies):
    outcome = run_module(MODULE, copies.args)
    assert outcome["failure"]["code"] == "UnknownCopy" and "maintenance_database" in outcome["msg"]


@pytest.mark.parametrize("state", ["Succeeded", "Canceled"])
def test_what_is_over_stays_as_it_is(run_module, copies, state):
    copies.add(state)
    assert not run_module(MODULE, copies.args)["changed"] and copies.writes == []


def test_a_failed_one_becomes_a_canceled_one(run_module, copies):
    copies.add("Failed", mode="offline")
    outcome = run_module(MODULE, copies.args)
    assert outcome["changed"] and outcome["copy"]["state"] == "Canceled"


def test_a_killed_run_is_ended_and_marked(run_module, copies):
    copies.add("InProgress", "MigratingData", mode="offline")
    outcome = run_module(MODULE, copies.args)
    assert not outcome.failed, outcome["msg"]
    assert outcome["copy"]["databases"][0]["state"] == "Canceled"
    assert any("SET cancel" in text for text in copies.writes)
    assert sum("pg_terminate_backend" in text for text in copies.statements) == 2
    assert not any(text.startswith("DROP DATABASE") for text in copies.statements)


def test_only_what_it_made_is_dropped(run_module, copies):
    copies.add("Failed", mode="offline", created=False)
    assert not run_module(MODULE, {**copies.args, "drop": True}).failed
    assert not any(text.startswith("DROP DATABASE") for text in copies.statements)


def test_what_it_made_is_dropped(run_module, copies):
    copies.add("Canceled", mode="offline", step="rows")
    outcome = run_module(MODULE, {**copies.args, "drop": True})
    assert outcome["changed"] and not outcome["copy"]["databases"][0]["created"]
    assert 'DROP DATABASE IF EXISTS "shop" WITH (FORCE)' in copies.writes


def test_check_mode_cancels_nothing(run_module, copies):
    copies.add("InProgress", "MigratingData", mode="offline")
    outcome = run_module(MODULE, {**copies.args, "drop": True}, check_mode=True, diff=True)
    assert outcome["changed"] and outcome["diff"]["after"]["state"] == "Canceled" and copies.writes == []
