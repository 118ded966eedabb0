# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions of objects, as two versions write them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .catalog import USER_SCHEMA, not_of_extension

# Every statement gives rows of (schema, name, facts, expressions, context). Facts are compared as they are. Expressions
# are texts that PostgreSQL makes of what it has parsed, in words that differ between majors; `context` is the FROM
# that their columns come from, none for a whole query. What is as PostgreSQL makes it by itself is null, so that a
# major that does not know a property yet is equal to one where nobody has set it.


COLUMN_OF = "of"
"""The fact of a column that names its relation."""


def since(version: int, first: int, sql: str) -> str:
    """A pair of json_build_object that only servers from `first` on can give."""
    return f", {sql}" if version >= first else ""


def _digest(value: str) -> str:
    """For texts of any length, and for those in which somebody keeps a secret."""
    return f"md5(convert_to({value}, 'UTF8'))"


def _relations(version: int) -> str:
    partition = since(
        version,
        100000,
        "'partition_key', pg_get_partkeydef(c.oid), 'partition_bound', pg_get_expr(c.relpartbound, c.oid)",
    )
    method = since(
        version, 120000, "'access_method', (SELECT nullif(a.amname, 'heap') FROM pg_am a WHERE a.oid = c.relam)"
    )
    return f"""
SELECT n.nspname::text, c.relname::text, json_strip_nulls(json_build_object(
         'options', (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(c.reloptions) o),
         'toast_options', (SELECT array_to_string(t.reloptions, ', ') FROM pg_class t WHERE t.oid = c.reltoastrelid),
         'replica_identity', CASE WHEN c.relreplident IN ('n', 'f') THEN c.relreplident::text ELSE
           (SELECT 'i ' || r.relname FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
             WHERE i.indrelid = c.oid AND i.indisreplident) END,
         'row_security', nullif(c.relrowsecurity, false), 'forced_row_security', nullif(c.relforcerowsecurity, false),
         'inherits', (SELECT string_agg(h.inhparent::regclass::text, ', ' ORDER BY h.inhseqno)
                        FROM pg_inherits h WHERE h.inhrelid = c.oid),
         'of_type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END{partition}{method})),
       json_strip_nulls(json_build_object('query', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END)),
       NULL::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relpersistence <> 't' AND {USER_SCHEMA}
   AND {not_of_extension("pg_class", "c.oid")}"""


def _columns(version: int) -> str:
    newer = since(version, 100000, "'identity', nullif(a.attidentity::text, '')")
    newer += since(version, 120000, "'generated', nullif(a.attgenerated::text, '')")
    newer += since(version, 140000, "'compression', nullif(a.attcompression::text, '')")
    return f"""
SELECT n.nspname::text, c.relname::text || '.' || a.attname, json_strip_nulls(json_build_object(
         '{COLUMN_OF}', n.nspname || '.' || c.relname,
         'type', CASE WHEN c.relkind NOT IN ('r', 'm')
                      THEN format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
                 END,
         'collation', (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation AND l.oid <> t.typcollation),
         'storage', nullif(a.attstorage, t.typstorage)::text,
         'statistics', CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END,
         'options', array_to_string(a.attoptions, ', '), 'fdw_options', array_to_string(a.attfdwoptions, ', '){newer})),
       json_strip_nulls(json_build_object('default', pg_get_expr(d.adbin, d.adrelid))),
       format('%I.%I', n.nspname, c.relname)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
   AND c.relpersistence <> 't' AND {USER_SCHEMA} AND {not_of_extension("pg_class", "c.oid")}
   AND {not_of_extension("pg_type", "c.reltype")}"""


def _indexes(version: int) -> str:
    newer = since(version, 110000, "'included', nullif(i.indnatts - i.indnkeyatts, 0)")
    newer += since(version, 150000, "'nulls_not_distinct', nullif(i.indnullsnotdistinct, false)")
    return f"""
SELECT n.nspname::text, c.relname::text, json_strip_nulls(json_build_object(
         'table', i.indrelid::regclass::text, 'method', m.amname, 'unique', i.indisunique,
         'clustered', nullif(i.indisclustered, false),
         'options', array_to_string(c.reloptions, ', '),
         'keys', (SELECT string_agg(concat_ws(' ', coalesce(quote_ident(a.attname), '(expression)'), o.opcname,
                                              nullif(l.collname, 'default'), s.flags), ', ' ORDER BY k.n)
                    FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
                    LEFT JOIN unnest(i.indclass::oid[]) WITH ORDINALITY AS oc(oid, n) ON oc.n = k.n
                    LEFT JOIN unnest(i.indcollation::oid[]) WITH ORDINALITY AS ol(oid, n) ON ol.n = k.n
                    LEFT JOIN unnest(i.indoption::int2[]) WITH ORDINALITY AS s(flags, n) ON s.n = k.n
                    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0
                    LEFT JOIN pg_opclass o ON o.oid = oc.oid LEFT JOIN pg_collation l ON l.oid = ol.oid){newer})),
       json_strip_nulls(json_build_object('expressions', pg_get_expr(i.indexprs, i.indrelid),
                                          'predicate', pg_get_expr(i.indpred, i.indrelid))),
       format('%I.%I', n.nspname, r.relname)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = c.relam
 WHERE c.relpersistence <> 't' AND {USER_SCHEMA} AND {not_of_extension("pg_class", "i.indrelid")}"""


