# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timeline of a report: a bar for each migration, on one scale of time, as SVG that stands in the page. Pure.

Everything across is in percent, so that the same picture fits a screen, a telephone and paper without small print.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .words import duration, escaped, moment, order

# A picture is not cut at the end of a page, so it has to fit one.
ROWS = 15
ROW = 34
AXIS = 18
LONGEST = 60
# What its substate begins with, and what it is called; any other is the first.
KINDS = {
    "p": ("", "preparing, validating"),
    "c": ("MigratingData", "copying"),
    "w1": ("Waiting", "waiting"),
    "x": ("CompletingMigration", "cutover"),
}
WORDS = {
    **{name: words for name, (_start, words) in KINDS.items()},
    "r": "run, its states were not seen",
    "d": "downtime",
}
STEPS = (60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800)
TICKS = 6


@dataclass(frozen=True)
class Scale:
    start: datetime
    seconds: float

    def at(self, when: datetime) -> float:
        share = (when - self.start).total_seconds() / self.seconds
        return round(100 * min(1.0, max(0.0, share)), 2)


def timeline(rows: list[dict[str, Any]], made_at: str) -> str:
    """The figures; empty when no migration has begun."""
    begun = sorted((row for row in rows if moment(row["started_at"])), key=lambda row: (row["started_at"], row["host"]))
    if not begun:
        return ""
    scale = _scale(begun, made_at)
    parts = [begun[index : index + ROWS] for index in range(0, len(begun), ROWS)]
    drawn = "".join(_figure(part, scale, made_at) for part in parts)
    return _key(drawn) + drawn


def _scale(rows: list[dict[str, Any]], made_at: str) -> Scale:
    times = [found for row in rows for text in _times(row, made_at) if (found := moment(text))]
    start, end = min(times), max(times)
    return Scale(start, max(1.0, (end - start).total_seconds()))


def _times(row: dict[str, Any], made_at: str) -> list[str]:
    seen = [state["at"] for state in row["states"]]
    return [row["started_at"], row["ended_at"] or made_at, row["read_only_since"], row["finished_at"], *seen]


def _key(drawn: str) -> str:
    items = [(name, words) for name, words in WORDS.items() if f'<rect class="{name}"' in drawn]
    swatch = '<li><svg aria-hidden="true"><rect class="{}" width="14" height="10" rx="2"/></svg>{}</li>'
    return f'<ul class="key">{"".join(swatch.format(*item) for item in items)}</ul>'


def _figure(rows: list[dict[str, Any]], scale: Scale, made_at: str) -> str:
    height = AXIS + ROW * len(rows) + 4
    bars = "".join(_bar(row, scale, made_at, AXIS + ROW * place) for place, row in enumerate(rows))
    label = f"Migrations over time, {escaped(rows[0]['host'])} to {escaped(rows[-1]['host'])}"
    return f'<figure><svg role="img" aria-label="{label}" height="{height}">{_axis(scale, height)}{bars}</svg></figure>'


def _axis(scale: Scale, height: int) -> str:
    step = next((step for step in STEPS if scale.seconds / step <= TICKS), STEPS[-1])
    if scale.seconds < STEPS[0]:
        step = max(1, int(scale.seconds / TICKS) + 1)
    first = datetime.fromtimestamp(-(-scale.start.timestamp() // step) * step, UTC)
    if first > scale.start + timedelta(seconds=scale.seconds):
        first = scale.start
    drawn, when, days = [], first, scale.seconds >= 86400
    while when <= scale.start + timedelta(seconds=scale.seconds):
        x = scale.at(when)
        words = when.strftime("%m-%d %H:%M" if days else "%H:%M:%S" if step < 60 else "%H:%M")
        anchor = "start" if x < 8 else "end" if x > 92 else "middle"
        drawn.append(f'<line x1="{x}%" x2="{x}%" y1="{AXIS - 4}" y2="{height}"/>')
        drawn.append(f'<text class="t" x="{x}%" y="11" text-anchor="{anchor}">{words}</text>')
        when += timedelta(seconds=step)
    return "".join(drawn)


def _bar(row: dict[str, Any], scale: Scale, made_at: str, top: int) -> str:
    name = row["host"] if len(row["host"]) <= LONGEST else f"{row['host'][: LONGEST - 1]}\u2026"
    end = row["ended_at"] or (row["states"][-1]["at"] if row["status"] in ("ready", "waiting", "failed") else made_at)
    drawn = [f'<text x="0" y="{top + 11}">{escaped(name)}</text>']
    drawn.append(f'<rect class="track" width="100%" y="{top + 15}" height="9" rx="2"/>')
    drawn += [_piece(kind, start, stop, words, scale, top + 15) for kind, start, stop, words in _pieces(row, end)]
    if row["downtime_seconds"] is not None:
        down = row["read_only_since"] or row["started_at"]
        up = (row["finished_at"] if row["mode"] == "online" else "") or row["ended_at"]
        drawn.append(_piece("d", down, up, f"downtime, {duration(row['downtime_seconds'])}", scale, top + 25, 4))
    return "".join(drawn) + _mark(row, scale, end, top + 15)


def _pieces(row: dict[str, Any], end: str) -> list[tuple[str, str, str, str]]:
    """(class, start, end, words) of each state; the whole run as one where nobody watched."""
    open_states = [state for state in row["states"] if not _ended(state)]
    if not open_states:
        return [("r", row["started_at"], end, f"{row['state']}, {duration(row['seconds'])}")]
    found = []
    for place, state in enumerate(row["states"]):
        if _ended(state):
            continue
        last = place + 1 == len(row["states"])
        # The service ends a migration before anybody looks.
        stop = end if last else min(row["states"][place + 1]["at"], end, key=order)
        found.append((_kind(state), state["at"], stop, state["substate"] or state["state"] or ""))
    return found


def _ended(state: dict[str, Any]) -> bool:
    return state["state"] in ("Succeeded", "Failed", "Canceled", "ValidationFailed")


def _kind(state: dict[str, Any]) -> str:
    text = state["substate"] or ""
    return next((name for name, (start, _words) in KINDS.items() if start and text.startswith(start)), "p")


def _piece(kind: str, start: str, end: str, words: str, scale: Scale, y: int, height: int = 9) -> str:
    first, last = moment(start), moment(end)
    if first is None or last is None:
        return ""
    x = scale.at(first)
    # A second of a cutover in a night of copying is still to be seen.
    width = max(0.3, round(scale.at(last) - x, 2))
    title = f"{escaped(words)}, {first:%H:%M:%S} to {last:%H:%M:%S}"
    return f'<rect class="{kind}" x="{x}%" y="{y}" width="{width}%" height="{height}"><title>{title}</title></rect>'


def _mark(row: dict[str, Any], scale: Scale, end: str, y: int) -> str:
    when = moment(end)
    if when is None or row["status"] not in ("succeeded", "failed", "differs", "canceled"):
        return ""
    kind = "ok" if row["status"] == "succeeded" else "no"
    title = f"<title>{row['status']}</title>"
    return f'<circle class="{kind}" cx="{scale.at(when)}%" cy="{y + 4.5}" r="5">{title}</circle>'
