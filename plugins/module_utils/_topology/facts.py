# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of two servers and the networks around them. Pure: nothing here asks Azure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .._ids import parse
from .._marks import PREFIX
from .._network.addresses import overlapping, usable

DELEGATION = "Microsoft.DBforPostgreSQL/flexibleServers"
# Where Azure answers for its private DNS zones, in every virtual network.
AZURE_DNS = "168.63.129.16"


def key(text: str) -> str:
    """The id as mappings have it: ARM compares without case."""
    return text.strip("/").lower()


def name_of(resource_id: str) -> str:
    return resource_id.rstrip("/").rsplit("/", 1)[-1]


def network_of(subnet_id: str) -> str:
    """The id of the virtual network that a subnet is in."""
    return subnet_id.rstrip("/").rsplit("/", 2)[0]


def subnet_words(subnet_id: str) -> str:
    return f"{name_of(subnet_id)} of {name_of(network_of(subnet_id))}"


@dataclass(frozen=True)
class SecurityRule:
    name: str
    priority: int
    inbound: bool
    allows: bool
    protocol: str
    sources: tuple[str, ...]
    source_ports: tuple[str, ...]
    destinations: tuple[str, ...]
    ports: tuple[str, ...]


@dataclass(frozen=True)
class SecurityGroup:
    id: str
    rules: tuple[SecurityRule, ...] = ()


@dataclass(frozen=True)
class Subnet:
    id: str
    prefixes: tuple[str, ...]
    delegations: tuple[str, ...] = ()
    service_endpoints: tuple[str, ...] = ()
    security_group_id: str | None = None
    # Addresses that are taken, without Azure's own.
    used: int = 0
    # Whether some of it is something that its owner can delete. A deleted server counts as using it for a while more.
    interfaces: bool = False
    # Whether its security group looks at what goes to private endpoints; Azure's default is that it does not.
    filters_endpoints: bool = False

    @property
    def name(self) -> str:
        return name_of(self.id)

    @property
    def free(self) -> int:
        return sum(usable(prefix) for prefix in self.prefixes if ":" not in prefix) - self.used


