# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom: every topology whole, and with each of its pieces taken away. No clusters, no HTTP."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pgflex_lab import seed
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.lab import Lab
from pgflex_lab.seed_networks import InvalidSeed
from pgflex_lab.settings import Settings
from pgflex_lab.tls import Authority
from small_networks import (
    AZURE,
    FILTERED,
    HOST,
    IN,
    LINKED,
    OUT,
    OWN,
    PRIVATE,
    PRIVATE_HOST,
    SUBSCRIPTION,
    World,
    connection,
    custom,
    custom_classic,
    filled,
    gone,
    link,
    machine,
    named_by_own_dns,
    network,
    no_record_of_target,
    outside,
    over_the_hub,
    peering,
    private,
    properties,
    public,
    redirected,
    rules,
    runtime,
    server,
    service_endpoint,
    settings,
    shut,
    stale,
    to_public,
    together,
    vnet,
    wall,
    without_service,
)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="pgl-", dir="/var/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def authority(home: Path) -> Authority:
    return Authority(home, home / "ca.pem")


@pytest.fixture
def world(home: Path, authority: Authority) -> Iterator[World]:
    lab = Lab(Settings(home=home, time_scale=6000.0), authority)
    lab.servers.make_cluster = lambda server, password: SimpleNamespace(hostaddr="127.0.0.9")  # type: ignore
    lab.subscriptions.add(SUBSCRIPTION, "lab")
    lab.resource_groups.add(SUBSCRIPTION, "rg", "eastus")
    for namespace in ("Microsoft.Network", "Microsoft.DBforPostgreSQL"):
        lab.providers.seed(SUBSCRIPTION, namespace)
    yield World(lab)
    lab.close()


SAME_CURRENT = private(ends="b", links=("b",))
SAME_CLASSIC = private(subnet="b/ends", ends="b", links=("b",))
OTHER_CURRENT = private()
FROM_SOURCE = private(subnet="a/ends")
FROM_TARGET = private(subnet="b/work")
THIRD = private(subnet="c/work", links=("a", "b", "c"))
EVERYBODY = {"all": ["0.0.0.0", "255.255.255.255"]}

