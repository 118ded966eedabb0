# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.states import explain, ready_for_cutover
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.wire import (
    COUNTERS,
    FIELDS,
    create_body,
    lowered,
    only_current,
    patch_body,
    read,
    yes,
)

RECORDED = Path(__file__).parents[5].parent / "shared" / "reference" / "recorded"
SERVERS = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/{}/providers/Microsoft.DBforPostgreSQL/{}/{}"
)
CURRENT = ("migration-2024-08-01-onpremises-validate.json", "migration-2025-08-01-onpremises-validate.json")
CLASSIC = "migration-2022-05-01-privatepreview-offline.json"
ZERO = dict.fromkeys(COUNTERS, 0)


def recording(name: str) -> Any:
    path = RECORDED / name
    if not path.exists():
        pytest.skip("the recorded answers of the service are not beside this repository")
    return json.loads(path.read_text(encoding="utf-8"))


def interaction(name: str, method: str, *, last: str = "") -> dict[str, Any]:
    """The last interaction of a recording with that method, whose path ends in `last` if given."""
    rows = recording(name)["interactions"]
    found: dict[str, Any] = [row for row in rows if row["method"] == method and row["path"].endswith(last)][-1]
    return found


def some(found: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: found[name] for name in names}


# Requests


def test_every_option_has_one_spelling_in_each_generation() -> None:
    for spellings in ([f.current for f in FIELDS], [f.classic for f in FIELDS], [f.option for f in FIELDS]):
        known = [name for name in spellings if name]
        assert len(known) == len({name.lower() for name in known})


FLAGS = ("overwrite_dbs_in_target", "setup_logical_replication_on_source_db_if_needed", "start_data_migration")


@pytest.mark.parametrize("option", FLAGS)
@pytest.mark.parametrize(
    ("classic", "value", "sent"),
    [(False, True, "True"), (False, False, "False"), (True, True, True), (True, False, False)],
)
def test_flags_are_words_in_one_generation_and_booleans_in_the_other(
    option: str, classic: bool, value: bool, sent: Any
) -> None:
    (found,) = patch_body({option: value}, classic=classic)["properties"].values()
    assert found is sent or found == sent


@pytest.mark.parametrize(
    ("options", "classic", "expected"),
    [
        ({}, False, {}),
        ({"dbs_to_migrate": None, "trigger_cutover": None}, False, {}),
        (
            {"trigger_cutover": True, "dbs_to_trigger_cutover_on": ["shop"]},
            False,
            {"properties": {"triggerCutover": "True", "dbsToTriggerCutoverOn": ["shop"]}},
        ),
        (
            {"trigger_cutover": True, "dbs_to_trigger_cutover_on": ["shop"]},
            True,
            {"properties": {"triggerCutover": True}},
        ),
        (
            {"cancel": True, "dbs_to_cancel_migration_on": ["shop"]},
            False,
            {"properties": {"cancel": "True", "dbsToCancelMigrationOn": ["shop"]}},
        ),
        ({"dbs_to_migrate": ["shop"]}, True, {"properties": {"dBsToMigrate": ["shop"]}}),
    ],
)
def test_patches(options: dict[str, Any], classic: bool, expected: dict[str, Any]) -> None:
    assert patch_body(options, classic=classic) == expected


@pytest.mark.parametrize(("tags", "expected"), [(None, {}), ({}, {"tags": {}}), ({"a": "b"}, {"tags": {"a": "b"}})])
def test_tags_are_patched_only_when_given(tags: Any, expected: dict[str, Any]) -> None:
    assert patch_body({}, classic=False, tags=tags) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"dbs_to_migrate": ["a"], "overwrite_dbs_in_target": True, "migration_mode": "Online"}, []),
        ({"migrate_roles": False}, ["migrate_roles"]),
        ({"migrate_roles": None, "ssl_mode": None}, []),
        (
            {"target_server_username": "x", "migration_option": "Migrate", "ssl_mode": "Require", "source_type": "AWS"},
            ["source_type", "ssl_mode", "migration_option", "target_server_username"],
        ),
        ({"migration_window_end_time_in_utc": "x"}, ["migration_window_end_time_in_utc"]),
    ],
)
def test_what_the_classic_service_has_no_word_for(options: dict[str, Any], expected: list[str]) -> None:
    assert only_current(options) == expected


