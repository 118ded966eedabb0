#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: roles
short_description: Copy roles and privileges from one PostgreSQL server to another
version_added: "1.1.0"
description:
  - Makes the roles of the source at the target, with their attributes, comments, settings and memberships, and gives
    them in the named databases what they own and may do at the source.
  - Privileges are those on databases, schemas, tables and their columns, views, sequences, functions, types, large
    objects, languages, foreign data wrappers and foreign servers, and default privileges. They are given on objects
    that the target has too; run it when the schema has arrived.
  - Both sides are read and only what differs is written, the roles in one transaction and each database in one. A role
    is never dropped, and nothing is taken away unless O(exact=true).
  - One thing is taken away all the same. Where the source has taken from everybody, or from the owner, what PostgreSQL
    gives by itself, and nobody has said anything yet about the object at the target, it is taken away there too.
  - The administrator who copies is not copied. What belongs to O(source.user) at the source belongs to O(target.user)
    at the target.
  - What Azure has no place for is left out and listed in RV(roles.left_out) with the reason, among it superusers,
    privileges on the objects of PostgreSQL itself, roles of the platform, and those that sign in with Microsoft
    Entra ID.
  - What else the target refuses to its administrator is found by doing the statements about roles in a transaction that
    is taken back, in check mode too. Such things are left out and listed, and the rest is copied.
  - Where O(target.user) is not a member of an owner, the module makes it one for the length of a transaction.
  - Works with sources from PostgreSQL 9.5 and targets from PostgreSQL 11 on.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  databases:
    description:
      - Databases whose owners, privileges and default privileges are copied. They are called the same on both sides.
      - Left out, only the roles are.
    type: list
    elements: str
    default: []
  roles:
    description:
      - Names of the roles to copy, with what they own and may do.
      - Left out, these are all but those of the platform.
      - A Single Server's roles can be named here and in the other options as its users sign in, C(name@server).
    type: list
    elements: str
  role_mapping:
    description:
      - What roles of the source are called at the target, by their names at the source, where that is not the same.
    type: dict
    default: {}
  passwords:
    description:
      - Passwords of roles by their names at the source.
      - For other roles the hash of the password is carried, where O(source.user) can read it and the target takes its
        kind. No Azure server lets anybody read it; the role is then made without a password and listed in
        RV(roles.passwords_unset).
      - A hash is sent and not the password, so that it is not in the target's log.
    type: dict
    default: {}
  update_password:
    description:
      - With V(on_create) a password is set when the role is made, or is known to have none.
      - With V(always) it is set whenever it is not known to be the same, which on Azure is at every run.
    type: str
    choices:
      - on_create
      - always
    default: on_create
  exact:
    description:
      - Whether attributes, settings, memberships and privileges of the copied roles which they do not have at the
        source are taken away, and privileges of everybody too.
    type: bool
    default: false
  join_owners:
    description:
      - Whether O(target.user) becomes and stays a member of the roles that own something in O(databases).
      - An administrator in Azure is no superuser. Without it he can neither read nor compare what belongs to others.
    type: bool
    default: false
extends_documentation_fragment:
  - pgflex.migrate._connection.source
  - pgflex.migrate._connection.target
  - pgflex.migrate._attributes
seealso:
  - module: pgflex.migrate.data_validation
  - module: pgflex.migrate.migration
  - name: Users and roles in Azure Database for PostgreSQL
    description: What its administrator may do.
    link: https://learn.microsoft.com/azure/postgresql/flexible-server/how-to-create-users
"""

EXAMPLES = r"""
- name: Copy all roles, and what they may do in two databases
  pgflex.migrate.roles:
    source: "{{ source }}"
    target: "{{ target }}"
    databases: [shop, stock]
    passwords:
      app: "{{ vault_app_password }}"
  register: copied

- name: See what is left to do by hand
  ansible.builtin.debug:
    msg: "{{ copied.roles.left_out + copied.roles.passwords_unset }}"

- name: See the statements
  pgflex.migrate.roles:
    source: "{{ source }}"
    target: "{{ target }}"
    databases: [shop]
  check_mode: true
  diff: true

- name: Make the privileges of two roles the same as at the source, under other names
  pgflex.migrate.roles:
    source: "{{ source }}"
    target: "{{ target }}"
    databases: [shop]
    roles: [app@shop-single, report@shop-single]
    role_mapping:
      app@shop-single: shop_app
    exact: true
"""

RETURN = r"""
roles:
  description: What the task did, or in check mode would do.
  returned: success
  type: dict
  contains:
    created:
      description: Names of the roles that were made.
      returned: always
      type: list
      elements: str
      sample: [app]
    altered:
      description: Names of roles whose attributes, settings, comment or password were changed.
      returned: always
      type: list
      elements: str
      sample: []
    granted:
      description: Memberships, and privileges that were given or taken away.
      returned: always
      type: list
      elements: dict
      contains:
        database:
          description: Database in which it was done; none for memberships.
          returned: always
          type: str
          sample: shop
        statement:
          description: What was done.
          returned: always
          type: str
          sample: GRANT SELECT ON TABLE public.orders TO "app"
    owners:
      description: Changes of owners, with the same keys as RV(roles.granted).
      returned: always
      type: list
      elements: dict
    default_privileges:
      description: Changes of default privileges, with the same keys as RV(roles.granted).
      returned: always
      type: list
      elements: dict
    left_out:
      description: What was not copied.
      returned: always
      type: list
      elements: dict
      contains:
        what:
          description: What it is, with some examples where it is a lot.
          returned: always
          type: str
          sample: attribute SUPERUSER of boss
        reason:
          description: Why it was not copied.
          returned: always
          type: str
          sample: no role is a superuser in Azure
    passwords_unset:
      description: Names of roles that may sign in and have no password at the target.
      returned: always
      type: list
      elements: str
      sample: [report]
"""

from typing import Any

from ..module_utils._base import PgflexModule, State
from ..module_utils._errors import ModuleFailure
from ..module_utils._postgres import server_connection_spec
from ..module_utils._roles.transfer import Job, RolesCopy
from ..module_utils._spec import ArgumentSpec

SPEC = ArgumentSpec(
    options={
        "source": server_connection_spec(),
        "target": server_connection_spec(),
        "databases": {"type": "list", "elements": "str", "default": []},
        "roles": {"type": "list", "elements": "str"},
        "role_mapping": {"type": "dict", "default": {}},
        "passwords": {"type": "dict", "default": {}, "no_log": True},
        "update_password": {
            "type": "str",
            "choices": ["on_create", "always"],
            "default": "on_create",
            "no_log": False,
        },
        "exact": {"type": "bool", "default": False},
        "join_owners": {"type": "bool", "default": False},
    }
)


class RolesModule(PgflexModule):
    """What there is to do is the state: none when all is as it should be."""

    result_key = "roles"

    @property
    def thing(self) -> str:
        return "the roles of the target"

    def read(self) -> State:
        self.copy = RolesCopy(Job.from_options(self.params))
        self.copy.read()
        return self.copy.result([])

    def desired(self, current: State | None) -> State:
        return self.copy.result(self.copy.parts)

    def apply(self, want: State) -> State:
        try:
            self.copy.apply()
        except ModuleFailure as failure:
            done: dict[str, Any] = self.copy.result(self.copy.done)
            failure.details |= {"changed": done != self.copy.result([]), self.result_key: done}
            raise
        return want

    def shown(self, state: State | None) -> State:
        return self.copy.statements() if state != self.copy.result([]) else {}


MODULE = RolesModule


def main() -> None:
    MODULE.main(SPEC)


if __name__ == "__main__":
    main()
