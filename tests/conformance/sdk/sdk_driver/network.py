# SPDX-License-Identifier: GPL-3.0-or-later
"""azure-mgmt-network 32 and 33, azure-mgmt-privatedns 1 and 2: what private access needs."""

from __future__ import annotations

from typing import Any

from azure.mgmt.network import NetworkManagementClient, models
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure.mgmt.privatedns import models as dns

from sdk_driver.judge import Judge, Target


class Networks:
    def __init__(self, lab: Target) -> None:
        self.lab = lab
        self.judge = Judge("azure-mgmt-network")
        self.client = lab.client(NetworkManagementClient, self.judge)
        self.name = f"net-{lab.tag}"
        self.at = (lab.group, self.name)

    @property
    def id(self) -> str:
        return f"{self.lab.group_id}/providers/Microsoft.Network/virtualNetworks/{self.name}"

    def make(self) -> None:
        networks, judge = self.client.virtual_networks, self.judge
        for name, prefix in ((self.name, "10.1.0.0/16"), (f"{self.name}-b", "10.2.0.0/16")):
            space = models.AddressSpace(address_prefixes=[prefix])
            content = models.VirtualNetwork(location="eastus", address_space=space, tags={"made": "by-sdk"})
            put = networks.begin_create_or_update
            judge.wait("virtual_networks.begin_create_or_update", put, self.lab.group, name, content)
        judge.get("virtual_networks.get", networks.get, *self.at)
        judge.rows("virtual_networks.list", networks.list, self.lab.group)
        judge.rows("virtual_networks.list_all", networks.list_all)
        absent = (self.lab.group, f"{self.name}-none")
        judge.refused("virtual_networks.get of none", "ResourceNotFound", 404, networks.get, *absent)
        tags = models.TagsObject(tags={"made": "over"})
        judge.get("virtual_networks.update_tags", networks.update_tags, *self.at, tags)
        self.subnets()
        self.peerings()
        self.security_groups()

    def subnets(self) -> None:
        subnets, judge = self.client.subnets, self.judge
        delegation = models.Delegation(name="flexible", service_name="Microsoft.DBforPostgreSQL/flexibleServers")
        wanted = (
            models.Subnet(address_prefix="10.1.0.0/24", delegations=[delegation]),
            models.Subnet(address_prefix="10.1.1.0/24", private_endpoint_network_policies="Disabled"),
        )
        for name, content in zip(("delegated", "endpoints"), wanted, strict=True):
            judge.wait("subnets.begin_create_or_update", subnets.begin_create_or_update, *self.at, name, content)
        judge.get("subnets.get", subnets.get, *self.at, "delegated")
        judge.rows("subnets.list", subnets.list, *self.at)

    def peerings(self) -> None:
        peerings, judge = self.client.virtual_network_peerings, self.judge
        put = peerings.begin_create_or_update
        content = models.VirtualNetworkPeering(
            remote_virtual_network=models.SubResource(id=f"{self.id}-b"),
            allow_virtual_network_access=True,
            allow_forwarded_traffic=True,
        )
        judge.wait("virtual_network_peerings.begin_create_or_update", put, *self.at, "to-b", content)
        judge.get("virtual_network_peerings.get", peerings.get, *self.at, "to-b")
        judge.rows("virtual_network_peerings.list", peerings.list, *self.at)

    def security_groups(self) -> None:
        groups, judge = self.client.network_security_groups, self.judge
        at = (self.lab.group, f"nsg-{self.lab.tag}")
        content = models.NetworkSecurityGroup(location="eastus")
        put = groups.begin_create_or_update
        judge.wait("network_security_groups.begin_create_or_update", put, *at, content)
        judge.get("network_security_groups.get", groups.get, *at)
        judge.rows("network_security_groups.list", groups.list, self.lab.group)
        judge.wait("network_security_groups.begin_delete", groups.begin_delete, *at)

    def endpoints(self, zone: str) -> None:
        endpoints, judge = self.client.private_endpoints, self.judge
        at = (self.lab.group, f"pe-{self.lab.tag}")
        connection = models.PrivateLinkServiceConnection(
            name="source",
            private_link_service_id=f"{self.lab.postgresql}/servers/shop-single",
            group_ids=["postgresqlServer"],
        )
        content = models.PrivateEndpoint(
            location="eastus",
            subnet=models.Subnet(id=f"{self.id}/subnets/endpoints"),
            private_link_service_connections=[connection],
        )
        judge.wait("private_endpoints.begin_create_or_update", endpoints.begin_create_or_update, *at, content)
        made = judge.get("private_endpoints.get", endpoints.get, *at)
        judge.rows("private_endpoints.list", endpoints.list, self.lab.group)
        with judge.operation("network_interfaces.get"):
            nic = str(made.network_interfaces[0].id).rpartition("/")[2]
            answer, found = self.client.network_interfaces.get(self.lab.group, nic, cls=lambda *got: (got[0], got[1]))
            judge.require_whole(answer.http_response.json(), found)
        groups = self.client.private_dns_zone_groups
        config = models.PrivateDnsZoneConfig(name="postgres", private_dns_zone_id=zone)
        group = models.PrivateDnsZoneGroup(private_dns_zone_configs=[config])
        judge.wait("private_dns_zone_groups.begin_create_or_update", groups.begin_create_or_update, *at, "zones", group)
        judge.get("private_dns_zone_groups.get", groups.get, *at, "zones")
        judge.rows("private_dns_zone_groups.list", groups.list, at[1], at[0])
        judge.wait("private_dns_zone_groups.begin_delete", groups.begin_delete, *at, "zones")
        judge.wait("private_endpoints.begin_delete", endpoints.begin_delete, *at)

    def remove(self) -> None:
        client, judge = self.client, self.judge
        peerings = client.virtual_network_peerings
        judge.wait("virtual_network_peerings.begin_delete", peerings.begin_delete, *self.at, "to-b")
        judge.wait("subnets.begin_delete", client.subnets.begin_delete, *self.at, "endpoints")
        judge.wait("virtual_networks.begin_delete", client.virtual_networks.begin_delete, *self.at)


