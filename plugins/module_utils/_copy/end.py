# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a copy ends: its cutover, its cancel, and the way back that can be kept open after the cutover."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from .._base import PgflexModule, State
from .._errors import ModuleFailure
from .._migration.gate import refusals
from .._postgres import Server, connect, identifier, sql_errors
from .._source.activity import client_sessions, who, writers
from .._source.read_only import ReadOnlySource
from .._source.replication import lacking, not_ready, read_facts
from .catalog import fetch
from .engine import WAITING, Engine, over
from .job import Job, Options, end_workers, run_each, session
from .ledger import Copy, DatabaseCopy, now
from .leftovers import held, undumped
from .online import UNKNOWN, drop_subscription, forward, label_of, measure
from .programs import find_programs
from .schema import copy_settings, drop_database, grant, owner_statements, set_owners
from .stream import Stream, StreamBroken, alter_tables, conninfo, restore_statements
from .switch import Side, all_ready, get_ready, refuse_writers, switch, turned

NO_WINDOW = 1e6
# Of the settings of a copy: there as long as a cutover has begun and not ended.
LOCKED = "locked"
# What the way back is called, behind the name of the way to the target.
BACK = "_back"


class Ending(Engine):
    """Options of the modules that end a copy; nothing of how it was made has to be given again."""

    def require(self) -> Copy:
        return self.ledger.require(self.name)

    def bare_job(self, copy: Copy, row: DatabaseCopy) -> Job:
        with connect(self.from_server, row.name) as connection:
            version = connection.info.server_version // 10000
        programs = find_programs(
            self.params.get("programs"), version, self.ledger.connection.info.server_version // 10000
        )
        options = Options.from_settings(copy.settings)
        return Job(copy, row, self.from_server, self.target, self.ledger, options, self.report, Path(), programs)

    def measured(self, copy: Copy) -> Copy:
        """With fresh counters, where changes are being followed."""
        for row in self._following(copy):
            self._measure(copy, row)
        return copy

    def looked_at(self, copy: Copy) -> Copy:
        """The same, where what does not arrive any more is said and no failure."""
        for row in self._following(copy):
            try:
                self._measure(copy, row)
            except StreamBroken as broken:
                row.message = broken.message
                row.counters.pop("latency", None)
        return copy

    def _following(self, copy: Copy) -> list[DatabaseCopy]:
        return [row for row in copy.databases if row.state == WAITING and self.source is not None]

    def _measure(self, copy: Copy, row: DatabaseCopy) -> None:
        stream = forward(self.from_server, self.target, copy, row)
        with stream.publisher_session() as source, stream.subscriber_session() as target:
            measure(stream, row, source, target)

    def _drop_ways(self, ways: Sequence[Stream]) -> None:
        for way in ways:
            _drop_way(way)
            let_write(self.from_server, way.database, on=False)

    def unlock(self, names: Sequence[str]) -> None:
        """Lets the source be written to again."""
        if names:
            with contextlib.closing(ReadOnlySource(self.from_server, names, ())) as guard:
                guard.unlock()


class Step(Ending, ABC):
    """One of them: what it aims at, and doing it."""

    # What else may be written at the source.
    notes: Sequence[str] = ()

    @abstractmethod
    def aim(self, copy: Copy) -> dict[str, Any]: ...

    @abstractmethod
    def run(self) -> Copy: ...