@dataclass(frozen=True)
class Peering:
    """One direction: what a network says of another."""

    name: str
    remote_id: str
    state: str = "Connected"
    access: bool = True
    remote_gateways: bool = False
    remote_prefixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Network:
    id: str
    prefixes: tuple[str, ...]
    location: str = ""
    dns_servers: tuple[str, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    peerings: tuple[Peering, ...] = ()

    @property
    def name(self) -> str:
        return name_of(self.id)

    @property
    def own_dns(self) -> tuple[str, ...]:
        """DNS servers other than Azure's: the first one answers, the others only while it is silent."""
        return () if self.dns_servers[:1] == (AZURE_DNS,) else self.dns_servers

    def subnet(self, name: str) -> Subnet | None:
        return next((row for row in self.subnets if row.name.lower() == name.lower()), None)

    def peering(self, remote_id: str) -> Peering | None:
        return next((row for row in self.peerings if key(row.remote_id) == key(remote_id)), None)

    def holds(self, address: str) -> bool:
        return bool(overlapping([address], self.prefixes))


@dataclass(frozen=True)
class Link:
    name: str
    network_id: str
    made: bool = False
    # Whether public DNS is asked for what the zone does not have.
    redirects: bool = False


@dataclass(frozen=True)
class Zone:
    """A private DNS zone; of its records only those that were asked for."""

    id: str
    links: tuple[Link, ...] = ()
    records: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    made: bool = False

    @property
    def name(self) -> str:
        return name_of(self.id).lower()

    @property
    def group(self) -> str:
        return parse(self.id, "id").resource_group

    def linked(self, network_id: str) -> bool:
        return self.link(network_id) is not None

    def link(self, network_id: str) -> Link | None:
        return next((link for link in self.links if key(link.network_id) == key(network_id)), None)


@dataclass(frozen=True)
class Endpoint:
    """A private endpoint that is connected to a server, or wants to be."""

    id: str
    subnet_id: str
    status: str = "Approved"
    addresses: tuple[str, ...] = ()
    zone_ids: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return name_of(self.id)

    @property
    def network_id(self) -> str:
        return network_of(self.subnet_id)


@dataclass(frozen=True)
class FirewallRule:
    name: str
    start: str
    end: str


@dataclass(frozen=True)
class NetworkRule:
    """A virtual network rule of a Single Server."""

    name: str
    subnet_id: str


@dataclass(frozen=True)
class Server:
    """A server of Azure, or one outside whose facts the user states."""

    kind: str  # single, flexible or outside
    name: str
    host: str
    id: str = ""
    public: bool = True
    tier: str = ""
    subnet_id: str | None = None
    zone_id: str | None = None
    endpoints: tuple[Endpoint, ...] = ()
    # Connections of private endpoints that can not be read, such as those of another tenant.
    unreadable: tuple[str, ...] = ()
    firewall: tuple[FirewallRule, ...] = ()
    network_rules: tuple[NetworkRule, ...] = ()
    # As custom DNS servers know it, when the user says so.
    fqdn: str | None = None
    route: str | None = None
    virtual_network_id: str | None = None
    # Its name leads to its address without a private DNS zone.
    name_resolves: bool = False

    @property
    def access(self) -> str:
        """How others connect: public, private_endpoint, virtual_network, private (outside Azure), or none."""
        if self.kind == "outside":
            return "public" if self.public else "private"
        if self.subnet_id:
            return "virtual_network"
        if self.public:
            return "public"
        return "private_endpoint" if self.endpoints else "none"

    @property
    def label(self) -> str:
        """The server's name in DNS, without its domain."""
        return self.host.split(".", maxsplit=1)[0]

    @property
    def domain(self) -> str:
        return self.host.partition(".")[2].lower()

    @property
    def privatelink(self) -> str:
        """The private DNS zone in which Azure looks for the private endpoints of such servers."""
        return f"privatelink.{self.domain}"


@dataclass(frozen=True)
class RuntimeWish:
    """A migration runtime server that is to be made; what is None is chosen here."""

    name: str
    group_id: str
    network_id: str | None = None
    subnet_id: str | None = None
    address_prefix: str | None = None
    zone_id: str | None = None


@dataclass(frozen=True)
class Wishes:
    """The user's options, beside the servers."""

    classic: bool = False
    group_id: str = ""
    subnet_id: str | None = None
    network_id: str | None = None
    subnet_name: str = f"{PREFIX}migration"
    subnet_prefix: str | None = None
    runtime: RuntimeWish | None = None
    dns_forwarding: bool = False
    # Networks reach each other by something that is no peering, such as a hub's firewall.
    routed: bool = False
    public_address: str | None = None


@dataclass(frozen=True)
class Facts:
    """Everything known; the mappings go by `key` of the id."""

    wishes: Wishes
    source: Server
    target: Server
    runtime: Server | None = None
    networks: Mapping[str, Network] = field(default_factory=dict)
    zones: Mapping[str, Zone] = field(default_factory=dict)
    groups: Mapping[str, SecurityGroup] = field(default_factory=dict)
    # Scopes at which the classic app is Contributor or Owner already; None when it is not known which app it is.
    roles: frozenset[str] | None = None

    def network(self, network_id: str) -> Network:
        return self.networks[key(network_id)]

    def subnet(self, subnet_id: str) -> Subnet | None:
        network = self.networks.get(key(network_of(subnet_id)))
        return network.subnet(name_of(subnet_id)) if network else None

    def zone(self, zone_id: str) -> Zone:
        return self.zones.get(key(zone_id)) or Zone(zone_id)


def resource_group_id(resource_id: str) -> str:
    where = parse(resource_id, "id")
    return f"/subscriptions/{where.subscription_id}/resourceGroups/{where.resource_group}"
