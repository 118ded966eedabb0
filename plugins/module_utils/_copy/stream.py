# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logical replication of one database in one direction: publication, slot, subscription, and taking them away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._errors import ModuleFailure
from .._postgres import Server, identifier, load_psycopg, one_line, sql_errors
from .._wait import Deadline, pause
from .catalog import Table, fetch
from .job import session

if TYPE_CHECKING:
    import psycopg

OLDEST_PUBLISHER = 100000
# A worker that fails is started again; so many failures without a step forward are no passing trouble.
MAX_ERRORS = 3
LOCK_TIMEOUT = "5s"
LOCK_TRIES = 12
STATES = """
SELECT p.oid::bigint, p.subenabled,
       (SELECT count(*) FROM pg_subscription_rel r WHERE r.srsubid = p.oid AND r.srsubstate = 'i')::int,
       (SELECT count(*) FROM pg_subscription_rel r WHERE r.srsubid = p.oid AND r.srsubstate IN ('d', 'f'))::int,
       (SELECT count(*) FROM pg_subscription_rel r WHERE r.srsubid = p.oid AND r.srsubstate IN ('s', 'r'))::int,
       (SELECT count(*) FROM pg_subscription_rel r WHERE r.srsubid = p.oid AND r.srsubstate <> 'r')::int,
       <apply_errors>::int, <sync_errors>::int, current_setting('max_sync_workers_per_subscription')::int
  FROM pg_subscription p <apply_statistics>
 WHERE p.subname = %s AND p.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
 GROUP BY p.oid, p.subenabled"""
WORKERS = "SELECT count(*)::int FROM pg_stat_subscription WHERE subname = %s AND pid IS NOT NULL"
SLOT = """
SELECT (confirmed_flush_lsn - '0/0')::bigint, (pg_current_wal_flush_lsn() - '0/0')::bigint, active
  FROM pg_replication_slots WHERE slot_name = %s"""
# The subscription's own slot and those of its tables' first copies.
SLOTS = """
SELECT slot_name::text, active_pid FROM pg_replication_slots
 WHERE slot_name = %s OR (slot_name ~ %s AND database = current_database())"""


@dataclass(frozen=True)
class SubscriptionState:
    oid: int
    enabled: bool
    waiting: int
    loading: int
    copied: int
    unready: int
    apply_errors: int
    sync_errors: int
    at_once: int


def refused(found: SubscriptionState, confirmed: int, written: int, seen: list[int]) -> int:
    """How often, since something last moved; `seen` remembers how it was then.

    The server counts since the subscription was made, and counts connections that were lost, which stop several tables
    at once. Changes and tables are looked at apart, as one kind can come on while the other does not.
    """
    changes, apply_errors, tables, sync_errors = seen or (0, 0, 0, 0)
    if confirmed != changes or confirmed >= written:
        changes, apply_errors = confirmed, found.apply_errors
    if found.copied != tables:
        tables, sync_errors = found.copied, found.sync_errors
    seen[:] = [changes, apply_errors, tables, sync_errors]
    applying, copying = found.apply_errors - apply_errors, found.sync_errors - sync_errors
    if applying < MAX_ERRORS and copying < MAX_ERRORS * max(1, min(found.at_once, found.unready)):
        return 0
    return applying + copying


def conninfo(publisher: Server, database: str, override: Mapping[str, Any] | None, label: str) -> str:
    """How the subscriber's server connects: it does not have this machine's files of certificates."""
    values = publisher.arguments(database)
    given = {name: value for name, value in (override or {}).items() if value is not None}
    if "host" in given:
        values.pop("hostaddr", None)
    if "sslrootcert" not in given:
        values.pop("sslrootcert", None)
        if values["sslmode"].startswith("verify"):
            values["sslmode"] = "require"
    values |= given | {"application_name": label}
    values.pop("client_encoding", None)
    made: str = load_psycopg().conninfo.make_conninfo("", **values)
    return made


