# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._auth import sign_in_of
from ansible_collections.pgflex.migrate.plugins.module_utils._clients import Azure
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure
from ansible_collections.pgflex.migrate.plugins.module_utils._inventory.discovery import servers, subscriptions
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.settings import FLEXIBLE, SINGLE

ONE, TWO = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
PROVIDER = "providers/Microsoft.DBforPostgreSQL"
KINDS = {SINGLE: "servers", FLEXIBLE: "flexibleServers"}


def listed(subscription: str, kind: str) -> str:
    return f"/subscriptions/{subscription}/{PROVIDER}/{KINDS[kind]}"


def found(subscription: str, kind: str, name: str) -> dict[str, Any]:
    where = f"/subscriptions/{subscription}/resourceGroups/shop-rg/{PROVIDER}/{KINDS[kind]}/{name}"
    return {"id": where, "name": name, "location": "West Europe", "properties": {"version": "11"}, "tags": {"a": "b"}}


@pytest.fixture
def azure(arm: Any, sign_in: dict[str, str]) -> Azure:
    arm.any_order = True
    return Azure(sign_in_of(sign_in))


def test_one_list_for_each_kind_and_subscription_and_its_pages(arm: Any, azure: Azure) -> None:
    for subscription in (ONE, TWO):
        path = listed(subscription, FLEXIBLE)
        more = f"https://management.azure.com{path}/more?api-version=2026-01-01&page=2"
        rows = [found(subscription, FLEXIBLE, f"flex-{subscription[0]}-{number}") for number in range(3)]
        arm.expect("GET", path, json={"value": rows[:2], "nextLink": more})
        arm.expect("GET", f"{path}/more", json={"value": rows[2:]})
        arm.expect("GET", listed(subscription, SINGLE), json={"value": [found(subscription, SINGLE, "single")]})
    rows = servers(azure, [ONE, TWO], [SINGLE, FLEXIBLE])
    assert [row["name"] for row in rows] == [
        *("single", "flex-1-0", "flex-1-1", "flex-1-2"),
        *("single", "flex-2-0", "flex-2-1", "flex-2-2"),
    ]
    assert {(row["kind"], row["subscription_id"]) for row in rows} == {
        (SINGLE, ONE),
        (FLEXIBLE, ONE),
        (SINGLE, TWO),
        (FLEXIBLE, TWO),
    }
    assert (rows[0]["location"], rows[0]["tags"]) == ("westeurope", {"a": "b"})
    assert len(arm.requests) == 6


def test_a_subscription_without_the_provider_has_no_servers(arm: Any, azure: Azure) -> None:
    arm.expect("GET", listed(ONE, SINGLE), status=404, json={"error": {"code": "InvalidResourceType", "message": "no"}})
    assert servers(azure, [ONE], [SINGLE]) == []


@pytest.mark.parametrize(("status", "code"), [(404, "SubscriptionNotFound"), (403, "AuthorizationFailed")])
def test_what_can_not_be_read_is_no_empty_list(arm: Any, azure: Azure, status: int, code: str) -> None:
    arm.expect("GET", listed(ONE, SINGLE), status=status, json={"error": {"code": code, "message": "Because."}})
    with pytest.raises(
        ModuleFailure, match=f"Failed to list the Single Servers of subscription {ONE}: Because"
    ) as told:
        servers(azure, [ONE], [SINGLE])
    assert told.value.code == code


def test_subscriptions_come_in_pages_and_without_those_that_have_ended(arm: Any, azure: Azure) -> None:
    more = "https://management.azure.com/subscriptions?api-version=2022-12-01&page=2"
    rows = [{"subscriptionId": ONE, "state": "Enabled"}, {"subscriptionId": "3", "state": "Deleted"}]
    arm.expect("GET", "/subscriptions", api_version="2022-12-01", json={"value": rows, "nextLink": more})
    arm.expect("GET", "/subscriptions", query={"page": "2"}, json={"value": [{"subscriptionId": TWO}]})
    assert subscriptions(azure) == [ONE, TWO]


def test_subscriptions_that_can_not_be_listed(arm: Any, azure: Azure) -> None:
    arm.expect(
        "GET", "/subscriptions", status=401, json={"error": {"code": "ExpiredAuthenticationToken", "message": "x"}}
    )
    arm.fail_everything(401, "InvalidAuthenticationToken", "no")
    with pytest.raises(ModuleFailure, match="Failed to list the subscriptions: "):
        subscriptions(azure)
