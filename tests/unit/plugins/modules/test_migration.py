# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

MODULE = "migration"
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{SUB}/resourceGroups/shop-rg"
PROVIDER = f"{GROUP}/providers/Microsoft.DBforPostgreSQL"
SOURCE = f"{PROVIDER}/servers/shop-single"
TARGET = f"{PROVIDER}/flexibleServers/shop-flex"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/shop-vnet/subnets/dms"
APP = {"client_id": "app-id", "tenant_id": "app-tenant", "client_secret": "App-Secret-1"}
PASSWORDS = {"sourceServerPassword": "Source-Password-1", "targetServerPassword": "Target-Password-1"}


@pytest.fixture
def args(target: dict[str, Any]) -> dict[str, Any]:
    return {
        **target,
        "source_db_server_resource_id": SOURCE,
        "dbs_to_migrate": ["shop", "stock"],
        "source_server_password": "Source-Password-1",
        "target_server_password": "Target-Password-1",
    }


@pytest.fixture
def classic_args(args: dict[str, Any]) -> dict[str, Any]:
    return {**args, "generation": "classic", "aad_app": APP}


def options(service: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {**args, "generation": "classic", "aad_app": APP} if service.classic else args


def current_body(**properties: Any) -> dict[str, Any]:
    return {
        "location": "West Europe",
        "properties": {
            "sourceDbServerResourceId": SOURCE,
            "dbsToMigrate": ["shop", "stock"],
            "secretParameters": {"adminCredentials": PASSWORDS},
            **properties,
        },
    }


def classic_body(**properties: Any) -> dict[str, Any]:
    app = {"clientId": "app-id", "tenantId": "app-tenant", "aadSecret": "App-Secret-1"}
    return {
        "location": "West Europe",
        "properties": {
            "sourceDBServerResourceId": SOURCE,
            "dBsToMigrate": ["shop", "stock"],
            "secretParameters": {"adminCredentials": PASSWORDS, "aadApp": app},
            **properties,
        },
    }


def expect_creation(service: Any, body: dict[str, Any], answer: dict[str, Any] | None = None) -> None:
    service.expect_get(None)
    service.expect_location()
    service.expect_list("Active")
    service.expect_name_check()
    service.expect_put(body, answer)


# Making one


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"migration_mode": "Online"}, {"migrationMode": "Online"}),
        ({"migration_option": "ValidateAndMigrate"}, {"migrationOption": "ValidateAndMigrate"}),
        ({"overwrite_dbs_in_target": True}, {"overwriteDbsInTarget": "True"}),
        ({"overwrite_dbs_in_target": False}, {"overwriteDbsInTarget": "False"}),
        (
            {"setup_logical_replication_on_source_db_if_needed": True},
            {"setupLogicalReplicationOnSourceDbIfNeeded": "True"},
        ),
        ({"migrate_roles": False}, {"migrateRoles": "False"}),
        ({"start_data_migration": True}, {"startDataMigration": "True"}),
        ({"source_type": "PostgreSQLSingleServer"}, {"sourceType": "PostgreSQLSingleServer"}),
        ({"ssl_mode": "VerifyFull"}, {"sslMode": "VerifyFull"}),
        (
            {"source_db_server_fully_qualified_domain_name": "shop.corp"},
            {"sourceDbServerFullyQualifiedDomainName": "shop.corp"},
        ),
        (
            {"target_db_server_fully_qualified_domain_name": "flex.corp"},
            {"targetDbServerFullyQualifiedDomainName": "flex.corp"},
        ),
        ({"migration_instance_resource_id": "/runtime"}, {"migrationInstanceResourceId": "/runtime"}),
        (
            {
                "migration_window_start_time_in_utc": "2026-11-21T02:00:00Z",
                "migration_window_end_time_in_utc": "2026-11-21T04:00:00Z",
            },
            {
                "migrationWindowStartTimeInUtc": "2026-11-21T02:00:00Z",
                "migrationWindowEndTimeInUtc": "2026-11-21T04:00:00Z",
            },
        ),
        (
            {"source_server_username": "pgadmin@shop-single", "target_server_username": "pgadmin"},
            {
                "secretParameters": {
                    "adminCredentials": PASSWORDS,
                    "sourceServerUsername": "pgadmin@shop-single",
                    "targetServerUsername": "pgadmin",
                }
            },
        ),
    ],
    ids=lambda value: next(iter(value), "least") if isinstance(value, dict) else None,
)
def test_current_request_says_what_the_options_say(
    run_module: Any, current: Any, args: Any, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    expect_creation(current, current_body(**sent))
    result = run_module(MODULE, {**args, **given})
    assert result["changed"] and result["migration"]["state"] == "InProgress"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"migration_mode": "Offline"}, {"migrationMode": "Offline"}),
        ({"overwrite_dbs_in_target": True}, {"overwriteDBsInTarget": True}),
        ({"overwrite_dbs_in_target": False}, {"overwriteDBsInTarget": False}),
        (
            {"setup_logical_replication_on_source_db_if_needed": True},
            {"setupLogicalReplicationOnSourceDBIfNeeded": True},
        ),
        ({"start_data_migration": True}, {"startDataMigration": True}),
        (
            {"source_db_server_fully_qualified_domain_name": "shop.corp"},
            {"sourceDBServerFullyQualifiedDomainName": "shop.corp"},
        ),
        (
            {"target_db_server_fully_qualified_domain_name": "flex.corp"},
            {"targetDBServerFullyQualifiedDomainName": "flex.corp"},
        ),
        (
            {"migration_resource_group": {"resource_id": GROUP, "subnet_resource_id": SUBNET}},
            {"migrationResourceGroup": {"resourceId": GROUP, "subnetResourceId": SUBNET}},
        ),
        (
            {"migration_resource_group": {"subnet_resource_id": SUBNET}},
            {"migrationResourceGroup": {"subnetResourceId": SUBNET}},
        ),
    ],
    ids=lambda value: next(iter(value), "least") if isinstance(value, dict) else None,
)
def test_classic_request_says_what_the_options_say(
    run_module: Any, classic: Any, classic_args: Any, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    expect_creation(classic, classic_body(**sent))
    assert run_module(MODULE, {**classic_args, **given})["changed"]


def test_tags_stand_beside_the_properties(run_module: Any, current: Any, args: Any) -> None:
    expect_creation(current, {**current_body(), "tags": {"team": "shop"}}, current.migration(tags={"team": "shop"}))
    assert run_module(MODULE, {**args, "tags": {"team": "shop"}})["migration"]["tags"] == {"team": "shop"}


def test_a_server_of_ones_own_is_named_by_host_port_and_user(run_module: Any, current: Any, args: Any) -> None:
    expect_creation(
        current, current_body(sourceDbServerResourceId="203.0.113.7:5432@postgres", sourceType="OnPremises")
    )
    given = {"source_db_server_resource_id": "203.0.113.7:5432@postgres", "source_type": "OnPremises"}
    assert run_module(MODULE, {**args, **given})["changed"]


def test_an_api_version_of_the_users_is_used(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    current.api_version = "2024-08-01"
    expect_creation(current, current_body())
    assert run_module(MODULE, {**args, "api_version": "2024-08-01"})["changed"]


def test_a_migration_without_databases_may_be_made_and_waits(run_module: Any, current: Any, args: Any) -> None:
    body = current_body()
    del body["properties"]["dbsToMigrate"]
    expect_creation(current, body)
    assert run_module(MODULE, {**args, "dbs_to_migrate": None})["changed"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"nameAvailable": False, "reason": "AlreadyExists", "message": "Taken since May."}, "Taken since May."),
        ({"nameAvailable": False, "reason": "Invalid"}, "Invalid"),
    ],
)
def test_a_name_that_the_service_refuses_is_not_tried(
    run_module: Any, arm: Any, current: Any, args: Any, answer: dict[str, Any], reason: str
) -> None:
    current.expect_get(None)
    current.expect_location()
    current.expect_list("Active")
    current.expect_name_check(answer)
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == answer["reason"]
    assert result["msg"].startswith(f"The migration name shop-1 can not be used: {reason}")
    assert [step.method for step in arm.writes] == ["POST"]


