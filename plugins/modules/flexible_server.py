#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flexible_server
short_description: Make, change or delete a Flexible Server
version_added: "1.1.0"
description:
  - Makes a Flexible Server of Azure Database for PostgreSQL, public or inside a virtual network, changes its size,
    storage, tags, backups and high availability, or deletes it.
  - With O(like) the new server gets the size, storage, version and location that match another server, chosen from
    what the location offers; of a server that is there, the module says what is too small.
  - The location, the administrator's name and the subnet of a server can not be changed, its storage only grows, and
    its major version is not changed by this module; each of these is one clear failure before anything is written.
  - Deleting a server deletes its databases and its backups with it.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  resource_group:
    description:
      - Resource group that holds the server.
    type: str
    required: true
  name:
    description:
      - Name of the server. It is a host name, so it has to be unique in all of Azure.
    type: str
    required: true
  location:
    description:
      - Region of the server.
      - Left out, a new server gets that of the server of O(like), otherwise that of its resource group.
    type: str
  version:
    description:
      - Major version of PostgreSQL. Needed for a new server, unless O(like) is given.
    type: str
  sku_name:
    description:
      - Size of the server, such as V(Standard_D4ds_v5). Needed for a new server, unless O(like) is given.
      - A change of the size restarts the server.
    type: str
  sku_tier:
    description:
      - Tier of the size. Left out, it is the one that O(sku_name) has in the location.
    type: str
    choices:
      - Burstable
      - GeneralPurpose
      - MemoryOptimized
  storage_gb:
    description:
      - Size of the storage in GB. It can grow and never shrink.
      - Left out, a new server gets 128, or what O(like) asks for.
    type: int
  administrator_login:
    description:
      - Name of the administrator. Needed for a new server.
    type: str
  administrator_password:
    description:
      - Password of the administrator. Needed for a new server.
    type: str
  update_password:
    description:
      - With V(on_create) the password is set when the server is made, and never again.
      - With V(always) it is set at every run, which then always changes something, since nobody can read a password.
    type: str
    choices:
      - on_create
      - always
    default: on_create
  delegated_subnet_id:
    description:
      - Id of the subnet that the server is to live in, which has to be delegated to
        C(Microsoft.DBforPostgreSQL/flexibleServers). Left out, a new server is a public one.
    type: str
  private_dns_zone_id:
    description:
      - Id of the private DNS zone that is to know the server's name. It has to be linked to the network of
        O(delegated_subnet_id).
    type: str
  public_network_access:
    description:
      - Whether a server that is not in a virtual network can be reached by its public address.
      - Left out, a new one can, and an existing one keeps what it has.
    type: str
    choices:
      - Enabled
      - Disabled
  high_availability:
    description:
      - Mode of high availability. Left out, a new server has none and an existing one keeps what it has.
    type: str
    choices:
      - Disabled
      - SameZone
      - ZoneRedundant
  backup_retention_days:
    description:
      - Number of days that backups are kept, from 7 to 35.
      - Left out, a new server keeps them for 7 days and an existing one as before.
    type: int
  tags:
    description:
      - Tags that the server is to have; others that it has stay.
    type: dict
  like:
    description:
      - A server that this one has to be a match for, mostly the source of a migration.
      - The size is the smallest of the same tier with at least its vCores and four fifths of its memory, which is what
        Flexible Servers have for the same work; the storage at least 1.25 times the used size and never less than
        the other's; the version the same or the next newer one. Options that are given win.
      - A server that is there is not changed for it; when it is too small, the task fails and says why.
    type: dict
    suboptions:
      server_type:
        description:
          - Which kind of server the other one is.
        type: str
        choices:
          - single_server
          - flexible_server
        required: true
      resource_group:
        description:
          - Resource group that holds the other server.
        type: str
        required: true
      name:
        description:
          - Name of the other server, without its domain.
        type: str
        required: true
      subscription_id:
        description:
          - Subscription that holds the other server. Left out, it is the one of this server.
        type: str
      used_storage_gb:
        description:
          - How much of its storage the other server uses, in GB. Left out, all of it is taken as used.
        type: float
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._state
  - pgflex.migrate._wait
seealso:
  - module: pgflex.migrate.flexible_server_info
  - module: pgflex.migrate.server_parameters
  - module: pgflex.migrate.firewall_rules
  - module: pgflex.migrate.subnet
  - name: Flexible Servers in the REST API
    description: The requests that the module makes.
    link: https://learn.microsoft.com/rest/api/postgresql/servers
"""

EXAMPLES = r"""
- name: Make a target that matches the source
  pgflex.migrate.flexible_server:
    resource_group: shop-rg
    name: shop-new
    administrator_login: shopadmin
    administrator_password: "{{ vault_shop_password }}"
    like:
      server_type: single_server
      resource_group: shop-rg
      name: shop-old
      used_storage_gb: 61

- name: Make a server inside a virtual network
  pgflex.migrate.flexible_server:
    resource_group: shop-rg
    name: shop-private
    version: "16"
    sku_name: Standard_D4ds_v5
    storage_gb: 256
    administrator_login: shopadmin
    administrator_password: "{{ vault_shop_password }}"
    delegated_subnet_id: "{{ subnet.subnet.id }}"
    private_dns_zone_id: "{{ zone.private_dns_zone.id }}"

