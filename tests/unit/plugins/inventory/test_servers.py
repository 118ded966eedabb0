# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin in this process; that Ansible loads it and reads its options is in the integration tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ansible.template
import pytest
import yaml
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.pgflex.migrate.plugins.inventory import servers
from ansible_collections.pgflex.migrate.plugins.inventory.servers import InventoryModule, laid_over
from ansible_collections.pgflex.migrate.plugins.plugin_utils.untrusted import template

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
SUB = f"/subscriptions/{SUBSCRIPTION}"
PROVIDER = "providers/Microsoft.DBforPostgreSQL"
EVIL = "{{ lookup('pipe', 'id') }}"
SHARED = {"compose": {}, "groups": {}, "keyed_groups": [], "strict": False, "cache": False, "use_extra_vars": False}
CSV = "source_resource_group,source,target_resource_group,target,databases\nshop-rg,a,shop-rg,b,x y\n"


def single(name: str, **tags: str) -> dict[str, Any]:
    where = f"{SUB}/resourceGroups/shop-rg/{PROVIDER}/servers/{name}"
    properties = {"version": "11", "publicNetworkAccess": "Enabled", "administratorLogin": "boss"}
    sku = {"name": "GP_Gen5_4", "capacity": 4}
    return {"id": where, "name": name, "location": "eastus", "sku": sku, "properties": properties, "tags": tags}


def flexible(name: str) -> dict[str, Any]:
    where = f"{SUB}/resourceGroups/shop-rg/{PROVIDER}/flexibleServers/{name}"
    return {"id": where, "name": name, "location": "East US", "properties": {"version": "16", "network": {}}}


class Plugin(InventoryModule):
    """Gets its options as Ansible would, from the documentation's defaults and the file."""

    def _read_config_data(self, path: str) -> Any:
        config = self.loader.load_from_file(path, cache="none", **TRUSTED)
        self.set_options(direct=config)
        return config

    def set_options(self, task_keys: Any = None, var_options: Any = None, direct: Any = None) -> None:
        documented = yaml.safe_load(servers.DOCUMENTATION)["options"]
        self.known = {*servers.NAMES, *documented, *SHARED}
        self.given = {name: documented.get(name, {}).get("default") for name in self.known} | SHARED | direct

    def get_options(self, hostvars: Any = None) -> Any:
        return dict.fromkeys(self.known)

    def has_option(self, option: str) -> bool:
        return option in self.known

    def get_option(self, option: str, hostvars: Any = None) -> Any:
        return self.given[option]

    def get_cache_key(self, path: str) -> str:
        return f"key-{Path(path).name}"


TRUSTED = {"trusted_as_template": True} if hasattr(ansible.template, "trust_as_template") else {}


def trusted(value: dict[str, Any]) -> Any:
    """As a file of group variables gives it."""
    return {key: trusted(item) if isinstance(item, dict) else template(item) for key, item in value.items()}


class World:
    """A folder with a configuration, and what Azure has."""

    def __init__(self, folder: Path, arm: Any) -> None:
        self.folder, self.arm = folder, arm
        self.cache: dict[str, Any] = {}
        arm.any_order = True

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def azure_has(self, *found: dict[str, Any]) -> None:
        for kind in ("servers", "flexibleServers"):
            rows = [one for one in found if f"/{kind}/" in one["id"]]
            self.arm.expect("GET", f"{SUB}/{PROVIDER}/{kind}", json={"value": rows})

    def parse(self, config: dict[str, Any], *, refresh: bool = False) -> InventoryData:
        file = self.folder / "fleet.servers.yml"
        file.write_text(yaml.safe_dump({"plugin": "pgflex.migrate.servers", **config}), encoding="utf-8")
        return self.parse_file(file, refresh=refresh)

    def parse_file(self, file: Path, *, refresh: bool = False) -> InventoryData:
        inventory, plugin = InventoryData(), Plugin()
        plugin._cache = self.cache
        plugin.parse(inventory, DataLoader(), str(file), cache=not refresh)
        self.plugin = plugin
        return inventory


