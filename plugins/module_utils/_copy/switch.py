# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The switch: from the moment at which nobody may write at one side to the one at which the other has everything."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .._errors import ModuleFailure
from .._parallel import each
from .._source.read_only import ReadOnlySource
from .catalog import Configured, Table, fetch, tables
from .choice import choose
from .job import Job, run_each, session
from .leftovers import (
    RELATIONS,
    LargeObjects,
    carry_configured,
    carry_unlogged,
    of_extensions,
    refresh_views,
    sequences,
    set_sequences,
)
from .stream import Stream

if TYPE_CHECKING:
    import psycopg


@dataclass
class Side:
    """One database at its switch, with all that can be made ready while it is still written to."""

    job: Job
    stream: Stream
    source: psycopg.Connection[Any]
    target: psycopg.Connection[Any]
    large_objects: LargeObjects
    sequences: list[tuple[str, str]]
    unlogged: list[Table]
    configured: list[Configured]
    last: Callable[[Side], None]
    undo: Callable[[], None]
    opened: contextlib.ExitStack

    def close(self) -> None:
        self.opened.close()


def get_ready(
    job: Job, stream: Stream, timeout: float, *, refresh: bool, last: Callable[[Side], None], undo: Callable[[], None]
) -> Side:
    """The sessions bear the collection's own name, so that ending the writers leaves them alone."""
    with contextlib.ExitStack() as opened:
        source = opened.enter_context(contextlib.closing(session(job.source, job.name)))
        target = opened.enter_context(contextlib.closing(session(job.target, job.name)))
        go_on(job, stream, target, undo)
        found = tables(source)
        chosen = choose(job.options.choice, sorted({table.schema for table in found}), found).tables
        refuse_new_tables(job, chosen, target)
        large_objects = LargeObjects(job, source, target)
        large_objects.carry()
        if refresh:
            refresh_views(job, source, target)
        unlogged = [table for table in chosen if table.holds_rows and table.persistence == "u"]
        own = of_extensions(job, source, target)
        numbers = sequences(source, target, own)
        # Shows that changes are being taken, before anybody is kept from writing.
        stream.catch_up(source, target, stream.mark(source), lambda: None, timeout)
        return Side(job, stream, source, target, large_objects, numbers, unlogged, own, last, undo, opened.pop_all())


def go_on(job: Job, stream: Stream, target: psycopg.Connection[Any], undo: Callable[[], None]) -> None:
    """Changes go on arriving where a switch has ended that, and what may not be there then is taken back first."""
    undo()
    if not stream.require(stream.state(target)).enabled:
        run_each(target, [off for off, _on in job.row.held], job.target, "hold back triggers and row security")
        stream.enable(target, on=True)


def refuse_new_tables(job: Job, chosen: Sequence[Table], target: psycopg.Connection[Any]) -> None:
    """Definitions are not replicated: what was made since the copy began would be lost."""
    published = set(map(tuple, job.row.published))
    there = {(row[0], row[1]) for row in fetch(target, RELATIONS)}
    new = [
        table.label for table in chosen if (table.schema, table.name) not in (published if table.replicated else there)
    ]
    if new:
        raise ModuleFailure(
            f"Since the copy began, {', '.join(new[:10])} {'was' if len(new) == 1 else 'were'} made in the database "
            f"{job.name} at the source: new tables and partitions are not carried over, and would be lost.",
            code="NewTables",
            target="source",
            hint="Drop them, or cancel the copy and begin anew without changing definitions in the meantime.",
        )


def switch(sides: Sequence[Side], guard: ReadOnlySource | None, reopen: Sequence[str], timeout: float) -> float:
    """Seconds from the first writer refused until the last database was complete at the other side.

    `guard` stops the writers, where that has not been done; `reopen` are its databases that were written to before.
    """
    began = time.monotonic()
    complete = False
    try:
        if guard:
            guard.lock(min(timeout, 15.0))
            refuse_writers(guard)
        each(lambda side: _complete(side, timeout), sides, len(sides))
        complete = True
    finally:
        if not complete:
            _undo(sides, guard, reopen)
    return round(time.monotonic() - began, 3)


def refuse_writers(guard: ReadOnlySource) -> None:
    """What is written behind the end of the log that the switch waits for would be lost without a word."""
    found = guard.who_can_write()
    if found:
        raise ModuleFailure(
            f"The databases {', '.join(guard.databases)} on {guard.server} can not be kept from being written to: "
            f"{' '.join(found)}",
            code="CutoverRefused",
            target=guard.server.option,
            hint="They are written to as before. Run again, when nobody can go on writing.",
        )


def _complete(side: Side, timeout: float) -> None:
    job, stream = side.job, side.stream
    position = stream.mark(side.source)
    stream.catch_up(side.source, side.target, position, lambda: None, timeout)
    stream.enable(side.target, on=False)
    set_sequences(job, side.source, side.target, side.sequences)
    side.large_objects.carry_changes()
    carry_unlogged(job, side.source, side.target, side.unlogged)
    carry_configured(job, side.source, side.target, side.configured, None)
    side.last(side)


def _undo(sides: Sequence[Side], guard: ReadOnlySource | None, reopen: Sequence[str]) -> None:
    """As before: changes go on arriving, writers are let in again. The failure itself is the one to tell."""
    for side in sides:
        with contextlib.suppress(ModuleFailure):
            go_on(side.job, side.stream, side.target, side.undo)
    if guard and reopen:
        with contextlib.suppress(ModuleFailure):
            guard.unlock(reopen)


@contextlib.contextmanager
def all_ready(makers: Sequence[Callable[[], Side]]) -> Iterator[list[Side]]:
    sides: list[Side] = []
    try:
        for make in makers:
            sides.append(make())
        yield sides
    finally:
        for side in sides:
            side.close()


def turned(job: Job) -> Job:
    """The same work in the other direction."""
    return replace(job, source=job.target, target=job.source)
