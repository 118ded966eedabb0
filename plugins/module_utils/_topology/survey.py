# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the user's options to a topology: checks them, then asks Azure in rounds, each for what the last one named."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from .._clients import Azure
from .._errors import ModuleFailure
from .._ids import parse, same, server_id
from .._migration.settings import FLEXIBLE, SINGLE
from .._network.addresses import network as address_block
from .._parallel import each
from .._permissions import permissions_at
from .._server.servers import AzureServer, FlexibleServer, SingleServer
from .facts import Facts, FirewallRule, Network, RuntimeWish, Server, Wishes, Zone, key, name_of, network_of
from .names import linked_zone, needs_names, resolver
from .networks import Json, Networks, Place
from .reason import Topology, reason, rights_lacking
from .worker import Worker, endpoint_network, place, runtime_zone_id, scopes

T = TypeVar("T")
KINDS: dict[str, type[AzureServer]] = {SINGLE: SingleServer, FLEXIBLE: FlexibleServer}
VNET, SUBNET = ("virtualnetworks",), ("virtualnetworks", "subnets")


# The options


def _checked_id(text: str | None, option: str, types: tuple[str, ...]) -> str | None:
    """An id as Azure writes it; a failure when it is the id of something else."""
    if not text:
        return None
    found = parse(text, option)
    if tuple(kind.lower() for kind in found.types) != types:
        raise ModuleFailure(f"{option} is not the id of a resource of type {'/'.join(types)}: {text!r}.")
    return str(found)


def _prefix(text: str | None, option: str) -> str | None:
    return str(address_block(text, option)) if text else None


def _group_id(text: str | None) -> str:
    parts = (text or "").strip("/").split("/")
    if text and (len(parts) != 4 or parts[0].lower() != "subscriptions" or parts[2].lower() != "resourcegroups"):
        raise ModuleFailure(f"migration_resource_group_id is not the id of a resource group: {text!r}.")
    return f"/{text.strip('/')}" if text else ""


def wishes_of(params: Json, subscription_id: str) -> Wishes:
    target, subnet = params["target"], params["subnet"] or {}
    made = params["runtime_server"]
    group = f"/subscriptions/{target['subscription_id'] or subscription_id}/resourceGroups/"
    zone = ("privatednszones",)
    runtime = made and RuntimeWish(
        name=made["name"],
        group_id=f"{group}{made['resource_group'] or target['resource_group']}",
        network_id=_checked_id(made["virtual_network_id"], "runtime_server.virtual_network_id", VNET),
        subnet_id=_checked_id(made["subnet_id"], "runtime_server.subnet_id", SUBNET),
        address_prefix=_prefix(made["address_prefix"], "runtime_server.address_prefix"),
        zone_id=_checked_id(made["private_dns_zone_id"], "runtime_server.private_dns_zone_id", zone),
    )
    return Wishes(
        classic=params["generation"] == "classic",
        group_id=_group_id(params["migration_resource_group_id"]),
        subnet_id=_checked_id(params["migration_subnet_id"], "migration_subnet_id", SUBNET),
        network_id=_checked_id(params["migration_vnet_id"], "migration_vnet_id", VNET),
        subnet_name=subnet.get("name") or Wishes.subnet_name,
        subnet_prefix=_prefix(subnet.get("address_prefix"), "subnet.address_prefix"),
        runtime=runtime or None,
        dns_forwarding=params["dns_forwarding"],
        routed=params["routed"],
        public_address=target["public_address"],
    )


