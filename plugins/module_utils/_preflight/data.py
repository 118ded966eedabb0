# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much there is in the source's databases, and what logical replication makes of it."""

from __future__ import annotations

from collections.abc import Iterator

from .._copy.catalog import incomparable
from .rules import DATABASE, SERVER, SOURCE, Hit, Look, about, rule
from .schema import OF_NO_EXTENSION, USER_SCHEMA
from .versions import piece

GIB = 1024**3
CLASSIC_LIMIT = 1024 * GIB
# The service splits tables above this size, and only by an integer key.
LARGE_TABLE = 20 * GIB
# Tables below this size are copied in no time, bloated or not.
SMALL_TABLE = 8 * 1024 * 1024
BLOATED = 0.2
INTEGERS = "('int2'::regtype, 'int4'::regtype, 'int8'::regtype)"
RELATION = "format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"

# A deferrable key identifies no rows for replication, nor does an index that is not valid, or gone.
PUBLISHED = f"""c.relkind = 'r' AND c.relpersistence = 'p' AND {USER_SCHEMA}
   AND {OF_NO_EXTENSION}"""
NO_KEY = """NOT EXISTS (SELECT 1 FROM pg_index i
        WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate AND i.indisvalid)"""
LACKING = f"""(c.relreplident = 'n' OR c.relreplident = 'd' AND {NO_KEY}
        OR c.relreplident = 'i' AND NOT EXISTS (SELECT 1 FROM pg_index i
        WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid))"""
NO_IDENTITY = f"SELECT {RELATION} WHERE {PUBLISHED} AND {LACKING} ORDER BY 1"


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a table without key or replica identity",
    "Add a primary key, or ALTER TABLE ... REPLICA IDENTITY FULL before the migration; else UPDATE and DELETE fail.",
    can_apply="replica_identity",
    mode="online",
)
def no_key(look: Look) -> Iterator[Hit]:
    for name in look.names(NO_IDENTITY):
        yield Hit(name, f"The table {name} has no primary key and no replica identity.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a column without equality in a table without a key",
    "Add a primary key, or ALTER TABLE ... REPLICA IDENTITY USING INDEX; else UPDATE and DELETE fail at the target.",
    mode="online",
)
def no_equality(look: Look) -> Iterator[Hit]:
    for name, kind in look.ask(incomparable(f"{PUBLISHED} AND {NO_KEY} AND (c.relreplident = 'f' OR {LACKING})")):
        yield Hit(name, f"The column {name} has the type {kind}, of which the target can not tell two values apart.")


@rule(
    SOURCE,
    DATABASE,
    "warns",
    "unlogged tables, whose rows logical replication does not carry",
    "ALTER TABLE ... SET LOGGED before the migration, or copy them by hand at the cutover.",
)
def unlogged(look: Look) -> Iterator[Hit]:
    names = look.names(f"SELECT {RELATION} WHERE c.relkind = 'r' AND c.relpersistence = 'u' ORDER BY 1")
    text = "not carried by an online migration" if look.job.online else "copied by an offline migration only"
    for hit in about(names, "unlogged table", "unlogged tables", text):
        yield hit if look.job.online else Hit(hit.object, hit.message, "informs")


@rule(
    SOURCE,
    DATABASE,
    "informs",
    "temporary tables in use",
    "Nothing to do, if the application can make them again.",
)
def temporary(look: Look) -> Iterator[Hit]:
    names = look.names(f"SELECT {RELATION} WHERE c.relkind = 'r' AND c.relpersistence = 't' ORDER BY 1")
    yield from about(names, "temporary table", "temporary tables", "in use, and never migrated")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "a subscription at work, whose changes no cutover stops",
    "ALTER SUBSCRIPTION ... DISABLE before the cutover, and make it again at the target.",
    mode="online",
)
def subscriber(look: Look) -> Iterator[Hit]:
    for name in look.names(piece("applying", look.version)):
        yield Hit(name, f"{look.database} is written to by the subscription {name}, also when it is read-only.")


@rule(
    SOURCE,
    DATABASE,
    "warns",
    "large objects, which logical replication does not carry",
    "Expect them to be copied at the cutover, and to prolong it.",
)
def large_objects(look: Look) -> Iterator[Hit]:
    ((count,),) = look.ask("SELECT count(*) FROM pg_largeobject_metadata")
    if count:
        text = "not replicated" if look.job.online else "copied one by one"
        objects = "1 large object" if count == 1 else f"{count} large objects"
        yield Hit("", f"{look.database} has {objects}: {text}.", None if look.job.online else "informs")


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "a database over 1 TB (classic service)",
    "Take the current service, or split the database.",
    generation="classic",
)
def over_a_terabyte(look: Look) -> Iterator[Hit]:
    for name in look.job.databases:
        size = look.here.databases[name].size if name in look.here.databases else None
        if size and size > CLASSIC_LIMIT:
            yield Hit(name, f"The database {name} has {size / GIB:.0f} GiB; the classic service takes up to 1 TB.")


@rule(
    SOURCE,
    DATABASE,
    "informs",
    "a table over 20 GB without an integer key",
    "Add a key of type integer or bigint, or expect one connection to copy the whole table.",
)
def large_without_key(look: Look) -> Iterator[Hit]:
    rows = look.ask(
        f"SELECT {RELATION.replace(' FROM', ', pg_table_size(c.oid) FROM', 1)} WHERE c.relkind = 'r' AND {USER_SCHEMA} "
        "AND pg_table_size(c.oid) > %s AND NOT EXISTS (SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = "
        f"c.oid AND a.attnum = i.indkey[0] WHERE i.indrelid = c.oid AND i.indisunique AND a.atttypid IN {INTEGERS}) "
        "ORDER BY 2 DESC".replace("%I", "%%I"),
        LARGE_TABLE,
    )
    for name, size in rows:
        yield Hit(name, f"The table {name} has {size / GIB:.1f} GiB and no integer key to split it by.")


@rule(
    SOURCE,
    DATABASE,
    "informs",
    "a bloated table",
    "VACUUM (ANALYZE) it before the migration: less is read.",
)
def bloat(look: Look) -> Iterator[Hit]:
    rows = look.ask(
        "SELECT format('%%I.%%I', schemaname, relname), n_dead_tup, n_live_tup FROM pg_stat_user_tables "
        "WHERE pg_table_size(relid) >= %s AND n_dead_tup > %s * (n_live_tup + n_dead_tup) ORDER BY n_dead_tup DESC",
        SMALL_TABLE,
        BLOATED,
    )
    for name, dead, live in rows:
        yield Hit(name, f"The table {name} has {dead} dead rows beside {live} live ones.")


@rule(
    SOURCE,
    DATABASE,
    "informs",
    "generated columns, which the target computes anew",
    "See that the functions they use are immutable and give the same at the target.",
    mode="online",
)
def generated_columns(look: Look) -> Iterator[Hit]:
    yield from about(_columns(look, "is_generated"), "generated column", "generated columns", "computed at the target")


@rule(
    SOURCE,
    DATABASE,
    "informs",
    "identity columns, whose sequences are set at the cutover only",
    "Write nothing to the target before the cutover has ended.",
    mode="online",
)
def identity_columns(look: Look) -> Iterator[Hit]:
    yield from about(_columns(look, "is_identity"), "identity column", "identity columns", "behind until the cutover")


def _columns(look: Look, kind: str) -> list[str]:
    return look.names(
        "SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname) FROM pg_attribute a JOIN pg_class c "
        "ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE {piece(kind, look.version)} AND c.relkind IN ('r', 'p') AND {USER_SCHEMA} ORDER BY 1"
    )
