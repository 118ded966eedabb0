# SPDX-License-Identifier: GPL-3.0-or-later
"""Subnets: in the body of their virtual network or as resources of their own."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmRequest, ArmResponse, section
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import (
    ENDPOINT,
    NAME,
    NIC,
    NSG,
    SUBNET,
    Network,
    bad,
    body_of,
    inside,
    items,
    overlap,
    prefixes,
    shown,
    texts,
)
from pgflex_lab.resources.servers import FLEXIBLE

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

SMALLEST = 29
RESERVED = 4
DELEGATES = (
    "Microsoft.DBforPostgreSQL/flexibleServers",
    "Microsoft.DBforPostgreSQL/serversv2",
    "Microsoft.DBforMySQL/flexibleServers",
    "Microsoft.ContainerInstance/containerGroups",
    "Microsoft.Web/serverFarms",
    "Microsoft.Sql/managedInstances",
    "Microsoft.Netapp/volumes",
    "Microsoft.Network/dnsResolvers",
    "Microsoft.App/environments",
)
JOIN = f"{SUBNET}/join/action"
POLICIES = ("Disabled", "Enabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled")
KEPT = ("routeTable", "natGateway", "defaultOutboundAccess", "sharingScope")


class Subnets:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        # Subnet -> (server that was in it, when its association goes).
        self._left: dict[str, list[tuple[Resource, float]]] = {}

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "DELETE": self.delete}
        return [ResourceType(SUBNET, verbs)]

    # For others

    def of(self, vnet_id: ResourceId) -> list[Resource]:
        return self._lab.store.children(vnet_id, SUBNET)

    def holding(self, vnet_id: ResourceId, address: str) -> Resource | None:
        """The subnet that the address belongs to."""
        wanted = IPv4Address(address)
        return next((item for item in self.of(vnet_id) if any(wanted in one for one in self.ranges(item))), None)

    @staticmethod
    def ranges(subnet: Resource) -> list[Network]:
        given = subnet.properties.get("addressPrefixes") or [subnet.properties.get("addressPrefix")]
        return prefixes([str(item) for item in given], subnet.id)

    @staticmethod
    def delegated_to(subnet: Resource) -> list[str]:
        return [str(item["properties"]["serviceName"]) for item in subnet.properties["delegations"]]

    def injected(self, subnet_id: ResourceId) -> list[Resource]:
        """The servers that live in a delegated subnet."""
        key = subnet_id.key
        return [
            item
            for item in self._lab.store.children(ResourceId("/"), FLEXIBLE.type)
            if str(section(item.properties, "network").get("delegatedSubnetResourceId") or "").lower() == key
        ]

    def leave(self, server: Resource) -> None:
        """Its association outlives the server."""
        subnet_id = str(section(server.properties, "network").get("delegatedSubnetResourceId") or "").lower()
        clock = self._lab.clock
        until = clock.monotonic() + clock.scaled(self._lab.settings.association_seconds)
        self._left.setdefault(subnet_id, []).append((server, until))

    def associated(self, subnet_id: ResourceId) -> list[Resource]:
        """The servers that live in a delegated subnet, and those that did until a moment ago."""
        now = self._lab.clock.monotonic()
        return self.injected(subnet_id) + [item for item, until in self._left.get(subnet_id.key, []) if now < until]

    def configurations(self, subnet_id: ResourceId) -> list[dict[str, Any]]:
        """The addresses that network interfaces have in it."""
        return [
            config
            for nic in self._lab.store.children(ResourceId("/"), NIC)
            for config in nic.properties["ipConfigurations"]
            if config["properties"]["subnet"]["id"].lower() == subnet_id.key
        ]

    def users(self, subnet_id: ResourceId) -> list[str]:
        injected = [f"{subnet_id}/serviceAssociationLinks/{item.name}" for item in self.associated(subnet_id)]
        return [str(config["id"]) for config in self.configurations(subnet_id)] + injected

    def free_address(self, subnet: Resource) -> str:
        """The first that nobody has; Azure keeps four at the start and the last for itself."""
        taken = {str(config["properties"]["privateIPAddress"]) for config in self.configurations(subnet.id)}
        taken |= {str(item.internal.get("private_ip")) for item in self.injected(subnet.id)}
        for prefix in self.ranges(subnet):
            if not isinstance(prefix, IPv4Network):
                continue
            for number in range(RESERVED, prefix.num_addresses - 1):
                address = str(IPv4Address(int(prefix.network_address) + number))
                if address not in taken:
                    return address
        raise bad(
            "SubnetIsFull",
            f"Subnet {subnet.name} with address prefix {self.ranges(subnet)[0]} does not have enough capacity for 1 IP "
            "addresses.",
        )

    # Bodies

    def draft(self, request: ArmRequest, target: ResourceId, body: dict[str, Any]) -> Resource:
        """A subnet as its body wants it; its place among the others is checked by `check`."""
        if not NAME.fullmatch(target.name):
            raise bad("InvalidResourceName", f"Resource name {target.name} is invalid.")
        given = section(body, "properties")
        addresses = texts(given, "addressPrefixes") or [str(given.get("addressPrefix") or "")]
        prefixes(addresses, target)
        policies = given.get("privateEndpointNetworkPolicies") or "Disabled"
        if policies not in POLICIES:
            raise bad("InvalidRequestFormat", f"Cannot parse the request: privateEndpointNetworkPolicies '{policies}'.")
        properties: dict[str, Any] = {
            **(
                {"addressPrefixes": addresses}
                if texts(given, "addressPrefixes")
                else {"addressPrefix": given.get("addressPrefix")}
            ),
            **{name: given[name] for name in KEPT if given.get(name) is not None},
            "delegations": self._delegations(target, given),
            "serviceEndpoints": self._service_endpoints(target, given),
            "privateEndpointNetworkPolicies": policies,
            "privateLinkServiceNetworkPolicies": given.get("privateLinkServiceNetworkPolicies") or "Enabled",
            "provisioningState": "Succeeded",
        }
        if group := section(given, "networkSecurityGroup"):
            found = self._lab.networking.referenced(target, group.get("id"), NSG)
            self._lab.networking.check_link(request, f"{NSG}/join/action", found.id)
            properties["networkSecurityGroup"] = {"id": str(found.id)}
        made = Resource(target, SUBNET, properties=properties)
        self._lab.networking.touch(made)
        self._check_change(made)
        return made

    @staticmethod
    def _delegations(target: ResourceId, given: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        for item in items(given, "delegations"):
            name = str(item.get("name") or "0")
            service = str(section(item, "properties").get("serviceName") or "")
            known = next((known for known in DELEGATES if known.lower() == service.lower()), None)
            if known is None:
                raise bad(
                    "InvalidServiceNameOnDelegation",
                    f"The service name {service} specified on delegation {target}/delegations/{name} is not valid. "
                    f"Valid value(s) are: {','.join(DELEGATES)}.",
                )
            found.append(
                {
                    "name": name,
                    "id": f"{target}/delegations/{name}",
                    "type": f"{SUBNET}/delegations",
                    "properties": {"provisioningState": "Succeeded", "serviceName": known, "actions": [JOIN]},
                }
            )
        return found

    @staticmethod
    def _service_endpoints(target: ResourceId, given: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        for item in items(given, "serviceEndpoints"):
            service = str(item.get("service") or "")
            if not service.lower().startswith("microsoft."):
                raise bad(
                    "SubnetHasServiceEndpointWithInvalidServiceName",
                    f"Subnet {target} has a service endpoint with the invalid service name '{service}'.",
                )
            locations = texts(item, "locations") or ["*"]
            found.append({"provisioningState": "Succeeded", "service": service, "locations": locations})
        return found

    def _check_change(self, made: Resource) -> None:
        """What is in use keeps its addresses and its delegation."""
        before = self._lab.store.get(made.id)
        users = self.users(made.id)
        if before is None or not users:
            return
        was, wanted = self.delegated_to(before), self.delegated_to(made)
        if was != wanted:
            raise bad(
                "SubnetDelegationsCannotChangeWhenSubnetUsedByResource",
                f"Delegations of subnet {made.id} cannot be changed from [{','.join(was)}] to [{','.join(wanted)}] "
                f"because it is being used by the resource {users[0]}.",
            )
        if self.ranges(before) != self.ranges(made):
            raise bad(
                "InUsePrefixCannotBeDeleted",
                f"IpPrefix {self.ranges(before)[0]} on Subnet {made.name} has active allocations and cannot be "
                "deleted.",
            )

    def check(self, vnet_name: str, space: list[Network], wanted: list[Resource]) -> None:
        """Do these subnets fit into the address space, and beside each other?"""
        seen: list[Network] = []
        for subnet in wanted:
            for prefix in self.ranges(subnet):
                if prefix.version == 4 and prefix.prefixlen > SMALLEST:
                    raise bad(
                        "NetcfgInvalidSubnet", f"Subnet '{subnet.name}' is not valid in virtual network '{vnet_name}'."
                    )
                if not any(inside(prefix, outer) for outer in space):
                    raise bad(
                        "NetcfgSubnetRangeOutsideVnet",
                        f"Subnet '{subnet.name}' is not valid because its IP address range is outside the IP address "
                        f"range of virtual network '{vnet_name}'.",
                    )
                if any(overlap(prefix, other) for other in seen):
                    raise bad(
                        "NetcfgSubnetRangesOverlap",
                        f"Subnet '{subnet.name}' is not valid because its IP address range overlaps with that of an "
                        f"existing subnet in virtual network '{vnet_name}'.",
                    )
                seen.append(prefix)

    def check_unused(self, subnet: Resource) -> None:
        if users := self.users(subnet.id):
            raise bad(
                "InUseSubnetCannotBeDeleted",
                f"Subnet {subnet.name} is in use by {users[0]} and cannot be deleted. In order to delete the subnet, "
                "delete all the resources within the subnet. See aka.ms/deletesubnet.",
            )

    def view(self, item: Resource) -> dict[str, Any]:
        etag = item.internal["etag"]
        properties = dict(item.properties)
        properties["delegations"] = [{**one, "etag": etag} for one in properties["delegations"]]
        if not properties["serviceEndpoints"]:
            del properties["serviceEndpoints"]
        if used := self.configurations(item.id):
            properties["ipConfigurations"] = [{"id": config["id"]} for config in used]
        ends = [
            {"id": str(end.id)}
            for end in self._lab.store.children(ResourceId("/"), ENDPOINT)
            if end.properties["subnet"]["id"].lower() == item.id.key
        ]
        if ends:
            properties["privateEndpoints"] = ends
        links = [self._association(item, server) for server in self.associated(item.id)]
        if links:
            properties["serviceAssociationLinks"] = links
        return shown(item, properties)

    @staticmethod
    def _association(subnet: Resource, server: Resource) -> dict[str, Any]:
        return {
            "name": server.name,
            "id": f"{subnet.id}/serviceAssociationLinks/{server.name}",
            "type": f"{SUBNET}/serviceAssociationLinks",
            "properties": {
                "provisioningState": "Succeeded",
                "linkedResourceType": FLEXIBLE.type,
                "link": str(server.id),
                "allowDelete": False,
                "locations": [],
            },
        }

    # Handlers

    def list(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.list(request, SUBNET, self.view)

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id)))

    def put(self, request: ArmRequest) -> ArmResponse:
        with self._lab.store.locked():
            vnet = self._lab.store.require(request.id.parent)
            made = self.draft(request, request.id, body_of(request))
            others = [item for item in self.of(vnet.id) if item.id != made.id]
            space = prefixes(vnet.properties["addressSpace"]["addressPrefixes"], vnet.id)
            self.check(vnet.name, space, [*others, made])
            self._lab.networking.touch(vnet)
            return self._lab.networking.written(request, made, self.view)

    def delete(self, request: ArmRequest) -> ArmResponse:
        with self._lab.store.locked():
            if self._lab.store.get(request.id.parent) is None:
                raise self._lab.store.missing(request.id.parent)
            subnet = self._lab.store.get(request.id)
            if subnet is None:
                return ArmResponse(204)
            self.check_unused(subnet)
            return self._lab.networking.deleted(request, lambda: None)
