# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused at once, what fails a migration, and with which words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pgflex_lab.arm.http import ArmError
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.clusters import Cluster
from small_lab import (
    GROUP,
    PASSWORD,
    PROVIDER,
    SmallLab,
    body,
    connect,
    load_sample,
    migration_path,
    small_lab,
    start,
    traces,
)

SECOND = "2022-05-01-privatepreview"
WRONG = {"adminCredentials": {"sourceServerPassword": "wrong", "targetServerPassword": PASSWORD}}
WRONG_TARGET = {"adminCredentials": {"sourceServerPassword": PASSWORD, "targetServerPassword": "wrong"}}


@pytest.fixture(scope="module")
def lab() -> Iterator[SmallLab]:
    with small_lab() as made:
        source = made.server("src", "single")
        source.set_parameter("wal_level", "logical")
        source.restart()
        load_sample(source)
        made.target("common")
        yield made


@pytest.fixture
def target(lab: SmallLab, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    name = "t-" + str(abs(hash(request.node.name)) % 10**8)
    yield lab.target(name)
    lab.clusters.drop(name)


@pytest.mark.parametrize(
    ("properties", "status", "words"),
    [
        ({"sourceDbServerResourceId": f"{PROVIDER}/servers/nobody"}, 404, "'Microsoft.DBforPostgreSQL/servers/nobody'"),
        ({"sourceDbServerResourceId": "nonsense"}, 400, "hostname:port@username"),
        ({"sourceDbServerResourceId": None}, 400, "'sourceDbServerResourceId' is required"),
        ({"dbsToMigrate": [f"d{n}" for n in range(9)]}, 400, "at most|most is 8"),
        ({"secretParameters": {}}, 400, "sourceServerPassword"),
        ({"migrationMode": "Sometimes"}, 400, "'properties.migrationMode'"),
        ({"overwriteDbsInTarget": "perhaps"}, 400, "'properties.overwriteDbsInTarget'"),
        ({"dbsToMigrate": "shop"}, 400, "'properties.dbsToMigrate'"),
        ({"sourceType": "Oracle"}, 400, "'properties.sourceType'"),
        ({"migrationInstanceResourceId": "runtime"}, 400, "'migrationInstanceResourceId' must be"),
        ({"migrationInstanceResourceId": f"{PROVIDER}/servers/src"}, 400, "'migrationInstanceResourceId' must be"),
        ({"migrationInstanceResourceId": f"{PROVIDER}/flexibleServers/none"}, 404, "flexibleServers/none"),
        (
            {
                "migrationInstanceResourceId": f"{PROVIDER}/flexibleServers/runtime",
                "sourceDbServerFullyQualifiedDomainName": "a.b",
            },
            400,
            "runtime server",
        ),
    ],
)
def test_refused_at_creation(lab: SmallLab, properties: dict[str, Any], status: int, words: str) -> None:
    with pytest.raises(ArmError, match=words) as caught:
        lab.call("PUT", migration_path("common", "refused"), body("src", ["shop"], **properties))
    assert caught.value.status == status
    with pytest.raises(ArmError):
        lab.call("GET", migration_path("common", "refused"))


def test_unknown_target(lab: SmallLab) -> None:
    with pytest.raises(ArmError, match="flexibleServers/nowhere") as caught:
        lab.call("PUT", migration_path("nowhere", "m"), body("src", ["shop"]))
    assert caught.value.status == 404


def test_names_and_one_active_migration(lab: SmallLab, target: Cluster) -> None:
    migration = start(lab, target.name, "first", body("src", None))
    for name, code in (
        ("first", "MigrationNameAlreadyExists"),
        ("-x", "MigrationNameInvalid"),
        ("other", "MigrationInProgress"),
    ):
        with pytest.raises(ArmError) as caught:
            lab.call("PUT", migration_path(target.name, name), body("src", ["shop"]))
        assert caught.value.code == code
    migration.patch(cancel="True")
    migration.until("Canceled")
    with pytest.raises(ArmError, match="used before"):
        lab.call("PUT", migration_path(target.name, "FIRST"), body("src", ["shop"]))
    start(lab, target.name, "other", body("src", ["shop"])).until("Succeeded")


def test_cutover_refusals(lab: SmallLab, target: Cluster) -> None:
    offline = start(lab, target.name, "offline", body("src", ["shop"]))
    with pytest.raises(ArmError, match="603114"):
        offline.patch(triggerCutover="True")
    offline.until("Succeeded")
    with pytest.raises(ArmError, match="603114"):
        offline.patch(triggerCutover="True")
    content = body("src", ["shop"], migrationMode="Online", overwriteDbsInTarget="True")
    online = start(lab, target.name, "online", content)
    with pytest.raises(ArmError, match="WaitingForCutoverTrigger"):
        online.patch(triggerCutover="True")
    online.until("WaitingForCutoverTrigger")
    with pytest.raises(ArmError, match="elsewhere"):
        online.patch(triggerCutover="True", dbsToTriggerCutoverOn=["elsewhere"])
    online.patch(cancel="True")
    online.until("Canceled")
    with pytest.raises(ArmError, match="603113"):
        online.patch(triggerCutover="True")
    with pytest.raises(ArmError, match="has ended"):
        online.patch(cancel="True")


def failure(lab: SmallLab, target: Cluster, **properties: Any) -> str:
    """Migrate: the first finding is the error."""
    found = start(lab, target.name, "m", body("src", **{"databases": ["shop"], **properties})).until("Failed")
    return str(found["currentStatus"]["error"])


@pytest.mark.parametrize("secrets", [WRONG, WRONG_TARGET])
def test_wrong_password(lab: SmallLab, target: Cluster, secrets: dict[str, Any]) -> None:
    text = failure(lab, target, secretParameters=secrets)
    assert text.startswith("603100:") and "wrong'" not in text


def test_unreachable(lab: SmallLab, target: Cluster) -> None:
    lab.reachability.reason = "The firewall says no."
    try:
        assert failure(lab, target).startswith("603000:")
    finally:
        lab.reachability.reason = None


def test_no_server_at_the_address(lab: SmallLab, target: Cluster) -> None:
    text = failure(lab, target, sourceDbServerResourceId="127.77.255.254:5432@boss", sourceType="OnPremises")
    assert text.startswith("603000:")


def test_missing_database(lab: SmallLab, target: Cluster) -> None:
    assert failure(lab, target, databases=["nothing"]).startswith("603102:")


def test_extension_not_allowed(lab: SmallLab, target: Cluster) -> None:
    lab.configurations.values[target.name, "azure.extensions"] = ""
    assert failure(lab, target).startswith("603108:")


def _grant(statement: str, server: str = "src", database: str = "shop") -> Callable[[SmallLab], None]:
    def act(lab: SmallLab) -> None:
        with lab.clusters.get(server).connect(database) as connection:
            connection.execute(statement)

    return act


@pytest.mark.parametrize(
    ("before", "after", "kind", "code"),
    [
        ("ALTER ROLE boss NOREPLICATION", "ALTER ROLE boss REPLICATION", "AuthenticationAndConnectivity", "603104"),
        (
            "ALTER DATABASE shop OWNER TO azuresu",
            "ALTER DATABASE shop OWNER TO boss",
            "AuthenticationAndConnectivity",
            "603110",
        ),
        (
            "SELECT pg_create_physical_replication_slot('s' || n) FROM generate_series(1, 10) n",
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots",
            "ServerParameters",
            "603105",
        ),
        ("ALTER SYSTEM SET max_wal_senders = 10", "SELECT 1", None, ""),
        ("CREATE EXTENSION postgres_fdw", "DROP EXTENSION postgres_fdw", "Extensions", "603405"),
        ("CREATE EXTENSION pg_stat_statements", "DROP EXTENSION pg_stat_statements", "Extensions", "603109"),
        ('CREATE COLLATION odd FROM "C"', "DROP COLLATION odd", "Collations", "603403"),
        ("CREATE CAST (int AS mood) WITH INOUT", "DROP CAST (int AS mood)", "Schema", "603409"),
        ("GRANT SELECT ON pg_authid TO boss", "REVOKE SELECT ON pg_authid FROM boss", "Schema", "603410"),
    ],
)
def test_findings_of_the_validation(
    lab: SmallLab, target: Cluster, before: str, after: str, kind: str | None, code: str
) -> None:
    lab.configurations.values[target.name, "azure.extensions"] = "citext,pg_stat_statements"
    _grant(before)(lab)
    try:
        content = body("src", ["shop"], migrationOption="Validate", migrationMode="Online")
        found = start(lab, target.name, "m", content).until("ValidationFailed" if kind else "Succeeded")
    finally:
        _grant(after)(lab)
    details = found["currentStatus"]["currentSubStateDetails"]["validationDetails"]
    checks = [*details["serverLevelValidationDetails"], *details["dbLevelValidationDetails"][0]["summary"]]
    failed = {item["type"].removesuffix("Validation"): item["messages"] for item in checks if item["state"] == "Failed"}
    assert list(failed) == ([kind] if kind else [])
    if kind:
        assert failed[kind][0]["message"].startswith(code)
    assert traces(lab.clusters.get("src"), target) in ([], None)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("CREATE ROLE worker LOGIN CREATEDB CREATEROLE IN ROLE pg_signal_backend", "603115"),
        ("CREATE ROLE worker LOGIN CREATEDB IN ROLE azure_pg_admin", "603116"),
    ],
)
def test_target_users_rights(lab: SmallLab, target: Cluster, statement: str, code: str) -> None:
    with target.connect() as connection:
        connection.execute(f"{statement} PASSWORD '{PASSWORD}'")
    secrets = {
        "adminCredentials": {"sourceServerPassword": PASSWORD, "targetServerPassword": PASSWORD},
        "targetServerUsername": "worker",
    }
    assert code in failure(lab, target, secretParameters=secrets)


