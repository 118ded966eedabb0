# SPDX-License-Identifier: GPL-3.0-or-later
"""A target made like the source, with its parameters, rules, tags and roles; then a migration into it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from arm import Arm
from plays import GROUP, Pair, Player

PHASES = ["settings", "network", "runtime_server", "identity", "source", "migrate", "cutover"]
APP_PASSWORD = "App-Secret-4711"
CREATE: dict[str, Any] = {"tags": {"made": "by-test"}}
COPY = {
    "parameters": True,
    "firewall_rules": True,
    "tags": True,
    "roles": True,
    "passwords": {"shop_app": APP_PASSWORD},
}


def role(name: str, **more: Any) -> dict[str, Any]:
    return {"ansible.builtin.include_role": {"name": f"pgflex.migrate.{name}", **more}}


def playbook(player: Player, *phases: str) -> str:
    """The role target first; with phases all of a migration after it, as the playbook migrate has it."""
    tasks = [role("target", tasks_from="roles"), role("validate"), role("finish")] if phases else []
    play = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "roles": [f"pgflex.migrate.{name}" for name in ("target", *phases)],
        "tasks": tasks,
    }
    file = player.folder / f"play{len(phases)}.yml"
    file.write_text(json.dumps([play]))
    return str(file)


@pytest.fixture
def made(pair: Pair, player: Player) -> Iterator[Pair]:
    """The pair's source, and a target that is not there yet."""
    name = f"{pair.target.name.removesuffix('-flex')[:40]}-made"
    yield replace(pair, target=replace(pair.target, name=name))
    scope = f"/subscriptions/{player.lab.environment()['AZURE_SUBSCRIPTION_ID']}/resourceGroups/{GROUP}/providers"
    Arm(player.lab).delete(f"{scope}/Microsoft.DBforPostgreSQL/flexibleServers/{name}")


def server(pair: Pair, player: Player) -> dict[str, Any] | None:
    rows = player.lab.admin("GET", "state")["servers"]
    return next((row for row in rows if row["name"] == pair.target.name), None)


def set_up(pair: Pair) -> None:
    """Roles and privileges at the source."""
    with pair.source.connect("shop") as connection:
        connection.execute("DROP ROLE IF EXISTS shop_app; DROP ROLE IF EXISTS shop_readers")
        connection.execute("CREATE ROLE shop_app LOGIN; CREATE ROLE shop_readers; GRANT shop_readers TO shop_app")
        connection.execute(
            "GRANT SELECT, INSERT ON customer TO shop_app; GRANT SELECT ON ALL TABLES IN SCHEMA public TO shop_readers"
        )
        connection.execute("GRANT shop_app TO CURRENT_USER; GRANT CREATE ON SCHEMA public TO shop_app")
        connection.execute("ALTER TABLE nokey OWNER TO shop_app; REVOKE EXECUTE ON FUNCTION stamp() FROM PUBLIC")
        connection.execute("ALTER ROLE shop_app SET statement_timeout = '5min'")


def test_a_target_like_the_source(made: Pair, player: Player) -> None:
    player = replace(player, secrets=(*player.secrets, APP_PASSWORD))
    set_up(made)
    hosts = {"shop": made.host(target={"create": CREATE, "hostaddr": None}, copy=COPY)}
    player.writes()
    foretold = player.play(playbook(player), hosts, "--check", "--diff", "-e", "settings_connect=false")
    assert foretold.code == 0 and player.writes() == [], foretold.output
    assert foretold.recap()["changed"] == 1 and "can not be foretold before it is there" in foretold.output
    first = player.play(playbook(player), hosts, "-e", "settings_connect=false")
    assert first.code == 0, first.output
    state = server(made, player)
    assert state is not None
    again = player.play(playbook(player), hosts, "-e", "settings_connect=false")
    assert again.code == 0 and again.recap()["changed"] == 0, again.output
    found = replace(made, target=replace(made.target, hostaddr=state["hostaddr"]))
    hosts = {
        "shop": found.host(target={"create": CREATE}, copy=COPY, target_parameters={"azure.extensions": "pgcrypto"})
    }
    whole = player.play(playbook(player, *PHASES), hosts)
    assert whole.code == 0, whole.output
    with found.target.connect("shop") as connection:
        owner = connection.execute("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'nokey'").fetchone()
        assert owner == ("shop_app",)
        assert connection.execute("SELECT has_table_privilege('shop_app', 'customer', 'INSERT')").fetchone() == (True,)
    with psycopg.connect(
        host=state["hostaddr"], user="shop_app", password=APP_PASSWORD, dbname="shop", sslmode="require"
    ) as connection:
        assert connection.execute("SELECT count(*) FROM nokey").fetchone() == (50,)
    player.writes()
    second = player.play(playbook(player, *PHASES), hosts)
    assert second.code == 0 and second.recap()["changed"] == 0, second.output
    assert player.writes() == []


def test_wrong_input_is_one_clear_failure(made: Pair, player: Player) -> None:
    outside = {"type": "OnPremises", "host": "db1.example.org", "resource_group": None, "name": None, "hostaddr": None}
    wrong = {
        "nowhere": ({}, "check pgflex.target, or say in pgflex.target.create how to make it"),
        "size": (
            {"source": outside, "target": {"create": {"version": "16"}}},
            "pgflex.target.create lacks location, sku_name",
        ),
        "small": ({"target": {"create": {"storage_gb": 32}}}, "is too small to be like"),
        "rules": (
            {"source": outside, "copy": {"tags": True}},
            "pgflex.copy.tags can only be asked of a source in Azure",
        ),
    }
    player.writes()
    played = player.play(playbook(player), {name: made.host(**more) for name, (more, _words) in wrong.items()})
    output = " ".join(played.output.split())
    assert player.writes() == [] and played.code != 0
    for name, (_more, words) in wrong.items():
        assert played.recap(name)["failed"] == 1 and words in output, (name, played.output)
