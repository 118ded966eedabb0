# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of private DNS zones to virtual networks."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse, section, tags_of
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import LINK, NAME, VNET, bad, body_of, parse_id
from pgflex_lab.resources.private_dns_zones import VERSIONS, check_conditions

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

RESOLUTION = ("Default", "NxDomainRedirect")


class PrivateDnsLinks:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "PATCH": self.patch, "DELETE": self.delete}
        return [ResourceType(LINK, verbs, api_versions=VERSIONS)]

    def linked(self, zone_id: ResourceId) -> list[ResourceId]:
        """The virtual networks that resolve names of the zone."""
        found = self._lab.store.children(zone_id, LINK)
        return [ResourceId(str(item.properties["virtualNetwork"]["id"])) for item in found]

    @staticmethod
    def view(item: Resource) -> dict[str, Any]:
        return {
            "id": str(item.id),
            "name": item.name,
            "type": LINK,
            "etag": item.internal["etag"],
            "location": "global",
            "tags": item.tags,
            "properties": item.properties,
        }

    def list(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.list(request, LINK, self.view)

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id)))

    def put(self, request: ArmRequest) -> ArmResponse:
        body = body_of(request)
        self._lab.store.require(request.id.parent)
        existing = self._lab.store.get(request.id)
        check_conditions(request, existing)
        if not NAME.fullmatch(request.id.name):
            raise bad("BadRequest", f"The virtual network link name '{request.id.name}' is not valid.")
        if str(body.get("location") or "").lower() != "global":
            raise bad("LocationRequired", "The location property is required for this definition and must be 'global'.")
        given = request.properties()
        text = section(given, "virtualNetwork").get("id")
        if existing is not None and not text:
            text = existing.properties["virtualNetwork"]["id"]
        if not text:
            raise bad("BadRequest", "The property 'virtualNetwork' is required for a virtual network link.")
        vnet_id = parse_id(text, request.id)
        self._lab.networking.check_link(request, f"{VNET}/join/action", vnet_id)
        if existing is not None and existing.properties["virtualNetwork"]["id"].lower() != vnet_id.key:
            raise bad("BadRequest", f"The virtual network of link '{existing.name}' cannot be changed.")
        return self._write(request, vnet_id, given, tags_of(body))

    def patch(self, request: ArmRequest) -> ArmResponse:
        existing = self._lab.store.require(request.id)
        check_conditions(request, existing)
        body = body_of(request)
        given = {**existing.properties, **request.properties()}
        tags = tags_of(body) if "tags" in body else existing.tags
        return self._write(request, ResourceId(str(existing.properties["virtualNetwork"]["id"])), given, tags)

    def _write(
        self, request: ArmRequest, vnet_id: ResourceId, given: dict[str, Any], tags: dict[str, str]
    ) -> ArmResponse:
        registration = bool(given.get("registrationEnabled", False))
        policy = given.get("resolutionPolicy") or "Default"
        if policy not in RESOLUTION:
            raise bad(
                "BadRequest", f"The resolution policy '{policy}' is not valid; known are {', '.join(RESOLUTION)}."
            )

        def work() -> Any:
            with self._lab.store.locked():
                self._check(request.id, vnet_id, registration)
                properties = {
                    "virtualNetwork": {"id": str(vnet_id)},
                    "registrationEnabled": registration,
                    "virtualNetworkLinkState": "Completed",
                    "provisioningState": "Succeeded",
                    "resolutionPolicy": policy,
                }
                internal = {"etag": str(uuid.uuid4())}
                made = Resource(request.id, LINK, "global", tags, properties=properties, internal=internal)
                return self.view(self._lab.store.put(made))

        seconds = self._lab.settings.update_seconds
        return self._lab.private_dns_zones.changed(request, "UpsertVirtualNetworkLink", seconds, work)

    def _check(self, target: ResourceId, vnet_id: ResourceId, registration: bool) -> None:
        """What Azure says only when the operation runs."""
        if self._lab.store.get(target.parent) is None:
            raise self._lab.store.missing(target.parent)
        if self._lab.store.get(vnet_id) is None:
            raise bad("BadRequest", f"The virtual network '{vnet_id}' does not exist.")
        for other in self._lab.store.children(ResourceId("/"), LINK):
            if other.id == target or other.properties["virtualNetwork"]["id"].lower() != vnet_id.key:
                continue
            if other.id.parent.name.lower() == target.parent.name.lower():
                raise bad(
                    "BadRequest",
                    "A virtual network cannot be linked to multiple zones with overlapping namespaces. You tried to "
                    f"link virtual network with '{target.parent.name}' and '{other.id.parent.name}' zones.",
                )
            if registration and other.properties["registrationEnabled"]:
                raise ArmError(
                    409,
                    "Conflict",
                    "A virtual network can only be linked to 1 Private DNS zone(s) with auto-registration enabled; "
                    f"conflicting Private DNS zone is '{other.id.parent.name}'.",
                )

    def delete(self, request: ArmRequest) -> ArmResponse:
        existing = self._lab.store.get(request.id)
        if existing is None:
            return ArmResponse(204)
        check_conditions(request, existing)

        def work() -> None:
            self._lab.store.delete(request.id)

        seconds = self._lab.settings.delete_seconds
        return self._lab.private_dns_zones.changed(request, "DeleteVirtualNetworkLink", seconds, work)
