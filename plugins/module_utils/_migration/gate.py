# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a cutover may be triggered now. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from .._errors import ModuleFailure
from .states import CUTOVER, GOOD, final, latency, offline, open_databases, ready_for_cutover, still_open


def when(text: str | None) -> datetime | None:
    """A time as the service writes it, UTC where it names no zone; None for what is no time."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def already_done(migration: dict[str, Any], names: list[str] | None) -> bool:
    """Whether the cutover of the databases has been triggered or is over; refuses what can have none."""
    name = migration["name"]
    if offline(migration):
        raise ModuleFailure(
            f"The migration {name} is offline: it has no cutover, it ends by itself.",
            code="603114",
            hint="Watch it with pgflex.migrate.watch until it has succeeded.",
        )
    if migration["state"] in GOOD or migration["substate"] == "CompletingMigration":
        return True
    if final(migration):
        raise ModuleFailure(
            f"The migration {name} has ended ({migration['state']}); it can not be cut over.",
            code="603113",
            hint="Make a new migration under another name.",
        )
    known = {row["name"] for row in migration["databases"]} | set(migration["dbs_to_migrate"] or [])
    unknown = sorted(set(names or []) - known)
    if unknown:
        raise ModuleFailure(f"The migration {name} has no database {', '.join(unknown)}: check the option databases.")
    return bool(names) and not still_open(migration, names or [])


def refusals(
    migration: dict[str, Any],
    names: list[str] | None,
    *,
    now: datetime,
    max_latency: int,
    window_hours: float,
    ready_since: str | None,
    writers: list[str],
) -> list[str]:
    """Every reason against a cutover now, each a sentence that names the way out; empty when it may go ahead.

    The service ends an online migration 72 hours after its base copy. When that ended is not in its answers: without
    `ready_since` the start of the databases stands in for it, which errs on the safe side by the length of the copy.
    """
    if not ready_for_cutover(migration):
        return [
            f"it is not ready: {migration['state']}, {migration['substate'] or 'no substate'} instead of {CUTOVER}; "
            "wait for it with pgflex.migrate.watch."
        ]
    found = []
    behind = latency(migration, names)
    if behind is None:
        found.append("the service has not said yet how far the target is behind; look again in a moment.")
    elif behind > max_latency:
        found.append(
            f"the target is {behind} s behind and max_latency is {max_latency} s; "
            "stop the writers and wait, or raise max_latency."
        )
    starts = [when(row.get("started_on")) for row in open_databases(migration)]
    since = when(ready_since) or min((start for start in starts if start), default=None)
    if since and now - since > timedelta(hours=window_hours):
        found.append(
            f"the cutover window of {window_hours:g} hours has passed "
            f"(counted from {since.isoformat(timespec='seconds')}); make a new migration."
        )
    if writers:
        found.append(
            f"the source is still written to ({'; '.join(writers)}); stop the applications, make the source "
            "read-only with pgflex.migrate.source_read_only, or say writers_stopped."
        )
    return found
