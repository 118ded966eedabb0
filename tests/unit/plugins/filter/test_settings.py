# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of the roles' own reasoning, as Ansible calls them: with its own kinds of text."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.pgflex.migrate.plugins.filter.settings import FilterModule

try:
    from ansible.template import trust_as_template
except ImportError:
    # Before ansible-core 2.19 every text is a template.
    trust_as_template = str

FILTERS = FilterModule().filters()


class Tagged(str):
    """As Ansible's own strings are: a subclass that JSON would not tell from a string."""


def tagged(value: Any, text: Any) -> Any:
    """The value with every text, keys too, as `text` makes it, in mappings that are no dictionaries."""
    if isinstance(value, dict):
        return MappingProxyType({tagged(key, text): tagged(item, text) for key, item in value.items()})
    if isinstance(value, list):
        return tuple(tagged(item, text) for item in value)
    return text(value) if isinstance(value, str) else value


def types(value: Any) -> set[type]:
    if isinstance(value, dict):
        return {dict}.union(*(types(item) for pair in value.items() for item in pair))
    if isinstance(value, list):
        return {list}.union(*(types(item) for item in value))
    return {type(value)}


ROWS = [
    {"name": "shop", "state": "Failed", "tags": {"pgflex-created-1": "shop", "pgflex-created-2": "stock"}},
    {"name": "shop-r2", "state": "InProgress", "tags": None},
]
COPY = {"name": "shop", "state": "Failed", "error": "It broke.", "databases": [{"name": "shop", "state": "Failed"}]}
CALLS = {
    "attempt": (ROWS, ["shop", 3], {"name": "shop-r2", "migration": ROWS[1], "history": ROWS[:1]}),
    "created": (ROWS, [], ["shop", "stock"]),
    "created_tags": (["shop"], [], {"pgflex-created-1": "shop"}),
    "copy_result": (
        COPY,
        ["host"],
        {
            "label": "host",
            "name": "shop",
            "outcome": "failed",
            "message": "It broke.",
            "history": [
                {"at": None, "state": "InProgress", "substate": "MigratingData", "ready": False},
                {"at": None, "state": "Failed", "substate": None, "ready": False},
            ],
            "ready_since": None,
            "migration": COPY,
        },
    ),
}


@pytest.mark.parametrize(
    "text", [str, Tagged, wrap_var, trust_as_template], ids=["plain", "tagged", "unsafe", "trusted"]
)
@pytest.mark.parametrize("name", CALLS)
def test_every_kind_of_text_gives_the_same(name: str, text: Any) -> None:
    given, arguments, expected = CALLS[name]
    found = FILTERS[name](tagged(given, text), *(tagged(argument, text) for argument in arguments))
    assert found == expected
    assert types(found) <= {dict, list, str, int, bool, type(None)}
    json.dumps(found)


def test_a_number_of_attempts_may_come_as_text() -> None:
    failed = [{"name": "shop", "state": "Failed"}]
    assert FILTERS["attempt"](failed, "shop", Tagged("2"))["name"] == "shop-r2"
    assert FILTERS["attempt"](failed, "shop", Tagged("1"))["name"] == "shop"


def test_what_is_created_goes_through_tags_and_back() -> None:
    names = [Tagged(f"base {number}") for number in range(12)]
    history = [{"name": "shop", "state": "Failed", "tags": FILTERS["created_tags"](names)}]
    assert FILTERS["created"](history) == sorted(names)
