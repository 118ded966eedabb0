# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times, sizes and texts as a report says them. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from .._migration.estimate import clock

NOTHING = "\u2013"
MASK = "********"
# Nobody can mask a secret of one letter without masking the text with it.
SHORTEST_SECRET = 4
# Neither HTML nor a spreadsheet has a way to write them.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def clean(value: Any) -> str:
    """The value as text that every format can hold."""
    return "" if value is None else UNPRINTABLE.sub("\ufffd", str(value))


def escaped(value: Any) -> str:
    """The value as text of an HTML page, inside and outside of attributes."""
    return html.escape(clean(value), quote=True)


def masked(value: Any, secrets: Iterable[str]) -> Any:
    """The same data without any of the secrets, wherever in a text, or a name, they are."""
    known = sorted({secret for secret in secrets if len(secret) >= SHORTEST_SECRET}, key=len, reverse=True)
    return _masked(value, re.compile("|".join(map(re.escape, known)))) if known else value


def _masked(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(MASK, value)
    if isinstance(value, dict):
        return {_masked(key, pattern): _masked(item, pattern) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, pattern) for item in value]
    return value


def moment(text: Any) -> datetime | None:
    """A time as the service, the servers or this collection write it; None where there is none."""
    try:
        # The service gives seven digits of a second, of which Python takes six.
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text or "")))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def order(text: Any) -> float:
    """What times are compared by, however they are written; one that is missing comes first."""
    found = moment(text)
    return found.timestamp() if found else 0.0


def between(start: Any, end: Any) -> float | None:
    """Seconds from one time to the other, None where one is missing."""
    first, last = moment(start), moment(end)
    return round(max(0.0, (last - first).total_seconds()), 1) if first and last else None


def minute(text: Any) -> str:
    """2026-11-21 02:31, UTC."""
    found = moment(text)
    return found.strftime("%Y-%m-%d %H:%M") if found else NOTHING


def second(text: Any) -> str:
    found = moment(text)
    return found.strftime("%Y-%m-%d %H:%M:%S") if found else NOTHING


def span(start: Any, end: Any) -> str:
    """Two times, without saying the same day twice."""
    first, last = minute(start), minute(end)
    return f"{first} to {last[11:] if last[:10] == first[:10] else last}"


def duration(seconds: float | None) -> str:
    """0.8 s, 1:15 min or 1:02:03 h."""
    if seconds is None:
        return NOTHING
    return f"{seconds:.1f} s" if seconds < 60 else f"{clock(seconds)} {'min' if seconds < 3600 else 'h'}"


def size(number: float | None) -> str:
    """4.2 GB."""
    if number is None:
        return NOTHING
    for unit in UNITS:
        if number < 1000 or unit == UNITS[-1]:
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == UNITS[0] or number >= 100 else f"{number:.1f} {unit}"


def count(number: int | None) -> str:
    """12 345, with a narrow space that does not break."""
    return NOTHING if number is None else f"{number:,}".replace(",", "\u202f")


def plural(number: int, one: str, many: str | None = None) -> str:
    return f"{count(number)} {one if number == 1 else many or one + 's'}"
