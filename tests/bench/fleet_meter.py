# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program takes together with all that it starts: CPU, wall time, memory; and what it asked of Azure."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

SAMPLE_SECONDS = 0.5
MIGRATION = re.compile(r"/migrations/[^/]+$")
# Where the answers of long operations are asked for.
OPERATION = re.compile(r"/(azureAsyncOperation|operationResults|operationStatuses)/", re.IGNORECASE)
# The lab is a cloud that az and the collection know by its metadata only; nobody asks for those of Azure itself.
SIGN_IN = re.compile(r"/oauth2/|/discovery/|/\.well-known/|^/metadata/endpoints")


@dataclass
class Used:
    cpu: float
    wall: float
    megabytes: float
    output: str
    code: int


@dataclass
class Asked:
    """Requests of one run: those that poll apart, and the least seconds between two looks at one migration."""

    work: Counter[str] = field(default_factory=Counter)
    polls: int = 0
    sign_in: int = 0
    least_between: float | None = None

    @property
    def requests(self) -> int:
        return self.work.total()


def measured(command: Sequence[str | Path], environment: dict[str, str], folder: Path) -> Used:
    log = folder / "output.txt"
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        with _sampled(process.pid) as peak:
            # wait4 counts the children that the process has waited for, and no others of this program.
            _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = used.ru_utime + used.ru_stime
    return Used(seconds, time.monotonic() - began, peak[0], log.read_text(errors="replace"), process.returncode)


@contextlib.contextmanager
def _sampled(pid: int) -> Iterator[list[float]]:
    """The most memory that the process and its descendants had at one time; a page that several share counts once."""
    peak = [0.0]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], sum(_proportional(one) for one in _family(pid)) / 1024)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            found += [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
    return found


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


class RequestLog:
    """The lab's log of requests, from one call to the next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0

    def since_last(self) -> Asked:
        rows = [json.loads(line) for line in self._path.read_text().splitlines()]
        new, self._seen = rows[self._seen :], len(rows)
        return sorted_out(new)


def sorted_out(rows: list[dict[str, Any]]) -> Asked:
    """A look at a migration polls once the migration has been made; before it is a question like any other."""
    asked = Asked()
    made: set[str] = set()
    looks: dict[str, list[datetime]] = defaultdict(list)
    for row in rows:
        path = row["path"].lower()
        if SIGN_IN.search(path):
            asked.sign_in += 1
        elif OPERATION.search(path):
            asked.polls += 1
        elif row["method"] == "GET" and path in made:
            asked.polls += 1
            looks[path].append(datetime.fromisoformat(row["time"]))
        else:
            asked.work[f"{row['method']} {_kind(row['path'])}"] += 1
            if row["method"] == "PUT" and MIGRATION.search(path):
                made.add(path)
    between = [(b - a).total_seconds() for times in looks.values() for a, b in pairwise(times)]
    asked.least_between = min(between, default=None)
    return asked


def _kind(path: str) -> str:
    """The types of a path, without the names."""
    parts = path.strip("/").split("/")
    if "providers" not in parts:
        return "/".join(parts[0::2])
    at = len(parts) - 1 - parts[::-1].index("providers")
    return "/".join([parts[at + 1], *parts[at + 2 :: 2]])
