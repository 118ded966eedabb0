# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator, ValidationResult
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.common.text.converters import to_text
from ansible.module_utils.errors import UnsupportedError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._base import PgflexModule, Runtime
from ..module_utils._spec import ArgumentSpec
from .plain import plain
from .preload import MODULES, load_for_workers
from .terminal import CHOICES, Terminal, say, terminal_for

load_for_workers()

display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs the module of the task's name inside the worker, when nothing asks for a process of its own."""

    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        if self._wants_a_process(variables):
            ordinary: dict[str, Any] = self._execute_module(task_vars=variables, wrap_async=self._task.async_val)
            return ordinary
        return self._in_worker(variables)

    def _wants_a_process(self, variables: dict[str, Any]) -> bool:
        """Remote, become, async and another interpreter need the ordinary way, as does pgflex_in_process: false."""
        interpreter = self._templar.template(variables.get("ansible_python_interpreter"))
        # Names such as auto and auto_silent ask for discovery, which would look for what we run in already.
        other = isinstance(interpreter, str) and os.path.isabs(interpreter) and not _same_python(interpreter)
        return bool(
            self._connection.transport != "local"
            or self._play_context.become
            or self._task.async_val
            or other
            # From the command line it comes as text.
            or not boolean(self._templar.template(variables.get("pgflex_in_process", True)), strict=False)
        )

    def _in_worker(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = self._task.action.rsplit(".", 1)[-1]
        module = importlib.import_module(f"{MODULES}.{name}")
        spec: ArgumentSpec = module.SPEC
        validator = ArgumentSpecValidator(spec.options, **spec.constraints())
        args = plain(self._task.args)
        with self._environment():
            checked = validator.validate(args)
            if checked.error_messages:
                raise AnsibleActionFail(self._refusal(checked))
            result = self._run_module(module.MODULE, checked.validated_parameters, variables)
        if _shows_invocation(variables):
            result["invocation"] = {"module_args": checked.validated_parameters}
        masked: dict[str, Any] = remove_values(result, checked._no_log_values)
        return masked

    def _refusal(self, checked: ValidationResult) -> str:
        """The sentence that an ordinary module would fail with: the first, and in the same words."""
        first = checked.errors[0]
        prefix = f"Unsupported parameters for ({self._task.action}) module: "
        text: str = to_text(f"{prefix if isinstance(first, UnsupportedError) else ''}{first.msg}")
        return text

    def _run_module(
        self, kind: type[PgflexModule], params: dict[str, Any], variables: dict[str, Any]
    ) -> dict[str, Any]:
        runtime = Runtime(
            params=params,
            dry_run=bool(self._task.check_mode),
            diff=bool(self._task.diff),
            report=say,
            screen=partial(self._screen, variables),
            token_cache=str(Path(C.DEFAULT_LOCAL_TMP) / "pgflex-tokens.json"),
        )
        return kind(runtime).run()

    def _screen(self, variables: dict[str, Any], wanted: str | None) -> Terminal | None:
        """The option of the task wins over the variable pgflex_progress; what is neither is no reason to stop."""
        said = wanted or str(self._templar.template(variables.get("pgflex_progress")) or "auto")
        if said not in CHOICES:
            display.warning(f"pgflex_progress is {', '.join(CHOICES[:-1])} or {CHOICES[-1]}, and not {said}.")
            said = "auto"
        return terminal_for(said, self._task, len(variables.get("ansible_play_batch") or []))

    @contextlib.contextmanager
    def _environment(self) -> Any:
        """The task's `environment`, for as long as the module runs; the worker serves one task at a time."""
        wanted: dict[str, str] = {}
        for layer in self._task.environment or []:
            values = self._templar.template(layer)
            if isinstance(values, Mapping):
                wanted.update({str(key): str(plain(value)) for key, value in values.items()})
        before = dict(os.environ)
        os.environ.update(wanted)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _shows_invocation(variables: dict[str, Any]) -> bool:
    """Newer ansible-core leaves the arguments out of a result unless it is set to show them; older ones always do."""
    try:
        return bool(C.config.get_config_value("INJECT_INVOCATION", variables=variables))
    except AnsibleError:
        return True


def _same_python(path: str) -> bool:
    """Whether a path means the interpreter that runs now, under whichever of its names: python, python3, python3.13.

    The folder has to be the same as well: a virtual environment's python is a link to one that lacks its packages.
    """
    given, running = os.path.abspath(path), os.path.abspath(sys.executable)
    same_folder = os.path.dirname(given) == os.path.dirname(running)
    return same_folder and os.path.realpath(given) == os.path.realpath(running)
