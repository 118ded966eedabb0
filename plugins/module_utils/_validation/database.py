# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparing one database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from .._errors import ModuleFailure
from .._parallel import each
from .._postgres import Server, identifier
from .._wait import Deadline, pause
from .catalog import Catalog, bounds_sql
from .compare import (
    BadBuckets,
    Position,
    Rows,
    Scope,
    Table,
    Totals,
    Verdict,
    bad_buckets,
    compare_large_objects,
    compare_objects,
    compare_sequence,
    differences,
    grand_total,
    is_equal,
    plan,
    stuck_buckets,
    unknown_large_objects,
)
from .large_objects import contents, only_oids
from .session import Refused, Session, Side, read_catalog
from .sql import (
    WHOLE,
    Chunk,
    Reading,
    buckets_at_once,
    chunks,
    details_sql,
    fold_sql,
    key_chunks,
    mask_for,
    pages_can_be_cut,
    rows_sql,
)
from .structure import definitions, make_judge, privileges

CHUNK_BYTES = 128 * 1024 * 1024
SMALL_BYTES = 1024 * 1024
SMALL_TOGETHER = 20
# Time for what was on its way to arrive, before two sides that differ are looked at again.
RECHECK_SECONDS = 2.0
# Tables whose rows are searched for examples; of more than that only the counts are told.
SEARCHED_TABLES = 50
SEQUENCES_AT_ONCE = 100
SIDES = (0, 1)
# Buckets whose sums are in memory at once, and of a table how many that differ are kept.
BUCKETS_TOGETHER = 262144
BAD_BUCKETS_KEPT = 1024

WRITTEN = """
SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = current_database()"""
SENDING = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database() AND active"
# Of all databases: which one a subscription belongs to is hidden from ordinary users before PostgreSQL 12.
APPLYING = "SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL"


@dataclass(frozen=True)
class Job:
    """What the user asked for, for all databases."""

    source: Server
    target: Server
    jobs: int
    scope: Scope
    max_examples: int
    settle_timeout: float
    large_objects: str
    deadline: Deadline
    definitions: bool = True
    privileges: str = "report"
    role_mapping: Mapping[str, str] = field(default_factory=dict)
    report: Callable[[str], None] = lambda line: None


@dataclass(frozen=True)
class Part:
    """A piece of one table on one side, small enough for one statement."""

    index: int
    reading: Reading
    chunk: Chunk
    mask: int
    size: int
    by_cursor: bool = False


Answer: TypeAlias = "tuple[int, Totals | str]"


