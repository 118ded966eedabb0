# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private DNS zones, their links, and what Azure would refuse of them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from .._clients import Azure, body, raw, wire
from .._errors import ModuleFailure, doing, service_errors, status_of
from .._ids import ResourceId, parse, same
from .._marks import made_name
from .._parallel import each
from .._permissions import require
from .._server.servers import FlexibleServer
from .._wait import Deadline, Poller
from .private_endpoint import PrivateEndpoints, there
from .virtual_network import VirtualNetwork, network_id, resource_id, wait_for_operation

Row = dict[str, Any]
# Zones belong to no region.
LOCATION = "global"
_LINKS = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
_JOIN = "Microsoft.Network/virtualNetworks/join/action"
# The service has no codes of its own for these two, and says them only when the operation has run.
_LINK_HINTS = {
    "Conflict": "A network registers its machines in one zone only: leave registration_enabled out.",
    "BadRequest": "A network knows one zone of each name: remove its link with the other zone first.",
}


def zone_id(text: str, option: str) -> ResourceId:
    return resource_id(text, option, "Microsoft.Network", "privateDnsZones")


def zone_row(zone: dict[str, Any]) -> Row:
    """A zone as ARM answers it, in this collection's words."""
    properties = zone.get("properties") or {}
    where = parse(zone["id"], "id")
    return {
        "id": zone["id"],
        "name": zone["name"],
        "resource_group": where.resource_group,
        "subscription_id": where.subscription_id,
        "record_sets": properties.get("numberOfRecordSets", 0),
        "virtual_network_links": properties.get("numberOfVirtualNetworkLinks", 0),
        "tags": zone.get("tags") or {},
    }


def network_of(link: dict[str, Any]) -> str:
    return str((link["properties"].get("virtualNetwork") or {}).get("id"))


def link_row(link: dict[str, Any]) -> Row:
    """A link as ARM answers it, in this collection's words."""
    properties = link["properties"]
    return {
        "id": link["id"],
        "name": link["name"],
        "virtual_network_id": network_of(link),
        "registration_enabled": bool(properties.get("registrationEnabled")),
        "state": properties.get("virtualNetworkLinkState"),
        "tags": link.get("tags") or {},
    }


def new_link(zone: ResourceId, network: ResourceId) -> Row:
    """The link that is made for a network when the zone has none for it."""
    name = made_name(network.name, str(network))
    return {
        "id": f"{zone}/virtualNetworkLinks/{name}",
        "name": name,
        "virtual_network_id": str(network),
        "registration_enabled": False,
        "state": "Completed",
        "tags": {},
    }


def zone_of_server(azure: Azure, subscription_id: str, resource_group: str, name: str) -> ResourceId:
    """The zone that a Flexible Server's private name is in: its own, or that of its private endpoint."""
    server = FlexibleServer(azure, subscription_id, resource_group, name)
    with doing(f"read the server {server}"):
        found = server.details()
        own = found["network"]["private_dns_zone_id"]
        ids = [own] if own else [row for one in PrivateEndpoints(azure).of_server(server.id) for row in _zones(one)]
    unique = list({text.strip("/").lower(): text for text in ids}.values())
    if len(unique) == 1:
        return zone_id(unique[0], "server")
    if unique:
        raise ModuleFailure(
            f"The private endpoints of the server {server} have their records in several zones: {', '.join(unique)}.",
            code="SeveralPrivateDnsZones",
            hint="Name one of them in the option zone_id.",
        )
    raise ModuleFailure(
        f"The server {server} has no private DNS zone: it is neither in a virtual network nor has a private endpoint "
        "with a zone.",
        code="NoPrivateDnsZone",
        hint="Name the zone in the option zone_id.",
    )


def _zones(endpoint: Row) -> list[str]:
    found: list[str] = endpoint["private_dns_zone_ids"]
    return [text for text in found if text.lower().endswith("postgres.database.azure.com")]


