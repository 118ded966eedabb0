# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases: always as the real server has them, also those made with SQL; but for the locale that was asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.clusters import ClusterError
from pgflex_lab.resources.servers import FLEXIBLE, SINGLE, invalid

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

NAME = re.compile(r"[^\x00/]{1,63}")
SYSTEM = ("azure_maintenance", "azure_sys", "postgres")
# Azure's locales, which this machine need not have: the cluster has the C locale of the same character set for them.
NOT_HERE = ("en_us.utf8", "en_us.utf-8", "english_united states.1252")
LOCALES = "locales"


class Databases:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        verbs = {"LIST": self.list, "GET": self.get, "PUT": self.put, "DELETE": self.delete}
        return [
            ResourceType(f"{family.type}/databases", verbs, api_versions=family.api_versions, paged=family is FLEXIBLE)
            for family in (SINGLE, FLEXIBLE)
        ]

    def _rows(self, server: Resource) -> dict[str, dict[str, str]]:
        try:
            with self._lab.servers.cluster(server).connect() as connection:
                rows = connection.execute(
                    "SELECT datname, pg_encoding_to_char(encoding), datcollate, oid FROM pg_database"
                    " WHERE NOT datistemplate ORDER BY datname"
                ).fetchall()
        except (ClusterError, psycopg.Error):
            # Not running: Azure says so rather than showing an empty list.
            self._lab.servers.require_ready(server)
            raise
        shown = server.internal.get(LOCALES, {})
        return {
            str(name): {"charset": str(charset), "collation": str(shown.get(oid, collation))}
            for name, charset, collation, oid in rows
        }

    def _made(self, server: Resource, name: str, collation: str) -> None:
        """By its oid: one of the same name that SQL makes later has the locale that it really has."""
        with self._lab.servers.cluster(server).connect() as connection:
            row = connection.execute("SELECT oid FROM pg_database WHERE datname = %s", [name]).fetchone()
        if row is not None:
            server.internal.setdefault(LOCALES, {})[row[0]] = collation

    @staticmethod
    def _view(server: Resource, name: str, properties: dict[str, str]) -> dict[str, Any]:
        return {
            "properties": properties,
            "id": str(server.id.child("databases", name)),
            "name": name,
            "type": f"{server.type}/databases",
        }

    def list(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        return ArmResponse(200, {"value": [self._view(server, name, row) for name, row in self._rows(server).items()]})

    def get(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        row = self._rows(server).get(request.id.name)
        if row is None:
            raise self._lab.store.missing(request.id)
        return ArmResponse(200, self._view(server, request.id.name, row))

    def put(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        properties = request.properties()
        name = request.id.name
        if not NAME.fullmatch(name):
            raise invalid("databaseName")
        charset = str(properties.get("charset") or "UTF8")
        asked = str(properties.get("collation") or "")
        collation = "" if asked.lower() in NOT_HERE else asked

        def work() -> Any:
            existing = self._rows(server).get(name)
            if existing is None:
                try:
                    self._lab.servers.cluster(server).create_database(name, charset=charset, collation=collation)
                except ClusterError as error:
                    raise invalid("charset or collation", str(error)) from error
                if asked and not collation:
                    self._made(server, name, asked)
            return self._view(server, name, self._rows(server)[name])

        return self._lab.servers.child_change(
            request, server, "CreateDatabase", self._lab.settings.configuration_seconds, work
        )

    def delete(self, request: ArmRequest) -> ArmResponse:
        server = self._lab.servers.require(request.id.parent)
        name = request.id.name
        if name in SYSTEM:
            raise ArmError(400, "SystemDatabaseNotAllowed", f"The system database '{name}' cannot be dropped.")
        self._lab.servers.require_ready(server)
        if name not in self._rows(server):
            return ArmResponse(204)

        def work() -> None:
            self._lab.servers.cluster(server).drop_database(name)

        return self._lab.servers.child_change(
            request, server, "DropDatabase", self._lab.settings.configuration_seconds, work
        )
