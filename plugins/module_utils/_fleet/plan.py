# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of a play as a fleet: all that is wrong with any of them, and who migrates when. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._migration.attempts import LOST
from .._migration.parts import parts
from .._migration.settings import FLEXIBLE, SINGLE, problems, with_defaults
from .._regions import REGIONS
from .checks import instant
from .waves import WINDOW_OVER, waves

READY = "Ready for its cutover: run pgflex.migrate.cutover, with --limit for this host alone, within 72 hours."
# What was seen of each host by name: `states` of its migrations, empty for one that is not made, and the `location` of
# its target.
Seen = Mapping[str, Mapping[str, Any]]
EMPTY: dict[str, Any] = {"rounds": [], "later": [], "notes": [], "hosts": {}}


def fleet_plan(
    hosts: Mapping[str, Any],
    limits: Mapping[str, Any] | None = None,
    now: str | None = None,
    regions: Sequence[str] = (),
    seen: Seen | None = None,
    outside: Sequence[str] = (),
    *,
    check: Callable[..., list[str]] = problems,
) -> dict[str, Any]:
    """`problems`, `rounds` and `later` as `waves` gives them, for the dictionaries `pgflex` of the hosts by name.

    `hosts` has for each host its `units` (its migrations, with their `round` and what is laid over `pgflex` in
    `settings`), `sharing` (the others with its target) and why it comes `later`; `notes` are sentences on what stops
    nobody.

    What is wrong with the settings of any host, which `check` says, is among the problems, with the host's name before
    it. Before anybody has looked (`seen` is None) it is not known whose migration has begun within its window; so
    windows that are over are only told together with what is wrong in any case. Hosts of the inventory `outside` this
    play are not waited for: whoever limits a run answers for the order.
    """
    told = {name: check(given, whole=True) for name, given in hosts.items()}
    wrong = [f"{name}: {text}" for name, texts in told.items() for text in texts]
    settings = {name: with_defaults(dict(given)) for name, given in hosts.items() if not told[name]}
    rows = [_row(name, host, (seen or {}).get(name) or {}) for name, host in settings.items()]
    for row in rows:
        if isinstance(row["after"], list):
            row["after"] = [name for name in row["after"] if name not in outside and not told.get(name)]
    known = [*REGIONS, *regions]
    found = waves(rows, limits, now, known)
    if seen is None and not wrong:
        lenient = waves([{**row, "state": "failed"} for row in rows], limits, now, known)
        found = found if lenient["problems"] else lenient
    over = _cutovers_over(settings, rows, now)
    if seen is not None or wrong or found["problems"]:
        wrong += found["problems"] + [over[row["host"]] for row in rows if row["host"] in over and not row["state"]]
    if wrong:
        return {"problems": wrong, **EMPTY}
    notes = [over[row["host"]] for row in rows if row["host"] in over and row["state"]]
    return {**found, "notes": notes, "hosts": _by_host(hosts, rows, found)}


def _row(name: str, settings: dict[str, Any], seen: Mapping[str, Any]) -> dict[str, Any]:
    source, target, fleet = settings["source"], settings["target"], settings["fleet"]
    states = seen.get("states") or []
    location = seen.get("location") or (target.get("create") or {}).get("location")
    row = {
        "host": name,
        "source": _server(source),
        "target": _server(target),
        "databases": settings["databases"],
        "window": settings.get("window"),
        "engine": settings["engine"],
        "state": _state(states),
        "ended": bool(states) and all(state == "Succeeded" for state in states),
        **{key: fleet.get(key) for key in ("priority", "wave", "after", "region")},
    }
    return {**row, "region": row["region"] or location}


def _state(states: Sequence[str]) -> str | None:
    """Parts that are not made yet, or have to be made again, are held by their window when their turn comes."""
    if any(state and state not in LOST for state in states):
        return "running"
    return "failed" if any(states) else None


def _server(side: Mapping[str, Any]) -> str:
    """One text for one server, however its names are written: a name is there once in all of Azure."""
    if side.get("type", SINGLE) in (SINGLE, FLEXIBLE):
        return str(side["name"]).lower()
    return f"{side['host']}:{side['port']}".lower()


def _cutovers_over(
    settings: Mapping[str, dict[str, Any]], rows: Sequence[Mapping[str, Any]], now: str | None
) -> dict[str, str]:
    """Whose cutover can not come any more by itself; of a host that has ended nobody asks."""
    moment = instant(now) if now else None
    found = {}
    for row in rows:
        host = settings[row["host"]]
        end = instant((host["cutover"].get("window") or {}).get("end"))
        due = host["mode"] == "online" and host["cutover"]["trigger"] == "window"
        if due and moment and end and end <= moment and not row["ended"]:
            found[row["host"]] = (
                f"{row['host']}: pgflex.cutover.window ended at {end.isoformat()}, which is in the past: "
                "give it another, or cut over with pgflex.migrate.cutover."
            )
    return found


def _by_host(
    hosts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What each host needs to know, so that none has to look through the whole plan."""
    targets: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        targets[row["target"]].append(row["host"])
    reasons = {row["host"]: row["reason"] for row in plan["later"]}
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = row["host"]
        sharing = [other for other in targets[row["target"]] if other != name]
        found[name] = {"units": [], "sharing": sharing, "later": reasons.get(name, "")}
    laid = {name: parts(given) for name, given in hosts.items()}
    for number, together in enumerate(plan["rounds"]):
        for unit in together:
            name, part = unit["host"], unit["part"]
            mine = {"round": number, "part": part, "parts": unit["parts"], "settings": laid[name][part - 1]}
            found[name]["units"].append(mine)
    return found


def window_wait(window: Mapping[str, Any] | None, now: str) -> str:
    """Why a migration can not begin at this moment; empty when it can. It is asked again when its round has come."""
    given, moment = window or {}, instant(now)
    start, end = instant(given.get("start")), instant(given.get("end"))
    if moment and start and moment < start:
        return f"Its window opens at {start.isoformat()}."
    return WINDOW_OVER if moment and end and end <= moment else ""


def fleet_summary(hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """How far each host came and what to do, in a sentence; `hosts` are facts, as the role fleet keeps them."""
    return {name: _sentence(facts) for name, facts in hosts.items()}


def _sentence(facts: Mapping[str, Any]) -> str:
    if facts.get("later"):
        return f"Waits: {facts['later']}"
    if facts.get("failed"):
        reason = facts.get("message") or "see the error of its task above."
        return f"FAILED while {facts.get('phase') or 'checking its settings'}: {reason}"
    if facts.get("outcome") == "ready":
        rest = " Then run this again: its other databases come after that." if facts.get("rest") else ""
        return f"{READY}{rest}"
    if facts.get("outcome") == "succeeded":
        return "Migrated."
    return "Nothing was to be done."
