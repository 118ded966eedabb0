# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What neither rows nor changes carry: sequences, large objects, unlogged rows, what users have put into tables of
extensions, and what materialized views hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .._errors import ModuleFailure
from .._postgres import identifier, load_psycopg, one_line, sql_errors
from .catalog import (
    FILLED_VIEWS,
    NOT_OF_EXTENSION,
    OURS,
    SEQUENCES,
    Configured,
    Table,
    columns,
    configured,
    fetch,
    has_rows,
)
from .job import Job, run_each
from .rows import Piece, RowCopy, note_encoding, pieces

if TYPE_CHECKING:
    import psycopg

AT_ONCE = 200
# Of one large object in one message; several objects share one as long as they are small.
CHUNK = 256 << 10
OBJECTS = 32
# Here the counters of a table are handed in by a session before it is gone, so that they can be relied on.
EXACT_COUNTERS = 150000


def both(source: psycopg.Connection[Any], target: psycopg.Connection[Any], text: str) -> list[tuple[str, str]]:
    """What the source has of a kind and the target has, too: the rest was left out."""
    there = {(row[0], row[1]) for row in fetch(target, RELATIONS)}
    return [(row[0], row[1]) for row in fetch(source, text) if (row[0], row[1]) in there]


RELATIONS = "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"


def sequences(
    source: psycopg.Connection[Any], target: psycopg.Connection[Any], own: Sequence[Configured]
) -> list[tuple[str, str]]:
    return [*both(source, target, SEQUENCES), *((one.schema, one.name) for one in own if one.kind == "S")]


def set_sequences(job: Job, source: Any, target: Any, names: Sequence[tuple[str, str]]) -> None:
    """Some hundred in one message, to and fro: at a cutover everybody waits for this."""
    for at in range(0, len(names), AT_ONCE):
        part = names[at : at + AT_ONCE]
        reading = " UNION ALL ".join(
            f"SELECT {n}, last_value, is_called FROM {identifier(*name)}" for n, name in enumerate(part)
        )
        with sql_errors(job.source, "read the sequences"):
            rows = source.execute(reading.encode()).fetchall()
        setting = ", ".join(
            f"setval({_regclass(part[n])}, {int(value)}, {'true' if called else 'false'})" for n, value, called in rows
        )
        with sql_errors(job.target, "set the sequences"):
            target.execute(f"SELECT {setting}".encode())


def _regclass(name: tuple[str, str]) -> str:
    text = identifier(*name).replace("'", "''")
    escape = "E" if "\\" in text else ""
    return f"{escape}'{text.replace(chr(92), chr(92) * 2)}'::regclass"


LARGE_OBJECTS = """
SELECT oid::bigint FROM pg_largeobject_metadata WHERE oid > %s::bigint::oid ORDER BY oid LIMIT 1000"""
WRITTEN = """
SELECT coalesce(n_tup_ins + n_tup_upd + n_tup_del, 0)::bigint FROM pg_stat_all_tables
 WHERE relid = 'pg_largeobject'::regclass"""
# In parts, since no value may be longer than 1 GB.
DIGESTS = """
SELECT m.oid::bigint, (SELECT md5(coalesce(string_agg(md5(lo_get(m.oid, g.at, 16777216)), '' ORDER BY g.at), ''))
                         FROM generate_series(0::bigint, m.size, 16777216) g(at))
  FROM (SELECT oid, lo_lseek64(lo_open(oid, 262144), 0, 2) AS size FROM pg_largeobject_metadata
         WHERE oid = ANY(%s::bigint[]::oid[]) OFFSET 0) m"""


