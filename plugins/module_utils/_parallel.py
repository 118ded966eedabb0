# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several requests at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")

# Azure throttles per subscription, not per connection; eight at a time keep a 100 ms request time out of the way.
AT_ONCE = 8


def each(work: Callable[[S], T], things: Iterable[S], at_once: int = AT_ONCE) -> list[T]:
    """`work` on all things concurrently, results in their order; the first failure is raised when all have ended."""
    todo = list(things)
    if len(todo) < 2:
        return [work(thing) for thing in todo]
    with ThreadPoolExecutor(max_workers=min(at_once, len(todo))) as pool:
        return [future.result() for future in [pool.submit(work, thing) for thing in todo]]
