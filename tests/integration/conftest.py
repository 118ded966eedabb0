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

__all__ = ["postgres"]


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
