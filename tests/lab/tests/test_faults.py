# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of fault, seen through real clients, and the plan's own rules."""

from __future__ import annotations

import time

import pytest
import requests
from azure.core.exceptions import HttpResponseError, IncompleteReadError, ServiceRequestError, ServiceResponseError

from pgflex_lab.arm.http import ArmError
from pgflex_lab.faults import FaultPlan, InvalidFault
from pgflex_lab.process import LabFailed
from sdk_clients import GROUP, Clients

SERVER = "flexibleServers/shop-flex$"


def statuses(clients: Clients, path: str) -> list[int]:
    return [item["status"] for item in clients.lab.requests() if path.lower() in item["path"].lower()]


def test_throttling_is_retried_after_the_time_said(clients: Clients) -> None:
    clients.lab.admin("DELETE", "requests")
    clients.lab.plan_faults({"kind": "throttle", "path": SERVER, "times": 1, "retry_after": 1})
    started = time.monotonic()
    assert clients.flexible.servers.get(GROUP, "shop-flex").name == "shop-flex"
    assert time.monotonic() - started >= 1
    assert statuses(clients, "flexibleServers/shop-flex") == [429, 200]


def test_server_errors_are_retried(clients: Clients) -> None:
    clients.lab.admin("DELETE", "requests")
    clients.lab.plan_faults({"kind": "error", "path": SERVER, "times": 1, "status": 502})
    assert clients.flexible.servers.get(GROUP, "shop-flex").name == "shop-flex"
    assert statuses(clients, "flexibleServers/shop-flex") == [502, 200]


def test_reset(clients: Clients) -> None:
    clients.lab.plan_faults({"kind": "reset", "path": SERVER, "times": 0})
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        clients.flexible.servers.get(GROUP, "shop-flex", retry_total=0)


def test_truncated_body(clients: Clients) -> None:
    clients.lab.plan_faults({"kind": "truncate", "path": SERVER, "times": 0})
    with pytest.raises((IncompleteReadError, ServiceResponseError, HttpResponseError)):
        clients.flexible.servers.get(GROUP, "shop-flex", retry_total=0)


def test_slow(clients: Clients) -> None:
    clients.lab.plan_faults({"kind": "slow", "path": SERVER, "seconds": 0.5})
    started = time.monotonic()
    clients.flexible.servers.get(GROUP, "shop-flex")
    assert time.monotonic() - started >= 0.5


def test_stale_read(clients: Clients) -> None:
    groups = clients.resources.resource_groups
    groups.create_or_update("stale-rg", {"location": "eastus", "tags": {"a": "old"}})
    assert groups.get("stale-rg").tags == {"a": "old"}
    groups.create_or_update("stale-rg", {"location": "eastus", "tags": {"a": "new"}})
    clients.lab.plan_faults({"kind": "stale", "path": "stale-rg$", "times": 1})
    assert [groups.get("stale-rg").tags["a"] for _each in range(2)] == ["old", "new"]
    groups.create_or_update("unread-rg", {"location": "eastus"})
    clients.lab.plan_faults({"kind": "stale", "path": "unread-rg$", "times": 1})
    with pytest.raises(HttpResponseError):
        groups.get("unread-rg")
    for name in ("stale-rg", "unread-rg"):
        groups.begin_delete(name).result()


def test_sign_in_can_fail_as_well(clients: Clients) -> None:
    clients.lab.plan_faults({"kind": "error", "path": "/oauth2/v2.0/token", "times": 1, "status": 503})
    form = {
        "grant_type": "client_credentials",
        "client_id": clients.client_id,
        "client_secret": clients.secret,
        "scope": f"{clients.lab.url}/.default",
    }
    url = f"{clients.lab.url}/{clients.tenant}/oauth2/v2.0/token"
    assert [requests.post(url, data=form, timeout=10).status_code for _each in range(2)] == [503, 200]


def test_a_wrong_plan_is_refused(clients: Clients) -> None:
    for wrong in ({"kind": "earthquake"}, {"kind": "slow", "colour": "red"}, {"kind": "slow", "path": "("}):
        with pytest.raises(LabFailed, match="400"):
            clients.lab.plan_faults(wrong)
    assert clients.lab.admin("GET", "faults")["value"] == []


def test_after_times_and_probability() -> None:
    plan = FaultPlan(seed=7)
    plan.load({"faults": [{"kind": "error", "after": 1, "times": 2}]})
    assert [plan.take("GET", "/x") is not None for _each in range(5)] == [False, True, True, False, False]
    runs = []
    for _each in range(2):
        again = FaultPlan(seed=7)
        again.load({"faults": [{"kind": "error", "times": 0, "probability": 0.5}]})
        runs.append([again.take("GET", "/x") is not None for _each in range(20)])
    assert runs[0] == runs[1] and 0 < sum(runs[0]) < 20


def test_operations_have_faults_of_their_own() -> None:
    plan = FaultPlan(seed=1)
    plan.load({"faults": [{"kind": "fail_operation", "code": "Boom", "method": "POST"}]})
    assert plan.take("POST", "/x") is None
    assert plan.take_operation("GET", "/x") is None
    error = plan.take_operation("POST", "/x")
    assert isinstance(error, ArmError) and error.code == "Boom"
    with pytest.raises(InvalidFault):
        plan.load([])
