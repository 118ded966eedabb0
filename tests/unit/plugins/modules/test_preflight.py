# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL is scripted here, Azure by `arm`; tests/integration/test_preflight.py has a real server for every rule."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

MODULE = "preflight"
GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg"
TARGET = f"{GROUP}/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-flex"
LOCAL_SSD = "azure.enable_temp_tablespaces_on_local_ssd"
SIDES: dict[str, Any] = {
    "source": {"host": "shop-old", "user": "mover", "password": "Marker-Secret-4711"},
    "target": {"host": "shop-new", "user": "mover", "password": "Marker-Secret-4711"},
    "databases": ["shop"],
    "mode": "online",
    "strict": False,
}
SETTINGS = {
    "wal_level": "logical",
    "max_replication_slots": "10",
    "max_wal_senders": "10",
    "max_connections": "100",
    "max_locks_per_transaction": "64",
    "default_transaction_read_only": "off",
    "shared_preload_libraries": "",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "60",
}


class PostgreSQL:
    """One server that is as it should be; a test changes that. What is not known of it has no rows."""

    def __init__(self, *databases: str) -> None:
        self.databases = list(databases)
        self.settings = dict(SETTINGS)
        self.keyless: list[str] = []
        self.errors: list[Exception] = []
        self.written: list[str] = []

    def connect(self, **_: Any) -> Any:
        if self.errors:
            raise self.errors[0]
        return Connection(self)

    def answer(self, sql: str) -> list[tuple[Any, ...]]:
        known: tuple[tuple[str, list[tuple[Any, ...]]], ...] = (
            ("set_config", []),
            ("pg_largeobject_metadata m WHERE", []),
            ("pg_opclass", []),
            ("coalesce(reset_val, '')", list(self.settings.items())),
            ("current_setting(", [(None,)]),
            ("pg_database_size", [(name, 8 * 1024**3, "UTF8", "C", "C", None) for name in self.databases]),
            ("(SELECT rolsuper FROM", [("mover", False)]),
            ("SELECT rolcreaterole", [(True, True, True, True)]),
            ("count(*)", [(0,)]),
            ("c.relreplident =", [(name,) for name in self.keyless]),
            ("SELECT relreplident", [("d" if self.keyless else "f",)]),
            ("oid::regclass::text", [("public.t",)]),
        )
        return next((rows for pattern, rows in known if pattern in sql), [])


class Connection:
    closed = False

    def __init__(self, server: PostgreSQL) -> None:
        self.server = server
        self.info = SimpleNamespace(server_version=150018)

    def execute(self, statement: bytes | str, values: Any = None) -> Any:
        sql = statement.decode() if isinstance(statement, bytes) else statement
        if sql.startswith("ALTER"):
            self.server.written.append(sql)
            self.server.keyless = [] if sql.endswith("FULL") else ["public.t"]
        rows = self.server.answer(sql)
        return SimpleNamespace(description=rows or None, fetchall=lambda: rows, fetchone=lambda: rows[0])

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> dict[str, PostgreSQL]:
    found = {"shop-old": PostgreSQL("postgres", "shop"), "shop-new": PostgreSQL("postgres")}
    monkeypatch.setattr(psycopg, "connect", lambda host, **rest: found[host].connect(**rest))
    return found


