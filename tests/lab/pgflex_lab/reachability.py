# SPDX-License-Identifier: GPL-3.0-or-later
"""Can what migrates reach the servers? The only place that knows about networks; today: public access."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.servers import ONPREMISES_TYPE, SINGLE

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

AZURE_SERVICES = IPv4Address("0.0.0.0")


class Reachability:
    """`explain` answers for a migration into `target`: None, or the sentence that says what is in the way."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def explain(self, source: Resource | tuple[str, int], target: Resource, *, adds_rules: bool = False) -> str | None:
        """`adds_rules`: the classic service opens both firewalls for itself, the current one does not."""
        if isinstance(source, tuple):
            found = self.find_host(*source)
            if found is None:
                return f"The host name '{source[0]}' with port {source[1]} could not be resolved or does not answer."
            source = found
        return self._into(source, target, adds_rules=adds_rules) or self._into(target, target, adds_rules=adds_rules)

    def find_host(self, host: str, port: int) -> Resource | None:
        """The server that answers under this name or address."""
        cluster = self._lab.clusters.at(host)
        if cluster is None:
            named = [item for item in self._lab.servers.all() if host.lower() == self._host_name(item)]
            return named[0] if named and port == 5432 else None
        return self._lab.servers.named(cluster.name) if cluster.port == port else None

    @staticmethod
    def _host_name(server: Resource) -> str:
        return str(server.properties.get("fullyQualifiedDomainName") or "").lower()

    def _into(self, server: Resource, target: Resource, *, adds_rules: bool) -> str | None:
        """From the target, where the migration runs, into one of the two servers."""
        if self._public_access(server) == "Disabled":
            return f"Server '{server.name}' does not allow public network access."
        if server is target or (adds_rules and server.type == SINGLE.type):
            return None
        caller = IPv4Address(str(target.internal["public_ip"]))
        azure = server.type != ONPREMISES_TYPE
        for rule in self._lab.rules.of(server):
            start = IPv4Address(str(rule.properties["startIpAddress"]))
            end = IPv4Address(str(rule.properties["endIpAddress"]))
            if start <= caller <= end or (azure and start == end == AZURE_SERVICES):
                return None
        return f"The firewall of server '{server.name}' has no rule for {caller}, the address of '{target.name}'" + (
            " and does not admit Azure services (0.0.0.0)." if azure else "."
        )

    @staticmethod
    def _public_access(server: Resource) -> str:
        network = server.properties.get("network")
        if isinstance(network, dict):
            return str(network.get("publicNetworkAccess") or "Enabled")
        return str(server.properties.get("publicNetworkAccess") or "Enabled")
