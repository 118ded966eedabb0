# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers of PostgreSQL are scripted here; tests/integration runs the module against real servers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils import _postgres
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure

MODULE = "database_info"
SOURCE = {"host": "old", "user": "admin@old", "password": "Secret-1"}
TARGET = {"host": "new", "user": "admin", "password": "Secret-2"}
ROW = ("shop", "admin", 4096, "UTF8", "en_US.utf8", "en_US.utf8")


class Connection:
    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self.rows = rows

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, text: str) -> Any:
        assert text.split(None, 1)[0] == "SELECT"
        self.answer = [("15.18", "admin")] if "server_version" in text else self.rows
        return self

    def fetchall(self) -> Any:
        return self.answer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[_postgres.Server]:
    """The servers that were connected to."""
    servers: list[_postgres.Server] = []

    def connect(server: _postgres.Server, database: str) -> Connection:
        assert database == "postgres"
        servers.append(server)
        if server.user == "nobody":
            raise _postgres.connection_failure(server, database, 'password authentication failed for user "nobody"')
        return Connection([ROW] if server.option == "source" else [])

    module = "ansible_collections.pgflex.migrate.plugins.modules.database_info"
    monkeypatch.setattr(f"{module}.connect", connect)
    return servers


def test_reads_both_sides(run_module: Any, asked: Any) -> None:
    result = run_module(MODULE, {"source": SOURCE, "target": TARGET})
    assert [row["side"] for row in result["servers"]] == ["source", "target"]
    assert result["databases"] == [
        {
            "side": "source",
            "name": "shop",
            "owner": "admin",
            "size": 4096,
            "encoding": "UTF8",
            "collation": "en_US.utf8",
            "ctype": "en_US.utf8",
        }
    ]


@pytest.mark.parametrize("side", ["source", "target"])
def test_asks_only_the_side_that_is_given(run_module: Any, asked: Any, side: str) -> None:
    result = run_module(MODULE, {side: SOURCE})
    assert [server.option for server in asked] == [side]
    assert result["servers"] == [{"side": side, "version": "15.18", "user": "admin"}]


def test_a_wrong_password_names_the_option(run_module: Any, asked: Any) -> None:
    result = run_module(MODULE, {"source": SOURCE, "target": {**TARGET, "user": "nobody"}})
    assert result.failed and result["failure"]["code"] == "AuthenticationFailed"
    assert "target.password" in result["msg"] and "Secret-2" not in result.raw_output


def test_needs_a_side(run_module: Any, asked: Any) -> None:
    result = run_module(MODULE, {})
    assert result.failed and asked == []
    assert "one of the following is required: source, target" in result["msg"]


def test_check_mode_reads_as_well(run_module: Any, asked: Any) -> None:
    result = run_module(MODULE, {"source": SOURCE}, check_mode=True, diff=True)
    assert not result["changed"] and len(result["databases"]) == 1 and "diff" not in result


def test_a_size_that_may_not_be_seen_is_null(run_module: Any, monkeypatch: Any) -> None:
    module = "ansible_collections.pgflex.migrate.plugins.modules.database_info"
    hidden = ("other", "somebody", None, "UTF8", "C", "C")
    monkeypatch.setattr(f"{module}.connect", lambda server, database: Connection([hidden]))
    assert run_module(MODULE, {"source": SOURCE})["databases"][0]["size"] is None


def test_a_driver_that_is_missing_is_named(run_module: Any, monkeypatch: Any) -> None:
    def missing() -> Any:
        raise ModuleFailure("The Python package psycopg (version 3) is needed.", code="PackageMissing")

    monkeypatch.setattr(_postgres, "load_psycopg", missing)
    assert run_module(MODULE, {"source": SOURCE})["failure"]["code"] == "PackageMissing"
