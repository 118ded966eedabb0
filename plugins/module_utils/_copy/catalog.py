# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a copy asks the catalogs, and what its queries are called in each version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._postgres import identifier

if TYPE_CHECKING:
    import psycopg

# What the catalogs call things, by the version that began to: the first row that is not newer than the server counts.
VERSIONED: dict[str, tuple[tuple[int, str], ...]] = {
    "is_partition": ((100000, "c.relispartition"), (0, "false")),
    "stored": ((120000, "a.attgenerated = ''"), (0, "true")),
    "provider": ((150000, "d.datlocprovider::text"), (0, "'c'::text")),
    "locale": ((170000, "d.datlocale"), (150000, "d.daticulocale"), (0, "NULL::text")),
    "icu_rules": ((160000, "d.daticurules"), (0, "NULL::text")),
    # From 16 on who makes a role becomes a member of it by himself, with nothing but the right to pass it on.
    "may_become": ((160000, "'SET'"), (0, "'MEMBER'")),
    "subscriptions": (
        (
            120000,
            "UNION ALL SELECT 'subscription ' || s.subname FROM pg_subscription s JOIN pg_database d "
            "ON d.oid = s.subdbid WHERE d.datname = current_database() AND s.subname NOT LIKE 'pgflex\\_%'",
        ),
        (0, ""),
    ),
    "publications": (
        (
            100000,
            "UNION ALL SELECT 'publication ' || p.pubname FROM pg_publication p WHERE p.pubname NOT LIKE 'pgflex\\_%'",
        ),
        (0, ""),
    ),
    "origins": ((180000, "'max_active_replication_origins'"), (0, "'max_replication_slots'")),
    "own_statistics": (
        (
            100000,
            "UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid, s.stxowner, s.stxnamespace FROM pg_statistic_ext s",
        ),
        (0, ""),
    ),
    "apply_errors": ((150000, "coalesce(max(s.apply_error_count), 0)"), (0, "0")),
    "sync_errors": ((150000, "coalesce(max(s.sync_error_count), 0)"), (0, "0")),
    "apply_statistics": (
        (150000, "LEFT JOIN pg_stat_subscription_stats s ON s.subid = p.oid"),
        (0, "LEFT JOIN (SELECT 0 AS none) s ON true"),
    ),
}
OURS = "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgflex')"
OF_EXTENSION = """EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = '{catalog}'::regclass AND e.objid = {oid}
          AND e.deptype = 'e')"""
NOT_OF_EXTENSION = "NOT " + OF_EXTENSION.format(catalog="pg_class", oid="c.oid")


# There is no function for it before version 18; m is of pg_largeobject_metadata.
UNREADABLE_OBJECT = """NOT pg_has_role(m.lomowner, 'USAGE') AND current_setting('lo_compat_privileges') = 'off'
   AND NOT EXISTS (SELECT 1 FROM aclexplode(m.lomacl) a WHERE a.privilege_type = 'SELECT'
                      AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))"""


def versioned(text: str, version: int) -> bytes:
    """SQL for a server: each <name> of it becomes what that server's catalogs have for it."""
    for name, rows in VERSIONED.items():
        if f"<{name}>" in text:
            text = text.replace(f"<{name}>", next(words for since, words in rows if version >= since))
    return text.encode()


def fetch(connection: psycopg.Connection[Any], text: str, values: Any = None) -> list[tuple[Any, ...]]:
    return connection.execute(versioned(text, connection.info.server_version), values).fetchall()


