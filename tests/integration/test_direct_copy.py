# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own engine between real servers: plain users with the rights that the documentation names."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.pgflex.migrate.plugins.module_utils._base import Runtime
from ansible_collections.pgflex.migrate.plugins.module_utils._copy import content, end, job, online, stream, switch
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure
from ansible_collections.pgflex.migrate.plugins.module_utils._postgres import Server
from ansible_collections.pgflex.migrate.plugins.modules import (
    data_validation,
    direct_copy,
    direct_copy_cancel,
    direct_copy_cutover,
    direct_copy_info,
    direct_copy_reverse,
)
from traps import trapped

from postgres_versions.cluster import PASSWORD, SUPERUSER, USER
from postgres_versions.programs import client_programs

ROOT = Path(__file__).parents[2]
SHOP = """
CREATE SCHEMA m;
CREATE TABLE m.orders (id bigint PRIMARY KEY, who int, note text);
CREATE INDEX orders_who ON m.orders (who);
CREATE TABLE m.nokey (a int, b text);
CREATE TABLE m.uniquely (a int NOT NULL UNIQUE, b text);
CREATE TABLE m.late (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, b text);
CREATE TABLE m.lost (id int NOT NULL UNIQUE, b text);
ALTER TABLE m.lost REPLICA IDENTITY USING INDEX lost_id_key;
ALTER TABLE m.lost DROP CONSTRAINT lost_id_key;
CREATE TABLE m.parted (id int, k int, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
CREATE TABLE m.parted_1 PARTITION OF m.parted FOR VALUES FROM (0) TO (100);
CREATE TABLE m.parted_2 PARTITION OF m.parted FOR VALUES FROM (100) TO (200);
CREATE INDEX ON m.parted (k);
CREATE TABLE m.made (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int,
    twice int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE m.lines (id bigint PRIMARY KEY, order_id bigint REFERENCES m.orders);
CREATE UNLOGGED TABLE m.cache (id bigint PRIMARY KEY REFERENCES m.orders, x text);
CREATE SEQUENCE m.numbers;
CREATE MATERIALIZED VIEW m.totals AS SELECT count(*) FROM m.orders;
CREATE FUNCTION m.shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.b := NEW.b || ''!''; RETURN NEW; END';
CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON m.nokey FOR EACH ROW EXECUTE FUNCTION m.shout();
CREATE TRIGGER shout BEFORE INSERT ON m.cache FOR EACH ROW WHEN (false) EXECUTE FUNCTION m.shout();
INSERT INTO m.orders SELECT -g, 0, repeat('x', 100) FROM generate_series(1, 20000) g;
INSERT INTO m.nokey SELECT g, 'n' FROM generate_series(1, 100) g;
INSERT INTO m.uniquely SELECT g FROM generate_series(1, 100) g;
INSERT INTO m.late SELECT g FROM generate_series(1, 100) g;
INSERT INTO m.lost SELECT g FROM generate_series(1, 100) g;
INSERT INTO m.parted SELECT g, g % 200 FROM generate_series(1, 1000) g;
INSERT INTO m.made (a) SELECT g FROM generate_series(1, 100) g;
INSERT INTO m.lines SELECT g, -g FROM generate_series(1, 100) g;
INSERT INTO m.cache SELECT -g, 'u' FROM generate_series(1, 50) g;
REFRESH MATERIALIZED VIEW m.totals;
SELECT lo_from_bytea(77001, 'hello'), lo_from_bytea(77002, convert_to(repeat('z', 700000), 'UTF8'));
"""
LEFT = """
SELECT (SELECT count(*) FROM pg_replication_slots WHERE database = current_database()),
       (SELECT count(*) FROM pg_publication),
       (SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database
                                                               WHERE datname = current_database())),
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relreplident IN ('f', 'i') AND n.nspname = 'm' AND c.relname <> 'lost')"""


def may_copy(cluster):
    """What the documentation asks for, beside what the user has for a migration of the service."""
    with cluster.connect() as connection:
        connection.execute(f"GRANT CREATE ON DATABASE postgres TO {USER}")
        if cluster.major >= 16:
            connection.execute(f"GRANT pg_create_subscription TO {USER}")
        connection.execute("DROP SCHEMA IF EXISTS pgflex CASCADE")
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'shopper'").fetchone():
            connection.execute(f"CREATE ROLE shopper LOGIN PASSWORD '{PASSWORD}' IN ROLE {USER}")
    return cluster


@pytest.fixture
def servers(postgres, request, monkeypatch):
    """Of a source and a target, with the database shop at the source and nothing on the target."""
    monkeypatch.setattr(stream, "MAX_ERRORS", 2)
    monkeypatch.setattr(job, "NOTE_EVERY", 0.1)
    majors = getattr(request, "param", (15, 16))
    pair = tuple(may_copy(postgres(major, name)) for major, name in zip(majors, ("copied", "target"), strict=True))
    fresh(pair)
    yield pair
    for cluster in pair:
        if cluster.pid is None:
            cluster.start()
        end_everything(cluster)


def fresh(pair, schema=SHOP):
    for cluster in pair:
        end_everything(cluster)
    pair[0].recreate_database("shop")
    with pair[0].connect("shop", USER) as connection:
        connection.execute(old(schema) if pair[0].major < 12 else schema)


