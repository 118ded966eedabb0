# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook preflight against the lab: what people get to see, and what is left of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from plays import Pair, Player, make_pair

from pgflex_lab.process import Running

REMEDIES = ["replica_identity", "timeouts", "logical_replication", "temp_tablespaces"]


def remembered(pair: Pair) -> int:
    with pair.target.connect("postgres") as connection:
        if not connection.execute("SELECT to_regclass('pgflex.preflight')::text").fetchall()[0][0]:
            return 0
        return int(connection.execute("SELECT count(*) FROM pgflex.preflight").fetchall()[0][0])


def identities(pair: Pair) -> str:
    with pair.source.connect("shop") as connection:
        sql = "SELECT relreplident::text FROM pg_class WHERE oid = ANY ('{nokey,measure_1}'::regclass[])"
        return "".join(row[0] for row in connection.execute(sql))


def restoring(folder: Path, remedies: list[str] | None) -> str:
    """A play that does what finish and rollback do."""
    role: dict[str, Any] = {"name": "pgflex.migrate.preflight", "tasks_from": "restore"}
    variables = {} if remedies is None else {"preflight_restore": remedies}
    task = {"name": "Put back", "ansible.builtin.include_role": role, "vars": variables}
    file = folder / "restore.yml"
    file.write_text(json.dumps([{"hosts": "all", "connection": "local", "gather_facts": False, "tasks": [task]}]))
    return str(file)


def test_looking_writes_nothing_and_says_go_or_no_go(player: Player, shared_lab: Running, pair: Pair) -> None:
    fine = make_pair(shared_lab, "preflight-fine")
    hosts = {"shop": pair.host(), "fine": fine.host(mode="offline"), "wrong": pair.host(databases=["nope"])}
    played = player.play("preflight", hosts)
    assert played.code == 0 and player.writes() == [] and remembered(pair) == 0
    assert all(played.recap(host)["changed"] == 0 for host in hosts)
    assert "The table public.nokey has no" in played.output
    assert "blocks   603102  source          The source has no database nope." in played.output
    assert "fine   GO            0" in played.output and "wrong  NO-GO         1" in played.output
    assert "2 of 3 hosts have blocking findings: shop, wrong." in played.output
    assert "They are tried all the same" in played.output
    tables = [line for line in played.output.splitlines() if line.startswith(" " * 8)]
    assert tables and max(map(len, tables)) <= 80
    checked = player.play("preflight", {"shop": pair.host()}, "--check")
    assert checked.code == 0 and checked.recap()["changed"] == 0 and player.writes() == []


def test_strict_stops_the_hosts_that_can_not_go(player: Player, pair: Pair) -> None:
    strict = {"strict": True}
    hosts = {"shop": pair.host(preflight=strict), "off": pair.host(preflight={"enabled": False})}
    played = player.play("preflight", hosts)
    assert played.code == 2 and played.recap("shop")["failed"] == 1 and played.recap("off")["failed"] == 0
    assert "3 findings would stop the migration of shop: The table public.measure_1" in played.output
    assert "1 of 1 host has blocking findings: shop." in played.output
    assert "pgflex.preflight.strict stops shop." in played.output


def test_a_host_that_failed_before_can_not_go(player: Player, pair: Pair) -> None:
    hosts = {"shop": pair.host(mode="offline"), "lost": pair.host(target={"name": "nobody"})}
    played = player.play("preflight", hosts)
    assert played.code == 2 and "lost  NO-GO         -      -        -  it failed before the preflight" in played.output
    assert "1 of 2 hosts failed before the preflight: lost." in played.output


def test_remedies_are_applied_once_and_taken_back(player: Player, pair: Pair) -> None:
    hosts = {"shop": pair.host(preflight={"remedies": REMEDIES, "strict": True})}
    assert player.play("preflight", hosts, "--check").code == 2, "what blocks is still there"
    assert player.writes() == [] and remembered(pair) == 0 and identities(pair) == "dd"
    made = player.play("preflight", hosts)
    assert made.code == 0 and made.recap()["changed"] == 1 and "1 of 1 host can be migrated." in made.output
    assert len(player.writes()) == 3 and identities(pair) == "ff" and remembered(pair) == 8
    again = player.play("preflight", hosts)
    assert again.code == 0 and again.recap()["changed"] == 0 and player.writes() == []
    finish = restoring(player.folder, None)
    finished = player.play(finish, hosts)
    assert finished.code == 0 and finished.recap()["changed"] == 1
    assert len(player.writes()) == 1 and identities(pair) == "dd" and remembered(pair) == 1
    assert player.play(finish, hosts).recap()["changed"] == 0
    rolled_back = player.play(restoring(player.folder, []), hosts)
    assert rolled_back.recap()["changed"] == 1 and len(player.writes()) == 2 and remembered(pair) == 0
    assert player.play(restoring(player.folder, []), hosts).recap()["changed"] == 0


def test_an_unknown_remedy_is_told_before_the_first_request(player: Player, pair: Pair) -> None:
    played = player.play("preflight", {"shop": pair.host(preflight={"remedies": ["everything"]})})
    assert played.code == 2 and "replica_identity" in played.output and "everything" in played.output


def test_a_migration_that_has_ended_well_is_not_looked_at(player: Player, pair: Pair) -> None:
    host = pair.host(mode="offline", preflight={"strict": True})
    assert player.play("preflight", {"shop": host}).code == 0
    assert player.play("migrate", {"shop": host}).code == 0
    played = player.play("preflight", {"shop": host})
    assert played.code == 0 and "1 of 1 hosts" not in played.output
