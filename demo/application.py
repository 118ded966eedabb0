# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the writer as a process of its own and tells it where to write."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from journal import Record, read_journal

WRITER = Path(__file__).parent / "writer.py"
LOOK_SECONDS = 0.05
END_SECONDS = 10


class Application:
    def __init__(self, journal: Path, source: Mapping[str, Any], rate: float) -> None:
        self.journal = journal
        command = [sys.executable, str(WRITER), "--journal", str(journal), "--rate", str(rate)]
        # A session of its own: Ctrl-C is for the demo, which ends the writer when it has no more use for it.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        self._say({"source": dict(source)})

    def _say(self, line: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def move_to(self, target: Mapping[str, Any]) -> None:
        self._say({"target": dict(target)})

    def record(self) -> Record:
        return read_journal(self.journal) if self.journal.exists() else Record()

    def wait_until(self, question: Callable[[Record], object], timeout: float = 20) -> Record:
        deadline = time.monotonic() + timeout
        while not question(record := self.record()):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise TimeoutError(f"the writer did not come to it in {timeout:.0f} s; refused: {record.rejected}")
            time.sleep(LOOK_SECONDS)
        return record

    def end(self) -> int:
        """Lets it finish its transaction; answers its exit code."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
