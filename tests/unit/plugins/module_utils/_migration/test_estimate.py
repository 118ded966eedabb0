# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.estimate import (
    base_copy_seconds,
    clock,
    remaining,
)


@pytest.mark.parametrize(
    ("size_gb", "expected"),
    [
        (0, 0),
        (0.5, 30),
        (1, 60),
        (5, 180),
        (7.5, 330),
        (10, 480),
        (50, 2100),
        (100, 3600),
        (300, 9000),
        (500, 14400),
        (1000, 25200),
        (2000, 50400),
    ],
)
def test_base_copy_between_and_beyond_the_documented_points(size_gb: float, expected: float) -> None:
    assert base_copy_seconds(size_gb) == pytest.approx(expected)


def test_more_data_never_takes_less_time() -> None:
    seconds = [base_copy_seconds(size / 4) for size in range(8000)]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "expected", "left"),
    [
        (0, 0, 10, None, None),
        (0, 31, 10, None, None),
        (10, 40, 60, None, 180),
        (31, 31, 60, None, 0),
        (0, 0, 60, 300, 240),
        (10, 40, 60, 300, 240),
        # It takes longer than promised: then the tables are the measure.
        (10, 40, 400, 300, 1200),
        (0, 40, 400, 300, None),
    ],
)
def test_time_left(done: int, total: int, elapsed: float, expected: float | None, left: float | None) -> None:
    assert remaining(done, total, elapsed, expected) == left


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (9.9, "0:09"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00"), (90061, "25:01:01")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
