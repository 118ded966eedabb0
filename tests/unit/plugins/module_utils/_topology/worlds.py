# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides' topologies as facts, ways to take pieces of them away, and what a plan that is applied makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ansible_collections.pgflex.migrate.plugins.module_utils._network.addresses import next_free
from ansible_collections.pgflex.migrate.plugins.module_utils._topology.facts import (
    DELEGATION,
    Endpoint,
    Facts,
    FirewallRule,
    Link,
    Network,
    NetworkRule,
    Peering,
    RuntimeWish,
    SecurityGroup,
    SecurityRule,
    Server,
    Subnet,
    Wishes,
    Zone,
    key,
    name_of,
)

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop-rg"
POSTGRES = f"{GROUP}/providers/Microsoft.DBforPostgreSQL"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET1, VNET2, VNET3 = (f"{NETWORK}/virtualNetworks/vnet{number}" for number in (1, 2, 3))
SOURCE_SUBNET, TARGET_SUBNET = f"{VNET1}/subnets/sourcesubnet", f"{VNET2}/subnets/targetsubnet"
SOURCE_ID, TARGET_ID = f"{POSTGRES}/servers/shop-old", f"{POSTGRES}/flexibleServers/shop-new"
DOMAIN = "postgres.database.azure.com"
LINK_ZONE = f"{NETWORK}/privateDnsZones/privatelink.{DOMAIN}"
OTHER_LINK_ZONE = LINK_ZONE.replace("shop-rg", "hub-rg")
TARGET_ZONE = f"{NETWORK}/privateDnsZones/shop-new.private.{DOMAIN}"
GROUP_ID = f"{NETWORK}/networkSecurityGroups/guard"
SOURCE_END, TARGET_END = f"{NETWORK}/privateEndpoints/shop-old-end", f"{NETWORK}/privateEndpoints/shop-new-end"
AZURE_SERVICES = FirewallRule("AllowAllAzureIps", "0.0.0.0", "0.0.0.0")
SQL = "Microsoft.Sql"

Change = Callable[[Facts], Facts]


# Pieces


def subnet(subnet_id: str, prefix: str, **more: Any) -> Subnet:
    return Subnet(subnet_id, (prefix,), **more)


def network(network_id: str, number: int, *subnets: Subnet, peers: tuple[str, ...] = (), **more: Any) -> Network:
    peerings = tuple(Peering(f"to-{name_of(peer)}", peer, remote_prefixes=(f"10.{peer[-1]}.0.0/16",)) for peer in peers)
    return Network(network_id, (f"10.{number}.0.0/16",), "westeurope", subnets=subnets, peerings=peerings, **more)


def mapped(*things: Any) -> dict[str, Any]:
    return {key(thing.id): thing for thing in things}


def public_source(**more: Any) -> Server:
    return Server(
        kind="single", name="shop-old", host=f"shop-old.{DOMAIN}", id=SOURCE_ID, tier="GeneralPurpose", **more
    )


def private_source(network_id: str = VNET1, **more: Any) -> Server:
    end = Endpoint(SOURCE_END, f"{network_id}/subnets/sourcesubnet", addresses=("10.1.1.4",), zone_ids=(LINK_ZONE,))
    return public_source(public=False, endpoints=(end,), **more)


def target(**more: Any) -> Server:
    return Server(kind="flexible", name="shop-new", host=f"shop-new.{DOMAIN}", id=TARGET_ID, **more)


def injected_target(network_id: str = VNET2) -> Server:
    return target(subnet_id=f"{network_id}/subnets/targetsubnet", zone_id=TARGET_ZONE, public=False)


def endpoint_target() -> Server:
    end = Endpoint(TARGET_END, f"{VNET2}/subnets/ends", addresses=("10.2.3.4",), zone_ids=(LINK_ZONE,))
    return target(public=False, endpoints=(end,))


def zone(zone_id: str, *networks: str, **records: str) -> Zone:
    links = tuple(Link(f"to-{name_of(text)}", text) for text in networks)
    named = {name.replace("_", "-"): (address,) for name, address in records.items()}
    return Zone(zone_id, links, named)


def source_subnet(network_id: str = VNET1, **more: Any) -> Subnet:
    return subnet(f"{network_id}/subnets/sourcesubnet", "10.1.1.0/24", used=1, **more)


def target_subnet(network_id: str = VNET2, prefix: str = "10.2.1.0/24", **more: Any) -> Subnet:
    return subnet(f"{network_id}/subnets/targetsubnet", prefix, delegations=(DELEGATION,), used=1, **more)


