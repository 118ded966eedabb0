# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The topology of a migration: its name, where the migrating side sits, what is missing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._ids import same
from .._permissions import allows
from .facts import Facts, Server, key, name_of
from .made import made_of
from .plan import GiveRole, Missing, Need, plan_of, steps_of
from .reach import Way, lacking
from .trust import on_trust
from .worker import Worker, endpoint_network, place, scopes, third_network

# The guides' words.
TITLES = {
    "public_access": "Source and Target servers - Public Access",
    "private_same_vnet": "Source and Target servers - Private Access in the same Vnet",
    "private_different_vnets": "Source and Target servers - Private Access in the different Vnets",
    "service_endpoint_private_target": "Public Source with Virtual Network Service EndPoints and Private target",
    "private_source_public_target": "Source has private access and target has public access",
    "third_vnet": "Migration in a VNet that is different from the source and target VNets",
    "runtime_server": "Migration runtime server for servers that are reached by private endpoints",
    "onprem_public": "Public source outside Azure: no action needed, provided the firewall rules let the target in",
    "onprem_private": "Private source outside Azure: Express route, IP Sec VPN, VPN Tunnelling or VNET Peering",
    "onprem_private_public_target": "Non supported network configuration, need to use pg_dump/pg_restore",
    "unknown": "Unknown",
}
UNSUPPORTED = "onprem_private_public_target"


@dataclass(frozen=True)
class Topology:
    facts: Facts
    name: str
    worker: Worker
    missing: tuple[Missing, ...]
    # Of the caller, for the steps; found after everything else.
    rights: tuple[Missing, ...] = field(default=())

    def row(self) -> dict[str, Any]:
        worker, facts = self.worker, self.facts
        return {
            "name": self.name,
            "title": TITLES[self.name],
            "supported": self.name != UNSUPPORTED,
            "custom_dns": bool(worker.network_id and facts.network(worker.network_id).own_dns),
            "source": _side(facts.source),
            "target": _side(facts.target),
            "migrates_from": worker.row(),
            "reaches_source": self._reaches("source"),
            "reaches_target": self._reaches("target"),
            "missing": [row.row() for row in (*self.missing, *self.rights)],
            "unknown": [row.told() for row in on_trust(facts, worker)],
            "plan": plan_of(self.missing),
            "scopes": scopes(facts, worker),
            "migration_subnet_id": worker.subnet_id if worker.kind == "migration_subnet" else None,
            "runtime_server": worker.runtime,
            "made": made_of(facts, worker),
        }

    def _reaches(self, side: str) -> bool:
        return not any(row.side in (side, "both") and row.kind != "role_scope" for row in self.missing)

    def needs(self) -> list[Need]:
        """The rights that the plan takes, each once."""
        steps = steps_of(self.missing)
        found = {(key(need.scope), need.action): need for step in steps for need in step.needs()}
        return list(found.values())


def reason(facts: Facts) -> Topology:
    name = _name(facts)
    if name == UNSUPPORTED:
        return _hopeless(facts, name, _unsupported(facts))
    if name == "unknown":
        return _hopeless(facts, name, *(_closed(facts, side) for side in ("source", "target") if _shut(facts, side)))
    worker = place(facts)
    missing = list(worker.missing)
    for side, server in (("source", facts.source), ("target", facts.target)):
        missing += lacking(Way(facts, worker, server, side), missing)
    missing += _roles(facts, worker)
    return Topology(facts, name, worker, tuple(missing))


def _hopeless(facts: Facts, name: str, *missing: Missing) -> Topology:
    worker = Worker("target_server", f"The target server {facts.target.name}.", placed=False)
    return Topology(facts, name, worker, missing)


def _name(facts: Facts) -> str:
    source, target = facts.source, facts.target
    if source.access == "none" or target.access == "none":
        return "unknown"
    # A runtime server serves targets that have nothing but a private endpoint; the classic service has no such thing.
    endpoint_only = target.access == "private_endpoint" and not facts.wishes.classic
    if source.kind == "outside":
        if source.access == "private" and target.access == "public":
            return UNSUPPORTED
        if endpoint_only:
            return "runtime_server"
        return "onprem_private" if source.access == "private" else "onprem_public"
    if endpoint_only:
        return "runtime_server"
    return "third_vnet" if _third(facts) else _by_access(source, target)


