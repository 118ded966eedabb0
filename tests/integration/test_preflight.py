# SPDX-License-Identifier: GPL-3.0-or-later
"""For every rule a real server in the state that it is about; and what the remedies do to real servers."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.pgflex.migrate.plugins.module_utils._base import Runtime
from ansible_collections.pgflex.migrate.plugins.module_utils._preflight import (
    configuration,
    data,
    resource,
    schema,
    session,
)
from ansible_collections.pgflex.migrate.plugins.module_utils._preflight.rules import AZURE, RULES
from ansible_collections.pgflex.migrate.plugins.module_utils._server.servers import FlexibleServer
from ansible_collections.pgflex.migrate.plugins.modules import migration, preflight
from plays import GROUP, make_pair

from pgflex_lab.process import Running
from postgres_versions.cluster import PASSWORD, Cluster
from postgres_versions.fixtures import Postgres, postgres

__all__ = ["postgres"]

# Too little of everything.
POOR = {
    "wal_level": "replica",
    "max_replication_slots": "4",
    "max_wal_senders": "3",
    "max_connections": "10",
    "max_locks_per_transaction": "10",
}
# What every throw-away server is found to be: it listens on a port of its own, with the system's keepalives.
ALWAYS = {"unusual_port", "keepalives"}


@dataclass(frozen=True)
class Case:
    """SQL as (where, statement): `source` and `target` are postgres there, `shop` the source's database, all of them
    as the superuser; `mover` is that database as the migrating user. `held` stays in a session of its own."""

    rule: str
    before: tuple[tuple[str, str], ...] = ()
    after: tuple[tuple[str, str], ...] = ()
    held: str = ""
    object: str = ""
    says: str = ""
    severity: str | None = None
    code: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    patch: tuple[Any, str, Any] | None = None
    majors: tuple[int, int] = (14, 16)
    poor: bool = False


ONLINE, OFFLINE, CLASSIC = {"mode": "online"}, {"mode": "offline"}, {"generation": "classic"}


def role(where: str, name: str, value: str) -> dict[str, Any]:
    """A setting that new sessions of the migrating user begin with, and its end."""
    return {
        "before": ((where, f"ALTER ROLE mover SET {name} = '{value}'"),),
        "after": ((where, f"ALTER ROLE mover RESET {name}"),),
    }


def extension(name: str, version: str = "1.0", place: str = "public") -> tuple[tuple[str, str], ...]:
    """The database as if it had the extension, whatever this server's build has."""
    columns = "oid, extname, extowner, extnamespace, extrelocatable, extversion"
    values = f"99999, '{name}', 10, '{place}'::regnamespace, false, '{version}'"
    return (("shop", f"INSERT INTO pg_extension ({columns}) VALUES ({values})"),)


def both(first: dict[str, Any], *more: tuple[str, str]) -> dict[str, Any]:
    return {**first, "before": (*first["before"], *more)}


MANY = "DO $$ BEGIN FOR n IN 1..101 LOOP EXECUTE 'CREATE SEQUENCE s' || n; END LOOP; END $$"
PREPARED = "BEGIN; CREATE TABLE p (); PREPARE TRANSACTION 'half'"
SLOTS = "SELECT pg_create_physical_replication_slot('s' || n) FROM generate_series(1, 4) n"
NO_SLOTS = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
ENTRA = "CREATE ROLE azure_ad_user; CREATE ROLE ann IN ROLE azure_ad_user"
PARSER = "START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype"
TYPE = """CREATE TYPE word;
CREATE FUNCTION word_in(cstring) RETURNS word LANGUAGE internal AS 'textin' STRICT IMMUTABLE;
CREATE FUNCTION word_out(word) RETURNS cstring LANGUAGE internal AS 'textout' STRICT IMMUTABLE;
CREATE TYPE word (INPUT = word_in, OUTPUT = word_out)"""
CAST = (
    "CREATE FUNCTION f(point) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE CAST (point AS int) WITH FUNCTION f(point)"
)
ALLOW = "ALTER ROLE mover SET azure.extensions = 'hstore'"
NO_ALLOW = (("target", "ALTER ROLE mover RESET azure.extensions"),)
POSTGIS = f"{session.EXTENSIONS} UNION ALL SELECT 'postgis', '3.4.2'"
ASCII = "CREATE DATABASE ascii OWNER mover TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
LOST = "CREATE TABLE t (a int NOT NULL UNIQUE); ALTER TABLE t REPLICA IDENTITY USING INDEX t_a_key"
LOST += "; ALTER TABLE t DROP CONSTRAINT t_a_key"
OPERATOR_CLASS = """CREATE OPERATOR CLASS oc FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
    OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int)"""
GIVE_ONE = "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"
AGGREGATE = """CREATE AGGREGATE collect(anynonarray) (SFUNC = array_agg_transfn, STYPE = internal,
    FINALFUNC = array_agg_finalfn, FINALFUNC_EXTRA)"""
PAPERS = """CREATE DOMAIN papers AS json[]; CREATE TYPE pile AS (n int, papers papers);
CREATE TABLE t (a int, b pile); ALTER TABLE t REPLICA IDENTITY FULL"""
FEED = "SELECT pg_create_logical_replication_slot('fed', 'pgoutput')"
FED = f"""CREATE SUBSCRIPTION fed CONNECTION 'host=127.0.0.1 port={{port}} dbname=postgres user=postgres sslmode=disable
    password={PASSWORD}' PUBLICATION feed WITH (create_slot = false)"""
