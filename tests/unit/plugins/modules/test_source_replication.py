# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._source import replication
from ansible_collections.pgflex.migrate.plugins.modules import source_replication

MODULE = "source_replication"
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
SERVER = f"{SUB}/resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL/servers/shop-old"
SUPPORT = f"{SERVER}/configurations/azure.replication_support"
OPERATION = f"{SUB}/providers/Microsoft.DBforPostgreSQL/locations/westeurope/azureAsyncOperation/1"
ACCEPTED = {"Azure-AsyncOperation": f"https://management.azure.com{OPERATION}?api-version=1", "Retry-After": "1"}
ON = {"server": SERVER, "parameters": {"azure.replication_support": "LOGICAL"}}
FACTS = replication.Facts("logical", 10, 0, 10, 0, 60000, "migrator", may_replicate=True)
PASSWORD = "Marker-Password-1"


def support(value: str, allowed: str = "OFF,REPLICA,LOGICAL") -> dict[str, Any]:
    properties = {"value": value, "defaultValue": "REPLICA", "dataType": "Enumeration", "allowedValues": allowed}
    return {"id": SUPPORT, "name": "azure.replication_support", "properties": properties}


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "resource_group": "shop-rg", "server_name": "shop-old", "restart": True}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Arguments for a server of one's own, and facts about it that tests change."""
    facts: dict[str, Any] = {}
    monkeypatch.setattr(source_replication, "read_facts", lambda server, database: replace(FACTS, **facts))
    source = {"host": "db1.example.com", "user": "migrator", "password": PASSWORD}
    return {"args": {"source": source, "databases": ["shop", "stock"]}, "facts": facts}


def expect_state(arm: Any, state: str) -> None:
    arm.expect("GET", SERVER, json={"id": SERVER, "name": "shop-old", "properties": {"userVisibleState": state}})


def expect_switch(arm: Any, value: str) -> None:
    body = {"properties": {"value": value, "source": "user-override"}}
    arm.expect("PUT", SUPPORT, status=202, headers=ACCEPTED, body=body)
    arm.expect("GET", OPERATION, json={"status": "InProgress"})
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    arm.expect("GET", SUPPORT, json=support(value))
    arm.expect("POST", f"{SERVER}/restart", status=202, headers=ACCEPTED)
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    expect_state(arm, "Disabled")
    expect_state(arm, "Ready")


def test_one_request_when_it_is_on(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SUPPORT, json=support("LOGICAL"))
    result = run_module(MODULE, {**args, "restart": False})
    assert not result["changed"] and arm.writes == []
    assert result["source_replication"] == ON
    assert result["restarted"] is False and result["previous"] == {}


def test_turns_it_on_and_waits_until_the_server_is_ready(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SUPPORT, json=support("REPLICA"))
    expect_state(arm, "Ready")
    expect_switch(arm, "LOGICAL")
    result = run_module(MODULE, args)
    assert result["changed"] and result["restarted"]
    assert result["source_replication"] == ON
    assert result["previous"] == {"azure.replication_support": "REPLICA"}


def test_check_mode_writes_nothing_and_foretells(run_module: Any, arm: Any, args: Any) -> None:
    for _each in range(2):
        arm.expect("GET", SUPPORT, json=support("OFF"))
        expect_state(arm, "Ready")
    foretold = run_module(MODULE, args, check_mode=True, diff=True)
    assert foretold["changed"] and arm.writes == []
    assert foretold["diff"] == {
        "before": {"parameters": {"azure.replication_support": "OFF"}},
        "after": {"parameters": {"azure.replication_support": "LOGICAL"}},
    }
    expect_switch(arm, "LOGICAL")
    assert run_module(MODULE, args, diff=True).result == foretold.result


@pytest.mark.parametrize("check_mode", [False, True])
def test_no_restart_without_leave(run_module: Any, arm: Any, args: Any, check_mode: bool) -> None:
    arm.expect("GET", SUPPORT, json=support("REPLICA"))
    result = run_module(MODULE, {**args, "restart": False}, check_mode=check_mode)
    assert result.failed and arm.writes == []
    assert result["failure"]["code"] == "RestartNotAllowed"
    assert result["msg"] == (
        "azure.replication_support of shop-old in shop-rg is REPLICA and has to become LOGICAL, which takes a restart "
        "with 2 to 3 minutes of downtime. Nothing was changed. "
        "Set the option restart, in the roles pgflex.allow_source_restart, to true to allow it."
    )


@pytest.mark.parametrize("value", ["REPLICA", "OFF"])
def test_turns_it_off(run_module: Any, arm: Any, args: Any, value: str) -> None:
    asked = {**args, "state": "absent", "off_value": value}
    for _each in range(2):
        arm.expect("GET", SUPPORT, json=support("LOGICAL"))
        expect_state(arm, "Ready")
    foretold = run_module(MODULE, asked, check_mode=True, diff=True)
    assert foretold["diff"]["after"] == {"parameters": {"azure.replication_support": value}}
    expect_switch(arm, value)
    result = run_module(MODULE, asked, diff=True)
    assert result.result == foretold.result
    assert result["changed"] and result["source_replication"] is None
    assert result["previous"] == {"azure.replication_support": "LOGICAL"}


