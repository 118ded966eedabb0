# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils._fleet.waves import waves
from ..plugin_utils.plain import plain


def _waves(rows: Any, limits: Any = None, now: Any = None, regions: Any = None) -> dict[str, Any]:
    given = plain(rows)
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        raise AnsibleFilterError("pgflex.migrate.waves takes a list of mappings, one for each host of the fleet.")
    return waves(given, plain(limits), plain(now), plain(regions))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"waves": _waves}
