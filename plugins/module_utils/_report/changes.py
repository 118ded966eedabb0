# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a migration changed beside the data, and whether it was put back. Pure."""

from __future__ import annotations

from typing import Any

RESTORE = "pgflex-restore-"


def changes(row: dict[str, Any], facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Sentences, each with whether it holds no more; None where that is not known."""
    settings = facts.get("settings") or {}
    cleaned = row["state"] == "Succeeded" and row["option"] != "Validate" and not facts.get("failure")
    found = _parameters(facts, settings, cleaned) + _remedies(facts)
    network = settings.get("network") or {}
    found += _networks((facts.get("topology") or {}).get("made") or {}, bool(network.get("remove")) and cleaned)
    runtime, app = settings.get("runtime_server") or {}, settings.get("app") or {}
    if runtime.get("name") and row["state"]:
        found.append(_change(f"Runtime server {runtime['name']} was made.", cleaned and bool(runtime.get("delete"))))
    if row["generation"] == "classic" and row["state"] and not app.get("client_id"):
        text = f"Entra application {app.get('name')} was made, with its roles."
        found.append(_change(text, cleaned and bool(app.get("delete"))))
    if row["read_only_since"] or (row["mode"] == "offline" and row["state"] and _read_only(settings)):
        names = ", ".join(row["databases"])
        found.append(_change(f"The source's databases {names} were made read-only.", put_back=False))
    return found


def _change(text: str, put_back: bool | None) -> dict[str, Any]:
    return {"text": text, "put_back": put_back}


def _read_only(settings: dict[str, Any]) -> bool:
    return bool((settings.get("cutover") or {}).get("source_read_only"))


def _parameters(facts: dict[str, Any], settings: dict[str, Any], cleaned: bool) -> list[dict[str, Any]]:
    tags = (facts.get("migration") or {}).get("tags") or {}
    wanted = settings.get("target_parameters") or {}
    found = []
    for tag, before in tags.items():
        if tag.startswith(RESTORE):
            name = tag.removeprefix(RESTORE)
            found.append(_change(f"Target parameter {name}: {before} became {wanted.get(name, 'another')}.", cleaned))
    return found


def _remedies(facts: dict[str, Any]) -> list[dict[str, Any]]:
    restored = {_key(step) for step in facts.get("restored") or []}
    found = []
    for step in (facts.get("preflight") or {}).get("applied") or []:
        where = f"database {step['database']} of the {step['side']}" if step.get("database") else f"the {step['side']}"
        text = f"{step['object']} of {where}: {step['before']} became {step['after']} (remedy {step['remedy']})."
        found.append(_change(text, _key(step) in restored))
    return found


def _key(step: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(step.get(key) for key in ("remedy", "side", "database", "object"))


def _networks(made: dict[str, Any], removed: bool) -> list[dict[str, Any]]:
    words = [f"Subnet {item['name']} in {_last(item['virtual_network_id'])}." for item in made.get("subnets") or []]
    for item in made.get("peerings") or []:
        words.append(f"Peering of {_last(item['virtual_network_id'])} and {_last(item['remote_virtual_network_id'])}.")
    words += [f"Private DNS zone {item['name']}." for item in made.get("private_dns_zones") or []]
    for item in made.get("private_dns_zone_links") or []:
        networks = ", ".join(_last(network) for network in item["virtual_network_ids"])
        words.append(f"Link of the private DNS zone {_last(item['zone_id'])} to {networks}.")
    for kind, name in (("virtual_network_rules", "Virtual network rule"), ("firewall_rules", "Firewall rule")):
        for item in made.get(kind) or []:
            words += [f"{name} {rule['name']} of {item['server_name']}." for rule in item["rules"]]
    return [_change(text, removed) for text in words]


def _last(resource_id: str) -> str:
    return str(resource_id).rstrip("/").rsplit("/", 1)[-1]
