# SPDX-License-Identifier: GPL-3.0-or-later
"""Moved at cutover, because replication does not: sequences, large objects, unlogged rows, materialized views."""

from __future__ import annotations

from psycopg import sql

from pgflex_lab.migrations.endpoints import Connection
from pgflex_lab.migrations.job import Job
from pgflex_lab.migrations.model import MigrationFailure

NOT_OF_EXTENSIONS = """
NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
RELATIONS = f"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = %s AND c.relpersistence = ANY(%s) AND {NOT_OF_EXTENSIONS} ORDER BY c.oid
"""
COLUMNS = """
SELECT attname FROM pg_attribute a WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
AND coalesce(to_jsonb(a) ->> 'attgenerated', '') = '' ORDER BY attnum
"""
POPULATED = f"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated AND {NOT_OF_EXTENSIONS} ORDER BY c.oid
"""
CHUNK = 1 << 20


def carry(job: Job) -> None:
    with job.source.connect(job.name) as source, job.target.service(job.name) as target, job.interruptible(target):
        target.execute("SET session_replication_role = replica")
        _sequences(source, target)
        _large_objects(job, source, target)
        _unlogged(job, source, target)
        _materialized_views(job, source, target)


def _sequences(source: Connection, target: Connection) -> None:
    for schema, name in source.execute(RELATIONS, ("S", ["p", "u"])).fetchall():
        identifier = sql.Identifier(schema, name)
        row = source.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(identifier)).fetchone()
        assert row is not None
        target.execute("SELECT setval(%s::regclass, %s, %s)", (identifier.as_string(source), row[0], row[1]))


def _large_objects(job: Job, source: Connection, target: Connection) -> None:
    for (oid,) in source.execute("SELECT oid FROM pg_largeobject_metadata ORDER BY oid").fetchall():
        job.check()
        target.execute("SELECT lo_create(%s)", (oid,))
        target.execute(sql.SQL("ALTER LARGE OBJECT {} OWNER TO {}").format(sql.Literal(oid), sql.Identifier(job.owner)))
        offset = 0
        while True:
            row = source.execute("SELECT lo_get(%s, %s, %s)", (oid, offset, CHUNK)).fetchone()
            if row is None or not row[0]:
                break
            target.execute("SELECT lo_put(%s, %s, %s)", (oid, offset, row[0]))
            offset += len(row[0])


def _unlogged(job: Job, source: Connection, target: Connection) -> None:
    for schema, name in source.execute(RELATIONS, ("r", ["u"])).fetchall():
        job.check()
        table = sql.Identifier(schema, name)
        names = [sql.Identifier(row[0]) for row in source.execute(COLUMNS, (table.as_string(source),)).fetchall()]
        columns = sql.SQL(", ").join(names)
        with (
            source.cursor().copy(sql.SQL("COPY {} ({}) TO STDOUT").format(table, columns)) as reading,
            target.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN").format(table, columns)) as writing,
        ):
            for block in reading:
                writing.write(block)


def _materialized_views(job: Job, source: Connection, target: Connection) -> None:
    """In rounds, because one may read another; only those that hold rows at the source."""
    waiting = [sql.Identifier(schema, name) for schema, name in source.execute(POPULATED).fetchall()]
    while waiting:
        job.check()
        ready = [view for view in waiting if _sources_are_filled(target, view.as_string(target), waiting)]
        if not ready:
            names = ", ".join(view.as_string(target) for view in waiting)
            raise MigrationFailure(
                f"603700: The materialized views {names} of database {job.name} cannot be refreshed."
            )
        for view in ready:
            target.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(view))
        waiting = [view for view in waiting if view not in ready]


READS = """
WITH RECURSIVE reads AS (
    SELECT d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    WHERE r.ev_class = %(view)s::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
    UNION
    SELECT d.refobjid FROM reads JOIN pg_rewrite r ON r.ev_class = reads.refobjid
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
)
SELECT 1 FROM reads WHERE refobjid = ANY(%(waiting)s::text[]::regclass[])
"""


def _sources_are_filled(target: Connection, view: str, waiting: list[sql.Identifier]) -> bool:
    others = [name for name in (item.as_string(target) for item in waiting) if name != view]
    return target.execute(READS, {"view": view, "waiting": others}).fetchone() is None
