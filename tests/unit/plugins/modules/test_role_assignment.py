# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "role_assignment"
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{SUB}/resourceGroups/shop-rg"
PRINCIPAL = "44444444-4444-4444-4444-444444444444"
CONTRIBUTOR = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/b24988ac-6180-42a0-ab88-20f7382dd24c"
# uuid5 of scope, role and principal: a name that changes would make every second run fail with RoleAssignmentExists.
NAME = "68cfd305-66f7-5eb9-90d8-346876dd67fb"


def url(scope: str = GROUP, name: str = "") -> str:
    return f"{scope}/providers/Microsoft.Authorization/roleAssignments" + (f"/{name}" if name else "")


def row(scope: str = GROUP, name: str = NAME) -> dict[str, Any]:
    return {
        "id": url(scope, name),
        "name": name,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "scope": scope,
            "roleDefinitionId": CONTRIBUTOR,
            "principalId": PRINCIPAL,
            "principalType": "ServicePrincipal",
        },
    }


def error(code: str, message: str = "Because.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "principal_id": PRINCIPAL, "scopes": [GROUP]}


def expect_nothing_there(arm: Any) -> None:
    arm.expect("GET", url(name=NAME), status=404, json=error("RoleAssignmentNotFound"))
    arm.expect("GET", url(), query={"$filter": f"principalId eq '{PRINCIPAL}'"}, json={"value": []})


def test_makes_the_assignment(run_module: Any, arm: Any, args: Any) -> None:
    expect_nothing_there(arm)
    sent = {
        "properties": {
            "roleDefinitionId": CONTRIBUTOR,
            "principalId": PRINCIPAL,
            "principalType": "ServicePrincipal",
        }
    }
    arm.expect("PUT", url(name=NAME), status=201, json=row(), body=sent)
    result = run_module(MODULE, args)
    assert result["changed"]
    assert result["role_assignment"]["assignments"][0]["name"] == NAME


def test_one_request_when_nothing_is_to_be_done(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", url(name=NAME), json=row())
    result = run_module(MODULE, args)
    assert not result["changed"] and arm.writes == []


def test_an_equal_assignment_of_somebody_else_counts(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", url(name=NAME), status=404, json=error("RoleAssignmentNotFound"))
    inherited = row(SUB, "66666666-6666-6666-6666-666666666666")
    arm.expect("GET", url(), json={"value": [inherited, row(name="77777777-7777-7777-7777-777777777777")]})
    result = run_module(MODULE, args)
    assert not result["changed"] and arm.writes == []


def test_an_inherited_assignment_does_not_count(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", url(name=NAME), status=404, json=error("RoleAssignmentNotFound"))
    arm.expect("GET", url(), json={"value": [row(SUB, "66666666-6666-6666-6666-666666666666")]})
    result = run_module(MODULE, args, check_mode=True)
    assert result["changed"]


def test_waits_for_a_new_principal(run_module: Any, arm: Any, args: Any) -> None:
    expect_nothing_there(arm)
    for _again in range(2):
        arm.expect("PUT", url(name=NAME), status=400, json=error("PrincipalNotFound"))
    arm.expect("PUT", url(name=NAME), status=201, json=row())
    assert run_module(MODULE, args)["changed"]


def test_a_principal_that_never_appears_is_a_clear_failure(run_module: Any, arm: Any, args: Any) -> None:
    expect_nothing_there(arm)
    arm.expect(
        "PUT", url(name=NAME), status=400, json=error("PrincipalNotFound", f"Principal {PRINCIPAL} does not exist")
    )
    result = run_module(MODULE, {**args, "wait_timeout": 0})
    assert result.failed and result["failure"]["code"] == "PrincipalNotFound"
    assert result["msg"].startswith(f"Failed to give {PRINCIPAL} the role Contributor at {GROUP}: ")


def test_an_assignment_made_in_the_meantime_is_success(run_module: Any, arm: Any, args: Any) -> None:
    expect_nothing_there(arm)
    arm.expect("PUT", url(name=NAME), status=409, json=error("RoleAssignmentExists"))
    arm.expect("GET", url(name=NAME), status=404, json=error("RoleAssignmentNotFound"))
    arm.expect("GET", url(), json={"value": [row(name="77777777-7777-7777-7777-777777777777")]})
    result = run_module(MODULE, args)
    assert not result.failed
    assert result["role_assignment"]["assignments"][0]["name"] == "77777777-7777-7777-7777-777777777777"


def test_check_mode_writes_nothing_and_foretells(run_module: Any, arm: Any, args: Any) -> None:
    expect_nothing_there(arm)
    result = run_module(MODULE, args, check_mode=True, diff=True)
    assert result["changed"] and arm.writes == []
    assert result["diff"] == {"before": {}, "after": result["role_assignment"]}
    assert result["role_assignment"]["assignments"][0]["id"] == url(name=NAME)


def test_takes_the_assignment_away(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", url(name=NAME), json=row())
    arm.expect("DELETE", url(name=NAME), json=row())
    result = run_module(MODULE, {**args, "state": "absent"})
    assert result["changed"] and result["role_assignment"] is None


def test_absent_without_an_assignment_changes_nothing(run_module: Any, arm: Any, args: Any) -> None:
    expect_nothing_there(arm)
    assert not run_module(MODULE, {**args, "state": "absent"})["changed"]


def test_missing_rights_name_action_and_scope(run_module: Any, arm: Any, args: Any) -> None:
    sentence = (
        "The client 'x' does not have authorization to perform action 'Microsoft.Authorization/roleAssignments/read'"
    )
    arm.expect("GET", url(name=NAME), status=403, json=error("AuthorizationFailed", sentence))
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["status"] == 403
    assert result["msg"].startswith(
        f"Failed to read the role assignments at {GROUP}: {sentence} (AuthorizationFailed)."
    )


def test_a_role_by_name_is_looked_up(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect(
        "GET",
        f"{SUB}/providers/Microsoft.Authorization/roleDefinitions",
        query={"$filter": "roleName eq 'No such role'"},
        json={"value": []},
    )
    result = run_module(MODULE, {**args, "role": "No such role"})
    assert result.failed and result["failure"]["code"] == "RoleDefinitionDoesNotExist"


def test_no_scopes_is_a_clear_failure(run_module: Any, arm: Any, args: Any) -> None:
    assert run_module(MODULE, {**args, "scopes": []})["msg"].startswith("scopes is empty")
