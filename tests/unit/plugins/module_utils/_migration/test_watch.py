# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import re
import time
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.states import RELEASES
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.watch import (
    READS_A_SECOND,
    SIGN_OF_LIFE,
    Watch,
    Watched,
    progress,
)

COUNTS = {"tables_queued": 0, "tables_loading": 0, "tables_completed": 0, "tables_errored": 0}
LONG = "a-very-long-name-of-a-host-in-the-inventory.with-a-domain.example.org"
SUBSTATES = (*RELEASES, "WaitingForCutoverTrigger", "CancelingRequestedDBMigrations", "MigratingData")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes only while the watch pauses."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def database(name: str = "shop", state: str = "InProgress", **values: Any) -> dict[str, Any]:
    known = {"latency": None, "applied_changes": None, "incoming_changes": None, "message": None}
    return {"name": name, "state": state, **COUNTS, **known, **values}


def migration(
    state: str = "InProgress", substate: str | None = "MigratingData", *rows: Any, mode: str = "Online"
) -> dict[str, Any]:
    return {"state": state, "substate": substate, "migration_mode": mode, "databases": list(rows), "error": None}


def watched(*answers: Any, label: str = "shop", **values: Any) -> Watched:
    script = iter(answers)
    return Watched(label=label, name="shop-1", target="shop-flex", fetch=lambda: next(script), started=1000.0, **values)


def watch(*rows: Watched, timeout: float = 3600, until_cutover: bool = True) -> tuple[list[dict[str, Any]], list[str]]:
    lines: list[str] = []
    made = Watch(list(rows), until_cutover=until_cutover, timeout=timeout, least=5, most=60, report=lines.append)
    return made.run(), lines


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (migration(), ["shop: MigratingData, 1:05 elapsed"]),
        (migration("InProgress", None), ["shop: InProgress, 1:05 elapsed"]),
        (migration("Succeeded", "Completed", database(state="Succeeded")), ["shop: Succeeded, 1:05 elapsed"]),
        # Nothing is said of tables before the service has counted them.
        (migration("InProgress", "MigratingData", database()), ["shop: MigratingData, 1:05 elapsed"]),
        (
            migration("InProgress", "MigratingData", database(tables_completed=3, tables_queued=4, tables_loading=2)),
            ["shop: MigratingData, 1:05 elapsed", "  shop: 3/9 tables, 2 loading"],
        ),
        (
            migration("InProgress", "MigratingData", database(tables_completed=3, tables_errored=1)),
            ["shop: MigratingData, 1:05 elapsed", "  shop: 3/4 tables, 1 in error"],
        ),
        (
            migration(
                "WaitingForUserAction",
                "WaitingForCutoverTrigger",
                database(tables_completed=9, applied_changes=4711, incoming_changes=0, latency=2),
                database("stock", tables_completed=1, applied_changes=0, incoming_changes=5, latency=0),
                database("old", "Succeeded", tables_completed=1),
            ),
            [
                "shop: WaitingForCutoverTrigger, 1:05 elapsed",
                "  shop: 9/9 tables, 4711 changes applied, 2 s behind",
                "  stock: 1/1 tables, 0 changes applied, 0 s behind",
            ],
        ),
        (
            # An offline copy follows nothing, and its latency says nothing.
            migration("InProgress", "MigratingData", database(tables_completed=1, latency=0), mode="Offline"),
            ["shop: MigratingData, 1:05 elapsed", "  shop: 1/1 tables"],
        ),
    ],
)
def test_what_a_user_reads_at_one_look(clock: list[float], found: dict[str, Any], lines: list[str]) -> None:
    clock[0] += 65
    assert progress(watched(), found) == lines


@pytest.mark.parametrize(
    ("size_gb", "done", "total", "left"),
    [
        (None, 10, 40, "3:00"),
        (None, 0, 40, None),
        (10, 0, 40, "7:00"),
        # Longer than promised: the tables are the measure.
        (0.5, 10, 40, "3:00"),
    ],
)
def test_time_left_of_a_copy(clock: list[float], size_gb: Any, done: int, total: int, left: str | None) -> None:
    row = watched(size_gb=size_gb, copying_since=1000.0)
    clock[0] += 60
    found = migration("InProgress", "MigratingData", database(tables_completed=done, tables_queued=total - done))
    assert progress(row, found)[0].endswith(f", about {left} left" if left else "elapsed")


@pytest.mark.parametrize(
    ("label", "substate", "name"), list(itertools.product(("shop", LONG), SUBSTATES, ("shop", LONG[:63])))
)
def test_lines_fit_80_columns(clock: list[float], label: str, substate: str, name: str) -> None:
    clock[0] += 7 * 86400
    counts = {"tables_completed": 12345, "tables_queued": 99999, "tables_loading": 16, "tables_errored": 3}
    row = database(name, applied_changes=123456789, incoming_changes=12, latency=604800, **counts)
    lines = progress(watched(label=label, size_gb=90000, copying_since=1000.0), migration("InProgress", substate, row))
    assert len(lines) == 2 and max(map(len, lines)) <= 80
    assert substate in lines[0]
    assert lines[0].startswith(label[:5]) and lines[1].startswith(f"  {name[:3]}")


