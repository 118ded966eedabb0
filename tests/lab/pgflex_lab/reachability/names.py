# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server's name leads to from where the migrating side sits."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING

from pgflex_lab.arm.http import section
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.reachability.dns_servers import DnsServer
from pgflex_lab.reachability.places import Places, Unreachable, Worker
from pgflex_lab.reachability.security import within
from pgflex_lab.resources.networking import LINK, VNET, ZONE
from pgflex_lab.resources.server_connections import ZONE_NAME
from pgflex_lab.resources.servers import ONPREMISES_TYPE

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

AZURE_DNS = "168.63.129.16"


@dataclass(frozen=True)
class Found:
    """An address inside networks, or None for the server's public one; then `why` tells why it is not the other."""

    address: str | None
    why: str = ""


def is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


class Names:
    def __init__(self, lab: Lab, places: Places) -> None:
        self._lab = lab
        self._places = places

    def resolve(self, worker: Worker, server: Resource, name: str) -> Found:
        """Raises `Unreachable` when the name leads nowhere, or to something else."""
        name = name.lower().rstrip(".")
        network = worker.network
        if is_address(name):
            return self._literal(server, name)
        if network is None:
            return self._public(server, name, self._why_public(worker, server))
        own = self._own_dns(network)
        if not own:
            return self._azure(server, name, network)
        dns = next((self._lab.dns_servers[item] for item in own if item in self._lab.dns_servers), None)
        if dns is None:
            raise Unreachable(
                f"The name '{name}' of server '{server.name}' is not resolved: the DNS server {', '.join(own)} of "
                f"virtual network '{network.name}' does not answer."
            )
        return self._custom(dns, server, name, network)

    def _own_dns(self, network: ResourceId) -> list[str]:
        found = self._lab.store.get(network)
        servers = list(section(found.properties, "dhcpOptions").get("dnsServers") or []) if found else []
        # The first one answers; the others are asked when it is silent only.
        return [] if servers[:1] == [AZURE_DNS] else servers

    def _literal(self, server: Resource, address: str) -> Found:
        """An address needs no resolving. The cluster's own one stands for whichever the server has."""
        private = server.properties.get("privateAddress")
        if address == private or (private and not self._places.public(server)):
            return Found(str(private))
        return Found(None)

    # Public names

    def _why_public(self, worker: Worker, server: Resource) -> str:
        if self._places.delegated_subnet(server) is not None:
            return f"For {worker.description} there is no way to it: {worker.way_in}."
        if self._places.public(server):
            return ""
        endpoint = self._places.nearest(server, None)
        if endpoint is None:
            return self._no_endpoint(server)
        network = self._places.endpoint_subnet(endpoint).id.parent.name
        return (
            f"Its private endpoint '{endpoint.name}' is in virtual network '{network}', to which {worker.description} "
            f"has no way: {worker.way_in}."
        )

    def _no_endpoint(self, server: Resource) -> str:
        if server.type == ONPREMISES_TYPE:
            return ""
        pending = self._places.endpoints(server)
        if not pending:
            return "It has no private endpoint."
        endpoint, status = pending[0]
        return f"The connection of its private endpoint '{endpoint.name}' is not approved but '{status}'."

    def _public(self, server: Resource, name: str, why: str) -> Found:
        if name != self._places.host_name(server):
            raise Unreachable(f"The name '{name}' does not resolve to server '{server.name}'.{why and ' ' + why}")
        subnet = self._places.delegated_subnet(server)
        if subnet is not None:
            raise Unreachable(
                f"Server '{server.name}' is in virtual network '{subnet.id.parent.name}' and has no public address."
                + (f" {why}" if why else "")
            )
        return Found(None, why)

    # Azure's own DNS

    def _links(self, network: ResourceId) -> dict[str, Resource]:
        """The zones that are linked to the network, by name; Azure allows one of each."""
        links = self._lab.store.children(ResourceId("/"), LINK)
        mine = [item for item in links if item.properties["virtualNetwork"]["id"].lower() == network.key]
        return {item.id.parent.name.lower(): item for item in mine}

    def _record(self, zone_id: ResourceId, name: str) -> list[str]:
        found = self._lab.store.get(zone_id.child("A", name))
        return [str(item["ipv4Address"]) for item in found.properties["aRecords"]] if found else []

    def _azure(self, server: Resource, name: str, network: ResourceId) -> Found:
        if name == self._places.host_name(server):
            if self._places.delegated_subnet(server) is not None:
                return self._injected(server, network)
            if self._places.approved(server):
                return self._by_endpoint(server, network)
        links = self._links(network)
        zones = sorted((zone for zone in links if name.endswith(f".{zone}")), key=len, reverse=True)
        if not zones:
            return self._outside(server, name, network)
        link = links[zones[0]]
        addresses = self._record(link.id.parent, name.removesuffix(f".{zones[0]}"))
        if addresses:
            return self._leading(server, name, addresses, network)
        if link.properties["resolutionPolicy"] == "NxDomainRedirect":
            return self._outside(server, name, network)
        raise Unreachable(
            f"Private DNS zone '{link.id.parent.name}', which is linked to virtual network '{network.name}', has no "
            f"record of '{name}' for server '{server.name}'."
        )

    def _outside(self, server: Resource, name: str, network: ResourceId) -> Found:
        """What is in no private zone is asked of the public DNS."""
        if server.type == ONPREMISES_TYPE and not self._places.public(server):
            raise Unreachable(
                f"The name '{name}' of server '{server.name}' is not resolved in virtual network '{network.name}': no "
                "linked private DNS zone and no DNS server of its own knows it."
            )
        return self._public(server, name, "" if self._places.public(server) else self._no_endpoint(server))

    def _injected(self, server: Resource, network: ResourceId) -> Found:
        zone = self._lab.store.get(self._places.zone_id(server))
        if zone is None or zone.type != ZONE:
            name = self._places.zone_id(server).name
            raise Unreachable(f"The private DNS zone '{name}' of server '{server.name}' does not exist.")
        if network not in self._lab.private_dns_links.linked(zone.id):
            raise Unreachable(
                f"The private DNS zone '{zone.name}' of server '{server.name}' is not linked to virtual network "
                f"'{network.name}', so the server's name is not resolved there."
            )
        record = self._lab.store.get(ResourceId(str(server.internal.get("private_record") or "/none")))
        if record is None:
            raise Unreachable(f"The private DNS zone '{zone.name}' has no record of server '{server.name}'.")
        addresses = [str(item["ipv4Address"]) for item in record.properties["aRecords"]]
        return self._leading(server, self._places.host_name(server), addresses, network)

    def _by_endpoint(self, server: Resource, network: ResourceId) -> Found:
        """A server with a private endpoint has a second name, in a zone that each network has or has not."""
        link = self._links(network).get(ZONE_NAME)
        host = self._places.host_name(server)
        if link is None:
            endpoint = self._places.nearest(server, network)
            ends = f"private endpoint '{endpoint.name}'" if endpoint else "private endpoint"
            return Found(
                None,
                f"The private DNS zone '{ZONE_NAME}' is not linked to virtual network '{network.name}', so the name of "
                f"the server does not lead to its {ends} there.",
            )
        addresses = self._record(link.id.parent, host.partition(".")[0])
        if addresses:
            return self._leading(server, host, addresses, network)
        if link.properties["resolutionPolicy"] == "NxDomainRedirect":
            return Found(None, f"The private DNS zone '{ZONE_NAME}' has no record of it.")
        raise Unreachable(
            f"The private DNS zone '{ZONE_NAME}', which is linked to virtual network '{network.name}', has no record "
            f"of server '{server.name}'."
        )

    def _leading(self, server: Resource, name: str, addresses: list[str], network: ResourceId) -> Found:
        for address in addresses:
            if self._places.at(server, address) or server.properties.get("privateAddress") == address:
                return Found(address)
            if address == server.internal.get("public_ip"):
                return Found(None)
        raise Unreachable(
            f"The name '{name}' leads to {', '.join(addresses)} in virtual network '{network.name}', which is not an "
            f"address of server '{server.name}'."
        )

    # DNS servers of the customer's own

    def _standing(self, address: str, network: ResourceId) -> ResourceId:
        """The network that a DNS server is in, by its address: it is the one that Azure answers for."""
        found = [self._lab.store.get(network), *self._lab.store.children(ResourceId("/"), VNET)]
        holding = (
            item for item in found if item and within(address, item.properties["addressSpace"]["addressPrefixes"])
        )
        return next((item.id for item in holding), network)

    def _custom(self, dns: DnsServer, server: Resource, name: str, network: ResourceId) -> Found:
        record = dns.records.get(name)
        if record is not None and is_address(record):
            return self._leading(server, name, [record], network)
        if record is not None:
            if record.lower() != server.name.lower():
                raise Unreachable(
                    f"The name '{name}' leads to server '{record}' in virtual network '{network.name}', and not to "
                    f"server '{server.name}'."
                )
            return Found(self._places.private_address(server, network))
        if dns.forwards:
            return self._azure(server, name, dns.virtual_network or self._standing(dns.address, network))
        why = (
            f"The DNS server {dns.address} of virtual network '{network.name}' does not forward to Azure's {AZURE_DNS} "
            f"and has no record of '{name}'."
        )
        if server.type == ONPREMISES_TYPE and not self._places.public(server):
            raise Unreachable(f"The name '{name}' of server '{server.name}' is not resolved. {why}")
        return self._public(server, name, why)