def cut(index: int, table: Table, side: int, mask: int, version: int) -> list[Part]:
    relation, reading = (table.source, table.target)[side], table.readings[side]
    if relation.size <= CHUNK_BYTES:
        return [Part(index, reading, WHOLE, mask, relation.size)]
    if pages_can_be_cut(version, relation.heap):
        pieces = chunks(relation.pages, relation.size, CHUNK_BYTES)
    elif relation.bounds:
        pieces = key_chunks(*relation.bounds, relation.size, CHUNK_BYTES)
    else:
        return [Part(index, reading, WHOLE, mask, relation.size, by_cursor=True)]
    return [Part(index, reading, piece, mask, relation.size // len(pieces)) for piece in pieces]


def find_bounds(session: Session, catalog: Catalog) -> None:
    """For large tables that can not be cut by pages: values of a key that part them, as ANALYZE has found them."""
    for n, relation in enumerate(catalog.relations):
        column = catalog.ordered_key(relation)
        if column and relation.size > CHUNK_BYTES and not pages_can_be_cut(catalog.version, relation.heap):
            rows = session.rows(bounds_sql(relation.schema, relation.name, column))
            if rows and rows[0][0]:
                catalog.relations[n] = replace(relation, bounds=(column, tuple(rows[0][0])))


def pack(parts: Sequence[Part]) -> list[list[Part]]:
    """Small tables share a statement, so that thousands of them do not cost thousands of round trips."""
    small = [part for part in parts if part.size <= SMALL_BYTES and not part.mask]
    shared = [small[n : n + SMALL_TOGETHER] for n in range(0, len(small), SMALL_TOGETHER)]
    return [[part] for part in parts if part.size > SMALL_BYTES or part.mask] + shared


def read_parts(session: Session, parts: Sequence[Part]) -> list[Answer]:
    try:
        if parts[0].by_cursor:
            return [(parts[0].index, _by_cursor(session, parts[0]))]
        sql = " UNION ALL ".join(fold_sql(part.reading, part.chunk, part.mask, n) for n, part in enumerate(parts))
        answers: list[Answer] = []
        for n, bucket, count, value in session.rows(sql):
            answers.append((parts[n].index, {int(bucket): (int(count), int(value))}))
        return answers
    except Refused as refusal:
        if len(parts) == 1:
            return [(parts[0].index, str(refusal))]
    return [answer for part in parts for answer in read_parts(session, [part])]


def _by_cursor(session: Session, part: Part) -> Totals:
    totals: Totals = {}
    for bucket, value in session.stream(rows_sql(part.reading, part.mask)):
        count, total = totals.get(bucket, (0, 0))
        totals[bucket] = (count + 1, total + value)
    return totals


def add(totals: Totals, more: Totals) -> None:
    for bucket, (count, value) in more.items():
        rows, total = totals.get(bucket, (0, 0))
        totals[bucket] = (rows + count, total + value)


def together(tables: Sequence[Table]) -> Iterator[list[Table]]:
    """Groups of tables whose buckets fit into memory at the same time."""
    group: list[Table] = []
    for table in tables:
        if group and sum(other.mask + 1 for other in [*group, table]) > BUCKETS_TOGETHER:
            yield group
            group = []
        group.append(table)
    if group:
        yield group


class Comparison:
    """One database on both servers."""

    def __init__(self, job: Job, name: str) -> None:
        self.job = job
        self.name = name
        self.sides = tuple(Side(server, name, job.jobs, job.deadline) for server in (job.source, job.target))
        self.catalogs: list[Catalog] = []
        self._written: list[int] = []
        self._live = False
        self._told = time.monotonic()

    def result(self) -> dict[str, Any]:
        try:
            return self._result()
        except Refused as refusal:
            raise ModuleFailure(f"Failed to compare the database {self.name}: {refusal}", code="Refused") from refusal
        finally:
            each(lambda side: side.close(), self.sides)

    def _result(self) -> dict[str, Any]:
        self._look()
        self.catalogs = each(lambda side: read_catalog(side.main), self.sides)
        source, target = self.catalogs
        for side, catalog in zip(self.sides, self.catalogs, strict=True):
            find_bounds(side.main, catalog)
        found = plan(source, target, self.job.scope)
        self._first_look(found.tables)
        self._settle([table for table in found.tables if table.verdict is Verdict.DIFFERENT])
        for table in found.tables:
            if table.columns and table.verdict is Verdict.EQUAL:
                table.verdict = Verdict.DIFFERENT
        database = {
            "name": self.name,
            "tables": [table.as_result() for table in sorted(found.tables, key=lambda table: table.name)],
            "skipped": found.skipped,
            "objects": compare_objects(source, target, self.job.scope),
            "sequences": self._sequences(),
            "large_objects": self._large_objects(),
            **self._structure(),
            "bytes": sum(table.source.size for table in found.tables),
        }
        return {**database, "equal": is_equal(database)}

    def _look(self) -> None:
        """Fresh snapshots of both sides; the target's after the source's, as replication goes that way."""
        for side in self.sides:
            side.look()
        written = [int(side.main.rows(WRITTEN)[0][0] or 0) for side in self.sides]
        self._live = self._live or (bool(self._written) and written != self._written) or self._replicating()
        self._written = written

    def _replicating(self) -> bool:
        source, target = (side.main for side in self.sides)
        sending = int(source.rows(SENDING)[0][0])
        return sending > 0 or (target.version >= 100000 and int(target.rows(APPLYING)[0][0]) > 0)

    def _first_look(self, tables: Sequence[Table]) -> None:
        for table, answer in zip(tables, self._fold([(table, 0) for table in tables]), strict=True):
            if isinstance(answer, str):
                table.error = answer
            else:
                table.totals = (grand_total(answer[0]), grand_total(answer[1]))
                table.verdict = Verdict.DIFFERENT if bad_buckets(*answer) else Verdict.EQUAL

    def _settle(self, suspects: list[Table]) -> None:
        """Looks again at tables that differ: what writers or replication still move is not called different."""
        before: dict[str, BadBuckets] = {}
        waiting = Deadline(self.job.settle_timeout)
        rounds = 0
        while suspects:
            pause(RECHECK_SECONDS)
            self._look()
            rounds += 1
            now = self._buckets(suspects)
            suspects = [table for table in suspects if table.verdict is Verdict.DIFFERENT]
            if not self._live:
                self._examine(suspects, {table.name: list(now[table.name]) for table in suspects})
                return
            stuck = {t.name: stuck_buckets(before.get(t.name, {}), now[t.name]) for t in suspects}
            if waiting.over and rounds > 1:
                for table in suspects:
                    table.verdict = Verdict.DIFFERENT if stuck[table.name] else Verdict.MOVED
                    table.moved = table.moved or not stuck[table.name]
                self._examine([t for t in suspects if t.verdict is Verdict.DIFFERENT], stuck)
                return
            before = now

    def _buckets(self, suspects: Sequence[Table]) -> dict[str, BadBuckets]:
        """The buckets that differ, by table; says of each table whether it is equal by now and whether it moved."""
        found: dict[str, BadBuckets] = {}
        for table in suspects:
            # Chosen once: buckets of two looks can only be compared under the same mask.
            table.mask = table.mask or mask_for(max(table.rows))
        for tables in together(suspects):
            answers = self._fold([(table, table.mask) for table in tables])
            for table, answer in zip(tables, answers, strict=True):
                if isinstance(answer, str):
                    table.error, table.verdict = answer, Verdict.UNKNOWN
                else:
                    found[table.name] = self._seen_again(table, *answer)
        return found

    def _seen_again(self, table: Table, source: Totals, target: Totals) -> BadBuckets:
        totals = (grand_total(source), grand_total(target))
        table.moved = table.moved or totals != table.totals
        self._live = self._live or table.moved
        table.totals = totals
        bad = bad_buckets(source, target)
        if not bad:
            table.verdict = Verdict.EQUAL
        return dict(islice(bad.items(), BAD_BUCKETS_KEPT))

    def _examine(self, tables: Sequence[Table], buckets: dict[str, list[int]]) -> None:
        if not self.job.max_examples:
            return
        for table in tables[:SEARCHED_TABLES]:
            todo = list(buckets[table.name])
            at_once = buckets_at_once(max(table.rows), table.mask, len(table.column_names))
            while todo and len(table.differing) < self.job.max_examples:
                chosen, todo = todo[:at_once], todo[at_once:]
                futures = [self._details(table, side, chosen) for side in SIDES]
                source, target = (future.result() for future in futures)
                table.differing += differences(table, source, target, self.job.max_examples - len(table.differing))

    def _details(self, table: Table, side: int, buckets: Sequence[int]) -> Future[Rows]:
        parts = cut(0, table, side, table.mask, self.catalogs[side].version)

        def work(session: Session) -> Rows:
            rows = Rows()
            for part in parts:
                for row in session.stream(details_sql(part.reading, part.chunk, part.mask, buckets)):
                    if table.key:
                        rows.add(*row)
                    else:
                        rows.add(str(row[0]), [row[0]], [row[1]])
            return rows

        return self.sides[side].submit(work)

    def _fold(self, wanted: Sequence[tuple[Table, int]]) -> list[tuple[Totals, Totals] | str]:
        """Counts and sums of tables on both sides at once; a text is why a table has none."""
        totals: list[tuple[Totals, Totals]] = [({}, {}) for _each in wanted]
        errors: dict[int, str] = {}
        futures: dict[Future[list[Answer]], tuple[int, int]] = {}
        for side in SIDES:
            version = self.catalogs[side].version
            parts = [part for n, (table, mask) in enumerate(wanted) for part in cut(n, table, side, mask, version)]
            for unit in pack(parts):
                future = self.sides[side].submit(partial(read_parts, parts=unit))
                futures[future] = (side, sum(part.size for part in unit))
        done, total = 0, sum(size for _side, size in futures.values())
        for future in as_completed(futures):
            side, size = futures[future]
            for index, answer in future.result():
                if isinstance(answer, str):
                    errors[index] = answer
                else:
                    add(totals[index][side], answer)
            done += size
            self._tell(done, total)
        return [errors.get(index, pair) for index, pair in enumerate(totals)]

    def _tell(self, done: int, total: int) -> None:
        if time.monotonic() - self._told >= 5:
            self._told = time.monotonic()
            self.job.report(f"{self.name}: compared {done / 1e6:.0f} of {total / 1e6:.0f} MB on both sides")

    def _sequences(self) -> list[dict[str, Any]]:
        """The source's are read first: a target that follows is then not behind by what came in between."""
        theirs = {sequence.full_name for sequence in self.catalogs[1].sequences}
        wanted = [
            s
            for s in self.catalogs[0].sequences
            if self.job.scope.has(s.schema) and (s.full_name in theirs or not s.of_extension)
        ]
        source = read_positions(self.sides[0].main, [(s.schema, s.name) for s in wanted])
        there = [(s.schema, s.name) for s in wanted if s.full_name in theirs]
        target = read_positions(self.sides[1].main, there)
        return [
            compare_sequence(s.full_name, s.increment, source[(s.schema, s.name)], target.get((s.schema, s.name)))
            for s in wanted
        ]

    def _structure(self) -> dict[str, Any]:
        judge = make_judge(self.sides, self.job.role_mapping)
        scope, mode = self.job.scope, self.job.privileges
        return {
            "definitions": definitions(self.sides, scope, judge) if self.job.definitions else None,
            "privileges": privileges(self.sides, scope, judge, mode) if mode != "skip" else None,
        }

    def _large_objects(self) -> dict[str, Any] | None:
        wanted = self.job.large_objects
        if wanted == "skip":
            return None
        pairs = contents(self.sides, self.job.jobs) if wanted == "contents" else only_oids(self.sides)
        try:
            return compare_large_objects(pairs, self.job.max_examples)
        except Refused as refusal:
            return unknown_large_objects(f"large objects could not be compared: {refusal}")


def read_positions(session: Session, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Position | str]:
    found: dict[tuple[str, str], Position | str] = {}
    for first in range(0, len(names), SEQUENCES_AT_ONCE):
        some = names[first : first + SEQUENCES_AT_ONCE]
        try:
            found.update(_positions(session, some))
        except Refused:
            for name in some:
                try:
                    found.update(_positions(session, [name]))
                except Refused as refusal:
                    found[name] = str(refusal)
    return found


def _positions(session: Session, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Position | str]:
    parts = [f"SELECT {n}, last_value, is_called FROM {identifier(*name)}" for n, name in enumerate(names)]
    return {names[n]: Position(int(value), called) for n, value, called in session.rows(" UNION ALL ".join(parts))}
