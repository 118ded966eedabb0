# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a migration's states mean, what releases a waiting one, and how to say where it stands. Pure."""

from __future__ import annotations

import re
from typing import Any

FINAL = frozenset({"Succeeded", "Failed", "Canceled", "ValidationFailed"})
GOOD = frozenset({"Succeeded"})
CUTOVER = "WaitingForCutoverTrigger"
# In the order in which the service gives them; the first preview answered READY_TO_COMPLETE for a database.
READY_DATABASE = frozenset({CUTOVER, "READY_TO_COMPLETE"})

# substate -> (option whose answer releases it, what the service waits for)
RELEASES = {
    "WaitingForLogicalReplicationSetupRequestOnSourceDB": (
        "setup_logical_replication_on_source_db_if_needed",
        "leave to turn on logical replication at the source, which restarts it",
    ),
    "WaitingForDBsToMigrateSpecification": ("dbs_to_migrate", "the names of the databases"),
    "WaitingForTargetDBOverwriteConfirmation": (
        "overwrite_dbs_in_target",
        "leave to overwrite databases that exist in the target",
    ),
    "WaitingForDataMigrationScheduling": ("start_data_migration", "the start of the copy"),
    "WaitingForDataMigrationWindow": ("start_data_migration", "the migration window to open"),
}
# substate -> what to do about it in the settings of the roles
WAYS = {
    "WaitingForLogicalReplicationSetupRequestOnSourceDB": "Set pgflex.allow_source_restart to true and run again.",
    "WaitingForTargetDBOverwriteConfirmation": "Set pgflex.overwrite to true and run again, or cancel the migration.",
    "WaitingForDBsToMigrateSpecification": "Name pgflex.databases and run again.",
    "WaitingForDataMigrationScheduling": "Run again.",
    "WaitingForDataMigrationWindow": "It goes on by itself when its window opens.",
}
RETRY = (
    "Then raise pgflex.attempts by one (or give another pgflex.migration_name) and run again: "
    "the service takes each name once."
)
LOCKED = "The source is read-only until then: run again soon, or open it with pgflex.migrate.cancel."
# It may be released before its time, but needs nobody for that.
OPENS_BY_ITSELF = frozenset({"WaitingForDataMigrationWindow"})
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
MAX_DATABASES = 8


def final(migration: dict[str, Any]) -> bool:
    return migration.get("state") in FINAL


def ready_for_cutover(migration: dict[str, Any]) -> bool:
    """Whether the service waits for the cutover of the whole migration or of some of its databases."""
    if final(migration):
        return False
    if migration.get("substate") == CUTOVER:
        return True
    rows = open_databases(migration)
    return bool(rows) and all(row["state"] in READY_DATABASE for row in rows)


def open_databases(migration: dict[str, Any]) -> list[dict[str, Any]]:
    ended = ("Succeeded", "Failed", "Canceled")
    return [row for row in migration.get("databases") or [] if row["state"] not in ended]


def still_open(migration: dict[str, Any], names: list[str]) -> list[str]:
    """The databases of `names` that have not ended; in the first minutes the service has no rows of them yet."""
    listed = {row["name"] for row in migration.get("databases") or []}
    running = {row["name"] for row in open_databases(migration)}
    return [name for name in names if name in running or name not in listed]


def waits_for(migration: dict[str, Any]) -> tuple[str, str] | None:
    """(option, sentence) of what a waiting migration needs from its user, cutover aside."""
    return None if final(migration) else RELEASES.get(migration.get("substate") or "")


def way_out(outcome: str | None, migration: dict[str, Any]) -> str:
    """What to do about a migration that waits or has ended badly; empty where nothing is known."""
    if outcome == "waiting":
        return WAYS.get(migration.get("substate") or "", "")
    return f"Remove the cause. {RETRY}" if outcome in ("failed", "canceled") else ""


def locked(outcome: str | None, settings: dict[str, Any]) -> str:
    """A sentence when the applications can not write after such an end; a cancel opens the source."""
    read_only = (settings.get("cutover") or {}).get("source_read_only") and settings.get("option") != "Validate"
    return LOCKED if outcome == "failed" and settings.get("mode") == "offline" and read_only else ""


def offline(migration: dict[str, Any]) -> bool:
    """Whether it copies once and has no cutover. The first preview has no mode and is always online."""
    return (migration.get("migration_mode") or "Online").lower() == "offline"


def latency(migration: dict[str, Any], names: list[str] | None = None) -> int | None:
    """Seconds that the target is behind, the worst of the databases; None while the service has not said."""
    rows = [row for row in open_databases(migration) if not names or row["name"] in names]
    known = [int(row["latency"]) for row in rows if row.get("latency") is not None]
    return max(known) if known else None


def explain(migration: dict[str, Any]) -> str:
    """Why it ended badly, in the service's words: its error, the databases' messages, what validation says."""
    reasons = [str(migration["error"])] if migration.get("error") else []
    for row in migration.get("databases") or []:
        if row["state"] == "Failed" and row.get("message") and row["message"] not in " ".join(reasons):
            reasons.append(f"{row['name']}: {row['message']}")
    for where, check in _checks(migration.get("validation") or {}):
        for message in check["messages"]:
            if check["state"] == "Failed" and message not in " ".join(reasons):
                reasons.append(f"{where}: {message}")
    return " ".join(reason.strip() for reason in reasons) or "the service gave no reason"


def _checks(validation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    rows = [(check["type"], check) for check in validation.get("server") or []]
    for database in validation.get("databases") or []:
        rows += [(database["name"], check) for check in database["checks"]]
    return rows


def tables(row: dict[str, Any]) -> tuple[int, int]:
    """(copied, all) tables of a database; all is 0 until the service has counted them."""
    done = row.get("tables_completed") or 0
    rest = sum(row.get(key) or 0 for key in ("tables_queued", "tables_loading", "tables_errored"))
    return done, done + rest


def next_interval(migration: dict[str, Any], elapsed: float, least: float, most: float) -> float:
    """Seconds until the next look: often while something is about to happen, seldom in a long copy.

    A migration that is being cut over is watched most closely, since every second of it is downtime.
    """
    if migration.get("substate") == "CompletingMigration":
        return least
    # A twentieth of what it took so far: at most 5 % of the time is lost by looking late.
    return min(most, max(least, elapsed / 20))


def copy_result(copy: dict[str, Any], label: str) -> dict[str, Any]:
    """A direct copy that its task has ended with, as the module watch tells of a migration of the service."""
    if not copy:
        return {"label": label, "outcome": "missing", "message": None, "history": [], "migration": None}
    ready = ready_for_cutover(copy)
    at = copy.get("updated_on") or copy.get("ended_on")
    begun = {"at": copy.get("started_on"), "state": "InProgress", "substate": "MigratingData", "ready": False}
    reached = {"at": at, "state": copy["state"], "substate": copy.get("substate"), "ready": ready}
    outcome = {"Succeeded": "succeeded", "Canceled": "canceled", "Failed": "failed"}.get(copy["state"])
    return {
        "label": label,
        "name": copy["name"],
        "outcome": outcome or ("ready" if ready else "watching"),
        "message": explain(copy) if outcome in ("failed", "canceled") else None,
        "history": [begun, reached],
        "ready_since": at if ready else None,
        "migration": copy,
    }
