# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a report, replaced at once when more than their time has changed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._secret_file import MODE, SecretFile
from .html import as_html
from .merge import earlier_rows, merged
from .row import complete
from .text import as_csv, as_json, summary

FORMATS = ("html", "json", "csv")
MADE_AT = {
    "html": re.compile(r'<time id="made-at" datetime="([^"]*)">'),
    "json": re.compile(r'^ "made_at": "([^"]*)"', re.MULTILINE),
}


# What a digest leaves out, since it differs with every run.
TIMES = {"html": re.compile(r'<time id="made-at".*?</time>'), "json": MADE_AT["json"]}


@dataclass(frozen=True)
class Written:
    """One file of a report, and the text that was in it; None where there is none."""

    kind: str
    file: SecretFile
    text: str | None

    def made_at(self) -> str:
        found = MADE_AT[self.kind].search(self.text or "") if self.kind in MADE_AT else None
        return found[1] if found else ""

    def state(self, text: str | None, mode: str | None) -> dict[str, Any]:
        digest = self._digest(text) if text is not None else None
        return {"format": self.kind, "path": str(self.file.path), "mode": mode, "digest": digest}

    def _digest(self, text: str) -> str:
        plain = _plain(text)
        timeless = TIMES[self.kind].sub("", plain) if self.kind in TIMES else plain
        return hashlib.sha256(timeless.encode()).hexdigest()[:16]


class Report:
    """The files that are wanted, what is in them, and what is to be."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.title = str(params["title"])
        self.now = datetime.now(UTC).isoformat(timespec="seconds")
        self.files = [self._file(kind, params[kind]) for kind in FORMATS if params[kind]]
        rows = [complete(row) for row in params["hosts"]]
        self.rows = self._merged(rows, params["other_hosts"]) if params["keep"] else rows
        self.summary = summary(self.rows)

    def _file(self, kind: str, path: str) -> Written:
        file = SecretFile(Path(path), kind, "ReportFile")
        file.check()
        return Written(kind, file, file.text() or None)

    def _merged(self, rows: list[dict[str, Any]], others: list[str]) -> list[dict[str, Any]]:
        earlier = next((file for file in self.files if file.kind == "json" and file.text), None)
        if not earlier:
            return rows
        before = earlier_rows(earlier.text or "")
        for row in before.values():
            row["seen_at"] = row["seen_at"] or earlier.made_at()
        return merged(rows, before, others)

    def _render(self, kind: str, made_at: str) -> str:
        if kind == "csv":
            return as_csv(self.rows)
        return (as_html if kind == "html" else as_json)(self.rows, self.title, made_at)

    def found(self) -> list[dict[str, Any]]:
        return [file.state(file.text, file.file.mode()) for file in self.files]

    def wanted(self) -> list[dict[str, Any]]:
        """As they would be, had they been made at the time that the present ones name."""
        made = [(file, self._render(file.kind, file.made_at() or self.now)) for file in self.files]
        return [file.state(text, f"{MODE:04o}") for file, text in made]

    def write(self) -> None:
        for file in self.files:
            with file.file.replacing() as write:
                write(self._render(file.kind, self.now))


def _plain(text: str) -> str:
    """As SecretFile gives it, who leaves out blanks at the ends and returns in line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
