# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which statements make one server's roles those of another. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .._postgres import identifier
from .._validation.privileges import PLATFORM
from .._validation.sql import literal
from .catalog import Membership, Role, Roles, piece
from .names import NOT_CHOSEN, LeftOut, Names
from .password import Password

CREATED, ALTERED, GRANTED = "created", "altered", "granted"
# What a role may do on the whole server: given one by one, since the target may refuse any of them.
POWERS = {"createrole": "CREATEROLE", "createdb": "CREATEDB", "replication": "REPLICATION", "bypassrls": "BYPASSRLS"}
# Lists whose elements PostgreSQL quotes one by one: given as one literal they would become one element.
QUOTED_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
SINCE_16 = "before PostgreSQL 16 a member inherits all of its groups' privileges or none, and may always become them"


@dataclass(frozen=True)
class Step:
    """One statement about roles; `shown` is what may be printed of it, `what` says it when the target refuses."""

    part: str
    role: str
    sql: str = field(repr=False)
    what: str
    shown: str = ""

    @property
    def text(self) -> str:
        return self.shown or self.sql


@dataclass(frozen=True)
class RolePlan:
    """The statements that make the target's roles those of the source. Pure."""

    names: Names
    left_out: LeftOut
    databases: frozenset[str]
    exact: bool
    passwords: Mapping[str, Password]

    @property
    def source(self) -> Roles:
        return self.names.source

    @property
    def target(self) -> Roles:
        return self.names.target

    def steps(self) -> Iterator[Step]:
        copied = self.names.copied()
        for role in copied:
            yield from self._role(role, self.target.roles.get(self.names.of(role.name)))
        yield from self._memberships({role.name for role in copied})
        for parameter, grantee in self.source.parameter_grants:
            self.left_out.add(f"privilege on the parameter {parameter} of {grantee}", "only a superuser can grant it")

    def _role(self, role: Role, there: Role | None) -> Iterator[Step]:
        name = self.names.of(role.name)
        quoted = identifier(name)
        if role.superuser and not (there and there.superuser):
            self.left_out.add(f"attribute SUPERUSER of {role.name}", "no role is a superuser in Azure")
        if there is None:
            yield Step(CREATED, name, " ".join(["CREATE ROLE", quoted, *_words(role)]), f"role {name}")
        elif words := _words(role, there, exact=self.exact):
            sql = f"ALTER ROLE {quoted} {' '.join(words)}"
            yield Step(ALTERED, name, sql, f"{', '.join(words)} of {name}")
        part = ALTERED if there else CREATED
        for key, word in POWERS.items():
            has = bool(there and getattr(there, key))
            if getattr(role, key) != has and (self.exact or not has):
                sign = "NO" if has else ""
                yield Step(part, name, f"ALTER ROLE {quoted} {sign}{word}", f"attribute {sign}{word} of {name}")
        if role.comment and role.comment != (there.comment if there else None):
            sql = f"COMMENT ON ROLE {quoted} IS {literal(role.comment)}"
            yield Step(part, name, sql, f"comment on {name}")
        if password := self.passwords.get(role.name):
            yield self._password(password, name, part)
        yield from self._settings(role.name, name, part)

    @staticmethod
    def _password(password: Password, name: str, part: str) -> Step:
        start = f"ALTER ROLE {identifier(name)} PASSWORD"
        return Step(part, name, f"{start} {literal(password.hash)}", f"password of {name}", f"{start} ***")

    def _settings(self, role: str, name: str, part: str) -> Iterator[Step]:
        ours, theirs = (_of_role(side.settings, who) for side, who in ((self.source, role), (self.target, name)))
        for (database, parameter), value in ours.items():
            if database and database not in self.databases:
                continue
            if theirs.get((database, parameter)) != value:
                start = _alter(name, database)
                sql = f"{start} SET {identifier(*parameter.split('.'))} TO {setting_value(parameter, value)}"
                yield Step(part, name, sql, f"setting {parameter} of {name}{_in(database)}")
        for database, parameter in theirs if self.exact else ():
            if (database, parameter) not in ours and (not database or database in self.databases):
                sql = f"{_alter(name, database)} RESET {identifier(*parameter.split('.'))}"
                yield Step(part, name, sql, f"setting {parameter} of {name}{_in(database)}, which the source lacks")

    def _memberships(self, copied: set[str]) -> Iterator[Step]:
        wanted: dict[tuple[str, str], Membership] = {}
        for (group, member), membership in self.source.members.items():
            if member in copied and self._can_be_member(group, member, copied):
                wanted[self.names.of(group), self.names.of(member)] = self._options(group, member, membership)
        for (group, member), membership in wanted.items():
            there = self.target.members.get((group, member))
            options = membership if there is None or self.exact else _more(membership, there)
            if options != there:
                yield self._join(group, member, options, there)
        mine = {self.names.of(name) for name in copied}
        for group, member in self.target.members if self.exact else ():
            if member in mine and (group, member) not in wanted and not PLATFORM.match(group):
                sql = f"REVOKE {identifier(group)} FROM {identifier(member)}"
                yield Step(GRANTED, member, sql, f"membership of {member} in {group}, which the source lacks")

    def _can_be_member(self, group: str, member: str, copied: set[str]) -> bool:
        what = f"membership of {member} in {group}"
        if group.startswith("azure_"):
            self.left_out.add(what, "who administrates the target is decided there: grant azure_pg_admin by hand")
        elif self.names.is_admin(group):
            self.left_out.add(what, "nobody else is given what the administrator may do")
        elif group not in copied and self.names.of(group) not in self.target.roles:
            self.left_out.add(what, NOT_CHOSEN)
        else:
            return True
        return False

    def _options(self, group: str, member: str, membership: Membership) -> Membership:
        """As the target can know them."""
        if self.target.version >= 160000:
            return membership
        as_before = Membership(membership.admin, self.source.roles[member].inherit, True)
        if self.source.version >= 160000 and membership != as_before:
            self.left_out.add(f"INHERIT or SET option of the membership of {member} in {group}", SINCE_16)
        return as_before

    def _join(self, group: str, member: str, options: Membership, there: Membership | None) -> Step:
        with_options = piece("membership_with", self.target.version).format(
            admin=_boolean(options.admin),
            inherit=_boolean(options.inherit),
            set=_boolean(options.set),
            admin_option="WITH ADMIN OPTION" if options.admin else "",
        )
        sql = f"GRANT {identifier(group)} TO {identifier(member)} {with_options}".rstrip()
        if there and there.admin and not options.admin and self.target.version < 160000:
            sql = f"REVOKE ADMIN OPTION FOR {identifier(group)} FROM {identifier(member)}"
        return Step(GRANTED, member, sql, f"membership of {member} in {group}")


