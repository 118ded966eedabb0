# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether two definitions that are written differently mean the same. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Kinds of which there need not be one for each object: what only one side has is a difference, not a missing object.
LOOSE = frozenset({"comments"})
# A context that no SELECT can give: whole statements of other kinds.
NO_CONTEXT = "-"
# What majors write or leave out at will: parentheses, and the names of tables before columns.
UNSTABLE = re.compile(r"[\s()]+|(?:\"[^\"]*\"|\b[A-Za-z_]\w*)\.(?=[\w\"])")
OTHER_WORDS = "servers of different major versions write it in different words"


@dataclass(frozen=True)
class Definition:
    kind: str
    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    expressions: Mapping[str, str] = field(default_factory=dict)
    context: str | None = None
    of: str | None = None


@dataclass(frozen=True)
class Question:
    """Two texts of one expression, to be asked of the target: does it understand the same by both?"""

    kind: str
    name: str
    aspect: str
    source: str
    target: str
    context: str | None

    def as_query(self, text: str) -> str:
        if self.context is None:
            return f"SELECT * FROM ({text}) AS q"
        if self.aspect == "expressions":
            return f"SELECT {text} FROM {self.context}"
        return f"SELECT ({text}) FROM {self.context}"


@dataclass
class Found:
    differing: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)

    def add(self, kind: str, name: str, aspect: str) -> None:
        aspects = self.differing.setdefault((kind, name), [])
        if aspect not in aspects:
            aspects.append(aspect)


Definitions = Mapping[tuple[str, str], Definition]
RoleOf = Callable[[str], str]


def compare_definitions(source: Definitions, target: Definitions, same_major: bool, role: RoleOf) -> Found:
    """What differs for certain, and what only the target can tell; objects of one side alone are not looked at."""
    found = Found()
    nothing = Definition("", "")
    for kind, name in sorted({*source, *target}):
        ours, theirs = source.get((kind, name)), target.get((kind, name))
        if ours is None or theirs is None:
            if kind in LOOSE:
                found.add(kind, name, "missing on the target" if theirs is None else "only on the target")
            relation = (ours or theirs or nothing).of
            if relation is None or (("relations", relation) in source) != (("relations", relation) in target):
                continue
            # Columns of which there is nothing to say are not in memory.
            ours, theirs = ours or nothing, theirs or nothing
        for aspect in sorted({*ours.facts, *theirs.facts}):
            if _fact(ours, aspect, role) != _fact(theirs, aspect, lambda name: name):
                found.add(kind, name, aspect)
        _compare_expressions(found, (kind, name), ours, theirs, same_major)
    return found


def _fact(definition: Definition, aspect: str, role: RoleOf) -> Any:
    value = definition.facts.get(aspect)
    if definition.kind == "policies" and aspect == "roles":
        return sorted(role(name) for name in value or ())
    return one_space(value) if isinstance(value, str) else value


def _compare_expressions(
    found: Found, key: tuple[str, str], ours: Definition, theirs: Definition, same_major: bool
) -> None:
    for aspect in sorted({*ours.expressions, *theirs.expressions}):
        left, right = (one_space(side.expressions.get(aspect) or "") for side in (ours, theirs))
        if left == right:
            continue
        if same_major or not left or not right:
            found.add(*key, aspect)
        elif theirs.context == NO_CONTEXT:
            if UNSTABLE.sub("", left) != UNSTABLE.sub("", right):
                found.add(*key, aspect)
        else:
            found.questions.append(Question(*key, aspect, left, right, theirs.context))


def one_space(text: str) -> str:
    return " ".join(text.split()).rstrip(";")


def reason(question: Question) -> str:
    return f"{question.aspect}: {OTHER_WORDS}"
