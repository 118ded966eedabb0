# SPDX-License-Identifier: GPL-3.0-or-later
"""Single Servers through azure-mgmt-rdbms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.rdbms.postgresql import models

from pgflex_lab.process import Running
from sdk_clients import GROUP, Clients, environment

NAME = "made-single"
PASSWORD = "Lab-Passw0rd!made"


@pytest.fixture(scope="module")
def made(lab: Running) -> Iterator[str]:
    """A server of this module's own, made and deleted through the API."""
    with environment(lab):
        api = Clients.of(lab).single.servers
        wanted = models.ServerForCreate(
            location="eastus",
            sku=models.Sku(name="GP_Gen5_2"),
            tags={"team": "a"},
            properties=models.ServerPropertiesForDefaultCreate(
                administrator_login="boss", administrator_login_password=PASSWORD, version="11"
            ),
        )
        assert api.begin_create(GROUP, NAME, wanted).result().user_visible_state == "Ready"
        yield NAME
        api.begin_delete(GROUP, NAME).result()
        with pytest.raises(ResourceNotFoundError):
            api.get(GROUP, NAME)


def connect(clients: Clients, name: str, user: str, password: str) -> Any:
    place = next(item for item in clients.lab.admin("GET", "state")["servers"] if item["name"] == name)
    return psycopg.connect(
        host=place["fqdn"],
        hostaddr=place["hostaddr"],
        port=place["port"],
        user=user,
        password=password,
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=clients.lab.facts["ca"],
    )


def test_shape_of_the_seeded_server(clients: Clients) -> None:
    server = clients.single.servers.get(GROUP, "SHOP-single")
    assert server.sku.as_dict() == {"name": "GP_Gen5_4", "tier": "GeneralPurpose", "family": "Gen5", "capacity": 4}
    assert (server.version, server.storage_profile.storage_mb, server.location) == ("11", 102400, "eastus")
    assert server.fully_qualified_domain_name == "shop-single.postgres.database.azure.com"
    assert server.public_network_access == "Enabled" and server.ssl_enforcement == "Enabled"
    assert server.private_endpoint_connections == []
    assert "shop-single" in [item.name for item in clients.single.servers.list_by_resource_group(GROUP)]


def test_the_server_is_real(clients: Clients, made: str) -> None:
    with connect(clients, made, f"boss@{made}", PASSWORD) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("boss",)


def test_update(clients: Clients, made: str) -> None:
    api = clients.single.servers
    new = "Lab-Passw0rd!changed"
    changed = api.begin_update(
        GROUP,
        made,
        models.ServerUpdateParameters(
            tags={"team": "b"},
            administrator_login_password=new,
            storage_profile=models.StorageProfile(storage_mb=204800),
        ),
    ).result()
    assert (changed.tags, changed.storage_profile.storage_mb) == ({"team": "b"}, 204800)
    with connect(clients, made, f"boss@{made}", new):
        pass
    with pytest.raises(HttpResponseError, match="InvalidParameterValue"):
        api.begin_update(
            GROUP, made, models.ServerUpdateParameters(storage_profile=models.StorageProfile(storage_mb=5120))
        )


def test_replication_support_acts_after_a_restart(clients: Clients, made: str) -> None:
    api = clients.single
    wanted = models.Configuration(value="LOGICAL", source="user-override")
    done = api.configurations.begin_create_or_update(GROUP, made, "azure.replication_support", wanted).result()
    assert (done.value, done.source, done.default_value) == ("LOGICAL", "user-override", "REPLICA")
    assert api.configurations.get(GROUP, made, "wal_level").value == "replica"
    api.servers.begin_restart(GROUP, made).result()
    assert api.configurations.get(GROUP, made, "wal_level").value == "logical"


def test_configurations(clients: Clients, made: str) -> None:
    api = clients.single.configurations
    listed = {item.name: item for item in api.list_by_server(GROUP, made)}
    assert len(listed) > 200 and listed["work_mem"].data_type == "Integer"
    for name, value in (("azure.replication_support", "SOMETIMES"), ("work_mem", "lots"), ("wal_level", "logical")):
        with pytest.raises(HttpResponseError, match="InvalidParameterValue"):
            api.begin_create_or_update(GROUP, made, name, models.Configuration(value=value))
    with pytest.raises(HttpResponseError, match="ConfigurationNotExists"):
        api.get(GROUP, made, "no_such_thing")


def test_many_configurations_at_once(clients: Clients, made: str) -> None:
    wanted = models.ConfigurationListResult(
        value=[
            models.Configuration(value="8192", source="user-override"),
            models.Configuration(value="warning", source="user-override"),
        ]
    )
    wanted.value[0].name, wanted.value[1].name = "work_mem", "log_min_messages"
    # The model marks names as read-only and drops them, so they are put back into the request by hand.
    body = {"value": [{"name": item.name, "properties": {"value": item.value}} for item in wanted.value]}
    clients.single.server_parameters.begin_list_update_configurations(GROUP, made, _json(body)).result()
    api = clients.single.configurations
    assert api.get(GROUP, made, "work_mem").value == "8192"
    assert api.get(GROUP, made, "log_min_messages").value == "warning"


