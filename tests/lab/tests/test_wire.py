# SPDX-License-Identifier: GPL-3.0-or-later
"""What is below the SDKs: forms, headers, errors, the log; and the proxy, with clients at their defaults."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
import requests
from msgraph import GraphServiceClient

from pgflex_lab.app import Answer, App, Call, RequestLog, Service
from pgflex_lab.arm.ids import InvalidResourceId, ResourceId
from pgflex_lab.faults import Fault, FaultPlan
from sdk_clients import GROUP, Clients, environment

Send = Callable[..., requests.Response]


@pytest.fixture
def send(clients: Clients) -> Send:
    session = requests.Session()
    token = clients.credential.get_token(f"{clients.lab.url}/.default").token
    session.headers["Authorization"] = f"Bearer {token}"

    def call(method: str, path: str, **more: object) -> requests.Response:
        return session.request(method, clients.lab.url + path, timeout=10, **more)  # type: ignore[arg-type]

    return call


def error(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_paths_match_without_case_and_double_slashes(clients: Clients, send: Send) -> None:
    path = (
        f"//subscriptions/{clients.subscription.upper()}//RESOURCEgroups/SHOP-rg/Providers/microsoft.dbforpostgresql/"
    )
    answer = send("GET", f"{path}FlexibleServers/SHOP-FLEX?API-version=2024-08-01")
    assert (answer.status_code, answer.json()["name"]) == (200, "shop-flex")


def test_headers(clients: Clients, send: Send) -> None:
    asked = {"x-ms-client-request-id": "mine", "x-ms-return-client-request-id": "true"}
    answer = send("GET", f"{clients.group_id}?api-version=2022-09-01", headers=asked)
    assert answer.headers["x-ms-request-id"] and answer.headers["x-ms-client-request-id"] == "mine"
    assert int(answer.headers["x-ms-ratelimit-remaining-subscription-reads"]) > 0
    assert send("HEAD", f"{clients.group_id}?api-version=2022-09-01").status_code == 204
    assert send("HEAD", f"{clients.group_id}x?api-version=2022-09-01").status_code == 404


def test_bad_requests(clients: Clients, send: Send) -> None:
    root = clients.group_id
    server = f"{root}/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-flex"
    known = "api-version=2024-08-01"
    cases = [
        ("GET", root, None, (400, "MissingApiVersionParameter")),
        ("GET", f"{server}?api-version=yesterday", None, (400, "InvalidApiVersionParameter")),
        ("GET", f"{server}?api-version=2019-01-01", None, (400, "InvalidResourceType")),
        ("PUT", f"{server}?api-version=2019-01-01", b"{}", (400, "NoRegisteredProviderFound")),
        ("PUT", f"{server}?{known}", b"{", (400, "InvalidRequestContent")),
        ("PUT", f"{server}?{known}", b"[]", (400, "InvalidRequestContent")),
        ("PUT", f"{server}?{known}", b'{"properties": 1}', (400, "InvalidRequestContent")),
        ("PUT", f"{server}?{known}", b'{"properties": {"storage": "big"}}', (400, "InvalidRequestContent")),
        ("PATCH", f"{server}?{known}", b'{"tags": {"a": 1}}', (400, "InvalidRequestContent")),
        ("GET", f"{root}/providers/Microsoft.Nowhere/things/x?{known}", None, (404, "InvalidResourceNamespace")),
        ("GET", f"{root}/providers/Microsoft.DBforPostgreSQL/things/x?{known}", None, (404, "InvalidResourceType")),
        ("POST", f"{server}/explode?{known}", None, (405, "HttpMethodNotAllowed")),
        ("GET", f"/nonsense?{known}", None, (404, "InvalidResourcePath")),
    ]
    for method, path, body, expected in cases:
        assert error(send(method, path, data=body)) == expected, (method, path)


def test_asynchronous_headers_point_back_to_where_the_client_came_in(clients: Clients, send: Send) -> None:
    server = f"{clients.group_id}/providers/Microsoft.DBforPostgreSQL/servers/shop-single"
    body = {"properties": {"value": "16384", "source": "user-override"}}
    started = send("PUT", f"{server}/configurations/work_mem?api-version=2017-12-01", json=body)
    assert started.status_code == 202 and started.headers["Retry-After"] == "1"
    for header in ("Azure-AsyncOperation", "Location"):
        assert started.headers[header].startswith(f"{clients.lab.url}/subscriptions/{clients.subscription}/providers/")
    status = started.headers["Azure-AsyncOperation"].removeprefix(clients.lab.url)
    while (now := send("GET", status).json())["status"] == "InProgress":
        assert "startTime" in now
    assert now["status"] == "Succeeded" and "endTime" in now
    result = send("GET", started.headers["Location"].removeprefix(clients.lab.url))
    assert (result.status_code, result.json()["properties"]["value"]) == (200, "16384")


def test_a_bug_in_the_lab_is_an_arm_error(tmp_path: Path) -> None:
    class Broken:
        """A service with a bug in a handler."""

        def __init__(self) -> None:
            self.lab = SimpleNamespace(faults=FaultPlan(1))
            self.log = RequestLog(tmp_path / "requests.jsonl")

        def answer(self, call: Call, fault: Fault | None) -> Answer:
            raise KeyError("secret detail")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(App(cast(Service, Broken())))
        async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
            return await client.get("/subscriptions?api-version=2022-12-01")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "InternalServerError")
    assert "secret detail" not in answer.text and "Traceback" not in answer.text


def test_the_log_has_no_bodies(clients: Clients, send: Send) -> None:
    clients.lab.admin("DELETE", "requests")
    send("PUT", f"{clients.group_id}?api-version=2022-09-01", json={"location": "eastus", "tags": {"x": "not-logged"}})
    (entry,) = clients.lab.requests()
    assert (entry["method"], entry["status"], entry["api_version"]) == ("PUT", 200, "2022-09-01")
    assert entry["principal"] and entry["request_id"]
    text = (clients.lab.home / "requests.jsonl").read_text()
    assert [json.loads(line) for line in text.splitlines()] == [entry] and "not-logged" not in text


def test_clients_with_their_defaults_through_the_proxy(clients: Clients) -> None:
    with environment(clients.lab, proxy=True):
        by_proxy = Clients.of(clients.lab, by_proxy=True)
        assert by_proxy.single.servers.get(GROUP, "shop-single").name == "shop-single"
        assert by_proxy.flexible.servers.get(GROUP, "shop-flex").name == "shop-flex"
        assert [item.role_name for item in by_proxy.authorization.role_definitions.list(clients.group_id)]
        assert by_proxy.resources.providers.get("Microsoft.Network").registration_state == "Registered"
        rule = {"properties": {"startIpAddress": "10.1.0.1", "endIpAddress": "10.1.0.1"}}
        api = by_proxy.flexible.firewall_rules
        assert api.begin_create_or_update(GROUP, "shop-flex", "proxied", rule).result().name == "proxied"
        api.begin_delete(GROUP, "shop-flex", "proxied").result()

        async def count(graph: GraphServiceClient) -> int:
            found = await graph.applications.get()
            return len(found.value or []) if found else 0

        assert by_proxy.graph(count) >= 5
    assert "HTTPS_PROXY" not in os.environ


def test_the_proxy_refuses_everybody_else(clients: Clients) -> None:
    proxies = {"https": clients.lab.proxy}
    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        requests.get("https://example.org/", proxies=proxies, timeout=10)


def test_ids() -> None:
    server = "/subscriptions/S/resourceGroups/G/providers/Microsoft.DBforPostgreSQL/flexibleServers/x"
    found = ResourceId.parse(f"{server}/migrations/m/")
    assert (found.type, found.names) == ("Microsoft.DBforPostgreSQL/flexibleServers/migrations", ("x", "m"))
    assert found.parent == ResourceId.parse(server.upper()) and str(found.parent) == server
    assert found.parent.parent == ResourceId.parse("subscriptions/s/resourcegroups/g")
    assert found.parent.parent.parent == ResourceId.parse("/subscriptions/S")
    collection = ResourceId.parse(f"{server}/migrations")
    assert collection.is_collection and collection.parent == ResourceId.parse(server)
    assert not ResourceId.parse(server).is_collection
    assignment = ResourceId.parse(server).extension("Microsoft.Authorization", "roleAssignments", "n")
    assert (assignment.namespace, assignment.scope) == ("Microsoft.Authorization", ResourceId.parse(server))
    assert assignment.parent == ResourceId.parse(server)
    named = ResourceId.parse("/subscriptions/S/resourceGroups/providers/providers/Microsoft.Network/virtualNetworks/v")
    assert (named.resource_group, named.namespace) == ("providers", "Microsoft.Network")
    assert ResourceId.parse("/subscriptions").is_collection
    assert ResourceId.parse(server).contains(found) and not found.contains(ResourceId.parse(server))
    assert not ResourceId.parse(server).contains(ResourceId.parse(server + "2"))
    with pytest.raises(InvalidResourceId):
        ResourceId.parse("server.example:5432@user")
