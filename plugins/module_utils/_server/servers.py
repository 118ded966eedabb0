# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single and Flexible Servers."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, ClassVar

from .._clients import Azure, body, raw, wire
from .._errors import ModuleFailure, code_of, doing, service_errors, status_of
from .._ids import parse, server_id
from .._wait import Deadline, Poller, retry_on, until, wait_for
from .parameters import Change, Parameter, flexible_parameter, single_parameter

READY = "Ready"
# A server takes one operation at a time; the service has three names for "not now".
BUSY = frozenset({"ServerIsBusy", "ServerBusy", "ConflictingServerOperation"})
# States that do not pass by themselves, with the way out.
DOWN = {
    "Stopped": "Start it first: az postgres flexible-server start.",
    "Stopping": "Start it when it has stopped: az postgres flexible-server start.",
    "Disabled": "The subscription or the server is disabled; the Azure portal says why.",
    "Inaccessible": "Its encryption key can not be read; give the server access to the key vault again.",
    "Dropping": "It is being deleted.",
}
# 4 in Standard_D4ds_v4, 2 in Standard_B2s.
_VCORES = re.compile(r"Standard_[A-Z]+(\d+)")


def single_result(found: dict[str, Any]) -> dict[str, Any]:
    """A Single Server as ARM answers it, in this collection's words."""
    properties, sku = found["properties"], found.get("sku") or {}
    storage = properties.get("storageProfile") or {}
    return {
        **_common(found),
        "sku": sku.get("name"),
        "tier": sku.get("tier"),
        "vcores": sku.get("capacity"),
        "storage_mb": storage.get("storageMB"),
        "public_network_access": properties.get("publicNetworkAccess"),
        "ssl_enforcement": properties.get("sslEnforcement"),
        "minimal_tls_version": properties.get("minimalTlsVersion"),
        "state": properties.get("userVisibleState"),
    }


def flexible_result(found: dict[str, Any]) -> dict[str, Any]:
    """A Flexible Server as ARM answers it, in this collection's words."""
    properties, sku = found["properties"], found.get("sku") or {}
    network = properties.get("network") or {}
    return {
        **_common(found),
        "minor_version": properties.get("minorVersion"),
        "sku": sku.get("name"),
        "tier": sku.get("tier"),
        "vcores": vcores_of(sku.get("name")),
        "storage_gb": (properties.get("storage") or {}).get("storageSizeGB"),
        "public_network_access": network.get("publicNetworkAccess"),
        "network": {
            "delegated_subnet_id": network.get("delegatedSubnetResourceId"),
            "private_dns_zone_id": network.get("privateDnsZoneArmResourceId"),
        },
        "high_availability": (properties.get("highAvailability") or {}).get("mode"),
        "backup_retention_days": (properties.get("backup") or {}).get("backupRetentionDays"),
        "state": properties.get("state"),
    }


def vcores_of(sku: str | None) -> int | None:
    """As the name of a Flexible Server's size tells it."""
    vcores = _VCORES.match(sku or "")
    return int(vcores[1]) if vcores else None


def region(location: str | None) -> str:
    """The service answers with a region's name or with its title, and takes both."""
    return (location or "").replace(" ", "").lower()


def _common(found: dict[str, Any]) -> dict[str, Any]:
    properties = found["properties"]
    where = parse(found["id"], "id")
    return {
        "id": found["id"],
        "name": found["name"],
        "resource_group": where.resource_group,
        "subscription_id": where.subscription_id,
        "location": region(found.get("location")),
        "version": properties.get("version"),
        "fully_qualified_domain_name": properties.get("fullyQualifiedDomainName"),
        "administrator_login": properties.get("administratorLogin"),
        "replication_role": properties.get("replicationRole"),
        "private_endpoint_connections": [
            _connection(row) for row in properties.get("privateEndpointConnections") or []
        ],
        "tags": found.get("tags") or {},
    }


def _connection(row: dict[str, Any]) -> dict[str, Any]:
    properties = row.get("properties") or {}
    return {
        "id": row.get("id"),
        "private_endpoint_id": (properties.get("privateEndpoint") or {}).get("id"),
        "status": (properties.get("privateLinkServiceConnectionState") or {}).get("status"),
    }


