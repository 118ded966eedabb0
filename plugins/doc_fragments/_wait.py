# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Waiting for what Azure does after it has said yes.
    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Whether to wait until Azure has finished.
      - With V(false) the module comes back as soon as Azure has accepted the request.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait at most.
      - When they are over the task fails with the last state seen; Azure goes on, and a further run picks it up.
    type: int
    default: 1800
"""
