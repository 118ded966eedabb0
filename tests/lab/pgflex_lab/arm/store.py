# SPDX-License-Identifier: GPL-3.0-or-later
"""All resources, in memory, in order of creation."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pgflex_lab.arm.http import ArmError
from pgflex_lab.arm.ids import ResourceId


@dataclass
class Resource:
    """`type` is the canonical spelling; `internal` never goes on the wire (cluster name, passwords ...)."""

    id: ResourceId
    type: str
    location: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    sku: dict[str, Any] | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    internal: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.id.name


class Store:
    """Thread-safe; hold `locked()` around a read that decides a write."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._resources: dict[str, Resource] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self._lock:
            yield

    def get(self, resource_id: ResourceId) -> Resource | None:
        with self._lock:
            return self._resources.get(resource_id.key)

    def require(self, resource_id: ResourceId) -> Resource:
        """The resource, or ARM's 404 for it or for the first of its parents that is missing."""
        found = self.get(resource_id)
        if found is not None:
            return found
        raise self.missing(resource_id)

    def missing(self, resource_id: ResourceId) -> ArmError:
        group = resource_id.resource_group
        if group is None:
            return ArmError(404, "ResourceNotFound", f"The Resource '{resource_id}' was not found.")
        group_id = ResourceId(f"/subscriptions/{resource_id.subscription_id}/resourceGroups/{group}")
        if self.get(group_id) is None:
            return ArmError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
        if len(resource_id.names) > 1 and self.get(resource_id.parent) is None:
            return (
                self.missing(resource_id.parent)
                if resource_id.parent.names
                else ArmError(404, "ParentResourceNotFound", f"The parent of '{resource_id}' could not be found.")
            )
        pairs = zip(resource_id.types, resource_id.names, strict=False)
        path = "/".join([resource_id.namespace, *(f"{kind}/{name}" for kind, name in pairs)])
        return ArmError(
            404,
            "ResourceNotFound",
            f"The Resource '{path}' under resource group '{group}' was not found. "
            "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        )

    def put(self, resource: Resource) -> Resource:
        with self._lock:
            self._resources[resource.id.key] = resource
            return resource

    def delete(self, resource_id: ResourceId) -> bool:
        """Deletes it with all below it; tells whether it was there."""
        with self._lock:
            doomed = [key for key, item in self._resources.items() if resource_id.contains(item.id)]
            for key in doomed:
                del self._resources[key]
            return resource_id.key in doomed

    def children(self, resource_id: ResourceId, type_name: str) -> list[Resource]:
        """All resources of that full type (`Microsoft.X/a/b`, any case) below the id, oldest first."""
        wanted = type_name.lower()
        with self._lock:
            return [
                item
                for item in self._resources.values()
                if item.type.lower() == wanted and resource_id.contains(item.id) and item.id != resource_id
            ]

    def all(self) -> list[Resource]:
        with self._lock:
            return list(self._resources.values())
