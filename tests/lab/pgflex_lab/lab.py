# SPDX-License-Identifier: GPL-3.0-or-later
"""Wires the parts together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgflex_lab.arm.store import Store
from pgflex_lab.settings import Clock, Settings

if TYPE_CHECKING:
    from pgflex_lab.clusters import Clusters
    from pgflex_lab.entra import Directory
    from pgflex_lab.migrations.service import MigrationService
    from pgflex_lab.rbac import Rbac
    from pgflex_lab.reachability import Reachability


class Lab:
    """One Azure: directory, resources, servers. `app.py` puts it on the network."""

    settings: Settings
    clock: Clock
    store: Store
    directory: Directory
    rbac: Rbac
    clusters: Clusters
    reachability: Reachability
    migrations: MigrationService

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock(settings.time_scale)
        self.store = Store()
