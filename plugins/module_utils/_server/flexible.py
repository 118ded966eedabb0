# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Flexible Server is made of. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .._compare import overlay, pick
from .._errors import ModuleFailure
from .._ids import parse, same
from .servers import DOWN, region, vcores_of
from .sizing import Offer, major, tier_of

Row = dict[str, Any]
NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
SUBNET = ("Microsoft.Network", ("virtualNetworks", "subnets"))
ZONE = ("Microsoft.Network", ("privateDnsZones",))
BACKUP_DAYS = range(7, 36)
IMMUTABLE = ("location", "administrator_login")
# What the service gives a server whose maker does not say.
DEFAULTS = {"storage_gb": 128, "high_availability": "Disabled", "backup_retention_days": 7}
# Keys of a row without which no server can be made, with their options.
NEEDED = {"version": "version", "sku": "sku_name", "administrator_login": "administrator_login"}
PLAIN = ("location", "version", "storage_gb", "administrator_login", "public_network_access")
MORE = ("high_availability", "backup_retention_days", "tags")
UPGRADE = (
    "An upgrade in place can not be undone, stops the server and may need extensions to be removed first: look with "
    "az postgres flexible-server upgrade --validate, then upgrade with that command, or make a new server."
)


def problems(params: Row) -> Iterator[str]:
    """All that is wrong with the options by themselves."""
    if not NAME.fullmatch(params["name"]):
        yield "name needs 3 to 63 small letters, digits and hyphens, with no hyphen at its ends"
    days, storage = params["backup_retention_days"], params["storage_gb"]
    if days is not None and days not in BACKUP_DAYS:
        yield f"backup_retention_days is {days} and has to be from {BACKUP_DAYS[0]} to {BACKUP_DAYS[-1]}"
    if storage is not None and storage < 1:
        yield f"storage_gb is {storage} and has to be at least 1"
    for option, wanted in (("delegated_subnet_id", SUBNET), ("private_dns_zone_id", ZONE)):
        if params[option] and not _is_id(params[option], *wanted):
            yield f"{option} is {params[option]!r} and has to be the id of {'/'.join(wanted[1])}"
    if bool(params["delegated_subnet_id"]) != bool(params["private_dns_zone_id"]):
        yield "delegated_subnet_id and private_dns_zone_id go together"
    if params["delegated_subnet_id"] and params["public_network_access"] == "Enabled":
        yield "public_network_access can not be Enabled for a server in a delegated subnet"
    tier = params["sku_tier"] or tier_of(params["sku_name"] or "")
    if tier == "Burstable" and params["high_availability"] not in (None, "Disabled"):
        yield "high_availability needs a size of the tier GeneralPurpose or MemoryOptimized"


def _is_id(text: str, namespace: str, types: tuple[str, ...]) -> bool:
    try:
        where = parse(text, "id")
    except ModuleFailure:
        return False
    return (where.namespace.lower(), "/".join(where.types).lower()) == (namespace.lower(), "/".join(types).lower())


def asked(params: Row, current: Row | None = None) -> Row:
    """The options that the user gave, as keys of a server's row; ids are spelled as `current` spells them."""
    row = pick(params, PLAIN + MORE)
    if "location" in row:
        row["location"] = region(row["location"])
    if "tags" in row:
        row["tags"] = {name: str(value) for name, value in row["tags"].items()}
    sku = params["sku_name"] or ""
    if sku and sku.lower() != str((current or {}).get("sku")).lower():
        tier = params["sku_tier"] or tier_of(sku)
        row |= {"sku": sku, "vcores": vcores_of(sku), **({"tier": tier} if tier else {})}
    there = (current or {}).get("network") or {}
    network = pick(params, ("delegated_subnet_id", "private_dns_zone_id"))
    if network:
        row["network"] = {
            name: there[name] if same(there.get(name), value) else f"/{value.strip('/')}"
            for name, value in network.items()
        }
    return row


def new_row(server_id: str, wanted: Row) -> Row:
    """A server that is to be made, as far as it is known before; `wanted` has its size, version and location."""
    where = parse(server_id, "id")
    network = {"delegated_subnet_id": None, "private_dns_zone_id": None, **wanted.get("network", {})}
    return {
        "id": server_id,
        "name": where.name,
        "resource_group": where.resource_group,
        "subscription_id": where.subscription_id,
        "fully_qualified_domain_name": None,
        "minor_version": None,
        "replication_role": "Primary",
        "private_endpoint_connections": [],
        "public_network_access": "Disabled" if network["delegated_subnet_id"] else "Enabled",
        "state": "Ready",
        "tags": {},
        **DEFAULTS,
        **wanted,
        "network": network,
    }


