# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows from one server to the other, without a file in between: one psql writes a script that another one runs."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._errors import ModuleFailure
from .._postgres import identifier, sql_errors
from .catalog import Table, columns
from .choice import Chosen
from .job import SESSION, Job, session
from .ledger import Canceled
from .programs import finish

if TYPE_CHECKING:
    import psycopg

# Scans of a range of pages are quick from this version on.
PAGE_RANGES = 140000
BATCH_BYTES = 32 << 20
BATCH_TABLES = 100
PSQL = ("-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-")


@dataclass(frozen=True)
class Piece:
    """A table, or some of its pages; `where` is SQL of its own. A whole new table can be loaded as frozen rows."""

    oid: int
    schema: str
    name: str
    columns: tuple[str, ...]
    bytes: int
    where: str = ""
    part_of: int = 1
    fresh: bool = True

    def script(self) -> list[str]:
        """Lines of psql at the source; what it echoes is the script of the other psql."""
        table = identifier(self.schema, self.name)
        listed = f" ({', '.join(map(identifier, self.columns))})" if self.columns else ""
        whole = self.fresh and not self.where
        begin = f"BEGIN; TRUNCATE ONLY {table};" if whole else "BEGIN;"
        frozen = " WITH (FREEZE)" if whole else ""
        selected = ", ".join(map(identifier, self.columns))
        reading = f"(SELECT {selected} FROM ONLY {table} {self.where})" if self.where else f"{table}{listed}"
        return [
            _echo(f"{begin} COPY {table}{listed} FROM STDIN{frozen};"),
            f"COPY {reading} TO STDOUT;",
            _echo("\\.\nCOMMIT;"),
        ]