Change = Callable[[World], None]
TABLE: dict[str, tuple[Change, Change | None, str | None]] = {
    # public access
    "public": (public(), None, None),
    "public, source shut": (public(), rules("src", {}), "'src' has no rule for 203.0.113.3, the address of target"),
    "public, source open to the target": (public(), rules("src", {"t": ["203.0.113.1", "203.0.113.3"]}), None),
    "public, source open to another": (public(), rules("src", {"t": ["203.0.113.9", "203.0.113.9"]}), "0.0.0.0"),
    "public, source closed": (
        public(),
        properties("src", publicNetworkAccess="Disabled"),
        "Server 'src' does not allow public network access. It has no private endpoint.",
    ),
    "public, target closed": (
        public(),
        properties("tgt", network={"publicNetworkAccess": "Disabled"}),
        "'tgt' does not allow public network access and is not in a virtual network of its own, so nothing can migrate "
        "from it: a migration runtime server is needed",
    ),
    "classic public opens the firewalls": (public(classic=True), None, None),
    "classic public, source closed": (
        public(classic=True),
        properties("src", publicNetworkAccess="Disabled"),
        "'src' does not allow public network access",
    ),
    "classic public, target closed": (
        public(classic=True),
        properties("tgt", network={"publicNetworkAccess": "Disabled"}),
        "'tgt' does not allow public network access",
    ),
    # private, same network
    "same": (SAME_CURRENT, None, None),
    "same, endpoint gone": (SAME_CURRENT, gone("privateEndpoints/pe"), "'src' does not allow public network access"),
    "same, endpoint pending": (SAME_CURRENT, connection("Pending"), "'pe' is not approved but 'Pending'"),
    "same, endpoint rejected": (SAME_CURRENT, connection("Rejected"), "'pe' is not approved but 'Rejected'"),
    "same, link gone": (SAME_CURRENT, gone(link(LINKED, "b")), f"'{LINKED}' is not linked to virtual network 'b'"),
    "same, record gone": (SAME_CURRENT, gone(f"privateDnsZones/{LINKED}/A/src"), "has no record of server 'src'"),
    "same, record redirected": (SAME_CURRENT, redirected, "has no record of it"),
    "same, record stale": (SAME_CURRENT, stale, "leads to 10.1.0.77"),
    "same, public as well": (
        SAME_CURRENT,
        together(properties("src", publicNetworkAccess="Enabled"), gone(link(LINKED, "b")), rules("src", AZURE)),
        None,
    ),
    "same, outbound denied": (SAME_CURRENT, wall("b/pg", OUT), "rule 'out' of network security group 'wall'"),
    "same, other port denied": (SAME_CURRENT, wall("b/pg", {**OUT, "port": "5433"}), None),
    "same, udp denied": (SAME_CURRENT, wall("b/pg", {**OUT, "protocol": "Udp"}), None),
    "same, other destination denied": (SAME_CURRENT, wall("b/pg", {**OUT, "destination": "10.2.0.128/25"}), None),
    "same, internet denied": (SAME_CURRENT, wall("b/pg", {**OUT, "destination": "Internet"}), None),
    "same, networks denied": (SAME_CURRENT, wall("b/pg", {**OUT, "destination": "VirtualNetwork"}), "rule 'out'"),
    "same, allowed before denied": (
        SAME_CURRENT,
        wall("b/pg", {**OUT, "priority": 200}, {**OUT, "name": "first", "priority": 110, "access": "Allow"}),
        None,
    ),
    "same, endpoint ignores inbound": (SAME_CURRENT, wall("b/ends", IN), None),
    "same, endpoint heeds inbound": (SAME_CURRENT, wall("b/ends", IN, **FILTERED), "rule 'in'"),
    "same, classic": (SAME_CLASSIC, None, None),
    "same, classic without subnet": (SAME_CLASSIC, settings(subnet=None), "the migration needs a subnet"),
    "same, classic subnet missing": (
        SAME_CLASSIC,
        settings(subnet="b/no"),
        "subnet 'no' of virtual network 'b'",
    ),
    "same, classic subnet delegated": (SAME_CLASSIC, settings(subnet="b/pg"), "is delegated to Microsoft.DB"),
    "same, classic subnet full": (
        SAME_CLASSIC,
        together(settings(subnet="b/work"), filled("b/work", 3)),
        "'work' of virtual network 'b' has no free address",
    ),
    "same, classic other subnet": (SAME_CLASSIC, settings(subnet="b/work"), None),
    "same, classic target denies": (
        SAME_CLASSIC,
        wall("b/pg", IN),
        "port 5432 of server 'tgt', is denied by rule 'in'",
    ),
    "same, classic target's zone unlinked": (SAME_CLASSIC, gone(link(OWN, "b")), f"'{OWN}' of server 'tgt' is not"),
    "same, classic target's record gone": (SAME_CLASSIC, no_record_of_target, "has no record of server 'tgt'"),
    "same, unlinked far network": (SAME_CLASSIC, settings(subnet="far/work"), "network 'far'"),
    # private, different networks
    "different": (OTHER_CURRENT, None, None),
    "different, one side's peering gone": (OTHER_CURRENT, gone(peering("b", "a")), "'b' has no peering with 'a'"),
    "different, other side's peering gone": (
        OTHER_CURRENT,
        gone(peering("a", "b")),
        "not Connected but 'Disconnected'",
    ),
    "different, no peering": (
        OTHER_CURRENT,
        together(gone(peering("a", "b")), gone(peering("b", "a"))),
        "Server 'src' is in virtual network 'a', and 'b' has no peering with 'a'",
    ),
    "different, peering shut here": (OTHER_CURRENT, shut("b", "a"), "'b-to-a' of 'b' does not allow"),
    "different, peering shut there": (OTHER_CURRENT, shut("a", "b"), "'a-to-b' of 'a' does not allow"),
    "different, the peer's link does not help": (
        OTHER_CURRENT,
        gone(link(LINKED, "b")),
        "not linked to virtual network 'b'",
    ),
    "different, the other link is not needed": (OTHER_CURRENT, gone(link(LINKED, "a")), None),
    "different, classic from the source": (FROM_SOURCE, None, None),
    "different, classic, target's zone unlinked": (
        FROM_SOURCE,
        gone(link(OWN, "a")),
        f"'{OWN}' of server 'tgt' is not",
    ),
    "different, classic, peering gone": (
        FROM_SOURCE,
        gone(peering("a", "b")),
        "Server 'tgt' is in virtual network 'b'",
    ),
    "different, classic, source unlinked": (FROM_SOURCE, gone(link(LINKED, "a")), "not linked to virtual network 'a'"),
    "different, classic from the target": (FROM_TARGET, None, None),
    "different, classic from the target, unlinked": (FROM_TARGET, gone(link(LINKED, "b")), "virtual network 'b'"),
    "different, classic from the target, peering": (FROM_TARGET, gone(peering("b", "a")), "Server 'src' is in"),
    "different, classic outbound denied": (FROM_SOURCE, wall("a/ends", OUT), "subnet 'ends' of virtual network 'a'"),
    # a third network
    "third": (THIRD, None, None),
    "third, no peering with the source": (THIRD, gone(peering("c", "a")), "'c' has no peering with 'a'"),
    "third, no peering with the target": (THIRD, gone(peering("c", "b")), "'c' has no peering with 'b'"),
    "third, source's zone unlinked": (
        THIRD,
        gone(link(LINKED, "c")),
        f"'{LINKED}' is not linked to virtual network 'c'",
    ),
    "third, target's zone unlinked": (THIRD, gone(link(OWN, "c")), f"'{OWN}' of server 'tgt' is not linked"),
    "third, peering of the others is not needed": (THIRD, gone(peering("a", "b")), None),
    # service endpoint
    "service endpoint": (service_endpoint(), None, None),
    "service endpoint, rule gone": (
        service_endpoint(),
        gone("servers/src/virtualNetworkRules/rule"),
        "'src' does not admit Azure services (0.0.0.0), and it has no virtual network rule for subnet 'pg'",
    ),
    "service endpoint, endpoint gone": (service_endpoint(), without_service("b/pg"), "has no service endpoint"),
    "service endpoint, Azure's services": (
        service_endpoint(),
        together(gone("servers/src/virtualNetworkRules/rule"), rules("src", AZURE)),
        None,
    ),
    "service endpoint, an address does not help": (
        service_endpoint(),
        together(gone("servers/src/virtualNetworkRules/rule"), rules("src", {"x": ["203.0.113.1", "203.0.113.254"]})),
        "no virtual network rule",
    ),
    "service endpoint, internet denied": (
        service_endpoint(),
        wall("b/pg", {**OUT, "destination": "Sql"}),
        "rule 'out'",
    ),
    "service endpoint, source closed": (
        service_endpoint(),
        properties("src", publicNetworkAccess="Disabled"),
        "'src' does not allow public network access",
    ),
    "service endpoint, classic": (service_endpoint("b/sql"), None, None),
    "service endpoint, classic, rule gone": (
        service_endpoint("b/sql"),
        gone("servers/src/virtualNetworkRules/rule"),
        "no virtual network rule for subnet 'sql' of virtual network 'b'",
    ),
    "service endpoint, classic, endpoint gone": (service_endpoint("b/sql"), without_service("b/sql"), None),
    # private source, public target
    "to public, classic": (to_public("a/ends"), None, None),
    "to public, classic without subnet": (to_public("a/ends"), settings(subnet=None), "needs a subnet"),
    "to public, classic, target closed": (
        to_public("a/ends"),
        properties("tgt", network={"publicNetworkAccess": "Disabled"}),
        "'tgt' does not allow public network access",
    ),
    "to public, classic, zone unlinked": (to_public("a/ends"), gone(link(LINKED, "a")), "'a'"),
    "to public, current": (to_public(None), None, "a migration runtime server is needed"),
    # runtime server
    "runtime": (runtime, None, None),
    "runtime, not used": (runtime, settings(runtime=None), "a migration runtime server is needed"),
    "runtime, missing": (runtime, settings(runtime="none"), "'none' does not exist"),
    "runtime, not in a network": (runtime, settings(runtime="tgt"), "'tgt' is not in a virtual network"),
    "runtime, stopped": (runtime, properties("run", state="Stopped"), "its state is 'Stopped'"),
    "runtime, peering with the source": (runtime, gone(peering("c", "a")), "Server 'src' is in virtual network 'a'"),
    "runtime, peering with the target": (runtime, gone(peering("b", "c")), "Server 'tgt' is in virtual network 'b'"),
    "runtime, unlinked": (runtime, gone(link(LINKED, "c")), f"'{LINKED}' is not linked to virtual network 'c'"),
    "runtime, source's record": (runtime, gone(f"privateDnsZones/{LINKED}/A/src"), "no record of server 'src'"),
    "runtime, target's record": (runtime, gone(f"privateDnsZones/{LINKED}/A/tgt"), "no record of server 'tgt'"),
    "runtime, target's endpoint": (runtime, gone("privateEndpoints/pe-tgt"), "'tgt' does not allow public network"),
    # outside Azure
    "outside, public": (outside(HOST, firewall_rules=EVERYBODY), None, None),
    "outside, public, not admitted": (outside(HOST), None, "pg_hba.conf of server 'src' does not admit 203.0.113.3"),
    "outside, public, Azure's services are no address": (outside(HOST, firewall_rules=AZURE), None, "pg_hba.conf"),
    "outside, public, one address": (
        outside(HOST, firewall_rules={"t": ["203.0.113.2", "203.0.113.3"]}),
        None,
        None,
    ),
    "outside, public, internet denied": (
        outside(HOST, firewall_rules=EVERYBODY),
        wall("b/pg", {**OUT, "destination": "Internet"}),
        "rule 'out'",
    ),
    "outside, unknown": (outside("nowhere.example"), None, "'nowhere.example' with port 5432 could not be resolved"),
    "outside, private by address": (outside(PRIVATE, **PRIVATE_HOST), None, None),
    "outside, private, no route": (
        outside(PRIVATE, **PRIVATE_HOST),
        properties("src", routes=[]),
        "no route from virtual network 'b' to server 'src'",
    ),
    "outside, private, route elsewhere": (outside(PRIVATE, private_address=PRIVATE, routes=["hub"]), None, "no route"),
    "outside, private, gateway of a peer": (
        outside(PRIVATE, **PRIVATE_HOST),
        over_the_hub(use=True, transit=True),
        None,
    ),
    "outside, private, peer's gateway not used": (
        outside(PRIVATE, **PRIVATE_HOST),
        over_the_hub(use=False, transit=True),
        "no route",
    ),
    "outside, private, peer's gateway not shared": (
        outside(PRIVATE, **PRIVATE_HOST),
        over_the_hub(use=True, transit=False),
        "no route",
    ),
    "outside, private by name": (outside(HOST, **PRIVATE_HOST), None, f"'{HOST}' of server 'src' is not resolved"),
    "outside, private, denied": (outside(PRIVATE, **PRIVATE_HOST), wall("b/pg", OUT), "rule 'out'"),
    "outside, private, not admitted": (
        outside(PRIVATE, firewall_rules={"office": ["192.168.0.0", "192.168.255.255"]}, **PRIVATE_HOST),
        None,
        "does not admit 10.2.2.4",
    ),
    "outside, private, to public": (
        outside(PRIVATE, server("flexible", "tgt"), **PRIVATE_HOST),
        None,
        f"is reached at its private address {PRIVATE} only",
    ),
    "machine by name": (machine(HOST), None, None),
    "machine by address": (machine("10.6.0.9"), gone("privateDnsZones/corp.example/A/pg1"), None),
    "machine, record gone": (machine(HOST), gone("privateDnsZones/corp.example/A/pg1"), "has no record of"),
    "machine, no peering": (machine(HOST), gone(peering("vm", "b")), "Server 'src' is in virtual network 'vm'"),
    "machine, inbound denied": (machine(HOST), wall("vm/ends", IN), "rule 'in'"),
    # custom DNS
    "custom DNS, silent": (custom(), None, "DNS server 10.2.9.9 of virtual network 'b' does not answer"),
    "custom DNS, after Azure's": (custom(first=("168.63.129.16",)), None, None),
    "custom DNS, forwarding": (custom(forwards=True), None, None),
    "custom DNS, forwarding, unlinked": (custom(forwards=True), gone(link(LINKED, "b")), "is not linked to"),
    "custom DNS, ignorant": (custom(forwards=False), None, "does not forward to Azure's 168.63.129.16"),
    "custom DNS, server's name": (custom(records={"src.postgres.database.azure.com": "src"}), None, None),
    "custom DNS, its own name": (custom(records={"src.corp": "src"}), settings(names={"source": "src.corp"}), None),
    "custom DNS, an address": (custom(records={"src.corp": "10.1.0.4"}), settings(names={"source": "src.corp"}), None),
    "custom DNS, a wrong address": (
        custom(records={"src.corp": "10.1.0.5"}),
        settings(names={"source": "src.corp"}),
        "leads to 10.1.0.5",
    ),
    "custom DNS, another server": (
        custom(records={"src.corp": "tgt"}),
        settings(names={"source": "src.corp"}),
        "leads to server 'tgt'",
    ),
    "custom DNS, unknown name": (
        custom(records={"src.corp": "src"}),
        settings(names={"source": "other.corp"}),
        "'other.corp' does not resolve to server 'src'",
    ),
    "custom DNS, classic": (custom_classic(records={"src.corp": "src", "tgt.corp": "10.2.2.4"}), None, None),
    "custom DNS, classic, target by its usual name": (
        custom_classic(records={"src.corp": "src"}),
        settings(names={"source": "src.corp"}),
        "'tgt' is in virtual network 'b' and has no public address. The DNS server 10.2.9.9",
    ),
    "custom DNS, asked from elsewhere": (
        custom(forwards=True, virtual_network="c"),
        None,
        f"'{LINKED}' is not linked to virtual network 'c'",
    ),
    "custom DNS, in a peered network": (
        custom(forwards=True, at="10.1.9.9"),
        gone(link(LINKED, "b")),
        None,
    ),
    "custom DNS, in a peered network, unlinked": (
        custom(forwards=True, at="10.1.9.9"),
        gone(link(LINKED, "a")),
        f"'{LINKED}' is not linked to virtual network 'a'",
    ),
    "custom DNS, on premises": (custom(forwards=True, at="192.168.7.7"), None, None),
    "custom DNS, outside": (
        together(outside(HOST, **PRIVATE_HOST), named_by_own_dns(HOST)),
        None,
        None,
    ),
    "custom DNS, outside by another name": (
        together(outside("db.office", **PRIVATE_HOST), named_by_own_dns("db.office")),
        None,
        None,
    ),
    "Azure's DNS, a custom name": (
        OTHER_CURRENT,
        settings(names={"source": "src.corp"}),
        "'src.corp' does not resolve",
    ),
}


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 100