def _constraints(version: int) -> str:
    own = "AND x.conparentid = 0" if version >= 110000 else ""
    enforced = since(version, 180000, "'not_enforced', nullif(NOT x.conenforced, false)")
    return f"""
SELECT n.nspname::text, coalesce(c.relname, t.typname)::text || '.' || x.conname, json_strip_nulls(json_build_object(
         'definition', CASE WHEN x.contype <> 'c' OR x.conrelid = 0 THEN pg_get_constraintdef(x.oid) END,
         'no_inherit', CASE WHEN x.contype = 'c' THEN nullif(x.connoinherit, false) END{enforced})),
       json_strip_nulls(json_build_object(
         'check', CASE WHEN x.contype = 'c' AND x.conrelid <> 0 THEN pg_get_expr(x.conbin, x.conrelid) END)),
       CASE WHEN x.conrelid <> 0 THEN format('%I.%I', n.nspname, c.relname) END
  FROM pg_constraint x JOIN pg_namespace n ON n.oid = x.connamespace
  LEFT JOIN pg_class c ON c.oid = x.conrelid LEFT JOIN pg_type t ON t.oid = x.contypid
 WHERE x.contype IN ('c', 'f', 'p', 'u', 'x') {own} AND {USER_SCHEMA} AND coalesce(c.relpersistence, 'p') <> 't'
   AND {not_of_extension("pg_class", "x.conrelid")} AND {not_of_extension("pg_type", "x.contypid")}"""


def _functions(version: int) -> str:
    aggregate = "p.prokind = 'a'" if version >= 110000 else "p.proisagg"
    before = "CASE WHEN p.proisagg THEN 'a' WHEN p.proiswindow THEN 'w' ELSE 'f' END"
    kind = "p.prokind::text" if version >= 110000 else before
    newer = since(version, 90600, "'parallel', nullif(p.proparallel::text, 'u')")
    newer += since(version, 140000, f"'body', {_digest('pg_get_function_sqlbody(p.oid)')}")
    return f"""
SELECT n.nspname::text, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       json_strip_nulls(json_build_object(
         'arguments', pg_get_function_arguments(p.oid), 'result', pg_get_function_result(p.oid),
         'language', l.lanname, 'source', {_digest("p.prosrc")}, 'library', p.probin::text, 'kind', {kind},
         'volatility', p.provolatile::text, 'strict', p.proisstrict, 'security_definer', p.prosecdef,
         'leakproof', p.proleakproof, 'cost', p.procost, 'rows', p.prorows,
         'settings', array_to_string(p.proconfig, ', '),
         'aggregate', CASE WHEN {aggregate} THEN
           (SELECT concat_ws(' ', g.aggkind::text, g.aggtransfn, g.aggfinalfn, format_type(g.aggtranstype, NULL),
                             g.agginitval, g.aggmtransfn, g.aggminitval, g.aggsortop::regoperator)
              FROM pg_aggregate g WHERE g.aggfnoid = p.oid) END{newer})),
       '{{}}'::json, NULL::text
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE {USER_SCHEMA} AND {not_of_extension("pg_proc", "p.oid", "'e', 'i'")}"""


def _triggers(version: int) -> str:
    own = "AND t.tgparentid = 0" if version >= 130000 else ""
    # The words before the function's name changed with PostgreSQL 11.
    return f"""
SELECT n.nspname::text, c.relname::text || '.' || t.tgname, json_build_object(
         'definition', regexp_replace(regexp_replace(pg_get_triggerdef(t.oid), 'EXECUTE PROCEDURE', 'EXECUTE FUNCTION'),
                                      ' WHEN \\(.*\\) EXECUTE FUNCTION', ' EXECUTE FUNCTION')),
       json_strip_nulls(json_build_object(
         'when', substring(pg_get_triggerdef(t.oid) from ' WHEN (\\(.*\\)) EXECUTE (?:PROCEDURE|FUNCTION)'))),
       format('%1$I.%2$I old, %1$I.%2$I new', n.nspname, c.relname)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal {own} AND {USER_SCHEMA} AND {not_of_extension("pg_trigger", "t.oid")}
   AND {not_of_extension("pg_class", "c.oid")}"""


