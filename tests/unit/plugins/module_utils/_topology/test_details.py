# SPDX-License-Identifier: GPL-3.0-or-later
"""What a topology says beside its missing pieces: plans in the modules' shapes, places, rights, what was made."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._marks import made_name
from ansible_collections.pgflex.migrate.plugins.module_utils._topology.facts import (
    DELEGATION,
    Facts,
    FirewallRule,
    NetworkRule,
    SecurityGroup,
    SecurityRule,
    key,
)
from ansible_collections.pgflex.migrate.plugins.module_utils._topology.networks import subnet_of
from ansible_collections.pgflex.migrate.plugins.module_utils._topology.nsg import Side, denied_by
from ansible_collections.pgflex.migrate.plugins.module_utils._topology.reason import TITLES, reason, rights_lacking

from .worlds import (
    AZURE_SERVICES,
    CLASSIC,
    GROUP,
    LINK_ZONE,
    NETWORK,
    OTHER_LINK_ZONE,
    SOURCE_END,
    SOURCE_ID,
    SOURCE_SUBNET,
    SQL,
    SUBSCRIPTION,
    TARGET_ID,
    TARGET_SUBNET,
    TARGET_ZONE,
    VNET1,
    VNET2,
    VNET3,
    applied,
    both,
    by_runtime,
    deny,
    different_vnets,
    guarded,
    network,
    onprem_public_to_private,
    onprem_vpn,
    private_to_public,
    public_access,
    put_network,
    same_vnet,
    service_endpoint,
    source_end,
    subnet,
    target,
    third_vnet,
    to_make,
    unpeered,
    wishing,
    with_network,
    with_source,
    with_subnet,
    with_target,
    with_zone,
    without_link,
    without_subnet,
    without_zone,
    zone,
)

WHERE = {"subscription_id": SUBSCRIPTION, "resource_group": "shop-rg"}


def plan_of(facts: Any) -> dict[str, Any]:
    plan: dict[str, Any] = reason(facts).row()["plan"]
    return plan


# Plans


def test_a_plan_for_two_networks_is_in_the_modules_options() -> None:
    change = both(unpeered(VNET1, VNET2), without_link(LINK_ZONE, VNET2))
    assert plan_of(change(different_vnets())) == {
        "subnets": [],
        "private_dns_zones": [],
        "private_dns_zone_links": [{"zone_id": LINK_ZONE, "virtual_network_ids": [VNET2]}],
        "peerings": [{"virtual_network_id": VNET2, "remote_virtual_network_id": VNET1}],
        "virtual_network_rules": [],
        "firewall_rules": [],
        "scopes": [],
        "words": [
            "Link the private DNS zone privatelink.postgres.database.azure.com to vnet2.",
            "Peer vnet2 with vnet1, both ways.",
        ],
    }


def test_a_subnet_that_gets_an_endpoint_keeps_its_delegation() -> None:
    change = both(with_source(network_rules=()), with_subnet(TARGET_SUBNET, service_endpoints=()))
    plan = plan_of(change(service_endpoint()))
    assert plan["subnets"] == [
        {
            "virtual_network_id": VNET2,
            "name": "targetsubnet",
            "address_prefix": None,
            "delegation": DELEGATION,
            "service_endpoints": [SQL],
        }
    ]
    assert plan["virtual_network_rules"] == [
        {
            **WHERE,
            "server_name": "shop-old",
            "rules": [{"name": made_name("vnet2-targetsubnet", TARGET_SUBNET), "subnet_id": TARGET_SUBNET}],
        }
    ]
    assert plan["words"] == [
        "Add the service endpoint Microsoft.Sql to the subnet targetsubnet of vnet2.",
        "Admit the subnet targetsubnet of vnet2 at shop-old by a virtual network rule.",
    ]


def test_a_new_subnet_with_an_endpoint_is_made_once() -> None:
    facts = replace(to_make(VNET2)(service_endpoint()), source=replace(service_endpoint().source, network_rules=()))
    facts = without_subnet("targetsubnet")(replace(facts, target=by_runtime().target))
    facts = put_network(facts, replace(facts.network(VNET2), subnets=(subnet(f"{VNET2}/subnets/ends", "10.2.3.0/24"),)))
    plan = plan_of(facts)
    assert [(row["name"], row["delegation"], row["service_endpoints"]) for row in plan["subnets"]] == [
        ("pgflex-runtime", DELEGATION, [SQL])
    ]
    assert "with the service endpoint Microsoft.Sql" in plan["words"][0]


@pytest.mark.parametrize(
    ("address", "start", "words"),
    [
        (None, "0.0.0.0", "Admit Azure services at shop-old by a firewall rule."),
        ("20.1.2.3", "20.1.2.3", "Admit 20.1.2.3 at shop-old by a firewall rule."),
    ],
)
def test_the_firewall_is_opened_for_just_the_address_that_is_given(address: str | None, start: str, words: str) -> None:
    plan = plan_of(both(with_source(firewall=()), wishing(public_address=address))(public_access()))
    rule = {"name": "pgflex-shop-new", "start_ip_address": start, "end_ip_address": start}
    assert plan["firewall_rules"] == [
        {**WHERE, "server_name": "shop-old", "server_type": "single_server", "rules": [rule]}
    ]
    assert plan["words"] == [words]


@pytest.mark.parametrize(
    ("rule", "address", "admitted"),
    [
        (AZURE_SERVICES, None, True),
        (FirewallRule("all", "0.0.0.0", "255.255.255.255"), None, True),
        (FirewallRule("one", "20.1.2.3", "20.1.2.3"), None, False),
        (FirewallRule("one", "20.1.2.0", "20.1.2.9"), "20.1.2.3", True),
        (FirewallRule("one", "20.1.2.0", "20.1.2.2"), "20.1.2.3", False),
        (FirewallRule("low", "0.0.0.0", "9.9.9.9"), None, False),
    ],
)
def test_who_is_admitted(rule: FirewallRule, address: str | None, admitted: bool) -> None:
    facts = both(with_source(firewall=(rule,)), wishing(public_address=address))(public_access())
    assert reason(facts).row()["reaches_source"] is admitted


# Places


def test_classic_takes_the_subnet_of_the_endpoint() -> None:
    assert reason(different_vnets(CLASSIC)).row()["migration_subnet_id"] == SOURCE_SUBNET


def test_classic_takes_the_subnet_of_the_rule() -> None:
    work = f"{VNET2}/subnets/work"
    other = subnet(f"{VNET2}/subnets/another", "10.2.7.0/24")
    facts = service_endpoint(CLASSIC)
    facts = put_network(facts, replace(facts.network(VNET2), subnets=(other, *facts.network(VNET2).subnets)))
    assert reason(facts).row()["migration_subnet_id"] == work
    assert reason(with_source(network_rules=())(facts)).row()["migration_subnet_id"] == other.id


def test_classic_prefers_a_subnet_without_a_security_group() -> None:
    facts = with_source(network_rules=())(service_endpoint(CLASSIC))
    guarded_one = subnet(
        f"{VNET2}/subnets/guarded", "10.2.7.0/24", security_group_id=f"{NETWORK}/networkSecurityGroups/g"
    )
    facts = put_network(facts, replace(facts.network(VNET2), subnets=(guarded_one, *facts.network(VNET2).subnets)))
    assert reason(facts).row()["migration_subnet_id"] == f"{VNET2}/subnets/work"


@pytest.mark.parametrize("name", ["GatewaySubnet", "AzureBastionSubnet", "AzureFirewallSubnet", "RouteServerSubnet"])
def test_classic_leaves_subnets_of_others_alone(name: str) -> None:
    facts = with_source(network_rules=())(without_subnet("work")(service_endpoint(CLASSIC)))
    theirs = subnet(f"{VNET2}/subnets/{name}", "10.2.7.0/24")
    facts = put_network(facts, replace(facts.network(VNET2), subnets=(theirs,)))
    assert reason(facts).row()["migration_subnet_id"] == f"{VNET2}/subnets/pgflex-migration"


def test_the_users_subnet_counts_and_a_third_network_is_one() -> None:
    facts = wishing(subnet_id=f"{VNET3}/subnets/work", network_id=None)(third_vnet(CLASSIC))
    found = reason(facts).row()
    assert (found["name"], found["migration_subnet_id"]) == ("third_vnet", f"{VNET3}/subnets/work")


def test_the_targets_network_is_no_third_one() -> None:
    facts = wishing(network_id=VNET2)(different_vnets(CLASSIC))
    assert reason(facts).name == "private_different_vnets"


def test_one_public_server_and_a_third_network() -> None:
    facts = service_endpoint(CLASSIC)
    third = network(VNET3, 3, subnet(f"{VNET3}/subnets/work", "10.3.1.0/24"))
    found = reason(wishing(network_id=VNET3)(put_network(facts, third)))
    assert found.name == "third_vnet"
    assert [row.kind for row in found.missing] == ["peering", "private_dns_zone_link"]


# Runtime servers


def test_a_runtime_server_that_is_to_be_made_is_complete() -> None:
    found = reason(
        both(to_make(), without_zone(f"{NETWORK}/privateDnsZones/pgflex-runtime.private.postgres.database.azure.com"))(
            private_to_public()
        )
    ).row()
    assert found["runtime_server"] == {
        "name": "shop-runtime",
        "resource_group": "shop-rg",
        "location": "westeurope",
        "subnet_id": f"{VNET1}/subnets/pgflex-runtime",
        "private_dns_zone_id": f"{NETWORK}/privateDnsZones/pgflex-runtime.private.postgres.database.azure.com",
    }
    assert found["plan"]["private_dns_zones"] == [
        {**WHERE, "name": "pgflex-runtime.private.postgres.database.azure.com"}
    ]


def test_a_runtime_server_takes_the_targets_zone_where_it_is_linked() -> None:
    facts = to_make(VNET3)(third_vnet())
    assert (
        reason(facts)
        .row()["runtime_server"]["private_dns_zone_id"]
        .endswith("/pgflex-runtime.private.postgres.database.azure.com")
    )
    bare = without_zone(f"{NETWORK}/privateDnsZones/pgflex-runtime.private.postgres.database.azure.com")(facts)
    assert reason(bare).row()["runtime_server"]["private_dns_zone_id"] == TARGET_ZONE
    assert [row.kind for row in reason(bare).missing] == ["runtime_server"]


def test_a_runtime_server_takes_the_zone_and_the_subnet_of_the_user() -> None:
    mine = zone(f"{NETWORK}/privateDnsZones/mine.postgres.database.azure.com")
    home = f"{VNET1}/subnets/flex"
    facts = to_make(zone_id=mine.id, subnet_id=home)(private_to_public())
    facts = put_network(
        facts,
        replace(
            facts.network(VNET1),
            subnets=(*facts.network(VNET1).subnets, subnet(home, "10.1.8.0/28", delegations=(DELEGATION,))),
        ),
    )
    facts = replace(facts, zones={**facts.zones, key(mine.id): mine})
    found = reason(facts).row()
    assert (found["runtime_server"]["subnet_id"], found["runtime_server"]["private_dns_zone_id"]) == (home, mine.id)
    assert found["plan"]["private_dns_zone_links"] == [{"zone_id": mine.id, "virtual_network_ids": [VNET1]}]


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"delegations": ()}, "subnet_delegation"),
        ({"delegations": ("Microsoft.Web/serverFarms",)}, "subnet_delegation"),
        ({"used": 11}, "subnet_size"),
    ],
)
def test_a_runtime_servers_subnet_that_will_not_do(more: dict[str, Any], kind: str) -> None:
    facts = with_subnet(f"{VNET1}/subnets/pgflex-runtime", **more)(to_make()(private_to_public()))
    assert [row.kind for row in reason(facts).missing] == [kind, "runtime_server"]


def test_a_runtime_server_that_has_been_made_says_where_it_is() -> None:
    facts = replace(to_make()(private_to_public()), runtime=private_to_public().runtime)
    found = reason(facts).row()
    assert found["missing"] == [] and found["reaches_source"] and found["reaches_target"]
    assert found["runtime_server"]["subnet_id"] == f"{VNET1}/subnets/pgflex-runtime"
    assert found["runtime_server"]["private_dns_zone_id"].endswith("/runtime.private.postgres.database.azure.com")


def test_two_public_servers_have_no_network_for_a_runtime_server() -> None:
    facts = to_make()(public_access())
    (row,) = reason(facts).missing
    assert row.kind == "runtime_server" and "pgflex.runtime_server.virtual_network_id" in row.message


def test_a_runtime_server_reaches_a_public_source_by_a_rule_of_its_subnet() -> None:
    facts = replace(by_runtime(), source=public_access().source)
    assert reason(facts).missing == ()
    closed = with_source(firewall=())(facts)
    assert [row.kind for row in reason(closed).missing] == ["virtual_network_rule", "service_endpoint"]
    assert reason(applied(closed, plan_of(closed))).missing == ()


# Names


def test_two_zones_of_one_name_can_not_both_be_linked() -> None:
    ends = by_runtime().target.endpoints
    facts = with_target(endpoints=(replace(ends[0], zone_ids=(OTHER_LINK_ZONE,)),))(by_runtime())
    facts = with_zone(LINK_ZONE, records={"shop-old": ("10.1.1.4",)})(facts)
    facts = with_zone(OTHER_LINK_ZONE, records={"shop-new": ("10.2.3.4",)})(facts)
    (row,) = reason(facts).missing
    assert (row.kind, row.side, row.steps) == ("private_dns_record", "target", ())
    assert "in shop-rg has no record shop-new" in row.message
    unlinked = reason(without_link(LINK_ZONE, VNET2)(facts))
    assert [(one.kind, one.side) for one in unlinked.missing] == [
        ("private_dns_zone_link", "source"),
        ("private_dns_record", "target"),
        ("private_dns_zone_link", "target"),
    ]
    assert unlinked.row()["plan"]["private_dns_zone_links"] == [{"zone_id": LINK_ZONE, "virtual_network_ids": [VNET2]}]


def rule_name(vnet: str) -> str:
    """Of the rule for a network's subnet `default`, where a public source and a private target meet."""
    here = f"{vnet}/subnets/default"
    facts = Facts(
        replace(CLASSIC, subnet_id=here),
        public_access().source,
        service_endpoint().target,
        networks={key(vnet): network(vnet, 2, subnet(here, "10.2.7.0/24", service_endpoints=(SQL,)))},
        zones={key(TARGET_ZONE): zone(TARGET_ZONE, vnet)},
    )
    facts = with_source(firewall=())(facts)
    facts = with_target(subnet_id=f"{vnet}/subnets/target")(facts)
    (row,) = plan_of(facts)["virtual_network_rules"]
    return str(row["rules"][0]["name"])


