# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The definitions: the target's database, its extensions, and the parts of a dump before and after the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import ModuleFailure
from .._postgres import Server, identifier, load_psycopg, one_line, sql_errors
from .._preflight.extensions import ALLOW_LIST, OWN, lacking
from .catalog import (
    AVAILABLE,
    DEPENDENTS,
    EXTENSIONS,
    KEYS,
    NAMED_ROLES,
    DatabaseFacts,
    Table,
    fetch,
)
from .content import OWNED, empty, is_empty, word
from .job import Job
from .ledger import Ledger
from .programs import Entry, contents, write_list

if TYPE_CHECKING:
    import psycopg

FLAGS = ("--no-publications", "--no-subscriptions", "--no-tablespaces", "--no-security-labels")
# The first of these ends what can be made before there are rows.
AFTER_ROWS = (
    *("CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "INDEX", "INDEX ATTACH", "TRIGGER", "RULE", "POLICY"),
    *("ROW SECURITY", "STATISTICS", "EVENT TRIGGER"),
)
GRANTS = ("ACL", "DEFAULT ACL")
# Made by others parts of the engine, or only for a superuser to make.
NEVER = ("EXTENSION", "EVENT TRIGGER", "PUBLICATION", "SUBSCRIPTION", "STATISTICS DATA", "BLOB", "BLOBS", "DATABASE")


@dataclass(frozen=True)
class LeftOut:
    """What does not go over: tables by name for pg_dump, and other objects by what they are in the catalogs."""

    relations: tuple[tuple[str, str], ...] = ()
    schemas: tuple[str, ...] = ()
    objects: frozenset[tuple[int, int]] = frozenset()
    listed: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        tables = [f"--exclude-table={identifier(*name)}" for name in self.relations]
        return [*tables, *(f"--exclude-schema={identifier(name)}" for name in ("pgflex", *self.schemas))]


def left_out(source: psycopg.Connection[Any], tables: tuple[Table, ...], schemas: tuple[str, ...]) -> LeftOut:
    """Tables that stay behind take with them what could not be made without them."""
    if not tables:
        return LeftOut(schemas=schemas)
    relations = {(table.schema, table.name) for table in tables}
    objects: set[tuple[int, int]] = set()
    listed: list[str] = []
    for catalog, oid, kind, schema, name, type_name, identity in fetch(source, DEPENDENTS, [[t.oid for t in tables]]):
        if kind is None:
            objects.add((catalog, oid))
        elif (schema, name) not in relations:
            relations.add((schema, name))
        else:
            continue
        listed.append(f"{type_name} {identity}: needs a table that is left out")
    return LeftOut(tuple(sorted(relations)), schemas, frozenset(objects), tuple(listed))


def make_database(job: Job, facts: DatabaseFacts) -> None:
    """Empty and like the source's. One that was there and empty stays as it is, and what is ours in it goes."""
    there = {row[0] for row in _on_maintenance(job, "SELECT datname::text FROM pg_database")}
    if job.name in there and (job.row.created or not _usable(job)):
        drop_database(job.ledger, job.name)
        there.discard(job.name)
    elif job.name in there and job.row.step != "new":
        empty(job)
    if job.name not in there:
        # Noted first: a run that is killed in between must not take it for somebody else's.
        job.row.created = True
        job.enter("database")
        with sql_errors(job.target, f"create the database {job.name}"):
            job.ledger.connection.execute(
                f"CREATE DATABASE {identifier(job.name)} TEMPLATE template0 {facts.options()}".encode()
            )
    job.enter("schema")


def _on_maintenance(job: Job, text: str) -> list[tuple[Any, ...]]:
    with sql_errors(job.target, "read the databases"):
        return fetch(job.ledger.connection, text)


def _usable(job: Job) -> bool:
    return job.row.step != "new" or is_empty(job.target, job.name)


def drop_database(ledger: Ledger, name: str) -> None:
    with sql_errors(ledger.target, f"drop the database {name}"):
        ledger.connection.execute(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)".encode())


def missing_extensions(source: psycopg.Connection[Any], target: Any, skipped: tuple[str, ...]) -> list[str]:
    """Those that can not be made on the target: Azure refuses what its allow-list does not name."""
    available = {row[0] for row in fetch(target, AVAILABLE)}
    configured = fetch(target, f"SELECT current_setting('{ALLOW_LIST}', true)")[0][0]
    wanted = [row[0] for row in fetch(source, EXTENSIONS) if row[0] not in skipped]
    refused = lacking(configured, [name for name in wanted if name not in OWN])
    return [name for name in wanted if name not in available or name in refused]


def make_extensions(job: Job, source: psycopg.Connection[Any]) -> None:
    """Before all else; what belongs to them is not in the dump."""
    skipped = job.options.skip_extensions
    with job.on_target() as target:
        for name, schema in fetch(source, EXTENSIONS):
            if name in skipped:
                job.skip(f"extension {name}: named in skip_extensions")
                continue
            with sql_errors(job.target, f"create the extension {name} in the database {job.name}"):
                if not schema.startswith("pg_"):
                    target.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}".encode())
                target.execute(
                    f"CREATE EXTENSION IF NOT EXISTS {identifier(name)} SCHEMA {identifier(schema)} CASCADE".encode()
                )


