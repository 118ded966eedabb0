# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "firewall_rules"
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
PROVIDER = f"{SUB}/resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL"
FLEXIBLE = f"{PROVIDER}/flexibleServers/shop-new"
SINGLE = f"{PROVIDER}/servers/shop-old"
OPERATION = f"{SUB}/providers/Microsoft.DBforPostgreSQL/locations/westeurope/azureAsyncOperation/1"
ACCEPTED = {"Azure-AsyncOperation": f"https://management.azure.com{OPERATION}?api-version=1", "Retry-After": "1"}
OFFICE = {"name": "office", "start_ip_address": "203.0.113.0", "end_ip_address": "203.0.113.255"}
AZURE = {"name": "azure", "start_ip_address": "0.0.0.0", "end_ip_address": "0.0.0.0"}
HOME = {"name": "Home", "start_ip_address": "198.51.100.7", "end_ip_address": "198.51.100.7"}


def answer(rule: dict[str, Any], server: str = FLEXIBLE) -> dict[str, Any]:
    properties = {"startIpAddress": rule["start_ip_address"], "endIpAddress": rule["end_ip_address"]}
    return {"id": f"{server}/firewallRules/{rule['name']}", "name": rule["name"], "properties": properties}


def expect_list(arm: Any, *rules: dict[str, Any], server: str = FLEXIBLE) -> None:
    arm.expect("GET", f"{server}/firewallRules", json={"value": [answer(rule, server) for rule in rules]})


def expect_server(arm: Any, server: str = FLEXIBLE, state: str = "Ready", **properties: Any) -> None:
    key = "state" if "flexible" in server else "userVisibleState"
    found = {"id": server, "name": server.rsplit("/", 1)[1], "properties": {key: state, **properties}}
    arm.expect("GET", server, json=found)


def expect_put(arm: Any, rule: dict[str, Any], server: str = FLEXIBLE) -> None:
    url = f"{server}/firewallRules/{rule['name']}"
    arm.expect("PUT", url, status=202, headers=ACCEPTED, body={"properties": answer(rule)["properties"]})
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})
    arm.expect("GET", url, json=answer(rule, server))


def expect_delete(arm: Any, name: str, server: str = FLEXIBLE) -> None:
    arm.expect("DELETE", f"{server}/firewallRules/{name}", status=202, headers=ACCEPTED)
    arm.expect("GET", OPERATION, json={"status": "Succeeded"})


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    where = {"resource_group": "shop-rg", "server_name": "shop-new", "server_type": "flexible_server"}
    return {**sign_in, **where, "rules": [OFFICE, {"name": "azure", "start_ip_address": "0.0.0.0"}]}


def test_missing_rules_are_made_and_others_left_alone(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm, HOME)
    expect_server(arm)
    expect_put(arm, AZURE)
    expect_put(arm, OFFICE)
    result = run_module(MODULE, args, diff=True)
    assert result["changed"]
    assert result["firewall_rules"] == {"server": FLEXIBLE, "rules": [AZURE, HOME, OFFICE]}
    assert result["diff"] == {"before": {"server": FLEXIBLE, "rules": [HOME]}, "after": result["firewall_rules"]}


def test_nothing_to_do_is_one_request(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm, {**OFFICE, "name": "Office"}, AZURE)
    result = run_module(MODULE, args)
    assert not result["changed"] and len(arm.requests) == 1
    assert [rule["name"] for rule in result["firewall_rules"]["rules"]] == ["azure", "Office"]


def test_a_rule_with_other_addresses_is_changed(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm, {**OFFICE, "end_ip_address": "203.0.113.9"}, AZURE)
    expect_server(arm)
    expect_put(arm, OFFICE)
    assert run_module(MODULE, args)["firewall_rules"]["rules"] == [AZURE, OFFICE]


