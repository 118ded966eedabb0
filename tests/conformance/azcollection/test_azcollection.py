# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of azure.azcollection, as plain tasks, call the lab and judge its answers.

A task says in its variable `expect` what it has to give: a part of its result; whether it fails, which it does not
unless it is said; and in `says` what a complaint has in it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from azure_azcollection import CLIENT, SUITE, Installed, Played, tasks_of, unlike
from conformance_table import tried

PLAYBOOKS = sorted((SUITE / "plays").glob("*.yml"))
CASES = [(playbook, task) for playbook in PLAYBOOKS for task in tasks_of(playbook)]
Target = Callable[[str], list[tuple[object, ...]]]


def test_every_task_is_judged_under_a_name_of_its_own() -> None:
    names = [task["name"] for _playbook, task in CASES]
    assert len(set(names)) == len(names)
    assert [task["name"] for _playbook, task in CASES if "expect" not in task.get("vars", {})] == []


def test_what_differs_is_named() -> None:
    wanted = {"changed": True, "state": {"ids": [{"id": 1}, {}], "tags": None}}
    assert list(unlike(wanted, {"changed": True, "state": {"ids": [{"id": 1, "x": 2}, {"y": 3}]}})) == []
    assert list(unlike(wanted, {"changed": False, "state": {"ids": [{"id": 2}], "tags": {}}})) == [
        "$.changed: False instead of True",
        "$.state.ids: 1 instead of 2 items: [{'id': 2}]",
        "$.state.ids[0].id: 2 instead of 1",
        "$.state.tags: {} instead of None",
    ]


@pytest.mark.parametrize(
    ("playbook", "task"), [pytest.param(*case, id=f"{case[0].stem}-{case[1]['name']}") for case in CASES]
)
def test_a_task(client: Installed, played: Played, playbook: Path, task: dict[str, Any]) -> None:
    with tried(CLIENT, client.version, task["name"]):
        found = played.results.get(task["name"])
        assert found is not None, played.out
        wanted = {"failed": False} | played.values(task["vars"]["expect"])
        says = wanted.pop("says", [])
        differences = [*unlike(wanted, found)]
        complaint = str(found.get("msg", ""))
        differences += [f"$.msg: {text!r} is missing in {complaint!r}" for text in says if text not in complaint]
        if differences:
            pytest.fail("\n".join([*differences, f"msg: {complaint}", str(found.get("exception", ""))]), pytrace=False)


@pytest.mark.parametrize("playbook", [SUITE / "plays" / "migration.yml"], ids=["migration"])
def test_the_migration_has_copied_the_rows(client: Installed, played: Played, target: Target, playbook: Path) -> None:
    with tried(CLIENT, client.version, "resource: rows of the migration"):
        assert target("SELECT count(*), max(note) FROM orders") == [(100, "order 99")]
