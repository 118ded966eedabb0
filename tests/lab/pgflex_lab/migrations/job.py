# SPDX-License-Identifier: GPL-3.0-or-later
"""The work on one database, as the copy engines see it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pgflex_lab.migrations.endpoints import Connection, Endpoint
from pgflex_lab.migrations.model import Canceled, Database, DatabaseState, Migration
from pgflex_lab.postgres_programs import Programs


@dataclass
class Job:
    migration: Migration
    database: Database
    source: Endpoint
    target: Endpoint
    programs: Programs
    work: Path
    copy_turn: threading.Lock
    """Base copies of one migration run one after the other: their slots fit into the source's ten."""
    owner: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.database.name

    @property
    def canceled(self) -> bool:
        return self.database.cancel_wanted or self.migration.cancel_wanted

    def check(self) -> None:
        if self.canceled:
            raise Canceled

    def pause(self, seconds: float) -> None:
        self.migration.wait(lambda: self.canceled, seconds)
        self.check()

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """`done` looks at the migration only; a change of it wakes up."""
        self.migration.wait(lambda: self.canceled or done(), seconds)
        self.check()
        return done()

    def enter(self, state: DatabaseState, message: str = "") -> None:
        with self.migration.changing():
            self.database.state = state
            self.database.message = message
            self.database.started = self.database.started or datetime.now(UTC)
            if state.final:
                self.database.ended = datetime.now(UTC)

    def measured(self, **counters: int) -> None:
        with self.migration.changing():
            for name, value in counters.items():
                setattr(self.database.progress, name, value)

    @contextmanager
    def turn(self) -> Iterator[None]:
        while not self.copy_turn.acquire(timeout=0.1):
            self.check()
        try:
            yield
        finally:
            self.copy_turn.release()

    @contextmanager
    def directory(self) -> Iterator[Path]:
        """A private place for dumps, gone afterwards."""
        path = self.work / f"{self.migration.id}-{abs(hash(self.name)):x}"
        path.mkdir(mode=0o700, parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def interruptible(self, connection: Connection) -> Iterator[Connection]:
        """A cancel of the migration ends the statement that runs on the connection."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                if self.canceled:
                    connection.cancel_safe(timeout=2)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield connection
        finally:
            over.set()
            watcher.join()
