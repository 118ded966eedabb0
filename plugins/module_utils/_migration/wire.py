# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The migration resource on the wire, in both generations of the API. No Ansible, no SDK, no request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CURRENT_API = "2025-08-01"
CLASSIC_API = "2022-05-01-privatepreview"


@dataclass(frozen=True)
class Field:
    """A property of the migration: its option, its spelling in either generation, and whether it is a yes-or-no."""

    option: str
    current: str | None
    classic: str | None
    flag: bool = False


FIELDS = (
    Field("source_db_server_resource_id", "sourceDbServerResourceId", "sourceDBServerResourceId"),
    Field("target_db_server_resource_id", "targetDbServerResourceId", "targetDBServerResourceId"),
    Field(
        "source_db_server_fully_qualified_domain_name",
        "sourceDbServerFullyQualifiedDomainName",
        "sourceDBServerFullyQualifiedDomainName",
    ),
    Field(
        "target_db_server_fully_qualified_domain_name",
        "targetDbServerFullyQualifiedDomainName",
        "targetDBServerFullyQualifiedDomainName",
    ),
    Field("migration_instance_resource_id", "migrationInstanceResourceId", None),
    Field("source_type", "sourceType", None),
    Field("ssl_mode", "sslMode", None),
    # The first preview knows online migrations only and has no such property; the second one reads it.
    Field("migration_mode", "migrationMode", "migrationMode"),
    Field("migration_option", "migrationOption", None),
    Field("dbs_to_migrate", "dbsToMigrate", "dBsToMigrate"),
    Field("overwrite_dbs_in_target", "overwriteDbsInTarget", "overwriteDBsInTarget", flag=True),
    Field(
        "setup_logical_replication_on_source_db_if_needed",
        "setupLogicalReplicationOnSourceDbIfNeeded",
        "setupLogicalReplicationOnSourceDBIfNeeded",
        flag=True,
    ),
    Field("migrate_roles", "migrateRoles", None, flag=True),
    Field("start_data_migration", "startDataMigration", "startDataMigration", flag=True),
    Field("trigger_cutover", "triggerCutover", "triggerCutover", flag=True),
    Field("dbs_to_trigger_cutover_on", "dbsToTriggerCutoverOn", None),
    Field("cancel", "cancel", None, flag=True),
    Field("dbs_to_cancel_migration_on", "dbsToCancelMigrationOn", None),
    Field("migration_window_start_time_in_utc", "migrationWindowStartTimeInUtc", "migrationWindowStartTimeInUtc"),
    Field("migration_window_end_time_in_utc", "migrationWindowEndTimeInUtc", None),
)
BY_OPTION = {field.option: field for field in FIELDS}
USER_NAMES = {"source_server_username": "sourceServerUsername", "target_server_username": "targetServerUsername"}


def only_current(options: dict[str, Any]) -> list[str]:
    """The options given that the classic service has no word for."""
    names = [field.option for field in FIELDS if field.classic is None] + list(USER_NAMES)
    return [name for name in names if options.get(name) is not None]


def properties(options: dict[str, Any], *, classic: bool) -> dict[str, Any]:
    """The wire's properties for options of FIELDS; options left out or None stay out."""
    found = {}
    for field in FIELDS:
        value = options.get(field.option)
        key = field.classic if classic else field.current
        if value is None or key is None:
            continue
        if field.flag:
            # The current service wants words, the classic one booleans.
            value = bool(value) if classic else ("True" if value else "False")
        found[key] = value
    return found


def secrets(options: dict[str, Any], *, classic: bool) -> dict[str, Any]:
    """`secretParameters` of a request; empty when no option has anything to do with it."""
    admin = {
        "sourceServerPassword": options.get("source_server_password"),
        "targetServerPassword": options.get("target_server_password"),
    }
    found: dict[str, Any] = {}
    if any(admin.values()):
        found["adminCredentials"] = {key: value for key, value in admin.items() if value is not None}
    if classic:
        app = options.get("aad_app") or {}
        if app:
            found["aadApp"] = {
                "clientId": app["client_id"],
                "tenantId": app["tenant_id"],
                "aadSecret": app["client_secret"],
            }
    else:
        found |= {key: options[option] for option, key in USER_NAMES.items() if options.get(option)}
    return found


def create_body(options: dict[str, Any], location: str, *, classic: bool) -> dict[str, Any]:
    """The PUT's body for the module's options."""
    content = properties(options, classic=classic)
    hidden = secrets(options, classic=classic)
    if hidden:
        content["secretParameters"] = hidden
    group = options.get("migration_resource_group")
    if classic and group:
        parts = {"resourceId": group.get("resource_id"), "subnetResourceId": group.get("subnet_resource_id")}
        content["migrationResourceGroup"] = {key: value for key, value in parts.items() if value}
    made: dict[str, Any] = {"location": location, "properties": content}
    if options.get("tags") is not None:
        made["tags"] = options["tags"]
    return made


