# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module twice: inside Ansible's worker, and as an ordinary module. The results have to be equal, key by key.

For each way, in a lab in the same state, two plays beside each other do everything in the two tables; then the results
of the ways are laid beside each other.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from plays import GROUP, PASSWORD, ROOT, Pair, Player, make_pair

from pgflex_lab.process import Running
from pgflex_lab.testing import running_lab

WAYS = {"in the worker": True, "as an ordinary module": False}
SUBSCRIPTION = "{{ lookup('env', 'AZURE_SUBSCRIPTION_ID') }}"
SCOPE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
# What is another at every run: how long something took, what was drawn by lot.
VOLATILE = {"at", "seconds", "history", "client_secret", "pid", "bytes", "size"}


@dataclass(frozen=True)
class Case:
    """A task; names of other cases in its arguments refer to their results."""

    name: str
    module: str
    args: dict[str, Any] = field(default_factory=dict)
    check: bool = False
    fails: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    def task(self) -> dict[str, Any]:
        return {
            "name": self.name,
            f"pgflex.migrate.{self.module}": self.args,
            "check_mode": self.check,
            "diff": True,
            "environment": self.environment,
            "register": f"case_{self.name}",
            "ignore_errors": True,
        }


TARGET = {"resource_group": GROUP, "server_name": "ways-flex"}
SINGLE = {"resource_group": GROUP, "server_name": "ways-single"}
ONE = {**TARGET, "name": "ways-1"}
SOURCE = {
    "host": "ways-single.postgres.database.azure.com",
    "hostaddr": "{{ source_address }}",
    "user": "pgadmin@ways-single",
    "password": PASSWORD,
}
FLEX = {
    "host": "ways-flex.postgres.database.azure.com",
    "hostaddr": "{{ target_address }}",
    "user": "pgadmin",
    "password": PASSWORD,
}
DATABASE = {"target": FLEX, "databases": ["ways made"]}
COPY = {"name": "ways", "source": SOURCE, "target": FLEX}
SOURCE_ID = f"{SCOPE}/providers/Microsoft.DBforPostgreSQL/servers/ways-single"
TAGS = {
    "resource_id": f"{SCOPE}/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-flex",
    "tags": {"app": "ways"},
}
NO_SERVER = {"resource_group": GROUP, "name": "nope"}
TOPOLOGY = {
    "source": {"resource_group": GROUP, "name": "shop-single"},
    "target": {"resource_group": GROUP, "name": "shop-flex"},
}
ROLE = {"principal_id": "{{ case_app_made.entra_application.service_principal_id }}", "scopes": [SCOPE]}
PARAMETERS = {"resource_group": GROUP, "server_name": "shop-flex", "server_type": "flexible_server"}
MADE = {
    "resource_group": GROUP,
    "name": "ways-made",
    "administrator_login": "pgadmin",
    "administrator_password": PASSWORD,
    "like": {"server_type": "single_server", "resource_group": GROUP, "name": "shop-single"},
}
OFFICE = {"name": "office", "start_ip_address": "203.0.113.7"}
NETWORK_RULE = {
    "resource_group": GROUP,
    "server_name": "shop-single",
    "rules": [{"name": "nope", "subnet_id": f"{SCOPE}/providers/Microsoft.Network/virtualNetworks/nope/subnets/nope"}],
}
NETWORKS = {
    "networks": [
        {"name": "ways-a", "address_space": "10.1.0.0/24", "subnets": [{"name": "apps", "prefix": "10.1.0.0/26"}]},
        {"name": "ways-b", "address_space": "10.2.0.0/24"},
        {"name": "ways-c", "address_space": "10.1.0.0/16"},
    ]
}
NETWORK = {"virtual_network_id": f"{SCOPE}/providers/Microsoft.Network/virtualNetworks/ways-a"}
PEERING = {**NETWORK, "remote_virtual_network_id": f"{SCOPE}/providers/Microsoft.Network/virtualNetworks/ways-b"}
ZONE = {"resource_group": GROUP, "name": "ways.private.postgres.database.azure.com"}
LINK = {
    "zone_id": "{{ case_zone.private_dns_zone.id }}",
    "virtual_network_ids": [NETWORK["virtual_network_id"], PEERING["remote_virtual_network_id"]],
}
SUBNET = {**NETWORK, "name": "pgflex-migration"}
MIGRATION = {
    **ONE,
    "source_db_server_resource_id": SOURCE_ID,
    "source_type": "PostgreSQLSingleServer",
    "migration_mode": "Online",
    "migration_option": "ValidateAndMigrate",
    "dbs_to_migrate": ["shop"],
    "overwrite_dbs_in_target": True,
    "source_server_username": "pgadmin@ways-single",
    "target_server_username": "pgadmin",
    "source_server_password": PASSWORD,
    "target_server_password": PASSWORD,
}
PREFLIGHT = {
    "source": SOURCE,
    "target": FLEX,
    "target_server": {"resource_group": GROUP, "name": "ways-flex"},
    "databases": ["shop"],
    "mode": "online",
}
WATCHED = {"migrations": [ONE], "min_interval": 0.2, "max_interval": 0.5, "wait_timeout": 60}

