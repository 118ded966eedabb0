# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._fleet_plan import fleet_plan, fleet_summary

NOW = "2026-11-21T12:00:00Z"
OWN = {"type": "OnPremises", "host": "db.example.com", "user": "postgres", "password": "a"}


def host(name: str, **more: Any) -> dict[str, Any]:
    """The dictionary pgflex of a host with servers of its own; `more` is laid over it, mappings key by key."""
    made: dict[str, Any] = {
        "source": {"resource_group": "rg", "name": f"{name}-old", "user": "a", "password": "Secret-1"},
        "target": {"resource_group": "rg", "name": f"{name}-new", "user": "a", "password": "Secret-2"},
        "databases": ["shop"],
    }
    for key, value in more.items():
        made[key] = {**made[key], **value} if isinstance(value, dict) and key in made else value
    return made


def fleet(**hosts: dict[str, Any]) -> dict[str, Any]:
    """Hosts by name, each with what is not as usual."""
    return {name: host(name, **more) for name, more in hosts.items()}


def rounds(hosts: dict[str, Any], limits: dict[str, Any] | None = None, **more: Any) -> list[list[str]]:
    found = fleet_plan(hosts, limits, **more)
    assert found["problems"] == []
    return [[unit["host"] for unit in together] for together in found["rounds"]]


def problems(hosts: dict[str, Any], **more: Any) -> list[str]:
    found = fleet_plan(hosts, **more)
    assert (found["rounds"], found["later"]) == ([], [])
    return list(found["problems"])


def test_no_hosts_are_no_fleet() -> None:
    assert fleet_plan({}) == {"problems": [], "rounds": [], "later": []}


def test_hosts_become_rounds() -> None:
    unit = {"host": "a", "databases": ["shop"], "part": 1, "parts": 1}
    assert fleet_plan(fleet(a={})) == {"problems": [], "rounds": [[unit]], "later": []}
    assert rounds(fleet(a={}, b={}, c={})) == [["a", "b", "c"]]
    assert rounds(fleet(a={}, b={}, c={}), {"parallel": "2"}) == [["a", "b"], ["c"]]


def test_what_is_given_stays_as_it_was() -> None:
    hosts = fleet(a={"fleet": {"wave": 1}}, b={})
    before = copy.deepcopy(hosts)
    fleet_plan(hosts, {}, NOW, ["westeurope"])
    assert hosts == before


# What is wrong


def test_all_problems_of_all_hosts_are_told_at_once() -> None:
    hosts = fleet(
        a={"target": {"password": None}},
        b={"databases": []},
        c={},
        d={"engine": "direct", "option": "Validate", "source": {"user": None}},
    )
    found = problems({**hosts, "e": "", "f": None, "g": ["shop"]})
    assert found == [
        "a: pgflex.target.password is missing.",
        "b: pgflex.databases is empty: name at least one database.",
        "d: pgflex.source.user is missing.",
        "d: pgflex.option means the service: needs pgflex.engine service.",
        *(f"{name}: pgflex has to be a mapping; see the role pgflex.migrate.settings." for name in "efg"),
    ]


def test_no_problem_tells_a_secret() -> None:
    hosts = fleet(a={"databases": []}, b={"fleet": {"after": ["b"], "wave": "x"}})
    assert "Secret" not in " ".join(problems(hosts))
    del hosts["a"]
    assert "Secret" not in " ".join(problems(hosts))


@pytest.mark.parametrize(
    ("hosts", "sentence"),
    [
        (fleet(a={"fleet": {"wave": "x"}}), "a: wave has to be a whole number, not 'x'."),
        (fleet(a={"fleet": {"priority": 1.5}}), "a: priority has to be a whole number, not 1.5."),
        (fleet(a={"fleet": {"after": "b"}}), "a: after has to be a list of names."),
        (fleet(a={"fleet": {"after": ["z"]}}), "a comes after z, which is no host of the fleet."),
        (fleet(a={"fleet": "soon"}), "a: pgflex.fleet has to be a mapping."),
        (fleet(a={"window": "soon"}), "a: pgflex.window has to be a mapping."),
        (fleet(a={"engine": "other"}), "a: engine 'other' is none of service, direct."),
        (fleet(a={"databases": ["shop", "shop"]}), "a: pgflex.databases names shop more than once."),
        (
            fleet(a={"fleet": {"after": ["b"]}}, b={"fleet": {"after": ["a"]}}),
            "These wait for each other: a after b after a.",
        ),
        (
            fleet(a={"window": {"start": "2026-11-20T01:00:00Z", "end": "2026-11-20T02:00:00Z"}}),
            "a: the window ended at 2026-11-20T02:00:00+00:00, which is in the past.",
        ),
    ],
)
def test_wrong_plans_are_told(hosts: dict[str, Any], sentence: str) -> None:
    assert problems(hosts, now=NOW) == [sentence]


