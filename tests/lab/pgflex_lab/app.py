# SPDX-License-Identifier: GPL-3.0-or-later
"""The network face: one ASGI application for ARM, Entra, Graph and the lab's own API."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from pgflex_lab import admin, bodies, entra, seed
from pgflex_lab.arm.http import ArmError
from pgflex_lab.directory import AuthenticationFailed, Caller, InvalidToken
from pgflex_lab.faults import Fault
from pgflex_lab.graph import GraphError, GraphRequest
from pgflex_lab.lab import Lab
from pgflex_lab.settings import Settings
from pgflex_lab.tls import Authority

log = logging.getLogger(__name__)

MAX_BODY = 4 * 1024 * 1024
GRAPH = re.compile(r"/v1\.0(?=/|$)")
DISCOVERY = re.compile(r"/(?P<tenant>[^/]+)(?:/v2\.0)?/\.well-known/openid-configuration")
TOKEN = re.compile(r"/(?P<tenant>[^/]+)/oauth2(?:/v2\.0)?/token")
KEYS = re.compile(r"/(?P<tenant>[^/]+)/discovery(?:/v2\.0)?/keys")
WRITES_AT_ONCE, READS_AT_ONCE = 800, 16000


@dataclass
class Answer:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """One HTTP request, read and cut into what the parts need."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes
    base_url: str
    request_id: str
    started: float
    principal: str = ""

    @property
    def client_request_id(self) -> str | None:
        return self.headers.get("x-ms-client-request-id") or self.headers.get("client-request-id")

    def json(self) -> Any:
        return bodies.parse(self.raw)


