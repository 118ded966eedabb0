#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration
short_description: Make, release or delete a migration to a Flexible Server
version_added: "1.0.0"
description:
  - Makes a migration with Azure's migration service, in either generation of it.
  - On a migration that is there and waits for its user, it gives the answers that its options hold, such as the
    databases or the leave to overwrite; the cutover is never triggered by this module, see
    M(pgflex.migrate.migration_cutover).
  - The module comes back as soon as Azure has taken the migration; M(pgflex.migrate.watch) waits for it.
  - Before it makes a migration it looks whether another one runs to the same server, and asks the service whether it
    takes the name; nothing is made when either fails.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  name:
    description:
      - Name of the migration. Letters, digits and hyphens, not starting with a hyphen.
      - A name is taken for ever on its target server, also by a migration that failed; the service has no retry, a new
        attempt needs a new name.
    type: str
    required: true
  source_db_server_resource_id:
    description:
      - Id of the source server, or C(host:port@user) where O(source_type) is not V(PostgreSQLSingleServer).
      - Needed to make a migration.
    type: str
  source_type:
    description:
      - What the source is, in the service's words, for example V(PostgreSQLSingleServer), V(OnPremises), V(AzureVM),
        V(AWS_RDS).
      - Left out, the service takes it from O(source_db_server_resource_id). Current service only.
    type: str
  ssl_mode:
    description:
      - How the service connects to the source, V(Prefer), V(Require), V(VerifyCA) or V(VerifyFull).
      - Left out, the service takes V(VerifyFull) for a Single Server and V(Prefer) for others. Current service only.
    type: str
  migration_mode:
    description:
      - V(Offline) copies once; V(Online) copies, follows the changes and ends with a cutover.
      - Left out, the service takes V(Offline), the first classic preview always V(Online).
    type: str
    choices:
      - Offline
      - Online
  migration_option:
    description:
      - Whether to validate, to migrate, or both. Left out, the service migrates. Current service only.
    type: str
    choices:
      - Validate
      - Migrate
      - ValidateAndMigrate
  migrate_roles:
    description:
      - Whether the service copies the roles of the source. Only from a Single Server. Current service only.
    type: bool
  dbs_to_migrate:
    description:
      - Names of up to 8 databases.
      - Left out, the migration waits for them, and a further run of this module with this option releases it.
    type: list
    elements: str
  overwrite_dbs_in_target:
    description:
      - Whether databases that exist in the target under the same names may be overwritten. Everything in them is lost.
      - Left out, the migration waits for the answer where such a database exists.
    type: bool
  setup_logical_replication_on_source_db_if_needed:
    description:
      - Whether the service may turn on logical replication at the source, which restarts it.
      - Left out, an online migration waits for the answer where it is off. See M(pgflex.migrate.source_replication).
    type: bool
  start_data_migration:
    description:
      - Whether to start the copy now although the migration waits for its schedule or window.
    type: bool
  source_db_server_fully_qualified_domain_name:
    description:
      - Name of the source server where the virtual network has DNS servers of its own. Otherwise to be left out.
    type: str
  target_db_server_fully_qualified_domain_name:
    description:
      - Name of the target server where the virtual network has DNS servers of its own. Otherwise to be left out.
    type: str
  migration_instance_resource_id:
    description:
      - Id of a migration runtime server that does the copying in the target's place. Current service only.
    type: str
  migration_window_start_time_in_utc:
    description:
      - When the copy may start, as in V(2026-11-21T02:00:00Z). Left out, it starts at once.
    type: str
  migration_window_end_time_in_utc:
    description:
      - When the window ends. Current service only.
    type: str
  source_server_username:
    description:
      - User at the source; for a Single Server as C(user@server). Left out, the server's administrator. Current
        service only.
    type: str
  source_server_password:
    description:
      - Password of the user at the source. Needed to make a migration.
    type: str
  target_server_username:
    description:
      - User at the target. Left out, the server's administrator. Current service only.
    type: str
  target_server_password:
    description:
      - Password of the user at the target. Needed to make a migration.
    type: str
  aad_app:
    description:
      - The Entra application as which the classic service works. Needed with O(generation=classic), unknown otherwise.
    type: dict
    suboptions:
      client_id:
        description:
          - Application (client) id of the application.
        type: str
        required: true
      tenant_id:
        description:
          - GUID of the Entra tenant that the application is in.
        type: str
        required: true
      client_secret:
        description:
          - One of its client secrets; the value, not the secret's id.
        type: str
        required: true
  migration_resource_group:
    description:
      - Where the classic service puts what it needs for the time of the migration.
    type: dict
    suboptions:
      resource_id:
        description:
          - Id of a resource group. Left out, the target's.
        type: str
      subnet_resource_id:
        description:
          - Id of the subnet in which it runs. Needed where one of the servers is private.
        type: str
  tags:
    description:
      - Tags of the migration. Left out, they are not touched; an empty mapping takes them away.
    type: dict
  wait_timeout:
    description:
      - With O(state=absent), seconds to wait for the migration to be canceled before it is deleted.
    type: int
    default: 1800
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._state
  - pgflex.migrate._migration
  - pgflex.migrate._migration.service
