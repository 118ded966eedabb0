# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Peerings of virtual networks, both directions."""

from __future__ import annotations

from typing import Any

from .._errors import ModuleFailure
from .._ids import same
from .._marks import made_name
from .._permissions import require
from .._wait import Deadline
from .addresses import overlapping
from .virtual_network import VirtualNetwork, address_space

Row = dict[str, Any]
CONNECTED = "Connected"
DISCONNECTED = "Disconnected"
IN_SYNC = "FullyInSync"
# The flags by their options, with Azure's name and what a new peering gets.
FLAGS = {
    "allow_virtual_network_access": ("allowVirtualNetworkAccess", True),
    "allow_forwarded_traffic": ("allowForwardedTraffic", False),
    "allow_gateway_transit": ("allowGatewayTransit", False),
    "use_remote_gateways": ("useRemoteGateways", False),
}
# What Azure says of a peering and does not take; the address spaces are those of the last time.
_TOLD = (
    "peeringState",
    "peeringSyncLevel",
    "provisioningState",
    "resourceGuid",
    "localAddressSpace",
    "localVirtualNetworkAddressSpace",
    "remoteAddressSpace",
    "remoteVirtualNetworkAddressSpace",
    "remoteBgpCommunities",
    "remoteVirtualNetworkEncryption",
)
_PEERINGS = "Microsoft.Network/virtualNetworks/virtualNetworkPeerings"


def remote_of(peering: dict[str, Any]) -> str | None:
    return (peering["properties"].get("remoteVirtualNetwork") or {}).get("id")


def remote_space(peering: dict[str, Any]) -> tuple[str, ...]:
    """The other network's address space, as it is now where Azure says so."""
    properties = peering["properties"]
    found = properties.get("remoteVirtualNetworkAddressSpace") or properties.get("remoteAddressSpace") or {}
    return tuple(found.get("addressPrefixes") or ())


def to_row(peering: dict[str, Any], network_id: str) -> Row:
    """One side as ARM answers it, in this collection's words."""
    properties = peering["properties"]
    return {
        "id": peering["id"],
        "name": peering["name"],
        "virtual_network_id": network_id,
        "remote_virtual_network_id": remote_of(peering),
        "peering_state": properties.get("peeringState"),
        # Older networks do not say, and are in sync.
        "peering_sync_level": properties.get("peeringSyncLevel") or IN_SYNC,
        **{flag: bool(properties.get(wire, default)) for flag, (wire, default) in FLAGS.items()},
    }