@pytest.mark.parametrize(
    ("options", "classic", "expected"),
    [
        ({}, False, None),
        (
            {"source_server_password": "a", "target_server_password": "b"},
            False,
            {"adminCredentials": {"sourceServerPassword": "a", "targetServerPassword": "b"}},
        ),
        (
            {"source_server_password": "a", "source_server_username": "c"},
            False,
            {"adminCredentials": {"sourceServerPassword": "a"}, "sourceServerUsername": "c"},
        ),
        ({"target_server_username": "d"}, False, {"targetServerUsername": "d"}),
        (
            {"aad_app": {"client_id": "i", "tenant_id": "t", "client_secret": "s"}, "source_server_password": "a"},
            True,
            {
                "adminCredentials": {"sourceServerPassword": "a"},
                "aadApp": {"clientId": "i", "tenantId": "t", "aadSecret": "s"},
            },
        ),
    ],
)
def test_secrets_stand_in_secret_parameters_only(options: Any, classic: bool, expected: Any) -> None:
    made = create_body(options, "westeurope", classic=classic)["properties"]
    assert made.pop("secretParameters", None) == expected and made == {}


@pytest.mark.parametrize("name", CURRENT)
def test_recorded_request_of_the_current_service(name: str) -> None:
    options = {
        "migration_mode": "offline",
        "migration_option": "Validate",
        "source_type": "OnPremises",
        "ssl_mode": "Prefer",
        "source_db_server_resource_id": "20.66.25.58:5432@postgres",
        "source_server_password": "XXXXXXXXX",
        "target_server_password": "XXXXXXXXX",
        "target_server_username": "portaltestuser",
        "dbs_to_migrate": ["postgres"],
        "setup_logical_replication_on_source_db_if_needed": False,
        "overwrite_dbs_in_target": True,
    }
    assert create_body(options, "eastus2euap", classic=False) == interaction(name, "PUT")["request"]


def test_recorded_request_of_the_classic_service() -> None:
    """The recorded client spelled the keys and booleans in its own way, which the service took as it takes ours."""
    options = {
        "migration_mode": "Offline",
        "source_db_server_resource_id": SERVERS.format("Sterling2MeruRG", "servers", "source-server-longhaul"),
        "source_server_password": "xxxx",
        "target_server_password": "xxxx",
        "dbs_to_migrate": ["dvdrental"],
        "setup_logical_replication_on_source_db_if_needed": True,
        "overwrite_dbs_in_target": True,
    }
    sent = lowered(interaction(CLASSIC, "PUT")["request"])
    for flag in ("setuplogicalreplicationonsourcedbifneeded", "overwritedbsintarget"):
        sent["properties"][flag] = yes(sent["properties"][flag])
    assert lowered(create_body(options, "Southeast Asia", classic=True)) == sent


def test_guide_1s_request_with_everything() -> None:
    options = {
        "source_db_server_resource_id": "subscriptions/s/resourceGroups/g/providers/P/servers/x",
        "source_db_server_fully_qualified_domain_name": "source.corp",
        "target_db_server_fully_qualified_domain_name": "target.corp",
        "source_server_password": "p1",
        "target_server_password": "p2",
        "aad_app": {"client_id": "c", "tenant_id": "t", "client_secret": "s"},
        "migration_resource_group": {"resource_id": "subscriptions/s/resourceGroups/tmp", "subnet_resource_id": "/sub"},
        "dbs_to_migrate": ["db1", "db2"],
        "setup_logical_replication_on_source_db_if_needed": True,
        "overwrite_dbs_in_target": True,
    }
    assert create_body(options, "East US", classic=True)["properties"] == {
        "sourceDBServerResourceId": options["source_db_server_resource_id"],
        "sourceDBServerFullyQualifiedDomainName": "source.corp",
        "targetDBServerFullyQualifiedDomainName": "target.corp",
        "secretParameters": {
            "adminCredentials": {"sourceServerPassword": "p1", "targetServerPassword": "p2"},
            "aadApp": {"clientId": "c", "tenantId": "t", "aadSecret": "s"},
        },
        "migrationResourceGroup": {"resourceId": "subscriptions/s/resourceGroups/tmp", "subnetResourceId": "/sub"},
        "dBsToMigrate": ["db1", "db2"],
        "setupLogicalReplicationOnSourceDBIfNeeded": True,
        "overwriteDBsInTarget": True,
    }


