# SPDX-License-Identifier: GPL-3.0-or-later
"""One database's logical replication: publication, slot, subscription, what they have done, and taking them away."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from pgflex_lab.migrations.endpoints import Connection, Endpoint
from pgflex_lab.migrations.job import Job
from pgflex_lab.migrations.model import MigrationFailure

# Leaf tables with rows of their own that WAL carries; extensions bring theirs along.
PUBLISHED = """
SELECT n.nspname, c.relname, c.oid,
       c.relreplident::text = 'n' OR (c.relreplident::text = 'd' AND NOT EXISTS (
           SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)) AS keyless,
       c.relreplident::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid
"""
IDENTITY = {"d": "DEFAULT", "n": "NOTHING"}
CHANGES = (
    "coalesce(sum(n_tup_ins), 0)::bigint, coalesce(sum(n_tup_upd), 0)::bigint, coalesce(sum(n_tup_del), 0)::bigint"
)
MAX_ERRORS = 5
Changes = tuple[int, int, int]
"""Inserts, updates, deletes."""


@dataclass(frozen=True)
class Table:
    schema: str
    name: str
    oid: int
    keyless: bool
    identity: str

    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


class Replication:
    """Names hold the migration's id: slots and origins are known by name in the whole cluster."""

    def __init__(self, job: Job) -> None:
        self._job = job
        with job.source.service(job.name) as source:
            row = source.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        assert row is not None
        self.label = f"azmig_{job.migration.id.hex[:12]}_{row[0]}"
        self.tables: list[Table] = []
        self._widened: list[Table] = []
        self._subscription: int | None = None
        self._watchers: dict[str, Connection] = {}
        self._positions: deque[tuple[float, int]] = deque(maxlen=4096)
        self._target_base: Changes = (0, 0, 0)
        self._source_base: Changes = (0, 0, 0)

    def publish(self) -> None:
        """Once published, a table without a key refuses its own application's updates, so it is widened first."""
        with self._job.source.connect(self._job.name) as source, self._job.interruptible(source):
            self.tables = [Table(*row) for row in source.execute(PUBLISHED).fetchall()]
            for table in self.tables:
                if table.keyless:
                    source.execute(sql.SQL("ALTER TABLE {} REPLICA IDENTITY FULL").format(table.identifier()))
                    self._widened.append(table)
            create = sql.SQL("CREATE PUBLICATION {}").format(sql.Identifier(self.label))
            if self.tables:
                create += sql.SQL(" FOR TABLE ") + sql.SQL(", ").join(
                    sql.SQL("ONLY {}").format(table.identifier()) for table in self.tables
                )
            source.execute(create)

    def subscribe(self) -> None:
        job = self._job
        conninfo = psycopg.conninfo.make_conninfo(job.source.conninfo(job.name), application_name=self.label)
        with job.target.service(job.name) as target, job.interruptible(target):
            target.execute(
                sql.SQL(
                    "CREATE SUBSCRIPTION {0} CONNECTION {1} PUBLICATION {0}"
                    " WITH (slot_name = {2}, synchronous_commit = 'on')"
                ).format(sql.Identifier(self.label), sql.Literal(conninfo), sql.Literal(self.label))
            )
            row = target.execute("SELECT oid FROM pg_subscription WHERE subname = %s", (self.label,)).fetchone()
        assert row is not None
        self._subscription = row[0]

    def base_copied(self) -> bool:
        """Counts the tables; true when each of them follows the stream."""
        with self._job.target.service(self._job.name) as target:
            states: dict[str, int] = dict(
                target.execute(
                    "SELECT srsubstate::text, count(*) FROM pg_subscription_rel WHERE srsubid = %s GROUP BY 1",
                    (self._subscription,),
                ).fetchall()
            )
            self._raise_errors(target)
        waiting, loading, ready = states.get("i", 0), states.get("d", 0), states.get("r", 0)
        total = sum(states.values())
        self._job.measured(
            fullLoadQueuedTables=waiting,
            fullLoadLoadingTables=loading,
            fullLoadCompletedTables=total - waiting - loading,
        )
        return bool(ready == total)

    def _raise_errors(self, target: Connection) -> None:
        if target.info.server_version < 150000:
            return
        row = target.execute(
            "SELECT apply_error_count, sync_error_count FROM pg_stat_subscription_stats WHERE subid = %s",
            (self._subscription,),
        ).fetchone()
        if row and max(row) >= MAX_ERRORS:
            self._job.measured(fullLoadErroredTables=1 if row[1] >= MAX_ERRORS else 0)
            raise MigrationFailure(
                f"603700: Replication of database {self._job.name} fails again and again: "
                f"{self._job.target.cluster.log_tail(3)}"
            )

    def enable(self, *, on: bool) -> None:
        """Off ends the worker too: index builds must not wait for its locks, nor it for theirs."""
        with self._job.target.service(self._job.name) as target:
            verb = sql.SQL("ENABLE" if on else "DISABLE")
            target.execute(sql.SQL("ALTER SUBSCRIPTION {} {}").format(sql.Identifier(self.label), verb))
            if not on:
                self._until(lambda: self._worker_gone(target), "the replication worker to end")

    def _worker_gone(self, target: Connection) -> bool:
        query = "SELECT 1 FROM pg_stat_subscription WHERE subid = %s AND pid IS NOT NULL"
        return target.execute(query, (self._subscription,)).fetchone() is None

    def _until(self, done: Callable[[], bool], what: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise MigrationFailure(f"603700: Waited in vain for {what} in database {self._job.name}.")
            time.sleep(0.05)

    def mark(self) -> int:
        """A position behind everything committed so far."""
        with self._job.source.connect(self._job.name) as source:
            source.execute("SELECT pg_logical_emit_message(true, 'migration', 'mark')")
            row = source.execute("SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint").fetchone()
        assert row is not None
        return int(row[0])

    def applied(self) -> int:
        return self._confirmed(self._watching(self._job.source))[0]

    def _watching(self, endpoint: Endpoint) -> Connection:
        """One connection for each side, made again after a restart of the server."""
        found = self._watchers.get(endpoint.side)
        if found is None or found.closed:
            found = self._watchers[endpoint.side] = endpoint.service(self._job.name)
        return found

    def _confirmed(self, source: Connection) -> tuple[int, int]:
        row = source.execute(
            "SELECT (confirmed_flush_lsn - '0/0')::bigint, (pg_current_wal_flush_lsn() - '0/0')::bigint"
            " FROM pg_replication_slots WHERE slot_name = %s",
            (self.label,),
        ).fetchone()
        if row is None:
            raise MigrationFailure(
                f"603700: The replication slot of database {self._job.name} is gone from the source."
            )
        return int(row[0] or 0), int(row[1])

    def catch_up(self, position: int) -> None:
        while not self.measure() >= position:
            self._job.pause(0.05)

    def start_counting(self) -> None:
        """Counters of changes begin where the base copy ends."""
        self._target_base = _changes(self._watching(self._job.target))
        self._source_base = self._source_changes()

    def _source_changes(self) -> Changes:
        return _changes(self._watching(self._job.source), [table.oid for table in self.tables])

    def count_finally(self) -> None:
        """The worker hands in what it counted when it ends."""
        with self._job.target.service(self._job.name) as target:
            self._counted(_difference(_changes(target), self._target_base), pending=0, latency=0)

    def _counted(self, done: Changes, *, pending: int, latency: int) -> None:
        self._job.measured(
            cdcInsertCounter=done[0],
            cdcUpdateCounter=done[1],
            cdcDeleteCounter=done[2],
            appliedChanges=sum(done),
            incomingChanges=sum(done) + pending,
            latency=latency,
        )

    def measure(self) -> int:
        """Refreshes the counters; returns the position up to which everything is applied, 0 while a server restarts."""
        try:
            return self._measure()
        except psycopg.OperationalError:
            return 0

    def _measure(self) -> int:
        confirmed, current = self._confirmed(self._watching(self._job.source))
        now = time.monotonic()
        self._positions.append((now, current))
        while len(self._positions) > 1 and self._positions[1][1] <= confirmed:
            self._positions.popleft()
        oldest, position = self._positions[0]
        latency = 0 if confirmed >= position else math.ceil(now - oldest)
        seen = _difference(self._source_changes(), self._source_base)
        done = _difference(_changes(self._watching(self._job.target)), self._target_base)
        if confirmed >= current:
            # All is applied, and the worker only reports the last of it when more comes.
            done = (max(done[0], seen[0]), max(done[1], seen[1]), max(done[2], seen[2]))
        pending = max(1, sum(seen) - sum(done)) if confirmed < current else 0
        self._counted(done, pending=pending, latency=latency)
        self._raise_errors(self._watching(self._job.target))
        return confirmed

    def remove(self) -> None:
        """Subscription, origins, slots, publication, identities; whatever of them is there."""
        for connection in self._watchers.values():
            connection.close()
        if self._job.target.cluster.running:
            self._remove_subscription()
        if self._job.source.cluster.running:
            self._remove_slots()
            self._remove_publication()

    def _remove_subscription(self) -> None:
        with self._job.target.service("template1") as target:
            if target.execute("SELECT 1 FROM pg_database WHERE datname = %s", (self._job.name,)).fetchone() is None:
                return
        with self._job.target.service(self._job.name) as target:
            row = target.execute("SELECT oid FROM pg_subscription WHERE subname = %s", (self.label,)).fetchone()
            if row:
                self._subscription = row[0]
                name = sql.Identifier(self.label)
                # Without its slot it can be dropped even when the source is out of reach.
                for statement in ("ALTER SUBSCRIPTION {} DISABLE", "ALTER SUBSCRIPTION {} SET (slot_name = NONE)"):
                    target.execute(sql.SQL(statement).format(name))
                target.execute(sql.SQL("DROP SUBSCRIPTION {}").format(name))
            if self._subscription is not None:
                target.execute(
                    "SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin"
                    " WHERE roname = %s OR roname LIKE %s",
                    (f"pg_{self._subscription}", f"pg_{self._subscription}\\_%"),
                )

    def _remove_slots(self) -> None:
        names = (self.label, f"pg_{self._subscription}\\_sync\\_%" if self._subscription is not None else self.label)
        with self._job.source.service("postgres") as source:

            def gone() -> bool:
                condition = "database = %s AND (slot_name = %s OR slot_name LIKE %s)"
                values = (self._job.name, *names)
                source.execute(
                    f"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND {condition}",
                    values,
                )
                source.execute(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                    f" WHERE NOT active AND {condition}",
                    values,
                )
                return (
                    source.execute(f"SELECT 1 FROM pg_replication_slots WHERE {condition}", values).fetchone() is None
                )

            self._until(gone, "the replication slot to go")

    def _remove_publication(self) -> None:
        with self._job.source.service(self._job.name) as source:
            source.execute("SET default_transaction_read_only = off")
            source.execute(sql.SQL("DROP PUBLICATION IF EXISTS {}").format(sql.Identifier(self.label)))
            while self._widened:
                table = self._widened.pop()
                exists = source.execute("SELECT 1 FROM pg_class WHERE oid = %s", (table.oid,)).fetchone()
                if exists:
                    source.execute(
                        sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(
                            table.identifier(), sql.SQL(IDENTITY[table.identity])
                        )
                    )


def _changes(connection: Connection, tables: list[int] | None = None) -> Changes:
    row = connection.execute(
        f"SELECT {CHANGES} FROM pg_stat_user_tables WHERE %(tables)s::oid[] IS NULL OR relid = ANY(%(tables)s)",
        {"tables": tables},
    ).fetchone()
    assert row is not None
    return (int(row[0]), int(row[1]), int(row[2]))


def _difference(now: Changes, before: Changes) -> Changes:
    return (max(0, now[0] - before[0]), max(0, now[1] - before[1]), max(0, now[2] - before[2]))
