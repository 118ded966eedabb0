# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab with as many migrations as are wanted, and the two ways to make them.

Every migration has a source server and a target server of its own in the lab's Azure; behind all sources is one
PostgreSQL cluster, and behind all targets another. With data, each migration moves a small database of its own.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from fleet_meter import Asked, RequestLog, Used, measured
from psycopg import sql

from azure_cli import Az, installed
from pgflex_lab.process import Running

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "Lab-Passw0rd!bench"
GROUP = "shop-rg"
SOURCE, TARGET = "bench-source", "bench-target"
SECONDS_A_REQUEST = 0.1
INTERVAL = 5
CONNECTIONS = "600"
SMALL = """
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, paid numeric(12, 4));
INSERT INTO customer SELECT g, 'c' || g, g / 3.0 FROM generate_series(1, 200) g;
CREATE TABLE "order" (id int PRIMARY KEY, customer_id int REFERENCES customer, total numeric);
INSERT INTO "order" SELECT g, g, g * 1.5 FROM generate_series(1, 100) g;
"""


def profiled(file: Path) -> dict[str, str]:
    """What makes ansible-playbook write the CPU of each of its tasks into a file."""
    callbacks = Path(__file__).parent / "callbacks"
    return {
        "ANSIBLE_CALLBACK_PLUGINS": str(callbacks),
        "ANSIBLE_CALLBACKS_ENABLED": "task_cpu",
        "TASK_CPU": str(file),
    }


class FleetError(Exception):
    """A run that did not end well; its last lines."""


@dataclass(frozen=True)
class Run:
    used: Used
    asked: Asked


@dataclass(frozen=True)
class Fleet:
    """Some migrations that are still to be made; `data` says whether anything is copied."""

    prefix: str
    count: int
    data: bool

    @property
    def names(self) -> list[str]:
        return [f"{self.prefix}{number:04}" for number in range(self.count)]

    def database(self, name: str) -> str:
        return name if self.data else "small"

    @property
    def option(self) -> str:
        return "ValidateAndMigrate" if self.data else "Validate"


