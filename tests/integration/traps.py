# SPDX-License-Identifier: GPL-3.0-or-later
"""A database in which nothing is plain, by the oldest PostgreSQL that knows each part."""

from __future__ import annotations

from collections.abc import Iterator

# PostgreSQL 9.5 to 10 know all of this.
ALWAYS = r"""
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE EXTENSION cube;
SET ROLE mover;
CREATE SCHEMA "Sales Dept";
COMMENT ON SCHEMA "Sales Dept" IS 'Who sells';
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE "Odd Mood" AS ENUM ('it''s', 'a "b"');
CREATE DOMAIN price AS float8 CHECK (VALUE >= 0);
CREATE DOMAIN prices AS float8[];
CREATE DOMAIN code AS varchar(8) DEFAULT 'none' NOT NULL CHECK (VALUE ~ '^[a-z]+$');
CREATE TYPE place AS (name text, at point, heights float4[]);
CREATE TYPE trip AS (title text, stops place[], cost price);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE TABLE kinds (
    id int PRIMARY KEY, a_bool bool, a_int2 int2, a_int8 int8, a_numeric numeric, a_money money, a_char char(5),
    a_varchar varchar(20), a_text text, a_quick "char", a_name name, a_bytea bytea, a_date date, a_time time,
    a_timetz timetz, a_timestamp timestamp, a_timestamptz timestamptz, an_interval interval, a_bit bit(5),
    a_varbit varbit, an_inet inet, a_cidr cidr, a_macaddr macaddr, a_uuid uuid, a_json json, a_jsonb jsonb, an_xml xml,
    a_tsvector tsvector, a_tsquery tsquery, an_oid oid, a_class regclass, a_lsn pg_lsn, a_mood mood, odd "Odd Mood",
    a_code code, an_hstore hstore, a_citext citext, a_range int4range, a_tsrange tstzrange, texts text[],
    grid int[][], moods mood[], spans span[], an_array_of_hstore hstore[]);
INSERT INTO kinds
SELECT n, n % 2 = 0, n, n * 1000000000::int8, n / 7.0, n::numeric::money, 'c' || n, 'v' || n, E'line\nü "q" \\ ' || n,
       (64 + n % 26)::"char", 'n' || n, decode(md5(n::text), 'hex'), date '2000-02-28' + n, time '12:34:56.789',
       '12:34:56+02', timestamp '1999-12-31 23:59:59.999999', timestamptz '2026-03-29 02:30:00+02' + n * interval '1 h',
       n * interval '1 mon 3 days -04:05:06', B'10101', B'1110', '10.1.2.3/8', '10.0.0.0/8', '08:00:2b:01:02:03',
       md5(n::text)::uuid, '{"b": 1, "a": [1.0, 1e2],  "a": 2}', '{"b": 1.0, "a": "\u00fc"}', '<a b="1">x</a>',
       to_tsvector('english', 'the quick foxes ' || n), 'quick & !lazy', n, 'kinds', '0/16B3748', 'ok', 'a "b"', 'abc',
       'a=>1, b=>NULL, "c d"=>"e"', 'MixedCase', int4range(n, n + 5), tstzrange('2026-01-01', NULL),
       ARRAY['a', NULL, 'NULL', '', 'x,y', '"'], ARRAY[[n, 1], [2, NULL]], ARRAY['sad', 'ok']::mood[],
       ARRAY[span(n, n + 0.1), NULL], ARRAY['k=>v']::hstore[]
  FROM generate_series(1, 60) n;
INSERT INTO kinds (id, a_numeric, a_date, a_timestamp, texts, a_code, a_range) VALUES
    (1001, 'NaN', 'infinity', '-infinity', '{}', 'x', 'empty'),
    (1002, 1e300, '4713-01-01 BC', '0001-01-01', NULL, 'y', NULL);
CREATE TABLE floats (
    id int PRIMARY KEY, f4 float4, f8 float8, many float8[], grid float4[][], cost price, costs prices,
    spot point, spots point[], area polygon, way path, ring circle, edge lseg, kind box, place place, places place[],
    trip trip, trips trip[], range span, shifted float8[]);
INSERT INTO floats
SELECT n, n / 3.0, n / 7.0, ARRAY[n / 9.0, 'NaN', NULL, '-0', 'Infinity']::float8[],
       ARRAY[[n, n + 0.1], [n + 2, 0]], n / 11.0,
       ARRAY[n / 13.0], point(n / 3.0, n), ARRAY[point(n / 7.0, 1)],
       polygon(box(point(n, n), point(n + 1.1, n + 1.3))), '((0.1,0.2),(0.3,0.4))', '<(0.1,0.2),0.3>',
       '[(0.1,0.2),(0.3,0.7)]', '(0.1,0.2),(0.3,0.7)', ROW('p' || n, point(n / 3.0, n), ARRAY[n / 3.0])::place,
       ARRAY[ROW('q', point(n, 1), NULL)::place, NULL],
       ROW('t', ARRAY[ROW('s', NULL, ARRAY[n / 7.0])::place], n / 3.0)::trip,
       ARRAY[ROW('t', NULL, n / 9.0)::trip], span(n / 3.0, n), '[5:6]={0.1,0.2}'::float8[]
  FROM generate_series(1, 200) n;
INSERT INTO floats (id, f4, f8, place, places) VALUES
    (1000, 'NaN', '-Infinity', ROW(NULL, NULL, NULL), '{}'), (1001, 'infinity', 5e-324, NULL, NULL),
    (1002, 3.4028235e38, 1.7976931348623157e308, NULL, NULL);
CREATE TABLE crates (id int PRIMARY KEY, crate cube, label text);
INSERT INTO crates SELECT n, cube(n / 2.0), 'crate ' || n FROM generate_series(1, 10) n;
CREATE TABLE dropped (a int, gone text, b text, key int PRIMARY KEY);
ALTER TABLE dropped DROP COLUMN gone;
ALTER TABLE dropped ADD COLUMN c numeric(10, 3) DEFAULT 1.5 NOT NULL;
INSERT INTO dropped SELECT n, 'b' || n, n FROM generate_series(1, 50) n;
CREATE TABLE "Sales Dept"."Order ""Lines"" 1" ("Order Id" int, "Line" int, qty int CHECK (qty >= 0),
    PRIMARY KEY ("Order Id", "Line"));
INSERT INTO "Sales Dept"."Order ""Lines"" 1" SELECT n / 5, n % 5, n FROM generate_series(0, 499) n;
COMMENT ON COLUMN "Sales Dept"."Order ""Lines"" 1".qty IS 'How many, isn''t it';
CREATE TABLE log (at timestamptz DEFAULT now(), what text);
INSERT INTO log SELECT timestamptz '2026-01-01' + n % 50 * interval '1 s', 'event ' || n % 50
  FROM generate_series(1, 400) n;
CREATE TABLE parent (id int PRIMARY KEY, v int DEFAULT 7);
CREATE TABLE child (extra text) INHERITS (parent);
INSERT INTO parent VALUES (1, 1);
INSERT INTO child VALUES (2, 2, 'c');
CREATE UNLOGGED TABLE cache (k text PRIMARY KEY, v text);
INSERT INTO cache SELECT n::text, md5(n::text) FROM generate_series(1, 50) n;
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, born date, parent int REFERENCES parent (id)
    ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED, EXCLUDE USING gist (int4range(id, id + 1) WITH &&));
ALTER TABLE customers ADD CONSTRAINT adult CHECK (extract(year FROM born) > 1900 AND name <> ALL (ARRAY['x', 'y']));
ALTER TABLE log ADD CONSTRAINT recent CHECK (at > '2020-01-01') NOT VALID;
ALTER TABLE customers ALTER COLUMN name SET STATISTICS 200;
CREATE INDEX by_year ON customers (extract(year FROM born), lower(name) DESC) WHERE born > '1980-01-01' AND id % 2 = 0;
CREATE UNIQUE INDEX by_name ON customers (name text_pattern_ops) WITH (fillfactor = 70);
CREATE INDEX by_words ON kinds USING gin (a_tsvector);
CREATE VIEW happy AS SELECT id, a_mood FROM kinds WHERE a_mood = 'happy' AND a_text LIKE '%1%';
CREATE VIEW joined AS SELECT c.name, p.v, extract(month FROM c.born) AS month, trim(both ' ' from c.name) AS short,
    CASE WHEN c.id IN (1, 2, 3) THEN 'few' END AS few, c.born::timestamptz AT TIME ZONE 'UTC' AS utc
  FROM customers c LEFT JOIN parent p ON p.id = c.parent WHERE c.name <> 'x' ORDER BY c.name LIMIT 10;
CREATE VIEW checked WITH (security_barrier) AS SELECT id, v FROM parent WHERE v > 0 WITH CASCADED CHECK OPTION;
CREATE MATERIALIZED VIEW totals AS SELECT a_mood, count(*) AS n FROM kinds GROUP BY a_mood;
CREATE INDEX totals_n ON totals (n);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION plus(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE STRICT COST 7
    SET work_mem = '5MB' AS 'SELECT a + b';
COMMENT ON FUNCTION plus(int, int) IS 'Adds';
CREATE AGGREGATE product (int) (sfunc = int4mul, stype = int, initcond = '1');
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, PROCEDURE = int4eq);
CREATE COLLATION german (LOCALE = 'C');
CREATE TEXT SEARCH CONFIGURATION plain (COPY = pg_catalog.simple);
CREATE CAST (mood AS int) WITH INOUT;
CREATE TRIGGER touched BEFORE UPDATE OF name, born ON customers FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.* AND NEW.id IN (1, 2)) EXECUTE PROCEDURE touch();
CREATE TRIGGER each_time AFTER INSERT ON log FOR EACH STATEMENT EXECUTE PROCEDURE touch();
ALTER TABLE log DISABLE TRIGGER each_time;
CREATE RULE no_delete AS ON DELETE TO parent WHERE old.id = 1 DO INSTEAD NOTHING;
CREATE SEQUENCE numbers; SELECT setval('numbers', 500);
CREATE SEQUENCE countdown INCREMENT -1 MAXVALUE 1000 START 1000 CYCLE; SELECT setval('countdown', 900);
CREATE TABLE secrets (id int PRIMARY KEY, owner name, text text);
INSERT INTO secrets VALUES (1, 'mover', 'mine'), (2, 'auditor', 'theirs');
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets FOR SELECT TO auditor USING (owner = CURRENT_USER AND id > 0);
INSERT INTO customers (name, born) SELECT 'customer ' || n, date '1970-01-01' + n FROM generate_series(1, 500) n;
DO $$ BEGIN
    EXECUTE 'CREATE TABLE wide (id int PRIMARY KEY, ' || (SELECT string_agg('c' || n || ' text', ', ')
                                                         FROM generate_series(1, 1500) n) || ')';
    INSERT INTO wide (id, c1, c1500) VALUES (1, 'first', 'last'), (2, NULL, NULL);
END $$;
CREATE TABLE nothing ();
INSERT INTO nothing SELECT FROM generate_series(1, 3);
SELECT lo_from_bytea(70001, 'small'), lo_from_bytea(70002, convert_to(repeat('x', 5000000), 'UTF8')),
       lo_from_bytea(70003, '');
GRANT USAGE ON SCHEMA "Sales Dept" TO auditor;
GRANT SELECT, UPDATE ON customers TO auditor WITH GRANT OPTION;
GRANT SELECT (id), UPDATE (text) ON secrets TO auditor;
GRANT SELECT ON log TO PUBLIC;
REVOKE EXECUTE ON FUNCTION plus(int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION plus(int, int) TO auditor;
GRANT USAGE ON SEQUENCE numbers TO auditor;
GRANT SELECT ON LARGE OBJECT 70001 TO auditor;
ALTER DEFAULT PRIVILEGES IN SCHEMA "Sales Dept" GRANT SELECT ON TABLES TO auditor;
RESET ROLE;
"""

