# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._inventory.pairs_file import (
    Row,
    doubtful,
    missing_columns,
    read_csv,
    read_list,
    settings,
)

HEADER = "source_resource_group,source,target_resource_group,target,databases"
LINE = 'shop-rg,shop-single,shop-rg,shop-flex,"shop stock"'
CELLS = {
    "source_resource_group": "shop-rg",
    "source": "shop-single",
    "target_resource_group": "shop-rg",
    "target": "shop-flex",
    "databases": "shop stock",
}


def rows(text: str | bytes) -> list[dict[str, Any]]:
    found, problems = read_csv(text if isinstance(text, bytes) else text.encode(), "pairs.csv")
    assert problems == []
    return [row.cells for row in found]


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{LINE}\n",
        f"{HEADER}\n{LINE}",
        f"\n\n{HEADER}\n\n,,,,\n{LINE}\n,,,,\n\n",
        f"{HEADER}\n{LINE}\n".replace("\n", "\r\n"),
        f"{HEADER}\n{LINE}\n".replace("\n", "\r"),
        f"{HEADER}\n{LINE}\n".replace(",", ";"),
        f"sep=;\r\n{HEADER}\r\n{LINE}\r\n".replace(",", ";"),
        f"{HEADER}\n{LINE}\n".replace(",", "\t"),
        f"{HEADER}\n{LINE}\n".replace(",", " , "),
        f"{HEADER.upper()}\n{LINE}\n",
        f"{HEADER.replace('_', ' ').title()}\n{LINE}\n",
        f"{HEADER.replace('_', '-')}\n{LINE}\n",
        '"' + HEADER.replace(",", '","') + '"\n' + LINE,
        f"{HEADER},,\n{LINE},,\n",
        f"\N{BYTE ORDER MARK}{HEADER}\n{LINE}\n",
        f"{HEADER}\n{LINE}\n".encode("utf-16"),
        f"\N{BYTE ORDER MARK}{HEADER}\n{LINE}\n".replace(",", ";").replace("\n", "\r\n\r\n"),
    ],
)
def test_spreadsheets_as_they_are(text: str | bytes) -> None:
    assert rows(text) == [CELLS]


def test_a_line_has_its_number_and_its_other_columns() -> None:
    found, _problems = read_csv(f"{HEADER},Team\n\n{LINE},blue\n{LINE},\n".encode(), "p.csv")
    assert [(row.where, row.others) for row in found] == [("p.csv, line 3", {"team": "blue"}), ("p.csv, line 4", {})]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ["p.csv is empty."]),
        (b"\n;;\n", ["p.csv is empty."]),
        (HEADER.encode(), ["p.csv has a header and no line below it."]),
        ("source;target\ncafé;x".encode("latin-1"), ["p.csv is not UTF-8: save it as CSV UTF-8."]),
        (b"source,Source ,target\na,b,c", ["p.csv has the column source more than once."]),
        (
            b"source;target;databases\na;b;x;y\nc;d;z",
            ["p.csv, line 2 has 4 cells and the header 3: put a cell that has a ';' in it in quotes."],
        ),
        (
            b"source,target,source_password,client_secret\na,b,c,d",
            [
                "p.csv: the column source_password has no place here: passwords belong in a vault, and into the option "
                "defaults.",
                "p.csv: the column client_secret has no place here: passwords belong in a vault, and into the option "
                "defaults.",
            ],
        ),
        (b"source,target\n" + b"x" * 200000 + b",b", ["p.csv, line 2: field larger than field limit (131072)."]),
    ],
)
def test_files_that_are_none(content: bytes, expected: list[str]) -> None:
    assert read_csv(content, "p.csv")[1] == expected