def test_a_busy_target_is_named_and_nothing_is_sent(run_module: Any, arm: Any, service: Any, args: Any) -> None:
    service.expect_get(None)
    service.expect_location()
    ended = service.migration("Failed", "Completed", name="shop-0")
    service.expect_list("Active", ended, service.migration("InProgress", "MigratingData", name="stock-7"))
    result = run_module(MODULE, options(service, args))
    assert result.failed and result["failure"]["code"] == "TargetBusy" and arm.writes == []
    assert "busy with the migration stock-7 (InProgress, MigratingData)" in result["msg"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": "-shop"}, "name '-shop' is no name for a migration"),
        ({"name": "shop_1"}, "name 'shop_1' is no name for a migration"),
        ({"name": "shop 1"}, "name 'shop 1' is no name for a migration"),
        ({"name": "käse"}, "name 'käse' is no name for a migration"),
        ({"name": "shop-1\n"}, "is no name for a migration"),
        ({"dbs_to_migrate": []}, "dbs_to_migrate is empty"),
        ({"dbs_to_migrate": list("abcdefghi")}, "dbs_to_migrate has 9 databases; the service takes up to 8"),
        ({"dbs_to_migrate": ["a", "b", "a"]}, "dbs_to_migrate names a more than once"),
        ({"aad_app": APP}, "generation current has no aad_app"),
        ({"migration_resource_group": {"resource_id": GROUP}}, "generation current has no migration_resource_group"),
        (
            {"generation": "classic", "migration_option": "Validate", "ssl_mode": "Require"},
            "generation classic has no ssl_mode, migration_option: leave them out",
        ),
        ({"generation": "classic", "migrate_roles": False}, "generation classic has no migrate_roles: leave it out"),
        ({"generation": "classic", "source_server_username": "x"}, "generation classic has no source_server_username"),
        ({"generation": "classic", "target_server_username": "x"}, "generation classic has no target_server_username"),
        (
            {
                "source_db_server_fully_qualified_domain_name": "shop.corp",
                "migration_instance_resource_id": "/runtime",
            },
            "source_db_server_fully_qualified_domain_name can not be given together with "
            "migration_instance_resource_id",
        ),
    ],
)
def test_bad_options_are_refused_before_any_request(
    run_module: Any, arm: Any, args: Any, given: dict[str, Any], sentence: str
) -> None:
    result = run_module(MODULE, {**args, **given})
    assert result.failed and sentence in result["msg"]
    assert arm.requests == []


