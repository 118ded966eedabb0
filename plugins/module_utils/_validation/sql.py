# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to ask two databases about their rows. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from .._postgres import identifier

# Base types whose text is not the same on every version and server, with the function that gives their exact bytes.
# Shortest-exact output of floats came with PostgreSQL 12, escapes in "char" with 16.
SEND = {
    "float4": "float4send",
    "float8": "float8send",
    "point": "point_send",
    "lseg": "lseg_send",
    "line": "line_send",
    "box": "box_send",
    "path": "path_send",
    "polygon": "poly_send",
    "circle": "circle_send",
    "char": "charsend",
}
# Types of extensions that print floats and have no send function on every version.
FLOAT_TEXT = frozenset({"cube", "seg", "box2d", "box3d"})
FLOAT_TEXT_CHANGED = 120000
TID_RANGES_SINCE = 140000
MOST_BUCKETS = 65536
ROWS_IN_BUCKET = 20
VALUES_AT_ONCE = 400_000
HASH_EXTENDED_SINCE = 110000


@dataclass(frozen=True)
class Type:
    """A row of pg_type as far as it decides how a value is compared."""

    schema: str
    name: str
    kind: str
    element: int = 0
    base: int = 0
    subtype: int = 0
    fields: tuple[tuple[str, int], ...] = ()


Types = Mapping[int, Type]


@dataclass(frozen=True)
class Column:
    name: str
    type: int
    # The type as the user wrote it, with NOT NULL; equal on both sides of a faithful copy.
    declared: str


@dataclass(frozen=True)
class Dialect:
    """What both sides have to agree on, so that equal rows give equal sums."""

    extended: bool
    recode: bool

    @classmethod
    def of(cls, versions: Iterable[int], encodings: Iterable[str]) -> Dialect:
        names = set(encodings)
        # SQL_ASCII has no conversion: its bytes are compared as they are.
        recode = len(names) > 1 and "SQL_ASCII" not in names
        return cls(extended=min(versions) >= HASH_EXTENDED_SINCE, recode=recode)

    def hash(self, text: str, seed: int = 0) -> str:
        """A bigint for a text expression; md5's first 64 bits where a side has no hashtextextended."""
        if self.extended:
            value = f"encode(convert_to({text}, 'UTF8'), 'hex')" if self.recode else text
            return f'hashtextextended(({value}) COLLATE "C", {seed})'
        value = f"convert_to({text}, 'UTF8')" if self.recode else text
        return f"('x' || substr(md5({value}), 1, 16))::bit(64)::bigint"


def _nested(kind: Type) -> list[int]:
    if kind.kind == "c":
        return [oid for _name, oid in kind.fields]
    return [oid for oid in (kind.base, kind.element, kind.subtype) if oid]


def _holds(types: Types, oid: int, wanted: frozenset[str], system: bool) -> bool:
    """Whether the type is, or has inside, one of the base types `wanted`, of pg_catalog or of an extension."""
    pending, seen = [oid], set()
    while pending:
        current = pending.pop()
        kind = types.get(current)
        if kind is None or current in seen:
            continue
        seen.add(current)
        if kind.name in wanted and kind.kind == "b" and (kind.schema == "pg_catalog") == system:
            return True
        pending.extend(_nested(kind))
    return False


def comparable(types: Types, oid: int, versions: Iterable[int]) -> bool:
    """False for types that print floats in their own way, when the two sides print them differently."""
    sides = {version >= FLOAT_TEXT_CHANGED for version in versions}
    return len(sides) == 1 or not _holds(types, oid, FLOAT_TEXT, system=False)


def base_type(types: Types, oid: int) -> int:
    while oid in types and types[oid].kind == "d":
        oid = types[oid].base
    return oid


def exact(types: Types, oid: int, value: str, depth: int = 0) -> str:
    """An expression over `value` whose text is the same on every server and version that holds the same value."""
    if not _holds(types, oid, frozenset(SEND), system=True):
        return value
    oid = base_type(types, oid)
    kind = types[oid]
    if kind.kind == "c":
        fields = ", ".join(exact(types, field, f"({value}).{identifier(name)}", depth) for name, field in kind.fields)
        # A composite of nulls IS NULL as well, but is not the same as a null.
        return f"CASE WHEN ({value}) IS DISTINCT FROM NULL THEN ROW({fields})::text END"
    if kind.kind == "r":
        return _exact_range(types, kind, value, depth)
    if kind.kind == "m":
        inner = exact(types, kind.subtype, f"u{depth}.e", depth + 1)
        return f"ARRAY(SELECT {inner} FROM (SELECT unnest({value}) AS e) AS u{depth})::text"
    if kind.element and kind.name not in SEND:
        return _exact_array(types, kind, value, depth)
    return f"{SEND[kind.name]}({value})"