# One after the other: sign-in, reading, application and roles, parameters.
MANAGEMENT = [
    # Sign-in, and arguments that are wrong
    Case("wrong_secret", "flexible_server_info", {"secret": "no such secret"}, fails=True),
    Case("wrong_secret_env", "flexible_server_info", environment={"AZURE_SECRET": "nope"}, fails=True),
    Case("no_tenant", "flexible_server_info", {"tenant": "my tenant"}, fails=True),
    Case("unreachable", "flexible_server_info", {"cloud_environment": "https://localhost:9"}, fails=True),
    Case("unknown_option", "migration_info", {**ONE, "nonsense": 1}, fails=True),
    Case("missing_option", "migration_info", {"name": "ways-1"}, fails=True),
    Case("wrong_choice", "migration_info", {**ONE, "which": "some"}, fails=True),
    # Reading
    Case("single_servers", "single_server_info", {"resource_group": "nope"}),
    Case("flexible_server", "flexible_server_info", {"resource_group": GROUP, "name": "shop-flex"}),
    Case("no_such_server", "flexible_server_info", {"resource_group": GROUP, "name": "nope"}),
    Case("no_such_group", "flexible_server_info", {"resource_group": "nope"}),
    Case("single_server", "single_server_info", {"resource_group": GROUP, "name": "shop-single"}, check=True),
    Case("endpoints", "private_endpoint_info"),
    Case("endpoints_of_server", "private_endpoint_info", {"server_id": SOURCE_ID}),
    Case("endpoints_of_nothing", "private_endpoint_info", {"server_id": SCOPE}, fails=True),
    # Providers, application, roles
    Case("providers_check", "resource_provider", check=True),
    Case("providers", "resource_provider"),
    Case("providers_again", "resource_provider"),
    Case("app_check", "entra_application", {"name": "ways-app"}, check=True),
    Case("app_made", "entra_application", {"name": "ways-app"}),
    Case("app_again", "entra_application", {"name": "ways-app"}),
    Case("app_info", "entra_application_info", {"name": "ways-app"}),
    Case("app_without_name", "entra_application_info", fails=True),
    Case("role_check", "role_assignment", ROLE, check=True),
    Case("role", "role_assignment", ROLE),
    Case("role_again", "role_assignment", ROLE),
    Case("role_unknown", "role_assignment", {**ROLE, "role": "No Such Role"}, fails=True),
    Case("role_info", "role_assignment_info", {"scopes": [SCOPE]}),
    Case("role_gone", "role_assignment", {**ROLE, "state": "absent"}),
    Case("app_gone", "entra_application", {"name": "ways-app", "state": "absent"}),
    # Servers
    Case("parameters_check", "server_parameters", {**PARAMETERS, "parameters": {"work_mem": "8192"}}, check=True),
    Case("parameters", "server_parameters", {**PARAMETERS, "parameters": {"work_mem": 8192}}),
    Case("parameters_bad", "server_parameters", {**PARAMETERS, "parameters": {"work_mem": "lots"}}, fails=True),
    Case("parameters_none", "server_parameters", {**PARAMETERS, "parameters": {"no_such": "1"}}, fails=True),
    Case("rules_check", "firewall_rules", {**PARAMETERS, "rules": [OFFICE]}, check=True),
    Case("rules", "firewall_rules", {**PARAMETERS, "rules": [OFFICE]}),
    Case("rules_bad", "firewall_rules", {**PARAMETERS, "rules": [{**OFFICE, "start_ip_address": "10.1"}]}, fails=True),
    Case("rules_gone", "firewall_rules", {**PARAMETERS, "rules": [{"name": "office"}], "state": "absent"}),
    Case("network_rule_check", "virtual_network_rule", NETWORK_RULE, check=True),
    Case("network_rule", "virtual_network_rule", NETWORK_RULE, fails=True),
    Case("server_check", "flexible_server", MADE, check=True),
    Case("server", "flexible_server", MADE),
    Case("server_again", "flexible_server", MADE),
    Case("server_shrinks", "flexible_server", {**MADE, "storage_gb": 32}, fails=True),
    Case("server_gone", "flexible_server", {"resource_group": GROUP, "name": "ways-made", "state": "absent"}),
    # Networks
    Case("peering_check", "virtual_network_peering", PEERING, check=True),
    Case("peering", "virtual_network_peering", PEERING),
    Case("peering_again", "virtual_network_peering", PEERING),
    Case(
        "peering_overlap",
        "virtual_network_peering",
        {**PEERING, "remote_virtual_network_id": NETWORK["virtual_network_id"].replace("ways-a", "ways-c")},
        fails=True,
    ),
    Case("peering_itself", "virtual_network_peering", {**PEERING, "remote_virtual_network_id": "ways-a"}, fails=True),
    Case("zone_check", "private_dns_zone", ZONE, check=True),
    Case("zone", "private_dns_zone", {**ZONE, "tags": {"app": "ways"}}),
    Case("link_check", "private_dns_zone_link", LINK, check=True),
    Case("link", "private_dns_zone_link", LINK),
    Case("link_again", "private_dns_zone_link", LINK),
    Case("link_wrong", "private_dns_zone_link", {**LINK, "zone_id": SCOPE}, fails=True),
    Case("zone_linked", "private_dns_zone", {**ZONE, "state": "absent"}, fails=True),
    Case("link_gone", "private_dns_zone_link", {**LINK, "state": "absent"}),
    Case("zone_gone", "private_dns_zone", {**ZONE, "state": "absent"}),
    Case("subnet_check", "subnet", SUBNET, check=True),
    Case("subnet", "subnet", SUBNET),
    Case("subnet_small", "subnet", {**SUBNET, "minimum_free_addresses": 100}, fails=True),
    Case("subnet_gone", "subnet", {**SUBNET, "state": "absent"}),
    Case("peering_gone", "virtual_network_peering", {**PEERING, "state": "absent"}),
    Case("tags_check", "resource_tags", TAGS, check=True),
    Case("tags", "resource_tags", TAGS),
    Case("report_check", "report", {"hosts": [{"host": "shop"}], "html": "report.html"}, check=True),
    Case("report_nowhere", "report", {"hosts": [{"host": "shop"}], "html": "/nowhere/report.html"}, fails=True),
    Case("topology", "topology_info", TOPOLOGY),
    Case("topology_classic", "topology_info", {**TOPOLOGY, "generation": "classic"}, check=True),
    Case("topology_of_nothing", "topology_info", {**TOPOLOGY, "target": NO_SERVER}, fails=True),
    Case("topology_wrong", "topology_info", {**TOPOLOGY, "migration_vnet_id": SCOPE}, fails=True),
]

