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
    """`take` takes it away; `mend` is for what only its owner can put back.

    `kind` is what topology_info calls it, `also` what it then says besides; `says` is in the migration's error, with
    the servers' names for {source} and {target}.
    """

    what: str
    take: Change
    kind: str
    says: str
    mend: Change | None = None
    classic: bool = False
    broken: Callable[[Built], dict[str, Any]] = field(default=lambda built: {})
    mended: Callable[[Built], dict[str, Any]] = field(default=lambda built: {})
    also: tuple[str, ...] = ()


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


def endpoint_without_record(built: Built) -> None:
    """A private endpoint of a public source; its zone is linked, as for other servers, and does not know it."""
    site, vnet = built.site, built.parts["vnet"]
    subnet = site.subnet(vnet, "ends", "172.16.5.0/24")
    built.parts["link_zone"] = site.zone(topologies.PRIVATE_LINK, vnet)
    built.parts["endpoint"] = site.endpoint(site.server_id(built.source), subnet, built.parts["link_zone"])
    unregister("endpoint")(built)


def admit(**rules: list[str]) -> Change:
    """Whom the administrators of a server outside Azure let in."""
    return lambda built: built.site.arm.lab.admin(
        "POST", "own_rules", {"server": built.source.name, "firewall_rules": rules}
    )


def by_name(built: Built) -> dict[str, Any]:
    return {"source": {"host": f"{built.site.name}.corp.example"}}


def zone_of_the_host(built: Built) -> None:
    zone = built.parts["corp_zone"] = built.site.zone("corp.example")
    record = {"ttl": 10, "aRecords": [{"ipv4Address": built.site.own_address}]}
    built.site.arm.put(f"{zone}/A/{built.site.name}", {"properties": record})


def beside_the_source(built: Built) -> dict[str, Any]:
    return {**anywhere(built), "migration_subnet_id": built.parts["source_subnet"]}


OPEN = {"broken": third, "mended": third, "classic": True}
DIRECT = {"broken": anywhere, "mended": anywhere, "classic": True}
# What the lab says where only one of its names differs.
CLOSED = "Server '{source}' does not allow public network access"
NOT_OPEN = "Server '{target}' does not allow public network access"
REJECTED = "The connection of its private endpoint '.*' is not approved but 'Rejected'"
NO_RUNTIME = "The Resource '[^']*/flexibleServers/[^']*-runtime' .* was not found"
OWN_DNS = f"{CLOSED}. The DNS server 10.2.9.4 of virtual network 'vnet2' does not forward"
SHUT = "The firewall of server '{source}' does not admit Azure services"
NOT_RESOLVED = "The name '.*' of server '{source}' is not resolved in virtual network 'vnet1'"
OWN_SHUT = "The firewall or pg_hba.conf of server '{source}' does not admit"


def unlinked(side: str, vnet: str) -> str:
    return f"[Ss]erver '{{{side}}}'.* is not linked to virtual network '{vnet}'"


def unconnected(side: str, vnet: str, near: str) -> str:
    return f"Server '{{{side}}}' is in virtual network '{vnet}', and peering '.*' of '{near}' is not Connected"


def unpeered(side: str, vnet: str, near: str) -> str:
    return f"Server '{{{side}}}' is in virtual network '{vnet}', and '{near}' has no peering with '{vnet}'"


def out_of(subnet: str) -> str:
    return f"Traffic from subnet '{subnet}' of .* to port 5432 of server '{{source}}' is denied by rule 'no-postgres'"


def into(subnet: str, side: str) -> str:
    return f"into subnet '{subnet}' of .*, port 5432 of server '{{{side}}}', is denied by rule 'no-postgres'"


def not_contributor(vnet: str) -> str:
    return f"does not have authorization .* over scope '[^']*/virtualNetworks/{vnet}'"


def no_subnet(name: str, vnet: str) -> str:
    return f"The migration subnet '{name}' of virtual network '{vnet}' does not exist"


