# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations through the network with the official client, both generations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient

from pgflex_lab.process import Running
from sdk_clients import GROUP, Clients, environment
from small_lab import SAMPLE

PASSWORD = "Lab-Passw0rd!engine"
ANYBODY = {"AllowAllAzureIps": ["0.0.0.0", "0.0.0.0"]}
COUNTS = """SELECT (SELECT count(*) FROM customer), (SELECT count(*) FROM event), (SELECT count(*) FROM log),
    (SELECT count(*) FROM cache), (SELECT max(total) FROM totals), (SELECT last_value FROM ticket),
    (SELECT sum(length(lo_get(oid))) FROM pg_largeobject_metadata)"""


def server(lab: Running, clients: Clients, name: str, kind: str, **more: Any) -> dict[str, Any]:
    wanted = {
        "name": name,
        "type": kind,
        "subscription": clients.subscription,
        "resource_group": GROUP,
        "location": "eastus",
        "version": "11" if kind == "single" else "15",
        "admin": "boss",
        "password": PASSWORD,
        "firewall_rules": ANYBODY,
        **more,
    }
    made: dict[str, Any] = lab.admin("POST", "servers", wanted)
    return made


def sql(at: dict[str, Any], user: str, dbname: str, statement: str) -> Any:
    with psycopg.connect(
        host=at["hostaddr"], user=user, password=PASSWORD, dbname=dbname, sslmode="require", autocommit=True
    ) as connection:
        done = connection.execute(statement)
        return done.fetchone() if done.description else None


@pytest.fixture(scope="module")
def source(lab: Running) -> Iterator[dict[str, Any]]:
    with environment(lab):
        made = server(lab, Clients.of(lab), "engine-src", "single", sku="GP_Gen5_2", storage_mb=51200)
        sql(made, "boss@engine-src", "postgres", "CREATE DATABASE shop")
        sql(made, "boss@engine-src", "shop", SAMPLE)
        yield made


def migrations(clients: Clients, version: str) -> Any:
    return PostgreSQLManagementClient(
        clients.credential,
        clients.subscription,
        base_url=clients.lab.url,
        credential_scopes=[f"{clients.lab.url}/.default"],
        api_version=version,
    ).migrations


def until(api: Any, target: str, *wanted: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found: dict[str, Any] = api.get(GROUP, target, "m", cls=_raw)
        status = found["properties"]["currentStatus"]
        if {status["state"], status["currentSubStateDetails"]["currentSubState"]} & set(wanted):
            return found
        assert status["state"] in ("InProgress", "WaitingForUserAction"), status
        time.sleep(0.1)
    raise AssertionError(f"{wanted} was never reached: {status}")


def _raw(response: Any, _model: Any, _headers: Any) -> Any:
    return response.http_response.json()


def secrets() -> dict[str, Any]:
    return {"adminCredentials": {"sourceServerPassword": PASSWORD, "targetServerPassword": PASSWORD}}


def test_current_generation_online(lab: Running, clients: Clients, source: dict[str, Any]) -> None:
    target = server(lab, clients, "engine-flex", "flexible", parameters={"azure.extensions": "citext"})
    api = migrations(clients, "2026-10-01")
    content = {
        "location": "eastus",
        "properties": {
            "migrationMode": "Online",
            "migrationOption": "ValidateAndMigrate",
            "sourceDbServerResourceId": source["id"],
            "secretParameters": secrets(),
            "dbsToMigrate": ["shop"],
        },
    }
    api.create(GROUP, "engine-flex", "m", content)
    with pytest.raises(HttpResponseError, match="active migration"):
        api.create(GROUP, "engine-flex", "second", content)
    until(api, "engine-flex", "WaitingForLogicalReplicationSetupRequestOnSourceDB")
    setup = {"properties": {"setupLogicalReplicationOnSourceDbIfNeeded": "True"}}
    api.update(GROUP, "engine-flex", "m", setup)
    until(api, "engine-flex", "WaitingForCutoverTrigger")
    sql(source, "boss@engine-src", "shop", "INSERT INTO log (what) VALUES ('late')")
    api.update(GROUP, "engine-flex", "m", {"properties": {"triggerCutover": "True", "dbsToTriggerCutoverOn": ["shop"]}})
    found = until(api, "engine-flex", "Succeeded")
    assert found["properties"]["targetDbServerMetadata"]["sku"]
    left = sql(source, "boss@engine-src", "shop", COUNTS)
    assert sql(target, "boss", "shop", COUNTS) == left
    parameter = clients.single.configurations.get(GROUP, "engine-src", "azure.replication_support")
    assert parameter.value == "LOGICAL"


def test_classic_generation_offline_checks_the_app(lab: Running, clients: Clients, source: dict[str, Any]) -> None:
    target = server(lab, clients, "engine-old", "flexible", parameters={"azure.extensions": "citext"})
    api = migrations(clients, "2022-05-01-privatepreview")
    clients.resources.providers.register("Microsoft.DataMigration")
    app = {"clientId": clients.client_id, "tenantId": clients.tenant, "aadSecret": clients.secret}
    content = {
        "location": "eastus",
        "properties": {
            "MigrationMode": "Offline",
            "SourceDBServerResourceId": source["id"],
            "SecretParameters": {**secrets(), "AADApp": app},
            "DBsToMigrate": ["shop"],
        },
    }
    api.create(GROUP, "engine-old", "m", content)
    until(api, "engine-old", "Succeeded")
    assert sql(target, "boss", "shop", COUNTS) == sql(source, "boss@engine-src", "shop", COUNTS)


def test_a_firewall_in_the_way(lab: Running, clients: Clients, source: dict[str, Any]) -> None:
    closed = server(lab, clients, "engine-closed", "single", sku="GP_Gen5_2", storage_mb=51200, firewall_rules={})
    server(lab, clients, "engine-far", "flexible")
    api = migrations(clients, "2025-08-01")
    properties = {"sourceDbServerResourceId": closed["id"], "secretParameters": secrets(), "dbsToMigrate": ["postgres"]}
    api.create(GROUP, "engine-far", "m", {"location": "eastus", "properties": properties})
    found = until(api, "engine-far", "ValidationFailed")
    details = found["properties"]["currentStatus"]["currentSubStateDetails"]["validationDetails"]
    assert "603000" in details["serverLevelValidationDetails"][0]["messages"][0]["message"]


def test_callers_need_rights_of_their_own(lab: Running, clients: Clients, source: dict[str, Any]) -> None:
    api = migrations(Clients.of(lab, "reader"), "2025-08-01")
    with pytest.raises(HttpResponseError) as caught:
        api.create(GROUP, "shop-flex", "m", {"location": "eastus", "properties": {}})
    assert caught.value.status_code == 403