@dataclass(frozen=True)
class Definitions:
    """A dump without rows, and which of its entries go where."""

    dump: Path
    before: list[Entry]
    keys: list[Entry]
    after: list[Entry]
    grants: list[Entry]


# What no part of a copy makes.
LEFT_BEHIND = """
SELECT 'event trigger ' || t.evtname FROM pg_event_trigger t
 WHERE NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = 'pg_event_trigger'::regclass AND e.objid = t.oid
                      AND e.deptype = 'e') <publications> <subscriptions>
 ORDER BY 1"""


def dump_definitions(job: Job, source: psycopg.Connection[Any], out: LeftOut, snapshot: str | None) -> Definitions:
    job.skip(*(f"{row[0]}: to be made by hand" for row in fetch(source, LEFT_BEHIND)))
    path = job.folder / "definitions"
    path.unlink(missing_ok=True)
    arguments = ["-Fc", "-Z0", "--schema-only", "--lock-wait-timeout=60s", *FLAGS, *out.arguments()]
    arguments += [f"--snapshot={snapshot}"] if snapshot else []
    job.run("pg_dump", [*arguments, "-f", str(path)], job.source, "dump the definitions")
    entries = [entry for entry in contents(job.programs, path) if _wanted(entry, out.objects | _nameless(job, source))]
    grants = [entry for entry in entries if entry.is_kind(*GRANTS)]
    made = [entry for entry in entries if not entry.is_kind(*GRANTS) and not _is_there(entry, _schemas(job, source))]
    split = next((at for at, entry in enumerate(made) if entry.is_kind(*AFTER_ROWS)), len(made))
    key_objects = {(row[0], row[1]) for row in fetch(source, KEYS)}
    keys = [entry for entry in made[split:] if (entry.catalog, entry.oid) in key_objects]
    after = [entry for entry in made[split:] if entry not in keys]
    return Definitions(path, made[:split], keys, after, grants)


def _wanted(entry: Entry, unwanted: frozenset[tuple[int, int]]) -> bool:
    if entry.is_kind(*NEVER) or entry.rest.startswith("COMMENT - EXTENSION "):
        return False
    return (entry.catalog, entry.oid) not in unwanted


def _schemas(job: Job, source: psycopg.Connection[Any]) -> set[tuple[int, int]]:
    """The source's schemas that the target has already, public and those of extensions."""
    text = "SELECT nspname::text, 'pg_namespace'::regclass::oid::bigint, oid::bigint FROM pg_namespace"
    with job.on_target() as target:
        there = {row[0] for row in fetch(target, text)}
    return {(row[1], row[2]) for row in fetch(source, text) if row[0] in there}


def _is_there(entry: Entry, schemas: set[tuple[int, int]]) -> bool:
    return (entry.catalog, entry.oid) in schemas and entry.is_kind("SCHEMA")


