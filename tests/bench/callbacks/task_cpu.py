# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what each task of a playbook cost: CPU of Ansible with the workers that have ended, and wall time."""

from __future__ import annotations

import os
import resource
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_cpu
type: aggregate
short_description: CPU of each task
description: Writes a line for each task into the file that the environment names.
"""


def _now() -> tuple[float, float, float]:
    own, ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime, ended.ru_utime + ended.ru_stime, time.monotonic()


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_cpu"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._task = "before the first task"
        self._began = _now()
        self._file = os.environ["TASK_CPU"]

    def _next(self, name: str) -> None:
        now = _now()
        own, workers, wall = (after - before for after, before in zip(now, self._began, strict=True))
        with open(self._file, "a", encoding="utf-8") as file:
            file.write(f"{own:.3f} {workers:.3f} {wall:.3f} {self._task}\n")
        self._task, self._began = name, now

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._next(f"{task.get_name()} ({task.action})")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._next("after the last task")
