#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: private_dns_zone_link
short_description: Link a private DNS zone with virtual networks
version_added: "1.0.0"
description:
  - Links one private DNS zone with many virtual networks, so that what is in them finds a server by its name.
  - A link that a network has under any name counts. A link that the module makes is called C(pgflex-), the network's
    name and eight digits of its id, and has the tag C(pgflex-made=migrate).
  - Networks that are not there, missing rights, a network that is linked with another zone of the same name, and a
    second link with auto-registration are found before anything is written.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  zone_id:
    description:
      - Id of the private DNS zone; its subscription is the one in the id.
      - Exactly one of O(zone_id) and O(server) is needed.
    type: str
  server:
    description:
      - A Flexible Server whose zone is meant, which is its own, or the one that its private endpoint has its record in.
    type: dict
    suboptions:
      subscription_id:
        description:
          - GUID of the server's subscription; left out, O(subscription_id).
        type: str
      resource_group:
        description:
          - Resource group that holds the server.
        type: str
        required: true
      name:
        description:
          - Name of the server, without its domain.
        type: str
        required: true
  virtual_network_ids:
    description:
      - Ids of the virtual networks; they may be of other subscriptions.
    type: list
    elements: str
    required: true
  registration_enabled:
    description:
      - Whether the networks' virtual machines get records in the zone. A network can have one such link at most.
      - Left out, a new link gets V(false).
    type: bool
  tags:
    description:
      - Tags to set on the links; other tags of them stay.
    type: dict
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._state
  - pgflex.migrate._wait
seealso:
  - module: pgflex.migrate.private_dns_zone
  - module: pgflex.migrate.virtual_network_peering
  - name: What is a virtual network link
    description: What a link does, and its limits.
    link: https://learn.microsoft.com/azure/dns/private-dns-virtual-network-links
"""

EXAMPLES = r"""
- name: Let the source's network find the target by its name
  pgflex.migrate.private_dns_zone_link:
    server:
      resource_group: shop-rg
      name: shop-flex
    virtual_network_ids:
      - "{{ source_network_id }}"

- name: Link one zone with two networks
  pgflex.migrate.private_dns_zone_link:
    zone_id: "{{ zone.private_dns_zone.id }}"
    virtual_network_ids:
      - "{{ source_network_id }}"
      - "{{ migration_network_id }}"
    tags:
      wave: "3"

- name: Remove the link again
  pgflex.migrate.private_dns_zone_link:
    zone_id: "{{ zone.private_dns_zone.id }}"
    virtual_network_ids:
      - "{{ migration_network_id }}"
    state: absent
"""

RETURN = r"""
private_dns_zone_link:
  description: The links of the networks asked for; V(null) when there are none.
  returned: success
  type: dict
  contains:
    zone_id:
      description: Id of the zone.
      type: str
      returned: success
      sample: >-
        /subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg/providers/Microsoft.Network/privateDnsZones/shop.private.postgres.database.azure.com
    links:
      description: One entry for each network, in the order of O(virtual_network_ids).
      type: list
      elements: dict
      returned: success
      contains:
        id:
          description: Id of the link.
          type: str
          returned: success
          sample: /subscriptions/.../virtualNetworkLinks/pgflex-shop-vnet-38dcc603
        name:
          description: Name of the link.
          type: str
          returned: success
          sample: pgflex-shop-vnet-38dcc603
        virtual_network_id:
          description: Id of the network.
          type: str
          returned: success
          sample: /subscriptions/.../virtualNetworks/shop-vnet
        registration_enabled:
          description: Whether the network's virtual machines get records in the zone.
          type: bool
          returned: success
          sample: false
        state:
          description: V(Completed), or V(InProgress) while Azure links the two.
          type: str
          returned: success
          sample: Completed
        tags:
          description: All tags of the link.
          type: dict
          returned: success
          sample:
            pgflex-made: migrate
