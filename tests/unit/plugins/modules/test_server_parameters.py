# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from typing import Any

import pytest

MODULE = "server_parameters"
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
PROVIDER = f"{SUB}/resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL"
FLEXIBLE = f"{PROVIDER}/flexibleServers/shop-new"
SINGLE = f"{PROVIDER}/servers/shop-old"
OPERATION = f"{SUB}/providers/Microsoft.DBforPostgreSQL/locations/westeurope/azureAsyncOperation/1"
ACCEPTED = {"Azure-AsyncOperation": f"https://management.azure.com{OPERATION}?api-version=1", "Retry-After": "1"}

ROWS: dict[str, dict[str, Any]] = {
    "work_mem": {"value": "4096", "defaultValue": "4096", "dataType": "Integer", "allowedValues": "4096-2097151"},
    "array_nulls": {"value": "on", "defaultValue": "on", "dataType": "Boolean", "allowedValues": "on,off"},
    "azure.extensions": {"value": "pg_trgm, hstore", "defaultValue": "", "dataType": "Set", "allowedValues": ""},
    "wal_level": {
        "value": "replica",
        "defaultValue": "replica",
        "dataType": "Enumeration",
        "allowedValues": "replica,logical",
        "isDynamicConfig": False,
    },
    "max_connections": {
        "value": "859",
        "defaultValue": "859",
        "dataType": "Integer",
        "allowedValues": "25-5000",
        "isDynamicConfig": False,
    },
    "ssl": {
        "value": "on",
        "defaultValue": "off",
        "dataType": "Boolean",
        "allowedValues": "on,off",
        "isReadOnly": True,
    },
}


def row(name: str, **properties: Any) -> dict[str, Any]:
    common = {"isDynamicConfig": True, "isReadOnly": False, "isConfigPendingRestart": False, "source": "system-default"}
    return {"id": f"{FLEXIBLE}/configurations/{name}", "name": name, "properties": common | ROWS[name] | properties}


def rows(**overrides: dict[str, Any]) -> dict[str, Any]:
    return {"value": [row(name, **overrides.get(name, {})) for name in ROWS]}


def single_rows() -> dict[str, Any]:
    known = ("value", "defaultValue", "dataType", "allowedValues")
    plain = [{"name": n, "properties": {k: ROWS[n][k] for k in known}} for n in ("work_mem", "max_connections")]
    return {"value": plain}


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    where = {"resource_group": "shop-rg", "server_name": "shop-new", "server_type": "flexible_server"}
    return {**sign_in, **where, "parameters": {"work_mem": 8192}}


@pytest.fixture
def single(args: dict[str, Any]) -> dict[str, Any]:
    return {**args, "server_name": "shop-old", "server_type": "single_server"}


def expect_state(arm: Any, state: str = "Ready", server: str = FLEXIBLE) -> None:
    key = "state" if server == FLEXIBLE else "userVisibleState"
    arm.expect("GET", server, json={"id": server, "name": server.rsplit("/", 1)[1], "properties": {key: state}})


def expect_put(arm: Any, name: str, value: str, source: str = "user-override", **answered: Any) -> None:
    url = f"{FLEXIBLE}/configurations/{name}"
    body = {"properties": {"value": value, "source": source}}
    arm.expect("PUT", url, status=202, headers=ACCEPTED, body=body)
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    arm.expect("GET", url, json=row(name, value=value, source=source, **answered))


def expect_restart(arm: Any, server: str = FLEXIBLE) -> None:
    arm.expect("POST", f"{server}/restart", status=202, headers=ACCEPTED)
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    expect_state(arm, "Restarting" if server == FLEXIBLE else "Disabled", server)
    expect_state(arm, "Ready", server)


