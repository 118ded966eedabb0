# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a host has left the play, from the results that the tasks of the roles have registered. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# Looks a value up in a host's variables by a path; None where there is none.
Look = Callable[[Mapping[str, Any], tuple[str, ...]], Any]

# Registered results that others read; the roles' own names begin with two underscores.
SHARED = ("validate_result", "preflight_restored")


def failure_of(known: Mapping[str, Any], look: Look) -> dict[str, str]:
    """`message` and `hint` of the task that failed; empty where no task has kept why."""
    for name in known:
        result = look(known, (name,)) if name.startswith("__") or name in SHARED else None
        if isinstance(result, Mapping) and result.get("failed") is True:
            found = _said(result)
            if found["message"]:
                return found
    return {}


def _said(result: Mapping[str, Any]) -> dict[str, str]:
    # Of a loop, the items that failed say more than their sum.
    items = [item for item in result.get("results") or [] if item.get("failed")] or [result]
    hints = [(item.get("failure") or {}).get("hint") for item in items]
    return {
        "message": " ".join(dict.fromkeys(str(item["msg"]) for item in items if item.get("msg"))),
        "hint": next((hint for hint in hints if hint), ""),
    }
