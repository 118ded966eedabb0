# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills a lab from a YAML file; see README.md for its keys."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pgflex_lab import seed_networks
from pgflex_lab.arm.http import ArmError, ArmRequest
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.graph import application_template, principal_body
from pgflex_lab.rbac import ITSELF
from pgflex_lab.resources.networking import VNET, ZONE
from pgflex_lab.resources.servers import FLEXIBLE, ONPREMISES_TYPE, SINGLE
from pgflex_lab.seed_networks import InvalidSeed, Scope

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

NAMESPACE = uuid.UUID("6f1d2ad4-7a4e-4c1d-9c3e-3b0f6b1c5a10")
WORKLOAD_ISSUER = "https://oidc.lab.example/cluster"


def load(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InvalidSeed(f"seed {path}: {error}") from error
    if not isinstance(data, dict):
        raise InvalidSeed(f"seed {path}: a mapping is expected")
    return data


def apply(lab: Lab, data: dict[str, Any]) -> None:
    """Everything exists at once: no replication delay, no operations."""
    _tenant(lab, data.get("tenant") or {})
    for item in data.get("subscriptions") or []:
        lab.subscriptions.add(str(item["id"]), str(item.get("name") or "lab"))
        for namespace in item.get("providers") or []:
            lab.providers.seed(str(item["id"]), namespace)
        for group in item.get("resource_groups") or []:
            lab.resource_groups.add(str(item["id"]), group["name"], group.get("location", "eastus"), group.get("tags"))
    add_networks(lab, data)
    for item in data.get("operators") or []:
        _operator(lab, item)
    _environment(lab, data)


def _tenant(lab: Lab, item: dict[str, Any]) -> None:
    directory = lab.directory
    directory.tenant_id = str(item.get("id") or directory.tenant_id)
    directory.domain = str(item.get("domain") or directory.domain)
    directory.display_name = str(item.get("name") or directory.display_name)
    for user in item.get("users") or []:
        object_id = str(uuid.uuid5(NAMESPACE, str(user["upn"])))
        directory.users[object_id] = {
            "id": object_id,
            "userPrincipalName": user["upn"],
            "displayName": user.get("name", user["upn"]),
            "mail": user["upn"],
            "businessPhones": [],
            "givenName": None,
            "jobTitle": None,
            "mobilePhone": None,
            "officeLocation": None,
            "preferredLanguage": None,
            "surname": None,
        }


def _operator(lab: Lab, item: dict[str, Any]) -> None:
    """An application that people or tools sign in with, its rights in Graph and in ARM."""
    directory = lab.directory
    body = application_template(directory.domain)
    body["displayName"] = str(item["name"])
    application = directory.add_application(body, "seed", app_id=str(item["client_id"]).lower())
    object_id = str(uuid.uuid5(NAMESPACE, application.app_id))
    principal = directory.add_principal(
        application.app_id, principal_body(application, directory.tenant_id), "seed", object_id=object_id
    )
    principal.known_to_arm_from = principal.listed_from = application.listed_from = lab.clock.monotonic()
    principal.graph_permissions = frozenset(item.get("graph_permissions") or [])
    principal.managed_identity = bool(item.get("managed_identity"))
    if item.get("secret"):
        end = datetime.now(UTC) + timedelta(days=float(item.get("secret_days", 365)))
        start = min(datetime.now(UTC), end) - timedelta(days=1)
        directory.add_secret(application, value=str(item["secret"]), start=start, end=end, lag=False)
    if item.get("workload_subject"):
        application.federated.append({"issuer": WORKLOAD_ISSUER, "subject": str(item["workload_subject"])})
    for grant in item.get("roles") or []:
        role = lab.rbac.role(str(grant["role"]))
        if role is None:
            raise InvalidSeed(f"operator {item['name']}: there is no role {grant['role']}")
        scope = ResourceId.parse(str(grant["scope"]))
        name = str(uuid.uuid5(NAMESPACE, f"{scope.key}{role.guid}{principal.id}"))
        lab.role_assignments.add(scope, name, role, principal.id, "ServicePrincipal", principal.id)


def _environment(lab: Lab, data: dict[str, Any]) -> None:
    operators = data.get("operators") or []
    subscriptions = data.get("subscriptions") or []
    if not operators or not subscriptions:
        return
    operator = operators[0]
    lab.environment = {
        "AZURE_SUBSCRIPTION_ID": str(subscriptions[0]["id"]),
        "AZURE_TENANT": lab.directory.tenant_id,
        "AZURE_TENANT_ID": lab.directory.tenant_id,
        "AZURE_CLIENT_ID": str(operator["client_id"]),
        "AZURE_SECRET": str(operator.get("secret", "")),
        "AZURE_CLIENT_SECRET": str(operator.get("secret", "")),
    }
    for item in data.get("servers") or []:
        if item.get("environment"):
            lab.environment[f"{item['environment']}_HOSTADDR"] = lab.clusters.get(item["name"]).hostaddr
            lab.environment[f"{item['environment']}_PASSWORD"] = str(item["password"])


def add_networks(lab: Lab, data: dict[str, Any]) -> dict[str, dict[str, str]]:
    """All that a mapping declares of networks and servers; answers with the ids by kind and name."""
    made = seed_networks.prepare(lab, data)
    for item in data.get("servers") or []:
        made.setdefault("servers", {})[str(item.get("name"))] = str(add_server(lab, item, data).id)
    return made | seed_networks.finish(lab, data)


def add_server(lab: Lab, item: dict[str, Any], data: dict[str, Any] | None = None) -> Resource:
    """A server with its cluster, rules, databases and parameters, ready at once."""
    scope = Scope(lab, data or {}, item)
    item = {**item, "subscription": scope.subscription, "resource_group": scope.resource_group}
    try:
        kind = str(item["type"])
        server = {"single": _single, "flexible": _flexible, "other": _other}[kind](lab, item, scope)
        password = str(item["password"])
    except KeyError as error:
        raise InvalidSeed(
            f"a server needs type (single, flexible or other), name, admin and password; {error}"
        ) from None
    lab.servers.check_free(server.id)
    if item.get("cluster"):
        cluster = lab.servers.share_cluster(server, str(item["cluster"]))
    else:
        cluster = lab.servers.make_cluster(server, password)
    if kind == "other":
        server.properties["hostaddr"] = cluster.hostaddr
    try:
        _place(lab, server, item, scope)
    except (ArmError, InvalidSeed):
        lab.servers.drop_cluster(server)
        lab.store.delete(server.id)
        raise
    for database in item.get("databases") or []:
        cluster.create_database(str(database))
    for parameter, value in (item.get("parameters") or {}).items():
        _parameter(lab, server, str(parameter), str(value))
    if item.get("parameters"):
        cluster.restart()
        lab.configurations.restarted(server)
    return server


def _place(lab: Lab, server: Resource, item: dict[str, Any], scope: Scope) -> None:
    """Puts the server into the store with its rules, and into its network."""
    if server.type == FLEXIBLE.type:
        lab.server_networks.attach(server)
    lab.store.put(server)
    for rule, addresses in (item.get("firewall_rules") or {}).items():
        lab.rules.add(server, rule, str(addresses[0]), str(addresses[-1]))
    for rule, subnet in (item.get("virtual_network_rules") or {}).items():
        properties = {"virtualNetworkSubnetId": str(scope.subnet(subnet)), "ignoreMissingVnetServiceEndpoint": True}
        seed_networks.call(lab, "PUT", server.id.child("virtualNetworkRules", str(rule)), {"properties": properties})


def _parameter(lab: Lab, server: Resource, name: str, value: str) -> None:
    if server.type == ONPREMISES_TYPE:
        lab.servers.cluster(server).set_parameter(name, value)
    else:
        lab.configurations.seed(server, name, value)


def _id(item: dict[str, Any], type_name: str) -> ResourceId:
    group = ResourceId(f"/subscriptions/{item['subscription']}/resourceGroups/{item['resource_group']}")
    namespace, _separator, short = type_name.partition("/")
    return group.extension(namespace, short, str(item["name"]))


def _single(lab: Lab, item: dict[str, Any], scope: Scope) -> Resource:
    properties = {
        "administratorLogin": item["admin"],
        "version": item.get("version", "11"),
        "storageProfile": {"storageMB": int(item.get("storage_mb", 102400))},
        "sslEnforcement": item.get("ssl_enforcement", "Enabled"),
        "publicNetworkAccess": item.get("public_network_access", "Enabled"),
    }
    server = lab.single_servers.build(
        _id(item, SINGLE.type), scope.location, properties, {"name": item.get("sku", "GP_Gen5_2")}
    )
    server.tags = dict(item.get("tags") or {})
    return server


def _flexible(lab: Lab, item: dict[str, Any], scope: Scope) -> Resource:
    properties = {
        "administratorLogin": item["admin"],
        "version": item.get("version", "15"),
        "storage": {"storageSizeGB": int(item.get("storage_gb", 128))},
        "network": {"publicNetworkAccess": item.get("public_network_access", "Enabled")},
    }
    if network := item.get("network"):
        properties["network"] = {
            "delegatedSubnetResourceId": str(scope.subnet(network["subnet"])),
            "privateDnsZoneArmResourceId": str(scope.id(network["zone"], ZONE)),
        }
    server_id = _id(item, FLEXIBLE.type)
    server = lab.flexible_servers.build(
        server_id, scope.location, properties, {"name": item.get("sku", "Standard_D2ds_v5")}
    )
    server.tags = dict(item.get("tags") or {})
    request = ArmRequest("PUT", server_id, "", {}, {"properties": properties}, ITSELF.object_id)
    try:
        lab.server_networks.check(request, server)
    except ArmError as error:
        raise InvalidSeed(f"server {server.name}: {error.code}: {error.message}") from error
    return server


def _own(lab: Lab, item: dict[str, Any]) -> Resource:
    server = lab.servers.named(str(item.get("server")))
    if server is None or server.type != ONPREMISES_TYPE:
        raise InvalidSeed(f"there is no server {item.get('server')} of one's own")
    return server


def set_routes(lab: Lab, item: dict[str, Any]) -> Resource:
    """From now on these networks have a VPN or ExpressRoute to the server of that name, and no others."""
    server, scope = _own(lab, item), Scope(lab, item, item)
    server.properties["routes"] = [str(scope.id(network, VNET)) for network in item.get("networks") or []]
    return server


def set_own_rules(lab: Lab, item: dict[str, Any]) -> Resource:
    """From now on the server's firewall and pg_hba.conf, which are one to the lab, admit these addresses only."""
    server = _own(lab, item)
    for rule in lab.rules.of(server):
        lab.store.delete(rule.id)
    for name, addresses in (item.get("firewall_rules") or {}).items():
        lab.rules.add(server, name, str(addresses[0]), str(addresses[-1]))
    return server


def run_sql(lab: Lab, item: dict[str, Any]) -> str:
    """As the platform's superuser, for what Azure grants and plain PostgreSQL of that version can not."""
    server = lab.servers.named(str(item.get("server")))
    if server is None:
        raise InvalidSeed(f"there is no server {item.get('server')}")
    with lab.servers.cluster(server).connect(str(item.get("database") or "postgres")) as connection:
        return connection.execute(str(item["statement"]).encode()).statusmessage or ""


def _other(lab: Lab, item: dict[str, Any], scope: Scope) -> Resource:
    """A PostgreSQL server of the customer's own; it is in the store only so that the lab knows its network."""
    private = item.get("private_address")
    if private is None and (item.get("routes") or item.get("virtual_network")):
        raise InvalidSeed(f"server {item['name']}: with routes or virtual_network it needs a private_address")
    server_id = ResourceId("/providers/PgflexLab/servers/" + str(item["name"]))
    properties = {
        "administratorLogin": str(item["admin"]),
        "fullyQualifiedDomainName": str(item.get("host") or f"{item['name']}.corp.example"),
        "publicNetworkAccess": item.get("public_network_access", "Disabled" if private else "Enabled"),
        "privateAddress": str(private) if private else None,
        "routes": [str(scope.id(network, VNET)) for network in item.get("routes") or []],
        "virtualNetwork": str(scope.id(item["virtual_network"], VNET)) if item.get("virtual_network") else None,
    }
    made = Resource(server_id, ONPREMISES_TYPE, properties=properties)
    made.internal["public_ip"] = lab.servers.next_public_ip()
    return made
