# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What is to be there after the task.
    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(present) makes or changes what the other options ask for.
      - V(absent) takes it away, and changes nothing where it is not there.
    type: str
    choices:
      - present
      - absent
    default: present
"""
