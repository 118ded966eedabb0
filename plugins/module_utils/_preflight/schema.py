# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What there is in the source's databases that the target would refuse or lose."""

from __future__ import annotations

from collections.abc import Iterator

from .rules import ADMIN_GROUP, DATABASE, SERVER, SOURCE, Hit, Look, about, rule
from .versions import OLDEST_SOURCE, WITHOUT_OIDS, piece

USER_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
OF_NO_EXTENSION = """NOT EXISTS (SELECT 1 FROM pg_depend x
    WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')"""
LANGUAGES = ("c", "internal", "sql", "plpgsql", "plv8", "pljava")
GUARDED = (
    "pg_authid",
    "pg_config",
    "pg_file_settings",
    "pg_hba_file_rules",
    "pg_largeobject",
    "pg_pltemplate",
    "pg_replication_origin_status",
    "pg_shadow",
    "pg_statistic",
    "pg_subscription",
    "pg_user_mapping",
)


def _own(catalog: str, alias: str) -> str:
    """That a user made an object: it is no part of an extension, nor of another object, as a range type's casts are."""
    return (
        f"{alias}.oid >= 16384 AND NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = '{catalog}'::regclass "
        f"AND x.objid = {alias}.oid AND x.deptype IN ('e', 'i'))"
    )


@rule(SOURCE, SERVER, "blocks", "a source before PostgreSQL 9.5", "Upgrade the source first.", code=603400)
def source_too_old(look: Look) -> Iterator[Hit]:
    if look.version < OLDEST_SOURCE:
        yield Hit("", f"The source runs PostgreSQL {look.here.major}; the service takes 9.5 and newer.")


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "a target of an older version than the source's",
    "Take a target of the source's version or a newer one.",
    both=True,
)
def target_older(look: Look) -> Iterator[Hit]:
    if look.target.version // 10000 < look.source.version // 10000:
        yield Hit("", f"The source runs PostgreSQL {look.source.major} and the target only {look.target.major}.")


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "a database's collation that the target lacks",
    "Make the database at the target beforehand with a collation that it has, and compare the order of texts.",
    code=603401,
    both=True,
)
def database_collation(look: Look) -> Iterator[Hit]:
    there = [*look.target.locales, *(text for facts in look.target.databases.values() for text in facts.collations)]
    known = {plain_locale(name) for name in there} | {"c", "posix"}
    for name in look.job.databases:
        facts = look.here.databases.get(name)
        missing = [text for text in facts.collations if plain_locale(text) not in known] if facts else []
        for text in dict.fromkeys(missing):
            yield Hit(name, f"The database {name} has the collation {text}, which the target lacks.")


def plain_locale(name: str) -> str:
    """en_US.UTF-8 and en_US.utf8 are one locale."""
    return name.lower().replace("-", "").replace("_", "")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a column's collation that the target lacks",
    "ALTER TABLE ... ALTER COLUMN ... TYPE ... COLLATE with one that the target has.",
    code=603402,
    both=True,
)
def column_collation(look: Look) -> Iterator[Hit]:
    rows = look.ask(
        "SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname), o.collname::text FROM pg_attribute a "
        "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_collation o ON o.oid = a.attcollation WHERE o.collnamespace = 'pg_catalog'::regnamespace "
        f"AND o.collname <> 'default' AND a.attnum > 0 AND NOT a.attisdropped AND {USER_SCHEMA} ORDER BY 1"
    )
    for name, collation in rows:
        if collation not in look.target.collations:
            yield Hit(name, f"The column {name} has the collation {collation}, which the target lacks.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a collation made by a user",
    "Replace it by one of the server's own, or make it at the target and copy with pg_dump.",
    code=603403,
)
def user_collation(look: Look) -> Iterator[Hit]:
    sql = "SELECT format('%I.%I', n.nspname, o.collname) FROM pg_collation o JOIN pg_namespace n "
    sql += "ON n.oid = o.collnamespace"
    for name in look.names(f"{sql} WHERE {USER_SCHEMA} AND {_own('pg_collation', 'o')} ORDER BY 1"):
        yield Hit(name, f"The collation {name} was made by a user.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a table WITH OIDS, which a target from version 12 on refuses",
    "ALTER TABLE ... SET WITHOUT OIDS.",
    code=603404,
    both=True,
)
def with_oids(look: Look) -> Iterator[Hit]:
    if look.target.version < WITHOUT_OIDS:
        return
    has_oids = piece("has_oids", look.version)
    sql = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    for name in look.names(f"{sql} WHERE {has_oids} AND c.relkind IN ('r', 'p') AND {USER_SCHEMA} ORDER BY 1"):
        yield Hit(name, f"The table {name} has OIDs, which PostgreSQL {look.target.major} does not have.")


