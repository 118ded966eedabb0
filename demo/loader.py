# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the sample database: the same rows every time, in seconds, as an ordinary database owner."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import sql

SAMPLE = Path(__file__).parent / "sample"
DEFAULT_MEGABYTES = 340

# Rows for each megabyte of the finished database, indexes included.
ORDERS_PER_MB = 1400
CUSTOMERS_PER_MB = 140
PRODUCTS_PER_MB = 75
# Manuals, log, carts and employees do not grow; the smallest sample has the 300 products that manuals belong to.
SMALLEST_MEGABYTES = 10

Server = Mapping[str, Any]


def load(server: Server, database: str, megabytes: int = DEFAULT_MEGABYTES) -> float:
    """Makes the database on the server and fills it; answers its size in megabytes as PostgreSQL counts it."""
    if megabytes < SMALLEST_MEGABYTES:
        raise ValueError(f"the sample needs at least {SMALLEST_MEGABYTES} MB, not {megabytes}")
    with psycopg.connect(**{**server, "dbname": "postgres", "autocommit": True}) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
        if known is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    target = {**server, "dbname": database}
    _run(target, "schema.sql", megabytes)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: _run(target, name, megabytes), ("rows_orders.sql", "rows_others.sql")))
    _run(target, "finish.sql", megabytes)
    with psycopg.connect(**target) as connection:
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return cast("int", size[0] if size else 0) / 1024**2


def _run(server: Server, name: str, megabytes: int) -> None:
    rows = {
        "shop.orders": megabytes * ORDERS_PER_MB,
        "shop.customers": megabytes * CUSTOMERS_PER_MB,
        "shop.products": max(300, megabytes * PRODUCTS_PER_MB),
    }
    with psycopg.connect(**server) as connection:
        for setting, value in rows.items():
            connection.execute("SELECT set_config(%s, %s, false)", [setting, str(value)])
        connection.execute((SAMPLE / name).read_bytes())
