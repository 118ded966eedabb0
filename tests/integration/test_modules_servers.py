# SPDX-License-Identifier: GPL-3.0-or-later
"""The server modules against the lab, each run as a task of a play, in Ansible's worker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FLEXIBLE = {"resource_group": "shop-rg", "server_name": "shop-flex", "server_type": "flexible_server"}
SINGLE = {"resource_group": "shop-rg", "server_name": "shop-single", "server_type": "single_server"}
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def lab() -> Iterator[dict[str, str]]:
    """The environment to use a lab of this file's own."""
    home = Path(tempfile.mkdtemp(prefix="pgflex-servers-", dir="/var/tmp"))
    # A Single Server answers with all its parameters at once, and the SDK does not ask for a second page.
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "lab"), "PGFLEX_LAB_PAGE_SIZE": "1000"}

    def control(verb: str) -> str:
        command = [sys.executable, "-m", "pgflex_lab", verb, "--home", str(home)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    environment["PGFLEX_LAB_TIME_SCALE"] = "600"
    try:
        lines = [line.removeprefix("export ") for line in control("start").splitlines() if line.startswith("export ")]
        yield {name: value.strip("'") for name, _separator, value in (line.partition("=") for line in lines)}
        control("stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def run(lab: dict[str, str], tmp_path: Path) -> Run:
    def run_task(module: str, args: dict[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
        answer = tmp_path / "answer.json"
        task = {
            f"pgflex.migrate.{module}": args,
            "check_mode": check_mode,
            "diff": True,
            "register": "answer",
            "ignore_errors": True,
        }
        keep = {
            "ansible.builtin.copy": {"content": "{{ answer | to_json }}", "dest": str(answer), "mode": "0600"},
            "diff": False,
        }
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": [task, keep],
        }
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps([play]))
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(playbook)]
        environment = {**os.environ, **lab, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(answer.read_text())
        return found

    return run_task


def writes(lab: dict[str, str]) -> int:
    log = Path(lab["PGFLEX_LAB_HOME"], "requests.jsonl").read_text().splitlines()
    sent = [json.loads(line) for line in log]
    return sum(row["method"] not in ("GET", "HEAD") and "/providers/" in row["path"] for row in sent)


def test_single_server_info(run: Run) -> None:
    (found,) = run("single_server_info", {"resource_group": "shop-rg", "name": "shop-single"})["single_servers"]
    assert (found["name"], found["version"], found["vcores"], found["state"]) == ("shop-single", "11", 4, "Ready")
    assert found["tags"] == {"app": "shop", "env": "production"}
    assert run("single_server_info", {})["single_servers"] == [found]
    assert run("single_server_info", {"resource_group": "shop-rg", "name": "nobody"})["single_servers"] == []
    assert run("single_server_info", {"resource_group": "nobody-rg"})["single_servers"] == []


def test_flexible_server_info(run: Run) -> None:
    (found,) = run("flexible_server_info", {"resource_group": "shop-rg", "name": "shop-flex"})["flexible_servers"]
    assert (found["name"], found["version"], found["storage_gb"], found["state"]) == ("shop-flex", "15", 128, "Ready")
    assert run("flexible_server_info", {"resource_group": "shop-rg"})["flexible_servers"] == [found]
    assert run("flexible_server_info", {"resource_group": "shop-rg", "name": "nobody"})["flexible_servers"] == []


def test_server_parameters_of_a_flexible_server(run: Run, lab: dict[str, str]) -> None:
    parameters = {"azure.extensions": ["pg_trgm", "hstore"], "work_mem": 8192, "wal_level": "LOGICAL"}
    args = {**FLEXIBLE, "parameters": parameters, "restart": True}
    before = writes(lab)
    foretold = run("server_parameters", args, check_mode=True)
    assert foretold["changed"] and writes(lab) == before
    made = run("server_parameters", args)
    assert made == foretold
    assert made["server_parameters"]["restarted"] and writes(lab) == before + 4
    again = run("server_parameters", args)
    assert not again["changed"] and writes(lab) == before + 4
    undone = run("server_parameters", {**args, "parameters": made["server_parameters"]["previous"]})
    assert undone["server_parameters"]["previous"] == made["server_parameters"]["parameters"]


def test_server_parameters_of_a_single_server(run: Run, lab: dict[str, str]) -> None:
    before = writes(lab)
    args = {**SINGLE, "parameters": {"work_mem": 8192, "max_locks_per_transaction": 128}}
    made = run("server_parameters", args)["server_parameters"]
    assert made["restart_needed"] == ["max_locks_per_transaction"] and not made["restarted"]
    assert writes(lab) == before + 1
    reset = run("server_parameters", {**args, "parameters": {"work_mem": None}})["server_parameters"]
    assert reset["parameters"] == {"work_mem": made["previous"]["work_mem"]}


def test_server_parameters_refuses_before_it_writes(run: Run, lab: dict[str, str]) -> None:
    before = writes(lab)
    parameters = {"wal_levl": "logical", "work_mem": "64MB", "array_nulls": False}
    failed = run("server_parameters", {**FLEXIBLE, "parameters": parameters})
    assert failed["failed"] and failed["invalid_parameters"] == ["wal_levl", "work_mem"]
    assert writes(lab) == before


def test_source_replication(run: Run, lab: dict[str, str]) -> None:
    args = {"resource_group": "shop-rg", "server_name": "shop-single"}
    before = writes(lab)
    refused = run("source_replication", args)
    assert refused["failed"] and refused["failure"]["code"] == "RestartNotAllowed"
    args["restart"] = True
    foretold = run("source_replication", args, check_mode=True)
    assert writes(lab) == before
    made = run("source_replication", args)
    assert made == foretold and made["changed"] and made["restarted"]
    assert made["previous"] == {"azure.replication_support": "OFF"}
    assert not run("source_replication", args)["changed"]
    off = run("source_replication", {**args, "state": "absent", "off_value": "OFF"})
    assert off["changed"] and off["source_replication"] is None
    assert writes(lab) == before + 4
