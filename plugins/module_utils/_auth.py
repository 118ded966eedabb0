# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who signs in, and where."""

from __future__ import annotations

import configparser
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._errors import HOW_TO_SIGN_IN, ModuleFailure, doing

# The first name is azure.azcollection's, the second azure-identity's; the first that is set counts.
ENVIRONMENT = {
    "subscription_id": ("AZURE_SUBSCRIPTION_ID",),
    "tenant": ("AZURE_TENANT", "AZURE_TENANT_ID"),
    "client_id": ("AZURE_CLIENT_ID",),
    "secret": ("AZURE_SECRET", "AZURE_CLIENT_SECRET"),
    "auth_source": ("ANSIBLE_AZURE_AUTH_SOURCE",),
    "profile": ("AZURE_PROFILE",),
    "cloud_environment": ("AZURE_CLOUD_ENVIRONMENT", "ANSIBLE_AZURE_CLOUD_ENVIRONMENT"),
}
NAMES = tuple(ENVIRONMENT)
SOURCES = ("auto", "env", "cli", "credential_file", "msi", "workload_identity")
SECRET_SOURCES = ("env", "credential_file")

# azure-identity warns of what it raises as well; unheard, that goes to the worker's stderr, and Ansible warns of that.
logging.getLogger("azure").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Cloud:
    """The endpoints of one Azure cloud; `discovery` says whether Entra's public instance discovery knows it."""

    resource_manager: str
    authority: str
    graph: str
    discovery: bool = True

    @property
    def arm_scope(self) -> str:
        return f"{self.resource_manager}/.default"

    @property
    def graph_scope(self) -> str:
        return f"{self.graph}/.default"


CLOUDS = {
    "azurecloud": Cloud(
        "https://management.azure.com", "https://login.microsoftonline.com", "https://graph.microsoft.com"
    ),
    "azurechinacloud": Cloud(
        "https://management.chinacloudapi.cn",
        "https://login.chinacloudapi.cn",
        "https://microsoftgraph.chinacloudapi.cn",
    ),
    "azureusgovernment": Cloud(
        "https://management.usgovcloudapi.net", "https://login.microsoftonline.us", "https://graph.microsoft.us"
    ),
}


@dataclass(frozen=True)
class SignIn:
    """Everything that decides who signs in where. Made without any request."""

    source: str
    subscription_id: str | None
    tenant: str | None
    client_id: str | None
    secret: str | None
    cloud_environment: str
    # Of az login; whoever else signs in is known by client_id.
    user: str | None = None

    def require_subscription(self) -> str:
        if not self.subscription_id:
            raise ModuleFailure(
                "subscription_id is missing: give the option, AZURE_SUBSCRIPTION_ID, or a profile that has it.",
                code="MissingSubscription",
            )
        return self.subscription_id


def from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, variables in ENVIRONMENT.items():
        value = next((environ[variable] for variable in variables if environ.get(variable)), None)
        if value:
            found[name] = value
    return found


