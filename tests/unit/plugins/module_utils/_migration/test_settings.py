# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.pgflex.migrate.plugins.filter.settings import FilterModule
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.settings import (
    DEFAULTS,
    connection_strings,
    derive,
    migration_name,
    problems,
    with_defaults,
)

ROOT = Path(__file__).parents[5]
GOOD: dict[str, Any] = {
    "source": {"resource_group": "shop-rg", "name": "shop-single", "user": "pgadmin@shop-single", "password": "a"},
    "target": {"resource_group": "shop-rg", "name": "shop-flex", "user": "pgadmin", "password": "b"},
    "databases": ["shop", "stock"],
}
GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg/providers"
RUNTIME = f"{GROUP}/Microsoft.DBforPostgreSQL/flexibleServers/runtime"
VNET = f"{GROUP}/Microsoft.Network/virtualNetworks/vnet1"
SUBNET = f"{VNET}/subnets/work"
ZONE = f"{GROUP}/Microsoft.Network/privateDnsZones/shop.private.postgres.database.azure.com"
OWN = {"type": "OnPremises", "host": "203.0.113.7", "user": "postgres", "password": "a"}
SOURCE_SERVER = {
    "id": "/the/source",
    "subscription_id": "s1",
    "fully_qualified_domain_name": "shop-single.postgres.database.azure.com",
}
TARGET_SERVER = {
    "id": "/the/target",
    "subscription_id": "s2",
    "fully_qualified_domain_name": "shop-flex.postgres.database.azure.com",
}


def changed(**changes: Any) -> dict[str, Any]:
    """GOOD with changes; a key such as source__name is one level down, a value of `...` takes the key away."""
    made = copy.deepcopy(GOOD)
    for name, value in changes.items():
        outer, _separator, inner = name.partition("__")
        place = made.setdefault(outer, {}) if inner else made
        place[inner or outer] = value
        if value is ...:
            del place[inner or outer]
    return made


def documented(options: dict[str, Any]) -> dict[str, Any]:
    """The defaults of the options in an argument_specs file, as one dictionary."""
    found = {}
    for name, option in options.items():
        inner = documented(option.get("options", {}))
        if inner:
            found[name] = inner
        elif "default" in option:
            found[name] = option["default"]
    return found


