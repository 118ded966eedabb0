# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the migrating side sits, and what its own place lacks. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .._ids import same
from .._marks import PREFIX
from .._network.addresses import contains, network, next_free, overlapping
from .facts import (
    DELEGATION,
    Facts,
    Network,
    RuntimeWish,
    Server,
    Subnet,
    key,
    name_of,
    network_of,
    resource_group_id,
    subnet_words,
)
from .plan import LinkZone, MakeRuntimeServer, MakeSubnet, MakeZone, Missing

# Subnets that Azure keeps for one kind of resource.
RESERVED_NAMES = frozenset(
    {
        "gatewaysubnet",
        "azurebastionsubnet",
        "azurefirewallsubnet",
        "azurefirewallmanagementsubnet",
        "routeserversubnet",
    }
)
RUNTIME_SUBNET = f"{PREFIX}runtime"
# What the module subnet makes when no address block is asked for.
PREFIX_LENGTH = 27
# The smallest subnet that Azure lets a Flexible Server into.
SMALLEST_DELEGATED = 28


@dataclass(frozen=True)
class Worker:
    """What migrates. Without a network it connects from a public address; without a place nothing can be said."""

    kind: str
    description: str
    subnet_id: str | None = None
    subnet: Subnet | None = None
    placed: bool = True
    missing: tuple[Missing, ...] = ()
    runtime: dict[str, Any] | None = field(default=None)

    @property
    def network_id(self) -> str | None:
        return network_of(self.subnet_id) if self.subnet_id else None

    def row(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "virtual_network_id": self.network_id,
            "subnet_id": self.subnet_id,
            "description": self.description,
        }


def endpoint_network(server: Server) -> str | None:
    """The network in which a server has its private address."""
    if server.subnet_id:
        return network_of(server.subnet_id)
    if server.access == "private_endpoint":
        return server.endpoints[0].network_id
    return server.virtual_network_id


def place(facts: Facts) -> Worker:
    return _classic(facts) if facts.wishes.classic else _current(facts)


def third_network(facts: Facts) -> str | None:
    """The network to work from when it is neither server's own."""
    wishes = facts.wishes
    asked = wishes.network_id or (network_of(wishes.subnet_id) if wishes.subnet_id else None)
    if not asked and facts.runtime and facts.runtime.subnet_id:
        asked = network_of(facts.runtime.subnet_id)
    if not asked and wishes.runtime:
        asked = network_of(wishes.runtime.subnet_id) if wishes.runtime.subnet_id else wishes.runtime.network_id
    own = [endpoint_network(server) for server in (facts.source, facts.target)]
    return asked if asked and not any(same(asked, network) for network in own if network) else None


# The current service: the target server, or a runtime server


def _current(facts: Facts) -> Worker:
    target = facts.target
    if facts.runtime:
        return _runtime_there(facts.runtime, facts)
    if facts.wishes.runtime:
        return _runtime_to_make(facts.wishes.runtime, facts)
    why = _why_runtime(facts)
    if why:
        message = (
            f"{why} The current service then needs a migration runtime server: name one in pgflex.runtime_server "
            "to have it made, or give the id of one in pgflex.runtime_server_id."
        )
        lacking = Missing("runtime_server", "both", message)
        return Worker(
            "runtime_server", "A migration runtime server that is not there yet.", None, None, False, (lacking,)
        )
    if target.subnet_id:
        description = f"The target server {target.name}, in the subnet {subnet_words(target.subnet_id)}."
        return Worker("target_server", description, target.subnet_id, facts.subnet(target.subnet_id))
    return Worker("target_server", f"The target server {target.name}, from its public address.")


def _why_runtime(facts: Facts) -> str | None:
    source, target = facts.source, facts.target
    if target.access == "private_endpoint":
        return f"The target {target.name} can be reached by its private endpoint only."
    if target.access == "public" and source.access in ("private_endpoint", "virtual_network"):
        return f"The source {source.name} is private, and the public target {target.name} is in no virtual network."
    if facts.wishes.network_id and third_network(facts):
        return f"The migration is to work from the virtual network {name_of(facts.wishes.network_id)}."
    return None


def _runtime_there(server: Server, facts: Facts) -> Worker:
    if not server.subnet_id:
        message = (
            f"The migration runtime server {server.name} is in no virtual network: it has to be a Flexible Server with "
            "private access (VNet integration)."
        )
        lacking = Missing("runtime_server", "both", message)
        return Worker("runtime_server", f"The runtime server {server.name}.", placed=False, missing=(lacking,))
    description = f"The migration runtime server {server.name}, in the subnet {subnet_words(server.subnet_id)}."
    wish, network = facts.wishes.runtime, facts.network(network_of(server.subnet_id))
    made = _runtime_row(wish, network, server.subnet_id, server.zone_id) if wish else None
    return Worker("runtime_server", description, server.subnet_id, facts.subnet(server.subnet_id), runtime=made)


