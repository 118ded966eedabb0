# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this collection has made for a pair of servers, told by its marks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .._ids import same
from .._marks import PREFIX, is_made
from .facts import DELEGATION, Facts, Network, Server, Zone, key
from .names import resolver
from .plan import AdmitSubnet, MakeSubnet, MakeZone, OpenFirewall, Peer, merged
from .worker import Worker, endpoint_network

# Only a subnet with a name of the collection's own is known to be its making: subnets have no tags.
SUBNETS = {f"{PREFIX}migration": None, f"{PREFIX}runtime": DELEGATION}


def made_of(facts: Facts, worker: Worker) -> dict[str, Any]:
    """The same lists as a plan; `name` and `names` say what the things are called."""
    here = facts.networks.get(key(worker.network_id)) if worker.network_id else None
    asked = resolver(facts, here) if here else None
    rules = [
        {**AdmitSubnet(facts.source.id, rule.name, rule.subnet_id).row()}
        for rule in facts.source.network_rules
        if is_made(rule.name) and worker.subnet_id and same(rule.subnet_id, worker.subnet_id)
    ]
    firewall = [row for server in (facts.source, facts.target) for row in _firewall(facts, server)]
    # A runtime server that is there needs its subnet and its zone, whoever keeps it.
    held = [facts.runtime.subnet_id, facts.runtime.zone_id] if facts.runtime else []
    zones = [zone for zone in facts.zones.values() if not any(same(zone.id, text) for text in held)]
    return {
        "subnets": list(_subnets(here, held)) if here else [],
        "peerings": list(_peerings(facts, here)) if here else [],
        "private_dns_zones": [{**MakeZone(zone.id).row(), "zone_id": zone.id} for zone in zones if zone.made],
        "private_dns_zone_links": list(_links(zones, asked)) if asked else [],
        "virtual_network_rules": merged(rules, "rules"),
        "firewall_rules": merged(firewall, "rules"),
    }


def _subnets(network: Network, held: Iterable[str | None]) -> Iterator[dict[str, Any]]:
    for subnet in network.subnets:
        # One with something in it is in use, and Azure would refuse.
        if subnet.name in SUBNETS and not subnet.interfaces and not any(same(subnet.id, text) for text in held):
            row = MakeSubnet(network.id, subnet.name, None, SUBNETS[subnet.name], subnet.service_endpoints).row()
            yield {**row, "address_prefix": next(iter(subnet.prefixes), None)}


def _peerings(facts: Facts, here: Network) -> Iterator[dict[str, Any]]:
    others = {key(text): text for server in (facts.source, facts.target) if (text := endpoint_network(server))}
    for network_id in others.values():
        there = facts.network(network_id)
        sides = [row for row in (here.peering(there.id), there.peering(here.id)) if row]
        # One that has a half of the user's is theirs: taking it away takes both halves.
        if sides and all(is_made(row.name) for row in sides):
            yield {**Peer(here.id, there.id).row(), "names": [row.name for row in sides]}


def _links(zones: Iterable[Zone], network: Network) -> Iterator[dict[str, Any]]:
    for zone in zones:
        for link in zone.links:
            if same(link.network_id, network.id) and (link.made or is_made(link.name)):
                yield {"zone_id": zone.id, "virtual_network_ids": [network.id], "names": [link.name]}


def _firewall(facts: Facts, server: Server) -> Iterator[dict[str, Any]]:
    for rule in server.firewall:
        if rule.name.lower() == f"{PREFIX}{facts.target.name}".lower():
            row = OpenFirewall(server.id, rule.name, rule.start).row()
            row["rules"][0]["end_ip_address"] = rule.end
            yield row
