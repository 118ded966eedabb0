#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_cutover
short_description: Cut an online migration over, when it is safe
version_added: "1.0.0"
description:
  - Triggers the cutover of an online migration, of all its databases or of some.
  - Refuses, naming every reason at once, while the migration is not ready, while the target is too far behind, while
    somebody still writes to the source, and after the service's cutover window.
  - The service applies what was committed at the source until the cutover and nothing that is committed later, so that
    a writer that goes on loses its rows.
  - The module comes back when Azure has taken the cutover; M(pgflex.migrate.watch) with C(until=end) waits for its end.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  name:
    description:
      - Name of the migration to cut over.
    type: str
    required: true
  databases:
    description:
      - Databases to cut over. Left out, all of the migration. The classic service always cuts over all.
    type: list
    elements: str
  max_latency:
    description:
      - Seconds that the target may be behind at most, for the worst of the databases. The changes that are missing are
        applied during the cutover, which is downtime.
    type: int
    default: 30
  writers_stopped:
    description:
      - Says that nobody writes to the source any more, so that O(source) is not looked at; otherwise O(source) is
        needed.
    type: bool
    default: false
  sample_seconds:
    description:
      - For how long the counters of the source's databases are watched to see whether rows are still written.
    type: float
    default: 3
  ready_since:
    description:
      - When the migration became ready for its cutover, UTC, as
        RV(pgflex.migrate.watch#module:migrations[].ready_since) says.
      - Left out, the start of the databases' migration stands in for it.
    type: str
  window_hours:
    description:
      - Hours after O(ready_since) within which the service takes a cutover.
    type: float
    default: 72
extends_documentation_fragment:
  - pgflex.migrate._connection.optional_source
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._migration
  - pgflex.migrate._migration.service
seealso:
  - module: pgflex.migrate.watch
  - module: pgflex.migrate.source_read_only
  - name: Cut over a migration
    description: What the service does.
    link: https://learn.microsoft.com/azure/postgresql/migrate/migration-service/
"""

EXAMPLES = r"""
- name: Cut over, when nobody writes to the source any more
  pgflex.migrate.migration_cutover:
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-2026-11
    source:
      host: shop-single.postgres.database.azure.com
      user: pgadmin@shop-single
      password: "{{ source_password }}"

- name: Cut one database over, with the applications known to be stopped
  pgflex.migrate.migration_cutover:
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-2026-11
    databases: [stock]
    writers_stopped: true
    max_latency: 0

- name: See whether a cutover would be possible now
  pgflex.migrate.migration_cutover:
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-2026-11
    writers_stopped: true
  check_mode: true
"""

RETURN = r"""
migration:
  description: The migration, with the keys of RV(pgflex.migrate.migration_info#module:migrations).
  returned: success
  type: dict
  sample:
    name: shop-2026-11
    state: InProgress
    substate: CompletingMigration
"""

from datetime import UTC, datetime

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._errors import ModuleFailure
from ..module_utils._migration.gate import already_done, refusals, when
from ..module_utils._migration.resource import SERVICE, TARGET, Migrations, check_choice
from ..module_utils._migration.states import open_databases, ready_for_cutover, still_open
from ..module_utils._migration.wire import patch_body
from ..module_utils._postgres import Server, connect, server_connection_spec
from ..module_utils._source.activity import who, writers
from ..module_utils._spec import AZURE, ArgumentSpec

SPEC = (
    AZURE.merge(TARGET)
    .merge(SERVICE)
    .merge(
        ArgumentSpec(
            options={
                "name": {"type": "str", "required": True},
                "databases": {"type": "list", "elements": "str"},
                "max_latency": {"type": "int", "default": 30},
                "writers_stopped": {"type": "bool", "default": False},
                "sample_seconds": {"type": "float", "default": 3},
                "ready_since": {"type": "str"},
                "window_hours": {"type": "float", "default": 72},
                "source": server_connection_spec(required=False),
            },
            required_if=(("writers_stopped", False, ["source"]),),
        )
    )
)


class MigrationCutover(AzureModule):
    result_key = "migration"

    @property
    def thing(self) -> str:
        return f"the migration {self.params['name']} to {self.params['server_name']}"

    def read(self) -> State:
        self.migrations = Migrations(self.azure, self.params)
        if self.migrations.classic and self.params["databases"]:
            raise ModuleFailure("databases: the classic service cuts over all databases at once; leave the option out.")
        check_choice(self.params["databases"])
        since = self.params["ready_since"]
        if since and not when(since):
            raise ModuleFailure(f"ready_since {since!r} is no time such as 2026-11-21T02:31:07Z.", code="InvalidTime")
        return self.migrations.require(self.params["name"])

    def desired(self, current: State | None) -> State:
        now = current or {}
        names = self.params["databases"]
        if already_done(now, names):
            return now
        reasons = refusals(
            now,
            names,
            now=datetime.now(UTC),
            max_latency=self.params["max_latency"],
            window_hours=self.params["window_hours"],
            ready_since=self.params["ready_since"],
            writers=self._writers(self._chosen(now)) if ready_for_cutover(now) else [],
        )
        if reasons:
            raise ModuleFailure(f"The cutover of {now['name']} is refused: {' '.join(reasons)}", code="CutoverRefused")
        return {**now, **self._request(now)}

    def _writers(self, databases: list[str]) -> list[str]:
        if self.params["writers_stopped"]:
            return []
        source = Server.from_options("source", self.params["source"])
        with connect(source, databases[0]) as connection:
            found = writers(connection, databases, self.params["sample_seconds"])
        return [who(found)] if found else []

    def _chosen(self, now: State) -> list[str]:
        """The databases to cut over: those asked for, else all, without those that are over."""
        given = self.params["databases"] or [row["name"] for row in open_databases(now)] or now["dbs_to_migrate"]
        return still_open(now, given or [])

    def _request(self, now: State) -> State:
        return {"trigger_cutover": True, "dbs_to_trigger_cutover_on": self._chosen(now)}

    def apply(self, want: State) -> State:
        content = patch_body(self._request(want), classic=self.migrations.classic)
        return self.migrations.update(self.params["name"], content)


MODULE = MigrationCutover


def main() -> None:
    MigrationCutover.main(SPEC)


if __name__ == "__main__":
    main()
