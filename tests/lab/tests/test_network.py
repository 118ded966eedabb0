# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual networks, subnets, peerings, security groups and private endpoints through azure-mgmt-network."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.authorization.models import RoleAssignmentCreateParameters
from azure.mgmt.network import models
from azure.mgmt.postgresqlflexibleservers import models as flexible
from azure.mgmt.rdbms.postgresql import models as single

from pgflex_lab.process import Running
from pgflex_lab.seed import NAMESPACE
from sdk_clients import GROUP, Clients, environment

DELEGATE = "Microsoft.DBforPostgreSQL/flexibleServers"


def vnet(space: str, subnets: list[models.Subnet] | None = None, **more: Any) -> models.VirtualNetwork:
    address_space = models.AddressSpace(address_prefixes=[space])
    properties = models.VirtualNetworkPropertiesFormat(address_space=address_space, subnets=subnets, **more)
    return models.VirtualNetwork(location="eastus", tags={"made": "here"}, properties=properties)


def subnet(prefix: str, name: str | None = None, *, delegated: bool = False, **more: Any) -> models.Subnet:
    delegation = models.Delegation(
        name="pg", properties=models.ServiceDelegationPropertiesFormat(service_name=DELEGATE)
    )
    properties = models.SubnetPropertiesFormat(
        address_prefix=prefix, delegations=[delegation] if delegated else [], **more
    )
    return models.Subnet(name=name, properties=properties)


def peering(remote: str, **more: Any) -> models.VirtualNetworkPeering:
    properties = models.VirtualNetworkPeeringPropertiesFormat(
        remote_virtual_network=models.SubResource(id=remote), allow_virtual_network_access=True, **more
    )
    return models.VirtualNetworkPeering(properties=properties)


def refused(code: str, call: Callable[[], Any]) -> HttpResponseError:
    with pytest.raises(HttpResponseError) as caught:
        call()
    assert caught.value.error is not None and caught.value.error.code == code
    return caught.value


@pytest.fixture(scope="module")
def hub(lab: Running) -> Iterator[str]:
    """A virtual network with a plain subnet, one with a service endpoint, and a delegated one."""
    with environment(lab):
        api = Clients.of(lab).network.virtual_networks
        endpoint = models.ServiceEndpointPropertiesFormat(service="Microsoft.Sql")
        subnets = [
            subnet("10.10.0.0/24", "plain"),
            subnet("10.10.1.0/24", "open", service_endpoints=[endpoint]),
            subnet("10.10.2.0/28", "pg", delegated=True),
        ]
        made = api.begin_create_or_update(GROUP, "hub", vnet("10.10.0.0/16", subnets)).result()
        assert made.properties.provisioning_state == "Succeeded"
        yield made.id


def test_virtual_networks(clients: Clients) -> None:
    api = clients.network.virtual_networks
    options = models.DhcpOptions(dns_servers=["10.20.0.4"])
    made = api.begin_create_or_update(GROUP, "spare", vnet("10.20.0.0/16", dhcp_options=options)).result()
    assert (made.name, made.type, made.location) == ("spare", "Microsoft.Network/virtualNetworks", "eastus")
    assert made.properties.address_space.address_prefixes == ["10.20.0.0/16"] and made.etag and made.id
    assert made.properties.dhcp_options.dns_servers == ["10.20.0.4"] and made.properties.resource_guid
    assert (made.properties.subnets, made.properties.virtual_network_peerings) == ([], [])
    assert api.update_tags(GROUP, "spare", models.TagsObject(tags={"made": "there"})).tags == {"made": "there"}
    assert "spare" in [item.name for item in api.list(GROUP)]
    assert "spare" in [item.name for item in api.list_all()]
    assert api.get(GROUP, "SPARE").etag != made.etag
    api.begin_delete(GROUP, "spare").result()
    with pytest.raises(ResourceNotFoundError):
        api.get(GROUP, "spare")


