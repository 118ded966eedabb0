# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of databases from one server to another, without the service: making them and going on with them."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .._errors import ModuleFailure
from .._postgres import Server, connect, load_psycopg, one_line
from .checks import Plan, check_online, make_plan
from .job import Job, Options, end_workers
from .ledger import Canceled, Copy, DatabaseCopy, Ledger, now
from .offline import copy_offline
from .online import STEPS, OnlineCopy, clean_source

WAITING = "WaitingForCutoverTrigger"
# What the task that makes a copy is to come to.
FINISHED = {
    "offline": {"state": "Succeeded", "substate": "Completed"},
    "online": {"state": "WaitingForUserAction", "substate": WAITING},
}
SETTINGS = (
    *("jobs", "overwrite", "skip_extensions", "include_schemas", "exclude_schemas", "include_tables"),
    *("exclude_tables", "source_from_target"),
)
# Another value of these is another copy.
FIXED = ("skip_extensions", "include_schemas", "exclude_schemas", "include_tables", "exclude_tables")


class Engine:
    """One name of a copy into one server. `params` are options of the module direct_copy."""

    def __init__(self, params: dict[str, Any], report: Callable[[str], None]) -> None:
        self.params = params
        self.report = report
        self.source = Server.from_options("source", params["source"]) if params.get("source") else None
        self.target = Server.from_options("target", params["target"])
        self.ledger = Ledger(self.target, params["maintenance_database"])
        self.name: str = params["name"]

    def close(self) -> None:
        self.ledger.close()

    def read(self) -> Copy | None:
        return self.ledger.get(self.name)

    @property
    def from_server(self) -> Server:
        if self.source is None:
            raise ModuleFailure("The option source is needed for this copy.", code="MissingOptions", target="source")
        return self.source

    def check_same(self, found: Copy) -> None:
        names = [row.name for row in found.databases]
        other = [] if list(self.params["databases"]) == names else ["databases"]
        other += ["mode"] if self.params["mode"] != found.mode else []
        other += ["source"] if found.source != place(self.from_server) else []
        other += [name for name in FIXED if (self.params[name] or []) != (found.settings.get(name) or [])]
        if other:
            raise ModuleFailure(
                f"There is a copy {self.name} already, made with other values of {', '.join(other)}.",
                code="NameTaken",
                hint="Take another name, or take the old one away with state absent.",
            )

    def plan(self, found: Copy | None) -> Plan:
        names = list(dict.fromkeys(self.params["databases"]))
        if not names:
            raise ModuleFailure("The option databases is empty: there is nothing to copy.", code="NoDatabases")
        plan = make_plan(self.from_server, self.target, self.ledger, names, self.params, found)
        if self.params["mode"] == "online":
            copy = found or self.new_copy()
            begun = () if ended_badly(copy) else STEPS[STEPS.index("rows") :]
            rows = [row for row in copy.databases if not over(row) and row.step not in begun]
            if rows:
                check_online(self.from_server, self.target, plan, rows, self.ledger)
        return plan

    def new_copy(self) -> Copy:
        settings = {name: self.params[name] for name in SETTINGS} | {"id": uuid.uuid4().hex[:10]}
        rows = [DatabaseCopy(name) for name in dict.fromkeys(self.params["databases"])]
        return Copy(self.name, self.params["mode"], place(self.from_server), rows, settings)

    def run(self) -> Copy:
        """From wherever an earlier run has left it to its end, or to the cutover."""
        self.ledger.prepare()
        self.ledger.lock()
        found = self.read()
        if found and found.settled:
            return found
        plan = self.plan(found)
        copy = self._begin(found)
        with self.failing(copy), self.workplace() as folder:
            for row in copy.databases:
                if not done(row):
                    self._copy_one(self.job(copy, row, folder, plan), plan)
        copy.state, copy.substate = FINISHED[copy.mode].values()
        copy.ended_on = now() if copy.mode == "offline" else None
        self.ledger.save(copy)
        return copy

    def remove(self) -> None:
        raise AssertionError(f"{type(self).__name__} takes nothing away")

    def _begin(self, found: Copy | None) -> Copy:
        copy = found or self.new_copy()
        if found:
            names = [row.name for row in found.databases]
            for server in (self.from_server, self.target):
                end_workers(server, [names[0] if server is self.source else self.ledger.database], copy.settings["id"])
            copy.settings |= {"jobs": self.params["jobs"], "source_from_target": self.params["source_from_target"]}
        if found and ended_badly(found):
            # What has been copied to the end, or cut over and is in use, is never begun anew.
            for row in (row for row in copy.databases if not over(row)):
                row.state, row.message, row.ended_on, row.counters, row.skipped = "InProgress", None, None, {}, []
                row.pending, row.held = [], []
                row.step = "again" if row.step != "new" else "new"
            self.ledger.ask_to_cancel(self.name, wanted=False)
        copy.state, copy.substate, copy.error, copy.ended_on = "InProgress", "MigratingData", None, None
        self.ledger.save(copy)
        return copy

    def job(self, copy: Copy, row: DatabaseCopy, folder: Path, plan: Plan) -> Job:
        options = Options.from_settings(copy.settings)
        return Job(copy, row, self.from_server, self.target, self.ledger, options, self.report, folder, plan.programs)

    def _copy_one(self, job: Job, plan: Plan) -> None:
        self.report(f"{self.name}: {job.name}: {plan.facts[job.name].size >> 20} MB to copy")
        if job.copy.mode == "offline":
            copy_offline(job, plan.facts[job.name])
        else:
            OnlineCopy(job, job.copy.settings.get("source_from_target")).run(plan.facts[job.name])

    @contextlib.contextmanager
    def workplace(self) -> Iterator[Path]:
        """A private place for the definitions, gone afterwards; rows never come there."""
        with tempfile.TemporaryDirectory(prefix="pgflex-copy-", dir=self.params.get("work_dir")) as path:
            yield Path(path)

    @contextlib.contextmanager
    def failing(self, copy: Copy) -> Iterator[None]:
        """Whatever ends it badly is noted, and nothing of it stays at the source."""
        driver = load_psycopg()
        try:
            yield
        except Canceled:
            self.end(copy, "Canceled", None)
            raise ModuleFailure(
                f"The copy {copy.name} was canceled.", code="Canceled", details={"copy": copy.as_result()}
            ) from None
        except ModuleFailure as failure:
            self._note(copy, failure)
            raise
        except driver.Error as error:
            gone = "" if error.sqlstate else self._who_is_gone()
            broken = ModuleFailure(
                f"The copy {copy.name} failed: {one_line(str(error)).rstrip('.')}. {gone}".rstrip(),
                code=error.sqlstate or "ConnectionLost",
                hint="Run the same task again, when both servers answer.",
            )
            self._note(copy, broken)
            raise broken from error

    def _who_is_gone(self) -> str:
        for server in (self.from_server, self.target):
            try:
                connect(server, self.ledger.database if server is self.target else "postgres").close()
            except ModuleFailure as failure:
                return failure.message
        return ""

    def _note(self, copy: Copy, failure: ModuleFailure) -> None:
        try:
            self.end(copy, "Failed", failure.message)
        except ModuleFailure as second:
            # The server that is gone takes the note with it; the next run finds the copy in progress and nobody on it.
            failure.message += f" What it made could not be cleaned up or noted either: {second.message}"
        failure.details = {**failure.details, "copy": copy.as_result()}

    def end(self, copy: Copy, state: str, error: str | None) -> None:
        """Takes everything away at the source; what is in the target stays for a rerun or a cancel to drop."""
        trouble = [text for row in copy.databases if not over(row) for text in self._end_row(copy, row, state, error)]
        copy.state, copy.substate, copy.ended_on = state, None, now()
        copy.error = " ".join(filter(None, [error, *trouble])) or None
        self.ledger.save(copy)

    def _end_row(self, copy: Copy, row: DatabaseCopy, state: str, error: str | None) -> list[str]:
        row.state, row.message, row.ended_on = state, error, now()
        if copy.mode == "offline" or (row.step == "new" and not row.left):
            return []
        trouble = clean_source(self.from_server, self.target, copy, row, self.ledger)
        row.left = bool(trouble)
        return trouble


def place(server: Server) -> str:
    return f"{server.host}:{server.port}"


def ended_badly(copy: Copy) -> bool:
    return copy.state in ("Failed", "Canceled")


def over(row: DatabaseCopy) -> bool:
    return row.state == "Succeeded"


def done(row: DatabaseCopy) -> bool:
    return row.state in ("Succeeded", WAITING)
