# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications, principals and secrets through msgraph-sdk."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import requests
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphServiceClient
from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder
from msgraph.generated.applications.item.add_password.add_password_post_request_body import AddPasswordPostRequestBody
from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
    RemovePasswordPostRequestBody,
)
from msgraph.generated.models.application import Application
from msgraph.generated.models.application_collection_response import ApplicationCollectionResponse
from msgraph.generated.models.implicit_grant_settings import ImplicitGrantSettings
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.password_credential import PasswordCredential
from msgraph.generated.models.service_principal import ServicePrincipal
from msgraph.generated.models.web_application import WebApplication
from msgraph_core import PageIterator

from sdk_clients import Clients

Query = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters


async def make(graph: GraphServiceClient, name: str) -> Application:
    made = await graph.applications.post(Application(display_name=name, sign_in_audience="AzureADMyOrg"))
    assert made is not None
    return made


async def find(graph: GraphServiceClient, text: str, top: int | None = None) -> ApplicationCollectionResponse:
    configuration = RequestConfiguration(query_parameters=Query(filter=text, top=top))
    found = await graph.applications.get(request_configuration=configuration)
    assert found is not None
    return found


def test_an_application_from_cradle_to_grave(clients: Clients) -> None:
    async def work(graph: GraphServiceClient) -> None:
        made = await make(graph, "Life Cycle")
        assert made.web and made.web.redirect_uris == [] and made.required_resource_access == []
        one = graph.applications.by_application_id(str(made.id))
        await one.patch(Application(display_name="Life's Cycle", sign_in_audience="AzureADMultipleOrgs"))
        read = await one.get()
        assert read and read.display_name == "Life's Cycle" and read.sign_in_audience == "AzureADMultipleOrgs"
        by_app_id = await graph.applications_with_app_id(str(made.app_id)).get()
        assert by_app_id and by_app_id.id == made.id
        assert len((await find(graph, "displayName eq 'life''s cycle'")).value or []) == 1
        assert len((await find(graph, f"startswith(displayName,'Life') and appId eq '{made.app_id}'")).value or []) == 1
        await one.delete()
        with pytest.raises(ODataError) as gone:
            await one.get()
        assert gone.value.error and gone.value.error.code == "Request_ResourceNotFound"

    clients.graph(work)


def test_lists_come_in_pages(clients: Clients) -> None:
    async def work(graph: GraphServiceClient) -> None:
        for number in range(5):
            await make(graph, f"Paged {number}")
        first = await find(graph, "startswith(displayName,'Paged')", top=2)
        assert len(first.value or []) == 2 and first.odata_next_link
        names: list[str] = []
        iterator = PageIterator(first, graph.request_adapter)
        await iterator.iterate(lambda item: names.append(item.display_name) or True)
        assert sorted(names) == [f"Paged {number}" for number in range(5)]

    clients.graph(work)


def test_a_secret_is_shown_once(clients: Clients) -> None:
    async def work(graph: GraphServiceClient) -> tuple[str, str]:
        made = await make(graph, "Secretive")
        one = graph.applications.by_application_id(str(made.id))
        end = datetime.now(UTC) + timedelta(days=30)
        wanted = PasswordCredential(display_name="for the migration", end_date_time=end)
        secret = await one.add_password.post(AddPasswordPostRequestBody(password_credential=wanted))
        assert secret and secret.secret_text and secret.hint == secret.secret_text[:3]
        assert secret.end_date_time and abs(secret.end_date_time - end) < timedelta(seconds=1)
        read = await one.get()
        assert read and read.password_credentials and read.password_credentials[0].secret_text is None
        assert read.password_credentials[0].key_id == secret.key_id
        await graph.service_principals.post(ServicePrincipal(app_id=made.app_id))
        return str(made.app_id), str(secret.secret_text)

    app_id, secret = clients.graph(work)
    assert Clients(clients.lab, app_id, secret).credential.get_token(f"{clients.lab.url}/.default").token
    log = (clients.lab.home / "requests.jsonl").read_text()
    assert secret not in log and secret not in json.dumps(clients.lab.requests())


def test_a_removed_secret_is_gone(clients: Clients) -> None:
    async def work(graph: GraphServiceClient) -> None:
        made = await make(graph, "Forgetful")
        one = graph.applications.by_application_id(str(made.id))
        secret = await one.add_password.post(AddPasswordPostRequestBody())
        assert secret
        await one.remove_password.post(RemovePasswordPostRequestBody(key_id=secret.key_id))
        with pytest.raises(ODataError):
            await one.remove_password.post(RemovePasswordPostRequestBody(key_id=UUID(int=1)))
        read = await one.get()
        assert read and read.password_credentials == []

    clients.graph(work)


