# SPDX-License-Identifier: GPL-3.0-or-later
"""Every topology's playbook, online and offline, twice: the rows arrive, the second run changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import topologies
from arm import Arm
from plays import Player
from topologies import Build, Built, Site

from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab

Way = dict[str, Any]
CURRENT_ONLINE: Way = {"mode": "online"}
CURRENT_OFFLINE: Way = {"mode": "offline"}
CLASSIC_ONLINE: Way = {"mode": "online", "generation": "classic"}
CLASSIC_OFFLINE: Way = {"mode": "offline", "generation": "classic"}
NO_RUNTIME: Way = {"runtime_server": {"name": None}}
KEPT_RUNTIME: Way = {"runtime_server": {"delete": False}}
OWN_NAMES: Way = {"source": {"fqdn": "old.corp.example"}, "target": {"fqdn": "new.corp.example"}}
FORWARDING: Way = {"network": {"dns_forwarding": True}}
Change = Callable[[Built], Any]


@dataclass(frozen=True)
class Pair:
    """What is built, how it is migrated, and what is done to its networks before."""

    build: Build
    way: Way
    changes: tuple[Change, ...] = ()


def gone(part: str) -> Change:
    return lambda built: built.site.arm.delete(built.parts[part])


def unlinked(zone: str, vnet: str) -> Change:
    return lambda built: built.site.arm.delete(built.site.link_id(built.parts[zone], built.parts[vnet]))


def unpeered(here: str, there: str) -> Change:
    def change(built: Built) -> None:
        one, other = built.parts[here], built.parts[there]
        for ends in ((one, other), (other, one)):
            built.site.arm.delete(built.site.peering(*ends))

    return change


def beside(built: Built) -> None:
    """What looks like the migration's: a half of a peering, and another link of the zone."""
    site, vnet = built.site, built.parts["vnet2"]
    aside = site.vnet("aside", "10.77.0.0/16")
    properties = {"remoteVirtualNetwork": {"id": aside}, "allowVirtualNetworkAccess": True}
    site.arm.put(f"{vnet}/virtualNetworkPeerings/mine", {"properties": properties})
    site.link(built.parts["source_zone"], aside)


def asks(address: str, **dns: Any) -> Change:
    """The target's network asks a DNS server of the user's own."""

    def change(built: Built) -> None:
        built.site.arm.change(built.parts["vnet2"], dhcpOptions={"dnsServers": [address]})
        names = {"old.corp.example": built.source.name, "new.corp.example": built.target.name}
        built.site.arm.lab.admin("POST", "dns_servers", {"address": address, "records": names, **dns})

    return change


