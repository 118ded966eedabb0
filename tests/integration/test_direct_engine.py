# SPDX-License-Identifier: GPL-3.0-or-later
"""The same playbooks with pgflex.engine direct, and going back: before the cutover, after it, and after a failure."""

from __future__ import annotations

from typing import Any

import pytest
from plays import Pair, Player, make_pair
from test_public_access import ROWS

from pgflex_lab.process import Running


def host(pair: Pair, **more: Any) -> dict[str, Any]:
    """In the lab a server reaches another by its address.

    The users have no more rights than azure_pg_admin, but where one makes subscriptions, which azure_pg_admin may on
    Azure and before version 16 nobody but a superuser elsewhere: on the target of an online copy, and for a way back.
    """
    back = more.get("cutover", {}).get("keep_reverse_replication", False)
    subscribers = [pair.target] * (more.get("mode") == "online") + [pair.source] * back
    for server in subscribers:
        statement = f"ALTER ROLE {server.user.split('@')[0]} SUPERUSER"
        pair.lab.admin("POST", "sql", {"server": server.name, "statement": statement})
    ways = {
        "source_from_target": {"hostaddr": pair.source.hostaddr, "sslmode": "require"},
        "target_from_source": {"hostaddr": pair.target.hostaddr, "sslmode": "require"},
    }
    return pair.host(engine="direct", direct=ways, **more)


def rows_of(pair: Pair) -> dict[str, int]:
    with pair.target.connect("shop") as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ROWS}


def databases(server: Any) -> set[str]:
    with server.connect("postgres") as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database").fetchall()}


def leftovers(pair: Pair) -> list[Any]:
    """What logical replication would leave at the source."""
    with pair.source.connect("shop") as connection:
        slots = connection.execute("SELECT slot_name FROM pg_replication_slots").fetchall()
        return [*slots, *connection.execute("SELECT pubname FROM pg_publication").fetchall()]


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_direct_copy_is_a_migration_like_any_other(mode: str, pair: Pair, player: Player) -> None:
    hosts = {"shop": host(pair, mode=mode)}
    first = player.play("migrate", hosts)
    assert first.code == 0, first.output
    assert rows_of(pair) == ROWS
    assert leftovers(pair) == []
    player.writes()
    second = player.play("migrate", hosts)
    assert second.code == 0, second.output
    assert second.recap()["changed"] == 0, second.output
    assert player.writes() == []


def test_status_cutover_and_a_way_back_that_loses_nothing(pair: Pair, player: Player) -> None:
    hosts = {"shop": host(pair, mode="online", cutover={"trigger": "manual", "keep_reverse_replication": True})}
    later = {"cutover": {"trigger": "manual"}}
    begun = player.play("migrate", {"shop": {**hosts["shop"], **later}})
    assert begun.code == 0, begun.output
    assert "WaitingForCutoverTrigger" in player.play("status", hosts).output
    cut = player.play("cutover", hosts)
    assert cut.code == 0, cut.output
    with pair.target.connect("shop") as connection:
        connection.execute("INSERT INTO nokey SELECT 100, 'written after the cutover' FROM generate_series(1, 7)")
    back = player.play("rollback", hosts)
    assert back.code == 0, back.output
    with pair.source.connect("shop") as connection:
        assert connection.execute("SELECT count(*) FROM nokey WHERE a = 100").fetchone() == (7,)
        connection.execute("INSERT INTO nokey VALUES (101, 'written at home')")
    assert leftovers(pair) == []


@pytest.mark.parametrize("engine", ["service", "direct"])
def test_before_the_cutover_going_back_leaves_no_trace(engine: str, pair: Pair, player: Player) -> None:
    settings = host(pair, mode="online") if engine == "direct" else pair.host()
    hosts = {"shop": {**settings, "mode": "online", "cutover": {"trigger": "manual", "sample_seconds": 1.2}}}
    before = databases(pair.target)
    begun = player.play("migrate", hosts)
    assert begun.code == 0, begun.output
    assert databases(pair.target) == before | {"shop"}
    foretold = player.play("rollback", hosts, "--check")
    assert foretold.code == 0, foretold.output
    assert databases(pair.target) == before | {"shop"}
    back = player.play("rollback", hosts)
    assert back.code == 0, back.output
    assert databases(pair.target) == before
    assert leftovers(pair) == []
    with pair.source.connect("shop") as connection:
        connection.execute("INSERT INTO nokey VALUES (101, 'written at home')")
    again = player.play("rollback", hosts)
    assert again.code == 0, again.output
    assert again.recap()["changed"] == 0


def test_after_a_cutover_without_a_way_back_nothing_is_lost_by_accident(pair: Pair, player: Player) -> None:
    hosts = {"shop": pair.host(mode="offline")}
    assert player.play("migrate", hosts).code == 0
    refused = player.play("rollback", hosts)
    assert refused.code == 2
    assert "no way back was kept" in refused.output and "rollback_lose_writes" in refused.output
    assert rows_of(pair) == ROWS
    taken = player.play("rollback", hosts, "-e", "rollback_lose_writes=true")
    assert taken.code == 0, taken.output
    with pair.source.connect("shop") as connection:
        connection.execute("INSERT INTO nokey VALUES (101, 'written at home')")


def test_a_failed_migration_is_tried_again_under_another_name(shared_lab: Running, player: Player) -> None:
    pair = make_pair(shared_lab, "attempts")
    with pair.source.connect("shop") as connection:
        connection.execute("CREATE CAST (mood AS int) WITH INOUT")
    hosts = {"shop": pair.host(mode="offline", attempts=2)}
    failed = player.play("migrate", hosts)
    assert failed.code == 2 and "603409" in failed.output, failed.output
    with pair.source.connect("shop") as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("DROP CAST (mood AS int)")
    again = player.play("migrate", hosts)
    assert again.code == 0, again.output
    assert rows_of(pair) == ROWS
    player.writes()
    third = player.play("migrate", hosts)
    assert third.code == 0 and third.recap()["changed"] == 0, third.output
    assert "-r2" in player.play("status", hosts).output
