# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rehearsal of an inventory needs: servers for the lab, and settings that lead the playbooks to them. Pure."""

from __future__ import annotations

import copy
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pgflex.migrate.plugins.module_utils._migration.settings import FLEXIBLE, SINGLE
from ansible_collections.pgflex.migrate.plugins.plugin_utils.settings_spec import azure_problems, settings_problems

Settings = dict[str, Any]

SUBSCRIPTION = "5c5037e5-d3f1-4e7b-b3a9-f6bf94902b30"
OPERATOR = "11111111-0000-4000-8000-00000000000a"
TENANT = "7a1c0f5e-3b58-4c43-9f0e-5b8b1d2f6a01"
FROM_AZURE = {"AllowAllAzureIps": ["0.0.0.0", "0.0.0.0"]}
FROM_EVERYWHERE = {"everyone": ["0.0.0.0", "255.255.255.255"]}
EXTENSIONS = "hstore,pg_trgm,pgcrypto,uuid-ossp,citext,btree_gin,btree_gist,unaccent,tablefunc"
NOT_REHEARSED = ("window", "runtime_server_id", "migration_subnet_id", "migration_resource_group_id", "report")


class CannotRehearse(Exception):
    """The inventory does not say enough; the text is for people."""


@dataclass(frozen=True)
class Server:
    """One server of the lab; `key` tells it from the others, as hosts may share one."""

    key: str
    kind: str
    name: str
    subscription: str
    resource_group: str
    admin: str
    password: str = field(repr=False)
    host: str = ""
    logical: bool = False

    def seed(self) -> dict[str, Any]:
        """As the lab's own API takes it."""
        made: dict[str, Any] = {
            "type": self.kind,
            "name": self.name,
            "subscription": self.subscription,
            "resource_group": self.resource_group,
            "admin": self.admin,
            "password": self.password,
            "firewall_rules": FROM_EVERYWHERE if self.kind == "other" else FROM_AZURE,
        }
        if self.kind == "flexible":
            made["parameters"] = {"azure.extensions": EXTENSIONS}
        if self.kind == "other":
            made["host"] = self.host
        if self.logical:
            made["parameters"] = {**made.get("parameters", {}), "wal_level": "logical"}
        return made


@dataclass
class Plan:
    servers: dict[str, Server] = field(default_factory=dict)
    hosts: dict[str, Settings] = field(default_factory=dict)
    """The dictionary `pgflex` of each host, for the lab; passwords are names of environment variables."""
    sides: dict[str, dict[str, str]] = field(default_factory=dict)
    """The keys of each host's source and target."""
    environment: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    operators: list[dict[str, Any]] = field(default_factory=list)

    @property
    def secrets(self) -> list[str]:
        given = [*self.environment.values(), *(str(item["secret"]) for item in self.operators)]
        return sorted(set(given), key=len, reverse=True)

    @property
    def manual(self) -> bool:
        """Does a host stop before the cutover, as is the default?"""
        cutovers = [item.get("cutover") or {} for item in self.hosts.values() if item.get("mode") == "online"]
        return any((item.get("trigger") or "manual") == "manual" for item in cutovers)

    def seed(self) -> dict[str, Any]:
        """The lab's start state: no servers yet, as their passwords are to be in no file."""
        groups: dict[str, set[str]] = {}
        for server in self.servers.values():
            groups.setdefault(server.subscription, set())
            if server.resource_group:
                groups[server.subscription].add(server.resource_group)
        owner = {
            "name": "rehearsal",
            "client_id": OPERATOR,
            "secret": secrets.token_urlsafe(24),
            "graph_permissions": ["Application.ReadWrite.All", "Organization.Read.All", "User.Read.All"],
        }
        scopes = [f"/subscriptions/{item}" for item in groups]
        everyone = [{**owner, "roles": [{"role": "Owner", "scope": scope} for scope in scopes]}]
        everyone += [
            {**item, "roles": [{"role": "Contributor", "scope": scope} for scope in scopes]} for item in self.operators
        ]
        return {
            "tenant": {"id": TENANT, "name": "Rehearsal", "domain": "rehearsal.onmicrosoft.com"},
            "subscriptions": [
                {
                    "id": subscription,
                    "name": "Rehearsal",
                    "providers": ["Microsoft.DBforPostgreSQL", "Microsoft.Network"],
                    "resource_groups": [{"name": name, "location": "eastus"} for name in sorted(names)],
                }
                for subscription, names in groups.items()
            ],
            "operators": everyone,
        }


def make(inventory: Mapping[str, Mapping[str, Any]]) -> Plan:
    """`inventory` has for each host what is in its `pgflex` and `pgflex_azure`."""
    found = {host: item for host, item in inventory.items() if item.get("pgflex")}
    if not found:
        raise CannotRehearse(
            "no host of the inventory has a dictionary pgflex: give each pair of servers a host with one, "
            "as README.md shows."
        )
    wrong = [f"host {host}: {text}" for host, item in found.items() for text in _problems(item)]
    if wrong:
        raise CannotRehearse("\n".join(wrong))
    plan = Plan()
    for host, item in found.items():
        _add(plan, host, item["pgflex"], item.get("azure") or {})
    return plan


