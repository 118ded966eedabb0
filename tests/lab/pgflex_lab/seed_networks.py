# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as seeds and the lab's own API declare them; written through the same handlers as a client's calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmResponse
from pgflex_lab.arm.ids import InvalidResourceId, ResourceId
from pgflex_lab.rbac import ITSELF
from pgflex_lab.reachability import DnsServer
from pgflex_lab.resources.networking import ENDPOINT, NSG, VNET, ZONE
from pgflex_lab.resources.server_connections import GROUP_ID
from pgflex_lab.resources.servers import FLEXIBLE
from pgflex_lab.resources.subscriptions import GROUPS, SUBSCRIPTIONS

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

Made = dict[str, dict[str, str]]
API_VERSIONS = {ZONE.lower(): "2024-06-01", "microsoft.dbforpostgresql/servers": "2017-12-01"}
ANY_API_VERSION = "2024-05-01"
FLAGS = {
    "allow_virtual_network_access": "allowVirtualNetworkAccess",
    "allow_forwarded_traffic": "allowForwardedTraffic",
    "allow_gateway_transit": "allowGatewayTransit",
    "use_remote_gateways": "useRemoteGateways",
}


class InvalidSeed(ValueError):
    """The seed cannot be used; the text says why."""


def call(lab: Lab, method: str, target: ResourceId, body: Any = None, api_version: str = "") -> ArmResponse:
    """One call as the lab itself: with all of Azure's checks but that of rights, and done when it returns."""
    known = API_VERSIONS.get(f"{target.namespace}/{target.types[0]}".lower() if target.types else "", ANY_API_VERSION)
    if target.type.lower().startswith(FLEXIBLE.type.lower()):
        known = "2025-08-01"
    try:
        with lab.operations.at_once():
            return lab.router.dispatch(method, str(target), {"api-version": api_version or known}, body, ITSELF, "")
    except ArmError as error:
        raise InvalidSeed(f"{method} {target}: {error.code}: {error.message}") from error


class Scope:
    """Where the names of one item are looked for: its own subscription and group, or the usual ones."""

    def __init__(self, lab: Lab, data: dict[str, Any], item: dict[str, Any] | None = None) -> None:
        self._lab = lab
        given = {**{key: data.get(key) for key in ("subscription", "resource_group", "location")}, **(item or {})}
        first = next(iter(lab.store.children(ResourceId("/"), SUBSCRIPTIONS)), None)
        self.subscription = str(given.get("subscription") or (first.name if first else ""))
        groups = lab.store.children(ResourceId(f"/subscriptions/{self.subscription}"), GROUPS)
        self.resource_group = str(given.get("resource_group") or (groups[0].name if groups else ""))
        self.location = str(given.get("location") or "eastus")

    @property
    def group(self) -> ResourceId:
        return ResourceId(f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}")

    def id(self, text: Any, type_name: str) -> ResourceId:
        """An id as it is, or that of the resource of this name."""
        name = str(text)
        if name.startswith("/"):
            try:
                return ResourceId.parse(name)
            except InvalidResourceId as error:
                raise InvalidSeed(str(error)) from error
        namespace, _separator, short = type_name.partition("/")
        return self.group.extension(namespace, short, name)

    def subnet(self, text: Any) -> ResourceId:
        """An id, or `network/subnet`."""
        name = str(text)
        if name.startswith("/"):
            return self.id(name, VNET)
        network, _separator, subnet = name.partition("/")
        return self.id(network, VNET).child("subnets", subnet)

    def server(self, text: Any) -> ResourceId:
        if str(text).startswith("/"):
            return self.id(text, FLEXIBLE.type)
        found = self._lab.servers.named(str(text))
        if found is None:
            raise InvalidSeed(f"there is no server {text}")
        return found.id


def prepare(lab: Lab, data: dict[str, Any]) -> Made:
    """What servers may need: security groups, networks, zones with their links and records."""
    made: Made = {}
    _each(lab, data, "network_security_groups", made, _group)
    _each(lab, data, "networks", made, _network)
    _each(lab, data, "private_dns_zones", made, _zone)
    return made


def finish(lab: Lab, data: dict[str, Any]) -> Made:
    """What needs servers, or both sides: endpoints, peerings, DNS servers."""
    made: Made = {}
    _each(lab, data, "private_endpoints", made, _endpoint)
    for item in _items(data, "networks"):
        for peering in item.get("peerings") or []:
            _peer(lab, Scope(lab, data, item), item, peering)
    for item in _items(data, "dns_servers"):
        add_dns_server(lab, item, data)
    return made


def add_dns_server(lab: Lab, item: dict[str, Any], data: dict[str, Any] | None = None) -> DnsServer:
    if "address" not in item:
        raise InvalidSeed("a DNS server needs an address")
    network = item.get("virtual_network")
    made = DnsServer(
        address=str(item["address"]),
        forwards=bool(item.get("forwards", False)),
        records={str(name).lower().rstrip("."): str(value) for name, value in (item.get("records") or {}).items()},
        virtual_network=Scope(lab, data or {}).id(network, VNET) if network else None,
    )
    lab.dns_servers[made.address] = made
    return made


