# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole migrations by CLI alone: the target, what a migration needs, the migration itself; then its rows are read."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from az_servers import FLEXIBLE, PASSWORD, address_of, make_server
from azure_cli import Az

MIGRATION = (*FLEXIBLE, "migration")
SHOWN = (
    *("currentStatus.state", "dbsToMigrate", "id", "location", "migrationId", "migrationMode", "migrationOption"),
    *("migrationWindowStartTimeInUtc", "name", "resourceGroup", "sourceDbServerResourceId", "sourceType", "sslMode"),
    *("targetDbServerResourceId", "type"),
)
MADE = """
CREATE EXTENSION pgcrypto;
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, paid numeric(12, 4), at timestamptz DEFAULT now());
INSERT INTO customer SELECT g, 'c' || g, g / 3.0 FROM generate_series(1, 2000) g;
CREATE TABLE "Order ü" (id int PRIMARY KEY, customer_id int REFERENCES customer, data jsonb);
INSERT INTO "Order ü" SELECT g, g, jsonb_build_object('n', g) FROM generate_series(1, 1000) g;
"""
CONTENT = """
SELECT (SELECT md5(string_agg(c::text, ',' ORDER BY c.id)) FROM customer c),
       (SELECT md5(string_agg(o::text, ',' ORDER BY o.id)) FROM "Order ü" o),
       (SELECT count(*) FROM customer), (SELECT count(*) FROM "Order ü")
"""
WAIT_SECONDS = 90.0


