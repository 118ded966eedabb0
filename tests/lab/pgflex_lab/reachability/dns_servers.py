# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS servers of the customer's own, which a virtual network may name instead of Azure's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgflex_lab.arm.ids import ResourceId


@dataclass(frozen=True)
class DnsServer:
    """`records` lead from a name in lower case to an address, or to the lab's server of that name.

    What it `forwards` to Azure is answered for the network it stands in: the one told, or else that with its address.
    """

    address: str
    forwards: bool = False
    records: Mapping[str, str] = field(default_factory=dict)
    virtual_network: ResourceId | None = None