def runtime_subnet(network_id: str, number: int, **more: Any) -> Subnet:
    return subnet(
        f"{network_id}/subnets/pgflex-runtime", f"10.{number}.9.0/28", delegations=(DELEGATION,), used=1, **more
    )


def runtime_server(network_id: str) -> Server:
    return Server(
        kind="flexible",
        name="shop-runtime",
        host=f"shop-runtime.{DOMAIN}",
        id=f"{POSTGRES}/flexibleServers/shop-runtime",
        public=False,
        subnet_id=f"{network_id}/subnets/pgflex-runtime",
        zone_id=f"{NETWORK}/privateDnsZones/runtime.private.{DOMAIN}",
    )


CURRENT, CLASSIC = Wishes(), Wishes(classic=True)
WISH = RuntimeWish("shop-runtime", GROUP)


# Topologies with everything in place


def public_access(wishes: Wishes = CURRENT) -> Facts:
    return Facts(wishes, public_source(firewall=(AZURE_SERVICES,)), target(firewall=(AZURE_SERVICES,)))


def same_vnet(wishes: Wishes = CURRENT) -> Facts:
    return Facts(
        wishes,
        private_source(),
        injected_target(VNET1),
        networks=mapped(network(VNET1, 1, source_subnet(), target_subnet(VNET1, "10.1.2.0/24"))),
        zones=mapped(zone(LINK_ZONE, VNET1, shop_old="10.1.1.4"), zone(TARGET_ZONE, VNET1)),
    )


def different_vnets(wishes: Wishes = CURRENT) -> Facts:
    return Facts(
        wishes,
        private_source(),
        injected_target(),
        networks=mapped(
            network(VNET1, 1, source_subnet(), peers=(VNET2,)), network(VNET2, 2, target_subnet(), peers=(VNET1,))
        ),
        zones=mapped(zone(LINK_ZONE, VNET1, VNET2, shop_old="10.1.1.4"), zone(TARGET_ZONE, VNET1, VNET2)),
    )


def service_endpoint(wishes: Wishes = CURRENT) -> Facts:
    work = subnet(f"{VNET2}/subnets/work", "10.2.2.0/24", service_endpoints=(SQL,))
    rules = (NetworkRule("work", work.id), NetworkRule("target", TARGET_SUBNET))
    return Facts(
        wishes,
        public_source(network_rules=rules),
        injected_target(),
        networks=mapped(network(VNET2, 2, target_subnet(service_endpoints=(SQL,)), work)),
        zones=mapped(zone(TARGET_ZONE, VNET2)),
    )


def private_to_public(wishes: Wishes = CURRENT) -> Facts:
    runtime = None if wishes.classic else runtime_server(VNET1)
    return Facts(
        wishes,
        private_source(),
        target(firewall=(AZURE_SERVICES,)),
        runtime,
        networks=mapped(network(VNET1, 1, source_subnet(), runtime_subnet(VNET1, 1))),
        zones=mapped(zone(LINK_ZONE, VNET1, shop_old="10.1.1.4")),
    )


def third_vnet(wishes: Wishes = CURRENT) -> Facts:
    runtime = None if wishes.classic else runtime_server(VNET3)
    work = subnet(f"{VNET3}/subnets/work", "10.3.1.0/24")
    return Facts(
        replace(wishes, network_id=VNET3 if wishes.classic else None),
        private_source(),
        injected_target(),
        runtime,
        networks=mapped(
            network(VNET1, 1, source_subnet(), peers=(VNET3,)),
            network(VNET2, 2, target_subnet(), peers=(VNET3,)),
            network(VNET3, 3, work, runtime_subnet(VNET3, 3), peers=(VNET1, VNET2)),
        ),
        zones=mapped(zone(LINK_ZONE, VNET1, VNET3, shop_old="10.1.1.4"), zone(TARGET_ZONE, VNET2, VNET3)),
    )


def by_runtime(wishes: Wishes = CURRENT) -> Facts:
    ends = subnet(f"{VNET2}/subnets/ends", "10.2.3.0/24", used=1)
    return Facts(
        wishes,
        private_source(),
        endpoint_target(),
        runtime_server(VNET2),
        networks=mapped(
            network(VNET1, 1, source_subnet(), peers=(VNET2,)),
            network(VNET2, 2, ends, runtime_subnet(VNET2, 2), peers=(VNET1,)),
        ),
        zones=mapped(zone(LINK_ZONE, VNET1, VNET2, shop_old="10.1.1.4", shop_new="10.2.3.4")),
    )


