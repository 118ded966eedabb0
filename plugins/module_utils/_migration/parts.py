# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The migrations that one host becomes: the service takes 8 databases in one, a direct copy all of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .states import MAX_DATABASES


def chunks(databases: Sequence[str], engine: str | None) -> list[list[str]]:
    size = len(databases) if engine == "direct" else MAX_DATABASES
    return [list(databases[first : first + size]) for first in range(0, len(databases), size or 1)]


def parts(given: Any) -> list[dict[str, Any]]:
    """For each migration of the host what is to be laid over its dictionary `pgflex`, in the order in which they run.

    What is wrong with the dictionary is the role settings' to say, so it becomes one migration as it is.
    """
    if not isinstance(given, Mapping) or not isinstance(given.get("databases"), list):
        return [{}]
    found = chunks(given["databases"], given.get("engine")) or [[]]
    common = _windowless(given)
    if len(found) == 1:
        return [common]
    return [{**common, "databases": names, **_named(given, number)} for number, names in enumerate(found, 1)]


def _named(given: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The first keeps a name that was given; one name for all of them would be one migration."""
    name = given.get("migration_name")
    return {"migration_name": f"{name}-part{number}"} if name and number > 1 else {}


def _windowless(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of a window only the fleet keeps to, because the engine or the generation has no place for it."""
    window = given.get("window")
    if not isinstance(window, Mapping):
        return {}
    if given.get("engine") == "direct":
        return {"window": None}
    if given.get("generation") == "classic" and window.get("end"):
        return {"window": {"start": window.get("start")}}
    return {}
