# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the comparison asks the catalogs. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from .sql import Column, Type, base_type, literal

# Every list of names below is (schema, name); extensions' own objects are left out: they come with the extension,
# and differ with its version.
USER_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


def not_of_extension(catalog: str, oid: str, kinds: str = "'e'") -> str:
    return (
        f"NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = '{catalog}'::regclass AND d.objid = {oid} "
        f"AND d.deptype IN ({kinds}))"
    )


@dataclass(frozen=True)
class Relation:
    """A row of pg_class: table, partition, materialized view, sequence or foreign table."""

    oid: int
    schema: str
    name: str
    kind: str
    populated: bool = True
    pages: int = 0
    size: int = 0
    heap: bool = True
    extension: str | None = None
    # Of a table of an extension: which of its rows users have put there, where they may all be read.
    where: str | None = None
    # A column that is never null, and values of it that part the table, where pages can not.
    bounds: tuple[str, tuple[str, ...]] | None = None

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Sequence:
    schema: str
    name: str
    increment: int = 1
    of_extension: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass
class Catalog:
    """What one database holds, as its pg_catalog says, in the snapshot that its rows are read in too."""

    version: int
    encoding: str
    relations: list[Relation] = field(default_factory=list)
    columns: dict[int, list[Column]] = field(default_factory=dict)
    keys: dict[int, list[list[str]]] = field(default_factory=dict)
    types: dict[int, Type] = field(default_factory=dict)
    sequences: list[Sequence] = field(default_factory=list)
    objects: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def ordered_key(self, relation: Relation) -> str | None:
        """The first column of a key, when its type is one of PostgreSQL's own: those can be cut into ranges."""
        name = next(iter(self.keys.get(relation.oid, [[]])[0]), None)
        column = next((column for column in self.columns.get(relation.oid, []) if column.name == name), None)
        kind = self.types.get(base_type(self.types, column.type)) if column else None
        return name if kind and kind.schema == "pg_catalog" and kind.kind == "b" and not kind.element else None


def relations_sql(version: int) -> str:
    am = "coalesce(am.amname = 'heap', true)" if version >= 120000 else "true"
    join = "LEFT JOIN pg_am am ON am.oid = c.relam" if version >= 120000 else ""
    return f"""
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relispopulated,
       CASE WHEN c.relkind IN ('r', 'm')
            THEN coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::int ELSE 0 END,
       CASE WHEN c.relkind IN ('r', 'm') THEN coalesce(pg_table_size(c.oid), 0) ELSE 0 END,
       {am},
       (SELECT e.extname::text FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
         WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e' LIMIT 1),
       (SELECT e.extcondition[k.n] FROM pg_extension e, LATERAL generate_subscripts(e.extconfig, 1) k(n)
         WHERE e.extconfig[k.n] = c.oid AND has_schema_privilege(n.oid, 'USAGE')
           AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid) LIMIT 1)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace {join}
 WHERE c.relkind IN ('r', 'm', 'f') AND c.relpersistence <> 't' AND {USER_SCHEMA}
 ORDER BY c.oid"""


COLUMNS = f"""
SELECT a.attrelid::bigint, a.attname::text, a.atttypid::bigint,
       format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND {USER_SCHEMA}
 ORDER BY a.attrelid, a.attnum"""


def keys_sql(version: int) -> str:
    """Column lists that identify a row, the best first: the primary key, then the shortest unique NOT NULL index."""
    count = "indnkeyatts" if version >= 110000 else "indnatts"
    return f"""
SELECT k.indrelid::bigint, k.columns
  FROM (SELECT i.indrelid, i.indisprimary, c.relname, array_agg(a.attname::text ORDER BY u.n) AS columns,
               bool_and(a.attnotnull) AS certain
          FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
               unnest(i.indkey::int2[]) WITH ORDINALITY AS u(attnum, n), pg_attribute a
         WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND u.n <= i.{count}
           AND a.attrelid = i.indrelid AND a.attnum = u.attnum AND {USER_SCHEMA}
         GROUP BY i.indexrelid, i.indrelid, i.indisprimary, c.relname) k
 WHERE k.certain
 ORDER BY k.indrelid, k.indisprimary DESC, array_length(k.columns, 1), k.relname"""


