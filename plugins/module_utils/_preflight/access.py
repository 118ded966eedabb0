# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may do what on both servers, and which databases there are."""

from __future__ import annotations

from collections.abc import Iterator

from .._copy.catalog import UNREADABLE_OBJECT
from .._migration.states import MAX_DATABASES
from .rules import ADMIN_GROUP, DATABASE, PLAN, SERVER, SOURCE, TARGET, Hit, Look, about, listed, rule
from .schema import OF_NO_EXTENSION, USER_SCHEMA
from .versions import piece

ENTRA_GROUPS = ("azure_ad_user", "azure_ad_mfa")
# Roles that providers make superusers of, which nobody migrates.
PROVIDER_SUPERUSERS = ("azure_superuser", "azuresu", "rdsadmin", "cloudsqladmin", "cloudsqlsuperuser", "alloydbadmin")

ATTRIBUTES = """
SELECT rolcreaterole OR rolsuper, rolcreatedb OR rolsuper, rolreplication OR rolsuper,
       EXISTS (SELECT 1 FROM pg_roles g WHERE g.rolname = ANY (%s) AND pg_has_role(session_user, g.oid, 'MEMBER'))
  FROM pg_roles WHERE rolname = current_user"""


@rule(
    SOURCE,
    PLAN,
    "blocks",
    "more than 8 databases in one migration",
    "Split them over several migrations of up to 8, one after the other.",
)
def too_many_databases(look: Look) -> Iterator[Hit]:
    count = len(look.job.databases)
    if count > MAX_DATABASES:
        yield Hit("databases", f"{count} databases are named; the service takes up to {MAX_DATABASES} at once.")


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "a named database is not at the source",
    "Check the names of the databases; they are case-sensitive.",
    code=603102,
)
def database_missing(look: Look) -> Iterator[Hit]:
    for name in look.job.databases:
        if name not in look.here.databases:
            yield Hit(name, f"The source has no database {name}.")


@rule(
    TARGET,
    SERVER,
    "blocks",
    "a named database is at the target already, and overwriting is not allowed",
    "Drop it, or set overwrite to true, which loses what is in it.",
    code=603101,
)
def database_in_target(look: Look) -> Iterator[Hit]:
    for name in look.job.databases:
        if name in look.here.databases and not look.job.overwrite:
            yield Hit(name, f"The target has a database {name} already, and overwriting it is not allowed.")


@rule(
    TARGET,
    SERVER,
    "blocks",
    "the user can not drop a database that is to be overwritten",
    "Make the migrating user the owner of the database, or drop it yourself.",
    code=603117,
)
def cannot_drop(look: Look) -> Iterator[Hit]:
    names = look.names(
        "SELECT datname::text FROM pg_database WHERE datname = ANY (%s) "
        "AND NOT pg_has_role(current_user, datdba, 'MEMBER') ORDER BY 1",
        list(look.job.databases),
    )
    for name in names if look.job.overwrite else []:
        yield Hit(name, f"The user {look.here.user} does not own the target's database {name} and can not drop it.")


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "the user does not own a database",
    "ALTER DATABASE ... OWNER TO the user, or make it a member of the owner.",
    code=603110,
)
def not_owner(look: Look) -> Iterator[Hit]:
    rows = look.ask(
        "SELECT datname::text, pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = ANY (%s) "
        "AND datname <> 'postgres' AND NOT pg_has_role(current_user, datdba, 'MEMBER') ORDER BY 1",
        list(look.job.databases),
    )
    for name, owner in rows:
        yield Hit(name, f"The user {look.here.user} is not the owner of the database {name}, {owner} is.")


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "the user may not replicate",
    "ALTER ROLE ... REPLICATION (on Amazon RDS: GRANT rds_replication).",
    code=603104,
    mode="online",
)
def no_replication(look: Look) -> Iterator[Hit]:
    (_role, _db, replicates, rds) = look.ask(ATTRIBUTES, ["rds_replication"])[0]
    if not (replicates or rds):
        yield Hit(look.here.user, f"The user {look.here.user} lacks the attribute REPLICATION.")


@rule(
    TARGET,
    SERVER,
    "blocks",
    "the user is not a member of azure_pg_admin",
    "GRANT azure_pg_admin TO the user, or migrate as the server's administrator.",
    code=603115,
)
def not_admin(look: Look) -> Iterator[Hit]:
    # A server that has no such role is none of Azure's.
    if ADMIN_GROUP in look.here.roles and not look.here.superuser and not look.ask(ATTRIBUTES, [ADMIN_GROUP])[0][3]:
        yield Hit(look.here.user, f"The user {look.here.user} is not a member of {ADMIN_GROUP}.")


@rule(
    TARGET,
    SERVER,
    "blocks",
    "the user may not make roles or databases",
    "ALTER ROLE ... CREATEROLE CREATEDB.",
    code=603116,
)
def no_createrole(look: Look) -> Iterator[Hit]:
    (roles, databases, _replication, _group) = look.ask(ATTRIBUTES, [])[0]
    missing = [name for name, there in (("CREATEROLE", roles), ("CREATEDB", databases)) if not there]
    if missing:
        yield Hit(look.here.user, f"The user {look.here.user} lacks {' and '.join(missing)}.")


