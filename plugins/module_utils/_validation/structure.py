# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparing definitions, owners and privileges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from .._parallel import each
from .compare import Scope
from .definitions import COLUMN_OF, definitions_sql
from .large_objects import pages
from .meaning import Definition, Found, Question, compare_definitions, reason
from .privileges import ROLES, Access, Judge, access_sql, grants_of, large_objects_sql
from .privileges import Side as Knowledge
from .session import Refused, Session, Side

# A copy without any owner would otherwise fill the result with every object of the database.
SHOWN_AT_MOST = 500
LARGE_OBJECTS_TOGETHER = 1000


def definitions(sides: Sequence[Side], scope: Scope, judge: Judge) -> dict[str, Any]:
    versions = [side.main.version for side in sides]
    read = each(lambda side: _read(side.main, min(versions), scope), sides)
    same_major = versions[0] // 10000 == versions[1] // 10000
    found = compare_definitions(read[0], read[1], same_major, judge.role)
    unclear = _ask(sides[1], found)
    differing = [{"kind": kind, "name": name, "aspects": rows} for (kind, name), rows in found.differing.items()]
    return {
        "source": len(read[0]),
        "target": len(read[1]),
        "equal": not differing,
        "differing_count": len(differing),
        "differing": sorted(differing, key=lambda row: (row["kind"], row["name"]))[:SHOWN_AT_MOST],
        "not_compared": unclear[:SHOWN_AT_MOST],
    }


def _read(session: Session, oldest: int, scope: Scope) -> dict[tuple[str, str], Definition]:
    found: dict[tuple[str, str], Definition] = {}
    for kind, sql in definitions_sql(session.version, oldest):
        for schema, name, facts, expressions, context in session.rows(sql):
            relation = facts.pop(COLUMN_OF, None)
            if scope.has(schema) and (facts or expressions or relation is None):
                full = f"{schema}.{name}" if schema else name
                found[kind, full] = Definition(kind, full, facts, expressions, context, relation)
    return found


def _ask(target: Side, found: Found) -> list[dict[str, str]]:
    """Lets the target plan both texts of an expression: equal plans do the same. What it can not plan is returned."""
    futures = [(question, target.submit(partial(_same_plan, question=question))) for question in found.questions]
    unclear = []
    for question, future in futures:
        answer = future.result()
        if answer is None:
            unclear.append({"kind": question.kind, "name": question.name, "reason": reason(question)})
        elif not answer:
            found.add(question.kind, question.name, question.aspect)
    return unclear


def _same_plan(session: Session, question: Question) -> bool | None:
    try:
        plans = [
            session.rows(f"EXPLAIN (VERBOSE, COSTS OFF) {question.as_query(text)}")
            for text in (question.source, question.target)
        ]
    except Refused:
        return None
    return plans[0] == plans[1]


def knowledge(side: Side) -> Knowledge:
    rows = [(str(name), bool(superuser)) for name, superuser in side.main.rows(ROLES)]
    user = str(side.main.rows("SELECT session_user::text")[0][0])
    return Knowledge(side.main.version, user, dict(rows))


def make_judge(sides: Sequence[Side], mapping: Mapping[str, str]) -> Judge:
    source, target = each(knowledge, sides)
    return Judge(source, target, mapping)


def privileges(sides: Sequence[Side], scope: Scope, judge: Judge, mode: str) -> dict[str, Any]:
    source, target = each(lambda side: _access(side.main, scope), sides)
    differing: list[dict[str, Any]] = []
    count = 0
    for row in _all_differences(sides, judge, source, target):
        count += 1
        if len(differing) < SHOWN_AT_MOST:
            differing.append(row)
    return {
        "equal": not count,
        "counts": mode == "compare",
        "differing_count": count,
        "differing": differing,
        "left_out": [{"what": what, "count": number} for what, number in sorted(judge.left_out.items())],
    }


def _all_differences(
    sides: Sequence[Side], judge: Judge, source: list[Access], target: list[Access]
) -> Iterator[dict[str, Any]]:
    yield from judge.differences(source, target)
    yield from _large_objects(sides, judge)
    yield from judge.lost_roles()


def _access(session: Session, scope: Scope) -> list[Access]:
    return [
        Access(kind, name, owner, grants_of(grants))
        for kind, schema, name, owner, grants in session.rows(access_sql())
        if scope.has(schema)
    ]


def _large_objects(sides: Sequence[Side], judge: Judge) -> Iterator[dict[str, Any]]:
    for found in pages(sides, large_objects_sql, LARGE_OBJECTS_TOGETHER):
        source, target = ({row[0]: row for row in page} for page in found)
        for oid in sorted(set(source) & set(target)):
            ours, theirs = (_large_object(row) for row in (source[oid], target[oid]))
            if difference := judge.compare(ours.kind, ours.name, ours, theirs):
                yield difference


def _large_object(row: Sequence[Any]) -> Access:
    oid, owner, grants = row
    return Access("large object", str(oid), owner, grants_of(grants))
