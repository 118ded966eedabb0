# SPDX-License-Identifier: GPL-3.0-or-later
"""What each client tried in the lab and what passed, for the table at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HEADINGS = ("client", "version", "operations tried", "passed")


@dataclass
class Judgments:
    """By client and version: the operations, each with whether it passed every time it was tried."""

    _passed: dict[tuple[str, str], dict[str, bool]] = field(default_factory=dict)

    def add(self, client: str, version: str, operation: str, *, passed: bool) -> None:
        operations = self._passed.setdefault((client, version), {})
        operations[operation] = operations.get(operation, True) and passed

    def __bool__(self) -> bool:
        return bool(self._passed)

    def rows(self) -> list[tuple[str, ...]]:
        """One row for each client and version, and one for all together."""
        rows = [
            (client, version, str(len(operations)), str(sum(operations.values())))
            for (client, version), operations in sorted(self._passed.items())
        ]
        tried_in_all = sum(int(row[2]) for row in rows)
        passed_in_all = sum(int(row[3]) for row in rows)
        return [*rows, ("all", "", str(tried_in_all), str(passed_in_all))]

    def operations(self) -> list[tuple[str, str, str, bool]]:
        """All that was added, as `add` takes it."""
        return [
            (client, version, operation, passed)
            for (client, version), operations in self._passed.items()
            for operation, passed in operations.items()
        ]

    def failed(self) -> list[str]:
        return [
            f"{client} {version}: {operation}"
            for (client, version), operations in sorted(self._passed.items())
            for operation, passed in operations.items()
            if not passed
        ]


JUDGMENTS = Judgments()


@contextmanager
def tried(client: str, version: str, operation: str, judgments: Judgments = JUDGMENTS) -> Iterator[None]:
    """Counts an operation of a client: passed when its answer and everything asserted of it were as they must be."""
    passed = False
    try:
        yield
        passed = True
    finally:
        judgments.add(client, version, operation, passed=passed)


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Aligned lines, numbers to the right."""
    widths = [max(len(cells[column]) for cells in [HEADINGS, *rows]) for column in range(len(HEADINGS))]

    def line(cells: tuple[str, ...]) -> str:
        text = [cells[0].ljust(widths[0]), cells[1].ljust(widths[1])]
        return "  ".join([*text, *(cells[column].rjust(widths[column]) for column in (2, 3))]).rstrip()

    return [line(HEADINGS), "  ".join("-" * width for width in widths), *map(line, rows)]
