# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of copies: a table in the target's maintenance database, which every run and every reader shares."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .._errors import ModuleFailure
from .._postgres import Server, connect, load_psycopg, one_line, sql_errors
from .._wait import Deadline, pause

if TYPE_CHECKING:
    import psycopg

# A run that has just ended may still be seen for a moment.
LOCK_SECONDS = 3.0
# Two copies into one server are kept apart by this number; it is drawn from the table's name.
LOCK = int.from_bytes(hashlib.sha256(b"pgflex.copies").digest()[:7], "big")
COUNTERS = (
    *("tables_queued", "tables_loading", "tables_completed", "tables_errored", "inserts", "updates", "deletes"),
    *("applied_changes", "incoming_changes", "latency"),
)
TABLE = """
CREATE SCHEMA IF NOT EXISTS pgflex;
CREATE TABLE IF NOT EXISTS pgflex.copies (
    name text PRIMARY KEY,
    mode text NOT NULL,
    state text NOT NULL,
    substate text,
    error text,
    source text NOT NULL,
    started_on timestamptz NOT NULL DEFAULT now(),
    ended_on timestamptz,
    updated_on timestamptz NOT NULL DEFAULT now(),
    cancel boolean NOT NULL DEFAULT false,
    databases jsonb NOT NULL,
    settings jsonb NOT NULL,
    reverse jsonb
)"""
COLUMNS = (
    "name, mode, state, substate, error, source, started_on, ended_on, updated_on, cancel, databases, settings, reverse"
)
SAVE = """
INSERT INTO pgflex.copies AS c (name, mode, state, substate, error, source, ended_on, databases, settings, reverse)
VALUES (%(name)s, %(mode)s, %(state)s, %(substate)s, %(error)s, %(source)s, %(ended_on)s, %(databases)s, %(settings)s,
        %(reverse)s)
ON CONFLICT (name) DO UPDATE SET mode = excluded.mode, state = excluded.state, substate = excluded.substate,
    error = excluded.error, source = excluded.source, ended_on = excluded.ended_on, databases = excluded.databases,
    settings = excluded.settings, reverse = excluded.reverse, updated_on = now()
RETURNING cancel, started_on"""
HOLDER = """
SELECT a.pid, a.client_addr::text, a.backend_start FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname =
       current_database()) AND (l.classid::bigint << 32) + l.objid::bigint = %s"""


class Canceled(Exception):
    """Somebody asked for the end of the copy that runs."""


@dataclass
class DatabaseCopy:
    """One database of a copy. `step` is how far it has come, `made` what has to be taken away again."""

    name: str
    state: str = "InProgress"
    step: str = "new"
    message: str | None = None
    started_on: str | None = None
    ended_on: str | None = None
    created: bool = False
    widened: list[list[str]] = field(default_factory=list)
    published: list[list[str]] = field(default_factory=list)
    base: list[int] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    # Patterns of the names of slots that may still be at the source, and whether cleaning up there has failed.
    slots: list[str] = field(default_factory=list)
    left: bool = False
    # [off, on] of what would get in the way of changes on the target, and is off until the switch.
    held: list[list[str]] = field(default_factory=list)
    # How the changes were when they last came on.
    seen: list[int] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    downtime: float | None = None

    def as_result(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state,
            "step": self.step,
            "started_on": self.started_on,
            "ended_on": self.ended_on,
            "message": self.message,
            **{name: self.counters.get(name) for name in COUNTERS},
            "created": self.created,
            "skipped": self.skipped,
            "downtime_seconds": self.downtime,
        }


@dataclass
class Copy:
    name: str
    mode: str
    source: str
    databases: list[DatabaseCopy]
    settings: dict[str, Any]
    state: str = "InProgress"
    substate: str | None = "PerformingPreRequisiteSteps"
    error: str | None = None
    started_on: str | None = None
    ended_on: str | None = None
    updated_on: str | None = None
    cancel: bool = False
    reverse: dict[str, Any] | None = None

    @property
    def settled(self) -> bool:
        """Nothing is left to do for the task that makes it."""
        return self.state == "Succeeded" or self.substate in ("WaitingForCutoverTrigger", "CompletingMigration")

    def as_result(self) -> dict[str, Any]:
        """The keys of a migration of the service, as far as they mean something here."""
        return {
            "name": self.name,
            "engine": "direct",
            "state": self.state,
            "substate": self.substate,
            "error": self.error,
            "migration_mode": self.mode.capitalize(),
            "source": self.source,
            "dbs_to_migrate": [row.name for row in self.databases],
            "started_on": self.started_on,
            "ended_on": self.ended_on,
            "cancel": self.cancel,
            "databases": [row.as_result() for row in self.databases],
            "reverse": self.reverse,
            "validation": None,
        }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def _from_row(row: tuple[Any, ...]) -> Copy:
    name, mode, state, substate, error, source, started, ended, updated, cancel, databases, settings, reverse = row
    return Copy(
        name,
        mode,
        source,
        [DatabaseCopy(**item) for item in databases],
        settings,
        state,
        substate,
        error,
        _text(started),
        _text(ended),
        _text(updated),
        cancel,
        reverse,
    )


