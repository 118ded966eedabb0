# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of a server about its roles and privileges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._postgres import identifier
from .._validation.catalog import USER_SCHEMA, not_of_extension
from .._validation.privileges import QUIET

# What no role can be called, so that no name is taken for one of these.
PUBLIC = "\0public"
OWNER = "\0owner"
ENTRA = re.compile(r"^azure_ad_")
BOOTSTRAP = 10

# What is read or written otherwise by some versions, newest first.
PIECES: dict[str, tuple[tuple[int, str], ...]] = {
    # Before 16 a member inherits as he does from all his groups, and may always become the group.
    "membership_options": (
        (160000, "bool_or(a.inherit_option), bool_or(a.set_option)"),
        (0, "bool_or(m.rolinherit), true"),
    ),
    # From 16 on who makes a role becomes a member of it by himself, with nothing but the right to pass it on.
    "membership_where": (
        (160000, "NOT (a.grantor = 10 AND a.admin_option AND NOT a.inherit_option AND NOT a.set_option)"),
        (0, "true"),
    ),
    "membership_with": ((160000, "WITH ADMIN {admin}, INHERIT {inherit}, SET {set}"), (0, "{admin_option}")),
    "may_become": ((160000, "SET"), (0, "MEMBER")),
    "join": ((160000, " WITH INHERIT TRUE, SET TRUE"), (0, "")),
    "routine": ((110000, "ROUTINE"), (0, "FUNCTION")),
    "current_setting": ((90600, "current_setting('{name}', true)"), (0, "NULL::text")),
    "parameter_grants": (
        (
            150000,
            "SELECT DISTINCT p.parname::text, pg_get_userbyid(g.grantee)::text FROM pg_parameter_acl p, "
            "aclexplode(p.paracl) g WHERE g.grantee NOT IN (0, 10)",
        ),
        (0, "SELECT NULL::text, NULL::text WHERE false"),
    ),
}


def piece(name: str, version: int) -> str:
    return next(text for since, text in PIECES[name] if version >= since)


@dataclass(frozen=True)
class Role:
    """A role with what can be said of it in CREATE ROLE; `hash` is None where there is none or nobody may read it."""

    name: str
    bootstrap: bool = False
    superuser: bool = False
    inherit: bool = True
    createrole: bool = False
    createdb: bool = False
    login: bool = False
    replication: bool = False
    bypassrls: bool = False
    connection_limit: int = -1
    valid_until: str | None = None
    comment: str | None = None
    hash: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, row: Sequence[Any], hashed: str | None) -> Role:
        return replace(cls(*row), hash=hashed)


@dataclass(frozen=True)
class Membership:
    admin: bool = False
    inherit: bool = True
    set: bool = True


@dataclass
class Roles:
    """All that one server knows about roles, apart from what they may do in its databases."""

    version: int
    user: str
    users: frozenset[str]
    """Names that the user signed in with goes by: his login and the role that he has taken."""
    superuser: bool
    password_methods: frozenset[str]
    hashes_known: bool
    roles: dict[str, Role] = field(default_factory=dict)
    members: dict[tuple[str, str], Membership] = field(default_factory=dict)
    """By group and member."""
    settings: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """By role, database ("" for all) and parameter."""
    databases: frozenset[str] = frozenset()
    parameter_grants: list[tuple[str, str]] = field(default_factory=list)


ROLES = """
SELECT rolname::text, oid = 10, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
       rolbypassrls, rolconnlimit, rolvaliduntil::text, shobj_description(oid, 'pg_authid')
  FROM pg_roles ORDER BY rolname"""
HASHES_KNOWN = "SELECT has_column_privilege('pg_authid', 'rolpassword', 'SELECT')"
HASHES = "SELECT rolname::text, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL"
MEMBERS = """
SELECT g.rolname::text, m.rolname::text, bool_or(a.admin_option), {membership_options}
  FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
 WHERE {membership_where} GROUP BY g.rolname, m.rolname"""
SETTINGS = """
SELECT r.rolname::text, coalesce(d.datname::text, ''), unnest(s.setconfig)
  FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase"""
USER = """
SELECT session_user::text, current_user::text, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       lower(current_setting('password_encryption')), lower({accepted})"""
DATABASES = "SELECT datname::text FROM pg_database WHERE datallowconn AND NOT datistemplate"


def _effective(acl: str, default: str | None, owner: str) -> str:
    value = f"coalesce({acl}, acldefault('{default}', {owner}))" if default else acl
    return _exploded(value, owner)


