# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for many migrations."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from .._errors import service_errors, status_of, translate
from .._parallel import each
from .._wait import Deadline, pause
from .estimate import base_copy_seconds, clock, remaining
from .progress import TICK, Live, Row, Screen
from .states import (
    OPENS_BY_ITSELF,
    explain,
    final,
    latency,
    next_interval,
    offline,
    open_databases,
    ready_for_cutover,
    tables,
    waits_for,
)

Fetch: TypeAlias = "Callable[[], dict[str, Any] | None]"
# A migration made a moment ago may not be found for a while; after so many looks and seconds it is really not there.
LOOKS_UNTIL_MISSING = 3
SECONDS_UNTIL_MISSING = 10.0
# How often a line comes although nothing but the clock has changed, in seconds.
SIGN_OF_LIFE = 30.0
COLUMNS = 80
# Azure refills a subscription's reads with 25 a second, after the first 250; the rest is left to others.
READS_A_SECOND = 20
READS_AT_ONCE = 200
# Rows looked at between two drawings.
BATCH = 64


@dataclass
class Watched:
    """One migration that is waited for, and what was seen of it."""

    label: str
    name: str
    target: str
    fetch: Fetch
    size_gb: float | None = None
    subscription: str = ""
    found: dict[str, Any] | None = None
    outcome: str = "watching"
    message: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    started: float = 0.0
    due: float = 0.0
    told: float = 0.0
    misses: int = 0
    shown: str = ""
    copying_since: float | None = None
    ended: float | None = None
    changes: tuple[float, int] | None = None
    changes_per_second: float | None = None

    @property
    def elapsed(self) -> float:
        return (self.ended or time.monotonic()) - self.started

    def result(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "name": self.name,
            "server_name": self.target,
            "outcome": self.outcome,
            "message": self.message,
            "seconds": round(self.elapsed, 1),
            "history": self.history,
            "ready_since": next((row["at"] for row in self.history if row["ready"]), None),
            "migration": self.found,
        }