class PrivateDns:
    def __init__(self, lab: Target) -> None:
        self.lab = lab
        self.judge = Judge("azure-mgmt-privatedns")
        self.client = lab.client(PrivateDnsManagementClient, self.judge)
        self.at = (lab.group, f"{lab.tag}.postgres.database.azure.com")

    @property
    def zone(self) -> str:
        return f"{self.lab.group_id}/providers/Microsoft.Network/privateDnsZones/{self.at[1]}"

    def make(self, network: str) -> None:
        zones, judge = self.client.private_zones, self.judge
        zone = dns.PrivateZone(location="global")
        judge.wait("private_zones.begin_create_or_update", zones.begin_create_or_update, *self.at, zone)
        judge.get("private_zones.get", zones.get, *self.at)
        judge.rows("private_zones.list", zones.list)
        judge.rows("private_zones.list_by_resource_group", zones.list_by_resource_group, self.lab.group)
        change = dns.PrivateZone(tags={"made": "over"})
        judge.wait("private_zones.begin_update", zones.begin_update, *self.at, change)
        links = self.client.virtual_network_links
        link = dns.VirtualNetworkLink(
            location="global", virtual_network=dns.SubResource(id=network), registration_enabled=False
        )
        put = links.begin_create_or_update
        judge.wait("virtual_network_links.begin_create_or_update", put, *self.at, "net", link)
        judge.get("virtual_network_links.get", links.get, *self.at, "net")
        judge.rows("virtual_network_links.list", links.list, *self.at)
        self.records()

    def records(self) -> None:
        records, judge = self.client.record_sets, self.judge
        content = dns.RecordSet(ttl=30, a_records=[dns.ARecord(ipv4_address="10.1.1.9")])
        judge.get("record_sets.create_or_update", records.create_or_update, *self.at, "A", "db", content)
        judge.get("record_sets.get", records.get, *self.at, "A", "db")
        judge.rows("record_sets.list", records.list, *self.at)
        judge.rows("record_sets.list_by_type", records.list_by_type, *self.at, "A")
        judge.get("record_sets.delete", records.delete, *self.at, "A", "db")

    def remove(self) -> None:
        client, judge = self.client, self.judge
        unlink = client.virtual_network_links.begin_delete
        judge.wait("virtual_network_links.begin_delete", unlink, *self.at, "net")
        judge.wait("private_zones.begin_delete", client.private_zones.begin_delete, *self.at)


def judges() -> list[Judge]:
    lab = Target()
    networks, names = Networks(lab), PrivateDns(lab)
    steps: list[Any] = [networks.make, lambda: names.make(networks.id), lambda: networks.endpoints(names.zone)]
    for step in (*steps, names.remove, networks.remove):
        step()
    return [networks.judge, names.judge]
