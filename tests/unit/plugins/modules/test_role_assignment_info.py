# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from .test_role_assignment import CONTRIBUTOR, GROUP, PRINCIPAL, SUB, error, row, url

MODULE = "role_assignment_info"


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "scopes": [GROUP]}


def test_reads_all_keys(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", url(), query={"$filter": "atScope()"}, json={"value": [row()]})
    assert run_module(MODULE, args)["role_assignments"] == [
        {
            "id": row()["id"],
            "name": row()["name"],
            "scope": GROUP,
            "role_definition_id": CONTRIBUTOR,
            "principal_id": PRINCIPAL,
            "principal_type": "ServicePrincipal",
        }
    ]


def test_asks_for_one_principal_only(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", url(), query={"$filter": f"principalId eq '{PRINCIPAL}'"}, json={"value": []})
    assert run_module(MODULE, {**args, "principal_id": PRINCIPAL})["role_assignments"] == []


def test_leaves_inherited_assignments_out(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", url(), json={"value": [row(SUB), row()]})
    assert [found["scope"] for found in run_module(MODULE, args)["role_assignments"]] == [GROUP]


def test_compares_scopes_without_case(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", url(), json={"value": [row(GROUP.lower())]})
    assert len(run_module(MODULE, args)["role_assignments"]) == 1


def test_follows_the_pages(run_module: Any, arm: Any, args: Any) -> None:
    more = f"https://management.azure.com{url()}?api-version=2022-04-01&$skiptoken=2"
    arm.expect("GET", url(), json={"value": [row()], "nextLink": more})
    arm.expect("GET", url(), json={"value": [row(name="77777777-7777-7777-7777-777777777777")]})
    assert len(run_module(MODULE, args)["role_assignments"]) == 2


def test_several_scopes_in_one_call(run_module: Any, arm: Any, args: Any) -> None:
    arm.any_order = True
    other = f"{SUB}/resourceGroups/stock-rg"
    arm.expect("GET", url(), json={"value": [row()]})
    arm.expect("GET", url(other), json={"value": [row(other)]})
    found = run_module(MODULE, {**args, "scopes": [GROUP, other]})["role_assignments"]
    assert [one["scope"] for one in found] == [GROUP, other]


def test_missing_rights_are_no_empty_list(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", url(), status=403, json=error("AuthorizationFailed", "You may not."))
    result = run_module(MODULE, args)
    assert result.failed and "You may not (AuthorizationFailed)." in result["msg"]


def test_check_mode_reads_as_well(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", url(), json={"value": [row()]})
    result = run_module(MODULE, args, check_mode=True, diff=True)
    assert not result["changed"] and len(result["role_assignments"]) == 1 and "diff" not in result
