# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own API under /_lab/: no secrets in any answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pgflex_lab import openapi, seed, seed_networks
from pgflex_lab.arm.http import ArmError
from pgflex_lab.arm.ids import InvalidResourceId, ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.clusters import ClusterError
from pgflex_lab.faults import InvalidFault
from pgflex_lab.settings import Settings, seed_path

if TYPE_CHECKING:
    from pgflex_lab.app import Service
    from pgflex_lab.lab import Lab

Answer = tuple[int, Any]


def handle(service: Service, method: str, path: str, body: Any) -> Answer:
    """`path` is what follows /_lab/."""
    lab = service.lab
    given = body if isinstance(body, dict) else {}
    try:
        match method, path.strip("/"):
            case "GET", "state":
                return 200, state(lab)
            case "GET", "openapi.json":
                return 200, openapi.describe(lab)
            case "GET", "requests":
                return 200, {"value": service.log.entries()}
            case "DELETE", "requests":
                service.log.clear()
                return 204, None
            case "GET", "faults":
                return 200, {"value": lab.faults.report()}
            case "POST", "faults":
                return 200, {"planned": lab.faults.load(body)}
            case "DELETE", "faults":
                lab.faults.clear()
                return 204, None
            case "POST", "servers":
                return 201, server_view(lab, seed.add_server(lab, given))
            case "POST", "networks":
                return 201, seed.add_networks(lab, given)
            case "POST", "dns_servers":
                return 201, {"address": seed_networks.add_dns_server(lab, given).address}
            case "POST", "routes":
                return 200, server_view(lab, seed.set_routes(lab, given))
            case "POST", "own_rules":
                return 200, server_view(lab, seed.set_own_rules(lab, given))
            case "POST", "sql":
                return 200, {"done": seed.run_sql(lab, given)}
            case "POST", "arm":
                return 200, {"value": [_arm(lab, item) for item in given.get("requests") or []]}
            case "POST", "reset":
                service.reset(given)
                return 200, state(service.lab)
    except (InvalidFault, seed_networks.InvalidSeed, InvalidResourceId, ClusterError) as error:
        return 400, {"error": str(error)}
    except ArmError as error:
        return 400, {"error": f"{error.code}: {error.message}"}
    return 404, {"error": f"{method} /_lab/{path} is not known"}


def _arm(lab: Lab, item: dict[str, Any]) -> Any:
    """One of Azure's calls as the lab itself, done at once: `method`, `id`, `body`, `api_version`."""
    target = ResourceId.parse(str(item.get("id") or ""))
    method = str(item.get("method") or "PUT").upper()
    return seed_networks.call(lab, method, target, item.get("body"), str(item.get("api_version") or "")).body


def server_view(lab: Lab, server: Resource) -> dict[str, Any]:
    cluster = lab.servers.cluster(server)
    return {
        "id": str(server.id),
        "name": server.name,
        "kind": cluster.kind,
        "fqdn": server.properties.get("fullyQualifiedDomainName"),
        "hostaddr": cluster.hostaddr,
        "port": cluster.port,
        "admin": server.properties["administratorLogin"],
        "public_ip": server.internal.get("public_ip"),
        "private_ip": server.internal.get("private_ip") or server.properties.get("privateAddress"),
        "running": cluster.running,
        "databases": cluster.databases() if cluster.running else [],
    }


def state(lab: Lab) -> dict[str, Any]:
    return {
        "tenant": lab.directory.tenant_id,
        "time_scale": lab.settings.time_scale,
        "home": str(lab.settings.home),
        "servers": [server_view(lab, item) for item in lab.servers.all() if "cluster" in item.internal],
        "resources": [str(item.id) for item in lab.store.all()],
    }


def settings_for(current: Settings, body: dict[str, Any]) -> Settings:
    """A reset may name another seed, by name or path."""
    if not body.get("seed"):
        return current
    return replace(current, seed=seed_path(str(body["seed"])))
