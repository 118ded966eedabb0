# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions at both servers: reading roles, trying what the target refuses, doing the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .._errors import ModuleFailure
from .._postgres import Server, connect, identifier, load_psycopg, one_line, sql_errors, sql_failure
from .._validation.privileges import PLATFORM
from .catalog import (
    DATABASES,
    DEFAULTS,
    HASHES,
    HASHES_KNOWN,
    MEMBERS,
    ROLES,
    SETTINGS,
    USER,
    Defaults,
    Membership,
    Role,
    Roles,
    Thing,
    grants_of,
    large_objects_between_sql,
    large_objects_sql,
    objects_sql,
    piece,
    thing,
)
from .grants import DatabasePlan, DefaultsKey, Grant, Move
from .password import MD5, SCRAM
from .plan import CREATED, Step

if TYPE_CHECKING:
    import psycopg

MAINTENANCE = "postgres"
ACCEPTED = "azure.accepted_password_auth_method"
LARGE_OBJECTS_AT_ONCE = 5000
# With these a server says that a statement is not for this user, or not for this version of it.
REFUSALS = frozenset({"0A000", "0LP01", "22023", "2F003", "42501", "42602", "42704", "42939", "55P02"})
FORBIDDEN = "42501"

DATABASE_LENDER = """
SELECT has_database_privilege(%s::name, d.oid, 'CREATE'), pg_get_userbyid(d.datdba)::text
  FROM pg_database d WHERE d.datname = current_database()"""
SCHEMA_LENDER = """
SELECT has_schema_privilege(%s::name, n.oid, %s), pg_get_userbyid(n.nspowner)::text
  FROM pg_namespace n WHERE n.oid = %s::regnamespace::oid"""

Things = dict[tuple[str, str], Thing]


@contextlib.contextmanager
def session(server: Server, *databases: str) -> Iterator[psycopg.Connection[Any]]:
    """A session in the first of the databases that there is."""
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(_first(server, databases))
        with sql_errors(server, "open a session"):
            connection.execute(
                "SELECT set_config('search_path', 'pg_catalog', false), set_config('TimeZone', 'UTC', false), "
                "set_config('DateStyle', 'ISO', false), set_config('lock_timeout', '30s', false)"
            )
        yield connection


def _first(server: Server, databases: tuple[str, ...]) -> psycopg.Connection[Any]:
    try:
        return connect(server, databases[0])
    except ModuleFailure as failure:
        if failure.code not in ("UnknownDatabase", "NotAllowed") or not databases[1:]:
            raise
    return _first(server, databases[1:])