# And a whole migration, with what may go wrong with it.
MIGRATING = [
    Case("replication_refused", "source_replication", SINGLE, fails=True),
    Case("replication_check", "source_replication", {**SINGLE, "restart": True}, check=True),
    Case("replication", "source_replication", {**SINGLE, "restart": True}),
    Case("databases", "database_info", {"source": SOURCE, "target": FLEX}),
    Case("databases_of_nothing", "database_info", fails=True),
    Case("database_check", "database", DATABASE, check=True),
    Case("database", "database", DATABASE),
    Case("database_again", "database", DATABASE),
    Case("database_of_system", "database", {**DATABASE, "databases": ["postgres"]}, fails=True),
    Case("database_password", "database", {**DATABASE, "target": {**FLEX, "password": "no"}}, fails=True),
    Case("database_drop_check", "database", {**DATABASE, "state": "absent"}, check=True),
    Case("database_gone", "database", {**DATABASE, "end_sessions": True, "state": "absent"}),
    Case("preflight", "preflight", {**PREFLIGHT, "strict": False}),
    Case("preflight_mends", "preflight", {**PREFLIGHT, "strict": False, "remedies": ["timeouts"]}),
    Case("preflight_check", "preflight", {**PREFLIGHT, "remedies": ["replica_identity"]}, check=True, fails=True),
    Case("preflight_none", "preflight", {**PREFLIGHT, "databases": ["nope"]}, fails=True),
    Case("migration_absent", "migration", {**ONE, "state": "absent"}),
    Case("migration_bad_name", "migration", {**MIGRATION, "name": "-ways"}, fails=True),
    Case("migration_no_target", "migration", {**MIGRATION, "server_name": "nope"}, fails=True),
    Case("migration_lacks", "migration", {**ONE, "generation": "classic"}, fails=True),
    Case("migration_check", "migration", MIGRATION, check=True),
    Case("migration", "migration", MIGRATION),
    Case("look", "watch", {**WATCHED, "fail_on": "none", "migrations": [{**ONE, "name": "nope"}]}, check=True),
    Case("missing", "watch", {**WATCHED, "migrations": [{**ONE, "name": "nope", "label": "not there"}]}, fails=True),
    Case("ready", "watch", WATCHED),
    Case("migration_again", "migration", {**MIGRATION, "overwrite_dbs_in_target": False}),
    Case("migration_another", "migration", {**MIGRATION, "migration_mode": "Offline"}, fails=True),
    Case("migration_busy", "migration", {**MIGRATION, "name": "ways-2"}, fails=True),
    Case("info", "migration_info", ONE),
    Case("listed", "migration_info", {**TARGET, "which": "active", "details": True}),
    Case("cutover_late", "migration_cutover", {**ONE, "writers_stopped": True, "window_hours": 0}, fails=True),
    Case("cutover_password", "migration_cutover", {**ONE, "source": {**SOURCE, "password": "wrong"}}, fails=True),
    Case("read_only_check", "source_read_only", {"source": SOURCE, "databases": ["shop"]}, check=True),
    Case("read_only", "source_read_only", {"source": SOURCE, "databases": ["shop"]}),
    Case(
        "read_only_password",
        "source_read_only",
        {"source": {**SOURCE, "password": "no"}, "databases": ["shop"]},
        fails=True,
    ),
    # Nobody writes any more, and what the service itself wrote shows in the statistics up to 10 s later.
    Case("cutover_check", "migration_cutover", {**ONE, "source": SOURCE, "writers_stopped": True}, check=True),
    Case("cutover", "migration_cutover", {**ONE, "source": SOURCE, "writers_stopped": True}),
    Case("ended", "watch", {**WATCHED, "until": "end"}),
    Case("cancel_late", "migration_cancel", ONE),
    Case("cancel_none", "migration_cancel", {**ONE, "name": "nope"}, fails=True),
    Case("roles_check", "roles", {"source": SOURCE, "target": FLEX, "databases": ["shop"]}, check=True),
    Case("roles", "roles", {"source": SOURCE, "target": FLEX, "databases": ["shop"], "join_owners": True}),
    Case("roles_none", "roles", {"source": SOURCE, "target": FLEX, "roles": ["nobody"]}, fails=True),
    Case("validated", "data_validation", {"source": SOURCE, "target": FLEX, "databases": ["shop"]}),
    Case("validation_none", "data_validation", {"source": SOURCE, "target": FLEX, "databases": ["nope"]}, fails=True),
    Case("copies_none", "direct_copy_info", {"target": FLEX}),
    Case("copy_none", "direct_copy", {**COPY, "databases": ["nope"]}, fails=True),
    Case("copy_absent", "direct_copy", {**COPY, "state": "absent"}),
    Case("copy_planned", "direct_copy", {**COPY, "databases": ["shop"], "overwrite": True}, check=True),
    Case("copy_cut_over", "direct_copy_cutover", COPY, fails=True),
    Case("copy_canceled", "direct_copy_cancel", COPY, fails=True),
    Case("copy_reversed", "direct_copy_reverse", {**COPY, "action": "end"}, fails=True),
    Case("migration_deleted", "migration", {**ONE, "state": "absent"}),
]
CASES = [*MANAGEMENT, *MIGRATING]


