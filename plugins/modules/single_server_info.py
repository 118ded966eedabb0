#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: single_server_info
short_description: Read Single Servers
version_added: "1.0.0"
description:
  - Reads one Single Server of Azure Database for PostgreSQL, all of a resource group or all of the subscription.
  - A server or resource group that does not exist gives an empty list; everything else that goes wrong is a failure.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  resource_group:
    description:
      - Resource group whose servers are wanted.
      - Left out, all servers of the subscription are read.
    type: str
  name:
    description:
      - Name of the one server that is wanted; needs O(resource_group).
      - Left out, all servers of the resource group are read.
    type: str
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes.info
seealso:
  - module: pgflex.migrate.flexible_server_info
  - module: pgflex.migrate.server_parameters
  - name: Servers of Azure Database for PostgreSQL in the REST API
    description: The requests that the module makes.
    link: https://learn.microsoft.com/rest/api/postgresql/singleserver/servers
"""

EXAMPLES = r"""
- name: Read the source server
  pgflex.migrate.single_server_info:
    resource_group: shop-rg
    name: shop-old
  register: source

- name: Stop when there is no such server
  ansible.builtin.assert:
    that: source.single_servers | length == 1

- name: Read all Single Servers of the subscription
  pgflex.migrate.single_server_info:
    subscription_id: 11111111-1111-1111-1111-111111111111
  register: everything

- name: Show which of them can only be reached through a private endpoint
  ansible.builtin.debug:
    msg: "{{ everything.single_servers | selectattr('public_network_access', 'eq', 'Disabled') | list }}"
"""

RETURN = r"""
single_servers:
  description: The servers found, an empty list when there are none.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the server.
      type: str
      returned: success
      sample: /subscriptions/.../resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL/servers/shop-old
    name:
      description: Name of the server.
      type: str
      returned: success
      sample: shop-old
    resource_group:
      description: Resource group that holds the server.
      type: str
      returned: success
      sample: shop-rg
    subscription_id:
      description: Subscription that holds the server.
      type: str
      returned: success
      sample: 11111111-1111-1111-1111-111111111111
    location:
      description: Name of the region, in small letters and without spaces.
      type: str
      returned: success
      sample: westeurope
    version:
      description: Major version of PostgreSQL.
      type: str
      returned: success
      sample: "11"
    sku:
      description: Name of the size.
      type: str
      returned: success
      sample: GP_Gen5_4
    tier:
      description: Tier of the size.
      type: str
      returned: success
      sample: GeneralPurpose
    vcores:
      description: Number of virtual cores.
      type: int
      returned: success
      sample: 4
    storage_mb:
      description: Size of the storage in MB.
      type: int
      returned: success
      sample: 128000
    fully_qualified_domain_name:
      description: DNS name to connect to.
      type: str
      returned: success
      sample: shop-old.postgres.database.azure.com
    administrator_login:
      description: Name of the administrator; to sign in, it is followed by C(@) and the server's name.
      type: str
      returned: success
      sample: shopadmin
    public_network_access:
      description: Whether the server can be reached from outside its private endpoints, V(Enabled) or V(Disabled).
      type: str
      returned: success
      sample: Enabled
    ssl_enforcement:
      description: Whether connections have to use TLS, V(Enabled) or V(Disabled).
      type: str
      returned: success
      sample: Enabled
    minimal_tls_version:
      description: Lowest version of TLS that the server accepts.
      type: str
      returned: success
      sample: TLS1_2
    private_endpoint_connections:
      description: The private endpoints that are connected to the server.
      type: list
      elements: dict
      returned: success
      contains:
        id:
          description: Id of the connection.
          type: str
          returned: success
        private_endpoint_id:
          description: Id of the private endpoint.
          type: str
          returned: success
        status:
          description: Whether the connection is V(Approved), V(Pending), V(Rejected) or V(Disconnected).
          type: str
          returned: success
    replication_role:
      description: V(None) for a server of its own, V(Master) for one with read replicas, V(Replica) for a read replica.
      type: str
      returned: success
      sample: None
    state:
      description: State of the server, V(Ready) when it runs.
      type: str
      returned: success
      sample: Ready
    tags:
      description: The server's tags.
      type: dict
      returned: success
      sample: {team: shop}
"""

from typing import Any

from ..module_utils._clients import AzureInfoModule
from ..module_utils._server.servers import single_servers
from ..module_utils._spec import AZURE, ArgumentSpec

SPEC = AZURE.merge(
    ArgumentSpec(
        options={"resource_group": {"type": "str"}, "name": {"type": "str"}},
        required_by={"name": ("resource_group",)},
    )
)


class SingleServerInfo(AzureInfoModule):
    result_key = "single_servers"

    def results(self) -> list[dict[str, Any]]:
        return single_servers(self.azure, self.params["resource_group"], self.params["name"])


MODULE = SingleServerInfo


def main() -> None:
    SingleServerInfo.main(SPEC)


if __name__ == "__main__":
    main()
