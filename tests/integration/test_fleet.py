# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of 24 through all topologies and both engines, killed twice and started again; and fleets that are wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import topologies
from arm import Arm
from plays import Player
from topologies import Built, Site

from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab

Hosts = dict[str, dict[str, Any]]
CLASSIC = {"generation": "classic"}
ONLINE = {"mode": "online"}


@pytest.fixture(scope="module")
def lab() -> Iterator[Running]:
    with running_lab() as running:
        yield running


@pytest.fixture
def player(lab: Running, tmp_path: Path) -> Player:
    player = Player(lab, tmp_path)
    player.writes()
    return player


def direct(built: Built) -> dict[str, Any]:
    """The collection's own engine; the right to make subscriptions, which Azure gives, has to be imitated."""
    for server in (built.source, built.target):
        statement = f"ALTER ROLE {server.user.split('@')[0]} SUPERUSER"
        built.site.arm.lab.admin("POST", "sql", {"server": server.name, "statement": statement})
    return {
        "engine": "direct",
        "direct": {"source_from_target": {"hostaddr": built.source.hostaddr, "sslmode": "require"}},
    }


def more_databases(built: Built, names: list[str]) -> list[str]:
    for name in names:
        with built.source.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}")
        with built.source.connect(name) as connection:
            connection.execute(topologies.SAMPLE)
    return names


def fleet(arm: Arm) -> tuple[Hosts, dict[str, Built]]:
    """24 hosts; `fails-` are made to fail, `one-` go from one source to many targets, `many-` the other way round."""
    builds: dict[str, tuple[Callable[[Site], Built], dict[str, Any]]] = {
        "public-1": (topologies.public_access, ONLINE),
        "public-2": (topologies.public_access, {}),
        "public-3": (topologies.public_access, CLASSIC),
        "same-vnet-1": (topologies.private_same_vnet, {**CLASSIC, **ONLINE}),
        "same-vnet-2": (topologies.private_same_vnet, {}),
        "two-vnets-1": (topologies.private_different_vnets, ONLINE),
        "two-vnets-2": (topologies.private_different_vnets, CLASSIC),
        "endpoint-1": (topologies.service_endpoint_private_target, {}),
        "endpoint-2": (topologies.service_endpoint_private_target, {**CLASSIC, **ONLINE}),
        "to-public": (topologies.private_source_public_target, {**CLASSIC, "runtime_server": {"name": None}}),
        "runtime": (topologies.runtime_server, {}),
        "own-public-1": (topologies.onprem_public, ONLINE),
        "own-public-2": (topologies.onprem_public, {}),
        "own-private": (topologies.onprem_vpn, {}),
        "own-machine": (topologies.onprem_machine, {}),
        "fails-cast": (topologies.public_access, {}),
        "fails-closed": (topologies.public_access, {}),
    }
    built = {name: build(Site(arm, name)) for name, (build, _more) in builds.items()}
    hosts = {name: built[name].host(**more) for name, (_build, more) in builds.items()}
    third = topologies.third_vnet(Site(arm, "third"))
    built["third"] = third
    hosts["third"] = third.host(**CLASSIC, migration_vnet_id=third.parts["vnet3"])
    for name, more in (("direct-1", ONLINE), ("direct-2", {})):
        built[name] = topologies.public_access(Site(arm, name))
        hosts[name] = built[name].host(**direct(built[name]), **more)
    _shared(arm, built, hosts)
    for settings in hosts.values():
        settings["app"] = {"name": "pgflex-fleet"}
    with built["fails-cast"].source.connect("shop") as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('ok'); CREATE CAST (mood AS int) WITH INOUT")
    public = {"properties": {"publicNetworkAccess": "Disabled"}}
    arm.ask("PATCH", built["fails-closed"].site.server_id(built["fails-closed"].source), public)
    return hosts, built


def _shared(arm: Arm, built: dict[str, Built], hosts: Hosts) -> None:
    """One source with ten databases to two targets, and two sources to one target."""
    one, other = topologies.public_access(Site(arm, "one-1")), topologies.public_access(Site(arm, "one-2"))
    names = more_databases(one, [f"part{number}" for number in range(9)])
    built["one-1"] = one
    hosts["one-1"] = one.host(databases=names)
    built["one-2"] = Built(one.site, one.source, other.target, {})
    hosts["one-2"] = {**other.host(databases=["shop"]), "source": one.host()["source"]}
    first, second = topologies.public_access(Site(arm, "many-1")), topologies.public_access(Site(arm, "many-2"))
    built["many-1"], hosts["many-1"] = first, first.host()
    built["many-2"] = Built(second.site, second.source, first.target, {})
    hosts["many-2"] = {**second.host(databases=more_databases(second, ["stock"])), "target": first.host()["target"]}