def test_defaults_are_those_that_the_role_documents() -> None:
    text = (ROOT / "roles" / "settings" / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    assert documented(yaml.safe_load(text)["argument_specs"]["check"]["options"]["pgflex"]["options"]) == DEFAULTS


@pytest.mark.parametrize(
    ("given", "where", "expected"),
    [
        ({}, "generation", "current"),
        ({"generation": None}, "generation", "current"),
        ({"generation": "classic"}, "generation", "classic"),
        ({"watch": None}, "watch", DEFAULTS["watch"]),
        ({"watch": {"timeout": 5}}, "watch", {**DEFAULTS["watch"], "timeout": 5}),
        ({"cutover": {"max_latency": 0}}, "cutover", {**DEFAULTS["cutover"], "max_latency": 0}),
        ({"validation": {"enabled": False}}, "validation", {**DEFAULTS["validation"], "enabled": False}),
        ({"target_parameters": {"a": "b"}}, "target_parameters", {"a": "b"}),
        ({"own": 1}, "own", 1),
    ],
)
def test_defaults_fill_what_is_left_out(given: dict[str, Any], where: str, expected: Any) -> None:
    assert with_defaults(given)[where] == expected


def test_defaults_stay_as_they_are() -> None:
    before = copy.deepcopy(DEFAULTS)
    settings = with_defaults({})
    settings["watch"]["timeout"] = 1
    settings["target_parameters"]["x"] = "y"
    assert before == DEFAULTS


@pytest.mark.parametrize(
    "given",
    [
        GOOD,
        changed(source=OWN),
        changed(source__type="PostgreSQLFlexibleServer"),
        changed(databases=[f"db{number}" for number in range(8)]),
        changed(migration_name="shop-2026-11"),
        changed(generation="classic"),
        changed(generation="classic", app={"client_id": "c", "tenant_id": "t", "client_secret": "s"}),
        changed(window={"start": "2026-11-21T02:00:00Z", "end": "2026-11-21T04:00:00Z"}),
        changed(runtime_server_id=RUNTIME),
        changed(source__fqdn="source.corp"),
        changed(source={**OWN, "access": "public"}),
        changed(source={**OWN, "access": "private", "route": "vpn"}),
        changed(source={**OWN, "access": "private", "route": "peering", "virtual_network_id": VNET}),
        changed(generation="classic", migration_subnet_id=SUBNET),
        changed(generation="classic", migration_subnet_id=SUBNET, migration_vnet_id=VNET),
        changed(runtime_server={"name": "pgflex-runtime", "subnet_id": SUBNET}),
        changed(target__public_address="203.0.113.9"),
        changed(engine="direct", databases=[f"db{number}" for number in range(20)]),
        changed(engine="direct", mode="online", cutover={"keep_reverse_replication": True}),
        changed(target__create={}),
        changed(target__create={"delegated_subnet_id": SUBNET, "private_dns_zone_id": ZONE}),
        changed(source=OWN, target__create={"location": "eastus", "sku_name": "Standard_D2ds_v5", "version": "16"}),
        changed(copy={"roles": True, "passwords": {"app": "x"}}),
    ],
)
def test_good_settings_have_no_problems(given: dict[str, Any]) -> None:
    assert problems(given) == []


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        (changed(source__name=...), ["pgflex.source.name is missing."]),
        (changed(source__password=""), ["pgflex.source.password is missing."]),
        (changed(target__resource_group=None), ["pgflex.target.resource_group is missing."]),
        (changed(source={**OWN, "host": None}), ["pgflex.source.host is missing."]),
        (changed(databases=[]), ["pgflex.databases is empty"]),
        (changed(databases=...), ["pgflex.databases is empty"]),
        (changed(databases=[f"db{number}" for number in range(9)]), ["pgflex.databases names 9 databases"]),
        (changed(databases=["shop", "a", "shop"]), ["pgflex.databases names shop more than once."]),
        (changed(databases=["shop", "azure_sys"]), ["pgflex.databases names azure_sys, which the service never"]),
        (changed(databases="shop"), ["pgflex.databases has to be a list"]),
        (changed(databases=["shop", 2026]), ["pgflex.databases names 2026, which is no text"]),
        (changed(migration_name="shop_1"), ["pgflex.migration_name 'shop_1' is no name for a migration"]),
        (changed(source="shop-single"), ["pgflex.source has to be a mapping."]),
        (changed(watch=60), ["pgflex.watch has to be a mapping."]),
        (changed(generation="classic", source=OWN), ["pgflex.generation classic migrates Single Servers only"]),
        (changed(generation="classic", option="Validate"), ["pgflex.option Validate needs pgflex.generation current"]),
        (changed(generation="classic", app={"client_id": "c"}), ["pgflex.app needs client_id, tenant_id and"]),
        (
            changed(generation="classic", migrate_roles=True, runtime_server_id=RUNTIME),
            ["pgflex.migrate_roles, pgflex.runtime_server_id need pgflex.generation current."],
        ),
        (
            changed(generation="classic", window={"start": "2026-11-21T02:00:00Z", "end": "2026-11-21T04:00:00Z"}),
            ["pgflex.window.end needs pgflex.generation current."],
        ),
        (
            changed(source__fqdn="a.corp", target__fqdn="b.corp", runtime_server_id=RUNTIME),
            ["pgflex.source.fqdn and pgflex.target.fqdn can not be given together with pgflex.runtime_server_id."],
        ),
        (
            changed(source__fqdn="a.corp", runtime_server={"name": "pgflex-runtime"}),
            ["pgflex.source.fqdn can not be given together with pgflex.runtime_server.name."],
        ),
        (
            changed(runtime_server={"name": "pgflex-runtime"}, runtime_server_id=RUNTIME),
            ["pgflex.runtime_server.name and pgflex.runtime_server_id exclude each other"],
        ),
        (
            changed(generation="classic", runtime_server={"name": "pgflex-runtime"}),
            ["pgflex.runtime_server.name needs pgflex.generation current."],
        ),
        (changed(runtime_server_id=SUBNET), [f"pgflex.runtime_server_id '{SUBNET}' is not the id of a resource of"]),
        (changed(runtime_server={"subnet_id": "work"}), ["pgflex.runtime_server.subnet_id 'work' is not the id"]),
        (
            changed(migration_subnet_id=SUBNET, migration_vnet_id=VNET),
            ["pgflex.migration_subnet_id, pgflex.migration_vnet_id need pgflex.generation classic."],
        ),
        (
            changed(generation="classic", migration_subnet_id=SUBNET, migration_vnet_id=f"{VNET}2"),
            ["pgflex.migration_subnet_id is not in pgflex.migration_vnet_id"],
        ),
        (
            changed(generation="classic", migration_subnet_id=VNET),
            [f"pgflex.migration_subnet_id '{VNET}' is not the id of a resource of type virtualNetworks/subnets."],
        ),
        (changed(source__access="private"), ["pgflex.source.access can only be said of a source outside Azure"]),
        (changed(source={**OWN, "access": "private"}), ["pgflex.source.route is missing"]),
        (changed(source={**OWN, "route": "vpn"}), ["pgflex.source.route can only be said of a source whose access"]),
        (
            changed(source={**OWN, "access": "private", "route": "peering"}),
            ["pgflex.source.virtual_network_id is missing"],
        ),
        (changed(target__public_address="flex.corp"), ["pgflex.target.public_address 'flex.corp' is no IPv4 address."]),
        (
            changed(cutover={"keep_reverse_replication": True}),
            ["pgflex.cutover.keep_reverse_replication needs pgflex.engine direct"],
        ),
        (
            changed(engine="direct", cutover={"keep_reverse_replication": True}),
            ["pgflex.cutover.keep_reverse_replication needs pgflex.mode online."],
        ),
        (
            changed(engine="direct", generation="classic", migrate_roles=True),
            [
                "pgflex.generation, pgflex.migrate_roles mean the service: needs pgflex.engine service.",
                "pgflex.migrate_",
            ],
        ),
        (changed(target__create=True), ["pgflex.target.create has to be a mapping; an empty one"]),
        (
            changed(target__create={"delegated_subnet_id": SUBNET}),
            ["pgflex.target.create needs delegated_subnet_id and private_dns_zone_id together"],
        ),
        (
            changed(target__create={"delegated_subnet_id": SUBNET, "private_dns_zone_id": "zone"}),
            ["pgflex.target.create.private_dns_zone_id 'zone' is not the id of a resource of type privateDnsZones."],
        ),
        (changed(source=OWN, target__create={"version": "16"}), ["pgflex.target.create lacks location, sku_name: a"]),
        (changed(copy={"roles": True, "passwords": ["x"]}), ["pgflex.copy.passwords has to be a mapping"]),
        (changed(copy={"passwords": {"app": "x"}}), ["pgflex.copy.passwords is given without pgflex.copy.roles."]),
        (
            changed(source=OWN, copy={"tags": True, "firewall_rules": True}),
            ["pgflex.copy.firewall_rules and pgflex.copy.tags can only be asked of a source in Azure."],
        ),
        (changed(window={"end": "2026-11-21T04:00:00Z"}), ["pgflex.window.end is given without pgflex.window.start."]),
        (
            changed(window={"start": "tomorrow", "end": "later"}),
            ["pgflex.window.start 'tomorrow' is no time such as", "pgflex.window.end 'later' is no time such as"],
        ),
        (
            changed(window={"start": "2026-11-21T04:00:00Z", "end": "2026-11-21T04:30:00+02:00"}),
            ["pgflex.window.end is not after pgflex.window.start."],
        ),
    ],
)
def test_a_problem_is_one_sentence_that_names_the_setting(given: dict[str, Any], sentences: list[str]) -> None:
    found = problems(given)
    assert len(found) == len(sentences)
    assert all(sentence.startswith(start) for sentence, start in zip(found, sentences, strict=True))
    assert all(sentence.endswith(".") for sentence in found)


