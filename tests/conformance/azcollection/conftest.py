# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab for all plays. Each is run once, whichever of its tasks are looked at, and several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from azure_azcollection import Installed, Played, installed, play
from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab

# The SDKs poll at once, and then wait for a whole second: what is done by then costs nothing.
TIME_SCALE = 20000.0
# More than this machine may have processors, as some tasks sleep.
AT_A_TIME = 3
SOURCE_PASSWORD, TARGET_PASSWORD = "Lab-Passw0rd!source", "Lab-Passw0rd!target"


@pytest.fixture(scope="session")
def client() -> Installed:
    return installed()


@pytest.fixture(scope="session")
def lab(client: Installed) -> Iterator[Running]:
    with running_lab(time_scale=TIME_SCALE, principal_lag=0.0, secret_lag=0.0) as running:
        with connected(running, "shop-single", "pgadmin@shop-single", SOURCE_PASSWORD, "postgres") as admin:
            admin.execute("CREATE DATABASE shop")
        with connected(running, "shop-single", "pgadmin@shop-single", SOURCE_PASSWORD, "shop") as shop:
            shop.execute("CREATE TABLE orders (id int PRIMARY KEY, note text)")
            shop.execute("INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 100) n")
        yield running


def connected(
    lab: Running, server: str, user: str, password: str, database: str
) -> psycopg.Connection[tuple[object, ...]]:
    (place,) = (item for item in lab.admin("GET", "state")["servers"] if item["name"] == server)
    return psycopg.connect(
        host=place["fqdn"],
        hostaddr=place["hostaddr"],
        user=user,
        password=password,
        dbname=database,
        sslmode="verify-full",
        sslrootcert=str(lab.facts["ca"]),
        autocommit=True,
    )


@pytest.fixture
def target(lab: Running) -> Iterator[Callable[[str], list[tuple[object, ...]]]]:
    """Asks the database that the migration has made."""
    with connected(lab, "shop-flex", "pgadmin", TARGET_PASSWORD, "shop") as connection:
        yield lambda statement: connection.execute(statement).fetchall()


@pytest.fixture(scope="session")
def plays(
    request: pytest.FixtureRequest, client: Installed, lab: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, Future[Played]]]:
    """The runs that the chosen tests look at. A task costs a processor more than a second, the lab next to nothing."""
    chosen = dict.fromkeys(
        item.callspec.params["playbook"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "playbook" in item.callspec.params
    )
    passwords = {"source_password": SOURCE_PASSWORD, "target_password": TARGET_PASSWORD}
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {
            playbook: pool.submit(play, client, lab, tmp_path_factory.mktemp(playbook.stem), playbook, passwords)
            for playbook in chosen
        }


@pytest.fixture
def played(plays: dict[Path, Future[Played]], playbook: Path) -> Played:
    return plays[playbook].result()