def test_one_request_when_nothing_is_to_be_done(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    asked = {"work_mem": "4096", "array_nulls": True, "azure.extensions": ["hstore", "pg_trgm"], "ssl": "ON"}
    result = run_module(MODULE, {**args, "parameters": asked, "restart": True})
    assert not result["changed"] and arm.writes == []
    assert result["server_parameters"] == {
        "server": FLEXIBLE,
        "parameters": {"work_mem": "4096", "array_nulls": "on", "azure.extensions": "pg_trgm, hstore", "ssl": "on"},
        "previous": {},
        "restart_needed": [],
        "restarted": False,
    }


def test_writes_only_what_differs(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    expect_state(arm)
    expect_put(arm, "work_mem", "8192")
    expect_put(arm, "azure.extensions", "pg_trgm,uuid-ossp")
    asked = {"work_mem": 8192, "array_nulls": "ON", "azure.extensions": ["pg_trgm", "uuid-ossp"]}
    result = run_module(MODULE, {**args, "parameters": asked}, diff=True)
    assert result["changed"]
    assert result["server_parameters"]["previous"] == {"work_mem": "4096", "azure.extensions": "pg_trgm, hstore"}
    old = {"work_mem": "4096", "array_nulls": "on", "azure.extensions": "pg_trgm, hstore"}
    new = {"work_mem": "8192", "array_nulls": "on", "azure.extensions": "pg_trgm,uuid-ossp"}
    assert result["diff"] == {
        "before": {"parameters": old, "restart_needed": []},
        "after": {"parameters": new, "restart_needed": []},
    }


def test_null_resets(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows(work_mem={"value": "9999"}))
    expect_state(arm)
    expect_put(arm, "work_mem", "4096", "system-default")
    result = run_module(MODULE, {**args, "parameters": {"work_mem": None}})
    assert result["server_parameters"]["parameters"] == {"work_mem": "4096"}


def test_check_mode_writes_nothing_and_foretells(run_module: Any, arm: Any, args: Any) -> None:
    asked = {**args, "parameters": {"wal_level": "LOGICAL", "work_mem": 8192}, "restart": True}
    for _again in range(2):
        arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
        expect_state(arm)
    foretold = run_module(MODULE, asked, check_mode=True, diff=True)
    assert foretold["changed"] and arm.writes == []
    expect_put(arm, "wal_level", "logical", isConfigPendingRestart=True)
    expect_put(arm, "work_mem", "8192")
    expect_restart(arm)
    assert run_module(MODULE, asked, diff=True).result == foretold.result
    assert foretold["server_parameters"]["restarted"] is True


def test_a_restart_that_is_not_allowed_is_reported(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    expect_state(arm)
    expect_put(arm, "wal_level", "logical")
    found = run_module(MODULE, {**args, "parameters": {"wal_level": "logical"}})["server_parameters"]
    assert (found["restart_needed"], found["restarted"]) == (["wal_level"], False)


def test_a_restart_left_over_from_an_earlier_run(run_module: Any, arm: Any, args: Any) -> None:
    pending = rows(wal_level={"value": "logical", "isConfigPendingRestart": True})
    asked = {**args, "parameters": {"wal_level": "logical"}}
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=pending)
    result = run_module(MODULE, asked)
    assert not result["changed"] and result["server_parameters"]["restart_needed"] == ["wal_level"]
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=pending)
    expect_state(arm)
    expect_restart(arm)
    result = run_module(MODULE, {**asked, "restart": True})
    assert result["changed"] and result["server_parameters"]["restarted"]
    assert result["server_parameters"]["restart_needed"] == []


def test_the_service_may_ask_for_a_restart_on_its_own(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    expect_state(arm)
    expect_put(arm, "work_mem", "8192", isConfigPendingRestart=True)
    assert run_module(MODULE, args)["server_parameters"]["restart_needed"] == ["work_mem"]


def test_bad_values_are_all_named_before_anything_is_written(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    asked = {"work_men": 1, "ssl": "off", "work_mem": "64MB", "wal_level": "minimal", "array_nulls": "off"}
    result = run_module(MODULE, {**args, "parameters": asked})
    assert result.failed and arm.writes == []
    assert result["failure"]["code"] == "InvalidParameters"
    assert result["invalid_parameters"] == ["work_men", "ssl", "work_mem", "wal_level"]
    assert result["msg"] == (
        "Failed to set parameters of shop-new in shop-rg, nothing was changed: "
        "work_men is not a parameter of this server (is work_mem meant?); "
        "ssl is read-only, its value is 'on'; "
        "work_mem is '64MB' and has to be an integer; "
        "wal_level is 'minimal' and has to be one of replica, logical. "
        "Correct the option parameters."
    )


def test_a_busy_server_is_tried_again(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    expect_state(arm, "Updating")
    arm.expect("PUT", f"{FLEXIBLE}/configurations/work_mem", status=409, json=error("ServerIsBusy"))
    expect_put(arm, "work_mem", "8192")
    assert run_module(MODULE, args)["changed"]


def test_a_server_that_stays_busy_is_a_clear_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    expect_state(arm)
    sentence = (
        "Cannot complete operation while server 'shop-new' is busy processing another operation. Try again later."
    )
    arm.expect("PUT", f"{FLEXIBLE}/configurations/work_mem", status=409, json=error("ServerIsBusy", sentence))
    result = run_module(MODULE, {**args, "wait_timeout": 0})
    assert result.failed and result["failure"]["code"] == "ServerIsBusy"
    what = "set work_mem of shop-new in shop-rg to '8192'"
    assert result["msg"].startswith(f"Failed to {what}: {sentence[:-1]} (ServerIsBusy).")


def test_a_stopped_server_is_a_clear_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    expect_state(arm, "Stopped")
    result = run_module(MODULE, args)
    assert result["failure"]["code"] == "ServerNotReady" and arm.writes == []
    assert result["msg"] == (
        "shop-new in shop-rg can not be changed: its state is Stopped. "
        "Start it first: az postgres flexible-server start."
    )


def test_a_failure_half_way_says_what_was_written(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    expect_state(arm)
    expect_put(arm, "work_mem", "8192")
    arm.expect("PUT", f"{FLEXIBLE}/configurations/array_nulls", status=400, json=error("InvalidParameterValue"))
    result = run_module(MODULE, {**args, "parameters": {"work_mem": 8192, "array_nulls": "off"}})
    assert result.failed and result["changed"]
    assert result["server_parameters"] == {"server": FLEXIBLE, "previous": {"work_mem": "4096"}}
    assert result["msg"].startswith("Failed to set array_nulls of shop-new in shop-rg to 'off': ")


def test_an_unknown_server_is_a_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", status=404, json=error("ResourceNotFound", "No shop-new."))
    result = run_module(MODULE, args)
    assert result["msg"] == (
        "Failed to read the parameters of shop-new in shop-rg: No shop-new (ResourceNotFound). "
        "Check the options resource_group, server_name and subscription_id."
    )


def test_missing_rights_are_a_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    expect_state(arm)
    arm.expect("PUT", f"{FLEXIBLE}/configurations/work_mem", status=403, json=error("AuthorizationFailed", "No."))
    result = run_module(MODULE, args)
    assert result["failure"]["status"] == 403 and not result["changed"]


def test_time_that_is_up_is_a_failure(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    expect_state(arm)
    arm.expect("PUT", f"{FLEXIBLE}/configurations/work_mem", status=202, headers=ACCEPTED)
    asked, over = threading.Event(), threading.Event()
    arm.expect("GET", OPERATION, json={"status": "Failed"}, check=lambda _: asked.set() or over.wait(10))
    result = run_module(MODULE, {**args, "wait_timeout": 0})
    # The SDK's own thread goes on asking; it has to have ended before the script is taken away.
    assert asked.wait(10)
    over.set()
    assert result["failure"]["code"] == "Timeout"
    assert result["msg"].startswith("Failed to set work_mem of shop-new in shop-rg to '8192': not done after 0 s")


def test_without_waiting_the_last_write_is_only_started(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    expect_state(arm)
    expect_put(arm, "work_mem", "8192")
    arm.expect("PUT", f"{FLEXIBLE}/configurations/array_nulls", status=202, headers=ACCEPTED)
    asked = {"work_mem": 8192, "array_nulls": "off"}
    result = run_module(MODULE, {**args, "parameters": asked, "wait": False})
    assert result["server_parameters"]["parameters"] == {"work_mem": "8192", "array_nulls": "off"}


def test_without_waiting_the_restart_is_only_started(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    expect_state(arm)
    expect_put(arm, "wal_level", "logical", isConfigPendingRestart=True)
    arm.expect("POST", f"{FLEXIBLE}/restart", status=202, headers=ACCEPTED)
    asked = {"parameters": {"wal_level": "logical"}, "restart": True, "wait": False}
    assert run_module(MODULE, {**args, **asked})["server_parameters"]["restarted"]


def test_no_parameters_is_a_clear_failure(run_module: Any, arm: Any, args: Any) -> None:
    result = run_module(MODULE, {**args, "parameters": {}})
    assert result["msg"] == "parameters is empty: name at least one parameter."


def test_one_parameter_of_a_single_server(run_module: Any, arm: Any, single: Any) -> None:
    url = f"{SINGLE}/configurations/work_mem"
    arm.expect("GET", f"{SINGLE}/configurations", json=single_rows())
    expect_state(arm, server=SINGLE)
    arm.expect(
        "PUT", url, status=202, headers=ACCEPTED, body={"properties": {"value": "8192", "source": "user-override"}}
    )
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    arm.expect("GET", url, json=row("work_mem", value="8192"))
    found = run_module(MODULE, single)["server_parameters"]
    assert (found["parameters"], found["server"]) == ({"work_mem": "8192"}, SINGLE)


def test_several_of_a_single_server_in_one_request(run_module: Any, arm: Any, single: Any) -> None:
    arm.expect("GET", f"{SINGLE}/configurations", json=single_rows())
    expect_state(arm, server=SINGLE)
    sent = {
        "value": [
            {"name": "work_mem", "properties": {"value": "8192", "source": "user-override"}},
            {"name": "max_connections", "properties": {"value": "200", "source": "user-override"}},
        ]
    }
    arm.expect("POST", f"{SINGLE}/updateConfigurations", status=202, headers=ACCEPTED, body=sent)
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    expect_restart(arm, SINGLE)
    asked = {"parameters": {"work_mem": 8192, "max_connections": 200}, "restart": True}
    found = run_module(MODULE, {**single, **asked})["server_parameters"]
    assert found["parameters"] == {"work_mem": "8192", "max_connections": "200"}
    assert found["restarted"] and found["restart_needed"] == []


def test_a_refused_restart_of_a_single_server_says_what_is_left_to_do(run_module: Any, arm: Any, single: Any) -> None:
    arm.expect("GET", f"{SINGLE}/configurations", json=single_rows())
    expect_state(arm, server=SINGLE)
    arm.expect("PUT", f"{SINGLE}/configurations/max_connections", json=row("max_connections", value="200"))
    arm.expect("POST", f"{SINGLE}/restart", status=403, json=error("AuthorizationFailed", "You may not."))
    result = run_module(MODULE, {**single, "parameters": {"max_connections": 200}, "restart": True})
    assert result.failed and result["changed"]
    assert result["msg"].startswith("Failed to restart shop-old in shop-rg: You may not (AuthorizationFailed).")
    assert "az postgres server restart" in result["msg"]


def copying(args: dict[str, Any], **more: Any) -> dict[str, Any]:
    other = {"resource_group": "shop-rg", "server_name": "shop-old", "server_type": "single_server"}
    return {**args, "parameters": None, "copy_from": other, **more}


def expect_both(arm: Any, **overrides: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows(**overrides))
    theirs = single_rows()
    theirs["value"][0]["properties"]["value"] = "65536"
    theirs["value"][1]["properties"]["value"] = "100"
    arm.expect("GET", f"{SINGLE}/configurations", json=theirs)


def test_copies_what_somebody_has_set(run_module: Any, arm: Any, args: Any) -> None:
    expect_both(arm)
    expect_state(arm)
    expect_put(arm, "work_mem", "65536")
    result = run_module(MODULE, copying(args), diff=True)
    assert result["changed"] and result["server_parameters"]["previous"] == {"work_mem": "4096"}
    (left,) = result["server_parameters"]["left_out"]
    assert (left["name"], left["value"]) == ("max_connections", "100") and "memory" in left["reason"]
    assert result["diff"]["after"]["parameters"] == {"work_mem": "65536"}


def test_copied_parameters_that_are_there_change_nothing(run_module: Any, arm: Any, args: Any) -> None:
    expect_both(arm, work_mem={"value": "65536"})
    result = run_module(MODULE, copying(args))
    assert not result["changed"] and result["server_parameters"]["parameters"] == {"work_mem": "65536"}


def test_what_is_named_wins_over_what_is_copied(run_module: Any, arm: Any, args: Any) -> None:
    expect_both(arm)
    result = run_module(MODULE, copying(args, parameters={"Work_Mem": 4096}))
    assert not result["changed"] and arm.writes == []


def test_check_mode_copies_nothing(run_module: Any, arm: Any, args: Any) -> None:
    expect_both(arm)
    expect_state(arm)
    result = run_module(MODULE, copying(args), check_mode=True)
    assert result["changed"] and arm.writes == []


def test_a_server_to_copy_from_that_is_not_there(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/configurations", json=rows())
    arm.expect("GET", f"{SINGLE}/configurations", status=404, json=error("ResourceNotFound", "It was not found."))
    result = run_module(MODULE, copying(args))
    assert result["msg"].startswith("Failed to read the parameters of shop-old in shop-rg: It was not found")
