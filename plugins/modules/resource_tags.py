#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: resource_tags
short_description: Set or take away tags of any Azure resource
version_added: "1.0.0"
description:
  - Sets tags of a resource, or takes some away, and leaves its other tags and everything else of it alone.
  - It uses Azure's own interface for tags, which works for any resource and does not update the resource itself.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  resource_id:
    description:
      - Id of the resource, resource group or subscription.
    type: str
    required: true
  tags:
    description:
      - Tags by name. With O(state=absent) their values do not matter.
      - Azure compares the names without case.
      - One of these wins over what is copied with O(copy_from).
    type: dict
  copy_from:
    description:
      - Id of another resource whose tags this one is to have as well.
      - Tags whose names begin with C(pgflex-) are notes of this collection about that resource, and are not copied; nor
        are those that begin with C(hidden-), which Azure keeps for itself.
      - It can not be used with O(state=absent).
    type: str
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._state
  - pgflex.migrate._wait
seealso:
  - name: Use tags to organize your Azure resources
    description: What tags are, and their limits.
    link: https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources
"""

EXAMPLES = r"""
- name: Mark a server as migrated
  pgflex.migrate.resource_tags:
    resource_id: "{{ source.single_servers[0].id }}"
    tags:
      migrated-to: shop-flex

- name: See what would change
  pgflex.migrate.resource_tags:
    resource_id: "{{ target.flexible_servers[0].id }}"
    copy_from: "{{ source.single_servers[0].id }}"
  check_mode: true
  diff: true

- name: Take the mark away
  pgflex.migrate.resource_tags:
    resource_id: "{{ source.single_servers[0].id }}"
    tags:
      migrated-to: ""
    state: absent
"""

RETURN = r"""
resource_tags:
  description: All tags of the resource.
  returned: success
  type: dict
  sample:
    env: production
    migrated-to: shop-flex
"""

from ..module_utils._base import State
from ..module_utils._clients import AzureModule, body, raw
from ..module_utils._errors import ModuleFailure
from ..module_utils._spec import AZURE, STATE, WAIT, ArgumentSpec
from ..module_utils._wait import wait_for

NOT_COPIED = ("pgflex-", "hidden-")
SPEC = (
    AZURE.merge(STATE)
    .merge(WAIT)
    .merge(
        ArgumentSpec(
            options={
                "resource_id": {"type": "str", "required": True},
                "tags": {"type": "dict"},
                "copy_from": {"type": "str"},
            },
            required_one_of=(("tags", "copy_from"),),
            required_if=(("state", "absent", ("tags",)),),
        )
    )
)


class ResourceTags(AzureModule):
    result_key = "resource_tags"
    asked: dict[str, str]

    @property
    def thing(self) -> str:
        return f"the tags of {self.params['resource_id']}"

    def read(self) -> State | None:
        tags = self._of(self.params["resource_id"])
        self.asked = {name: str(value) for name, value in (self.params["tags"] or {}).items()}
        if self.params["copy_from"]:
            self._copy()
        named = {name.lower() for name in self.asked}
        # A resource without any of the tags is, for the state absent, one that has nothing to be taken away.
        there = [name for name in tags if name.lower() in named]
        return None if self.params["state"] == "absent" and not there else tags

    def _of(self, resource_id: str) -> State:
        answer = self.azure.resources().tags.get_at_scope(resource_id, cls=raw)
        return answer["properties"].get("tags") or {}

    def _copy(self) -> None:
        other = self.params["copy_from"]
        if self.params["state"] == "absent":
            raise ModuleFailure("copy_from can not be used with the state absent: name the tags.")
        with self.doing(f"read the tags of {other}"):
            found = self._of(other)
        given = {name.lower() for name in self.asked}
        kept = {name: value for name, value in found.items() if not name.lower().startswith(NOT_COPIED)}
        self.asked |= {name: value for name, value in kept.items() if name.lower() not in given}

    def desired(self, current: State | None) -> State:
        want = dict(current or {})
        spelled = {name.lower(): name for name in want}
        for name, value in self.asked.items():
            want[spelled.get(name.lower(), name)] = value
        return want

    def apply(self, want: State) -> State:
        return self._patch("Merge", self.asked)

    def remove(self, current: State) -> State:
        named = {name.lower() for name in self.asked}
        # Azure takes a tag away only when its value is the one that it has.
        return self._patch("Delete", {name: value for name, value in current.items() if name.lower() in named})

    def _patch(self, operation: str, tags: dict[str, str]) -> State:
        content = body({"operation": operation, "properties": {"tags": tags}})
        poller = self.azure.resources().tags.begin_update_at_scope(self.params["resource_id"], content, cls=raw)
        if not self.params["wait"]:
            return tags
        found: State = wait_for(poller, f"update {self.thing}", self.params["wait_timeout"])
        return found["properties"].get("tags") or {}


MODULE = ResourceTags


def main() -> None:
    ResourceTags.main(SPEC)


if __name__ == "__main__":
    main()