class Cutover(Step):
    # Sessions at the source that stay signed in.
    kept: Sequence[dict[str, Any]] = ()

    def chosen(self, copy: Copy) -> list[DatabaseCopy]:
        wanted = self.params["databases"] or [row.name for row in copy.databases]
        unknown = sorted(set(wanted) - {row.name for row in copy.databases})
        if unknown:
            raise ModuleFailure(
                f"The copy {copy.name} has no database {', '.join(unknown)}: check the option databases.",
                code="UnknownDatabase",
            )
        return [row for row in copy.databases if row.name in wanted and not over(row)]

    def refuse(self, copy: Copy) -> None:
        """All reasons against it at once, before anything is changed."""
        if copy.mode == "offline":
            raise ModuleFailure(
                f"The copy {copy.name} is offline: it has no cutover, it ends by itself.", code="CutoverRefused"
            )
        if copy.state in ("Failed", "Canceled"):
            raise ModuleFailure(
                f"The copy {copy.name} has ended ({copy.state}); it can not be cut over.",
                code="CutoverRefused",
                hint="Run the task that made it again.",
            )
        names = [row.name for row in self.chosen(copy)]
        if self.params["keep_reverse_replication"]:
            for_way_back(self.from_server, self.target, [row for row in copy.databases if row.name in names])
        found: list[str] = []
        if not self.params["source_read_only"] and not self.params["writers_stopped"]:
            with connect(self.from_server, names[0]) as connection:
                busy = writers(connection, names, self.params["sample_seconds"])
            found = [who(busy)] if busy else []
        shown = copy.as_result() | ({"substate": WAITING} if copy.substate == "CompletingMigration" else {})
        reasons = refusals(
            shown,
            names,
            now=datetime.now(UTC),
            # One that was killed has switched the changes off; they are waited for when it goes on.
            max_latency=UNKNOWN if LOCKED in copy.settings else self.params["max_latency"],
            window_hours=NO_WINDOW,
            ready_since=None,
            writers=found,
        )
        reasons += self._who_can_write(copy, names)
        if reasons:
            raise ModuleFailure(
                f"The cutover of the copy {copy.name} is refused: {' '.join(reasons)}", code="CutoverRefused"
            )

    def _who_can_write(self, copy: Copy, names: Sequence[str]) -> list[str]:
        with contextlib.closing(self._guard(copy, names)) as guard:
            if self.params["source_read_only"]:
                found = guard.who_can_write()
                guard.read()
                self.kept, self.notes = guard.kept, guard.notes
                return found
            return [] if self.params["writers_stopped"] else guard.unattended()

    def _guard(self, copy: Copy, names: Sequence[str]) -> ReadOnlySource:
        """Lets the way back be, which an earlier cutover may have left and this one makes anew."""
        ours = [label_of(copy, row) + BACK for row in copy.databases]
        return ReadOnlySource(self.from_server, names, self.params["keep_applications"], ours)

    def complete(self, copy: Copy) -> bool:
        """Whether nothing is left to do, the tidying after the downtime included."""
        return not self.chosen(copy) and all(row.step != "cut over" for row in copy.databases)

    def aim(self, copy: Copy) -> dict[str, Any]:
        """What the copy is to look like when it has been run."""
        wanted = self.params["databases"] or [row.name for row in copy.databases]
        finished = {"state": "Succeeded", "step": "done"}
        rows = [row.as_result() | (finished if row.name in wanted else {}) for row in copy.databases]
        ended = all(row["state"] == "Succeeded" for row in rows)
        return {"databases": rows} | ({"state": "Succeeded", "substate": "Completed"} if ended else {})

    def run(self) -> Copy:
        self.ledger.lock()
        copy = self.require()
        if self.chosen(copy):
            self._cut_over(self.measured(copy))
        self._tidy(copy, [self.bare_job(copy, row) for row in copy.databases if row.step == "cut over"])
        return copy

    def _cut_over(self, copy: Copy) -> None:
        self.refuse(copy)
        rows = self.chosen(copy)
        ways = [backward(self.from_server, self.target, copy, row, self.params["target_from_source"]) for row in rows]
        if LOCKED in copy.settings:
            # Changes that come back while others still arrive would undo newer ones.
            self._drop_ways(ways)
        back = ways if self.params["keep_reverse_replication"] else []
        for stream in back:
            refuse_same_user(self.from_server, stream.database)
            stream.check_way(stream.database)
        with contextlib.closing(self._guard(copy, [row.name for row in rows])) as guard:
            self._begin_switch(copy, guard)
            with contextlib.ExitStack() as undoing:
                undoing.callback(self._wait_on, copy, back, guard)
                for stream, row in zip(back, rows, strict=False):
                    let_write(self.from_server, row.name, on=True)
                    stream.publish(row.published)
                seconds = self._switch(copy, [self.bare_job(copy, row) for row in rows], back, guard)
                undoing.pop_all()
        self.kept = guard.kept or self.kept
        self._done(copy, rows, seconds)

    def _begin_switch(self, copy: Copy, guard: ReadOnlySource) -> None:
        """Noted before it is done, until it has ended: the databases that are to be written to again if it fails.

        Those that somebody else has made read-only are not among them.
        """
        found = guard.read()["databases"] if self.params["source_read_only"] else []
        writable = {database["name"] for database in found if not database["read_only"]}
        copy.settings[LOCKED] = sorted(writable | set(copy.settings.get(LOCKED, [])))
        copy.state, copy.substate = "InProgress", "CompletingMigration"
        self.ledger.save(copy)

    def _end_switch(self, copy: Copy, names: Sequence[str]) -> None:
        copy.settings[LOCKED] = [name for name in copy.settings[LOCKED] if name not in names]
        if not copy.settings[LOCKED]:
            del copy.settings[LOCKED]

    def _switch(self, copy: Copy, jobs: Sequence[Job], back: Sequence[Stream], guard: ReadOnlySource) -> float:
        makers = [
            partial(
                get_ready,
                job,
                forward(self.from_server, self.target, copy, job.row),
                self.params["timeout"],
                refresh=True,
                last=partial(_last, back[at] if back else None),
                undo=back[at].remove_subscription if back else lambda: None,
            )
            for at, job in enumerate(jobs)
        ]
        reopen = [name for name in copy.settings[LOCKED] if name in guard.databases]
        with all_ready(makers) as sides:
            return switch(sides, guard if self.params["source_read_only"] else None, reopen, self.params["timeout"])

    def _done(self, copy: Copy, rows: Sequence[DatabaseCopy], seconds: float) -> None:
        for row in rows:
            row.state, row.step, row.ended_on, row.downtime = "Succeeded", "cut over", now(), seconds
            row.counters["latency"] = 0
            row.held = []
        names = [row.name for row in rows]
        self._end_switch(copy, names)
        if self.params["keep_reverse_replication"]:
            copy.reverse = {
                "state": "Running",
                "since": now(),
                "databases": names,
                "target_from_source": self.params["target_from_source"],
            }
        self._close(copy)

    def _wait_on(self, copy: Copy, back: Sequence[Stream], guard: ReadOnlySource) -> None:
        """After a cutover that failed: writers go on at the source, changes go on arriving."""
        self.unlock([name for name in copy.settings[LOCKED] if name in guard.databases])
        self._drop_ways(back)
        copy.state, copy.substate = "WaitingForUserAction", WAITING
        self._end_switch(copy, guard.databases)
        self.ledger.save(copy)

    def _close(self, copy: Copy) -> None:
        if all(over(row) for row in copy.databases):
            copy.state, copy.substate, copy.ended_on = "Succeeded", "Completed", now()
        else:
            copy.state, copy.substate = "WaitingForUserAction", WAITING
        self.ledger.save(copy)

    def _tidy(self, copy: Copy, jobs: Sequence[Job]) -> None:
        """Behind the downtime: what the copy has made on either side goes."""
        for job in jobs:
            stream = forward(self.from_server, self.target, copy, job.row)
            drop_subscription(stream, copy, job.row, self.ledger)
            stream.remove_publication(job.row.slots)
            job.row.slots = []
            if job.name not in (copy.reverse or {}).get("databases", []):
                put_identities_back(self.from_server, self.target, job.row)
            with job.on_source() as source:
                grant(job, undumped(source))
                copy_settings(job, source)
            job.row.step = "done"
            self.ledger.save(copy)


