# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "virtual_network_rule"
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{SUB}/resourceGroups/shop-rg"
SERVER = f"{GROUP}/providers/Microsoft.DBforPostgreSQL/servers/shop-old"
SUBNETS = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/shop-vnet/subnets"
OPERATION = f"{SUB}/providers/Microsoft.DBforPostgreSQL/locations/westeurope/azureAsyncOperation/1"
ACCEPTED = {"Azure-AsyncOperation": f"https://management.azure.com{OPERATION}?api-version=1", "Retry-After": "1"}


def row(name: str, subnet: str = "app", *, ignore: bool = False, state: str = "Ready") -> dict[str, Any]:
    return {
        "name": name,
        "subnet_id": f"{SUBNETS}/{subnet}",
        "ignore_missing_vnet_service_endpoint": ignore,
        "state": state,
    }


def answer(rule: dict[str, Any]) -> dict[str, Any]:
    properties = {
        "virtualNetworkSubnetId": rule["subnet_id"],
        "ignoreMissingVnetServiceEndpoint": rule["ignore_missing_vnet_service_endpoint"],
        "state": rule["state"],
    }
    return {"id": f"{SERVER}/virtualNetworkRules/{rule['name']}", "name": rule["name"], "properties": properties}


def expect_list(arm: Any, *rules: dict[str, Any]) -> None:
    arm.expect("GET", f"{SERVER}/virtualNetworkRules", json={"value": [answer(rule) for rule in rules]})


def expect_server(arm: Any, tier: str = "GeneralPurpose") -> None:
    found = {"id": SERVER, "name": "shop-old", "sku": {"tier": tier}, "properties": {"userVisibleState": "Ready"}}
    arm.expect("GET", SERVER, json=found)


def expect_put(arm: Any, rule: dict[str, Any]) -> None:
    url = f"{SERVER}/virtualNetworkRules/{rule['name']}"
    sent = {name: value for name, value in answer(rule)["properties"].items() if name != "state"}
    arm.expect("PUT", url, status=202, headers=ACCEPTED, body={"properties": sent})
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    arm.expect("GET", url, json=answer(rule))


def expect_delete(arm: Any, name: str) -> None:
    arm.expect("DELETE", f"{SERVER}/virtualNetworkRules/{name}", status=202, headers=ACCEPTED)
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    rules = [{"name": "pgflex-app", "subnet_id": f"{SUBNETS}/app"}]
    return {**sign_in, "resource_group": "shop-rg", "server_name": "shop-old", "rules": rules}


def test_a_missing_rule_is_made_and_others_left_alone(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm, row("jobs", "jobs", state="Unknown"))
    expect_server(arm)
    expect_put(arm, row("pgflex-app"))
    result = run_module(MODULE, args, diff=True)
    assert result["changed"]
    assert result["virtual_network_rule"]["rules"] == [row("jobs", "jobs", state="Unknown"), row("pgflex-app")]
    assert result["diff"]["after"] == result["virtual_network_rule"]


@pytest.mark.parametrize("there", [row("PGFLEX-app"), row("pgflex-app", "APP", ignore=True, state="InProgress")])
def test_a_rule_that_is_there(run_module: Any, arm: Any, args: Any, there: dict[str, Any]) -> None:
    expect_list(arm, there)
    result = run_module(MODULE, args)
    assert not result["changed"] and result["virtual_network_rule"]["rules"] == [there]


def test_another_subnet_and_another_wish_are_changes(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm, row("pgflex-app", "jobs", ignore=True))
    expect_server(arm)
    expect_put(arm, row("pgflex-app", ignore=True))
    assert run_module(MODULE, args)["changed"]
    args["rules"][0]["ignore_missing_vnet_service_endpoint"] = False
    expect_list(arm, row("pgflex-app", ignore=True))
    expect_server(arm)
    expect_put(arm, row("pgflex-app"))
    assert run_module(MODULE, args)["changed"]


def test_check_mode_and_diff_foretell_the_run(run_module: Any, arm: Any, args: Any) -> None:
    for _each in range(2):
        expect_list(arm, row("jobs", "jobs"))
        expect_server(arm)
    foretold = run_module(MODULE, {**args, "exact": True}, check_mode=True, diff=True)
    assert foretold["changed"] and arm.writes == []
    expect_put(arm, row("pgflex-app"))
    expect_delete(arm, "jobs")
    assert run_module(MODULE, {**args, "exact": True}, diff=True).result == foretold.result


def test_rules_are_taken_away(run_module: Any, arm: Any, args: Any) -> None:
    absent = {**args, "rules": [{"name": "pgflex-app"}], "state": "absent"}
    expect_list(arm, row("jobs", "jobs"), row("pgflex-app"))
    expect_delete(arm, "pgflex-app")
    result = run_module(MODULE, absent)
    assert result["changed"] and result["virtual_network_rule"] is None
    expect_list(arm, row("jobs", "jobs"))
    assert not run_module(MODULE, absent)["changed"]


def test_a_subnet_without_the_service_endpoint(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm)
    expect_server(arm)
    answered = error("VirtualNetworkRuleBadRequest", "Not provisioned for service endpoint Microsoft.Sql.")
    arm.expect("PUT", f"{SERVER}/virtualNetworkRules/pgflex-app", status=400, json=answered)
    result = run_module(MODULE, args)
    assert result.failed and "pgflex.migrate.subnet with service_endpoints" in result["msg"]


def test_a_basic_server_takes_none(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm)
    expect_server(arm, "Basic")
    result = run_module(MODULE, args)
    assert result["failure"]["code"] == "NoVirtualNetworkRules" and arm.writes == []


def test_all_wrong_rules_are_named_before_any_request(run_module: Any, arm: Any, args: Any) -> None:
    rules = [{"name": "a"}, {"name": "b", "subnet_id": "app"}, {"name": "c", "subnet_id": SERVER}, {"name": "A"}]
    result = run_module(MODULE, {**args, "rules": rules})
    assert result.failed and arm.requests == []
    assert result["msg"] == (
        "Failed to update the virtual network rule of shop-old in shop-rg, nothing was changed: "
        "A is there more than once; a has no subnet_id; "
        "b has the subnet_id 'app', which is not the id of a subnet; "
        f"c has the subnet_id '{SERVER}', which is not the id of a subnet; A has no subnet_id. "
        "Correct the option rules."
    )


def test_missing_rights(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{SERVER}/virtualNetworkRules", status=403, json=error("AuthorizationFailed", "You may not."))
    result = run_module(MODULE, args)
    assert result["msg"].startswith("Failed to read the virtual network rule of shop-old in shop-rg: You may not (Auth")


def test_time_is_up(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm)
    expect_server(arm)
    arm.expect("PUT", f"{SERVER}/virtualNetworkRules/pgflex-app", status=202, headers=ACCEPTED)
    arm.fallback = (200, {"status": "InProgress"})
    assert run_module(MODULE, {**args, "wait_timeout": 0})["failure"]["code"] == "Timeout"
