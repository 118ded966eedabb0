# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual networks, peerings, private DNS and private endpoints, and a server inside."""

from __future__ import annotations

import time
from typing import Any

import pytest

from az_servers import FLEXIBLE, PASSWORD
from azure_cli import Az

VNET = ("addressSpace.addressPrefixes", "etag", "id", "location", "name", "provisioningState", "resourceGuid", "type")
SUBNET = ("addressPrefix", "delegations", "etag", "id", "name", "provisioningState", "type")
PEERING = (
    *("allowVirtualNetworkAccess", "id", "name", "peeringState", "peeringSyncLevel", "provisioningState"),
    *("remoteAddressSpace.addressPrefixes", "remoteVirtualNetwork.id", "type"),
)
ZONE = ("id", "location", "maxNumberOfRecordSets", "name", "numberOfRecordSets", "provisioningState", "type")
LINK = (
    "id",
    "name",
    "provisioningState",
    "registrationEnabled",
    "type",
    "virtualNetwork.id",
    "virtualNetworkLinkState",
)
ENDPOINT = (
    *("customDnsConfigs", "id", "location", "name", "networkInterfaces", "privateLinkServiceConnections"),
    *("provisioningState", "subnet.id", "type"),
)


@pytest.fixture(scope="module")
def suffix() -> str:
    return str(time.monotonic_ns())[-6:]


@pytest.fixture(scope="module")
def vnets(custom: Az, suffix: str) -> tuple[str, str]:
    """Two networks with subnets: one for servers, one for endpoints."""
    names = (f"servers-{suffix}", f"apps-{suffix}")
    for number, name in enumerate(names):
        custom.ok(
            *("network", "vnet", "create", "-g", "shop-rg", "-n", name, "-l", "eastus"),
            *("--address-prefixes", f"10.{number}.0.0/16"),
            judge=lambda made, name=name: check_vnet(made["newVNet"], name),
        )
        place = ("-g", "shop-rg", "--vnet-name", name)
        custom.ok(
            *(
                "network",
                "vnet",
                "subnet",
                "create",
                *place,
                "-n",
                "plain",
                "--address-prefixes",
                f"10.{number}.1.0/24",
            ),
            has=SUBNET,
        )
        custom.ok(
            *("network", "vnet", "subnet", "create", *place, "-n", "delegated"),
            *("--address-prefixes", f"10.{number}.2.0/24"),
            *("--delegations", "Microsoft.DBforPostgreSQL/flexibleServers"),
            has=SUBNET,
            judge=check_delegated,
        )
    return names


def check_vnet(vnet: Any, name: str) -> None:
    assert vnet["name"] == name and vnet["provisioningState"] == "Succeeded"
    assert vnet["resourceGuid"] and vnet["etag"]


def check_delegated(subnet: Any) -> None:
    (delegation,) = subnet["delegations"]
    assert delegation["serviceName"] == "Microsoft.DBforPostgreSQL/flexibleServers"


def test_networks(az: Az, vnets: tuple[str, str]) -> None:
    shown = az.ok("network", "vnet", "show", "-g", "shop-rg", "-n", vnets[0], has=VNET)
    assert [item["name"] for item in shown["subnets"]] == ["plain", "delegated"]
    assert set(vnets) <= {item["name"] for item in az.ok("network", "vnet", "list", "-g", "shop-rg", has=VNET)}
    place = ("-g", "shop-rg", "--vnet-name", vnets[0])
    az.ok("network", "vnet", "subnet", "list", *place, has=SUBNET)
    az.ok("network", "vnet", "subnet", "show", *place, "-n", "delegated", has=SUBNET, judge=check_delegated)


def test_peerings(custom: Az, vnets: tuple[str, str]) -> None:
    """Connected when both sides have theirs."""
    for here, there, state in ((*vnets, "Initiated"), (*reversed(vnets), "Connected")):
        custom.ok(
            *("network", "vnet", "peering", "create", "-g", "shop-rg", "--vnet-name", here, "-n", f"to-{there}"),
            *("--remote-vnet", there, "--allow-vnet-access"),
            has=PEERING,
            judge=lambda made, state=state: check_peering(made, state),
        )
    place = ("-g", "shop-rg", "--vnet-name", vnets[0])
    (listed,) = custom.ok("network", "vnet", "peering", "list", *place, has=PEERING)
    check_peering(listed, "Connected")
    custom.ok("network", "vnet", "peering", "show", *place, "-n", f"to-{vnets[1]}", has=PEERING)
    custom.ok("network", "vnet", "peering", "delete", *place, "-n", f"to-{vnets[1]}")