@pytest.fixture
def world(arm: Any, tmp_path: Path) -> World:
    return World(tmp_path, arm)


def variables(inventory: InventoryData, host: str) -> dict[str, Any]:
    found = inventory.get_host(host).get_vars()
    templar = Templar(loader=DataLoader(), variables=found)
    return dict(
        templar.template({key: value for key, value in found.items() if key.startswith("pgflex") or key == "own"})
    )


def members(inventory: InventoryData, group: str) -> list[str]:
    return [host.name for host in inventory.groups[group].get_hosts()]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fleet.servers.yml", True),
        ("pgflex_servers.yaml", True),
        ("servers.yml", True),
        ("servers.yml.bak", False),
        ("hosts.yml", False),
        ("servers.csv", False),
        ("pairs.csv", True),
        ("Night_Pairs.CSV", True),
        ("fleet.pairs.yml", True),
        ("pairs.yaml", True),
        ("pairs.json", False),
    ],
)
def test_its_files(tmp_path: Path, name: str, expected: bool) -> None:
    assert not InventoryModule().verify_file(str(tmp_path / name))
    (tmp_path / name).write_text("plugin: pgflex.migrate.servers")
    assert InventoryModule().verify_file(str(tmp_path / name)) is expected


def test_a_csv_alone_asks_nobody(world: World) -> None:
    world.write("pairs.csv", CSV)
    inventory = world.parse({"pairs": {"file": "pairs.csv"}})
    assert world.arm.requests == []
    assert members(inventory, "paired") == ["a"]
    assert variables(inventory, "a") == {
        "pgflex": {
            "source": {"resource_group": "shop-rg", "name": "a"},
            "target": {"resource_group": "shop-rg", "name": "b"},
            "databases": ["x", "y"],
            "fleet": {},
        },
        "pgflex_servers": {
            "source": {"resource_group": "shop-rg", "name": "a"},
            "target": {"resource_group": "shop-rg", "name": "b"},
        },
        "pgflex_columns": {},
    }


def test_yaml_is_a_pairs_file_too(world: World) -> None:
    world.write("pairs.yml", yaml.safe_dump([{"source": "g/a", "target": "g/b", "databases": ["My Shop"]}]))
    assert variables(world.parse({"pairs": {"file": "pairs.yml"}}), "a")["pgflex"]["databases"] == ["My Shop"]


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.yml"])
def test_a_pairs_file_alone_is_an_inventory(world: World, name: str) -> None:
    row = {"source_resource_group": "shop-rg", "source": "a", "target": "g/b", "databases": EVIL, "source_user": "me"}
    row |= {"target_resource_group": "g"}
    text = ",".join(row) + "\n" + ",".join(f'"{cell}"' for cell in row.values())
    world.write(name, text if name.endswith("csv") else yaml.safe_dump([row]))
    inventory = world.parse_file(world.folder / name)
    assert members(inventory, "paired") == ["a"]
    inventory.set_variable("a", "secret_word", "hush")
    inventory.set_variable(
        "a", "pgflex_defaults", trusted({"source": {"password": "{{ secret_word }}", "user": "you"}})
    )
    made = variables(inventory, "a")["pgflex"]
    assert made["source"] == {"password": "hush", "user": "me", "resource_group": "shop-rg", "name": "a"}
    # Text of the file is data, also behind a template of the plugin's.
    assert made["databases"] == EVIL.replace("'pipe', 'id'", "'pipe' 'id'").split()


def test_a_configuration_can_have_the_list_itself(world: World) -> None:
    rows = [{"source": "g/a", "target": "g/b", "databases": ["My Shop"], "note": EVIL}]
    found = variables(world.parse({"pairs": rows, "defaults": {"mode": "{{ 'off' ~ 'line' }}"}}), "a")
    assert found["pgflex"]["databases"] == ["My Shop"] and found["pgflex"]["mode"] == "offline"
    assert found["pgflex_columns"] == {"note": EVIL}
    with pytest.raises(AnsibleParserError, match=r"servers\.yml, item 1: target is empty"):
        world.parse({"pairs": [{"source": "g/a", "target_resource_group": "g"}, *rows]})


