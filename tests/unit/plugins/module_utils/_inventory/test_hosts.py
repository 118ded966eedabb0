# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._inventory.groups import GROUPS, groups_of
from ansible_collections.pgflex.migrate.plugins.module_utils._inventory.hosts import Options, fleet_of, option_problems
from ansible_collections.pgflex.migrate.plugins.module_utils._inventory.pairs import Fleet
from ansible_collections.pgflex.migrate.plugins.module_utils._inventory.pairs_file import Row
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.settings import FLEXIBLE, SINGLE

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"


def server(name: str, kind: str = SINGLE, group: str = "shop-rg", **more: Any) -> dict[str, Any]:
    made = {
        "id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/x/{kind}/{name}",
        "name": name,
        "resource_group": group,
        "subscription_id": SUBSCRIPTION,
        "kind": kind,
        "location": "westeurope",
        "version": "11",
        "tier": "GeneralPurpose",
        "vcores": 4,
        "storage_mb": 51200,
        "public_network_access": "Enabled",
        "tags": {},
    }
    return {**made, **more}


def flexible(name: str, **more: Any) -> dict[str, Any]:
    return server(name, FLEXIBLE, **{"version": "16", **more})


def row(line: int = 2, **cells: Any) -> Row:
    return Row(f"pairs.csv, line {line}", cells)


def pair(line: int = 2, **cells: Any) -> Row:
    made = {"source": "a", "target": "b", "source_resource_group": "g", "target_resource_group": "g"}
    return row(line, **{**made, "databases": "shop", **cells})


def file(*rows: Row, found: list[dict[str, Any]] | None = None, **options: Any) -> Fleet:
    return fleet_of(Options(pairs={"file": "pairs.csv"}, **options), rows, found)


def hosts(fleet: Fleet) -> dict[str, tuple[str, str]]:
    assert fleet.problems == []
    return {one.host: (one.pgflex["source"].get("name"), one.pgflex["target"]["name"]) for one in fleet.members}


def unpaired(fleet: Fleet) -> dict[str, str]:
    return {one["name"]: reason for one, reason in fleet.unpaired}


# By tag


def test_tags_pair() -> None:
    found = [
        server("one", tags={"PgFlex-Target": "ONE-flex", "pgflex-wave": "2", "pgflex-databases": "x,y", "env": "prod"}),
        server("two", tags={"pgflex-target": "shop-rg/two-flex"}),
        server("none"),
        flexible("one-flex", location="northeurope"),
        flexible("two-flex"),
        flexible("other"),
    ]
    fleet = fleet_of(Options(), [], found)
    assert hosts(fleet) == {"one": ("one", "one-flex"), "two": ("two", "two-flex")}
    assert unpaired(fleet) == {"none": "It has no tag pgflex-target."}
    assert fleet.members[0].pgflex == {
        "source": {"type": SINGLE, "subscription_id": SUBSCRIPTION, "resource_group": "shop-rg", "name": "one"},
        "target": {"subscription_id": SUBSCRIPTION, "resource_group": "shop-rg", "name": "one-flex"},
        "databases": ["x", "y"],
        "fleet": {"wave": 2, "region": "northeurope"},
    }


def test_one_source_for_many_targets_and_many_for_one() -> None:
    found = [
        server("one", tags={"pgflex-target": "a-flex; shop-rg/b-flex"}),
        server("two", tags={"pgflex-target": "a-flex"}),
        flexible("a-flex"),
        flexible("b-flex"),
    ]
    assert hosts(fleet_of(Options(), [], found)) == {
        "one": ("one", "a-flex"),
        "one-to-b-flex": ("one", "b-flex"),
        "two": ("two", "a-flex"),
    }


def test_flexible_servers_are_sources_where_they_are_asked_for() -> None:
    found = [flexible("old", tags={"go-to": "new"}), flexible("new"), flexible("alone")]
    fleet = fleet_of(Options(sources=["flexible"], pairs={"tag": "go-to"}), [], found)
    assert hosts(fleet) == {"old": ("old", "new")}
    assert fleet.members[0].pgflex["source"]["type"] == FLEXIBLE
    assert unpaired(fleet) == {"alone": "It has no tag go-to."}


