#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: watch
short_description: Wait for many migrations at once
version_added: "1.0.0"
description:
  - Waits until each of any number of migrations has ended or is ready for its cutover, and shows how far they are.
  - One task waits for all hosts of a play; a task for each host would keep a worker of Ansible busy for hours.
  - Every look costs one request for each migration that is still on its way. The time between two looks grows with the
    age of the migration, and is shortest while a cutover runs. Hundreds of them are looked at less often than
    O(max_interval) says, since a subscription answers only so many questions a second.
  - A migration that waits for its user is not waited for any longer; the result says what it needs.
  - Broken connections and errors of the service that may pass are waited out until O(wait_timeout).
author:
  - pgflex.migrate contributors (@pgflex)
options:
  migrations:
    description:
      - The migrations to wait for.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the migration to watch.
        type: str
        required: true
      resource_group:
        description:
          - Resource group of its target server.
        type: str
        required: true
      server_name:
        description:
          - Name of its target server.
        type: str
        required: true
      subscription_id:
        description:
          - Subscription of its target server. Left out, the task's O(subscription_id).
        type: str
      generation:
        description:
          - Which migration service it belongs to.
        type: str
        choices:
          - current
          - classic
        default: current
      api_version:
        description:
          - Version of the service's API. Left out, the same as in M(pgflex.migrate.migration).
        type: str
      label:
        description:
          - What the progress calls it, for example the host of the inventory. Left out, its name.
        type: str
      size_gb:
        description:
          - Size of its databases in GB, for an estimate of the time left. Left out, the tables copied so far are the
            measure.
        type: float
  until:
    description:
      - V(cutover) waits until an online migration is ready for its cutover, and an offline one has ended.
      - V(end) waits until every migration has ended.
    type: str
    choices:
      - cutover
      - end
    default: cutover
  fail_on:
    description:
      - V(any) fails the task when one of the migrations failed, was canceled, waits for its user or was not there in
        time.
      - V(none) never fails for that; the RV(migrations[].outcome) tells.
    type: str
    choices:
      - any
      - none
    default: any
  min_interval:
    description:
      - Least seconds between two looks at a migration.
    type: float
    default: 5
  max_interval:
    description:
      - Most seconds between two looks at a migration.
    type: float
    default: 60
  wait_timeout:
    description:
      - Seconds to wait at most. A migration lives for seven days at most.
    type: int
    default: 86400
  progress:
    description:
      - How the progress is shown. V(live) draws a table of all migrations again and again in the terminal; V(plain)
        writes a line whenever something has changed, and twice a minute when nothing has.
      - V(auto) draws when the output goes to a terminal that a person looks at and no other task can run meanwhile. It
        writes lines into a file or a pipe, in AWX, under ansible-runner, with C(-vvv), and with other strategies than
        linear.
      - Without a terminal, or in one that is too small, lines are written whatever is asked for.
      - Left out, what the variable C(pgflex_progress) says, and otherwise V(auto).
    type: str
    choices:
      - auto
      - plain
      - live
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes.info
notes:
  - The progress is shown while the task runs inside Ansible's worker, see the note on that; an ordinary module has no
    way to. It has no colours with C(NO_COLOR) or C(ANSIBLE_NOCOLOR), as all output of Ansible.
  - In check mode the module looks once and does not wait.
seealso:
  - module: pgflex.migrate.migration
  - module: pgflex.migrate.migration_cutover
"""

EXAMPLES = r"""
- name: Wait until all migrations of the play are ready for their cutover
  pgflex.migrate.watch:
    migrations:
      - resource_group: shop-rg
        server_name: shop-flex
        name: shop-2026-11
      - resource_group: stock-rg
        server_name: stock-flex
        name: stock-2026-11
        size_gb: 120
  run_once: true

- name: Wait for the end of one, for two hours at most
  pgflex.migrate.watch:
    migrations:
      - resource_group: shop-rg
        server_name: shop-flex
        name: shop-2026-11
    until: end
    wait_timeout: 7200

- name: Look once
  pgflex.migrate.watch:
    migrations: "{{ running }}"
    fail_on: none
  check_mode: true
