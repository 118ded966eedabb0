# SPDX-License-Identifier: GPL-3.0-or-later
"""The official SDKs, each version in its own environment, call the lab and judge its answers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from conformance_table import JUDGMENTS
from pgflex_lab.process import Running

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
SECONDS = 170


def python_of(name: str) -> Path:
    requirements = HERE.parent / "requirements" / f"{name}.txt"
    made = subprocess.run(
        [ROOT / "scripts" / "client_venv", name, requirements], check=True, capture_output=True, text=True
    )
    return Path(made.stdout.strip()) / "bin" / "python"


def judgments(lab: Running, environment: str, part: str) -> list[dict[str, str | None]]:
    variables = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    variables |= lab.environment() | {
        "PYTHONPATH": str(HERE),
        "PYTHONWARNINGS": "ignore",
        "PGFLEX_CLIENT_TAG": environment.removeprefix("sdk-"),
    }
    run = subprocess.run(
        [python_of(environment), "-m", "sdk_driver", part],
        env=variables,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.mark.parametrize(
    ("environment", "part", "at_least"),
    [
        ("sdk-new", "flexible", 30),
        ("sdk-old", "flexible", 30),
        ("sdk-oldest", "flexible", 30),
        ("sdk-new", "single", 20),
        ("sdk-old", "single", 20),
        ("sdk-new", "management", 25),
        ("sdk-old", "management", 25),
        ("sdk-new", "identity", 8),
        ("sdk-old", "identity", 8),
        ("sdk-oldest", "identity", 8),
        ("sdk-new", "graph", 12),
        ("sdk-old", "graph", 12),
        ("sdk-new", "network", 35),
        ("sdk-old", "network", 35),
    ],
)
def test_every_operation_passes(lab: Running, environment: str, part: str, at_least: int) -> None:
    found = judgments(lab, environment, part)
    for row in found:
        JUDGMENTS.add(str(row["client"]), str(row["version"]), str(row["operation"]), passed=row["failure"] is None)
    failures = [f"{row['operation']}: {row['failure']}" for row in found if row["failure"]]
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)
    assert len(found) >= at_least
