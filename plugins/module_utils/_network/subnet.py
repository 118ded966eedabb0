# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a subnet is to become. Pure."""

from __future__ import annotations

from typing import Any

from .._errors import ModuleFailure
from .addresses import contains, network, next_free, overlapping, usable
from .virtual_network import address_space

Row = dict[str, Any]
# The sizes that Azure takes.
LARGEST, SMALLEST = 2, 29
# What Azure says of a subnet and does not take; everything else goes back as it came.
_TOLD = (
    "provisioningState",
    "purpose",
    "ipConfigurations",
    "ipConfigurationProfiles",
    "interfaceEndpoints",
    "privateEndpoints",
    "resourceNavigationLinks",
    "serviceAssociationLinks",
)


def prefixes(subnet: dict[str, Any]) -> list[str]:
    """A subnet has one prefix, or a list of them."""
    properties = subnet["properties"]
    found = properties.get("addressPrefixes") or [properties.get("addressPrefix")]
    return [str(prefix) for prefix in found if prefix]


def in_use(subnet: dict[str, Any]) -> int:
    """How many addresses are taken, as far as Azure lists them."""
    properties = subnet["properties"]
    return len(properties.get("ipConfigurations") or []) + len(properties.get("serviceAssociationLinks") or [])


def has_interfaces(subnet: dict[str, Any]) -> bool:
    """Whether something is in it that its owner can delete; an association with a service is the service's own."""
    properties = subnet["properties"]
    return any(properties.get(name) for name in ("ipConfigurations", "privateEndpoints"))


def to_row(subnet: dict[str, Any]) -> Row:
    """A subnet as ARM answers it, in this collection's words."""
    properties = subnet["properties"]
    fourth = [prefix for prefix in prefixes(subnet) if ":" not in prefix]
    return {
        "id": subnet["id"],
        "name": subnet["name"],
        "address_prefix": next(iter(fourth or prefixes(subnet)), None),
        "delegations": [row["properties"]["serviceName"] for row in properties.get("delegations") or []],
        "service_endpoints": [row["service"] for row in properties.get("serviceEndpoints") or []],
        "free_addresses": max(0, sum(usable(prefix) for prefix in fourth) - in_use(subnet)),
        "network_security_group_id": (properties.get("networkSecurityGroup") or {}).get("id"),
    }


def of(vnet: dict[str, Any], name: str) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = vnet["properties"].get("subnets") or []
    return next((one for one in found if one["name"].lower() == name.lower()), None)


def wanted(vnet: dict[str, Any], vnet_id: str, options: dict[str, Any]) -> Row:
    """The subnet that the options ask for; raises for what is there otherwise, or has no place."""
    found = of(vnet, options["name"])
    row = _new(vnet, vnet_id, options) if found is None else _kept(found, options)
    free, least = row["free_addresses"], options["minimum_free_addresses"]
    if least is not None and free < least:
        raise ModuleFailure(
            f"The subnet {row['name']} ({row['address_prefix']}) has {free} free addresses, {least} are needed; Azure "
            "keeps 5 of every subnet.",
            code="SubnetTooSmall",
            hint="Take another subnet." if found else "Choose a larger address_prefix or a smaller prefix_length.",
        )
    known = {service.lower() for service in row["service_endpoints"]}
    more = [one for one in dict.fromkeys(options["service_endpoints"] or []) if one.lower() not in known]
    return {**row, "service_endpoints": [*row["service_endpoints"], *more]}


def _new(vnet: dict[str, Any], vnet_id: str, options: dict[str, Any]) -> Row:
    prefix = _checked(vnet, options) if options["address_prefix"] else _free(vnet, options["prefix_length"])
    return {
        "id": f"{vnet_id}/subnets/{options['name']}",
        "name": options["name"],
        "address_prefix": prefix,
        "delegations": [options["delegation"]] if options["delegation"] else [],
        "service_endpoints": [],
        "free_addresses": usable(prefix),
        "network_security_group_id": None,
    }