"""

RETURN = r"""
migrations:
  description: What became of each migration, in the order of O(migrations).
  returned: always
  type: list
  elements: dict
  contains:
    label:
      description: What the progress called it.
      type: str
      returned: always
      sample: shop
    name:
      description: Name of the migration.
      type: str
      returned: always
      sample: shop-2026-11
    server_name:
      description: Name of the target server.
      type: str
      returned: always
      sample: shop-flex
    outcome:
      description:
        - V(succeeded), V(ready) for its cutover, V(waiting) for its user, V(failed), V(canceled), V(missing),
          V(unreadable), V(timeout), or V(watching) when it was looked at only once.
      type: str
      returned: always
      sample: ready
    message:
      description: Why it did not come where it was awaited; V(null) otherwise.
      type: str
      returned: always
      sample: null
    seconds:
      description: How long it was watched.
      type: float
      returned: always
      sample: 754.2
    ready_since:
      description: When it was first seen ready for its cutover, UTC.
      type: str
      returned: always
      sample: "2026-11-21T02:31:07.104+00:00"
    history:
      description: >-
        The states seen, each with C(state), C(substate), C(at) (UTC), C(seconds) since the watch began, and C(ready).
      type: list
      elements: dict
      returned: always
      sample:
        - state: InProgress
          substate: MigratingData
          at: "2026-11-21T02:20:41.002+00:00"
          seconds: 128.1
          ready: false
    migration:
      description: The migration as last seen, with the keys of RV(pgflex.migrate.migration_info#module:migrations).
      type: dict
      returned: always
      sample: {}
"""

from typing import Any

from ..module_utils._clients import AzureInfoModule
from ..module_utils._errors import ModuleFailure
from ..module_utils._migration.resource import SERVICE, TARGET, Migrations
from ..module_utils._migration.watch import Fetch, Watch, Watched
from ..module_utils._spec import AZURE, ArgumentSpec

ONE: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "subscription_id": {"type": "str"},
    "label": {"type": "str"},
    "size_gb": {"type": "float"},
    **TARGET.options,
    **SERVICE.options,
}
SPEC = AZURE.merge(
    ArgumentSpec(
        options={
            "migrations": {"type": "list", "elements": "dict", "required": True, "options": ONE},
            "until": {"type": "str", "choices": ["cutover", "end"], "default": "cutover"},
            "fail_on": {"type": "str", "choices": ["any", "none"], "default": "any"},
            "min_interval": {"type": "float", "default": 5},
            "max_interval": {"type": "float", "default": 60},
            "wait_timeout": {"type": "int", "default": 86400},
            "progress": {"type": "str", "choices": ["auto", "plain", "live"]},
        }
    )
)
FINE = ("succeeded", "ready", "watching")


class WatchModule(AzureInfoModule):
    result_key = "migrations"

    def results(self) -> list[dict[str, Any]]:
        watch = Watch(
            [self._watched(row) for row in self.params["migrations"]],
            until_cutover=self.params["until"] == "cutover",
            timeout=self.params["wait_timeout"],
            least=self.params["min_interval"],
            most=self.params["max_interval"],
            report=self.runtime.report,
            screen=self.runtime.screen(self.params["progress"]),
        )
        rows = watch.run(once=self.runtime.dry_run)
        bad = [row for row in rows if row["outcome"] not in FINE]
        if bad and self.params["fail_on"] == "any":
            sentences = [f"{row['label']} ({row['outcome']}): {row['message']}" for row in bad]
            raise ModuleFailure(
                f"{len(bad)} of {len(rows)} migrations did not get there. {' '.join(sentences)}",
                code=bad[0]["outcome"].capitalize(),
                details={"migrations": rows},
            )
        return rows

    def _watched(self, row: dict[str, Any]) -> Watched:
        return Watched(
            label=row["label"] or row["name"],
            name=row["name"],
            target=row["server_name"],
            fetch=self._fetch(row),
            size_gb=row["size_gb"],
            subscription=row["subscription_id"] or "",
        )

    def _fetch(self, row: dict[str, Any]) -> Fetch:
        migrations = Migrations(self.azure, row, row)
        return lambda: migrations.get(row["name"])


MODULE = WatchModule


def main() -> None:
    WatchModule.main(SPEC)


if __name__ == "__main__":
    main()
