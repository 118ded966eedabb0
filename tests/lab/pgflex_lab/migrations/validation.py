# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's validation: its rules run in its order and reported in its shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from pgflex_lab.arm.store import Resource
from pgflex_lab.migrations import rules
from pgflex_lab.migrations.endpoints import Endpoint, try_connection
from pgflex_lab.migrations.model import MigrationFailure, Order
from pgflex_lab.settings import timestamp

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

SERVER_TYPES = ("AuthenticationAndConnectivityValidation", "SourceVersionValidation", "ServerParametersValidation")
DATABASE_TYPES = ("SchemaValidation", "ExtensionsValidation", "CollationsValidation")


@dataclass
class Check:
    """One type of validation, of the server or of one database."""

    type: str
    messages: list[str] = field(default_factory=list)

    def rendered(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": self.type, "state": "Failed" if self.messages else "Succeeded"}
        if self.messages:
            found["messages"] = [{"state": "Failed", "message": text} for text in self.messages]
        return found


@dataclass
class DatabaseChecks:
    name: str
    started: datetime
    checks: list[Check]
    ended: datetime


@dataclass
class Result:
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime = field(default_factory=lambda: datetime.now(UTC))
    server: list[Check] = field(default_factory=list)
    databases: list[DatabaseChecks] = field(default_factory=list)

    def failures(self) -> list[str]:
        checks = [*self.server, *(check for item in self.databases for check in item.checks)]
        return [text for check in checks for text in check.messages]

    @property
    def failed(self) -> bool:
        return bool(self.failures())

    def rendered(self) -> dict[str, Any]:
        return {
            "status": "Failed" if self.failed else "Succeeded",
            "validationStartTimeInUtc": timestamp(self.started),
            "validationEndTimeInUtc": timestamp(self.ended),
            "serverLevelValidationDetails": [check.rendered() for check in self.server],
            "dbLevelValidationDetails": [
                {
                    "databaseName": item.name,
                    "startedOn": timestamp(item.started),
                    "endedOn": timestamp(item.ended),
                    "summary": [check.rendered() for check in item.checks],
                }
                for item in self.databases
            ],
        }


def taken(order: Order, target: Endpoint) -> list[str]:
    """Databases to migrate whose names exist on the target."""
    return sorted(set(order.databases or []).intersection(target.cluster.databases()))


def validate(
    lab: Lab, order: Order, target_resource: Resource, endpoints: Callable[[], tuple[Endpoint, Endpoint]]
) -> Result:
    """Without a connection to both servers nothing else can be asked."""
    result = Result()
    connectivity = Check(SERVER_TYPES[0])
    result.server.append(connectivity)
    try:
        source, target = endpoints()
    except MigrationFailure as failure:
        connectivity.messages.append(str(failure))
        result.ended = datetime.now(UTC)
        return result
    connectivity.messages += [text for text in (try_connection(source), try_connection(target)) if text]
    if not connectivity.messages:
        _rules(lab, order, target_resource, source, target, result)
    result.ended = datetime.now(UTC)
    return result


def _rules(lab: Lab, order: Order, resource: Resource, source: Endpoint, target: Endpoint, result: Result) -> None:
    context = rules.Context(order, source, target, lambda name: lab.configurations.value(resource, name))
    for check, asked in ((result.server[0], rules.USERS), (None, rules.VERSIONS), (None, rules.PARAMETERS)):
        filled = check or Check(SERVER_TYPES[len(result.server)])
        for rule in asked:
            filled.messages += rule(context)
        if check is None:
            result.server.append(filled)
    present = set(source.cluster.databases())
    for name in order.databases or []:
        if name not in present:
            continue
        started = datetime.now(UTC)
        checks = [Check(kind) for kind in DATABASE_TYPES]
        try:
            with source.connect(name) as connection:
                inside = rules.DatabaseContext(context, name, connection)
                for check, asked_inside in zip(checks, (rules.SCHEMA, rules.EXTENSIONS, rules.COLLATIONS), strict=True):
                    for database_rule in asked_inside:
                        check.messages += database_rule(inside)
        except psycopg.Error as error:
            checks[0].messages.append(f"603700: Database {name}: {str(error).strip()}")
        result.databases.append(DatabaseChecks(name, started, checks, datetime.now(UTC)))
