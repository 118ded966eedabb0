# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which source goes to which target: by a tag, by a rule for names, or by a file. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._errors import ModuleFailure
from .._fleet.checks import normal, read, row_problems
from .._ids import parse
from .._migration.settings import FLEXIBLE, SINGLE
from .pairs_file import Row, name_problem, settings

Server = dict[str, Any]
KINDS = {"single": SINGLE, "flexible": FLEXIBLE}
OUTSIDE = "OnPremises"
# Tags are the columns of a pairs file under these names: pgflex-wave, pgflex-databases, pgflex-window-start.
PREFIX = "pgflex-"
BY_TAG = ("databases", "mode", "generation", "engine", "wave", "priority", "after", "window_start", "window_end")


@dataclass
class Member:
    """A host of the inventory: what it says of pgflex, and its servers as far as Azure was asked."""

    host: str
    where: str
    pgflex: dict[str, Any]
    source: Server | None = None
    target: Server | None = None
    columns: dict[str, Any] = field(default_factory=dict)


@dataclass
class Fleet:
    members: list[Member] = field(default_factory=list)
    unpaired: list[tuple[Server, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    # Of all that were to be hosts, also those with something wrong.
    names: set[str] = field(default_factory=set)


class Servers:
    """The servers that were found, by their names, which ARM compares without case."""

    def __init__(self, servers: Iterable[Server]) -> None:
        self._by_name: dict[str, list[Server]] = defaultdict(list)
        for server in servers:
            self._by_name[server["name"].lower()].append(server)

    def find(self, side: Mapping[str, Any], kinds: Sequence[str]) -> list[Server]:
        """All that have the name, and the group and the subscription where they are said."""
        return [
            server
            for server in self._by_name[str(side.get("name", "")).lower()]
            if server["kind"] in kinds
            and all(
                not side.get(key) or str(side[key]).lower() == server[key].lower()
                for key in ("resource_group", "subscription_id")
            )
        ]


def split_name(side: dict[str, Any]) -> dict[str, Any]:
    """A name may be an id, or group/name."""
    text = str(side.get("name") or "")
    if "/" not in text:
        return side
    if text.strip("/").lower().startswith("subscriptions/"):
        try:
            found = parse(text, "name")
        except ModuleFailure:
            return side
        more = {"subscription_id": found.subscription_id, "resource_group": found.resource_group, "name": found.name}
        return {**side, **more}
    group, _slash, name = text.strip("/").partition("/")
    return {**side, "resource_group": group, "name": name}


def by_tag(sources: Sequence[Server], servers: Servers, tag: str) -> Fleet:
    """Several targets in one tag are separated; the host of the first has the source's name."""
    fleet = Fleet()
    for server in sources:
        named = re.split(r"[;,\s]+", _tags(server).get(tag.lower(), "").strip())
        if not any(named):
            fleet.unpaired.append((server, f"It has no tag {tag}."))
            continue
        for number, target in enumerate(filter(None, named)):
            host = server["name"] if not number else f"{server['name']}-to-{target.rsplit('/', maxsplit=1)[-1]}"
            row = Row(f"the tags of {server['name']}", _cells(server, host, target))
            _add(fleet, row, servers, f"The tag {tag} of {server['name']} names {target}, which is not there.")
    return fleet


def by_name(sources: Sequence[Server], servers: Servers, pattern: str, replace: str) -> Fleet:
    fleet = Fleet()
    for server in sources:
        matched = re.fullmatch(pattern, server["name"])
        if not matched:
            fleet.unpaired.append((server, f"Its name does not match {pattern}."))
            continue
        target = matched.expand(replace)
        if not servers.find({"name": target}, (FLEXIBLE,)):
            fleet.unpaired.append((server, f"There is no Flexible Server {target}."))
            continue
        row = Row(f"the name of {server['name']}", _cells(server, server["name"], target))
        _add(fleet, row, servers, "")
    return fleet


def _tags(server: Server) -> dict[str, str]:
    """The names of tags have no case."""
    return {name.lower(): value for name, value in server["tags"].items()}


def _cells(server: Server, host: str, target: str) -> dict[str, Any]:
    tags = _tags(server)
    told = {key: tags[name] for key in BY_TAG if tags.get(name := PREFIX + key.replace("_", "-"))}
    return {**told, "host": host, "source": server["id"], "source_type": server["kind"], "target": target}


def by_file(
    rows: Sequence[Row], servers: Servers | None, sources: Sequence[Server] = (), missing: Sequence[str] = ()
) -> Fleet:
    """`sources` are those that the file ought to name, so that one it forgot is seen; `missing` are whole columns."""
    fleet = Fleet()
    for row in rows:
        _add(fleet, row, servers, "", missing)
    if missing:
        columns = [f"{name} (or source_host)" if name == "source" else name for name in missing]
        text = f"The pairs file lacks the column{'s' if len(columns) > 1 else ''} {', '.join(columns)}."
        fleet.problems.insert(0, text)
    used = {member.source["id"].lower() for member in fleet.members if member.source}
    fleet.unpaired = [(one, "The pairs file does not name it.") for one in sources if one["id"].lower() not in used]
    return fleet


def _add(fleet: Fleet, row: Row, servers: Servers | None, not_there: str, missing: Sequence[str] = ()) -> None:
    made, found = settings(row)
    source, target = split_name(made.get("source", {})), split_name(made.get("target", {}))
    if not source.get("name") and source.get("host"):
        source.setdefault("type", OUTSIDE)
    kinds = (source["type"],) if source.get("type") in KINDS.values() else tuple(KINDS.values())
    member = Member(str(row.cells.get("host") or source.get("name") or source.get("host") or ""), row.where, made)
    member.columns = dict(row.others)
    fleet.names.add(member.host)
    empty = _empty(source, target, asked=servers is not None)
    found += [f"{row.where}: {name} is empty." for name in empty if name not in missing]
    shared = {"subscription_id": made.get("subscription_id")}
    if servers and source.get("name"):
        member.source = _find(servers, {**shared, **source}, kinds, row.where, "source", found, "")
    if servers and target.get("name"):
        member.target = _find(servers, {**shared, **target}, (FLEXIBLE,), row.where, "target", found, not_there)
    made["source"], made["target"] = _with_facts(source, member.source), _with_facts(target, member.target)
    if member.source:
        made["source"]["type"] = member.source["kind"]
    found += name_problem(row.where, member.host) if member.host and not row.cells.get("host") else []
    found += _region(member)
    fleet.problems += found
    if not found and not empty:
        fleet.members.append(member)


def _empty(source: Mapping[str, Any], target: Mapping[str, Any], *, asked: bool) -> list[str]:
    needs = {"source": source.get("name") or source.get("host"), "target": target.get("name")}
    if not asked:
        needs["source_resource_group"] = source.get("resource_group") or not source.get("name")
        needs["target_resource_group"] = target.get("resource_group") or not target.get("name")
    return [name for name, value in needs.items() if not value]


def _find(
    servers: Servers,
    side: dict[str, Any],
    kinds: Sequence[str],
    where: str,
    which: str,
    problems: list[str],
    not_there: str,
) -> Server | None:
    found = servers.find(side, kinds)
    if len(found) == 1:
        return found[0]
    group = f" in {side['resource_group']}" if side.get("resource_group") else ""
    if found:
        problems.append(f"{where}: there are {len(found)} servers {side['name']}{group}: say {which}_resource_group.")
    else:
        problems.append(not_there or f"{where}: the {which} {side['name']}{group} is not there.")
    return None


def _with_facts(side: dict[str, Any], server: Server | None) -> dict[str, Any]:
    if not server:
        return side
    return {**side, **{key: server[key] for key in ("subscription_id", "resource_group", "name")}}


def _region(member: Member) -> list[str]:
    place = member.pgflex.setdefault("fleet", {})
    if place.get("region"):
        place["region"] = normal(place["region"])
    if not member.target:
        return []
    found = member.target["location"]
    told = place.setdefault("region", found)
    return [] if told == found else [f"{member.where}: the region is {told}, but the target is in {found}."]


def check(fleet: Fleet, regions: Iterable[str], databases: Sequence[str] = ()) -> list[str]:
    """What is wrong with the hosts together; windows are not compared with the clock, so that a report can follow.

    `databases` are those of hosts that name none.
    """
    members = fleet.members
    rows = [_wave_row(number, member, databases) for number, member in enumerate(members)]
    hosts, found = read(rows)
    found += row_problems(hosts, fleet.names, None, list(regions))
    seen: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for member, row in zip(members, rows, strict=True):
        if not _databases(member, databases):
            seen[row["source"].lower(), row["target"].lower()].append(member)
    found += [
        f"{' and '.join(member.where for member in group)} are the same pair."
        for group in seen.values()
        if len(group) > 1
    ]
    return found


def _databases(member: Member, others: Sequence[str]) -> list[str]:
    return list(member.pgflex.get("databases") or others)


def _wave_row(number: int, member: Member, databases: Sequence[str]) -> dict[str, Any]:
    source, target = member.pgflex["source"], member.pgflex["target"]
    return {
        **member.pgflex.get("fleet", {}),
        "host": member.host,
        "source": _key(source) if source.get("name") else str(source.get("host")),
        "target": _key(target),
        # Databases that are left to other variables are not known yet and are nobody else's.
        "databases": _databases(member, databases) or [f"of host {number}"],
        "window": member.pgflex.get("window"),
        "engine": member.pgflex.get("engine"),
    }


def _key(side: Mapping[str, Any]) -> str:
    return f"{side.get('resource_group') or ''}/{side['name']}"