def _nameless(job: Job, source: psycopg.Connection[Any]) -> frozenset[tuple[int, int]]:
    """Policies and user mappings for roles that the target does not have."""
    known = {row[0] for row in _on_maintenance(job, "SELECT rolname::text FROM pg_roles")}
    found = set()
    for catalog, oid, what, roles in fetch(source, NAMED_ROLES):
        missing = sorted(set(roles) - known)
        if missing:
            found.add((catalog, oid))
            job.skip(f"{what}: the target has no role {', '.join(missing)}")
    return frozenset(found)


def restore(job: Job, definitions: Definitions, entries: list[Entry], doing: str) -> None:
    """Everything becomes the target user's."""
    if not entries:
        return
    chosen = write_list(job.folder / "list", entries)
    arguments = ["--no-owner", "--no-privileges", "--exit-on-error", "-j", str(job.options.jobs), "-L", str(chosen)]
    name = load_psycopg().conninfo.make_conninfo("", dbname=job.name)
    job.run("pg_restore", [*arguments, "-d", name, str(definitions.dump)], job.target, doing)


# The names that the objects of a dump have at the source: (type, names, arguments).
ADDRESSES = """
SELECT (a).type, (a).object_names, (a).object_args
  FROM (SELECT pg_identify_object_as_address(g.catalog::oid, g.oid::oid, 0) AS a
          FROM unnest(%s::bigint[], %s::bigint[]) g(catalog, oid)) x"""
