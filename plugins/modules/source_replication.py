#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: source_replication
short_description: Turn on logical replication at the source of an online migration
version_added: "1.0.0"
description:
  - Sets C(azure.replication_support) of a Single Server to V(LOGICAL) and restarts it, which an online migration needs.
    The restart costs 2 to 3 minutes of downtime and has to be allowed with O(restart).
  - Looks whether a server of one's own, on-premises or in any cloud, is set up for logical replication, and changes
    nothing there. One failure lists all that is missing, with the command that mends each.
  - A Flexible Server as the source, for an upgrade of its major version, gets C(wal_level) V(logical) from
    M(pgflex.migrate.server_parameters); give it as O(source) to have everything checked.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  resource_group:
    description:
      - Resource group of the Single Server.
    type: str
  server_name:
    description:
      - Name of the Single Server, without its domain.
    type: str
  databases:
    description:
      - The databases that are to be migrated from O(source). Each takes a replication slot, so their number matters.
        The first of them is connected to.
      - Left out, one is assumed and the database V(postgres) is connected to.
    type: list
    elements: str
  restart:
    description:
      - Whether the Single Server may be restarted when that is needed.
      - With V(false) the task fails before it changes anything when a restart would be needed, in check mode as well.
    type: bool
    default: false
  off_value:
    description:
      - What O(state=absent) sets C(azure.replication_support) to. V(REPLICA) is what most servers have from the start.
    type: str
    choices:
      - REPLICA
      - 'OFF'
    default: REPLICA
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._connection.optional_source
  - pgflex.migrate._state
  - pgflex.migrate._wait
notes:
  - A Single Server does not tell whether it was restarted after the value was set. When the restart fails the task says
    so, and it has to be done by hand.
seealso:
  - module: pgflex.migrate.server_parameters
  - name: Logical decoding in Azure Database for PostgreSQL Single Server
    description: What the parameter does.
    link: https://learn.microsoft.com/previous-versions/azure/postgresql/single-server/concepts-logical
"""

EXAMPLES = r"""
- name: Turn on logical replication and restart
  pgflex.migrate.source_replication:
    resource_group: shop-rg
    server_name: shop-old
    restart: true

- name: See whether the server would be restarted
  pgflex.migrate.source_replication:
    resource_group: shop-rg
    server_name: shop-old
    restart: true
  check_mode: true
  register: plan

- name: See that a server on-premises is ready
  pgflex.migrate.source_replication:
    source:
      host: db1.example.com
      user: migrator
      password: "{{ vault_source_password }}"
    databases: [shop, stock]

- name: Turn it off again after the migration
  pgflex.migrate.source_replication:
    resource_group: shop-rg
    server_name: shop-old
    restart: true
    state: absent
"""

RETURN = r"""
source_replication:
  description: Logical replication at the source; V(null) with O(state=absent).
  returned: success
  type: dict
  contains:
    server:
      description: Id of the Single Server, or host and port of a server of one's own.
      type: str
      returned: success
      sample: db1.example.com:5432
    parameters:
      description:
        - The parameters that matter, with their values. C(azure.replication_support) of a Single Server. Of a server of
          one's own C(wal_level), C(max_replication_slots), C(max_wal_senders) and C(wal_sender_timeout) (in ms).
      type: dict
      returned: success
      sample: {azure.replication_support: LOGICAL}
previous:
  description: The values that were overwritten, by name.
  returned: success
  type: dict
  sample: {azure.replication_support: REPLICA}
restarted:
  description: Whether the Single Server was restarted.
  returned: success
  type: bool
  sample: true
lacking:
  description: What a server of one's own lacks.
  returned: when there is such a thing
  type: list
  elements: dict
  contains:
    name:
      description: The parameter or user that does not suffice.
      type: str
      returned: always
      sample: wal_level
    value:
      description: What it is.
      type: str
      returned: always
      sample: replica
    needed:
      description: What it has to be.
      type: str
      returned: always
      sample: logical
    remedy:
      description: What mends it.
      type: str
      returned: always
      sample: ALTER SYSTEM SET wal_level = logical;
