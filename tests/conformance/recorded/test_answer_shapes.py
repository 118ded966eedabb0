# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from answer_shapes import differences, keys, kind


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("abc", "text"),
        ("", "text"),
        ("2022-09-29T07:05:19.6651588Z", "moment"),
        ("2021-09-16T11:49:58+00:00", "moment"),
        ("da52db29-cfeb-4670-a1ad-683edb14c621", "guid"),
        ("True", "flag"),
        (True, "bool"),
        (0, "number"),
        (1.5, "number"),
        (None, "null"),
        ({}, "object"),
        ([], "list"),
    ],
)
def test_kinds(value: Any, expected: str) -> None:
    assert kind(value) == expected


@pytest.mark.parametrize(
    ("recorded", "found", "expected"),
    [
        ({"a": 1}, {"a": 2}, []),
        ({"a": 1}, {}, ["$.a: missing"]),
        ({}, {"a": 1}, ["$.a: never recorded"]),
        ({"a": "True"}, {"a": True}, ["$.a: bool instead of flag"]),
        ({"a": {"b": [1]}}, {"a": {"b": ["1"]}}, ["$.a.b[]: text instead of number"]),
        ([{"a": 1}], [{"a": 1}, {"a": 2, "b": 3}], ["$[].b: never recorded"]),
        ([{"a": 1}, {"b": 1}], [{"b": 2}], []),
        ([1], [], ["$[]: 0 rows instead of 1"]),
        ([], [1], ["$[]: 1 rows instead of 0"]),
    ],
)
def test_differences(recorded: Any, found: Any, expected: list[str]) -> None:
    assert list(differences(recorded, found)) == expected


def test_keys_that_are_names_are_not_compared() -> None:
    recorded = {"dbDetails": {"db3": {"latency": 0}}}
    assert list(differences(recorded, {"dbDetails": {"shop": {"latency": 1}}}, by_name=("dbDetails",))) == []
    assert list(differences(recorded, {"dbDetails": {"shop": {}}}, by_name=("dbDetails",))) == [
        "$.dbDetails.*.latency: missing"
    ]
    assert list(differences(recorded, {"dbDetails": {}}, by_name=("dbDetails",))) == [
        "$.dbDetails.*: 0 rows instead of 1"
    ]


def test_paths_of_keys() -> None:
    assert list(keys({"a": [{"b": {"c": 1}}], "d": 2})) == ["$.a", "$.a[].b", "$.a[].b.c", "$.d"]
