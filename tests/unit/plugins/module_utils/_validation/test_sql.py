# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._validation import sql
from ansible_collections.pgflex.migrate.plugins.module_utils._validation.catalog import (
    objects_sql,
    relations_sql,
    types_sql,
)

TYPES = {
    25: sql.Type("pg_catalog", "text", "b"),
    701: sql.Type("pg_catalog", "float8", "b"),
    1022: sql.Type("pg_catalog", "_float8", "b", element=701),
    1009: sql.Type("pg_catalog", "_text", "b", element=25),
    600: sql.Type("pg_catalog", "point", "b"),
    18: sql.Type("pg_catalog", "char", "b"),
    9001: sql.Type("public", "price", "d", base=701),
    9002: sql.Type("public", "_price", "b", element=9001),
    9003: sql.Type("public", "place", "c", fields=(("name", 25), ("at", 600))),
    9004: sql.Type("public", "_place", "b", element=9003),
    9005: sql.Type("public", "span", "r", subtype=701),
    9006: sql.Type("public", "span_multirange", "m", subtype=9005),
    9007: sql.Type("public", "cube", "b"),
    9008: sql.Type("public", "_cube", "b", element=9007),
    9009: sql.Type("public", "names", "c", fields=(("first", 25), ("all", 1009))),
    9010: sql.Type("public", "float8", "b"),
}
NULLABLE = "CASE WHEN c IS NOT NULL THEN "


@pytest.mark.parametrize(
    ("oid", "expression"),
    [
        (25, "c"),
        (1009, "c"),
        (9009, "c"),
        (9010, "c"),
        (4711, "c"),
        (701, "float8send(c)"),
        (600, "point_send(c)"),
        (18, "charsend(c)"),
        (9001, "float8send(c)"),
        (1022, 'array_send((c)::"pg_catalog"."float8"[])'),
        (9002, 'array_send((c)::"pg_catalog"."float8"[])'),
        (9003, 'CASE WHEN (c) IS DISTINCT FROM NULL THEN ROW((c)."name", point_send((c)."at"))::text END'),
        (
            9004,
            NULLABLE + "ROW(array_dims(c), ARRAY(SELECT CASE WHEN (u0.e) IS DISTINCT FROM NULL THEN "
            'ROW((u0.e)."name", point_send((u0.e)."at"))::text END FROM (SELECT unnest(c) AS e) AS u0))::text END',
        ),
        (
            9005,
            NULLABLE + "ROW(isempty(c), lower_inc(c), upper_inc(c), lower_inf(c), upper_inf(c), "
            "float8send(lower(c)), float8send(upper(c)))::text END",
        ),
    ],
)
def test_values_are_compared_by_what_is_the_same_everywhere(oid, expression):
    assert sql.exact(TYPES, oid, "c") == expression


def test_a_multirange_is_taken_apart():
    assert sql.exact(TYPES, 9006, "c").startswith("ARRAY(SELECT CASE WHEN u0.e IS NOT NULL THEN ROW(isempty(u0.e)")


@pytest.mark.parametrize(
    ("oid", "versions", "expected"),
    [
        (9007, (150000, 160000), True),
        (9007, (110000, 110000), True),
        (9007, (110000, 150000), False),
        (9008, (110000, 150000), False),
        (701, (100000, 180000), True),
        (1022, (100000, 180000), True),
    ],
)
def test_types_that_print_floats_their_own_way_are_left_out_across_version_12(oid, versions, expected):
    assert sql.comparable(TYPES, oid, versions) is expected


@pytest.mark.parametrize(
    ("versions", "encodings", "hashed"),
    [
        ((150000, 160000), ("UTF8", "UTF8"), 'hashtextextended((x) COLLATE "C", 0)'),
        ((100023, 160000), ("UTF8", "UTF8"), "('x' || substr(md5(x), 1, 16))::bit(64)::bigint"),
        (
            (150000, 160000),
            ("LATIN1", "UTF8"),
            """hashtextextended((encode(convert_to(x, 'UTF8'), 'hex')) COLLATE "C", 0)""",
        ),
        ((150000, 160000), ("SQL_ASCII", "UTF8"), 'hashtextextended((x) COLLATE "C", 0)'),
        ((90600, 90600), ("LATIN1", "UTF8"), "('x' || substr(md5(convert_to(x, 'UTF8')), 1, 16))::bit(64)::bigint"),
    ],
)
def test_both_sides_hash_alike(versions, encodings, hashed):
    assert sql.Dialect.of(versions, encodings).hash("x") == hashed


