# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils._fleet.plan import fleet_plan, fleet_summary, window_wait
from ..module_utils._report.task_failure import failure_of
from ..plugin_utils.hostvars import look
from ..plugin_utils.plain import plain
from ..plugin_utils.settings_spec import settings_problems


def _plan(
    hosts: Any, limits: Any = None, now: Any = None, regions: Any = None, seen: Any = None, outside: Any = ()
) -> dict[str, Any]:
    given, moment = _by_name("fleet_plan", hosts), str(now) if now else None
    looked = None if seen is None else _by_name("fleet_plan", seen)
    rest = (plain(regions) or (), looked, plain(outside) or ())
    return fleet_plan(given, plain(limits), moment, *rest, check=settings_problems)


def _wait(window: Any, now: Any) -> str:
    return window_wait(plain(window) or None, str(now))


def _summary(hosts: Any) -> dict[str, str]:
    return fleet_summary(_by_name("fleet_summary", hosts))


def _by_name(name: str, hosts: Any) -> dict[str, Any]:
    given = plain(hosts)
    if not isinstance(given, dict):
        raise AnsibleFilterError(f"pgflex.migrate.{name} takes a mapping with a key for each host of the fleet.")
    return given


def _facts(host: str, hostvars: Any, alive: Any) -> dict[str, Any]:
    """What `fleet_summary` takes, of one host; `alive` are those that have not failed."""
    known = hostvars[host]
    result = plain(known.get("migrate_result")) or {}
    failure = failure_of(known, look) if host not in alive else {}
    return {
        "failed": host not in alive,
        "phase": plain(known.get("fleet_phase")),
        "later": plain(known.get("fleet_later")),
        "rest": bool(known.get("fleet_rest")),
        "outcome": result.get("outcome"),
        "message": failure.get("message") or result.get("message"),
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"fleet_plan": _plan, "fleet_summary": _summary, "fleet_facts": _facts, "fleet_wait": _wait}
