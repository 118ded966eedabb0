# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the answers of two databases mean, table by table. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from .catalog import Catalog, Relation
from .sql import Column, Dialect, Reading, comparable

Totals = dict[int, tuple[int, int]]
BadBuckets = dict[int, tuple[tuple[int, int], tuple[int, int]]]
# Azure installs these itself on a Flexible Server; any further extension on the target harms nobody either.
EXTRA_IS_FINE = frozenset({"extensions"})
NAMED_AT_MOST = 5


class Verdict(Enum):
    """EQUAL is proved. MOVED means that writers were at it and nothing wrong was found that stayed wrong."""

    EQUAL = "equal"
    DIFFERENT = "different"
    MOVED = "moved"
    UNKNOWN = "not compared"


@dataclass
class Table:
    """One table that both sides have, how each side reads it, and what came of it."""

    name: str
    source: Relation
    target: Relation
    readings: tuple[Reading, Reading]
    key: tuple[str, ...]
    column_names: tuple[str, ...]
    not_compared: list[str] = field(default_factory=list)
    columns: dict[str, list[str]] = field(default_factory=dict)
    # Rows and sum of each side, as last looked at.
    totals: tuple[tuple[int, int], tuple[int, int]] | None = None
    mask: int = 0
    verdict: Verdict = Verdict.UNKNOWN
    moved: bool = False
    error: str | None = None
    differing: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> tuple[int, int]:
        return (self.totals[0][0], self.totals[1][0]) if self.totals else (0, 0)

    def as_result(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source_rows": self.rows[0] if self.totals else None,
            "target_rows": self.rows[1] if self.totals else None,
            "equal": self.verdict is Verdict.EQUAL,
            "verdict": self.verdict.value,
            "moved": self.moved,
            "differing": self.differing,
            "not_compared": self.not_compared,
            "columns": self.columns,
            "error": self.error,
        }


@dataclass
class Plan:
    """What is to be read in one database; `skipped` names what is not, and why."""

    tables: list[Table] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Scope:
    """Which of a database's schemas and tables the user wants to look at."""

    schemas: tuple[str, ...] = ()
    exclude_tables: tuple[str, ...] = ()
    materialized_views: bool = False

    def has(self, schema: str) -> bool:
        return not self.schemas or not schema or schema in self.schemas

    def excludes(self, full_name: str) -> bool:
        return any(fnmatchcase(full_name, pattern) for pattern in self.exclude_tables)

    def reason_to_skip(self, relation: Relation) -> str | None:
        if relation.kind == "f":
            return "a foreign table holds no rows of its own"
        if relation.extension and relation.where is None:
            return f"it belongs to the extension {relation.extension}"
        if self.excludes(relation.full_name):
            return "exclude_tables names it"
        if relation.kind == "m" and not self.materialized_views:
            return "materialized_views is skip"
        return None


def plan(source: Catalog, target: Catalog, scope: Scope) -> Plan:
    """Pairs the tables of both sides by name. One that only one side has shows among the objects, not here."""
    dialect = Dialect.of((source.version, target.version), (source.encoding, target.encoding))
    others = {relation.full_name: relation for relation in target.relations}
    made = Plan()
    for relation in source.relations:
        if not scope.has(relation.schema):
            continue
        other = others.get(relation.full_name)
        reason = scope.reason_to_skip(relation)
        if reason is None and other is not None and other.kind != relation.kind:
            reason = "it is a table on one side and something else on the other"
        if reason is None and relation.extension and (other is None or other.where is None):
            reason = f"it belongs to the extension {relation.extension}"
        if reason is None and relation.kind == "m" and not (relation.populated and other and other.populated):
            reason = "it is not populated on both sides"
        if reason:
            made.skipped.append({"name": relation.full_name, "reason": reason})
        elif other is not None:
            made.tables.append(_pair(source, target, relation, other, dialect))
    # The largest first, so that the last one to end is not a large one that began late.
    made.tables.sort(key=lambda table: -table.source.size)
    return made


