# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that nobody but their owner can mend: one clear error for each, before anything is changed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import topologies
import yaml
from arm import Arm
from plays import Player
from topologies import Built, Site

from pgflex_lab.process import Running
from pgflex_lab.seed import NAMESPACE
from pgflex_lab.settings import seed_path
from pgflex_lab.testing import running_lab

HUB = "77777777-7777-4777-8777-777777777777"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
# May read applications, and of Azure what a test gives it.
LIMITED = {"AZURE_CLIENT_ID": "33333333-0000-4000-8000-00000000000c", "AZURE_SECRET": "Lab-Secret~reader"}

TWINS = ("33333333-0000-4000-8000-0000000000e1", "33333333-0000-4000-8000-0000000000e2")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With a second subscription, in which nobody who migrates has a right."""
    seed = yaml.safe_load(seed_path("public_access").read_text())
    hub = {"id": HUB, "name": "Hub", "providers": ["Microsoft.Network"], "resource_groups": [{"name": "hub-rg"}]}
    seed["subscriptions"].append(hub)
    seed["servers"] = []
    seed["operators"] += [{"client_id": twin, "secret": f"Lab-Secret~{twin}", "name": "twins"} for twin in TWINS]
    path = tmp_path_factory.mktemp("seed") / "hub.yml"
    path.write_text(yaml.safe_dump(seed))
    with running_lab(seed=str(path)) as running:
        yield running


@pytest.fixture(scope="module")
def sites(lab: Running) -> dict[str, Built]:
    arm = Arm(lab)
    return {
        "peered": topologies.private_different_vnets(Site(arm, "peered")),
        "overlapping": overlapping(Site(arm, "overlapping")),
        "closed": closed(Site(arm, "closed")),
        "own": own(Site(arm, "own")),
        "foreign": foreign(Site(arm, "foreign"), lab),
    }


def overlapping(site: Site) -> Built:
    one, other = site.vnet("vnet1", "10.1.0.0/16"), site.vnet("vnet2", "10.1.128.0/17")
    source = site.single(public=False)
    site.arm.ask("PATCH", site.server_id(source), {"tags": {"team": "shop"}})
    subnet = site.subnet(one, "source", "10.1.1.0/24")
    site.endpoint(site.server_id(source), subnet, site.zone(topologies.PRIVATE_LINK, one))
    target_subnet = site.subnet(other, "target", "10.1.129.0/24", delegated=True)
    zone = site.zone("overlapping.private.postgres.database.azure.com", other)
    return Built(site, source, site.flexible(network={"subnet": target_subnet, "zone": zone}), {})


def closed(site: Site) -> Built:
    """A Single Server that nobody reaches: no public access, no private endpoint."""
    return Built(site, site.single(public=False), site.flexible(), {})


def own(site: Site) -> Built:
    source = site.other(private_address=site.own_address)
    access = {"access": "private", "route": "vpn", "host": site.own_address}
    return Built(site, source, site.flexible(), {}, {"source": access})


def foreign(site: Site, lab: Running) -> Built:
    """The target's private DNS zone, which has to be linked to the source's network, is another team's."""
    one, other = site.vnet("vnet1", "10.1.0.0/16"), site.vnet("vnet2", "10.2.0.0/16")
    site.peer(one, other)
    source = site.single(public=False)
    near = site.subnet(one, "source", "10.1.1.0/24")
    site.endpoint(site.server_id(source), near, site.zone(topologies.PRIVATE_LINK, one, other))
    far = site.subnet(other, "target", "10.2.1.0/24", delegated=True)
    name = "foreign.private.postgres.database.azure.com"
    there = {"subscription": HUB, "resource_group": "hub-rg", "private_dns_zones": [{"name": name, "links": [other]}]}
    zone = lab.admin("POST", "networks", there)["private_dns_zones"][name]
    return Built(site, source, site.flexible(network={"subnet": far, "zone": zone}), {})


@dataclass(frozen=True)
class Case:
    site: str
    says: tuple[str, ...]
    more: dict[str, Any] = field(default_factory=dict)


SUBNETS = "{group}/providers/Microsoft.Network/virtualNetworks/vnet2/subnets"
CASES = {
    # What the target is given or made of comes after the judgement.
    "address-spaces-overlap": Case("overlapping", ("vnet1", "vnet2", "overlap"), {"copy": {"tags": True}}),
    "a-delegated-subnet": Case(
        "peered", ("target", "delegated"), {"generation": "classic", "migration_subnet_id": f"{SUBNETS}/target"}
    ),
    "a-subnet-that-is-not-there": Case(
        "peered", ("nowhere",), {"generation": "classic", "migration_subnet_id": f"{SUBNETS}/nowhere"}
    ),
    "a-full-subnet": Case(
        "peered", ("full", "address"), {"generation": "classic", "migration_subnet_id": f"{SUBNETS}/full"}
    ),
    "a-runtime-subnet-that-is-too-small": Case(
        "peered", ("small", "/28"), {"runtime_server": {"name": "peered-runtime", "subnet_id": f"{SUBNETS}/small"}}
    ),
    "names-and-a-runtime-server": Case(
        "peered",
        ("pgflex.source.fqdn can not be given together with pgflex.runtime_server.name",),
        {"source": {"fqdn": "old.corp.example"}, "runtime_server": {"name": "peered-runtime"}},
    ),
    "a-server-that-nobody-reaches": Case("closed", ("closed-single", "public network access", "private endpoint")),
    "own-private-server-to-public-target": Case(
        "own",
        ("Non supported network configuration", "pg_dump/pg_restore", "pgflex.engine: direct"),
        {
            "target": {
                "name": "own-new",
                "create": {"location": "eastus", "sku_name": "Standard_D4ds_v5", "version": 15},
            }
        },
    ),
    "a-zone-in-another-subscription": Case(
        "foreign",
        ("foreign.private.postgres.database.azure.com", HUB, "Private DNS Zone Contributor"),
        {"generation": "classic"},
    ),
    "several-applications-of-one-name": Case(
        "peered",
        (f"2 applications are named twins, with the client ids {TWINS[0]}, {TWINS[1]}", "pgflex.app.name"),
        {"generation": "classic", "app": {"name": "twins"}},
    ),
}


