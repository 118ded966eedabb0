# SPDX-License-Identifier: GPL-3.0-or-later
"""Single modules against the lab: tasks of one play, and what each gave."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from plays import Player

Result = dict[str, Any]
GATHERED = "{{ dict(names | zip(names | map('regex_replace', '^', 'task_') | map('extract', vars))) | to_json }}"


@dataclass(frozen=True)
class Task:
    """A module with its arguments; in check mode when `check`."""

    module: str
    args: dict[str, Any]
    check: bool = False


def run(player: Player, **tasks: Task) -> dict[str, Result]:
    """Runs the tasks one after the other, failed ones too, and gives their results by name."""
    kept = player.folder / "results.json"
    steps: list[dict[str, Any]] = [
        {
            f"pgflex.migrate.{task.module}": task.args,
            "check_mode": task.check,
            "diff": True,
            "register": f"task_{name}",
            "ignore_errors": True,
        }
        for name, task in tasks.items()
    ]
    steps.append({"ansible.builtin.copy": {"content": GATHERED, "dest": str(kept), "mode": "0600"}, "diff": False})
    variables = {"ansible_python_interpreter": sys.executable, "names": list(tasks)}
    play = {"hosts": "all", "connection": "local", "gather_facts": False, "vars": variables, "tasks": steps}
    file = player.folder / "tasks.yml"
    file.write_text(json.dumps([play]))
    played = player.play(str(file), {"localhost": {}})
    assert played.code == 0, played.output[-3000:]
    found: dict[str, Result] = json.loads(kept.read_text())
    return found


def changed(results: dict[str, Result]) -> list[str]:
    return [name for name, result in results.items() if result["changed"]]


def failures(results: dict[str, Result]) -> dict[str, str | None]:
    """The code of what failed, by the task's name."""
    return {name: result["failure"]["code"] for name, result in results.items() if result.get("failed")}
