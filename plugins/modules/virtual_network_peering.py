#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: virtual_network_peering
short_description: Peer two virtual networks, both directions at once
version_added: "1.0.0"
description:
  - Makes or changes both peerings of a pair of virtual networks, and waits until both are C(Connected).
  - A peering that exists between the two counts under any name. One that is C(Disconnected), because its other side was
    deleted, is deleted and made again with the same flags. One whose address space is out of sync is written again.
  - Address spaces that overlap, and rights that are missing in either network, are found before anything is written.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  virtual_network_id:
    description:
      - Id of one of the networks; its subscription is the one in the id.
    type: str
    required: true
  remote_virtual_network_id:
    description:
      - Id of the other network; it may be of another subscription of the same tenant.
    type: str
    required: true
  name:
    description:
      - Name for the peering in O(virtual_network_id) when there is none yet.
      - Left out, C(pgflex-), the other network's name and eight digits of its id.
      - With O(state=absent) only a peering of this name is removed there.
    type: str
  remote_name:
    description:
      - The same for the peering in O(remote_virtual_network_id).
    type: str
  allow_virtual_network_access:
    description:
      - Whether what is in the other network can be reached from here.
      - Left out, a new peering gets V(true).
    type: bool
  allow_forwarded_traffic:
    description:
      - Whether traffic that the other network only forwards is let in.
      - Left out, a new peering gets V(false).
    type: bool
  allow_gateway_transit:
    description:
      - Whether the other network may use this network's gateway.
      - Left out, a new peering gets V(false).
    type: bool
  use_remote_gateways:
    description:
      - Whether this network uses the other network's gateway, which has to allow it.
      - Left out, a new peering gets V(false).
    type: bool
  remote_allow_virtual_network_access:
    description:
      - As O(allow_virtual_network_access), for the peering in O(remote_virtual_network_id).
    type: bool
  remote_allow_forwarded_traffic:
    description:
      - As O(allow_forwarded_traffic), for the peering in O(remote_virtual_network_id).
    type: bool
  remote_allow_gateway_transit:
    description:
      - As O(allow_gateway_transit), for the peering in O(remote_virtual_network_id).
    type: bool
  remote_use_remote_gateways:
    description:
      - As O(use_remote_gateways), for the peering in O(remote_virtual_network_id).
    type: bool
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._state
  - pgflex.migrate._wait
seealso:
  - module: pgflex.migrate.private_dns_zone_link
  - name: Virtual network peering
    description: What a peering can do, and what it needs.
    link: https://learn.microsoft.com/azure/virtual-network/virtual-network-peering-overview
"""

EXAMPLES = r"""
- name: Let the source's network and the target's network reach each other
  pgflex.migrate.virtual_network_peering:
    virtual_network_id: "{{ source_network_id }}"
    remote_virtual_network_id: "{{ target_network_id }}"

- name: Use the gateway of the target's network from the source's network
  pgflex.migrate.virtual_network_peering:
    virtual_network_id: "{{ source_network_id }}"
    remote_virtual_network_id: "{{ target_network_id }}"
    use_remote_gateways: true
    remote_allow_gateway_transit: true

- name: See whether the two are peered
  pgflex.migrate.virtual_network_peering:
    virtual_network_id: "{{ source_network_id }}"
    remote_virtual_network_id: "{{ target_network_id }}"
  check_mode: true
  diff: true

- name: Part them again
  pgflex.migrate.virtual_network_peering:
    virtual_network_id: "{{ source_network_id }}"
    remote_virtual_network_id: "{{ target_network_id }}"
    state: absent
"""

RETURN = r"""
virtual_network_peering:
  description: Both sides of the peering; V(null) when there is none.
  returned: success
  type: dict
  contains:
    peerings:
      description: The side in O(virtual_network_id) first.
      type: list
      elements: dict
      returned: success
      contains:
        id:
          description: Id of the peering.
          type: str
          returned: success
          sample: >-
            /subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg/providers/Microsoft.Network/virtualNetworks/shop-vnet/virtualNetworkPeerings/to-hub
        name:
          description: Name of the peering.
          type: str
          returned: success
          sample: to-hub
        virtual_network_id:
          description: Id of the network that it belongs to.
          type: str
          returned: success
          sample: /subscriptions/.../virtualNetworks/shop-vnet
        remote_virtual_network_id:
          description: Id of the network that it leads to.
          type: str
          returned: success
          sample: /subscriptions/.../virtualNetworks/hub-vnet
        peering_state:
          description: V(Connected), V(Initiated) while the other side is missing, or V(Disconnected).
          type: str
          returned: success
          sample: Connected
        peering_sync_level:
          description: Whether both sides know the address space that the other network has now.
          type: str
          returned: success
          sample: FullyInSync
        allow_virtual_network_access:
          description: Whether what is in the other network can be reached.
          type: bool
          returned: success
          sample: true
        allow_forwarded_traffic:
          description: Whether traffic that the other network only forwards is let in.
          type: bool
          returned: success
          sample: false
        allow_gateway_transit:
          description: Whether the other network may use this network's gateway.
          type: bool
          returned: success
          sample: false
        use_remote_gateways:
          description: Whether this network uses the other network's gateway.
          type: bool
          returned: success
          sample: false