def settings_of(case: Case, built: Built) -> dict[str, Any]:
    text = yaml.safe_dump(case.more).replace("{group}", built.site.group)
    return built.host(**yaml.safe_load(text))


def error_of(output: str, host: str) -> str:
    (error,) = re.findall(rf"^fatal: \[{host}\].*$", output, re.MULTILINE)
    return " ".join(error.replace("\\n", " ").replace('\\"', '"').split())


@pytest.fixture(scope="module")
def refused(lab: Running, sites: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One play over all cases: its output, and what it wrote."""
    site = sites["peered"].site
    site.subnet(sites["peered"].parts["vnet2"], "small", "10.2.7.0/29", delegated=True)
    full = site.subnet(sites["peered"].parts["vnet2"], "full", "10.2.8.0/29")
    for number in range(3):
        occupant = Site(site.arm, f"occupant{number}")
        server = occupant.single(public=False)
        zone = occupant.zone(topologies.PRIVATE_LINK)
        occupant.endpoint(occupant.server_id(server), full, zone)
    player = Player(lab, tmp_path_factory.mktemp("refused"))
    player.writes()
    hosts = {name: settings_of(case, sites[case.site]) for name, case in CASES.items()}
    done = player.play(quiet(player.folder), hosts, "-f", "8")
    return {"done": done, "writes": player.writes(refused=False)}


def quiet(folder: Path) -> str:
    """The playbook migrate for servers that this machine need not reach."""
    book = folder / "book.yml"
    book.write_text("- ansible.builtin.import_playbook: pgflex.migrate.migrate\n  vars: {settings_connect: false}\n")
    return str(book)


@pytest.mark.parametrize("name", CASES)
def test_one_clear_error(name: str, refused: dict[str, Any]) -> None:
    done = refused["done"]
    assert "Traceback" not in done.output
    error = error_of(done.output, name)
    for text in CASES[name].says:
        assert text in error
    assert done.recap(name)["changed"] == 0


def test_nothing_was_written(refused: dict[str, Any]) -> None:
    assert [write for write in refused["writes"] if not write.endswith("/register")] == []


def test_a_playbook_for_another_topology_names_the_right_one(
    lab: Running, sites: dict[str, Built], tmp_path: Path
) -> None:
    player = Player(lab, tmp_path)
    player.writes()
    done = player.play("private_same_vnet", {"peered": sites["peered"].host()})
    error = error_of(done.output, "peered")
    assert "private_different_vnets" in error and "pgflex.migrate.migrate" in error
    assert player.writes() == []


def test_rights_on_one_side_of_a_peering_only(lab: Running, sites: dict[str, Built], tmp_path: Path) -> None:
    built = sites["peered"]
    arm, parts = built.site.arm, built.parts
    arm.delete(built.site.peering(parts["vnet1"], parts["vnet2"]))
    principal = str(uuid.uuid5(NAMESPACE, LIMITED["AZURE_CLIENT_ID"]))
    for scope, role in ((built.site.group, READER), (parts["vnet1"], CONTRIBUTOR), (parts["vnet2"], READER)):
        grant(arm, built.site, scope, role, principal)
    player = Player(lab, tmp_path, secrets=(LIMITED["AZURE_SECRET"],))
    player.writes()
    hosts = {"peered": built.host(), "classic": built.host(generation="classic")}
    done = player.play(quiet(tmp_path), hosts, **LIMITED)
    error = error_of(done.output, "peered")
    assert "vnet2" in error and "Microsoft.Network/virtualNetworks/peer/action" in error
    # The application is still to be made, and nobody could give it its roles.
    assert "Microsoft.Authorization/roleAssignments/write at vnet1" in error_of(done.output, "classic")
    assert player.writes() == []


def grant(arm: Arm, site: Site, scope: str, role: str, principal: str) -> None:
    name = uuid.uuid5(NAMESPACE, scope + role)
    definition = f"/subscriptions/{site.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    properties = {"roleDefinitionId": definition, "principalId": principal, "principalType": "ServicePrincipal"}
    arm.put(f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}", {"properties": properties})


def test_networks_that_others_run_are_only_reported(lab: Running, sites: dict[str, Built], tmp_path: Path) -> None:
    built = sites["peered"]
    player = Player(lab, tmp_path)
    player.writes()
    settings = built.host(network={"apply": False}, generation="classic")
    done = player.play(quiet(tmp_path), {"peered": settings})
    error = error_of(done.output, "peered")
    assert "pgflex.network.apply is false" in error and "Peer vnet1 with vnet2" in error
    # The application's roles are not the networks' owners' to give.
    assert "Contributor" not in error
    assert player.writes() == []
