# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorization, role assignments and definitions, providers, groups, subscriptions."""

from __future__ import annotations

import time
from uuid import uuid4

import jwt
import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.authorization.models import RoleAssignmentCreateParameters, RoleDefinition
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.resources.models import ResourceGroup
from msgraph import GraphServiceClient
from msgraph.generated.models.application import Application
from msgraph.generated.models.service_principal import ServicePrincipal

from pgflex_lab.process import Running
from sdk_clients import GROUP, Clients

CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


def new_principal(clients: Clients) -> str:
    async def work(graph: GraphServiceClient) -> str:
        made = await graph.applications.post(Application(display_name=f"app {uuid4()}"))
        assert made
        principal = await graph.service_principals.post(ServicePrincipal(app_id=made.app_id))
        assert principal
        return str(principal.id)

    return clients.graph(work)


def known_principal(clients: Clients) -> str:
    principal = new_principal(clients)
    time.sleep(1.6)
    return principal


def wanted(clients: Clients, principal: str, role: str = CONTRIBUTOR, kind: str | None = None) -> object:
    definition = f"/subscriptions/{clients.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    return RoleAssignmentCreateParameters(role_definition_id=definition, principal_id=principal, principal_type=kind)


def code(caught: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str | None]:
    return caught.value.status_code, caught.value.error.code if caught.value.error else None


def test_a_new_principal_is_unknown_for_a_while(clients: Clients) -> None:
    principal = new_principal(clients)
    api = clients.authorization.role_assignments
    with pytest.raises(HttpResponseError) as caught:
        api.create(clients.group_id, str(uuid4()), wanted(clients, principal))
    assert code(caught) == (400, "PrincipalNotFound")
    time.sleep(1.6)
    assert api.create(clients.group_id, str(uuid4()), wanted(clients, principal)).principal_id == principal


def test_a_stated_type_shortens_the_wait_and_must_be_right(clients: Clients) -> None:
    principal = new_principal(clients)
    api = clients.authorization.role_assignments
    time.sleep(0.6)
    assert api.create(clients.group_id, str(uuid4()), wanted(clients, principal, kind="ServicePrincipal")).id
    with pytest.raises(HttpResponseError) as caught:
        api.create(clients.group_id, str(uuid4()), wanted(clients, principal, READER, kind="User"))
    assert code(caught) == (400, "UnmatchedPrincipalType")


def test_an_equal_assignment_exists_only_once(clients: Clients) -> None:
    principal, name = known_principal(clients), str(uuid4())
    api = clients.authorization.role_assignments
    made = api.create(clients.group_id, name, wanted(clients, principal))
    assert api.create(clients.group_id, name, wanted(clients, principal)).id == made.id
    with pytest.raises(ResourceExistsError) as equal:
        api.create(clients.group_id, str(uuid4()), wanted(clients, principal))
    assert code(equal) == (409, "RoleAssignmentExists")
    with pytest.raises(HttpResponseError) as other:
        api.create(clients.group_id, name, wanted(clients, principal, READER))
    assert code(other) == (400, "RoleAssignmentUpdateNotPermitted")
    assert api.get(clients.group_id, name).principal_type == "ServicePrincipal"
    assert api.delete(clients.group_id, name).id == made.id
    assert api.delete(clients.group_id, name) is None


def test_assignments_are_listed_by_scope_and_principal(clients: Clients) -> None:
    principal = known_principal(clients)
    api = clients.authorization.role_assignments
    server = f"{clients.group_id}/providers/Microsoft.DBforPostgreSQL/servers/shop-single"
    api.create(server, str(uuid4()), wanted(clients, principal))
    api.create(clients.group_id, str(uuid4()), wanted(clients, principal, READER))

    def count(scope: str, text: str) -> int:
        return len(list(api.list_for_scope(scope, filter=text)))

    assert count(server, f"principalId eq '{principal}'") == 2
    assert count(server, f"assignedTo('{principal}')") == 2
    assert count(clients.group_id, f"principalId eq '{principal}'") == 2
    assert count(clients.group_id, f"atScope() and assignedTo('{principal}')") == 1
    assert len([item for item in api.list_for_subscription() if item.principal_id == principal]) == 2