def _last(back: Stream | None, side: Side) -> None:
    job = side.job
    if back:
        # The slot is there before anybody may write on the target, so that nothing of it is missed.
        back.subscribe(copy_data=False)
    run_each(side.target, [on for _off, on in job.row.held], job.target, "switch triggers and row security on")
    set_owners(job, owner_statements(job, side.source, side.target))


def backward(source: Server, target: Server, copy: Copy, row: DatabaseCopy, way: dict[str, Any] | None) -> Stream:
    label = forward(source, target, copy, row).label + BACK
    return Stream(label, row.name, target, source, conninfo(target, row.name, way, label))


def refuse_same_user(server: Server, database: str) -> None:
    """An application that signs in as the user who brings changes back could go on writing at the source."""
    with connect(server, database) as connection, sql_errors(server, "look for sessions of the copy's own user"):
        myself = fetch(connection, "SELECT current_user::text")[0][0]
        found = [one for one in client_sessions(connection, [database]) if one.user == myself]
    if found:
        names = ", ".join(sorted({one.application or f"session {one.pid}" for one in found}))
        raise ModuleFailure(
            f"Programs are signed in to the database {database} on {server} as the copy's own user {myself} ({names}); "
            "with keep_reverse_replication they could go on writing there after the cutover.",
            code="SameUser",
            target=server.option,
            hint="Give the copy a user of its own in source.user, or stop these programs for good.",
        )


