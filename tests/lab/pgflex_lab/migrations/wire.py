# SPDX-License-Identifier: GPL-3.0-or-later
"""Both generations of the migration resource: requests read without regard to case, answers spelled as recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from pgflex_lab.arm.http import ArmError
from pgflex_lab.arm.store import Resource
from pgflex_lab.migrations.model import MAX_DATABASES, AppCredentials, Database, DatabaseState, Migration, Order
from pgflex_lab.settings import timestamp

OLDEST = "2021-06-15-privatepreview"
CLASSIC = (OLDEST, "2022-05-01-privatepreview")
CURRENT = ("2024-08-01", "2025-08-01", "2026-04-01-preview", "2026-10-01")
RESOURCE_TYPE = "Microsoft.DBforPostgreSQL/flexibleServers/migrations"
View = Literal["created", "listed", "shown"]

MODES = ("Offline", "Online")
OPTIONS = ("Validate", "Migrate", "ValidateAndMigrate")
SSL_MODES = ("Prefer", "Require", "VerifyCA", "VerifyFull")
SINGLE_SERVER = "PostgreSQLSingleServer"
SOURCE_TYPES = (
    *("OnPremises", "AWS", "GCP", "AzureVM", SINGLE_SERVER, "AWS_RDS", "AWS_AURORA", "AWS_EC2", "GCP_CloudSQL"),
    *("GCP_AlloyDB", "GCP_Compute", "EDB", "EDB_Oracle_Server", "EDB_PostgreSQL", "PostgreSQLFlexibleServer"),
    *("PostgreSQLCosmosDB", "Huawei_RDS", "Huawei_Compute", "Heroku_PostgreSQL", "Crunchy_PostgreSQL", "ApsaraDB_RDS"),
    *("Digital_Ocean_Droplets", "Digital_Ocean_PostgreSQL", "Supabase_PostgreSQL"),
)


def check_api_version(version: str, *, location: str) -> None:
    if version not in CLASSIC + CURRENT:
        known = ", ".join((*CURRENT[::-1], *CLASSIC[::-1]))
        raise ArmError(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location '{location}' and API version '{version}' for type "
            f"'flexibleServers/migrations'. The supported api-versions are '{known}'.",
        )


def is_classic(version: str) -> bool:
    return version in CLASSIC


def bad_request(message: str, code: str = "BadRequest") -> ArmError:
    return ArmError(400, code, message)


class Reader:
    """One level of a request: keys match in any case, and a value of a wrong kind is refused by its name."""

    def __init__(self, values: Mapping[str, Any], path: str = "properties") -> None:
        self._values = {str(key).lower(): value for key, value in values.items()}
        self._path = path

    def _get(self, name: str) -> Any:
        return self._values.get(name.lower())

    def _wrong(self, name: str, expected: str) -> ArmError:
        return bad_request(
            f"The value of '{self._path}.{name}' is not valid: {expected} was expected.", "InvalidParameterValue"
        )

    def text(self, name: str) -> str | None:
        value = self._get(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value or None

    def flag(self, name: str) -> bool | None:
        value = self._get(name)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise self._wrong(name, "'True' or 'False'")

    def choice(self, name: str, known: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        for item in known:
            if item.lower() == value.lower():
                return item
        raise self._wrong(name, " or ".join(f"'{item}'" for item in known))

    def names(self, name: str) -> list[str] | None:
        value = self._get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self._wrong(name, "a list of database names")
        return list(dict.fromkeys(value))

    def moment(self, name: str) -> datetime | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            # Seven digits of a second are Azure's, and one more than Python reads.
            head, _point, rest = value.replace("z", "Z").replace("Z", "+00:00").partition(".")
            digits = "".join(char for char in rest.partition("+")[0] if char.isdigit())
            found = datetime.fromisoformat(f"{head}.{digits[:6]:0<6}+00:00" if rest else head)
        except ValueError:
            raise self._wrong(name, "a date and time in UTC") from None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def inner(self, name: str) -> Reader:
        value = self._get(name)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return Reader(value or {}, f"{self._path}.{name}")


def read(properties: Mapping[str, Any]) -> Order:
    """A PUT's or PATCH's properties. Defaults are the caller's business."""
    top = Reader(properties)
    secrets = top.inner("secretParameters")
    credentials = secrets.inner("adminCredentials")
    group = top.inner("migrationResourceGroup")
    order = Order(
        source=top.text("sourceDbServerResourceId"),
        source_fqdn=top.text("sourceDbServerFullyQualifiedDomainName"),
        target_fqdn=top.text("targetDbServerFullyQualifiedDomainName"),
        mode=top.choice("migrationMode", MODES),
        option=top.choice("migrationOption", OPTIONS),
        source_type=top.choice("sourceType", SOURCE_TYPES),
        ssl_mode=top.choice("sslMode", SSL_MODES),
        migrate_roles=top.flag("migrateRoles"),
        databases=top.names("dbsToMigrate"),
        setup_replication=top.flag("setupLogicalReplicationOnSourceDbIfNeeded"),
        overwrite=top.flag("overwriteDbsInTarget"),
        start_data_migration=top.flag("startDataMigration"),
        trigger_cutover=top.flag("triggerCutover"),
        cutover_databases=top.names("dbsToTriggerCutoverOn"),
        cancel=top.flag("cancel"),
        cancel_databases=top.names("dbsToCancelMigrationOn"),
        window_start=top.moment("migrationWindowStartTimeInUtc"),
        window_end=top.moment("migrationWindowEndTimeInUtc"),
        runtime_server=top.text("migrationInstanceResourceId"),
        source_user=secrets.text("sourceServerUsername"),
        target_user=secrets.text("targetServerUsername"),
        source_password=credentials.text("sourceServerPassword"),
        target_password=credentials.text("targetServerPassword"),
        app=_app(secrets.inner("aadApp")),
        resource_group=group.text("resourceId"),
        subnet=group.text("subnetResourceId"),
    )
    check_count(order.databases)
    return order


