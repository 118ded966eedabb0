# SPDX-License-Identifier: GPL-3.0-or-later
"""The zone group of a private endpoint: keeps the endpoint's address in private DNS zones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmRequest, ArmResponse, section
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import NAME, ZONE, ZONE_GROUP, bad, body_of, items, shown

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab


class PrivateDnsZoneGroups:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "DELETE": self.delete}
        return [ResourceType(ZONE_GROUP, verbs)]

    def _records(self, group: Resource) -> list[Resource]:
        found = [self._lab.store.get(ResourceId(text)) for text in group.internal["records"]]
        return [item for item in found if item is not None]

    def view(self, item: Resource) -> dict[str, Any]:
        records = self._records(item)
        configs = [
            {
                **config,
                "properties": {
                    **config["properties"],
                    "recordSets": [
                        {
                            "recordType": "A",
                            "recordSetName": record.name,
                            "fqdn": str(record.properties["fqdn"]).rstrip("."),
                            "ttl": record.properties["ttl"],
                            "ipAddresses": [one["ipv4Address"] for one in record.properties["aRecords"]],
                            "provisioningState": "Succeeded",
                        }
                        for record in records
                        if str(record.id.parent).lower() == config["properties"]["privateDnsZoneId"].lower()
                    ],
                },
            }
            for config in item.properties["privateDnsZoneConfigs"]
        ]
        body = shown(item, {**item.properties, "privateDnsZoneConfigs": configs})
        # Azure's description of a zone group has no type.
        del body["type"]
        return body

    def withdraw(self, group: Resource) -> None:
        """Takes its records out of the zones."""
        for record in self._records(group):
            self._lab.store.delete(record.id)
        group.internal["records"] = []

    def _write_records(self, endpoint: Resource, zones: list[Resource]) -> list[str]:
        name = str(endpoint.internal["fqdn"]).partition(".")[0]
        guid = endpoint.properties["resourceGuid"]
        metadata = {"creator": f"created by private endpoint {endpoint.name} with resource guid {guid}"}
        address = self._lab.private_endpoints.address(endpoint)
        add = self._lab.private_dns_records.add_address
        return [str(add(zone, name, address, metadata).id) for zone in zones]

    # Handlers

    def list(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.list(request, ZONE_GROUP, self.view)

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id)))

    def put(self, request: ArmRequest) -> ArmResponse:
        body_of(request)
        if not NAME.fullmatch(request.id.name):
            raise bad("InvalidResourceName", f"Resource name {request.id.name} is invalid.")
        with self._lab.store.locked():
            endpoint = self._lab.store.require(request.id.parent)
            groups = self._lab.store.children(endpoint.id, ZONE_GROUP)
            if any(item.id != request.id for item in groups):
                raise bad(
                    "MoreThanOnePrivateDnsZoneGroupPerPrivateEndpointNotAllowed",
                    f"Private endpoint {endpoint.id} already has the private DNS zone group {groups[0].name}.",
                )
            zones, configs = [], []
            for item in items(request.properties(), "privateDnsZoneConfigs"):
                text = section(item, "properties").get("privateDnsZoneId")
                zone = self._lab.networking.referenced(request.id, text, ZONE)
                self._lab.networking.check_link(request, f"{ZONE}/join/action", zone.id)
                zones.append(zone)
                name = str(item.get("name") or zone.name.replace(".", "-"))
                configs.append({"name": name, "properties": {"privateDnsZoneId": str(zone.id)}})
            for old in groups:
                self.withdraw(old)
            made = Resource(request.id, ZONE_GROUP, properties={"privateDnsZoneConfigs": configs})
            made.internal["records"] = self._write_records(endpoint, zones)
            return self._lab.networking.written(request, made, self.view)

    def delete(self, request: ArmRequest) -> ArmResponse:
        group = self._lab.store.get(request.id)
        if group is None:
            return ArmResponse(204)
        return self._lab.networking.deleted(request, lambda: self.withdraw(group))