def test_rules_for_subnets_of_one_name_have_names_of_their_own_that_azure_takes() -> None:
    names = {rule_name(text) for text in (VNET2, VNET2.replace("shop-rg", "hub-rg"), f"{NETWORK}/virtualNetworks/a.b")}
    assert len(names) == 3
    for name in names:
        assert re.fullmatch(r"pgflex-[A-Za-z0-9_-]{1,73}", name), name


def test_a_subnet_counts_what_a_service_keeps_in_it() -> None:
    links = [{"name": f"link-{number}"} for number in range(11)]
    full = subnet_of(
        {"id": TARGET_SUBNET, "properties": {"addressPrefix": "10.2.9.0/28", "serviceAssociationLinks": links}}
    )
    assert full.free == 0


def test_a_public_server_is_not_found_in_a_linked_zone_without_its_record() -> None:
    facts = with_zone(LINK_ZONE, records={})(with_source(public=True)(different_vnets()))
    (row,) = reason(facts).missing
    assert (row.kind, row.side, row.steps) == ("private_dns_record", "source", ())
    assert "NxDomainRedirect" in row.message and "has no record shop-old" in row.message
    links = tuple(replace(link, redirects=True) for link in facts.zone(LINK_ZONE).links)
    public = ["virtual_network_rule", "service_endpoint"]
    assert [row.kind for row in reason(with_zone(LINK_ZONE, links=links)(facts)).missing] == public
    # Its public name leads to no private one before the endpoint is approved.
    assert [row.kind for row in reason(source_end(status="Pending")(facts)).missing] == public