def test_a_long_name_keeps_its_both_ends() -> None:
    (line,) = progress(watched(label=LONG), migration())
    assert line.startswith("a-very-long-name") and "example.org: MigratingData" in line and ".." in line


def test_a_line_comes_when_something_has_changed() -> None:
    counted = [database(tables_completed=done, tables_queued=9 - done) for done in (1, 1, 2)]
    answers = [migration("InProgress", "MigratingData", row) for row in counted]
    _rows, lines = watch(watched(*answers, migration("Succeeded", "Completed")))
    assert [line for line in lines if "tables" in line] == ["  shop: 1/9 tables", "  shop: 2/9 tables"]


def test_a_silent_migration_gives_a_sign_of_life() -> None:
    looks = 40
    _rows, lines = watch(watched(*[migration()] * looks, migration("Succeeded", "Completed")))
    told = [line for line in lines if "MigratingData" in line]
    assert 200 / SIGN_OF_LIFE - 1 <= len(told) < looks


def test_no_line_of_a_failed_look_is_wider_than_80_columns() -> None:
    from azure.core.exceptions import ServiceRequestError

    def fetch() -> Any:
        if not seen:
            seen.append(1)
            raise ServiceRequestError("The name management.azure.com could not be resolved. " * 3)
        return migration("Succeeded", "Completed")

    seen: list[int] = []
    row = watched(label=LONG)
    row.fetch = fetch
    (result,), lines = watch(row)
    assert result["outcome"] == "succeeded" and max(map(len, lines)) <= 80
    assert "could not be resolved" in " ".join(" ".join(lines).split())


def test_every_state_is_kept_once_with_its_time(clock: list[float]) -> None:
    answers = [
        migration("InProgress", None),
        migration("InProgress", "PerformingPreRequisiteSteps"),
        migration("InProgress", "PerformingPreRequisiteSteps"),
        migration(),
        migration("WaitingForUserAction", "WaitingForCutoverTrigger"),
    ]
    (result,), _lines = watch(watched(*answers))
    steps = [(step["substate"], step["ready"]) for step in result["history"]]
    assert steps == [
        (None, False),
        ("PerformingPreRequisiteSteps", False),
        ("MigratingData", False),
        ("WaitingForCutoverTrigger", True),
    ]
    seconds = [step["seconds"] for step in result["history"]]
    assert seconds == [0, 5, 15, 20] and result["seconds"] == 20


def test_the_deadline_holds_for_all_together() -> None:
    rows, _lines = watch(*(watched(*[migration()] * 9, label=name) for name in "abc"), timeout=30)
    assert [row["outcome"] for row in rows] == ["timeout"] * 3
    assert all("Not there after 30 s" in row["message"] for row in rows)


def test_one_that_was_never_seen_says_so() -> None:
    (row,), _lines = watch(watched(None, None), timeout=5)
    assert row["outcome"] == "timeout" and "last state never seen" in row["message"]


# On a terminal


class Drawn:
    """A terminal that keeps what was drawn; `sizes` is what it says of itself, None for one that is gone."""

    colour = False

    def __init__(self, *sizes: tuple[int, int] | None) -> None:
        self.sizes = list(sizes) or [(80, 24)]
        self.pictures: list[list[str]] = []
        self.logged: list[str] = []

    def size(self) -> tuple[int, int]:
        found = self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0]
        if found is None:
            raise OSError(25, "Inappropriate ioctl for device")
        return found

    def write(self, text: str) -> None:
        self.pictures.append([line.strip() for line in re.sub(r"\x1b\[[0-9]*[A-Z]", "", text).splitlines()])

    def log(self, line: str) -> None:
        self.logged.append(line)


def live(screen: Drawn, *rows: Watched, **options: Any) -> tuple[list[dict[str, Any]], list[str]]:
    lines: list[str] = []
    given = {"until_cutover": True, "timeout": 3600, "least": 5, "most": 60, **options}
    return Watch(list(rows), **given, report=lines.append, screen=screen).run(), lines