def test_yaml_says_the_same() -> None:
    found, problems = read_list([{"Source": "a", "databases": ["My Shop"], "wave": 2, "team": "blue"}], "p.yml")
    assert problems == []
    assert found == [
        Row("p.yml, item 1", {"source": "a", "databases": ["My Shop"], "wave": 2}, {"team": "blue"}),
    ]
    assert settings(found[0])[0] == {"source": {"name": "a"}, "databases": ["My Shop"], "fleet": {"wave": 2}}


@pytest.mark.parametrize("content", [None, {}, "a", ["a"], [{}, 1]])
def test_yaml_that_is_no_list_of_pairs(content: Any) -> None:
    assert read_list(content, "p.yml")[1] == ["p.yml has to be a list of mappings, one for each pair."]


def test_yaml_without_pairs_or_with_passwords() -> None:
    assert read_list([], "p.yml")[1] == ["p.yml is empty."]
    assert len(read_list([{"target_password": "x"}, {"target_password": "y"}], "p.yml")[1]) == 1


@pytest.mark.parametrize(
    ("there", "groups", "expected"),
    [
        ({"databases": "x"}, True, ["source", "target", "source_resource_group", "target_resource_group"]),
        ({"databases": "x"}, False, ["source", "target"]),
        ({"source": "a", "target": "b"}, True, ["source_resource_group", "target_resource_group"]),
        ({"source": "a", "target": "b"}, False, []),
        ({"source": "g/a", "target": "/subscriptions/s/resourceGroups/g/x"}, True, []),
        ({"source_host": "10.0.0.1", "target": "b"}, True, ["target_resource_group"]),
    ],
)
def test_missing_columns(there: dict[str, str], groups: bool, expected: list[str]) -> None:
    assert missing_columns([Row("p.csv, line 2", there)], groups=groups) == expected


def test_a_slip_of_the_pen_is_told() -> None:
    row = Row("p.csv, line 2", {}, {"databse": "x", "owner": "y", "source_ressource_group": "z"})
    assert doubtful([row, row]) == [
        "The column databse means nothing here; databases would.",
        "The column source_ressource_group means nothing here; source_resource_group would.",
    ]


def test_every_column_has_its_place() -> None:
    cells = {
        "host": "shop",
        "subscription": "s",
        "source": "a",
        "source_resource_group": "g",
        "source_type": "AzureVM",
        "source_host": "db.example.com",
        "source_port": "5433",
        "source_user": "u",
        "target": "b",
        "databases": "x;y, z  w",
        "mode": "Online",
        "generation": "current",
        "engine": "direct",
        "wave": " 2",
        "priority": "-1",
        "after": "first;second",
        "region": "West Europe",
        "window_start": "2026-11-21 02:00",
        "window_end": "2026-11-21T06:00+02:00",
    }
    assert settings(Row("here", cells)) == (
        {
            "subscription_id": "s",
            "source": {
                "name": "a",
                "resource_group": "g",
                "type": "AzureVM",
                "host": "db.example.com",
                "port": 5433,
                "user": "u",
            },
            "target": {"name": "b"},
            "databases": ["x", "y", "z", "w"],
            "mode": "online",
            "generation": "current",
            "engine": "direct",
            "fleet": {"wave": 2, "priority": -1, "after": ["first", "second"], "region": "West Europe"},
            "window": {"start": "2026-11-21T02:00:00Z", "end": "2026-11-21T04:00:00Z"},
        },
        [],
    )


def test_all_cells_that_are_wrong_are_told() -> None:
    cells = {"host": "a b", "mode": "slow", "wave": "one", "window_start": "21.11.2026", "target": ["x"]}
    assert settings(Row("here", cells))[1] == [
        "here: host has to be a name of letters, digits, dots, hyphens and underscores, not 'a b'.",
        "here: mode has to be one of offline, online, not 'slow'.",
        "here: wave has to be a whole number, not 'one'.",
        "here: window_start has to be a time such as 2026-11-21T02:00:00Z, in UTC where it names no zone, not "
        "'21.11.2026'.",
        "here: target has to be one text, not \"['x']\".",
    ]