@rule(
    TARGET,
    SERVER,
    "blocks",
    "the user can not end other sessions",
    "GRANT pg_signal_backend TO the user.",
    code=603111,
    can_apply="signal_backend",
)
def no_signal_backend(look: Look) -> Iterator[Hit]:
    if not look.here.superuser and not look.ask(ATTRIBUTES, ["pg_signal_backend"])[0][3]:
        yield Hit(look.here.user, f"The user {look.here.user} is not a member of pg_signal_backend.")


@rule(
    SOURCE,
    SERVER,
    "warns",
    "the user can not end other sessions, which a cutover does",
    "GRANT pg_signal_backend TO the user at the source, or stop all programs before the cutover.",
    mode="online",
)
def no_signal_backend_source(look: Look) -> Iterator[Hit]:
    if not look.here.superuser and not look.ask(ATTRIBUTES, ["pg_signal_backend"])[0][3]:
        yield Hit(look.here.user, f"The user {look.here.user} is not a member of pg_signal_backend at the source.")


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "an Entra role of the source is not at the target",
    "Make it at the target with pgaadauth_create_principal before the migration.",
    code=603103,
    both=True,
)
def entra_role_missing(look: Look) -> Iterator[Hit]:
    names = look.names(
        "SELECT r.rolname::text FROM pg_roles r WHERE EXISTS (SELECT 1 FROM pg_auth_members m JOIN pg_roles g ON "
        "g.oid = m.roleid WHERE m.member = r.oid AND g.rolname = ANY (%s)) OR EXISTS (SELECT 1 FROM pg_shseclabel l "
        "WHERE l.objoid = r.oid AND l.classoid = 'pg_authid'::regclass AND l.provider = 'pgaadauth') ORDER BY 1",
        list(ENTRA_GROUPS),
    )
    for name in names:
        if name not in look.target.roles:
            yield Hit(name, f"The Entra role {name} of the source is not at the target.")


@rule(
    SOURCE,
    SERVER,
    "warns",
    "superuser roles, which the target can not have",
    "Give them azure_pg_admin at the target instead, or leave them out.",
)
def superuser_roles(look: Look) -> Iterator[Hit]:
    names = look.names(
        "SELECT rolname::text FROM pg_roles WHERE rolsuper AND oid <> 10 AND rolname <> ALL (%s) ORDER BY 1",
        list(PROVIDER_SUPERUSERS),
    )
    yield from about(names, "role is a superuser", "roles are superusers", "and can not be one at the target")


@rule(
    SOURCE,
    DATABASE,
    "warns",
    "objects that a superuser owns",
    "Expect them to belong to the migrating user at the target, or change their owner first.",
)
def superuser_objects(look: Look) -> Iterator[Hit]:
    rows = look.ask(
        "SELECT format('%I.%I', n.nspname, c.relname), r.rolname::text FROM pg_class c JOIN pg_namespace n "
        "ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolsuper AND c.relkind IN "
        f"('r', 'p', 'v', 'm', 'S', 'f') AND {USER_SCHEMA} AND {OF_NO_EXTENSION} "
        "AND NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid "
        "AND x.deptype IN ('a', 'i') AND c.relkind = 'S') ORDER BY 1"
    )
    owners = sorted({owner for _name, owner in rows})
    names = [name for name, _owner in rows]
    yield from about(names, "object belongs", "objects belong", f"to a superuser ({listed(owners)})")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a table, sequence or large object that the user can not read",
    "GRANT SELECT on it, and USAGE on its schema, to the user, or migrate as its owner.",
)
def unreadable(look: Look) -> Iterator[Hit]:
    names = look.names(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relkind IN ('r', 'p', 'm', 'S') AND {USER_SCHEMA} AND {OF_NO_EXTENSION} "
        "AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) "
        f"UNION ALL SELECT 'large object ' || m.oid FROM pg_largeobject_metadata m WHERE {UNREADABLE_OBJECT} ORDER BY 1"
    )
    for name in names:
        yield Hit(name, f"The user {look.here.user} can not read {name}.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "row security that hides rows from the user",
    "ALTER ROLE ... BYPASSRLS, or migrate as the owner of the table (without FORCE ROW LEVEL SECURITY).",
)
def row_security(look: Look) -> Iterator[Hit]:
    bypass = piece("bypass_rls", look.version)
    names = look.names(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relrowsecurity AND (c.relforcerowsecurity OR NOT pg_has_role(current_user, c.relowner, 'MEMBER')) "
        f"AND NOT (SELECT rolsuper OR {bypass} FROM pg_roles WHERE rolname = current_user) ORDER BY 1"
    )
    for name in names:
        yield Hit(name, f"Row security of {name} applies to the user {look.here.user}, whose copy would lack rows.")