def to_make(network_id: str | None = None, **more: Any) -> Change:
    """A runtime server that is to be made, instead of the one that is there; with its subnet and zone in place."""

    def change(facts: Facts) -> Facts:
        wish = replace(WISH, network_id=network_id, **more)
        zones = dict(facts.zones)
        own = zone(f"{NETWORK}/privateDnsZones/pgflex-runtime.private.{DOMAIN}", network_id or VNET1)
        zones[key(own.id)] = own
        return replace(facts, runtime=None, wishes=replace(facts.wishes, runtime=wish), zones=zones)

    return change


def outside(**more: Any) -> Server:
    return Server(kind="outside", name="legacy", host="192.168.7.4", **more)


def onprem_public(wishes: Wishes = CURRENT) -> Facts:
    return Facts(wishes, outside(), target())


def onprem_public_to_private(wishes: Wishes = CURRENT) -> Facts:
    return replace(onprem_vpn(wishes), source=outside())


def onprem_vpn(wishes: Wishes = CURRENT) -> Facts:
    return Facts(
        wishes,
        outside(public=False, route="vpn"),
        injected_target(),
        networks=mapped(network(VNET2, 2, target_subnet())),
        zones=mapped(zone(TARGET_ZONE, VNET2)),
    )


def onprem_machine(wishes: Wishes = CURRENT) -> Facts:
    machine = replace(outside(public=False, route="peering", virtual_network_id=VNET1), host="10.1.7.4")
    machines = subnet(f"{VNET1}/subnets/machines", "10.1.7.0/24", used=1)
    return Facts(
        wishes,
        machine,
        injected_target(),
        networks=mapped(
            network(VNET1, 1, machines, peers=(VNET2,)), network(VNET2, 2, target_subnet(), peers=(VNET1,))
        ),
        zones=mapped(zone(TARGET_ZONE, VNET2)),
    )


# Taking pieces away


def with_network(network_id: str, **more: Any) -> Change:
    def change(facts: Facts) -> Facts:
        return put_network(facts, replace(facts.network(network_id), **more))

    return change


def put_network(facts: Facts, changed: Network) -> Facts:
    return replace(facts, networks={**facts.networks, key(changed.id): changed})


def with_subnet(subnet_id: str, **more: Any) -> Change:
    def change(facts: Facts) -> Facts:
        home = next(row for row in facts.networks.values() if any(key(one.id) == key(subnet_id) for one in row.subnets))
        rows = tuple(replace(row, **more) if key(row.id) == key(subnet_id) else row for row in home.subnets)
        return put_network(facts, replace(home, subnets=rows))

    return change


def without_subnet(name: str) -> Change:
    def change(facts: Facts) -> Facts:
        for home in facts.networks.values():
            facts = put_network(facts, replace(home, subnets=tuple(row for row in home.subnets if row.name != name)))
        return facts

    return change


def with_peering(network_id: str, remote_id: str, **more: Any) -> Change:
    def change(facts: Facts) -> Facts:
        home = facts.network(network_id)
        rows = tuple(replace(row, **more) if key(row.remote_id) == key(remote_id) else row for row in home.peerings)
        return put_network(facts, replace(home, peerings=rows))

    return change


def without_peering(network_id: str, remote_id: str) -> Change:
    def change(facts: Facts) -> Facts:
        home = facts.network(network_id)
        rows = tuple(row for row in home.peerings if key(row.remote_id) != key(remote_id))
        return put_network(facts, replace(home, peerings=rows))

    return change


def unpeered(one: str, other: str) -> Change:
    return both(without_peering(one, other), without_peering(other, one))


def without_link(zone_id: str, network_id: str) -> Change:
    def change(facts: Facts) -> Facts:
        found = facts.zone(zone_id)
        links = tuple(link for link in found.links if key(link.network_id) != key(network_id))
        return with_zone(zone_id, links=links)(facts)

    return change


def with_zone(zone_id: str, **more: Any) -> Change:
    def change(facts: Facts) -> Facts:
        return replace(facts, zones={**facts.zones, key(zone_id): replace(facts.zone(zone_id), **more)})

    return change


def without_zone(zone_id: str) -> Change:
    return lambda facts: replace(facts, zones={name: row for name, row in facts.zones.items() if name != key(zone_id)})


def with_source(**more: Any) -> Change:
    return lambda facts: replace(facts, source=replace(facts.source, **more))


def with_target(**more: Any) -> Change:
    return lambda facts: replace(facts, target=replace(facts.target, **more))


def wishing(**more: Any) -> Change:
    return lambda facts: replace(facts, wishes=replace(facts.wishes, **more))


