# SPDX-License-Identifier: GPL-3.0-or-later
"""The classic service works with an Entra application's rights; they are looked up when it needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.directory import AuthenticationFailed
from pgflex_lab.migrations.endpoints import journey, source_id
from pgflex_lab.migrations.model import Migration, MigrationFailure

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab


PROVIDER = "Microsoft.DataMigration"


def check_application(lab: Lab, migration: Migration) -> None:
    app = migration.order.app
    if app is None:
        raise MigrationFailure(
            "'secretParameters.aadApp' is missing: the migration needs an Azure Active Directory app."
        )
    try:
        principal = lab.directory.authenticate(app.tenant_id, app.client_id, app.secret)
    except AuthenticationFailed as error:
        raise MigrationFailure(f"The Azure Active Directory app could not sign in. {error}") from error
    subscription = migration.target_id.subscription_id
    if not lab.registered(subscription, PROVIDER):
        raise MigrationFailure(f"The subscription '{subscription}' is not registered to use namespace '{PROVIDER}'.")
    for action, scope in _needed(lab, migration):
        if not lab.rbac.allows(principal.id, action, scope):
            raise MigrationFailure(
                f"The client '{app.client_id}' with object id '{principal.id}' does not have authorization to perform "
                f"action '{action}' over scope '{scope}'. Assign the role Contributor to the app on that scope."
            )


def _needed(lab: Lab, migration: Migration) -> list[tuple[str, ResourceId]]:
    """Contributor on both servers, on the migration's resource group, and on the networks it has to do with."""
    order = migration.order
    target = migration.target_id
    group = order.resource_group or f"/subscriptions/{target.subscription_id}/resourceGroups/{target.resource_group}"
    found = [
        ("Microsoft.DBforPostgreSQL/flexibleServers/write", target),
        ("Microsoft.DataMigration/services/write", ResourceId.parse(group)),
    ]
    source = source_id(order)
    if source is not None:
        found.insert(0, (f"{source.type}/write", source))
    networks = lab.reachability.networks(journey(lab, order, lab.store.require(target), classic=True))
    found += [("Microsoft.Network/virtualNetworks/subnets/join/action", network) for network in networks]
    return found
