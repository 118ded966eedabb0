# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is connected to a server, and who still writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._postgres import APPLICATION_NAME
from .._wait import pause

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class ClientSession:
    """A program's connection, of which a user without pg_read_all_stats sees only who and where."""

    database: str
    pid: int
    user: str
    application: str
    client: str | None
    has_transaction_id: bool
    superuser: bool

    def as_result(self) -> dict[str, Any]:
        return {
            "database": self.database,
            "pid": self.pid,
            "user": self.user,
            "application_name": self.application,
            "client": self.client,
        }


def sessions_sql(version: int) -> str:
    """Other programs' connections to the databases %(databases)s, that began before %(before)s if given."""
    kind = "AND coalesce(a.backend_type, 'client backend') = 'client backend'" if version >= 100000 else ""
    return f"""
SELECT a.datname::text, a.pid, coalesce(a.usename::text, ''), coalesce(a.application_name, ''), a.client_addr::text,
       a.backend_xid IS NOT NULL, coalesce(r.rolsuper, false)
  FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
 WHERE a.datname = ANY(%(databases)s) AND a.pid <> pg_backend_pid() {kind}
   AND coalesce(a.application_name, '') <> %(own)s
   AND a.pid NOT IN (SELECT w.pid FROM pg_stat_replication w WHERE w.pid IS NOT NULL)
   AND (%(before)s::timestamptz IS NULL OR a.backend_start IS NULL OR a.backend_start < %(before)s::timestamptz)
 ORDER BY a.pid"""


def client_sessions(
    connection: psycopg.Connection[Any], databases: Sequence[str], before: Any = None
) -> list[ClientSession]:
    values = {"databases": list(databases), "own": APPLICATION_NAME, "before": before}
    found = connection.execute(sessions_sql(connection.info.server_version).encode(), values).fetchall()
    return [ClientSession(*row) for row in found]


@dataclass(frozen=True)
class Sample:
    """What is known of one moment, by database: rows written so far, sessions, and the server's own workers."""

    rows: dict[str, int]
    sessions: tuple[ClientSession, ...]
    # Sessions established so far, which servers before version 14 do not count.
    established: dict[str, int] = field(default_factory=dict)
    vacuumed: frozenset[str] = frozenset()
    subscribing: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Writer:
    """A database that is still written to: by how many rows in the sample, and by whom as far as that can be seen."""

    database: str
    rows: int
    sessions: tuple[ClientSession, ...]

    def as_result(self) -> dict[str, Any]:
        return {
            "database": self.database,
            "rows": self.rows,
            "sessions": [session.as_result() for session in self.sessions],
        }


def writers(connection: psycopg.Connection[Any], databases: Sequence[str], sample_seconds: float) -> list[Writer]:
    """The databases that are still written to; the connection can be to any database of the server.

    PostgreSQL tells of a write up to a second later: `sample_seconds` below 2 misses some.
    """
    before = _sample(connection, databases)
    pause(sample_seconds)
    return list(judge(before, _sample(connection, databases), databases))


def _sample(connection: psycopg.Connection[Any], databases: Sequence[str]) -> Sample:
    version = connection.info.server_version
    established = "sessions" if version >= 140000 else "NULL::bigint"
    # Inside a transaction the statistics would be those of its first look.
    connection.execute("SELECT pg_stat_clear_snapshot()")
    counters = connection.execute(
        f"SELECT datname::text, tup_inserted + tup_updated + tup_deleted, {established} "
        "FROM pg_stat_database WHERE datname = ANY(%s)".encode(),
        [list(databases)],
    ).fetchall()
    workers: list[Any] = []
    if version >= 100000:
        workers = connection.execute(
            "SELECT DISTINCT datname::text, backend_type = 'autovacuum worker' FROM pg_stat_activity "
            "WHERE backend_type ~ '^(autovacuum|logical replication.*) worker$' AND datname IS NOT NULL"
        ).fetchall()
    return Sample(
        rows={name: int(count or 0) for name, count, _sessions in counters},
        sessions=tuple(client_sessions(connection, databases)),
        established={name: int(sessions) for name, _count, sessions in counters if sessions is not None},
        vacuumed=frozenset(name for name, vacuum in workers if vacuum),
        subscribing=frozenset(name for name, vacuum in workers if not vacuum),
    )


def judge(before: Sample, after: Sample, databases: Sequence[str]) -> Iterator[Writer]:
    """A session with a transaction id writes. Rows that were written between the samples tell of the others."""
    for database in databases:
        rows = after.rows.get(database, 0) - before.rows.get(database, 0)
        both = [session for session in (*before.sessions, *after.sessions) if session.database == database]
        writing = {session.pid: session for session in both if session.has_transaction_id}
        if writing or (rows > 0 and not _only_analyzed(before, after, database)):
            shown = writing or {session.pid: session for session in both}
            yield Writer(database, max(0, rows), tuple(shown.values()))


def _only_analyzed(before: Sample, after: Sample, database: str) -> bool:
    """Whether nobody but autovacuum can have written: ANALYZE writes rows to pg_statistic, which count like others."""
    if any(session.database == database for session in (*before.sessions, *after.sessions)):
        return False
    if database in before.subscribing | after.subscribing:
        return False
    if database in before.established:
        return before.established[database] == after.established.get(database)
    return database in before.vacuumed | after.vacuumed


def who(found: Sequence[Writer]) -> str:
    """The writers in words, for the sentence that refuses a cutover."""
    parts = []
    for writer in found:
        names = sorted({session.application or session.user or "unknown" for session in writer.sessions})
        by = f" by {', '.join(names)}" if names else ""
        parts.append(f"{writer.database} ({writer.rows} rows{by})")
    return ", ".join(parts)
