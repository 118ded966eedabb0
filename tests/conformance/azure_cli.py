# SPDX-License-Identifier: GPL-3.0-or-later
"""azure-cli as its users have it: in an environment of its own, signed in to a lab in one of the two ways."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance_table import tried
from pgflex_lab.process import Running

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).parent / "requirements" / "azure-cli.txt"
DRIVER = Path(__file__).parent / "az" / "driver.py"
CLIENT = "azure-cli"
INSTALL_SECONDS, COMMAND_SECONDS = 1800.0, 120.0


def pinned_version() -> str:
    match = re.search(r"^azure-cli==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)
    assert match is not None, f"{REQUIREMENTS} does not pin azure-cli"
    return match[1]


VERSION = pinned_version()


def installed() -> Path:
    """The environment of the pinned version; made when it is not there yet."""
    made = subprocess.run(
        [ROOT / "scripts" / "client_venv", f"{CLIENT}-{VERSION}", REQUIREMENTS],
        stdout=subprocess.PIPE,
        text=True,
        timeout=INSTALL_SECONDS,
        check=True,
    )
    return Path(made.stdout.strip())


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out) if self.out.strip() else None

    def __str__(self) -> str:
        return f"az {' '.join(self.arguments)}: exit {self.code}\n{self.out}\n{self.err}"


def command_of(arguments: tuple[str, ...]) -> str:
    """The words of the command: what stands before the first option."""
    options = [number for number, word in enumerate(arguments) if word.startswith("-")]
    return " ".join(arguments[: options[0]] if options else arguments)


def missing(answer: Any, fields: tuple[str, ...]) -> list[str]:
    """The fields that an answer lacks, or that the first item of a list lacks; dots lead inwards."""
    shown = answer[0] if isinstance(answer, list) and answer else answer
    lacking = []
    for field in fields:
        value = shown
        for part in field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            lacking.append(field)
    return lacking


class Az:
    """One configuration directory of az. `ok` and `refused` judge and count; the others only run."""

    def __init__(self, venv: Path, home: Path, lab: Running, *, proxied: bool) -> None:
        self._venv = venv
        self.lab = lab
        self._home = home
        self._environment = self._environ(proxied)
        self._driver: subprocess.Popen[str] | None = None

    @property
    def python(self) -> Path:
        return self._venv / "bin" / "python"

    @property
    def environment(self) -> dict[str, str]:
        """For a program that runs az itself, as this user."""
        return dict(self._environment)

    def _environ(self, proxied: bool) -> dict[str, str]:
        """Nothing of the user's. With `proxied` the CLI keeps its own endpoints, and the proxy leads to the lab."""
        trusted = self.lab.environment()
        common = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(self._home),
            "AZURE_CONFIG_DIR": str(self._home / "azure"),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CORE_SURVEY_MESSAGE": "no",
            "AZURE_CORE_NO_COLOR": "yes",
            "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
            "REQUESTS_CA_BUNDLE": trusted["REQUESTS_CA_BUNDLE"],
            "SSL_CERT_FILE": trusted["SSL_CERT_FILE"],
        }
        if proxied:
            return common | {
                "HTTP_PROXY": self.lab.proxy,
                "HTTPS_PROXY": self.lab.proxy,
                "NO_PROXY": "localhost,127.0.0.1",
            }
        return common | {"AZURE_CORE_INSTANCE_DISCOVERY": "false"}

    def process(self, *arguments: str) -> Finished:
        """`az` as its script runs it, a process for the command."""
        done = subprocess.run(
            [self.python, "-m", "azure.cli", *arguments],
            env=self._environment,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Finished(arguments, done.returncode, done.stdout, done.stderr)

    def run(self, *arguments: str) -> Finished:
        """The same code in a process that stays, which is faster."""
        if self._driver is None:
            self._driver = subprocess.Popen(
                [self.python, DRIVER],
                env=self._environment,
                cwd=self._home,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        driver = self._driver
        assert driver.stdin is not None and driver.stdout is not None
        driver.stdin.write(json.dumps(arguments) + "\n")
        driver.stdin.flush()
        ready, _write, _except = select.select([driver.stdout], [], [], COMMAND_SECONDS)
        if not ready:
            self.close()
            raise TimeoutError(f"az {' '.join(arguments)}: no answer in {COMMAND_SECONDS:g} s")
        line = driver.stdout.readline()
        assert line, f"az {' '.join(arguments)} ended its process"
        answer = json.loads(line)
        return Finished(arguments, answer["code"], answer["out"], answer["err"])

    def ok(
        self,
        *arguments: str,
        has: tuple[str, ...] = (),
        judge: Callable[[Any], None] | None = None,
        operation: str | None = None,
        runner: Callable[..., Finished] | None = None,
    ) -> Any:
        """The answer of a command that exits 0 and shows the fields in `has`; `judge` asserts more of it."""
        with tried(CLIENT, VERSION, operation or command_of(arguments)):
            done = (runner or self.run)(*arguments)
            assert done.code == 0, str(done)
            answer = done.json()
            lacking = missing(answer, has)
            assert not lacking, f"{lacking} are missing in {done}"
            if judge is not None:
                judge(answer)
        return answer

    def refused(self, *arguments: str, says: str) -> str:
        """The complaint of a command that fails and shows the service's own words, and no traceback."""
        with tried(CLIENT, VERSION, f"{command_of(arguments)}, refused"):
            done = self.run(*arguments)
            assert done.code != 0, str(done)
            assert says in done.err, f"{says!r} is missing in {done}"
            assert "Traceback" not in done.err, str(done)
        return done.err

    def sign_in(self, client_id: str, secret: str, tenant: str) -> Any:
        return self.ok(
            *("login", "--service-principal", "-u", client_id, "-p", secret, "--tenant", tenant),
            has=("cloudName", "id", "name", "state", "tenantId", "user.name", "user.type"),
            runner=self.process,
        )

    def close(self) -> None:
        if self._driver is not None:
            self._driver.kill()
            self._driver.communicate()
            self._driver = None
