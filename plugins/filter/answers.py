# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

PREFIX = "pgflex__"
# A multiple choice of AWX always has an answer; this one stands for none.
UNANSWERED = ("", "as in the inventory")
YES_OR_NO = {"yes": True, "no": False}


def _given(value: Any) -> bool:
    return value is not None and value != [] and not (isinstance(value, str) and value in UNANSWERED)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Only what `above` really gives counts; the values themselves stay the objects they are, so none loses a mark."""
    merged = dict(below)
    for name, value in above.items():
        if isinstance(value, Mapping):
            under = merged.get(name)
            merged[name] = _laid_over(under if isinstance(under, Mapping) else {}, value)
        elif _given(value) or name not in merged:
            merged[name] = value
    return merged


def _only_given(values: Mapping[str, Any]) -> dict[str, Any]:
    inner = {name: _only_given(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    return {name: value for name, value in inner.items() if _given(value) and value != {}}


def _nested(name: str, value: Any) -> dict[str, Any]:
    path = name.removeprefix(PREFIX).split("__")
    if not name.startswith(PREFIX) or not all(path):
        raise AnsibleFilterError(f"{name} names no setting: pgflex__mode does, and pgflex__cutover__trigger.")
    leaf = YES_OR_NO.get(value, value) if isinstance(value, str) else value
    nested = {path[-1]: leaf}
    for key in reversed(path[:-1]):
        nested = {key: nested}
    return nested


def _answers(settings: Any, answers: Any, fallback: Any = None) -> dict[str, Any]:
    for value in (settings, answers, fallback or {}):
        if not isinstance(value, Mapping):
            raise AnsibleFilterError("Settings and answers have to be mappings; see the role pgflex.migrate.settings.")
    # What the fallback leaves open is to be left out, not empty.
    merged = _laid_over(_only_given(fallback or {}), settings)
    for name, value in answers.items():
        if _given(value):
            merged = _laid_over(merged, _nested(name, value))
    return merged


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"answers": _answers}
