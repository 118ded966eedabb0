# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which order the migrations of a fleet run: rounds that keep to the limits of the service and of the user. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .._migration.parts import chunks
from .checks import Host, instant, order, read, row_problems

TO_DO = (None, "failed")
WINDOW_OVER = "Its window is over, give another."
# 0 is no limit.
LIMITS = {"parallel": 8, "per_source": 1, "per_region": 0}


@dataclass
class Unit:
    """One migration: a host, or a part of one that has more databases than a migration takes."""

    host: Host
    part: int
    parts: int
    databases: list[str]

    def as_row(self) -> dict[str, Any]:
        return {"host": self.host.name, "databases": self.databases, "part": self.part, "parts": self.parts}


def waves(
    rows: Sequence[Mapping[str, Any]],
    limits: Mapping[str, Any] | None = None,
    now: str | None = None,
    regions: Sequence[str] | None = None,
) -> dict[str, Any]:
    """`problems` (all at once), or the `rounds` that run now one after the other, and who has to wait in `later`.

    Without `now` windows are not compared with the clock; without `regions` every region is taken as known.
    """
    hosts, problems = read(rows)
    allowed, wrong = _limits(limits or {})
    moment = instant(now) if now else None
    problems += wrong + row_problems(hosts, {str(row.get("host")) for row in rows}, moment, regions)
    if now and not moment:
        problems.append(f"now {now!r} is no time such as 2026-11-21T02:00:00Z.")
    if problems:
        return {"problems": problems, "rounds": [], "later": []}
    later = _later(hosts, moment)
    waiting = {row["host"] for row in later}
    ready = [host for host in hosts if host.name not in waiting and host.state != "done"]
    return {"problems": [], "rounds": _Plan(ready, allowed).rounds(), "later": later}


def _limits(given: Mapping[str, Any]) -> tuple[dict[str, int], list[str]]:
    found = []
    made = dict(LIMITS)
    for name, value in given.items():
        # From the command line a number comes as text.
        text = str(value)
        if name not in LIMITS:
            found.append(f"{name} is no limit: there are {', '.join(LIMITS)}.")
        elif isinstance(value, bool) or not text.isdigit():
            found.append(f"The limit {name} has to be a whole number, 0 for none, not {text!r}.")
        else:
            made[name] = int(text)
    return made, found


def _later(hosts: Sequence[Host], now: datetime | None) -> list[dict[str, Any]]:
    """Who can not run now: the window is not open yet, or somebody that one has to come after has to wait."""
    todo = [host for host in order(hosts) if host.state in TO_DO]
    opens = {host.name: host.start.isoformat() for host in todo if now and host.start and host.start > now}
    reasons = {name: f"Its window opens at {start}." for name, start in opens.items()}
    # It has ended once, though not well: later waves do not wait until somebody gives it another window.
    over = {host.name for host in todo if now and host.end and host.end <= now}
    reasons |= dict.fromkeys(over, WINDOW_OVER)
    # Holding a wave back can hold those that come after its hosts, and so a further wave: until nobody is added.
    before = -1
    while before != len(reasons):
        before = len(reasons)
        for host in todo:
            first = next((name for name in host.after if name in reasons), None)
            if first:
                reasons.setdefault(host.name, f"It comes after {first}, which has to wait.")
        _hold_waves([host for host in todo if host.name not in over], reasons)
    return [
        {"host": host.name, "reason": reasons[host.name], "opens": opens.get(host.name)}
        for host in hosts
        if host.name in reasons
    ]


def _hold_waves(todo: Sequence[Host], reasons: dict[str, str]) -> None:
    held = [(host.wave, host.name) for host in todo if host.name in reasons and host.wave is not None]
    if not held:
        return
    wave, name = min(held)
    for host in todo:
        if host.wave is not None and host.wave > wave:
            reasons.setdefault(host.name, f"Its wave {host.wave} comes after wave {wave}, where {name} has to wait.")


@dataclass
class _Round:
    units: list[Unit] = field(default_factory=list)
    targets: set[str] = field(default_factory=set)
    sources: Counter[str] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)

    def takes(self, host: Host, limits: Mapping[str, int]) -> bool:
        """A target takes one active migration; where the region is not known its limit does not count."""
        used = {
            "parallel": len(self.units),
            "per_source": self.sources[host.source],
            "per_region": self.regions[host.region] if host.region else 0,
        }
        full = any(limit and used[name] >= limit for name, limit in limits.items())
        return host.target not in self.targets and not full

    def add(self, unit: Unit) -> None:
        self.units.append(unit)
        self.targets.add(unit.host.target)
        self.sources[unit.host.source] += 1
        self.regions[unit.host.region] += 1


class _Plan:
    """Fills one round after the other with what is due most of that which may run."""

    def __init__(self, hosts: Sequence[Host], limits: Mapping[str, int]) -> None:
        self.limits = limits
        self.left = {host.name: list(_parts(host)) for host in hosts}
        queue = Counter(host.target for host in hosts for _part in self.left[host.name])
        self.hosts = sorted(hosts, key=lambda host: _due(host, queue[host.target]))

    def rounds(self) -> list[list[dict[str, Any]]]:
        made: list[list[dict[str, Any]]] = []
        while any(self.left.values()):
            found = _Round()
            # Asked once for the round: who ends in it makes way in the next one.
            unfinished = {name for name, units in self.left.items() if units}
            waves_left = [host.wave for host in self.hosts if host.name in unfinished and host.wave is not None]
            wave = min(waves_left, default=None)
            for host in self.hosts:
                # What runs already is watched from the start, however many there are.
                limits = {} if host.state == "running" and not made else self.limits
                if self._may_run(host, unfinished, wave) and found.takes(host, limits):
                    found.add(self.left[host.name].pop(0))
            made.append([unit.as_row() for unit in found.units])
        return made

    def _may_run(self, host: Host, unfinished: set[str], wave: int | None) -> bool:
        if host.name not in unfinished:
            return False
        if host.state == "running":
            return True
        in_wave = host.wave is None or host.wave == wave
        return in_wave and not any(name in unfinished for name in host.after)


def _parts(host: Host) -> Iterator[Unit]:
    found = chunks(host.databases, host.engine)
    return (Unit(host, number, len(found), chunk) for number, chunk in enumerate(found, 1))


def _due(host: Host, queued: int) -> tuple[Any, ...]:
    """What runs comes first, then priority, the window that closes soonest, and the target with the longest queue."""
    closes = host.end.timestamp() if host.end else float("inf")
    return (host.state != "running", -host.priority, closes, host.wave is None, -queued, host.number)
