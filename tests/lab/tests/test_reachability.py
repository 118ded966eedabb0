# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom: every topology whole, and with each of its pieces taken away. No clusters, no HTTP."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pgflex_lab import seed
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.lab import Lab
from pgflex_lab.reachability import Journey
from pgflex_lab.seed_networks import add_dns_server, call
from pgflex_lab.settings import Settings
from pgflex_lab.tls import Authority

SUBSCRIPTION = "00000000-0000-0000-0000-0000000000aa"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
SERVERS = f"{GROUP}/providers/Microsoft.DBforPostgreSQL"
LINKED = "privatelink.postgres.database.azure.com"
OWN = "tgt.private.postgres.database.azure.com"
RUNTIME_ZONE = "run.private.postgres.database.azure.com"
AZURE = {"azure": ["0.0.0.0", "0.0.0.0"]}
HOST = "pg1.corp.example"
PRIVATE = "192.168.7.5"


@dataclass
class World:
    """A lab whose servers are only in its books."""

    lab: Lab
    classic: bool = False
    subnet: str | None = None
    runtime: str | None = None
    host: str = ""
    names: dict[str, str] = field(default_factory=dict)

    def server(self, name: str) -> Resource:
        found = self.lab.servers.named(name)
        assert found is not None
        return found

    def journey(self) -> Journey:
        return Journey(
            source=(self.host, 5432) if self.host else self.server("src"),
            target=self.server("tgt"),
            classic=self.classic,
            subnet=str(subnet_id(self.subnet)) if self.subnet else None,
            runtime_server=f"{SERVERS}/flexibleServers/{self.runtime}" if self.runtime else None,
            source_name=self.names.get("source"),
            target_name=self.names.get("target"),
        )

    def explain(self) -> str | None:
        return self.lab.reachability.explain(self.journey())


def subnet_id(text: str) -> ResourceId:
    """`network/subnet` in full."""
    network_name, _separator, name = text.partition("/")
    return ResourceId(f"{NETWORK}/virtualNetworks/{network_name}/subnets/{name}")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="pgl-", dir="/var/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def authority(home: Path) -> Authority:
    return Authority(home, home / "ca.pem")


@pytest.fixture
def world(home: Path, authority: Authority) -> Iterator[World]:
    lab = Lab(Settings(home=home, time_scale=6000.0), authority)
    lab.servers.make_cluster = lambda server, password: SimpleNamespace(hostaddr="127.0.0.9")  # type: ignore
    lab.subscriptions.add(SUBSCRIPTION, "lab")
    lab.resource_groups.add(SUBSCRIPTION, "rg", "eastus")
    for namespace in ("Microsoft.Network", "Microsoft.DBforPostgreSQL"):
        lab.providers.seed(SUBSCRIPTION, namespace)
    yield World(lab)
    lab.close()


# Topologies


def server(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, "admin": "boss", "password": "Correct-Horse-1", **more}


def closed(name: str = "src", kind: str = "single") -> dict[str, Any]:
    return server(kind, name, public_network_access="Disabled")


def injected(name: str = "tgt", subnet: str = "b/pg", zone: str = OWN) -> dict[str, Any]:
    return server("flexible", name, network={"subnet": subnet, "zone": zone})


def vnet(name: str, number: int, *peers: Any, **more: Any) -> dict[str, Any]:
    subnets = [
        {"name": "ends", "prefix": f"10.{number}.0.0/24"},
        {"name": "work", "prefix": f"10.{number}.1.0/29"},
        {"name": "pg", "prefix": f"10.{number}.2.0/24", "delegation": True},
        {"name": "sql", "prefix": f"10.{number}.3.0/24", "service_endpoints": ["Microsoft.Sql"]},
    ]
    return {
        "name": name,
        "address_space": f"10.{number}.0.0/16",
        "subnets": subnets,
        "peerings": list(peers),
        **more,
    }


def endpoint(name: str, subnet: str, target: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "subnet": subnet, "server": target, "zones": [LINKED], **more}


def zones(own: list[str], linked: list[str], **more: list[str]) -> list[dict[str, Any]]:
    found = [{"name": OWN, "links": own}, {"name": LINKED, "links": linked}]
    return found + [{"name": name, "links": links} for name, links in more.items()]


