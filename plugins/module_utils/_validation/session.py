# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions of the comparison, each with one snapshot."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import LifoQueue
from typing import TYPE_CHECKING, Any, TypeVar

from .._errors import ModuleFailure
from .._postgres import SQL_HINTS, Server, connect, load_psycopg, one_line, sql_failure
from .._wait import Deadline
from .catalog import (
    COLUMNS,
    FIELDS,
    Catalog,
    Relation,
    Sequence,
    keys_sql,
    objects_sql,
    relations_sql,
    sequences_sql,
    types_sql,
)
from .sql import Column, Type, session_settings

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
BEGIN = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
FETCH = 20000


class Refused(Exception):
    """PostgreSQL refused one statement; the session goes on, only what the statement was for has no answer."""


class Session:
    """One connection, pinned to settings that both sides share, in one snapshot at a time."""

    def __init__(self, server: Server, database: str, deadline: Deadline) -> None:
        self.server = server
        self.database = database
        self.snapshot: str | None = None
        self._deadline = deadline
        self._connection: psycopg.Connection[Any] | None = None
        self._begun_in: str | None = None
        self._begun = False

    @property
    def version(self) -> int:
        return self._open().info.server_version

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            connection = connect(self.server, self.database)
            self._connection = connection
            settings = session_settings(connection.info.server_version)
            calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
            self._do(connection, f"SELECT {calls}", [text for pair in settings.items() for text in pair])
        return self._connection

    def _do(
        self, connection: psycopg.Connection[Any], sql: str, values: list[Any] | None = None
    ) -> list[tuple[Any, ...]]:
        driver = load_psycopg()
        try:
            cursor = connection.execute(sql.encode(), values)
            return cursor.fetchall() if cursor.description else []
        except driver.Error as error:
            raise self._trouble(connection, error) from error

    def _trouble(self, connection: psycopg.Connection[Any], error: psycopg.Error) -> Exception:
        if connection.closed:
            return sql_failure(self.server, f"compare the database {self.database}", error.sqlstate, str(error))
        self._begun = False
        connection.execute("ROLLBACK")
        if error.sqlstate == "57014" and self._deadline.over:
            return timed_out(self.database, self._deadline)
        hint = SQL_HINTS.get(error.sqlstate or "", "").format(option=self.server.option)
        return Refused(f"{one_line(str(error))} ({self.server.option}). {hint}".strip())

    def _begin(self) -> psycopg.Connection[Any]:
        connection = self._open()
        if self._deadline.over:
            raise timed_out(self.database, self._deadline)
        if self._begun and self._begun_in != self.snapshot:
            self._do(connection, "COMMIT")
            self._begun = False
        if not self._begun:
            self._do(connection, BEGIN)
            self._begun, self._begun_in = True, self.snapshot
            if self.snapshot:
                self._do(connection, f"SET TRANSACTION SNAPSHOT '{self.snapshot}'")
            self._do(connection, f"SET LOCAL statement_timeout = {max(1, int(self._deadline.left * 1000))}")
        return connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._do(self._begin(), sql)

    def stream(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Rows of a statement in batches: neither side has to hold them, and no single FETCH takes long."""
        connection = self._begin()
        self._do(connection, f"DECLARE pgflex NO SCROLL CURSOR FOR {sql}")
        while batch := self._do(connection, f"FETCH {FETCH} FROM pgflex"):
            if self._deadline.over:
                raise timed_out(self.database, self._deadline)
            yield from batch
        self._do(connection, "CLOSE pgflex")

    def fresh_snapshot(self) -> str:
        """Begins anew and exports the snapshot; it can be adopted as long as this session stays in its transaction."""
        if self._begun:
            self._do(self._open(), "COMMIT")
            self._begun = False
        return str(self.rows("SELECT pg_export_snapshot()")[0][0])

    def cancel(self) -> None:
        if self._connection is not None and not self._connection.closed:
            with contextlib.suppress(load_psycopg().Error):
                self._connection.cancel_safe(timeout=5)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def timed_out(database: str, deadline: Deadline) -> ModuleFailure:
    return ModuleFailure(
        f"Failed to compare the database {database}: not done after {deadline.elapsed:.0f} s "
        f"(timeout {deadline.seconds:.0f} s).",
        code="Timeout",
        hint="Raise the option timeout or jobs, or compare fewer databases or tables at once.",
    )


class Side:
    """One database on one server: a session that holds the snapshot, and others that work in it."""

    def __init__(self, server: Server, database: str, jobs: int, deadline: Deadline) -> None:
        self.server = server
        self.main = Session(server, database, deadline)
        self._workers = [Session(server, database, deadline) for _worker in range(jobs)]
        self._idle: LifoQueue[Session] = LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._pool = ThreadPoolExecutor(max_workers=jobs)
        self._snapshot = ""

    def look(self) -> None:
        """What is read from here on is the database as it is now."""
        self._snapshot = self.main.fresh_snapshot()

    def submit(self, work: Callable[[Session], T]) -> Future[T]:
        return self._pool.submit(self._run, work)

    def _run(self, work: Callable[[Session], T]) -> T:
        session = self._idle.get()
        try:
            session.snapshot = self._snapshot
            return work(session)
        finally:
            self._idle.put(session)

    def close(self) -> None:
        """Also ends what still runs, after a failure elsewhere."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._idle.qsize() < len(self._workers):
            for worker in self._workers:
                worker.cancel()
        self._pool.shutdown(wait=True)
        for session in [self.main, *self._workers]:
            session.close()


def read_catalog(session: Session) -> Catalog:
    version = session.version
    encoding = str(session.rows("SELECT current_setting('server_encoding')")[0][0])
    found = Catalog(version=version, encoding=encoding)
    found.relations = [Relation(*row) for row in session.rows(relations_sql(version))]
    for oid, name, kind, declared in session.rows(COLUMNS):
        found.columns.setdefault(oid, []).append(Column(name, kind, declared))
    for oid, columns in session.rows(keys_sql(version)):
        found.keys.setdefault(oid, []).append(list(columns))
    fields: dict[int, list[tuple[str, int]]] = {}
    for oid, name, kind in session.rows(FIELDS):
        fields.setdefault(oid, []).append((name, kind))
    for oid, schema, name, kind, element, base, subtype in session.rows(types_sql(version)):
        inner = tuple(fields.get(oid, ()))
        found.types[oid] = Type(schema, name, kind, element=element, base=base, subtype=subtype, fields=inner)
    found.sequences = [Sequence(*row) for row in session.rows(sequences_sql(version))]
    for kind, sql in objects_sql(version).items():
        found.objects[kind] = list(session.rows(sql))
    return found
