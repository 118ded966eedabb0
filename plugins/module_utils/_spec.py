# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argument specs that can be merged, with the constraints among options. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ArgumentSpec:
    """Options together with the constraints among them, so that shared groups of options bring their own."""

    options: dict[str, Any] = field(default_factory=dict)
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()
    required_together: tuple[tuple[str, ...], ...] = ()
    required_one_of: tuple[tuple[str, ...], ...] = ()
    required_if: tuple[tuple[Any, ...], ...] = ()
    required_by: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def merge(self, other: ArgumentSpec) -> ArgumentSpec:
        return ArgumentSpec(
            options={**self.options, **other.options},
            mutually_exclusive=self.mutually_exclusive + other.mutually_exclusive,
            required_together=self.required_together + other.required_together,
            required_one_of=self.required_one_of + other.required_one_of,
            required_if=self.required_if + other.required_if,
            required_by={**self.required_by, **other.required_by},
        )

    def constraints(self) -> dict[str, Any]:
        """The keyword arguments that AnsibleModule and ArgumentSpecValidator share, beside the options."""
        return {
            "mutually_exclusive": [list(names) for names in self.mutually_exclusive],
            "required_together": [list(names) for names in self.required_together],
            "required_one_of": [list(names) for names in self.required_one_of],
            "required_if": [list(rule) for rule in self.required_if],
            "required_by": {name: list(needs) for name, needs in self.required_by.items()},
        }


STATE = ArgumentSpec(options={"state": {"type": "str", "choices": ["present", "absent"], "default": "present"}})

WAIT = ArgumentSpec(
    options={
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 1800},
    }
)

AZURE = ArgumentSpec(
    options={
        "subscription_id": {"type": "str"},
        "tenant": {"type": "str"},
        "client_id": {"type": "str"},
        "secret": {"type": "str", "no_log": True},
        "auth_source": {
            "type": "str",
            "choices": ["auto", "env", "cli", "credential_file", "msi", "workload_identity"],
        },
        "profile": {"type": "str"},
        "cloud_environment": {"type": "str"},
    }
)
