# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many migrations look on a terminal that is drawn again and again. Pure but for what `Live` writes."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from .estimate import clock

# Seconds between two drawings.
TICK = 1.0
# Fewer lines or columns show nothing of use.
LEAST_LINES, LEAST_COLUMNS = 6, 60
WORDS = {
    "PerformingPreRequisiteSteps": "preparing",
    "ValidationInProgress": "validating",
    "MigratingData": "copying",
    "WaitingForCutoverTrigger": "ready for cutover",
    "CompletingMigration": "completing",
    "WaitingForDataMigrationWindow": "waits for window",
    "CancelingRequestedDBMigrations": "canceling",
    "InProgress": "starting",
    "": "not seen yet",
}
# Outcome of a watch -> what it is counted as. A user has to do something about those that come first.
GROUPS = {
    "failed": "failed",
    "unreadable": "unreadable",
    "missing": "missing",
    "timeout": "too late",
    "canceled": "canceled",
    "waiting": "waiting",
    "watching": "running",
    "ready": "ready",
    "succeeded": "done",
}
# Of those that run, the ones in which a second counts come first, and those that have nothing to show last.
RUNNING = ("CompletingMigration", "MigratingData", "ValidationInProgress", "PerformingPreRequisiteSteps", "InProgress")
COLOURS = {"done": "32", "ready": "36", "waiting": "33", "running": "34"}
BAD = "31"
# The service's name of a check says less than the finding, for which there is little room.
CHECK = re.compile(r"^\w+Validation: ")
FULL, EMPTY = "█", "░"
UP, CLEAR_LINE, CLEAR_BELOW = "\x1b[{}A", "\x1b[K", "\x1b[J"


@dataclass(frozen=True)
class Row:
    """What is shown of one migration."""

    label: str
    outcome: str = "watching"
    where: str = ""
    elapsed: float = 0.0
    done: int = 0
    total: int = 0
    errored: int = 0
    left: float | None = None
    megabytes_per_second: float | None = None
    tables_per_minute: float | None = None
    behind: int | None = None
    changes: int | None = None
    changes_per_second: float | None = None
    message: str | None = None

    @property
    def group(self) -> str:
        return GROUPS[self.outcome]

    @property
    def word(self) -> str:
        if self.outcome == "watching":
            return WORDS.get(self.where, self.where)
        return {"waiting": "waits for you", "ready": "ready for cutover"}.get(self.outcome, self.group)

    @property
    def rank(self) -> tuple[int, int]:
        later = RUNNING.index(self.where) if self.where in RUNNING else len(RUNNING)
        return list(GROUPS).index(self.outcome), later


class Screen(Protocol):
    """The terminal that is written to."""

    colour: bool

    def size(self) -> tuple[int, int]:
        """Columns and lines; OSError where there is no terminal any more."""

    def write(self, text: str) -> None:
        """As it is, with its escape sequences."""

    def log(self, line: str) -> None:
        """A line for the log file only, where there is one."""


