# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparing source and target: all databases."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from .._errors import ModuleFailure
from .._parallel import each
from .._postgres import Server, connect, identifier, sql_errors
from .._wait import Deadline
from .catalog import USER_SCHEMA
from .compare import Scope, only_moved, sentence
from .database import Comparison, Job

# A view can only be made over what is there, so the order of making is an order of refreshing.
MATERIALIZED_VIEWS = f"""
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'm' AND {USER_SCHEMA} ORDER BY c.oid"""

View = tuple[str, str]


def job_from(params: Mapping[str, Any], report: Any) -> Job:
    return Job(
        source=Server.from_options("source", params["source"]),
        target=Server.from_options("target", params["target"]),
        jobs=max(1, params["jobs"]),
        scope=Scope(
            schemas=tuple(params["schemas"] or ()),
            exclude_tables=tuple(params["exclude_tables"] or ()),
            materialized_views=params["materialized_views"] != "skip",
        ),
        max_examples=params["max_examples"],
        settle_timeout=params["settle_timeout"],
        large_objects=params["large_objects"],
        definitions=params["definitions"],
        privileges=params["privileges"],
        role_mapping=params["role_mapping"],
        deadline=Deadline(params["timeout"]),
        report=report,
    )


def database_names(params: Mapping[str, Any]) -> list[str]:
    names = list(dict.fromkeys(params["databases"]))
    if not names:
        raise ModuleFailure(
            "The option databases is empty: nothing was compared.",
            code="NoDatabases",
            hint="Name at least one database in the option databases.",
        )
    return names


def validate(job: Job, names: Sequence[str]) -> dict[str, Any]:
    """The comparison of all databases, one after the other, each with as many connections as the user allows."""
    began = time.monotonic()
    databases = []
    for name in names:
        databases.append(Comparison(job, name).result())
        state = "equal" if databases[-1]["equal"] else "not equal"
        job.report(f"{name}: {len(databases[-1]['tables'])} tables compared, {state}")
    return {
        "equal": all(database["equal"] for database in databases),
        "databases": databases,
        "rows": sum(table["source_rows"] or 0 for database in databases for table in database["tables"]),
        "bytes": sum(database["bytes"] for database in databases),
        "seconds": round(time.monotonic() - began, 1),
        "summary": sentence(databases),
    }


def difference(validation: Mapping[str, Any], changed: bool) -> ModuleFailure:
    """The failure that tells of a difference, with the whole result beside it."""
    moved = only_moved(validation["databases"])
    hint = "Stop the writers, see pgflex.migrate.source_read_only, and run again." if moved else None
    return ModuleFailure(
        str(validation["summary"]),
        code="TablesMoved" if moved else "DataDiffers",
        hint=hint,
        details={"changed": changed, "validation": validation},
    )


def materialized_views(server: Server, database: str, scope: Scope) -> list[View]:
    with connect(server, database) as connection, sql_errors(server, "list materialized views"):
        found = connection.execute(MATERIALIZED_VIEWS.encode()).fetchall()
    return [(schema, name) for schema, name in found if scope.has(schema) and not scope.excludes(f"{schema}.{name}")]


def views_by_side(job: Job, names: Sequence[str]) -> dict[str, list[str]]:
    """The names of all materialized views, as `database.schema.view`, by side."""
    return {
        server.option: [
            f"{name}.{schema}.{view}" for name in names for schema, view in materialized_views(server, name, job.scope)
        ]
        for server in (job.source, job.target)
    }


def refresh(job: Job, names: Sequence[str]) -> None:
    def work(server: Server) -> None:
        for name in names:
            _refresh(job, server, name)

    each(work, (job.source, job.target))


def _refresh(job: Job, server: Server, database: str) -> None:
    views = materialized_views(server, database, job.scope)
    if not views:
        return
    with connect(server, database) as connection:
        for view in views:
            with sql_errors(server, f"refresh the materialized view {database}.{'.'.join(view)}"):
                # The source may be read-only by then, which is no reason not to bring a view up to date.
                connection.execute("SET default_transaction_read_only = off")
                limit = max(1, int(job.deadline.left * 1000))
                connection.execute(f"SET statement_timeout = {limit}".encode())
                connection.execute(f"REFRESH MATERIALIZED VIEW {identifier(*view)}".encode())