def test_complex_properties_keep_what_was_not_sent(clients: Clients) -> None:
    async def work(graph: GraphServiceClient) -> None:
        made = await graph.applications.post(
            Application(
                display_name="Complex",
                web=WebApplication(
                    redirect_uris=["https://shop.example.org/back"],
                    implicit_grant_settings=ImplicitGrantSettings(enable_id_token_issuance=True),
                ),
            )
        )
        assert made and made.web and made.web.implicit_grant_settings
        assert made.web.implicit_grant_settings.enable_access_token_issuance is False
        one = graph.applications.by_application_id(str(made.id))
        granted = ImplicitGrantSettings(enable_access_token_issuance=True)
        await one.patch(Application(web=WebApplication(implicit_grant_settings=granted)))
        read = await one.get()
        assert read and read.web and read.web.redirect_uris == ["https://shop.example.org/back"]
        settings = read.web.implicit_grant_settings
        assert settings and settings.enable_access_token_issuance and settings.enable_id_token_issuance

    clients.graph(work)


def test_one_principal_for_an_application(clients: Clients) -> None:
    async def work(graph: GraphServiceClient) -> None:
        made = await make(graph, "Twice")
        asked = ServicePrincipal(app_id=made.app_id, service_principal_type="application")
        principal = await graph.service_principals.post(asked)
        assert principal and principal.service_principal_type == "Application"
        with pytest.raises(ODataError) as second:
            await graph.service_principals.post(ServicePrincipal(app_id=made.app_id))
        assert second.value.response_status_code == 409
        with pytest.raises(ODataError) as unknown:
            await graph.service_principals.post(ServicePrincipal(app_id=str(UUID(int=7))))
        assert unknown.value.response_status_code == 400
        found = await graph.service_principals_with_app_id(str(made.app_id)).get()
        assert found and found.id == principal.id
        await graph.service_principals.by_service_principal_id(str(principal.id)).delete()
        with pytest.raises(ODataError):
            await graph.service_principals.by_service_principal_id(str(principal.id)).get()

    clients.graph(work)


def test_rights_in_graph_are_enforced(clients: Clients) -> None:
    async def write(graph: GraphServiceClient) -> None:
        await make(graph, "Not Mine To Make")

    async def read(graph: GraphServiceClient) -> int:
        return len((await find(graph, "displayName eq 'pgflex-operator'")).value or [])

    for who in ("reader", "limited"):
        with pytest.raises(ODataError) as caught:
            Clients.of(clients.lab, who).graph(write)
        assert caught.value.response_status_code == 403
        assert caught.value.error and caught.value.error.code == "Authorization_RequestDenied"
    assert Clients.of(clients.lab, "reader").graph(read) == 1


def test_users_and_organization(clients: Clients) -> None:
    async def work(graph: GraphServiceClient) -> None:
        users, organization = await graph.users.get(), await graph.organization.get()
        assert users and users.value and users.value[0].user_principal_name == "dba@contosolab.onmicrosoft.com"
        assert organization and organization.value and organization.value[0].id == clients.tenant

    clients.graph(work)


def test_select_and_bad_requests(clients: Clients) -> None:
    token = clients.credential.get_token(f"{clients.lab.url}/.default").token
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    root = f"{clients.lab.url}/v1.0"
    chosen = session.get(f"{root}/applications?$select=id,displayName&$top=1", timeout=10).json()["value"][0]
    assert set(chosen) == {"id", "displayName"}
    for method, path, body, status in (
        ("GET", "/applications?$filter=displayName like 'x'", None, 400),
        ("GET", "/applications?$top=5000", None, 400),
        ("POST", "/applications", {}, 400),
        ("POST", "/applications", {"displayName": "x", "colour": "red"}, 400),
        ("POST", "/applications", {"displayName": "x", "signInAudience": "Everybody"}, 400),
        ("GET", "/nothing", None, 400),
        ("GET", "/me", None, 400),
    ):
        answer = session.request(method, root + path, json=body, timeout=10)
        assert (answer.status_code, path) == (status, path)
        assert answer.json()["error"]["innerError"]["request-id"] == answer.headers["request-id"]
    broken = session.post(f"{root}/applications", data="{", headers={"Content-Type": "application/json"}, timeout=10)
    assert broken.status_code == 400
