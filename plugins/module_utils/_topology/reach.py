# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps the migrating side from one of the servers. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from .._ids import same
from .._marks import PREFIX, made_name
from .._network.addresses import overlapping
from .facts import (
    Facts,
    FirewallRule,
    Network,
    Server,
    Subnet,
    name_of,
    network_of,
    subnet_words,
)
from .names import names_lacking, resolves_privately
from .nsg import PORT, Side, denied_by
from .plan import AdmitSubnet, MakeSubnet, Missing, OpenFirewall, Peer
from .worker import Worker, endpoint_network

SERVICE_ENDPOINT = "Microsoft.Sql"
AZURE_SERVICES, LAST = "0.0.0.0", "255.255.255.255"


@dataclass(frozen=True)
class Way:
    """From the migrating side to one server."""

    facts: Facts
    worker: Worker
    server: Server
    side: str

    def lacks(self, kind: str, message: str) -> Missing:
        return Missing(kind, self.side, message)


def lacking(way: Way, before: list[Missing]) -> list[Missing]:
    """What is missing on this way; `before` is missing already, and mended by its steps."""
    worker, server = way.worker, way.server
    if not worker.placed or server.access == "none" or (worker.kind == "target_server" and way.side == "target"):
        return []
    if server.kind == "outside" and not server.public:
        return [
            *_route(way, before),
            *_machine_security(way),
            *names_lacking(way.facts, worker, server, way.side, before),
        ]
    network_id = worker.network_id
    if server.access == "public" and not (network_id and resolves_privately(way.facts, network_id, server)):
        return [*_outbound(way, Side(private=False)), *_public(way)]
    return [
        *_endpoint(way),
        *_peering(way, endpoint_network(server) or server.endpoints[0].network_id, before),
        *_security(way),
        *names_lacking(way.facts, worker, server, way.side, before),
    ]


def _endpoint(way: Way) -> list[Missing]:
    server = way.server
    if server.subnet_id or server.endpoints[0].status == "Approved":
        return []
    endpoint = server.endpoints[0]
    message = (
        f"The connection of the private endpoint {endpoint.name} to {server.name} is {endpoint.status}: "
        + ("approve it" if endpoint.status == "Pending" else "make the private endpoint anew and approve it")
        + f" (az network private-endpoint-connection, or {server.name} > Networking in the portal)."
    )
    return [way.lacks("private_endpoint", message)]


# Networks


def _peering(way: Way, network_id: str, before: list[Missing]) -> list[Missing]:
    if way.worker.network_id is None:
        message = f"{way.server.name} can only be reached from inside {name_of(network_id)}."
        return [way.lacks("route", message)]
    here, there = way.facts.network(way.worker.network_id), way.facts.network(network_id)
    if same(here.id, there.id) or way.facts.wishes.routed:
        return []
    mine, theirs = here.peering(there.id), there.peering(here.id)
    if not (mine and theirs) and (blocks := overlapping(here.prefixes, there.prefixes)):
        message = (
            f"{here.name} ({blocks[0][0]}) and {there.name} ({blocks[0][1]}) share addresses, so Azure would refuse to "
            "peer them: make a private endpoint of the server in the other network, or change an address space."
        )
        return [way.lacks("address_space", message)]
    clash = None if mine and theirs else _clash_with_peers(way, here, there, before)
    if clash:
        return [way.lacks("address_space", clash)]
    wrong = wrong_with_peering(here, there)
    message = f"{wrong}: they have to be peered, both ways, for the migration to reach {way.server.name}."
    return [Missing("peering", way.side, message, (Peer(here.id, there.id),))] if wrong else []


def _clash_with_peers(way: Way, here: Network, there: Network, before: list[Missing]) -> str | None:
    """Of the networks that one is peered with, Azure lets no two have addresses in common."""
    for one, other in ((here, there), (there, here)):
        for network_id, prefixes in _peers(way, one, before).items():
            blocks = [] if same(network_id, other.id) else overlapping(other.prefixes, prefixes)
            if blocks:
                return (
                    f"{other.name} ({blocks[0][0]}) and {name_of(network_id)} ({blocks[0][1]}), which {one.name} is or "
                    f"has to be peered with, share addresses, so Azure would refuse to peer {one.name} with both: make "
                    f"a private endpoint of {way.server.name} in another network, or change an address space."
                )
    return None


