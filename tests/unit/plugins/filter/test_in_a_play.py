# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters in a play: found by their names, given values as Ansible keeps them, their results used in templates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
INVENTORY = """
all:
  hosts:
    localhost:
      word: old
      pgflex:
        source: {resource_group: rg, name: "shop-{{ word }}", user: a, password: a}
        target: {resource_group: rg, name: shop-new, user: a, password: a}
        databases: "{{ ['shop'] }}"
      fleet_phase: looking
      migrate_result: {outcome: failed, message: "{{ 'No space' }}."}
"""
# What comes from a server is no template, whatever is in it.
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    rows:
      - {name: shop, state: Failed, tags: {pgflex-created-1: shop, pgflex-created-2: !unsafe '{{ nope }}'}}
      - {name: stock, state: InProgress, tags: null}
    attempts: "3"
    found: "{{ rows | pgflex.migrate.attempt('shop', attempts) }}"
    last: "{{ rows | pgflex.migrate.attempt('shop', 1) }}"
    copied: "{{ {} | pgflex.migrate.copy_result(inventory_hostname) }}"
    names: "{{ ansible_play_hosts_all }}"
    given: "{{ dict(names | zip(names | map('extract', hostvars) | map(attribute='pgflex', default=''))) }}"
    planned: "{{ given | pgflex.migrate.fleet_plan({'parallel': attempts}, now(utc=true, fmt='%Y-%m-%dT%H:%M:%SZ')) }}"
    facts: "{{ names | map('pgflex.migrate.fleet_facts', hostvars, []) | list }}"
    results:
      attempt: ["{{ found.name }}", "{{ found.migration }}", "{{ found.history | map(attribute='name') | list }}"]
      last: ["{{ last.name }}", "{{ last.migration.state }}"]
      created: "{{ rows | pgflex.migrate.created }}"
      tags: "{{ rows | pgflex.migrate.created | pgflex.migrate.created_tags }}"
      copy: ["{{ copied.label }}", "{{ copied.outcome }}"]
      plan: "{{ planned.problems + (planned.rounds | map('map', attribute='host') | map('list') | list) }}"
      summary: "{{ dict(names | zip(facts)) | pgflex.migrate.fleet_summary }}"
  tasks:
    - ansible.builtin.copy:
        content: "{{ results | to_json }}"
        dest: "{{ lookup('env', 'RESULTS') }}"
        mode: "0600"
"""
EXPECTED = {
    "attempt": ["shop-r2", {}, ["shop"]],
    "last": ["shop", "Failed"],
    "created": ["shop", "{{ nope }}"],
    "tags": {"pgflex-created-1": "shop", "pgflex-created-2": "{{ nope }}"},
    "copy": ["localhost", "missing"],
    "plan": [["localhost"]],
    "summary": {"localhost": "FAILED while looking: No space."},
}


def test_a_play_uses_the_filters(tmp_path: Path) -> None:
    inventory, play, results = tmp_path / "hosts.yml", tmp_path / "play.yml", tmp_path / "results.json"
    inventory.write_text(INVENTORY, encoding="utf-8")
    play.write_text(PLAY, encoding="utf-8")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(play)],
        env={
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "HOME": str(tmp_path),
            "LC_ALL": "C.UTF-8",
            "RESULTS": str(results),
        },
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert json.loads(results.read_text(encoding="utf-8")) == EXPECTED