def types_sql(version: int) -> str:
    """Types that columns can have, directly or nested; a multirange's subtype is its range."""
    multirange = (
        "UNION ALL SELECT r.rngmultitypid::bigint, r.rngtypid::bigint FROM pg_range r" if version >= 140000 else ""
    )
    return f"""
SELECT t.oid::bigint, n.nspname::text, t.typname::text, t.typtype::text,
       CASE WHEN t.typlen = -1 AND t.typelem <> 0 THEN t.typelem ELSE 0 END::bigint, t.typbasetype::bigint,
       coalesce(s.subtype, 0)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN (SELECT r.rngtypid::bigint AS oid, r.rngsubtype::bigint AS subtype FROM pg_range r {multirange}) s
    ON s.oid = t.oid
 WHERE t.typtype <> 'p'"""


def bounds_sql(schema: str, table: str, column: str) -> str:
    return (
        "SELECT s.histogram_bounds::text::text[] FROM pg_stats s WHERE NOT s.inherited AND "
        f"s.schemaname = {literal(schema)} AND s.tablename = {literal(table)} AND s.attname = {literal(column)}"
    )


FIELDS = """
SELECT t.oid::bigint, a.attname::text, a.atttypid::bigint
  FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid
 WHERE t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
   AND t.oid IN (SELECT u.atttypid FROM pg_attribute u
                 UNION SELECT e.typelem FROM pg_type e JOIN pg_attribute u ON u.atttypid = e.oid
                 UNION SELECT d.typbasetype FROM pg_type d
                 UNION SELECT e.typelem FROM pg_type e JOIN pg_type d ON d.typbasetype = e.oid
                 UNION SELECT r.rngsubtype FROM pg_range r)
 ORDER BY t.oid, a.attnum"""


def sequences_sql(version: int) -> str:
    columns, join = ("s.seqincrement", "JOIN pg_sequence s ON s.seqrelid = c.oid") if version >= 100000 else ("1", "")
    # A dump carries where these stand, as users are who move them on.
    own = "EXISTS (SELECT 1 FROM pg_extension e WHERE c.oid = ANY (e.extconfig))"
    return f"""
SELECT n.nspname::text, c.relname::text, {columns}, {own} AS of_extension
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace {join}
 WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {USER_SCHEMA}
   AND ({own} OR {not_of_extension("pg_class", "c.oid")})
 ORDER BY 1, 2"""


def _classes(kinds: str, name: str = "c.relname::text", where: str = "true") -> str:
    return f"""
SELECT n.nspname::text, {name} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ({kinds}) AND c.relpersistence <> 't' AND {USER_SCHEMA} AND {where}
   AND {not_of_extension("pg_class", "c.oid")}"""


def _constraints(version: int) -> str:
    # Clones on partitions have names that the server makes up; so do NOT NULL constraints, which are rows since 18.
    own = "AND x.conparentid = 0" if version >= 110000 else ""
    return f"""
SELECT n.nspname::text, coalesce(c.relname, t.typname)::text || '.' || x.conname ||
       CASE WHEN x.convalidated THEN '' ELSE ' (not valid)' END
  FROM pg_constraint x JOIN pg_namespace n ON n.oid = x.connamespace
  LEFT JOIN pg_class c ON c.oid = x.conrelid LEFT JOIN pg_type t ON t.oid = x.contypid
 WHERE x.contype IN ('c', 'f', 'p', 'u', 'x') {own} AND {USER_SCHEMA} AND coalesce(c.relpersistence, 'p') <> 't'
   AND {not_of_extension("pg_class", "x.conrelid")} AND {not_of_extension("pg_type", "x.contypid")}"""


def _triggers(version: int) -> str:
    own = "AND t.tgparentid = 0" if version >= 130000 else ""
    return f"""
SELECT n.nspname::text, c.relname::text || '.' || t.tgname ||
       CASE t.tgenabled WHEN 'D' THEN ' (disabled)' WHEN 'R' THEN ' (replica)' WHEN 'A' THEN ' (always)' ELSE '' END
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal {own} AND {USER_SCHEMA} AND {not_of_extension("pg_trigger", "t.oid")}
   AND {not_of_extension("pg_class", "c.oid")}"""