def let_write(server: Server, database: str, *, on: bool) -> None:
    """What comes back is applied as the user of the option source, in a database that is read-only by default."""
    change = "SET default_transaction_read_only = off" if on else "RESET default_transaction_read_only"
    with session(server, database) as connection, sql_errors(server, "let the worker of the way back write"):
        connection.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {identifier(database)} {change}".encode())


def for_way_back(source: Server, target: Server, rows: Sequence[DatabaseCopy]) -> None:
    """What the way back needs of both servers, as long as the applications are at work."""
    lacks = lacking(read_facts(target, rows[0].name), len(rows))
    if lacks:
        raise not_ready(target, lacks, "Do this and run again, or cut over without keep_reverse_replication.")
    for row in rows:
        with session(source, row.name) as connection:
            found = [off for off, _on in held(connection)]
        if found:
            raise ModuleFailure(
                f"In the database {row.name} on {source} there is what would work on changes that come back, or refuse "
                f"them: triggers that are ENABLE ALWAYS or ENABLE REPLICA, or FORCE ROW LEVEL SECURITY.",
                code="WayBackRefused",
                target=source.option,
                hint=f"Switch it off ({'; '.join(found[:10])}), or cut over without keep_reverse_replication.",
            )


def _drop_way(stream: Stream) -> None:
    stream.remove_subscription()
    stream.remove_publication()


def put_identities_back(source: Server, target: Server, row: DatabaseCopy) -> None:
    for server in (source, target):
        alter_tables(server, row.name, restore_statements(row.widened), "put replica identities back")
    row.widened = []


class Cancel(Step):
    def aim(self, copy: Copy) -> dict[str, Any]:
        wanted: dict[str, Any] = {}
        if copy.state not in ("Succeeded", "Canceled"):
            wanted = {"state": "Canceled", "substate": None}
        elif any(row.left for row in copy.databases):
            wanted = {"error": None}
        if self.params["drop"] and any(self._to_drop(row) for row in copy.databases):
            rows = [row.as_result() | ({"created": False} if self._to_drop(row) else {}) for row in copy.databases]
            wanted["databases"] = rows
        return wanted

    def _to_drop(self, row: DatabaseCopy) -> bool:
        """Only what this copy has made, and not what has been cut over: it is in use."""
        return row.created and not over(row)

    def run(self) -> Copy:
        """Waits for the run that it ends; what a killed one has left it takes away itself."""
        copy = self.require()
        if copy.state == "InProgress":
            self.ledger.ask_to_cancel(self.name)
        self.ledger.lock(self.params["wait_timeout"])
        copy = self.require()
        if copy.state in ("InProgress", "WaitingForUserAction"):
            self._end_work(copy)
        elif copy.state == "Failed" or any(row.left for row in copy.databases):
            self.end(copy, "Canceled", None)
        for row in copy.databases:
            if self.params["drop"] and self._to_drop(row):
                drop_database(self.ledger, row.name)
                row.created, row.step = False, "new"
        self.ledger.save(copy)
        return copy

    def _end_work(self, copy: Copy) -> None:
        names = [row.name for row in copy.databases]
        end_workers(self.from_server, names, copy.settings["id"])
        end_workers(self.target, [self.ledger.database], copy.settings["id"])
        still_open = [row for row in copy.databases if not over(row)]
        if LOCKED in copy.settings:
            self._drop_ways([backward(self.from_server, self.target, copy, row, None) for row in still_open])
        self.end(copy, "Canceled", None)
        locked = copy.settings.pop(LOCKED, [])
        self.unlock([row.name for row in still_open if row.name in locked])

    def remove(self) -> None:
        copy = self.run()
        if copy.reverse and copy.reverse["state"] in ("Running", "Switched"):
            raise ModuleFailure(
                f"The copy {copy.name} keeps a replication back to its source.",
                code="ReverseRuns",
                hint="End it with direct_copy_reverse first.",
            )
        if any(row.left for row in copy.databases):
            raise ModuleFailure(
                f"The copy {copy.name} is not forgotten yet. {copy.error}",
                code="LeftAtSource",
                target="source",
                hint="Run again when the source answers: what is left there fills its disk.",
            )
        self.ledger.forget(copy.name)


