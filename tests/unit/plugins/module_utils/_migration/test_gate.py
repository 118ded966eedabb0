# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.gate import already_done, refusals, when

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def row(name: str = "shop", state: str = "WaitingForCutoverTrigger", **values: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "latency": 0, "started_on": None, **values}


def migration(*rows: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {
        "name": "shop-1",
        "state": "WaitingForUserAction",
        "substate": "WaitingForCutoverTrigger",
        "migration_mode": "Online",
        "dbs_to_migrate": ["shop", "stock"],
        "databases": list(rows) or [row(), row("stock")],
        **values,
    }


def judged(found: dict[str, Any], names: list[str] | None = None, **given: Any) -> list[str]:
    limits: dict[str, Any] = {"max_latency": 30, "window_hours": 72, "ready_since": None, "writers": [], **given}
    return refusals(found, names, now=NOW, **limits)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-08-21T13:09:52.9226008Z", datetime(2023, 8, 21, 13, 9, 52, 922600, tzinfo=UTC)),
        ("2023-10-17T19:19:59.91782Z", datetime(2023, 10, 17, 19, 19, 59, 917820, tzinfo=UTC)),
        ("2023-08-21T13:04:24.5659891+00:00", datetime(2023, 8, 21, 13, 4, 24, 565989, tzinfo=UTC)),
        ("2026-11-21T02:31:07.104+00:00", datetime(2026, 11, 21, 2, 31, 7, 104000, tzinfo=UTC)),
        ("2026-11-21T02:31:07Z", datetime(2026, 11, 21, 2, 31, 7, tzinfo=UTC)),
        ("2026-11-21T02:31:07", datetime(2026, 11, 21, 2, 31, 7, tzinfo=UTC)),
        ("2026-11-21T03:31:07.5+01:00", datetime(2026, 11, 21, 2, 31, 7, 500000, tzinfo=UTC)),
        (None, None),
        ("", None),
        ("yesterday", None),
    ],
)
def test_times_as_the_service_writes_them(text: str | None, expected: datetime | None) -> None:
    assert when(text) == expected


@pytest.mark.parametrize(
    ("found", "names", "expected"),
    [
        (migration(), None, False),
        (migration(), ["shop"], False),
        (migration(state="Succeeded", substate="Completed"), None, True),
        (migration(state="InProgress", substate="CompletingMigration"), None, True),
        (migration(row(state="Succeeded"), row("stock")), ["shop"], True),
        (migration(row(state="Succeeded"), row("stock")), ["shop", "stock"], False),
        (migration(row(state="Succeeded"), row("stock")), None, False),
        # The first preview has no mode and is always online.
        (migration(migration_mode=None), None, False),
        # Its databases are not listed yet.
        (migration(databases=[]), ["shop"], False),
    ],
)
def test_already_done(found: dict[str, Any], names: list[str] | None, expected: bool) -> None:
    assert already_done(found, names) is expected


@pytest.mark.parametrize(
    ("found", "names", "code", "sentence"),
    [
        (migration(migration_mode="Offline"), None, "603114", "The migration shop-1 is offline"),
        (migration(migration_mode="offline", state="Succeeded"), None, "603114", "The migration shop-1 is offline"),
        (migration(state="Failed"), None, "603113", "The migration shop-1 has ended (Failed)"),
        (migration(state="Canceled"), None, "603113", "The migration shop-1 has ended (Canceled)"),
        (migration(state="ValidationFailed"), None, "603113", "The migration shop-1 has ended (ValidationFailed)"),
        (migration(), ["b", "shop", "a"], None, "The migration shop-1 has no database a, b"),
    ],
)
def test_what_has_no_cutover(found: dict[str, Any], names: Any, code: str | None, sentence: str) -> None:
    with pytest.raises(ModuleFailure) as caught:
        already_done(found, names)
    assert caught.value.code == code and caught.value.message.startswith(sentence)


@pytest.mark.parametrize(
    ("found", "names", "given", "reasons"),
    [
        (migration(), None, {}, []),
        (migration(state="InProgress", substate="MigratingData", databases=[]), None, {}, ["it is not ready"]),
        (migration(row(latency=31)), None, {}, ["the target is 31 s behind"]),
        (migration(row(latency=30)), None, {}, []),
        (migration(row(latency=31)), None, {"max_latency": 31}, []),
        (migration(row(latency=9), row("stock", latency=99)), ["shop"], {}, []),
        (migration(row(latency=None)), None, {}, ["the service has not said yet"]),
        (migration(), None, {"ready_since": (NOW - timedelta(hours=72)).isoformat()}, []),
        (
            migration(),
            None,
            {"ready_since": (NOW - timedelta(hours=73)).isoformat()},
            ["the cutover window of 72 hours"],
        ),
        (
            migration(),
            None,
            {"ready_since": (NOW - timedelta(hours=73)).astimezone(timezone(timedelta(hours=5))).isoformat()},
            ["the cutover window of 72 hours"],
        ),
        (migration(row(started_on="2026-11-20T12:00:00.1234567Z")), None, {}, ["the cutover window of 72 hours"]),
        (
            migration(row(started_on="2026-11-20T12:00:00Z")),
            None,
            {"ready_since": "2026-11-24T00:00:00Z"},
            [],
        ),
        (migration(row(started_on="2026-11-24T12:00:00Z"), row("stock")), None, {"window_hours": 1}, []),
        (
            migration(),
            None,
            {"writers": ["shop (3 rows by checkout)"]},
            ["the source is still written to (shop (3 rows"],
        ),
        (
            migration(row(latency=31, started_on="2026-11-20T12:00:00Z")),
            None,
            {"writers": ["shop"]},
            ["the target is 31 s behind", "the cutover window", "the source is still written to"],
        ),
    ],
)
def test_refusals_are_told_all_at_once(found: dict[str, Any], names: Any, given: Any, reasons: list[str]) -> None:
    told = judged(found, names, **given)
    assert len(told) == len(reasons)
    assert all(sentence.startswith(start) for sentence, start in zip(told, reasons, strict=True))
    assert all(sentence.endswith(".") for sentence in told)