def test_a_zone_of_the_same_name_elsewhere_is_the_one_that_is_asked() -> None:
    facts = without_link(LINK_ZONE, VNET2)(with_source(public=True)(different_vnets()))
    elsewhere = zone(OTHER_LINK_ZONE, VNET2)
    facts = replace(facts, zones={**facts.zones, key(elsewhere.id): elsewhere})
    (row,) = reason(facts).missing
    assert row.kind == "private_dns_record" and "in hub-rg has no record shop-old" in row.message


def test_what_azure_does_not_tell_is_said() -> None:
    (row,) = reason(onprem_public_to_private()).row()["unknown"]
    assert (row["kind"], row["side"]) == ("source_firewall", "source")
    assert "pg_hba.conf of 192.168.7.4" in row["message"]
    told = reason(with_source(host="db.corp.example", name_resolves=True)(onprem_vpn())).row()["unknown"]
    assert [row["kind"] for row in told] == ["route", "custom_dns", "source_firewall"]
    assert "targetsubnet of vnet2 (10.2.1.0/24)" in told[2]["message"]
    routed = both(wishing(routed=True), unpeered(VNET1, VNET2))(different_vnets())
    (row,) = reason(routed).row()["unknown"]
    assert (row["kind"], row["side"]) == ("route", "source") and "pgflex.network.routed" in row["message"]
    assert reason(wishing(routed=True)(different_vnets())).row()["unknown"] == []