def check_peering(peering: Any, state: str) -> None:
    assert peering["peeringState"] == state
    assert peering["remoteAddressSpace"]["addressPrefixes"]


def test_private_dns(custom: Az, vnets: tuple[str, str], suffix: str) -> None:
    zone = f"shop{suffix}.private.postgres.database.azure.com"
    custom.ok("network", "private-dns", "zone", "create", "-g", "shop-rg", "-n", zone, has=ZONE)
    custom.ok("network", "private-dns", "zone", "show", "-g", "shop-rg", "-n", zone, has=ZONE)
    assert zone in [item["name"] for item in custom.ok("network", "private-dns", "zone", "list", "-g", "shop-rg")]
    place = ("-g", "shop-rg", "-z", zone)
    custom.ok(
        *("network", "private-dns", "link", "vnet", "create", *place, "-n", "to-apps", "-v", vnets[1], "-e", "false"),
        has=LINK,
    )
    custom.ok("network", "private-dns", "link", "vnet", "show", *place, "-n", "to-apps", has=LINK)
    (link,) = custom.ok("network", "private-dns", "link", "vnet", "list", *place, has=LINK)
    assert (link["virtualNetworkLinkState"], link["registrationEnabled"]) == ("Completed", False)
    custom.ok("network", "private-dns", "link", "vnet", "delete", *place, "-n", "to-apps", "--yes")
    custom.ok("network", "private-dns", "zone", "delete", "-g", "shop-rg", "-n", zone, "--yes")


def test_private_endpoint_of_a_server(custom: Az, vnets: tuple[str, str], suffix: str) -> None:
    server = custom.ok(*FLEXIBLE, "show", "-g", "shop-rg", "-n", "shop-flex", has=("id",))["id"]
    name = ("-g", "shop-rg", "-n", f"endpoint-{suffix}")
    made = custom.ok(
        *("network", "private-endpoint", "create", *name, "-l", "eastus", "--vnet-name", vnets[1], "--subnet", "plain"),
        *("--private-connection-resource-id", server, "--group-id", "postgresqlServer", "--connection-name", "shop"),
        has=ENDPOINT,
    )
    (connection,) = made["privateLinkServiceConnections"]
    assert connection["privateLinkServiceConnectionState"]["status"] == "Approved"
    assert custom.ok("network", "private-endpoint", "show", *name, has=ENDPOINT)["id"] == made["id"]
    custom.ok("network", "private-endpoint", "list", "-g", "shop-rg", has=ENDPOINT)
    place = ("-g", "shop-rg", "-s", "shop-flex")
    listed = custom.ok(*FLEXIBLE, "private-endpoint-connection", "list", *place, has=("id", "name", "type"))
    assert made["id"] in [item["privateEndpoint"]["id"] for item in listed]
    custom.ok("network", "private-endpoint", "delete", *name)


def test_a_server_inside_a_network(custom: Az, vnets: tuple[str, str], suffix: str) -> None:
    name = f"inside-{suffix}"
    zone = f"inside.shop{suffix}.private.postgres.database.azure.com"
    custom.ok("network", "private-dns", "zone", "create", "-g", "shop-rg", "-n", zone, has=ZONE)
    place = ("-g", "shop-rg", "-z", zone)
    custom.ok("network", "private-dns", "link", "vnet", "create", *place, "-n", "own", "-v", vnets[0], "-e", "false")
    made = custom.ok(
        *(*FLEXIBLE, "create", "-g", "shop-rg", "-n", name, "-l", "eastus", "--tier", "GeneralPurpose"),
        *("--sku-name", "Standard_D2ds_v5", "--storage-size", "128", "--version", "16", "--yes"),
        *("--admin-user", "pgadmin", "--admin-password", PASSWORD),
        *("--vnet", vnets[0], "--subnet", "delegated", "--private-dns-zone", zone),
        has=("host", "id", "location", "subnetId", "version"),
        operation="postgres flexible-server create, in a virtual network",
    )
    assert made["subnetId"].endswith(f"/{vnets[0]}/subnets/delegated")
    network = custom.ok(*FLEXIBLE, "show", "-g", "shop-rg", "-n", name, has=("id", "network"))["network"]
    assert network["publicNetworkAccess"] == "Disabled"
    assert network["delegatedSubnetResourceId"] == made["subnetId"]
    assert network["privateDnsZoneArmResourceId"].endswith(f"/{zone}")


def test_what_is_not_there(az: Az) -> None:
    says = "The Resource 'Microsoft.Network/virtualNetworks/nothing' under resource group 'shop-rg' was not found."
    az.refused("network", "vnet", "show", "-g", "shop-rg", "-n", "nothing", says=says)
