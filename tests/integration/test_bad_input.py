# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong input: one clear error that names the setting and the way out, no traceback, nothing half-made."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from plays import PASSWORD, Pair, Played, Player, make_pair

from pgflex_lab.process import Running

Change = Callable[[Pair], dict[str, Any]]


@pytest.fixture(scope="module")
def still_pair(shared_lab: Running) -> Pair:
    """A pair that no test of this file may change; that is what most of them are about."""
    return make_pair(shared_lab, "still")


@dataclass(frozen=True)
class Case:
    """`more` is laid over good settings; every one of `says` has to be in the one error."""

    says: tuple[str, ...]
    more: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    playbook: str = "public_access"


RUNTIME = (
    "/subscriptions/5c5037e5-d3f1-4e7b-b3a9-f6bf94902b30/resourceGroups/shop-rg/providers"
    "/Microsoft.DBforPostgreSQL/flexibleServers/runtime"
)
CASES = {
    "no-source": Case(
        ("pgflex.source.name is missing", "pgflex.source.password is missing"),
        {"source": {"name": None, "password": None}},
    ),
    "no-target": Case(("pgflex.target.resource_group is missing",), {"target": {"resource_group": None}}),
    "no-databases": Case(("pgflex.databases is empty: name at least one database",), {"databases": []}),
    "nine-databases": Case(
        ("pgflex.databases names 9 databases", "up to 8"), {"databases": [f"d{n}" for n in range(9)]}
    ),
    "a-database-twice": Case(("pgflex.databases names shop more than once",), {"databases": ["shop", "shop"]}),
    "system-database": Case(("azure_sys", "never migrates"), {"databases": ["azure_sys"]}),
    "illegal-name": Case(("pgflex.migration_name '-shop_1' is no name",), {"migration_name": "-shop_1"}),
    "illegal-mode": Case(("value of mode must be one of: offline, online",), {"mode": "live"}),
    "port-is-no-number": Case(("'port'", "unable to convert to int"), {"source": {"port": "abc"}}),
    "unknown-setting": Case(("databasse",), {"databasse": ["shop"]}),
    "classic-from-elsewhere": Case(
        ("pgflex.generation classic migrates Single Servers only",),
        {"generation": "classic", "source": {"type": "OnPremises", "host": "db1"}},
    ),
    "window-of-no-time": Case(
        ("pgflex.window.start 'tomorrow' is no time such as",), {"mode": "offline", "window": {"start": "tomorrow"}}
    ),
    "half-an-application": Case(
        ("pgflex.app needs client_id, tenant_id and client_secret together",),
        {"generation": "classic", "app": {"client_id": "x"}},
    ),
    "names-and-runtime-server": Case(
        ("pgflex.source.fqdn can not be given together with pgflex.runtime_server_id",),
        {"source": {"fqdn": "db1.example.org"}, "runtime_server_id": RUNTIME},
    ),
    "unknown-source": Case(
        ("There is no server nobody in shop-rg: check pgflex.source",), {"source": {"name": "nobody"}}
    ),
    "unknown-target": Case(
        ("There is no Flexible Server nobody in shop-rg: check pgflex.target",), {"target": {"name": "nobody"}}
    ),
    "unknown-group": Case(
        ("There is no Flexible Server still-flex in nobody-rg",), {"target": {"resource_group": "nobody-rg"}}
    ),
    "unknown-database": Case(("has no database Shop: check pgflex.databases",), {"databases": ["Shop"]}),
    "wrong-source-password": Case(("source server", "source.password"), {"source": {"password": "wrong"}}),
    "wrong-target-password": Case(("target server", "target.password"), {"target": {"password": "wrong"}}),
    "wrong-source-user": Case(("source server", "source.user"), {"source": {"user": "pgadmin@still-flex"}}),
    "unreachable-server": Case(("source.host", "refuse"), {"source": {"port": 5999}}),
    "unknown-host": Case(
        ("no-such-host.invalid", "source.host"), {"source": {"host": "no-such-host.invalid", "hostaddr": None}}
    ),
    "unreachable-cloud": Case(
        ("https://localhost:9", "cloud_environment"), environment={"AZURE_CLOUD_ENVIRONMENT": "https://localhost:9"}
    ),
    "unknown-cloud": Case(("cloud_environment 'Moon'",), environment={"AZURE_CLOUD_ENVIRONMENT": "Moon"}),
    "wrong-secret": Case(
        ("AADSTS7000215", "secret"), environment={"AZURE_SECRET": "wrong", "AZURE_CLIENT_SECRET": "wrong"}
    ),
    "no-sign-in": Case(
        ("lacks secret",),
        environment={"AZURE_SECRET": "", "AZURE_CLIENT_SECRET": "", "ANSIBLE_AZURE_AUTH_SOURCE": "env"},
    ),
    "no-sign-in-at-all": Case(
        ("MissingCredentials", "or sign in with az login"),
        environment={"AZURE_CLIENT_ID": "", "AZURE_SECRET": "", "AZURE_CLIENT_SECRET": "", "AZURE_TENANT": ""},
    ),
    "unknown-subscription": Case(("subscription_id",), {"subscription_id": "99999999-9999-9999-9999-999999999999"}),
    "no-rights": Case(
        ("does not have authorization to perform action 'Microsoft.DBforPostgreSQL/servers/",),
        environment={"AZURE_CLIENT_ID": "44444444-0000-4000-8000-00000000000d", "AZURE_SECRET": "Lab-Secret~stranger"},
    ),
    "may-only-read": Case(
        ("does not have authorization to perform action 'Microsoft.DBforPostgreSQL/servers/configurations/write'",),
        environment={"AZURE_CLIENT_ID": "33333333-0000-4000-8000-00000000000c", "AZURE_SECRET": "Lab-Secret~reader"},
    ),
    "may-not-make-applications": Case(
        ("Microsoft Graph permission",),
        {"generation": "classic"},
        {"AZURE_CLIENT_ID": "22222222-0000-4000-8000-00000000000b", "AZURE_SECRET": "Lab-Secret~limited"},
    ),
    "restart-not-allowed": Case(("restart", "pgflex.allow_source_restart"), {"allow_source_restart": False}),
    "cutover-of-an-offline-migration": Case(
        ("pgflex.mode is offline: an offline migration has no cutover",), {"mode": "offline"}, playbook="cutover"
    ),
    "report-nowhere": Case(
        ("pgflex.report: there is no directory /nowhere",), {"report": {"html": "/nowhere/x.html", "csv": "x.csv"}}
    ),
    "cutover-of-nothing": Case(
        ("There is no migration", "yet: make it with pgflex.migrate.migrate"), playbook="cutover"
    ),
}


