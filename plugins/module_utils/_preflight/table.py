# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings as a person reads them, in a terminal of 80 columns, shown by the task debug. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from .rules import SEVERITIES

# The task debug puts up to 11 columns around each line: it indents and quotes it.
WIDTH = 68
LEAST_WIDTH = 60
# How a number of findings is called.
COUNTED = {"blocks": ("blocking", "blocking"), "warns": ("warning", "warnings"), "informs": ("note", "notes")}
# blocks, a code, and where: what is left is for the sentence.
COLUMNS = (7, 6, 14)
GAP = "  "
INDENT = sum(COLUMNS) + len(GAP) * len(COLUMNS)


def table(findings: list[dict[str, Any]], width: int = WIDTH) -> list[str]:
    """Lines: a head, for each finding its sentence and what to do about it, and the counts."""
    if not findings:
        return ["Nothing was found that stands in the way of the migration."]
    width = max(width, LEAST_WIDTH)
    lines = [_line(("what", "code", "where"), "sentence, and what to do about it"), "-" * width]
    for finding in findings:
        lines += _rows(finding, width)
    return [*lines, "-" * width, _counts(findings)]


def _rows(finding: dict[str, Any], width: int) -> Iterator[str]:
    room = width - INDENT
    place = textwrap.wrap(" ".join(filter(None, (finding["side"], finding["database"]))), COLUMNS[2])
    text = textwrap.wrap(finding["message"], room)
    text += [
        line
        for wrapped in _advice(finding)
        for line in textwrap.wrap(wrapped, room, initial_indent="> ", subsequent_indent="  ")
    ]
    for number in range(max(len(text), len(place))):
        first = (finding["severity"], finding["code"] or "-") if number == 0 else ("", "")
        where = place[number] if number < len(place) else ""
        yield _line((*first, where), text[number] if number < len(text) else "")


def _advice(finding: dict[str, Any]) -> Iterator[str]:
    yield finding["remedy"]
    if finding["can_apply"]:
        yield f"pgflex.preflight.remedies: [{finding['can_apply']}] does it."


def _line(columns: tuple[str, ...], text: str) -> str:
    cells = (cell.ljust(size) for cell, size in zip(columns, COLUMNS, strict=True))
    return GAP.join((*cells, text)).rstrip()


def _counts(findings: list[dict[str, Any]]) -> str:
    counts = {name: sum(row["severity"] == name for row in findings) for name in SEVERITIES}
    return ", ".join(f"{count} {COUNTED[name][count != 1]}" for name, count in counts.items())


def fleet(results: Mapping[str, Mapping[str, Any] | None], strict: Collection[str] = ()) -> list[str]:
    """One line for each host, and what that means for all; None is a host that could not be looked at.

    `strict` are the hosts that their settings stop when something blocks them.
    """
    size = max([len("host"), *(len(name) for name in results)])
    lines = [f"{'host'.ljust(size)}  verdict  blocks  warns  informs  stopped by"]
    for name, found in sorted(results.items()):
        if found is None:
            lines.append(f"{name.ljust(size)}  NO-GO         -      -        -  it failed before the preflight")
            continue
        counts = f"{found['blocks']:6}  {found['warns']:5}  {found['informs']:7}"
        verdict = "NO-GO" if found["blocks"] else "GO"
        lines.append(f"{name.ljust(size)}  {verdict:7}  {counts}  {', '.join(blockers(found))}".rstrip())
    return [*lines, *_verdict(results, strict)]


def _verdict(results: Mapping[str, Mapping[str, Any] | None], strict: Collection[str]) -> Iterator[str]:
    lost = [name for name, found in sorted(results.items()) if found is None]
    blocked = [name for name, found in sorted(results.items()) if found and found["blocks"]]
    if lost:
        yield f"{_of(lost, results)} failed before the preflight: {', '.join(lost)}."
    if blocked:
        stopped = [name for name in blocked if name in strict]
        rest = "They are tried all the same; pgflex.preflight.strict stops them."
        if stopped:
            rest = f"pgflex.preflight.strict stops {', '.join(stopped)}."
        have = "has" if len(blocked) == 1 else "have"
        yield f"{_of(blocked, results)} {have} blocking findings: {', '.join(blocked)}."
        yield rest
    if not lost and not blocked:
        yield f"{_of(list(results), results)} can be migrated."


def _of(some: Sequence[str], results: Mapping[str, Any]) -> str:
    return f"{len(some)} of {len(results)} host{'' if len(results) == 1 else 's'}"


def blockers(found: Mapping[str, Any]) -> list[str]:
    """What stops a host, each once: the service's code, or the rule's name where it has none."""
    rows = [row for row in found["findings"] if row["severity"] == "blocks"]
    return list(dict.fromkeys(row["code"] or row["rule"] for row in rows))


def together(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The results of a host's parts as one; what is wrong with its servers was found in each of them."""
    findings = [finding for found in results for finding in found["findings"]]
    unique = [finding for number, finding in enumerate(findings) if finding not in findings[:number]]
    return {
        "findings": sorted(unique, key=lambda finding: SEVERITIES.index(finding["severity"])),
        **{name: sum(finding["severity"] == name for finding in unique) for name in SEVERITIES},
        **{key: [item for found in results for item in found[key]] for key in ("applied", "restart_needed")},
    }