@pytest.mark.parametrize("name", TABLE)
def test_table(world: World, name: str) -> None:
    build, change, words = TABLE[name]
    build(world)
    if change is not None:
        change(world)
    found = world.explain()
    assert found == words or (words and found and words in found), found


@pytest.mark.parametrize(
    ("build", "networks"),
    [
        (public(classic=True), []),
        (SAME_CLASSIC, ["b"]),
        (FROM_SOURCE, ["a", "b"]),
        (THIRD, ["a", "b", "c"]),
        (to_public("a/ends"), ["a"]),
        (service_endpoint("b/sql"), ["b"]),
    ],
)
def test_networks_of_the_classic_service(world: World, build: Change, networks: list[str]) -> None:
    build(world)
    assert [item.name for item in world.lab.reachability.networks(world.journey())] == networks


def test_private_to_public_is_not_supported(world: World) -> None:
    outside(PRIVATE, server("flexible", "tgt"), **PRIVATE_HOST)(world)
    refused = world.lab.reachability.refusal(world.journey())
    assert refused and refused.startswith("Non supported network configuration, need to use pg_dump/pg_restore")


@pytest.mark.parametrize("build", [public(), OTHER_CURRENT, outside(PRIVATE, **PRIVATE_HOST), outside("no.example")])
def test_all_else_is_taken(world: World, build: Change) -> None:
    build(world)
    assert world.lab.reachability.refusal(world.journey()) is None