def refused(done: Played) -> str:
    """The one error of a run that failed as it should, on one line."""
    assert done.code == 2, done.output
    assert "Traceback" not in done.output and "stderr" not in done.output
    assert done.recap()["failed"] and done.recap()["changed"] == 0, done.output
    (error,) = re.findall(r"^fatal: \[shop\].*$", done.output, re.MULTILINE)
    return " ".join(error.replace("\\n", " ").replace('\\"', '"').split())


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_one_clear_error_and_nothing_written(case: Case, still_pair: Pair, player: Player) -> None:
    player.writes()
    done = player.play(case.playbook, {"shop": still_pair.host(**case.more)}, **case.environment)
    error = refused(done)
    for text in case.says:
        assert text in error
    written = player.writes(refused=False)
    # Registering a resource provider is free, and good for every later migration.
    assert [write for write in written if not write.endswith("/register")] == []


@pytest.mark.matrix
def test_settings_that_are_missing_altogether(player: Player) -> None:
    inventory = player.folder / "empty.yml"
    inventory.write_text("all: {hosts: {shop: }}")
    done = player.play("public_access", {}, "-i", str(inventory))
    assert "pgflex" in refused(done)


def test_a_target_that_is_busy(pair: Pair, player: Player) -> None:
    hosts = {"shop": pair.host(cutover={"trigger": "manual"}, migration_name="the-first")}
    assert player.play("public_access", hosts).code == 0
    with pair.source.connect("postgres") as connection:
        connection.execute("CREATE DATABASE stock")
    player.writes()
    done = player.play("public_access", {"shop": pair.host(migration_name="the-second", databases=["stock"])})
    error = refused(done)
    assert f"{pair.target.name} is busy with the migration the-first" in error and "cancel it" in error
    assert player.writes() == []


