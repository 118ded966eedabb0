# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Address spaces and free blocks. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

from .._errors import ModuleFailure

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
# Azure keeps the network's address, three for itself, and the broadcast address of every subnet.
RESERVED = 5


def network(prefix: str, option: str = "address_prefix") -> Network:
    """A prefix as it has to be written, without host bits; `option` names the user's option in the failure."""
    try:
        if "/" in prefix:
            return ipaddress.ip_network(prefix)
    except ValueError as error:
        raise ModuleFailure(f"{option} is not an address prefix: {error}.", code="InvalidAddressPrefix") from error
    raise ModuleFailure(
        f"{option} is not an address prefix: {prefix!r}. It has to look like 10.0.1.0/24.",
        code="InvalidAddressPrefix",
    )


def overlapping(space_a: Iterable[str], space_b: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs of prefixes, one of each space, that have addresses in common."""
    others = list(space_b)
    return [(one, other) for one in space_a for other in others if _block(one).overlaps(_block(other))]


def contains(space: Iterable[str], prefix: str) -> bool:
    """Whether one prefix of the space holds all of `prefix`."""
    inner = _block(prefix)
    return any(_inside(inner, _block(outer)) for outer in space)


def next_free(space: Iterable[str], taken: Iterable[str], prefix_length: int) -> str | None:
    """The first block of this length in the space's IPv4 prefixes that touches nothing taken; None when full."""
    used = sorted(
        (one for one in map(_block, taken) if isinstance(one, ipaddress.IPv4Network)),
        key=lambda one: one.network_address,
    )
    for outer in map(_block, space):
        if isinstance(outer, ipaddress.IPv4Network) and outer.prefixlen <= prefix_length:
            found = _first_gap(outer, used, prefix_length)
            if found is not None:
                return f"{found}/{prefix_length}"
    return None


def _first_gap(
    outer: ipaddress.IPv4Network, used: list[ipaddress.IPv4Network], prefix_length: int
) -> ipaddress.IPv4Address | None:
    size = 2 ** (32 - prefix_length)
    start, end = int(outer.network_address), int(outer.broadcast_address) + 1
    for one in used:
        first, after = int(one.network_address), int(one.broadcast_address) + 1
        if after <= start or first >= end:
            continue
        if start + size <= first:
            break
        # The next block begins at a multiple of its own size.
        start = -(-after // size) * size
    return ipaddress.IPv4Address(start) if start + size <= end else None


def usable(prefix: str) -> int:
    """How many addresses Azure leaves to the resources of a subnet."""
    return max(0, _block(prefix).num_addresses - RESERVED)


def _block(prefix: str) -> Network:
    # Azure answers with normal prefixes; host bits would be of a service that is less strict, and say the same block.
    return ipaddress.ip_network(prefix, strict=False)


def _inside(inner: Network, outer: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False
