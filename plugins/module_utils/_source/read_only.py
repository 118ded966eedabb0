# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Making databases read-only, and open again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias

from .._errors import ModuleFailure
from .._postgres import Server, connect, identifier, load_psycopg, one_line, sql_errors
from .._validation.privileges import PLATFORM
from .._wait import Deadline, pause
from .activity import ClientSession, client_sessions

if TYPE_CHECKING:
    import psycopg

NAME = "default_transaction_read_only"
ON = frozenset({"on", "true", "yes", "1", "t", "y"})
# To PostgreSQL the same as "on", in letters that nobody types. It marks a database from which every session that could
# still write has been ended. One that somebody else has made read-only can have older sessions, which go on writing.
MARK = "oN"

SETTINGS = """
SELECT d.datname::text, s.setrole::bigint, r.rolname::text, s.setconfig
  FROM pg_database d LEFT JOIN pg_db_role_setting s ON s.setdatabase IN (d.oid, 0)
  LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE d.datname = ANY(%s)"""
PREPARED = "SELECT database::text, gid::text FROM pg_prepared_xacts WHERE database = ANY(%s)"
SUBSCRIPTIONS = """
SELECT d.datname::text, s.subname::text FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
 WHERE s.subenabled AND d.datname = ANY(%s) AND s.subname <> ALL(%s) ORDER BY 1, 2"""
LOGINS = (
    "SELECT rolname::text FROM pg_roles WHERE rolcanlogin AND rolname <> current_user AND rolname = ANY(%s) ORDER BY 1"
)
OUT_OF_REACH = """
SELECT rolname::text FROM pg_roles WHERE rolname = ANY(%s) AND NOT pg_has_role(oid, 'USAGE')
   AND NOT pg_has_role('pg_signal_backend', 'USAGE') ORDER BY 1"""


@dataclass(frozen=True)
class Split:
    """The other sessions of the databases: those to end, and those that stay."""

    end: tuple[ClientSession, ...]
    keep: tuple[ClientSession, ...]


def split(
    sessions: Iterable[ClientSession], closed: frozenset[str], keep_applications: Sequence[str], *, superuser: bool
) -> Split:
    """In a database that was closed before, sessions are read-only, unless one has a transaction id all the same."""
    end: list[ClientSession] = []
    keep: list[ClientSession] = []
    for session in sessions:
        wanted = any(fnmatchcase(session.application, pattern) for pattern in keep_applications)
        if wanted or (session.superuser and not superuser):
            keep.append(session)
        elif session.has_transaction_id or session.database not in closed:
            end.append(session)
    return Split(tuple(end), tuple(keep))


Setting: TypeAlias = "tuple[str, int | None, str | None, list[str] | None]"


@dataclass(frozen=True)
class Settings:
    """Whether each database is read-only, which are closed to the last session, and who has it off for himself."""

    read_only: dict[str, bool]
    closed: frozenset[str]
    exempt: tuple[str, ...]


def parse_settings(rows: Iterable[Setting]) -> Settings:
    found: dict[str, bool] = {}
    closed: set[str] = set()
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
            closed |= {database} if value == MARK else set()
    return Settings(found, frozenset(closed), tuple(sorted(exempt)))


