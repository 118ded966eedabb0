# SPDX-License-Identifier: GPL-3.0-or-later
"""Record sets of private DNS zones: A and SOA with their rules, the other types as they are given."""

from __future__ import annotations

import copy
import uuid
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import ZONE, bad, body_of, items
from pgflex_lab.resources.private_dns_zones import LABEL, VERSIONS, check_conditions

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

KEYS = {
    "A": "aRecords",
    "AAAA": "aaaaRecords",
    "CNAME": "cnameRecord",
    "MX": "mxRecords",
    "PTR": "ptrRecords",
    "SOA": "soaRecord",
    "SRV": "srvRecords",
    "TXT": "txtRecords",
}
SOA = {
    "host": "azureprivatedns.net",
    "email": "azureprivatedns-host.microsoft.com",
    "serialNumber": 1,
    "refreshTime": 3600,
    "retryTime": 300,
    "expireTime": 2419200,
    "minimumTtl": 10,
}


class PrivateDnsRecords:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "PATCH": self.patch, "DELETE": self.delete}
        kinds = [ResourceType(f"{ZONE}/{kind}", verbs, api_versions=VERSIONS) for kind in KEYS]
        return [*kinds, ResourceType(f"{ZONE}/ALL", {"LIST": self.list_all}, api_versions=VERSIONS)]

    # For others

    def of(self, zone_id: ResourceId) -> list[Resource]:
        return [item for kind in KEYS for item in self._lab.store.children(zone_id, f"{ZONE}/{kind}")]

    def add_soa(self, zone: Resource) -> None:
        self._put(zone.id.child("SOA", "@"), {"ttl": 3600, "soaRecord": dict(SOA)})

    def add_address(self, zone: Resource, name: str, address: str, metadata: dict[str, str]) -> Resource:
        """An A record that a service of Azure writes."""
        properties = {"ttl": 10, "metadata": metadata, "aRecords": [{"ipv4Address": address}]}
        return self._put(zone.id.child("A", name), properties)

    def _put(self, target: ResourceId, properties: dict[str, Any]) -> Resource:
        kind = target.types[-1].upper()
        zone = target.parent.name
        fqdn = f"{zone}." if target.name == "@" else f"{target.name}.{zone}."
        whole = {**properties, "fqdn": fqdn, "isAutoRegistered": False}
        made = Resource(target, f"{ZONE}/{kind}", properties=whole, internal={"etag": str(uuid.uuid4())})
        return self._lab.store.put(made)

    @staticmethod
    def view(item: Resource) -> dict[str, Any]:
        return {
            "id": str(item.id),
            "name": item.name,
            "type": item.type,
            "etag": item.internal["etag"],
            "properties": copy.deepcopy(item.properties),
        }

    # Handlers

    def _listed(self, request: ArmRequest, found: list[Resource]) -> ArmResponse:
        self._lab.store.require(request.id.parent)
        suffix = request.query.get("$recordsetnamesuffix", "").lower()
        chosen = [self.view(item) for item in found if item.name.lower().endswith(suffix)]
        return ArmResponse(200, {"value": chosen})

    def list(self, request: ArmRequest) -> ArmResponse:
        return self._listed(request, self._lab.store.children(request.id.parent, request.id.type))

    def list_all(self, request: ArmRequest) -> ArmResponse:
        return self._listed(request, self.of(request.id.parent))

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id)))

    def put(self, request: ArmRequest) -> ArmResponse:
        with self._lab.store.locked():
            return self._write(request, self._lab.store.get(request.id), {})

    def patch(self, request: ArmRequest) -> ArmResponse:
        with self._lab.store.locked():
            existing = self._lab.store.require(request.id)
            return self._write(request, existing, existing.properties)

    def _write(self, request: ArmRequest, existing: Resource | None, base: dict[str, Any]) -> ArmResponse:
        self._lab.store.require(request.id.parent)
        body_of(request)
        check_conditions(request, existing)
        kind = request.id.types[-1].upper()
        self._check_name(request.id.name)
        given = {**base, **request.properties()}
        if kind == "SOA" and existing is None:
            raise bad("BadRequest", "A record set of type SOA is only at the apex, '@', and is made with the zone.")
        properties: dict[str, Any] = {"ttl": self._ttl(given)}
        if given.get("metadata"):
            properties["metadata"] = given["metadata"]
        properties[KEYS[kind]] = self._records(kind, given)
        if kind == "SOA":
            properties["soaRecord"] = {**SOA, **properties["soaRecord"], "host": SOA["host"]}
        made = self._put(request.id, properties)
        return ArmResponse(200 if existing else 201, self.view(made))

    @staticmethod
    def _check_name(name: str) -> None:
        labels = name.removeprefix("*.").split(".")
        if name not in ("@", "*") and not all(LABEL.fullmatch(label) for label in labels):
            raise bad("BadRequest", f"The record set name '{name}' is not valid.")

    @staticmethod
    def _ttl(given: dict[str, Any]) -> int:
        ttl = given.get("ttl")
        if isinstance(ttl, bool) or not isinstance(ttl, int) or not 1 <= ttl <= 2147483647:
            raise bad("BadRequest", "The property 'ttl' of a record set must be between 1 and 2147483647.")
        return ttl

    @staticmethod
    def _records(kind: str, given: dict[str, Any]) -> Any:
        key = KEYS[kind]
        if kind in ("CNAME", "SOA"):
            record = given.get(key)
            if not isinstance(record, dict):
                raise bad("BadRequest", f"A record set of type {kind} needs '{key}'.")
            return record
        records = items(given, key)
        if kind == "A":
            try:
                addresses = [str(IPv4Address(str(item.get("ipv4Address")))) for item in records]
            except AddressValueError as error:
                raise bad("BadRequest", f"The record set has an invalid IPv4 address: {error}.") from None
            if len(set(addresses)) != len(addresses):
                raise bad("BadRequest", "The record set has the same IPv4 address twice.")
        return records

    def delete(self, request: ArmRequest) -> ArmResponse:
        existing = self._lab.store.get(request.id)
        if existing is None:
            return ArmResponse(204)
        check_conditions(request, existing)
        if existing.type.endswith("/SOA"):
            raise ArmError(400, "BadRequest", "The record set of type SOA cannot be deleted.")
        self._lab.store.delete(request.id)
        return ArmResponse(200)
