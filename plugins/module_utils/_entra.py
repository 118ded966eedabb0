# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entra applications with their service principals and secrets."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ._auth import SignIn
from ._clients import Azure
from ._errors import code_and_message, code_of, service_errors, status_of
from ._wait import retry_on

# Stands for an id that only the directory can give, in what check mode foretells. It has the form of an id, so that
# the tasks that use it in check mode find nothing instead of failing.
UNKNOWN = "00000000-0000-0000-0000-000000000000"
SELECT = ["id", "appId", "displayName", "signInAudience", "passwordCredentials"]
LAG = frozenset({"Request_ResourceNotFound", "NoBackingApplicationObject"})
TAKEN = "Request_MultipleObjectsWithSameKeyValue"


@dataclass(frozen=True)
class Credential:
    """A client secret without its value; `hint` is the value's first three characters."""

    id: str
    name: str | None
    expires: datetime
    hint: str | None = None


@dataclass(frozen=True)
class Principal:
    id: str
    tenant: str | None


@dataclass(frozen=True)
class Application:
    name: str
    object_id: str
    client_id: str
    sign_in_audience: str | None
    credentials: tuple[Credential, ...] = ()
    principal: Principal | None = None


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tenant_of(sign_in: SignIn, principal: Principal | None) -> str | None:
    """The tenant's GUID: a domain name serves for signing in, but not where a tenant id is asked for."""
    try:
        return str(uuid.UUID(sign_in.tenant or ""))
    except ValueError:
        return principal.tenant if principal else None


def to_result(found: Application, tenant: str | None) -> dict[str, Any]:
    """An application in this collection's words, without its secrets."""
    return {
        "name": found.name,
        "object_id": found.object_id,
        "client_id": found.client_id,
        "tenant": tenant,
        "service_principal_id": found.principal.id if found.principal else None,
        "sign_in_audience": found.sign_in_audience,
    }


def applications(azure: Azure, field: str, value: str) -> list[Application]:
    """The applications whose `field` equals `value` as the directory compares, which is without case."""

    async def work(graph: Any) -> list[Application]:
        models = await _listed(graph, field, value)
        principals = await asyncio.gather(*(_principal_of(graph, model.app_id) for model in models))
        return [_application(model, principal) for model, principal in zip(models, principals, strict=True)]

    return azure.directory(work)


def is_listed(azure: Azure, name: str, client_id: str) -> bool:
    """Whether a search for the name finds the application by now; a new one is missing there for seconds."""

    async def work(graph: Any) -> bool:
        return any(model.app_id == client_id for model in await _listed(graph, "displayName", name))

    return azure.directory(work)


async def _listed(graph: Any, field: str, value: str) -> list[Any]:
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder as Builder

    quoted = value.replace("'", "''")
    query = Builder.ApplicationsRequestBuilderGetQueryParameters(filter=f"{field} eq '{quoted}'", select=SELECT)
    page = await graph.applications.get(RequestConfiguration(query_parameters=query))
    models = list(page.value)
    while page.odata_next_link:
        page = await graph.applications.with_url(page.odata_next_link).get()
        models += page.value
    return models


async def _principal_of(graph: Any, client_id: str) -> Principal | None:
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from msgraph.generated.service_principals.service_principals_request_builder import (
        ServicePrincipalsRequestBuilder as Builder,
    )

    query = Builder.ServicePrincipalsRequestBuilderGetQueryParameters(
        filter=f"appId eq '{client_id}'", select=["id", "appId", "appOwnerOrganizationId"]
    )
    page = await graph.service_principals.get(RequestConfiguration(query_parameters=query))
    return next((_principal(model) for model in page.value), None)


def _principal(model: Any) -> Principal:
    return Principal(model.id, str(model.app_owner_organization_id) if model.app_owner_organization_id else None)


def _application(model: Any, principal: Principal | None = None) -> Application:
    return Application(
        name=model.display_name,
        object_id=model.id,
        client_id=model.app_id,
        sign_in_audience=model.sign_in_audience,
        credentials=tuple(_credential(row) for row in model.password_credentials or ()),
        principal=principal,
    )