class AzureServer(ABC):
    """One server of Azure Database for PostgreSQL, of either kind."""

    kind: ClassVar[str]
    to_result: Callable[[dict[str, Any]], dict[str, Any]]
    to_parameter: Callable[[dict[str, Any]], Parameter]
    # What a user has to know when the restart failed that the parameters wait for.
    restart_hint: ClassVar[str]

    def __init__(self, azure: Azure, subscription_id: str, resource_group: str, name: str) -> None:
        self.azure = azure
        self.subscription_id = subscription_id
        self.group = resource_group
        self.name = name

    def __str__(self) -> str:
        return f"{self.name} in {self.group}"

    @property
    def id(self) -> str:
        return server_id(self.subscription_id, self.group, self.name, self.kind)

    @cached_property
    @abstractmethod
    def client(self) -> Any: ...

    @abstractmethod
    def begin_put(self, change: Change, wait: bool) -> Poller:
        """Starts writing one parameter."""

    def details(self) -> dict[str, Any]:
        return type(self).to_result(self.client.servers.get(self.group, self.name, cls=raw))

    def state(self) -> str:
        return str(self.details()["state"])

    def require_running(self) -> dict[str, Any]:
        """The server, which is one that takes changes."""
        found = self.details()
        state = str(found["state"])
        if state in DOWN:
            raise ModuleFailure(
                f"{self} can not be changed: its state is {state}.", code="ServerNotReady", hint=DOWN[state]
            )
        return found

    def rules(self, kind: str) -> list[dict[str, Any]]:
        """Its rules; `kind` is firewall_rules or virtual_network_rules."""
        return [wire(row) for row in getattr(self.client, kind).list_by_server(self.group, self.name)]

    def put_rule(
        self, kind: str, name: str, properties: dict[str, Any], deadline: Deadline, wait: bool = True
    ) -> dict[str, Any] | None:
        """Writes one rule and gives it as the service answers it, if it does."""
        content = body({"properties": properties})
        begin = partial(getattr(self.client, kind).begin_create_or_update, self.group, self.name, name, content)
        what = f"write the rule {name} of {self}"
        found = self._operate(lambda: begin(cls=raw, polling=wait), what, deadline, wait)
        return found if isinstance(found, dict) and "properties" in found else None

    def delete_rule(self, kind: str, name: str, deadline: Deadline, wait: bool = True) -> None:
        begin = partial(getattr(self.client, kind).begin_delete, self.group, self.name, name)
        self._operate(lambda: begin(polling=wait), f"delete the rule {name} of {self}", deadline, wait)

    def parameters(self) -> list[Parameter]:
        rows = self.client.configurations.list_by_server(self.group, self.name)
        return [type(self).to_parameter(wire(row)) for row in rows]

    def parameter(self, name: str) -> Parameter:
        return type(self).to_parameter(self.client.configurations.get(self.group, self.name, name, cls=raw))

    def write(self, changes: Iterable[Change], deadline: Deadline, wait: bool = True) -> Iterator[Parameter]:
        """Writes one after the other and gives each as it then is; without `wait` the last one is only started."""
        todo = list(changes)
        for number, change in enumerate(todo, 1):
            yield self._put(change, deadline, wait or number < len(todo))

    def _put(self, change: Change, deadline: Deadline, wait: bool) -> Parameter:
        what = f"set {change.name} of {self} to {change.value!r}"
        found = self._operate(lambda: self.begin_put(change, wait), what, deadline, wait)
        if isinstance(found, dict) and "value" in (found.get("properties") or {}):
            return type(self).to_parameter(found)
        return replace(change.parameter, value=change.value)

    def restart(self, deadline: Deadline, wait: bool = True) -> None:
        """Restarts, and waits until the server says that it is ready."""
        what = f"restart {self}"
        try:
            servers = self.client.servers
            self._operate(lambda: servers.begin_restart(self.group, self.name, polling=wait), what, deadline, wait)
            if wait:
                with doing(what):
                    until(self.state, lambda state: state == READY, what=what, timeout=deadline.left)
        except ModuleFailure as failure:
            failure.hint = " ".join(filter(None, (failure.hint, self.restart_hint)))
            raise

    def _operate(self, begin: Callable[[], Poller], what: str, deadline: Deadline, wait: bool) -> Any:
        def operate() -> Any:
            poller = begin()
            # Asked for the result of an operation that was only accepted, the SDK fails on the empty answer.
            return wait_for(poller, what, deadline.left) if wait else None

        with doing(what):
            return retry_on(BUSY, operate, timeout=deadline.left)


