#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_parameters
short_description: Set many parameters of a Single or Flexible Server at once
version_added: "1.0.0"
description:
  - Sets parameters of one server of Azure Database for PostgreSQL, and restarts it when a changed one needs that and
    O(restart) allows it.
  - All parameters are read with one request. Only those that differ are written, one after the other, since a server
    takes one operation at a time; several of a Single Server are written with one request.
  - Values are compared by the parameter's type, so C(ON) equals C(on), C(1.0) equals C(1), and spaces in a
    comma-separated list do not matter. The order of C(azure.extensions) does not matter, that of
    C(shared_preload_libraries) does.
  - Unknown and read-only parameters and values outside the allowed ones are all named in one failure, before anything
    is written. A read-only parameter that has the value already is fine.
  - A Flexible Server that is itself the source of a migration, for an upgrade of its major version, is prepared for
    online migration by setting C(wal_level) to V(logical) here; see the examples.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  resource_group:
    description:
      - Resource group that holds the server.
    type: str
    required: true
  server_name:
    description:
      - Name of the server, without its domain.
    type: str
    required: true
  server_type:
    description:
      - Which kind of server it is.
    type: str
    choices:
      - single_server
      - flexible_server
    required: true
  parameters:
    description:
      - The parameters' names with their values. Parameters that are not named are left alone.
      - A list is written with commas between its items, V(true) and V(false) as V(on) and V(off).
      - V(null) gives a parameter back to the service's default; an empty string is a value like any other.
      - Numbers are in the parameter's own unit, the service knows no C(64MB).
      - One of these wins over what is copied with O(copy_from) or O(source).
    type: dict
  copy_from:
    description:
      - Another server of Azure whose parameters are copied. Those are copied that somebody has set there, that this
        server knows, that may be set, and that make sense on another machine; the rest is listed in
        RV(server_parameters.left_out) with the reason.
      - Not copied are paths, what is sized by memory or vCores, replication and write-ahead log, where logs go, how
        clients connect, preloaded libraries, and what only one of Azure's products has.
    type: dict
  restart:
    description:
      - Whether the server may be restarted when a changed parameter, or one of O(parameters) that was changed earlier,
        takes effect only then. A restart costs 2 to 3 minutes of downtime.
      - With V(false) such parameters are written and listed in RV(server_parameters.restart_needed).
      - A Single Server does not tell which of its parameters wait for a restart, so there only a run that changes one
        restarts.
    type: bool
    default: false
extends_documentation_fragment:
  - pgflex.migrate._connection.optional_source
  - pgflex.migrate._azure
  - pgflex.migrate._other_server
  - pgflex.migrate._attributes
  - pgflex.migrate._wait
seealso:
  - module: pgflex.migrate.source_replication
  - module: pgflex.migrate.flexible_server_info
  - name: Server parameters in Azure Database for PostgreSQL
    description: Which parameters there are and what they do.
    link: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-server-parameters
"""

EXAMPLES = r"""
- name: Prepare the target for the source's extensions
  pgflex.migrate.server_parameters:
    resource_group: shop-rg
    server_name: shop-new
    server_type: flexible_server
    parameters:
      azure.extensions: [pg_trgm, pgcrypto]
      shared_preload_libraries: pg_stat_statements,pg_cron
    restart: true

- name: See what would change
  pgflex.migrate.server_parameters:
    resource_group: shop-rg
    server_name: shop-new
    server_type: flexible_server
    parameters:
      work_mem: 8192
      log_min_duration_statement: 500
  check_mode: true
  diff: true

- name: Copy what somebody has set at the source
  pgflex.migrate.server_parameters:
    resource_group: shop-rg
    server_name: shop-new
    server_type: flexible_server
    copy_from:
      resource_group: shop-rg
      server_name: shop-old
      server_type: single_server
    parameters:
      work_mem: 8192

- name: Copy from a server outside Azure
  pgflex.migrate.server_parameters:
    resource_group: shop-rg
    server_name: shop-new
    server_type: flexible_server
    source:
      host: db1.example.org
      user: postgres
      password: "{{ vault_postgres_password }}"

- name: Turn logical replication on at a Flexible Server that is the source of an upgrade
  pgflex.migrate.server_parameters:
    resource_group: shop-rg
    server_name: shop-pg13
    server_type: flexible_server
    parameters:
      wal_level: logical
      max_replication_slots: 10
      max_wal_senders: 10
    restart: true

- name: Give a parameter back to the service's default
  pgflex.migrate.server_parameters:
    resource_group: shop-rg
    server_name: shop-old
    server_type: single_server
    parameters:
      idle_in_transaction_session_timeout: null
"""

RETURN = r"""
server_parameters:
  description: The parameters asked for, as they are after the task.
  returned: success
  type: dict
  contains:
    server:
      description: Id of the server.
      type: str
      returned: success
      sample: /subscriptions/.../resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-new
    parameters:
      description: Values of the parameters asked for, by name.
      type: dict
      returned: success
      sample: {work_mem: "8192"}
    previous:
      description:
        - The values that were overwritten, by name.
        - They can be given to O(parameters) to undo the change.
      type: dict
      returned: success
      sample: {work_mem: "4096"}
    restart_needed:
      description: Names of the parameters asked for whose value waits for a restart to take effect.
      type: list
      elements: str
      returned: success
      sample: []
    restarted:
      description: Whether the server was restarted.
      type: bool
      returned: success
      sample: false
    left_out:
      description: What O(copy_from) or O(source) has set and is not copied; only with one of these.
      type: list
      elements: dict
      returned: when copying
      contains:
        name:
          description: Name of the parameter.
          type: str
          returned: always
          sample: shared_buffers
        value:
          description: Its value there.
          type: str
          returned: always
          sample: "16384"
        reason:
          description: Why it is not copied.
          type: str
          returned: always
          sample: it is sized by the server's memory