@dataclass(frozen=True)
class Table:
    """A relation with rows of its own, or the root of a partitioned one (kind p)."""

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    size: int
    pages: int
    readable: bool
    hidden_rows: bool
    owned: bool
    identity: str
    has_key: bool
    unique_index: str | None
    parents: Sequence[int]

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        return identifier(self.schema, self.name)

    @property
    def holds_rows(self) -> bool:
        return self.kind == "r"

    @property
    def replicated(self) -> bool:
        return self.holds_rows and self.persistence == "p"

    @property
    def lacks_identity(self) -> bool:
        """Published, it would refuse its own application's updates and deletes."""
        return self.identity == "n" or (self.identity == "d" and not self.has_key)

    @property
    def matched_whole(self) -> bool:
        """Its changes are applied to rows that are equal in all columns."""
        wide = self.identity == "f" or (self.lacks_identity and not self.unique_index)
        return self.replicated and wide and not self.has_key


# An index that is gone identifies no rows, nor does a key that may be violated until the commit.
TABLES = f"""
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text,
       CASE WHEN c.relkind = 'r' THEN pg_table_size(c.oid) ELSE 0 END,
       CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) / current_setting('block_size')::int ELSE 0 END,
       has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'),
       row_security_active(c.oid), pg_has_role(c.relowner, 'USAGE'),
       CASE WHEN c.relreplident = 'i' AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid
                 AND i.indisreplident AND i.indisvalid) THEN 'n' ELSE c.relreplident::text END,
       EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate
                  AND i.indisvalid),
       (SELECT x.relname::text FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
         WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
           AND i.indpred IS NULL AND i.indexprs IS NULL
           AND NOT EXISTS (SELECT 1 FROM unnest(i.indkey::int2[]) k(n) JOIN pg_attribute a
                           ON a.attrelid = c.oid AND a.attnum = k.n WHERE NOT a.attnotnull)
         ORDER BY i.indnatts, x.relname LIMIT 1),
       coalesce((SELECT array_agg(h.inhparent::bigint) FROM pg_inherits h WHERE h.inhrelid = c.oid), '{{}}')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND {OURS} AND {NOT_OF_EXTENSION}
 ORDER BY c.oid"""


def tables(connection: psycopg.Connection[Any]) -> list[Table]:
    return [Table(*row) for row in fetch(connection, TABLES)]


INCOMPARABLE = """
WITH RECURSIVE inside(relation, name, type) AS (
    SELECT c.oid, a.attname, a.atttypid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE {tables}
  UNION
    SELECT i.relation, i.name, x.type FROM inside i JOIN pg_type t ON t.oid = i.type CROSS JOIN LATERAL (
        SELECT t.typbasetype AS type WHERE t.typtype = 'd'
        UNION ALL SELECT t.typelem WHERE t.typlen = -1 AND t.typelem <> 0
        UNION ALL SELECT a.atttypid FROM pg_attribute a
                   WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) x)
SELECT format('%I.%I.%I', n.nspname, c.relname, i.name), min(format_type(t.oid, NULL))
  FROM inside i JOIN pg_type t ON t.oid = i.type JOIN pg_class c ON c.oid = i.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.typtype = 'b' AND NOT (t.typlen = -1 AND t.typelem <> 0) AND NOT EXISTS (
       SELECT 1 FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod AND m.amname IN ('btree', 'hash')
        WHERE o.opcdefault AND (o.opcintype = t.oid OR EXISTS (SELECT 1 FROM pg_cast k WHERE k.castsource = t.oid
              AND k.casttarget = o.opcintype AND k.castmethod = 'b' AND k.castcontext = 'i')))
 GROUP BY 1 ORDER BY 1"""


def incomparable(tables: str) -> str:
    """(column, type) in some tables, of all that is of a type without equality, also deep inside."""
    return INCOMPARABLE.replace("{tables}", tables)


# Sequences and large objects whose state the user may not read: (schema, label, the table of a sequence's column).
UNREADABLE = f"""
SELECT n.nspname::text, n.nspname || '.' || c.relname,
       coalesce((SELECT d.refobjid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1), 0)::bigint
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {OURS} AND {NOT_OF_EXTENSION}
   AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'))
UNION ALL
SELECT '', 'large object ' || m.oid, 0 FROM pg_largeobject_metadata m WHERE {UNREADABLE_OBJECT}
 ORDER BY 1, 2"""
