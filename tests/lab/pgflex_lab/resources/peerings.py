# SPDX-License-Identifier: GPL-3.0-or-later
"""Peerings of virtual networks: one resource on each side, Connected when both are there."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmRequest, ArmResponse, section
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import (
    NAME,
    PEERING,
    VNET,
    Network,
    bad,
    body_of,
    overlap,
    parse_id,
    prefixes,
    shown,
)
from pgflex_lab.resources.servers import ONPREMISES_TYPE

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

FLAGS = {
    "allowVirtualNetworkAccess": True,
    "allowForwardedTraffic": False,
    "allowGatewayTransit": False,
    "useRemoteGateways": False,
    "doNotVerifyRemoteGateways": False,
    "peerCompleteVnets": True,
}


class Peerings:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "DELETE": self.delete}
        return [ResourceType(PEERING, verbs)]

    def of(self, vnet_id: ResourceId) -> list[Resource]:
        return self._lab.store.children(vnet_id, PEERING)

    # State, which is a matter of both sides

    @staticmethod
    def remote_id(item: Resource) -> ResourceId:
        return ResourceId(str(item.properties["remoteVirtualNetwork"]["id"]))

    def _other_side(self, item: Resource) -> Resource | None:
        found = self.of(self.remote_id(item))
        return next((other for other in found if self.remote_id(other) == item.id.parent), None)

    def state(self, item: Resource) -> str:
        """A pair that was Connected, and lost one side, has to be made again on both."""
        other = self._other_side(item)
        if other is not None and item.internal.get("partner") == other.internal["guid"]:
            return "Connected"
        return "Disconnected" if "partner" in item.internal else "Initiated"

    def _space(self, vnet_id: ResourceId) -> list[str]:
        vnet = self._lab.store.get(vnet_id)
        return list(vnet.properties["addressSpace"]["addressPrefixes"]) if vnet else []

    def view(self, item: Resource) -> dict[str, Any]:
        current = self._space(self.remote_id(item)) or item.internal["remote_space"]
        in_sync = current == item.internal["remote_space"]
        remote = {"addressPrefixes": item.internal["remote_space"]}
        state = self.state(item)
        level = "FullyInSync" if in_sync else "LocalNotInSync"
        properties = {
            **item.properties,
            "peeringState": state,
            "peeringSyncLevel": "RemoteNotInSync" if state == "Initiated" else level,
            "remoteAddressSpace": remote,
            "remoteVirtualNetworkAddressSpace": {"addressPrefixes": current},
            "resourceGuid": item.internal["guid"],
        }
        return shown(item, properties)

    # Checks

    def _draft(self, request: ArmRequest, target: ResourceId, body: dict[str, Any]) -> Resource:
        if not NAME.fullmatch(target.name):
            raise bad("InvalidResourceName", f"Resource name {target.name} is invalid.")
        given = section(body, "properties")
        text = section(given, "remoteVirtualNetwork").get("id")
        if parse_id(text, target) == target.parent:
            raise bad(
                "VnetCannotPeerWithItself", f"Peering {target} cannot reference its own parent virtual network {text}."
            )
        remote = self._lab.networking.referenced(target, text, VNET)
        self._lab.networking.check_link(request, f"{VNET}/peer/action", remote.id)
        before = self._lab.store.get(target)
        self._check_remote(target, remote, before)
        self._check_overlap(target, prefixes(self._space(target.parent), target.parent), remote)
        self._check_peers(target, remote)
        flags = {name: bool(given.get(name, default)) for name, default in FLAGS.items()}
        if flags["useRemoteGateways"] and not self._has_gateway(remote.id):
            raise bad(
                "RemoteVnetHasNoGateways",
                f"Peering {target} cannot have UseRemoteGateways flag set to true because remote virtual network "
                f"{remote.id} referenced by the peering does not have any gateways.",
            )
        internal: dict[str, Any] = dict(before.internal) if before else {"guid": str(uuid.uuid4())}
        internal["remote_space"] = self._space(remote.id)
        properties = {"provisioningState": "Updating", "remoteVirtualNetwork": {"id": str(remote.id)}, **flags}
        return Resource(target, PEERING, properties=properties, internal=internal)

    def _has_gateway(self, vnet_id: ResourceId) -> bool:
        """The lab's gateways are told by the servers outside Azure that they lead to."""
        servers = self._lab.store.children(ResourceId("/"), ONPREMISES_TYPE)
        return any(vnet_id.key in [str(item).lower() for item in one.properties.get("routes") or []] for one in servers)

    def _check_remote(self, target: ResourceId, remote: Resource, before: Resource | None) -> None:
        if before is not None and self.remote_id(before) != remote.id:
            raise bad(
                "ChangingRemoteVirtualNetworkNotAllowed",
                f"Cannot change the remote virtual network of peering {target} to {remote.id}.",
            )
        for other in self.of(target.parent):
            if other.id != target and self.remote_id(other) == remote.id:
                raise bad(
                    "AnotherPeeringAlreadyReferencesRemoteVnet",
                    f"Peering {other.id} already references remote virtual network {remote.id}. Cannot add another "
                    "peering referencing the same remote virtual network.",
                )
        for other in self.of(remote.id):
            if self.remote_id(other) == target.parent and before is None and self.state(other) == "Disconnected":
                raise bad(
                    "RemotePeeringIsDisconnected",
                    f"Cannot create or update peering {target} because remote peering {other.id} referencing parent "
                    f"virtual network {target.parent} is in Disconnected state. Update or re-create the remote peering "
                    "to get it back to Initiated state. Peering gets Disconnected when remote vnet or remote peering "
                    "is deleted and re-created.",
                )

    def _check_overlap(self, peering: ResourceId, space: list[Network], remote: Resource) -> None:
        there = prefixes(self._space(remote.id), remote.id)
        clash = [(one, other) for one in space for other in there if overlap(one, other)]
        if clash:
            raise bad(
                "VnetAddressSpacesOverlap",
                f"Cannot create or update peering {peering}. Virtual networks {peering.parent} and {remote.id} cannot "
                f"be peered because their address spaces overlap. Overlapping address prefixes: "
                f"{clash[0][0]}, {clash[0][1]}",
            )

    def _check_peers(self, peering: ResourceId, remote: Resource) -> None:
        """Two networks that one is peered with have no addresses in common either."""
        there = prefixes(self._space(remote.id), remote.id)
        for item in self.of(peering.parent):
            other = self.remote_id(item)
            space = self._space(other) or item.internal["remote_space"]
            if other != remote.id and any(overlap(one, two) for one in there for two in prefixes(space, other)):
                raise bad(
                    "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet",
                    f"Cannot create or update peering {peering}. Virtual network {peering.parent} cannot be peered "
                    f"with virtual network {remote.id} because the address space of {remote.id} overlaps with the "
                    f"address space of virtual network {other}, which is already peered with {peering.parent}.",
                )

    def check_space(self, vnet_id: ResourceId, space: list[Network]) -> None:
        """A virtual network cannot grow into one it is peered with."""
        for item in self.of(vnet_id):
            remote = self._lab.store.get(self.remote_id(item))
            if remote is not None:
                self._check_overlap(item.id, space, remote)

    def _connect(self, made: Resource) -> None:
        other = self._other_side(made)
        if other is None:
            made.internal.pop("partner", None)
            return
        if self.state(other) == "Disconnected":
            made.internal.pop("partner", None)
            return
        made.internal["partner"] = other.internal["guid"]
        other.internal["partner"] = made.internal["guid"]

    def replace(self, request: ArmRequest, wanted: list[dict[str, Any]]) -> None:
        """The peerings that a virtual network's body lists."""
        made = [
            self._draft(request, request.id.child("virtualNetworkPeerings", str(item.get("name") or "")), item)
            for item in wanted
        ]
        kept = {item.id for item in made}
        for gone in (item for item in self.of(request.id) if item.id not in kept):
            self._lab.store.delete(gone.id)
        for item in made:
            item.properties["provisioningState"] = "Succeeded"
            self._lab.networking.touch(item)
            self._connect(self._lab.store.put(item))

    # Handlers

    def list(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.list(request, PEERING, self.view)

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id)))

    def put(self, request: ArmRequest) -> ArmResponse:
        with self._lab.store.locked():
            self._lab.store.require(request.id.parent)
            made = self._draft(request, request.id, body_of(request))
            answer = self._lab.networking.written(request, made, self.view)
            self._connect(made)
            return ArmResponse(answer.status, self.view(made), answer.headers)

    def delete(self, request: ArmRequest) -> ArmResponse:
        if self._lab.store.get(request.id) is None:
            return ArmResponse(204)
        return self._lab.networking.deleted(request, lambda: None)