def test_tags_that_name_nobody_are_all_told() -> None:
    found = [
        server("one", tags={"pgflex-target": "gone"}),
        server("two", tags={"pgflex-target": "rg/two-flex", "pgflex-mode": "slow"}),
        server("three", tags={"pgflex-target": "one"}),
        flexible("two-flex"),
    ]
    assert fleet_of(Options(), [], found).problems == [
        "The tag pgflex-target of one names gone, which is not there.",
        "the tags of two: mode has to be one of offline, online, not 'slow'.",
        "The tag pgflex-target of two names rg/two-flex, which is not there.",
        "The tag pgflex-target of three names one, which is not there.",
    ]


# By name


def test_names_pair() -> None:
    options = Options(pairs={"name": {"pattern": "(.+)-old", "replace": r"\1-new"}})
    found = [server("a-old"), server("b-old"), server("c"), flexible("a-new")]
    fleet = fleet_of(options, [], found)
    assert hosts(fleet) == {"a-old": ("a-old", "a-new")}
    assert unpaired(fleet) == {"b-old": "There is no Flexible Server b-new.", "c": "Its name does not match (.+)-old."}


# By file


def test_a_file_alone_says_everything() -> None:
    rows = [
        pair(host="x", wave="1", region="West Europe"),
        pair(
            3, source="g/c", target=f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/P/t/d", subscription="s"
        ),
        row(4, source_host="db.example.com", target="g/e", databases="shop"),
    ]
    fleet = file(*rows)
    assert hosts(fleet) == {"x": ("a", "b"), "c": ("c", "d"), "db.example.com": (None, "e")}
    assert fleet.unpaired == []
    assert [one.pgflex["source"] for one in fleet.members] == [
        {"resource_group": "g", "name": "a"},
        {"resource_group": "g", "name": "c"},
        {"host": "db.example.com", "type": "OnPremises"},
    ]
    assert fleet.members[0].pgflex["fleet"] == {"wave": 1, "region": "westeurope"}
    assert fleet.members[1].pgflex["target"]["subscription_id"] == SUBSCRIPTION


def test_a_file_with_azure_needs_no_groups_and_knows_who_is_forgotten() -> None:
    found = [server("one"), server("two"), flexible("one-flex", location="eastus")]
    fleet = file(row(source="ONE", target="one-flex", databases="x"), found=found)
    assert hosts(fleet) == {"ONE": ("one", "one-flex")}
    assert unpaired(fleet) == {"two": "The pairs file does not name it."}
    assert fleet.members[0].pgflex["fleet"]["region"] == "eastus"


def test_a_filter_leaves_pairs_of_a_file_out() -> None:
    found = [server("one"), server("two"), flexible("one-flex"), flexible("two-flex")]
    rows = [row(source="one", target="one-flex", databases="x"), row(3, source="two", target="two-flex", databases="x")]
    fleet = file(*rows, found=found, filters={"exclude": [{"name": "t*"}]})
    assert (hosts(fleet), unpaired(fleet)) == ({"one": ("one", "one-flex")}, {})


def test_what_azure_does_not_know_is_all_told() -> None:
    found = [server("one"), flexible("one-flex"), server("twin", group="a"), server("twin", group="b")]
    rows = [
        row(2, source="gone", target="gone-flex", databases="x"),
        row(3, source="one", source_resource_group="rg", target="one-flex", region="eastus", databases="x"),
        row(4, source="twin", target="one", databases="x"),
    ]
    assert file(*rows, found=found).problems == [
        "pairs.csv, line 2: the source gone is not there.",
        "pairs.csv, line 2: the target gone-flex is not there.",
        "pairs.csv, line 3: the source one in rg is not there.",
        "pairs.csv, line 3: the region is eastus, but the target is in westeurope.",
        "pairs.csv, line 4: there are 2 servers twin: say source_resource_group.",
        "pairs.csv, line 4: the target one is not there.",
    ]