KEYLESS = "CREATE TABLE t (a int)"
# One of each kind of object that takes no superuser, as far back as PostgreSQL 10.
ORDINARY = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE place AS (city text, street text);
CREATE DOMAIN amount AS numeric(12, 2) CHECK (VALUE >= 0);
CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TABLE people (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE, home place, feels mood, owes amount,
    hours span, tags text[], more jsonb);
CREATE TABLE visits (id bigint, at date, who bigint REFERENCES people, PRIMARY KEY (id)) WITH (fillfactor = 80);
CREATE INDEX ON people USING gin (tags);
CREATE FUNCTION greeting(people) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.name';
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER note BEFORE INSERT ON people FOR EACH ROW EXECUTE PROCEDURE note();
CREATE AGGREGATE product(numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1');
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, PROCEDURE = texteq);
CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE VIEW names AS SELECT name, greeting(people) FROM people;
CREATE MATERIALIZED VIEW moods AS SELECT feels, count(*) FROM people GROUP BY 1;
CREATE STATISTICS of_people ON name, feels FROM people;
CREATE TABLE log (at timestamptz, who varchar(9), tags varchar[], net cidr, feels mood, home place, owes amount,
    more jsonb, what regclass, hours span, known bytea);
ALTER TABLE log REPLICA IDENTITY FULL;
COMMENT ON TABLE people IS 'who comes';
"""

CASES = [
    Case("no_session", code="603100", source={"password": "wrong"}, says="password is wrong"),
    Case("no_session", code="603000", target={"port": 1}, says="nothing listens"),
    Case("no_session", code="603001", source={"sslmode": "require"}, says="does not offer TLS"),
    Case("no_session", (("shop", "ALTER DATABASE shop CONNECTION LIMIT 0"),), code="603000", object="shop"),
    Case("too_many_databases", options={"databases": [f"d{n}" for n in range(9)]}, says="9 databases"),
    Case("database_missing", options={"databases": ["shop", "Shop"]}, object="Shop", code="603102"),
    Case(
        "database_in_target", (("target", "CREATE DATABASE shop"),), (("target", "DROP DATABASE shop"),), object="shop"
    ),
    Case(
        "cannot_drop",
        (("target", "CREATE DATABASE shop"),),
        (("target", "DROP DATABASE shop"),),
        options={"overwrite": True},
    ),
    Case("not_owner", (("source", "ALTER DATABASE shop OWNER TO postgres"),), says="postgres is"),
    Case(
        "no_replication",
        (("source", "ALTER ROLE mover NOREPLICATION"),),
        (("source", "ALTER ROLE mover REPLICATION"),),
        options=ONLINE,
        code="603104",
    ),
    Case(
        "not_admin",
        (("target", "CREATE ROLE azure_pg_admin"),),
        (("target", "DROP ROLE azure_pg_admin"),),
        object="mover",
    ),
    Case(
        "no_createrole",
        (("target", "ALTER ROLE mover NOCREATEROLE"),),
        (("target", "ALTER ROLE mover CREATEROLE"),),
        says="lacks CREATEROLE",
    ),
    Case(
        "no_signal_backend",
        (("target", "REVOKE pg_signal_backend FROM mover"),),
        (("target", "GRANT pg_signal_backend TO mover"),),
        code="603111",
    ),
    Case("entra_role_missing", (("source", ENTRA),), (("source", "DROP ROLE ann, azure_ad_user"),), object="ann"),
    Case(
        "superuser_roles",
        (("source", "CREATE ROLE boss SUPERUSER"),),
        (("source", "DROP ROLE boss"),),
        object="boss",
    ),
    Case("superuser_objects", (("shop", "CREATE TABLE t (a int PRIMARY KEY)"),), object="public.t"),
    Case("unreadable", (("shop", "CREATE TABLE secret (a int)"),), object="public.secret", severity="blocks"),
    Case("unreadable", (("shop", "SELECT lo_create(4711)"),), object="large object 4711"),
    Case(
        "no_signal_backend_source",
        (("source", "REVOKE pg_signal_backend FROM mover"),),
        (("source", "GRANT pg_signal_backend TO mover"),),
        options=ONLINE,
    ),
    Case(
        "row_security",
        (("mover", "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"),),
        object="public.t",
    ),
    Case("wal_level", options=ONLINE, poor=True, severity="blocks", code="603107"),
    Case("wal_level", options={**ONLINE, "source_type": "PostgreSQLSingleServer"}, poor=True, severity="warns"),
    Case("few_slots", (("source", SLOTS),), (("source", NO_SLOTS),), options=ONLINE, poor=True, says="0 of 4"),
    Case("senders_below_slots", options=ONLINE, poor=True, says="is 3 and max_replication_slots is 4"),
    Case("few_senders", options={**ONLINE, "databases": ["shop", "b", "c", "d"]}, poor=True, says="needed: 4"),
    Case("short_sender_timeout", **role("source", "wal_sender_timeout", "5s"), options=ONLINE, says="5000 ms"),
    Case("inactive_slots", (("source", SLOTS),), (("source", NO_SLOTS),), object="s1"),
    Case("read_only_target", **role("target", "default_transaction_read_only", "on"), code="603112"),
    Case(
        "read_only_database",
        (("source", "ALTER DATABASE shop SET default_transaction_read_only = on"),),
        options=ONLINE,
        code="603112",
    ),
    Case("writable_source", options=OFFLINE, object="shop", severity="informs"),
    Case("timeouts", **role("source", "idle_in_transaction_session_timeout", "1min"), says="60000 ms"),
    Case("keepalives", says="tcp_keepalives_idle=0"),
    Case("md5_passwords", **role("source", "password_encryption", "md5"), severity="warns"),
    Case(
        "md5_passwords",
        (("source", "SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'x'"),),
        (("source", "DROP ROLE old"),),
        source={"user": "postgres"},
        object="old",
    ),
    Case("few_locks_source", (("mover", MANY),), poor=True, says="the source has room for 100 locks"),
    Case("few_locks_target", (("mover", MANY),), poor=True, says="the target has room for 100 locks"),
    Case("local_ssd", **role("target", configuration.LOCAL_SSD, "on"), options=ONLINE),
    Case(
        "long_transactions",
        held="SELECT txid_current()",
        options=ONLINE,
        patch=(configuration, "LONG_SECONDS", 0),
        says="in shop",
    ),
    Case(
        "prepared_transactions",
        (("shop", PREPARED),),
        (("shop", "ROLLBACK PREPARED 'half'"),),
        object="half",
        options=ONLINE,
        severity="blocks",
    ),
    Case(
        "prepared_transactions",
        (("shop", PREPARED),),
        (("shop", "ROLLBACK PREPARED 'half'"),),
        options=OFFLINE,
        severity="warns",
    ),
    Case("extension_not_allowed", (*extension("citext"), ("target", ALLOW)), NO_ALLOW, object="citext", code="603108"),
    Case("library_not_loaded", extension("pg_stat_statements"), object="pg_stat_statements", code="603109"),
    Case(
        "hidden_libraries",
        (("target", "REVOKE pg_read_all_settings FROM mover"),),
        (("target", "GRANT pg_read_all_settings TO mover"),),
    ),
    Case("extension_unsupported", extension("pg_partman"), object="pg_partman", code="603405"),
    Case("postgis_version", extension("postgis", "2.5.5"), patch=(session, "EXTENSIONS", POSTGIS), says="has 3.4.2"),
    Case("postgis_version", extension("postgis", "3.5.0"), patch=(session, "EXTENSIONS", POSTGIS), says="has 3.4.2"),
    Case("extension_schema", extension("citext", place="pg_catalog"), object="citext", code="603407"),
    Case("extension_not_available", extension("of_my_own"), object="of_my_own", code="603408"),
    Case("source_too_old", patch=(schema, "OLDEST_SOURCE", 190000), code="603400"),
    Case("target_older", majors=(18, 16), says="18 and the target only 16"),
    Case(
        "database_collation",
        (("source", "UPDATE pg_database SET datcollate = 'English_United States.1252' WHERE datname = 'shop'"),),
        object="shop",
        says="English_United States.1252",
    ),
    Case(
        "column_collation",
        (("shop", 'CREATE COLLATION pg_catalog.odd FROM "C"; CREATE TABLE t (a text COLLATE odd)'),),
        object="public.t.a",
    ),
    Case("user_collation", (("mover", 'CREATE COLLATION mine FROM "C"'),), object="public.mine"),
    Case("with_oids", (("mover", "CREATE TABLE t (a int) WITH OIDS"),), object="public.t", majors=(10, 16)),
    Case("user_cast", (("shop", CAST),), object="(point AS integer)"),
    Case("catalog_grants", (("shop", "GRANT SELECT ON pg_authid TO mover"),), object="pg_catalog.pg_authid"),
    Case("catalog_grants", (("shop", "GRANT SELECT ON pg_statistic TO PUBLIC"),), says="PUBLIC has privileges"),
    Case("catalog_grants", (("shop", "GRANT SELECT (loid) ON pg_largeobject TO mover"),), says="mover has privileges"),
    Case("language", (("shop", "CREATE LANGUAGE plfake HANDLER plpgsql_call_handler"),), object="plfake"),
    Case(
        "text_search",
        (("shop", "CREATE TEXT SEARCH TEMPLATE t (LEXIZE = dsimple_lexize)"),),
        object="template public.t",
    ),
    Case("text_search", (("shop", f"CREATE TEXT SEARCH PARSER p ({PARSER})"),), object="parser public.p"),
    Case("in_c", (("shop", TYPE),), object="type public.word"),
    Case("in_c", (("shop", TYPE),), object="function public.word_in(cstring)"),
    Case("operator_classes", (("shop", OPERATOR_CLASS),), object="operator class public.oc"),
    Case("operator_classes", (("shop", "CREATE OPERATOR FAMILY of USING btree"),), object="operator family public.of"),
    Case("leakproof", (("shop", f"{GIVE_ONE} LEAKPROOF"),), object="public.f()"),
    Case(
        "superuser_settings",
        (("shop", f"{GIVE_ONE} SET session_replication_role = replica SET work_mem = '1MB'"),),
        object="public.f()",
        says="sets session_replication_role",
    ),
    Case("foreign_data_wrappers", (("shop", "CREATE FOREIGN DATA WRAPPER far"),), object="far"),
    Case("internal_aggregates", (("shop", AGGREGATE),), object="public.collect(anynonarray)"),
    Case("access_methods", (("shop", "CREATE ACCESS METHOD own TYPE INDEX HANDLER bthandler"),), object="own"),
    Case(
        "tablespaces",
        (("source", "CREATE TABLESPACE fast LOCATION '{folder}'"), ("shop", "CREATE TABLE t (a int) TABLESPACE fast")),
        (("shop", "DROP TABLE t"), ("source", "DROP TABLESPACE fast")),
        object="fast",
    ),
    Case(
        "event_triggers",
        (
            ("shop", "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'"),
            ("shop", "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION f()"),
        ),
        object="watch",
    ),
    Case("encoding", (("source", ASCII),), (("source", "DROP DATABASE ascii"),), options={"databases": ["ascii"]}),
    Case("no_key", (("mover", KEYLESS),), options=ONLINE, object="public.t", severity="blocks"),
    Case("no_key", (("mover", "CREATE TABLE t (a int PRIMARY KEY DEFERRABLE)"),), options=ONLINE, object="public.t"),
    Case(
        "no_key",
        (("mover", "CREATE TABLE t (a int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING"),),
        options=ONLINE,
    ),
    Case("no_key", (("mover", LOST),), options=ONLINE, object="public.t"),
    Case("no_equality", (("mover", "CREATE TABLE t (a int, b point)"),), options=ONLINE, object="public.t.b"),
    Case("no_equality", (("mover", PAPERS),), options=ONLINE, object="public.t.b", says="json"),
    Case(
        "subscriber",
        (("source", "CREATE PUBLICATION feed"), ("source", FEED), ("shop", FED)),
        (("shop", "DROP SUBSCRIPTION fed"), ("source", "DROP PUBLICATION feed")),
        options=ONLINE,
        says="subscription fed",
    ),
    Case("unlogged", (("mover", "CREATE UNLOGGED TABLE t (a int)"),), options=ONLINE, severity="warns"),
    Case("unlogged", (("mover", "CREATE UNLOGGED TABLE t (a int)"),), options=OFFLINE, severity="informs"),
    Case("temporary", held="CREATE TEMPORARY TABLE mine (a int); COMMIT", says="mine"),
    Case("large_objects", (("mover", "SELECT lo_create(0)"),), options=ONLINE, severity="warns", says="1 large"),
    Case("over_a_terabyte", options=CLASSIC, patch=(data, "CLASSIC_LIMIT", 1), object="shop"),
    Case(
        "large_without_key", (("mover", KEYLESS), ("mover", "INSERT INTO t VALUES (1)")), patch=(data, "LARGE_TABLE", 0)
    ),
    Case(
        "bloat",
        (("mover", "CREATE TABLE t AS SELECT generate_series(1, 1000) a"), ("mover", "DELETE FROM t WHERE a > 200")),
        patch=(data, "SMALL_TABLE", 0),
        says="800 dead rows beside 200",
    ),
    Case(
        "generated_columns",
        (("mover", "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a + 1) STORED)"),),
        options=ONLINE,
        object="public.t.b",
    ),
    Case(
        "identity_columns",
        (("mover", "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY)"),),
        options=ONLINE,
        object="public.t.a",
        majors=(10, 16),
    ),
    Case("only_ipv6", source={"host": "::1"}, severity="blocks"),
    Case("unusual_port", severity="warns"),
    Case("azure_not_asked", (("target", ALLOW),), NO_ALLOW, severity="informs"),
]


def run(args: dict[str, Any], *, dry_run: bool = False, warnings: list[str] | None = None) -> dict[str, Any]:
    validator = ArgumentSpecValidator(preflight.SPEC.options, **preflight.SPEC.constraints())
    checked = validator.validate(args)
    assert not checked.error_messages, checked.error_messages
    runtime = Runtime(params=checked.validated_parameters, dry_run=dry_run, diff=True)
    result = preflight.MODULE(runtime).run()
    if warnings is not None:
        warnings += runtime.warnings
    return result


@dataclass(frozen=True)
class Servers:
    source: Cluster
    target: Cluster

    def args(self, **more: Any) -> dict[str, Any]:
        common = {"databases": ["shop"], "strict": False, "mode": "online"}
        sides = {"source": self.source.options(), "target": self.target.options()}
        return {**common, **sides, **more}

    def do(self, statements: tuple[tuple[str, str], ...]) -> None:
        places = {
            "source": (self.source, "postgres", "postgres"),
            "target": (self.target, "postgres", "postgres"),
            "shop": (self.source, "shop", "postgres"),
            "mover": (self.source, "shop", "mover"),
        }
        for where, statement in statements:
            cluster, database, user = places[where]
            with cluster.connect(database, user) as connection:
                connection.execute(statement.encode())


@pytest.fixture
def servers(postgres: Postgres) -> Callable[..., Servers]:
    def made(source: int = 14, target: int = 16, *, poor: bool = False) -> Servers:
        name, settings = ("poor", POOR) if poor else ("preflight", {"max_prepared_transactions": "5"})
        found = Servers(postgres(source, name, settings), postgres(target, f"{name}-target", settings))
        found.source.recreate_database("shop")
        return found

    return made


@pytest.fixture
def pair(servers: Callable[..., Servers]) -> Servers:
    return servers()


@contextlib.contextmanager
def state(case: Case, servers: Servers) -> Iterator[None]:
    """The bad state, and what was before it."""
    folder = servers.source.home.path / "tablespace"
    folder.mkdir(exist_ok=True)
    servers.source.home.own(folder)
    with contextlib.ExitStack() as stack:
        stack.callback(servers.do, case.after)
        known = {"{folder}": str(folder), "{port}": str(servers.source.port)}
        for where, statement in case.before:
            servers.do(((where, re.sub(r"\{(folder|port)\}", lambda found: known[found.group()], statement)),))
        if case.held:
            held = stack.enter_context(servers.source.connect("shop", "mover"))
            held.autocommit = False
            held.execute(case.held.encode())
        yield


def matches(case: Case, row: dict[str, Any]) -> bool:
    return row["rule"] == case.rule and case.object in row["object"] and case.says in row["message"]


def look(case: Case, args: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings; the statistics of a table come a moment after its rows, as does the worker of a subscription."""
    for _try in range(30):
        result = run(args)
        assert not result.get("failed"), result["msg"]
        found: list[dict[str, Any]] = result["preflight"]["findings"]
        if case.rule not in ("bloat", "subscriber") or any(matches(case, row) for row in found):
            break
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_every_rule_finds_its_state(
    case: Case, servers: Callable[..., Servers], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = servers(*case.majors, poor=case.poor)
    if case.patch:
        monkeypatch.setattr(*case.patch)
    args = pair.args(**case.options)
    args["source"] |= case.source
    args["target"] |= case.target
    quiet = [row["rule"] for row in run(pair.args())["preflight"]["findings"]] if case.before else []
    assert case.rule not in set(quiet) - ALWAYS
    with state(case, pair):
        found = look(case, args)
    hits = [row for row in found if matches(case, row)]
    assert hits, [(row["rule"], row["object"], row["message"]) for row in found]
    assert case.severity in (None, hits[0]["severity"]) and case.code in (None, hits[0]["code"])
    assert hits[0]["remedy"] and hits[0]["message"].endswith(".")
    assert not [row["message"] for row in found if row["message"].startswith("Not checked")]


def test_every_rule_has_a_case() -> None:
    azure = {name for name, rule in RULES.items() if rule.scope == AZURE}
    assert set(RULES) - azure == {case.rule for case in CASES} - {"no_session"}


@pytest.mark.parametrize("major", [10, 14, 15, 16, 18])
@pytest.mark.parametrize("user", ["mover", "postgres"])
def test_an_empty_source_of_every_version_is_fine(servers: Callable[..., Servers], major: int, user: str) -> None:
    pair = servers(major)
    for mode in ("online", "offline"):
        found = run(pair.args(mode=mode, source=pair.source.options(user)))["preflight"]["findings"]
        allowed = {"writable_source", *(["target_older"] if major == 18 else [])}
        assert {row["rule"] for row in found} - ALWAYS <= allowed, found


@pytest.mark.parametrize("major", [10, 14, 18])
def test_what_any_user_may_make_is_no_alarm(servers: Callable[..., Servers], major: int) -> None:
    pair = servers(major, 18)
    pair.do((("mover", ORDINARY),))
    found = run(pair.args())["preflight"]["findings"]
    assert {row["rule"] for row in found} <= ALWAYS, found


def test_rules_of_the_other_mode_are_not_asked(pair: Servers) -> None:
    pair.do((("mover", KEYLESS),))
    rules = {row["rule"] for row in run(pair.args(mode="offline"))["preflight"]["findings"]}
    assert "no_key" not in rules and "writable_source" in rules


def test_sessions_can_not_write(pair: Servers) -> None:
    server = session.Server.from_options("source", pair.source.options())
    with session.session(server, "shop") as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("CREATE TABLE t ()")


def test_a_catalog_that_may_not_be_read_is_a_finding(pair: Servers) -> None:
    grant, revoke = (f"{verb} SELECT ON pg_cast {way} PUBLIC" for verb, way in (("GRANT", "TO"), ("REVOKE", "FROM")))
    pair.do((("shop", revoke),))
    (found,) = [row for row in run(pair.args())["preflight"]["findings"] if row["rule"] == "user_cast"]
    pair.do((("shop", grant),))
    assert (
        found["message"] == "Not checked whether there is a cast made by a user: permission denied for table pg_cast."
    )
    assert found["severity"] == "warns" and found["database"] == "shop"


def test_many_databases_take_one_session_each(pair: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def noted(server: Any, database: str) -> Any:
        opened.append(database)
        return connect(server, database)

    connect = session.connect
    monkeypatch.setattr(session, "connect", noted)
    names = [f"many_{n}" for n in range(8)]
    for name in names:
        pair.source.recreate_database(name)
        with pair.source.connect(name, "mover") as connection:
            connection.execute(
                "DO $$ BEGIN FOR n IN 1..50 LOOP EXECUTE 'CREATE TABLE t' || n || ' ()'; END LOOP; END $$"
            )
    found = run(pair.args(databases=names))["preflight"]["findings"]
    assert {name: opened.count(name) for name in names} == dict.fromkeys(names, 1)
    assert len(opened) <= len(names) + 4, "a server is asked in sessions of its own, twice"
    keyless = [row for row in found if row["rule"] == "no_key"]
    assert {row["database"] for row in keyless} == set(names)
    assert len([row for row in keyless if row["database"] == "many_0"]) == 21
    assert "30 more of the same." in [row["message"] for row in keyless]
    assert found == run(pair.args(databases=names))["preflight"]["findings"]


def test_strict_fails_and_still_tells_all(pair: Servers) -> None:
    pair.do((("mover", KEYLESS),))
    result = run(pair.args(strict=True))
    assert (
        result["failed"] and result["failure"]["code"] == "Blocked" and "public.t has no primary key" in result["msg"]
    )
    assert result["preflight"]["blocks"] == 1 and len(result["preflight"]["findings"]) == 3


# Remedies


@pytest.fixture
def ill(pair: Servers) -> Iterator[Servers]:
    """A pair that every remedy finds something to do at."""
    pair.do(
        (
            ("mover", 'CREATE TABLE t (a int); CREATE TABLE "T 2" (a int)'),
            ("source", "ALTER ROLE mover SET statement_timeout = '1min'"),
            ("source", "SELECT pg_create_physical_replication_slot('old')"),
            ("target", "REVOKE pg_signal_backend FROM mover"),
            ("target", "ALTER ROLE mover SUPERUSER"),
        )
    )
    pair.do((("target", "ALTER ROLE mover NOSUPERUSER; GRANT CREATE ON DATABASE postgres TO mover"),))
    yield pair
    pair.do(
        (
            ("source", "ALTER ROLE mover RESET ALL"),
            ("source", NO_SLOTS),
            ("target", "ALTER ROLE mover NOSUPERUSER"),
            ("target", "GRANT pg_signal_backend TO mover"),
            ("target", "DROP SCHEMA IF EXISTS pgflex CASCADE"),
        )
    )


def picture(pair: Servers) -> list[Any]:
    """All that remedies can change."""
    asked = [
        (
            pair.source,
            "shop",
            "SELECT relname, relreplident FROM pg_class WHERE relkind = 'r' AND oid > 16383 ORDER BY 1",
        ),
        (pair.source, "postgres", "SELECT setrole::regrole, setconfig FROM pg_db_role_setting ORDER BY 1"),
        (pair.source, "postgres", "SELECT slot_name FROM pg_replication_slots"),
        (
            pair.source,
            "postgres",
            "SELECT name, setting FROM pg_file_settings WHERE sourcefile ~ 'auto.conf' ORDER BY 1",
        ),
        (pair.target, "postgres", "SELECT 1 FROM pg_auth_members WHERE member = 'mover'::regrole"),
        (pair.target, "postgres", "SELECT nspname FROM pg_namespace WHERE nspname = 'pgflex'"),
    ]
    found = []
    for cluster, database, sql in asked:
        with cluster.connect(database) as connection:
            found.append(connection.execute(sql.encode()).fetchall())
    return found


SAFE = ["replica_identity", "timeouts"]


def test_check_mode_says_what_the_remedies_would_do(ill: Servers) -> None:
    before = picture(ill)
    args = ill.args(remedies=[*SAFE, "drop_slots"], slots=["old"], remember="m")
    foretold = run(args, dry_run=True)
    assert foretold["changed"] and picture(ill) == before
    made = run(args)
    assert made["preflight"]["applied"] == foretold["preflight"]["applied"] and made["diff"] == foretold["diff"]
    assert made["diff"]["before"]["public.t of the source"] == "DEFAULT"
    assert made["diff"]["after"]["public.t of the source"] == "FULL"


def test_remedies_mend_and_a_second_run_changes_nothing(ill: Servers) -> None:
    args = ill.args(remedies=[*SAFE, "drop_slots"], slots=["old"])
    made = run(args)
    assert made["changed"]
    assert {row["rule"] for row in made["preflight"]["findings"]} == {"unusual_port", "no_signal_backend"}
    again = run(args)
    assert not again["changed"] and again["preflight"]["applied"] == []


def test_restore_undoes_exactly_what_was_applied(ill: Servers) -> None:
    before = picture(ill)
    previous = run(ill.args(remedies=SAFE))["preflight"]["previous"]
    assert picture(ill) != before and set(previous) == set(SAFE)
    assert run(ill.args(restore=previous), dry_run=True)["changed"]
    assert run(ill.args(restore=previous))["changed"] and picture(ill) == before
    assert not run(ill.args(restore=previous))["changed"]


def test_what_is_remembered_survives_the_run(ill: Servers) -> None:
    before = picture(ill)
    run(ill.args(remedies=["timeouts"], remember="m"))
    run(ill.args(remedies=SAFE, remember="m"))
    some = run(ill.args(restore_remembered=True, remember="m", remedies=["timeouts"]))
    assert some["changed"] and {row["remedy"] for row in some["preflight"]["applied"]} == {"timeouts"}
    assert not run(ill.args(restore_remembered=True, remember="another"))["changed"]
    assert run(ill.args(restore_remembered=True, remember="m"))["changed"]
    assert picture(ill) == before, "nothing is left, the schema pgflex neither"
    assert not run(ill.args(restore_remembered=True, remember="m"))["changed"]


def test_what_somebody_changed_since_is_left(ill: Servers) -> None:
    previous = run(ill.args(remedies=["timeouts"]))["preflight"]["previous"]
    ill.do((("source", "ALTER ROLE mover SET statement_timeout = '5min'"),))
    warnings: list[str] = []
    run(ill.args(restore=previous), warnings=warnings)
    assert warnings == [
        "mover.statement_timeout of the source is left as it is: somebody changed it to 5min since timeouts."
    ]
    with ill.source.connect() as connection:
        rows = connection.execute("SELECT setconfig FROM pg_db_role_setting").fetchall()
    assert rows == [(["statement_timeout=5min"],)]


def test_a_failure_tells_what_was_done(ill: Servers) -> None:
    result = run(ill.args(remedies=[*SAFE, "signal_backend"], remember="m"))
    assert result["failed"] and result["changed"] and "pg_signal_backend" in result["msg"]
    assert set(result["preflight"]["previous"]) == set(SAFE)
    assert run(ill.args(restore_remembered=True, remember="m"))["changed"]


def test_signal_backend_is_granted_and_revoked(servers: Callable[..., Servers]) -> None:
    pair = servers(14, 15)
    pair.do((("target", "REVOKE pg_signal_backend FROM mover"),))
    args = pair.args(remedies=["signal_backend"])
    made = run(args)
    assert made["changed"] and "no_signal_backend" not in {row["rule"] for row in made["preflight"]["findings"]}
    assert not run(args)["changed"]
    assert run({**args, "restore": made["preflight"]["previous"]})["changed"]
    assert run(args, dry_run=True)["changed"]


def test_a_superuser_sets_the_source_up_for_replication(servers: Callable[..., Servers]) -> None:
    pair = servers(poor=True)
    before = picture(pair)
    args = pair.args(source=pair.source.options("postgres"), remedies=["logical_replication"])
    made = run(args)
    values = {row["object"]: row["after"] for row in made["preflight"]["applied"]}
    assert values == {"wal_level": "logical", "max_wal_senders": "4"}
    assert made["preflight"]["restart_needed"] == ["source"] and not run(args)["changed"]
    pair.source.restart()
    assert not {"wal_level", "senders_below_slots"} & {row["rule"] for row in run(args)["preflight"]["findings"]}
    assert run({**args, "restore": made["preflight"]["previous"]})["preflight"]["restart_needed"] == ["source"]
    pair.source.restart()
    assert picture(pair) == before


def test_without_a_superuser_it_says_what_to_do(servers: Callable[..., Servers]) -> None:
    result = run(servers(poor=True).args(remedies=["logical_replication"]))
    assert result["failed"] and result["failure"]["code"] == "SuperuserNeeded" and not result["changed"]
    assert "ALTER SYSTEM SET wal_level = logical;" in result["msg"]


def test_the_source_is_made_read_only(pair: Servers) -> None:
    args = pair.args(mode="offline", remedies=["read_only_source"])
    made = run(args)
    assert made["changed"] and "writable_source" not in {row["rule"] for row in made["preflight"]["findings"]}
    with pair.source.connect("shop") as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute(KEYLESS)
    assert not run(args)["changed"]
    assert run({**args, "restore": made["preflight"]["previous"]})["changed"]
    pair.do((("shop", KEYLESS),))
    refused = run(pair.args(remedies=["read_only_source"]))
    assert refused["failed"] and refused["failure"]["code"] == "NotSupported"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"remedies": ["drop_slots"]}, "NoSlots"),
        ({"remedies": ["temp_tablespaces"]}, "ResourceNotGiven"),
        ({"remedies": ["timeouts"], "target": {"port": 1}}, "NotReachable"),
        ({"databases": []}, "NoDatabases"),
        ({"restore": {"timeouts": [{"kind": "nonsense"}]}}, "InvalidRestore"),
        ({"restore": {"timeouts": "nonsense"}}, "InvalidRestore"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_input_is_named(pair: Servers, options: dict[str, Any], code: str) -> None:
    args = pair.args()
    args |= {"target": {**args["target"], **options["target"]}} if "target" in options else options
    result = run(args | {name: value for name, value in options.items() if name != "target"})
    assert result["failed"] and result["failure"]["code"] == code and not result["changed"]


def test_a_slot_in_use_is_not_dropped(pair: Servers) -> None:
    pair.do((("source", "SELECT pg_create_logical_replication_slot('busy', 'pgoutput')"),))
    try:
        arguments = {**pair.source.arguments(), "dbname": "postgres", "replication": "database"}
        with psycopg.connect(**arguments, autocommit=True) as walker:
            walker.pgconn.send_query(
                b"START_REPLICATION SLOT busy LOGICAL 0/0 (proto_version '1', publication_names 'none')"
            )
            walker.pgconn.get_result()
            result = run(pair.args(remedies=["drop_slots"], slots=["busy", "gone"]))
            walker.pgconn.finish()
        assert result["failed"] and result["failure"]["code"] == "SlotInUse"
    finally:
        for _try in range(50):
            with contextlib.suppress(psycopg.errors.ObjectInUse):
                pair.do((("source", NO_SLOTS),))
                break
            time.sleep(0.1)


# What Azure says of the target


@pytest.fixture
def in_azure(shared_lab: Running, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name, value in shared_lab.environment().items():
        monkeypatch.setenv(name, value)
    made = make_pair(shared_lab, f"preflight-{time.monotonic_ns() % 10**6}")
    sides = {
        side: {"host": server.hostaddr, "user": server.user, "password": server.settings()["password"]}
        for side, server in (("source", made.source), ("target", made.target))
    }
    return {
        **sides,
        "target_server": {"resource_group": GROUP, "name": made.target.name},
        "source_server": {"resource_group": GROUP, "name": made.source.name},
        "source_type": "PostgreSQLSingleServer",
        "databases": ["shop"],
        "strict": False,
    }


def found_by(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert not result.get("failed"), result["msg"]
    return {row["rule"]: row for row in result["preflight"]["findings"]}


def test_azure_tells_storage(in_azure: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "small_storage" not in found_by(run(in_azure))
    monkeypatch.setattr(resource, "HEADROOM", 10**5)
    assert found_by(run(in_azure))["small_storage"]["severity"] == "blocks"


def test_parameters_in_azure_are_set_and_put_back(in_azure: dict[str, Any]) -> None:
    offline = {**in_azure, "remedies": ["logical_replication"], "mode": "online"}
    made = run({**offline, "restart": ["source"]})
    assert [row["object"] for row in made["preflight"]["applied"]] == ["azure.replication_support"]
    assert made["preflight"]["restart_needed"] == [] and "wal_level" not in found_by(made)
    assert not run(offline)["changed"]
    undone = run({**offline, "restore": made["preflight"]["previous"]})
    assert undone["changed"] and undone["preflight"]["restart_needed"] == ["source"]


def test_azure_tells_size_and_state(
    in_azure: dict[str, Any], shared_lab: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = found_by(run(in_azure))
    assert not {"burstable", "target_not_ready", "active_migration", "azure_not_asked"} & set(found)
    details = preflight_details(sku="Standard_B2s", tier="Burstable", state="Updating")
    monkeypatch.setattr(FlexibleServer, "details", details(FlexibleServer.details))
    found = found_by(run(in_azure))
    assert found["burstable"]["severity"] == "warns" and found["target_not_ready"]["object"] == "Updating"


def preflight_details(**values: Any) -> Callable[..., Any]:
    """The lab can not stop a server, nor has it other sizes."""
    return lambda real: lambda server: {**real(server), **values}


def test_azure_tells_migrations(in_azure: dict[str, Any]) -> None:
    options = {
        "resource_group": GROUP,
        "server_name": in_azure["target_server"]["name"],
        "name": "first",
        "source_db_server_resource_id": f"{in_azure['source']['host']}:5432@{in_azure['source']['user']}",
        "source_type": "OnPremises",
        "migration_mode": "Offline",
        "migration_option": "Validate",
        "dbs_to_migrate": ["shop"],
        "source_server_password": in_azure["source"]["password"],
        "target_server_password": in_azure["target"]["password"],
    }
    checked = ArgumentSpecValidator(migration.SPEC.options).validate(options)
    made = migration.MODULE(Runtime(params=checked.validated_parameters)).run()
    assert made["changed"], made
    assert found_by(run(in_azure))["active_migration"]["object"] == "first"
    assert "active_migration" not in found_by(run({**in_azure, "migration_name": "first"}))
    for _try in range(200):
        found = found_by(run({**in_azure, "migration_name": "first"}))
        if "migration_ended" in found:
            break
        time.sleep(0.1)
    assert found["migration_ended"]["code"] == "603113"


def test_extensions_are_allowed_and_their_libraries_loaded(in_azure: dict[str, Any], shared_lab: Running) -> None:
    socket = shared_lab.home / "clusters" / in_azure["source_server"]["name"]
    with psycopg.connect(host=str(socket), user="azuresu", dbname="shop", autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_prewarm; CREATE EXTENSION hstore")
    found = [row for row in run(in_azure)["preflight"]["findings"] if row["rule"] == "extension_not_allowed"]
    assert [row["object"] for row in found] == ["hstore", "pg_prewarm"]
    remedies = {**in_azure, "remedies": ["allow_extensions", "preload_libraries"], "restart": ["target"]}
    made = run(remedies)
    after = {row["object"]: row["after"] for row in made["preflight"]["applied"]}
    assert after["azure.extensions"] == "pgcrypto,hstore,pg_prewarm"
    assert "pg_prewarm" in after["shared_preload_libraries"] and made["preflight"]["restart_needed"] == []
    assert not {"extension_not_allowed", "library_not_loaded"} & set(found_by(made))
    assert not run(remedies)["changed"]
    undone = run({**in_azure, "restore": made["preflight"]["previous"], "restart": ["target"]})
    assert {row["object"]: row["after"] for row in undone["preflight"]["applied"]}["azure.extensions"] == "pgcrypto"


def test_a_target_that_is_not_there(in_azure: dict[str, Any]) -> None:
    result = run({**in_azure, "target_server": {"resource_group": GROUP, "name": "nobody"}})
    assert result["failed"] and result["failure"]["code"] == "ResourceNotFound"