class Reverse(Step):
    """The way back: kept until it is ended, or used."""

    def aim(self, copy: Copy) -> dict[str, Any]:
        back = self.params["action"] == "switch_back"
        state = (copy.reverse or {}).get("state")
        if state is None or (state == "Ended" and back):
            raise ModuleFailure(
                f"The copy {copy.name} keeps no replication back to its source.",
                code="NoReverse",
                hint="It is made at the cutover, with keep_reverse_replication.",
            )
        if state in ("Ended", "SwitchedBack"):
            return {}
        return {"reverse": {**(copy.reverse or {}), "state": "SwitchedBack" if back else "Ended"}}

    def streams(self, copy: Copy) -> list[tuple[DatabaseCopy, Stream]]:
        kept = copy.reverse or {}
        rows = [row for row in copy.databases if row.name in kept["databases"]]
        way = kept["target_from_source"]
        return [(row, backward(self.from_server, self.target, copy, row, way)) for row in rows]

    def run(self) -> Copy:
        self.ledger.lock()
        copy = self.require()
        wanted = self.aim(copy).get("reverse", {}).get("state")
        if wanted == "SwitchedBack" and copy.reverse and copy.reverse["state"] == "Running":
            self._switch_back(copy)
        if wanted:
            self._remove(copy)
            if wanted == "SwitchedBack":
                self.unlock([row.name for row, _stream in self.streams(copy)])
            self._note_reverse(copy, state=wanted, until=now())
        return copy

    def _note_reverse(self, copy: Copy, **values: Any) -> None:
        copy.reverse = {**(copy.reverse or {}), **values}
        self.ledger.save(copy)

    def _remove(self, copy: Copy) -> None:
        for row, stream in self.streams(copy):
            self._drop_ways([stream])
            put_identities_back(self.from_server, self.target, row)

    def _switch_back(self, copy: Copy) -> None:
        """The target becomes read-only, and the source gets what it still lacks. Nobody writes at the source yet."""
        streams = self.streams(copy)
        with contextlib.closing(
            ReadOnlySource(self.target, [row.name for row, _stream in streams], self.params["keep_applications"])
        ) as guard:
            refuse_writers(guard)
            makers = [
                partial(
                    get_ready,
                    turned(self.bare_job(copy, row)),
                    stream,
                    self.params["timeout"],
                    refresh=False,
                    last=lambda side: None,
                    undo=lambda: None,
                )
                for row, stream in streams
            ]
            with all_ready(makers) as sides:
                seconds = switch(sides, guard, guard.databases, self.params["timeout"])
        # From here on a run that begins again must not carry anything over: the source may be ahead by then.
        self._note_reverse(copy, state="Switched", downtime_seconds=seconds)


class EndingModule(PgflexModule):
    """A module that ends a copy in the way of its engine."""

    result_key = "copy"
    engine: type[Step]
    ending: Step

    @property
    def thing(self) -> str:
        return f"the copy {self.params['name']}"

    def outcome(self) -> State:
        self.ending = self.engine(self.params, self.runtime.report)
        try:
            return super().outcome()
        finally:
            self.ending.close()
            for note in self.ending.notes:
                self.runtime.warn(note)

    def read(self) -> State:
        self.found = self.ending.require()
        return self.found.as_result()

    def desired(self, current: State | None) -> State:
        return {**(current or {}), **self.ending.aim(self.found)}

    def apply(self, want: State) -> State:
        return self.ending.run().as_result()
