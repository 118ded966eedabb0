# SPDX-License-Identifier: GPL-3.0-or-later
"""ARM's view of migrations: create, read, list, drive by PATCH, cancel, delete."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.ids import InvalidResourceId, ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.migrations import driving, wire
from pgflex_lab.migrations.endpoints import FLEXIBLE_TYPE, address, journey, source_id, source_resource
from pgflex_lab.migrations.lifecycle import LIFETIME, Runner
from pgflex_lab.migrations.model import Migration, Order
from pgflex_lab.resources.networking import SUBNET

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
FIRST_WITH_CANCEL = "2025-08-01"
STOP_SECONDS = 10.0


class MigrationService:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.RLock()
        self._migrations: dict[str, Migration] = {}
        self._runners: list[Runner] = []

    def handle(self, request: ArmRequest) -> ArmResponse:
        """Every path below a flexible server that has to do with migrations."""
        server = self._lab.store.require(_server_id(request.id))
        wire.check_api_version(request.api_version, location=server.location)
        if request.action and request.action.lower() == "checkmigrationnameavailability":
            return self._check_name(request)
        if request.id.is_collection:
            return self._list(request, server)
        if request.method == "PUT":
            return self._create(request, server)
        migration = self._find(request.id)
        if migration is None and request.method == "DELETE":
            return ArmResponse(204)
        if migration is None:
            raise _not_found(request.id)
        if request.action and request.action.lower() == "cancel":
            driving.cancel(migration)
            return self._answer(request, migration, 200)
        match request.method:
            case "GET":
                return self._answer(request, migration, 200)
            case "PATCH":
                return self._update(request, migration)
            case "DELETE":
                return self._delete(request, migration)
        raise ArmError(405, "MethodNotAllowed", f"{request.method} is not supported for migrations.")

    def stop(self) -> None:
        """Cancels what runs, so that it cleans up while its servers are still there."""
        with self._lock:
            runners = list(self._runners)
        for migration in list(self._migrations.values()):
            if not migration.state.final:
                driving.cancel(migration)
        for runner in runners:
            runner.thread.join(STOP_SECONDS)

    def _find(self, migration_id: ResourceId) -> Migration | None:
        found = self._migrations.get(migration_id.key)
        return None if found is None or found.deleted else found

    def _answer(self, request: ArmRequest, migration: Migration, status: int, view: wire.View = "shown") -> ArmResponse:
        with migration.changing():
            return ArmResponse(status, wire.render(migration, request.api_version, view, self._servers(migration)))

    def _servers(self, migration: Migration) -> tuple[Resource | None, Resource | None]:
        return source_resource(self._lab, migration.order), self._lab.store.get(migration.target_id)

    def _of(self, server_id: ResourceId) -> list[Migration]:
        return [item for item in self._migrations.values() if item.target_id == server_id]

    def _list(self, request: ArmRequest, server: Resource) -> ArmResponse:
        wanted = request.query.get("migrationlistfilter", "Active").lower()
        if wanted not in ("active", "all"):
            raise wire.bad_request("The query parameter 'migrationListFilter' must be 'Active' or 'All'.")
        with self._lock:
            found = [
                item for item in self._of(server.id) if not (item.deleted or (wanted == "active" and item.state.final))
            ]
            return ArmResponse(
                200,
                {"value": [wire.render(item, request.api_version, "listed", self._servers(item)) for item in found]},
            )

    def _check_name(self, request: ArmRequest) -> ArmResponse:
        body = request.body if isinstance(request.body, dict) else {}
        name = str(body.get("name", ""))
        answer = {"name": name, "type": str(body.get("type", wire.RESOURCE_TYPE)), "nameAvailable": True}
        reason, message = self._name_problem(request.id, name)
        if reason:
            answer.update(nameAvailable=False, reason=reason, message=message)
        return ArmResponse(200, answer)

    def _name_problem(self, server_id: ResourceId, name: str) -> tuple[str, str]:
        if not NAME.fullmatch(name):
            return "Invalid", (
                f"The migration name '{name}' is not valid: it may hold letters, digits and hyphens, "
                "and it must not start with a hyphen."
            )
        if server_id.child("migrations", name).key in self._migrations:
            return "AlreadyExists", f"The migration name '{name}' was used before on this server; choose another one."
        return "", ""

    def _create(self, request: ArmRequest, server: Resource) -> ArmResponse:
        body = request.body if isinstance(request.body, dict) else {}
        order = wire.read(request.properties())
        self._complete(order, request.api_version)
        self._check_networks(order, server, request.api_version)
        with self._lock:
            reason, message = self._name_problem(server.id, request.id.name)
            if reason:
                raise ArmError(409 if reason == "AlreadyExists" else 400, f"MigrationName{reason}", message)
            active = [item for item in self._of(server.id) if not item.state.final]
            if active:
                raise ArmError(
                    409,
                    "MigrationInProgress",
                    f"Server '{server.name}' has an active migration or validation '{active[0].name}'; "
                    "only one can be active for a target server.",
                )
            now = self._lab.clock.now()
            migration = Migration(
                resource_id=request.id,
                classic=wire.is_classic(request.api_version),
                order=order,
                location=str(body.get("location") or server.location),
                tags=dict(body.get("tags") or {}),
                deadline=self._lab.clock.monotonic() + self._lab.clock.scaled(LIFETIME),
                window_start=order.window_start or now,
            )
            self._migrations[request.id.key] = migration
            answer = self._answer(request, migration, 201, "created")
            runner = Runner(self._lab, migration)
            self._runners.append(runner)
        runner.thread.start()
        return answer

    def _complete(self, order: Order, version: str) -> None:
        """Defaults and what has to be there; nothing is looked at on the servers yet."""
        if not order.source:
            raise wire.bad_request("The property 'sourceDbServerResourceId' is required.", "InvalidParameterValue")
        if order.runtime_server and (order.source_fqdn or order.target_fqdn):
            raise wire.bad_request(
                "Fully qualified domain names are not allowed together with a migration runtime server."
            )
        if not order.source_password or not order.target_password:
            raise wire.bad_request(
                "'secretParameters.adminCredentials' needs sourceServerPassword and targetServerPassword.",
                "InvalidParameterValue",
            )
        if version == wire.OLDEST and order.app is None:
            raise wire.bad_request("The property 'secretParameters.aadApp' is required.", "InvalidParameterValue")
        self._check_source(order)
        order.mode = "Online" if version == wire.OLDEST else order.mode or "Offline"
        by_id = source_id(order) is not None
        if wire.is_classic(version):
            order.source_type = wire.SINGLE_SERVER
            return
        order.option = order.option or "ValidateAndMigrate"
        order.source_type = order.source_type or (wire.SINGLE_SERVER if by_id else "OnPremises")
        order.ssl_mode = order.ssl_mode or ("VerifyFull" if order.source_type == wire.SINGLE_SERVER else "Prefer")
        if order.source_type == wire.SINGLE_SERVER and not by_id:
            raise wire.bad_request("A source of type PostgreSQLSingleServer is named by its resource id.")

    def _check_source(self, order: Order) -> None:
        try:
            named = source_id(order)
        except InvalidResourceId:
            named = None
        if named is not None:
            self._lab.store.require(named)
        elif address(order.source or "") is None:
            raise wire.bad_request(
                "The property 'sourceDbServerResourceId' must be a resource id or hostname:port@username.",
                "InvalidParameterValue",
            )

    def _check_networks(self, order: Order, target: Resource, version: str) -> None:
        if order.subnet and wire.is_classic(version):
            _typed(order.subnet, SUBNET, "migrationResourceGroup.subnetResourceId")
        if order.runtime_server and not wire.is_classic(version):
            self._lab.store.require(_typed(order.runtime_server, FLEXIBLE_TYPE, "migrationInstanceResourceId"))
        refused = self._lab.reachability.refusal(journey(self._lab, order, target, classic=wire.is_classic(version)))
        if refused:
            raise wire.bad_request(refused)

    def _update(self, request: ArmRequest, migration: Migration) -> ArmResponse:
        properties = request.properties()
        change = wire.read(properties)
        tags = request.body.get("tags") if isinstance(request.body, dict) else None
        with migration.changing():
            if properties:
                driving.apply(migration, change)
            if isinstance(tags, dict):
                migration.tags = {str(name): str(value) for name, value in tags.items()}
        return self._answer(request, migration, 200)

    def _delete(self, request: ArmRequest, migration: Migration) -> ArmResponse:
        """The newer versions call it cancel: what was active stays to be seen. The name stays taken in any case."""
        newer = request.api_version >= FIRST_WITH_CANCEL and not wire.is_classic(request.api_version)
        with migration.changing():
            active = not migration.state.final
            if active:
                driving.cancel(migration)
            migration.deleted = not (active and newer)
        return self._answer(request, migration, 200) if newer else ArmResponse(200)


def _server_id(request_id: ResourceId) -> ResourceId:
    """The server itself, or that of a migration or of the collection of its migrations."""
    return request_id if request_id.types[-1].lower() == "flexibleservers" else request_id.parent


def _typed(text: str, type_name: str, where: str) -> ResourceId:
    """The id of a resource of that type, which may or may not be there."""
    try:
        found = ResourceId.parse(text)
    except InvalidResourceId:
        found = ResourceId("/")
    if found.type.lower() != type_name.lower() or found.is_collection:
        raise wire.bad_request(
            f"The property '{where}' must be the resource id of a {type_name}.", "InvalidParameterValue"
        )
    return found


def _not_found(migration_id: ResourceId) -> ArmError:
    server = migration_id.parent
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource 'Microsoft.DBforPostgreSQL/flexibleServers/{server.name}/migrations/{migration_id.name}' under "
        f"resource group '{server.resource_group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )
