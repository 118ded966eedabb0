# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource providers and their registration, which takes a while."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.router import PROVIDERS, ResourceType
from pgflex_lab.resources.servers import DOMAIN
from pgflex_lab.resources.subscriptions import LOCATIONS

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

ALWAYS = ("Microsoft.Authorization", "Microsoft.Resources")
NAMESPACES = {
    "Microsoft.Authorization": ("roleAssignments", "roleDefinitions", "permissions"),
    "Microsoft.Compute": ("virtualMachines",),
    "Microsoft.DBforPostgreSQL": ("flexibleServers", "servers", "flexibleServers/migrations", "locations"),
    "Microsoft.DataMigration": ("services", "services/projects", "sqlMigrationServices"),
    "Microsoft.KeyVault": ("vaults",),
    "Microsoft.Network": (
        "virtualNetworks",
        "networkSecurityGroups",
        "privateDnsZones",
        "privateDnsZones/virtualNetworkLinks",
        "privateEndpoints",
        "networkInterfaces",
    ),
    "Microsoft.Resources": ("subscriptions", "resourceGroups", "tenants"),
    "Microsoft.Storage": ("storageAccounts",),
}

FIRST_WITH_DATA_ACTIONS = "2020"
VERBS = {"GET": "read", "PUT": "write", "DELETE": "delete"}


def _operation(namespace: str, kind: str, action: str) -> dict[str, Any]:
    resource = kind.partition("/")[2]
    words = f"{action.removesuffix('/action')} {resource}"
    return {
        "name": f"{kind}/{action}",
        "isDataAction": False,
        "display": {"provider": namespace, "resource": resource, "operation": words, "description": f"{words}."},
        "origin": "user,system",
    }


class Providers:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.Lock()
        self._registered_at: dict[tuple[str, str], float] = {}
        self._unregistered: set[tuple[str, str]] = set()

    def types(self) -> list[ResourceType]:
        return [
            ResourceType(
                PROVIDERS,
                {"LIST": self.list, "GET": self.get},
                {
                    "register": self.register,
                    "unregister": self.unregister,
                    "checkNameAvailability": self._check_name,
                },
            ),
            ResourceType(
                "Microsoft.Resources/providers",
                {"LIST": self.list, "GET": self.get},
                {"getPrivateDnsZoneSuffix": self._zone_suffix},
                open_to_all=True,
            ),
            ResourceType("Microsoft.DBforPostgreSQL/operations", {"LIST": self.list_operations}, open_to_all=True),
        ]

    # For others

    def is_known(self, namespace: str) -> bool:
        return self._canonical(namespace) is not None

    def is_registered(self, subscription_id: str, namespace: str) -> bool:
        """Registering counts: ARM lets the first calls through before the state says so."""
        return self._state(subscription_id, namespace) in ("Registered", "Registering")

    def seed(self, subscription_id: str, namespace: str) -> None:
        name = self._canonical(namespace)
        if name is None:
            raise ValueError(f"the lab has no provider {namespace}")
        self._registered_at[(subscription_id.lower(), name)] = float("-inf")

    # Handlers

    def list(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, {"value": [self._view(request, name) for name in NAMESPACES]})

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self._view(request, self._required(request.id.namespace)))

    def register(self, request: ArmRequest) -> ArmResponse:
        name = self._required(request.id.namespace)
        key = (request.id.subscription_id.lower(), name)
        with self._lock:
            self._registered_at.setdefault(key, self._lab.clock.monotonic())
            self._unregistered.discard(key)
        return ArmResponse(200, self._view(request, name))

    def unregister(self, request: ArmRequest) -> ArmResponse:
        name = self._required(request.id.namespace)
        if name in ALWAYS:
            raise ArmError(409, "CannotUnregisterProvider", f"The resource provider '{name}' cannot be unregistered.")
        key = (request.id.subscription_id.lower(), name)
        with self._lock:
            self._registered_at.pop(key, None)
            self._unregistered.add(key)
        return ArmResponse(200, self._view(request, name))

    def list_operations(self, request: ArmRequest) -> ArmResponse:
        """What the table of types has for this provider, as rights are named."""
        namespace = self._required(request.id.namespace)
        rights = [
            (row.name, action)
            for row in self._lab.router.types()
            if row.name.startswith(f"{namespace}/")
            for action in (
                *(action for verb, action in VERBS.items() if verb in row.verbs),
                *(f"{name}/action" for name in row.actions),
            )
        ]
        found = [_operation(namespace, kind, action) for kind, action in rights]
        if request.api_version < FIRST_WITH_DATA_ACTIONS:
            found = [{name: value for name, value in row.items() if name != "isDataAction"} for row in found]
        return ArmResponse(200, {"value": found})

    def _check_name(self, request: ArmRequest) -> ArmResponse:
        return self._lab.servers.check_name(request)

    @staticmethod
    def _zone_suffix(request: ArmRequest) -> ArmResponse:
        """How the private DNS zone of a Flexible Server has to end."""
        return ArmResponse(200, f"private.{DOMAIN}")

    # State and shape

    @staticmethod
    def _canonical(namespace: str) -> str | None:
        return next((name for name in NAMESPACES if name.lower() == namespace.lower()), None)

    def _required(self, namespace: str) -> str:
        name = self._canonical(namespace)
        if name is None:
            raise ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
        return name

    def _state(self, subscription_id: str, namespace: str) -> str:
        name = self._canonical(namespace)
        if name in ALWAYS:
            return "Registered"
        key = (subscription_id.lower(), name or namespace)
        with self._lock:
            since = self._registered_at.get(key)
            gone = key in self._unregistered
        if since is None:
            return "Unregistered" if gone else "NotRegistered"
        age = self._lab.clock.monotonic() - since
        return "Registered" if age >= self._lab.clock.scaled(self._lab.settings.register_seconds) else "Registering"

    def _view(self, request: ArmRequest, name: str) -> dict[str, Any]:
        subscription = request.id.subscription_id
        root = f"/subscriptions/{subscription}" if subscription else ""
        by_type = {item.name.lower(): item for item in self._lab.router.types()}
        resource_types = []
        for short in NAMESPACES[name]:
            row = by_type.get(f"{name}/{short}".lower())
            versions = sorted(row.api_versions, reverse=True) if row and row.api_versions else ["2022-09-01"]
            resource_types.append(
                {
                    "resourceType": short,
                    "locations": list(LOCATIONS.values()),
                    "apiVersions": versions,
                    "capabilities": "SupportsTags, SupportsLocation",
                }
            )
        view = {"id": f"{root}/providers/{name}", "namespace": name, "resourceTypes": resource_types}
        if subscription:
            view["registrationPolicy"] = "RegistrationFree" if name in ALWAYS else "RegistrationRequired"
            view["registrationState"] = self._state(subscription, name)
        return view
