# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's databases and sessions are scripted here; tests/integration runs the module against real servers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

MODULE = "database"
ARGS: dict[str, Any] = {
    "target": {"host": "shop-new", "user": "pgadmin", "password": "Marker-Secret-4711"},
    "databases": ["shop", "Bill ing"],
}
GONE = {**ARGS, "state": "absent"}
IN_USE = 'database "shop" is being accessed by other users\nDETAIL:  There is 1 other session using the database.'


class Target:
    """A server as far as the module looks at it."""

    def __init__(self) -> None:
        self.databases = ["postgres", "template0", "template1"]
        self.sessions: dict[str, int] = {}
        self.writes: list[str] = []
        self.refuse: dict[str, Exception] = {}
        self.open = 0

    def connect(self, **arguments: Any) -> Target:
        self.arguments = arguments
        self.open += 1
        return self

    def close(self) -> None:
        self.open -= 1

    def execute(self, statement: str | bytes, values: Any = None) -> Any:
        text = statement.decode() if isinstance(statement, bytes) else statement
        for part, error in self.refuse.items():
            if part in text:
                raise error
        if "pg_terminate_backend" in text:
            self.writes.append(f"end {values[0]}")
            self.sessions.pop(values[0], None)
        elif " DATABASE " in text:
            self._change(text)
        return SimpleNamespace(fetchall=lambda: [(name,) for name in self.databases])

    def _change(self, text: str) -> None:
        name = text.split('"')[1]
        if self.sessions.get(name):
            raise psycopg.errors.ObjectInUse(IN_USE)
        self.writes.append(text)
        (self.databases.append if text.startswith("CREATE") else self.databases.remove)(name)


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Any:
    found = Target()
    monkeypatch.setattr(psycopg, "connect", found.connect)
    yield found
    assert found.open == 0


def test_databases_are_made(run_module: Any, target: Target) -> None:
    outcome = run_module(MODULE, ARGS)
    assert outcome["changed"] and outcome["database"] == {"databases": ["Bill ing", "shop"]}
    assert target.writes == ['CREATE DATABASE "Bill ing"', 'CREATE DATABASE "shop"']
    assert target.arguments["dbname"] == "postgres" and target.arguments["sslmode"] == "require"
    # CREATE and DROP DATABASE are refused inside a transaction.
    assert target.arguments["autocommit"] is True


def test_only_what_is_missing_is_made(run_module: Any, target: Target) -> None:
    target.databases.append("shop")
    outcome = run_module(MODULE, ARGS, diff=True)
    assert outcome["changed"] and target.writes == ['CREATE DATABASE "Bill ing"']
    assert outcome["diff"] == {"before": {"databases": ["shop"]}, "after": {"databases": ["Bill ing", "shop"]}}


def test_what_is_there_is_left_alone(run_module: Any, target: Target) -> None:
    target.databases += ["shop", "Bill ing", "other"]
    outcome = run_module(MODULE, ARGS)
    assert not outcome["changed"] and target.writes == []
    assert outcome["database"] == {"databases": ["Bill ing", "shop"]}


def test_names_differ_by_case(run_module: Any, target: Target) -> None:
    target.databases.append("Shop")
    assert run_module(MODULE, {**ARGS, "databases": ["shop", "shop"]})["changed"]
    assert target.writes == ['CREATE DATABASE "shop"']


def test_a_name_is_quoted(run_module: Any, target: Target) -> None:
    target._change = target.writes.append  # type: ignore[method-assign]
    run_module(MODULE, {**ARGS, "databases": ['a"; DROP DATABASE shop; --']})
    assert target.writes == ['CREATE DATABASE "a""; DROP DATABASE shop; --"']


def test_databases_are_dropped(run_module: Any, target: Target) -> None:
    target.databases += ["shop", "other"]
    outcome = run_module(MODULE, GONE, diff=True)
    assert outcome["changed"] and outcome["database"] is None and target.writes == ['DROP DATABASE "shop"']
    assert outcome["diff"] == {"before": {"databases": ["shop"]}, "after": {}}
    assert "other" in target.databases


def test_nothing_is_there_to_drop(run_module: Any, target: Target) -> None:
    outcome = run_module(MODULE, {**GONE, "end_sessions": True})
    assert not outcome["changed"] and outcome["database"] is None and target.writes == []


@pytest.mark.parametrize("state", ["present", "absent"])
def test_check_mode_only_reads(run_module: Any, target: Target, state: str) -> None:
    target.databases.append("shop")
    target.sessions["shop"] = 1
    args = {**ARGS, "state": state, "end_sessions": True}
    outcome = run_module(MODULE, args, check_mode=True, diff=True)
    assert outcome["changed"] and target.writes == [] and target.sessions == {"shop": 1}
    after = {"databases": ["Bill ing", "shop"]} if state == "present" else {}
    assert outcome["diff"] == {"before": {"databases": ["shop"]}, "after": after}