class Live:
    """Draws in place. No mode of the terminal is changed, so that whoever ends the program leaves it sane."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._drawn = 0
        self._size = (0, 0)

    def draw(self, rows: list[Row], elapsed: float) -> bool:
        """Whether there was room; nothing is written where there is none."""
        size = self.screen.size()
        columns, lines = size
        if columns < LEAST_COLUMNS or lines < LEAST_LINES:
            return False
        # What a terminal does with its old lines when it gets another size is its own affair: begin below them.
        up = self._drawn if size == self._size else 0
        shown = frame(rows, elapsed, columns - 1, lines - 1, colour=self.screen.colour)
        self.screen.write(redrawn(shown, up))
        self._drawn, self._size = len(shown), size
        return True


def redrawn(lines: list[str], up: int) -> str:
    """What writes `lines` over the last `up` ones and leaves the cursor at the beginning of the line below."""
    back = UP.format(up) if up else ""
    return back + "".join(f"{line}{CLEAR_LINE}\n" for line in lines) + CLEAR_BELOW


def frame(rows: list[Row], elapsed: float, columns: int, lines: int, *, colour: bool) -> list[str]:
    """At most `lines` lines of at most `columns` columns: a summary, the most interesting rows, what is left out."""
    ordered = sorted(rows, key=lambda row: row.rank)
    room = lines - 1
    shown = ordered if len(ordered) <= room else ordered[: room - 1]
    hidden = ordered[len(shown) :]
    widths = _widths(shown, columns)
    head = f"{_many(len(rows), 'migration')}: {_counted(rows)}"
    made = [_spread(head, f"{clock(elapsed)} elapsed", columns)]
    made += [_row(row, widths, columns, colour=colour) for row in shown]
    if hidden:
        made.append(cut(f"and {len(hidden)} more: {_counted(hidden)}", columns))
    return made


def _widths(rows: list[Row], columns: int) -> tuple[int, int, int]:
    """Columns for the label, the state and the bar."""
    label = max((width(clean(row.label)) for row in rows), default=0)
    word = max((width(row.word) for row in rows), default=0)
    return min(label, max(12, columns * 3 // 10)), min(word, 17), 20 if columns >= 100 else 10


def _row(row: Row, widths: tuple[int, int, int], columns: int, *, colour: bool) -> str:
    label, word, length = widths
    start = f"{padded(row.label, label)}  "
    state = padded(row.word, word)
    rest = columns - label - word - 4
    painted = f"\x1b[{COLOURS.get(row.group, BAD)}m{state}\x1b[0m" if colour else state
    if row.message:
        return f"{start}{painted}  {cut(CHECK.sub('', row.message), rest)}"
    if row.outcome == "watching" and not row.total:
        return f"{start}{painted}  {fitting([clock(row.elapsed)], rest)}"
    return f"{start}{painted}  {_bar(row, length)} {fitting(_numbers(row), rest - length - 1)}".rstrip()


def _share(row: Row) -> float:
    if row.outcome in ("succeeded", "ready"):
        return 1.0
    return row.done / row.total if row.total else 0.0


def _bar(row: Row, length: int) -> str:
    full = int(_share(row) * length)
    return FULL * full + EMPTY * (length - full)


def _numbers(row: Row) -> list[str]:
    """What is known, the most telling first; what does not fit is left out from the end."""
    if row.outcome == "succeeded":
        return ["100%", f"in {clock(row.elapsed)}"]
    parts = [f"{int(_share(row) * 100):3}%"]
    if row.left is not None:
        parts.append(f"{clock(row.left)} left")
    if row.errored:
        parts.append(f"{row.errored} in error")
    if row.behind is not None:
        parts.append(f"{row.behind} s behind")
    if row.changes_per_second is not None:
        parts.append(f"{row.changes_per_second:.0f} changes/s")
    if row.outcome == "watching":
        parts.append(f"{row.done}/{row.total} tables")
        if row.megabytes_per_second is not None:
            parts.append(f"{row.megabytes_per_second:.0f} MB/s")
        elif row.tables_per_minute is not None:
            parts.append(f"{row.tables_per_minute:.0f}/min")
    if row.changes is not None:
        parts.append(f"{row.changes} changes")
    return parts


def _counted(rows: Iterable[Row]) -> str:
    counts = Counter(row.group for row in rows)
    return ", ".join(f"{counts[group]} {group}" for group in GROUPS.values() if counts[group]) or "none"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _spread(left: str, right: str, columns: int) -> str:
    """Both ends of a line; the right one only where there is room for it."""
    gap = columns - width(left) - width(right)
    return f"{left}{' ' * gap}{right}" if gap >= 2 else cut(left, columns)


def fitting(parts: list[str], columns: int) -> str:
    """As many of the parts as there is room for: half a number would be a wrong one."""
    line = ""
    for part in parts:
        longer = f"{line}  {part}" if line else part
        if width(longer) > columns:
            break
        line = longer
    return line


def clean(text: str) -> str:
    """One line without control characters: names and messages are others' texts, and must not steer the terminal."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())


def width(text: str) -> int:
    """Columns that a terminal takes for it."""
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cut(text: str, columns: int) -> str:
    """Its beginning, with two dots where something is missing."""
    whole = clean(text)
    if width(whole) <= columns:
        return whole
    return _begin(whole, columns - 2) + ".."


def _begin(text: str, columns: int) -> str:
    taken = 0
    for at, character in enumerate(text):
        taken += _columns_of(character)
        if taken > columns:
            return text[:at]
    return text


def padded(text: str, columns: int) -> str:
    """Exactly so many columns; a long name loses its middle, since names mostly differ at their ends."""
    whole = clean(text)
    if width(whole) > columns:
        end = (columns - 2) // 2
        last = _begin(whole[::-1], end)[::-1]
        whole = f"{_begin(whole, columns - 2 - end)}..{last}"
    return whole + " " * (columns - width(whole))
