# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

MODULE = "entra_application"
OBJECT = "88888888-8888-8888-8888-888888888888"
CLIENT = "99999999-9999-9999-9999-999999999999"
PRINCIPAL = "44444444-4444-4444-4444-444444444444"
TENANT = "33333333-3333-3333-3333-333333333333"
OLD_KEY = "77777777-7777-7777-7777-777777777777"
NEW_KEY = "66666666-6666-6666-6666-666666666666"
FOREIGN_KEY = "55555555-5555-5555-5555-555555555555"
UNKNOWN = "00000000-0000-0000-0000-000000000000"
SECRET = "aB3~the-new-client-secret"
APPLICATIONS = "/v1.0/applications"
PRINCIPALS = "/v1.0/servicePrincipals"
PASSWORD = f"{APPLICATIONS}/{OBJECT}/addPassword"
REMOVAL = f"{APPLICATIONS}/{OBJECT}/removePassword"
FIELDS = "id,appId,displayName,signInAudience,passwordCredentials"


def stamp(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def credential(
    days: float = 60, key: str = OLD_KEY, name: str = "pgflex.migrate", hint: str | None = "old"
) -> dict[str, Any]:
    return {"keyId": key, "displayName": name, "endDateTime": stamp(days), "hint": hint, "secretText": None}


def application(*credentials: dict[str, Any], client: str = CLIENT, audience: str = "AzureADMyOrg") -> dict[str, Any]:
    return {
        "id": OBJECT,
        "appId": client,
        "displayName": "shop-migration",
        "signInAudience": audience,
        "passwordCredentials": list(credentials),
    }


def principal() -> dict[str, Any]:
    return {"id": PRINCIPAL, "appId": CLIENT, "appOwnerOrganizationId": TENANT}


def error(code: str, message: str = "Because.", *details: str) -> dict[str, Any]:
    rows = [{"code": detail, "message": message} for detail in details]
    return {"error": {"code": code, "message": message, "details": rows}}


@pytest.fixture
def args(sign_in: dict[str, str]) -> dict[str, Any]:
    return {**sign_in, "name": "shop-migration"}


def expect_found(arm: Any, *found: dict[str, Any], principals: list[dict[str, Any]] | None = None) -> None:
    expect_listing(arm, *found)
    for row in found:
        narrow = {"$filter": f"appId eq '{row['appId']}'", "$select": "id,appId,appOwnerOrganizationId"}
        rows = [principal()] if principals is None else principals
        arm.expect("GET", PRINCIPALS, query=narrow, json={"value": rows})


def expect_secret(arm: Any, days: int = 90) -> None:
    def check(sent: dict[str, Any]) -> None:
        assert sent["passwordCredential"]["displayName"] == "pgflex.migrate"
        end = datetime.fromisoformat(sent["passwordCredential"]["endDateTime"])
        assert abs(end - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=1)

    made = {**credential(days, NEW_KEY, hint=SECRET[:3]), "secretText": SECRET}
    arm.expect("POST", PASSWORD, json=made, check=check)


def expect_creation(arm: Any, audience: str = "AzureADMyOrg") -> None:
    def check(sent: dict[str, Any]) -> None:
        assert (sent["displayName"], sent["signInAudience"]) == ("shop-migration", audience)

    arm.expect("POST", APPLICATIONS, status=201, json=application(audience=audience), check=check)
    arm.expect("POST", PRINCIPALS, status=201, json=principal(), check=lambda sent: sent["appId"] == CLIENT)
    expect_listing(arm, application())
    expect_secret(arm)


def expect_listing(arm: Any, *found: dict[str, Any]) -> None:
    query = {"$filter": "displayName eq 'shop-migration'", "$select": FIELDS}
    arm.expect("GET", APPLICATIONS, query=query, json={"value": list(found)})


def expect_removal(arm: Any, key: str = OLD_KEY, status: int = 204) -> None:
    answer = None if status == 204 else error("Request_BadRequest", "No password credential found.")
    arm.expect("POST", REMOVAL, status=status, json=answer, body={"keyId": key})


def test_makes_application_principal_and_secret(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm)
    expect_creation(arm)
    result = run_module(MODULE, args)
    made = result["entra_application"]
    assert result["changed"]
    assert made.pop("client_secret_expires")[:10] == stamp(90)[:10]
    assert made == {
        "name": "shop-migration",
        "object_id": OBJECT,
        "client_id": CLIENT,
        "tenant": TENANT,
        "service_principal_id": PRINCIPAL,
        "sign_in_audience": "AzureADMyOrg",
        "client_secret_name": "pgflex.migrate",
        "client_secret_id": NEW_KEY,
        "client_secret_mode": None,
        "client_secret": SECRET,
    }


def test_two_requests_when_nothing_is_to_be_done(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm, application(credential()))
    result = run_module(MODULE, args)
    assert not result["changed"] and arm.writes == []
    assert "client_secret" not in result["entra_application"]


def test_multitenant_on_creation(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm)
    expect_creation(arm, "AzureADMultipleOrgs")
    result = run_module(MODULE, {**args, "sign_in_audience": "AzureADMultipleOrgs"})
    assert result["entra_application"]["sign_in_audience"] == "AzureADMultipleOrgs"


def test_an_audience_left_out_is_left_alone(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm, application(credential(), audience="AzureADMultipleOrgs"))
    result = run_module(MODULE, args)
    assert not result["changed"] and result["entra_application"]["sign_in_audience"] == "AzureADMultipleOrgs"


def test_changes_the_audience_and_nothing_else(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm, application(credential()))
    sent: list[Any] = []
    arm.expect("PATCH", f"{APPLICATIONS}/{OBJECT}", status=204, check=sent.append)
    result = run_module(MODULE, {**args, "sign_in_audience": "AzureADMultipleOrgs"}, diff=True)
    assert result["changed"] and len(arm.writes) == 1
    assert {key for key in sent[0] if not key.startswith("@")} == {"signInAudience"}
    assert result["diff"]["before"]["sign_in_audience"] == "AzureADMyOrg"
    assert result["diff"]["after"] == result.visible("entra_application")


def test_makes_a_missing_service_principal(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm, application(credential()), principals=[])
    arm.expect("POST", PRINCIPALS, status=201, json=principal())
    result = run_module(MODULE, args)
    assert result["changed"] and result["entra_application"]["service_principal_id"] == PRINCIPAL


def test_a_name_with_a_quote_is_quoted(run_module: Any, arm: Any, args: Any) -> None:
    query = {"$filter": "displayName eq 'Bob''s shop'", "$select": FIELDS}
    arm.expect("GET", APPLICATIONS, query=query, json={"value": []})
    assert not run_module(MODULE, {**args, "name": "Bob's shop", "state": "absent"})["changed"]


def test_several_of_the_name_are_a_failure_with_their_ids(run_module: Any, arm: Any, args: Any) -> None:
    other = "12121212-1212-1212-1212-121212121212"
    expect_found(arm, application(), application(client=other))
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == "AmbiguousName"
    assert result["msg"].startswith(
        f"2 applications are named 'shop-migration', with the client ids {other}, {CLIENT}."
    )


@pytest.mark.parametrize(
    ("days", "options", "renewed"),
    [
        (13.9, {}, True),
        (14.1, {}, False),
        (-1, {}, True),
        (60, {"rotate": True}, True),
        (40, {"rotate_before": 45}, True),
        (40, {"name": "another"}, True),
    ],
)
def test_when_a_secret_is_renewed(
    run_module: Any, arm: Any, args: Any, days: float, options: dict[str, Any], renewed: bool
) -> None:
    expect_found(arm, application(credential(days)))
    result = run_module(MODULE, {**args, "client_secret": options}, check_mode=True)
    assert result["changed"] is renewed
    assert result["entra_application"]["client_secret_id"] == (UNKNOWN if renewed else OLD_KEY)


def test_renewal_removes_older_ones_of_its_name_only(run_module: Any, arm: Any, args: Any) -> None:
    older = "23232323-2323-2323-2323-232323232323"
    foreign = credential(3, FOREIGN_KEY, "of somebody else")
    nameless = {**credential(3, FOREIGN_KEY), "displayName": None}
    expect_found(arm, application(foreign, credential(-5, older), nameless, credential(5)))
    expect_secret(arm, days=30)
    expect_removal(arm, OLD_KEY)
    expect_removal(arm, older)
    result = run_module(MODULE, {**args, "client_secret": {"lifetime": 30}})
    assert result["entra_application"]["client_secret"] == SECRET


def test_older_secrets_are_kept_until_they_expire(run_module: Any, arm: Any, args: Any) -> None:
    expired = "23232323-2323-2323-2323-232323232323"
    expect_found(arm, application(credential(-1, expired), credential(60)))
    expect_secret(arm)
    expect_removal(arm, expired)
    result = run_module(MODULE, {**args, "client_secret": {"rotate": True, "keep_older": True}})
    assert result["entra_application"]["client_secret"] == SECRET


def test_an_old_secret_that_can_not_be_removed_does_not_lose_the_new_one(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm, application(credential(5)))
    expect_secret(arm)
    expect_removal(arm, status=400)
    result = run_module(MODULE, args)
    assert not result.failed and result["entra_application"]["client_secret"] == SECRET
    assert OLD_KEY in str(result["warnings"]) and SECRET not in str(result["warnings"])


def test_the_secret_goes_to_a_private_file(run_module: Any, arm: Any, args: Any, tmp_path: Path) -> None:
    dest = tmp_path / "secret"
    expect_found(arm)
    expect_creation(arm)
    result = run_module(MODULE, {**args, "client_secret": {"dest": str(dest)}}, diff=True)
    assert dest.read_text() == SECRET and dest.stat().st_mode & 0o777 == 0o600
    assert result["entra_application"]["client_secret_mode"] == "0600"
    assert SECRET not in result.raw_output
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_the_file_of_the_present_secret_is_left_alone(run_module: Any, arm: Any, args: Any, tmp_path: Path) -> None:
    dest = tmp_path / "secret"
    dest.write_text("old~secret\n")
    dest.chmod(0o400)
    expect_found(arm, application(credential()))
    assert not run_module(MODULE, {**args, "client_secret": {"dest": str(dest)}})["changed"]
    assert dest.stat().st_mode & 0o777 == 0o400


@pytest.mark.parametrize("content", [None, "", "another secret"])
def test_a_file_without_the_secret_gets_a_new_one(
    run_module: Any, arm: Any, args: Any, tmp_path: Path, content: str | None
) -> None:
    dest = tmp_path / "secret"
    if content is not None:
        dest.write_text(content)
        dest.chmod(0o644)
    expect_found(arm, application(credential()))
    expect_secret(arm)
    expect_removal(arm)
    assert run_module(MODULE, {**args, "client_secret": {"dest": str(dest)}})["changed"]
    assert dest.read_text() == SECRET and dest.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("check_mode", [True, False])
def test_an_open_file_is_closed_to_others(
    run_module: Any, arm: Any, args: Any, tmp_path: Path, check_mode: bool
) -> None:
    dest = tmp_path / "secret"
    dest.write_text("old~secret")
    dest.chmod(0o644)
    expect_found(arm, application(credential(hint=None)))
    result = run_module(MODULE, {**args, "client_secret": {"dest": str(dest)}}, check_mode=check_mode, diff=True)
    assert result["changed"] and arm.writes == []
    assert result["diff"]["before"]["client_secret_mode"] == "0644"
    assert result["diff"]["after"]["client_secret_mode"] == "0600"
    assert dest.stat().st_mode & 0o777 == (0o644 if check_mode else 0o600)


@pytest.mark.parametrize(("dest", "why"), [("missing/secret", "there is no directory"), ("", "is a directory")])
def test_a_file_that_can_not_be_written_fails_before_any_request(
    run_module: Any, arm: Any, args: Any, tmp_path: Path, dest: str, why: str
) -> None:
    result = run_module(MODULE, {**args, "client_secret": {"dest": str(tmp_path / dest)}})
    assert result.failed and result["failure"]["code"] == "SecretFile"
    assert "client_secret.dest" in result["msg"] and why in result["msg"]
    assert arm.requests == []


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (404, error("Request_ResourceNotFound")),
        (400, error("Request_BadRequest", "Because.", "NoBackingApplicationObject")),
        (400, error("NoBackingApplicationObject")),
        (403, error("Authorization_RequestDenied", "When using this permission, the backing application has to exist")),
        (429, error("TooManyRequests")),
    ],
)
def test_waits_until_the_directory_knows_the_application(
    run_module: Any, arm: Any, args: Any, monkeypatch: pytest.MonkeyPatch, status: int, refusal: dict[str, Any]
) -> None:
    monkeypatch.setattr("kiota_http.middleware.retry_handler.RetryHandler.get_delay_time", lambda *_, **__: 0)
    expect_found(arm)
    arm.expect("POST", APPLICATIONS, status=201, json=application())
    arm.expect("POST", PRINCIPALS, status=status, json=refusal)
    arm.expect("POST", PRINCIPALS, status=201, json=principal())
    expect_listing(arm, application())
    arm.expect("POST", PASSWORD, status=404, json=error("Request_ResourceNotFound"))
    expect_secret(arm)
    assert run_module(MODULE, args)["entra_application"]["client_secret"] == SECRET


