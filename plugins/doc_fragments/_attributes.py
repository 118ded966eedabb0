# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # For modules that can change something.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and say whether it would change something, without changing anything.
    support: full
  diff_mode:
    description: Returns what it changed, or in check mode what it would change.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

    # For modules that only read.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and say whether it would change something, without changing anything.
    support: full
    details:
      - The module only reads.
  diff_mode:
    description: Returns what it changed, or in check mode what it would change.
    support: N/A
    details:
      - The module only reads.
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""
