# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applying remedies and putting them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._base import Runtime
from .._errors import ModuleFailure
from .rules import SOURCE, TARGET
from .steps import KINDS, Bench, Step, undoing
from .store import Store


class Work:
    """Does steps, one after the other, and knows which of them are done."""

    def __init__(self, bench: Bench, remember: str | None, restart: Sequence[str], runtime: Runtime) -> None:
        self.bench = bench
        self.store = Store(bench.job.target, remember) if remember else None
        self.done: list[Step] = []
        self._restart = restart
        self._runtime = runtime

    def do(self, steps: Sequence[Step], *, keep: bool) -> None:
        if self.store and keep:
            self.store.keep(steps)
        for step in steps:
            KINDS[step.kind].write(self.bench, step, step.after)
            self.done.append(step)
            where = f"{step.side}{f' {step.database}' if step.database else ''}"
            self._runtime.report(f"{where}: {step.object}: {step.before!r} -> {step.after!r}")
        for side in self._restarts(steps):
            self._runtime.report(f"{side}: restarting")
            self.bench.server(side, "restart").restart(self.bench.deadline)

    def undo(self, steps: Sequence[Step]) -> list[Step]:
        found, notes = undoing(self.bench, steps)
        for note in notes:
            self._runtime.warn(note)
        return found

    def forget(self, remedies: Sequence[str], *, really: bool) -> None:
        if self.store and really:
            self.store.forget(remedies)

    def _restarts(self, steps: Iterable[Step]) -> list[str]:
        """The servers that Azure is asked to restart."""
        needing = {step.side for step in steps if step.restart and step.kind == "parameter"}
        return [side for side in (SOURCE, TARGET) if side in needing and side in self._restart]

    def waiting(self, steps: Sequence[Step]) -> list[str]:
        """The servers that somebody else has to restart."""
        needing = {step.side for step in steps if step.restart}
        return [side for side in (SOURCE, TARGET) if side in needing and side not in self._restarts(steps)]


def stored(params: Mapping[str, Any], work: Work) -> list[Step]:
    """The steps that are to be undone, from the option or from the target's table."""
    given = params["restore"]
    if given is None:
        return work.store.find(params["remedies"]) if work.store else []
    rows = [row for part in given.values() for row in (part if isinstance(part, list) else [part])]
    if not all(isinstance(row, dict) for row in rows):
        raise ModuleFailure(
            "The option restore holds something else than changes by remedy.",
            code="InvalidRestore",
            hint="Give what an earlier run returned as preflight.previous, unchanged.",
        )
    return [Step.from_result(row) for row in rows]
