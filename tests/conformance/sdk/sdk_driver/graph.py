# SPDX-License-Identifier: GPL-3.0-or-later
"""msgraph-sdk: applications, their secrets and principals."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.identity.aio import ClientSecretCredential
from kiota_abstractions.api_error import APIError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder
from msgraph.generated.applications.item.add_password.add_password_post_request_body import AddPasswordPostRequestBody
from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
    RemovePasswordPostRequestBody,
)
from msgraph.generated.models.application import Application
from msgraph.generated.models.password_credential import PasswordCredential
from msgraph.generated.models.service_principal import ServicePrincipal
from msgraph.generated.service_principals.service_principals_request_builder import ServicePrincipalsRequestBuilder

from sdk_driver.judge import FAILURES, Judge, Lost, Target
from sdk_driver.round_trip import unknown_to_kiota


class Directory:
    def __init__(self, graph: GraphServiceClient, judge: Judge, tag: str) -> None:
        self.graph, self.judge, self.tag = graph, judge, tag

    async def done(self, name: str, call: Awaitable[Any]) -> Any:
        found = None
        try:
            found = await call
            lost = list(unknown_to_kiota(found))
            if lost:
                raise Lost("; ".join(lost[:12]))
        except (APIError, *FAILURES) as error:
            self.judge.results.append((name, f"{type(error).__name__}: {error}"))
        else:
            self.judge.results.append((name, None))
        return found

    async def run(self) -> None:
        applications, principals = self.graph.applications, self.graph.service_principals
        content = Application(display_name=f"App {self.tag}", sign_in_audience="AzureADMyOrg")
        made = await self.done("applications.post", applications.post(content))
        one = applications.by_application_id(str(made.id))
        await self.done("applications.item.get", one.get())
        await self.done("applications.item.patch", one.patch(Application(sign_in_audience="AzureADMultipleOrgs")))
        await self.done("applications.get", applications.get())
        await self.done("applications.get filtered", applications.get(self.by_name()))
        await self.done("applications_with_app_id.get", self.graph.applications_with_app_id(str(made.app_id)).get())
        await self.secrets(one)
        principal = await self.done("service_principals.post", principals.post(ServicePrincipal(app_id=made.app_id)))
        await self.done("service_principals.get filtered", principals.get(self.by_app(str(made.app_id))))
        item = principals.by_service_principal_id(str(principal.id))
        await self.done("service_principals.item.get", item.get())
        await self.done("service_principals.item.delete", item.delete())
        await self.done("applications.item.delete", one.delete())
        await self.done("organization.get", self.graph.organization.get())
        await self.done("applications.item.get of none", self.gone(one))

    async def secrets(self, one: Any) -> None:
        ends = datetime.now(UTC) + timedelta(days=1)
        body = AddPasswordPostRequestBody(
            password_credential=PasswordCredential(display_name="rehearsal", end_date_time=ends)
        )
        secret = await self.done("applications.item.add_password.post", one.add_password.post(body))
        removal = RemovePasswordPostRequestBody(key_id=uuid.UUID(str(secret.key_id)))
        await self.done("applications.item.remove_password.post", one.remove_password.post(removal))

    @staticmethod
    async def gone(one: Any) -> None:
        try:
            await one.get()
        except APIError as error:
            found = error.error.code
        else:
            found = "the application"
        assert found == "Request_ResourceNotFound", found

    def by_name(self) -> Any:
        query = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(
            filter=f"displayName eq 'App {self.tag}'", select=["id", "appId", "displayName", "passwordCredentials"]
        )
        return RequestConfiguration(query_parameters=query)

    @staticmethod
    def by_app(app_id: str) -> Any:
        query = ServicePrincipalsRequestBuilder.ServicePrincipalsRequestBuilderGetQueryParameters(
            filter=f"appId eq '{app_id}'"
        )
        return RequestConfiguration(query_parameters=query)


async def _run(judge: Judge) -> None:
    lab = Target()
    async with ClientSecretCredential(
        lab.tenant, lab.client_id, lab.secret, authority=lab.url, disable_instance_discovery=True
    ) as credential:
        provider = AzureIdentityAuthenticationProvider(credential, scopes=[lab.scope], allowed_hosts=["localhost"])
        adapter = GraphRequestAdapter(provider)
        adapter.base_url = f"{lab.url}/v1.0"
        await Directory(GraphServiceClient(request_adapter=adapter), judge, lab.tag).run()


def judges() -> list[Judge]:
    judge = Judge("msgraph-sdk")
    asyncio.run(_run(judge))
    return [judge]