class RequestLog:
    """One line for each request in requests.jsonl; bodies and headers are not kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._entries = []
            self._path.touch(mode=0o600)
            self._path.write_text("")

    def entries(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._entries)

    def add(self, call: Call, status: int, fault: str | None) -> None:
        entry: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "method": call.method,
            "path": call.path,
            "api_version": call.query.get("api-version", ""),
            "query": {name: value for name, value in call.query.items() if name != "api-version"},
            "status": status,
            "principal": call.principal,
            "client_request_id": call.client_request_id or "",
            "request_id": call.request_id,
            "seconds": round(time.monotonic() - call.started, 4),
        }
        if fault:
            entry["fault"] = fault
        with self._lock:
            self._entries.append(entry)
            with self._path.open("a") as handle:
                handle.write(json.dumps(entry) + "\n")


class Service:
    """Holds the lab that is current (a reset makes a new one) and answers calls; synchronous, for worker threads."""

    def __init__(self, settings: Settings, authority: Authority) -> None:
        self.settings = settings
        self._authority = authority
        self.log = RequestLog(settings.home / "requests.jsonl")
        self._seen: dict[str, Answer] = {}
        self._reset_lock = threading.Lock()
        self.lab = self._make()
        self.changed: Callable[[], None] = lambda: None
        """Called when the servers are other ones than before."""

    def _make(self) -> Lab:
        data = seed.load(self.settings.seed)
        lab = Lab(self.settings, self._authority)
        with ExitStack() as undo:
            # Nothing may keep running when the seed is wrong.
            undo.callback(lab.close)
            seed.apply(lab, data)
            undo.pop_all()
        return lab

    def reset(self, body: dict[str, Any]) -> None:
        with self._reset_lock:
            self.settings = admin.settings_for(self.settings, body)
            seed.load(self.settings.seed)
            self.lab.close()
            self._seen.clear()
            self.lab = self._make()
            self.changed()

    def answer(self, call: Call, fault: Fault | None) -> Answer:
        if call.path.startswith("/_lab/"):
            return self._admin(call)
        if fault is not None and fault.kind in ("throttle", "error"):
            return self._refused(call, fault)
        if call.path == "/metadata/endpoints":
            return Answer(200, entra.cloud_metadata(call.base_url, call.query.get("api-version", "")))
        signing_in = self._sign_in(call)
        if signing_in is not None:
            return signing_in
        if GRAPH.match(call.path):
            return self._graph(call, fault)
        return self._arm(call, fault)

    def _admin(self, call: Call) -> Answer:
        try:
            status, body = admin.handle(self, call.method, call.path.removeprefix("/_lab/"), call.json())
        except bodies.InvalidJson:
            return Answer(400, {"error": "the body is not JSON"})
        return Answer(status, body)

    @staticmethod
    def _refused(call: Call, fault: Fault) -> Answer:
        if fault.kind == "throttle":
            message = "The request is being throttled as the limit has been reached. Please retry after some time."
            code = "TooManyRequests" if GRAPH.match(call.path) else "SubscriptionRequestsThrottled"
            return Answer(429, ArmError(429, code, message).body(), {"Retry-After": f"{fault.retry_after:g}"})
        return Answer(fault.status, fault.as_error().body())

    # Entra

    def _sign_in(self, call: Call) -> Answer | None:
        directory = self.lab.directory
        try:
            if call.path == "/common/discovery/instance":
                return Answer(200, entra.instance_discovery(call.base_url))
            if call.path == "/metadata/identity/oauth2/token":
                return Answer(200, entra.managed_identity_token(directory, call.query))
            if match := DISCOVERY.fullmatch(call.path):
                return Answer(200, entra.openid_configuration(directory, call.base_url, match["tenant"]))
            if KEYS.fullmatch(call.path):
                return Answer(200, entra.signing_keys(directory))
            if match := TOKEN.fullmatch(call.path):
                if call.method != "POST":
                    return Answer(
                        405, {"error": "invalid_request", "error_description": "AADSTS900561: POST is expected."}
                    )
                return Answer(200, entra.token(directory, match["tenant"], call.raw.decode("utf-8", "replace")))
        except AuthenticationFailed as failure:
            return Answer(failure.status, entra.error_body(failure, call.client_request_id))
        return None

    def _authenticate(self, call: Call, audiences: tuple[str, ...], fault: Fault | None) -> Caller:
        if fault is not None and fault.kind == "expired_token":
            raise InvalidToken(
                "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time."
            )
        caller, audience = self.lab.directory.verify_token(call.headers.get("authorization"))
        call.principal = caller.object_id
        if not entra.audience_fits(audience, audiences):
            raise InvalidToken(
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource '{audience}'. It should exactly "
                "match "
                f"with one of the allowed audiences '{','.join(audiences)}'.",
            )
        return caller

    # Graph

    def _graph(self, call: Call, fault: Fault | None) -> Answer:
        headers = {"request-id": call.request_id, "client-request-id": call.client_request_id or call.request_id}
        try:
            caller = self._authenticate(call, entra.GRAPH_AUDIENCES, fault)
            principal = self.lab.directory.principals.get(caller.object_id)
            if principal is None:
                raise GraphError(
                    401,
                    "Authorization_IdentityNotFound",
                    "The identity of the calling application could not be established.",
                )
            request = GraphRequest(
                call.method, GRAPH.sub("", call.path), call.query, call.json(), principal, call.base_url
            )
            status, body = self.lab.graph.handle(request)
            return Answer(status, body, headers)
        except InvalidToken as error:
            refused = GraphError(401, "InvalidAuthenticationToken", error.text)
            challenge = {
                "WWW-Authenticate": 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
            }
            return Answer(401, refused.body(call.request_id, call.client_request_id), headers | challenge)
        except bodies.InvalidJson:
            bad = GraphError(
                400,
                "BadRequest",
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid "
                "JSON format.",
            )
            return Answer(400, bad.body(call.request_id, call.client_request_id), headers)
        except GraphError as error:
            return Answer(error.status, error.body(call.request_id, call.client_request_id), headers)

    # ARM

    def _arm(self, call: Call, fault: Fault | None) -> Answer:
        headers = self._arm_headers(call)
        try:
            caller = self._authenticate(call, entra.ARM_AUDIENCES, fault)
            if fault is not None and fault.kind == "stale" and call.method == "GET":
                return self._stale(call, headers)
            response = self.lab.router.dispatch(
                call.method, call.path, call.query, self._arm_body(call), caller, call.base_url, call.headers
            )
        except InvalidToken as error:
            uri = f"https://login.microsoftonline.com/{self.lab.directory.tenant_id}"
            challenge = f'Bearer authorization_uri="{uri}", error="invalid_token", error_description="{error.text}"'
            return Answer(401, ArmError(401, error.code, error.text).body(), headers | {"WWW-Authenticate": challenge})
        except ArmError as error:
            return Answer(error.status, error.body(), headers | dict(error.headers))
        answer = Answer(response.status, response.body, headers | dict(response.headers))
        if call.method == "GET" and response.status == 200:
            self._seen[self._url(call)] = answer
        return answer

    @staticmethod
    def _url(call: Call) -> str:
        return f"{call.path.lower()}?{sorted(call.query.items())}"

    def _stale(self, call: Call, headers: dict[str, str]) -> Answer:
        """What this URL showed the last time, or ARM's 404 when it was never read."""
        known = self._seen.get(self._url(call))
        if known is not None:
            return Answer(known.status, known.body, headers)
        error = ArmError(404, "ResourceNotFound", f"The Resource '{call.path}' was not found.")
        return Answer(404, error.body(), headers)

    @staticmethod
    def _arm_body(call: Call) -> Any:
        try:
            return call.json()
        except bodies.InvalidJson as error:
            raise ArmError(
                400,
                "InvalidRequestContent",
                f"The request content was invalid and could not be deserialized: '{error}'.",
            ) from None

    @staticmethod
    def _arm_headers(call: Call) -> dict[str, str]:
        headers = {
            "x-ms-request-id": call.request_id,
            "x-ms-correlation-request-id": call.headers.get("x-ms-correlation-request-id", call.request_id),
            "x-ms-routing-request-id": f"EASTUS:{datetime.now(UTC):%Y%m%dT%H%M%SZ}:{call.request_id}",
            "Cache-Control": "no-cache",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        }
        if call.method in ("GET", "HEAD"):
            headers["x-ms-ratelimit-remaining-subscription-reads"] = str(READS_AT_ONCE - 1)
        elif call.method == "DELETE":
            headers["x-ms-ratelimit-remaining-subscription-deletes"] = str(WRITES_AT_ONCE - 1)
        else:
            headers["x-ms-ratelimit-remaining-subscription-writes"] = str(WRITES_AT_ONCE - 1)
        if call.headers.get("x-ms-return-client-request-id", "").lower() == "true" and call.client_request_id:
            headers["x-ms-client-request-id"] = call.client_request_id
        return headers


