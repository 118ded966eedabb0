# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._validation import compare
from ansible_collections.pgflex.migrate.plugins.module_utils._validation.catalog import Catalog, Relation
from ansible_collections.pgflex.migrate.plugins.module_utils._validation.large_objects import merged
from ansible_collections.pgflex.migrate.plugins.module_utils._validation.sql import WHOLE, Column, Type, fold_sql

TYPES = {23: Type("pg_catalog", "int4", "b"), 9007: Type("public", "cube", "b")}


def catalog(*relations, version=150000, columns=None, keys=None, objects=None):
    found = Catalog(version=version, encoding="UTF8", types=TYPES)
    found.relations = list(relations)
    for relation in relations:
        found.columns[relation.oid] = columns or [Column("id", 23, "integer not null"), Column("v", 23, "integer")]
        found.keys[relation.oid] = keys if keys is not None else [["id"]]
    found.objects = objects or {}
    return found


def relation(name="t", kind="r", **more):
    return Relation(oid=more.pop("oid", 1), schema=more.pop("schema", "public"), name=name, kind=kind, **more)


def planned(source, target, **scope):
    return compare.plan(source, target, compare.Scope(**scope))


@pytest.mark.parametrize(
    ("left", "scope", "reason"),
    [
        (relation(kind="f"), {}, "a foreign table holds no rows of its own"),
        (relation(extension="postgis"), {}, "it belongs to the extension postgis"),
        (relation(), {"exclude_tables": ("public.*",)}, "exclude_tables names it"),
        (relation(kind="m"), {}, "materialized_views is skip"),
        (relation(kind="m", populated=False), {"materialized_views": True}, "it is not populated on both sides"),
    ],
)
def test_what_is_left_out_is_told_with_the_reason(left, scope, reason):
    found = planned(catalog(left), catalog(left), **scope)
    assert found.tables == [] and found.skipped == [{"name": "public.t", "reason": reason}]


def test_of_an_extension_the_rows_that_users_have_put_there_are_compared():
    left = relation(extension="postgis", where="WHERE v > 1 OR id = 0")
    columns = [Column("id", 23, "integer not null")]
    (table,) = planned(catalog(left), catalog(left, columns=columns)).tables
    assert table.columns == {} and "WHERE (v > 1 OR id = 0)" in fold_sql(table.readings[1], WHOLE, 0)
    assert planned(catalog(left), catalog(relation(extension="postgis"))).tables == []


def test_a_table_that_became_a_view_is_told():
    found = planned(catalog(relation()), catalog(relation(kind="m")))
    assert "something else" in found.skipped[0]["reason"]


def test_large_tables_come_first_and_other_schemas_not_at_all():
    source = catalog(relation("a", size=1, oid=1), relation("b", size=9, oid=2), relation("c", schema="x", oid=3))
    found = planned(source, source, schemas=("public",))
    assert [table.name for table in found.tables] == ["public.b", "public.a"]


def test_the_key_has_to_be_there_on_both_sides_and_comparable():
    columns = [Column("c", 9007, "cube not null"), Column("v", 23, "integer not null")]
    old, new = (
        catalog(relation(), version=110000, columns=columns, keys=[["c"], ["v"]]),
        catalog(relation(), columns=columns),
    )
    table = planned(old, new).tables[0]
    assert table.not_compared == ["c"] and table.key == ("v",) and table.column_names == ("v",)


def test_columns_that_differ_are_named():
    ours = {"a": Column("a", 23, "integer"), "b": Column("b", 23, "integer not null"), "c": Column("c", 23, "integer")}
    theirs = {"a": Column("a", 23, "integer"), "b": Column("b", 20, "bigint not null"), "d": Column("d", 23, "integer")}
    assert compare.compare_columns(ours, theirs) == {
        "missing": ["c"],
        "extra": ["d"],
        "changed": ["b: integer not null -> bigint not null"],
    }


@pytest.mark.parametrize(
    ("source", "target", "bad"),
    [
        ({}, {}, {}),
        ({0: (2, 7)}, {0: (2, 7)}, {}),
        ({0: (2, 7)}, {0: (2, 8)}, {0: ((2, 7), (2, 8))}),
        ({0: (2, 0)}, {0: (4, 0)}, {0: ((2, 0), (4, 0))}),
        ({1: (1, 5)}, {2: (1, 5)}, {1: ((1, 5), (0, 0)), 2: ((0, 0), (1, 5))}),
    ],
)
def test_buckets_that_differ(source, target, bad):
    assert compare.bad_buckets(source, target) == bad


def test_a_bucket_is_stuck_when_nobody_has_touched_it():
    before = {1: ((1, 1), (1, 2)), 2: ((1, 1), (0, 0)), 3: ((5, 5), (6, 6))}
    now = {1: ((1, 1), (1, 2)), 2: ((1, 1), (1, 3)), 4: ((5, 5), (6, 6))}
    assert compare.stuck_buckets(before, now) == [1]


def rows(*items):
    found = compare.Rows()
    for identity, hashes, label in items:
        found.add(identity, hashes, label)
    return found


def table_of(key=("id",)):
    table = planned(catalog(relation()), catalog(relation())).tables[0]
    table.key = key
    return table


