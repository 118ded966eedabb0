# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage to the copy of the database of traps: one thing at a time, and the name that a comparison has to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from psycopg import Connection, sql


@dataclass(frozen=True)
class Damage:
    done: str
    name: str
    column: str | None = None


COLUMNS = """
SELECT n.nspname, c.relname, a.attname, coalesce(b.typname, t.typname), a.attnotnull OR t.typnotnull
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype
 WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname !~ '^(pg_|information)'
   AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))
   AND c.relname <> 'wide'
   AND (c.relname, a.attname) NOT IN (('measures_1', 'day'), ('measures_2', 'day'), ('made', 'twice'), ('log', 'at'),
                                      ('crates', 'crate'), ('customers', 'parent'), ('secrets', 'owner'))
 ORDER BY 1, 2, 3"""

# For a value that is there: the same one, changed as little as the type allows.
CHANGES = {
    "float8": "CASE WHEN {c} = 0 THEN 5e-324 WHEN abs({c}) > 1e300 THEN 1 ELSE {c} * (1 + 2.220446049250313e-16) END",
    "float4": "CASE WHEN {c} BETWEEN 1e-30 AND 1e30 THEN ({c} * (1 + 1.2e-7::float4))::float4 ELSE 1 END",
    "int4": "{c} # 1",
    "int8": "{c} # 1",
    "int2": "{c} # 1::int2",
    "numeric": "CASE WHEN {c} = 'NaN' THEN 0 WHEN {c}::text = 'Infinity' THEN 1 ELSE {c} + 0.01 END",
    "text": "{c} || ' '",
    "citext": "upper({c}::text)::citext",
    "bool": "NOT {c}",
    "bytea": "set_byte({c}, 3, get_byte({c}, 3) # 1)",
    "timestamptz": "{c} + interval '1 microsecond'",
    "interval": "{c} + interval '1 microsecond'",
    "time": "{c} + interval '1 microsecond'",
    "timetz": "{c} AT TIME ZONE interval '1 hour'",
    "json": "replace({c}::text, '  ', ' ')::json",
    "jsonb": "({c}::text::jsonb || '{{\"a\": 2}}')",
    "inet": "set_masklen({c}, 9)",
    "bit": "~ {c}",
    "_text": "{c} || 'one more'::text",
    "_float8": "{c} || 0::float8",
}


def damage_cell(connection: Connection[Any], random: Random) -> Damage:
    columns = connection.execute(COLUMNS).fetchall()
    while True:
        schema, table, column, kind, not_null = random.choice(columns)
        full, name = sql.Identifier(schema, table), sql.Identifier(column)
        change = CHANGES.get(kind)
        if change is None and not_null:
            continue
        value = sql.SQL(change).format(c=name) if change else sql.SQL("NULL")
        where = sql.SQL("SELECT ctid FROM {} WHERE {} IS NOT NULL ORDER BY ctid").format(full, name)
        rows = connection.execute(where).fetchall()
        if not rows:
            continue
        statement = sql.SQL("UPDATE {} SET {} = {} WHERE ctid = {}").format(
            full, name, value, sql.Literal(random.choice(rows)[0])
        )
        connection.execute("SET session_replication_role = replica")
        connection.execute(statement)
        return Damage(statement.as_string(connection), f"{schema}.{table}", column)


def damage_rows(connection: Connection[Any], random: Random) -> Damage:
    columns = connection.execute(COLUMNS).fetchall()
    schema, table = random.choice([*sorted({row[:2] for row in columns}), ("public", "nothing")])
    full = sql.Identifier(schema, table)
    verb = random.choice(("delete", "delete some", "add"))
    connection.execute("SET session_replication_role = replica")
    if verb == "add" and table in ("log", "nothing", "child"):
        statement = sql.SQL("INSERT INTO {0} SELECT * FROM {0} LIMIT 1").format(full)
    else:
        many = 1 if verb == "delete" else 2
        statement = sql.SQL(
            "DELETE FROM ONLY {0} WHERE ctid IN (SELECT ctid FROM ONLY {0} ORDER BY random() LIMIT {1})"
        ).format(full, sql.Literal(many))
    connection.execute(statement)
    return Damage(statement.as_string(connection), f"{schema}.{table}")