def _credential(model: Any) -> Credential:
    # Graph may leave the end out for a secret of the time before ends were required: such a one does not expire.
    expires = model.end_date_time or datetime.max.replace(tzinfo=UTC)
    return Credential(str(model.key_id), model.display_name, expires, model.hint)


def _sent_once() -> Any:
    """For requests that make something: msgraph repeats a 503 or 504, after which there may be two of it."""
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from kiota_http.middleware.options import RetryHandlerOption

    return RequestConfiguration(options=[RetryHandlerOption(should_retry=False)])


def not_yet_known(error: Exception) -> bool:
    """Whether a refusal passes by itself: Graph's replicas learn of a new application one after the other.

    For a missing application there are three answers: 404, 400 with NoBackingApplicationObject among its details, and
    403 when the caller owns its applications only.
    """
    code, sentence = code_and_message(error)
    details = getattr(getattr(error, "error", None), "details", None) or ()
    return (
        not LAG.isdisjoint((code, *(detail.code for detail in details)))
        or "valid application object" in sentence
        or "backing application" in sentence
        or status_of(error) == 429
    )


def _throttled(error: Exception) -> bool:
    return status_of(error) == 429


def create_application(azure: Azure, name: str, sign_in_audience: str, timeout: float) -> Application:
    async def work(graph: Any) -> Application:
        from msgraph.generated.models.application import Application as Body

        content = Body(display_name=name, sign_in_audience=sign_in_audience)
        return _application(await graph.applications.post(content, _sent_once()))

    return retry_on(_throttled, lambda: azure.directory(work), timeout=timeout)


def update_application(azure: Azure, object_id: str, sign_in_audience: str) -> None:
    async def work(graph: Any) -> None:
        from msgraph.generated.models.application import Application as Body

        await graph.applications.by_application_id(object_id).patch(Body(sign_in_audience=sign_in_audience))

    azure.directory(work)


def delete_application(azure: Azure, object_id: str) -> None:
    """The service principal in the application's own tenant goes with it."""

    async def work(graph: Any) -> None:
        await graph.applications.by_application_id(object_id).delete()

    try:
        azure.directory(work)
    except service_errors() as error:
        if status_of(error) != 404:
            raise


def create_principal(azure: Azure, client_id: str, timeout: float) -> Principal:
    """The application's service principal; one that is there already counts as made."""

    async def create(graph: Any) -> Principal:
        from msgraph.generated.models.service_principal import ServicePrincipal as Body

        return _principal(await graph.service_principals.post(Body(app_id=client_id)))

    try:
        return retry_on(not_yet_known, lambda: azure.directory(create), timeout=timeout)
    except service_errors() as error:
        if code_of(error) != TAKEN:
            raise
        found = azure.directory(lambda graph: _principal_of(graph, client_id))
        if found is None:
            raise
        return found


def add_secret(azure: Azure, object_id: str, name: str, expires: datetime, timeout: float) -> tuple[Credential, str]:
    """A new client secret and its value, which the directory tells this once."""

    async def work(graph: Any) -> Any:
        from msgraph.generated.applications.item.add_password.add_password_post_request_body import (
            AddPasswordPostRequestBody as Body,
        )
        from msgraph.generated.models.password_credential import PasswordCredential

        content = Body(password_credential=PasswordCredential(display_name=name, end_date_time=expires))
        return await graph.applications.by_application_id(object_id).add_password.post(content, _sent_once())

    made = retry_on(not_yet_known, lambda: azure.directory(work), timeout=timeout)
    return _credential(made), made.secret_text


def remove_secret(azure: Azure, object_id: str, key_id: str) -> None:
    async def work(graph: Any) -> None:
        from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
            RemovePasswordPostRequestBody as Body,
        )

        await graph.applications.by_application_id(object_id).remove_password.post(Body(key_id=uuid.UUID(key_id)))

    azure.directory(work)