def test_waits_until_a_second_run_would_find_the_application(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm)
    arm.expect("POST", APPLICATIONS, status=201, json=application())
    arm.expect("POST", PRINCIPALS, status=201, json=principal())
    expect_listing(arm)
    expect_listing(arm, application(client="12121212-1212-1212-1212-121212121212"))
    expect_listing(arm, application())
    expect_secret(arm)
    assert run_module(MODULE, args)["changed"]


def test_an_application_that_is_never_listed_gets_no_secret(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm)
    arm.expect("POST", APPLICATIONS, status=201, json=application())
    arm.expect("POST", PRINCIPALS, status=201, json=principal())
    expect_listing(arm)
    result = run_module(MODULE, {**args, "wait_timeout": 0})
    assert result["failure"]["code"] == "Timeout" and CLIENT in result["msg"]
    assert "run again when" in result["failure"]["hint"]


def test_a_directory_that_never_knows_the_application(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm)
    arm.expect("POST", APPLICATIONS, status=201, json=application())
    arm.expect("POST", PRINCIPALS, status=404, json=error("Request_ResourceNotFound", "Resource does not exist."))
    result = run_module(MODULE, {**args, "wait_timeout": 0})
    assert result["failure"]["code"] == "Request_ResourceNotFound"
    assert result["msg"].startswith(
        "Failed to create the service principal of the application 'shop-migration': Resource does not exist"
    )


