#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: private_endpoint_info
short_description: Read private endpoints of PostgreSQL servers
version_added: "1.1.0"
description:
  - Reads private endpoints by their ids, those of one server, one by name, or all of a resource group or of the
    subscription that lead to servers of Azure Database for PostgreSQL.
  - Each is completed with the address of its network interface and the private DNS zones of its zone group, which the
    endpoint itself does not tell.
  - What does not exist gives no entry; everything else that goes wrong is a failure.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  ids:
    description:
      - Ids of the private endpoints that are wanted, of any subscription.
    type: list
    elements: str
  server_id:
    description:
      - Id of a Single or Flexible Server whose private endpoints are wanted, of any subscription.
    type: str
  resource_group:
    description:
      - Resource group whose private endpoints are wanted.
      - Left out together with O(ids) and O(server_id), all of the subscription are read.
    type: str
  name:
    description:
      - Name of the one private endpoint that is wanted; needs O(resource_group).
    type: str
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes.info
seealso:
  - module: pgflex.migrate.topology_info
  - module: pgflex.migrate.single_server_info
  - module: pgflex.migrate.flexible_server_info
  - name: Private endpoints in the REST API
    description: The requests that the module makes.
    link: https://learn.microsoft.com/rest/api/virtualnetwork/private-endpoints
"""

EXAMPLES = r"""
- name: Read the private endpoints of the source server
  pgflex.migrate.private_endpoint_info:
    server_id: "{{ source.single_servers[0].id }}"
  register: endpoints

- name: Stop when none of them is approved
  ansible.builtin.assert:
    that: endpoints.private_endpoints | selectattr('status', 'eq', 'Approved') | list | length > 0

- name: Read one private endpoint
  pgflex.migrate.private_endpoint_info:
    resource_group: shop-rg
    name: shop-old-endpoint

- name: Read all private endpoints of PostgreSQL servers in the subscription
  pgflex.migrate.private_endpoint_info:
"""

RETURN = r"""
private_endpoints:
  description: The private endpoints found, an empty list when there are none.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the private endpoint.
      type: str
      returned: success
      sample: /subscriptions/.../resourceGroups/shop-rg/providers/Microsoft.Network/privateEndpoints/shop-old-endpoint
    name:
      description: Name of the private endpoint.
      type: str
      returned: success
      sample: shop-old-endpoint
    resource_group:
      description: Resource group that holds it.
      type: str
      returned: success
      sample: shop-rg
    subscription_id:
      description: Subscription that holds it.
      type: str
      returned: success
      sample: 11111111-1111-1111-1111-111111111111
    location:
      description: Name of the region.
      type: str
      returned: success
      sample: westeurope
    virtual_network_id:
      description: Id of the virtual network that it is in.
      type: str
      returned: success
      sample: /subscriptions/.../providers/Microsoft.Network/virtualNetworks/shop-vnet
    subnet_id:
      description: Id of the subnet that it has its address in.
      type: str
      returned: success
      sample: /subscriptions/.../providers/Microsoft.Network/virtualNetworks/shop-vnet/subnets/endpoints
    private_ip_addresses:
      description: Its addresses in the virtual network.
      type: list
      elements: str
      returned: success
      sample: [10.0.1.4]
    server_id:
      description: Id of the server that it leads to.
      type: str
      returned: success
      sample: /subscriptions/.../resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL/servers/shop-old
    status:
      description: Whether the connection is V(Approved), V(Pending), V(Rejected) or V(Disconnected).
      type: str
      returned: success
      sample: Approved
    fqdns:
      description: The server's names that lead to it.
      type: list
      elements: str
      returned: success
      sample: [shop-old.postgres.database.azure.com]
    private_dns_zone_ids:
      description: Ids of the private DNS zones that its zone group keeps its address in.
      type: list
      elements: str
      returned: success
      sample: []
    tags:
      description: Tags of the private endpoint.
      type: dict
      returned: success
      sample: {team: shop}
"""

from typing import Any

from ..module_utils._clients import AzureInfoModule
from ..module_utils._ids import ResourceId
from ..module_utils._network.private_endpoint import PrivateEndpoints
from ..module_utils._spec import AZURE, ArgumentSpec

SPEC = AZURE.merge(
    ArgumentSpec(
        options={
            "ids": {"type": "list", "elements": "str"},
            "server_id": {"type": "str"},
            "resource_group": {"type": "str"},
            "name": {"type": "str"},
        },
        mutually_exclusive=(("ids", "server_id", "resource_group"),),
        required_by={"name": ("resource_group",)},
    )
)


class PrivateEndpointInfo(AzureInfoModule):
    result_key = "private_endpoints"

    def results(self) -> list[dict[str, Any]]:
        reader, params = PrivateEndpoints(self.azure), self.params
        if params["server_id"]:
            return reader.of_server(params["server_id"])
        if params["ids"] is not None:
            return reader.by_ids(params["ids"])
        if not params["name"]:
            return reader.listed(params["resource_group"])
        where = (self.subscription_id, params["resource_group"], "Microsoft.Network")
        return reader.by_ids([str(ResourceId(*where, ("privateEndpoints",), (params["name"],)))])


MODULE = PrivateEndpointInfo


def main() -> None:
    PrivateEndpointInfo.main(SPEC)


if __name__ == "__main__":
    main()
