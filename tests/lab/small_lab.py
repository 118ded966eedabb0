# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab without HTTP: real clusters, store and service, and a sample database with whatever makes copying hard."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from pgflex_lab.arm.http import ArmRequest, ArmResponse
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.store import Resource, Store
from pgflex_lab.clusters import Cluster, Clusters
from pgflex_lab.directory import AuthenticationFailed
from pgflex_lab.migrations.service import MigrationService
from pgflex_lab.settings import Clock, Settings

GROUP = "/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/rg"
PROVIDER = f"{GROUP}/providers/Microsoft.DBforPostgreSQL"
PASSWORD = "Correct-Horse-1"
CURRENT = "2025-08-01"


class EverybodyMay:
    """But for the scopes put into `forbidden`."""

    def __init__(self) -> None:
        self.forbidden: set[str] = set()

    def allows(self, principal_id: str, action: str, scope: object) -> bool:
        return str(scope).lower() not in {item.lower() for item in self.forbidden}


class AllReachable:
    """Until a reason is set."""

    def __init__(self, lab: SmallLab) -> None:
        self._lab = lab
        self.reason: str | None = None
        self.in_networks: list[ResourceId] = []

    def find_host(self, host: str, port: int) -> Resource | None:
        cluster = self._lab.clusters.at(host)
        if cluster is None or cluster.port != port:
            return None
        return Resource(ResourceId("/"), "PgflexLab/servers", internal={"cluster": cluster.name})

    def explain(self, journey: object) -> str | None:
        return self.reason

    def refusal(self, journey: object) -> str | None:
        return None

    def networks(self, journey: object) -> list[ResourceId]:
        return self.in_networks


@dataclass(frozen=True)
class Principal:
    id: str = "00000000-0000-0000-0000-0000000000bb"


class OneApplication:
    def authenticate(self, tenant: str, client_id: str, secret: str) -> Principal:
        if secret != "right":
            raise AuthenticationFailed(401, "invalid_client", 7000215, "Invalid client secret provided.")
        return Principal()


class SomeConfigurations:
    """What was set; PostgreSQL's own value for the rest."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters
        self.values: dict[tuple[str, str], str] = {}

    def value(self, server: Resource, name: str) -> str:
        kept = self.values.get((server.name, name))
        return kept if kept is not None else self._clusters.get(server.name).parameter(name) or ""

    def seed(self, server: Resource, name: str, value: str) -> None:
        self.values[server.name, name] = value
        if name == "azure.replication_support":
            self._clusters.get(server.name).set_parameter("wal_level", value.lower())

    def restarted(self, server: Resource) -> None:
        self.values[server.name, "restarts"] = str(int(self.values.get((server.name, "restarts"), "0")) + 1)


@dataclass
class SmallLab:
    settings: Settings
    clock: Clock = field(init=False)
    store: Store = field(default_factory=Store)
    directory: OneApplication = field(default_factory=OneApplication)
    rbac: EverybodyMay = field(default_factory=EverybodyMay)
    reachability: AllReachable = field(init=False)
    registered_providers: bool = True
    clusters: Clusters = field(init=False)
    configurations: SomeConfigurations = field(init=False)
    migrations: MigrationService = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(self.settings.time_scale)
        self.clusters = Clusters(self.settings)
        self.reachability = AllReachable(self)
        self.configurations = SomeConfigurations(self.clusters)
        self.migrations = MigrationService(self)  # type: ignore[arg-type]
        self.store.put(Resource(ResourceId(GROUP), "Microsoft.Resources/resourceGroups"))

    def server(self, name: str, kind: str) -> Cluster:
        cluster = self.clusters.create(name, kind=kind, admin_login="boss", admin_password=PASSWORD)  # type: ignore[arg-type]
        if kind != "other":
            type_name = "servers" if kind == "single" else "flexibleServers"
            self.store.put(
                Resource(
                    ResourceId(f"{PROVIDER}/{type_name}/{name}"),
                    f"Microsoft.DBforPostgreSQL/{type_name}",
                    location="East US",
                    sku={"name": "Standard_D2ds_v4", "tier": "GeneralPurpose"},
                    properties={"version": str(self.clusters.major_version), "storage": {"storageSizeGB": 32}},
                    internal={"cluster": name},
                )
            )
        return cluster

    def registered(self, subscription_id: str, namespace: str) -> bool:
        return self.registered_providers

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str = CURRENT,
        action: str | None = None,
        query: dict[str, str] | None = None,
    ) -> ArmResponse:
        request = ArmRequest(method, ResourceId.parse(path), version, query or {}, body, "caller", action)
        return self.migrations.handle(request)

    def target(self, name: str) -> Cluster:
        """A flexible server that allows the sample's extension."""
        self.configurations.values[name, "azure.extensions"] = "CITEXT"
        return self.server(name, "flexible")

    def close(self) -> None:
        self.migrations.stop()
        self.clusters.stop_all()


