# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the servers are, and where the migrating side sits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgflex_lab.arm.http import ArmError, section
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import SUBNET
from pgflex_lab.resources.servers import FLEXIBLE, ONPREMISES_TYPE

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab


class Unreachable(Exception):
    """The sentence that says what is in the way."""


@dataclass(frozen=True)
class Journey:
    """What an order says about networks. The names are the two FQDN properties."""

    source: Resource | tuple[str, int]
    target: Resource
    classic: bool = False
    subnet: str | None = None
    runtime_server: str | None = None
    source_name: str | None = None
    target_name: str | None = None


@dataclass(frozen=True)
class Worker:
    """The migrating side. Without a subnet it comes from a public address, which it may know or not."""

    description: str
    way_in: str
    """What would bring it into a virtual network."""
    home: Resource | None = None
    subnet: Resource | None = None
    private_address: str = ""
    public_address: str | None = None
    opens_firewalls: bool = False

    @property
    def network(self) -> ResourceId | None:
        return self.subnet.id.parent if self.subnet else None


@dataclass(frozen=True)
class Place:
    """An address of a server inside a virtual network."""

    network: ResourceId
    subnet: Resource | None
    endpoint: Resource | None = None


def in_words(subnet: Resource) -> str:
    return f"subnet '{subnet.name}' of virtual network '{subnet.id.parent.name}'"


class Places:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    # Servers

    @staticmethod
    def host_name(server: Resource) -> str:
        return str(server.properties.get("fullyQualifiedDomainName") or "").lower()

    @staticmethod
    def public(server: Resource) -> bool:
        """Is it open to public addresses at all? A server in a delegated subnet never is."""
        holder = server.properties.get("network")
        holder = holder if isinstance(holder, dict) else server.properties
        return (holder.get("publicNetworkAccess") or "Enabled") == "Enabled"

    def delegated_subnet(self, server: Resource) -> Resource | None:
        if server.type != FLEXIBLE.type:
            return None
        text = section(server.properties, "network").get("delegatedSubnetResourceId")
        return self._lab.store.get(ResourceId(str(text))) if text else None

    @staticmethod
    def zone_id(server: Resource) -> ResourceId:
        return ResourceId(str(section(server.properties, "network").get("privateDnsZoneArmResourceId") or "/none"))

    def endpoints(self, server: Resource) -> list[tuple[Resource, str]]:
        """Its private endpoints with the state of their connections."""
        if server.type == ONPREMISES_TYPE:
            return []
        return [
            (
                self._lab.store.require(ResourceId(str(item.properties["privateEndpoint"]["id"]))),
                str(item.properties["privateLinkServiceConnectionState"]["status"]),
            )
            for item in self._lab.server_connections.of(server)
        ]

    def approved(self, server: Resource) -> list[Resource]:
        return [endpoint for endpoint, status in self.endpoints(server) if status == "Approved"]

    def endpoint_subnet(self, endpoint: Resource) -> Resource:
        return self._lab.store.require(ResourceId(str(endpoint.properties["subnet"]["id"])))

    def nearest(self, server: Resource, network: ResourceId | None) -> Resource | None:
        """The approved endpoint in that network, or else the first one."""
        found = self.approved(server)
        own = [item for item in found if self.endpoint_subnet(item).id.parent == network]
        return next(iter([*own, *found]), None)

    def private_address(self, server: Resource, network: ResourceId | None) -> str | None:
        if server.type == ONPREMISES_TYPE:
            return server.properties.get("privateAddress")
        if self.delegated_subnet(server) is not None:
            return str(server.internal["private_ip"])
        endpoint = self.nearest(server, network)
        return self._lab.private_endpoints.address(endpoint) if endpoint else None

    def at(self, server: Resource, address: str) -> Place | None:
        """What the address is to the server; None when it has no such address in a virtual network."""
        subnet = self.delegated_subnet(server)
        if subnet is not None:
            return Place(subnet.id.parent, subnet) if server.internal["private_ip"] == address else None
        for endpoint in self.approved(server):
            if self._lab.private_endpoints.address(endpoint) == address:
                held = self.endpoint_subnet(endpoint)
                return Place(held.id.parent, held, endpoint)
        network = server.properties.get("virtualNetwork")
        if network and server.properties.get("privateAddress") == address:
            found = ResourceId(str(network))
            return Place(found, self._lab.subnets.holding(found, address))
        return None

    # The migrating side

    def worker(self, journey: Journey) -> Worker:
        if journey.classic:
            return self._classic(journey.subnet)
        if journey.runtime_server:
            return self._runtime(ResourceId.parse(journey.runtime_server))
        target = journey.target
        subnet = self.delegated_subnet(target)
        needed = "a migration runtime server is needed"
        if subnet is not None:
            return self._inside(target, subnet, f"target server '{target.name}'")
        if not self.public(target):
            raise Unreachable(
                f"Server '{target.name}' does not allow public network access and is not in a virtual network of its "
                f"own, so nothing can migrate from it: {needed}."
            )
        return Worker(
            f"target server '{target.name}'", needed, home=target, public_address=str(target.internal["public_ip"])
        )

    @staticmethod
    def _inside(server: Resource, subnet: Resource, description: str) -> Worker:
        return Worker(
            description,
            "",
            home=server,
            subnet=subnet,
            private_address=str(server.internal["private_ip"]),
            public_address=str(server.internal["public_ip"]),
        )

    def _runtime(self, server_id: ResourceId) -> Worker:
        server = self._lab.store.get(server_id)
        words = f"migration runtime server '{server_id.name}'"
        if server is None or server.type != FLEXIBLE.type:
            raise Unreachable(f"The {words} does not exist.")
        subnet = self.delegated_subnet(server)
        if subnet is None:
            raise Unreachable(f"The {words} is not in a virtual network: it needs a delegated subnet.")
        if server.properties["state"] != "Ready":
            raise Unreachable(f"The {words} is not ready: its state is '{server.properties['state']}'.")
        return self._inside(server, subnet, words)

    def _classic(self, text: str | None) -> Worker:
        if not text:
            return Worker(
                "the migration service without a subnet",
                "the migration needs a subnet (migrationResourceGroup.subnetResourceId) that reaches it",
                opens_firewalls=True,
            )
        subnet_id = ResourceId.parse(text)
        network, name = subnet_id.parent.name, subnet_id.name
        subnet = self._lab.store.get(subnet_id)
        if subnet is None or subnet.type != SUBNET:
            raise Unreachable(f"The migration subnet '{name}' of virtual network '{network}' does not exist.")
        if services := self._lab.subnets.delegated_to(subnet):
            raise Unreachable(
                f"The migration subnet '{name}' of virtual network '{network}' is delegated to {', '.join(services)} "
                "and takes nothing else."
            )
        try:
            address = self._lab.subnets.free_address(subnet)
        except ArmError as error:
            raise Unreachable(
                f"The migration subnet '{name}' of virtual network '{network}' has no free address: {error.message}"
            ) from error
        return Worker(
            f"the migration service in {in_words(subnet)}",
            "",
            subnet=subnet,
            private_address=address,
            opens_firewalls=True,
        )
