# SPDX-License-Identifier: GPL-3.0-or-later
"""The writer over a move by hand: read-only source, dump, restore, on to the target."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from demo_servers import ADMIN, PASSWORD, Server

from application import Application
from journal import Journal, read_journal
from loader import load
from proof import prove

RATE = 300


@pytest.fixture(scope="module")
def template(servers: tuple[Server, Server]) -> str:
    load(servers[0].admin, "moving_template", 12)
    return "moving_template"


@pytest.fixture
def source(servers: tuple[Server, Server], template: str) -> dict[str, Any]:
    service(servers[0], "DROP DATABASE IF EXISTS moving WITH (FORCE)")
    service(servers[0], f"CREATE DATABASE moving TEMPLATE {template} OWNER {ADMIN}")
    return {**servers[0].admin, "dbname": "moving"}


@pytest.fixture
def application(source: dict[str, Any], tmp_path: Path) -> Iterator[Application]:
    application = Application(tmp_path / "journal", source, RATE)
    yield application
    application.end()


def service(server: Server, statement: str) -> None:
    with psycopg.connect(
        host="127.0.0.1", port=server.port, user="service", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(statement.encode())


def stop_writes(server: Server) -> None:
    service(server, "ALTER DATABASE moving SET default_transaction_read_only = on")
    service(server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'moving'")


def copy(pair: tuple[Server, Server]) -> dict[str, Any]:
    service(pair[1], "DROP DATABASE IF EXISTS moving WITH (FORCE)")
    service(pair[1], f"CREATE DATABASE moving OWNER {ADMIN}")
    first, second = (["-h", "127.0.0.1", "-p", str(server.port), "-U", ADMIN, "moving"] for server in pair)
    environment = {**os.environ, "PGPASSWORD": PASSWORD}
    dump = subprocess.run(
        [pair[0].bin_dir / "pg_dump", *first], env=environment, check=True, stdout=subprocess.PIPE, timeout=60
    )
    subprocess.run(
        [pair[1].bin_dir / "psql", "-qv", "ON_ERROR_STOP=1", *second],
        env=environment, check=True, input=dump.stdout, stdout=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    return {**pair[1].admin, "dbname": "moving"}


def test_follows_the_database_and_loses_nothing(servers: tuple[Server, Server], application: Application) -> None:
    application.wait_until(lambda record: len(record.acknowledged) > 100)
    stop_writes(servers[0])
    stopped = application.wait_until(lambda record: record.read_only_at)
    assert set(stopped.acknowledged.values()) == {"source"}
    target = copy(servers)
    application.move_to(target)
    application.wait_until(lambda record: list(record.acknowledged.values()).count("target") > 100)
    assert application.end() == 0
    record = application.record()
    assert record.downtime and record.downtime > 0
    with psycopg.connect(**target) as connection:
        proof = prove(connection, record)
    assert proof.holds, proof.problems
    assert proof.acknowledged == len(record.acknowledged) > 200
    assert record.rejected == {}


def test_survives_a_restart_of_the_source(
    servers: tuple[Server, Server], source: dict[str, Any], application: Application
) -> None:
    before = len(application.wait_until(lambda record: len(record.acknowledged) > 50).acknowledged)
    servers[0].restart()
    application.wait_until(lambda record: len(record.acknowledged) > before + 100)
    assert application.end() == 0
    record = application.record()
    assert record.read_only_at is None and record.longest_pause > 0 and record.rejected == {}
    with psycopg.connect(**source) as connection:
        assert prove(connection, record).holds


def test_ends_when_its_starter_is_gone(application: Application) -> None:
    application.wait_until(lambda record: record.acknowledged)
    assert application.end() == 0
    assert not application.record().unknown


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("DELETE FROM audit.access_log WHERE writer_no = 3", "audit.access_log: 0 instead of 1 for write 3"),
        (
            "INSERT INTO audit.access_log SELECT * FROM audit.access_log WHERE writer_no = 4",
            "audit.access_log: 2 instead of 1 for write 4",
        ),
        ("DELETE FROM sales.order_lines WHERE quantity = 1 AND (order_id, ordered_at) = (SELECT id, ordered_at"
         " FROM sales.orders WHERE writer_no = 11)", "sales.order_lines: 2 instead of 3 for write 11"),
        ("UPDATE audit.counters SET hits = hits + 1 WHERE slot = 2", "for write 2"),
        ("DELETE FROM sales.orders WHERE writer_no = 12", "sales.orders: 0 instead of 1 for write 12"),
    ],
)  # fmt: skip
def test_proof_finds_damage(source: dict[str, Any], application: Application, damage: str, complaint: str) -> None:
    application.wait_until(lambda record: len(record.acknowledged) > 60)
    assert application.end() == 0
    record = application.record()
    with psycopg.connect(**source) as connection:
        assert prove(connection, record).holds
        connection.execute(damage.encode())
        proof = prove(connection, record)
    assert not proof.holds
    assert any(complaint in problem for problem in proof.problems), proof.problems


def test_unanswered_commits_count_only_whole(source: dict[str, Any], application: Application) -> None:
    application.wait_until(lambda record: len(record.acknowledged) > 60)
    assert application.end() == 0
    record = application.record()
    for number in (20, 21):
        del record.acknowledged[number]
        record.unknown.add(number)
    with psycopg.connect(**source) as connection:
        proof = prove(connection, record)
        assert proof.holds and (proof.unanswered, proof.unanswered_found) == (2, 2)
        connection.execute("DELETE FROM audit.access_log WHERE writer_no = 21")
        assert not prove(connection, record).holds


def test_journal_reads_back_what_was_noted(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for number, what in enumerate(("acknowledged", "rejected", "unknown", "interrupted", "tried"), 1):
        journal.note("tried", "source", number)
        if what != "tried":
            journal.note(what, "source", number, "deadlock detected" if what == "rejected" else "")  # type: ignore[arg-type]
    journal.note("read_only", "source")
    journal.note("tried", "target", 6)
    journal.note("acknowledged", "target", 6)
    journal.close()
    with (tmp_path / "journal").open("a") as file:
        file.write('{"what": "acknow')
    record = read_journal(tmp_path / "journal")
    assert record.acknowledged == {1: "source", 6: "target"}
    assert record.unknown == {3, 5}
    assert record.rejected == {"deadlock detected": 1}
    assert record.read_only_at is not None
    assert record.downtime is not None and record.downtime >= 0
