# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of a host's migrations is the one that counts: the service has no retry, so there may be several. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

LOST = frozenset({"Failed", "Canceled", "ValidationFailed"})
CREATED = "pgflex-created-"


def attempt(rows: Sequence[Mapping[str, Any]], name: str, attempts: int) -> dict[str, Any]:
    """The attempt to go on with, among the migrations of a target.

    `name` is that of the first attempt; later ones are called `<name>-r2` and so on. The result has the `name` to use,
    the `migration` of that name (empty where it is still to be made), and the `history`, the failed ones before it.
    """
    tried = {number: row for row in rows if (number := _number(str(row["name"]), name))}
    if not tried:
        return {"name": name, "migration": {}, "history": []}
    history = [tried[number] for number in sorted(tried)]
    last, latest = max(tried), history[-1]
    if latest["state"] in LOST and last < attempts:
        return {"name": f"{name}-r{last + 1}", "migration": {}, "history": history}
    return {"name": latest["name"], "migration": latest, "history": history[:-1]}


def _number(name: str, base: str) -> int:
    """Which attempt a migration is: 1 for the first, 0 for another migration altogether."""
    found = re.fullmatch(rf"{re.escape(base)}(?:-r([2-9]|[1-9][0-9]+))?", name, re.IGNORECASE)
    return int(found[1] or 1) if found else 0


def created(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """The databases that the attempts have made in the target; their names travel in the tags."""
    tags = [tag for row in history for tag in (row.get("tags") or {}).items()]
    return sorted({str(value) for name, value in tags if str(name).startswith(CREATED)})


def created_tags(databases: Sequence[str]) -> dict[str, str]:
    """A tag for each, since a tag's value has room for 256 characters."""
    return {f"{CREATED}{number}": name for number, name in enumerate(databases, 1)}