def make_lab(home: Path, **overrides: Any) -> SmallLab:
    return SmallLab(Settings(home=home, time_scale=overrides.pop("time_scale", 4800.0), **overrides))


def migration_path(target: str, name: str) -> str:
    return f"{PROVIDER}/flexibleServers/{target}/migrations/{name}"


def body(source: str, databases: list[str] | None, **properties: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "sourceDbServerResourceId": f"{PROVIDER}/servers/{source}",
        "secretParameters": {"adminCredentials": {"sourceServerPassword": PASSWORD, "targetServerPassword": PASSWORD}},
        "dbsToMigrate": databases,
        "migrationOption": "Migrate",
    }
    return {
        "location": "eastus",
        "properties": {key: value for key, value in {**found, **properties}.items() if value is not None},
    }


class Handle:
    """One migration seen through the service."""

    def __init__(self, lab: SmallLab, path: str, version: str = CURRENT) -> None:
        self.lab, self.path, self.version = lab, path, version

    def get(self) -> dict[str, Any]:
        found: dict[str, Any] = self.lab.call("GET", self.path, version=self.version).body["properties"]
        return found

    def patch(self, **properties: Any) -> ArmResponse:
        return self.lab.call("PATCH", self.path, {"properties": properties}, version=self.version)

    @property
    def state(self) -> tuple[str, str]:
        status = self.get()["currentStatus"]
        return status["state"], status["currentSubStateDetails"]["currentSubState"]

    def until(self, *wanted: str, seconds: float = 40) -> dict[str, Any]:
        """The state or the substate; fails at once when it has ended otherwise."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.get()
            status = found["currentStatus"]
            pair = (status["state"], status["currentSubStateDetails"]["currentSubState"])
            if set(pair) & set(wanted):
                return found
            assert pair[0] in ("InProgress", "WaitingForUserAction"), status
            assert time.monotonic() < deadline, status
            time.sleep(0.02)


def start(lab: SmallLab, target: str, name: str, content: dict[str, Any], version: str = CURRENT) -> Handle:
    path = migration_path(target, name)
    assert lab.call("PUT", path, content, version=version).status == 201
    return Handle(lab, path, version)


SAMPLE = """
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE SCHEMA "Odd Schema";
CREATE TABLE customer (id bigserial PRIMARY KEY, name citext NOT NULL UNIQUE, mood mood, tags text[], doc jsonb,
    born timestamptz DEFAULT now(), picture bytea, worth numeric(20, 8));
CREATE TABLE "Odd Schema"."Order ""x"" y" ("Id" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "Customer" bigint NOT NULL REFERENCES customer ON DELETE CASCADE, price numeric NOT NULL, amount int NOT NULL,
    total numeric GENERATED ALWAYS AS (price * amount) STORED, CHECK (amount > 0));