def runtime_network(wish: RuntimeWish, facts: Facts) -> str | None:
    """The network that the runtime server is made in: the one asked for, or else the source's or the target's."""
    asked = network_of(wish.subnet_id) if wish.subnet_id else wish.network_id or facts.wishes.network_id
    return asked or endpoint_network(facts.source) or endpoint_network(facts.target)


def _runtime_to_make(wish: RuntimeWish, facts: Facts) -> Worker:
    network_id = runtime_network(wish, facts)
    if network_id is None:
        message = (
            f"The runtime server {wish.name} needs a virtual network, and neither server is in one: say which in "
            "pgflex.runtime_server.virtual_network_id."
        )
        lacking = Missing("runtime_server", "both", message)
        return Worker("runtime_server", f"The runtime server {wish.name}.", placed=False, missing=(lacking,))
    network = facts.network(network_id)
    if wish.subnet_id:
        subnet_id, subnet = wish.subnet_id, facts.subnet(wish.subnet_id)
        missing = _check(subnet_id, subnet, DELEGATION, "pgflex.runtime_server.subnet_id")
    else:
        subnet = _delegated(network) or network.subnet(RUNTIME_SUBNET)
        subnet_id = subnet.id if subnet else f"{network.id}/subnets/{RUNTIME_SUBNET}"
        missing = (
            _check(subnet_id, subnet, DELEGATION, "pgflex.runtime_server.subnet_id")
            if subnet
            else _to_make(
                network, RUNTIME_SUBNET, wish.address_prefix, "pgflex.runtime_server.address_prefix", DELEGATION
            )
        )
    zone_id, of_zone = _runtime_zone(wish, facts, network)
    absent = Missing(
        "runtime_server",
        "both",
        f"The migration runtime server {wish.name} is not there yet: it belongs in the subnet "
        f"{subnet_words(subnet_id)}.",
        (MakeRuntimeServer(wish.group_id, subnet_id),),
    )
    made = _runtime_row(wish, network, subnet_id, zone_id)
    description = f"The migration runtime server {wish.name}, in the subnet {subnet_words(subnet_id)}."
    return Worker("runtime_server", description, subnet_id, subnet, True, (*missing, *of_zone, absent), made)


def _runtime_row(wish: RuntimeWish, network: Network, subnet_id: str, zone_id: str | None) -> dict[str, Any]:
    """What the module that makes Flexible Servers has to be told."""
    return {
        "name": wish.name,
        "resource_group": name_of(wish.group_id),
        "location": network.location,
        "subnet_id": subnet_id,
        "private_dns_zone_id": zone_id,
    }


def _delegated(network: Network) -> Subnet | None:
    """A subnet for Flexible Servers with room; the one that this collection makes goes first."""
    rows = [row for row in network.subnets if _delegated_to(row, DELEGATION) and row.free > 0]
    return next((row for row in rows if row.name == RUNTIME_SUBNET), rows[0] if rows else None)


def runtime_zone_id(wish: RuntimeWish, target: Server) -> str:
    """The zone that is made for a runtime server when there is none for it."""
    name = f"{RUNTIME_SUBNET}.private.{target.domain}"
    return f"{wish.group_id}/providers/Microsoft.Network/privateDnsZones/{name}"


def _runtime_zone(wish: RuntimeWish, facts: Facts, network: Network) -> tuple[str, list[Missing]]:
    """The zone for the runtime server's name, and what it lacks."""
    own = wish.zone_id or runtime_zone_id(wish, facts.target)
    others = [] if wish.zone_id else [facts.target.zone_id, facts.source.zone_id]
    for zone_id in [own, *others]:
        known = facts.zones.get(key(zone_id)) if zone_id else None
        if known and known.linked(network.id):
            return known.id, []
    there = key(own) in facts.zones
    is_not = "is not linked to" if there else "has to be made, and linked to"
    message = f"The private DNS zone {name_of(own)}, for the runtime server {wish.name}, {is_not} {network.name}."
    steps = (LinkZone(own, network.id, there),)
    return own, [Missing("private_dns_zone_link", "both", message, steps if there else (MakeZone(own), *steps))]


# The classic service: a DMS in a subnet, or one of its own with a public address


def _classic(facts: Facts) -> Worker:
    wishes, source, target = facts.wishes, facts.source, facts.target
    if wishes.subnet_id:
        subnet = facts.subnet(wishes.subnet_id)
        missing = _check(wishes.subnet_id, subnet, None, "pgflex.migration_subnet_id")
        return _dms(wishes.subnet_id, subnet, missing)
    if wishes.network_id:
        return _in_network(facts, facts.network(wishes.network_id))
    if source.access == "private_endpoint":
        beside = facts.subnet(source.endpoints[0].subnet_id)
        return _in_network(facts, facts.network(source.endpoints[0].network_id), [beside] if beside else [])
    network_id = endpoint_network(target)
    if network_id:
        rules = [subnet for rule in source.network_rules if (subnet := facts.subnet(rule.subnet_id))]
        return _in_network(
            facts, facts.network(network_id), [row for row in rules if same(network_of(row.id), network_id)]
        )
    return Worker("public_address", "The service's own machine, which opens the firewalls of both servers for itself.")


