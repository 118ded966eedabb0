# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys, types and choices that the role settings documents, checked without a task of Ansible's.

Its own check of a role's arguments prints the whole specification after the mistake, and one host only at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import RequiredError, UnsupportedError

from ..module_utils._auth import NAMES
from ..module_utils._migration.settings import problems

SPEC = Path(__file__).parents[2] / "roles" / "settings" / "meta" / "argument_specs.yml"


def settings_problems(given: Any, **more: bool) -> list[str]:
    """All that is wrong with the dictionary `pgflex` of a host, each a sentence; `more` as `problems` takes it."""
    found = problems(given, **more)
    # Of a few mappings `problems` says more.
    shape = [text for text in misshapen(given) if not any(said.startswith(text.rstrip(".")) for said in found)]
    return shape + found


def azure_problems(given: Any) -> list[str]:
    """What is wrong with `pgflex_azure`, before a module refuses it in words that do not name it."""
    if not isinstance(given, dict):
        return [f"pgflex_azure has to be a mapping; it takes {', '.join(NAMES)}."]
    return [f"pgflex_azure has no key {name}; it takes {', '.join(NAMES)}." for name in given if name not in NAMES]


@cache
def _validator() -> Any:
    options = yaml.safe_load(SPEC.read_text(encoding="utf-8"))["argument_specs"]["check"]["options"]
    return ArgumentSpecValidator({"pgflex": options["pgflex"]})


def misshapen(given: Any) -> list[str]:
    """Unknown keys, wrong types and choices, in Ansible's words; what is missing `problems` tells with its name."""
    validator = _validator()
    # Ansible's validator ends in a traceback where an option with options is none.
    shapeless = list(_shapeless(given, validator.argument_spec["pgflex"], "pgflex"))
    if shapeless:
        return [f"{name} has to be a mapping." for name in shapeless]
    errors = validator.validate({"pgflex": given}).errors.errors
    return [_sentence(error) for error in errors if not isinstance(error, RequiredError)]


def _shapeless(given: Any, option: Mapping[str, Any], name: str) -> Iterator[str]:
    inner = option.get("options")
    if given is None or not inner:
        return
    if not isinstance(given, dict):
        yield name
        return
    for key, value in given.items():
        if key in inner:
            yield from _shapeless(value, inner[key], f"{name}.{key}")


def _sentence(error: Any) -> str:
    said = f"{error.msg.rstrip('.')}."
    return f"There is no setting {said}" if isinstance(error, UnsupportedError) else said