def _exact_range(types: Types, kind: Type, value: str, depth: int) -> str:
    bounds = ", ".join(exact(types, kind.subtype, f"{end}({value})", depth) for end in ("lower", "upper"))
    flags = ", ".join(f"{test}({value})" for test in ("isempty", "lower_inc", "upper_inc", "lower_inf", "upper_inf"))
    return f"CASE WHEN {value} IS NOT NULL THEN ROW({flags}, {bounds})::text END"


def _exact_array(types: Types, kind: Type, value: str, depth: int) -> str:
    element = types[base_type(types, kind.element)]
    if element.name in SEND and element.schema == "pg_catalog" and element.kind == "b":
        # Arrays of a domain carry the domain's OID in their bytes, which is not the same everywhere.
        return f"array_send(({value})::{identifier('pg_catalog', element.name)}[])"
    inner = exact(types, kind.element, f"u{depth}.e", depth + 1)
    elements = f"ARRAY(SELECT {inner} FROM (SELECT unnest({value}) AS e) AS u{depth})"
    return f"CASE WHEN {value} IS NOT NULL THEN ROW(array_dims({value}), {elements})::text END"


def row_text(types: Types, columns: Sequence[Column]) -> str:
    values = ", ".join(exact(types, column.type, identifier(column.name)) for column in columns)
    return f"ROW({values})::text"


def value_text(types: Types, column: Column) -> str:
    """The text of one value; null for a null, at least of most types."""
    name = identifier(column.name)
    value = exact(types, column.type, name)
    kind = types.get(base_type(types, column.type))
    # Users can make casts to text for types of their own, and char's forgets the blanks at the end.
    plain = kind is not None and kind.schema == "pg_catalog" and kind.kind == "b" and kind.name != "bpchar"
    return f"({value})::text" if plain or value != name else f"ROW({value})::text"


def row_hash(types: Types, columns: Sequence[Column], dialect: Dialect) -> str:
    """One bigint for a row. Hashing value by value takes half the time of quoting them all into one text; md5, which
    has no seed that would tell columns apart, takes less for one text."""
    if not dialect.extended or not columns:
        return dialect.hash(row_text(types, columns))
    return _balanced([_seeded(types, column, seed, dialect) for seed, column in enumerate(columns, start=1)])


def _seeded(types: Types, column: Column, seed: int, dialect: Dialect) -> str:
    null = int.from_bytes(sha256(str(seed).encode()).digest()[:8], "big", signed=True)
    return f"coalesce({dialect.hash(value_text(types, column), seed)}, '{null}'::bigint)"


