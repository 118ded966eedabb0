# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import uuid

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure
from ansible_collections.pgflex.migrate.plugins.module_utils._ids import parse, role_assignment_name, same, server_id

SERVER = "/subscriptions/sub/resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop"
ROLE = "/subscriptions/sub/providers/Microsoft.Authorization/roleDefinitions/b24988ac-6180-42a0-ab88-20f7382dd24c"


@pytest.mark.parametrize(
    ("text", "types", "names"),
    [
        (SERVER, ("flexibleServers",), ("shop",)),
        (f"{SERVER}/migrations/m1", ("flexibleServers", "migrations"), ("shop", "m1")),
        (SERVER.lstrip("/"), ("flexibleServers",), ("shop",)),
        (f"{SERVER}/", ("flexibleServers",), ("shop",)),
        (SERVER.replace("resourceGroups", "resourcegroups"), ("flexibleServers",), ("shop",)),
    ],
)
def test_parts(text: str, types: tuple[str, ...], names: tuple[str, ...]) -> None:
    found = parse(text, "target")
    assert (found.subscription_id, found.resource_group, found.types, found.names) == ("sub", "shop-rg", types, names)
    assert found.name == names[-1]
    assert same(str(found), text)


def test_the_spelling_of_names_is_kept() -> None:
    text = SERVER.replace("shop-rg", "Shop-RG").replace("DBforPostgreSQL", "DBForPostgreSql")
    assert str(parse(text, "target")) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop",
        "/subscriptions/sub/resourceGroups/shop-rg",
        f"{SERVER}/migrations",
        SERVER.replace("/providers/", "/provider/"),
        SERVER.replace("/shop-rg/", "//"),
        "/subscriptions/sub/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop/x/y",
    ],
)
def test_what_is_no_id_names_the_option(text: str) -> None:
    with pytest.raises(ModuleFailure, match=r"^target_id is not the id of an Azure resource: ") as caught:
        parse(text, "target_id")
    assert repr(text) in caught.value.message


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (SERVER, SERVER.upper(), True),
        (SERVER, SERVER.strip("/"), True),
        (SERVER, f"{SERVER}2", False),
        (None, None, True),
        (None, SERVER, False),
    ],
)
def test_sameness(one: str | None, other: str | None, equal: bool) -> None:
    assert same(one, other) is equal


def test_a_server_id() -> None:
    assert server_id("sub", "shop-rg", "shop", "flexibleServers") == SERVER


def test_an_assignments_name_is_a_guid_that_spelling_does_not_change() -> None:
    name = role_assignment_name(SERVER, ROLE, "Principal")
    assert str(uuid.UUID(name)) == name
    assert name == role_assignment_name(SERVER.upper().strip("/"), ROLE.rsplit("/", 1)[-1].upper(), "principal")
    others = {(f"{SERVER}2", ROLE, "Principal"), (SERVER, f"{ROLE}0", "Principal"), (SERVER, ROLE, "other")}
    assert name not in {role_assignment_name(*other) for other in others}
