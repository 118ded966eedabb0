# SPDX-License-Identifier: GPL-3.0-or-later
"""Wires the parts together."""

from __future__ import annotations

from typing import Any

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.operations import Operations
from pgflex_lab.arm.router import Router
from pgflex_lab.arm.store import Store
from pgflex_lab.clusters import Clusters
from pgflex_lab.directory import Caller, Directory
from pgflex_lab.faults import FaultPlan
from pgflex_lab.graph import Graph
from pgflex_lab.migrations.service import MigrationService
from pgflex_lab.rbac import Rbac, forbidden
from pgflex_lab.reachability import DnsServer, Reachability
from pgflex_lab.resources.configurations import Configurations
from pgflex_lab.resources.databases import Databases
from pgflex_lab.resources.firewall_rules import Rules
from pgflex_lab.resources.flexible_servers import FlexibleServers
from pgflex_lab.resources.network_security_groups import NetworkSecurityGroups
from pgflex_lab.resources.networking import Networking
from pgflex_lab.resources.peerings import Peerings
from pgflex_lab.resources.permissions import Permissions
from pgflex_lab.resources.private_dns_links import PrivateDnsLinks
from pgflex_lab.resources.private_dns_records import PrivateDnsRecords
from pgflex_lab.resources.private_dns_zone_groups import PrivateDnsZoneGroups
from pgflex_lab.resources.private_dns_zones import PrivateDnsZones
from pgflex_lab.resources.private_endpoints import PrivateEndpoints
from pgflex_lab.resources.providers import Providers
from pgflex_lab.resources.resource_groups import ResourceGroups
from pgflex_lab.resources.role_assignments import RoleAssignments
from pgflex_lab.resources.role_definitions import RoleDefinitions
from pgflex_lab.resources.server_connections import ServerConnections
from pgflex_lab.resources.server_networks import ServerNetworks
from pgflex_lab.resources.servers import Servers
from pgflex_lab.resources.single_servers import SingleServers
from pgflex_lab.resources.subnets import Subnets
from pgflex_lab.resources.subscriptions import Subscriptions
from pgflex_lab.resources.tags import Tags
from pgflex_lab.resources.virtual_networks import VirtualNetworks
from pgflex_lab.settings import Clock, Settings
from pgflex_lab.tls import Authority


class Lab:
    """One Azure: directory, resources, servers. `app.py` puts it on the network, `seed.py` fills it."""

    def __init__(self, settings: Settings, authority: Authority) -> None:
        self.settings = settings
        self.clock = Clock(settings.time_scale)
        self.store = Store()
        self.faults = FaultPlan(settings.fault_seed)
        self.directory = Directory(settings, self.clock)
        self.graph = Graph(self.directory)
        self.rbac = Rbac(self.store, self.directory, self.clock, settings.role_lag)
        self.clusters = Clusters(settings, authority.issue)
        self.operations = Operations(self)
        self.providers = Providers(self)
        self.servers = Servers(self)
        self.configurations = Configurations(self)
        self.rules = Rules(self)
        self.databases = Databases(self)
        self.subscriptions = Subscriptions(self)
        self.resource_groups = ResourceGroups(self)
        self.role_definitions = RoleDefinitions(self)
        self.role_assignments = RoleAssignments(self)
        self.permissions = Permissions(self)
        self.single_servers = SingleServers(self)
        self.flexible_servers = FlexibleServers(self)
        self.networking = Networking(self)
        self.virtual_networks = VirtualNetworks(self)
        self.subnets = Subnets(self)
        self.peerings = Peerings(self)
        self.private_dns_zones = PrivateDnsZones(self)
        self.private_dns_records = PrivateDnsRecords(self)
        self.private_dns_links = PrivateDnsLinks(self)
        self.private_dns_zone_groups = PrivateDnsZoneGroups(self)
        self.private_endpoints = PrivateEndpoints(self)
        self.network_security_groups = NetworkSecurityGroups(self)
        self.server_connections = ServerConnections(self)
        self.server_networks = ServerNetworks(self)
        self.tags = Tags(self)
        self.dns_servers: dict[str, DnsServer] = {}
        """Those that are not Azure's, by address."""
        self.reachability = Reachability(self)
        self.migrations = MigrationService(self)
        self.environment: dict[str, str] = {}
        """What the seed's operator exports; filled by seed.py."""
        parts: list[Any] = [
            self.operations,
            self.providers,
            self.configurations,
            self.rules,
            self.databases,
            self.subscriptions,
            self.resource_groups,
            self.role_definitions,
            self.role_assignments,
            self.permissions,
            self.single_servers,
            self.flexible_servers,
            self.virtual_networks,
            self.subnets,
            self.peerings,
            self.private_dns_zones,
            self.private_dns_records,
            self.private_dns_links,
            self.private_dns_zone_groups,
            self.private_endpoints,
            self.network_security_groups,
            self.server_connections,
            self.tags,
        ]
        self.router = Router(self, [row for part in parts for row in part.types()])

    def registered(self, subscription_id: str, namespace: str) -> bool:
        return self.providers.is_registered(subscription_id, namespace)

    def handle_migrations(self, request: ArmRequest) -> ArmResponse:
        return self.migrations.handle(request)

    def refusal(self, request: ArmRequest, action: str) -> ArmError:
        principal = self.directory.principals.get(request.principal_id)
        caller = Caller(request.principal_id, principal.app_id if principal else "")
        return forbidden(caller, action, request.id)

    def close(self) -> None:
        """Ends migrations, operations and servers, in this order."""
        self.migrations.stop()
        self.operations.close()
        self.clusters.stop_all()
