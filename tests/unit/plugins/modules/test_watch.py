# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, CredentialUnavailableError

MODULE = "watch"
# How often azure-core itself asks before a failed look is one: refusals, and endpoints that can not be reached.
TRIES = 9
CONNECTS = 4


@pytest.fixture
def args(target: dict[str, Any], clock: Any) -> dict[str, Any]:
    where = {name: target.pop(name) for name in ("resource_group", "server_name", "name")}
    return {**target, "migrations": [where]}


def one(result: Any) -> dict[str, Any]:
    (row,) = result["migrations"]
    return row  # type: ignore[no-any-return]


def many(args: dict[str, Any], *names: str, **values: Any) -> dict[str, Any]:
    return {**args, "migrations": [{**args["migrations"][0], "name": name, **values} for name in names]}


def raising(error: Exception, times: int = 1000, then: Any = None) -> Any:
    left = [error] * times

    def call(*args: Any, **options: Any) -> Any:
        if left:
            raise left.pop()
        return then(*args, **options)

    return call


def copying(service: Any, done: int = 5, **values: Any) -> dict[str, Any]:
    row = service.database("shop", "InProgress", fullLoadCompletedTables=done, fullLoadQueuedTables=31 - done)
    found: dict[str, Any] = service.migration("InProgress", "MigratingData", databases=[row], **values)
    return found


def test_waits_until_ready_for_the_cutover(run_module: Any, service: Any, args: Any) -> None:
    service.expect_get(service.migration(), copying(service), copying(service, 20), service.ready())
    given = many(args, "shop-1", generation="classic" if service.classic else "current")
    result = run_module(MODULE, given)
    row = one(result)
    assert not result["changed"] and (row["outcome"], row["message"]) == ("ready", None)
    assert [(step["substate"], step["ready"]) for step in row["history"]] == [
        (None, False),
        ("MigratingData", False),
        ("WaitingForCutoverTrigger", True),
    ]
    assert row["ready_since"] == row["history"][-1]["at"]
    assert (row["label"], row["name"], row["server_name"]) == ("shop-1", "shop-1", "shop-flex")
    assert row["migration"]["substate"] == "WaitingForCutoverTrigger"


def test_waits_until_the_end(run_module: Any, current: Any, args: Any) -> None:
    current.expect_get(current.ready(), current.migration("InProgress", "CompletingMigration"))
    current.expect_get(current.migration("Succeeded", "Completed"))
    row = one(run_module(MODULE, {**args, "until": "end"}))
    assert row["outcome"] == "succeeded" and row["ready_since"] is not None
    assert [step["state"] for step in row["history"]] == ["WaitingForUserAction", "InProgress", "Succeeded"]


def test_an_offline_migration_is_waited_for_until_its_end(run_module: Any, current: Any, args: Any) -> None:
    offline = {"migrationMode": "Offline", "triggerCutover": "True"}
    current.expect_get(copying(current, **offline), current.migration("Succeeded", "Completed", **offline))
    row = one(run_module(MODULE, args))
    assert (row["outcome"], row["ready_since"]) == ("succeeded", None)


@pytest.mark.parametrize(
    ("substate", "needs"),
    [
        ("WaitingForLogicalReplicationSetupRequestOnSourceDB", "setup_logical_replication_on_source_db_if_needed"),
        ("WaitingForDBsToMigrateSpecification", "dbs_to_migrate"),
        ("WaitingForTargetDBOverwriteConfirmation", "overwrite_dbs_in_target"),
        ("WaitingForDataMigrationScheduling", "start_data_migration"),
    ],
)
def test_what_waits_for_its_user_is_told_with_the_option(
    run_module: Any, service: Any, args: Any, substate: str, needs: str
) -> None:
    service.expect_get(service.migration("WaitingForUserAction", substate))
    result = run_module(MODULE, many(args, "shop-1", generation="classic" if service.classic else "current"))
    assert result.failed and one(result)["outcome"] == "waiting" and result["failure"]["code"] == "Waiting"
    assert result["msg"].startswith("1 of 1 migrations did not get there. shop-1 (waiting): It waits for ")
    assert f"give the option {needs} to pgflex.migrate.migration." in result["msg"]


def test_a_migration_window_that_will_open_by_itself_is_waited_for(run_module: Any, current: Any, args: Any) -> None:
    current.expect_get(current.migration("InProgress", "WaitingForDataMigrationWindow"), copying(current))
    current.expect_get(current.migration("Succeeded", "Completed"))
    assert one(run_module(MODULE, args))["outcome"] == "succeeded"


VALIDATION = {
    "status": "Failed",
    "serverLevelValidationDetails": [{"type": "AuthenticationAndConnectivityValidation", "state": "Succeeded"}],
    "dbLevelValidationDetails": [
        {
            "databaseName": "shop",
            "summary": [
                {
                    "type": "ExtensionsValidation",
                    "state": "Failed",
                    "messages": [{"state": "Failed", "message": "Unsupported Extension postgres_fdw."}],
                }
            ],
        }
    ],
}


