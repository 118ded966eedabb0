# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._fleet.plan import (
    fleet_plan,
    fleet_summary,
    window_wait,
)
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.parts import parts

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
    assert fleet_plan({}) == {"problems": [], "rounds": [], "later": [], "notes": [], "hosts": {}}


def test_hosts_become_rounds() -> None:
    unit = {"host": "a", "databases": ["shop"], "part": 1, "parts": 1}
    mine = {"units": [{"round": 0, "part": 1, "parts": 1, "settings": {}}], "sharing": [], "later": ""}
    assert fleet_plan(fleet(a={})) == {
        "problems": [],
        "rounds": [[unit]],
        "later": [],
        "notes": [],
        "hosts": {"a": mine},
    }
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
    assert problems(hosts, now=NOW, seen={}) == [sentence]


def test_limits_are_checked() -> None:
    assert problems(fleet(a={}), limits={"parallel": "many"}) == [
        "The limit parallel has to be a whole number, 0 for none, not 'many'."
    ]


@pytest.mark.parametrize(
    ("region", "regions", "known"),
    [("West Europe", [], True), ("westeurope", [], True), ("Atlantis", [], False), ("atlantis", ["Atlantis"], True)],
)
def test_regions_are_checked(region: str, regions: list[str], known: bool) -> None:
    found = fleet_plan(fleet(a={"fleet": {"region": region}}, b={}), regions=regions)
    assert found["problems"] == ([] if known else ["a: the region atlantis is not known."])


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
        ({}, {"subscription_id": "abc"}, True),
        ({"subscription_id": "abc"}, {"target": {"subscription_id": "ABC", "name": "A-New"}}, True),
        ({}, {"target": {"resource_group": "x"}}, True),
        ({}, {"target": {"name": "b-new"}}, False),
        # Unquoted in YAML, a name of digits is a number.
        ({"target": {"resource_group": 7, "name": 4711}}, {"target": {"resource_group": "7", "name": "4711"}}, True),
    ],
)
def test_names_of_servers_are_unique_in_azure(one: Any, other: Any, same: bool) -> None:
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


def test_who_has_more_databases_is_told_to_run_again() -> None:
    sentence = fleet_summary({"shop": {"outcome": "ready", "rest": True}})["shop"]
    assert sentence.endswith("within 72 hours. Then run this again: its other databases come after that.")


def test_every_host_has_its_sentence_in_the_plays_order() -> None:
    assert list(fleet_summary({name: {} for name in ("c", "a", "b")})) == ["c", "a", "b"]


# Runs that go on

PAST = {"start": "2026-11-20T00:00:00Z", "end": "2026-11-20T04:00:00Z"}
OVER = "a: the window ended at 2026-11-20T04:00:00+00:00, which is in the past."


def states(*found: str) -> dict[str, Any]:
    return {"a": {"states": list(found)}}


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (["InProgress"], "runs"),
        (["Succeeded"], "runs"),
        # What of it is still to be made is held when its round has come.
        (["Succeeded", ""], "runs"),
        (["Succeeded", "Failed"], "runs"),
        (["Failed"], "waits"),
        (["Canceled", ""], "waits"),
        ([""], "stops"),
        ([], "stops"),
    ],
)
def test_a_window_that_is_over_stops_only_who_has_not_begun(found: list[str], what: str) -> None:
    hosts = fleet(a={"window": PAST}, b={"fleet": {"wave": 2}}, c={"fleet": {"after": ["a"]}})
    hosts["a"]["fleet"] = {"wave": 1}
    plan = fleet_plan(hosts, now=NOW, seen=states(*found))
    assert plan["problems"] == ([OVER] if what == "stops" else [])
    if what == "runs":
        assert plan["rounds"][0][0]["host"] == "a" and plan["later"] == []
    if what == "waits":
        assert [(row["host"], row["reason"]) for row in plan["later"]] == [
            ("a", "Its window is over, give another."),
            ("c", "It comes after a, which has to wait."),
        ]
        assert plan["hosts"]["a"] == {"units": [], "sharing": [], "later": "Its window is over, give another."}


def test_before_anybody_has_looked_a_window_that_is_over_is_told_with_what_is_wrong_anyway() -> None:
    """Whose migration has begun is not known then, so it does not stop a fleet by itself."""
    assert fleet_plan(fleet(a={"window": PAST}), now=NOW)["problems"] == []
    assert problems(fleet(a={"window": PAST}, b={"databases": []}), now=NOW) == [
        "b: pgflex.databases is empty: name at least one database.",
        OVER,
    ]
    assert problems(fleet(a={"window": PAST}, b={"fleet": {"after": ["z"]}}), now=NOW) == [
        OVER,
        "b comes after z, which is no host of the fleet.",
    ]


