# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rule of a network security group decides about a connection, as Azure decides it. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from .facts import SecurityGroup, SecurityRule

PORT = 5432
# Service tags that hold the public addresses of Azure's databases; each also with a region, as in Sql.WestEurope.
PUBLIC_TAGS = frozenset({"internet", "azurecloud", "sql"})
ANY = frozenset({"*", "any", "0.0.0.0/0"})


@dataclass(frozen=True)
class Side:
    """One end of a connection; without prefixes its address is not known."""

    prefixes: tuple[str, ...] = ()
    private: bool = True


def denied_by(group: SecurityGroup, *, inbound: bool, source: Side, destination: Side) -> SecurityRule | None:
    """The rule that denies PORT; None when it is allowed.

    Where an end is a whole subnet, a rule for a part of it denies already, and allows only with the whole of it: which
    address will be taken is not known.
    """
    for rule in sorted(group.rules, key=lambda row: row.priority):
        if rule.inbound != inbound or rule.protocol.lower() not in ("tcp", "*"):
            continue
        if not _port(rule.ports, PORT) or not _every_port(rule.source_ports):
            continue
        wholly = rule.allows
        if _matches(rule.sources, source, wholly) and _matches(rule.destinations, destination, wholly):
            return None if rule.allows else rule
    return (
        None
        if _default(inbound, source, destination)
        else SecurityRule("DenyAllInBound", 65500, inbound, False, "*", ("*",), ("*",), ("*",), ("*",))
    )


def _default(inbound: bool, source: Side, destination: Side) -> bool:
    """Azure's own last rules: networks reach each other and the Internet, and nothing comes in from outside."""
    return not inbound or (source.private and destination.private)


def _matches(texts: tuple[str, ...], side: Side, wholly: bool) -> bool:
    lowered = [text.lower() for text in texts]
    if ANY & set(lowered):
        return True
    if not side.private:
        return any(text.split(".", maxsplit=1)[0] in PUBLIC_TAGS for text in lowered)
    if "virtualnetwork" in lowered:
        return True
    blocks = [block for text in lowered if (block := _block(text))]
    check = all if wholly else any
    return bool(blocks) and check(_inside(prefix, blocks, wholly) for prefix in side.prefixes)


def _inside(prefix: str, blocks: list[ipaddress.IPv4Network], wholly: bool) -> bool:
    mine = _block(prefix)
    if mine is None:
        return False
    return any(mine.subnet_of(block) if wholly else mine.overlaps(block) for block in blocks)


def _block(text: str) -> ipaddress.IPv4Network | None:
    """None for a service tag, and for IPv6, which no database of Azure is reached by."""
    try:
        return ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return None


def _port(ranges: tuple[str, ...], port: int) -> bool:
    def within(text: str) -> bool:
        first, _dash, last = text.partition("-")
        return text == "*" or int(first) <= port <= int(last or first)

    return any(within(text) for text in ranges)


def _every_port(ranges: tuple[str, ...]) -> bool:
    """Whether a rule holds for whichever port a client takes."""
    return all(_port(ranges, port) for port in (1024, 65535)) and any(text == "*" or "-" in text for text in ranges)
