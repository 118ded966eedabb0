# SPDX-License-Identifier: GPL-3.0-or-later
"""Single Servers (`Microsoft.DBforPostgreSQL/servers`)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse, section, tags_of, whole
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.servers import DOMAIN, SINGLE, check_login, check_password, invalid
from pgflex_lab.resources.subscriptions import short_location

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

SKU = re.compile(r"(?P<tier>B|GP|MO)_(?P<family>Gen\d)_(?P<capacity>\d+)")
TIERS = {"B": "Basic", "GP": "GeneralPurpose", "MO": "MemoryOptimized"}
VERSIONS = ("9.5", "9.6", "10", "10.0", "10.2", "11")
PLAIN = ("sslEnforcement", "minimalTlsVersion", "publicNetworkAccess", "replicationRole")


def sku_of(name: str) -> dict[str, Any]:
    match = SKU.fullmatch(name)
    if match is None:
        raise invalid("sku")
    return {
        "name": name,
        "tier": TIERS[match["tier"]],
        "family": match["family"],
        "capacity": int(match["capacity"]),
    }


def check_size(storage: dict[str, Any]) -> None:
    size = whole(storage, "storageMB")
    if not 5120 <= size <= 16777216 or size % 1024:
        raise invalid("storageMB")


class SingleServers:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "PATCH": self.patch, "DELETE": self.delete}
        actions = {"restart": self.restart, "updateConfigurations": self._lab.configurations.update_many}
        lists = {"LIST": self.list_nothing}
        return [
            ResourceType(SINGLE.type, verbs, actions, api_versions=SINGLE.api_versions, paged=False),
            ResourceType(f"{SINGLE.type}/administrators", lists, api_versions=SINGLE.api_versions, paged=False),
            ResourceType(f"{SINGLE.type}/replicas", lists, api_versions=SINGLE.api_versions, paged=False),
        ]

    def build(
        self, server_id: ResourceId, location: str, properties: dict[str, Any], sku: dict[str, Any] | None
    ) -> Resource:
        """A checked server without its cluster."""
        version = str(properties.get("version") or "11")
        if version not in VERSIONS:
            raise invalid("version")
        storage = {
            "storageMB": 51200,
            "backupRetentionDays": 7,
            "geoRedundantBackup": "Disabled",
            "storageAutogrow": "Enabled",
            **section(properties, "storageProfile"),
        }
        check_size(storage)
        made = Resource(
            server_id,
            SINGLE.type,
            short_location(location),
            sku=sku_of(str((sku or {}).get("name") or "GP_Gen5_2")),
            properties={
                "administratorLogin": check_login(properties.get("administratorLogin")),
                "storageProfile": storage,
                "version": version,
                "sslEnforcement": properties.get("sslEnforcement") or "Enabled",
                "minimalTlsVersion": properties.get("minimalTlsVersion") or "TLSEnforcementDisabled",
                "userVisibleState": "Ready",
                "fullyQualifiedDomainName": f"{server_id.name}.{DOMAIN}",
                "earliestRestoreDate": (self._lab.clock.now() + timedelta(minutes=10)).isoformat(),
                "replicationRole": "",
                "masterServerId": "",
                "replicaCapacity": 5,
                "byokEnforcement": "Disabled",
                "infrastructureEncryption": "Disabled",
                "publicNetworkAccess": properties.get("publicNetworkAccess") or "Enabled",
            },
        )
        made.internal["public_ip"] = self._lab.servers.next_public_ip()
        return made

    def view(self, item: Resource) -> dict[str, Any]:
        return {
            "sku": item.sku,
            "properties": {
                **item.properties,
                "privateEndpointConnections": self._lab.server_connections.inline(item),
            },
            "location": item.location,
            "tags": item.tags,
            "id": str(item.id),
            "name": item.name,
            "type": item.type,
        }

    def list(self, request: ArmRequest) -> ArmResponse:
        found = self._lab.store.children(request.id.parent, SINGLE.type)
        return ArmResponse(200, {"value": [self.view(item) for item in found]})

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id)))

    def list_nothing(self, request: ArmRequest) -> ArmResponse:
        self._lab.servers.require(request.id.parent)
        return ArmResponse(200, {"value": []})

    def put(self, request: ArmRequest) -> ArmResponse:
        existing = self._lab.store.get(request.id)
        if existing is not None:
            return self._update(request, existing)
        properties = request.properties()
        self._lab.servers.check_free(request.id)
        if not request.body.get("location"):
            raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
        server = self.build(request.id, str(request.body["location"]), properties, section(request.body, "sku"))
        server.tags = tags_of(request.body)
        password = check_password(properties.get("administratorLoginPassword"))

        def work() -> Any:
            self._lab.servers.make_cluster(server, password)
            self._lab.store.put(server)
            return self.view(server)

        return self._lab.operations.start(
            request, "UpsertElasticServer", self._lab.settings.create_seconds, work, owner=server.id
        )

    def patch(self, request: ArmRequest) -> ArmResponse:
        return self._update(request, self._lab.store.require(request.id))

    def _update(self, request: ArmRequest, server: Resource) -> ArmResponse:
        properties = request.properties()
        self._lab.servers.require_ready(server)
        self._check_fixed(request, server, properties)
        draft = {name: properties[name] for name in PLAIN if properties.get(name) is not None}
        if profile := section(properties, "storageProfile"):
            storage = {**server.properties["storageProfile"], **profile}
            check_size(storage)
            if whole(storage, "storageMB") < whole(server.properties["storageProfile"], "storageMB"):
                raise invalid("storageMB", "The storage size of a server cannot be reduced.")
            draft["storageProfile"] = storage
        sku = sku_of(str(section(request.body, "sku").get("name"))) if request.body.get("sku") else None
        tags = tags_of(request.body)
        password = properties.get("administratorLoginPassword")
        if password is not None:
            check_password(password)

        def work() -> None:
            if password is not None:
                self._lab.servers.cluster(server).set_admin_password(str(password))
            server.properties.update(draft)
            server.sku = sku or server.sku
            if "tags" in request.body:
                server.tags = tags

        return self._lab.servers.change(
            request,
            server,
            "UpdateElasticServer",
            self._lab.settings.update_seconds,
            work,
            during="Ready",
            view=lambda: self.view(server),
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
        for name in ("administratorLogin", "version"):
            if properties.get(name) not in (None, server.properties[name]):
                raise invalid(name)

    def delete(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.store.get(request.id)
        if server is None:
            return ArmResponse(204)

        def work() -> None:
            self._lab.servers.drop_clusters_in(server.id)
            self._lab.store.delete(server.id)

        return self._lab.servers.change(
            request, server, "DropElasticServer", self._lab.settings.delete_seconds, work, during="Dropping"
        )

    def restart(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require_ready(self._lab.store.require(request.id))

        def work() -> None:
            self._lab.servers.cluster(server).restart()
            self._lab.configurations.restarted(server)

        return self._lab.servers.change(
            request, server, "RestartElasticServer", self._lab.settings.restart_seconds, work, during="Ready"
        )
