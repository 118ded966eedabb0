# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module runs: check mode, diff, idempotence and exit, once for all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ansible.module_utils.basic import AnsibleModule

from ._errors import ModuleFailure, service_errors, translate
from ._migration.progress import Screen
from ._spec import ArgumentSpec

State = dict[str, Any]


@dataclass
class Runtime:
    """What a module needs of the program that runs it: an AnsibleModule of its own, or the worker it runs in."""

    params: dict[str, Any]
    dry_run: bool = False
    diff: bool = False
    report: Callable[[str], None] = lambda line: None
    # The terminal to draw on, for what the user wants of it: auto, plain, live, or nothing said. None for plain lines.
    screen: Callable[[str | None], Screen | None] = lambda wanted: None
    # A file that only this user can read, for tokens that the workers of one run share.
    token_cache: str | None = None
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class PgflexModule:
    """One resource: `read`, `desired`, `apply`, `remove`. Everything a user sees of a run is made here, once.

    A state is a dictionary as the user gets it back; two states that are equal mean that nothing has to be done.
    """

    result_key: ClassVar[str]
    # Keys of a state that are returned once and shown nowhere else, such as a new client secret.
    secret_keys: ClassVar[tuple[str, ...]] = ()

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.params = runtime.params
        self._doing: list[str] = []

    @property
    def thing(self) -> str:
        """What a failure calls the resource, as in `Failed to update <thing>: ...`."""
        return f"the {self.result_key.replace('_', ' ')}"

    def read(self) -> State | None:
        """The state that is there, None where there is none."""
        raise AssertionError(f"{type(self).__name__} has no read()")

    def desired(self, current: State | None) -> State | None:
        """The state that the options ask for; equal to `current` when they ask for nothing new."""
        raise AssertionError(f"{type(self).__name__} has no desired()")

    def apply(self, want: State) -> State:
        raise AssertionError(f"{type(self).__name__} has no apply()")

    def remove(self, current: State) -> State | None:
        """Takes the resource away; a state that it gives back is what is left, for things that are not simply gone."""
        raise AssertionError(f"{type(self).__name__} has no remove()")

    def extra(self) -> dict[str, Any]:
        """More keys of the result, beside the state."""
        return {}

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Names what a failure inside failed to do, as in `Failed to <what>: ...`."""
        self._doing.append(what)
        try:
            yield
        except service_errors() as error:
            raise translate(error, self._doing[-1]) from error
        finally:
            self._doing.pop()

    def outcome(self) -> dict[str, Any]:
        """The result of a run; check mode, idempotence and diff are decided here and nowhere else."""
        with self.doing(f"read {self.thing}"):
            before = self.read()
            want = None if self.params.get("state") == "absent" else self.desired(before)
        changed = before != want
        after = want
        if changed and not self.runtime.dry_run:
            verb = "delete" if want is None else "update" if before else "create"
            with self.doing(f"{verb} {self.thing}"):
                after = self.apply(want) if want is not None else self.remove(before or {})
        result: dict[str, Any] = {"changed": changed, self.result_key: after, **self.extra()}
        if self.runtime.diff:
            result["diff"] = {"before": self.shown(before), "after": self.shown(after)}
        return result

    def shown(self, state: State | None) -> State:
        """The state for the diff: without secrets, and without the keys that say nothing."""
        shown = (state or {}).items()
        return {key: value for key, value in shown if value is not None and key not in self.secret_keys}

    def run(self) -> dict[str, Any]:
        """The module's whole result; what went wrong is in it as `failed`, `msg` and `failure`."""
        try:
            result = self.outcome()
        except ModuleFailure as failure:
            result = {"changed": False, **failure.as_result()}
        if self.runtime.warnings:
            result["warnings"] = list(self.runtime.warnings)
        return result

    @classmethod
    def main(cls, spec: ArgumentSpec) -> None:
        """Runs as an ordinary module."""
        module = AnsibleModule(argument_spec=spec.options, supports_check_mode=True, **spec.constraints())
        runtime = Runtime(params=module.params, dry_run=module.check_mode, diff=module._diff)
        result = cls(runtime).run()
        # exit_json would tell a caller that it failed as well, but only fail_json sets the exit code.
        (module.fail_json if result.get("failed") else module.exit_json)(**result)


class InfoModule(PgflexModule):
    """Reads only: `results` gives what goes under `result_key`."""

    def results(self) -> Any:
        raise AssertionError(f"{type(self).__name__} has no results()")

    def outcome(self) -> dict[str, Any]:
        with self.doing(f"read {self.thing}"):
            found = self.results()
        return {"changed": False, self.result_key: found, **self.extra()}