def _exploded(acl: str, owner: str) -> str:
    return (
        f"(SELECT json_agg(json_build_array(CASE g.grantee WHEN 0 THEN 0 WHEN {owner} THEN 1 ELSE 2 END, "
        f"pg_get_userbyid(g.grantee)::text, g.privilege_type, g.is_grantable)) FROM aclexplode({acl}) g)"
    )


@dataclass(frozen=True)
class Kind:
    """How one kind of object is read, and what GRANT and ALTER call it; without `alter` its owner is not changed."""

    name: str
    grant: str
    alter: str | None
    default: str | None
    key: str
    sql: str
    owner: str
    acl: str
    tables: str
    inside: str = "NULL"
    follows: str = "NULL::text"

    def select(self) -> str:
        return (
            f"SELECT '{self.name}', {self.key}, {self.sql}, pg_get_userbyid({self.owner})::text, "
            f"{self.follows}, {self.inside}, {self.acl} IS NULL, {_effective(self.acl, self.default, self.owner)} "
            f"FROM {self.tables}"
        )


_CLASS = f"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {USER_SCHEMA} AND c.relpersistence <> 't'"
_CLASS += f" AND {not_of_extension('pg_class', 'c.oid')}"
_IN = "n.nspname || '.' || "
_SCHEMA = "quote_ident(n.nspname)"
# A sequence that a column owns goes where its table goes.
_TABLE_OF = (
    "(SELECT d.refobjid::regclass::text FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid "
    "AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1)"
)


def _relations(name: str, alter: str, kinds: str, grant: str = "TABLE", **more: str) -> Kind:
    default = "s" if grant == "SEQUENCE" else "r"
    tables = f"{_CLASS} AND c.relkind IN ({kinds})"
    what = ("c.oid::regclass::text", "c.relowner", "c.relacl", tables)
    return Kind(name, grant, alter, default, f"{_IN}c.relname", *what, inside=_SCHEMA, **more)


KINDS = (
    _relations("table", "TABLE", "'r', 'p'"),
    _relations("view", "VIEW", "'v'"),
    _relations("materialized view", "MATERIALIZED VIEW", "'m'"),
    _relations("foreign table", "FOREIGN TABLE", "'f'"),
    _relations("sequence", "SEQUENCE", "'S'", "SEQUENCE", follows=_TABLE_OF),
    Kind(
        *("column", "TABLE", None, None),
        key=f"{_IN}c.relname || '.' || a.attname",
        sql="c.oid::regclass::text",
        owner="c.relowner",
        acl="a.attacl",
        tables=_CLASS.replace(" WHERE ", " JOIN pg_attribute a ON a.attrelid = c.oid WHERE ", 1)
        + " AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attacl IS NOT NULL AND NOT a.attisdropped",
        inside="quote_ident(a.attname)",
        follows="c.oid::regclass::text",
    ),
    Kind(
        *("function", "{routine}", "{routine}", "f"),
        key=f"{_IN}p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')'",
        sql="p.oid::regprocedure::text",
        owner="p.proowner",
        acl="p.proacl",
        tables=f"pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {USER_SCHEMA} "
        f"AND {not_of_extension('pg_proc', 'p.oid', QUIET)}",
        inside=_SCHEMA,
    ),
    Kind(
        *("type", "TYPE", "TYPE", "T"),
        key=f"{_IN}t.typname",
        sql="t.oid::regtype::text",
        owner="t.typowner",
        acl="t.typacl",
        tables="pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid "
        f"WHERE {USER_SCHEMA} AND (t.typtype IN ('d', 'e', 'r') OR t.typtype = 'c' AND c.relkind = 'c') "
        f"AND {not_of_extension('pg_type', 't.oid')}",
        inside=_SCHEMA,
    ),
    Kind(
        *("schema", "SCHEMA", "SCHEMA", "n", "n.nspname::text", "quote_ident(n.nspname)", "n.nspowner", "n.nspacl"),
        tables=f"pg_namespace n WHERE {USER_SCHEMA} AND {not_of_extension('pg_namespace', 'n.oid')}",
    ),
    Kind(
        *("foreign server", "FOREIGN SERVER", "SERVER", "S", "s.srvname::text", "quote_ident(s.srvname)"),
        *("s.srvowner", "s.srvacl", "pg_foreign_server s"),
    ),
    Kind(
        *("foreign data wrapper", "FOREIGN DATA WRAPPER", None, "F", "f.fdwname::text", "quote_ident(f.fdwname)"),
        *("f.fdwowner", "f.fdwacl", "pg_foreign_data_wrapper f"),
    ),
    Kind(
        *("language", "LANGUAGE", None, "l", "l.lanname::text", "quote_ident(l.lanname)", "l.lanowner", "l.lanacl"),
        "pg_language l WHERE l.lanpltrusted",
    ),
    Kind(
        *("database", "DATABASE", "DATABASE", "d", "d.datname::text", "quote_ident(d.datname)", "d.datdba", "d.datacl"),
        "pg_database d WHERE d.datname = current_database()",
    ),
)
STATISTICS = Kind(
    *("statistics", "STATISTICS", "STATISTICS", None),
    key=f"{_IN}x.stxname",
    sql="quote_ident(n.nspname) || '.' || quote_ident(x.stxname)",
    owner="x.stxowner",
    acl="NULL::aclitem[]",
    tables=f"pg_statistic_ext x JOIN pg_namespace n ON n.oid = x.stxnamespace WHERE {USER_SCHEMA}",
    inside=_SCHEMA,
)
LARGE_OBJECTS = Kind(
    *("large object", "LARGE OBJECT", "LARGE OBJECT", "L", "m.oid::text", "m.oid::text", "m.lomowner", "m.lomacl"),
    "pg_largeobject_metadata m",
)
BY_NAME = {kind.name: kind for kind in (*KINDS, STATISTICS, LARGE_OBJECTS)}
STATISTICS_SINCE = 100000


