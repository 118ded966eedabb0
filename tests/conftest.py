# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables at the end of a run; with several workers each tells its rows to the program that started them."""

from __future__ import annotations

from typing import Any

import pieces_table
import pytest

from conformance_table import JUDGMENTS, table


def pytest_sessionfinish(session: pytest.Session) -> None:
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["pieces"] = pieces_table.ROWS
        told["judgments"] = JUDGMENTS.operations()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {})
    pieces_table.ROWS.extend(tuple(row) for row in told.get("pieces", []))
    for client, version, operation, passed in told.get("judgments", []):
        JUDGMENTS.add(client, version, operation, passed=passed)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if pieces_table.ROWS:
        terminalreporter.section("pieces of the topologies, taken away one at a time")
        for line in pieces_table.table():
            terminalreporter.line(line)
    if JUDGMENTS:
        terminalreporter.section("clients in the lab")
        for line in table(JUDGMENTS.rows()):
            terminalreporter.line(line)
        for failure in JUDGMENTS.failed():
            terminalreporter.line(f"failed: {failure}", red=True)
