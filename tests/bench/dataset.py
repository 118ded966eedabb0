# SPDX-License-Identifier: GPL-3.0-or-later
"""A shop of a wanted size: one large table, several middle ones, indexes, long texts, a partitioned table."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from postgres_versions.cluster import Cluster

DATABASE = "shop"
# Rows for one gigabyte of database, indexes included; measured, not derived.
ROWS = {
    "customers": 100_000,
    "orders": 800_000,
    "lines": 2_000_000,
    "events": 2_300_000,
    "documents": 20_000,
    "measures": 600_000,
}

TABLES = """
CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY, name text NOT NULL, email text, born date, data jsonb,
    balance numeric(12, 2));
CREATE TABLE orders (id bigint, customer_id bigint NOT NULL, placed timestamptz NOT NULL, state text, total numeric);
CREATE TABLE lines (order_id bigint, line int, product int, quantity int, price numeric(10, 2), weight float8);
CREATE TABLE events (id bigint, customer_id bigint, at timestamptz, kind text, amount float8, payload jsonb, note text);
CREATE TABLE documents (id int, title text, body text);
CREATE TABLE measures (day date NOT NULL, sensor int, value float8) PARTITION BY RANGE (day);
CREATE TABLE measures_1 PARTITION OF measures FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE measures_2 PARTITION OF measures FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
CREATE TABLE probe (id int PRIMARY KEY, n bigint);
INSERT INTO probe VALUES (1, 0);
CREATE SEQUENCE order_numbers;
"""

FILL = {
    "customers": "INSERT INTO customers (name, email, born, data, balance) SELECT 'customer ' || n, md5(n::text) || "
    "'@example.com', date '1950-01-01' + n % 20000, jsonb_build_object('n', n, 'tags', ARRAY[n % 7, n % 11]), n / 7.0",
    "orders": "INSERT INTO orders SELECT n, 1 + n % 100000, timestamptz '2020-01-01' + n * interval '1 minute', "
    "(ARRAY['new', 'paid', 'sent', 'done'])[1 + n % 4], n / 3.0",
    "lines": "INSERT INTO lines SELECT n / 3, n % 3, n % 5000, 1 + n % 9, n % 100000 / 100.0, n / 13.0",
    "events": "INSERT INTO events SELECT n, 1 + n % 100000, timestamptz '2024-01-01' + n * interval '1 s', "
    "(ARRAY['view', 'click', 'buy'])[1 + n % 3], n / 11.0, jsonb_build_object('page', n % 1000, "
    "'agent', md5(n::text)), 'note ' || md5((n * 7)::text)",
    "documents": "INSERT INTO documents SELECT n, 'title ' || n, (SELECT string_agg(md5((n * 100 + k)::text), ' ') "
    "FROM generate_series(1, 120) k)",
    "measures": "INSERT INTO measures SELECT date '2026-01-01' + n % 365, n % 1000, n / 17.0",
}

AFTER = (
    "ALTER TABLE customers ADD PRIMARY KEY (id)",
    "ALTER TABLE events ADD PRIMARY KEY (id)",
    "ALTER TABLE orders ADD PRIMARY KEY (id)",
    "ALTER TABLE lines ADD PRIMARY KEY (order_id, line)",
    "ALTER TABLE documents ADD PRIMARY KEY (id)",
    "CREATE INDEX ON events (customer_id)",
    "CREATE INDEX ON events (at)",
    "CREATE INDEX ON orders (customer_id)",
    "CREATE INDEX ON lines (product)",
    "CREATE INDEX ON measures (day, sensor)",
    "ALTER TABLE measures REPLICA IDENTITY FULL",
    "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id)",
    "CREATE VIEW open_orders AS SELECT id, total FROM orders WHERE state <> 'done'",
    "SELECT setval('order_numbers', 4711)",
    "VACUUM ANALYZE",
    "CHECKPOINT",
)


def load(cluster: Cluster, gigabytes: float) -> int:
    """Makes the database and returns its size in bytes."""
    cluster.recreate_database(DATABASE, owner="postgres")
    with cluster.connect(DATABASE) as connection:
        connection.execute(TABLES)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda work: _run(cluster, work), _inserts(gigabytes)))
    for statement in AFTER:
        _run(cluster, statement)
    with cluster.connect(DATABASE) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def _inserts(gigabytes: float) -> Iterator[str]:
    for table, rows in sorted(ROWS.items(), key=lambda item: -item[1]):
        # Rows of the others point to customers, of whom there are the same at every size.
        wanted = rows if table == "customers" else int(rows * gigabytes)
        yield f"{FILL[table]} FROM generate_series(1, {wanted}) n"


def _run(cluster: Cluster, statement: str) -> None:
    with cluster.connect(DATABASE) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute(statement.encode())