@pytest.mark.parametrize(
    ("pages", "size", "conditions"),
    [
        (0, 0, [""]),
        (10, 80, [""]),
        (10, 200, ["ctid < '(5,0)'::tid", "ctid >= '(5,0)'::tid"]),
        (10, 300, ["ctid < '(4,0)'::tid", "ctid >= '(4,0)'::tid AND ctid < '(8,0)'::tid", "ctid >= '(8,0)'::tid"]),
        (1, 10**9, [""]),
        (2, 10**9, ["ctid < '(1,0)'::tid", "ctid >= '(1,0)'::tid"]),
    ],
)
def test_tables_are_cut_without_a_gap(pages, size, conditions):
    assert [chunk.condition for chunk in sql.chunks(pages, size, 100)] == conditions


READING = sql.Reading("t", "rowhash", "ident", "keyhash", ("h1", "h2"), ('"id"::text',))


def test_statements_read_only_the_table_itself_and_the_chunk():
    chunk = sql.Chunk(5, None)
    assert sql.fold_sql(READING, chunk, 0, 3) == (
        "SELECT 3, 0::bigint, count(*), coalesce(sum(rowhash), 0) FROM ONLY t WHERE ctid >= '(5,0)'::tid"
    )
    assert sql.fold_sql(READING, sql.WHOLE, 15) == (
        "SELECT 0, (keyhash) & 15, count(*), sum(rowhash) FROM ONLY t GROUP BY 2"
    )
    assert sql.details_sql(READING, chunk, 15, [1, 9]) == (
        'SELECT ident, ARRAY[h1, h2]::bigint[], ARRAY["id"::text]::text[] FROM ONLY t '
        "WHERE ctid >= '(5,0)'::tid AND (keyhash) & 15 IN (1, 9)"
    )
    assert sql.rows_sql(READING, 0) == "SELECT 0::bigint, rowhash FROM ONLY t"


@pytest.mark.parametrize(("rows", "mask"), [(0, 15), (320, 15), (321, 31), (10**6, 65535), (10**10, 65535)])
def test_buckets_grow_with_the_table(rows, mask):
    assert sql.mask_for(rows) == mask


@pytest.mark.parametrize(("rows", "columns", "expected"), [(1000, 5, 16), (10**9, 2, 13), (10**10, 50, 1), (0, 0, 16)])
def test_fewer_buckets_are_fetched_at_once_when_they_are_large(rows, columns, expected):
    assert sql.buckets_at_once(rows, sql.mask_for(rows), columns) == expected


@pytest.mark.parametrize(
    ("version", "name", "there"),
    [(90500, "idle_in_transaction_session_timeout", False), (90600, "jit", False), (150000, "jit", True)],
)
def test_sessions_are_pinned_to_what_the_version_knows(version, name, there):
    settings = sql.session_settings(version)
    assert (name in settings) is there
    assert settings["search_path"] == "pg_catalog" and settings["row_security"] == "off"


@pytest.mark.parametrize(
    ("version", "heap", "expected"), [(140000, True, True), (130000, True, False), (160000, False, False)]
)
def test_pages_are_cut_only_where_that_reads_them_alone(version, heap, expected):
    assert sql.pages_can_be_cut(version, heap=heap) is expected


def test_old_versions_are_not_asked_for_new_columns():
    assert "relam" not in relations_sql(110000) and "relam" in relations_sql(120000)
    assert "rngmultitypid" not in types_sql(130000)
    assert (
        "tgparentid" not in objects_sql(120000)["triggers"] and "conparentid" not in objects_sql(100000)["constraints"]
    )


def test_keys_part_a_table_without_gap_or_overlap():
    pieces = sql.key_chunks("a b", ["0", "it's", "5", "9"], 300, 100)
    assert [piece.condition for piece in pieces] == [
        "\"a b\" < 'it''s'",
        "\"a b\" >= 'it''s' AND \"a b\" < '5'",
        "\"a b\" >= '5'",
    ]
    assert [piece.condition for piece in sql.key_chunks("a", ["0", "9"], 300, 100)] == [""]
