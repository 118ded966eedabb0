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
author:
  - pgflex.migrate contributors (@pgflex)
options:
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
  - pgflex.migrate._migration
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
        V(CleaningUp).
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
from ..module_utils._migration import SERVICE, TARGET, Migrations
from ..module_utils._parallel import each
from ..module_utils._spec import AZURE, ArgumentSpec

SPEC = (
    AZURE.merge(TARGET)
    .merge(SERVICE)
    .merge(
        ArgumentSpec(
            options={
                "name": {"type": "str"},
                "which": {"type": "str", "choices": ["active", "all"], "default": "all"},
                "details": {"type": "bool", "default": False},
            }
        )
    )
)


class MigrationInfo(AzureInfoModule):
    result_key = "migrations"

    @property
    def thing(self) -> str:
        return f"the migrations of {self.params['server_name']} in {self.params['resource_group']}"

    def results(self) -> list[dict[str, Any]]:
        migrations = Migrations(self.azure, self.params)
        if self.params["name"]:
            found = migrations.get(self.params["name"])
            return [found] if found else []
        rows = migrations.list(self.params["which"].capitalize())
        if self.params["details"]:
            return [row for row in each(lambda row: migrations.get(row["name"]), rows) if row]
        return rows


MODULE = MigrationInfo


def main() -> None:
    MigrationInfo.main(SPEC)


if __name__ == "__main__":
    main()