SCHEMAS = f"SELECT n.nspname::text FROM pg_namespace n WHERE {OURS} ORDER BY 1"


def schemas(connection: psycopg.Connection[Any]) -> list[str]:
    return [row[0] for row in fetch(connection, SCHEMAS)]


COLUMNS = """
SELECT a.attrelid::bigint, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
 WHERE a.attrelid = ANY(%s::bigint[]::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND <stored> GROUP BY 1"""


def columns(connection: psycopg.Connection[Any], oids: list[int]) -> dict[int, list[str]]:
    """The columns that a copy carries: generated ones are computed where they arrive."""
    return dict(fetch(connection, COLUMNS, [oids]))


# Tables and sequences of extensions of which a dump takes what the users have put there, and whether their user may
# see all of that. Extensions register them in an order in which foreign keys hold.
CONFIGURED = """
SELECT n.nspname::text, c.relname::text, c.oid::bigint, c.relkind::text, coalesce(e.extcondition[k.n], ''),
       has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE') AND NOT row_security_active(c.oid),
       has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'DELETE') OR c.relkind = 'S'
       AND has_table_privilege(c.oid, 'UPDATE')
  FROM pg_extension e CROSS JOIN LATERAL generate_subscripts(e.extconfig, 1) k(n)
  JOIN pg_class c ON c.oid = e.extconfig[k.n] AND c.relkind IN ('r', 'S')
  JOIN pg_namespace n ON n.oid = c.relnamespace
 ORDER BY e.oid, k.n"""


@dataclass(frozen=True)
class Configured:
    """A table or sequence of an extension that holds what users have put there; `where` picks their rows."""

    schema: str
    name: str
    oid: int
    kind: str
    where: str
    readable: bool
    writable: bool

    @property
    def rows(self) -> str:
        return f"ONLY {identifier(self.schema, self.name)} {self.where}"


def configured(connection: psycopg.Connection[Any]) -> list[Configured]:
    return [Configured(*row) for row in fetch(connection, CONFIGURED)]


def has_rows(connection: psycopg.Connection[Any], table: Configured) -> bool:
    found: bool = fetch(connection, f"SELECT EXISTS (SELECT 1 FROM {table.rows})")[0][0]
    return found


SEQUENCES = f"""
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {OURS} AND {NOT_OF_EXTENSION} ORDER BY c.oid"""

# Only those that hold rows at the source; the order in which they were made is one in which they can be filled,
# unless a view in between was replaced, so that each is tried again when others are done.
FILLED_VIEWS = f"""
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'm' AND c.relispopulated AND {OURS} AND {NOT_OF_EXTENSION} ORDER BY c.oid"""


