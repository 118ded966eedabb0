# SPDX-License-Identifier: GPL-3.0-or-later
"""Every waiting state and what releases it; cancel; time limits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pgflex_lab.clusters import Cluster
from small_lab import SmallLab, body, connect, load_sample, small_lab, start, traces


@pytest.fixture(scope="module")
def lab() -> Iterator[SmallLab]:
    with small_lab() as made:
        source = made.server("src", "single")
        source.set_parameter("wal_level", "logical")
        source.restart()
        load_sample(source)
        yield made


@pytest.fixture
def target(lab: SmallLab, request: pytest.FixtureRequest) -> Cluster:
    return lab.target(request.node.name.replace("_", "-")[:60].strip("-"))


def test_first_seconds_are_prerequisites(lab: SmallLab, target: Cluster) -> None:
    migration = start(lab, target.name, "m", body("src", ["shop"]))
    assert migration.state == ("InProgress", "PerformingPreRequisiteSteps")
    migration.until("Succeeded")


def test_waits_for_replication_setup_then_restarts_once(lab: SmallLab, target: Cluster) -> None:
    source = lab.server("plain", "single")
    load_sample(source)
    before = source.pid
    migration = start(lab, target.name, "m", body("plain", ["shop"], migrationMode="Online"))
    migration.until("WaitingForLogicalReplicationSetupRequestOnSourceDB")
    assert migration.state[0] == "WaitingForUserAction"
    assert source.pid == before
    assert migration.patch(setupLogicalReplicationOnSourceDbIfNeeded="True").status == 200
    migration.until("WaitingForCutoverTrigger")
    assert source.parameter("wal_level") == "logical"
    assert lab.configurations.values["plain", "azure.replication_support"] == "LOGICAL"
    assert lab.configurations.values["plain", "restarts"] == "1"
    migration.patch(cancel="True")
    migration.until("Canceled")


def test_replication_set_up_by_hand_still_needs_the_answer_and_no_second_restart(
    lab: SmallLab, target: Cluster
) -> None:
    source = lab.server("by-hand", "single")
    load_sample(source)
    migration = start(lab, target.name, "m", body("by-hand", ["shop"], migrationMode="Online"))
    migration.until("WaitingForLogicalReplicationSetupRequestOnSourceDB")
    source.set_parameter("wal_level", "logical")
    source.restart()
    pid = source.pid
    migration.patch(startDataMigration="True")
    migration.until("WaitingForCutoverTrigger")
    assert source.pid == pid
    migration.patch(cancel="True")
    migration.until("Canceled")


def test_waits_for_databases(lab: SmallLab, target: Cluster) -> None:
    migration = start(lab, target.name, "m", body("src", None))
    migration.until("WaitingForDBsToMigrateSpecification")
    migration.patch(dbsToMigrate=["shop"])
    assert migration.until("Succeeded")["dbsToMigrate"] == ["shop"]


def test_waits_for_consent_to_overwrite(lab: SmallLab, target: Cluster) -> None:
    with connect(target) as connection:
        connection.execute("CREATE DATABASE shop")
    migration = start(lab, target.name, "m", body("src", ["shop"], overwriteDbsInTarget="False"))
    migration.until("WaitingForTargetDBOverwriteConfirmation")
    with target.connect("shop") as connection:
        assert connection.execute("SELECT count(*) FROM pg_class WHERE relname = 'customer'").fetchone() == (0,)
    migration.patch(overwriteDbsInTarget="True")
    migration.until("Succeeded")


def test_waits_for_scheduling(lab: SmallLab, target: Cluster) -> None:
    migration = start(lab, target.name, "m", body("src", ["shop"], startDataMigration="False"))
    migration.until("WaitingForDataMigrationScheduling")
    migration.patch(startDataMigration="True")
    migration.until("Succeeded")


def test_waits_for_the_window(lab: SmallLab, target: Cluster) -> None:
    opens = datetime.now(UTC) + timedelta(seconds=6)
    content = body("src", ["shop"], migrationWindowStartTimeInUtc=opens.isoformat().replace("+00:00", "Z"))
    migration = start(lab, target.name, "m", content)
    migration.until("WaitingForDataMigrationWindow")
    migration.until("Succeeded")
    assert datetime.now(UTC) >= opens


def test_a_mere_validation_copies_nothing(lab: SmallLab, target: Cluster) -> None:
    migration = start(lab, target.name, "m", body("src", ["shop"], migrationOption="Validate"))
    found = migration.until("Succeeded")
    details = found["currentStatus"]["currentSubStateDetails"]
    assert details["validationDetails"]["status"] == "Succeeded"
    assert details["dbDetails"] == {}
    assert [item["type"] for item in details["validationDetails"]["serverLevelValidationDetails"]] == [
        "AuthenticationAndConnectivityValidation",
        "SourceVersionValidation",
        "ServerParametersValidation",
    ]
    summary = details["validationDetails"]["dbLevelValidationDetails"][0]["summary"]
    assert [item["type"] for item in summary] == ["SchemaValidation", "ExtensionsValidation", "CollationsValidation"]
    assert "shop" not in target.databases()


def test_validate_and_migrate_does_both(lab: SmallLab, target: Cluster) -> None:
    migration = start(lab, target.name, "m", body("src", ["shop"], migrationOption="ValidateAndMigrate"))
    details = migration.until("Succeeded")["currentStatus"]["currentSubStateDetails"]
    assert details["validationDetails"]["status"] == details["dbDetails"]["shop"]["migrationState"] == "Succeeded"


@pytest.mark.parametrize("how", ["patch", "action", "delete"])
def test_cancel_of_an_online_migration_leaves_no_traces(lab: SmallLab, how: str) -> None:
    target = lab.target(f"cancel-{how}")
    migration = start(lab, target.name, "m", body("src", ["shop"], migrationMode="Online"))
    migration.until("WaitingForCutoverTrigger")
    if how == "patch":
        migration.patch(cancel="True", dbsToCancelMigrationOn=["shop"])
    elif how == "action":
        assert lab.call("POST", migration.path, action="cancel").status == 200
    else:
        assert lab.call("DELETE", migration.path).status == 200
    details = migration.until("Canceled")["currentStatus"]["currentSubStateDetails"]["dbDetails"]
    assert details["shop"]["migrationState"] == "Canceled"
    assert traces(lab.clusters.get("src"), target) == []


@pytest.mark.parametrize("delay", [0.0, 0.12, 0.3, 0.6, 0.9])
def test_cancel_at_any_time_leaves_no_traces(lab: SmallLab, delay: float) -> None:
    target = lab.target(f"early-{int(delay * 100)}")
    migration = start(lab, target.name, "m", body("src", ["shop"], migrationMode="Online"))
    time.sleep(delay)
    migration.patch(cancel="True")
    migration.until("Canceled")
    assert traces(lab.clusters.get("src"), target) == []


def test_cancel_is_not_held_up_by_a_long_transaction(lab: SmallLab, target: Cluster) -> None:
    """A slot cannot be made while an older transaction writes."""
    with connect(lab.clusters.get("src"), "shop") as busy:
        busy.execute("BEGIN")
        busy.execute("INSERT INTO shout VALUES ('open')")
        migration = start(lab, target.name, "m", body("src", ["shop"], migrationMode="Online"))
        migration.until("MigratingData")
        time.sleep(1.5)
        assert migration.state[1] == "MigratingData"
        migration.patch(cancel="True")
        migration.until("Canceled", seconds=10)
        busy.execute("ROLLBACK")
    assert traces(lab.clusters.get("src"), target) == []


def test_cancel_of_one_database_lets_the_other_go_on(lab: SmallLab, target: Cluster) -> None:
    load_sample(lab.clusters.get("src"), "other")
    migration = start(lab, target.name, "m", body("src", ["shop", "other"], migrationMode="Online"))
    migration.until("WaitingForCutoverTrigger")
    migration.patch(cancel="True", dbsToCancelMigrationOn=["other"])
    deadline = time.monotonic() + 10
    while migration.state[1] != "WaitingForCutoverTrigger" and time.monotonic() < deadline:
        time.sleep(0.05)
    migration.patch(triggerCutover="True")
    details = migration.until("Succeeded")["currentStatus"]["currentSubStateDetails"]["dbDetails"]
    assert {name: item["migrationState"] for name, item in details.items()} == {
        "shop": "Succeeded",
        "other": "Canceled",
    }
    assert traces(lab.clusters.get("src"), target) == []


def test_a_restart_of_the_source_is_survived(lab: SmallLab, target: Cluster) -> None:
    source = lab.clusters.get("src")
    migration = start(lab, target.name, "m", body("src", ["shop"], migrationMode="Online"))
    migration.until("WaitingForCutoverTrigger")
    source.restart()
    with connect(source, "shop") as connection:
        connection.execute("INSERT INTO shout VALUES ('after the restart')")
    migration.patch(triggerCutover="True")
    migration.until("Succeeded")
    with target.connect("shop") as connection:
        assert connection.execute("SELECT count(*) FROM shout WHERE word = 'after the restart'").fetchone() == (1,)


def test_the_cutover_window_ends_after_72_hours() -> None:
    with small_lab(time_scale=40_000.0) as lab:
        source = lab.server("src", "single")
        source.set_parameter("wal_level", "logical")
        source.restart()
        load_sample(source)
        target = lab.target("late")
        migration = start(lab, "late", "m", body("src", ["shop"], migrationMode="Online"))
        migration.until("WaitingForCutoverTrigger")
        found = migration.until("Failed")
        assert "72 hours" in found["currentStatus"]["error"]
        assert traces(source, target) == []


def test_a_migration_nobody_answers_ends_after_7_days() -> None:
    with small_lab(time_scale=400_000.0) as lab:
        lab.server("src", "single")
        lab.target("never")
        migration = start(lab, "never", "m", body("src", None))
        migration.until("WaitingForDBsToMigrateSpecification")
        assert "7 days" in migration.until("Failed")["currentStatus"]["error"]


def test_several_migrations_at_once_from_one_source(lab: SmallLab) -> None:
    targets = [lab.target(f"many-{number}") for number in range(3)]
    migrations = [start(lab, item.name, "m", body("src", ["shop"], migrationMode="Online")) for item in targets]
    for migration in migrations:
        migration.until("WaitingForCutoverTrigger")
        migration.patch(triggerCutover="True")
    for migration in migrations:
        migration.until("Succeeded")
    assert traces(lab.clusters.get("src"), *targets) == []
