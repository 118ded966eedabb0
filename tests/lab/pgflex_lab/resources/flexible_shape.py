# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Flexible Server may look like: sizes, versions, and which keys which API version shows."""

from __future__ import annotations

import re
from typing import Any

from pgflex_lab.resources.servers import invalid

VERSIONS = {"11": "22", "12": "22", "13": "23", "14": "20", "15": "15", "16": "11", "17": "7", "18": "1"}
STORAGE_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
TIER_NAMES = ("P4", "P6", "P10", "P15", "P20", "P30", "P40", "P50", "P60", "P70", "P80")
STORAGE_TIERS = dict(zip(STORAGE_SIZES, TIER_NAMES, strict=True))
IOPS = dict(zip(STORAGE_SIZES, (120, 240, 500, 1100, 2300, 5000, 7500, 7500, 16000, 18000, 20000), strict=True))
SKU = re.compile(r"Standard_(?P<series>[BDE])\w+")
TIERS = {"B": "Burstable", "D": "GeneralPurpose", "E": "MemoryOptimized"}
FIRST_WITH = {
    "2022-12-01": ("authConfig", "dataEncryption", "replicationRole", "replicaCapacity"),
    "2023-06-01-preview": ("privateEndpointConnections",),
    "2024-08-01": ("replica",),
}
FEATURES_SINCE = "2025-01-01-preview"
FEATURES = {
    "FastProvisioning": "Enabled",
    "ZoneRedundantHa": "Enabled",
    "GeoBackup": "Enabled",
    "ZoneRedundantHaAndGeoBackup": "Enabled",
    "StorageAutoGrowth": "Enabled",
    "OnlineResize": "Enabled",
    "IndexTuning": "Enabled",
    "OfferRestricted": "Disabled",
}
STORAGE_SINCE = {"2023-06-01-preview": ("iops", "tier", "autoGrow"), "2024-08-01": ("type",)}


def sku_of(sku: Any) -> dict[str, Any]:
    given = sku if isinstance(sku, dict) else {}
    name = str(given.get("name") or "Standard_D2ds_v5")
    match = SKU.fullmatch(name)
    if match is None:
        raise invalid("sku.name")
    tier = TIERS[match["series"]]
    if given.get("tier") not in (None, tier):
        raise invalid("sku.tier", f"The sku '{name}' is of tier '{tier}', not '{given['tier']}'.")
    return {"name": name, "tier": tier}


def storage_of(given: dict[str, Any]) -> dict[str, Any]:
    size = given.get("storageSizeGB") or 128
    if size not in STORAGE_SIZES:
        raise invalid("storageSizeGB")
    return {
        "type": given.get("type") or "",
        "iops": IOPS[size],
        "tier": STORAGE_TIERS[size],
        "storageSizeGB": size,
        "autoGrow": given.get("autoGrow") or "Disabled",
    }


def shown(properties: dict[str, Any], api_version: str) -> dict[str, Any]:
    """Without the keys that this API version does not know yet."""
    for since, names in FIRST_WITH.items():
        if api_version < since:
            properties = {name: value for name, value in properties.items() if name not in names}
    hidden = [name for since, names in STORAGE_SINCE.items() if api_version < since for name in names]
    storage = {name: value for name, value in properties["storage"].items() if name not in hidden}
    return {**properties, "storage": storage}


def capabilities(api_version: str) -> dict[str, Any]:
    """One answer for every location and server."""
    editions = [
        {
            "name": tier,
            "defaultSkuName": default,
            "supportedStorageEditions": [
                {
                    "name": "ManagedDisk",
                    "defaultStorageSizeMb": 131072,
                    "supportedStorageMb": [
                        {
                            "storageSizeMb": size * 1024,
                            "supportedIops": IOPS[size],
                            "defaultIopsTier": STORAGE_TIERS[size],
                            "supportedIopsTiers": [
                                {"name": STORAGE_TIERS[larger], "iops": IOPS[larger]}
                                for larger in STORAGE_SIZES
                                if larger >= size
                            ],
                        }
                        for size in STORAGE_SIZES
                    ],
                }
            ],
            "supportedServerSkus": [
                {
                    "name": name,
                    "vCores": cores,
                    "supportedIops": 3200 * cores,
                    "supportedMemoryPerVcoreMb": 4096,
                    "supportedZones": ["1", "2", "3"],
                    "supportedHaMode": ["SameZone", "ZoneRedundant"] if tier != "Burstable" else [],
                }
                for name, cores in skus
            ],
        }
        for tier, default, skus in (
            ("Burstable", "Standard_B1ms", (("Standard_B1ms", 1), ("Standard_B2s", 2))),
            (
                "GeneralPurpose",
                "Standard_D2ds_v5",
                (("Standard_D2ds_v4", 2), ("Standard_D4ds_v4", 4), ("Standard_D2ds_v5", 2), ("Standard_D4ds_v5", 4)),
            ),
            ("MemoryOptimized", "Standard_E2ds_v5", (("Standard_E2ds_v5", 2), ("Standard_E4ds_v5", 4))),
        )
    ]
    found = {
        "name": "FlexibleServerCapabilities",
        "supportedServerEditions": editions,
        "supportedServerVersions": [
            {"name": name, "supportedVersionsToUpgrade": [item for item in VERSIONS if int(item) > int(name)]}
            for name in VERSIONS
        ],
        "fastProvisioningSupported": "Enabled",
        "supportedFastProvisioningEditions": [],
        "geoBackupSupported": "Enabled",
        "zoneRedundantHaSupported": "Enabled",
        "zoneRedundantHaAndGeoBackupSupported": "Enabled",
        "storageAutoGrowthSupported": "Enabled",
        "onlineResizeSupported": "Enabled",
        "restricted": "Disabled",
    }
    if api_version >= FEATURES_SINCE:
        found["supportedFeatures"] = [{"name": name, "status": status} for name, status in FEATURES.items()]
    return found
