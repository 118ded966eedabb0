#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database
short_description: Make or drop databases of the target
version_added: "1.0.0"
description:
  - Makes databases that are missing, or drops those that are there, several in one task.
  - Connects to PostgreSQL itself, not to Azure Resource Manager, so that it works with any server.
  - Dropping is for what a migration has left behind. A database to which anybody is connected is not dropped, unless
    O(end_sessions=true), and none of the system's ever is.
author:
  - pgflex.migrate contributors (@pgflex)
extends_documentation_fragment:
  - pgflex.migrate._connection.target
  - pgflex.migrate._attributes
  - pgflex.migrate._state
options:
  databases:
    description:
      - Names of the databases. They are taken as they are, so case matters.
    type: list
    elements: str
    required: true
  end_sessions:
    description:
      - With O(state=absent), whether the sessions that are connected to the databases are ended.
      - Sessions of superusers stay, unless the user is one as well; while there is one, the database is not dropped.
      - Ending the sessions of other users needs the role C(pg_signal_backend).
    type: bool
    default: false
notes:
  - Making needs the attribute C(CREATEDB), dropping needs to own the database or to be a member of its owner.
seealso:
  - module: pgflex.migrate.database_info
"""

EXAMPLES = r"""
- name: Have a database to restore into
  pgflex.migrate.database:
    target: "{{ pgflex_target }}"
    databases:
      - shop

- name: See what would be dropped
  pgflex.migrate.database:
    target: "{{ pgflex_target }}"
    databases:
      - shop
      - stock
    state: absent
  check_mode: true
  diff: true

- name: Drop what a migration that failed has left in the target
  pgflex.migrate.database:
    target: "{{ pgflex_target }}"
    databases:
      - shop
    end_sessions: true
    state: absent
"""

RETURN = r"""
database:
  description: Which of the databases are there; V(none) when none is.
  returned: success
  type: dict
  contains:
    databases:
      description: Names of those of O(databases) that are there.
      returned: always
      type: list
      elements: str
      sample:
        - shop
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..module_utils._base import PgflexModule, State
from ..module_utils._errors import ModuleFailure
from ..module_utils._postgres import Server, connect, identifier, server_connection_spec, sql_errors
from ..module_utils._spec import STATE, ArgumentSpec

if TYPE_CHECKING:
    import psycopg

SPEC = STATE.merge(
    ArgumentSpec(
        options={
            "target": server_connection_spec(),
            "databases": {"type": "list", "elements": "str", "required": True},
            "end_sessions": {"type": "bool", "default": False},
        }
    )
)
SYSTEM = frozenset({"postgres", "template0", "template1", "azure_maintenance", "azure_sys"})

# DROP DATABASE ends autovacuum by itself, and one session of a superuser's would refuse the whole statement.
END_SESSIONS = """
SELECT pg_catalog.pg_terminate_backend(a.pid)
  FROM pg_catalog.pg_stat_activity a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
 WHERE a.datname = %s AND coalesce(a.backend_type, 'client backend') = 'client backend'
   AND (current_setting('is_superuser') = 'on' OR NOT coalesce(r.rolsuper, false))"""

HINTS = {
    ("make", "42501"): "Give the user of the option {option}.user the attribute CREATEDB.",
    ("make", "55006"): "New databases are copies of template1: run again when nobody is connected to it.",
    ("drop", "42501"): "Name the owner of the database, or a member of it, in {option}.user; to end sessions of others "
    "it has to be a member of pg_signal_backend as well.",
    ("drop", "55006"): "Stop the programs that are connected, or set end_sessions to true, which leaves superusers "
    "alone. A replication slot or a subscription in the database has to be dropped before it.",
}


class Database(PgflexModule):
    result_key = "database"

    @property
    def thing(self) -> str:
        return f"the databases {', '.join(self.params['databases'])}"

    @property
    def server(self) -> Server:
        return Server.from_options("target", self.params["target"])

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        connection = connect(self.server, "postgres")
        try:
            yield connection
        finally:
            connection.close()

    def read(self) -> State | None:
        system = sorted(SYSTEM.intersection(self.params["databases"]))
        if system:
            raise ModuleFailure(
                f"The option databases names {', '.join(system)}: the system's own are neither made nor dropped.",
                code="SystemDatabase",
                hint="Leave it out.",
            )
        with self._connected() as connection, sql_errors(self.server, "read which databases there are"):
            rows = connection.execute("SELECT datname FROM pg_catalog.pg_database").fetchall()
        there = {row[0] for row in rows}
        return self._state([name for name in self.params["databases"] if name in there])

    @staticmethod
    def _state(names: list[str]) -> State | None:
        return {"databases": sorted(set(names))} if names else None

    def desired(self, _current: State | None) -> State | None:
        return self._state(self.params["databases"])

    def apply(self, want: State) -> State:
        there = (self.read() or {"databases": []})["databases"]
        self._change("make", [name for name in want["databases"] if name not in there])
        return want

    def remove(self, current: State) -> None:
        self._change("drop", current["databases"])

    def _change(self, verb: str, names: list[str]) -> None:
        done = False
        with self._connected() as connection:
            for name in names:
                try:
                    with sql_errors(self.server, f"{verb} the database {name}"):
                        self._change_one(connection, verb, name)
                except ModuleFailure as failure:
                    hint = HINTS.get((verb, failure.code or ""))
                    failure.hint = hint.format(option=self.server.option) if hint else failure.hint
                    # The databases before it stay as they have become.
                    failure.details = {"changed": done}
                    raise
                done = True

    def _change_one(self, connection: psycopg.Connection[Any], verb: str, name: str) -> None:
        if verb == "drop" and self.params["end_sessions"]:
            connection.execute(END_SESSIONS.encode(), [name])
        statement = f"{'DROP' if verb == 'drop' else 'CREATE'} DATABASE {identifier(name)}"
        connection.execute(statement.encode())


MODULE = Database


def main() -> None:
    Database.main(SPEC)


if __name__ == "__main__":
    main()
