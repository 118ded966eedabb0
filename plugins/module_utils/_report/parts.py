# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One row of a report for a host whose databases are several migrations. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .row import EMPTY, STATUSES
from .words import between, order

Row = dict[str, Any]
LEADING = ("status", "outcome", "problem", "remedy", "failed_task", "state", "substate", "service_validation")
SUMS = ("copy_seconds", "estimate_seconds", "bytes", "rows")
LISTS = ("states", "progress", "changes")


def with_parts(row: Row, kept: Sequence[Row], databases: Sequence[str]) -> Row:
    """`row` as the last thing that is known of one part, among what was kept of all, in the order of `databases`."""
    rows = [one for one in kept if one["databases"] != row["databases"]] + [row]
    if len(rows) == 1:
        return row
    place = {name: number for number, name in enumerate(databases)}
    return _joined(
        sorted(rows, key=lambda one: min(place.get(name, 0) for name in one["databases"] or [""])), databases
    )


def _joined(rows: Sequence[Row], databases: Sequence[str]) -> Row:
    leading = min(rows, key=lambda one: STATUSES.index(one["status"]))
    started = min(_given(rows, "started_at"), key=order, default="")
    ended = max(_given(rows, "ended_at"), key=order, default="") if all(one["ended_at"] for one in rows) else ""
    return {
        **rows[0],
        **{key: leading[key] for key in LEADING},
        **{key: _sum(rows, key) for key in SUMS},
        **{key: [item for one in rows for item in one[key]] for key in LISTS},
        "states": sorted((state for one in rows for state in one["states"]), key=lambda state: order(state["at"])),
        "migration_name": ", ".join(_given(rows, "migration_name")),
        # There is none for several, and another one than before would mean that all of them are new.
        "migration_id": EMPTY["migration_id"],
        "databases": list(databases),
        "started_at": started,
        "ended_at": ended,
        "seconds": between(started, ended),
        "read_only_since": min(_given(rows, "read_only_since"), key=order, default=""),
        "finished_at": max(_given(rows, "finished_at"), key=order, default=""),
        "downtime_seconds": max(_given(rows, "downtime_seconds"), default=None),
        "validation": _validation([one["validation"] for one in rows if one["validation"]]),
        "validated_at": max(_given(rows, "validated_at"), default="")
        if all(one["validated_at"] for one in rows)
        else "",
        "preflight": next(iter(_given(rows[::-1], "preflight")), {}),
        "topology": next(iter(_given(rows[::-1], "topology")), {}),
        "connection_strings": {name: text for one in rows for name, text in one["connection_strings"].items()},
    }


def _given(rows: Sequence[Row], key: str) -> list[Any]:
    return [one[key] for one in rows if one[key]]


def _sum(rows: Sequence[Row], key: str) -> Any:
    found = [one[key] for one in rows if one[key] is not None]
    return sum(found) if found else None


def _validation(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if len(found) < 2:
        return dict(found[0]) if found else {}
    wrong = [one for one in found if not one["equal"]]
    return {
        "equal": not wrong,
        "summary": " ".join(one["summary"] for one in wrong or found),
        "databases": [database for one in found for database in one["databases"]],
        **{key: sum(one.get(key) or 0 for one in found) for key in ("rows", "bytes", "seconds")},
    }
