#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: data_validation
short_description: Compare every row of databases on the source and the target
version_added: "1.0.0"
description:
  - Compares the count and a hash sum over all rows of every table of several databases on two servers, each side in
    one snapshot, and names the tables and example keys that differ.
  - Also compares sequences, large objects, the names of tables, indexes, constraints, functions, triggers, views,
    extensions, types and more, their definitions and comments, and who owns and may use them.
  - The source and the target may be of different major versions. Columns are compared by name, partitions one by
    one, floating point numbers by their exact bytes, also inside arrays, composites and ranges.
  - Definitions that servers of different major versions write in different words are given to the target to plan;
    equal plans mean the same.
  - Tables that differ are looked at again. What writers or replication still move is told as moved, not as different.
author:
  - pgflex.migrate contributors (@pgflex)
extends_documentation_fragment:
  - pgflex.migrate._attributes
  - pgflex.migrate._connection.source
  - pgflex.migrate._connection.target
options:
  databases:
    description:
      - Names of the databases to compare, the same on both servers.
    type: list
    elements: str
    required: true
  jobs:
    description:
      - Number of connections to each server that read rows at the same time; one more holds the snapshot.
    type: int
    default: 2
  schemas:
    description:
      - Only schemas of these names are compared.
      - Left out, all schemas are compared but PostgreSQL's own.
    type: list
    elements: str
  exclude_tables:
    description:
      - Patterns, such as V(audit.*), of tables whose rows are not compared, against C(schema.table).
      - Their names are compared all the same.
    type: list
    elements: str
    default: []
  materialized_views:
    description:
      - V(skip) compares only that they exist and whether they are populated, as their contents may be old on either
        side.
      - V(compare) compares their contents as they are.
      - V(refresh) refreshes them on both servers first, which writes to both, and then compares their contents.
    type: str
    choices:
      - skip
      - compare
      - refresh
    default: skip
  large_objects:
    description:
      - V(contents) compares their contents, for which the user has to be allowed to read each of them.
      - V(oids) compares only which there are, V(skip) nothing.
    type: str
    choices:
      - contents
      - oids
      - skip
    default: contents
  definitions:
    description:
      - Whether to compare what objects are made of, such as the query of a view, the columns of an index, a column's
        default or the source of a function, and comments.
    type: bool
    default: true
  privileges:
    description:
      - V(report) compares owners, grants and default privileges and tells differences without calling the databases
        different, as a migration need not carry them.
      - V(compare) calls them different, V(skip) does not look.
      - Roles of the platform, ownership of superusers, and what a newer PostgreSQL grants by itself are left out, and
        named in the result.
    type: str
    choices:
      - report
      - compare
      - skip
    default: report
  role_mapping:
    description:
      - What roles of the source are called on the target, for O(privileges).
      - The users of O(source) and O(target) stand for each other without being named here.
    type: dict
    default: {}
  max_examples:
    description:
      - How many rows that differ to look for in each table; V(0) looks for none.
    type: int
    default: 5
  settle_timeout:
    description:
      - Seconds to wait at most for rows to arrive on the target while writers or replication are active.
    type: int
    default: 30
  timeout:
    description:
      - Seconds that the whole comparison may take.
    type: int
    default: 21600
  fail_on_difference:
    description:
      - Whether a difference fails the task. The result is returned either way.
    type: bool
    default: true
notes:
  - The user needs C(SELECT) on all tables and sequences on both servers. A table that can not be read is told as
    such, and is not called equal.
  - Tables with row-level security that would hide rows from the user are not compared; the user needs C(BYPASSRLS)
    for them.
  - Of tables of extensions those rows are compared that users have put there, as the extension declares them for
    C(pg_dump). Other rows of extensions and those of foreign tables are not compared, nor are settings of databases
    and roles, the versions of extensions, tablespaces, publications and subscriptions.
  - Nothing is written, unless O(materialized_views=refresh). Each side is read in one snapshot by all connections, a
    large table in parts by several of them at once.
  - Some types that print floating point numbers, such as C(cube), are not compared between a server before
    PostgreSQL 12 and a later one; RV(validation.databases[].tables[].not_compared) names the columns.
seealso:
  - module: pgflex.migrate.source_read_only
  - module: pgflex.migrate.migration_cutover
