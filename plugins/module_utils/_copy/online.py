# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One database, while it is written to: the servers copy rows and changes between themselves, up to the cutover.

Every step can be killed. What the servers do goes on without this machine; a later run finds the step in the table of
copies and goes on from there, or starts the database anew where the step cannot be picked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._errors import ModuleFailure
from .._postgres import Server
from .._wait import pause
from .catalog import DatabaseFacts, Table, fetch, schemas, tables
from .choice import choose
from .job import Job, run_each
from .ledger import Copy, DatabaseCopy, Ledger
from .leftovers import LargeObjects, held
from .offline import analyze
from .schema import (
    drop_made,
    dump_definitions,
    grant,
    grant_statements,
    left_out,
    make_database,
    make_extensions,
    restore,
)
from .stream import (
    Stream,
    SubscriptionState,
    alter_tables,
    conninfo,
    restore_statements,
    widen_statements,
    widened,
)

if TYPE_CHECKING:
    import psycopg

POLL = 0.2
CHANGES = """
SELECT coalesce(sum(n_tup_ins), 0)::bigint, coalesce(sum(n_tup_upd), 0)::bigint, coalesce(sum(n_tup_del), 0)::bigint
  FROM pg_stat_user_tables"""
STEPS = ("new", "again", "database", "schema", "rows", "indexes", "late indexes", "changes", "waiting")


def label_of(copy: Copy, row: DatabaseCopy) -> str:
    names = [item.name for item in copy.databases]
    return f"pgflex_{copy.settings['id']}_{names.index(row.name)}"


def forward(source: Server, target: Server, copy: Copy, row: DatabaseCopy) -> Stream:
    label = label_of(copy, row)
    way = conninfo(source, row.name, copy.settings.get("source_from_target"), label)
    return Stream(label, row.name, source, target, way)


def clean_source(source: Server, target: Server, copy: Copy, row: DatabaseCopy, ledger: Ledger) -> list[str]:
    """Slots, publication and replica identities; what could not be taken away is told, not raised."""
    stream = forward(source, target, copy, row)
    trouble = []
    gone = False
    try:
        drop_subscription(stream, copy, row, ledger)
        gone = True
    except ModuleFailure as failure:
        trouble.append(failure.message)
    try:
        stream.remove_publication(row.slots)
        alter_tables(source, row.name, restore_statements(row.widened), "put replica identities back")
        row.widened = []
        # A subscription that is still there can make its slots anew.
        row.slots = [] if gone else row.slots
    except ModuleFailure as failure:
        trouble.append(
            f"Left at the source: slot and publication {stream.label}, until the task runs again. {failure.message}"
        )
    return trouble


def drop_subscription(stream: Stream, copy: Copy, row: DatabaseCopy, ledger: Ledger) -> None:
    """Its slots are noted first, as they can outlive it where the source is out of reach."""
    try:
        with stream.subscriber_session() as subscriber:
            note_slots(stream, subscriber, copy, row, ledger)
    except ModuleFailure as failure:
        if failure.code == "UnknownDatabase":
            return
        raise
    stream.remove_subscription()


def note_slots(stream: Stream, subscriber: Any, copy: Copy, row: DatabaseCopy, ledger: Ledger) -> None:
    pattern = stream.slots(subscriber)
    if pattern and pattern not in row.slots:
        row.slots.append(pattern)
        ledger.save(copy)


