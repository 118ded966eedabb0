# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a playbook for an inventory of one's own in the lab: servers of the same names, sample data, nothing left."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import yaml

from loader import SMALLEST_MEGABYTES, load
from pgflex_lab.clusters import ClusterError
from pgflex_lab.process import LabFailed, Running
from pgflex_lab.testing import running_lab
from rehearsal_plan import CannotRehearse, Plan, lead, make

REPOSITORY = Path(__file__).resolve().parent.parent
COLLECTION = "pgflex.migrate."
PLAYBOOK = f"{COLLECTION}migrate"
CUTOVER = f"{COLLECTION}cutover"
SECONDS_TO_READ = 120
FOREIGN = ("AZURE_", "ANSIBLE_AZURE_", "PG", "SSL_CERT", "REQUESTS_CA", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
ASKED = {"pgflex": "{{ pgflex | default({}) }}", "azure": "{{ pgflex_azure | default({}) }}"}
FAILURES = (CannotRehearse, LabFailed, ClusterError, psycopg.Error, OSError, subprocess.SubprocessError, ValueError)


def read(inventory: Path) -> dict[str, dict[str, Any]]:
    """What Ansible makes of the inventory: group variables, templates and vaults included. Nothing is written."""
    if not inventory.exists():
        raise CannotRehearse(f"there is no inventory {inventory}")
    # With one fork the answers come in the inventory's order, which decides whose server another host's clashes with.
    command = [_program("ansible"), "all", "-i", str(inventory), "-f", "1", "-m", "ansible.builtin.debug"]
    environment = {name: value for name, value in os.environ.items() if name not in ("ANSIBLE_LOG_PATH",)}
    environment |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_DEPRECATION_WARNINGS": "0", "ANSIBLE_STDOUT_CALLBACK": "minimal"}
    done = subprocess.run(
        [*command, "-c", "local", "-a", json.dumps({"msg": ASKED})],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_TO_READ,
    )
    found = dict(_hosts(done.stdout))
    if not found:
        raise CannotRehearse(f"{inventory} has no hosts. {done.stderr.strip()}".strip())
    return found


def _hosts(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = json.JSONDecoder()
    while " => {" in text:
        head, _separator, rest = text.partition(" => ")
        answer, end = reader.raw_decode(rest)
        host, _bar, result = head.strip().splitlines()[-1].partition(" | ")
        if not result.startswith("SUCCESS"):
            raise CannotRehearse(f"host {host}: {answer.get('msg')}")
        yield host, answer["msg"]
        text = rest[end:]


def _check(playbooks: Sequence[str]) -> None:
    """Before the lab is made: a playbook that is not there would be told minutes later."""
    for name in playbooks:
        ours = REPOSITORY / "playbooks" / f"{name.removeprefix(COLLECTION)}.yml"
        foreign = re.fullmatch(r"\w+\.\w+\.\w+", name) and not name.startswith(COLLECTION)
        if not (foreign or Path(name).is_file() or (name.startswith(COLLECTION) and ours.is_file())):
            raise CannotRehearse(f"there is no playbook {name}; PLAYBOOK takes names such as {PLAYBOOK}, and files")


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


class Rehearsal:
    def __init__(self, plan: Plan, inventory: Path, home: Path, lab: Running) -> None:
        self._plan = plan
        self._inventory = inventory
        self._home = home
        self._lab = lab
        self._addresses: dict[str, dict[str, Any]] = {}

    def prepare(self, megabytes: int) -> None:
        for key, server in self._plan.servers.items():
            self._addresses[key] = self._lab.admin("POST", "servers", server.seed())
        loaded: set[tuple[str, str]] = set()
        for host, settings in self._plan.hosts.items():
            key = self._plan.sides[host]["source"]
            for database in settings["databases"]:
                if (key, database) not in loaded:
                    loaded.add((key, database))
                    load(self._connection(key), database, megabytes)
            names = ", ".join(settings["databases"])
            print(f"{host}: {self._name(host, 'source')} with {names} to {self._name(host, 'target')}", flush=True)
        self._write()

    def _name(self, host: str, side: str) -> str:
        server = self._plan.servers[self._plan.sides[host][side]]
        return server.host or server.name

    def _connection(self, key: str) -> dict[str, Any]:
        server, found = self._plan.servers[key], self._addresses[key]
        user = f"{server.admin}@{server.name}" if server.kind == "single" else server.admin
        return {"hostaddr": found["hostaddr"], "user": user, "password": server.password, "sslmode": "require"}

    def _write(self) -> None:
        """Variables of hosts in files of their own win over everything that an inventory says about them."""
        addresses = {key: str(found["hostaddr"]) for key, found in self._addresses.items()}
        laid = lead(self._plan, addresses, str(self._lab.facts["ca"]))
        folder = self._home / "laid_over" / "host_vars"
        folder.mkdir(parents=True)
        (folder.parent / "hosts.json").write_text(json.dumps({"all": {"hosts": {host: {} for host in laid}}}))
        for host, variables in laid.items():
            (folder / f"{host}.json").write_text(json.dumps(variables))

    def play(self, playbook: str) -> int:
        """Runs it for the hosts that were rehearsed; what it says is shown without any of the secrets."""
        command = ["setpriv", "--pdeathsig", "INT", _program("ansible-playbook"), playbook]
        command += ["-i", str(self._inventory), "-i", str(self._home / "laid_over" / "hosts.json")]
        command += ["--limit", ",".join(self._plan.hosts)]
        playing = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            for line in playing.stdout or []:
                print(self._hidden(line), end="", flush=True)
            return playing.wait()
        finally:
            if playing.poll() is None:
                playing.send_signal(signal.SIGINT)
                playing.wait()

    def _hidden(self, line: str) -> str:
        for secret in self._plan.secrets:
            line = line.replace(secret, "********")
        return line

    def _environment(self) -> dict[str, str]:
        """The lab's instead of the user's own Azure, and nothing of the user's sign-in."""
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(FOREIGN)}
        kept.pop("ANSIBLE_LOG_PATH", None)
        return {
            **kept,
            **self._lab.environment(),
            **self._plan.environment,
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".build" / "collections"),
            "ANSIBLE_HOME": str(self._home / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "HOME": str(self._home),
            "NO_PROXY": "localhost,127.0.0.1",
        }

    def arrived(self) -> dict[str, list[str]]:
        """By host, its databases that have the sample's rows in the target."""
        found: dict[str, list[str]] = {}
        for host, settings in self._plan.hosts.items():
            source, target = (self._connection(self._plan.sides[host][side]) for side in ("source", "target"))
            found[host] = [name for name in settings["databases"] if 0 < _orders(target, name) == _orders(source, name)]
        return found


def _orders(server: Mapping[str, Any], database: str) -> int:
    try:
        with psycopg.connect(**{**server, "dbname": database}) as connection:
            row = connection.execute("SELECT count(*) FROM sales.orders").fetchone()
            return int(row[0]) if row else 0
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return 0


def report(plan: Plan, codes: Mapping[str, int], arrived: Mapping[str, Sequence[str]]) -> bool:
    print("\nRehearsal")
    for note in plan.notes:
        print(f"  note: {note}")
    for playbook, code in codes.items():
        print(f"  {playbook}: {'succeeded' if code == 0 else f'failed with exit code {code}'}")
    for host, settings in plan.hosts.items():
        missing = [name for name in settings["databases"] if name not in arrived[host]]
        print(f"  {host}: {'all databases arrived' if not missing else 'not in the target: ' + ', '.join(missing)}")
    return not any(codes.values())


@contextmanager
def workplace() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="pgflex-rehearsal-", dir="/var/tmp"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def rehearse(inventory: Path, playbooks: Sequence[str], megabytes: int) -> bool:
    _check(playbooks)
    plan = make(read(inventory))
    chosen = list(playbooks) or ([PLAYBOOK, CUTOVER] if plan.manual else [PLAYBOOK])
    print(f"A lab with {len(plan.servers)} servers, {megabytes} MB in each database", flush=True)
    with workplace() as home:
        seed = home / "seed.yml"
        seed.touch(mode=0o600)
        seed.write_text(yaml.safe_dump(plan.seed()))
        with running_lab(str(seed)) as lab:
            rehearsal = Rehearsal(plan, inventory.absolute(), home, lab)
            rehearsal.prepare(megabytes)
            codes: dict[str, int] = {}
            for playbook in chosen:
                codes[playbook] = rehearsal.play(playbook)
                if codes[playbook]:
                    break
            succeeded = report(plan, codes, rehearsal.arrived())
            log = lab.requests()
            print(f"  {len(log)} requests to the lab's Azure")
    print("  the lab and its servers have ended")
    return succeeded


def interrupted(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inventory", type=Path, help="whatever ansible-playbook takes after -i")
    parser.add_argument(
        "playbooks", nargs="*", help=f"by name or file; left out, {PLAYBOOK}, and the cutover if manual"
    )
    parser.add_argument("--size", type=int, default=SMALLEST_MEGABYTES, metavar="MB", help="of each sample database")
    options = parser.parse_args()
    if options.size < SMALLEST_MEGABYTES:
        parser.error(f"--size (SIZE of make): the sample has at least {SMALLEST_MEGABYTES} MB")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        return 0 if rehearse(options.inventory, options.playbooks, options.size) else 1
    except KeyboardInterrupt:
        print("\nInterrupted; nothing keeps running", file=sys.stderr)
        return 130
    except FAILURES as error:
        print(f"rehearse: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