class App:
    """ASGI: reads the call, lets faults happen, sends the answer, writes the log."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            call = await self._read(scope, receive)
        except ClientDisconnect:
            return
        if call is None:
            await _send(send, Answer(413, ArmError(413, "RequestEntityTooLarge", "The request is too large.").body()))
            return
        own = call.path.startswith("/_lab/")
        fault = None if own else self._service.lab.faults.take(call.method, call.path)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind == "reset":
            self._service.log.add(call, 0, fault.kind)
            _abort(send)
            return
        answer = await self._answer(call, fault)
        if not own:
            self._service.log.add(call, answer.status, fault.kind if fault else None)
        await _send(send, answer, head=call.method == "HEAD", truncate=fault is not None and fault.kind == "truncate")

    async def _answer(self, call: Call, fault: Fault | None) -> Answer:
        """Whatever goes wrong in a handler, a client gets ARM's 500 and never a traceback."""
        work = asyncio.create_task(asyncio.to_thread(self._service.answer, call, fault))
        await asyncio.wait({work})
        failure = work.exception()
        if failure is None:
            return work.result()
        log.error("%s %s failed", call.method, call.path, exc_info=failure)
        message = (
            "Encountered internal server error. Diagnostic information: timestamp "
            f"'{datetime.now(UTC):%Y%m%dT%H%M%SZ}', request id '{call.request_id}'."
        )
        body = ArmError(500, "InternalServerError", message).body()
        if GRAPH.match(call.path):
            body = GraphError(500, "InternalServerError", message).body(call.request_id, call.client_request_id)
        return Answer(500, body, {"x-ms-request-id": call.request_id})

    @staticmethod
    async def _read(scope: Scope, receive: Receive) -> Call | None:
        request = Request(scope, receive)
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > MAX_BODY:
                return None
        path = re.sub(r"/{2,}", "/", unquote(request.url.path))
        host = request.headers.get("host", "localhost")
        return Call(
            method=request.method,
            path=path,
            query={name.lower(): value for name, value in request.query_params.items()},
            headers={name.lower(): value for name, value in request.headers.items()},
            raw=raw,
            base_url=f"https://{host}",
            request_id=str(uuid.uuid4()),
            started=time.monotonic(),
        )


def _abort(send: Send) -> None:
    """uvicorn's own connection object is behind `send`: a reset has to skip every layer."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()


async def _send(send: Send, answer: Answer, *, head: bool = False, truncate: bool = False) -> None:
    payload = b"" if answer.body is None else json.dumps(answer.body).encode()
    headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
    if payload:
        headers.append((b"content-type", b"application/json; charset=utf-8"))
    if answer.status != 204:
        headers.append((b"content-length", str(len(payload)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if truncate and len(payload) > 1:
        await send({"type": "http.response.body", "body": payload[: len(payload) // 2], "more_body": True})
        await asyncio.sleep(0.05)
        _abort(send)
        return
    await send({"type": "http.response.body", "body": b"" if head else payload})
