# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from types import SimpleNamespace

import psycopg
import pytest

ARGS = {
    "source": {"host": "shop-old", "user": "admin@shop-old", "password": "Marker-Secret-4711"},
    "databases": ["shop", "Bill ing"],
}
ON = "default_transaction_read_only"
APP = (100, "app", "shop", False, False)


class Source:
    """A server as far as the module looks at it: settings, sessions, and what was done to them."""

    def __init__(self):
        self.read_only = {"shop": "off", "Bill ing": "off"}
        self.sessions = []
        self.roles = []
        self.prepared = []
        self.writes = []
        self.refuse = {}
        self.info = SimpleNamespace(server_version=110000, parameter_status=lambda name: "off")
        self.closed = False

    def connect(self, **arguments):
        self.arguments = arguments
        return self

    def close(self):
        self.closed = True

    @contextlib.contextmanager
    def transaction(self):
        before = dict(self.read_only)
        try:
            yield
        except BaseException:
            self.read_only = before
            raise

    def execute(self, statement, values=None):
        text = statement.decode() if isinstance(statement, bytes) else statement
        for part, error in self.refuse.items():
            if part in text:
                raise error
        rows = self._answer(text, values)
        return SimpleNamespace(fetchall=lambda: rows)

    def _answer(self, text, values):
        if "pg_db_role_setting" in text:
            rows = [(n, 0, None, [f"default_transaction_read_only={value}"]) for n, value in self.read_only.items()]
            return [row for row in rows if row[0] in values[0]] + self.roles
        if "pg_stat_activity" in text:
            return [(base, pid, "u", name, None, xid, boss) for pid, name, base, xid, boss in self.sessions]
        if "pg_prepared_xacts" in text:
            return self.prepared
        if "clock_timestamp" in text:
            return [(datetime.now(UTC),)]
        if text.startswith("ALTER DATABASE"):
            self.writes.append(text)
            self.read_only[text.split('"')[1]] = text.split("'")[1] if " SET " in text else "off"
        if "pg_terminate_backend" in text:
            self.writes.append(f"end {values[0]}")
            self.sessions = [session for session in self.sessions if session[0] != values[0]]
        return []


@pytest.fixture
def source(monkeypatch):
    found = Source()
    monkeypatch.setattr(psycopg, "connect", found.connect)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return found


def test_writing_is_stopped(run_module, source):
    source.sessions = [APP]
    outcome = run_module("source_read_only", ARGS)
    found = outcome["source_read_only"]
    assert outcome["changed"] and found["since"].endswith("Z")
    assert [session["pid"] for session in found["ended_sessions"]] == [100]
    assert all(database == {**database, "read_only": True, "sessions_to_end": 0} for database in found["databases"])
    assert source.writes == [
        f"ALTER DATABASE \"shop\" SET {ON} = 'on'",
        f"ALTER DATABASE \"Bill ing\" SET {ON} = 'on'",
        "end 100",
        f"ALTER DATABASE \"shop\" SET {ON} = 'oN'",
        f"ALTER DATABASE \"Bill ing\" SET {ON} = 'oN'",
    ]
    assert source.closed and source.arguments["dbname"] == "shop" and source.arguments["sslmode"] == "require"


def test_sessions_that_are_older_than_somebody_elses_setting_are_ended_once(run_module, source):
    source.read_only = {"shop": "on", "Bill ing": "on"}
    source.sessions = [APP]
    assert run_module("source_read_only", ARGS)["changed"] and source.writes[0] == "end 100"
    source.sessions = [APP]
    assert not run_module("source_read_only", ARGS)["changed"]


def test_a_run_that_breaks_off_before_the_last_session_has_ended_begins_anew(run_module, source):
    source.sessions = [APP]
    source.refuse = {"clock_timestamp": psycopg.OperationalError("server closed the connection")}
    assert run_module("source_read_only", ARGS).failed
    source.refuse = {}
    source.sessions = [APP]
    assert run_module("source_read_only", ARGS)["changed"] and "end 100" in source.writes[-3:]


def test_nothing_is_done_where_nothing_can_write(run_module, source):
    source.read_only = {"shop": "oN", "Bill ing": "oN"}
    source.sessions = [APP]
    outcome = run_module("source_read_only", ARGS)
    assert not outcome["changed"] and source.writes == [] and outcome["source_read_only"]["since"] is None


def test_only_what_is_left_is_done(run_module, source):
    source.read_only["shop"] = "oN"
    assert run_module("source_read_only", ARGS)["changed"]
    assert source.writes == [f"ALTER DATABASE \"Bill ing\" SET {ON} = '{value}'" for value in ("on", "oN")]