def test_the_table_is_drawn_every_second_and_the_lines_go_to_the_log() -> None:
    screen = Drawn()
    counted = database(tables_completed=3, tables_queued=6)
    answers = [migration("InProgress", "MigratingData", counted), migration("Succeeded", "Completed")]
    _rows, lines = live(screen, watched(*answers))
    assert lines == []
    assert screen.logged[:2] == ["shop: MigratingData, 0:00 elapsed", "  shop: 3/9 tables"]
    assert [picture[0].split()[-2] for picture in screen.pictures] == [
        "0:00",
        "0:01",
        "0:02",
        "0:03",
        "0:04",
        "0:05",
        "0:05",
    ]
    assert screen.pictures[0][1] == "shop  copying  ███░░░░░░░  33%  3/9 tables"
    assert screen.pictures[1][1] == "shop  copying  ███░░░░░░░  33%  0:02 left  3/9 tables  180/min"
    assert screen.pictures[-1][1] == "shop  done  ██████████ 100%  in 0:05"


def test_rates_of_a_copy_of_known_size_and_of_changes() -> None:
    screen = Drawn((120, 24))
    first = database(tables_completed=2, tables_queued=6, applied_changes=100, latency=3)
    then = database(tables_completed=4, tables_queued=4, applied_changes=600, latency=1)
    answers = [migration("InProgress", "MigratingData", row) for row in (first, then)]
    live(screen, watched(*answers, migration("Succeeded", "Completed"), size_gb=2))
    row = screen.pictures[8][1]
    assert "50%" in row and "1 s behind" in row and "100 changes/s" in row and "4/8 tables" in row
    assert re.search(r" 1[0-9]{2} MB/s", row)


@pytest.mark.parametrize("sizes", [[(80, 24), None], [(80, 24), (50, 24)], [(80, 24), (80, 3)]])
def test_a_terminal_that_is_gone_or_too_small_gets_lines(sizes: Any) -> None:
    screen = Drawn(*sizes)
    counted = [database(tables_completed=done, tables_queued=9 - done) for done in (1, 2, 3)]
    answers = [migration("InProgress", "MigratingData", row) for row in counted]
    (row,), lines = live(screen, watched(*answers, migration("Succeeded", "Completed")))
    assert row["outcome"] == "succeeded" and len(screen.pictures) == 1
    assert [line for line in lines if "tables" in line] == ["  shop: 2/9 tables", "  shop: 3/9 tables"]


def test_a_failed_look_is_shown_in_its_row_until_the_next() -> None:
    from azure.core.exceptions import ServiceRequestError

    answers: list[Any] = [migration(), ServiceRequestError("No route to host."), migration("Succeeded", "Completed")]

    def fetch() -> Any:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    screen = Drawn((120, 24))
    row = watched()
    row.fetch = fetch
    _rows, lines = live(screen, row)
    assert lines == [] and any("No route to host" in picture[1] for picture in screen.pictures)
    assert screen.pictures[-1][1].startswith("shop  done")


# Hundreds


def crowd(count: int, looks: list[tuple[float, str]], *answers: Any, **values: Any) -> list[Watched]:
    def fetch_of(name: str) -> Any:
        script = iter(answers)

        def fetch() -> Any:
            looks.append((time.monotonic(), name))
            return next(script)

        return fetch

    names = [f"shop-{number}" for number in range(count)]
    return [Watched(name, name, "shop-flex", fetch_of(name), **values) for name in names]


def test_hundreds_share_the_reads_of_a_subscription() -> None:
    looks: list[tuple[float, str]] = []
    done = migration("Succeeded", "Completed")
    rows, _lines = watch(*crowd(600, looks, migration(), migration(), done))
    assert {row["outcome"] for row in rows} == {"succeeded"} and len(looks) == 1800
    # The first 200 at once, then 20 a second; 600 come round every 30 seconds.
    assert sum(at < 1001 for at, _name in looks) >= 200
    assert 20 - 1 <= max(at for at, _name in looks[:600]) - 1000 <= 20 + 1
    for name in ("shop-0", "shop-599"):
        times = [at for at, looked in looks if looked == name]
        assert all(after - before >= 600 / READS_A_SECOND for before, after in itertools.pairwise(times))


def test_other_subscriptions_do_not_count() -> None:
    looks: list[tuple[float, str]] = []
    done = migration("Succeeded", "Completed")
    many = [row for at in range(10) for row in crowd(60, looks, migration(), done, subscription=str(at))]
    watch(*many)
    assert max(at for at, _name in looks) - 1000 <= 20 + 5 + 1


def test_a_cutover_is_looked_at_before_its_turn() -> None:
    looks: list[tuple[float, str]] = []
    rows = crowd(400, looks, *[migration()] * 9, migration("Succeeded", "Completed"))
    cutting = migration("InProgress", "CompletingMigration")
    script = iter([*[cutting] * 3, migration("Succeeded", "Completed")])
    seen: list[float] = []

    def fetch() -> Any:
        seen.append(time.monotonic())
        return next(script)

    rows[0].fetch = fetch
    watch(*rows)
    assert [round(after - before) for before, after in itertools.pairwise(seen)] == [5, 5, 5]
