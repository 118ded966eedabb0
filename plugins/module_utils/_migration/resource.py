# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Migrations of either generation: reading, making and changing them."""

from __future__ import annotations

from typing import Any

from .._clients import Azure, body, raw, wire
from .._errors import ModuleFailure, doing, service_errors, status_of
from .._ids import server_id
from .._spec import ArgumentSpec
from .states import FINAL, MAX_DATABASES, NAME
from .wire import CLASSIC_API, CURRENT_API, read

TYPE = "Microsoft.DBforPostgreSQL/flexibleServers/migrations"

# Which migration service a module speaks to; shared by every module that touches a migration.
SERVICE = ArgumentSpec(
    options={
        "generation": {"type": "str", "choices": ["current", "classic"], "default": "current"},
        "api_version": {"type": "str"},
    }
)
TARGET = ArgumentSpec(
    options={
        "resource_group": {"type": "str", "required": True},
        "server_name": {"type": "str", "required": True},
    }
)


class Migrations:
    """The migrations of one target server, in the generation that the options choose."""

    def __init__(self, azure: Azure, params: dict[str, Any], target: dict[str, Any] | None = None) -> None:
        where = target or params
        self.azure = azure
        self.classic = params["generation"] == "classic"
        self.api_version = params["api_version"] or (CLASSIC_API if self.classic else CURRENT_API)
        self.subscription_id = where.get("subscription_id") or azure.sign_in.require_subscription()
        self.group, self.server = where["resource_group"], where["server_name"]
        self._migrations = azure.flexible(self.subscription_id, self.api_version).migrations

    @property
    def target_id(self) -> str:
        return server_id(self.subscription_id, self.group, self.server, "flexibleServers")

    def get(self, name: str) -> dict[str, Any] | None:
        """The migration, None where there is none of that name."""
        try:
            return read(self._migrations.get(self.group, self.server, name, cls=raw))
        except service_errors() as error:
            if status_of(error) != 404:
                raise
            return None

    def require(self, name: str) -> dict[str, Any]:
        found = self.get(name)
        if found is None:
            raise ModuleFailure(
                f"There is no migration {name} to the server {self.server} in {self.group}.",
                code="ResourceNotFound",
                hint="Check the options name, server_name and resource_group.",
            )
        return found

    def list(self, which: str) -> list[dict[str, Any]]:
        """`which` is Active or All. The service lists migrations without their databases' counters."""
        rows = self._migrations.list_by_target_server(self.group, self.server, migration_list_filter=which)
        return [read(wire(row)) for row in rows]

    def create(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        return read(self._migrations.create(self.group, self.server, name, body(content), cls=raw))

    def update(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        made = self._migrations.update(self.group, self.server, name, body(content), cls=raw)
        return read(made) if made else self.require(name)

    def delete(self, name: str) -> None:
        # The SDK calls the DELETE of a migration cancel, and reads the classic service's empty answer as JSON unless
        # it is only to pass it on.
        self._migrations.cancel(
            self.group, self.server, name, stream=True, cls=lambda response, *_: response.http_response.read()
        )

    def check_name(self, name: str) -> None:
        """Raises when the service would not take the name; a name is taken for ever, also by a failed migration."""
        content = body({"name": name, "type": TYPE})
        with doing(f"check the migration name {name}"):
            answer = self._migrations.check_name_availability(self.group, self.server, content, cls=raw)
        if not answer.get("nameAvailable", False):
            raise ModuleFailure(
                f"The migration name {name} can not be used: "
                f"{answer.get('message') or answer.get('reason') or 'taken'}",
                code=answer.get("reason") or "AlreadyExists",
                hint="Names are unique for each target server, for ever; choose another name.",
            )

    def refuse_second(self, name: str) -> None:
        """Raises when another migration or validation runs to the same target: the service takes one at a time."""
        active = [row for row in self.list("Active") if row["state"] not in FINAL and row["name"] != name]
        if active:
            raise ModuleFailure(
                f"The server {self.server} is busy with the migration {active[0]['name']} "
                f"({active[0]['state']}, {active[0]['substate'] or 'starting'}).",
                code="TargetBusy",
                hint="One migration or validation at a time runs to a target server: wait for it, or cancel it.",
            )

    def location(self) -> str:
        """The target server's region, which a migration has to be made in."""
        with doing(f"read the target server {self.server} in {self.group}"):
            server = self.azure.flexible(self.subscription_id).servers.get(self.group, self.server, cls=raw)
        return str(server["location"])


def check_name_form(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ModuleFailure(
            f"name {name!r} is no name for a migration: only letters, digits and hyphens, not starting with a hyphen.",
            code="InvalidMigrationName",
        )


def check_databases(names: list[str] | None) -> None:
    """Raises for a list that the service would refuse; None leaves the choice to a later release of the migration."""
    if names is None:
        return
    if not names:
        raise ModuleFailure("dbs_to_migrate is empty: name at least one database.", code="NoDatabases")
    if len(names) > MAX_DATABASES:
        raise ModuleFailure(
            f"dbs_to_migrate has {len(names)} databases; the service takes up to {MAX_DATABASES} in one migration.",
            code="TooManyDatabases",
            hint="Make several migrations, one after the other, each with up to 8 databases.",
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ModuleFailure(f"dbs_to_migrate names {', '.join(twice)} more than once.", code="DuplicateDatabases")


def check_choice(databases: list[str] | None) -> None:
    """Raises for an empty choice: taken as left out, it would mean all databases of the migration."""
    if databases is not None and not databases:
        raise ModuleFailure(
            "databases is empty: name at least one, or leave the option out for all of the migration.",
            code="NoDatabases",
        )
