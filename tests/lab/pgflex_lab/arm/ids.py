# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource ids: parsed once, compared without case, printed as they were given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property


class InvalidResourceId(ValueError):
    """The text is not an absolute ARM path."""


@dataclass(frozen=True, eq=False)
class ResourceId:
    """An absolute ARM path: a resource, a scope, a provider, or a collection (one type more than names)."""

    text: str

    @classmethod
    def parse(cls, text: str) -> ResourceId:
        """Guides and old clients leave the first slash out, so it is optional here as it is in Azure."""
        clean = "/" + re.sub(r"/{2,}", "/", text.strip()).strip("/")
        if clean != "/" and clean.split("/")[1].lower() not in ("subscriptions", "providers", "tenants"):
            raise InvalidResourceId(f"not a resource id: {text!r}")
        return cls(clean)

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceId) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def key(self) -> str:
        return self.text.lower()

    @cached_property
    def segments(self) -> tuple[str, ...]:
        return tuple(part for part in self.text.split("/") if part)

    def _after(self, keyword: str) -> str | None:
        lowered = [part.lower() for part in self.segments]
        position = lowered.index(keyword) + 1 if keyword in lowered else 0
        return self.segments[position] if 0 < position < len(self.segments) else None

    @property
    def subscription_id(self) -> str:
        return self._after("subscriptions") or ""

    @property
    def resource_group(self) -> str | None:
        return self._after("resourcegroups")

    @cached_property
    def _provider_index(self) -> int | None:
        """Where the last `providers` keyword stands; names at odd places cannot be mistaken for it."""
        found = None
        index = 0
        while index < len(self.segments):
            if self.segments[index].lower() == "providers":
                found = index
                # after "providers/<namespace>" come type/name pairs
                index += 2
                continue
            index += 2
        return found

    @property
    def namespace(self) -> str:
        """The last provider's namespace; Microsoft.Resources for subscriptions and resource groups."""
        index = self._provider_index
        if index is None:
            return "Microsoft.Resources"
        return self.segments[index + 1] if index + 1 < len(self.segments) else ""

    @cached_property
    def _tail(self) -> tuple[str, ...]:
        index = self._provider_index
        return self.segments if index is None else self.segments[index + 2 :]

    @property
    def types(self) -> tuple[str, ...]:
        return self._tail[0::2]

    @property
    def names(self) -> tuple[str, ...]:
        return self._tail[1::2]

    @property
    def type(self) -> str:
        """`Microsoft.DBforPostgreSQL/flexibleServers/migrations`, in the spelling of the id."""
        return "/".join((self.namespace, *self.types))

    @property
    def name(self) -> str:
        return self.segments[-1] if self.segments else ""

    @property
    def is_collection(self) -> bool:
        """A path that ends with a type, such as `.../flexibleServers/x/migrations` or `/subscriptions`."""
        return len(self.types) > len(self.names)

    @property
    def parent(self) -> ResourceId:
        """The resource that holds this one: server of a database, group of a server, subscription of a group.

        The parent of a collection is the resource it belongs to; the parent of `/subscriptions/x` is `/`.
        """
        index = self._provider_index
        drop = 1 if self.is_collection else 2
        if index is not None and len(self._tail) <= drop:
            return ResourceId("/" + "/".join(self.segments[:index]))
        return ResourceId("/" + "/".join(self.segments[:-drop]))

    @property
    def scope(self) -> ResourceId:
        """What an extension resource such as a role assignment hangs on."""
        index = self._provider_index
        return ResourceId("/") if index is None else ResourceId("/" + "/".join(self.segments[:index]))

    def child(self, type_name: str, name: str) -> ResourceId:
        return ResourceId(f"{self.text.rstrip('/')}/{type_name}/{name}")

    def extension(self, namespace: str, type_name: str, name: str) -> ResourceId:
        return ResourceId(f"{self.text.rstrip('/')}/providers/{namespace}/{type_name}/{name}")

    def contains(self, other: ResourceId) -> bool:
        """Is `other` this resource or anything below it?"""
        return self.key == "/" or other.key == self.key or other.key.startswith(self.key + "/")
