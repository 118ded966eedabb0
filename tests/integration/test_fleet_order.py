# SPDX-License-Identifier: GPL-3.0-or-later
"""When the hosts of a small fleet run: waves, order, windows, cutovers by hand, parts, and another attempt."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import topologies
from arm import Arm
from plays import Played, Player
from topologies import Built, Site

from pgflex_lab.process import Running

BREAKS = "CREATE TYPE mood AS ENUM ('ok'); CREATE CAST (mood AS int) WITH INOUT"
NAMES = ["shop", *(f"part{number}" for number in range(8))]


def said(played: Played) -> dict[str, str]:
    """What the last task says of each host."""
    return dict(re.findall(r'^ +"([\w-]+)": "(.*)",?$', played.output.split("Say what became of each host]")[-1], re.M))


def migrations(arm: Arm, built: Built) -> dict[str, str]:
    server = built.site.server_id(built.target)
    listed = arm.ask("GET", f"{server}/migrations", version="2025-08-01&migrationListFilter=All")
    return {row["name"]: row["properties"]["currentStatus"]["state"] for row in listed["value"]}


# The order of rounds rests on how Ansible goes through includes, which each version of it may do in its own way.
@pytest.mark.matrix
def test_who_runs_when(shared_lab: Running, player: Player, tmp_path: Path) -> None:
    arm = Arm(shared_lab)
    names = ("one", "two", "night", "hand", "bad")
    built = {name: topologies.public_access(Site(arm, f"order-{name}")) for name in names}
    for database in NAMES[1:]:
        with built["hand"].source.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {database} TEMPLATE shop")
    with built["bad"].source.connect("shop") as connection:
        connection.execute(BREAKS)
    file = tmp_path / "fleet.json"
    more: dict[str, dict[str, Any]] = {
        # By name, two would be the first.
        "one": {"fleet": {"wave": 2, "after": ["two"]}},
        "two": {"fleet": {"wave": 1}},
        "night": {"window": {"start": "2999-01-01T02:00:00Z"}, "engine": "direct"},
        "hand": {"mode": "online", "databases": NAMES, "cutover": {"trigger": "manual"}},
        "bad": {"attempts": 2},
    }
    hosts = {name: built[name].host(report={"json": str(file)}, **more[name]) for name in built}

    def report() -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads(file.read_text())["hosts"]
        return found

    first = player.play("fleet", hosts)
    rounds = [set(names.split(", ")) for names in re.findall(r'"Round \d+: ([^"]*)"', first.output)]
    assert rounds == [{"hand", "bad", "two"}, {"hand", "one"}], first.output
    sentences = said(first)
    assert (sentences["one"], sentences["two"]) == ("Migrated.", "Migrated."), first.output
    assert sentences["night"] == "Waits: Its window opens at 2999-01-01T02:00:00+00:00."
    assert sentences["hand"].startswith("Ready for its cutover: ") and "Then run this again" in sentences["hand"]
    assert sentences["bad"].startswith("FAILED while migrating: ") and "603409" in sentences["bad"]
    ended = {name: report()[name]["ended_at"] for name in ("one", "two")}
    assert ended["two"] < report()["one"]["started_at"] < ended["one"]
    assert report()["hand"]["status"] == "ready" and report()["hand"]["databases"] == NAMES
    (failed,) = migrations(arm, built["bad"])

    with built["bad"].source.connect("shop") as connection:
        # The source of an offline migration is still read-only.
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("DROP CAST (mood AS int)")
    assert player.play("cutover", {"hand": hosts["hand"]}).code == 0
    second = player.play("fleet", hosts)
    assert second.code == 0 and said(second)["bad"] == "Migrated.", second.output
    assert migrations(arm, built["bad"]) == {failed: "ValidationFailed", f"{failed}-r2": "Succeeded"}
    assert said(second)["hand"].startswith("Ready for its cutover: "), second.output
    assert sorted(migrations(arm, built["hand"]).values()) == ["Succeeded", "WaitingForUserAction"]

    only = {"hand": hosts["hand"]}
    player.writes()
    assert "WaitingForCutoverTrigger" in player.play("status", only).output
    assert player.play("preflight", only).code == 0 and player.play("report", only).code == 0
    assert player.writes() == []
    assert report()["hand"]["status"] == "ready" and len(report()["hand"]["progress"]) == len(NAMES)
    assert player.play("cancel", only).code == 0
    assert sorted(migrations(arm, built["hand"]).values()) == ["Canceled", "Succeeded"]
