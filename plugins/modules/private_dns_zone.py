#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: private_dns_zone
short_description: Make or delete a private DNS zone
version_added: "1.0.0"
description:
  - Makes a private DNS zone, for example for a Flexible Server that is to be in a virtual network, or sets tags of one.
  - Records and links of a zone that exists are left alone.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  resource_group:
    description:
      - Resource group that holds the zone.
    type: str
    required: true
  name:
    description:
      - Name of the zone. One for a Flexible Server in a virtual network ends with C(.postgres.database.azure.com), the
        one for private endpoints is V(privatelink.postgres.database.azure.com).
    type: str
    required: true
  tags:
    description:
      - Tags to set; other tags of the zone stay.
    type: dict
  state:
    description:
      - V(present) makes the zone or sets its tags.
      - V(absent) deletes the zone with all its records; a zone that is linked with a virtual network is refused.
    type: str
    choices:
      - present
      - absent
    default: present
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._wait
seealso:
  - module: pgflex.migrate.private_dns_zone_link
  - name: What is a private Azure DNS zone
    description: What a zone is for, and its limits.
    link: https://learn.microsoft.com/azure/dns/private-dns-privatednszone
"""

EXAMPLES = r"""
- name: Make the zone of a server that is to be in a virtual network
  pgflex.migrate.private_dns_zone:
    resource_group: shop-rg
    name: shop.private.postgres.database.azure.com

- name: Make the zone of private endpoints, with a tag
  pgflex.migrate.private_dns_zone:
    resource_group: shop-rg
    name: privatelink.postgres.database.azure.com
    tags:
      env: production

- name: Delete a zone that is linked with nothing any more
  pgflex.migrate.private_dns_zone:
    resource_group: shop-rg
    name: shop.private.postgres.database.azure.com
    state: absent
"""

RETURN = r"""
private_dns_zone:
  description: The zone; V(null) when there is none.
  returned: success
  type: dict
  contains:
    id:
      description: Id of the zone.
      type: str
      returned: success
      sample: >-
        /subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg/providers/Microsoft.Network/privateDnsZones/shop.private.postgres.database.azure.com
    name:
      description: Name of the zone.
      type: str
      returned: success
      sample: shop.private.postgres.database.azure.com
    resource_group:
      description: Resource group that holds the zone.
      type: str
      returned: success
      sample: shop-rg
    subscription_id:
      description: GUID of the subscription that holds the zone.
      type: str
      returned: success
      sample: 11111111-1111-1111-1111-111111111111
    record_sets:
      description: How many record sets it has; one, the SOA, is in every zone.
      type: int
      returned: success
      sample: 2
    virtual_network_links:
      description: How many virtual networks it is linked with.
      type: int
      returned: success
      sample: 1
    tags:
      description: All tags of the zone.
      type: dict
      returned: success
      sample:
        env: production
"""

from functools import cached_property

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._errors import ModuleFailure
from ..module_utils._ids import ResourceId
from ..module_utils._network.private_dns import Zone, zone_row
from ..module_utils._spec import AZURE, STATE, WAIT, ArgumentSpec
from ..module_utils._wait import Deadline

SPEC = (
    AZURE.merge(STATE)
    .merge(WAIT)
    .merge(
        ArgumentSpec(
            options={
                "resource_group": {"type": "str", "required": True},
                "name": {"type": "str", "required": True},
                "tags": {"type": "dict"},
            }
        )
    )
)


class PrivateDnsZone(AzureModule):
    result_key = "private_dns_zone"

    @cached_property
    def zone(self) -> Zone:
        group, name = self.params["resource_group"], self.params["name"]
        where = ResourceId(self.subscription_id, group, "Microsoft.Network", ("privateDnsZones",), (name,))
        return Zone(self.azure, where)

    @property
    def thing(self) -> str:
        return f"the private DNS zone {self.zone}"

    def read(self) -> State | None:
        found = self.zone.find()
        row = zone_row(found) if found else None
        if row and self.params["state"] == "absent" and row["virtual_network_links"]:
            raise ModuleFailure(
                f"The private DNS zone {self.zone} is linked with {row['virtual_network_links']} virtual networks.",
                code="ZoneIsLinked",
                hint="Remove its links first with pgflex.migrate.private_dns_zone_link.",
            )
        return row

    def desired(self, current: State | None) -> State:
        given = {name: str(value) for name, value in (self.params["tags"] or {}).items()}
        row = current or zone_row({"id": str(self.zone.where), "name": self.zone.where.name})
        # A new zone has the record that every zone has.
        return {**row, "record_sets": row["record_sets"] if current else 1, "tags": {**row["tags"], **given}}

    def apply(self, want: State) -> State:
        found = self.zone.put(want["tags"], Deadline(self.params["wait_timeout"]), self.params["wait"])
        return zone_row(found) if found else want

    def remove(self, current: State) -> None:
        self.zone.delete(Deadline(self.params["wait_timeout"]), self.params["wait"])


MODULE = PrivateDnsZone


def main() -> None:
    PrivateDnsZone.main(SPEC)


if __name__ == "__main__":
    main()
