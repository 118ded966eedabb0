#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: entra_application
short_description: Make the Entra application that the classic migration service signs in as
version_added: "1.0.0"
description:
  - Makes an app registration, its service principal and a client secret, and renews the secret before it expires.
  - The classic generation of the migration service needs all three, and the service principal needs
    a role at the servers, see M(pgflex.migrate.role_assignment). The current generation needs none of them.
  - The application is found by its name, so that a second run makes no second one. When several have the name, the
    module fails and lists their client ids.
  - Microsoft Entra ID tells a client secret once, when it is made. Where that one is lost,
    O(client_secret.rotate) makes another; with O(client_secret.dest) the module notices by itself.
  - Client secrets of other names, certificates, permissions and redirect addresses of the application are left alone.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  name:
    description:
      - Display name of the application. The directory compares names without regard to case.
    type: str
    required: true
  sign_in_audience:
    description:
      - Whose accounts may use the application. V(AzureADMultipleOrgs) is what the portal calls multitenant.
      - Left out, a new application gets V(AzureADMyOrg) and an existing one keeps what it has.
    type: str
    choices:
      - AzureADMyOrg
      - AzureADMultipleOrgs
      - AzureADandPersonalMicrosoftAccount
      - PersonalMicrosoftAccount
  client_secret:
    description:
      - The client secret that this module looks after. Left out, one with the defaults below is looked after.
    type: dict
    suboptions:
      name:
        description:
          - Display name by which the module knows its own client secret among others.
        type: str
        default: pgflex.migrate
      lifetime:
        description:
          - Days that a new client secret is valid for. Entra administrators may have set a limit.
        type: int
        default: 90
      rotate_before:
        description:
          - A new client secret is made when the present one has this many days left or fewer.
          - Older client secrets of the same name are then removed, so a migration that still runs with one loses
            access, unless O(client_secret.keep_older) is true. Choose O(client_secret.lifetime) longer than the
            migrations take.
        type: int
        default: 14
      rotate:
        description:
          - Make a new client secret in any case, for when the present one is not known any more.
          - Every run with V(true) changes something.
        type: bool
        default: false
      keep_older:
        description:
          - Leave older client secrets of the same name until they have expired, for migrations that still run with
            one.
        type: bool
        default: false
      dest:
        description:
          - File on the host that runs the module which the client secret is written to instead of being returned.
          - The file has mode 0600 and is replaced at once. An existing file that others may read gets mode 0600.
          - When the file is missing, empty, or begins otherwise than the client secret in the directory, a new client
            secret is made.
          - The directory has to exist. O(state=absent) leaves the file alone.
        type: path
  wait_timeout:
    description:
      - Seconds to wait until Microsoft Graph knows an application that was made a moment ago, and finds it by its name.
        A run that began before that would make a second one.
    type: int
    default: 300
attributes:
  idempotent:
    description: A second run with the same options changes nothing.
    support: partial
    details:
      - With O(client_secret.rotate=true) every run makes a new client secret.
extends_documentation_fragment:
  - pgflex.migrate._azure
  - pgflex.migrate._attributes
  - pgflex.migrate._state
notes:
  - The signed-in identity needs the Microsoft Graph permission C(Application.ReadWrite.OwnedBy) or
    C(Application.ReadWrite.All), or the directory role Application Developer.
  - Without O(client_secret.dest) the result has the new client secret in it once. Set C(no_log) on the task then.
  - A deleted application can be restored by hand for 30 days, see the Entra portal.
seealso:
  - module: pgflex.migrate.entra_application_info
  - module: pgflex.migrate.role_assignment
  - name: Microsoft Graph applications
    description: The requests that the module makes.
    link: https://learn.microsoft.com/graph/api/resources/application
"""

EXAMPLES = r"""
- name: Make the application, and keep its client secret in a file
  pgflex.migrate.entra_application:
    name: shop-migration
    client_secret:
      dest: ~/.pgflex/shop-migration.secret
  register: app

- name: The same for servers in several tenants, with a short-lived client secret in the result
  pgflex.migrate.entra_application:
    name: shop-migration
    sign_in_audience: AzureADMultipleOrgs
    client_secret:
      lifetime: 7
      rotate_before: 2
  register: app
  no_log: true

- name: See what would be made
  pgflex.migrate.entra_application:
    name: shop-migration
  check_mode: true
  diff: true

- name: Delete the application when all migrations have ended
  pgflex.migrate.entra_application:
    name: shop-migration
    state: absent