def check_count(databases: list[str] | None) -> None:
    if databases and len(databases) > MAX_DATABASES:
        raise bad_request(
            f"The property 'dbsToMigrate' lists {len(databases)} databases; the most is {MAX_DATABASES}.",
            "InvalidParameterValue",
        )


def _app(values: Reader) -> AppCredentials | None:
    client, tenant, secret = values.text("clientId"), values.text("tenantId"), values.text("aadSecret")
    if client is None and tenant is None and secret is None:
        return None
    if client is None or tenant is None or secret is None:
        raise bad_request("'secretParameters.aadApp' needs clientId, tenantId and aadSecret.", "InvalidParameterValue")
    return AppCredentials(client, tenant, secret)


def render(
    migration: Migration, version: str, view: View, servers: tuple[Resource | None, Resource | None]
) -> dict[str, Any]:
    """`servers`: the source and target resources, for the metadata that only a GET of one migration shows."""
    make = _classic if is_classic(version) else _current
    properties = make(migration, version, view)
    if view == "shown":
        properties.update(_metadata(version, *servers))
    target = servers[1]
    own_place = view == "created" or is_classic(version) or target is None
    body: dict[str, Any] = {
        "properties": _clean(properties),
        "location": migration.location if own_place or target is None else target.location,
        "id": str(migration.resource_id),
        "name": migration.name,
        "type": RESOURCE_TYPE,
    }
    if migration.tags:
        body["tags"] = migration.tags
    return body


def _clean(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}


def _classic(migration: Migration, version: str, view: View) -> dict[str, Any]:
    order = migration.order
    group = _clean({"resourceId": order.resource_group, "subnetResourceId": order.subnet})
    return {
        "migrationId": str(migration.id),
        "migrationName": migration.name,
        "migrationDetailsLevel": "Default" if version == OLDEST else None,
        "currentStatus": _status(migration, version, view),
        "migrationMode": None if version == OLDEST else order.mode,
        "migrationResourceGroup": group or None,
        "sourceDBServerResourceId": order.source,
        "sourceDBServerFullyQualifiedDomainName": order.source_fqdn,
        "targetDBServerResourceId": str(migration.target_id),
        "targetDBServerFullyQualifiedDomainName": order.target_fqdn,
        "dBsToMigrate": order.databases,
        "setupLogicalReplicationOnSourceDBIfNeeded": order.setup_replication,
        "overwriteDBsInTarget": order.overwrite,
        "migrationWindowStartTimeInUtc": timestamp(migration.window_start),
        "startDataMigration": order.start_data_migration,
        "triggerCutover": True if not order.online else order.trigger_cutover,
    }


