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

from ..module_utils._base import PgflexModule, State
from ..module_utils._errors import ModuleFailure
from ..module_utils._postgres import Server, connect, identifier, server_connection_spec, sql_errors
from ..module_utils._spec import STATE, ArgumentSpec

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


class Database(PgflexModule):
    result_key = "database"

    @property
    def thing(self) -> str:
        return f"the databases {', '.join(self.params['databases'])} of {self.server}"

    @property
    def server(self) -> Server:
        return Server.from_options("target", self.params["target"])

    def read(self) -> State | None:
        system = sorted(SYSTEM.intersection(self.params["databases"]))
        if system:
            raise ModuleFailure(f"databases names {', '.join(system)}, which belong to the system: leave them out.")
        connection = connect(self.server, "postgres")
        try:
            with sql_errors(self.server, f"read {self.thing}"):
                rows = connection.execute("SELECT datname FROM pg_catalog.pg_database").fetchall()
        finally:
            connection.close()
        there = {row[0] for row in rows}
        return self._state([name for name in self.params["databases"] if name in there])

    @staticmethod
    def _state(names: list[str]) -> State | None:
        return {"databases": sorted(set(names))} if names else None

    def desired(self, _current: State | None) -> State | None:
        return self._state(self.params["databases"])

    def apply(self, want: State) -> State:
        there = (self.read() or {"databases": []})["databases"]
        self._run([f"CREATE DATABASE {identifier(name)}" for name in want["databases"] if name not in there])
        return want

    def remove(self, current: State) -> None:
        for name in current["databases"]:
            end = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = %s"
            self._run([f"DROP DATABASE {identifier(name)}"], [(end, name)] if self.params["end_sessions"] else [])

    def _run(self, statements: list[str], before: list[tuple[str, str]] | None = None) -> None:
        connection = connect(self.server, "postgres")
        try:
            with sql_errors(self.server, f"change {self.thing}"):
                for query, name in before or []:
                    connection.execute(query.encode(), [name])
                for statement in statements:
                    connection.execute(statement.encode())
        finally:
            connection.close()


MODULE = Database


def main() -> None:
    Database.main(SPEC)


if __name__ == "__main__":
    main()
