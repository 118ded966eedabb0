# SPDX-License-Identifier: GPL-3.0-or-later
"""Offline: a parallel dump and a parallel restore."""

from __future__ import annotations

import re

from pgflex_lab.migrations import schema
from pgflex_lab.migrations.job import Job
from pgflex_lab.migrations.programs import table_of_contents

# pg_restore tells in parallel runs which item it begins and ends.
ITEM = re.compile(r"(launching|finished) item \d+ TABLE DATA ")


def copy(job: Job) -> None:
    with job.turn(), job.directory() as place:
        schema.prepare_database(job)
        dump = schema.dump(job, place / "dump", "-Fd", "-j2", "--no-sync")
        entries = schema.wanted(job, table_of_contents(job.programs, dump))
        total = sum(entry.kind == "TABLE DATA" for entry in entries)
        job.measured(fullLoadQueuedTables=total)
        seen = {"launching": 0, "finished": 0}

        def progress(line: str) -> None:
            found = ITEM.search(line)
            if found:
                seen[found.group(1)] += 1
                job.measured(
                    fullLoadQueuedTables=total - seen["launching"],
                    fullLoadLoadingTables=seen["launching"] - seen["finished"],
                    fullLoadCompletedTables=seen["finished"],
                )

        schema.restore(job, dump, entries, progress)
        job.measured(fullLoadQueuedTables=0, fullLoadLoadingTables=0, fullLoadCompletedTables=total)
        schema.analyze(job)
