# SPDX-License-Identifier: GPL-3.0-or-later
"""The tenant: applications, service principals, users, secrets and tokens. HTTP is in entra.py and graph.py."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from pgflex_lab.settings import Clock, Settings

WORKLOAD_AUDIENCE = "api://AzureADTokenExchange"
SECRET_ALPHABET = string.ascii_letters + string.digits + "._-~"


class AuthenticationFailed(Exception):
    """What Entra says: `code` is the AADSTS number."""

    def __init__(self, status: int, error: str, code: int, text: str) -> None:
        super().__init__(f"AADSTS{code}: {text}")
        self.status = status
        self.error = error
        self.code = code
        self.text = text


class InvalidToken(Exception):
    """`code` and `text` are ARM's words for what is wrong with an access token."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass
class Secret:
    """The value itself is not kept."""

    key_id: str
    digest: str
    hint: str
    display_name: str | None
    start: datetime
    end: datetime
    valid_from: float
    """Monotonic time at which sign-in knows it."""


@dataclass
class Application:
    id: str
    app_id: str
    body: dict[str, Any]
    created_by: str
    listed_from: float
    secrets: list[Secret] = field(default_factory=list)
    federated: list[dict[str, Any]] = field(default_factory=list)

    @property
    def display_name(self) -> str:
        return str(self.body["displayName"])


@dataclass
class ServicePrincipal:
    id: str
    app_id: str
    body: dict[str, Any]
    created_by: str
    listed_from: float
    known_to_arm_from: float
    graph_permissions: frozenset[str] = frozenset()
    managed_identity: bool = False


@dataclass(frozen=True)
class Caller:
    """Who a valid access token speaks for."""

    object_id: str
    app_id: str


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


