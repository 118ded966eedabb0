# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PostgreSQL's client programs: finding them, and running them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._errors import ModuleFailure
from .._postgres import Server

NEEDED = ("pg_dump", "pg_restore", "psql")
PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/pgsql*/bin",
)
# From this version on pg_restore begins with a setting that older servers do not know.
NEW_SETTING = 17
TURN = 0.1
KEPT_LINES = 200


@dataclass(frozen=True)
class Programs:
    folder: Path
    major: int

    def path(self, program: str) -> str:
        return str(self.folder / program)


def suits(major: int, source: int, target: int) -> bool:
    """Whether programs of a version can read such a source and write to such a target."""
    return major >= source and (major < NEW_SETTING or target >= major)


def choose(found: Sequence[Programs], source: int, target: int) -> Programs | None:
    """The target's own version, else the newest that suits."""
    fitting = [programs for programs in found if suits(programs.major, source, target)]
    return max(fitting, key=lambda programs: (programs.major == target, programs.major), default=None)


def find_programs(given: str | None, source: int, target: int) -> Programs:
    folders = [Path(given)] if given else _folders()
    found = [programs for programs in map(_examine, folders) if programs]
    chosen = choose(found, source, target)
    if chosen is None:
        seen = ", ".join(f"{programs.major} in {programs.folder}" for programs in found) or "none at all"
        raise ModuleFailure(
            f"The programs {', '.join(NEEDED)} of PostgreSQL {target} are needed here to copy from version {source} "
            f"to version {target}; found: {seen}.",
            code="ProgramsMissing",
            hint=f"Install postgresql-client-{target}, or name the directory of the programs in the option programs.",
        )
    return chosen


def _folders() -> list[Path]:
    places = [path for pattern in PLACES for path in sorted(Path("/").glob(pattern.lstrip("/")))]
    beside = shutil.which("pg_dump")
    return [*places, *([Path(beside).parent] if beside else [])]


