#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flexible_server_info
short_description: Read Flexible Servers
version_added: "1.0.0"
description:
  - Reads one Flexible Server of Azure Database for PostgreSQL, all of a resource group or all of the subscription.
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
  - module: pgflex.migrate.single_server_info
  - module: pgflex.migrate.server_parameters
  - name: Servers of Azure Database for PostgreSQL flexible server in the REST API
    description: The requests that the module makes.
    link: https://learn.microsoft.com/rest/api/postgresql/servers
"""

EXAMPLES = r"""
- name: Read the target server
  pgflex.migrate.flexible_server_info:
    resource_group: shop-rg
    name: shop-new
  register: target

- name: Stop when it is not there or does not run
  ansible.builtin.assert:
    that:
      - target.flexible_servers | length == 1
      - target.flexible_servers[0].state == 'Ready'

- name: Read all Flexible Servers of a resource group
  pgflex.migrate.flexible_server_info:
    resource_group: shop-rg

- name: Read all Flexible Servers of another subscription
  pgflex.migrate.flexible_server_info:
    subscription_id: 11111111-1111-1111-1111-111111111111
"""

RETURN = r"""
flexible_servers:
  description: The servers found, an empty list when there are none.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the server.
      type: str
      returned: success
      sample: /subscriptions/.../resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-new
    name:
      description: Name of the server.
      type: str
      returned: success
      sample: shop-new
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
      sample: "16"
    minor_version:
      description: Minor version of PostgreSQL.
      type: str
      returned: success
      sample: "9"
    sku:
      description: Name of the size.
      type: str
      returned: success
      sample: Standard_D4ds_v5
    tier:
      description: Tier of the size.
      type: str
      returned: success
      sample: GeneralPurpose
    vcores:
      description: Number of virtual cores as the name of the size tells it; V(null) when it does not.
      type: int
      returned: success
      sample: 4
    storage_gb:
      description: Size of the storage in GB.
      type: int
      returned: success
      sample: 128
    fully_qualified_domain_name:
      description: DNS name to connect to.
      type: str
      returned: success
      sample: shop-new.postgres.database.azure.com
    administrator_login:
      description: Name of the administrator.
      type: str
      returned: success
      sample: shopadmin
    public_network_access:
      description: Whether the server can be reached from outside its network, V(Enabled) or V(Disabled).
      type: str
      returned: success
      sample: Enabled
    network:
      description: The virtual network that the server lives in; both ids are V(null) for one with public access.
      type: dict
      returned: success
      contains:
        delegated_subnet_id:
          description: Id of the subnet that is delegated to the server.
          type: str
          returned: success
        private_dns_zone_id:
          description: Id of the private DNS zone that knows the server's name.
          type: str
          returned: success
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
    high_availability:
      description: Mode of high availability, V(Disabled), V(SameZone) or V(ZoneRedundant).
      type: str
      returned: success
      sample: Disabled
    backup_retention_days:
      description: Number of days that backups are kept.
      type: int
      returned: success
      sample: 7
    replication_role:
      description: V(Primary) for a server of its own, V(AsyncReplica) or V(GeoAsyncReplica) for a read replica.
      type: str
      returned: success
      sample: Primary
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
from ..module_utils._server.servers import flexible_servers
from ..module_utils._spec import AZURE, ArgumentSpec

SPEC = AZURE.merge(
    ArgumentSpec(
        options={"resource_group": {"type": "str"}, "name": {"type": "str"}},
        required_by={"name": ("resource_group",)},
    )
)


class FlexibleServerInfo(AzureInfoModule):
    result_key = "flexible_servers"

    def results(self) -> list[dict[str, Any]]:
        return flexible_servers(self.azure, self.params["resource_group"], self.params["name"])


MODULE = FlexibleServerInfo


def main() -> None:
    FlexibleServerInfo.main(SPEC)


if __name__ == "__main__":
    main()