def _problems(item: Mapping[str, Any]) -> list[str]:
    """What the role settings would refuse; a password that is missing is made up here."""
    found = azure_problems(item.get("azure") or {}) + settings_problems(item["pgflex"])
    return [text for text in found if not text.endswith(".password is missing.")]


def _add(plan: Plan, host: str, given: Settings, azure: Mapping[str, Any]) -> None:
    pgflex = copy.deepcopy(given)
    generated = [side for side in ("source", "target") if not pgflex[side].get("password")]
    for side in generated:
        pgflex[side]["password"] = _password(plan, pgflex[side])
    plan.notes += [f"{host}: the {side} has no password in the inventory; one was made up" for side in generated]
    _leave_out(plan, host, pgflex)
    default = str(pgflex.get("subscription_id") or azure.get("subscription_id") or SUBSCRIPTION).lower()
    pgflex["subscription_id"] = default
    plan.sides[host] = {}
    for side in ("source", "target"):
        server = _server(side, pgflex, default)
        _share(plan, host, server)
        plan.sides[host][side] = server.key
        variable = f"PGFLEX_REHEARSAL_{len(plan.environment)}"
        plan.environment[variable] = plan.servers[server.key].password
        pgflex[side]["password"] = f"{{{{ lookup('env', '{variable}') }}}}"
    _application(plan, pgflex)
    pgflex["watch"] = {**(pgflex.get("watch") or {}), "min_interval": 0.3, "max_interval": 1}
    plan.hosts[host] = pgflex


def _password(plan: Plan, side: Mapping[str, Any]) -> str:
    """The same for every host that names the same server."""
    name = str(side.get("name") or side.get("host") or "").lower()
    known = [item.password for item in plan.servers.values() if name in (item.name, item.host)]
    return known[0] if known else f"{secrets.token_urlsafe(18)}-aA1"


def _leave_out(plan: Plan, host: str, pgflex: Settings) -> None:
    for name in NOT_REHEARSED:
        if pgflex.pop(name, None):
            plan.notes.append(f"{host}: pgflex.{name} is left out")


def _server(side: str, pgflex: Settings, default: str) -> Server:
    given = pgflex[side]
    kinds = {SINGLE: "single", FLEXIBLE: "flexible"}
    kind = "flexible" if side == "target" else kinds.get(str(given.get("type") or SINGLE), "other")
    online = pgflex.get("mode") == "online"
    subscription = str(given.get("subscription_id") or default).lower()
    user, password = str(given["user"]), str(given["password"])
    if kind == "other":
        host = str(given["host"]).lower()
        name = f"own-{uuid.uuid5(uuid.NAMESPACE_DNS, host).hex[:12]}"
        return Server(host, kind, name, subscription, "", user, password, host, online)
    name, group = str(given["name"]).lower(), str(given["resource_group"])
    key = f"{subscription}/{group.lower()}/{name}"
    admin = user.partition("@")[0] if kind == "single" else user
    logical = kind == "flexible" and side == "source" and online
    return Server(key, kind, name, subscription, group, admin, password, logical=logical)


def _share(plan: Plan, host: str, server: Server) -> None:
    known = plan.servers.setdefault(server.key, server)
    if (known.admin, known.password, known.kind) != (server.admin, server.password, server.kind):
        raise CannotRehearse(
            f"host {host}: the server {server.host or server.name} is used by another host with another user, password "
            "or type; the lab's servers have one user each."
        )
    if any(item.name == server.name and item.key != server.key for item in plan.servers.values()):
        raise CannotRehearse(f"host {host}: two servers are called {server.name}, which Azure does not allow.")


def _application(plan: Plan, pgflex: Settings) -> None:
    """An Entra application of the user's own has to be one in the lab."""
    app = pgflex.get("app") or {}
    if not app.get("client_id"):
        return
    variable = f"PGFLEX_REHEARSAL_{len(plan.environment)}"
    plan.environment[variable] = secret = secrets.token_urlsafe(24)
    if all(item["client_id"] != app["client_id"] for item in plan.operators):
        plan.operators.append({"name": "application", "client_id": str(app["client_id"]), "secret": secret})
    else:
        plan.environment[variable] = next(
            str(item["secret"]) for item in plan.operators if item["client_id"] == app["client_id"]
        )
    pgflex["app"] = {**app, "tenant_id": TENANT, "client_secret": f"{{{{ lookup('env', '{variable}') }}}}"}


def lead(plan: Plan, addresses: Mapping[str, str], authority: str) -> dict[str, dict[str, Any]]:
    """The variables of each host that are laid over the inventory's, when the servers have their addresses."""
    laid = {}
    for host, settings in plan.hosts.items():
        made = copy.deepcopy(settings)
        for side, key in plan.sides[host].items():
            made[side] |= {"hostaddr": addresses[key], "port": 5432, "sslrootcert": authority}
        laid[host] = {
            "pgflex": made,
            "pgflex_azure": {"subscription_id": settings["subscription_id"]},
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        }
    return laid
