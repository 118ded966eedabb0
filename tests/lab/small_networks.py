# SPDX-License-Identifier: GPL-3.0-or-later
"""Topologies without clusters and HTTP, and ways to take a piece of them away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pgflex_lab import seed
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.lab import Lab
from pgflex_lab.reachability import Journey
from pgflex_lab.seed_networks import add_dns_server, call

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


def own_dns(world: World, at: str = "10.2.9.9", first: tuple[str, ...] = (), **dns: Any) -> None:
    body = call(world.lab, "GET", network("b")).body
    body["properties"]["dhcpOptions"] = {"dnsServers": [*first, at]}
    call(world.lab, "PUT", network("b"), body)
    if dns:
        add_dns_server(world.lab, {"address": at, **dns})


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
