# SPDX-License-Identifier: GPL-3.0-or-later
"""Real rows through both engines: everything equal afterwards, nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pgflex_lab.clusters import Cluster
from small_lab import (
    PASSWORD,
    SmallLab,
    body,
    connect,
    contents,
    load_sample,
    small_lab,
    start,
    traces,
)


@pytest.fixture(scope="module")
def lab() -> Iterator[SmallLab]:
    with small_lab() as made:
        yield made


@pytest.fixture(scope="module")
def source(lab: SmallLab) -> Cluster:
    cluster = lab.server("src", "single")
    cluster.set_parameter("wal_level", "logical")
    cluster.restart()
    load_sample(cluster)
    load_sample(cluster, "second-One")
    return cluster


class Writer:
    """Changes every kind of table until it is stopped."""

    STATEMENTS = (
        "INSERT INTO log (what, number) VALUES ('new', 0.1)",
        "UPDATE log SET number = number + 1 WHERE what = 'line 7'",
        "DELETE FROM log WHERE ctid = (SELECT ctid FROM log WHERE what = 'new' LIMIT 1)",
        "INSERT INTO customer (name, worth) VALUES ('new ' || nextval('ticket'), 1)",
        "UPDATE customer SET tags = tags || 'x'::text WHERE id % 50 = 3",
        """INSERT INTO "Odd Schema"."Order ""x"" y" ("Customer", price, amount) VALUES (5, 1.25, 3)""",
        """WITH one AS (SELECT min("Id") FROM "Odd Schema"."Order ""x"" y")
           DELETE FROM "Odd Schema"."Order ""x"" y" WHERE "Id" IN (TABLE one)""",
        "INSERT INTO event VALUES ((random() * 1e9)::bigint, '2025-06-01', 'new')",
        "UPDATE event SET day = '2024-06-01' WHERE ctid = (SELECT ctid FROM event_2 LIMIT 1)",
        "UPDATE by_index SET v = v + 1 WHERE code = 'c3'",
    )

    def __init__(self, cluster: Cluster, dbname: str) -> None:
        self._connection = connect(cluster, dbname)
        self._over = threading.Event()
        self.count = 0
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.002):
            self._connection.execute(self.STATEMENTS[self.count % len(self.STATEMENTS)])
            self.count += 1

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        self._connection.close()


def differences(source: Cluster, target: Cluster, dbname: str = "shop") -> dict[str, Any]:
    with connect(source, dbname) as connection:
        # The target's are fresh after a cutover.
        connection.execute("REFRESH MATERIALIZED VIEW totals; REFRESH MATERIALIZED VIEW top")
    left, right = contents(source, dbname), contents(target, dbname)
    return {
        key: (left.get(key), right.get(key)) for key in left.keys() | right.keys() if left.get(key) != right.get(key)
    }


def test_offline_brings_everything(lab: SmallLab, source: Cluster) -> None:
    target = lab.target("offline")
    migration = start(lab, "offline", "m", body("src", ["shop", "second-One"]))
    found = migration.until("Succeeded")
    assert differences(source, target) == {}
    assert differences(source, target, "second-One") == {}
    details = found["currentStatus"]["currentSubStateDetails"]["dbDetails"]
    assert set(details) == {"shop", "second-One"}
    assert details["shop"]["migrationState"] == "Succeeded"
    assert (details["shop"]["fullLoadCompletedTables"], details["shop"]["fullLoadQueuedTables"]) == (8, 0)
    assert details["shop"]["startedOn"] <= details["shop"]["endedOn"]


def test_objects_belong_to_the_target_user(lab: SmallLab, source: Cluster) -> None:
    with lab.clusters.get("offline").connect("shop") as connection:
        owners = connection.execute(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class c WHERE relnamespace = 'public'::regnamespace"
            " UNION SELECT lomowner::regrole::text FROM pg_largeobject_metadata"
            " UNION SELECT datdba::regrole::text FROM pg_database WHERE datname = 'shop'"
        ).fetchall()
    assert owners == [("boss",)]


def test_online_loses_nothing_that_was_written_meanwhile(lab: SmallLab, source: Cluster) -> None:
    target = lab.target("online")
    writer = Writer(source, "shop")
    try:
        migration = start(lab, "online", "m", body("src", ["shop"], migrationMode="Online"))
        migration.until("WaitingForCutoverTrigger")
        written = writer.count
        wait_for(lambda: writer.count > written + 100)
    finally:
        writer.stop()
    assert migration.patch(triggerCutover="True").status == 200
    found = migration.until("Succeeded")
    assert differences(source, target) == {}
    assert traces(source, target) == []
    details = found["currentStatus"]["currentSubStateDetails"]["dbDetails"]["shop"]
    counters = [details[f"cdc{kind}Counter"] for kind in ("Insert", "Update", "Delete")]
    assert all(counters) and sum(counters) == details["appliedChanges"] == details["incomingChanges"]
    assert (details["latency"], details["fullLoadCompletedTables"]) == (0, 7)


def test_triggers_do_not_fire_while_changes_are_applied(lab: SmallLab, source: Cluster) -> None:
    with source.connect("shop") as left, lab.clusters.get("online").connect("shop") as right:
        count = "SELECT count(*) FROM shout"
        assert left.execute(count).fetchone() == right.execute(count).fetchone()


def test_keyless_tables_can_be_updated_while_online_and_are_put_back(lab: SmallLab, source: Cluster) -> None:
    lab.target("keyless")
    migration = start(lab, "keyless", "m", body("src", ["shop"], migrationMode="Online"))
    migration.until("WaitingForCutoverTrigger")
    identity = "SELECT relreplident::text FROM pg_class WHERE relname = 'log'"
    with connect(source, "shop") as connection:
        assert connection.execute(identity).fetchone() == ("f",)
        connection.execute("UPDATE log SET number = 5 WHERE what = 'line 9'")
        migration.patch(cancel="True")
        migration.until("Canceled")
        assert connection.execute(identity).fetchone() == ("d",)


def test_overwriting_replaces_what_was_there(lab: SmallLab, source: Cluster) -> None:
    target = lab.target("full")
    with connect(target) as connection:
        connection.execute("CREATE DATABASE shop")
    with connect(target, "shop") as connection:
        connection.execute("CREATE TABLE old (x int)")
    start(lab, "full", "m", body("src", ["shop"], overwriteDbsInTarget="True")).until("Succeeded")
    assert differences(source, target) == {}


def test_the_sources_encoding_and_collation_are_kept(lab: SmallLab, source: Cluster) -> None:
    target = lab.target("latin")
    with connect(source) as connection:
        connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    with connect(source, "latin") as connection:
        connection.execute("CREATE TABLE t (x text PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES ('süß')")
    start(lab, "latin", "m", body("src", ["latin"])).until("Succeeded")
    query = "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = 'latin'"
    with target.connect("latin") as connection:
        assert connection.execute(query).fetchone() == ("LATIN1", "C")
        assert connection.execute("SELECT x FROM t").fetchone() == ("süß",)


def test_cutover_of_one_database_while_the_other_waits(lab: SmallLab, source: Cluster) -> None:
    target = lab.target("parts")
    databases = ["shop", "second-One"]
    migration = start(lab, "parts", "m", body("src", databases, migrationMode="Online"))
    migration.until("WaitingForCutoverTrigger")
    migration.patch(triggerCutover="True", dbsToTriggerCutoverOn=["second-One"])

    def states() -> dict[str, str]:
        details = migration.get()["currentStatus"]["currentSubStateDetails"]["dbDetails"]
        return {name: item["migrationState"] for name, item in details.items()}

    wait_for(lambda: states() == {"shop": "WaitingForCutoverTrigger", "second-One": "Succeeded"})
    wait_for(lambda: migration.state == ("WaitingForUserAction", "WaitingForCutoverTrigger"))
    migration.patch(triggerCutover="True", dbsToTriggerCutoverOn=["shop"])
    migration.until("Succeeded")
    assert differences(source, target, "second-One") == differences(source, target) == {}
    assert traces(source, target) == []


def wait_for(done: Any, seconds: float = 20) -> None:
    for _each in range(int(seconds / 0.05)):
        if done():
            return
        threading.Event().wait(0.05)
    raise AssertionError("waited in vain")


def test_cutover_asked_for_at_creation_needs_no_patch(lab: SmallLab, source: Cluster) -> None:
    target = lab.target("auto")
    start(lab, "auto", "m", body("src", ["shop"], migrationMode="Online", triggerCutover="True")).until("Succeeded")
    assert differences(source, target) == {}


def test_source_of_ones_own_by_address(lab: SmallLab) -> None:
    own = lab.server("own", "other")
    load_sample(own)
    target = lab.target("from-own")
    content = body("", ["shop"], sourceDbServerResourceId=f"{own.hostaddr}:5432@boss", sourceType="OnPremises")
    start(lab, "from-own", "m", content).until("Succeeded")
    assert differences(own, target) == {}


def test_roles_come_along_where_asked_for(lab: SmallLab) -> None:
    source = lab.server("roles-src", "single")
    with connect(source) as connection:
        connection.execute("CREATE ROLE staff")
        connection.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}' IN ROLE staff")
        connection.execute("GRANT app TO boss")
        connection.execute("CREATE DATABASE shop")
    with connect(source, "shop") as connection:
        connection.execute("CREATE TABLE mine (x int); CREATE TABLE theirs (x int); GRANT SELECT ON mine TO staff")
        connection.execute("GRANT CREATE ON SCHEMA public TO app; ALTER TABLE theirs OWNER TO app")
    target = lab.target("roles-tgt")
    start(lab, "roles-tgt", "m", body("roles-src", ["shop"], migrateRoles="True")).until("Succeeded")
    with target.connect("shop") as connection:
        owners = connection.execute(
            "SELECT relname::text, relowner::regrole::text FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        assert owners.fetchall() == [("mine", "boss"), ("theirs", "app")]
        row = connection.execute(
            "SELECT has_table_privilege('app', 'mine', 'SELECT'), rolcanlogin FROM pg_roles WHERE rolname = 'app'"
        )
        assert row.fetchone() == (True, True)