def _dms(subnet_id: str, subnet: Subnet | None, missing: list[Missing]) -> Worker:
    description = f"The Database Migration Service, in the subnet {subnet_words(subnet_id)}."
    return Worker("migration_subnet", description, subnet_id, subnet, True, tuple(missing))


def _in_network(facts: Facts, network: Network, first: list[Subnet] | None = None) -> Worker:
    """A subnet for the DMS: one of `first`, the collection's own, any other with room, or one that is made."""
    name = facts.wishes.subnet_name
    own = network.subnet(name)
    # One whose security group could be in the way is taken when there is no other.
    others = sorted(network.subnets, key=lambda row: row.security_group_id is not None)
    for subnet in [*(first or []), *([own] if own else []), *others]:
        usable = not subnet.delegations and subnet.free > 0 and subnet.name.lower() not in RESERVED_NAMES
        if usable:
            return _dms(subnet.id, subnet, [])
    subnet_id = f"{network.id}/subnets/{name}"
    if own:
        return _dms(subnet_id, own, _check(subnet_id, own, None, "pgflex.network.subnet_name"))
    asked = facts.wishes.subnet_prefix, "pgflex.network.subnet_prefix"
    return _dms(subnet_id, None, _to_make(network, name, *asked))


# Subnets


def _delegated_to(subnet: Subnet, service: str) -> bool:
    return any(row.lower() == service.lower() for row in subnet.delegations)


def _check(subnet_id: str, subnet: Subnet | None, delegation: str | None, option: str) -> list[Missing]:
    """What keeps the migrating side out of a subnet that the user chose with `option`."""
    where = subnet_words(subnet_id)
    if subnet is None:
        message = f"There is no subnet {where}: correct {option}, or leave it out to have one found or made."
        return [Missing("subnet", "both", message)]
    if delegation and not _delegated_to(subnet, delegation):
        to = " and ".join(subnet.delegations) or "nothing"
        message = f"The subnet {where} is delegated to {to}, and a runtime server needs one delegated to {delegation}."
        return [Missing("subnet_delegation", "both", f"{message} Choose another in {option}.")]
    if not delegation and subnet.delegations:
        message = (
            f"The subnet {where} is delegated to {' and '.join(subnet.delegations)}, which lets nothing else in: "
            f"choose another in {option}."
        )
        return [Missing("subnet_delegation", "both", message)]
    if delegation and all(network(prefix).prefixlen > SMALLEST_DELEGATED for prefix in subnet.prefixes):
        message = (
            f"The subnet {where} ({', '.join(subnet.prefixes)}) is too small: a Flexible Server needs /28 or larger."
        )
        return [Missing("subnet_size", "both", f"{message} Choose another in {option}.")]
    if subnet.free < 1:
        message = f"The subnet {where} ({', '.join(subnet.prefixes)}) has no free address: choose another in {option}."
        return [Missing("subnet_size", "both", message)]
    return []


def _to_make(
    network: Network, name: str, prefix: str | None, option: str, delegation: str | None = None
) -> list[Missing]:
    """The missing subnet; by hand when the network has no room for it."""
    taken = [block for subnet in network.subnets for block in subnet.prefixes]
    trouble = None
    if prefix is None and next_free(network.prefixes, taken, PREFIX_LENGTH) is None:
        trouble = (
            f"The address space of {network.name} ({', '.join(network.prefixes)}) has no free /{PREFIX_LENGTH} for "
            f"the subnet {name}: add an address range to it, or free one."
        )
    elif prefix and not contains(network.prefixes, prefix):
        trouble = f"{option} {prefix} is not in the address space of {network.name} ({', '.join(network.prefixes)})."
    elif prefix and (both := overlapping([prefix], taken)):
        trouble = f"{option} {prefix} overlaps {both[0][1]}, which another subnet of {network.name} has."
    if trouble:
        return [Missing("address_space", "both", trouble)]
    message = f"{network.name} has no subnet that the migration could run in: {name} has to be made."
    return [Missing("subnet", "both", message, (MakeSubnet(network.id, name, prefix, delegation),))]


def scopes(facts: Facts, worker: Worker) -> list[str]:
    """Where the classic service's application has to be Contributor."""
    if not facts.wishes.classic:
        return []
    source, target = facts.source, facts.target
    group = facts.wishes.group_id or resource_group_id(target.id)
    private = [endpoint_network(server) for server in (source, target) if server.access != "public"]
    found = [source.id, target.id, group, *private, worker.network_id]
    return list({key(scope): scope for scope in found if scope}.values())