@dataclass(frozen=True)
class Servers:
    """A Single Server with the database shop, and the Flexible Server that the CLI made for it."""

    az: Az
    source: str
    source_id: str
    target: str

    @property
    def place(self) -> tuple[str, ...]:
        return ("-g", "shop-rg", "-s", self.target)

    def link(self, name: str, database: str = "shop") -> psycopg.Connection[Any]:
        login = f"pgadmin@{name}" if name == self.source else "pgadmin"
        return psycopg.connect(
            host=address_of(self.az, name), user=login, password=PASSWORD, dbname=database, autocommit=True
        )

    def content(self, name: str) -> Any:
        with self.link(name) as connection:
            connection.execute("SET timezone = 'UTC'")
            return connection.execute(CONTENT).fetchone()

    def body(self, folder: Path) -> str:
        """The properties file, spelled as the guide spells it."""
        file = folder / "migrationBody.JSON"
        credentials = {"sourceServerPassword": PASSWORD, "targetServerPassword": PASSWORD}
        secrets = {
            "adminCredentials": credentials,
            "sourceServerUserName": f"pgadmin@{self.source}",
            "targetServerUserName": "pgadmin",
        }
        properties = {
            "sourceDbServerResourceId": self.source_id,
            "secretParameters": secrets,
            "dbsToMigrate": ["shop"],
            "overwriteDbsInTarget": "true",
        }
        file.write_text(json.dumps({"properties": properties}))
        return str(file)

    def shown(self, migration: str) -> Any:
        return self.az.ok(*MIGRATION, "show", *self.place, "-n", migration, has=SHOWN)

    def until(self, migration: str, *wanted: str) -> Any:
        """Looks until the state, or what it waits for, is one of those wanted."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            status = self.shown(migration)["currentStatus"]
            details = status["currentSubStateDetails"] or {}
            if status["state"] in wanted or details.get("currentSubState") in wanted:
                return status
            assert status["state"] in ("InProgress", "WaitingForUserAction"), status
            assert time.monotonic() < deadline, status
            time.sleep(0.2)

    def patch(self, migration: str, properties: dict[str, Any]) -> Any:
        """What the commands of this version cannot do goes straight to the service."""
        url = f"{self.shown(migration)['id']}?api-version=2024-08-01"
        body = json.dumps({"properties": properties})
        return self.az.ok("rest", "--method", "patch", "--url", url, "--body", body, has=("id", "properties"))


def make_source(az: Az, name: str) -> str:
    """No command makes a Single Server any more."""
    made = az.lab.admin(
        "POST",
        "servers",
        {
            "name": name,
            "type": "single",
            "sku": "GP_Gen5_4",
            "version": "11",
            "storage_mb": 102400,
            "subscription": az.lab.environment()["AZURE_SUBSCRIPTION_ID"],
            "resource_group": "shop-rg",
            "location": "eastus",
            "admin": "pgadmin",
            "password": PASSWORD,
            "databases": ["shop"],
            "firewall_rules": {"AllowAllAzureIps": ["0.0.0.0", "0.0.0.0"]},
            "parameters": {"azure.replication_support": "OFF"},
        },
    )
    return str(made["id"])


def make_servers(az: Az, name: str) -> Servers:
    servers = Servers(az, f"{name}-single", make_source(az, f"{name}-single"), f"{name}-flex")
    with servers.link(servers.source) as connection:
        connection.execute(MADE)
    make_server(az, servers.target)
    az.ok(
        *FLEXIBLE, "parameter", "set", *servers.place, "-n", "azure.extensions", "--value", "pgcrypto", has=("value",)
    )
    return servers


def check_databases(status: Any, state: str) -> None:
    (database,) = status["currentSubStateDetails"]["dbDetails"].values()
    assert database["databaseName"] == "shop" and database["migrationState"] == state
    counters = {"fullLoadCompletedTables", "fullLoadErroredTables", "fullLoadLoadingTables", "fullLoadQueuedTables"}
    assert counters <= set(database) and database["fullLoadErroredTables"] == 0


def test_offline(proxied: Az, tmp_path: Path) -> None:
    servers = make_servers(proxied, "az-offline")
    name = ("-n", "shop-1")
    free = (*MIGRATION, "check-name-availability", *servers.place, *name)
    assert proxied.ok(*free, has=("name", "nameAvailable", "type"))["nameAvailable"] is True
    made = proxied.ok(
        *(*MIGRATION, "create", *servers.place, *name, "--migration-mode", "offline", "-b", servers.body(tmp_path)),
        *("--tags", "app=shop"),
        has=SHOWN,
    )
    assert (made["migrationMode"], made["triggerCutover"], made["tags"]) == ("Offline", "True", {"app": "shop"})
    assert proxied.ok(*MIGRATION, "list", *servers.place, has=SHOWN)[0]["name"] == "shop-1"
    status = servers.until("shop-1", "Succeeded")
    check_databases(status, "Succeeded")
    assert servers.content(servers.target) == servers.content(servers.source)
    assert proxied.ok(*MIGRATION, "list", *servers.place, "--filter", "Active") == []
    assert proxied.ok(*MIGRATION, "list", *servers.place, "--filter", "All", has=SHOWN)[0]["name"] == "shop-1"
    assert proxied.ok(*free, has=("message", "reason"))["nameAvailable"] is False


def test_online(custom: Az, tmp_path: Path) -> None:
    """Writes of the time between the copy and the cutover arrive too."""
    servers = make_servers(custom, "az-online")
    name = ("-n", "shop-1")
    made = custom.ok(
        *(*MIGRATION, "create", *servers.place, *name, "--migration-mode", "online", "-b", servers.body(tmp_path)),
        *("--migration-option", "Migrate"),
        has=SHOWN,
    )
    assert (made["migrationMode"], made["currentStatus"]["state"]) == ("Online", "InProgress")
    status = servers.until("shop-1", "WaitingForLogicalReplicationSetupRequestOnSourceDB")
    assert status["state"] == "WaitingForUserAction"
    custom.ok(
        *(*MIGRATION, "update", *servers.place, *name, "--setup-replication"),
        has=SHOWN,
        operation="postgres flexible-server migration update --setup-replication",
    )
    check_databases(servers.until("shop-1", "WaitingForCutoverTrigger"), "WaitingForCutoverTrigger")
    with servers.link(servers.source) as connection:
        connection.execute("INSERT INTO customer SELECT g, 'late', 1 FROM generate_series(5001, 5100) g")
        connection.execute("UPDATE customer SET name = 'changed' WHERE id <= 10")
        connection.execute('DELETE FROM "Order ü" WHERE id > 990')
    patched = servers.patch("shop-1", {"triggerCutover": "True", "dbsToTriggerCutoverOn": ["shop"]})
    assert patched["properties"]["triggerCutover"] == "True"
    check_databases(servers.until("shop-1", "Succeeded"), "Succeeded")
    assert servers.content(servers.target) == servers.content(servers.source)
    assert servers.content(servers.target)[2:] == (2100, 990)


def test_first_generation_with_an_application_and_its_roles(proxied: Az, tmp_path: Path) -> None:
    """The service works with the rights of an application: none at first, then those the guide names."""
    servers = make_servers(proxied, "az-classic")
    proxied.ok("provider", "register", "-n", "Microsoft.DataMigration")
    application = proxied.ok("ad", "app", "create", "--display-name", "az-classic", has=("appId",))
    key = ("--id", application["appId"])
    proxied.ok("ad", "sp", "create", *key, has=("id",))
    secret = proxied.ok("ad", "app", "credential", "reset", *key, has=("appId", "password", "tenant"))
    group = proxied.ok("group", "show", "-n", "shop-rg", has=("id",))["id"]
    target = proxied.ok(*FLEXIBLE, "show", "-g", "shop-rg", "-n", servers.target, has=("id",))["id"]
    body = tmp_path / "classic.json"
    body.write_text(json.dumps({"location": "eastus", "properties": classic(servers, group, secret)}))

    def migrate(name: str) -> Any:
        url = f"{target}/migrations/{name}?api-version=2022-05-01-privatepreview"
        proxied.ok("rest", "--method", "put", "--url", url, "--body", f"@{body}", has=("id", "properties"))
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            shown = proxied.ok("rest", "--method", "get", "--url", url, has=("properties.currentStatus.state",))
            status = shown["properties"]["currentStatus"]
            if status["state"] in ("Failed", "Succeeded"):
                return status
            assert time.monotonic() < deadline, status
            time.sleep(0.2)

    refusal = migrate("without-roles")
    assert refusal["state"] == "Failed" and "does not have authorization" in json.dumps(refusal)
    grants = [
        ("--assignee", application["appId"], "--role", "Contributor", "--scope", scope)
        for scope in (servers.source_id, target, group)
    ]
    for grant in grants:
        proxied.ok("role", "assignment", "create", *grant, has=("id", "principalId", "scope"))
    assert migrate("with-roles")["state"] == "Succeeded"
    assert servers.content(servers.target) == servers.content(servers.source)
    for grant in grants:
        proxied.ok("role", "assignment", "delete", *grant)
    proxied.ok("ad", "app", "delete", *key)


def classic(servers: Servers, group: str, secret: Any) -> dict[str, Any]:
    application = {"clientId": secret["appId"], "tenantId": secret["tenant"], "aadSecret": secret["password"]}
    return {
        "migrationMode": "Offline",
        "migrationResourceGroup": {"resourceId": group},
        "sourceDBServerResourceId": servers.source_id,
        "dBsToMigrate": ["shop"],
        "overwriteDBsInTarget": True,
        "startDataMigration": True,
        "secretParameters": {
            "adminCredentials": {"sourceServerPassword": PASSWORD, "targetServerPassword": PASSWORD},
            "aadApp": application,
        },
    }


def test_one_at_a_time_cancel_and_names_for_ever(custom: Az, reader: Az, tmp_path: Path) -> None:
    servers = make_servers(custom, "az-errors")
    body = ("--migration-mode", "online", "-b", servers.body(tmp_path), "--migration-option", "Migrate")
    create = (*MIGRATION, "create", *servers.place, *body)
    custom.ok(*create, "-n", "first", has=SHOWN)
    servers.until("first", "WaitingForLogicalReplicationSetupRequestOnSourceDB")
    custom.refused(*create, "-n", "second", says="only one can be active for a target server.")
    cancel = (*MIGRATION, "update", *servers.place, "-n", "first", "--cancel")
    operation = "postgres flexible-server migration update --cancel"
    custom.ok(*cancel, has=(*SHOWN, "cancel"), operation=operation)
    assert servers.until("first", "Canceled")["state"] == "Canceled"
    custom.refused(*create, "-n", "first", says="The migration name 'first' was used before on this server")
    custom.refused(*create, "--name=-first", says="must not start with a hyphen")
    custom.refused(*MIGRATION, "show", *servers.place, "-n", "nothing", says="migrations/nothing' under resource group")
    nobody = ("-g", "shop-rg", "-s", "nothing", *body, "-n", "first")
    custom.refused(
        *MIGRATION, "create", *nobody, says="flexibleServers/nothing' under resource group 'shop-rg' was not"
    )
    reader.refused(
        *(*create, "-n", "by-a-reader"),
        says="authorization to perform action 'Microsoft.DBforPostgreSQL/flexibleServers/migrations/write'",
    )


def test_validation_says_what_is_wrong(proxied: Az, tmp_path: Path) -> None:
    """The extension of the source is not allowed on the target."""
    servers = make_servers(proxied, "az-checks")
    proxied.ok(*FLEXIBLE, "parameter", "set", *servers.place, "-n", "azure.extensions", "--value", "hstore")
    create = (*MIGRATION, "create", *servers.place, "-n", "check", "-b", servers.body(tmp_path))
    proxied.ok(*create, "--migration-option", "Validate", has=SHOWN)
    status = servers.until("check", "ValidationFailed", "Failed")
    assert "pgcrypto" in json.dumps(status["currentSubStateDetails"]["validationDetails"]).lower()