def test_everything_that_is_wrong_with_a_file_is_told_at_once() -> None:
    rows = [
        pair(2, host="one"),
        pair(3, host="two", source="c"),
        pair(4, host="three", databases="", source="x", target="y"),
        pair(5, host="four", databases="", source="x", target="y"),
        pair(6, host="five", target="m", region="mars", after="nobody"),
        pair(7, host="six", target="n", window_start="2026-11-22", window_end="2026-11-21"),
        pair(8, host="seven", target=""),
        pair(9, host="one", target="o", after="seven"),
        pair(10, source="a b", target="p"),
        pair(11, host="eight", target="q", source_resource_group=""),
    ]
    cleaned = [Row(one.where, {key: value for key, value in one.cells.items() if value}) for one in rows]
    assert sorted(file(*cleaned).problems) == sorted(
        [
            "one and two migrate the database shop to the same target g/b: one would overwrite the other.",
            "pairs.csv, line 4 and pairs.csv, line 5 are the same pair.",
            "five: the region mars is not known.",
            "five comes after nobody, which is no host of the fleet.",
            "six: the window ends at 2026-11-21T00:00:00+00:00, not after its start.",
            "pairs.csv, line 8: target is empty.",
            "one is there more than once.",
            "pairs.csv, line 10: the host's name 'a b' has to be a name of letters, digits, dots, hyphens and "
            "underscores: say host.",
            "pairs.csv, line 11: source_resource_group is empty.",
        ]
    )


def test_missing_columns_are_told_once_with_all_else() -> None:
    assert file(row(databases="x"), row(3, mode="slow")).problems == [
        "The pairs file lacks the columns source (or source_host), target, source_resource_group, "
        "target_resource_group.",
        "pairs.csv, line 3: mode has to be one of offline, online, not 'slow'.",
    ]


def test_a_further_region_can_be_told() -> None:
    assert file(pair(region="mars"), regions=["Mars"]).problems == []


# Options


@pytest.mark.parametrize(
    ("options", "by", "asks"),
    [
        ({}, "tag", True),
        ({"pairs": {"file": "x.csv"}}, "file", False),
        ({"pairs": {"file": "x.csv"}, "subscriptions": ["s"]}, "file", True),
        ({"pairs": {"file": "x.csv"}, "discover": True}, "file", True),
        ({"pairs": {"file": "x.csv"}, "subscriptions": ["s"], "discover": False}, "file", False),
        ({"pairs": {"name": {"pattern": "a", "replace": "b"}}}, "name", True),
        ({"pairs": {"by": "tag", "file": "x.csv"}}, "tag", True),
    ],
)
def test_what_pairs_and_who_is_asked(options: dict[str, Any], by: str, asks: bool) -> None:
    made = Options(**options)
    assert (option_problems(made), made.by, made.asks_azure) == ([], by, asks)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"pairs": {"csv": "x"}}, "pairs.csv is none of by, tag, name, file."),
        ({"pairs": {"by": "luck"}}, "pairs.by 'luck' is none of tag, name, file."),
        ({"pairs": {"by": "file"}}, "pairs.file is missing: it has to be the path of a CSV or YAML file."),
        ({"pairs": {"name": "x"}}, "pairs.name has to be a mapping of pattern and replace."),
        ({"sources": ["mysql"]}, "sources names mysql, which is none of single, flexible."),
        ({"discover": False}, "discover is false, and pairs by tag need what Azure says of the servers."),
        ({"filters": {"only": []}}, "filters.only is neither include nor exclude."),
        ({"filters": {"include": {"name": "x"}}}, "filters.include has to be a list of mappings."),
        ({"filters": {"include": [{"tag": "env"}]}}, "filters.include: tag has to be a mapping of names and values."),
        ({"filters": {"exclude": [{"region": ["mars", "west*"]}]}}, "filters.exclude: the region mars is not known."),
        (
            {"filters": {"include": [{"colour": "red"}]}},
            "filters.include names colour, which is none of name, resource_group, subscription, region, version, tier, "
            "tag.",
        ),
    ],
)
def test_wrong_options(options: dict[str, Any], expected: str) -> None:
    assert option_problems(Options(**options)) == [expected]


