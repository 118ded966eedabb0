# SPDX-License-Identifier: GPL-3.0-or-later
"""Two real clusters, a database with traps on both, and every kind of damage done to the copy."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.pgflex.migrate.plugins.module_utils._base import Runtime
from ansible_collections.pgflex.migrate.plugins.module_utils._source import activity
from ansible_collections.pgflex.migrate.plugins.module_utils._validation import database as engine
from ansible_collections.pgflex.migrate.plugins.modules import data_validation, source_read_only

clusters_module = pytest.importorskip("pgflex_lab.clusters")
settings_module = pytest.importorskip("pgflex_lab.settings")

PASSWORD = "Validation-4711"

SCHEMA = """
CREATE EXTENSION cube;
SET ROLE shopadmin;
CREATE SCHEMA "Sales Dept";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN price AS float8 CHECK (VALUE >= 0);
CREATE DOMAIN prices AS float8[];
CREATE TYPE place AS (name text, at point, heights float4[]);
CREATE TYPE trip AS (title text, stops place[], cost price);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, mood mood, born date,
    seen timestamptz, data jsonb, picture bytea, tags text[], balance numeric(12, 2), paid money,
    shout text GENERATED ALWAYS AS (upper(name)) STORED, kind "char");
INSERT INTO customers (name, mood, born, seen, data, picture, tags, balance, paid, kind)
SELECT 'customer ' || n, (ARRAY['sad', 'ok', 'happy']::mood[])[n % 3 + 1], date '1970-01-01' + n,
       timestamptz '2026-01-01 00:00 UTC' + n * interval '1 minute', jsonb_build_object('n', n),
       decode(md5(n::text), 'hex'), ARRAY['a', n::text, NULL], n / 7.0, n::numeric::money, 'x'
  FROM generate_series(1, 5000) n;
CREATE TABLE floats (
    id int PRIMARY KEY, f4 float4, f8 float8, many float8[], grid float4[][], cost price, costs prices, domains price[],
    spot point, area polygon, place place, places place[], trip trip, range span, ranges span[], multi span_multirange,
    crate cube);
INSERT INTO floats
SELECT n, n / 3.0, n / 7.0, ARRAY[n / 9.0, 'NaN', NULL], ARRAY[[n, n + 1], [n + 2, 0]], n / 11.0, ARRAY[n / 13.0],
       ARRAY[n / 17.0]::price[], point(n / 3.0, n), polygon(box(point(n, n), point(n + 1.1, n + 1.3))),
       ROW('p' || n, point(n, n), ARRAY[n / 3.0])::place, ARRAY[ROW('q', point(n, 1), NULL)::place, NULL],
       ROW('t', ARRAY[ROW('s', NULL, ARRAY[n])::place], n / 3.0)::trip, span(n, n + 0.3), ARRAY[span(n, NULL)],
       span_multirange(span(n, n + 0.1), span(n + 1, n + 2)), cube(n / 3.0)
  FROM generate_series(1, 300) n;
INSERT INTO floats (id, place, places) VALUES (1000, ROW(NULL, NULL, NULL), '{}'), (1001, NULL, NULL);
CREATE TABLE "Sales Dept"."Order ""Lines"" 1" ("Order Id" int, "Line" int, qty int, PRIMARY KEY ("Order Id", "Line"));
INSERT INTO "Sales Dept"."Order ""Lines"" 1" SELECT n / 5, n % 5, n FROM generate_series(0, 4999) n;
CREATE TABLE log (at timestamptz, what text);
INSERT INTO log SELECT timestamptz '2026-01-01' + n % 50 * interval '1 s', 'event ' || n % 50
  FROM generate_series(1, 2000) n;
