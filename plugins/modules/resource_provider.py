#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: resource_provider
short_description: Register resource providers with a subscription
version_added: "1.0.0"
description:
  - Registers the resource providers that are not registered yet, all at once, and waits for them.
  - A migration needs the three providers of the default, of which V(Microsoft.DataMigration) is registered in few
    subscriptions beforehand.
  - A provider whose registration goes on already is waited for, which changes nothing.
  - There is no option C(state) and so no way to unregister. Other resources of the subscription may need a provider, a
    registration costs nothing, and Azure refuses to take away one that is in use.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  namespaces:
    description:
      - Namespaces of the resource providers. Others are left alone.
    type: list
    elements: str
    default:
      - Microsoft.DBforPostgreSQL
      - Microsoft.DataMigration
      - Microsoft.Network
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._wait
notes:
  - The signed-in identity needs the action C(/register/action) of each provider at the subscription, which the roles
    Contributor and Owner of the subscription have.
seealso:
  - name: Azure resource providers and types
    description: What a registration is.
    link: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-providers-and-types
"""

EXAMPLES = r"""
- name: Register what a migration needs
  pgflex.migrate.resource_provider:

- name: See which registrations are missing
  pgflex.migrate.resource_provider:
  check_mode: true
  diff: true

- name: Register one provider in another subscription without waiting
  pgflex.migrate.resource_provider:
    subscription_id: 11111111-1111-1111-1111-111111111111
    namespaces:
      - Microsoft.DataMigration
    wait: false
"""

RETURN = r"""
resource_providers:
  description:
    - The registration state of each namespace, such as V(Registered), V(Registering) or V(NotRegistered).
    - The namespaces are spelled as Azure spells them.
  returned: success
  type: dict
  sample:
    Microsoft.DBforPostgreSQL: Registered
    Microsoft.DataMigration: Registered
    Microsoft.Network: Registered
"""

from functools import cached_property
from typing import Any

from ..module_utils._base import State
from ..module_utils._clients import AzureModule, raw
from ..module_utils._errors import ModuleFailure
from ..module_utils._parallel import each
from ..module_utils._spec import AZURE, WAIT, ArgumentSpec
from ..module_utils._wait import Deadline, until

NEEDED = ["Microsoft.DBforPostgreSQL", "Microsoft.DataMigration", "Microsoft.Network"]
REGISTERED = "Registered"
REGISTERING = "Registering"
SPEC = AZURE.merge(WAIT).merge(
    ArgumentSpec(options={"namespaces": {"type": "list", "elements": "str", "default": NEEDED}})
)


class ResourceProvider(AzureModule):
    result_key = "resource_providers"
    found: State

    @property
    def thing(self) -> str:
        return f"the resource providers of subscription {self.subscription_id}"

    @cached_property
    def deadline(self) -> Deadline:
        """One for the whole task, however many registrations it waits for."""
        return Deadline(self.params["wait_timeout"])

    @cached_property
    def providers(self) -> Any:
        return self.azure.resources().providers

    def read(self) -> State | None:
        if not self.params["namespaces"]:
            raise ModuleFailure("namespaces is empty: name at least one resource provider.")
        self.found = dict(each(self._find, dict.fromkeys(self.params["namespaces"])))
        return dict(self.found)

    def _find(self, namespace: str) -> tuple[str, str]:
        with self.doing(f"read the resource provider {namespace}"):
            return self._settled(self.providers.get(namespace, cls=raw))

    def _settled(self, found: dict[str, Any]) -> tuple[str, str]:
        """Namespace and state, once a registration that goes on has ended."""
        namespace, state = found["namespace"], found["registrationState"]
        if state == REGISTERING and self.params["wait"]:
            state = until(
                lambda: str(self.providers.get(namespace, cls=raw)["registrationState"]),
                lambda now: now == REGISTERED,
                what=f"register the resource provider {namespace}",
                timeout=self.deadline.left,
                resume="Azure goes on registering; run again to pick it up.",
            )
        return namespace, state

    def desired(self, current: State | None) -> State:
        # Asking once more for a registration that goes on would change nothing.
        return {name: state if state == REGISTERING else REGISTERED for name, state in (current or {}).items()}

    def apply(self, want: State) -> State:
        missing = [name for name, state in self.found.items() if state != want[name]]
        return {**want, **dict(each(self._register, missing))}

    def _register(self, namespace: str) -> tuple[str, str]:
        with self.doing(f"register the resource provider {namespace}"):
            return self._settled(self.providers.register(namespace, cls=raw))


MODULE = ResourceProvider


def main() -> None:
    ResourceProvider.main(SPEC)


if __name__ == "__main__":
    main()
