# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of things that a remedy changes: how each is read, written, and put back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .._errors import ModuleFailure
from .._postgres import connect, identifier, sql_errors
from .._server.parameters import Parameter, items, plan
from .._server.servers import FlexibleServer, SingleServer
from .._source.read_only import ReadOnlySource
from .._wait import Deadline
from .extensions import ALLOW_LIST, LIBRARY_LIST
from .rules import SOURCE, TARGET, Facts, Job
from .session import MAINTENANCE

if TYPE_CHECKING:
    import psycopg

    from .._clients import Azure

LISTS = (ALLOW_LIST, LIBRARY_LIST)
END_SECONDS = 15


@dataclass(frozen=True)
class Step:
    """One change: of what, from what, to what. As JSON it is what has to be kept to put it back."""

    remedy: str
    kind: str
    side: str
    database: str | None
    object: str
    before: str | None
    after: str | None
    restart: bool = False

    @classmethod
    def from_result(cls, values: Mapping[str, Any]) -> Step:
        known = ("remedy", "kind", "side", "database", "object", "before", "after")
        missing = [name for name in known if name not in values]
        if missing or values["kind"] not in KINDS or values["side"] not in (SOURCE, TARGET):
            raise ModuleFailure(
                f"The option restore holds a change without {', '.join(missing) or 'a known kind and side'}.",
                code="InvalidRestore",
                hint="Give what an earlier run returned as preflight.previous, unchanged.",
            )
        return cls(**{name: values[name] for name in known})

    def as_result(self) -> dict[str, Any]:
        return asdict(self)


