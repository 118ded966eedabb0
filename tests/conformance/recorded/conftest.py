# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab
from plain_requests import Plain

HERE = Path(__file__).resolve().parent
REFERENCE = HERE.parents[3] / "shared" / "reference"


@pytest.fixture(scope="session")
def reference() -> Path:
    if not REFERENCE.is_dir():
        pytest.skip("the folder with the recordings is not beside the repository")
    return REFERENCE


@pytest.fixture(scope="session")
def recorded_lab() -> Iterator[Running]:
    with running_lab(seed=str(HERE / "azure.yml")) as running:
        yield running


@pytest.fixture(scope="session")
def plain(recorded_lab: Running) -> Plain:
    environment = recorded_lab.environment()
    answer = requests.post(
        f"{recorded_lab.url}/{environment['AZURE_TENANT_ID']}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": environment["AZURE_CLIENT_ID"],
            "client_secret": environment["AZURE_CLIENT_SECRET"],
            "scope": f"{recorded_lab.url}/.default",
        },
        verify=str(recorded_lab.facts["ca"]),
        timeout=30,
    )
    return Plain(recorded_lab, answer.json()["access_token"])
