# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that others wrote judge the lab."""

from __future__ import annotations

import pytest

from conformance_table import JUDGMENTS, table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not JUDGMENTS:
        return
    terminalreporter.section("clients in the lab")
    for line in table(JUDGMENTS.rows()):
        terminalreporter.line(line)
    for failure in JUDGMENTS.failed():
        terminalreporter.line(f"failed: {failure}", red=True)