@pytest.fixture
def azure(arm: Any, sign_in: dict[str, str]) -> Any:
    """The options with the target's resource; `expect` scripts the answers of one look."""
    arm.any_order = True

    class Azure:
        def __init__(self) -> None:
            self.args = {**SIDES, **sign_in, "target_server": {"resource_group": "shop-rg", "name": "shop-flex"}}
            self.parameters = {LOCAL_SSD: "on", "azure.extensions": "", "shared_preload_libraries": ""}

        def expect(self, *, tier: str = "GeneralPurpose", storage: int = 128, active: list[Any] | None = None) -> None:
            properties = {"state": "Ready", "storage": {"storageSizeGB": storage}}
            sku = {"name": "Standard_D4ds_v5", "tier": tier}
            server = {"id": TARGET, "name": "shop-flex", "sku": sku, "properties": properties}
            arm.expect("GET", TARGET, json=server)
            self.expect_parameters()
            arm.expect("GET", f"{TARGET}/migrations", json={"value": active or []})

        def row(self, name: str) -> dict[str, Any]:
            properties = {"value": self.parameters[name], "dataType": "Boolean", "isDynamicConfig": True}
            return {"name": name, "properties": {**properties, "allowedValues": "on,off"}}

        def expect_parameters(self) -> None:
            arm.expect("GET", f"{TARGET}/configurations", json={"value": [self.row(name) for name in self.parameters]})

        def expect_put(self, value: str, status: int = 202) -> None:
            self.parameters[LOCAL_SSD] = value
            sent = {"properties": {"value": value, "source": "user-override"}}
            answer = (
                self.row(LOCAL_SSD) if status == 200 else {"error": {"code": "AuthorizationFailed", "message": "no"}}
            )
            arm.expect("PUT", f"{TARGET}/configurations/{LOCAL_SSD}", status=status, body=sent, json=answer)
            if status == 202:
                arm.expect("GET", f"{TARGET}/configurations/{LOCAL_SSD}", json=answer)

    return Azure()


def rules(outcome: Any) -> dict[str, str]:
    assert not outcome.failed, outcome.result
    return {row["rule"]: row["severity"] for row in outcome["preflight"]["findings"]}


def test_nothing_is_found_where_all_is_well(run_module: Any, servers: Any) -> None:
    outcome = run_module(MODULE, SIDES)
    assert rules(outcome) == {} and outcome["changed"] is False
    assert outcome["preflight"]["blocks"] == 0 and outcome["preflight"]["applied"] == []


def test_servers_that_do_not_answer_are_findings(run_module: Any, servers: Any) -> None:
    refused = 'FATAL:  password authentication failed for user "mover"'
    servers["shop-old"].errors.append(psycopg.OperationalError(refused))
    servers["shop-new"].errors.append(psycopg.OperationalError("connection refused"))
    outcome = run_module(MODULE, SIDES)
    codes = {row["side"]: row["code"] for row in outcome["preflight"]["findings"]}
    assert codes == {"source": "603100", "target": "603000"} and "Marker-Secret" not in outcome.raw_output


def test_strict_fails_with_everything_that_was_found(run_module: Any, servers: Any) -> None:
    outcome = run_module(MODULE, {**SIDES, "strict": True, "databases": ["Shop"]})
    assert outcome.failed and outcome["failure"]["code"] == "Blocked" and not outcome["changed"]
    assert "The source has no database Shop." in outcome["msg"] and outcome["preflight"]["blocks"] == 1


def test_an_unknown_remedy_lists_the_known_ones(run_module: Any, servers: Any) -> None:
    outcome = run_module(MODULE, {**SIDES, "remedies": ["everything"]})
    assert outcome.failed and "replica_identity" in outcome["msg"] and "everything" in outcome["msg"]


def test_what_is_remembered_needs_a_name(run_module: Any, servers: Any) -> None:
    outcome = run_module(MODULE, {**SIDES, "restore_remembered": True})
    assert outcome.failed and "remember" in outcome["msg"]


def test_a_remedy_is_applied_and_shown(run_module: Any, servers: Any) -> None:
    servers["shop-old"].keyless = ["public.t"]
    args = {**SIDES, "remedies": ["replica_identity"]}
    foretold = run_module(MODULE, args, check_mode=True, diff=True)
    assert foretold["changed"] and servers["shop-old"].written == []
    made = run_module(MODULE, args, diff=True)
    assert servers["shop-old"].written == ["ALTER TABLE public.t REPLICA IDENTITY FULL"]
    assert made["preflight"]["applied"] == foretold["preflight"]["applied"] and rules(made) == {}
    assert (
        made["diff"]
        == foretold["diff"]
        == {
            "before": {"public.t of the source": "DEFAULT"},
            "after": {"public.t of the source": "FULL"},
        }
    )
    again = run_module(MODULE, args)
    assert not again["changed"] and len(servers["shop-old"].written) == 1


