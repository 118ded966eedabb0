# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of a play as a fleet: all that is wrong with any of them, and who migrates when. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._settings import FLEXIBLE, SINGLE, problems, with_defaults
from ._waves import waves


def fleet_plan(
    hosts: Mapping[str, Any],
    limits: Mapping[str, Any] | None = None,
    now: str | None = None,
    regions: Sequence[str] | None = None,
    begun: Sequence[str] = (),
    outside: Sequence[str] = (),
    *,
    check: Callable[..., list[str]] = problems,
) -> dict[str, Any]:
    """`problems`, `rounds` and `later` as `waves` gives them, for the dictionaries `pgflex` of the hosts by name.

    What is wrong with the settings of any host is among the problems, with the host's name before it. Hosts that have
    `begun` are in the first round, and their windows do not count any more. Hosts of the inventory `outside` this play
    are not waited for: whoever limits a run answers for the order. `check` says what is wrong with a host's settings.
    """
    wrong = [f"{name}: {text}" for name, given in hosts.items() for text in check(given, whole=True)]
    if wrong:
        return {"problems": wrong, "rounds": [], "later": []}
    rows = [_row(name, with_defaults(dict(given))) for name, given in hosts.items()]
    for row in rows:
        row["state"] = "running" if row["host"] in begun else None
        if isinstance(row["after"], list):
            row["after"] = [name for name in row["after"] if name not in outside]
    return waves(rows, limits, now, regions)


def _row(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    source, target, fleet = settings["source"], settings["target"], settings["fleet"]
    return {
        "host": name,
        "source": _server(source, settings),
        "target": _server(target, settings),
        "databases": settings["databases"],
        "window": settings.get("window"),
        "engine": settings["engine"],
        **{key: fleet.get(key) for key in ("priority", "wave", "after", "region")},
    }


def _server(side: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """One text for one server, however its names are written."""
    if side.get("type", SINGLE) in (SINGLE, FLEXIBLE):
        subscription = side.get("subscription_id") or settings.get("subscription_id") or ""
        return f"{subscription}/{side['resource_group']}/{side['name']}".lower()
    return f"{side['host']}:{side['port']}".lower()


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
        return "Ready for its cutover: run pgflex.migrate.cutover, with --limit for this host alone, within 72 hours."
    if facts.get("outcome") == "succeeded":
        return "Migrated."
    return "Nothing was to be done."
