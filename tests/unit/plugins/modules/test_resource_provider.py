# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "resource_provider"
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
POSTGRESQL, MIGRATION, NETWORK = NEEDED = [
    "Microsoft.DBforPostgreSQL",
    "Microsoft.DataMigration",
    "Microsoft.Network",
]


def url(namespace: str, action: str = "") -> str:
    return f"{SUB}/providers/{namespace}{action}"


def provider(namespace: str, state: str = "Registered") -> dict[str, Any]:
    return {"id": url(namespace), "namespace": namespace, "registrationState": state, "resourceTypes": []}


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return dict(sign_in)


@pytest.fixture
def one(args: dict[str, Any]) -> dict[str, Any]:
    return {**args, "namespaces": [MIGRATION]}


def expect(arm: Any, state: str, namespace: str = MIGRATION) -> None:
    arm.expect("GET", url(namespace), json=provider(namespace, state))


def expect_registration(arm: Any, namespace: str = MIGRATION, state: str = "Registering") -> None:
    arm.expect("POST", url(namespace, "/register"), json=provider(namespace, state))


def test_one_request_each_when_all_are_registered(run_module: Any, arm: Any, args: Any) -> None:
    arm.any_order = True
    for namespace in NEEDED:
        expect(arm, "Registered", namespace)
    result = run_module(MODULE, args)
    assert not result["changed"] and arm.writes == []
    assert result["resource_providers"] == dict.fromkeys(NEEDED, "Registered")


def test_registers_the_missing_ones_and_waits(run_module: Any, arm: Any, args: Any) -> None:
    arm.any_order = True
    expect(arm, "Registered", POSTGRESQL)
    expect(arm, "NotRegistered", MIGRATION)
    expect(arm, "Unregistered", NETWORK)
    for namespace in (MIGRATION, NETWORK):
        expect_registration(arm, namespace)
        expect(arm, "Registering", namespace)
        expect(arm, "Registered", namespace)
    result = run_module(MODULE, args, diff=True)
    assert result["changed"] and {request.path for request in arm.writes} == {
        url(MIGRATION, "/register"),
        url(NETWORK, "/register"),
    }
    assert result["resource_providers"] == dict.fromkeys(NEEDED, "Registered")
    assert result["diff"]["before"][MIGRATION] == "NotRegistered"
    assert result["diff"]["after"] == result["resource_providers"]


def test_registered_at_once_needs_no_waiting(run_module: Any, arm: Any, one: Any) -> None:
    expect(arm, "NotRegistered")
    expect_registration(arm, state="Registered")
    assert run_module(MODULE, one)["resource_providers"] == {MIGRATION: "Registered"}


def test_a_registration_that_goes_on_is_waited_for_without_a_change(run_module: Any, arm: Any, one: Any) -> None:
    for state in ("Registering", "Registering", "Registered"):
        expect(arm, state)
    result = run_module(MODULE, one)
    assert not result["changed"] and arm.writes == []
    assert result["resource_providers"] == {MIGRATION: "Registered"}


def test_without_waiting_the_state_is_told_as_it_is(run_module: Any, arm: Any, one: Any) -> None:
    expect(arm, "NotRegistered")
    expect_registration(arm)
    result = run_module(MODULE, {**one, "wait": False})
    assert result["changed"] and result["resource_providers"] == {MIGRATION: "Registering"}


def test_a_second_run_without_waiting_changes_nothing(run_module: Any, arm: Any, one: Any) -> None:
    expect(arm, "Registering")
    result = run_module(MODULE, {**one, "wait": False})
    assert not result["changed"] and result["resource_providers"] == {MIGRATION: "Registering"}


def test_check_mode_writes_nothing_and_foretells(run_module: Any, arm: Any, one: Any) -> None:
    expect(arm, "NotRegistered")
    result = run_module(MODULE, one, check_mode=True, diff=True)
    assert result["changed"] and arm.writes == []
    assert result["diff"] == {"before": {MIGRATION: "NotRegistered"}, "after": {MIGRATION: "Registered"}}


def test_the_time_is_over(run_module: Any, arm: Any, one: Any) -> None:
    expect(arm, "NotRegistered")
    expect_registration(arm)
    expect(arm, "Registering")
    result = run_module(MODULE, {**one, "wait_timeout": 0})
    assert result.failed and result["failure"]["code"] == "Timeout"
    assert result["msg"].startswith(f"Failed to register the resource provider {MIGRATION}: not done after 0 s")
    assert "last state Registering" in result["msg"]


def test_names_are_compared_as_azure_does(run_module: Any, arm: Any, args: Any) -> None:
    arm.any_order = True
    expect(arm, "Registered")
    expect(arm, "Registered")
    result = run_module(MODULE, {**args, "namespaces": [MIGRATION.lower(), MIGRATION.upper()]})
    assert result["resource_providers"] == {MIGRATION: "Registered"} and not result["changed"]


def test_an_unknown_namespace_is_a_clear_failure(run_module: Any, arm: Any, args: Any) -> None:
    sentence = "The resource namespace 'Microsoft.Nothing' is invalid."
    arm.expect("GET", url("Microsoft.Nothing"), status=404, json=error("InvalidResourceNamespace", sentence))
    result = run_module(MODULE, {**args, "namespaces": ["Microsoft.Nothing"]})
    assert result["failure"]["status"] == 404
    assert result["msg"].startswith(
        "Failed to read the resource provider Microsoft.Nothing: The resource namespace 'Microsoft.Nothing' is invalid "
        "(InvalidResourceNamespace)."
    )


def test_missing_rights_name_the_action(run_module: Any, arm: Any, one: Any) -> None:
    sentence = "The client 'x' does not have authorization to perform action 'Microsoft.DataMigration/register/action'"
    expect(arm, "NotRegistered")
    arm.expect("POST", url(MIGRATION, "/register"), status=403, json=error("AuthorizationFailed", sentence))
    result = run_module(MODULE, one)
    assert result["failure"]["code"] == "AuthorizationFailed"
    assert result["msg"].startswith(f"Failed to register the resource provider {MIGRATION}: {sentence}")


def test_no_namespaces_is_a_clear_failure(run_module: Any, arm: Any, args: Any) -> None:
    assert run_module(MODULE, {**args, "namespaces": []})["msg"].startswith("namespaces is empty")


def test_no_subscription_is_a_clear_failure(run_module: Any, arm: Any, args: Any) -> None:
    del args["subscription_id"]
    assert run_module(MODULE, args)["failure"]["code"] == "MissingSubscription"
