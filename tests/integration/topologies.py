# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides' topologies, built in the lab through Azure Resource Manager, each in a resource group of its own."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from arm import Arm
from plays import PASSWORD, Server

FLEXIBLE = "Microsoft.DBforPostgreSQL/flexibleServers"
PRIVATE_LINK = "privatelink.postgres.database.azure.com"
ADMITS_AZURE = {"AllowAllAzureIps": ["0.0.0.0", "0.0.0.0"]}
SAMPLE = """
CREATE TABLE line (n int PRIMARY KEY, text text, ratio float8);
INSERT INTO line SELECT g, 'line ' || g, 1.0 / g FROM generate_series(1, 500) g;
CREATE SEQUENCE ticket START 1000;
"""
CLIENT = "44444444-0000-4000-8000-00000000000d"
CLIENT_SECRET = "Lab-Secret~stranger"


@dataclass
class Site:
    """A resource group, and short words for what is made in it."""

    arm: Arm
    name: str
    made: dict[str, str] = field(default_factory=dict)

    @cached_property
    def subscription(self) -> str:
        return self.arm.lab.environment()["AZURE_SUBSCRIPTION_ID"]

    @cached_property
    def group(self) -> str:
        found = f"/subscriptions/{self.subscription}/resourceGroups/{self.name}-rg"
        self.arm.put(found, {"location": "eastus"})
        return found

    @cached_property
    def work_group(self) -> str:
        """Where the classic service works: rights on it are none on the networks."""
        found = f"{self.group}-work"
        self.arm.put(found, {"location": "eastus"})
        return found

    def id(self, kind: str, name: str) -> str:
        return f"{self.group}/providers/Microsoft.Network/{kind}/{name}"

    def vnet(self, name: str, space: str, dns: tuple[str, ...] = ()) -> str:
        made = self.id("virtualNetworks", name)
        properties: dict[str, Any] = {"addressSpace": {"addressPrefixes": [space]}}
        if dns:
            properties["dhcpOptions"] = {"dnsServers": list(dns)}
        self.arm.put(made, {"location": "eastus", "properties": properties})
        return made

    def subnet(self, vnet: str, name: str, prefix: str, *, delegated: bool = False, sql: bool = False) -> str:
        properties: dict[str, Any] = {"addressPrefix": prefix}
        if delegated:
            properties["delegations"] = [{"name": "pg", "properties": {"serviceName": FLEXIBLE}}]
        if sql:
            properties["serviceEndpoints"] = [{"service": "Microsoft.Sql"}]
        self.arm.put(f"{vnet}/subnets/{name}", {"properties": properties})
        return f"{vnet}/subnets/{name}"

    def peer(self, one: str, other: str) -> None:
        for here, there in ((one, other), (other, one)):
            name = f"to-{there.rsplit('/', maxsplit=1)[-1]}"
            properties = {"remoteVirtualNetwork": {"id": there}, "allowVirtualNetworkAccess": True}
            self.arm.put(f"{here}/virtualNetworkPeerings/{name}", {"properties": properties})

    def peering(self, here: str, there: str) -> str:
        """The id of the peering from one network to the other, whoever made it under whatever name."""
        rows = self.arm.get(f"{here}/virtualNetworkPeerings")["value"]
        (found,) = (row for row in rows if row["properties"]["remoteVirtualNetwork"]["id"].lower() == there.lower())
        return str(found["id"])

    def zone(self, name: str, *vnets: str) -> str:
        made = self.id("privateDnsZones", name)
        self.arm.put(made, {"location": "global"})
        for vnet in vnets:
            self.link(made, vnet)
        return made

    def link(self, zone: str, vnet: str) -> None:
        name = f"link-{vnet.rsplit('/', maxsplit=1)[-1]}"
        properties = {"virtualNetwork": {"id": vnet}, "registrationEnabled": False}
        self.arm.put(f"{zone}/virtualNetworkLinks/{name}", {"location": "global", "properties": properties})

    def link_id(self, zone: str, vnet: str) -> str:
        """The id of the network's link to the zone, whoever made it under whatever name."""
        rows = self.arm.get(f"{zone}/virtualNetworkLinks")["value"]
        (found,) = (row for row in rows if row["properties"]["virtualNetwork"]["id"].lower() == vnet.lower())
        return str(found["id"])

    def endpoint(self, server_id: str, subnet: str, zone: str) -> str:
        made = self.id("privateEndpoints", f"{server_id.rsplit('/', maxsplit=1)[-1]}-endpoint")
        connection = {"privateLinkServiceId": server_id, "groupIds": ["postgresqlServer"]}
        properties = {
            "subnet": {"id": subnet},
            "privateLinkServiceConnections": [{"name": "connection", "properties": connection}],
        }
        self.arm.put(made, {"location": "eastus", "properties": properties})
        self.register(made, zone)
        return made

    def register(self, endpoint: str, zone: str) -> None:
        configs = [{"name": "postgres", "properties": {"privateDnsZoneId": zone}}]
        self.arm.put(self.group_of(endpoint), {"properties": {"privateDnsZoneConfigs": configs}})

    @staticmethod
    def group_of(endpoint: str) -> str:
        return f"{endpoint}/privateDnsZoneGroups/default"

    def single(self, *, public: bool = True, rules: dict[str, list[str]] | None = None) -> Server:
        more = {"type": "single", "sku": "GP_Gen5_4", "version": "11", "storage_mb": 102400}
        return self._server("single", public, rules, **more)

    def flexible(self, *, public: bool = True, network: dict[str, str] | None = None) -> Server:
        more: dict[str, Any] = {"type": "flexible", "sku": "Standard_D4ds_v5", "version": "15", "storage_gb": 128}
        if network:
            more["network"] = network
        return self._server("flex", public and not network, ADMITS_AZURE if public and not network else None, **more)

    @property
    def own_address(self) -> str:
        """A private address for a server of one's own; two of them would be one server."""
        return f"192.168.7.{zlib.crc32(self.name.encode()) % 200 + 10}"

    def other(self, **more: Any) -> Server:
        more["parameters"] = {"wal_level": "logical"}
        public = "private_address" not in more and "virtual_network" not in more
        rules = {"everyone": ["0.0.0.0", "255.255.255.255"]} if public else None
        return self._server("other", public, rules, type="other", host=f"{self.name}.corp.example", **more)

    def _server(self, kind: str, public: bool, rules: dict[str, list[str]] | None, **more: Any) -> Server:
        name = f"{self.name}-{kind}"
        asked = {
            "name": name,
            "subscription": self.subscription,
            "resource_group": self.group.rsplit("/", maxsplit=1)[-1],
            "location": "eastus",
            "admin": "pgadmin",
            "password": PASSWORD,
            "public_network_access": "Enabled" if public else "Disabled",
            "firewall_rules": rules or {},
            **more,
        }
        made = self.arm.lab.admin("POST", "servers", asked)
        return Server(name, f"pgadmin@{name}" if kind == "single" else "pgadmin", made["hostaddr"])

    def server_id(self, server: Server) -> str:
        kind = "servers" if server.name.endswith("-single") else "flexibleServers"
        return f"{self.group}/providers/Microsoft.DBforPostgreSQL/{kind}/{server.name}"


