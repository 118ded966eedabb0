# SPDX-License-Identifier: GPL-3.0-or-later
"""The shop's application: writes all the time, follows the database when it moves, and remembers what was acknowledged.

It reads lines of JSON from its standard input, so that passwords appear in no argument list and no file: first
`{"source": {...}}`, later `{"target": {...}}` when the application is pointed at the new server; end of input ends it.
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg

from journal import Journal, Side

DEFAULT_RATE = 150
RECONNECT_SECONDS = 0.1
LATE_SECONDS = 0.5
READ_ONLY = "25006"

Connection = psycopg.Connection[tuple[Any, ...]]


class Commands:
    """What the standard input says, kept by a thread because reading it blocks."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._target: dict[str, Any] | None = None
        self.ended = threading.Event()
        self.moved = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            said = json.loads(line)
            if "target" in said:
                self._target = said["target"]
                self.moved.set()
            else:
                self._lines.put(said)
        self.ended.set()
        self.moved.set()

    def source(self) -> dict[str, Any]:
        source: dict[str, Any] = self._lines.get()["source"]
        return source

    def target(self) -> dict[str, Any] | None:
        """Waits until the application is pointed at the target; None when the input ended before."""
        self.moved.wait()
        return None if self.ended.is_set() else self._target


class Writer:
    def __init__(self, journal: Journal, rate: float) -> None:
        self._journal = journal
        self._gap = 1 / rate
        self._number = 0
        self._due = time.monotonic()

    def write_to(self, side: Side, server: dict[str, Any], leave: threading.Event) -> None:
        """Writes until told to leave or, at the source, until the database is read-only."""
        while not leave.is_set():
            try:
                with psycopg.connect(**server, connect_timeout=5, application_name="shop") as connection:
                    if self._is_read_only(connection):
                        if side == "source":
                            self._journal.note("read_only", side)
                            return
                        leave.wait(RECONNECT_SECONDS)
                    else:
                        self._stay(connection, side, leave)
            except psycopg.OperationalError:
                # Restarts, ended sessions, fail-overs: an application connects again.
                leave.wait(RECONNECT_SECONDS)

    @staticmethod
    def _is_read_only(connection: Connection) -> bool:
        row = connection.execute("SHOW transaction_read_only").fetchone()
        connection.rollback()
        return row == ("on",)

    def _stay(self, connection: Connection, side: Side, leave: threading.Event) -> None:
        while not (leave.is_set() or connection.broken):
            self._pace()
            self._number += 1
            if self._attempt(connection, side) == READ_ONLY:
                return

    def _pace(self) -> None:
        now = time.monotonic()
        # After a pause the lost time is not made up for: users do not click twice as fast.
        self._due = self._due + self._gap if now - self._due < LATE_SECONDS else now
        time.sleep(max(0.0, self._due - now))

    def _attempt(self, connection: Connection, side: Side) -> str | None:
        """One transaction; answers the SQLSTATE when it was refused."""
        committing = False
        self._journal.note("tried", side, self._number)
        try:
            write(connection, self._number)
            committing = True
            connection.commit()
        except psycopg.Error as error:
            if committing and connection.broken:
                self._journal.note("unknown", side, self._number)
            else:
                expected = connection.broken or error.sqlstate == READ_ONLY
                reason = error.diag.message_primary or str(error)
                self._journal.note("interrupted" if expected else "rejected", side, self._number, reason)
            if not connection.broken:
                connection.rollback()
            return error.sqlstate
        self._journal.note("acknowledged", side, self._number)
        return None


def write(connection: Connection, number: int) -> None:
    """The statements of transaction `number`. `proof.py` knows what each leaves behind: change both together."""
    run = connection.execute
    run(
        "INSERT INTO audit.access_log (at, request, path, client, seconds, writer_no)"
        " VALUES (clock_timestamp(), gen_random_uuid(), '/order', '10.9.8.7', random(), %s)",
        [number],
    )
    run("UPDATE audit.counters SET hits = hits + 1 WHERE slot = %s", [number % 16])
    match number % 10:
        case 0 | 1 | 2 | 3 | 4:
            _order(connection, number)
        case 5:
            run(
                "UPDATE sales.customers SET credit = credit + 1.25, scores = scores || 7,"
                " updated_at = clock_timestamp(), profile = jsonb_set(profile, '{visits}', to_jsonb(%s::bigint))"
                " WHERE id = %s",
                [number, number % 1000 + 1],
            )
        case 6:
            run("UPDATE catalog.products SET stock = stock - 1 WHERE id = %s", [number % 299 + 1])
        case 7:
            run("DELETE FROM sales.orders WHERE writer_no = %s", [number - 7])
        case 8 if number % 20 == 8:
            run(
                "UPDATE audit.access_log SET hits = hits + 1 WHERE request = md5('request' || %s)::uuid",
                [number % 6000],
            )
        case 8:
            run("DELETE FROM audit.access_log WHERE request = md5('request' || %s)::uuid", [6000 + number // 20 % 6000])
        case _:
            _sign_up(connection, number)


def _order(connection: Connection, number: int) -> None:
    # One in ten belongs to the default partition: 2026 has none of its own yet.
    day = "2026-01-15" if number % 10 == 4 else "2025-12-01"
    row = connection.execute(
        "INSERT INTO sales.orders (ordered_at, customer_id, note, writer_no)"
        " VALUES (%s::timestamptz + %s * interval '1 second', %s, 'now', %s) RETURNING id, ordered_at",
        [day, number % 80000, number % 1000 + 1, number],
    ).fetchone()
    assert row is not None
    for line in range(1, 2 + number % 3):
        connection.execute(
            "INSERT INTO sales.order_lines VALUES (%s, %s, %s, %s, %s, 9.99)",
            [*row, line, (number * 3 + line) % 299 + 1, line],
        )
    if number % 5 == 1:
        connection.execute(
            "INSERT INTO sales.payments (method, order_id, ordered_at, amount, reference, answer, paid_at)"
            " VALUES ((ARRAY['card', 'invoice', 'cash'])[%s], %s, %s, 9.99, gen_random_uuid(), '{\"ok\": true}',"
            " clock_timestamp())",
            [number % 3 + 1, *row],
        )


def _sign_up(connection: Connection, number: int) -> None:
    row = connection.execute(
        "INSERT INTO sales.customers (public_id, email, full_name, home, created_at, updated_at)"
        " VALUES (gen_random_uuid(), %s, 'New Ÿ', ROW('Weg 1', '1', 'Ulm', 'DE'), clock_timestamp(), clock_timestamp())"
        " RETURNING id",
        [f"writer{number}@example.com"],
    ).fetchone()
    assert row is not None
    connection.execute(
        "INSERT INTO sales.carts VALUES (gen_random_uuid(), %s, jsonb_build_array(nextval('sales.invoice_number_seq')),"
        " clock_timestamp())",
        row,
    )
    connection.execute(
        'UPDATE "Back Office"."Mitarbeiter Übersicht" SET "say ""hi""" = %s WHERE "Nr." = %s',
        [f"hi {number}", number % 2000 + 1],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=DEFAULT_RATE, help="transactions a second")
    options = parser.parse_args()
    commands = Commands()
    journal = Journal(options.journal)
    writer = Writer(journal, options.rate)
    writer.write_to("source", commands.source(), commands.moved)
    target = commands.target()
    if target is not None:
        writer.write_to("target", target, commands.ended)
    journal.close()


if __name__ == "__main__":
    main()