LINK = "private_dns_zone_link"
TABLE: dict[str, tuple[Build, list[Piece]]] = {
    "public_access": (
        topologies.public_access,
        [
            Piece(
                "the source's firewall rule",
                part("rule"),
                "firewall_rule",
                "The firewall of server '{source}' has no rule for",
            ),
            Piece(
                "public access of the source",
                public("source", "Disabled"),
                "public_access",
                CLOSED,
                public("source", "Enabled"),
            ),
            Piece(
                "public access of the target",
                public("target", "Disabled"),
                "public_access",
                NOT_OPEN,
                public("target", "Enabled"),
            ),
        ],
    ),
    "private_same_vnet": (
        topologies.private_same_vnet,
        [
            Piece(
                "the link of the source's zone", unlink("source_zone", "vnet"), LINK, unlinked("source", "vnet-test")
            ),
            Piece(
                "the link of the source's zone, classic",
                unlink("source_zone", "vnet"),
                LINK,
                unlinked("source", "vnet-test"),
                classic=True,
            ),
            Piece(
                "the link of the target's zone",
                unlink("target_zone", "vnet"),
                LINK,
                unlinked("target", "vnet-test"),
                classic=True,
            ),
            Piece(
                "the endpoint's record",
                unregister("endpoint"),
                "private_dns_record",
                "has no record of server '{source}'",
                register("endpoint", "source_zone"),
            ),
            Piece(
                "the endpoint's approval",
                decide("source", "Rejected"),
                "private_endpoint",
                f"{CLOSED}. {REJECTED}",
                decide("source", "Approved"),
            ),
            Piece(
                "an open port out of the target's subnet",
                deny("target_subnet", "Outbound"),
                "network_security_group",
                out_of("target"),
                allow("target_subnet"),
            ),
            Piece(
                "an open port into the target's subnet",
                deny("target_subnet", "Inbound"),
                "network_security_group",
                into("target", "target"),
                allow("target_subnet"),
                classic=True,
            ),
            Piece(
                "an open port out of the migration subnet",
                deny("source_subnet", "Outbound"),
                "network_security_group",
                out_of("source"),
                allow("source_subnet"),
                classic=True,
            ),
            Piece(
                "a migration subnet that is not delegated",
                nothing,
                "subnet_delegation",
                "The migration subnet 'target' of virtual network 'vnet-test' is delegated",
                nothing,
                True,
                subnet_of("target_subnet"),
            ),
            Piece(
                "a migration subnet that exists",
                nothing,
                "subnet",
                no_subnet("nowhere", "vnet-test"),
                nothing,
                True,
                lambda built: {"migration_subnet_id": f"{built.parts['vnet']}/subnets/nowhere"},
            ),
            Piece(
                "the application's role on the network",
                no_role("vnet"),
                "role_scope",
                not_contributor("vnet-test"),
                classic=True,
            ),
        ],
    ),
    "private_different_vnets": (
        topologies.private_different_vnets,
        [
            Piece(
                "the peering, both ways",
                both(unpeer("vnet1", "vnet2"), unpeer("vnet2", "vnet1")),
                "peering",
                unpeered("source", "vnet1", "vnet2"),
            ),
            Piece(
                "the peering from the source's network",
                unpeer("vnet1", "vnet2"),
                "peering",
                unconnected("source", "vnet1", "vnet2"),
            ),
            Piece(
                "the peering from the target's network",
                unpeer("vnet2", "vnet1"),
                "peering",
                unpeered("source", "vnet1", "vnet2"),
            ),
            Piece(
                "the peering from the target's network, classic",
                unpeer("vnet2", "vnet1"),
                "peering",
                unconnected("target", "vnet2", "vnet1"),
                classic=True,
            ),
            Piece(
                "access through the peering",
                close_peering("vnet2", "vnet1"),
                "peering",
                "Server '{source}' is in .* and peering '.*' of 'vnet2' does not allow virtual network access",
            ),
            Piece(
                "the link of the source's zone to the target's network",
                unlink("source_zone", "vnet2"),
                LINK,
                unlinked("source", "vnet2"),
            ),
            Piece(
                "the link of the target's zone to the source's network",
                unlink("target_zone", "vnet1"),
                LINK,
                unlinked("target", "vnet1"),
                classic=True,
            ),
            Piece(
                "an open port into the endpoint's subnet",
                deny("source_subnet", "Inbound"),
                "network_security_group",
                into("source", "source"),
                allow("source_subnet"),
            ),
            Piece(
                "the role on the source's network",
                no_role("vnet1"),
                "role_scope",
                not_contributor("vnet1"),
                classic=True,
            ),
            Piece(
                "the role on the target's network",
                no_role("vnet2"),
                "role_scope",
                not_contributor("vnet2"),
                classic=True,
            ),
            Piece(
                "names that one's own DNS server knows",
                own_dns,
                "custom_dns",
                OWN_DNS,
                nothing,
                mended=corporate_names,
            ),
            Piece("Azure's DNS", nothing, "custom_dns", OWN_DNS, azures_dns),
        ],
    ),
    "service_endpoint_private_target": (
        topologies.service_endpoint_private_target,
        [
            Piece(
                "the rule for the target's subnet",
                part("target_rule"),
                "virtual_network_rule",
                f"{SHUT}.* it has no virtual network rule for subnet 'target'",
            ),
            Piece(
                "the service endpoint of the target's subnet",
                without_service_endpoint,
                "service_endpoint",
                f"{SHUT}.* subnet 'target' .* has no service endpoint Microsoft.Sql",
            ),
            Piece(
                "public access of the source",
                public("source", "Disabled"),
                "public_access",
                CLOSED,
                public("source", "Enabled"),
            ),
            Piece(
                "the link of the target's zone",
                unlink("target_zone", "vnet"),
                LINK,
                unlinked("target", "pvtnetwork"),
                classic=True,
            ),
            Piece(
                "a subnet to migrate from",
                both(part("source_rule"), part("source_subnet")),
                "subnet",
                no_subnet("pgflex-migration", "pvtnetwork"),
                classic=True,
            ),
            Piece(
                "the record of an endpoint of the public source",
                endpoint_without_record,
                "private_dns_record",
                "has no record of server '{source}'",
                register("endpoint", "link_zone"),
            ),
        ],
    ),
    "private_source_public_target": (
        topologies.private_source_public_target,
        [
            Piece("the runtime server", without_runtime, "runtime_server", NO_RUNTIME),
            Piece(
                "the runtime server's subnet",
                no_runtime_subnet("vnet"),
                "subnet",
                NO_RUNTIME,
                also=("runtime_server",),
            ),
            Piece("the link of the source's zone", unlink("source_zone", "vnet"), LINK, unlinked("source", "vnet1")),
            Piece(
                "the link of the source's zone, classic",
                unlink("source_zone", "vnet"),
                LINK,
                unlinked("source", "vnet1"),
                **DIRECT,
            ),
            Piece(
                "the endpoint's approval",
                decide("source", "Rejected"),
                "private_endpoint",
                f"{CLOSED}. {REJECTED}",
                decide("source", "Approved"),
                **DIRECT,
            ),
            Piece(
                "public access of the target",
                public("target", "Disabled"),
                "public_access",
                NOT_OPEN,
                public("target", "Enabled"),
                classic=True,
                broken=beside_the_source,
                mended=anywhere,
            ),
        ],
    ),
    "third_vnet": (
        topologies.third_vnet,
        [
            Piece(
                "the peering with the source's network",
                unpeer("vnet3", "vnet1"),
                "peering",
                unpeered("source", "vnet1", "vnet3"),
                **OPEN,
            ),
            Piece(
                "the peering with the target's network",
                unpeer("vnet2", "vnet3"),
                "peering",
                unconnected("target", "vnet2", "vnet3"),
                **OPEN,
            ),
            Piece(
                "the link of the source's zone",
                unlink("source_zone", "vnet3"),
                LINK,
                unlinked("source", "vnet3"),
                **OPEN,
            ),
            Piece(
                "the link of the target's zone",
                unlink("target_zone", "vnet3"),
                LINK,
                unlinked("target", "vnet3"),
                **OPEN,
            ),
            Piece(
                "an open port out of the third network",
                deny("work", "Outbound"),
                "network_security_group",
                out_of("work"),
                allow("work"),
                **OPEN,
            ),
            Piece("the role on the third network", no_role("vnet3"), "role_scope", not_contributor("vnet3"), **OPEN),
            Piece(
                "a subnet in the third network",
                part("work"),
                "subnet",
                no_subnet("pgflex-migration", "vnet3"),
                **OPEN,
            ),
        ],
    ),
    "runtime_server": (
        topologies.runtime_server,
        [
            Piece("the runtime server", without_runtime, "runtime_server", NO_RUNTIME),
            Piece("the peering", unpeer("vnet1", "vnet2"), "peering", unpeered("target", "vnet2", "vnet1")),
            Piece("the link of the endpoints' zone", unlink("source_zone", "vnet1"), LINK, unlinked("source", "vnet1")),
            Piece(
                "the target's record",
                unregister("target_endpoint"),
                "private_dns_record",
                "has no record of server '{target}'",
                register("target_endpoint", "source_zone"),
            ),
            Piece(
                "approval of the target's endpoint",
                decide("target", "Rejected"),
                "private_endpoint",
                f"{NOT_OPEN}. {REJECTED}",
                decide("target", "Approved"),
            ),
            Piece(
                "approval of the source's endpoint",
                decide("source", "Rejected"),
                "private_endpoint",
                f"{CLOSED}. {REJECTED}",
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
                out_of("target"),
                allow("target_subnet"),
            ),
            Piece(
                "the source's firewall or pg_hba.conf",
                admit(),
                "source_firewall",
                OWN_SHUT,
                admit(everyone=["0.0.0.0", "255.255.255.255"]),
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
                "There is no route from virtual network 'vnet1' to server '{source}'",
                lambda built: routes(built, [built.parts["vnet"]]),
                broken=route("none"),
            ),
            Piece(
                "an open port out of the target's subnet",
                deny("target_subnet", "Outbound"),
                "network_security_group",
                out_of("target"),
                allow("target_subnet"),
            ),
            Piece(
                "the source's pg_hba.conf",
                admit(others=["203.0.113.1"]),
                "source_firewall",
                OWN_SHUT,
                admit(everyone=["0.0.0.0", "255.255.255.255"]),
            ),
            Piece(
                "the link of the zone with the source's name",
                zone_of_the_host,
                LINK,
                NOT_RESOLVED,
                broken=by_name,
                mended=by_name,
            ),
            Piece(
                "a zone with the source's name",
                both(unlink("corp_zone", "vnet"), part("corp_zone")),
                "custom_dns",
                NOT_RESOLVED,
                nothing,
                broken=by_name,
            ),
        ],
    ),
    "onprem_machine": (
        topologies.onprem_machine,
        [
            Piece(
                "the peering from the machine's network",
                unpeer("vnet1", "vnet2"),
                "peering",
                unconnected("source", "vnet1", "vnet2"),
            ),
            Piece(
                "the peering from the target's network",
                unpeer("vnet2", "vnet1"),
                "peering",
                unpeered("source", "vnet1", "vnet2"),
            ),
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
    unknown: list[str] = field(default_factory=list)
    words: str = ""
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
            until = time.monotonic() + 600
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
            subnet = topology["migration_subnet_id"] or settings.get("migration_subnet_id")
            place = {"resourceId": built.site.work_group, "subnetResourceId": subnet}
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
            names = {side: re.escape(getattr(self.built[name], side).name) for side in ("source", "target")}
            records[name].words = piece.says.replace("{source}", names["source"]).replace("{target}", names["target"])
        looked, output = self.play(LOOK, broken)
        assert set(looked) == set(pieces), output
        for name, topology in looked.items():
            records[name].said = [missing["message"] for missing in topology["missing"]]
            records[name].kinds = [missing["kind"] for missing in topology["missing"]]
            records[name].unknown = [row["kind"] for row in topology["unknown"]]
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
        complete = {name: Piece("nothing", nothing, "", "") for name in TABLE}
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


CASES = {f"{name}: {piece.what}": piece for name, (_build, pieces) in TABLE.items() for piece in pieces}


def code_of(error: str) -> str:
    found = re.search(r"603\d\d\d", error)
    return f"fails, {found[0]}" if found else "fails" if error else "SUCCEEDED"


@pytest.mark.parametrize("case", CASES)
def test_without_a_piece_the_migration_fails_and_with_it_the_rows_arrive(case: str, records: dict[str, Record]) -> None:
    piece, record = CASES[case], records[case]
    # Of what nobody can read topology_info says just that, whether it is there or not.
    read = piece.kind != "source_firewall"
    told = record.kinds if read else record.unknown
    pieces_table.ROWS.append(
        (
            case.split(": ", maxsplit=1)[0],
            "classic" if piece.classic else "current",
            piece.what,
            piece.kind if piece.kind in told else "NOT TOLD",
            code_of(record.failed),
            "its owner" if piece.mend else "the role",
            "arrived" if record.arrived and not record.mended else "MISSING",
        )
    )
    assert piece.kind in told, record.said
    assert set(record.kinds) == {*piece.also, *([piece.kind] if read else [])}, record.said
    assert re.search(record.words, record.failed), record.failed
    if "{" in piece.says:
        assert "603000" in record.failed
    assert not record.mended
    assert record.arrived


@pytest.mark.parametrize("name", TABLE)
def test_with_every_piece_in_place_nothing_is_missing(name: str, records: dict[str, Record]) -> None:
    record = records[f"{name}: nothing"]
    assert record.kinds == [], record.said
    assert record.failed == "" and record.arrived


def test_there_are_forty_cases() -> None:
    assert len(CASES) >= 40