def changed_row(current: Row, wanted: Row) -> Row:
    """`wanted` laid over a server that is there; raises for what can not be changed."""
    row = overlay(current, wanted, IMMUTABLE)
    subnet = "delegated_subnet_id"
    overlay(current["network"], pick(wanted.get("network", {}), (subnet,)), (subnet,))
    storage = current["storage_gb"]
    if storage and row["storage_gb"] < storage:
        raise ModuleFailure(
            f"storage_gb can not become less: it is {storage}, {row['storage_gb']} was asked for.",
            code="ImmutableOption",
            hint="Leave the option out, or make a new server.",
        )
    if row["version"] != current["version"]:
        lower = major(row["version"]) < major(current["version"])
        raise ModuleFailure(
            f"version can not be changed here: it is {current['version']}, {row['version']} was asked for.",
            code="ImmutableOption",
            hint="A server never goes back to an older version: make a new one." if lower else UPGRADE,
        )
    if row != current and current["state"] in DOWN:
        raise ModuleFailure(
            f"{current['name']} can not be changed: its state is {current['state']}.",
            code="ServerNotReady",
            hint=DOWN[current["state"]],
        )
    return row


def lacking(wanted: Row, password: str | None) -> list[str]:
    """The options without which no server can be made, when `wanted` does not have them from elsewhere."""
    needed = {**NEEDED, "tier": "sku_tier"} if wanted.get("sku") else NEEDED
    found = [option for name, option in needed.items() if not wanted.get(name)]
    return found if password else [*found, "administrator_password"]


def spelled(wanted: Row, offer: Offer) -> Row:
    """`wanted` with its size as the location spells it, and the tier that the size has there."""
    known = offer.sku(wanted.get("sku") or "")
    return {**wanted, "sku": known.name, "tier": known.tier, "vcores": vcores_of(known.name)} if known else wanted


def creation_body(row: Row, password: str) -> dict[str, Any]:
    network = {
        "delegatedSubnetResourceId": row["network"]["delegated_subnet_id"],
        "privateDnsZoneArmResourceId": row["network"]["private_dns_zone_id"],
    }
    if not network["delegatedSubnetResourceId"]:
        network = {"publicNetworkAccess": row["public_network_access"]}
    return {
        "location": row["location"],
        "tags": row["tags"],
        "sku": {"name": row["sku"], "tier": row["tier"]},
        "properties": {
            "createMode": "Default",
            "version": row["version"],
            "administratorLogin": row["administrator_login"],
            "administratorLoginPassword": password,
            "storage": {"storageSizeGB": row["storage_gb"]},
            "backup": {"backupRetentionDays": row["backup_retention_days"]},
            "highAvailability": {"mode": row["high_availability"]},
            "network": network,
        },
    }


def change_body(before: Row, row: Row, password: str | None) -> dict[str, Any]:
    """Only what differs, so that nothing else is touched; tags are sent whole, since the service replaces them."""
    properties: dict[str, Any] = {}
    if row["storage_gb"] != before["storage_gb"]:
        properties["storage"] = {"storageSizeGB": row["storage_gb"]}
    if row["backup_retention_days"] != before["backup_retention_days"]:
        properties["backup"] = {"backupRetentionDays": row["backup_retention_days"]}
    if row["high_availability"] != before["high_availability"]:
        properties["highAvailability"] = {"mode": row["high_availability"]}
    network = {}
    if row["public_network_access"] != before["public_network_access"]:
        network["publicNetworkAccess"] = row["public_network_access"]
    if row["network"] != before["network"]:
        network["privateDnsZoneArmResourceId"] = row["network"]["private_dns_zone_id"]
    if network:
        properties["network"] = network
    if password:
        properties["administratorLoginPassword"] = password
    body: dict[str, Any] = {"properties": properties} if properties else {}
    if (row["sku"], row["tier"]) != (before["sku"], before["tier"]):
        body["sku"] = {"name": row["sku"], "tier": row["tier"]}
    if row["tags"] != before["tags"]:
        body["tags"] = row["tags"]
    return body


def explain(failure: ModuleFailure) -> ModuleFailure:
    """Adds the way out where the service's code says too little."""
    if "missing required delegations" in failure.message:
        failure.hint = (
            "Delegate the subnet with pgflex.migrate.subnet and delegation Microsoft.DBforPostgreSQL/flexibleServers."
        )
    return failure
