# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network security group says about one connection to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from typing import Any

PORT = 5432
EPHEMERAL = 50000
SERVICE_TAGS = ("azurecloud", "sql")


@dataclass(frozen=True)
class Connection:
    """Addresses as the group sees them; `known` are the networks that its tag VirtualNetwork stands for."""

    source: str
    destination: str
    known: tuple[str, ...]
    to_azure: bool = False
    """Is a public destination one of Azure's own?"""


def denying(rules: Iterable[Mapping[str, Any]], direction: str, connection: Connection) -> str | None:
    """The name of the rule that refuses the connection; the first one that fits decides."""
    for rule in sorted(rules, key=lambda item: int(item["properties"]["priority"])):
        wanted = rule["properties"]
        if str(wanted["direction"]).lower() == direction.lower() and _fits(wanted, connection):
            return str(rule["name"]) if str(wanted["access"]).lower() == "deny" else None
    return None


def _fits(rule: Mapping[str, Any], connection: Connection) -> bool:
    return (
        str(rule["protocol"]).lower() in ("*", "tcp")
        and _port(rule, "sourcePortRange", EPHEMERAL)
        and _port(rule, "destinationPortRange", PORT)
        and _side(rule, "source", connection.source, connection)
        and _side(rule, "destination", connection.destination, connection)
    )


def _values(rule: Mapping[str, Any], one: str, many: str) -> list[str]:
    single = rule.get(one)
    return [str(item) for item in [*([single] if single else []), *(rule.get(many) or [])]]


def _port(rule: Mapping[str, Any], name: str, port: int) -> bool:
    for text in _values(rule, name, f"{name}s"):
        first, _dash, last = text.partition("-")
        if text == "*" or (first.isdigit() and int(first) <= port <= int(last or first)):
            return True
    return False


def _side(rule: Mapping[str, Any], side: str, address: str, connection: Connection) -> bool:
    texts = _values(rule, f"{side}AddressPrefix", f"{side}AddressPrefixes")
    return any(_covers(text, address, connection) for text in texts)


def _covers(text: str, address: str, connection: Connection) -> bool:
    wanted = text.lower()
    internal = within(address, connection.known)
    if wanted in ("*", "any"):
        return True
    if wanted == "virtualnetwork":
        return internal
    if wanted == "internet":
        return not internal
    if wanted.split(".", maxsplit=1)[0] in SERVICE_TAGS:
        return connection.to_azure and not internal and address == connection.destination
    return within(address, (text,))


def within(address: str, prefixes: Iterable[str]) -> bool:
    for text in prefixes:
        try:
            if IPv4Address(address) in ip_network(text, strict=False):
                return True
        except ValueError:
            continue
    return False
