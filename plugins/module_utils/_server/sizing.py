# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which target matches a source. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._errors import ModuleFailure

TIERS = ("Burstable", "GeneralPurpose", "MemoryOptimized")
# A Single Server does not tell its memory; the documentation gives it in GB for each core of a tier.
SINGLE_MEMORY = {"Basic": 2.0, "GeneralPurpose": 5.0, "MemoryOptimized": 10.0}
SERIES_MEMORY = {"D": 4.0, "E": 8.0}
SERIES_TIERS = {"B": "Burstable", "D": "GeneralPurpose", "E": "MemoryOptimized"}
# Flexible Servers have 4 and 8 GB for a core where Single Servers had 5 and 10, and do the same work with it.
ENOUGH_MEMORY = 0.8
# What the service's guides ask for, beside what the source's data takes.
HEADROOM = 1.25
_GENERATION = re.compile(r"_v(\d+)$")


@dataclass(frozen=True)
class Sku:
    name: str
    tier: str
    vcores: int
    memory_gb: float

    @property
    def generation(self) -> int:
        found = _GENERATION.search(self.name)
        return int(found[1]) if found else 0


@dataclass(frozen=True)
class Offer:
    """What a location has for Flexible Servers; storage sizes in GB by tier."""

    location: str
    skus: tuple[Sku, ...]
    storage: Mapping[str, tuple[int, ...]]
    versions: tuple[str, ...]

    def sku(self, name: str) -> Sku | None:
        return next((sku for sku in self.skus if sku.name.lower() == name.lower()), None)


@dataclass(frozen=True)
class Source:
    """The server that a target has to be a match for."""

    name: str
    version: int
    tier: str
    vcores: int
    memory_gb: float | None
    storage_gb: int
    private: bool


def offer_of(location: str, rows: Iterable[dict[str, Any]]) -> Offer:
    """The capabilities of a location, as the service answers them: one row, or one for each zone."""
    skus: dict[str, Sku] = {}
    storage: dict[str, set[int]] = {}
    versions: set[str] = set()
    for row in rows:
        versions.update(version["name"] for version in _to_be_had(row, "supportedServerVersions"))
        for edition in _to_be_had(row, "supportedServerEditions"):
            tier = edition["name"]
            for sku in _to_be_had(edition, "supportedServerSkus"):
                memory = (sku.get("supportedMemoryPerVcoreMb") or 0) * sku["vCores"] / 1024
                skus.setdefault(sku["name"], Sku(sku["name"], tier, sku["vCores"], memory))
            storage.setdefault(tier, set()).update(_disk_sizes(edition))
    sizes = {tier: tuple(sorted(found)) for tier, found in storage.items()}
    return Offer(location, tuple(skus.values()), sizes, tuple(sorted(versions, key=major)))


