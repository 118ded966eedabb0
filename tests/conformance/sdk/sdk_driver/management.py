# SPDX-License-Identifier: GPL-3.0-or-later
"""azure-mgmt-authorization 3 and 4, azure-mgmt-resource 25 and 26."""

from __future__ import annotations

import uuid

from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.v2022_04_01 import AuthorizationManagementClient as NewestAuthorization
from azure.mgmt.authorization.v2022_04_01.models import RoleAssignmentCreateParameters
from azure.mgmt.resource.resources import ResourceManagementClient, models

from sdk_driver.judge import Judge, Target

READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


def authorization(lab: Target) -> Judge:
    judge = Judge("azure-mgmt-authorization")
    client = lab.client(NewestAuthorization, judge)
    definitions, assignments = client.role_definitions, client.role_assignments
    scope, subscription = lab.group_id, f"/subscriptions/{lab.subscription}"
    found = judge.rows("role_definitions.list", definitions.list, subscription, filter="roleName eq 'Reader'")
    judge.get("role_definitions.get", definitions.get, subscription, READER)
    judge.get("role_definitions.get_by_id", definitions.get_by_id, found[0].id if found else "")
    everyone = judge.rows("role_assignments.list_for_subscription", assignments.list_for_subscription)
    principal = next((row.principal_id for row in everyone), "")
    content = RoleAssignmentCreateParameters(
        role_definition_id=found[0].id if found else "", principal_id=principal, principal_type="ServicePrincipal"
    )
    name = str(uuid.uuid4())
    made = judge.get("role_assignments.create", assignments.create, scope, name, content)
    judge.get("role_assignments.get", assignments.get, scope, name)
    judge.get("role_assignments.get_by_id", assignments.get_by_id, made.id if made else "")
    judge.rows(
        "role_assignments.list_for_scope", assignments.list_for_scope, scope, filter=f"principalId eq '{principal}'"
    )
    judge.rows("role_assignments.list_for_resource_group", assignments.list_for_resource_group, lab.group)
    server = (lab.group, "Microsoft.DBforPostgreSQL", "servers", "shop-single")
    judge.rows("role_assignments.list_for_resource", assignments.list_for_resource, *server)
    again = (assignments.create, scope, str(uuid.uuid4()), content)
    judge.refused("role_assignments.create of the same", "RoleAssignmentExists", 409, *again)
    judge.get("role_assignments.delete", assignments.delete, scope, name)
    default = lab.client(AuthorizationManagementClient, judge)
    judge.rows(
        "role_assignments.list_for_scope by default", default.role_assignments.list_for_scope, scope, filter="atScope()"
    )
    return judge


def resource(lab: Target) -> Judge:
    judge = Judge("azure-mgmt-resource")
    client = lab.client(ResourceManagementClient, judge)
    providers, groups, tags = client.providers, client.resource_groups, client.tags
    judge.rows("providers.list", providers.list)
    judge.get("providers.get", providers.get, "Microsoft.DBforPostgreSQL")
    judge.get("providers.register", providers.register, "Microsoft.DataMigration")
    judge.get("providers.unregister", providers.unregister, "Microsoft.KeyVault")
    name = f"group-{lab.tag}"
    content = models.ResourceGroup(location="eastus", tags={"made": "by-sdk"})
    judge.get("resource_groups.create_or_update", groups.create_or_update, name, content)
    judge.get("resource_groups.get", groups.get, name)
    judge.rows("resource_groups.list", groups.list)
    with judge.operation("resource_groups.check_existence"):
        assert groups.check_existence(name) and not groups.check_existence(f"{name}-none")
    patch = models.ResourceGroupPatchable(tags={"made": "over"})
    judge.get("resource_groups.update", groups.update, name, patch)
    judge.rows("resources.list", client.resources.list)
    judge.rows("resources.list_by_resource_group", client.resources.list_by_resource_group, lab.group)
    scope = f"{lab.postgresql}/servers/shop-single"
    merge = models.TagsPatchResource(operation="Merge", properties=models.Tags(tags={lab.tag: "yes"}))
    judge.get("tags.get_at_scope", tags.get_at_scope, scope)
    judge.wait("tags.begin_update_at_scope", tags.begin_update_at_scope, scope, merge)
    judge.wait("resource_groups.begin_delete", groups.begin_delete, name)
    judge.refused("resource_groups.get of none", "ResourceGroupNotFound", 404, groups.get, name)
    return judge


def judges() -> list[Judge]:
    lab = Target()
    return [authorization(lab), resource(lab)]
