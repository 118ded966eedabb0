# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource groups."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse, tags_of
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.subscriptions import GROUPS, LOCATIONS, short_location

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

NAME = re.compile(r"[-\w.()]{0,89}[-\w()]")


class ResourceGroups:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {
            "LIST": self.list,
            "GET": self.get,
            "HEAD": self.head,
            "PUT": self.put,
            "PATCH": self.patch,
            "DELETE": self.delete,
        }
        return [ResourceType(GROUPS, verbs)]

    def add(self, subscription_id: str, name: str, location: str, tags: dict[str, str] | None = None) -> Resource:
        target = ResourceId(f"/subscriptions/{subscription_id}/resourceGroups/{name}")
        properties = {"provisioningState": "Succeeded"}
        return self._lab.store.put(Resource(target, GROUPS, location, tags or {}, properties=properties))

    @staticmethod
    def _view(item: Resource) -> dict[str, Any]:
        return {
            "id": str(item.id),
            "name": item.name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": item.location,
            "tags": item.tags,
            "properties": item.properties,
        }

    def list(self, request: ArmRequest) -> ArmResponse:
        found = self._lab.store.children(request.id.parent, GROUPS)
        tag = re.search(
            r"tagName\s+eq\s+'([^']+)'(?:\s+and\s+tagValue\s+eq\s+'([^']*)')?", request.query.get("$filter", "")
        )
        if tag:
            name, value = tag.groups()
            found = [item for item in found if name in item.tags and value in (None, item.tags[name])]
        return ArmResponse(200, {"value": [self._view(item) for item in found]})

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self._view(self._lab.store.require(request.id)))

    def head(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(204 if self._lab.store.get(request.id) else 404)

    def put(self, request: ArmRequest) -> ArmResponse:
        body = request.body if isinstance(request.body, dict) else {}
        location = short_location(str(body.get("location") or ""))
        if not NAME.fullmatch(request.id.name):
            raise ArmError(
                400, "InvalidResourceGroup", f"The provided resource group name '{request.id.name}' is invalid."
            )
        if not location:
            raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
        if location not in LOCATIONS:
            raise ArmError(
                400,
                "LocationNotAvailableForResourceGroup",
                f"The provided location '{location}' is not available for resource group. List of available regions is "
                f"'{','.join(LOCATIONS)}'.",
            )
        with self._lab.store.locked():
            existing = self._lab.store.get(request.id)
            if existing is None:
                made = self.add(request.id.subscription_id, request.id.name, location, tags_of(body))
                return ArmResponse(201, self._view(made))
            if existing.location != location:
                raise ArmError(
                    409,
                    "InvalidResourceGroupLocation",
                    f"Invalid resource group location '{location}'. The Resource group already exists in location "
                    f"'{existing.location}'.",
                )
            existing.tags = tags_of(body)
            return ArmResponse(200, self._view(existing))

    def patch(self, request: ArmRequest) -> ArmResponse:
        existing = self._lab.store.require(request.id)
        body = request.body if isinstance(request.body, dict) else {}
        if "tags" in body:
            existing.tags = tags_of(body)
        return ArmResponse(200, self._view(existing))

    def delete(self, request: ArmRequest) -> ArmResponse:
        group = self._lab.store.require(request.id)

        def mark() -> None:
            group.properties["provisioningState"] = "Deleting"

        def work() -> None:
            self._lab.servers.drop_clusters_in(group.id)
            self._lab.store.delete(group.id)

        return self._lab.operations.start(
            request, "DeleteResourceGroup", self._lab.settings.delete_seconds, work, owner=group.id, before=mark
        )