def test_all_a_new_migration_needs_is_named_at_once(run_module: Any, arm: Any, classic: Any, target: Any) -> None:
    classic.expect_get(None)
    result = run_module(MODULE, {**target, "generation": "classic"})
    assert result.failed and result["failure"]["code"] == "MissingOptions" and arm.writes == []
    assert result["msg"] == (
        "To make a migration the options source_db_server_resource_id, source_server_password, "
        "target_server_password, aad_app are needed."
    )


def test_an_unknown_target_server_is_named(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    current.expect_get(None)
    sentence = "The Resource 'Microsoft.DBforPostgreSQL/flexibleServers/shop-flex' was not found."
    arm.expect("GET", TARGET, status=404, json={"error": {"code": "ResourceNotFound", "message": sentence}})
    result = run_module(MODULE, args)
    assert result.failed and result["failure"]["code"] == "ResourceNotFound" and arm.writes == []
    assert result["msg"].startswith("Failed to read the target server shop-flex in shop-rg: The Resource")
    assert "server_name" in result["failure"]["hint"]


def test_missing_rights_are_told_as_the_service_does(run_module: Any, arm: Any, service: Any, args: Any) -> None:
    service.expect_get(None)
    service.expect_location()
    service.expect_list("Active")
    service.expect_name_check()
    refusal = {"error": {"code": "AuthorizationFailed", "message": "No migrations/write at the scope x."}}
    arm.expect("PUT", service.url(), status=403, json=refusal, headers={"x-ms-request-id": "request-7"})
    result = run_module(MODULE, options(service, args))
    assert result.failed and not result["changed"]
    assert result["msg"].startswith(
        "Failed to create the migration shop-1 to shop-flex in shop-rg: No migrations/write at the scope x "
        "(AuthorizationFailed)."
    )
    assert (result["failure"]["status"], result["failure"]["request_id"]) == (403, "request-7")


# One that is there


@pytest.mark.parametrize("state", ["InProgress", "Succeeded", "Failed"])
def test_a_second_run_changes_nothing(run_module: Any, arm: Any, service: Any, args: Any, state: str) -> None:
    service.expect_get(service.migration(state))
    given = {"migration_mode": "Online", "overwrite_dbs_in_target": True, "wait_timeout": 5}
    result = run_module(MODULE, {**options(service, args), **given})
    assert not result["changed"] and arm.writes == [] and result["migration"]["state"] == state


def test_the_same_things_in_another_spelling_are_the_same(run_module: Any, arm: Any, current: Any, args: Any) -> None:
    current.expect_get(current.migration("InProgress"))
    given = {"source_db_server_resource_id": SOURCE.strip("/").upper(), "dbs_to_migrate": ["stock", "shop"]}
    assert not run_module(MODULE, {**args, **given})["changed"]


WAITING = [
    (
        "WaitingForLogicalReplicationSetupRequestOnSourceDB",
        {"setup_logical_replication_on_source_db_if_needed": True},
        {"setupLogicalReplicationOnSourceDbIfNeeded": "True"},
        {"setupLogicalReplicationOnSourceDBIfNeeded": True},
    ),
    (
        "WaitingForDBsToMigrateSpecification",
        {"dbs_to_migrate": ["shop", "stock"]},
        {"dbsToMigrate": ["shop", "stock"]},
        {"dBsToMigrate": ["shop", "stock"]},
    ),
    (
        "WaitingForTargetDBOverwriteConfirmation",
        {"overwrite_dbs_in_target": True},
        {"overwriteDbsInTarget": "True"},
        {"overwriteDBsInTarget": True},
    ),
    (
        "WaitingForDataMigrationScheduling",
        {"start_data_migration": True},
        {"startDataMigration": "True"},
        {"startDataMigration": True},
    ),
    (
        "WaitingForDataMigrationWindow",
        {"start_data_migration": True},
        {"startDataMigration": "True"},
        {"startDataMigration": True},
    ),
]


def waiting(service: Any, substate: str) -> dict[str, Any]:
    none = {"dbsToMigrate": None, "dBsToMigrate": None} if "DBsToMigrate" in substate else {}
    found: dict[str, Any] = service.migration("WaitingForUserAction", substate, **none)
    return found


@pytest.mark.parametrize(("substate", "answer", "current_wire", "classic_wire"), WAITING)
def test_a_waiting_migration_gets_its_answer_and_nothing_else(
    run_module: Any, service: Any, args: Any, substate: str, answer: Any, current_wire: Any, classic_wire: Any
) -> None:
    service.expect_get(waiting(service, substate))
    service.expect_patch({"properties": classic_wire if service.classic else current_wire})
    result = run_module(MODULE, {**options(service, args), **answer})
    assert result["changed"] and result["migration"]["state"] == "InProgress"


@pytest.mark.parametrize(("substate", "answer"), [row[:2] for row in WAITING])
def test_check_mode_foretells_the_release_and_sends_nothing(
    run_module: Any, arm: Any, current: Any, args: Any, substate: str, answer: Any
) -> None:
    current.expect_get(waiting(current, substate))
    result = run_module(MODULE, {**args, **answer}, check_mode=True, diff=True)
    assert result["changed"] and arm.writes == []
    assert result["migration"]["state"] == "InProgress" and result["migration"]["substate"] is None
    assert {key: result["migration"][key] for key in answer} == answer
    assert result["diff"]["before"]["substate"] == substate
    assert result["diff"]["after"] == result.visible("migration")


@pytest.mark.parametrize(
    ("substate", "given"),
    [
        ("WaitingForLogicalReplicationSetupRequestOnSourceDB", {}),
        (
            "WaitingForLogicalReplicationSetupRequestOnSourceDB",
            {"setup_logical_replication_on_source_db_if_needed": False},
        ),
        ("WaitingForTargetDBOverwriteConfirmation", {"overwrite_dbs_in_target": False}),
        ("WaitingForDataMigrationWindow", {"overwrite_dbs_in_target": True}),
        ("WaitingForCutoverTrigger", {"start_data_migration": True}),
    ],
)
def test_without_its_answer_a_migration_goes_on_waiting(
    run_module: Any, arm: Any, service: Any, args: Any, substate: str, given: dict[str, Any]
) -> None:
    service.expect_get(waiting(service, substate))
    result = run_module(MODULE, {**options(service, args), **given})
    assert not result["changed"] and arm.writes == []
    assert result["migration"]["substate"] == substate


@pytest.mark.parametrize(
    ("there", "tags", "sent"),
    [
        ({"a": "1"}, {"a": "2"}, {"a": "2"}),
        ({"a": "1"}, {"b": 2}, {"b": "2"}),
        ({"a": "1"}, {}, {}),
    ],
)
def test_tags_are_set_as_given(run_module: Any, current: Any, args: Any, there: Any, tags: Any, sent: Any) -> None:
    current.expect_get(current.migration(tags=there))
    current.expect_patch({"tags": sent}, current.migration(tags=sent))
    result = run_module(MODULE, {**args, "tags": tags}, diff=True)
    assert result["changed"]
    assert (result["diff"]["before"]["tags"], result["diff"]["after"]["tags"]) == (there, sent)


@pytest.mark.parametrize("tags", [None, {"a": 1}])
def test_tags_left_out_or_equal_are_not_touched(run_module: Any, arm: Any, current: Any, args: Any, tags: Any) -> None:
    current.expect_get(current.migration(tags={"a": "1"}))
    assert not run_module(MODULE, {**args, "tags": tags})["changed"] and arm.writes == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"migration_mode": "Offline"}, "migration_mode"),
        ({"migration_option": "Validate"}, "migration_option"),
        ({"source_type": "OnPremises"}, "source_type"),
        ({"migration_instance_resource_id": "/runtime"}, "migration_instance_resource_id"),
        ({"source_db_server_resource_id": f"{PROVIDER}/servers/other"}, "source_db_server_resource_id"),
        ({"dbs_to_migrate": ["shop"]}, "dbs_to_migrate"),
        ({"migration_mode": "Offline", "dbs_to_migrate": ["other"]}, "migration_mode, dbs_to_migrate"),
    ],
)
def test_options_that_mean_another_migration_are_refused(
    run_module: Any, arm: Any, current: Any, args: Any, given: dict[str, Any], named: str
) -> None:
    there = {
        "migrationOption": "ValidateAndMigrate",
        "sourceType": "PostgreSQLSingleServer",
        "migrationInstanceResourceId": "/other-runtime",
    }
    current.expect_get(current.migration(**there))
    result = run_module(MODULE, {**args, **given})
    assert result.failed and result["failure"]["code"] == "NameTaken" and arm.writes == []
    assert result["msg"].startswith(f"A migration named shop-1 exists already, with another {named}.")


