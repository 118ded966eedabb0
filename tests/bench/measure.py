# SPDX-License-Identifier: GPL-3.0-or-later
"""Wall time, and the CPU time of the programs together with that of the servers."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postgres_versions.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A method that did not end well; the others go on."""


@dataclass
class Taken:
    wall: float = 0.0
    cpu: float = 0.0
    peak_megabytes: float | None = None
    remark: str = ""


@dataclass
class Meter:
    clusters: Sequence[Cluster]
    taken: Taken = field(default_factory=Taken)

    def server_seconds(self) -> float:
        return sum(_tree_seconds(cluster.pid) for cluster in self.clusters if cluster.pid)

    @contextlib.contextmanager
    def running(self) -> Iterator[Taken]:
        wall, programs, servers = time.monotonic(), _programs_seconds(), self.server_seconds()
        yield self.taken
        self.taken.wall = time.monotonic() - wall
        self.taken.cpu = _programs_seconds() - programs + self.server_seconds() - servers


def _programs_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree_seconds(postmaster: int) -> float:
    """Of the postmaster, of the backends it has seen end, and of those that are still there."""
    return _own(postmaster, ended=True) + sum(_own(pid, ended=False) for pid in _children(postmaster))


def _fields(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _own(pid: int, *, ended: bool) -> float:
    found = _fields(pid)
    return sum(int(value) for value in found[11 : 15 if ended else 13]) / TICKS


def _children(parent: int) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if _fields(pid)[1:2] == [str(parent)]]


def run(command: Sequence[str | Path], environment: dict[str, str], **more: Any) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        raise BenchError(f"{Path(command[0]).name}: {done.stderr.strip()[-300:]}")


def module(name: str, args: dict[str, Any], taken: Taken | None = None) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".build" / "collections"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("driver.py")],
        input=json.dumps({"module": name, "args": args}),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{name}: {done.stderr.strip()[-300:]}")
    answer = json.loads(done.stdout)
    if answer["result"].get("failed"):
        raise BenchError(f"{name}: {answer['result']['msg'][:300]}")
    if taken is not None:
        taken.peak_megabytes = answer["peak_kilobytes"] / 1024
    result: dict[str, Any] = answer["result"]
    return result