def test_hosts_and_the_fleet_are_told_at_once() -> None:
    """One password that is missing hides nothing of the others, and nobody is said to wait for a stranger."""
    hosts = fleet(
        a={"target": {"password": None}},
        b={"fleet": {"after": ["c", "a"]}},
        c={"fleet": {"after": ["b"], "region": "atlantis"}},
    )
    assert problems(hosts) == [
        "a: pgflex.target.password is missing.",
        "c: the region atlantis is not known.",
        "These wait for each other: b after c after b.",
    ]


def cutover(end: str) -> dict[str, Any]:
    window = {"start": "2026-11-20T00:00:00Z", "end": end}
    return {"mode": "online", "cutover": {"trigger": "window", "window": window}}


def test_a_cutover_whose_window_is_over_is_told() -> None:
    """It stops a fleet only for a host that has not begun: of the others much more is there to be done."""
    hosts = fleet(a=cutover("2026-11-20T04:00:00Z"), b=cutover("2026-11-25T04:00:00Z"))
    sentence = (
        "a: pgflex.cutover.window ended at 2026-11-20T04:00:00+00:00, which is in the past: give it another, or cut "
        "over with pgflex.migrate.cutover."
    )
    assert problems(hosts, now=NOW, seen={}) == [sentence]
    assert problems({**hosts, "c": host("c", databases=[])}, now=NOW)[1:] == [sentence]
    assert fleet_plan(hosts, now=NOW, seen=states("InProgress"))["notes"] == [sentence]
    assert fleet_plan(hosts, now=NOW, seen=states("Failed"))["notes"] == [sentence]
    assert fleet_plan(hosts, now=NOW, seen=states("Succeeded"))["notes"] == []
    assert fleet_plan(hosts, now=NOW)["notes"] == []


def test_the_region_of_a_target_is_where_it_is() -> None:
    hosts = fleet(a={}, b={}, c={"fleet": {"region": "eastus"}})
    seen = {name: {"location": "West Europe"} for name in hosts}
    assert rounds(hosts, {"per_region": 1}, seen=seen) == [["a", "c"], ["b"]]
    made = fleet(a={"target": {"create": {"location": "westeurope"}}}, b={"target": {"create": {}}})
    assert rounds(made, {"per_region": 1}, seen={"b": {"location": "westeurope"}}) == [["a"], ["b"]]


def test_windows_that_the_service_does_not_take_are_kept_by_the_fleet() -> None:
    window = {"start": "2026-11-22T01:00:00Z", "end": "2026-11-22T05:00:00Z"}
    hosts = fleet(a={"engine": "direct", "window": window}, b={"generation": "classic", "window": window})
    assert [row["host"] for row in fleet_plan(hosts, now=NOW)["later"]] == ["a", "b"]
    plan = fleet_plan(hosts, now="2026-11-22T02:00:00Z")
    (direct,), (classic,) = (plan["hosts"][name]["units"] for name in "ab")
    assert direct["settings"] == {"window": None}
    assert classic["settings"] == {"window": {"start": "2026-11-22T01:00:00Z"}}


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        (None, ""),
        ({}, ""),
        ({"start": "2026-11-21T11:00:00Z", "end": "2026-11-21T13:00:00Z"}, ""),
        ({"start": "2026-11-21T13:00:00+02:00"}, ""),
        ({"start": "2026-11-21T12:00:01Z"}, "Its window opens at 2026-11-21T12:00:01+00:00."),
        ({"start": "2026-11-21T10:00:00Z", "end": NOW}, "Its window is over, give another."),
    ],
)
def test_a_window_is_asked_again_when_a_round_has_come(window: dict[str, Any] | None, reason: str) -> None:
    assert window_wait(window, NOW) == reason


def test_parts_know_their_databases_rounds_and_names() -> None:
    names = [f"base{number}" for number in range(9)]
    hosts = fleet(a={"databases": names, "migration_name": "big"}, b={"target": {"name": "a-new"}})
    plan = fleet_plan(hosts)["hosts"]
    assert plan["a"]["units"] == [
        {"round": 0, "part": 1, "parts": 2, "settings": {"databases": names[:8]}},
        {"round": 1, "part": 2, "parts": 2, "settings": {"databases": names[8:], "migration_name": "big-part2"}},
    ]
    assert (plan["a"]["sharing"], plan["b"]["sharing"]) == (["b"], ["a"])


@pytest.mark.parametrize("given", [None, "x", {}, {"databases": None}, {"databases": []}, {"databases": "shop"}])
def test_what_is_no_host_is_one_part_that_the_settings_refuse(given: Any) -> None:
    assert parts(given) == [{}]


def test_who_is_outside_the_play_is_not_waited_for() -> None:
    hosts = fleet(a={"fleet": {"after": ["b"]}})
    assert problems(hosts)
    assert rounds(hosts, outside=["b"]) == [["a"]]
