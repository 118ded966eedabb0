# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the migrating side's network finds a server's private address by name. Pure."""

from __future__ import annotations

from .facts import AZURE_DNS, Facts, Network, Server, Zone, key, name_of
from .plan import LinkZone, Missing
from .worker import Worker


def resolver(facts: Facts, network: Network) -> Network:
    """The network whose links count: with DNS servers that forward to Azure, the one that they are in."""
    candidates = [network, *facts.networks.values()]
    return next((row for address in network.own_dns for row in candidates if row.holds(address)), network)


def _private_zones(facts: Facts, server: Server) -> list[Zone]:
    """The zones that could know the private endpoint of a server; those that the endpoint itself keeps go first."""
    own = {key(zone_id) for endpoint in server.endpoints for zone_id in endpoint.zone_ids}
    zones = [zone for zone in facts.zones.values() if zone.name == server.privatelink]
    return sorted(zones, key=lambda zone: key(zone.id) not in own)


def _knows(zone: Zone, server: Server) -> bool:
    found = zone.records.get(server.label.lower(), ())
    wanted = server.endpoints[0].addresses
    return bool(found) and (not wanted or bool(set(found) & set(wanted)))


def linked_zone(facts: Facts, network: Network, server: Server) -> Zone | None:
    """The zone that a network asks for a server's private endpoint; it can have one of a name only."""
    return next((zone for zone in _private_zones(facts, server) if zone.linked(network.id)), None)


def resolves_privately(facts: Facts, network_id: str, server: Server) -> bool:
    """Whether a server that is public as well is looked for at its private endpoint, where it may not be found."""
    network = facts.network(network_id)
    # The public name leads on to the private one as soon as one endpoint is approved.
    approved = server.endpoints and server.endpoints[0].status == "Approved"
    if not approved or (network.own_dns and not facts.wishes.dns_forwarding):
        return False
    asked = resolver(facts, network)
    zone = linked_zone(facts, asked, server)
    link = zone.link(asked.id) if zone else None
    return bool(zone and link and (zone.records.get(server.label.lower()) or not link.redirects))


def needs_names(facts: Facts, worker: Worker) -> list[Server]:
    """The servers whose names the private DNS zones have to know; the zones of others need not be readable."""
    if worker.network_id is None:
        return []
    network = facts.network(worker.network_id)
    if network.own_dns and not facts.wishes.dns_forwarding:
        return []
    servers = [facts.source] if worker.kind == "target_server" else [facts.source, facts.target]
    return [row for row in servers if row.subnet_id or row.endpoints or _named(row)]


def _named(server: Server) -> bool:
    """Whether a private server outside Azure is known by a name and not by its address."""
    if server.kind != "outside" or server.public:
        return False
    return not server.host.replace(".", "").isdigit()


def names_lacking(facts: Facts, worker: Worker, server: Server, side: str, before: list[Missing]) -> list[Missing]:
    if worker.network_id is None:
        return []
    network = facts.network(worker.network_id)
    if network.own_dns and not facts.wishes.dns_forwarding:
        return _custom(network, worker, server, side)
    asked = resolver(facts, network)
    if server.kind == "outside":
        return _zone_of_host(facts, network, asked, server, side)
    if server.subnet_id:
        return _link(facts.zone(server.zone_id), asked, server, side) if server.zone_id else []
    return _endpoint_name(facts, asked, server, side, before)


def _custom(network: Network, worker: Worker, server: Server, side: str) -> list[Missing]:
    if server.fqdn or server.kind == "outside":
        return []
    other = "" if worker.kind == "runtime_server" else f"give the name that they know it by in pgflex.{side}.fqdn, or, "
    message = (
        f"{network.name} uses custom DNS servers ({', '.join(network.dns_servers)}), which know nothing of the private "
        f"address of {server.name}: {other}when they forward to Azure's {AZURE_DNS}, set pgflex.network.dns_forwarding."
    )
    return [Missing("custom_dns", side, message)]


def _link(zone: Zone, network: Network, server: Server, side: str) -> list[Missing]:
    if zone.linked(network.id):
        return []
    message = (
        f"The private DNS zone {zone.name} is not linked to {network.name}, so the name of {server.name} is not found "
        "there."
    )
    return [Missing("private_dns_zone_link", side, message, (LinkZone(zone.id, network.id),))]


def _zone_of_host(facts: Facts, network: Network, asked: Network, server: Server, side: str) -> list[Missing]:
    """A name in a private zone has to be linked; what the user's own DNS servers answer is not known here."""
    zones = [zone for zone in facts.zones.values() if server.host.lower().endswith(f".{zone.name}")]
    if server.name_resolves or not _named(server) or any(zone.linked(asked.id) for zone in zones):
        return []
    if zones:
        return _link(max(zones, key=lambda zone: len(zone.name)), asked, server, side)
    if network.own_dns:
        return []
    message = (
        f"{network.name} asks Azure's DNS, and no private DNS zone of the subscription knows the name {server.host}: "
        f"give the address in pgflex.{side}.host, link a private DNS zone with the name to {network.name}, or, when "
        "public DNS, a forwarding ruleset or a zone of another subscription answers with the private address, set "
        f"pgflex.{side}.name_resolves."
    )
    return [Missing("custom_dns", side, message)]


def _endpoint_name(facts: Facts, network: Network, server: Server, side: str, before: list[Missing]) -> list[Missing]:
    zones = _private_zones(facts, server)
    linked = linked_zone(facts, network, server)
    if linked:
        return [] if _knows(linked, server) else [_record(linked, server, side)]
    # A network can have one zone of a name only: the one that is to be linked for the other server, if there is one.
    chosen = _about_to_be(network, zones, before) or next((zone for zone in zones if _knows(zone, server)), None)
    if chosen:
        return [
            *([] if _knows(chosen, server) else [_record(chosen, server, side)]),
            *_link(chosen, network, server, side),
        ]
    if zones:
        return [_record(zones[0], server, side), *_link(zones[0], network, server, side)]
    endpoint = server.endpoints[0].name
    message = (
        f"No private DNS zone {server.privatelink} knows the private endpoint {endpoint} of {server.name}: give the "
        "endpoint a DNS zone group (az network private-endpoint dns-zone-group create)."
    )
    return [Missing("private_dns_record", side, message)]


def _about_to_be(network: Network, zones: list[Zone], before: list[Missing]) -> Zone | None:
    """The zone that a step for the other server links."""
    steps = [step for row in before for step in row.steps if isinstance(step, LinkZone)]
    ids = {key(step.zone_id) for step in steps if key(step.network_id) == key(network.id)}
    return next((zone for zone in zones if key(zone.id) in ids), None)


def _record(zone: Zone, server: Server, side: str) -> Missing:
    addresses = server.endpoints[0].addresses
    address = f" with {', '.join(addresses)}" if addresses else ""
    found = zone.records.get(server.label.lower())
    has = f"has {', '.join(found)} for {server.label}" if found else f"has no record {server.label}"
    message = (
        f"The private DNS zone {name_of(zone.id)} in {zone.group} {has}: add an A record{address}, or give the private "
        f"endpoint {server.endpoints[0].name} a DNS zone group for that zone."
    )
    if server.access == "public":
        message += (
            f" Until then the name of {server.name} leads nowhere, unless the zone's link has the resolution policy "
            "NxDomainRedirect, and so leads to the public address."
        )
    return Missing("private_dns_record", side, message)
