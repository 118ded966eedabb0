# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random
import time
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._fleet.checks import cycles
from ansible_collections.pgflex.migrate.plugins.module_utils._fleet.waves import waves

NOW = "2026-11-21T12:00:00Z"


def row(host: str, source: str | None = None, target: str | None = None, **more: Any) -> dict[str, Any]:
    made = {"host": host, "source": source or f"{host}-old", "target": target or f"{host}-new", "databases": ["shop"]}
    return {**made, **more}


def planned(*rows: dict[str, Any], now: str | None = NOW, **limits: int) -> list[list[str]]:
    found = waves(rows, limits, now)
    assert found["problems"] == []
    return [[one["host"] for one in together] for together in found["rounds"]]


def problems(*rows: dict[str, Any], **more: Any) -> list[str]:
    found = waves(rows, now=NOW, **more)
    assert (found["rounds"], found["later"]) == ([], [])
    return list(found["problems"])


def test_an_empty_fleet_is_done() -> None:
    assert waves([]) == {"problems": [], "rounds": [], "later": []}


def test_what_has_nothing_in_common_runs_together() -> None:
    assert planned(row("a"), row("b"), row("c")) == [["a", "b", "c"]]


@pytest.mark.parametrize(
    ("rows", "limits", "expected"),
    [
        ([row("a"), row("b"), row("c")], {"parallel": 2}, [["a", "b"], ["c"]]),
        ([row("a", "s"), row("b", "s"), row("c")], {}, [["a", "c"], ["b"]]),
        ([row("a", "s"), row("b", "S"), row("c", "s")], {"per_source": 2}, [["a", "b"], ["c"]]),
        ([row("a", "s"), row("b", "s"), row("c", "s")], {"per_source": 0}, [["a", "b", "c"]]),
        ([row(name) for name in "abcdefghij"], {}, [list("abcdefgh"), ["i", "j"]]),
        ([row(name) for name in "abcdefghij"], {"parallel": 0}, [list("abcdefghij")]),
        (
            [row("a", region="West Europe"), row("b", region="westeurope"), row("c", region="eastus"), row("d")],
            {"per_region": 1},
            [["a", "c", "d"], ["b"]],
        ),
    ],
)
def test_limits(rows: list[dict[str, Any]], limits: dict[str, int], expected: list[list[str]]) -> None:
    assert planned(*rows, **limits) == expected


def test_many_sources_queue_for_one_target() -> None:
    rows = [row(name, target="one", databases=[name]) for name in "abc"]
    assert planned(*rows, row("d")) == [["a", "d"], ["b"], ["c"]]


def test_more_databases_than_a_migration_takes_become_parts() -> None:
    names = [f"db{number}" for number in range(19)]
    rounds = waves([row("b"), row("a", databases=names)])["rounds"]
    assert [[(one["host"], one["part"], one["parts"]) for one in together] for together in rounds] == [
        [("a", 1, 3), ("b", 1, 1)],
        [("a", 2, 3)],
        [("a", 3, 3)],
    ]
    assert [together[0]["databases"] for together in rounds] == [names[:8], names[8:16], names[16:]]


def test_a_direct_copy_takes_any_number() -> None:
    names = [f"db{number}" for number in range(19)]
    assert waves([row("a", databases=names, engine="direct")])["rounds"] == [
        [{"host": "a", "databases": names, "part": 1, "parts": 1}]
    ]


def test_priority_then_the_window_that_closes_first_then_the_rows() -> None:
    rows = [row("a"), row("b", window={"end": "2026-11-22"}), row("c", window={"end": "2026-11-21T13:00:00Z"})]
    rows += [row("d", priority=5), row("e", priority="-1")]
    assert planned(*rows, parallel=1) == [["d"], ["c"], ["b"], ["a"], ["e"]]


def test_the_longest_queue_begins_first() -> None:
    rows = [row("a"), row("b", target="t", databases=["b"]), row("c", target="t", databases=["c"])]
    assert planned(*rows, parallel=1) == [["b"], ["c"], ["a"]]