class LargeObjects:
    """Carried over while the writers run; carried again where they were changed."""

    def __init__(self, job: Job, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> None:
        self.job, self.source, self.target = job, source, target
        self.seen: int | None = None

    def carry(self) -> None:
        """Makes the target's equal, reading both sides where they have an object of one number."""
        before = self._written()
        with sql_errors(self.job.source, "copy the large objects"):
            for numbers in self._numbers():
                self._equal(numbers)
                self.job.tick()
        self.seen = before

    def carry_changes(self) -> None:
        """At the cutover: nothing to do where nothing was written since."""
        if self.seen is None or self._written() != self.seen:
            self.carry()

    def _written(self) -> int | None:
        if self.source.info.server_version < EXACT_COUNTERS:
            return self._none_at_all()
        self.source.execute("SELECT pg_stat_clear_snapshot()")
        rows = fetch(self.source, WRITTEN)
        return int(rows[0][0]) if rows else None

    def _none_at_all(self) -> int | None:
        there = fetch(self.source, "SELECT EXISTS (SELECT 1 FROM pg_largeobject_metadata)")[0][0]
        return None if there or fetch(self.target, LARGE_OBJECTS, [0]) else 0

    def _numbers(self) -> Iterator[tuple[set[int], set[int]]]:
        """(at the source, at the target), range by range, so that memory is bounded."""
        low = 0
        while True:
            here = [row[0] for row in fetch(self.source, LARGE_OBJECTS, [low])]
            high = here[-1] if len(here) == 1000 else 1 << 32
            there = fetch(
                self.target,
                "SELECT oid::bigint FROM pg_largeobject_metadata WHERE oid::bigint > %s AND oid::bigint <= %s",
                [low, high],
            )
            yield set(here), {row[0] for row in there}
            if high == 1 << 32:
                return
            low = high

    def _equal(self, numbers: tuple[set[int], set[int]]) -> None:
        here, there = numbers
        for oid in sorted(there - here):
            self.target.execute("SELECT lo_unlink(%s::bigint::oid)", [oid])
        common = sorted(here & there)
        changed: set[int] = set()
        for at in range(0, len(common), OBJECTS):
            part = [common[at : at + OBJECTS]]
            digests = dict(fetch(self.target, DIGESTS, part))
            changed |= {row[0] for row in fetch(self.source, DIGESTS, part) if digests.get(row[0]) != row[1]}
        for oid in changed:
            self.target.execute("SELECT lo_unlink(%s::bigint::oid)", [oid])
        wanted = sorted((here - there) | changed)
        for at in range(0, len(wanted), OBJECTS):
            self._transfer(wanted[at : at + OBJECTS])

    def _transfer(self, oids: list[int]) -> None:
        rows = fetch(
            self.source,
            f"SELECT oid::bigint, lo_get(oid, 0, {CHUNK}) FROM pg_largeobject_metadata "
            "WHERE oid = ANY(%s::bigint[]::oid[])",
            [oids],
        )
        with (
            sql_errors(self.job.target, "write large objects"),
            self.target.transaction(),
            self.target.pipeline(),
        ):
            for oid, data in rows:
                self.target.execute("SELECT lo_from_bytea(%s::bigint::oid, %s)", [oid, data])
        for oid, data in rows:
            offset = len(data)
            while offset and offset % CHUNK == 0:
                more = fetch(self.source, f"SELECT lo_get(%s::bigint::oid, %s, {CHUNK})", [oid, offset])[0][0]
                if not more:
                    break
                self.target.execute("SELECT lo_put(%s::bigint::oid, %s, %s)", [oid, offset, more])
                offset += len(more)
                self.job.tick()


# Privileges and comments that are in no dump of definitions. Everybody may go on signing in where the source lets them.
UNDUMPED = """
SELECT 1, format('REVOKE %s ON DATABASE %I FROM PUBLIC', p.privilege, datname)
  FROM pg_database, unnest(ARRAY['CONNECT', 'TEMPORARY']) p(privilege)
 WHERE datname = current_database() AND datacl IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM aclexplode(datacl) a WHERE a.grantee = 0 AND a.privilege_type = p.privilege)
UNION ALL
SELECT 2, format('GRANT %s ON %s TO ', a.privilege_type, o.name)
          || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END
          || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
  FROM (SELECT 'LARGE OBJECT ' || oid, lomowner, lomacl FROM pg_largeobject_metadata
        UNION ALL SELECT 'DATABASE ' || quote_ident(datname), datdba, datacl FROM pg_database
                   WHERE datname = current_database()) o(name, owner, acl)
 CROSS JOIN LATERAL aclexplode(o.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE a.grantee <> o.owner AND (a.grantee = 0 OR r.oid IS NOT NULL)
UNION ALL
SELECT 3, format('COMMENT ON LARGE OBJECT %s IS %L', objoid, description) FROM pg_description
 WHERE classoid = 'pg_largeobject'::regclass
UNION ALL
SELECT 3, format('COMMENT ON DATABASE %I IS %L', d.datname, c.description) FROM pg_database d JOIN pg_shdescription c
       ON c.classoid = 'pg_database'::regclass AND c.objoid = d.oid
 WHERE d.datname = current_database()
 ORDER BY 1"""


def undumped(source: psycopg.Connection[Any]) -> list[str]:
    return [row[1] for row in fetch(source, UNDUMPED)]


TRIGGERS = """
SELECT t.tgname::text, t.tgenabled::text FROM pg_trigger t
 WHERE t.tgrelid = to_regclass(%s) AND NOT t.tgisinternal AND t.tgenabled <> 'D'"""
FOREIGN_KEYS = """
SELECT k.conname::text, pg_get_constraintdef(k.oid) FROM pg_constraint k
 WHERE k.conrelid = to_regclass(%s) AND k.contype = 'f' AND k.conparentid = 0"""
STATES = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


# Those that fire for changes that arrive, and tables whose rows not even their owner may write unseen.
HELD = f"""
SELECT n.nspname::text, c.relname::text, t.tgname::text, t.tgenabled::text
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal AND t.tgenabled IN ('A', 'R') AND {OURS} AND {NOT_OF_EXTENSION}
UNION ALL
SELECT n.nspname::text, c.relname::text, NULL, NULL FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relforcerowsecurity AND {OURS} AND {NOT_OF_EXTENSION} ORDER BY 1, 2, 3"""


def held(connection: psycopg.Connection[Any]) -> list[list[str]]:
    """[off, on] of what would do its work twice, or refuse a worker, while changes are taken."""
    found = []
    for schema, name, trigger, state in fetch(connection, HELD):
        table = f"ALTER TABLE ONLY {identifier(schema, name)}"
        if trigger:
            what = f"TRIGGER {identifier(trigger)}"
            found.append([f"{table} DISABLE {what}", f"{table} {STATES[state]} {what}"])
        else:
            what = "FORCE ROW LEVEL SECURITY"
            found.append([f"{table} NO {what}", f"{table} {what}"])
    return found


def carry_unlogged(job: Job, source: Any, target: Any, tables: Sequence[Table]) -> None:
    """No trigger fires and no foreign key is looked at row by row; both are back when the rows are there."""
    if not tables:
        return
    names = [table.quoted for table in tables]
    before: list[str] = []
    after: list[str] = []
    for name in names:
        for trigger, state in fetch(target, TRIGGERS, [name]):
            before.append(f"ALTER TABLE {name} DISABLE TRIGGER {identifier(trigger)}")
            after.append(f"ALTER TABLE {name} {STATES[state]} TRIGGER {identifier(trigger)}")
        for key, definition in fetch(target, FOREIGN_KEYS, [name]):
            before.append(f"ALTER TABLE {name} DROP CONSTRAINT {identifier(key)}")
            after.append(f"ALTER TABLE {name} ADD CONSTRAINT {identifier(key)} {definition}")
    # Noted: a run that is killed in between must not lose what it has switched off.
    after = job.row.pending + [statement for statement in after if statement not in job.row.pending]
    job.row.pending = after
    job.ledger.save(job.copy)
    run_each(target, before, job.target, "switch off the triggers of unlogged tables")
    RowCopy(job, pieces(job, source, tables, in_parts=False), None, counted=False).run()
    run_each(target, after, job.target, "switch the triggers of unlogged tables on again")
    job.row.pending = []


def of_extensions(job: Job, source: Any, target: Any) -> list[Configured]:
    """What users have put into extensions that both sides have; what may not be carried is listed."""
    there = {(one.schema, one.name): one for one in configured(target)}
    found = []
    for one in configured(source):
        other = there.get((one.schema, one.name))
        if other is None:
            continue
        if one.readable and other.readable and other.writable:
            found.append(one)
        elif not one.readable or one.kind == "S" or has_rows(source, one):
            what, deed = "rows" if one.kind == "r" else "position", "written to" if one.readable else "read"
            job.skip(f"{what} of {one.schema}.{one.name}: it belongs to an extension and may not be {deed}")
    return found


def carry_configured(job: Job, source: Any, target: Any, found: Sequence[Configured], shared: str | None) -> None:
    """Instead of what an earlier attempt has carried."""
    tables = [one for one in found if one.kind == "r"]
    gone = [f"DELETE FROM {one.rows}" for one in reversed(tables)]
    run_each(target, gone, job.target, "empty the tables of extensions")
    filled = [one for one in tables if has_rows(source, one)]
    listed = columns(source, [one.oid for one in filled])
    note_encoding(job, source)
    rows = [
        Piece(one.oid, one.schema, one.name, tuple(listed.get(one.oid, ())), 0, one.where or "WHERE true", fresh=False)
        for one in filled
    ]
    RowCopy(job, rows, shared, counted=False).run()


def refresh_views(job: Job, source: Any, target: Any) -> None:
    """In rounds, because one may read another; only those that hold rows at the source."""
    driver = load_psycopg()
    waiting = both(source, target, FILLED_VIEWS)
    refused = ""
    while waiting:
        left = []
        for name in waiting:
            try:
                target.execute(f"REFRESH MATERIALIZED VIEW {identifier(*name)}".encode())
            except driver.errors.ObjectNotInPrerequisiteState as error:
                # Another view, which it reads, is not populated yet.
                left.append(name)
                refused = one_line(str(error))
            except driver.Error as error:
                raise _not_refreshed(job, [name], one_line(str(error)), error.sqlstate) from error
            job.tick()
        if len(left) == len(waiting):
            raise _not_refreshed(job, left, refused, "55000")
        waiting = left


def _not_refreshed(job: Job, names: list[tuple[str, str]], text: str, code: str | None) -> ModuleFailure:
    listed = ", ".join(".".join(name) for name in names)
    return ModuleFailure(
        f"Failed to refresh the materialized views {listed} in the database {job.name} on {job.target}: {text}",
        code=code or "ConnectionLost",
        target="target",
        hint="Leave them out with exclude_tables, or drop them at the source, and run again.",
    )
