#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: direct_copy_cutover
short_description: Cut an online copy over to the target
version_added: "1.0.0"
description:
  - Makes the source read-only, waits until the target has every change, carries over what replication does not
    (sequences, large objects, unlogged tables), and ends the replication.
  - Refuses, naming every reason, while the copy is not ready, while the target is too far behind, and where tables were
    made at the source that the copy does not know.
  - Refuses, while somebody could go on writing at the source all the same, which are sessions that the user may not
    end, roles that have C(default_transaction_read_only) switched off for themselves, prepared transactions, and
    subscriptions through which the source itself follows another server. It looks again when the writers are stopped.
  - Materialized views are refreshed, large objects are compared, and the changes so far are waited for, before the
    writers are stopped.
  - A cutover that fails lets the writers go on at the source, and can be tried again.
author:
  - pgflex.migrate contributors (@pgflex)
extends_documentation_fragment:
  - pgflex.migrate._attributes
  - pgflex.migrate._connection.source
  - pgflex.migrate._connection.target
  - pgflex.migrate._direct_copy
options:
  databases:
    description:
      - Databases to cut over. Left out, all of the copy.
    type: list
    elements: str
  max_latency:
    description:
      - Seconds that the target may be behind at most; the changes that are missing are applied while writers wait.
    type: int
    default: 30
  source_read_only:
    description:
      - Whether the module makes the databases of the source read-only and ends their sessions, as
        M(pgflex.migrate.source_read_only) does. They stay so afterwards.
      - With V(false) it looks for writers, and refuses the cutover when it finds some.
    type: bool
    default: true
  writers_stopped:
    description:
      - Says that nobody writes to the source any more, so that with O(source_read_only=false) nobody is looked for.
    type: bool
    default: false
  sample_seconds:
    description:
      - For how long the source is watched for writers with O(source_read_only=false).
    type: float
    default: 3
  keep_applications:
    description:
      - Patterns of names of applications whose sessions at the source are not ended. A session that is kept can go on
        writing, and what it writes is lost.
    type: list
    elements: str
    default: []
  keep_reverse_replication:
    description:
      - Whether changes on the target are replicated back to the source from then on, so that going back loses
        nothing, see M(pgflex.migrate.direct_copy_reverse).
      - It is set up before anybody may write on the target. The source's server has to get to the target's, its user
        needs the right to make subscriptions (version 16 and later C(pg_create_subscription), before that superuser),
        and the target's user C(REPLICATION); the target needs C(wal_level=logical).
      - It is refused where the source has triggers that are C(ENABLE ALWAYS) or C(ENABLE REPLICA), or tables with
        C(FORCE ROW LEVEL SECURITY), which would work on what comes back, or refuse it.
      - The user of O(source) can go on writing at the source for that time, as what comes back is applied in its
        name; no application should sign in as that user.
    type: bool
    default: false
  target_from_source:
    description:
      - How the source's server connects to the target, with O(keep_reverse_replication=true), where that is another way
        than this machine's.
    type: dict
    suboptions:
      host:
        description:
          - Name or address of the target as the source's server knows it.
        type: str
      hostaddr:
        description:
          - Address to connect to instead of the one that DNS gives there.
        type: str
      port:
        description:
          - TCP port as the source's server reaches it.
        type: int
      sslmode:
        description:
          - How much TLS the source's server insists on, in the words of libpq.
        type: str
      sslrootcert:
        description:
          - File of certificates on the source's server, or V(system).
        type: str
  timeout:
    description:
      - Seconds after which a target that does not catch up makes the cutover fail.
    type: int
    default: 300
notes:
  - The user of O(source) has to own the databases and to be a member of C(pg_signal_backend) for
    O(source_read_only=true).
seealso:
  - module: pgflex.migrate.direct_copy
  - module: pgflex.migrate.direct_copy_reverse
  - module: pgflex.migrate.data_validation
"""

EXAMPLES = r"""
- name: Cut over
  pgflex.migrate.direct_copy_cutover:
    name: shop-online
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"

- name: Cut over, and keep the way back open
  pgflex.migrate.direct_copy_cutover:
    name: shop-online
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    keep_reverse_replication: true

- name: See whether a cutover would be possible now
  pgflex.migrate.direct_copy_cutover:
    name: shop-online
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
  check_mode: true
"""

RETURN = r"""
copy:
  description: The copy, with the keys of RV(pgflex.migrate.direct_copy_info#module:copies).
  returned: success
  type: dict
  sample:
    name: shop-online
    state: Succeeded
kept_sessions:
  description:
    - Other programs' sessions at the source that were left alone, with the keys of
      RV(pgflex.migrate.source_read_only#module:source_read_only.ended_sessions).
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ..module_utils._base import State
from ..module_utils._copy.end import Cutover, EndingModule
from ..module_utils._copy.options import COPY, FROM, TO, WAY
from ..module_utils._spec import ArgumentSpec

SPEC = (
    COPY.merge(FROM)
    .merge(TO)
    .merge(
        ArgumentSpec(
            options={
                "databases": {"type": "list", "elements": "str"},
                "max_latency": {"type": "int", "default": 30},
                "source_read_only": {"type": "bool", "default": True},
                "writers_stopped": {"type": "bool", "default": False},
                "sample_seconds": {"type": "float", "default": 3},
                "keep_applications": {"type": "list", "elements": "str", "default": []},
                "keep_reverse_replication": {"type": "bool", "default": False},
                "target_from_source": WAY,
                "timeout": {"type": "int", "default": 300},
            }
        )
    )
)


class DirectCopyCutover(EndingModule):
    engine = Cutover
    ending: Cutover

    def extra(self) -> dict[str, Any]:
        return {"kept_sessions": list(self.ending.kept)}

    def desired(self, current: State | None) -> State:
        now = current or {}
        if self.ending.complete(self.found):
            return now
        if self.ending.chosen(self.found):
            self.ending.refuse(self.ending.measured(self.found))
        return {**now, **self.ending.aim(self.found)}


MODULE = DirectCopyCutover


def main() -> None:
    MODULE.main(SPEC)


if __name__ == "__main__":
    main()
