# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils import _auth as auth
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure

OPTIONS = {"client_id": "option-id", "secret": "option-secret", "tenant": "option-tenant"}
AZCOLLECTION = {"AZURE_CLIENT_ID": "env-id", "AZURE_SECRET": "env-secret", "AZURE_TENANT": "env-tenant"}
IDENTITY = {"AZURE_CLIENT_ID": "env-id", "AZURE_CLIENT_SECRET": "env-secret", "AZURE_TENANT_ID": "env-tenant"}
PROFILES = {
    "default": {"client_id": "profile-id", "secret": "profile-secret", "tenant": "profile-tenant"},
    "prod": {"client_id": "prod-id", "secret": "prod-secret", "tenant": "prod-tenant", "subscription_id": "prod-sub"},
}
METADATA = "https://cloud.example:8443"


def resolve(
    options: dict[str, Any] | None = None,
    environ: dict[str, str] | None = None,
    profiles: dict[str, dict[str, str]] | None = None,
    account: dict[str, str] | None = None,
) -> auth.SignIn:
    found = profiles or {}
    return auth.resolve(options or {}, environ or {}, lambda name: found.get(name, {}), lambda _: account or {})


@pytest.mark.parametrize(
    ("options", "environ", "profiles", "source", "client_id"),
    [
        (OPTIONS, AZCOLLECTION, PROFILES, "options", "option-id"),
        ({**OPTIONS, "profile": "prod"}, AZCOLLECTION, PROFILES, "options", "option-id"),
        ({"profile": "prod"}, AZCOLLECTION, PROFILES, "credential_file", "prod-id"),
        ({}, {**AZCOLLECTION, "AZURE_PROFILE": "prod"}, PROFILES, "credential_file", "prod-id"),
        ({}, AZCOLLECTION, PROFILES, "env", "env-id"),
        ({}, IDENTITY, {}, "env", "env-id"),
        ({"secret": "option-secret"}, AZCOLLECTION, {}, "options", "env-id"),
        ({"client_id": "option-id"}, AZCOLLECTION, {}, "options", "option-id"),
        ({"client_id": "option-id"}, {}, PROFILES, "credential_file", "option-id"),
        ({}, {"AZURE_CLIENT_ID": "env-id", "AZURE_FEDERATED_TOKEN_FILE": "/f"}, {}, "workload_identity", "env-id"),
        ({}, {}, PROFILES, "credential_file", "profile-id"),
        ({}, {}, {}, "cli", None),
        ({}, {"AZURE_CLIENT_ID": "of a managed identity"}, {}, "cli", None),
        ({"auth_source": "auto"}, {**AZCOLLECTION, "ANSIBLE_AZURE_AUTH_SOURCE": "cli"}, {}, "env", "env-id"),
        ({"auth_source": "env"}, AZCOLLECTION, PROFILES, "env", "env-id"),
        ({"auth_source": "credential_file"}, AZCOLLECTION, PROFILES, "credential_file", "profile-id"),
        ({}, {**AZCOLLECTION, "ANSIBLE_AZURE_AUTH_SOURCE": "cli"}, PROFILES, "cli", None),
        ({"auth_source": "msi", "client_id": "user-assigned"}, {}, {}, "msi", "user-assigned"),
        ({"auth_source": "msi"}, AZCOLLECTION, {}, "msi", "env-id"),
        ({"auth_source": "workload_identity"}, AZCOLLECTION, PROFILES, "workload_identity", "env-id"),
    ],
)
def test_who_signs_in(
    options: dict[str, str],
    environ: dict[str, str],
    profiles: dict[str, dict[str, str]],
    source: str,
    client_id: str | None,
) -> None:
    found = resolve(options, environ, profiles)
    assert (found.source, found.client_id) == (source, client_id)


@pytest.mark.parametrize(
    ("options", "environ", "wanted"),
    [
        ({}, {**AZCOLLECTION, **IDENTITY, "AZURE_TENANT_ID": "other", "AZURE_CLIENT_SECRET": "other"}, "env"),
        (OPTIONS, AZCOLLECTION, "option"),
        (OPTIONS, {}, "option"),
    ],
)
def test_secret_and_tenant_come_from_the_same_place(
    options: dict[str, str], environ: dict[str, str], wanted: str
) -> None:
    found = resolve(options, environ)
    assert (found.secret, found.tenant) == (f"{wanted}-secret", f"{wanted}-tenant")