@pytest.mark.parametrize(
    ("space", "subnets", "code"),
    [
        ("10.0.0.0", [], "InvalidAddressPrefixFormat"),
        ("10.0.0.1/16", [], "InvalidCIDRNotation"),
        ("10.0.0.0/16", ["10.1.0.0/24"], "NetcfgSubnetRangeOutsideVnet"),
        ("10.0.0.0/16", ["10.0.0.0/24", "10.0.0.128/25"], "NetcfgSubnetRangesOverlap"),
        ("10.0.0.0/16", ["10.0.0.0/30"], "NetcfgInvalidSubnet"),
    ],
)
def test_bad_address_spaces(clients: Clients, space: str, subnets: list[str], code: str) -> None:
    inside = [subnet(prefix, f"s{number}") for number, prefix in enumerate(subnets)]
    api = clients.network.virtual_networks
    refused(code, lambda: api.begin_create_or_update(GROUP, "bad", vnet(space, inside)))
    with pytest.raises(ResourceNotFoundError):
        api.get(GROUP, "bad")


def test_bad_virtual_networks(clients: Clients, hub: str) -> None:
    api = clients.network.virtual_networks
    moved = vnet("10.10.0.0/16")
    moved.location = "westeurope"
    refused("InvalidResourceLocation", lambda: api.begin_create_or_update(GROUP, "hub", moved))
    moved.location = None
    refused("LocationRequired", lambda: api.begin_create_or_update(GROUP, "other", moved))
    refused("InvalidResourceName", lambda: api.begin_create_or_update(GROUP, "-", vnet("10.0.0.0/16")))
    refused("NetcfgSubnetRangeOutsideVnet", lambda: api.begin_create_or_update(GROUP, "hub", vnet("10.11.0.0/16")))


def test_subnets_as_resources(clients: Clients, hub: str) -> None:
    api = clients.network.subnets
    made = api.begin_create_or_update(GROUP, "hub", "late", subnet("10.10.9.0/24", delegated=True)).result()
    assert made.id == f"{hub}/subnets/late" and made.properties.address_prefix == "10.10.9.0/24"
    [delegation] = made.properties.delegations
    assert delegation.properties.service_name == DELEGATE
    assert delegation.properties.actions == ["Microsoft.Network/virtualNetworks/subnets/join/action"]
    assert made.properties.private_endpoint_network_policies == "Disabled"
    opened = api.get(GROUP, "hub", "open").properties.service_endpoints
    assert [(item.service, item.locations) for item in opened] == [("Microsoft.Sql", ["*"])]
    assert {item.name for item in api.list(GROUP, "hub")} >= {"plain", "open", "pg", "late"}
    shown = clients.network.virtual_networks.get(GROUP, "hub").properties.subnets
    assert "late" in [item.name for item in shown]
    # A list that leaves the subnet out deletes it; a body without a list does not.
    kept = clients.network.virtual_networks.begin_create_or_update(GROUP, "hub", vnet("10.10.0.0/16")).result()
    assert "late" in [item.name for item in kept.properties.subnets]
    shown = [item for item in shown if item.name != "late"]
    clients.network.virtual_networks.begin_create_or_update(GROUP, "hub", vnet("10.10.0.0/16", shown)).result()
    with pytest.raises(ResourceNotFoundError):
        api.get(GROUP, "hub", "late")
    api.begin_delete(GROUP, "hub", "late").result()


def test_bad_subnets(clients: Clients, hub: str) -> None:
    api = clients.network.subnets

    def put(wanted: models.Subnet, name: str = "wrong") -> Callable[[], Any]:
        return lambda: api.begin_create_or_update(GROUP, "hub", name, wanted)

    refused("NetcfgSubnetRangesOverlap", put(subnet("10.10.0.0/25")))
    refused("NetcfgSubnetRangeOutsideVnet", put(subnet("10.99.0.0/25")))
    refused("NetcfgInvalidSubnet", put(subnet("10.10.8.0/30")))
    wrong = subnet("10.10.8.0/24", delegated=True)
    wrong.properties.delegations[0].properties.service_name = "Microsoft.Nobody/things"
    refused("InvalidServiceNameOnDelegation", put(wrong))
    wrong = subnet("10.10.8.0/24", service_endpoints=[models.ServiceEndpointPropertiesFormat(service="sql")])
    refused("SubnetHasServiceEndpointWithInvalidServiceName", put(wrong))
    missing = models.NetworkSecurityGroup(id=f"{clients.group_id}/providers/Microsoft.Network/networkSecurityGroups/x")
    refused("InvalidResourceReference", put(subnet("10.10.8.0/24", network_security_group=missing)))
    with pytest.raises(ResourceNotFoundError):
        api.begin_create_or_update(GROUP, "nowhere", "s", subnet("10.10.8.0/24"))