def refuse(params: Json, wishes: Wishes) -> None:
    """Raises for options that exclude each other, before anything is asked."""
    runtime = next((name for name in ("runtime_server_id", "runtime_server") if params[name]), None)
    named = [f"{side}.fqdn" for side in ("source", "target") if params[side]["fqdn"]]
    if runtime and named:
        raise ModuleFailure(
            f"{' and '.join(named)} can not be given together with {runtime}: the service takes names as custom DNS "
            "servers know them only where there is no runtime server.",
            code="FqdnWithRuntimeServer",
            hint="Leave the names out, and set dns_forwarding when the DNS servers forward to 168.63.129.16.",
        )
    if wishes.classic and runtime:
        raise ModuleFailure(f"{runtime} needs generation current: the classic service has no runtime servers.")
    if wishes.classic and params["source"]["type"] != SINGLE:
        raise ModuleFailure(f"generation classic migrates Single Servers only, not {params['source']['type']}.")
    if wishes.subnet_id and not wishes.classic:
        raise ModuleFailure("migration_subnet_id needs generation classic: the current service runs in a server.")
    if wishes.subnet_id and wishes.network_id and not same(network_of(wishes.subnet_id), wishes.network_id):
        raise ModuleFailure("migration_subnet_id is not in migration_vnet_id: give one of the two.")
    if params["principal_id"] and params["new_application"]:
        raise ModuleFailure("principal_id is given, and new_application says that there is none yet: give one of them.")
    if wishes.public_address and not _is_address(wishes.public_address):
        raise ModuleFailure(f"target.public_address is no IPv4 address: {wishes.public_address!r}.")


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def outside(source: Json) -> Server:
    """A source that is not a server of Azure's, as the user states it."""
    if not source["host"]:
        raise ModuleFailure(f"source.host is missing: a source of type {source['type']} is known by its host.")
    private = source["access"] == "private" or bool(source["route"] or source["virtual_network_id"])
    return Server(
        kind="outside",
        name=source["name"] or source["host"],
        host=source["host"],
        public=source["access"] == "public" or not private,
        fqdn=source["fqdn"],
        route=source["route"],
        virtual_network_id=_checked_id(source["virtual_network_id"], "source.virtual_network_id", VNET),
        name_resolves=source["name_resolves"],
    )


def planned(target: Json, where: Place) -> Server:
    """A target that is to be made. It has no rules yet: that they would keep somebody out is nothing to say of it."""
    made = target["planned"]
    return Server(
        kind="flexible",
        name=where[2],
        host=f"{where[2]}.postgres.database.azure.com",
        id=server_id(*where, "flexibleServers"),
        subnet_id=_checked_id(made["delegated_subnet_id"], "target.planned.delegated_subnet_id", SUBNET),
        zone_id=_checked_id(made["private_dns_zone_id"], "target.planned.private_dns_zone_id", ("privatednszones",)),
        firewall=(FirewallRule("planned", "0.0.0.0", "255.255.255.255"),),
        fqdn=target["fqdn"],
    )


# The rounds


def _together(asks: Iterable[Callable[[], T]]) -> list[T]:
    return each(lambda ask: ask(), asks)