def _words(role: Role, there: Role | None = None, *, exact: bool = True) -> list[str]:
    """The attributes that anybody who may make roles may give."""
    before = there or Role(role.name)
    words = []
    if role.login != before.login and (exact or role.login):
        words.append("LOGIN" if role.login else "NOLOGIN")
    if role.inherit != before.inherit:
        words.append("INHERIT" if role.inherit else "NOINHERIT")
    if role.connection_limit != before.connection_limit:
        words.append(f"CONNECTION LIMIT {role.connection_limit}")
    if role.valid_until != before.valid_until:
        words.append(f"VALID UNTIL {literal(role.valid_until or 'infinity')}")
    return words


def _of_role(settings: Mapping[tuple[str, str, str], str], role: str) -> dict[tuple[str, str], str]:
    return {(database, name): value for (who, database, name), value in settings.items() if who == role}


def _alter(role: str, database: str) -> str:
    return f"ALTER ROLE {identifier(role)}" + (f" IN DATABASE {identifier(database)}" if database else "")


def _in(database: str) -> str:
    return f" in {database}" if database else ""


def _more(wanted: Membership, there: Membership) -> Membership:
    return Membership(wanted.admin or there.admin, wanted.inherit or there.inherit, wanted.set or there.set)


def _boolean(value: bool) -> str:
    return "TRUE" if value else "FALSE"


def setting_value(parameter: str, value: str) -> str:
    if parameter.lower() not in QUOTED_LISTS or not value:
        return literal(value)
    return ", ".join(literal(name) for name in list_elements(value))


def list_elements(text: str) -> list[str]:
    """The names in a list as PostgreSQL keeps it: quoted where they need it, a doubled quote being one."""
    parts = re.finditer(r'"((?:[^"]|"")*)"|([^,"\s]+)', text)
    return [part[2] or part[1].replace('""', '"') for part in parts]
