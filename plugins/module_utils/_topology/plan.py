# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is missing between two servers, the steps that mend it, and the rights that the steps need. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from .._ids import ResourceId, parse
from .facts import key, name_of, network_of, resource_group_id, subnet_words

NETWORK = "Microsoft.Network"
NETWORK_ROLE, ZONE_ROLE, SERVER_ROLE = "Network Contributor", "Private DNS Zone Contributor", "Contributor"
GRANTING_ROLE = "User Access Administrator"


@dataclass(frozen=True)
class Need:
    """A right that a step takes; `role` is a built-in one that has it."""

    scope: str
    action: str
    role: str


@dataclass(frozen=True)
class Step:
    """One thing to make. `same` tells steps apart that come from the needs of both servers."""

    key: ClassVar[str]

    @property
    def same(self) -> Any:
        return self

    def words(self) -> str:
        raise AssertionError(f"{type(self).__name__} has no words()")

    def needs(self) -> list[Need]:
        raise AssertionError(f"{type(self).__name__} has no needs()")

    def row(self) -> Any:
        """The options of the module that does it."""
        raise AssertionError(f"{type(self).__name__} has no row()")


@dataclass(frozen=True)
class MakeSubnet(Step):
    """A subnet that is to be there, with these service endpoints."""

    key: ClassVar[str] = "subnets"
    network_id: str
    name: str
    address_prefix: str | None = None
    delegation: str | None = None
    service_endpoints: tuple[str, ...] = ()
    exists: bool = False

    def words(self) -> str:
        where = f"{self.name} of {name_of(self.network_id)}"
        endpoints = " and ".join(self.service_endpoints)
        if self.exists:
            return f"Add the service endpoint {endpoints} to the subnet {where}."
        delegated = f", delegated to {self.delegation}" if self.delegation else ""
        return f"Make the subnet {where}{delegated}{f', with the service endpoint {endpoints}' if endpoints else ''}."

    def needs(self) -> list[Need]:
        return [Need(self.network_id, f"{NETWORK}/virtualNetworks/subnets/write", NETWORK_ROLE)]

    def row(self) -> dict[str, Any]:
        return {
            "virtual_network_id": self.network_id,
            "name": self.name,
            "address_prefix": self.address_prefix,
            "delegation": self.delegation,
            "service_endpoints": list(self.service_endpoints),
        }


@dataclass(frozen=True)
class Peer(Step):
    key: ClassVar[str] = "peerings"
    network_id: str
    remote_id: str

    @property
    def same(self) -> Any:
        return frozenset({key(self.network_id), key(self.remote_id)})

    def words(self) -> str:
        return f"Peer {name_of(self.network_id)} with {name_of(self.remote_id)}, both ways."

    def needs(self) -> list[Need]:
        actions = ("virtualNetworkPeerings/write", "peer/action")
        return [
            Need(network, f"{NETWORK}/virtualNetworks/{action}", NETWORK_ROLE)
            for network in (self.network_id, self.remote_id)
            for action in actions
        ]

    def row(self) -> dict[str, Any]:
        return {"virtual_network_id": self.network_id, "remote_virtual_network_id": self.remote_id}


@dataclass(frozen=True)
class MakeZone(Step):
    key: ClassVar[str] = "private_dns_zones"
    zone_id: str

    def words(self) -> str:
        return f"Make the private DNS zone {name_of(self.zone_id)} in {parse(self.zone_id, 'id').resource_group}."

    def needs(self) -> list[Need]:
        return [Need(resource_group_id(self.zone_id), f"{NETWORK}/privateDnsZones/write", ZONE_ROLE)]

    def row(self) -> dict[str, Any]:
        where = parse(self.zone_id, "id")
        return {"subscription_id": where.subscription_id, "resource_group": where.resource_group, "name": where.name}


@dataclass(frozen=True)
class LinkZone(Step):
    key: ClassVar[str] = "private_dns_zone_links"
    zone_id: str
    network_id: str
    # Rights at a zone that is made first are asked of its resource group.
    exists: bool = True

    @property
    def same(self) -> Any:
        return key(self.zone_id), key(self.network_id)

    def words(self) -> str:
        return f"Link the private DNS zone {name_of(self.zone_id)} to {name_of(self.network_id)}."

    def needs(self) -> list[Need]:
        scope = self.zone_id if self.exists else resource_group_id(self.zone_id)
        return [
            Need(scope, f"{NETWORK}/privateDnsZones/virtualNetworkLinks/write", ZONE_ROLE),
            Need(self.network_id, f"{NETWORK}/virtualNetworks/join/action", NETWORK_ROLE),
        ]

    def row(self) -> dict[str, Any]:
        return {"zone_id": self.zone_id, "virtual_network_ids": [self.network_id]}


@dataclass(frozen=True)
class AdmitSubnet(Step):
    """A virtual network rule of a Single Server."""

    key: ClassVar[str] = "virtual_network_rules"
    server_id: str
    name: str
    subnet_id: str

    def words(self) -> str:
        return (
            f"Admit the subnet {subnet_words(self.subnet_id)} at {name_of(self.server_id)} by a virtual network rule."
        )

    def needs(self) -> list[Need]:
        join = f"{NETWORK}/virtualNetworks/subnets/joinViaServiceEndpoint/action"
        return [
            Need(self.server_id, "Microsoft.DBforPostgreSQL/servers/virtualNetworkRules/write", SERVER_ROLE),
            # Asked of the network: the subnet may be one that is made first.
            Need(network_of(self.subnet_id), join, NETWORK_ROLE),
        ]

    def row(self) -> dict[str, Any]:
        return {**_server(self.server_id), "rules": [{"name": self.name, "subnet_id": self.subnet_id}]}


