# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign-in over HTTP: discovery, tokens, cloud metadata, managed identity."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jwt.algorithms import RSAAlgorithm

from pgflex_lab.directory import AuthenticationFailed, Directory, ServicePrincipal
from pgflex_lab.tls import PUBLIC_HOSTS

ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
GRAPH_AUDIENCES = ("https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000")
DATABASE_AUDIENCES = ("https://ossrdbms-aad.database.windows.net",)
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def is_local(audience: str) -> bool:
    return (urlsplit(audience).hostname or "") in LOCAL_HOSTS


def audience_fits(audience: str, allowed: tuple[str, ...]) -> bool:
    return audience.rstrip("/") in allowed or is_local(audience)


def openid_configuration(directory: Directory, base: str, tenant: str) -> dict[str, Any]:
    """Entra answers for every tenant it knows; `adfs` has no v2.0 in its paths."""
    if not directory.is_this_tenant(tenant):
        raise unknown_tenant(tenant)
    root = f"{base}/{tenant}"
    v2 = "" if tenant.lower() == "adfs" else "/v2.0"
    issuer = f"{base}/adfs" if tenant.lower() == "adfs" else f"{base}/{directory.tenant_id}/v2.0"
    return {
        "token_endpoint": f"{root}/oauth2{v2}/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{root}/discovery{v2}/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer,
        "authorization_endpoint": f"{root}/oauth2{v2}/authorize",
        "device_authorization_endpoint": f"{root}/oauth2{v2}/devicecode",
        "end_session_endpoint": f"{root}/oauth2{v2}/logout",
        "tenant_region_scope": "NA",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
    }


def unknown_tenant(tenant: str) -> AuthenticationFailed:
    return AuthenticationFailed(
        400,
        "invalid_tenant",
        90002,
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct "
        "cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for "
        "the "
        "tenant.",
    )


def instance_discovery(base: str) -> dict[str, Any]:
    host = urlsplit(base).netloc
    return {
        "tenant_discovery_endpoint": f"{base}/common/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [
            {
                "preferred_network": "login.microsoftonline.com",
                "preferred_cache": "login.windows.net",
                "aliases": ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
            },
            {"preferred_network": host, "preferred_cache": host, "aliases": [host]},
        ],
    }


def signing_keys(directory: Directory) -> dict[str, Any]:
    key = json.loads(RSAAlgorithm.to_jwk(directory.key.public_key()))
    return {"keys": [{**key, "use": "sig", "kid": directory.key_id, "x5t": directory.key_id}]}


def token(directory: Directory, tenant: str, form_text: str) -> dict[str, Any]:
    """The token endpoint, both versions; raises AuthenticationFailed."""
    form = {name: values[0] for name, values in parse_qs(form_text).items()}
    if not directory.is_this_tenant(tenant):
        raise unknown_tenant(tenant)
    if form.get("grant_type") != "client_credentials":
        raise AuthenticationFailed(
            400,
            "unsupported_grant_type",
            70003,
            f"The app requested an unsupported grant type '{form.get('grant_type', '')}'.",
        )
    if not form.get("client_id"):
        raise AuthenticationFailed(
            400, "invalid_request", 900144, "The request body must contain the following parameter: 'client_id'."
        )
    audience = _audience(directory, form)
    principal = _principal(directory, tenant, form)
    return _token_answer(directory, principal, audience)


def _principal(directory: Directory, tenant: str, form: dict[str, str]) -> ServicePrincipal:
    if "client_assertion" in form:
        return directory.authenticate_assertion(tenant, form["client_id"], form["client_assertion"])
    if "client_secret" in form:
        return directory.authenticate(tenant, form["client_id"], form["client_secret"])
    raise AuthenticationFailed(
        401,
        "invalid_client",
        7000216,
        "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
    )


