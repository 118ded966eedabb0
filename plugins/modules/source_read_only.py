#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: source_read_only
short_description: Stop the writing to databases of the source server, or let it go on
version_added: "1.0.0"
description:
  - Stops the writing to some databases before a cutover or an offline migration, and undoes it for a rollback.
  - Sets C(default_transaction_read_only) of the databases and ends the sessions of other programs, so that every
    session from then on begins read-only. Both happens in one transaction.
  - In a database that somebody else has made read-only, sessions can be older than that and go on writing. They are
    ended, once; the setting is then spelled C(oN), by which a later run knows it.
  - Sessions of replication are left alone, as are sessions of this collection and those that O(keep_applications)
    names.
  - A program that switches its own transaction to read-write is not kept from it; a run that finds such a session
    ends it.
author:
  - pgflex.migrate contributors (@pgflex)
extends_documentation_fragment:
  - pgflex.migrate._attributes
  - pgflex.migrate._connection.source
options:
  state:
    description:
      - V(present) stops the writing, V(absent) removes the databases' setting again.
      - Sessions that began while the databases were read-only stay read-only until they reconnect.
    type: str
    choices:
      - present
      - absent
    default: present
  databases:
    description:
      - Names of the databases, spelled as on the server.
      - The module connects to the first of them.
    type: list
    elements: str
    required: true
  keep_applications:
    description:
      - Patterns, such as V(backup*), of application names whose sessions are not ended.
      - A session that is kept can go on writing.
    type: list
    elements: str
    default: []
  end_timeout:
    description:
      - Seconds to wait at most until sessions that were told to end have ended.
    type: int
    default: 15
notes:
  - The user has to own the databases, and has to be a member of C(pg_signal_backend) to end other users' sessions.
  - Sessions of superusers can only be ended by a superuser, and are listed in RV(source_read_only.kept_sessions)
    otherwise.
seealso:
  - module: pgflex.migrate.migration_cutover
  - module: pgflex.migrate.data_validation
"""

EXAMPLES = r"""
- name: Stop the writing before the cutover
  pgflex.migrate.source_read_only:
    source:
      host: shop-old.postgres.database.azure.com
      user: admin@shop-old
      password: "{{ vault_source_password }}"
    databases:
      - shop
      - billing

- name: See what would be ended, and end nothing
  pgflex.migrate.source_read_only:
    source: "{{ pgflex_source }}"
    databases:
      - shop
  check_mode: true
  diff: true

- name: Let the monitoring stay connected
  pgflex.migrate.source_read_only:
    source: "{{ pgflex_source }}"
    databases:
      - shop
    keep_applications:
      - "monitoring*"

- name: Let the source be written to again, as part of a rollback
  pgflex.migrate.source_read_only:
    source: "{{ pgflex_source }}"
    databases:
      - shop
    state: absent
"""

RETURN = r"""
source_read_only:
  description:
    - What holds after the task.
    - Is V(none) where O(state=absent) had nothing to do, and in check mode with O(state=absent).
  returned: success
  type: dict
  contains:
    databases:
      description: The databases with their setting.
      returned: always
      type: list
      elements: dict
      contains:
        name:
          description: Name of the database.
          returned: always
          type: str
        read_only:
          description: Whether new sessions of this database begin read-only.
          returned: always
          type: bool
        sessions_to_end:
          description: How many sessions can still write and are to be ended.
          returned: always
          type: int
    ended_sessions:
      description: The sessions that this run ended.
      returned: always
      type: list
      elements: dict
      contains:
        database:
          description: Database that the session was connected to.
          returned: always
          type: str
        pid:
          description: Process id of the session at the server.
          returned: always
          type: int
        user:
          description: User that was signed in.
          returned: always
          type: str
        application_name:
          description: Name that the program gave itself.
          returned: always
          type: str
        client:
          description: Address of the program, where the user may see it.
          returned: always
          type: str
    kept_sessions:
      description: Other programs' sessions that were left alone, with the same keys as
        RV(source_read_only.ended_sessions).
      returned: always
      type: list
      elements: dict
    since:
      description: Time in UTC from which on nobody could write; none when this run did not have to stop anything.
      returned: always
      type: str
      sample: "2026-05-04T10:15:30.123Z"
"""

from typing import Any

from ..module_utils._base import PgflexModule, State
from ..module_utils._postgres import Server, server_connection_spec
from ..module_utils._source.read_only import ReadOnlySource
from ..module_utils._spec import STATE, ArgumentSpec

SPEC = STATE.merge(
    ArgumentSpec(
        options={
            "source": server_connection_spec(),
            "databases": {"type": "list", "elements": "str", "required": True},
            "keep_applications": {"type": "list", "elements": "str", "default": []},
            "end_timeout": {"type": "int", "default": 15},
        }
    )
)


class SourceReadOnly(PgflexModule):
    result_key = "source_read_only"

    @property
    def thing(self) -> str:
        return "the read-only setting of the source databases"

    def outcome(self) -> dict[str, Any]:
        server = Server.from_options("source", self.params["source"])
        self.source = ReadOnlySource(server, self.params["databases"], self.params["keep_applications"])
        try:
            return super().outcome()
        finally:
            self.source.close()
            for note in self.source.notes if self.params["state"] == "present" else []:
                self.runtime.warn(note)

    def read(self) -> State | None:
        found = self.source.read()
        nothing_to_undo = not any(database["read_only"] for database in found["databases"])
        return None if self.params["state"] == "absent" and nothing_to_undo else found

    def desired(self, current: State | None) -> State:
        databases = [{"name": name, "read_only": True, "sessions_to_end": 0} for name in self.source.databases]
        return {**(current or {}), "databases": databases}

    def apply(self, want: State) -> State:
        return self.source.lock(self.params["end_timeout"])

    def remove(self, current: State) -> State:
        return self.source.unlock()


MODULE = SourceReadOnly


def main() -> None:
    MODULE.main(SPEC)


if __name__ == "__main__":
    main()
