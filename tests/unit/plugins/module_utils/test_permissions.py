# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._auth import SignIn, sign_in_of
from ansible_collections.pgflex.migrate.plugins.module_utils._clients import Azure
from ansible_collections.pgflex.migrate.plugins.module_utils._permissions import allows, may

GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg"
NETWORK = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/shop-vnet"
PEER = "Microsoft.Network/virtualNetworks/peer/action"
OWNER = {"actions": ["*"], "notActions": []}
READER = {"actions": ["*/read"], "notActions": []}


@pytest.mark.parametrize(
    ("permissions", "action", "expected"),
    [
        ([OWNER], PEER, True),
        ([READER], PEER, False),
        ([READER], "Microsoft.Network/virtualNetworks/read", True),
        ([{"actions": ["Microsoft.Network/*"], "notActions": []}], PEER.lower(), True),
        ([{"actions": ["*"], "notActions": ["Microsoft.Network/*/action"]}], PEER, False),
        # Another permission grants what the first one excludes.
        ([{"actions": ["*"], "notActions": ["*/action"]}, {"actions": [PEER], "notActions": []}], PEER, True),
        # The dots of a pattern are dots.
        ([{"actions": ["MicrosoftxNetwork/*"]}], PEER, False),
        ([{"actions": ["Microsoft.Network/virtualNetworks/peer"]}], PEER, False),
        ([{"actions": None, "notActions": None}], PEER, False),
        ([], PEER, False),
    ],
)
def test_allows(permissions: list[dict[str, Any]], action: str, expected: bool) -> None:
    assert allows(permissions, action) is expected


@pytest.fixture
def signed_in(sign_in: dict[str, str]) -> Azure:
    found: SignIn = sign_in_of(sign_in)
    return Azure(found)


def test_asks_at_a_resource_with_the_subscription_of_its_id(arm: Any, signed_in: Azure) -> None:
    other = NETWORK.replace("11111111-1111", "99999999-1111")
    path = other.replace("Microsoft.Network/", "Microsoft.Network//")
    arm.expect("GET", f"{path}/providers/Microsoft.Authorization/permissions", json={"value": [OWNER]})
    assert may(signed_in, other, PEER)


def test_asks_at_a_nested_resource(arm: Any, signed_in: Azure) -> None:
    scope = f"{NETWORK}/subnets/default"
    arm.expect("GET", f"{scope}/providers/Microsoft.Authorization/permissions", json={"value": [READER]})
    assert not may(signed_in, scope, PEER)


def test_asks_at_a_resource_group(arm: Any, signed_in: Azure) -> None:
    arm.expect("GET", f"{GROUP}/providers/Microsoft.Authorization/permissions", json={"value": [OWNER]})
    assert may(signed_in, GROUP, PEER)


def test_who_may_not_even_ask_may_nothing(arm: Any, signed_in: Azure) -> None:
    refused = {"error": {"code": "AuthorizationFailed", "message": "no"}}
    arm.expect("GET", f"{GROUP}/providers/Microsoft.Authorization/permissions", status=403, json=refused)
    assert not may(signed_in, GROUP, PEER)