def test_a_public_server_whose_name_leads_to_its_endpoint_is_reached_there() -> None:
    facts = with_source(public=True)(different_vnets())
    assert reason(facts).name == "service_endpoint_private_target" and reason(facts).missing == ()
    far = unpeered(VNET1, VNET2)(facts)
    assert [row.kind for row in reason(far).missing] == ["peering"]
    unlinked = without_link(LINK_ZONE, VNET2)(facts)
    assert [row.kind for row in reason(unlinked).missing] == ["virtual_network_rule", "service_endpoint"]


def test_an_endpoint_without_any_zone_asks_for_a_zone_group() -> None:
    (row,) = reason(both(source_end(zone_ids=()), without_zone(LINK_ZONE))(same_vnet())).missing
    assert "shop-old-end" in row.message and "dns-zone-group create" in row.message


def test_custom_dns_is_a_property_of_any_topology() -> None:
    facts = both(with_network(VNET1, dns_servers=("10.1.5.4",)), wishing(dns_forwarding=True))(same_vnet())
    found = reason(facts).row()
    assert found["name"] == "private_same_vnet" and found["custom_dns"] and found["missing"] == []


def test_the_name_that_custom_dns_knows_is_the_one_to_use() -> None:
    facts = both(with_network(VNET1, dns_servers=("10.1.5.4",)), with_source(fqdn="old.corp"))(same_vnet())
    found = reason(facts).row()
    assert found["source"]["fqdn"] == "old.corp" and found["target"]["fqdn"].startswith("shop-new.")