@rule(SOURCE, DATABASE, "blocks", "a cast made by a user", "DROP CAST, and make it at the target by hand.", code=603409)
def user_cast(look: Look) -> Iterator[Hit]:
    sql = "SELECT format('(%s AS %s)', o.castsource::regtype, o.casttarget::regtype) FROM pg_cast o"
    for name in look.names(f"{sql} WHERE {_own('pg_cast', 'o')} ORDER BY 1"):
        yield Hit(name, f"The cast {name} was made by a user.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a privilege on a table of pg_catalog that the target can not grant",
    "REVOKE it.",
    code=603410,
)
def catalog_grants(look: Look) -> Iterator[Hit]:
    initial = piece("initial_privileges", look.version)
    rows = look.ask(
        "SELECT c.relname::text, string_agg(DISTINCT CASE WHEN p.grantee = 0 THEN 'PUBLIC' "
        "ELSE pg_get_userbyid(p.grantee)::text END, ', ') FROM pg_class c, LATERAL (SELECT g.grantee, "
        "g.privilege_type FROM aclexplode(c.relacl) g UNION SELECT g.grantee, g.privilege_type FROM pg_attribute a, "
        "aclexplode(a.attacl) g WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL AND g.grantee <> 0) p "
        "WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname = ANY (%s) AND p.grantee <> c.relowner "
        f"AND (p.grantee, p.privilege_type) NOT IN (SELECT g.grantee, g.privilege_type FROM aclexplode(({initial})) g) "
        "AND (p.grantee >= 16384 OR p.grantee = 0 AND p.privilege_type <> 'SELECT' OR p.grantee = 0 AND c.relname IN "
        "('pg_authid', 'pg_largeobject', 'pg_statistic', 'pg_shadow')) GROUP BY 1 ORDER BY 1",
        list(GUARDED),
    )
    for name, grantees in rows:
        yield Hit(f"pg_catalog.{name}", f"{grantees} has privileges on pg_catalog.{name}.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a procedural language that the target does not have",
    "Rewrite its functions in PL/pgSQL, then DROP LANGUAGE.",
    code=603413,
)
def language(look: Look) -> Iterator[Hit]:
    for name in look.names(
        "SELECT lanname::text FROM pg_language WHERE lanname <> ALL (%s) ORDER BY 1", list(LANGUAGES)
    ):
        yield Hit(name, f"The language {name} is not at the target.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a text search parser or template",
    "DROP TEXT SEARCH PARSER or TEMPLATE: only a superuser can make one.",
)
def text_search(look: Look) -> Iterator[Hit]:
    sql = " UNION ALL ".join(
        f"SELECT '{kind} ' || format('%I.%I', n.nspname, o.{column}) FROM {catalog} o JOIN pg_namespace n "
        f"ON n.oid = o.{column[:3]}namespace WHERE {_own(catalog, 'o')}"
        for kind, catalog, column in (("parser", "pg_ts_parser", "prsname"), ("template", "pg_ts_template", "tmplname"))
    ).replace("o.tmpnamespace", "o.tmplnamespace")
    for name in look.names(f"{sql} ORDER BY 1"):
        yield Hit(name, f"The text search {name} can only be made by a superuser.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a type or a function in C",
    "Drop it, or find an extension that the target has and that brings it.",
)
def in_c(look: Look) -> Iterator[Hit]:
    names = look.names(
        "SELECT 'type ' || format('%I.%I', n.nspname, o.typname) FROM pg_type o JOIN pg_namespace n "
        f"ON n.oid = o.typnamespace WHERE o.typtype = 'b' AND o.typelem = 0 AND {_own('pg_type', 'o')} "
        "UNION ALL SELECT 'function ' || format('%I.%I(%s)', n.nspname, o.proname, pg_get_function_identity_arguments("
        "o.oid)) FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace JOIN pg_language l ON l.oid = o.prolang "
        f"WHERE l.lanname IN ('c', 'internal') AND {_own('pg_proc', 'o')} "
        # Aggregates are filed under the language internal, whoever made them.
        "AND NOT EXISTS (SELECT 1 FROM pg_aggregate a WHERE a.aggfnoid = o.oid) ORDER BY 1"
    )
    for name in names:
        yield Hit(name, f"The {name} is written in C, which only a superuser can make.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "an operator class or family",
    "Drop it, with the indexes that use it, or find an extension that brings it: only a superuser can make one.",
)
def operator_classes(look: Look) -> Iterator[Hit]:
    sql = " UNION ALL ".join(
        f"SELECT 'operator {kind} ' || format('%I.%I', n.nspname, o.{prefix}name) FROM {catalog} o JOIN pg_namespace n "
        f"ON n.oid = o.{prefix}namespace WHERE {_own(catalog, 'o')}"
        for kind, catalog, prefix in (("class", "pg_opclass", "opc"), ("family", "pg_opfamily", "opf"))
    )
    for name in look.names(f"{sql} ORDER BY 1"):
        yield Hit(name, f"The {name} can only be made by a superuser.")