class Directory:
    """One Entra tenant. Thread-safe through `lock`."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.lock = threading.RLock()
        self.tenant_id = str(uuid.uuid4())
        self.domain = "lab.onmicrosoft.com"
        self.display_name = "pgflex lab"
        self.applications: dict[str, Application] = {}
        self.principals: dict[str, ServicePrincipal] = {}
        self.users: dict[str, dict[str, Any]] = {}
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.key_id = uuid.uuid4().hex

    def is_this_tenant(self, tenant: str) -> bool:
        return tenant.lower() in (self.tenant_id.lower(), self.domain.lower(), "adfs", "common", "organizations")

    # Applications and principals

    def add_application(self, body: dict[str, Any], created_by: str, *, app_id: str | None = None) -> Application:
        application = Application(
            id=str(uuid.uuid4()),
            app_id=app_id or str(uuid.uuid4()),
            body=body,
            created_by=created_by,
            listed_from=self._later(self.settings.application_lag),
        )
        with self.lock:
            self.applications[application.id] = application
        return application

    def add_principal(
        self, app_id: str, body: dict[str, Any], created_by: str, *, object_id: str | None = None
    ) -> ServicePrincipal:
        principal = ServicePrincipal(
            id=object_id or str(uuid.uuid4()),
            app_id=app_id,
            body=body,
            created_by=created_by,
            listed_from=self._later(self.settings.application_lag),
            known_to_arm_from=self._later(self.settings.principal_lag),
        )
        with self.lock:
            self.principals[principal.id] = principal
        return principal

    def delete_application(self, application: Application) -> None:
        """Its principals in this tenant go with it."""
        with self.lock:
            self.applications.pop(application.id, None)
            for principal in [item for item in self.principals.values() if item.app_id == application.app_id]:
                del self.principals[principal.id]

    def application_of(self, app_id: str) -> Application | None:
        with self.lock:
            return next((item for item in self.applications.values() if item.app_id == app_id.lower()), None)

    def principal_of(self, app_id: str) -> ServicePrincipal | None:
        with self.lock:
            return next((item for item in self.principals.values() if item.app_id == app_id.lower()), None)

    def principal_type(self, object_id: str, *, lag_share: float = 1.0) -> str | None:
        """`ServicePrincipal` or `User` when ARM knows the object by now, else None.

        `lag_share` below 1 looks that much earlier into the replication delay.
        """
        with self.lock:
            if object_id.lower() in self.users:
                return "User"
            principal = self.principals.get(object_id.lower())
        if principal is None:
            return None
        early = self.clock.scaled(self.settings.principal_lag) * (1.0 - lag_share)
        return "ServicePrincipal" if self.clock.monotonic() >= principal.known_to_arm_from - early else None

    # Secrets

    def add_secret(
        self,
        application: Application,
        *,
        display_name: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        value: str | None = None,
        lag: bool = True,
    ) -> tuple[Secret, str]:
        """The secret as kept and its value, which cannot be had again."""
        text = value or "".join(secrets.choice(SECRET_ALPHABET) for _each in range(40))
        begin = start or datetime.now(UTC)
        kept = Secret(
            key_id=str(uuid.uuid4()),
            digest=_digest(text),
            hint=text[:3],
            display_name=display_name,
            start=begin,
            end=end or begin + timedelta(days=730),
            valid_from=self._later(self.settings.secret_lag if lag else 0.0),
        )
        with self.lock:
            application.secrets.append(kept)
        return kept, text

    def authenticate(self, tenant: str, client_id: str, secret: str) -> ServicePrincipal:
        """Signs an application in with its secret; raises AuthenticationFailed as Entra would."""
        application = self._known_application(tenant, client_id)
        matching = [item for item in application.secrets if hmac.compare_digest(item.digest, _digest(secret))]
        usable = [item for item in matching if self.clock.monotonic() >= item.valid_from]
        if not usable:
            raise AuthenticationFailed(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                "value, "
                f"not the client secret ID, for a secret added to app '{client_id}'.",
            )
        if all(item.end <= datetime.now(UTC) for item in usable):
            raise AuthenticationFailed(
                401,
                "invalid_client",
                7000222,
                f"The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal to create "
                "new "
                "keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for "
                "added "
                "security: https://aka.ms/certCreds.",
            )
        return self._signed_in(application)

    def authenticate_assertion(self, tenant: str, client_id: str, assertion: str) -> ServicePrincipal:
        """Workload identity: the token must be signed by the lab's own issuer and match a federated credential."""
        application = self._known_application(tenant, client_id)
        try:
            claims = jwt.decode(assertion, self.key.public_key(), algorithms=["RS256"], audience=WORKLOAD_AUDIENCE)
        except jwt.ExpiredSignatureError:
            raise AuthenticationFailed(
                401, "invalid_client", 700024, "Client assertion is not within its valid time range."
            ) from None
        except jwt.PyJWTError:
            raise AuthenticationFailed(
                401, "invalid_client", 700027, "Client assertion failed signature validation."
            ) from None
        for credential in application.federated:
            if claims.get("iss") == credential["issuer"] and claims.get("sub") == credential["subject"]:
                return self._signed_in(application)
        raise AuthenticationFailed(
            401,
            "invalid_client",
            700213,
            f"No matching federated identity record found for presented assertion subject '{claims.get('sub')}'.",
        )

    def _known_application(self, tenant: str, client_id: str) -> Application:
        if not self.is_this_tenant(tenant):
            raise AuthenticationFailed(
                400,
                "invalid_request",
                90002,
                f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into "
                "the "
                "correct cloud. Check with your subscription administrator, this may happen if there are no active "
                "subscriptions for the tenant.",
            )
        application = self.application_of(client_id)
        if application is None:
            raise AuthenticationFailed(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory '{self.display_name}'. This "
                "can "
                "happen if the application has not been installed by the administrator of the tenant or consented to "
                "by "
                "any user in the tenant. You may have sent your authentication request to the wrong tenant.",
            )
        return application

    def _signed_in(self, application: Application) -> ServicePrincipal:
        principal = self.principal_of(application.app_id)
        if principal is None or not principal.body.get("accountEnabled", True):
            raise AuthenticationFailed(
                401,
                "invalid_client",
                7000229,
                f"The client application '{application.app_id}' is missing service principal in the tenant "
                f"'{self.tenant_id}'.",
            )
        return principal

    # Tokens

    def issue_token(self, principal: ServicePrincipal, audience: str) -> tuple[str, int]:
        """An access token and its life in seconds."""
        seconds = int(self.settings.token_seconds)
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "appid": principal.app_id,
            "appidacr": "1",
            "idp": f"https://sts.windows.net/{self.tenant_id}/",
            "idtyp": "app",
            "oid": principal.id,
            "sub": principal.id,
            "tid": self.tenant_id,
            "roles": sorted(principal.graph_permissions),
            "uti": secrets.token_urlsafe(12),
            "ver": "1.0",
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.key_id}), seconds

    def issue_workload_token(self, issuer: str, subject: str, seconds: int = 86400) -> str:
        """What a Kubernetes cluster would put into a pod for workload identity."""
        now = int(datetime.now(UTC).timestamp())
        claims = {"aud": WORKLOAD_AUDIENCE, "iss": issuer, "sub": subject, "iat": now, "nbf": now, "exp": now + seconds}
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.key_id})

    def verify_token(self, authorization: str | None) -> tuple[Caller, str]:
        """The caller and the token's audience; raises InvalidToken."""
        scheme, _separator, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise InvalidToken("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        try:
            claims = jwt.decode(
                token, self.key.public_key(), algorithms=["RS256"], options={"verify_aud": False, "verify_iat": False}
            )
        except jwt.ExpiredSignatureError:
            raise InvalidToken(
                "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time."
            ) from None
        except jwt.PyJWTError:
            raise InvalidToken("InvalidAuthenticationToken", "The access token is invalid.") from None
        return Caller(str(claims["oid"]), str(claims["appid"])), str(claims["aud"])

    def _later(self, azure_seconds: float) -> float:
        return self.clock.monotonic() + self.clock.scaled(azure_seconds)
