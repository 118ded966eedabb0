# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The work on one database of a copy, as all parts of the engine see it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._postgres import APPLICATION_NAME, Server, connect, sql_errors
from .choice import Choice
from .ledger import Canceled, Copy, DatabaseCopy, Ledger, now
from .programs import Child, Programs, finish, start

if TYPE_CHECKING:
    import psycopg

# How often the table of copies is written while rows go over, in seconds.
NOTE_EVERY = 1.0
SAY_EVERY = 15.0
SESSION = """
SET default_transaction_read_only = off; SET statement_timeout = 0; SET lock_timeout = '60s'; SET row_security = off;
SET search_path = pg_catalog; SET DateStyle = ISO; SET IntervalStyle = postgres; SET extra_float_digits = 3;
SET lc_monetary = 'C'"""
# Sessions of these are ended by a run that finds what a killed one has left behind.
WORKER = f"{APPLICATION_NAME} copy"


@dataclass(frozen=True)
class Options:
    jobs: int = 4
    choice: Choice = field(default_factory=Choice)
    skip_extensions: tuple[str, ...] = ()
    overwrite: bool = False
    split_bytes: int = 256 << 20

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Options:
        return cls(
            jobs=settings["jobs"],
            choice=Choice.from_options(settings),
            skip_extensions=tuple(settings.get("skip_extensions") or ()),
            overwrite=bool(settings.get("overwrite")),
        )


@dataclass
class Job:
    copy: Copy
    row: DatabaseCopy
    source: Server
    target: Server
    ledger: Ledger
    options: Options
    report: Callable[[str], None]
    folder: Path
    programs: Programs
    # In which both psql see the rows; without a conversion where the source does not know what they are in.
    encoding: str = "UTF8"
    _noted: float = 0.0
    _said: float = 0.0
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def label(self) -> str:
        """Names slot, publication and subscription; drawn by lot for each copy, as slots are the server's."""
        names = [row.name for row in self.copy.databases]
        return f"pgflex_{self.copy.settings['id']}_{names.index(self.name)}"

    def worker(self, server: Server) -> Server:
        return replace(server, application_name=f"{WORKER} {self.label}")

    def on_source(self) -> psycopg.Connection[Any]:
        return session(self.worker(self.source), self.name)

    def on_target(self) -> psycopg.Connection[Any]:
        return session(self.worker(self.target), self.name)

    def tick(self) -> None:
        """Called all along: notes the counters, says how far it is, and ends the work when that was asked for."""
        with self._mutex:
            moment = time.monotonic()
            if moment - self._noted >= NOTE_EVERY:
                self._noted = moment
                self.ledger.save(self.copy)
            if moment - self._said >= SAY_EVERY:
                self._said = moment
                self.report(f"{self.copy.name}: {self.progress()}")
        if self.copy.cancel:
            raise Canceled

    def progress(self) -> str:
        counted = self.row.counters
        done = counted.get("tables_completed", 0)
        total = done + counted.get("tables_queued", 0) + counted.get("tables_loading", 0)
        return f"{self.name}: {self.row.step}, {done}/{total} tables"

    def enter(self, step: str, *, state: str | None = None) -> None:
        self.row.step = step
        self.row.state = state or self.row.state
        self.row.started_on = self.row.started_on or now()
        self.ledger.save(self.copy)
        if self.copy.cancel:
            raise Canceled

    def count(self, **counters: int) -> None:
        self.row.counters.update(counters)

    def skip(self, *what: str) -> None:
        self.row.skipped += [text for text in what if text not in self.row.skipped]

    def start(self, program: str, arguments: Sequence[str], server: Server, **streams: int) -> Child:
        return start(self.programs, program, arguments, self.worker(server), self.name, **streams)

    def run(self, program: str, arguments: Sequence[str], server: Server, doing: str) -> None:
        finish([self.start(program, arguments, server)], f"{doing} of the database {self.name}", self.tick)


def session(server: Server, database: str) -> psycopg.Connection[Any]:
    """Without what settings of the server, the database or the role would do to a copy."""
    connection = connect(server, database)
    with sql_errors(server, "open a session"):
        connection.execute(SESSION)
    return connection


def run_each(
    connection: psycopg.Connection[Any], statements: Sequence[str], server: Server, what: str, at_once: int = 200
) -> None:
    """Many statements in few messages, each message a transaction of its own."""
    with sql_errors(server, what):
        for start_at in range(0, len(statements), at_once):
            connection.execute(";\n".join(statements[start_at : start_at + at_once]).encode())


def end_workers(server: Server, databases: Sequence[str], copy_id: str) -> None:
    """Ends what a killed run has left running: programs go on without the one that began them."""
    with connect(server, databases[0]) as connection, sql_errors(server, "end what an earlier run has left running"):
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %s "
            "AND usename = current_user AND pid <> pg_backend_pid()",
            [f"{WORKER} pgflex\\_{copy_id}\\_%"],
        )
