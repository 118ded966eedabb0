# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewall rules of both families, and the virtual network rules of Single Servers."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.ids import InvalidResourceId, ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import SUBNET
from pgflex_lab.resources.servers import FLEXIBLE, SINGLE, invalid

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


class Rules:
    """Rules are plain children of a server: put, read, listed, deleted."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "DELETE": self.delete}
        return [
            ResourceType(f"{SINGLE.type}/firewallRules", verbs, api_versions=SINGLE.api_versions, paged=False),
            ResourceType(f"{SINGLE.type}/virtualNetworkRules", verbs, api_versions=SINGLE.api_versions, paged=False),
            ResourceType(f"{FLEXIBLE.type}/firewallRules", verbs, api_versions=FLEXIBLE.api_versions),
        ]

    def add(self, server: Resource, name: str, start: str, end: str) -> Resource:
        properties = {"startIpAddress": start, "endIpAddress": end}
        target = server.id.child("firewallRules", name)
        return self._lab.store.put(Resource(target, f"{server.type}/firewallRules", properties=properties))

    def of(self, server: Resource) -> list[Resource]:
        return self._lab.store.children(server.id, f"{server.type}/firewallRules")

    @staticmethod
    def _view(item: Resource) -> dict[str, Any]:
        return {"properties": dict(item.properties), "id": str(item.id), "name": item.name, "type": item.type}

    def list(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        found = self._lab.store.children(server.id, f"{server.type}/{request.id.types[-1]}")
        return ArmResponse(200, {"value": [self._view(item) for item in found]})

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self._view(self._lab.store.require(request.id)))

    def put(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        if not NAME.fullmatch(request.id.name):
            raise ArmError(
                400,
                "InvalidResourceName",
                f"The name '{request.id.name}' is not valid for a rule of server '{server.name}'.",
            )
        network = request.id.types[-1].lower() == "virtualnetworkrules"
        properties = self._network_rule(request) if network else self._address_rule(request)
        kind = f"{server.type}/{'virtualNetworkRules' if network else 'firewallRules'}"

        def work() -> Any:
            if network:
                self._lab.server_networks.check_rule(server, properties)
            return self._view(self._lab.store.put(Resource(request.id, kind, properties=properties)))

        return self._lab.servers.child_change(request, server, "UpsertRule", self._lab.settings.rule_seconds, work)

    @staticmethod
    def _address_rule(request: ArmRequest) -> dict[str, Any]:
        given = request.properties()
        try:
            start, end = (IPv4Address(str(given.get(name))) for name in ("startIpAddress", "endIpAddress"))
        except AddressValueError:
            raise invalid("startIpAddress or endIpAddress") from None
        if start > end:
            raise invalid("endIpAddress", "The start IP address must not be greater than the end IP address.")
        return {"startIpAddress": str(start), "endIpAddress": str(end)}

    def _network_rule(self, request: ArmRequest) -> dict[str, Any]:
        given = request.properties()
        try:
            subnet = ResourceId.parse(str(given.get("virtualNetworkSubnetId") or "none"))
        except InvalidResourceId:
            raise invalid("virtualNetworkSubnetId") from None
        self._lab.networking.check_link(request, f"{SUBNET}/joinViaServiceEndpoint/action", subnet)
        return {
            "virtualNetworkSubnetId": str(subnet),
            "ignoreMissingVnetServiceEndpoint": bool(given.get("ignoreMissingVnetServiceEndpoint", False)),
            "state": "Ready",
        }

    def delete(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        if self._lab.store.get(request.id) is None:
            return ArmResponse(204)

        def work() -> None:
            self._lab.store.delete(request.id)

        return self._lab.servers.child_change(request, server, "DropRule", self._lab.settings.rule_seconds, work)
