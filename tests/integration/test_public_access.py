# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole migrations between servers with public access, as the README shows them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from plays import Pair, Player

WAYS: dict[str, Any] = {
    "current-online": {"mode": "online"},
    "current-offline": {"mode": "offline"},
    "classic-online": {"mode": "online", "generation": "classic"},
    "classic-offline": {"mode": "offline", "generation": "classic"},
    "first-preview": {"mode": "online", "generation": "classic", "api_version": "2021-06-15-privatepreview"},
    "2024-08-01": {"mode": "online", "api_version": "2024-08-01"},
    "2026-10-01": {"mode": "offline", "api_version": "2026-10-01"},
}
ROWS = {
    "customer": 5000,
    '"Odd Name"."Order ü"': 3000,
    "nokey": 50,
    "measure": 301,
    "cache": 1,
    "pg_largeobject_metadata": 1,
}


@contextmanager
def writing(pair: Pair) -> Iterator[list[int]]:
    """Writes to the source until it refuses; the list gets every number that was acknowledged."""
    written: list[int] = []
    stop = threading.Event()
    with pair.source.connect("shop") as connection:
        connection.execute("CREATE TABLE written (n int PRIMARY KEY)")

    def write() -> None:
        n = 0
        while not stop.is_set():
            try:
                with pair.source.connect("shop") as connection:
                    while not stop.is_set():
                        n += 1
                        connection.execute("INSERT INTO written VALUES (%s)", [n])
                        written.append(n)
                        stop.wait(0.01)
            except psycopg.errors.ReadOnlySqlTransaction:
                return
            except psycopg.OperationalError:
                # The source is restarted for logical replication, and its sessions are ended at the cutover.
                stop.wait(0.1)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        stop.set()
        thread.join()


# The two that touch the most of ansible-core; the other ways differ in what Azure sees only.
MATRIX = ("current-online", "classic-offline")


@pytest.mark.parametrize(
    "way",
    [pytest.param(way, id=name, marks=[pytest.mark.matrix] * (name in MATRIX)) for name, way in WAYS.items()],
)
def test_migrates_and_a_second_run_changes_nothing(way: dict[str, Any], pair: Pair, player: Player) -> None:
    hosts = {"shop": pair.host(**way)}
    first = player.play("public_access", hosts)
    assert first.code == 0, first.output
    with pair.target.connect("shop") as connection:
        for table, rows in ROWS.items():
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (rows,), table
        assert connection.execute("SELECT nextval('ticket')").fetchone() == (1001,)
    assert (
        f"postgresql://pgadmin@{pair.target.name}.postgres.database.azure.com:5432/shop?sslmode=require" in first.output
    )
    player.writes()
    second = player.play("public_access", hosts)
    assert second.code == 0, second.output
    assert second.recap()["changed"] == 0
    assert player.writes() == []


def test_check_mode_writes_nothing_and_foretells(pair: Pair, player: Player) -> None:
    hosts = {"shop": pair.host(target_parameters={"azure.enable_temp_tablespaces_on_local_ssd": "off"})}
    player.writes()
    done = player.play("public_access", hosts, "--check", "--diff")
    assert done.code == 0, done.output
    assert player.writes() == []
    assert done.recap()["changed"] == 3
    for line in (
        '+        "azure.replication_support": "LOGICAL"',
        '+        "azure.enable_temp_tablespaces_on_local_ssd": "off"',
        '+    "migration_mode": "Online",',
    ):
        assert line in done.output


@pytest.mark.matrix
def test_check_mode_of_the_classic_service(pair: Pair, player: Player) -> None:
    player.writes()
    done = player.play("public_access", {"shop": pair.host(generation="classic")}, "--check", "--diff")
    assert done.code == 0, done.output
    assert player.writes() == []


def test_no_acknowledged_write_is_lost(pair: Pair, player: Player) -> None:
    report = player.folder / "report.json"
    with writing(pair) as written:
        done = player.play("public_access", {"shop": pair.host(report={"json": str(report)})})
    assert done.code == 0, done.output
    with pair.target.connect("shop") as connection:
        found = [n for (n,) in connection.execute("SELECT n FROM written ORDER BY n")]
    assert len(written) > 20
    assert set(written) <= set(found) and len(found) == len(set(found))
    assert report.stat().st_mode & 0o777 == 0o600
    row = json.loads(report.read_text())["hosts"]["shop"]
    assert [state["substate"] for state in row["states"]][-1] == "Completed"
    assert "WaitingForCutoverTrigger" in [state["substate"] for state in row["states"]]
    assert row["validation"]["equal"] is True
    assert row["read_only_since"] < row["finished_at"]