class SingleServer(AzureServer):
    kind = "servers"
    to_result = staticmethod(single_result)
    to_parameter = staticmethod(single_parameter)
    restart_hint = (
        "The parameters are written and wait for a restart; a Single Server does not show that, so a further run would "
        "not restart it: do it with az postgres server restart."
    )

    @cached_property
    def client(self) -> Any:
        return self.azure.single(self.subscription_id)

    def begin_put(self, change: Change, wait: bool) -> Poller:
        content = body({"properties": change.properties})
        poller: Poller = self.client.configurations.begin_create_or_update(
            self.group, self.name, change.name, content, cls=raw, polling=wait
        )
        return poller

    def write(self, changes: Iterable[Change], deadline: Deadline, wait: bool = True) -> Iterator[Parameter]:
        """As everywhere, but several at once in one request."""
        todo = list(changes)
        if len(todo) < 2:
            yield from super().write(todo, deadline, wait)
            return
        content = body({"value": [{"name": change.name, "properties": change.properties} for change in todo]})

        def begin() -> Poller:
            poller: Poller = self.client.server_parameters.begin_list_update_configurations(
                self.group, self.name, content, cls=raw, polling=wait
            )
            return poller

        self._operate(begin, f"set {', '.join(change.name for change in todo)} of {self}", deadline, wait)
        # The operation's end says that it succeeded, not with which values.
        yield from (replace(change.parameter, value=change.value) for change in todo)


class FlexibleServer(AzureServer):
    kind = "flexibleServers"
    to_result = staticmethod(flexible_result)
    to_parameter = staticmethod(flexible_parameter)
    restart_hint = (
        "The parameters are written and wait for a restart; run again, or use az postgres flexible-server restart."
    )

    @cached_property
    def client(self) -> Any:
        return self.azure.flexible(self.subscription_id)

    def begin_put(self, change: Change, wait: bool) -> Poller:
        content = body({"properties": change.properties})
        poller: Poller = self.client.configurations.begin_put(
            self.group, self.name, change.name, content, cls=raw, polling=wait
        )
        return poller

    def create(self, content: dict[str, Any], deadline: Deadline, wait: bool = True) -> None:
        begin = partial(self.client.servers.begin_create_or_update, self.group, self.name, body(content), cls=raw)
        self._operate(lambda: begin(polling=wait), f"create {self}", deadline, wait)

    def change(self, content: dict[str, Any], deadline: Deadline, wait: bool = True) -> None:
        begin = partial(self.client.servers.begin_update, self.group, self.name, body(content), cls=raw)
        self._operate(lambda: begin(polling=wait), f"change {self}", deadline, wait)

    def delete(self, deadline: Deadline, wait: bool = True) -> None:
        begin = partial(self.client.servers.begin_delete, self.group, self.name)
        self._operate(lambda: begin(polling=wait), f"delete {self}", deadline, wait)

    def until_ready(self, deadline: Deadline) -> dict[str, Any]:
        """The server, when what Azure does with it has ended: it is ready, or in a state that does not pass."""
        with doing(f"wait for {self}"):
            return until(
                self.details,
                lambda found: found["state"] == READY or found["state"] in DOWN,
                what=f"wait for {self}",
                timeout=deadline.left,
                state=lambda found: str(found["state"]),
                interval=5.0,
            )


SERVER_TYPES: dict[str, type[AzureServer]] = {"single_server": SingleServer, "flexible_server": FlexibleServer}


def single_servers(azure: Azure, group: str | None, name: str | None) -> list[dict[str, Any]]:
    servers = azure.single().servers
    return _found(servers, servers.list, single_result, group, name)


def flexible_servers(azure: Azure, group: str | None, name: str | None) -> list[dict[str, Any]]:
    servers = azure.flexible().servers
    return _found(servers, servers.list_by_subscription, flexible_result, group, name)


def _found(
    servers: Any,
    list_all: Callable[[], Iterable[Any]],
    to_result: Callable[[dict[str, Any]], dict[str, Any]],
    group: str | None,
    name: str | None,
) -> list[dict[str, Any]]:
    """The server of this name, those of the group or those of the subscription; none where there is no such thing."""
    try:
        if group and name:
            return [to_result(servers.get(group, name, cls=raw))]
        rows = servers.list_by_resource_group(group) if group else list_all()
        return [to_result(wire(row)) for row in rows]
    except service_errors() as error:
        if status_of(error) != 404 or code_of(error) == "SubscriptionNotFound":
            raise
        return []
