# SPDX-License-Identifier: GPL-3.0-or-later
"""OData `$filter`, the part that clients use: eq, ne, startswith, any over lists, not, and, or, parentheses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Predicate = Callable[[Mapping[str, Any]], bool]

TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<word>[A-Za-z_][\w./-]*)|(?P<number>-?\d+)|(?P<sign>[(),:]))")


MOST_TOKENS = 150


class InvalidFilter(ValueError):
    """The expression cannot be read."""


def compile_filter(text: str) -> Predicate:
    if not text.strip():
        return lambda item: True
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        position = 0
        while text[position:].strip():
            match = TOKEN.match(text, position)
            if match is None:
                raise InvalidFilter(f"Syntax error at position {position} in '{text}'.")
            self._tokens.append(match.group(0).strip())
            position = match.end()
        if len(self._tokens) > MOST_TOKENS:
            # Its readers call themselves for each part.
            raise InvalidFilter("It has too many parts.")
        self._at = 0
        self._text = text

    def parse(self) -> Predicate:
        found = self._either()
        if self._at != len(self._tokens):
            raise InvalidFilter(f"Syntax error in '{self._text}'.")
        return found

    def _peek(self) -> str:
        return self._tokens[self._at].lower() if self._at < len(self._tokens) else ""

    def _next(self, expected: str = "") -> str:
        if self._at >= len(self._tokens) or (expected and self._tokens[self._at].lower() != expected):
            raise InvalidFilter(f"Expected {expected or 'more'} in '{self._text}'.")
        self._at += 1
        return self._tokens[self._at - 1]

    def _either(self) -> Predicate:
        left = self._both()
        while self._peek() == "or":
            self._next()
            left = _or(left, self._both())
        return left

    def _both(self) -> Predicate:
        left = self._one()
        while self._peek() == "and":
            self._next()
            left = _and(left, self._one())
        return left

    def _one(self) -> Predicate:
        if self._peek() == "not":
            self._next()
            inner = self._one()
            return lambda item: not inner(item)
        if self._peek() == "(":
            self._next()
            inner = self._either()
            self._next(")")
            return inner
        if self._peek() in ("startswith", "endswith", "contains"):
            return self._function()
        name = self._next()
        if name.lower().endswith("/any"):
            return self._any(name[: -len("/any")])
        operator = self._next().lower()
        value = self._literal()
        if operator not in ("eq", "ne"):
            raise InvalidFilter(f"Unsupported operator '{operator}'.")
        return lambda item: _same(_field(item, name), value) is (operator == "eq")

    def _function(self) -> Predicate:
        function = self._next().lower()
        self._next("(")
        name = self._next()
        self._next(",")
        value = str(self._literal()).lower()
        self._next(")")
        test = {"startswith": str.startswith, "endswith": str.endswith, "contains": str.__contains__}[function]
        return lambda item: bool(test(str(_field(item, name) or "").lower(), value))

    def _any(self, name: str) -> Predicate:
        self._next("(")
        self._next()
        self._next(":")
        self._next()
        self._next("eq")
        value = self._literal()
        self._next(")")
        return lambda item: any(_same(entry, value) for entry in _entries(_field(item, name)))

    def _literal(self) -> Any:
        token = self._next()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        return {"true": True, "false": False, "null": None}.get(token.lower(), token)


def _and(left: Predicate, right: Predicate) -> Predicate:
    return lambda item: left(item) and right(item)


def _or(left: Predicate, right: Predicate) -> Predicate:
    return lambda item: left(item) or right(item)


def _field(item: Mapping[str, Any], path: str) -> Any:
    value: Any = item
    for part in path.split("/"):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _same(left: Any, right: Any) -> bool:
    """Graph compares texts without case."""
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    return bool(left == right)