seealso:
  - module: pgflex.migrate.watch
  - module: pgflex.migrate.migration_cutover
  - module: pgflex.migrate.migration_cancel
  - module: pgflex.migrate.migration_info
  - name: Migrations
    description: The service's API.
    link: https://learn.microsoft.com/rest/api/postgresql/migrations
"""

EXAMPLES = r"""
- name: Start an online migration of two databases
  pgflex.migrate.migration:
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-2026-11
    source_db_server_resource_id: "{{ source.single_servers[0].id }}"
    source_type: PostgreSQLSingleServer
    migration_mode: Online
    migration_option: ValidateAndMigrate
    dbs_to_migrate: [shop, stock]
    overwrite_dbs_in_target: false
    source_server_username: pgadmin@shop-single
    source_server_password: "{{ source_password }}"
    target_server_username: pgadmin
    target_server_password: "{{ target_password }}"

- name: Only validate a server of one's own
  pgflex.migrate.migration:
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-check-1
    source_db_server_resource_id: 203.0.113.7:5432@postgres
    source_type: OnPremises
    ssl_mode: Prefer
    migration_option: Validate
    dbs_to_migrate: [shop]
    source_server_password: "{{ source_password }}"
    target_server_password: "{{ target_password }}"

- name: Start a migration with the classic service
  pgflex.migrate.migration:
    generation: classic
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-classic
    source_db_server_resource_id: "{{ source.single_servers[0].id }}"
    dbs_to_migrate: [shop]
    source_server_password: "{{ source_password }}"
    target_server_password: "{{ target_password }}"
    aad_app:
      client_id: "{{ app.entra_application.client_id }}"
      tenant_id: "{{ app.entra_application.tenant }}"
      client_secret: "{{ app.entra_application.client_secret }}"

- name: See what a run would do
  pgflex.migrate.migration:
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-2026-12
    source_db_server_resource_id: "{{ source.single_servers[0].id }}"
    dbs_to_migrate: [shop]
    source_server_password: "{{ source_password }}"
    target_server_password: "{{ target_password }}"
  check_mode: true
  diff: true

- name: Cancel a migration where it runs, and delete it
  pgflex.migrate.migration:
    resource_group: shop-rg
    server_name: shop-flex
    name: shop-2026-11
    state: absent
