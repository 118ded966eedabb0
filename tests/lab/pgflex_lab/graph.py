# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft Graph v1.0, as far as application registrations need it."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from pgflex_lab.directory import Application, Directory, Secret, ServicePrincipal
from pgflex_lab.graph_filter import InvalidFilter, compile_filter

AUDIENCES = ("AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount")
READ_APPLICATIONS = frozenset(
    {
        "Application.Read.All",
        "Application.ReadWrite.All",
        "Application.ReadWrite.OwnedBy",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    }
)
WRITE_APPLICATIONS = frozenset({"Application.ReadWrite.All", "Directory.ReadWrite.All"})
OWNED = "Application.ReadWrite.OwnedBy"
READ_USERS = frozenset({"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"})
READ_ORGANIZATION = frozenset({"Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"})
READ_ONLY = {"id", "appId", "createdDateTime", "deletedDateTime", "publisherDomain", "passwordCredentials"}
MAX_TOP = 999
KEY = r"(?:/(?P<id>[^/()]+)|\((?P<alternate>[^()]+)\))"
QUALIFIED = r"(?:microsoft\.graph\.)?"


class GraphError(Exception):
    """Becomes Graph's error body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def body(self, request_id: str, client_request_id: str | None) -> dict[str, Any]:
        inner = {
            "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": client_request_id or request_id,
        }
        return {"error": {"code": self.code, "message": self.message, "innerError": inner}}


@dataclass(frozen=True)
class GraphRequest:
    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    caller: ServicePrincipal
    base_url: str

    def text(self, name: str, default: str | None = None) -> str:
        value = self.body.get(name, default) if isinstance(self.body, dict) else default
        if not isinstance(value, str) or not value:
            raise GraphError(400, "Request_BadRequest", f"Invalid value specified for property '{name}' of resource.")
        return value


Answer = tuple[int, Any]
Handler = Callable[[GraphRequest, str], Answer]


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: Any) -> datetime | None:
    if text is None:
        return None
    try:
        if not isinstance(text, str):
            raise ValueError
        # Graph prints seven digits, Python reads six.
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00"))
    except ValueError:
        raise GraphError(
            400, "Request_BadRequest", f"Cannot convert the literal '{text}' to the expected type 'Edm.DateTimeOffset'."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def not_found(key: str) -> GraphError:
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{key}' does not exist or one of its queried reference-property objects are not present.",
    )


def application_template(domain: str) -> dict[str, Any]:
    return {
        "deletedDateTime": None,
        "applicationTemplateId": None,
        "disabledByMicrosoftStatus": None,
        "createdDateTime": iso(datetime.now(UTC)),
        "displayName": None,
        "description": None,
        "groupMembershipClaims": None,
        "identifierUris": [],
        "isDeviceOnlyAuthSupported": None,
        "isFallbackPublicClient": None,
        "nativeAuthenticationApisEnabled": None,
        "notes": None,
        "publisherDomain": domain,
        "serviceManagementReference": None,
        "signInAudience": "AzureADMyOrg",
        "tags": [],
        "tokenEncryptionKeyId": None,
        "uniqueName": None,
        "samlMetadataUrl": None,
        "defaultRedirectUri": None,
        "certification": None,
        "optionalClaims": None,
        "requestSignatureVerification": None,
        "servicePrincipalLockConfiguration": None,
        "addIns": [],
        "api": {
            "acceptMappedClaims": None,
            "knownClientApplications": [],
            "requestedAccessTokenVersion": None,
            "oauth2PermissionScopes": [],
            "preAuthorizedApplications": [],
        },
        "appRoles": [],
        "info": {
            "logoUrl": None,
            "marketingUrl": None,
            "privacyStatementUrl": None,
            "supportUrl": None,
            "termsOfServiceUrl": None,
        },
        "keyCredentials": [],
        "parentalControlSettings": {"countriesBlockedForMinors": [], "legalAgeGroupRule": "Allow"},
        "publicClient": {"redirectUris": []},
        "requiredResourceAccess": [],
        "verifiedPublisher": {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None},
        "web": {
            "homePageUrl": None,
            "logoutUrl": None,
            "redirectUris": [],
            "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False},
            "redirectUriSettings": [],
        },
        "spa": {"redirectUris": []},
    }


def principal_body(application: Application, tenant_id: str) -> dict[str, Any]:
    return {
        "deletedDateTime": None,
        "accountEnabled": True,
        "alternativeNames": [],
        "appDisplayName": application.display_name,
        "appDescription": None,
        "applicationTemplateId": None,
        "appOwnerOrganizationId": tenant_id,
        "appRoleAssignmentRequired": False,
        "description": None,
        "disabledByMicrosoftStatus": None,
        "displayName": application.display_name,
        "homepage": None,
        "loginUrl": None,
        "logoutUrl": None,
        "notes": None,
        "notificationEmailAddresses": [],
        "preferredSingleSignOnMode": None,
        "preferredTokenSigningKeyThumbprint": None,
        "replyUrls": [],
        "servicePrincipalNames": [application.app_id],
        "servicePrincipalType": "Application",
        "signInAudience": application.body["signInAudience"],
        "tags": [],
        "tokenEncryptionKeyId": None,
        "samlSingleSignOnSettings": None,
        "addIns": [],
        "appRoles": [],
        "info": copy.deepcopy(application.body["info"]),
        "keyCredentials": [],
        "oauth2PermissionScopes": [],
        "passwordCredentials": [],
        "resourceSpecificApplicationPermissions": [],
        "verifiedPublisher": {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None},
    }


def secret_body(secret: Secret, value: str | None = None) -> dict[str, Any]:
    return {
        "customKeyIdentifier": None,
        "displayName": secret.display_name,
        "endDateTime": iso(secret.end),
        "hint": secret.hint,
        "keyId": secret.key_id,
        "secretText": value,
        "startDateTime": iso(secret.start),
    }


def _merged(old: Any, new: Any) -> Any:
    """Of complex values, at any depth, what was not sent stays as it is."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return old | {name: _merged(old.get(name), value) for name, value in new.items()}


