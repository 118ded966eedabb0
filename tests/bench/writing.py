# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that writes all the time, and goes over to the target when it is told that it may."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
from dataset import DATABASE

from postgres_versions.cluster import Cluster

EVERY = 1 / 300
STATEMENTS = (
    "UPDATE customers SET balance = balance + 1 WHERE id = %(n)s %% 100000 + 1",
    "INSERT INTO events VALUES (100000000 + %(n)s, %(n)s %% 1000, now(), 'buy', %(n)s, '{{}}', 'live')",
    "UPDATE orders SET state = 'sent', total = %(n)s WHERE id = %(n)s %% 100000 + 1",
)


class Writer:
    def __init__(self, source: Cluster, target: Cluster) -> None:
        self.source, self.target = source, target
        self.stop, self.may_move = threading.Event(), threading.Event()
        self.last_at_source = self.first_at_target = 0.0
        self.written = 0
        self.began = time.monotonic()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join()

    @property
    def downtime(self) -> float:
        return self.first_at_target - self.last_at_source

    @property
    def rate(self) -> float:
        return self.written / max(0.001, self.last_at_source - self.began)

    def _work(self) -> None:
        try:
            self._write_to_source(psycopg.connect(**self._arguments(self.source)))
        except psycopg.Error:
            self._go_to_target()

    @staticmethod
    def _arguments(cluster: Cluster) -> dict[str, Any]:
        # An ordinary role: sessions of a superuser may go on after the source has been closed.
        return {**cluster.arguments("mover"), "dbname": DATABASE, "autocommit": True, "application_name": "shop"}

    def _write_to_source(self, connection: psycopg.Connection[Any]) -> None:
        while not self.stop.is_set():
            connection.execute(STATEMENTS[self.written % len(STATEMENTS)].replace("{{}}", "{}"), {"n": self.written})
            self.written += 1
            self.last_at_source = time.monotonic()
            behind = self.began + self.written * EVERY - time.monotonic()
            if behind > 0:
                self.stop.wait(behind)

    def _go_to_target(self) -> None:
        self.may_move.wait()
        with psycopg.connect(**self._arguments(self.target)) as connection:
            connection.execute("UPDATE probe SET n = n + 1")
        self.first_at_target = time.monotonic()
