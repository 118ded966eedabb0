# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparing large objects."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeAlias

from .._parallel import each
from .session import Session, Side

AT_ONCE = 100
SLICE_BYTES = 4 * 1024 * 1024

Row: TypeAlias = tuple[Any, ...]
Pair: TypeAlias = "tuple[int, str | None, str | None]"


def pages(sides: Sequence[Side], sql: Callable[[int, int], str], many: int = AT_ONCE) -> Iterator[list[list[Row]]]:
    """Rows of both sides, the oid first, some at a time: each time all that both have between the same two oids."""
    last = 0
    while True:
        found = each(partial(_page, sql=sql(last, many)), sides)
        if not any(found):
            return
        # A page that is not full goes up to the end; a full one says nothing about what comes after it.
        full = [page[-1][0] for page in found if len(page) == many]
        last = min(full) if full else max(page[-1][0] for page in found if page)
        yield [[row for row in page if row[0] <= last] for page in found]


def _page(side: Side, sql: str) -> list[Row]:
    return side.main.rows(sql)


def oids_sql(after: int, many: int) -> str:
    return f"SELECT oid::bigint FROM pg_largeobject_metadata WHERE oid > {after}::oid ORDER BY oid LIMIT {many}"


def merged(ours: dict[int, str], theirs: dict[int, str]) -> Iterator[Pair]:
    for oid in sorted({*ours, *theirs}):
        yield oid, ours.get(oid), theirs.get(oid)


def only_oids(sides: Sequence[Side]) -> Iterator[Pair]:
    for found in pages(sides, oids_sql):
        ours, theirs = (dict.fromkeys((row[0] for row in page), "") for page in found)
        yield from merged(ours, theirs)


def contents(sides: Sequence[Side], jobs: int) -> Iterator[Pair]:
    """A digest of each large object; several pages are read at the same time, and only they are in memory."""
    running: deque[list[Future[dict[int, str]]]] = deque()
    for found in pages(sides, oids_sql):
        work = [partial(digests, oids=[row[0] for row in page]) for page in found]
        running.append([side.submit(read) for side, read in zip(sides, work, strict=True)])
        if len(running) > jobs:
            yield from _merged_futures(running.popleft())
    while running:
        yield from _merged_futures(running.popleft())


def _merged_futures(futures: Sequence[Future[dict[int, str]]]) -> Iterator[Pair]:
    ours, theirs = (future.result() for future in futures)
    yield from merged(ours, theirs)


def digests(session: Session, oids: Sequence[int]) -> dict[int, str]:
    """Of a long one a slice at a time, so that neither server needs room for the whole."""
    found = dict.fromkeys(oids, "")
    todo, offset = list(oids), 0
    while todo:
        numbers = ", ".join(str(oid) for oid in todo)
        slices = session.rows(
            "SELECT s.oid::bigint, octet_length(s.part), md5(s.part) FROM (SELECT o.oid, "
            f"lo_get(o.oid, {offset}, {SLICE_BYTES}) AS part FROM unnest(ARRAY[{numbers}]::oid[]) AS o(oid) OFFSET 0) s"
        )
        for oid, _length, digest in slices:
            found[oid] += digest
        todo = [oid for oid, length, _digest in slices if length == SLICE_BYTES]
        offset += SLICE_BYTES
    return found