class Run:
    """ansible-playbook in the background, to be killed."""

    def __init__(self, player: Player, hosts: Hosts) -> None:
        inventory = player.folder / "inventory.json"
        inventory.write_text(json.dumps({"all": {"hosts": {name: {"pgflex": row} for name, row in hosts.items()}}}))
        inventory.chmod(0o600)
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        command = [program, "-i", str(inventory), "pgflex.migrate.fleet", "-f", "8", "-e", "fleet_parallel=12"]
        self.output = player.folder / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command,
                cwd=player.folder,
                env=player.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill_when(self, pattern: str) -> None:
        """Kills it, with all its workers, as soon as it has printed that."""
        until = time.monotonic() + 1800
        while not re.search(pattern, self.output.read_text()):
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < until, self.output.read_text()
            time.sleep(0.2)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> str:
        self.process.wait(timeout=1800)
        return self.output.read_text()


def test_a_fleet_of_24_killed_twice(lab: Running, player: Player) -> None:
    hosts, built = fleet(Arm(lab))
    assert len(hosts) == 24
    Run(player, hosts).kill_when(r"TASK \[pgflex.migrate.migrate : Wait\]")
    Run(player, hosts).kill_when(r"TASK \[pgflex.migrate.validate : Compare every row")
    output = Run(player, hosts).end()
    assert "Traceback" not in output
    for name in hosts:
        if name.startswith("fails-"):
            assert re.search(rf'"{name}": "FAILED while', output), output
            continue
        assert f'"{name}": "Migrated."' in output, (name, output)
        for database in hosts[name]["databases"]:
            with built[name].target.connect(database) as connection:
                assert connection.execute("SELECT count(*), sum(n) FROM line").fetchone() == (500, 125250), name
    assert "603409" in output
    assert "see the error of its task above" not in output
    assert '"Round 1: ' in output and '"Round 2: ' in output
    player.writes()
    again = Run(player, {name: row for name, row in hosts.items() if not name.startswith("fails-")}).end()
    assert set(re.findall(r"changed=(\d+)", again)) == {"0"}, again
    assert player.writes() == []


def test_everything_that_is_wrong_is_told_at_once(lab: Running, player: Player) -> None:
    def row(number: int, **more: Any) -> dict[str, Any]:
        server = {"resource_group": "shop-rg", "user": "a", "password": "b"}
        named = {"source": {**server, "name": f"old{number}"}, "target": {**server, "name": f"new{number}"}}
        return {**named, "databases": ["shop"], **more}

    past = {"start": "2020-01-01T00:00:00Z", "end": "2020-01-01T04:00:00Z"}
    hosts = {
        "twice": row(1),
        "again": row(1),
        "late": row(2, window=past),
        "hen": row(3, fleet={"after": ["egg"]}),
        "egg": row(4, fleet={"after": ["hen"]}),
        "nowhere": row(5, fleet={"region": "atlantis"}),
        "nameless": {**row(6), "databases": []},
    }
    done = player.play("fleet", hosts)
    assert done.code == 2 and "Traceback" not in done.output
    (told,) = re.findall(r"^fatal: \[\w+\]: FAILED! => (\{.*\})$", done.output, re.MULTILINE)
    assert json.loads(told)["msg"].splitlines() == [
        "nameless: pgflex.databases is empty: name at least one database.",
        "late: the window ended at 2020-01-01T04:00:00+00:00, which is in the past.",
        "nowhere: the region atlantis is not known.",
        "twice and again migrate the database shop from old1 to new1 more than once.",
        "These wait for each other: hen after egg after hen.",
    ]
    assert player.writes() == []
    wrong = player.play("fleet", {"shop": {"databases": []}, "stock": row(6, mode="live")})
    assert "shop: pgflex.source.name is missing." in wrong.output
    # Not every inventory has the group of servers without a pair.
    assert "unpaired" not in wrong.output
    assert player.writes() == []
