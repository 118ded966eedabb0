# SPDX-License-Identifier: GPL-3.0-or-later
"""Every topology with everything in place, and with one piece after the other taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._topology.facts import (
    AZURE_DNS,
    Facts,
    FirewallRule,
    Peering,
    key,
)
from ansible_collections.pgflex.migrate.plugins.module_utils._topology.reason import Topology, reason

from .worlds import (
    AZURE_SERVICES,
    CLASSIC,
    GROUP,
    LINK_ZONE,
    NETWORK,
    SOURCE_ID,
    SOURCE_SUBNET,
    TARGET_ID,
    TARGET_SUBNET,
    TARGET_ZONE,
    VNET1,
    VNET2,
    VNET3,
    Change,
    applied,
    both,
    by_runtime,
    deny,
    different_vnets,
    guarded,
    onprem_machine,
    onprem_public,
    onprem_public_to_private,
    onprem_vpn,
    private_to_public,
    public_access,
    put_network,
    same_vnet,
    service_endpoint,
    source_end,
    subnet,
    target_end,
    third_vnet,
    to_make,
    unpeered,
    wishing,
    with_network,
    with_peering,
    with_runtime,
    with_source,
    with_subnet,
    with_target,
    with_zone,
    without_link,
    without_peering,
    without_subnet,
    without_zone,
    zone,
)

RUNTIME2 = f"{VNET2}/subnets/pgflex-runtime"
ENDS, WORK, WORK3 = f"{VNET2}/subnets/ends", f"{VNET2}/subnets/work", f"{VNET3}/subnets/work"
RUNTIME_ZONE = f"{NETWORK}/privateDnsZones/pgflex-runtime.private.postgres.database.azure.com"
DNS = {"dns_servers": ("10.2.5.4",)}


@dataclass(frozen=True)
class Case:
    """`kinds` is what is missing with the piece away, in the order of the answer; `plan` the lists that mend it."""

    name: str
    build: Callable[[], Facts]
    kinds: str = ""
    change: Change = lambda facts: facts
    plan: str = ""


def classic(build: Callable[..., Facts]) -> Callable[[], Facts]:
    return lambda: build(CLASSIC)


COMPLETE = [
    ("public_access", public_access, "target_server"),
    ("public_access", classic(public_access), "public_address"),
    ("private_same_vnet", same_vnet, "target_server"),
    ("private_same_vnet", classic(same_vnet), "migration_subnet"),
    ("private_different_vnets", different_vnets, "target_server"),
    ("private_different_vnets", classic(different_vnets), "migration_subnet"),
    ("service_endpoint_private_target", service_endpoint, "target_server"),
    ("service_endpoint_private_target", classic(service_endpoint), "migration_subnet"),
    ("private_source_public_target", private_to_public, "runtime_server"),
    ("private_source_public_target", classic(private_to_public), "migration_subnet"),
    ("third_vnet", third_vnet, "runtime_server"),
    ("third_vnet", classic(third_vnet), "migration_subnet"),
    ("runtime_server", by_runtime, "runtime_server"),
    ("onprem_public", onprem_public, "target_server"),
    ("onprem_public", onprem_public_to_private, "target_server"),
    ("onprem_private", onprem_vpn, "target_server"),
    ("onprem_private", onprem_machine, "target_server"),
]

CASES = [
    # Firewalls
    Case("no rule at all", public_access, "firewall_rule", with_source(firewall=()), "firewall_rules"),
    Case(
        "no rule for the target's address",
        public_access,
        "firewall_rule",
        both(with_source(firewall=(FirewallRule("x", "4.0.0.0", "4.0.0.9"),)), wishing(public_address="4.0.0.10")),
        "firewall_rules",
    ),
    Case("the classic service opens the firewall", classic(public_access), "", with_source(firewall=())),
    Case(
        "private networks and a public target",
        private_to_public,
        "firewall_rule",
        with_target(firewall=()),
        "firewall_rules",
    ),
    # One network
    Case(
        "link of the source",
        same_vnet,
        "private_dns_zone_link",
        without_link(LINK_ZONE, VNET1),
        "private_dns_zone_links",
    ),
    Case("endpoint pending", same_vnet, "private_endpoint", source_end(status="Pending")),
    Case("endpoint rejected", classic(same_vnet), "private_endpoint", source_end(status="Rejected")),
    Case("record", same_vnet, "private_dns_record", with_zone(LINK_ZONE, records={})),
    Case(
        "record of another address",
        same_vnet,
        "private_dns_record",
        with_zone(LINK_ZONE, records={"shop-old": ("10.9.9.9",)}),
    ),
    Case("zone", same_vnet, "private_dns_record", both(without_zone(LINK_ZONE), source_end(zone_ids=()))),
    Case(
        "zone of the target",
        classic(same_vnet),
        "private_dns_zone_link",
        without_link(TARGET_ZONE, VNET1),
        "private_dns_zone_links",
    ),
    Case("target's own zone matters to nobody", same_vnet, "", without_link(TARGET_ZONE, VNET1)),
    Case("denied out", same_vnet, "network_security_group", guarded(f"{VNET1}/subnets/targetsubnet", deny())),
    Case("denied in, not filtered", same_vnet, "", guarded(SOURCE_SUBNET, deny(inbound=True))),
    Case(
        "denied in, filtered",
        same_vnet,
        "network_security_group",
        guarded(SOURCE_SUBNET, deny(inbound=True), filters_endpoints=True),
    ),
    Case("custom DNS", same_vnet, "custom_dns", with_network(VNET1, dns_servers=("10.1.5.4",))),
    Case("custom DNS with the name", same_vnet, "", both(with_network(VNET1, **DNS), with_source(fqdn="old.corp"))),
    Case("custom DNS, classic", classic(same_vnet), "custom_dns custom_dns", with_network(VNET1, **DNS)),
    Case(
        "custom DNS, classic, one name",
        classic(same_vnet),
        "custom_dns",
        both(with_network(VNET1, **DNS), with_source(fqdn="x.y")),
    ),
    Case(
        "custom DNS that forwards",
        classic(same_vnet),
        "",
        both(with_network(VNET1, **DNS), wishing(dns_forwarding=True)),
    ),
    Case("Azure's DNS by its address", same_vnet, "", with_network(VNET1, dns_servers=(AZURE_DNS,))),
    Case("Azure's DNS first", same_vnet, "", with_network(VNET1, dns_servers=(AZURE_DNS, "10.1.5.4"))),
    Case("Azure's DNS last", same_vnet, "custom_dns", with_network(VNET1, dns_servers=("10.1.5.4", AZURE_DNS))),
    # Two networks
    Case("peering", different_vnets, "peering", unpeered(VNET1, VNET2), "peerings"),
    Case("peering, classic", classic(different_vnets), "peering", unpeered(VNET1, VNET2), "peerings"),
    Case("half a peering", different_vnets, "peering", without_peering(VNET1, VNET2), "peerings"),
    Case("the other half", classic(different_vnets), "peering", without_peering(VNET1, VNET2), "peerings"),
    Case("peering initiated", different_vnets, "peering", with_peering(VNET2, VNET1, state="Initiated"), "peerings"),
    Case(
        "peering disconnected", different_vnets, "peering", with_peering(VNET1, VNET2, state="Disconnected"), "peerings"
    ),
    Case("peering without access", different_vnets, "peering", with_peering(VNET1, VNET2, access=False), "peerings"),
    Case(
        "address spaces that overlap",
        different_vnets,
        "address_space",
        both(unpeered(VNET1, VNET2), with_network(VNET1, prefixes=("10.0.0.0/8",))),
    ),
    Case(
        "a network of the hub's that overlaps the target's",
        different_vnets,
        "address_space",
        both(
            unpeered(VNET1, VNET2),
            with_network(VNET1, peerings=(Peering("hub", VNET3, remote_prefixes=("10.2.128.0/17",)),)),
        ),
    ),
    Case("routed by a hub", different_vnets, "", both(unpeered(VNET1, VNET2), wishing(routed=True))),
    Case(
        "routed by a hub, overlapping",
        different_vnets,
        "",
        both(unpeered(VNET1, VNET2), wishing(routed=True), with_network(VNET1, prefixes=("10.0.0.0/8",))),
    ),
    Case(
        "link, current",
        different_vnets,
        "private_dns_zone_link",
        without_link(LINK_ZONE, VNET2),
        "private_dns_zone_links",
    ),
    Case(
        "link, classic",
        classic(different_vnets),
        "private_dns_zone_link",
        without_link(TARGET_ZONE, VNET1),
        "private_dns_zone_links",
    ),
    Case(
        "denied on the way",
        classic(different_vnets),
        "network_security_group",
        guarded(TARGET_SUBNET, deny(inbound=True)),
    ),
    Case(
        "everything",
        different_vnets,
        "peering private_dns_zone_link",
        both(unpeered(VNET1, VNET2), without_link(LINK_ZONE, VNET2)),
        "private_dns_zone_links peerings",
    ),
    Case(
        "custom DNS in another network",
        different_vnets,
        "private_dns_zone_link",
        both(
            with_network(VNET2, dns_servers=("10.1.5.4",)), wishing(dns_forwarding=True), without_link(LINK_ZONE, VNET1)
        ),
        "private_dns_zone_links",
    ),
    # Service endpoints
    Case("rule", service_endpoint, "virtual_network_rule", with_source(network_rules=()), "virtual_network_rules"),
    Case("endpoint", service_endpoint, "service_endpoint", with_subnet(TARGET_SUBNET, service_endpoints=()), "subnets"),
    Case(
        "rule and endpoint",
        service_endpoint,
        "virtual_network_rule service_endpoint",
        both(with_source(network_rules=()), with_subnet(TARGET_SUBNET, service_endpoints=())),
        "subnets virtual_network_rules",
    ),
    Case("Azure services instead", service_endpoint, "", with_source(network_rules=(), firewall=(AZURE_SERVICES,))),
    Case(
        "tier Basic", service_endpoint, "firewall_rule", with_source(network_rules=(), tier="Basic"), "firewall_rules"
    ),
    Case(
        "a flexible source",
        service_endpoint,
        "firewall_rule",
        with_source(network_rules=(), kind="flexible", id=TARGET_ID.replace("shop-new", "shop-old")),
        "firewall_rules",
    ),
    Case(
        "rule, classic",
        classic(service_endpoint),
        "virtual_network_rule",
        with_source(network_rules=()),
        "virtual_network_rules",
    ),
    Case(
        "no rule and no endpoint, classic",
        classic(service_endpoint),
        "",
        both(with_source(network_rules=()), with_subnet(WORK, service_endpoints=())),
    ),
    Case("no subnet beside the target's", classic(service_endpoint), "subnet", without_subnet("work"), "subnets"),
    # Private to public
    Case("no runtime server", private_to_public, "runtime_server", lambda facts: replace(facts, runtime=None)),
    Case("runtime server to be made", private_to_public, "runtime_server", to_make()),
    Case(
        "its subnet",
        private_to_public,
        "subnet runtime_server",
        both(to_make(), without_subnet("pgflex-runtime")),
        "subnets",
    ),
    Case(
        "its link",
        private_to_public,
        "private_dns_zone_link runtime_server",
        both(to_make(), without_link(RUNTIME_ZONE, VNET1)),
        "private_dns_zone_links",
    ),
    Case(
        "its zone",
        private_to_public,
        "private_dns_zone_link runtime_server",
        both(to_make(), without_zone(RUNTIME_ZONE)),
        "private_dns_zones private_dns_zone_links",
    ),
    Case(
        "a runtime server without a network",
        private_to_public,
        "runtime_server",
        lambda facts: replace(facts, runtime=replace(facts.target)),
    ),
    Case(
        "endpoint's subnet full",
        classic(private_to_public),
        "subnet",
        both(with_subnet(SOURCE_SUBNET, used=251), without_subnet("x")),
        "subnets",
    ),
    # A third network
    Case("peering with the source", third_vnet, "peering", unpeered(VNET3, VNET1), "peerings"),
    Case("peering with the target", classic(third_vnet), "peering", unpeered(VNET3, VNET2), "peerings"),
    Case(
        "link of the source's zone",
        classic(third_vnet),
        "private_dns_zone_link",
        without_link(LINK_ZONE, VNET3),
        "private_dns_zone_links",
    ),
    Case(
        "link of the target's zone",
        third_vnet,
        "private_dns_zone_link",
        without_link(TARGET_ZONE, VNET3),
        "private_dns_zone_links",
    ),
    Case(
        "nothing done yet",
        classic(third_vnet),
        "subnet peering private_dns_zone_link peering private_dns_zone_link",
        both(
            unpeered(VNET3, VNET1),
            unpeered(VNET3, VNET2),
            without_link(LINK_ZONE, VNET3),
            without_link(TARGET_ZONE, VNET3),
            without_subnet("work"),
        ),
        "subnets private_dns_zone_links peerings",
    ),
    Case(
        "source's and target's networks overlap",
        classic(third_vnet),
        "peering address_space",
        both(unpeered(VNET3, VNET1), unpeered(VNET3, VNET2), with_network(VNET2, prefixes=("10.1.0.0/16",))),
        "peerings",
    ),
    Case(
        "the target's network overlaps the one that is peered",
        third_vnet,
        "address_space",
        both(unpeered(VNET3, VNET2), with_network(VNET2, prefixes=("10.1.128.0/17",))),
    ),
    Case("subnet that is not there", classic(third_vnet), "subnet", wishing(subnet_id=f"{VNET3}/subnets/none")),
    Case(
        "subnet of Flexible Servers",
        classic(third_vnet),
        "subnet_delegation",
        wishing(subnet_id=f"{VNET3}/subnets/pgflex-runtime"),
    ),
    Case(
        "subnet without room",
        classic(third_vnet),
        "subnet_size",
        both(wishing(subnet_id=WORK3), with_subnet(WORK3, used=251)),
    ),
    Case(
        "network without room",
        classic(third_vnet),
        "address_space",
        both(without_subnet("work"), with_network(VNET3, prefixes=("10.3.9.0/28",))),
    ),
    Case(
        "prefix outside the network",
        classic(third_vnet),
        "address_space",
        both(without_subnet("work"), wishing(subnet_prefix="10.4.0.0/24")),
    ),
    Case(
        "prefix that is taken",
        classic(third_vnet),
        "address_space",
        both(without_subnet("work"), wishing(subnet_prefix="10.3.9.0/27")),
    ),
    Case(
        "prefix of the user's",
        classic(third_vnet),
        "subnet",
        both(without_subnet("work"), wishing(subnet_prefix="10.3.8.0/27")),
        "subnets",
    ),
    Case(
        "no runtime server there",
        third_vnet,
        "runtime_server",
        both(lambda facts: replace(facts, runtime=None), wishing(network_id=VNET3)),
    ),
    # Private endpoints at both ends
    Case("runtime server", by_runtime, "runtime_server", lambda facts: replace(facts, runtime=None)),
    Case("peering with the source's", by_runtime, "peering", unpeered(VNET1, VNET2), "peerings"),
    Case(
        "link of both",
        by_runtime,
        "private_dns_zone_link private_dns_zone_link",
        without_link(LINK_ZONE, VNET2),
        "private_dns_zone_links",
    ),
    Case(
        "record of the target",
        by_runtime,
        "private_dns_record",
        with_zone(LINK_ZONE, records={"shop-old": ("10.1.1.4",)}),
    ),
    Case("target's endpoint pending", by_runtime, "private_endpoint", target_end(status="Pending")),
    Case("custom DNS takes no names here", by_runtime, "custom_dns custom_dns", with_network(VNET2, **DNS)),
    Case(
        "runtime server's way out",
        by_runtime,
        "network_security_group network_security_group",
        guarded(RUNTIME2, deny()),
    ),
    # Outside Azure
    Case("no route", onprem_vpn, "route", with_source(route="none")),
    Case("no gateway", onprem_vpn, "route", with_source(route=None)),
    Case(
        "a gateway",
        onprem_vpn,
        "",
        both(
            with_source(route=None),
            lambda facts: put_network(
                facts,
                replace(
                    facts.network(VNET2),
                    subnets=(*facts.network(VNET2).subnets, subnet(f"{VNET2}/subnets/GatewaySubnet", "10.2.8.0/27")),
                ),
            ),
        ),
    ),
    Case(
        "denied to the source",
        onprem_vpn,
        "network_security_group",
        guarded(TARGET_SUBNET, deny(destinations=("192.168.0.0/16",))),
    ),
    Case("machine not peered", onprem_machine, "peering", unpeered(VNET1, VNET2), "peerings"),
    Case(
        "denied into the machine's subnet",
        onprem_machine,
        "network_security_group",
        guarded(f"{VNET1}/subnets/machines", deny(inbound=True)),
    ),
    Case(
        "name in a zone that is not linked",
        onprem_vpn,
        "private_dns_zone_link",
        both(
            with_source(host="db.corp.example"),
            lambda facts: replace(
                facts, zones={**facts.zones, "corp": zone(f"{NETWORK}/privateDnsZones/corp.example")}
            ),
        ),
    ),
    Case("a name that nothing knows", onprem_vpn, "custom_dns", with_source(host="db.corp.example")),
    Case("a name in public DNS", onprem_vpn, "", with_source(host="db.corp.example", name_resolves=True)),
    Case(
        "a name that own DNS servers may know",
        onprem_vpn,
        "",
        both(with_source(host="db.corp.example"), with_network(VNET2, **DNS), wishing(dns_forwarding=True)),
    ),
    Case(
        "denied out to the Internet",
        onprem_public_to_private,
        "network_security_group",
        guarded(TARGET_SUBNET, deny(destinations=("Internet",))),
    ),
    # Roles
    Case(
        "roles",
        classic(same_vnet),
        "role_scope role_scope role_scope role_scope",
        lambda facts: replace(facts, roles=frozenset()),
        "scopes",
    ),
    Case(
        "one role",
        classic(same_vnet),
        "role_scope",
        lambda facts: replace(
            facts,
            roles=frozenset({key(GROUP).replace("shop-rg", "x"), key(SOURCE_ID), key(TARGET_ID), key(GROUP)})
            - {key(GROUP)}
            | {key(VNET1)},
        ),
        "scopes",
    ),
    Case("roles from above", classic(same_vnet), "", lambda facts: replace(facts, roles=frozenset({key(GROUP)}))),
]


def kinds(topology: Topology) -> str:
    return " ".join(row.kind for row in topology.missing)


def identify(case: Any) -> str:
    return case.name if isinstance(case, Case) else str(case)


@pytest.mark.parametrize(
    ("name", "build", "place"), COMPLETE, ids=lambda value: value if isinstance(value, str) else ""
)
def test_nothing_is_missing_where_everything_is_there(name: str, build: Callable[[], Facts], place: str) -> None:
    found = reason(build()).row()
    assert (found["name"], found["migrates_from"]["kind"]) == (name, place)
    assert found["missing"] == [] and found["plan"]["words"] == [] and found["supported"]
    assert found["reaches_source"] and found["reaches_target"]


@pytest.mark.parametrize("case", CASES, ids=identify)
def test_a_missing_piece_is_named_and_the_plan_mends_it(case: Case) -> None:
    facts = case.change(case.build())
    topology = reason(facts)
    assert kinds(topology) == case.kinds, [row.message for row in topology.missing]
    plan = topology.row()["plan"]
    if case.plan:
        assert " ".join(name for name, rows in plan.items() if rows and name != "words") == " ".join(
            name for name in plan if name in case.plan.split()
        )
    assert bool(plan["words"]) == any(row.steps for row in topology.missing if row.kind != "runtime_server")
    by_hand = [row for row in topology.missing if not row.steps]
    if not by_hand:
        after = reason(with_runtime(applied(facts, plan), topology.worker.runtime))
        assert kinds(after) == "", [row.message for row in after.missing]
        assert after.row()["plan"]["words"] == []
        assert after.worker.subnet_id == topology.worker.subnet_id
        assert after.worker.runtime == topology.worker.runtime


@pytest.mark.parametrize("case", [case for case in CASES if case.kinds], ids=identify)
def test_a_missing_piece_is_said_in_a_sentence(case: Case) -> None:
    topology = reason(case.change(case.build()))
    for row in topology.missing:
        assert row.message[0].isalpha() and row.message.endswith(".") and "None" not in row.message, row.message
        assert row.side in ("source", "target", "both")
    reached = topology.row()
    lost = {row.side for row in topology.missing if row.kind != "role_scope"}
    assert reached["reaches_source"] is not bool(lost & {"source", "both"})
    assert reached["reaches_target"] is not bool(lost & {"target", "both"})