class Watch:
    """Looks at many migrations until each has come where it is awaited, with one request for each look."""

    def __init__(
        self,
        watched: list[Watched],
        *,
        until_cutover: bool,
        timeout: float,
        least: float,
        most: float,
        report: Callable[[str], None],
        screen: Screen | None = None,
    ) -> None:
        self.watched = watched
        self.until_cutover = until_cutover
        self.deadline = Deadline(timeout)
        self.least, self.most = least, most
        self.report = report
        self.live = Live(screen) if screen else None
        self.drawn = 0.0
        self.lines: list[str] = []
        self.crowd: Counter[str] = Counter()

    def run(self, *, once: bool = False) -> list[dict[str, Any]]:
        """Their results; `once` looks a single time and leaves the rest as it is."""
        began = time.monotonic()
        for number, row in enumerate(self.watched):
            row.started = began
            row.due = began + max(0, number - READS_AT_ONCE) / READS_A_SECOND
        if once:
            each(self._look, self.watched)
            self._tell_all()
            return [row.result() for row in self.watched]
        self._round()
        while (open_rows := self._open()) and not self.deadline.over:
            pause(min(self.deadline.left, self._until_due(open_rows)))
            self._round()
        self._give_up(open_rows)
        self._draw()
        return [row.result() for row in self.watched]

    def _open(self) -> list[Watched]:
        return [row for row in self.watched if row.outcome == "watching"]

    def _until_due(self, rows: list[Watched]) -> float:
        left = max(0.05, min(row.due for row in rows) - time.monotonic())
        return min(TICK, left) if self.live else left

    def _round(self) -> None:
        """One look at each that is due, and the picture of all."""
        rows = self._open()
        self.crowd = Counter(row.subscription for row in rows)
        now = time.monotonic()
        due = sorted((row for row in rows if row.due <= now), key=lambda row: row.due)
        each(self._look, due[:BATCH])
        self._tell_all()
        # With hundreds there are many rounds in a second.
        if time.monotonic() - self.drawn >= TICK / 2:
            self._draw()

    def _draw(self) -> None:
        self.drawn = time.monotonic()
        if self.live is None:
            return
        try:
            drawn = self.live.draw([picture(row) for row in self.watched], self.deadline.elapsed)
        except OSError:
            drawn = False
        if not drawn:
            # The terminal is gone or too small: what is told from here on comes as lines.
            self.live = None

    def _tell_all(self) -> None:
        """The lines of a round, by the thread that gets the signals: what it says can not be cut in the middle.

        Where the picture is drawn, lines would break it: they go to the log only.
        """
        tell = self.live.screen.log if self.live else self.report
        lines, self.lines = self.lines, []
        for line in lines:
            tell(line)

    def _look(self, row: Watched) -> None:
        try:
            found = row.fetch()
        except service_errors() as error:
            self._failed_look(row, error)
            return
        if found is None:
            row.misses += 1
            row.due = time.monotonic() + self.least
            if row.misses >= LOOKS_UNTIL_MISSING and row.elapsed >= SECONDS_UNTIL_MISSING:
                row.outcome, row.message = "missing", f"There is no migration {row.name} to {row.target}."
            return
        row.misses, row.found = 0, found
        row.due = time.monotonic() + self._interval(row, found)
        self._note(row, found)
        _measure(row, found)
        row.outcome, row.message = self._judge(found)
        if row.outcome != "watching":
            row.ended = time.monotonic()
        self._tell(row, found)

    def _interval(self, row: Watched, found: dict[str, Any]) -> float:
        wanted = next_interval(found, row.elapsed, self.least, self.most)
        # So many share the reads of one subscription; a second of a cutover is a second of downtime, and goes first.
        fair = self.crowd[row.subscription] / READS_A_SECOND
        return wanted if found["substate"] == "CompletingMigration" else max(wanted, fair)

    def _failed_look(self, row: Watched, error: Exception) -> None:
        failure = translate(error, f"read the migration {row.name} to {row.target}")
        row.due = time.monotonic() + self.least
        if _stays(error):
            row.outcome, row.message = "unreadable", failure.message
            return
        # Azure goes on whether it can be seen or not, so anything that may pass is waited out.
        row.message = failure.message
        for line in textwrap.wrap(f"{row.label}: {failure.message}", COLUMNS, subsequent_indent="  "):
            self.lines.append(line)

    def _note(self, row: Watched, found: dict[str, Any]) -> None:
        here = (found["state"], found["substate"])
        if row.history and (row.history[-1]["state"], row.history[-1]["substate"]) == here:
            return
        if found["substate"] == "MigratingData" and row.copying_since is None:
            row.copying_since = time.monotonic()
        row.history.append(
            {
                "state": found["state"],
                "substate": found["substate"],
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "seconds": round(row.elapsed, 1),
                "ready": ready_for_cutover(found),
            }
        )

    def _judge(self, found: dict[str, Any]) -> tuple[str, str | None]:
        if final(found):
            outcome = {"Succeeded": "succeeded", "Canceled": "canceled"}.get(found["state"], "failed")
            return outcome, None if outcome == "succeeded" else explain(found)
        if self.until_cutover and ready_for_cutover(found):
            return "ready", None
        waiting = waits_for(found)
        if waiting and found["substate"] not in OPENS_BY_ITSELF:
            return "waiting", f"It waits for {waiting[1]}: give the option {waiting[0]} to pgflex.migrate.migration."
        return "watching", None

    def _give_up(self, rows: list[Watched]) -> None:
        for row in rows:
            state = f"{row.found['state']}, {row.found['substate']}" if row.found else "never seen"
            row.outcome = "timeout"
            row.message = (
                f"Not there after {self.deadline.elapsed:.0f} s (wait_timeout {self.deadline.seconds:.0f} s), "
                f"last state {state}. "
                "The migration goes on in Azure; run again to go on watching."
            )

    def _tell(self, row: Watched, found: dict[str, Any]) -> None:
        lines = progress(row, found)
        # Times change at every look; a line is worth it when anything else has.
        gist = "\n".join(lines[1:]) + f"{found['state']}{found['substate']}"
        now = time.monotonic()
        if gist == row.shown and now - row.told < SIGN_OF_LIFE:
            return
        row.shown, row.told = gist, now
        for line in lines:
            self.lines.append(line)


