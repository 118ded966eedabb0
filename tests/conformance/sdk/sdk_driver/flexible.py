# SPDX-License-Identifier: GPL-3.0-or-later
"""azure-mgmt-postgresqlflexibleservers 1.1 (2024-08-01), 2.0 (2025-08-01) and 3.0 (2026-10-01)."""

from __future__ import annotations

import time
from typing import Any

from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient, models

from sdk_driver.judge import Judge, Target, both

PASSWORD = "Conf0rmance-Passw0rd"


def model(*names: str) -> Any:
    """The class, which has had other names."""
    return next(getattr(models, name) for name in names if hasattr(models, name))


class Flexible:
    def __init__(self) -> None:
        self.judge = Judge("azure-mgmt-postgresqlflexibleservers")
        self.lab = Target()
        self.client = self.lab.client(PostgreSQLManagementClient, self.judge)
        self.name = f"flex-{self.lab.tag}"
        self.at = (self.lab.group, self.name)
        self.first = self.judge.version.startswith("1.")

    def run(self) -> Judge:
        self.places()
        self.servers()
        self.configurations()
        self.firewall_rules()
        self.databases()
        Migrations(self).run()
        self.ended()
        return self.judge

    def places(self) -> None:
        client, judge = self.client, self.judge
        wanted = models.CheckNameAvailabilityRequest(name=self.name, type="Microsoft.DBforPostgreSQL/flexibleServers")
        if self.first:
            judge.rows("location_based_capabilities.execute", client.location_based_capabilities.execute, "eastus")
            judge.get("check_name_availability.execute", client.check_name_availability.execute, wanted)
            nearby = client.check_name_availability_with_location.execute
            judge.get("check_name_availability_with_location.execute", nearby, "eastus", wanted)
        else:
            judge.rows("capabilities_by_location.list", client.capabilities_by_location.list, "eastus")
            judge.get("name_availability.check_globally", client.name_availability.check_globally, wanted)
            nearby = client.name_availability.check_with_location
            judge.get("name_availability.check_with_location", nearby, "eastus", wanted)

    def servers(self) -> None:
        servers, judge = self.client.servers, self.judge
        content = models.Server(
            administrator_login="pgadmin",
            administrator_login_password=PASSWORD,
            version="15",
            storage=models.Storage(storage_size_gb=64),
            backup=models.Backup(backup_retention_days=7, geo_redundant_backup="Disabled"),
            high_availability=models.HighAvailability(mode="Disabled"),
            network=models.Network(public_network_access="Enabled"),
            create_mode="Create",
            location="eastus",
            sku=models.Sku(name="Standard_D2ds_v5", tier="GeneralPurpose"),
            tags={"made": "by-sdk"},
        )
        create = "begin_create" if self.first else "begin_create_or_update"
        judge.wait(f"servers.{create}", getattr(servers, create), *self.at, content)
        judge.get("servers.get", servers.get, *self.at)
        judge.rows("servers.list_by_resource_group", servers.list_by_resource_group, self.lab.group)
        everywhere = "list" if self.first else "list_by_subscription"
        judge.rows(f"servers.{everywhere}", getattr(servers, everywhere))
        size = models.Storage(storage_size_gb=128)
        change = model("ServerForPatch", "ServerForUpdate")(storage=size, tags={"size": "2"})
        judge.wait("servers.begin_update", servers.begin_update, *self.at, change)
        judge.wait("servers.begin_restart", servers.begin_restart, *self.at, models.RestartParameter())
        judge.wait("servers.begin_stop", servers.begin_stop, *self.at)
        judge.wait("servers.begin_start", servers.begin_start, *self.at)
        judge.refused(
            "servers.get of none", "ResourceNotFound", 404, servers.get, self.lab.group, f"none-{self.lab.tag}"
        )
        if self.first:
            judge.rows("server_capabilities.list", self.client.server_capabilities.list, *self.at)
        else:
            judge.rows("capabilities_by_server.list", self.client.capabilities_by_server.list, *self.at)

    def configurations(self) -> None:
        configurations, judge = self.client.configurations, self.judge
        judge.rows("configurations.list_by_server", configurations.list_by_server, *self.at)
        judge.get("configurations.get", configurations.get, *self.at, "max_connections")
        change = models.Configuration(value="60000", source="user-override")
        judge.wait("configurations.begin_put", configurations.begin_put, *self.at, "statement_timeout", change)
        update = models.ConfigurationForUpdate(value="pgcrypto,pg_trgm", source="user-override")
        judge.wait("configurations.begin_update", configurations.begin_update, *self.at, "azure.extensions", update)

    def firewall_rules(self) -> None:
        rules, judge = self.client.firewall_rules, self.judge
        rule = models.FirewallRule(start_ip_address="0.0.0.0", end_ip_address="0.0.0.0")
        judge.wait("firewall_rules.begin_create_or_update", rules.begin_create_or_update, *self.at, "azure", rule)
        judge.wait("firewall_rules.begin_create_or_update", rules.begin_create_or_update, *self.at, "away", rule)
        judge.get("firewall_rules.get", rules.get, *self.at, "azure")
        judge.rows("firewall_rules.list_by_server", rules.list_by_server, *self.at)
        judge.wait("firewall_rules.begin_delete", rules.begin_delete, *self.at, "away")

    def databases(self) -> None:
        databases, judge = self.client.databases, self.judge
        content = models.Database(charset="UTF8", collation="en_US.utf8")
        judge.wait("databases.begin_create", databases.begin_create, *self.at, "orders", content)
        judge.get("databases.get", databases.get, *self.at, "orders")
        judge.rows("databases.list_by_server", databases.list_by_server, *self.at)
        judge.wait("databases.begin_delete", databases.begin_delete, *self.at, "orders")

    def ended(self) -> None:
        self.judge.wait("servers.begin_delete", self.client.servers.begin_delete, *self.at)
        # The first SDK has no pages here.
        listed = self.judge.get if self.first else self.judge.rows
        listed("operations.list", self.client.operations.list)


