# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them: ansible-runner in a private data directory that AWX's own task would have written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_runner import run
from jinja2.sandbox import ImmutableSandboxedEnvironment
from plays import ROOT, Player

AWX = ROOT / "awx"


class _Loader(yaml.SafeLoader):
    pass


class _Unsafe(str):
    """Text that AWX marks in a job's extra variables, so that Ansible never evaluates it."""


class _Dumper(yaml.SafeDumper):
    pass


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text)))


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    return _Unsafe(value) if isinstance(value, str) else value


def injected(inputs: dict[str, str]) -> dict[str, Any]:
    """The extra variables that the credential type makes of a credential; an input that is not filled in is empty."""
    kind = yaml.load((AWX / "objects" / "credential_type.yml").read_text(), Loader=_Loader)["awx_credential_type"]
    environment = ImmutableSandboxedEnvironment()

    def render(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: render(item) for key, item in node.items()}
        return environment.from_string(node).render(inputs)

    return {key: render(item) for key, item in kind["injectors"]["extra_vars"].items()}


def synced(player: Player, source: Path) -> dict[str, Any]:
    """What a sync of the inventory stores: ansible-inventory's export, with every host's variables."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(source), "--list", "--export"],
        env=player.environment(ANSIBLE_INVENTORY_UNPARSED_FAILED="True"),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def hosts_only(hosts: dict[str, Any]) -> dict[str, Any]:
    """An inventory whose hosts somebody typed into AWX."""
    return {
        "all": {"hosts": list(hosts), "children": [], "vars": {}},
        "_meta": {"hostvars": {name: {"pgflex": settings} for name, settings in hosts.items()}},
    }


@dataclass(frozen=True)
class Job:
    """A job that has ended."""

    folder: Path
    status: str
    code: int
    output: str

    def events(self) -> list[dict[str, Any]]:
        paths = sorted(
            (self.folder / "artifacts").glob("*/job_events/*.json"), key=lambda path: int(path.name.split("-")[0])
        )
        return [json.loads(path.read_text()) for path in paths if "-partial" not in path.name]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [event["event_data"] for event in self.events() if event["event"] == kind]

    def recap(self, what: str) -> int:
        (stats,) = self.of_kind("playbook_on_stats")
        return sum(stats[what].values())

    def text_of_artifacts(self) -> Iterator[tuple[Path, str]]:
        for path in (self.folder / "artifacts").rglob("*"):
            if path.is_file():
                yield path, path.read_text(errors="replace")


@dataclass
class Awx:
    """Runs job templates of awx/objects in the lab; `credential` is what its fields were filled in with."""

    player: Player
    credential: dict[str, str]
    secrets: tuple[str, ...]
    jobs: int = 0

    def launch(self, playbook: str, inventory: dict[str, Any], *, check: bool = False, **answers: Any) -> Job:
        self.jobs += 1
        folder = self.player.folder / f"job-{self.jobs}"
        arguments = ["-e", f"@{folder / 'env' / 'credential'}", *(["--check"] if check else [])]
        self._write(folder, playbook, inventory, answers)
        ran = run(
            private_data_dir=str(folder),
            ident=str(self.jobs),
            playbook="awx/run.yml",
            inventory=str(folder / "inventory" / "hosts"),
            cmdline=" ".join(arguments),
            envvars=self._environment(folder),
            suppress_env_files=True,
            fact_cache_type="",
            quiet=True,
        )
        output = (folder / "artifacts" / str(self.jobs) / "stdout").read_text()
        job = Job(folder, ran.status, ran.rc, output)
        self._look_for_secrets(job)
        return job

    def _write(self, folder: Path, playbook: str, inventory: dict[str, Any], answers: dict[str, Any]) -> None:
        for name in ("inventory", "env"):
            (folder / name).mkdir(parents=True)
        # AWX copies the project; the playbooks themselves come from the collection in the execution environment.
        shutil.copytree(AWX, folder / "project" / "awx")
        script = folder / "inventory" / "hosts"
        for number, variables in enumerate(inventory["_meta"]["hostvars"].values()):
            variables |= {"remote_tower_enabled": "true", "remote_tower_id": number}
        script.write_text(f"#! {sys.executable}\n# -*- coding: utf-8 -*-\nprint({json.dumps(inventory)!r})\n")
        script.chmod(0o700)
        extra = {
            "pgflex_playbook": playbook,
            "pgflex_hosts": "all:!unpaired",
            "awx_job_id": _Unsafe(self.jobs),
            "awx_job_launch_type": _Unsafe("manual"),
            **_marked(answers),
        }
        for name, content in (("extravars", extra), ("credential", _marked(injected(self.credential)))):
            path = folder / "env" / name
            path.write_text(yaml.dump(content, Dumper=_Dumper))
            path.chmod(0o600)

    def _environment(self, folder: Path) -> dict[str, str]:
        """What AWX sets; of the lab's sign-in only where the cloud is, the rest is in the credential."""
        mine = self.player.environment()
        signs_in = ("AZURE_CLIENT_ID", "AZURE_SECRET", "AZURE_TENANT", "AZURE_SUBSCRIPTION_ID", "AZURE_CLIENT_SECRET")
        return {
            **{key: value for key, value in mine.items() if key not in signs_in},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{mine['PATH']}",
            "ANSIBLE_FORCE_COLOR": "True",
            "ANSIBLE_NOCOLOR": "",
            "ANSIBLE_HOST_KEY_CHECKING": "False",
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
            "AWX_PRIVATE_DATA_DIR": str(folder),
            "JOB_ID": str(self.jobs),
            "INVENTORY_ID": "1",
            "MAX_EVENT_RES": "700000",
        }

    def _look_for_secrets(self, job: Job) -> None:
        for path, text in job.text_of_artifacts():
            for secret in self.secrets:
                assert secret not in text, path
