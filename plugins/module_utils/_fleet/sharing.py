# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hosts may have in common, by their settings alone: it is taken away with the last of their migrations. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from .._ids import parse
from .._migration.settings import with_defaults
from .._migration.states import FINAL

Settings = dict[str, Any]
# `servers` are the rules of a source or target that both have; which networks they share nobody knows without a look.
KINDS = ("application", "runtime_server", "servers", "networks")


def settled(given: Any) -> Settings | None:
    """The settings with their defaults; None for a host that has no migration of the service."""
    shaped = isinstance(given, dict) and all(isinstance(given.get(side), dict) for side in ("source", "target"))
    if not shaped or not given["target"].get("resource_group") or not given["target"].get("name"):
        return None
    settings = with_defaults(given)
    return settings if settings["engine"] == "service" else None


def shared(mine: Settings, other: Settings) -> set[str]:
    found = {"networks"}
    if any(_server(mine[side]) == _server(other[side]) for side in ("source", "target")):
        found.add("servers")
    if _application(mine) and _application(mine) == _application(other):
        found.add("application")
    if _runtime(mine) and _runtime(mine) == _runtime(other):
        found.add("runtime_server")
    return found


def taken(settings: Settings) -> set[str]:
    """What a host has taken away that others may share."""
    found = {"networks", "servers"} if settings["network"]["remove"] else set()
    if _application(settings) and settings["app"]["delete"]:
        found.add("application")
    if settings["runtime_server"].get("name") and settings["runtime_server"]["delete"]:
        found.add("runtime_server")
    return found


def to_ask(
    hosts: Mapping[str, Any], subscriptions: Mapping[str, str | None], taking: Iterable[str], done: Container[str]
) -> list[dict[str, Any]]:
    """The target servers whose migrations say who still needs what the hosts `taking` have taken away."""
    known = {host: settings for host, given in hosts.items() if (settings := settled(given))}
    mine = [(host, known[host], taken(known[host])) for host in taking if host in known]
    return [
        _target(host, settings, subscriptions.get(host))
        for host, settings in known.items()
        if host not in done and any(host != me and shared(one, settings) & wants for me, one, wants in mine)
    ]


def sharers(rows: Iterable[dict[str, Any]], hosts: Mapping[str, Any], host: str) -> dict[str, list[str]]:
    """For each kind of thing the other hosts that still migrate and may share it; `rows` have their hosts as label."""
    active = {row["label"] for row in rows if row["state"] not in FINAL} - {host}
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    mine = settled(hosts.get(host))
    for name in sorted(active):
        other = settled(hosts.get(name))
        for kind in shared(mine, other) if mine and other else ():
            found[kind].append(name)
    return found


def _server(side: dict[str, Any]) -> tuple[str, ...]:
    if side.get("name") and side.get("resource_group"):
        return str(side["resource_group"]).lower(), str(side["name"]).lower()
    return (str(side.get("host") or "").lower(),)


def _application(settings: Settings) -> str | None:
    """The name of the application that the collection makes for it; the directory compares names without case."""
    own = settings["generation"] == "classic" and not settings["app"].get("client_id")
    return str(settings["app"]["name"]).lower() if own else None


def _runtime(settings: Settings) -> tuple[str, str] | None:
    made, used = settings["runtime_server"], settings.get("runtime_server_id")
    if used:
        where = parse(str(used), "runtime_server_id")
        return where.resource_group.lower(), where.name.lower()
    group = made.get("resource_group") or settings["target"]["resource_group"]
    return (str(group).lower(), str(made["name"]).lower()) if made.get("name") else None


def _target(host: str, settings: Settings, subscription_id: str | None) -> dict[str, Any]:
    target = settings["target"]
    return {
        "label": host,
        "subscription_id": target.get("subscription_id") or settings.get("subscription_id") or subscription_id,
        "resource_group": target["resource_group"],
        "server_name": target["name"],
        "generation": settings["generation"],
        "api_version": settings.get("api_version"),
    }
