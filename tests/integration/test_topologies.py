# SPDX-License-Identifier: GPL-3.0-or-later
"""Every topology's playbook, online and offline, twice: the rows arrive, the second run changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import topologies
from arm import Arm
from plays import Player
from topologies import Build, Built, Site

from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab

Way = dict[str, Any]
CURRENT_ONLINE: Way = {"mode": "online"}
CURRENT_OFFLINE: Way = {"mode": "offline"}
CLASSIC_ONLINE: Way = {"mode": "online", "generation": "classic"}
CLASSIC_OFFLINE: Way = {"mode": "offline", "generation": "classic"}
NO_RUNTIME: Way = {"runtime_server": {"name": None}}
# Playbook -> what is built, and the two ways it is migrated: each mode, each generation that the guides have for it.
PLAYBOOKS: dict[str, tuple[Build, tuple[Way, Way]]] = {
    "public_access": (topologies.public_access, (CLASSIC_ONLINE, CURRENT_OFFLINE)),
    "private_same_vnet": (topologies.private_same_vnet, (CLASSIC_ONLINE, CURRENT_OFFLINE)),
    "private_different_vnets": (topologies.private_different_vnets, (CURRENT_ONLINE, CLASSIC_OFFLINE)),
    "service_endpoint_private_target": (
        topologies.service_endpoint_private_target,
        (CURRENT_ONLINE, CLASSIC_OFFLINE),
    ),
    "private_source_public_target": (
        topologies.private_source_public_target,
        ({**CLASSIC_ONLINE, **NO_RUNTIME}, CURRENT_OFFLINE),
    ),
    "third_vnet": (topologies.third_vnet, (CLASSIC_OFFLINE, CURRENT_ONLINE)),
    "runtime_server": (topologies.runtime_server, (CURRENT_ONLINE, CURRENT_OFFLINE)),
    "onprem_public": (topologies.onprem_public, (CURRENT_ONLINE, CURRENT_OFFLINE)),
    "onprem_private": (topologies.onprem_vpn, (CURRENT_ONLINE, CURRENT_OFFLINE)),
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Running]:
    """One lab for this file: it fills with servers that nobody else has to look at."""
    with running_lab() as running:
        yield running


@pytest.fixture
def player(lab: Running, tmp_path: Any) -> Player:
    player = Player(lab, tmp_path)
    player.writes()
    return player


def arrived(built: Built) -> None:
    with built.target.connect("shop") as connection:
        assert connection.execute("SELECT count(*), sum(n) FROM line").fetchone() == (500, 125250)
        assert connection.execute("SELECT nextval('ticket')").fetchone() == (1000,)


def third(built: Built, way: Way) -> Way:
    """Where the third network is named: for the classic service itself, for the current one by its runtime server."""
    if way.get("generation") == "classic":
        return {"migration_vnet_id": built.parts["vnet3"]}
    return {"runtime_server": {"name": f"{built.site.name}-runtime", "virtual_network_id": built.parts["vnet3"]}}


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_migrates_online_and_offline_and_a_second_run_changes_nothing(
    playbook: str, lab: Running, player: Player
) -> None:
    build, ways = PLAYBOOKS[playbook]
    pairs = [build(Site(Arm(lab), f"{playbook.replace('_', '')[:24]}{number}")) for number in (1, 2)]
    hosts = {
        pair.site.name: pair.host(**way, **(third(pair, way) if playbook == "third_vnet" else {}))
        for pair, way in zip(pairs, ways, strict=True)
    }
    for settings in hosts.values():
        # One application for both, so that neither takes it away from the other.
        settings["app"] = {"name": f"pgflex-{playbook}"}
    first = player.play(playbook, hosts)
    assert first.code == 0, first.output
    for pair in pairs:
        arrived(pair)
    player.writes()
    second = player.play(playbook, hosts)
    assert second.code == 0, second.output
    assert {host: second.recap(host)["changed"] for host in hosts} == dict.fromkeys(hosts, 0), second.output
    assert player.writes() == []