"""

from functools import cached_property
from typing import Any

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._errors import ModuleFailure
from ..module_utils._postgres import Server, server_connection_spec
from ..module_utils._server.parameters import Change, Parameter, plan
from ..module_utils._server.servers import SingleServer
from ..module_utils._source.replication import SHORT_TIMEOUT_MS, lacking, not_ready, read_facts
from ..module_utils._spec import AZURE, STATE, WAIT, ArgumentSpec
from ..module_utils._wait import Deadline

NAME = "azure.replication_support"
LOGICAL = "LOGICAL"

SPEC = (
    AZURE.merge(STATE)
    .merge(WAIT)
    .merge(
        ArgumentSpec(
            options={
                "resource_group": {"type": "str"},
                "server_name": {"type": "str"},
                "source": server_connection_spec(required=False),
                "databases": {"type": "list", "elements": "str"},
                "restart": {"type": "bool", "default": False},
                "off_value": {"type": "str", "choices": ["REPLICA", "OFF"], "default": "REPLICA"},
            },
            required_one_of=(("server_name", "source"),),
            required_together=(("resource_group", "server_name"),),
            mutually_exclusive=(("server_name", "source"),),
        )
    )
)


class SourceReplication(AzureModule):
    result_key = "source_replication"
    parameter: Parameter | None = None
    change: Change | None = None

    @cached_property
    def server(self) -> SingleServer:
        where = (self.params["resource_group"], self.params["server_name"])
        return SingleServer(self.azure, self.subscription_id, *where)

    @property
    def thing(self) -> str:
        place = (
            "the source"
            if self.params["source"]
            else f"{self.params['server_name']} in {self.params['resource_group']}"
        )
        return f"logical replication of {place}"

    def read(self) -> State | None:
        if self.params["source"]:
            return self._own_server()
        self.parameter = self.server.parameter(NAME)
        is_on, wants_on = self.parameter.value.upper() == LOGICAL, self.params["state"] == "present"
        if is_on != wants_on:
            value = LOGICAL if wants_on else self.params["off_value"]
            (self.change,) = plan([self.parameter], {NAME: value}, str(self.server))
            self._require_restart(self.change)
            self.server.require_running()
        return self._state() if is_on else None

    def _own_server(self) -> State:
        server = Server.from_options("source", self.params["source"])
        if self.params["state"] == "absent":
            raise ModuleFailure(
                "state absent is for a Single Server: nothing was changed at a server of one's own.",
                code="NotSupported",
                hint="Put its parameters back by hand.",
            )
        databases = self.params["databases"] or ["postgres"]
        facts = read_facts(server, databases[0])
        lacks = lacking(facts, len(databases))
        if lacks:
            raise not_ready(server, lacks)
        if 0 < facts.wal_sender_timeout < SHORT_TIMEOUT_MS:
            self.runtime.warn(
                f"wal_sender_timeout of {server} is {facts.wal_sender_timeout} ms: "
                "a long copy may lose its connection, 0 or 60000 and more are safe."
            )
        return {"server": f"{server.host}:{server.port}", "parameters": facts.parameters}

    def _require_restart(self, change: Change) -> None:
        if not self.params["restart"]:
            raise ModuleFailure(
                f"{NAME} of {self.server} is {change.parameter.value} and has to become {change.value}, which takes a "
                "restart with 2 to 3 minutes of downtime. Nothing was changed.",
                code="RestartNotAllowed",
                hint="Set the option restart, in the roles pgflex.allow_source_restart, to true to allow it.",
            )

    def _state(self) -> State:
        return {"server": self.server.id, "parameters": {NAME: LOGICAL}}

    def desired(self, current: State | None) -> State:
        return current or self._state()

    def apply(self, want: State) -> State:
        self._switch()
        return want

    def remove(self, current: State) -> None:
        self._switch()

    def _switch(self) -> None:
        if self.change is None:
            return
        deadline, written = Deadline(self.params["wait_timeout"]), False
        try:
            for parameter in self.server.write([self.change], deadline):
                written = True
                self.runtime.report(f"{self.server}: {NAME} is {parameter.value}, restarting")
            self.server.restart(deadline, self.params["wait"])
        except ModuleFailure as failure:
            failure.details |= {"changed": written, **self.extra(), "restarted": False}
            raise

    def extra(self) -> dict[str, Any]:
        previous = {NAME: self.change.parameter.value} if self.change else {}
        return {"previous": previous, "restarted": bool(self.change)}

    def shown(self, state: State | None) -> State:
        if state or self.parameter is None:
            return {"parameters": (state or {}).get("parameters", {})}
        off = self.change.value if self.change and self.params["state"] == "absent" else self.parameter.value
        return {"parameters": {NAME: off}}


MODULE = SourceReplication


def main() -> None:
    SourceReplication.main(SPEC)


if __name__ == "__main__":
    main()
