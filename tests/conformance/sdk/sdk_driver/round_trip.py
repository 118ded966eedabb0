# SPDX-License-Identifier: GPL-3.0-or-later
"""What an SDK's typed model loses of an answer. Three families of models are known: msrest's, the newer hybrid ones
that keep the answer inside, and kiota's."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any


def problems(answer: Any, model: Any) -> list[str]:
    """Paths of keys that the model does not know, and of required fields that the answer leaves out."""
    if model is None or isinstance(model, (str, int, float, bool)):
        return []
    if isinstance(model, list):
        return _of_list(answer, model)
    if hasattr(model, "_attr_to_rest_field"):
        return list(_hybrid(answer, model, ""))
    if hasattr(model, "serialize"):
        return [*_lost(answer, model.serialize(keep_readonly=True), ""), *_missing(model, "")]
    return [f"{type(model).__name__} is no model"]


def _of_list(answer: Any, models: list[Any]) -> list[str]:
    if len(answer) != len(models):
        return [f"{len(answer)} rows became {len(models)}"]
    return [f"[{index}]{problem}" for index, row in enumerate(answer) for problem in problems(row, models[index])]


def _lost(answer: Any, kept: Any, path: str) -> Iterator[str]:
    """Between two plain values. Nulls say nothing, and a model may leave them out."""
    if isinstance(answer, Mapping):
        for key, value in answer.items():
            if value is None:
                continue
            if not isinstance(kept, Mapping) or key not in kept:
                yield f"{path}.{key} is lost"
            else:
                yield from _lost(value, kept[key], f"{path}.{key}")
    elif isinstance(answer, list):
        if not isinstance(kept, list) or len(kept) != len(answer):
            yield f"{path} has other rows"
            return
        for index, (before, after) in enumerate(zip(answer, kept, strict=True)):
            yield from _lost(before, after, f"{path}[{index}]")


def _missing(model: Any, path: str) -> Iterator[str]:
    """msrest's models list their required fields, and do not look at them when they read an answer."""
    for name, rule in getattr(model, "_validation", {}).items():
        if rule.get("required") and getattr(model, name, None) is None:
            yield f"{path}.{name} is required"
    for name in getattr(model, "_attribute_map", {}):
        value = getattr(model, name, None)
        for index, inner in enumerate(value if isinstance(value, list) else [value]):
            if hasattr(inner, "_attribute_map"):
                yield from _missing(inner, f"{path}.{name}" + (f"[{index}]" if isinstance(value, list) else ""))


def _hybrid(answer: Any, model: Any, path: str) -> Iterator[str]:
    """These keep every key of the answer; what they know is in their fields."""
    fields = {field._rest_name: name for name, field in model._attr_to_rest_field.items()}
    for key, value in answer.items():
        if value is None:
            continue
        if key not in fields:
            yield f"{path}.{key} is lost"
            continue
        yield from _hybrid_value(value, getattr(model, fields[key]), f"{path}.{key}")
    hints = {
        name: hint for kind in reversed(type(model).__mro__) for name, hint in inspect.get_annotations(kind).items()
    }
    for rest_name, name in fields.items():
        if answer.get(rest_name) is None and not _optional(hints.get(name)):
            yield f"{path}.{rest_name} is required"


def _hybrid_value(value: Any, typed: Any, path: str) -> Iterator[str]:
    if hasattr(typed, "_attr_to_rest_field"):
        yield from _hybrid(value, typed, path)
    elif isinstance(value, list) and isinstance(typed, list):
        for index, (one, other) in enumerate(zip(value, typed, strict=True)):
            yield from _hybrid_value(one, other, f"{path}[{index}]")
    elif isinstance(value, Mapping) and isinstance(typed, Mapping):
        for key, one in value.items():
            yield from _hybrid_value(one, typed.get(key), f"{path}.{key}")


def _optional(hint: Any) -> bool:
    if isinstance(hint, str):
        return hint.startswith("Optional[")
    return typing.get_origin(hint) in (typing.Union, types.UnionType) and type(None) in typing.get_args(hint)


def unknown_to_kiota(model: Any, path: str = "") -> Iterator[str]:
    """kiota puts what it does not know into additional_data; annotations of OData belong there."""
    if isinstance(model, list):
        for index, row in enumerate(model):
            yield from unknown_to_kiota(row, f"{path}[{index}]")
    elif dataclasses.is_dataclass(model):
        for key in getattr(model, "additional_data", None) or {}:
            if "@odata." not in key:
                yield f"{path}.{key} is lost"
        for field in dataclasses.fields(model):
            if field.name not in ("additional_data", "backing_store"):
                yield from unknown_to_kiota(getattr(model, field.name, None), f"{path}.{field.name}")
