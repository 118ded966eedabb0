# SPDX-License-Identifier: GPL-3.0-or-later
"""Network security groups and their rules."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.http import ArmRequest, ArmResponse, section, tags_of
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.arm.store import Resource
from pgflex_lab.resources.networking import NAME, NSG, SUBNET, bad, body_of, items, shown

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

RULE = f"{NSG}/securityRules"
DEFAULT_RULE = f"{NSG}/defaultSecurityRules"
DIRECTIONS = ("Inbound", "Outbound")
PROTOCOLS = ("*", "Tcp", "Udp", "Icmp", "Esp", "Ah")
RANGES = (
    ("sourceAddressPrefix", "sourceAddressPrefixes"),
    ("destinationAddressPrefix", "destinationAddressPrefixes"),
    ("sourcePortRange", "sourcePortRanges"),
    ("destinationPortRange", "destinationPortRanges"),
)
DEFAULTS = (
    ("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
    ("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
    ("AllowVnetOutBound", 65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "Internet"),
    ("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
)


class NetworkSecurityGroups:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def types(self) -> list[ResourceType]:
        group = {"LIST": self.list, "GET": self.get, "PUT": self.put, "PATCH": self.patch, "DELETE": self.delete}
        rule = {"LIST": self.list_rules, "GET": self.get_rule, "PUT": self.put_rule, "DELETE": self.delete_rule}
        fixed = {"LIST": self.list_defaults, "GET": self.get_default}
        return [ResourceType(NSG, group), ResourceType(RULE, rule), ResourceType(DEFAULT_RULE, fixed)]

    # Bodies

    def rules(self, group_id: ResourceId) -> list[Resource]:
        return self._lab.store.children(group_id, RULE)

    @staticmethod
    def _defaults(group: Resource) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "id": f"{group.id}/defaultSecurityRules/{name}",
                "etag": group.internal["etag"],
                "type": DEFAULT_RULE,
                "properties": {
                    "provisioningState": "Succeeded",
                    "protocol": "*",
                    "sourcePortRange": "*",
                    "destinationPortRange": "*",
                    "sourceAddressPrefix": source,
                    "destinationAddressPrefix": destination,
                    "access": access,
                    "priority": priority,
                    "direction": direction,
                    "sourcePortRanges": [],
                    "destinationPortRanges": [],
                    "sourceAddressPrefixes": [],
                    "destinationAddressPrefixes": [],
                },
            }
            for name, priority, direction, access, source, destination in DEFAULTS
        ]

    def effective(self, group: Resource) -> list[dict[str, Any]]:
        """Its own rules and those that every group has."""
        return [*(self.rule_view(rule) for rule in self.rules(group.id)), *self._defaults(group)]

    @staticmethod
    def rule_view(item: Resource) -> dict[str, Any]:
        return shown(item, dict(item.properties))

    def view(self, item: Resource) -> dict[str, Any]:
        subnets = [
            {"id": str(subnet.id)}
            for subnet in self._lab.store.children(ResourceId("/"), SUBNET)
            if section(subnet.properties, "networkSecurityGroup").get("id", "").lower() == item.id.key
        ]
        properties = {
            **item.properties,
            "securityRules": [self.rule_view(rule) for rule in self.rules(item.id)],
            "defaultSecurityRules": self._defaults(item),
            **({"subnets": subnets} if subnets else {}),
        }
        return shown(item, properties)

    def _rule(self, target: ResourceId, body: dict[str, Any], others: list[Resource]) -> Resource:
        if not NAME.fullmatch(target.name):
            raise bad("InvalidResourceName", f"Resource name {target.name} is invalid.")
        given = section(body, "properties")
        for key, known in (("access", ("Allow", "Deny")), ("direction", DIRECTIONS), ("protocol", PROTOCOLS)):
            if str(given.get(key)).lower() not in [item.lower() for item in known]:
                raise bad("InvalidRequestFormat", f"Cannot parse the request: {key} of rule {target.name}.")
        priority = given.get("priority")
        if isinstance(priority, bool) or not isinstance(priority, int) or not 100 <= priority <= 4096:
            raise bad(
                "SecurityRuleInvalidPriority",
                f"Security rule has invalid Priority. Value provided: {priority} Allowed range 100-4096.",
            )
        for one, many in RANGES:
            if not given.get(one) and not given.get(many):
                raise bad(
                    "SecurityRuleParameterMissing",
                    f"Required security rule parameters are missing for security rule {target.name}: {one} or {many}.",
                )
        for other in others:
            same = other.properties["priority"] == priority and other.properties["direction"] == given["direction"]
            if other.id != target and same:
                raise bad(
                    "SecurityRuleConflict",
                    f"Security rule {target.name} conflicts with rule {other.name}. Rules cannot have the same "
                    "Priority and Direction.",
                )
        empty: dict[str, Any] = {many: [] for _one, many in RANGES}
        kept = {key: value for key, value in given.items() if value is not None}
        made = Resource(target, RULE, properties={**empty, **kept, "provisioningState": "Succeeded"})
        self._lab.networking.touch(made)
        return made

    # Groups

    def list(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.list(request, NSG, self.view)

    def get(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.view(self._lab.store.require(request.id)))

    def patch(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.patch_tags(request, self.view)

    def put(self, request: ArmRequest) -> ArmResponse:
        body = body_of(request)
        with self._lab.store.locked():
            before = self._lab.store.get(request.id)
            made = Resource(request.id, NSG, self._lab.networking.place(request, body, before), tags_of(body))
            made.properties["resourceGuid"] = before.properties["resourceGuid"] if before else str(uuid.uuid4())
            wanted: dict[str, Resource] = {}
            for item in items(request.properties(), "securityRules"):
                target = request.id.child("securityRules", str(item.get("name") or ""))
                wanted[target.key] = self._rule(target, item, [*wanted.values()])
            for gone in self.rules(request.id):
                self._lab.store.delete(gone.id)
            answer = self._lab.networking.written(request, made, self.view)
            for rule in wanted.values():
                self._lab.store.put(rule)
            return ArmResponse(answer.status, self.view(made), answer.headers)

    def delete(self, request: ArmRequest) -> ArmResponse:
        group = self._lab.store.get(request.id)
        if group is None:
            return ArmResponse(204)
        if used := self.view(group)["properties"].get("subnets"):
            raise bad(
                "InUseNetworkSecurityGroupCannotBeDeleted",
                f"Network security group {group.id} cannot be deleted because it is in use by the following "
                f"resources: {used[0]['id']}. In order to delete the Network security group, remove the association "
                "with the resource(s). To learn how to do this, see aka.ms/deletensg.",
            )
        return self._lab.networking.deleted(request, lambda: None)

    # Rules

    def list_rules(self, request: ArmRequest) -> ArmResponse:
        return self._lab.networking.list(request, RULE, self.rule_view)

    def get_rule(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, self.rule_view(self._lab.store.require(request.id)))

    def put_rule(self, request: ArmRequest) -> ArmResponse:
        with self._lab.store.locked():
            group = self._lab.store.require(request.id.parent)
            made = self._rule(request.id, body_of(request), self.rules(group.id))
            self._lab.networking.touch(group)
            return self._lab.networking.written(request, made, self.rule_view)

    def delete_rule(self, request: ArmRequest) -> ArmResponse:
        if self._lab.store.get(request.id) is None:
            return ArmResponse(204)
        return self._lab.networking.deleted(request, lambda: None)

    def list_defaults(self, request: ArmRequest) -> ArmResponse:
        return ArmResponse(200, {"value": self._defaults(self._lab.store.require(request.id.parent))})

    def get_default(self, request: ArmRequest) -> ArmResponse:
        found = self._defaults(self._lab.store.require(request.id.parent))
        rule = next((item for item in found if item["name"].lower() == request.id.name.lower()), None)
        if rule is None:
            raise self._lab.store.missing(request.id)
        return ArmResponse(200, rule)
