# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles and privileges between real servers of several majors; data_validation finds no difference afterwards."""

from __future__ import annotations

import os
import subprocess
from random import Random

import psycopg
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.pgflex.migrate.plugins.module_utils._base import Runtime
from ansible_collections.pgflex.migrate.plugins.modules import data_validation, roles

from postgres_versions.cluster import PASSWORD, SUPERUSER, USER
from postgres_versions.programs import client_programs

PAIRS = [(10, 15), (10, 18), (14, 16), (15, 18), (16, 15), (16, 16), (18, 18)]
APP_PASSWORD = "App-Secret-4711"

ROLES = """
CREATE ROLE app LOGIN PASSWORD 'App-Secret-4711' CONNECTION LIMIT 7;
CREATE ROLE "Odd 'Role" NOINHERIT CREATEDB;
CREATE ROLE readers;
CREATE ROLE report LOGIN VALID UNTIL '2031-05-01';
CREATE ROLE boss SUPERUSER LOGIN;
CREATE ROLE puller REPLICATION LOGIN;
GRANT readers TO report WITH ADMIN OPTION;
GRANT readers TO "Odd 'Role";
GRANT pg_read_all_settings TO report;
COMMENT ON ROLE report IS 'it''s for reports';
ALTER ROLE app SET search_path TO "Odd Name", '$user', public;
ALTER ROLE app SET work_mem = '64MB';
ALTER ROLE report IN DATABASE privileges SET statement_timeout = '5min';
ALTER ROLE report IN DATABASE postgres SET statement_timeout = '1min';
ALTER ROLE report SET my.tenant = 'a, b';
"""
SCHEMA = """
CREATE SCHEMA "Odd Name";
CREATE SCHEMA locked;
CREATE TABLE public.plain (id serial PRIMARY KEY, secret text, open text);
CREATE TABLE "Odd Name"."T.x" (a int GENERATED ALWAYS AS IDENTITY, "c.d" text);
CREATE TABLE locked.parted (at date) PARTITION BY RANGE (at);
CREATE TABLE locked.part PARTITION OF locked.parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE STATISTICS public.stats (dependencies) ON secret, open FROM public.plain;
CREATE VIEW public.shown AS SELECT open FROM public.plain;
CREATE MATERIALIZED VIEW public.kept AS SELECT 1 AS x;
CREATE SEQUENCE public.ticket;
CREATE TYPE public.mood AS ENUM ('sad', 'ok');
CREATE DOMAIN public.positive AS int CHECK (VALUE > 0);
CREATE TYPE public.pair AS (a int, b int);
CREATE FUNCTION public.double(a int, VARIADIC b text[]) RETURNS int LANGUAGE sql AS 'SELECT a * 2';
CREATE FUNCTION "Odd Name".closed() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE AGGREGATE public.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
SELECT lo_create(4711), lo_create(4712), lo_create(4713);
"""
PRIVILEGES = """
GRANT CONNECT, CREATE ON DATABASE privileges TO app;
REVOKE TEMP ON DATABASE privileges FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA "Odd Name" TO app WITH GRANT OPTION;
GRANT USAGE ON SCHEMA locked, "Odd Name" TO readers;
ALTER SCHEMA locked OWNER TO app;
ALTER TABLE public.plain OWNER TO app;
ALTER TABLE "Odd Name"."T.x" OWNER TO "Odd 'Role";
ALTER TABLE locked.parted OWNER TO app;
ALTER VIEW public.shown OWNER TO app;
ALTER MATERIALIZED VIEW public.kept OWNER TO readers;
ALTER SEQUENCE public.ticket OWNER TO app;
ALTER TYPE public.mood OWNER TO app;
ALTER STATISTICS public.stats OWNER TO app;
ALTER FUNCTION "Odd Name".closed() OWNER TO app;
ALTER AGGREGATE public.total(int) OWNER TO app;
ALTER LARGE OBJECT 4711 OWNER TO app;
GRANT SELECT ON LARGE OBJECT 4711 TO readers;
GRANT SELECT, UPDATE ON LARGE OBJECT 4713 TO report WITH GRANT OPTION;
GRANT SELECT ON public.plain, locked.part TO readers;
GRANT SELECT, INSERT, UPDATE, DELETE ON "Odd Name"."T.x" TO app;
GRANT INSERT ON "Odd Name"."T.x" TO report WITH GRANT OPTION;
REVOKE DELETE ON public.plain FROM app;
GRANT SELECT (open), UPDATE (open) ON public.plain TO report;
GRANT SELECT ("c.d") ON "Odd Name"."T.x" TO PUBLIC;
GRANT SELECT ON public.shown TO PUBLIC;
GRANT USAGE ON SEQUENCE public.ticket, public.plain_id_seq TO readers;
REVOKE EXECUTE ON FUNCTION "Odd Name".closed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION "Odd Name".closed() TO readers;
REVOKE EXECUTE ON FUNCTION public.double(int, text[]) FROM PUBLIC;
REVOKE USAGE ON TYPE public.pair FROM PUBLIC;
GRANT USAGE ON TYPE public.positive TO app WITH GRANT OPTION;
GRANT SELECT ON pg_catalog.pg_proc TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO readers;
ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA locked GRANT USAGE ON SEQUENCES TO readers WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE app REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE mover GRANT SELECT ON TABLES TO report;
"""
EMPTY = {"created": [], "altered": [], "granted": [], "owners": [], "default_privileges": []}