def test_a_service_principal_made_in_the_meantime_is_success(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm, application(credential()), principals=[])
    arm.expect("POST", PRINCIPALS, status=409, json=error("Request_MultipleObjectsWithSameKeyValue"))
    arm.expect("GET", PRINCIPALS, json={"value": [principal()]})
    assert run_module(MODULE, args)["entra_application"]["service_principal_id"] == PRINCIPAL


def test_a_lost_answer_makes_no_second_application(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm)
    arm.expect("POST", APPLICATIONS, status=504, json=error("GatewayTimeout"))
    result = run_module(MODULE, args)
    assert result.failed and len(arm.writes) == 1


def test_check_mode_writes_nothing_and_foretells(run_module: Any, arm: Any, args: Any, tmp_path: Path) -> None:
    dest = tmp_path / "secret"
    expect_found(arm)
    result = run_module(MODULE, {**args, "client_secret": {"dest": str(dest)}}, check_mode=True, diff=True)
    assert result["changed"] and arm.writes == [] and list(tmp_path.iterdir()) == []
    assert result["diff"] == {"before": {}, "after": result.visible("entra_application")}
    assert result["entra_application"]["service_principal_id"] == UNKNOWN
    assert result["entra_application"]["client_secret_mode"] == "0600"


def test_the_secret_is_under_its_key_only(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm, application(credential(5)))
    expect_secret(arm)
    expect_removal(arm)
    result = run_module(MODULE, args, diff=True)
    assert result.raw_output.count(SECRET) == 1
    assert result["entra_application"]["client_secret"] == SECRET
    shown = {key: value for key, value in result.visible("entra_application").items() if key != "client_secret"}
    assert result["diff"]["after"] == shown