def _rarer_objects(version: int) -> dict[str, str]:
    # Without a namespace of their own, PostgreSQL's objects are told from users' by their number alone.
    found = {
        "collations": f"""
SELECT n.nspname::text, x.collname::text FROM pg_collation x JOIN pg_namespace n ON n.oid = x.collnamespace
 WHERE {USER_SCHEMA} AND {not_of_extension("pg_collation", "x.oid")}""",
        "operators": f"""
SELECT n.nspname::text, format('%s (%s, %s)', x.oprname, format_type(nullif(x.oprleft, 0), NULL),
                               format_type(nullif(x.oprright, 0), NULL))
  FROM pg_operator x JOIN pg_namespace n ON n.oid = x.oprnamespace
 WHERE {USER_SCHEMA} AND {not_of_extension("pg_operator", "x.oid")}""",
        "operator_classes": f"""
SELECT n.nspname::text, x.opcname || ' ' || m.amname
  FROM pg_opclass x JOIN pg_am m ON m.oid = x.opcmethod JOIN pg_namespace n ON n.oid = x.opcnamespace
 WHERE {USER_SCHEMA} AND {not_of_extension("pg_opclass", "x.oid")}""",
        "casts": f"""
SELECT ''::text, format_type(x.castsource, NULL) || ' to ' || format_type(x.casttarget, NULL)
  FROM pg_cast x WHERE x.oid >= 16384 AND {not_of_extension("pg_cast", "x.oid", "'e', 'i'")}""",
        "text_search_configurations": f"""
SELECT n.nspname::text, x.cfgname::text FROM pg_ts_config x JOIN pg_namespace n ON n.oid = x.cfgnamespace
 WHERE {USER_SCHEMA} AND {not_of_extension("pg_ts_config", "x.oid")}""",
        "text_search_dictionaries": f"""
SELECT n.nspname::text, x.dictname::text FROM pg_ts_dict x JOIN pg_namespace n ON n.oid = x.dictnamespace
 WHERE {USER_SCHEMA} AND {not_of_extension("pg_ts_dict", "x.oid")}""",
        "foreign_servers": f"""
SELECT ''::text, x.srvname::text FROM pg_foreign_server x
 WHERE {not_of_extension("pg_foreign_server", "x.oid")}""",
    }
    if version >= 100000:
        found["statistics"] = f"""
SELECT n.nspname::text, x.stxname::text FROM pg_statistic_ext x JOIN pg_namespace n ON n.oid = x.stxnamespace
 WHERE {USER_SCHEMA}"""
    return found


def objects_sql(version: int) -> dict[str, str]:
    """For every kind of object the statement that names them; what is not as it should be is said in the name."""
    return {
        "schemas": f"""
SELECT n.nspname::text, ''::text FROM pg_namespace n
 WHERE {USER_SCHEMA} AND {not_of_extension("pg_namespace", "n.oid")}""",
        "tables": _classes("'r', 'p'"),
        "unlogged_tables": _classes("'r', 'p'", where="c.relpersistence = 'u'"),
        "foreign_tables": _classes("'f'"),
        "views": _classes("'v'"),
        "materialized_views": _classes(
            "'m'", "c.relname || CASE WHEN c.relispopulated THEN '' ELSE ' (not populated)' END"
        ),
        "sequences": _classes("'S'"),
        "indexes": f"""
SELECT n.nspname::text, c.relname || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence <> 't' AND {USER_SCHEMA} AND {not_of_extension("pg_class", "i.indrelid")}""",
        "constraints": _constraints(version),
        # The constructors of a range depend on it internally; newer versions make more of them.
        "functions": f"""
SELECT n.nspname::text, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')'
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE {USER_SCHEMA} AND {not_of_extension("pg_proc", "p.oid", "'e', 'i'")}""",
        "triggers": _triggers(version),
        "event_triggers": f"""
SELECT ''::text, t.evtname::text || CASE t.evtenabled WHEN 'D' THEN ' (disabled)' ELSE '' END
  FROM pg_event_trigger t WHERE {not_of_extension("pg_event_trigger", "t.oid")}""",
        "policies": f"""
SELECT n.nspname::text, c.relname::text || '.' || p.polname
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {USER_SCHEMA}""",
        "rules": f"""
SELECT n.nspname::text, c.relname::text || '.' || r.rulename
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE r.rulename <> '_RETURN' AND {USER_SCHEMA} AND {not_of_extension("pg_class", "c.oid")}""",
        "extensions": "SELECT ''::text, extname::text FROM pg_extension",
        "types": f"""
SELECT n.nspname::text, t.typname || coalesce(
         (SELECT ' (' || string_agg(e.enumlabel::text, ', ' ORDER BY e.enumsortorder) || ')'
            FROM pg_enum e WHERE e.enumtypid = t.oid), '')
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE {USER_SCHEMA} AND (t.typtype IN ('d', 'e', 'r') OR t.typtype = 'c' AND c.relkind = 'c'
                          OR t.typtype = 'b' AND t.typelem = 0)
   AND {not_of_extension("pg_type", "t.oid")}""",
        **_rarer_objects(version),
    }
