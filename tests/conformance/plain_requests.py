# SPDX-License-Identifier: GPL-3.0-or-later
"""The plainest client: requests as they are written down."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import requests

from pgflex_lab.process import Running

PASSWORDS = {"sourceServerPassword": "Lab-Passw0rd!source", "targetServerPassword": "Lab-Passw0rd!target"}


@dataclass
class Plain:
    """Requests without any client between."""

    lab: Running
    token: str = field(repr=False)

    def __call__(self, method: str, path: str, api_version: str, body: Any = None, **query: str) -> requests.Response:
        return requests.request(
            method,
            f"{self.lab.url}{path}",
            params={"api-version": api_version, **query},
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            verify=str(self.lab.facts["ca"]),
            timeout=30,
        )

    def until(self, path: str, api_version: str, state: str) -> dict[str, Any]:
        """The migration's answer once it is in the state."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found: dict[str, Any] = self("GET", path, api_version).json()
            if found["properties"]["currentStatus"]["state"] == state:
                return found
            time.sleep(0.1)
        raise AssertionError(f"not {state}: {found['properties']['currentStatus']}")

    @contextmanager
    def connected(self, server: str, user: str, database: str) -> Iterator[psycopg.Connection[Any]]:
        """At a source, without a client of Azure."""
        (place,) = (item for item in self.lab.admin("GET", "state")["servers"] if item["name"] == server)
        with psycopg.connect(
            host=place["fqdn"],
            hostaddr=place["hostaddr"],
            user=user,
            password=PASSWORDS["sourceServerPassword"],
            dbname=database,
            autocommit=True,
        ) as connection:
            yield connection