def _to_be_had(found: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The service also lists what this subscription can not have, and says so."""
    return [row for row in found.get(key) or [] if row.get("status") != "Disabled"]


def _disk_sizes(edition: dict[str, Any]) -> Iterable[int]:
    """Of ordinary disks; the other kind has any size and is not what a server gets unless it asks."""
    for kind in _to_be_had(edition, "supportedStorageEditions"):
        if kind.get("name") == "ManagedDisk":
            yield from (size["storageSizeMb"] // 1024 for size in _to_be_had(kind, "supportedStorageMb"))


def major(version: str | None) -> int:
    """10 of 10.2, and 9 of 9.6: all of them are older than any Flexible Server's."""
    found = re.match(r"\d+", version or "")
    return int(found[0]) if found else 0


def tier_of(sku: str) -> str | None:
    series = re.match(r"Standard_([A-Z])", sku, re.IGNORECASE)
    return SERIES_TIERS.get(series[1].upper()) if series else None


def source_of(row: dict[str, Any], offer: Offer) -> Source:
    """The source from its row, as single_server_info or flexible_server_info gives it."""
    vcores = row["vcores"] or 1
    if "storage_mb" in row:
        storage, per_core = math.ceil((row["storage_mb"] or 0) / 1024), SINGLE_MEMORY.get(row["tier"])
    else:
        storage, per_core = row["storage_gb"] or 0, SERIES_MEMORY.get((row["sku"] or "").removeprefix("Standard_")[:1])
    known = offer.sku(row["sku"] or "")
    memory = known.memory_gb if known else vcores * per_core if per_core else None
    tier = "Burstable" if row["tier"] == "Basic" else row["tier"]
    private = row["public_network_access"] == "Disabled"
    return Source(row["name"], major(row["version"]), tier, vcores, memory, storage, private)


def needed_storage(source: Source, used_gb: float | None) -> int:
    used = source.storage_gb if used_gb is None else used_gb
    return max(source.storage_gb, math.ceil(HEADROOM * used))


def matching(source: Source, offer: Offer, given: Mapping[str, Any], used_gb: float | None = None) -> dict[str, Any]:
    """sku, tier, storage_gb and version of the smallest match for the source; what is `given` stays as it is.

    Raises when the location has no match.
    """
    wanted = {name: given[name] for name in ("sku", "tier", "storage_gb", "version") if given.get(name)}
    if "sku" not in wanted:
        sku = _matching_sku(source, offer)
        wanted |= {"sku": sku.name, "tier": sku.tier}
    known = offer.sku(wanted["sku"])
    if "storage_gb" not in wanted:
        storage = needed_storage(source, used_gb)
        tier = known.tier if known else wanted.get("tier")
        sizes = [size for size in offer.storage.get(tier or "", ()) if size >= storage]
        if not sizes:
            raise _no_match(source, offer, f"no storage of {storage} GB or more")
        wanted["storage_gb"] = sizes[0]
    if "version" not in wanted:
        versions = [version for version in offer.versions if major(version) >= source.version]
        if not versions:
            raise _no_match(source, offer, f"no version {source.version} or newer")
        wanted["version"] = versions[0]
    return wanted


def _matching_sku(source: Source, offer: Offer) -> Sku:
    """In the source's tier if that has one, otherwise in the next that has; of equal ones the newest generation."""
    first = TIERS.index(source.tier) if source.tier in TIERS else 0
    memory = (source.memory_gb or 0) * ENOUGH_MEMORY
    fits = [
        sku
        for sku in offer.skus
        if sku.tier in TIERS[first:] and sku.vcores >= source.vcores and sku.memory_gb >= memory
    ]
    if not fits:
        raise _no_match(source, offer, f"no size with {source.vcores} vCores and {memory:g} GB of memory")
    return min(
        fits,
        key=lambda s: (TIERS.index(s.tier), s.vcores, s.memory_gb, -s.generation, len(s.name), s.name),
    )


def _no_match(source: Source, offer: Offer, lack: str) -> ModuleFailure:
    return ModuleFailure(
        f"{offer.location} has no Flexible Server that matches {source.name}: {lack}.",
        code="NoMatch",
        hint="Choose another location, or give sku_name, storage_gb and version yourself.",
    )


def shortfalls(
    source: Source, offer: Offer, target: dict[str, Any], used_gb: float | None = None, *, size: bool = True
) -> list[str]:
    """What of a target, given as its row, is too small for the source; without `size` its cores are left aside."""
    found = []
    storage = needed_storage(source, used_gb)
    if (target["storage_gb"] or 0) < storage:
        found.append(f"its storage of {target['storage_gb']} GB is less than {storage} GB")
    if major(target["version"]) < source.version:
        found.append(f"its version {target['version']} is older than {source.version}")
    if size and target["vcores"] is not None and target["vcores"] < source.vcores:
        found.append(f"its {target['vcores']} vCores are fewer than {source.vcores}")
    known = offer.sku(target["sku"] or "")
    memory = (source.memory_gb or 0) * ENOUGH_MEMORY
    if size and known and known.memory_gb < memory:
        found.append(f"its memory of {known.memory_gb:g} GB is less than {memory:g} GB")
    return found


def not_offered(offer: Offer, sku: str | None, storage_gb: int | None, version: str | None) -> list[str]:
    """Which of the values a location does not have; None is one that is not asked for."""
    found = []
    known = offer.sku(sku) if sku else None
    if sku and offer.skus and known is None:
        cores = re.search(r"\d+", sku)
        near = [s.name for s in offer.skus if not cores or s.vcores == int(cores[0])] or [s.name for s in offer.skus]
        found.append(f"the size {sku} (there are {', '.join(sorted(near))})")
    sizes = offer.storage.get(known.tier if known else "") or tuple(sorted(set().union(*offer.storage.values())))
    if storage_gb is not None and sizes and storage_gb not in sizes:
        found.append(f"storage of {storage_gb} GB (there are {', '.join(map(str, sizes))})")
    if version and offer.versions and version not in offer.versions:
        found.append(f"version {version} (there are {', '.join(offer.versions)})")
    return found