"""

RETURN = r"""
migration:
  description:
    - The migration, with the keys of RV(pgflex.migrate.migration_info#module:migrations); V(null) when it is not there.
    - In check mode, the migration as it would be asked for.
  returned: success
  type: dict
  sample:
    name: shop-2026-11
    state: InProgress
    substate: PerformingPreRequisiteSteps
    dbs_to_migrate: [shop, stock]
"""

from typing import Any

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._compare import pick
from ..module_utils._errors import ModuleFailure
from ..module_utils._ids import same
from ..module_utils._migration.resource import SERVICE, TARGET, Migrations, check_databases, check_name_form
from ..module_utils._migration.states import FINAL, final, waits_for
from ..module_utils._migration.wire import BY_OPTION, create_body, only_current, patch_body, read
from ..module_utils._spec import AZURE, STATE, ArgumentSpec
from ..module_utils._wait import until

TEXT = {"type": "str"}
FLAG = {"type": "bool"}
SECRET = {"type": "str", "no_log": True}
APP = {
    "client_id": {"type": "str", "required": True},
    "tenant_id": {"type": "str", "required": True},
    "client_secret": {"type": "str", "required": True, "no_log": True},
}
OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "source_db_server_resource_id": TEXT,
    "source_type": TEXT,
    "ssl_mode": TEXT,
    "migration_mode": {"type": "str", "choices": ["Offline", "Online"]},
    "migration_option": {"type": "str", "choices": ["Validate", "Migrate", "ValidateAndMigrate"]},
    "migrate_roles": FLAG,
    "dbs_to_migrate": {"type": "list", "elements": "str"},
    "overwrite_dbs_in_target": FLAG,
    "setup_logical_replication_on_source_db_if_needed": FLAG,
    "start_data_migration": FLAG,
    "source_db_server_fully_qualified_domain_name": TEXT,
    "target_db_server_fully_qualified_domain_name": TEXT,
    "migration_instance_resource_id": TEXT,
    "migration_window_start_time_in_utc": TEXT,
    "migration_window_end_time_in_utc": TEXT,
    "source_server_username": TEXT,
    "source_server_password": SECRET,
    "target_server_username": TEXT,
    "target_server_password": SECRET,
    "aad_app": {"type": "dict", "options": APP},
    "migration_resource_group": {
        "type": "dict",
        "options": {"resource_id": TEXT, "subnet_resource_id": TEXT},
    },
    "tags": {"type": "dict"},
    "wait_timeout": {"type": "int", "default": 1800},
}
SPEC = AZURE.merge(STATE).merge(TARGET).merge(SERVICE).merge(ArgumentSpec(options=OPTIONS))
# What makes it another migration; everything else is an answer that can be given later.
FIXED = ("migration_mode", "migration_option", "source_type", "migration_instance_resource_id")


class Migration(AzureModule):
    result_key = "migration"
    made_from: State | None = None

    @property
    def thing(self) -> str:
        return f"the migration {self.params['name']} to {self.params['server_name']} in {self.params['resource_group']}"

    def read(self) -> State | None:
        self.migrations = Migrations(self.azure, self.params)
        self._check_options()
        self.made_from = self.migrations.get(self.params["name"])
        return self.made_from

    def _check_options(self) -> None:
        check_name_form(self.params["name"])
        check_databases(self.params["dbs_to_migrate"])
        classic = self.migrations.classic
        foreign = (
            only_current(self.params) if classic else list(pick(self.params, ("aad_app", "migration_resource_group")))
        )
        if foreign:
            raise ModuleFailure(
                f"generation {self.params['generation']} has no {', '.join(foreign)}: "
                f"leave {'it' if len(foreign) == 1 else 'them'} out.",
                code="WrongGeneration",
            )
        names = [name for name in BY_OPTION if name.endswith("fully_qualified_domain_name") and self.params[name]]
        if names and self.params["migration_instance_resource_id"]:
            raise ModuleFailure(f"{', '.join(names)} can not be given together with migration_instance_resource_id.")

    def desired(self, current: State | None) -> State:
        if current is None:
            return self._planned()
        self._check_same(current)
        want = dict(current)
        waiting = waits_for(current)
        answer = self.params[waiting[0]] if waiting else None
        # A false answer would not release anything.
        if waiting and answer:
            want |= {waiting[0]: answer, "state": "InProgress", "substate": None}
        if self.params["tags"] is not None:
            want["tags"] = {key: str(value) for key, value in self.params["tags"].items()}
        return want

    def _planned(self) -> State:
        needs = ["source_db_server_resource_id", "source_server_password", "target_server_password"]
        missing = [name for name in needs + ["aad_app"] * self.migrations.classic if not self.params[name]]
        if missing:
            raise ModuleFailure(
                f"To make a migration the options {', '.join(missing)} are needed.", code="MissingOptions"
            )
        self._location = self.migrations.location()
        self.migrations.refuse_second(self.params["name"])
        content = create_body(self.params, self._location, classic=self.migrations.classic)
        content["properties"] |= {"currentStatus": {"state": "InProgress"}}
        name, target = self.params["name"], self.migrations.target_id
        planned = read({**content, "id": f"{target}/migrations/{name}", "name": name})
        return {**planned, "target_db_server_resource_id": target}

    def _check_same(self, current: State) -> None:
        """Refuses options that mean another migration than the one that bears the name."""
        other = [name for name in FIXED if _differs(self.params[name], current[name])]
        source = self.params["source_db_server_resource_id"]
        if source and not same(source, current["source_db_server_resource_id"]):
            other.append("source_db_server_resource_id")
        given, taken = self.params["dbs_to_migrate"], current["dbs_to_migrate"]
        if given and taken and set(given) != set(taken):
            other.append("dbs_to_migrate")
        if other:
            raise ModuleFailure(
                f"A migration named {self.params['name']} exists already, with another {', '.join(other)}.",
                code="NameTaken",
                hint="Names are unique for each target server, for ever; choose another name.",
            )

    def apply(self, want: State) -> State:
        name, classic = self.params["name"], self.migrations.classic
        before = self.made_from
        if before is None:
            self.migrations.check_name(name)
            return self.migrations.create(name, create_body(self.params, self._location, classic=classic))
        waiting = waits_for(before)
        answers = pick(self.params, [waiting[0]] if waiting and self.params[waiting[0]] else [])
        tags = want["tags"] if want["tags"] != before["tags"] else None
        return self.migrations.update(name, patch_body(answers, classic=classic, tags=tags))

    def remove(self, current: State) -> None:
        name = self.params["name"]
        # The classic service has no word for cancel; its delete does both.
        if current["state"] not in FINAL and not self.migrations.classic:
            asked = {"cancel": True, "dbs_to_cancel_migration_on": current["dbs_to_migrate"]}
            self.migrations.update(name, patch_body(asked, classic=False))
            until(
                lambda: self.migrations.get(name),
                lambda found: found is None or final(found),
                what=f"cancel the migration {name}",
                timeout=self.params["wait_timeout"],
                state=lambda found: str(found and found["state"]),
            )
        self.migrations.delete(name)


def _differs(given: str | None, there: str | None) -> bool:
    return bool(given and there and given.lower() != there.lower())


MODULE = Migration


def main() -> None:
    Migration.main(SPEC)


if __name__ == "__main__":
    main()
