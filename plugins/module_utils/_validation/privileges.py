# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether owners and privileges are alike. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .catalog import USER_SCHEMA, not_of_extension

PUBLIC = "PUBLIC"
OWNER = "the owner"
DEFAULTS = "default privileges"
LOOSE = frozenset({"column", DEFAULTS})
# What belongs to an extension, or was made along with something else.
QUIET = "'e', 'i'"
# Roles that a platform makes on its own servers: nobody can grant or own as they do on another one.
PLATFORM = re.compile(
    r"^(pg_|azure_|azuresu$|rds_|rds(admin|repladmin|proxyadmin|topmgr|superuser|writeforwarduser)$|cloudsql(admin|agent|"
    r"superuser|replica|importexport|observabilityadmin|connpooladmin|iam(user|serviceaccount|group\w*))$)"
)
# The schema public belongs to the database's owner since PostgreSQL 15, and not everybody may create in it.
PUBLIC_SCHEMA_CHANGED = 150000
MAINTAIN_SINCE = 170000

Grant = tuple[str, str, bool]


@dataclass(frozen=True)
class Access:
    """One object's owner, and who may do what with it; without an owner the entry is about something of an owner's."""

    kind: str
    name: str
    owner: str | None
    grants: frozenset[Grant]


@dataclass(frozen=True)
class Side:
    """What is known of one server for comparing access."""

    version: int
    user: str
    roles: Mapping[str, bool]
    """Names of all roles, with whether each is a superuser."""


def _grants(acl: str, default: str | None, owner: str) -> str:
    value = f"coalesce({acl}, acldefault('{default}', {owner}))" if default else acl
    grantee = f"CASE g.grantee WHEN 0 THEN '{PUBLIC}' WHEN {owner} THEN '{OWNER}' ELSE pg_get_userbyid(g.grantee) END"
    return (
        f"(SELECT json_agg(json_build_array({grantee}, g.privilege_type, g.is_grantable)) FROM aclexplode({value}) g)"
    )


def _owned(kind: str, schema: str, name: str, owner: str, acl: str, default: str | None, tables: str) -> str:
    # Rows about something of an owner's, such as a column, have no owner of their own.
    shown = f"pg_get_userbyid({owner})::text" if default or kind == f"'{DEFAULTS}'" else "NULL"
    return f"SELECT {kind}, {schema}, {name}, {shown}, {_grants(acl, default, owner)} FROM {tables}"


def access_sql() -> str:
    """(kind, schema, name, owner, grants) of all that has an owner in the database, but for large objects."""
    usable = f"c.relpersistence <> 't' AND {USER_SCHEMA} AND {not_of_extension('pg_class', 'c.oid')}"
    classes = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    schema, name = "n.nspname::text", "n.nspname || '.' || c.relname"
    kinds = "CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' "
    tables = f"c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {usable}"
    columns = f"{classes} JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attacl IS NOT NULL AND NOT a.attisdropped"
    routine = "n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')'"
    functions = f"pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {USER_SCHEMA}"
    types = "pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid"
    types += f" WHERE {USER_SCHEMA} AND (t.typtype IN ('d', 'e', 'r') OR t.typtype = 'c' AND c.relkind = 'c')"
    schemas = f"pg_namespace n WHERE {USER_SCHEMA} AND {not_of_extension('pg_namespace', 'n.oid')}"
    objects = "CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' "
    objects += "WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE d.defaclobjtype::text END"
    defaults = "pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace"
    functions += f" AND {not_of_extension('pg_proc', 'p.oid', QUIET)}"
    types += f" AND {not_of_extension('pg_type', 't.oid')}"
    parts = (
        (f"{kinds} ELSE 'table' END", schema, name, "c.relowner", "c.relacl", "r", f"{classes} WHERE {tables}"),
        ("'sequence'", schema, name, "c.relowner", "c.relacl", "s", f"{classes} WHERE c.relkind = 'S' AND {usable}"),
        ("'column'", schema, f"{name} || '.' || a.attname", "c.relowner", "a.attacl", None, f"{columns} AND {tables}"),
        ("'function'", schema, routine, "p.proowner", "p.proacl", "f", functions),
        ("'type'", schema, "n.nspname || '.' || t.typname", "t.typowner", "t.typacl", "T", types),
        ("'schema'", schema, schema, "n.nspowner", "n.nspacl", "n", schemas),
        ("'foreign server'", "''", "s.srvname::text", "s.srvowner", "s.srvacl", "S", "pg_foreign_server s"),
        (
            f"'{DEFAULTS}'",
            "coalesce(n.nspname::text, '')",
            f"{objects} || coalesce(' in ' || n.nspname, '')",
            *("d.defaclrole", "d.defaclacl", None, defaults),
        ),
    )
    return " UNION ALL ".join(_owned(*part) for part in parts)


ROLES = "SELECT rolname::text, rolsuper FROM pg_roles"


def large_objects_sql(after: int, many: int) -> str:
    grants = _grants("m.lomacl", "L", "m.lomowner")
    return (
        f"SELECT m.oid::bigint, pg_get_userbyid(m.lomowner)::text, {grants} FROM pg_largeobject_metadata m "
        f"WHERE m.oid > {after}::oid ORDER BY m.oid LIMIT {many}"
    )


