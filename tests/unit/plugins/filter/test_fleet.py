# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections import UserDict
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.pgflex.migrate.plugins.filter.fleet import FilterModule

FILTERS = FilterModule().filters()


class Tagged(str):
    """As Ansible's own strings are: a subclass that JSON would not tell from a string."""


HOST = {
    "source": {"resource_group": Tagged("rg"), "name": Tagged("old"), "user": "a", "password": "a"},
    "target": {"resource_group": Tagged("rg"), "name": Tagged("new"), "user": "a", "password": "a"},
    "databases": (Tagged("shop"),),
}


def test_hosts_become_rounds() -> None:
    hosts = UserDict({Tagged("a"): UserDict(HOST)})
    found = FILTERS["fleet_plan"](hosts, {Tagged("parallel"): Tagged("2")}, Tagged("2026-11-21T12:00:00Z"), ())
    assert found["rounds"] == [[{"host": "a", "databases": ["shop"], "part": 1, "parts": 1}]]
    assert found["rounds"][0][0]["host"].__class__ is str


def test_hosts_without_settings_are_among_the_problems() -> None:
    found = FILTERS["fleet_plan"]({"a": "", "b": HOST})
    assert found["problems"] == ["a: pgflex has to be a mapping; see the role pgflex.migrate.settings."]


def test_times_that_yaml_has_read_are_times() -> None:
    hosts = {"a": {**HOST, "window": {"start": datetime(2026, 11, 22, tzinfo=UTC)}}}
    (later,) = FILTERS["fleet_plan"](hosts, None, "2026-11-21")["later"]
    assert later["opens"] == "2026-11-22T00:00:00+00:00"


@pytest.mark.parametrize("name", ["fleet_plan", "fleet_summary"])
@pytest.mark.parametrize("hosts", [None, "a", ["a"], 7])
def test_something_else_than_hosts_is_refused(name: str, hosts: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=f"pgflex.migrate.{name} takes a mapping"):
        FILTERS[name](hosts)


# What became of a host


def facts(known: dict[str, Any], alive: Any = ("shop",)) -> dict[str, Any]:
    found: dict[str, Any] = FILTERS["fleet_facts"]("shop", UserDict({"shop": UserDict(known)}), alive)
    return found


def test_a_host_that_did_nothing_has_no_facts() -> None:
    assert facts({}) == {"failed": False, "phase": None, "later": None, "rest": False, "outcome": None, "message": None}


def test_the_facts_of_a_host_are_gathered() -> None:
    result = UserDict({"outcome": Tagged("failed"), "message": Tagged("No space."), "migration": None})
    known = {"migrate_result": result, "fleet_phase": Tagged("migrating"), "fleet_later": ""}
    found = facts(known, alive=["other"])
    assert found == {
        "failed": True,
        "phase": "migrating",
        "later": "",
        "rest": False,
        "outcome": "failed",
        "message": "No space.",
    }
    assert found["phase"].__class__ is str
    assert FILTERS["fleet_summary"]({Tagged("shop"): UserDict(found)}) == {"shop": "FAILED while migrating: No space."}


def test_a_host_that_stopped_says_why() -> None:
    items = [{"failed": False, "msg": "Fine."}, {"failed": True, "msg": "No rights.", "failure": {"hint": "Ask."}}]
    fine = {"failed": False, "msg": "Fine."}
    known = {"__settings_target": fine, "__network_done": {"failed": True, "msg": "One failed.", "results": items}}
    assert facts(known, alive=[])["message"] == "No rights."
    assert facts(known)["message"] is None
    gone = {"__settings_done": {"failed": True, "msg": "There is no server x: check pgflex.source."}}
    summary = FILTERS["fleet_summary"]({"shop": facts({**gone, "fleet_phase": "looking at its servers"}, alive=[])})
    assert summary["shop"] == "FAILED while looking at its servers: There is no server x: check pgflex.source."
    assert facts({"__own": {"failed": True}, "own": {"failed": True, "msg": "Not ours."}}, alive=[])["message"] is None


@pytest.mark.parametrize("result", [{}, None, ""])
def test_a_result_that_is_empty_says_nothing(result: Any) -> None:
    assert facts({"migrate_result": result})["outcome"] is None
