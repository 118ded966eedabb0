# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles that a principal has at scopes."""

from __future__ import annotations

import uuid
from typing import Any

from ._clients import Azure, body, raw, wire
from ._errors import ModuleFailure, code_of, service_errors, status_of
from ._ids import role_assignment_name, same
from ._wait import retry_on

# Built-in roles have the same GUID in every tenant; any other name costs one request to look up.
BUILT_IN = {
    "contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "user access administrator": "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
}
# A new service principal is unknown to Resource Manager for seconds to minutes.
REPLICATION_LAG = frozenset({"PrincipalNotFound"})


def role_definition_id(azure: Azure, subscription_id: str, role: str) -> str:
    """The id of a role given by name, GUID or id."""
    if role.startswith("/"):
        return role
    guid = BUILT_IN.get(role.lower(), role if _is_guid(role) else None)
    if guid:
        return f"/subscriptions/{subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{guid}"
    definitions = azure.authorization(subscription_id).role_definitions
    found = list(definitions.list(f"/subscriptions/{subscription_id}", filter=f"roleName eq '{role}'"))
    if not found:
        raise ModuleFailure(
            f"role {role!r} is not a role of subscription {subscription_id}.",
            code="RoleDefinitionDoesNotExist",
            hint="Give the option role a role's name as the portal shows it, its GUID or its id.",
        )
    return str(found[0].id)


def _is_guid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def to_result(found: dict[str, Any]) -> dict[str, Any]:
    """An assignment as ARM answers it, in this collection's words."""
    properties = found["properties"]
    return {
        "id": found["id"],
        "name": found["name"],
        "scope": properties["scope"],
        "role_definition_id": properties["roleDefinitionId"],
        "principal_id": properties["principalId"],
        "principal_type": properties.get("principalType"),
    }


def at_scope(azure: Azure, scope: str, principal_id: str | None = None) -> list[dict[str, Any]]:
    """The assignments that are made at exactly this scope, of one principal or of all; inherited ones are left out."""
    narrow = f"principalId eq '{principal_id}'" if principal_id else "atScope()"
    rows = azure.authorization().role_assignments.list_for_scope(scope, filter=narrow)
    return [row for row in (to_result(wire(model)) for model in rows) if same(row["scope"], scope)]


def find(azure: Azure, scope: str, definition_id: str, principal_id: str) -> dict[str, Any] | None:
    """The assignment at a scope: one GET by its deterministic name, and a listing only where another made it."""
    name = role_assignment_name(scope, definition_id, principal_id)
    try:
        return to_result(azure.authorization().role_assignments.get(scope, name, cls=raw))
    except service_errors() as error:
        if status_of(error) != 404:
            raise
    rows = at_scope(azure, scope, principal_id)
    return next((row for row in rows if same_role(row["role_definition_id"], definition_id)), None)


def same_role(one: str, other: str) -> bool:
    return one.rsplit("/", 1)[-1].lower() == other.rsplit("/", 1)[-1].lower()


def predicted(scope: str, definition_id: str, principal_id: str, principal_type: str) -> dict[str, Any]:
    """The assignment that `put` would make."""
    name = role_assignment_name(scope, definition_id, principal_id)
    return {
        "id": f"/{scope.strip('/')}/providers/Microsoft.Authorization/roleAssignments/{name}",
        "name": name,
        "scope": scope,
        "role_definition_id": definition_id,
        "principal_id": principal_id,
        "principal_type": principal_type,
    }


def put(azure: Azure, row: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Makes the assignment of a `predicted` row, waiting out the directory's lag for `timeout` seconds.

    An equal assignment that another made at the same moment counts as made.
    """
    content = body(
        {
            "properties": {
                "roleDefinitionId": row["role_definition_id"],
                "principalId": row["principal_id"],
                # The type spares Azure the look-up in the directory that a new principal would fail.
                "principalType": row["principal_type"],
            }
        }
    )
    assignments = azure.authorization().role_assignments

    def create() -> dict[str, Any]:
        return to_result(assignments.create(row["scope"], row["name"], content, cls=raw))

    try:
        return retry_on(REPLICATION_LAG, create, timeout=timeout)
    except service_errors() as error:
        if code_of(error) != "RoleAssignmentExists":
            raise
    return find(azure, row["scope"], row["role_definition_id"], row["principal_id"]) or row
