# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.pgflex.migrate.plugins.filter.waves import FilterModule

waves = FilterModule().filters()["waves"]
ROW = {"host": "a", "source": "s", "target": "t", "databases": ["shop"]}


def test_rows_become_rounds() -> None:
    found = waves([ROW], {"parallel": "2"}, "2026-11-21T12:00:00Z", ["westeurope"])
    assert found["rounds"] == [[{"host": "a", "databases": ["shop"], "part": 1, "parts": 1}]]


def test_times_that_yaml_has_read_are_times() -> None:
    window = {"start": datetime(2026, 11, 22, tzinfo=UTC)}
    assert waves([{**ROW, "window": window}], None, "2026-11-21")["later"][0]["opens"] == "2026-11-22T00:00:00+00:00"


@pytest.mark.parametrize("rows", [None, "a", {"a": 1}, ["a"]])
def test_something_else_than_rows_is_refused(rows: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="list of mappings"):
        waves(rows)
