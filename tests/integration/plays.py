# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as users run them, against the lab: a pair of servers with a database in it, a run, what it printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from pgflex_lab.process import Running

ROOT = Path(__file__).parents[2]
PASSWORD = "Lab-Passw0rd!pair"
GROUP = "shop-rg"

SAMPLE = """
CREATE EXTENSION pgcrypto;
CREATE SCHEMA "Odd Name";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE customer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, mood mood DEFAULT 'ok',
    tags text[], data jsonb, paid numeric(12, 4), at timestamptz DEFAULT now(), bits bytea, ratio float8);
INSERT INTO customer (name, mood, tags, data, paid, bits, ratio)
    SELECT 'c' || g, 'happy', ARRAY['a', g::text], jsonb_build_object('n', g), g / 3.0, sha256(g::text::bytea), 1.0 / g
    FROM generate_series(1, 5000) g;
CREATE TABLE "Odd Name"."Order ü" (id int PRIMARY KEY, customer_id bigint REFERENCES customer, "Total" numeric);
INSERT INTO "Odd Name"."Order ü" SELECT g, g, g * 1.5 FROM generate_series(1, 3000) g;
CREATE INDEX ON "Odd Name"."Order ü" ("Total");
CREATE TABLE nokey (a int, b text);
INSERT INTO nokey SELECT g % 5, 'twice' FROM generate_series(1, 50) g;
CREATE TABLE measure (at date NOT NULL, value int) PARTITION BY RANGE (at);
CREATE TABLE measure_1 PARTITION OF measure FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE measure_2 PARTITION OF measure FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
INSERT INTO measure SELECT date '2026-01-01' + g, g FROM generate_series(0, 300) g;
CREATE UNLOGGED TABLE cache (k int PRIMARY KEY, v text);
INSERT INTO cache VALUES (1, 'kept');
CREATE MATERIALIZED VIEW totals AS SELECT mood, count(*) FROM customer GROUP BY mood;
CREATE SEQUENCE ticket START 1000;
SELECT nextval('ticket');
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := now(); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION stamp();
SELECT lo_from_bytea(0, decode(repeat('ab', 3000), 'hex'));
"""


@dataclass(frozen=True)
class Server:
    """A lab server, as its user sees it."""

    name: str
    user: str
    hostaddr: str

    def connect(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self.hostaddr, user=self.user, password=PASSWORD, dbname=database, sslmode="require", autocommit=True
        )

    def settings(self) -> dict[str, Any]:
        return {
            "resource_group": GROUP,
            "name": self.name,
            "user": self.user,
            "password": PASSWORD,
            "hostaddr": self.hostaddr,
        }


@dataclass(frozen=True)
class Pair:
    """A Single Server with the sample in the database shop, and an empty Flexible Server."""

    source: Server
    target: Server
    lab: Running

    def host(self, **more: Any) -> dict[str, Any]:
        """The dictionary pgflex of this pair; `more` is laid over it, mappings key by key, None takes a key away."""
        made: dict[str, Any] = {
            "source": self.source.settings(),
            "target": self.target.settings(),
            "databases": ["shop"],
            "mode": "online",
            "allow_source_restart": True,
            "cutover": {"trigger": "automatic", "sample_seconds": 1.2},
            "watch": {"min_interval": 0.3, "max_interval": 1, "timeout": 120},
        }
        for name, value in more.items():
            if isinstance(value, dict) and isinstance(made.get(name), dict):
                made[name] = {key: item for key, item in {**made[name], **value}.items() if item is not None}
            elif value is None:
                made.pop(name, None)
            else:
                made[name] = value
        return made


def make_pair(lab: Running, name: str) -> Pair:
    common = {
        "subscription": lab.environment()["AZURE_SUBSCRIPTION_ID"],
        "resource_group": GROUP,
        "location": "eastus",
        "admin": "pgadmin",
        "password": PASSWORD,
        "firewall_rules": {"AllowAllAzureIps": ["0.0.0.0", "0.0.0.0"]},
    }
    single = {"name": f"{name}-single", "type": "single", "sku": "GP_Gen5_4", "version": "11", "storage_mb": 102400}
    flexible = {
        "name": f"{name}-flex",
        "type": "flexible",
        "sku": "Standard_D4ds_v5",
        "version": "15",
        "storage_gb": 128,
    }
    extensions = {"azure.extensions": "pgcrypto"}
    source = lab.admin("POST", "servers", {**common, **single, "parameters": {"azure.replication_support": "OFF"}})
    target = lab.admin("POST", "servers", {**common, **flexible, "parameters": extensions})
    pair = Pair(
        Server(source["name"], f"pgadmin@{source['name']}", source["hostaddr"]),
        Server(target["name"], "pgadmin", target["hostaddr"]),
        lab,
    )
    with pair.source.connect("postgres") as connection:
        connection.execute("CREATE DATABASE shop")
    with pair.source.connect("shop") as connection:
        connection.execute(SAMPLE)
    return pair


@dataclass(frozen=True)
class Played:
    """A run of ansible-playbook that has ended."""

    code: int
    output: str

    def recap(self, host: str = "shop") -> dict[str, int]:
        (line,) = re.findall(rf"^{host} +: (.*)$", self.output, re.MULTILINE)
        return {key: int(value) for key, value in (part.split("=") for part in line.split())}


@dataclass(frozen=True)
class Player:
    """Runs playbooks with the lab's environment, from an empty directory, with an Ansible home of its own."""

    lab: Running
    folder: Path
    secrets: tuple[str, ...] = (PASSWORD, "Lab-Secret~operator")

    def environment(self, **more: str) -> dict[str, str]:
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
            **more,
        }

    def play(self, playbook: str, hosts: dict[str, Any], *options: str, **environment: str) -> Played:
        """Runs pgflex.migrate.<playbook>, or the file of that name.

        No secret may ever be in the output, nor what Ansible deprecates: its users can not do anything about it.
        """
        inventory = self.folder / "inventory.json"
        rows = {name: {"pgflex": settings} for name, settings in hosts.items()}
        inventory.write_text(json.dumps({"all": {"hosts": rows}}))
        inventory.chmod(0o600)
        name = playbook if "/" in playbook else f"pgflex.migrate.{playbook}"
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), name, *options]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=900,
        )
        for secret in self.secrets:
            assert secret not in done.stdout
        assert "DEPRECATION WARNING" not in done.stdout, done.stdout
        return Played(done.returncode, done.stdout)

    def writes(self, *, refused: bool = True) -> list[str]:
        """What was asked of Azure since the last call that is more than reading; sign-in aside, refusals included."""
        log = self.lab.home / "requests.jsonl"
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        seen = self._seen(len(rows))
        reading = ("GET", "HEAD")
        return [
            f"{row['method']} {row['path']}"
            for row in rows[seen:]
            if row["method"] not in reading
            and not row["path"].endswith("/oauth2/v2.0/token")
            and (refused or row["status"] < 400)
        ]

    def _seen(self, now: int) -> int:
        mark = self.folder / "seen"
        before = int(mark.read_text()) if mark.exists() else now
        mark.write_text(str(now))
        return before