class StreamBroken(ModuleFailure):
    """Both servers answer, and changes do not get from one to the other."""


@dataclass(frozen=True)
class Look:
    """`confirmed` and `written` are bytes of the publisher's log: what has been applied, and what there is."""

    state: SubscriptionState
    confirmed: int
    written: int


@dataclass
class Stream:
    """`label` names all its parts on both servers."""

    label: str
    database: str
    publisher: Server
    subscriber: Server
    conninfo: str

    def publisher_session(self) -> psycopg.Connection[Any]:
        return session(self.publisher, self.database)

    def subscriber_session(self) -> psycopg.Connection[Any]:
        return session(self.subscriber, self.database)

    def check_way(self, database: str) -> None:
        """Whether the subscriber's server gets to the publisher's; what is made for it is rolled back."""
        driver = load_psycopg()
        with session(self.subscriber, database) as connection:
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(
                        f"CREATE SUBSCRIPTION {identifier(self.label + '_try')} CONNECTION {_literal(self.conninfo)} "
                        f"PUBLICATION {identifier(self.label)} WITH (create_slot = false, enabled = false, "
                        "slot_name = NONE, copy_data = false)".encode()
                    )
            except driver.errors.InsufficientPrivilege as error:
                raise self._not_allowed(one_line(str(error))) from error
            except driver.Error as error:
                raise self._no_way(one_line(str(error))) from error

    def _not_allowed(self, words: str) -> ModuleFailure:
        option = self.subscriber.option
        return ModuleFailure(
            f"The user of the option {option} may not create subscriptions on {self.subscriber}: {words}; "
            "nothing was made.",
            code="PermissionDenied",
            target=option,
            hint=f"GRANT pg_create_subscription TO {identifier(self.subscriber.user)} (version 16 and later) and "
            "CREATE on the database; before that only azure_pg_admin on Azure, or a superuser, may.",
        )

    def _no_way(self, words: str) -> ModuleFailure:
        return ModuleFailure(
            f"{self.subscriber} does not get to {self.publisher}, from which it would have to take the changes: "
            f"{words}; nothing was made.".replace(self.publisher.password or "\0", "***"),
            code="NotReachable",
            target=self.subscriber.option,
            hint="Let the server in (firewall, route, pg_hba.conf), or say in the option replication how it gets "
            "there. mode offline copies through this machine and needs no way between the servers.",
        )

    def publish(self, tables: Sequence[Sequence[str]]) -> None:
        listed = ", ".join(f"ONLY {identifier(*name)}" for name in tables)
        name = identifier(self.label)
        statement = f"CREATE PUBLICATION {name}" + (f" FOR TABLE {listed}" if listed else "")
        with (
            self.publisher_session() as connection,
            sql_errors(self.publisher, f"publish the tables of the database {self.database}"),
            connection.transaction(),
        ):
            connection.execute(f"DROP PUBLICATION IF EXISTS {name}".encode())
            connection.execute(statement.encode())

    def published(self) -> bool:
        with self.publisher_session() as connection:
            return bool(fetch(connection, "SELECT 1 FROM pg_publication WHERE pubname = %s", [self.label]))

    def subscribe(self, *, copy_data: bool) -> None:
        options = f"copy_data = {'true' if copy_data else 'false'}, slot_name = {_literal(self.label)}"
        with (
            self.subscriber_session() as connection,
            sql_errors(self.subscriber, f"subscribe to the changes of the database {self.database}"),
        ):
            connection.execute(
                f"CREATE SUBSCRIPTION {identifier(self.label)} CONNECTION {_literal(self.conninfo)} "
                f"PUBLICATION {identifier(self.label)} WITH ({options})".encode()
            )

    def state(self, subscriber: psycopg.Connection[Any]) -> SubscriptionState | None:
        with sql_errors(self.subscriber, "read the state of the subscription"):
            rows = fetch(subscriber, STATES, [self.label])
        return SubscriptionState(*rows[0]) if rows else None

    def require(self, found: SubscriptionState | None) -> SubscriptionState:
        if found is None:
            raise StreamBroken(
                f"The subscription {self.label} is gone from the database {self.database} on {self.subscriber}.",
                code="SubscriptionGone",
                target=self.subscriber.option,
                hint="Run the task that made the copy again: it starts this database anew.",
            )
        return found

    def look(self, publisher: Any, subscriber: Any, seen: list[int]) -> Look:
        """At the publisher first: one that is gone makes the subscriber's workers fail, and is itself the trouble."""
        confirmed, written = self.positions(publisher)
        found = self.require(self.state(subscriber))
        times = refused(found, confirmed, written, seen)
        if times:
            raise StreamBroken(
                f"Changes of the database {self.database} are refused by {self.subscriber} again and again "
                f"({times} times).",
                code="ApplyFails",
                target=self.subscriber.option,
                hint="The log of the server names the table and the reason: most often a changed definition at the "
                "source, a row that was written on the target, or a full disk. Cancel, and run again.",
            )
        return Look(found, confirmed, written)

    def enable(self, subscriber: psycopg.Connection[Any], *, on: bool) -> None:
        """Off also waits for the worker's end: neither side is to wait for the other's locks."""
        name = identifier(self.label)
        with sql_errors(self.subscriber, "switch the subscription on or off"):
            subscriber.execute(f"ALTER SUBSCRIPTION {name} {'ENABLE' if on else 'DISABLE'}".encode())
            deadline = Deadline(30)
            while not on and fetch(subscriber, WORKERS, [self.label])[0][0]:
                if deadline.over:
                    raise ModuleFailure(
                        f"The worker of the subscription {self.label} does not end on {self.subscriber}.",
                        code="WorkerStays",
                        target=self.subscriber.option,
                        hint="Run again; where it stays, restart the target.",
                    )
                pause(0.02)

    def positions(self, publisher: psycopg.Connection[Any]) -> tuple[int, int]:
        """(applied up to, written up to) in bytes of the publisher's log."""
        with sql_errors(self.publisher, "read the replication slot"):
            rows = fetch(publisher, SLOT, [self.label])
        if not rows:
            raise StreamBroken(
                f"The replication slot {self.label} is gone from {self.publisher}.",
                code="SlotGone",
                target=self.publisher.option,
                hint="Changes since then are lost to this copy: cancel it and run it again.",
            )
        return int(rows[0][0] or 0), int(rows[0][1])

    def mark(self, publisher: psycopg.Connection[Any]) -> int:
        """A position behind all that is committed; the commit also gets to disk what others left to the server."""
        with sql_errors(self.publisher, "mark the end of the log"):
            publisher.execute("SET synchronous_commit = local")
            return int(fetch(publisher, "SELECT (pg_logical_emit_message(true, 'pgflex', '') - '0/0')::bigint")[0][0])

    def catch_up(
        self, publisher: Any, subscriber: Any, position: int, tick: Callable[[], None], timeout: float
    ) -> None:
        deadline = Deadline(timeout)
        flushed = 0.0
        seen: list[int] = []
        while self.positions(publisher)[0] < position:
            if deadline.elapsed >= flushed:
                # The worker reports what is on disk, and leaves getting it there to others: a commit of ours does it.
                subscriber.execute("SET synchronous_commit = local; SELECT pg_logical_emit_message(true, 'pgflex', '')")
                self.look(publisher, subscriber, seen)
                flushed = deadline.elapsed + 0.2
            if deadline.over:
                raise ModuleFailure(
                    f"{self.subscriber} has not caught up with {self.publisher} in the database {self.database} within "
                    f"{timeout:.0f} s.",
                    code="Timeout",
                    target=self.subscriber.option,
                    hint="Nothing is lost: run again when the lag that direct_copy_info shows is small.",
                )
            tick()
            pause(0.02)

    def remove_subscription(self) -> None:
        """Without its slot, so that it goes even where the publisher is out of reach."""
        name = identifier(self.label)
        with self.subscriber_session() as connection, sql_errors(self.subscriber, "drop the subscription"):
            if self.state(connection) is None:
                return
            connection.execute(f"ALTER SUBSCRIPTION {name} DISABLE".encode())
            connection.execute(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)".encode())
            connection.execute(f"DROP SUBSCRIPTION {name}".encode())

    def slots(self, subscriber: psycopg.Connection[Any]) -> str | None:
        """Pattern of the names of the slots with which tables are copied at first; None without a subscription."""
        found = self.state(subscriber)
        if found is None:
            return None
        driver = load_psycopg()
        try:
            server = fetch(subscriber, "SELECT system_identifier::text FROM pg_control_system()")[0][0]
        except driver.errors.InsufficientPrivilege:
            # Another server's subscription can have the same number, but who may not ask has to live with that.
            server = "[0-9]+"
        return f"pg_{found.oid}_sync_[0-9]+_{server}"

    def remove_publication(self, patterns: Sequence[str] = ()) -> None:
        """Slots and publication."""
        pattern = f"^({'|'.join(patterns)})$" if patterns else "^$"
        with self.publisher_session() as connection, sql_errors(self.publisher, "drop the slot and the publication"):
            deadline = Deadline(30)
            while slots := fetch(connection, SLOTS, [self.label, pattern]):
                for name, pid in slots:
                    if pid is None:
                        _drop_slot(connection, name)
                    else:
                        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
                if deadline.over:
                    raise ModuleFailure(
                        f"The replication slot {slots[0][0]} stays in use on {self.publisher}.",
                        code="SlotStays",
                        target=self.publisher.option,
                        hint="End the process that uses it, then run again; a slot that stays fills the disk.",
                    )
                pause(0.05)
            connection.execute(f"DROP PUBLICATION IF EXISTS {identifier(self.label)}".encode())


