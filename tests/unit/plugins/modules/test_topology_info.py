# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest

MODULE = "topology_info"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
HUB = "99999999-9999-9999-9999-999999999999"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop-rg"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
POSTGRES = f"{GROUP}/providers/Microsoft.DBforPostgreSQL"
SOURCE, TARGET = f"{POSTGRES}/servers/shop-old", f"{POSTGRES}/flexibleServers/shop-new"
VNET1, VNET2 = f"{NETWORK}/virtualNetworks/vnet1", f"{NETWORK}/virtualNetworks/vnet2"
END = f"{NETWORK}/privateEndpoints/shop-old-end"
DOMAIN = "postgres.database.azure.com"
LINK_ZONE = f"{NETWORK}/privateDnsZones/privatelink.{DOMAIN}"
TARGET_ZONE = f"{NETWORK}/privateDnsZones/shop-new.private.{DOMAIN}"
ZONES = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network/privateDnsZones"
PERMISSIONS = "providers/Microsoft.Authorization/permissions"
ASSIGNMENTS = "providers/Microsoft.Authorization/roleAssignments"
OWNER = {"value": [{"actions": ["*"], "notActions": []}]}
READER = {"value": [{"actions": ["*/read"], "notActions": []}]}
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
PRINCIPAL = "44444444-4444-4444-4444-444444444444"


def permissions(scope: str) -> str:
    """Where the SDK asks for the caller's permissions; for a resource that is in no other it leaves a part empty."""
    return re.sub(r"(/providers/[^/]+)/", r"\1//", scope, count=1) + f"/{PERMISSIONS}"


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def single(public: str = "Disabled", ends: Iterable[str] = (END,)) -> dict[str, Any]:
    state = {"status": "Approved"}
    return {
        "id": SOURCE,
        "name": "shop-old",
        "location": "westeurope",
        "sku": {"name": "GP_Gen5_4", "tier": "GeneralPurpose", "capacity": 4},
        "properties": {
            "fullyQualifiedDomainName": f"shop-old.{DOMAIN}",
            "publicNetworkAccess": public,
            "privateEndpointConnections": [
                {"id": "x", "properties": {"privateEndpoint": {"id": end}, "privateLinkServiceConnectionState": state}}
                for end in ends
            ],
        },
    }


def flexible(network: dict[str, Any] | None = None, server_id: str = TARGET) -> dict[str, Any]:
    injected = {
        "publicNetworkAccess": "Disabled",
        "delegatedSubnetResourceId": f"{VNET2}/subnets/targetsubnet",
        "privateDnsZoneArmResourceId": TARGET_ZONE,
    }
    name = server_id.rsplit("/", 1)[-1]
    return {
        "id": server_id,
        "name": name,
        "location": "westeurope",
        "sku": {"name": "Standard_D4ds_v5", "tier": "GeneralPurpose"},
        "properties": {"fullyQualifiedDomainName": f"{name}.{DOMAIN}", "network": network or injected},
    }


PUBLIC = {"publicNetworkAccess": "Enabled"}


def network(network_id: str, prefix: str, *subnets: dict[str, Any], peers: Iterable[str] = ()) -> dict[str, Any]:
    return {
        "id": network_id,
        "name": network_id.rsplit("/", 1)[-1],
        "location": "westeurope",
        "properties": {
            "addressSpace": {"addressPrefixes": [prefix]},
            "subnets": [{**row, "id": f"{network_id}/subnets/{row['name']}"} for row in subnets],
            "virtualNetworkPeerings": [
                {
                    "name": "peering",
                    "properties": {
                        "remoteVirtualNetwork": {"id": peer},
                        "peeringState": "Connected",
                        "allowVirtualNetworkAccess": True,
                    },
                }
                for peer in peers
            ],
        },
    }


def subnet(name: str, prefix: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "properties": {"addressPrefix": prefix, **more}}


