# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..module_utils._settings import connection_strings, derive, problems
from ..plugin_utils.plain import plain


def _problems(given: Any) -> list[str]:
    if not isinstance(given, dict):
        return ["pgflex has to be a mapping; see the role pgflex.migrate.settings."]
    return problems(plain(given))


def _derive(given: Any, host: str, source_server: Any = None, target_server: Any = None) -> dict[str, Any]:
    return derive(plain(given), host, plain(source_server), plain(target_server))


def _connection_strings(settings: Any) -> dict[str, str]:
    return connection_strings(plain(settings))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "settings": _derive,
            "settings_problems": _problems,
            "connection_strings": _connection_strings,
        }
