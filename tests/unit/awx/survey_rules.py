# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX demands of a survey, and what this collection demands of its own ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.pgflex.migrate.plugins.filter.answers import PREFIX, UNANSWERED, YES_OR_NO
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.settings import migration_name, with_defaults

TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "textarea": (str,),
    "password": (str,),
    "multiplechoice": (str,),
    "multiselect": (str,),
    "integer": (int,),
    "float": (float, int),
}
CHOOSING = ("multiplechoice", "multiselect")
KEYS = {
    "question_name",
    "question_description",
    "variable",
    "type",
    "required",
    "default",
    "choices",
    "min",
    "max",
    "new_question",
}
HOST: dict[str, Any] = {
    "source": {"resource_group": "a", "name": "b", "user": "c", "password": "d"},
    "target": {"resource_group": "e", "name": "f", "user": "g", "password": "h"},
    "databases": ["i"],
}


def survey_problems(spec: Mapping[str, Any]) -> list[str]:
    """What AWX would refuse, or take and never be able to start a job with."""
    found = [f"{key} has to be text" for key in ("name", "description") if not isinstance(spec.get(key), str)]
    questions = spec.get("spec")
    if not isinstance(questions, list) or not questions:
        return [*found, "spec has to be a list of questions"]
    names = [question.get("variable") for question in questions]
    found += [f"{name} is asked twice" for name in sorted({str(name) for name in names if names.count(name) > 1})]
    for question in questions:
        found += [f"{question.get('variable')}: {problem}" for problem in _question(question)]
    return found


def _question(question: Mapping[str, Any]) -> list[str]:
    found = [f"{key} is nothing that AWX knows" for key in sorted(set(question) - KEYS)]
    for key in ("question_name", "variable", "type"):
        if not isinstance(question.get(key), str) or not question[key].strip():
            found.append(f"{key} has to be text")
    if not isinstance(question.get("required"), bool):
        found.append("required has to be true or false")
    if found:
        return found
    if not question["variable"].isidentifier():
        found.append("the variable's name is none")
    if question["type"] not in TYPES:
        return [*found, f"there is no type {question['type']}"]
    numbers = {key: question.get(key, 0) for key in ("min", "max")}
    # YAML's true and false are numbers to Python.
    wrong = [key for key, value in numbers.items() if isinstance(value, bool) or not isinstance(value, int)]
    found += [f"{key} has to be a whole number" for key in wrong]
    choosing = question["type"] in CHOOSING
    if choosing and not _choices(question):
        found.append("there is nothing to choose")
    if not choosing and question.get("choices"):
        found.append("choices are for multiplechoice and multiselect")
    return found or _default(question)


def _choices(question: Mapping[str, Any]) -> list[str]:
    choices = question.get("choices") or ""
    # A list is taken by AWX and kept as text, which is a change at each load.
    return [line for line in choices.splitlines() if line.strip()] if isinstance(choices, str) else []


def _default(question: Mapping[str, Any]) -> list[str]:
    default = question.get("default", "")
    if default == "":
        return []
    kind = question["type"]
    if kind == "password":
        return ["a secret has no default"]
    if not isinstance(default, TYPES[kind]) or isinstance(default, bool):
        return [f"the default {default!r} is no {kind}"]
    if kind in CHOOSING:
        chosen = default.splitlines()
        several = kind == "multiplechoice" and len(chosen) != 1
        return ["the default is none of the choices"] if several or not set(chosen) <= set(_choices(question)) else []
    size = default if kind in ("integer", "float") else len(default)
    outside = size < question.get("min", size) or size > question.get("max", size)
    return [f"the default {default!r} is outside min and max"] if outside else []


def meaning_problems(question: Mapping[str, Any], spec: Mapping[str, Any] | None) -> list[str]:
    """Whether what can be answered is what the setting, described by its argument spec, can be."""
    variable, kind = question["variable"], question["type"]
    if spec is None:
        return ["no role reads this variable"]
    found = []
    if spec.get("no_log") and kind != "password":
        found.append("a secret is asked for with a question of type password")
    wanted = {
        "bool": ("multiplechoice",),
        "int": ("integer",),
        "float": ("integer", "float"),
        "list": ("multiselect",),
    }.get(str(spec.get("type", "str")), ("text", "textarea", "password", "multiplechoice"))
    if kind not in wanted:
        found.append(f"a {spec.get('type', 'str')} can not be answered by {kind}")
    answers = [choice for choice in _choices(question) if choice not in UNANSWERED]
    allowed = list(YES_OR_NO) if spec.get("type") == "bool" else spec.get("choices")
    if allowed is not None and not set(answers) <= set(allowed):
        found.append(f"{sorted(set(answers) - set(allowed))} is nothing that the setting can be")
    if variable.startswith(PREFIX) and kind == "multiplechoice" and question.get("default") not in UNANSWERED:
        found.append("left alone it would overrule the inventory")
    return found + _name_problems(variable, answers)


def _name_problems(variable: str, answers: list[str]) -> list[str]:
    """Two jobs with different answers have to mean the same migration."""
    key = variable.removeprefix(PREFIX)
    if not variable.startswith(PREFIX) or "__" in key:
        return []
    names = {migration_name(with_defaults({**HOST, key: answer}), "h") for answer in answers or ["x"]}
    return ["the migration's name follows from it"] if names != {migration_name(with_defaults(HOST), "h")} else []