@dataclass(frozen=True)
class Way:
    """What one play gave: the results by case, and the lab's log of its requests."""

    results: dict[str, dict[str, Any]]
    requests: list[dict[str, Any]]

    def sign_ins(self) -> int:
        return sum(row["path"].endswith("/oauth2/v2.0/token") for row in self.requests)

    def writes(self) -> list[str]:
        reading = ("GET", "HEAD")
        rows = [row for row in self.requests if row["method"] not in reading and "/oauth2/" not in row["path"]]
        return sorted(GUID.sub("<id>", f"{row['method']} {row['path']} {row['status']}") for row in rows)


@pytest.fixture(scope="module")
def lab() -> Iterator[Running]:
    with running_lab(page_size=1000) as running:
        yield running


@pytest.fixture(scope="module")
def ways(lab: Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Way]:
    found = {}
    for way, in_process in WAYS.items():
        lab.admin("POST", "reset")
        lab.admin("POST", "networks", NETWORKS)
        players = [Player(lab, tmp_path_factory.mktemp("way")) for _each in range(2)]
        found[way] = go(players, make_pair(lab, "ways"), in_process=in_process)
    return found


def go(players: list[Player], pair: Pair, *, in_process: bool) -> Way:
    lab = players[0].lab
    lab.admin("DELETE", "requests")
    with ThreadPoolExecutor() as pool:
        plays = [
            pool.submit(play, player, cases, pair, in_process=in_process)
            for player, cases in zip(players, (MANAGEMENT, MIGRATING), strict=True)
        ]
        first, second = (done.result() for done in plays)
    return Way({**first, **second}, lab.requests())