@pytest.mark.parametrize(("pattern", "replace"), [("(", "x"), ("(.+)", r"\2"), ("(.+)", r"\g<name>")])
def test_a_name_rule_that_is_none(pattern: str, replace: str) -> None:
    (problem,) = option_problems(Options(pairs={"name": {"pattern": pattern, "replace": replace}}))
    assert problem.startswith("pairs.name is no regular expression with its replacement: ")


def test_a_name_rule_may_name_its_groups() -> None:
    rule = {"pattern": "(?P<app>.+)-(old|single)", "replace": r"\g<app>-new"}
    fleet = fleet_of(Options(pairs={"name": rule}), [], [server("a-single"), flexible("a-new")])
    assert (option_problems(Options(pairs={"name": rule})), hosts(fleet)) == ([], {"a-single": ("a-single", "a-new")})


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"name": "O*"}, ["one"]),
        ({"name": ["one", "t?o"]}, ["one", "two"]),
        ({"region": "North Europe"}, ["two"]),
        ({"version": 11}, ["one", "three"]),
        ({"resource_group": "pay-*", "version": "11"}, ["three"]),
        ({"tag": {"ENV": "prod"}}, ["one"]),
        ({"tag": {"env": ["prod", "test"]}}, ["one", "two"]),
        ({"subscription": SUBSCRIPTION, "tier": "basic"}, []),
    ],
)
def test_filters(rule: dict[str, Any], expected: list[str]) -> None:
    found = [
        server("one", tags={"Env": "prod"}),
        server("two", location="northeurope", version="10", tags={"env": "test"}),
        server("three", group="pay-rg"),
    ]
    assert list(unpaired(fleet_of(Options(filters={"include": [rule]}), [], found))) == expected
    rest = [one["name"] for one in found if one["name"] not in expected]
    assert list(unpaired(fleet_of(Options(filters={"exclude": [rule]}), [], found))) == rest


def test_resource_groups_are_patterns() -> None:
    found = [server("one"), server("two", group="pay-rg")]
    assert list(unpaired(fleet_of(Options(resource_groups=["PAY*"]), [], found))) == ["two"]


# Groups


def test_groups() -> None:
    found = [
        server(
            "one",
            public_network_access="Disabled",
            tags={"pgflex-target": "b", "env": "prod", "x": "", "pgflex-wave": "3"},
        ),
        flexible("b", network={"delegated_subnet_id": "/subnet"}),
    ]
    (member,) = fleet_of(Options(), [], found).members
    expected = ["region_westeurope", "wave_3", "version_11", "size_small", "tag_env_prod", "tag_x"]
    assert groups_of(member, GROUPS) == [*expected, "topology_private_to_private"]
    assert groups_of(member, ["version"]) == ["version_11"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"vcores": 2, "storage_mb": 5120}, "size_small"),
        ({"vcores": 4, "storage_mb": 204800}, "size_medium"),
        ({"vcores": 16, "storage_mb": 1048576}, "size_medium"),
        ({"vcores": 32, "storage_mb": 5120}, "size_large"),
        ({"vcores": 2, "storage_mb": 2097152}, "size_large"),
        ({"vcores": None, "storage_mb": None, "storage_gb": 500}, "size_medium"),
    ],
)
def test_sizes(more: dict[str, Any], expected: str) -> None:
    found = [server("one", tags={"pgflex-target": "b"}, **more), flexible("b")]
    assert expected in groups_of(fleet_of(Options(), [], found).members[0], ["size"])


def test_groups_of_a_file_are_what_the_file_knows() -> None:
    fleet = file(pair(wave="1", region="eastus"), row(3, source_host="h", source_access="private", target="g/t"))
    assert [groups_of(one, GROUPS) for one in fleet.members] == [["region_eastus", "wave_1"], []]
