# SPDX-License-Identifier: GPL-3.0-or-later
"""Every property that a handler reads, one after the other, as everything that it is not."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from conformance_table import tried
from wire import Answer, Wire

Json = dict[str, Any]

WRONG: list[Any] = [None, True, -1, 10**30, 1.5, "", "\x00", "ü'\";--" * 900, [], [None, {}], {}, {"a": {"b": [1]}}]
NAMES = {
    "resourceGroupName": "shop-rg",
    "serverName": "shop-single",
    "flexibleServerName": "shop-flex",
    "configurationName": "work_mem",
    "databaseName": "any",
    "firewallRuleName": "any",
    "virtualNetworkRuleName": "any",
    "migrationName": "any",
    "roleAssignmentName": "0d5ff4d0-0000-4000-8000-000000000002",
    "roleDefinitionName": "0d5ff4d0-0000-4000-8000-000000000003",
    "resourceProviderNamespace": "Microsoft.DBforPostgreSQL",
    "locationName": "eastus",
    "privateDnsZoneName": "any.example",
}
GROUP = "/subscriptions/{subscription}/resourceGroups/shop-rg"
SERVER = f"{GROUP}/providers/Microsoft.DBforPostgreSQL/servers/shop-single"
NETWORK = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/any"
VALUES = {
    "addressPrefix": "10.9.1.0/24",
    "addressPrefixes": "10.9.0.0/16",
    "remoteVirtualNetwork": NETWORK,
    "virtualNetwork": NETWORK,
    "subnet": f"{NETWORK}/subnets/any",
    "serviceName": "Microsoft.DBforPostgreSQL/flexibleServers",
    "privateDnsZoneId": f"{GROUP}/providers/Microsoft.Network/privateDnsZones/any.example",
    "ipv4Address": "10.9.1.4",
    "status": "Approved",
    "administratorLoginPassword": "Lab-Passw0rd!any",
    "privateLinkServiceId": f"{GROUP}/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-flex",
    "groupIds": "postgresqlServer",
    "service": "Microsoft.Storage",
    "resolutionPolicy": "Default",
    "privateEndpointNetworkPolicies": "Disabled",
    "privateLinkServiceNetworkPolicies": "Enabled",
    "protocol": "Tcp",
    "access": "Allow",
    "direction": "Inbound",
    "sourceAddressPrefix": "*",
    "sourceAddressPrefixes": "10.0.0.0/8",
    "destinationAddressPrefix": "*",
    "sourcePortRange": "*",
    "destinationPortRange": "5432",
    "destinationPortRanges": "5432",
    "publicNetworkAccess": "Enabled",
    "sslEnforcement": "Enabled",
    "mode": "Disabled",
    "name": "Standard_D4ds_v5",
    "tier": "GeneralPurpose",
    "location": "eastus",
    "startIpAddress": "10.0.0.1",
    "endIpAddress": "10.0.0.2",
    "charset": "UTF8",
    "value": "8192",
    "operation": "Merge",
    "sourceDbServerResourceId": SERVER,
    "sourceDBServerResourceId": SERVER,
    "migrationMode": "Offline",
    "migrationOption": "ValidateAndMigrate",
    "sourceType": "PostgreSQLSingleServer",
    "sslMode": "Prefer",
    "principalType": "ServicePrincipal",
    "roleDefinitionId": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "principalId": "0d5ff4d0-0000-4000-8000-000000000004",
    "signInAudience": "AzureADMyOrg",
}
OPTIONAL = {
    *("delegatedSubnetResourceId", "privateDnsZoneArmResourceId", "migrationInstanceResourceId", "conditionVersion"),
    *(
        "migrationWindowStartTimeInUtc",
        "migrationWindowEndTimeInUtc",
        "startDateTime",
        "endDateTime",
        "ipConfigurations",
    ),
    *("sourceDbServerFullyQualifiedDomainName", "targetDbServerFullyQualifiedDomainName", "privateIPAddress"),
    *("manualPrivateLinkServiceConnections", "subnets", "virtualNetworkPeerings", "networkSecurityGroup", "source"),
} | {"cancel", "dbsToCancelMigrationOn", "createMode", "administratorLogin", "availabilityZone", "version"}
"""Left out of the body that is changed: with them it would be refused before the rest is read."""
SLOW = ("/restart", "/configurations/work_mem", "/databases/any")
"""Each change takes a real server's time, so that fewer values have to do."""
BUSY_SECONDS = 5.0


