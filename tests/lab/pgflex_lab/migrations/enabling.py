# SPDX-License-Identifier: GPL-3.0-or-later
"""Turning logical replication on, as the service does where it is allowed to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgflex_lab.arm.store import Resource

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab


def enable_replication(lab: Lab, source: Resource) -> None:
    """azure.replication_support = LOGICAL and the restart that makes it act."""
    lab.configurations.seed(source, "azure.replication_support", "LOGICAL")
    lab.clusters.get(str(source.internal["cluster"])).restart()
    lab.configurations.restarted(source)