def public(classic: bool = False) -> Callable[[World], None]:
    def build(world: World) -> None:
        world.classic = classic
        rules = {} if classic else AZURE
        seed.add_networks(
            world.lab, {"servers": [server("single", "src", firewall_rules=rules), server("flexible", "tgt")]}
        )

    return build


def private(
    network: str = "a", subnet: str | None = None, *, ends: str = "a", links: tuple[str, ...] = ("a", "b")
) -> Callable[[World], None]:
    """The source's endpoint in `ends`, the target in b; the migration in the classic `subnet`, or in the target."""

    def build(world: World) -> None:
        world.classic, world.subnet = subnet is not None, subnet
        seed.add_networks(
            world.lab,
            {
                "networks": [vnet("a", 1, "b"), vnet("b", 2), vnet("c", 3, "a", "b"), vnet("far", 4)],
                "private_dns_zones": zones(["b", *(item for item in links if item != "b")], list(links)),
                "servers": [closed(), injected()],
                "private_endpoints": [endpoint("pe", f"{ends}/ends", "src")],
            },
        )

    return build


def service_endpoint(subnet: str | None = None) -> Callable[[World], None]:
    """A public source that admits one subnet only; the current service works from the target's."""

    def build(world: World) -> None:
        world.classic, world.subnet = subnet is not None, subnet
        seed.add_networks(
            world.lab,
            {
                "networks": [vnet("b", 2)],
                "private_dns_zones": zones(["b"], ["b"]),
                "servers": [
                    server("single", "src", virtual_network_rules={"rule": subnet or "b/pg"}),
                    injected(),
                ],
            },
        )
        with_service(world, subnet or "b/pg")

    return build


def to_public(subnet: str | None) -> Callable[[World], None]:
    """A private source and a public target."""

    def build(world: World) -> None:
        world.classic, world.subnet = subnet is not None, subnet
        seed.add_networks(
            world.lab,
            {
                "networks": [vnet("a", 1)],
                "private_dns_zones": zones([], ["a"]),
                "servers": [closed(), server("flexible", "tgt", firewall_rules=AZURE)],
                "private_endpoints": [endpoint("pe", "a/ends", "src")],
            },
        )

    return build


def runtime(world: World) -> None:
    """Both servers behind endpoints in their own networks, the runtime server in a third one."""
    world.runtime = "run"
    seed.add_networks(
        world.lab,
        {
            "networks": [vnet("a", 1), vnet("b", 2), vnet("c", 3, "a", "b")],
            "private_dns_zones": [{"name": LINKED, "links": ["c"]}, {"name": RUNTIME_ZONE, "links": ["c"]}],
            "servers": [closed(), closed("tgt", "flexible"), injected("run", "c/pg", RUNTIME_ZONE)],
            "private_endpoints": [endpoint("pe", "a/ends", "src"), endpoint("pe-tgt", "b/ends", "tgt")],
        },
    )


def outside(host: str, target: dict[str, Any] | None = None, **more: Any) -> Callable[[World], None]:
    def build(world: World) -> None:
        world.host = host
        seed.add_networks(
            world.lab,
            {
                "networks": [vnet("b", 2), vnet("hub", 5)],
                "private_dns_zones": zones(["b"], ["b"]),
                "servers": [
                    server("other", "src", host=HOST, **more),
                    target or injected(),
                ],
            },
        )

    return build


PRIVATE_HOST: dict[str, Any] = {"private_address": PRIVATE, "routes": ["b"]}


def machine(host: str) -> Callable[[World], None]:
    """A virtual machine in a network that the target's is peered with."""

    def build(world: World) -> None:
        world.host = host
        seed.add_networks(
            world.lab,
            {
                "networks": [vnet("vm", 6, "b"), vnet("b", 2)],
                "private_dns_zones": [*zones(["b"], []), {"name": "corp.example", "links": ["b"]}],
                "servers": [
                    server("other", "src", host=HOST, private_address="10.6.0.9", virtual_network="vm"),
                    injected(),
                ],
            },
        )
        call(world.lab, "PUT", record("corp.example", "pg1"), {"properties": address("10.6.0.9")})

    return build