"""

from functools import cached_property
from typing import Any

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._compare import pick
from ..module_utils._errors import ModuleFailure
from ..module_utils._ids import same
from ..module_utils._network.peering import CONNECTED, FLAGS, IN_SYNC, Side, check_deletable, check_writable
from ..module_utils._network.virtual_network import VirtualNetwork, network_id
from ..module_utils._parallel import each
from ..module_utils._spec import AZURE, STATE, WAIT, ArgumentSpec
from ..module_utils._wait import Deadline, until

_DIRECTIONS = ("", "remote_")

SPEC = (
    AZURE.merge(STATE)
    .merge(WAIT)
    .merge(
        ArgumentSpec(
            options={
                "virtual_network_id": {"type": "str", "required": True},
                "remote_virtual_network_id": {"type": "str", "required": True},
                "name": {"type": "str"},
                "remote_name": {"type": "str"},
                **{f"{direction}{flag}": {"type": "bool"} for direction in _DIRECTIONS for flag in FLAGS},
            }
        )
    )
)


class VirtualNetworkPeering(AzureModule):
    result_key = "virtual_network_peering"

    @cached_property
    def sides(self) -> list[Side]:
        options = [f"{direction}virtual_network_id" for direction in _DIRECTIONS]
        if same(*(self.params[option] for option in options)):
            raise ModuleFailure(
                "virtual_network_id and remote_virtual_network_id name the same network.", code="SameNetwork"
            )
        one, other = (VirtualNetwork(self.azure, network_id(self.params[option], option), option) for option in options)
        return [
            Side(here, there, self.params[f"{direction}name"], self._flags(direction))
            for here, there, direction in ((one, other, ""), (other, one, "remote_"))
        ]

    def _flags(self, direction: str) -> dict[str, Any]:
        given = pick(self.params, [f"{direction}{flag}" for flag in FLAGS])
        return {name.removeprefix(direction): value for name, value in given.items()}

    @property
    def thing(self) -> str:
        return f"the peering of {' and '.join(str(side.network) for side in self.sides)}"

    def read(self) -> State | None:
        absent = self.params["state"] == "absent"
        networks = each(lambda side: side.network.find() if absent else side.network.require(), self.sides)
        rows = [side.load(network) for side, network in zip(self.sides, networks, strict=True)]
        if absent:
            check_deletable(self._named())
            rows = [side.row for side in self._named()]
        there = [row for row in rows if row is not None]
        return {"peerings": there} if there else None

    def _named(self) -> list[Side]:
        """The sides that are there, without those that have another name than the one that was asked for."""
        named = (side for side in self.sides if side.row)
        return [
            side for side in named if side.asked_name is None or same(side.asked_name, (side.row or {}).get("name"))
        ]

    def desired(self, current: State | None) -> State:
        want = {"peerings": [side.wanted() for side in self.sides]}
        check_writable(self.sides)
        return want

    def apply(self, want: State) -> State:
        deadline, wait = Deadline(self.params["wait_timeout"]), self.params["wait"]
        # A write of either side takes both networks, so one is done when the next one begins.
        for side in self.sides:
            if side.broken:
                side.delete(deadline)
        todo = sorted((side for side in self.sides if side.to_write), key=lambda side: side.rank)
        for number, side in enumerate(todo, 1):
            side.write(deadline, wait or number < len(todo))
        if not wait:
            return want
        rows = until(
            self._rows,
            lambda found: (
                all(row.get("peering_state") == CONNECTED for row in found)
                and all(row.get("peering_sync_level") == IN_SYNC for row in found)
            ),
            what=f"connect {self.thing}",
            timeout=deadline.left,
            state=lambda found: " and ".join(str(row.get("peering_state", "missing")) for row in found),
        )
        return {"peerings": rows}

    def _rows(self) -> list[dict[str, Any]]:
        return [row or {} for row in each(lambda side: side.load(side.network.find()), self.sides)]

    def remove(self, current: State) -> None:
        deadline, wait = Deadline(self.params["wait_timeout"]), self.params["wait"]
        there = self._named()
        for number, side in enumerate(there, 1):
            side.delete(deadline, wait or number < len(there))


MODULE = VirtualNetworkPeering


def main() -> None:
    VirtualNetworkPeering.main(SPEC)


if __name__ == "__main__":
    main()
