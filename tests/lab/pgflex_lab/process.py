# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as a process: started in the background, found again, ended."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pgflex_lab.settings import PREFIX, Settings
from pgflex_lab.tls import client_context

START_SECONDS = 60.0
STOP_SECONDS = 120.0
PACKAGE_ROOT = Path(__file__).resolve().parent.parent


class LabFailed(Exception):
    """The lab did not start or stop; the text says why."""


def write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text)


def _start_ticks(pid: int) -> str | None:
    """Tells a process from a later one with the same number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def describe(pid: int) -> dict[str, Any]:
    return {"pid": pid, "start_ticks": _start_ticks(pid)}


@dataclass(frozen=True)
class Running:
    """A lab found through its lab.json."""

    home: Path
    facts: dict[str, Any]
    child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.facts['proxy_port']}"

    @property
    def pid(self) -> int:
        return int(self.facts["pid"])

    def environment_text(self) -> str:
        return (self.home / "env.sh").read_text()

    def environment(self) -> dict[str, str]:
        lines = [line.removeprefix("export ").partition("=") for line in self.environment_text().splitlines()]
        return {name: value.strip("'") for name, _separator, value in lines}

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """The lab's own API: `path` is what follows /_lab/."""
        request = urllib.request.Request(
            f"{self.url}/_lab/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        secure = urllib.request.HTTPSHandler(context=client_context(Path(str(self.facts["ca"]))))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), secure)
        try:
            with opener.open(request, timeout=START_SECONDS) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise LabFailed(f"{method} /_lab/{path}: {error.code} {error.read().decode()}") from error
        return json.loads(text) if text else None

    def requests(self) -> list[dict[str, Any]]:
        return list(self.admin("GET", "requests")["value"])

    def plan_faults(self, *faults: dict[str, Any]) -> None:
        self.admin("POST", "faults", {"faults": list(faults)})


def find(home: Path) -> Running | None:
    """The lab of this home when it really runs."""
    try:
        facts = json.loads((home / "lab.json").read_text())
    except (OSError, ValueError):
        return None
    alive = facts.get("start_ticks") is not None and _start_ticks(int(facts["pid"])) == facts["start_ticks"]
    return Running(home, facts) if alive else None


def prepare_home(home: Path) -> None:
    """0711: the clusters' user passes through, nobody else reads."""
    home.mkdir(mode=0o711, parents=True, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        raise LabFailed(f"{home} belongs to another user; set {PREFIX}HOME.")
    home.chmod(0o711)


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Two labs in one home would end each other's clusters."""
    with (home / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LabFailed(f"a lab runs or starts in {home} already") from None
        yield


def start(settings: Settings) -> Running:
    """Starts a lab in the background and waits until it is ready."""
    prepare_home(settings.home)
    environment = os.environ | {
        PREFIX + item.name.upper(): str(getattr(settings, item.name)) for item in fields(settings)
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    log_file = settings.home / "lab.log"
    log_file.touch(mode=0o600)
    with log_file.open("w") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "pgflex_lab", "run"],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = find(settings.home)
        if found is not None and found.pid == child.pid:
            return replace(found, child=child)
        if child.poll() is not None:
            break
        time.sleep(0.05)
    if child.poll() is None:
        child.terminate()
        child.wait(STOP_SECONDS)
    raise LabFailed(f"The lab did not start; {log_file} ends with: {_tail(log_file)}")


def _tail(path: Path) -> str:
    return " | ".join(path.read_text(errors="replace").splitlines()[-5:]) or "(nothing)"


def stop(running: Running) -> None:
    """Asks it to end, which takes its clusters along."""
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _alive(running):
        if time.monotonic() > deadline:
            raise LabFailed(f"The lab (pid {running.pid}) does not end; see {running.home / 'lab.log'}.")
        time.sleep(0.05)
    if running.child is not None:
        running.child.wait()


def _alive(running: Running) -> bool:
    """A zombie is over: its parent has not looked yet."""
    try:
        state = Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and _start_ticks(running.pid) == running.facts["start_ticks"]
