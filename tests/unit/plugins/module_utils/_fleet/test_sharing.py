# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.filter.sharing import FilterModule
from ansible_collections.pgflex.migrate.plugins.module_utils._fleet.sharing import (
    KINDS,
    settled,
    shared,
    sharers,
    taken,
    to_ask,
)

RUNTIME = "/subscriptions/s/resourceGroups/Hub-RG/providers/Microsoft.DBforPostgreSQL/flexibleServers/runtime"
CLASSIC = {"generation": "classic"}
REMOVE = {"network": {"remove": True}}


def host(name: str, source: str | None = None, **more: Any) -> dict[str, Any]:
    """The dictionary pgflex of a host, source and target named after it."""
    return {
        "source": {"resource_group": "shop-rg", "name": source or f"{name}-single", "user": "a", "password": "b"},
        "target": {"resource_group": "shop-rg", "name": f"{name}-flex", "user": "a", "password": "b"},
        "databases": ["shop"],
        **more,
    }


def row(label: str, state: str = "InProgress") -> dict[str, Any]:
    return {"label": label, "name": "any", "state": state}


def common(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    found = sharers([row("other")], {"one": one, "other": other}, "one")
    return [kind for kind in KINDS if found[kind] == ["other"]]


@pytest.mark.parametrize(
    ("one", "other", "kinds"),
    [
        (host("one"), host("two"), ["networks"]),
        (host("one"), host("two", "ONE-single"), ["servers", "networks"]),
        (host("one", **CLASSIC), host("two", **CLASSIC), ["application", "networks"]),
        (host("one", **CLASSIC), host("two"), ["networks"]),
        (host("one", **CLASSIC), host("two", **CLASSIC, app={"name": "another"}), ["networks"]),
        (host("one", **CLASSIC), host("two", **CLASSIC, app={"client_id": "mine"}), ["networks"]),
        (
            host("one", runtime_server={"name": "runtime"}),
            host("two", runtime_server={"name": "Runtime"}),
            ["runtime_server", "networks"],
        ),
        (
            host("one", runtime_server={"name": "runtime", "resource_group": "hub-rg"}),
            host("two", runtime_server_id=RUNTIME),
            ["runtime_server", "networks"],
        ),
        (host("one", runtime_server={"name": "runtime"}), host("two", runtime_server_id=RUNTIME), ["networks"]),
        (host("one"), host("two", engine="direct"), []),
        (host("one"), "no settings", []),
        (host("one"), {"source": {}, "target": {}}, []),
    ],
)
def test_what_two_hosts_may_share(one: Any, other: Any, kinds: list[str]) -> None:
    assert common(one, other) == kinds


@pytest.mark.parametrize("state", ["Succeeded", "Failed", "Canceled", "ValidationFailed"])
def test_a_migration_that_has_ended_needs_nothing(state: str) -> None:
    hosts = {"one": host("one"), "two": host("two")}
    assert not any(sharers([row("two", state)], hosts, "one").values())


def test_one_that_could_not_be_asked_may_still_migrate_and_oneself_is_no_other() -> None:
    hosts = {"one": host("one"), "two": host("two")}
    assert sharers([row("two", "Unknown"), row("one")], hosts, "one")["networks"] == ["two"]


def test_asks_only_those_that_share_what_is_taken_away() -> None:
    hosts = {
        "one": host("one", **CLASSIC),
        "two": host("two", **CLASSIC, target={"resource_group": "r", "name": "t", "subscription_id": "s2"}),
        "three": host("three"),
        "done": host("done", **CLASSIC),
        "nobody": "",
    }
    asked = to_ask(hosts, {"two": "s1", "three": "s3"}, ["one"], ["done"])
    assert asked == [
        {
            "label": "two",
            "subscription_id": "s2",
            "resource_group": "r",
            "server_name": "t",
            "generation": "classic",
            "api_version": None,
        }
    ]
    hosts["one"]["app"] = {"delete": False}
    assert to_ask(hosts, {}, ["one"], []) == []
    hosts["one"] |= REMOVE
    assert [row["label"] for row in to_ask(hosts, {"three": "s3"}, ["one"], ["done"])] == ["two", "three"]
    assert to_ask(hosts, {"three": "s3"}, ["one"], ["done"])[1]["subscription_id"] == "s3"


def test_two_hosts_that_take_things_away_are_each_others_sharers() -> None:
    hosts = {"one": host("one", **REMOVE), "two": host("two", **REMOVE)}
    assert [row["label"] for row in to_ask(hosts, {}, ["one", "two"], [])] == ["one", "two"]
    assert to_ask(hosts, {}, ["one", "two"], ["one", "two"]) == []


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        (host("one"), set()),
        (host("one", **CLASSIC), {"application"}),
        (host("one", runtime_server={"name": "runtime"}), {"runtime_server"}),
        (host("one", runtime_server={"name": "runtime", "delete": False}), set()),
        (host("one", **REMOVE), {"networks", "servers"}),
    ],
)
def test_what_a_host_has_taken_away(settings: Any, kinds: set[str]) -> None:
    filters = FilterModule().filters()
    hosts = {"one": settings, "two": settings}
    asked = filters["sharers_to_ask"](hosts, {"one": {}, "two": None}, ["one"], [])
    assert bool(asked) == bool(kinds)
    known = settled(settings)
    assert known is not None and taken(known) == kinds and "networks" in shared(known, known)