DELEGATED = {"delegations": [{"properties": {"serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}}]}


def end() -> dict[str, Any]:
    state = {"privateLinkServiceConnectionState": {"status": "Approved"}, "privateLinkServiceId": SOURCE}
    return {
        "id": END,
        "name": "shop-old-end",
        "properties": {
            "subnet": {"id": f"{VNET1}/subnets/sourcesubnet"},
            "customDnsConfigs": [{"fqdn": "x", "ipAddresses": ["10.1.1.4"]}],
            "privateLinkServiceConnections": [{"name": "c", "properties": state}],
        },
    }


def zone_groups(*zones: str) -> dict[str, Any]:
    configs = [{"properties": {"privateDnsZoneId": zone}} for zone in zones]
    return {"value": [{"name": "default", "properties": {"privateDnsZoneConfigs": configs}}] if zones else []}


def links(*networks: str) -> dict[str, Any]:
    return {
        "value": [
            {"name": f"to-{text[-5:]}", "properties": {"virtualNetwork": {"id": text}}, "tags": {}} for text in networks
        ]
    }


RECORD = {"name": "shop-old", "properties": {"ttl": 10, "aRecords": [{"ipv4Address": "10.1.1.4"}]}}


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    server = {"resource_group": "shop-rg"}
    return {**sign_in, "source": {**server, "name": "shop-old"}, "target": {**server, "name": "shop-new"}}


def two_networks(arm: Any, *, peered: bool = True, linked: Iterable[str] = (VNET1, VNET2)) -> None:
    """Everything that is asked of a private source and a private target in two networks."""
    arm.any_order = True
    peers = ([VNET2], [VNET1]) if peered else ([], [])
    arm.expect("GET", SOURCE, json=single())
    arm.expect("GET", TARGET, json=flexible())
    arm.expect("GET", END, json=end())
    arm.expect("GET", f"{END}/privateDnsZoneGroups", json=zone_groups(LINK_ZONE))
    near, far = subnet("sourcesubnet", "10.1.1.0/24"), subnet("targetsubnet", "10.2.1.0/24", **DELEGATED)
    arm.expect("GET", VNET1, json=network(VNET1, "10.1.0.0/16", near, peers=peers[0]))
    arm.expect("GET", VNET2, json=network(VNET2, "10.2.0.0/16", far, peers=peers[1]))
    arm.expect("GET", f"{LINK_ZONE}/virtualNetworkLinks", json=links(*linked))
    arm.expect("GET", f"{LINK_ZONE}/A/shop-old", json=RECORD)


def test_two_networks_in_eight_requests(run_module: Any, arm: Any, args: Any) -> None:
    two_networks(arm)
    topology = run_module(MODULE, args)["topology"]
    assert topology["name"] == "private_different_vnets"
    assert topology["title"] == "Source and Target servers - Private Access in the different Vnets"
    assert topology["missing"] == [] and topology["plan"]["words"] == []
    assert topology["migrates_from"]["subnet_id"] == f"{VNET2}/subnets/targetsubnet"
    assert len(arm.requests) == 8 and arm.writes == []


def test_a_target_that_is_to_be_made_is_judged_as_it_will_be(run_module: Any, arm: Any, args: Any) -> None:
    two_networks(arm, peered=False)
    arm.expected = [step for step in arm.expected if step.path != TARGET]
    for scope in (VNET1, VNET2):
        arm.expect("GET", permissions(scope), json=OWNER)
    planned = {"delegated_subnet_id": f"{VNET2}/subnets/targetsubnet", "private_dns_zone_id": TARGET_ZONE}
    topology = run_module(MODULE, {**args, "target": {**args["target"], "planned": planned}})["topology"]
    assert topology["name"] == "private_different_vnets"
    assert [row["kind"] for row in topology["missing"]] == ["peering"]


def test_a_public_target_that_is_to_be_made_has_no_rules_to_be_asked_for(run_module: Any, arm: Any, args: Any) -> None:
    arm.any_order = True
    arm.expect("GET", SOURCE, json=single("Enabled", ()))
    rule = {"name": "all", "properties": {"startIpAddress": "0.0.0.0", "endIpAddress": "0.0.0.0"}}
    arm.expect("GET", f"{SOURCE}/firewallRules", json={"value": [rule]})
    arm.expect("GET", f"{SOURCE}/virtualNetworkRules", json={"value": []})
    planned = {"delegated_subnet_id": None, "private_dns_zone_id": None}
    topology = run_module(MODULE, {**args, "target": {**args["target"], "planned": planned}})["topology"]
    assert topology["name"] == "public_access" and topology["missing"] == []


def test_what_is_missing_is_planned_when_the_caller_may_do_it(run_module: Any, arm: Any, args: Any) -> None:
    two_networks(arm, peered=False, linked=[VNET1])
    arm.expect("GET", ZONES, json={"value": [{"id": LINK_ZONE, "name": f"privatelink.{DOMAIN}"}]})
    for scope in (VNET1, VNET2, LINK_ZONE):
        arm.expect("GET", permissions(scope), json=OWNER)
    topology = run_module(MODULE, args)["topology"]
    assert [(row["kind"], row["side"], row["remedy"]) for row in topology["missing"]] == [
        ("peering", "source", "apply"),
        ("private_dns_zone_link", "source", "apply"),
    ]
    assert topology["plan"]["peerings"] == [{"virtual_network_id": VNET2, "remote_virtual_network_id": VNET1}]
    assert topology["plan"]["private_dns_zone_links"] == [{"zone_id": LINK_ZONE, "virtual_network_ids": [VNET2]}]
    assert not topology["reaches_source"] and topology["reaches_target"]
    assert len(arm.requests) == 12


@pytest.mark.parametrize("answer", [{"json": READER}, {"status": 403, "json": error("AuthorizationFailed")}])
def test_a_right_that_is_missing_on_one_side(run_module: Any, arm: Any, args: Any, answer: dict[str, Any]) -> None:
    two_networks(arm, peered=False)
    arm.expect("GET", permissions(VNET1), **answer)
    arm.expect("GET", permissions(VNET2), json=OWNER)
    missing = run_module(MODULE, args)["topology"]["missing"]
    assert [(row["kind"], row["remedy"]) for row in missing] == [("peering", "apply"), ("permission", "by_hand")]
    assert f"Network Contributor at {VNET1}" in missing[1]["message"]


def test_two_public_servers(run_module: Any, arm: Any, args: Any) -> None:
    arm.any_order = True
    arm.expect("GET", SOURCE, json=single("Enabled", ()))
    arm.expect("GET", TARGET, json=flexible(PUBLIC))
    rule = {"name": "all", "properties": {"startIpAddress": "0.0.0.0", "endIpAddress": "0.0.0.0"}}
    arm.expect("GET", f"{SOURCE}/firewallRules", json={"value": [rule]})
    arm.expect("GET", f"{SOURCE}/virtualNetworkRules", json={"value": []})
    arm.expect("GET", f"{TARGET}/firewallRules", json={"value": []})
    topology = run_module(MODULE, args)["topology"]
    assert topology["name"] == "public_access" and topology["missing"] == [] and topology["reaches_source"]


def test_the_classic_apps_roles(run_module: Any, arm: Any, args: Any) -> None:
    two_networks(arm)
    arm.expect("GET", f"{TARGET_ZONE}/virtualNetworkLinks", json=links(VNET1, VNET2))

    def held(scope: str, role: str) -> dict[str, Any]:
        return {"id": "x", "name": "y", "properties": {"scope": scope, "roleDefinitionId": f"/x/{role}"}}

    only = {"$filter": f"principalId eq '{PRINCIPAL}'"}
    for scope in (SOURCE, TARGET, GROUP, VNET1, VNET2):
        rows = [held(TARGET, CONTRIBUTOR), held(GROUP, "some-other-role")] if scope != VNET2 else []
        arm.expect("GET", f"{scope}/{ASSIGNMENTS}", query=only, json={"value": rows})
    for scope in (SOURCE, GROUP, VNET1, VNET2):
        arm.expect("GET", permissions(scope), json=OWNER)
    given = {**args, "generation": "classic", "principal_id": PRINCIPAL}
    topology = run_module(MODULE, given)["topology"]
    assert topology["scopes"] == [SOURCE, TARGET, GROUP, VNET1, VNET2]
    assert topology["plan"]["scopes"] == [SOURCE, GROUP, VNET1, VNET2]
    assert topology["migration_subnet_id"] == f"{VNET1}/subnets/sourcesubnet"
    assert topology["reaches_source"] and topology["reaches_target"]


def test_rights_to_give_an_application_its_roles_are_asked_before_there_is_one(
    run_module: Any, arm: Any, args: Any
) -> None:
    two_networks(arm)
    arm.expect("GET", f"{TARGET_ZONE}/virtualNetworkLinks", json=links(VNET1, VNET2))
    for scope in (SOURCE, TARGET, GROUP, VNET1, VNET2):
        arm.expect("GET", permissions(scope), json=READER if scope == VNET1 else OWNER)
    topology = run_module(MODULE, {**args, "generation": "classic", "new_application": True})["topology"]
    assert topology["plan"]["scopes"] == topology["scopes"] == [SOURCE, TARGET, GROUP, VNET1, VNET2]
    assert "Make the application Contributor at vnet1." in topology["plan"]["words"]
    (refused,) = [row["message"] for row in topology["missing"] if row["remedy"] == "by_hand"]
    assert "Microsoft.Authorization/roleAssignments/write at vnet1" in refused


def test_a_zone_that_may_not_be_read(run_module: Any, arm: Any, args: Any) -> None:
    far = LINK_ZONE.replace(SUBSCRIPTION, HUB)
    two_networks(arm)
    gone = ("/virtualNetworkLinks", "/A/shop-old", "/privateDnsZoneGroups")
    arm.expected = [step for step in arm.expected if not step.path.endswith(gone)]
    arm.expect("GET", f"{END}/privateDnsZoneGroups", json=zone_groups(far))
    arm.expect("GET", f"{far}/virtualNetworkLinks", status=403, json=error("AuthorizationFailed", "You may not."))
    result = run_module(MODULE, args)
    assert result.failed
    assert f"the private DNS zone privatelink.{DOMAIN} in shop-rg of subscription {HUB}: You may not" in result["msg"]
    assert "Private DNS Zone Contributor" in result["msg"]


def test_an_endpoint_without_a_zone_group_is_looked_for(run_module: Any, arm: Any, args: Any) -> None:
    two_networks(arm)
    arm.expected = [step for step in arm.expected if not step.path.endswith("/privateDnsZoneGroups")]
    arm.expect("GET", f"{END}/privateDnsZoneGroups", json=zone_groups())
    zones = [{"id": LINK_ZONE, "name": f"privatelink.{DOMAIN}"}, {"id": f"{LINK_ZONE}x", "name": "another.example"}]
    arm.expect("GET", ZONES, json={"value": zones})
    assert run_module(MODULE, args)["topology"]["missing"] == []


@pytest.mark.parametrize("policy", ["Default", "NxDomainRedirect"])
def test_a_public_source_is_asked_of_another_groups_zone(run_module: Any, arm: Any, args: Any, policy: str) -> None:
    two_networks(arm, linked=[VNET1])
    arm.expected = [step for step in arm.expected if step.path != SOURCE]
    arm.expect("GET", SOURCE, json=single("Enabled"))
    rule = {"name": "all", "properties": {"startIpAddress": "0.0.0.0", "endIpAddress": "0.0.0.0"}}
    arm.expect("GET", f"{SOURCE}/firewallRules", json={"value": [rule]})
    arm.expect("GET", f"{SOURCE}/virtualNetworkRules", json={"value": []})
    other = LINK_ZONE.replace("shop-rg", "hub-rg")
    arm.expect(
        "GET", ZONES, json={"value": [{"id": text, "name": f"privatelink.{DOMAIN}"} for text in (LINK_ZONE, other)]}
    )
    (link,) = links(VNET2)["value"]
    link["properties"]["resolutionPolicy"] = policy
    arm.expect("GET", f"{other}/virtualNetworkLinks", json={"value": [link]})
    arm.expect("GET", f"{other}/A/shop-old", status=404, json=error("ResourceNotFound"))
    missing = run_module(MODULE, args)["topology"]["missing"]
    assert [row["kind"] for row in missing] == ["private_dns_record"] * (policy == "Default")
    assert all("in hub-rg has no record shop-old" in row["message"] for row in missing)


def test_zones_that_may_not_be_listed_are_done_without(run_module: Any, arm: Any, args: Any) -> None:
    two_networks(arm, linked=[VNET1])
    arm.expect("GET", ZONES, status=403, json=error("AuthorizationFailed"))
    for scope in (VNET2, LINK_ZONE):
        arm.expect("GET", permissions(scope), json=OWNER)
    (row,) = run_module(MODULE, args)["topology"]["missing"]
    assert (row["kind"], row["remedy"]) == ("private_dns_zone_link", "apply")


def test_an_endpoint_of_somebody_else_is_no_way(run_module: Any, arm: Any, args: Any) -> None:
    arm.any_order = True
    arm.expect("GET", SOURCE, json=single())
    arm.expect("GET", TARGET, json=flexible(PUBLIC))
    arm.expect("GET", END, status=403, json=error("AuthorizationFailed"))
    arm.expect("GET", f"{TARGET}/firewallRules", json={"value": []})
    topology = run_module(MODULE, args)["topology"]
    assert topology["name"] == "unknown" and "shop-old-end" in topology["missing"][0]["message"]


def test_a_runtime_server_that_is_to_be_made(run_module: Any, arm: Any, args: Any) -> None:
    two_networks(arm)
    arm.expected = [step for step in arm.expected if step.path not in (TARGET, VNET2)]
    arm.expect("GET", TARGET, json=flexible(PUBLIC))
    arm.expect("GET", f"{TARGET}/firewallRules", json={"value": []})
    zone = f"{NETWORK}/privateDnsZones/pgflex-runtime.private.{DOMAIN}"
    for path in (zone, f"{POSTGRES}/flexibleServers/shop-runtime"):
        arm.expect("GET", path, status=404, json=error("ResourceNotFound"))
    for scope in (VNET1, GROUP, TARGET):
        arm.expect("GET", permissions(scope), json=OWNER)
    topology = run_module(MODULE, {**args, "runtime_server": {"name": "shop-runtime"}})["topology"]
    assert topology["runtime_server"] == {
        "name": "shop-runtime",
        "resource_group": "shop-rg",
        "location": "westeurope",
        "subnet_id": f"{VNET1}/subnets/pgflex-runtime",
        "private_dns_zone_id": zone,
    }
    plan = topology["plan"]
    assert [row["name"] for row in plan["subnets"]] == ["pgflex-runtime"]
    assert plan["private_dns_zone_links"] == [{"zone_id": zone, "virtual_network_ids": [VNET1]}]
    assert len(plan["private_dns_zones"]) == len(plan["firewall_rules"]) == 1 and len(plan["words"]) == 4
    assert ("runtime_server", "apply") in [(row["kind"], row["remedy"]) for row in topology["missing"]]


def test_a_runtime_server_that_has_been_made(run_module: Any, arm: Any, args: Any) -> None:
    two_networks(arm)
    runtime = f"{POSTGRES}/flexibleServers/shop-runtime"
    arm.expect("GET", runtime, json=flexible(server_id=runtime))
    arm.expect("GET", f"{TARGET_ZONE}/virtualNetworkLinks", json=links(VNET2))
    topology = run_module(MODULE, {**args, "runtime_server": {"name": "shop-runtime"}})["topology"]
    assert topology["missing"] == [] and topology["runtime_server"]["private_dns_zone_id"] == TARGET_ZONE


def test_a_runtime_server_that_is_there(run_module: Any, arm: Any, args: Any) -> None:
    two_networks(arm)
    runtime = f"{POSTGRES}/flexibleServers/shop-runtime"
    arm.expect("GET", runtime, json=flexible(server_id=runtime))
    arm.expect("GET", f"{TARGET_ZONE}/virtualNetworkLinks", json=links(VNET2))
    topology = run_module(MODULE, {**args, "runtime_server_id": runtime})["topology"]
    assert topology["migrates_from"]["kind"] == "runtime_server" and topology["missing"] == []


def test_security_groups_on_the_way_are_read(run_module: Any, arm: Any, args: Any) -> None:
    two_networks(arm)
    group = f"{NETWORK}/networkSecurityGroups/guard"
    arm.expected = [step for step in arm.expected if step.path != VNET2]
    far = subnet("targetsubnet", "10.2.1.0/24", **DELEGATED, networkSecurityGroup={"id": group})
    arm.expect("GET", VNET2, json=network(VNET2, "10.2.0.0/16", far, peers=[VNET1]))
    properties = {
        "priority": 100,
        "direction": "Outbound",
        "access": "Deny",
        "protocol": "Tcp",
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
        "destinationAddressPrefixes": ["10.1.0.0/16"],
        "destinationPortRange": "5432",
    }
    rules = [{"name": "no-postgres", "properties": properties}]
    arm.expect("GET", group, json={"id": group, "name": "guard", "properties": {"securityRules": rules}})
    (row,) = run_module(MODULE, args)["topology"]["missing"]
    assert row["kind"] == "network_security_group" and "no-postgres (priority 100)" in row["message"]


def test_a_public_server_does_not_need_its_endpoints_network(run_module: Any, arm: Any, args: Any) -> None:
    arm.any_order = True
    arm.expect("GET", SOURCE, json=single("Enabled"))
    arm.expect("GET", TARGET, json=flexible(PUBLIC))
    rule = {"name": "all", "properties": {"startIpAddress": "0.0.0.0", "endIpAddress": "0.0.0.0"}}
    arm.expect("GET", f"{SOURCE}/firewallRules", json={"value": [rule]})
    arm.expect("GET", f"{SOURCE}/virtualNetworkRules", json={"value": []})
    arm.expect("GET", f"{TARGET}/firewallRules", json={"value": []})
    arm.expect("GET", END, json=end())
    arm.expect("GET", f"{END}/privateDnsZoneGroups", json=zone_groups(LINK_ZONE))
    arm.expect("GET", VNET1, status=403, json=error("AuthorizationFailed"))
    assert run_module(MODULE, args)["topology"]["missing"] == []


def test_a_source_outside_with_a_name_of_a_private_zone(run_module: Any, arm: Any, args: Any) -> None:
    arm.any_order = True
    arm.expect("GET", TARGET, json=flexible())
    far = subnet("targetsubnet", "10.2.1.0/24", **DELEGATED)
    arm.expect("GET", VNET2, json=network(VNET2, "10.2.0.0/16", far))
    corp = f"{NETWORK}/privateDnsZones/corp.example"
    arm.expect("GET", ZONES, json={"value": [{"id": corp, "name": "corp.example"}]})
    arm.expect("GET", f"{corp}/virtualNetworkLinks", json=links())
    for scope in (VNET2, corp):
        arm.expect("GET", permissions(scope), json=OWNER)
    source = {"type": "OnPremises", "host": "db.corp.example", "access": "private", "route": "vpn"}
    topology = run_module(MODULE, {**args, "source": source})["topology"]
    assert topology["name"] == "onprem_private"
    assert topology["plan"]["private_dns_zone_links"] == [{"zone_id": corp, "virtual_network_ids": [VNET2]}]


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (SOURCE, "There is no Single Server shop-old in shop-rg"),
        (TARGET, "There is no Flexible Server shop-new in shop-rg"),
    ],
)
def test_a_server_that_is_not_there(run_module: Any, arm: Any, args: Any, gone: str, words: str) -> None:
    arm.any_order = True
    for path, answer in ((SOURCE, single()), (TARGET, flexible())):
        if path == gone:
            arm.expect("GET", path, status=404, json=error("ResourceNotFound"))
        else:
            arm.expect("GET", path, json=answer)
    result = run_module(MODULE, args)
    assert result.failed and words in result["msg"]


def test_a_network_that_is_not_there(run_module: Any, arm: Any, args: Any) -> None:
    two_networks(arm)
    arm.expected = [step for step in arm.expected if step.path in (SOURCE, TARGET, END, VNET2)]
    arm.expect("GET", f"{END}/privateDnsZoneGroups", json=zone_groups(LINK_ZONE))
    third = f"{NETWORK}/virtualNetworks/vnet3"
    arm.expect("GET", third, status=404, json=error("ResourceNotFound"))
    result = run_module(MODULE, {**args, "generation": "classic", "migration_vnet_id": third})
    assert result.failed and "There is no virtual network vnet3 in shop-rg" in result["msg"]


RUNTIME = {"runtime_server": {"name": "r"}}
ONPREM = {"source": {"type": "OnPremises", "host": "db.example"}}
ZONE_ID = {"runtime_server": {"name": "r", "private_dns_zone_id": VNET1}}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({**RUNTIME, "source": {"resource_group": "g", "name": "n", "fqdn": "old.corp"}}, "source.fqdn can not be given"),
    (
        {
            "runtime_server_id": f"{POSTGRES}/flexibleServers/r",
            "target": {"resource_group": "g", "name": "n", "fqdn": "x"},
        },
        "target.fqdn can not be given together with runtime_server_id",
    ),
    ({**RUNTIME, "generation": "classic"}, "runtime_server needs generation current"),
    ({**ONPREM, "generation": "classic"}, "generation classic migrates Single Servers only, not OnPremises"),
    ({"migration_subnet_id": f"{VNET1}/subnets/x"}, "migration_subnet_id needs generation classic"),
    ({"principal_id": PRINCIPAL, "new_application": True}, "new_application says that there is none yet"),
    ({"migration_subnet_id": VNET1}, "migration_subnet_id is not the id of a resource of type virtualnetworks/subnets"),
    ({"migration_vnet_id": "vnet1"}, "migration_vnet_id is not the id of an Azure resource"),
    ({"migration_resource_group_id": VNET1}, "migration_resource_group_id is not the id of a resource group"),
    (
        {"generation": "classic", "migration_subnet_id": f"{VNET1}/subnets/x", "migration_vnet_id": VNET2},
        "migration_subnet_id is not in migration_vnet_id",
    ),
    ({"runtime_server_id": SOURCE}, "runtime_server_id is not the id of a resource of type flexibleservers"),
    (ZONE_ID, "runtime_server.private_dns_zone_id is not the id"),
    (
        {"target": {"resource_group": "g", "name": "n", "public_address": "host"}},
        "target.public_address is no IPv4 address",
    ),
    ({"source": {"type": "OnPremises"}}, "source.host is missing"),
    ({"subnet": {"address_prefix": "10.1.0.0"}}, "subnet.address_prefix is not an address prefix"),
    ({"runtime_server": {"name": "r", "address_prefix": "x/y"}}, "runtime_server.address_prefix is not an address"),
    ({"source": {"name": "shop-old"}}, "source.resource_group is missing"),
    ({**RUNTIME, "runtime_server_id": f"{POSTGRES}/flexibleServers/r"}, "mutually exclusive"),
]


@pytest.mark.parametrize(("given", "words"), WRONG, ids=[words for _given, words in WRONG])
def test_wrong_input_is_refused_before_anything_is_asked(
    run_module: Any, arm: Any, args: Any, given: dict[str, Any], words: str
) -> None:
    result = run_module(MODULE, {**args, **given})
    assert result.failed and words in result["msg"] and arm.requests == []