@pytest.mark.parametrize(
    ("role", "principal", "name", "expected"),
    [
        (str(uuid4()), None, str(uuid4()), (404, "RoleDefinitionDoesNotExist")),
        (CONTRIBUTOR, "nobody", str(uuid4()), (400, "InvalidPrincipalId")),
        (CONTRIBUTOR, str(uuid4()), str(uuid4()), (400, "PrincipalNotFound")),
        (CONTRIBUTOR, None, "not-a-guid", (400, "InvalidRoleAssignmentId")),
    ],
    ids=["unknown-role", "no-principal-id", "unknown-principal", "no-name"],
)
def test_bad_assignments(
    clients: Clients, role: str, principal: str | None, name: str, expected: tuple[int, str]
) -> None:
    mine = next(iter(clients.authorization.role_assignments.list_for_subscription())).principal_id
    with pytest.raises(HttpResponseError) as caught:
        clients.authorization.role_assignments.create(clients.group_id, name, wanted(clients, principal or mine, role))
    assert code(caught) == expected


def test_definitions_by_name_and_id(clients: Clients) -> None:
    api = clients.authorization.role_definitions
    (found,) = api.list(clients.group_id, filter="roleName eq 'Contributor'")
    assert found.name == CONTRIBUTOR and found.permissions[0].actions == ["*"]
    assert api.get_by_id(found.id).role_name == "Contributor"
    assert api.get_by_id(f"/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR}").role_name == "Contributor"
    with pytest.raises(ResourceNotFoundError):
        api.get(clients.group_id, str(uuid4()))


def test_a_custom_role_gives_what_it_names(clients: Clients) -> None:
    guid = str(uuid4())
    role = RoleDefinition(
        role_name=f"Migration Runner {guid}",
        role_type="CustomRole",
        assignable_scopes=[clients.group_id],
        permissions=[{"actions": ["Microsoft.DBforPostgreSQL/flexibleServers/read"]}],
    )
    api = clients.authorization.role_definitions
    assert api.create_or_update(clients.group_id, guid, role).role_type == "CustomRole"
    stranger = Clients.of(clients.lab, "stranger")
    with pytest.raises(HttpResponseError):
        stranger.flexible.servers.get(GROUP, "shop-flex")
    principal = object_id(stranger)
    name = str(uuid4())
    assignments = clients.authorization.role_assignments
    assignments.create(clients.group_id, name, wanted(clients, principal, guid))
    assert stranger.flexible.servers.get(GROUP, "shop-flex").name == "shop-flex"
    with pytest.raises(HttpResponseError):
        stranger.single.servers.get(GROUP, "shop-single")
    assert [item.name for item in stranger.flexible.servers.list_by_subscription()] == ["shop-flex"]
    assignments.delete(clients.group_id, name)
    assert api.delete(clients.group_id, guid).name == guid


def object_id(clients: Clients) -> str:
    token = clients.credential.get_token(f"{clients.lab.url}/.default").token
    return str(jwt.decode(token, options={"verify_signature": False})["oid"])


def test_refusals_are_in_arms_words(clients: Clients) -> None:
    stranger = Clients.of(clients.lab, "stranger")
    with pytest.raises(HttpResponseError) as caught:
        stranger.flexible.servers.get(GROUP, "shop-flex")
    assert code(caught) == (403, "AuthorizationFailed")
    scope = f"{clients.group_id}/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-flex"
    assert caught.value.error and caught.value.error.message == (
        f"The client '{stranger.client_id}' with object id '{object_id(stranger)}' does not have authorization to "
        "perform "
        f"action 'Microsoft.DBforPostgreSQL/flexibleServers/read' over scope '{scope}' or the scope is invalid. If "
        "access "
        "was recently granted, please refresh your credentials."
    )


