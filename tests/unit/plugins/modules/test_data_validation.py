# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import psycopg
import pytest

ARGS = {
    "source": {"host": "shop-old", "user": "admin@shop-old", "password": "Marker-Secret-4711"},
    "target": {"host": "shop-new", "user": "admin", "password": "Marker-Secret-4711"},
    "databases": ["shop"],
    "settle_timeout": 0,
}


class Server:
    """One side as far as the module looks at it: a table of (id, hash), a sequence, and a materialized view."""

    def __init__(self):
        self.rows = {1: 11, 2: 22, 3: 33}
        self.sequence = (3, True)
        self.views = [("public", "totals")]
        self.indexes = [("public", "orders_pkey")]
        self.large = {}
        self.definitions = [("public", "few", {}, {"query": "SELECT 7"}, None)]
        self.access = [("table", "public", "public.orders", "admin", [["the owner", "SELECT", False]])]
        self.version = 150000
        self.writes = []
        self.statements = []
        self.refuse = {}
        self.moves = None

    def connect(self, **arguments):
        return Connection(self, arguments["dbname"])

    def answer(self, text):
        self.statements.append(text)
        for part, error in self.refuse.items():
            if part in text:
                raise error
        if text.startswith("REFRESH"):
            self.writes.append(text)
        return next((rows() for part, rows in self._answers(text) if part in text), None)

    def _answers(self, text):
        return (
            ("pg_export_snapshot", self._look),
            ("session_user", lambda: [("admin",)]),
            ("rolsuper", lambda: [("admin", False), ("auditor", False)]),
            ("pg_get_viewdef", lambda: self.definitions),
            ("lomacl", lambda: [(oid, "admin", []) for oid in self.large] if "> 0::oid" in text else []),
            ("aclexplode", lambda: self.access),
            ("EXPLAIN", lambda: [("Scan of 7",)]),
            *[
                (f"'{word}'", list)
                for word in ("identity", "predicate", "check", "arguments", "when", "using", "instead")
            ],
            *[
                (word, list)
                for word in (
                    "castsource",
                    "oprleft",
                    "owned_by",
                    "not_null",
                    "'tags'",
                    "stxname",
                    "pg_description",
                    "ftserver",
                )
            ],
            ("server_encoding", lambda: [("UTF8",)]),
            ("pg_stat_database", lambda: [(0,)]),
            ("pg_replication_slots", lambda: [(0,)]),
            ("pg_stat_subscription", lambda: [(0,)]),
            ("pg_table_size", lambda: [(1, "public", "orders", "r", True, 1, 8192, True, None)]),
            ("format_type", lambda: [(1, "id", 23, "integer not null"), (1, "v", 23, "integer")]),
            ("indrelid", lambda: [(1, ["id"])] if "bool_and" in text else self.indexes),
            ("a.attrelid = t.typrelid", list),
            ("typbasetype", lambda: [(23, "pg_catalog", "int4", "b", 0, 0, 0)]),
            ("pg_sequence", lambda: [("public", "numbers", 1)]),
            ("is_called", lambda: [(0, *self.sequence)]),
            ("pg_largeobject_metadata", lambda: [(oid,) for oid in self.large] if "> 0::oid" in text else []),
            ("lo_get", lambda: [(oid, 3, digest) for oid, digest in self.large.items()]),
            ("c.relkind = 'm'", lambda: self.views),
            ("DECLARE", self._declare),
            ("FETCH", lambda: [self.pending.pop()] if self.pending else []),
            ("GROUP BY 2", lambda: [(0, key & 15, 1, value) for key, value in self.rows.items()]),
            ("count(*), coalesce(sum", lambda: [(0, 0, len(self.rows), sum(self.rows.values()))]),
            ("::text", list),
        )

    def _look(self):
        if self.moves:
            self.moves(self)
        return [("00000003-1",)]

    def _declare(self):
        self.pending = [(f"({key})", [key, value], [str(key)]) for key, value in self.rows.items()]


