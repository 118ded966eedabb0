#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: role_assignment_info
short_description: Read the role assignments at some scopes
version_added: "1.0.0"
description:
  - Lists the role assignments that are made at exactly the scopes asked for, of one principal or of all.
  - Assignments that are inherited from a resource group or subscription above are not listed.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  scopes:
    description:
      - Ids of the resources, resource groups or subscriptions to look at.
    type: list
    elements: str
    required: true
  principal_id:
    description:
      - Object id of the principal whose assignments are wanted. Left out, those of all principals are listed.
    type: str
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes.info
seealso:
  - module: pgflex.migrate.role_assignment
"""

EXAMPLES = r"""
- name: Who may do what with the target server
  pgflex.migrate.role_assignment_info:
    scopes:
      - "{{ target.flexible_servers[0].id }}"

- name: What one application may do with a resource group
  pgflex.migrate.role_assignment_info:
    principal_id: 44444444-4444-4444-4444-444444444444
    scopes:
      - /subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg
  register: rights

- name: Stop when the application has no role there
  ansible.builtin.assert:
    that: rights.role_assignments | length > 0
"""

RETURN = r"""
role_assignments:
  description: The assignments found, in the order of the scopes.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the assignment.
      type: str
      returned: success
      sample: /subscriptions/.../providers/Microsoft.Authorization/roleAssignments/55555555-5555-5555-5555-555555555555
    name:
      description: Name of the assignment, a GUID.
      type: str
      returned: success
      sample: 55555555-5555-5555-5555-555555555555
    scope:
      description: Id of what the role is given for.
      type: str
      returned: success
      sample: /subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg
    role_definition_id:
      description: Id of the role.
      type: str
      returned: success
      sample: /subscriptions/.../providers/Microsoft.Authorization/roleDefinitions/b24988ac-6180-42a0-ab88-20f7382dd24c
    principal_id:
      description: Object id of the user, group or service principal.
      type: str
      returned: success
      sample: 44444444-4444-4444-4444-444444444444
    principal_type:
      description: What the principal is.
      type: str
      returned: success
      sample: ServicePrincipal
"""

from typing import Any

from ..module_utils._clients import AzureInfoModule
from ..module_utils._parallel import each
from ..module_utils._role_assignment import at_scope
from ..module_utils._spec import AZURE, ArgumentSpec

SPEC = AZURE.merge(
    ArgumentSpec(
        options={
            "scopes": {"type": "list", "elements": "str", "required": True},
            "principal_id": {"type": "str"},
        }
    )
)


class RoleAssignmentInfo(AzureInfoModule):
    result_key = "role_assignments"

    def results(self) -> list[dict[str, Any]]:
        return [row for rows in each(self._at, self.params["scopes"]) for row in rows]

    def _at(self, scope: str) -> list[dict[str, Any]]:
        return at_scope(self.azure, scope, self.params["principal_id"])


MODULE = RoleAssignmentInfo


def main() -> None:
    RoleAssignmentInfo.main(SPEC)


if __name__ == "__main__":
    main()