# What can not be


def test_private_to_public_from_outside_is_said_in_the_guides_words() -> None:
    found = reason(replace(onprem_vpn(), target=target())).row()
    assert (found["name"], found["supported"]) == ("onprem_private_public_target", False)
    (row,) = found["missing"]
    assert (row["kind"], row["remedy"]) == ("topology", "by_hand")
    assert row["message"].startswith("Non supported network configuration, need to use pg_dump/pg_restore")
    assert "Set pgflex.engine: direct, which copies between the two from this machine" in row["message"]


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_closed_server_without_an_endpoint_has_no_topology(side: str) -> None:
    change = (with_source if side == "source" else with_target)(public=False)
    found = reason(change(public_access())).row()
    assert found["name"] == "unknown" and not found[f"reaches_{side}"]
    (row,) = found["missing"]
    assert (row["kind"], row["side"], row["remedy"]) == ("public_access", side, "by_hand")


def test_endpoints_of_somebody_else_are_named() -> None:
    facts = with_source(public=False, unreadable=("/subscriptions/x/endpoints/theirs",))(public_access())
    (row,) = reason(facts).missing
    assert "theirs" in row.message


def test_every_name_has_a_title() -> None:
    assert all(TITLES.values()) and len(TITLES) == 11


# Roles and rights