def test_peerings(clients: Clients, hub: str) -> None:
    api, vnets = clients.network.virtual_network_peerings, clients.network.virtual_networks
    spoke = vnets.begin_create_or_update(GROUP, "spoke", vnet("10.30.0.0/16")).result().id
    first = api.begin_create_or_update(GROUP, "hub", "to-spoke", peering(spoke)).result()
    assert (first.properties.peering_state, first.properties.provisioning_state) == ("Initiated", "Succeeded")
    assert first.properties.remote_address_space.address_prefixes == ["10.30.0.0/16"]
    assert first.properties.allow_virtual_network_access and not first.properties.allow_forwarded_traffic
    second = api.begin_create_or_update(GROUP, "spoke", "to-hub", peering(hub, allow_forwarded_traffic=True)).result()
    assert second.properties.peering_state == "Connected" and second.properties.allow_forwarded_traffic
    assert second.properties.peering_sync_level == "FullyInSync"
    assert api.get(GROUP, "hub", "to-spoke").properties.peering_state == "Connected"
    assert [item.name for item in api.list(GROUP, "spoke")] == ["to-hub"]
    shown = vnets.get(GROUP, "hub").properties.virtual_network_peerings
    assert [item.properties.remote_virtual_network.id for item in shown] == [spoke]

    # One side is gone: the other is of no use until it is made again, too.
    api.begin_delete(GROUP, "spoke", "to-hub").result()
    assert api.get(GROUP, "hub", "to-spoke").properties.peering_state == "Disconnected"
    put = api.begin_create_or_update
    refused("RemotePeeringIsDisconnected", lambda: put(GROUP, "spoke", "to-hub", peering(hub)))
    assert put(GROUP, "hub", "to-spoke", peering(spoke)).result().properties.peering_state == "Initiated"
    assert put(GROUP, "spoke", "to-hub", peering(hub)).result().properties.peering_state == "Connected"
    vnets.begin_delete(GROUP, "spoke").result()
    assert api.get(GROUP, "hub", "to-spoke").properties.peering_state == "Disconnected"
    api.begin_delete(GROUP, "hub", "to-spoke").result()


def test_bad_peerings(clients: Clients, hub: str) -> None:
    api, vnets = clients.network.virtual_network_peerings, clients.network.virtual_networks
    same = vnets.begin_create_or_update(GROUP, "overlapping", vnet("10.10.128.0/17")).result().id
    far = vnets.begin_create_or_update(GROUP, "far", vnet("10.40.0.0/16")).result().id

    def put(name: str, remote: str, **more: Any) -> Callable[[], Any]:
        return lambda: api.begin_create_or_update(GROUP, "hub", name, peering(remote, **more))

    refused("VnetAddressSpacesOverlap", put("wrong", same))
    refused("InvalidResourceReference", put("wrong", f"{hub}x"))
    refused("VnetCannotPeerWithItself", put("wrong", hub))
    refused("LinkedInvalidPropertyId", put("wrong", "hub"))
    refused("RemoteVnetHasNoGateways", put("wrong", far, use_remote_gateways=True))
    put("to-far", far)().result()
    refused("AnotherPeeringAlreadyReferencesRemoteVnet", put("again", far))
    refused("ChangingRemoteVirtualNetworkNotAllowed", put("to-far", same))
    twin = vnets.begin_create_or_update(GROUP, "twin", vnet("10.40.8.0/24")).result().id
    refused("VnetAddressSpaceOverlapsWithAlreadyPeeredVnet", put("to-twin", twin))
    wide = vnet("10.10.0.0/16")
    wide.properties.address_space.address_prefixes.append("10.40.0.0/17")
    refused("VnetAddressSpacesOverlap", lambda: vnets.begin_create_or_update(GROUP, "hub", wide))
    api.begin_delete(GROUP, "hub", "to-far").result()


