# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One database, once: a snapshot, its rows by several programs at once, then indexes and constraints."""

from __future__ import annotations

from .._parallel import each
from .._postgres import identifier, sql_errors
from .catalog import DatabaseFacts, fetch, schemas, tables
from .choice import choose
from .job import Job
from .ledger import now
from .leftovers import (
    LargeObjects,
    carry_configured,
    of_extensions,
    refresh_views,
    sequences,
    set_sequences,
    undumped,
)
from .rows import RowCopy, hold, pieces, snapshot
from .schema import (
    copy_settings,
    dump_definitions,
    grant,
    grant_statements,
    left_out,
    make_database,
    make_extensions,
    owner_statements,
    restore,
    set_owners,
)


def copy_offline(job: Job, facts: DatabaseFacts) -> None:
    make_database(job, facts)
    with snapshot(job) as (source, shared):
        chosen = choose(job.options.choice, schemas(source), tables(source))
        hold(source, job, chosen.tables)
        out = left_out(source, chosen.left_out, chosen.schemas_left_out)
        job.skip(*out.listed)
        make_extensions(job, source)
        definitions = dump_definitions(job, source, out, shared)
        restore(job, definitions, definitions.before, "make the tables")
        job.enter("rows")
        with_rows = [table for table in chosen.tables if table.holds_rows]
        RowCopy(job, pieces(job, source, with_rows, in_parts=True), shared).run()
        with job.on_target() as target:
            LargeObjects(job, source, target).carry()
            own = of_extensions(job, source, target)
            carry_configured(job, source, target, own, shared)
            set_sequences(job, source, target, sequences(source, target, own))
            job.enter("indexes")
            restore(job, definitions, [*definitions.keys, *definitions.after], "make the indexes and constraints")
            refresh_views(job, source, target)
            analyze(job)
            grant(job, [*grant_statements(job, definitions), *undumped(source)])
            set_owners(job, owner_statements(job, source, target))
        copy_settings(job, source)
    job.row.ended_on = now()
    job.enter("done", state="Succeeded")


LARGEST_FIRST = """
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND pg_has_role(c.relowner, 'USAGE') ORDER BY c.relpages DESC, c.oid"""


def analyze(job: Job) -> None:
    """Without statistics the first queries of the application are slow."""
    with job.on_target() as target:
        names = [(row[0], row[1]) for row in fetch(target, LARGEST_FIRST)]
    jobs = max(1, job.options.jobs)

    def some(part: int) -> None:
        with job.on_target() as target, sql_errors(job.target, "analyze the tables"):
            for name in names[part::jobs]:
                target.execute(f"ANALYZE {identifier(*name)}".encode())

    each(some, range(min(jobs, len(names))), jobs)
