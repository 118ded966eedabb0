# SPDX-License-Identifier: GPL-3.0-or-later
"""Two plain PostgreSQL servers: what the demo brings along is tested without the lab and without Ansible."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import psycopg

ADMIN = "shopadmin"
PASSWORD = "only-here"


def programs() -> Path | None:
    """Where initdb is: the newest of the distribution, else the one on the path."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = str(packaged[-1]) if packaged else shutil.which("initdb")
    return Path(found).parent if found else None


class Server:
    def __init__(self, bin_dir: Path, home: Path, port: int) -> None:
        self.bin_dir, self.data, self.port = bin_dir, home / f"data{port}", port
        self.admin: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "user": ADMIN,
            "password": PASSWORD,
        }

    def start(self) -> None:
        self._run(
            "initdb", "-D", str(self.data), *["-U", "service", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
        )
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.data} -c fsync=off -c wal_level=logical"
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.data / "log"), "-w", "-o", options, "start")
        with psycopg.connect(host="127.0.0.1", port=self.port, user="service", dbname="postgres") as connection:
            connection.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEDB CREATEROLE PASSWORD '{PASSWORD}'")
            connection.execute(f"GRANT pg_signal_backend TO {ADMIN}")

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def restart(self) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.data / "log"), "-m", "fast", "-w", "restart")

    def _run(self, program: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root.
        user = "postgres" if os.getuid() == 0 else None
        subprocess.run(
            [self.bin_dir / program, *arguments],
            check=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=self.data.parent,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
