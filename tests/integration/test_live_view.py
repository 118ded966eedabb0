# SPDX-License-Identifier: GPL-3.0-or-later
"""What `watch` shows on a terminal and elsewhere, in the output of real runs of ansible-playbook."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path
from typing import Any

import pytest
from plays import Player

SECONDS = 6
DRAWN = re.compile(r"\x1b\[\d+A")
COLOUR = re.compile(r"\x1b\[3\dm(?:running|not seen yet|too late)")


class Run:
    """ansible-playbook on a terminal of so many columns and lines."""

    def __init__(self, player: Player, play: Path, *, columns: int = 80, lines: int = 24, **environment: str) -> None:
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        given = player.environment(**{"TERM": "xterm-256color", **environment})
        kept = {name: value for name, value in given.items() if value and name != "CI"}
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(play)]
        self.process = subprocess.Popen(
            command, cwd=player.folder, env=kept, stdin=its, stdout=its, stderr=its, start_new_session=True
        )
        os.close(its)
        self._terminal = ours
        self.output = ""

    def read(self, until: str = "") -> str:
        """What comes until it ends, or until that text has come."""
        while not until or until not in self.output:
            try:
                part = os.read(self._terminal, 65536)
            except OSError:
                break
            self.output += part.decode()
        return self.output

    def end(self) -> int:
        # Whoever hangs shall not let the tests hang.
        killer = threading.Timer(120, self.process.kill)
        killer.start()
        self.read()
        os.close(self._terminal)
        code = self.process.wait(timeout=60)
        killer.cancel()
        return code


@pytest.fixture
def play(player: Player) -> Path:
    """Watches migrations that are not there, until the time is up."""
    where = {"resource_group": "shop-rg", "server_name": "shop-flex"}
    task: dict[str, Any] = {
        "name": "Watch",
        "pgflex.migrate.watch": {
            "migrations": [{**where, "name": f"none-{number}"} for number in range(30)],
            "min_interval": 2,
            "wait_timeout": SECONDS,
            "fail_on": "none",
        },
    }
    file = player.folder / "watch.yml"
    file.write_text(json.dumps([{"hosts": "all", "connection": "local", "gather_facts": False, "tasks": [task]}]))
    return file


@pytest.mark.matrix
def test_a_table_is_drawn_in_place_on_a_terminal(player: Player, play: Path) -> None:
    run = Run(player, play, columns=80, lines=24, ANSIBLE_NOCOLOR="")
    assert run.end() == 0, run.output
    drawings = DRAWN.split(run.output)
    # Each over the one before.
    assert len(drawings) > 2 and {len(drawing.splitlines()) for drawing in drawings[1:-1]} == {24}
    assert "30 migrations: 30 running" in drawings[0] and "and 9 more: 9 running" in drawings[0]
    assert "30 migrations: 30 too late" in drawings[-1]
    assert COLOUR.search(run.output)
    # Ansible goes on below.
    assert re.search(r"and 9 more: 9 too late.*ok: \[localhost\].*PLAY RECAP", run.output, re.DOTALL)


@pytest.mark.matrix
@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"AWX_ISOLATED_DATA_DIR": "/runner/artifacts/1"}, id="awx"),
        pytest.param({"TERM": "dumb"}, id="dumb"),
    ],
)
def test_lines_elsewhere(player: Player, play: Path, environment: dict[str, str]) -> None:
    run = Run(player, play, **environment)
    assert run.end() == 0, run.output
    assert not DRAWN.search(run.output) and "30 migrations" not in run.output


def test_no_colours_where_they_are_not_wanted(player: Player, play: Path) -> None:
    run = Run(player, play, ANSIBLE_NOCOLOR="", NO_COLOR="1")
    assert run.end() == 0, run.output
    assert DRAWN.search(run.output) and not re.search(r"\x1b\[[0-9;]*m", run.output)


def test_in_a_pipe_there_are_no_escape_sequences(player: Player, play: Path) -> None:
    done = player.play(str(play), {"localhost": {}}, TERM="xterm", ANSIBLE_NOCOLOR="1")
    assert done.code == 0 and "\x1b" not in done.output


def test_an_interrupted_run_leaves_the_terminal_as_it_was(player: Player, play: Path) -> None:
    run = Run(player, play)
    before = termios.tcgetattr(run._terminal)
    run.read(until="0:02 elapsed")
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.end() != 0
    assert "User interrupted execution" in run.output
    # Neither the terminal's modes nor cursor, screen, or scrolling were touched.
    assert before[3] & termios.ECHO and not re.search(r"\x1b\[\?", run.output)
    assert run.output.rindex("\x1b[J") < run.output.rindex("User interrupted")
