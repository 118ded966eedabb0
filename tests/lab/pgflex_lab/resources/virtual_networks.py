# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual networks."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmRequest, ArmResponse, section, tags_of
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import VNET, bad, body_of, items, overlap, prefixes, shown, texts

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

KEPT = ("dhcpOptions", "encryption", "flowTimeoutInMinutes", "bgpCommunities", "privateEndpointVNetPolicies")


class VirtualNetworks:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "PATCH": self.patch, "DELETE": self.delete}
        return [ResourceType(VNET, verbs)]

    def view(self, item: Resource) -> dict[str, Any]:
        properties = dict(item.properties)
        properties["subnets"] = [self._lab.subnets.view(one) for one in self._lab.subnets.of(item.id)]
        peerings = self._lab.peerings
        properties["virtualNetworkPeerings"] = [peerings.view(one) for one in peerings.of(item.id)]
        return shown(item, properties)

    def list(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.list(request, VNET, self.view)

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id)))

    def patch(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.patch_tags(request, self.view)

    def put(self, request: ArmRequest) -> ArmResponse:
        """A body without `subnets` or `virtualNetworkPeerings` leaves them as they are; a list replaces them."""
        body, given = body_of(request), request.properties()
        with self._lab.store.locked():
            before = self._lab.store.get(request.id)
            made = Resource(request.id, VNET, self._lab.networking.place(request, body, before), tags_of(body))
            made.properties = self._properties(request.id, given, before)
            space = prefixes(made.properties["addressSpace"]["addressPrefixes"], request.id)
            current = self._lab.subnets.of(request.id)
            wanted = current
            if given.get("subnets") is not None:
                wanted = [self._subnet(request, item) for item in items(given, "subnets")]
            kept = {item.id for item in wanted}
            for gone in (item for item in current if item.id not in kept):
                self._lab.subnets.check_unused(gone)
            self._lab.subnets.check(request.id.name, space, wanted)
            self._lab.peerings.check_space(request.id, space)
            for gone in (item for item in current if item.id not in kept):
                self._lab.store.delete(gone.id)
            answer = self._lab.networking.written(request, made, self.view)
            for item in wanted:
                self._lab.store.put(item)
            if given.get("virtualNetworkPeerings") is not None:
                self._lab.peerings.replace(request, items(given, "virtualNetworkPeerings"))
            return ArmResponse(answer.status, self.view(made), answer.headers)

    @staticmethod
    def _properties(target: ResourceId, given: dict[str, Any], before: Resource | None) -> dict[str, Any]:
        addresses = texts(section(given, "addressSpace"), "addressPrefixes")
        if not addresses:
            raise bad(
                "InvalidRequestFormat",
                f"Cannot parse the request: resource {target} needs addressSpace.addressPrefixes.",
            )
        space = prefixes(addresses, target)
        for number, one in enumerate(space):
            if any(overlap(one, other) for other in space[:number]):
                raise bad(
                    "NetcfgInvalidVirtualNetworkSite",
                    f"The address prefixes of virtual network '{target.name}' overlap: {one}.",
                )
        options = section(given, "dhcpOptions")
        texts(options, "dnsServers")
        return {
            "provisioningState": "Updating",
            "resourceGuid": before.properties["resourceGuid"] if before else str(uuid.uuid4()),
            "addressSpace": {"addressPrefixes": addresses},
            **{name: given[name] for name in KEPT if given.get(name) is not None},
            "enableDdosProtection": bool(given.get("enableDdosProtection", False)),
        }

    def _subnet(self, request: ArmRequest, item: dict[str, Any]) -> Resource:
        name = str(item.get("name") or "")
        return self._lab.subnets.draft(request, request.id.child("subnets", name), item)

    def delete(self, request: ArmRequest) -> ArmResponse:
        with self._lab.store.locked():
            if self._lab.store.get(request.id) is None:
                return ArmResponse(204)
            for subnet in self._lab.subnets.of(request.id):
                self._lab.subnets.check_unused(subnet)
            return self._lab.networking.deleted(request, lambda: None)