class Zone:
    """One private DNS zone in the subscription of its own id, with its links."""

    def __init__(self, azure: Azure, where: ResourceId) -> None:
        self.azure = azure
        self.where = where

    def __str__(self) -> str:
        return f"{self.where.name} in {self.where.resource_group}"

    @property
    def address(self) -> tuple[str, str]:
        return self.where.resource_group, self.where.name

    @cached_property
    def client(self) -> Any:
        return self.azure.private_dns(self.where.subscription_id)

    def find(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = there(lambda: self.client.private_zones.get(*self.address, cls=raw))
        return found

    def put(self, tags: dict[str, str], deadline: Deadline, wait: bool) -> Any:
        content = body({"location": LOCATION, "tags": tags})

        def begin() -> Poller:
            poller: Poller = self.client.private_zones.begin_create_or_update(
                *self.address, content, cls=raw, polling=wait
            )
            return poller

        return wait_for_operation(begin, f"write the private DNS zone {self}", deadline, wait)

    def delete(self, deadline: Deadline, wait: bool) -> None:
        def begin() -> Poller:
            poller: Poller = self.client.private_zones.begin_delete(*self.address, polling=wait)
            return poller

        wait_for_operation(begin, f"delete the private DNS zone {self}", deadline, wait)

    def links(self) -> list[dict[str, Any]] | None:
        """As ARM answers them; None where there is no such zone."""
        rows = self.client.virtual_network_links
        return there(lambda: [wire(row) for row in rows.list(*self.address)])

    def put_link(self, row: Row, before: dict[str, Any] | None, deadline: Deadline, wait: bool) -> Any:
        """`before` is the link as it was; what the row does not know of it stays."""
        told = ("provisioningState", "virtualNetworkLinkState")
        kept = {key: value for key, value in ((before or {}).get("properties") or {}).items() if key not in told}
        properties = {
            **kept,
            "virtualNetwork": {"id": row["virtual_network_id"]},
            "registrationEnabled": row["registration_enabled"],
        }
        content = body({"location": LOCATION, "tags": row["tags"], "properties": properties})
        links = self.client.virtual_network_links

        def begin() -> Poller:
            poller: Poller = links.begin_create_or_update(*self.address, row["name"], content, cls=raw, polling=wait)
            return poller

        try:
            return wait_for_operation(begin, f"link the zone {self} with {row['virtual_network_id']}", deadline, wait)
        except ModuleFailure as failure:
            failure.hint = failure.hint or _LINK_HINTS.get(failure.code or "")
            raise

    def delete_link(self, name: str, deadline: Deadline, wait: bool) -> None:
        def begin() -> Poller:
            poller: Poller = self.client.virtual_network_links.begin_delete(*self.address, name, polling=wait)
            return poller

        wait_for_operation(begin, f"delete the link {name} of the zone {self}", deadline, wait)


def check_linkable(zone: Zone, rows: list[Row], new: list[Row]) -> None:
    """Raises for what Azure would refuse half-way: networks that are not there, rights, and links with other zones.

    `rows` are the links to write, `new` those of them that there are none of yet.
    """
    if not rows:
        return
    networks = [
        VirtualNetwork(zone.azure, network_id(row["virtual_network_id"], "virtual_network_ids"), "virtual_network_ids")
        for row in new
    ]
    each(lambda network: network.require(), networks)
    needs = [(str(zone.where), f"{_LINKS}/write"), *((row["virtual_network_id"], _JOIN) for row in rows)]
    require(zone.azure, needs)
    registering = [row["virtual_network_id"] for row in rows if row["registration_enabled"]]
    _check_other_zones(zone, [network.id for network in networks], registering)


def check_unlinkable(zone: Zone, rows: list[Row]) -> None:
    if rows:
        require(zone.azure, [(str(zone.where), f"{_LINKS}/delete")])


def _check_other_zones(zone: Zone, new: list[str], registering: list[str]) -> None:
    """A network is linked with one zone of each name, and registers its machines in one zone at most.

    Looked for in the subscriptions of the zone and of the networks; of zones elsewhere Azure itself tells.
    """
    if not new and not registering:
        return
    subscriptions = {parse(text, "id").subscription_id.lower() for text in (str(zone.where), *new, *registering)}
    others = [found for rows in each(lambda one: _zones_of(zone.azure, one), sorted(subscriptions)) for found in rows]
    for other, links in each(lambda found: _with_links(zone, found, bool(registering)), others):
        for link in links:
            clashing = other.where.name.lower() == zone.where.name.lower() and _among(network_of(link), new)
            if clashing:
                raise ModuleFailure(
                    f"The virtual network {network_of(link)} is linked with another zone {zone.where.name} already: "
                    f"{other.where}.",
                    code="OverlappingZones",
                    hint=_LINK_HINTS["BadRequest"],
                )
            if link["properties"].get("registrationEnabled") and _among(network_of(link), registering):
                raise ModuleFailure(
                    f"The virtual network {network_of(link)} registers its machines in the zone {other.where} already.",
                    code="SecondRegistration",
                    hint=_LINK_HINTS["Conflict"],
                )


def _among(text: str, ids: list[str]) -> bool:
    return any(same(text, one) for one in ids)


def _zones_of(azure: Azure, subscription_id: str) -> list[dict[str, Any]]:
    try:
        return [wire(row) for row in azure.private_dns(subscription_id).private_zones.list()]
    except service_errors() as error:
        # Who may not list them finds out from Azure itself.
        if status_of(error) in (403, 404):
            return []
        raise


def _with_links(zone: Zone, found: dict[str, Any], registering: bool) -> tuple[Zone, list[dict[str, Any]]]:
    """Another zone with its links; they are read only where they can matter."""
    other = Zone(zone.azure, parse(found["id"], "id"))
    properties = found.get("properties") or {}
    namesake = other.where.name.lower() == zone.where.name.lower() and properties.get("numberOfVirtualNetworkLinks")
    registers = registering and properties.get("numberOfVirtualNetworkLinksWithRegistration")
    if same(str(other.where), str(zone.where)) or not (namesake or registers):
        return other, []
    return other, other.links() or []
