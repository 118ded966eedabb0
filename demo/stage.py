# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that the demo plays in, in a home of its own, and the processes that play in it."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
# Where a later run finds a lab that was kept, or that a killed run left behind.
RECORD = Path(os.environ.get("PGFLEX_DEMO_RECORD", REPOSITORY / ".build" / "demo.json"))
SERVERS = {"source": "shop-single", "target": "shop-flex"}
# Not /tmp, which can be memory.
PLACE = Path("/var/tmp")
PREFIX = "pgflex-demo-"
START_SECONDS = 60
STOP_SECONDS = 60


class StageError(Exception):
    """Something the demo cannot go on without; its text is for people."""


class Stage:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.lab = home / "lab"
        self.environment: dict[str, str] = {}
        # By the role they play, as psycopg connects to them.
        self.servers: dict[str, dict[str, Any]] = {}

    @classmethod
    def make(cls) -> Stage:
        home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PLACE))
        # The clusters run as another user, who has to pass through.
        home.chmod(0o711)
        RECORD.parent.mkdir(exist_ok=True)
        RECORD.write_text(json.dumps({"home": str(home), "pid": os.getpid()}))
        return cls(home)

    @classmethod
    def kept(cls) -> Stage | None:
        """What an earlier run left, if it is not running still."""
        try:
            record = json.loads(RECORD.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        command = Path(f"/proc/{record['pid']}/cmdline")
        if record["pid"] != os.getpid() and command.exists() and b"demo/run.py" in command.read_bytes():
            raise StageError(f"another demo is running (process {record['pid']}); wait for it or end it")
        home = Path(record["home"])
        return cls(home) if home.name.startswith(PREFIX) and home.parent == PLACE else None

    def start(self) -> None:
        self._lab("start", START_SECONDS)
        for line in (self.lab / "env.sh").read_text().splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["export"]:
                self.environment.update(
                    (name, value) for name, _separator, value in (word.partition("=") for word in words[1:])
                )
        self.environment |= {
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".build" / "collections"),
            "ANSIBLE_HOME": str(self.home / "ansible"),
            # Behind a proxy too, the lab is on this machine.
            "NO_PROXY": "localhost,127.0.0.1",
        }
        self._meet_servers()

    def _meet_servers(self) -> None:
        facts = json.loads((self.lab / "lab.json").read_text())
        seed = {server["name"]: server for server in yaml.safe_load(Path(facts["seed"]).read_text())["servers"]}
        for role, name in SERVERS.items():
            admin, password, found = seed[name]["admin"], seed[name]["password"], facts["servers"][name]
            self.servers[role] = {
                "host": found["fqdn"],
                "hostaddr": found["hostaddr"],
                "port": found["port"],
                "user": f"{admin}@{name}" if seed[name]["type"] == "single" else admin,
                "password": password,
                "sslmode": "verify-full",
                "sslrootcert": facts["ca"],
            }

    def directions(self) -> str:
        """How to look around in a lab that was kept."""
        lines = ["The lab still runs. Its environment, its servers, and how to end it:", f"  source {self.lab}/env.sh"]
        for server in self.servers.values():
            address = f"host={server['hostaddr']} user={server['user']} dbname=shop"
            lines.append(f"  PGPASSWORD='{server['password']}' psql '{address}'")
        return "\n".join([*lines, f"  {sys.executable} demo/run.py --stop"])

    def remove(self) -> None:
        """Ends the lab and takes away everything it wrote."""
        if self.lab.exists():
            self._lab("stop", STOP_SECONDS)
        shutil.rmtree(self.home, ignore_errors=True)
        RECORD.unlink(missing_ok=True)

    def _lab(self, verb: str, timeout: float) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY / "tests" / "lab"),
            "PGFLEX_LAB_HOME": str(self.lab),
        }
        command = [sys.executable, "-m", "pgflex_lab", verb]
        output, pipe = subprocess.STDOUT, subprocess.PIPE
        lab = subprocess.Popen(command, env=environment, stdout=pipe, stderr=output, text=True, start_new_session=True)
        try:
            said, _other = lab.communicate(timeout=timeout)
        except KeyboardInterrupt:
            # Only a lab that has started altogether can be found and ended.
            lab.communicate(timeout=timeout)
            raise
        if lab.returncode:
            raise StageError(f"the lab did not {verb}:\n{said.strip()}")


class Playbook:
    """ansible-playbook on this terminal."""

    def __init__(
        self, name: str, inventory: Path, variables: Mapping[str, str], environment: Mapping[str, str]
    ) -> None:
        # A demo that is killed can not end it any more: then the kernel presses Ctrl-C.
        command = ["setpriv", "--pdeathsig", "INT", str(Path(sys.executable).parent / "ansible-playbook")]
        command += [name, "-i", str(inventory)]
        command += ["-e", json.dumps(dict(variables))]
        self._workers: set[tuple[int, str]] = set()
        self._process = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **environment})

    def wait(self, seconds: float) -> int | None:
        self._workers |= _children(self._process.pid)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """As Ctrl-C does, so that Ansible ends its own workers; harder when it does not listen."""
        # After Ctrl-C on the terminal it is ending already, and a second one would stop it from tidying up.
        self.wait(3)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                break
            self._process.send_signal(number)
            self.wait(10)
        self._end_workers()

    def _end_workers(self) -> None:
        """Workers are sessions of their own and outlive an interrupted Ansible by what they are busy with."""
        deadline = time.monotonic() + 5
        while left := {worker for worker in self._workers if _started(worker[0]) == worker[1]}:
            if time.monotonic() > deadline:
                for pid, _other in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def _children(pid: int) -> set[tuple[int, str]]:
    """Process ids with their start times, since a number alone can come to mean another process."""
    try:
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return set()
    return {(int(child), started) for child in pids if (started := _started(int(child)))}


def _started(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # A zombie has ended, and in a container may never be collected.
    return None if fields[0] == "Z" else fields[19]
