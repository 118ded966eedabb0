# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A list of pairs as people have it: what spreadsheets write, or YAML. Pure: text in, rows and problems out."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from .._fleet.checks import ENGINES, instant, whole

Cells = dict[str, Any]


class Unfit(Exception):
    """A cell that is not what its column asks for; the text says what would be."""


@dataclass(frozen=True)
class Row:
    """A line of the file; `where` is how a problem names it."""

    where: str
    cells: Cells
    # What the user has in there beside the columns that mean something here.
    others: Cells = field(default_factory=dict)


def _text(value: Any) -> str:
    if isinstance(value, (list, Mapping)):
        raise Unfit("one text")
    return str(value).strip()


def _words(value: Any) -> list[str]:
    if isinstance(value, list):
        return [_text(item) for item in value]
    return [word for word in re.split(r"[;,\s]+", _text(value)) if word]


def _number(value: Any) -> int:
    number = whole(_text(value))
    if number is None:
        raise Unfit("a whole number")
    return number


def _moment(value: Any) -> str:
    moment = instant(_text(value))
    if moment is None:
        raise Unfit("a time such as 2026-11-21T02:00:00Z, in UTC where it names no zone")
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _one_of(*choices: str) -> Callable[[Any], str]:
    def choose(value: Any) -> str:
        word = _text(value).lower()
        if word not in choices:
            raise Unfit(f"one of {', '.join(choices)}")
        return word

    return choose


def _name(value: Any) -> str:
    name = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise Unfit("a name of letters, digits, dots, hyphens and underscores")
    return name


# Column: where it goes in the dictionary pgflex, and what makes a value of its text.
COLUMNS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "host": ("", _name),
    "subscription": ("subscription_id", _text),
    "source": ("source.name", _text),
    "source_subscription": ("source.subscription_id", _text),
    "source_resource_group": ("source.resource_group", _text),
    "source_type": ("source.type", _text),
    "source_host": ("source.host", _text),
    "source_hostaddr": ("source.hostaddr", _text),
    "source_port": ("source.port", _number),
    "source_user": ("source.user", _text),
    "source_access": ("source.access", _one_of("public", "private")),
    "source_route": ("source.route", _one_of("vpn", "expressroute", "peering", "none")),
    "target": ("target.name", _text),
    "target_subscription": ("target.subscription_id", _text),
    "target_resource_group": ("target.resource_group", _text),
    "target_hostaddr": ("target.hostaddr", _text),
    "target_user": ("target.user", _text),
    "databases": ("databases", _words),
    "generation": ("generation", _one_of("current", "classic")),
    "engine": ("engine", _one_of(*ENGINES)),
    "mode": ("mode", _one_of("offline", "online")),
    "wave": ("fleet.wave", _number),
    "priority": ("fleet.priority", _number),
    "after": ("fleet.after", _words),
    "region": ("fleet.region", _text),
    "window_start": ("window.start", _moment),
    "window_end": ("window.end", _moment),
}


def column(header: str) -> str:
    """The name that a header means, however it is written."""
    return re.sub(r"[\s_-]+", "_", header.strip().lower())


def read_csv(content: bytes, name: str) -> tuple[list[Row], list[str]]:
    """The rows of a CSV file as Excel, LibreOffice and others write it, and what is wrong with the file as a whole."""
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        return [], [f"{name} is not UTF-8: save it as CSV UTF-8."]
    text, separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    header: list[str] = []
    lines: list[tuple[int, list[str]]] = []
    try:
        for values in reader:
            stripped = [value.strip() for value in values]
            if not any(value.strip(",;\t ") for value in stripped):
                continue
            if header:
                lines.append((reader.line_num, stripped))
            else:
                header = [column(value) for value in stripped]
    except csv.Error as error:
        return [], [f"{name}, line {reader.line_num}: {error}."]
    found = [f"{name} has the column {text} more than once." for text in _double(header)]
    found += [
        f"{name}, line {number} has {len(values)} cells and the header {len(header)}: put a cell that has a "
        f"{separator!r} in it in quotes."
        for number, values in lines
        if len(values) > len(header) and any(values[len(header) :])
    ]
    rows = [
        _row(f"{name}, line {number}", dict(zip(header, values, strict=False))) for number, values in lines if not found
    ]
    return rows, found + _header_problems(name, header, bool(lines))