@pytest.mark.parametrize(
    ("answer", "outcome", "told"),
    [
        ({"state": "Failed", "error": "The source can not be reached."}, "failed", "The source can not be reached."),
        ({"state": "Failed", "message": "Collation."}, "failed", "shop: Collation."),
        ({"state": "Failed", "error": "shop: Collation.", "message": "Collation."}, "failed", "shop: Collation."),
        (
            {"state": "ValidationFailed", "validation": VALIDATION},
            "failed",
            "shop: Unsupported Extension postgres_fdw.",
        ),
        ({"state": "Failed"}, "failed", "the service gave no reason"),
        ({"state": "Canceled"}, "canceled", "the service gave no reason"),
    ],
)
def test_a_bad_end_is_told_in_the_services_words(
    run_module: Any, current: Any, args: Any, answer: dict[str, Any], outcome: str, told: str
) -> None:
    message = answer.pop("message", None)
    current.expect_get(current.migration(databases=[current.database("shop", "Failed", message=message)], **answer))
    result = run_module(MODULE, args)
    assert result.failed and one(result)["outcome"] == outcome
    assert result["msg"] == f"1 of 1 migrations did not get there. shop-1 ({outcome}): {told}"


def test_nothing_fails_when_the_user_looks_for_himself(run_module: Any, current: Any, args: Any) -> None:
    current.expect_get(current.migration("Failed", error="No."))
    result = run_module(MODULE, {**args, "fail_on": "none"})
    assert not result.failed and one(result)["message"] == "No."


def test_a_deadline_tells_the_last_state_and_how_to_go_on(run_module: Any, current: Any, args: Any) -> None:
    current.expect_get(*[copying(current)] * 3)
    result = run_module(MODULE, {**args, "wait_timeout": 10})
    assert result.failed and one(result)["outcome"] == "timeout" and result["failure"]["code"] == "Timeout"
    assert one(result)["message"] == (
        "Not there after 10 s (wait_timeout 10 s), last state InProgress, MigratingData. "
        "The migration goes on in Azure; run again to go on watching."
    )


def test_a_migration_is_missing_only_after_three_looks(run_module: Any, current: Any, args: Any) -> None:
    current.expect_get(None, None, None)
    result = run_module(MODULE, args)
    assert result.failed and one(result)["outcome"] == "missing" and one(result)["migration"] is None
    assert "There is no migration shop-1 to shop-flex." in result["msg"]


def test_a_migration_that_shows_up_late_is_watched(run_module: Any, current: Any, args: Any) -> None:
    current.expect_get(None, None, copying(current), None, None, current.ready())
    assert one(run_module(MODULE, args))["outcome"] == "ready"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_errors_that_pass_are_waited_out(run_module: Any, arm: Any, current: Any, args: Any, status: int) -> None:
    current.expect_get(copying(current))
    broken = {"error": {"code": "ServerBusy", "message": "Come back later."}}
    for _each in range(TRIES):
        arm.expect("GET", current.url(), status=status, json=broken)
    current.expect_get(current.ready())
    row = one(run_module(MODULE, args))
    assert (row["outcome"], row["message"]) == ("ready", None)


