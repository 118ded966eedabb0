# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign-in as azure-identity and MSAL do it, and what Entra says when it refuses."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential

from pgflex_lab.process import Running
from sdk_clients import SECRETS, Clients


def credential(lab: Running, tenant: str, client_id: str, secret: str) -> ClientSecretCredential:
    return ClientSecretCredential(tenant, client_id, secret, authority=lab.url, disable_instance_discovery=True)


def test_a_token_names_its_principal(clients: Clients) -> None:
    token = clients.credential.get_token(f"{clients.lab.url}/.default").token
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["tid"] == clients.tenant
    assert claims["appid"] == clients.client_id
    assert claims["aud"] == clients.lab.url
    assert claims["exp"] - claims["iat"] == 3600


@pytest.mark.parametrize(
    ("client_id", "secret", "code"),
    [
        (SECRETS["operator"][0], "wrong", "AADSTS7000215"),
        ("99999999-0000-4000-8000-00000000000a", "x", "AADSTS700016"),
        (*SECRETS["expired"], "AADSTS7000222"),
    ],
)
def test_refusals_carry_entras_numbers(clients: Clients, client_id: str, secret: str, code: str) -> None:
    with pytest.raises(ClientAuthenticationError, match=code):
        credential(clients.lab, clients.tenant, client_id, secret).get_token(f"{clients.lab.url}/.default")


def test_an_unknown_tenant_is_not_discovered(clients: Clients) -> None:
    tenant = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(ClientAuthenticationError, match="Unable to get authority configuration"):
        credential(clients.lab, tenant, *SECRETS["operator"]).get_token(f"{clients.lab.url}/.default")
    form = {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y", "scope": "z/.default"}
    answer = requests.post(f"{clients.lab.url}/{tenant}/oauth2/v2.0/token", data=form, timeout=10)
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])


def test_a_scope_must_be_known_and_a_default(clients: Clients) -> None:
    for scope, code in (
        ("https://nowhere.example/.default", "AADSTS500011"),
        (f"{clients.lab.url}/x", "AADSTS1002012"),
    ):
        with pytest.raises(ClientAuthenticationError, match=code):
            clients.credential.get_token(scope)


def test_adfs_has_no_version_in_its_paths(clients: Clients) -> None:
    found = credential(clients.lab, "adfs", clients.client_id, clients.secret)
    assert found.get_token(f"{clients.lab.url}/.default").token


def test_workload_identity(clients: Clients) -> None:
    def sign_in(client_id: str) -> str:
        found = WorkloadIdentityCredential(
            tenant_id=clients.tenant,
            client_id=client_id,
            token_file_path=str(Path(str(clients.lab.home)) / "workload-token"),
            authority=clients.lab.url,
            disable_instance_discovery=True,
        )
        return found.get_token(f"{clients.lab.url}/.default").token

    assert sign_in(clients.client_id)
    with pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
        sign_in(SECRETS["limited"][0])


def test_a_forged_assertion_is_refused(clients: Clients, tmp_path: Path) -> None:
    claims = {"aud": "api://AzureADTokenExchange", "iss": "x", "sub": "y", "exp": 4102444800}
    (tmp_path / "token").write_text(jwt.encode(claims, "k" * 32, algorithm="HS256"))
    found = WorkloadIdentityCredential(
        tenant_id=clients.tenant,
        client_id=clients.client_id,
        token_file_path=str(tmp_path / "token"),
        authority=clients.lab.url,
        disable_instance_discovery=True,
    )
    with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
        found.get_token(f"{clients.lab.url}/.default")


def test_managed_identity(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", clients.lab.url)
    token = ManagedIdentityCredential().get_token(f"{clients.lab.url}/.default")
    assert jwt.decode(token.token, options={"verify_signature": False})["appid"] == clients.client_id


def test_cloud_metadata_in_all_its_versions(clients: Clients) -> None:
    def page(version: str) -> requests.Response:
        return requests.get(f"{clients.lab.url}/metadata/endpoints", params={"api-version": version}, timeout=10)

    newest = page("2022-09-01").json()
    assert newest["resourceManager"] == f"{clients.lab.url}/"
    assert newest["authentication"]["loginEndpoint"] == clients.lab.url
    assert page("2019-05-01").json() == [newest]
    assert page("2015-01-01").json()["authentication"]["loginEndpoint"] == f"{clients.lab.url}/"


def test_tokens_are_checked(clients: Clients) -> None:
    url = f"{clients.lab.url}/subscriptions?api-version=2022-12-01"
    missing = requests.get(url, timeout=10)
    assert (missing.status_code, missing.json()["error"]["code"]) == (401, "AuthenticationFailed")
    assert missing.headers["WWW-Authenticate"].startswith("Bearer ")
    forged = requests.get(url, headers={"Authorization": "Bearer a.b.c"}, timeout=10)
    assert (forged.status_code, forged.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    graph = clients.credential.get_token("https://graph.microsoft.com/.default").token
    wrong = requests.get(url, headers={"Authorization": f"Bearer {graph}"}, timeout=10)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "InvalidAuthenticationTokenAudience")


def test_an_expired_token_is_answered_with_a_challenge(clients: Clients) -> None:
    clients.lab.plan_faults({"kind": "expired_token", "path": "/providers", "times": 0})
    with pytest.raises(HttpResponseError) as caught:
        clients.resources.providers.get("Microsoft.Network")
    assert caught.value.status_code == 401
