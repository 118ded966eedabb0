# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls an SDK's operations and keeps what became of each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.identity import ClientSecretCredential

from sdk_driver.round_trip import problems

FAILURES = (AzureError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


# What a newer SDK for the same API version has, and the older one forgot.
FORGOTTEN = {("azure-mgmt-authorization", "3.0.0"): (".properties.createdOn is lost", ".properties.updatedOn is lost")}


class Lost(ValueError):
    """An answer does not fit the SDK's model."""


@dataclass
class Judge:
    """One distribution in its installed version; `results` has operation and failure, None for none."""

    distribution: str
    results: list[tuple[str, str | None]] = field(default_factory=list)
    pages: list[Any] | None = None

    @cached_property
    def version(self) -> str:
        return version(self.distribution)

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            self.results.append((name, f"{type(error).__name__}: {error}"))
        else:
            self.results.append((name, None))

    def hook(self, response: Any) -> None:
        """For a client's raw_response_hook: lists give their models only, and what else comes may not be read here."""
        if self.pages is not None:
            self.pages.append(_json(response))

    def get(self, name: str, method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """One answer."""
        found = None
        with self.operation(name):
            answer, found = method(*args, cls=both, **more)
            self.require_whole(answer, found)
        return found

    def rows(self, name: str, method: Callable[..., Any], *args: Any, **more: Any) -> list[Any]:
        """All rows of all pages."""
        found: list[Any] = []
        with self.operation(name):
            pages = self.pages = []
            try:
                found = list(method(*args, **more))
            finally:
                self.pages = None
            self.require_whole([row for page in pages for row in page["value"]], found)
        return found

    def wait(self, name: str, method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """A long operation, to its end."""
        found = None
        with self.operation(name):
            # Operations without an answer end without one, or with None.
            answer, found = method(*args, cls=both, **more).result(timeout=60) or (None, None)
            self.require_whole(answer, found)
        return found

    def require_whole(self, answer: Any, model: Any) -> None:
        forgotten = FORGOTTEN.get((self.distribution, self.version), ())
        found = [problem for problem in problems(answer, model) if not problem.endswith(forgotten)]
        if found:
            raise Lost("; ".join(found[:12]))

    def refused(self, name: str, code: str, status: int, method: Callable[..., Any], *args: Any, **more: Any) -> None:
        """The SDK reads the error's code."""
        with self.operation(name):
            try:
                method(*args, **more)
            except HttpResponseError as error:
                found = (error.status_code, error.error.code if error.error else None)
                assert found == (status, code), f"{found} instead of {(status, code)}"
            else:
                raise AssertionError(f"no {code}")


def both(response: Any, model: Any, _headers: Any) -> Any:
    return _json(response), model


def _json(response: Any) -> Any:
    text = response.http_response.text()
    return json.loads(text) if text else None


@dataclass(frozen=True)
class Target:
    """The lab, from the environment that it exports."""

    url: str = field(default_factory=lambda: os.environ["PGFLEX_LAB_URL"])
    tenant: str = field(default_factory=lambda: os.environ["AZURE_TENANT_ID"])
    subscription: str = field(default_factory=lambda: os.environ["AZURE_SUBSCRIPTION_ID"])
    client_id: str = field(default_factory=lambda: os.environ["AZURE_CLIENT_ID"])
    secret: str = field(default_factory=lambda: os.environ["AZURE_CLIENT_SECRET"])
    tag: str = field(default_factory=lambda: os.environ["PGFLEX_CLIENT_TAG"])
    group: str = "shop-rg"

    @property
    def group_id(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"

    @property
    def postgresql(self) -> str:
        return f"{self.group_id}/providers/Microsoft.DBforPostgreSQL"

    @property
    def scope(self) -> str:
        return f"{self.url}/.default"

    @property
    def credential(self) -> ClientSecretCredential:
        return ClientSecretCredential(
            self.tenant, self.client_id, self.secret, authority=self.url, disable_instance_discovery=True
        )

    def client(self, make: Callable[..., Any], judge: Judge, **more: Any) -> Any:
        return make(
            self.credential,
            self.subscription,
            base_url=self.url,
            credential_scopes=[self.scope],
            raw_response_hook=judge.hook,
            **more,
        )