def test_all_problems_are_told_at_once() -> None:
    assert problems({}) == [
        "pgflex.source.resource_group is missing.",
        "pgflex.source.name is missing.",
        "pgflex.source.user is missing.",
        "pgflex.source.password is missing.",
        "pgflex.target.resource_group is missing.",
        "pgflex.target.name is missing.",
        "pgflex.target.user is missing.",
        "pgflex.target.password is missing.",
        "pgflex.databases is empty: name at least one database.",
    ]


@pytest.mark.parametrize("window", ["tonight", ["2026-11-21T02:00:00Z"]])
def test_a_window_that_is_no_mapping_is_told(window: Any) -> None:
    assert problems(changed(window=window)) == ["pgflex.window has to be a mapping."]
    for trigger in ("window", "manual"):
        found = problems(changed(cutover={"trigger": trigger, "window": window}))
        assert found == ["pgflex.cutover.window has to be a mapping of start and end."]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("2026-11-21T02:00:00Z", "2026-11-21T02:00:00Z"),
        ("2026-11-21T04:00:00+02:00", "2026-11-21T02:00:00Z"),
        ("2026-11-21 02:00", "2026-11-21T02:00:00Z"),
        (datetime(2026, 11, 21, 2, tzinfo=UTC), "2026-11-21T02:00:00Z"),
    ],
)
def test_a_window_is_sent_in_one_form(given: Any, sent: str) -> None:
    settings = changed(window={"start": given})
    assert problems(settings) == []
    assert derive(settings, "shop")["window"] == {"start": sent}


