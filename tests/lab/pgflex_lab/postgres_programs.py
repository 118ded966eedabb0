# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's programs: where they are, and running them as a user who may (the server refuses root)."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class ProgramFailed(Exception):
    """A program ended with an error; the text is what it printed."""


def find_bin(configured: str = "") -> Path:
    """The directory of initdb: as configured, the newest of the distribution, pg_config's, or the one in PATH."""
    if configured:
        return Path(configured)
    packaged = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if packaged:
        return max(packaged, key=lambda path: float(path.parent.name))
    if shutil.which("pg_config"):
        bindir = Path(
            subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True).stdout.strip()
        )
        if (bindir / "initdb").exists():
            return bindir
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    raise ProgramFailed("No PostgreSQL server found: install the distribution's package or set PGFLEX_LAB_PG_BIN.")


@dataclass(frozen=True)
class ClusterUser:
    """Who runs the clusters: the lab's own user, or another one when the lab is root."""

    uid: int
    gid: int
    switched: bool

    @classmethod
    def choose(cls, preferred: str) -> ClusterUser:
        if os.getuid() != 0:
            return cls(os.getuid(), os.getgid(), switched=False)
        for name in (preferred, "postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid, switched=True)
        raise ProgramFailed("PostgreSQL does not run as root, and there is no user postgres or nobody.")

    def own(self, path: Path) -> None:
        if self.switched:
            os.chown(path, self.uid, self.gid)


class Programs:
    def __init__(self, configured_bin: str, user: ClusterUser) -> None:
        self.bin = find_bin(configured_bin)
        self.user = user
        version = subprocess.run(
            [str(self.bin / "postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout
        found = re.search(r"\d+", version)
        self.major = int(found.group()) if found else 0

    def run(self, program: str, *arguments: str, feed: str | None = None) -> str:
        """Runs a server program as the cluster user."""
        identity = {"user": self.user.uid, "group": self.user.gid, "extra_groups": []} if self.user.switched else {}
        done = subprocess.run(  # type: ignore[call-overload]
            [str(self.bin / program), *arguments],
            input=feed,
            stdin=None if feed is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean_environment(),
            cwd="/",
            check=False,
            **identity,
        )
        if done.returncode != 0:
            raise ProgramFailed(f"{program} failed: {done.stdout.strip()[-2000:]}")
        return str(done.stdout)

    def client(self, program: str, arguments: Sequence[str], secrets: Mapping[str, str]) -> subprocess.Popen[str]:
        """Starts a client program; connection settings and passwords go through libpq's environment."""
        return subprocess.Popen(
            [str(self.bin / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**clean_environment(), **secrets},
            cwd="/",
        )


def clean_environment() -> dict[str, str]:
    """Without the PG* variables of whoever started the lab."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "TZ": "UTC"}
