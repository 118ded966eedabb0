#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: topology_info
short_description: Find out whether a migration can reach both of its servers, and what is missing
version_added: "1.0.0"
description:
  - Reads a source server, a target server and the networks around them, and names their topology as the guides of the
    migration service do.
  - Says where the migrating side would sit, whether it reaches both servers by name, and each thing that keeps it
    from that.
  - Returns a plan, the subnets, peerings, DNS links, rules and role scopes that are missing, in the shape of the
    options of the modules that make them. Whether the signed-in identity may do what the plan needs is part of the
    answer.
  - Fails for wrong input only, such as a server that is not there, or a network that may not be read. Whatever is
    wrong with the networks is in RV(topology.missing).
author:
  - pgflex.migrate contributors (@pgflex)
options:
  generation:
    description:
      - Which migration service is to migrate. V(current) works from the target server or from a migration runtime
        server, V(classic) from a Database Migration Service of its own, in a subnet where one of the servers is
        private.
    type: str
    choices: [current, classic]
    default: current
  source:
    description: The server to migrate from.
    type: dict
    required: true
    suboptions:
      type:
        description:
          - What kind of server it is, as the service names it. V(PostgreSQLSingleServer) and
            V(PostgreSQLFlexibleServer) are read from Azure; every other type, such as V(OnPremises), V(AzureVM) or
            V(AWS_RDS), is a server outside, and is what O(source.access), O(source.route) and
            O(source.virtual_network_id) say of it.
        type: str
        default: PostgreSQLSingleServer
      subscription_id:
        description: Subscription of a source in Azure. Left out, that of the task.
        type: str
      resource_group:
        description: Resource group of a source in Azure, needed there.
        type: str
      name:
        description: Name of a source in Azure, needed there; of another one it is what sentences call it.
        type: str
      host:
        description: Name or address of a source outside Azure's database services, needed there.
        type: str
      access:
        description:
          - Whether a source outside has a public address. Left out, it is private when O(source.route) or
            O(source.virtual_network_id) is given.
        type: str
        choices: [public, private]
      route:
        description:
          - What leads from Azure to a private source outside. V(vpn) and V(expressroute) need a gateway in the
            network of the migrating side, or in one that is peered with it; V(peering) needs
            O(source.virtual_network_id).
        type: str
        choices: [vpn, expressroute, peering, none]
      virtual_network_id:
        description: Id of the virtual network that a source on a virtual machine is in.
        type: str
      fqdn:
        description: Name by which custom DNS servers of the migrating side's network know the source.
        type: str
      name_resolves:
        description:
          - Says that the name O(source.host) of a private source outside leads to its address in the migrating side's
            network although no private DNS zone of the subscription has it, because public DNS, a forwarding ruleset of
            an Azure DNS Private Resolver or a zone of another subscription answers. Otherwise such a name is reported.
        type: bool
        default: false
  target:
    description: The Flexible Server to migrate to.
    type: dict
    required: true
    suboptions:
      subscription_id:
        description: Subscription of the target. Left out, that of the task.
        type: str
      resource_group:
        description: Resource group that holds the target.
        type: str
        required: true
      name:
        description: Name of the target server.
        type: str
        required: true
      fqdn:
        description: Name by which custom DNS servers of the migrating side's network know the target.
        type: str
      public_address:
        description:
          - IPv4 address from which a public target connects to the source. With it, a firewall rule for just that
            address is enough and is what the plan makes; without it, one for all Azure services is.
        type: str
      planned:
        description:
          - For a target that is not there yet, what is to be made. It is then not looked for, and its firewall is taken
            to admit everybody.
          - An empty mapping is a target with public access.
        type: dict
        suboptions:
          delegated_subnet_id:
            description: Id of the subnet that it is to be in; left out, it has public access.
            type: str
          private_dns_zone_id:
            description: Id of the private DNS zone that its name is to be in.
            type: str
  migration_resource_group_id:
    description:
      - Id of the resource group that the classic service makes its own resources in. Left out, the target's is taken.
    type: str
  migration_subnet_id:
    description:
      - Id of the subnet that the classic service is to work from. Left out, the one that the guides take is found, or
        else made.
    type: str
  migration_vnet_id:
    description:
      - Id of a third virtual network to work from, which is neither the source's nor the target's. The current
        service needs a runtime server there.
    type: str
  subnet:
    description: The subnet that is made for the classic service where there is none to use.
    type: dict
    suboptions:
      name:
        description: Name of the subnet that is made.
        type: str
        default: pgflex-migration
      address_prefix:
        description: Its address block. Left out, the next free one is taken.
        type: str
  runtime_server_id:
    description: Id of a migration runtime server that is there already.
    type: str
  runtime_server:
    description:
      - A migration runtime server that is to be made; RV(topology.runtime_server) completes it. Excludes
        O(runtime_server_id).
    type: dict
    suboptions:
      name:
        description: Name of the runtime server.
        type: str
        required: true
      resource_group:
        description: Resource group that is to hold it, in the target's subscription. Left out, the target's.
        type: str
      virtual_network_id:
        description:
          - Id of the virtual network that it is put in. Left out, that of O(runtime_server.subnet_id),
            O(migration_vnet_id), the source or the target, the first of them that there is.
        type: str
      subnet_id:
        description: Id of the subnet that it is put in, delegated to Flexible Servers. Left out, one is found or made.
        type: str
      address_prefix:
        description: Address block of the subnet that is made. Left out, the next free one is taken.
        type: str
      private_dns_zone_id:
        description:
          - Id of the private DNS zone for its name. Left out, one that its network is linked to, or one that is made.
        type: str
  dns_forwarding:
    description:
      - Says that custom DNS servers forward to Azure's 168.63.129.16, and so know the names in private DNS zones.
    type: bool
    default: false
  routed:
    description:
      - Says that the virtual networks reach each other without a direct peering, such as through the firewall of a hub
        or a Virtual WAN. Peerings are then no part of the plan, and RV(topology.unknown) says that it was stated.
    type: bool
    default: false
  principal_id:
    description:
      - Object id of the classic service's application, its service principal. The scopes at which it is not
        Contributor or Owner are then part of the plan.
    type: str
  new_application:
    description:
      - Says that the classic service's application, or its service principal, is still to be made, so that it is
        Contributor nowhere. Excludes O(principal_id).
    type: bool
    default: false
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes.info
seealso:
  - module: pgflex.migrate.virtual_network_peering
  - module: pgflex.migrate.private_dns_zone_link
  - module: pgflex.migrate.private_dns_zone
  - module: pgflex.migrate.subnet
  - module: pgflex.migrate.virtual_network_rule
  - module: pgflex.migrate.firewall_rules
  - module: pgflex.migrate.private_endpoint_info
  - name: Network scenarios of the migration service
    description: What the current service needs of networks.
    link: https://learn.microsoft.com/azure/postgresql/migrate/migration-service/how-to-network-setup-migration-service