def read_profile(profile: str) -> dict[str, str]:
    """The section `profile` of ~/.azure/credentials, empty where there is none."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(Path("~/.azure/credentials").expanduser(), encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        # The parser's own words quote the line, which may hold the secret; so nothing of it is passed on.
        raise ModuleFailure(
            "~/.azure/credentials is not a file of [profile] sections with name=value lines.",
            code="MissingCredentials",
        ) from None
    return dict(parser[profile]) if parser.has_section(profile) else {}


def cli_account(environ: Mapping[str, str]) -> dict[str, str]:
    """Subscription, tenant and user that `az account set` chose last, empty where az has not signed in."""
    folder = Path(environ.get("AZURE_CONFIG_DIR") or "~/.azure").expanduser()
    try:
        profile = json.loads((folder / "azureProfile.json").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    for account in profile.get("subscriptions", []):
        if account.get("isDefault"):
            user = (account.get("user") or {}).get("name") or ""
            return {"subscription_id": account["id"], "tenant": account["tenantId"], "user": user}
    return {}


def resolve(
    params: Mapping[str, Any],
    environ: Mapping[str, str],
    profile_of: Callable[[str], dict[str, str]] = read_profile,
    account_of: Callable[[Mapping[str, str]], dict[str, str]] = cli_account,
) -> SignIn:
    """Which identity the options, the environment and the files of this user mean, in that order, without a request.

    `auto` takes the first of: a client_id or secret given as options, a profile that is named, the environment, the
    profile `default`, the account that az signed in with.
    """
    options = {name: params[name] for name in NAMES if params.get(name)}
    env = from_environment(environ)
    source = options.get("auth_source") or env.get("auth_source") or "auto"
    if source not in SOURCES:
        raise ModuleFailure(
            f"auth_source {source!r}, from ANSIBLE_AZURE_AUTH_SOURCE, is none of {', '.join(SOURCES)}.",
            code="MissingCredentials",
        )
    named = options.get("profile") or env.get("profile")
    profile_name = named or "default"
    profile = profile_of(profile_name) if source in ("auto", "credential_file") else {}
    if source == "auto":
        source = _first_source(options, env, profile, federated=bool(environ.get("AZURE_FEDERATED_TOKEN_FILE")))
    if source == "credential_file" and not profile:
        raise ModuleFailure(
            f"profile {profile_name!r} is not in ~/.azure/credentials.", code="MissingCredentials", hint=HOW_TO_SIGN_IN
        )
    values = {
        "options": {**env, **options},
        "env": {**env, **options},
        "credential_file": {**env, **profile, **options},
        "cli": {**account_of(environ), **_without_client(env), **_without_client(options)},
    }.get(source, {**env, **options})
    sign_in = SignIn(
        source=source,
        subscription_id=values.get("subscription_id"),
        tenant=values.get("tenant"),
        client_id=values.get("client_id"),
        secret=values.get("secret"),
        cloud_environment=values.get("cloud_environment") or "AzureCloud",
        user=values.get("user") if source == "cli" else None,
    )
    _validate(sign_in)
    return sign_in


def _without_client(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in ("client_id", "secret")}


def _first_source(
    options: Mapping[str, str], env: Mapping[str, str], profile: Mapping[str, str], *, federated: bool
) -> str:
    given = {**env, **options}
    complete = bool(given.get("client_id") and given.get("secret"))
    optional = bool(options.get("client_id") or options.get("secret"))
    if complete and optional:
        return "options"
    if given.get("profile"):
        return "credential_file"
    if complete:
        return "env"
    if federated and given.get("client_id"):
        return "workload_identity"
    if profile.get("client_id"):
        return "credential_file"
    # Half a sign-in among the options is a mistake to tell, not a reason to sign in as somebody else.
    return "options" if optional else "cli"


def _validate(sign_in: SignIn) -> None:
    if sign_in.source in ("options", *SECRET_SOURCES):
        missing = [name for name in ("client_id", "secret", "tenant") if not getattr(sign_in, name)]
        if missing:
            raise ModuleFailure(
                f"Sign-in with auth_source {sign_in.source} lacks {', '.join(missing)}.",
                code="MissingCredentials",
                hint=HOW_TO_SIGN_IN,
            )
    # azure-identity raises a ValueError for anything else, in the middle of the first request.
    if sign_in.tenant and not re.fullmatch(r"[0-9A-Za-z.-]+", sign_in.tenant):
        raise ModuleFailure(
            f"tenant {sign_in.tenant!r} is neither the GUID nor a domain of an Entra tenant.", code="InvalidTenant"
        )
    cloud = sign_in.cloud_environment
    if cloud.lower() not in CLOUDS and not cloud.startswith("https://"):
        raise ModuleFailure(
            f"cloud_environment {cloud!r} is neither a cloud's name ({', '.join(CLOUD_NAMES)}) "
            "nor an https:// metadata URL.",
            code="UnknownCloud",
        )


CLOUD_NAMES = ("AzureCloud", "AzureChinaCloud", "AzureUSGovernment")


def cloud_of(name: str) -> Cloud:
    """A known cloud by name, any other by what its metadata URL answers (one request)."""
    known = CLOUDS.get(name.lower())
    return known or _cloud_from_metadata(name.rstrip("/"))


def _cloud_from_metadata(url: str) -> Cloud:
    from azure.core import PipelineClient
    from azure.core.rest import HttpRequest

    client: Any = PipelineClient(url)
    request = HttpRequest("GET", f"{url}/metadata/endpoints", params={"api-version": "2022-09-01"})
    with doing(f"read the cloud's metadata at {url} (option cloud_environment)"):
        answer = client.send_request(request)
        answer.raise_for_status()
    try:
        body = answer.json()
        # Older api-versions answer with a list of clouds, of which the first is the one asked.
        found = body[0] if isinstance(body, list) else body
        return Cloud(
            resource_manager=(found.get("resourceManager") or url).rstrip("/"),
            authority=found["authentication"]["loginEndpoint"].rstrip("/"),
            graph=(found.get("microsoftGraphResourceId") or found["graphAudience"]).rstrip("/"),
            discovery=False,
        )
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        raise ModuleFailure(
            f"cloud_environment {url} answers, but not with a cloud's metadata.",
            code="UnknownCloud",
            hint="It has to be the URL under which /metadata/endpoints is found.",
        ) from error


def credential_of(sign_in: SignIn, cloud: Cloud) -> Any:
    """The azure-identity credential for a sign-in; makes no request by itself."""
    from azure import identity

    where: dict[str, Any] = {"authority": cloud.authority}
    if not cloud.discovery:
        where["disable_instance_discovery"] = True
    if sign_in.source == "cli":
        return identity.AzureCliCredential(tenant_id=sign_in.tenant or "")
    if sign_in.source == "msi":
        return identity.ManagedIdentityCredential(client_id=sign_in.client_id)
    if sign_in.source == "workload_identity":
        ids = {"tenant_id": sign_in.tenant, "client_id": sign_in.client_id}
        # Left out, azure-identity takes them from the environment itself.
        return identity.WorkloadIdentityCredential(**{k: v for k, v in ids.items() if v}, **where)
    return identity.ClientSecretCredential(sign_in.tenant or "", sign_in.client_id or "", sign_in.secret or "", **where)


def sign_in_of(params: Mapping[str, Any]) -> SignIn:
    return resolve(params, os.environ)