# Answers


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (True, True), (False, False), ("True", True), ("true", True), ("False", False), ("false", False)],
)
def test_yes(value: Any, expected: bool | None) -> None:
    assert yes(value) is expected


@pytest.mark.parametrize(("name", "version"), [(CURRENT[0], "2024-08-01"), (CURRENT[1], "2025-08-01")])
def test_recorded_answer_of_the_current_service(name: str, version: str) -> None:
    row = interaction(name, "GET", last=interaction(name, "PUT")["path"])
    found = read(row["response"])
    assert row["api_version"] == version
    assert some(found, "state", "substate", "error", "databases", "validation", "tags") == {
        "state": "InProgress",
        "substate": "PerformingPreRequisiteSteps",
        "error": None,
        "databases": [],
        "validation": None,
        "tags": {},
    }
    assert some(found, "migration_mode", "migration_option", "source_type", "ssl_mode", "dbs_to_migrate") == {
        "migration_mode": "Offline",
        "migration_option": "Validate",
        "source_type": "OnPremises",
        "ssl_mode": "Prefer",
        "dbs_to_migrate": ["postgres"],
    }
    flags = ("overwrite_dbs_in_target", "setup_logical_replication_on_source_db_if_needed", "migrate_roles")
    assert some(found, *flags, "trigger_cutover", "cancel") == {
        "overwrite_dbs_in_target": True,
        "setup_logical_replication_on_source_db_if_needed": False,
        "migrate_roles": False,
        "trigger_cutover": True,
        "cancel": None,
    }
    assert found["source_db_server_resource_id"] == "20.66.25.58:5432@postgres"
    assert found["target_server"] == {
        "location": "East US 2 EUAP",
        "version": "13",
        "storage_mb": 32768,
        "sku": "Standard_D4s_v3",
        "tier": "GeneralPurpose",
    }
    assert found["source_server"] is None


def test_recorded_answer_of_the_classic_service() -> None:
    put = interaction(CLASSIC, "PUT")
    found = read(interaction(CLASSIC, "GET", last=put["path"])["response"])
    names = ("state", "substate", "migration_mode", "dbs_to_migrate", "overwrite_dbs_in_target", "trigger_cutover")
    assert some(found, *names) == {
        "state": "InProgress",
        "substate": "PerformingPreRequisiteSteps",
        "migration_mode": "Offline",
        "dbs_to_migrate": ["dvdrental"],
        "overwrite_dbs_in_target": True,
        "trigger_cutover": True,
    }
    assert found["source_db_server_resource_id"].endswith("/servers/source-server-longhaul")
    assert found["source_server"] == {
        "location": "southeastasia",
        "version": None,
        "storage_mb": None,
        "sku": None,
        "tier": None,
    }


def test_recorded_list_reads_like_the_single_answer() -> None:
    put = interaction(CLASSIC, "PUT")
    (listed,) = interaction(CLASSIC, "GET", last="/migrations")["response"]["value"]
    one, other = read(listed), read(interaction(CLASSIC, "GET", last=put["path"])["response"])
    assert {**one, "source_server": None, "target_server": None} == {
        **other,
        "source_server": None,
        "target_server": None,
    }


def test_documented_answer_of_a_failed_migration() -> None:
    found = read(recording("example-2024-08-01-get-migration-failed.json"))
    assert some(found, "state", "substate", "migration_mode", "migration_option", "migrate_roles") == {
        "state": "Failed",
        "substate": "Completed",
        "migration_mode": "Offline",
        "migration_option": "ValidateAndMigrate",
        "migrate_roles": False,
    }
    assert found["error"].startswith("testdb6: Collation/Encoding not Supported Error")
    (database,) = found["databases"]
    assert database == {
        "name": "testdb6",
        "state": "Failed",
        "started_on": "2023-08-21T13:09:52.9226008Z",
        "ended_on": "2023-08-21T13:09:53.2526436Z",
        "message": database["message"],
        **ZERO,
    }
    # The error holds the database's message: it is told once.
    assert explain(found).count("User defined Collations") == 1
    assert found["validation"]["status"] == "Succeeded"
    assert found["validation"]["server"] == [
        {"type": "AuthenticationAndConnectivityValidation", "state": "Succeeded", "messages": []}
    ]


