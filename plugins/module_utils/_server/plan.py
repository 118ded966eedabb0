# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server as it is to be."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from .._clients import Azure, raw, wire
from .._errors import ModuleFailure, doing
from .._ids import parse
from .flexible import asked, changed_row, lacking, new_row, spelled
from .servers import SERVER_TYPES, region
from .sizing import Offer, Source, matching, not_offered, offer_of, shortfalls, source_of

Row = dict[str, Any]


class ServerPlan:
    """What a Flexible Server is to be: the options, what matches another server, what the location offers."""

    def __init__(self, azure: Azure, server_id: str, params: Row) -> None:
        self.azure = azure
        self.server_id = server_id
        self.params = params
        where = parse(server_id, "id")
        self.subscription_id, self.group = where.subscription_id, where.resource_group
        self.title = f"{where.name} in {where.resource_group}"

    @property
    def like(self) -> Row | None:
        like: Row | None = self.params["like"]
        return like

    def row(self, current: Row | None) -> Row:
        wanted = asked(self.params, current)
        return self._new(wanted) if current is None else self._changed(wanted, current)

    def _new(self, wanted: Row) -> Row:
        wanted["location"] = wanted.get("location") or self._place()
        offer = self.offer(wanted["location"])
        source = source_of(self.other, offer) if self.like else None
        if source:
            self._require_network(source)
            wanted |= matching(source, offer, wanted, self._used)
        wanted = spelled(wanted, offer)
        missing = lacking(wanted, self.params["administrator_password"])
        if missing:
            raise ModuleFailure(
                f"{self.title} is not there, and can not be made without {', '.join(missing)}.", code="MissingOptions"
            )
        row = new_row(self.server_id, wanted)
        self._require_offered(offer, row["sku"], row["storage_gb"], row["version"])
        if source:
            self._require_enough(source, offer, row)
        return row

    def _changed(self, wanted: Row, current: Row) -> Row:
        sized = "sku" in wanted
        offer = self.offer(current["location"]) if sized or self.like else None
        if offer and sized:
            self._require_offered(offer, wanted["sku"])
            wanted = spelled(wanted, offer)
        row = changed_row(current, wanted)
        if offer and self.like:
            self._require_enough(source_of(self.other, offer), offer, row)
        return row

    @cached_property
    def other(self) -> Row:
        """The server of `like`."""
        like = self.params["like"]
        kind = SERVER_TYPES[like["server_type"]]
        where = (like["subscription_id"] or self.subscription_id, like["resource_group"], like["name"])
        server = kind(self.azure, *where)
        with doing(f"read {server}, which {self.title} is to be like"):
            return server.details()

    @property
    def _used(self) -> float | None:
        used: float | None = self.params["like"]["used_storage_gb"]
        return used

    def _place(self) -> str:
        if self.like:
            return str(self.other["location"])
        with doing(f"read the resource group {self.group}"):
            found = self.azure.resources(self.subscription_id).resource_groups.get(self.group, cls=raw)
        return region(found["location"])

    def offer(self, location: str) -> Offer:
        with doing(f"read what {location} offers"):
            client = self.azure.flexible(self.subscription_id).capabilities_by_location
            return offer_of(location, [wire(row) for row in client.list(location)])

    def _require_network(self, source: Source) -> None:
        if source.private and not self.params["delegated_subnet_id"] and not self.params["public_network_access"]:
            raise ModuleFailure(
                f"{source.name} can not be reached from outside its network, and nothing says where {self.title} is "
                "to be.",
                code="NetworkNotGiven",
                hint="Give delegated_subnet_id and private_dns_zone_id, or public_network_access.",
            )

    def _require_offered(
        self, offer: Offer, sku: str, storage_gb: int | None = None, version: str | None = None
    ) -> None:
        missing = not_offered(offer, sku, storage_gb, version)
        if missing:
            raise ModuleFailure(
                f"Failed to update {self.title}, nothing was changed: {offer.location} does not offer "
                f"{', nor '.join(missing)}.",
                code="NotOffered",
                hint="Choose another one, or another location.",
            )

    def _require_enough(self, source: Source, offer: Offer, row: Row) -> None:
        found = shortfalls(source, offer, row, self._used, size=not self.params["sku_name"])
        if found:
            raise ModuleFailure(
                f"{self.title} is too small to be like {source.name}, nothing was changed: {'; '.join(found)}.",
                code="TooSmall",
                hint="Give the options storage_gb, sku_name or version, or leave the option like out.",
            )
