# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which reports a play is to write, and what is in them, from the facts of all of its hosts. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .parts import with_parts
from .row import row_of
from .task_failure import Look, failure_of

FORMATS = ("html", "json", "csv")
# What it is called among the facts of a report, and where a role left it.
FACTS = {
    "settings": ("settings_run",),
    "result": ("migrate_result",),
    "states": ("migrate_states",),
    "cutover": ("cutover_result",),
    "read_only_since": ("source_read_only_since",),
    "validation": ("validate_result", "validation"),
    "preflight": ("preflight_result",),
    "restored": ("preflight_restored", "preflight", "applied"),
    "topology": ("network_topology",),
    "failure": ("report_failure",),
}
# The first that is there: as it was watched, looked at after a failure, found at the start.
MIGRATIONS = (("migrate_result", "migration"), ("report_migration",), ("settings_migration",))
OMITTED = "__omit_place_holder__"
SECRETS = (
    ("identity_app", "client_secret"),
    ("pgflex_azure", "secret"),
    ("pgflex", "source", "password"),
    ("pgflex", "target", "password"),
    ("pgflex", "app", "client_secret"),
)
# All that is read of settings that nothing could be made of; a password in there may be what is wrong with them.
GIVEN = (
    *((side, key) for side in ("source", "target") for key in ("name", "host", "type", "resource_group")),
    *((key,) for key in ("databases", "mode", "option", "generation", "engine", "migration_name")),
)


def reports(
    variables: Mapping[str, Any], hosts: Iterable[str], failed: Iterable[str], files: dict[str, Any], look: Look
) -> list[dict[str, Any]]:
    """The options html, json, csv and hosts of the module report, once for all hosts that name the same files.

    `files` is used for the hosts that name none.
    """
    stopped = set(failed)
    found: dict[str, dict[str, Any]] = {}
    for host in hosts:
        known = variables[host]
        wanted = wanted_files(known, look) or files
        if not wanted:
            continue
        row = row_of(facts_of(known, look, stopped=host in stopped), host)
        row = with_parts(row, look(known, ("report_parts",)) or [], look(known, ("pgflex", "databases")) or [])
        report = found.setdefault(json.dumps(wanted, sort_keys=True), {**wanted, "hosts": []})
        report["hosts"].append(row)
    return list(found.values())


def wanted_files(known: Mapping[str, Any], look: Look) -> dict[str, str]:
    given = {kind: look(known, ("pgflex", "report", kind)) for kind in FORMATS}
    return {kind: path for kind, path in given.items() if _is_path(path)}


def _is_path(value: Any) -> bool:
    """Whether it is given: what `omit` leaves in a variable is an object, before ansible-core 2.19 a text."""
    return isinstance(value, str) and value != "" and not value.startswith(OMITTED)


def facts_of(known: Mapping[str, Any], look: Look, *, stopped: bool) -> dict[str, Any]:
    facts = {name: look(known, path) for name, path in FACTS.items()}
    facts["migration"] = next((found for path in MIGRATIONS if (found := look(known, path))), None)
    facts["secrets"] = [str(secret) for path in SECRETS if (secret := look(known, path))]
    facts["settings"] = facts["settings"] or _given(known, look)
    if stopped and not facts["failure"]:
        facts["failure"] = failure_of(known, look) or {"message": _reason(facts)}
    return facts


def _given(known: Mapping[str, Any], look: Look) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in GIVEN:
        value = look(known, ("pgflex", *path))
        if value is None:
            continue
        inner = found.setdefault(path[0], {}) if len(path) > 1 else found
        inner[path[-1]] = value
    return found


def _reason(facts: dict[str, Any]) -> str:
    """Why a host that is not in the play any more may have stopped, where no task has kept it."""
    found = [
        item["message"] for item in (facts["preflight"] or {}).get("findings") or [] if item["severity"] == "blocks"
    ]
    missing = (facts["topology"] or {}).get("missing") or []
    found += [item["message"] for item in missing if item["remedy"] == "by_hand"]
    return " ".join(found) or "It failed in the play, whose output says why."
