# SPDX-License-Identifier: GPL-3.0-or-later
"""The network modules against the lab, each run as a task of a play, in Ansible's worker."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from plays import Player

from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab
from sdk_clients import GROUP, SECRETS, Clients, environment

FLEXIBLE = "Microsoft.DBforPostgreSQL/flexibleServers"
NETWORK_CONTRIBUTOR = "4d97b98b-1d4f-4787-a291-c67834d212e7"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


@pytest.fixture(scope="module")
def lab() -> Iterator[Running]:
    with running_lab() as running, environment(running):
        yield running


class Networks:
    """The lab as its administrator sees it, and the modules as a playbook runs them."""

    def __init__(self, lab: Running, folder: Path) -> None:
        self.clients = Clients.of(lab)
        self.player = Player(lab, folder)
        self.player.writes()

    def id(self, kind: str, name: str) -> str:
        return f"{self.clients.group_id}/providers/Microsoft.Network/{kind}/{name}"

    def make(self, name: str, space: str, *subnets: dict[str, Any]) -> str:
        content = {
            "location": "eastus",
            "properties": {"addressSpace": {"addressPrefixes": [space]}, "subnets": list(subnets)},
        }
        self.clients.network.virtual_networks.begin_create_or_update(GROUP, name, content).result()
        self.player.writes()
        return self.id("virtualNetworks", name)

    def make_zone(self, name: str) -> str:
        self.clients.dns.private_zones.begin_create_or_update(GROUP, name, {"location": "global"}).result()
        self.player.writes()
        return self.id("privateDnsZones", name)

    def run(self, module: str, args: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
        folder = self.player.folder
        answer, file = folder / "answer.json", folder / "play.yml"
        task = {
            f"pgflex.migrate.{module}": args,
            "check_mode": check,
            "diff": True,
            "register": "answer",
            "ignore_errors": True,
        }
        keep = {"content": "{{ answer | to_json }}", "dest": str(answer), "mode": "0600"}
        play = {
            "hosts": "all",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": [task, {"ansible.builtin.copy": keep, "diff": False}],
        }
        file.write_text(json.dumps([play]))
        played = self.player.play(str(file), {"localhost": {}})
        assert played.code == 0, played.output
        found: dict[str, Any] = json.loads(answer.read_text())
        return found

    def states(self, network: str) -> list[str]:
        rows = self.clients.network.virtual_network_peerings.list(GROUP, network)
        return [row.as_dict()["properties"]["peeringState"] for row in rows]


@pytest.fixture
def networks(lab: Running, tmp_path: Path) -> Networks:
    return Networks(lab, tmp_path)


# Peerings


def pair(networks: Networks, name: str, *spaces: str) -> dict[str, str]:
    one, other = spaces or ("10.1.0.0/16", "10.2.0.0/16")
    return {
        "virtual_network_id": networks.make(f"{name}-a", one),
        "remote_virtual_network_id": networks.make(f"{name}-b", other),
    }


def test_both_sides_of_a_peering(networks: Networks) -> None:
    args = pair(networks, "peer")
    foretold = networks.run("virtual_network_peering", args, check=True)
    assert foretold["changed"] and networks.player.writes() == []
    made = networks.run("virtual_network_peering", args)
    rows = made["virtual_network_peering"]["peerings"]
    assert rows == foretold["virtual_network_peering"]["peerings"]
    assert networks.states("peer-a") == networks.states("peer-b") == ["Connected"]
    assert all(row["name"].startswith("pgflex-peer-") and row["allow_virtual_network_access"] for row in rows)
    assert len(networks.player.writes()) == 2
    again = networks.run("virtual_network_peering", args)
    assert not again["changed"] and networks.player.writes() == []
    flag = networks.run("virtual_network_peering", {**args, "remote_allow_forwarded_traffic": True})
    assert flag["changed"] and len(networks.player.writes()) == 1
    gone = networks.run("virtual_network_peering", {**args, "state": "absent"})
    assert gone["changed"] and networks.states("peer-a") == networks.states("peer-b") == []
    assert not networks.run("virtual_network_peering", {**args, "state": "absent"})["changed"]


def test_a_disconnected_side_is_mended(networks: Networks) -> None:
    args = pair(networks, "mend")
    networks.run("virtual_network_peering", {**args, "name": "to-b", "allow_forwarded_traffic": True})
    (row,) = networks.clients.network.virtual_network_peerings.list(GROUP, "mend-b")
    networks.clients.network.virtual_network_peerings.begin_delete(GROUP, "mend-b", row.name).result()
    assert networks.states("mend-a") == ["Disconnected"]
    mended = networks.run("virtual_network_peering", args)
    assert networks.states("mend-a") == networks.states("mend-b") == ["Connected"]
    kept = mended["virtual_network_peering"]["peerings"][0]
    assert (kept["name"], kept["allow_forwarded_traffic"]) == ("to-b", True)


def test_a_grown_address_space_is_taken_over(networks: Networks) -> None:
    args = pair(networks, "grow")
    networks.run("virtual_network_peering", args)
    vnet = networks.clients.network.virtual_networks.get(GROUP, "grow-b").as_dict()
    vnet["properties"]["addressSpace"]["addressPrefixes"].append("10.3.0.0/16")
    networks.clients.network.virtual_networks.begin_create_or_update(GROUP, "grow-b", vnet).result()
    networks.player.writes()
    synced = networks.run("virtual_network_peering", args)
    assert synced["changed"] and len(networks.player.writes()) == 1
    assert not networks.run("virtual_network_peering", args)["changed"]


def test_overlapping_networks_are_refused_before_any_write(networks: Networks) -> None:
    args = pair(networks, "clash", "10.8.0.0/16", "10.8.4.0/24")
    refused = networks.run("virtual_network_peering", args)
    assert refused["failed"] and refused["failure"]["code"] == "VnetAddressSpacesOverlap"
    assert networks.player.writes() == []


def test_rights_on_one_side_only_are_refused_before_any_write(networks: Networks) -> None:
    args = pair(networks, "rights")
    authorization = networks.clients.authorization.role_assignments
    readers = [row for row in authorization.list_for_resource_group(GROUP) if row.role_definition_id.endswith(READER)]
    role = f"/subscriptions/{networks.clients.subscription}/providers/Microsoft.Authorization/roleDefinitions"
    given = {"role_definition_id": f"{role}/{NETWORK_CONTRIBUTOR}", "principal_id": readers[0].principal_id}
    authorization.create(args["virtual_network_id"], str(uuid.uuid4()), given)
    networks.player.writes()
    client_id, secret = SECRETS["reader"]
    refused = networks.run("virtual_network_peering", {**args, "client_id": client_id, "secret": secret})
    assert refused["failed"] and refused["failure"]["code"] == "AuthorizationFailed"
    assert refused["failure"]["target"] == args["remote_virtual_network_id"] and networks.player.writes() == []
    client_id, secret = SECRETS["stranger"]
    refused = networks.run("virtual_network_peering", {**args, "client_id": client_id, "secret": secret})
    assert refused["failed"] and refused["msg"].startswith("Failed to read the virtual network rights-a in shop-rg")


# Private DNS


def test_a_private_dns_zone(networks: Networks) -> None:
    args = {"resource_group": GROUP, "name": "made.private.postgres.database.azure.com", "tags": {"wave": 3}}
    foretold = networks.run("private_dns_zone", args, check=True)
    assert networks.player.writes() == []
    made = networks.run("private_dns_zone", args)
    assert made["changed"] and made["private_dns_zone"] == foretold["private_dns_zone"]
    assert not networks.run("private_dns_zone", args)["changed"]
    network = networks.make("zoned", "10.1.0.0/16")
    link = {"zone_id": made["private_dns_zone"]["id"], "virtual_network_ids": [network]}
    networks.run("private_dns_zone_link", link)
    refused = networks.run("private_dns_zone", {**args, "state": "absent"})
    assert refused["failed"] and refused["failure"]["code"] == "ZoneIsLinked"
    networks.run("private_dns_zone_link", {**link, "state": "absent"})
    assert networks.run("private_dns_zone", {**args, "state": "absent"})["changed"]
    assert not networks.run("private_dns_zone", {**args, "state": "absent"})["changed"]


def test_links_of_a_zone(networks: Networks) -> None:
    zone = networks.make_zone("linked.private.postgres.database.azure.com")
    ids = [networks.make(f"linked-{letter}", "10.1.0.0/16") for letter in "ab"]
    args = {"zone_id": zone, "virtual_network_ids": ids}
    foretold = networks.run("private_dns_zone_link", args, check=True)
    assert networks.player.writes() == []
    made = networks.run("private_dns_zone_link", args)
    assert made["private_dns_zone_link"] == foretold["private_dns_zone_link"]
    assert len(networks.player.writes()) == 2
    assert not networks.run("private_dns_zone_link", args)["changed"]
    tagged = networks.run("private_dns_zone_link", {**args, "tags": {"wave": "3"}})
    tags = [row["tags"] for row in tagged["private_dns_zone_link"]["links"]]
    assert tags == [{"pgflex-made": "migrate", "wave": "3"}] * 2
    gone = networks.run("private_dns_zone_link", {**args, "virtual_network_ids": ids[:1], "state": "absent"})
    assert gone["changed"]
    left = list(networks.clients.dns.virtual_network_links.list(GROUP, "linked.private.postgres.database.azure.com"))
    assert [row.properties.virtual_network.id for row in left] == ids[1:]


def test_a_second_registration_is_refused_before_any_write(networks: Networks) -> None:
    network = networks.make("register", "10.1.0.0/16")
    for number, zone in enumerate([networks.make_zone(f"register-{letter}.example") for letter in "ab"]):
        args = {"zone_id": zone, "virtual_network_ids": [network], "registration_enabled": True}
        result = networks.run("private_dns_zone_link", args)
        if number == 0:
            assert result["changed"] and len(networks.player.writes()) == 1
    assert result["failed"] and result["failure"]["code"] == "SecondRegistration"
    assert networks.player.writes() == []


def test_two_zones_of_one_name_are_refused_before_any_write(networks: Networks) -> None:
    network = networks.make("names", "10.1.0.0/16")
    networks.clients.resources.resource_groups.create_or_update("names-rg", {"location": "eastus"})
    name = "names.private.postgres.database.azure.com"
    zone = networks.make_zone(name)
    networks.clients.dns.private_zones.begin_create_or_update("names-rg", name, {"location": "global"}).result()
    other = zone.replace(f"/{GROUP}/", "/names-rg/")
    assert networks.run("private_dns_zone_link", {"zone_id": other, "virtual_network_ids": [network]})["changed"]
    networks.player.writes()
    refused = networks.run("private_dns_zone_link", {"zone_id": zone, "virtual_network_ids": [network]})
    assert refused["failed"] and refused["failure"]["code"] == "OverlappingZones"
    assert networks.player.writes() == []


def test_finds_the_zone_of_a_server(networks: Networks) -> None:
    delegation = {"name": "0", "properties": {"serviceName": FLEXIBLE}}
    subnet = {"name": "servers", "properties": {"addressPrefix": "10.1.1.0/28", "delegations": [delegation]}}
    home = networks.make("served", "10.1.0.0/16", subnet)
    zone = networks.make_zone("served.private.postgres.database.azure.com")
    networks.run("private_dns_zone_link", {"zone_id": zone, "virtual_network_ids": [home]})
    content = {
        "location": "eastus",
        "sku": {"name": "Standard_D4ds_v5", "tier": "GeneralPurpose"},
        "properties": {
            "version": "15",
            "administratorLogin": "pgadmin",
            "administratorLoginPassword": "Lab-Passw0rd!pair",
            "storage": {"storageSizeGB": 128},
            "network": {"delegatedSubnetResourceId": f"{home}/subnets/servers", "privateDnsZoneArmResourceId": zone},
        },
    }
    networks.clients.flexible.servers.begin_create_or_update(GROUP, "served-flex", content).result()
    other = networks.make("served-from", "10.2.0.0/16")
    server = {"resource_group": GROUP, "name": "served-flex"}
    made = networks.run("private_dns_zone_link", {"server": server, "virtual_network_ids": [other]})
    assert made["changed"] and made["private_dns_zone_link"]["zone_id"] == zone
    taken = networks.run("subnet", {"virtual_network_id": home, "name": "servers"})
    assert taken["failed"] and taken["failure"]["code"] == "SubnetDelegated"
    public = networks.run(
        "private_dns_zone_link", {"server": {**server, "name": "shop-flex"}, "virtual_network_ids": [other]}
    )
    assert public["failed"] and public["failure"]["code"] == "NoPrivateDnsZone"


# Subnets


def test_a_subnet(networks: Networks) -> None:
    first = {"name": "default", "properties": {"addressPrefix": "10.1.0.0/26"}}
    network = networks.make("blocks", "10.1.0.0/24", first)
    args = {"virtual_network_id": network, "name": "pgflex-migration", "minimum_free_addresses": 20}
    foretold = networks.run("subnet", args, check=True)
    assert networks.player.writes() == []
    made = networks.run("subnet", args)
    assert made["changed"] and made["subnet"] == foretold["subnet"]
    assert (made["subnet"]["address_prefix"], made["subnet"]["free_addresses"]) == ("10.1.0.64/27", 27)
    networks.player.writes()
    assert not networks.run("subnet", args)["changed"] and networks.player.writes() == []
    refused = networks.run("subnet", {**args, "minimum_free_addresses": 30})
    assert refused["failed"] and refused["failure"]["code"] == "SubnetTooSmall"
    assert networks.run("subnet", {**args, "state": "absent"})["changed"]
    assert not networks.run("subnet", {**args, "state": "absent"})["changed"]


def test_a_subnet_keeps_what_it_has(networks: Networks) -> None:
    group = {"location": "eastus", "properties": {"securityRules": []}}
    networks.clients.network.network_security_groups.begin_create_or_update(GROUP, "kept-nsg", group).result()
    nsg = networks.id("networkSecurityGroups", "kept-nsg")
    properties = {
        "addressPrefix": "10.1.0.0/26",
        "networkSecurityGroup": {"id": nsg},
        "privateEndpointNetworkPolicies": "Enabled",
        "serviceEndpoints": [{"service": "Microsoft.Storage"}],
    }
    network = networks.make("kept", "10.1.0.0/24", {"name": "apps", "properties": properties})
    args = {"virtual_network_id": network, "name": "apps", "service_endpoints": ["Microsoft.Sql"]}
    made = networks.run("subnet", {**args, "delegation": FLEXIBLE})["subnet"]
    assert made["service_endpoints"] == ["Microsoft.Storage", "Microsoft.Sql"]
    assert made["network_security_group_id"] == nsg and made["delegations"] == [FLEXIBLE]
    after = networks.clients.network.subnets.get(GROUP, "kept", "apps").as_dict()["properties"]
    assert after["privateEndpointNetworkPolicies"] == "Enabled" and after["addressPrefix"] == "10.1.0.0/26"


def test_two_hosts_make_subnets_in_one_network(networks: Networks, tmp_path: Path, lab: Running) -> None:
    network = networks.make("shared", "10.1.0.0/24")
    hosts = []
    for name in ("one", "two", "three"):
        folder = tmp_path / name
        folder.mkdir()
        hosts.append((Networks(lab, folder), {"virtual_network_id": network, "name": name}))
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda host: host[0].run("subnet", host[1])["subnet"]["address_prefix"], hosts))
    assert sorted(made) == ["10.1.0.0/27", "10.1.0.32/27", "10.1.0.64/27"]
