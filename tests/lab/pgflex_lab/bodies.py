# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads JSON that anybody may have sent."""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 100


class InvalidJson(ValueError):
    """What was sent is no JSON that a service takes; the text says why."""


def parse(raw: bytes) -> Any:
    """Refuses what Python would take and nobody could answer: NaN, half characters, and nesting without an end."""
    if not raw.strip():
        return None
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidJson("It is nested too deep.") from None
    except InvalidJson:
        raise
    except ValueError as error:
        raise InvalidJson(str(error)) from None
    _check(value)
    return value


def _refuse_constant(name: str) -> None:
    raise InvalidJson(f"Unexpected character encountered while parsing value: {name[0]}.")


def _check(value: Any) -> None:
    level = [value]
    for _depth in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, dict):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                below += item
        if not below:
            return
        level = below
    raise InvalidJson("It is nested too deep.")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidJson("A string has half a character in it.") from None
