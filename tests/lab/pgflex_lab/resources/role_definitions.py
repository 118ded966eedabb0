# SPDX-License-Identifier: GPL-3.0-or-later
"""Role definitions, built-in and custom."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.rbac import DEFINITIONS, Role

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class RoleDefinitions:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "DELETE": self.delete}
        return [ResourceType(DEFINITIONS, verbs)]

    @staticmethod
    def _view(request: ArmRequest, role: Role) -> dict[str, Any]:
        subscription = request.id.subscription_id
        root = f"/subscriptions/{subscription}" if subscription else ""
        return {
            "properties": {
                "roleName": role.name,
                "type": "CustomRole" if role.custom else "BuiltInRole",
                "description": role.description,
                "assignableScopes": list(role.assignable_scopes),
                "permissions": [
                    {
                        "actions": list(role.actions),
                        "notActions": list(role.not_actions),
                        "dataActions": [],
                        "notDataActions": [],
                    }
                ],
                "createdOn": "2015-02-02T21:55:09.8806423Z",
                "updatedOn": "2021-11-11T20:13:07.5868087Z",
                "createdBy": None,
                "updatedBy": None,
            },
            "id": f"{root}/providers/{DEFINITIONS}/{role.guid}",
            "type": DEFINITIONS,
            "name": role.guid,
        }

    def list(self, request: ArmRequest) -> ArmResponse:
        text = request.query.get("$filter", "")
        name = re.search(r"roleName\s+eq\s+'((?:[^']|'')*)'", text, re.IGNORECASE)
        kind = re.search(r"type\s+eq\s+'([^']*)'", text, re.IGNORECASE)
        found = list(self._lab.rbac.roles.values())
        if name:
            found = [role for role in found if role.name.lower() == name.group(1).replace("''", "'").lower()]
        if kind:
            found = [role for role in found if role.custom is (kind.group(1).lower() == "customrole")]
        return ArmResponse(200, {"value": [self._view(request, role) for role in found]})

    def get(self, request: ArmRequest) -> ArmResponse:
        role = self._lab.rbac.roles.get(request.id.name.lower())
        if role is None:
            raise missing_role(request.id.name)
        return ArmResponse(200, self._view(request, role))

    def put(self, request: ArmRequest) -> ArmResponse:
        properties = request.properties()
        guid = request.id.name.lower()
        if not GUID.fullmatch(guid):
            raise ArmError(
                400,
                "InvalidRoleDefinitionId",
                f"The role definition ID '{guid}' is not valid. The role definition ID must be a GUID.",
            )
        existing = self._lab.rbac.roles.get(guid)
        if existing is not None and not existing.custom:
            raise ArmError(400, "CannotModifyBuiltInRole", "Built-in roles cannot be modified.")
        name, permissions = properties.get("roleName"), properties.get("permissions")
        scopes = properties.get("assignableScopes")
        if not name or not permissions or not scopes:
            raise ArmError(400, "InvalidRoleDefinition", "A role needs roleName, permissions and assignableScopes.")
        permissions = _objects("permissions", permissions)
        taken = self._lab.rbac.role(str(name))
        if taken is not None and taken.guid != guid:
            raise ArmError(
                409,
                "RoleDefinitionWithSameNameExists",
                f"A custom role with the same name '{name}' already exists in this directory.",
            )
        role = Role(
            guid,
            str(name),
            str(properties.get("description") or ""),
            tuple(action for item in permissions for action in _texts("actions", item.get("actions"))),
            tuple(action for item in permissions for action in _texts("notActions", item.get("notActions"))),
            _texts("assignableScopes", scopes),
            custom=True,
        )
        self._lab.rbac.roles[guid] = role
        return ArmResponse(201, self._view(request, role))

    def delete(self, request: ArmRequest) -> ArmResponse:
        role = self._lab.rbac.roles.get(request.id.name.lower())
        if role is None:
            return ArmResponse(204)
        if not role.custom:
            raise ArmError(400, "CannotModifyBuiltInRole", "Built-in roles cannot be deleted.")
        if any(
            str(item.properties["roleDefinitionId"]).lower().endswith(role.guid)
            for item in self._lab.rbac.assignments()
        ):
            raise ArmError(400, "RoleDefinitionHasAssignments", "There are existing role assignments referencing role.")
        del self._lab.rbac.roles[role.guid]
        return ArmResponse(200, self._view(request, role))


def _objects(name: str, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _unreadable(name, "objects")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _unreadable(name, "strings")
    return tuple(value)


def _unreadable(name: str, of: str) -> ArmError:
    message = f"The request content was invalid and could not be deserialized: '{name}' must be a list of {of}."
    return ArmError(400, "InvalidRequestContent", message)


def missing_role(name: str) -> ArmError:
    return ArmError(
        404,
        "RoleDefinitionDoesNotExist",
        f"The specified role definition with ID '{name.replace('-', '')}' does not exist.",
    )