# Playbook -> two pairs: each mode, each generation that the guides have for it. In most a piece is missing, so that
# there is something to make and to take away again.
PLAYBOOKS: dict[str, tuple[Pair, Pair]] = {
    "public_access": (
        Pair(topologies.public_access, CLASSIC_ONLINE),
        Pair(topologies.public_access, CURRENT_OFFLINE, (gone("rule"),)),
    ),
    "private_same_vnet": (
        Pair(topologies.private_same_vnet, CLASSIC_ONLINE, (unlinked("source_zone", "vnet"),)),
        Pair(topologies.private_same_vnet, CURRENT_OFFLINE, (unlinked("source_zone", "vnet"),)),
    ),
    "private_different_vnets": (
        Pair(topologies.private_different_vnets, CURRENT_ONLINE, (unpeered("vnet1", "vnet2"), beside)),
        Pair(
            topologies.private_different_vnets,
            CLASSIC_OFFLINE,
            (unpeered("vnet1", "vnet2"), unlinked("target_zone", "vnet1"), beside),
        ),
    ),
    "service_endpoint_private_target": (
        Pair(topologies.service_endpoint_private_target, CURRENT_ONLINE, (gone("target_rule"),)),
        Pair(topologies.service_endpoint_private_target, CLASSIC_OFFLINE, (gone("source_rule"), gone("source_subnet"))),
    ),
    "private_source_public_target": (
        Pair(topologies.private_source_public_target, {**CLASSIC_ONLINE, **NO_RUNTIME}),
        Pair(topologies.private_source_public_target, {**CURRENT_OFFLINE, **KEPT_RUNTIME}),
    ),
    "third_vnet": (
        Pair(topologies.third_vnet, CLASSIC_OFFLINE, (unpeered("vnet3", "vnet1"), gone("work"))),
        Pair(topologies.third_vnet, CURRENT_ONLINE, (unlinked("target_zone", "vnet3"),)),
    ),
    "runtime_server": (
        Pair(topologies.runtime_server, CURRENT_ONLINE, (unpeered("vnet1", "vnet2"),)),
        Pair(topologies.runtime_server, CURRENT_OFFLINE),
    ),
    "onprem_public": (
        Pair(topologies.onprem_public, CURRENT_ONLINE),
        Pair(topologies.onprem_public_private_target, CURRENT_OFFLINE),
    ),
    "onprem_private": (
        Pair(topologies.onprem_vpn, CURRENT_ONLINE),
        Pair(topologies.onprem_machine, CURRENT_OFFLINE, (unpeered("vnet1", "vnet2"),)),
    ),
    # It chooses; with DNS servers of the user's own.
    "migrate": (
        Pair(topologies.private_different_vnets, {**CURRENT_ONLINE, **OWN_NAMES}, (asks("10.2.9.4"),)),
        Pair(
            topologies.private_different_vnets,
            {**CURRENT_OFFLINE, **FORWARDING},
            (asks("10.2.9.5", forwards=True), unlinked("source_zone", "vnet2")),
        ),
    ),
}
# Where what is missing has other missing things in it.
FORETOLD = ("service_endpoint_private_target", "third_vnet", "runtime_server")


@pytest.fixture(scope="module")
def lab() -> Iterator[Running]:
    """One lab for this file: it fills with servers that nobody else has to look at.

    A server that is deleted holds its subnet until after the first try to remove that.
    """
    with running_lab(association_seconds=3600.0) as running:
        yield running


@pytest.fixture
def player(lab: Running, tmp_path: Any) -> Player:
    player = Player(lab, tmp_path)
    player.writes()
    return player


def arrived(built: Built) -> None:
    with built.target.connect("shop") as connection:
        assert connection.execute("SELECT count(*), sum(n) FROM line").fetchone() == (500, 125250)
        assert connection.execute("SELECT nextval('ticket')").fetchone() == (1000,)


def third(built: Built, way: Way) -> Way:
    """Where the third network is named: for the classic service itself, for the current one by its runtime server."""
    if way.get("generation") == "classic":
        return {"migration_vnet_id": built.parts["vnet3"]}
    return {"runtime_server": {"name": f"{built.site.name}-runtime", "virtual_network_id": built.parts["vnet3"]}}


