# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How both servers are configured."""

from __future__ import annotations

from collections.abc import Iterator

from .._source.replication import SHORT_TIMEOUT_MS
from .rules import DATABASE, SERVER, SOURCE, TARGET, Hit, Look, about, rule

KEEPALIVES = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 60}
TIMEOUTS = ("idle_in_transaction_session_timeout", "statement_timeout", "idle_session_timeout", "transaction_timeout")
LOCAL_SSD = "azure.enable_temp_tablespaces_on_local_ssd"
# A transaction that is older than this is not expected to end by itself soon.
LONG_SECONDS = 300
ON = frozenset({"on", "true", "yes", "1"})

RELATIONS = """
SELECT count(*)::int FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'i', 'I', 'm', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "wal_level is not logical",
    "Set wal_level to logical (Single Server: azure.replication_support to LOGICAL) and restart the source.",
    code=603107,
    can_apply="logical_replication",
    mode="online",
)
def wal_level(look: Look) -> Iterator[Hit]:
    level = look.here.settings.get("wal_level", "")
    if level != "logical":
        # The service, too, sets a Single Server up for it, when it is allowed to restart it.
        severity = "warns" if look.job.source_type == "PostgreSQLSingleServer" else None
        yield Hit("wal_level", f"wal_level is {level}; an online migration needs logical.", severity)


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "too few free replication slots",
    "Raise max_replication_slots and restart the source, or drop inactive slots.",
    code=603105,
    can_apply="logical_replication",
    mode="online",
)
def few_slots(look: Look) -> Iterator[Hit]:
    limit, used = look.here.number("max_replication_slots"), len(look.ask("SELECT 1 FROM pg_replication_slots"))
    wanted = len(look.job.databases)
    if limit - used < wanted:
        yield Hit("max_replication_slots", f"{limit - used} of {limit} replication slots are free, needed: {wanted}.")


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "max_wal_senders is below max_replication_slots",
    "Raise max_wal_senders to max_replication_slots or more and restart the source.",
    code=603106,
    can_apply="logical_replication",
    mode="online",
)
def senders_below_slots(look: Look) -> Iterator[Hit]:
    senders, slots = look.here.number("max_wal_senders"), look.here.number("max_replication_slots")
    if senders < slots:
        yield Hit("max_wal_senders", f"max_wal_senders is {senders} and max_replication_slots is {slots}.")


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "too few free WAL senders",
    "Raise max_wal_senders and restart the source, or stop replicas that nobody uses.",
    can_apply="logical_replication",
    mode="online",
)
def few_senders(look: Look) -> Iterator[Hit]:
    limit, used = look.here.number("max_wal_senders"), len(look.ask("SELECT 1 FROM pg_stat_replication"))
    if limit - used < len(look.job.databases):
        yield Hit("max_wal_senders", f"{limit - used} WAL senders are free, needed: {len(look.job.databases)}.")


@rule(
    SOURCE,
    SERVER,
    "warns",
    "wal_sender_timeout is short",
    "Set wal_sender_timeout to 0 for the time of the migration.",
    mode="online",
)
def short_sender_timeout(look: Look) -> Iterator[Hit]:
    timeout = look.here.number("wal_sender_timeout")
    if 0 < timeout < SHORT_TIMEOUT_MS:
        yield Hit("wal_sender_timeout", f"wal_sender_timeout is {timeout} ms: a long copy may lose its connection.")


@rule(
    SOURCE,
    SERVER,
    "warns",
    "an inactive replication slot",
    "Drop it when nobody needs it: it takes a slot and keeps write-ahead log on the disk.",
    can_apply="drop_slots",
)
def inactive_slots(look: Look) -> Iterator[Hit]:
    for name in look.names("SELECT slot_name::text FROM pg_replication_slots WHERE NOT active ORDER BY 1"):
        yield Hit(name, f"The replication slot {name} is inactive.")


@rule(
    TARGET,
    SERVER,
    "blocks",
    "default_transaction_read_only is on at the target",
    "Set default_transaction_read_only to off for the server and the migrating user.",
    code=603112,
)
def read_only_target(look: Look) -> Iterator[Hit]:
    if look.here.settings.get("default_transaction_read_only") == "on":
        yield Hit("default_transaction_read_only", f"Sessions of {look.here.user} at the target begin read-only.")


@rule(
    SOURCE,
    DATABASE,
    "blocks",
    "default_transaction_read_only is on in a database of the source",
    "ALTER DATABASE ... RESET default_transaction_read_only until the cutover.",
    code=603112,
    mode="online",
)
def read_only_database(look: Look) -> Iterator[Hit]:
    if look.names("SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_read_only'") == ["on"]:
        text = f"Sessions in {look.database} begin read-only: no publication can be made there."
        yield Hit("default_transaction_read_only", text)


@rule(
    SOURCE,
    DATABASE,
    "informs",
    "the database takes writes; an offline copy needs it at rest",
    "Stop the applications, or make the database read-only before the migration.",
    can_apply="read_only_source",
    mode="offline",
)
def writable_source(look: Look) -> Iterator[Hit]:
    if look.names("SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_read_only'") == ["off"]:
        text = f"{look.database} takes writes; the play makes it read-only before the copy begins"
        yield Hit(look.database or "", f"{text}, unless pgflex.cutover.source_read_only is false.")


@rule(
    SOURCE,
    DATABASE,
    "warns",
    "a timeout that can end the copy's session",
    "Set it to 0 for the migrating user.",
    can_apply="timeouts",
)
def timeouts(look: Look) -> Iterator[Hit]:
    rows = look.ask(
        "SELECT name::text, reset_val, unit FROM pg_settings WHERE name = ANY (%s) AND reset_val <> '0' ORDER BY 1",
        list(TIMEOUTS),
    )
    for name, value, unit in rows:
        yield Hit(name, f"{name} is {value} {unit or ''}".rstrip() + " for the migrating user, and not off.")


@rule(
    SOURCE,
    SERVER,
    "informs",
    "TCP keepalives are slower than the service advises",
    "Set tcp_keepalives_idle=10, tcp_keepalives_interval=10, tcp_keepalives_count=60 for the migrating user.",
    can_apply="timeouts",
)
def keepalives(look: Look) -> Iterator[Hit]:
    other = [name for name, value in KEEPALIVES.items() if look.here.number(name) != value]
    if other:
        now = ", ".join(f"{name}={look.here.number(name)}" for name in other)
        yield Hit(other[0], f"A silent connection may be cut off on the way: {now}.")


@rule(
    SOURCE,
    SERVER,
    "warns",
    "md5 passwords at the source and scram at the target",
    "Set the passwords again after the migration, or password_encryption to md5 at the target until then.",
    both=True,
)
def md5_passwords(look: Look) -> Iterator[Hit]:
    if look.target.settings.get("password_encryption") != "scram-sha-256":
        return
    # Only a superuser sees the hashes; for others the setting tells what new passwords become.
    if look.here.superuser:
        names = look.names("SELECT rolname::text FROM pg_authid WHERE rolpassword LIKE 'md5%' ORDER BY 1")
        yield from about(names, "role has", "roles have", "an md5 password, which the target does not take")
    elif look.here.settings.get("password_encryption") in ("md5", "on"):
        yield Hit("password_encryption", "password_encryption is md5 at the source and scram-sha-256 at the target.")


def _locks(look: Look, side: str) -> Iterator[Hit]:
    facts = look.facts[side]
    room = facts.number("max_locks_per_transaction") * (
        facts.number("max_connections") + facts.number("max_prepared_transactions")
    )
    (count,) = look.ask(RELATIONS)[0]
    if count > room:
        text = f"{look.database} has {count} tables, indexes and sequences; the {side} has room for {room} locks."
        yield Hit("max_locks_per_transaction", text)


@rule(
    SOURCE,
    DATABASE,
    "warns",
    "more tables and indexes than locks at the source",
    "Raise max_locks_per_transaction at the source and restart it.",
)
def few_locks_source(look: Look) -> Iterator[Hit]:
    yield from _locks(look, SOURCE)


@rule(
    SOURCE,
    DATABASE,
    "warns",
    "more tables and indexes than locks at the target",
    "Raise max_locks_per_transaction at the target and restart it.",
    both=True,
)
def few_locks_target(look: Look) -> Iterator[Hit]:
    yield from _locks(look, TARGET)


@rule(
    TARGET,
    SERVER,
    "warns",
    "temporary tablespaces on the local SSD during an online migration",
    f"Set {LOCAL_SSD} to off for the time of the migration.",
    can_apply="temp_tablespaces",
    mode="online",
)
def local_ssd(look: Look) -> Iterator[Hit]:
    if (look.target_parameter(LOCAL_SSD) or "").lower() in ON:
        yield Hit(LOCAL_SSD, f"{LOCAL_SSD} is on at the target.")


@rule(
    SOURCE,
    SERVER,
    "warns",
    "an open transaction that an online migration has to wait for",
    "End it, or run the migration when it has ended.",
    mode="online",
)
def long_transactions(look: Look) -> Iterator[Hit]:
    rows = look.ask(
        "SELECT pid::text, coalesce(datname::text, ''), coalesce(usename::text, ''), "
        "extract(epoch FROM clock_timestamp() - xact_start)::int FROM pg_stat_activity a WHERE pid <> pg_backend_pid() "
        "AND xact_start < clock_timestamp() - %s * interval '1 second' ORDER BY xact_start",
        LONG_SECONDS,
    )
    for pid, database, user, seconds in rows:
        text = f"The session {pid} of {user or 'another user'} has a transaction open for {seconds} s"
        yield Hit(pid, f"{text}{f' in {database}' if database else ''}; a logical slot waits for its end.")


@rule(
    SOURCE,
    SERVER,
    "blocks",
    "a prepared transaction",
    "COMMIT PREPARED or ROLLBACK PREPARED it.",
)
def prepared_transactions(look: Look) -> Iterator[Hit]:
    for gid, database in look.ask("SELECT gid::text, database::text FROM pg_prepared_xacts ORDER BY 1"):
        if look.job.online:
            yield Hit(gid, f"The prepared transaction {gid} of {database} keeps a logical slot waiting for ever.")
        elif database in look.job.databases:
            yield Hit(gid, f"The prepared transaction {gid} of {database} is not copied.", "warns")