def test_a_database_of_somebody_else_on_the_target(lab: SmallLab, target: Cluster) -> None:
    with target.connect() as connection:
        connection.execute("CREATE DATABASE shop")
    assert failure(lab, target, overwriteDbsInTarget="True").startswith("603117:")


def test_validation_finds_the_name_taken(lab: SmallLab, target: Cluster) -> None:
    with connect(target) as connection:
        connection.execute("CREATE DATABASE shop")
    migration = start(lab, target.name, "m", body("src", ["shop"], migrationOption="Validate"))
    details = migration.until("ValidationFailed")["currentStatus"]["currentSubStateDetails"]["validationDetails"]
    assert details["serverLevelValidationDetails"][0]["messages"][0]["message"].startswith("603101:")


def test_wal_level_of_ones_own_server(lab: SmallLab, target: Cluster) -> None:
    own = lab.server("own-" + target.name, "other")
    load_sample(own)
    source = f"{own.hostaddr}:5432@boss"
    text = failure(lab, target, sourceDbServerResourceId=source, sourceType="OnPremises", migrationMode="Online")
    assert text.startswith("603107:")


def test_a_server_without_tls(lab: SmallLab, target: Cluster) -> None:
    own = lab.server("bare-" + target.name, "other")
    own.set_parameter("ssl", "off")
    source = f"{own.hostaddr}:5432@boss"
    text = failure(lab, target, sourceDbServerResourceId=source, sourceType="OnPremises", sslMode="Require")
    assert text.startswith("603001:")


