# SPDX-License-Identifier: GPL-3.0-or-later
"""Online: base copy and changes by logical replication, the rest at cutover."""

from __future__ import annotations

from pgflex_lab.migrations import leftovers, schema
from pgflex_lab.migrations.job import Job
from pgflex_lab.migrations.model import DatabaseState
from pgflex_lab.migrations.programs import Entry, table_of_contents
from pgflex_lab.migrations.replication import Replication

KEYS = """
SELECT n.nspname, i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_namespace n ON n.oid = i.relnamespace
LEFT JOIN pg_constraint c ON c.conindid = x.indexrelid AND c.contype IN ('p', 'u', 'x')
WHERE x.indisreplident OR c.contype IN ('p', 'u')
"""
POLL = 0.2


def copy(job: Job) -> None:
    """Until cutover is done; whatever ends it, nothing of the replication stays behind."""
    replication = Replication(job)
    try:
        with job.turn():
            _base_copy(job, replication)
        replication.catch_up(replication.mark())
        job.enter(DatabaseState.WAITING_CUTOVER)
        while not job.wait(lambda: job.database.cutover_wanted, POLL):
            replication.measure()
        _cut_over(job, replication)
    finally:
        replication.remove()


def _base_copy(job: Job, replication: Replication) -> None:
    with job.directory() as place:
        schema.prepare_database(job)
        dump = schema.dump(job, place / "schema", "-Fc", "--schema-only")
        entries = schema.wanted(job, table_of_contents(job.programs, dump))
        before, after = _parts(job, entries)
        schema.restore(job, dump, before)
        replication.publish()
        replication.subscribe()
        while not replication.base_copied():
            job.pause(POLL)
        replication.enable(on=False)
        replication.start_counting()
        schema.restore(job, dump, after)
        replication.enable(on=True)


def _parts(job: Job, entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Before the rows: tables and the keys that changes are matched by. After them: the rest."""
    with job.source.service(job.name) as source:
        keys = source.execute(KEYS).fetchall()
    indexes = tuple(f"{namespace} {name} " for namespace, name in keys)
    key_names = tuple(f" {name} " for _kind, name in keys)
    after_rows = ("CONSTRAINT", "FK CONSTRAINT", "INDEX", "INDEX ATTACH", "TRIGGER", "RULE", "POLICY", "ROW SECURITY")
    later_kinds = (*after_rows, "STATISTICS", "MATERIALIZED VIEW DATA", "COMMENT")
    before: list[Entry] = []
    after: list[Entry] = []
    for entry in entries:
        keyed = entry.kind == "CONSTRAINT" and any(name in f" {entry.rest} " for name in key_names)
        keyed = keyed or (entry.kind == "INDEX" and entry.rest.startswith(indexes))
        (after if entry.kind in later_kinds and not keyed else before).append(entry)
    return before, after


def _cut_over(job: Job, replication: Replication) -> None:
    with job.migration.changing():
        job.database.completing = True
    job.enter(DatabaseState.IN_PROGRESS)
    replication.catch_up(replication.mark())
    replication.remove()
    replication.count_finally()
    leftovers.carry(job)
    schema.analyze(job)