def damage_sequence(connection: Connection[Any], random: Random) -> Damage:
    name, values = random.choice([("numbers", (1, 499)), ("countdown", (901, 1000)), ("customers_id_seq", (1, 499))])
    statement = f"SELECT setval('public.{name}', {random.randint(*values)})"
    connection.execute(statement)
    return Damage(statement, f"public.{name}")


def damage_large_object(connection: Connection[Any], random: Random) -> Damage:
    position = random.randrange(5000000)
    statement, oid = random.choice(
        [
            ("SELECT lo_unlink(70001)", "70001"),
            (f"SELECT lo_put(70002, {position}, 'y')", "70002"),
            ("SELECT lo_put(70003, 0, 'y')", "70003"),
            ("SELECT lo_from_bytea(70009, 'new')", "70009"),
            ("ALTER LARGE OBJECT 70002 OWNER TO auditor", "70002"),
            ("REVOKE SELECT ON LARGE OBJECT 70001 FROM auditor", "70001"),
            ("GRANT UPDATE ON LARGE OBJECT 70003 TO PUBLIC", "70003"),
        ]
    )
    connection.execute(statement)
    return Damage(statement, oid)


RANDOM: tuple[Callable[[Connection[Any], Random], Damage], ...] = (
    damage_cell,
    damage_cell,
    damage_cell,
    damage_rows,
    damage_sequence,
    damage_large_object,
)

ORDER_LINES = '"Sales Dept"."Order ""Lines"" 1"'

# Statement and the name that has to be told.
PRIVILEGES = {
    "REVOKE SELECT ON customers FROM auditor CASCADE": "public.customers",
    "REVOKE GRANT OPTION FOR UPDATE ON customers FROM auditor": "public.customers",
    "GRANT DELETE ON parent TO auditor": "public.parent",
    "REVOKE SELECT (id) ON secrets FROM auditor": "public.secrets.id",
    "GRANT SELECT (v) ON parent TO auditor": "public.parent.v",
    "REVOKE SELECT ON log FROM PUBLIC": "public.log",
    "GRANT EXECUTE ON FUNCTION plus(int, int) TO PUBLIC": "public.plus(a integer, b integer)",
    "REVOKE USAGE ON SEQUENCE numbers FROM auditor": "public.numbers",
    'REVOKE USAGE ON SCHEMA "Sales Dept" FROM auditor': "Sales Dept",
    'ALTER DEFAULT PRIVILEGES FOR ROLE mover IN SCHEMA "Sales Dept" REVOKE SELECT ON TABLES FROM auditor':
        "tables in Sales Dept made by mover",
    "ALTER DEFAULT PRIVILEGES FOR ROLE mover GRANT USAGE ON SEQUENCES TO auditor": "sequences made by mover",
    "REVOKE UPDATE ON parent FROM mover": "public.parent",
    "ALTER TABLE parent OWNER TO auditor": "public.parent",
    "ALTER FUNCTION touch() OWNER TO auditor": "public.touch()",
    "ALTER VIEW happy OWNER TO auditor": "public.happy",
    "ALTER TYPE mood OWNER TO auditor": "public.mood",
    'ALTER SCHEMA "Sales Dept" OWNER TO auditor': "Sales Dept",
    "ALTER SEQUENCE numbers OWNER TO auditor": "public.numbers",
    "REVOKE USAGE ON TYPE mood FROM PUBLIC": "public.mood",
}  # fmt: skip

