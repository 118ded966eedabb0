# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias

from ._activity import ClientSession, client_sessions
from ._errors import ModuleFailure
from ._postgres import Server, connect, identifier, load_psycopg, one_line, sql_errors
from ._wait import Deadline, pause

if TYPE_CHECKING:
    import psycopg

NAME = "default_transaction_read_only"
ON = frozenset({"on", "true", "yes", "1", "t", "y"})

SETTINGS = """
SELECT d.datname::text, s.setrole::bigint, r.rolname::text, s.setconfig
  FROM pg_database d LEFT JOIN pg_db_role_setting s ON s.setdatabase IN (d.oid, 0)
  LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE d.datname = ANY(%s)"""
PREPARED = "SELECT database::text, gid::text FROM pg_prepared_xacts WHERE database = ANY(%s)"


@dataclass(frozen=True)
class Split:
    """The other sessions of the databases: those to end, and those that stay."""

    end: tuple[ClientSession, ...]
    keep: tuple[ClientSession, ...]


def split(
    sessions: Iterable[ClientSession], locked: frozenset[str], keep_applications: Sequence[str], *, superuser: bool
) -> Split:
    """In a database that is read-only already, sessions are too, unless one has a transaction id all the same."""
    end: list[ClientSession] = []
    keep: list[ClientSession] = []
    for session in sessions:
        wanted = any(fnmatchcase(session.application, pattern) for pattern in keep_applications)
        if wanted or (session.superuser and not superuser):
            keep.append(session)
        elif session.has_transaction_id or session.database not in locked:
            end.append(session)
    return Split(tuple(end), tuple(keep))


Setting: TypeAlias = "tuple[str, int | None, str | None, list[str] | None]"


def parse_settings(rows: Iterable[Setting]) -> tuple[dict[str, bool], list[str]]:
    """Whether each database is read-only by its own setting, and the roles that have switched it off for themselves."""
    found: dict[str, bool] = {}
    exempt: set[str] = set()
    for database, role, role_name, config in rows:
        found.setdefault(database, False)
        value = next((text.partition("=")[2] for text in config or () if text.startswith(f"{NAME}=")), None)
        if value is None:
            continue
        if role and value.lower() not in ON:
            exempt.add(role_name or str(role))
        elif not role:
            found[database] = found[database] or value.lower() in ON
    return found, sorted(exempt)


class ReadOnlySource:
    """Switches the writing to some databases of one server off and on."""

    def __init__(self, server: Server, databases: Sequence[str], keep_applications: Sequence[str]) -> None:
        self.server = server
        self.databases = list(dict.fromkeys(databases))
        self.keep_applications = tuple(keep_applications)
        if not self.databases:
            raise ModuleFailure(
                "The option databases is empty: there is nothing to make read-only.",
                code="NoDatabases",
                hint="Name at least one database in the option databases.",
            )
        self._connection: psycopg.Connection[Any] | None = None
        self.notes: list[str] = []

    @property
    def connection(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            connection = connect(self.server, self.databases[0])
            with sql_errors(self.server, "open a session"):
                # Our own session would be read-only as well, and could not switch it off again.
                connection.execute(f"SET {NAME} = off".encode())
            self._connection = connection
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _settings(self) -> dict[str, bool]:
        found, exempt = parse_settings(self.connection.execute(SETTINGS, [self.databases]).fetchall())
        unknown = [name for name in self.databases if name not in found]
        if unknown:
            raise ModuleFailure(
                f"{self.server} has no database {', '.join(unknown)}.",
                code="UnknownDatabase",
                target=self.server.option,
                hint="Check the option databases; names are case-sensitive.",
            )
        self.notes = [f"The role {role} has {NAME} switched off for itself and can go on writing." for role in exempt]
        return found

    def _split(self, settings: dict[str, bool], before: Any = None) -> Split:
        locked = frozenset(name for name, value in settings.items() if value)
        superuser = self.connection.info.parameter_status("is_superuser") == "on"
        sessions = client_sessions(self.connection, self.databases, before)
        return split(sessions, locked, self.keep_applications, superuser=superuser)

    def read(self) -> dict[str, Any]:
        with sql_errors(self.server, "read what is read-only"):
            settings = self._settings()
            found = self._split(settings)
            prepared = self.connection.execute(PREPARED, [self.databases]).fetchall()
        for database, gid in prepared:
            self.notes.append(f"The prepared transaction {gid} of {database} can still be committed.")
        return {
            "databases": [
                {
                    "name": name,
                    "read_only": settings[name],
                    "sessions_to_end": sum(session.database == name for session in found.end),
                }
                for name in self.databases
            ],
            "ended_sessions": [],
            "kept_sessions": [session.as_result() for session in found.keep],
            "since": None,
        }

    def lock(self, timeout: float) -> dict[str, Any]:
        ended: dict[int, ClientSession] = {}
        with sql_errors(self.server, "make the databases read-only"):
            settings = self._settings()
            # Sessions end before the setting is committed: a run that breaks off here begins anew, and leaves no
            # session behind that a later run would take for a read-only one.
            with self.connection.transaction():
                for name in self.databases:
                    if not settings[name]:
                        self.connection.execute(f"ALTER DATABASE {identifier(name)} SET {NAME} = on".encode())
                self._end(self._split(settings).end, ended)
            self._end_stragglers(settings, ended, timeout)
        return {
            **self.read(),
            "ended_sessions": [session.as_result() for session in ended.values()],
            "since": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }

    def _end_stragglers(self, settings: dict[str, bool], ended: dict[int, ClientSession], timeout: float) -> None:
        """Also ends sessions that came in before the setting held, and waits until all have really ended."""
        moment = self.connection.execute("SELECT clock_timestamp()").fetchall()[0][0]
        deadline = Deadline(timeout)
        while left := self._split(settings, moment).end:
            if deadline.over:
                names = ", ".join(f"{session.pid} ({session.application or session.user})" for session in left[:5])
                raise ModuleFailure(
                    f"Failed to end all sessions on {self.server}: after {timeout:.0f} s there is still {names}.",
                    code="SessionsDoNotEnd",
                    target=self.server.option,
                    hint="The databases are read-only for new sessions; stop these programs, or raise end_timeout.",
                )
            self._end(left, ended)
            pause(0.1)

    def _end(self, sessions: Sequence[ClientSession], ended: dict[int, ClientSession]) -> None:
        driver = load_psycopg()
        for session in sessions:
            try:
                self.connection.execute("SELECT pg_terminate_backend(%s)", [session.pid])
            except driver.errors.InsufficientPrivilege as error:
                raise ModuleFailure(
                    f"Failed to end the session {session.pid} of {session.user or 'another user'} on {self.server}: "
                    f"{one_line(str(error)).rstrip('.')}.",
                    code=error.sqlstate,
                    target=self.server.option,
                    hint=f"Grant pg_signal_backend to the user of the option {self.server.option}.user, stop the "
                    "program, or let it go on with keep_applications.",
                ) from error
            ended[session.pid] = session

    def unlock(self) -> dict[str, Any]:
        with sql_errors(self.server, "let the databases be written to again"):
            settings = self._settings()
            with self.connection.transaction():
                for name in self.databases:
                    if settings[name]:
                        self.connection.execute(f"ALTER DATABASE {identifier(name)} RESET {NAME}".encode())
        state = self.read()
        for database in state["databases"]:
            database["sessions_to_end"] = 0
        return state
