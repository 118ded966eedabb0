# SPDX-License-Identifier: GPL-3.0-or-later
"""What Azure once answered, and what the lab answers in the same state: same status, same keys, same types."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from answer_shapes import differences, keys
from conformance_table import tried
from plain_requests import PASSWORDS, Plain

CLIENT = "recorded answers"
NAMES = ("dbDetails", "tags")
RECORDINGS = (
    "migration-2022-05-01-privatepreview-offline",
    "migration-2024-08-01-onpremises-validate",
    "migration-2025-08-01-onpremises-validate",
)


def load(reference: Path, name: str) -> Any:
    path = reference / "recorded" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"there is no {name}")
    return json.loads(path.read_text())


def require_alike(recorded: Any, found: Any, also: Collection[str] = ()) -> None:
    """`also`: keys that may be there."""
    different = [
        text
        for text in differences(recorded, found, by_name=NAMES)
        if text not in [f"{path}: never recorded" for path in also]
    ]
    if different:
        pytest.fail("\n".join(different), pytrace=False)


@pytest.mark.parametrize("name", RECORDINGS)
def test_each_recorded_request_is_answered_alike(reference: Path, plain: Plain, name: str) -> None:
    last = None
    for item in load(reference, name)["interactions"]:
        operation = f"{item['method']} {item['path'].split('/providers/')[1].split('/', 1)[1]}"
        with tried(CLIENT, item["api_version"], operation):
            found = plain(
                item["method"], item["path"], item["api_version"], item.get("request"), **item.get("query", {})
            )
            assert found.status_code == item["status"], found.text
            require_alike(item["response"], found.json())
            assert [header for header in item.get("response_headers", {}) if header not in found.headers] == []
        last = item
    assert last is not None
    # The next recording has the same target, which takes one migration at a time.
    plain("PATCH", last["path"], last["api_version"], {"properties": {"cancel": "True"}})
    plain.until(last["path"], last["api_version"], "Canceled")


def create(plain: Plain, example: dict[str, Any]) -> None:
    """Orders what the example shows the end of."""
    kept = ("migrationMode", "migrationOption", "sourceDbServerResourceId", "dbsToMigrate", "migrateRoles")
    flags = ("overwriteDbsInTarget", "setupLogicalReplicationOnSourceDbIfNeeded")
    window = ("migrationWindowStartTimeInUtc", "migrationWindowEndTimeInUtc")
    given = {name: example["properties"][name] for name in (*kept, *flags, *window)}
    by_address = ":" in given["sourceDbServerResourceId"]
    if by_address:
        given["sourceDbServerResourceId"] = given["sourceDbServerResourceId"].replace("@postgres", "@pgadmin")
    user = "pgadmin" if by_address else "pgadmin@testsource"
    secrets = {"adminCredentials": PASSWORDS, "sourceServerUsername": user, "targetServerUsername": "pgadmin"}
    body = {"location": "eastus2", "properties": {**given, "secretParameters": secrets}}
    answer = plain("PUT", example["id"], "2024-08-01", body)
    assert answer.status_code == 201, answer.text


def shown_later(reference: Path) -> set[str]:
    """The documented examples are from 2023: what the recordings of the same API version show was added since."""
    recording = load(reference, "migration-2024-08-01-onpremises-validate")
    return set(keys(recording["interactions"][-1]["response"]))


def test_a_failed_validation_looks_as_documented(reference: Path, plain: Plain) -> None:
    example = load(reference, "example-2024-08-01-get-validation-failed")
    for database in ("c.utf-8", "UnknownCollationTest"):
        with plain.connected("onpremises-2", "pgadmin", database) as source:
            source.execute("CREATE EXTENSION hstore")
    with tried(CLIENT, "2024-08-01", "GET of a failed validation"):
        create(plain, example)
        found = plain.until(example["id"], "2024-08-01", "ValidationFailed")
        require_alike(example, found, also=shown_later(reference))


def test_a_failed_migration_looks_as_documented(reference: Path, plain: Plain) -> None:
    example = load(reference, "example-2024-08-01-get-migration-failed")
    with plain.connected("testsource", "pgadmin@testsource", "testdb6") as source:
        source.execute("CREATE ROLE stranger")
        source.execute("GRANT stranger TO CURRENT_USER")
        source.execute("GRANT ALL ON SCHEMA public TO stranger")
        source.execute("SET ROLE stranger")
        source.execute("CREATE TABLE of_others (id int PRIMARY KEY)")
        source.execute("RESET ROLE")
        source.execute("REVOKE stranger FROM CURRENT_USER")
    with tried(CLIENT, "2024-08-01", "GET of a failed migration"):
        create(plain, example)
        found = plain.until(example["id"], "2024-08-01", "Failed")
        require_alike(example, found, also=shown_later(reference))
