# SPDX-License-Identifier: GPL-3.0-or-later
"""Server parameters as Azure knows them: some are PostgreSQL's, some only the resource's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgflex_lab.arm.store import Resource
from pgflex_lab.migrations.endpoints import Endpoint

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab


def value(lab: Lab, resource: Resource, endpoint: Endpoint, name: str) -> str | None:
    kept = lab.store.get(resource.id.child("configurations", name))
    return str(kept.properties.get("value", "")) if kept else endpoint.cluster.parameter(name)


def enable_replication(lab: Lab, source: Resource) -> None:
    """azure.replication_support = LOGICAL and the restart that makes it act."""
    kept = lab.store.get(source.id.child("configurations", "azure.replication_support"))
    if kept:
        kept.properties["value"] = "LOGICAL"
    cluster = lab.clusters.get(str(source.internal["cluster"]))
    cluster.set_parameter("wal_level", "logical")
    cluster.restart()