def test_documented_answer_of_a_failed_validation() -> None:
    found = read(recording("example-2024-08-01-get-validation-failed.json"))
    assert some(found, "state", "migration_option", "databases", "error") == {
        "state": "ValidationFailed",
        "migration_option": "Validate",
        "databases": [],
        "error": None,
    }
    checks = {row["name"]: {c["type"]: c["state"] for c in row["checks"]} for row in found["validation"]["databases"]}
    # Names of databases keep their case.
    assert list(checks) == ["c.utf-8", "postgres", "testdb1", "UnknownCollationTest"]
    assert checks["c.utf-8"] == {
        "SchemaValidation": "Succeeded",
        "ExtensionsValidation": "Failed",
        "CollationsValidation": "Succeeded",
    }
    assert explain(found).startswith("c.utf-8: Unsupported Extension.")


# The data values that guide 1 prints.
GUIDE_1 = {
    "id": "/subscriptions/x/resourceGroups/y/providers/P/flexibleServers/flexserver12/migrations/m",
    "name": "mymigration1",
    "properties": {
        "currentStatus": {
            "currentSubStateDetails": {
                "currentSubState": "WaitingForCutoverTrigger",
                "dbDetails": {
                    "db4": {
                        "databaseName": "db4",
                        "fullLoadCompletedTables": 1,
                        "initializationCompleted": True,
                        "latency": 0,
                        "migrationState": "READY_TO_COMPLETE",
                        "startedOn": "2021-09-16T11:49:59.0799608+00:00",
                    },
                    "db3": {
                        "databaseName": "db3",
                        "fullLoadCompletedTables": 1,
                        "latency": 0,
                        "migrationState": "READY_TO_COMPLETE",
                        "startedOn": "2021-09-16T11:49:58.9499824+00:00",
                    },
                },
            },
            "state": "WaitingForUserAction",
        },
        "dbsToMigrate": [{"name": "db3", "type": "FullLoad", "status": "Completed"}, {"name": "db4"}],
        "migrationDetailsLevel": "Default",
        "migrationId": "8f2cc81a-3875-469b-ba1f-341126b971f2",
        "migrationName": "mymigration",
        "overwriteDBsInTarget": True,
    },
}


def test_guide_1s_answer_of_a_migration_that_waits_for_its_cutover() -> None:
    found = read(GUIDE_1)
    assert ready_for_cutover(found)
    assert some(found, "name", "migration_id", "dbs_to_migrate", "overwrite_dbs_in_target", "migration_mode") == {
        "name": "mymigration",
        "migration_id": "8f2cc81a-3875-469b-ba1f-341126b971f2",
        "dbs_to_migrate": ["db3", "db4"],
        "overwrite_dbs_in_target": True,
        "migration_mode": None,
    }
    assert [(row["name"], row["state"], row["tables_completed"], row["latency"]) for row in found["databases"]] == [
        ("db3", "READY_TO_COMPLETE", 1, 0),
        ("db4", "READY_TO_COMPLETE", 1, 0),
    ]


def test_guide_1s_answer_without_a_substate_is_ready_by_its_databases() -> None:
    answer = json.loads(json.dumps(GUIDE_1))
    del answer["properties"]["currentStatus"]["currentSubStateDetails"]["currentSubState"]
    assert ready_for_cutover(read(answer))


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"properties": None},
        {"properties": {"currentStatus": None}},
        {"properties": {"currentStatus": {"currentSubStateDetails": None}}},
        {"properties": {"currentStatus": {"currentSubStateDetails": {"dbDetails": None, "validationDetails": None}}}},
    ],
)
def test_an_answer_with_gaps_is_read(answer: dict[str, Any]) -> None:
    found = read(answer)
    assert found["databases"] == [] and found["validation"] is None and found["dbs_to_migrate"] is None
    assert set(found) == set(read(GUIDE_1))


def test_names_of_databases_keep_their_case() -> None:
    rows = {"Sales Dept": {"migrationState": "InProgress"}, "sales dept": {"migrationState": "Failed"}}
    answer = {"properties": {"CurrentStatus": {"CurrentSubStateDetails": {"DBDetails": rows}}}}
    assert [(row["name"], row["state"]) for row in read(answer)["databases"]] == [
        ("Sales Dept", "InProgress"),
        ("sales dept", "Failed"),
    ]
