# SPDX-License-Identifier: GPL-3.0-or-later
"""`make rehearse` with inventories as users write them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import ROOT

PASSWORD = "Own-Passw0rd!given"
FROM_README = re.search(r"```yaml\n(all:\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def rehearse(folder: Path, inventory: Any, **more: str) -> tuple[int, str]:
    file = folder / "inventory.yml"
    file.write_text(inventory if isinstance(inventory, str) else yaml.safe_dump(inventory))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "MAKE", "PGFLEX"))}
    done = subprocess.run(
        ["make", "rehearse"],
        cwd=ROOT,
        env={**kept, "INVENTORY": str(file), **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=900,
    )
    assert PASSWORD not in done.stdout
    return done.returncode, done.stdout


def migration(name: str, **more: Any) -> dict[str, Any]:
    pgflex = {
        "source": {"resource_group": "a-rg", "name": f"{name}-single", "user": f"dba@{name}-single"},
        "target": {"resource_group": "b-rg", "name": f"{name}-flex", "user": "owner"},
        "databases": [name],
        "mode": "offline",
    }
    pgflex["source"]["password"] = pgflex["target"]["password"] = PASSWORD
    return {"pgflex": {**pgflex, **more}}


def inventory(**hosts: Any) -> dict[str, Any]:
    return {"all": {"hosts": hosts}}


def test_the_readmes_inventory_is_migrated_and_cut_over(tmp_path: Path) -> None:
    assert FROM_README is not None
    code, said = rehearse(tmp_path, FROM_README.group(1))

    assert code == 0, said
    assert "shop: all databases arrived" in said
    assert "pgflex.migrate.cutover: succeeded" in said
    assert "the source has no password in the inventory; one was made up" in said


def test_several_hosts_may_share_servers_and_subscriptions_differ(tmp_path: Path) -> None:
    one = migration("one", databases=["one", "Two Words"])
    same = migration("one", databases=["three"])
    other = migration("four", subscription_id="22222222-2222-2222-2222-222222222222")
    code, said = rehearse(tmp_path, inventory(one=one, other=other), PLAYBOOK="pgflex.migrate.public_access")

    assert code == 0, said
    assert said.count("all databases arrived") == 2 and "A lab with 4 servers" in said

    code, said = rehearse(tmp_path, inventory(one=one, same=same), PLAYBOOK="pgflex.migrate.status")
    assert code == 0, said
    assert "A lab with 2 servers" in said and "same: not in the target: three" in said


def test_a_source_outside_azure(tmp_path: Path) -> None:
    source = {"type": "OnPremises", "host": "db1.example.org", "user": "dba", "password": PASSWORD, "sslmode": "prefer"}
    code, said = rehearse(tmp_path, inventory(books=migration("books", source=source)))

    assert code == 0, said
    assert "books: all databases arrived" in said


def test_ones_own_playbook_that_fails_is_told(tmp_path: Path) -> None:
    playbook = tmp_path / "own.yml"
    task = {"name": "Look", "ansible.builtin.fail": {"msg": "not today: {{ pgflex.source.password }}"}}
    playbook.write_text(json.dumps([{"name": "Own", "hosts": "all", "gather_facts": False, "tasks": [task]}]))
    code, said = rehearse(tmp_path, inventory(own=migration("own")), PLAYBOOK=str(playbook))

    assert code != 0
    assert "not today: ********" in said and f"{playbook}: failed with exit code 2" in said


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (inventory(web=None), "no host of the inventory has a dictionary pgflex"),
        (inventory(), "has no hosts"),
        (inventory(shop={"pgflex": "x"}), "host shop: pgflex has to be a mapping"),
        (inventory(shop=migration("shop", databases=[])), "host shop: pgflex.databases is empty"),
        (inventory(shop=migration("shop", target={"name": "x"})), "pgflex.target.resource_group is missing"),
        (
            inventory(a=migration("a", mode="onlin", databases="a"), b=migration("b", watch=60)),
            "host a: value of mode must be one of: offline, online, got: onlin found in pgflex.\n"
            "host a: pgflex.databases has to be a list of names.\nhost b: pgflex.watch has to be a mapping.\n",
        ),
        (
            inventory(a=migration("a"), b=migration("a", target={**migration("a")["pgflex"]["target"], "user": "x"})),
            "host b: ",
        ),
    ],
    ids=["no-pgflex", "no-hosts", "no-mapping", "no-databases", "no-group", "all-at-once", "two-users"],
)
def test_an_inventory_that_cannot_be_rehearsed(given: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    code, said = rehearse(tmp_path, given)

    assert code != 0
    assert complaint in said, said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"PLAYBOOK": "pgflex.migrate.nosuch"}, "there is no playbook pgflex.migrate.nosuch"),
        ({"PLAYBOOK": "nosuch"}, "there is no playbook nosuch"),
        ({"SIZE": "3"}, "the sample has at least 10 MB"),
    ],
)
def test_what_is_wrong_with_the_call_is_told_before_the_lab(
    more: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    code, said = rehearse(tmp_path, inventory(shop=migration("shop")), **more)

    assert code != 0
    assert complaint in said and "A lab with" not in said


def test_no_inventory_at_all(tmp_path: Path) -> None:
    code, said = rehearse(tmp_path, "", INVENTORY="")
    assert code != 0 and "make rehearse INVENTORY=path" in said
    code, said = rehearse(tmp_path, "", INVENTORY=str(tmp_path / "none.yml"))
    assert code != 0 and "there is no inventory" in said
