# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_dump and pg_restore: dumps, their tables of contents, and runs that a cancel ends."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.conninfo import make_conninfo

from pgflex_lab.migrations.model import MigrationFailure
from pgflex_lab.postgres_programs import Programs

if TYPE_CHECKING:
    from pgflex_lab.migrations.job import Job

KINDS = (
    *("ACL", "AGGREGATE", "BLOB", "BLOBS", "CAST", "CHECK CONSTRAINT", "COLLATION", "COMMENT", "CONSTRAINT"),
    *("CONVERSION", "DATABASE", "DEFAULT ACL", "DEFAULT", "DOMAIN", "EVENT TRIGGER", "EXTENSION", "FK CONSTRAINT"),
    *("FOREIGN DATA WRAPPER", "FOREIGN TABLE", "FUNCTION", "INDEX ATTACH", "INDEX", "LANGUAGE"),
    *("MATERIALIZED VIEW DATA", "MATERIALIZED VIEW", "OPERATOR CLASS", "OPERATOR FAMILY", "OPERATOR", "POLICY"),
    *("PROCEDURE", "PUBLICATION TABLE", "PUBLICATION", "ROW SECURITY", "RULE", "SCHEMA", "SECURITY LABEL"),
    *("SEQUENCE OWNED BY", "SEQUENCE SET", "SEQUENCE", "SERVER", "SHELL TYPE", "STATISTICS", "SUBSCRIPTION"),
    *("TABLE ATTACH", "TABLE DATA", "TABLE", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TRANSFORM"),
    *("TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE", "TRIGGER", "TYPE", "USER MAPPING", "VIEW"),
)
# The longest first: "TABLE DATA" also begins with "TABLE".
_BY_LENGTH = sorted(KINDS, key=len, reverse=True)
FLAGS = ("--no-publications", "--no-subscriptions", "--no-tablespaces", "--no-security-labels")


@dataclass(frozen=True)
class Entry:
    """One line of a dump's table of contents."""

    line: str
    kind: str
    rest: str
    """Schema, name and owner, separated by blanks; names with blanks are not quoted there."""


def table_of_contents(programs: Programs, dump: Path) -> list[Entry]:
    listing = subprocess.run(
        [str(programs.bin / "pg_restore"), "-l", str(dump)], capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    found = []
    for line in listing.splitlines():
        if line.startswith(";") or not line.strip():
            continue
        described = line.split(" ", 3)[3]
        kind = next((item for item in _BY_LENGTH if described.startswith(item + " ")), described.split(" ", 1)[0])
        found.append(Entry(line, kind, described[len(kind) + 1 :]))
    return found


def write_list(path: Path, entries: Iterable[Entry]) -> Path:
    path.write_text("".join(f"{entry.line}\n" for entry in entries))
    return path


def run(
    job: Job,
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Runs to the end, or ends it when the database's migration is canceled."""
    process = job.programs.client(program, arguments, environment)
    lines: list[str] = []

    def follow() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line.rstrip())
            del lines[:-200]
            if on_line:
                on_line(line)

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    try:
        while process.poll() is None:
            job.pause(0.05)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        reader.join()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
    if process.returncode != 0:
        errors = [line for line in lines if "error:" in line or "ERROR" in line or "DETAIL" in line] or lines[-3:]
        raise MigrationFailure(f"603700: {program} failed for database {job.name}: {' '.join(errors[:4])}")


def database_argument(dbname: str) -> str:
    """A name with a = in it would be taken for a connection string, so it always is one."""
    return make_conninfo("", dbname=dbname)
