# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what the writer was told with what a server holds: no acknowledged write lost, none applied twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from journal import Record

Connection = psycopg.Connection[tuple[Any, ...]]

# Writes 0 to 4 of every ten make an order; the one of write 0 is deleted by write 7.
ORDERING = range(5)
EXAMPLES = 5


@dataclass
class Proof:
    acknowledged: int
    found: int
    # Transactions whose COMMIT was never answered: they may be there or not, but only whole.
    unanswered: int
    unanswered_found: int
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.problems and self.found == self.acknowledged > 0


def prove(connection: Connection, record: Record) -> Proof:
    logged = _counts(connection, "SELECT writer_no FROM audit.access_log")
    acknowledged = set(record.acknowledged)
    done = acknowledged | (record.unknown & set(logged))
    proof = Proof(
        acknowledged=len(acknowledged),
        found=len(acknowledged & set(logged)),
        unanswered=len(record.unknown),
        unanswered_found=len(done - acknowledged),
    )
    for table, wanted, found in (
        ("audit.access_log", Counter(done), logged),
        ("audit.counters", Counter(n % 16 for n in done), _counters(connection)),
        ("sales.orders", _orders(done), _counts(connection, "SELECT writer_no FROM sales.orders")),
        ("sales.order_lines", _lines(done), _counts(connection, _LINES)),
        ("sales.payments", _payments(done), _counts(connection, _PAYMENTS)),
        ("sales.customers", Counter(n for n in done if n % 10 == 9), _counts(connection, _CUSTOMERS)),
    ):
        proof.problems += _differences(table, wanted, found)
    return proof


_JOINED = "JOIN sales.orders AS o ON (o.id, o.ordered_at) = (x.order_id, x.ordered_at)"
_LINES = f"SELECT o.writer_no FROM sales.order_lines AS x {_JOINED}"
_PAYMENTS = f"SELECT o.writer_no FROM sales.payments AS x {_JOINED}"
_CUSTOMERS = (
    "SELECT substring(email FROM '^writer([0-9]+)@')::bigint AS writer_no"
    " FROM sales.customers WHERE email LIKE 'writer%'"
)


def _orders(done: set[int]) -> Counter[int]:
    return Counter(n for n in done if n % 10 in ORDERING and not (n % 10 == 0 and n + 7 in done))


def _lines(done: set[int]) -> Counter[int]:
    return Counter({n: 1 + n % 3 for n in _orders(done)})


def _payments(done: set[int]) -> Counter[int]:
    return Counter(n for n in _orders(done) if n % 5 == 1)


def _counters(connection: Connection) -> Counter[int]:
    return Counter(dict(_pairs(connection, "SELECT slot, hits FROM audit.counters WHERE hits <> 0")))


def _counts(connection: Connection, query: str) -> Counter[int]:
    grouped = f"SELECT writer_no, count(*) FROM ({query}) AS q WHERE writer_no IS NOT NULL GROUP BY 1"
    return Counter(dict(_pairs(connection, grouped)))


def _pairs(connection: Connection, query: str) -> Iterable[tuple[int, int]]:
    return [(int(key), int(value)) for key, value in connection.execute(query.encode())]


def _differences(table: str, wanted: Counter[int], found: Counter[int]) -> list[str]:
    wrong = sorted(key for key in wanted | found if wanted[key] != found[key])
    listed = [f"{table}: {found[key]} instead of {wanted[key]} for write {key}" for key in wrong[:EXAMPLES]]
    return listed + ([f"{table}: {len(wrong) - EXAMPLES} more"] if len(wrong) > EXAMPLES else [])
