# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparing and checking server parameters. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from .._errors import ModuleFailure

TRUE = frozenset({"on", "true", "yes", "1"})
FALSE = frozenset({"off", "false", "no", "0"})
# Lists that some servers call strings. In these, case has no meaning ...
NAME_LISTS = frozenset(
    {"azure.extensions", "shared_preload_libraries", "session_preload_libraries", "local_preload_libraries"}
)
# ... and in these it can have one.
TEXT_LISTS = frozenset({"datestyle", "log_destination", "search_path", "temp_tablespaces"})
# Extensions are allowed or not; the libraries of shared_preload_libraries are loaded in their order.
UNORDERED = frozenset({"azure.extensions"})
# Single Server does not say which parameters need a restart: PostgreSQL's own of that kind, and the service's one.
STATIC_ON_SINGLE_SERVER = frozenset(
    {
        "autovacuum_freeze_max_age",
        "autovacuum_max_workers",
        "autovacuum_multixact_freeze_max_age",
        "azure.replication_support",
        "hot_standby",
        "huge_pages",
        "logging_collector",
        "max_connections",
        "max_files_per_process",
        "max_locks_per_transaction",
        "max_logical_replication_workers",
        "max_pred_locks_per_transaction",
        "max_prepared_transactions",
        "max_replication_slots",
        "max_wal_senders",
        "max_worker_processes",
        "old_snapshot_threshold",
        "shared_buffers",
        "shared_preload_libraries",
        "superuser_reserved_connections",
        "track_activity_query_size",
        "track_commit_timestamp",
        "wal_buffers",
        "wal_level",
        "wal_log_hints",
    }
)
_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})(?:-({_NUMBER}))?")
# What only a regular expression holds: the service describes free text so, in another dialect than Python's.
_PATTERN = re.compile(r"[\[\](){}^$*\\|]")


class Unfit(Exception):
    """Why a parameter can not have a value, as the end of a sentence that begins with both."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a server of either kind, as the server describes it."""

    name: str
    value: str
    default: str = ""
    data_type: str = "String"
    allowed: str = ""
    unit: str = ""
    needs_restart: bool = False
    read_only: bool = False
    pending_restart: bool = False

    @property
    def key(self) -> str:
        """PostgreSQL's names have no case."""
        return self.name.lower()

    @property
    def is_list(self) -> bool:
        return self.data_type == "Set" or self.key in NAME_LISTS or self.key in TEXT_LISTS

    @property
    def is_pattern(self) -> bool:
        return bool(_PATTERN.search(self.allowed))

    @property
    def choices(self) -> list[str]:
        return items(self.allowed)


@dataclass(frozen=True)
class Change:
    """A value to be written; `reset` gives the parameter back to the service's own default."""

    parameter: Parameter
    value: str
    reset: bool = False

    @property
    def name(self) -> str:
        return self.parameter.name

    @property
    def properties(self) -> dict[str, str]:
        return {"value": self.value, "source": "system-default" if self.reset else "user-override"}


def single_parameter(row: Mapping[str, Any]) -> Parameter:
    return _parameter(row, needs_restart=str(row["name"]).lower() in STATIC_ON_SINGLE_SERVER)


def flexible_parameter(row: Mapping[str, Any]) -> Parameter:
    return _parameter(row, needs_restart=row["properties"].get("isDynamicConfig") is False)


def _parameter(row: Mapping[str, Any], needs_restart: bool) -> Parameter:
    properties = row["properties"]
    return Parameter(
        name=str(row["name"]),
        value=properties.get("value") or "",
        default=properties.get("defaultValue") or "",
        data_type=(properties.get("dataType") or "String").capitalize(),
        allowed=properties.get("allowedValues") or "",
        unit=properties.get("unit") or "",
        needs_restart=needs_restart,
        read_only=bool(properties.get("isReadOnly")),
        pending_restart=bool(properties.get("isConfigPendingRestart")),
    )


def items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def same(parameter: Parameter, one: str, other: str) -> bool:
    """Whether two texts are one value, by the rules of the parameter's type."""
    return _comparable(parameter, one) == _comparable(parameter, other)


