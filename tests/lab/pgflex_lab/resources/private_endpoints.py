# SPDX-License-Identifier: GPL-3.0-or-later
"""Private endpoints to servers, and the network interfaces they make."""

from __future__ import annotations

import re
import uuid
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmRequest, ArmResponse, section, tags_of
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import (
    ENDPOINT,
    NIC,
    SUBNET,
    ZONE_GROUP,
    bad,
    body_of,
    items,
    parse_id,
    shown,
    texts,
)
from pgflex_lab.resources.server_connections import GROUP_ID
from pgflex_lab.resources.servers import FLEXIBLE, SINGLE

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

NIC_NAME = re.compile(r"[\w.-]{1,128}", re.ASCII)
AUTOMATIC, MANUAL = "privateLinkServiceConnections", "manualPrivateLinkServiceConnections"
GONE = {"status": "Disconnected", "description": "The connected resource was deleted.", "actionsRequired": "None"}


class PrivateEndpoints:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "DELETE": self.delete}
        nic = {"LIST": self.list_nics, "GET": self.get_nic, "DELETE": self.delete_nic}
        return [ResourceType(ENDPOINT, verbs), ResourceType(NIC, nic)]

    # For others

    def nic(self, endpoint: Resource) -> Resource:
        return self._lab.store.require(ResourceId(str(endpoint.internal["nic"])))

    def address(self, endpoint: Resource) -> str:
        return str(self.nic(endpoint).properties["ipConfigurations"][0]["properties"]["privateIPAddress"])

    def server(self, endpoint: Resource) -> Resource | None:
        """What it leads to; None when that is gone."""
        return self._lab.store.get(ResourceId(str(endpoint.internal["server"])))

    def view(self, item: Resource) -> dict[str, Any]:
        grouped = bool(self._lab.store.children(item.id, ZONE_GROUP))
        names = [{"fqdn": item.internal["fqdn"], "ipAddresses": [self.address(item)]}]
        properties = {**item.properties, "customDnsConfigs": [] if grouped else names}
        # Only the records of its zone tell it.
        del properties["resourceGuid"]
        connection = self._lab.store.get(ResourceId(str(item.internal["connection"])))
        state = connection.properties["privateLinkServiceConnectionState"] if connection else GONE
        for kind in (AUTOMATIC, MANUAL):
            properties[kind] = [
                {
                    **one,
                    "etag": item.internal["etag"],
                    "properties": {**one["properties"], "privateLinkServiceConnectionState": state},
                }
                for one in item.properties[kind]
            ]
        return shown(item, properties)

    @staticmethod
    def nic_view(item: Resource) -> dict[str, Any]:
        return shown(item, dict(item.properties))

    # Checks

    def _target(self, request: ArmRequest, connection: dict[str, Any], *, manual: bool) -> Resource:
        given = section(connection, "properties")
        target = parse_id(given.get("privateLinkServiceId"), request.id)
        server = self._lab.store.get(target)
        if server is None or server.type not in (SINGLE.type, FLEXIBLE.type):
            raise bad(
                "InvalidResourceReference",
                f"Resource {target} referenced by resource {request.id} was not found. Please make sure that the "
                "referenced resource exists, and that both resources are in the same region.",
            )
        groups = texts(given, "groupIds")
        if [item.lower() for item in groups] != [GROUP_ID.lower()]:
            raise bad(
                "InvalidGroupIds",
                f"The group ids [{', '.join(groups)}] of private endpoint {request.id} are not valid for resource "
                f"{server.id}; it has '{GROUP_ID}'.",
            )
        if section(server.properties, "network").get("delegatedSubnetResourceId"):
            raise bad(
                "PrivateEndpointNotSupportedForVnetInjectedServer",
                f"Server {server.id} is in a virtual network and cannot have private endpoints.",
            )
        if not manual:
            approve = f"{server.type}/privateEndpointConnectionsApproval/action"
            self._lab.networking.check_link(request, approve, server.id)
        return server

    def _subnet(self, request: ArmRequest, given: dict[str, Any], location: str) -> Resource:
        subnet = self._lab.networking.referenced(request.id, section(given, "subnet").get("id"), SUBNET)
        self._lab.networking.check_link(request, f"{SUBNET}/join/action", subnet.id)
        vnet = self._lab.store.require(subnet.id.parent)
        if vnet.location != location:
            raise bad(
                "InvalidResourceReference",
                f"Resource {subnet.id} referenced by resource {request.id} was not found. Please make sure that the "
                "referenced resource exists, and that both resources are in the same region.",
            )
        if services := self._lab.subnets.delegated_to(subnet):
            raise bad(
                "PrivateEndpointCannotBeCreatedInSubnetThatHasDelegations",
                f"Private endpoint {request.id} cannot be created in subnet {subnet.id} since it is delegated to "
                f"{', '.join(services)}.",
            )
        return subnet

    def _address(self, given: dict[str, Any], subnet: Resource) -> str:
        wanted = [section(item, "properties").get("privateIPAddress") for item in items(given, "ipConfigurations")]
        if not wanted:
            return self._lab.subnets.free_address(subnet)
        try:
            address = IPv4Address(str(wanted[0]))
        except AddressValueError:
            raise bad("InvalidIPAddressFormat", f"The IP address '{wanted[0]}' is not valid.") from None
        if not any(address in prefix for prefix in self._lab.subnets.ranges(subnet)):
            raise bad(
                "PrivateIPAddressNotInSubnet",
                f"Private static IP address {address} does not belong to the range of subnet prefix "
                f"{self._lab.subnets.ranges(subnet)[0]}.",
            )
        used = self._lab.subnets.configurations(subnet.id)
        if str(address) in [config["properties"]["privateIPAddress"] for config in used]:
            raise bad("PrivateIPAddressInUse", f"IP configuration is using the address {address} which is in use.")
        return str(address)

    # Writing

    def put(self, request: ArmRequest) -> ArmResponse:
        body, given = body_of(request), request.properties()
        with self._lab.store.locked():
            before = self._lab.store.get(request.id)
            location = self._lab.networking.place(request, body, before)
            automatic, manual = items(given, AUTOMATIC), items(given, MANUAL)
            if len(automatic) + len(manual) != 1:
                raise bad(
                    "InvalidRequestFormat",
                    f"Cannot parse the request: private endpoint {request.id} needs exactly one private link service "
                    "connection.",
                )
            server = self._target(request, (automatic or manual)[0], manual=bool(manual))
            subnet = self._subnet(request, given, location)
            if before is not None:
                return self._update(request, before, server, subnet)
            made = Resource(request.id, ENDPOINT, location, tags_of(body))
            made.properties = {
                "resourceGuid": str(uuid.uuid4()),
                "subnet": {"id": str(subnet.id)},
                "ipConfigurations": items(given, "ipConfigurations"),
                "customNetworkInterfaceName": given.get("customNetworkInterfaceName") or "",
                AUTOMATIC: [self._connection(request.id, item) for item in automatic],
                MANUAL: [self._connection(request.id, item) for item in manual],
            }
            nic = self._make_nic(made, server, subnet, self._address(given, subnet))
            made.properties["networkInterfaces"] = [{"id": str(nic.id)}]
            connection = self._lab.server_connections.add(server, made, approved=not manual)
            made.internal = {
                "nic": str(nic.id),
                "server": str(server.id),
                "connection": str(connection.id),
                "fqdn": server.properties["fullyQualifiedDomainName"],
            }
            return self._lab.networking.written(request, made, self.view, self._lab.settings.update_seconds)

    def _update(self, request: ArmRequest, before: Resource, server: Resource, subnet: Resource) -> ArmResponse:
        """Only tags change; the rest is for a new endpoint."""
        same = ResourceId(str(before.internal["server"])) == server.id
        if not same or before.properties["subnet"]["id"].lower() != subnet.id.key:
            raise bad(
                "PrivateEndpointPropertiesCannotBeChanged",
                f"The subnet and the private link service connections of private endpoint {before.id} cannot be "
                "changed.",
            )
        before.tags = tags_of(request.body)
        return self._lab.networking.written(request, before, self.view)

    @staticmethod
    def _connection(endpoint_id: ResourceId, item: dict[str, Any]) -> dict[str, Any]:
        given = section(item, "properties")
        name = str(item.get("name") or endpoint_id.name)
        return {
            "name": name,
            "id": f"{endpoint_id}/{AUTOMATIC}/{name}",
            "type": f"{ENDPOINT}/{AUTOMATIC}",
            "properties": {
                "provisioningState": "Succeeded",
                "privateLinkServiceId": str(given["privateLinkServiceId"]),
                "groupIds": [GROUP_ID],
                **({"requestMessage": given["requestMessage"]} if given.get("requestMessage") else {}),
            },
        }

    def _make_nic(self, endpoint: Resource, server: Resource, subnet: Resource, address: str) -> Resource:
        guid = str(uuid.uuid4())
        name = str(endpoint.properties["customNetworkInterfaceName"] or f"{endpoint.name}.nic.{guid}")
        if not NIC_NAME.fullmatch(name):
            raise bad("InvalidResourceName", f"Resource name {name} is invalid.")
        target = endpoint.id.parent.extension("Microsoft.Network", "networkInterfaces", name)
        nic = Resource(target, NIC, endpoint.location)
        self._lab.networking.touch(nic)
        config = f"privateEndpointIpConfig.{uuid.uuid4()}"
        nic.properties = {
            "provisioningState": "Succeeded",
            "resourceGuid": guid,
            "ipConfigurations": [
                {
                    "name": config,
                    "id": f"{target}/ipConfigurations/{config}",
                    "etag": nic.internal["etag"],
                    "type": f"{NIC}/ipConfigurations",
                    "properties": {
                        "provisioningState": "Succeeded",
                        "privateIPAddress": address,
                        "privateIPAllocationMethod": "Dynamic",
                        "subnet": {"id": str(subnet.id)},
                        "primary": True,
                        "privateIPAddressVersion": "IPv4",
                        "privateLinkConnectionProperties": {
                            "groupId": GROUP_ID,
                            "requiredMemberName": GROUP_ID,
                            "fqdns": [server.properties["fullyQualifiedDomainName"]],
                        },
                    },
                }
            ],
            "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
            "enableAcceleratedNetworking": False,
            "enableIPForwarding": False,
            "hostedWorkloads": [],
            "tapConfigurations": [],
            "nicType": "Standard",
            "privateEndpoint": {"id": str(endpoint.id)},
        }
        return self._lab.store.put(nic)

    def delete(self, request: ArmRequest) -> ArmResponse:
        endpoint = self._lab.store.get(request.id)
        if endpoint is None:
            return ArmResponse(204)

        def work() -> None:
            for group in self._lab.store.children(endpoint.id, ZONE_GROUP):
                self._lab.private_dns_zone_groups.withdraw(group)
            for part in ("nic", "connection"):
                self._lab.store.delete(ResourceId(str(endpoint.internal[part])))

        return self._lab.networking.deleted(request, work)

    # Reading

    def list(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.list(request, ENDPOINT, self.view)

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id)))

    def list_nics(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.list(request, NIC, self.nic_view)

    def get_nic(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.nic_view(self._lab.store.require(request.id)))

    def delete_nic(self, request: ArmRequest) -> ArmResponse:
        nic = self._lab.store.get(request.id)
        if nic is None:
            return ArmResponse(204)
        raise bad(
            "NicInUseWithPrivateEndpoint",
            f"Network Interface {nic.id} is used by existing resource {nic.properties['privateEndpoint']['id']}. In "
            "order to delete the network interface, it must be dissociated from the resource.",
        )
