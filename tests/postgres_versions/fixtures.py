# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from .cluster import Cluster, Home
from .programs import NotHere

DISTRIBUTION = 15


class Postgres:
    """postgres(16) is a running server of that major, the same for everybody who asks with the same name."""

    def __init__(self) -> None:
        self.home = Home()
        self._clusters: dict[tuple[int, str], Cluster] = {}

    def __call__(self, major: int, name: str = "shared", settings: Mapping[str, str] | None = None) -> Cluster:
        key = (major, name)
        if key not in self._clusters:
            try:
                cluster = Cluster(self.home, major, name, settings or {})
            except NotHere as reason:
                if major == DISTRIBUTION:
                    raise
                pytest.skip(str(reason))
            self._clusters[key] = cluster
            cluster.create()
        return self._clusters[key]

    def close(self) -> None:
        try:
            for cluster in self._clusters.values():
                cluster.stop("immediate")
        finally:
            self.home.remove()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    servers = Postgres()
    try:
        yield servers
    finally:
        servers.close()
