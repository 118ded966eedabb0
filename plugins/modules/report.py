#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Write a report of migrations as HTML, JSON and CSV
version_added: "1.2.0"
description:
  - Writes what became of any number of migrations as one page of HTML that needs no network, as JSON, and as CSV.
  - Connects to nothing. The rows are what the filter P(pgflex.migrate.reports#filter) gives for the hosts of a
    play, without secrets; the role P(pgflex.migrate.report#role) gathers them and runs this module.
  - The files are put in place at once, with mode C(0600), and only when more has changed than the time in them.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  hosts:
    description:
      - A row for each host of the inventory, which is one migration. Only C(host) is needed.
      - The JSON has the same rows, by their hosts, below the key C(hosts). Beside it are C(schema), which is
        V(pgflex.migrate.report), C(version), which is V(1) as long as no key changes its meaning, C(made_at), C(title)
        and C(summary).
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description:
          - Name of the host in the inventory.
        type: str
        required: true
      status:
        description:
          - How it stands; failed, differs (the data is not equal), waiting, ready, running, canceled, not started or
            succeeded.
        type: str
      outcome:
        description:
          - What RV(pgflex.migrate.watch#module:migrations[].outcome) of the run was.
        type: str
      problem:
        description:
          - The problem, in a sentence.
        type: str
      remedy:
        description:
          - What to do about it.
        type: str
      failed_task:
        description:
          - Name of the task of the play that failed.
        type: str
      migration_name:
        description:
          - Name of the migration in Azure.
        type: str
      migration_id:
        description:
          - The service's own id of it.
        type: str
      state:
        description:
          - State of the migration, in the service's words.
        type: str
      substate:
        description:
          - Substate of the migration, in the service's words.
        type: str
      source:
        description:
          - The source server, its C(name), C(host), C(type), C(resource_group) and C(version).
        type: dict
      target:
        description:
          - The target server, with the same keys.
        type: dict
      databases:
        description:
          - Names of the databases of the migration.
        type: list
        elements: str
      mode:
        description:
          - How it is migrated, offline or online.
        type: str
      option:
        description:
          - Whether it validates, migrates, or both.
        type: str
      generation:
        description:
          - Generation of the migration service, current or classic.
        type: str
      engine:
        description:
          - What does the copying, where it is not the migration service.
        type: str
      states:
        description:
          - The states seen, as RV(pgflex.migrate.watch#module:migrations[].history) has them.
        type: list
        elements: dict
      progress:
        description:
          - The databases, as RV(pgflex.migrate.migration_info#module:migrations[].databases) has them.
        type: list
        elements: dict
      service_validation:
        description:
          - What the service's own validation found, as
            RV(pgflex.migrate.migration_info#module:migrations[].validation) has it.
        type: dict
      started_at:
        description:
          - When the first database's migration started, UTC.
        type: str
      ended_at:
        description:
          - When the migration ended, UTC; empty when it has not.
        type: str
      seconds:
        description:
          - Seconds from the start to the end.
        type: float
      copy_seconds:
        description:
          - Seconds that the base copy took.
        type: float
      estimate_seconds:
        description:
          - Seconds that the base copy was expected to take, from the size.
        type: float
      read_only_since:
        description:
          - From when on nobody could write to the source, UTC.
        type: str
      finished_at:
        description:
          - When the cutover had ended, UTC.
        type: str
      downtime_seconds:
        description:
          - Seconds between the two; of an offline migration, those in which its source was at rest.
        type: float
      bytes:
        description:
          - Size of the databases at the source.
        type: int
      rows:
        description:
          - Number of rows that were compared.
        type: int
      validation:
        description:
          - Result of the comparison, as RV(pgflex.migrate.data_validation#module:validation) has it.
        type: dict
      validated_at:
        description:
          - When the comparison of an earlier run was done, UTC.
        type: str
      preflight:
        description:
          - Findings and remedies, as RV(pgflex.migrate.preflight#module:preflight) has them.
        type: dict
      topology:
        description:
          - The networks in words, as C(name), C(title), C(custom_dns), C(source_access), C(target_access),
            C(migrates_from) and C(missing).
        type: dict
      changes:
        description:
          - What was changed beside the data, each with C(text) and C(put_back).
        type: list
        elements: dict
      connection_strings:
        description:
          - Where to connect to each database afterwards, without a password.
        type: dict
      seen_at:
        description:
          - Time of the report that the row is from, where it is not from this run.
        type: str
  html:
    description:
      - File that gets the page.
    type: path
  json:
    description:
      - File that gets all of the rows with all that is in them.
    type: path
  csv:
    description:
      - File that gets a line for each row, for a spreadsheet. Times in it are in UTC.
    type: path
  title:
    description:
      - What the page is called, at its top and in the browser.
    type: str
    default: Migrations to Flexible Servers
  keep:
    description:
      - Whether what an earlier report in O(json) has seen of the same migration, and this run can not see any more, is
        kept, for example the states before a second run, the times of the cutover, and the validation.
      - How a migration stands is never taken from there.
    type: bool
    default: true
  other_hosts:
    description:
      - Hosts that keep their row of the earlier report, as of then, when O(hosts) has none of them, for a run that was
        limited to some hosts.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - pgflex.migrate._attributes
seealso:
  - module: pgflex.migrate.watch
  - module: pgflex.migrate.migration_info
"""

EXAMPLES = r"""
- name: Write the report of one migration
  pgflex.migrate.report:
    hosts:
      - host: shop
        status: succeeded
        started_at: "2026-11-21T02:00:00Z"
        ended_at: "2026-11-21T03:10:00Z"
    html: report.html
  delegate_to: localhost

- name: Write the reports that the hosts of the play ask for
  pgflex.migrate.report:
    hosts: "{{ item.hosts }}"
    html: "{{ item.html | default(omit) }}"
    json: "{{ item.json | default(omit) }}"
    csv: "{{ item.csv | default(omit) }}"
  loop: "{{ hostvars | pgflex.migrate.reports(ansible_play_hosts_all, []) }}"
  run_once: true
  delegate_to: localhost

- name: Write it for some hosts, and leave the others in it
  pgflex.migrate.report:
    hosts: "{{ rows }}"
    other_hosts: "{{ groups.all }}"
    title: The night of 21 November
    html: report.html
    json: report.json
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
report:
  description: The files.
  returned: success
  type: dict
  contains:
    files:
      description: The files as they are now, each with its C(format), C(path), C(mode) and C(digest) without the time.
      returned: success
      type: list
      elements: dict
      sample:
        - format: html
          path: /var/reports/night.html
          mode: "0600"
          digest: 3a7bd3e2360a3d29
summary:
  description: The numbers of the whole fleet, as they stand in the JSON as well.
  returned: success
  type: dict
  contains:
    hosts:
      description: Number of migrations.
      returned: always
      type: int
    statuses:
      description: Number of migrations by their C(status).
      returned: always
      type: dict
    databases:
      description: Number of databases.
      returned: always
      type: int
    rows:
      description: Number of rows that were compared; V(null) when nothing was.
      returned: always
      type: int
    bytes:
      description: Size of the databases; V(null) when it is not known.
      returned: always
      type: int
    downtime:
      description: Seconds of downtime, as C(least), C(median) and C(most); empty when none is known.
      returned: always
      type: dict
    downtimes:
      description: Number of migrations whose downtime is known.
      returned: always
      type: int
    started_at:
      description: Start of the first migration.
      returned: always
      type: str
    ended_at:
      description: End of the last migration that has ended.
      returned: always
      type: str
"""

from typing import Any

from ..module_utils._base import PgflexModule, State
from ..module_utils._report.files import Report
from ..module_utils._report.row import ROW
from ..module_utils._spec import ArgumentSpec

SPEC = ArgumentSpec(
    options={
        "hosts": {"type": "list", "elements": "dict", "required": True, "options": ROW},
        "html": {"type": "path"},
        "json": {"type": "path"},
        "csv": {"type": "path"},
        "title": {"type": "str", "default": "Migrations to Flexible Servers"},
        "keep": {"type": "bool", "default": True},
        "other_hosts": {"type": "list", "elements": "str", "default": []},
    },
    required_one_of=(("html", "json", "csv"),),
)


class ReportModule(PgflexModule):
    result_key = "report"
    report: Report

    def read(self) -> State | None:
        self.report = Report(self.params)
        return {"files": self.report.found()}

    def desired(self, current: State | None) -> State:
        return {"files": self.report.wanted()}

    def apply(self, want: State) -> State:
        self.report.write()
        return want

    def extra(self) -> dict[str, Any]:
        return {"summary": self.report.summary}


MODULE = ReportModule


def main() -> None:
    MODULE.main(SPEC)


if __name__ == "__main__":
    main()