def test_exact_removes_the_others_last(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm, HOME, AZURE)
    expect_server(arm)
    expect_put(arm, OFFICE)
    expect_delete(arm, "Home")
    result = run_module(MODULE, {**args, "exact": True})
    assert result["changed"] and result["firewall_rules"]["rules"] == [AZURE, OFFICE]


def test_no_rules_at_all(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm, HOME)
    expect_server(arm)
    expect_delete(arm, "Home")
    assert run_module(MODULE, {**args, "rules": [], "exact": True})["firewall_rules"]["rules"] == []
    refused = run_module(MODULE, {**args, "rules": []})
    assert refused["msg"] == "rules is empty: name at least one rule, or set exact to have none."


def test_check_mode_and_diff_foretell_the_run(run_module: Any, arm: Any, args: Any) -> None:
    for _each in range(2):
        expect_list(arm, HOME)
        expect_server(arm)
    foretold = run_module(MODULE, {**args, "exact": True}, check_mode=True, diff=True)
    assert foretold["changed"] and arm.writes == []
    expect_put(arm, AZURE)
    expect_put(arm, OFFICE)
    expect_delete(arm, "Home")
    assert run_module(MODULE, {**args, "exact": True}, diff=True).result == foretold.result


def test_rules_are_taken_away(run_module: Any, arm: Any, args: Any) -> None:
    absent = {**args, "rules": [{"name": "OFFICE"}, {"name": "nope"}], "state": "absent"}
    expect_list(arm, OFFICE, HOME)
    expect_delete(arm, "office")
    result = run_module(MODULE, absent, diff=True)
    assert result["changed"] and result["firewall_rules"] is None
    assert result["diff"] == {"before": {"server": FLEXIBLE, "rules": [OFFICE]}, "after": {}}
    expect_list(arm, HOME)
    assert not run_module(MODULE, absent)["changed"]


def test_a_single_server(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm, server=SINGLE)
    expect_server(arm, SINGLE)
    expect_put(arm, OFFICE, SINGLE)
    single = {**args, "server_name": "shop-old", "server_type": "single_server", "rules": [OFFICE]}
    assert run_module(MODULE, single)["firewall_rules"] == {"server": SINGLE, "rules": [OFFICE]}


def test_the_rules_of_another_server(run_module: Any, arm: Any, args: Any) -> None:
    other = "99999999-1111-1111-1111-111111111111"
    source = SINGLE.replace("11111111-1111-1111-1111-111111111111", other)
    where = {"server_type": "single_server", "resource_group": "shop-rg", "server_name": "shop-old"}
    expect_list(arm, HOME)
    expect_list(arm, {**OFFICE, "end_ip_address": "203.0.113.1"}, AZURE, server=source)
    expect_server(arm)
    expect_put(arm, AZURE)
    expect_put(arm, OFFICE)
    expect_delete(arm, "Home")
    copied = {**args, "rules": [OFFICE], "exact": True, "copy_from": {**where, "subscription_id": other}}
    assert run_module(MODULE, copied)["firewall_rules"]["rules"] == [AZURE, OFFICE]
    refused = run_module(MODULE, {**copied, "state": "absent"})
    assert refused["msg"] == "copy_from can not be used with the state absent: name the rules."


def test_a_source_that_can_not_be_read(run_module: Any, arm: Any, args: Any) -> None:
    where = {"server_type": "single_server", "resource_group": "shop-rg", "server_name": "shop-old"}
    expect_list(arm)
    arm.expect("GET", f"{SINGLE}/firewallRules", status=404, json=error("ResourceNotFound"))
    result = run_module(MODULE, {**args, "rules": None, "copy_from": where})
    assert result["msg"].startswith("Failed to read the firewall rules of shop-old in shop-rg: Because (Resource")


