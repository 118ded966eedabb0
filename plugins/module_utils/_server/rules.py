# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Firewall and virtual network rules of a server."""

from __future__ import annotations

import ipaddress
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, ClassVar

from .._base import State
from .._clients import AzureModule
from .._errors import ModuleFailure
from .._ids import parse, same
from .._spec import AZURE, STATE, WAIT, ArgumentSpec
from .._wait import Deadline
from .servers import AzureServer

Row = dict[str, Any]
NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
SUBNET_TYPES = ("virtualnetworks", "subnets")


RULES = (
    AZURE.merge(STATE)
    .merge(WAIT)
    .merge(
        ArgumentSpec(
            options={
                "resource_group": {"type": "str", "required": True},
                "server_name": {"type": "str", "required": True},
                "exact": {"type": "bool", "default": False},
            }
        )
    )
)


def address_problems(rule: Row) -> Iterator[str]:
    """What is wrong with the addresses of a firewall rule, each as the end of a sentence about it."""
    if rule["start_ip_address"] is None:
        yield "has no start_ip_address"
        return
    found = []
    for option in ("start_ip_address", "end_ip_address"):
        text = rule[option]
        if text is None:
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            yield f"has the {option} {text!r}, which is no IP address"
            continue
        if address.version != 4:
            yield f"has the {option} {text!r}, but the service takes IPv4 addresses only"
            continue
        found.append(address)
    if len(found) == 2 and int(found[0]) > int(found[1]):
        yield f"starts at {found[0]}, which is after its end {found[1]}"


def subnet_problems(rule: Row) -> Iterator[str]:
    """What is wrong with the subnet of a virtual network rule."""
    if not rule["subnet_id"]:
        yield "has no subnet_id"
        return
    try:
        types = parse(rule["subnet_id"], "subnet_id").types
    except ModuleFailure:
        types = ()
    if tuple(kind.lower() for kind in types) != SUBNET_TYPES:
        yield f"has the subnet_id {rule['subnet_id']!r}, which is not the id of a subnet"


def name_problems(rules: Iterable[Row]) -> Iterator[str]:
    seen: set[str] = set()
    for rule in rules:
        name = rule["name"]
        if not NAME.fullmatch(name):
            yield f"{name!r} is no name for a rule: letters, digits, - and _ only"
        if name.lower() in seen:
            yield f"{name} is there more than once"
        seen.add(name.lower())


def firewall_row(found: Row) -> Row:
    properties = found["properties"]
    return {
        "name": found["name"],
        "start_ip_address": properties.get("startIpAddress"),
        "end_ip_address": properties.get("endIpAddress"),
    }


def network_row(found: Row) -> Row:
    properties = found["properties"]
    return {
        "name": found["name"],
        "subnet_id": properties.get("virtualNetworkSubnetId"),
        "ignore_missing_vnet_service_endpoint": bool(properties.get("ignoreMissingVnetServiceEndpoint")),
        "state": properties.get("state"),
    }


def keyed(rows: Iterable[Row]) -> dict[str, Row]:
    """By name, which has no case for the service."""
    return {row["name"].lower(): row for row in rows}


def in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: str(row["name"]).lower())


def network_equal(one: Row, other: Row) -> bool:
    ignore = "ignore_missing_vnet_service_endpoint"
    return same(one["subnet_id"], other["subnet_id"]) and one[ignore] == other[ignore]


class RulesModule(AzureModule):
    """Rules of one server by name. Those of other names are left alone, unless `exact` is set."""

    # The part of the SDK's client.
    kind: ClassVar[str]
    there: dict[str, Row]

    @cached_property
    @abstractmethod
    def server(self) -> AzureServer: ...

    @abstractmethod
    def problems(self, rule: Row) -> Iterable[str]:
        """What is wrong with a rule that is to be there."""

    @abstractmethod
    def row(self, found: Row) -> Row:
        """A rule as the service answers it, in this collection's words."""

    @abstractmethod
    def merged(self, rule: Row, current: Row | None) -> Row:
        """A rule as it is to be; equal to `current` when nothing has to be done."""

    @abstractmethod
    def properties(self, row: Row) -> dict[str, Any]:
        """The rule as the service takes it."""

    @abstractmethod
    def allowed(self, server: Row) -> None:
        """Raises when this server takes no such rules."""

    def wanted(self) -> list[Row]:
        """The rules that are to be there."""
        return list(self.params["rules"] or [])

    @property
    def thing(self) -> str:
        return f"the {self.result_key.replace('_', ' ')} of {self.server}"

    def check(self) -> None:
        """All that can be wrong with the options, before the first request."""
        if not self.params["rules"] and (self.params["state"] == "absent" or not self.params["exact"]):
            raise ModuleFailure("rules is empty: name at least one rule, or set exact to have none.")
        self.check_rules()

    def check_rules(self) -> None:
        rules = self.params["rules"] or []
        problems = list(name_problems(rules))
        if self.params["state"] == "present":
            problems += [f"{rule['name']} {problem}" for rule in rules for problem in self.problems(rule)]
        if problems:
            raise ModuleFailure(
                f"Failed to update {self.thing}, nothing was changed: {'; '.join(problems)}.",
                code="InvalidRules",
                hint="Correct the option rules.",
            )

    def read(self) -> State | None:
        self.check()
        self.there = keyed(self.row(found) for found in self.server.rules(self.kind))
        if self.params["state"] == "present":
            return self._state(self.there.values())
        # For the state absent, a server without any of the rules is one that has nothing to be taken away.
        named = [self.there[name] for name in keyed(self.params["rules"]) if name in self.there]
        return self._state(named) if named else None

    def _state(self, rows: Iterable[Row]) -> State:
        return {"server": self.server.id, "rules": in_order(rows)}

    def desired(self, current: State | None) -> State:
        wanted = {name: self.merged(rule, self.there.get(name)) for name, rule in keyed(self.wanted()).items()}
        rows = wanted if self.params["exact"] else {**self.there, **wanted}
        if rows != self.there:
            self.allowed(self.server.require_running())
        return self._state(rows.values())

    def apply(self, want: State) -> State:
        wanted = keyed(want["rules"])
        changed = {name: row for name, row in wanted.items() if row != self.there.get(name)}
        # Writing first: whoever is admitted by an old and by a new rule stays so.
        return self._write(list(changed.values()), [row for name, row in self.there.items() if name not in wanted])

    def remove(self, current: State) -> None:
        self._write([], current["rules"])

    def _write(self, rows: list[Row], gone: list[Row]) -> State:
        deadline, wait = Deadline(self.params["wait_timeout"]), self.params["wait"]
        left = dict(self.there)
        todo = len(rows) + len(gone)
        try:
            for row in rows:
                todo -= 1
                found = self.server.put_rule(self.kind, row["name"], self.properties(row), deadline, wait or todo > 0)
                left[row["name"].lower()] = self.row(found) if found else row
            for row in gone:
                todo -= 1
                self.server.delete_rule(self.kind, row["name"], deadline, wait or todo > 0)
                del left[row["name"].lower()]
        except ModuleFailure as failure:
            failure.details |= {"changed": left != self.there, self.result_key: self._state(left.values())}
            raise
        return self._state(left.values())
