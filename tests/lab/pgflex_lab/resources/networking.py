# SPDX-License-Identifier: GPL-3.0-or-later
"""What the resources of Microsoft.Network share: address spaces, references, etags, asynchronous writes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse, tags_of
from pgflex_lab.arm.ids import InvalidResourceId, ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.directory import Caller
from pgflex_lab.resources.subscriptions import LOCATIONS, short_location

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

Network = IPv4Network | IPv6Network
View = Callable[[Resource], dict[str, Any]]
NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,78}\w)?", re.ASCII)
VNET = "Microsoft.Network/virtualNetworks"
SUBNET = f"{VNET}/subnets"
PEERING = f"{VNET}/virtualNetworkPeerings"
NIC = "Microsoft.Network/networkInterfaces"
NSG = "Microsoft.Network/networkSecurityGroups"
ENDPOINT = "Microsoft.Network/privateEndpoints"
ZONE_GROUP = f"{ENDPOINT}/privateDnsZoneGroups"
ZONE = "Microsoft.Network/privateDnsZones"
LINK = f"{ZONE}/virtualNetworkLinks"


def bad(code: str, message: str) -> ArmError:
    return ArmError(400, code, message)


def body_of(request: ArmRequest) -> dict[str, Any]:
    request.properties()
    return dict(request.body)


def items(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects inside a body; missing or null is empty."""
    found = data.get(name) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise bad("InvalidRequestFormat", f"Cannot parse the request: '{name}' must be a list of objects.")
    return found


def texts(data: dict[str, Any], name: str) -> list[str]:
    found = data.get(name) or []
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise bad("InvalidRequestFormat", f"Cannot parse the request: '{name}' must be a list of strings.")
    return found


def prefixes(values: Iterable[str], owner: ResourceId) -> list[Network]:
    found: list[Network] = []
    for text in values:
        try:
            wide = ip_network(text, strict=False)
        except ValueError:
            wide = None
        if wide is None or not text.partition("/")[2].isdecimal():
            raise bad(
                "InvalidAddressPrefixFormat",
                f"Address prefix {text} of resource {owner} is not formatted correctly. It should follow CIDR "
                "notation, for example 10.0.0.0/24.",
            )
        if str(wide).split("/", maxsplit=1)[0] != text.split("/", maxsplit=1)[0] and wide.version == 4:
            raise bad(
                "InvalidCIDRNotation",
                f"The address prefix {text} in resource {owner} has an invalid CIDR notation. For the given prefix "
                f"length, the address prefix should be {wide}.",
            )
        found.append(wide)
    return found