def sample(schema: Json, wire: Wire, name: str = "") -> Any:
    """A body that fits, with values that the lab knows."""
    match schema.get("type"):
        case "object":
            parts = schema.get("properties", {})
            named = {key: name if key == "id" else key for key in parts}
            return {key: sample(part, wire, named[key]) for key, part in parts.items() if key not in OPTIONAL}
        case "array":
            return [sample(schema["items"], wire, name)]
        case "integer":
            return 102400 if name == "storageMB" else 128
        case "boolean":
            return False
    return VALUES.get(name, "False").format(subscription=wire.subscription) if name in VALUES else "False"


def places(schema: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a wrong value can stand, the whole body included."""
    yield path
    for key, part in schema.get("properties", {}).items():
        yield from places(part, (*path, key))
    if "items" in schema:
        yield from places(schema["items"], (*path, 0))


def changed(body: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    made = copy.deepcopy(body)
    inner = made
    for step in path[:-1]:
        inner = inner.setdefault(step, {}) if isinstance(inner, dict) else inner[int(step)]
    inner[path[-1]] = value
    return made


def ask(wire: Wire, method: str, path: str, body: Any, api_version: str) -> Answer:
    """A server that is busy with the last change would refuse this one unread."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        answer = wire.ask(method, path, body, api_version=api_version)
        busy = answer.status == 409 and answer.body["error"]["code"] == "ServerIsBusy"
        if not busy or time.monotonic() > deadline:
            return answer
        time.sleep(0.02)


def operations(wire: Wire, tag: str) -> Iterator[tuple[str, str, Json, list[str]]]:
    """Method, path, schema of the body and API versions of everything that reads one."""
    for path, methods in wire.lab.admin("GET", "openapi.json")["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None or tag not in operation["tags"] or path.endswith(("/stop", "/unregister")):
                continue
            where = path.replace("{subscriptionId}", wire.subscription)
            for name, value in NAMES.items():
                where = where.replace(f"{{{name}}}", value)
            if tag != "Graph":
                where = re.sub(r"\{[^}]+\}", "any", where)
            asked = next((item["schema"] for item in operation["parameters"] if item["name"] == "api-version"), {})
            versions = [
                v for v in asked.get("enum", []) if v in ("2017-12-01", "2024-08-01", "2022-05-01-privatepreview")
            ]
            yield method.upper(), where, content["schema"], versions or [asked.get("example", "")]


@pytest.mark.parametrize("tag", ["Resource Manager", "Graph"])
def test_no_property_is_trusted(tag: str, wire: Wire) -> None:
    failures: list[str] = []
    for method, path, schema, versions in operations(wire, tag):
        body = sample(schema, wire)
        where = path
        if path.endswith("/shop-single"):
            body["sku"]["name"] = "GP_Gen5_4"
        if "/privateDnsZones" in path or path.endswith("/virtualNetworkLinks/any"):
            body = {**body, "location": "global"}
        if tag == "Graph" and "{id}" in path:
            kind = path.split("/")[2]
            where = path.replace("{id}", wire.ask("GET", f"/v1.0/{kind}").body["value"][-1]["id"])
        try:
            with tried("property", "1", f"{method} {path}"):
                values = WRONG[1::5] if path.endswith(SLOW) else WRONG
                if path.endswith(("/shop-flex", "/shop-single")):
                    # PUT and PATCH of a server are one to the lab.
                    values = WRONG[method == "PUT" :: 3]
                for version in versions:
                    for place in places(schema):
                        for value in values:
                            ask(wire, method, where, changed(body, place, value), version)
        except (AssertionError, OSError) as failure:
            failures.append(str(failure)[:1500])
    assert not failures, "\n\n".join(failures)
