# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All servers of many subscriptions, with one list for each kind and subscription."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from .._clients import Azure, wire
from .._errors import code_of, doing, service_errors, status_of
from .._migration.settings import SINGLE
from .._parallel import each
from .._server.servers import flexible_result, single_result

SUBSCRIPTIONS = "/subscriptions"
API_VERSION = "2022-12-01"


def subscriptions(azure: Azure) -> list[str]:
    """Every subscription that the identity sees and that has not ended."""
    with doing("list the subscriptions"):
        rows = azure.pages(SUBSCRIPTIONS, API_VERSION)
    return [row["subscriptionId"] for row in rows if row.get("state") not in ("Deleted", "Expired")]


def servers(azure: Azure, subscription_ids: Sequence[str], kinds: Sequence[str]) -> list[dict[str, Any]]:
    """The servers as the info modules give them, and their `kind` in the migration service's words."""
    with doing("sign in"):
        # What the threads share is made before they start.
        azure.credential.get_token(azure.cloud.arm_scope)
    lists = [partial(_list, azure, subscription, kind) for subscription in subscription_ids for kind in kinds]
    return [server for found in each(lambda work: work(), lists) for server in found]


def _list(azure: Azure, subscription_id: str, kind: str) -> list[dict[str, Any]]:
    what = "Single Servers" if kind == SINGLE else "Flexible Servers"
    with doing(f"list the {what} of subscription {subscription_id}"):
        try:
            if kind == SINGLE:
                rows = [single_result(wire(row)) for row in azure.single(subscription_id).servers.list()]
            else:
                listed = azure.flexible(subscription_id).servers.list_by_subscription()
                rows = [flexible_result(wire(row)) for row in listed]
        except service_errors() as error:
            # A subscription without the provider has no servers; one that is not there is a mistake.
            if status_of(error) != 404 or code_of(error) == "SubscriptionNotFound":
                raise
            return []
    return [{**row, "kind": kind} for row in rows]
