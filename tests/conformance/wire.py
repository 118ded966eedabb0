# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of any form, and what every answer has to look like."""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from pgflex_lab.process import Running
from pgflex_lab.tls import client_context

ARM, GRAPH = "https://management.azure.com", "https://graph.microsoft.com"
SIGN_IN = re.compile(
    r"/common/discovery/instance|/metadata/identity/oauth2/token|/[^/]+(/v2\.0)?/\.well-known/openid-configuration"
    r"|/[^/]+/oauth2(/v2\.0)?/token|/[^/]+/discovery(/v2\.0)?/keys"
)
SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes

    @cached_property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None


class Wire:
    """One kept connection, nothing between the caller and the bytes."""

    def __init__(self, lab: Running) -> None:
        self.lab = lab
        self._place = urlsplit(lab.url)
        self._context = client_context(Path(str(lab.facts["ca"])))
        self._connection: http.client.HTTPSConnection | None = None
        self._tokens = {audience: self._token(audience) for audience in (ARM, GRAPH)}

    @cached_property
    def subscription(self) -> str:
        return self.lab.environment()["AZURE_SUBSCRIPTION_ID"]

    def token(self, path: str) -> str:
        return self._tokens[GRAPH if path.startswith("/v1.0") else ARM]

    def _token(self, audience: str) -> str:
        own = self.lab.environment()
        form = {
            "grant_type": "client_credentials",
            "client_id": own["AZURE_CLIENT_ID"],
            "client_secret": own["AZURE_CLIENT_SECRET"],
            "scope": f"{audience}/.default",
        }
        answer = self.send("POST", f"/{own['AZURE_TENANT']}/oauth2/v2.0/token", urlencode(form).encode(), {})
        return str(answer.body["access_token"])

    def ask(
        self, method: str, path: str, body: Any = None, *, api_version: str = "", query: dict[str, str] | None = None
    ) -> Answer:
        """A well-formed call, signed in, judged."""
        asked = {**({"api-version": api_version} if api_version else {}), **(query or {})}
        target = quote(path) + (f"?{urlencode(asked, errors='replace')}" if asked else "")
        raw = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token(path)}", "Content-Type": "application/json"}
        return self.judged(method, target, raw, headers)

    def judged(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        answer = self.send(method, target, body, headers)
        judge(method, target, answer)
        return answer

    def send(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._place.hostname or "", self._place.port, timeout=SECONDS, context=self._context
            )
        try:
            self._connection.request(method, target, body, headers)
            found = self._connection.getresponse()
            answer = Answer(found.status, {name.lower(): text for name, text in found.getheaders()}, found.read())
        except (http.client.HTTPException, OSError):
            self._connection.close()
            self._connection = None
            raise
        if answer.headers.get("connection") == "close":
            self._connection.close()
        return answer


def judge(method: str, target: str, answer: Answer) -> None:
    """No 5xx, no traceback, and errors in the shape of the service that was asked."""
    assert answer.status < 500, f"{method} {target}: {answer.status} {answer.raw[:2000]!r}"
    assert b"Traceback (most recent" not in answer.raw
    if method == "HEAD":
        assert not answer.raw
        return
    if answer.status < 400:
        if answer.raw:
            assert answer.body is not None and answer.headers["content-type"].startswith("application/json")
        return
    path = re.sub("/{2,}", "/", unquote(target.partition("?")[0]))
    if re.match(r"/v1\.0(/|$)", path):
        judge_graph(answer.body)
    elif SIGN_IN.fullmatch(path):
        judge_oauth(answer.body)
    else:
        judge_arm(answer.body)


def judge_arm(body: Any) -> None:
    assert set(body) == {"error"}, body
    assert set(body["error"]) >= {"code", "message"}, body
    assert all(isinstance(body["error"][name], str) and body["error"][name] for name in ("code", "message")), body


def judge_graph(body: Any) -> None:
    judge_arm(body)
    assert set(body["error"]["innerError"]) == {"date", "request-id", "client-request-id"}, body


def judge_oauth(body: Any) -> None:
    assert isinstance(body["error"], str) and body["error"], body
    assert isinstance(body["error_description"], str) and body["error_description"], body