def scrub(cluster):
    """No database of the test and no role but the fixture's."""
    with cluster.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS privileges")
        kept = [SUPERUSER, USER]
        for (name,) in connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> ALL(%s)", [kept]
        ).fetchall():
            quoted = psycopg.sql.Identifier(name)
            connection.execute(psycopg.sql.SQL("DROP OWNED BY {}").format(quoted))
            connection.execute(psycopg.sql.SQL("DROP ROLE {}").format(quoted))
    cluster.recreate_database("privileges")


def script(cluster, *statements, user=SUPERUSER, database="privileges"):
    with cluster.connect(database, user) as connection:
        for statement in statements:
            connection.execute(statement)


def copy_schema(source, target, *, owner=USER):
    """As the migration service leaves it: all belongs to who copied."""
    programs = client_programs(max(source.major, target.major))
    environment = {**os.environ, "PGPASSWORD": PASSWORD, "PGSSLMODE": "disable"}
    ends = [["-h", end.host, "-p", str(end.port), "-d", "privileges"] for end in (source, target)]
    options = ["--no-owner", "--no-privileges"]
    dumped = subprocess.run(
        [programs / "pg_dump", "-Fc", "-U", SUPERUSER, *options, *ends[0]],
        capture_output=True,
        env=environment,
        check=True,
    )
    subprocess.run(
        [programs / "pg_restore", "-U", owner, *options, *ends[1]],
        input=dumped.stdout,
        env=environment,
        check=False,
        capture_output=True,
    )


def call(module, source, target, user=SUPERUSER, target_user=USER, *, check=False, **options):
    args = {
        "source": source.options(user),
        "target": target.options(target_user),
        "databases": ["privileges"],
        **options,
    }
    validator = ArgumentSpecValidator(module.SPEC.options, **module.SPEC.constraints())
    checked = validator.validate(args)
    assert not checked.error_messages, checked.error_messages
    return module.MODULE(Runtime(params=checked.validated_parameters, dry_run=check, diff=True)).run()


def copied(*args, **options):
    result = call(roles, *args, **options)
    assert not result.get("failed"), result["msg"]
    return result


def differences(source, target, user=SUPERUSER, target_user=USER):
    result = call(
        data_validation, source, target, user, target_user, privileges="compare", settle_timeout=0, definitions=False
    )
    (database,) = result["validation"]["databases"]
    return database["privileges"]["differing"]