def _audience(directory: Directory, form: dict[str, str]) -> str:
    if "resource" in form:
        audience = form["resource"]
    else:
        scopes = [item for item in form.get("scope", "").split() if item not in ("openid", "profile", "offline_access")]
        if len(scopes) != 1 or not scopes[0].endswith("/.default"):
            raise AuthenticationFailed(
                400,
                "invalid_scope",
                1002012,
                f"The provided value for scope {form.get('scope', '')} is not valid. Client credential flows must have "
                "a "
                "scope value with /.default suffixed to the resource identifier (application ID URI).",
            )
        audience = scopes[0].removesuffix("/.default")
    known = ARM_AUDIENCES + GRAPH_AUDIENCES + DATABASE_AUDIENCES
    if not audience_fits(audience, known):
        raise AuthenticationFailed(
            400,
            "invalid_resource",
            500011,
            f"The resource principal named {audience} was not found in the tenant named {directory.display_name}. This "
            "can "
            "happen if the application has not been installed by the administrator of the tenant or consented to by "
            "any "
            "user in the tenant. You might have sent your authentication request to the wrong tenant.",
        )
    return audience


def _token_answer(directory: Directory, principal: ServicePrincipal, audience: str) -> dict[str, Any]:
    access_token, seconds = directory.issue_token(principal, audience)
    return {
        "token_type": "Bearer",
        "expires_in": seconds - 1,
        "ext_expires_in": seconds - 1,
        "access_token": access_token,
    }


def error_body(failure: AuthenticationFailed, correlation_id: str | None) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    trace, correlation = str(uuid.uuid4()), correlation_id or str(uuid.uuid4())
    return {
        "error": failure.error,
        "error_description": f"{failure} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}",
        "error_codes": [failure.code],
        "timestamp": now,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={failure.code}",
    }


def managed_identity_token(directory: Directory, query: dict[str, str]) -> dict[str, Any]:
    """As the instance metadata service answers; the seed names the identity."""
    client_id = query.get("client_id")
    identities = [item for item in directory.principals.values() if item.managed_identity]
    if client_id:
        identities = [item for item in identities if item.app_id == client_id.lower()]
    if not identities:
        raise AuthenticationFailed(400, "invalid_request", 0, "Identity not found")
    audience = query.get("resource", "")
    answer = _token_answer(directory, identities[0], audience)
    expires_on = int(datetime.now(UTC).timestamp()) + int(answer["expires_in"])
    return {
        "access_token": answer["access_token"],
        "client_id": identities[0].app_id,
        "expires_in": str(answer["expires_in"]),
        "expires_on": str(expires_on),
        "ext_expires_in": str(answer["ext_expires_in"]),
        "not_before": str(expires_on - int(answer["expires_in"])),
        "resource": audience,
        "token_type": "Bearer",
    }


def cloud_metadata(base: str, api_version: str) -> Any:
    """Three generations of the same page; through the proxy `base` is the public host and so are its neighbours."""
    public = (urlsplit(base).hostname or "") in PUBLIC_HOSTS
    arm = "https://management.azure.com" if public else base
    login = "https://login.microsoftonline.com" if public else base
    graph = "https://graph.microsoft.com" if public else base
    audiences = [arm, f"{arm}/"] if not public else [f"{item}/" for item in ARM_AUDIENCES]
    if api_version == "2015-01-01":
        return {
            "galleryEndpoint": "https://gallery.azure.com/",
            "graphEndpoint": "https://graph.windows.net/",
            "portalEndpoint": "https://portal.azure.com/",
            "authentication": {"loginEndpoint": f"{login}/", "audiences": audiences},
        }
    page: dict[str, Any] = {
        "portal": "https://portal.azure.com",
        "authentication": {
            "loginEndpoint": login,
            "audiences": audiences,
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "media": "https://rest.media.azure.net",
        "graphAudience": "https://graph.windows.net/",
        "graph": "https://graph.windows.net/",
        "name": "AzureCloud" if public else "PgflexLab",
        "suffixes": {
            "acrLoginServer": "azurecr.io",
            "keyVaultDns": "vault.azure.net",
            "storage": "core.windows.net",
            "sqlServerHostname": "database.windows.net",
            "postgresqlServerEndpoint": "postgres.database.azure.com",
        },
        "batch": "https://batch.core.windows.net/",
        "resourceManager": f"{arm}/",
        "vmImageAliasDoc": "https://raw.githubusercontent.com/Azure/azure-rest-api-specs/main/arm-compute/quickstart-templates/aliases.json",
        "activeDirectoryDataLake": "https://datalake.azure.net/",
        "sqlManagement": "https://management.core.windows.net:8443/",
        "gallery": "https://gallery.azure.com/",
        "microsoftGraphResourceId": f"{graph}/",
        "ossrdbmsResourceId": "https://ossrdbms-aad.database.windows.net",
    }
    return [page] if api_version == "2019-05-01" else page
