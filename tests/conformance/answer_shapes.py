# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of an answer: keys and the types under them. Values may differ."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
FLAG = re.compile(r"True|False")
KINDS = (("moment", MOMENT), ("guid", GUID), ("flag", FLAG))


def kind(value: Any) -> str:
    """bool is no number here, and texts with a form of their own are kinds of their own."""
    if isinstance(value, str):
        return next((name for name, form in KINDS if form.fullmatch(value)), "text")
    names = {dict: "object", list: "list", bool: "bool", type(None): "null"}
    return names.get(type(value), "number")


def differences(recorded: Any, found: Any, path: str = "$", by_name: Collection[str] = ()) -> Iterator[str]:
    """`by_name`: keys of objects whose own keys are names (of databases): one entry is like the other.

    Rows of a list are compared with the first recorded one.
    """
    if kind(recorded) != kind(found):
        yield f"{path}: {kind(found)} instead of {kind(recorded)}"
    elif isinstance(recorded, dict):
        if path.rpartition(".")[2] in by_name:
            yield from _rows(list(recorded.values()), list(found.values()), f"{path}.*", by_name)
            return
        yield from (f"{path}.{key}: missing" for key in recorded if key not in found)
        yield from (f"{path}.{key}: never recorded" for key in found if key not in recorded)
        for key in recorded:
            if key in found:
                yield from differences(recorded[key], found[key], f"{path}.{key}", by_name)
    elif isinstance(recorded, list):
        yield from _rows(recorded, found, f"{path}[]", by_name)


def keys(value: Any, path: str = "$") -> Iterator[str]:
    """The paths of all keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}.{key}"
            yield from keys(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for row in value:
            yield from keys(row, f"{path}[]")


def _rows(recorded: list[Any], found: list[Any], path: str, by_name: Collection[str]) -> Iterator[str]:
    if bool(recorded) != bool(found):
        yield f"{path}: {len(found)} rows instead of {len(recorded)}"
    for row in found if recorded else ():
        yield from min((list(differences(model, row, path, by_name)) for model in recorded), key=len)
