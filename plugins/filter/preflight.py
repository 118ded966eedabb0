# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..module_utils._preflight.table import WIDTH, fleet, table, together
from ..plugin_utils.plain import plain


def _table(findings: Any, width: int = WIDTH) -> list[str]:
    return table(plain(findings), width)


def _fleet(results: Any, strict: Any = ()) -> list[str]:
    return fleet(plain(results), plain(strict) or ())


def _together(results: Any) -> dict[str, Any]:
    return together(plain(results))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"preflight_table": _table, "preflight_summary": _fleet, "preflight_together": _together}