def test_azure_is_asked_once_for_each_kind(world: World, sign_in: dict[str, str]) -> None:
    world.azure_has(
        *(single(f"s{number}", **{"pgflex-target": f"f{number}", "pgflex-wave": "1"}) for number in range(20)),
        *(flexible(f"f{number}") for number in range(20)),
        single("alone"),
    )
    inventory = world.parse(sign_in)
    assert len(world.arm.requests) == 2
    assert len(members(inventory, "paired")) == 20
    assert members(inventory, "unpaired") == ["alone"]
    alone = variables(inventory, "alone")
    assert alone["pgflex_unpaired"] == "It has no tag pgflex-target."
    assert alone["pgflex_servers"]["source"]["version"] == "11"
    assert "pgflex" not in alone
    groups = {name for name in inventory.groups if "s3" in members(inventory, name)}
    assert groups == {
        *("paired", "region_eastus", "size_small", "topology_public_to_public", "version_11", "wave_1"),
    }


def test_what_is_laid_under_every_host(world: World, sign_in: dict[str, str]) -> None:
    world.azure_has(single("a", **{"pgflex-target": "b", "pgflex-mode": "offline"}), flexible("b"))
    defaults = {
        "mode": "online",
        "source": {"user": "{{ pgflex_servers.source.administrator_login }}@a", "password": "{{ 'se' ~ 'cret' }}"},
        "cutover": {"trigger": "automatic"},
    }
    made = variables(world.parse({**sign_in, "databases": ["{{ 'my' ~ 'shop' }}"], "defaults": defaults}), "a")[
        "pgflex"
    ]
    assert (made["mode"], made["databases"], made["cutover"]) == ("offline", ["myshop"], {"trigger": "automatic"})
    assert made["source"] == {
        "user": "boss@a",
        "password": "secret",
        "type": "PostgreSQLSingleServer",
        "subscription_id": SUBSCRIPTION,
        "resource_group": "shop-rg",
        "name": "a",
    }


def test_text_from_azure_is_no_template(world: World, sign_in: dict[str, str]) -> None:
    tags = {"pgflex-target": "b", "note": EVIL, "pgflex-databases": "{{lookup('pipe','id')}}"}
    world.azure_has(single("a", **tags), flexible("b"))
    keyed = [{"key": "pgflex_servers.source.tags.note", "prefix": "note"}]
    compose = {"own": "pgflex_servers.source.tags.note"}
    found = variables(world.parse({**sign_in, "keyed_groups": keyed, "compose": compose}), "a")
    assert found["own"] == found["pgflex_servers"]["source"]["tags"]["note"] == EVIL
    assert found["pgflex"]["databases"] == ["{{lookup('pipe'", "'id')}}"]


def test_text_of_a_pairs_file_is_no_template(world: World) -> None:
    world.write("pairs.csv", CSV.replace("databases", "note").replace("x y", f'"{EVIL}"'))
    assert variables(world.parse({"pairs": {"file": "pairs.csv"}}), "a")["pgflex_columns"] == {"note": EVIL}


def test_constructed_groups_and_variables(world: World) -> None:
    world.write("pairs.csv", CSV.replace("databases", "databases,Team").replace("x y", "x y,blue"))
    config = {
        "pairs": {"file": "pairs.csv"},
        "compose": {"own": "pgflex.target.name | upper"},
        "groups": {"big": "pgflex.databases | length > 1", "upper": "own == 'B'"},
        "keyed_groups": [{"key": "pgflex_columns.team", "prefix": "team"}],
    }
    inventory = world.parse(config)
    assert variables(inventory, "a")["own"] == "B"
    assert members(inventory, "big") == members(inventory, "team_blue") == members(inventory, "upper") == ["a"]


