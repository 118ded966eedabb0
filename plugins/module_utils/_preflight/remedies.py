# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each remedy would change: none of these functions writes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .._errors import ModuleFailure
from .._server.parameters import items
from .._source.replication import lacking, read_facts
from .configuration import KEEPALIVES, LOCAL_SSD, ON, TIMEOUTS
from .data import NO_IDENTITY
from .extensions import ALLOW_LIST, LIBRARY_LIST, not_allowed, not_loaded
from .rules import REMEDIES, SOURCE, TARGET, AzureFacts, Facts, Job, Look
from .session import MAINTENANCE, session
from .steps import KINDS, Bench, Step

SINGLE = "PostgreSQLSingleServer"


class Planner:
    """One method for each remedy, by its name; each gives the steps that are still to be done."""

    def __init__(self, bench: Bench, azure: AzureFacts, slots: Sequence[str]) -> None:
        self.bench = bench
        self.azure = azure
        self.slots = slots

    @property
    def job(self) -> Job:
        return self.bench.job

    @property
    def facts(self) -> dict[str, Facts]:
        return self.bench.facts

    def plan(self, names: Sequence[str]) -> list[Step]:
        for side in (SOURCE, TARGET):
            if side not in self.facts:
                raise ModuleFailure(
                    f"No remedy can be applied: the {side} server can not be looked at.",
                    code="NotReachable",
                    hint="Run without remedies to see why, and mend that first.",
                )
        # In the order in which they are listed, not named: a second run has to plan the same.
        return [step for name in REMEDIES if name in names for step in getattr(self, name)()]

    def _databases(self) -> list[str]:
        return [name for name in self.job.databases if name in self.facts[SOURCE].databases]

    def _each_database(self, work: Callable[[Look], list[str]]) -> Iterator[tuple[str, str]]:
        for name in self._databases():
            with session(self.job.source, name) as connection:
                for found in work(Look(self.job, self.facts, self.azure, SOURCE, name, connection)):
                    yield name, found

    def _step(self, kind: str, side: str, thing: str, after: str | None, **more: Any) -> Step:
        asked = Step(kind=kind, side=side, object=thing, before=None, after=after, **{"database": None, **more})
        return Step(**{**asked.as_result(), "before": KINDS[kind].read(self.bench, asked)})

    def _parameter(self, side: str, name: str, value: str, remedy: str) -> Step:
        parameter = self.bench.parameter(side, name, remedy)
        return self._step("parameter", side, parameter.name, value, remedy=remedy, restart=parameter.needs_restart)

    def _longer_list(self, name: str, wanted: list[str], remedy: str) -> Iterator[Step]:
        """The parameter of the target with more items, of those that the service offers."""
        if not wanted:
            return
        parameter = self.bench.parameter(TARGET, name, remedy)
        offered = {choice.lower() for choice in parameter.choices}
        there = items(parameter.value)
        known = {item.lower() for item in there}
        added = [item for item in wanted if item.lower() not in known and (not offered or item.lower() in offered)]
        if added:
            yield self._parameter(TARGET, name, ",".join([*there, *added]), remedy)

    def allow_extensions(self) -> Iterator[Step]:
        wanted = list(dict.fromkeys(name for _database, name in self._each_database(not_allowed)))
        yield from self._longer_list(ALLOW_LIST, wanted, "allow_extensions")

    def preload_libraries(self) -> Iterator[Step]:
        wanted = list(dict.fromkeys(name for _database, name in self._each_database(not_loaded)))
        yield from self._longer_list(LIBRARY_LIST, wanted, "preload_libraries")

    def logical_replication(self) -> Iterator[Step]:
        remedy = "logical_replication"
        lacks = [
            lack
            for lack in lacking(read_facts(self.job.source, MAINTENANCE), len(self.job.databases))
            if lack.name in ("wal_level", "max_replication_slots", "max_wal_senders")
        ]
        if self.job.source_type == SINGLE:
            parameter = self.bench.parameter(SOURCE, "azure.replication_support", remedy)
            if lacks and parameter.value.upper() != "LOGICAL":
                yield self._parameter(SOURCE, parameter.name, "LOGICAL", remedy)
            return
        for lack in lacks:
            value = lack.needed.split()[0]
            if self.job.in_azure:
                step = self._parameter(SOURCE, lack.name, value, remedy)
            elif self.facts[SOURCE].superuser:
                step = self._step("system", SOURCE, lack.name, value, remedy=remedy, restart=True)
            else:
                raise ModuleFailure(
                    f"The remedy {remedy} needs a superuser for ALTER SYSTEM, and {self.facts[SOURCE].user} is none: "
                    f"{' '.join(each.remedy for each in lacks)}",
                    code="SuperuserNeeded",
                    target=SOURCE,
                    hint="Do this at the source and restart it, and leave the remedy out.",
                )
            if step.before != step.after:
                yield step

    def replica_identity(self) -> Iterator[Step]:
        for database, table in self._each_database(lambda look: look.names(NO_IDENTITY)):
            more = {"remedy": "replica_identity", "database": database}
            yield self._step("replica_identity", SOURCE, table, "FULL", **more)

    def timeouts(self) -> Iterator[Step]:
        sql = "SELECT name::text FROM pg_settings WHERE name = ANY (%s) AND reset_val <> '0' ORDER BY 1"
        found = {name for _database, name in self._each_database(lambda look: look.names(sql, list(TIMEOUTS)))}
        wanted = dict.fromkeys(sorted(found), "0")
        wanted |= {name: str(value) for name, value in KEEPALIVES.items() if self.facts[SOURCE].number(name) != value}
        for name, value in wanted.items():
            yield self._step("role_setting", SOURCE, f"{self.bench.user}.{name}", value, remedy="timeouts")

    def temp_tablespaces(self) -> Iterator[Step]:
        remedy = "temp_tablespaces"
        if self.bench.parameter(TARGET, LOCAL_SSD, remedy).value.lower() in ON:
            yield self._parameter(TARGET, LOCAL_SSD, "off", remedy)

    def signal_backend(self) -> Iterator[Step]:
        sql = "SELECT session_user::text WHERE NOT pg_has_role(session_user, 'pg_signal_backend', 'MEMBER')"
        for (user,) in self.bench.ask(TARGET, None, sql):
            yield self._step("membership", TARGET, user, "member", remedy="signal_backend")

    def drop_slots(self) -> Iterator[Step]:
        if not self.slots:
            raise ModuleFailure(
                "The remedy drop_slots drops the replication slots that you name, and none is named.",
                code="NoSlots",
                hint="Name them in the option slots; the findings of the rule inactive_slots tell which there are.",
            )
        rows = dict(self.bench.ask(SOURCE, None, "SELECT slot_name::text, active FROM pg_replication_slots"))
        for name in dict.fromkeys(self.slots):
            if rows.get(name):
                raise ModuleFailure(
                    f"The replication slot {name} is in use and is not dropped; nothing was changed.",
                    code="SlotInUse",
                    target=SOURCE,
                    hint="Stop what uses it, or take it out of the option slots.",
                )
            if name in rows:
                yield self._step("slot", SOURCE, name, None, remedy="drop_slots")

    def read_only_source(self) -> Iterator[Step]:
        if self.job.online:
            raise ModuleFailure(
                "The remedy read_only_source is for an offline migration: an online one goes on with writes to it.",
                code="NotSupported",
                hint="Leave the remedy out; the cutover makes the source read-only.",
            )
        for name in self._databases():
            step = self._step("read_only", SOURCE, name, "on", remedy="read_only_source")
            if step.before != step.after:
                yield step
