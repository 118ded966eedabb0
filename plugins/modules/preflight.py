#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Find what would stop a migration, days before it
version_added: "1.0.0"
description:
  - Looks at both servers, at all databases at once, and at the target as a resource of Azure for what the migration
    service refuses, and for what it does not look for and what is fatal or slow all the same.
  - It reads only, in sessions that can not write, unless O(remedies) names what may be mended.
  - C(docs/PREFLIGHT.md) in the collection's repository lists all rules.
author:
  - pgflex.migrate contributors (@pgflex)
extends_documentation_fragment:
  - pgflex.migrate._attributes
  - pgflex.migrate._azure
  - pgflex.migrate._connection.source
  - pgflex.migrate._connection.target
options:
  databases:
    description:
      - Names of the databases that are to be migrated.
      - One that is not at the source is a finding.
    type: list
    elements: str
    required: true
  mode:
    description:
      - How they are to be migrated; some rules are for V(online) only, and some for V(offline).
    type: str
    choices:
      - offline
      - online
    default: offline
  generation:
    description:
      - Which generation of the migration service is to be used; some rules are for V(classic) only.
    type: str
    choices:
      - current
      - classic
    default: current
  source_type:
    description:
      - What the source is, in the migration service's words, such as V(PostgreSQLSingleServer), V(AWS_RDS) or
        V(AzureVM).
    type: str
    default: OnPremises
  overwrite:
    description:
      - Whether the migration may replace databases that are at the target already.
    type: bool
    default: false
  migration_name:
    description:
      - Name that the migration is going to have.
      - Given, it is found out whether a migration of that name has ended already, and one that is active is not in the
        way of itself.
    type: str
  target_server:
    description:
      - The target as a resource, for which the module signs in to Azure.
      - Left out, its storage, its size and active migrations are not looked at, and its parameters are read with SQL.
    type: dict
    suboptions: &server
      subscription_id:
        description:
          - Subscription of the server, where it is another one than O(subscription_id).
        type: str
      resource_group:
        description:
          - Resource group that the server is in.
        type: str
        required: true
      name:
        description:
          - Name of the server in its group.
        type: str
        required: true
  source_server:
    description:
      - The source as a resource, where it is a server in Azure.
      - Needed only for the remedy V(logical_replication).
    type: dict
    suboptions: *server
  remedies:
    description:
      - What may be mended; every finding names in C(can_apply) the remedy that there is for it.
      - V(allow_extensions) and V(preload_libraries) add to C(azure.extensions) and C(shared_preload_libraries) of the
        target, and need O(target_server).
      - V(logical_replication) sets C(wal_level), C(max_replication_slots) and C(max_wal_senders) of the source; in
        Azure it needs O(source_server), elsewhere a superuser.
      - V(replica_identity) sets C(REPLICA IDENTITY FULL) for the source's tables without a key.
      - V(timeouts) switches timeouts off, and TCP keepalives on, for the user of O(source) alone.
      - V(temp_tablespaces) takes temporary tablespaces of the target off its local SSD, and needs O(target_server).
      - V(signal_backend) grants C(pg_signal_backend) to the user of O(target).
      - V(drop_slots) drops inactive replication slots of the source that O(slots) names; that can not be undone.
      - V(read_only_source) makes the source's databases read-only and ends their sessions, before an offline
        migration.
      - With O(restore) or O(restore_remembered), what is to be put back; empty, all of it.
    type: list
    elements: str
    choices:
      - allow_extensions
      - preload_libraries
      - logical_replication
      - replica_identity
      - timeouts
      - temp_tablespaces
      - signal_backend
      - drop_slots
      - read_only_source
    default: []
  slots:
    description:
      - Names of the replication slots that the remedy V(drop_slots) may drop.
    type: list
    elements: str
    default: []
  restart:
    description:
      - Which servers in Azure may be restarted when a remedy has changed a parameter that needs it.
      - A server that may not be is named in RV(preflight.restart_needed).
    type: list
    elements: str
    choices:
      - source
      - target
    default: []
  remember:
    description:
      - Name under which the values before the remedies are kept in the table C(pgflex.preflight) of the target's
        database C(postgres), such as the migration's name.
      - Left out, they are only returned.
    type: str
  restore:
    description:
      - What an earlier run returned as RV(preflight.previous), to be put back; nothing else is done then.
      - What somebody has changed since is left as it is, with a warning.
    type: dict
  restore_remembered:
    description:
      - Whether to put back what is kept under the name O(remember); nothing else is done then.
    type: bool
    default: false
  strict:
    description:
      - Whether a finding that blocks the migration fails the task; the result is returned either way.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds that the remedies may take, restarts included.
    type: int
    default: 1800