def overlap(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    return isinstance(one, IPv6Network) and isinstance(other, IPv6Network) and one.overlaps(other)


def inside(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def parse_id(text: Any, owner: ResourceId) -> ResourceId:
    try:
        return ResourceId.parse(str(text or "missing"))
    except InvalidResourceId:
        raise bad(
            "LinkedInvalidPropertyId",
            f"Property id '{text or ''}' at a path of resource '{owner}' is invalid. Expect fully qualified resource "
            "Id that start with '/subscriptions/{subscriptionId}' or "
            "'/providers/{resourceProviderNamespace}/'.",
        ) from None


class Networking:
    """The ways of Microsoft.Network, for the families that are its resources."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    # References

    def referenced(self, owner: ResourceId, text: Any, type_name: str) -> Resource:
        """The resource that a body names, or the error for one that is not there."""
        target = parse_id(text, owner)
        found = self._lab.store.get(target)
        if found is None or found.type.lower() != type_name.lower():
            raise bad(
                "InvalidResourceReference",
                f"Resource {target} referenced by resource {owner} was not found. Please make sure that the referenced "
                "resource exists, and that both resources are in the same region.",
            )
        return found

    def check_link(self, request: ArmRequest, action: str, target: ResourceId) -> None:
        """The caller needs this right on a resource that the body only names."""
        if self._lab.rbac.allows(request.principal_id, action, target):
            return
        principal = self._lab.directory.principals.get(request.principal_id)
        caller = Caller(request.principal_id, principal.app_id if principal else "")
        raise ArmError(
            403,
            "LinkedAuthorizationFailed",
            f"The client '{caller.app_id}' with object id '{caller.object_id}' has permission to perform action "
            f"'{request.id.type}/write' on scope '{request.id}'; however, it does not have permission to perform "
            f"action '{action}' on the linked scope(s) '{target}' or the linked scope(s) are invalid.",
        )

    # Top-level resources

    def place(self, request: ArmRequest, body: dict[str, Any], existing: Resource | None) -> str:
        """The checked location of a resource that is written."""
        if not NAME.fullmatch(request.id.name):
            raise bad(
                "InvalidResourceName",
                f"Resource name {request.id.name} is invalid. The name can be up to 80 characters long. It must begin "
                "with a word character, and it must end with a word character or with '_'. The name may contain word "
                "characters or '.', '-', '_'.",
            )
        location = short_location(str(body.get("location") or ""))
        if not location:
            raise bad("LocationRequired", "The location property is required for this definition.")
        if location not in LOCATIONS:
            raise bad(
                "LocationNotAvailableForResourceType",
                f"The provided location '{location}' is not available for resource type '{request.id.type}'. List of "
                f"available regions for the resource type is '{','.join(LOCATIONS)}'.",
            )
        if existing is not None and existing.location != location:
            raise ArmError(
                409,
                "InvalidResourceLocation",
                f"The resource '{existing.name}' already exists in location '{existing.location}' in resource group "
                f"'{existing.id.resource_group}'. A resource with the same name cannot be created in location "
                f"'{location}'. Please select a new resource name.",
            )
        return location

    def list(self, request: ArmRequest, type_name: str, view: View) -> ArmResponse:
        owner = request.id.parent
        if owner.names and owner.namespace != "Microsoft.Resources":
            self._lab.store.require(owner)
        return ArmResponse(200, {"value": [view(item) for item in self._lab.store.children(owner, type_name)]})

    def patch_tags(self, request: ArmRequest, view: View) -> ArmResponse:
        existing = self._lab.store.require(request.id)
        if "tags" in body_of(request):
            existing.tags = tags_of(request.body)
            self.touch(existing)
        return ArmResponse(200, view(existing))

    # Writes

    @staticmethod
    def touch(resource: Resource) -> None:
        resource.internal["etag"] = f'W/"{uuid.uuid4()}"'

    def written(self, request: ArmRequest, resource: Resource, view: View, seconds: float | None = None) -> ArmResponse:
        """201 or 200 with the resource, which is there at once but `Updating` until the operation ends."""
        created = self._lab.store.get(resource.id) is None
        resource.properties["provisioningState"] = "Updating"
        self.touch(resource)
        self._lab.store.put(resource)
        body = view(resource)

        def finish() -> Any:
            resource.properties["provisioningState"] = "Succeeded"
            return view(resource)

        def fail() -> None:
            resource.properties["provisioningState"] = "Failed"

        took = self._lab.settings.rule_seconds if seconds is None else seconds
        started = self._lab.operations.start(request, f"Put{resource.type}", took, finish, failed=fail)
        return replace(started, status=201 if created else 200, body=body)

    def deleted(self, request: ArmRequest, work: Callable[[], None]) -> ArmResponse:
        def finish() -> None:
            work()
            self._lab.store.delete(request.id)

        return self._lab.operations.start(request, "Delete", self._lab.settings.delete_seconds, finish)


def shown(item: Resource, properties: dict[str, Any]) -> dict[str, Any]:
    """The usual outside of a resource around its properties."""
    body: dict[str, Any] = {"name": item.name, "id": str(item.id), "etag": item.internal["etag"], "type": item.type}
    if item.location:
        body["location"] = item.location
        body["tags"] = item.tags
    return {**body, "properties": properties}