def source_end(**more: Any) -> Change:
    return lambda facts: with_source(endpoints=(replace(facts.source.endpoints[0], **more),))(facts)


def target_end(**more: Any) -> Change:
    return lambda facts: with_target(endpoints=(replace(facts.target.endpoints[0], **more),))(facts)


def deny(priority: int = 100, **more: Any) -> SecurityRule:
    given: dict[str, Any] = {
        "name": "no-postgres",
        "inbound": False,
        "allows": False,
        "protocol": "Tcp",
        "sources": ("*",),
        "source_ports": ("*",),
        "destinations": ("*",),
        "ports": ("5432",),
    }
    return SecurityRule(priority=priority, **{**given, **more})


def guarded(subnet_id: str, *rules: SecurityRule, **more: Any) -> Change:
    def change(facts: Facts) -> Facts:
        facts = replace(facts, groups=mapped(SecurityGroup(GROUP_ID, rules)))
        return with_subnet(subnet_id, security_group_id=GROUP_ID, **more)(facts)

    return change


def both(*changes: Change) -> Change:
    def change(facts: Facts) -> Facts:
        for one in changes:
            facts = one(facts)
        return facts

    return change


# Applying a plan


def applied(facts: Facts, plan: dict[str, Any]) -> Facts:
    """The facts as they are when the modules have done what the plan asks."""
    for row in plan["subnets"]:
        facts = _make_subnet(facts, row)
    for row in plan["private_dns_zones"]:
        made = Zone(
            f"/subscriptions/{row['subscription_id']}/resourceGroups/{row['resource_group']}"
            f"/providers/Microsoft.Network/privateDnsZones/{row['name']}",
            made=True,
        )
        facts = replace(facts, zones={**facts.zones, key(made.id): made})
    for row in plan["private_dns_zone_links"]:
        links = tuple(Link(f"pgflex-{name_of(text)}", text, True) for text in row["virtual_network_ids"])
        facts = with_zone(row["zone_id"], links=facts.zone(row["zone_id"]).links + links)(facts)
    for row in plan["peerings"]:
        ends = row["virtual_network_id"], row["remote_virtual_network_id"]
        for one, other in (ends, ends[::-1]):
            facts = without_peering(one, other)(facts)
            home = facts.network(one)
            made_peering = Peering(f"pgflex-{name_of(other)}", other, remote_prefixes=facts.network(other).prefixes)
            facts = put_network(facts, replace(home, peerings=(*home.peerings, made_peering)))
    for row in plan["virtual_network_rules"]:
        assert row["server_name"] == "shop-old"
        rules = tuple(NetworkRule(rule["name"], rule["subnet_id"]) for rule in row["rules"])
        facts = with_source(network_rules=facts.source.network_rules + rules)(facts)
    for row in plan["firewall_rules"]:
        facts = _open(facts, row)
    return replace(
        facts, roles=facts.roles | {key(text) for text in plan["scopes"]} if facts.roles is not None else None
    )


def with_runtime(facts: Facts, row: dict[str, Any] | None) -> Facts:
    """The facts when the runtime server of an answer has been made."""
    if row is None:
        return facts
    more = {"subnet_id": row["subnet_id"], "zone_id": row["private_dns_zone_id"], "name": row["name"]}
    return replace(facts, runtime=replace(runtime_server(VNET1), **more))


def _make_subnet(facts: Facts, row: dict[str, Any]) -> Facts:
    home = facts.network(row["virtual_network_id"])
    there = home.subnet(row["name"])
    endpoints = tuple(row["service_endpoints"])
    if there:
        # The module refuses a subnet that is not delegated as it is asked for.
        assert list(there.delegations) == ([row["delegation"]] if row["delegation"] else [])
        return with_subnet(there.id, service_endpoints=there.service_endpoints + endpoints)(facts)
    taken = [block for one in home.subnets for block in one.prefixes]
    prefix = row["address_prefix"] or next_free(home.prefixes, taken, 27)
    delegations = (row["delegation"],) if row["delegation"] else ()
    made = Subnet(f"{home.id}/subnets/{row['name']}", (prefix,), delegations, endpoints)
    return put_network(facts, replace(home, subnets=(*home.subnets, made)))


def _open(facts: Facts, row: dict[str, Any]) -> Facts:
    rules = tuple(FirewallRule(one["name"], one["start_ip_address"], one["end_ip_address"]) for one in row["rules"])
    if row["server_name"] == "shop-old":
        return with_source(firewall=facts.source.firewall + rules)(facts)
    return with_target(firewall=facts.target.firewall + rules)(facts)
