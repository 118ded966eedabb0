# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the networks around two servers, in rounds of concurrent requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from .._clients import Azure, raw, wire
from .._errors import ModuleFailure, service_errors, status_of, translate
from .._ids import parse
from .._marks import TAGS
from .._network.peering import remote_space
from .._network.private_endpoint import PrivateEndpoints, properties_of, there
from .._network.subnet import has_interfaces, in_use
from .._parallel import each
from .._role_assignment import BUILT_IN
from .._server.servers import AzureServer, FlexibleServer, SingleServer
from .facts import (
    Endpoint,
    FirewallRule,
    Link,
    Network,
    NetworkRule,
    Peering,
    SecurityGroup,
    SecurityRule,
    Server,
    Subnet,
    Zone,
    key,
    name_of,
)

Json = dict[str, Any]
# Subscription, resource group, name.
Place = tuple[str, str, str]
# What the app may be instead of Contributor.
ENOUGH = frozenset({BUILT_IN["contributor"], BUILT_IN["owner"]})


def _id_of(row: Json, name: str) -> str | None:
    found: str | None = (row.get(name) or {}).get("id")
    return found


def _texts(row: Json, one: str, many: str) -> tuple[str, ...]:
    single = row.get(one)
    return (*([single] if single else []), *(row.get(many) or []))


def subnet_of(row: Json) -> Subnet:
    properties = properties_of(row)
    # An endpoint's interface is among the ip configurations, unless the service leaves it out.
    used = max(in_use(row), len(properties.get("privateEndpoints") or []))
    policies = properties.get("privateEndpointNetworkPolicies") or "Disabled"
    return Subnet(
        id=row["id"],
        prefixes=_texts(properties, "addressPrefix", "addressPrefixes"),
        delegations=tuple(properties_of(item).get("serviceName", "") for item in properties.get("delegations") or []),
        service_endpoints=tuple(item["service"] for item in properties.get("serviceEndpoints") or []),
        security_group_id=_id_of(properties, "networkSecurityGroup"),
        used=used,
        interfaces=has_interfaces(row),
        filters_endpoints=policies in ("Enabled", "NetworkSecurityGroupEnabled"),
    )


def peering_of(row: Json) -> Peering:
    properties = properties_of(row)
    return Peering(
        name=row["name"],
        remote_id=_id_of(properties, "remoteVirtualNetwork") or "",
        state=properties.get("peeringState") or "",
        access=bool(properties.get("allowVirtualNetworkAccess")),
        remote_gateways=bool(properties.get("useRemoteGateways")),
        remote_prefixes=remote_space(row),
    )


def network_facts(row: Json) -> Network:
    properties = properties_of(row)
    return Network(
        id=row["id"],
        prefixes=tuple((properties.get("addressSpace") or {}).get("addressPrefixes") or []),
        location=(row.get("location") or "").replace(" ", "").lower(),
        dns_servers=tuple((properties.get("dhcpOptions") or {}).get("dnsServers") or []),
        subnets=tuple(subnet_of(item) for item in properties.get("subnets") or []),
        peerings=tuple(peering_of(item) for item in properties.get("virtualNetworkPeerings") or []),
    )


def rule_of(row: Json) -> SecurityRule:
    properties = properties_of(row)
    return SecurityRule(
        name=row["name"],
        priority=int(properties["priority"]),
        inbound=properties["direction"].lower() == "inbound",
        allows=properties["access"].lower() == "allow",
        protocol=properties["protocol"],
        sources=_texts(properties, "sourceAddressPrefix", "sourceAddressPrefixes"),
        source_ports=_texts(properties, "sourcePortRange", "sourcePortRanges"),
        destinations=_texts(properties, "destinationAddressPrefix", "destinationAddressPrefixes"),
        ports=_texts(properties, "destinationPortRange", "destinationPortRanges"),
    )


def _made(tags: Json | None) -> bool:
    return any(name.lower() in TAGS for name in tags or {})


