# SPDX-License-Identifier: GPL-3.0-or-later
"""The official clients, pointed at a lab by custom endpoints or left at their defaults behind its proxy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from azure.identity import ClientSecretCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient as FlexibleClient
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure.mgmt.rdbms.postgresql import PostgreSQLManagementClient as SingleClient
from azure.mgmt.resource.resources import ResourceManagementClient
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient

from pgflex_lab.process import Running

Result = TypeVar("Result")
SECRETS = {
    "operator": ("11111111-0000-4000-8000-00000000000a", "Lab-Secret~operator"),
    "limited": ("22222222-0000-4000-8000-00000000000b", "Lab-Secret~limited"),
    "reader": ("33333333-0000-4000-8000-00000000000c", "Lab-Secret~reader"),
    "stranger": ("44444444-0000-4000-8000-00000000000d", "Lab-Secret~stranger"),
    "expired": ("55555555-0000-4000-8000-00000000000e", "Lab-Secret~expired"),
}
GROUP = "shop-rg"


@contextmanager
def environment(lab: Running, *, proxy: bool = False) -> Iterator[None]:
    """The CA, and the proxy when asked for; put back afterwards."""
    wanted = {"REQUESTS_CA_BUNDLE": lab.facts["ca"], "SSL_CERT_FILE": lab.facts["ca"]}
    if proxy:
        wanted |= {"HTTPS_PROXY": lab.proxy, "NO_PROXY": "localhost,127.0.0.1"}
    before = {name: os.environ.get(name) for name in (*wanted, "https_proxy", "no_proxy")}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@dataclass(frozen=True)
class Clients:
    """One identity's clients. The environment has to be set for as long as they are used."""

    lab: Running
    client_id: str
    secret: str
    by_proxy: bool = False

    @classmethod
    def of(cls, lab: Running, who: str = "operator", *, by_proxy: bool = False) -> Clients:
        return cls(lab, *SECRETS[who], by_proxy)

    @property
    def tenant(self) -> str:
        return self.lab.environment()["AZURE_TENANT_ID"]

    @property
    def subscription(self) -> str:
        return self.lab.environment()["AZURE_SUBSCRIPTION_ID"]

    @property
    def group_id(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{GROUP}"

    def _identity(self) -> dict[str, Any]:
        return {} if self.by_proxy else {"authority": self.lab.url, "disable_instance_discovery": True}

    def _endpoint(self) -> dict[str, Any]:
        if self.by_proxy:
            return {}
        return {"base_url": self.lab.url, "credential_scopes": [f"{self.lab.url}/.default"]}

    @property
    def credential(self) -> ClientSecretCredential:
        return ClientSecretCredential(self.tenant, self.client_id, self.secret, **self._identity())

    @property
    def single(self) -> Any:
        return SingleClient(self.credential, self.subscription, **self._endpoint())

    @property
    def flexible(self) -> Any:
        return FlexibleClient(self.credential, self.subscription, **self._endpoint())

    @property
    def authorization(self) -> Any:
        return AuthorizationManagementClient(self.credential, self.subscription, **self._endpoint())

    @property
    def resources(self) -> Any:
        return ResourceManagementClient(self.credential, self.subscription, **self._endpoint())

    @property
    def network(self) -> Any:
        return NetworkManagementClient(self.credential, self.subscription, **self._endpoint())

    @property
    def dns(self) -> Any:
        return PrivateDnsManagementClient(self.credential, self.subscription, **self._endpoint())

    def graph(self, work: Callable[[GraphServiceClient], Awaitable[Result]]) -> Result:
        """Runs one piece of work with a Graph client of its own."""

        async def run() -> Result:
            async with AsyncClientSecretCredential(
                self.tenant, self.client_id, self.secret, **self._identity()
            ) as credential:
                if self.by_proxy:
                    return await work(GraphServiceClient(credential, scopes=["https://graph.microsoft.com/.default"]))
                provider = AzureIdentityAuthenticationProvider(
                    credential, scopes=[f"{self.lab.url}/.default"], allowed_hosts=["localhost"]
                )
                adapter = GraphRequestAdapter(provider)
                adapter.base_url = f"{self.lab.url}/v1.0"
                return await work(GraphServiceClient(request_adapter=adapter))

        return asyncio.run(run())