def test_strict_tells_what_can_not_be_composed(world: World) -> None:
    world.write("pairs.csv", CSV)
    config = {"pairs": {"file": "pairs.csv"}, "compose": {"own": "nobody.knows"}}
    assert "own" not in variables(world.parse(config), "a")
    with pytest.raises(AnsibleError, match="own"):
        world.parse({**config, "strict": True})


def test_the_cache_answers_the_same_question_only(world: World, sign_in: dict[str, str]) -> None:
    found = (single("a", **{"pgflex-target": "b"}), flexible("b"))
    config = {**sign_in, "cache": True}
    world.azure_has(*found)
    assert members(world.parse(config), "paired") == members(world.parse(config), "paired") == ["a"]
    assert len(world.arm.requests) == 2
    assert sign_in["secret"] not in str(world.cache)
    world.azure_has(*found)
    world.parse(config, refresh=True)
    assert len(world.arm.requests) == 4
    world.azure_has(*found)
    world.parse({**config, "client_id": "44444444-4444-4444-4444-444444444444"})
    assert len(world.arm.requests) == 6


def test_another_user_of_az_is_another_question(
    world: World, monkeypatch: pytest.MonkeyPatch, sign_in: dict[str, str], tmp_path: Path
) -> None:
    world.azure_has(single("a", **{"pgflex-target": "b"}), flexible("b"))
    world.parse({**sign_in, "cache": True})
    ((_key, kept),) = world.cache.items()
    asked: list[str] = []

    def servers_of(*_asked: Any) -> Any:
        asked.append(user)
        return kept["servers"]

    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setattr(servers, "servers", servers_of)
    for user in ("anna", "anna", "bert"):
        account = {"isDefault": True, "id": SUBSCRIPTION, "tenantId": sign_in["tenant"], "user": {"name": user}}
        (tmp_path / "azureProfile.json").write_text(json.dumps({"subscriptions": [account]}))
        world.parse({"auth_source": "cli", "cache": True})
    assert asked == ["anna", "bert"]


def test_all_subscriptions(world: World, sign_in: dict[str, str]) -> None:
    world.arm.expect("GET", "/subscriptions", json={"value": [{"subscriptionId": SUBSCRIPTION, "state": "Enabled"}]})
    world.azure_has(single("a", **{"pgflex-target": "b"}), flexible("b"))
    given = {key: value for key, value in sign_in.items() if key != "subscription_id"}
    assert members(world.parse({**given, "subscriptions": ["all"]}), "paired") == ["a"]


def test_options_may_be_templates(world: World, monkeypatch: pytest.MonkeyPatch, sign_in: dict[str, str]) -> None:
    monkeypatch.setenv("FLEET_SECRET", sign_in["secret"])
    world.azure_has(single("a", **{"pgflex-target": "b"}), flexible("b"))
    secret = "{{ lookup('env', 'FLEET_SECRET') }}"
    config = {**sign_in, "secret": secret, "subscriptions": ["{{ '1' * 8 }}-1111-1111-1111-{{ '1' * 12 }}"]}
    assert members(world.parse(config), "paired") == ["a"]


def test_an_option_without_a_value_is_left_out(world: World) -> None:
    world.write("pairs.csv", CSV)
    empty = dict.fromkeys(("filters", "resource_groups", "regions", "defaults", "subscriptions", "databases"))
    assert members(world.parse({**empty, "pairs": {"file": "pairs.csv"}}), "paired") == ["a"]


def test_everything_that_is_wrong_is_told_at_once(world: World) -> None:
    header, line = CSV.splitlines()
    lines = [f"{header},source_password,wave", f"{line},x,1", "shop-rg,a,shop-rg,b,y,x,2", "shop-rg,,shop-rg,,z,x,one"]
    world.write("pairs.csv", "\n".join(lines))
    with pytest.raises(AnsibleParserError) as told:
        world.parse({"pairs": {"file": "pairs.csv"}})
    assert str(told.value).splitlines() == [
        "6 problems with the pairs:",
        "- pairs.csv: the column source_password has no place here: passwords belong in a vault, and into the option "
        "defaults.",
        "- pairs.csv, line 4: wave has to be a whole number, not 'one'.",
        "- pairs.csv, line 4: source is empty.",
        "- pairs.csv, line 4: target is empty.",
        "- a is there more than once.",
        "- a and a migrate the database y from shop-rg/a to shop-rg/b more than once.",
    ]