def _pair(source: Catalog, target: Catalog, left: Relation, right: Relation, dialect: Dialect) -> Table:
    ours = {column.name: column for column in source.columns.get(left.oid, [])}
    theirs = {column.name: column for column in target.columns.get(right.oid, [])}
    common = sorted(name for name in ours if name in theirs)
    versions = (source.version, target.version)
    usable = [
        name
        for name in common
        if comparable(source.types, ours[name].type, versions) and comparable(target.types, theirs[name].type, versions)
    ]
    key = next((key for key in source.keys.get(left.oid, []) if set(key) <= set(usable)), [])
    left_columns, right_columns = [ours[name] for name in usable], [theirs[name] for name in usable]
    return Table(
        name=left.full_name,
        source=left,
        target=right,
        readings=(
            Reading.make(left.schema, left.name, source.types, left_columns, key, dialect, left.where),
            Reading.make(right.schema, right.name, target.types, right_columns, key, dialect, left.where),
        ),
        key=tuple(key),
        column_names=tuple(usable),
        not_compared=[name for name in common if name not in usable],
        # Those of an extension differ with its version.
        columns={} if left.extension else compare_columns(ours, theirs),
    )


def compare_columns(source: Mapping[str, Column], target: Mapping[str, Column]) -> dict[str, list[str]]:
    """What differs in the columns themselves; empty when nothing does."""
    found = {
        "missing": [name for name in source if name not in target],
        "extra": [name for name in target if name not in source],
        "changed": [
            f"{name}: {column.declared} -> {target[name].declared}"
            for name, column in source.items()
            if name in target and target[name].declared != column.declared
        ],
    }
    return {kind: names for kind, names in found.items() if names}


def grand_total(totals: Totals) -> tuple[int, int]:
    return sum(count for count, _sum in totals.values()), sum(value for _count, value in totals.values())


def bad_buckets(source: Totals, target: Totals) -> BadBuckets:
    """The buckets that differ, with what each side has in them."""
    none = (0, 0)
    both = {bucket: (source.get(bucket, none), target.get(bucket, none)) for bucket in sorted({*source, *target})}
    return {bucket: pair for bucket, pair in both.items() if pair[0] != pair[1]}


def stuck_buckets(before: BadBuckets, now: BadBuckets) -> list[int]:
    """Buckets that differed before and differ now with the same contents: no writer has touched them in between."""
    return [bucket for bucket, pair in now.items() if before.get(bucket) == pair]


@dataclass
class Rows:
    """Some rows of one side by identity: the hashes of each copy's columns, and how a user finds it."""

    hashes: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)
    labels: dict[str, tuple[str | None, ...]] = field(default_factory=dict)

    def add(self, identity: str, hashes: Iterable[int], label: Iterable[str | None]) -> None:
        self.hashes.setdefault(identity, []).append(tuple(hashes))
        self.labels.setdefault(identity, tuple(label))


def differences(table: Table, source: Rows, target: Rows, limit: int) -> list[dict[str, Any]]:
    """Examples of rows that differ, in the order of their identity."""
    found: list[dict[str, Any]] = []
    for identity in sorted({*source.hashes, *target.hashes}):
        ours, theirs = source.hashes.get(identity, []), target.hashes.get(identity, [])
        if Counter(ours) == Counter(theirs):
            continue
        label = source.labels.get(identity) or target.labels[identity]
        if len(ours) < len(theirs):
            label = target.labels[identity]
        found.append(_difference(table, ours, theirs, label))
        if len(found) == limit:
            break
    return found


def _difference(
    table: Table, ours: list[tuple[int, ...]], theirs: list[tuple[int, ...]], label: tuple[str | None, ...]
) -> dict[str, Any]:
    if not table.key:
        side = "source" if len(ours) > len(theirs) else "target"
        return {"key": {"ctid": label[0]}, "side": side, "copies": {"source": len(ours), "target": len(theirs)}}
    key = dict(zip(table.key, label, strict=True))
    if len(ours) == len(theirs) == 1:
        pairs = zip(table.column_names, ours[0], theirs[0], strict=True)
        return {"key": key, "side": "both", "columns": [name for name, left, right in pairs if left != right]}
    if ours and theirs:
        return {"key": key, "side": "both", "copies": {"source": len(ours), "target": len(theirs)}}
    return {"key": key, "side": "source" if ours else "target"}