SINCE_10 = """
SET ROLE mover;
CREATE TABLE measures (day date NOT NULL, value int, reading float8[]) PARTITION BY RANGE (day);
CREATE TABLE measures_1 PARTITION OF measures FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE measures_2 PARTITION OF measures FOR VALUES FROM ('2026-02-01') TO (MAXVALUE);
INSERT INTO measures SELECT date '2026-01-01' + n % 59, n, ARRAY[n / 3.0] FROM generate_series(0, 299) n;
CREATE TABLE counted (id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5) PRIMARY KEY, v text);
INSERT INTO counted (v) SELECT 'v' || n FROM generate_series(1, 30) n;
CREATE STATISTICS together (dependencies) ON name, born FROM customers;
RESET ROLE;
"""

SINCE_11 = """
SET ROLE mover;
CREATE DOMAIN stop AS place CHECK ((VALUE).name <> '');
CREATE TABLE stops (id int PRIMARY KEY, stop stop, stops stop[]);
INSERT INTO stops SELECT n, ROW('s', point(n / 3.0, 1), ARRAY[n / 7.0])::place,
       ARRAY[ROW('t', NULL, NULL)::place]::stop[]
  FROM generate_series(1, 20) n;
CREATE TABLE domains (id int PRIMARY KEY, many price[]);
INSERT INTO domains SELECT n, ARRAY[n / 17.0]::price[] FROM generate_series(1, 20) n;
CREATE TABLE spread (id int, v text, PRIMARY KEY (id) INCLUDE (v)) PARTITION BY HASH (id);
CREATE TABLE spread_0 PARTITION OF spread FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE spread_1 PARTITION OF spread FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO spread SELECT n, 'v' || n FROM generate_series(1, 40) n;
CREATE PROCEDURE work(a int) LANGUAGE sql AS 'SELECT a';
RESET ROLE;
"""

