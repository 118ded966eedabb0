# SPDX-License-Identifier: GPL-3.0-or-later
"""Tenants, subscriptions and what is listed across them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmRequest, ArmResponse
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

SUBSCRIPTIONS = "Microsoft.Resources/subscriptions"
GROUPS = "Microsoft.Resources/subscriptions/resourceGroups"
NOT_LISTED = ("microsoft.resources/", "microsoft.authorization/", "pgflexlab/")
LOCATIONS = {
    "eastus": "East US",
    "eastus2": "East US 2",
    "westus2": "West US 2",
    "westus3": "West US 3",
    "centralus": "Central US",
    "northeurope": "North Europe",
    "westeurope": "West Europe",
    "germanywestcentral": "Germany West Central",
    "uksouth": "UK South",
    "southeastasia": "Southeast Asia",
}


def short_location(text: str) -> str:
    """`East US` and `eastus` are the same place."""
    return text.replace(" ", "").lower()


def long_location(text: str) -> str:
    return LOCATIONS.get(short_location(text), text)


class Subscriptions:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        return [
            ResourceType("Microsoft.Resources/tenants", {"LIST": self.list_tenants}, open_to_all=True),
            ResourceType(SUBSCRIPTIONS, {"LIST": self.list, "GET": self.get}, open_to_all=True),
            ResourceType(f"{SUBSCRIPTIONS}/locations", {"LIST": self.list_locations}, open_to_all=True),
            ResourceType(f"{SUBSCRIPTIONS}/resources", {"LIST": self.list_resources}, open_to_all=True),
            ResourceType(f"{GROUPS}/resources", {"LIST": self.list_resources}, rbac=GROUPS),
        ]

    def add(self, subscription_id: str, display_name: str) -> Resource:
        target = ResourceId(f"/subscriptions/{subscription_id}")
        return self._lab.store.put(Resource(target, SUBSCRIPTIONS, internal={"display_name": display_name}))

    def _view(self, item: Resource) -> dict[str, Any]:
        return {
            "id": str(item.id),
            "authorizationSource": "RoleBased",
            "managedByTenants": [],
            "tags": item.tags,
            "subscriptionId": item.name,
            "tenantId": self._lab.directory.tenant_id,
            "displayName": item.internal["display_name"],
            "state": "Enabled",
            "subscriptionPolicies": {
                "locationPlacementId": "Internal_2014-09-01",
                "quotaId": "EnterpriseAgreement_2014-09-01",
                "spendingLimit": "Off",
            },
        }

    def list(self, request: ArmRequest) -> ArmResponse:
        found = self._lab.store.children(ResourceId("/"), SUBSCRIPTIONS)
        seen = [item for item in found if self._lab.rbac.sees_something_in(request.principal_id, item.id)]
        count = {"type": "Total", "value": len(seen)}
        return ArmResponse(200, {"value": [self._view(item) for item in seen], "count": count})

    def get(self, request: ArmRequest) -> ArmResponse:
        item = self._lab.store.require(request.id)
        if not self._lab.rbac.sees_something_in(request.principal_id, item.id):
            # ARM does not tell a stranger whether the subscription exists.
            raise self._lab.refusal(request, "Microsoft.Resources/subscriptions/read")
        return ArmResponse(200, self._view(item))

    def list_tenants(self, request: ArmRequest) -> ArmResponse:
        directory = self._lab.directory
        tenant = {
            "id": f"/tenants/{directory.tenant_id}",
            "tenantId": directory.tenant_id,
            "countryCode": "US",
            "displayName": directory.display_name,
            "domains": [directory.domain],
            "tenantCategory": "Home",
            "defaultDomain": directory.domain,
            "tenantType": "AAD",
        }
        return ArmResponse(200, {"value": [tenant]})

    def list_locations(self, request: ArmRequest) -> ArmResponse:
        value = [
            {
                "id": f"{request.id}/{name}",
                "name": name,
                "type": "Region",
                "displayName": display,
                "regionalDisplayName": display,
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
            }
            for name, display in LOCATIONS.items()
        ]
        return ArmResponse(200, {"value": value})

    def list_resources(self, request: ArmRequest) -> ArmResponse:
        """Top-level resources, as the generic list shows them: no properties."""
        scope = request.id.parent
        wanted = re.search(r"resourceType\s+eq\s+'([^']+)'", request.query.get("$filter", ""), re.IGNORECASE)
        found = []
        for item in self._lab.store.all():
            kind = item.type.lower()
            if not scope.contains(item.id) or kind.startswith(NOT_LISTED) or kind.count("/") != 1:
                continue
            if wanted and kind != wanted.group(1).lower():
                continue
            if self._lab.rbac.allows(request.principal_id, f"{item.type}/read", item.id):
                found.append(item)
        value = [
            {
                "id": str(item.id),
                "name": item.name,
                "type": item.type,
                **({"sku": item.sku} if item.sku else {}),
                "location": short_location(item.location),
                "tags": item.tags,
            }
            for item in found
        ]
        return ArmResponse(200, {"value": value})