invalid_parameters:
  description: Names of the parameters that do not exist, are read-only or can not have the value asked for.
  returned: when there are such parameters
  type: list
  elements: str
  sample: [work_men]
"""

from dataclasses import replace
from functools import cached_property
from typing import Any

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._errors import ModuleFailure
from ..module_utils._postgres import Server, connect, server_connection_spec, sql_errors
from ..module_utils._server.parameter_copy import SETTINGS, Copied, copied, setting
from ..module_utils._server.parameters import Change, Parameter, plan
from ..module_utils._server.servers import SERVER_TYPES, AzureServer
from ..module_utils._spec import AZURE, WAIT, ArgumentSpec
from ..module_utils._wait import Deadline

SERVER = {
    "server_type": {"type": "str", "choices": list(SERVER_TYPES), "required": True},
    "resource_group": {"type": "str", "required": True},
    "server_name": {"type": "str", "required": True},
}
SPEC = AZURE.merge(WAIT).merge(
    ArgumentSpec(
        options={
            **SERVER,
            "parameters": {"type": "dict"},
            "copy_from": {"type": "dict", "options": {**SERVER, "subscription_id": {"type": "str"}}},
            "source": server_connection_spec(required=False),
            "restart": {"type": "bool", "default": False},
        },
        required_one_of=(("parameters", "copy_from", "source"),),
        mutually_exclusive=(("copy_from", "source"),),
    )
)


class ServerParameters(AzureModule):
    result_key = "server_parameters"
    # Those asked for, by their name in small letters, as they are now and after each write.
    found: dict[str, Parameter]
    changes: list[Change]

    copied: Copied | None = None

    @cached_property
    def server(self) -> AzureServer:
        return self._server(self.params, self.subscription_id)

    def _server(self, where: dict[str, Any], subscription_id: str) -> AzureServer:
        kind = SERVER_TYPES[where["server_type"]]
        return kind(self.azure, subscription_id, where["resource_group"], where["server_name"])

    @property
    def thing(self) -> str:
        return f"the parameters of {self.params['server_name']} in {self.params['resource_group']}"

    def read(self) -> State:
        asked = self.params["parameters"] or {}
        if not asked and not self.params["copy_from"] and not self.params["source"]:
            raise ModuleFailure("parameters is empty: name at least one parameter.")
        there = self.server.parameters()
        self.copied = self._copied(there)
        if self.copied:
            given = {name.lower() for name in asked}
            asked = {name: value for name, value in self.copied.values.items() if name.lower() not in given} | asked
        self.changes = plan(there, asked, str(self.server))
        names = {name.lower() for name in asked}
        self.found = {parameter.key: parameter for parameter in there if parameter.key in names}
        return self._state(restarted=False)

    def _copied(self, there: list[Parameter]) -> Copied | None:
        other, source = self.params["copy_from"], self.params["source"]
        if source:
            return copied(self._settings(Server.from_options("source", source)), there)
        if not other:
            return None
        server = self._server(other, other["subscription_id"] or self.subscription_id)
        with self.doing(f"read the parameters of {server}"):
            return copied(server.parameters(), there, same_product=other["server_type"] == self.params["server_type"])

    @staticmethod
    def _settings(server: Server) -> list[Parameter]:
        with connect(server, "postgres") as connection, sql_errors(server, "read the parameters"):
            return [setting(row) for row in connection.execute(SETTINGS.encode())]

    def _state(self, restarted: bool, changed: tuple[Change, ...] = ()) -> State:
        waiting = [p.name for p in self.found.values() if p.pending_restart and not restarted]
        return {
            "server": self.server.id,
            "parameters": {parameter.name: parameter.value for parameter in self.found.values()},
            "previous": {change.name: change.parameter.value for change in changed},
            "restart_needed": sorted(waiting),
            "restarted": restarted,
            **({"left_out": self.copied.left_out} if self.copied else {}),
        }

    def desired(self, current: State | None) -> State:
        for change in self.changes:
            self._take(change, change.parameter)
        restarts = self.params["restart"] and any(p.pending_restart for p in self.found.values())
        if self.changes or restarts:
            self.server.require_running()
        return self._state(restarts, tuple(self.changes))

    def _take(self, change: Change, answered: Parameter) -> None:
        """Notes a change; the service marks some parameters as waiting for a restart that it does not call static."""
        waits = change.parameter.needs_restart or answered.pending_restart
        self.found[answered.key] = replace(answered, value=change.value, pending_restart=waits)

    def apply(self, want: State) -> State:
        deadline, wait = Deadline(self.params["wait_timeout"]), self.params["wait"]
        done: list[Change] = []
        try:
            written = self.server.write(self.changes, deadline, wait or want["restarted"])
            for change, answered in zip(self.changes, written, strict=True):
                done.append(change)
                self._take(change, answered)
                self.runtime.report(f"{self.server}: {change.name}: {change.parameter.value!r} -> {change.value!r}")
            restarts = self.params["restart"] and any(p.pending_restart for p in self.found.values())
            if restarts:
                self.runtime.report(f"{self.server}: restarting")
                self.server.restart(deadline, wait)
        except ModuleFailure as failure:
            previous = {change.name: change.parameter.value for change in done}
            failure.details |= {
                "changed": bool(done),
                self.result_key: {"server": self.server.id, "previous": previous},
            }
            raise
        return self._state(restarts, tuple(self.changes))

    def shown(self, state: State | None) -> State:
        return {key: (state or {})[key] for key in ("parameters", "restart_needed")}


MODULE = ServerParameters


def main() -> None:
    ServerParameters.main(SPEC)


if __name__ == "__main__":
    main()
