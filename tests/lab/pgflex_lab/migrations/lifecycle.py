# SPDX-License-Identifier: GPL-3.0-or-later
"""One migration from its prerequisites to its end, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import psycopg

from pgflex_lab.clusters import ClusterError
from pgflex_lab.migrations import access, copy_offline, copy_online, enabling, roles, validation
from pgflex_lab.migrations.endpoints import Endpoint, resolve, source_resource
from pgflex_lab.migrations.job import Job
from pgflex_lab.migrations.model import (
    Canceled,
    Database,
    DatabaseState,
    Migration,
    MigrationFailure,
    State,
    Substate,
)
from pgflex_lab.postgres_programs import ProgramFailed

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

# Azure's seconds.
PREREQUISITES = 480.0
VALIDATION = 30.0
RESTART = 150.0
LIFETIME = 7 * 86400.0
CUTOVER_WINDOW = 72 * 3600.0

SERVICE_ERRORS = (psycopg.Error, ProgramFailed, ClusterError, OSError)


class Runner:
    def __init__(self, lab: Lab, migration: Migration) -> None:
        self._lab = lab
        self._migration = migration
        self._order = migration.order
        self._source: Endpoint | None = None
        self._target: Endpoint | None = None
        self.thread = threading.Thread(target=self._run, name=f"migration {migration.name}", daemon=True)

    def _run(self) -> None:
        migration = self._migration
        try:
            self._steps()
        except Canceled:
            migration.finish(State.CANCELED)
        except MigrationFailure as failure:
            migration.finish(State.FAILED, str(failure))
        except SERVICE_ERRORS as error:
            migration.finish(State.FAILED, f"603700: {str(error).strip()}")
        finally:
            if not migration.state.final:
                migration.finish(State.FAILED, "603700: Internal error of the migration service.")

    def _scaled(self, azure_seconds: float) -> float:
        return self._lab.clock.scaled(azure_seconds)

    def _steps(self) -> None:
        order, migration = self._order, self._migration
        migration.pause(self._scaled(PREREQUISITES))
        if migration.classic:
            access.check_application(self._lab, migration)
        if order.online and order.option != "Validate":
            self._ensure_replication()
        self._wait(Substate.WAITING_DATABASES, lambda: bool(order.databases))
        if not self._validated():
            return
        if order.option == "Validate":
            migration.finish(State.SUCCEEDED)
            return
        source, target = self._endpoints()
        self._wait(
            Substate.WAITING_OVERWRITE, lambda: bool(order.overwrite), unless=not validation.taken(order, target)
        )
        self._wait(Substate.WAITING_SCHEDULING, lambda: order.start_data_migration is not False)
        self._await_window()
        if not order.migrate_roles:
            self._copy(source, target)
            return
        roles.copy_roles(source, target)
        name = roles.stand_in(source, target)
        try:
            self._copy(source, target)
        finally:
            roles.hand_over(target, name, target.role(), order.databases or [])

    def _endpoints(self) -> tuple[Endpoint, Endpoint]:
        """Looked up once: before the validation whatever is wrong with them is its finding."""
        if self._source is None or self._target is None:
            resource = self._lab.store.require(self._migration.target_id)
            self._source, self._target = resolve(self._lab, self._order, resource, classic=self._migration.classic)
        return self._source, self._target

    def _wait(self, substate: Substate, done: Callable[[], bool], *, unless: bool = False) -> None:
        if unless or done():
            return
        self._migration.enter(substate, State.WAITING)
        if not self._migration.wait(done, self._time_left()):
            raise MigrationFailure("The migration was not finished within 7 days of its creation.")
        self._migration.enter(Substate.PREREQUISITES)

    def _time_left(self) -> float:
        return self._migration.deadline - self._lab.clock.monotonic()

    def _await_window(self) -> None:
        migration = self._migration
        seconds = (migration.window_start - self._lab.clock.now()).total_seconds()
        if seconds > 0:
            migration.enter(Substate.WAITING_WINDOW)
            migration.wait(lambda: migration.window_start <= self._lab.clock.now(), seconds)

    def _ensure_replication(self) -> None:
        """Only a Single Server is switched by the service; for others it is a finding of the validation."""
        resource = source_resource(self._lab, self._order)
        if resource is None or not resource.type.lower().endswith("/servers"):
            return
        cluster = self._lab.clusters.get(str(resource.internal["cluster"]))
        if cluster.parameter("wal_level") == "logical":
            return
        self._wait(Substate.WAITING_REPLICATION, lambda: bool(self._order.setup_replication))
        if cluster.parameter("wal_level") != "logical":
            enabling.enable_replication(self._lab, resource)
            self._migration.pause(self._scaled(RESTART))

    def _validated(self) -> bool:
        """With a validation option the findings end in its report, otherwise the first one is the error."""
        migration, order = self._migration, self._order
        report = order.option in ("Validate", "ValidateAndMigrate") and not migration.classic
        if report:
            migration.enter(Substate.VALIDATION)
            migration.pause(self._scaled(VALIDATION))
        result = validation.validate(self._lab, order, self._lab.store.require(migration.target_id), self._endpoints)
        if report:
            with migration.changing():
                migration.validation = result.rendered()
            if result.failed:
                migration.finish(State.VALIDATION_FAILED)
        elif result.failed:
            raise MigrationFailure("; ".join(result.failures()))
        return not result.failed

    def _copy(self, source: Endpoint, target: Endpoint) -> None:
        migration = self._migration
        databases = {name: Database(name) for name in self._order.databases or []}
        with migration.changing():
            migration.databases = databases
            for item in databases.values():
                item.cutover_wanted = bool(self._order.trigger_cutover)
        migration.enter(Substate.MIGRATING)
        turn = threading.Lock()
        owner = target.role()
        work = self._lab.settings.home / "work"
        jobs = [
            Job(migration, item, source, target, self._lab.clusters.programs, work, turn, owner)
            for item in databases.values()
        ]
        threads = [
            threading.Thread(target=self._run_job, args=(job,), name=f"copy {job.name}", daemon=True) for job in jobs
        ]
        for thread in threads:
            thread.start()
        try:
            self._supervise(databases)
        finally:
            with migration.changing():
                for item in databases.values():
                    item.cancel_wanted = item.cancel_wanted or not item.state.final
            for thread in threads:
                thread.join()
        self._conclude(databases)

    def _run_job(self, job: Job) -> None:
        copy = copy_online.copy if self._order.online else copy_offline.copy
        try:
            job.check()
            job.enter(DatabaseState.IN_PROGRESS)
            copy(job)
            job.enter(DatabaseState.SUCCEEDED)
        except Canceled:
            job.enter(DatabaseState.CANCELED)
        except MigrationFailure as failure:
            job.enter(DatabaseState.FAILED, str(failure))
        except psycopg.errors.QueryCanceled as error:
            job.enter(DatabaseState.CANCELED if job.canceled else DatabaseState.FAILED, str(error).strip())
        except SERVICE_ERRORS as error:
            job.enter(DatabaseState.FAILED, f"603700: {str(error).strip()}")
        finally:
            if not job.database.state.final:
                job.enter(DatabaseState.FAILED, "603700: Internal error of the migration service.")

    def _supervise(self, databases: dict[str, Database]) -> None:
        """The migration's own state follows from those of its databases."""
        migration = self._migration
        window_end: float | None = None
        while not all(item.state.final for item in databases.values()):
            state, substate = _summary(list(databases.values()))
            if (migration.state, migration.substate) != (state, substate):
                migration.enter(substate, state)
            if substate == Substate.WAITING_CUTOVER and window_end is None:
                window_end = self._lab.clock.monotonic() + self._scaled(CUTOVER_WINDOW)
            now = self._lab.clock.monotonic()
            if substate == Substate.WAITING_CUTOVER and window_end is not None and now > window_end:
                raise MigrationFailure("The cutover was not triggered within 72 hours of the base copy.")
            if self._time_left() <= 0:
                raise MigrationFailure("The migration was not finished within 7 days of its creation.")
            self._until_change(databases, (state, substate))

    def _until_change(self, databases: dict[str, Database], known: tuple[State, Substate]) -> None:
        self._migration.wait(lambda: _summary(list(databases.values())) != known, 0.5)

    def _conclude(self, databases: dict[str, Database]) -> None:
        states = [item.state for item in databases.values()]
        if DatabaseState.FAILED in states:
            failed = [item for item in databases.values() if item.state == DatabaseState.FAILED]
            self._migration.finish(State.FAILED, "; ".join(f"{item.name}: {item.message}" for item in failed))
        elif all(state == DatabaseState.CANCELED for state in states):
            self._migration.finish(State.CANCELED)
        else:
            self._migration.finish(State.SUCCEEDED)


def _summary(databases: list[Database]) -> tuple[State, Substate]:
    active = [item for item in databases if not item.state.final]
    if any(item.state == DatabaseState.CANCELING for item in active):
        return State.IN_PROGRESS, Substate.CANCELING
    if any(item.completing for item in active):
        return State.IN_PROGRESS, Substate.COMPLETING
    if any(item.state == DatabaseState.IN_PROGRESS for item in active) or not active:
        return State.IN_PROGRESS, Substate.MIGRATING
    return State.WAITING, Substate.WAITING_CUTOVER