@dataclass
class Built:
    """A topology with everything in place; `parts` are the ids of what can be taken away, by name."""

    site: Site
    source: Server
    target: Server
    parts: dict[str, str]
    more: dict[str, Any] = field(default_factory=dict)

    def host(self, **more: Any) -> dict[str, Any]:
        """The dictionary pgflex, mappings of `more` laid over it key by key."""
        group = self.site.group.rsplit("/", maxsplit=1)[-1]
        made: dict[str, Any] = {
            "source": {**self.source.settings(), "resource_group": group},
            "target": {**self.target.settings(), "resource_group": group},
            "databases": ["shop"],
            "allow_source_restart": True,
            "cutover": {"trigger": "automatic", "sample_seconds": 1.2},
            "watch": {"min_interval": 0.3, "max_interval": 1, "timeout": 120},
        }
        if self.source.name.endswith("-other"):
            made["source"] = {"type": "OnPremises", "host": f"{self.site.name}.corp.example", **self.source.settings()}
            made["source"] = {k: v for k, v in made["source"].items() if k not in ("resource_group", "name")}
        for name, value in [*self.more.items(), *more.items()]:
            before = made.get(name)
            made[name] = {**before, **value} if isinstance(value, dict) and isinstance(before, dict) else value
        return made


Build = Callable[[Site], Built]


def filled(built: Built) -> Built:
    with built.source.connect("postgres") as connection:
        connection.execute("CREATE DATABASE shop")
    with built.source.connect("shop") as connection:
        connection.execute(SAMPLE)
    return built


def public_access(site: Site) -> Built:
    source, target = site.single(rules=ADMITS_AZURE), site.flexible()
    return filled(Built(site, source, target, {"rule": f"{site.server_id(source)}/firewallRules/AllowAllAzureIps"}))


def _private_target(site: Site, vnet: str, prefix: str, *linked: str) -> tuple[Server, dict[str, str]]:
    subnet = site.subnet(vnet, "target", prefix, delegated=True)
    zone = site.zone(f"{site.name}.private.postgres.database.azure.com", vnet, *linked)
    return site.flexible(network={"subnet": subnet, "zone": zone}), {"target_subnet": subnet, "target_zone": zone}


def _private_source(site: Site, vnet: str, prefix: str, *linked: str) -> tuple[Server, dict[str, str]]:
    source = site.single(public=False)
    subnet = site.subnet(vnet, "source", prefix)
    zone = site.zone(PRIVATE_LINK, vnet, *linked)
    endpoint = site.endpoint(site.server_id(source), subnet, zone)
    return source, {"source_subnet": subnet, "source_zone": zone, "endpoint": endpoint}