def _drop_slot(connection: psycopg.Connection[Any], name: str) -> None:
    driver = load_psycopg()
    try:
        connection.execute("SELECT pg_drop_replication_slot(%s)", [name])
    except (driver.errors.UndefinedObject, driver.errors.ObjectInUse):
        # Its process has taken it away, or taken it up again, in between: the next look tells.
        return


def _literal(text: str) -> str:
    quoted = text.replace("'", "''")
    return "'" + quoted + "'" if "\\" not in text else "E'" + quoted.replace("\\", "\\\\") + "'"


IDENTITIES = {"d": "DEFAULT", "n": "NOTHING", "f": "FULL"}


def widened(tables: Sequence[Table]) -> list[list[str]]:
    """[schema, table, what it had, index that serves as well] of those that could not be published as they are."""
    return [
        [table.schema, table.name, table.identity, table.unique_index or ""]
        for table in tables
        if table.replicated and table.lacks_identity
    ]


def widen_statements(rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"ALTER TABLE {identifier(schema, name)} REPLICA IDENTITY "
        + (f"USING INDEX {identifier(index)}" if index else "FULL")
        for schema, name, _before, index in rows
    ]


def restore_statements(rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"ALTER TABLE IF EXISTS {identifier(schema, name)} REPLICA IDENTITY {IDENTITIES.get(before, 'DEFAULT')}"
        for schema, name, before, _index in rows
    ]


def alter_tables(server: Server, database: str, statements: Sequence[str], what: str) -> None:
    """Each waits for its table's lock for a moment only, since everybody else waits behind it."""
    driver = load_psycopg()
    with session(server, database) as connection:
        connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        for statement in statements:
            tries = LOCK_TRIES
            with sql_errors(server, what):
                while True:
                    try:
                        connection.execute(statement.encode())
                        break
                    except driver.errors.LockNotAvailable:
                        tries -= 1
                        if not tries:
                            raise
                        pause(1.0)
