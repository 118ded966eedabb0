# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure as a script would use it, to make and break things that the collection then has to find."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import requests

from pgflex_lab.process import Running

VERSIONS = {
    "microsoft.network": "2024-05-01",
    "microsoft.network/privatednszones": "2024-06-01",
    "microsoft.dbforpostgresql/servers": "2017-12-01",
    "microsoft.dbforpostgresql/flexibleservers": "2025-08-01",
    "microsoft.authorization": "2022-04-01",
}


def version_of(resource_id: str) -> str:
    if "/providers/" not in resource_id:
        return "2021-04-01"
    namespace, kind = resource_id.lower().rsplit("/providers/", maxsplit=1)[1].split("/")[:2]
    return VERSIONS.get(f"{namespace}/{kind}") or VERSIONS[namespace]


class Refused(Exception):
    """Azure would not do it; the text says what and why."""


@dataclass(frozen=True)
class Arm:
    """Requests as the lab's first operator; what Azure does later is waited for."""

    lab: Running

    @cached_property
    def session(self) -> requests.Session:
        told = self.lab.environment()
        session = requests.Session()
        session.trust_env = False
        session.verify = told["REQUESTS_CA_BUNDLE"]
        answer = session.post(
            f"{self.lab.url}/{told['AZURE_TENANT']}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": told["AZURE_CLIENT_ID"],
                "client_secret": told["AZURE_SECRET"],
                "scope": f"{self.lab.url}/.default",
            },
            timeout=30,
        )
        answer.raise_for_status()
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return session

    def ask(self, method: str, resource_id: str, body: Any = None, version: str = "") -> Any:
        """The answer's JSON once the operation is done; a refusal is `Refused`."""
        url = f"{self.lab.url}{resource_id}?api-version={version or version_of(resource_id)}"
        answer = self.session.request(method, url, json=body, timeout=60)
        if not answer.ok:
            raise Refused(f"{method} {resource_id}: {answer.status_code} {answer.text}")
        watch = answer.headers.get("Azure-AsyncOperation")
        while watch:
            state = self.session.get(watch, timeout=60).json()
            if state["status"] == "Failed":
                raise Refused(f"{method} {resource_id}: {state}")
            if state["status"] == "Succeeded":
                break
            time.sleep(0.02)
        return answer.json() if answer.content else None

    def get(self, resource_id: str) -> Any:
        return self.ask("GET", resource_id)

    def put(self, resource_id: str, body: Any) -> Any:
        return self.ask("PUT", resource_id, body)

    def delete(self, resource_id: str) -> None:
        """Asks again for a subnet that a deleted server holds for a while."""
        for _try in range(3000):
            try:
                self.ask("DELETE", resource_id)
            except Refused as refusal:
                if "/serviceAssociationLinks/" not in str(refusal):
                    raise
                time.sleep(0.1)
            else:
                return
        raise Refused(f"DELETE {resource_id}: a deleted server holds it for ever")

    def change(self, resource_id: str, **properties: Any) -> Any:
        """Puts a resource again with other properties; null takes one away."""
        found = self.get(resource_id)
        changed = {**found["properties"], **properties}
        found["properties"] = {name: value for name, value in changed.items() if value is not None}
        return self.put(resource_id, found)
