# SPDX-License-Identifier: GPL-3.0-or-later
"""The documented rules, each a query and its sentence. Codes are the service's, words are the lab's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pgflex_lab.clusters import ADMIN_GROUP
from pgflex_lab.migrations.endpoints import Connection, Endpoint
from pgflex_lab.migrations.model import Order

UNSUPPORTED_EXTENSIONS = ("postgis_topology", "postgis_tiger_geocoder", "postgres_fdw", "pg_partman", "timescaledb")
PRELOADED = {
    "pg_cron": "pg_cron",
    "pg_hint_plan": "pg_hint_plan",
    "pg_partman": "pg_partman_bgw",
    "pg_prewarm": "pg_prewarm",
    "pg_stat_statements": "pg_stat_statements",
    "pgaudit": "pgaudit",
    "pglogical": "pglogical",
    "wal2json": "wal2json",
}
LANGUAGES = ("c", "internal", "plpgsql", "sql", "plv8", "pljava")
GUARDED_CATALOGS = (
    *("pg_authid", "pg_largeobject", "pg_statistic", "pg_subscription", "pg_user_mapping", "pg_config"),
    *("pg_file_settings", "pg_hba_file_rules", "pg_replication_origin_status", "pg_shadow", "pg_pltemplate"),
)
OLDEST_SOURCE = 90500


@dataclass(frozen=True)
class Context:
    order: Order
    source: Endpoint
    target: Endpoint
    target_parameter: Callable[[str], str | None]
    """What the target is configured to, also for names that only Azure knows."""

    @property
    def databases(self) -> list[str]:
        return self.order.databases or []

    def ask(self, endpoint: Endpoint, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with endpoint.connect("postgres") as connection:
            return connection.execute(query, values).fetchall()


@dataclass(frozen=True)
class DatabaseContext:
    server: Context
    name: str
    source: Connection

    def names(self, query: str, *values: Any) -> list[str]:
        return [str(row[0]) for row in self.source.execute(query, values).fetchall()]


Rule = Callable[[Context], list[str]]
DatabaseRule = Callable[[DatabaseContext], list[str]]


def missing_databases(context: Context) -> list[str]:
    present = set(context.source.cluster.databases())
    return [
        f"603102: Database {name} does not exist on the source server {context.source.cluster.name}."
        for name in context.databases
        if name not in present
    ]


def databases_in_the_way(context: Context) -> list[str]:
    """A migration asks for consent instead; a mere validation has nobody to ask."""
    if context.order.option != "Validate" or context.order.overwrite:
        return []
    there = set(context.target.cluster.databases())
    return [
        f"603101: Database {name} exists on the target server already, and overwriting it is not allowed."
        for name in context.databases
        if name in there
    ]


def replication_right(context: Context) -> list[str]:
    if not context.order.online:
        return []
    (allowed,) = context.ask(
        context.source, "SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user"
    )[0]
    user = context.source.user
    return [] if allowed else [f"603104: User {user} lacks the attribute REPLICATION on the source server."]


def owns_databases(context: Context) -> list[str]:
    rows = context.ask(
        context.source,
        "SELECT datname FROM pg_database WHERE datname = ANY(%s) AND datname <> 'postgres'"
        " AND NOT pg_has_role(current_user, datdba, 'MEMBER') ORDER BY 1",
        context.databases,
    )
    return [f"603110: User {context.source.user} does not own database {row[0]} on the source server." for row in rows]


def target_user(context: Context) -> list[str]:
    user = context.target.user
    createrole, createdb, admin, signal = context.ask(
        context.target,
        "SELECT rolcreaterole OR rolsuper, rolcreatedb OR rolsuper, pg_has_role(current_user, %s, 'MEMBER'),"
        " pg_has_role(current_user, 'pg_signal_backend', 'MEMBER') FROM pg_roles WHERE rolname = current_user",
        ADMIN_GROUP,
    )[0]
    found = []
    if not admin:
        found.append(f"603115: User {user} is not a member of azure_pg_admin on the target server.")
    if not (createrole and createdb):
        found.append(f"603116: User {user} lacks CREATEROLE or CREATEDB on the target server.")
    if not signal:
        found.append(f"603111: User {user} cannot end sessions on the target server: GRANT pg_signal_backend to it.")
    return found


def droppable(context: Context) -> list[str]:
    rows = context.ask(
        context.target,
        "SELECT datname FROM pg_database WHERE datname = ANY(%s) AND datname <> 'postgres'"
        " AND NOT pg_has_role(current_user, datdba, 'MEMBER') ORDER BY 1",
        context.databases,
    )
    return [f"603117: User {context.target.user} cannot drop database {row[0]} on the target server." for row in rows]


def versions(context: Context) -> list[str]:
    (source,) = context.ask(context.source, "SELECT current_setting('server_version_num')::int")[0]
    (target,) = context.ask(context.target, "SELECT current_setting('server_version_num')::int")[0]
    found = []
    if source < OLDEST_SOURCE:
        found.append("603400: The source's version is not supported; it must be 9.5 or newer.")
    if target // 10000 < source // 10000:
        found.append(f"The target's version {target // 10000} is lower than the source's {source // 10000}.")
    return found


def wal_level(context: Context) -> list[str]:
    """A migration asks before it switches a Single Server over, so that is no finding."""
    if not context.order.online or context.source.cluster.kind == "single":
        return []
    ((level,),) = context.ask(context.source, "SELECT current_setting('wal_level')")
    return [] if level == "logical" else [f"603107: wal_level is {level} on the source server; it must be logical."]


def replication_slots(context: Context) -> list[str]:
    if not context.order.online:
        return []
    limit, used, senders = context.ask(
        context.source,
        "SELECT current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_replication_slots),"
        " current_setting('max_wal_senders')::int",
    )[0]
    found = []
    if limit - used < len(context.databases):
        found.append(
            f"603105: The source server has {limit - used} free replication slots for {len(context.databases)} "
            "databases; raise max_replication_slots or drop inactive slots."
        )
    if senders < limit:
        found.append(f"603106: On the source max_wal_senders ({senders}) is below max_replication_slots ({limit}).")
    return found


def oid_tables(context: DatabaseContext) -> list[str]:
    if context.source.info.server_version >= 120000:
        return []
    names = context.names(
        "SELECT oid::regclass::text FROM pg_class WHERE relhasoids AND relkind = 'r' AND oid >= 16384"
    )
    return _about("603404", context, "has tables WITH OIDS", names)


def casts(context: DatabaseContext) -> list[str]:
    names = context.names(
        "SELECT format('%%s -> %%s', castsource::regtype, casttarget::regtype) FROM pg_cast c WHERE oid >= 16384"
        " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid"
        " AND d.deptype = 'e')",
    )
    return _about("603409", context, "has casts defined by users", names)


def catalog_grants(context: DatabaseContext) -> list[str]:
    names = context.names(
        "SELECT DISTINCT c.relname FROM pg_class c, aclexplode(c.relacl) a"
        " WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname = ANY(%s) AND a.grantee <> c.relowner"
        " AND NOT EXISTS (SELECT FROM pg_init_privs p, aclexplode(p.initprivs) i"
        " WHERE p.classoid = 'pg_class'::regclass AND p.objoid = c.oid AND i.grantee = a.grantee"
        " AND i.privilege_type = a.privilege_type) ORDER BY 1",
        list(GUARDED_CATALOGS),
    )
    return _about("603410", context, "grants privileges on tables of pg_catalog", names)


def languages(context: DatabaseContext) -> list[str]:
    names = context.names("SELECT lanname FROM pg_language WHERE lanname <> ALL(%s) ORDER BY 1", list(LANGUAGES))
    return _about("603413", context, "uses unsupported procedural languages", names)


def extensions(context: DatabaseContext) -> list[str]:
    rows = context.source.execute(
        "SELECT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname <> 'plpgsql' ORDER BY 1"
    ).fetchall()
    names = [row[0] for row in rows]
    allowed = _listed(context.server.target_parameter("azure.extensions"))
    loaded = _listed(context.server.target_parameter("shared_preload_libraries"))
    unsupported = [name for name in names if name in UNSUPPORTED_EXTENSIONS]
    refused = [name for name in names if name.lower() not in allowed and name not in unsupported]
    not_loaded = [name for name in names if name in PRELOADED and name not in refused and PRELOADED[name] not in loaded]
    misplaced = [
        name for name, schema in rows if schema in ("pg_catalog", "information_schema") and name not in PRELOADED
    ]
    return [
        *_about("603405", context, "uses extensions that cannot be migrated", unsupported),
        *_about("603108", context, "uses extensions that azure.extensions does not allow on the target", refused),
        *_about("603109", context, "needs libraries that shared_preload_libraries lacks on the target", not_loaded),
        *_about("603407", context, "has extensions in a system schema", misplaced),
    ]


def _listed(value: str | None) -> set[str]:
    return {item.strip().lower() for item in (value or "").split(",") if item.strip()}


def database_collation(context: DatabaseContext) -> list[str]:
    collate, ctype = context.source.execute(
        "SELECT datcollate, datctype FROM pg_database WHERE datname = current_database()"
    ).fetchall()[0]
    with context.server.target.service("postgres") as target:
        known = {
            row[0].lower().replace("-", "")
            for row in target.execute(
                "SELECT collcollate FROM pg_collation WHERE collcollate IS NOT NULL"
                " UNION SELECT datcollate FROM pg_database"
            )
        }
    missing = sorted({name for name in (collate, ctype) if name.lower().replace("-", "") not in known})
    return _about("603401", context, "has a collation that the target lacks", missing)


def user_collations(context: DatabaseContext) -> list[str]:
    names = context.names(
        "SELECT oid::regcollation::text FROM pg_collation"
        " WHERE oid >= 16384 AND collnamespace <> 'pg_catalog'::regnamespace"
    )
    return _about("603403", context, "has collations defined by users", names)


def column_collations(context: DatabaseContext) -> list[str]:
    used = context.names(
        "SELECT DISTINCT c.collname FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation"
        " WHERE a.attrelid >= 16384 AND c.collnamespace = 'pg_catalog'::regnamespace"
        " AND c.collname NOT IN ('default', 'C', 'POSIX')"
    )
    with context.server.target.service("postgres") as target:
        known = {row[0] for row in target.execute("SELECT collname FROM pg_collation")}
    return _about("603402", context, "has columns with collations that the target lacks", sorted(set(used) - known))


def _about(code: str, context: DatabaseContext, what: str, names: list[str]) -> list[str]:
    return [f"{code}: Database {context.name} {what}: {', '.join(names)}."] if names else []


USERS: tuple[Rule, ...] = (
    missing_databases,
    databases_in_the_way,
    replication_right,
    owns_databases,
    target_user,
    droppable,
)
VERSIONS: tuple[Rule, ...] = (versions,)
PARAMETERS: tuple[Rule, ...] = (wal_level, replication_slots)
SCHEMA: tuple[DatabaseRule, ...] = (oid_tables, casts, catalog_grants, languages)
EXTENSIONS: tuple[DatabaseRule, ...] = (extensions,)
COLLATIONS: tuple[DatabaseRule, ...] = (database_collation, user_collations, column_collations)