def _json(body: dict[str, Any]) -> Any:
    import io
    import json

    return io.BytesIO(json.dumps(body).encode())


def test_rules(clients: Clients, made: str) -> None:
    api = clients.single
    rule = models.FirewallRule(start_ip_address="10.0.0.1", end_ip_address="10.0.0.9")
    assert api.firewall_rules.begin_create_or_update(GROUP, made, "office", rule).result().name == "office"
    assert [item.name for item in api.firewall_rules.list_by_server(GROUP, made)] == ["office"]
    wrong = models.FirewallRule(start_ip_address="10.0.0.9", end_ip_address="10.0.0.1")
    with pytest.raises(HttpResponseError, match="InvalidParameterValue"):
        api.firewall_rules.begin_create_or_update(GROUP, made, "wrong", wrong)
    api.firewall_rules.begin_delete(GROUP, made, "office").result()
    assert list(api.firewall_rules.list_by_server(GROUP, made)) == []


def test_databases_are_the_servers(clients: Clients, made: str) -> None:
    api = clients.single.databases
    database = api.begin_create_or_update(GROUP, made, "shop", models.Database(charset="UTF8", collation="C")).result()
    assert (database.name, database.charset, database.collation) == ("shop", "UTF8", "C")
    english = models.Database(charset="UTF8", collation="English_United States.1252")
    api.begin_create_or_update(GROUP, made, "english", english).result()
    assert api.get(GROUP, made, "english").collation == english.collation
    with connect(clients, made, f"boss@{made}", "Lab-Passw0rd!changed") as connection:
        connection.autocommit = True
        connection.execute("CREATE DATABASE by_sql")
        connection.execute("DROP DATABASE english")
        connection.execute("CREATE DATABASE english")
    assert api.get(GROUP, made, "english").collation == api.get(GROUP, made, "by_sql").collation
    assert {"shop", "by_sql", "postgres"} <= {item.name for item in api.list_by_server(GROUP, made)}
    for name in ("shop", "by_sql", "english"):
        api.begin_delete(GROUP, made, name).result()
    with pytest.raises(ResourceNotFoundError):
        api.get(GROUP, made, "shop")


@pytest.mark.parametrize(
    ("name", "login", "password", "sku", "code"),
    [
        ("Bad_Name", "boss", PASSWORD, "GP_Gen5_2", "InvalidServerName"),
        ("bad-login", "azure_superuser", PASSWORD, "GP_Gen5_2", "InvalidParameterValue"),
        ("bad-password", "boss", "simple", "GP_Gen5_2", "PasswordNotComplex"),
        ("bad-sku", "boss", PASSWORD, "Huge", "InvalidParameterValue"),
        ("shop-flex", "boss", PASSWORD, "GP_Gen5_2", "ServerNameAlreadyExists"),
    ],
)
def test_bad_servers(clients: Clients, name: str, login: str, password: str, sku: str, code: str) -> None:
    properties = models.ServerPropertiesForDefaultCreate(
        administrator_login=login, administrator_login_password=password
    )
    wanted = models.ServerForCreate(location="eastus", sku=models.Sku(name=sku), properties=properties)
    with pytest.raises(HttpResponseError) as caught:
        clients.single.servers.begin_create(GROUP, name, wanted)
    assert caught.value.error and caught.value.error.code == code


def test_name_availability(clients: Clients) -> None:
    api = clients.single.check_name_availability
    kind = "Microsoft.DBforPostgreSQL/servers"
    assert api.execute(models.NameAvailabilityRequest(name="free-name", type=kind)).name_available
    taken = api.execute(models.NameAvailabilityRequest(name="shop-single", type=kind))
    assert (taken.name_available, taken.reason) == (False, "AlreadyExists")


def test_servers_that_share_a_cluster(clients: Clients) -> None:
    """Two names in Azure, one PostgreSQL; the one that only borrows takes nothing with it when it goes."""
    common = {"type": "single", "admin": "boss", "password": PASSWORD, "resource_group": GROUP}
    owner = clients.lab.admin("POST", "servers", {**common, "name": "lends-single"})
    shared = clients.lab.admin("POST", "servers", {**common, "name": "borrows-single", "cluster": "lends-single"})
    assert shared["hostaddr"] == owner["hostaddr"] and shared["id"] != owner["id"]
    api = clients.single
    assert api.servers.get(GROUP, "borrows-single").fully_qualified_domain_name.startswith("borrows-single.")
    rule = {"properties": {"startIpAddress": "203.0.113.1", "endIpAddress": "203.0.113.1"}}
    api.firewall_rules.begin_create_or_update(GROUP, "borrows-single", "one", rule).result()
    assert list(api.firewall_rules.list_by_server(GROUP, "lends-single")) == []
    api.servers.begin_delete(GROUP, "borrows-single").result()
    with connect(clients, "lends-single", "boss@lends-single", PASSWORD) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    api.servers.begin_delete(GROUP, "lends-single").result()
