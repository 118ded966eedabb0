# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo as a user starts it, only smaller and with a faster clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_servers import programs

from result import WIDTH

REPOSITORY = Path(__file__).resolve().parents[2]
PLAYING = "TASK [pgflex.migrate.migrate : Wait]"

pytestmark = pytest.mark.skipif(programs() is None, reason="no PostgreSQL server programs here")


class Run:
    def __init__(self, log: Path, *options: str) -> None:
        self.log = log
        environment = {
            **os.environ,
            "PGFLEX_LAB_TIME_SCALE": "600",
            "PGFLEX_DEMO_RECORD": str(log.parent / "record.json"),
            "PYTHONUNBUFFERED": "1",
        }
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "demo/run.py", *options],
                cwd=REPOSITORY,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.log.read_text()

    def home(self) -> Path:
        line = next(line for line in self.text().splitlines() if "files in " in line)
        return Path(line.rpartition("files in ")[2])

    def until(self, text: str) -> None:
        deadline = time.monotonic() + 120
        while text not in self.text():
            assert self.process.poll() is None and time.monotonic() < deadline, self.text()
            time.sleep(0.1)

    def end(self) -> int:
        return self.process.wait(200)


def left_of(home: Path) -> list[str]:
    """Files and processes that name the home of the demo."""
    found = [str(home)] if home.exists() else []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = command.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found += [text] if str(home) in text else []
    return found


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "log"
    stop = Run(tmp_path / "stop", "--stop")
    assert stop.end() == 0, stop.text()


def test_proves_a_migration_and_leaves_nothing(log: Path) -> None:
    run = Run(log, "--size", "12")
    assert run.end() == 0, run.text()
    result = run.text().partition("PLAY RECAP")[2].splitlines()[2:]
    assert any(line.startswith("PROVED") for line in result)
    assert any(line.startswith("DOWNTIME") for line in result)
    assert [line for line in result if len(line) > WIDTH and "://" not in line] == []
    assert "Lab-Passw0rd" not in run.text()
    assert left_of(run.home()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_leaves_nothing(log: Path, number: signal.Signals) -> None:
    run = Run(log, "--size", "12")
    run.until(PLAYING)
    if number == signal.SIGINT:
        os.killpg(run.process.pid, number)
    else:
        run.process.send_signal(number)
    assert run.end() == 130
    assert left_of(run.home()) == []


def test_the_next_run_clears_what_a_killed_one_left(log: Path) -> None:
    run = Run(log, "--size", "12")
    run.until(PLAYING)
    run.process.kill()
    run.process.wait()
    assert left_of(run.home()) != []
    assert Run(log.parent / "next", "--stop").end() == 0
    deadline = time.monotonic() + 20
    while left_of(run.home()):
        assert time.monotonic() < deadline, left_of(run.home())
        time.sleep(0.2)


def test_keeps_the_lab_of_an_offline_migration_when_asked(log: Path) -> None:
    run = Run(log, "--size", "12", "--offline", "--keep")
    assert run.end() == 0, run.text()
    assert "PROVED: every row" in run.text() and "CutoverTrigger" not in run.text()
    assert left_of(run.home()) != []
    assert "demo/run.py --stop" in run.text()
    assert Run(log.parent / "stop-it", "--stop").end() == 0
    assert left_of(run.home()) == []


def test_refuses_a_sample_that_is_too_small_before_it_starts_anything(log: Path) -> None:
    run = Run(log, "--size", "3")
    assert run.end() == 2
    assert "--size: the sample has at least 10 MB" in run.text() and "Starting" not in run.text()
