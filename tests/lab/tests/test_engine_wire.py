# SPDX-License-Identifier: GPL-3.0-or-later
"""Both generations on the wire; the recorded conversations are held again with the lab's service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgflex_lab.arm.http import ArmError
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource
from small_lab import PASSWORD, PROVIDER, Handle, SmallLab, body, load_sample, migration_path, small_lab, start

RECORDED = Path(__file__).resolve().parents[4] / "shared/reference/recorded"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")
APP = {"clientId": "c", "tenantId": "t", "aadSecret": "right"}
OLDEST, SECOND = "2021-06-15-privatepreview", "2022-05-01-privatepreview"


@pytest.fixture(scope="module")
def lab() -> Iterator[SmallLab]:
    with small_lab(time_scale=60.0) as made:
        source = made.server("src", "single")
        source.set_parameter("wal_level", "logical")
        source.restart()
        load_sample(source)
        yield made


def recording(name: str) -> list[dict[str, Any]]:
    path = RECORDED / name
    if not path.exists():
        pytest.skip("the recorded answers are not at hand")
    found: list[dict[str, Any]] = json.loads(path.read_text())["interactions"]
    return found


def faceless(value: Any) -> Any:
    """Without what differs by nature: ids of migrations and times."""
    if isinstance(value, dict):
        return {key: "id" if key == "migrationId" else faceless(item) for key, item in value.items()}
    if isinstance(value, list):
        return [faceless(item) for item in value]
    return "time" if isinstance(value, str) and TIME.fullmatch(value) else value


def make_servers(lab: SmallLab, source: str, target: str, location: str, sku: dict[str, str]) -> None:
    for path, place in ((source, "southeastasia"), (target, location)):
        if not path.startswith("/"):
            continue
        found = ResourceId(path)
        lab.store.put(Resource(found.parent, "Microsoft.Resources/resourceGroups"))
        properties = {"version": "13", "storage": {"storageSizeGB": 32}}
        lab.store.put(
            Resource(found, found.type, location=place, sku=sku, properties=properties, internal={"cluster": "src"})
        )


@pytest.mark.parametrize(
    ("name", "location", "sku"),
    [
        (
            "migration-2022-05-01-privatepreview-offline.json",
            "Southeast Asia",
            {"name": "Standard_D2ds_v4", "tier": "GeneralPurpose"},
        ),
        (
            "migration-2024-08-01-onpremises-validate.json",
            "East US 2 EUAP",
            {"name": "Standard_D4s_v3", "tier": "GeneralPurpose"},
        ),
        (
            "migration-2025-08-01-onpremises-validate.json",
            "East US 2 EUAP",
            {"name": "Standard_D4s_v3", "tier": "GeneralPurpose"},
        ),
    ],
)
def test_recorded_conversations(lab: SmallLab, name: str, location: str, sku: dict[str, str]) -> None:
    talk = [item for item in recording(name) if "igration" in item["path"]]
    put = next(item for item in talk if item["method"] == "PUT")
    wanted = {key.lower(): value for key, value in put["request"]["properties"].items()}
    make_servers(lab, wanted["sourcedbserverresourceid"], str(ResourceId(put["path"]).parent), location, sku)
    for item in talk:
        action = "checkMigrationNameAvailability" if item["method"] == "POST" else None
        path = item["path"].removesuffix(f"/{action}") if action else item["path"]
        query = {key.lower(): value for key, value in item.get("query", {}).items()}
        answer = lab.call(
            item["method"], path, item.get("request"), version=item["api_version"], action=action, query=query
        )
        assert answer.status == item["status"]
        assert faceless(answer.body) == faceless(item["response"])
    # Two recordings have the same target, which takes one migration at a time.
    recorded = Handle(lab, put["path"])
    recorded.patch(cancel="True")
    recorded.until("Canceled")


def classic(databases: list[str] | None, **properties: Any) -> dict[str, Any]:
    """As the first guide spells it: the slash left out, capitals, strings for booleans."""
    found: dict[str, Any] = {
        "SourceDBServerResourceID": f"{PROVIDER}/servers/src".lstrip("/"),
        "SecretParameters": {
            "AdminCredentials": {"SourceServerPassword": PASSWORD, "TargetServerPassword": PASSWORD},
            "AADApp": {"ClientId": "c", "TenantId": "t", "AadSecret": "right"},
        },
        "DBsToMigrate": databases,
        "OverwriteDBsinTarget": "true",
        **properties,
    }
    return {"location": "East US", "properties": {key: value for key, value in found.items() if value is not None}}


@pytest.fixture(scope="module")
def fast() -> Iterator[SmallLab]:
    with small_lab() as made:
        source = made.server("src", "single")
        source.set_parameter("wal_level", "logical")
        source.restart()
        load_sample(source)
        yield made


def test_first_preview_is_online_and_has_its_own_word_for_ready(fast: SmallLab) -> None:
    fast.target("oldest")
    migration = start(fast, "oldest", "m", classic(["shop"]), OLDEST)
    found = migration.until("WaitingForCutoverTrigger")
    details = found["currentStatus"]["currentSubStateDetails"]["dbDetails"]["shop"]
    assert (details["migrationState"], details["initializationCompleted"]) == ("READY_TO_COMPLETE", True)
    assert found["migrationDetailsLevel"] == "Default" and found["migrationName"] == "m"
    assert found["sourceDBServerMetadata"]["storageMB"] == 32768
    assert (found["dBsToMigrate"], found["overwriteDBsInTarget"]) == (["shop"], True)
    assert "migrationMode" not in found and "secretParameters" not in found
    assert migration.patch(TriggerCutover="true").status == 200
    migration.until("Succeeded")


def test_second_preview_online(fast: SmallLab) -> None:
    fast.target("second")
    migration = start(fast, "second", "m", classic(["shop"], MigrationMode="Online"), SECOND)
    found = migration.until("WaitingForCutoverTrigger")
    assert (
        found["currentStatus"]["currentSubStateDetails"]["dbDetails"]["shop"]["migrationState"]
        == "WaitingForCutoverTrigger"
    )
    migration.patch(triggerCutover=True)
    assert migration.until("Succeeded")["triggerCutover"] is True


def test_booleans_are_words_in_the_current_generation(fast: SmallLab) -> None:
    fast.target("words")
    migration = start(fast, "words", "m", body("src", ["shop"], overwriteDbsInTarget=True, migrateRoles="false"))
    found = migration.until("Succeeded")
    assert (found["overwriteDbsInTarget"], found["migrateRoles"], found["triggerCutover"]) == ("True", "False", "True")
    assert (found["sourceType"], found["sslMode"], found["migrationMode"]) == (
        "PostgreSQLSingleServer",
        "VerifyFull",
        "Offline",
    )
    assert TIME.fullmatch(found["migrationWindowEndTimeInUtc"])


def test_no_answer_holds_a_password(fast: SmallLab) -> None:
    server = migration_path("words", "m").rsplit("/", 1)[0]
    for version in (OLDEST, SECOND, "2024-08-01", "2025-08-01", "2026-10-01"):
        answers = [
            fast.call("GET", migration_path("words", "m"), version=version).body,
            fast.call("GET", server, version=version, query={"migrationlistfilter": "All"}).body,
        ]
        assert PASSWORD not in json.dumps(answers)


def test_list_filters(fast: SmallLab) -> None:
    fast.target("listed")
    server = migration_path("listed", "x").rsplit("/", 1)[0]
    start(fast, "listed", "one", body("src", ["shop"])).until("Succeeded")
    active = start(fast, "listed", "two", body("src", None))
    active.until("WaitingForDBsToMigrateSpecification")

    def names(**query: str) -> list[str]:
        return [item["name"] for item in fast.call("GET", server, query=query).body["value"]]

    assert names(migrationlistfilter="Active") == ["two"]
    assert names(migrationlistfilter="All") == ["one", "two"]
    item = fast.call("GET", server, query={"migrationlistfilter": "All"}).body["value"][0]["properties"]
    assert "targetDbServerMetadata" not in item
    active.patch(cancel="True")
    active.until("Canceled")


def test_delete_removes_an_ended_one_and_keeps_its_name(fast: SmallLab) -> None:
    path = migration_path("listed", "one")
    assert fast.call("DELETE", path).status == 200
    assert fast.call("DELETE", path).status == 204
    with pytest.raises(ArmError) as caught:
        fast.call("GET", path)
    assert (caught.value.status, caught.value.code) == (404, "ResourceNotFound")
    answer = fast.call(
        "POST", f"{PROVIDER}/flexibleServers/listed", {"name": "ONE"}, action="checkMigrationNameAvailability"
    ).body
    assert (answer["nameAvailable"], answer["reason"]) == (False, "AlreadyExists")


@pytest.mark.parametrize("name", ["-x", "a_b", "a.b", ""])
def test_illegal_names(fast: SmallLab, name: str) -> None:
    answer = fast.call(
        "POST", f"{PROVIDER}/flexibleServers/listed", {"name": name}, action="checkMigrationNameAvailability"
    ).body
    assert (answer["nameAvailable"], answer["reason"]) == (False, "Invalid")


@pytest.mark.parametrize("version", ["2020-01-01", "2023-12-01", "2027-01-01"])
def test_unknown_versions(fast: SmallLab, version: str) -> None:
    with pytest.raises(ArmError) as caught:
        fast.call("GET", migration_path("listed", "two"), version=version)
    assert (caught.value.status, caught.value.code) == (400, "NoRegisteredProviderFound")


def test_tags_can_be_patched_at_any_time(fast: SmallLab) -> None:
    fast.target("tagged")
    migration = start(fast, "tagged", "m", {**body("src", ["shop"]), "tags": {"a": "1"}})
    migration.until("Succeeded")
    answer = fast.call("PATCH", migration.path, {"tags": {"a": "2"}})
    assert (answer.status, answer.body["tags"]) == (200, {"a": "2"})


def test_validation_of_an_online_migration_does_not_touch_a_single_server(fast: SmallLab) -> None:
    source = fast.server("untouched", "single")
    load_sample(source)
    fast.target("only-looking")
    content = body("untouched", ["shop"], migrationMode="Online", migrationOption="Validate")
    start(fast, "only-looking", "m", content).until("Succeeded")
    assert source.parameter("wal_level") == "replica"