def test_a_seed_declares_networks(world: World) -> None:
    more = {
        "networks": [vnet("x", 21, {"network": "y", "name": "mine", "both": False}), vnet("y", 22)],
        "private_dns_zones": [{"name": "corp.example", "links": [{"network": "x", "registration": True}]}],
        "dns_servers": [{"address": "10.21.0.9", "records": {"A.Corp": "b"}, "virtual_network": "x"}],
    }
    seed.apply(world.lab, {"tenant": {"name": "Contoso"}, **more})
    [found] = world.lab.peerings.of(network("x"))
    assert (found.name, world.lab.peerings.state(found)) == ("mine", "Initiated")
    assert world.lab.peerings.of(network("y")) == []
    assert world.lab.dns_servers["10.21.0.9"].records == {"a.corp": "b"}
    assert world.lab.dns_servers["10.21.0.9"].virtual_network == network("x")
    [linked] = world.lab.store.children(ResourceId("/"), "Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    assert linked.properties["registrationEnabled"] is True


def test_a_basic_server_takes_no_virtual_network_rules(world: World) -> None:
    basic = server("single", "src", sku="B_Gen5_1", virtual_network_rules={"rule": "b/sql"})
    with pytest.raises(InvalidSeed, match="FeatureNotSupported"):
        seed.add_networks(world.lab, {"networks": [vnet("b", 2)], "servers": [basic]})
    assert world.lab.servers.named("src") is None
