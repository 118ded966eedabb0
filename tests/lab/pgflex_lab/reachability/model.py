# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers about networks that the migration service asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.reachability.names import Names
from pgflex_lab.reachability.places import Journey, Places, Unreachable, Worker
from pgflex_lab.reachability.traffic import Traffic
from pgflex_lab.resources.networking import ZONE
from pgflex_lab.resources.servers import ONPREMISES_TYPE

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

NOT_SUPPORTED = "Non supported network configuration, need to use pg_dump/pg_restore"
PORT = 5432


class Reachability:
    """`explain` answers for a migration: None, or the sentence that says what is in the way."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._places = Places(lab)
        self._names = Names(lab, self._places)
        self._traffic = Traffic(lab, self._places)

    def explain(self, journey: Journey) -> str | None:
        try:
            source, name = self._source(journey)
            worker = self._places.worker(journey)
            self._reach(worker, source, journey.source_name or name)
            self._reach(worker, journey.target, journey.target_name or self._places.host_name(journey.target))
        except Unreachable as reason:
            return str(reason)
        return None

    def refusal(self, journey: Journey) -> str | None:
        """What the service does not take an order for, however its networks are."""
        try:
            source, _name = self._source(journey)
        except Unreachable:
            return None
        if source.type != ONPREMISES_TYPE or self._places.public(source) or not self._places.public(journey.target):
            return None
        return f"{NOT_SUPPORTED}: server '{source.name}' is private and target '{journey.target.name}' is public."

    def find_host(self, host: str, port: int) -> Resource | None:
        """The server that answers under this name or address, wherever that is known."""
        cluster = self._lab.clusters.at(host)
        if cluster is not None:
            return self._lab.servers.named(cluster.name) if cluster.port == port else None
        wanted = host.lower().rstrip(".")
        names = {wanted, *self._recorded(wanted)}
        found = [item for item in self._lab.servers.all() if names & self._known_as(item)]
        return found[0] if found and port == PORT else None

    def networks(self, journey: Journey) -> list[ResourceId]:
        """The virtual networks in which the classic service works: those of private servers, and its own."""
        found: list[ResourceId] = []
        subnet = ResourceId.parse(journey.subnet) if journey.subnet else None
        try:
            source, _name = self._source(journey)
        except Unreachable:
            source = None
        for server in (source, journey.target):
            if server is not None and not self._places.public(server):
                found += self._network_of(server, subnet.parent if subnet else None)
        if subnet is not None:
            found.append(subnet.parent)
        return list(dict.fromkeys(found))

    def _network_of(self, server: Resource, near: ResourceId | None) -> list[ResourceId]:
        subnet = self._places.delegated_subnet(server)
        if subnet is None and (endpoint := self._places.nearest(server, near)):
            subnet = self._places.endpoint_subnet(endpoint)
        if subnet is not None:
            return [subnet.id.parent]
        network = server.properties.get("virtualNetwork")
        return [ResourceId(str(network))] if network else []

    def _source(self, journey: Journey) -> tuple[Resource, str]:
        if isinstance(journey.source, Resource):
            return journey.source, self._places.host_name(journey.source)
        host, port = journey.source
        found = self.find_host(host, port)
        if found is None:
            raise Unreachable(f"The host name '{host}' with port {port} could not be resolved or does not answer.")
        return found, host

    def _known_as(self, server: Resource) -> set[str]:
        return {server.name.lower(), self._places.host_name(server), str(server.properties.get("privateAddress"))}

    def _recorded(self, name: str) -> list[str]:
        """What anybody's records say of the name; whether the migrating side asks there is another matter."""
        found = [dns.records[name].lower() for dns in self._lab.dns_servers.values() if name in dns.records]
        for record in self._lab.store.children(ResourceId("/"), f"{ZONE}/A"):
            if str(record.properties["fqdn"]).rstrip(".").lower() == name:
                found += [str(item["ipv4Address"]) for item in record.properties["aRecords"]]
        return found

    def _reach(self, worker: Worker, server: Resource, name: str) -> None:
        if worker.home is not None and worker.home.id == server.id:
            return
        found = self._names.resolve(worker, server, name)
        if found.address is None:
            self._traffic.check_public(worker, server, found.why)
        else:
            self._traffic.check_private(worker, server, found.address)