@pytest.fixture
def ends(postgres, request):
    source, target = postgres(request.param[0], "rsource"), postgres(request.param[1], "rtarget")
    for cluster in (source, target):
        scrub(cluster)
    script(source, ROLES, database="postgres")
    script(source, SCHEMA, user=USER)
    script(source, PRIVILEGES)
    copy_schema(source, target)
    return source, target


@pytest.mark.parametrize("ends", PAIRS, indirect=True, ids=str)
def test_nothing_differs_afterwards(ends):
    first = copied(*ends)
    assert first["changed"]
    assert first["roles"]["created"] == ["Odd 'Role", "app", "boss", "puller", "readers", "report"]
    assert differences(*ends) == []
    with ends[1].connect("privileges") as connection:
        owner = connection.execute("SELECT stxowner::regrole::text FROM pg_statistic_ext").fetchone()
    assert owner == ("app",)
    second = copied(*ends)
    assert not second["changed"], second["diff"]["after"]
    assert second["roles"] == {**EMPTY, "left_out": first["roles"]["left_out"], "passwords_unset": []}


def rows(cluster, sql, *values, database="privileges"):
    with cluster.connect(database) as connection:
        return connection.execute(sql, values).fetchall()


def pair(*majors):
    """For tests that need one pair only."""
    return pytest.mark.parametrize("ends", [majors], indirect=True, ids=str)


STATE = """
SELECT (SELECT json_agg(r ORDER BY rolname) FROM (SELECT * FROM pg_roles) r)::text,
       (SELECT string_agg(roleid || ' ' || member, ',' ORDER BY roleid, member) FROM pg_auth_members),
       (SELECT string_agg(relname || relowner || coalesce(relacl::text, ''), ',' ORDER BY oid) FROM pg_class)"""


@pair(16, 16)
def test_check_mode_tells_the_statements_and_leaves_all_as_it_is(ends):
    _source, target = ends
    before = rows(target, STATE)
    foretold = copied(*ends, check=True, passwords={"report": "Given-Secret-4711"})
    assert rows(target, STATE) == before
    done = copied(*ends, passwords={"report": "Given-Secret-4711"})
    assert foretold["roles"] == done["roles"] and foretold["diff"] == done["diff"]
    statements = done["diff"]["after"]["roles"]
    assert (
        'ALTER ROLE "report" PASSWORD ***' in statements and "SCRAM" not in str(done) and "4711" not in str(statements)
    )
    assert done["roles"]["passwords_unset"] == ["boss", "puller"]


@pair(16, 16)
def test_roles_sign_in_with_the_passwords_that_they_had_or_were_given(ends):
    _source, target = ends
    script(ends[0], 'CREATE ROLE "report@x" LOGIN')
    copied(*ends, passwords={"report": "Given-Secret-4711", "report@x": "Other-Secret-4711"}, databases=[])
    for user, password in (("app", APP_PASSWORD), ("report", "Given-Secret-4711"), ("report@x", "Other-Secret-4711")):
        arguments = {**target.arguments(user), "password": password}
        psycopg.connect(**arguments, dbname="postgres").close()