def test_security_groups(clients: Clients, hub: str) -> None:
    api = clients.network
    wanted = models.NetworkSecurityGroup(
        location="eastus",
        properties=models.NetworkSecurityGroupPropertiesFormat(security_rules=[rule("postgres", 100, "5432")]),
    )
    made = api.network_security_groups.begin_create_or_update(GROUP, "wall", wanted).result()
    assert [item.name for item in made.properties.security_rules] == ["postgres"]
    assert {item.properties.priority for item in made.properties.default_security_rules} == {65000, 65001, 65500}
    added = api.security_rules.begin_create_or_update(GROUP, "wall", "ssh", rule("ssh", 110, "22")).result()
    assert (added.properties.destination_port_range, added.properties.access) == ("22", "Allow")
    assert [item.name for item in api.security_rules.list(GROUP, "wall")] == ["postgres", "ssh"]
    assert api.security_rules.get(GROUP, "wall", "ssh").properties.priority == 110
    assert api.default_security_rules.get(GROUP, "wall", "DenyAllInBound").properties.access == "Deny"
    assert len(list(api.default_security_rules.list(GROUP, "wall"))) == 6
    put = api.security_rules.begin_create_or_update
    refused("SecurityRuleConflict", lambda: put(GROUP, "wall", "other", rule("other", 110, "23")))
    refused("SecurityRuleInvalidPriority", lambda: put(GROUP, "wall", "other", rule("other", 99, "23")))
    api.security_rules.begin_delete(GROUP, "wall", "ssh").result()
    groups = api.network_security_groups
    assert groups.update_tags(GROUP, "wall", models.TagsObject(tags={"a": "b"})).tags == {"a": "b"}
    assert [item.name for item in groups.list(GROUP)] == [item.name for item in groups.list_all()] == ["wall"]
    guarded = subnet("10.10.7.0/24", network_security_group=models.NetworkSecurityGroup(id=made.id))
    inside = api.subnets.begin_create_or_update(GROUP, "hub", "guarded", guarded).result()
    assert inside.properties.network_security_group.id == made.id
    assert groups.get(GROUP, "wall").properties.subnets[0].id == inside.id
    refused("InUseNetworkSecurityGroupCannotBeDeleted", lambda: groups.begin_delete(GROUP, "wall"))
    api.subnets.begin_delete(GROUP, "hub", "guarded").result()
    groups.begin_delete(GROUP, "wall").result()


def rule(name: str, priority: int, port: str) -> models.SecurityRule:
    properties = models.SecurityRulePropertiesFormat(
        protocol="Tcp",
        access="Allow",
        direction="Inbound",
        priority=priority,
        source_address_prefix="*",
        source_port_range="*",
        destination_address_prefix="*",
        destination_port_range=port,
    )
    return models.SecurityRule(name=name, properties=properties)


def endpoint(subnet_id: str, server_id: str, *, group: str = "postgresqlServer") -> models.PrivateEndpoint:
    connection = models.PrivateLinkServiceConnection(
        name="link",
        properties=models.PrivateLinkServiceConnectionProperties(private_link_service_id=server_id, group_ids=[group]),
    )
    properties = models.PrivateEndpointProperties(
        subnet=models.Subnet(id=subnet_id), private_link_service_connections=[connection]
    )
    return models.PrivateEndpoint(location="eastus", properties=properties)


def server_id(clients: Clients, kind: str, name: str) -> str:
    return f"{clients.group_id}/providers/Microsoft.DBforPostgreSQL/{kind}/{name}"