def _stays(error: Exception) -> bool:
    """Whether the next look would be refused as well: a request that is not allowed or wrong, or no sign-in at all.

    A sign-in that broke in the middle has no status and passes; tokens are renewed every hour of a long watch.
    """
    status = status_of(error)
    refused = status is not None and 400 <= status < 500 and status not in (408, 409, 429)
    return refused or type(error).__name__ == "CredentialUnavailableError"


def progress(row: Watched, found: dict[str, Any]) -> list[str]:
    """What a user reads of a migration at one look, for 80 columns: a line for it and one for each open database."""
    where = found["substate"] if found["substate"] and not final(found) else found["state"]
    left = _left(row, found)
    about = f", about {clock(left)} left" if left is not None else ""
    lines = [_line(row.label, f": {where}, {clock(row.elapsed)} elapsed{about}")]
    for database in open_databases(found):
        done, total = tables(database)
        if not total:
            continue
        parts = [f"{done}/{total} tables"]
        if database["tables_loading"]:
            parts.append(f"{database['tables_loading']} loading")
        if database["tables_errored"]:
            parts.append(f"{database['tables_errored']} in error")
        if database["applied_changes"] or database["incoming_changes"]:
            parts.append(f"{database['applied_changes'] or 0} changes applied")
        if database["latency"] is not None and (found.get("migration_mode") or "").lower() != "offline":
            parts.append(f"{database['latency']} s behind")
        lines.append(_line(f"  {database['name']}", f": {', '.join(parts)}"))
    return lines


def _line(name: str, rest: str) -> str:
    """A line of at most 80 columns; a long name loses its middle, since names mostly differ at their ends."""
    room = max(12, COLUMNS - len(rest))
    if len(name) > room:
        half = (room - 2) // 2
        name = f"{name[: room - 2 - half]}..{name[len(name) - half :]}"
    return f"{name}{rest}"[:COLUMNS]


def _left(row: Watched, found: dict[str, Any]) -> float | None:
    if found["substate"] != "MigratingData" or row.copying_since is None:
        return None
    done, total = _counts(found)
    expected = base_copy_seconds(row.size_gb) if row.size_gb else None
    elapsed = time.monotonic() - row.copying_since
    # Nothing follows from tables that were there at the first look.
    return remaining(done, total, elapsed, expected) if elapsed or expected else None


def _counts(found: dict[str, Any]) -> tuple[int, int]:
    counts = [tables(database) for database in found["databases"]]
    return sum(done for done, _total in counts), sum(total for _done, total in counts)


def _measure(row: Watched, found: dict[str, Any]) -> None:
    """How fast changes are applied, between this look and the one before."""
    known = [one["applied_changes"] for one in found["databases"] if one["applied_changes"] is not None]
    if not known:
        return
    now, applied = time.monotonic(), sum(int(count) for count in known)
    if row.changes and now > row.changes[0] and applied >= row.changes[1]:
        row.changes_per_second = (applied - row.changes[1]) / (now - row.changes[0])
    row.changes = (now, applied)


def picture(row: Watched) -> Row:
    """What the live view shows of a migration."""
    found = row.found
    if found is None:
        return Row(row.label, row.outcome, elapsed=row.elapsed, message=row.message)
    done, total = _counts(found)
    follows = not offline(found) and row.changes is not None
    speed = _speed(row, found, done, total)
    return Row(
        label=row.label,
        outcome=row.outcome,
        elapsed=row.elapsed,
        message=row.message,
        where=found["substate"] or found["state"],
        done=done,
        total=total,
        errored=sum(database["tables_errored"] or 0 for database in found["databases"]),
        left=_left(row, found),
        megabytes_per_second=speed * row.size_gb * 1000 / total if speed and row.size_gb else None,
        tables_per_minute=speed * 60 if speed else None,
        behind=latency(found) if follows else None,
        changes=row.changes[1] if row.changes and follows else None,
        changes_per_second=row.changes_per_second if follows else None,
    )


def _speed(row: Watched, found: dict[str, Any], done: int, total: int) -> float | None:
    """Tables a second, while they are copied."""
    if found["substate"] != "MigratingData" or row.copying_since is None or not done or done == total:
        return None
    seconds = time.monotonic() - row.copying_since
    return done / seconds if seconds else None
