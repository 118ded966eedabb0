# SPDX-License-Identifier: GPL-3.0-or-later
"""What the caller may do at a scope: one entry for each of the roles that reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgflex_lab.arm.http import ArmRequest, ArmResponse
from pgflex_lab.arm.router import ResourceType

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

TYPE = "Microsoft.Authorization/permissions"
VERSIONS = ("2015-07-01", "2018-01-01-preview", "2018-07-01", "2022-04-01", "2022-05-01-preview")


class Permissions:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        return [ResourceType(TYPE, {"LIST": self.list}, api_versions=VERSIONS)]

    def list(self, request: ArmRequest) -> ArmResponse:
        roles = self._lab.rbac.roles_at(request.principal_id, request.id.parent)
        permissions = [
            {
                "actions": list(role.actions),
                "notActions": list(role.not_actions),
                "dataActions": [],
                "notDataActions": [],
            }
            for role in roles
        ]
        return ArmResponse(200, {"value": permissions})
