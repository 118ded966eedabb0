# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._compare import overlay, pick
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure


@pytest.mark.parametrize(
    ("params", "picked"),
    [
        ({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2}),
        ({"a": None, "b": 2}, {"b": 2}),
        ({"a": False, "b": 0}, {"a": False, "b": 0}),
        ({"a": "", "b": []}, {"a": "", "b": []}),
        ({}, {}),
    ],
)
def test_left_out_is_not_picked_but_empty_is(params: dict[str, Any], picked: dict[str, Any]) -> None:
    assert pick(params, ("a", "b")) == picked


@pytest.mark.parametrize(
    ("current", "wanted", "result"),
    [
        (None, {"a": 1}, {"a": 1}),
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": 2}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": {"x": {"p": 1, "q": 2}}}, {"a": {"x": {"q": 3}}}, {"a": {"x": {"p": 1, "q": 3}}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": None}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_overlay(current: dict[str, Any] | None, wanted: dict[str, Any], result: dict[str, Any]) -> None:
    assert overlay(current, wanted) == result


def test_overlay_changes_neither() -> None:
    current, wanted = {"a": {"x": 1}}, {"a": {"y": 2}}
    overlay(current, wanted)
    assert (current, wanted) == ({"a": {"x": 1}}, {"a": {"y": 2}})


@pytest.mark.parametrize("current", [None, {"region": "westeurope"}])
def test_an_immutable_key_may_be_set_or_repeated(current: dict[str, str] | None) -> None:
    assert overlay(current, {"region": "westeurope"}, immutable=("region",)) == {"region": "westeurope"}


def test_an_immutable_key_left_out_stays() -> None:
    assert overlay({"region": "a", "b": 1}, {"b": 2}, immutable=("region",)) == {"region": "a", "b": 2}


def test_an_immutable_key_that_would_change_is_named_with_both_values() -> None:
    with pytest.raises(ModuleFailure) as caught:
        overlay({"region": "westeurope"}, {"region": "eastus"}, immutable=("region",))
    assert caught.value.code == "ImmutableOption"
    assert all(word in caught.value.message for word in ("region", "'westeurope'", "'eastus'"))