def _examine(folder: Path) -> Programs | None:
    if not all((folder / program).exists() for program in NEEDED):
        return None
    try:
        said = subprocess.run([str(folder / "pg_dump"), "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r"\d+", said)
    return Programs(folder, int(version.group())) if version else None


def environment(server: Server, database: str, password_file: str | None) -> dict[str, str]:
    """libpq's variables for a server, without those of whoever runs this."""
    names = {
        "host": "PGHOST",
        "hostaddr": "PGHOSTADDR",
        "port": "PGPORT",
        "user": "PGUSER",
        "dbname": "PGDATABASE",
        "sslmode": "PGSSLMODE",
        "sslrootcert": "PGSSLROOTCERT",
        "connect_timeout": "PGCONNECT_TIMEOUT",
        "application_name": "PGAPPNAME",
    }
    values = server.arguments(database)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG") or name == "PGPASSFILE"}
    ours = {variable: str(values[name]) for name, variable in names.items() if name in values}
    if password_file:
        ours["PGPASSFILE"] = password_file
    elif server.password is not None:
        ours["PGPASSWORD"] = server.password
    return {**kept, **ours, "PGCLIENTENCODING": "UTF8", "LC_ALL": "C"}


@contextlib.contextmanager
def password_file(server: Server) -> Iterator[tuple[str | None, tuple[int, ...]]]:
    """The password in a file that has no name and no disk; (its path for the child, descriptors to pass on).

    Where the system has no such files, the child gets the password in its environment.
    """
    if server.password is None or not hasattr(os, "memfd_create"):
        yield None, ()
        return
    handle = os.memfd_create("pgpass", 0)
    try:
        os.fchmod(handle, 0o600)
        escaped = server.password.replace("\\", "\\\\").replace(":", "\\:")
        os.write(handle, f"*:*:*:*:{escaped}\n".encode())
        yield f"/proc/self/fd/{handle}", (handle,)
    finally:
        os.close(handle)


@dataclass
class Child:
    """A client program that runs, and the last of what it has said on standard error."""

    name: str
    process: subprocess.Popen[bytes]
    server: Server
    lines: list[str]
    reader: threading.Thread

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self.reader.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def failure(self, doing: str) -> ModuleFailure:
        marked = [line for line in self.lines if re.search(r"\b(error|ERROR|FATAL|DETAIL)\b", line)]
        told = " ".join(_without_values(line) for line in (marked or self.lines[-3:])[:4]) or (
            f"it ended with status {self.process.returncode}"
        )
        return ModuleFailure(
            f"Failed to {doing} on {self.server}: {self.name}: {told}",
            code=fault_code(told),
            target=self.server.option,
            hint=fault_hint(told, self.server.option),
        )


def _without_values(line: str) -> str:
    """A constraint's or conversion's detail can hold values of a row."""
    return re.sub(r"(Key \([^)]*\)=)\(.*\)", r"\1(...)", line.strip())


# What the words of a failed program mean: (pattern, code, what to do).
MEANINGS = (
    (
        r"No space left on device|disk full|could not extend file|53100",
        "DiskFull",
        "Give the target more storage, then run the same task again: it starts this database anew.",
    ),
    (
        r"invalid byte sequence|has no equivalent in encoding|22021|22P05",
        "InvalidEncoding",
        "The source holds text that is not valid in its encoding: repair the rows there, or copy into a database of "
        "encoding SQL_ASCII that you make beforehand.",
    ),
    (r"permission denied", "PermissionDenied", "Grant what is missing to the user of the option {option}.user."),
    (r"row-level security|row security", "RowSecurity", "Give the user of the option {option}.user BYPASSRLS."),
    (
        r"extension .* is not available|is not allow-listed|could not open extension control file",
        "ExtensionMissing",
        "Allow the extension on the target (azure.extensions), or name it in skip_extensions.",
    ),
    (
        r"server closed the connection|connection to server|terminating connection|could not connect|SSL SYSCALL|"
        r"connection not open|no connection to the server|could not (send|receive) data|shutting down|starting up",
        "ConnectionLost",
        "When the server answers again, run the same task again.",
    ),
)


def fault_code(text: str) -> str:
    return next((code for pattern, code, _hint in MEANINGS if re.search(pattern, text, re.IGNORECASE)), "CopyFailed")


def fault_hint(text: str, option: str) -> str | None:
    found = next((hint for pattern, _code, hint in MEANINGS if re.search(pattern, text, re.IGNORECASE)), None)
    return found.format(option=option) if found else None


def start(
    programs: Programs,
    program: str,
    arguments: Sequence[str],
    server: Server,
    database: str,
    **streams: int,
) -> Child:
    with password_file(server) as (path, handles):
        process = subprocess.Popen(
            [programs.path(program), *arguments],
            stdin=streams.get("stdin", subprocess.DEVNULL),
            stdout=streams.get("stdout", subprocess.DEVNULL),
            stderr=subprocess.PIPE,
            env=environment(server, database, path),
            pass_fds=handles,
            cwd="/",
        )
    lines: list[str] = []
    reader = threading.Thread(target=_follow, args=(process, lines), daemon=True)
    reader.start()
    return Child(program, process, server, lines, reader)


def _follow(process: subprocess.Popen[bytes], lines: list[str]) -> None:
    if process.stderr is None:
        raise AssertionError("the program runs without a pipe for its errors")
    for line in process.stderr:
        lines.append(line.decode(errors="replace").rstrip())
        del lines[:-KEPT_LINES]


def finish(children: Sequence[Child], doing: str, tick: Callable[[], None]) -> None:
    """Waits for programs that belong together; `tick` is called all along, and ends them by raising."""
    try:
        while any(child.process.poll() is None for child in children):
            _await_any(children)
            tick()
            if any(child.process.poll() not in (None, 0) for child in children):
                break
        # One that failed makes the other fail: the first with words of its own is the one to tell of.
        for child in children:
            if child.process.poll() is None:
                _await_any([child], 2)
        failed = [child for child in children if child.process.poll() != 0]
    finally:
        for child in children:
            child.end()
    if failed:
        raise max(failed, key=_blame).failure(doing)


def _await_any(children: Sequence[Child], seconds: float = TURN) -> None:
    running = next((child for child in children if child.process.poll() is None), None)
    if running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.process.wait(seconds)


def _blame(child: Child) -> tuple[bool, bool]:
    words = " ".join(child.lines)
    return bool(re.search(r"\b(ERROR|FATAL)\b", words)), bool(child.lines) and "Broken pipe" not in words


@dataclass(frozen=True)
class Entry:
    """One line of a dump's table of contents; `catalog` and `oid` say which object at the source it is."""

    line: str
    catalog: int
    oid: int
    rest: str

    def is_kind(self, *kinds: str) -> bool:
        return any(self.rest.startswith(f"{kind} ") for kind in kinds)


LINE = re.compile(r"\d+; (\d+) (\d+) (.*)")


def parse_contents(listing: str) -> list[Entry]:
    found = (LINE.match(line) for line in listing.splitlines())
    return [Entry(match.string, int(match[1]), int(match[2]), match[3]) for match in found if match]


def contents(programs: Programs, dump: Path) -> list[Entry]:
    listed = subprocess.run(
        [programs.path("pg_restore"), "-l", str(dump)], capture_output=True, check=True, cwd="/", env={"LC_ALL": "C"}
    )
    return parse_contents(listed.stdout.decode(errors="surrogateescape"))


def write_list(path: Path, entries: Sequence[Entry]) -> Path:
    path.write_bytes("".join(f"{entry.line}\n" for entry in entries).encode(errors="surrogateescape"))
    return path