def objects_sql(version: int) -> str:
    kinds = (*KINDS, STATISTICS) if version >= STATISTICS_SINCE else KINDS
    return " UNION ALL ".join(kind.select() for kind in kinds)


def large_objects_sql(after: int, many: int) -> str:
    return f"{LARGE_OBJECTS.select()} WHERE m.oid > {after}::oid ORDER BY m.oid LIMIT {many}"


def large_objects_between_sql(after: int, last: int) -> str:
    return f"{LARGE_OBJECTS.select()} WHERE m.oid > {after}::oid AND m.oid <= {last}::oid"


# Grants to other roles on what belongs to PostgreSQL itself: no migration service and no dump carries them.
SYSTEM_GRANTS = """
SELECT x.kind, x.name, pg_get_userbyid(g.grantee)::text, string_agg(DISTINCT g.privilege_type, ', ')
  FROM (SELECT 'table' AS kind, n.nspname || '.' || c.relname AS name, c.relowner AS owner, c.relacl AS acl
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname IN ('pg_catalog', 'information_schema')
        UNION ALL
        SELECT 'function', p.oid::regprocedure::text, p.proowner, p.proacl
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE n.nspname IN ('pg_catalog', 'information_schema')) x, aclexplode(x.acl) g
 WHERE g.grantee NOT IN (0, x.owner) AND pg_get_userbyid(g.grantee) !~ '^(pg_|azure)'
 GROUP BY 1, 2, 3"""

DEFAULT_WORDS = {
    "r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS", "L": "LARGE OBJECTS",
}  # fmt: skip
DEFAULTS = f"""
SELECT pg_get_userbyid(d.defaclrole)::text, coalesce(n.nspname::text, ''), d.defaclobjtype::text,
       {_exploded("d.defaclacl", "d.defaclrole")},
       CASE WHEN d.defaclnamespace = 0 THEN {_exploded("b.acl", "d.defaclrole")} END
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace,
       LATERAL (SELECT acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)) b(acl)
"""

Grants = Mapping[tuple[str, str], bool]


@dataclass(frozen=True)
class Thing:
    """An object of a database, or with the kind "column" a part of one, with who owns it and who may do what."""

    kind: str
    key: str
    sql: str
    owner: str
    follows: str | None
    """The table whose owner its own is: that of a column, or of the column that owns a sequence."""
    inside: str | None
    """The schema that it is in; of a column, the column, while `sql` is the table."""
    untouched: bool
    grants: Grants

    @property
    def on(self) -> str:
        return f"{self.kind} {self.key}"


def grants_of(rows: Iterable[Sequence[Any]] | None) -> dict[tuple[str, str], bool]:
    """Whether each privilege of each grantee can be passed on; the same one granted by several is one."""
    found: dict[tuple[str, str], bool] = {}
    for code, name, privilege, option in rows or ():
        grantee = (PUBLIC, OWNER, str(name))[code]
        found[grantee, privilege] = bool(option) or found.get((grantee, privilege), False)
    return found


def thing(row: Sequence[Any]) -> Thing:
    kind, key, sql, owner, follows, inside, untouched, grants = row
    return Thing(kind, key, sql, owner, follows, inside, untouched, grants_of(grants))


@dataclass(frozen=True)
class Defaults:
    """Default privileges of one role for one kind of object, in one schema ("") or everywhere."""

    grants: Grants
    builtin: Grants


def quoted_grantee(name: str) -> str:
    return "PUBLIC" if name == PUBLIC else identifier(name)
