# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deadlines, pollers and retries; the only file that sleeps."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ._errors import ModuleFailure, code_of, service_errors

T = TypeVar("T")


class Poller(Protocol):
    """What is used of azure-core's LROPoller."""

    def wait(self, timeout: float | None = None) -> None: ...
    def done(self) -> bool: ...
    def status(self) -> str: ...
    def result(self, timeout: float | None = None) -> Any: ...


def pause(seconds: float) -> None:
    time.sleep(max(0.0, seconds))


class Deadline:
    """A point in time on the monotonic clock, `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._start

    @property
    def left(self) -> float:
        return max(0.0, self.seconds - self.elapsed)

    @property
    def over(self) -> bool:
        return self.left <= 0


def timed_out(what: str, deadline: Deadline, last_state: str, resume: str) -> ModuleFailure:
    return ModuleFailure(
        f"Failed to {what}: not done after {deadline.elapsed:.0f} s (wait_timeout {deadline.seconds:.0f} s), "
        f"last state {last_state}.",
        code="Timeout",
        hint=resume,
    )


def wait_for(poller: Poller, what: str, timeout: float) -> Any:
    """The result of a long-running operation; a Timeout failure when it is not done in `timeout` seconds."""
    deadline = Deadline(timeout)
    # LROPoller.wait comes back quietly when time is up, and raises what the operation failed with.
    poller.wait(timeout)
    if not poller.done():
        raise timed_out(what, deadline, poller.status(), "The operation goes on in Azure; run again to pick it up.")
    return poller.result()


def until(
    fetch: Callable[[], T],
    done: Callable[[T], bool],
    *,
    what: str,
    timeout: float,
    state: Callable[[T], str] = str,
    interval: float = 2.0,
    resume: str = "Run again to pick it up.",
) -> T:
    """Calls `fetch` until `done` says so, every `interval` seconds with some jitter."""
    deadline = Deadline(timeout)
    while True:
        found = fetch()
        if done(found):
            return found
        if deadline.over:
            raise timed_out(what, deadline, state(found), resume)
        pause(min(deadline.left, interval * random.uniform(0.8, 1.2)))


def retry_on(
    refusals: frozenset[str] | Callable[[Exception], bool],
    call: Callable[[], T],
    *,
    timeout: float,
    first_pause: float = 1.0,
) -> T:
    """Calls again while the service refuses in such a way, with doubling pauses up to 15 s, for `timeout` seconds.

    `refusals` are the service's codes, or a function for what has no code of its own. The last refusal is raised
    as it is.
    """
    passes = refusals if callable(refusals) else lambda error: code_of(error) in refusals
    deadline = Deadline(timeout)
    step = first_pause
    while True:
        try:
            return call()
        except service_errors() as error:
            if not passes(error) or deadline.over:
                raise
        pause(min(deadline.left, step * random.uniform(0.8, 1.2)))
        step = min(15.0, step * 2)
