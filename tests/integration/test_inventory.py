# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin as users have it: ansible-inventory, its cache, and a playbook over what it finds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import GROUP, PASSWORD, Pair, Played, Player, make_pair

from pgflex_lab.process import Running

EVIL = "{{ lookup('pipe', 'id') }}"
SHOW = """
- hosts: paired
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ pgflex_servers.source.tags.note }}|{{ pgflex.source.user }}|{{ pgflex.databases }}"
"""


def shown(output: str) -> dict[str, Any]:
    """What ansible-inventory printed; some of its versions wrap text that is no template."""

    def unwrapped(item: dict[str, Any]) -> Any:
        return item.get("__ansible_unsafe", item)

    found: dict[str, Any] = json.loads(output, object_hook=unwrapped)
    return found


@dataclass(frozen=True)
class Fleet:
    """A folder with a configuration, in which Ansible's programs run against the lab."""

    player: Player
    pair: Pair
    alone: str

    @property
    def folder(self) -> Path:
        return self.player.folder

    def write(self, **config: Any) -> Path:
        path = self.folder / "fleet.servers.yml"
        path.write_text(yaml.safe_dump({"plugin": "pgflex.migrate.servers", **config}))
        return path

    def by_tag(self, **more: Any) -> Path:
        """Pairs by tag, of this test's servers only: others of the lab are other tests'."""
        defaults = {
            "source": {"user": "pgadmin@{{ pgflex_servers.source.name }}", "password": PASSWORD},
            "target": {"user": "pgadmin", "password": PASSWORD},
        }
        mine = {"include": [{"name": [self.pair.source.name, self.alone]}]}
        return self.write(**{"filters": mine, "defaults": defaults, "databases": ["shop"], **more})

    def run(self, program: str, *arguments: str, **environment: str) -> Played:
        done = subprocess.run(
            [str(Path(sys.executable).with_name(program)), *arguments],
            cwd=self.folder,
            env=self.player.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Lab-Secret~operator" not in done.stdout
        return Played(done.returncode, done.stdout)

    def listed(self, path: Path) -> dict[str, Any]:
        done = self.run("ansible-inventory", "-i", str(path), "--list", "--export")
        assert done.code == 0 and "WARNING" not in done.output, done.output
        return shown(done.output)

    def asked(self) -> list[str]:
        """Paths of all requests so far, signing in aside."""
        lines = (self.player.lab.home / "requests.jsonl").read_text().splitlines()
        paths = [json.loads(line)["path"] for line in lines]
        return [path for path in paths if path.startswith("/subscriptions")]


@pytest.fixture(scope="module")
def servers(shared_lab: Running) -> tuple[Pair, str]:
    """A pair that a tag of its source makes, and a Single Server without one."""
    pair = make_pair(shared_lab, "inventory")
    common = {
        "subscription": shared_lab.environment()["AZURE_SUBSCRIPTION_ID"],
        "resource_group": GROUP,
        "location": "eastus",
        "admin": "pgadmin",
        "password": PASSWORD,
        "type": "single",
        "sku": "GP_Gen5_2",
        "version": "11",
        "storage_mb": 51200,
    }
    alone = shared_lab.admin("POST", "servers", {**common, "name": "inventory-alone"})
    subscription = common["subscription"]
    where = f"/subscriptions/{subscription}/resourceGroups/{GROUP}/providers/Microsoft.DBforPostgreSQL/servers"
    tags = {"pgflex-target": pair.target.name, "pgflex-wave": "1", "note": EVIL, "env": "test"}
    body = {"method": "PATCH", "id": f"{where}/{pair.source.name}", "body": {"tags": tags}, "api_version": "2017-12-01"}
    shared_lab.admin("POST", "arm", {"requests": [body]})
    return pair, alone["name"]


@pytest.fixture
def fleet(player: Player, servers: tuple[Pair, str]) -> Fleet:
    return Fleet(player, *servers)


@pytest.mark.matrix
def test_servers_of_azure_become_hosts_and_groups(fleet: Fleet) -> None:
    path = fleet.by_tag()
    before = len(fleet.asked())
    found = fleet.listed(path)
    assert [path.rsplit("/", 1)[-1] for path in sorted(fleet.asked()[before:])] == ["flexibleServers", "servers"]
    name = fleet.pair.source.name
    groups = {group for group, content in found.items() if name in content.get("hosts", [])}
    assert groups == {
        *("paired", "region_eastus", "wave_1", "version_11", "size_small", "topology_public_to_public"),
        *("tag_env_test", "tag_note____lookup__pipe____id_____"),
    }
    assert found["unpaired"]["hosts"] == [fleet.alone]
    variables = found["_meta"]["hostvars"]
    assert variables[fleet.alone]["pgflex_unpaired"] == "It has no tag pgflex-target."
    assert variables[name]["pgflex"]["target"]["name"] == fleet.pair.target.name
    assert variables[name]["pgflex_servers"]["source"]["vcores"] == 4
    graph = fleet.run("ansible-inventory", "-i", str(path), "--graph", "paired")
    assert graph.output.split() == ["@paired:", f"|--{name}"]


@pytest.mark.matrix
def test_a_playbook_runs_over_it(fleet: Fleet) -> None:
    path = fleet.by_tag()
    show = fleet.folder / "show.yml"
    show.write_text(SHOW)
    done = fleet.run("ansible-playbook", "-i", str(path), str(show))
    assert done.code == 0, done.output
    assert f"{EVIL}|{fleet.pair.source.user}|['shop']" in done.output
    # It asks Azure alone, so it needs no password of a server.
    path = fleet.by_tag(defaults={})
    done = fleet.run("ansible-playbook", "-i", str(path), "pgflex.migrate.status")
    assert done.code == 0, done.output
    assert done.recap(fleet.pair.source.name)["failed"] == 0
    assert "not made yet" in done.output
    assert fleet.alone not in done.output


def test_the_cache_on_disk_spares_the_requests(fleet: Fleet) -> None:
    kept = fleet.folder / "kept"
    path = fleet.by_tag(cache=True, cache_plugin="ansible.builtin.jsonfile", cache_connection=str(kept))
    first = fleet.listed(path)
    before = fleet.asked()
    assert fleet.listed(path) == first
    assert fleet.asked() == before
    (file,) = kept.iterdir()
    text = file.read_text()
    assert fleet.alone in text
    assert PASSWORD not in text and "Lab-Secret~operator" not in text
    show = fleet.folder / "show.yml"
    show.write_text(SHOW)
    done = fleet.run("ansible-playbook", "-i", str(path), str(show), "--flush-cache")
    assert done.code == 0, done.output
    assert len(fleet.asked()) == len(before) + 2


def test_all_subscriptions_are_one_request_more(fleet: Fleet) -> None:
    before = len(fleet.asked())
    fleet.listed(fleet.by_tag(subscriptions=["all"]))
    asked = fleet.asked()[before:]
    assert asked[0] == "/subscriptions"
    assert len(asked) == 3


@pytest.mark.matrix
def test_a_spreadsheet_alone_needs_no_azure(fleet: Fleet) -> None:
    header = "Host;Source Resource Group;Source;Target Resource Group;Target;Databases;Wave;Team"
    line = f'shop;{GROUP};{fleet.pair.source.name};{GROUP};{fleet.pair.target.name};"shop;stock";2;{EVIL}'
    (fleet.folder / "pairs.csv").write_bytes(f"\N{BYTE ORDER MARK}{header}\r\n\r\n{line}\r\n;;;;;;;\r\n".encode())
    path = fleet.write(pairs={"file": "pairs.csv"}, keyed_groups=[{"key": "pgflex_columns.team", "prefix": "team"}])
    before = fleet.asked()
    done = fleet.run("ansible-inventory", "-i", str(path), "--list", "--export", AZURE_CLIENT_ID="", AZURE_SECRET="")
    found = shown(done.output)
    assert fleet.asked() == before
    assert found["wave_2"]["hosts"] == found["team____lookup__pipe____id_____"]["hosts"] == ["shop"]
    assert found["_meta"]["hostvars"]["shop"]["pgflex"]["databases"] == ["shop", "stock"]
    assert found["_meta"]["hostvars"]["shop"]["pgflex_columns"] == {"team": EVIL}


@pytest.mark.matrix
def test_pairs_alone_are_an_inventory(fleet: Fleet) -> None:
    header = "host,source,target,databases,source_user,note"
    (fleet.folder / "pairs.csv").write_text(f'{header}\nshop,rg/shop-old,rg/shop-new,shop,me,"{EVIL}"\n')
    groups = fleet.folder / "group_vars"
    groups.mkdir()
    defaults = {"mode": "offline", "source": {"user": "you", "password": "{{ word }}"}}
    (groups / "all.yml").write_text(yaml.safe_dump({"pgflex_defaults": defaults, "word": "hush"}))
    enabled = {"ANSIBLE_INVENTORY_ENABLED": "pgflex.migrate.servers,auto,yaml"}
    done = fleet.run("ansible-inventory", "-i", "pairs.csv", "--list", "--export", **enabled)
    assert done.code == 0 and "WARNING" not in done.output, done.output
    assert shown(done.output)["paired"]["hosts"] == ["shop"]
    message = "msg={{ pgflex.source.user }}|{{ pgflex.source.password }}|{{ pgflex.mode }}|{{ pgflex_columns.note }}"
    said = fleet.run("ansible", "-i", "pairs.csv", "shop", "-m", "debug", "-a", message, **enabled)
    assert f"me|hush|offline|{EVIL}" in said.output
    # With its plugin in the file the list needs nobody to enable anything.
    rows = [{"host": "stock", "source": "rg/stock-old", "target": "rg/stock-new"}]
    path = fleet.folder / "night.pairs.yml"
    path.write_text(yaml.safe_dump({"plugin": "pgflex.migrate.servers", "pairs": rows}))
    assert fleet.listed(path)["paired"]["hosts"] == ["stock"]


def test_each_mistake_is_one_sentence(fleet: Fleet) -> None:
    (fleet.folder / "bad.yml").write_text("- source: [\n")
    nobodys = "99999999-9999-4999-8999-999999999999"
    configs: dict[str, tuple[dict[str, Any], str]] = {
        "missing": ({"pairs": {"file": "gone.csv"}}, "gone.csv is not there."),
        "bad": ({"pairs": {"file": "bad.yml"}}, "bad.yml"),
        "unknown": ({"filter": {}}, "There is no option filter; filters is one."),
        "foreign": ({"subscriptions": [nobodys]}, f"subscription {nobodys}"),
        "nobody": ({"filters": {"include": [{"name": "nobody"}]}}, "fits filters and resource_groups."),
    }
    sources = []
    for name, (config, _said) in configs.items():
        path = fleet.folder / f"{name}.servers.yml"
        path.write_text(yaml.safe_dump({"plugin": "pgflex.migrate.servers", **config}))
        sources += ["-i", str(path)]
    done = fleet.run("ansible-inventory", *sources, "--graph", ANSIBLE_INVENTORY_ENABLED="auto")
    text = "".join(done.output.split())
    assert "Traceback" not in text
    for name, (_config, said) in configs.items():
        assert "".join(said.split()) in text, (name, done.output)


def test_everything_that_is_wrong_is_told_at_once(fleet: Fleet) -> None:
    rows = [
        {"source": fleet.pair.source.name, "target": fleet.pair.target.name, "databases": ["shop"]},
        {"source": fleet.alone, "target": fleet.pair.target.name, "databases": ["shop"], "after": ["nobody"]},
        {"source": "gone", "target": "gone-too", "mode": "slow"},
    ]
    (fleet.folder / "pairs.yml").write_text(yaml.safe_dump(rows))
    path = fleet.write(pairs={"file": "pairs.yml"}, discover=True)
    strict = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
    done = fleet.run("ansible-playbook", "-i", str(path), "pgflex.migrate.status", **strict)
    assert done.code != 0
    # Some versions of Ansible break lines at hyphens.
    text = "".join(done.output.split())
    for problem in (
        "5 problems with the pairs:",
        "pairs.yml, item 3: mode has to be one of offline, online, not 'slow'.",
        "pairs.yml, item 3: the source gone is not there.",
        "pairs.yml, item 3: the target gone-too is not there.",
        f"{fleet.pair.source.name} and {fleet.alone} migrate the database shop to the same target "
        f"{GROUP}/{fleet.pair.target.name}: one would overwrite the other.",
        f"{fleet.alone} comes after nobody, which is no host of the fleet.",
    ):
        assert "".join(problem.split()) in text, done.output


def test_azures_refusal_is_one_sentence(fleet: Fleet) -> None:
    done = fleet.run(
        "ansible-inventory",
        *("-i", str(fleet.by_tag()), "--list"),
        AZURE_CLIENT_ID="44444444-0000-4000-8000-00000000000d",
        AZURE_SECRET="Lab-Secret~stranger",
    )
    text = " ".join(done.output.split())
    assert "Failed to list the Flexible Servers of subscription" in text
    assert "AuthorizationFailed" in text and "Traceback" not in text
