# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags of any resource, through Azure's own API for them: it touches nothing else of the resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

TYPE = "Microsoft.Resources/tags"
MOST = 50


class Tags:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        return [ResourceType(TYPE, {"GET": self.get, "PUT": self.put, "PATCH": self.patch, "DELETE": self.delete})]

    def _resource(self, request: ArmRequest) -> Resource:
        if request.id.name.lower() != "default":
            raise ArmError(400, "InvalidTagsName", "The name of the tags resource must be 'default'.")
        return self._lab.store.require(request.id.scope)

    @staticmethod
    def _view(request: ArmRequest, resource: Resource) -> ArmResponse:
        body = {"id": str(request.id), "name": "default", "type": TYPE, "properties": {"tags": dict(resource.tags)}}
        return ArmResponse(200, body)

    @staticmethod
    def _asked(request: ArmRequest) -> dict[str, str]:
        tags: Any = request.properties().get("tags") or {}
        if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
            raise ArmError(400, "InvalidRequestContent", "The tags have to be a mapping of strings.")
        return tags

    def get(self, request: ArmRequest) -> ArmResponse:
        return self._view(request, self._resource(request))

    def put(self, request: ArmRequest) -> ArmResponse:
        return self._replace(request, self._asked(request))

    def patch(self, request: ArmRequest) -> ArmResponse:
        asked = self._asked(request)
        with self._lab.store.locked():
            there = dict(self._resource(request).tags)
            match (request.body or {}).get("operation"):
                case "Merge":
                    tags = {**there, **asked}
                case "Replace":
                    tags = asked
                case "Delete":
                    tags = {name: value for name, value in there.items() if name not in asked}
                case other:
                    raise ArmError(400, "InvalidTagsPatchOperation", f"The operation '{other}' is not known.")
            return self._replace(request, tags)

    def delete(self, request: ArmRequest) -> ArmResponse:
        self._resource(request).tags = {}
        return ArmResponse(200)

    def _replace(self, request: ArmRequest, tags: dict[str, str]) -> ArmResponse:
        if len(tags) > MOST:
            raise ArmError(400, "TooManyTags", f"The resource has {len(tags)} tags; {MOST} is the most.")
        resource = self._resource(request)
        resource.tags = dict(tags)
        return self._view(request, resource)
