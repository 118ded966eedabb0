#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: virtual_network_rule
short_description: Let subnets reach a Single Server by virtual network rules
version_added: "1.1.0"
description:
  - Makes, changes and removes virtual network rules of one Single Server of Azure Database for PostgreSQL. Each lets in
    what runs in a subnet that has the service endpoint C(Microsoft.Sql).
  - All rules are read with one request. Only those that differ are written, one after the other, since a server takes
    one operation at a time; what is to be removed goes last.
  - Rules of other names are left alone, unless O(exact=true). The service compares names without regard to case.
  - Flexible Servers have no such rules, and neither have Single Servers of the tier Basic. So there is nothing to copy
    from a source to a Flexible Server; what it lets in by firewall rules can be copied with
    M(pgflex.migrate.firewall_rules), and for subnets it needs a private endpoint or a place in the network.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  resource_group:
    description:
      - Resource group that holds the Single Server.
    type: str
    required: true
  server_name:
    description:
      - Name of the Single Server, without its domain.
    type: str
    required: true
  rules:
    description:
      - The rules that are to be there, or with O(state=absent) not to be there. An empty list needs O(exact=true).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the rule, of letters, digits, hyphens and underscores.
        type: str
        required: true
      subnet_id:
        description:
          - Id of the subnet that is admitted, which has to be in the server's region. Needed unless O(state=absent).
          - It needs the service endpoint C(Microsoft.Sql), which M(pgflex.migrate.subnet) adds.
        type: str
      ignore_missing_vnet_service_endpoint:
        description:
          - Whether the rule may be made before its subnet has the service endpoint; it admits nobody until then.
          - Left out, a new rule gets V(false) and an existing one keeps what it has.
        type: bool
  exact:
    description:
      - Whether rules of other names are removed. It is of no use with O(state=absent).
    type: bool
    default: false
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._state
  - pgflex.migrate._wait
seealso:
  - module: pgflex.migrate.firewall_rules
  - module: pgflex.migrate.subnet
  - module: pgflex.migrate.topology_info
  - name: Virtual network rules of Azure Database for PostgreSQL in the REST API
    description: The requests that the module makes.
    link: https://learn.microsoft.com/rest/api/postgresql/singleserver/virtual-network-rules
"""

EXAMPLES = r"""
- name: Let the subnet in that the migration works from
  pgflex.migrate.virtual_network_rule:
    resource_group: shop-rg
    server_name: shop-old
    rules:
      - name: pgflex-migration
        subnet_id: "{{ migration_subnet.subnet.id }}"

- name: See what would change if these were the only ones
  pgflex.migrate.virtual_network_rule:
    resource_group: shop-rg
    server_name: shop-old
    rules:
      - name: shop-app
        subnet_id: "{{ app_subnet_id }}"
      - name: shop-jobs
        subnet_id: "{{ jobs_subnet_id }}"
    exact: true
  check_mode: true
  diff: true

- name: Take the rule away again
  pgflex.migrate.virtual_network_rule:
    resource_group: shop-rg
    server_name: shop-old
    rules:
      - name: pgflex-migration
    state: absent
"""

RETURN = r"""
virtual_network_rule:
  description: The server's rules as they are after the task; V(null) with O(state=absent).
  returned: success
  type: dict
  contains:
    server:
      description: Id of the server.
      type: str
      returned: success
      sample: /subscriptions/.../resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL/servers/shop-old
    rules:
      description: All rules of the server by their names, those that were not asked for too.
      type: list
      elements: dict
      returned: success
      contains:
        name:
          description: Name of the rule.
          type: str
          returned: success
          sample: pgflex-migration
        subnet_id:
          description: Id of the subnet that is admitted.
          type: str
          returned: success
          sample: /subscriptions/.../providers/Microsoft.Network/virtualNetworks/shop-vnet/subnets/pgflex-migration
        ignore_missing_vnet_service_endpoint:
          description: Whether the rule may be there without the subnet's service endpoint.
          type: bool
          returned: success
          sample: false
        state:
          description: State of the rule, V(Ready) when it acts.
          type: str
          returned: success
          sample: Ready
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from ..module_utils._errors import ModuleFailure
from ..module_utils._server.rules import RULES, Row, RulesModule, network_equal, network_row, subnet_problems
from ..module_utils._server.servers import SingleServer
from ..module_utils._spec import ArgumentSpec

RULE = {
    "name": {"type": "str", "required": True},
    "subnet_id": {"type": "str"},
    "ignore_missing_vnet_service_endpoint": {"type": "bool"},
}
SPEC = RULES.merge(
    ArgumentSpec(options={"rules": {"type": "list", "elements": "dict", "required": True, "options": RULE}})
)


class VirtualNetworkRule(RulesModule):
    result_key = "virtual_network_rule"
    kind = "virtual_network_rules"

    @cached_property
    def server(self) -> SingleServer:
        where = (self.params["resource_group"], self.params["server_name"])
        return SingleServer(self.azure, self.subscription_id, *where)

    def problems(self, rule: Row) -> Iterable[str]:
        return subnet_problems(rule)

    def row(self, found: Row) -> Row:
        return network_row(found)

    def merged(self, rule: Row, current: Row | None) -> Row:
        ignore = rule["ignore_missing_vnet_service_endpoint"]
        if ignore is None:
            ignore = bool(current and current["ignore_missing_vnet_service_endpoint"])
        row = {
            "name": current["name"] if current else rule["name"],
            "subnet_id": f"/{rule['subnet_id'].strip('/')}",
            "ignore_missing_vnet_service_endpoint": ignore,
            "state": "Ready",
        }
        return current if current and network_equal(row, current) else row

    def properties(self, row: Row) -> dict[str, Any]:
        return {
            "virtualNetworkSubnetId": row["subnet_id"],
            "ignoreMissingVnetServiceEndpoint": row["ignore_missing_vnet_service_endpoint"],
        }

    def allowed(self, server: Row) -> None:
        if server["tier"] == "Basic":
            raise ModuleFailure(
                f"{self.server} takes no virtual network rules: its tier is Basic.",
                code="NoVirtualNetworkRules",
                hint="Use pgflex.migrate.firewall_rules, or give the server the tier General Purpose.",
            )


MODULE = VirtualNetworkRule


def main() -> None:
    VirtualNetworkRule.main(SPEC)


if __name__ == "__main__":
    main()
