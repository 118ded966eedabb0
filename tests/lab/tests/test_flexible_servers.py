# SPDX-License-Identifier: GPL-3.0-or-later
"""Flexible Servers through azure-mgmt-postgresqlflexibleservers, whose status codes are strict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.postgresqlflexibleservers import models

from pgflex_lab.process import Running
from sdk_clients import GROUP, Clients, environment

NAME = "made-flex"
PASSWORD = "Lab-Passw0rd!made"
RECORDED = Path(__file__).resolve().parents[4] / "shared/reference/recorded"


def wanted(**properties: Any) -> models.Server:
    fixed = {"administrator_login": "boss", "administrator_login_password": PASSWORD, "version": "15"}
    return models.Server(
        location="eastus",
        sku=models.Sku(name="Standard_D2ds_v5", tier="GeneralPurpose"),
        properties=models.ServerProperties(**(fixed | properties)),
    )


@pytest.fixture(scope="module")
def made(lab: Running) -> Iterator[str]:
    with environment(lab):
        api = Clients.of(lab).flexible.servers
        server = api.begin_create_or_update(GROUP, NAME, wanted(storage=models.Storage(storage_size_gb=64))).result()
        assert server.properties.state == "Ready"
        yield NAME
        api.begin_delete(GROUP, NAME).result()
        with pytest.raises(ResourceNotFoundError):
            api.get(GROUP, NAME)


def _keys(value: Any, prefix: str = "") -> set[str]:
    if not isinstance(value, dict):
        return set()
    return {prefix + name for name in value} | {
        found for name, inner in value.items() for found in _keys(inner, f"{prefix}{name}.")
    }


def test_the_shape_is_the_recorded_one(clients: Clients) -> None:
    recording = RECORDED / "migration-2024-08-01-onpremises-validate.json"
    if not recording.exists():
        pytest.skip("the recorded answers are not at hand")
    recorded = json.loads(recording.read_text())["interactions"][0]["response"]
    token = clients.credential.get_token(f"{clients.lab.url}/.default").token
    answer = requests.get(
        f"{clients.lab.url}{clients.group_id}/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-flex",
        params={"api-version": "2024-08-01"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    ).json()
    assert _keys(answer) == _keys(recorded)
    assert answer["location"] == "East US"


def test_older_apis_show_less(clients: Clients) -> None:
    token = clients.credential.get_token(f"{clients.lab.url}/.default").token
    url = f"{clients.lab.url}{clients.group_id}/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-flex"

    def keys(version: str) -> set[str]:
        headers = {"Authorization": f"Bearer {token}"}
        return _keys(
            requests.get(url, params={"api-version": version}, headers=headers, timeout=10).json()["properties"]
        )

    assert "replica" not in keys("2022-12-01") and "authConfig" in keys("2022-12-01")
    assert "authConfig" not in keys("2021-06-01") and "storage.iops" not in keys("2021-06-01")


def test_power(clients: Clients, made: str) -> None:
    api = clients.flexible.servers
    api.begin_stop(GROUP, made).result()
    assert api.get(GROUP, made).properties.state == "Stopped"
    for call in (
        lambda: api.begin_restart(GROUP, made),
        lambda: api.begin_stop(GROUP, made),
        lambda: api.begin_update(GROUP, made, models.ServerForPatch(tags={"a": "b"})),
        lambda: clients.flexible.configurations.begin_put(GROUP, made, "work_mem", _value("8192")),
    ):
        with pytest.raises(ResourceExistsError) as caught:
            call()
        assert caught.value.error and caught.value.error.code == "ServerIsNotReady"
    assert len(list(clients.flexible.configurations.list_by_server(GROUP, made))) > 200
    api.begin_start(GROUP, made).result()
    assert api.get(GROUP, made).properties.state == "Ready"
    api.begin_restart(GROUP, made).result()
    with pytest.raises(HttpResponseError, match="OperationNotAllowedOnNonHAServer"):
        api.begin_restart(
            GROUP, made, models.RestartParameter(restart_with_failover=True, failover_mode="PlannedFailover")
        )


def test_a_server_does_one_thing_at_a_time(clients: Clients, made: str) -> None:
    api = clients.flexible.servers
    poller = api.begin_restart(GROUP, made)
    assert api.get(GROUP, made).properties.state == "Restarting"
    with pytest.raises(ResourceExistsError) as caught:
        clients.flexible.configurations.begin_put(GROUP, made, "work_mem", _value("8192"))
    assert caught.value.error and caught.value.error.code == "ServerIsBusy"
    poller.result()


def test_update(clients: Clients, made: str) -> None:
    api = clients.flexible.servers
    change = models.ServerForPatch(
        tags={"team": "b"},
        sku=models.SkuForPatch(name="Standard_E4ds_v5", tier="MemoryOptimized"),
        properties=models.ServerPropertiesForPatch(
            storage=models.Storage(storage_size_gb=256),
            maintenance_window=models.MaintenanceWindowForPatch(custom_window="Enabled", start_hour=3),
        ),
    )
    server = api.begin_update(GROUP, made, change).result()
    assert (server.tags, server.sku.name) == ({"team": "b"}, "Standard_E4ds_v5")
    assert (server.properties.storage.storage_size_gb, server.properties.storage.tier) == (256, "P15")
    assert server.properties.maintenance_window.start_hour == 3
    for properties in ({"storage": models.Storage(storage_size_gb=32)}, {"version": "11"}):
        with pytest.raises(HttpResponseError, match="InvalidParameterValue"):
            api.begin_update(
                GROUP, made, models.ServerForPatch(properties=models.ServerPropertiesForPatch(**properties))
            )


def _value(value: str | None, source: str = "user-override") -> Any:
    return models.ConfigurationForUpdate(properties=models.ConfigurationProperties(value=value, source=source))


def test_a_static_parameter_waits_for_a_restart(clients: Clients, made: str) -> None:
    api = clients.flexible.configurations
    done = api.begin_put(GROUP, made, "max_locks_per_transaction", _value("128")).result().properties
    assert (done.value, done.is_config_pending_restart, done.is_dynamic_config) == ("128", True, False)
    clients.flexible.servers.begin_restart(GROUP, made).result()
    assert api.get(GROUP, made, "max_locks_per_transaction").properties.is_config_pending_restart is False
    again = (
        api.begin_update(GROUP, made, "max_locks_per_transaction", _value(None, "system-default")).result().properties
    )
    assert (again.value, again.source) == ("64", "system-default")
    clients.flexible.servers.begin_restart(GROUP, made).result()


def test_azures_own_parameters(clients: Clients, made: str) -> None:
    api = clients.flexible.configurations
    extensions = api.get(GROUP, made, "azure.extensions").properties
    assert extensions.data_type == "Set" and "pgcrypto" in extensions.allowed_values and extensions.value == ""
    done = api.begin_put(GROUP, made, "azure.extensions", _value("PGCRYPTO, hstore")).result().properties
    assert (done.value, done.is_config_pending_restart) == ("PGCRYPTO, hstore", False)
    libraries = api.begin_put(GROUP, made, "shared_preload_libraries", _value("pg_stat_statements,pg_cron")).result()
    assert libraries.properties.is_config_pending_restart
    clients.flexible.servers.begin_restart(GROUP, made).result()
    assert api.get(GROUP, made, "shared_preload_libraries").properties.value == "pg_stat_statements,pg_cron"
    for name, value in (
        ("azure.extensions", "no_such_extension"),
        ("shared_preload_libraries", "rootkit"),
        ("work_mem", "1"),
        ("wal_level", "everything"),
        ("server_version", "99"),
        ("azure.migration_table_split_size", "many"),
    ):
        with pytest.raises(HttpResponseError) as caught:
            api.begin_put(GROUP, made, name, _value(value))
        assert caught.value.error and caught.value.error.code == "InvalidParameterValue", name
    with pytest.raises(ResourceNotFoundError):
        api.get(GROUP, made, "no_such_thing")


def test_wal_level_is_a_parameter_here(clients: Clients, made: str) -> None:
    api = clients.flexible.configurations
    assert api.begin_put(GROUP, made, "wal_level", _value("logical")).result().properties.value == "logical"
    clients.flexible.servers.begin_restart(GROUP, made).result()
    assert api.get(GROUP, made, "wal_level").properties.value == "logical"


def test_children(clients: Clients, made: str) -> None:
    api = clients.flexible
    rule = models.FirewallRule(
        properties=models.FirewallRuleProperties(start_ip_address="10.0.0.1", end_ip_address="10.0.0.9")
    )
    assert api.firewall_rules.begin_create_or_update(GROUP, made, "office", rule).result().name == "office"
    assert [item.name for item in api.firewall_rules.list_by_server(GROUP, made)] == ["office"]
    api.firewall_rules.begin_delete(GROUP, made, "office").result()
    api.firewall_rules.begin_delete(GROUP, made, "office").result()
    database = models.Database(properties=models.DatabaseProperties(charset="UTF8", collation="en_US.utf8"))
    created = api.databases.begin_create(GROUP, made, "shop", database).result()
    for shown in (created, api.databases.get(GROUP, made, "shop")):
        assert (shown.properties.charset, shown.properties.collation) == ("UTF8", "en_US.utf8")
    assert {"azure_maintenance", "azure_sys", "postgres", "shop"} == {
        item.name for item in api.databases.list_by_server(GROUP, made)
    }
    with pytest.raises(HttpResponseError, match="SystemDatabaseNotAllowed"):
        api.databases.begin_delete(GROUP, made, "postgres")
    api.databases.begin_delete(GROUP, made, "shop").result()
    assert list(api.administrators_microsoft_entra.list_by_server(GROUP, made)) == []


def test_capabilities_and_names(clients: Clients) -> None:
    api = clients.flexible
    (found,) = api.capabilities_by_location.list("eastus")
    assert "17" in [item.name for item in found.supported_server_versions]
    kind = "Microsoft.DBforPostgreSQL/flexibleServers"
    asked = models.CheckNameAvailabilityRequest(name="shop-flex", type=kind)
    assert api.name_availability.check_with_location("eastus", asked).name_available is False
    assert api.name_availability.check_globally(
        models.CheckNameAvailabilityRequest(name="free", type=kind)
    ).name_available


@pytest.mark.parametrize(
    ("name", "properties", "code"),
    [
        ("no", {}, "InvalidServerName"),
        ("bad-version", {"version": "8"}, "InvalidParameterValue"),
        ("bad-password", {"administrator_login_password": "simple"}, "PasswordNotComplex"),
        ("bad-storage", {"storage": models.Storage(storage_size_gb=33)}, "InvalidParameterValue"),
        ("shop-single", {}, "ServerNameAlreadyExists"),
    ],
)
def test_bad_servers(clients: Clients, name: str, properties: dict[str, Any], code: str) -> None:
    with pytest.raises(HttpResponseError) as caught:
        clients.flexible.servers.begin_create_or_update(GROUP, name, wanted(**properties))
    assert caught.value.error and caught.value.error.code == code


def test_missing_things_are_named(clients: Clients) -> None:
    api = clients.flexible.servers
    with pytest.raises(ResourceNotFoundError) as server:
        api.get(GROUP, "nowhere")
    assert server.value.error and server.value.error.message == (
        f"The Resource 'Microsoft.DBforPostgreSQL/flexibleServers/nowhere' under resource group '{GROUP}' was not "
        "found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    with pytest.raises(ResourceNotFoundError, match="ResourceGroupNotFound"):
        api.get("nowhere", "shop-flex")


def test_a_failed_operation_is_told_by_the_poller(clients: Clients, made: str) -> None:
    fault = {
        "kind": "fail_operation",
        "path": f"{made}/restart|{made}$",
        "method": "POST",
        "code": "InternalServerError",
    }
    clients.lab.plan_faults(fault)
    poller = clients.flexible.servers.begin_restart(GROUP, made)
    with pytest.raises(HttpResponseError) as caught:
        poller.result()
    assert caught.value.error and caught.value.error.code == "InternalServerError"
    assert clients.flexible.servers.get(GROUP, made).properties.state == "Ready"
