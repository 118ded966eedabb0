# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

from ansible import constants as C
from ansible.utils.color import ANSIBLE_COLOR
from ansible.utils.display import Display

display = Display()

# Kept by the program that forks the workers: a worker has no terminal, but may ask how large this one is.
TERMINAL = os.dup(1) if os.isatty(1) else None
CHOICES = ("auto", "plain", "live")
# What can not move its cursor, or does not say what it is.
NO_TERMS = (None, "", "dumb")
# They run ansible-playbook on a terminal of their own making, and show its lines to somebody else.
RUNNER_VARIABLES = ("AWX_ISOLATED_DATA_DIR", "RUNNER_OMIT_EVENTS", "AWX_HOST", "CI")
RUNNER_CALLBACK = "awx_display"


class Terminal:
    """Writes through Ansible's own display: in a worker that is a queue to the program that owns the terminal."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.colour = bool(ANSIBLE_COLOR)

    def size(self) -> tuple[int, int]:
        found = os.get_terminal_size(self._handle)
        return found.columns, found.lines

    def write(self, text: str) -> None:
        with _uninterrupted():
            display.display(text, screen_only=True, newline=False)

    def log(self, line: str) -> None:
        with _uninterrupted():
            display.display(line, log_only=True)


def say(line: str) -> None:
    """A line of progress."""
    with _uninterrupted():
        display.display(line)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A worker that is ended while it holds the lock of the queue leaves Ansible waiting for that lock for ever."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def terminal_for(wanted: str, task: Any, hosts: int) -> Terminal | None:
    """Where to draw: `live` wherever there is a terminal, `auto` when nobody else writes to it meanwhile."""
    if wanted == "plain" or TERMINAL is None or os.environ.get("TERM") in NO_TERMS:
        return None
    if wanted == "auto" and not (_for_a_person() and _alone(task, hosts)):
        return None
    return Terminal(TERMINAL)


def _for_a_person() -> bool:
    runner = any(os.environ.get(name) for name in RUNNER_VARIABLES)
    return not runner and RUNNER_CALLBACK != C.DEFAULT_STDOUT_CALLBACK and display.verbosity < 3


def _alone(task: Any, hosts: int) -> bool:
    """Whether no other worker can say something in between: other strategies run several tasks at a time."""
    linear = str(task.get_play().strategy).rsplit(".", maxsplit=1)[-1] == "linear"
    return linear and (bool(task.run_once) or hosts == 1)
