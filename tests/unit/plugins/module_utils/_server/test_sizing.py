# SPDX-License-Identifier: GPL-3.0-or-later
"""Which target matches which source, as a table."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure
from ansible_collections.pgflex.migrate.plugins.module_utils._server.sizing import (
    Offer,
    major,
    matching,
    needed_storage,
    not_offered,
    offer_of,
    shortfalls,
    source_of,
)

SIZES = (32, 64, 128, 256, 512, 1024, 2048)
MEMORY = {"B": 2048, "D": 4096, "E": 8192}
EDITIONS = {
    "Burstable": {"Standard_B1ms": 1, "Standard_B2s": 2},
    "GeneralPurpose": {
        "Standard_D2s_v3": 2,
        "Standard_D2ads_v5": 2,
        "Standard_D2ds_v5": 2,
        "Standard_D4ds_v4": 4,
        "Standard_D4ds_v5": 4,
        "Standard_D16ds_v5": 16,
    },
    "MemoryOptimized": {"Standard_E2ds_v5": 2, "Standard_E4ds_v5": 4, "Standard_E32ds_v5": 32},
}


def capabilities(
    editions: dict[str, dict[str, int]] | None = None, versions: str = "11 12 13 14 15 16"
) -> dict[str, Any]:
    def size(name: str, cores: int) -> dict[str, Any]:
        return {"name": name, "vCores": cores, "supportedMemoryPerVcoreMb": MEMORY[name[9]]}

    disks = [{"storageSizeMb": size * 1024} for size in SIZES]
    storage = [
        {"name": "ManagedDisk", "supportedStorageMb": disks},
        {"name": "ManagedDiskV2", "supportedStorageMb": [{"storageSizeMb": 1024, "maximumStorageSizeMb": 67108864}]},
    ]
    return {
        "supportedServerEditions": [
            {
                "name": tier,
                "supportedStorageEditions": storage,
                "supportedServerSkus": [size(name, cores) for name, cores in skus.items()],
            }
            for tier, skus in (editions or EDITIONS).items()
        ],
        "supportedServerVersions": [{"name": version} for version in versions.split()],
    }


OFFER = offer_of("westeurope", [capabilities()])


def single(tier: str, vcores: int, storage_gb: float, version: str = "11", access: str = "Enabled") -> dict[str, Any]:
    return {
        "name": "old",
        "sku": f"X_Gen5_{vcores}",
        "tier": tier,
        "vcores": vcores,
        "storage_mb": int(storage_gb * 1024),
        "version": version,
        "public_network_access": access,
    }


def flexible(sku: str, tier: str, vcores: int, storage_gb: int, version: str = "13") -> dict[str, Any]:
    return {
        "name": "old",
        "sku": sku,
        "tier": tier,
        "vcores": vcores,
        "storage_gb": storage_gb,
        "version": version,
        "public_network_access": "Enabled",
    }


@pytest.mark.parametrize(
    ("source", "used", "wanted"),
    [
        (single("Basic", 1, 5), None, ("Standard_B1ms", 32, "11")),
        (single("Basic", 2, 50), None, ("Standard_B2s", 64, "11")),
        (single("GeneralPurpose", 2, 100), None, ("Standard_D2ds_v5", 128, "11")),
        (single("GeneralPurpose", 2, 102.4), None, ("Standard_D2ds_v5", 256, "11")),
        (single("GeneralPurpose", 4, 100), 10, ("Standard_D4ds_v5", 128, "11")),
        (single("GeneralPurpose", 4, 100), 103, ("Standard_D4ds_v5", 256, "11")),
        (single("GeneralPurpose", 4, 200), 1, ("Standard_D4ds_v5", 256, "11")),
        (single("GeneralPurpose", 8, 32, "9.6"), 1, ("Standard_D16ds_v5", 32, "11")),
        (single("GeneralPurpose", 32, 32, "10.2"), 1, ("Standard_E32ds_v5", 32, "11")),
        (single("MemoryOptimized", 2, 32), 1, ("Standard_E2ds_v5", 32, "11")),
        (single("MemoryOptimized", 16, 32), 1, ("Standard_E32ds_v5", 32, "11")),
        (flexible("Standard_D2s_v3", "GeneralPurpose", 2, 128), 64, ("Standard_D2ds_v5", 128, "13")),
        (flexible("Standard_D4ds_v4", "GeneralPurpose", 4, 128, "16"), None, ("Standard_D4ds_v5", 256, "16")),
        (flexible("Standard_E4s_v3", "MemoryOptimized", 4, 64), 8, ("Standard_E4ds_v5", 64, "13")),
        (flexible("Standard_B2s", "Burstable", 2, 32), 8, ("Standard_B2s", 32, "13")),
        (flexible("Standard_B8ms", "Burstable", 8, 32), 8, ("Standard_D16ds_v5", 32, "13")),
    ],
)
def test_the_smallest_match(source: dict[str, Any], used: float | None, wanted: tuple[str, int, str]) -> None:
    found = matching(source_of(source, OFFER), OFFER, {}, used)
    assert (found["sku"], found["storage_gb"], found["version"]) == wanted


def test_what_is_given_stays() -> None:
    source = source_of(single("GeneralPurpose", 64, 100, "11"), OFFER)
    given = {"sku": "Standard_E4ds_v5", "tier": "MemoryOptimized", "version": "15"}
    assert matching(source, OFFER, given) == {**given, "storage_gb": 128}
    assert matching(source, OFFER, {**given, "storage_gb": 512})["storage_gb"] == 512


@pytest.mark.parametrize(
    ("source", "used", "lack"),
    [
        (single("GeneralPurpose", 64, 100), None, "no size with 64 vCores and 256 GB of memory"),
        (single("GeneralPurpose", 2, 1700), None, "no storage of 2125 GB or more"),
        (flexible("Standard_D2ds_v5", "GeneralPurpose", 2, 32, "17"), None, "no version 17 or newer"),
    ],
)
def test_no_match(source: dict[str, Any], used: float | None, lack: str) -> None:
    with pytest.raises(ModuleFailure) as raised:
        matching(source_of(source, OFFER), OFFER, {}, used)
    assert raised.value.message == f"westeurope has no Flexible Server that matches old: {lack}."


@pytest.mark.parametrize(
    ("target", "size", "found"),
    [
        (flexible("Standard_D4ds_v5", "GeneralPurpose", 4, 128), True, []),
        (flexible("Standard_D8ds_v5", "GeneralPurpose", 8, 512, "16"), True, []),
        (
            flexible("Standard_D2ds_v5", "GeneralPurpose", 2, 64, "10"),
            True,
            [
                "its storage of 64 GB is less than 125 GB",
                "its version 10 is older than 11",
                "its 2 vCores are fewer than 4",
                "its memory of 8 GB is less than 16 GB",
            ],
        ),
        (flexible("Standard_D2ds_v5", "GeneralPurpose", 2, 128), False, []),
    ],
)
def test_what_is_too_small(target: dict[str, Any], size: bool, found: list[str]) -> None:
    source = source_of(single("GeneralPurpose", 4, 100), OFFER)
    assert shortfalls(source, OFFER, target, size=size) == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (("standard_d4ds_V5", 128, "15"), []),
        ((None, None, None), []),
        (
            ("Standard_D4s_v9", None, None),
            ["the size Standard_D4s_v9 (there are Standard_D4ds_v4, Standard_D4ds_v5, Sta"],
        ),
        (("Standard_D2ds_v5", 100, "17"), ["storage of 100 GB (there are 32, 64", "version 17 (there are 11, 12"]),
    ],
)
def test_what_a_location_has_not(asked: tuple[Any, Any, Any], found: list[str]) -> None:
    said = not_offered(OFFER, *asked)
    assert len(said) == len(found)
    assert all(one.startswith(start) for one, start in zip(said, found, strict=True))


def test_a_location_that_tells_nothing_refuses_nothing() -> None:
    assert not_offered(Offer("mars", (), {}, ()), "Standard_D4ds_v5", 100, "17") == []


def test_an_offer_told_zone_by_zone() -> None:
    rows = [capabilities({"GeneralPurpose": {"Standard_D2ds_v5": 2}}, "16 9"), capabilities(versions="16 15")]
    found = offer_of("westeurope", rows)
    assert len(found.skus) == sum(map(len, EDITIONS.values())) and found.versions == ("9", "15", "16")
    assert found.storage["GeneralPurpose"] == SIZES


def test_what_the_subscription_can_not_have_is_not_offered() -> None:
    row = capabilities()
    row["supportedServerVersions"][0]["status"] = "Disabled"
    general = row["supportedServerEditions"][1]
    general["supportedServerSkus"][4] |= {"status": "Disabled", "reason": "Quota."}
    general["supportedStorageEditions"] = [{"name": "ManagedDisk", "supportedStorageMb": [{"storageSizeMb": 131072}]}]
    found = offer_of("westeurope", [row])
    assert found.versions[0] == "12" and found.storage["GeneralPurpose"] == (128,)
    assert matching(source_of(single("GeneralPurpose", 4, 100), found), found, {})["sku"] == "Standard_D4ds_v4"


def test_the_storage_that_is_needed() -> None:
    source = source_of(single("GeneralPurpose", 2, 100), OFFER)
    assert [needed_storage(source, used) for used in (None, 10, 80.1, 200)] == [125, 100, 101, 250]


def test_a_source_that_is_private_and_of_unknown_memory() -> None:
    source = source_of({**single("GeneralPurpose", 2, 1, access="Disabled"), "tier": "New"}, OFFER)
    assert source.private and source.memory_gb is None
    assert matching(source, OFFER, {})["sku"] == "Standard_B2s"
    assert [major(text) for text in ("9.6", "10.2", "16", None)] == [9, 10, 16, 0]
