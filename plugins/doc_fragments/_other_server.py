# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # A server of Azure to copy from; the module says what is copied.
    DOCUMENTATION = r"""
options:
  copy_from:
    type: dict
    suboptions:
      server_type:
        description:
          - Which kind of server the other one is.
        type: str
        choices:
          - single_server
          - flexible_server
        required: true
      resource_group:
        description:
          - Resource group that holds the other server.
        type: str
        required: true
      server_name:
        description:
          - Name of the other server, without its domain.
        type: str
        required: true
      subscription_id:
        description:
          - Subscription that holds the other server. Left out, it is the one of this server.
        type: str
"""
