# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters: Azure's roles and settings, restarts, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgflex_lab.clusters import Cluster, ClusterError, Clusters, is_server, remove_leftovers
from pgflex_lab.settings import Settings
from small_lab import PASSWORD, connect, short_home


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with short_home() as path:
        yield path


@pytest.fixture(scope="module")
def clusters(home: Path) -> Iterator[Clusters]:
    made = Clusters(Settings(home=home))
    made.create("src", kind="single", admin_login="boss", admin_password=PASSWORD)
    made.create("tgt", kind="flexible", admin_login="boss", admin_password=PASSWORD)
    made.create("own", kind="other", admin_login="boss", admin_password=PASSWORD)
    yield made
    made.stop_all()


def test_each_has_an_address_and_azures_databases(clusters: Clusters) -> None:
    assert len({item.hostaddr for item in clusters.all()}) == 3
    assert all(item.port == 5432 and item.hostaddr.startswith("127.77.") for item in clusters.all())
    assert clusters.get("src").databases() == ["azure_maintenance", "azure_sys", "postgres"]
    assert clusters.get("own").databases() == ["postgres"]


def test_admin_of_a_single_server_signs_in_with_the_servers_name(clusters: Clusters) -> None:
    with connect(clusters.get("src")) as connection:
        found = connection.execute(
            "SELECT session_user::text, current_user::text, rolsuper FROM pg_roles WHERE rolname = current_user"
        )
        assert found.fetchone() == ("boss@src", "boss", False)


def test_admin_may_make_databases_and_publications_and_read_settings(clusters: Clusters) -> None:
    with connect(clusters.get("tgt")) as connection:
        connection.execute("CREATE DATABASE mine")
        connection.execute("CREATE ROLE app LOGIN")
        row = connection.execute(
            "SELECT pg_has_role('azure_pg_admin', 'MEMBER'), rolreplication FROM pg_roles WHERE rolname = 'boss'"
        )
        assert row.fetchone() == (True, True)


@pytest.mark.parametrize(("name", "mode"), [("src", "disable"), ("tgt", "disable")])
def test_azure_servers_refuse_connections_without_tls(clusters: Clusters, name: str, mode: str) -> None:
    cluster = clusters.get(name)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(
            host=cluster.hostaddr, user=cluster.admin_roles[-1], password=PASSWORD, dbname="postgres", sslmode=mode
        )


def test_own_servers_take_connections_without_tls(clusters: Clusters) -> None:
    own = clusters.get("own")
    psycopg.connect(host=own.hostaddr, user="boss", password=PASSWORD, dbname="postgres", sslmode="disable").close()


def test_certificate_carries_the_servers_name(clusters: Clusters) -> None:
    cluster = clusters.get("tgt")
    psycopg.connect(
        host="tgt.postgres.database.azure.com",
        hostaddr=cluster.hostaddr,
        user="boss",
        password=PASSWORD,
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=str(clusters.ca_file),
    ).close()


def test_nobody_comes_in_as_the_services_superuser(clusters: Clusters) -> None:
    with pytest.raises(psycopg.OperationalError, match="reject"):
        psycopg.connect(host=clusters.get("tgt").hostaddr, user="azuresu", password="x", dbname="postgres")


def test_wal_level_acts_after_a_restart_only(clusters: Clusters) -> None:
    cluster = clusters.get("src")
    cluster.set_parameter("wal_level", "logical")
    row = next(item for item in cluster.settings() if item["name"] == "wal_level")
    assert (row["setting"], row["pending_restart"]) == ("replica", True)
    before = cluster.pid
    cluster.restart()
    assert cluster.parameter("wal_level") == "logical"
    assert cluster.pid != before


def test_lists_and_resets(clusters: Clusters) -> None:
    cluster = clusters.get("tgt")
    cluster.set_parameter("shared_preload_libraries", "pg_stat_statements,auto_explain")
    cluster.restart()
    assert cluster.parameter("shared_preload_libraries") == "pg_stat_statements, auto_explain"
    cluster.set_parameter("work_mem", "8MB")
    assert cluster.parameter("work_mem") == "8MB"
    cluster.set_parameter("work_mem", None)
    assert cluster.parameter("work_mem") == "4MB"


@pytest.mark.parametrize(("name", "value"), [("no_such_thing", "1"), ("work_mem", "much")])
def test_refused_parameters_say_why(clusters: Clusters, name: str, value: str) -> None:
    with pytest.raises(ClusterError, match=name):
        clusters.get("tgt").set_parameter(name, value)


def test_new_password_counts_for_both_names(clusters: Clusters) -> None:
    cluster = clusters.get("src")
    cluster.set_admin_password("another one")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(cluster)
    cluster.set_admin_password(PASSWORD)
    connect(cluster).close()


def test_a_crash_is_seen_and_mended(clusters: Clusters) -> None:
    cluster = clusters.get("own")
    assert cluster.pid is not None
    os.kill(cluster.pid, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while cluster.running and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not cluster.running
    # The children of a killed server end by themselves; until then its memory is in use.
    while not _started(cluster) and time.monotonic() < deadline:
        time.sleep(0.1)
    connect(cluster).close()


def _started(cluster: Cluster) -> bool:
    try:
        cluster.start()
    except ClusterError:
        return False
    return True


def test_password_is_in_no_process_list(clusters: Clusters) -> None:
    listing = ""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        # A process may end between the listing and the look.
        with contextlib.suppress(OSError):
            listing += process.read_bytes().replace(b"\0", b" ").decode(errors="replace") + "\n"
    assert PASSWORD not in listing
    assert str(clusters.get("src").data) in listing


DYING_LAB = """
import os, sys
from pathlib import Path
from pgflex_lab.clusters import Clusters
from pgflex_lab.settings import Settings
clusters = Clusters(Settings(home=Path(sys.argv[1])))
cluster = clusters.create("lost", kind="flexible", admin_login="a", admin_password="b")
print(cluster.pid, flush=True)
os._exit(9)
"""


def test_leftovers_of_a_killed_lab_are_ended() -> None:
    with short_home() as home:
        lab = Path(__file__).parent.parent
        done = subprocess.run(
            [sys.executable, "-c", DYING_LAB, str(home)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(lab)},
        )
        pid = int(done.stdout)
        data = home / "clusters" / "lost" / "data"
        assert is_server(pid, data)
        remove_leftovers(Settings(home=home))
        assert not is_server(pid, data)


def test_stop_all_leaves_no_process_and_no_data() -> None:
    with short_home() as home:
        clusters = Clusters(Settings(home=home))
        made = [clusters.create(name, kind="flexible", admin_login="a", admin_password="b") for name in ("one", "two")]
        pids = [(item.pid or 0, item.data) for item in made]
        clusters.stop_all()
        assert not any(is_server(pid, data) for pid, data in pids)
        assert [item.name for item in (home / "clusters").iterdir()] == [".template"]


def test_a_name_longer_than_a_socket_path_works() -> None:
    with short_home() as home:
        clusters = Clusters(Settings(home=home))
        cluster = clusters.create("a" * 63, kind="flexible", admin_login="boss", admin_password=PASSWORD)
        try:
            connect(cluster).close()
        finally:
            clusters.stop_all()