notes:
  - A catalog that the user may not read, or a statement that takes longer than 20 seconds, is a finding as well.
  - The user of O(target) needs C(CREATE) on the database C(postgres) for O(remember).
seealso:
  - module: pgflex.migrate.server_parameters
  - module: pgflex.migrate.source_replication
  - module: pgflex.migrate.data_validation
"""

EXAMPLES = r"""
- name: See what would stop an online migration
  pgflex.migrate.preflight:
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    databases:
      - shop
      - billing
    mode: online
    strict: false
  register: look

- name: Show it
  ansible.builtin.debug:
    msg: "{{ look.preflight.findings | pgflex.migrate.preflight_table }}"

- name: Mend what can be mended, and keep the values before
  pgflex.migrate.preflight:
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    target_server:
      resource_group: shop-rg
      name: shop-flex
    databases:
      - shop
    remedies:
      - allow_extensions
      - replica_identity
      - timeouts
    remember: shop-1

- name: Put the source's replica identities and timeouts back after the migration
  pgflex.migrate.preflight:
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    databases:
      - shop
    remember: shop-1
    restore_remembered: true
    remedies:
      - replica_identity
      - timeouts
"""

RETURN = r"""
preflight:
  description: What was found and what was done about it.
  returned: always, when the servers could be asked; also when it failed because of O(strict)
  type: dict
  contains:
    findings:
      description: What was found, what blocks first; after the remedies, what is left.
      returned: always
      type: list
      elements: dict
      contains:
        code:
          description: The migration service's number for it, none where the service does not look for it.
          returned: always
          type: str
          sample: "603107"
        rule:
          description: Name of the rule.
          returned: always
          type: str
          sample: wal_level
        severity:
          description: One of blocks, warns and informs.
          returned: always
          type: str
        side:
          description: The server that it is about, source or target.
          returned: always
          type: str
        database:
          description: The database that it was found in, none for what is about a server.
          returned: always
          type: str
        object:
          description: The table, role, parameter or whatever it is about.
          returned: always
          type: str
        message:
          description: What is wrong, as a sentence.
          returned: always
          type: str
          sample: wal_level is replica; an online migration needs logical.
        remedy:
          description: What to do about it.
          returned: always
          type: str
        can_apply:
          description: The name in O(remedies) that does it, none where it has to be done by hand.
          returned: always
          type: str
          sample: logical_replication
    blocks:
      description: How many findings block the migration.
      returned: always
      type: int
    warns:
      description: How many findings warn.
      returned: always
      type: int
    informs:
      description: How many findings only inform.
      returned: always
      type: int
    applied:
      description:
        - The changes that the remedies made, in check mode those that they would make, each with its C(remedy),
          C(side), C(database), C(object), and the values C(before) and C(after).
        - With O(restore) or O(restore_remembered), what was put back.
      returned: always
      type: list
      elements: dict
    previous:
      description: The same by remedy, as O(restore) takes it. It holds no secrets and can be stored as JSON.
      returned: always
      type: dict
    restart_needed:
      description: The servers that have to be restarted for a change to take effect, and were not.
      returned: always
      type: list
      elements: str
