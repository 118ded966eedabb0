# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One lazy client for each SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from functools import cached_property, partial
from typing import Any, TypeVar

from ._auth import Cloud, SignIn, cloud_of, credential_of, sign_in_of
from ._base import InfoModule, PgflexModule, Runtime
from ._errors import ModuleFailure
from ._tokens import SharedToken, authentication_policy

T = TypeVar("T")
USER_AGENT = "pgflex.migrate"
# azure-core gives up after three refusals or broken answers; a throttled subscription has more of them. An endpoint
# that can not be reached at all is told sooner, for that is mostly a mistake in the settings.
RETRIES = {"retry_total": 10, "retry_connect": 3, "retry_read": 8, "retry_status": 8, "retry_backoff_max": 15}


def raw(response: Any, _model: Any, _headers: Any) -> Any:
    """For the `cls` of an SDK call: the answer's JSON as it came, so that no SDK version drops or renames a key."""
    text = response.http_response.text()
    return json.loads(text) if text else None


def wire(model: Any) -> dict[str, Any]:
    """An SDK model as JSON, in the service's spelling: the generated clients have two kinds of models."""
    found: dict[str, Any] = model.serialize(keep_readonly=True) if hasattr(model, "serialize") else model.as_dict()
    return found


def body(value: dict[str, Any]) -> bytes:
    """A request body that reaches the service as it is written here."""
    return json.dumps(value).encode()


def missing_package(error: ImportError, package: str) -> ModuleFailure:
    return ModuleFailure(
        f"The Python package {package} is not installed for the interpreter that runs this module ({error}).",
        code="MissingPackage",
        hint="Install the collection's requirements.txt there, or set ansible_python_interpreter.",
    )


class Azure:
    """The signed-in user's clients, each made when first asked for. Making them sends nothing."""

    def __init__(self, sign_in: SignIn, token_cache: str | None = None) -> None:
        self.sign_in = sign_in
        self._token_cache = token_cache

    @cached_property
    def cloud(self) -> Cloud:
        return cloud_of(self.sign_in.cloud_environment)

    @cached_property
    def credential(self) -> SharedToken:
        try:
            credential = credential_of(self.sign_in, self.cloud)
        except ImportError as error:
            raise missing_package(error, "azure-identity") from error
        renew = partial(credential_of, self.sign_in, self.cloud)
        return SharedToken(credential, self.sign_in, self._token_cache, renew)

    def _arm(self) -> dict[str, Any]:
        return {
            "base_url": self.cloud.resource_manager,
            "credential_scopes": [self.cloud.arm_scope],
            "user_agent": USER_AGENT,
            "authentication_policy": authentication_policy(self.credential, self.cloud.arm_scope),
            **RETRIES,
        }

    def flexible(self, subscription_id: str | None = None, api_version: str | None = None) -> Any:
        """azure-mgmt-postgresqlflexibleservers; with `api_version` for classic migrations, whose paths are equal."""
        try:
            from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient as Client
        except ImportError as error:
            raise missing_package(error, "azure-mgmt-postgresqlflexibleservers") from error
        version = {"api_version": api_version} if api_version else {}
        return Client(self.credential, self._subscription(subscription_id), **self._arm(), **version)

    def single(self, subscription_id: str | None = None) -> Any:
        try:
            from azure.mgmt.rdbms.postgresql import PostgreSQLManagementClient as Client
        except ImportError as error:
            raise missing_package(error, "azure-mgmt-rdbms") from error
        return Client(self.credential, self._subscription(subscription_id), **self._arm())

    def authorization(self, subscription_id: str | None = None) -> Any:
        try:
            from azure.mgmt.authorization.v2022_04_01 import AuthorizationManagementClient as Client
        except ImportError as error:
            raise missing_package(error, "azure-mgmt-authorization") from error
        return Client(self.credential, self._subscription(subscription_id), **self._arm())

    def resources(self, subscription_id: str | None = None) -> Any:
        try:
            from azure.mgmt.resource.resources import ResourceManagementClient as Client
        except ImportError as error:
            raise missing_package(error, "azure-mgmt-resource") from error
        return Client(self.credential, self._subscription(subscription_id), **self._arm())

    def network(self, subscription_id: str | None = None) -> Any:
        try:
            from azure.mgmt.network import NetworkManagementClient as Client
        except ImportError as error:
            raise missing_package(error, "azure-mgmt-network") from error
        return Client(self.credential, self._subscription(subscription_id), **self._arm())

    def private_dns(self, subscription_id: str | None = None) -> Any:
        try:
            from azure.mgmt.privatedns import PrivateDnsManagementClient as Client
        except ImportError as error:
            raise missing_package(error, "azure-mgmt-privatedns") from error
        return Client(self.credential, self._subscription(subscription_id), **self._arm())

    def pages(self, path: str, api_version: str) -> list[dict[str, Any]]:
        """All items of an ARM list for which none of the SDKs above has a call."""
        from azure.core import PipelineClient
        from azure.core.pipeline import policies
        from azure.core.rest import HttpRequest

        chain = [
            policies.UserAgentPolicy(USER_AGENT),
            policies.ProxyPolicy(),
            policies.RetryPolicy(**RETRIES),
            authentication_policy(self.credential, self.cloud.arm_scope),
        ]
        client: Any = PipelineClient(self.cloud.resource_manager, policies=chain)
        url: str | None = f"{self.cloud.resource_manager}{path}?api-version={api_version}"
        found: list[dict[str, Any]] = []
        while url:
            answer = client.send_request(HttpRequest("GET", url))
            answer.raise_for_status()
            page = answer.json()
            found += page["value"]
            url = page.get("nextLink")
        return found

    def _subscription(self, subscription_id: str | None) -> str:
        return subscription_id or self.sign_in.require_subscription()

    def directory(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Runs `work` with a Microsoft Graph client, a new one each time: it lives as long as its event loop."""

        async def with_client() -> T:
            return await work(self._graph())

        return asyncio.run(with_client())

    def _graph(self) -> Any:
        try:
            from kiota_authentication_azure.azure_identity_authentication_provider import (
                AzureIdentityAuthenticationProvider,
            )
            from msgraph import GraphRequestAdapter, GraphServiceClient
        except ImportError as error:
            raise missing_package(error, "msgraph-sdk") from error
        host = self.cloud.graph.split("//", 1)[1].split(":", 1)[0]
        # kiota compares the host without its port; a host that it does not know gets no token, silently.
        provider = AzureIdentityAuthenticationProvider(
            self.credential, scopes=[self.cloud.graph_scope], allowed_hosts=[host]
        )
        adapter = GraphRequestAdapter(provider)
        adapter.base_url = f"{self.cloud.graph}/v1.0"
        return GraphServiceClient(request_adapter=adapter)


class AzureModule(PgflexModule):
    """A module that signs in to Azure. The constructor checks the sign-in without a request."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._azure: Azure | None = None

    @property
    def azure(self) -> Azure:
        if self._azure is None:
            self._azure = Azure(sign_in_of(self.params), self.runtime.token_cache)
        return self._azure

    @property
    def subscription_id(self) -> str:
        return self.azure.sign_in.require_subscription()


class AzureInfoModule(InfoModule, AzureModule):
    """Reads Azure only."""