def test_the_first_previews_rows_of_databases_are_read_as_names(run_module: Any, classic: Any, args: Any) -> None:
    rows = [{"name": "shop", "type": "FullLoad"}, {"name": "stock", "type": "FullLoad"}]
    classic.expect_get(classic.migration(dBsToMigrate=None, dbsToMigrate=rows))
    result = run_module(MODULE, options(classic, args))
    assert not result.failed and not result["changed"]
    assert result["migration"]["dbs_to_migrate"] == ["shop", "stock"]


# Check mode and diff


def test_check_mode_foretells_a_new_migration_and_sends_nothing(
    run_module: Any, arm: Any, service: Any, args: Any
) -> None:
    service.expect_get(None)
    service.expect_location()
    service.expect_list("Active")
    given = {**options(service, args), "overwrite_dbs_in_target": True, "tags": {"team": "shop"}}
    result = run_module(MODULE, given, check_mode=True, diff=True)
    assert result["changed"] and arm.writes == []
    assert result["diff"] == {"before": {}, "after": result.visible("migration")}
    foretold = result["migration"]
    assert (foretold["id"], foretold["name"]) == (service.url(), "shop-1")
    assert foretold["state"] == "InProgress" and foretold["overwrite_dbs_in_target"] is True
    assert foretold["dbs_to_migrate"] == ["shop", "stock"] and foretold["tags"] == {"team": "shop"}
    assert foretold["target_db_server_resource_id"] == TARGET
    assert "Password-1" not in result.raw_output and "App-Secret" not in result.raw_output