class Bench:
    """What writing takes: sessions that may, and the servers as Azure's resources."""

    def __init__(
        self, job: Job, facts: dict[str, Facts], azure: Azure | None, resources: Mapping[str, Any], timeout: float
    ) -> None:
        self.job = job
        self.facts = facts
        self.deadline = Deadline(timeout)
        self._azure = azure
        self._resources = resources
        self._servers: dict[str, SingleServer | FlexibleServer] = {}
        self._parameters: dict[str, dict[str, Parameter]] = {}
        self._stack = contextlib.ExitStack()
        self._sessions: dict[tuple[str, str], psycopg.Connection[Any]] = {}

    def close(self) -> None:
        self._stack.close()

    def session(self, side: str, database: str | None = None) -> psycopg.Connection[Any]:
        key = (side, database or MAINTENANCE)
        if key not in self._sessions:
            connection = connect(self.job.server(side), key[1])
            self._stack.callback(connection.close)
            with sql_errors(self.job.server(side), "open a session"):
                # Also in databases that are read-only by their own setting.
                connection.execute("SET default_transaction_read_only = off")
            self._sessions[key] = connection
        return self._sessions[key]

    def ask(self, side: str, database: str | None, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with sql_errors(self.job.server(side), "apply the remedies"):
            cursor = self.session(side, database).execute(sql.encode(), list(values) or None)
            return cursor.fetchall() if cursor.description else []

    def server(self, side: str, remedy: str) -> SingleServer | FlexibleServer:
        where = self._resources.get(side)
        if self._azure is None or not where:
            raise ModuleFailure(
                f"The remedy {remedy} changes parameters of the {side} in Azure, and its resource is not given.",
                code="ResourceNotGiven",
                hint=f"Set the option {side}_server, or leave the remedy {remedy} out.",
            )
        if side not in self._servers:
            single = side == SOURCE and self.job.source_type == "PostgreSQLSingleServer"
            subscription = where.get("subscription_id") or self._azure.sign_in.require_subscription()
            made = SingleServer if single else FlexibleServer
            self._servers[side] = made(self._azure, subscription, where["resource_group"], where["name"])
        return self._servers[side]

    def parameter(self, side: str, name: str, remedy: str) -> Parameter:
        if side not in self._parameters:
            rows = self.server(side, remedy).parameters()
            self._parameters[side] = {parameter.key: parameter for parameter in rows}
        found = self._parameters[side].get(name.lower())
        if found is None:
            server = self.server(side, remedy)
            raise ModuleFailure(
                f"The remedy {remedy} needs the parameter {name}, which {server} does not have.",
                code="UnknownParameter",
                hint=f"Leave the remedy {remedy} out.",
            )
        return found

    def put(self, step: Step, value: str | None) -> None:
        server, parameter = self.server(step.side, step.remedy), self.parameter(step.side, step.object, step.remedy)
        for written in server.write(plan([parameter], {parameter.name: value}, str(server)), self.deadline):
            self._parameters[step.side][written.key] = written

    @cached_property
    def user(self) -> str:
        return str(self.ask(SOURCE, None, "SELECT session_user::text")[0][0])


@dataclass(frozen=True)
class Kind:
    read: Callable[[Bench, Step], str | None]
    write: Callable[[Bench, Step, str | None], None]
    forever: bool = False


def _read_parameter(bench: Bench, step: Step) -> str | None:
    return bench.parameter(step.side, step.object, step.remedy).value


def _read_system(bench: Bench, step: Step) -> str | None:
    """What ALTER SYSTEM has written, which need not be in force yet."""
    sql = "SELECT setting FROM pg_file_settings WHERE name = %s AND sourcefile ~ 'postgresql.auto.conf$' ORDER BY seqno"
    rows = bench.ask(step.side, None, sql, step.object)
    return rows[-1][0] if rows else None


def _write_system(bench: Bench, step: Step, value: str | None) -> None:
    name = identifier(step.object)
    change = f"RESET {name}" if value is None else f"SET {name} = {literal(value)}"
    bench.ask(step.side, None, f"ALTER SYSTEM {change}")
    bench.ask(step.side, None, "SELECT pg_reload_conf()")


def _read_role_setting(bench: Bench, step: Step) -> str | None:
    role, _dot, name = step.object.rpartition(".")
    sql = "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
    rows = bench.ask(step.side, None, f"{sql} WHERE setdatabase = 0 AND rolname = %s", role)
    return next((text.partition("=")[2] for (text,) in rows if text.startswith(f"{name}=")), None)


def _write_role_setting(bench: Bench, step: Step, value: str | None) -> None:
    role, _dot, name = step.object.rpartition(".")
    change = f"RESET {identifier(name)}" if value is None else f"SET {identifier(name)} = {literal(value)}"
    bench.ask(step.side, None, f"ALTER ROLE {identifier(role)} {change}")


IDENTITIES = {"d": "DEFAULT", "n": "NOTHING", "f": "FULL", "i": "INDEX"}


def _read_identity(bench: Bench, step: Step) -> str | None:
    sql = "SELECT relreplident::text FROM pg_class WHERE oid = to_regclass(%s)"
    rows = bench.ask(step.side, step.database, sql, step.object)
    return IDENTITIES[rows[0][0]] if rows else None


def _write_identity(bench: Bench, step: Step, value: str | None) -> None:
    # What was stored is data, and does not become SQL by itself.
    sql = "SELECT oid::regclass::text FROM pg_class WHERE oid = to_regclass(%s)"
    for (table,) in bench.ask(step.side, step.database, sql, step.object):
        word = value if value in ("FULL", "NOTHING") else "DEFAULT"
        bench.ask(step.side, step.database, f"ALTER TABLE {table} REPLICA IDENTITY {word}")


def _read_membership(bench: Bench, step: Step) -> str | None:
    sql = "SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid"
    rows = bench.ask(step.side, None, f"{sql} WHERE r.rolname = %s AND g.rolname = 'pg_signal_backend'", step.object)
    return "member" if rows else None


def _write_membership(bench: Bench, step: Step, value: str | None) -> None:
    user = identifier(step.object)
    change = f"GRANT pg_signal_backend TO {user}" if value else f"REVOKE pg_signal_backend FROM {user}"
    bench.ask(step.side, None, change)


def _read_slot(bench: Bench, step: Step) -> str | None:
    sql = "SELECT coalesce(plugin, 'physical')::text FROM pg_replication_slots WHERE slot_name = %s"
    rows = bench.ask(step.side, None, sql, step.object)
    return rows[0][0] if rows else None


def _drop_slot(bench: Bench, step: Step, _value: str | None) -> None:
    bench.ask(step.side, None, "SELECT pg_drop_replication_slot(%s)", step.object)


def _read_read_only(bench: Bench, step: Step) -> str | None:
    with contextlib.closing(ReadOnlySource(bench.job.source, [step.object], ())) as source:
        return "on" if source.read()["databases"][0]["read_only"] else "off"


def _write_read_only(bench: Bench, step: Step, value: str | None) -> None:
    with contextlib.closing(ReadOnlySource(bench.job.source, [step.object], ())) as source:
        if value == "on":
            source.lock(END_SECONDS)
        else:
            source.unlock()


KINDS = {
    "parameter": Kind(_read_parameter, Bench.put),
    "system": Kind(_read_system, _write_system),
    "role_setting": Kind(_read_role_setting, _write_role_setting),
    "replica_identity": Kind(_read_identity, _write_identity),
    "membership": Kind(_read_membership, _write_membership),
    "slot": Kind(_read_slot, _drop_slot, forever=True),
    "read_only": Kind(_read_read_only, _write_read_only),
}


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def undoing(bench: Bench, done: Iterable[Step]) -> tuple[list[Step], list[str]]:
    """The steps that undo what is still as those left it, and in words what can not or must not be undone."""
    found: list[Step] = []
    notes: list[str] = []
    for step in done:
        if KINDS[step.kind].forever:
            notes.append(f"{step.object} of the {step.side}, which {step.remedy} dropped, can not be brought back.")
            continue
        now = KINDS[step.kind].read(bench, step)
        wanted = without(step, now) if step.object in LISTS else step.before
        if now == wanted:
            continue
        if step.object not in LISTS and now != step.after:
            text = f"{step.object} of the {step.side} is left as it is: somebody changed it to {now} since"
            notes.append(f"{text} {step.remedy}.")
            continue
        found.append(replace(step, before=now, after=wanted, restart=_restarts(bench, step)))
    return found, notes


def _restarts(bench: Bench, step: Step) -> bool:
    if step.kind == "parameter":
        return bench.parameter(step.side, step.object, step.remedy).needs_restart
    return step.kind == "system"


def without(step: Step, now: str | None) -> str:
    """The list as it is now, without what the step added."""
    added = set(items(step.after or "")) - set(items(step.before or ""))
    return ",".join(item for item in items(now or "") if item not in added)
