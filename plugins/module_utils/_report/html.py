# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report as one page of HTML that needs nothing else. Pure."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from .hosts import BAD, LIMITS, Limits, details, state, verdict
from .style import SCRIPT, STYLE
from .text import ordered, side, summary
from .timeline import timeline
from .words import between, count, duration, escaped, minute, plural, second, size, span

# As many hosts' details are open from the start, and as many of those that need somebody.
OPEN, OPEN_BAD = 3, 10
LARGEST = 4_800_000
COLUMNS = (
    "Host",
    "State",
    "Problem and remedy",
    "Source, target",
    "Databases",
    "Mode, engine",
    "Started (UTC)",
    "Duration",
    "Copy, estimate",
    "Downtime",
    "Validation",
)
# On a telephone each row is a card, whose cells name their columns; those before the fourth need no name.
NAMED = "".join(f'#fleet td:nth-child({place}):before{{content:"{COLUMNS[place - 1]}"}}' for place in range(4, 12))
LOOK = f"{STYLE}@media screen and (max-width:40rem){{{NAMED}}}\n"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# Whatever the names of databases hold: no browser loads or runs anything but what stands here.
POLICY = f"default-src 'none'; style-src {_digest(LOOK)}; script-src {_digest(SCRIPT)}"


def as_html(rows: list[dict[str, Any]], title: str, made_at: str) -> str:
    rows = ordered(rows)
    name = escaped(title)
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escaped(POLICY)}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{name}</title><style>{LOOK}</style></head>'
    )
    when = f'<time id="made-at" datetime="{escaped(made_at)}">{second(made_at)}</time>'
    header = (
        '<body><a class="skip" href="#fleet">To the table</a>'
        f'<header><h1>{name}</h1><p class="soft">Made {when} UTC by pgflex.migrate. All times are UTC.</p></header>'
    )
    main = _summary(summary(rows)) + _fleet(rows, made_at) + _timeline(rows, made_at)
    room = LARGEST - len(main.encode())
    each = next((text for limits in LIMITS[:-1] if len((text := _hosts(rows, limits)).encode()) < room), None)
    main += each or _hosts(rows, LIMITS[-1])
    return f"{head}\n{header}<main>{main}</main><script>{SCRIPT}</script></body></html>\n"


def _summary(known: dict[str, Any]) -> str:
    down = known["downtime"]
    tiles = [_tile("Migrations", count(known["hosts"]), plural(known["databases"], "database"))]
    tiles += [
        _tile(status.capitalize(), count(number), colour="b" if status in BAD else "")
        for status, number in known["statuses"].items()
    ]
    if known["rows"] is not None:
        tiles.append(_tile("Rows compared", count(known["rows"])))
    if known["bytes"] is not None:
        tiles.append(_tile("Data", size(known["bytes"])))
    if down:
        spread = f"{duration(down['least'])} to {duration(down['most'])}, " if down["least"] != down["most"] else ""
        more = f"{spread}{plural(known['downtimes'], 'migration')}"
        tiles.append(_tile("Downtime, median", duration(down["median"]), more))
    if known["started_at"]:
        took = duration(between(known["started_at"], known["ended_at"]))
        tiles.append(_tile("From the first start to the last end", took, span(known["started_at"], known["ended_at"])))
    shown = "".join(tiles)
    return (
        f'<section aria-labelledby="in-short"><h2 id="in-short">In short</h2><dl class="tiles">{shown}</dl></section>'
    )


def _tile(name: str, value: str, more: str = "", colour: str = "") -> str:
    small = f"<small>{more}</small>" if more else ""
    return f"<div{f' class={colour}' if colour else ''}><dt>{name}</dt><dd>{value}{small}</dd></div>"


def _fleet(rows: list[dict[str, Any]], made_at: str) -> str:
    heads = "".join(f"<th scope=col>{name}</th>" for name in COLUMNS)
    body = "\n".join(_line(row, f"h{place}", made_at) for place, row in enumerate(rows))
    return (
        '<section aria-labelledby="all"><h2 id="all">All migrations</h2><div class="tools" id="tools"></div>'
        '<div class="wide" role="region" aria-labelledby="all" tabindex="0"><table id="fleet" aria-labelledby="all">'
        f"<thead><tr>{heads}</tr></thead><tbody>\n{body}</tbody></table></div></section>"
    )


def _line(row: dict[str, Any], anchor: str, made_at: str) -> str:
    took = row["seconds"]
    if took is None and row["status"] in ("running", "ready", "waiting"):
        took = between(row["started_at"], made_at)
    remedy = f"<span class=remedy>{escaped(row['remedy'])}</span>" if row["remedy"] else ""
    cells = [
        _cell(state(row)),
        f"<td class=said>{escaped(row['problem'])}{remedy}</td>",
        _cell(_servers(row)),
        _cell(escaped(", ".join(map(str, row["databases"])))),
        _cell("<br>".join(part for part in (escaped(row["mode"]), _engine(row)) if part)),
        _cell(minute(row["started_at"]).replace(" ", "<br>"), row["started_at"] or " "),
        _number(took),
        _compared(row),
        _number(row["downtime_seconds"]),
        _cell(verdict(row)),
    ]
    link = f'<a href="#{anchor}">{escaped(row["host"])}</a>'
    return f'<tr data-s="{escaped(row["status"])}"><th scope=row>{link}</th>{"".join(cells)}</tr>'


def _cell(content: str, value: str = "") -> str:
    key = f' data-v="{escaped(value)}"' if value else ""
    return f"<td{key}>{content}</td>"


def _number(seconds: float | None) -> str:
    key = f' data-v="{seconds}"' if seconds is not None else ""
    return f"<td class=n{key}>{duration(seconds)}</td>"


def _compared(row: dict[str, Any]) -> str:
    copied, expected = row["copy_seconds"], row["estimate_seconds"]
    about = f"<br><span class=soft>est. {duration(expected)}</span>" if expected is not None else ""
    key = f' data-v="{copied}"' if copied is not None else ""
    return f"<td class=n{key}>{duration(copied)}{about}</td>"


def _servers(row: dict[str, Any]) -> str:
    names = [escaped(side(row[end])) for end in ("source", "target") if side(row[end])]
    return "<br>\u2192 ".join(names)


def _engine(row: dict[str, Any]) -> str:
    if row["engine"] not in ("", "service"):
        return escaped(row["engine"])
    return escaped(f"{row['generation']} service" if row["generation"] else "")


def _timeline(rows: list[dict[str, Any]], made_at: str) -> str:
    drawn = timeline(rows, made_at)
    if not drawn:
        return ""
    return f'<section aria-labelledby="over-time"><h2 id="over-time">Over time</h2>{drawn}</section>'


def _hosts(rows: list[dict[str, Any]], limits: Limits) -> str:
    shown = [
        details(row, f"h{place}", limits, opened=len(rows) <= OPEN or (row["status"] in BAD and place < OPEN_BAD))
        for place, row in enumerate(rows)
    ]
    return f'<section aria-labelledby="each"><h2 id="each">Each migration</h2>{chr(10).join(shown)}</section>'