def end_everything(cluster):
    with cluster.connect() as connection:
        names = [row[0] for row in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'shop%'")]
        connection.execute("DROP SCHEMA IF EXISTS pgflex CASCADE")
    for name in names:
        with cluster.connect(name) as connection:
            connection.execute("SET default_transaction_read_only = off")
            for (subscription,) in connection.execute(
                "SELECT subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database"
                " WHERE datname = current_database())"
            ).fetchall():
                connection.execute(f"ALTER SUBSCRIPTION {subscription} DISABLE")
                connection.execute(f"ALTER SUBSCRIPTION {subscription} SET (slot_name = NONE)")
                connection.execute(f"DROP SUBSCRIPTION {subscription}")
    with cluster.connect() as connection:
        slots = "FROM pg_replication_slots WHERE slot_name LIKE %s"
        while connection.execute(f"SELECT 1 {slots}", ("p%",)).fetchone():
            connection.execute(f"SELECT pg_terminate_backend(active_pid) {slots}", ("p%",))
            with contextlib.suppress(psycopg.errors.ObjectInUse):
                connection.execute(f"SELECT pg_drop_replication_slot(slot_name) {slots} AND NOT active", ("p%",))
            time.sleep(0.05)
        for name in names:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                (name,),
            )
            connection.execute(f'DROP DATABASE IF EXISTS "{name}"')


def arguments(pair, user=USER, **options):
    source, target = pair
    made = {"name": "shop-1", "source": source.options(user), "target": target.options(user), **options}
    return {name: value for name, value in made.items() if value is not None}


def checked(module, args):
    validator = ArgumentSpecValidator(module.SPEC.options, **module.SPEC.constraints())
    found = validator.validate(args)
    assert not found.error_messages, found.error_messages
    return found.validated_parameters


def run(module, pair, *, dry_run=False, **options):
    args = arguments(pair, **options)
    if module is not direct_copy_info:
        args["programs"] = str(client_programs(pair[1].major))
    return module.MODULE(Runtime(params=checked(module, args), dry_run=dry_run)).run()


def copy(pair, **options):
    return run(direct_copy, pair, **{"databases": ["shop"], "jobs": 2, **options})


def cut_over(pair, **options):
    return run(direct_copy_cutover, pair, **options)


def ok(result):
    assert not result.get("failed"), result.get("msg")
    return result


def assert_equal(pair, database="shop", **options):
    args = {
        "source": pair[0].options(SUPERUSER),
        "target": pair[1].options(SUPERUSER),
        "databases": [database],
        "settle_timeout": 0,
        **options,
    }
    ok(data_validation.MODULE(Runtime(params=checked(data_validation, args))).run())


def nothing_left(cluster):
    with cluster.connect("shop") as connection:
        assert connection.execute(LEFT).fetchone() == (0, 0, 0, 0)


@contextlib.contextmanager
def writing(first, then=None, moved=None):
    """Three writers with 300 writes a second at the most; gives the keys that were acknowledged, and errors."""
    acknowledged, over = [], threading.Event()

    def write(number):
        server, connection, key = first, None, number * 10_000_000
        while not over.is_set():
            key += 1
            try:
                if connection is None:
                    connection = server.connect("shop", "shopper")
                connection.execute("INSERT INTO m.orders VALUES (%s, %s, 'w')", (key, number))
                acknowledged.append(key)
                part = key % 100
                connection.execute("UPDATE m.nokey SET b = 'n' || %s WHERE a = %s", (key, part))
                connection.execute("UPDATE m.uniquely SET b = %s WHERE a = %s", (str(key), part))
                connection.execute("UPDATE m.late SET b = %s WHERE id = %s", (str(key), part))
                connection.execute("UPDATE m.lost SET b = %s WHERE id = %s", (str(key), part))
                connection.execute("UPDATE m.parted SET k = (k + 100) %% 200 WHERE id = %s", (part,))
                connection.execute("DELETE FROM m.lines WHERE id = %s", (part,))
                connection.execute("INSERT INTO m.made (a) VALUES (nextval('m.numbers'))")
                time.sleep(0.03)
            except psycopg.Error as error:
                connection = None
                if then is not None and error.sqlstate == "25006" and moved.is_set():
                    server = then
                time.sleep(0.02)

    threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    try:
        yield acknowledged
    finally:
        over.set()
        for thread in threads:
            thread.join()


def keys_of(cluster):
    with cluster.connect("shop") as connection:
        return [row[0] for row in connection.execute("SELECT id FROM m.orders WHERE who BETWEEN 1 AND 9").fetchall()]


@pytest.mark.parametrize("servers", [(10, 15), (14, 16), (15, 18), (18, 18)], indirect=True, ids=str)
def test_offline_brings_every_row_and_object(servers):
    source, _target = servers
    fresh(servers, "SELECT 1")
    for cluster in servers:
        with cluster.connect() as connection:
            connection.execute("DO $$ BEGIN CREATE ROLE auditor; EXCEPTION WHEN duplicate_object THEN END $$")
    with source.connect("shop") as connection:
        for script in trapped(source.major):
            connection.execute(script)
    result = ok(copy(servers))
    assert result["changed"] and result["copy"]["state"] == "Succeeded"
    assert_equal(servers, materialized_views="refresh")
    assert not ok(copy(servers))["changed"]