def _current(migration: Migration, version: str, view: View) -> dict[str, Any]:
    order = migration.order
    shown = view != "created"
    return {
        "migrationId": str(migration.id),
        "currentStatus": _status(migration, version, view),
        "migrationInstanceResourceId": order.runtime_server,
        "migrationMode": order.mode,
        "migrationWindowEndTimeInUtc": timestamp(migration.window_end) if migration.window_end else None,
        "sourceDbServerResourceId": order.source,
        "sourceDbServerFullyQualifiedDomainName": order.source_fqdn,
        "targetDbServerResourceId": str(migration.target_id),
        "targetDbServerFullyQualifiedDomainName": order.target_fqdn,
        "dbsToMigrate": order.databases,
        "setupLogicalReplicationOnSourceDbIfNeeded": _word(order.setup_replication, default=shown),
        "overwriteDbsInTarget": _word(order.overwrite, default=shown),
        "migrationWindowStartTimeInUtc": timestamp(migration.window_start),
        "startDataMigration": _word(order.start_data_migration, default=False),
        "triggerCutover": "True" if not order.online else _word(order.trigger_cutover, default=False),
        "dbsToTriggerCutoverOn": order.cutover_databases,
        "migrationOption": order.option,
        "sourceType": order.source_type,
        "sslMode": order.ssl_mode,
        "migrateRoles": _word(order.migrate_roles, default=shown),
        "cancel": _word(order.cancel, default=False),
        "dbsToCancelMigrationOn": order.cancel_databases,
    }


def _word(value: bool | None, *, default: bool) -> str | None:
    """With `default` a flag that was left out is printed as False."""
    if value is None:
        return "False" if default else None
    return "True" if value else "False"


def _status(migration: Migration, version: str, view: View) -> dict[str, Any]:
    status: dict[str, Any] = {"state": str(migration.state)}
    if migration.error:
        status["error"] = migration.error
    if view == "created":
        return status
    details: dict[str, Any] = {"currentSubState": str(migration.substate)}
    databases = {item.name: _database(item, version) for item in migration.databases.values()}
    if not is_classic(version) or (databases and view == "shown"):
        details["dbDetails"] = databases
    if migration.validation is not None and not is_classic(version):
        details["validationDetails"] = migration.validation
    status["currentSubStateDetails"] = details
    return status


def _database(item: Database, version: str) -> dict[str, Any]:
    state = str(item.state)
    if version == OLDEST and item.state == DatabaseState.WAITING_CUTOVER:
        state = "READY_TO_COMPLETE"
    found: dict[str, Any] = {"databaseName": item.name, "migrationState": state}
    if item.started:
        found["startedOn"] = timestamp(item.started)
    if item.ended:
        found["endedOn"] = timestamp(item.ended)
    if item.message:
        found["message"] = item.message
    if version == OLDEST:
        found["initializationCompleted"] = item.progress.fullLoadCompletedTables > 0 or item.state.final
    return {**found, **asdict(item.progress)}


def _metadata(version: str, source: Resource | None, target: Resource | None) -> dict[str, Any]:
    if version in CLASSIC:
        names, size = ("sourceDBServerMetadata", "targetDBServerMetadata"), "storageMB"
    else:
        names, size = ("sourceDbServerMetadata", "targetDbServerMetadata"), "storageMb"
    return {
        name: _server(version, size, item)
        for name, item in zip(names, (source, target), strict=True)
        if item is not None
    }


def _server(version: str, size: str, server: Resource) -> dict[str, Any]:
    single = server.type.lower().endswith("/servers")
    sku = server.sku or {}
    if version == CLASSIC[1]:
        # The second preview shows neither size nor version, no SKU of the source, and the target's name as its tier.
        return {
            "location": server.location,
            "sku": {} if single else {"name": sku.get("name"), "tier": sku.get("name")},
        }
    current = version in CURRENT
    profile = server.properties.get("storageProfile", {}).get("storageMB")
    gigabytes = server.properties.get("storage", {}).get("storageSizeGB")
    megabytes = profile if profile is not None else (gigabytes * 1024 if gigabytes is not None else None)
    return _clean(
        {
            "location": server.location,
            # The current service says neither of a Single Server.
            "version": None if single and current else server.properties.get("version"),
            size: megabytes,
            "sku": {} if single and current else _clean({"name": sku.get("name"), "tier": sku.get("tier")}),
        }
    )