def test_limits_are_checked() -> None:
    assert problems(fleet(a={}), limits={"parallel": "many"}) == [
        "The limit parallel has to be a whole number, 0 for none, not 'many'."
    ]


@pytest.mark.parametrize(
    ("regions", "known"),
    [(None, True), (["West Europe"], True), (["westeurope"], True), (["eastus"], False), ([], False)],
)
def test_regions_are_checked_when_they_are_known(regions: list[str] | None, known: bool) -> None:
    found = fleet_plan(fleet(a={"fleet": {"region": "westeurope"}}, b={}), regions=regions)
    assert found["problems"] == ([] if known else ["a: the region westeurope is not known."])


# Databases


def test_more_databases_than_a_migration_takes_become_parts() -> None:
    names = [f"base{number}" for number in range(17)]
    found = fleet_plan(fleet(a={"databases": names}, b={}))
    parts = [next(unit for unit in together if unit["host"] == "a") for together in found["rounds"]]
    assert [unit["databases"] for unit in parts] == [names[:8], names[8:16], names[16:]]
    assert [(unit["part"], unit["parts"]) for unit in parts] == [(1, 3), (2, 3), (3, 3)]
    assert [unit["host"] for unit in found["rounds"][0]] == ["a", "b"]


def test_the_direct_engine_takes_them_all() -> None:
    names = [f"base{number}" for number in range(17)]
    ((unit,),) = fleet_plan(fleet(a={"databases": names, "engine": "direct"}))["rounds"]
    assert unit == {"host": "a", "databases": names, "part": 1, "parts": 1}


# Which servers are one


@pytest.mark.parametrize(
    "written",
    [
        {"name": "A-New"},
        {"resource_group": "RG"},
        {"name": "a-new", "host": "a-new.example.com", "port": 6432},
    ],
)
def test_a_target_is_one_however_its_name_is_written(written: dict[str, Any]) -> None:
    hosts = fleet(a={}, b={"target": {"name": "a-new", **written}, "databases": ["stock"]})
    assert rounds(hosts) == [["a"], ["b"]]
    (problem,) = problems(fleet(a={}, b={"target": {"name": "a-new", **written}}))
    assert problem.startswith("a and b migrate the database shop to the same target ")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"subscription_id": "ABC"}, {"subscription_id": "abc"}, True),
        ({"subscription_id": "abc"}, {"target": {"subscription_id": "ABC", "name": "a-new"}}, True),
        ({"subscription_id": "abc"}, {"subscription_id": "def"}, False),
        ({"subscription_id": "abc"}, {"subscription_id": "abc", "target": {"resource_group": "x"}}, False),
        # Unquoted in YAML, a name of digits is a number.
        ({"target": {"resource_group": 7, "name": 4711}}, {"target": {"resource_group": "7", "name": "4711"}}, True),
    ],
)
def test_names_are_unique_in_a_subscription_and_group(one: Any, other: Any, same: bool) -> None:
    hosts = fleet(a=one, b={"databases": ["stock"], **other})
    hosts["b"]["target"] = {**hosts["a"]["target"], **other.get("target", {})}
    assert (len(rounds(hosts)) == 2) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"host": "DB.example.com"}, True),
        ({}, {"port": 5432}, True),
        ({}, {"port": 5433}, False),
        ({}, {"host": "other.example.com"}, False),
        # A source outside Azure is known by its address, whatever it is called.
        ({"name": "one"}, {"name": "two", "resource_group": "rg"}, True),
    ],
)
def test_a_source_outside_azure_is_its_address(one: Any, other: Any, same: bool) -> None:
    hosts = fleet(a={}, b={})
    hosts["a"]["source"], hosts["b"]["source"] = {**OWN, **one}, {**OWN, **other}
    assert (rounds(hosts) == [["a"], ["b"]]) is same


