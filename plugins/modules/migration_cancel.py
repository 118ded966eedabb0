#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_cancel
short_description: Cancel a migration or some of its databases
version_added: "1.0.0"
description:
  - Cancels a migration that runs or waits, or only some of its databases, and waits until the service has done so.
  - The service does not take back what it has copied, and users saw it drop a target database all the same; do not
    count on either. The source is not changed.
  - A migration that has ended is left as it is.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  name:
    description:
      - Name of the migration to cancel.
    type: str
    required: true
  databases:
    description:
      - Databases whose migration is canceled; the others go on. Left out, the whole migration is canceled.
      - The classic service cancels the whole migration only, which deletes it.
    type: list
    elements: str
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._wait
  - pgflex.migrate._migration
  - pgflex.migrate._migration.service
seealso:
  - module: pgflex.migrate.migration
"""

EXAMPLES = r"""
- name: Cancel a migration
  pgflex.migrate.migration_cancel:
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-2026-11

- name: Go on without one of the databases
  pgflex.migrate.migration_cancel:
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-2026-11
    databases: [stock]

- name: Cancel without waiting for it
  pgflex.migrate.migration_cancel:
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-2026-11
    wait: false
"""

RETURN = r"""
migration:
  description:
    - The migration after it was canceled, with the keys of RV(pgflex.migrate.migration_info#module:migrations).
  returned: success
  type: dict
  sample:
    name: shop-2026-11
    state: Canceled
"""

from typing import Any

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._errors import ModuleFailure
from ..module_utils._migration.resource import SERVICE, TARGET, Migrations, check_choice
from ..module_utils._migration.states import final, still_open
from ..module_utils._migration.wire import patch_body
from ..module_utils._spec import AZURE, WAIT, ArgumentSpec
from ..module_utils._wait import until

SPEC = (
    AZURE.merge(TARGET)
    .merge(SERVICE)
    .merge(WAIT)
    .merge(
        ArgumentSpec(
            options={"name": {"type": "str", "required": True}, "databases": {"type": "list", "elements": "str"}}
        )
    )
)


class MigrationCancel(AzureModule):
    result_key = "migration"

    @property
    def thing(self) -> str:
        return f"the migration {self.params['name']} to {self.params['server_name']}"

    def read(self) -> State:
        self.migrations = Migrations(self.azure, self.params)
        check_choice(self.params["databases"])
        found = self.migrations.require(self.params["name"])
        if self.params["databases"] and self.migrations.classic:
            raise ModuleFailure("databases: the classic service cancels a whole migration only; leave the option out.")
        unknown = sorted(set(self.params["databases"] or []) - set(found["dbs_to_migrate"] or []))
        if unknown:
            raise ModuleFailure(f"The migration has no database {', '.join(unknown)}: check the option databases.")
        return found

    def desired(self, current: State | None) -> State:
        now = current or {}
        if final(now):
            return now
        if not self.params["databases"]:
            return {**now, "state": "Canceled", "cancel": True}
        names = still_open(now, self.params["databases"])
        return {**now, "dbs_to_cancel_migration_on": names} if names else now

    def apply(self, want: State) -> State:
        name, names = self.params["name"], self.params["databases"]
        if self.migrations.classic:
            self.migrations.delete(name)
        else:
            databases = want["dbs_to_cancel_migration_on"] if names else want["dbs_to_migrate"]
            asked = {"cancel": True, "dbs_to_cancel_migration_on": databases}
            self.migrations.update(name, patch_body(asked, classic=False))
        if not self.params["wait"]:
            return want
        found: dict[str, Any] | None = until(
            lambda: self.migrations.get(name),
            lambda row: row is None or final(row) or bool(names and not still_open(row, names)),
            what=f"cancel {self.thing}",
            timeout=self.params["wait_timeout"],
            state=lambda row: str(row and row["state"]),
        )
        # The classic service takes a canceled migration out of its lists.
        return found or {**want, "state": "Canceled"}


MODULE = MigrationCancel


def main() -> None:
    MigrationCancel.main(SPEC)


if __name__ == "__main__":
    main()