def test_a_name_that_is_taken(pair: Pair, player: Player) -> None:
    hosts = {"shop": pair.host(mode="offline", migration_name="the-only")}
    assert player.play("public_access", hosts).code == 0
    with pair.source.connect("postgres") as connection:
        connection.execute("CREATE DATABASE stock")
    player.writes()
    done = player.play(
        "public_access", {"shop": pair.host(mode="offline", migration_name="the-only", databases=["stock"])}
    )
    error = refused(done)
    assert "A migration named the-only exists already, with another dbs_to_migrate" in error
    assert "choose another name" in error
    assert player.writes() == []


@pytest.mark.matrix
def test_a_database_that_is_in_the_target_already(pair: Pair, player: Player) -> None:
    with pair.target.connect("postgres") as connection:
        connection.execute("CREATE DATABASE shop")
    with pair.target.connect("shop") as connection:
        connection.execute("CREATE TABLE precious (n int)")
    player.writes()
    error = refused(player.play("public_access", {"shop": pair.host(mode="offline")}))
    assert "has a database shop already: set pgflex.overwrite to true" in error
    assert player.writes() == []
    with pair.target.connect("shop") as connection:
        assert connection.execute("SELECT to_regclass('precious') IS NOT NULL").fetchone() == (True,)
    done = player.play("public_access", {"shop": pair.host(mode="offline", overwrite=True)})
    assert done.code == 0, done.output
    with pair.target.connect("shop") as connection:
        assert connection.execute("SELECT to_regclass('precious') IS NULL").fetchone() == (True,)


def test_a_source_of_ones_own_without_logical_replication(
    shared_lab: Running, still_pair: Pair, player: Player
) -> None:
    made = shared_lab.admin(
        "POST",
        "servers",
        {
            "name": "own-replica",
            "type": "other",
            "version": "15",
            "admin": "postgres",
            "password": PASSWORD,
            "databases": ["shop"],
            "parameters": {"wal_level": "replica"},
        },
    )
    source = {
        "type": "OnPremises",
        "host": made["hostaddr"],
        "user": "postgres",
        "sslmode": "prefer",
        "resource_group": None,
        "name": None,
        "hostaddr": None,
    }
    player.writes()
    error = refused(player.play("onprem_public", {"shop": still_pair.host(source=source)}))
    assert "wal_level" in error and "logical" in error and "ALTER SYSTEM" in error
    assert player.writes() == []


def test_a_migration_that_fails_says_why_and_how_to_go_on(pair: Pair, player: Player) -> None:
    with pair.source.connect("shop") as connection:
        connection.execute('CREATE COLLATION german (provider = libc, locale = "C")')
    done = player.play("public_access", {"shop": pair.host(mode="offline")})
    assert done.code == 2 and "Traceback" not in done.output
    (error,) = re.findall(r"^fatal: .*$", done.output, re.MULTILINE)
    assert "603403" in error or "ollation" in error
    assert " has failed: " in error and "raise pgflex.attempts by one (or give another pgflex.migration_name)" in error
    assert "The source is read-only until then" in error


def test_writers_at_the_cutover_stop_it_and_the_source_stays_open(pair: Pair, player: Player) -> None:
    """With the source left writable, an open transaction that has written keeps the cutover from happening."""
    first = player.play("public_access", {"shop": pair.host(cutover={"trigger": "manual"})})
    assert first.code == 0, first.output
    with pair.source.connect("shop") as connection, connection.transaction():
        connection.execute("INSERT INTO nokey VALUES (1, 'in flight')")
        error = refused(player.play("cutover", {"shop": pair.host(cutover={"source_read_only": False})}))
    assert "the source is still written to (shop" in error and "writers_stopped" in error
    done = player.play("cutover", {"shop": pair.host()})
    assert done.code == 0, done.output