def test_a_source_is_asked_by_one_at_a_time() -> None:
    hosts = fleet(a={}, b={"source": {"name": "A-OLD"}})
    assert rounds(hosts) == [["a"], ["b"]]
    assert rounds(hosts, {"per_source": 2}) == [["a", "b"]]


# When


def test_a_window_that_is_not_open_yet_holds_its_host() -> None:
    window = {"start": "2026-11-22T01:00:00Z", "end": "2026-11-22T05:00:00Z"}
    hosts = fleet(a={"window": window}, b={}, c={"fleet": {"after": ["a"]}})
    found = fleet_plan(hosts, now=NOW)
    assert [[unit["host"] for unit in together] for together in found["rounds"]] == [["b"]]
    assert [(row["host"], row["reason"]) for row in found["later"]] == [
        ("a", "Its window opens at 2026-11-22T01:00:00+00:00."),
        ("c", "It comes after a, which has to wait."),
    ]
    assert rounds(hosts, now="2026-11-22T02:00:00Z") == [["a", "b"], ["c"]]
    assert rounds(hosts) == [["a", "b"], ["c"]]


def test_order_is_by_after_waves_and_priority() -> None:
    assert rounds(fleet(a={"fleet": {"after": ["b"]}}, b={})) == [["b"], ["a"]]
    assert rounds(fleet(a={"fleet": {"wave": 2}}, b={"fleet": {"wave": "1"}})) == [["b"], ["a"]]
    hosts = fleet(a={}, b={"fleet": {"priority": 5, "wave": None, "after": None}})
    assert rounds(hosts, {"parallel": 1}) == [["b"], ["a"]]


def test_a_region_has_its_limit() -> None:
    hosts = fleet(a={"fleet": {"region": "West Europe"}}, b={"fleet": {"region": "westeurope"}}, c={})
    assert rounds(hosts, {"per_region": 1}) == [["a", "c"], ["b"]]


# What became of them


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"later": "Its window opens soon."}, "Waits: Its window opens soon."),
        ({"later": "", "outcome": "succeeded"}, "Migrated."),
        ({"failed": True, "phase": "migrating", "message": "No space."}, "FAILED while migrating: No space."),
        ({"failed": True, "phase": None}, "FAILED while checking its settings: see the error of its task above."),
        # It fails after its copy: what it was doing then is what counts.
        (
            {"failed": True, "phase": "finishing", "outcome": "succeeded", "message": None},
            "FAILED while finishing: see the error of its task above.",
        ),
        ({"outcome": None}, "Nothing was to be done."),
        ({}, "Nothing was to be done."),
    ],
)
def test_a_sentence_says_how_far_a_host_came(facts: dict[str, Any], sentence: str) -> None:
    assert fleet_summary({"shop": facts}) == {"shop": sentence}


def test_who_waits_for_the_cutover_is_told_how_to_go_on() -> None:
    sentence = fleet_summary({"shop": {"failed": False, "outcome": "ready"}})["shop"]
    assert sentence.startswith("Ready for its cutover: run pgflex.migrate.cutover") and "72 hours" in sentence


def test_every_host_has_its_sentence_in_the_plays_order() -> None:
    assert list(fleet_summary({name: {} for name in ("c", "a", "b")})) == ["c", "a", "b"]


# Runs that go on


def test_a_window_that_is_over_is_nothing_to_a_host_that_has_begun() -> None:
    past = {"start": "2026-11-20T00:00:00Z", "end": "2026-11-20T04:00:00Z"}
    hosts = fleet(a={"window": past}, b={})
    assert [text for text in problems(hosts, now=NOW) if "a" in text]
    assert rounds(hosts, now=NOW, begun=["a"]) == [["a", "b"]]


def test_who_is_outside_the_play_is_not_waited_for() -> None:
    hosts = fleet(a={"fleet": {"after": ["b"]}})
    assert problems(hosts)
    assert rounds(hosts, outside=["b"]) == [["a"]]
