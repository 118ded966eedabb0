# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo has to show in the end, in 80 columns, and whether it is proof."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from journal import Record
from proof import Proof

WIDTH = 80
LARGEST_TABLES = 8
SHOWN_PROBLEMS = 10
NOTABLE_PAUSE = 0.3


@dataclass(frozen=True)
class Outcome:
    mode: str
    megabytes: float
    exit_code: int
    # The playbook's report of its one host; empty when it did not come so far.
    report: dict[str, Any]
    record: Record
    proof: Proof | None

    def problems(self) -> list[str]:
        """Everything that stands against "it is proved", the first cause first."""
        if self.exit_code:
            return [f"the playbook ended with exit code {self.exit_code}; its last message says why"]
        found = []
        states = self.report.get("states") or [{}]
        if states[-1].get("state") != "Succeeded":
            found.append(f"the migration's last state is {states[-1].get('state', 'not known')}, not Succeeded")
        databases = (self.report.get("validation") or {}).get("databases") or []
        found += [text for database in databases for text in _differences(database)]
        if not databases:
            found.append("no rows were compared")
        if self.proof is None:
            found.append("the writes of the application were not looked for on the target")
        else:
            found += self.proof.problems
            if self.proof.found != self.proof.acknowledged or not self.proof.found:
                found.append(f"{self.proof.found} of {self.proof.acknowledged} acknowledged writes were found")
        for reason, times in self.record.rejected.items():
            found.append(f"a server refused {times} writes: {reason}")
        if self.record.downtime is None:
            found.append("the application has not written to the target")
        return found


def _differences(database: dict[str, Any]) -> Iterator[str]:
    for table in database["tables"]:
        if not table["equal"]:
            yield f"{table['name']}: {table['source_rows']} rows, then {table['target_rows']}: {table['verdict']}"
    for sequence in database["sequences"]:
        if not sequence["equal"]:
            yield f"sequence {sequence['name']} goes on at {sequence['target']} instead of {sequence['source']}"
    for kind, counts in database["objects"].items():
        if not counts["equal"]:
            yield f"{kind}: {counts['source']} became {counts['target']}"
    large = database["large_objects"]
    if not (large and large["equal"]):
        yield "large objects differ" if large else "large objects were not compared"


def render(outcome: Outcome) -> str:
    lines = [*_states(outcome), *_tables(outcome), *_objects(outcome), *_application(outcome), *_connections(outcome)]
    problems = outcome.problems()
    if problems:
        lines += ["", "NOT PROVED:"] + [f"  {text}" for text in problems[:SHOWN_PROBLEMS]]
        lines += [f"  and {len(problems) - SHOWN_PROBLEMS} more"] if len(problems) > SHOWN_PROBLEMS else []
    else:
        lines += ["", "PROVED: every row arrived, no acknowledged write was lost or applied twice."]
    return "\n".join(line if _must_be_whole(line) else line[:WIDTH] for line in lines)


def _must_be_whole(line: str) -> bool:
    # A connection string is for copying.
    return "://" in line


def _states(outcome: Outcome) -> Iterator[str]:
    states = outcome.report.get("states") or []
    if not states:
        return
    yield ""
    yield f"{'State of the migration':<62}{'at (UTC)':>10}{'took':>8}"
    for number, state in enumerate(states):
        at = datetime.fromisoformat(state["at"])
        until = datetime.fromisoformat(states[number + 1]["at"]) if number + 1 < len(states) else None
        took = f"{(until - at).total_seconds():.1f} s" if until else ""
        name = " / ".join(filter(None, (state["state"], state.get("substate"))))
        yield f"  {name:<60}{at:%H:%M:%S}  {took:>8}"


def _tables(outcome: Outcome) -> Iterator[str]:
    for database in (outcome.report.get("validation") or {}).get("databases") or []:
        tables = sorted(database["tables"], key=lambda table: -(table["source_rows"] or 0))
        yield ""
        yield f"{'Rows, all compared: ' + database['name']:<40}{'source':>12}{'target':>12}  equal"
        for table in tables[:LARGEST_TABLES]:
            yield _row(f"  {table['name']}", table["source_rows"], table["target_rows"], table["equal"])
        rest = tables[LARGEST_TABLES:]
        if rest:
            yield _row(f"  {len(rest)} smaller tables", *_sums(rest))
        yield _row(f"  {len(tables)} tables, {outcome.megabytes:.0f} MB at the start", *_sums(tables))


def _sums(tables: list[dict[str, Any]]) -> tuple[int, int, bool]:
    source, target = (sum(table[side] or 0 for table in tables) for side in ("source_rows", "target_rows"))
    return source, target, all(table["equal"] for table in tables)


def _row(name: str, source: int | None, target: int | None, equal: bool) -> str:
    counts = "".join(f"{'?' if count is None else f'{count:,}':>12}" for count in (source, target))
    return f"{name:<40.40}{counts}  {'yes' if equal else 'NO'}"


def _objects(outcome: Outcome) -> Iterator[str]:
    for database in (outcome.report.get("validation") or {}).get("databases") or []:
        counts = {
            kind.replace("_", " "): (each["source"], each["target"]) for kind, each in database["objects"].items()
        }
        counts.setdefault("sequences", (len(database["sequences"]), len(database["sequences"])))
        large = database["large_objects"]
        if large:
            counts["large objects"] = (large["source"], large["target"])
        shown = [f"{kind} {one}{'' if one == other else f'->{other}'}" for kind, (one, other) in counts.items() if one]
        behind = sum(not sequence["equal"] for sequence in database["sequences"])
        yield ""
        yield "Objects on both servers, " + (f"{behind} sequences behind" if behind else "all sequences in place")
        yield from _wrapped(shown)


def _wrapped(words: list[str]) -> Iterator[str]:
    line = " "
    for word in words:
        if len(line) + len(word) + 2 > WIDTH:
            yield line
            line = " "
        line += f" {word},"
    yield line.rstrip(",")


def _application(outcome: Outcome) -> Iterator[str]:
    record, proof = outcome.record, outcome.proof
    yield ""
    yield f"Writes acknowledged by the source {record.count('source'):,}, by the target {record.count('target'):,}"
    if proof:
        lost = proof.acknowledged - proof.found
        unanswered = f", {proof.unanswered} unanswered ({proof.unanswered_found} found)" if proof.unanswered else ""
        yield f"  found on the target {proof.found:,}, lost {lost}{unanswered}"
    if record.longest_pause > NOTABLE_PAUSE:
        yield f"  longest pause before the cutover {record.longest_pause:.1f} s (restart of the source)"
    if record.downtime is not None:
        yield f"DOWNTIME {record.downtime:.1f} s, last write to the source to first write to the target"
        yield from _downtime_parts(outcome)


def _downtime_parts(outcome: Outcome) -> Iterator[str]:
    states = outcome.report.get("states") or []
    if states and states[-1]["state"] == "Succeeded" and outcome.record.last_source_write is not None:
        succeeded = datetime.fromisoformat(states[-1]["at"]).timestamp()
        cutover = succeeded - outcome.record.last_source_write
        compared = (outcome.record.downtime or 0) - cutover
        yield f"  cutover {cutover:.1f} s, then {compared:.1f} s to compare every row before the first write"


def _connections(outcome: Outcome) -> Iterator[str]:
    strings = outcome.report.get("connection_strings") or {}
    if strings:
        yield ""
        yield "New connection string (the password is the one of the target's administrator)"
    yield from (f"  {text}" for text in strings.values())
