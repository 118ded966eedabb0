# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Laying options over what is there. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ._errors import ModuleFailure


def pick(params: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The options of `names` that the user gave; an option left out never changes anything."""
    return {name: params[name] for name in names if params.get(name) is not None}


def overlay(current: dict[str, Any] | None, wanted: dict[str, Any], immutable: Iterable[str] = ()) -> dict[str, Any]:
    """`wanted` laid over `current`, nested mappings key by key; raises when a key of `immutable` would change."""
    base = dict(current or {})
    if current is not None:
        for name in immutable:
            if name in wanted and current.get(name) != wanted[name]:
                raise ModuleFailure(
                    f"{name} can not be changed once the resource exists: "
                    f"it is {current.get(name)!r}, {wanted[name]!r} was asked for.",
                    code="ImmutableOption",
                    hint=f"Leave the option {name} as it is, or make a resource under another name.",
                )
    for name, value in wanted.items():
        old = base.get(name)
        base[name] = overlay(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return base