def patch_body(options: dict[str, Any], *, classic: bool, tags: dict[str, str] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {}
    content = properties(options, classic=classic)
    if content:
        made["properties"] = content
    if tags is not None:
        made["tags"] = tags
    return made


def yes(value: Any) -> bool | None:
    """A yes-or-no of either generation, None where the service did not say."""
    if value is None or isinstance(value, bool):
        return value
    return str(value).lower() == "true"


def lowered(value: Any) -> Any:
    """The same JSON with lower-case keys: the service spells its keys in more ways than one."""
    if isinstance(value, dict):
        return {key.lower(): lowered(item) for key, item in value.items()}
    if isinstance(value, list):
        return [lowered(item) for item in value]
    return value


def read(wire: dict[str, Any]) -> dict[str, Any]:
    """A migration of either generation as users of the collection see it."""
    given = wire.get("properties") or {}
    found = lowered(given)
    status = found.get("currentstatus") or {}
    # Names of databases are keys below dbDetails and keep their case; only the inner keys are lowered.
    details = _ignoring_case(_ignoring_case(given, "currentStatus"), "currentSubStateDetails")
    result: dict[str, Any] = {
        "id": wire.get("id"),
        "name": found.get("migrationname") or wire.get("name"),
        "location": wire.get("location"),
        "tags": wire.get("tags") or {},
        "migration_id": found.get("migrationid"),
        "state": status.get("state"),
        "substate": (status.get("currentsubstatedetails") or {}).get("currentsubstate"),
        "error": status.get("error"),
    }
    for field in FIELDS:
        value = found.get((field.current or field.classic or "").lower())
        result[field.option] = yes(value) if field.flag else value
    result["dbs_to_migrate"] = _names(result["dbs_to_migrate"])
    result["databases"] = [
        database(name, row) for name, row in sorted((_ignoring_case(details, "dbDetails") or {}).items())
    ]
    result["validation"] = validation(lowered(_ignoring_case(details, "validationDetails") or {}))
    result["source_server"] = metadata(found.get("sourcedbservermetadata"))
    result["target_server"] = metadata(found.get("targetdbservermetadata"))
    return result


def _names(databases: list[Any] | None) -> list[str] | None:
    """The first preview answers with a mapping for each database instead of its name."""
    if databases is None:
        return None
    return [item["name"] if isinstance(item, dict) else item for item in databases]


def _ignoring_case(mapping: Any, name: str) -> dict[str, Any]:
    rows = (mapping or {}).items()
    return next((value for key, value in rows if key.lower() == name.lower() and value), {})


COUNTERS = {
    "tables_queued": "fullLoadQueuedTables",
    "tables_loading": "fullLoadLoadingTables",
    "tables_completed": "fullLoadCompletedTables",
    "tables_errored": "fullLoadErroredTables",
    "inserts": "cdcInsertCounter",
    "updates": "cdcUpdateCounter",
    "deletes": "cdcDeleteCounter",
    "applied_changes": "appliedChanges",
    "incoming_changes": "incomingChanges",
    "latency": "latency",
}


def database(name: str, wire: dict[str, Any]) -> dict[str, Any]:
    """One entry of dbDetails. The counters are None until the service counts; latency is in seconds."""
    row = lowered(wire)
    return {
        "name": row.get("databasename") or name,
        "state": row.get("migrationstate"),
        "started_on": row.get("startedon"),
        "ended_on": row.get("endedon"),
        "message": row.get("message"),
        **{option: row.get(key.lower()) for option, key in COUNTERS.items()},
    }


def validation(row: dict[str, Any]) -> dict[str, Any] | None:
    """validationDetails (keys lowered), None where the service has not validated."""
    if not row:
        return None
    return {
        "status": row.get("status"),
        "server": [_checked(item) for item in row.get("serverlevelvalidationdetails") or []],
        "databases": [
            {"name": item.get("databasename"), "checks": [_checked(check) for check in item.get("summary") or []]}
            for item in row.get("dblevelvalidationdetails") or []
        ],
    }


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": row.get("type"),
        "state": row.get("state"),
        "messages": [item.get("message") for item in row.get("messages") or []],
    }


def metadata(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if not row:
        return None
    sku = row.get("sku") or {}
    return {
        "location": row.get("location"),
        "version": row.get("version"),
        "storage_mb": row.get("storagemb"),
        "sku": sku.get("name"),
        "tier": sku.get("tier"),
    }