def compare_objects(source: Catalog, target: Catalog, scope: Scope) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    # Not every version has all kinds.
    for kind in dict.fromkeys((*source.objects, *target.objects)):
        ours = _names(source.objects.get(kind, []), scope)
        theirs = _names(target.objects.get(kind, []), scope)
        missing, extra = sorted(ours - theirs), sorted(theirs - ours)
        equal = not missing and (not extra or kind in EXTRA_IS_FINE)
        result[kind] = {"source": len(ours), "target": len(theirs), "missing": missing, "extra": extra, "equal": equal}
    return result


def _names(pairs: Iterable[tuple[str, str]], scope: Scope) -> set[str]:
    return {".".join(part for part in (schema, name) if part) for schema, name in pairs if scope.has(schema)}


@dataclass(frozen=True)
class Position:
    """Where a sequence stands, as its own row says."""

    last_value: int
    is_called: bool

    def next(self, increment: int) -> int:
        return self.last_value + increment if self.is_called else self.last_value


def compare_sequence(
    name: str, increment: int, source: Position | str, target: Position | str | None
) -> dict[str, Any]:
    """A target that stands further on is as good: it never gives a value twice. A text is why it can not be read."""
    ours = source.next(increment) if isinstance(source, Position) else None
    theirs = target.next(increment) if isinstance(target, Position) else None
    reached = ours is not None and theirs is not None and (theirs - ours) * (1 if increment > 0 else -1) >= 0
    error = next((value for value in (source, target) if isinstance(value, str)), None)
    return {"name": name, "source": ours, "target": theirs, "equal": reached, "error": error}


def compare_large_objects(pairs: Iterable[tuple[int, str | None, str | None]], limit: int) -> dict[str, Any]:
    """Of (oid, its contents on the source, on the target), None where it is not there."""
    counts = {"source": 0, "target": 0, "differing_count": 0}
    examples: list[dict[str, Any]] = []
    for oid, ours, theirs in pairs:
        counts["source"] += ours is not None
        counts["target"] += theirs is not None
        if ours == theirs:
            continue
        counts["differing_count"] += 1
        if len(examples) < limit:
            side = "both" if ours is not None and theirs is not None else "source" if theirs is None else "target"
            examples.append({"oid": oid, "side": side})
    return {**counts, "equal": counts["differing_count"] == 0, "differing": examples, "error": None}


def unknown_large_objects(error: str) -> dict[str, Any]:
    unread: dict[str, Any] = dict.fromkeys(("source", "target", "differing_count"))
    return {**unread, "equal": False, "differing": [], "error": error}


def is_equal(database: Mapping[str, Any]) -> bool:
    large = database["large_objects"]
    return (
        all(table["equal"] for table in database["tables"])
        and all(kind["equal"] for kind in database["objects"].values())
        and all(sequence["equal"] for sequence in database["sequences"])
        and (large is None or large["equal"])
        and (database["definitions"] is None or database["definitions"]["equal"])
        and (database["privileges"] is None or database["privileges"]["equal"] or not database["privileges"]["counts"])
    )


def only_moved(databases: Iterable[Mapping[str, Any]]) -> bool:
    """Whether nothing is wrong but that writers moved tables while they were compared."""
    return all(
        is_equal({**database, "tables": [t for t in database["tables"] if t["verdict"] != Verdict.MOVED.value]})
        for database in databases
    )


def sentence(databases: Sequence[Mapping[str, Any]]) -> str:
    """What a user reads first: what differs, by name, or that nothing does."""
    found = [text for database in databases for text in _findings(database)]
    if not found:
        tables = sum(len(database["tables"]) for database in databases)
        rows = sum(table["source_rows"] or 0 for database in databases for table in database["tables"])
        skipped = sum(len(database["skipped"]) for database in databases)
        partly = sum(bool(table["not_compared"]) for database in databases for table in database["tables"])
        rest = f", {skipped} tables were left out" if skipped else ""
        rest += f", columns of {partly} tables were left out" if partly else ""
        rest += "".join(f"; {text}" for database in databases for text in _noted(database))
        where = f"{tables} tables in {len(databases)} databases"
        return f"Every row is equal on both servers: {rows} rows of {where}{rest}."
    shown = "; ".join(found[:NAMED_AT_MOST])
    more = f"; and {len(found) - NAMED_AT_MOST} more differences" if len(found) > NAMED_AT_MOST else ""
    verb = "could not be proved equal, writers moved them" if only_moved(databases) else "differ"
    return f"The databases {verb}: {shown}{more}."


