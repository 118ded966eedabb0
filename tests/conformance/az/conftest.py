# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab for all of azure-cli's tests, and the CLI signed in to it both ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from azure_cli import Az, installed
from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab

CLOUD = "PgflexLab"
GROUP = "shop-rg"
READER = ("33333333-0000-4000-8000-00000000000c", "Lab-Secret~reader")


@pytest.fixture(scope="session")
def venv() -> Path:
    return installed()


@pytest.fixture(scope="session")
def lab(venv: Path) -> Iterator[Running]:
    with running_lab() as running:
        yield running


@contextmanager
def opened(az: Az) -> Iterator[Az]:
    try:
        yield az
    finally:
        az.close()


def sign_in(az: Az, *, cloud: str) -> None:
    """As the operator of the seed, whose credentials the lab exports."""
    exported = az.lab.environment()
    (account,) = az.sign_in(exported["AZURE_CLIENT_ID"], exported["AZURE_SECRET"], exported["AZURE_TENANT"])
    assert account["cloudName"] == cloud
    assert account["id"] == exported["AZURE_SUBSCRIPTION_ID"]


@pytest.fixture(scope="session")
def custom(venv: Path, lab: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Az]:
    """Signed in to a cloud of its own name, whose endpoints are the lab's."""
    with opened(Az(venv, tmp_path_factory.mktemp("az-custom"), lab, proxied=False)) as az:
        az.ok("cloud", "register", "-n", CLOUD, "--endpoint-resource-manager", lab.url, runner=az.process)
        az.ok("cloud", "set", "-n", CLOUD, runner=az.process)
        sign_in(az, cloud=CLOUD)
        yield az


@pytest.fixture(scope="session")
def proxied(venv: Path, lab: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Az]:
    """Signed in to AzureCloud as it is, through the lab's proxy."""
    with opened(Az(venv, tmp_path_factory.mktemp("az-proxied"), lab, proxied=True)) as az:
        sign_in(az, cloud="AzureCloud")
        yield az


@pytest.fixture(scope="session")
def reader(venv: Path, lab: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Az]:
    """Signed in as somebody who may look and not touch."""
    with opened(Az(venv, tmp_path_factory.mktemp("az-reader"), lab, proxied=True)) as az:
        az.sign_in(*READER, lab.environment()["AZURE_TENANT"])
        yield az


@pytest.fixture(params=["custom", "proxied"])
def az(request: pytest.FixtureRequest) -> Az:
    """Both ways, one after the other."""
    found: Az = request.getfixturevalue(request.param)
    return found
