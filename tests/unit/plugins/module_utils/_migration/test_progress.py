# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.progress import (
    GROUPS,
    Live,
    Row,
    clean,
    cut,
    fitting,
    frame,
    padded,
    width,
)

LONG = "warehouse-europe-west-3.prod.example.org"
COLOUR = re.compile(r"\x1b\[[0-9]+m")


class Terminal:
    """A terminal of some size, and what stands on it after all that was written."""

    def __init__(self, columns: int = 80, lines: int = 24, *, colour: bool = False) -> None:
        self.columns, self.lines, self.colour = columns, lines, colour
        self.rows = [""]
        self.y, self.line = 0, ""
        self.logged: list[str] = []

    def size(self) -> tuple[int, int]:
        if self.lines < 0:
            raise OSError(25, "Inappropriate ioctl for device")
        return self.columns, self.lines

    def log(self, line: str) -> None:
        self.logged.append(line)

    def write(self, text: str) -> None:
        for part in re.findall(r"\x1b\[[0-9]*[A-Za-z]|\n|[^\x1b\n]+", text):
            if part == "\n":
                self.rows[self.y] = self.line + self.rows[self.y][len(self.line) :]
                self.y, self.line = self.y + 1, ""
                self.rows += [""] * (self.y + 1 - len(self.rows))
            elif part == "\x1b[K":
                self.rows[self.y] = self.line
            elif part == "\x1b[J":
                self.rows[self.y :] = [self.line]
            elif part.endswith("A") and part.startswith("\x1b"):
                self.y -= int(part[2:-1])
                assert self.y >= 0 and len(self.rows) - self.y <= self.lines
            elif part.startswith("\x1b"):
                assert COLOUR.fullmatch(part) and self.colour
            else:
                self.line += part
                assert width(self.line) < self.columns


def copying(label: str = "shop", done: int = 12, total: int = 31, **values: Any) -> Row:
    return Row(label, where="MigratingData", elapsed=600, done=done, total=total, **values)


def ready(label: str = "shop", **values: Any) -> Row:
    return Row(label, "ready", "WaitingForCutoverTrigger", 754, 31, 31, **values)


def lines(*rows: Row, columns: int = 79, height: int = 23) -> list[str]:
    return frame(list(rows), 4711, columns, height, colour=False)[1:]


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (Row("shop"), "shop  not seen yet  0:00"),
        (Row("shop", where="InProgress", elapsed=65), "shop  starting  1:05"),
        (Row("shop", where="PerformingPreRequisiteSteps", elapsed=65), "shop  preparing  1:05"),
        (Row("shop", where="SomethingNew", elapsed=65), "shop  SomethingNew  1:05"),
        (copying(), "shop  copying  ███░░░░░░░  38%  12/31 tables"),
        (
            copying(left=252, megabytes_per_second=35.4),
            "shop  copying  ███░░░░░░░  38%  4:12 left  12/31 tables  35 MB/s",
        ),
        (copying(left=252, tables_per_minute=3.2), "shop  copying  ███░░░░░░░  38%  4:12 left  12/31 tables  3/min"),
        (copying(errored=1, left=252), "shop  copying  ███░░░░░░░  38%  4:12 left  1 in error  12/31 tables"),
        (
            ready(behind=2, changes=711, changes_per_second=12.1),
            "shop  ready for cutover  ██████████ 100%  2 s behind  12 changes/s  711 changes",
        ),
        (Row("shop", "succeeded", "Succeeded", 754, 31, 31), "shop  done  ██████████ 100%  in 12:34"),
        (
            Row("shop", "failed", "Failed", 9, message="603100: The password is wrong."),
            "shop  failed  603100: The password is wrong.",
        ),
        (Row("shop", "failed", message="ExtensionsValidation: No hstore."), "shop  failed  No hstore."),
        (Row("shop", "waiting", "X", 9, message="It waits."), "shop  waits for you  It waits."),
        (Row("shop", "timeout", message="Not there after 10 s."), "shop  too late  Not there after 10 s."),
        (copying(message="Failed to read it."), "shop  copying  Failed to read it."),
    ],
)
def test_a_row(row: Row, line: str) -> None:
    assert lines(row) == [line]


def test_every_outcome_of_a_watch_is_counted_and_drawn() -> None:
    rows = [Row(outcome, outcome) for outcome in GROUPS]
    (head, *found) = frame(rows, 5, 200, 40, colour=False)
    assert head.startswith(
        "9 migrations: 1 failed, 1 unreadable, 1 missing, 1 too late, 1 canceled, 1 waiting, 1 running, "
    )
    assert head.endswith("  0:05 elapsed") and width(head) == 200
    assert [line.split()[0] for line in found] == list(GROUPS)


def test_what_needs_somebody_comes_first_and_order_is_kept_otherwise() -> None:
    rows = [
        Row("done", "succeeded"),
        copying("copying-1"),
        Row("unseen"),
        Row("cutover", where="CompletingMigration"),
        copying("copying-2", done=30),
        Row("bad", "failed"),
        Row("asks", "waiting"),
        ready("ready"),
    ]
    assert [line.split()[0] for line in lines(*rows)] == [
        "bad", "asks", "cutover", "copying-1", "copying-2", "unseen", "ready", "done",
    ]  # fmt: skip