def _findings(database: Mapping[str, Any]) -> Iterator[str]:
    name = database["name"]
    for table in database["tables"]:
        if not table["equal"]:
            yield f"{name}.{table['name']} {_table_finding(table)}"
    large = database["large_objects"]
    if large is not None and not large["equal"]:
        oids = ", ".join(str(example["oid"]) for example in large["differing"])
        yield f"{name}: " + (large["error"] or f"{large['differing_count']} large objects differ, such as {oids}")
    behind = [sequence["name"] for sequence in database["sequences"] if not sequence["equal"]]
    if behind:
        yield f"{name}: sequences behind or unread: {_few(behind)}"
    for kind, counts in database["objects"].items():
        words = kind.replace("_", " ")
        if counts["missing"]:
            yield f"{name}: {words} missing on the target: {_few(counts['missing'])}"
        if counts["extra"] and kind not in EXTRA_IS_FINE:
            yield f"{name}: {words} only on the target: {_few(counts['extra'])}"

    yield from _definition_findings(name, database["definitions"])
    if database["privileges"] is not None and database["privileges"]["counts"]:
        yield from _privilege_findings(name, database["privileges"])


def _definition_findings(name: str, definitions: Mapping[str, Any] | None) -> Iterator[str]:
    if definitions is not None and definitions["differing"]:
        texts = [f"{row['kind']} {row['name']} ({', '.join(row['aspects'])})" for row in definitions["differing"]]
        yield f"{name}: definitions differ: {_few(texts, definitions['differing_count'])}"


def _privilege_findings(name: str, privileges: Mapping[str, Any]) -> Iterator[str]:
    if privileges["differing"]:
        texts = []
        for row in privileges["differing"]:
            lost = [f"lacks {text}" for text in row["missing"][:1]] + [f"has {text}" for text in row["extra"][:1]]
            texts.append(f"{row['kind']} {row['name']} {' and '.join(lost)}")
        yield f"{name}: privileges differ: {_few(texts, privileges['differing_count'])}"


def _noted(database: Mapping[str, Any]) -> Iterator[str]:
    """What is worth a word although it is no difference."""
    if database["definitions"] is not None and database["definitions"]["not_compared"]:
        yield f"{database['name']}: {len(database['definitions']['not_compared'])} definitions could not be compared"
    if database["privileges"] is not None:
        yield from _privilege_findings(database["name"], database["privileges"])


def _few(names: Sequence[str], count: int | None = None) -> str:
    rest = (count or len(names)) - NAMED_AT_MOST
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more


def _table_finding(table: Mapping[str, Any]) -> str:
    if table["error"]:
        return f"could not be compared: {table['error']}"
    parts = [f"{kind} column {_few(names)}" for kind, names in table["columns"].items()]
    if table["verdict"] == Verdict.MOVED.value:
        parts.append("moved while it was looked at")
    elif table["source_rows"] != table["target_rows"]:
        parts.append(f"has {table['source_rows']} rows on the source and {table['target_rows']} on the target")
    elif not parts or table["differing"]:
        parts.append("has rows that differ")
    examples = [_example(example) for example in table["differing"]]
    return ", ".join(parts) + (f" ({'; '.join(examples)})" if examples else "")


def _example(example: Mapping[str, Any]) -> str:
    key = " ".join(f"{name}={value}" for name, value in example["key"].items())
    if example.get("columns"):
        return f"{key} in {', '.join(example['columns'])}"
    if example.get("copies"):
        return f"{key} {example['copies']['source']} times on the source, {example['copies']['target']} on the target"
    return f"{key} only on the {example['side']}"
