# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what: role definitions, assignments in the store, and the check every call goes through."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from pgflex_lab.arm.http import ArmError
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource, Store
from pgflex_lab.directory import Caller, Directory
from pgflex_lab.settings import Clock

ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"
DEFINITIONS = "Microsoft.Authorization/roleDefinitions"
ITSELF = Caller("lab", "lab")
"""Who writes what seeds declare; nobody can sign in as it."""


@dataclass(frozen=True)
class Role:
    guid: str
    name: str
    description: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()
    assignable_scopes: tuple[str, ...] = ("/",)
    custom: bool = False

    def permits(self, action: str) -> bool:
        return any(_matches(item, action) for item in self.actions) and not any(
            _matches(item, action) for item in self.not_actions
        )


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.IGNORECASE)


def _matches(pattern: str, action: str) -> bool:
    return _pattern(pattern).fullmatch(action) is not None


COMMON_READS = (
    "Microsoft.Authorization/*/read",
    "Microsoft.Insights/alertRules/*",
    "Microsoft.ResourceHealth/availabilityStatuses/read",
    "Microsoft.Resources/deployments/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Support/*",
)

BUILT_IN = (
    Role(
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
        "Owner",
        "Grants full access to manage all resources, including the ability to assign roles in Azure RBAC.",
        ("*",),
    ),
    Role(
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        "Grants full access to manage all resources, but does not allow you to assign roles in Azure RBAC, manage "
        "assignments in Azure Blueprints, or share image galleries.",
        ("*",),
        (
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
            "Microsoft.Blueprint/blueprintAssignments/write",
            "Microsoft.Blueprint/blueprintAssignments/delete",
            "Microsoft.Compute/galleries/share/action",
            "Microsoft.Purview/consents/write",
            "Microsoft.Purview/consents/delete",
        ),
    ),
    Role(
        "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "Reader",
        "View all resources, but does not allow you to make any changes.",
        ("*/read",),
    ),
    Role(
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        "User Access Administrator",
        "Lets you manage user access to Azure resources.",
        ("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"),
    ),
    Role(
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        "Role Based Access Control Administrator",
        "Manage access to Azure resources by assigning roles using Azure RBAC.",
        (
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
            "*/read",
            "Microsoft.Support/*",
        ),
    ),
    Role(
        "4d97b98b-1d4f-4787-a291-c67834d212e7",
        "Network Contributor",
        "Lets you manage networks, but not access to them.",
        (*COMMON_READS, "Microsoft.Network/*"),
    ),
    Role(
        "b12aa53e-6015-4669-85d0-8515ebb3ae7f",
        "Private DNS Zone Contributor",
        "Lets you manage private DNS zone resources, but not the virtual networks they are linked to.",
        (
            *COMMON_READS,
            "Microsoft.Network/privateDnsZones/*",
            "Microsoft.Network/privateDnsOperationResults/*",
            "Microsoft.Network/privateDnsOperationStatuses/*",
            "Microsoft.Network/virtualNetworks/read",
            "Microsoft.Network/virtualNetworks/join/action",
        ),
    ),
)


class Rbac:
    """`allows` answers for any scope; `check` raises ARM's 403."""

    def __init__(self, store: Store, directory: Directory, clock: Clock, role_lag: float = 0.0) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._lag = role_lag
        self.roles: dict[str, Role] = {role.guid: role for role in BUILT_IN}

    def role(self, reference: str) -> Role | None:
        """By name, guid or the id of the definition."""
        guid = reference.rstrip("/").rsplit("/", 1)[-1].lower()
        found = self.roles.get(guid)
        return found or next((item for item in self.roles.values() if item.name.lower() == reference.lower()), None)

    def assignments(self) -> list[Resource]:
        return self._store.children(ResourceId("/"), ASSIGNMENTS)

    def _effective(self, principal_id: str) -> list[tuple[Role, ResourceId]]:
        found = []
        now = self._clock.monotonic()
        for item in self.assignments():
            if str(item.properties["principalId"]).lower() != principal_id.lower():
                continue
            if now < float(item.internal.get("made_at", 0.0)) + self._clock.scaled(self._lag):
                continue
            role = self.role(str(item.properties["roleDefinitionId"]))
            if role is not None:
                found.append((role, ResourceId(str(item.properties["scope"]))))
        return found

    def allows(self, principal_id: str, action: str, scope: str | ResourceId) -> bool:
        if principal_id == ITSELF.object_id:
            return True
        return any(role.permits(action) for role in self.roles_at(principal_id, scope))

    def roles_at(self, principal_id: str, scope: str | ResourceId) -> list[Role]:
        """What is assigned at the scope or above it."""
        target = scope if isinstance(scope, ResourceId) else ResourceId.parse(scope)
        return [role for role, at in self._effective(principal_id) if at.contains(target)]

    def sees_something_in(self, principal_id: str, scope: ResourceId) -> bool:
        """Has the caller any role at, above or below the scope?"""
        return any(at.contains(scope) or scope.contains(at) for _other, at in self._effective(principal_id))

    def check(self, caller: Caller, action: str, scope: ResourceId) -> None:
        if not self.allows(caller.object_id, action, scope):
            raise forbidden(caller, action, scope)


def forbidden(caller: Caller, action: str, scope: ResourceId) -> ArmError:
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{caller.app_id}' with object id '{caller.object_id}' does not have authorization to perform "
        "action "
        f"'{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your "
        "credentials.",
    )
