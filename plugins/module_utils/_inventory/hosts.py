# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of the inventory plugin, and what was read, to the hosts of a fleet. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from .._regions import REGIONS
from .groups import filter_problems, wanted
from .pairs import KINDS, Fleet, Server, Servers, by_file, by_name, by_tag, check
from .pairs_file import Row, missing_columns

TAG = "pgflex-target"
WAYS = ("tag", "name", "file")


@dataclass(frozen=True)
class Options:
    """Those of the plugin that decide who is a host."""

    pairs: Mapping[str, Any] = field(default_factory=dict)
    filters: Mapping[str, Any] = field(default_factory=dict)
    resource_groups: Sequence[str] = ()
    sources: Sequence[str] = ("single",)
    subscriptions: Sequence[str] | None = None
    regions: Sequence[str] = ()
    discover: bool | None = None
    # Of hosts that name none, as far as they are known before there are hosts.
    databases: Sequence[str] = ()

    @property
    def by(self) -> str:
        return str(self.pairs.get("by") or next((way for way in ("file", "name") if self.pairs.get(way)), "tag"))

    @property
    def asks_azure(self) -> bool:
        if self.discover is not None:
            return self.discover
        return self.by != "file" or bool(self.subscriptions)

    @property
    def known_regions(self) -> set[str]:
        return {*REGIONS, *self.regions}


def option_problems(options: Options) -> list[str]:
    """What is wrong with the options alone, before anything is read."""
    pairs = options.pairs
    if not isinstance(pairs, Mapping):
        return [f"pairs has to be a list of pairs, or a mapping of by, {', '.join(WAYS)}."]
    found = [f"pairs.{name} is none of by, {', '.join(WAYS)}." for name in pairs if name not in ("by", *WAYS)]
    found += [
        f"sources names {kind}, which is none of {', '.join(KINDS)}." for kind in options.sources if kind not in KINDS
    ]
    if options.by not in WAYS:
        found.append(f"pairs.by {options.by!r} is none of {', '.join(WAYS)}.")
    if options.by == "file" and not isinstance(pairs.get("file"), str):
        found.append("pairs.file is missing: it has to be the path of a CSV or YAML file.")
    if options.by == "name":
        found += _rule_problems(pairs.get("name"))
    if options.by != "file" and options.discover is False:
        found.append(f"discover is false, and pairs by {options.by} need what Azure says of the servers.")
    return found + filter_problems(options.filters, options.known_regions)


def _rule_problems(rule: Any) -> list[str]:
    if not isinstance(rule, Mapping) or not all(isinstance(rule.get(key), str) for key in ("pattern", "replace")):
        return ["pairs.name has to be a mapping of pattern and replace."]
    try:
        pattern = re.compile(rule["pattern"])
        # The same groups, and a match without any name, so that a wrong replacement is told before there are servers.
        names = {number: f"?P<{name}>" for name, number in pattern.groupindex.items()}
        empty = re.compile("".join(f"({names.get(number, '')})" for number in range(1, pattern.groups + 1)))
        cast(re.Match[str], empty.match("")).expand(rule["replace"])
    except (re.error, IndexError) as error:
        return [f"pairs.name is no regular expression with its replacement: {error}."]
    return []


def fleet_of(options: Options, rows: Sequence[Row], found: Sequence[Server] | None) -> Fleet:
    """Hosts, sources without a target, and all that is wrong. `found` is None when Azure was not asked."""
    kinds = [KINDS[kind] for kind in options.sources]
    servers = None if found is None else Servers(found)
    sources = wanted([one for one in found or [] if one["kind"] in kinds], options.resource_groups, options.filters)
    problems = [] if sources or options.by == "file" else [_none_found(options, found or [])]
    if options.by == "file" or servers is None:
        missing = missing_columns(rows, groups=servers is None)
        fleet = by_file(rows, servers, sources, missing)
    elif options.by == "name":
        fleet = by_name(sources, servers, options.pairs["name"]["pattern"], options.pairs["name"]["replace"])
    else:
        fleet = by_tag(sources, servers, str(options.pairs.get("tag") or TAG))
    _leave_out(fleet, sources, options)
    fleet.problems += problems
    fleet.problems += check(
        fleet, [*options.known_regions, *(one["location"] for one in found or [])], options.databases
    )
    return fleet


def _none_found(options: Options, found: Sequence[Server]) -> str:
    there = [one for one in found if one["kind"] in [KINDS[kind] for kind in options.sources]]
    if not there:
        return f"There are no servers of the kinds {', '.join(options.sources)} in the subscriptions that were asked."
    return f"None of the {len(there)} sources that were found fits filters and resource_groups."


def _leave_out(fleet: Fleet, sources: Sequence[Server], options: Options) -> None:
    """Takes away the pairs of a file whose sources are not wanted, and sources that are somebody's target."""
    if options.filters or options.resource_groups:
        ids = {one["id"].lower() for one in sources}
        fleet.members = [one for one in fleet.members if not one.source or one.source["id"].lower() in ids]
    targets = {member.target["id"].lower() for member in fleet.members if member.target}
    fleet.unpaired = [(one, reason) for one, reason in fleet.unpaired if one["id"].lower() not in targets]