@pytest.mark.parametrize(
    ("options", "environ", "account", "subscription"),
    [
        ({"subscription_id": "option"}, {"AZURE_SUBSCRIPTION_ID": "env"}, "cli", "option"),
        ({}, {"AZURE_SUBSCRIPTION_ID": "env"}, "cli", "env"),
        ({}, {}, "cli", "cli"),
        ({}, {}, None, None),
    ],
)
def test_which_subscription(
    options: dict[str, str], environ: dict[str, str], account: str | None, subscription: str | None
) -> None:
    cli = {"subscription_id": account, "tenant": "t"} if account else {}
    assert resolve(options, environ, account=cli).subscription_id == subscription


def test_an_empty_option_counts_as_left_out() -> None:
    assert resolve({"client_id": "", "secret": None}, AZCOLLECTION).source == "env"


def test_the_profile_wins_over_the_environment_and_options_over_both() -> None:
    environ = {"AZURE_SUBSCRIPTION_ID": "env", "AZURE_TENANT": "env"}
    found = resolve({"profile": "prod", "tenant": "option"}, environ, PROFILES)
    assert (found.subscription_id, found.tenant) == ("prod-sub", "option")


@pytest.mark.parametrize(
    ("options", "environ", "code", "words"),
    [
        ({"client_id": "x"}, {}, "MissingCredentials", "lacks secret, tenant"),
        ({"secret": "x"}, {}, "MissingCredentials", "lacks client_id, tenant"),
        ({"client_id": "x", "secret": "hidden"}, {}, "MissingCredentials", "lacks tenant"),
        ({"auth_source": "env"}, {}, "MissingCredentials", "auth_source env lacks client_id, secret, tenant"),
        ({"profile": "staging"}, AZCOLLECTION, "MissingCredentials", "profile 'staging' is not in"),
        ({"auth_source": "credential_file"}, {}, "MissingCredentials", "profile 'default' is not in"),
        ({}, {"ANSIBLE_AZURE_AUTH_SOURCE": "magic"}, "MissingCredentials", "auth_source 'magic'"),
        ({**OPTIONS, "tenant": "my tenant"}, {}, "InvalidTenant", "tenant 'my tenant' is neither"),
        ({**OPTIONS, "cloud_environment": "AzureMars"}, {}, "UnknownCloud", "AzureCloud, AzureChinaCloud"),
        ({**OPTIONS, "cloud_environment": "http://plain"}, {}, "UnknownCloud", "https:// metadata URL"),
    ],
)
def test_what_is_missing_is_named(options: dict[str, str], environ: dict[str, str], code: str, words: str) -> None:
    with pytest.raises(ModuleFailure) as caught:
        resolve(options, environ)
    assert caught.value.code == code and words in caught.value.message
    assert "hidden" not in str(caught.value.as_result())


def test_a_missing_subscription_names_the_option() -> None:
    with pytest.raises(ModuleFailure, match="subscription_id is missing"):
        resolve(OPTIONS).require_subscription()


@pytest.mark.parametrize("environ", [{"AZURE_CLOUD_ENVIRONMENT": "X"}, {"ANSIBLE_AZURE_CLOUD_ENVIRONMENT": "X"}])
def test_both_names_of_the_cloud(environ: dict[str, str]) -> None:
    assert auth.from_environment(environ) == {"cloud_environment": "X"}


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".azure").mkdir()
    return tmp_path / ".azure"


def test_reads_a_profile(home: Path) -> None:
    (home / "credentials").write_text("[default]\nclient_id=a\n[prod]\nclient_id=b\nsecret=100%sure\n")
    assert auth.read_profile("prod") == {"client_id": "b", "secret": "100%sure"}
    assert auth.read_profile("default") == {"client_id": "a"}
    assert auth.read_profile("other") == {}


@pytest.mark.usefixtures("home")
def test_no_credentials_file_has_no_profile() -> None:
    assert auth.read_profile("default") == {}


@pytest.mark.parametrize("content", ["secret=hidden\n", "[a]\nhidden\n", "[a]\nb=hidden\n[a]\n", b"\xff\xfe[a]"])
def test_a_broken_credentials_file_is_told_without_its_content(home: Path, content: str | bytes) -> None:
    (home / "credentials").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ModuleFailure) as caught:
        auth.read_profile("default")
    assert "hidden" not in str(caught.value.as_result()) and caught.value.__cause__ is None


def test_the_account_of_az(home: Path) -> None:
    user = {"name": "anna@example.com", "type": "user"}
    rows = [{"id": "one", "tenantId": "t1"}, {"id": "two", "tenantId": "t2", "isDefault": True, "user": user}]
    # az writes the file with a byte order mark.
    (home / "azureProfile.json").write_text(json.dumps({"subscriptions": rows}), encoding="utf-8-sig")
    assert auth.cli_account({}) == {"subscription_id": "two", "tenant": "t2", "user": "anna@example.com"}
    assert auth.cli_account({"AZURE_CONFIG_DIR": str(home / "elsewhere")}) == {}


