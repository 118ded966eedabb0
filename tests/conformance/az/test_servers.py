# SPDX-License-Identifier: GPL-3.0-or-later
"""Flexible Servers by CLI: made, looked at, configured, restarted, removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from az_servers import FLEXIBLE, PASSWORD, address_of, make_server
from azure_cli import Az

SERVER = (
    *("administratorLogin", "authConfig.passwordAuth", "backup.backupRetentionDays", "fullyQualifiedDomainName"),
    *("highAvailability.mode", "id", "location", "name", "network.publicNetworkAccess", "sku.name", "sku.tier"),
    *("state", "storage.storageSizeGb", "systemData.createdAt", "type", "version"),
)
PARAMETER = ("dataType", "defaultValue", "id", "isReadOnly", "name", "source", "type", "value")
RULE = ("endIpAddress", "id", "name", "startIpAddress", "type")


@pytest.fixture(scope="module")
def server(custom: Az) -> Iterator[str]:
    made = make_server(custom, "az-made")
    assert made["host"] == "az-made.postgres.database.azure.com"
    yield "az-made"
    custom.ok(*FLEXIBLE, "delete", "-g", "shop-rg", "-n", "az-made", "--yes")
    custom.refused(*FLEXIBLE, "show", "-g", "shop-rg", "-n", "az-made", says="was not found")


def test_a_server_that_was_made_takes_connections(custom: Az, server: str) -> None:
    address = address_of(custom, server)
    with psycopg.connect(host=address, user="pgadmin", password=PASSWORD, dbname="postgres", sslmode="require") as link:
        assert link.execute("SELECT current_user").fetchone() == ("pgadmin",)


def test_show_and_list(az: Az, server: str) -> None:
    shown = az.ok(*FLEXIBLE, "show", "-g", "shop-rg", "-n", server, has=SERVER)
    assert shown["state"] == "Ready" and shown["storage"]["storageSizeGb"] == 128
    listed = az.ok(*FLEXIBLE, "list", "-g", "shop-rg", has=SERVER)
    assert {"shop-flex", server} <= {item["name"] for item in listed}


def test_update(custom: Az, server: str) -> None:
    def judge(shown: Any) -> None:
        assert shown["storage"]["storageSizeGb"] == 256 and shown["tags"] == {"app": "shop"}

    custom.ok(
        *(*FLEXIBLE, "update", "-g", "shop-rg", "-n", server, "--storage-size", "256", "--tags", "app=shop", "--yes"),
        has=SERVER,
        judge=judge,
    )


def test_parameters(custom: Az, server: str) -> None:
    place = ("-g", "shop-rg", "-s", server)
    custom.ok(*FLEXIBLE, "parameter", "set", *place, "-n", "work_mem", "--value", "8192", has=PARAMETER)
    shown = custom.ok(*FLEXIBLE, "parameter", "show", *place, "-n", "work_mem", has=PARAMETER)
    assert (shown["value"], shown["source"]) == ("8192", "user-override")
    assert len(custom.ok(*FLEXIBLE, "parameter", "list", *place, has=("name", "value"))) > 200
    custom.refused(*(*FLEXIBLE, "parameter", "set", *place, "-n", "work_mem", "--value", "much"), says="work_mem")


def test_a_static_parameter_waits_for_the_restart(custom: Az, server: str) -> None:
    place = ("-g", "shop-rg", "-s", server)
    custom.ok(*FLEXIBLE, "parameter", "set", *place, "-n", "wal_level", "--value", "logical", has=PARAMETER)
    shown = custom.ok(*FLEXIBLE, "parameter", "show", *place, "-n", "wal_level", has=PARAMETER)
    assert shown["isConfigPendingRestart"] is True
    custom.ok(*FLEXIBLE, "restart", "-g", "shop-rg", "-n", server)
    shown = custom.ok(*FLEXIBLE, "parameter", "show", *place, "-n", "wal_level", has=PARAMETER)
    assert shown["isConfigPendingRestart"] is False


def test_firewall_rules(custom: Az, server: str) -> None:
    place = ("-g", "shop-rg", "-s", server)
    addresses = ("--start-ip-address", "203.0.113.7", "--end-ip-address", "203.0.113.9")
    custom.ok(*FLEXIBLE, "firewall-rule", "create", *place, "-n", "office", *addresses, has=RULE)
    shown = custom.ok(*FLEXIBLE, "firewall-rule", "show", *place, "-n", "office", has=RULE)
    assert shown["endIpAddress"] == "203.0.113.9"
    assert "office" in [item["name"] for item in custom.ok(*FLEXIBLE, "firewall-rule", "list", *place, has=RULE)]
    custom.ok(*FLEXIBLE, "firewall-rule", "delete", *place, "-n", "office", "--yes")
    assert "office" not in [item["name"] for item in custom.ok(*FLEXIBLE, "firewall-rule", "list", *place)]


def test_databases(custom: Az, server: str) -> None:
    place = ("-g", "shop-rg", "-s", server)
    custom.ok(*FLEXIBLE, "db", "create", *place, "-n", "app", has=("charset", "collation", "id", "name", "type"))
    custom.ok(*FLEXIBLE, "db", "show", *place, "-n", "app", has=("charset", "collation", "id", "name", "type"))
    assert "app" in [item["name"] for item in custom.ok(*FLEXIBLE, "db", "list", *place, has=("name",))]
    custom.ok(*FLEXIBLE, "db", "delete", *place, "-n", "app", "--yes")
    assert "app" not in [item["name"] for item in custom.ok(*FLEXIBLE, "db", "list", *place)]


def test_stop_and_start(custom: Az, server: str) -> None:
    custom.ok(*FLEXIBLE, "stop", "-g", "shop-rg", "-n", server)
    assert custom.ok(*FLEXIBLE, "show", "-g", "shop-rg", "-n", server, has=SERVER)["state"] == "Stopped"
    custom.ok(*FLEXIBLE, "start", "-g", "shop-rg", "-n", server)
    assert custom.ok(*FLEXIBLE, "show", "-g", "shop-rg", "-n", server, has=SERVER)["state"] == "Ready"


def test_sizes_of_a_location(az: Az) -> None:
    (offer,) = az.ok(*FLEXIBLE, "list-skus", "-l", "eastus", has=("supportedServerEditions", "supportedServerVersions"))
    assert {"name": "OfferRestricted", "status": "Disabled"} in [
        {key: item[key] for key in ("name", "status")} for item in offer["supportedFeatures"]
    ]


def test_unknown_server(az: Az) -> None:
    says = "The Resource 'Microsoft.DBforPostgreSQL/flexibleServers/nothing' under resource group 'shop-rg' was not"
    az.refused(*FLEXIBLE, "show", "-g", "shop-rg", "-n", "nothing", says=says)
    az.refused(*FLEXIBLE, "restart", "-g", "shop-rg", "-n", "nothing", says=says)
    az.refused(*FLEXIBLE, "parameter", "show", "-g", "shop-rg", "-s", "nothing", "-n", "work_mem", says=says)


def test_a_name_that_is_taken(az: Az) -> None:
    az.refused(
        *(*FLEXIBLE, "create", "-g", "shop-rg", "-n", "shop-single", "-l", "eastus", "--tier", "GeneralPurpose"),
        *("--sku-name", "Standard_D2ds_v5", "--storage-size", "128", "--version", "16", "--public-access", "None"),
        *("--admin-user", "pgadmin", "--admin-password", PASSWORD, "--yes"),
        says="Specified server name 'shop-single' is already used.",
    )


def test_a_reader_changes_nothing(reader: Az) -> None:
    reader.ok(*FLEXIBLE, "show", "-g", "shop-rg", "-n", "shop-flex", has=SERVER)
    place = ("-g", "shop-rg", "-s", "shop-flex")
    says = "does not have authorization to perform action 'Microsoft.DBforPostgreSQL/flexibleServers/"
    reader.refused(*FLEXIBLE, "parameter", "set", *place, "-n", "work_mem", "--value", "8192", says=says)
    reader.refused(*FLEXIBLE, "restart", "-g", "shop-rg", "-n", "shop-flex", says=f"{says}restart/action'")
