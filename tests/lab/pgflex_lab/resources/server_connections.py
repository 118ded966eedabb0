# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers of both families know of the private endpoints that lead to them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmRequest, ArmResponse, section
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import bad
from pgflex_lab.resources.servers import FLEXIBLE, SINGLE

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

GROUP_ID = "postgresqlServer"
ZONE_NAME = "privatelink.postgres.database.azure.com"
DECISIONS = ("Approved", "Rejected", "Pending")


class ServerConnections:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "DELETE": self.delete}
        links = {"LIST": self.list_links, "GET": self.get_link}
        return [
            row
            for family in (SINGLE, FLEXIBLE)
            for row in (
                ResourceType(
                    f"{family.type}/privateEndpointConnections",
                    verbs,
                    api_versions=family.api_versions,
                    paged=family is FLEXIBLE,
                ),
                ResourceType(
                    f"{family.type}/privateLinkResources",
                    links,
                    api_versions=family.api_versions,
                    paged=family is FLEXIBLE,
                ),
            )
        ]

    def add(self, server: Resource, endpoint: Resource, *, approved: bool) -> Resource:
        target = server.id.child("privateEndpointConnections", f"{endpoint.name}-{uuid.uuid4()}")
        state = {
            "status": "Approved" if approved else "Pending",
            "description": "Auto-Approved" if approved else "",
            "actionsRequired": "None",
        }
        properties = {
            "privateEndpoint": {"id": str(endpoint.id)},
            "privateLinkServiceConnectionState": state,
            "provisioningState": "Ready" if server.type == SINGLE.type else "Succeeded",
            **({"groupIds": [GROUP_ID]} if server.type == FLEXIBLE.type else {}),
        }
        return self._lab.store.put(Resource(target, f"{server.type}/privateEndpointConnections", properties=properties))

    def of(self, server: Resource) -> list[Resource]:
        """Those whose endpoint is still there; it may have gone with its resource group."""
        found = self._lab.store.children(server.id, f"{server.type}/privateEndpointConnections")
        return [item for item in found if self._lab.store.get(ResourceId(item.properties["privateEndpoint"]["id"]))]

    @staticmethod
    def view(item: Resource) -> dict[str, Any]:
        return {"id": str(item.id), "name": item.name, "type": item.type, "properties": dict(item.properties)}

    def inline(self, server: Resource) -> list[dict[str, Any]]:
        """As the server itself shows them."""
        if server.type == FLEXIBLE.type:
            return [self.view(item) for item in self.of(server)]
        keys = ("privateEndpoint", "privateLinkServiceConnectionState", "provisioningState")
        return [
            {"id": str(item.id), "properties": {key: item.properties[key] for key in keys}} for item in self.of(server)
        ]

    @staticmethod
    def _link(server_id: ResourceId, server_type: str) -> dict[str, Any]:
        return {
            "id": f"{server_id}/privateLinkResources/{GROUP_ID}",
            "name": GROUP_ID,
            "type": f"{server_type}/privateLinkResources",
            "properties": {
                "groupId": GROUP_ID,
                "requiredMembers": [GROUP_ID],
                "requiredZoneNames": [ZONE_NAME],
            },
        }

    # Handlers

    def list(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        return ArmResponse(200, {"value": [self.view(item) for item in self.of(server)]})

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id)))

    def put(self, request: ArmRequest) -> ArmResponse:
        """Approves or rejects; connections are made from the endpoint's side only."""
        server = self._lab.servers.require(request.id.parent)
        item = self._lab.store.require(request.id)
        wanted = section(request.properties(), "privateLinkServiceConnectionState")
        if wanted.get("status") not in DECISIONS:
            raise bad("InvalidParameterValue", f"The status of a connection must be one of {', '.join(DECISIONS)}.")
        state = {"actionsRequired": "None", "description": "", **wanted}

        def work() -> Any:
            item.properties["privateLinkServiceConnectionState"] = state
            return self.view(item)

        seconds = self._lab.settings.rule_seconds
        return self._lab.servers.child_change(request, server, "ApprovePrivateEndpoint", seconds, work)

    def delete(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        if self._lab.store.get(request.id) is None:
            return ArmResponse(204)

        def work() -> None:
            self._lab.store.delete(request.id)

        seconds = self._lab.settings.rule_seconds
        return self._lab.servers.child_change(request, server, "DropPrivateEndpoint", seconds, work)

    def list_links(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        return ArmResponse(200, {"value": [self._link(server.id, server.type)]})

    def get_link(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        if request.id.name.lower() != GROUP_ID.lower():
            raise self._lab.store.missing(request.id)
        return ArmResponse(200, self._link(server.id, server.type))