def read_roles(server: Server, connection: psycopg.Connection[Any]) -> Roles:
    version = connection.info.server_version

    def ask(sql: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = connection.execute(sql.encode()).fetchall()
        return rows

    with sql_errors(server, "read the roles"):
        accepted = piece("current_setting", version).format(name=ACCEPTED)
        ((login, user, superuser, method, methods),) = ask(USER.format(accepted=accepted))
        ((hashes_known,),) = ask(HASHES_KNOWN)
        hashes = dict(ask(HASHES)) if hashes_known else {}
        found = Roles(
            version=version,
            user=login,
            users=frozenset({login, user}),
            superuser=bool(superuser),
            # Before PostgreSQL 10 the setting is on, and means md5.
            password_methods=frozenset((methods or (SCRAM if method == SCRAM else f"{MD5},{SCRAM}")).split(",")),
            hashes_known=bool(hashes_known),
        )
        found.roles = {row[0]: Role.of(row, hashes.get(row[0])) for row in ask(ROLES)}
        pieces = {name: piece(name, version) for name in ("membership_options", "membership_where")}
        members = ask(MEMBERS.format(**pieces))
        found.members = {(group, member): Membership(*row) for group, member, *row in members}
        for role, database, setting in ask(SETTINGS):
            name, _sign, value = setting.partition("=")
            found.settings[role, database, name] = value
        found.databases = frozenset(name for (name,) in ask(DATABASES))
        found.parameter_grants = list(ask(piece("parameter_grants", version)))
    return found


def read_things(server: Server, connection: psycopg.Connection[Any]) -> Things:
    with sql_errors(server, f"read the privileges of the database {connection.info.dbname}"):
        sql = objects_sql(connection.info.server_version)
        found = [thing(row) for row in connection.execute(sql.encode())]
    return {(row.kind, row.key): row for row in found}


def read_large_objects(
    source: tuple[Server, psycopg.Connection[Any]], target: tuple[Server, psycopg.Connection[Any]]
) -> Iterator[tuple[list[Thing], Things]]:
    """Those of the source and their counterparts, so many at once that memory does not matter."""
    after = 0
    while True:
        with sql_errors(source[0], "read the large objects"):
            ours = [thing(row) for row in source[1].execute(large_objects_sql(after, LARGE_OBJECTS_AT_ONCE).encode())]
        if not ours:
            return
        last = int(ours[-1].key)
        with sql_errors(target[0], "read the large objects"):
            rows = target[1].execute(large_objects_between_sql(after, last).encode())
            theirs = [thing(row) for row in rows]
        yield ours, {(row.kind, row.key): row for row in theirs}
        after = last


def read_defaults(server: Server, connection: psycopg.Connection[Any]) -> dict[DefaultsKey, Defaults]:
    with sql_errors(server, f"read the default privileges of the database {connection.info.dbname}"):
        rows = connection.execute(DEFAULTS.encode()).fetchall()
    return {
        (maker, schema, kind): Defaults(grants_of(grants), grants_of(builtin))
        for maker, schema, kind, grants, builtin in rows
    }


class Rehearsal:
    """The statements about roles, done in a transaction that is taken back: what the server refuses to this user."""

    def __init__(self, server: Server, connection: psycopg.Connection[Any], target: Roles) -> None:
        self.server = server
        self.connection = connection
        self.target = target
        self.refused: dict[Step, str] = {}
        self.able: frozenset[str] = frozenset()
        self.members_of: frozenset[str] = frozenset()
        """Those of `able` that need no becoming a member."""

    def run(self, steps: Iterable[Step]) -> None:
        with sql_errors(self.server, "try what is to be done"), self.connection.transaction(force_rollback=True):
            for step in steps:
                if reason := self._refusal(step.sql, f"do {step.text!r}"):
                    self._must_not_be_forbidden(step, reason)
                    self.refused[step] = reason[1]
            self.able = self._able()

    def _must_not_be_forbidden(self, step: Step, reason: tuple[str, str]) -> None:
        if step.part == CREATED and step.sql.startswith("CREATE") and reason[0] == FORBIDDEN:
            raise sql_failure(self.server, f"make the role {step.role}", *reason)

    def _refusal(self, sql: str, what: str) -> tuple[str, str] | None:
        driver = load_psycopg()
        try:
            with self.connection.transaction():
                self.connection.execute(sql.encode())
        except driver.Error as error:
            if error.sqlstate not in REFUSALS:
                raise sql_failure(self.server, what, error.sqlstate, str(error)) from error
            return error.sqlstate, one_line(str(error))
        return None

    def _able(self) -> frozenset[str]:
        """On whose behalf the user can act, if he makes himself a member first where he may."""
        self.members_of = frozenset(name for name, able in self._memberships() if able)
        if not self.target.superuser:
            for name, able in self._memberships():
                if not able and not PLATFORM.match(name):
                    self._refusal(join(name, self.target), f"become a member of {name}")
        return frozenset(name for name, able in self._memberships() if able)

    def _memberships(self) -> list[tuple[str, bool]]:
        return memberships(self.connection)


def memberships(connection: psycopg.Connection[Any]) -> list[tuple[str, bool]]:
    may_become = piece("may_become", connection.info.server_version)
    rows = connection.execute(
        f"SELECT rolname::text, pg_has_role(oid, 'USAGE') AND pg_has_role(oid, '{may_become}') FROM pg_roles".encode()
    )
    return [(name, bool(able)) for name, able in rows]


def join(role: str, target: Roles) -> str:
    return f"GRANT {identifier(role)} TO CURRENT_USER{piece('join', target.version)}"


def apply_steps(server: Server, connection: psycopg.Connection[Any], steps: Iterable[Step]) -> None:
    with connection.transaction():
        for step in steps:
            with sql_errors(server, f"do {step.text!r}"):
                connection.execute(step.sql.encode())


class Work:
    """One database's statements, in one transaction."""

    def __init__(self, server: Server, connection: psycopg.Connection[Any], target: Roles) -> None:
        self.server = server
        self.connection = connection
        self.target = target
        self.actor = target.user

    def do(self, sql: str, actor: str | None = None) -> None:
        with sql_errors(self.server, f"do {sql!r} in the database {self.connection.info.dbname}"):
            self._act_as(actor or self.target.user)
            self.connection.execute(sql.encode())

    def apply(self, plan: DatabasePlan) -> None:
        with self.connection.transaction():
            joined = self._join(plan.acting)
            self._move(plan.moves)
            self._grant(plan.grants)
            for sql in plan.defaults:
                self.do(sql)
            for role in joined:
                self.do(f"REVOKE {identifier(role)} FROM CURRENT_USER")

    def _act_as(self, role: str) -> None:
        """A superuser is recorded as the owner anyway."""
        if role != self.actor and not self.target.superuser:
            mine = role == self.target.user
            self.connection.execute(f"SET LOCAL ROLE {'NONE' if mine else identifier(role)}".encode())
            self.actor = role

    def _join(self, acting: Iterable[str]) -> list[str]:
        able: Mapping[str, bool] = dict(memberships(self.connection))
        joined = [role for role in sorted(acting) if not able.get(role)]
        for role in joined:
            self.do(join(role, self.target))
        return joined

    def _move(self, moves: list[Move]) -> None:
        """Objects first, while their schemas belong to whom they did."""
        containers = ("schema", "database")
        self._move_together([move for move in moves if move.thing.kind not in containers])
        for kind in containers:
            self._move_together([move for move in moves if move.thing.kind == kind])

    def _grant(self, grants: list[Grant]) -> None:
        """Schemas first: on what is in them nobody who may not use them can grant anything, not even its owner."""
        lent: dict[tuple[str, str], str] = {}
        for grant in sorted(grants, key=lambda grant: grant.schema is not None):
            if grant.schema and not self.target.superuser and (grant.schema, grant.actor) not in lent:
                has, lender = self._lender(SCHEMA_LENDER, [grant.actor, "USAGE", grant.schema])
                if not has:
                    self.do(f"GRANT USAGE ON SCHEMA {grant.schema} TO {identifier(grant.actor)}", lender)
                    lent[grant.schema, grant.actor] = lender
            self.do(grant.sql, grant.actor)
        for (schema, actor), lender in lent.items():
            self.do(f"REVOKE USAGE ON SCHEMA {schema} FROM {identifier(actor)}", lender)

    def _lender(self, sql: str, values: list[str]) -> tuple[bool, str]:
        """Whether a role has a right, and who can lend it to him."""
        with sql_errors(self.server, f"see what {values[0]} may do"):
            ((has, owner),) = self.connection.execute(sql.encode(), values).fetchall()
        # The owner of a database is no real member of pg_database_owner, and need not be.
        return bool(has), self.target.user if PLATFORM.match(owner) else str(owner)

    def _move_together(self, moves: list[Move]) -> None:
        lent: dict[tuple[str, str, str], None] = {}
        for move in moves:
            lack = None if self.target.superuser else self._lacks(move)
            if lack:
                self.do(f"GRANT CREATE ON {lack[0]} TO {move.quoted}", lack[1])
                lent[(*lack, move.quoted)] = None
            self.do(move.sql(self.target.version))
        # Before what holds the objects moves: taken from its new owner, it would be his own right.
        for on, lender, owner in lent:
            self.do(f"REVOKE CREATE ON {on} FROM {owner}", lender)

    def _lacks(self, move: Move) -> tuple[str, str] | None:
        """Where PostgreSQL wants that a new owner may make objects and he may not, and who can lend him the right."""
        if move.thing.kind == "schema":
            on = f"DATABASE {identifier(self.connection.info.dbname)}"
            has, lender = self._lender(DATABASE_LENDER, [move.owner])
        elif move.thing.inside:
            on = f"SCHEMA {move.thing.inside}"
            has, lender = self._lender(SCHEMA_LENDER, [move.owner, "CREATE", move.thing.inside])
        else:
            return None
        return None if has else (on, lender)