class OnlineCopy:
    def __init__(self, job: Job, way: Mapping[str, Any] | None) -> None:
        self.job = job
        self.stream = Stream(
            job.label,
            job.name,
            job.worker(job.source),
            job.worker(job.target),
            conninfo(job.source, job.name, way, job.label),
        )

    def run(self, facts: DatabaseFacts) -> None:
        job = self.job
        if STEPS.index(job.row.step) < STEPS.index("rows"):
            self._begin(facts)
        with job.on_source() as source, job.on_target() as target:
            if job.row.step == "rows":
                self._await_rows(source, target)
                job.enter("indexes")
            if job.row.step in ("indexes", "late indexes"):
                self._finish_definitions(source, target)
            self._catch_up(source, target)

    def _begin(self, facts: DatabaseFacts) -> None:
        job = self.job
        if job.row.step != "new":
            trouble = clean_source(job.source, job.target, job.copy, job.row, job.ledger)
            if trouble:
                raise ModuleFailure(" ".join(trouble), code="LeftAtSource", target="source")
        self.stream.check_way(job.ledger.database)
        with job.on_source() as source:
            chosen = choose(job.options.choice, schemas(source), tables(source))
            published = [table for table in chosen.tables if table.replicated]
            make_database(job, facts)
            self._widen(published)
            out = left_out(source, chosen.left_out, chosen.schemas_left_out)
            job.skip(*out.listed)
            make_extensions(job, source)
            definitions = dump_definitions(job, source, out, None)
            restore(job, definitions, [*definitions.before, *definitions.keys], "make the tables and their keys")
        job.row.published = [[table.schema, table.name] for table in published]
        job.enter("schema")
        self.stream.publish(job.row.published)
        job.row.seen = []
        self.stream.subscribe(copy_data=True)
        with job.on_target() as target:
            note_slots(self.stream, target, job.copy, job.row, job.ledger)
        job.enter("rows")

    def _widen(self, published: list[Table]) -> None:
        """Before the publication, which would make the application's own updates fail; noted before it is done."""
        job = self.job
        job.row.widened = widened(published)
        if job.row.widened:
            job.ledger.save(job.copy)
            alter_tables(job.source, job.name, widen_statements(job.row.widened), "widen replica identities")
            job.report(f"{job.copy.name}: {job.name}: {len(job.row.widened)} tables without a key are widened")

    def _await_rows(self, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> None:
        LargeObjects(self.job, source, target).carry()
        while True:
            found = self.stream.look(source, target, self.job.row.seen).state
            self._count(found)
            self.job.tick()
            if not found.unready:
                return
            pause(POLL)

    def _count(self, found: SubscriptionState) -> None:
        self.job.count(
            tables_queued=found.waiting,
            tables_loading=found.loading,
            tables_completed=found.copied,
            tables_errored=0,
        )

    def _finish_definitions(self, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> None:
        """Built on rows that nobody changes; what an earlier run has built of them is dropped first."""
        job = self.job
        again = job.row.step == "late indexes"
        chosen = choose(job.options.choice, schemas(source), tables(source))
        definitions = dump_definitions(job, source, left_out(source, chosen.left_out, chosen.schemas_left_out), None)
        self.stream.enable(target, on=False)
        job.row.base = list(fetch(target, CHANGES)[0])
        job.enter("late indexes")
        if again:
            drop_made(job, source, definitions.after)
        restore(job, definitions, definitions.after, "make the indexes and constraints")
        self._hold(target)
        grant(job, grant_statements(job, definitions))
        job.enter("changes")

    def _hold(self, target: psycopg.Connection[Any]) -> None:
        """Off until the switch, as at the source it has done its work already; noted before it is done."""
        job = self.job
        job.row.held = held(target)
        job.ledger.save(job.copy)
        run_each(target, [off for off, _on in job.row.held], job.target, "hold back triggers and row security")

    def _catch_up(self, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> None:
        job = self.job
        self.stream.enable(target, on=True)
        analyze(job)
        position = self.stream.mark(source)
        while self.stream.positions(source)[0] < position:
            measure(self.stream, job.row, source, target)
            job.tick()
            pause(POLL)
        measure(self.stream, job.row, source, target)
        job.enter("waiting", state="WaitingForCutoverTrigger")


LAG = """
SELECT extract(epoch FROM coalesce(replay_lag, write_lag))::float8 FROM pg_stat_replication
 WHERE application_name = %s"""


# Seconds, where nobody is connected: nothing is known but that it is behind.
UNKNOWN = 3600


def measure(
    stream: Stream, row: DatabaseCopy, source: psycopg.Connection[Any], target: psycopg.Connection[Any]
) -> None:
    """Counters of changes, and how many seconds the target is behind."""
    found = stream.look(source, target, row.seen)
    lag = [sent[0] for sent in fetch(source, LAG, [stream.label])]
    seconds = int(lag[0] or 0) if lag else (0 if found.confirmed >= found.written else UNKNOWN)
    done = [max(0, now - base) for now, base in zip(fetch(target, CHANGES)[0], row.base or (0, 0, 0), strict=True)]
    row.counters |= {
        "inserts": done[0],
        "updates": done[1],
        "deletes": done[2],
        "applied_changes": sum(done),
        "incoming_changes": sum(done),
        "latency": seconds,
    }