def _balanced(parts: Sequence[str]) -> str:
    """All of them by exclusive or: 1600 columns in one chain would go deeper than the server's stack allows."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_balanced(parts[:middle])} # {_balanced(parts[middle:])})"


@dataclass(frozen=True)
class Chunk:
    """A stretch of a table from `first` up to and without `end`, None is open. Sums of chunks add up.

    Numbers are pages; texts are values of a column that is never null.
    """

    first: int | str | None = None
    end: int | str | None = None
    column: str = ""

    @property
    def condition(self) -> str:
        parts = []
        if self.first is not None:
            parts.append(f"{self._name} >= {self._value(self.first)}")
        if self.end is not None:
            parts.append(f"{self._name} < {self._value(self.end)}")
        return " AND ".join(parts)

    @property
    def _name(self) -> str:
        return identifier(self.column) if self.column else "ctid"

    def _value(self, value: int | str) -> str:
        return literal(str(value)) if self.column else f"'({value},0)'::tid"


WHOLE = Chunk()


def literal(text: str) -> str:
    """For sessions with standard_conforming_strings."""
    return "'" + text.replace("'", "''") + "'"


def key_chunks(column: str, bounds: Sequence[str], size: int, chunk_bytes: int) -> list[Chunk]:
    """Cuts a table at some of the values that its statistics have, which part it into about equal numbers of rows."""
    inner = bounds[1:-1]
    wanted = min(max(1, -(-size // chunk_bytes)), len(inner) + 1)
    edges = [inner[len(inner) * n // wanted] for n in range(1, wanted)]
    starts: list[str | None] = [None, *edges]
    ends: list[str | None] = [*edges, None]
    return [Chunk(first, end, column) for first, end in zip(starts, ends, strict=True)]


def chunks(pages: int, size: int, chunk_bytes: int) -> list[Chunk]:
    """Cuts a table of `pages` main pages and `size` bytes with its TOAST into parts of about `chunk_bytes`.

    The last one is open: a page that came after the measuring can not be missed.
    """
    wanted = min(max(1, -(-size // chunk_bytes)), max(1, pages))
    step = -(-pages // wanted) if wanted > 1 else 0
    edges = [step * n for n in range(1, wanted) if step * n < pages]
    starts: list[int | None] = [None, *edges]
    ends: list[int | None] = [*edges, None]
    return [Chunk(first, end) for first, end in zip(starts, ends, strict=True)]


@dataclass(frozen=True)
class Reading:
    """How one side reads one table: the texts that go into its statements."""

    table: str
    row_hash: str
    # What tells rows apart: the key's columns; nothing where there is no key but the row itself.
    identity: str
    identity_hash: str
    column_hashes: tuple[str, ...]
    key_texts: tuple[str, ...]
    # Of a table of an extension, the rows that users have put there.
    condition: str = ""

    @classmethod
    def make(
        cls,
        schema: str,
        name: str,
        types: Types,
        columns: Sequence[Column],
        key: Sequence[str],
        dialect: Dialect,
        where: str | None = None,
    ) -> Reading:
        hashed = row_hash(types, columns, dialect)
        by_name = {column.name: column for column in columns}
        identity = row_text(types, [by_name[column] for column in key]) if key else ""
        return cls(
            table=identifier(schema, name),
            row_hash=hashed,
            identity=identity,
            identity_hash=dialect.hash(identity) if key else hashed,
            column_hashes=tuple(row_hash(types, [column], dialect) for column in columns),
            key_texts=tuple(f"{identifier(column)}::text" for column in key),
            condition=f"({re.sub('^ *where ', '', where, flags=re.IGNORECASE)})" if where else "",
        )


def _where(*conditions: str) -> str:
    wanted = [condition for condition in conditions if condition]
    return f" WHERE {' AND '.join(wanted)}" if wanted else ""


def fold_sql(reading: Reading, chunk: Chunk, mask: int, part: int = 0) -> str:
    """Rows of (part, bucket, count, sum). With mask 0 everything is one bucket, and there is exactly one row."""
    source = f"FROM ONLY {reading.table}{_where(reading.condition, chunk.condition)}"
    if not mask:
        return f"SELECT {part}, 0::bigint, count(*), coalesce(sum({reading.row_hash}), 0) {source}"
    bucket = f"({reading.identity_hash}) & {mask}"
    return f"SELECT {part}, {bucket}, count(*), sum({reading.row_hash}) {source} GROUP BY 2"


def rows_sql(reading: Reading, mask: int) -> str:
    """(bucket, hash) of every row, for a cursor that adds them up on this side."""
    bucket = f"({reading.identity_hash}) & {mask}" if mask else "0::bigint"
    return f"SELECT {bucket}, {reading.row_hash} FROM ONLY {reading.table}{_where(reading.condition)}"


def details_sql(reading: Reading, chunk: Chunk, mask: int, buckets: Sequence[int]) -> str:
    """(identity, hashes of the columns, texts of the key) of the rows of some buckets; of keyless rows (hash, ctid)."""
    chosen = f"({reading.identity_hash}) & {mask} IN ({', '.join(str(bucket) for bucket in buckets)})" if mask else ""
    where = _where(reading.condition, chunk.condition, chosen)
    if not reading.key_texts:
        return f"SELECT {reading.row_hash}, ctid::text FROM ONLY {reading.table}{where}"
    hashes, keys = ", ".join(reading.column_hashes), ", ".join(reading.key_texts)
    values = f"{reading.identity}, ARRAY[{hashes}]::bigint[], ARRAY[{keys}]::text[]"
    return f"SELECT {values} FROM ONLY {reading.table}{where}"


def mask_for(rows: int) -> int:
    """A mask of low bits for buckets of few rows: what a writer moves then hides little of what does not move."""
    buckets = 16
    while buckets < MOST_BUCKETS and buckets * ROWS_IN_BUCKET < rows:
        buckets *= 2
    return buckets - 1


def buckets_at_once(rows: int, mask: int, columns: int) -> int:
    """How many buckets to fetch with a hash for each value, so that these fit into little memory."""
    values = max(1, rows // (mask + 1)) * max(1, columns)
    return max(1, min(16, VALUES_AT_ONCE // values))


def session_settings(version: int) -> dict[str, str]:
    """What a session is pinned to, whatever the server, the database or the role sets."""
    settings = {
        "search_path": "pg_catalog",
        "TimeZone": "UTC",
        "DateStyle": "ISO, MDY",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "xmloption": "content",
        "lc_monetary": "C",
        "extra_float_digits": "3",
        # Rows that a policy hides would be missing without a word; so PostgreSQL is told to refuse instead.
        "row_security": "off",
        "lock_timeout": "60000",
        "idle_in_transaction_session_timeout": "0",
        "standard_conforming_strings": "on",
    }
    if version < 90600:
        del settings["idle_in_transaction_session_timeout"]
    if version >= HASH_EXTENDED_SINCE:
        # Compiling wide rows of expressions costs more than it saves.
        settings["jit"] = "off"
    return settings


def pages_can_be_cut(version: int, heap: bool) -> bool:
    """Before PostgreSQL 14 a range of ctid reads the whole table; other access methods may not know it at all."""
    return heap and version >= TID_RANGES_SINCE
