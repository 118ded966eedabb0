# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Which server and which of the two migration services.
    DOCUMENTATION = r"""
options:
  resource_group:
    description:
      - Resource group of the target Flexible Server.
    type: str
    required: true
  server_name:
    description:
      - Name of the target Flexible Server.
    type: str
    required: true
"""

    SERVICE = r"""
options:
  generation:
    description:
      - Which migration service to speak to.
      - V(current) runs in the target server and needs no application.
      - V(classic) is the preview that runs on Azure Database Migration Service and acts as an Entra application.
    type: str
    choices:
      - current
      - classic
    default: current
  api_version:
    description:
      - Version of the service's API, for example V(2024-08-01), V(2025-08-01) or V(2021-06-15-privatepreview).
      - Left out, V(2025-08-01) is used for O(generation=current) and V(2022-05-01-privatepreview) for
        O(generation=classic).
    type: str
"""
