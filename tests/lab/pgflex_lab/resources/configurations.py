# SPDX-License-Identifier: GPL-3.0-or-later
"""Server parameters: PostgreSQL's own from the real server, and Azure's.

What was set is a child resource of the server; what was not is read from pg_settings at every call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse, section
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.clusters import ClusterError
from pgflex_lab.resources import azure_parameters as azure
from pgflex_lab.resources.servers import FLEXIBLE, SINGLE, Family, family_of, invalid

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

DOCUMENTATION = "https://www.postgresql.org/docs/{major}/runtime-config.html#GUC-{name}"
DATA_TYPES = {"bool": "Boolean", "integer": "Integer", "real": "Numeric", "enum": "Enumeration", "string": "String"}
FIRST_WITH_SETS = "2024-11-01"
TRUE = ("on", "true", "yes", "1")
FALSE = ("off", "false", "no", "0")
SHARED_PRELOAD = "shared_preload_libraries"
SHARED_PRELOAD_DEFAULT = {"flexible": "pg_cron,pg_stat_statements", "single": "pg_stat_statements"}


@dataclass(frozen=True)
class Parameter:
    """One parameter as a client sees it, wherever it comes from."""

    name: str
    value: str
    default: str
    data_type: str
    allowed: str
    description: str
    dynamic: bool
    read_only: bool
    pending_restart: bool
    unit: str
    native: bool
    source: str


class Configurations:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._snapshots: dict[str, list[dict[str, Any]]] = {}

    def types(self) -> list[ResourceType]:
        found = []
        for family in (SINGLE, FLEXIBLE):
            verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put}
            if family is FLEXIBLE:
                verbs["PATCH"] = self.put
            found.append(
                ResourceType(
                    f"{family.type}/configurations", verbs, api_versions=family.api_versions, paged=family is FLEXIBLE
                )
            )
        return found

    # For others

    def initialise(self, server: Resource) -> None:
        """Azure's own parameters exist from the start, so that the engine finds them."""
        for parameter in self._azure(family_of(server.id)):
            self._keep(server, parameter.name, parameter.default, "system-default")
        # Reading them once fixes what the defaults are.
        self.parameters(server)

    def seed(self, server: Resource, name: str, value: str) -> None:
        self._apply(server, self._parameter(server, name), value, "user-override")

    def value(self, server: Resource, name: str) -> str:
        return self._parameter(server, name).value

    # Reading

    @staticmethod
    def _azure(family: Family) -> tuple[azure.AzureParameter, ...]:
        return azure.FLEXIBLE_PARAMETERS if family is FLEXIBLE else azure.SINGLE_PARAMETERS

    def _kept(self, server: Resource, name: str) -> Resource | None:
        return self._lab.store.get(server.id.child("configurations", name))

    def _keep(self, server: Resource, name: str, value: str, source: str) -> None:
        target = server.id.child("configurations", name)
        properties = {"value": value, "source": source}
        kept = self._lab.store.get(target)
        if kept is None:
            self._lab.store.put(Resource(target, f"{server.type}/configurations", properties=properties))
        else:
            kept.properties.update(properties)

    def _rows(self, server: Resource) -> list[dict[str, Any]]:
        """A stopped server cannot be asked, so the last answer stands in."""
        try:
            rows = self._lab.servers.cluster(server).settings()
        except (ClusterError, psycopg.Error):
            return self._snapshots.get(server.id.key, [])
        self._snapshots[server.id.key] = rows
        return rows

    def parameters(self, server: Resource) -> dict[str, Parameter]:
        family = family_of(server.id)
        found = {item.name: self._from_azure(server, item) for item in self._azure(family)}
        for row in self._rows(server):
            if row["name"] not in azure.HIDDEN and row["name"] not in found:
                found[row["name"]] = self._from_postgres(server, family, row)
        return dict(sorted(found.items()))

    def _from_azure(self, server: Resource, item: azure.AzureParameter) -> Parameter:
        kept = self._kept(server, item.name)
        value = str(kept.properties["value"]) if kept else item.default
        return Parameter(
            name=item.name,
            value=value,
            default=item.default,
            data_type=item.data_type,
            allowed=item.allowed,
            description=item.description,
            dynamic=item.dynamic,
            read_only=item.read_only,
            pending_restart=bool(kept and kept.internal.get("pending_restart")),
            unit=item.unit,
            native=False,
            source=str(kept.properties["source"]) if kept else "system-default",
        )

    def _from_postgres(self, server: Resource, family: Family, row: dict[str, Any]) -> Parameter:
        name = str(row["name"])
        kept = self._kept(server, name)
        initial = server.internal.setdefault("initial_settings", {}).setdefault(name, row["setting"] or "")
        preload = name == SHARED_PRELOAD
        if preload:
            initial = SHARED_PRELOAD_DEFAULT[family.kind]
        value = str(kept.properties["value"]) if kept else str(initial if preload else row["setting"] or "")
        read_only = row["context"] == "internal" or name in azure.READ_ONLY
        if family is SINGLE:
            read_only = read_only or name in azure.SINGLE_READ_ONLY
        return Parameter(
            name=name,
            value=value,
            default=str(initial),
            data_type="Set" if preload else DATA_TYPES[row["vartype"]],
            allowed=_allowed(family, row),
            description=str(row["short_desc"] or ""),
            dynamic=row["context"] not in ("postmaster", "internal"),
            read_only=read_only,
            pending_restart=bool(row["pending_restart"]) or bool(kept and kept.internal.get("pending_restart")),
            unit=str(row["unit"] or ""),
            native=True,
            source=str(kept.properties["source"]) if kept else "system-default",
        )

    def _parameter(self, server: Resource, name: str) -> Parameter:
        found = self.parameters(server)
        exact = next((item for key, item in found.items() if key.lower() == name.lower()), None)
        if exact is None:
            raise ArmError(
                404,
                "ConfigurationNotExists",
                f"The configuration '{name}' does not exist for {family_of(server.id).title} version "
                f"{server.properties.get('version')}.",
            )
        return exact

    def _view(self, server: Resource, item: Parameter, api_version: str) -> dict[str, Any]:
        family = family_of(server.id)
        data_type = item.data_type
        if data_type == "Set" and (family is SINGLE or api_version < FIRST_WITH_SETS):
            data_type = "String"
        properties: dict[str, Any] = {
            "value": item.value,
            "description": item.description,
            "defaultValue": item.default,
            "dataType": data_type,
            "allowedValues": item.allowed,
            "source": item.source,
        }
        if family is FLEXIBLE:
            anchor = item.name.replace("_", "-").upper()
            properties |= {
                "isDynamicConfig": item.dynamic,
                "isReadOnly": item.read_only,
                "isConfigPendingRestart": item.pending_restart,
                "documentationLink": DOCUMENTATION.format(major=server.properties.get("version"), name=anchor),
            }
            if item.unit:
                properties["unit"] = item.unit
        return {
            "properties": properties,
            "id": str(server.id.child("configurations", item.name)),
            "name": item.name,
            "type": f"{server.type}/configurations",
        }

    def list(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        value = [self._view(server, item, request.api_version) for item in self.parameters(server).values()]
        return ArmResponse(200, {"value": value})

    def get(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        return ArmResponse(200, self._view(server, self._parameter(server, request.id.name), request.api_version))

    # Writing

    def put(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        properties = request.properties()
        self._lab.servers.require_ready(server)
        parameter = self._parameter(server, request.id.name)
        value, source = self._wanted(parameter, properties)

        def work() -> Any:
            self._apply(server, parameter, value, source)
            return self._view(server, self._parameter(server, parameter.name), request.api_version)

        seconds = self._lab.settings.configuration_seconds
        return self._lab.servers.child_change(request, server, "UpdateConfiguration", seconds, work)

    def update_many(self, request: ArmRequest) -> ArmResponse:
        """Single Server's updateConfigurations: a list in the body, applied together."""
        server = self._lab.servers.require(request.id)
        items = request.body.get("value") if isinstance(request.body, dict) else None
        if not isinstance(items, list):
            raise ArmError(400, "InvalidRequestContent", "The request content was invalid: 'value' must be a list.")
        wanted = []
        for item in items:
            if not isinstance(item, dict):
                raise ArmError(400, "InvalidRequestContent", "The request content was invalid: objects were expected.")
            parameter = self._parameter(server, str(item.get("name")))
            wanted.append((parameter, *self._wanted(parameter, section(item, "properties"))))

        def work() -> Any:
            for parameter, value, source in wanted:
                self._apply(server, parameter, value, source)
            views = [self._view(server, item, request.api_version) for item in self.parameters(server).values()]
            return {"value": views}

        seconds = self._lab.settings.configuration_seconds
        return self._lab.servers.child_change(request, server, "UpdateConfigurations", seconds, work)

    def _wanted(self, parameter: Parameter, properties: dict[str, Any]) -> tuple[str, str]:
        source = str(properties.get("source") or "user-override")
        value = properties.get("value")
        if value is None or source == "system-default":
            return parameter.default, "system-default"
        text = str(value)
        if parameter.read_only:
            raise ArmError(
                400,
                "InvalidParameterValue",
                f"The server parameter '{parameter.name}' is read-only and cannot be changed.",
            )
        if not _is_allowed(parameter, text):
            raise invalid(
                parameter.name,
                f"Invalid value given for parameter {parameter.name}: '{text}'. Allowed values: {parameter.allowed}. "
                "Specify a "
                "valid parameter value.",
            )
        return text, source

    def _apply(self, server: Resource, parameter: Parameter, value: str, source: str) -> None:
        changed = value != parameter.value
        try:
            if parameter.native:
                self._apply_native(server, parameter, value, source)
            elif parameter.name == "azure.replication_support":
                self._lab.servers.cluster(server).set_parameter("wal_level", azure.REPLICATION_SUPPORT[value.upper()])
        except ClusterError as error:
            raise invalid(parameter.name, f"Invalid value given for parameter {parameter.name}. {error}") from error
        self._keep(server, parameter.name, value, source)
        kept = self._kept(server, parameter.name)
        if kept is not None and not parameter.dynamic and changed:
            kept.internal["pending_restart"] = True

    def _apply_native(self, server: Resource, parameter: Parameter, value: str, source: str) -> None:
        cluster = self._lab.servers.cluster(server)
        if parameter.name == SHARED_PRELOAD:
            # A library that is not installed here would keep the server from starting.
            installed = self._libraries(server)
            cluster.set_parameter(SHARED_PRELOAD, ",".join(item for item in _items(value) if item in installed))
        elif source == "system-default":
            cluster.set_parameter(parameter.name, None)
        else:
            cluster.set_parameter(parameter.name, value)

    def _libraries(self, server: Resource) -> set[str]:
        with self._lab.servers.cluster(server).connect() as connection:
            rows = connection.execute(
                "SELECT replace(file, '.so', '') FROM pg_config, pg_ls_dir(pg_config.setting) AS file"
                " WHERE pg_config.name = 'PKGLIBDIR' AND file LIKE '%.so'"
            ).fetchall()
        return {str(row[0]) for row in rows}

    def restarted(self, server: Resource) -> None:
        for kept in self._lab.store.children(server.id, f"{server.type}/configurations"):
            kept.internal.pop("pending_restart", None)


def _items(text: str) -> list[str]:
    return [item.strip().lower() for item in text.split(",") if item.strip()]


def _allowed(family: Family, row: dict[str, Any]) -> str:
    if row["name"] == SHARED_PRELOAD:
        return azure.PRELOAD_FLEXIBLE if family is FLEXIBLE else azure.PRELOAD_SINGLE
    if row["vartype"] == "bool":
        return "on,off"
    if row["vartype"] == "enum":
        return ",".join(row["enumvals"] or ())
    if row["vartype"] in ("integer", "real"):
        return f"{row['min_val']}-{row['max_val']}"
    return ".*"


def _is_allowed(parameter: Parameter, value: str) -> bool:
    match parameter.data_type:
        case "Boolean":
            return value.lower() in TRUE + FALSE
        case "Enumeration":
            return value.lower() in _items(parameter.allowed)
        case "Set":
            return set(_items(value)) <= set(_items(parameter.allowed))
        case "Integer" | "Numeric":
            return _in_range(value, parameter.allowed, whole=parameter.data_type == "Integer")
    return re.fullmatch(parameter.allowed, value) is not None


def _in_range(value: str, allowed: str, *, whole: bool) -> bool:
    limits = re.fullmatch(r"(-?[\d.e+]+)-(-?[\d.e+]+)", allowed)
    try:
        number = int(value) if whole else float(value)
    except ValueError:
        return False
    return limits is None or float(limits.group(1)) <= number <= float(limits.group(2))
