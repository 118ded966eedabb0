# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from journal import Record
from proof import Proof
from result import WIDTH, Outcome, render

DATABASE: dict[str, Any] = {
    "name": "shop",
    "tables": [
        {
            "name": f"sales.table_{n}",
            "source_rows": n * 1000,
            "target_rows": n * 1000,
            "equal": True,
            "verdict": "equal",
        }
        for n in range(1, 21)
    ],
    "sequences": [{"name": "sales.s", "source": 5, "target": 5, "equal": True}],
    "objects": {
        kind: {"source": 4, "target": 4, "equal": True}
        for kind in ("indexes", "constraints", "functions", "triggers", "views", "materialized_views", "extensions")
    },
    "large_objects": {"source": 300, "target": 300, "equal": True},
}
REPORT: dict[str, Any] = {
    "states": [
        {"state": "InProgress", "substate": "PerformingPreRequisiteSteps", "at": "2026-11-21T02:20:41.002+00:00"},
        {"state": "Succeeded", "substate": "Completed", "at": "2026-11-21T02:21:41.002+00:00"},
    ],
    "validation": {"databases": [DATABASE]},
    "connection_strings": {
        "shop": "postgresql://shopadmin@shop-flexible.postgres.database.azure.com:5432/shop?sslmode=verify-full"
    },
}
WHEN = 1795227700.0


def record() -> Record:
    return Record(
        acknowledged={1: "source", 2: "target"},
        last_source_write=WHEN - 2,
        first_target_write=WHEN + 1.25,
        read_only_at=WHEN,
    )


def outcome(**changes: Any) -> Outcome:
    good: dict[str, Any] = {
        "mode": "online",
        "megabytes": 346.0,
        "exit_code": 0,
        "report": deepcopy(REPORT),
        "record": record(),
        "proof": Proof(acknowledged=2, found=2, unanswered=0, unanswered_found=0),
    }
    return Outcome(**{**good, **changes})


def test_says_it_is_proved_in_eighty_columns() -> None:
    text = render(outcome())
    assert "PROVED: every row arrived" in text and "NOT PROVED" not in text
    assert "DOWNTIME 3.2 s" in text
    assert "PerformingPreRequisiteSteps" in text and "60.0 s" in text
    assert "12 smaller tables" in text and "210,000" in text
    assert "large objects 300" in text
    assert REPORT["connection_strings"]["shop"] in text
    assert [line for line in text.splitlines() if len(line) > WIDTH and "://" not in line] == []
    assert len(text.splitlines()) < 40


def broken(path: str, *, value: Any) -> Outcome:
    made = outcome()
    *parents, last = path.split(".")
    place: Any = made.report
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    place[int(last) if isinstance(place, list) else last] = value
    return made


DATABASE_PATH = "validation.databases.0"


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (outcome(exit_code=2), "exit code 2"),
        (outcome(report={}), "not known, not Succeeded"),
        (outcome(report={}), "no rows were compared"),
        (broken("states.1.state", value="Failed"), "last state is Failed"),
        (broken("validation", value={}), "no rows were compared"),
        (broken(f"{DATABASE_PATH}.tables.0.equal", value=False), "sales.table_1: 1000 rows, then 1000"),
        (broken(f"{DATABASE_PATH}.sequences.0.equal", value=False), "sequence sales.s"),
        (
            broken(f"{DATABASE_PATH}.objects.indexes", value={"source": 4, "target": 3, "equal": False}),
            "indexes: 4 became 3",
        ),
        (broken(f"{DATABASE_PATH}.large_objects.equal", value=False), "large objects differ"),
        (broken(f"{DATABASE_PATH}.large_objects", value=None), "large objects were not compared"),
        (outcome(proof=None), "were not looked for"),
        (outcome(proof=Proof(2, 1, 0, 0, ["audit.access_log: 0 instead of 1 for write 2"])), "0 instead of 1"),
        (outcome(proof=Proof(2, 1, 0, 0)), "1 of 2 acknowledged writes"),
        (outcome(proof=Proof(0, 0, 0, 0)), "0 of 0 acknowledged writes"),
        (outcome(record=Record()), "has not written to the target"),
        (outcome(record=Record(rejected={"no replica identity": 7})), "refused 7 writes: no replica identity"),
    ],
)
def test_is_not_proved(made: Outcome, complaint: str) -> None:
    assert any(complaint in problem for problem in made.problems()), made.problems()
    text = render(made)
    assert "NOT PROVED" in text and complaint in text


def test_shows_ten_problems_and_counts_the_rest() -> None:
    text = render(outcome(proof=Proof(2, 2, 0, 0, [f"problem {n}" for n in range(30)])))
    assert "problem 9" in text and "problem 10" not in text and "and 20 more" in text