FUNCTION = (
    "SELECT format('%I.%I(%s)', n.nspname, o.proname, pg_get_function_identity_arguments(o.oid)){more} FROM pg_proc o "
    "JOIN pg_namespace n ON n.oid = o.pronamespace "
)


@rule(
    SOURCE, DATABASE, "blocks", "a LEAKPROOF function", "ALTER FUNCTION ... NOT LEAKPROOF: only a superuser may say so."
)
def leakproof(look: Look) -> Iterator[Hit]:
    for name in look.names(f"{FUNCTION.format(more='')} WHERE o.proleakproof AND {_own('pg_proc', 'o')} ORDER BY 1"):
        yield Hit(name, f"The function {name} is LEAKPROOF, which only a superuser can make.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a function with a setting that the target's user may not change",
    "ALTER FUNCTION ... RESET the setting, or let the target's user change it (GRANT SET ON PARAMETER).",
    both=True,
)
def superuser_settings(look: Look) -> Iterator[Hit]:
    more = ", split_part(s.setting, '=', 1)"
    rows = look.ask(
        f"{FUNCTION.format(more=more)} CROSS JOIN LATERAL unnest(o.proconfig) s(setting) "
        f"WHERE {_own('pg_proc', 'o')} ORDER BY 1, 2"
    )
    # Azure lets its administrators change some, and its catalogs do not say which.
    severity = "warns" if ADMIN_GROUP in look.target.roles else None
    for name, setting in rows:
        if setting.lower() in look.target.guarded:
            text = f"The function {name} sets {setting}, which {look.target.user} may not at the target."
            yield Hit(name, text, severity)


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a foreign data wrapper that no extension brings",
    "Drop it, or make it by an extension that the target has.",
)
def foreign_data_wrappers(look: Look) -> Iterator[Hit]:
    sql = (
        f"SELECT o.fdwname::text FROM pg_foreign_data_wrapper o WHERE {_own('pg_foreign_data_wrapper', 'o')} ORDER BY 1"
    )
    for name in look.names(sql):
        yield Hit(name, f"The foreign data wrapper {name} can only be made by a superuser.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "an aggregate whose state is of type internal",
    "Give it another type of state: with this one only a superuser can make it.",
)
def internal_aggregates(look: Look) -> Iterator[Hit]:
    sql = f"{FUNCTION.format(more='')} JOIN pg_aggregate a ON a.aggfnoid = o.oid WHERE 'internal'::regtype IN "
    for name in look.names(f"{sql} (a.aggtranstype, a.aggmtranstype) AND {_own('pg_proc', 'o')} ORDER BY 1"):
        yield Hit(name, f"The aggregate {name} keeps its state in the type internal.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "an access method that no extension brings",
    "Move its tables and indexes to one of the server's own, then DROP ACCESS METHOD.",
)
def access_methods(look: Look) -> Iterator[Hit]:
    for name in look.names(f"SELECT o.amname::text FROM pg_am o WHERE {_own('pg_am', 'o')} ORDER BY 1"):
        yield Hit(name, f"The access method {name} can only be made by a superuser.")


@rule(
    SOURCE,
    DATABASE,
    "warns",
    "custom tablespaces",
    "Expect the data in the target's default tablespace, or move it to pg_default first.",
)
def tablespaces(look: Look) -> Iterator[Hit]:
    names = look.names(
        "SELECT DISTINCT t.spcname::text FROM pg_tablespace t WHERE t.spcname !~ '^pg_' AND (EXISTS (SELECT 1 FROM "
        "pg_class c WHERE c.reltablespace = t.oid) OR EXISTS (SELECT 1 FROM pg_database d "
        "WHERE d.dattablespace = t.oid AND d.datname = current_database())) ORDER BY 1"
    )
    yield from about(names, "custom tablespace", "custom tablespaces", "which the target does not have")


@rule(
    SOURCE,
    DATABASE,
    "warns",
    "event triggers",
    "Make them again at the target, where azure_pg_admin may from version 14 on, or drop them.",
)
def event_triggers(look: Look) -> Iterator[Hit]:
    names = look.names(
        f"SELECT o.evtname::text FROM pg_event_trigger o WHERE {_own('pg_event_trigger', 'o')} ORDER BY 1"
    )
    yield from about(names, "event trigger", "event triggers", "not carried without a superuser")


@rule(
    SOURCE,
    SERVER,
    "warns",
    "a database in SQL_ASCII, whose texts can be invalid",
    "Find texts that are no UTF-8 before the migration, and keep the encoding at the target.",
)
def encoding(look: Look) -> Iterator[Hit]:
    for name in look.job.databases:
        if name in look.here.databases and look.here.databases[name].encoding == "SQL_ASCII":
            yield Hit(name, f"The database {name} has the encoding SQL_ASCII, which checks nothing.")
