# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab

# The SDKs poll at once, and then wait for a whole second: what is done by then costs nothing.
TIME_SCALE = 20000.0


@pytest.fixture(scope="session")
def lab() -> Iterator[Running]:
    with running_lab(time_scale=TIME_SCALE, principal_lag=0.0) as running:
        fill(running)
        yield running


def fill(lab: Running) -> None:
    """A database to migrate."""
    server = next(item for item in lab.admin("GET", "state")["servers"] if item["name"] == "shop-single")
    connection = {
        "host": server["fqdn"],
        "hostaddr": server["hostaddr"],
        "user": "pgadmin@shop-single",
        "password": "Lab-Passw0rd!source",
        "sslmode": "verify-full",
        "sslrootcert": str(Path(lab.facts["ca"])),
    }
    with psycopg.connect(**connection, dbname="postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE shop")
    with psycopg.connect(**connection, dbname="shop") as shop:
        shop.execute("CREATE TABLE orders (id int PRIMARY KEY, note text)")
        shop.execute("INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 100) n")
