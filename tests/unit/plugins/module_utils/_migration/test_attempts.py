# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.attempts import attempt, created, created_tags

NAME = "shop-1a2b3c4d"


def row(name: str = NAME, state: str | None = "Failed", **values: Any) -> dict[str, Any]:
    return {"name": name, "state": state, **values}


def found(*rows: dict[str, Any], attempts: int = 3, name: str = NAME) -> tuple[str, str | None, list[str]]:
    """(the name to use, the migration that is there, those before it)"""
    made = attempt(rows, name, attempts)
    return made["name"], made["migration"].get("name"), [before["name"] for before in made["history"]]


def tried(*states: str) -> list[dict[str, Any]]:
    """A row for each attempt, the last one first, since the service promises no order."""
    names = [NAME, *(f"{NAME}-r{number}" for number in range(2, len(states) + 1))]
    return [row(name, state) for name, state in reversed(list(zip(names, states, strict=True)))]


def test_the_first_attempt_has_the_plain_name() -> None:
    assert attempt([], NAME, 1) == {"name": NAME, "migration": {}, "history": []}


@pytest.mark.parametrize("attempts", [1, 2, 3])
@pytest.mark.parametrize("state", ["InProgress", "WaitingForUserAction", "CleaningUp", "Succeeded", None])
def test_what_has_not_failed_goes_on(state: str | None, attempts: int) -> None:
    assert found(row(state=state), attempts=attempts) == (NAME, NAME, [])


@pytest.mark.parametrize("state", ["Failed", "Canceled", "ValidationFailed"])
@pytest.mark.parametrize(("attempts", "next_one"), [(1, None), (2, f"{NAME}-r2"), (3, f"{NAME}-r2")])
def test_what_has_failed_is_tried_again_while_it_may(state: str, attempts: int, next_one: str | None) -> None:
    expected = (next_one, None, [NAME]) if next_one else (NAME, NAME, [])
    assert found(row(state=state), attempts=attempts) == expected


@pytest.mark.parametrize(
    ("states", "attempts", "expected"),
    [
        (["Failed", "Failed"], 3, (f"{NAME}-r3", None, [NAME, f"{NAME}-r2"])),
        (["Failed", "Failed"], 2, (f"{NAME}-r2", f"{NAME}-r2", [NAME])),
        # Fewer than there were, when somebody has lowered the setting since.
        (["Failed", "Failed"], 1, (f"{NAME}-r2", f"{NAME}-r2", [NAME])),
        (["Failed", "InProgress"], 1, (f"{NAME}-r2", f"{NAME}-r2", [NAME])),
        (["Failed", "Canceled", "Succeeded"], 9, (f"{NAME}-r3", f"{NAME}-r3", [NAME, f"{NAME}-r2"])),
    ],
)
def test_the_last_attempt_counts(states: list[str], attempts: int, expected: Any) -> None:
    assert found(*tried(*states), attempts=attempts) == expected


def test_numbers_are_compared_as_numbers() -> None:
    rows = tried(*["Failed"] * 10)
    name, there, history = found(*rows, attempts=11)
    assert (name, there) == (f"{NAME}-r11", None)
    assert history[0] == NAME and history[-2:] == [f"{NAME}-r9", f"{NAME}-r10"]
    assert found(*rows, attempts=10)[:2] == (f"{NAME}-r10", f"{NAME}-r10")


def test_attempts_that_somebody_has_deleted_leave_a_gap() -> None:
    assert found(row(f"{NAME}-r3")) == (f"{NAME}-r3", f"{NAME}-r3", [])
    assert found(row(f"{NAME}-r3"), attempts=4) == (f"{NAME}-r4", None, [f"{NAME}-r3"])


@pytest.mark.parametrize(
    "other",
    [
        "stock",
        f"{NAME}5",
        f"my-{NAME}",
        f"{NAME}-r",
        f"{NAME}-r0",
        f"{NAME}-r1",
        f"{NAME}-r02",
        f"{NAME}-r2x",
        f"{NAME}-r-2",
        f"{NAME}-r2-r2",
        f"{NAME}-2",
        f"{NAME}\n",
        NAME[:-1],
    ],
)
def test_other_migrations_are_left_out(other: str) -> None:
    assert found(row(other, "InProgress")) == (NAME, None, [])
    assert found(row(other, "InProgress"), row()) == (f"{NAME}-r2", None, [NAME])


def test_a_name_is_no_pattern() -> None:
    assert found(row("shopX1", "InProgress"), name="shop.1") == ("shop.1", None, [])


def test_case_does_not_matter_and_the_services_spelling_is_kept() -> None:
    assert found(row(NAME.upper(), "InProgress")) == (NAME.upper(), NAME.upper(), [])
    assert found(row(), row(f"{NAME}-R2", "InProgress")) == (f"{NAME}-R2", f"{NAME}-R2", [NAME])


# What they have made


def test_a_tag_for_each_database() -> None:
    assert created_tags([]) == {}
    assert created_tags(["shop", "Bill ing"]) == {"pgflex-created-1": "shop", "pgflex-created-2": "Bill ing"}


def test_the_tags_tell_of_the_databases() -> None:
    names = [f"base {number}" for number in range(12)]
    assert created([row(tags={**created_tags(names), "owner": "shop"})]) == sorted(names)


def test_databases_of_all_attempts_are_told_once() -> None:
    history = [row(tags=created_tags(["shop", "stock"])), row(tags=created_tags(["stock", "Stock"]))]
    assert created(history) == ["Stock", "shop", "stock"]


@pytest.mark.parametrize("rows", [[], [row()], [row(tags=None)], [row(tags={"pgflex-validated-x": "shop"})]])
def test_without_such_tags_nothing_was_made(rows: list[dict[str, Any]]) -> None:
    assert created(rows) == []
