# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab in which nothing takes long, for tests that try whatever can be sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgflex_lab.testing import running_lab
from wire import Wire

TIME_SCALE = 1_000_000.0


@pytest.fixture(scope="session")
def wire() -> Iterator[Wire]:
    with running_lab(time_scale=TIME_SCALE) as lab:
        yield Wire(lab)


@pytest.fixture(autouse=True)
def no_traceback(wire: Wire) -> Iterator[None]:
    """What goes wrong behind an answer, in an operation for example, is seen in the lab's log only."""
    log = wire.lab.home / "lab.log"
    before = log.stat().st_size
    yield
    with log.open() as handle:
        handle.seek(before)
        said = handle.read()
    assert "Traceback" not in said, said[-6000:]
