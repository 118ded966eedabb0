# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a connection gets through: peerings, gateways, security groups, firewalls."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from pgflex_lab.arm.http import section
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.reachability.places import Place, Places, Unreachable, Worker, in_words
from pgflex_lab.reachability.security import PORT, Connection, denying
from pgflex_lab.resources.server_networks import SERVICE
from pgflex_lab.resources.servers import ONPREMISES_TYPE, SINGLE

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

AZURE_SERVICES = IPv4Address("0.0.0.0")
NSG_FOR_ENDPOINTS = ("Enabled", "NetworkSecurityGroupEnabled")


class Traffic:
    def __init__(self, lab: Lab, places: Places) -> None:
        self._lab = lab
        self._places = places

    # To an address inside networks

    def check_private(self, worker: Worker, server: Resource, address: str) -> None:
        network = worker.network
        if worker.subnet is None or network is None:
            raise Unreachable(
                f"Server '{server.name}' is reached at its private address {address} only, to which "
                f"{worker.description} has no way: {worker.way_in}."
            )
        place = self._places.at(server, address)
        if place is None:
            self._check_gateway(network, server, address)
        elif place.network != network:
            self._check_peering(network, place.network, server)
        self._check_outbound(worker, worker.subnet, server, address)
        if place is not None and place.subnet is not None:
            self._check_inbound(worker, place, place.subnet, server, address)
        if server.type == ONPREMISES_TYPE and self._lab.rules.of(server):
            self._check_own_rules(worker.private_address, server, worker)

    def _peering(self, here: ResourceId, there: ResourceId) -> Resource | None:
        found = self._lab.peerings.of(here)
        return next((item for item in found if self._lab.peerings.remote_id(item) == there), None)

    def _check_peering(self, here: ResourceId, there: ResourceId, server: Resource) -> None:
        """Both sides have to be there, connected and open; a way over a third network does not count."""
        for one, other in ((here, there), (there, here)):
            found = self._peering(one, other)
            words = f"Server '{server.name}' is in virtual network '{there.name}', "
            if found is None:
                raise Unreachable(f"{words}and '{one.name}' has no peering with '{other.name}'.")
            state = self._lab.peerings.state(found)
            if state != "Connected":
                raise Unreachable(f"{words}and peering '{found.name}' of '{one.name}' is not Connected but '{state}'.")
            if not found.properties["allowVirtualNetworkAccess"]:
                raise Unreachable(
                    f"{words}and peering '{found.name}' of '{one.name}' does not allow virtual network access."
                )

    def open_peers(self, network: ResourceId) -> list[ResourceId]:
        """The networks that it is peered with, and whose traffic it lets in."""
        return [
            self._lab.peerings.remote_id(item)
            for item in self._lab.peerings.of(network)
            if self._lab.peerings.state(item) == "Connected" and item.properties["allowVirtualNetworkAccess"]
        ]

    def _gateways(self, server: Resource) -> list[ResourceId]:
        return [ResourceId(str(item)) for item in server.properties.get("routes") or []]

    def _has_gateway_to(self, network: ResourceId, server: Resource) -> bool:
        """A gateway of its own, or that of a peer which both sides share."""
        gateways = self._gateways(server)
        if network in gateways:
            return True
        for other in self.open_peers(network):
            mine, theirs = self._peering(network, other), self._peering(other, network)
            if other in gateways and mine is not None and theirs is not None:
                return bool(mine.properties["useRemoteGateways"] and theirs.properties["allowGatewayTransit"])
        return False

    def _check_gateway(self, network: ResourceId, server: Resource, address: str) -> None:
        if server.properties.get("privateAddress") != address:
            raise Unreachable(f"The address {address} is not one of server '{server.name}'.")
        if not self._has_gateway_to(network, server):
            raise Unreachable(
                f"There is no route from virtual network '{network.name}' to server '{server.name}' at {address}: no "
                "VPN or ExpressRoute gateway connects them."
            )

    # Security groups

    def _known(self, network: ResourceId) -> tuple[str, ...]:
        spaces = [self._lab.store.get(item) for item in (network, *self.open_peers(network))]
        found = [text for item in spaces if item for text in item.properties["addressSpace"]["addressPrefixes"]]
        for server in self._lab.servers.all():
            if server.type == ONPREMISES_TYPE and self._has_gateway_to(network, server):
                found.append(f"{server.properties['privateAddress']}/32")
        return tuple(found)

    def _denied(self, subnet: Resource, direction: str, source: str, destination: str, *, azure: bool) -> str | None:
        """The words for the group and the rule that refuse."""
        text = section(subnet.properties, "networkSecurityGroup").get("id")
        group = self._lab.store.get(ResourceId(str(text))) if text else None
        if group is None:
            return None
        connection = Connection(source, destination, self._known(subnet.id.parent), azure)
        rule = denying(self._lab.network_security_groups.effective(group), direction, connection)
        return f"rule '{rule}' of network security group '{group.name}'" if rule else None

    def _check_outbound(self, worker: Worker, subnet: Resource, server: Resource, address: str) -> None:
        azure = server.type != ONPREMISES_TYPE
        rule = self._denied(subnet, "Outbound", worker.private_address, address, azure=azure)
        if rule:
            raise Unreachable(
                f"Traffic from {in_words(subnet)} to port {PORT} of server '{server.name}' is denied by {rule}."
            )

    def _check_inbound(self, worker: Worker, place: Place, subnet: Resource, server: Resource, address: str) -> None:
        policies = subnet.properties["privateEndpointNetworkPolicies"]
        if place.endpoint is not None and policies not in NSG_FOR_ENDPOINTS:
            return
        rule = self._denied(subnet, "Inbound", worker.private_address, address, azure=True)
        if rule:
            raise Unreachable(
                f"Traffic from {worker.description} into {in_words(subnet)}, port {PORT} of server '{server.name}', is "
                f"denied by {rule}."
            )

    # To a public address

    def check_public(self, worker: Worker, server: Resource, why: str) -> None:
        if not self._places.public(server):
            raise Unreachable(f"Server '{server.name}' does not allow public network access.{why and ' ' + why}")
        if worker.subnet is not None:
            self._check_outbound(worker, worker.subnet, server, str(server.internal["public_ip"]))
        if server.type == ONPREMISES_TYPE:
            self._check_own_rules(worker.public_address, server, worker)
            return
        by_endpoint = worker.subnet is not None and server.type == SINGLE.type and self._has_service(worker.subnet)
        if worker.opens_firewalls and not by_endpoint:
            return
        # Through a service endpoint the server sees a private address, which no firewall rule admits.
        fixed = worker.public_address if worker.subnet is None else None
        if self._admits(server, fixed, azure=True) or self._network_rule(worker, server):
            return
        raise Unreachable(self._shut(worker, server, fixed))

    @staticmethod
    def _has_service(subnet: Resource) -> bool:
        return any(str(item["service"]).lower() == SERVICE.lower() for item in subnet.properties["serviceEndpoints"])

    def _rules_for(self, worker: Worker, server: Resource) -> list[Resource]:
        if worker.subnet is None or server.type != SINGLE.type:
            return []
        rules = self._lab.store.children(server.id, f"{server.type}/virtualNetworkRules")
        key = worker.subnet.id.key
        return [item for item in rules if str(item.properties["virtualNetworkSubnetId"]).lower() == key]

    def _network_rule(self, worker: Worker, server: Resource) -> bool:
        return worker.subnet is not None and self._has_service(worker.subnet) and bool(self._rules_for(worker, server))

    def _admits(self, server: Resource, address: str | None, *, azure: bool) -> bool:
        for rule in self._lab.rules.of(server):
            start = IPv4Address(str(rule.properties["startIpAddress"]))
            end = IPv4Address(str(rule.properties["endIpAddress"]))
            everybody = start == AZURE_SERVICES and str(end) == "255.255.255.255"
            if everybody or (azure and start == end == AZURE_SERVICES):
                return True
            if address is not None and start <= IPv4Address(address) <= end:
                return True
        return False

    def _shut(self, worker: Worker, server: Resource, fixed: str | None) -> str:
        if fixed is not None:
            return (
                f"The firewall of server '{server.name}' has no rule for {fixed}, the address of {worker.description}, "
                "and does not admit Azure services (0.0.0.0)."
            )
        found = f"The firewall of server '{server.name}' does not admit Azure services (0.0.0.0)"
        if worker.subnet is None or server.type != SINGLE.type:
            return f"{found}, which {worker.description} needs."
        if self._rules_for(worker, server):
            return (
                f"{found}, and {in_words(worker.subnet)}, which it has a rule for, has no service endpoint {SERVICE}."
            )
        return f"{found}, and it has no virtual network rule for {in_words(worker.subnet)}."

    def _check_own_rules(self, address: str | None, server: Resource, worker: Worker) -> None:
        """Its firewall and its pg_hba.conf are one to the lab."""
        if not self._admits(server, address, azure=False):
            raise Unreachable(
                f"The firewall or pg_hba.conf of server '{server.name}' does not admit "
                f"{address or 'any address'}, the address of {worker.description}."
            )