def test_diff_of_a_new_migration_is_its_result(run_module: Any, current: Any, args: Any) -> None:
    expect_creation(current, current_body())
    result = run_module(MODULE, args, diff=True)
    assert result["diff"] == {"before": {}, "after": result.visible("migration")}
    assert "diff" not in run_module_again(run_module, current, args)


def run_module_again(run_module: Any, service: Any, args: Any) -> Any:
    service.expect_get(service.migration())
    return run_module(MODULE, args)


# Taking it away


def absent(args: dict[str, Any]) -> dict[str, Any]:
    return {**args, "state": "absent"}


def test_a_running_migration_is_canceled_awaited_and_deleted(run_module: Any, current: Any, target: Any) -> None:
    current.expect_get(current.migration("InProgress", "MigratingData"))
    current.expect_patch({"properties": {"cancel": "True", "dbsToCancelMigrationOn": ["shop", "stock"]}})
    current.expect_get(current.migration("InProgress", "CancelingRequestedDBMigrations"))
    current.expect_get(current.migration("CleaningUp"), current.migration("Canceled"))
    current.expect_delete()
    result = run_module(MODULE, absent(target), diff=True)
    assert result["changed"] and result["migration"] is None
    assert result["diff"]["before"]["substate"] == "MigratingData" and result["diff"]["after"] == {}