@dataclass(frozen=True)
class DatabaseFacts:
    """What CREATE DATABASE has to be told for a database like it."""

    name: str
    encoding: str
    collate: str
    ctype: str
    provider: str
    locale: str | None
    icu_rules: str | None
    size: int

    def options(self) -> str:
        parts = [f"ENCODING {literal(self.encoding)}"]
        if self.provider == "c":
            parts.append(f"LC_COLLATE {literal(self.collate)} LC_CTYPE {literal(self.ctype)}")
        elif self.provider == "i":
            parts.append(f"LOCALE_PROVIDER icu ICU_LOCALE {literal(self.locale or 'und')}")
            parts.append(f"LC_COLLATE {literal(self.collate)} LC_CTYPE {literal(self.ctype)}")
            parts += [f"ICU_RULES {literal(self.icu_rules)}"] if self.icu_rules else []
        else:
            parts.append(f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {literal(self.locale or 'C.UTF-8')}")
            parts.append(f"LC_COLLATE {literal(self.collate)} LC_CTYPE {literal(self.ctype)}")
        return " ".join(parts)


DATABASES = """
SELECT d.datname::text, pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, <provider>,
       <locale>::text, <icu_rules>::text,
       CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) ELSE 0 END
  FROM pg_database d WHERE d.datname = ANY(%s) AND d.datallowconn"""


def database_facts(connection: psycopg.Connection[Any], names: list[str]) -> dict[str, DatabaseFacts]:
    return {row[0]: DatabaseFacts(*row) for row in fetch(connection, DATABASES, [names])}


def literal(text: str) -> str:
    """A constant of SQL text, for statements that take no parameters."""
    escaped = text.replace("'", "''")
    return f" E'{escaped}'".replace("\\", "\\\\") if "\\" in text else f"'{escaped}'"


EXTENSIONS = """
SELECT e.extname::text, n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname <> 'plpgsql' ORDER BY e.oid"""
AVAILABLE = "SELECT name::text FROM pg_available_extensions"

# Everything that hangs on the tables that stay behind: views, functions on their row types or with bodies that name
# them, foreign keys, policies, triggers, sequences that no other table takes numbers from. A relation that is one of
# these is reached through its rule.
DEPENDENTS = """
WITH RECURSIVE gone(catalog, oid) AS (
    SELECT 'pg_class'::regclass::oid, unnest(%s::bigint[])::oid
  UNION
    SELECT CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass::oid END, coalesce(r.ev_class, d.objid)
      FROM gone g JOIN pg_depend d ON d.refclassid = g.catalog AND d.refobjid = g.oid
      LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
     WHERE (d.deptype = 'n' AND d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_constraint'::regclass,
                                              'pg_policy'::regclass, 'pg_trigger'::regclass))
        OR (d.deptype = 'i' AND d.classid = 'pg_type'::regclass)
        OR (d.deptype IN ('a', 'i') AND d.classid = 'pg_class'::regclass
            AND EXISTS (SELECT 1 FROM pg_class s WHERE s.oid = d.objid AND s.relkind = 'S')
            AND NOT EXISTS (SELECT 1 FROM pg_depend u JOIN pg_attrdef f ON f.oid = u.objid
                             WHERE u.classid = 'pg_attrdef'::regclass AND u.refclassid = 'pg_class'::regclass
                               AND u.refobjid = d.objid AND f.adrelid <> g.oid))
)
SELECT g.catalog::bigint, g.oid::bigint, c.relkind::text, n.nspname::text, c.relname::text,
       (pg_identify_object(g.catalog, g.oid, 0)).type, (pg_identify_object(g.catalog, g.oid, 0)).identity
  FROM gone g LEFT JOIN pg_class c ON g.catalog = 'pg_class'::regclass AND c.oid = g.oid
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE g.catalog <> 'pg_type'::regclass"""

# What roles have in the definition of an object, without which it cannot be made: policies and user mappings.
NAMED_ROLES = """
SELECT 'pg_policy'::regclass::oid::bigint, p.oid::bigint, 'policy ' || p.polname || ' on ' || p.polrelid::regclass,
       array(SELECT rolname::text FROM pg_roles WHERE oid = ANY(p.polroles)) FROM pg_policy p
UNION ALL
SELECT 'pg_user_mapping'::regclass::oid::bigint, u.umid::bigint, 'user mapping for ' || u.usename,
       ARRAY[u.usename::text] FROM pg_user_mappings u WHERE u.umuser <> 0"""

# Changes are matched by these on the target; all other indexes can wait until the rows are there.
KEYS = """
SELECT 'pg_class'::regclass::oid::bigint, i.indexrelid::bigint FROM pg_index i
 WHERE i.indisprimary OR i.indisreplident
UNION ALL
SELECT 'pg_constraint'::regclass::oid::bigint, k.oid::bigint FROM pg_constraint k
  JOIN pg_index i ON i.indexrelid = k.conindid AND (i.indisprimary OR i.indisreplident)
 WHERE k.contype IN ('p', 'u')"""