def test_the_scopes_of_the_classic_app() -> None:
    assert reason(different_vnets(CLASSIC)).row()["scopes"] == [SOURCE_ID, TARGET_ID, GROUP, VNET1, VNET2]
    assert reason(third_vnet(CLASSIC)).row()["scopes"] == [SOURCE_ID, TARGET_ID, GROUP, VNET1, VNET2, VNET3]
    assert reason(public_access(CLASSIC)).row()["scopes"] == [SOURCE_ID, TARGET_ID, GROUP]
    assert reason(different_vnets()).row()["scopes"] == []


def test_the_migration_resource_group_is_the_users() -> None:
    facts = wishing(group_id=GROUP.replace("shop-rg", "work-rg"))(public_access(CLASSIC))
    assert reason(facts).row()["scopes"][2] == GROUP.replace("shop-rg", "work-rg")


def needed(facts: Any) -> set[tuple[str, str]]:
    return {(need.scope, need.action.split("/", maxsplit=1)[1]) for need in reason(facts).needs()}


def test_the_rights_of_a_peering_and_a_link_are_needed_at_both_ends() -> None:
    facts = both(unpeered(VNET1, VNET2), without_link(LINK_ZONE, VNET2))(different_vnets())
    assert needed(facts) == {
        (LINK_ZONE, "privateDnsZones/virtualNetworkLinks/write"),
        (VNET2, "virtualNetworks/join/action"),
        (VNET1, "virtualNetworks/virtualNetworkPeerings/write"),
        (VNET2, "virtualNetworks/virtualNetworkPeerings/write"),
        (VNET1, "virtualNetworks/peer/action"),
        (VNET2, "virtualNetworks/peer/action"),
    }


def test_the_rights_of_everything_else() -> None:
    facts = both(with_source(network_rules=()), with_subnet(TARGET_SUBNET, service_endpoints=()))(service_endpoint())
    assert needed(facts) == {
        (VNET2, "virtualNetworks/subnets/write"),
        (VNET2, "virtualNetworks/subnets/joinViaServiceEndpoint/action"),
        (SOURCE_ID, "servers/virtualNetworkRules/write"),
    }
    assert needed(with_source(firewall=())(public_access())) == {(SOURCE_ID, "servers/firewallRules/write")}
    assert needed(replace(public_access(CLASSIC), roles=frozenset({key(SOURCE_ID), key(GROUP)}))) == set()
    assert needed(replace(public_access(CLASSIC), roles=frozenset({key(SOURCE_ID), key(TARGET_ID)}))) == {
        (GROUP, "roleAssignments/write")
    }
    runtime = both(
        to_make(), without_zone(f"{NETWORK}/privateDnsZones/pgflex-runtime.private.postgres.database.azure.com")
    )
    assert needed(runtime(private_to_public())) == {
        (GROUP, "privateDnsZones/write"),
        (GROUP, "privateDnsZones/virtualNetworkLinks/write"),
        (VNET1, "virtualNetworks/join/action"),
        (GROUP, "flexibleServers/write"),
        (VNET1, "virtualNetworks/subnets/join/action"),
    }


def test_a_missing_right_on_one_side_names_the_side_and_a_role() -> None:
    topology = reason(unpeered(VNET1, VNET2)(different_vnets()))
    everything, nothing = [{"actions": ["*"], "notActions": []}], [{"actions": ["*/read"], "notActions": []}]
    assert rights_lacking(topology.needs(), {key(VNET1): everything, key(VNET2): everything}) == ()
    (row,) = rights_lacking(topology.needs(), {key(VNET1): nothing, key(VNET2): everything})
    assert (row.kind, row.row()["remedy"]) == ("permission", "by_hand")
    assert "virtualNetworkPeerings/write" in row.message and "Network Contributor" in row.message
    assert "at vnet1" in row.message
    not_peering = [{"actions": ["*"], "notActions": ["Microsoft.Network/virtualNetworks/peer/*"]}]
    (row,) = rights_lacking(topology.needs(), {key(VNET1): everything, key(VNET2): not_peering})
    assert "peer/action" in row.message and "virtualNetworkPeerings/write" not in row.message


