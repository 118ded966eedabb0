# SPDX-License-Identifier: GPL-3.0-or-later
"""Private DNS zones. Writing one is an asynchronous operation, with etags in the conditions."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse, tags_of
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import LINK, ZONE, bad, body_of

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

VERSIONS = ("2018-09-01", "2020-01-01", "2020-06-01", "2024-06-01")
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII | re.IGNORECASE)
RECORDS = 25000
LINKS = 1000
REGISTRATIONS = 100


def check_conditions(request: ArmRequest, existing: Resource | None) -> None:
    """`If-None-Match: *` wants nothing there, `If-Match` what the caller has seen."""
    absent, seen = request.headers.get("if-none-match", ""), request.headers.get("if-match", "")
    etag = existing.internal["etag"] if existing else None
    if (absent and existing is not None) or (seen and (etag is None or seen.strip('"') not in ("*", etag))):
        raise ArmError(
            412,
            "PreconditionFailed",
            f"The condition '{absent or seen}' in the If-{'None-' if absent else ''}Match header was not satisfied. "
            f"The current was '{etag or 'non-existent'}'.",
        )


class PrivateDnsZones:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "PATCH": self.patch, "DELETE": self.delete}
        return [ResourceType(ZONE, verbs, api_versions=VERSIONS)]

    def view(self, item: Resource) -> dict[str, Any]:
        links = self._lab.store.children(item.id, LINK)
        return {
            "id": str(item.id),
            "name": item.name,
            "type": ZONE,
            "etag": item.internal["etag"],
            "location": "global",
            "tags": item.tags,
            "properties": {
                "internalId": item.internal["internal_id"],
                "maxNumberOfRecordSets": RECORDS,
                "maxNumberOfVirtualNetworkLinks": LINKS,
                "maxNumberOfVirtualNetworkLinksWithRegistration": REGISTRATIONS,
                "numberOfRecordSets": len(self._lab.private_dns_records.of(item.id)),
                "numberOfVirtualNetworkLinks": len(links),
                "numberOfVirtualNetworkLinksWithRegistration": sum(
                    bool(link.properties["registrationEnabled"]) for link in links
                ),
                "provisioningState": "Succeeded",
            },
        }

    def list(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.list(request, ZONE, self.view)

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id)))

    def put(self, request: ArmRequest) -> ArmResponse:
        body = body_of(request)
        self._check_name(request.id.name)
        if str(body.get("location") or "").lower() != "global":
            raise bad(
                "LocationNotAvailableForResourceType" if body.get("location") else "LocationRequired",
                f"The provided location '{body.get('location') or ''}' is not available for resource type "
                f"'{ZONE}'. List of available regions for the resource type is 'global'.",
            )
        check_conditions(request, self._lab.store.get(request.id))
        tags = tags_of(body)

        def work() -> Any:
            with self._lab.store.locked():
                zone = self._lab.store.get(request.id) or self.add(request.id)
                zone.tags = tags
                zone.internal["etag"] = str(uuid.uuid4())
                return self.view(zone)

        return self.changed(request, "UpsertPrivateDnsZone", self._lab.settings.rule_seconds, work)

    def add(self, target: ResourceId) -> Resource:
        """A zone with the one record set that every zone has."""
        internal_id = base64.b64encode(f"SW1tdXRhYmxlWm9uZUlkZW50aXR5;{uuid.uuid4()};0".encode()).decode()
        internal = {"etag": str(uuid.uuid4()), "internal_id": internal_id}
        zone = self._lab.store.put(Resource(target, ZONE, "global", internal=internal))
        self._lab.private_dns_records.add_soa(zone)
        return zone

    def changed(
        self, request: ArmRequest, name: str, seconds: float, work: Callable[[], Any], body: Any = None
    ) -> ArmResponse:
        started = self._lab.operations.start(request, name, seconds, work)
        return replace(started, body=body)

    @staticmethod
    def _check_name(name: str) -> None:
        labels = name.split(".")
        if not 2 <= len(labels) <= 34 or not all(LABEL.fullmatch(label) for label in labels):
            raise bad(
                "BadRequest",
                f"The zone name '{name}' is not valid: 2 to 34 labels of letters, digits, underscores and hyphens, "
                "separated by dots.",
            )

    def patch(self, request: ArmRequest) -> ArmResponse:
        zone = self._lab.store.require(request.id)
        check_conditions(request, zone)
        if "tags" in body_of(request):
            zone.tags = tags_of(request.body)
            zone.internal["etag"] = str(uuid.uuid4())
        return ArmResponse(200, self.view(zone))

    def delete(self, request: ArmRequest) -> ArmResponse:
        zone = self._lab.store.get(request.id)
        if zone is None:
            return ArmResponse(204)
        check_conditions(request, zone)
        if self._lab.store.children(zone.id, LINK):
            raise ArmError(
                409,
                "CannotDeleteResource",
                "Can not delete resource before nested resources are deleted.",
            )

        def work() -> None:
            self._lab.store.delete(zone.id)

        return self.changed(request, "DeletePrivateDnsZone", self._lab.settings.delete_seconds, work)