def test_private_endpoint_to_a_single_server(clients: Clients, hub: str) -> None:
    api = clients.network.private_endpoints
    target = server_id(clients, "servers", "shop-single")
    made = api.begin_create_or_update(GROUP, "pe", endpoint(f"{hub}/subnets/plain", target)).result()
    [connection] = made.properties.private_link_service_connections
    assert connection.properties.private_link_service_connection_state.status == "Approved"
    assert (connection.properties.private_link_service_id, connection.name) == (target, "link")
    [name] = made.properties.custom_dns_configs
    assert (name.fqdn, name.ip_addresses) == ("shop-single.postgres.database.azure.com", ["10.10.0.4"])
    [nic_id] = [item.id for item in made.properties.network_interfaces]
    nic = clients.network.network_interfaces.get(GROUP, nic_id.rsplit("/", 1)[-1])
    [config] = nic.properties.ip_configurations
    assert config.properties.private_ip_address == "10.10.0.4"
    assert config.properties.subnet.id == f"{hub}/subnets/plain"
    assert nic.properties.private_endpoint.id == made.id
    [seen] = clients.single.servers.get(GROUP, "shop-single").private_endpoint_connections
    assert seen.properties.private_endpoint.id == made.id
    assert seen.properties.private_link_service_connection_state.status == "Approved"
    [listed] = clients.single.private_endpoint_connections.list_by_server(GROUP, "shop-single")
    name = str(listed.name)
    assert clients.single.private_endpoint_connections.get(GROUP, "shop-single", name).id == seen.id
    assert [item.name for item in clients.single.private_link_resources.list_by_server(GROUP, "shop-single")] == [
        "postgresqlServer"
    ]
    shown = clients.network.subnets.get(GROUP, "hub", "plain").properties
    assert [item.id for item in shown.private_endpoints] == [made.id] and shown.ip_configurations
    error = refused("InUseSubnetCannotBeDeleted", lambda: clients.network.subnets.begin_delete(GROUP, "hub", "plain"))
    assert "aka.ms/deletesubnet" in str(error)
    refused("InUseSubnetCannotBeDeleted", lambda: clients.network.virtual_networks.begin_delete(GROUP, "hub"))
    delegated = subnet("10.10.0.0/24", delegated=True)
    put = clients.network.subnets.begin_create_or_update
    refused("SubnetDelegationsCannotChangeWhenSubnetUsedByResource", lambda: put(GROUP, "hub", "plain", delegated))
    assert "pe" in [item.name for item in api.list(GROUP)]
    assert "pe" in [item.name for item in api.list_by_subscription()]
    again = endpoint(f"{hub}/subnets/plain", target)
    again.tags = {"a": "b"}
    assert api.begin_create_or_update(GROUP, "pe", again).result().tags == {"a": "b"}
    api.begin_delete(GROUP, "pe").result()
    assert clients.single.servers.get(GROUP, "shop-single").private_endpoint_connections == []
    assert list(clients.network.network_interfaces.list(GROUP)) == []


def test_private_endpoint_to_a_flexible_server(clients: Clients, hub: str) -> None:
    api = clients.network.private_endpoints
    target = server_id(clients, "flexibleServers", "shop-flex")
    wanted = endpoint(f"{hub}/subnets/plain", target)
    wanted.properties.manual_private_link_service_connections = wanted.properties.private_link_service_connections
    wanted.properties.private_link_service_connections = []
    made = api.begin_create_or_update(GROUP, "pe-flex", wanted).result()
    [connection] = made.properties.manual_private_link_service_connections
    assert connection.properties.private_link_service_connection_state.status == "Pending"
    [seen] = clients.flexible.private_endpoint_connections.list_by_server(GROUP, "shop-flex")
    state = flexible.PrivateLinkServiceConnectionState(status="Approved", description="welcome")
    answer = flexible.PrivateEndpointConnection(
        properties=flexible.PrivateEndpointConnectionProperties(private_link_service_connection_state=state)
    )
    clients.flexible.private_endpoint_connections.begin_update(GROUP, "shop-flex", seen.name, answer).result()
    [connection] = api.get(GROUP, "pe-flex").properties.manual_private_link_service_connections
    assert connection.properties.private_link_service_connection_state.status == "Approved"
    [seen] = clients.flexible.servers.get(GROUP, "shop-flex").properties.private_endpoint_connections
    assert seen.properties.private_endpoint.id == made.id
    clients.flexible.private_endpoint_connections.begin_delete(GROUP, "shop-flex", seen.name).result()
    [connection] = api.get(GROUP, "pe-flex").properties.manual_private_link_service_connections
    assert connection.properties.private_link_service_connection_state.status == "Disconnected"
    [link] = clients.flexible.private_link_resources.list_by_server(GROUP, "shop-flex")
    assert link.properties.required_zone_names == ["privatelink.postgres.database.azure.com"]
    api.begin_delete(GROUP, "pe-flex").result()


