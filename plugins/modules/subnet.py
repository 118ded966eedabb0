#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: subnet
short_description: Make sure that a virtual network has a subnet for a migration
version_added: "1.0.0"
description:
  - Makes a subnet, in the next free block of the network's address space when no prefix is given.
  - A subnet that exists is checked, that it is big enough and delegated as wanted or not at all, and is only added to.
    Its address prefix is never changed, no delegation and no service endpoint is taken away, and its network security
    group, route table, NAT gateway and everything else stay.
  - A server that was deleted holds its subnet for some minutes more. Removing such a subnet is tried again for up to 15
    minutes, within O(wait_timeout).
author:
  - pgflex.migrate contributors (@pgflex)
options:
  virtual_network_id:
    description:
      - Id of the virtual network; its subscription is the one in the id.
    type: str
    required: true
  name:
    description:
      - Name of the subnet in the virtual network.
    type: str
    required: true
  address_prefix:
    description:
      - Block of addresses for a new subnet, for example V(10.1.2.0/27).
      - Left out, the next free block of O(prefix_length). When another one takes that block at the same moment, the
        next one after it.
      - Of a subnet that exists it has to be the prefix that it has.
    type: str
  prefix_length:
    description:
      - Size of the block that is looked for when O(address_prefix) is left out.
    type: int
    default: 27
  minimum_free_addresses:
    description:
      - How many free addresses the subnet has to have at least.
      - Azure keeps five addresses of every subnet.
    type: int
  delegation:
    description:
      - Service that the subnet is delegated to, for example V(Microsoft.DBforPostgreSQL/flexibleServers).
      - A subnet that exists and is not delegated gets the delegation while nothing is in it.
      - Left out, a subnet that is delegated is refused, for a migration can not work from there.
    type: str
  service_endpoints:
    description:
      - Services that the subnet gets an endpoint for, for example V(Microsoft.Sql); they are added to those it has.
    type: list
    elements: str
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._state
  - pgflex.migrate._wait
seealso:
  - module: pgflex.migrate.virtual_network_peering
  - name: Add, change, or delete a virtual network subnet
    description: What a subnet has, and what can be changed.
    link: https://learn.microsoft.com/azure/virtual-network/virtual-network-manage-subnet
"""

EXAMPLES = r"""
- name: Make a subnet that the migration works from
  pgflex.migrate.subnet:
    virtual_network_id: "{{ target_network_id }}"
    name: pgflex-migration
    minimum_free_addresses: 8
  register: migration

- name: Make a delegated subnet for a migration runtime server
  pgflex.migrate.subnet:
    virtual_network_id: "{{ target_network_id }}"
    name: pgflex-runtime
    address_prefix: 10.1.9.0/28
    delegation: Microsoft.DBforPostgreSQL/flexibleServers

- name: Let a subnet reach a Single Server by its service endpoint
  pgflex.migrate.subnet:
    virtual_network_id: "{{ target_network_id }}"
    name: apps
    service_endpoints:
      - Microsoft.Sql

- name: Remove the subnet again
  pgflex.migrate.subnet:
    virtual_network_id: "{{ target_network_id }}"
    name: pgflex-migration
    state: absent
"""

RETURN = r"""
subnet:
  description: The subnet; V(null) when there is none.
  returned: success
  type: dict
  contains:
    id:
      description: Id of the subnet.
      type: str
      returned: success
      sample: >-
        /subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg/providers/Microsoft.Network/virtualNetworks/shop-vnet/subnets/pgflex-migration
    name:
      description: Name of the subnet.
      type: str
      returned: success
      sample: pgflex-migration
    address_prefix:
      description: Its block of addresses; the one of IPv4 when it has several.
      type: str
      returned: success
      sample: 10.1.2.0/27
    delegations:
      description: Services that it is delegated to.
      type: list
      elements: str
      returned: success
      sample: []
    service_endpoints:
      description: Services that it has an endpoint for.
      type: list
      elements: str
      returned: success
      sample:
        - Microsoft.Sql
    free_addresses:
      description: How many addresses are left, without the five that Azure keeps.
      type: int
      returned: success
      sample: 27
    network_security_group_id:
      description: Id of its network security group; V(null) where there is none.
      type: str
      returned: success
      sample: /subscriptions/.../networkSecurityGroups/shop-nsg
"""

from functools import cached_property
from typing import Any

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._network.subnet import has_interfaces, of, to_body, to_row, wanted
from ..module_utils._network.virtual_network import BUSY, VirtualNetwork, network_id
from ..module_utils._spec import AZURE, STATE, WAIT, ArgumentSpec
from ..module_utils._wait import Deadline, retry_on, wait_for

SPEC = (
    AZURE.merge(STATE)
    .merge(WAIT)
    .merge(
        ArgumentSpec(
            options={
                "virtual_network_id": {"type": "str", "required": True},
                "name": {"type": "str", "required": True},
                "address_prefix": {"type": "str"},
                "prefix_length": {"type": "int", "default": 27},
                "minimum_free_addresses": {"type": "int"},
                "delegation": {"type": "str"},
                "service_endpoints": {"type": "list", "elements": "str"},
            }
        )
    )
)


class Subnet(AzureModule):
    result_key = "subnet"
    vnet: dict[str, Any] | None = None

    @cached_property
    def network(self) -> VirtualNetwork:
        option = "virtual_network_id"
        return VirtualNetwork(self.azure, network_id(self.params[option], option), option)

    @property
    def thing(self) -> str:
        return f"the subnet {self.params['name']} of {self.network}"

    def read(self) -> State | None:
        absent = self.params["state"] == "absent"
        self.vnet = self.network.find() if absent else self.network.require()
        found = self.found
        return to_row(found) if found else None

    @property
    def found(self) -> dict[str, Any] | None:
        return of(self.vnet, self.params["name"]) if self.vnet else None

    def desired(self, current: State | None) -> State:
        return wanted(self.vnet or {}, self.network.id, self.params)

    def apply(self, want: State) -> State:
        deadline = Deadline(self.params["wait_timeout"])
        # Two hosts that look for a free block in one network find the same one; the later one takes the next.
        refusals = BUSY if self.params["address_prefix"] else BUSY | {"NetcfgSubnetRangesOverlap"}
        todo: list[State] = [want]
        return retry_on(refusals, lambda: self._write(todo.pop() if todo else None, deadline), timeout=deadline.left)

    def _write(self, want: State | None, deadline: Deadline) -> State:
        if want is None:
            current = self.read()
            want = self.desired(current)
            if current == want:
                return current
        name, wait = want["name"], self.params["wait"]
        poller = self.network.put_subnet(name, to_body(self.found, want), wait)
        # Asked for the result of an operation that was only accepted, the SDK fails on the empty answer.
        return to_row(wait_for(poller, f"write {self.thing}", deadline.left)) if wait else want

    def remove(self, current: State) -> None:
        deadline = Deadline(self.params["wait_timeout"])
        self.network.delete_subnet(
            current["name"], deadline, self.params["wait"], vacated=not (self.found and has_interfaces(self.found))
        )


MODULE = Subnet


def main() -> None:
    Subnet.main(SPEC)


if __name__ == "__main__":
    main()
