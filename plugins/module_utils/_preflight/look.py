# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One look at both servers, from options to findings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from .._clients import Azure
from .._errors import ModuleFailure, code_of, service_errors, status_of
from .._migration.resource import Migrations
from .._parallel import each
from .._postgres import Server, load_psycopg, sql_errors
from .._server.servers import FlexibleServer
from . import access, configuration, data, extensions, resource, schema
from .rules import (
    AZURE,
    DATABASE,
    PLAN,
    RULES,
    SERVER,
    SEVERITIES,
    SOURCE,
    TARGET,
    AzureFacts,
    Facts,
    Finding,
    Job,
    Look,
    Rule,
    counted,
)
from .session import OURS, check, look_at_database, maintenance_session, read_facts, unreachable

# Each registers its rules when it is loaded; a new theme is a file in this list.
THEMES = (access, configuration, data, extensions, resource, schema)


def job_from(params: Mapping[str, Any]) -> Job:
    databases = tuple(dict.fromkeys(params["databases"]))
    if not databases:
        raise ModuleFailure(
            "The option databases is empty: there is nothing to look at.",
            code="NoDatabases",
            hint="Name at least one database in the option databases.",
        )
    return Job(
        source=Server.from_options(SOURCE, params["source"]),
        target=Server.from_options(TARGET, params["target"]),
        databases=databases,
        mode=params["mode"],
        generation=params["generation"],
        source_type=params["source_type"],
        overwrite=params["overwrite"],
        migration_name=params["migration_name"],
    )


def rules_for(job: Job, scope: str, side: str, *, both: bool) -> list[Rule]:
    """The rules that can be asked; without the other server those that compare can not."""
    return [
        rule
        for rule in RULES.values()
        if rule.scope == scope and rule.side == side and rule.applies(job) and (both or not rule.both)
    ]


def read_azure(azure: Azure, where: Mapping[str, Any], job: Job) -> tuple[AzureFacts, list[Finding]]:
    """What Azure says of the target, in requests beside each other; what it refuses to say is a finding."""
    subscription = where.get("subscription_id") or azure.sign_in.require_subscription()
    server = FlexibleServer(azure, subscription, where["resource_group"], where["name"])
    target = {"subscription_id": subscription, "resource_group": server.group, "server_name": server.name}
    migrations = Migrations(azure, {"generation": job.generation, "api_version": None}, target)
    named = job.migration_name
    questions = {
        "server": server.details,
        "parameters": lambda: {parameter.key: parameter.value for parameter in server.parameters()},
        "active": partial(migrations.list, "Active"),
        "migration": partial(migrations.get, named) if named else lambda: None,
    }
    answers = each(lambda name: _ask(name, questions[name]), questions)
    findings = [answer for answer in answers if isinstance(answer, Finding)]
    known = {
        name: None if isinstance(answer, Finding) else answer for name, answer in zip(questions, answers, strict=True)
    }
    return AzureFacts(**known), findings


def _ask(name: str, question: Any) -> Any:
    try:
        return question()
    except service_errors() as error:
        if status_of(error) != 403:
            raise
        return Finding(
            code=None,
            rule="azure_refuses",
            severity="warns",
            side=TARGET,
            database=None,
            object=name,
            message=f"Azure does not let the signed-in identity read this of the target: {name} ({code_of(error)}).",
            remedy="Give the identity the role Reader on the target.",
        )


class Preflight:
    """One look at both servers, all databases and the target's resource."""

    def __init__(self, job: Job, azure: Azure | None = None, target: Mapping[str, Any] | None = None) -> None:
        self.job = job
        self.client = azure
        self.resource = target
        self.azure = AzureFacts()
        self.facts: dict[str, Facts] = {}
        self.findings: list[Finding] = []

    def look(self) -> list[Finding]:
        self.facts, self.findings = {}, []
        # Asked here, so that a driver that is missing fails the task, and is no finding of each server.
        load_psycopg()
        parts = [*(partial(self._read, side) for side in (SOURCE, TARGET)), self._read_azure]
        self.findings += [finding for found in each(_call, parts) for finding in found]
        both = len(self.facts) == 2
        tasks = [partial(self._check, PLAN, SOURCE, both), partial(self._check, AZURE, TARGET, both)]
        tasks += [partial(self._check_server, side, both) for side in self.facts]
        if SOURCE in self.facts:
            rules = rules_for(self.job, DATABASE, SOURCE, both=both)
            there = [name for name in self.job.databases if name in self.facts[SOURCE].databases]
            tasks += [partial(look_at_database, rules, self.job, self.facts, self.azure, name) for name in there]
        self.findings += [finding for found in each(_call, tasks) for finding in found]
        self.findings.sort(key=_order)
        return self.findings

    def _read(self, side: str) -> list[Finding]:
        server = self.job.server(side)
        try:
            with (
                maintenance_session(server, self.job.databases) as connection,
                sql_errors(server, "read what the rules need"),
            ):
                self.facts[side] = read_facts(connection, self.job.databases, target=side == TARGET)
        except ModuleFailure as failure:
            if failure.code in OURS:
                raise
            return [unreachable(side, failure)]
        return []

    def _read_azure(self) -> list[Finding]:
        if self.client is None or self.resource is None:
            return []
        self.azure, findings = read_azure(self.client, self.resource, self.job)
        return findings

    def _check(self, scope: str, side: str, both: bool) -> list[Finding]:
        return check(rules_for(self.job, scope, side, both=both), Look(self.job, self.facts, self.azure, side))

    def _check_server(self, side: str, both: bool) -> list[Finding]:
        rules = rules_for(self.job, SERVER, side, both=both)
        try:
            with maintenance_session(self.job.server(side), self.job.databases) as connection:
                return check(rules, Look(self.job, self.facts, self.azure, side, None, connection))
        except ModuleFailure as failure:
            return [unreachable(side, failure)]


def _call(work: Any) -> list[Finding]:
    found: list[Finding] = work()
    return found


def _order(finding: Finding) -> tuple[Any, ...]:
    severity = SEVERITIES.index(finding.severity)
    # Sessions answer in any order; a second run has to say the same.
    return severity, finding.side, finding.database or "", finding.code or "9", finding.rule, finding.object


def summary(findings: list[Finding]) -> dict[str, Any]:
    return {
        "findings": [finding.as_result() for finding in findings],
        **{severity: sum(finding.severity == severity for finding in findings) for severity in SEVERITIES},
    }


def strictly(result: dict[str, Any], *, fails: bool) -> dict[str, Any]:
    """The module's result, unless something blocks and that is to fail the task."""
    found = result["preflight"]
    blocking = [row for row in found["findings"] if row["severity"] == "blocks"]
    if not fails or not blocking:
        return result
    first = " ".join(row["message"] for row in blocking[:3])
    more = f" And {len(blocking) - 3} more." if len(blocking) > 3 else ""
    raise ModuleFailure(
        f"{counted(blocking, 'finding', 'findings')} would stop the migration: {first}{more}",
        code="Blocked",
        hint="preflight.findings says for each what to do; strict: false lets the task go on.",
        details=result,
    )
