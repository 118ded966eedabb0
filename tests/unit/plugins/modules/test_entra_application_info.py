# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "entra_application_info"
OBJECT = "88888888-8888-8888-8888-888888888888"
CLIENT = "99999999-9999-9999-9999-999999999999"
PRINCIPAL = "44444444-4444-4444-4444-444444444444"
TENANT = "33333333-3333-3333-3333-333333333333"
APPLICATIONS = "/v1.0/applications"
PRINCIPALS = "/v1.0/servicePrincipals"
FIELDS = "id,appId,displayName,signInAudience,passwordCredentials"


def application(client: str = CLIENT) -> dict[str, Any]:
    soon = {"keyId": OBJECT, "displayName": "a", "endDateTime": "2030-01-01T00:00:00.1234567Z", "hint": "abc"}
    late = {"keyId": PRINCIPAL, "displayName": None, "endDateTime": "2031-01-01T00:00:00Z", "hint": "xyz"}
    return {
        "id": OBJECT,
        "appId": client,
        "displayName": "shop",
        "signInAudience": "AzureADMyOrg",
        "passwordCredentials": [soon, late],
    }


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "name": "shop"}


def test_reads_an_application(run_module: Any, arm: Any, args: Any) -> None:
    query = {"$filter": "displayName eq 'shop'", "$select": FIELDS}
    arm.expect("GET", APPLICATIONS, query=query, json={"value": [application()]})
    arm.expect("GET", PRINCIPALS, json={"value": [{"id": PRINCIPAL, "appId": CLIENT}]})
    result = run_module(MODULE, args)
    assert not result["changed"]
    assert result["entra_applications"] == [
        {
            "name": "shop",
            "object_id": OBJECT,
            "client_id": CLIENT,
            "tenant": TENANT,
            "service_principal_id": PRINCIPAL,
            "sign_in_audience": "AzureADMyOrg",
            "client_secrets": [
                {"id": PRINCIPAL, "name": None, "expires": "2031-01-01T00:00:00Z"},
                {"id": OBJECT, "name": "a", "expires": "2030-01-01T00:00:00Z"},
            ],
        }
    ]


def test_reads_by_client_id(run_module: Any, arm: Any, args: Any) -> None:
    query = {"$filter": f"appId eq '{CLIENT}'", "$select": FIELDS}
    arm.expect("GET", APPLICATIONS, query=query, json={"value": [application()]})
    arm.expect("GET", PRINCIPALS, json={"value": []})
    del args["name"]
    result = run_module(MODULE, {**args, "app_id": CLIENT})
    assert result["entra_applications"][0]["service_principal_id"] is None


def test_several_of_one_name_over_two_pages(run_module: Any, arm: Any, args: Any) -> None:
    other = "12121212-1212-1212-1212-121212121212"
    following = f"https://graph.microsoft.com{APPLICATIONS}?$skiptoken=2"
    arm.expect("GET", APPLICATIONS, json={"value": [application()], "@odata.nextLink": following})
    arm.expect("GET", APPLICATIONS, query={"$skiptoken": "2"}, json={"value": [application(other)]})
    arm.expect("GET", PRINCIPALS, json={"value": []})
    arm.expect("GET", PRINCIPALS, json={"value": []})
    found = run_module(MODULE, args)["entra_applications"]
    assert [row["client_id"] for row in found] == [CLIENT, other]


def test_none_is_an_empty_list(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect("GET", APPLICATIONS, json={"value": []})
    assert run_module(MODULE, args)["entra_applications"] == []


def test_missing_permission_is_a_failure_and_no_empty_list(run_module: Any, arm: Any, args: Any) -> None:
    arm.fail_everything(403, "Authorization_RequestDenied", "Insufficient privileges.")
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == "Authorization_RequestDenied"
    assert result["msg"].startswith("Failed to read the application 'shop': Insufficient privileges")


@pytest.mark.parametrize("given", [{}, {"name": "shop", "app_id": CLIENT}])
def test_name_or_client_id_has_to_be_given(run_module: Any, arm: Any, sign_in: Any, given: dict[str, str]) -> None:
    result = run_module(MODULE, {**sign_in, **given})
    assert result.failed and "name" in result["msg"] and "app_id" in result["msg"]
