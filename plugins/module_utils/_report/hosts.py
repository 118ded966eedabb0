# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a report's page says of one host. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .text import compared, side, validated
from .words import count, duration, escaped, minute, plural, second, size


@dataclass(frozen=True)
class Limits:
    """How much of each host is on the page; the JSON has all of it."""

    lines: int = 25
    # Only of the hosts that have not succeeded.
    troubled: bool = False


# A page of a thousand hosts has to stay small.
LIMITS = (Limits(), Limits(lines=5), Limits(lines=5, troubled=True))
SYMBOLS = {
    "succeeded": ("g", "\u2713"),
    "failed": ("b", "\u2717"),
    "differs": ("b", "\u2260"),
    "canceled": ("w", "\u2298"),
    "waiting": ("w", "\u25cb"),
    "ready": ("w", "\u25cb"),
    "running": ("", "\u25b6"),
    "not started": ("", "\u00b7"),
}
BAD = ("failed", "differs")
SEVERITY = {"blocks": "b", "warns": "w", "informs": ""}
ACCESS = {
    "public": "public access",
    "private_endpoint": "a private endpoint",
    "virtual_network": "its own virtual network",
    "private": "a private network",
}


def state(row: dict[str, Any]) -> str:
    colour, symbol = SYMBOLS.get(row["status"], ("", ""))
    return f'<span class="s {colour}">{symbol} {escaped(row["status"])}</span>'


def table(caption: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """The cells are HTML already; the first of each row is its header."""
    top = "".join(f"<th scope=col>{head}</th>" for head in heads)
    body = "".join(_line(row) for row in rows)
    opening = f"<div class=wide><table><caption>{caption}</caption><thead>"
    return f"{opening}<tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _line(cells: Iterable[str]) -> str:
    first, *others = cells
    return f"<tr><th scope=row>{first}</th>{''.join(f'<td>{cell}</td>' for cell in others)}</tr>"


def details(row: dict[str, Any], anchor: str, limits: Limits, *, opened: bool) -> str:
    sections = SHORT if limits.troubled and row["status"] == "succeeded" else SECTIONS
    parts = [part for make in sections if (part := make(row, limits.lines))]
    summary = f"<summary><h3>{escaped(row['host'])}</h3>{state(row)}</summary>"
    return f'<details class="host" id="{anchor}"{" open" if opened else ""}>{summary}{"".join(parts)}</details>'


def _facts(row: dict[str, Any], most: int) -> str:
    since = f", {escaped(' / '.join(filter(None, (row['state'], row['substate']))))}" if row["state"] else ""
    facts = [
        ("Problem", escaped(row["problem"])),
        ("What to do", escaped(row["remedy"])),
        ("Failed task", escaped(row["failed_task"])),
        ("Migration", f"{escaped(row['migration_name'])}{since}" if row["migration_name"] else ""),
        ("From", _server(row["source"])),
        ("To", _server(row["target"])),
        ("How", _topology(row["topology"])),
        ("Data", " in ".join(_data(row))),
        ("As of", second(row["seen_at"]) + ", not in the last run" if row["seen_at"] else ""),
    ]
    shown = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts if text)
    return f'<dl class="facts">{shown}</dl>'


def _data(row: dict[str, Any]) -> list[str]:
    found = [plural(row["rows"], "row")] if row["rows"] is not None else []
    return found + ([size(row["bytes"])] if row["bytes"] is not None else [])


def _server(server: dict[str, Any]) -> str:
    told = [escaped(server.get(key)) for key in ("host", "type") if server.get(key) and server[key] != side(server)]
    version = [f"PostgreSQL {escaped(server['version'])}"] if server.get("version") else []
    more = ", ".join([*told, *version])
    return f"{escaped(side(server))} <span class=soft>{more}</span>" if server else ""


def _topology(found: dict[str, Any]) -> str:
    if not found:
        return ""
    source, target = (ACCESS.get(found[f"{end}_access"] or "", "no way yet") for end in ("source", "target"))
    ways = f"{source} to both servers" if source == target else f"{source} to the source, {target} to the target"
    dns = " The migrating side asks DNS servers of its own network." if found.get("custom_dns") else ""
    text = f"{ways[:1].upper()}{ways[1:]}. Migrates from: {found.get('migrates_from') or 'nowhere yet'}"
    return f"{escaped(text.rstrip('.'))}.{dns}"


def _states(row: dict[str, Any], most: int) -> str:
    if not row["states"]:
        return ""
    following = [*row["states"][1:], None]
    lines = []
    for item, after in zip(row["states"], following, strict=True):
        took = _between(item, after) if after else ""
        lines.append((second(item["at"]), escaped(item["state"]), escaped(item["substate"]), took))
    return table("States", ("Since (UTC)", "State", "Substate", "For"), lines)


def _between(item: dict[str, Any], after: dict[str, Any]) -> str:
    known = [one.get("seconds") for one in (item, after)]
    first, last = (float(value) if value is not None else None for value in known)
    # Two watches of one migration count from different starts; then the clock times have to do.
    return duration(last - first) if first is not None and last is not None and last >= first else ""


def _progress(row: dict[str, Any], most: int) -> str:
    if not row["progress"]:
        return ""
    lines = []
    for item in row["progress"]:
        tables = [f"tables_{kind}" for kind in ("completed", "loading", "queued", "errored")]
        changes = [item.get("applied_changes"), item.get("incoming_changes"), item.get("latency")]
        numbers = [count(item.get(name)) for name in tables] + [count(value) for value in changes]
        message = escaped(item.get("message") or "")
        lines.append([escaped(item["name"]), escaped(item.get("state")), *numbers, message])
    heads = (
        "Database",
        "State",
        "Copied",
        "Loading",
        "Queued",
        "In error",
        "Changes applied",
        "To come",
        "Behind (s)",
        "Message",
    )
    return table("Tables", heads, lines)


