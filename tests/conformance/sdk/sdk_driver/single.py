# SPDX-License-Identifier: GPL-3.0-or-later
"""azure-mgmt-rdbms (postgresql) 9 and 10: Single Servers."""

from __future__ import annotations

import io
import json

from azure.mgmt.rdbms.postgresql import PostgreSQLManagementClient, models

from sdk_driver.judge import Judge, Target


class Single:
    def __init__(self) -> None:
        self.judge = Judge("azure-mgmt-rdbms")
        self.lab = Target()
        self.client = self.lab.client(PostgreSQLManagementClient, self.judge)
        self.name = f"single-{self.lab.tag}"
        self.at = (self.lab.group, self.name)

    def run(self) -> Judge:
        self.servers()
        self.parameters()
        self.children()
        self.judge.wait("servers.begin_delete", self.client.servers.begin_delete, *self.at)
        self.judge.get("operations.list", self.client.operations.list)
        return self.judge

    def servers(self) -> None:
        servers, judge = self.client.servers, self.judge
        wanted = models.NameAvailabilityRequest(name=self.name, type="Microsoft.DBforPostgreSQL/servers")
        judge.get("check_name_availability.execute", self.client.check_name_availability.execute, wanted)
        content = models.ServerForCreate(
            location="eastus",
            sku=models.Sku(name="GP_Gen5_2", tier="GeneralPurpose", family="Gen5", capacity=2),
            properties=models.ServerPropertiesForDefaultCreate(
                administrator_login="pgadmin",
                administrator_login_password="Conf0rmance-Passw0rd",
                version="11",
                ssl_enforcement="Enabled",
                storage_profile=models.StorageProfile(storage_mb=51200, backup_retention_days=7),
            ),
            tags={"made": "by-sdk"},
        )
        judge.wait("servers.begin_create", servers.begin_create, *self.at, content)
        judge.get("servers.get", servers.get, *self.at)
        judge.rows("servers.list", servers.list)
        judge.rows("servers.list_by_resource_group", servers.list_by_resource_group, self.lab.group)
        change = models.ServerUpdateParameters(public_network_access="Disabled", tags={"made": "over"})
        judge.wait("servers.begin_update", servers.begin_update, *self.at, change)
        judge.wait("servers.begin_restart", servers.begin_restart, *self.at)
        absent = f"none-{self.lab.tag}"
        judge.refused("servers.get of none", "ResourceNotFound", 404, servers.get, self.lab.group, absent)

    def parameters(self) -> None:
        configurations, judge = self.client.configurations, self.judge
        judge.rows("configurations.list_by_server", configurations.list_by_server, *self.at)
        judge.get("configurations.get", configurations.get, *self.at, "azure.replication_support")
        logical = models.Configuration(value="LOGICAL", source="user-override")
        put = configurations.begin_create_or_update
        judge.wait("configurations.begin_create_or_update", put, *self.at, "azure.replication_support", logical)
        if self.judge.version.startswith("9."):
            # Its models cannot say which parameters are meant: their names are read-only.
            return
        several = {
            "log_min_duration_statement": "1000",
            "statement_timeout": "60000",
        }
        content = json.dumps({"value": [{"name": name, "properties": {"value": to}} for name, to in several.items()]})
        together = self.client.server_parameters.begin_list_update_configurations
        # What it ends with is the operation's status and no list, as the SDK asks for it.
        with judge.operation("server_parameters.begin_list_update_configurations"):
            together(*self.at, io.BytesIO(content.encode())).result(timeout=60)

    def children(self) -> None:
        rules, databases, judge = self.client.firewall_rules, self.client.databases, self.judge
        rule = models.FirewallRule(start_ip_address="0.0.0.0", end_ip_address="0.0.0.0")
        judge.wait("firewall_rules.begin_create_or_update", rules.begin_create_or_update, *self.at, "azure", rule)
        judge.get("firewall_rules.get", rules.get, *self.at, "azure")
        judge.rows("firewall_rules.list_by_server", rules.list_by_server, *self.at)
        judge.wait("firewall_rules.begin_delete", rules.begin_delete, *self.at, "azure")
        database = models.Database(charset="UTF8", collation="English_United States.1252")
        judge.wait("databases.begin_create_or_update", databases.begin_create_or_update, *self.at, "orders", database)
        judge.get("databases.get", databases.get, *self.at, "orders")
        judge.rows("databases.list_by_server", databases.list_by_server, *self.at)
        judge.wait("databases.begin_delete", databases.begin_delete, *self.at, "orders")


def judges() -> list[Judge]:
    return [Single().run()]
