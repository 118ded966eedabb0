# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of all modules that touch a migration share: its addresses, its answers, and a clock."""

from __future__ import annotations

import contextlib
import threading
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{SUB}/resourceGroups/shop-rg"
PROVIDER = f"{GROUP}/providers/Microsoft.DBforPostgreSQL"
SOURCE = f"{PROVIDER}/servers/shop-single"
TARGET = f"{PROVIDER}/flexibleServers/shop-flex"
TYPE = "Microsoft.DBforPostgreSQL/flexibleServers/migrations"
CURRENT = "2025-08-01"
CLASSIC = "2022-05-01-privatepreview"
COUNTERS = {
    "fullLoadQueuedTables": 0,
    "fullLoadLoadingTables": 0,
    "fullLoadCompletedTables": 31,
    "fullLoadErroredTables": 0,
    "cdcInsertCounter": 0,
    "cdcUpdateCounter": 0,
    "cdcDeleteCounter": 0,
    "appliedChanges": 0,
    "incomingChanges": 0,
    "latency": 0,
}


class Service:
    """The migrations of one target server in one generation of the API, as steps of the script `arm`."""

    def __init__(self, arm: Any, *, classic: bool) -> None:
        self.arm = arm
        self.classic = classic
        self.api_version = CLASSIC if classic else CURRENT

    def url(self, name: str = "shop-1") -> str:
        return f"{TARGET}/migrations/{name}"

    def database(self, name: str = "shop", state: str = "WaitingForCutoverTrigger", **values: Any) -> dict[str, Any]:
        return {"databaseName": name, "migrationState": state, **COUNTERS, **values}

    def migration(
        self,
        state: str = "InProgress",
        substate: str | None = None,
        *,
        name: str = "shop-1",
        databases: list[dict[str, Any]] | None = None,
        error: str | None = None,
        tags: dict[str, str] | None = None,
        validation: dict[str, Any] | None = None,
        **properties: Any,
    ) -> dict[str, Any]:
        """An answer of the service; a property of None is left out."""
        rows = {row["databaseName"]: row for row in databases or []}
        details = {"currentSubState": substate, "dbDetails": rows, "validationDetails": validation}
        status = {
            "state": state,
            "error": error,
            "currentSubStateDetails": {key: value for key, value in details.items() if value is not None},
        }
        spelling = ("sourceDBServerResourceId", "targetDBServerResourceId", "dBsToMigrate")
        if not self.classic:
            spelling = ("sourceDbServerResourceId", "targetDbServerResourceId", "dbsToMigrate")
        known = {
            "migrationMode": "Online",
            "currentStatus": {key: value for key, value in status.items() if value is not None},
            **dict(zip(spelling, (SOURCE, TARGET, ["shop", "stock"]), strict=True)),
            **properties,
        }
        return {
            "id": self.url(name),
            "name": name,
            "type": TYPE,
            "location": "westeurope",
            **({"tags": tags} if tags is not None else {}),
            "properties": {key: value for key, value in known.items() if value is not None},
        }

    def ready(self, **values: Any) -> dict[str, Any]:
        """An online migration that waits for its cutover, with nothing left to apply."""
        rows = [self.database("shop"), self.database("stock")]
        given = {"databases": rows, **values}
        return self.migration("WaitingForUserAction", "WaitingForCutoverTrigger", **given)

    def expect_get(self, *answers: dict[str, Any] | None, name: str = "shop-1") -> None:
        """One look for each answer; None is a migration that is not there."""
        for answer in answers:
            status = 200 if answer else 404
            json = answer or {"error": {"code": "ResourceNotFound", "message": "The migration was not found."}}
            self.arm.expect("GET", self.url(name), status=status, json=json, api_version=self.api_version)

    def expect_list(self, which: str, *rows: dict[str, Any]) -> None:
        self.arm.expect(
            "GET",
            f"{TARGET}/migrations",
            query={"migrationListFilter": which},
            json={"value": list(rows)},
            api_version=self.api_version,
        )

    def expect_location(self) -> None:
        self.arm.expect("GET", TARGET, json={"id": TARGET, "name": "shop-flex", "location": "West Europe"})

    def expect_name_check(self, answer: dict[str, Any] | None = None, name: str = "shop-1") -> None:
        self.arm.expect(
            "POST",
            f"{TARGET}/checkMigrationNameAvailability",
            body={"name": name, "type": TYPE},
            json=answer or {"name": name, "type": TYPE, "nameAvailable": True},
            api_version=self.api_version,
        )

    def expect_put(self, body: dict[str, Any], answer: dict[str, Any] | None = None) -> None:
        self.arm.expect(
            "PUT",
            self.url(),
            status=201,
            body=body,
            json=answer or self.migration(),
            api_version=self.api_version,
        )

    def expect_patch(self, body: dict[str, Any], answer: dict[str, Any] | None = None) -> None:
        self.arm.expect("PATCH", self.url(), body=body, json=answer or self.migration(), api_version=self.api_version)

    def expect_delete(self) -> None:
        """The classic service answers 200 with nothing in it."""
        self.arm.expect("DELETE", self.url(), status=200 if self.classic else 204, api_version=self.api_version)


