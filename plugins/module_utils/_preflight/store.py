# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values before the remedies, in a table of the target: they have to be there when this machine is not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .._postgres import Server, connect, sql_errors
from .session import MAINTENANCE
from .steps import Step

if TYPE_CHECKING:
    import psycopg

# Two hosts of a play may have the same target; the key is of this table alone.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('pgflex.preflight'))"
MAKE = """
CREATE SCHEMA IF NOT EXISTS pgflex;
CREATE TABLE IF NOT EXISTS pgflex.preflight (
    migration text NOT NULL, remedy text NOT NULL, kind text NOT NULL, side text NOT NULL, database text NOT NULL,
    object text NOT NULL, before text, after text, at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (migration, kind, side, database, object))"""
# The oldest value is the one to go back to.
KEEP = """
INSERT INTO pgflex.preflight (migration, remedy, kind, side, database, object, before, after)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (migration, kind, side, database, object) DO UPDATE SET after = excluded.after"""
FIND = """
SELECT remedy, kind, side, nullif(database, ''), object, before, after FROM pgflex.preflight WHERE migration = %s
 ORDER BY at, kind, side, database, object"""
FORGET = "DELETE FROM pgflex.preflight WHERE migration = %s AND (remedy = ANY (%s) OR %s)"
THERE = "SELECT to_regclass('pgflex.preflight') IS NOT NULL"
EMPTY = "SELECT NOT EXISTS (SELECT 1 FROM pgflex.preflight)"
ALONE = "SELECT NOT EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = 'pgflex'::regnamespace)"


class Store:
    """What was changed for one migration; nothing of it is left once all is put back."""

    def __init__(self, server: Server, migration: str) -> None:
        self.server = server
        self.migration = migration

    def keep(self, steps: Iterable[Step]) -> None:
        """Written before the steps are done: a run that is killed between leaves nothing that nobody knows of."""
        with self._transaction("remember the values before the remedies") as connection:
            connection.execute(MAKE)
            for step in steps:
                where = (step.kind, step.side, step.database or "", step.object)
                connection.execute(KEEP, [self.migration, step.remedy, *where, step.before, step.after])

    def find(self, remedies: Sequence[str]) -> list[Step]:
        """What is remembered, of these remedies or of all of them."""
        with self._transaction("read the values before the remedies") as connection:
            if not _true(connection, THERE):
                return []
            names = ("remedy", "kind", "side", "database", "object", "before", "after")
            rows = connection.execute(FIND, [self.migration]).fetchall()
            steps = [Step.from_result(dict(zip(names, row, strict=True))) for row in rows]
        return [step for step in steps if not remedies or step.remedy in remedies]

    def forget(self, remedies: Sequence[str]) -> None:
        """Of these remedies, or of all of them."""
        with self._transaction("forget the values before the remedies") as connection:
            if not _true(connection, THERE):
                return
            connection.execute(FORGET, [self.migration, list(remedies), not remedies])
            if _true(connection, EMPTY):
                connection.execute("DROP TABLE pgflex.preflight")
                if _true(connection, ALONE):
                    connection.execute("DROP SCHEMA pgflex")

    @contextlib.contextmanager
    def _transaction(self, what: str) -> Iterator[psycopg.Connection[Any]]:
        """One that no other run is in at the same time."""
        with sql_errors(self.server, what), connect(self.server, MAINTENANCE, autocommit=False) as connection:
            connection.execute("SET TRANSACTION READ WRITE")
            connection.execute(LOCK)
            yield connection


def _true(connection: psycopg.Connection[Any], sql: str) -> bool:
    row = connection.execute(sql.encode()).fetchone()
    return bool(row and row[0])