def without_passwords(**more: Any) -> dict[str, Any]:
    gone = {f"{side}__{key}": ... for side in ("source", "target") for key in ("user", "password")}
    return changed(**gone, **more)


def test_who_asks_azure_alone_needs_no_passwords() -> None:
    given = without_passwords()
    assert problems(given, passwords=False) == []
    assert problems(given) == [
        f"pgflex.{name} is missing." for name in ("source.user", "source.password", "target.user", "target.password")
    ]
    assert len(problems(without_passwords(engine="direct"), passwords=False)) == 4
    assert len(problems(without_passwords(target__create={}), passwords=False)) == 2
    strings = connection_strings(derive(given, "shop", SOURCE_SERVER, TARGET_SERVER))
    assert strings["shop"] == "postgresql://shop-flex.postgres.database.azure.com:5432/shop?sslmode=require"
    outside = derive(without_passwords(source={"type": "OnPremises", "host": "db1"}), "shop", None, TARGET_SERVER)
    assert outside["source"]["id"] == "db1:5432@"


# What Ansible checks of a role's arguments, without a task of its own

SETTINGS_PROBLEMS = FilterModule().filters()["settings_problems"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"mode": "onlin"}, ["value of mode must be one of: offline, online, got: onlin found in pgflex."]),
        (
            {"source__passwrd": "x"},
            ["There is no setting pgflex.source.passwrd. Supported parameters include:"],
        ),
        ({"source__port": "abc"}, ["argument 'port' is of type"]),
        ({"watch": 60}, ["pgflex.watch has to be a mapping."]),
        ({"cutover": {"window": 3}}, ["pgflex.cutover.window has to be a mapping of start and end."]),
        ({"target__create": True}, ["pgflex.target.create has to be a mapping; an empty one"]),
        ({"direct": {"source_from_target": []}}, ["argument 'source_from_target' is of type"]),
        (
            {"mode": "onlin", "databasse": 1, "databases": []},
            ["value of mode", "There is no setting", "pgflex.databases"],
        ),
        ({}, []),
    ],
)
def test_keys_types_and_choices_are_told_with_the_rest(more: dict[str, Any], says: list[str]) -> None:
    found = SETTINGS_PROBLEMS(changed(**more))
    assert len(found) == len(says)
    assert all(sentence.startswith(start) for sentence, start in zip(found, says, strict=True))


@pytest.mark.parametrize(
    ("azure", "says"),
    [
        (None, []),
        ({"subscription_id": "a", "auth_source": "cli"}, []),
        ({"subscription": "a"}, ["pgflex_azure has no key subscription; it takes subscription_id, tenant,"]),
        ("cli", ["pgflex_azure has to be a mapping; it takes subscription_id, tenant,"]),
    ],
)
def test_the_sign_in_is_looked_at_as_well(azure: Any, says: list[str]) -> None:
    found = SETTINGS_PROBLEMS(GOOD, True, azure)
    assert [sentence[: len(start)] for sentence, start in zip(found, says, strict=True)] == says


def test_the_filter_refuses_what_is_no_mapping() -> None:
    assert SETTINGS_PROBLEMS(["shop"]) == ["pgflex has to be a mapping; see the role pgflex.migrate.settings."]


# Names


def named(given: dict[str, Any], host: str = "shop") -> str:
    return migration_name(with_defaults(given), host)


def test_a_name_of_the_users_is_taken() -> None:
    assert named(changed(migration_name="shop-2026-11")) == "shop-2026-11"


@pytest.mark.parametrize(
    "given",
    [
        GOOD,
        changed(databases=["stock", "shop"]),
        changed(target__name="SHOP-FLEX"),
        changed(source__password="another"),
        changed(watch={"timeout": 5}),
        changed(generation="current", mode="offline"),
    ],
)
def test_the_same_migration_has_the_same_name(given: dict[str, Any]) -> None:
    assert named(given) == named(GOOD)


