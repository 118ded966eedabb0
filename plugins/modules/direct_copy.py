#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: direct_copy
short_description: Copy databases to another server without the migration service
version_added: "1.0.0"
description:
  - Copies databases from any PostgreSQL from 9.5 on to a server of version 14 or later, without Azure's migration
    service, for what the service refuses and for rehearsals.
  - With O(mode=offline) the rows of one moment go through this machine, without a file in between, and the task ends
    when all is there.
  - With O(mode=online) the servers copy rows and changes between themselves by logical replication; the task ends when
    the target follows the source and M(pgflex.migrate.direct_copy_cutover) can be called. The source has to be of
    version 10 or later, and the target of 15, which is the first that tells of changes that it refuses.
  - Triggers that are C(ENABLE ALWAYS) or C(ENABLE REPLICA) and C(FORCE ROW LEVEL SECURITY) come at the cutover.
  - What is known of a copy is in the table C(pgflex.copies) of O(maintenance_database) on the target. After a run
    that was killed, at whatever moment, the same task goes on, or starts anew the database that it was at.
  - A copy that failed or was canceled leaves nothing at the source. The same task begins it anew.
author:
  - pgflex.migrate contributors (@pgflex)
extends_documentation_fragment:
  - pgflex.migrate._attributes
  - pgflex.migrate._state
  - pgflex.migrate._connection.source
  - pgflex.migrate._connection.target
  - pgflex.migrate._direct_copy
options:
  databases:
    description:
      - Names of the databases to copy. They have the same names on the target.
      - Needed with O(state=present).
    type: list
    elements: str
    default: []
  mode:
    description:
      - V(offline) copies once, for a source that nobody writes to any more.
      - V(online) copies while the source is written to, and ends with a cutover. The target's server has to get to the
        source's; the module says so before it makes anything where it does not.
    type: str
    choices:
      - offline
      - online
    default: offline
  overwrite:
    description:
      - Whether databases of the target that hold something may be dropped and made anew. Everything in them is lost.
      - A database that is there and empty is used as it is, with its owner and its encoding.
    type: bool
    default: false
  jobs:
    description:
      - How many tables, or parts of large tables, are copied at once, and how many indexes are built at once.
      - With O(mode=online) the rows go over as fast as the target's C(max_sync_workers_per_subscription) allows.
    type: int
    default: 4
  include_schemas:
    description:
      - Patterns of schemas to copy, such as V(sales*). Left out, all are copied.
    type: list
    elements: str
    default: []
  exclude_schemas:
    description:
      - Patterns of schemas to leave out, with everything in them.
    type: list
    elements: str
    default: []
  include_tables:
    description:
      - Patterns of tables to copy, against C(schema.table). Left out, all are copied. A partition goes with its root.
      - All that is not a table is copied as well, but for what needs a table that is left out.
    type: list
    elements: str
    default: []
  exclude_tables:
    description:
      - Patterns of tables to leave out, against C(schema.table). Views, functions and foreign keys that need one of
        them are left out, too, and listed in RV(copy).
    type: list
    elements: str
    default: []
  skip_extensions:
    description:
      - Names of extensions that are not made on the target.
    type: list
    elements: str
    default: []
  source_from_target:
    description:
      - How the target's server connects to the source where that is another way than this machine's. Only with
        O(mode=online).
      - Left out, it is the way of O(source), with V(require) for a O(source.sslmode) that checks certificates, as the
        target does not have this machine's files.
    type: dict
    suboptions:
      host:
        description:
          - Name or address of the source as the target's server knows it.
        type: str
      hostaddr:
        description:
          - Address to connect to instead of the one that DNS gives there.
        type: str
      port:
        description:
          - TCP port as the target's server reaches it.
        type: int
      sslmode:
        description:
          - How much TLS the target's server insists on, in the words of libpq.
        type: str
      sslrootcert:
        description:
          - File of certificates on the target's server, or V(system).
        type: str
  work_dir:
    description:
      - Directory for the definitions while the task runs. Rows never come there.
      - Left out, the system's directory for temporary files.
    type: path
  drop:
    description:
      - With O(state=absent), whether the databases that the copy has made on the target are dropped as well, but for
        those that were cut over or copied to the end.
    type: bool
    default: true
  wait_timeout:
    description:
      - With O(state=absent), seconds to wait until a run that goes on elsewhere has ended.
    type: int
    default: 60
