# SPDX-License-Identifier: GPL-3.0-or-later
"""What awx/ says, as AWX gets it: load.yml runs against a stand-in for awx.awx that writes calls down."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
AWX = ROOT / "awx"
MODULES = ROOT.parent / "shared" / "reference" / "awx-modules.json"
ACTION = Path(__file__).with_name("stand_in.py.txt")

LOOKUP = """
import json, os
from pathlib import Path
from ansible.plugins.lookup import LookupBase

# Fields of related objects, by the options that name those.
OPTIONS = {
    "workflow_job_template__name": "workflow_job_template",
    "workflow_job_template__organization__name": "organization",
}


class LookupModule(LookupBase):
    def run(self, terms, variables=None, query_params=None, return_all=False):
        kept = Path(os.environ["STAND_IN"], "objects.json")
        rows = json.loads(kept.read_text()) if kept.exists() else {}
        wanted = {OPTIONS.get(name, name): value for name, value in query_params.items()}
        found = rows.get(terms[0].removesuffix("s"), {}).values()
        return [row for row in found if all(row[name] == value for name, value in wanted.items())]
"""


class _Loader(yaml.SafeLoader):
    """Text that Ansible is not to evaluate is text."""


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


@cache
def objects() -> dict[str, Any]:
    """All variables of awx/objects, templates unevaluated."""
    found: dict[str, Any] = {}
    for path in sorted((AWX / "objects").glob("*.yml")):
        found |= yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    return found


@cache
def settings_of_a_host() -> dict[str, Any]:
    """The argument spec of the dictionary pgflex."""
    path = ROOT / "roles" / "settings" / "meta" / "argument_specs.yml"
    options: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["check"]["options"]
    return options["pgflex"]["options"]  # type: ignore[no-any-return]


def play_variables() -> dict[str, dict[str, Any]]:
    """What roles take beside the dictionary pgflex, with its spec."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            found |= {name: spec for name, spec in (entry.get("options") or {}).items() if name != "pgflex"}
    return found


def spec_of(variable: str) -> dict[str, Any] | None:
    """The argument spec of what a survey's variable sets, None where nothing reads it."""
    if not variable.startswith("pgflex__"):
        return play_variables().get(variable)
    spec: dict[str, Any] = {"options": settings_of_a_host()}
    for key in variable.removeprefix("pgflex__").split("__"):
        inner = (spec.get("options") or {}).get(key)
        if inner is None:
            return None
        spec = inner
    return spec


@dataclass(frozen=True)
class Loaded:
    code: int
    output: str
    calls: list[dict[str, Any]]

    def of(self, module: str) -> list[dict[str, Any]]:
        return [call["args"] for call in self.calls if call["module"] == module]

    @property
    def changed(self) -> int:
        (found,) = re.findall(r"^localhost .*changed=(\d+)", self.output, re.MULTILINE)
        return int(found)


def load(folder: Path, *options: str, **environment: str) -> Loaded:
    """Runs load.yml; what the stand-in was given is in `folder`, and counts as AWX for the next run."""
    plugins = folder / "ansible_collections" / "awx" / "awx" / "plugins"
    specs = json.loads(MODULES.read_text(encoding="utf-8"))["modules"]
    for kind in ("action", "modules"):
        (plugins / kind).mkdir(parents=True, exist_ok=True)
    for name in specs:
        (plugins / "action" / f"{name}.py").write_text(ACTION.read_text(encoding="utf-8"), encoding="utf-8")
        (plugins / "modules" / f"{name}.py").write_text("", encoding="utf-8")
    (plugins / "lookup").mkdir(exist_ok=True)
    (plugins / "lookup" / "controller_api.py").write_text(LOOKUP, encoding="utf-8")
    log = folder / "calls.jsonl"
    log.unlink(missing_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AZURE_", "ANSIBLE_"))}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), str(AWX / "load.yml"), *options],
        env={
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": f"{folder}:{ROOT / '.build' / 'collections'}",
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "STAND_IN": str(folder),
            "STAND_IN_SPECS": str(MODULES),
            **environment,
        },
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return Loaded(done.returncode, done.stdout, [json.loads(line) for line in lines])
