# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a report holds of one host, from the facts that the roles left and from what Azure still knows. Pure."""

from __future__ import annotations

from typing import Any

from .._migration.estimate import base_copy_seconds
from .._migration.settings import connection_strings
from .._migration.states import RETRY, explain, final, locked, waits_for, way_out
from .changes import changes
from .words import between, masked, moment, order

SIDE = ("name", "host", "type", "resource_group", "version")
# The order in which a reader wants them: first what asks for somebody.
STATUSES = ("failed", "differs", "waiting", "ready", "running", "canceled", "not started", "succeeded")
AGAIN = "Run again when that is mended: what is done stays done."
COMPARE = "See what differs below. The source is unchanged; once it is mended, -e validate_again=true compares again."
# Type of each key of a row, in the order in which the JSON has them; the module report documents them.
TYPES = {
    "host": "str",
    "status": "str",
    "outcome": "str",
    "problem": "str",
    "remedy": "str",
    "failed_task": "str",
    "migration_name": "str",
    "migration_id": "str",
    "state": "str",
    "substate": "str",
    "source": "dict",
    "target": "dict",
    "databases": "list",
    "mode": "str",
    "option": "str",
    "generation": "str",
    "engine": "str",
    "states": "list",
    "progress": "list",
    "service_validation": "dict",
    "started_at": "str",
    "ended_at": "str",
    "seconds": "float",
    "copy_seconds": "float",
    "estimate_seconds": "float",
    "read_only_since": "str",
    "finished_at": "str",
    "downtime_seconds": "float",
    "bytes": "int",
    "rows": "int",
    "validation": "dict",
    "validated_at": "str",
    "preflight": "dict",
    "topology": "dict",
    "changes": "list",
    "connection_strings": "dict",
    "seen_at": "str",
}
_BLANK: dict[str, Any] = {"str": "", "list": [], "dict": {}, "int": None, "float": None}
EMPTY: dict[str, Any] = {name: _BLANK[kind] for name, kind in TYPES.items()} | {"status": "not started"}
ROW: dict[str, Any] = {
    name: {"type": kind}
    | ({"elements": "str" if name == "databases" else "dict"} if kind == "list" else {})
    | ({"required": True} if name == "host" else {})
    for name, kind in TYPES.items()
}


def complete(row: dict[str, Any]) -> dict[str, Any]:
    """The row with every key, as files of this version have it; null counts as left out."""
    return EMPTY | {key: value for key, value in row.items() if key in EMPTY and value is not None}


def row_of(facts: dict[str, Any], host: str) -> dict[str, Any]:
    """The host's row; `facts` are settings, migration, result, states, cutover, validation, preflight, topology,
    failure, restored and secrets, each as its role left it, and absent where it did not come so far.
    """
    settings, migration = facts.get("settings") or {}, facts.get("migration") or {}
    row = EMPTY | _identity(settings, migration, host) | _progress(facts, migration)
    row |= _times(row, facts)
    row |= _validated(facts, settings)
    row["bytes"] = _bytes(settings, row["validation"])
    row["estimate_seconds"] = None if row["bytes"] is None else round(base_copy_seconds(row["bytes"] / 1e9), 1)
    row["preflight"] = facts.get("preflight") or {}
    row["topology"] = _topology(facts.get("topology") or {})
    failure = facts.get("failure") or {}
    row["status"] = _status(row, failure)
    row["problem"], remedy = _problem(row, failure, migration)
    begun = row["read_only_since"] or row["state"] not in ("", "Succeeded")
    row["remedy"] = " ".join(filter(None, (remedy, locked(row["status"], settings) if begun else "")))
    row["failed_task"] = failure.get("task") or ""
    row["changes"] = changes(row, facts)
    clean: dict[str, Any] = masked(row, _secrets(facts))
    return clean


def _secrets(facts: dict[str, Any]) -> list[str]:
    settings = facts.get("settings") or {}
    named = [(settings.get(side) or {}).get("password") for side in ("source", "target")]
    named += [(settings.get("app") or {}).get("client_secret"), *(facts.get("secrets") or [])]
    return [str(secret) for secret in named if secret]


def _identity(settings: dict[str, Any], migration: dict[str, Any], host: str) -> dict[str, Any]:
    source, target = settings.get("source") or {}, settings.get("target") or {}
    ready = (target.get("connection") or {}).get("host") and settings.get("databases")
    return {
        "host": host,
        "migration_name": settings.get("migration_name") or migration.get("name") or "",
        "migration_id": migration.get("migration_id") or "",
        "source": {key: source[key] for key in SIDE if source.get(key)},
        "target": {key: target[key] for key in SIDE if target.get(key)},
        "databases": list(settings.get("databases") or []),
        "mode": settings.get("mode") or "",
        "option": settings.get("option") or "",
        "generation": settings.get("generation") or "",
        "engine": settings.get("engine") or "service",
        "connection_strings": connection_strings(settings) if ready else {},
    }


def _progress(facts: dict[str, Any], migration: dict[str, Any]) -> dict[str, Any]:
    result = facts.get("result") or {}
    return {
        "outcome": result.get("outcome") or "",
        "problem": result.get("message") or "",
        "state": migration.get("state") or "",
        "substate": migration.get("substate") or "",
        "states": list(facts.get("states") or []),
        "progress": list(migration.get("databases") or []),
        "service_validation": migration.get("validation") or {},
    }


