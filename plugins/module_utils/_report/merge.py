# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an earlier report saw and this run can not see any more. Pure."""

from __future__ import annotations

import json
from typing import Any

from .row import complete, spans
from .words import order

SCHEMA, VERSION = "pgflex.migrate.report", 1
# Facts of the past: nothing in Azure or the servers tells them once the run is over.
PAST = (
    "read_only_since",
    "finished_at",
    "downtime_seconds",
    "validation",
    "validated_at",
    "rows",
    "bytes",
    "estimate_seconds",
    "preflight",
    "topology",
    "started_at",
)


def earlier_rows(text: str) -> dict[str, dict[str, Any]]:
    """The hosts of an earlier report; none when the text is something else."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict) or (found.get("schema"), found.get("version")) != (SCHEMA, VERSION):
        return {}
    return {host: complete(row) for host, row in found["hosts"].items()}


def merged(rows: list[dict[str, Any]], before: dict[str, dict[str, Any]], others: list[str]) -> list[dict[str, Any]]:
    """The rows with what was known of the same migrations before, and those of `others` as they were."""
    found = [_joined(row, before.get(row["host"])) for row in rows]
    here = {row["host"] for row in rows}
    return found + [before[host] for host in others if host in before and host not in here]


def _joined(row: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
    if not old or old["migration_name"] != row["migration_name"] or _another(row, old):
        return row
    states = _states(old["states"], row["states"])
    kept = {key: old[key] for key in PAST if row[key] in ("", None, {}, []) and old[key]}
    joined = {**row, **kept, "states": states}
    joined["changes"] = list({change["text"]: change for change in [*old["changes"], *row["changes"]]}.values())
    if len(old["states"]) > 0 and old["ended_at"] and row["state"] == old["state"]:
        # The end was seen when it came; a later look only sees that it has come.
        joined["ended_at"] = old["ended_at"]
    joined["started_at"] = min(filter(None, (old["started_at"], row["started_at"])), key=order, default="")
    # Where its times are not known, what was said of its durations stands.
    return joined | {key: value for key, value in spans(joined).items() if value is not None}


def _another(row: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether the same name is a new migration: the first was deleted meanwhile."""
    return bool(row["migration_id"] and old["migration_id"] and row["migration_id"] != old["migration_id"])


def _states(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Both in order of time; a state that goes on is in there once, from when it was first seen."""
    found: list[dict[str, Any]] = []
    for state in sorted([*old, *new], key=lambda state: order(state["at"])):
        if not found or (found[-1]["state"], found[-1]["substate"]) != (state["state"], state["substate"]):
            found.append(state)
    return found