def _third(facts: Facts) -> bool:
    """A runtime server for one private server may be in any network, and is then no topology of its own."""
    private = [server for server in (facts.source, facts.target) if server.access != "public"]
    enough = 1 if facts.wishes.classic else 2
    return third_network(facts) is not None and (bool(facts.wishes.network_id) or len(private) >= enough)


def _by_access(source: Server, target: Server) -> str:
    if source.access == "public":
        return "public_access" if target.access == "public" else "service_endpoint_private_target"
    if target.access == "public":
        return "private_source_public_target"
    together = same(endpoint_network(source), endpoint_network(target))
    return "private_same_vnet" if together else "private_different_vnets"


def _side(server: Server) -> dict[str, Any]:
    endpoint = server.endpoints[0] if server.access == "private_endpoint" else None
    zones = [server.zone_id] if server.zone_id else list(endpoint.zone_ids) if endpoint else []
    return {
        "access": "public" if server.access == "none" else server.access,
        "virtual_network_id": endpoint_network(server),
        "subnet_id": server.subnet_id or (endpoint.subnet_id if endpoint else None),
        "private_endpoint_id": endpoint.id if endpoint else None,
        "private_dns_zone_ids": zones,
        "fqdn": server.fqdn or server.host,
    }


def _unsupported(facts: Facts) -> Missing:
    message = (
        f"{TITLES[UNSUPPORTED]}: the source {facts.source.host} is private, and the target {facts.target.name} is "
        "public. Set pgflex.engine: direct, which copies between the two from this machine without the service."
    )
    return Missing("topology", "both", message)


def _shut(facts: Facts, side: str) -> bool:
    server: Server = getattr(facts, side)
    return server.access == "none"


def _closed(facts: Facts, side: str) -> Missing:
    server: Server = getattr(facts, side)
    ends = ", ".join(name_of(text) for text in server.unreadable)
    has = f"no private endpoint that can be read (of {ends} nothing is known)" if ends else "no private endpoint"
    message = (
        f"{server.name} denies public network access and has {has}: give it a private endpoint in a virtual network "
        "that the migration can use, or allow public network access."
    )
    return Missing("public_access", side, message)


def _roles(facts: Facts, worker: Worker) -> list[Missing]:
    """The scopes at which the application, when it is known, is not Contributor."""
    if facts.roles is None:
        return []
    found = []
    for scope in scopes(facts, worker):
        if any(key(scope) == held or key(scope).startswith(f"{held}/") for held in facts.roles):
            continue
        side = "source" if same(scope, facts.source.id) else "target" if same(scope, facts.target.id) else "both"
        message = f"The application of the classic service is not Contributor at {name_of(scope)}."
        found.append(Missing("role_scope", side, message, (GiveRole(scope),)))
    return found


def rights_lacking(needs: Iterable[Need], permissions: Mapping[str, list[dict[str, Any]]]) -> tuple[Missing, ...]:
    """For each scope, by `key`, what the caller's permissions there do not allow of what the plan needs."""
    lacking: dict[str, list[Need]] = {}
    for need in needs:
        if not allows(permissions[key(need.scope)], need.action):
            lacking.setdefault(key(need.scope), []).append(need)
    return tuple(_right(rows) for rows in lacking.values())


def _right(needs: list[Need]) -> Missing:
    actions = " and ".join(need.action for need in needs)
    roles = " and ".join(dict.fromkeys(need.role for need in needs))
    scope = needs[0].scope
    message = (
        f"The signed-in identity may not do {actions} at {name_of(scope)}, which the plan needs: ask for the role "
        f"{roles} at {scope}, or have the steps done by someone who has it."
    )
    return Missing("permission", "both", message)
