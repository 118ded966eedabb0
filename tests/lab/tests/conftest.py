# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab for all tests of the control plane; tests use servers and names of their own where they change things."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab
from sdk_clients import Clients, environment


@pytest.fixture(scope="session")
def lab() -> Iterator[Running]:
    # 900 of Azure's seconds are 1.5 real ones: long enough to meet PrincipalNotFound on a slow machine.
    with running_lab(principal_lag=900.0, page_size=50) as running, environment(running):
        yield running


@pytest.fixture
def clients(lab: Running) -> Iterator[Clients]:
    os.environ.pop("HTTPS_PROXY", None)
    yield Clients.of(lab)
    lab.admin("DELETE", "faults")
