# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils._report.gather import facts_of, reports
from ..module_utils._report.row import row_of
from ..plugin_utils.hostvars import look
from ..plugin_utils.plain import plain


def _reports(hostvars: Mapping[str, Any], hosts: Any, failed: Any, files: Any = None) -> list[dict[str, Any]]:
    return reports(hostvars, plain(hosts), plain(failed), plain(files or {}), look)


def _row(known: Mapping[str, Any], host: str) -> dict[str, Any]:
    return row_of(facts_of(known, look, stopped=False), plain(host))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"reports": _reports, "report_row": _row}