class World:
    def __init__(self, lab: Running, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.log = RequestLog(lab.home / "requests.jsonl")
        self._az: Az | None = None
        common = {"admin": "pgadmin", "password": PASSWORD, **self._anywhere(), "resource_group": GROUP}
        more = {"parameters": {"max_connections": CONNECTIONS}}
        made = [
            lab.admin("POST", "servers", {**common, **more, "name": name, "type": kind})
            for name, kind in ((SOURCE, "single"), (TARGET, "flexible"))
        ]
        self.addresses = {server["name"]: server["hostaddr"] for server in made}
        with self._connect(SOURCE, "postgres") as connection:
            connection.execute("CREATE DATABASE small")
        with self._connect(SOURCE, "small") as connection:
            connection.execute(SMALL)

    def _anywhere(self) -> dict[str, Any]:
        return {
            "subscription": self.lab.environment()["AZURE_SUBSCRIPTION_ID"],
            "firewall_rules": {"AllowAllAzureIps": ["0.0.0.0", "0.0.0.0"]},
        }

    def _connect(self, server: str, database: str) -> psycopg.Connection[Any]:
        place = self.addresses[server]
        return psycopg.connect(host=place, user="pgadmin", password=PASSWORD, dbname=database, autocommit=True)

    def prepare(self, fleet: Fleet) -> None:
        self.lab.admin("DELETE", "faults")
        common = {"admin": "pgadmin", "password": PASSWORD, **self._anywhere(), "resource_group": GROUP}
        servers = [
            {**common, "name": f"{name}-{end}", "type": kind, "cluster": owner}
            for name in fleet.names
            for end, kind, owner in (("single", "single", SOURCE), ("flex", "flexible", TARGET))
        ]
        self.lab.admin("POST", "networks", {"servers": servers})
        if fleet.data:
            with self._connect(SOURCE, "postgres") as connection:
                for name in fleet.names:
                    identifier = sql.Identifier(fleet.database(name))
                    connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE small").format(identifier))
        self.lab.plan_faults({"kind": "slow", "seconds": SECONDS_A_REQUEST, "times": 0})
        self.log.since_last()

    def inventory(self, fleet: Fleet) -> Path:
        hosts = {name: {"pgflex": self._settings(fleet, name)} for name in fleet.names}
        file = self.folder / f"{fleet.prefix}.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({"all": {"hosts": hosts}}))
        return file

    def _settings(self, fleet: Fleet, name: str) -> dict[str, Any]:
        user = {"resource_group": GROUP, "user": "pgadmin", "password": PASSWORD}
        return {
            "source": {**user, "name": f"{name}-single", "hostaddr": self.addresses[SOURCE]},
            "target": {**user, "name": f"{name}-flex", "hostaddr": self.addresses[TARGET]},
            "databases": [fleet.database(name)],
            "option": fleet.option,
            "watch": {"min_interval": INTERVAL},
        }

    def playbook(self, fleet: Fleet, name: str, *options: str, profile: Path | None = None) -> Run:
        """A playbook of the collection as its users run it, output to a file."""
        self.prepare(fleet)
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", self.inventory(fleet)]
        command += [f"pgflex.migrate.{name}", *options]
        used = measured(command, self._environment() | (profiled(profile) if profile else {}), self.folder)
        if used.code:
            raise FleetError(used.output[-3000:])
        return Run(used, self.log.since_last())

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AZURE_", "ANSIBLE_", "PG"))}
        return {
            **kept,
            **self.lab.environment(),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.folder),
        }

    def az(self) -> Az:
        """Signed in before anything is counted."""
        if self._az is None:
            home = self.folder / "az"
            home.mkdir()
            self._az = Az(installed(), home, self.lab, proxied=True)
            environment = self.lab.environment()
            credentials = (environment[name] for name in ("AZURE_CLIENT_ID", "AZURE_SECRET", "AZURE_TENANT"))
            self._az.sign_in(*credentials)
        return self._az

    def shell_script(self, fleet: Fleet) -> tuple[Run, Run]:
        """The same with az: making the migrations, and waiting for them."""
        az = self.az()
        self.prepare(fleet)
        environment = {**az.environment, "AZ_PYTHON": str(az.python)}
        rows = self.folder / f"{fleet.prefix}.rows"
        rows.write_text("".join(f"{' '.join(self._row(fleet, name))}\n" for name in fleet.names))
        runs = []
        for phase in ("make", "wait"):
            script = [ROOT / "tests" / "bench" / "fleet_az", phase, rows, str(INTERVAL)]
            used = measured(script, environment, self.folder)
            if used.code:
                raise FleetError(used.output[-3000:])
            runs.append(Run(used, self.log.since_last()))
        return runs[0], runs[1]

    def _row(self, fleet: Fleet, name: str) -> tuple[str, ...]:
        subscription = self.lab.environment()["AZURE_SUBSCRIPTION_ID"]
        source = (
            f"/subscriptions/{subscription}/resourceGroups/{GROUP}"
            f"/providers/Microsoft.DBforPostgreSQL/servers/{name}-single"
        )
        body = self.folder / f"{name}.json"
        body.touch(mode=0o600)
        credentials = {"sourceServerPassword": PASSWORD, "targetServerPassword": PASSWORD}
        properties = {
            "sourceDbServerResourceId": source,
            "secretParameters": {
                "adminCredentials": credentials,
                "sourceServerUserName": "pgadmin",
                "targetServerUserName": "pgadmin",
            },
            "dbsToMigrate": [fleet.database(name)],
            "overwriteDbsInTarget": "true",
        }
        body.write_text(json.dumps({"properties": properties}))
        return source, GROUP, f"{name}-flex", f"{name}-1", fleet.option, str(body)