def _peers(way: Way, network: Network, before: list[Missing]) -> dict[str, tuple[str, ...]]:
    """The address spaces that a network is peered with, or has to be for the other server, by the networks' ids."""
    found = {row.remote_id: row.remote_prefixes for row in network.peerings}
    for step in (step for row in before for step in row.steps if isinstance(step, Peer)):
        ends = step.network_id, step.remote_id
        for near, far in (ends, ends[::-1]):
            if same(near, network.id):
                found[far] = way.facts.network(far).prefixes
    return found


def wrong_with_peering(here: Network, there: Network) -> str | None:
    sides = ((here, there, here.peering(there.id)), (there, here, there.peering(here.id)))
    absent = [(one.name, other.name) for one, other, peering in sides if peering is None]
    if len(absent) == 2:
        return f"{here.name} and {there.name} are not peered"
    if absent:
        return f"{absent[0][0]} has no peering with {absent[0][1]}, which has one with it"
    for one, other, peering in sides:
        if peering and peering.state != "Connected":
            return f"The peering {peering.name} of {one.name} with {other.name} is {peering.state}"
        if peering and not peering.access:
            return f"The peering {peering.name} of {one.name} lets no traffic from {other.name} in"
    return None


def _route(way: Way, before: list[Missing]) -> list[Missing]:
    """From a virtual network to a private server outside Azure."""
    server = way.server
    if way.worker.network_id is None:
        return []
    if server.virtual_network_id and server.route in (None, "peering"):
        return _peering(way, server.virtual_network_id, before)
    network = way.facts.network(way.worker.network_id)
    # A stated VPN is believed: it may end in an appliance or a hub, which a gateway's subnet does not tell.
    gateway = network.subnet("GatewaySubnet") or any(
        row.remote_gateways and row.state == "Connected" for row in network.peerings
    )
    if server.route in ("vpn", "expressroute") or (gateway and server.route is None):
        return []
    message = (
        f"There is no route from {network.name} to the private source {server.host}: You need to establish Express "
        "route or IP Sec VPN, or VPN Tunnelling or VNET Peering between source and target, and say which in "
        "pgflex.source.route."
    )
    return [way.lacks("route", message)]


# Network security groups


def _security(way: Way) -> list[Missing]:
    """Security groups on the way to a server with a private address."""
    server = way.server
    subnet_id = server.subnet_id or server.endpoints[0].subnet_id
    subnet = way.facts.subnet(subnet_id)
    prefixes = subnet.prefixes if subnet else ()
    addresses = () if server.subnet_id else server.endpoints[0].addresses
    found = _outbound(way, Side(addresses or prefixes))
    if subnet and (server.subnet_id or subnet.filters_endpoints):
        found += _denied(way, subnet, True, _here(way), Side(addresses or prefixes))
    return found


def _machine_security(way: Way) -> list[Missing]:
    """Security groups on the way to a private source outside; of a machine in Azure also those of its own subnet."""
    server = way.server
    found = _outbound(way, _address(server))
    if not server.virtual_network_id or not _address(server).prefixes:
        return found
    network = way.facts.network(server.virtual_network_id)
    for subnet in network.subnets:
        if overlapping(_address(server).prefixes, subnet.prefixes):
            found += _denied(way, subnet, True, _here(way), _address(server))
    return found


def _outbound(way: Way, destination: Side) -> list[Missing]:
    subnet = way.worker.subnet
    return _denied(way, subnet, False, _here(way), destination) if subnet else []


def _here(way: Way) -> Side:
    """The migrating side's addresses: those of its subnet, or for one that is made, those of its network."""
    if way.worker.subnet:
        return Side(way.worker.subnet.prefixes)
    return Side(way.facts.network(way.worker.network_id).prefixes) if way.worker.network_id else Side(private=False)