# What was made


def test_what_a_plan_made_is_found_again_and_nothing_else() -> None:
    change = both(unpeered(VNET1, VNET2), without_link(LINK_ZONE, VNET2))
    facts = change(different_vnets())
    before = reason(facts).row()["made"]
    assert not any(before.values())
    made = reason(applied(facts, plan_of(facts))).row()["made"]
    assert [(row["virtual_network_id"], row["remote_virtual_network_id"]) for row in made["peerings"]] == [
        (VNET2, VNET1)
    ]
    assert made["private_dns_zone_links"] == [
        {"zone_id": LINK_ZONE, "virtual_network_ids": [VNET2], "names": ["pgflex-vnet2"]}
    ]
    assert {name for name, rows in made.items() if rows} == {"peerings", "private_dns_zone_links"}


def test_a_peering_that_is_half_the_users_is_not_taken_away() -> None:
    facts = unpeered(VNET1, VNET2)(different_vnets())
    facts = applied(facts, plan_of(facts))
    home = facts.network(VNET1)
    mine = replace(home, peerings=(replace(home.peerings[0], name="mine"),))
    assert reason(put_network(facts, mine)).row()["made"]["peerings"] == []


def test_made_subnets_and_rules() -> None:
    change = both(with_source(network_rules=()), without_subnet("work"))
    facts = change(service_endpoint(CLASSIC))
    found = reason(applied(facts, plan_of(facts))).row()
    assert [row["name"] for row in found["made"]["subnets"]] == ["pgflex-migration"]
    named = (NetworkRule("pgflex-vnet2-targetsubnet", TARGET_SUBNET), NetworkRule("theirs", TARGET_SUBNET))
    rules = reason(with_source(network_rules=named)(service_endpoint())).row()["made"]["virtual_network_rules"]
    assert [rule["name"] for row in rules for rule in row["rules"]] == ["pgflex-vnet2-targetsubnet"]


def test_a_subnet_that_somebody_uses_stays() -> None:
    facts = both(with_source(network_rules=()), without_subnet("work"))(service_endpoint(CLASSIC))
    made = with_subnet(f"{VNET2}/subnets/pgflex-migration", interfaces=True)(applied(facts, plan_of(facts)))
    assert reason(made).row()["made"]["subnets"] == []


def test_what_a_runtime_server_needs_stays_while_it_is_there() -> None:
    zone_id = f"{NETWORK}/privateDnsZones/pgflex-runtime.private.postgres.database.azure.com"
    facts = both(to_make(), without_zone(zone_id))(private_to_public())
    # The association of the server that is gone still counts as using the subnet.
    facts = applied(facts, plan_of(facts))
    assert facts.network(VNET1).subnets[-1].used == 1
    made = reason(facts).row()["made"]
    assert {name for name, rows in made.items() if rows} == {"subnets", "private_dns_zones", "private_dns_zone_links"}
    there = replace(facts, runtime=replace(private_to_public().runtime, zone_id=zone_id))
    assert not any(reason(there).row()["made"].values())


def test_firewall_rules_of_another_pair_are_not_this_ones() -> None:
    rules = (FirewallRule("pgflex-shop-new", "1.2.3.4", "1.2.3.4"), FirewallRule("pgflex-other", "0.0.0.0", "0.0.0.0"))
    (row,) = reason(with_source(firewall=rules)(public_access())).row()["made"]["firewall_rules"]
    assert [rule["name"] for rule in row["rules"]] == ["pgflex-shop-new"]


# Security groups


def rule(priority: int, allows: bool, **more: Any) -> SecurityRule:
    return deny(priority, **{"allows": allows, "name": f"rule-{priority}", **more})