def test_all_wrong_rules_are_named_before_any_request(run_module: Any, arm: Any, args: Any) -> None:
    rules = [
        {"name": "a b", "start_ip_address": "10.0.0.1"},
        {"name": "twice", "start_ip_address": "10.0.0.1"},
        {"name": "Twice", "start_ip_address": "10.0.0.300"},
        {"name": "six", "start_ip_address": "2001:db8::1"},
        {"name": "round", "start_ip_address": "10.0.0.9", "end_ip_address": "10.0.0.10"},
        {"name": "back", "start_ip_address": "10.0.0.10", "end_ip_address": "10.0.0.9"},
        {"name": "none"},
        {"name": "net", "start_ip_address": "10.0.0.0/24", "end_ip_address": "office"},
    ]
    result = run_module(MODULE, {**args, "rules": rules})
    assert result.failed and arm.requests == [] and result["failure"]["code"] == "InvalidRules"
    assert result["msg"] == (
        "Failed to update the firewall rules of shop-new in shop-rg, nothing was changed: "
        "'a b' is no name for a rule: letters, digits, - and _ only; "
        "Twice is there more than once; "
        "Twice has the start_ip_address '10.0.0.300', which is no IP address; "
        "six has the start_ip_address '2001:db8::1', but the service takes IPv4 addresses only; "
        "back starts at 10.0.0.10, which is after its end 10.0.0.9; "
        "none has no start_ip_address; "
        "net has the start_ip_address '10.0.0.0/24', which is no IP address; "
        "net has the end_ip_address 'office', which is no IP address. "
        "Correct the option rules."
    )


def test_a_server_inside_a_network_has_none(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm)
    expect_server(arm, network={"delegatedSubnetResourceId": f"{SUB}/subnet"})
    result = run_module(MODULE, args)
    assert result["failure"]["code"] == "NoFirewall" and arm.writes == []


def test_a_stopped_server_is_found_before_writing(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm)
    expect_server(arm, state="Stopped")
    assert run_module(MODULE, args)["failure"]["code"] == "ServerNotReady"


def test_a_busy_server_is_tried_again(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm, AZURE)
    expect_server(arm)
    arm.expect("PUT", f"{FLEXIBLE}/firewallRules/office", status=409, json=error("ServerIsBusy"))
    expect_put(arm, OFFICE)
    assert run_module(MODULE, args)["changed"]


def test_a_failure_in_between_says_what_is_there(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm)
    expect_server(arm)
    expect_put(arm, AZURE)
    arm.expect("PUT", f"{FLEXIBLE}/firewallRules/office", status=403, json=error("AuthorizationFailed", "You may not."))
    result = run_module(MODULE, args)
    assert result.failed and result["changed"]
    assert result["msg"].startswith("Failed to write the rule office of shop-new in shop-rg: You may not (Authoriza")
    assert result["firewall_rules"]["rules"] == [AZURE]


def test_an_unknown_server(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", f"{FLEXIBLE}/firewallRules", status=404, json=error("ResourceNotFound", "No such server."))
    result = run_module(MODULE, args)
    assert result["msg"].startswith("Failed to read the firewall rules of shop-new in shop-rg: No such server (Resou")


def test_time_is_up(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm, AZURE)
    expect_server(arm)
    arm.expect("PUT", f"{FLEXIBLE}/firewallRules/office", status=202, headers=ACCEPTED)
    arm.fallback = (200, {"status": "InProgress"})
    result = run_module(MODULE, {**args, "wait_timeout": 0})
    assert result["failure"]["code"] == "Timeout" and result["failure"]["hint"].endswith("run again to pick it up.")


def test_without_waiting_only_the_last_one_is_left_running(run_module: Any, arm: Any, args: Any) -> None:
    expect_list(arm)
    expect_server(arm)
    expect_put(arm, AZURE)
    arm.expect("PUT", f"{FLEXIBLE}/firewallRules/office", status=202, headers=ACCEPTED)
    assert run_module(MODULE, {**args, "wait": False})["firewall_rules"]["rules"] == [AZURE, OFFICE]