MADE_AFTER_ROWS = (
    *("CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "INDEX", "TRIGGER", "RULE", "POLICY", "STATISTICS"),
)


def drop_made(job: Job, source: psycopg.Connection[Any], entries: Sequence[Entry]) -> None:
    """What an earlier run has made of these entries, an index that is no part of its table's root's yet included."""
    wanted = [entry for entry in entries if entry.catalog and entry.is_kind(*MADE_AFTER_ROWS)]
    oids = [[entry.catalog for entry in wanted], [entry.oid for entry in wanted]]
    made = fetch(source, ADDRESSES, oids)
    # The rule that makes a view what it is goes with the view only, and is replaced.
    waiting = [drop_after_rows(*row) for row in made if row[0] != "rule" or row[1][-1] != "_RETURN"]
    driver = load_psycopg()
    with job.on_target() as target, sql_errors(job.target, "drop what an earlier run has made"):
        while waiting:
            left = []
            for statement in waiting:
                try:
                    target.execute(statement.encode())
                except (driver.errors.DependentObjectsStillExist, driver.errors.InvalidTableDefinition):
                    # A part of something that is dropped later: a partition's index, a key that another table names.
                    left.append(statement)
                    if len(left) == len(waiting):
                        raise
                job.tick()
            waiting = left


def drop_after_rows(kind: str, names: list[str], arguments: list[str]) -> str:
    name = identifier(names[-1])
    if kind == "domain constraint":
        return f"ALTER DOMAIN {names[0]} DROP CONSTRAINT IF EXISTS {identifier(arguments[0])}"
    if kind == "table constraint":
        return f"ALTER TABLE IF EXISTS {identifier(*names[:-1])} DROP CONSTRAINT IF EXISTS {name}"
    if kind in ("trigger", "rule", "policy"):
        return f"DROP {kind.upper()} IF EXISTS {name} ON {identifier(*names[:-1])}"
    return f"DROP {word(kind)} IF EXISTS {identifier(*names)}"


def grant_statements(job: Job, definitions: Definitions) -> list[str]:
    """GRANT and REVOKE, one statement in a line as pg_restore writes them."""
    if not definitions.grants:
        return []
    chosen = write_list(job.folder / "grants", definitions.grants)
    text = job.folder / "grants.sql"
    job.run("pg_restore", ["-L", str(chosen), "-f", str(text), str(definitions.dump)], job.target, "list the grants")
    lines = text.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return [line for line in lines if line.startswith(("GRANT ", "REVOKE ", "ALTER DEFAULT PRIVILEGES "))]


def grant(job: Job, statements: list[str]) -> None:
    """Those that name a role that the target does not have, or that its user may not make, are listed."""
    driver = load_psycopg()
    with job.on_target() as target:
        for statement in statements:
            try:
                target.execute(statement.encode(errors="surrogateescape"))
            except driver.Error as error:
                job.skip(f"{statement.rstrip(';')}: {one_line(str(error))}")


def owner_statements(job: Job, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> list[list[str]]:
    """Whose objects become whose, owner by owner, for owners that the target knows and that its user may become."""
    roles = "SELECT rolname::text, pg_has_role(oid, <may_become>), oid = current_user::regrole FROM pg_roles"
    known = {row[0]: (row[1], row[2]) for row in fetch(target, roles)}
    me = [name for name, (_able, myself) in known.items() if myself]
    there = {(row[0], row[1]) for row in fetch(target, OWNED, [[]])}
    statements: dict[str, list[str]] = {}
    places: dict[str, set[str]] = {}
    absent: dict[str, int] = {}
    for kind, identity, owner, schema in fetch(source, OWNED, [me]):
        if (kind, identity) not in there:
            continue
        if known.get(owner, (False, False))[0]:
            statements.setdefault(owner, []).append(f"ALTER {word(kind)} {identity} OWNER TO {identifier(owner)}")
            places.setdefault(owner, set()).add(schema or "")
        else:
            absent[owner] = absent.get(owner, 0) + 1
    job.skip(
        *(
            f"ownership of {count} objects by {owner}: "
            + ("the target has no such role" if owner not in known else "the target's user may not become it")
            for owner, count in sorted(absent.items())
        )
    )
    return [_lent(target, owner, places[owner], found) for owner, found in sorted(statements.items())]


def _lent(target: psycopg.Connection[Any], owner: str, schemas: set[str], statements: list[str]) -> list[str]:
    """An owner needs CREATE on the schema at the moment at which it becomes the owner."""
    text = "SELECT has_schema_privilege(%s, oid, 'CREATE') FROM pg_namespace WHERE nspname = %s"
    lent = [
        f"CREATE ON SCHEMA {identifier(schema)} {{}} {identifier(owner)}"
        for schema in sorted(schemas)
        if not all(row[0] for row in fetch(target, text, [owner, schema]))
    ]
    return [
        *(f"GRANT {one.format('TO')}" for one in lent),
        *statements,
        *(f"REVOKE {one.format('FROM')}" for one in lent),
    ]


def set_owners(job: Job, owners: list[list[str]]) -> None:
    """What one owner can not have does not keep the others from theirs."""
    driver = load_psycopg()
    with job.on_target() as target:
        for statements in owners:
            try:
                with target.transaction():
                    for at in range(0, len(statements), 200):
                        target.execute(";\n".join(statements[at : at + 200]).encode())
            except driver.Error:
                _set_one_by_one(job, target, statements)


def _set_one_by_one(job: Job, target: psycopg.Connection[Any], statements: list[str]) -> None:
    driver = load_psycopg()
    for statement in statements:
        try:
            target.execute(statement.encode())
        except driver.Error as error:
            job.skip(f"{statement}: {one_line(str(error))}")


DATABASE_SETTINGS = """
SELECT unnest(s.setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
 WHERE d.datname = current_database() AND s.setrole = 0"""


def copy_settings(job: Job, source: psycopg.Connection[Any]) -> None:
    """ALTER DATABASE .. SET, but for what makes the source read-only."""
    driver = load_psycopg()
    found = (row[0].partition("=") for row in fetch(source, DATABASE_SETTINGS))
    for name, _sign, value in found:
        if name == "default_transaction_read_only":
            continue
        try:
            with job.ledger.connection.transaction():
                text = f"SELECT set_config({_quote(name)}, {_quote(value)}, true)"
                job.ledger.connection.execute(text.encode())
                job.ledger.connection.execute(
                    f"ALTER DATABASE {identifier(job.name)} SET {identifier(*name.split('.'))} FROM CURRENT".encode()
                )
        except driver.Error as error:
            job.skip(f"setting {name} of the database: {one_line(str(error))}")


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def fail_missing_extensions(database: str, missing: list[str], target: Server) -> ModuleFailure:
    return ModuleFailure(
        f"{target} has no extension {', '.join(missing)}, which the database {database} uses; nothing was made.",
        code="ExtensionMissing",
        target=target.option,
        hint="Allow the extensions on the target (azure.extensions), or name them in skip_extensions when nothing "
        "that is copied needs them.",
    )