@pair(10, 16)
def test_what_is_left_out_is_told_with_its_reason(ends):
    source, target = ends
    script(
        source,
        "CREATE ROLE azure_ad_user; CREATE ROLE clerk LOGIN; GRANT azure_ad_user TO clerk",
        "CREATE ROLE azure_pg_admin; GRANT azure_pg_admin TO report",
        "CREATE TABLE of_postgres (a int); GRANT SELECT ON of_postgres TO clerk, pg_monitor",
        "ALTER ROLE readers BYPASSRLS",
        "GRANT pg_monitor TO report",
        "GRANT boss TO report",
        "ALTER ROLE app SET default_with_oids = on",
        "SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'x'",
    )
    copy_schema(source, target)
    script(target, "CREATE TABLE IF NOT EXISTS of_postgres (a int)", user=USER)
    result = copied(*ends, USER)
    told = {row["what"]: row["reason"] for row in result["roles"]["left_out"]}
    assert told["role clerk"].startswith("it signs in with Microsoft Entra ID")
    assert told["role azure_pg_admin"] == "it is a role of the platform or of PostgreSQL itself"
    assert told["role postgres"].startswith("it is the superuser that the server was made with")
    assert told["attribute SUPERUSER of boss"] == "no role is a superuser in Azure"
    assert "WITH OIDS are not supported" in told["setting default_with_oids of app"]
    for what in ("attribute BYPASSRLS of readers", "membership of report in pg_monitor"):
        assert told[what].startswith("the target refuses it: permission denied"), told[what]
    assert "by hand" in told["membership of report in azure_pg_admin"]
    assert "ownership of postgres in privileges: table public.of_postgres" in told
    assert (
        told["privileges of clerk in privileges: SELECT on table public.of_postgres"] == "the target has no such role"
    )
    assert told["privileges of pg_monitor in privileges: SELECT on table public.of_postgres"]
    assert result["roles"]["passwords_unset"] == ["app", "boss", "old", "puller", "report"]
    assert not copied(*ends, USER)["changed"]


@pair(14, 16)
def test_hashes_that_the_target_does_not_take(ends):
    source, _target = ends
    script(source, "SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'x'")
    result = copied(*ends, databases=[], target_user=SUPERUSER)
    told = {row["what"]: row["reason"] for row in result["roles"]["left_out"]}
    assert told["password of old"] == "its hash is made with md5, and the target takes scram-sha-256 only"
    assert "old" in result["roles"]["passwords_unset"]
    again = copied(*ends, databases=[], target_user=SUPERUSER, passwords={"old": "New-Secret-4711"})
    assert again["roles"]["altered"] == ["old"] and "old" not in again["roles"]["passwords_unset"]
    always = {"passwords": {"old": "New-Secret-4711"}, "update_password": "always"}
    assert copied(*ends, databases=[], target_user=SUPERUSER, **always)["roles"]["altered"] == [USER]
    kept = copied(*ends, databases=[], target_user=SUPERUSER, **always)
    assert not kept["changed"], kept["diff"]
    always["passwords"]["old"] = "Newer-Secret-4711"
    assert copied(*ends, databases=[], target_user=SUPERUSER, **always)["changed"]


@pair(10, 15)
def test_some_roles_under_other_names(ends):
    _source, target = ends
    name = f"app@{ends[0].host.split('.')[0]}"
    result = copied(*ends, roles=[name, "readers"], role_mapping={"app": "shop_app"}, passwords={name: APP_PASSWORD})
    assert result["roles"]["created"] == ["readers", "shop_app"]
    assert rows(target, "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'plain'") == [("shop_app",)]
    assert all("report" not in row["statement"] for row in result["roles"]["granted"])
    assert not copied(*ends, roles=["app", "readers"], role_mapping={"app": "shop_app"})["changed"]


@pair(16, 16)
def test_nothing_is_taken_away_unless_exact(ends):
    _source, target = ends
    copied(*ends)
    script(
        target,
        "GRANT DELETE ON public.shown TO readers; GRANT SELECT ON public.plain TO PUBLIC",
        "ALTER ROLE readers CREATEDB LOGIN; ALTER ROLE readers SET work_mem = '1MB'; GRANT app TO readers",
        "CREATE ROLE stranger; GRANT SELECT ON public.plain TO stranger",
        "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT UPDATE ON TABLES TO readers",
        "CREATE TABLE public.more (a int); GRANT SELECT ON public.more TO readers",
    )
    kept = copied(*ends)
    assert not kept["changed"]
    assert {
        "what": "less than the target gives in privileges: SELECT on table public.plain for PUBLIC",
        "reason": "the target gives it and the source does not: set exact to take it away",
    } in kept["roles"]["left_out"]
    taken = copied(*ends, exact=True, target_user=SUPERUSER)
    assert taken["changed"] and [row["extra"] for row in differences(*ends)] == [["SELECT for stranger"]]
    assert rows(target, "SELECT rolcreatedb, rolcanlogin FROM pg_roles WHERE rolname = 'readers'") == [(False, False)]
    assert not copied(*ends, exact=True, target_user=SUPERUSER)["changed"]


