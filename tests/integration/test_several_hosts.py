# SPDX-License-Identifier: GPL-3.0-or-later
"""Several migrations in one play: they are made each and waited for together, and one that fails stops nobody else."""

from __future__ import annotations

import json
import re

import pytest
from plays import Pair, Player, make_pair

from pgflex_lab.process import Running


@pytest.fixture
def three(shared_lab: Running) -> dict[str, Pair]:
    return {name: make_pair(shared_lab, f"three-{name}") for name in ("online", "classic", "other", "broken")}


def test_one_that_fails_stops_nobody_else(three: dict[str, Pair], player: Player) -> None:
    report = {"json": str(player.folder / "report.json")}
    hosts = {
        "online": three["online"].host(report=report),
        "classic": three["classic"].host(mode="online", generation="classic", report=report),
        # An application for each name, made by the first host that has it.
        "other": three["other"].host(mode="offline", generation="classic", report=report, app={"name": "three-other"}),
        "broken": three["broken"].host(mode="offline", report=report),
    }
    hosts["gone"] = {**hosts["broken"], "source": {**hosts["broken"]["source"], "name": "nobody"}}
    with three["broken"].source.connect("shop") as connection:
        connection.execute("CREATE COLLATION german (provider = libc, locale = 'C')")
    done = player.play("public_access", hosts)
    assert done.code == 2, done.output
    assert [done.recap(name)["failed"] for name in hosts] == [0, 0, 0, 1, 1]
    for name in ("online", "classic", "other"):
        with three[name].target.connect("shop") as connection:
            assert connection.execute("SELECT count(*) FROM customer").fetchone() == (5000,)
    rows = json.loads((player.folder / "report.json").read_text())["hosts"]
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "online": "succeeded",
        "classic": "succeeded",
        "other": "succeeded",
        "broken": "failed",
        "gone": "",
    }
    assert rows["gone"]["problem"] == "There is no server nobody in shop-rg: check pgflex.source."
    assert "german" in rows["broken"]["problem"]
    # Each classic host's application was made and is gone; the others had no part in them.
    for task in ("identity : Make the application, once", "finish : Delete it"):
        told = done.output.partition(f"TASK [pgflex.migrate.{task}")[2].partition("\nTASK ")[0]
        assert set(re.findall(r"^changed: \[(\w+)\]", told, re.MULTILINE)) == {"classic", "other"}
    again = player.play("public_access", hosts)
    assert again.code == 2
    assert [again.recap(name)["changed"] for name in hosts] == [0, 0, 0, 0, 0]