@pytest.mark.parametrize("state", ["Succeeded", "Failed", "Canceled", "ValidationFailed"])
def test_a_migration_that_ended_is_only_deleted(run_module: Any, current: Any, target: Any, state: str) -> None:
    current.expect_get(current.migration(state))
    current.expect_delete()
    assert run_module(MODULE, absent(target))["changed"]


def test_the_classic_delete_cancels_as_well(run_module: Any, classic: Any, target: Any) -> None:
    classic.expect_get(classic.migration("InProgress", "MigratingData"))
    classic.expect_delete()
    assert run_module(MODULE, {**absent(target), "generation": "classic"})["changed"]


def test_absent_twice_changes_nothing(run_module: Any, arm: Any, service: Any, target: Any) -> None:
    service.expect_get(None)
    generation = "classic" if service.classic else "current"
    result = run_module(MODULE, {**absent(target), "generation": generation})
    assert not result["changed"] and result["migration"] is None and arm.writes == []


def test_check_mode_deletes_nothing(run_module: Any, arm: Any, current: Any, target: Any) -> None:
    current.expect_get(current.migration("InProgress", "MigratingData"))
    result = run_module(MODULE, absent(target), check_mode=True)
    assert result["changed"] and result["migration"] is None and arm.writes == []


def test_a_cancel_that_takes_too_long_says_where_it_stands(
    run_module: Any, current: Any, target: Any, clock: Any
) -> None:
    current.expect_get(current.migration("InProgress", "MigratingData"))
    current.expect_patch({"properties": {"cancel": "True", "dbsToCancelMigrationOn": ["shop", "stock"]}})
    current.expect_get(current.migration("InProgress"), current.migration("CleaningUp"))
    result = run_module(MODULE, {**absent(target), "wait_timeout": 1})
    assert result.failed and result["failure"]["code"] == "Timeout"
    assert result["msg"].startswith(
        "Failed to cancel the migration shop-1: not done after 1 s (wait_timeout 1 s), last state CleaningUp."
    )