def _separator(text: str) -> tuple[str, str]:
    """Excel writes what the country of the machine asks for; a first line `sep=;` says it."""
    told = re.match(r"\s*\"?sep=(.)\"?\s*(\r\n|\r|\n)", text, re.IGNORECASE)
    if told:
        return text[told.end() :], told[1]
    first = re.sub(r'"[^"]*"', "", next((line for line in text.splitlines() if line.strip(' ;,\t"')), ""))
    return text, max(",;\t", key=first.count)


def _double(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if name and names.count(name) > 1})


def _header_problems(name: str, header: Sequence[str], has_lines: bool) -> list[str]:
    if not header:
        return [f"{name} is empty."]
    if not has_lines:
        return [f"{name} has a header and no line below it."]
    return [f"{name}: {text}" for text in _secret_columns(header)]


def _secret_columns(names: Sequence[str]) -> list[str]:
    return [
        f"the column {text} has no place here: passwords belong in a vault, and into the option defaults."
        for text in names
        if "password" in text or "secret" in text
    ]


def read_list(content: Any, name: str) -> tuple[list[Row], list[str]]:
    """The same from YAML: a list of mappings, whose databases may be lists."""
    if not isinstance(content, list) or not all(isinstance(item, Mapping) for item in content):
        return [], [f"{name} has to be a list of mappings, one for each pair."]
    if not content:
        return [], [f"{name} is empty."]
    items = [{column(str(key)): value for key, value in item.items()} for item in content]
    rows = [_row(f"{name}, item {number}", item) for number, item in enumerate(items, 1)]
    return rows, [
        f"{name}: {text}" for text in _secret_columns(list(dict.fromkeys(key for item in items for key in item)))
    ]


def _row(where: str, values: Mapping[str, Any]) -> Row:
    given = {key: value for key, value in values.items() if key and value not in (None, "", [])}
    known = {key: value for key, value in given.items() if key in COLUMNS}
    return Row(where, known, {key: value for key, value in given.items() if key not in COLUMNS})


def doubtful(rows: Sequence[Row]) -> list[str]:
    """Columns that look like a slip of the pen."""
    names = dict.fromkeys(name for row in rows for name in row.others)
    meant = {name: get_close_matches(name, COLUMNS, 1, 0.85) for name in names}
    return [f"The column {name} means nothing here; {near[0]} would." for name, near in meant.items() if near]


def missing_columns(rows: Sequence[Row], *, groups: bool) -> list[str]:
    """Columns that no row has; `groups` says that nobody else knows the servers' resource groups."""
    there = {key for row in rows for key in row.cells}
    missing = [] if there & {"source", "source_host"} else ["source"]
    missing += [] if "target" in there else ["target"]
    for side in ("source", "target"):
        names = [str(row.cells[side]) for row in rows if side in row.cells]
        needed = groups and not (f"{side}_host" in there or (names and all("/" in text for text in names)))
        missing += [f"{side}_resource_group"] if needed and f"{side}_resource_group" not in there else []
    return missing


def name_problem(where: str, host: str) -> list[str]:
    """What is wrong with a host's name that no column gave."""
    try:
        _name(host)
    except Unfit as error:
        return [f"{where}: the host's name {host!r} has to be {error}: say host."]
    return []


def settings(row: Row) -> tuple[dict[str, Any], list[str]]:
    """What a row says of the dictionary pgflex, and what is wrong with its cells."""
    made: dict[str, Any] = {}
    found = []
    for name, value in row.cells.items():
        path, convert = COLUMNS[name]
        try:
            converted = convert(value)
        except Unfit as error:
            found.append(f"{row.where}: {name} has to be {error}, not {str(value)[:60]!r}.")
            continue
        outer, _dot, inner = path.partition(".")
        if inner:
            made.setdefault(outer, {})[inner] = converted
        elif outer:
            made[outer] = converted
    return made, found
