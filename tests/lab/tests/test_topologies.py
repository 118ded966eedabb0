# SPDX-License-Identifier: GPL-3.0-or-later
"""Real migrations through networks that the lab's own API makes, and what it makes of bad declarations."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from azure.mgmt.postgresqlflexibleservers import models as flexible

from pgflex_lab.process import LabFailed, Running
from pgflex_lab.tls import client_context
from sdk_clients import GROUP, SECRETS, Clients

PASSWORD = "Correct-Horse-1"
LINKED = "privatelink.postgres.database.azure.com"
OWN = "tp-tgt.private.postgres.database.azure.com"
CURRENT, CLASSIC = "2025-08-01", "2022-05-01-privatepreview"
LINKS = ("tp-a", "tp-b")
ROWS = 3


def server(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, "admin": "boss", "password": PASSWORD, **more}


def vnet(name: str, number: int, *peers: str) -> dict[str, Any]:
    subnets = [
        {"name": "ends", "prefix": f"10.{number}.0.0/24"},
        {"name": "pg", "prefix": f"10.{number}.1.0/24", "delegation": True},
    ]
    return {"name": name, "address_space": f"10.{number}.0.0/16", "subnets": subnets, "peerings": list(peers)}


TOPOLOGY: dict[str, Any] = {
    "networks": [vnet("tp-a", 81, "tp-b"), vnet("tp-b", 82)],
    "private_dns_zones": [{"name": LINKED, "links": ["tp-a", "tp-b"]}, {"name": OWN, "links": ["tp-a", "tp-b"]}],
    "servers": [
        server("single", "tp-src", public_network_access="Disabled", databases=["shop"]),
        server("flexible", "tp-tgt", network={"subnet": "tp-b/pg", "zone": OWN}),
        server("flexible", "tp-end", public_network_access="Disabled"),
        server("other", "tp-own", host="tp-own.corp.example", private_address="192.168.81.5", routes=["tp-b"]),
    ],
    "private_endpoints": [
        {"name": "tp-pe", "subnet": "tp-a/ends", "server": "tp-src", "zones": [LINKED]},
        {"name": "tp-pe-end", "subnet": "tp-b/ends", "server": "tp-end", "zones": [LINKED]},
    ],
}


class Arm:
    """Plain requests, which both generations of migrations take."""

    def __init__(self, lab: Running, clients: Clients) -> None:
        self.lab, self.clients = lab, clients
        self.token = clients.credential.get_token(f"{lab.url}/.default").token
        self.servers = f"{clients.group_id}/providers/Microsoft.DBforPostgreSQL"
        self.networks = f"{clients.group_id}/providers/Microsoft.Network"
        self.count = 0

    def call(self, method: str, path: str, version: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.lab.url}{path}?api-version={version}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, context=client_context(Path(str(self.lab.facts["ca"])))) as answer:
            return json.loads(answer.read())

    def create(self, target: str = "tp-tgt", version: str = CURRENT, **properties: Any) -> str:
        self.count += 1
        path = f"{self.servers}/flexibleServers/{target}/migrations/m-{int(time.time())}-{self.count}"
        secrets = {"adminCredentials": {"sourceServerPassword": PASSWORD, "targetServerPassword": PASSWORD}}
        wanted = {
            "sourceDbServerResourceId": f"{self.servers}/servers/tp-src",
            "secretParameters": secrets,
            "dbsToMigrate": ["shop"],
            "overwriteDbsInTarget": "True",
            **properties,
        }
        self.call("PUT", path, version, {"location": "eastus", "properties": wanted})
        return path

    def ended(self, path: str, version: str = CURRENT) -> tuple[str, Any]:
        deadline = time.monotonic() + 40
        while True:
            status = self.call("GET", path, version)["properties"]["currentStatus"]
            if status["state"] not in ("InProgress", "WaitingForUserAction"):
                return status["state"], status
            assert time.monotonic() < deadline, status
            time.sleep(0.1)

    def migrate(self, **more: Any) -> tuple[str, Any]:
        version = more.get("version", CURRENT)
        return self.ended(self.create(**more), version)

    def at_once(self, method: str, path: str, body: Any = None) -> Any:
        one = {"method": method, "id": f"{self.networks}/{path}", "body": body}
        return self.lab.admin("POST", "arm", {"requests": [one]})["value"][0]


def addresses(lab: Running) -> dict[str, str]:
    return {item["name"]: item["hostaddr"] for item in lab.admin("GET", "state")["servers"]}


def connect(lab: Running, name: str, user: str, dbname: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=addresses(lab)[name], user=user, password=PASSWORD, dbname=dbname, autocommit=True, sslmode="prefer"
    )


def rows(lab: Running, name: str) -> int:
    with connect(lab, name, "boss", "shop") as connection:
        found = connection.execute("SELECT count(*) FROM item").fetchone()
    return int(found[0]) if found else 0


@pytest.fixture(scope="module")
def topology(lab: Running) -> Iterator[dict[str, Any]]:
    made = lab.admin("POST", "networks", TOPOLOGY)
    with connect(lab, "tp-src", "boss@tp-src", "shop") as connection:
        connection.execute("CREATE TABLE item AS SELECT generate_series(1, %s) AS id", [ROWS])
    yield made
    links = [f"{zone}/virtualNetworkLinks/{name}" for zone in made["private_dns_zones"].values() for name in LINKS]
    kinds = [made[kind].values() for kind in ("private_endpoints", "servers")]
    azure = [item for kind in kinds for item in kind if "/PgflexLab/" not in item]
    remove(lab, [*azure, *links, *made["private_dns_zones"].values()])
    for network in made["networks"].values():
        # The subnet of a deleted server is held for a while.
        for _try in range(600):
            try:
                remove(lab, [network])
            except LabFailed as refusal:
                if "InUseSubnetCannotBeDeleted" not in str(refusal):
                    raise
                time.sleep(0.1)
            else:
                break


def remove(lab: Running, doomed: list[str]) -> None:
    lab.admin("POST", "arm", {"requests": [{"method": "DELETE", "id": item} for item in doomed]})


@pytest.fixture
def arm(lab: Running, clients: Clients, topology: dict[str, Any]) -> Arm:
    return Arm(lab, clients)


def test_what_is_declared_is_there_for_real_clients(clients: Clients, lab: Running, topology: dict[str, Any]) -> None:
    assert set(topology) == {"networks", "private_dns_zones", "servers", "private_endpoints"}
    shown = clients.network.virtual_networks.get(GROUP, "tp-a")
    assert shown.id == topology["networks"]["tp-a"] and shown.properties.provisioning_state == "Succeeded"
    [peering] = shown.properties.virtual_network_peerings
    assert (peering.name, peering.properties.peering_state) == ("tp-a-to-tp-b", "Connected")
    server = clients.flexible.servers.get(GROUP, "tp-tgt").properties
    assert server.network.delegated_subnet_resource_id == f"{topology['networks']['tp-b']}/subnets/pg"
    [end] = clients.single.servers.get(GROUP, "tp-src").private_endpoint_connections
    assert end.properties.private_endpoint.id == topology["private_endpoints"]["tp-pe"]
    found = {item["name"]: item["private_ip"] for item in lab.admin("GET", "state")["servers"]}
    assert (found["tp-tgt"], found["tp-own"]) == ("10.82.1.4", "192.168.81.5")


def test_the_current_service(lab: Running, arm: Arm) -> None:
    link = f"privateDnsZones/{LINKED}/virtualNetworkLinks/tp-b"
    body = arm.at_once("GET", link)
    arm.at_once("DELETE", link)
    state, status = arm.migrate(migrationOption="ValidateAndMigrate")
    assert state == "ValidationFailed"
    [check] = status["currentSubStateDetails"]["validationDetails"]["serverLevelValidationDetails"]
    assert (check["type"], check["state"]) == ("AuthenticationAndConnectivityValidation", "Failed")
    [message] = check["messages"]
    assert (
        message["message"].startswith("603000:") and "'tp-src'" in message["message"] and LINKED in message["message"]
    )
    state, status = arm.migrate(migrationOption="Migrate")
    assert state == "Failed" and status["error"].startswith("603000:") and "'tp-b'" in status["error"]
    arm.at_once("PUT", link, body)
    assert arm.migrate(migrationOption="ValidateAndMigrate")[0] == "Succeeded"
    assert rows(lab, "tp-tgt") == ROWS


def test_the_classic_service(lab: Running, arm: Arm, topology: dict[str, Any]) -> None:
    arm.clients.resources.providers.register("Microsoft.DataMigration")
    client, secret = SECRETS["limited"]
    app = {"clientId": client, "tenantId": arm.clients.tenant, "aadSecret": secret}
    order: dict[str, Any] = {
        "version": CLASSIC,
        "secretParameters": {
            "adminCredentials": {"sourceServerPassword": PASSWORD, "targetServerPassword": PASSWORD},
            "aadApp": app,
        },
        "migrationResourceGroup": {"subnetResourceId": f"{topology['networks']['tp-a']}/subnets/pg"},
    }
    state, status = arm.migrate(**order)
    assert state == "Failed" and "603000" in status["error"] and "is delegated to" in status["error"]
    order["migrationResourceGroup"] = {"subnetResourceId": f"{topology['networks']['tp-a']}/subnets/ends"}
    assert arm.migrate(**order)[0] == "Succeeded"
    assert rows(lab, "tp-tgt") == ROWS


def test_a_runtime_server(lab: Running, arm: Arm, topology: dict[str, Any]) -> None:
    """Made, used and deleted as a client does; source and target are reached by their endpoints only."""
    runtime = f"{arm.servers}/flexibleServers/tp-run"
    with pytest.raises(urllib.error.HTTPError) as missing:
        arm.create("tp-end", migrationInstanceResourceId=runtime)
    assert missing.value.code == 404
    state, status = arm.migrate(target="tp-end", migrationOption="Migrate")
    assert state == "Failed" and "a migration runtime server is needed" in status["error"]
    zone = lab.admin(
        "POST",
        "networks",
        {"private_dns_zones": [{"name": "tp-run.private.postgres.database.azure.com", "links": ["tp-b"]}]},
    )["private_dns_zones"]
    placed = flexible.Network(
        delegated_subnet_resource_id=f"{topology['networks']['tp-b']}/subnets/pg",
        private_dns_zone_arm_resource_id=next(iter(zone.values())),
    )
    wanted = flexible.Server(
        location="eastus",
        sku=flexible.Sku(name="Standard_D2ds_v5", tier="GeneralPurpose"),
        properties=flexible.ServerProperties(
            administrator_login="boss", administrator_login_password=PASSWORD, version="15", network=placed
        ),
    )
    servers = arm.clients.flexible.servers
    made = servers.begin_create_or_update(GROUP, "tp-run", wanted).result()
    assert made.properties.state == "Ready"
    state, status = arm.migrate(target="tp-end", migrationInstanceResourceId=runtime)
    assert state == "Succeeded", status
    assert rows(lab, "tp-end") == ROWS
    servers.begin_delete(GROUP, "tp-run").result()
    assert "tp-run" not in addresses(lab)
    subnets = arm.clients.network.subnets
    # The association of a deleted server holds its subnet for a while.
    for _try in range(600):
        links = [item.properties.link for item in subnets.get(GROUP, "tp-b", "pg").properties.service_association_links]
        if runtime not in links:
            break
        time.sleep(0.1)
    assert links == [topology["servers"]["tp-tgt"]]


def test_a_private_source_outside_azure(lab: Running, arm: Arm) -> None:
    with connect(lab, "tp-own", "boss", "postgres") as connection:
        connection.execute("CREATE DATABASE shop")
    with connect(lab, "tp-own", "boss", "shop") as connection:
        connection.execute("CREATE TABLE item AS SELECT 1 AS id")
    order = {"sourceDbServerResourceId": "192.168.81.5:5432@boss", "sourceType": "OnPremises"}
    state, status = arm.migrate(**order)
    assert state == "Succeeded", status
    assert rows(lab, "tp-tgt") == 1
    with pytest.raises(urllib.error.HTTPError) as refused:
        arm.create("shop-flex", **order)
    assert "Non supported network configuration" in refused.value.read().decode()


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("networks", {"networks": [{"name": "x"}]}, "'address_space' is missing"),
        ("networks", {"networks": ["x"]}, "networks must be a list of mappings"),
        ("networks", {"networks": [{"name": "x", "address_space": "10.1.2.3/16"}]}, "InvalidCIDRNotation"),
        ("networks", {"private_endpoints": [{"name": "x", "server": "no", "subnet": "a/b"}]}, "no server no"),
        ("networks", {"resource_group": "no", "networks": [{"name": "x", "address_space": "10.1.0.0/16"}]}, "NotFound"),
        ("servers", server("other", "tp-x", routes=["tp-a"]), "needs a private_address"),
        ("servers", server("flexible", "tp-x", network={"subnet": "tp-a/ends", "zone": OWN}), "delegations"),
        ("servers", server("single", "tp-x", virtual_network_rules={"r": "tp-a/no"}), "'.*no' was not found"),
        ("servers", server("single", "shop-single"), "There is a server shop-single already"),
        ("dns_servers", {}, "needs an address"),
        ("arm", {"requests": [{"method": "DELETE", "id": "nonsense"}]}, "nonsense"),
        ("arm", {"requests": [{"method": "GET", "id": "/subscriptions/none"}]}, "SubscriptionNotFound"),
    ],
)
def test_bad_declarations(lab: Running, topology: dict[str, Any], path: str, body: Any, words: str) -> None:
    with pytest.raises(LabFailed, match=f"(?s)400.*{words}"):
        lab.admin("POST", path, body)
    assert "tp-x" not in addresses(lab)


def test_dns_servers(lab: Running) -> None:
    assert lab.admin("POST", "dns_servers", {"address": "10.81.0.99", "forwards": True}) == {"address": "10.81.0.99"}
