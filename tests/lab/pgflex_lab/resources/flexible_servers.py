# SPDX-License-Identifier: GPL-3.0-or-later
"""Flexible Servers (`Microsoft.DBforPostgreSQL/flexibleServers`)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse, section, tags_of
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.flexible_shape import STORAGE_SIZES, VERSIONS, capabilities, shown, sku_of, storage_of
from pgflex_lab.resources.servers import DOMAIN, FLEXIBLE, check_login, check_password, invalid
from pgflex_lab.resources.subscriptions import long_location, short_location
from pgflex_lab.settings import timestamp

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

MERGED = ("backup", "highAvailability", "maintenanceWindow", "authConfig", "network", "replica")
CREATE_MODES = ("Create", "Default", "Update", None)


class FlexibleServers:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        versions = FLEXIBLE.api_versions
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "PATCH": self.patch, "DELETE": self.delete}
        actions = {
            "start": self.start,
            "stop": self.stop,
            "restart": self.restart,
            "checkMigrationNameAvailability": self._lab.handle_migrations,
        }
        migration = self._lab.handle_migrations
        migrations = dict.fromkeys(("LIST", "GET", "PUT", "PATCH", "DELETE"), migration)
        empty = {"LIST": self.list_nothing}
        places = "Microsoft.DBforPostgreSQL/locations"
        return [
            ResourceType(FLEXIBLE.type, verbs, actions, api_versions=versions),
            ResourceType(f"{FLEXIBLE.type}/migrations", migrations, {"cancel": migration}, api_versions=versions),
            ResourceType(f"{FLEXIBLE.type}/administrators", empty, api_versions=versions),
            ResourceType(f"{FLEXIBLE.type}/replicas", empty, api_versions=versions),
            ResourceType(f"{FLEXIBLE.type}/virtualendpoints", empty, api_versions=versions),
            ResourceType(f"{FLEXIBLE.type}/capabilities", {"LIST": self.list_own_capabilities}, api_versions=versions),
            ResourceType(
                f"{FLEXIBLE.type}/capabilities", {"LIST": self.list_server_capabilities}, api_versions=versions
            ),
            ResourceType(f"{places}/capabilities", {"LIST": self.list_capabilities}, open_to_all=True),
            ResourceType(places, {}, {"checkNameAvailability": self._lab.servers.check_name}, open_to_all=True),
        ]

    def build(
        self, server_id: ResourceId, location: str, properties: dict[str, Any], sku: dict[str, Any] | None
    ) -> Resource:
        """A checked server without its cluster."""
        version = str(properties.get("version") or "17")
        if version not in VERSIONS:
            raise invalid("version")
        now = self._lab.clock.now()
        network = {"publicNetworkAccess": "Enabled", **section(properties, "network")}
        made = Resource(
            server_id,
            FLEXIBLE.type,
            short_location(location),
            sku=sku_of(sku),
            properties={
                "replica": {"role": "Primary", "capacity": 5},
                "storage": storage_of(section(properties, "storage")),
                "network": {name: value for name, value in network.items() if value is not None},
                "dataEncryption": {"type": "SystemManaged"},
                "authConfig": {
                    "activeDirectoryAuth": "Disabled",
                    "passwordAuth": "Enabled",
                    **section(properties, "authConfig"),
                },
                "fullyQualifiedDomainName": f"{server_id.name}.{DOMAIN}",
                "version": version,
                "minorVersion": VERSIONS[version],
                "administratorLogin": check_login(properties.get("administratorLogin")),
                "state": "Ready",
                "availabilityZone": str(properties.get("availabilityZone") or "1"),
                "backup": {
                    "backupRetentionDays": 7,
                    "geoRedundantBackup": "Disabled",
                    "earliestRestoreDate": now.isoformat(),
                    **section(properties, "backup"),
                },
                "highAvailability": {
                    "mode": "Disabled",
                    "state": "NotEnabled",
                    **section(properties, "highAvailability"),
                },
                "maintenanceWindow": {
                    "customWindow": "Disabled",
                    "dayOfWeek": 0,
                    "startHour": 0,
                    "startMinute": 0,
                    **section(properties, "maintenanceWindow"),
                },
                "replicationRole": "Primary",
                "replicaCapacity": 5,
            },
        )
        made.internal["created_at"] = timestamp(now)
        made.internal["public_ip"] = self._lab.servers.next_public_ip()
        return made

    def view(self, item: Resource, api_version: str) -> dict[str, Any]:
        properties = copy.deepcopy(item.properties)
        if ends := self._lab.server_connections.inline(item):
            properties["privateEndpointConnections"] = ends
        body = {
            "sku": item.sku,
            "systemData": {"createdAt": item.internal["created_at"]},
            "properties": shown(properties, api_version),
            "location": long_location(item.location),
            "id": str(item.id),
            "name": item.name,
            "type": item.type,
        }
        if item.tags:
            body["tags"] = item.tags
        return body

    # Reading

    def list(self, request: ArmRequest) -> ArmResponse:
        found = self._lab.store.children(request.id.parent, FLEXIBLE.type)
        return ArmResponse(200, {"value": [self.view(item, request.api_version) for item in found]})

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id), request.api_version))

    def list_nothing(self, request: ArmRequest) -> ArmResponse:
        self._lab.servers.require(request.id.parent)
        return ArmResponse(200, {"value": []})

    def list_capabilities(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, {"value": [capabilities(request.api_version)]})

    def list_own_capabilities(self, request: ArmRequest) -> ArmResponse:
        self._lab.servers.require(request.id.parent)
        return self.list_capabilities(request)

    def list_server_capabilities(self, request: ArmRequest) -> ArmResponse:
        self._lab.store.require(request.id.parent)
        return self.list_capabilities(request)

    # Writing

    def put(self, request: ArmRequest) -> ArmResponse:
        existing = self._lab.store.get(request.id)
        if existing is not None:
            return self._update(request, existing)
        properties = request.properties()
        if properties.get("createMode") not in CREATE_MODES:
            raise invalid("createMode", "This lab creates servers only with the create modes Default and Create.")
        self._lab.servers.check_free(request.id)
        if not request.body.get("location"):
            raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
        server = self.build(request.id, str(request.body["location"]), properties, section(request.body, "sku"))
        server.tags = tags_of(request.body)
        self._lab.server_networks.check(request, server)
        password = check_password(properties.get("administratorLoginPassword"))

        def work() -> Any:
            self._lab.servers.make_cluster(server, password)
            try:
                self._lab.server_networks.attach(server)
            except ArmError:
                self._lab.servers.drop_cluster(server)
                raise
            return self.view(server, request.api_version)

        return self._lab.operations.start(
            request, "UpsertServerManagementOperationV2", self._lab.settings.create_seconds, work, owner=server.id
        )

    def patch(self, request: ArmRequest) -> ArmResponse:
        return self._update(request, self._lab.store.require(request.id))

    def _update(self, request: ArmRequest, server: Resource) -> ArmResponse:
        properties = request.properties()
        self._lab.servers.require_ready(server)
        self._check_fixed(request, server, properties)
        self._lab.server_networks.check_change(request, server)
        draft = self._draft(server, properties)
        sku = sku_of(section(request.body, "sku")) if request.body.get("sku") else server.sku
        tags = tags_of(request.body)
        password = properties.get("administratorLoginPassword")
        if password is not None:
            check_password(password)

        def work() -> None:
            cluster = self._lab.servers.cluster(server)
            if password is not None:
                cluster.set_admin_password(str(password))
            if sku != server.sku:
                cluster.restart()
                self._lab.configurations.restarted(server)
            server.sku = sku
            server.properties.update(draft)
            self._lab.server_networks.changed(server)
            if "tags" in request.body:
                server.tags = tags

        return self._lab.servers.change(
            request,
            server,
            "UpdateServerManagementOperation",
            self._lab.settings.update_seconds,
            work,
            during="Updating",
            view=lambda: self.view(server, request.api_version),
        )

    @staticmethod
    def _check_fixed(request: ArmRequest, server: Resource, properties: dict[str, Any]) -> None:
        location = request.body.get("location")
        if location and short_location(str(location)) != server.location:
            raise ArmError(
                409,
                "InvalidResourceLocation",
                f"The resource '{server.name}' already exists in location '{server.location}' in resource group "
                f"'{server.id.resource_group}'. A resource with the same name cannot be created in location "
                f"'{location}'. "
                "Please select a new resource name.",
            )
        if properties.get("administratorLogin") not in (None, server.properties["administratorLogin"]):
            raise invalid("administratorLogin")

    @staticmethod
    def _draft(server: Resource, properties: dict[str, Any]) -> dict[str, Any]:
        draft: dict[str, Any] = {}
        for name in MERGED:
            if changes := section(properties, name):
                draft[name] = {**server.properties[name], **changes}
        if changes := section(properties, "storage"):
            storage = storage_of({**server.properties["storage"], **changes})
            if storage["storageSizeGB"] < server.properties["storage"]["storageSizeGB"]:
                raise invalid(
                    "storageSizeGB", f"The storage size of a server cannot be reduced; sizes: {STORAGE_SIZES}."
                )
            draft["storage"] = storage
        version = str(properties.get("version") or server.properties["version"])
        if version not in VERSIONS or int(version) < int(server.properties["version"]):
            raise invalid("version")
        draft |= {"version": version, "minorVersion": VERSIONS[version]}
        return draft

    def delete(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.store.get(request.id)
        if server is None:
            return ArmResponse(204)

        def work() -> None:
            self._lab.servers.drop_clusters_in(server.id)
            self._lab.server_networks.detach(server)
            self._lab.store.delete(server.id)
            self._lab.subnets.leave(server)

        return self._lab.servers.change(
            request, server, "DropServerManagementOperation", self._lab.settings.delete_seconds, work, during="Dropping"
        )

    # Power

    def start(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.store.require(request.id)
        if server.properties["state"] != "Stopped":
            raise self._wrong_state(server, "start", "Stopped")

        def work() -> None:
            self._lab.servers.cluster(server).start()
            self._lab.configurations.restarted(server)

        return self._lab.servers.change(
            request,
            server,
            "StartServerManagementOperation",
            self._lab.settings.restart_seconds,
            work,
            during="Starting",
        )

    def stop(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.store.require(request.id)
        if server.properties["state"] != "Ready":
            raise self._wrong_state(server, "stop", "Ready")
        cluster = self._lab.servers.cluster(server)
        return self._lab.servers.change(
            request,
            server,
            "StopServerManagementOperation",
            self._lab.settings.restart_seconds,
            cluster.stop,
            during="Stopping",
            after="Stopped",
        )

    def restart(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require_ready(self._lab.store.require(request.id))
        options = request.body if isinstance(request.body, dict) else {}
        if options.get("restartWithFailover") and server.properties["highAvailability"]["mode"] == "Disabled":
            raise ArmError(
                400,
                "OperationNotAllowedOnNonHAServer",
                f"Restart with failover is not possible: high availability is not enabled on server '{server.name}'.",
            )

        def work() -> None:
            self._lab.servers.cluster(server).restart()
            self._lab.configurations.restarted(server)

        return self._lab.servers.change(
            request,
            server,
            "RestartServerManagementOperation",
            self._lab.settings.restart_seconds,
            work,
            during="Restarting",
        )

    def _wrong_state(self, server: Resource, verb: str, wanted: str) -> ArmError:
        if self._lab.operations.is_busy(server.id):
            return ArmError(
                409,
                "ServerIsBusy",
                f"Cannot complete operation while server '{server.name}' is busy processing another operation. Try "
                "again later.",
            )
        state = server.properties["state"]
        return ArmError(
            409,
            "ServerIsNotReady",
            f"Cannot {verb} server '{server.name}': its state is '{state}', and it must be '{wanted}'.",
        )