@pytest.mark.parametrize("ends", [(14, 16), (16, 15)], indirect=True, ids=str)
def test_who_copies_can_read_what_belongs_to_others(ends):
    _source, target = ends
    copied(*ends)
    result = copied(*ends, join_owners=True)
    assert {row["statement"].split()[1] for row in result["roles"]["granted"]} == {'"app"', '"Odd', '"readers"'}
    with target.connect("privileges", USER) as connection:
        connection.execute("SELECT 1 FROM public.plain")
    assert not copied(*ends, join_owners=True)["changed"]


OBJECTS = {
    "TABLE public.plain": ["SELECT", "INSERT", "UPDATE", "DELETE", "TRIGGER", "SELECT (open)", "UPDATE (secret)"],
    'TABLE "Odd Name"."T.x"': ["SELECT", "TRUNCATE", "REFERENCES", 'SELECT ("c.d")'],
    "TABLE public.shown": ["SELECT", "SELECT (open)"],
    "SEQUENCE public.plain_id_seq": ["USAGE", "SELECT", "UPDATE"],
    "SEQUENCE public.ticket": ["USAGE"],
    "FUNCTION public.double(int, text[])": ["EXECUTE"],
    "TYPE public.mood": ["USAGE"],
    "SCHEMA locked": ["USAGE", "CREATE"],
    "DATABASE privileges": ["CONNECT", "TEMP", "CREATE"],
    "LARGE OBJECT 4712": ["SELECT", "UPDATE"],
}
WHO = ["app", "readers", "report", "PUBLIC", '"Odd \'Role"', "mover"]


def random_statements(random, many, names):
    for _number in range(many):
        on = random.choice(list(OBJECTS))
        privilege, who = random.choice(OBJECTS[on]), random.choice(names)
        if random.random() < 0.3:
            yield f"REVOKE {privilege} ON {on} FROM {who} CASCADE"
        else:
            option = " WITH GRANT OPTION" if who != "PUBLIC" and random.random() < 0.3 else ""
            yield f"GRANT {privilege} ON {on} TO {who}{option}"
        if random.random() < 0.2 and "DATABASE" not in on and "plain_id" not in on:
            owner = random.choice(["app", "readers", "mover"])
            yield f"ALTER {on.replace('TABLE public.shown', 'VIEW public.shown')} OWNER TO {owner}"


@pytest.mark.parametrize("user", [SUPERUSER, USER])
@pytest.mark.parametrize("seed", range(4))
@pair(15, 16)
def test_any_privileges_become_those_of_the_source(ends, seed, user):
    source, target = ends
    random = Random(seed)
    script(source, *random_statements(random, 40, WHO))
    copied(*ends, databases=[], target_user=user)
    who = WHO if user == SUPERUSER else [name for name in WHO if name != USER]
    script(target, *random_statements(random, 15, who))
    copied(*ends, exact=True, target_user=user)
    assert differences(*ends, target_user=user) == []
    assert not copied(*ends, exact=True, target_user=user)["changed"]


@pair(16, 16)
@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"databases": ["nope"]}, "UnknownDatabase", "has no database nope."),
        ({"roles": ["nobody"]}, "UnknownRole", "roles names nobody, and the source has no such role."),
        ({"passwords": {"nobody": "x"}}, "UnknownRole", "passwords names nobody"),
        ({"role_mapping": {"nobody": "x"}}, "UnknownRole", "role_mapping names nobody"),
        ({"target_user": "plain"}, "42501", "Failed to make the role"),
    ],
)
def test_wrong_input_is_one_clear_failure(ends, options, code, words):
    _source, target = ends
    script(target, f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
    result = call(roles, *ends, **options)
    assert result["failed"] and result["failure"]["code"] == code and words in result["msg"], result["msg"]
    assert not result["changed"]
