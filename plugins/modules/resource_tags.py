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
    type: dict
    required: true
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
    tags: "{{ source.single_servers[0].tags }}"
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
from ..module_utils._spec import AZURE, STATE, WAIT, ArgumentSpec
from ..module_utils._wait import wait_for

SPEC = (
    AZURE.merge(STATE)
    .merge(WAIT)
    .merge(
        ArgumentSpec(
            options={
                "resource_id": {"type": "str", "required": True},
                "tags": {"type": "dict", "required": True},
            }
        )
    )
)


class ResourceTags(AzureModule):
    result_key = "resource_tags"

    @property
    def thing(self) -> str:
        return f"the tags of {self.params['resource_id']}"

    def read(self) -> State | None:
        answer = self.azure.resources().tags.get_at_scope(self.params["resource_id"], cls=raw)
        tags: State = answer["properties"].get("tags") or {}
        named = {name.lower() for name in self.params["tags"]}
        # A resource without any of the tags is, for the state absent, one that has nothing to be taken away.
        there = [name for name in tags if name.lower() in named]
        return None if self.params["state"] == "absent" and not there else tags

    def desired(self, current: State | None) -> State:
        want = dict(current or {})
        spelled = {name.lower(): name for name in want}
        for name, value in self.params["tags"].items():
            want[spelled.get(name.lower(), name)] = str(value)
        return want

    def apply(self, want: State) -> State:
        return self._patch("Merge", {name: str(value) for name, value in self.params["tags"].items()})

    def remove(self, current: State) -> State:
        named = {name.lower() for name in self.params["tags"]}
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
