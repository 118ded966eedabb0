#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: direct_copy_info
short_description: Read the copies that were made into a server
version_added: "1.0.0"
description:
  - Reads the table of copies that M(pgflex.migrate.direct_copy) keeps on the target, of one copy or of all, with the
    databases' states and counters.
  - With O(source) it also measures how far the online copies are behind. Changes that do not arrive any more are told
    in C(message) of the database.
author:
  - pgflex.migrate contributors (@pgflex)
extends_documentation_fragment:
  - pgflex.migrate._attributes.info
  - pgflex.migrate._connection.optional_source
  - pgflex.migrate._connection.target
  - pgflex.migrate._direct_copy.reading
options:
  name:
    description:
      - Name of one copy. Left out, all are read. A name that is not there gives an empty list.
    type: str
seealso:
  - module: pgflex.migrate.direct_copy
"""

EXAMPLES = r"""
- name: All copies into a server
  pgflex.migrate.direct_copy_info:
    target: "{{ pgflex_target }}"
  register: found

- name: One copy, and how far it is behind now
  pgflex.migrate.direct_copy_info:
    name: shop-online
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"

- name: Wait until a copy that runs elsewhere can be cut over
  pgflex.migrate.direct_copy_info:
    name: shop-online
    target: "{{ pgflex_target }}"
  register: look
  until: look.copies[0].substate == 'WaitingForCutoverTrigger'
  retries: 100
"""

RETURN = r"""
copies:
  description: The copies, the oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the copy.
      returned: always
      type: str
    engine:
      description: V(direct), which tells it from a migration of the service.
      returned: always
      type: str
    state:
      description: V(InProgress), V(WaitingForUserAction), V(Succeeded), V(Failed) or V(Canceled), as the service says
        it.
      returned: always
      type: str
    substate:
      description: What it does or waits for, in the service's words, such as V(WaitingForCutoverTrigger).
      returned: always
      type: str
    error:
      description: Why it failed.
      returned: always
      type: str
    migration_mode:
      description: V(Offline) or V(Online).
      returned: always
      type: str
    source:
      description: Host and port of the source.
      returned: always
      type: str
    dbs_to_migrate:
      description: Names of the databases.
      returned: always
      type: list
      elements: str
    started_on:
      description: When it was first begun, UTC.
      returned: always
      type: str
    ended_on:
      description: When it ended, UTC.
      returned: always
      type: str
    cancel:
      description: Whether it was asked to cancel.
      returned: always
      type: bool
    reverse:
      description: The replication back to the source, where the cutover made one.
      returned: always
      type: dict
    validation:
      description: Always none; see M(pgflex.migrate.data_validation).
      returned: always
      type: dict
    databases:
      description:
        - The databases with their states and the counters of
          RV(pgflex.migrate.migration_info#module:migrations[].databases).
        - C(step) is how far the work has come, C(created) whether the copy made the database on the target,
          C(skipped) what could not or was not to be carried over, C(downtime_seconds) how long the cutover kept the
          writers out.
      returned: always
      type: list
      elements: dict
"""

from typing import Any

from ..module_utils._base import InfoModule
from ..module_utils._copy.end import Ending
from ..module_utils._copy.options import FROM_IF_GIVEN, READING, TO
from ..module_utils._spec import ArgumentSpec

SPEC = READING.merge(FROM_IF_GIVEN).merge(TO).merge(ArgumentSpec(options={"name": {"type": "str"}}))


class DirectCopyInfo(InfoModule):
    result_key = "copies"

    def results(self) -> list[dict[str, Any]]:
        engine = Ending(self.params, self.runtime.report)
        try:
            found = [copy for copy in engine.ledger.all() if self.params["name"] in (None, copy.name)]
            return [engine.looked_at(copy).as_result() for copy in found]
        finally:
            engine.close()


MODULE = DirectCopyInfo


def main() -> None:
    MODULE.main(SPEC)


if __name__ == "__main__":
    main()