def test_what_has_no_room_is_counted() -> None:
    rows = [copying(f"c{number}") for number in range(80)] + [Row(f"w{number}", "waiting") for number in range(17)]
    found = lines(*rows, height=12)
    assert len(found) == 11 and found[-1] == "and 87 more: 7 waiting, 80 running"
    assert [line.split()[0] for line in found[:-1]] == [f"w{number}" for number in range(10)]


@pytest.mark.parametrize("height", [5, 12, 23, 50, 203])
@pytest.mark.parametrize("columns", [59, 79, 119, 250])
@pytest.mark.parametrize("count", [0, 1, 3, 200])
def test_it_fits_the_terminal(columns: int, height: int, count: int) -> None:
    kinds = [
        lambda name: copying(name, 9999, 99999, errored=12, left=604800, megabytes_per_second=1234.5),
        lambda name: ready(name, behind=604800, changes=10**12, changes_per_second=10**6),
        lambda name: Row(name, "failed", message="Ein sehr langer Grund: 接続できません. " * 9),
        lambda name: Row(name, where="A" * 60, elapsed=10**6),
    ]
    rows = [kinds[number % 4](f"{LONG}-{number:03}") for number in range(count)]
    found = frame(rows, 10**6, columns, height, colour=False)
    assert len(found) == min(count + 1, height)
    assert max(map(width, found)) <= columns
    plain = [COLOUR.sub("", line) for line in frame(rows, 10**6, columns, height, colour=True)]
    assert plain == found


def test_colours_only_when_wanted() -> None:
    rows = [Row("a", "failed"), Row("b", "succeeded"), copying("c")]
    coloured = frame(rows, 5, 79, 23, colour=True)
    assert [COLOUR.findall(line) for line in coloured[1:]] == [
        ["\x1b[31m", "\x1b[0m"], ["\x1b[34m", "\x1b[0m"], ["\x1b[32m", "\x1b[0m"],
    ]  # fmt: skip
    assert not COLOUR.search("".join(frame(rows, 5, 79, 23, colour=False)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a [2Jb"),
        ("two\nlines\r\n", "two lines"),
        ("\x9b31mred\x07", "31mred"),
        ("right\u202eleft", "right left"),
        ("tab\tand   spaces", "tab and spaces"),
        ("Über 価格", "Über 価格"),
    ],
)
def test_others_texts_do_not_steer_the_terminal(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert "\x1b" not in "".join(lines(Row(text, "failed", message=text)))


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("shop", 6, "shop  "),
        ("shop", 4, "shop"),
        ("a-long-name-of-a-host", 12, "a-lon..-host"),
        ("価格価格価格価格", 8, "価.."),
        ("", 3, "   "),
    ],
)
def test_names_keep_both_ends(text: str, columns: int, shown: str) -> None:
    found = padded(text, columns)
    assert width(found) == columns and found.startswith(shown)


def test_a_long_text_is_cut_and_numbers_are_not() -> None:
    assert (cut("a long sentence", 9), cut("short", 9)) == ("a long ..", "short")
    assert fitting(["100%", "12 s behind", "9 changes"], 17) == "100%  12 s behind"
    assert fitting(["100%", "12 s behind"], 16) == "100%" and fitting(["100%"], 3) == ""


# Drawing in place


def test_the_table_is_drawn_over_itself() -> None:
    terminal = Terminal()
    terminal.write("TASK [Wait] ***\n")
    live = Live(terminal)
    assert live.draw([copying("a"), copying("b"), copying("c")], 5)
    assert live.draw([copying("a", 20), Row("b", "succeeded"), copying("c")], 6)
    assert terminal.rows[0] == "TASK [Wait] ***" and terminal.rows[1].startswith("3 migrations: 2 running, 1 done")
    assert [row.split()[0] for row in terminal.rows[2:5]] == ["a", "c", "b"]
    assert terminal.rows[5:] == [""] and terminal.y == 5
    assert live.draw([copying("a")], 7)
    assert [row.split()[:1] for row in terminal.rows[2:]] == [["a"], []]


def test_another_size_begins_below() -> None:
    terminal = Terminal()
    live = Live(terminal)
    live.draw([copying("a")], 5)
    terminal.columns = 60
    live.draw([copying("a")], 6)
    live.draw([copying("a")], 7)
    assert [row.partition(":")[0] for row in terminal.rows[::2]] == ["1 migration", "1 migration", ""]


@pytest.mark.parametrize(("columns", "lines_"), [(59, 24), (80, 5), (0, 0)])
def test_nothing_is_written_where_there_is_no_room(columns: int, lines_: int) -> None:
    terminal = Terminal(columns, lines_)
    assert not Live(terminal).draw([copying()], 5)
    assert terminal.rows == [""]


def test_no_mode_of_the_terminal_is_changed() -> None:
    """Whoever ends the program leaves a terminal that works: no hidden cursor, no other screen, a whole last line."""
    written: list[str] = []
    terminal = Terminal(colour=True)
    terminal.write = written.append  # type: ignore[method-assign]
    live = Live(terminal)
    for second in range(3):
        live.draw([copying("a"), Row("b", "failed", message="No.")], second)
    assert set(re.findall(r"\x1b\[[^A-Za-z]*[A-Za-z]", "".join(written))) == {
        "\x1b[3A", "\x1b[K", "\x1b[J", "\x1b[31m", "\x1b[34m", "\x1b[0m",
    }  # fmt: skip
    assert all(text.endswith("\n\x1b[J") for text in written)
