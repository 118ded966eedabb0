# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab for all tests that do not need one of their own; tests keep apart by their servers' names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from plays import Pair, Player, make_pair

from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab
from postgres_versions.fixtures import postgres

HERE = Path(__file__).parent
__all__ = ["postgres"]

# Begun first, the longest files leave no worker alone at the end.
LONGEST = (
    "test_topologies",
    "test_topology_pieces",
    "test_fleet",
    "test_faults",
    "test_public_access",
    "test_direct_engine",
    "test_modules_networks",
    "test_both_ways",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)) if item.path.parent == HERE else len(order))


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Running]:
    with running_lab() as running:
        yield running


@pytest.fixture
def player(shared_lab: Running, tmp_path: Path) -> Iterator[Player]:
    player = Player(shared_lab, tmp_path)
    player.writes()
    yield player
    shared_lab.admin("DELETE", "faults")


@pytest.fixture
def pair(shared_lab: Running, request: pytest.FixtureRequest) -> Pair:
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    return make_pair(shared_lab, words[-40:].strip("-"))
