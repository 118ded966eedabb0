# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.pgflex.migrate.plugins.plugin_utils.in_process import ActionModule

__all__ = ["ActionModule"]