CREATE TABLE measures (day date NOT NULL, value int) PARTITION BY RANGE (day);
CREATE TABLE measures_1 PARTITION OF measures FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE measures_2 PARTITION OF measures FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE INDEX measures_day ON measures (day);
INSERT INTO measures SELECT date '2026-01-01' + n % 59, n FROM generate_series(0, 999) n;
CREATE TABLE parent (id int PRIMARY KEY, v int);
CREATE TABLE child (extra text) INHERITS (parent);
INSERT INTO parent VALUES (1, 1);
INSERT INTO child VALUES (2, 2, 'c');
CREATE UNLOGGED TABLE cache (k text PRIMARY KEY, v text);
INSERT INTO cache SELECT n::text, md5(n::text) FROM generate_series(1, 100) n;
CREATE TABLE documents (id int PRIMARY KEY, body text);
INSERT INTO documents SELECT n, repeat(md5(n::text), 2000) FROM generate_series(1, 40) n;
CREATE TABLE nothing ();
INSERT INTO nothing SELECT FROM generate_series(1, 3);
CREATE TABLE empty (id int PRIMARY KEY);
ALTER TABLE log ADD CONSTRAINT log_what CHECK (what <> '');
CREATE INDEX log_at ON log (at);
CREATE VIEW happy AS SELECT id FROM customers WHERE mood = 'happy';
CREATE MATERIALIZED VIEW totals AS SELECT mood, count(*) AS n FROM customers GROUP BY mood;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION touch();
CREATE SEQUENCE numbers; SELECT setval('numbers', 500);
CREATE SEQUENCE countdown INCREMENT -1 MAXVALUE 1000 START 1000; SELECT setval('countdown', 900);
SELECT lo_from_bytea(70001, 'small'), lo_from_bytea(70002, convert_to(repeat('x', 5000000), 'UTF8')),
       lo_from_bytea(70003, '');