def own_dns(world: World, **dns: Any) -> None:
    body = call(world.lab, "GET", network("b")).body
    body["properties"]["dhcpOptions"] = {"dnsServers": ["10.2.9.9"]}
    call(world.lab, "PUT", network("b"), body)
    if dns:
        add_dns_server(world.lab, {"address": "10.2.9.9", **dns})


def custom(**dns: Any) -> Callable[[World], None]:
    """The target's network has a DNS server of its own."""

    def build(world: World) -> None:
        private()(world)
        own_dns(world, **dns)

    return build


def custom_classic(**dns: Any) -> Callable[[World], None]:
    def build(world: World) -> None:
        private(subnet="b/work")(world)
        own_dns(world, **dns)
        world.names = {"source": "src.corp", "target": "tgt.corp"}

    return build


def named_by_own_dns(name: str) -> Callable[[World], None]:
    return lambda world: own_dns(world, records={name: "src"}, forwards=True)


# Pieces


def network(name: str) -> ResourceId:
    return ResourceId(f"{NETWORK}/virtualNetworks/{name}")


def record(zone: str, name: str) -> ResourceId:
    return ResourceId(f"{NETWORK}/privateDnsZones/{zone}/A/{name}")


def address(value: str) -> dict[str, Any]:
    return {"ttl": 300, "aRecords": [{"ipv4Address": value}]}


def gone(path: str) -> Callable[[World], None]:
    """Deletes what stands under this path of Microsoft.Network, or of the servers when it starts with them."""

    def change(world: World) -> None:
        root = SERVERS if "ervers/" in path.partition("/")[0] + "/" else NETWORK
        call(world.lab, "DELETE", ResourceId(f"{root}/{path}"))

    return change


def peering(here: str, there: str) -> str:
    return f"virtualNetworks/{here}/virtualNetworkPeerings/{here}-to-{there}"


def link(zone: str, name: str) -> str:
    return f"privateDnsZones/{zone}/virtualNetworkLinks/{name}"


def shut(here: str, there: str) -> Callable[[World], None]:
    """The peering stays, but lets nothing in."""

    def change(world: World) -> None:
        remote = {"remoteVirtualNetwork": {"id": str(network(there))}, "allowVirtualNetworkAccess": False}
        call(world.lab, "PUT", ResourceId(f"{NETWORK}/{peering(here, there)}"), {"properties": remote})

    return change


def subnet_put(world: World, name: str, **changes: Any) -> None:
    target = subnet_id(name)
    body = call(world.lab, "GET", target).body
    body["properties"].update(changes)
    call(world.lab, "PUT", target, body)


def with_service(world: World, name: str, service: str | None = "Microsoft.Sql") -> None:
    subnet_put(world, name, serviceEndpoints=[{"service": service}] if service else [])


def without_service(name: str) -> Callable[[World], None]:
    return lambda world: with_service(world, name, None)