def test_deletes_the_application(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm, application(credential()))
    arm.expect("DELETE", f"{APPLICATIONS}/{OBJECT}", status=204)
    result = run_module(MODULE, {**args, "state": "absent"}, diff=True)
    assert result["changed"] and result["entra_application"] is None
    assert result["diff"]["after"] == {} and result["diff"]["before"]["object_id"] == OBJECT


def test_an_application_deleted_in_the_meantime_is_success(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm, application(credential()))
    arm.expect("DELETE", f"{APPLICATIONS}/{OBJECT}", status=404, json=error("Request_ResourceNotFound"))
    assert run_module(MODULE, {**args, "state": "absent"})["changed"]


def test_absent_without_an_application_changes_nothing(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm)
    result = run_module(MODULE, {**args, "state": "absent", "client_secret": {"dest": "/nowhere/secret"}})
    assert not result["changed"]


def test_missing_permission_says_which(run_module: Any, arm: Any, args: Any) -> None:
    arm.expect(
        "GET",
        APPLICATIONS,
        status=403,
        json=error("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
    )
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["status"] == 403
    assert result["msg"].startswith(
        "Failed to read the application 'shop-migration': Insufficient privileges to complete the operation "
        "(Authorization_RequestDenied). "
    )
    assert "Application.ReadWrite.OwnedBy" in result["failure"]["hint"]


@pytest.mark.parametrize(
    "options", [{"lifetime": 0}, {"lifetime": 14}, {"rotate_before": 90}, {"rotate_before": -1, "lifetime": 5}]
)
def test_a_secret_that_would_be_renewed_by_every_run(
    run_module: Any, arm: Any, args: Any, options: dict[str, int]
) -> None:
    result = run_module(MODULE, {**args, "client_secret": options})
    assert result["failure"]["code"] == "InvalidOption" and "client_secret.lifetime" in result["msg"]


def test_an_empty_name_is_a_clear_failure(run_module: Any, arm: Any, args: Any) -> None:
    assert run_module(MODULE, {**args, "name": " "})["msg"].startswith("name is empty")


def test_the_tenant_of_a_domain_name_comes_from_the_principal(run_module: Any, arm: Any, args: Any) -> None:
    expect_found(arm, application(credential()))
    result = run_module(MODULE, {**args, "tenant": "shop.onmicrosoft.com"})
    assert result["entra_application"]["tenant"] == TENANT
