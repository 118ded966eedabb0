# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..module_utils._migration.attempts import attempt, created, created_tags
from ..module_utils._migration.parts import parts
from ..module_utils._migration.settings import connection_strings, derive
from ..module_utils._migration.states import copy_result, locked, way_out
from ..plugin_utils.plain import plain
from ..plugin_utils.settings_spec import azure_problems, settings_problems


def _problems(given: Any, passwords: bool = True, azure: Any = None) -> list[str]:
    sign_in = {} if azure is None else plain(azure)
    return azure_problems(sign_in) + settings_problems(plain(given), passwords=bool(passwords))


def _parts(given: Any) -> list[dict[str, Any]]:
    return parts(plain(given))


def _derive(given: Any, host: str, source_server: Any = None, target_server: Any = None) -> dict[str, Any]:
    return derive(plain(given), host, plain(source_server), plain(target_server))


def _connection_strings(settings: Any) -> dict[str, str]:
    return connection_strings(plain(settings))


def _attempt(rows: Any, name: str, attempts: int) -> dict[str, Any]:
    return attempt(plain(rows), plain(name), int(attempts))


def _copy_result(copy: Any, label: str) -> dict[str, Any]:
    return copy_result(plain(copy), plain(label))


def _created(history: Any) -> list[str]:
    return created(plain(history))


def _created_tags(databases: Any) -> dict[str, str]:
    return created_tags(plain(databases))


def _way_out(result: Any, settings: Any) -> str:
    row = plain(result)
    told = (way_out(row.get("outcome"), row.get("migration") or {}), locked(row.get("outcome"), plain(settings)))
    return " ".join(filter(None, told))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "settings": _derive,
            "settings_problems": _problems,
            "parts": _parts,
            "connection_strings": _connection_strings,
            "attempt": _attempt,
            "copy_result": _copy_result,
            "created": _created,
            "created_tags": _created_tags,
            "way_out": _way_out,
        }