def _comparable(parameter: Parameter, text: str) -> object:
    text = text.strip()
    if parameter.is_list:
        found = items(text if parameter.key in TEXT_LISTS else text.lower())
        return sorted(set(found)) if parameter.key in UNORDERED else found
    if parameter.data_type == "Boolean" and text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    if parameter.data_type in ("Integer", "Numeric"):
        number = _number(text)
        return text if number is None else number
    return text.lower() if parameter.data_type == "Enumeration" else text


def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def fitted(parameter: Parameter, value: Any) -> str:
    """A value from YAML as it is to be written, in the service's spelling; raises Unfit."""
    text = _text(value)
    if parameter.is_list:
        return ",".join(_choice(parameter, item) for item in items(text))
    if parameter.data_type == "Boolean":
        return _boolean(parameter, text)
    if parameter.data_type in ("Integer", "Numeric"):
        return _numeric(parameter, text)
    return _choice(parameter, text) if parameter.data_type == "Enumeration" else text


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)
    if isinstance(value, dict):
        raise Unfit("has to be one value or a list, not a mapping")
    return str(value).strip()


def _choice(parameter: Parameter, text: str) -> str:
    if not parameter.allowed or parameter.is_pattern:
        return text
    found = next((choice for choice in parameter.choices if choice.lower() == text.lower()), None)
    if found is None:
        raise Unfit(f"has to be {'made of' if parameter.is_list else 'one of'} {', '.join(parameter.choices)}")
    return found


def _boolean(parameter: Parameter, text: str) -> str:
    if text.lower() not in TRUE | FALSE:
        raise Unfit("has to be on or off")
    word = "on" if text.lower() in TRUE else "off"
    return next((choice for choice in parameter.choices if choice.lower() == word), word)


def _numeric(parameter: Parameter, text: str) -> str:
    number = _number(text)
    kind = "an integer" if parameter.data_type == "Integer" else "a number"
    if number is None or (parameter.data_type == "Integer" and number != number.to_integral_value()):
        raise Unfit(f"has to be {kind}{f', in units of {parameter.unit}' if parameter.unit else ''}")
    if not _in_ranges(parameter, number):
        raise Unfit(f"has to be in {parameter.allowed}")
    return str(int(number)) if parameter.data_type == "Integer" else text


def _in_ranges(parameter: Parameter, number: Decimal) -> bool:
    """`allowed` is a range, or a list of ranges and numbers; what is written otherwise is left to the service."""
    parts = [_RANGE.fullmatch(part) for part in parameter.choices]
    if not all(parts):
        return True
    ends = [(Decimal(part[1]), Decimal(part[2] or part[1])) for part in parts if part]
    return not ends or any(low <= number <= high for low, high in ends)


def plan(parameters: Iterable[Parameter], asked: Mapping[str, Any], server: str) -> list[Change]:
    """The changes that make the parameters what is asked, none for those that are so already.

    One failure names all that is wrong with what is asked.
    """
    there = {parameter.key: parameter for parameter in parameters}
    changes: list[Change] = []
    faults: list[str] = []
    for name, value in asked.items():
        parameter = there.get(name.lower())
        try:
            if parameter is None:
                raise _unknown(name, there)
            change = _change(parameter, value)
        except Unfit as unfit:
            faults.append(f"{name} {unfit}")
        else:
            changes += [change] if change else []
    if faults:
        raise ModuleFailure(
            f"Failed to set parameters of {server}, nothing was changed: {'; '.join(faults)}.",
            code="InvalidParameters",
            hint="Correct the option parameters.",
            details={"invalid_parameters": [fault.split(" ", 1)[0] for fault in faults]},
        )
    return changes


def _unknown(name: str, there: Mapping[str, Parameter]) -> Unfit:
    near = difflib.get_close_matches(name.lower(), there, n=1)
    return Unfit("is not a parameter of this server" + (f" (is {there[near[0]].name} meant?)" if near else ""))


def _change(parameter: Parameter, value: Any) -> Change | None:
    reset = value is None
    try:
        text = parameter.default if reset else fitted(parameter, value)
    except Unfit as unfit:
        raise Unfit(f"is {value!r} and {unfit}") from unfit
    if same(parameter, parameter.value, text):
        return None
    if parameter.read_only:
        raise Unfit(f"is read-only, its value is {parameter.value!r}")
    return Change(parameter, text, reset)