def private_same_vnet(site: Site) -> Built:
    vnet = site.vnet("vnet-test", "10.0.0.0/16")
    source, near = _private_source(site, vnet, "10.0.1.0/24")
    target, far = _private_target(site, vnet, "10.0.2.0/24")
    return filled(Built(site, source, target, {"vnet": vnet, **near, **far}))


def private_different_vnets(site: Site) -> Built:
    one, other = site.vnet("vnet1", "10.1.0.0/16"), site.vnet("vnet2", "10.2.0.0/16")
    site.peer(one, other)
    source, near = _private_source(site, one, "10.1.1.0/24", other)
    target, far = _private_target(site, other, "10.2.1.0/24", one)
    return filled(Built(site, source, target, {"vnet1": one, "vnet2": other, **near, **far}))


def service_endpoint_private_target(site: Site) -> Built:
    vnet = site.vnet("pvtnetwork", "172.16.0.0/16")
    source = site.single()
    target, far = _private_target(site, vnet, "172.16.2.0/24")
    site.subnet(vnet, "target", "172.16.2.0/24", delegated=True, sql=True)
    near = site.subnet(vnet, "source", "172.16.1.0/24", sql=True)
    rules = {}
    for name, subnet in (("source", near), ("target", far["target_subnet"])):
        rules[f"{name}_rule"] = f"{site.server_id(source)}/virtualNetworkRules/{name}"
        site.arm.put(rules[f"{name}_rule"], {"properties": {"virtualNetworkSubnetId": subnet}})
    return filled(Built(site, source, target, {"vnet": vnet, "source_subnet": near, **rules, **far}))


def private_source_public_target(site: Site) -> Built:
    vnet = site.vnet("vnet1", "10.1.0.0/16")
    source, near = _private_source(site, vnet, "10.1.1.0/24")
    target = site.flexible()
    runtime = {"runtime_server": {"name": f"{site.name}-runtime"}}
    return filled(Built(site, source, target, {"vnet": vnet, **near}, runtime))


def third_vnet(site: Site) -> Built:
    one, other = site.vnet("vnet1", "10.1.0.0/16"), site.vnet("vnet2", "10.2.0.0/16")
    third = site.vnet("vnet3", "10.3.0.0/16")
    work = site.subnet(third, "work", "10.3.1.0/24")
    site.peer(third, one)
    site.peer(third, other)
    source, near = _private_source(site, one, "10.1.1.0/24", third)
    target, far = _private_target(site, other, "10.2.1.0/24", third)
    parts = {"vnet1": one, "vnet2": other, "vnet3": third, "work": work, **near, **far}
    return filled(Built(site, source, target, parts))


def runtime_server(site: Site) -> Built:
    one, other = site.vnet("vnet1", "10.1.0.0/16"), site.vnet("vnet2", "10.2.0.0/16")
    site.peer(one, other)
    source, near = _private_source(site, one, "10.1.1.0/24", other)
    target = site.flexible(public=False)
    subnet = site.subnet(other, "target", "10.2.1.0/24")
    endpoint = site.endpoint(site.server_id(target), subnet, near["source_zone"])
    parts = {"vnet1": one, "vnet2": other, "target_subnet": subnet, "target_endpoint": endpoint, **near}
    return filled(Built(site, source, target, parts, {"runtime_server": {"name": f"{site.name}-runtime"}}))


def onprem_public(site: Site) -> Built:
    return filled(Built(site, site.other(), site.flexible(), {}))


def onprem_public_private_target(site: Site) -> Built:
    vnet = site.vnet("vnet1", "10.1.0.0/16")
    target, far = _private_target(site, vnet, "10.1.1.0/24")
    return filled(Built(site, site.other(), target, {"vnet": vnet, **far}))


def onprem_vpn(site: Site) -> Built:
    vnet = site.vnet("vnet1", "10.1.0.0/16")
    target, far = _private_target(site, vnet, "10.1.1.0/24")
    source = site.other(private_address=site.own_address, routes=[vnet])
    more = {"source": {"access": "private", "route": "vpn", "host": site.own_address}}
    return filled(Built(site, source, target, {"vnet": vnet, **far}, more))


def onprem_machine(site: Site) -> Built:
    one, other = site.vnet("vnet1", "10.1.0.0/16"), site.vnet("vnet2", "10.2.0.0/16")
    site.peer(one, other)
    target, far = _private_target(site, other, "10.2.1.0/24")
    source = site.other(private_address="10.1.7.4", virtual_network=one)
    access = {"access": "private", "route": "peering", "virtual_network_id": one, "host": "10.1.7.4"}
    return filled(Built(site, source, target, {"vnet1": one, "vnet2": other, **far}, {"source": access}))