def test_restore_takes_what_was_returned(run_module: Any, servers: Any) -> None:
    servers["shop-old"].keyless = ["public.t"]
    made = run_module(MODULE, {**SIDES, "remedies": ["replica_identity"]})
    args = {**SIDES, "restore": made["preflight"]["previous"]}
    assert run_module(MODULE, args, check_mode=True)["changed"] and len(servers["shop-old"].written) == 1
    assert run_module(MODULE, args)["changed"]
    assert servers["shop-old"].written[-1] == "ALTER TABLE public.t REPLICA IDENTITY DEFAULT"
    assert not run_module(MODULE, args)["changed"]


def test_no_remedy_without_both_servers(run_module: Any, servers: Any) -> None:
    servers["shop-new"].errors.append(psycopg.OperationalError("timeout expired"))
    outcome = run_module(MODULE, {**SIDES, "remedies": ["timeouts"]})
    assert outcome.failed and outcome["failure"]["code"] == "NotReachable"


def test_azure_tells_of_the_target(run_module: Any, servers: Any, azure: Any) -> None:
    properties = {"currentStatus": {"state": "InProgress"}, "migrationMode": "Online"}
    azure.expect(
        tier="Burstable", storage=8, active=[{"id": f"{TARGET}/migrations/x", "name": "x", "properties": properties}]
    )
    found = rules(run_module(MODULE, azure.args))
    assert found == {
        "burstable": "warns",
        "small_storage": "blocks",
        "active_migration": "blocks",
        "local_ssd": "warns",
    }


def test_what_azure_refuses_is_a_finding(run_module: Any, servers: Any, arm: Any, azure: Any) -> None:
    arm.fail_everything(status=403)
    outcome = run_module(MODULE, azure.args)
    assert rules(outcome) == {"azure_refuses": "warns"} and outcome["preflight"]["warns"] == 3
    assert arm.writes == []


def test_a_target_that_azure_does_not_know_fails(run_module: Any, servers: Any, arm: Any, azure: Any) -> None:
    arm.fail_everything(status=404, code="ResourceNotFound")
    outcome = run_module(MODULE, azure.args)
    assert outcome.failed and outcome["failure"]["code"] == "ResourceNotFound"


def test_a_parameter_of_the_target_is_set_once(run_module: Any, servers: Any, arm: Any, azure: Any) -> None:
    args = {**azure.args, "remedies": ["temp_tablespaces"]}
    azure.expect()
    azure.expect_parameters()
    foretold = run_module(MODULE, args, check_mode=True)
    assert foretold["changed"] and arm.writes == []
    azure.expect()
    azure.expect_parameters()
    azure.expect_put("off")
    azure.expect()
    made = run_module(MODULE, args)
    assert made["changed"], made.result
    assert rules(made) == {} and len(arm.writes) == 1
    azure.expect()
    azure.expect_parameters()
    assert not run_module(MODULE, args)["changed"] and len(arm.writes) == 1


def test_a_refused_write_tells_that_nothing_was_done(run_module: Any, servers: Any, azure: Any) -> None:
    azure.expect()
    azure.expect_parameters()
    azure.expect_put("off", status=403)
    outcome = run_module(MODULE, {**azure.args, "remedies": ["temp_tablespaces"]})
    assert outcome.failed and outcome["failure"]["code"] == "AuthorizationFailed" and not outcome["changed"]
    assert outcome["preflight"]["previous"] == {} and outcome["preflight"]["blocks"] == 0


def test_a_remedy_that_needs_the_resource_names_the_option(run_module: Any, servers: Any) -> None:
    outcome = run_module(MODULE, {**SIDES, "remedies": ["temp_tablespaces"]})
    assert outcome.failed and "target_server" in outcome["msg"]


def test_no_databases(run_module: Any, servers: Any) -> None:
    outcome = run_module(MODULE, {**SIDES, "databases": []})
    assert outcome.failed and outcome["failure"]["code"] == "NoDatabases"