"""

EXAMPLES = r"""
- name: Find out what keeps a migration from its servers
  pgflex.migrate.topology_info:
    source:
      resource_group: shop-rg
      name: shop-old
    target:
      resource_group: shop-rg
      name: shop-new
  register: networks

- name: Say it
  ansible.builtin.debug:
    msg: "{{ networks.topology.missing | map(attribute='message') }}"

- name: Stop when something is missing that nobody can make for you
  ansible.builtin.assert:
    that: networks.topology.missing | selectattr('remedy', 'eq', 'by_hand') | length == 0

- name: Peer the networks that are not peered
  pgflex.migrate.virtual_network_peering:
    virtual_network_id: "{{ item.virtual_network_id }}"
    remote_virtual_network_id: "{{ item.remote_virtual_network_id }}"
    allow_virtual_network_access: true
    remote_allow_virtual_network_access: true
  loop: "{{ networks.topology.plan.peerings }}"

- name: The classic service from a third virtual network
  pgflex.migrate.topology_info:
    generation: classic
    source:
      resource_group: shop-rg
      name: shop-old
    target:
      resource_group: shop-rg
      name: shop-new
    migration_vnet_id: /subscriptions/.../resourceGroups/hub-rg/providers/Microsoft.Network/virtualNetworks/hub

- name: A server on premises behind a VPN
  pgflex.migrate.topology_info:
    source:
      type: OnPremises
      host: 192.168.7.4
      access: private
      route: vpn
    target:
      resource_group: shop-rg
      name: shop-new

- name: Two servers that have private endpoints only, with a runtime server that is to be made
  pgflex.migrate.topology_info:
    source:
      resource_group: shop-rg
      name: shop-old
    target:
      resource_group: shop-rg
      name: shop-new
    runtime_server:
      name: shop-runtime
