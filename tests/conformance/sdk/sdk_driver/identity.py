# SPDX-License-Identifier: GPL-3.0-or-later
"""azure-identity: the ways to sign in that the collection has."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ClientSecretCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential

from sdk_driver.judge import Judge, Target

PUBLIC = ("https://management.azure.com/.default", "https://graph.microsoft.com/.default")


def judges() -> list[Judge]:
    judge, lab = Judge("azure-identity"), Target()
    where: dict[str, Any] = {"authority": lab.url, "disable_instance_discovery": True}
    app = (lab.tenant, lab.client_id, lab.secret)

    def signs_in(name: str, credential: Any, scope: str = lab.scope) -> None:
        with judge.operation(name):
            assert credential.get_token(scope).token

    signs_in("ClientSecretCredential.get_token", ClientSecretCredential(*app, **where))
    signs_in("ClientSecretCredential.get_token for Graph", ClientSecretCredential(*app, **where), PUBLIC[1])
    signs_in("EnvironmentCredential.get_token", EnvironmentCredential(**where))
    token_file = str(Path(os.environ["PGFLEX_LAB_HOME"]) / "workload-token")
    federated = WorkloadIdentityCredential(
        tenant_id=lab.tenant, client_id=lab.client_id, token_file_path=token_file, **where
    )
    signs_in("WorkloadIdentityCredential.get_token", federated)
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = lab.url
    signs_in("ManagedIdentityCredential.get_token", ManagedIdentityCredential())
    with judge.operation("aio.ClientSecretCredential.get_token"):
        assert asyncio.run(_asynchronous(app, where, lab.scope))
    with judge.operation("ClientSecretCredential.get_token with a wrong secret"):
        try:
            ClientSecretCredential(lab.tenant, lab.client_id, "wrong", **where).get_token(lab.scope)
        except ClientAuthenticationError as error:
            answer = str(error)
        else:
            answer = "a token"
        assert "AADSTS7000215" in answer, answer
    os.environ |= {"HTTPS_PROXY": os.environ["PGFLEX_LAB_PROXY"], "NO_PROXY": "localhost,127.0.0.1"}
    for scope in PUBLIC:
        signs_in(
            f"ClientSecretCredential.get_token unchanged, {scope.split('/')[2]}", ClientSecretCredential(*app), scope
        )
    return [judge]


async def _asynchronous(app: tuple[str, str, str], where: dict[str, Any], scope: str) -> str:
    async with AsyncClientSecretCredential(*app, **where) as credential:
        return (await credential.get_token(scope)).token