def _findings(row: dict[str, Any], most: int) -> str:
    found = row["preflight"].get("findings") or []
    if not found:
        return ""
    lines = [_finding(item) for item in found[:most]]
    heads = ("Severity", "Code", "Where", "Finding", "What to do")
    return table("Preflight", heads, lines) + _more(len(found) - most)


def _finding(item: dict[str, Any]) -> list[str]:
    severity = escaped(item.get("severity"))
    where = ", ".join(escaped(item[key]) for key in ("side", "database", "object") if item.get(key))
    return [
        f'<span class="s {SEVERITY.get(item.get("severity") or "", "")}">{severity}</span>',
        escaped(item.get("code") or item.get("rule")),
        where,
        escaped(item.get("message")),
        escaped(item.get("remedy")),
    ]


def _more(number: int) -> str:
    return f"<p class=soft>And {number} more, in the JSON.</p>" if number > 0 else ""


def _service_validation(row: dict[str, Any], most: int) -> str:
    found = row["service_validation"]
    checks = [("server", check) for check in found.get("server") or []]
    for database in found.get("databases") or []:
        checks += [(database["name"], check) for check in database["checks"]]
    bad = [(where, check) for where, check in checks if check["state"] != "Succeeded"]
    if not bad:
        return ""
    lines = [
        (
            escaped(where),
            escaped(check["type"]),
            escaped(check["state"]),
            escaped(" ".join(map(str, check["messages"]))),
        )
        for where, check in bad[:most]
    ]
    heads = ("Where", "Check", "State", "Message")
    return table("The service's validation", heads, lines) + _more(len(bad) - most)


def _validation(row: dict[str, Any], most: int) -> str:
    found = row["validation"]
    if not found:
        said = f"Validated at {second(row['validated_at'])} UTC." if row["validated_at"] else ""
        return f"<h4>Validation</h4><p>{said}</p>" if said else ""
    lines = [_validated(database) for database in found.get("databases") or []]
    heads = ("Database", "Equal", "Tables", "Rows at the source", "Rows at the target", "Skipped", "Differences")
    return table(f"Validation <small>{escaped(found.get('summary'))}</small>", heads, lines) + _different(row, most)


def _validated(database: dict[str, Any]) -> list[str]:
    tables = database.get("tables") or []
    sums = [sum(table.get(f"{end}_rows") or 0 for table in tables) for end in ("source", "target")]
    bad = sum(not table.get("equal") for table in tables)
    objects = [kind for kind, row in (database.get("objects") or {}).items() if _lacks(row)]
    differs = ([plural(bad, "table")] if bad else []) + [escaped(kind) for kind in objects]
    equal = "yes" if database.get("equal") else "no"
    skipped = count(len(database.get("skipped") or []))
    numbers = [count(len(tables)), *map(count, sums), skipped]
    return [escaped(database.get("name")), equal, *numbers, ", ".join(differs) or "none"]


def _lacks(row: Any) -> bool:
    """Whether a kind of object has names on one side only."""
    return isinstance(row, dict) and any(isinstance(value, list) and value for value in row.values())


def _different(row: dict[str, Any], most: int) -> str:
    bad = [table for table in compared(row) if not table.get("equal")]
    if not bad:
        return ""
    lines = [
        (
            escaped(item.get("name")),
            escaped(item.get("verdict")),
            count(item.get("source_rows")),
            count(item.get("target_rows")),
            _examples(item),
        )
        for item in bad[:most]
    ]
    heads = ("Table", "Verdict", "Rows at the source", "Rows at the target", "Examples")
    return table("Tables that differ", heads, lines) + _more(len(bad) - most)


def _examples(item: dict[str, Any]) -> str:
    if item.get("error"):
        return escaped(item["error"])
    told = []
    for example in (item.get("differing") or [])[:5]:
        key = ", ".join(f"{name} {value}" for name, value in (example.get("key") or {}).items())
        columns = f": {', '.join(example['columns'])}" if example.get("columns") else f", {example.get('side')}"
        told.append(escaped(f"{key}{columns}"))
    return "<br>".join(told)


def _changes(row: dict[str, Any], most: int) -> str:
    if not row["changes"]:
        return ""
    words = {True: "Put back.", False: "Still so.", None: ""}
    items = "".join(
        f"<li>{escaped(item['text'])} <span class=soft>{words[item['put_back']]}</span></li>"
        for item in row["changes"][:most]
    )
    return f"<h4>What was changed</h4><ul>{items}</ul>{_more(len(row['changes']) - most)}"


def _strings(row: dict[str, Any], most: int) -> str:
    if not row["connection_strings"] or row["status"] in ("failed", "canceled"):
        return ""
    items = "".join(
        f"<li><code>{escaped(text)}</code></li>" for text in list(row["connection_strings"].values())[:most]
    )
    more = _more(len(row["connection_strings"]) - most)
    return f"<h4>Where the applications connect to afterwards</h4><ul>{items}</ul>{more}"


SECTIONS: tuple[Callable[[dict[str, Any], int], str], ...] = (
    _facts,
    _states,
    _progress,
    _findings,
    _service_validation,
    _validation,
    _changes,
    _strings,
)
SHORT = (_facts, _changes)


def verdict(row: dict[str, Any]) -> str:
    """The fleet table's cell about the validation, with what was compared, or when an earlier run has done it."""
    told = {"yes": "equal", "no": "differs"}.get(validated(row), "")
    if not told:
        return ""
    return f"{told}, {plural(len(compared(row)), 'table') if row['validation'] else minute(row['validated_at'])}"
