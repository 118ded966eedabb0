# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of pieces that were taken away, for the end of a run."""

from __future__ import annotations

HEADINGS = ("topology", "service", "without", "told before", "the migration", "mended by", "rows")
ROWS: list[tuple[str, ...]] = []


def table() -> list[str]:
    widths = [max(len(row[column]) for row in [HEADINGS, *ROWS]) for column in range(len(HEADINGS))]
    lines = [HEADINGS, tuple("-" * width for width in widths), *ROWS]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