"""

RETURN = r"""
topology:
  description: The topology and what it lacks.
  returned: success
  type: dict
  contains:
    name:
      description:
        - Name of the topology, which is that of its playbook, V(public_access), V(private_same_vnet),
          V(private_different_vnets), V(service_endpoint_private_target), V(private_source_public_target),
          V(third_vnet), V(runtime_server), V(onprem_public), V(onprem_private), V(onprem_private_public_target), or
          V(unknown) when a server can not be reached at all.
      type: str
      returned: success
      sample: private_different_vnets
    title:
      description: What the guides call it.
      type: str
      returned: success
      sample: Source and Target servers - Private Access in the different Vnets
    supported:
      description: Whether the migration service supports it at all.
      type: bool
      returned: success
      sample: true
    custom_dns:
      description: Whether the network of the migrating side uses DNS servers other than Azure's.
      type: bool
      returned: success
      sample: false
    source:
      description: How the source is reached.
      type: dict
      returned: success
      contains: &server
        access:
          description: V(public), V(private_endpoint), V(virtual_network), or V(private) for a source outside Azure.
          type: str
          returned: success
          sample: private_endpoint
        virtual_network_id:
          description: Id of the virtual network with its private address.
          type: str
          returned: success
        subnet_id:
          description: Id of the subnet with its private address.
          type: str
          returned: success
        private_endpoint_id:
          description: Id of the private endpoint that counts.
          type: str
          returned: success
        private_dns_zone_ids:
          description: Ids of the private DNS zones that know its name.
          type: list
          elements: str
          returned: success
        fqdn:
          description: Name by which it is reached.
          type: str
          returned: success
          sample: shop-old.postgres.database.azure.com
    target:
      description: How the target is reached.
      type: dict
      returned: success
      contains: *server
    migrates_from:
      description: Where the migrating side sits.
      type: dict
      returned: success
      contains:
        kind:
          description: V(target_server), V(public_address), V(migration_subnet) or V(runtime_server).
          type: str
          returned: success
          sample: target_server
        virtual_network_id:
          description: Id of its virtual network; V(null) when it connects from a public address.
          type: str
          returned: success
        subnet_id:
          description: Id of its subnet, which may be one that the plan makes.
          type: str
          returned: success
        description:
          description: The same in words.
          type: str
          returned: success
          sample: The target server shop-new, in the subnet targetsubnet of vnet2.
    reaches_source:
      description: Whether it reaches the source as things are.
      type: bool
      returned: success
      sample: false
    reaches_target:
      description: Whether it reaches the target as things are.
      type: bool
      returned: success
      sample: true
    missing:
      description: What keeps it from that, an empty list when nothing does.
      type: list
      elements: dict
      returned: success
      contains:
        kind:
          description:
            - V(peering), V(private_dns_zone_link), V(private_dns_record), V(private_endpoint), V(subnet),
              V(subnet_delegation), V(subnet_size), V(service_endpoint), V(virtual_network_rule), V(firewall_rule),
              V(network_security_group), V(custom_dns), V(role_scope), V(route), V(address_space), V(public_access),
              V(runtime_server), V(permission) or V(topology).
          type: str
          returned: success
          sample: peering
        side:
          description: Which server it is about, V(source), V(target) or V(both).
          type: str
          returned: success
          sample: source
        message:
          description: What is wrong, and what to do.
          type: str
          returned: success
          sample: "vnet2 and vnet1 are not peered: they have to be peered, both ways, for the migration to reach
          shop-old."
        remedy:
          description: V(apply) when the plan makes it, V(by_hand) when nobody but you can.
          type: str
          returned: success
          sample: apply
    unknown:
      description:
        - What the migration depends on besides, and Azure can not tell, such as the firewall of a source outside or a
          route that was stated. It shows when the service connects.
      type: list
      elements: dict
      returned: success
      contains:
        kind:
          description: V(source_firewall), V(route) or V(custom_dns).
          type: str
          returned: success
          sample: source_firewall
        side:
          description: Which server it is about, V(source) or V(target).
          type: str
          returned: success
          sample: source
        message:
          description: What is not known, or was stated.
          type: str
          returned: success
    plan:
      description: What the missing pieces amount to, each list in the shape of a module's options.
      type: dict
      returned: success
      contains: &plan
        subnets:
          description: For M(pgflex.migrate.subnet).
          type: list
          elements: dict
          returned: success
        peerings:
          description: For M(pgflex.migrate.virtual_network_peering).
          type: list
          elements: dict
          returned: success
        private_dns_zones:
          description: For M(pgflex.migrate.private_dns_zone).
          type: list
          elements: dict
          returned: success
        private_dns_zone_links:
          description: For M(pgflex.migrate.private_dns_zone_link).
          type: list
          elements: dict
          returned: success
        virtual_network_rules:
          description: For M(pgflex.migrate.virtual_network_rule).
          type: list
          elements: dict
          returned: success
        firewall_rules:
          description: For M(pgflex.migrate.firewall_rules).
          type: list
          elements: dict
          returned: success
        scopes:
          description:
            - Ids at which the application of O(principal_id), or O(new_application), is to become Contributor; only in
              RV(topology.plan).
          type: list
          elements: str
          returned: success
        words:
          description: One sentence for each step; only in RV(topology.plan).
          type: list
          elements: str
          returned: success
          sample: ["Peer vnet2 with vnet1, both ways."]
    scopes:
      description:
        - All ids at which the classic service's application has to be Contributor; empty for the current service.
      type: list
      elements: str
      returned: success
    migration_subnet_id:
      description: Id of the subnet that the classic service is to be given, V(null) for none.
      type: str
      returned: success
    runtime_server:
      description:
        - The runtime server of O(runtime_server) as M(pgflex.migrate.flexible_server) makes it, V(null) for none. As
          long as it is not there, RV(topology.missing) has it as V(runtime_server), which the plan's lists have no
          part in.
      type: dict
      returned: success
      contains:
        name:
          description: Name of the runtime server.
          type: str
          returned: success
        resource_group:
          description: Resource group that is to hold it.
          type: str
          returned: success
        location:
          description: Region of its virtual network.
          type: str
          returned: success
        subnet_id:
          description: Id of its delegated subnet.
          type: str
          returned: success
        private_dns_zone_id:
          description: Id of its private DNS zone.
          type: str
          returned: success
    made:
      description: What carries this collection's mark and belongs to these two servers, in the shape of the plan.
      type: dict
      returned: success
      contains: *plan
