# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report as JSON and CSV, and the numbers of the whole fleet. Pure."""

from __future__ import annotations

import csv
import io
import json
from statistics import median
from typing import Any

from .merge import SCHEMA, VERSION
from .row import STATUSES
from .words import clean, second

# A spreadsheet takes a cell that begins with one of these for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Without it Excel reads UTF-8 as the machine's old code page.
BYTE_ORDER_MARK = "\ufeff"
COLUMNS = (
    "host",
    "status",
    "source",
    "target",
    "databases",
    "mode",
    "engine",
    "generation",
    "migration_name",
    "state",
    "substate",
    "started_at",
    "ended_at",
    "seconds",
    "copy_seconds",
    "estimate_seconds",
    "read_only_since",
    "finished_at",
    "downtime_seconds",
    "bytes",
    "rows",
    "validated",
    "validated_at",
    "tables_compared",
    "problem",
    "remedy",
)
TIMES = ("started_at", "ended_at", "read_only_since", "finished_at", "validated_at")


def ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """First those that ask for somebody, then by name."""
    known = {status: place for place, status in enumerate(STATUSES)}
    return sorted(rows, key=lambda row: (known.get(row["status"], -1), row["host"]))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    downtimes = [row["downtime_seconds"] for row in rows if row["downtime_seconds"] is not None]
    statuses = [row["status"] for row in rows]
    spread = {"least": min(downtimes), "median": median(downtimes), "most": max(downtimes)} if downtimes else {}
    return {
        "hosts": len(rows),
        "statuses": {status: statuses.count(status) for status in STATUSES if status in statuses},
        "databases": sum(len(row["databases"]) for row in rows),
        "rows": _total(rows, "rows"),
        "bytes": _total(rows, "bytes"),
        "downtime": spread,
        "downtimes": len(downtimes),
        "started_at": min((row["started_at"] for row in rows if row["started_at"]), default=""),
        "ended_at": max((row["ended_at"] for row in rows if row["ended_at"]), default=""),
    }


def _total(rows: list[dict[str, Any]], key: str) -> int | None:
    known = [row[key] for row in rows if row[key] is not None]
    return sum(known) if known else None


def validated(row: dict[str, Any]) -> str:
    equal = row["validation"].get("equal")
    if equal is None:
        return "yes" if row["validated_at"] else ""
    return "yes" if equal else "no"


def compared(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The tables that were compared, of all databases."""
    return [table for database in row["validation"].get("databases") or [] for table in database.get("tables") or []]


def side(server: dict[str, Any]) -> str:
    return str(server.get("name") or server.get("host") or "")


def as_json(rows: list[dict[str, Any]], title: str, made_at: str) -> str:
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "made_at": made_at,
        "title": title,
        "summary": summary(rows),
        "hosts": {row["host"]: row for row in ordered(rows)},
    }
    # A lone surrogate, which no file can hold, is written as an escape.
    text = json.dumps(document, ensure_ascii=False, indent=1)
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def as_csv(rows: list[dict[str, Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in _values(row)] for row in ordered(rows))
    return BYTE_ORDER_MARK + file.getvalue()


def _values(row: dict[str, Any]) -> list[Any]:
    told = {
        **row,
        "source": side(row["source"]),
        "target": side(row["target"]),
        "databases": ", ".join(str(name) for name in row["databases"]),
        "validated": validated(row),
        "tables_compared": len(compared(row)) or None,
    }
    # The service, the servers and this machine write times in three ways.
    times = {name: second(row[name]) if row[name] else "" for name in TIMES}
    return [{**told, **times}[name] for name in COLUMNS]


def _cell(value: Any) -> str:
    text = clean(value)
    return f"'{text}" if isinstance(value, str) and text.lstrip(" ").startswith(FORMULA) else text