class Graph:
    """One route table; the key of an object is its id or `(appId='...')`."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        table: list[tuple[str, str, Handler, frozenset[str]]] = [
            ("GET", r"/applications", self.list_applications, READ_APPLICATIONS),
            ("POST", r"/applications", self.create_application, WRITE_APPLICATIONS),
            ("GET", rf"/applications{KEY}", self.get_application, READ_APPLICATIONS),
            ("PATCH", rf"/applications{KEY}", self.update_application, WRITE_APPLICATIONS),
            ("DELETE", rf"/applications{KEY}", self.delete_application, WRITE_APPLICATIONS),
            ("POST", rf"/applications{KEY}/{QUALIFIED}addPassword", self.add_password, WRITE_APPLICATIONS),
            (
                "POST",
                rf"/applications{KEY}/{QUALIFIED}removePassword",
                self.remove_password,
                WRITE_APPLICATIONS,
            ),
            ("GET", r"/servicePrincipals", self.list_principals, READ_APPLICATIONS),
            ("POST", r"/servicePrincipals", self.create_principal, WRITE_APPLICATIONS),
            ("GET", rf"/servicePrincipals{KEY}", self.get_principal, READ_APPLICATIONS),
            ("PATCH", rf"/servicePrincipals{KEY}", self.update_principal, WRITE_APPLICATIONS),
            ("DELETE", rf"/servicePrincipals{KEY}", self.delete_principal, WRITE_APPLICATIONS),
            ("GET", r"/users", self.list_users, READ_USERS),
            ("GET", rf"/users{KEY}", self.get_user, READ_USERS),
            ("GET", r"/organization", self.organization, READ_ORGANIZATION),
            ("GET", r"/me", self.me, frozenset()),
        ]
        self._table = [
            (method, re.compile(pattern, re.IGNORECASE), handler, needed) for method, pattern, handler, needed in table
        ]

    def routes(self) -> list[tuple[str, str]]:
        """Methods and paths, objects by their id."""
        return [
            (method, pattern.pattern.replace(KEY, "/{id}").replace(QUALIFIED, ""))
            for method, pattern, _handler, _needed in self._table
        ]

    def handle(self, request: GraphRequest) -> Answer:
        methods = []
        for method, pattern, handler, needed in self._table:
            match = pattern.fullmatch(request.path)
            if match is None:
                continue
            methods.append(method)
            if method == request.method:
                key = self._key(match.groupdict())
                self._authorize(request, key, needed)
                with self._directory.lock:
                    return handler(request, key)
        if methods:
            raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
        segment = request.path.strip("/").split("/")[0]
        raise GraphError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")

    @staticmethod
    def _key(groups: Mapping[str, str | None]) -> str:
        if groups.get("alternate"):
            name, _separator, value = str(groups["alternate"]).partition("=")
            if name.strip().lower() != "appid":
                raise GraphError(400, "Request_BadRequest", f"'{name}' is not an alternate key.")
            return f"appId={value.strip().strip(chr(39))}"
        return (groups.get("id") or "").lower()

    def _authorize(self, request: GraphRequest, key: str, needed: frozenset[str]) -> None:
        """OwnedBy lets a caller make applications and change those it made."""
        granted = request.caller.graph_permissions
        if not needed or granted & needed:
            return
        if OWNED in granted and needed is WRITE_APPLICATIONS:
            if request.method == "POST" and not key:
                return
            owner = self._application(key) or self._principal(key)
            if owner is not None and owner.created_by == request.caller.id:
                return
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")

    # Applications

    def _application(self, key: str) -> Application | None:
        if key.startswith("appId="):
            return self._directory.application_of(key.removeprefix("appId="))
        return self._directory.applications.get(key)

    def _require_application(self, key: str) -> Application:
        found = self._application(key)
        if found is None:
            raise not_found(key.removeprefix("appId="))
        return found

    @staticmethod
    def _application_view(application: Application) -> dict[str, Any]:
        view = {"id": application.id, "appId": application.app_id, **copy.deepcopy(application.body)}
        view["passwordCredentials"] = [secret_body(item) for item in application.secrets]
        return view

    def list_applications(self, request: GraphRequest, key: str) -> Answer:
        now = self._directory.clock.monotonic()
        views = [
            self._application_view(item) for item in self._directory.applications.values() if item.listed_from <= now
        ]
        return 200, self._list(request, "applications", views)

    def create_application(self, request: GraphRequest, key: str) -> Answer:
        body = application_template(self._directory.domain)
        body["displayName"] = request.text("displayName")
        self._overlay(body, request.body, "Application")
        if body["signInAudience"] not in AUDIENCES:
            raise GraphError(
                400,
                "Request_BadRequest",
                "Invalid value specified for property 'signInAudience' of resource 'Application'.",
            )
        application = self._directory.add_application(body, request.caller.id)
        return 201, self._entity(request, "applications", self._application_view(application))

    def get_application(self, request: GraphRequest, key: str) -> Answer:
        view = self._application_view(self._require_application(key))
        return 200, self._entity(request, "applications", view)

    def update_application(self, request: GraphRequest, key: str) -> Answer:
        application = self._require_application(key)
        if not isinstance(request.body, dict):
            raise GraphError(400, "BadRequest", "Empty Payload. JSON content expected.")
        draft = copy.deepcopy(application.body)
        self._overlay(draft, request.body, "Application")
        if not draft["displayName"] or draft["signInAudience"] not in AUDIENCES:
            raise GraphError(
                400, "Request_BadRequest", "Invalid value specified for a property of resource 'Application'."
            )
        application.body = draft
        principal = self._directory.principal_of(application.app_id)
        if principal is not None:
            principal.body["appDisplayName"] = principal.body["displayName"] = draft["displayName"]
        return 204, None

    def delete_application(self, request: GraphRequest, key: str) -> Answer:
        self._directory.delete_application(self._require_application(key))
        return 204, None

    @staticmethod
    def _overlay(body: dict[str, Any], changes: Any, kind: str) -> None:
        for name, value in (changes if isinstance(changes, dict) else {}).items():
            if name.startswith("@odata") or (name in READ_ONLY and value in (None, [])):
                continue
            if name in READ_ONLY:
                raise GraphError(400, "Request_BadRequest", f"Property '{name}' is read-only and cannot be set.")
            if name not in body:
                raise GraphError(
                    400,
                    "Request_BadRequest",
                    f"The property '{name}' does not exist on type 'microsoft.graph.{kind.lower()}'.",
                )
            body[name] = _merged(body[name], value)

    # Secrets

    def add_password(self, request: GraphRequest, key: str) -> Answer:
        application = self._require_application(key)
        wanted = request.body.get("passwordCredential") if isinstance(request.body, dict) else None
        wanted = wanted if isinstance(wanted, dict) else {}
        start, end = parse_time(wanted.get("startDateTime")), parse_time(wanted.get("endDateTime"))
        if end is not None and end <= (start or datetime.now(UTC)):
            raise GraphError(
                400, "Request_BadRequest", "Invalid password credential: the end date must be after the start date."
            )
        secret, value = self._directory.add_secret(
            application, display_name=wanted.get("displayName"), start=start, end=end
        )
        context = f"{request.base_url}/v1.0/$metadata#microsoft.graph.passwordCredential"
        return 200, {"@odata.context": context, **secret_body(secret, value)}

    def remove_password(self, request: GraphRequest, key: str) -> Answer:
        application = self._require_application(key)
        key_id = request.text("keyId").lower()
        kept = [item for item in application.secrets if item.key_id != key_id]
        if len(kept) == len(application.secrets):
            raise GraphError(400, "Request_BadRequest", f"No password credential found with keyId '{key_id}'.")
        application.secrets[:] = kept
        return 204, None

    # Service principals

    def _principal(self, key: str) -> ServicePrincipal | None:
        if key.startswith("appId="):
            return self._directory.principal_of(key.removeprefix("appId="))
        return self._directory.principals.get(key)

    def _require_principal(self, key: str) -> ServicePrincipal:
        found = self._principal(key)
        if found is None:
            raise not_found(key.removeprefix("appId="))
        return found

    @staticmethod
    def _principal_view(principal: ServicePrincipal) -> dict[str, Any]:
        return {"id": principal.id, "appId": principal.app_id, **copy.deepcopy(principal.body)}

    def list_principals(self, request: GraphRequest, key: str) -> Answer:
        now = self._directory.clock.monotonic()
        views = [self._principal_view(item) for item in self._directory.principals.values() if item.listed_from <= now]
        return 200, self._list(request, "servicePrincipals", views)

    def create_principal(self, request: GraphRequest, key: str) -> Answer:
        app_id = request.text("appId").lower()
        application = self._directory.application_of(app_id)
        if application is None:
            raise GraphError(
                400,
                "Request_BadRequest",
                f"The appId '{app_id}' of the service principal does not reference a valid application object.",
            )
        if self._directory.principal_of(app_id) is not None:
            raise GraphError(
                409,
                "Request_MultipleObjectsWithSameKeyValue",
                "The service principal cannot be created, updated, or restored because the service principal name "
                f"{app_id} is already in use.",
            )
        body = principal_body(application, self._directory.tenant_id)
        # The type is what Entra makes of it, whatever was sent: azure.azcollection writes "application".
        given = {name: value for name, value in request.body.items() if name not in ("appId", "servicePrincipalType")}
        self._overlay(body, given, "servicePrincipal")
        principal = self._directory.add_principal(app_id, body, request.caller.id)
        return 201, self._entity(request, "servicePrincipals", self._principal_view(principal))

    def get_principal(self, request: GraphRequest, key: str) -> Answer:
        return 200, self._entity(request, "servicePrincipals", self._principal_view(self._require_principal(key)))

    def update_principal(self, request: GraphRequest, key: str) -> Answer:
        principal = self._require_principal(key)
        draft = copy.deepcopy(principal.body)
        self._overlay(draft, request.body, "servicePrincipal")
        principal.body = draft
        return 204, None

    def delete_principal(self, request: GraphRequest, key: str) -> Answer:
        del self._directory.principals[self._require_principal(key).id]
        return 204, None

    # Users and the tenant

    def list_users(self, request: GraphRequest, key: str) -> Answer:
        return 200, self._list(request, "users", list(self._directory.users.values()))

    def get_user(self, request: GraphRequest, key: str) -> Answer:
        for user in self._directory.users.values():
            if key in (user["id"].lower(), user["userPrincipalName"].lower()):
                return 200, self._entity(request, "users", user)
        raise not_found(key)

    def organization(self, request: GraphRequest, key: str) -> Answer:
        tenant = {
            "id": self._directory.tenant_id,
            "displayName": self._directory.display_name,
            "tenantType": "AAD",
            "createdDateTime": "2020-01-01T00:00:00Z",
            "countryLetterCode": "US",
            "verifiedDomains": [
                {
                    "capabilities": "Email",
                    "isDefault": True,
                    "isInitial": True,
                    "name": self._directory.domain,
                    "type": "Managed",
                }
            ],
        }
        return 200, self._list(request, "organization", [tenant])

    def me(self, request: GraphRequest, key: str) -> Answer:
        raise GraphError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")

    # Query options

    @staticmethod
    def _selected(query: Mapping[str, str]) -> set[str]:
        return {item.strip() for item in query.get("$select", "").split(",") if item.strip()}

    def _entity(self, request: GraphRequest, kind: str, view: dict[str, Any]) -> dict[str, Any]:
        selected = self._selected(request.query)
        shown = {name: value for name, value in view.items() if not selected or name in selected}
        fields = f"({','.join(sorted(selected))})" if selected else ""
        return {"@odata.context": f"{request.base_url}/v1.0/$metadata#{kind}{fields}/$entity", **shown}

    def _list(self, request: GraphRequest, kind: str, views: list[dict[str, Any]]) -> dict[str, Any]:
        query = request.query
        try:
            keep = compile_filter(query.get("$filter", ""))
            top = int(query.get("$top", "100"))
            start = int(query.get("$skiptoken", "0"))
        except InvalidFilter as error:
            raise GraphError(400, "BadRequest", f"Invalid filter clause: {error}") from None
        except ValueError:
            raise GraphError(400, "BadRequest", "Invalid value for a paging option.") from None
        if not 0 < top <= MAX_TOP:
            raise GraphError(
                400, "BadRequest", f"Invalid page size specified: '{top}'. Must be between 1 and {MAX_TOP} inclusive."
            )
        found = [view for view in views if keep(view)]
        selected = self._selected(query)
        page = [
            {name: value for name, value in view.items() if not selected or name in selected}
            for view in found[start : start + top]
        ]
        answer: dict[str, Any] = {"@odata.context": f"{request.base_url}/v1.0/$metadata#{kind}"}
        if query.get("$count", "").lower() == "true":
            answer["@odata.count"] = len(found)
        if start + top < len(found):
            following = urlencode({**query, "$skiptoken": str(start + top)})
            answer["@odata.nextLink"] = f"{request.base_url}/v1.0/{kind}?{following}"
        return {**answer, "value": page}