def _echo(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n")
    return f"\\echo '{escaped}'"


def note_encoding(job: Job, source: psycopg.Connection[Any]) -> None:
    unknown = source.info.parameter_status("server_encoding") == "SQL_ASCII"
    job.encoding = "SQL_ASCII" if unknown else "UTF8"


def pieces(job: Job, source: psycopg.Connection[Any], tables: Sequence[Table], *, in_parts: bool) -> list[Piece]:
    """The largest first. Large tables go in parts, so that the jobs end together."""
    listed = columns(source, [table.oid for table in tables])
    note_encoding(job, source)
    ranges = in_parts and source.info.server_version >= PAGE_RANGES and job.options.jobs > 1
    found: list[Piece] = []
    for table in tables:
        names = tuple(listed.get(table.oid, ()))
        parts = min(table.pages, -(-table.size // job.options.split_bytes)) if ranges and names else 1
        if parts < 2:
            found.append(Piece(table.oid, table.schema, table.name, names, table.size))
            continue
        for part in range(parts):
            low, high = (table.pages * edge // parts for edge in (part, part + 1))
            # What was added behind the pages counted is in the last part.
            end = f" AND ctid < '({high},0)'" if part < parts - 1 else ""
            where = f"WHERE ctid >= '({low},0)'{end}"
            found.append(
                Piece(table.oid, table.schema, table.name, names, table.size // parts, where, parts, fresh=False)
            )
    return sorted(found, key=lambda piece: -piece.bytes)


def batches(found: Sequence[Piece]) -> list[list[Piece]]:
    """Small ones share a pair of programs."""
    made: list[list[Piece]] = []
    filled = 0
    for piece in found:
        if not made or filled + piece.bytes > BATCH_BYTES or len(made[-1]) >= BATCH_TABLES:
            made.append([])
            filled = 0
        made[-1].append(piece)
        filled += piece.bytes
    return made


@contextlib.contextmanager
def snapshot(job: Job) -> Iterator[tuple[psycopg.Connection[Any], str]]:
    """One moment of the source that all sessions share, and the session that keeps it."""
    source = session(job.source, job.name)
    try:
        with sql_errors(job.source, "take a snapshot"):
            if source.info.server_version >= 90600:
                source.execute("SET idle_in_transaction_session_timeout = 0")
            source.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            name = source.execute("SELECT pg_export_snapshot()").fetchall()[0][0]
        yield source, name
    finally:
        source.close()


class RowCopy:
    """Several pairs of programs at once; counters count tables, of which the last part counts."""

    def __init__(self, job: Job, found: Sequence[Piece], shared: str | None, *, counted: bool = True) -> None:
        self.job = job
        self.counted = counted
        self.shared = shared
        self.todo = batches(found)
        self.left = {piece.oid: piece.part_of for piece in found}
        self.mutex = threading.Lock()
        self.stopped = threading.Event()
        self.loading = 0
        self.written_in = self._written_in()

    def _written_in(self) -> str:
        """The server checks text only against an encoding that it is told."""
        if self.job.encoding == "UTF8":
            return "UTF8"
        with self.job.on_target() as target:
            return target.info.parameter_status("server_encoding") or "UTF8"

    def run(self) -> None:
        self._count()
        with ThreadPoolExecutor(max_workers=max(1, self.job.options.jobs)) as pool:
            running: set[Future[None]] = {pool.submit(self._batch, batch) for batch in self.todo}
            try:
                while running:
                    done, running = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                    self.job.tick()
            finally:
                self.stopped.set()
                for future in running:
                    future.cancel()

    def _batch(self, batch: Sequence[Piece]) -> None:
        with self.mutex:
            self.loading += 1
        try:
            self._transfer(batch)
        finally:
            with self.mutex:
                self.loading -= 1
        with self.mutex:
            for piece in batch:
                self.left[piece.oid] -= 1
            self._count()

    def _count(self) -> None:
        if not self.counted:
            return
        queued = sum(parts > 0 for parts in self.left.values())
        loading = min(self.loading, queued)
        self.job.count(tables_completed=len(self.left) - queued, tables_loading=loading, tables_queued=queued - loading)

    def _tick(self) -> None:
        if self.stopped.is_set():
            raise Canceled
        if self.job.copy.cancel:
            raise Canceled

    def _transfer(self, batch: Sequence[Piece]) -> None:
        self._tick()
        names = ", ".join(f"{piece.schema}.{piece.name}" for piece in batch[:3]) + (", ..." if len(batch) > 3 else "")
        reading = self.job.start("psql", PSQL, self.job.source, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if reading.process.stdin is None or reading.process.stdout is None:
            raise AssertionError("psql runs without its pipes")
        writing = self.job.start("psql", PSQL, self.job.target, stdin=reading.process.stdout.fileno())
        # Only the other program may hold this end, or its death would not be noticed.
        reading.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            reading.process.stdin.write("\n".join(self._script(batch)).encode())
            reading.process.stdin.close()
        finish([reading, writing], f"copy the rows of {names}", self._tick)

    def _script(self, batch: Sequence[Piece]) -> Iterator[str]:
        settings = " ".join(SESSION.split())
        yield f"{settings}; SET client_encoding = '{self.job.encoding}';"
        yield _echo(f"{settings}; SET client_encoding = '{self.written_in}';")
        yield "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;"
        if self.shared:
            yield f"SET TRANSACTION SNAPSHOT '{self.shared}';"
        for piece in batch:
            yield from piece.script()
        yield "COMMIT;\n"


def hold(source: psycopg.Connection[Any], job: Job, tables: Sequence[Table]) -> None:
    """Nobody may change the definitions of what is being copied."""
    with sql_errors(job.source, f"lock the tables of the database {job.name} for reading"):
        for at in range(0, len(tables), 200):
            names = ", ".join(f"ONLY {table.quoted}" for table in tables[at : at + 200])
            source.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE".encode())


def unreadable(database: str, chosen: Chosen, others: Sequence[tuple[str, str, int]]) -> ModuleFailure | None:
    """`others` are the sequences and large objects that may not be read; those that are left out do not matter."""
    tables = chosen.tables
    left = {table.oid for table in chosen.left_out}
    refused = [table.label for table in tables if table.holds_rows and not table.readable]
    refused += [label for schema, label, table in others if schema not in chosen.schemas_left_out and table not in left]
    if refused:
        more = f" and {len(refused) - 10} more" if len(refused) > 10 else ""
        return ModuleFailure(
            f"The user of the option source may not read {', '.join(refused[:10])}{more} in the database {database}; "
            "nothing was made.",
            code="PermissionDenied",
            target="source",
            hint="GRANT SELECT on them to the user, or leave tables out with exclude_tables.",
            details={"unreadable": refused},
        )
    hidden = [table.label for table in tables if table.hidden_rows]
    if hidden:
        return ModuleFailure(
            f"Row-level security hides rows of {', '.join(hidden[:10])} in the database {database} from the user of "
            "the option source; nothing was made.",
            code="RowSecurity",
            target="source",
            hint="Give the user BYPASSRLS, or sign in as the owner, or leave them out with exclude_tables.",
        )
    return None
