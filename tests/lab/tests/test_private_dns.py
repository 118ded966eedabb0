# SPDX-License-Identifier: GPL-3.0-or-later
"""Private DNS through azure-mgmt-privatedns, and what endpoints and servers write into it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.mgmt.network import models as network
from azure.mgmt.postgresqlflexibleservers import models as flexible
from azure.mgmt.privatedns import models

from pgflex_lab.process import Running
from sdk_clients import GROUP, Clients, environment

ZONE = "corp.example"
PRIVATELINK = "privatelink.postgres.database.azure.com"
DELEGATE = "Microsoft.DBforPostgreSQL/flexibleServers"
PASSWORD = "Lab-Passw0rd!inside"


def refused(code: str, call: Callable[[], Any]) -> HttpResponseError:
    with pytest.raises(HttpResponseError) as caught:
        call()
    assert caught.value.error is not None and caught.value.error.code == code
    return caught.value


def make_vnet(clients: Clients, name: str, space: str, *, location: str = "eastus") -> str:
    """With a plain subnet and one for servers."""
    service = network.ServiceDelegationPropertiesFormat(service_name=DELEGATE)
    delegation = network.Delegation(name="pg", properties=service)
    start = space.split(".0.0/")[0]
    properties = network.VirtualNetworkPropertiesFormat(
        address_space=network.AddressSpace(address_prefixes=[space]),
        subnets=[
            network.Subnet(name="plain", properties=network.SubnetPropertiesFormat(address_prefix=f"{start}.0.0/24")),
            network.Subnet(
                name="pg",
                properties=network.SubnetPropertiesFormat(address_prefix=f"{start}.1.0/28", delegations=[delegation]),
            ),
        ],
    )
    wanted = network.VirtualNetwork(location=location, properties=properties)
    return str(clients.network.virtual_networks.begin_create_or_update(GROUP, name, wanted).result().id)


def link(vnet_id: str, *, registration: bool = False) -> models.VirtualNetworkLink:
    properties = models.VirtualNetworkLinkProperties(
        virtual_network=models.SubResource(id=vnet_id), registration_enabled=registration
    )
    return models.VirtualNetworkLink(location="global", properties=properties)


def make_zone(clients: Clients, name: str) -> str:
    zone = models.PrivateZone(location="global")
    return str(clients.dns.private_zones.begin_create_or_update(GROUP, name, zone).result().id)


@pytest.fixture(scope="module")
def vnet(lab: Running) -> Iterator[str]:
    with environment(lab):
        yield make_vnet(Clients.of(lab), "dns-vnet", "10.60.0.0/16")


@pytest.fixture(scope="module")
def zone(lab: Running) -> Iterator[str]:
    with environment(lab):
        yield make_zone(Clients.of(lab), ZONE)


def test_zones(clients: Clients) -> None:
    api = clients.dns.private_zones
    wanted = models.PrivateZone(location="global", tags={"a": "b"})
    missing = {"match_condition": MatchConditions.IfMissing}
    made = api.begin_create_or_update(GROUP, "spare.example", wanted, **missing).result()
    assert (made.name, made.type, made.location) == ("spare.example", "Microsoft.Network/privateDnsZones", "global")
    properties = made.properties
    assert (properties.number_of_record_sets, properties.number_of_virtual_network_links) == (1, 0)
    assert (properties.provisioning_state, properties.max_number_of_record_sets) == ("Succeeded", 25000)
    with pytest.raises(ResourceExistsError):
        api.begin_create_or_update(GROUP, "spare.example", wanted, **missing)
    changed = api.begin_update(GROUP, "spare.example", models.PrivateZone(tags={"c": "d"})).result()
    assert changed.tags == {"c": "d"} and changed.etag != made.etag
    old = {"etag": made.etag, "match_condition": MatchConditions.IfNotModified}
    with pytest.raises(ResourceModifiedError):
        api.begin_create_or_update(GROUP, "spare.example", wanted, **old)
    assert "spare.example" in [item.name for item in api.list_by_resource_group(GROUP)]
    assert "spare.example" in [item.name for item in api.list()]
    api.begin_delete(GROUP, "spare.example").result()
    with pytest.raises(ResourceNotFoundError):
        api.get(GROUP, "spare.example")
    api.begin_delete(GROUP, "spare.example").result()


def test_bad_zones(clients: Clients) -> None:
    api = clients.dns.private_zones
    for name, location, code in (
        ("single", "global", "BadRequest"),
        ("a..example", "global", "BadRequest"),
        ("a.example", "eastus", "LocationNotAvailableForResourceType"),
        ("a.example", None, "LocationRequired"),
    ):
        wanted = models.PrivateZone(location=location)
        refused(code, lambda name=name, wanted=wanted: api.begin_create_or_update(GROUP, name, wanted))


def test_record_sets(clients: Clients, zone: str) -> None:
    api = clients.dns.record_sets

    def wanted(*addresses: str, ttl: int | None = 300) -> models.RecordSet:
        records = [models.ARecord(ipv4_address=item) for item in addresses]
        return models.RecordSet(properties=models.RecordSetProperties(ttl=ttl, a_records=records))

    made = api.create_or_update(GROUP, ZONE, "A", "db", wanted("10.0.0.1", "10.0.0.2"))
    assert (made.id, made.type) == (f"{zone}/A/db", "Microsoft.Network/privateDnsZones/A")
    assert (made.properties.fqdn, made.properties.is_auto_registered) == (f"db.{ZONE}.", False)
    assert [item.ipv4_address for item in api.get(GROUP, ZONE, "A", "db").properties.a_records] == [
        "10.0.0.1",
        "10.0.0.2",
    ]
    changed = api.update(GROUP, ZONE, "A", "db", models.RecordSet(properties=models.RecordSetProperties(ttl=60)))
    assert (changed.properties.ttl, len(changed.properties.a_records)) == (60, 2)
    text = models.RecordSetProperties(ttl=60, txt_records=[models.TxtRecord(value=["hello"])])
    api.create_or_update(GROUP, ZONE, "TXT", "@", models.RecordSet(properties=text))
    assert [item.name for item in api.list_by_type(GROUP, ZONE, "A")] == ["db"]
    assert {item.id.rsplit("/", 2)[1] for item in api.list(GROUP, ZONE)} == {"A", "SOA", "TXT"}
    soa = api.get(GROUP, ZONE, "SOA", "@").properties.soa_record
    assert (soa.host, soa.minimum_ttl) == ("azureprivatedns.net", 10)
    assert clients.dns.private_zones.get(GROUP, ZONE).properties.number_of_record_sets == 3

    refused("BadRequest", lambda: api.create_or_update(GROUP, ZONE, "A", "db", wanted("10.0.0.300")))
    refused("BadRequest", lambda: api.create_or_update(GROUP, ZONE, "A", "db", wanted("10.0.0.1", "10.0.0.1")))
    refused("BadRequest", lambda: api.create_or_update(GROUP, ZONE, "A", "db", wanted("10.0.0.1", ttl=None)))
    refused("BadRequest", lambda: api.delete(GROUP, ZONE, "SOA", "@"))
    missing = {"match_condition": MatchConditions.IfMissing}
    refused("PreconditionFailed", lambda: api.create_or_update(GROUP, ZONE, "A", "db", wanted("10.0.0.1"), **missing))
    api.delete(GROUP, ZONE, "A", "db")
    api.delete(GROUP, ZONE, "A", "db")
    with pytest.raises(ResourceNotFoundError):
        api.get(GROUP, ZONE, "A", "db")
    with pytest.raises(ResourceNotFoundError):
        api.create_or_update(GROUP, "nowhere.example", "A", "db", wanted("10.0.0.1"))


def test_links(clients: Clients, vnet: str, zone: str) -> None:
    api = clients.dns.virtual_network_links
    made = api.begin_create_or_update(GROUP, ZONE, "to-vnet", link(vnet, registration=True)).result()
    assert (made.id, made.location) == (f"{zone}/virtualNetworkLinks/to-vnet", "global")
    properties = made.properties
    assert (properties.virtual_network_link_state, properties.provisioning_state) == ("Completed", "Succeeded")
    assert properties.virtual_network.id == vnet and properties.registration_enabled
    counted = clients.dns.private_zones.get(GROUP, ZONE).properties
    assert counted.number_of_virtual_network_links == counted.number_of_virtual_network_links_with_registration == 1
    refused("CannotDeleteResource", lambda: clients.dns.private_zones.begin_delete(GROUP, ZONE))

    make_zone(clients, "second.example")

    def second(wanted: models.VirtualNetworkLink) -> Any:
        return api.begin_create_or_update(GROUP, "second.example", "to-vnet", wanted).result()

    error = refused("Conflict", lambda: second(link(vnet, registration=True)))
    assert "can only be linked to 1 Private DNS zone(s) with auto-registration" in str(error)
    assert second(link(vnet)).properties.registration_enabled is False
    again = link(vnet)
    error = refused("BadRequest", lambda: api.begin_create_or_update(GROUP, ZONE, "again", again).result())
    assert "overlapping namespaces" in str(error)
    refused("BadRequest", lambda: api.begin_create_or_update(GROUP, ZONE, "nowhere", link(f"{vnet}x")).result())

    change = models.VirtualNetworkLink(
        tags={"a": "b"}, properties=models.VirtualNetworkLinkProperties(registration_enabled=False)
    )
    changed = api.begin_update(GROUP, ZONE, "to-vnet", change).result()
    assert (changed.tags, changed.properties.registration_enabled) == ({"a": "b"}, False)
    assert changed.properties.virtual_network.id == vnet
    assert [item.name for item in api.list(GROUP, ZONE)] == ["to-vnet"]
    assert api.get(GROUP, ZONE, "to-vnet").etag == changed.etag
    api.begin_delete(GROUP, ZONE, "to-vnet").result()
    with pytest.raises(ResourceNotFoundError):
        api.get(GROUP, ZONE, "to-vnet")


def test_zone_group_of_a_private_endpoint(clients: Clients, vnet: str) -> None:
    zone_id = make_zone(clients, PRIVATELINK)
    target = f"{clients.group_id}/providers/Microsoft.DBforPostgreSQL/servers/shop-single"
    connection = network.PrivateLinkServiceConnection(
        name="link",
        properties=network.PrivateLinkServiceConnectionProperties(
            private_link_service_id=target, group_ids=["postgresqlServer"]
        ),
    )
    wanted = network.PrivateEndpoint(
        location="eastus",
        properties=network.PrivateEndpointProperties(
            subnet=network.Subnet(id=f"{vnet}/subnets/plain"), private_link_service_connections=[connection]
        ),
    )
    ends = clients.network.private_endpoints
    ends.begin_create_or_update(GROUP, "pe-dns", wanted).result()

    def group(zone: str) -> network.PrivateDnsZoneGroup:
        config = network.PrivateDnsZoneConfig(
            name="pg", properties=network.PrivateDnsZonePropertiesFormat(private_dns_zone_id=zone)
        )
        properties = network.PrivateDnsZoneGroupPropertiesFormat(private_dns_zone_configs=[config])
        return network.PrivateDnsZoneGroup(name="default", properties=properties)

    api = clients.network.private_dns_zone_groups
    made = api.begin_create_or_update(GROUP, "pe-dns", "default", group(zone_id)).result()
    [config] = made.properties.private_dns_zone_configs
    [record] = config.properties.record_sets
    assert (record.record_set_name, record.fqdn) == ("shop-single", f"shop-single.{PRIVATELINK}")
    written = clients.dns.record_sets.get(GROUP, PRIVATELINK, "A", "shop-single").properties
    assert [item.ipv4_address for item in written.a_records] == record.ip_addresses == ["10.60.0.4"]
    assert ends.get(GROUP, "pe-dns").properties.custom_dns_configs == []
    assert [item.name for item in api.list("pe-dns", GROUP)] == ["default"]
    assert api.get(GROUP, "pe-dns", "default").properties.provisioning_state == "Succeeded"

    put = api.begin_create_or_update
    refused("InvalidResourceReference", lambda: put(GROUP, "pe-dns", "default", group(f"{zone_id}x")))
    only = "MoreThanOnePrivateDnsZoneGroupPerPrivateEndpointNotAllowed"
    refused(only, lambda: put(GROUP, "pe-dns", "other", group(zone_id)))
    api.begin_delete(GROUP, "pe-dns", "default").result()
    assert list(clients.dns.record_sets.list_by_type(GROUP, PRIVATELINK, "A")) == []
    put(GROUP, "pe-dns", "default", group(zone_id)).result()
    ends.begin_delete(GROUP, "pe-dns").result()
    assert list(clients.dns.record_sets.list_by_type(GROUP, PRIVATELINK, "A")) == []


def server(subnet: str | None, zone: str | None, public: str | None = None) -> flexible.Server:
    placed = flexible.Network(
        delegated_subnet_resource_id=subnet, private_dns_zone_arm_resource_id=zone, public_network_access=public
    )
    properties = flexible.ServerProperties(
        administrator_login="boss", administrator_login_password=PASSWORD, version="15", network=placed
    )
    sku = flexible.Sku(name="Standard_D2ds_v5", tier="GeneralPurpose")
    return flexible.Server(location="eastus", sku=sku, properties=properties)


def test_a_flexible_server_inside_a_network(clients: Clients, vnet: str) -> None:
    name, subnet = "inside.postgres.database.azure.com", f"{vnet}/subnets/pg"
    zone_id = make_zone(clients, name)
    put = clients.flexible.servers.begin_create_or_update

    refused("PrivateDnsZoneNotLinkedToVirtualNetwork", lambda: put(GROUP, "inside-pg", server(subnet, zone_id)))
    clients.dns.virtual_network_links.begin_create_or_update(GROUP, name, "to-vnet", link(vnet)).result()
    refused("OperationFailed", lambda: put(GROUP, "inside-pg", server(f"{vnet}/subnets/plain", zone_id)))
    refused("InvalidResourceReference", lambda: put(GROUP, "inside-pg", server(f"{vnet}/subnets/none", zone_id)))
    refused("EmptyPrivateDnsZoneArmResourceId", lambda: put(GROUP, "inside-pg", server(subnet, None)))
    refused("PrivateDnsZoneNameNotValid", lambda: put(GROUP, "inside", server(subnet, zone_id)))
    refused("InvalidParameterValue", lambda: put(GROUP, "inside-pg", server(None, zone_id)))
    both = "ConflictingPublicNetworkAccessAndVirtualNetworkConfiguration"
    refused(both, lambda: put(GROUP, "inside-pg", server(subnet, zone_id, "Enabled")))
    abroad = make_vnet(clients, "abroad", "10.61.0.0/16", location="westeurope")
    refused("InvalidResourceReference", lambda: put(GROUP, "inside-pg", server(f"{abroad}/subnets/pg", zone_id)))

    made = put(GROUP, "inside-pg", server(subnet, zone_id)).result()
    placed = made.properties.network
    assert (placed.delegated_subnet_resource_id, placed.private_dns_zone_arm_resource_id) == (subnet, zone_id)
    assert placed.public_network_access == "Disabled"
    assert made.properties.fully_qualified_domain_name == "inside-pg.postgres.database.azure.com"
    [record] = clients.dns.record_sets.list_by_type(GROUP, name, "A")
    assert [item.ipv4_address for item in record.properties.a_records] == ["10.60.1.4"]
    shown = clients.network.subnets.get(GROUP, "dns-vnet", "pg").properties
    assert [item.properties.link for item in shown.service_association_links] == [made.id]
    subnets = clients.network.subnets
    refused("InUseSubnetCannotBeDeleted", lambda: subnets.begin_delete(GROUP, "dns-vnet", "pg"))
    moved = flexible.ServerForPatch(
        properties=flexible.ServerPropertiesForPatch(
            network=flexible.Network(delegated_subnet_resource_id=f"{vnet}/subnets/plain")
        )
    )
    refused("InvalidParameterValue", lambda: clients.flexible.servers.begin_update(GROUP, "inside-pg", moved))

    other = "moved.postgres.database.azure.com"
    moved.properties.network = flexible.Network(private_dns_zone_arm_resource_id=make_zone(clients, other))
    update = clients.flexible.servers.begin_update
    refused("PrivateDnsZoneNotLinkedToVirtualNetwork", lambda: update(GROUP, "inside-pg", moved))
    clients.dns.virtual_network_links.begin_create_or_update(GROUP, other, "to-vnet", link(vnet)).result()
    update(GROUP, "inside-pg", moved).result()
    assert list(clients.dns.record_sets.list_by_type(GROUP, name, "A")) == []
    [record] = clients.dns.record_sets.list_by_type(GROUP, other, "A")
    assert [item.ipv4_address for item in record.properties.a_records] == ["10.60.1.4"]

    clients.flexible.servers.begin_delete(GROUP, "inside-pg").result()
    assert list(clients.dns.record_sets.list_by_type(GROUP, other, "A")) == []
    # The server's association outlives it, for a time that is another on every machine.
    removed = False
    for _try in range(200):
        try:
            subnets.begin_delete(GROUP, "dns-vnet", "pg").result()
            removed = True
            break
        except HttpResponseError as error:
            if error.error is None or error.error.code != "InUseSubnetCannotBeDeleted":
                raise
            time.sleep(0.1)
    assert removed


def test_rights(lab: Running, clients: Clients, vnet: str, zone: str) -> None:
    reader = Clients.of(lab, "reader").dns
    assert reader.private_zones.get(GROUP, ZONE).id == zone
    wanted = models.PrivateZone(location="global")
    refused("AuthorizationFailed", lambda: reader.private_zones.begin_create_or_update(GROUP, "my.example", wanted))