@dataclass(frozen=True)
class OpenFirewall(Step):
    """A firewall rule; 0.0.0.0 stands for all Azure services."""

    key: ClassVar[str] = "firewall_rules"
    server_id: str
    name: str
    address: str

    def words(self) -> str:
        who = "Azure services" if self.address == "0.0.0.0" else self.address
        return f"Admit {who} at {name_of(self.server_id)} by a firewall rule."

    def needs(self) -> list[Need]:
        kind = parse(self.server_id, "id").types[0]
        return [Need(self.server_id, f"Microsoft.DBforPostgreSQL/{kind}/firewallRules/write", SERVER_ROLE)]

    def row(self) -> dict[str, Any]:
        flexible = parse(self.server_id, "id").types[0].lower() == "flexibleservers"
        rule = {"name": self.name, "start_ip_address": self.address, "end_ip_address": self.address}
        kind = "flexible_server" if flexible else "single_server"
        return {**_server(self.server_id), "server_type": kind, "rules": [rule]}


@dataclass(frozen=True)
class GiveRole(Step):
    key: ClassVar[str] = "scopes"
    scope: str

    def words(self) -> str:
        return f"Make the application Contributor at {name_of(self.scope)}."

    def needs(self) -> list[Need]:
        return [Need(self.scope, "Microsoft.Authorization/roleAssignments/write", GRANTING_ROLE)]

    def row(self) -> str:
        return self.scope


@dataclass(frozen=True)
class MakeRuntimeServer(Step):
    """In none of the plan's lists and words: it is the result's `runtime_server`, and made after the networks."""

    key: ClassVar[str] = "runtime_server"
    group_id: str
    subnet_id: str

    def needs(self) -> list[Need]:
        return [
            Need(self.group_id, "Microsoft.DBforPostgreSQL/flexibleServers/write", SERVER_ROLE),
            Need(network_of(self.subnet_id), f"{NETWORK}/virtualNetworks/subnets/join/action", NETWORK_ROLE),
        ]


@dataclass(frozen=True)
class Missing:
    """One missing piece: with steps it can be made, without it is the user's to mend."""

    kind: str
    side: str  # source, target or both
    message: str
    steps: tuple[Step, ...] = ()

    def told(self) -> dict[str, str]:
        return {"kind": self.kind, "side": self.side, "message": self.message}

    def row(self) -> dict[str, str]:
        return {**self.told(), "remedy": "apply" if self.steps else "by_hand"}


# In the order in which they can be made.
KEYS = ("subnets", "private_dns_zones", "private_dns_zone_links", "peerings", "virtual_network_rules", "firewall_rules")


def steps_of(missing: Iterable[Missing]) -> list[Step]:
    """Each step once, in the order of making."""
    found: dict[Any, Step] = {}
    for step in (step for row in missing for step in row.steps):
        found.setdefault((step.key, step.same), step)
    made = _subnets_once([step for step in found.values() if isinstance(step, MakeSubnet)])
    others = [step for step in found.values() if not isinstance(step, MakeSubnet)]
    order = {name: number for number, name in enumerate((*KEYS, GiveRole.key, MakeRuntimeServer.key))}
    return sorted([*made, *others], key=lambda step: order[step.key])


def _subnets_once(steps: list[MakeSubnet]) -> list[MakeSubnet]:
    """A subnet that is made and one that gets an endpoint may be the same."""
    found: dict[tuple[str, str], MakeSubnet] = {}
    for step in steps:
        where = key(step.network_id), step.name.lower()
        first = found.setdefault(where, step)
        endpoints = tuple(dict.fromkeys((*first.service_endpoints, *step.service_endpoints)))
        found[where] = MakeSubnet(
            first.network_id, first.name, first.address_prefix, first.delegation, endpoints, first.exists
        )
    return list(found.values())


def plan_of(missing: Iterable[Missing]) -> dict[str, Any]:
    """The options of the modules that make what is missing; what concerns one zone or server is one entry."""
    steps = steps_of(missing)
    rows: dict[str, Any] = {name: [step.row() for step in steps if step.key == name] for name in KEYS}
    rows["private_dns_zone_links"] = merged(rows["private_dns_zone_links"], "virtual_network_ids")
    for name in ("virtual_network_rules", "firewall_rules"):
        rows[name] = merged(rows[name], "rules")
    rows["scopes"] = [step.row() for step in steps if step.key == GiveRole.key]
    rows["words"] = [step.words() for step in steps if step.key in rows]
    return rows


def merged(rows: list[dict[str, Any]], *lists: str) -> list[dict[str, Any]]:
    """Rows that differ in these lists only, as one."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        same = "|".join(str(value).lower() for name, value in row.items() if name not in lists)
        if same in found:
            for name in lists:
                found[same][name] += row[name]
        else:
            found[same] = {name: list(value) if name in lists else value for name, value in row.items()}
    return list(found.values())


def _server(server_id: str) -> dict[str, Any]:
    where: ResourceId = parse(server_id, "id")
    return {
        "subscription_id": where.subscription_id,
        "resource_group": where.resource_group,
        "server_name": where.name,
    }