"""

EXAMPLES = r"""
- name: Compare two databases after the cutover
  pgflex.migrate.data_validation:
    source:
      host: shop-old.postgres.database.azure.com
      user: admin@shop-old
      password: "{{ vault_source_password }}"
    target:
      host: shop-new.postgres.database.azure.com
      user: admin
      password: "{{ vault_target_password }}"
    databases:
      - shop
      - billing

- name: Compare with more connections, without what is not worth it
  pgflex.migrate.data_validation:
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    databases:
      - shop
    jobs: 4
    exclude_tables:
      - "audit.*"

- name: Look how far an online migration is, without failing
  pgflex.migrate.data_validation:
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    databases:
      - shop
    fail_on_difference: false
  register: look

- name: Show the tables that differ
  ansible.builtin.debug:
    msg: "{{ look.validation.summary }}"

- name: Compare privileges too, where roles have been carried over under new names
  pgflex.migrate.data_validation:
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    databases:
      - shop
    privileges: compare
    role_mapping:
      shop_app: shop_application

- name: Refresh materialized views on both servers and compare them as well
  pgflex.migrate.data_validation:
    source: "{{ pgflex_source }}"
    target: "{{ pgflex_target }}"
    databases:
      - shop
    materialized_views: refresh
"""

RETURN = r"""
refreshed:
  description: The materialized views that were refreshed, as database.schema.view; in check mode those that would be.
  returned: success
  type: dict
  contains:
    source:
      description: Materialized views of the source server.
      returned: always
      type: list
      elements: str
    target:
      description: Materialized views of the target server.
      returned: always
      type: list
      elements: str
validation:
  description: What was compared and what came of it.
  returned: when the comparison came to its end, also when it failed because of a difference
  type: dict
  contains:
    equal:
      description: Whether everything that was compared is equal.
      returned: always
      type: bool
    summary:
      description: One sentence that names what differs, or says that nothing does.
      returned: always
      type: str
      sample: "Every row is equal on both servers: 5600000 rows of 16 tables in 2 databases."
    rows:
      description: Number of rows on the source that were compared.
      returned: always
      type: int
    bytes:
      description: Size of the compared tables on the source, without indexes.
      returned: always
      type: int
    seconds:
      description: How long the comparison took.
      returned: always
      type: float
    databases:
      description: The databases, in the order of O(databases).
      returned: always
      type: list
      elements: dict
      contains:
        name:
          description: Name of the database.
          returned: always
          type: str
        equal:
          description: Whether everything that was compared in this database is equal.
          returned: always
          type: bool
        bytes:
          description: Size of the compared tables on the source.
          returned: always
          type: int
        tables:
          description: The tables that are on both servers, partitions one by one.
          returned: always
          type: list
          elements: dict
          contains:
            name:
              description: Name with the schema.
              returned: always
              type: str
            source_rows:
              description: Number of rows on the source; none when the table could not be read.
              returned: always
              type: int
            target_rows:
              description: Number of rows on the target; none when the table could not be read.
              returned: always
              type: int
            equal:
              description: Whether all columns and all rows are equal.
              returned: always
              type: bool
            verdict:
              description: One of equal, different, moved and not compared.
              returned: always
              type: str
            moved:
              description: Whether rows changed while the table was looked at.
              returned: always
              type: bool
            differing:
              description: Examples of rows that differ.
              returned: always
              type: list
              elements: dict
              contains:
                key:
                  description: Columns of the key with their values as text; in a table without a key the row's
                    C(ctid).
                  returned: always
                  type: dict
                side:
                  description: Where the row is, one of source, target and both.
                  returned: always
                  type: str
                columns:
                  description: Columns whose values differ, for a row that is on both sides once.
                  returned: when side is both
                  type: list
                  elements: str
                copies:
                  description: How often the row is on either side, for a table without a key.
                  returned: when a row can be there more than once
                  type: dict
            not_compared:
              description: Columns whose text differs between the servers' versions by itself.
              returned: always
              type: list
              elements: str
            columns:
              description: Columns that are missing on the target, only there, or of another type or nullability
                there.
              returned: always
              type: dict
            error:
              description: Why the table could not be compared.
              returned: always
              type: str
        skipped:
          description: Tables whose rows were not compared, with the reason.
          returned: always
          type: list
          elements: dict
        objects:
          description:
            - For each kind of object the number on either side, the names that are missing on the target and those
              that are only there.
            - An index that is invalid, a constraint that is not validated, or a trigger that is disabled says so in
              its name.
          returned: always
          type: dict
        sequences:
          description: The value each sequence gives next on either side; equal when the target's is not behind.
          returned: always
          type: list
          elements: dict
        large_objects:
          description: Numbers of large objects on either side and of those that differ, with examples; none when
            skipped.
          returned: always
          type: dict
        definitions:
          description: What objects are made of; none when not compared.
          returned: always
          type: dict
          contains:
            source:
              description: Number of definitions on the source.
              returned: always
              type: int
            target:
              description: Number of definitions on the target.
              returned: always
              type: int
            equal:
              description: Whether none differs.
              returned: always
              type: bool
            differing_count:
              description: Number of objects whose definition differs.
              returned: always
              type: int
            differing:
              description: The first 500 of them, each with its kind, its name and the aspects that differ.
              returned: always
              type: list
              elements: dict
            not_compared:
              description: Objects of which an aspect is written in different words and can not be planned, with the
                reason.
              returned: always
              type: list
              elements: dict
        privileges:
          description: Who owns and may use what; none when not compared.
          returned: always
          type: dict
          contains:
            equal:
              description: Whether nothing differs.
              returned: always
              type: bool
            counts:
              description: Whether a difference makes the databases different, which is O(privileges=compare).
              returned: always
              type: bool
            differing_count:
              description: Number of objects and roles with a difference.
              returned: always
              type: int
            differing:
              description: The first 500 of them, each with its kind, its name, what is missing on the target and what
                is only there.
              returned: always
              type: list
              elements: dict
            left_out:
              description: What differs and was not called different, with the reason and the number.
              returned: always
              type: list
              elements: dict
