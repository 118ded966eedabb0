# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of real runs in the lab: of all hosts, those that failed included, and again when all is over."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._report.words import order
from plays import PASSWORD, Pair, Player, make_pair

from pgflex_lab.process import Running

# What a playbook does whose report is to have every host: it rescues, reports, and fails at its end.
PHASES = ("settings", "network", "preflight", "runtime_server", "identity", "source", "migrate", "cutover", "validate")


def role(name: str, tasks: str | None = None) -> dict[str, Any]:
    more = {"tasks_from": tasks} if tasks else {}
    return {"ansible.builtin.import_role": {"name": f"pgflex.migrate.{name}", **more}}


def write_playbook(player: Player) -> str:
    block = [role(name) for name in (*PHASES, "finish")]
    rescue = [{"ansible.builtin.include_role": {"name": "pgflex.migrate.report", "tasks_from": "failed"}}]
    tasks = [{"block": block, "rescue": rescue}, role("report"), role("report", "end")]
    play = {"hosts": "all", "connection": "local", "gather_facts": False, "tasks": tasks}
    path = player.folder / "fleet.yml"
    path.write_text(json.dumps([play]))
    return str(path)


@pytest.fixture
def files(player: Player) -> dict[str, str]:
    return {kind: str(player.folder / f"report.{kind}") for kind in ("html", "json", "csv")}


@pytest.fixture
def four(shared_lab: Running) -> dict[str, Pair]:
    return {name: make_pair(shared_lab, f"report-{name}") for name in ("billing", "orders", "stock", "users")}


def hosts_of(four: dict[str, Pair], files: dict[str, str]) -> dict[str, Any]:
    """One succeeds online, one offline, one is refused by the service, and one has a password that is wrong."""
    with four["stock"].source.connect("shop") as connection:
        connection.execute("CREATE COLLATION german (provider = libc, locale = 'C')")
    wrong = {"user": "pgadmin", "password": "Wrong-Passw0rd!"}
    return {
        "billing": four["billing"].host(report=files),
        "orders": four["orders"].host(mode="offline", report=files),
        "stock": four["stock"].host(mode="offline", report=files),
        "users": four["users"].host(mode="offline", report=files, target=wrong),
    }


def read(files: dict[str, str]) -> dict[str, Any]:
    for path in files.values():
        assert Path(path).stat().st_mode & 0o777 == 0o600
        text = Path(path).read_text()
        assert PASSWORD not in text and "Wrong-Passw0rd!" not in text
    found: dict[str, Any] = json.loads(Path(files["json"]).read_text())
    return found


def test_every_host_is_in_it_and_stays_as_it_was_seen(
    four: dict[str, Pair], files: dict[str, str], player: Player
) -> None:
    hosts = hosts_of(four, files)
    done = player.play(write_playbook(player), hosts)
    assert done.code == 2, done.output
    assert [done.recap(name)["failed"] for name in hosts] == [0, 0, 1, 1]
    document = read(files)
    rows = document["hosts"]
    assert {name: row["status"] for name, row in rows.items()} == {
        "billing": "succeeded",
        "orders": "succeeded",
        "stock": "failed",
        "users": "failed",
    }
    assert "german" in rows["stock"]["problem"] and "pgflex.migration_name" in rows["stock"]["remedy"]
    assert "the password is wrong" in rows["users"]["problem"] and rows["users"]["failed_task"]
    assert rows["billing"]["downtime_seconds"] > 0 and rows["billing"]["validation"]["equal"] is True
    orders = rows["orders"]
    times = [orders["read_only_since"], orders["started_at"], orders["ended_at"]]
    assert times == sorted(times, key=order) and order(orders["started_at"]) <= order(orders["states"][0]["at"])
    assert orders["downtime_seconds"] >= orders["seconds"] >= orders["copy_seconds"]
    assert document["summary"]["statuses"] == {"failed": 2, "succeeded": 2}
    lines = list(csv.DictReader(io.StringIO(Path(files["csv"]).read_text(encoding="utf-8-sig"))))
    assert [line["host"] for line in lines] == ["stock", "users", "billing", "orders"]

    limited = player.play("report", hosts, "--limit", "billing")
    assert limited.code == 0, limited.output
    later = read(files)["hosts"]
    for key in ("states", "downtime_seconds", "validation", "seconds"):
        assert later["billing"][key] == rows["billing"][key], key
    assert later["stock"]["problem"] == rows["stock"]["problem"] and later["stock"]["seen_at"]
    before = Path(files["html"]).read_bytes()
    again = player.play("report", hosts, "--limit", "billing")
    assert again.code == 0 and again.recap("billing")["changed"] == 0
    assert Path(files["html"]).read_bytes() == before


def test_alone_it_says_what_azure_still_knows(pair: Pair, player: Player) -> None:
    assert player.play("public_access", {"shop": pair.host(mode="offline")}).code == 0
    player.writes()
    broken = {"source": {"name": "x"}, "databases": ["shop"]}
    done = player.play("report", {"shop": pair.host(mode="offline"), "broken": broken}, PWD=str(player.folder))
    assert done.code == 2, done.output
    assert player.writes() == []
    rows = json.loads((player.folder / "pgflex-report.json").read_text())["hosts"]
    row = rows["shop"]
    assert (row["status"], row["state"]) == ("succeeded", "Succeeded")
    assert row["started_at"] and row["ended_at"] and row["seconds"] > 0
    assert re.match(r"\d{4}-\d\d-\d\dT", row["validated_at"])
    assert row["progress"][0]["tables_completed"] >= 6
    assert rows["broken"]["status"] == "failed" and "target" in rows["broken"]["problem"]
    assert rows["broken"]["source"]["name"] == "x"