def things(built: Built) -> set[str]:
    """The ids of all that a migration could have made around the pair."""
    arm, group = built.site.arm, built.site.group
    found: list[dict[str, Any]] = []
    for vnet in arm.get(f"{group}/providers/Microsoft.Network/virtualNetworks")["value"]:
        found += [vnet, *vnet["properties"]["subnets"], *vnet["properties"]["virtualNetworkPeerings"]]
    for zone in arm.get(f"{group}/providers/Microsoft.Network/privateDnsZones")["value"]:
        found += [zone, *arm.get(f"{zone['id']}/virtualNetworkLinks")["value"]]
    for kind, rules in (("servers", ("firewallRules", "virtualNetworkRules")), ("flexibleServers", ("firewallRules",))):
        for server in arm.get(f"{group}/providers/Microsoft.DBforPostgreSQL/{kind}")["value"]:
            found += [server, *(row for name in rules for row in arm.get(f"{server['id']}/{name}")["value"])]
    return {str(row["id"]).lower() for row in found}


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_migrates_online_and_offline_leaves_no_trace_and_a_second_run_changes_nothing(
    playbook: str, lab: Running, player: Player
) -> None:
    pairs = PLAYBOOKS[playbook]
    built = [pair.build(Site(Arm(lab), f"{playbook.replace('_', '')[:24]}{n}")) for n, pair in enumerate(pairs, 1)]
    hosts = {}
    for one, pair in zip(built, pairs, strict=True):
        for change in pair.changes:
            change(one)
        settings = one.host(**pair.way, **(third(one, pair.way) if playbook == "third_vnet" else {}))
        settings["network"] = {**settings.get("network", {}), "remove": True}
        # One application for both, so that neither takes it away from the other.
        hosts[one.site.name] = {**settings, "app": {"name": f"pgflex-{playbook}"}}
    before = [things(one) for one in built]
    player.writes()
    if playbook in FORETOLD:
        foretold = player.play(playbook, hosts, "--check", "--diff")
        assert foretold.code == 0, foretold.output
        assert "Make the subnet" in foretold.output and player.writes() == []
    first = player.play(playbook, hosts)
    assert first.code == 0, first.output
    for one, there, settings in zip(built, before, hosts.values(), strict=True):
        arrived(one)
        runtime = settings.get("runtime_server", {})
        # A runtime server that is kept keeps its subnet, its zone and the link of that.
        left = {thing for thing in things(one) if thing not in there}
        assert there <= things(one) and len(left) == (4 if runtime.get("delete") is False else 0)
        assert all("runtime" in thing for thing in left)
    player.writes()
    second = player.play(playbook, hosts)
    assert second.code == 0, second.output
    assert {host: second.recap(host)["changed"] for host in hosts} == dict.fromkeys(hosts, 0), second.output
    assert player.writes() == []


@dataclass
class Guest(Site):
    """A site whose servers are in another one's resource group."""

    host: Site | None = None

    @property
    def group(self) -> str:  # type: ignore[override]
        assert self.host is not None
        return self.host.group


def rights(built: Built, part: str) -> list[str]:
    """The roles that somebody has been given at just this thing."""
    scope = built.parts[part]
    rows = built.site.arm.get(f"{scope}/providers/Microsoft.Authorization/roleAssignments")["value"]
    return [row["id"] for row in rows if row["properties"]["scope"].lower() == scope.lower()]


def test_what_hosts_share_goes_with_the_last_of_their_migrations(lab: Running, player: Player) -> None:
    site = Site(Arm(lab), "together")
    one = topologies.private_different_vnets(site)
    unpeered("vnet1", "vnet2")(one)
    guest = Guest(site.arm, "guest", host=site)
    source = guest.single(public=False)
    guest.endpoint(guest.server_id(source), one.parts["source_subnet"], one.parts["source_zone"])
    network = {"subnet": one.parts["target_subnet"], "zone": one.parts["target_zone"]}
    two = topologies.filled(Built(guest, source, guest.flexible(network=network), one.parts))
    way = {
        **CLASSIC_ONLINE,
        "cutover": {"trigger": "manual"},
        "network": {"remove": True},
        "app": {"name": "pgflex-both"},
    }
    hosts = {"one": one.host(**way), "two": two.host(**way)}
    before = things(one)

    def run(playbook: str, limit: str) -> str:
        done = player.play(playbook, hosts, "--limit", limit)
        assert done.code == 0, done.output
        return " ".join(done.output.split())

    run("migrate", "one")
    player.writes()
    run("migrate", "two")
    # The first migration works with the older secret still.
    written = [write.rsplit("/", maxsplit=1)[-1] for write in player.writes()]
    assert "addPassword" in written and "removePassword" not in written
    made = things(one)
    told = run("cutover", "one")
    assert "The application pgflex-both is left, as two still migrates with it." in told
    assert "Left, as two still migrates and may need it: pgflex-" in told
    assert things(one) == made and made > before
    run("cancel", "two")
    assert things(one) == before
    assert len(rights(one, "vnet1")) == 1
    run("cutover", "one")
    assert rights(one, "vnet1") == []
    arrived(one)