def _policies(version: int) -> str:
    permissive = since(version, 100000, "'permissive', nullif(p.polpermissive, true)")
    return f"""
SELECT n.nspname::text, c.relname::text || '.' || p.polname, json_build_object(
         'command', p.polcmd::text,
         'roles', (SELECT json_agg(coalesce(r.rolname::text, 'PUBLIC') ORDER BY r.rolname)
                     FROM unnest(p.polroles) u(oid) LEFT JOIN pg_roles r ON r.oid = u.oid){permissive}),
       json_strip_nulls(json_build_object('using', pg_get_expr(p.polqual, p.polrelid),
                                          'check', pg_get_expr(p.polwithcheck, p.polrelid))),
       format('%I.%I', n.nspname, c.relname)
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {USER_SCHEMA}"""


def _rules() -> str:
    return f"""
SELECT n.nspname::text, c.relname::text || '.' || r.rulename,
       json_build_object('enabled', r.ev_enabled::text, 'event', r.ev_type::text, 'instead', r.is_instead),
       json_build_object('statement', pg_get_ruledef(r.oid)), '-'::text
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE r.rulename <> '_RETURN' AND {USER_SCHEMA} AND {not_of_extension("pg_class", "c.oid")}"""


def _sequences(version: int, oldest: int) -> str:
    columns, join = "", ""
    # Before PostgreSQL 10 only the sequence itself knows these.
    if oldest >= 100000:
        columns = (
            "'type', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'minimum', s.seqmin, 'maximum', s.seqmax, "
            "'increment', s.seqincrement, 'cycle', s.seqcycle, 'cache', s.seqcache, "
        )
        join = "JOIN pg_sequence s ON s.seqrelid = c.oid"
    return f"""
SELECT n.nspname::text, c.relname::text, json_build_object({columns}
         'owned_by', (SELECT d.refobjid::regclass || '.' || a.attname FROM pg_depend d
                        JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                       WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                         AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))),
       '{{}}'::json, NULL::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace {join}
 WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {USER_SCHEMA} AND {not_of_extension("pg_class", "c.oid")}"""


def _types() -> str:
    return f"""
SELECT n.nspname::text, t.typname::text, json_strip_nulls(json_build_object(
         'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
         'not_null', nullif(t.typnotnull, false), 'default', t.typdefault,
         'range', (SELECT concat_ws(' ', format_type(r.rngsubtype, NULL), o.opcname, nullif(r.rngcanonical::oid, 0)
                                    ::regproc, nullif(r.rngsubdiff::oid, 0)::regproc)
                     FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc WHERE r.rngtypid = t.oid))),
       '{{}}'::json, NULL::text
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE {USER_SCHEMA} AND t.typtype IN ('d', 'r') AND {not_of_extension("pg_type", "t.oid")}"""


def _foreign() -> str:
    # Options can hold credentials, so only their digest leaves the server.
    return f"""
SELECT n.nspname::text, c.relname::text,
       json_build_object('server', s.srvname, 'options', {_digest("coalesce(f.ftoptions::text, '')")}),
       '{{}}'::json, NULL::text
  FROM pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE {USER_SCHEMA}"""


def _event_triggers() -> str:
    return f"""
SELECT ''::text, t.evtname::text, json_build_object('event', t.evtevent, 'function', t.evtfoid::regproc::text,
         'tags', array_to_string(t.evttags, ', '), 'enabled', t.evtenabled::text), '{{}}'::json, NULL::text
  FROM pg_event_trigger t WHERE {not_of_extension("pg_event_trigger", "t.oid")}"""


def _statistics() -> str:
    return f"""
SELECT n.nspname::text, s.stxname::text, '{{}}'::json,
       json_build_object('statement', pg_get_statisticsobjdef(s.oid)), '-'::text
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {USER_SCHEMA}"""


def _comments() -> str:
    # Objects below this number are PostgreSQL's own; comments on databases are not in a dump of one.
    return f"""
SELECT ''::text, i.type || ' ' || i.identity, json_build_object('text', {_digest("d.description")}),
       '{{}}'::json, NULL::text
  FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
 WHERE d.objoid >= 16384 AND coalesce(i.schema, '') !~ '^pg_(temp|toast)'
   AND NOT EXISTS (SELECT 1 FROM pg_depend e
                    WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e')
   AND d.classoid <> 'pg_extension'::regclass"""


def definitions_sql(version: int, oldest: int) -> Iterator[tuple[str, str]]:
    """(kind, statement) for a server; `oldest` is the version of the older one of the two."""
    yield "relations", _relations(version)
    yield "columns", _columns(version)
    yield "indexes", _indexes(version)
    yield "constraints", _constraints(version)
    yield "functions", _functions(version)
    yield "triggers", _triggers(version)
    yield "policies", _policies(version)
    yield "rules", _rules()
    yield "sequences", _sequences(version, oldest)
    yield "types", _types()
    yield "foreign_tables", _foreign()
    yield "event_triggers", _event_triggers()
    if version >= 100000:
        yield "statistics", _statistics()
    yield "comments", _comments()