def _free(vnet: dict[str, Any], length: int) -> str:
    if not LARGEST <= length <= SMALLEST:
        raise ModuleFailure(
            f"prefix_length has to be from {LARGEST} to {SMALLEST}, it is {length}.", code="InvalidPrefixLength"
        )
    taken = [prefix for subnet in vnet["properties"].get("subnets") or [] for prefix in prefixes(subnet)]
    found = next_free(address_space(vnet), taken, length)
    if found is None:
        raise ModuleFailure(
            f"The virtual network {vnet['name']} ({', '.join(address_space(vnet))}) has no free block of /{length}.",
            code="AddressSpaceFull",
            hint="Add an address prefix to the network, or ask for a smaller block with a larger prefix_length.",
        )
    return found


def _checked(vnet: dict[str, Any], options: dict[str, Any]) -> str:
    prefix = str(network(options["address_prefix"]))
    if not contains(address_space(vnet), prefix):
        raise ModuleFailure(
            f"address_prefix {prefix} is outside the address space of the virtual network {vnet['name']} "
            f"({', '.join(address_space(vnet))}).",
            code="NetcfgSubnetRangeOutsideVnet",
        )
    for subnet in vnet["properties"].get("subnets") or []:
        for _mine, other in overlapping([prefix], prefixes(subnet)):
            raise ModuleFailure(
                f"address_prefix {prefix} overlaps with the subnet {subnet['name']} ({other}).",
                code="NetcfgSubnetRangesOverlap",
            )
    return prefix


def _kept(found: dict[str, Any], options: dict[str, Any]) -> Row:
    row = to_row(found)
    asked = options["address_prefix"]
    if asked and network(asked) not in [network(prefix, "the subnet") for prefix in prefixes(found)]:
        raise ModuleFailure(
            f"The subnet {row['name']} has the address prefix {row['address_prefix']}, {asked} was asked for; the "
            "prefix of a subnet is never changed.",
            code="ImmutableOption",
            hint="Leave the option address_prefix out, or make a subnet under another name.",
        )
    return {**row, "delegations": _delegations(found, row, options["delegation"])}


def _delegations(found: dict[str, Any], row: Row, asked: str | None) -> list[str]:
    there: list[str] = row["delegations"]
    if asked and any(one.lower() == asked.lower() for one in there):
        return there
    if there:
        wish = f"to {asked}" if asked else "to nothing"
        raise ModuleFailure(
            f"The subnet {row['name']} is delegated to {', '.join(there)}, {wish} was asked for; a delegation is never "
            "taken away.",
            code="SubnetDelegated",
            hint="Take another subnet of the network.",
        )
    if asked and in_use(found):
        raise ModuleFailure(
            f"The subnet {row['name']} can not be delegated to {asked}: other resources are in it.",
            code="SubnetInUse",
            hint="Take another subnet of the network.",
        )
    return [asked] if asked else []


def to_body(found: dict[str, Any] | None, want: Row) -> dict[str, Any]:
    """What is sent for the wanted row: all that was there, with what is new."""
    before = found["properties"] if found else {"addressPrefix": want["address_prefix"]}
    kept = {key: value for key, value in before.items() if key not in _TOLD}
    delegations, endpoints = list(before.get("delegations") or []), list(before.get("serviceEndpoints") or [])
    delegated = {row["properties"]["serviceName"].lower() for row in delegations}
    served = {row["service"].lower() for row in endpoints}
    delegations += [
        {"name": service.rsplit("/", 1)[-1], "properties": {"serviceName": service}}
        for service in want["delegations"]
        if service.lower() not in delegated
    ]
    endpoints += [{"service": service} for service in want["service_endpoints"] if service.lower() not in served]
    return {"properties": {**kept, "delegations": delegations, "serviceEndpoints": endpoints}}
