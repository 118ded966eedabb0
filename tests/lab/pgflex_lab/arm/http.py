# SPDX-License-Identifier: GPL-3.0-or-later
"""What handlers receive and return. Handlers are plain functions, called in worker threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pgflex_lab.arm.ids import ResourceId


@dataclass(frozen=True)
class ArmRequest:
    """One authorised call.

    `id` names the resource. For a list it is the collection (`id.is_collection`, the owner is `id.parent`);
    for POST actions it is the resource acted on, and `action` is the last path segment.
    `query` and `headers` have keys in lower case; `base_url` has no trailing slash and is what the client used to
    reach the lab.
    """

    method: str
    id: ResourceId
    api_version: str
    query: Mapping[str, str]
    body: Any
    principal_id: str
    action: str | None = None
    base_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def properties(self) -> dict[str, Any]:
        """The body's `properties`, or an error as ARM gives it."""
        if not isinstance(self.body, dict):
            raise ArmError(400, "InvalidRequestContent", "The request content was invalid: a JSON object was expected.")
        return section(self.body, "properties")


@dataclass(frozen=True)
class ArmResponse:
    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class ArmError(Exception):
    """Becomes `{"error": {"code": ..., "message": ...}}` with the status."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers: Mapping[str, str] = headers or {}

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message}}


def section(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object inside a body; missing or null is empty."""
    found = data.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ArmError(400, "InvalidRequestContent", f"The request content was invalid: '{name}' must be an object.")
    return found


def whole(data: Mapping[str, Any], name: str) -> int:
    """A number inside a body."""
    found = data.get(name)
    if isinstance(found, bool) or not isinstance(found, int):
        message = f"The request content was invalid: '{name}' must be a whole number."
        raise ArmError(400, "InvalidRequestContent", message)
    return found


def tags_of(body: Mapping[str, Any]) -> dict[str, str]:
    found = section(body, "tags")
    if not all(isinstance(value, str) for value in found.values()):
        raise ArmError(400, "InvalidRequestContent", "The request content was invalid: tags must be strings.")
    return found
