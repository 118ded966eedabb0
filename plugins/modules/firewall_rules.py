#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_rules
short_description: Set many firewall rules of a Single or Flexible Server at once
version_added: "1.1.0"
description:
  - Makes, changes and removes firewall rules of one server of Azure Database for PostgreSQL.
  - All rules are read with one request. Only those that differ are written, one after the other, since a server takes
    one operation at a time; what is to be removed goes last.
  - Rules of other names are left alone, unless O(exact=true). The service compares names without regard to case.
  - A rule from 0.0.0.0 to 0.0.0.0 is what the portal calls "Allow public access from any Azure service". It admits
    whatever runs in Azure, in other subscriptions too.
  - A Flexible Server inside a virtual network has no firewall rules; its network's security groups take their place.
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
  rules:
    description:
      - The rules that are to be there, or with O(state=absent) not to be there.
      - Needed where O(copy_from) is not given. An empty list needs O(exact=true).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name of the rule, of letters, digits, hyphens and underscores.
        type: str
        required: true
      start_ip_address:
        description:
          - First IPv4 address that is admitted. Needed unless O(state=absent).
        type: str
      end_ip_address:
        description:
          - Last IPv4 address that is admitted. Left out, the rule admits O(rules[].start_ip_address) alone.
        type: str
  copy_from:
    description:
      - Another server whose rules are to be there as well. One of O(rules) wins over one of the same name there.
      - It can not be used with O(state=absent).
    type: dict
  exact:
    description:
      - Whether rules of other names are removed. It is of no use with O(state=absent).
    type: bool
    default: false
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._other_server
  - pgflex.migrate._attributes
  - pgflex.migrate._state
  - pgflex.migrate._wait
seealso:
  - module: pgflex.migrate.virtual_network_rule
  - module: pgflex.migrate.topology_info
  - name: Firewall rules in Azure Database for PostgreSQL
    description: Whom they admit, and what they do not.
    link: https://learn.microsoft.com/azure/postgresql/flexible-server/security-firewall-rules
"""

EXAMPLES = r"""
- name: Admit the office and whatever runs in Azure
  pgflex.migrate.firewall_rules:
    resource_group: shop-rg
    server_name: shop-new
    server_type: flexible_server
    rules:
      - name: office
        start_ip_address: 203.0.113.0
        end_ip_address: 203.0.113.255
      - name: AllowAllAzureServices
        start_ip_address: 0.0.0.0

- name: Give the target the rules of the source, and no others
  pgflex.migrate.firewall_rules:
    resource_group: shop-rg
    server_name: shop-new
    server_type: flexible_server
    copy_from:
      server_type: single_server
      resource_group: shop-rg
      server_name: shop-old
    exact: true

- name: See which rules would be removed
  pgflex.migrate.firewall_rules:
    resource_group: shop-rg
    server_name: shop-old
    server_type: single_server
    rules: []
    exact: true
  check_mode: true
  diff: true

- name: Take a rule away
  pgflex.migrate.firewall_rules:
    resource_group: shop-rg
    server_name: shop-new
    server_type: flexible_server
    rules:
      - name: office
    state: absent
"""

RETURN = r"""
firewall_rules:
  description: The server's rules as they are after the task; V(null) with O(state=absent).
  returned: success
  type: dict
  contains:
    server:
      description: Id of the server.
      type: str
      returned: success
      sample: /subscriptions/.../resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-new
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
          sample: office
        start_ip_address:
          description: First address that is admitted.
          type: str
          returned: success
          sample: 203.0.113.0
        end_ip_address:
          description: Last address that is admitted.
          type: str
          returned: success
          sample: 203.0.113.255
"""

import ipaddress
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from ..module_utils._errors import ModuleFailure
from ..module_utils._server.rules import RULES, Row, RulesModule, address_problems, firewall_row
from ..module_utils._server.servers import SERVER_TYPES, AzureServer
from ..module_utils._spec import ArgumentSpec

SERVER = {
    "server_type": {"type": "str", "choices": list(SERVER_TYPES), "required": True},
    "resource_group": {"type": "str", "required": True},
    "server_name": {"type": "str", "required": True},
}
RULE = {
    "name": {"type": "str", "required": True},
    "start_ip_address": {"type": "str"},
    "end_ip_address": {"type": "str"},
}
SPEC = RULES.merge(
    ArgumentSpec(
        options={
            **SERVER,
            "rules": {"type": "list", "elements": "dict", "options": RULE},
            "copy_from": {"type": "dict", "options": {**SERVER, "subscription_id": {"type": "str"}}},
        },
        required_one_of=(("rules", "copy_from"),),
    )
)


class FirewallRules(RulesModule):
    result_key = "firewall_rules"
    kind = "firewall_rules"

    @cached_property
    def server(self) -> AzureServer:
        return self._server(self.params, self.subscription_id)

    def _server(self, where: dict[str, Any], subscription_id: str) -> AzureServer:
        kind = SERVER_TYPES[where["server_type"]]
        return kind(self.azure, subscription_id, where["resource_group"], where["server_name"])

    def check(self) -> None:
        if self.params["copy_from"] is None:
            super().check()
        elif self.params["state"] == "absent":
            raise ModuleFailure("copy_from can not be used with the state absent: name the rules.")
        else:
            self.check_rules()

    def problems(self, rule: Row) -> Iterable[str]:
        return address_problems(rule)

    def row(self, found: Row) -> Row:
        return firewall_row(found)

    def wanted(self) -> list[Row]:
        other = self.params["copy_from"]
        if other is None:
            return super().wanted()
        source = self._server(other, other["subscription_id"] or self.subscription_id)
        with self.doing(f"read the firewall rules of {source}"):
            copied = [self.row(found) for found in source.rules(self.kind)]
        return [*copied, *super().wanted()]

    def merged(self, rule: Row, current: Row | None) -> Row:
        first, last = rule["start_ip_address"], rule["end_ip_address"] or rule["start_ip_address"]
        return {
            "name": current["name"] if current else rule["name"],
            "start_ip_address": str(ipaddress.ip_address(first)),
            "end_ip_address": str(ipaddress.ip_address(last)),
        }

    def properties(self, row: Row) -> dict[str, Any]:
        return {"startIpAddress": row["start_ip_address"], "endIpAddress": row["end_ip_address"]}

    def allowed(self, server: Row) -> None:
        subnet = (server.get("network") or {}).get("delegated_subnet_id")
        if subnet:
            raise ModuleFailure(
                f"{self.server} has no firewall rules, since it is inside the virtual network of {subnet}.",
                code="NoFirewall",
                hint="The security group of that subnet decides who is admitted.",
            )


MODULE = FirewallRules


def main() -> None:
    FirewallRules.main(SPEC)


if __name__ == "__main__":
    main()
