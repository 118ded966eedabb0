# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages that the pages of the topologies quote are those that plugins and roles say."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs" / "topologies").glob("*.md"))


@cache
def texts() -> list[list[str]]:
    """The words of every text of the plugins and of the role network, an asterisk for each value put into one."""
    found = []
    for path in (ROOT / "plugins" / "module_utils").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    for path in (ROOT / "roles" / "network" / "tasks").glob("*.yml"):
        found += re.sub(r"'\s*~.*?~\s*'", "*", path.read_text(), flags=re.DOTALL).split("\n\n")
    # A text of little but values would match everything.
    return [words(text) for text in found if sum(len(word.strip("*")) for word in words(text)) > 10]


def words(text: str) -> list[str]:
    apart = text.replace("...", " ... ").split()
    return [bare for word in apart if (bare := word if word == "..." else word.strip("().,:;'\""))]


def says(text: list[str], quote: list[str]) -> bool:
    """Whether the quote is a part of the text: three dots leave out any words, a value stands for one."""

    @cache
    def goes_on(here: int, there: int) -> bool:
        if there == len(quote):
            return True
        if quote[there] == "...":
            return goes_on(here, there + 1) or (here < len(text) and goes_on(here + 1, there))
        return here < len(text) and fnmatchcase(quote[there], text[here]) and goes_on(here + 1, there + 1)

    return any(goes_on(start, 0) for start in range(len(text)))


def quotes(page: Path) -> list[str]:
    cells = [line.split("|")[1] for line in page.read_text().splitlines() if line.startswith("| ")]
    return [quote for cell in cells for quote in re.findall(r'"([^"]+)"', cell)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_quotes_what_is_said(page: Path) -> None:
    unknown = [quote for quote in quotes(page) if not any(says(text, words(quote)) for text in texts())]
    assert unknown == []


def test_a_quote_that_nothing_says_is_noticed() -> None:
    stale = words("... has no gateway, of its own or of a peered network, to the private source")
    assert not any(says(text, stale) for text in texts())
