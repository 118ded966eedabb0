# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What extensions of the source need at the target."""

from __future__ import annotations

from collections.abc import Iterator

from .._server.parameters import items
from .rules import DATABASE, SERVER, SOURCE, TARGET, Hit, Look, rule

# The service refuses databases with these.
UNSUPPORTED = frozenset({"postgis_topology", "postgis_tiger_geocoder", "postgres_fdw", "pg_partman", "timescaledb"})
# Extensions whose library the target has to load at its start.
LIBRARIES = {
    "pg_cron": "pg_cron",
    "pg_hint_plan": "pg_hint_plan",
    "pg_partman": "pg_partman_bgw",
    "pg_prewarm": "pg_prewarm",
    "pg_stat_statements": "pg_stat_statements",
    "pgaudit": "pgaudit",
    "pglogical": "pglogical",
    "wal2json": "wal2json",
}
# What every server has, and what the services of Azure install for themselves.
OWN = frozenset({"plpgsql", "azure", "pgaadauth"})
# What can be nowhere else than in pg_catalog: the control files of these say so.
PINNED = frozenset({"adminpack", "citus", "pg_cron", "plperl", "plperlu", "plpython3u", "pltcl", "pltclu", "plv8"})
INSTALLED = "SELECT extname::text FROM pg_extension ORDER BY 1"
ALLOW_LIST, LIBRARY_LIST = "azure.extensions", "shared_preload_libraries"


def installed(look: Look) -> list[str]:
    """The extensions that the database would bring, without those that are never carried."""
    return [name for name in look.names(INSTALLED) if name not in OWN]


def movable(look: Look) -> list[str]:
    """Those of them that the service carries and the target's version has."""
    there = look.target.extensions
    return [name for name in installed(look) if name not in UNSUPPORTED and (name in there or not there)]


def lacking(configured: str | None, wanted: list[str]) -> list[str]:
    """Those that a list of the target does not hold; none where the target has no such list."""
    there = {item.lower() for item in items(configured or "")}
    return [] if configured is None else [name for name in wanted if name.lower() not in there]


def not_allowed(look: Look) -> list[str]:
    return lacking(look.target_parameter(ALLOW_LIST), movable(look))


def not_loaded(look: Look) -> list[str]:
    wanted = [LIBRARIES[name] for name in movable(look) if name in LIBRARIES]
    return lacking(look.target_parameter(LIBRARY_LIST), wanted)


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "an extension that azure.extensions does not allow at the target",
    "Add it to azure.extensions of the target.",
    code=603108,
    can_apply="allow_extensions",
    both=True,
)
def extension_not_allowed(look: Look) -> Iterator[Hit]:
    for name in not_allowed(look):
        yield Hit(name, f"{look.database} uses the extension {name}, which azure.extensions of the target lacks.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "an extension whose library the target does not load",
    "Add the library to shared_preload_libraries of the target and restart it.",
    code=603109,
    can_apply="preload_libraries",
    both=True,
)
def library_not_loaded(look: Look) -> Iterator[Hit]:
    for name in not_loaded(look):
        yield Hit(name, f"{look.database} needs the library {name}, which shared_preload_libraries lacks.")


@rule(
    TARGET,
    SERVER,
    "informs",
    "shared_preload_libraries of the target can not be seen",
    "GRANT pg_read_all_settings TO the user, or name the target's resource so that Azure can be asked.",
)
def hidden_libraries(look: Look) -> Iterator[Hit]:
    if look.target_parameter(LIBRARY_LIST) is None:
        text = f"The user {look.here.user} may not see {LIBRARY_LIST}: whether libraries are missing is not known."
        yield Hit(LIBRARY_LIST, text)


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "an extension that the service does not migrate",
    "Drop it before the migration, or copy the database with pg_dump and pg_restore.",
    code=603405,
)
def extension_unsupported(look: Look) -> Iterator[Hit]:
    for name in installed(look):
        if name in UNSUPPORTED:
            more = "; Microsoft's support enables it on request" if name == "timescaledb" else ""
            yield Hit(name, f"{look.database} uses the extension {name}, which the service does not migrate{more}.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a PostGIS that is newer than the target's, or too old to be upgraded in passing",
    "Bring PostGIS at the source to the target's major version: ALTER EXTENSION postgis UPDATE.",
    code=603406,
    both=True,
)
def postgis_version(look: Look) -> Iterator[Hit]:
    for (version,) in look.ask("SELECT extversion FROM pg_extension WHERE extname = 'postgis'"):
        there = look.target.extensions.get("postgis")
        if there and (_numbers(version)[0] != _numbers(there)[0] or _numbers(version) > _numbers(there)):
            yield Hit("postgis", f"{look.database} has PostGIS {version}; the target has {there}.")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) or (0,)


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "an extension that is installed in a system schema",
    "Drop it and create it again in another schema: CREATE EXTENSION ... SCHEMA public.",
    code=603407,
)
def extension_schema(look: Look) -> Iterator[Hit]:
    rows = look.ask(
        "SELECT e.extname::text, n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
        "WHERE n.nspname IN ('pg_catalog', 'information_schema') ORDER BY 1"
    )
    for name, schema in rows:
        if name not in OWN | PINNED:
            yield Hit(name, f"The extension {name} of {look.database} is installed in the schema {schema}.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "an extension that the target's version does not have",
    "Drop it before the migration, or take a target of another version.",
    code=603408,
    both=True,
)
def extension_not_available(look: Look) -> Iterator[Hit]:
    for name in installed(look):
        if look.target.extensions and name not in look.target.extensions and name not in UNSUPPORTED:
            yield Hit(name, f"PostgreSQL {look.target.major} at the target has no extension {name}.")
