#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: direct_copy_cancel
short_description: Cancel a copy, and leave nothing of it at the source
version_added: "1.0.0"
description:
  - Ends a copy that is not over, also one whose run was killed or goes on elsewhere, and takes away what it has made
    at the source, which are slots, publications and replica identities.
  - Lets the source be written to again where a cutover that did not come to its end had stopped that.
  - Databases that were cut over or copied to the end are left alone. The copy stays in the table of copies, and
    M(pgflex.migrate.direct_copy) can begin it anew.
author:
  - pgflex.migrate contributors (@pgflex)
extends_documentation_fragment:
  - pgflex.migrate._attributes
  - pgflex.migrate._connection.source
  - pgflex.migrate._connection.target
  - pgflex.migrate._direct_copy
options:
  drop:
    description:
      - Whether the databases that the copy has made on the target are dropped; others never are.
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds to wait until a run that goes on elsewhere has ended.
    type: int
    default: 60
seealso:
  - module: pgflex.migrate.direct_copy
"""

EXAMPLES = r"""
- name: Cancel a copy and keep what has arrived
  pgflex.migrate.direct_copy_cancel:
    name: shop-online
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"

- name: Cancel a copy and drop the databases that it has made
  pgflex.migrate.direct_copy_cancel:
    name: shop-online
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    drop: true

- name: See what a cancel would do
  pgflex.migrate.direct_copy_cancel:
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
    state: Canceled
"""

from ..module_utils._copy.end import Cancel, EndingModule
from ..module_utils._copy.options import COPY, FROM, TO
from ..module_utils._spec import ArgumentSpec

SPEC = (
    COPY.merge(FROM)
    .merge(TO)
    .merge(
        ArgumentSpec(
            options={"drop": {"type": "bool", "default": False}, "wait_timeout": {"type": "int", "default": 60}}
        )
    )
)


class DirectCopyCancel(EndingModule):
    engine = Cancel


MODULE = DirectCopyCancel


def main() -> None:
    MODULE.main(SPEC)


if __name__ == "__main__":
    main()