"""

RETURN = r"""
entra_application:
  description:
    - The application; V(null) when there is none.
    - In check mode an id that is not known yet is V(00000000-0000-0000-0000-000000000000).
  returned: success
  type: dict
  contains:
    name:
      description: Display name of the application.
      type: str
      returned: success
      sample: shop-migration
    object_id:
      description:
        - Object id of the app registration. Roles are given to RV(entra_application.service_principal_id), not to this.
      type: str
      returned: success
      sample: 88888888-8888-8888-8888-888888888888
    client_id:
      description: Application (client) id, which the migration signs in with.
      type: str
      returned: success
      sample: 99999999-9999-9999-9999-999999999999
    tenant:
      description: GUID of the tenant, V(null) when only its domain name is known so far.
      type: str
      returned: success
      sample: 33333333-3333-3333-3333-333333333333
    service_principal_id:
      description: Object id of the service principal, which roles are given to.
      type: str
      returned: success
      sample: 44444444-4444-4444-4444-444444444444
    sign_in_audience:
      description: Whose accounts may use the application.
      type: str
      returned: success
      sample: AzureADMyOrg
    client_secret_name:
      description: Display name of the client secret that the module looks after.
      type: str
      returned: success
      sample: pgflex.migrate
    client_secret_id:
      description: Id of that client secret; it is not the secret.
      type: str
      returned: success
      sample: 77777777-7777-7777-7777-777777777777
    client_secret_expires:
      description: When that client secret expires, in UTC.
      type: str
      returned: success
      sample: "2026-06-30T12:00:00Z"
    client_secret_mode:
      description: Permissions of the file O(client_secret.dest), V(null) without that option.
      type: str
      returned: success
      sample: "0600"
    client_secret:
      description: The new client secret. It can not be had again.
      type: str
      returned: when a client secret was made and O(client_secret.dest) is left out
      sample: an-example-is-not-shown-here
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ..module_utils import _entra as entra
from ..module_utils._base import State
from ..module_utils._clients import AzureModule
from ..module_utils._compare import overlay, pick
from ..module_utils._errors import ModuleFailure, service_errors, translate
from ..module_utils._secret_file import MODE, SecretFile
from ..module_utils._spec import AZURE, STATE, ArgumentSpec
from ..module_utils._wait import until

CLIENT_SECRET = {
    "name": {"type": "str", "default": "pgflex.migrate"},
    "lifetime": {"type": "int", "default": 90},
    "rotate_before": {"type": "int", "default": 14},
    "rotate": {"type": "bool", "default": False},
    "keep_older": {"type": "bool", "default": False},
    "dest": {"type": "path"},
}
AUDIENCES = ["AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"]
SPEC = AZURE.merge(STATE).merge(
    ArgumentSpec(
        options={
            "name": {"type": "str", "required": True},
            "sign_in_audience": {"type": "str", "choices": AUDIENCES},
            # It describes a secret and holds none.
            "client_secret": {"type": "dict", "no_log": False, "apply_defaults": True, "options": CLIENT_SECRET},
            "wait_timeout": {"type": "int", "default": 300},
        }
    )
)