"""

from typing import Any

from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._errors import ModuleFailure
from ..module_utils._postgres import server_connection_spec
from ..module_utils._preflight.look import Preflight, job_from, strictly, summary
from ..module_utils._preflight.remedies import Planner
from ..module_utils._preflight.rules import REMEDIES
from ..module_utils._preflight.steps import Bench, Step
from ..module_utils._preflight.work import Work, stored
from ..module_utils._spec import AZURE, ArgumentSpec

RESOURCE: dict[str, Any] = {
    "type": "dict",
    "options": {
        "subscription_id": {"type": "str"},
        "resource_group": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
    },
}
SPEC = AZURE.merge(
    ArgumentSpec(
        options={
            "source": server_connection_spec(),
            "target": server_connection_spec(),
            "databases": {"type": "list", "elements": "str", "required": True},
            "mode": {"type": "str", "choices": ["offline", "online"], "default": "offline"},
            "generation": {"type": "str", "choices": ["current", "classic"], "default": "current"},
            "source_type": {"type": "str", "default": "OnPremises"},
            "overwrite": {"type": "bool", "default": False},
            "migration_name": {"type": "str"},
            "target_server": RESOURCE,
            "source_server": RESOURCE,
            "remedies": {"type": "list", "elements": "str", "choices": list(REMEDIES), "default": []},
            "slots": {"type": "list", "elements": "str", "default": []},
            "restart": {"type": "list", "elements": "str", "choices": ["source", "target"], "default": []},
            "remember": {"type": "str"},
            "restore": {"type": "dict"},
            "restore_remembered": {"type": "bool", "default": False},
            "strict": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 1800},
        },
        required_if=(("restore_remembered", True, ("remember",)),),
    )
)


class PreflightModule(AzureModule):
    """Looks; the changes that the remedies name are its state."""

    result_key = "preflight"
    work: Work
    steps: list[Step]

    @property
    def restoring(self) -> bool:
        return self.params["restore"] is not None or bool(self.params["restore_remembered"])

    def read(self) -> State:
        job = job_from(self.params)
        resources = {"source": self.params["source_server"], "target": self.params["target_server"]}
        azure = self.azure if any(resources.values()) else None
        self.flight = Preflight(job, azure, resources["target"])
        findings = [] if self.restoring else self.flight.look()
        bench = Bench(job, self.flight.facts, azure, resources, self.params["wait_timeout"])
        self.work = Work(bench, self.params["remember"], self.params["restart"], self.runtime)
        return self._state(findings)

    def _state(self, findings: Any, steps: tuple[Step, ...] = (), waiting: Any = ()) -> State:
        previous: dict[str, Any] = {}
        for step in steps if not self.restoring else ():
            previous.setdefault(step.remedy, []).append(step.as_result())
        applied = [step.as_result() for step in steps]
        return {**summary(findings), "applied": applied, "previous": previous, "restart_needed": list(waiting)}

    def desired(self, current: State | None) -> State:
        remedies = self.params["remedies"]
        if self.restoring:
            kept = stored(self.params, self.work)
            self.steps = self.work.undo([step for step in kept if not remedies or step.remedy in remedies])
        else:
            planner = Planner(self.work.bench, self.flight.azure, self.params["slots"])
            self.steps = planner.plan(remedies) if remedies else []
        return self._state(self.flight.findings, tuple(self.steps), self.work.waiting(self.steps))

    def apply(self, want: State) -> State:
        try:
            self.work.do(self.steps, keep=not self.restoring)
        except ModuleFailure as failure:
            failure.details |= {"changed": bool(self.work.done), **self._failed()}
            raise
        findings = [] if self.restoring else self.flight.look()
        return self._state(findings, tuple(self.steps), want["restart_needed"])

    def _failed(self) -> dict[str, Any]:
        return {self.result_key: self._state(self.flight.findings, tuple(self.work.done))}

    def outcome(self) -> dict[str, Any]:
        self.steps = []
        try:
            result = super().outcome()
            self.work.forget(self.params["remedies"], really=self.restoring and not self.runtime.dry_run)
        finally:
            if hasattr(self, "work"):
                self.work.bench.close()
        return strictly(result, fails=self.params["strict"])

    def shown(self, state: State | None) -> State:
        after = bool((state or {})["applied"])
        return {f"{step.object} of the {step.side}": step.after if after else step.before for step in self.steps}


MODULE = PreflightModule


def main() -> None:
    MODULE.main(SPEC)


if __name__ == "__main__":
    main()
