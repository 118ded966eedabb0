# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers that the guide of the first preview prints, as far as they are JSON and of servers with public access."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from answer_shapes import differences
from conformance_table import tried
from plain_requests import PASSWORDS, Plain

VERSION = "2021-06-15-privatepreview"
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/Sterling2MeruRG/providers"
SERVERS = f"{GROUP}/Microsoft.DBforPostgreSQL"
PATH = f"{SERVERS}/flexibleServers/guide-target/migrations/guide"
NAMES = ("dbdetails",)


def answers(text: str) -> list[dict[str, Any]]:
    """What stands in fences, with the line breaks taken out that the print put inside long words."""
    found = []
    for block in re.findall(r"```\n(.*?)```", text, re.DOTALL):
        start = re.search(r"^\{", block, re.MULTILINE)
        if start is None or "currentStatus" not in block:
            continue
        try:
            found.append(json.loads(re.sub(r"-\s*\n", "-", block[start.start() :])))
        except json.JSONDecodeError:
            continue
    return found


def folded(value: Any) -> Any:
    """The guide spells the same key in several ways."""
    if isinstance(value, dict):
        return {key.lower(): folded(inner) for key, inner in value.items()}
    return [folded(row) for row in value] if isinstance(value, list) else value


@pytest.fixture(scope="session")
def printed(reference: Path) -> list[dict[str, Any]]:
    guides = sorted((reference / "guides").glob("1-*.txt"))
    if not guides:
        pytest.skip("there is no guide 1")
    found = [folded(answer) for answer in answers(guides[0].read_text())]
    for answer in found:
        # The command line's own addition.
        answer.pop("resourcegroup", None)
    return found


def test_broken_lines_are_mended() -> None:
    text = '```\n> az x\n{\n  "a": "one-  \n  two", "currentStatus": 1\n}\n```\n\n```\n{ currentStatus\n```\n'
    assert answers(text.replace("  two", "two")) == [{"a": "one-two", "currentStatus": 1}]


def test_a_new_migration(printed: list[dict[str, Any]], plain: Plain) -> None:
    whole = [answer for answer in printed if "type" in answer and "migrationresourcegroup" not in answer["properties"]]
    assert len(whole) >= 2
    with plain.connected("guide-source", "pgadmin@guide-source", "sportsdb_sample") as source:
        source.execute("CREATE TABLE teams (id int PRIMARY KEY)")
    environment = plain.lab.environment()
    app = {
        "ClientId": environment["AZURE_CLIENT_ID"],
        "TenantId": environment["AZURE_TENANT_ID"],
        "AadSecret": environment["AZURE_CLIENT_SECRET"],
    }
    secrets = {
        "AdminCredentials": {name[0].upper() + name[1:]: text for name, text in PASSWORDS.items()},
        "AADApp": app,
    }
    properties = {
        "SourceDBServerResourceId": f"{SERVERS}/servers/guide-source".removeprefix("/"),
        "SecretParameters": secrets,
        "DBsToMigrate": ["sportsdb_sample"],
        # Its printed request leaves this out, its answer shows it, and its text says that it is not set by itself.
        "OverwriteDBsInTarget": "true",
    }
    with tried("printed answers", VERSION, "PUT migration"):
        found = plain("PUT", PATH, VERSION, {"properties": properties, "location": "southeastasia"})
        assert found.status_code == 201, found.text
        for answer in whole:
            assert list(differences(answer, folded(found.json()), by_name=NAMES)) == []


def test_a_migration_that_waits_for_its_cutover(printed: list[dict[str, Any]], plain: Plain) -> None:
    """The guide leaves out parts of these answers; what it prints has to be there."""
    waiting = [answer for answer in printed if "currentsubstatedetails" in answer["properties"]["currentstatus"]]
    # One block has a list of objects for the databases, which no other answer and no request has.
    waiting = [answer for answer in waiting if "dbstomigrate" not in answer["properties"]]
    assert waiting
    with tried("printed answers", VERSION, "GET migration"):
        found = folded(plain.until(PATH, VERSION, "WaitingForUserAction"))
        for answer in waiting:
            missing = [text for text in differences(answer, found, by_name=NAMES) if "never recorded" not in text]
            assert missing == []


def test_the_cutover_and_what_is_left(plain: Plain) -> None:
    with tried("plain requests", VERSION, "PATCH migration to cut over"):
        found = plain("PATCH", PATH, VERSION, {"properties": {"triggerCutover": True}})
        assert found.status_code == 200, found.text
        plain.until(PATH, VERSION, "Succeeded")
    collection = PATH.rpartition("/")[0]
    for which, expected in (("Active", []), ("All", ["guide"])):
        with tried("plain requests", VERSION, f"GET {which.lower()} migrations"):
            rows = plain("GET", collection, VERSION, migrationListFilter=which).json()["value"]
            assert [row["name"] for row in rows] == expected
    with tried("plain requests", VERSION, "PUT migration of a taken name"):
        found = plain("PUT", PATH, VERSION, {"properties": {"SourceDBServerResourceId": f"{SERVERS}/servers/none"}})
        assert 400 <= found.status_code < 500 and set(found.json()["error"]) >= {"code", "message"}
    with tried("plain requests", VERSION, "DELETE migration"):
        assert plain("DELETE", PATH, VERSION).status_code == 200
        assert plain("GET", PATH, VERSION).status_code == 404