def _times(row: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    cutover = facts.get("cutover") or {}
    begun = [item["started_on"] for item in row["progress"] if moment(item.get("started_on"))]
    done = [item["ended_on"] for item in row["progress"] if moment(item.get("ended_on"))]
    seen = [state["at"] for state in row["states"]]
    # A migration prepares for minutes before it begins with a database.
    started = min([*begun, *seen[:1]], key=order, default="")
    ended = ""
    if final(row):
        ended = max(done, key=order, default=cutover.get("finished_at") or (seen[-1] if seen else ""))
    times = {
        "started_at": started,
        "ended_at": ended,
        "read_only_since": cutover.get("read_only_since") or facts.get("read_only_since") or "",
        "finished_at": cutover.get("finished_at") or "",
    }
    made = times | spans({**row, **times})
    # A direct copy's cutover has measured it itself, from the last write of the source.
    return made | ({"downtime_seconds": float(cutover["downtime_seconds"])} if cutover.get("downtime_seconds") else {})


def spans(row: dict[str, Any]) -> dict[str, Any]:
    """The row's durations in seconds, from its times and states."""
    return {
        "seconds": between(row["started_at"], row["ended_at"]),
        "copy_seconds": _copying(row["states"], row["ended_at"]),
        "downtime_seconds": _downtime(row),
    }


def _copying(states: list[dict[str, Any]], ended: str) -> float | None:
    """Of the base copy, from the first state that copies to the one after it."""
    for index, state in enumerate(states[:-1]):
        if state["substate"] == "MigratingData":
            # The service ends a migration before anybody looks.
            until = [states[index + 1]["at"], *([ended] if ended else [])]
            return between(state["at"], min(until, key=order))
    return None


def _downtime(row: dict[str, Any]) -> float | None:
    if row["state"] != "Succeeded":
        return None
    if row["mode"] == "online":
        return between(row["read_only_since"], row["finished_at"])
    # The source of an offline migration is at rest from the beginning, whether this run saw that or not.
    return between(row["read_only_since"] or row["started_at"], row["ended_at"])


def _validated(facts: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    found = facts.get("validation") or {}
    tags = (settings.get("target") or {}).get("tags") or {}
    return {
        "validation": found,
        "rows": found.get("rows"),
        "validated_at": tags.get(settings.get("validated_tag") or "", ""),
    }


def _bytes(settings: dict[str, Any], validation: dict[str, Any]) -> int | None:
    size_gb = (settings.get("watched") or {}).get("size_gb")
    known = validation.get("bytes")
    return int(size_gb * 1e9) if size_gb else int(known) if known is not None else None


def _topology(found: dict[str, Any]) -> dict[str, Any]:
    if not found:
        return {}
    return {
        "name": found.get("name"),
        "title": found.get("title"),
        "custom_dns": bool(found.get("custom_dns")),
        "source_access": (found.get("source") or {}).get("access"),
        "target_access": (found.get("target") or {}).get("access"),
        "migrates_from": (found.get("migrates_from") or {}).get("description"),
        "missing": [item["message"] for item in found.get("missing") or []],
    }


def _status(row: dict[str, Any], failure: dict[str, Any]) -> str:
    if row["validation"].get("equal") is False:
        return "differs"
    if row["state"] == "Canceled" or row["outcome"] == "canceled":
        return "canceled"
    if row["state"] in ("Failed", "ValidationFailed") or row["outcome"] == "failed":
        return "failed"
    if row["outcome"] == "waiting" or (not row["outcome"] and waits_for(row)):
        return "waiting"
    if row["outcome"] in ("timeout", "watching"):
        return "running"
    if failure:
        return "failed"
    if row["state"] == "Succeeded":
        return "succeeded"
    if row["outcome"] == "ready" or row["substate"] == "WaitingForCutoverTrigger":
        return "ready"
    return "running" if row["state"] else "not started"


def _problem(row: dict[str, Any], failure: dict[str, Any], migration: dict[str, Any]) -> tuple[str, str]:
    """(sentence, what to do) of what keeps the host from its end."""
    status, said = row["status"], row["problem"] or failure.get("message") or ""
    if status == "differs":
        return row["validation"].get("summary") or "Source and target differ.", COMPARE
    if status in ("failed", "canceled") and row["state"] in ("Failed", "ValidationFailed", "Canceled"):
        message = row["problem"] or explain(migration)
        return message, _finding_remedy(row, message) or way_out(status, row)
    if status == "failed":
        # A failure of this collection has its hint at the end of its sentence as well.
        message = (failure.get("message") or said).rstrip().removesuffix(failure.get("hint") or "").rstrip()
        after = "The migration succeeded; after it: " if row["state"] == "Succeeded" else ""
        return f"{after}{message}", failure.get("hint") or _finding_remedy(row, message) or AGAIN
    if status == "waiting":
        reason = waits_for(row)
        return (f"It waits for {reason[1]}." if reason else said), way_out(status, row) or AGAIN
    if status == "ready":
        return said, "Run the playbook pgflex.migrate.cutover within 72 hours, or cancel the migration."
    return said, "Run again to go on watching." if status == "running" else ""


def _finding_remedy(row: dict[str, Any], message: str) -> str:
    """What the preflight said about the same thing: the service's errors name the same numbers."""
    for finding in row["preflight"].get("findings") or []:
        if (finding.get("code") and str(finding["code"]) in message) or finding["message"] in message:
            return f"{finding['remedy']} {RETRY if row['state'] else AGAIN}"
    return ""