class Side:
    """One direction of a peering: what is in one network about the other one."""

    def __init__(self, network: VirtualNetwork, other: VirtualNetwork, name: str | None, flags: Row) -> None:
        self.network = network
        self.other = other
        self.asked_name = name
        self.name = name or made_name(other.where.name, other.id)
        # Only those that the user gave.
        self.flags = flags
        self.found: dict[str, Any] | None = None
        self.peerings: list[dict[str, Any]] = []
        self.space: list[str] = []

    def load(self, network: dict[str, Any] | None) -> Row | None:
        """Takes over what the network says now; a network that is gone has no peerings."""
        self.peerings = (network or {"properties": {}})["properties"].get("virtualNetworkPeerings") or []
        self.space = address_space(network) if network else []
        self.found = next((one for one in self.peerings if same(remote_of(one), self.other.id)), None)
        return self.row

    @property
    def row(self) -> Row | None:
        return to_row(self.found, self.network.id) if self.found else None

    @property
    def broken(self) -> bool:
        """A side that was Connected and lost the other one can only be made again."""
        return bool(self.row and self.row["peering_state"] == DISCONNECTED)

    def wanted(self) -> Row:
        row = self.row
        if row is None:
            self._require_free_name()
            row = {
                "id": f"{self.network.id}/virtualNetworkPeerings/{self.name}",
                "name": self.name,
                "virtual_network_id": self.network.id,
                "remote_virtual_network_id": self.other.id,
                **{flag: default for flag, (_wire, default) in FLAGS.items()},
            }
        return {**row, "peering_state": CONNECTED, "peering_sync_level": IN_SYNC, **self.flags}

    def _require_free_name(self) -> None:
        taken = next((one for one in self.peerings if one["name"].lower() == self.name.lower()), None)
        if taken:
            raise ModuleFailure(
                f"The virtual network {self.network} has a peering {self.name} already, with {remote_of(taken)}.",
                code="NameTaken",
                hint="Leave the options name and remote_name out, or choose others.",
            )

    @property
    def to_write(self) -> bool:
        """Whether a write of this side is needed; one that only waits for the other side is not written."""
        row = self.row
        if row is None or self.broken or any(row[flag] != value for flag, value in self.flags.items()):
            return True
        # A side that is Initiated always calls the other one, which is not there yet, out of sync.
        waits = row["peering_state"] != CONNECTED and row["peering_sync_level"] == "RemoteNotInSync"
        return row["peering_sync_level"] != IN_SYNC and not waits

    @property
    def rank(self) -> int:
        """The order of writes: a gateway is used only while the other side lends it."""
        if self.wanted()["use_remote_gateways"]:
            return 2
        return 0 if self.row and self.row["use_remote_gateways"] else 1

    def needs(self) -> list[tuple[str, str]]:
        """The scopes and actions that writing this side takes."""
        deleting = [(self.network.id, f"{_PEERINGS}/delete")] if self.broken else []
        peer = (self.other.id, "Microsoft.Network/virtualNetworks/peer/action")
        return [*deleting, (self.network.id, f"{_PEERINGS}/write"), peer]

    def write(self, deadline: Deadline, wait: bool) -> None:
        row = self.wanted()
        before = self.found["properties"] if self.found else {}
        kept = {key: value for key, value in before.items() if key not in _TOLD}
        content = {
            **kept,
            "remoteVirtualNetwork": {"id": self.other.id},
            **{wire: row[flag] for flag, (wire, _default) in FLAGS.items()},
        }
        sync = bool(self.row and not self.broken and self.row["peering_sync_level"] != IN_SYNC)
        self.network.put_peering(row["name"], {"properties": content}, deadline, sync=sync, wait=wait)

    def delete(self, deadline: Deadline, wait: bool = True) -> None:
        self.network.delete_peering(str((self.found or {})["name"]), deadline, wait)


def check_writable(sides: list[Side]) -> None:
    """Raises for what Azure would refuse half-way: address spaces that overlap, and rights that are missing."""
    to_write = [side for side in sides if side.to_write]
    if not to_write:
        return
    one, other = sides
    clashes = overlapping(one.space, other.space)
    if clashes:
        pairs = ", ".join(f"{here} and {there}" for here, there in clashes)
        raise ModuleFailure(
            f"The virtual networks {one.network} and {other.network} can not be peered: their address spaces overlap "
            f"({pairs}).",
            code="VnetAddressSpacesOverlap",
        )
    for side, there in ((one, other), (other, one)):
        if side.to_write:
            _check_peers(side, there.space)
    require(one.network.azure, [need for side in to_write for need in side.needs()])


def _check_peers(side: Side, there: list[str]) -> None:
    """Of the networks that one is peered with, no two may have addresses in common either."""
    for peering in side.peerings:
        if same(remote_of(peering), side.other.id):
            continue
        for here, other in overlapping(there, remote_space(peering)):
            raise ModuleFailure(
                f"The virtual networks {side.network} and {side.other} can not be peered: {here} of the latter and "
                f"{other} of {remote_of(peering)}, which {side.network} is peered with, overlap.",
                code="VnetAddressSpaceOverlapsWithAlreadyPeeredVnet",
            )


def check_deletable(sides: list[Side]) -> None:
    if sides:
        require(sides[0].network.azure, [(side.network.id, f"{_PEERINGS}/delete") for side in sides])