def test_a_failing_database_is_named_and_leaves_no_traces(lab: SmallLab, target: Cluster) -> None:
    """A table the user may not read, in the midst of an online copy."""
    _grant("CREATE TABLE foreign_owned (id int PRIMARY KEY); ALTER TABLE foreign_owned OWNER TO azuresu")(lab)
    try:
        text = failure(lab, target, migrationMode="Online")
    finally:
        _grant("DROP TABLE foreign_owned")(lab)
    assert text.startswith("shop: 603700:") and "foreign_owned" in text
    assert traces(lab.clusters.get("src"), target) == []


def classic(lab: SmallLab, target: Cluster, **app: str) -> str:
    secrets: dict[str, Any] = {"adminCredentials": {"sourceServerPassword": PASSWORD, "targetServerPassword": PASSWORD}}
    if app:
        secrets["aadApp"] = {"clientId": "the-app", "tenantId": "t", "aadSecret": "right", **app}
    content = body("src", ["shop"], secretParameters=secrets, migrationOption=None)
    return str(start(lab, target.name, "m", content, SECOND).until("Failed")["currentStatus"]["error"])


def test_wrong_secret_of_the_app(lab: SmallLab, target: Cluster) -> None:
    text = classic(lab, target, aadSecret="wrong")
    assert "AADSTS7000215" in text


def test_the_migration_subnet_is_an_id(lab: SmallLab) -> None:
    content = body("src", ["shop"], migrationResourceGroup={"subnetResourceId": GROUP}, migrationOption=None)
    with pytest.raises(ArmError, match=r"'migrationResourceGroup\.subnetResourceId' must be"):
        lab.call("PUT", migration_path("common", "m"), content, version=SECOND)


def test_no_app(lab: SmallLab, target: Cluster) -> None:
    assert "aadApp" in classic(lab, target)
    with pytest.raises(ArmError, match="aadApp"):
        lab.call("PUT", migration_path("common", "m"), body("src", ["shop"]), version="2021-06-15-privatepreview")


@pytest.mark.parametrize("scope", [f"{PROVIDER}/servers/src", "target", GROUP])
def test_missing_contributor(lab: SmallLab, target: Cluster, scope: str) -> None:
    where = f"{PROVIDER}/flexibleServers/{target.name}" if scope == "target" else scope
    lab.rbac.forbidden.add(where)
    try:
        text = classic(lab, target, clientId="the-app")
    finally:
        lab.rbac.forbidden.clear()
    assert f"over scope '{where}'" in text and "Contributor" in text


def test_missing_contributor_of_a_network(lab: SmallLab, target: Cluster) -> None:
    first, second = (ResourceId(f"{GROUP}/providers/Microsoft.Network/virtualNetworks/{name}") for name in "ab")
    lab.reachability.in_networks = [first, second]
    lab.rbac.forbidden.add(str(second))
    try:
        text = classic(lab, target, clientId="the-app")
    finally:
        lab.rbac.forbidden.clear()
        lab.reachability.in_networks = []
    assert f"'Microsoft.Network/virtualNetworks/subnets/join/action' over scope '{second}'" in text


def test_provider_not_registered(lab: SmallLab, target: Cluster) -> None:
    lab.registered_providers = False
    try:
        assert "Microsoft.DataMigration" in classic(lab, target, clientId="the-app")
    finally:
        lab.registered_providers = True