- name: See what a larger size would change
  pgflex.migrate.flexible_server:
    resource_group: shop-rg
    name: shop-new
    sku_name: Standard_D8ds_v5
  check_mode: true
  diff: true

- name: Delete the server and all that is in it
  pgflex.migrate.flexible_server:
    resource_group: shop-rg
    name: shop-runtime
    state: absent
"""

RETURN = r"""
flexible_server:
  description: >-
    The server as it is after the task, with the keys of RV(pgflex.migrate.flexible_server_info#module:flexible_servers)
    and one more; V(null) when it is not there.
  returned: success
  type: dict
  contains:
    id:
      description: Id of the server.
      type: str
      returned: success
      sample: /subscriptions/.../resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-new
    fully_qualified_domain_name:
      description: DNS name to connect to; V(null) in check mode for a server that is not there yet.
      type: str
      returned: success
      sample: shop-new.postgres.database.azure.com
    state:
      description: State of the server, V(Ready) when it runs.
      type: str
      returned: success
      sample: Ready
    password_updated:
      description: Whether the task set the administrator's password.
      type: bool
      returned: success
      sample: false
"""

from functools import cached_property

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._errors import ModuleFailure
from ..module_utils._network.private_endpoint import there
from ..module_utils._server.flexible import change_body, creation_body, explain, problems
from ..module_utils._server.plan import ServerPlan
from ..module_utils._server.servers import DOWN, READY, SERVER_TYPES, FlexibleServer
from ..module_utils._server.sizing import TIERS
from ..module_utils._spec import AZURE, STATE, WAIT, ArgumentSpec
from ..module_utils._wait import Deadline

LIKE = {
    "server_type": {"type": "str", "choices": list(SERVER_TYPES), "required": True},
    "resource_group": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "subscription_id": {"type": "str"},
    "used_storage_gb": {"type": "float"},
}
SPEC = (
    AZURE.merge(STATE)
    .merge(WAIT)
    .merge(
        ArgumentSpec(
            options={
                "resource_group": {"type": "str", "required": True},
                "name": {"type": "str", "required": True},
                "location": {"type": "str"},
                "version": {"type": "str"},
                "sku_name": {"type": "str"},
                "sku_tier": {"type": "str", "choices": list(TIERS)},
                "storage_gb": {"type": "int"},
                "administrator_login": {"type": "str"},
                "administrator_password": {"type": "str", "no_log": True},
                "update_password": {
                    "type": "str",
                    "choices": ["on_create", "always"],
                    "default": "on_create",
                    "no_log": False,
                },
                "delegated_subnet_id": {"type": "str"},
                "private_dns_zone_id": {"type": "str"},
                "public_network_access": {"type": "str", "choices": ["Enabled", "Disabled"]},
                "high_availability": {"type": "str", "choices": ["Disabled", "SameZone", "ZoneRedundant"]},
                "backup_retention_days": {"type": "int"},
                "tags": {"type": "dict"},
                "like": {"type": "dict", "options": LIKE},
            },
            required_together=(("delegated_subnet_id", "private_dns_zone_id"),),
            required_by={"sku_tier": ("sku_name",)},
            required_if=(("update_password", "always", ("administrator_password",)),),
        )
    )
)


class FlexibleServerModule(AzureModule):
    result_key = "flexible_server"
    current: State | None

    @cached_property
    def server(self) -> FlexibleServer:
        where = (self.params["resource_group"], self.params["name"])
        return FlexibleServer(self.azure, self.subscription_id, *where)

    @property
    def thing(self) -> str:
        return f"the flexible server {self.params['name']} in {self.params['resource_group']}"

    def read(self) -> State | None:
        wrong = list(problems(self.params)) if self.params["state"] == "present" else []
        if wrong:
            raise ModuleFailure(
                f"Failed to update {self.thing}, nothing was changed: {'; '.join(wrong)}.", code="InvalidOptions"
            )
        found = there(self.server.details)
        if found and self._in_transition(found):
            found = self.server.until_ready(Deadline(self.params["wait_timeout"]))
        self.current = {**found, "password_updated": False} if found else None
        return self.current

    def _in_transition(self, found: State) -> bool:
        """A run that picks up an earlier one compares with what comes of that."""
        settled = found["state"] == READY or found["state"] in DOWN
        return self.params["state"] == "present" and bool(self.params["wait"]) and not settled

    def desired(self, current: State | None) -> State:
        row = ServerPlan(self.azure, self.server.id, self.params).row(current)
        return {**row, "password_updated": current is None or self.params["update_password"] == "always"}

    def apply(self, want: State) -> State:
        deadline, wait = Deadline(self.params["wait_timeout"]), self.params["wait"]
        password = self.params["administrator_password"]
        try:
            if self.current is None:
                self.server.create(creation_body(want, password), deadline, wait)
            else:
                content = change_body(self.current, want, password if want["password_updated"] else None)
                self.server.change(content, deadline, wait)
        except ModuleFailure as failure:
            raise explain(failure) from failure
        if not wait:
            return {**want, "state": "Updating" if self.current else "Provisioning"}
        return {**self.server.until_ready(deadline), "password_updated": want["password_updated"]}

    def remove(self, current: State) -> None:
        self.server.delete(Deadline(self.params["wait_timeout"]), self.params["wait"])


MODULE = FlexibleServerModule


def main() -> None:
    FlexibleServerModule.main(SPEC)


if __name__ == "__main__":
    main()