SINCE_12 = """
SET ROLE mover;
CREATE TABLE made (id int PRIMARY KEY, a float8, twice float8 GENERATED ALWAYS AS (a * 2) STORED, way jsonpath);
INSERT INTO made (id, a, way) SELECT n, n / 3.0, '$.a[*] ? (@ > 1)' FROM generate_series(1, 30) n;
RESET ROLE;
"""

SINCE_14 = """
SET ROLE mover;
CREATE TABLE several (id int PRIMARY KEY, spans span_multirange, days datemultirange, big numeric);
INSERT INTO several SELECT n, span_multirange(span(n / 3.0, n), span(n + 1, n + 2)),
    datemultirange(daterange('2026-01-01', '2026-02-01')), 'Infinity' FROM generate_series(1, 20) n;
CREATE FUNCTION modern(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a + 1; END;
RESET ROLE;
"""

SINCE_15 = """
SET ROLE mover;
CREATE TABLE once (id int PRIMARY KEY, a int, UNIQUE NULLS NOT DISTINCT (a));
CREATE VIEW invoked WITH (security_invoker) AS SELECT id FROM once;
RESET ROLE;
"""


def trapped(major: int) -> Iterator[str]:
    yield ALWAYS
    later = {10: SINCE_10, 11: SINCE_11, 12: SINCE_12, 14: SINCE_14, 15: SINCE_15}
    yield from (script for first, script in later.items() if major >= first)
