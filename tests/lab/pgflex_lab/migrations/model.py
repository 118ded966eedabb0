# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about one migration; no HTTP, no SQL."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pgflex_lab.arm.ids import ResourceId

MAX_DATABASES = 8


class State(StrEnum):
    IN_PROGRESS = "InProgress"
    WAITING = "WaitingForUserAction"
    CANCELED = "Canceled"
    FAILED = "Failed"
    SUCCEEDED = "Succeeded"
    VALIDATION_FAILED = "ValidationFailed"

    @property
    def final(self) -> bool:
        return self not in (State.IN_PROGRESS, State.WAITING)


class Substate(StrEnum):
    PREREQUISITES = "PerformingPreRequisiteSteps"
    VALIDATION = "ValidationInProgress"
    WAITING_REPLICATION = "WaitingForLogicalReplicationSetupRequestOnSourceDB"
    WAITING_DATABASES = "WaitingForDBsToMigrateSpecification"
    WAITING_OVERWRITE = "WaitingForTargetDBOverwriteConfirmation"
    WAITING_SCHEDULING = "WaitingForDataMigrationScheduling"
    WAITING_WINDOW = "WaitingForDataMigrationWindow"
    MIGRATING = "MigratingData"
    WAITING_CUTOVER = "WaitingForCutoverTrigger"
    COMPLETING = "CompletingMigration"
    COMPLETED = "Completed"
    CANCELING = "CancelingRequestedDBMigrations"


class DatabaseState(StrEnum):
    IN_PROGRESS = "InProgress"
    WAITING_CUTOVER = "WaitingForCutoverTrigger"
    CANCELING = "Canceling"
    CANCELED = "Canceled"
    FAILED = "Failed"
    SUCCEEDED = "Succeeded"

    @property
    def final(self) -> bool:
        return self in (DatabaseState.CANCELED, DatabaseState.FAILED, DatabaseState.SUCCEEDED)


class MigrationFailure(Exception):
    """Ends a database's or the whole migration; the text is what the user reads."""


class Canceled(Exception):
    """The user asked for it."""


@dataclass(frozen=True)
class AppCredentials:
    client_id: str
    tenant_id: str
    secret: str = field(repr=False)


@dataclass
class Order:
    """What the client asked for, in neither generation's spelling. None: left out."""

    source: str | None = None
    source_fqdn: str | None = None
    target_fqdn: str | None = None
    mode: str | None = None
    option: str | None = None
    source_type: str | None = None
    ssl_mode: str | None = None
    migrate_roles: bool | None = None
    databases: list[str] | None = None
    setup_replication: bool | None = None
    overwrite: bool | None = None
    start_data_migration: bool | None = None
    trigger_cutover: bool | None = None
    cutover_databases: list[str] | None = None
    cancel: bool | None = None
    cancel_databases: list[str] | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    runtime_server: str | None = None
    source_user: str | None = None
    target_user: str | None = None
    source_password: str | None = field(default=None, repr=False)
    target_password: str | None = field(default=None, repr=False)
    app: AppCredentials | None = None
    resource_group: str | None = None
    subnet: str | None = None

    @property
    def online(self) -> bool:
        return self.mode == "Online"


@dataclass
class Progress:
    """Measured, in the order the service prints them."""

    fullLoadQueuedTables: int = 0
    fullLoadLoadingTables: int = 0
    fullLoadCompletedTables: int = 0
    fullLoadErroredTables: int = 0
    cdcInsertCounter: int = 0
    cdcUpdateCounter: int = 0
    cdcDeleteCounter: int = 0
    appliedChanges: int = 0
    incomingChanges: int = 0
    latency: int = 0


@dataclass
class Database:
    name: str
    state: DatabaseState = DatabaseState.IN_PROGRESS
    started: datetime | None = None
    ended: datetime | None = None
    message: str = ""
    progress: Progress = field(default_factory=Progress)
    cutover_wanted: bool = False
    cancel_wanted: bool = False
    completing: bool = False


@dataclass
class Migration:
    """Change it only inside `changing()`, which wakes up whoever waits."""

    resource_id: ResourceId
    classic: bool
    order: Order
    location: str
    tags: dict[str, str]
    deadline: float
    window_start: datetime
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    state: State = State.IN_PROGRESS
    substate: Substate = Substate.PREREQUISITES
    error: str = ""
    databases: dict[str, Database] = field(default_factory=dict)
    validation: dict[str, Any] | None = None
    window_end: datetime | None = None
    cancel_wanted: bool = False
    deleted: bool = False
    _condition: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))

    @property
    def name(self) -> str:
        return self.resource_id.name

    @property
    def target_id(self) -> ResourceId:
        return self.resource_id.parent

    @contextmanager
    def changing(self) -> Iterator[None]:
        with self._condition:
            yield
            self._condition.notify_all()

    def enter(self, substate: Substate, state: State = State.IN_PROGRESS) -> None:
        with self.changing():
            self.state, self.substate = state, substate

    def finish(self, state: State, error: str = "") -> None:
        with self.changing():
            self.state, self.substate, self.error = state, Substate.COMPLETED, error
            self.window_end = datetime.now(UTC)

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Until `done()`, a cancel or the end of that time; tells whether it is done."""
        with self._condition:
            self._condition.wait_for(lambda: self.cancel_wanted or done(), timeout=max(0.0, seconds))
            if self.cancel_wanted:
                raise Canceled
            return done()

    def pause(self, seconds: float) -> None:
        self.wait(lambda: False, seconds)
