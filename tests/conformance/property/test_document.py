# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/LAB.md has all that the lab describes of itself, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from wire import Wire

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "LAB.md"


def top(path: str) -> str:
    """The type that the table names: children are told in its row."""
    if "/providers/Microsoft." in path:
        namespace, kind = path.rsplit("/providers/", 1)[1].split("/")[:2]
        return f"{namespace}/{kind}"
    if "/providers" in path:
        return (
            "Microsoft.Resources/subscriptions/providers"
            if "subscriptions" in path
            else "Microsoft.Resources/providers"
        )
    kinds = [part for part in path.split("/")[1::2] if part == "resourceGroups"]
    return "/".join(["Microsoft.Resources", path.split("/")[1], *kinds])


def test_the_table_has_every_type(wire: Wire) -> None:
    paths = wire.lab.admin("GET", "openapi.json")["paths"]
    arm = [path for path, item in paths.items() if "Resource Manager" in next(iter(item.values()))["tags"]]
    rows = [line.split("|")[1] for line in DOCUMENT.read_text().splitlines() if line.startswith("| `Microsoft.")]
    told = {name for row in rows for name in re.findall(r"`([^`]+)`", row)} - {
        "Microsoft.DBforPostgreSQL/flexibleServers/migrations"
    }
    assert {top(path) for path in arm} == told
