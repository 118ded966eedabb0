#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: role_assignment
short_description: Give a principal a role at many scopes
version_added: "1.0.0"
description:
  - Assigns one role to one principal at any number of scopes, all in one task.
  - The classic migration service needs its application to be Contributor of the source server, the target server, the
    migration resource group and, with private access, the virtual networks.
  - Each assignment has a name that follows from scope, role and principal, so that a repeat is one request per scope.
  - A service principal that was made a moment ago is not known to Azure Resource Manager for up to minutes; the module
    waits for it. An equal assignment that somebody else made counts as present.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  principal_id:
    description:
      - Object id of the user, group or service principal. For an application this is the id of its service principal,
        not its client id.
    type: str
    required: true
  principal_type:
    description:
      - What O(principal_id) is; it lets Azure skip a look-up that fails for principals made a moment ago.
    type: str
    choices:
      - ServicePrincipal
      - User
      - Group
      - ForeignGroup
      - Device
    default: ServicePrincipal
  role:
    description:
      - Name of the role as the portal shows it, its GUID or its id.
    type: str
    default: Contributor
  scopes:
    description:
      - Ids of the resources, resource groups or subscriptions at which the role is given.
      - Assignments at other scopes are left alone.
    type: list
    elements: str
    required: true
  wait_timeout:
    description:
      - Seconds to wait for a new principal to become known to Azure Resource Manager.
    type: int
    default: 300
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._state
seealso:
  - module: pgflex.migrate.entra_application
  - module: pgflex.migrate.role_assignment_info
  - name: Assign Azure roles using the REST API
    description: The requests that the module makes.
    link: https://learn.microsoft.com/azure/role-based-access-control/role-assignments-rest
"""

EXAMPLES = r"""
- name: Let the migration's application work on both servers and the migration resource group
  pgflex.migrate.role_assignment:
    principal_id: "{{ app.entra_application.service_principal_id }}"
    scopes:
      - "{{ source.single_servers[0].id }}"
      - "{{ target.flexible_servers[0].id }}"
      - /subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg

- name: See what would be assigned
  pgflex.migrate.role_assignment:
    principal_id: 44444444-4444-4444-4444-444444444444
    role: Reader
    scopes:
      - /subscriptions/11111111-1111-1111-1111-111111111111
  check_mode: true
  diff: true

- name: Take the role away again
  pgflex.migrate.role_assignment:
    principal_id: 44444444-4444-4444-4444-444444444444
    scopes:
      - /subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg
    state: absent
"""

RETURN = r"""
role_assignment:
  description: The assignments at the scopes asked for; V(null) when there are none.
  returned: success
  type: dict
  contains:
    principal_id:
      description: Object id of the principal.
      type: str
      returned: success
      sample: 44444444-4444-4444-4444-444444444444
    role_definition_id:
      description: Id of the role.
      type: str
      returned: success
      sample: >-
        /subscriptions/11111111-1111-1111-1111-111111111111/providers/Microsoft.Authorization/roleDefinitions/b24988ac-6180-42a0-ab88-20f7382dd24c
    assignments:
      description: >-
        One entry for each scope, with the keys of RV(pgflex.migrate.role_assignment_info#module:role_assignments).
      type: list
      elements: dict
      returned: success
      sample: []
"""

from typing import Any

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._errors import ModuleFailure
from ..module_utils._parallel import each
from ..module_utils._role_assignment import find, predicted, put, role_definition_id
from ..module_utils._spec import AZURE, STATE, ArgumentSpec

SPEC = AZURE.merge(STATE).merge(
    ArgumentSpec(
        options={
            "principal_id": {"type": "str", "required": True},
            "principal_type": {
                "type": "str",
                "choices": ["ServicePrincipal", "User", "Group", "ForeignGroup", "Device"],
                "default": "ServicePrincipal",
            },
            "role": {"type": "str", "default": "Contributor"},
            "scopes": {"type": "list", "elements": "str", "required": True},
            "wait_timeout": {"type": "int", "default": 300},
        }
    )
)


class RoleAssignment(AzureModule):
    result_key = "role_assignment"
    definition_id = ""

    @property
    def thing(self) -> str:
        return f"the role {self.params['role']} of {self.params['principal_id']}"

    def read(self) -> State | None:
        if not self.params["scopes"]:
            raise ModuleFailure("scopes is empty: name at least one resource, resource group or subscription.")
        self.definition_id = role_definition_id(self.azure, self.subscription_id, self.params["role"])
        found = each(self._find, dict.fromkeys(self.params["scopes"]))
        rows = [row for row in found if row is not None]
        return self._state(rows) if rows else None

    def _find(self, scope: str) -> dict[str, Any] | None:
        with self.doing(f"read the role assignments at {scope}"):
            return find(self.azure, scope, self.definition_id, self.params["principal_id"])

    def _state(self, rows: list[dict[str, Any]]) -> State:
        return {
            "principal_id": self.params["principal_id"],
            "role_definition_id": self.definition_id,
            "assignments": sorted(rows, key=lambda row: str(row["scope"]).lower()),
        }

    def desired(self, current: State | None) -> State:
        rows = list(current["assignments"]) if current else []
        there = {row["scope"].strip("/").lower() for row in rows}
        missing = (s for s in dict.fromkeys(self.params["scopes"]) if s.strip("/").lower() not in there)
        principal = (self.params["principal_id"], self.params["principal_type"])
        return self._state(rows + [predicted(scope, self.definition_id, *principal) for scope in missing])

    def apply(self, want: State) -> State:
        return self._state(each(self._put, want["assignments"]))

    def _put(self, row: dict[str, Any]) -> dict[str, Any]:
        with self.doing(f"give {self.params['principal_id']} the role {self.params['role']} at {row['scope']}"):
            return put(self.azure, row, self.params["wait_timeout"])

    def remove(self, current: State) -> None:
        each(
            lambda row: self.azure.authorization().role_assignments.delete_by_id(row["id"].lstrip("/")),
            current["assignments"],
        )


MODULE = RoleAssignment


def main() -> None:
    RoleAssignment.main(SPEC)


if __name__ == "__main__":
    main()