def test_a_broken_connection_is_waited_out(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    current.expect_get(copying(current))
    for _each in range(CONNECTS):
        arm.expect("GET", current.url(), raises=requests.exceptions.ConnectionError("no route to host"))
    current.expect_get(current.ready())
    assert one(run_module(MODULE, args))["outcome"] == "ready"


def test_missing_rights_are_not_waited_out(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    refusal = {"error": {"code": "AuthorizationFailed", "message": "Not yours."}}
    arm.expect("GET", current.url(), status=403, json=refusal)
    result = run_module(MODULE, args)
    assert result.failed and one(result)["outcome"] == "unreadable" and result["failure"]["code"] == "Unreadable"
    assert "Failed to read the migration shop-1 to shop-flex: Not yours (AuthorizationFailed)." in result["msg"]


def test_a_request_that_is_wrong_is_not_waited_out(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    refusal = {"error": {"code": "InvalidApiVersionParameter", "message": "No such version."}}
    arm.expect("GET", current.url(), status=400, json=refusal)
    assert one(run_module(MODULE, {**args, "fail_on": "none"}))["outcome"] == "unreadable"


def test_without_a_sign_in_nothing_is_waited_for(
    run_module: Any, arm: Any, args: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClientSecretCredential, "get_token", raising(CredentialUnavailableError("Sign in first.")))
    result = run_module(MODULE, args)
    assert result.failed and one(result)["outcome"] == "unreadable" and "Sign in first" in result["msg"]


def test_a_sign_in_that_broke_is_tried_again(
    run_module: Any, arm: Any, current: Any, args: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """azure-identity tells of a broken connection in the same words as of a refusal, but without a status."""
    sign_in = ClientSecretCredential.get_token
    broken = ClientAuthenticationError("Authentication failed: connection reset")
    monkeypatch.setattr(ClientSecretCredential, "get_token", raising(broken, times=2, then=sign_in))
    current.expect_get(current.ready())
    assert one(run_module(MODULE, args))["outcome"] == "ready"


def test_many_are_waited_for_in_one_call(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    arm.any_order = True
    names = [f"shop-{number}" for number in range(12)]
    for name in names:
        current.expect_get(current.migration(name=name), current.ready(name=name), name=name)
    result = run_module(MODULE, many(args, *names))
    assert [(row["name"], row["outcome"]) for row in result["migrations"]] == [(name, "ready") for name in names]
    assert len(arm.requests) == 24


def test_one_that_is_there_is_not_asked_again(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    arm.any_order = True
    current.expect_get(current.ready(), name="shop-1")
    current.expect_get(*[current.migration(name="shop-2")] * 4, current.ready(), name="shop-2")
    result = run_module(MODULE, many(args, "shop-1", "shop-2"))
    assert [row["outcome"] for row in result["migrations"]] == ["ready", "ready"]


def test_the_failure_names_all_that_did_not_get_there(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    arm.any_order = True
    current.expect_get(current.ready(), name="shop-1")
    current.expect_get(current.migration("Failed", error="Broken.", name="shop-2"), name="shop-2")
    current.expect_get(current.migration("Canceled", name="shop-3"), name="shop-3")
    result = run_module(MODULE, many(args, "shop-1", "shop-2", "shop-3"))
    assert result["msg"] == (
        "2 of 3 migrations did not get there. shop-2 (failed): Broken. shop-3 (canceled): the service gave no reason"
    )
    assert [row["outcome"] for row in result["migrations"]] == ["ready", "failed", "canceled"]


def test_targets_of_several_subscriptions_and_generations(run_module: Any, arm: Any, args: Any, current: Any) -> None:
    arm.any_order = True
    other = "/subscriptions/99999999-9999-9999-9999-999999999999/resourceGroups/b-rg"
    path = f"{other}/providers/Microsoft.DBforPostgreSQL/flexibleServers/b-flex/migrations/b-1"
    current.expect_get(current.ready())
    arm.expect("GET", path, json=current.ready(name="b-1"), api_version="2022-05-01-privatepreview")
    foreign = {
        "name": "b-1",
        "resource_group": "b-rg",
        "server_name": "b-flex",
        "subscription_id": "99999999-9999-9999-9999-999999999999",
        "generation": "classic",
        "label": "the second",
    }
    result = run_module(MODULE, {**args, "migrations": [*args["migrations"], foreign]})
    assert [row["label"] for row in result["migrations"]] == ["shop-1", "the second"]


@pytest.mark.parametrize(
    ("least", "most", "looks", "pauses"),
    [
        # A twentieth of what it took so far, within the limits.
        (5, 60, 25, (5, 6)),
        (5, 60, 100, (5, 60)),
        (1, 2, 60, (1, 2)),
    ],
)
def test_the_interval_grows_with_the_age(
    run_module: Any, current: Any, args: Any, clock: Any, least: float, most: float, looks: int, pauses: Any
) -> None:
    current.expect_get(*[copying(current)] * looks, current.ready())
    run_module(MODULE, {**args, "min_interval": least, "max_interval": most})
    assert (clock.pauses[0], clock.pauses[-1]) == pytest.approx(pauses, abs=1.0)
    assert clock.pauses == sorted(clock.pauses) and max(clock.pauses) <= most


def test_a_cutover_that_runs_is_watched_most_closely(run_module: Any, current: Any, args: Any, clock: Any) -> None:
    current.expect_get(*[copying(current)] * 60)
    current.expect_get(*[current.migration("InProgress", "CompletingMigration")] * 4)
    current.expect_get(current.migration("Succeeded"))
    run_module(MODULE, {**args, "until": "end"})
    assert clock.pauses[-4:] == [5, 5, 5, 5] and max(clock.pauses) > 5


@pytest.mark.parametrize("answer", ["running", "nothing", "error"])
def test_check_mode_looks_once(run_module: Any, arm: Any, current: Any, args: Any, clock: Any, answer: str) -> None:
    if answer == "error":
        for _each in range(TRIES):
            arm.expect("GET", current.url(), status=503, json={"error": {"code": "Busy", "message": "Later."}})
    else:
        current.expect_get(copying(current) if answer == "running" else None)
    result = run_module(MODULE, args, check_mode=True)
    row = one(result)
    assert not result.failed and row["outcome"] == "watching" and arm.writes == []
    assert (row["migration"] is not None) == (answer == "running")
    assert ("Later" in (row["message"] or "")) == (answer == "error")


def test_nothing_to_wait_for_is_no_failure(run_module: Any, arm: Any, args: Any) -> None:
    result = run_module(MODULE, {**args, "migrations": []})
    assert result["migrations"] == [] and arm.requests == []


def test_a_missing_name_is_refused_before_any_request(run_module: Any, arm: Any, args: Any) -> None:
    result = run_module(MODULE, {**args, "migrations": [{"resource_group": "a", "server_name": "b"}]})
    assert result.failed and "name" in result["msg"] and arm.requests == []