"""

from functools import cached_property
from typing import Any

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._errors import ModuleFailure
from ..module_utils._ids import ResourceId
from ..module_utils._marks import TAGS
from ..module_utils._network.private_dns import (
    Zone,
    check_linkable,
    check_unlinkable,
    link_row,
    network_of,
    new_link,
    zone_id,
    zone_of_server,
)
from ..module_utils._network.virtual_network import network_id
from ..module_utils._parallel import each
from ..module_utils._spec import AZURE, STATE, WAIT, ArgumentSpec
from ..module_utils._wait import Deadline

_SERVER = {
    "subscription_id": {"type": "str"},
    "resource_group": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
}

SPEC = (
    AZURE.merge(STATE)
    .merge(WAIT)
    .merge(
        ArgumentSpec(
            options={
                "zone_id": {"type": "str"},
                "server": {"type": "dict", "options": _SERVER},
                "virtual_network_ids": {"type": "list", "elements": "str", "required": True},
                "registration_enabled": {"type": "bool"},
                "tags": {"type": "dict"},
            },
            mutually_exclusive=(("zone_id", "server"),),
            required_one_of=(("zone_id", "server"),),
        )
    )
)


def _key(network: str) -> str:
    return network.strip("/").lower()


class PrivateDnsZoneLink(AzureModule):
    result_key = "private_dns_zone_link"
    # What is there of the links asked for, by the ids of their networks.
    found: dict[str, dict[str, Any]]

    @cached_property
    def zone(self) -> Zone:
        server = self.params["server"]
        if not server:
            return Zone(self.azure, zone_id(self.params["zone_id"], "zone_id"))
        subscription = server["subscription_id"] or self.subscription_id
        return Zone(self.azure, zone_of_server(self.azure, subscription, server["resource_group"], server["name"]))

    @cached_property
    def networks(self) -> dict[str, ResourceId]:
        parsed = (network_id(text, "virtual_network_ids") for text in self.params["virtual_network_ids"])
        found = {_key(str(one)): one for one in parsed}
        if not found:
            raise ModuleFailure("virtual_network_ids is empty: name at least one virtual network.")
        return found

    @property
    def thing(self) -> str:
        return f"the links of the zone of {(self.params['server'] or {}).get('name') or self.params['zone_id']}"

    def read(self) -> State | None:
        networks = self.networks
        links = self.zone.links()
        absent = self.params["state"] == "absent"
        if links is None and not absent:
            raise ModuleFailure(
                f"There is no private DNS zone {self.zone} (subscription {self.zone.where.subscription_id}).",
                code="ResourceNotFound",
                status=404,
                target=str(self.zone.where),
                hint="Check the option zone_id, or make it with pgflex.migrate.private_dns_zone.",
            )
        there = {_key(network_of(link)): link for link in links or []}
        self.found = {key: there[key] for key in networks if key in there}
        rows = [link_row(link) for link in self.found.values()]
        if absent:
            check_unlinkable(self.zone, rows)
        return self._state(rows) if rows else None

    def _state(self, rows: list[dict[str, Any]]) -> State:
        return {"zone_id": str(self.zone.where), "links": rows}

    def desired(self, current: State | None) -> State:
        want = self._state([self._wanted(key, network) for key, network in self.networks.items()])
        check_linkable(self.zone, self._changed(want), [row for row in want["links"] if not self._link(row)])
        return want

    def _wanted(self, key: str, network: ResourceId) -> dict[str, Any]:
        link = self.found.get(key)
        row = link_row(link) if link else {**new_link(self.zone.where, network), "tags": TAGS}
        given = {name: str(value) for name, value in (self.params["tags"] or {}).items()}
        register = self.params["registration_enabled"]
        registration = row["registration_enabled"] if register is None else register
        return {**row, "registration_enabled": registration, "tags": {**row["tags"], **given}}

    def _link(self, row: dict[str, Any]) -> dict[str, Any] | None:
        return self.found.get(_key(row["virtual_network_id"]))

    def _changed(self, want: State) -> list[dict[str, Any]]:
        return [row for row in want["links"] if (link := self._link(row)) is None or link_row(link) != row]

    def apply(self, want: State) -> State:
        deadline = Deadline(self.params["wait_timeout"])

        def put(row: dict[str, Any]) -> dict[str, Any]:
            made = self.zone.put_link(row, self._link(row), deadline, self.params["wait"])
            return link_row(made) if made else row

        changed = self._changed(want)
        made = {row["id"]: row for row in each(put, changed)}
        return self._state([made.get(row["id"], row) for row in want["links"]])

    def remove(self, current: State) -> None:
        deadline = Deadline(self.params["wait_timeout"])
        each(lambda row: self.zone.delete_link(row["name"], deadline, self.params["wait"]), current["links"])


MODULE = PrivateDnsZoneLink


def main() -> None:
    PrivateDnsZoneLink.main(SPEC)


if __name__ == "__main__":
    main()