class EntraApplication(AzureModule):
    result_key = "entra_application"
    secret_keys = ("client_secret",)
    found: entra.Application | None = None

    @property
    def thing(self) -> str:
        return f"the application {self.params['name']!r}"

    @property
    def secret(self) -> dict[str, Any]:
        options: dict[str, Any] = self.params["client_secret"]
        return options

    @property
    def file(self) -> SecretFile | None:
        return SecretFile(Path(self.secret["dest"]), "client_secret.dest") if self.secret["dest"] else None

    def read(self) -> State | None:
        self._check_options()
        found = entra.applications(self.azure, "displayName", self.params["name"])
        if len(found) > 1:
            ids = ", ".join(sorted(app.client_id for app in found))
            raise ModuleFailure(
                f"{len(found)} applications are named {self.params['name']!r}, with the client ids {ids}.",
                code="AmbiguousName",
                hint="Give the option name another name, or delete or rename the applications that are not meant.",
            )
        self.found = found[0] if found else None
        return self._state(self.found) if self.found else None

    def _check_options(self) -> None:
        if not self.params["name"].strip():
            raise ModuleFailure("name is empty: give the application a display name.")
        if not 0 <= self.secret["rotate_before"] < self.secret["lifetime"]:
            raise ModuleFailure(
                "client_secret.rotate_before has to be 0 or more days and fewer than client_secret.lifetime: "
                f"{self.secret['rotate_before']} and {self.secret['lifetime']} were given.",
                code="InvalidOption",
                hint="Otherwise every run would make a new client secret.",
            )
        if self.file and self.params["state"] == "present":
            self.file.check()

    @property
    def credentials(self) -> list[entra.Credential]:
        """The client secrets of the name that the module looks after, the one that lasts longest first."""
        mine = (row for row in (self.found.credentials if self.found else ()) if row.name == self.secret["name"])
        return sorted(mine, key=lambda row: row.expires, reverse=True)

    def _state(self, app: entra.Application) -> State:
        newest = next(iter(self.credentials), None)
        return {
            **entra.to_result(app, entra.tenant_of(self.azure.sign_in, app.principal)),
            "client_secret_name": newest.name if newest else None,
            "client_secret_id": newest.id if newest else None,
            "client_secret_expires": entra.timestamp(newest.expires) if newest else None,
            "client_secret_mode": self.file.mode() if self.file else None,
        }

    def desired(self, current: State | None) -> State:
        new = entra.Application(self.params["name"], entra.UNKNOWN, entra.UNKNOWN, AUDIENCES[0])
        want = overlay(current or self._state(new), pick(self.params, ["sign_in_audience"]))
        if want["service_principal_id"] is None:
            want["service_principal_id"] = entra.UNKNOWN
        if self._needs_secret():
            want |= self._secret_state(entra.UNKNOWN, self._expiry())
        if self.file and not self.file.private():
            want["client_secret_mode"] = f"{MODE:04o}"
        return want

    def _needs_secret(self) -> bool:
        if self.secret["rotate"] or not self.credentials:
            return True
        newest = self.credentials[0]
        if newest.expires - timedelta(days=self.secret["rotate_before"]) <= datetime.now(UTC):
            return True
        kept = self.file.text() if self.file else None
        # An empty file begins with nothing; a service that gives no hint leaves only that to be noticed.
        return kept is not None and (not kept or not kept.startswith(newest.hint or ""))

    def _expiry(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0) + timedelta(days=self.secret["lifetime"])

    def _secret_state(self, key_id: str, expires: datetime) -> State:
        return {
            "client_secret_name": self.secret["name"],
            "client_secret_id": key_id,
            "client_secret_expires": entra.timestamp(expires),
        }

    def apply(self, want: State) -> State:
        made = dict(want)
        if want["object_id"] == entra.UNKNOWN:
            made |= self._create()
        elif self.found and self.found.sign_in_audience != want["sign_in_audience"]:
            entra.update_application(self.azure, want["object_id"], want["sign_in_audience"])
        if want["service_principal_id"] == entra.UNKNOWN:
            made |= self._create_principal(made["client_id"])
        if want["object_id"] == entra.UNKNOWN:
            self._wait_until_listed(made["client_id"])
        if want["client_secret_id"] == entra.UNKNOWN:
            made |= self._renew_secret(made["object_id"])
        elif self.file and not self.file.private():
            self.file.tighten()
        return made

    def _create(self) -> State:
        audience = self.params["sign_in_audience"] or AUDIENCES[0]
        app = entra.create_application(self.azure, self.params["name"], audience, self.params["wait_timeout"])
        return entra.to_result(app, entra.tenant_of(self.azure.sign_in, None))

    def _create_principal(self, client_id: str) -> State:
        with self.doing(f"create the service principal of {self.thing}"):
            principal = entra.create_principal(self.azure, client_id, self.params["wait_timeout"])
        return {"service_principal_id": principal.id, "tenant": entra.tenant_of(self.azure.sign_in, principal)}

    def _wait_until_listed(self, client_id: str) -> None:
        """Before that, a second run would make a second one. It comes before the secret, which could get lost."""
        until(
            lambda: entra.is_listed(self.azure, self.params["name"], client_id),
            bool,
            what=f"find {self.thing} with the client id {client_id} in the directory",
            timeout=self.params["wait_timeout"],
            state=lambda _: "not listed",
            resume="It is made; run again when the Entra portal shows it, not before, or there will be two.",
        )

    def _renew_secret(self, object_id: str) -> State:
        with self.doing(f"create a client secret of {self.thing}"):
            if self.file is None:
                credential, value = self._add_secret(object_id)
                shown = {"client_secret": value}
            else:
                with self.file.replacing() as write:
                    credential, value = self._add_secret(object_id)
                    write(value)
                shown = {}
        now = datetime.now(UTC)
        for old in self.credentials:
            if old.expires <= now or not self.secret["keep_older"]:
                self._remove_secret(object_id, old)
        return {**self._secret_state(credential.id, credential.expires), **shown}

    def _add_secret(self, object_id: str) -> tuple[entra.Credential, str]:
        return entra.add_secret(self.azure, object_id, self.secret["name"], self._expiry(), self.params["wait_timeout"])

    def _remove_secret(self, object_id: str, old: entra.Credential) -> None:
        try:
            entra.remove_secret(self.azure, object_id, old.id)
        except service_errors() as error:
            # A failure here would throw away the new client secret, which can not be had again.
            failure = translate(error, f"remove the old client secret {old.id} of {self.thing}")
            self.runtime.warn(failure.message)

    def remove(self, current: State) -> None:
        entra.delete_application(self.azure, current["object_id"])


MODULE = EntraApplication


def main() -> None:
    EntraApplication.main(SPEC)


if __name__ == "__main__":
    main()