def test_who_may_what(clients: Clients) -> None:
    limited, reader = Clients.of(clients.lab, "limited"), Clients.of(clients.lab, "reader")
    assert limited.single.servers.get(GROUP, "shop-single").name == "shop-single"
    with pytest.raises(HttpResponseError, match="roleAssignments/write"):
        limited.authorization.role_assignments.create(
            clients.group_id, str(uuid4()), wanted(clients, object_id(limited), READER)
        )
    assert len(list(reader.single.configurations.list_by_server(GROUP, "shop-single"))) > 100
    with pytest.raises(HttpResponseError, match="servers/restart/action"):
        reader.single.servers.begin_restart(GROUP, "shop-single")
    with pytest.raises(HttpResponseError, match=r"Microsoft\.DataMigration/register/action"):
        reader.resources.providers.register("Microsoft.DataMigration")
    assert [item.name for item in reader.resources.resource_groups.list()] == [GROUP]
    with pytest.raises(HttpResponseError, match="resourceGroups/read"):
        list(Clients.of(clients.lab, "stranger").resources.resource_groups.list())


def test_registration_takes_a_while_and_is_required(clients: Clients) -> None:
    api = clients.resources.providers
    assert api.get("Microsoft.Compute").registration_state == "NotRegistered"
    assert api.register("Microsoft.Compute").registration_state == "Registering"
    deadline = time.monotonic() + 120
    while api.get("Microsoft.Compute").registration_state != "Registered":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert {item.namespace for item in api.list()} >= {"Microsoft.DBforPostgreSQL", "Microsoft.DataMigration"}
    with pytest.raises(ResourceNotFoundError) as caught:
        api.get("Microsoft.Nowhere")
    assert code(caught) == (404, "InvalidResourceNamespace")
    api.unregister("Microsoft.DBforPostgreSQL")
    # A client that may not register sees ARM's answer; one that may registers by itself and tries again.
    with pytest.raises(ResourceExistsError) as missing:
        Clients.of(clients.lab, "reader").flexible.servers.get(GROUP, "shop-flex")
    assert code(missing) == (409, "MissingSubscriptionRegistration")
    assert clients.flexible.servers.get(GROUP, "shop-flex").name == "shop-flex"


def test_resource_groups(clients: Clients) -> None:
    api = clients.resources.resource_groups
    made = api.create_or_update("Made-Rg", ResourceGroup(location="eastus", tags={"a": "b"}))
    assert made.properties.provisioning_state == "Succeeded"
    assert api.check_existence("made-rg") and not api.check_existence("other-rg")
    assert api.create_or_update("made-RG", ResourceGroup(location="East US")).name == "Made-Rg"
    with pytest.raises(ResourceExistsError) as moved:
        api.create_or_update("made-rg", ResourceGroup(location="westeurope"))
    assert code(moved) == (409, "InvalidResourceGroupLocation")
    assert [item.name for item in api.list(filter="tagName eq 'a' and tagValue eq 'b'")] == []
    api.begin_delete("made-rg").result()
    with pytest.raises(ResourceNotFoundError) as gone:
        api.get("made-rg")
    assert code(gone) == (404, "ResourceGroupNotFound")
    names = [item.name for item in clients.resources.resources.list()]
    assert {"shop-single", "shop-flex"} <= set(names)


def test_unknown_subscription(lab: Running, clients: Clients) -> None:
    other = ResourceManagementClient(
        clients.credential, str(uuid4()), base_url=lab.url, credential_scopes=[f"{lab.url}/.default"]
    )
    with pytest.raises(ResourceNotFoundError) as caught:
        list(other.resource_groups.list())
    assert code(caught) == (404, "SubscriptionNotFound")


def test_permissions_of_the_caller(clients: Clients) -> None:
    (owner,) = clients.authorization.permissions.list_for_resource_group(GROUP)
    assert (owner.actions, owner.not_actions) == (["*"], [])
    limited = Clients.of(clients.lab, "limited").authorization.permissions
    (contributor,) = limited.list_for_resource(GROUP, "Microsoft.DBforPostgreSQL", "", "servers", "shop-single")
    assert "Microsoft.Authorization/*/Write" in contributor.not_actions
    (reader,) = Clients.of(clients.lab, "reader").authorization.permissions.list_for_resource_group(GROUP)
    assert reader.actions == ["*/read"]
    with pytest.raises(HttpResponseError, match=r"Microsoft\.Authorization/permissions/read"):
        list(Clients.of(clients.lab, "stranger").authorization.permissions.list_for_resource_group(GROUP))
