# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the live view may draw, and how it reaches the terminal."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants
from ansible_collections.pgflex.migrate.plugins.plugin_utils import terminal
from ansible_collections.pgflex.migrate.plugins.plugin_utils.terminal import Terminal, terminal_for


def task(strategy: str = "linear", *, run_once: bool = True) -> Any:
    return SimpleNamespace(run_once=run_once, get_play=lambda: SimpleNamespace(strategy=strategy))


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal that a person looks at."""
    ours, its = pty.openpty()
    monkeypatch.setattr(terminal, "TERMINAL", its)
    monkeypatch.setenv("TERM", "xterm")
    for name in terminal.RUNNER_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(terminal.display, "verbosity", 0)
    monkeypatch.setattr(constants, "DEFAULT_STDOUT_CALLBACK", "default")
    yield ours
    os.close(ours)
    os.close(its)


@pytest.mark.parametrize(
    ("given", "hosts", "wanted", "drawn"),
    [
        (task(), 200, "auto", True),
        (task("ansible.builtin.linear"), 200, "auto", True),
        (task(run_once=False), 1, "auto", True),
        (task(), 200, "plain", False),
        # Other workers would write in between.
        (task(run_once=False), 2, "auto", False),
        (task("free"), 200, "auto", False),
        (task("host_pinned"), 1, "auto", False),
        (task("free"), 200, "live", True),
    ],
)
def test_when_it_draws(there: int, given: Any, hosts: int, wanted: str, drawn: bool) -> None:
    assert (terminal_for(wanted, given, hosts) is not None) is drawn


@pytest.mark.parametrize("name", terminal.RUNNER_VARIABLES)
def test_a_runner_gets_lines_unless_it_asks(there: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert terminal_for("auto", task(), 3) is None and terminal_for("live", task(), 3) is not None


def test_the_runners_callback_and_debugging_get_lines(there: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.display, "verbosity", 3)
    assert terminal_for("auto", task(), 3) is None
    monkeypatch.setattr(terminal.display, "verbosity", 2)
    assert terminal_for("auto", task(), 3) is not None
    monkeypatch.setattr(constants, "DEFAULT_STDOUT_CALLBACK", "awx_display")
    assert terminal_for("auto", task(), 3) is None


@pytest.mark.parametrize("wanted", ["auto", "live"])
@pytest.mark.parametrize("kind", [None, "dumb", ""])
def test_without_a_terminal_nothing_draws(there: int, kind: str | None, wanted: str, monkeypatch: Any) -> None:
    if kind is None:
        monkeypatch.setattr(terminal, "TERMINAL", None)
    else:
        monkeypatch.setenv("TERM", kind)
    assert terminal_for(wanted, task(), 3) is None


def test_the_size_is_asked_each_time(there: int) -> None:
    import fcntl
    import struct
    import termios

    found = terminal_for("auto", task(), 3)
    assert found is not None
    for columns, lines in ((80, 24), (120, 40)):
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        assert found.size() == (columns, lines)


def test_it_writes_through_ansibles_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker has no terminal; the display is a queue there, and in order with all other output."""
    said: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(terminal.display, "display", lambda text, **options: said.append((text, options)))
    drawn = Terminal(1)
    drawn.write("\x1b[2Ashop\n\x1b[J")
    drawn.log("shop: copying")
    assert said == [
        ("\x1b[2Ashop\n\x1b[J", {"screen_only": True, "newline": False}),
        ("shop: copying", {"log_only": True}),
    ]


def test_a_signal_waits_until_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ends with the queue's lock in its hands would leave Ansible waiting for ever."""
    order: list[str] = []

    def handle(number: int, _frame: Any) -> None:
        order.append(signal.Signals(number).name)

    def interrupted(text: str, **options: Any) -> None:
        # To this thread, the only one that a worker of Ansible's has.
        signal.raise_signal(signal.SIGTERM)
        order.append(text)

    monkeypatch.setattr(terminal.display, "display", interrupted)
    before = signal.signal(signal.SIGTERM, handle)
    try:
        Terminal(1).write("drawn")
        Terminal(1).log("logged")
        terminal.say("said")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert order == ["drawn", "SIGTERM", "logged", "SIGTERM", "said", "SIGTERM"]