CREATE INDEX ON "Odd Schema"."Order ""x"" y" ("Customer", lower(total::text));
CREATE TABLE log (at timestamptz DEFAULT clock_timestamp(), what text, number float8);
CREATE TABLE shout (word text);
CREATE UNLOGGED TABLE cache (k text PRIMARY KEY, v int, doubled int GENERATED ALWAYS AS (v * 2) STORED);
CREATE TABLE event (id bigint, day date NOT NULL, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE INDEX ON event (what);
CREATE TABLE by_index (code text NOT NULL, v int);
CREATE UNIQUE INDEX "By Index Key" ON by_index (code);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX "By Index Key";
CREATE SEQUENCE ticket INCREMENT 5 START 100;
CREATE FUNCTION shouting() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.shout VALUES (upper(NEW.what)); RETURN NEW; END $$;
CREATE TRIGGER shouting AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION shouting();
CREATE VIEW rich AS SELECT * FROM customer WHERE worth > 100;
CREATE MATERIALIZED VIEW totals AS SELECT "Customer", sum(total) AS total FROM "Odd Schema"."Order ""x"" y" GROUP BY 1;
CREATE MATERIALIZED VIEW top AS SELECT max(total) AS total FROM totals;
CREATE MATERIALIZED VIEW empty AS SELECT 1 AS x WITH NO DATA;
CREATE UNIQUE INDEX ON totals ("Customer");
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY everyone ON customer USING (true);
COMMENT ON TABLE customer IS 'People; with ''quotes''';
INSERT INTO customer (name, mood, tags, doc, picture, worth)
    SELECT 'name ' || n, (ARRAY['sad', 'ok', NULL]::mood[])[n % 3 + 1], ARRAY['a', NULL, n::text],
    jsonb_build_object('n', n),
    decode(md5(n::text), 'hex'), n * 1.5 FROM generate_series(1, 300) n;
INSERT INTO "Odd Schema"."Order ""x"" y" ("Customer", price, amount)
    SELECT n % 300 + 1, n / 7.0, n % 9 + 1 FROM generate_series(1, 900) n;
INSERT INTO log (what, number) SELECT 'line ' || n, n / 3.0 FROM generate_series(1, 200) n;
INSERT INTO cache SELECT 'k' || n, n FROM generate_series(1, 50) n;
INSERT INTO event SELECT n, date '2024-01-01' + n % 700, 'e' || n FROM generate_series(1, 500) n;
INSERT INTO by_index SELECT 'c' || n, n FROM generate_series(1, 20) n;
SELECT nextval('ticket'), nextval('ticket');
SELECT lo_from_bytea(0, convert_to(repeat('large ', 500000), 'UTF8')), lo_from_bytea(0, 'small');
REFRESH MATERIALIZED VIEW totals;
REFRESH MATERIALIZED VIEW top;
"""


def connect(cluster: Cluster, dbname: str = "postgres") -> psycopg.Connection[Any]:
    """As the administrator, over the network."""
    return psycopg.connect(
        host=cluster.hostaddr, user=cluster.admin_roles[-1], password=PASSWORD, dbname=dbname, autocommit=True
    )


def load_sample(cluster: Cluster, dbname: str = "shop") -> None:
    with connect(cluster) as connection:
        connection.execute(f'CREATE DATABASE "{dbname}"')
    with connect(cluster, dbname) as connection:
        connection.execute(SAMPLE)


CONTENTS = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""
OBJECTS = {
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname NOT IN ('pg_catalog') ORDER BY 1",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    "columns": "SELECT table_schema, table_name, column_name, data_type, column_default, is_identity,"
    " generation_expression"
    " FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, 3",
    "sequences": "SELECT schemaname, sequencename, last_value, increment_by FROM pg_sequences ORDER BY 1, 2",
    "large objects": "SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1",
    "extensions": "SELECT extname FROM pg_extension ORDER BY 1",
    "policies": "SELECT polname, polrelid::regclass::text FROM pg_policy ORDER BY 1",
    "comments": "SELECT objoid::regclass::text, description FROM pg_description"
    " WHERE classoid = 'pg_class'::regclass AND objoid >= 16384 AND objsubid = 0 ORDER BY 1",
    "identities": "SELECT oid::regclass::text, relreplident FROM pg_class WHERE relkind = 'r' AND oid >= 16384"
    " ORDER BY 1",
}


def contents(cluster: Cluster, dbname: str = "shop") -> dict[str, Any]:
    """Everything that has to be equal on both sides."""
    found: dict[str, Any] = {}
    with cluster.connect(dbname) as connection:
        for (table,) in connection.execute(CONTENTS).fetchall():
            row = connection.execute(f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {table} t").fetchone()
            found[table] = row
        for what, query in OBJECTS.items():
            found[what] = connection.execute(query).fetchall()
    return found


def traces(*clusters: Cluster) -> list[Any]:
    """What a migration must not leave behind: slots, origins, subscriptions, publications."""
    found: list[Any] = []
    for cluster in clusters:
        with cluster.connect() as connection:
            found += connection.execute("SELECT slot_name FROM pg_replication_slots").fetchall()
            found += connection.execute("SELECT roname FROM pg_replication_origin").fetchall()
            found += connection.execute("SELECT subname FROM pg_subscription").fetchall()
        for dbname in cluster.databases():
            with cluster.connect(dbname) as connection:
                found += connection.execute("SELECT pubname FROM pg_publication").fetchall()
    return found


@contextmanager
def short_home() -> Iterator[Path]:
    """Sockets need short paths, and the clusters' user has to pass through."""
    path = Path(tempfile.mkdtemp(prefix="pgl-", dir="/tmp"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def small_lab(**overrides: Any) -> Iterator[SmallLab]:
    with short_home() as home:
        lab = make_lab(home, **overrides)
        try:
            yield lab
        finally:
            lab.close()