INSIDE, THERE, PUBLIC = Side(("10.1.1.0/24",)), Side(("10.2.1.4",)), Side(private=False)
GROUPS = [
    ([], False, THERE, None),
    ([rule(100, False)], False, THERE, "rule-100"),
    ([rule(100, False, ports=("5432-5500",))], False, THERE, "rule-100"),
    ([rule(100, False, ports=("1-5431", "6432"))], False, THERE, None),
    ([rule(100, False, protocol="Udp")], False, THERE, None),
    ([rule(100, False, protocol="*")], False, THERE, "rule-100"),
    ([rule(200, False), rule(100, True)], False, THERE, None),
    ([rule(100, False), rule(50, True, destinations=("10.2.1.0/24",))], False, THERE, None),
    ([rule(100, False), rule(50, True, destinations=("10.2.1.4", "x"))], False, THERE, None),
    ([rule(100, False), rule(50, True, destinations=("10.2.2.0/24",))], False, THERE, "rule-100"),
    ([rule(100, False), rule(50, True, destinations=("VirtualNetwork",))], False, THERE, None),
    ([rule(100, False, destinations=("VirtualNetwork",))], False, THERE, "rule-100"),
    ([rule(100, False, destinations=("Internet",))], False, THERE, None),
    ([rule(100, False, destinations=("Internet",))], False, PUBLIC, "rule-100"),
    ([rule(100, False, destinations=("VirtualNetwork",))], False, PUBLIC, None),
    ([rule(100, False), rule(50, True, destinations=("Sql.WestEurope",))], False, PUBLIC, None),
    ([rule(100, False), rule(50, True, destinations=("Storage",))], False, PUBLIC, "rule-100"),
    ([rule(100, False), rule(50, True, destinations=("0.0.0.0/0",))], False, PUBLIC, None),
    ([rule(100, False, destinations=("AzureLoadBalancer",))], False, THERE, None),
    ([rule(100, False), rule(50, True, sources=("10.1.1.0/25",))], False, THERE, "rule-100"),
    ([rule(100, False, sources=("10.1.1.0/25",))], False, THERE, "rule-100"),
    ([rule(100, False, source_ports=("1-1023",))], False, THERE, None),
    ([rule(100, False, inbound=True)], False, THERE, None),
    ([rule(100, False, inbound=True)], True, THERE, "rule-100"),
    ([], True, THERE, None),
]


@pytest.mark.parametrize(("rules", "inbound", "there", "denier"), GROUPS)
def test_which_rule_denies(rules: list[SecurityRule], inbound: bool, there: Side, denier: str | None) -> None:
    group = SecurityGroup("/x", tuple(rules))
    found = denied_by(group, inbound=inbound, source=INSIDE, destination=there)
    assert (found.name if found else None) == denier


def test_nothing_comes_in_from_outside_by_itself() -> None:
    found = denied_by(SecurityGroup("/x"), inbound=True, source=PUBLIC, destination=THERE)
    assert found and found.name == "DenyAllInBound"


def test_the_sentence_names_rule_group_and_subnet() -> None:
    (row,) = reason(guarded(TARGET_SUBNET, deny(inbound=True))(different_vnets(CLASSIC))).missing
    for word in ("no-postgres", "priority 100", "guard", "targetsubnet of vnet2", "5432", "shop-new"):
        assert word in row.message


def test_a_server_says_how_it_is_reached() -> None:
    found = reason(different_vnets()).row()
    assert found["source"] == {
        "access": "private_endpoint",
        "virtual_network_id": VNET1,
        "subnet_id": SOURCE_SUBNET,
        "private_endpoint_id": SOURCE_END,
        "private_dns_zone_ids": [LINK_ZONE],
        "fqdn": "shop-old.postgres.database.azure.com",
    }
    assert found["target"]["access"] == "virtual_network" and found["target"]["private_dns_zone_ids"] == [TARGET_ZONE]
    assert found["migrates_from"] == {
        "kind": "target_server",
        "virtual_network_id": VNET2,
        "subnet_id": TARGET_SUBNET,
        "description": "The target server shop-new, in the subnet targetsubnet of vnet2.",
    }