@pytest.mark.parametrize("content", ["", "{", "{}", '{"subscriptions": []}'])
def test_az_has_not_signed_in(home: Path, content: str) -> None:
    (home / "azureProfile.json").write_text(content)
    assert auth.cli_account({}) == {}


@pytest.mark.parametrize(
    ("name", "resource_manager"),
    [
        ("AzureCloud", "https://management.azure.com"),
        ("azurecloud", "https://management.azure.com"),
        ("AzureChinaCloud", "https://management.chinacloudapi.cn"),
        ("AZUREUSGOVERNMENT", "https://management.usgovcloudapi.net"),
    ],
)
def test_known_clouds_need_no_request(name: str, resource_manager: str) -> None:
    cloud = auth.cloud_of(name)
    assert cloud.resource_manager == resource_manager and cloud.discovery
    assert cloud.arm_scope == f"{resource_manager}/.default"


CLOUD = {
    "resourceManager": f"{METADATA}/",
    "authentication": {"loginEndpoint": f"{METADATA}/"},
    "microsoftGraphResourceId": f"{METADATA}/",
}


@pytest.mark.parametrize(
    "answer",
    [
        CLOUD,
        [CLOUD],
        {"authentication": {"loginEndpoint": METADATA}, "graphAudience": METADATA},
    ],
)
def test_a_cloud_by_its_metadata(arm: Any, answer: Any) -> None:
    arm.expect("GET", "/metadata/endpoints", api_version="2022-09-01", json=answer)
    assert auth.cloud_of(f"{METADATA}/") == auth.Cloud(METADATA, METADATA, METADATA, discovery=False)


@pytest.mark.parametrize("answer", [{}, [], [1], {"authentication": None}, {"authentication": {}}, "text", None])
def test_an_address_that_is_no_cloud(arm: Any, answer: Any) -> None:
    arm.expect("GET", "/metadata/endpoints", json=answer)
    with pytest.raises(ModuleFailure, match="not with a cloud's metadata") as caught:
        auth.cloud_of(METADATA)
    assert caught.value.code == "UnknownCloud"


def test_a_cloud_that_refuses(arm: Any) -> None:
    arm.expect("GET", "/metadata/endpoints", status=404, json={})
    with pytest.raises(ModuleFailure, match=r"^Failed to read the cloud's metadata at .* \(option cloud_environment\)"):
        auth.cloud_of(METADATA)


class TestCredential:
    CLOUD = auth.CLOUDS["azurecloud"]

    @pytest.mark.parametrize(
        ("source", "kind"),
        [
            ("options", "ClientSecretCredential"),
            ("env", "ClientSecretCredential"),
            ("credential_file", "ClientSecretCredential"),
            ("cli", "AzureCliCredential"),
            ("msi", "ManagedIdentityCredential"),
            ("workload_identity", "WorkloadIdentityCredential"),
        ],
    )
    def test_kind(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, kind: str) -> None:
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
        sign_in = auth.SignIn(source, None, "tenant", "id", "secret", "AzureCloud")
        assert type(auth.credential_of(sign_in, self.CLOUD)).__name__ == kind

    def test_workload_identity_takes_its_ids_from_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
        monkeypatch.setenv("AZURE_CLIENT_ID", "id")
        sign_in = auth.SignIn("workload_identity", None, None, None, None, "AzureCloud")
        assert auth.credential_of(sign_in, self.CLOUD)

    @pytest.mark.parametrize("discovery", [True, False])
    def test_the_authority_is_the_clouds(self, monkeypatch: pytest.MonkeyPatch, discovery: bool) -> None:
        seen: dict[str, Any] = {}

        def remember(*args: str, **options: Any) -> None:
            seen.update(options, ids=args)

        monkeypatch.setattr("azure.identity.ClientSecretCredential", remember)
        cloud = auth.Cloud(METADATA, METADATA, METADATA, discovery=discovery)
        auth.credential_of(auth.SignIn("env", None, "t", "c", "s", METADATA), cloud)
        assert seen["ids"] == ("t", "c", "s") and seen["authority"] == METADATA
        assert seen.get("disable_instance_discovery", False) is not discovery


def test_warnings_of_azure_identity_do_not_reach_the_terminal() -> None:
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("azure").handlers)
