# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which servers are wanted, and which groups a host is in. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from .._fleet.checks import normal
from .pairs import PREFIX, Member, Server

GROUPS = ("region", "version", "topology", "size", "tag", "wave")
# What a rule of a filter may name, and where a server has it.
FILTERS = {
    "name": "name",
    "resource_group": "resource_group",
    "subscription": "subscription_id",
    "region": "location",
    "version": "version",
    "tier": "tier",
    "tag": "tags",
}
WILD = frozenset("*?[")


def filter_problems(filters: Mapping[str, Any], regions: Iterable[str]) -> list[str]:
    known = {normal(region) for region in regions}
    found = [f"filters.{key} is neither include nor exclude." for key in filters if key not in ("include", "exclude")]
    for key in ("include", "exclude"):
        rules = filters.get(key) or []
        if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
            found.append(f"filters.{key} has to be a list of mappings.")
            continue
        for rule in rules:
            found += [
                f"filters.{key} names {name}, which is none of {', '.join(FILTERS)}."
                for name in rule
                if name not in FILTERS
            ]
            if not isinstance(rule.get("tag", {}), Mapping):
                found.append(f"filters.{key}: tag has to be a mapping of names and values.")
            found += [
                f"filters.{key}: the region {region} is not known."
                for region in _as_list(rule.get("region", []))
                if normal(region) not in known and not WILD & set(str(region))
            ]
    return found


def wanted(servers: Sequence[Server], groups: Sequence[str], filters: Mapping[str, Any]) -> list[Server]:
    """Those in the resource groups, if there are any, that a rule of include takes and none of exclude."""
    include, exclude = filters.get("include") or [], filters.get("exclude") or []
    return [
        server
        for server in servers
        if (not groups or _any_pattern(server["resource_group"], groups))
        and (not include or any(_matches(server, rule) for rule in include))
        and not any(_matches(server, rule) for rule in exclude)
    ]


def _matches(server: Server, rule: Mapping[str, Any]) -> bool:
    """Whether all parts of a rule fit."""
    return all(_fits(server, name, value) for name, value in rule.items())


def _fits(server: Server, name: str, value: Any) -> bool:
    if name == "tag":
        tags = {key.lower(): text for key, text in server["tags"].items()}
        return all(key.lower() in tags and _any_pattern(tags[key.lower()], want) for key, want in value.items())
    patterns = [normal(want) for want in _as_list(value)] if name == "region" else value
    return _any_pattern(server[FILTERS[name]], patterns)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _any_pattern(text: Any, patterns: Any) -> bool:
    return any(fnmatchcase(str(text).lower(), str(pattern).lower()) for pattern in _as_list(patterns))


def is_public(server: Server) -> bool:
    """By what the server says of itself: one in a virtual network, or without public access, is private."""
    injected = (server.get("network") or {}).get("delegated_subnet_id")
    return not injected and server.get("public_network_access") != "Disabled"


def size(server: Server) -> str:
    """`small` up to 4 vCores and 100 GB, `large` from more than 16 vCores or 1 TB of storage on."""
    cores = server.get("vcores") or 0
    storage = server.get("storage_gb") or (server.get("storage_mb") or 0) / 1024
    if cores > 16 or storage > 1024:
        return "large"
    return "small" if cores <= 4 and storage <= 100 else "medium"


def groups_of(member: Member, by: Sequence[str]) -> list[str]:
    """Names of the groups, as they are before Ansible takes out what no name of a group may have."""
    return [name for kind, name in _groups(member) if kind in by]


def _groups(member: Member) -> Iterator[tuple[str, str]]:
    place, source, target = member.pgflex.get("fleet") or {}, member.source, member.target
    if place.get("region"):
        yield "region", f"region_{place['region']}"
    if isinstance(place.get("wave"), int):
        yield "wave", f"wave_{place['wave']}"
    if source:
        yield "version", f"version_{source['version']}"
        yield "size", f"size_{size(source)}"
        # A cache may have them in another order.
        for name, value in sorted(source["tags"].items()):
            if not name.lower().startswith(PREFIX):
                yield "tag", f"tag_{name}_{value}" if value else f"tag_{name}"
    access = [_access(source) or member.pgflex["source"].get("access"), _access(target)]
    if all(access):
        yield "topology", f"topology_{access[0]}_to_{access[1]}"


def _access(server: Server | None) -> str | None:
    if not server:
        return None
    return "public" if is_public(server) else "private"
