# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from demo_servers import Server

from loader import DEFAULT_MEGABYTES, load

# What a real database has, and a question that is true when the sample has it too.
FEATURES = {
    "four schemas": "SELECT count(*) = 4 FROM pg_namespace"
    " WHERE nspname IN ('sales', 'catalog', 'audit', 'Back Office')",
    "two extensions": "SELECT array_agg(extname::text ORDER BY extname) = '{hstore,pg_trgm}'"
    " FROM pg_extension WHERE extname <> 'plpgsql'",
    "foreign keys": "SELECT count(*) = 9 FROM pg_constraint WHERE contype = 'f' AND conparentid = 0",
    "deferrable foreign key": "SELECT bool_or(condeferred) FROM pg_constraint WHERE contype = 'f'",
    "check constraints": "SELECT count(*) >= 5 FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0",
    "exclusion constraint": "SELECT count(*) = 1 FROM pg_constraint WHERE contype = 'x'",
    "triggers": "SELECT count(DISTINCT tgname) = 3 FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT count(*) >= 5 FROM pg_proc"
    " WHERE pronamespace IN ('sales'::regnamespace, 'catalog'::regnamespace)",
    "procedure and aggregate": "SELECT count(*) = 2 FROM pg_proc"
    " WHERE prokind IN ('p', 'a') AND pronamespace = 'sales'::regnamespace",
    "sequences": "SELECT count(*) >= 4 FROM pg_sequences WHERE schemaname !~ '^pg_' AND last_value > 1",
    "identity columns": "SELECT count(DISTINCT attidentity) = 2 FROM pg_attribute WHERE attidentity <> ''",
    "generated column": "SELECT count(*) = 1 FROM pg_attribute WHERE attgenerated = 's'",
    "views": "SELECT count(*) >= 3 FROM pg_views WHERE schemaname IN ('sales', 'Back Office')",
    "view over a view": "SELECT definition LIKE '%order_totals%' FROM pg_views WHERE viewname = 'customer_value'",
    "materialized view": "SELECT count(*) > 0 FROM sales.monthly_revenue",
    "partitions": "SELECT array_agg(partstrat::text ORDER BY partstrat) = '{h,l,r}' FROM pg_partitioned_table",
    "default partition used": "SELECT count(*) > 0 FROM sales.payments_other",
    "keyless table": "SELECT NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisunique)"
    " FROM pg_class AS c WHERE oid = 'audit.access_log'::regclass",
    "equal rows": "SELECT count(*) = 50 FROM audit.access_log WHERE path = '/health'",
    "unlogged table": "SELECT relpersistence = 'u' FROM pg_class WHERE oid = 'sales.carts'::regclass",
    "large objects": "SELECT count(*) = 300 FROM pg_largeobject_metadata",
    "quoted names": 'SELECT count("日本語") > 0 FROM "Back Office"."Mitarbeiter Übersicht"',
    "gin, gist, brin": "SELECT count(DISTINCT amname) = 3 FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam"
    " WHERE relkind = 'i' AND amname IN ('gin', 'gist', 'brin')",
    "partial index": "SELECT count(*) > 0 FROM pg_index WHERE indpred IS NOT NULL",
    "expression index": "SELECT count(*) > 0 FROM pg_index WHERE indexprs IS NOT NULL",
    "row security": "SELECT count(*) = 1 FROM pg_policy",
    "comments": "SELECT count(*) = 7 FROM pg_description AS d JOIN pg_class AS c ON c.oid = d.objoid"
    " WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)",
    "values kept out of line": "SELECT pg_relation_size(reltoastrelid) > 0 FROM pg_class"
    " WHERE oid = 'catalog.products'::regclass",
    "owned by no superuser": "SELECT bool_and(NOT rolsuper) FROM pg_class AS c JOIN pg_roles AS r ON r.oid = relowner"
    " WHERE relnamespace IN ('sales'::regnamespace, 'catalog'::regnamespace)",
}
TYPES = (
    *(
        "text[]",
        "integer[]",
        "double precision[]",
        "jsonb",
        "json",
        "bytea",
        "numeric",
        "uuid",
        "interval",
        "inet",
        "cidr",
    ),
    *("timestamp with time zone", "tsvector", "double precision", "real", "money", "date", "boolean", "tstzrange"),
    *("hstore", "oid", "catalog.sku", "sales.order_state", "sales.address"),
)


@pytest.mark.parametrize("feature", FEATURES)
def test_has(shop: dict[str, Any], feature: str) -> None:
    with psycopg.connect(**shop) as connection:
        assert connection.execute(FEATURES[feature].encode()).fetchone() == (True,)


@pytest.mark.parametrize("kind", TYPES)
def test_has_column_of_type(shop: dict[str, Any], kind: str) -> None:
    with psycopg.connect(**shop) as connection:
        query = (
            "SELECT count(*) > 0 FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid"
            " WHERE relkind = 'r' AND relnamespace <> 'pg_catalog'::regnamespace AND atttypid = %s::regtype"
        )
        assert connection.execute(query, [kind]).fetchone() == (True,)


def test_loads_the_same_rows_again(servers: tuple[Server, Server], shop: dict[str, Any]) -> None:
    load(servers[1].admin, "shop_again", 12)
    again = {**servers[1].admin, "dbname": "shop_again"}
    assert _fingerprints(again) == _fingerprints(shop)


def _fingerprints(server: dict[str, Any]) -> dict[str, tuple[int, int]]:
    with psycopg.connect(**server) as connection:
        tables = connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text"
            " IN ('sales', 'catalog', 'audit', '\"Back Office\"')"
        ).fetchall()
        query = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {} AS t"
        return {name: connection.execute(query.format(name).encode()).fetchone() for (name,) in tables}  # type: ignore[misc]


def test_default_size_is_three_hundred_megabytes_and_more() -> None:
    assert DEFAULT_MEGABYTES >= 330


def test_refuses_a_size_below_its_fixed_part(servers: tuple[Server, Server]) -> None:
    with pytest.raises(ValueError, match="at least 10 MB"):
        load(servers[0].admin, "tiny", 1)
