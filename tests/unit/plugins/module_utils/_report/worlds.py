# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of migrations as the roles leave them, for the tests of reports."""

from __future__ import annotations

from typing import Any

from ansible_collections.pgflex.migrate.plugins.module_utils._migration.settings import derive
from ansible_collections.pgflex.migrate.plugins.module_utils._report.row import row_of

MARKER = "Marker-Secret-4711"
MADE_AT = "2026-11-21T04:00:00+00:00"
NASTY = "<script>alert('x')</script>\n\"quoted\" & 'single' \u2603\U0001f418 \x00\x1b"
STATES = (
    ("InProgress", "PerformingPreRequisiteSteps", "02:00:00.000"),
    ("InProgress", "MigratingData", "02:03:00.000"),
    ("WaitingForUserAction", "WaitingForCutoverTrigger", "03:03:00.000"),
    ("InProgress", "CompletingMigration", "03:10:00.000"),
    ("Succeeded", "Completed", "03:12:30.000"),
)
FINDING = {
    "code": "603107",
    "rule": "wal_level",
    "severity": "blocks",
    "side": "source",
    "database": None,
    "object": "wal_level",
    "message": "wal_level is replica; an online migration needs logical.",
    "remedy": "Set wal_level to logical and restart the source.",
    "can_apply": "logical_replication",
}


def given(**more: Any) -> dict[str, Any]:
    """A dictionary pgflex with the marker in every field that holds a secret."""
    return {
        "source": {"resource_group": "shop-rg", "name": "shop-single", "user": "boss@shop-single", "password": MARKER},
        "target": {"resource_group": "shop-rg", "name": "shop-flex", "user": "boss", "password": f"{MARKER}-target"},
        "databases": ["shop"],
        "mode": "online",
        "app": {"client_id": "22222222", "tenant_id": "33333333", "client_secret": f"{MARKER}-app"},
        **more,
    }


def settings(host: str = "shop", **more: Any) -> dict[str, Any]:
    base = "/subscriptions/1/resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL"
    servers = [
        {
            "id": f"{base}/{kind}",
            "subscription_id": "1",
            "tags": {},
            "version": version,
            "fully_qualified_domain_name": f"{name}.example.org",
        }
        for kind, name, version in (("servers/s", "shop-single", "11"), ("flexibleServers/f", "shop-flex", "16"))
    ]
    made = derive(given(**more), host, *servers)
    made["watched"]["size_gb"] = 50.0
    return made


def states(number: int = len(STATES)) -> list[dict[str, Any]]:
    return [
        {"state": state, "substate": substate, "at": f"2026-11-21T{at}+00:00", "seconds": 60.0 * place, "ready": False}
        for place, (state, substate, at) in enumerate(STATES[:number])
    ]


def migration(**more: Any) -> dict[str, Any]:
    database = {
        "name": "shop",
        "state": "Succeeded",
        "started_on": "2026-11-21T02:00:00.1234567Z",
        "ended_on": "2026-11-21T03:12:00.7654321Z",
        "message": None,
        "tables_completed": 31,
        "tables_queued": 0,
        "tables_loading": 0,
        "tables_errored": 0,
        "applied_changes": 4711,
        "incoming_changes": 0,
        "latency": 0,
    }
    return {
        "name": "shop-1",
        "migration_id": "094baadd",
        "tags": {"pgflex-restore-work_mem": "4096"},
        "state": "Succeeded",
        "substate": "Completed",
        "error": None,
        "databases": [database],
        "validation": None,
        **more,
    }


def validation(*, equal: bool = True, name: str = "public.orders") -> dict[str, Any]:
    tables = [{"name": "public.customer", "source_rows": 5000, "target_rows": 5000, "equal": True, "verdict": "equal"}]
    example = {"key": {"id": "7"}, "side": "both", "columns": ["total"]}
    tables.append(
        {
            "name": name,
            "source_rows": 300,
            "target_rows": 300,
            "equal": equal,
            "verdict": "equal" if equal else "different",
            "differing": [] if equal else [example],
        }
    )
    database = {"name": "shop", "equal": equal, "tables": tables, "skipped": [], "objects": {}}
    said = "Every row is equal on both servers." if equal else f"1 table differs: {name}."
    return {"equal": equal, "summary": said, "rows": 5300, "bytes": 4_000_000, "databases": [database]}


def facts(**more: Any) -> dict[str, Any]:
    """Of a migration that went well, to its end."""
    found = {
        "settings": settings(target_parameters={"work_mem": "8192"}),
        "migration": migration(),
        "result": {"outcome": "succeeded", "message": None},
        "states": states(),
        "cutover": {"read_only_since": "2026-11-21T03:09:00Z", "finished_at": "2026-11-21T03:12:30Z"},
        "validation": validation(),
        "preflight": {"findings": [FINDING], "blocks": 1, "warns": 0, "informs": 0, "applied": []},
        "topology": {
            "name": "public_access",
            "title": "Source and Target servers - Public Access",
            "source": {"access": "public"},
            "target": {"access": "public"},
            "migrates_from": {"description": "The target server shop-flex, from its public address."},
            "missing": [],
            "made": {"peerings": [{"virtual_network_id": "/n/hub", "remote_virtual_network_id": "/n/spoke"}]},
        },
    }
    return {**found, **more}


def failed(**more: Any) -> dict[str, Any]:
    """Of a migration that the service gave up."""
    error = "603107: wal_level is replica."
    found = facts(states=states(2), cutover=None, validation=None)
    found["migration"] = migration(state="Failed", substate="Completed", error=error)
    found["result"] = {"outcome": "failed", "message": error}
    return {**found, **more}


def nasty(place: int = 0) -> dict[str, Any]:
    """A row in which every text is as bad as a name can be."""
    name = f"{NASTY}{place}"
    row = row_of(failed(), name)
    row["source"] = {"name": name, "host": name, "type": name, "version": name}
    row["databases"] = [name, "=cmd|' /C calc'!A0"]
    row["problem"] = row["remedy"] = row["failed_task"] = row["migration_name"] = name
    row["progress"] = [{"name": name, "state": name, "message": name}]
    row["validation"] = validation(equal=False, name=name)
    row["preflight"] = {"findings": [dict.fromkeys(FINDING, name)]}
    row["connection_strings"] = {name: name}
    row["changes"] = [{"text": name, "put_back": None}]
    row["status"] = "differs"
    return row