def _items(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = data.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise InvalidSeed(f"{key} must be a list of mappings")
    return found


def _each(
    lab: Lab,
    data: dict[str, Any],
    key: str,
    made: Made,
    make: Callable[[Lab, Scope, dict[str, Any]], ResourceId],
) -> None:
    for item in _items(data, key):
        try:
            made.setdefault(key, {})[str(item["name"])] = str(make(lab, Scope(lab, data, item), item))
        except KeyError as error:
            raise InvalidSeed(f"{key}: {error} is missing in {item}") from error


def _put(lab: Lab, target: ResourceId, scope: Scope, properties: dict[str, Any], location: str = "") -> ResourceId:
    call(lab, "PUT", target, {"location": location or scope.location, "properties": properties})
    return target


def _group(lab: Lab, scope: Scope, item: dict[str, Any]) -> ResourceId:
    rules = [
        {
            "name": str(rule["name"]),
            "properties": {
                "priority": rule.get("priority", 100),
                "direction": rule.get("direction", "Inbound"),
                "access": rule.get("access", "Deny"),
                "protocol": rule.get("protocol", "*"),
                "sourceAddressPrefix": str(rule.get("source", "*")),
                "destinationAddressPrefix": str(rule.get("destination", "*")),
                "sourcePortRange": "*",
                "destinationPortRange": str(rule.get("port", "*")),
            },
        }
        for rule in item.get("rules") or []
    ]
    return _put(lab, scope.id(item["name"], NSG), scope, {"securityRules": rules})


def _network(lab: Lab, scope: Scope, item: dict[str, Any]) -> ResourceId:
    space = item["address_space"]
    properties: dict[str, Any] = {
        "addressSpace": {"addressPrefixes": [space] if isinstance(space, str) else list(space)},
        "subnets": [_subnet(scope, one) for one in item.get("subnets") or []],
    }
    if item.get("dns_servers"):
        properties["dhcpOptions"] = {"dnsServers": [str(one) for one in item["dns_servers"]]}
    return _put(lab, scope.id(item["name"], VNET), scope, properties)


def _subnet(scope: Scope, item: dict[str, Any]) -> dict[str, Any]:
    delegation = item.get("delegation")
    service = FLEXIBLE.type if delegation is True else delegation
    properties: dict[str, Any] = {
        "addressPrefix": str(item["prefix"]),
        "delegations": [{"name": "0", "properties": {"serviceName": service}}] if service else [],
        "serviceEndpoints": [{"service": str(one)} for one in item.get("service_endpoints") or []],
    }
    if item.get("nsg"):
        properties["networkSecurityGroup"] = {"id": str(scope.id(item["nsg"], NSG))}
    if item.get("private_endpoint_network_policies"):
        properties["privateEndpointNetworkPolicies"] = item["private_endpoint_network_policies"]
    return {"name": str(item["name"]), "properties": properties}


def _zone(lab: Lab, scope: Scope, item: dict[str, Any]) -> ResourceId:
    zone = scope.id(item["name"], ZONE)
    if lab.store.get(zone) is None:
        _put(lab, zone, scope, {}, "global")
    for link in item.get("links") or []:
        wanted = link if isinstance(link, dict) else {"network": link}
        network = scope.id(wanted["network"], VNET)
        properties = {
            "virtualNetwork": {"id": str(network)},
            "registrationEnabled": bool(wanted.get("registration", False)),
        }
        target = zone.child("virtualNetworkLinks", str(wanted.get("name") or network.name))
        _put(lab, target, scope, properties, "global")
    for name, address in (item.get("records") or {}).items():
        record = zone.child("A", str(name))
        call(lab, "PUT", record, {"properties": {"ttl": 300, "aRecords": [{"ipv4Address": str(address)}]}})
    return zone


def _endpoint(lab: Lab, scope: Scope, item: dict[str, Any]) -> ResourceId:
    """`approved: false` leaves the connection as it is when a stranger asks for one."""
    target = scope.id(item["name"], ENDPOINT)
    link = {
        "name": str(item["name"]),
        "properties": {"privateLinkServiceId": str(scope.server(item["server"])), "groupIds": [GROUP_ID]},
    }
    kind = "privateLinkServiceConnections" if item.get("approved", True) else "manualPrivateLinkServiceConnections"
    _put(lab, target, scope, {"subnet": {"id": str(scope.subnet(item["subnet"]))}, kind: [link]})
    zones = [scope.id(text, ZONE) for text in item.get("zones") or []]
    if zones:
        configs = [
            {"name": f"zone-{number}", "properties": {"privateDnsZoneId": str(zone)}}
            for number, zone in enumerate(zones)
        ]
        _put(lab, target.child("privateDnsZoneGroups", "default"), scope, {"privateDnsZoneConfigs": configs})
    return target


def _peer(lab: Lab, scope: Scope, item: dict[str, Any], given: Any) -> None:
    """Both sides, unless the declaration says `both: false`."""
    wanted = given if isinstance(given, dict) else {"network": given}
    here, there = scope.id(item["name"], VNET), scope.id(wanted["network"], VNET)
    flags = {theirs: bool(wanted[ours]) for ours, theirs in FLAGS.items() if ours in wanted}
    pairs = [(here, there)] if wanted.get("both") is False else [(here, there), (there, here)]
    for one, other in pairs:
        name = str(wanted.get("name") or f"{one.name}-to-{other.name}")
        if any(lab.peerings.remote_id(peering) == other for peering in lab.peerings.of(one)):
            continue
        properties = {"remoteVirtualNetwork": {"id": str(other)}, **(flags if one is here else {})}
        _put(lab, one.child("virtualNetworkPeerings", name), scope, properties)
