# SPDX-License-Identifier: GPL-3.0-or-later
"""Every piece of every topology is taken away, one at a time.

The migration fails, naming the server that it does not reach; topology_info had said why before; the role network
(or, where only its owner can mend a thing, its owner) puts the piece back; the migration succeeds and the rows are
there.
All topologies go through their pieces side by side, a round for each piece.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import pieces_table
import pytest
import topologies
from arm import Arm, Refused
from plays import PASSWORD, Player
from topologies import CLIENT, CLIENT_SECRET, Build, Built, Site

from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab

LOOK = """
- hosts: all
  connection: local
  gather_facts: false
  vars: {settings_connect: false, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - ansible.builtin.include_role: {name: pgflex.migrate.network, tasks_from: look}
      vars: {__network_roles: "{{ settings_run.generation == 'classic' }}"}
    - ansible.builtin.copy:
        content: "{{ network_topology | to_json }}"
        dest: "{{ answers }}/{{ inventory_hostname }}.json"
        mode: "0600"
"""
MEND = """
- hosts: all
  connection: local
  gather_facts: false
  vars: {settings_connect: false, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  roles: [pgflex.migrate.settings, pgflex.migrate.network, pgflex.migrate.runtime_server, pgflex.migrate.identity]
  tasks:
    - ansible.builtin.copy:
        content: "{{ network_topology | to_json }}"
        dest: "{{ answers }}/{{ inventory_hostname }}.json"
        mode: "0600"
"""
CURRENT, CLASSIC = "2025-08-01", "2022-05-01-privatepreview"
FINAL = ("Succeeded", "Failed", "ValidationFailed", "Canceled")
Change = Callable[[Built], Any]


@dataclass(frozen=True)
class Piece:
    """`take` takes it away; `kind` is what topology_info calls it; `mend` is for what only its owner can put back."""

    what: str
    take: Change
    kind: str
    mend: Change | None = None
    classic: bool = False
    broken: Callable[[Built], dict[str, Any]] = field(default=lambda built: {})
    mended: Callable[[Built], dict[str, Any]] = field(default=lambda built: {})


def part(name: str) -> Change:
    return lambda built: built.site.arm.delete(built.parts[name])


def unlink(zone: str, vnet: str) -> Change:
    return lambda built: built.site.arm.delete(built.site.link_id(built.parts[zone], built.parts[vnet]))


def unpeer(here: str, there: str) -> Change:
    return lambda built: built.site.arm.delete(built.site.peering(built.parts[here], built.parts[there]))


def both(one: Change, other: Change) -> Change:
    return lambda built: (one(built), other(built))


def close_peering(here: str, there: str) -> Change:
    return lambda built: built.site.arm.change(
        built.site.peering(built.parts[here], built.parts[there]), allowVirtualNetworkAccess=False
    )


def deny(subnet: str, direction: str) -> Change:
    """A security group on the subnet that denies PostgreSQL's port."""

    def take(built: Built) -> None:
        rule = {
            "protocol": "Tcp",
            "access": "Deny",
            "priority": 100,
            "direction": direction,
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": "5432",
        }
        group = built.site.id("networkSecurityGroups", f"{subnet}-{direction.lower()}")
        properties = {"securityRules": [{"name": "no-postgres", "properties": rule}]}
        built.site.arm.put(group, {"location": "eastus", "properties": properties})
        policies = {"privateEndpointNetworkPolicies": "Enabled"} if direction == "Inbound" else {}
        built.site.arm.change(built.parts[subnet], networkSecurityGroup={"id": group}, **policies)

    return take


def allow(subnet: str) -> Change:
    return lambda built: built.site.arm.change(built.parts[subnet], networkSecurityGroup=None)


def decide(side: str, status: str) -> Change:
    """The owner of a server approves or rejects its endpoint's connection."""

    def act(built: Built) -> None:
        server = built.site.server_id(built.source if side == "source" else built.target)
        (connection,) = built.site.arm.get(server)["properties"]["privateEndpointConnections"]
        state = {"status": status, "description": "by its owner"}
        built.site.arm.put(connection["id"], {"properties": {"privateLinkServiceConnectionState": state}})

    return act


def unregister(endpoint: str) -> Change:
    return lambda built: built.site.arm.delete(Site.group_of(built.parts[endpoint]))


def register(endpoint: str, zone: str) -> Change:
    return lambda built: built.site.register(built.parts[endpoint], built.parts[zone])


def public(side: str, access: str) -> Change:
    def act(built: Built) -> None:
        server = built.site.server_id(built.source if side == "source" else built.target)
        wanted = {"publicNetworkAccess": access}
        body = {"properties": wanted if side == "source" else {"network": wanted}}
        built.site.arm.ask("PATCH", server, body)

    return act


def no_role(part_name: str) -> Change:
    """The classic service's application is no Contributor of that network any more."""

    def take(built: Built) -> None:
        scope = built.parts[part_name]
        listed = f"{scope}/providers/Microsoft.Authorization/roleAssignments"
        for row in built.site.arm.get(listed)["value"]:
            if row["properties"]["scope"].lower() == scope.lower():
                built.site.arm.delete(row["id"])

    return take


def nothing(built: Built) -> None:
    """For pieces that only the settings take away."""


def without_service_endpoint(built: Built) -> None:
    built.site.arm.change(built.parts["target_subnet"], serviceEndpoints=[])


def own_dns(built: Built) -> None:
    built.site.arm.change(built.parts["vnet2"], dhcpOptions={"dnsServers": ["10.2.9.4"]})
    names = {f"{side}.corp.example": server.name for side, server in (("old", built.source), ("new", built.target))}
    built.site.arm.lab.admin("POST", "dns_servers", {"address": "10.2.9.4", "records": names})


def azures_dns(built: Built) -> None:
    built.site.arm.change(built.parts["vnet2"], dhcpOptions={"dnsServers": []})


def subnet_of(name: str) -> Callable[[Built], dict[str, Any]]:
    return lambda built: {"migration_subnet_id": built.parts[name]}


def corporate_names(built: Built) -> dict[str, Any]:
    return {"source": {"fqdn": "old.corp.example"}, "target": {"fqdn": "new.corp.example"}}


def route(kind: str) -> Callable[[Built], dict[str, Any]]:
    return lambda built: {"source": {"route": kind}}


def without_runtime(built: Built) -> None:
    built.site.arm.delete(f"{built.site.group}/providers/{topologies.FLEXIBLE}/{built.site.name}-runtime")


def no_runtime_subnet(network: str) -> Change:
    def take(built: Built) -> None:
        without_runtime(built)
        built.site.arm.delete(f"{built.parts[network]}/subnets/pgflex-runtime")

    return take


def third(built: Built) -> dict[str, Any]:
    return {"migration_vnet_id": built.parts["vnet3"]}


def anywhere(built: Built) -> dict[str, Any]:
    return {"runtime_server": {"name": None}}


OPEN = {"broken": third, "mended": third, "classic": True}
DIRECT = {"broken": anywhere, "mended": anywhere, "classic": True}
TABLE: dict[str, tuple[Build, list[Piece]]] = {
    "public_access": (
        topologies.public_access,
        [
            Piece("the source's firewall rule", part("rule"), "firewall_rule"),
            Piece(
                "public access of the source",
                public("source", "Disabled"),
                "public_access",
                public("source", "Enabled"),
            ),
            Piece(
                "public access of the target",
                public("target", "Disabled"),
                "public_access",
                public("target", "Enabled"),
            ),
        ],
    ),
    "private_same_vnet": (
        topologies.private_same_vnet,
        [
            Piece("the link of the source's zone", unlink("source_zone", "vnet"), "private_dns_zone_link"),
            Piece(
                "the link of the source's zone, classic",
                unlink("source_zone", "vnet"),
                "private_dns_zone_link",
                classic=True,
            ),
            Piece(
                "the link of the target's zone",
                unlink("target_zone", "vnet"),
                "private_dns_zone_link",
                classic=True,
            ),
            Piece(
                "the endpoint's record",
                unregister("endpoint"),
                "private_dns_record",
                register("endpoint", "source_zone"),
            ),
            Piece(
                "the endpoint's approval",
                decide("source", "Rejected"),
                "private_endpoint",
                decide("source", "Approved"),
            ),
            Piece(
                "an open port out of the target's subnet",
                deny("target_subnet", "Outbound"),
                "network_security_group",
                allow("target_subnet"),
            ),
            Piece(
                "an open port into the target's subnet",
                deny("target_subnet", "Inbound"),
                "network_security_group",
                allow("target_subnet"),
                classic=True,
            ),
            Piece(
                "an open port out of the migration subnet",
                deny("source_subnet", "Outbound"),
                "network_security_group",
                allow("source_subnet"),
                classic=True,
            ),
            Piece(
                "a migration subnet that is not delegated",
                nothing,
                "subnet_delegation",
                nothing,
                True,
                subnet_of("target_subnet"),
            ),
            Piece(
                "a migration subnet that exists",
                nothing,
                "subnet",
                nothing,
                True,
                lambda built: {"migration_subnet_id": f"{built.parts['vnet']}/subnets/nowhere"},
            ),
            Piece("the application's role on the network", no_role("vnet"), "role_scope", classic=True),
        ],
    ),
    "private_different_vnets": (
        topologies.private_different_vnets,
        [
            Piece("the peering, both ways", both(unpeer("vnet1", "vnet2"), unpeer("vnet2", "vnet1")), "peering"),
            Piece("the peering from the source's network", unpeer("vnet1", "vnet2"), "peering"),
            Piece("the peering from the target's network", unpeer("vnet2", "vnet1"), "peering"),
            Piece("the peering from the target's network, classic", unpeer("vnet2", "vnet1"), "peering", classic=True),
            Piece("access through the peering", close_peering("vnet2", "vnet1"), "peering"),
            Piece(
                "the link of the source's zone to the target's network",
                unlink("source_zone", "vnet2"),
                "private_dns_zone_link",
            ),
            Piece(
                "the link of the target's zone to the source's network",
                unlink("target_zone", "vnet1"),
                "private_dns_zone_link",
                classic=True,
            ),
            Piece(
                "an open port into the endpoint's subnet",
                deny("source_subnet", "Inbound"),
                "network_security_group",
                allow("source_subnet"),
            ),
            Piece("the role on the source's network", no_role("vnet1"), "role_scope", classic=True),
            Piece("the role on the target's network", no_role("vnet2"), "role_scope", classic=True),
            Piece("names that one's own DNS server knows", own_dns, "custom_dns", nothing, mended=corporate_names),
            Piece("Azure's DNS", nothing, "custom_dns", azures_dns),
        ],
    ),
    "service_endpoint_private_target": (
        topologies.service_endpoint_private_target,
        [
            Piece("the rule for the target's subnet", part("target_rule"), "virtual_network_rule"),
            Piece("the service endpoint of the target's subnet", without_service_endpoint, "service_endpoint"),
            Piece(
                "public access of the source",
                public("source", "Disabled"),
                "public_access",
                public("source", "Enabled"),
            ),
            Piece(
                "the link of the target's zone",
                unlink("target_zone", "vnet"),
                "private_dns_zone_link",
                classic=True,
            ),
            Piece("a subnet to migrate from", both(part("source_rule"), part("source_subnet")), "subnet", classic=True),
        ],
    ),
    "private_source_public_target": (
        topologies.private_source_public_target,
        [
            Piece("the runtime server", without_runtime, "runtime_server"),
            Piece("the runtime server's subnet", no_runtime_subnet("vnet"), "subnet"),
            Piece("the link of the source's zone", unlink("source_zone", "vnet"), "private_dns_zone_link"),
            Piece(
                "the link of the source's zone, classic",
                unlink("source_zone", "vnet"),
                "private_dns_zone_link",
                **DIRECT,
            ),
            Piece(
                "the endpoint's approval",
                decide("source", "Rejected"),
                "private_endpoint",
                decide("source", "Approved"),
                **DIRECT,
            ),
            Piece(
                "public access of the target",
                public("target", "Disabled"),
                "public_access",
                public("target", "Enabled"),
                **DIRECT,
            ),
        ],
    ),
    "third_vnet": (
        topologies.third_vnet,
        [
            Piece("the peering with the source's network", unpeer("vnet3", "vnet1"), "peering", **OPEN),
            Piece("the peering with the target's network", unpeer("vnet2", "vnet3"), "peering", **OPEN),
            Piece("the link of the source's zone", unlink("source_zone", "vnet3"), "private_dns_zone_link", **OPEN),
            Piece("the link of the target's zone", unlink("target_zone", "vnet3"), "private_dns_zone_link", **OPEN),
            Piece(
                "an open port out of the third network",
                deny("work", "Outbound"),
                "network_security_group",
                allow("work"),
                **OPEN,
            ),
            Piece("the role on the third network", no_role("vnet3"), "role_scope", **OPEN),
            Piece("a subnet in the third network", part("work"), "subnet", **OPEN),
        ],
    ),
    "runtime_server": (
        topologies.runtime_server,
        [
            Piece("the runtime server", without_runtime, "runtime_server"),
            Piece("the peering", unpeer("vnet1", "vnet2"), "peering"),
            Piece("the link of the endpoints' zone", unlink("source_zone", "vnet1"), "private_dns_zone_link"),
            Piece(
                "the target's record",
                unregister("target_endpoint"),
                "private_dns_record",
                register("target_endpoint", "source_zone"),
            ),
            Piece(
                "approval of the target's endpoint",
                decide("target", "Rejected"),
                "private_endpoint",
                decide("target", "Approved"),
            ),
            Piece(
                "approval of the source's endpoint",
                decide("source", "Rejected"),
                "private_endpoint",
                decide("source", "Approved"),
            ),
        ],
    ),
    "onprem_public": (
        topologies.onprem_public_private_target,
        [
            Piece(
                "an open port out of the target's subnet",
                deny("target_subnet", "Outbound"),
                "network_security_group",
                allow("target_subnet"),
            ),
        ],
    ),
    "onprem_private": (
        topologies.onprem_vpn,
        [
            Piece(
                "the route to the source",
                lambda built: routes(built, []),
                "route",
                lambda built: routes(built, [built.parts["vnet"]]),
                broken=route("none"),
            ),
            Piece(
                "an open port out of the target's subnet",
                deny("target_subnet", "Outbound"),
                "network_security_group",
                allow("target_subnet"),
            ),
        ],
    ),
    "onprem_machine": (
        topologies.onprem_machine,
        [
            Piece("the peering from the machine's network", unpeer("vnet1", "vnet2"), "peering"),
            Piece("the peering from the target's network", unpeer("vnet2", "vnet1"), "peering"),
        ],
    ),
}


def routes(built: Built, networks: list[str]) -> None:
    """The VPN's administrators connect these networks."""
    built.site.arm.lab.admin("POST", "routes", {"server": built.source.name, "networks": networks})


@dataclass
class Record:
    """What happened to a piece."""

    said: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    failed: str = ""
    mended: str = ""
    arrived: bool = False


@dataclass
class Rounds:
    """All topologies, and the plays over those that a round has a piece of."""

    lab: Running
    player: Player
    built: dict[str, Built]
    number: int = 0

    def play(self, text: str, hosts: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], str]:
        """Runs it for these hosts; each host's topology, and what was printed."""
        folder = self.player.folder
        book = folder / "book.yml"
        book.write_text(text)
        for name in hosts:
            (folder / f"{name}.json").unlink(missing_ok=True)
        done = self.player.play(str(book), hosts, "-f", "8", "-e", f"answers={folder}")
        answers = {name: folder / f"{name}.json" for name in hosts}
        return {name: json.loads(path.read_text()) for name, path in answers.items() if path.exists()}, done.output

    def migrate(self, hosts: dict[str, dict[str, Any]], found: dict[str, Any], word: str) -> dict[str, str]:
        """Migrates all of them at once through Azure Resource Manager; the error of each, empty when it succeeded."""
        urls, errors = {}, {}
        for name, topology in found.items():
            try:
                urls[name] = self._start(name, hosts[name], topology, word)
            except Refused as refusal:
                errors[name] = str(refusal)
        for name, url in urls.items():
            version = CLASSIC if hosts[name].get("generation") == "classic" else CURRENT
            arm = self.built[name].site.arm
            until = time.monotonic() + 60
            while True:
                status = arm.ask("GET", url, version=version)["properties"]["currentStatus"]
                if status["state"] in FINAL:
                    break
                assert time.monotonic() < until, f"{name}: {status}"
                time.sleep(0.05)
            errors[name] = "" if status["state"] == "Succeeded" else f"{status['state']}: {status.get('error')}"
        return errors

    def _start(self, name: str, settings: dict[str, Any], topology: dict[str, Any], word: str) -> str:
        built = self.built[name]
        source, target = settings["source"], settings["target"]
        classic = settings.get("generation") == "classic"
        secrets: dict[str, Any] = {
            "adminCredentials": {"sourceServerPassword": PASSWORD, "targetServerPassword": PASSWORD}
        }
        azure = source.get("type") is None
        properties: dict[str, Any] = {
            "secretParameters": secrets,
            "sourceDbServerResourceId": built.site.server_id(built.source)
            if azure
            else f"{source['host']}:5432@{source['user']}",
        }
        for side, host in (("source", source), ("target", target)):
            if host.get("fqdn"):
                properties[f"{side}DbServerFullyQualifiedDomainName"] = host["fqdn"]
        if classic:
            tenant = self.lab.environment()["AZURE_TENANT"]
            secrets["aadApp"] = {"clientId": CLIENT, "tenantId": tenant, "aadSecret": CLIENT_SECRET}
            properties |= {"dBsToMigrate": ["shop"], "overwriteDBsInTarget": True, "migrationMode": "Offline"}
            properties["sourceDBServerResourceId"] = properties.pop("sourceDbServerResourceId")
            place = {"resourceId": built.site.work_group, "subnetResourceId": topology["migration_subnet_id"]}
            properties["migrationResourceGroup"] = {key: value for key, value in place.items() if value}
        else:
            secrets |= {"sourceServerUsername": source["user"], "targetServerUsername": target["user"]}
            properties |= {
                "dbsToMigrate": ["shop"],
                "overwriteDbsInTarget": "True",
                "migrationMode": "Offline",
                "migrationOption": "Migrate",
                "sslMode": "Prefer",
                "sourceType": "PostgreSQLSingleServer" if azure else "OnPremises",
            }
            if settings.get("runtime_server", {}).get("name"):
                kind = topologies.FLEXIBLE
                properties["migrationInstanceResourceId"] = (
                    f"{built.site.group}/providers/{kind}/{built.site.name}-runtime"
                )
        url = f"{built.site.server_id(built.target)}/migrations/{word}-{self.number}"
        body = {"location": "eastus", "properties": properties}
        built.site.arm.ask("PUT", url, body, CLASSIC if classic else CURRENT)
        return url

    def settings(self, name: str, piece: Piece | None, more: dict[str, Any]) -> dict[str, Any]:
        """The host of a topology; the classic application is one that exists, with no rights but those it is given."""
        built = self.built[name]
        classic: dict[str, Any] = {}
        if piece and piece.classic:
            tenant = self.lab.environment()["AZURE_TENANT"]
            app = {"client_id": CLIENT, "tenant_id": tenant, "client_secret": CLIENT_SECRET, "delete": False}
            classic = {"generation": "classic", "app": app, "migration_resource_group_id": built.site.work_group}
        return built.host(option="Migrate", overwrite=True, migration_name=f"round-{self.number}", **classic, **more)

    def round(self, pieces: dict[str, Piece]) -> dict[str, Record]:
        """Takes the pieces away, looks, migrates in vain, mends, migrates."""
        self.number += 1
        records = {name: Record() for name in pieces}
        broken = {name: self.settings(name, piece, piece.broken(self.built[name])) for name, piece in pieces.items()}
        mended = {name: self.settings(name, piece, piece.mended(self.built[name])) for name, piece in pieces.items()}
        for name, piece in pieces.items():
            piece.take(self.built[name])
        looked, output = self.play(LOOK, broken)
        assert set(looked) == set(pieces), output
        for name, topology in looked.items():
            records[name].said = [missing["message"] for missing in topology["missing"]]
            records[name].kinds = [missing["kind"] for missing in topology["missing"]]
        for name, error in self.migrate(broken, looked, "broken").items():
            records[name].failed = error
        for name, piece in pieces.items():
            if piece.mend:
                piece.mend(self.built[name])
        found, output = self.play(MEND, mended)
        for name in pieces:
            records[name].mended = "" if name in found else output
            with self.built[name].source.connect("shop") as connection:
                connection.execute("INSERT INTO line VALUES (%s, 'round', 0)", [1000 + self.number])
        for name, error in self.migrate(mended, found, "mended").items():
            records[name].mended = error
            with self.built[name].target.connect("shop") as connection:
                query = "SELECT count(*) FROM line WHERE n = %s"
                records[name].arrived = connection.execute(query, [1000 + self.number]).fetchone() == (1,)
        return records


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Record]]:
    """What happened to every piece, by topology and piece."""
    with running_lab() as lab:
        arm = Arm(lab)
        built = {name: build(Site(arm, name.replace("_", "-"))) for name, (build, _pieces) in TABLE.items()}
        rounds = Rounds(lab, Player(lab, tmp_path_factory.mktemp("pieces")), built)
        complete = {name: Piece("nothing", nothing, "") for name in TABLE}
        rounds.play(MEND, {name: rounds.settings(name, None, {}) for name in TABLE})
        # Once for each topology that has pieces of the classic service: its application gets its roles.
        classic = {name: piece for name, (_build, pieces) in TABLE.items() for piece in pieces if piece.classic}
        hosts = {name: rounds.settings(name, piece, piece.mended(built[name])) for name, piece in classic.items()}
        rounds.play(MEND, hosts)
        found = {f"{name}: nothing": record for name, record in rounds.round(complete).items()}
        for row in zip_longest(*(pieces for _build, pieces in TABLE.values())):
            pieces = {name: piece for name, piece in zip(TABLE, row, strict=True) if piece}
            found |= {f"{name}: {pieces[name].what}": record for name, record in rounds.round(pieces).items()}
        yield found