def play(player: Player, cases: list[Case], pair: Pair, *, in_process: bool) -> dict[str, dict[str, Any]]:
    """Runs the cases in one play and reads what they registered."""
    kept = player.folder / "results.json"
    gathered = "{{ dict(cases | zip(cases | map('regex_replace', '^', 'case_') | map('extract', vars))) | to_json }}"
    keep = {"ansible.builtin.copy": {"content": gathered, "dest": str(kept), "mode": "0600"}, "diff": False}
    variables = {
        "pgflex_in_process": in_process,
        "ansible_python_interpreter": sys.executable,
        "source_address": pair.source.hostaddr,
        "target_address": pair.target.hostaddr,
        "cases": [case.name for case in cases],
    }
    tasks = [*(case.task() for case in cases), keep]
    content = {"hosts": "all", "connection": "local", "gather_facts": False, "vars": variables, "tasks": tasks}
    file = player.folder / "play.yml"
    file.write_text(json.dumps([content]))
    played = player.play(str(file), {"localhost": {}}, ANSIBLE_PIPELINING="1")
    assert played.code == 0, played.output[-3000:]
    found: dict[str, dict[str, Any]] = json.loads(kept.read_text())
    return found


def alike(value: Any, known: dict[str, str] | None = None) -> Any:
    """The value without what is another at every run: ids by the order in which they come, times, VOLATILE keys."""
    known = {} if known is None else known
    if isinstance(value, dict):
        return {key: alike(item, known) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [alike(item, known) for item in value]
    if isinstance(value, str):
        text = GUID.sub(lambda found: known.setdefault(found[0].lower(), f"<id {len(known)}>"), value)
        return re.sub(r"after [\d.]+ s", "after some s", TIME.sub("<time>", text))
    return value


def test_the_table_holds_every_module() -> None:
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    assert modules - {case.module for case in CASES} == set()


def test_the_two_ways_are_two(ways: dict[str, Way]) -> None:
    """A worker shares its token with the next task; an ordinary module signs in each time."""
    worker, ordinary = (ways[name].sign_ins() for name in WAYS)
    assert worker <= 12 and ordinary >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_results_are_equal(ways: dict[str, Way], case: Case) -> None:
    worker, ordinary = (ways[name].results[case.name] for name in WAYS)
    for result in (worker, ordinary):
        assert bool(result.get("failed")) is case.fails, result.get("msg")
    assert alike(worker) == alike(ordinary)


def test_the_same_was_written(ways: dict[str, Way]) -> None:
    worker, ordinary = (ways[name].writes() for name in WAYS)
    assert worker == ordinary and len(worker) > 8
