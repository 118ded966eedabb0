# SPDX-License-Identifier: GPL-3.0-or-later
"""Role assignments at any scope, with the replication delay of new principals."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.rbac import ASSIGNMENTS, Role
from pgflex_lab.resources.role_definitions import GUID, missing_role

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

TYPED_LAG_SHARE = 1 / 3
"""How much of the replication delay is left when the caller names the principal's type."""


class RoleAssignments:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "DELETE": self.delete}
        return [ResourceType(ASSIGNMENTS, verbs)]

    def add(
        self, scope: ResourceId, name: str, role: Role, principal_id: str, kind: str, by: str, **more: Any
    ) -> Resource:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
        definition = f"/providers/Microsoft.Authorization/roleDefinitions/{role.guid}"
        if scope.subscription_id:
            definition = f"/subscriptions/{scope.subscription_id}{definition}"
        properties = {
            "roleDefinitionId": definition,
            "principalId": principal_id,
            "principalType": kind,
            "scope": str(scope),
            "condition": more.get("condition"),
            "conditionVersion": more.get("conditionVersion"),
            "createdOn": now,
            "updatedOn": now,
            "createdBy": by,
            "updatedBy": by,
            "delegatedManagedIdentityResourceId": None,
            "description": more.get("description"),
        }
        target = scope.extension("Microsoft.Authorization", "roleAssignments", name)
        made_at = self._lab.clock.monotonic()
        return self._lab.store.put(Resource(target, ASSIGNMENTS, properties=properties, internal={"made_at": made_at}))

    @staticmethod
    def _view(item: Resource) -> dict[str, Any]:
        return {"properties": item.properties, "id": str(item.id), "type": ASSIGNMENTS, "name": item.name}

    # Handlers

    def get(self, request: ArmRequest) -> ArmResponse:
        item = self._lab.store.get(request.id)
        if item is None:
            raise ArmError(404, "RoleAssignmentNotFound", f"The role assignment '{request.id.name}' is not found.")
        return ArmResponse(200, self._view(item))

    def delete(self, request: ArmRequest) -> ArmResponse:
        item = self._lab.store.get(request.id)
        if item is None:
            return ArmResponse(204)
        self._lab.store.delete(item.id)
        return ArmResponse(200, self._view(item))

    def list(self, request: ArmRequest) -> ArmResponse:
        scope = request.id.parent
        self._require_scope(scope)
        text = request.query.get("$filter", "")
        principal = re.search(r"(?:principalId\s+eq\s+|assignedTo\()\s*'([^']+)'", text, re.IGNORECASE)
        exact = "atscope()" in text.lower()
        found = [
            item
            for item in self._lab.rbac.assignments()
            if self._at(item).contains(scope) or (not exact and scope.contains(self._at(item)))
        ]
        if principal:
            found = [item for item in found if item.properties["principalId"].lower() == principal.group(1).lower()]
        return ArmResponse(200, {"value": [self._view(item) for item in found]})

    @staticmethod
    def _at(item: Resource) -> ResourceId:
        return ResourceId(str(item.properties["scope"]))

    def put(self, request: ArmRequest) -> ArmResponse:
        properties = request.properties()
        scope = request.id.scope
        self._require_scope(scope)
        name = request.id.name.lower()
        if not GUID.fullmatch(name):
            raise ArmError(
                400,
                "InvalidRoleAssignmentId",
                f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.",
            )
        role = self._role(str(properties.get("roleDefinitionId") or ""))
        principal_id = str(properties.get("principalId") or "").lower()
        kind = self._principal_type(principal_id, properties.get("principalType"))
        with self._lab.store.locked():
            existing = self._lab.store.get(request.id)
            if existing is not None:
                return self._repeat(existing, role, principal_id)
            self._refuse_equal(scope, role, principal_id)
            more = {key: properties.get(key) for key in ("condition", "conditionVersion", "description")}
            made = self.add(scope, name, role, principal_id, kind, request.principal_id, **more)
        return ArmResponse(201, self._view(made))

    # Checks

    def _require_scope(self, scope: ResourceId) -> None:
        if scope.segments:
            self._lab.store.require(scope)

    def _role(self, definition: str) -> Role:
        if not definition:
            raise ArmError(
                400,
                "InvalidRoleDefinitionId",
                "The role definition ID '' is not valid. The role definition ID must be a GUID.",
            )
        guid = definition.rstrip("/").rsplit("/", 1)[-1].lower()
        role = self._lab.rbac.roles.get(guid)
        if role is None:
            raise missing_role(guid)
        return role

    def _principal_type(self, principal_id: str, stated: Any) -> str:
        if not GUID.fullmatch(principal_id):
            raise ArmError(
                400,
                "InvalidPrincipalId",
                f"The Principal ID '{principal_id}' is not valid. Principal ID must be a GUID.",
            )
        share = TYPED_LAG_SHARE if stated else 1.0
        kind = self._lab.directory.principal_type(principal_id, lag_share=share)
        if kind is None:
            raise ArmError(
                400,
                "PrincipalNotFound",
                f"Principal {principal_id.replace('-', '')} does not exist in the directory "
                f"{self._lab.directory.tenant_id}. Check that you have the correct principal ID. If you are creating "
                "this "
                "principal and then immediately assigning a role, this error might be related to a replication delay. "
                "In "
                "this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, "
                "or "
                "Group.  See https://aka.ms/docs-principaltype",
            )
        if stated and str(stated).lower() != kind.lower():
            raise ArmError(
                400,
                "UnmatchedPrincipalType",
                f"The PrincipalId '{principal_id.replace('-', '')}' has type '{kind}' , which is different from "
                "specified "
                f"PrinciaplType '{stated}'.",
            )
        return kind

    def _repeat(self, existing: Resource, role: Role, principal_id: str) -> ArmResponse:
        same_role = str(existing.properties["roleDefinitionId"]).lower().endswith(role.guid)
        if same_role and existing.properties["principalId"] == principal_id:
            return ArmResponse(200, self._view(existing))
        raise ArmError(
            400,
            "RoleAssignmentUpdateNotPermitted",
            "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
        )

    def _refuse_equal(self, scope: ResourceId, role: Role, principal_id: str) -> None:
        for item in self._lab.rbac.assignments():
            if (
                self._at(item) == scope
                and item.properties["principalId"] == principal_id
                and str(item.properties["roleDefinitionId"]).lower().endswith(role.guid)
            ):
                raise ArmError(
                    409,
                    "RoleAssignmentExists",
                    "The role assignment already exists. The ID of the existing role assignment is "
                    f"{item.name.replace('-', '')}.",
                )
