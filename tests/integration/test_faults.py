# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure at its worst, and runs that are killed: the same command goes on, no row is lost and none is doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from plays import ROOT, Pair, Player

# Each alone would end a client that does not expect it; MIGRATION is the path of a migration, ANY any path of ARM.
MIGRATION = "/migrations/"
ANY = "/subscriptions/"
FAULTS: dict[str, list[dict[str, Any]]] = {
    "throttled": [{"kind": "throttle", "path": ANY, "times": 6, "retry_after": 1}],
    "unavailable": [
        {"kind": "error", "path": ANY, "times": 3},
        {"kind": "error", "path": MIGRATION, "times": 3, "after": 4},
    ],
    "reset": [{"kind": "reset", "method": "GET", "path": ANY, "times": 4}],
    "truncated": [{"kind": "truncate", "method": "GET", "path": MIGRATION, "times": 2, "after": 2}],
    "slow": [{"kind": "slow", "path": ANY, "times": 4, "seconds": 2}],
    "stale": [{"kind": "stale", "method": "GET", "path": MIGRATION, "times": 4, "after": 1}],
    "expired": [{"kind": "expired_token", "path": MIGRATION, "times": 1, "after": 3}],
}


def assert_all_there(pair: Pair) -> None:
    """Every table of the sample, row by row, by a second path than the collection's own comparison."""
    tables = ("customer", '"Odd Name"."Order ü"', "nokey", "measure", "cache")
    for table in tables:
        text = f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"
        with pair.source.connect("shop") as source, pair.target.connect("shop") as target:
            assert source.execute(text).fetchone() == target.execute(text).fetchone(), table


def assert_source_is_clean(pair: Pair) -> None:
    with pair.source.connect("shop") as connection:
        assert connection.execute("SELECT count(*) FROM pg_replication_slots").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM pg_publication").fetchone() == (0,)


@pytest.mark.parametrize("faults", FAULTS.values(), ids=list(FAULTS))
def test_a_migration_rides_out(faults: list[dict[str, Any]], pair: Pair, player: Player) -> None:
    player.lab.plan_faults(*faults)
    done = player.play("public_access", {"shop": pair.host()})
    assert done.code == 0, done.output
    assert all(fault["used"] for fault in player.lab.admin("GET", "faults")["value"])
    assert_all_there(pair)
    assert_source_is_clean(pair)


# What the output has said when the run is killed.
MOMENTS = {
    "while-the-source-restarts": "Turn on logical replication at the Single Server",
    "while-it-copies": "Wait] ***",
    "when-the-source-is-read-only": "Trigger the cutover when nothing speaks against it",
    "after-the-cutover-is-triggered": "Note that it runs",
    "while-it-compares": "Compare every row of source and target",
}


def kill_when(player: Player, hosts: dict[str, Any], text: str) -> None:
    """Starts the playbook and kills it, workers and all, as soon as it has printed `text`."""
    inventory = player.folder / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": {name: {"pgflex": row} for name, row in hosts.items()}}}))
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        str(inventory),
        "pgflex.migrate.public_access",
    ]
    output = player.folder / "killed.out"
    with output.open("w") as file:
        run = subprocess.Popen(
            command,
            cwd=ROOT,
            env=player.environment(),
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while text not in output.read_text() and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert run.poll() is None, output.read_text()
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()


@pytest.mark.parametrize("text", MOMENTS.values(), ids=list(MOMENTS))
def test_a_killed_run_is_gone_on_with_by_the_same_command(text: str, pair: Pair, player: Player) -> None:
    hosts = {"shop": pair.host()}
    kill_when(player, hosts, text)
    done = player.play("public_access", hosts)
    assert done.code == 0, done.output
    assert_all_there(pair)
    assert_source_is_clean(pair)
    again = player.play("public_access", hosts)
    assert again.code == 0 and again.recap()["changed"] == 0