def test_waves_are_strict_and_a_host_without_one_is_bound_to_none() -> None:
    rows = [row("late", wave=2), row("free"), row("early", wave="1"), row("slow", target="early-new", databases=["x"])]
    rows[-1]["wave"] = 1
    assert planned(*rows) == [["early", "free"], ["slow"], ["late"]]


def test_what_comes_after_waits_for_every_part() -> None:
    big = row("big", databases=[f"db{number}" for number in range(9)])
    assert planned(row("a", after=["big"]), big, row("b", after=["a"])) == [["big"], ["big"], ["a"], ["b"]]


def test_done_and_running() -> None:
    rows = [row("a", after=["b"]), row("b", state="done", window={"end": "2026-11-20"})]
    assert planned(*rows) == [["a"]]
    active = [row(name, state="running", window={"start": "2026-12-01"}) for name in "cde"]
    assert planned(row("a", priority=9), *active, parallel=2) == [["c", "d", "e"], ["a"]]


def test_who_has_to_wait_and_why() -> None:
    rows = [
        row("open", window={"start": "2026-11-21T11:00:00Z", "end": "2026-11-21T13:00:00Z"}),
        row("shut", window={"start": "2026-11-22T01:00:00+01:00"}, wave=1),
        row("behind", after=["shut"]),
        row("second", wave=2),
        row("behind-second", after=["second"], wave=3),
        row("first", wave=1),
        row("free"),
    ]
    found = waves(rows, now=NOW)
    assert found["problems"] == []
    assert [[one["host"] for one in together] for together in found["rounds"]] == [["open", "first", "free"]]
    assert found["later"] == [
        {
            "host": "shut",
            "reason": "Its window opens at 2026-11-22T00:00:00+00:00.",
            "opens": "2026-11-22T00:00:00+00:00",
        },
        {"host": "behind", "reason": "It comes after shut, which has to wait.", "opens": None},
        {"host": "second", "reason": "Its wave 2 comes after wave 1, where shut has to wait.", "opens": None},
        {"host": "behind-second", "reason": "Its wave 3 comes after wave 1, where shut has to wait.", "opens": None},
    ]


def test_without_a_clock_windows_hold_nobody() -> None:
    assert planned(row("a", window={"start": "2099-01-01"}), row("b", window={"end": "2001-01-01"}), now=None) == [
        ["b", "a"]
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"source": "s"}], ["Row 1 has no host."]),
        ([{"host": "a", "source": "s", "databases": []}], ["a has no target.", "a has no databases."]),
        ([row("a", databases="shop")], ["a: databases has to be a list of names."]),
        ([row("a", priority="high")], ["a: priority has to be a whole number, not 'high'."]),
        ([row("a", engine="az")], ["a: engine 'az' is none of service, direct."]),
        ([row("a", window="night")], ["a: window has to be a mapping of start and end."]),
        (
            [row("a", window={"start": "soon"})],
            ["a: window.start 'soon' is no time such as 2026-11-21T02:00:00Z."],
        ),
        (
            [row("a", window={"start": "2026-11-22", "end": "2026-11-22"})],
            ["a: the window ends at 2026-11-22T00:00:00+00:00, not after its start."],
        ),
        (
            [row("a", window={"end": "2026-11-21T12:00:00Z"})],
            ["a: the window ended at 2026-11-21T12:00:00+00:00, which is in the past."],
        ),
        ([row("a"), row("a", target="x")], ["a is there more than once."]),
        ([row("a", databases=["x", "y", "x"])], ["a names the database x more than once."]),
        (
            [row("a", target="T", databases=["x", "y", "z"]), row("b", target="t", databases=["y", "x", "Z"])],
            ["a and b migrate the databases x, y to the same target t: one would overwrite the other."],
        ),
        (
            [row("a", "s", "t"), row("b", "s", "t")],
            ["a and b migrate the database shop from s to t more than once."],
        ),
        ([row("a", after=["x"])], ["a comes after x, which is no host of the fleet."]),
        ([row("a", after=["a"])], ["These wait for each other: a after a."]),
        (
            [row("a", after=["b"]), row("b", after=["c"]), row("c", after=["b"]), row("d", after=["d", "a"])],
            ["These wait for each other: b after c after b.", "These wait for each other: d after d."],
        ),
        (
            [row("a", wave=1, after=["b"]), row("b", after=["c"]), row("c", wave=2)],
            ["a of wave 1 comes after c of wave 2."],
        ),
    ],
)
def test_problems(rows: list[dict[str, Any]], expected: list[str]) -> None:
    assert sorted(problems(*rows)) == sorted(expected)