def grants_of(rows: Iterable[Sequence[Any]] | None) -> frozenset[Grant]:
    return frozenset((str(grantee), str(privilege), bool(option)) for grantee, privilege, option in rows or ())


@dataclass
class Judge:
    """Compares owners and grants, knowing which names differ because the servers have different administrators."""

    source: Side
    target: Side
    mapping: Mapping[str, str]
    left_out: Counter[str] = field(default_factory=Counter)
    missing_roles: Counter[str] = field(default_factory=Counter)

    def role(self, name: str) -> str:
        """What a role of the source is called on the target."""
        if name in self.mapping:
            return self.mapping[name]
        return self.target.user if name == self.source.user else name

    def differences(self, source: Iterable[Access], target: Iterable[Access]) -> Iterator[dict[str, Any]]:
        theirs = {self._key(access, access.owner): access for access in target}
        pairs = {self._key(access, self.role(access.owner or "")): access for access in source}
        for key in sorted({*pairs, *theirs}):
            kind, name, maker = key
            ours, other = pairs.get(key), theirs.get(key)
            # An object that one side lacks is told among the objects; grants of these kinds need not be there at all.
            if (ours is None or other is None) and kind not in LOOSE:
                continue
            if maker and self._lost(maker):
                continue
            if found := self.compare(kind, f"{name} made by {maker}" if maker else name, ours, other):
                yield found

    def lost_roles(self) -> Iterator[dict[str, Any]]:
        """After all the comparing: roles that the target lacks, each told once for all that it lost."""
        for role, count in sorted(self.missing_roles.items()):
            lost = f"the role itself, and with it {count} privileges or ownerships"
            yield {"kind": "role", "name": role, "missing": [lost], "extra": []}

    @staticmethod
    def _key(access: Access, owner: str | None) -> tuple[str, str, str]:
        return access.kind, access.name, (owner or "") if access.kind == DEFAULTS else ""

    def compare(self, kind: str, name: str, ours: Access | None, theirs: Access | None) -> dict[str, Any] | None:
        missing, extra = [], []
        if ours and theirs and kind != DEFAULTS and not self._same_owner(kind, name, ours, theirs):
            missing.append(f"owner {self.role(ours.owner or '')}")
            extra.append(f"owner {theirs.owner}")
        # What the new owner was granted before is his now anyway.
        owner = theirs.owner if theirs else None
        wanted = {grant for grant in map(self._mapped, ours.grants if ours else ()) if grant[0] != owner}
        there = set(theirs.grants if theirs else ())
        missing += [_words(grant) for grant in sorted(wanted - there) if not self._leave_out(kind, name, grant)]
        extra += [_words(grant) for grant in sorted(there - wanted) if not self._leave_out(kind, name, grant)]
        return {"kind": kind, "name": name, "missing": missing, "extra": extra} if missing or extra else None

    def _mapped(self, grant: Grant) -> Grant:
        grantee, privilege, option = grant
        return (grantee if grantee in (PUBLIC, OWNER) else self.role(grantee)), privilege, option

    def _same_owner(self, kind: str, name: str, ours: Access, theirs: Access) -> bool:
        if ours.owner is None or self.role(ours.owner) == theirs.owner:
            return True
        if self._changed_public(kind, name):
            self.left_out["the schema public, which PostgreSQL 15 gave to the database's owner"] += 1
            return True
        if self.source.roles.get(ours.owner) or PLATFORM.match(ours.owner):
            self.left_out[f"ownership of {ours.owner}, a superuser or a role of the platform"] += 1
            return True
        return self._lost(self.role(ours.owner))

    def _changed_public(self, kind: str, name: str) -> bool:
        sides = {side.version >= PUBLIC_SCHEMA_CHANGED for side in (self.source, self.target)}
        return (kind, name) == ("schema", "public") and len(sides) == 2

    def _lost(self, role: str) -> bool:
        """Told once for a role that is not there, and not again for each of its privileges."""
        if role in self.target.roles or role in (PUBLIC, OWNER):
            return False
        self.missing_roles[role] += 1
        return True

    def _leave_out(self, kind: str, name: str, grant: Grant) -> bool:
        grantee, privilege, _option = grant
        if self._changed_public(kind, name) and (grantee in (PUBLIC, OWNER) or PLATFORM.match(grantee)):
            self.left_out["privileges on the schema public, which PostgreSQL 15 gives to nobody by itself"] += 1
            return True
        newer = {side.version >= MAINTAIN_SINCE for side in (self.source, self.target)}
        if privilege == "MAINTAIN" and len(newer) == 2:
            self.left_out["MAINTAIN, which is unknown before PostgreSQL 17"] += 1
            return True
        if PLATFORM.match(grantee):
            self.left_out[f"privileges of {grantee}, a role of the platform"] += 1
            return True
        return self._lost(grantee)


def _words(grant: Grant) -> str:
    grantee, privilege, option = grant
    return f"{privilege} for {grantee}" + (" with grant option" if option else "")
