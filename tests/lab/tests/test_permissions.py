# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller may do at a scope, asked with the SDK."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.authorization.v2022_04_01 import AuthorizationManagementClient

from pgflex_lab.process import Running
from sdk_clients import GROUP, Clients


def permissions(clients: Clients) -> AuthorizationManagementClient:
    return AuthorizationManagementClient(
        clients.credential,
        clients.subscription,
        base_url=clients.lab.url,
        credential_scopes=[f"{clients.lab.url}/.default"],
    ).permissions


def test_each_role_at_the_scope_is_a_row(clients: Clients) -> None:
    (row,) = permissions(clients).list_for_resource_group(GROUP)
    assert row.actions == ["*"] and row.not_actions == []


def test_at_a_resource_inherited_roles_count(lab: Running) -> None:
    rows = permissions(Clients.of(lab, "reader")).list_for_resource(
        GROUP, "Microsoft.DBforPostgreSQL", "", "flexibleServers", "shop-flex"
    )
    assert [row.actions for row in rows] == [["*/read"]]


def test_who_has_no_role_there_may_not_ask(lab: Running) -> None:
    with pytest.raises(HttpResponseError) as caught:
        list(permissions(Clients.of(lab, "stranger")).list_for_resource_group(GROUP))
    assert caught.value.status_code == 403
