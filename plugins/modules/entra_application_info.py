#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: entra_application_info
short_description: Read Entra applications and when their client secrets expire
version_added: "1.0.0"
description:
  - Lists the app registrations of a name or of a client id, with their service principals and what the directory tells
    about their client secrets.
  - The client secrets themselves can not be read, by nobody.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  name:
    description:
      - Display name of the applications. The directory compares names without regard to case, and several
        applications may have one name.
      - Either this or O(app_id) has to be given.
    type: str
  app_id:
    description:
      - Application (client) id of the application to read; O(client_id) is the one to sign in with.
    type: str
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes.info
seealso:
  - module: pgflex.migrate.entra_application
"""

EXAMPLES = r"""
- name: Read the application of the migrations
  pgflex.migrate.entra_application_info:
    name: shop-migration
  register: apps

- name: Read the application that a migration was made with
  pgflex.migrate.entra_application_info:
    app_id: 99999999-9999-9999-9999-999999999999

- name: Stop when a client secret ends within the next week
  ansible.builtin.assert:
    that: (item.expires | ansible.builtin.to_datetime('%Y-%m-%dT%H:%M:%SZ') - now(utc=true)).days >= 7
  loop: "{{ apps.entra_applications | map(attribute='client_secrets') | flatten }}"
"""

RETURN = r"""
entra_applications:
  description: The applications found.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Display name of the application.
      type: str
      returned: success
      sample: shop-migration
    object_id:
      description: Object id of the app registration.
      type: str
      returned: success
      sample: 88888888-8888-8888-8888-888888888888
    client_id:
      description: Application (client) id.
      type: str
      returned: success
      sample: 99999999-9999-9999-9999-999999999999
    tenant:
      description: GUID of the tenant, V(null) when neither the sign-in nor a service principal tells it.
      type: str
      returned: success
      sample: 33333333-3333-3333-3333-333333333333
    service_principal_id:
      description: Object id of the service principal in this tenant, V(null) when there is none.
      type: str
      returned: success
      sample: 44444444-4444-4444-4444-444444444444
    sign_in_audience:
      description: Whose accounts may use the application.
      type: str
      returned: success
      sample: AzureADMyOrg
    client_secrets:
      description: The application's client secrets without their values, the one that lasts longest first.
      type: list
      elements: dict
      returned: success
      contains:
        id:
          description: Id of the client secret.
          type: str
          returned: success
          sample: 77777777-7777-7777-7777-777777777777
        name:
          description: Display name of the client secret.
          type: str
          returned: success
          sample: pgflex.migrate
        expires:
          description: When it expires, in UTC.
          type: str
          returned: success
          sample: "2026-06-30T12:00:00Z"
"""

from typing import Any

from ..module_utils import _entra as entra
from ..module_utils._clients import AzureInfoModule
from ..module_utils._spec import AZURE, ArgumentSpec

SPEC = AZURE.merge(
    ArgumentSpec(
        options={"name": {"type": "str"}, "app_id": {"type": "str"}},
        required_one_of=(("name", "app_id"),),
        mutually_exclusive=(("name", "app_id"),),
    )
)


class EntraApplicationInfo(AzureInfoModule):
    result_key = "entra_applications"

    @property
    def thing(self) -> str:
        return f"the application {self.params['name'] or self.params['app_id']!r}"

    def results(self) -> list[dict[str, Any]]:
        field = "displayName" if self.params["name"] else "appId"
        found = entra.applications(self.azure, field, self.params["name"] or self.params["app_id"])
        return [self._result(app) for app in found]

    def _result(self, app: entra.Application) -> dict[str, Any]:
        secrets = sorted(app.credentials, key=lambda row: row.expires, reverse=True)
        return {
            **entra.to_result(app, entra.tenant_of(self.azure.sign_in, app.principal)),
            "client_secrets": [
                {"id": row.id, "name": row.name, "expires": entra.timestamp(row.expires)} for row in secrets
            ],
        }


MODULE = EntraApplicationInfo


def main() -> None:
    EntraApplicationInfo.main(SPEC)


if __name__ == "__main__":
    main()