class Connection:
    closed = False

    def __init__(self, server, database):
        self.server, self.database = server, database
        self.info = SimpleNamespace(server_version=server.version)

    def execute(self, statement, values=None):
        found = self.server.answer(statement.decode() if isinstance(statement, bytes) else statement)
        return SimpleNamespace(description=found is not None or None, fetchall=lambda: found)

    def close(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture
def servers(monkeypatch):
    found = {"shop-old": Server(), "shop-new": Server()}
    monkeypatch.setattr(psycopg, "connect", lambda host, **rest: found[host].connect(**rest))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return found


def test_equal_databases(run_module, servers):
    outcome = run_module("data_validation", ARGS)
    assert not outcome.failed and outcome["changed"] is False and outcome["refreshed"] == {"source": [], "target": []}
    found = outcome["validation"]
    assert found["equal"] and found["rows"] == 3 and found["bytes"] == 8192
    table = found["databases"][0]["tables"][0]
    assert table["name"] == "public.orders" and table["verdict"] == "equal" and not table["moved"]


def test_both_sides_are_read_in_snapshots_that_can_not_write(run_module, servers):
    run_module("data_validation", ARGS)
    for server in servers.values():
        begins = [text for text in server.statements if text.startswith("BEGIN")]
        assert begins and all("REPEATABLE READ, READ ONLY" in text for text in begins)
        assert "SET TRANSACTION SNAPSHOT '00000003-1'" in server.statements


def test_a_difference_fails_with_table_and_key_and_the_whole_result(run_module, servers):
    del servers["shop-new"].rows[2]
    outcome = run_module("data_validation", ARGS)
    assert outcome.failed and outcome["failure"]["code"] == "DataDiffers"
    assert "shop.public.orders has 3 rows on the source and 2 on the target (id=2 only on the source)" in outcome["msg"]
    assert outcome["validation"]["databases"][0]["tables"][0]["differing"] == [{"key": {"id": "2"}, "side": "source"}]


def test_a_difference_can_be_a_result(run_module, servers):
    servers["shop-new"].rows[2] = 23
    outcome = run_module("data_validation", {**ARGS, "fail_on_difference": False})
    table = outcome["validation"]["databases"][0]["tables"][0]
    assert not outcome.failed and not outcome["validation"]["equal"]
    assert table["differing"] == [{"key": {"id": "2"}, "side": "both", "columns": ["v"]}]


def test_rows_that_arrive_meanwhile_are_no_difference(run_module, servers):
    del servers["shop-new"].rows[2]
    looks = iter((None, lambda server: server.rows.update({2: 22})))

    def arrive(server):
        (next(looks, None) or (lambda server: None))(server)

    servers["shop-new"].moves = arrive
    table = run_module("data_validation", ARGS)["validation"]["databases"][0]["tables"][0]
    assert table["equal"] and table["moved"]


def test_rows_that_go_on_moving_are_told_as_moved(run_module, servers):
    def write(server):
        server.rows[2] += 1

    servers["shop-old"].moves = write
    outcome = run_module("data_validation", ARGS)
    assert outcome.failed and outcome["failure"]["code"] == "TablesMoved" and "Stop the writers" in outcome["msg"]
    assert outcome["validation"]["databases"][0]["tables"][0]["verdict"] == "moved"


def test_a_table_that_may_not_be_read_is_told(run_module, servers):
    servers["shop-new"].refuse = {
        "coalesce(sum": psycopg.errors.InsufficientPrivilege("permission denied for table orders")
    }
    outcome = run_module("data_validation", ARGS)
    table = outcome["validation"]["databases"][0]["tables"][0]
    assert outcome.failed and "permission denied for table orders" in table["error"] and "target.user" in table["error"]
    assert table["source_rows"] is None and table["verdict"] == "not compared"


def test_a_sequence_behind_and_a_missing_index(run_module, servers):
    servers["shop-new"].sequence = (2, True)
    servers["shop-new"].indexes = []
    text = run_module("data_validation", ARGS)["msg"]
    assert "sequences behind or unread: public.numbers" in text
    assert "indexes missing on the target: public.orders_pkey" in text


def test_a_definition_that_differs_is_named(run_module, servers):
    servers["shop-new"].definitions = [("public", "few", {}, {"query": "SELECT 8"}, None)]
    outcome = run_module("data_validation", ARGS)
    assert outcome.failed and "shop: definitions differ: relations public.few (query)" in outcome["msg"]
    assert run_module("data_validation", {**ARGS, "definitions": False})["validation"]["equal"]


def test_words_of_another_major_are_planned_by_the_target(run_module, servers):
    servers["shop-old"].version = 140000
    servers["shop-new"].definitions = [("public", "few", {}, {"query": "SELECT (7)"}, None)]
    assert run_module("data_validation", ARGS)["validation"]["equal"]
    plans = [text for text in servers["shop-new"].statements if text.startswith("EXPLAIN")]
    assert [text.partition("FROM ")[2] for text in plans] == ["(SELECT 7) AS q", "(SELECT (7)) AS q"]
    servers["shop-new"].refuse = {"EXPLAIN": psycopg.errors.InsufficientPrivilege("permission denied for table orders")}
    found = run_module("data_validation", ARGS)["validation"]
    assert "1 definitions could not be compared" in found["summary"]
    assert found["databases"][0]["definitions"]["not_compared"][0]["name"] == "public.few"


@pytest.mark.parametrize(("wanted", "equal"), [("report", True), ("compare", False), ("skip", True)])
def test_privileges_as_asked_for(run_module, servers, wanted, equal):
    grant = ["auditor", "SELECT", False]
    servers["shop-old"].access = [("table", "public", "public.orders", "admin", [grant])]
    found = run_module("data_validation", {**ARGS, "privileges": wanted, "fail_on_difference": False})["validation"]
    assert found["equal"] is equal
    told = "privileges differ: table public.orders lacks SELECT for auditor" in found["summary"]
    assert told is (wanted != "skip")


@pytest.mark.parametrize(("wanted", "equal"), [("contents", False), ("oids", True), ("skip", True)])
def test_large_objects_as_asked_for(run_module, servers, wanted, equal):
    servers["shop-old"].large, servers["shop-new"].large = {7: "a"}, {7: "b"}
    outcome = run_module("data_validation", {**ARGS, "large_objects": wanted, "fail_on_difference": False})
    assert outcome["validation"]["equal"] is equal
    assert (outcome["validation"]["databases"][0]["large_objects"] is None) is (wanted == "skip")


def test_materialized_views_are_refreshed_on_both_sides(run_module, servers):
    outcome = run_module("data_validation", {**ARGS, "materialized_views": "refresh"}, diff=True)
    assert outcome["changed"] and outcome["diff"]["after"] == outcome["refreshed"]
    assert outcome["refreshed"] == {"source": ["shop.public.totals"], "target": ["shop.public.totals"]}
    assert all(server.writes == ['REFRESH MATERIALIZED VIEW "public"."totals"'] for server in servers.values())


def test_check_mode_refreshes_nothing(run_module, servers):
    outcome = run_module("data_validation", {**ARGS, "materialized_views": "refresh"}, check_mode=True)
    assert outcome["changed"] and outcome["validation"]["equal"]
    assert all(server.writes == [] for server in servers.values())


def test_a_difference_after_a_refresh_is_still_a_change(run_module, servers):
    del servers["shop-new"].rows[2]
    outcome = run_module("data_validation", {**ARGS, "materialized_views": "refresh"})
    assert outcome.failed and outcome["changed"] is True


def test_servers_before_version_11_are_hashed_with_md5(run_module, servers):
    servers["shop-old"].version = 100023
    run_module("data_validation", ARGS)
    sums = [text for server in servers.values() for text in server.statements if "coalesce(sum" in text]
    assert len(sums) == 2 and all("md5(" in text for text in sums)


@pytest.mark.parametrize("option", ["source", "target"])
def test_failed_connections_name_the_option_and_no_password(run_module, servers, monkeypatch, option):
    host = ARGS[option]["host"]

    def connect(**_):
        raise psycopg.OperationalError('FATAL:  password authentication failed for user "admin"')

    monkeypatch.setattr(servers[host], "connect", connect)
    outcome = run_module("data_validation", ARGS)
    assert outcome.failed and outcome["failure"]["code"] == "AuthenticationFailed"
    assert f"{option}.password" in outcome["msg"] and "Marker-Secret-4711" not in outcome.raw_output


def test_no_databases_is_a_failure(run_module, servers):
    outcome = run_module("data_validation", {**ARGS, "databases": []})
    assert outcome.failed and "option databases is empty" in outcome["msg"]


def test_a_timeout_names_the_option(run_module, servers):
    outcome = run_module("data_validation", {**ARGS, "timeout": 0})
    assert outcome.failed and outcome["failure"]["code"] == "Timeout" and "Raise the option timeout" in outcome["msg"]