"""

from typing import Any

from ..module_utils._clients import AzureInfoModule
from ..module_utils._spec import AZURE, ArgumentSpec
from ..module_utils._topology.survey import Survey

TEXT: dict[str, Any] = {"type": "str"}
NEEDED = {"type": "str", "required": True}
SOURCE = {
    "type": {"type": "str", "default": "PostgreSQLSingleServer"},
    "subscription_id": TEXT,
    "resource_group": TEXT,
    "name": TEXT,
    "host": TEXT,
    "access": {"type": "str", "choices": ["public", "private"]},
    "route": {"type": "str", "choices": ["vpn", "expressroute", "peering", "none"]},
    "virtual_network_id": TEXT,
    "fqdn": TEXT,
    "name_resolves": {"type": "bool", "default": False},
}
PLANNED = {"delegated_subnet_id": TEXT, "private_dns_zone_id": TEXT}
TARGET = {
    "subscription_id": TEXT,
    "resource_group": NEEDED,
    "name": NEEDED,
    "fqdn": TEXT,
    "public_address": TEXT,
    "planned": {"type": "dict", "options": PLANNED},
}
SUBNET = {"name": {"type": "str", "default": "pgflex-migration"}, "address_prefix": TEXT}
RUNTIME = {
    "name": NEEDED,
    "resource_group": TEXT,
    "virtual_network_id": TEXT,
    "subnet_id": TEXT,
    "address_prefix": TEXT,
    "private_dns_zone_id": TEXT,
}
SPEC = AZURE.merge(
    ArgumentSpec(
        options={
            "generation": {"type": "str", "choices": ["current", "classic"], "default": "current"},
            "source": {"type": "dict", "required": True, "options": SOURCE},
            "target": {"type": "dict", "required": True, "options": TARGET},
            "migration_resource_group_id": TEXT,
            "migration_subnet_id": TEXT,
            "migration_vnet_id": TEXT,
            "subnet": {"type": "dict", "options": SUBNET},
            "runtime_server_id": TEXT,
            "runtime_server": {"type": "dict", "options": RUNTIME},
            "dns_forwarding": {"type": "bool", "default": False},
            "routed": {"type": "bool", "default": False},
            "principal_id": TEXT,
            "new_application": {"type": "bool", "default": False},
        },
        mutually_exclusive=(("runtime_server_id", "runtime_server"),),
    )
)


class TopologyInfo(AzureInfoModule):
    result_key = "topology"

    def results(self) -> dict[str, Any]:
        return Survey(self.azure, self.params).topology().row()


MODULE = TopologyInfo


def main() -> None:
    TopologyInfo.main(SPEC)


if __name__ == "__main__":
    main()
