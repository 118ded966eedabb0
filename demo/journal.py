# SPDX-License-Identifier: GPL-3.0-or-later
"""What the writer knows about each of its transactions, in a file that outlives it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Side = Literal["source", "target"]
# "tried" with nothing after it, and "unknown", are the same to a reader: the answer to COMMIT never came.
# "interrupted" is what applications are used to (session ended before COMMIT, database read-only), "rejected" is not.
What = Literal["tried", "acknowledged", "interrupted", "rejected", "unknown", "read_only"]


class Journal:
    """Appends one line an event and hands it to the operating system before going on."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1, encoding="utf-8")

    def note(self, what: What, side: Side, number: int = 0, reason: str = "") -> None:
        line = {"what": what, "n": number, "side": side, "at": time.time(), "reason": reason}
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        self._file.close()


@dataclass
class Record:
    """A journal read back. Times are seconds since the epoch."""

    acknowledged: dict[int, Side] = field(default_factory=dict)
    unknown: set[int] = field(default_factory=set)
    rejected: dict[str, int] = field(default_factory=dict)
    read_only_at: float | None = None
    last_source_write: float | None = None
    first_target_write: float | None = None
    longest_pause: float = 0.0

    def count(self, side: Side) -> int:
        return list(self.acknowledged.values()).count(side)

    @property
    def downtime(self) -> float | None:
        if self.last_source_write is None or self.first_target_write is None:
            return None
        return self.first_target_write - self.last_source_write


def read_journal(path: Path) -> Record:
    record = Record()
    # The last line may be half written when the writer was killed.
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for line in (each for each in lines if each.endswith("\n")):
        _take(record, json.loads(line))
    return record


def _take(record: Record, entry: dict[str, object]) -> None:
    number, what, side, at = entry["n"], entry["what"], entry["side"], entry["at"]
    assert isinstance(number, int) and isinstance(at, float)
    if what == "read_only":
        record.read_only_at = record.read_only_at or at
    elif what == "tried":
        record.unknown.add(number)
    elif what == "interrupted":
        record.unknown.discard(number)
    elif what == "rejected":
        record.unknown.discard(number)
        reason = str(entry["reason"])
        record.rejected[reason] = record.rejected.get(reason, 0) + 1
    elif what == "acknowledged":
        record.unknown.discard(number)
        record.acknowledged[number] = "target" if side == "target" else "source"
        if side == "target":
            record.first_target_write = record.first_target_write or at
        else:
            record.longest_pause = max(record.longest_pause, at - (record.last_source_write or at))
            record.last_source_write = at
