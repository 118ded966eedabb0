# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs modules as Ansible does, against a script of HTTP answers.

`run_module(name, args)` runs a module's real main() in this process. `arm` is the script: every request has to be
expected, in order; a request that is not expected, and an expectation that is not met, fail the test.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import requests
import requests.adapters
from ansible.module_utils import basic
from ansible.module_utils.common import warnings

TENANT = "33333333-3333-3333-3333-333333333333"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
MARKER = "Marker-Secret-4711"
SIGN_IN = {
    "subscription_id": SUBSCRIPTION,
    "tenant": TENANT,
    "client_id": "22222222-2222-2222-2222-222222222222",
    "secret": MARKER,
}


@dataclass
class Request:
    """One request that a module sent; `path` is below the host, `query` without api-version."""

    method: str
    path: str
    query: dict[str, str]
    api_version: str | None
    body: Any


@dataclass
class Expected:
    method: str
    path: str
    status: int
    json: Any
    headers: dict[str, str]
    query: dict[str, str] | None = None
    api_version: str | None = None
    check: Callable[[Any], None] | None = None
    error: Exception | None = None


@dataclass
class Script:
    """The answers, in order, and what was asked."""

    expected: list[Expected] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    fallback: tuple[int, Any] | None = None
    any_order: bool = False

    def expect(
        self,
        method: str,
        path: str,
        *,
        status: int = 200,
        json: Any = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        api_version: str | None = None,
        body: Any = None,
        check: Callable[[Any], None] | None = None,
        raises: Exception | None = None,
    ) -> None:
        """`body` has to be equal to what is sent, `check` gets it; `raises` breaks the connection, not answering."""

        def compare(sent: Any) -> None:
            assert sent == body, f"{method} {path} sent {sent}"

        verify = compare if body is not None else check
        self.expected.append(Expected(method, path, status, json, headers or {}, query, api_version, verify, raises))

    def fail_everything(self, status: int = 403, code: str = "AuthorizationFailed", message: str = "no") -> None:
        self.fallback = (status, {"error": {"code": code, "message": message}})

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.method not in ("GET", "HEAD")]

    @property
    def unused(self) -> list[str]:
        return [f"{step.method} {step.path}" for step in self.expected]

    def answer(self, method: str, url: str, content: bytes | str | None) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(url)
        token = _sign_in_answer(parts.path)
        if token is not None:
            return 200, {"content-type": "application/json"}, json.dumps(token).encode()
        text = content.decode() if isinstance(content, bytes) else content
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        version = query.pop("api-version", None)
        sent = Request(method, parts.path, query, version, json.loads(text) if text else None)
        self.requests.append(sent)
        if self.fallback and not self.expected:
            return self.fallback[0], {"content-type": "application/json"}, json.dumps(self.fallback[1]).encode()
        step = self._take(sent)
        if step.error:
            raise step.error
        body = b"" if step.json is None else json.dumps(step.json).encode()
        return step.status, {"content-type": "application/json", **step.headers}, body

    def _take(self, sent: Request) -> Expected:
        assert self.expected, f"unexpected request {sent.method} {sent.path} {sent.query}"
        index = 0
        if self.any_order:
            same = (
                i for i, s in enumerate(self.expected) if (s.method, s.path.lower()) == (sent.method, sent.path.lower())
            )
            index = next(same, 0)
        step = self.expected.pop(index)
        wanted = (step.method, step.path.lower())
        assert (sent.method, sent.path.lower()) == wanted, (
            f"expected {wanted}, got {sent.method} {sent.path} {sent.query}"
        )
        if step.query is not None:
            assert sent.query == step.query, f"{sent.method} {sent.path}: query {sent.query}"
        if step.api_version is not None:
            assert sent.api_version == step.api_version
        if step.check is not None:
            step.check(sent.body)
        return step


def _sign_in_answer(path: str) -> dict[str, Any] | None:
    base = f"https://login.microsoftonline.com/{TENANT}"
    if path.endswith("/openid-configuration"):
        return {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "issuer": f"{base}/v2.0",
        }
    if path.endswith("/discovery/instance"):
        return {"tenant_discovery_endpoint": f"{base}/v2.0/.well-known/openid-configuration", "metadata": []}
    if path.endswith("/oauth2/v2.0/token"):
        return {"token_type": "Bearer", "expires_in": 3600, "access_token": "scripted-token"}
    return None


@dataclass
class Outcome:
    """A module's result, and all that it printed."""

    result: dict[str, Any]
    raw_output: str

    def __getitem__(self, key: str) -> Any:
        return self.result[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.result.get(key, default)

    def __contains__(self, key: str) -> bool:
        return key in self.result

    @property
    def failed(self) -> bool:
        return bool(self.result.get("failed"))

    def visible(self, key: str) -> dict[str, Any]:
        """A state as the diff shows it: without the keys that say nothing."""
        return {name: value for name, value in (self.result[key] or {}).items() if value is not None}


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Script]:
    script = Script()
    # An operation that a test let run into its deadline is still polled by a thread of its own.
    strangers = set(threading.enumerate()) - {threading.current_thread()}

    def send(_self: Any, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        if threading.current_thread() in strangers:
            raise requests.ConnectionError("the test that asked this is over")
        status, headers, content = script.answer(request.method or "", request.url or "", request.body)
        response = requests.Response()
        response.status_code, response.raw, response.url = status, io.BytesIO(content), request.url or ""
        response.headers.update(headers)
        response.request = request
        response.reason = str(status)
        return response

    async def handle(_self: Any, request: httpx.Request) -> httpx.Response:
        status, headers, content = script.answer(request.method, str(request.url), await request.aread())
        return httpx.Response(status, headers=headers, content=content, request=request)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    # Neither the clock nor this user's own sign-in may matter.
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for name in [n for n in __import__("os").environ if n.startswith(("AZURE_", "ANSIBLE_AZURE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield script
    if not script.fallback:
        assert not script.unused, f"never asked: {script.unused}"


@contextlib.contextmanager
def _module_args(args: dict[str, Any]) -> Iterator[None]:
    try:
        from ansible.module_utils.testing import patch_module_args
    except ImportError:
        # ansible-core 2.17 and 2.18 have no such helper yet.
        before, basic._ANSIBLE_ARGS = basic._ANSIBLE_ARGS, json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()
        try:
            yield
        finally:
            basic._ANSIBLE_ARGS = before
    else:
        with patch_module_args(args):
            yield


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def run(name: str, args: dict[str, Any], *, check_mode: bool = False, diff: bool = False) -> Outcome:
        module = importlib.import_module(f"ansible_collections.pgflex.migrate.plugins.modules.{name}")
        # A module's program ends with it; here the warnings of one would be the next one's as well.
        warnings._global_warnings.clear()
        given = {**args, "_ansible_check_mode": check_mode, "_ansible_diff": diff}
        given |= {"_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False}
        with _module_args(given), pytest.raises(SystemExit):
            module.main()
        printed = capsys.readouterr()
        return Outcome(json.loads(printed.out.strip().splitlines()[-1]), printed.out + printed.err)

    return run


@pytest.fixture
def sign_in() -> dict[str, str]:
    return dict(SIGN_IN)