def test_a_session_that_writes_all_the_same_is_ended(run_module, source):
    source.read_only = {"shop": "oN", "Bill ing": "oN"}
    source.sessions = [(100, "app", "shop", True, False)]
    assert run_module("source_read_only", ARGS)["changed"] and source.writes == ["end 100"]


def test_check_mode_only_reads(run_module, source):
    source.sessions = [APP]
    outcome = run_module("source_read_only", ARGS, check_mode=True, diff=True)
    assert outcome["changed"] and source.writes == []
    assert outcome["diff"]["before"]["databases"][0] == {"name": "shop", "read_only": False, "sessions_to_end": 1}
    assert outcome["diff"]["after"]["databases"][0] == {"name": "shop", "read_only": True, "sessions_to_end": 0}


def test_the_diff_is_the_result(run_module, source):
    outcome = run_module("source_read_only", ARGS, diff=True)
    assert outcome["diff"]["after"] == outcome["source_read_only"]


def test_sessions_can_be_kept(run_module, source):
    source.sessions = [APP, (101, "backup 7", "shop", False, False), (102, "service", "shop", True, True)]
    found = run_module("source_read_only", {**ARGS, "keep_applications": ["backup*"]})["source_read_only"]
    assert [session["pid"] for session in found["kept_sessions"]] == [101, 102]
    assert [text for text in source.writes if text.startswith("end")] == ["end 100"]


def test_writing_goes_on(run_module, source):
    source.read_only = {"shop": "on", "Bill ing": "off"}
    source.sessions = [APP]
    outcome = run_module("source_read_only", {**ARGS, "state": "absent"})
    assert outcome["changed"] and source.writes == ['ALTER DATABASE "shop" RESET default_transaction_read_only']
    assert not any(database["read_only"] for database in outcome["source_read_only"]["databases"])
    again = run_module("source_read_only", {**ARGS, "state": "absent"})
    assert not again["changed"] and again["source_read_only"] is None


def test_what_can_still_write_is_a_warning(run_module, source):
    source.roles = [("shop", 7, "loader", ["default_transaction_read_only=off"])]
    source.prepared = [("shop", "tx 1")]
    warnings = str(run_module("source_read_only", ARGS)["warnings"])
    assert "role loader" in warnings and "prepared transaction tx 1" in warnings


def test_a_session_that_does_not_end_is_a_failure(run_module, source):
    answer = source._answer
    source.sessions = [APP]
    source._answer = lambda text, values: [] if "terminate" in text else answer(text, values)
    outcome = run_module("source_read_only", {**ARGS, "end_timeout": 0})
    assert outcome.failed and outcome["failure"]["code"] == "SessionsDoNotEnd" and "100 (app)" in outcome["msg"]


def test_a_session_that_may_not_be_ended_leaves_the_setting_as_it_was(run_module, source):
    source.sessions = [APP]
    source.refuse = {"pg_terminate_backend": psycopg.errors.InsufficientPrivilege("must be a member")}
    outcome = run_module("source_read_only", ARGS)
    assert (
        outcome.failed
        and "pg_signal_backend" in outcome["msg"]
        and source.read_only == {"shop": "off", "Bill ing": "off"}
    )


def test_someone_else_is_told_what_is_missing(run_module, source):
    source.refuse = {"ALTER DATABASE": psycopg.errors.InsufficientPrivilege("must be owner of database shop")}
    outcome = run_module("source_read_only", ARGS)
    assert outcome.failed and "must be owner of database shop" in outcome["msg"] and "source.user" in outcome["msg"]


def test_unknown_databases_are_named(run_module, source):
    outcome = run_module("source_read_only", {**ARGS, "databases": ["shop", "nowhere"]})
    assert outcome.failed and outcome["failure"]["code"] == "UnknownDatabase" and "nowhere" in outcome["msg"]


def test_no_databases_is_a_failure(run_module, source):
    outcome = run_module("source_read_only", {**ARGS, "databases": []})
    assert outcome.failed and "option databases is empty" in outcome["msg"]


def test_the_password_is_never_printed(run_module, source, monkeypatch):
    def refuse(**_):
        raise psycopg.OperationalError('FATAL:  password authentication failed for user "admin@shop-old"')

    monkeypatch.setattr(psycopg, "connect", refuse)
    outcome = run_module("source_read_only", ARGS, diff=True)
    assert outcome.failed and "source.password" in outcome["msg"] and "Marker-Secret-4711" not in outcome.raw_output
