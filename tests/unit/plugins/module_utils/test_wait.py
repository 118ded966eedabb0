# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure
from ansible_collections.pgflex.migrate.plugins.module_utils._wait import Deadline, pause, retry_on, until, wait_for
from azure.core.exceptions import HttpResponseError, ServiceRequestError


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        # A clock that stood still would never reach a deadline.
        self.now += max(seconds, 0.001)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr("time.monotonic", lambda: fake.now)
    monkeypatch.setattr("time.sleep", fake.sleep)
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    return fake


class Refusal:
    code = "PrincipalNotFound"
    message = "Principal does not exist."


def refused(code: str = "PrincipalNotFound") -> HttpResponseError:
    error = HttpResponseError(message="refused")
    refusal = Refusal()
    refusal.code = code
    error.error = refusal  # type: ignore[assignment]
    return error


def script(*steps: Any) -> Callable[[], Any]:
    """A call that gives one step after the other, and the last for ever."""
    rest: Iterator[Any] = iter(steps)
    last = steps[-1]

    def call() -> Any:
        step = next(rest, last)
        if isinstance(step, Exception):
            raise step
        return step

    return call


def test_a_deadline_counts_down(clock: Clock) -> None:
    deadline = Deadline(10)
    assert (deadline.elapsed, deadline.left, deadline.over) == (0, 10, False)
    clock.now += 4
    assert (deadline.elapsed, deadline.left, deadline.over) == (4, 6, False)
    clock.now += 7
    assert (deadline.elapsed, deadline.left, deadline.over) == (11, 0, True)


def test_a_pause_is_never_negative(clock: Clock) -> None:
    pause(-3)
    assert clock.pauses == [0]


class TestUntil:
    def test_done_at_once_does_not_pause(self, clock: Clock) -> None:
        assert until(script("end"), lambda now: now == "end", what="x", timeout=0) == "end"
        assert clock.pauses == []

    def test_asks_every_interval(self, clock: Clock) -> None:
        assert until(script(1, 2, 3), lambda now: now == 3, what="x", timeout=60, interval=5) == 3
        assert clock.pauses == [5, 5]

    def test_the_last_look_is_at_the_deadline(self, clock: Clock) -> None:
        with pytest.raises(ModuleFailure) as caught:
            until(script("Running"), lambda _: False, what="restart shop", timeout=12, interval=5, resume="Come back.")
        assert clock.pauses == [5, 5, 2]
        assert caught.value.message == (
            "Failed to restart shop: not done after 12 s (wait_timeout 12 s), last state Running."
        )
        assert (caught.value.code, caught.value.hint) == ("Timeout", "Come back.")

    def test_the_state_is_put_into_words(self, clock: Clock) -> None:
        with pytest.raises(ModuleFailure, match="last state of shop"):
            until(script("shop"), lambda _: False, what="x", timeout=1, state=lambda now: f"of {now}")
        assert clock.now >= 1001

    def test_a_failing_look_ends_it(self, clock: Clock) -> None:
        with pytest.raises(HttpResponseError):
            until(script(refused()), lambda _: True, what="x", timeout=60)
        assert clock.pauses == []


class TestRetryOn:
    CODES = frozenset({"PrincipalNotFound"})

    def test_success_at_once(self, clock: Clock) -> None:
        assert retry_on(self.CODES, script("made"), timeout=60) == "made"
        assert clock.pauses == []

    def test_pauses_double_up_to_fifteen_seconds(self, clock: Clock) -> None:
        assert retry_on(self.CODES, script(*[refused()] * 6, "made"), timeout=300) == "made"
        assert clock.pauses == [1, 2, 4, 8, 15, 15]

    def test_another_refusal_is_raised_at_once(self, clock: Clock) -> None:
        with pytest.raises(HttpResponseError):
            retry_on(self.CODES, script(refused("AuthorizationFailed"), "made"), timeout=60)
        assert clock.pauses == []

    def test_a_broken_connection_is_raised_at_once(self, clock: Clock) -> None:
        with pytest.raises(ServiceRequestError):
            retry_on(self.CODES, script(ServiceRequestError("gone"), "made"), timeout=60)
        assert clock.pauses == []

    def test_what_no_service_raised_is_raised_at_once(self, clock: Clock) -> None:
        with pytest.raises(ValueError, match="ours"):
            retry_on(self.CODES, script(ValueError("ours"), "made"), timeout=60)
        assert clock.pauses == []

    def test_the_last_refusal_is_raised_when_the_time_is_over(self, clock: Clock) -> None:
        last = refused()
        with pytest.raises(HttpResponseError) as caught:
            retry_on(self.CODES, script(refused(), refused(), last), timeout=10)
        assert caught.value is last and clock.pauses == [1, 2, 4, 3]

    def test_no_time_is_one_attempt(self, clock: Clock) -> None:
        with pytest.raises(HttpResponseError):
            retry_on(self.CODES, script(refused(), "made"), timeout=0)
        assert clock.pauses == []

    def test_a_function_tells_what_passes(self, clock: Clock) -> None:
        call = script(refused("Throttled"), "made")
        assert retry_on(lambda error: isinstance(error, HttpResponseError), call, timeout=60) == "made"
        assert clock.pauses == [1]


class Poller:
    """Ends after `seconds` of waiting."""

    def __init__(self, clock: Clock, seconds: float, failure: Exception | None = None) -> None:
        self.clock = clock
        self.end = clock.now + seconds
        self.failure = failure

    def wait(self, timeout: float | None = None) -> None:
        self.clock.now = min(self.end, self.clock.now + (timeout or 0))
        if self.failure:
            raise self.failure

    def done(self) -> bool:
        return self.clock.now >= self.end

    def status(self) -> str:
        return "Succeeded" if self.done() else "InProgress"

    def result(self, timeout: float | None = None) -> str:
        return "result"


class TestWaitFor:
    def test_the_result(self, clock: Clock) -> None:
        assert wait_for(Poller(clock, 30), "restart shop", 60) == "result"

    def test_a_poller_that_comes_back_quietly_is_a_timeout(self, clock: Clock) -> None:
        with pytest.raises(ModuleFailure) as caught:
            wait_for(Poller(clock, 90), "restart shop", 60)
        assert caught.value.message == (
            "Failed to restart shop: not done after 60 s (wait_timeout 60 s), last state InProgress."
        )
        assert caught.value.code == "Timeout" and "run again" in str(caught.value.hint)

    def test_a_failed_operation_raises_what_it_failed_with(self, clock: Clock) -> None:
        with pytest.raises(HttpResponseError):
            wait_for(Poller(clock, 1, refused("ServerIsBusy")), "restart shop", 60)