class ReadOnlySource:
    """Switches the writing to some databases of one server off and on."""

    def __init__(
        self, server: Server, databases: Sequence[str], keep_applications: Sequence[str], ours: Sequence[str] = ()
    ) -> None:
        """`ours` are subscriptions that may go on writing."""
        self.server = server
        self.ours = list(ours)
        self.databases = list(dict.fromkeys(databases))
        self.keep_applications = tuple(keep_applications)
        if not self.databases:
            raise ModuleFailure(
                "The option databases is empty: there is nothing to make read-only.",
                code="NoDatabases",
                hint="Name at least one database in the option databases.",
            )
        self._connection: psycopg.Connection[Any] | None = None
        # Sessions that are younger begin read-only.
        self._moment: Any = None
        self.notes: list[str] = []
        self.kept: list[dict[str, Any]] = []

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

    def _settings(self) -> Settings:
        found = parse_settings(self.connection.execute(SETTINGS, [self.databases]).fetchall())
        unknown = [name for name in self.databases if name not in found.read_only]
        if unknown:
            raise ModuleFailure(
                f"{self.server} has no database {', '.join(unknown)}.",
                code="UnknownDatabase",
                target=self.server.option,
                hint="Check the option databases; names are case-sensitive.",
            )
        self.notes = [
            f"The role {role} has {NAME} switched off for itself and can go on writing." for role in found.exempt
        ]
        return found

    def _split(self, settings: Settings, before: Any = None) -> Split:
        superuser = self.connection.info.parameter_status("is_superuser") == "on"
        sessions = client_sessions(self.connection, self.databases, before)
        return split(sessions, settings.closed, self.keep_applications, superuser=superuser)

    def read(self) -> dict[str, Any]:
        with sql_errors(self.server, "read what is read-only"):
            settings = self._settings()
            found = self._split(settings)
            prepared = self.connection.execute(PREPARED, [self.databases]).fetchall()
        self.kept = [session.as_result() for session in found.keep]
        for database, gid in prepared:
            self.notes.append(f"The prepared transaction {gid} of {database} can still be committed.")
        return {
            "databases": [
                {
                    "name": name,
                    "read_only": settings.read_only[name],
                    "sessions_to_end": sum(session.database == name for session in found.end),
                }
                for name in self.databases
            ],
            "ended_sessions": [],
            "kept_sessions": self.kept,
            "since": None,
        }

    def lock(self, timeout: float) -> dict[str, Any]:
        ended: dict[int, ClientSession] = {}
        with sql_errors(self.server, "make the databases read-only"):
            settings = self._settings()
            # A session that may not be ended takes the setting back with it.
            with self.connection.transaction():
                self._set([name for name in self.databases if not settings.read_only[name]], "on")
                self._end(self._split(settings).end, ended)
            self._end_stragglers(settings, ended, timeout)
            # Not before the last session has ended: a run that breaks off before it begins anew.
            self._set([name for name in self.databases if name not in settings.closed], MARK)
        return {
            **self.read(),
            "ended_sessions": [session.as_result() for session in ended.values()],
            "since": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }

    def _set(self, names: Sequence[str], value: str) -> None:
        for name in names:
            self.connection.execute(f"ALTER DATABASE {identifier(name)} SET {NAME} = '{value}'".encode())

    def who_can_write(self) -> list[str]:
        """Who goes on writing in databases that are read-only, each with the way out; empty when nobody does."""
        with sql_errors(self.server, "look for who can go on writing"):
            settings = self._settings()
            found = self._split(settings, self._moment)
            return [*self._kept(found), *self._out_of_reach(found), *self._exempt(settings), *self.unattended()]

    def unattended(self) -> list[str]:
        """Who writes without a session: what was prepared, and what comes from a server that this one follows."""
        with sql_errors(self.server, "look for prepared transactions and subscriptions"):
            prepared = self.connection.execute(PREPARED, [self.databases]).fetchall()
            feeds = self.connection.execute(SUBSCRIPTIONS, [self.databases, self.ours]).fetchall()
        return [
            *(
                f"the prepared transaction {gid} of {database} can still be committed; commit it or roll it back."
                for database, gid in prepared
            ),
            *(
                f"the subscription {name} goes on writing to {database}; disable it with ALTER SUBSCRIPTION."
                for database, name in feeds
            ),
        ]

    def _kept(self, found: Split) -> list[str]:
        """The provider's own sessions are on every managed server, and write nothing of the user's."""
        stay = [
            session
            for session in found.keep
            if not PLATFORM.match(session.user)
            and not any(fnmatchcase(session.application, pattern) for pattern in self.keep_applications)
        ]
        if not stay:
            return []
        names = sorted({f"{session.application or session.pid} as {session.user}" for session in stay})
        return [
            f"sessions of superusers can not be ended by {self.server.user} and can go on writing: {', '.join(names)}; "
            "end them, or name those that write nothing in keep_applications."
        ]

    def _out_of_reach(self, found: Split) -> list[str]:
        users = sorted({session.user for session in found.end})
        refused = [row[0] for row in self.connection.execute(OUT_OF_REACH, [users]).fetchall()] if users else []
        if not refused:
            return []
        return [
            f"sessions of {', '.join(refused)} can not be ended by {self.server.user}; "
            f"GRANT pg_signal_backend TO {identifier(self.server.user)}."
        ]

    def _exempt(self, settings: Settings) -> list[str]:
        exempt = [name for name in settings.exempt if not PLATFORM.match(name)]
        rows = self.connection.execute(LOGINS, [exempt]).fetchall() if exempt else []
        return [
            f"the role {name} has {NAME} switched off for itself and can go on writing; "
            f"ALTER ROLE {identifier(name)} RESET {NAME}, and the same IN DATABASE where it is set there."
            for (name,) in rows
        ]

    def _end_stragglers(self, settings: Settings, ended: dict[int, ClientSession], timeout: float) -> None:
        """Also ends sessions that came in before the setting held, and waits until all have really ended."""
        self._moment = self.connection.execute("SELECT clock_timestamp()").fetchall()[0][0]
        deadline = Deadline(timeout)
        while left := self._split(settings, self._moment).end:
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

    def unlock(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        with sql_errors(self.server, "let the databases be written to again"):
            settings = self._settings()
            with self.connection.transaction():
                for name in self.databases if names is None else names:
                    if settings.read_only[name]:
                        self.connection.execute(f"ALTER DATABASE {identifier(name)} RESET {NAME}".encode())
        state = self.read()
        for database in state["databases"]:
            database["sessions_to_end"] = 0
        return state