"""

from typing import Any

from ..module_utils._base import PgflexModule, State
from ..module_utils._postgres import server_connection_spec
from ..module_utils._spec import ArgumentSpec
from ..module_utils._validation import servers as validation

SPEC = ArgumentSpec(
    options={
        "source": server_connection_spec(),
        "target": server_connection_spec(),
        "databases": {"type": "list", "elements": "str", "required": True},
        "jobs": {"type": "int", "default": 2},
        "schemas": {"type": "list", "elements": "str"},
        "exclude_tables": {"type": "list", "elements": "str", "default": []},
        "materialized_views": {"type": "str", "choices": ["skip", "compare", "refresh"], "default": "skip"},
        "large_objects": {"type": "str", "choices": ["contents", "oids", "skip"], "default": "contents"},
        "definitions": {"type": "bool", "default": True},
        "privileges": {"type": "str", "choices": ["report", "compare", "skip"], "default": "report"},
        "role_mapping": {"type": "dict", "default": {}},
        "max_examples": {"type": "int", "default": 5},
        "settle_timeout": {"type": "int", "default": 30},
        "timeout": {"type": "int", "default": 21600},
        "fail_on_difference": {"type": "bool", "default": True},
    }
)


class DataValidation(PgflexModule):
    """Refreshing materialized views is the only thing that it changes; the comparison comes with the result."""

    result_key = "refreshed"

    @property
    def thing(self) -> str:
        return "the materialized views"

    def read(self) -> State:
        self.job = validation.job_from(self.params, self.runtime.report)
        self.databases = validation.database_names(self.params)
        self.refreshed = False
        return {"source": [], "target": []}

    def desired(self, current: State | None) -> State | None:
        if self.params["materialized_views"] != "refresh":
            return current
        return dict(validation.views_by_side(self.job, self.databases))

    def apply(self, want: State) -> State:
        validation.refresh(self.job, self.databases)
        self.refreshed = True
        return want

    def extra(self) -> dict[str, Any]:
        found = validation.validate(self.job, self.databases)
        if self.params["fail_on_difference"] and not found["equal"]:
            raise validation.difference(found, self.refreshed)
        return {"validation": found}


MODULE = DataValidation


def main() -> None:
    MODULE.main(SPEC)


if __name__ == "__main__":
    main()
