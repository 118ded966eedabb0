#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_info
short_description: Read the migrations of a Flexible Server
version_added: "1.0.0"
description:
  - Reads one migration with all its counters, or lists the active ones or all of a target server.
  - The service lists migrations without their databases' counters; with O(details=true) the module reads each of them,
    all at once.
  - With O(servers) it lists those of many target servers, with one request each, several at once.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  resource_group:
    description:
      - Resource group of the target Flexible Server.
    type: str
  server_name:
    description:
      - Name of the target Flexible Server.
    type: str
  servers:
    description:
      - Target servers whose migrations are listed, instead of one in O(server_name). One that is not there has none.
      - Of a server that could not be asked there is one entry with the state V(Unknown) and why as its error.
    type: list
    elements: dict
    suboptions:
      label:
        description: What the entries of this server are to be called; left out, the server's name.
        type: str
      subscription_id:
        description: Its subscription, where it is another one than the one signed in to.
        type: str
      resource_group:
        description: Resource group of the target Flexible Server.
        type: str
        required: true
      server_name:
        description: Name of the target Flexible Server.
        type: str
        required: true
      generation:
        description: Which migration service to ask.
        type: str
        choices: [current, classic]
        default: current
      api_version:
        description: Version of the service's API; left out, the one that the generation has.
        type: str
  name:
    description:
      - Name of one migration. Left out, the server's migrations are listed.
      - A name that is not there gives an empty list.
    type: str
  which:
    description:
      - Which migrations to list, V(active) or V(all), those that ended included.
    type: str
    choices:
      - active
      - all
    default: all
  details:
    description:
      - Whether to read the databases' counters of every migration listed, with one request each.
    type: bool
    default: false
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes.info
  - pgflex.migrate._migration.service
seealso:
  - module: pgflex.migrate.migration
  - module: pgflex.migrate.watch
"""

EXAMPLES = r"""
- name: What runs to this server now
  pgflex.migrate.migration_info:
    resource_group: shop-rg
    server_name: shop-flex
    which: active
    details: true
  register: running

- name: One migration
  pgflex.migrate.migration_info:
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-2026-11

- name: Who still migrates to any of these
  pgflex.migrate.migration_info:
    servers:
      - resource_group: shop-rg
        server_name: shop-flex
      - resource_group: stock-rg
        server_name: stock-flex
        generation: classic
    which: active

- name: Everything that was ever tried, with the classic service
  pgflex.migrate.migration_info:
    resource_group: shop-rg
    server_name: shop-flex
    generation: classic