def wall(subnet: str, *rules: dict[str, Any], **changes: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        seed.add_networks(world.lab, {"network_security_groups": [{"name": "wall", "rules": list(rules)}]})
        group = {"id": f"{NETWORK}/networkSecurityGroups/wall"}
        subnet_put(world, subnet, networkSecurityGroup=group, **changes)

    return change


OUT: dict[str, Any] = {"name": "out", "direction": "Outbound", "port": "5432"}
IN: dict[str, Any] = {"name": "in", "direction": "Inbound", "port": "5000-6000"}
FILTERED = {"privateEndpointNetworkPolicies": "NetworkSecurityGroupEnabled"}


def filled(subnet: str, names: int) -> Callable[[World], None]:
    def change(world: World) -> None:
        ends = [
            {"name": f"full-{number}", "subnet": subnet, "server": "src", "approved": False} for number in range(names)
        ]
        seed.add_networks(world.lab, {"private_endpoints": ends})

    return change


def connection(status: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        for found in world.lab.server_connections.of(world.server("src")):
            state = {"privateLinkServiceConnectionState": {"status": status}}
            call(world.lab, "PUT", found.id, {"properties": state})

    return change


def properties(name: str, **changes: Any) -> Callable[[World], None]:
    return lambda world: world.server(name).properties.update(changes)


def rules(name: str, ranges: dict[str, list[str]]) -> Callable[[World], None]:
    def change(world: World) -> None:
        found = world.server(name)
        for old in world.lab.rules.of(found):
            world.lab.store.delete(old.id)
        for rule, (start, end) in ranges.items():
            world.lab.rules.add(found, rule, start, end)

    return change


def settings(**changes: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        for name, value in changes.items():
            setattr(world, name, value)

    return change


def together(*changes: Callable[[World], None]) -> Callable[[World], None]:
    def change(world: World) -> None:
        for one in changes:
            one(world)

    return change


def stale(world: World) -> None:
    call(world.lab, "PUT", record(LINKED, "src"), {"properties": address("10.1.0.77")})


def no_record_of_target(world: World) -> None:
    world.lab.store.delete(ResourceId(str(world.server("tgt").internal["private_record"])))


def redirected(world: World) -> None:
    """The link sends what its zone does not know to the public DNS."""
    target = ResourceId(f"{NETWORK}/{link(LINKED, 'b')}")
    body = {"location": "global", "properties": {"virtualNetwork": {"id": str(network("b"))}}}
    body["properties"]["resolutionPolicy"] = "NxDomainRedirect"
    call(world.lab, "PUT", target, body)
    gone(f"privateDnsZones/{LINKED}/A/src")(world)


def over_the_hub(*, use: bool, transit: bool) -> Callable[[World], None]:
    """The gateway stands in a network that the target's is peered with."""

    def change(world: World) -> None:
        world.server("src").properties["routes"] = [str(network("hub"))]
        pairs = (("b", "hub", {"useRemoteGateways": use}), ("hub", "b", {"allowGatewayTransit": transit}))
        for here, there, flags in pairs:
            remote = {"remoteVirtualNetwork": {"id": str(network(there))}, **flags}
            call(world.lab, "PUT", ResourceId(f"{NETWORK}/{peering(here, there)}"), {"properties": remote})

    return change


SAME_CURRENT = private(ends="b", links=("b",))
SAME_CLASSIC = private(subnet="b/ends", ends="b", links=("b",))
OTHER_CURRENT = private()
FROM_SOURCE = private(subnet="a/ends")
FROM_TARGET = private(subnet="b/work")
THIRD = private(subnet="c/work", links=("a", "b", "c"))
EVERYBODY = {"all": ["0.0.0.0", "255.255.255.255"]}

Change = Callable[[World], None]
TABLE: dict[str, tuple[Change, Change | None, str | None]] = {
    # public access
    "public": (public(), None, None),
    "public, source shut": (public(), rules("src", {}), "'src' has no rule for 203.0.113.3, the address of target"),
    "public, source open to the target": (public(), rules("src", {"t": ["203.0.113.1", "203.0.113.3"]}), None),
    "public, source open to another": (public(), rules("src", {"t": ["203.0.113.9", "203.0.113.9"]}), "0.0.0.0"),
    "public, source closed": (
        public(),
        properties("src", publicNetworkAccess="Disabled"),
        "Server 'src' does not allow public network access. It has no private endpoint.",
    ),
    "public, target closed": (
        public(),
        properties("tgt", network={"publicNetworkAccess": "Disabled"}),
        "'tgt' does not allow public network access and is not in a virtual network of its own, so nothing can migrate "
        "from it: a migration runtime server is needed",
    ),
    "classic public opens the firewalls": (public(classic=True), None, None),
    "classic public, source closed": (
        public(classic=True),
        properties("src", publicNetworkAccess="Disabled"),
        "'src' does not allow public network access",
    ),
    "classic public, target closed": (
        public(classic=True),
        properties("tgt", network={"publicNetworkAccess": "Disabled"}),
        "'tgt' does not allow public network access",
    ),
    # private, same network
    "same": (SAME_CURRENT, None, None),
    "same, endpoint gone": (SAME_CURRENT, gone("privateEndpoints/pe"), "'src' does not allow public network access"),
    "same, endpoint pending": (SAME_CURRENT, connection("Pending"), "'pe' is not approved but 'Pending'"),
    "same, endpoint rejected": (SAME_CURRENT, connection("Rejected"), "'pe' is not approved but 'Rejected'"),
    "same, link gone": (SAME_CURRENT, gone(link(LINKED, "b")), f"'{LINKED}' is not linked to virtual network 'b'"),
    "same, record gone": (SAME_CURRENT, gone(f"privateDnsZones/{LINKED}/A/src"), "has no record of server 'src'"),
    "same, record redirected": (SAME_CURRENT, redirected, "has no record of it"),
    "same, record stale": (SAME_CURRENT, stale, "leads to 10.1.0.77"),
    "same, public as well": (
        SAME_CURRENT,
        together(properties("src", publicNetworkAccess="Enabled"), gone(link(LINKED, "b")), rules("src", AZURE)),
        None,
    ),
    "same, outbound denied": (SAME_CURRENT, wall("b/pg", OUT), "rule 'out' of network security group 'wall'"),
    "same, other port denied": (SAME_CURRENT, wall("b/pg", {**OUT, "port": "5433"}), None),
    "same, udp denied": (SAME_CURRENT, wall("b/pg", {**OUT, "protocol": "Udp"}), None),
    "same, other destination denied": (SAME_CURRENT, wall("b/pg", {**OUT, "destination": "10.2.0.128/25"}), None),
    "same, internet denied": (SAME_CURRENT, wall("b/pg", {**OUT, "destination": "Internet"}), None),
    "same, networks denied": (SAME_CURRENT, wall("b/pg", {**OUT, "destination": "VirtualNetwork"}), "rule 'out'"),
    "same, allowed before denied": (
        SAME_CURRENT,
        wall("b/pg", {**OUT, "priority": 200}, {**OUT, "name": "first", "priority": 110, "access": "Allow"}),
        None,
    ),
    "same, endpoint ignores inbound": (SAME_CURRENT, wall("b/ends", IN), None),
    "same, endpoint heeds inbound": (SAME_CURRENT, wall("b/ends", IN, **FILTERED), "rule 'in'"),
    "same, classic": (SAME_CLASSIC, None, None),
    "same, classic without subnet": (SAME_CLASSIC, settings(subnet=None), "the migration needs a subnet"),
    "same, classic subnet missing": (
        SAME_CLASSIC,
        settings(subnet="b/no"),
        "subnet 'no' of virtual network 'b'",
    ),
    "same, classic subnet delegated": (SAME_CLASSIC, settings(subnet="b/pg"), "is delegated to Microsoft.DB"),
    "same, classic subnet full": (
        SAME_CLASSIC,
        together(settings(subnet="b/work"), filled("b/work", 3)),
        "'work' of virtual network 'b' has no free address",
    ),
    "same, classic other subnet": (SAME_CLASSIC, settings(subnet="b/work"), None),
    "same, classic target denies": (
        SAME_CLASSIC,
        wall("b/pg", IN),
        "port 5432 of server 'tgt', is denied by rule 'in'",
    ),
    "same, classic target's zone unlinked": (SAME_CLASSIC, gone(link(OWN, "b")), f"'{OWN}' of server 'tgt' is not"),
    "same, classic target's record gone": (SAME_CLASSIC, no_record_of_target, "has no record of server 'tgt'"),
    "same, unlinked far network": (SAME_CLASSIC, settings(subnet="far/work"), "network 'far'"),
    # private, different networks
    "different": (OTHER_CURRENT, None, None),
    "different, one side's peering gone": (OTHER_CURRENT, gone(peering("b", "a")), "'b' has no peering with 'a'"),
    "different, other side's peering gone": (
        OTHER_CURRENT,
        gone(peering("a", "b")),
        "not Connected but 'Disconnected'",
    ),
    "different, no peering": (
        OTHER_CURRENT,
        together(gone(peering("a", "b")), gone(peering("b", "a"))),
        "Server 'src' is in virtual network 'a', and 'b' has no peering with 'a'",
    ),
    "different, peering shut here": (OTHER_CURRENT, shut("b", "a"), "'b-to-a' of 'b' does not allow"),
    "different, peering shut there": (OTHER_CURRENT, shut("a", "b"), "'a-to-b' of 'a' does not allow"),
    "different, the peer's link does not help": (
        OTHER_CURRENT,
        gone(link(LINKED, "b")),
        "not linked to virtual network 'b'",
    ),
    "different, the other link is not needed": (OTHER_CURRENT, gone(link(LINKED, "a")), None),
    "different, classic from the source": (FROM_SOURCE, None, None),
    "different, classic, target's zone unlinked": (
        FROM_SOURCE,
        gone(link(OWN, "a")),
        f"'{OWN}' of server 'tgt' is not",
    ),
    "different, classic, peering gone": (
        FROM_SOURCE,
        gone(peering("a", "b")),
        "Server 'tgt' is in virtual network 'b'",
    ),
    "different, classic, source unlinked": (FROM_SOURCE, gone(link(LINKED, "a")), "not linked to virtual network 'a'"),
    "different, classic from the target": (FROM_TARGET, None, None),
    "different, classic from the target, unlinked": (FROM_TARGET, gone(link(LINKED, "b")), "virtual network 'b'"),
    "different, classic from the target, peering": (FROM_TARGET, gone(peering("b", "a")), "Server 'src' is in"),
    "different, classic outbound denied": (FROM_SOURCE, wall("a/ends", OUT), "subnet 'ends' of virtual network 'a'"),
    # a third network
    "third": (THIRD, None, None),
    "third, no peering with the source": (THIRD, gone(peering("c", "a")), "'c' has no peering with 'a'"),
    "third, no peering with the target": (THIRD, gone(peering("c", "b")), "'c' has no peering with 'b'"),
    "third, source's zone unlinked": (
        THIRD,
        gone(link(LINKED, "c")),
        f"'{LINKED}' is not linked to virtual network 'c'",
    ),
    "third, target's zone unlinked": (THIRD, gone(link(OWN, "c")), f"'{OWN}' of server 'tgt' is not linked"),
    "third, peering of the others is not needed": (THIRD, gone(peering("a", "b")), None),
    # service endpoint
    "service endpoint": (service_endpoint(), None, None),
    "service endpoint, rule gone": (
        service_endpoint(),
        gone("servers/src/virtualNetworkRules/rule"),
        "'src' does not admit Azure services (0.0.0.0), and it has no virtual network rule for subnet 'pg'",
    ),
    "service endpoint, endpoint gone": (service_endpoint(), without_service("b/pg"), "has no service endpoint"),
    "service endpoint, Azure's services": (
        service_endpoint(),
        together(gone("servers/src/virtualNetworkRules/rule"), rules("src", AZURE)),
        None,
    ),
    "service endpoint, an address does not help": (
        service_endpoint(),
        together(gone("servers/src/virtualNetworkRules/rule"), rules("src", {"x": ["203.0.113.1", "203.0.113.254"]})),
        "no virtual network rule",
    ),
    "service endpoint, internet denied": (
        service_endpoint(),
        wall("b/pg", {**OUT, "destination": "Sql"}),
        "rule 'out'",
    ),
    "service endpoint, source closed": (
        service_endpoint(),
        properties("src", publicNetworkAccess="Disabled"),
        "'src' does not allow public network access",
    ),
    "service endpoint, classic": (service_endpoint("b/sql"), None, None),
    "service endpoint, classic, rule gone": (
        service_endpoint("b/sql"),
        gone("servers/src/virtualNetworkRules/rule"),
        "no virtual network rule for subnet 'sql' of virtual network 'b'",
    ),
    "service endpoint, classic, endpoint gone": (service_endpoint("b/sql"), without_service("b/sql"), None),
    # private source, public target
    "to public, classic": (to_public("a/ends"), None, None),
    "to public, classic without subnet": (to_public("a/ends"), settings(subnet=None), "needs a subnet"),
    "to public, classic, target closed": (
        to_public("a/ends"),
        properties("tgt", network={"publicNetworkAccess": "Disabled"}),
        "'tgt' does not allow public network access",
    ),
    "to public, classic, zone unlinked": (to_public("a/ends"), gone(link(LINKED, "a")), "'a'"),
    "to public, current": (to_public(None), None, "a migration runtime server is needed"),
    # runtime server
    "runtime": (runtime, None, None),
    "runtime, not used": (runtime, settings(runtime=None), "a migration runtime server is needed"),
    "runtime, missing": (runtime, settings(runtime="none"), "'none' does not exist"),
    "runtime, not in a network": (runtime, settings(runtime="tgt"), "'tgt' is not in a virtual network"),
    "runtime, stopped": (runtime, properties("run", state="Stopped"), "its state is 'Stopped'"),
    "runtime, peering with the source": (runtime, gone(peering("c", "a")), "Server 'src' is in virtual network 'a'"),
    "runtime, peering with the target": (runtime, gone(peering("b", "c")), "Server 'tgt' is in virtual network 'b'"),
    "runtime, unlinked": (runtime, gone(link(LINKED, "c")), f"'{LINKED}' is not linked to virtual network 'c'"),
    "runtime, source's record": (runtime, gone(f"privateDnsZones/{LINKED}/A/src"), "no record of server 'src'"),
    "runtime, target's record": (runtime, gone(f"privateDnsZones/{LINKED}/A/tgt"), "no record of server 'tgt'"),
    "runtime, target's endpoint": (runtime, gone("privateEndpoints/pe-tgt"), "'tgt' does not allow public network"),
    # outside Azure
    "outside, public": (outside(HOST, firewall_rules=EVERYBODY), None, None),
    "outside, public, not admitted": (outside(HOST), None, "pg_hba.conf of server 'src' does not admit 203.0.113.3"),
    "outside, public, Azure's services are no address": (outside(HOST, firewall_rules=AZURE), None, "pg_hba.conf"),
    "outside, public, one address": (
        outside(HOST, firewall_rules={"t": ["203.0.113.2", "203.0.113.3"]}),
        None,
        None,
    ),
    "outside, public, internet denied": (
        outside(HOST, firewall_rules=EVERYBODY),
        wall("b/pg", {**OUT, "destination": "Internet"}),
        "rule 'out'",
    ),
    "outside, unknown": (outside("nowhere.example"), None, "'nowhere.example' with port 5432 could not be resolved"),
    "outside, private by address": (outside(PRIVATE, **PRIVATE_HOST), None, None),
    "outside, private, no route": (
        outside(PRIVATE, **PRIVATE_HOST),
        properties("src", routes=[]),
        "no route from virtual network 'b' to server 'src'",
    ),
    "outside, private, route elsewhere": (outside(PRIVATE, private_address=PRIVATE, routes=["hub"]), None, "no route"),
    "outside, private, gateway of a peer": (
        outside(PRIVATE, **PRIVATE_HOST),
        over_the_hub(use=True, transit=True),
        None,
    ),
    "outside, private, peer's gateway not used": (
        outside(PRIVATE, **PRIVATE_HOST),
        over_the_hub(use=False, transit=True),
        "no route",
    ),
    "outside, private, peer's gateway not shared": (
        outside(PRIVATE, **PRIVATE_HOST),
        over_the_hub(use=True, transit=False),
        "no route",
    ),
    "outside, private by name": (outside(HOST, **PRIVATE_HOST), None, f"'{HOST}' of server 'src' is not resolved"),
    "outside, private, denied": (outside(PRIVATE, **PRIVATE_HOST), wall("b/pg", OUT), "rule 'out'"),
    "outside, private, not admitted": (
        outside(PRIVATE, firewall_rules={"office": ["192.168.0.0", "192.168.255.255"]}, **PRIVATE_HOST),
        None,
        "does not admit 10.2.2.4",
    ),
    "outside, private, to public": (
        outside(PRIVATE, server("flexible", "tgt"), **PRIVATE_HOST),
        None,
        f"is reached at its private address {PRIVATE} only",
    ),
    "machine by name": (machine(HOST), None, None),
    "machine by address": (machine("10.6.0.9"), gone("privateDnsZones/corp.example/A/pg1"), None),
    "machine, record gone": (machine(HOST), gone("privateDnsZones/corp.example/A/pg1"), "has no record of"),
    "machine, no peering": (machine(HOST), gone(peering("vm", "b")), "Server 'src' is in virtual network 'vm'"),
    "machine, inbound denied": (machine(HOST), wall("vm/ends", IN), "rule 'in'"),
    # custom DNS
    "custom DNS, silent": (custom(), None, "DNS server 10.2.9.9 of virtual network 'b' does not answer"),
    "custom DNS, forwarding": (custom(forwards=True), None, None),
    "custom DNS, forwarding, unlinked": (custom(forwards=True), gone(link(LINKED, "b")), "is not linked to"),
    "custom DNS, ignorant": (custom(forwards=False), None, "does not forward to Azure's 168.63.129.16"),
    "custom DNS, server's name": (custom(records={"src.postgres.database.azure.com": "src"}), None, None),
    "custom DNS, its own name": (custom(records={"src.corp": "src"}), settings(names={"source": "src.corp"}), None),
    "custom DNS, an address": (custom(records={"src.corp": "10.1.0.4"}), settings(names={"source": "src.corp"}), None),
    "custom DNS, a wrong address": (
        custom(records={"src.corp": "10.1.0.5"}),
        settings(names={"source": "src.corp"}),
        "leads to 10.1.0.5",
    ),
    "custom DNS, another server": (
        custom(records={"src.corp": "tgt"}),
        settings(names={"source": "src.corp"}),
        "leads to server 'tgt'",
    ),
    "custom DNS, unknown name": (
        custom(records={"src.corp": "src"}),
        settings(names={"source": "other.corp"}),
        "'other.corp' does not resolve to server 'src'",
    ),
    "custom DNS, classic": (custom_classic(records={"src.corp": "src", "tgt.corp": "10.2.2.4"}), None, None),
    "custom DNS, classic, target by its usual name": (
        custom_classic(records={"src.corp": "src"}),
        settings(names={"source": "src.corp"}),
        "'tgt' is in virtual network 'b' and has no public address. The DNS server 10.2.9.9",
    ),
    "custom DNS, asked from elsewhere": (
        custom(forwards=True, virtual_network="c"),
        None,
        f"'{LINKED}' is not linked to virtual network 'c'",
    ),
    "custom DNS, outside": (
        together(outside(HOST, **PRIVATE_HOST), named_by_own_dns(HOST)),
        None,
        None,
    ),
    "custom DNS, outside by another name": (
        together(outside("db.office", **PRIVATE_HOST), named_by_own_dns("db.office")),
        None,
        None,
    ),
    "Azure's DNS, a custom name": (
        OTHER_CURRENT,
        settings(names={"source": "src.corp"}),
        "'src.corp' does not resolve",
    ),
}


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 100


@pytest.mark.parametrize("name", TABLE)
def test_table(world: World, name: str) -> None:
    build, change, words = TABLE[name]
    build(world)
    if change is not None:
        change(world)
    found = world.explain()
    assert found == words or (words and found and words in found), found


@pytest.mark.parametrize(
    ("build", "networks"),
    [
        (public(classic=True), []),
        (SAME_CLASSIC, ["b"]),
        (FROM_SOURCE, ["a", "b"]),
        (THIRD, ["a", "b", "c"]),
        (to_public("a/ends"), ["a"]),
        (service_endpoint("b/sql"), ["b"]),
    ],
)
def test_networks_of_the_classic_service(world: World, build: Change, networks: list[str]) -> None:
    build(world)
    assert [item.name for item in world.lab.reachability.networks(world.journey())] == networks


def test_private_to_public_is_not_supported(world: World) -> None:
    outside(PRIVATE, server("flexible", "tgt"), **PRIVATE_HOST)(world)
    refused = world.lab.reachability.refusal(world.journey())
    assert refused and refused.startswith("Non supported network configuration, need to use pg_dump/pg_restore")


@pytest.mark.parametrize("build", [public(), OTHER_CURRENT, outside(PRIVATE, **PRIVATE_HOST), outside("no.example")])
def test_all_else_is_taken(world: World, build: Change) -> None:
    build(world)
    assert world.lab.reachability.refusal(world.journey()) is None


def test_a_seed_declares_networks(world: World) -> None:
    more = {
        "networks": [vnet("x", 21, {"network": "y", "name": "mine", "both": False}), vnet("y", 22)],
        "private_dns_zones": [{"name": "corp.example", "links": [{"network": "x", "registration": True}]}],
        "dns_servers": [{"address": "10.21.0.9", "records": {"A.Corp": "b"}, "virtual_network": "x"}],
    }
    seed.apply(world.lab, {"tenant": {"name": "Contoso"}, **more})
    [found] = world.lab.peerings.of(network("x"))
    assert (found.name, world.lab.peerings.state(found)) == ("mine", "Initiated")
    assert world.lab.peerings.of(network("y")) == []
    assert world.lab.dns_servers["10.21.0.9"].records == {"a.corp": "b"}
    assert world.lab.dns_servers["10.21.0.9"].virtual_network == network("x")
    [linked] = world.lab.store.children(ResourceId("/"), "Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    assert linked.properties["registrationEnabled"] is True