@pytest.mark.parametrize("name", ["no.csv", "no.yml"])
def test_a_file_that_is_not_there(world: World, name: str) -> None:
    with pytest.raises(AnsibleParserError, match=rf"1 problem with the pairs:\n- The pairs file .*{name} is not there"):
        world.parse({"pairs": {"file": name}})


@pytest.mark.parametrize("config", [{"databases": ["shop"]}, {"defaults": {"databases": ["shop"]}}])
def test_databases_of_all_hosts_can_be_in_each_others_way(world: World, config: dict[str, Any]) -> None:
    world.write("pairs.yml", yaml.safe_dump([{"source": f"g/{name}", "target": "g/t"} for name in "ab"]))
    with pytest.raises(AnsibleParserError, match="a and b migrate the database shop to the same target g/t"):
        world.parse({**config, "pairs": {"file": "pairs.yml"}})
    # What each host says of itself is known later only.
    own = {"databases": "{{ my_databases }}", "pairs": {"file": "pairs.yml"}}
    assert members(world.parse(own), "paired") == ["a", "b"]


def test_a_forgotten_server_whose_name_a_pair_has_taken(world: World, sign_in: dict[str, str]) -> None:
    world.azure_has(single("a"), single("x"), flexible("b"))
    world.write("pairs.csv", "host,source,target\nx,a,b\n")
    inventory = world.parse({**sign_in, "discover": True, "pairs": {"file": "pairs.csv"}})
    assert (members(inventory, "paired"), members(inventory, "unpaired")) == (["x"], ["x-in-shop-rg"])


def test_wrong_options_are_told_before_anybody_is_asked(world: World, sign_in: dict[str, str]) -> None:
    config = {**sign_in, "filters": {"include": [{"region": "mars"}]}, "pairs": {"colour": "red"}}
    with pytest.raises(AnsibleParserError, match="2 problems"):
        world.parse(config)
    assert world.arm.requests == []


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"pair": {"file": "pairs.csv"}}, "There is no option pair; pairs is one."),
        ({"zzz": 1}, "There is no option zzz."),
        ({"pairs": "pairs.csv"}, "pairs has to be a list of pairs, or a mapping of by, tag, name, file."),
    ],
)
def test_options_that_mean_nothing(world: World, sign_in: dict[str, str], config: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleParserError) as told:
        world.parse({**sign_in, **config})
    assert str(told.value).splitlines() == ["1 problem with the pairs:", f"- {said}"]
    assert world.arm.requests == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([single("a"), flexible("b")], "None of the 1 sources that were found fits filters and resource_groups."),
        ([flexible("b")], "There are no servers of the kinds single in the subscriptions that were asked."),
    ],
)
def test_nothing_found_is_told(world: World, sign_in: dict[str, str], found: list[dict[str, Any]], said: str) -> None:
    world.azure_has(*found)
    with pytest.raises(AnsibleParserError, match=said):
        world.parse({**sign_in, "filters": {"include": [{"name": "nobody"}]}})


def test_azures_refusal_is_told_without_the_secret(world: World, sign_in: dict[str, str]) -> None:
    world.arm.fail_everything()
    with pytest.raises(
        AnsibleParserError, match=r"Failed to list the .* Servers of subscription 1.*AuthorizationFailed"
    ) as told:
        world.parse(sign_in)
    assert sign_in["secret"] not in str(told.value)


def test_half_a_sign_in_is_told(world: World) -> None:
    with pytest.raises(AnsibleParserError, match="lacks"):
        world.parse({"subscriptions": ["x"], "client_id": "y"})


@pytest.mark.parametrize(
    ("below", "above", "expected"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
    ],
)
def test_laid_over(below: Any, above: Any, expected: Any) -> None:
    assert laid_over(below, above) == expected
