# SPDX-License-Identifier: GPL-3.0-or-later
"""What both ways of copying share: making the target database, its extensions, and restoring parts of a dump."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from psycopg import sql

from pgflex_lab.migrations.job import Job
from pgflex_lab.migrations.programs import FLAGS, Entry, database_argument, run, write_list

LEAF_TABLES = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""


def prepare_database(job: Job) -> None:
    """An empty database like the source's, owned by the target user, with the source's extensions."""
    with job.source.service(job.name) as source:
        version = source.info.server_version
        locale = "datlocale" if version >= 170000 else "daticulocale"
        provider_columns = f"datlocprovider::text, {locale}" if version >= 150000 else "'c', NULL"
        row = source.execute(
            f"SELECT pg_encoding_to_char(encoding), datcollate, datctype, {provider_columns}"
            " FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        tables = source.execute(LEAF_TABLES).fetchone()
    assert row is not None and tables is not None
    encoding, collate, ctype, provider, icu = row
    job.measured(fullLoadQueuedTables=tables[0])
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
        sql.Identifier(job.name),
        sql.Identifier(job.owner),
        sql.Literal(encoding),
        sql.Literal(collate),
        sql.Literal(ctype),
    )
    if provider == "i":
        statement += sql.SQL(" LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(icu))
    with job.target.service("template1") as target, job.interruptible(target):
        target.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(job.name)))
        target.execute(statement)
    _extensions(job)


def _extensions(job: Job) -> None:
    """Only the platform may create most of them, so the dump's own statements are left out."""
    with job.source.service(job.name) as source:
        rows = source.execute(
            "SELECT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
            " WHERE e.extname <> 'plpgsql' ORDER BY e.oid"
        ).fetchall()
    with job.target.service(job.name) as target:
        for extension, schema in rows:
            if not schema.startswith("pg_"):
                create = sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}")
                target.execute(create.format(sql.Identifier(schema), sql.Identifier(job.owner)))
            target.execute(
                sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} CASCADE").format(
                    sql.Identifier(extension), sql.Identifier(schema)
                )
            )
    job.notes["schemas"] = {schema for _database, schema in rows} | {"public"}


def wanted(job: Job, entries: Iterable[Entry]) -> list[Entry]:
    """Without what exists already and what only a superuser may create."""
    made = {f"- {schema} " for schema in job.notes["schemas"]}
    return [
        entry
        for entry in entries
        if entry.kind not in ("EXTENSION", "EVENT TRIGGER", "PUBLICATION", "PUBLICATION TABLE", "SUBSCRIPTION")
        and not (entry.kind == "COMMENT" and entry.rest.startswith("- EXTENSION "))
        and not (entry.kind == "SCHEMA" and any(entry.rest.startswith(item) for item in made))
    ]


def dump(job: Job, path: Path, *options: str) -> Path:
    arguments = ["-Z0", *FLAGS, *options, "-f", str(path), "-d", database_argument(job.name)]
    run(job, "pg_dump", arguments, job.source.environment())
    return path


def restore(job: Job, path: Path, entries: list[Entry], on_line: Callable[[str], None] | None = None) -> None:
    """As the target user, who then owns everything; or with the source's owners and grants where roles move too."""
    if not entries:
        return
    chosen = write_list(path.with_name(path.name + ".list"), entries)
    with_roles = bool(job.migration.order.migrate_roles)
    owners = [] if with_roles else ["--no-owner", "--no-privileges"]
    environment = job.target.service_environment() if with_roles else job.target.environment()
    arguments = [
        "-v",
        "-j2",
        "--exit-on-error",
        *owners,
        "-L",
        str(chosen),
        "-d",
        database_argument(job.name),
        str(path),
    ]
    run(job, "pg_restore", arguments, environment, on_line)


def analyze(job: Job) -> None:
    with job.target.service(job.name) as target, job.interruptible(target):
        target.execute("ANALYZE")
