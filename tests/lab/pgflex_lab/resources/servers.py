# SPDX-License-Identifier: GPL-3.0-or-later
"""What Single and Flexible Servers share: families, clusters, readiness, names, public addresses."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.clusters import Cluster, Kind

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

DOMAIN = "postgres.database.azure.com"
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")
RESERVED_LOGINS = {
    "azure_superuser",
    "azure_pg_admin",
    "azuresu",
    "admin",
    "administrator",
    "root",
    "guest",
    "public",
    "replication",
}


@dataclass(frozen=True)
class Family:
    """A kind of server, and how its API differs."""

    kind: Kind
    type: str
    title: str
    state_property: str
    api_versions: tuple[str, ...]
    shows_pending_restart: bool


SINGLE = Family(
    "single",
    "Microsoft.DBforPostgreSQL/servers",
    "PostgreSQL server",
    "userVisibleState",
    (
        "2017-12-01",
        "2017-12-01-preview",
        "2018-06-01",
        "2018-06-01-privatepreview",
        "2020-01-01",
        "2020-01-01-privatepreview",
    ),
    shows_pending_restart=False,
)
FLEXIBLE = Family(
    "flexible",
    "Microsoft.DBforPostgreSQL/flexibleServers",
    "PostgreSQL flexible server",
    "state",
    (
        "2020-02-14-preview",
        "2021-06-01",
        "2021-06-01-preview",
        "2021-06-15-privatepreview",
        "2022-01-20-preview",
        "2022-03-08-preview",
        "2022-05-01-privatepreview",
        "2022-12-01",
        "2023-03-01-preview",
        "2023-06-01-preview",
        "2023-12-01-preview",
        "2024-03-01-preview",
        "2024-08-01",
        "2024-11-01-preview",
        "2025-01-01-preview",
        "2025-06-01-preview",
        "2025-08-01",
        "2026-01-01-preview",
        "2026-04-01-preview",
        "2026-10-01",
    ),
    shows_pending_restart=True,
)
ONPREMISES_TYPE = "PgflexLab/servers"


def family_of(resource_id: ResourceId) -> Family:
    top = f"{resource_id.namespace}/{resource_id.types[0]}".lower()
    return SINGLE if top == SINGLE.type.lower() else FLEXIBLE


def invalid(parameter: str, message: str | None = None) -> ArmError:
    text = message or f"Invalid value given for parameter {parameter}. Specify a valid parameter value."
    return ArmError(400, "InvalidParameterValue", text)


def check_login(login: Any) -> str:
    text = str(login or "")
    if (
        not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", text)
        or text.lower() in RESERVED_LOGINS
        or text.startswith("pg_")
    ):
        raise invalid("administratorLogin")
    return text


def check_password(password: Any) -> str:
    text = str(password or "")
    classes = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")
    if not 8 <= len(text) <= 128 or sum(bool(re.search(item, text)) for item in classes) < 3:
        raise ArmError(
            400,
            "PasswordNotComplex",
            "Password validation failed. The password does not meet policy requirements because it is not complex "
            "enough.",
        )
    return text


class Servers:
    """The lab's servers by resource; children and both families go through it."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.Lock()
        self._addresses = 0

    # Lookups

    def require(self, server_id: ResourceId) -> Resource:
        return self._lab.store.require(server_id)

    def cluster(self, server: Resource) -> Cluster:
        return self._lab.clusters.get(str(server.internal["cluster"]))

    def all(self) -> list[Resource]:
        root = ResourceId("/")
        store = self._lab.store
        return [item for kind in (SINGLE.type, FLEXIBLE.type, ONPREMISES_TYPE) for item in store.children(root, kind)]

    def named(self, name: str) -> Resource | None:
        return next((item for item in self.all() if item.name.lower() == name.lower()), None)

    def require_ready(self, server: Resource) -> Resource:
        """A stopped server, or one in between, takes no changes."""
        family = family_of(server.id)
        state = server.properties.get(family.state_property)
        if state == "Ready":
            return server
        if self._lab.operations.is_busy(server.id):
            raise ArmError(
                409,
                "ServerIsBusy",
                f"Cannot complete operation while server '{server.name}' is busy processing another operation. Try "
                "again later.",
            )
        raise ArmError(
            409,
            "ServerIsNotReady",
            f"Server '{server.name}' is not in the state 'Ready' but in '{state}'. Start the server before this "
            "operation.",
        )

    # Life

    def next_public_ip(self) -> str:
        """From a block reserved for documentation: it can be printed and never reached."""
        with self._lock:
            self._addresses += 1
            return f"203.0.113.{self._addresses % 254 + 1}"

    def check_free(self, server_id: ResourceId) -> None:
        """A server's name is a host name, so it is taken for everybody."""
        if not NAME.fullmatch(server_id.name):
            raise ArmError(
                400,
                "InvalidServerName",
                f"The name '{server_id.name}' is not valid: 3 to 63 lower case letters, digits and hyphens, not "
                "starting or "
                "ending with a hyphen.",
            )
        taken = self.named(server_id.name)
        if taken is not None and taken.id != server_id:
            raise ArmError(409, "ServerNameAlreadyExists", f"Specified server name '{server_id.name}' is already used.")

    def make_cluster(self, server: Resource, password: str) -> Cluster:
        """Creates the cluster and the parameters that only Azure knows."""
        kind = family_of(server.id).kind if server.type != ONPREMISES_TYPE else "other"
        cluster = self._lab.clusters.create(
            server.name,
            kind=kind,
            admin_login=str(server.properties["administratorLogin"]),
            admin_password=password,
            host_names=self._own_names(server) if kind == "other" else (),
        )
        server.internal["cluster"] = server.name
        if kind != "other":
            self._lab.configurations.initialise(server)
        return cluster

    def share_cluster(self, server: Resource, owner: str) -> Cluster:
        """A thousand servers that only have to be there need no thousand clusters: this one is that of another."""
        cluster = self._lab.clusters.get(owner)
        server.internal["cluster"] = owner
        return cluster

    def drop_cluster(self, server: Resource) -> None:
        """The cluster of a server that has one to itself; the others keep theirs."""
        if server.internal.get("cluster") == server.name:
            self._lab.clusters.drop(server.name)

    @staticmethod
    def _own_names(server: Resource) -> tuple[str, ...]:
        """What a server outside Azure is called in its own network."""
        found = (server.properties.get("fullyQualifiedDomainName"), server.properties.get("privateAddress"))
        return tuple(str(item) for item in found if item)

    def drop_clusters_in(self, scope: ResourceId) -> None:
        for server in self.all():
            if scope.contains(server.id):
                self.drop_cluster(server)

    def change(
        self,
        request: ArmRequest,
        server: Resource,
        name: str,
        azure_seconds: float,
        work: Callable[[], None],
        *,
        during: str,
        after: str = "Ready",
        view: Callable[[], Any] | None = None,
    ) -> ArmResponse:
        """An operation on the server itself: its state while it runs and when done; `view` is what a poll gets then."""
        prop = family_of(server.id).state_property
        was = server.properties.get(prop)

        def mark() -> None:
            server.properties[prop] = during

        def settle(succeeded: bool) -> None:
            server.properties[prop] = after if succeeded else was

        def finish() -> Any:
            work()
            settle(True)
            return view() if view else None

        return self._lab.operations.start(
            request, name, azure_seconds, finish, owner=server.id, before=mark, failed=lambda: settle(False)
        )

    def child_change(
        self, request: ArmRequest, server: Resource, name: str, azure_seconds: float, work: Callable[[], Any]
    ) -> ArmResponse:
        """An operation on something of a server that stays ready meanwhile."""
        self.require_ready(server)
        return self._lab.operations.start(request, name, azure_seconds, work, owner=server.id)

    # Names

    def check_name(self, request: ArmRequest) -> ArmResponse:
        body = request.body if isinstance(request.body, dict) else {}
        name, kind = str(body.get("name") or ""), str(body.get("type") or "")
        answer: dict[str, Any] = {"nameAvailable": True, "reason": None, "message": ""}
        if request.api_version not in SINGLE.api_versions:
            answer = {"name": name, "type": kind, **answer}
        if not NAME.fullmatch(name):
            answer.update(
                nameAvailable=False, reason="Invalid", message=f"Specified server name '{name}' is not valid."
            )
        elif self.named(name) is not None:
            answer.update(
                nameAvailable=False, reason="AlreadyExists", message=f"Specified server name '{name}' is already used."
            )
        return ArmResponse(200, answer)