DEFINITIONS = {
    "CREATE OR REPLACE VIEW happy AS SELECT id, a_mood FROM kinds WHERE a_mood = 'happy' AND a_text LIKE '%2%'":
        "public.happy",
    "DROP VIEW joined; CREATE VIEW joined AS SELECT c.name, p.v, extract(month FROM c.born) AS month, "
    "trim(both ' ' from c.name) AS short, CASE WHEN c.id IN (1, 2, 4) THEN 'few' END AS few, "
    "c.born::timestamptz AT TIME ZONE 'UTC' AS utc FROM customers c LEFT JOIN parent p ON p.id = c.parent "
    "WHERE c.name <> 'x' ORDER BY c.name LIMIT 10; ALTER VIEW joined OWNER TO mover": "public.joined",
    "ALTER VIEW checked RESET (security_barrier)": "public.checked",
    "CREATE OR REPLACE VIEW checked WITH (security_barrier) AS SELECT id, v FROM parent WHERE v > 0": "public.checked",
    "ALTER VIEW happy RENAME COLUMN a_mood TO humour": "public.happy.a_mood",
    "DROP MATERIALIZED VIEW totals; CREATE MATERIALIZED VIEW totals AS SELECT a_mood, count(DISTINCT id) AS n "
    "FROM kinds GROUP BY a_mood; CREATE INDEX totals_n ON totals (n); ALTER TABLE totals OWNER TO mover":
        "public.totals",
    "ALTER TABLE parent ALTER v SET DEFAULT 8": "public.parent.v",
    "ALTER TABLE parent ALTER v DROP DEFAULT": "public.parent.v",
    "ALTER TABLE log ALTER at SET DEFAULT clock_timestamp()": "public.log.at",
    "ALTER TABLE log ALTER what SET STORAGE EXTERNAL": "public.log.what",
    "ALTER TABLE customers ALTER name SET STATISTICS 300": "public.customers.name",
    "ALTER TABLE dropped ALTER c DROP NOT NULL": "public.dropped",
    "ALTER TABLE dropped ALTER c TYPE numeric(11, 3)": "public.dropped",
    "ALTER TABLE log ALTER what TYPE text COLLATE \"C\"": "public.log.what",
    "ALTER TABLE log SET (autovacuum_enabled = false)": "public.log",
    "ALTER TABLE log REPLICA IDENTITY FULL": "public.log",
    "ALTER TABLE secrets DISABLE ROW LEVEL SECURITY": "public.secrets",
    "ALTER TABLE secrets FORCE ROW LEVEL SECURITY": "public.secrets",
    "ALTER TABLE child NO INHERIT parent": "public.child",
    "ALTER POLICY own ON secrets USING (owner = CURRENT_USER AND id > 1)": "public.secrets.own",
    "ALTER POLICY own ON secrets TO PUBLIC": "public.secrets.own",
    "DROP POLICY own ON secrets": "public.secrets.own",
    "ALTER TABLE customers DROP CONSTRAINT adult, ADD CONSTRAINT adult "
    "CHECK (extract(year FROM born) > 1901 AND name <> ALL (ARRAY['x', 'y']))": "public.customers.adult",
    "ALTER TABLE customers DROP CONSTRAINT customers_parent_fkey, ADD CONSTRAINT customers_parent_fkey "
    "FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED":
        "public.customers.customers_parent_fkey",
    "ALTER TABLE log VALIDATE CONSTRAINT recent": "public.log.recent",
    "ALTER DOMAIN code DROP CONSTRAINT code_check; ALTER DOMAIN code ADD CONSTRAINT code_check "
    "CHECK (VALUE ~ '^[a-z]*$')": "public.code.code_check",
    "ALTER DOMAIN code SET DEFAULT 'other'": "public.code",
    "ALTER DOMAIN code DROP NOT NULL": "public.code",
    "ALTER TYPE place RENAME ATTRIBUTE name TO title": "public.place.name",
    'ALTER TYPE "Odd Mood" RENAME TO odd': 'public.Odd Mood (it\'s, a "b")',
    "DROP INDEX by_year; CREATE INDEX by_year ON customers (extract(year FROM born), lower(name) DESC) "
    "WHERE born > '1980-01-01' AND id % 2 = 1": "public.by_year",
    "DROP INDEX by_year; CREATE INDEX by_year ON customers (extract(year FROM born), upper(name) DESC) "
    "WHERE born > '1980-01-01' AND id % 2 = 0": "public.by_year",
    "DROP INDEX by_year; CREATE INDEX by_year ON customers (extract(year FROM born), lower(name)) "
    "WHERE born > '1980-01-01' AND id % 2 = 0": "public.by_year",
    "DROP INDEX by_name; CREATE UNIQUE INDEX by_name ON customers (name) WITH (fillfactor = 70)": "public.by_name",
    "ALTER INDEX by_name RESET (fillfactor)": "public.by_name",
    "DROP INDEX by_words": "public.by_words",
    "CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$":
        "public.touch()",
    "ALTER FUNCTION plus(int, int) VOLATILE": "public.plus(a integer, b integer)",
    "ALTER FUNCTION plus(int, int) SET work_mem = '6MB'": "public.plus(a integer, b integer)",
    "ALTER FUNCTION plus(int, int) SECURITY DEFINER": "public.plus(a integer, b integer)",
    "CREATE OR REPLACE FUNCTION plus(a int, b int DEFAULT 3) RETURNS int LANGUAGE sql IMMUTABLE STRICT COST 7 "
    "SET work_mem = '5MB' AS 'SELECT a + b'": "public.plus(a integer, b integer)",
    "DROP AGGREGATE product (int); CREATE AGGREGATE product (int) (sfunc = int4mul, stype = int, initcond = '2')":
        "public.product(integer)",
    "DROP TRIGGER touched ON customers; CREATE TRIGGER touched BEFORE UPDATE OF name, born ON customers FOR EACH ROW "
    "WHEN (OLD.* IS DISTINCT FROM NEW.* AND NEW.id IN (1, 3)) EXECUTE PROCEDURE touch()": "public.customers.touched",
    "DROP TRIGGER touched ON customers; CREATE TRIGGER touched BEFORE UPDATE ON customers FOR EACH ROW "
    "WHEN (OLD.* IS DISTINCT FROM NEW.* AND NEW.id IN (1, 2)) EXECUTE PROCEDURE touch()": "public.customers.touched",
    "ALTER TABLE log ENABLE TRIGGER each_time": "public.log.each_time (disabled)",
    "CREATE OR REPLACE RULE no_delete AS ON DELETE TO parent WHERE old.id = 2 DO INSTEAD NOTHING":
        "public.parent.no_delete",
    "ALTER SEQUENCE numbers CACHE 5": "public.numbers",
    "ALTER SEQUENCE countdown NO CYCLE": "public.countdown",
    "ALTER SEQUENCE customers_id_seq OWNED BY NONE": "public.customers_id_seq",
    "COMMENT ON FUNCTION plus(int, int) IS 'Subtracts'": "function public.plus(integer,integer)",
    "COMMENT ON TABLE parent IS 'new'": "table public.parent",
    f"COMMENT ON COLUMN {ORDER_LINES}.qty IS NULL": 'table column "Sales Dept"."Order ""Lines"" 1".qty',
    "DROP OPERATOR === (int, int)": "public.=== (integer, integer)",
    "DROP COLLATION german": "public.german",
    "DROP CAST (mood AS int)": "public.mood to integer",
    "DROP TEXT SEARCH CONFIGURATION plain": "public.plain",
    "ALTER TABLE cache SET LOGGED": "public.cache",
}  # fmt: skip

DEFINITIONS_SINCE_10 = {
    "DROP STATISTICS together": "public.together",
    "DROP STATISTICS together; CREATE STATISTICS together (ndistinct) ON name, born FROM customers": "public.together",
    "ALTER TABLE counted ALTER id SET GENERATED BY DEFAULT": "public.counted.id",
    "ALTER TABLE counted ALTER id SET INCREMENT BY 6": "public.counted_id_seq",
    "ALTER TABLE measures DETACH PARTITION measures_1": "public.measures_1",
}