notes:
  - At the source the user needs C(SELECT) on all tables, sequences and large objects, and C(BYPASSRLS) where rows are
    hidden. With O(mode=online) it also needs C(REPLICATION), C(CREATE) on the databases, and to own the tables or to be
    a member of their owners.
  - On the target the user needs C(CREATEDB), C(CREATE) on O(maintenance_database), and with O(mode=online)
    C(pg_create_subscription) from version 16 on, in older versions C(azure_pg_admin) on Azure or else superuser.
  - With O(mode=online) the password of O(source) is in the target's catalog C(pg_subscription) until the cutover, where
    its superusers can read it, and the source has to ask for a password.
  - With O(mode=online) definitions must not change until the cutover. Tables without a key get a wider replica
    identity for that time, since the source's own updates would fail otherwise; it is put back afterwards.
  - Rows that users have put into tables of extensions are carried with the rest, and with O(mode=online) at the
    cutover; they replace what these tables hold on the target.
  - A database that is there counts as empty while it has nothing but extensions. After a failed run the next one takes
    away what it finds in it, but extensions and their schemas. The database in O(maintenance_database) can not be a
    target.
  - Everything belongs to the target's user at first. At the end objects are handed to the owners that the target
    knows and that its user may become, and privileges are granted to roles that it knows; the rest is listed in
    RV(copy), with the event triggers, publications and subscriptions, which are yours to make.
  - C(pg_dump), C(pg_restore) and C(psql) are needed on this machine, best of the target's version.
seealso:
  - module: pgflex.migrate.direct_copy_info
  - module: pgflex.migrate.direct_copy_cutover
  - module: pgflex.migrate.direct_copy_cancel
  - module: pgflex.migrate.data_validation
"""

EXAMPLES = r"""
- name: Copy two databases to a Flexible Server
  pgflex.migrate.direct_copy:
    name: shop-2026-11
    source:
      host: db.example.com
      user: postgres
      password: "{{ vault_source_password }}"
    target:
      host: shop-new.postgres.database.azure.com
      user: pgadmin
      password: "{{ vault_target_password }}"
    databases: [shop, billing]

- name: Begin an online copy, of which the cutover is another task
  pgflex.migrate.direct_copy:
    name: shop-online
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    databases: [shop]
    mode: online
    source_from_target:
      host: 10.1.2.3

- name: Leave the archive behind
  pgflex.migrate.direct_copy:
    name: shop-without-archive
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    databases: [shop]
    exclude_schemas: [archive]
    exclude_tables: ["public.log_*"]

- name: See whether a copy could be made, without making it
  pgflex.migrate.direct_copy:
    name: shop-2026-11
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    databases: [shop]
  check_mode: true

- name: Give up, and take away what was copied
  pgflex.migrate.direct_copy:
    name: shop-online
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    state: absent
"""

RETURN = r"""
copy:
  description:
    - The copy, with the keys of RV(pgflex.migrate.direct_copy_info#module:copies); also with a failure, where it had
      begun.
    - In check mode, the copy as it would be.
  returned: success
  type: dict
  sample:
    name: shop-2026-11
    state: Succeeded
    migration_mode: Offline
"""

from ..module_utils._base import PgflexModule, State
from ..module_utils._copy.end import Cancel
from ..module_utils._copy.engine import FINISHED, Engine
from ..module_utils._copy.options import COPY, FROM, TO, WAY
from ..module_utils._spec import STATE, ArgumentSpec

NAMES = {"type": "list", "elements": "str", "default": []}
SPEC = (
    STATE.merge(COPY)
    .merge(FROM)
    .merge(TO)
    .merge(
        ArgumentSpec(
            options={
                "databases": NAMES,
                "mode": {"type": "str", "choices": ["offline", "online"], "default": "offline"},
                "overwrite": {"type": "bool", "default": False},
                "jobs": {"type": "int", "default": 4},
                "include_schemas": NAMES,
                "exclude_schemas": NAMES,
                "include_tables": NAMES,
                "exclude_tables": NAMES,
                "skip_extensions": NAMES,
                "source_from_target": WAY,
                "work_dir": {"type": "path"},
                "drop": {"type": "bool", "default": True},
                "wait_timeout": {"type": "int", "default": 60},
            },
        )
    )
)


class DirectCopy(PgflexModule):
    result_key = "copy"

    @property
    def thing(self) -> str:
        return f"the copy {self.params['name']}"

    def outcome(self) -> State:
        kind = Engine if self.params["state"] == "present" else Cancel
        self.engine = kind(self.params, self.runtime.report)
        try:
            return super().outcome()
        finally:
            self.engine.close()

    def read(self) -> State | None:
        self.found = self.engine.read()
        return self.found.as_result() if self.found else None

    def desired(self, current: State | None) -> State:
        copy = self.found
        if copy:
            self.engine.check_same(copy)
            if current and copy.settled:
                return current
        self.engine.plan(copy)
        copy = copy or self.engine.new_copy()
        return {**copy.as_result(), **FINISHED[copy.mode], "error": None}

    def apply(self, want: State) -> State:
        return self.engine.run().as_result()

    def remove(self, current: State) -> None:
        self.engine.remove()


MODULE = DirectCopy


def main() -> None:
    MODULE.main(SPEC)


if __name__ == "__main__":
    main()