@dataclass
class Survey:
    azure: Azure
    params: Json

    def __post_init__(self) -> None:
        self.subscription_id = self.params["target"]["subscription_id"] or self.azure.sign_in.require_subscription()
        self.wishes = wishes_of(self.params, self.subscription_id)
        refuse(self.params, self.wishes)
        self.networks = Networks(self.azure)

    def topology(self) -> Topology:
        facts = self._servers()
        topology = reason(facts)
        if not topology.worker.placed:
            return topology
        facts = self._around(facts, topology.worker)
        topology = reason(replace(facts, roles=self._roles(facts)))
        needs = topology.needs()
        asked = list({key(need.scope): need.scope for need in needs}.values())
        rows = each(partial(permissions_at, self.azure), asked)
        permissions = {key(scope): found for scope, found in zip(asked, rows, strict=True)}
        return replace(topology, rights=rights_lacking(needs, permissions))

    def _roles(self, facts: Facts) -> frozenset[str] | None:
        principal = self.params["principal_id"]
        if principal:
            return self.networks.held_roles(principal, scopes(facts, place(facts)))
        return frozenset() if self.params["new_application"] else None

    def _place(self, server: Json, side: str) -> Place:
        for name in ("resource_group", "name"):
            if not server[name]:
                raise ModuleFailure(f"{side}.{name} is missing: a server of Azure is known by its group and its name.")
        subscription = server["subscription_id"] or self.azure.sign_in.require_subscription()
        return subscription, server["resource_group"], server["name"]

    def _servers(self) -> Facts:
        """Both servers with their rules and endpoints, and the networks that they are in."""
        source, target = self.params["source"], self.params["target"]
        read = self.networks.server
        where = self._place(target, "target")
        servers: dict[str, Any] = {}
        asks: dict[str, Callable[[], Any]] = {}
        if target["planned"]:
            servers["target"] = (planned(target, where), [])
        else:
            asks["target"] = partial(read, FlexibleServer, where, target["fqdn"])
        runtime = self._runtime_place()
        if runtime:
            asks["runtime"] = partial(read, FlexibleServer, runtime, None, optional=self.wishes.runtime is not None)
        kind = KINDS.get(source["type"])
        if kind:
            asks["source"] = partial(read, kind, self._place(source, "source"), source["fqdn"])
        else:
            servers["source"] = (outside(source), [])
        servers |= dict(zip(asks, _together(asks.values()), strict=True))
        there = servers.pop("runtime", None)
        return self._complete(servers, there[0] if there else None)

    def _runtime_place(self) -> Place | None:
        made = self.wishes.runtime
        if made:
            group = made.group_id.strip("/").split("/")
            return group[1], group[3], made.name
        found = _checked_id(self.params["runtime_server_id"], "runtime_server_id", ("flexibleservers",))
        where = parse(found, "runtime_server_id") if found else None
        return (where.subscription_id, where.resource_group, where.name) if where else None

    def _complete(self, servers: dict[str, tuple[Server, list[Json]]], runtime: Server | None) -> Facts:
        """Round two and three: rules, endpoints and the networks already named, then those that endpoints named."""
        wishes, made = self.wishes, self.wishes.runtime
        subnets = [wishes.subnet_id, made and made.subnet_id, runtime and runtime.subnet_id]
        subnets += [server.subnet_id for server, _connections in servers.values()]
        named = [network_of(text) for text in subnets if text]
        named += [text for text in (wishes.network_id, made and made.network_id) if text]
        named += [text for server, _rows in servers.values() if (text := server.virtual_network_id)]

        def server(side: str) -> Server:
            found, connections = servers[side]
            known = found if found.firewall else self.networks.with_rules(found)
            return self.networks.with_endpoints(known, connections, named)

        first = {key(text): text for text in named}
        asks: list[Callable[[], Any]] = [partial(server, "source"), partial(server, "target")]
        asks += [partial(self.networks.network, text) for text in first.values()]
        source, target, *networks = _together(asks)
        ends = [text for server in (source, target) if (text := endpoint_network(server))]
        more = {key(text): text for text in ends if key(text) not in first}
        networks += each(self.networks.network, more.values())
        known = {key(network.id): network for network in networks}
        source, target = (self._with_known_ends(server, known) for server in (source, target))
        return Facts(wishes, source, target, runtime, networks=known)

    def _with_known_ends(self, server: Server, known: dict[str, Network]) -> Server:
        """A public server's endpoints matter only to names, so one that may not be read is no failure."""
        if server.access != "public" or not server.endpoints:
            return server
        network_id = server.endpoints[0].network_id
        if key(network_id) not in known:
            try:
                known[key(network_id)] = self.networks.network(network_id)
            except ModuleFailure as failure:
                if failure.status not in (403, 404):
                    raise
                return replace(server, endpoints=())
        return server

    def _around(self, facts: Facts, worker: Worker) -> Facts:
        """Security groups on the way, and the zones that the names are in."""
        ids = [worker.subnet_id]
        for server in (facts.source, facts.target):
            ids += [server.subnet_id, *(end.subnet_id for end in server.endpoints[:1])]
        subnets = [subnet for text in ids if text and (subnet := facts.subnet(text))]
        if facts.source.virtual_network_id:
            subnets += facts.network(facts.source.virtual_network_id).subnets
        groups = {key(text): text for subnet in subnets if (text := subnet.security_group_id)}
        servers = needs_names(facts, worker)
        found = list(zip(servers, each(partial(self._zone_ids, facts), servers), strict=True))
        zones = {key(text): text for _server, ids in found for text in ids}
        needed = {key(text) for server, ids in found if server.access != "public" for text in ids}
        asks: list[Callable[[], Any]] = [partial(self.networks.group, text) for text in groups.values()]
        asks += [partial(self._zone, facts, text, needed=name in needed) for name, text in zones.items()]
        if self.wishes.runtime and not facts.runtime:
            asks.append(partial(self._runtime_zone, facts, self.wishes.runtime))
        answers = _together(asks)
        known = [zone for zone in answers[len(groups) :] if zone]
        facts = replace(
            facts,
            groups={key(group.id): group for group in answers[: len(groups)]},
            zones={key(zone.id): zone for zone in known},
        )
        return replace(facts, zones={**facts.zones, **self._namesakes(facts, worker)})

    def _namesakes(self, facts: Facts, worker: Worker) -> dict[str, Zone]:
        """Zones that the network asks instead of the endpoints' own: it can be linked to one of a name only."""
        if worker.network_id is None:
            return {}
        asked = resolver(facts, facts.network(worker.network_id))
        ends = [row for row in needs_names(facts, worker) if row.endpoints and not linked_zone(facts, asked, row)]
        names = {row.privatelink for row in ends}
        ids = [text for row in ends for text in (asked.id, row.endpoints[0].id)]
        subscriptions = list(dict.fromkeys(parse(text, "id").subscription_id for text in ids))
        found = each(partial(self._zones_named, names), subscriptions)
        others = {key(text): text for texts in found for text in texts if key(text) not in facts.zones}
        zones = each(partial(self._zone, facts, needed=False), others.values())
        return {key(zone.id): zone for zone in zones if zone and zone.linked(asked.id)}

    def _zones_named(self, names: set[str], subscription_id: str) -> list[str]:
        try:
            return self.networks.zones_like(subscription_id, names.__contains__)
        except ModuleFailure as failure:
            if failure.status != 403:
                raise
            return []

    def _zone_ids(self, facts: Facts, server: Server) -> list[str]:
        """The zones that a server's name is looked for in."""
        if server.kind == "outside":
            host = server.host.lower()
            return self.networks.zones_like(self.subscription_id, lambda name: host.endswith(f".{name}"))
        if server.subnet_id:
            return [server.zone_id] if server.zone_id else []
        end = server.endpoints[0]
        if end.zone_ids:
            return list(end.zone_ids)
        return self.networks.zones_like(parse(end.id, "id").subscription_id, lambda name: name == server.privatelink)

    def _zone(self, facts: Facts, zone_id: str, *, needed: bool) -> Zone | None:
        """A zone that only a public server is in is not needed: all who do not ask it find the public address."""
        servers = [server for server in (facts.source, facts.target) if server.endpoints]
        name = name_of(zone_id).lower()
        try:
            labels = [server.label for server in servers if server.privatelink == name]
            return self.networks.zone(zone_id, labels) or Zone(zone_id)
        except ModuleFailure as failure:
            if failure.status != 403 or needed:
                raise
            return None

    def _runtime_zone(self, facts: Facts, wish: RuntimeWish) -> Zone | None:
        zone_id = wish.zone_id or runtime_zone_id(wish, facts.target)
        found = self.networks.zone(zone_id, [], optional=True)
        if found is None and wish.zone_id:
            raise ModuleFailure(
                f"There is no private DNS zone {wish.zone_id}.",
                code="ResourceNotFound",
                hint="Check the option runtime_server.private_dns_zone_id.",
            )
        return found