@pytest.mark.matrix
def test_stops_before_the_cutover_and_goes_on_with_its_own_playbook(pair: Pair, player: Player) -> None:
    hosts = {"shop": pair.host(cutover={"trigger": "manual"})}
    first = player.play("public_access", hosts)
    assert first.code == 0, first.output
    assert "is ready for its cutover. Run the playbook pgflex.migrate.cutover" in " ".join(first.output.split())
    with pair.source.connect("shop") as connection:
        connection.execute("INSERT INTO nokey VALUES (7, 'after the base copy')")
    status = player.play("status", hosts)
    assert status.code == 0 and "WaitingForCutoverTrigger" in status.output
    again = player.play("public_access", hosts)
    assert again.code == 0 and again.recap()["changed"] == 0
    cut = player.play("cutover", hosts)
    assert cut.code == 0, cut.output
    with pair.target.connect("shop") as connection:
        assert connection.execute("SELECT count(*) FROM nokey WHERE a = 7").fetchone() == (1,)
    once_more = player.play("cutover", hosts)
    assert once_more.code == 0 and once_more.recap()["changed"] == 0


def test_cancel_opens_the_source_again(pair: Pair, player: Player) -> None:
    hosts = {"shop": pair.host(cutover={"trigger": "manual"})}
    assert player.play("public_access", hosts).code == 0
    done = player.play("cancel", hosts)
    assert done.code == 0, done.output
    with pair.source.connect("shop") as connection:
        connection.execute("INSERT INTO nokey VALUES (8, 'still writable')")
        slots = connection.execute("SELECT count(*) FROM pg_replication_slots").fetchone()
    assert slots == (0,)
    assert player.play("cancel", hosts).recap()["changed"] == 0


def test_parameters_of_the_target_are_put_back(pair: Pair, player: Player) -> None:
    name = "azure.enable_temp_tablespaces_on_local_ssd"
    hosts = {"shop": pair.host(mode="offline", target_parameters={name: "off"})}
    player.writes()
    done = player.play("public_access", hosts)
    assert done.code == 0, done.output
    sent = [write for write in player.writes() if write.endswith(f"/configurations/{name}")]
    assert len(sent) == 2
    check = player.play("public_access", {"shop": pair.host(mode="offline", target_parameters={name: "on"})}, "--check")
    assert check.recap()["changed"] == 0


def test_a_second_run_does_not_compare_a_target_in_use(pair: Pair, player: Player) -> None:
    hosts = {"shop": pair.host(mode="offline")}
    assert player.play("public_access", hosts).code == 0
    with pair.target.connect("shop") as connection:
        connection.execute("INSERT INTO nokey VALUES (9, 'written by the application')")
    assert player.play("public_access", hosts).code == 0
    forced = player.play("public_access", hosts, "-e", "validate_again=true")
    assert forced.code == 2 and "nokey" in forced.output


def test_as_ordinary_modules(pair: Pair, player: Player) -> None:
    done = player.play(
        "public_access",
        {"shop": pair.host(mode="offline")},
        "-e",
        "pgflex_in_process=false",
        "-e",
        "ansible_python_interpreter={{ ansible_playbook_python }}",
    )
    assert done.code == 0, done.output


def test_tokens_are_asked_for_once_and_left_nowhere(pair: Pair, player: Player) -> None:
    def tokens() -> int:
        rows = (player.lab.home / "requests.jsonl").read_text().splitlines()
        return sum(json.loads(row)["path"].endswith("/oauth2/v2.0/token") for row in rows)

    before = tokens()
    assert player.play("public_access", {"shop": pair.host(mode="offline")}).code == 0
    assert tokens() == before + 1
    assert list(player.folder.rglob("*tokens*")) == []


def test_no_secret_is_shown_at_any_verbosity(pair: Pair, player: Player) -> None:
    """The passwords are looked for in the output of every run; here also the application's new secret."""
    done = player.play("public_access", {"shop": pair.host(mode="offline", generation="classic")}, "-vvvv", "--diff")
    assert done.code == 0, done.output
    shown = set(re.findall(r'"(?:client_secret|aadSecret|secretText|access_token)": (?!\{|null)(.+)', done.output))
    assert shown <= {'"VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"', '"VALUE_SPECIFIED_IN_NO_LOG_PARAMETER",'}


@pytest.mark.matrix
def test_the_subscription_that_a_play_signs_in_with_is_enough(pair: Pair, player: Player) -> None:
    subscription = player.lab.environment()["AZURE_SUBSCRIPTION_ID"]
    given = json.dumps({"pgflex_azure": {"subscription_id": subscription}})
    done = player.play("status", {"shop": pair.host()}, "-e", given, AZURE_SUBSCRIPTION_ID="")
    assert done.code == 0, done.output