"""

RETURN = r"""
migrations:
  description: The migrations found. Keys that the service did not send are V(null).
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the migration.
      type: str
      returned: success
      sample: /subscriptions/.../flexibleServers/shop-flex/migrations/shop-2026-11
    name:
      description: Name of the migration.
      type: str
      returned: success
      sample: shop-2026-11
    label:
      description: What the server is called in O(servers).
      type: str
      returned: when O(servers) is given
      sample: shop
    location:
      description: Azure region.
      type: str
      returned: success
      sample: eastus
    tags:
      description: Tags of the migration.
      type: dict
      returned: success
      sample: {}
    migration_id:
      description: The service's own id of the migration, for support requests.
      type: str
      returned: success
      sample: 094baadd-fa35-439b-883b-d414c58898f4
    state:
      description: >-
        V(InProgress), V(WaitingForUserAction), V(Canceled), V(Failed), V(Succeeded), V(ValidationFailed) or
        V(CleaningUp); V(Unknown) in the entry of a server of O(servers) that could not be asked, which has only its
        name, label and error beside.
      type: str
      returned: success
      sample: WaitingForUserAction
    substate:
      description: What it does or waits for, in the service's words.
      type: str
      returned: success
      sample: WaitingForCutoverTrigger
    error:
      description: The service's error.
      type: str
      returned: success
      sample: null
    source_db_server_resource_id:
      description: Id of the source server, or C(host:port@user).
      type: str
      returned: success
      sample: 20.66.25.58:5432@postgres
    target_db_server_resource_id:
      description: Id of the target server.
      type: str
      returned: success
      sample: /subscriptions/.../flexibleServers/shop-flex
    source_db_server_fully_qualified_domain_name:
      description: Name of the source server where there are DNS servers of one's own.
      type: str
      returned: success
      sample: null
    target_db_server_fully_qualified_domain_name:
      description: Name of the target server where there are DNS servers of one's own.
      type: str
      returned: success
      sample: null
    migration_instance_resource_id:
      description: Id of the migration runtime server.
      type: str
      returned: success
      sample: null
    source_type:
      description: What the source is.
      type: str
      returned: success
      sample: OnPremises
    ssl_mode:
      description: How the service connects to the source.
      type: str
      returned: success
      sample: Prefer
    migration_mode:
      description: V(Online) or V(Offline).
      type: str
      returned: success
      sample: Online
    migration_option:
      description: V(Validate), V(Migrate) or V(ValidateAndMigrate).
      type: str
      returned: success
      sample: ValidateAndMigrate
    dbs_to_migrate:
      description: Names of the databases.
      type: list
      elements: str
      returned: success
      sample: [shop]
    overwrite_dbs_in_target:
      description: Whether existing databases may be overwritten.
      type: bool
      returned: success
      sample: false
    setup_logical_replication_on_source_db_if_needed:
      description: Whether the service may turn on logical replication at the source.
      type: bool
      returned: success
      sample: false
    migrate_roles:
      description: Whether the service copies the source's roles.
      type: bool
      returned: success
      sample: false
    start_data_migration:
      description: Whether the copy was asked to start.
      type: bool
      returned: success
      sample: null
    trigger_cutover:
      description: Whether the cutover was triggered; always V(true) for an offline migration.
      type: bool
      returned: success
      sample: null
    dbs_to_trigger_cutover_on:
      description: Databases whose cutover was triggered.
      type: list
      elements: str
      returned: success
      sample: null
    cancel:
      description: Whether it was asked to cancel.
      type: bool
      returned: success
      sample: null
    dbs_to_cancel_migration_on:
      description: Databases whose migration was asked to be canceled.
      type: list
      elements: str
      returned: success
      sample: null
    migration_window_start_time_in_utc:
      description: When the migration's window starts.
      type: str
      returned: success
      sample: "2026-01-07T03:30:28.5787679Z"
    migration_window_end_time_in_utc:
      description: When the migration's window ends.
      type: str
      returned: success
      sample: null
    databases:
      description: The databases' states and counters, empty until the service has them. C(latency) is in seconds.
      type: list
      elements: dict
      returned: success
      sample:
        - name: shop
          state: WaitingForCutoverTrigger
          tables_completed: 31
          tables_queued: 0
          tables_loading: 0
          tables_errored: 0
          applied_changes: 4711
          incoming_changes: 0
          latency: 0
    validation:
      description: What the service's validation found, V(null) where it has not validated.
      type: dict
      returned: success
      sample: null
    source_server:
      description: Region, version, size and storage of the source, as the service sees it.
      type: dict
      returned: success
      sample: null
    target_server:
      description: Region, version, size and storage of the target, as the service sees it.
      type: dict
      returned: success
      sample: null
"""

from typing import Any

from ..module_utils._clients import AzureInfoModule
from ..module_utils._errors import service_errors, status_of, translate
from ..module_utils._migration.resource import SERVICE, TARGET, Migrations
from ..module_utils._parallel import each
from ..module_utils._spec import AZURE, ArgumentSpec

SERVER = {"label": {"type": "str"}, "subscription_id": {"type": "str"}, **TARGET.options, **SERVICE.options}
SPEC = AZURE.merge(SERVICE).merge(
    ArgumentSpec(
        options={
            **{name: {"type": "str"} for name in TARGET.options},
            "servers": {"type": "list", "elements": "dict", "options": SERVER},
            "name": {"type": "str"},
            "which": {"type": "str", "choices": ["active", "all"], "default": "all"},
            "details": {"type": "bool", "default": False},
        },
        mutually_exclusive=(("servers", "server_name"), ("servers", "name"), ("servers", "details")),
        required_together=(("resource_group", "server_name"),),
        required_one_of=(("servers", "server_name"),),
    )
)


class MigrationInfo(AzureInfoModule):
    result_key = "migrations"

    @property
    def thing(self) -> str:
        return f"the migrations of {self.params['server_name']} in {self.params['resource_group']}"

    def results(self) -> list[dict[str, Any]]:
        if self.params["servers"] is not None:
            return [row for rows in each(self._of_server, self.params["servers"]) for row in rows]
        migrations = Migrations(self.azure, self.params)
        if self.params["name"]:
            found = migrations.get(self.params["name"])
            return [found] if found else []
        rows = migrations.list(self.params["which"].capitalize())
        if self.params["details"]:
            return [row for row in each(lambda row: migrations.get(row["name"]), rows) if row]
        return rows

    def _of_server(self, server: dict[str, Any]) -> list[dict[str, Any]]:
        label = server["label"] or server["server_name"]
        try:
            rows = Migrations(self.azure, server, server).list(self.params["which"].capitalize())
        except service_errors() as error:
            if status_of(error) == 404:
                return []
            failure = translate(error, f"read the migrations of {server['server_name']} in {server['resource_group']}")
            return [{"label": label, "name": None, "state": "Unknown", "error": failure.message}]
        return [{"label": label, **row} for row in rows]


MODULE = MigrationInfo


def main() -> None:
    MigrationInfo.main(SPEC)


if __name__ == "__main__":
    main()