class Migrations:
    """A validation that ends by itself, and an online migration that is cut over and one that is canceled."""

    def __init__(self, flexible: Flexible) -> None:
        self.judge, self.client, self.lab = flexible.judge, flexible.client, flexible.lab
        self.migrations = self.client.migrations
        self.first = flexible.first
        self.at: tuple[str, ...] = flexible.at
        if self.first:
            self.at = (self.lab.subscription, *self.at)

    def run(self) -> None:
        judge, migrations = self.judge, self.migrations
        self.check_name()
        content = self.content("Validate")
        judge.get("migrations.create", migrations.create, *self.at, "validation", content)
        judge.get("migrations.get", migrations.get, *self.at, "validation")
        judge.rows("migrations.list_by_target_server", migrations.list_by_target_server, *self.at)
        self.until("validation", "Succeeded")
        judge.get("migrations.get of an ended one", migrations.get, *self.at, "validation")
        judge.rows(
            "migrations.list_by_target_server of all",
            migrations.list_by_target_server,
            *self.at,
            migration_list_filter="All",
        )
        judge.get("migrations.create online", migrations.create, *self.at, "moved", self.content("Migrate", "Online"))
        self.until("moved", "WaitingForUserAction")
        change = models.MigrationResourceForPatch(trigger_cutover="True", dbs_to_trigger_cutover_on=["shop"])
        judge.get("migrations.update to cut over", migrations.update, *self.at, "moved", change)
        self.until("moved", "Succeeded")
        judge.get("migrations.create again", migrations.create, *self.at, "left", self.content("Migrate", "Online"))
        self.until("left", "WaitingForUserAction")
        if self.first:
            judge.get(
                "migrations.update to cancel",
                migrations.update,
                *self.at,
                "left",
                models.MigrationResourceForPatch(cancel="True"),
            )
        else:
            judge.get("migrations.cancel", migrations.cancel, *self.at, "left")
        self.until("left", "Canceled")
        if self.first:
            judge.get("migrations.delete", migrations.delete, *self.at, "left")
        judge.refused("migrations.get of none", "ResourceNotFound", 404, migrations.get, *self.at, "none")

    def check_name(self) -> None:
        kind = "Microsoft.DBforPostgreSQL/flexibleServers/migrations"
        if self.first:
            wanted = models.MigrationNameAvailabilityResource(name="validation", type=kind)
            method = self.client.check_migration_name_availability
        else:
            wanted = models.MigrationNameAvailability(name="validation", type=kind)
            method = self.migrations.check_name_availability
        self.judge.get("migrations.check_name_availability", method, *self.at, wanted)

    def content(self, option: str, mode: str = "Offline") -> Any:
        secrets = models.MigrationSecretParameters(
            admin_credentials=models.AdminCredentials(
                source_server_password="Lab-Passw0rd!source", target_server_password=PASSWORD
            ),
            source_server_username="pgadmin@shop-single",
            target_server_username="pgadmin",
        )
        return model("Migration", "MigrationResource")(
            location="eastus",
            migration_mode=mode,
            migration_option=option,
            source_type="PostgreSQLSingleServer",
            ssl_mode="Prefer",
            source_db_server_resource_id=f"{self.lab.postgresql}/servers/shop-single",
            secret_parameters=secrets,
            dbs_to_migrate=["shop"],
            overwrite_dbs_in_target="True",
            setup_logical_replication_on_source_db_if_needed="True",
        )

    def until(self, name: str, state: str) -> None:
        """Looks until the migration is in the state; every answer on the way has to fit the model, too."""
        with self.judge.operation(f"migrations.get until {state}"):
            deadline = time.monotonic() + 30
            while (found := self.state(name)) != state:
                assert time.monotonic() < deadline, f"{name} is {found}, not {state}"
                assert found not in ("Failed", "ValidationFailed"), self.migrations.get(*self.at, name).as_dict()
                time.sleep(0.1)

    def state(self, name: str) -> str:
        answer, found = self.migrations.get(*self.at, name, cls=both)
        self.judge.require_whole(answer, found)
        inner = getattr(found, "properties", None) or found
        return str(getattr(inner.current_status.state, "value", inner.current_status.state))


def judges() -> list[Judge]:
    return [Flexible().run()]