@pytest.fixture
def current(arm: Any) -> Service:
    return Service(arm, classic=False)


@pytest.fixture
def classic(arm: Any) -> Service:
    return Service(arm, classic=True)


@pytest.fixture(params=["current", "classic"])
def service(arm: Any, request: pytest.FixtureRequest) -> Service:
    """Both generations, one after the other."""
    return Service(arm, classic=request.param == "classic")


@pytest.fixture
def target(sign_in: dict[str, str]) -> dict[str, Any]:
    """The options that every module of one migration needs."""
    return {**sign_in, "resource_group": "shop-rg", "server_name": "shop-flex", "name": "shop-1"}


class Clock:
    """Time that passes only while the code under test pauses."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds
            self.pauses.append(round(seconds, 3))

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(arm: Any, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Takes the place of the clock that `arm` has stopped."""
    made = Clock()
    monkeypatch.setattr("time.sleep", made.sleep)
    monkeypatch.setattr("time.monotonic", made.monotonic)
    return made


class Copies:
    """The two servers of a direct copy as far as the modules look at them: the table of copies, and what is there."""

    def __init__(self, programs: str) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.prepared = True
        self.free = True
        self.version = {"shop-old": 150000, "shop-new": 160000}
        self.answers: dict[str, list[tuple[Any, ...]]] = {
            "t.tgenabled IN": [],
            "pg_largeobject_metadata m WHERE": [],
            "FROM pg_database d WHERE": [("shop", "UTF8", "C", "C", "c", None, None, 1 << 20)],
            "SELECT datname::text FROM pg_database": [("postgres",)],
            "c.relkind IN ('r', 'p')": [self.table("orders")],
            "SELECT n.nspname::text FROM pg_namespace": [("public",)],
            "pg_extension e JOIN": [],
            "pg_available_extensions": [("hstore",)],
            "FROM pg_db_role_setting": [],
            "pg_db_role_setting s ON": [("shop", None, None, None)],
            "pg_stat_activity a LEFT JOIN": [],
            "pg_prepared_xacts": [],
            "FROM pg_subscription s": [],
            "FROM pg_roles WHERE rolname = ANY": [],
        }
        self.refuse: dict[str, Exception] = {}
        self.statements: list[str] = []
        self.connections: list[Any] = []
        self.args = {
            "name": "shop-1",
            "source": {"host": "shop-old", "user": "mover", "password": "Marker-Secret-4711"},
            "target": {"host": "shop-new", "user": "mover", "password": "Marker-Secret-4711"},
        }
        self.programs = programs

    @staticmethod
    def table(name: str, *, readable: bool = True) -> tuple[Any, ...]:
        return (1, "public", name, "r", "p", 8192, 1, readable, False, True, "d", True, None, [])

    def add(
        self, state: str, substate: str | None = None, *, mode: str = "online", reverse: Any = None, **values: Any
    ) -> None:
        step = {"Succeeded": "done", "WaitingForUserAction": "waiting"}.get(state, "rows")
        row_state = {"WaitingForUserAction": "WaitingForCutoverTrigger"}.get(state, state)
        row = {"name": "shop", "state": row_state, "step": step, "created": True, "counters": {"latency": 0}, **values}
        settings = {"id": "0123456789", "jobs": 2}
        self.rows.append(
            ("shop-1", mode, state, substate, None, "shop-old:5432", None, None, None, False, [row], settings, reverse)
        )

    def connect(self, **arguments: Any) -> CopyConnection:
        self.connections.append(CopyConnection(self, arguments["host"]))
        return self.connections[-1]

    def answer(self, text: str) -> list[tuple[Any, ...]]:
        self.statements.append(text)
        for part, error in self.refuse.items():
            if part in text:
                raise error
        if "to_regclass('pgflex.copies')" in text:
            return [(self.prepared,)]
        if "FROM pgflex.copies ORDER BY" in text:
            return self.rows
        if "pg_try_advisory_lock" in text:
            return [(self.free,)]
        if "RETURNING cancel" in text:
            return [(False, None)]
        return next((rows for part, rows in self.answers.items() if part in text), [(0,)])

    @property
    def writes(self) -> list[str]:
        words = ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE", "GRANT", "\nCREATE", "\nINSERT")
        return [text for text in self.statements if text.startswith(words)]


class CopyConnection:
    closed = False

    def __init__(self, copies: Copies, host: str) -> None:
        self.copies = copies
        self.info = SimpleNamespace(server_version=copies.version[host], parameter_status=lambda name: "UTF8")

    def execute(self, statement: Any, values: Any = None) -> Any:
        rows = self.copies.answer(statement.decode() if isinstance(statement, bytes) else statement)
        return SimpleNamespace(fetchall=lambda: rows, fetchone=lambda: rows[0])

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> CopyConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Copies:
    for program in ("pg_dump", "pg_restore", "psql"):
        path = tmp_path / program
        path.write_text("#!/bin/sh\necho pg_dump 16.1\n")
        path.chmod(0o755)
    found = Copies(str(tmp_path))
    monkeypatch.setattr(psycopg, "connect", found.connect)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return found