def _refused(what: str, role: str) -> Callable[[Exception], ModuleFailure]:
    def failure(error: Exception) -> ModuleFailure:
        found = translate(error, f"read {what}")
        found.hint = f"Give the signed-in identity the role {role} there, or have someone run this who has it."
        return found

    return failure


class Networks:
    """What the signed-in user can read of networks; each resource is asked of its own subscription."""

    def __init__(self, azure: Azure) -> None:
        self.azure = azure

    def _read(self, ask: Callable[[], Any], what: str, role: str = "Reader") -> Any:
        """None where there is no such thing; one that may not be read is a failure that names it and the role."""
        try:
            return there(ask)
        except service_errors() as error:
            if status_of(error) != 403:
                raise
            raise _refused(what, role)(error) from error

    def network(self, network_id: str) -> Network:
        where = parse(network_id, "virtual network")
        client = self.azure.network(where.subscription_id).virtual_networks
        ask = partial(client.get, where.resource_group, where.name, cls=raw)
        found = self._read(ask, f"the virtual network {where.name} in {where.resource_group}")
        if found is None:
            raise ModuleFailure(
                f"There is no virtual network {where.name} in {where.resource_group} ({network_id}).",
                code="ResourceNotFound",
                status=404,
                hint="Check the options that name virtual networks and subnets.",
            )
        return network_facts(found)

    def group(self, group_id: str) -> SecurityGroup:
        where = parse(group_id, "network security group")
        client = self.azure.network(where.subscription_id).network_security_groups
        ask = partial(client.get, where.resource_group, where.name, cls=raw)
        found = self._read(ask, f"the network security group {where.name} in {where.resource_group}")
        rows = properties_of(found).get("securityRules") or []
        return SecurityGroup(group_id, tuple(rule_of(row) for row in rows))

    def endpoint(self, connection: Json) -> Endpoint | None:
        """None for an endpoint that belongs to somebody else, who alone may read it."""
        try:
            found = PrivateEndpoints(self.azure).by_ids([connection["private_endpoint_id"]])
        except service_errors() as error:
            if status_of(error) not in (401, 403):
                raise
            return None
        if not found or not found[0]["subnet_id"]:
            return None
        row = found[0]
        return Endpoint(
            id=row["id"],
            subnet_id=row["subnet_id"],
            status=connection["status"] or row["status"] or "",
            addresses=tuple(row["private_ip_addresses"]),
            zone_ids=tuple(row["private_dns_zone_ids"]),
        )

    # Private DNS zones

    def zone(self, zone_id: str, labels: Iterable[str], *, optional: bool = False) -> Zone | None:
        """A zone with its links and the records of these names; None for an `optional` one that is not there."""
        where = parse(zone_id, "private DNS zone")
        client = self.azure.private_dns(where.subscription_id)
        what = f"the private DNS zone {where.name} in {where.resource_group} of subscription {where.subscription_id}"
        role = "Private DNS Zone Contributor"
        place = where.resource_group, where.name
        made = False
        if optional:
            found = self._read(partial(client.private_zones.get, *place, cls=raw), what, role)
            if found is None:
                return None
            made = _made(found.get("tags"))
        rows = self._read(lambda: [wire(row) for row in client.virtual_network_links.list(*place)], what, role)
        records = {}
        for label in labels:
            get = partial(client.record_sets.get, *place, "A", label, cls=raw)
            found = properties_of(self._read(get, what, role))
            addresses = tuple(row["ipv4Address"] for row in found.get("aRecords") or [])
            if addresses:
                records[label.lower()] = addresses
        return Zone(zone_id, tuple(self._link(row) for row in rows or []), records, made)

    @staticmethod
    def _link(row: Json) -> Link:
        properties = properties_of(row)
        redirects = properties.get("resolutionPolicy") == "NxDomainRedirect"
        return Link(row["name"], _id_of(properties, "virtualNetwork") or "", _made(row.get("tags")), redirects)

    def zones_like(self, subscription_id: str, wanted: Callable[[str], bool]) -> list[str]:
        """The ids of the subscription's zones whose names are wanted."""
        client = self.azure.private_dns(subscription_id).private_zones
        what = f"the private DNS zones of subscription {subscription_id}"
        rows = self._read(lambda: [wire(row) for row in client.list()], what) or []
        return [row["id"] for row in rows if wanted(row["name"].lower())]

    # Servers

    def server(
        self, kind: type[AzureServer], place: Place, fqdn: str | None, *, optional: bool = False
    ) -> tuple[Server, list[Json]] | None:
        """A server as its own answer tells it, and its connections; None for an `optional` one that is not there."""
        server = kind(self.azure, *place)
        single = kind is SingleServer
        what = "Single Server" if single else "Flexible Server"
        found = self._read(server.details, f"the {what} {server}")
        if found is None and optional:
            return None
        if found is None:
            raise ModuleFailure(
                f"There is no {what} {server} (subscription {place[0]}).",
                code="ResourceNotFound",
                hint="Check the names of the server and of its resource group, and the subscription.",
            )
        network = found.get("network") or {}
        facts = Server(
            kind="single" if single else "flexible",
            name=found["name"],
            host=found["fully_qualified_domain_name"] or "",
            id=found["id"],
            public=(found["public_network_access"] or "Enabled") == "Enabled",
            tier=found["tier"] or "",
            subnet_id=network.get("delegated_subnet_id"),
            zone_id=network.get("private_dns_zone_id"),
            fqdn=fqdn,
        )
        return facts, [row for row in found["private_endpoint_connections"] if row["private_endpoint_id"]]

    def with_rules(self, server: Server) -> Server:
        """A server of Azure with its rules, if it admits anybody by them."""
        if server.kind == "outside" or server.access != "public":
            return server
        where = parse(server.id, "id")
        kind: type[AzureServer] = SingleServer if server.kind == "single" else FlexibleServer
        azure_server = kind(self.azure, where.subscription_id, where.resource_group, where.name)
        firewall = self._rules(azure_server, "firewall_rules")
        networks = self._rules(azure_server, "virtual_network_rules") if server.kind == "single" else []
        return replace(
            server,
            firewall=tuple(FirewallRule(name, row["startIpAddress"], row["endIpAddress"]) for name, row in firewall),
            network_rules=tuple(NetworkRule(name, row["virtualNetworkSubnetId"]) for name, row in networks),
        )

    def _rules(self, server: AzureServer, kind: str) -> list[tuple[str, Json]]:
        rows = self._read(partial(server.rules, kind), f"the {kind.replace('_', ' ')} of {server}")
        return [(row["name"], properties_of(row)) for row in rows or []]

    def with_endpoints(self, server: Server, connections: list[Json], prefer: Iterable[str]) -> Server:
        """A server with its endpoints: the approved ones first, and of those the ones in the preferred networks."""
        found = [(row, self.endpoint(row)) for row in connections]
        wanted = {key(text) for text in prefer}
        ends = sorted(
            (end for _row, end in found if end),
            key=lambda end: (end.status != "Approved", key(end.network_id) not in wanted),
        )
        lost = tuple(row["private_endpoint_id"] for row, end in found if end is None)
        return replace(server, endpoints=tuple(ends), unreadable=lost)

    def held_roles(self, principal_id: str, scopes: Iterable[str]) -> frozenset[str]:
        """The scopes, by `key`, at or above these ones at which a principal is Contributor or Owner."""

        def at(scope: str) -> list[str]:
            client = self.azure.authorization(scope.strip("/").split("/")[1]).role_assignments
            rows = client.list_for_scope(scope, filter=f"principalId eq '{principal_id}'")
            found = [properties_of(wire(row)) for row in rows]
            return [row["scope"] for row in found if name_of(row["roleDefinitionId"]).lower() in ENOUGH]

        return frozenset(key(scope) for held in each(at, scopes) for scope in held)
