# SPDX-License-Identifier: GPL-3.0-or-later
"""start, status, env, reset, stop, and the lab's own API, on labs that come and go."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgflex_lab import process
from pgflex_lab.clusters import remove_leftovers
from pgflex_lab.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
EMPTY = """
tenant: {name: Small}
subscriptions:
  - {id: 00000000-0000-4000-8000-0000000000aa, providers: [Microsoft.DBforPostgreSQL],
     resource_groups: [{name: rg}]}
operators:
  - {name: op, client_id: 00000000-0000-4000-8000-0000000000bb, secret: small}
servers:
  - {name: only-one, type: other, admin: boss, password: Lab-Passw0rd!one, host: db.corp.example,
     environment: ONLY}
"""


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="pgflex-cli-", dir="/var/tmp"))
    (path / "seed.yml").write_text(EMPTY)
    yield path
    run(path, "stop")
    shutil.rmtree(path)


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PGFLEX_LAB_HOME": str(home),
        "PGFLEX_LAB_SEED": str(home / "seed.yml"),
        "PGFLEX_LAB_TIME_SCALE": "600",
    }
    command = [sys.executable, "-m", "pgflex_lab", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)


def running_pids(home: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(home) in entry.read_bytes().decode("utf-8", "replace"):
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


def test_a_life(home: Path) -> None:
    assert run(home, "status").returncode == 3
    assert "no lab runs" in run(home, "env").stderr
    started = run(home, "start")
    assert started.returncode == 0, started.stderr
    assert "export AZURE_CLIENT_ID='00000000-0000-4000-8000-0000000000bb'" in started.stdout
    assert "export ONLY_PASSWORD='Lab-Passw0rd!one'" in started.stdout and "export ONLY_HOSTADDR=" in started.stdout
    assert (home / "env.sh").stat().st_mode & 0o777 == 0o600
    again = run(home, "start")
    assert (
        again.stdout.startswith("# already running at ")
        and again.stdout.splitlines()[1:] == started.stdout.splitlines()[1:]
    )
    assert run(home, "status").returncode == 0
    lab = process.find(home)
    assert lab is not None
    made = {"name": "two", "type": "other", "admin": "boss", "password": "Lab-Passw0rd!two"}
    assert lab.admin("POST", "servers", made)["hostaddr"].startswith("127.77.")
    with pytest.raises(process.LabFailed, match="a server needs"):
        lab.admin("POST", "servers", {"type": "single"})
    state = lab.admin("GET", "state")
    assert [item["name"] for item in state["servers"]] == ["only-one", "two"]
    assert "Lab-Passw0rd" not in str(state)
    assert run(home, "reset").returncode == 0
    assert [item["name"] for item in lab.admin("GET", "state")["servers"]] == ["only-one"]
    assert run(home, "stop").stdout == "# stopped\n"
    assert running_pids(home) == []
    assert not [path for path in home.rglob("*") if path.is_socket()]
    assert run(home, "stop").stdout == "# not running\n"


def test_stop_cleans_up_after_a_crash(home: Path) -> None:
    assert run(home, "start").returncode == 0
    lab = process.find(home)
    assert lab is not None
    os.kill(lab.pid, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while process.find(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running_pids(home) != []
    assert run(home, "stop").returncode == 0
    assert running_pids(home) == []


def test_a_wrong_seed_is_one_sentence(home: Path) -> None:
    (home / "seed.yml").write_text("servers: [{name: x}]")
    failed = run(home, "start")
    assert failed.returncode == 1 and "a server needs type" in failed.stderr
    assert running_pids(home) == []


def interpreter_for(user: str) -> list[str] | None:
    """The first Python that user may run with what the lab needs; a virtual environment can be out of reach."""
    site = next((path for path in sys.path if path.endswith("site-packages")), "")
    for python in (sys.executable, "/usr/bin/python3"):
        trial = [
            "env",
            f"PYTHONPATH={ROOT}:{site}",
            "PYTHONDONTWRITEBYTECODE=1",
            python,
            "-c",
            "import pgflex_lab.server",
        ]
        if subprocess.run(trial, user=user, capture_output=True, cwd="/", check=False).returncode == 0:
            return trial[:-2]
    return None


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_as_a_normal_user() -> None:
    python = interpreter_for("nobody")
    if python is None:
        pytest.skip("the user nobody can run no Python that has the lab's requirements")
    home = Path(tempfile.mkdtemp(prefix="pgflex-user-", dir="/var/tmp"))
    shutil.chown(home, "nobody")
    (home / "seed.yml").write_text(EMPTY)
    (home / "seed.yml").chmod(0o644)
    command = [*python, "-m", "pgflex_lab", "--home", str(home), "--seed", str(home / "seed.yml")]
    try:
        for verb in ("start", "stop"):
            done = subprocess.run(
                [*command, verb], user="nobody", cwd="/", capture_output=True, text=True, timeout=90, check=False
            )
            assert done.returncode == 0, done.stderr
        assert running_pids(home) == []
    finally:
        remove_leftovers(Settings(home=home))
        shutil.rmtree(home)