def test_absent_leaves_what_is_off(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SUPPORT, json=support("OFF"))
    result = run_module(MODULE, {**args, "state": "absent"}, diff=True)
    assert not result["changed"] and result["diff"]["before"] == result["diff"]["after"]


def test_a_tier_that_can_not_is_a_clear_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SUPPORT, json=support("OFF", "OFF"))
    result = run_module(MODULE, args)
    assert "azure.replication_support is 'LOGICAL' and has to be one of OFF" in result["msg"]


def test_an_unknown_server_is_a_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SUPPORT, status=404, json=error("ResourceNotFound", "No shop-old."))
    assert run_module(MODULE, args)["msg"] == (
        "Failed to read logical replication of shop-old in shop-rg: No shop-old (ResourceNotFound). "
        "Check the options resource_group, server_name and subscription_id."
    )


def test_missing_rights_are_a_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SUPPORT, json=support("REPLICA"))
    expect_state(arm, "Ready")
    arm.expect("PUT", SUPPORT, status=403, json=error("AuthorizationFailed", "You may not."))
    result = run_module(MODULE, args)
    assert result["failure"]["status"] == 403 and not result["changed"] and not result["restarted"]


def test_a_failed_restart_says_what_is_left_to_do(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SUPPORT, json=support("REPLICA"))
    expect_state(arm, "Ready")
    arm.expect("PUT", SUPPORT, json=support("LOGICAL"))
    arm.expect("POST", f"{SERVER}/restart", status=400, json=error("OperationFailed", "It does not."))
    result = run_module(MODULE, args)
    assert result.failed and result["changed"] and result["restarted"] is False
    assert result["msg"].startswith("Failed to restart shop-old in shop-rg: It does not (OperationFailed).")
    assert "do it with az postgres server restart" in result["msg"]


def test_a_disabled_server_is_a_clear_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SUPPORT, json=support("REPLICA"))
    expect_state(arm, "Disabled")
    result = run_module(MODULE, args)
    assert result["failure"]["code"] == "ServerNotReady" and arm.writes == []


def test_time_that_is_up_is_a_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", SUPPORT, json=support("REPLICA"))
    expect_state(arm, "Ready")
    arm.expect("PUT", SUPPORT, status=202, headers=ACCEPTED)
    asked, over = threading.Event(), threading.Event()
    arm.expect("GET", OPERATION, json={"status": "Failed"}, check=lambda _: asked.set() or over.wait(10))
    result = run_module(MODULE, {**args, "wait_timeout": 0})
    # The SDK's own thread goes on asking; it has to have ended before the script is taken away.
    assert asked.wait(10)
    over.set()
    assert result["failure"]["code"] == "Timeout" and "wait_timeout 0 s" in result["msg"]


def test_a_server_of_ones_own_that_is_ready(run_module: Any, arm: Any, own: Any) -> None:
    result = run_module(MODULE, own["args"])
    assert not result["changed"] and arm.requests == []
    assert result["source_replication"] == {
        "server": "db1.example.com:5432",
        "parameters": {
            "wal_level": "logical",
            "max_replication_slots": 10,
            "max_wal_senders": 10,
            "wal_sender_timeout": 60000,
        },
    }


def test_a_server_of_ones_own_that_lacks_several_things(run_module: Any, arm: Any, own: Any) -> None:
    own["facts"].update(wal_level="replica", used_replication_slots=9, may_replicate=False)
    result = run_module(MODULE, own["args"])
    assert result.failed and result["failure"]["code"] == "ReplicationNotReady"
    assert [row["name"] for row in result["lacking"]] == [
        "wal_level",
        "max_replication_slots",
        "max_wal_senders",
        "the user migrator",
    ]
    assert all(row["remedy"].rstrip(";") in result["msg"] for row in result["lacking"])
    assert PASSWORD not in result.raw_output


def test_a_short_timeout_is_a_warning(run_module: Any, arm: Any, own: Any) -> None:
    own["facts"].update(wal_sender_timeout=5000)
    result = run_module(MODULE, own["args"])
    assert not result.failed and "wal_sender_timeout" in str(result["warnings"])


def test_absent_is_not_for_a_server_of_ones_own(run_module: Any, arm: Any, own: Any) -> None:
    result = run_module(MODULE, {**own["args"], "state": "absent"})
    assert result.failed and result["failure"]["code"] == "NotSupported"


@pytest.mark.parametrize("given", [{}, {"server_name": "shop-old"}, {"server_name": "x", "resource_group": "y"}])
def test_one_source_has_to_be_named(run_module: Any, arm: Any, sign_in: Any, own: Any, given: dict[str, str]) -> None:
    more = own["args"] if "resource_group" in given else {}
    assert run_module(MODULE, {**sign_in, **given, **more}).failed and arm.requests == []
