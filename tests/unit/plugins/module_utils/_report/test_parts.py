# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._preflight.table import together
from ansible_collections.pgflex.migrate.plugins.module_utils._report.parts import with_parts
from ansible_collections.pgflex.migrate.plugins.module_utils._report.row import EMPTY

ALL = ["a", "b", "c"]


def part(*databases: str, **more: Any) -> dict[str, Any]:
    return {**EMPTY, "host": "shop", "databases": list(databases), "migration_name": databases[0], **more}


def validation(name: str, rows: int, *, equal: bool = True) -> dict[str, Any]:
    said = f"{name} is equal." if equal else f"{name} differs."
    return {"equal": equal, "summary": said, "databases": [{"name": name}], "rows": rows, "bytes": 10}


def test_one_migration_stays_as_it_is() -> None:
    row = part("a")
    assert with_parts(row, [], ["a"]) is row
    assert with_parts(row, [part("a", status="running")], ["a"]) is row


def test_parts_are_one_row_with_all_databases() -> None:
    at = [f"2026-11-21T0{hour}:00:00+00:00" for hour in range(5)]
    first = part(
        "a",
        "b",
        status="succeeded",
        state="Succeeded",
        started_at=at[0],
        ended_at=at[1],
        downtime_seconds=60.0,
        rows=5,
        bytes=100,
        progress=[{"name": "a"}, {"name": "b"}],
        validated_at=at[1],
        states=[{"at": at[0], "state": "InProgress"}],
        connection_strings={"a": "postgresql://a", "b": "postgresql://b"},
    )
    second = part("c", **{**first, "databases": ["c"], "migration_name": "c", "started_at": at[2], "ended_at": at[3]})
    second |= {"downtime_seconds": 90.0, "states": [{"at": at[2], "state": "InProgress"}], "progress": [{"name": "c"}]}
    # What is known last of a part counts, and the order is that of the inventory.
    row = with_parts(first, [second, part("a", "b", status="failed")], ALL)
    assert (row["databases"], row["migration_name"], row["status"]) == (ALL, "a, c", "succeeded")
    assert (row["started_at"], row["ended_at"], row["seconds"]) == (at[0], at[3], 3 * 3600.0)
    assert (row["downtime_seconds"], row["rows"], row["bytes"]) == (90.0, 10, 200)
    assert [item["name"] for item in row["progress"]] == ALL and [state["at"] for state in row["states"]] == at[0:3:2]
    assert set(row) == set(EMPTY)


@pytest.mark.parametrize(
    ("status", "told"),
    [("failed", "failed"), ("ready", "ready"), ("not started", "not started"), ("succeeded", "succeeded")],
)
def test_the_part_that_asks_for_somebody_leads(status: str, told: str) -> None:
    other = part("c", status=status, problem="why", ended_at="")
    row = with_parts(other, [part("a", "b", status="succeeded", ended_at="2026-11-21T01:00:00+00:00")], ALL)
    assert (row["status"], row["ended_at"]) == (told, "")
    assert row["problem"] == ("" if status == "succeeded" else "why")


def test_validations_of_parts_are_one() -> None:
    parts = [part("a", "b", validation=validation("a", 5)), part("c", validation=validation("c", 7))]
    row = with_parts(parts[1], parts, ALL)
    assert row["validation"] == {
        "equal": True,
        "summary": "a is equal. c is equal.",
        "databases": [{"name": "a"}, {"name": "c"}],
        "rows": 12,
        "bytes": 20,
        "seconds": 0,
    }
    wrong = with_parts({**parts[1], "validation": validation("c", 7, equal=False)}, parts, ALL)
    assert (wrong["validation"]["equal"], wrong["validation"]["summary"]) == (False, "c differs.")


def test_preflights_of_parts_are_one() -> None:
    findings = [{"severity": severity, "message": severity} for severity in ("blocks", "informs")]
    one = {"findings": findings, "applied": [1], "restart_needed": ["source"]}
    other = {"findings": [findings[1], {"severity": "blocks", "message": "other"}], "applied": [], "restart_needed": []}
    found = together([one, other])
    assert [finding["message"] for finding in found["findings"]] == ["blocks", "other", "informs"]
    assert (found["blocks"], found["warns"], found["informs"]) == (2, 0, 1)
    assert (found["applied"], found["restart_needed"]) == ([1], ["source"])