def _denied(way: Way, subnet: Subnet, inbound: bool, source: Side, destination: Side) -> list[Missing]:
    group = way.facts.groups.get((subnet.security_group_id or "").strip("/").lower())
    if group is None:
        return []
    rule = denied_by(group, inbound=inbound, source=source, destination=destination)
    if rule is None:
        return []
    direction = (
        f"into the subnet {subnet_words(subnet.id)}" if inbound else f"out of the subnet {subnet_words(subnet.id)}"
    )
    message = (
        f"The rule {rule.name} (priority {rule.priority}) of the network security group {name_of(group.id)} denies "
        f"port {PORT} {direction}, on the way to {way.server.name}: allow it there with a lower priority number."
    )
    return [way.lacks("network_security_group", message)]


def _address(server: Server) -> Side:
    try:
        return Side((str(ipaddress.IPv4Address(server.host)),))
    except ValueError:
        return Side()


# Firewalls of public servers


def admits(rules: tuple[FirewallRule, ...], address: str | None) -> bool:
    """Whether rules let an address of Azure in; None is one that is not known."""
    spans = [(ipaddress.IPv4Address(rule.start), ipaddress.IPv4Address(rule.end)) for rule in rules]
    everyone = ipaddress.IPv4Address(AZURE_SERVICES), ipaddress.IPv4Address(LAST)
    if everyone in spans or (everyone[0], everyone[0]) in spans:
        return True
    return address is not None and any(first <= ipaddress.IPv4Address(address) <= last for first, last in spans)


def _public(way: Way) -> list[Missing]:
    server, worker, wishes = way.server, way.worker, way.facts.wishes
    if server.kind == "outside":
        # Its firewall and pg_hba.conf are not Azure's to read; the service's own validation tries the connection.
        return []
    if worker.subnet_id is None:
        address = wishes.public_address
        return [] if wishes.classic or admits(server.firewall, address) else _firewall(way, address)
    endpoint = worker.subnet is not None and _has_endpoint(worker.subnet)
    # The classic service opens the firewall for itself, which helps only where traffic leaves with a public address.
    if admits(server.firewall, None) or (wishes.classic and not endpoint):
        return []
    # Single Servers of the tier Basic take no virtual network rules, Flexible Servers none at all.
    if server.kind == "flexible" or server.tier == "Basic":
        return _firewall(way, None)
    return _network_rule(way, worker.subnet_id, endpoint)


def _firewall(way: Way, address: str | None) -> list[Missing]:
    server = way.server
    who = f"the target's address {address}" if address else "Azure services"
    message = f"No firewall rule of {server.name} admits {who}, so the migration could not connect to it."
    rule = OpenFirewall(server.id, f"{PREFIX}{way.facts.target.name}", address or AZURE_SERVICES)
    return [Missing("firewall_rule", way.side, message, (rule,))]


def _has_endpoint(subnet: Subnet) -> bool:
    return any(row.lower() == SERVICE_ENDPOINT.lower() for row in subnet.service_endpoints)


def _network_rule(way: Way, subnet_id: str, endpoint: bool) -> list[Missing]:
    server, subnet = way.server, way.worker.subnet
    found = []
    if not any(same(rule.subnet_id, subnet_id) for rule in server.network_rules):
        message = f"{server.name} has no virtual network rule for the subnet {subnet_words(subnet_id)}."
        # Names of rules have letters, digits, hyphens and underscores only; those of networks may have dots.
        name = re.sub(r"[^A-Za-z0-9_-]", "-", f"{name_of(network_of(subnet_id))}-{name_of(subnet_id)}")
        rule = AdmitSubnet(server.id, made_name(name, subnet_id), subnet_id)
        found.append(Missing("virtual_network_rule", way.side, message, (rule,)))
    if not endpoint:
        message = (
            f"The subnet {subnet_words(subnet_id)} lacks the service endpoint {SERVICE_ENDPOINT}, without which "
            f"{server.name} does not see from which subnet the migration connects."
        )
        delegation = subnet.delegations[0] if subnet and subnet.delegations else None
        step = MakeSubnet(
            network_of(subnet_id), name_of(subnet_id), None, delegation, (SERVICE_ENDPOINT,), exists=subnet is not None
        )
        found.append(Missing("service_endpoint", way.side, message, (step,)))
    return found