@pytest.mark.parametrize(
    "given",
    [
        changed(databases=["shop"]),
        changed(databases=["shopstock"]),
        changed(target__name="other-flex"),
        changed(source__name="other-single"),
        changed(target__resource_group="other-rg"),
        changed(mode="online"),
        changed(option="Validate"),
        changed(generation="classic"),
        changed(source=OWN),
    ],
)
def test_another_migration_has_another_name(given: dict[str, Any]) -> None:
    assert named(given) != named(GOOD)


@pytest.mark.parametrize("host", ["shop", "shop.example.org", "db_1", "käse", "---", "", "x" * 200, "2026"])
def test_names_are_legal_whatever_the_host_is_called(host: str) -> None:
    found = named(GOOD, host)
    assert problems(changed(migration_name=found)) == [] and len(found) <= 50


# What follows


def test_the_servers_fill_in_what_they_know() -> None:
    found = derive(GOOD, "shop", SOURCE_SERVER, TARGET_SERVER)
    assert (found["source"]["id"], found["target"]["id"]) == ("/the/source", "/the/target")
    assert found["source"]["connection"] == {
        "host": "shop-single.postgres.database.azure.com",
        "port": 5432,
        "user": "pgadmin@shop-single",
        "password": "a",
        "sslmode": "require",
    }
    assert found["watched"] == {
        "label": "shop",
        "name": found["migration_name"],
        "resource_group": "shop-rg",
        "server_name": "shop-flex",
        "subscription_id": "s2",
        "generation": "current",
        "api_version": None,
    }
    assert found["online"] is False


def test_a_host_of_the_users_is_kept() -> None:
    given = changed(target__host="tunnel.example.org", target__hostaddr="127.0.0.1", target__port=6432)
    connection = derive(given, "shop", SOURCE_SERVER, TARGET_SERVER)["target"]["connection"]
    assert (connection["host"], connection["hostaddr"], connection["port"]) == ("tunnel.example.org", "127.0.0.1", 6432)


def test_a_source_of_ones_own_is_named_by_host_port_and_user() -> None:
    found = derive(changed(source={**OWN, "port": 5433}), "shop", None, TARGET_SERVER)
    assert found["source"]["id"] == "203.0.113.7:5433@postgres"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (changed(subscription_id="s1"), "s1"),
        (changed(subscription_id="s1", target__subscription_id="s2"), "s2"),
        (GOOD, None),
    ],
)
def test_subscription_of_the_migration(given: dict[str, Any], expected: str | None) -> None:
    assert derive(given, "shop")["watched"]["subscription_id"] == expected


def test_a_subscription_given_for_the_target_is_not_the_sources() -> None:
    found = derive(changed(target__subscription_id="s2"), "shop", SOURCE_SERVER, TARGET_SERVER)
    assert (found["source"]["subscription_id"], found["watched"]["subscription_id"]) == ("s1", "s2")


def test_the_inventory_is_not_changed() -> None:
    given = copy.deepcopy(GOOD)
    derive(given, "shop", SOURCE_SERVER, TARGET_SERVER)
    assert given == GOOD


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "postgresql://pgadmin@shop-flex.postgres.database.azure.com:5432/shop?sslmode=require"),
        (
            {"target__user": "pgadmin@shop-single"},
            "postgresql://pgadmin@shop-flex.postgres.database.azure.com:5432/shop?sslmode=require",
        ),
        (
            {"databases": ["Sales Dept/1?"]},
            "postgresql://pgadmin@shop-flex.postgres.database.azure.com:5432/Sales%20Dept%2F1%3F?sslmode=require",
        ),
        (
            {"target__user": "anna maier"},
            "postgresql://anna%20maier@shop-flex.postgres.database.azure.com:5432/shop?sslmode=require",
        ),
    ],
)
def test_connection_strings(changes: dict[str, Any], expected: str) -> None:
    settings = derive(changed(**changes), "shop", SOURCE_SERVER, TARGET_SERVER)
    assert next(iter(connection_strings(settings).values())) == expected


def test_connection_strings_hold_no_password() -> None:
    settings = derive(changed(target__password="Marker-Secret"), "shop", SOURCE_SERVER, TARGET_SERVER)
    assert "Marker-Secret" not in str(connection_strings(settings))
