# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles and privileges from one server to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._errors import ModuleFailure
from .._postgres import Server
from .catalog import SYSTEM_GRANTS, Role, Roles
from .grants import DatabasePlan, GrantPlanner
from .names import LeftOut, Names, plain
from .password import MD5, SCRAM, Password, is_password, refusal
from .plan import ALTERED, CREATED, GRANTED, RolePlan, Step
from .session import (
    MAINTENANCE,
    Rehearsal,
    Work,
    apply_steps,
    join,
    read_defaults,
    read_large_objects,
    read_roles,
    read_things,
    session,
)

if TYPE_CHECKING:
    import psycopg

OF_POSTGRES = "what belongs to PostgreSQL itself is the platform's, and no dump carries its privileges"
Encrypt = Callable[[str, str], str]


@dataclass(frozen=True)
class Job:
    """What a task asks for."""

    source: Server
    target: Server
    databases: tuple[str, ...]
    roles: tuple[str, ...] | None
    mapping: Mapping[str, str]
    passwords: Mapping[str, str] = field(repr=False)
    always: bool = False
    exact: bool = False
    join_owners: bool = False

    @classmethod
    def from_options(cls, params: Mapping[str, Any]) -> Job:
        return cls(
            source=Server.from_options("source", params["source"]),
            target=Server.from_options("target", params["target"]),
            databases=tuple(dict.fromkeys(params["databases"])),
            roles=None if params["roles"] is None else tuple(params["roles"]),
            mapping={str(name): str(other) for name, other in params["role_mapping"].items()},
            passwords={str(name): str(password) for name, password in params["passwords"].items()},
            always=params["update_password"] == "always",
            exact=params["exact"],
            join_owners=params["join_owners"],
        )


@dataclass
class Secrets:
    """Which password each copied role gets; what stays without one is in `unset`."""

    names: Names
    given: Mapping[str, str] = field(repr=False)
    always: bool
    encrypt: Encrypt
    unset: list[str] = field(default_factory=list)

    def of(self, roles: Iterable[Role]) -> dict[str, Password]:
        found = {role.name: self._of(role) for role in roles if role.login or role.name in self.given}
        return {name: Password(hashed) for name, hashed in found.items() if hashed}

    def _of(self, role: Role) -> str | None:
        target, name = self.names.target, self.names.of(role.name)
        there = target.roles.get(name)
        empty = there is None or (target.hashes_known and there.hash is None)
        if role.name in self.given:
            text = self.given[role.name]
            fits = bool(there and there.hash and is_password(text, there.hash, name))
            return self.encrypt(text, name) if empty or (self.always and not fits) else None
        why = self._refused(role, name)
        if role.hash and not why:
            changed = there is None or there.hash != role.hash
            return role.hash if empty or (self.always and changed) else None
        if empty:
            self.unset.append(name)
            if why:
                self.names.left_out.add(f"password of {role.name}", why)
        return None

    def _refused(self, role: Role, name: str) -> str | None:
        methods = self.names.target.password_methods
        return refusal(role.hash, renamed=name != role.name, methods=methods) if role.hash else None