@pytest.mark.parametrize(
    ("key", "source", "target", "expected"),
    [
        (("id",), [("1", [1, 2], ["1"])], [("1", [1, 2], ["1"])], []),
        (("id",), [("1", [1, 2], ["1"])], [], [{"key": {"id": "1"}, "side": "source"}]),
        (("id",), [], [("1", [1, 2], ["1"])], [{"key": {"id": "1"}, "side": "target"}]),
        (
            ("id",),
            [("1", [1, 2], ["1"])],
            [("1", [1, 3], ["1"])],
            [{"key": {"id": "1"}, "side": "both", "columns": ["v"]}],
        ),
        (
            ("id",),
            [("1", [1, 2], ["1"])],
            [("1", [1, 2], ["1"]), ("1", [1, 2], ["1"])],
            [{"key": {"id": "1"}, "side": "both", "copies": {"source": 1, "target": 2}}],
        ),
        (
            (),
            [("7", [7], ["(0,1)"]), ("7", [7], ["(0,2)"])],
            [("7", [7], ["(9,9)"])],
            [{"key": {"ctid": "(0,1)"}, "side": "source", "copies": {"source": 2, "target": 1}}],
        ),
        (
            (),
            [],
            [("7", [7], ["(9,9)"])],
            [{"key": {"ctid": "(9,9)"}, "side": "target", "copies": {"source": 0, "target": 1}}],
        ),
    ],
)
def test_differing_rows_are_told_by_key_and_side(key, source, target, expected):
    assert compare.differences(table_of(key), rows(*source), rows(*target), 5) == expected


def test_no_more_examples_than_asked_for():
    many = [(str(n), [n, n], [str(n)]) for n in range(9)]
    assert len(compare.differences(table_of(), rows(*many), rows(), 3)) == 3


@pytest.mark.parametrize(
    ("increment", "source", "target", "equal"),
    [
        (1, (5, True), (5, True), True),
        (1, (5, True), (6, False), True),
        (1, (5, True), (5, False), False),
        (1, (5, True), (4, True), False),
        (1, (1, False), (1, False), True),
        (1, (5, True), (99, True), True),
        (-1, (5, True), (4, True), True),
        (-1, (5, True), (6, True), False),
        (10, (5, True), (14, False), False),
    ],
)
def test_sequences_may_be_further_on(increment, source, target, equal):
    found = compare.compare_sequence("s", increment, compare.Position(*source), compare.Position(*target))
    assert found["equal"] is equal


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [(compare.Position(1, True), None, None), ("permission denied", compare.Position(1, True), "permission denied")],
)
def test_a_sequence_that_is_missing_or_unread_is_not_equal(source, target, error):
    found = compare.compare_sequence("s", 1, source, target)
    assert not found["equal"] and found["error"] == error


def test_large_objects_are_compared_as_streams():
    left = {1: "a", 2: "b", 4: "d", 6: "f"}
    right = {2: "b", 3: "c", 4: "x", 6: "f", 9: "z"}
    found = compare.compare_large_objects(merged(left, right), 3)
    assert found == {
        "source": 4,
        "target": 5,
        "differing_count": 4,
        "equal": False,
        "differing": [{"oid": 1, "side": "source"}, {"oid": 3, "side": "target"}, {"oid": 4, "side": "both"}],
        "error": None,
    }


def test_objects_are_compared_by_name():
    source = catalog(objects={"indexes": [("public", "a"), ("x", "b")], "extensions": [("", "hstore")]})
    target = catalog(objects={"indexes": [("public", "c")], "extensions": [("", "hstore"), ("", "azure")]})
    found = compare.compare_objects(source, target, compare.Scope(schemas=("public",)))
    assert found["indexes"] == {
        "source": 1,
        "target": 1,
        "missing": ["public.a"],
        "extra": ["public.c"],
        "equal": False,
    }
    assert found["extensions"]["equal"] and found["extensions"]["extra"] == ["azure"]


def result(**table):
    base = {"name": "public.t", "source_rows": 2, "target_rows": 2, "equal": True, "verdict": "equal", "moved": False}
    rest = {"differing": [], "not_compared": [], "columns": {}, "error": None}
    database = {"name": "shop", "tables": [{**base, **rest, **table}], "skipped": [], "objects": {}, "sequences": []}
    return {**database, "large_objects": None, "definitions": None, "privileges": None}


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        (result(), "Every row is equal on both servers: 2 rows of 1 tables in 1 databases."),
        (result(not_compared=["c"]), "columns of 1 tables were left out"),
        (
            result(equal=False, verdict="different", target_rows=1),
            "shop.public.t has 2 rows on the source and 1 on the target",
        ),
        (
            result(
                equal=False,
                verdict="different",
                differing=[{"key": {"id": "7"}, "side": "both", "columns": ["a", "b"]}],
            ),
            "shop.public.t has rows that differ (id=7 in a, b)",
        ),
        (result(equal=False, verdict="moved"), "could not be proved equal, writers moved them: shop.public.t moved"),
        (
            result(equal=False, verdict="not compared", error="permission denied"),
            "could not be compared: permission denied",
        ),
        (result(equal=False, verdict="different", columns={"missing": ["c"]}), "shop.public.t missing column c."),
        ({**result(), "large_objects": {"equal": False, "error": "no"}} | {}, "shop: no"),
    ],
)
def test_one_sentence_tells_what_differs(database, expected):
    large = database["large_objects"]
    if large:
        large.update(differing=[], differing_count=None)
    assert expected in compare.sentence([database])


def test_a_long_list_of_differences_is_cut():
    database = result(equal=False, verdict="different")
    database["tables"] *= 8
    assert compare.sentence([database]).endswith("; and 3 more differences.")


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        (result(equal=False, verdict="moved"), True),
        (result(equal=False, verdict="different"), False),
        ({**result(equal=False, verdict="moved"), "sequences": [{"name": "s", "equal": False}]}, False),
    ],
)
def test_moved_tables_alone_are_no_difference(database, expected):
    assert compare.only_moved([database]) is expected
