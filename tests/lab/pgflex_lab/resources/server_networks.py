# SPDX-License-Identifier: GPL-3.0-or-later
"""Flexible Servers inside a virtual network, and the subnets that a Single Server admits."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmRequest, section
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import SUBNET, ZONE, bad
from pgflex_lab.resources.servers import DOMAIN, FLEXIBLE, invalid

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

SERVICE = "Microsoft.Sql"
FIXED = ("delegatedSubnetResourceId", "privateDnsZoneArmResourceId")


class ServerNetworks:
    """`attach` gives a server `internal["private_ip"]` and, in its zone, the record `internal["private_record"]`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    # Flexible Servers

    def check(self, request: ArmRequest, server: Resource) -> None:
        """May this new server be where its `network` says?"""
        network = server.properties["network"]
        subnet_text, zone_text = (network.get(name) for name in FIXED)
        if not subnet_text:
            if zone_text:
                raise invalid(
                    "network.delegatedSubnetResourceId",
                    "A private DNS zone is only for a server in a delegated subnet.",
                )
            return
        if section(request.properties(), "network").get("publicNetworkAccess") == "Enabled":
            raise bad(
                "ConflictingPublicNetworkAccessAndVirtualNetworkConfiguration",
                "Conflicting configuration is detected between Public Network Access and Virtual Network arguments. "
                "Public Network Access is not supported along with Virtual Network feature.",
            )
        network["publicNetworkAccess"] = "Disabled"
        subnet = self._subnet(request, server, subnet_text)
        if not zone_text:
            raise bad(
                "EmptyPrivateDnsZoneArmResourceId",
                "The provided Private DNS zone ARM resource ID should not be empty for servers with Virtual Network "
                "access.",
            )
        self._zone(request, server, subnet, zone_text)

    def _subnet(self, request: ArmRequest, server: Resource, text: Any) -> Resource:
        subnet = self._lab.networking.referenced(server.id, text, SUBNET)
        self._lab.networking.check_link(request, f"{SUBNET}/join/action", subnet.id)
        if self._lab.store.require(subnet.id.parent).location != server.location:
            raise bad(
                "InvalidResourceReference",
                f"Resource {subnet.id} referenced by resource {server.id} was not found. Please make sure that the "
                "referenced resource exists, and that both resources are in the same region.",
            )
        if FLEXIBLE.type not in self._lab.subnets.delegated_to(subnet):
            raise bad(
                "OperationFailed", f"The subnet name as {subnet.name} is missing required delegations {FLEXIBLE.type}"
            )
        self._lab.subnets.free_address(subnet)
        return subnet

    def _zone(self, request: ArmRequest, server: Resource, subnet: Resource, text: Any) -> Resource:
        zone = self._lab.networking.referenced(server.id, text, ZONE)
        self._lab.networking.check_link(request, f"{ZONE}/join/action", zone.id)
        name = zone.name.lower()
        own = name == f"{server.name}.{DOMAIN}".lower()
        if own or not name.endswith(f".{DOMAIN}"):
            why = "It can not be server name plus zone suffix." if own else f"It must end with '.{DOMAIN}'."
            raise bad(
                "PrivateDnsZoneNameNotValid", f"The Private DNS Zone name provided [{zone.name}] is not valid. {why}"
            )
        if subnet.id.parent not in self._lab.private_dns_links.linked(zone.id):
            raise bad(
                "PrivateDnsZoneNotLinkedToVirtualNetwork",
                f"The private DNS zone '{zone.id}' is not linked to virtual network '{subnet.id.parent}'.",
            )
        return zone

    def check_change(self, request: ArmRequest, server: Resource) -> None:
        """A server stays in the subnet it was made in; only its zone can be another."""
        current = server.properties["network"]
        wanted = section(request.properties(), "network")
        subnet_text, zone_text = (wanted.get(name) for name in FIXED)
        if subnet_text is not None and str(subnet_text).lower() != str(current.get(FIXED[0], "")).lower():
            raise invalid("network.delegatedSubnetResourceId")
        if zone_text is None or str(zone_text).lower() == str(current.get(FIXED[1], "")).lower():
            return
        if not current.get(FIXED[0]):
            raise invalid("network.privateDnsZoneArmResourceId")
        self._zone(request, server, self._lab.store.require(ResourceId(str(current[FIXED[0]]))), zone_text)

    def changed(self, server: Resource) -> None:
        """Its address goes with it into another zone."""
        zone_id = ResourceId(str(server.properties["network"].get(FIXED[1]) or "/"))
        record = server.internal.get("private_record")
        if record is None or zone_id.contains(ResourceId(record)):
            return
        with self._lab.store.locked():
            self.detach(server)
            self._register(server, self._lab.store.require(zone_id))

    def attach(self, server: Resource) -> None:
        """Gives it its address and its name, and puts it into the store: at once, so that no other has them."""
        network = server.properties["network"]
        with self._lab.store.locked():
            if network.get(FIXED[0]):
                subnet, zone = (self._lab.store.require(ResourceId(str(network[name]))) for name in FIXED)
                server.internal["private_ip"] = self._lab.subnets.free_address(subnet)
                self._register(server, zone)
            self._lab.store.put(server)

    def _register(self, server: Resource, zone: Resource) -> None:
        """Under a name of its own making: the server's public name leads to it."""
        record = self._lab.private_dns_records.add_address(
            zone, uuid.uuid4().hex[:12], str(server.internal["private_ip"]), {"creator": str(server.id)}
        )
        server.internal["private_record"] = str(record.id)

    def detach(self, server: Resource) -> None:
        if "private_record" in server.internal:
            self._lab.store.delete(ResourceId(str(server.internal["private_record"])))

    # Single Servers

    def check_rule(self, server: Resource, rule: dict[str, Any]) -> None:
        """A virtual network rule needs the service endpoint on its subnet, unless it is told to be there later."""
        if (server.sku or {}).get("tier") == "Basic":
            raise bad("FeatureNotSupported", "Virtual network rules are not supported on servers of the tier Basic.")
        text = str(rule["virtualNetworkSubnetId"])
        subnet = self._lab.store.get(ResourceId(text))
        if subnet is None or subnet.type != SUBNET:
            raise bad(
                "VirtualNetworkRuleBadRequest",
                f"Azure SQL Server Virtual Network Rule encountered an user error: Subnet '{text}' was not found.",
            )
        place = self._lab.store.require(subnet.id.parent).location
        if place != server.location:
            raise bad(
                "VirtualNetworkRuleBadRequest",
                "Azure SQL Server Virtual Network Rule encountered an user error: "
                f"{SERVICE} resources in {server.location} cannot be ACL-ed to virtual network in {place}. Only "
                f"resources in {place} can be ACL-ed to virtual networks in {place}.",
            )
        services = [str(item["service"]).lower() for item in subnet.properties["serviceEndpoints"]]
        if SERVICE.lower() not in services and not rule["ignoreMissingVnetServiceEndpoint"]:
            raise bad(
                "VirtualNetworkRuleBadRequest",
                "Azure SQL Server Virtual Network Rule encountered an user error: Cannot proceed with operation "
                f"because subnets {subnet.name} of the virtual network {subnet.id.parent} are not provisioned for "
                f"service endpoint {SERVICE}.",
            )
