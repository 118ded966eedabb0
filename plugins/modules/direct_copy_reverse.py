#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: direct_copy_reverse
short_description: End or use the way back that a cutover has kept open
version_added: "1.0.0"
description:
  - After M(pgflex.migrate.direct_copy_cutover) with C(keep_reverse_replication=true) changes on the target are
    replicated back to the source. This module ends that, or uses it to go back.
author:
  - pgflex.migrate contributors (@pgflex)
extends_documentation_fragment:
  - pgflex.migrate._attributes
  - pgflex.migrate._connection.source
  - pgflex.migrate._connection.target
  - pgflex.migrate._direct_copy
options:
  action:
    description:
      - V(end) stops the replication and takes away what it needed on both servers, when there is no going back any
        more.
      - V(switch_back) makes the target's databases read-only, waits until the source has every change, carries
        sequences, large objects and unlogged tables back, lets the source be written to again, and then does what
        V(end) does.
    type: str
    choices:
      - end
      - switch_back
    required: true
  keep_applications:
    description:
      - Patterns of names of applications whose sessions on the target are not ended.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds after which a source that does not catch up makes the switch fail; the target then goes on.
    type: int
    default: 300
notes:
  - Materialized views at the source are not refreshed.
  - As long as the way back is kept and the source does not take the changes, the target keeps its log, which fills its
    disk; do not forget to end it.
seealso:
  - module: pgflex.migrate.direct_copy_cutover
"""

EXAMPLES = r"""
- name: Go back to the source, with all that was written on the target
  pgflex.migrate.direct_copy_reverse:
    name: shop-online
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    action: switch_back

- name: Stay on the target for good
  pgflex.migrate.direct_copy_reverse:
    name: shop-online
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    action: end

- name: See whether there is a way back to end
  pgflex.migrate.direct_copy_reverse:
    name: shop-online
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    action: end
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
    reverse:
      state: SwitchedBack
      downtime_seconds: 0.4
"""

from ..module_utils._copy.end import EndingModule, Reverse
from ..module_utils._copy.options import COPY, FROM, TO
from ..module_utils._spec import ArgumentSpec

SPEC = (
    COPY.merge(FROM)
    .merge(TO)
    .merge(
        ArgumentSpec(
            options={
                "action": {"type": "str", "choices": ["end", "switch_back"], "required": True},
                "keep_applications": {"type": "list", "elements": "str", "default": []},
                "timeout": {"type": "int", "default": 300},
            }
        )
    )
)


class DirectCopyReverse(EndingModule):
    engine = Reverse


MODULE = DirectCopyReverse


def main() -> None:
    MODULE.main(SPEC)


if __name__ == "__main__":
    main()
