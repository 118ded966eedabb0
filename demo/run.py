# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a shop under load from a Single Server to a Flexible Server of the lab, and proves that everything arrived."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from application import Application
from journal import Record
from loader import DEFAULT_MEGABYTES, SMALLEST_MEGABYTES, load
from proof import Proof, prove
from result import Outcome, render
from stage import Playbook, Stage, StageError

INVENTORY = Path(__file__).parent / "inventory.yml"
PLAYBOOK = "pgflex.migrate.public_access"
DATABASE = "shop"
RATE = 150
WARM_UP_WRITES = 200
WRITES_AFTER = 100
LOOK_SECONDS = 0.1
FAILURES = (StageError, psycopg.Error, OSError, TimeoutError, ValueError, subprocess.SubprocessError)

Server = dict[str, Any]


class Demo:
    def __init__(self, stage: Stage, mode: str, megabytes: int) -> None:
        self._stage = stage
        self._mode = mode
        self._megabytes = megabytes
        self._started = time.monotonic()
        self._report_file = stage.home / "report.json"

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self._started:5.1f} s] {text}", flush=True)

    def play(self, undo: contextlib.ExitStack) -> Outcome:
        self.say(f"Starting the lab, a stand-in for Azure; files in {self._stage.home}")
        self._stage.start()
        source, target = self._stage.servers["source"], self._stage.servers["target"]
        size = load(source, DATABASE, self._megabytes)
        self.say(f"Loaded the database {DATABASE} into shop-single: {size:.0f} MB")
        application = Application(self._stage.home / "journal", {**source, "dbname": DATABASE}, RATE)
        undo.callback(application.end)
        application.wait_until(lambda record: len(record.acknowledged) >= WARM_UP_WRITES)
        self.say(f"The shop's application writes to it, {RATE} transactions a second, until the end")
        self.say(f"ansible-playbook {PLAYBOOK}, {self._mode} mode")
        exit_code = self._migrate(application, {**target, "dbname": DATABASE}, undo)
        record = self._finish(application, exit_code)
        return Outcome(
            mode=self._mode,
            megabytes=size,
            exit_code=exit_code,
            report=self._report(),
            record=record,
            proof=self._prove({**target, "dbname": DATABASE}, record) if exit_code == 0 else None,
        )

    def _migrate(self, application: Application, target: Server, undo: contextlib.ExitStack) -> int:
        """Runs the playbook; points the application at the target as soon as the comparison of all rows is good."""
        variables = {"mode": self._mode, "report_json": str(self._report_file)}
        playbook = Playbook(PLAYBOOK, INVENTORY, variables, self._stage.environment)
        undo.callback(playbook.end)
        moved = False
        while (exit_code := playbook.wait(LOOK_SECONDS)) is None:
            if not moved and self._report().get("validation"):
                application.move_to(target)
                moved = True
        if not moved and exit_code == 0:
            application.move_to(target)
        return exit_code

    def _report(self) -> dict[str, Any]:
        try:
            hosts: dict[str, dict[str, Any]] = json.loads(self._report_file.read_text())["hosts"]
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return next(iter(hosts.values()), {})

    def _finish(self, application: Application, exit_code: int) -> Record:
        if exit_code == 0:
            self.say("The application goes on at shop-flex")
            with contextlib.suppress(TimeoutError):
                application.wait_until(lambda record: record.count("target") >= WRITES_AFTER)
        application.end()
        return application.record()

    @staticmethod
    def _prove(target: Server, record: Record) -> Proof:
        with psycopg.connect(**target) as connection:
            return prove(connection, record)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=DEFAULT_MEGABYTES, metavar="MB", help="size of the sample database")
    parser.add_argument("--offline", action="store_true", help="migrate offline: the source is read-only all the time")
    parser.add_argument("--keep", action="store_true", help="leave the lab running to look around in")
    parser.add_argument("--stop", action="store_true", help="only end a lab that an earlier run kept")
    options = parser.parse_args()
    if options.size < SMALLEST_MEGABYTES:
        parser.error(f"--size: the sample has at least {SMALLEST_MEGABYTES} MB")
    return options


def be_interrupted(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def handle(action: signal.Handlers | Callable[[int, object], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, action)


def main() -> int:
    options = arguments()
    handle(be_interrupted)
    try:
        earlier = Stage.kept()
        if earlier:
            print(f"Ending the lab that an earlier demo left in {earlier.home}")
            earlier.remove()
        return 0 if options.stop else demonstrate(options)
    except StageError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def demonstrate(options: argparse.Namespace) -> int:
    stage = Stage.make()
    demo = Demo(stage, "offline" if options.offline else "online", options.size)
    started = contextlib.ExitStack()
    keep = options.keep
    try:
        outcome = demo.play(started)
    except KeyboardInterrupt:
        keep = False
        print("\nInterrupted", file=sys.stderr)
        return 130
    except FAILURES as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        # A second Ctrl-C in here would leave servers running.
        handle(signal.SIG_IGN)
        started.close()
        if not keep:
            stage.remove()
            demo.say("Ended the lab, nothing is left of it")
    print(render(outcome))
    if keep:
        print(f"\n{stage.directions()}")
    return 1 if outcome.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