class RolesCopy:
    """What has to be done, found by reading both sides; `apply` does it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.left_out = LeftOut()
        self.steps: list[Step] = []
        self.plans: dict[str, DatabasePlan] = {}
        self.unset: list[str] = []
        self.done: list[str] = []

    def read(self) -> None:
        job = self.job
        with session(job.source, MAINTENANCE, *job.databases) as connection:
            source = read_roles(job.source, connection)
        with session(job.target, MAINTENANCE, *job.databases) as connection:
            self.target = read_roles(job.target, connection)
            self._require_databases(source, self.target)
            names, passwords = self._names(source)
            copied = names.copied()
            secrets = Secrets(names, passwords, job.always, _encrypt(connection, self.target))
            plan = RolePlan(names, self.left_out, frozenset(job.databases), job.exact, secrets.of(copied))
            steps = list(plan.steps())
            rehearsal = Rehearsal(job.target, connection, self.target)
            rehearsal.run(steps)
        self.unset = sorted(secrets.unset)
        for step, reason in rehearsal.refused.items():
            self.left_out.add(step.what, f"the target refuses it: {reason}")
        self.steps = [step for step in steps if step not in rehearsal.refused]
        roles = {*self.target.roles, *(step.role for step in self.steps if step.part == CREATED)}
        mine = frozenset(names.of(role.name) for role in copied)
        for database in job.databases:
            planner = GrantPlanner(names, self.left_out, database, frozenset(roles), rehearsal.able, mine, job.exact)
            self.plans[database] = self._plan(planner)
        if job.join_owners:
            owners = {owner for plan in self.plans.values() for owner in plan.owners}
            lacking = sorted(owners & rehearsal.able - rehearsal.members_of)
            user = self.target.user
            self.steps += [Step(GRANTED, user, join(name, self.target), f"membership in {name}") for name in lacking]

    def _require_databases(self, source: Roles, target: Roles) -> None:
        for server, side in ((self.job.source, source), (self.job.target, target)):
            missing = [name for name in self.job.databases if name not in side.databases]
            if missing:
                raise ModuleFailure(
                    f"Failed to copy roles: {server} has no database {', '.join(missing)}.",
                    code="UnknownDatabase",
                    target=server.option,
                    hint="Check the option databases; roles are copied when the data has arrived.",
                )

    def _names(self, source: Roles) -> tuple[Names, dict[str, str]]:
        """Names as the source has them, from those that users sign in with."""
        job, host, known = self.job, self.job.source.host, source.roles

        def own(given: Iterable[str], option: str) -> list[str]:
            found = [plain(name, host, known) for name in given]
            unknown = [name for name in found if name not in known]
            if unknown:
                raise ModuleFailure(
                    f"{option} names {', '.join(unknown)}, and the source has no such role.",
                    code="UnknownRole",
                    target=option,
                    hint=f"Check the option {option}; names are case-sensitive.",
                )
            return found

        wanted = None if job.roles is None else frozenset(own(job.roles, "roles"))
        mapping = dict(zip(own(job.mapping, "role_mapping"), job.mapping.values(), strict=True))
        passwords = dict(zip(own(job.passwords, "passwords"), job.passwords.values(), strict=True))
        return Names(source, self.target, mapping, wanted, self.left_out), passwords

    def _plan(self, planner: GrantPlanner) -> DatabasePlan:
        job, database = self.job, planner.database
        with session(job.source, database) as ours, session(job.target, database) as theirs:
            target = read_things(job.target, theirs)
            planner.objects(read_things(job.source, ours).values(), target)
            for batch, counterparts in read_large_objects((job.source, ours), (job.target, theirs)):
                planner.objects(batch, counterparts)
            schemas = frozenset(row.key for row in target.values() if row.kind == "schema")
            planner.defaults(read_defaults(job.source, ours), read_defaults(job.target, theirs), schemas)
            for kind, name, grantee, privileges in ours.execute(SYSTEM_GRANTS.encode()).fetchall():
                what = f"privileges of {grantee} on objects of PostgreSQL in {database}"
                self.left_out.add(what, OF_POSTGRES, f"{privileges} on {kind} {name}")
        return planner.plan

    def apply(self) -> None:
        if self.steps:
            with session(self.job.target, MAINTENANCE, *self.job.databases) as connection:
                apply_steps(self.job.target, connection, self.steps)
        self.done.append("")
        for database, plan in self.plans.items():
            if plan:
                with session(self.job.target, database) as connection:
                    Work(self.job.target, connection, self.target).apply(plan)
            self.done.append(database)

    def result(self, parts: Sequence[str]) -> dict[str, Any]:
        """What is done, or about to be, of the roles ("") and of these databases."""
        steps = self.steps if "" in parts else []
        created = sorted({step.role for step in steps if step.part == CREATED})
        plans = {database: plan for database, plan in self.plans.items() if database in parts}
        joined = [_row(None, step.text) for step in steps if step.part == GRANTED]
        grants = [_row(database, sql) for database, plan in plans.items() for sql in plan.grant_statements]
        return {
            "created": created,
            "altered": sorted({step.role for step in steps if step.part == ALTERED}),
            "granted": joined + grants,
            "owners": [_row(database, sql) for database in plans for sql in self._moves(database)],
            "default_privileges": [_row(database, sql) for database, plan in plans.items() for sql in plan.defaults],
            "left_out": self.left_out.as_result(),
            "passwords_unset": self.unset,
        }

    def _moves(self, database: str) -> list[str]:
        return [move.sql(self.target.version) for move in self.plans[database].moves]

    @property
    def parts(self) -> list[str]:
        return ["", *self.plans]

    def statements(self) -> dict[str, list[str]]:
        """All that is to be sent but for passwords, by database; what has to do with none is under `roles`."""
        found = {"roles": [step.text for step in self.steps]}
        for database, plan in self.plans.items():
            found[f"database {database}"] = [*self._moves(database), *plan.grant_statements, *plan.defaults]
        return {part: statements for part, statements in found.items() if statements}


def _row(database: str | None, statement: str) -> dict[str, str | None]:
    return {"database": database, "statement": statement}


def _encrypt(connection: psycopg.Connection[Any], target: Roles) -> Encrypt:
    """Makes hashes here, so that no password is in a statement and in the server's log."""
    method = SCRAM if SCRAM in target.password_methods else MD5

    def encrypt(password: str, role: str) -> str:
        return connection.pgconn.encrypt_password(password.encode(), role.encode(), method.encode()).decode()

    return encrypt