def test_offline_copies_what_is_chosen_and_lists_the_rest(servers):
    result = ok(copy(servers, exclude_tables=["m.orders", "m.parted_2"]))
    row = result["copy"]["databases"][0]
    assert {text.split(":")[0] for text in row["skipped"]} >= {
        "materialized view m.totals",
        "table constraint lines_order_id_fkey on m.lines",
    }
    with servers[1].connect("shop") as connection:
        names = {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'm'")}
    assert names == {"nokey", "uniquely", "parted", "parted_1", "made", "lines", "cache", "late", "lost"}


SCATTERED = """
CREATE STATISTICS m.st (dependencies) ON who, note FROM m.orders; ALTER STATISTICS m.st OWNER TO known;
CREATE AGGREGATE m.m_count(*) (sfunc = int8inc, stype = int8, initcond = '0');
ALTER AGGREGATE m.m_count(*) OWNER TO known;
CREATE TYPE m.odd AS (a int); ALTER TYPE m.odd OWNER TO barred;
COMMENT ON LARGE OBJECT 77001 IS 'it''s'; GRANT SELECT ON LARGE OBJECT 77001 TO known WITH GRANT OPTION;
COMMENT ON DATABASE shop IS 'The shop'; REVOKE ALL ON DATABASE shop FROM PUBLIC;
GRANT CONNECT ON DATABASE shop TO known WITH GRANT OPTION;
CREATE FUNCTION m.watched() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION m.watched();
CREATE PUBLICATION feed FOR TABLE m.made;
"""


def test_large_tables_go_in_parts_and_owners_and_grants_follow(servers, monkeypatch):
    monkeypatch.setattr(job.Options, "split_bytes", 1 << 20)
    source, target = servers
    for cluster in servers:
        with cluster.connect() as connection:
            connection.execute(f"DROP ROLE IF EXISTS known; CREATE ROLE known; GRANT known TO {USER}")
            connection.execute("DROP ROLE IF EXISTS barred; CREATE ROLE barred")
    with source.connect("shop") as connection:
        connection.execute("DROP ROLE IF EXISTS unknown; CREATE ROLE unknown")
        connection.execute("ALTER TABLE m.lines OWNER TO known; GRANT SELECT ON m.orders TO known, unknown")
        connection.execute(SCATTERED)
    with target.connect() as connection:
        connection.execute(f"GRANT barred TO {USER} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    try:
        row = ok(copy(servers))["copy"]["databases"][0]
        assert row["tables_completed"] == 10
        assert any("unknown" in text for text in row["skipped"])
        assert {
            "event trigger watch: to be made by hand",
            "publication feed: to be made by hand",
            "ownership of 1 objects by barred: the target's user may not become it",
        } <= set(row["skipped"])
        assert not [text for text in row["skipped"] if text.startswith("ALTER")]
        with source.connect("shop") as connection:
            connection.execute("DROP EVENT TRIGGER watch")
        assert_equal(servers, privileges="skip")
        with target.connect("shop") as connection:
            assert connection.execute(
                "SELECT (SELECT stxowner::regrole::text FROM pg_statistic_ext), (SELECT proowner::regrole::text FROM"
                " pg_proc WHERE proname = 'm_count'), obj_description(77001, 'pg_largeobject'),"
                " (SELECT lomacl::text FROM pg_largeobject_metadata WHERE oid = 77001), shobj_description(d.oid,"
                " 'pg_database'), d.datacl::text FROM pg_database d WHERE datname = current_database()"
            ).fetchone() == (
                *("known", "known", "it's", "{mover=rw/mover,known=r*/mover}", "The shop"),
                "{mover=CTc/mover,known=c*/mover}",
            )
        with target.connect("shop") as connection:
            assert connection.execute(
                "SELECT tableowner, has_table_privilege('known', 'm.orders', 'SELECT') FROM pg_tables"
                " WHERE tablename = 'lines'"
            ).fetchone() == ("known", True)
    finally:
        for cluster in servers:
            with cluster.connect("shop") as connection:
                connection.execute("DROP OWNED BY known, barred CASCADE")
        with source.connect("shop") as connection:
            connection.execute("DROP OWNED BY unknown; DROP ROLE unknown")


IN_THE_WAY = """
CREATE TABLE m.audit (id bigserial PRIMARY KEY, line bigint);
CREATE FUNCTION m.note() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO m.audit (line) VALUES (OLD.id); RETURN OLD; END';
CREATE TRIGGER noted AFTER DELETE ON m.lines FOR EACH ROW EXECUTE FUNCTION m.note();
ALTER TABLE m.lines ENABLE ALWAYS TRIGGER noted;
CREATE TABLE m.tenants (id int PRIMARY KEY, tenant text);
CREATE POLICY own ON m.tenants USING (tenant = current_setting('app.tenant', true));
ALTER TABLE m.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE m.tenants FORCE ROW LEVEL SECURITY;
"""


@pytest.mark.parametrize("servers", [(10, 16), (15, 16), (16, 18)], indirect=True, ids=str)
def test_online_loses_no_write_and_has_a_short_downtime(servers):
    source, target = servers
    with source.connect() as connection:
        connection.execute(f"ALTER ROLE {USER} BYPASSRLS")
    with source.connect("shop", USER) as connection:
        connection.execute(old(IN_THE_WAY) if source.major < 12 else IN_THE_WAY)
    with writing(source) as acknowledged:
        result = ok(copy(servers, mode="online"))
        assert result["copy"]["substate"] == "WaitingForCutoverTrigger"
        assert not ok(copy(servers, mode="online"))["changed"]
        with source.connect("shop", USER) as connection:
            connection.execute("SELECT lo_put(77001, 0, 'HELLO'), lo_from_bytea(77003, 'late')")
            connection.execute("INSERT INTO m.cache VALUES (-60, 'u'); INSERT INTO m.tenants VALUES (1, 'a')")
        looked = ok(run(direct_copy_info, servers))["copies"][0]
        assert looked["databases"][0]["latency"] < 5
        cut = ok(cut_over(servers))["copy"]
        assert len(acknowledged) > 50
    assert cut["state"] == "Succeeded" and cut["databases"][0]["downtime_seconds"]
    assert_equal(servers)
    assert not ok(cut_over(servers))["changed"]
    found = keys_of(target)
    assert len(found) == len(set(found)) and set(acknowledged) <= set(found)
    for cluster in servers:
        nothing_left(cluster)
    with target.connect("shop") as connection:
        assert connection.execute(
            "SELECT lo_get(77001), lo_get(77003), (SELECT count(*) FROM m.cache),"
            " (SELECT count(*) FROM pg_constraint WHERE conname = 'cache_id_fkey'),"
            " (SELECT tgenabled::text FROM pg_trigger WHERE tgrelid = 'm.cache'::regclass AND tgname = 'shout'),"
            " (SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'noted'),"
            " (SELECT relforcerowsecurity FROM pg_class WHERE oid = 'm.tenants'::regclass)"
        ).fetchone() == (b"HELLO", b"late", 51, 1, "O", "A", True)
    with source.connect() as connection:
        connection.execute(f"ALTER ROLE {USER} NOBYPASSRLS")


def old(schema):
    """As a server of version 10 knows it."""
    for new, before in (
        (",\n    twice int GENERATED ALWAYS AS (a * 2) STORED", ""),
        ("EXECUTE FUNCTION", "EXECUTE PROCEDURE"),
        (", PRIMARY KEY (id, k)) PARTITION", ") PARTITION"),
        ("CREATE INDEX ON m.parted (k);", ""),
    ):
        schema = schema.replace(new, before)
    return schema


@pytest.mark.parametrize("servers", [(16, 18)], indirect=True, ids=str)
def test_the_way_back_loses_nothing_that_was_written_on_the_target(servers):
    source, target = servers
    ok(copy(servers, mode="online"))
    moved = threading.Event()
    with writing(source, target, moved) as acknowledged:
        time.sleep(0.5)
        ok(cut_over(servers, keep_reverse_replication=True))
        before = len(acknowledged)
        moved.set()
        time.sleep(1.5)
    assert len(acknowledged) > before
    with target.connect("shop", USER) as connection:
        connection.execute("UPDATE m.orders SET note = 'on the target' WHERE id = -1")
        connection.execute("DELETE FROM m.nokey WHERE a = 1; SELECT lo_from_bytea(77009, 'new'), nextval('m.numbers')")
    back = ok(run(direct_copy_reverse, servers, action="switch_back"))["copy"]["reverse"]
    assert back["state"] == "SwitchedBack" and back["downtime_seconds"]
    assert not ok(run(direct_copy_reverse, servers, action="switch_back"))["changed"]
    assert set(acknowledged) <= set(keys_of(source))
    assert_equal((target, source))
    with source.connect("shop", USER) as connection:
        connection.execute("INSERT INTO m.orders VALUES (5, 5, 'the source is written to again')")
    with target.connect("shop", USER) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("INSERT INTO m.orders VALUES (5, 5, 'the target is not')")
    for cluster in servers:
        nothing_left(cluster)


@pytest.mark.parametrize("servers", [(16, 18)], indirect=True, ids=str)
def test_the_way_back_goes_with_a_cutover_that_fails_and_can_be_ended(servers, monkeypatch):
    source, target = servers
    ok(copy(servers, mode="online"))
    with monkeypatch.context() as patched:
        patched.setattr(end, "set_owners", fails)
        assert cut_over(servers, keep_reverse_replication=True)["msg"] == "It fails."
    with source.connect("shop", "shopper") as connection:
        connection.execute("INSERT INTO m.orders VALUES (1, 1, 'written to again')")
        assert connection.execute("SELECT count(*) FROM pg_subscription").fetchone() == (0,)
    ok(cut_over(servers, keep_reverse_replication=True))
    assert keys_of(target) == [1]
    refused = run(direct_copy, servers, state="absent")
    assert refused["failure"]["code"] == "ReverseRuns"
    assert ok(run(direct_copy_reverse, servers, action="end"))["copy"]["reverse"]["state"] == "Ended"
    for cluster in servers:
        nothing_left(cluster)
    assert run(direct_copy_reverse, servers, action="switch_back")["failure"]["code"] == "NoReverse"


def fails(*_given):
    raise ModuleFailure("It fails.")


def start_apart(pair, **options):
    """The module in a process of its own, to be killed."""
    options = {"jobs": 2, "databases": ["shop"], **options, "programs": str(client_programs(pair[1].major))}
    script = (
        "import json, sys; from ansible_collections.pgflex.migrate.plugins.modules import direct_copy as m;"
        "from ansible_collections.pgflex.migrate.plugins.module_utils._base import Runtime;"
        "m.MODULE(Runtime(params=json.load(sys.stdin))).run()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / ".build" / "collections")},
    )
    process.stdin.write(json.dumps(checked(direct_copy, arguments(pair, **options))).encode())
    process.stdin.close()
    return process


def step_of(target):
    with target.connect() as connection:
        if connection.execute("SELECT to_regclass('pgflex.copies')").fetchone()[0] is None:
            return None
        row = connection.execute("SELECT databases -> 0 ->> 'step' FROM pgflex.copies").fetchone()
    return row[0] if row else None


def kill_at(pair, steps, **options):
    process = start_apart(pair, **options)
    deadline = time.monotonic() + 300
    while step_of(pair[1]) not in steps and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("step", ["database", "schema", "rows", "indexes"])
def test_offline_killed_at_any_moment_can_be_run_again(servers, step):
    kill_at(servers, [step])
    ok(copy(servers))
    assert_equal(servers)


@pytest.mark.parametrize("step", ["schema", "rows", "late indexes", "changes"])
def test_online_killed_at_any_moment_goes_on(servers, step):
    source, target = servers
    with writing(source) as acknowledged:
        kill_at(servers, [step, "waiting"], mode="online")
        ok(copy(servers, mode="online"))
    ok(cut_over(servers))
    assert set(acknowledged) <= set(keys_of(target))
    assert_equal(servers)
    nothing_left(source)


class Killed(BaseException):
    """Nothing cleans up behind it."""


def test_indexes_of_partitions_that_a_killed_run_has_half_made(servers, monkeypatch):
    def half(job, definitions, entries, doing):
        if "indexes" in doing:
            restore(
                job,
                definitions,
                [entry for entry in entries if not entry.is_kind("INDEX ATTACH", "FK CONSTRAINT")],
                doing,
            )
            raise Killed
        restore(job, definitions, entries, doing)

    restore = online.restore
    with servers[0].connect("shop", USER) as connection:
        connection.execute("ALTER TABLE m.parted ADD UNIQUE (k, id); CREATE VIEW m.many AS SELECT * FROM m.orders")
        connection.execute("CREATE VIEW m.grouped AS SELECT id, note, count(*) FROM m.orders GROUP BY id")
        connection.execute(
            "CREATE RULE m AS ON INSERT TO m.many DO INSTEAD NOTHING; CREATE TRIGGER shout BEFORE INSERT"
            " ON m.parted FOR EACH ROW WHEN (false) EXECUTE FUNCTION m.shout();"
            "ALTER TABLE m.made ADD FOREIGN KEY (a, id) REFERENCES m.parted (k, id) NOT VALID"
        )
    monkeypatch.setattr(online, "restore", half)
    with pytest.raises(Killed):
        ok(copy(servers, mode="online"))
    monkeypatch.setattr(online, "restore", restore)
    ok(copy(servers, mode="online"))
    ok(cut_over(servers))
    assert_equal(servers)


@pytest.mark.parametrize("place", ["switch.each", "end.Cutover._tidy"])
def test_a_cutover_killed_in_its_middle_goes_on(servers, place):
    ok(copy(servers, mode="online"))
    with writing(servers[0]) as acknowledged:
        time.sleep(0.3)
        cut_over_and_die(servers, place)
    result = ok(cut_over(servers))
    assert result["changed"] and result["copy"]["state"] == "Succeeded"
    assert not ok(cut_over(servers))["changed"]
    assert set(acknowledged) <= set(keys_of(servers[1]))
    assert_equal(servers)
    for cluster in servers:
        nothing_left(cluster)


@pytest.mark.parametrize("servers", [(16, 18)], indirect=True, ids=str)
def test_a_killed_cutover_can_be_canceled(servers):
    """It had made its way back already."""
    ok(copy(servers, mode="online"))
    cut_over_and_die(servers, "switch.each", keep_reverse_replication=True)
    ok(run(direct_copy_cancel, servers, drop=True))
    nothing_left(servers[0])
    with servers[0].connect("shop", "shopper") as connection:
        connection.execute("INSERT INTO m.orders VALUES (1, 1, 'written to again')")


def cut_over_and_die(servers, place, **options):
    options |= {"programs": str(client_programs(servers[1].major))}
    args = checked(direct_copy_cutover, arguments(servers, **options))
    module, _dot, name = place.partition(".")
    script = (
        "import json, os, sys;"
        "from ansible_collections.pgflex.migrate.plugins.modules import direct_copy_cutover as m;"
        f"from ansible_collections.pgflex.migrate.plugins.module_utils._copy import {module} as part;"
        "from ansible_collections.pgflex.migrate.plugins.module_utils._base import Runtime;"
        f"path = '{name}'.split('.'); name = path[-1];"
        "owner = getattr(part, path[0]) if len(path) == 2 else part;"
        "before = getattr(owner, name);"
        "setattr(owner, name, lambda *given: (before(*given) if name == 'each' else None, os._exit(9)));"
        "m.MODULE(Runtime(params=json.load(sys.stdin))).run()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".build" / "collections")}
    done = subprocess.run([sys.executable, "-c", script], input=json.dumps(args).encode(), env=environment, check=False)
    assert done.returncode == 9


def test_a_killed_copy_can_be_canceled_and_leaves_nothing(servers):
    kill_at(servers, ["rows", "late indexes"], mode="online")
    canceled = ok(run(direct_copy_cancel, servers, drop=True))
    assert canceled["changed"] and canceled["copy"]["state"] == "Canceled"
    nothing_left(servers[0])
    with servers[1].connect() as connection:
        assert not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'shop'").fetchone()
    assert not ok(run(direct_copy_cancel, servers, drop=True))["changed"]
    assert copy(servers)["failure"]["code"] == "NameTaken"
    assert ok(run(direct_copy, servers, state="absent"))["copy"] is None
    ok(copy(servers))
    assert_equal(servers)


SLOW = """
CREATE FUNCTION m.slow() RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE TABLE m.big (a int CHECK (m.slow()));
INSERT INTO m.big VALUES (1);
CREATE OR REPLACE FUNCTION m.slow() RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(4) IS NOT NULL';
"""


def wait_for_step(pair, process, step):
    deadline = time.monotonic() + 300
    while step_of(pair[1]) != step and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert step_of(pair[1]) == step


def test_a_running_copy_is_canceled_from_elsewhere_and_a_second_one_is_refused(servers):
    with servers[0].connect("shop", USER) as connection:
        connection.execute(SLOW)
    process = start_apart(servers)
    wait_for_step(servers, process, "rows")
    second = copy(servers, name="shop-2", overwrite=True)
    assert second["failure"]["code"] == "CopyRuns" and "shop-1" in second["msg"]
    assert ok(run(direct_copy_cancel, servers))["copy"]["state"] == "Canceled"
    process.wait(30)


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_source_that_goes_away_in_mid_copy(servers, mode):
    source, _target = servers
    with source.connect("shop", USER) as connection:
        connection.execute(SLOW)
    process = start_apart(servers, mode=mode)
    wait_for_step(servers, process, "rows")
    source.kill()
    process.wait(60)
    found = ok(run(direct_copy_info, servers, source=None))["copies"][0]
    assert found["state"] == "Failed" and "source server" in found["error"]
    source.start()
    with source.connect("shop", USER) as connection:
        connection.execute("DROP TABLE m.big")
    ok(copy(servers, mode=mode))
    if mode == "online":
        with source.connect("shop") as connection:
            assert connection.execute("SELECT count(*) FROM pg_replication_slots").fetchone() == (1,)
        ok(cut_over(servers))
    assert_equal(servers)
    for cluster in servers:
        nothing_left(cluster)


def test_a_table_that_may_not_be_read_is_named_before_anything_is_made(servers):
    with servers[0].connect("shop") as connection:
        connection.execute("CREATE TABLE m.secret (a serial); CREATE SEQUENCE m.hidden; SELECT lo_create(4711)")
    refused = copy(servers)
    assert refused["failure"]["code"] == "PermissionDenied" and "nothing was made" in refused["msg"]
    assert refused["unreadable"] == ["m.secret", "large object 4711", "m.hidden", "m.secret_a_seq"]
    with servers[1].connect() as connection:
        assert not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'shop'").fetchone()
    with servers[0].connect("shop") as connection:
        connection.execute("GRANT SELECT ON m.hidden TO mover; GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC")
    ok(copy(servers, exclude_tables=["m.secret"]))


def test_an_extension_that_the_target_does_not_have(servers, monkeypatch):
    with servers[0].connect("shop") as connection:
        connection.execute("UPDATE pg_extension SET extname = 'not_there' WHERE extname = 'plpgsql'")
    try:
        refused = copy(servers)
        assert refused["failure"]["code"] == "ExtensionMissing" and "not_there" in refused["msg"]
        with servers[0].connect("shop") as connection, servers[1].connect() as target:
            connection.execute("CREATE EXTENSION citext")
            target.execute("ALTER ROLE mover SET azure.extensions = 'hstore,pg_trgm'")
        refused = copy(servers, skip_extensions=["not_there"])
        assert refused["failure"]["code"] == "ExtensionMissing" and "citext" in refused["msg"]
        ok(copy(servers, skip_extensions=["not_there", "citext"]))
    finally:
        with servers[1].connect() as target:
            target.execute("ALTER ROLE mover RESET azure.extensions")
        with servers[0].connect("shop") as connection:
            connection.execute("UPDATE pg_extension SET extname = 'plpgsql' WHERE extname = 'not_there'")


@pytest.mark.parametrize(
    ("mode", "code", "said"),
    [("offline", "DiskFull", "storage"), ("online", "ApplyFails", "refused by the target server")],
)
def test_a_full_disk_is_said_as_such_and_a_rerun_starts_cleanly(servers, mode, code, said):
    """Also into a database that was made beforehand, with an extension in it."""
    source, target = servers
    target.recreate_database("shop")
    with target.connect("shop") as connection:
        connection.execute("CREATE SCHEMA mine; CREATE EXTENSION hstore SCHEMA mine")
    with source.connect("shop", USER) as connection:
        connection.execute("CREATE FUNCTION m.full() RETURNS boolean LANGUAGE sql AS 'SELECT true'")
        connection.execute("CREATE TABLE m.big (a int CHECK (m.full())); INSERT INTO m.big VALUES (1)")
        connection.execute(
            "CREATE OR REPLACE FUNCTION m.full() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
            " 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$"
        )
    failed = copy(servers, mode=mode)
    assert failed["failure"]["code"] == code and failed["copy"]["state"] == "Failed", failed
    assert said in failed["msg"]
    assert ok(run(direct_copy_info, servers))["copies"][0]["error"]
    with source.connect("shop", USER) as connection:
        connection.execute("CREATE OR REPLACE FUNCTION m.full() RETURNS boolean LANGUAGE sql AS 'SELECT true'")
    ok(copy(servers, mode=mode))
    with target.connect("shop") as connection:
        connection.execute("DROP EXTENSION hstore; DROP SCHEMA mine")
    if mode == "online":
        ok(cut_over(servers))
    assert_equal(servers)
    for cluster in servers:
        nothing_left(cluster)


KEPT = """
CREATE EXTENSION hstore;
CREATE TABLE public.above (id int PRIMARY KEY);
CREATE TABLE public.kept (id serial PRIMARY KEY, above int REFERENCES public.above);
INSERT INTO public.above VALUES (-1);
ALTER EXTENSION hstore ADD TABLE public.above;
ALTER EXTENSION hstore ADD TABLE public.kept;
ALTER EXTENSION hstore ADD SEQUENCE public.kept_id_seq;
UPDATE pg_extension SET extconfig = ARRAY['above'::regclass, 'kept'::regclass, 'kept_id_seq'::regclass]::oid[],
    extcondition = ARRAY['where id > 0', '', ''] WHERE extname = 'hstore';
GRANT ALL ON public.above, public.kept, public.kept_id_seq TO mover;
"""


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_what_users_have_put_into_an_extension_goes_over(servers, mode):
    fresh(servers, "SELECT 1")
    servers[1].recreate_database("shop")
    for cluster in servers:
        with cluster.connect("shop") as connection:
            connection.execute(KEPT)
    with servers[0].connect("shop", USER) as connection:
        connection.execute("INSERT INTO above VALUES (1), (2); INSERT INTO kept (above) VALUES (1), (2)")
    ok(copy(servers, mode=mode))
    if mode == "online":
        with servers[1].connect("shop", USER) as connection:
            connection.execute("INSERT INTO above VALUES (1); INSERT INTO kept (above) VALUES (1)")
        with pytest.raises(AssertionError, match="kept"):
            assert_equal(servers)
        ok(cut_over(servers))
    assert_equal(servers)
    with servers[1].connect("shop") as connection:
        assert connection.execute(
            "SELECT (SELECT count(*) FROM above), (SELECT count(*) FROM kept), nextval('kept_id_seq')"
        ).fetchone() == (3, 2, 3)
    end_everything(servers[1])
    servers[1].recreate_database("shop")
    with servers[1].connect("shop") as connection:
        connection.execute(f"{KEPT}; INSERT INTO public.above VALUES (1)")
    assert copy(servers, name="again")["failure"]["code"] == "TargetNotEmpty"


@pytest.mark.parametrize("servers", [(16, 16)], indirect=True, ids=str)
def test_all_that_a_copy_may_make_can_be_taken_away_again(servers):
    _source, target = servers
    target.recreate_database("shop")
    server = Server.from_options("target", target.options(SUPERUSER))
    job = SimpleNamespace(name="shop", target=server, on_target=lambda: target.connect("shop"))
    with target.connect("shop") as connection:
        connection.execute("DO $$ BEGIN CREATE ROLE auditor; EXCEPTION WHEN duplicate_object THEN END $$")
        for script in trapped(target.major):
            connection.execute(script)
        connection.execute(
            "CREATE AGGREGATE m_count(*) (sfunc = int8inc, stype = int8, initcond = '0');"
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO auditor WITH GRANT OPTION;"
            "ALTER DEFAULT PRIVILEGES FOR ROLE mover REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"
        )
    assert not content.is_empty(server, "shop")
    content.empty(job)
    assert content.is_empty(server, "shop")
    with target.connect("shop") as connection:
        assert connection.execute(
            "SELECT count(*), (SELECT count(*) FROM pg_default_acl) FROM pg_extension"
        ).fetchone() == (4, 0)


@pytest.mark.parametrize(("mode", "code"), [("offline", "InvalidEncoding"), ("online", "ApplyFails")])
def test_text_that_is_not_valid_in_its_encoding(servers, mode, code):
    source, _target = servers
    with source.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS shop_latin")
        connection.execute(
            f"CREATE DATABASE shop_latin TEMPLATE template0 ENCODING 'SQL_ASCII' OWNER {USER}"
            " LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    with source.connect("shop_latin", USER) as connection:
        connection.execute("CREATE SCHEMA m; CREATE TABLE m.t (v text); INSERT INTO m.t VALUES (E'caf\\xe9')")
    with servers[1].connect("postgres", USER) as connection:
        connection.execute("CREATE DATABASE shop_latin ENCODING 'UTF8' TEMPLATE template0")
    failed = copy(servers, databases=["shop_latin"], mode=mode)
    assert failed["failure"]["code"] == code and "caf" not in failed["msg"], failed["msg"]
    with servers[1].connect("postgres", USER) as connection:
        connection.execute("DROP DATABASE shop_latin WITH (FORCE)")
    ok(copy(servers, databases=["shop_latin"], mode=mode))
    if mode == "online":
        ok(cut_over(servers))
    with servers[1].connect("shop_latin", USER) as connection:
        assert connection.execute("SELECT v::bytea FROM m.t").fetchone() == (b"caf\xe9",)


def test_a_target_that_holds_something_is_left_alone(servers):
    for dear in (
        "CREATE TYPE dear AS ENUM ('a')",
        "CREATE SCHEMA dear",
        "SELECT lo_create(5555)",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor",
        "CREATE SCHEMA x; CREATE TABLE x.dear (a int)",
    ):
        servers[1].recreate_database("shop")
        with servers[1].connect("shop", USER) as connection:
            connection.execute(dear)
        refused = copy(servers)
        assert refused["failure"]["code"] == "TargetNotEmpty" and "overwrite" in refused["msg"], dear
    assert copy(servers, databases=["postgres"])["failure"]["code"] == "TargetNotEmpty"
    assert copy(servers, dry_run=True, overwrite=True)["changed"]
    with servers[1].connect("shop", USER) as connection:
        assert connection.execute("SELECT count(*) FROM x.dear").fetchone() == (0,)
    ok(copy(servers, overwrite=True))
    assert_equal(servers)


def test_what_an_online_copy_lacks_is_told_before_anything_is_made(servers):
    refused = copy(servers, mode="online", source_from_target={"port": 1})
    assert refused["failure"]["code"] == "NotReachable" and "mode offline" in refused["msg"]
    with servers[0].connect("shop", USER) as connection:
        connection.execute("CREATE TABLE m.papers (doc json)")
    refused = copy(servers, mode="online")
    assert refused["failure"]["code"] == "NoEquality" and "m.papers.doc (json)" in refused["msg"]
    origins = "(SELECT 'o' || generate_series(1, current_setting('max_replication_slots')::int)) o(name)"
    with servers[1].connect() as connection:
        connection.execute(f"SELECT pg_replication_origin_create(name) FROM {origins}")
    refused = copy(servers, name="shop-2", mode="online", exclude_tables=["m.papers"])
    with servers[1].connect() as connection:
        connection.execute(f"SELECT pg_replication_origin_drop(name) FROM {origins}")
    assert refused["failure"]["code"] == "TooFewWorkers" and "max_replication_slots is" in refused["msg"]
    nothing_left(servers[0])
    with servers[1].connect() as connection:
        assert not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'shop'").fetchone()


def test_a_cutover_that_is_not_possible_is_refused(servers):
    ok(copy(servers, mode="online"))
    with servers[0].connect("shop", USER) as connection:
        connection.execute("CREATE TABLE m.parted_3 PARTITION OF m.parted FOR VALUES FROM (200) TO (300)")
    refused = cut_over(servers)
    assert refused["failure"]["code"] == "NewTables" and "m.parted_3" in refused["msg"]
    with servers[0].connect("shop", USER) as connection:
        connection.execute("DROP TABLE m.parted_3; CREATE UNLOGGED TABLE m.scratch (a int)")
    refused = cut_over(servers)
    assert refused["failure"]["code"] == "NewTables" and "m.scratch" in refused["msg"]
    with servers[0].connect("shop", USER) as connection:
        connection.execute("DROP TABLE m.scratch; INSERT INTO m.orders VALUES (1, 1, 'still written to')")
    with servers[0].connect("shop") as service, servers[0].connect("shop", "shopper") as shopper:
        refused = cut_over(servers)
        assert refused["failure"]["code"] == "CutoverRefused" and "as postgres" in refused["msg"]
        for session in (service, shopper):
            session.execute("INSERT INTO m.orders SELECT max(id) + 1, 1, 'writers went on' FROM m.orders")
    with writing(servers[0]):
        busy = cut_over(servers, source_read_only=False, sample_seconds=2)
        assert busy["failure"]["code"] == "CutoverRefused" and "still written to" in busy["msg"]
    assert cut_over(servers, dry_run=True)["changed"]
    with servers[0].connect("shop", "shopper") as older:
        with servers[0].connect("shop", USER) as connection:
            connection.execute("ALTER DATABASE shop SET default_transaction_read_only = on")
        ok(cut_over(servers))
        with pytest.raises(psycopg.OperationalError):
            older.execute("INSERT INTO m.orders VALUES (2, 1, 'written behind the cutover')")
    assert_equal(servers)


def test_a_session_that_comes_between_the_look_and_the_lock_stops_the_cutover(servers, monkeypatch):
    ok(copy(servers, mode="online"))
    source, _target = servers
    opened = []
    lock = switch.ReadOnlySource.lock

    def comes(guard, timeout):
        opened.append(source.connect("shop"))
        return lock(guard, timeout)

    monkeypatch.setattr(switch.ReadOnlySource, "lock", comes)
    failed = cut_over(servers)
    assert failed["failure"]["code"] == "CutoverRefused" and "written to as before" in failed["failure"]["hint"]
    opened[0].close()
    with source.connect("shop", "shopper") as connection:
        connection.execute("INSERT INTO m.orders VALUES (3, 1, 'writers were let in again')")
    monkeypatch.undo()
    ok(cut_over(servers))
    assert_equal(servers)
