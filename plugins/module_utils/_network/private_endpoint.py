# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private endpoints, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from .._clients import Azure, raw, wire
from .._errors import ModuleFailure, code_of, service_errors, status_of
from .._ids import PROVIDER, parse
from .._parallel import each
from .._server.servers import SERVER_TYPES

T = TypeVar("T")
Found = dict[str, Any]
KINDS = ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections")


def there(ask: Callable[[], T]) -> T | None:
    """What `ask` reads; None where there is no such thing, or no such resource group."""
    try:
        return ask()
    except service_errors() as error:
        if status_of(error) != 404 or code_of(error) == "SubscriptionNotFound":
            raise
        return None


def properties_of(found: Found | None) -> Found:
    properties: Found = (found or {}).get("properties") or {}
    return properties


def connection_of(endpoint: Found) -> Found:
    """The one connection that an endpoint has; it is listed under one of two keys."""
    rows = [row for kind in KINDS for row in properties_of(endpoint).get(kind) or []]
    return properties_of(rows[0]) if rows else {}


def endpoint_result(endpoint: Found, groups: Iterable[Found] = (), nic: Found | None = None) -> Found:
    """A private endpoint with its zone groups and its network interface, in this collection's words."""
    properties, connection = properties_of(endpoint), connection_of(endpoint)
    where = parse(endpoint["id"], "id")
    subnet_id = (properties.get("subnet") or {}).get("id")
    configs = [
        properties_of(row) for group in groups for row in properties_of(group).get("privateDnsZoneConfigs") or []
    ]
    return {
        "id": endpoint["id"],
        "name": endpoint["name"],
        "resource_group": where.resource_group,
        "subscription_id": where.subscription_id,
        "location": endpoint.get("location"),
        "virtual_network_id": subnet_id.rsplit("/subnets/", 1)[0] if subnet_id else None,
        "subnet_id": subnet_id,
        "private_ip_addresses": _unique(_addresses(properties, configs, nic)),
        "server_id": connection.get("privateLinkServiceId"),
        "status": (connection.get("privateLinkServiceConnectionState") or {}).get("status"),
        "fqdns": _unique(_names(properties, nic)),
        "private_dns_zone_ids": _unique(config["privateDnsZoneId"] for config in configs),
        "tags": endpoint.get("tags") or {},
    }


def _addresses(properties: Found, configs: list[Found], nic: Found | None) -> Iterator[str | None]:
    """An endpoint with a zone group does not tell its address itself; its interface does, and so does the group."""
    for row in properties.get("customDnsConfigs") or []:
        yield from row.get("ipAddresses") or []
    for row in properties_of(nic).get("ipConfigurations") or []:
        yield properties_of(row).get("privateIPAddress")
    for config in configs:
        for record in config.get("recordSets") or []:
            yield from record.get("ipAddresses") or []


def _names(properties: Found, nic: Found | None) -> Iterator[str | None]:
    for row in properties.get("customDnsConfigs") or []:
        yield row.get("fqdn")
    for row in properties_of(nic).get("ipConfigurations") or []:
        yield from (properties_of(row).get("privateLinkConnectionProperties") or {}).get("fqdns") or []


def _unique(values: Iterable[str | None]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value]


class PrivateEndpoints:
    """Reads endpoints with what belongs to them: one request for each, then two for each, all at once."""

    def __init__(self, azure: Azure) -> None:
        self.azure = azure

    def of_server(self, server_id: str) -> list[Found]:
        where = parse(server_id, "server_id")
        kinds = {kind.kind.lower(): kind for kind in SERVER_TYPES.values()}
        kind = kinds.get("/".join(where.types).lower())
        if where.namespace.lower() != PROVIDER.lower() or kind is None:
            raise ModuleFailure(f"server_id is not the id of a server of Azure Database for PostgreSQL: {server_id!r}.")
        server = kind(self.azure, where.subscription_id, where.resource_group, where.name)
        connections = (there(server.details) or {}).get("private_endpoint_connections") or []
        return self.by_ids(row["private_endpoint_id"] for row in connections if row["private_endpoint_id"])

    def by_ids(self, ids: Iterable[str]) -> list[Found]:
        found = each(lambda one: there(partial(self._get, one)), _unique(ids))
        return self._completed(filter(None, found))

    def listed(self, group: str | None) -> list[Found]:
        """Those of a group or of the subscription that lead to servers of Azure Database for PostgreSQL."""
        client = self.azure.network().private_endpoints
        rows = there(lambda: [wire(row) for row in (client.list(group) if group else client.list_by_subscription())])
        mark = f"/providers/{PROVIDER}/".lower()
        ours = [row for row in rows or [] if mark in str(connection_of(row).get("privateLinkServiceId")).lower()]
        return self._completed(ours)

    def _get(self, endpoint_id: str) -> Found:
        where = parse(endpoint_id, "ids")
        if [kind.lower() for kind in where.types] != ["privateendpoints"]:
            raise ModuleFailure(f"ids has an entry that is not the id of a private endpoint: {endpoint_id!r}.")
        client = self.azure.network(where.subscription_id).private_endpoints
        found: Found = client.get(where.resource_group, where.name, cls=raw)
        return found

    def _completed(self, endpoints: Iterable[Found]) -> list[Found]:
        rows = list(endpoints)
        asks = [ask for row in rows for ask in (partial(self._groups, row), partial(self._nic, row))]
        answers = each(there, asks)
        return [
            endpoint_result(row, groups or [], nic)
            for row, groups, nic in zip(rows, answers[::2], answers[1::2], strict=True)
        ]

    def _groups(self, endpoint: Found) -> Any:
        where = parse(endpoint["id"], "id")
        client = self.azure.network(where.subscription_id).private_dns_zone_groups
        return [wire(row) for row in client.list(where.name, where.resource_group)]

    def _nic(self, endpoint: Found) -> Any:
        properties = properties_of(endpoint)
        interfaces = properties.get("networkInterfaces") or []
        if properties.get("customDnsConfigs") or not interfaces:
            return None
        where = parse(interfaces[0]["id"], "id")
        client = self.azure.network(where.subscription_id).network_interfaces
        return client.get(where.resource_group, where.name, cls=raw)
