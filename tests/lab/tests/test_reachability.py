# SPDX-License-Identifier: GPL-3.0-or-later
"""Public access: whose firewall admits whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.lab import Lab
from pgflex_lab.reachability import Reachability
from pgflex_lab.resources.servers import FLEXIBLE, ONPREMISES_TYPE, SINGLE

TARGET_IP = "203.0.113.7"


def server(kind: str, name: str, **properties: Any) -> Resource:
    made = Resource(ResourceId(f"/providers/X/servers/{name}"), kind, properties=properties)
    made.internal["public_ip"] = TARGET_IP
    return made


@dataclass
class Rules:
    """One rule, or none."""

    range: tuple[str, str] | None = None

    def of(self, asked: Resource) -> list[Resource]:
        if self.range is None:
            return []
        start, end = self.range
        return [server("rule", "r", startIpAddress=start, endIpAddress=end)]


@dataclass
class Network:
    rules: Rules = field(default_factory=Rules)
    clusters: Any = field(default_factory=lambda: SimpleNamespace(at=lambda host: None))
    servers: Any = field(default_factory=lambda: SimpleNamespace(all=list))


TARGET = server(FLEXIBLE.type, "target", network={"publicNetworkAccess": "Enabled"})


def explain(source: Resource | tuple[str, int], allowed: tuple[str, str] | None, **more: Any) -> str | None:
    return Reachability(cast(Lab, Network(Rules(allowed)))).explain(source, TARGET, **more)


@pytest.mark.parametrize(
    ("kind", "allowed", "reachable"),
    [
        (SINGLE.type, ("0.0.0.0", "0.0.0.0"), True),
        (SINGLE.type, (TARGET_IP, TARGET_IP), True),
        (SINGLE.type, ("203.0.113.8", "203.0.113.9"), False),
        (SINGLE.type, None, False),
        (ONPREMISES_TYPE, ("0.0.0.0", "0.0.0.0"), False),
        (ONPREMISES_TYPE, ("0.0.0.0", "255.255.255.255"), True),
    ],
)
def test_the_sources_firewall(kind: str, allowed: tuple[str, str] | None, reachable: bool) -> None:
    found = explain(server(kind, "source"), allowed)
    assert (found is None) is reachable
    assert reachable or TARGET_IP in str(found)


def test_the_classic_service_opens_the_firewall_itself() -> None:
    assert explain(server(SINGLE.type, "source"), None, adds_rules=True) is None
    assert explain(server(ONPREMISES_TYPE, "source"), None, adds_rules=True) is not None


def test_no_public_access_is_no_access() -> None:
    closed = server(SINGLE.type, "source", publicNetworkAccess="Disabled")
    assert explain(closed, ("0.0.0.0", "0.0.0.0")) == "Server 'source' does not allow public network access."


def test_an_unknown_host_is_not_found() -> None:
    assert "nowhere.example" in str(explain(("nowhere.example", 5432), None))
