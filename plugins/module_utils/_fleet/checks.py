# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with the rows of a fleet, found before anything is done and told all at once. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ENGINES = ("service", "direct")
STATES = ("running", "failed", "done")


@dataclass(frozen=True)
class Host:
    """One host of the inventory: databases of one source for one target."""

    number: int
    name: str
    source: str
    target: str
    databases: list[str]
    region: str
    priority: int
    wave: int | None
    start: datetime | None
    end: datetime | None
    after: tuple[str, ...]
    engine: str
    # None and failed are still to be done; one that is not None has had its window.
    state: str | None


def instant(text: Any) -> datetime | None:
    """A moment from ISO 8601; without a zone it is UTC. None for what is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def whole(value: Any) -> int | None:
    """A whole number, also as the text that a spreadsheet or the command line makes of it."""
    if isinstance(value, bool):
        return None
    try:
        return int(str(value))
    except ValueError:
        return None


def normal(region: Any) -> str:
    """West Europe and westeurope are one region."""
    return str(region or "").replace(" ", "").lower()


def read(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Host], list[str]]:
    """The rows that can be understood, and a sentence for each thing that can not."""
    hosts: list[Host] = []
    found: list[str] = []
    for number, row in enumerate(rows):
        name = str(row.get("host") or "")
        if not name:
            found.append(f"Row {number + 1} has no host.")
            continue
        missing = [key for key in ("source", "target", "databases") if not row.get(key)]
        found += [f"{name} has no {key}." for key in missing]
        wrong = _wrong_values(name, row)
        found += wrong
        if not missing and not wrong:
            hosts.append(_host(number, name, row))
    return hosts, found


def _wrong_values(name: str, row: Mapping[str, Any]) -> list[str]:
    found = []
    for key in ("databases", "after"):
        if row.get(key) and not isinstance(row[key], (list, tuple)):
            found.append(f"{name}: {key} has to be a list of names.")
    for key in ("priority", "wave"):
        if row.get(key) not in (None, "") and whole(row[key]) is None:
            found.append(f"{name}: {key} has to be a whole number, not {row[key]!r}.")
    for key, choices in (("engine", ENGINES), ("state", STATES)):
        if row.get(key) and row[key] not in choices:
            found.append(f"{name}: {key} {row[key]!r} is none of {', '.join(choices)}.")
    window = row.get("window") or {}
    if not isinstance(window, Mapping):
        return [*found, f"{name}: window has to be a mapping of start and end."]
    for key in ("start", "end"):
        if window.get(key) and instant(window[key]) is None:
            found.append(f"{name}: window.{key} {window[key]!r} is no time such as 2026-11-21T02:00:00Z.")
    return found


def _host(number: int, name: str, row: Mapping[str, Any]) -> Host:
    window = row.get("window") or {}
    return Host(
        number=number,
        name=name,
        # ARM compares names without case.
        source=str(row["source"]).lower(),
        target=str(row["target"]).lower(),
        databases=[str(database) for database in row["databases"]],
        region=normal(row.get("region")),
        priority=whole(row.get("priority")) or 0,
        wave=whole(row["wave"]) if row.get("wave") not in (None, "") else None,
        start=instant(window["start"]) if window.get("start") else None,
        end=instant(window["end"]) if window.get("end") else None,
        after=tuple(str(other) for other in row.get("after") or ()),
        engine=row.get("engine") or "service",
        state=row.get("state") or None,
    )


def row_problems(
    hosts: Sequence[Host], names: set[str], now: datetime | None, regions: Sequence[str] | None
) -> list[str]:
    """`names` are those of all rows, also of the ones that could not be read."""
    known = None if regions is None else {normal(region) for region in regions}
    found = _twice([host.name for host in hosts])
    for host in hosts:
        found += _window_problems(host, now)
        if known is not None and host.region and host.region not in known:
            found.append(f"{host.name}: the region {host.region} is not known.")
    return found + _overlaps(hosts) + _order_problems(hosts, names)


def _twice(names: Sequence[str]) -> list[str]:
    return [f"{name} is there more than once." for name in sorted({name for name in names if names.count(name) > 1})]


def _window_problems(host: Host, now: datetime | None) -> list[str]:
    if not host.end:
        return []
    if host.start and host.end <= host.start:
        return [f"{host.name}: the window ends at {host.end.isoformat()}, not after its start."]
    if now and host.end <= now and host.state is None:
        return [f"{host.name}: the window ended at {host.end.isoformat()}, which is in the past."]
    return []


def _overlaps(hosts: Sequence[Host]) -> list[str]:
    """A database of a target can come from one place only; names of databases differ by case."""
    users: dict[tuple[str, str], list[Host]] = defaultdict(list)
    found = []
    for host in hosts:
        double = sorted({name for name in host.databases if host.databases.count(name) > 1})
        found += [f"{host.name} names the database {name} more than once." for name in double]
        for database in dict.fromkeys(host.databases):
            users[host.target, database].append(host)
    shared: dict[tuple[str, ...], list[str]] = defaultdict(list)
    by_names: dict[tuple[str, ...], list[Host]] = {}
    for (_target, database), group in users.items():
        names = tuple(host.name for host in group)
        if len(group) > 1:
            shared[names].append(database)
            by_names[names] = group
    return found + [_overlap(by_names[names], databases) for names, databases in shared.items()]


def _overlap(group: Sequence[Host], databases: Sequence[str]) -> str:
    names = " and ".join(host.name for host in group)
    what = f"the database{'s' if len(databases) > 1 else ''} {', '.join(databases)}"
    if len({host.source for host in group}) == 1:
        return f"{names} migrate {what} from {group[0].source} to {group[0].target} more than once."
    return f"{names} migrate {what} to the same target {group[0].target}: one would overwrite the other."


def _order_problems(hosts: Sequence[Host], names: set[str]) -> list[str]:
    known = {host.name for host in hosts}
    found = [
        f"{host.name} comes after {other}, which is no host of the fleet."
        for host in hosts
        for other in host.after
        if other not in names
    ]
    circles = cycles({host.name: [name for name in host.after if name in known] for host in hosts})
    found += [f"These wait for each other: {' after '.join([*circle, circle[0]])}." for circle in circles]
    return found if circles else found + _wave_problems(hosts)


def _wave_problems(hosts: Sequence[Host]) -> list[str]:
    """A host can not come after one of a later wave, be it through others in between."""
    latest: dict[str, tuple[int, str]] = {}
    found = []
    for host in order(hosts):
        behind = max((latest[name] for name in host.after if name in latest), default=None)
        if host.wave is not None and behind and behind[0] > host.wave:
            found.append(f"{host.name} of wave {host.wave} comes after {behind[1]} of wave {behind[0]}.")
        own = [(host.wave, host.name)] if host.wave is not None else []
        if own or behind:
            latest[host.name] = max([*own, *([behind] if behind else [])])
    return found


def order(hosts: Sequence[Host]) -> list[Host]:
    """Every host behind those that it comes after; needs hosts without cycles."""
    by_name = {host.name: host for host in hosts}
    placed: dict[str, Host] = {}
    for host in hosts:
        stack = [host]
        while stack:
            ahead = [by_name[name] for name in stack[-1].after if name in by_name and name not in placed]
            if ahead:
                stack += ahead
            else:
                last = stack.pop()
                placed[last.name] = last
    return list(placed.values())


def cycles(after: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Circles that share no host, as many as there are: each a list in which one comes after the next."""
    left = {name: list(ahead) for name, ahead in after.items()}
    found = []
    while _strip(left):
        path = [next(iter(left))]
        while left[path[-1]][0] not in path:
            path.append(left[path[-1]][0])
        circle = path[path.index(left[path[-1]][0]) :]
        found.append(circle)
        for name in circle:
            del left[name]
    return found


def _strip(left: dict[str, list[str]]) -> bool:
    """Takes away who waits for nobody that is left; says whether somebody remains, in a circle or behind one."""
    while True:
        for name in left:
            left[name] = [ahead for ahead in left[name] if ahead in left]
        free = [name for name, ahead in left.items() if not ahead]
        for name in free:
            del left[name]
        if not free:
            return bool(left)