def test_bad_private_endpoints(clients: Clients, hub: str) -> None:
    target = server_id(clients, "servers", "shop-single")
    plain = f"{hub}/subnets/plain"

    def put(wanted: models.PrivateEndpoint) -> Callable[[], Any]:
        return lambda: clients.network.private_endpoints.begin_create_or_update(GROUP, "pe-wrong", wanted)

    refused("PrivateEndpointCannotBeCreatedInSubnetThatHasDelegations", put(endpoint(f"{hub}/subnets/pg", target)))
    refused("InvalidResourceReference", put(endpoint(f"{hub}/subnets/none", target)))
    refused("InvalidResourceReference", put(endpoint(plain, f"{target}x")))
    refused("InvalidGroupIds", put(endpoint(plain, target, group="sqlServer")))
    elsewhere = endpoint(plain, target)
    elsewhere.location = "westeurope"
    refused("InvalidResourceReference", put(elsewhere))
    fixed = endpoint(plain, target)
    fixed.properties.ip_configurations = [
        models.PrivateEndpointIPConfiguration(
            name="fixed",
            properties=models.PrivateEndpointIPConfigurationProperties(
                group_id="postgresqlServer", member_name="postgresqlServer", private_ip_address="10.99.0.9"
            ),
        )
    ]
    refused("PrivateIPAddressNotInSubnet", put(fixed))
    assert "pe-wrong" not in [item.name for item in clients.network.private_endpoints.list(GROUP)]


def test_virtual_network_rules_of_a_single_server(clients: Clients, hub: str) -> None:
    api = clients.single.virtual_network_rules

    def put(name: str, *, ignore: bool = False) -> Any:
        wanted = single.VirtualNetworkRule(
            virtual_network_subnet_id=f"{hub}/subnets/{name}", ignore_missing_vnet_service_endpoint=ignore
        )
        return api.begin_create_or_update(GROUP, "shop-single", "from-vnet", wanted).result()

    refused("VirtualNetworkRuleBadRequest", lambda: put("plain"))
    refused("VirtualNetworkRuleBadRequest", lambda: put("none", ignore=True))
    assert put("plain", ignore=True).state == "Ready"
    assert put("open").virtual_network_subnet_id == f"{hub}/subnets/open"
    api.begin_delete(GROUP, "shop-single", "from-vnet").result()


def test_rights(clients: Clients, hub: str, lab: Running) -> None:
    reader = Clients.of(lab, "reader").network
    assert reader.virtual_networks.get(GROUP, "hub").id == hub
    refused(
        "AuthorizationFailed",
        lambda: reader.virtual_networks.begin_create_or_update(GROUP, "mine", vnet("10.0.0.0/16")),
    )
    stranger = Clients.of(lab, "stranger")
    refused("AuthorizationFailed", lambda: stranger.network.subnets.get(GROUP, "hub", "plain"))

    # Rights on one side are not enough for a peering.
    far = clients.network.virtual_networks.begin_create_or_update(GROUP, "closed", vnet("10.70.0.0/16")).result().id
    role = "4d97b98b-1d4f-4787-a291-c67834d212e7"
    scope = f"/subscriptions/{clients.subscription}/providers/Microsoft.Authorization/roleDefinitions"
    principal = str(uuid.uuid5(NAMESPACE, stranger.client_id))
    wanted = RoleAssignmentCreateParameters(
        role_definition_id=f"{scope}/{role}", principal_id=principal, principal_type="ServicePrincipal"
    )
    assigned = clients.authorization.role_assignments.create(hub, str(uuid.uuid4()), wanted)
    put = stranger.network.virtual_network_peerings.begin_create_or_update
    error = refused("LinkedAuthorizationFailed", lambda: put(GROUP, "hub", "to-closed", peering(far)))
    assert "Microsoft.Network/virtualNetworks/peer/action" in str(error)
    clients.authorization.role_assignments.delete_by_id(assigned.id)
