# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a copy may take. Pure."""

from __future__ import annotations

from itertools import pairwise

# Base copy on Standard_D4ds_v4, as Microsoft's documentation of the migration service promised in 2025: (GB, seconds).
PROMISED = ((1, 60), (5, 180), (10, 480), (50, 2100), (100, 3600), (500, 14400), (1000, 25200))


def base_copy_seconds(size_gb: float) -> float:
    """Seconds for the base copy of `size_gb`, between the documented points and beyond them in proportion."""
    if size_gb <= PROMISED[0][0]:
        return PROMISED[0][1] * size_gb / PROMISED[0][0]
    for (small, fast), (large, slow) in pairwise(PROMISED):
        if size_gb <= large:
            return fast + (slow - fast) * (size_gb - small) / (large - small)
    return PROMISED[-1][1] * size_gb / PROMISED[-1][0]


def remaining(done: int, total: int, elapsed: float, expected: float | None = None) -> float | None:
    """Seconds left of a copy: from the expected duration where it is known, else from the share of tables done."""
    if expected is not None and expected > elapsed:
        return expected - elapsed
    if not total or not done:
        return None
    return elapsed * (total - done) / done


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
