# SPDX-License-Identifier: GPL-3.0-or-later
"""One throw-away cluster: loopback, no TLS, no fsync, run by a user who is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from .programs import installed

HOST = "127.0.0.1"
SUPERUSER = "postgres"
USER = "mover"
PASSWORD = "Only-here-4711"
SECONDS = 60

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "logical",
    "max_wal_senders": "12",
    "max_replication_slots": "12",
    "max_worker_processes": "16",
    "max_logical_replication_workers": "8",
    "wal_retrieve_retry_interval": "500ms",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
}


class Home:
    """Where clusters live: a directory outside the work tree, whose path the servers' user may walk."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="pgflex-versions-", dir="/var/tmp"))
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        self.own(self.path)

    def own(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def run(self, program: Path, *arguments: str) -> None:
        identity: dict[str, Any] = (
            {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        )
        # A file and not a pipe: the server keeps what it inherits open for as long as it runs.
        with tempfile.TemporaryFile(mode="w+") as output:
            done = subprocess.run(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                cwd=self.path,
                timeout=SECONDS,
                check=False,
                **identity,
            )
            output.seek(0)
            if done.returncode != 0:
                raise RuntimeError(f"{program.name} ended with {done.returncode}: {output.read()[-2000:]}")

    def programs(self, major: int) -> Path:
        """The programs as the servers' user can reach them: a copy when the work tree is closed to that user."""
        found = installed(major)
        try:
            self.run(found / "postgres", "--version")
        except PermissionError:
            copy = self.path / f"programs-{major}"
            if not copy.exists():
                shutil.copytree(found.parent, copy, symlinks=True)
            return copy / "bin"
        return found

    def template(self, major: int) -> Path:
        """A data directory as initdb makes it; copying one takes a tenth of the time."""
        data = self.path / f"template-{major}"
        if not data.exists():
            password = self.path / "password"
            password.write_text(PASSWORD)
            self.own(password)
            self.run(
                self.programs(major) / "initdb",
                *("-D", str(data), "-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password}"),
                *("-E", "UTF8", "--locale=C.UTF-8", "-N"),
            )
        return data

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class Cluster:
    def __init__(self, home: Home, major: int, name: str, settings: Mapping[str, str]) -> None:
        self.home, self.major, self.name = home, major, name
        self.bin = home.programs(major)
        self.data = home.path / f"{name}-{major}"
        self.port = _free_port()
        self.host = HOST
        shutil.copytree(home.template(major), self.data, symlinks=True)
        for path in (self.data, *self.data.rglob("*")):
            home.own(path)
        self.data.chmod(0o700)
        self.configure({**SETTINGS, "port": str(self.port), **settings})

    def __str__(self) -> str:
        return f"PostgreSQL {self.major}"

    def configure(self, settings: Mapping[str, str]) -> None:
        """Adds to the configuration; takes effect at the next start."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def create(self) -> None:
        """The first start, and the user whom a migration would be given."""
        self.start()
        with self.connect() as connection:
            connection.execute(f"CREATE ROLE {USER} LOGIN CREATEDB CREATEROLE REPLICATION PASSWORD '{PASSWORD}'")
            connection.execute(f"GRANT pg_signal_backend, pg_read_all_settings, pg_read_all_stats TO {USER}")

    @property
    def pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split()[0])
        except FileNotFoundError:
            return None

    def start(self) -> None:
        self._control("start", "-l", str(self.data / "log"))

    def stop(self, mode: str = "fast") -> None:
        if self.pid is not None:
            self._control("stop", "-m", mode)

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """As a crash: no checkpoint, nothing said to the clients."""
        self.stop("immediate")

    def log(self) -> str:
        return (self.data / "log").read_text(errors="replace")

    def connect(self, dbname: str = "postgres", user: str = SUPERUSER) -> psycopg.Connection[tuple[Any, ...]]:
        """Commits every statement."""
        return psycopg.connect(**self.arguments(user), dbname=dbname, autocommit=True, connect_timeout=10)

    def arguments(self, user: str = SUPERUSER) -> dict[str, Any]:
        return {"host": self.host, "port": self.port, "user": user, "password": PASSWORD, "sslmode": "disable"}

    def options(self, user: str = USER) -> dict[str, Any]:
        """As the options `source` and `target` of modules want it."""
        return {**self.arguments(user), "hostaddr": self.host}

    def recreate_database(self, name: str, owner: str = USER, more: str = "") -> None:
        with self.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                (name,),
            )
            connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
            connection.execute(f'CREATE DATABASE "{name}" OWNER "{owner}" {more}')

    def _control(self, verb: str, *options: str) -> None:
        try:
            self.home.run(self.bin / "pg_ctl", verb, "-D", str(self.data), "-w", "-s", *options)
        except RuntimeError as error:
            log = self.log()[-2000:] if (self.data / "log").exists() else ""
            raise RuntimeError(f"{self}: {error} {log}") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