class Ledger:
    """One connection to the target's maintenance database: it keeps the lock for as long as it lives."""

    def __init__(self, target: Server, database: str) -> None:
        self.target = target
        self.database = database
        self._connection: psycopg.Connection[Any] | None = None
        self._mutex = threading.Lock()

    @property
    def connection(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            self._connection = connect(self.target, self.database)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def exists(self) -> bool:
        with sql_errors(self.target, "look for earlier copies"):
            found = self.connection.execute("SELECT to_regclass('pgflex.copies') IS NOT NULL").fetchall()
        return bool(found[0][0])

    def all(self) -> list[Copy]:
        if not self.exists():
            return []
        with sql_errors(self.target, "read the table pgflex.copies"):
            rows = self.connection.execute(f"SELECT {COLUMNS} FROM pgflex.copies ORDER BY started_on".encode())
            return [_from_row(row) for row in rows.fetchall()]

    def get(self, name: str) -> Copy | None:
        return next((copy for copy in self.all() if copy.name == name), None)

    def require(self, name: str) -> Copy:
        found = self.get(name)
        if found is None:
            raise ModuleFailure(
                f"There is no copy {name} in the table pgflex.copies of the database {self.database} on {self.target}.",
                code="UnknownCopy",
                target="target",
                hint="Check the options name and maintenance_database; direct_copy_info lists the copies.",
            )
        return found

    def prepare(self) -> None:
        with sql_errors(self.target, f"make the table pgflex.copies in the database {self.database}"):
            if not self.exists():
                self.connection.execute(TABLE)

    def lock(self, seconds: float = LOCK_SECONDS) -> None:
        """For this run alone; waits for so long until another run has ended."""
        deadline = Deadline(seconds)
        with sql_errors(self.target, "take the lock of copies"):
            while not self.connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchall()[0][0]:
                if deadline.over:
                    raise self._busy()
                pause(min(0.5, deadline.left))

    def _busy(self) -> ModuleFailure:
        row = next(iter(self.connection.execute(HOLDER, [LOCK]).fetchall()), (None, None, None))
        running = [copy.name for copy in self.all() if copy.state == "InProgress"]
        who = f" ({', '.join(running)})" if running else ""
        since = f", connected since {_text(row[2])} from {row[1] or 'this machine'}" if row[2] else ""
        return ModuleFailure(
            f"Another copy into {self.target} runs already{who}{since}.",
            code="CopyRuns",
            target="target",
            hint="Wait for its end, or cancel it with direct_copy_cancel; copies into one server take turns.",
        )

    def save(self, copy: Copy) -> None:
        """Also sees whether somebody has asked for its end."""
        driver = load_psycopg()
        values = {
            **{name: getattr(copy, name) for name in ("name", "mode", "state", "substate", "error", "source")},
            "ended_on": copy.ended_on,
            "databases": json.dumps([vars(row) for row in copy.databases]),
            "settings": json.dumps(copy.settings),
            "reverse": None if copy.reverse is None else json.dumps(copy.reverse),
        }
        with self._mutex:
            try:
                row = self.connection.execute(SAVE, values).fetchall()[0]
            except driver.Error as error:
                raise ModuleFailure(
                    f"Failed to note the state of the copy {copy.name} on {self.target}: {one_line(str(error))}",
                    code="ConnectionLost",
                    target="target",
                    hint="When the server answers again, run the same task again: it goes on or starts anew.",
                ) from error
        copy.cancel, copy.started_on = row[0], _text(row[1])

    def ask_to_cancel(self, name: str, *, wanted: bool = True) -> None:
        with sql_errors(self.target, f"mark the copy {name} as canceled"):
            self.connection.execute("UPDATE pgflex.copies SET cancel = %s WHERE name = %s", [wanted, name])

    def forget(self, name: str) -> None:
        """The last one takes the table with it."""
        with sql_errors(self.target, f"forget the copy {name}"), self.connection.transaction():
            self.connection.execute("DELETE FROM pgflex.copies WHERE name = %s", [name])
            if not self.connection.execute("SELECT 1 FROM pgflex.copies LIMIT 1").fetchall():
                self.connection.execute("DROP TABLE pgflex.copies")
                self.connection.execute("DROP SCHEMA IF EXISTS pgflex RESTRICT")