"""


@pytest.fixture(scope="module")
def pair():
    home = Path(tempfile.mkdtemp(prefix="pgflex-validation-", dir="/var/tmp"))
    home.chmod(0o711)
    clusters = clusters_module.Clusters(settings_module.Settings.from_env(home=home))
    try:
        made = {}
        for name, kind in (("shop-old", "single"), ("shop-new", "flexible")):
            made[name] = clusters.create(name, kind=kind, admin_login="shopadmin", admin_password=PASSWORD)
            made[name].create_database("base")
            with made[name].connect("base") as connection:
                connection.execute(SCHEMA)
        yield made["shop-old"], made["shop-new"]
    finally:
        clusters.stop_all()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def shop(pair, monkeypatch):
    """A database "shop" on both servers, equal, made anew for every test."""
    monkeypatch.setattr(engine, "RECHECK_SECONDS", 0.1)
    for cluster in pair:
        cluster.drop_database("shop")
        with cluster.connect() as connection:
            connection.execute("CREATE DATABASE shop TEMPLATE base OWNER shopadmin")
    return pair


def server(cluster):
    user = "shopadmin@shop-old" if cluster.kind == "single" else "shopadmin"
    values = {"host": cluster.fqdn, "hostaddr": cluster.hostaddr, "user": user}
    return {**values, "password": PASSWORD, "sslmode": "require"}


def run(module, args, *, dry_run=False):
    validator = ArgumentSpecValidator(module.SPEC.options, **module.SPEC.constraints())
    checked = validator.validate(args)
    assert not checked.error_messages, checked.error_messages
    lines = []
    runtime = Runtime(params=checked.validated_parameters, dry_run=dry_run, diff=True, report=lines.append)
    return module.MODULE(runtime).run()


def compare(pair, *, dry_run=False, **options):
    args = {"source": server(pair[0]), "target": server(pair[1]), "databases": ["shop"], "settle_timeout": 0, **options}
    return run(data_validation, args, dry_run=dry_run)


def on(cluster, *statements):
    with cluster.connect("shop") as connection:
        connection.execute("SET ROLE shopadmin")
        for statement in statements:
            connection.execute(statement)


def table(result, name):
    tables = result["validation"]["databases"][0]["tables"]
    return next(table for table in tables if table["name"] == name)


def test_equal_databases_are_equal(shop):
    result = compare(shop)
    assert not result.get("failed"), result["msg"]
    assert result["changed"] is False and result["validation"]["equal"]
    assert "Every row is equal" in result["validation"]["summary"]
    database = result["validation"]["databases"][0]
    names = [table["name"] for table in database["tables"]]
    assert "public.measures_1" in names and "public.measures" not in names
    assert table(result, "public.parent")["source_rows"] == 1
    assert table(result, "public.customers")["source_rows"] == 5000
    assert table(result, "public.nothing")["source_rows"] == 3
    assert database["skipped"] == [{"name": "public.totals", "reason": "materialized_views is skip"}]
    assert database["large_objects"]["source"] == 3
    assert result["validation"]["rows"] == sum(table["source_rows"] for table in database["tables"])


def test_a_different_column_order_is_no_difference(shop):
    on(
        shop[1],
        "ALTER TABLE customers ADD COLUMN born2 date",
        "UPDATE customers SET born2 = born",
        "ALTER TABLE customers DROP COLUMN born",
        "ALTER TABLE customers RENAME COLUMN born2 TO born",
    )
    assert compare(shop)["validation"]["equal"]


def test_settings_of_servers_databases_and_roles_are_no_difference(shop):
    with shop[1].connect("shop") as connection:
        for setting in (
            "TimeZone = 'Asia/Tokyo'",
            "DateStyle = 'German'",
            "IntervalStyle = iso_8601",
            "bytea_output = escape",
        ):
            connection.execute(f"ALTER DATABASE shop SET {setting}")
        connection.execute("ALTER DATABASE shop SET extra_float_digits = 0")
        connection.execute("ALTER DATABASE shop SET search_path = nowhere")
    assert compare(shop)["validation"]["equal"]


def test_a_sequence_further_on_is_no_difference(shop):
    on(shop[1], "SELECT setval('numbers', 900)", "SELECT setval('countdown', 800)")
    assert compare(shop)["validation"]["equal"]


# What is done to the target, the table, the side, and what identifies the row.
ROWS = {
    "a row is missing": ("DELETE FROM customers WHERE id = 777", "public.customers", "source", {"id": "777"}),
    "a row too many": ("INSERT INTO empty VALUES (5)", "public.empty", "target", {"id": "5"}),
    "a cell": ("UPDATE customers SET balance = 0 WHERE id = 4", "public.customers", "both", {"id": "4"}),
    "a cell is null": ("UPDATE customers SET data = NULL WHERE id = 4", "public.customers", "both", {"id": "4"}),
    "an enum": ("UPDATE customers SET mood = 'sad' WHERE id = 5", "public.customers", "both", {"id": "5"}),
    "a byte": (
        "UPDATE customers SET picture = set_byte(picture, 3, get_byte(picture, 3) # 1) WHERE id = 9",
        "public.customers",
        "both",
        {"id": "9"},
    ),
    "an array's null": ("UPDATE customers SET tags[3] = 'NULL' WHERE id = 9", "public.customers", "both", {"id": "9"}),
    "swapped cells": (
        "UPDATE customers SET balance = CASE id WHEN 1 THEN 0.29 ELSE 0.14 END WHERE id IN (1, 2)",
        "public.customers",
        "both",
        {"id": "1"},
    ),
    "a float's last bit": (
        "UPDATE floats SET f8 = f8 * (1 + 2.220446049250313e-16) WHERE id = 3",
        "public.floats",
        "both",
        {"id": "3"},
    ),
    "a float in an array": ("UPDATE floats SET many[1] = 0.5 WHERE id = 3", "public.floats", "both", {"id": "3"}),
    "the sign of zero": ("UPDATE floats SET grid[2][2] = '-0' WHERE id = 3", "public.floats", "both", {"id": "3"}),
    "a float in a composite": (
        "UPDATE floats SET trip.stops[1].heights[1] = 0.5 WHERE id = 3",
        "public.floats",
        "both",
        {"id": "3"},
    ),
    "a composite of nulls": ("UPDATE floats SET place = NULL WHERE id = 1000", "public.floats", "both", {"id": "1000"}),
    "an empty array": ("UPDATE floats SET places = NULL WHERE id = 1000", "public.floats", "both", {"id": "1000"}),
    "a float range": ("UPDATE floats SET range = span(3, 4) WHERE id = 3", "public.floats", "both", {"id": "3"}),
    "a range's bound": (
        "UPDATE floats SET range = span(3, 3.3, '[]') WHERE id = 3",
        "public.floats",
        "both",
        {"id": "3"},
    ),
    "a multirange": ("UPDATE floats SET multi = '{}' WHERE id = 3", "public.floats", "both", {"id": "3"}),
    "a domain's array": ("UPDATE floats SET domains[1] = 1 WHERE id = 3", "public.floats", "both", {"id": "3"}),
    "a quoted name": (
        """DELETE FROM "Sales Dept"."Order ""Lines"" 1" WHERE "Order Id" = 7 AND "Line" = 2""",
        'Sales Dept.Order "Lines" 1',
        "source",
        {"Order Id": "7", "Line": "2"},
    ),
    "a row in the wrong order of cells": (
        """UPDATE "Sales Dept"."Order ""Lines"" 1" SET qty = qty + 1 WHERE "Order Id" = 7 AND "Line" = 2""",
        'Sales Dept.Order "Lines" 1',
        "both",
        {"Order Id": "7", "Line": "2"},
    ),
    "a partition": (
        "DELETE FROM measures WHERE value = 5",
        "public.measures_1",
        "source",
        None,
    ),
    "a child": ("UPDATE child SET v = 9", "public.child", "both", None),
    "an unlogged table": ("DELETE FROM cache WHERE k = '17'", "public.cache", "source", {"k": "17"}),
    "a large value": ("UPDATE documents SET body = body || '.' WHERE id = 7", "public.documents", "both", {"id": "7"}),
    "a duplicate": ("INSERT INTO log SELECT * FROM log WHERE what = 'event 3' LIMIT 1", "public.log", "target", None),
    "a pair of equal rows": (
        "DELETE FROM log WHERE ctid IN (SELECT ctid FROM log WHERE what = 'event 3' LIMIT 2)",
        "public.log",
        "source",
        None,
    ),
    "a row without columns": (
        "DELETE FROM nothing WHERE ctid = (SELECT ctid FROM nothing LIMIT 1)",
        "public.nothing",
        "source",
        None,
    ),
}


@pytest.mark.parametrize(("damage", "name", "side", "key"), ROWS.values(), ids=ROWS.keys())
def test_damage_to_rows_is_found_and_named(shop, damage, name, side, key):
    on(shop[1], damage)
    result = compare(shop)
    assert result["failed"] and result["failure"]["code"] == "DataDiffers"
    assert f"shop.{name} " in result["msg"]
    database = result["validation"]["databases"][0]
    assert [table["name"] for table in database["tables"] if not table["equal"]] == [name]
    found = table(result, name)
    assert not found["moved"] and found["verdict"] == "different"
    if name == "public.child":
        # The child has no key of its own: its row is there in two shapes.
        assert {example["side"] for example in found["differing"]} == {"source", "target"}
    else:
        assert found["differing"][0]["side"] == side
    if key:
        assert key in [example["key"] for example in found["differing"]]
        assert all(f"{column}={value}" in result["msg"] for column, value in key.items())


def test_the_columns_that_differ_are_named(shop):
    on(shop[1], "UPDATE customers SET balance = 0, born = '2000-01-01' WHERE id = 4")
    found = table(compare(shop), "public.customers")["differing"]
    assert found == [{"key": {"id": "4"}, "side": "both", "columns": ["balance", "born"]}]


def test_more_damage_than_examples(shop):
    on(shop[1], "UPDATE customers SET balance = -1 WHERE id > 1000")
    assert len(table(compare(shop, max_examples=7), "public.customers")["differing"]) == 7
    assert table(compare(shop, max_examples=0), "public.customers")["differing"] == []


OBJECTS = {
    "indexes": ("DROP INDEX log_at", "public.log_at"),
    "constraints": ("ALTER TABLE log DROP CONSTRAINT log_what", "public.log.log_what"),
    "views": ("DROP VIEW happy", "public.happy"),
    "functions": ("DROP FUNCTION touch() CASCADE", "public.touch()"),
    "triggers": ("ALTER TABLE customers DISABLE TRIGGER touched", "public.customers.touched"),
    "materialized_views": ("REFRESH MATERIALIZED VIEW totals WITH NO DATA", "public.totals"),
    "unlogged_tables": ("ALTER TABLE cache SET LOGGED", "public.cache"),
    "types": ("ALTER TYPE mood ADD VALUE 'angry'", "public.mood (sad, ok, happy)"),
    "tables": ("DROP TABLE empty", "public.empty"),
    "sequences": ("DROP SEQUENCE countdown", "public.countdown"),
}


@pytest.mark.parametrize(("kind", "damage", "name"), [(kind, *rest) for kind, rest in OBJECTS.items()], ids=OBJECTS)
def test_missing_objects_are_named(shop, kind, damage, name):
    on(shop[1], damage)
    result = compare(shop)
    assert result["failed"] and name in result["msg"]
    objects = result["validation"]["databases"][0]["objects"]
    assert objects[kind]["missing"] == [name] and not objects[kind]["equal"]


def test_objects_only_on_the_target_are_named(shop):
    on(shop[1], "CREATE TABLE leftover (id int)")
    assert "tables only on the target: public.leftover" in compare(shop)["msg"]


def test_a_missing_extension_is_named_and_one_more_is_not_a_difference(shop):
    for name in ("hstore", "pg_trgm"):
        with shop[name == "pg_trgm"].connect("shop") as connection:
            connection.execute(f"CREATE EXTENSION {name}")
    result = compare(shop)
    assert "extensions missing on the target: hstore" in result["msg"] and "pg_trgm" not in result["msg"]


@pytest.mark.parametrize(
    ("damage", "oid", "side"),
    [
        ("SELECT lo_unlink(70001)", 70001, "source"),
        ("SELECT lo_put(70002, 4999999, 'y')", 70002, "both"),
        ("SELECT lo_from_bytea(70009, 'new')", 70009, "target"),
        ("SELECT lo_put(70003, 0, 'y')", 70003, "both"),
    ],
)
def test_large_objects_are_compared_by_contents(shop, damage, oid, side):
    on(shop[1], damage)
    result = compare(shop)
    found = result["validation"]["databases"][0]["large_objects"]
    assert found["differing"] == [{"oid": oid, "side": side}] and str(oid) in result["msg"]
    assert compare(shop, large_objects="skip")["validation"]["equal"]


@pytest.mark.parametrize("damage", ["SELECT setval('numbers', 499)", "SELECT setval('countdown', 950)"])
def test_a_sequence_that_is_behind_is_named(shop, damage):
    on(shop[1], damage)
    name = damage.split("'")[1]
    assert f"public.{name}" in compare(shop)["msg"]


def test_a_changed_column_is_named(shop):
    on(
        shop[1],
        "ALTER TABLE customers DROP COLUMN seen",
        "ALTER TABLE customers ALTER COLUMN name DROP NOT NULL",
        "ALTER TABLE log ADD COLUMN more int",
    )
    result = compare(shop)
    assert table(result, "public.customers")["columns"] == {
        "missing": ["seen"],
        "changed": ["name: text not null -> text"],
    }
    assert table(result, "public.log")["columns"] == {"extra": ["more"]}


def test_a_table_that_can_not_be_read_is_not_called_equal(shop):
    with shop[1].connect("shop") as connection:
        connection.execute("ALTER TABLE log OWNER TO azuresu")
        connection.execute("ALTER TABLE empty OWNER TO azuresu")
        connection.execute("ALTER TABLE empty ENABLE ROW LEVEL SECURITY")
        connection.execute("GRANT SELECT ON empty TO shopadmin")
    result = compare(shop)
    assert "permission denied for table log" in result["msg"]
    assert "row-level security" in table(result, "public.empty")["error"]
    assert table(result, "public.log")["verdict"] == "not compared" and table(result, "public.customers")["equal"]


def test_large_objects_that_can_not_be_read_are_told(shop):
    with shop[1].connect("shop") as connection:
        connection.execute("ALTER LARGE OBJECT 70001 OWNER TO azuresu")
    assert "permission denied for large object 70001" in compare(shop)["msg"]
    assert compare(shop, large_objects="oids")["validation"]["equal"]


def test_only_what_was_asked_for_is_compared(shop):
    on(shop[1], "DELETE FROM log", "DELETE FROM empty", "DELETE FROM customers WHERE id = 1")
    assert compare(shop, schemas=["Sales Dept"])["validation"]["equal"]
    assert compare(shop, exclude_tables=["public.[lc]*"])["validation"]["equal"]


def test_refreshing_materialized_views(shop):
    on(shop[1], "DELETE FROM customers WHERE id = 1", "INSERT INTO customers (name, mood) VALUES ('new', 'sad')")
    predicted = compare(shop, materialized_views="refresh", fail_on_difference=False, dry_run=True)
    assert predicted["changed"] and predicted["refreshed"]["target"] == ["shop.public.totals"]
    assert table(predicted, "public.totals")["equal"]
    done = compare(shop, materialized_views="refresh")
    assert done["failed"] and done["changed"] is True
    assert not table(done, "public.totals")["equal"]


def test_tables_are_read_in_chunks(shop, monkeypatch):
    monkeypatch.setattr(engine, "CHUNK_BYTES", 64 * 1024)
    assert compare(shop, jobs=3)["validation"]["equal"]
    on(shop[1], "UPDATE customers SET balance = 0 WHERE id = 4321")
    found = table(compare(shop), "public.customers")["differing"]
    assert found == [{"key": {"id": "4321"}, "side": "both", "columns": ["balance"]}]


def test_tables_are_read_by_cursor_where_pages_can_not_be_cut(shop, monkeypatch):
    monkeypatch.setattr(engine, "CHUNK_BYTES", 64 * 1024)
    monkeypatch.setattr(engine, "pages_can_be_cut", lambda version, heap: False)
    assert compare(shop)["validation"]["equal"]
    on(shop[1], "UPDATE customers SET balance = 0 WHERE id = 4321")
    assert table(compare(shop), "public.customers")["differing"][0]["key"] == {"id": "4321"}


def test_md5_gives_the_same_verdicts(shop, monkeypatch):
    monkeypatch.setattr(
        "ansible_collections.pgflex.migrate.plugins.module_utils._validation.sql.HASH_EXTENDED_SINCE", 10**6
    )
    assert compare(shop)["validation"]["equal"]
    on(shop[1], "UPDATE customers SET balance = 0 WHERE id = 4321")
    assert table(compare(shop), "public.customers")["differing"][0]["key"] == {"id": "4321"}


def test_encodings_may_differ(shop):
    text = "INSERT INTO words VALUES (1, 'Grüße'), (2, 'naïve')"
    on(shop[0], "CREATE TABLE words (id int PRIMARY KEY, word text)", text)
    with shop[1].connect() as connection:
        connection.execute("DROP DATABASE shop")
    shop[1].create_database("shop", charset="LATIN1", collation="C")
    on(shop[1], "CREATE TABLE words (id int PRIMARY KEY, word text)", text)
    assert table(compare(shop, fail_on_difference=False), "public.words")["equal"]
    on(shop[1], "UPDATE words SET word = 'Grüsse' WHERE id = 1")
    assert table(compare(shop), "public.words")["differing"][0]["key"] == {"id": "1"}


class Writer:
    """Writes the same to both servers, the target a moment later, as replication does."""

    def __init__(self, pair, lag):
        self.pair, self.lag = pair, lag
        self.stop, self.under_way = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._work)

    def _work(self):
        late = []
        with self.pair[0].connect("shop") as source, self.pair[1].connect("shop") as target:
            n = 0
            while not self.stop.wait(0.01):
                n += 1
                statement = f"UPDATE customers SET balance = {n} WHERE id = {n % 50 + 1}"
                source.execute(statement)
                late.append(statement)
                if len(late) > self.lag:
                    self.under_way.set()
                    target.execute(late.pop(0))
            for statement in late:
                target.execute(statement)

    def __enter__(self):
        self.thread.start()
        assert self.under_way.wait(10)
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


@pytest.fixture
def patient(monkeypatch, shop):
    """A writer that gets no turn for a while must not look like one that has stopped."""
    monkeypatch.setattr(engine, "RECHECK_SECONDS", 1.0)


@pytest.mark.usefixtures("patient")
def test_a_table_that_writers_move_is_told_as_moved(shop):
    with Writer(shop, lag=10):
        result = compare(shop, settle_timeout=1)
    found = table(result, "public.customers")
    assert result["failed"] and result["failure"]["code"] == "TablesMoved"
    assert found["moved"] and found["verdict"] == "moved" and found["differing"] == []
    assert "moved while it was looked at" in result["msg"]
    assert compare(shop)["validation"]["equal"]


@pytest.mark.usefixtures("patient")
def test_real_damage_is_found_among_moving_rows(shop):
    on(shop[1], "UPDATE customers SET name = 'damaged' WHERE id = 4000")
    with Writer(shop, lag=10):
        result = compare(shop, settle_timeout=1)
    found = table(result, "public.customers")
    assert result["failure"]["code"] == "DataDiffers" and found["verdict"] == "different"
    assert found["differing"] == [{"key": {"id": "4000"}, "side": "both", "columns": ["name", "shout"]}]


def test_rows_on_their_way_arrive_in_time(shop):
    on(shop[0], "UPDATE customers SET balance = 1 WHERE id = 7")

    def arrive():
        on(shop[1], "UPDATE customers SET balance = 1 WHERE id = 7")

    timer = threading.Timer(0.7, arrive)
    timer.start()
    with Writer(shop, lag=0):
        result = compare(shop, settle_timeout=10, schemas=["public"], fail_on_difference=False)
    timer.join()
    assert table(result, "public.customers")["verdict"] in ("equal", "moved")


def test_a_timeout_names_the_option(shop):
    result = compare(shop, timeout=0)
    assert result["failed"] and result["failure"]["code"] == "Timeout" and "option timeout" in result["msg"]


@pytest.mark.parametrize(
    ("change", "code", "option"),
    [
        ({"password": "wrong"}, "AuthenticationFailed", "target.password"),
        ({"hostaddr": "127.0.0.1", "port": 1}, "ConnectionRefused", "target.port"),
        ({"sslmode": "verify-full", "sslrootcert": "/dev/null"}, "CertificateRefused", "target.sslrootcert"),
        ({"sslmode": "disable"}, "TlsRequired", "target.sslmode"),
    ],
)
def test_connections_that_fail_name_the_option(shop, change, code, option):
    result = compare(shop, target={**server(shop[1]), **change})
    assert result["failed"] and result["failure"]["code"] == code, result["msg"]
    assert option in result["msg"] and PASSWORD not in str(result) and "\n" not in result["msg"]


def test_an_unknown_database_is_named(shop):
    result = compare(shop, databases=["shop", "nowhere"])
    assert result["failure"]["code"] == "UnknownDatabase" and "no database nowhere" in result["msg"]


def read_only(pair, *, dry_run=False, **options):
    return run(source_read_only, {"source": server(pair[0]), "databases": ["shop"], **options}, dry_run=dry_run)


def client(cluster, name="shop writer"):
    arguments = {**server(cluster), "dbname": "shop", "application_name": name}
    return psycopg.connect(autocommit=True, **arguments)


def test_writing_is_stopped_and_let_go_on(shop):
    with client(shop[0]) as program, client(shop[0], "monitoring 1") as kept:
        program.execute("INSERT INTO empty VALUES (1)")
        predicted = read_only(shop, dry_run=True, keep_applications=["monitoring*"])
        assert predicted["changed"] and predicted["diff"]["before"]["databases"][0]["sessions_to_end"] == 1
        program.execute("INSERT INTO empty VALUES (2)")
        done = read_only(shop, keep_applications=["monitoring*"])
        assert done["changed"] and done["source_read_only"]["since"].endswith("Z")
        assert [session["application_name"] for session in done["source_read_only"]["ended_sessions"]] == [
            "shop writer"
        ]
        with pytest.raises(psycopg.OperationalError):
            program.execute("SELECT 1")
        kept.execute("SELECT 1")
    with client(shop[0]) as program, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        program.execute("INSERT INTO empty VALUES (3)")
    again = read_only(shop)
    assert not again["changed"] and again["source_read_only"]["since"] is None
    assert compare(shop, fail_on_difference=False)["validation"]["databases"][0]["name"] == "shop"
    assert read_only(shop, state="absent", dry_run=True)["changed"]
    assert read_only(shop, state="absent")["source_read_only"]["databases"][0]["read_only"] is False
    assert not read_only(shop, state="absent")["changed"]
    with client(shop[0]) as program:
        program.execute("INSERT INTO empty VALUES (3)")


def test_a_session_that_writes_all_the_same_is_ended(shop):
    read_only(shop)
    program = client(shop[0])
    program.execute("BEGIN READ WRITE")
    program.execute("INSERT INTO empty VALUES (1)")
    assert [s["pid"] for s in read_only(shop)["source_read_only"]["ended_sessions"]] == [program.info.backend_pid]
    program.close()


def test_a_superusers_session_stays_and_is_told(shop):
    with psycopg.connect(shop[0].conninfo("shop"), application_name="service") as service:
        service.execute("SELECT 1")
        result = read_only(shop)
        assert [s["application_name"] for s in result["source_read_only"]["kept_sessions"]] == ["service"]
        service.execute("SELECT 1")


def test_nothing_is_half_made_when_a_session_may_not_be_ended(shop):
    with shop[0].connect() as connection:
        connection.execute("CREATE ROLE visitor LOGIN CREATEDB PASSWORD 'Visitor-1'")
        connection.execute("ALTER DATABASE shop OWNER TO visitor")
    try:
        with client(shop[0]) as program:
            result = read_only(shop, source={**server(shop[0]), "user": "visitor", "password": "Visitor-1"})
            assert result["failed"] and result["failure"]["code"] == "42501"
            assert "pg_signal_backend" in result["failure"]["hint"]
            program.execute("INSERT INTO empty VALUES (1)")
        with client(shop[0]) as program:
            program.execute("INSERT INTO empty VALUES (2)")
    finally:
        with shop[0].connect() as connection:
            connection.execute("ALTER DATABASE shop OWNER TO shopadmin")
            connection.execute("DROP ROLE visitor")


def test_someone_else_may_not_stop_the_writing(shop):
    with shop[0].connect() as connection:
        connection.execute("ALTER DATABASE shop OWNER TO azuresu")
    result = read_only(shop)
    assert result["failed"] and "must be owner of database shop" in result["msg"]


def test_writers_are_seen(shop):
    with shop[0].connect() as connection:
        assert activity.writers(connection, ["shop"], 0.1) == []
        with client(shop[0]) as program:
            program.execute("BEGIN")
            program.execute("INSERT INTO empty VALUES (1)")
            found = activity.writers(connection, ["shop"], 0.1)
            assert [writer.sessions[0].application for writer in found] == ["shop writer"]
            assert "shop writer" in activity.who(found)
            program.execute("COMMIT")
        with Writer(shop, lag=0):
            found = activity.writers(connection, ["shop", "postgres"], 2.5)
        assert [writer.database for writer in found] == ["shop"] and found[0].rows > 10