def test_a_database_in_use_is_not_dropped(run_module: Any, target: Target) -> None:
    target.databases.append("shop")
    target.sessions["shop"] = 1
    outcome = run_module(MODULE, GONE)
    assert outcome.failed and outcome["failure"]["code"] == "55006" and outcome["failure"]["target"] == "target"
    assert outcome["msg"] == (
        "Failed to drop the database shop on the target server shop-new:5432: "
        'database "shop" is being accessed by other users (55006). Stop the programs that are connected, or set '
        "end_sessions to true, which leaves superusers alone. A replication slot or a subscription in the database has "
        "to be dropped before it."
    )
    assert not outcome["changed"] and "shop" in target.databases


def test_sessions_are_ended_when_asked_to(run_module: Any, target: Target) -> None:
    target.databases += ["shop", "other"]
    target.sessions = {"shop": 2, "other": 1}
    assert run_module(MODULE, {**GONE, "end_sessions": True})["changed"]
    assert target.writes == ["end shop", 'DROP DATABASE "shop"'] and target.sessions == {"other": 1}


def test_no_session_is_ended_for_making(run_module: Any, target: Target) -> None:
    target.sessions = {"other": 1}
    assert run_module(MODULE, {**ARGS, "end_sessions": True})["changed"] and "end" not in " ".join(target.writes)


def test_what_was_done_before_a_refusal_is_said_and_not_done_again(run_module: Any, target: Target) -> None:
    target.databases += ["shop", "Bill ing"]
    target.sessions["shop"] = 1
    outcome = run_module(MODULE, GONE)
    assert outcome.failed and outcome["changed"] and target.writes == ['DROP DATABASE "Bill ing"']
    target.sessions.clear()
    assert run_module(MODULE, GONE)["changed"] and target.writes[1:] == ['DROP DATABASE "shop"']


@pytest.mark.parametrize(
    ("refused", "error", "args", "told"),
    [
        ("CREATE", psycopg.errors.InsufficientPrivilege("permission denied to create database"), ARGS, "CREATEDB"),
        ("CREATE", psycopg.errors.ObjectInUse('source database "template1" is in use'), ARGS, "template1: run again"),
        ("DROP", psycopg.errors.InsufficientPrivilege("must be owner of database shop"), GONE, "the owner of the"),
        (
            "pg_terminate",
            psycopg.errors.InsufficientPrivilege("must be a member of the role whose process is being terminated"),
            {**GONE, "end_sessions": True},
            "pg_signal_backend",
        ),
        ("CREATE", psycopg.errors.DiskFull("could not extend file"), ARGS, "could not extend file (53100)."),
        ("SELECT datname", psycopg.OperationalError("server closed"), ARGS, "read which databases there are on"),
    ],
)
def test_what_postgresql_refuses_is_told_with_a_way_out(
    run_module: Any, target: Target, refused: str, error: Exception, args: dict[str, Any], told: str
) -> None:
    target.databases += ["shop"] if "state" in args else []
    target.refuse = {refused: error}
    outcome = run_module(MODULE, args)
    assert outcome.failed and told in outcome["msg"] and str(error) in outcome["msg"]
    assert not outcome["changed"] and outcome["msg"].count("shop-new:5432") == 1


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("name", ["postgres", "template0", "template1", "azure_maintenance", "azure_sys"])
def test_the_systems_databases_are_refused(run_module: Any, target: Target, name: str, state: str) -> None:
    outcome = run_module(MODULE, {**ARGS, "databases": ["shop", name], "state": state, "end_sessions": True})
    assert outcome.failed and outcome["failure"]["code"] == "SystemDatabase" and f"names {name}:" in outcome["msg"]
    assert target.writes == []


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("connection failed: Connection refused", "ConnectionRefused", "target.port"),
        ('FATAL:  password authentication failed for user "pgadmin"', "AuthenticationFailed", "target.password"),
    ],
)
def test_a_server_that_can_not_be_reached(
    run_module: Any, monkeypatch: pytest.MonkeyPatch, text: str, code: str, told: str
) -> None:
    def refuse(**_: Any) -> None:
        raise psycopg.OperationalError(text)

    monkeypatch.setattr(psycopg, "connect", refuse)
    outcome = run_module(MODULE, ARGS, diff=True)
    assert outcome.failed and outcome["failure"]["code"] == code and told in outcome["msg"]
    assert outcome["msg"].startswith("Failed to connect to the target server shop-new:5432: ")
    assert "Marker-Secret-4711" not in outcome.raw_output


def test_the_names_have_to_be_given(run_module: Any, target: Target) -> None:
    outcome = run_module(MODULE, {"target": ARGS["target"]})
    assert outcome.failed and "missing required arguments: databases" in outcome["msg"]