REFUSED_BEFORE_CONNECTING = ("role_scope", "subnet", "subnet_delegation", "runtime_server")
CASES = {f"{name}: {piece.what}": piece for name, (_build, pieces) in TABLE.items() for piece in pieces}


def code_of(error: str) -> str:
    found = re.search(r"603\d\d\d", error)
    return f"fails, {found[0]}" if found else "fails" if error else "SUCCEEDED"


@pytest.mark.parametrize("case", CASES)
def test_without_a_piece_the_migration_fails_and_with_it_the_rows_arrive(case: str, records: dict[str, Record]) -> None:
    piece, record = CASES[case], records[case]
    pieces_table.ROWS.append(
        (
            case.split(": ", maxsplit=1)[0],
            "classic" if piece.classic else "current",
            piece.what,
            piece.kind if piece.kind in record.kinds else "NOT TOLD",
            code_of(record.failed),
            "its owner" if piece.mend else "the role",
            "arrived" if record.arrived and not record.mended else "MISSING",
        )
    )
    assert piece.kind in record.kinds, record.said
    if piece.kind not in REFUSED_BEFORE_CONNECTING:
        assert "603000" in record.failed
    assert record.failed
    assert not record.mended
    assert record.arrived


@pytest.mark.parametrize("name", TABLE)
def test_with_every_piece_in_place_nothing_is_missing(name: str, records: dict[str, Record]) -> None:
    record = records[f"{name}: nothing"]
    assert record.kinds == [], record.said
    assert record.failed == "" and record.arrived


def test_there_are_forty_cases() -> None:
    assert len(CASES) >= 40
