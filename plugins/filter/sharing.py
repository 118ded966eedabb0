# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..module_utils._fleet.sharing import sharers, to_ask
from ..plugin_utils.plain import plain


def _to_ask(hosts: Any, sign_ins: Any, taking: Any, done: Any) -> list[dict[str, Any]]:
    known = {host: (given or {}).get("subscription_id") for host, given in plain(sign_ins).items()}
    return to_ask(plain(hosts), known, plain(taking), plain(done))


def _sharers(rows: Any, hosts: Any, host: Any) -> dict[str, list[str]]:
    return sharers(plain(rows), plain(hosts), plain(host))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"sharers": _sharers, "sharers_to_ask": _to_ask}