def test_all_problems_are_told_at_once() -> None:
    rows = [row("a", after=["b"]), row("b", after=["a"]), row("c", window={"end": "2026-01-01"}), row("d", wave="x")]
    rows += [row("e", region="mars"), row("f", after=["d"])]
    found = problems(*rows, regions=["West Europe"], limits={"parallel": -1, "per_planet": 1})
    assert len(found) == 6
    assert "e: the region mars is not known." in found
    assert "The limit parallel has to be a whole number, 0 for none, not '-1'." in found
    assert "per_planet is no limit: there are parallel, per_source, per_region." in found


def test_a_clock_that_is_none_is_a_problem() -> None:
    assert waves([], now="noon")["problems"] == ["now 'noon' is no time such as 2026-11-21T02:00:00Z."]


def test_cycles_of_a_long_chain_need_no_deep_stack() -> None:
    chain = {str(number): [str(number + 1)] for number in range(1000)}
    assert cycles({**chain, "1000": []}) == []
    assert len(cycles({**chain, "1000": ["0"]})[0]) == 1001


def test_random_fleets_keep_every_rule() -> None:
    numbers = random.Random(4711)
    for _round in range(150):
        rows = [
            row(
                f"h{number}",
                f"s{numbers.randrange(6)}",
                f"t{numbers.randrange(6)}",
                databases=[f"d{number}-{one}" for one in range(numbers.randint(1, 20))],
                region=numbers.choice(["", "x", "y"]),
                priority=numbers.randrange(3),
                wave=numbers.choice([None, number // 5]),
                after=[f"h{numbers.randrange(number)}"] if number and numbers.random() < 0.3 else [],
            )
            for number in range(numbers.randint(1, 20))
        ]
        limits = {
            "parallel": numbers.randrange(5),
            "per_source": numbers.randrange(3),
            "per_region": numbers.randrange(3),
        }
        found = waves(rows, limits, NOW)
        assert found["problems"] == [] and found["later"] == []
        _verify(rows, found["rounds"], limits)


def _verify(rows: list[dict[str, Any]], rounds: list[list[dict[str, Any]]], limits: dict[str, int]) -> None:
    by_name = {one["host"]: one for one in rows}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    seen: dict[str, list[str]] = {name: [] for name in by_name}
    for number, together in enumerate(rounds):
        used = [by_name[one["host"]] for one in together]
        assert together
        assert len({one["target"] for one in used}) == len(used)
        assert len(used) <= (limits["parallel"] or 99)
        for key, limit in (("source", limits["per_source"]), ("region", limits["per_region"])):
            names = [one[key] for one in used if one[key]]
            assert not limit or all(names.count(name) <= limit for name in names)
        for one in together:
            assert 1 <= len(one["databases"]) <= 8
            first.setdefault(one["host"], number)
            last[one["host"]] = number
            seen[one["host"]] += one["databases"]
    assert seen == {name: one["databases"] for name, one in by_name.items()}
    for name, one in by_name.items():
        assert all(last[other] < first[name] for other in one["after"])
        for other, two in by_name.items():
            if None not in (one["wave"], two["wave"]) and one["wave"] < two["wave"]:
                assert last[name] < first[other]


def test_a_thousand_are_planned_within_a_second() -> None:
    rows = [row(f"h{number}", wave=number // 100, region=f"r{number % 7}") for number in range(1000)]
    started = time.process_time()
    assert sum(len(together) for together in waves(rows, {"per_region": 2}, NOW)["rounds"]) == 1000
    assert time.process_time() - started < 1
