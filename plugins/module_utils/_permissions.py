# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._clients import Azure, wire
from ._errors import code_of, service_errors, status_of
from ._ids import parse


def allows(permissions: list[dict[str, Any]], action: str) -> bool:
    """Whether one of the caller's permissions, as ARM lists them, grants the action.

    What a permission excludes, another one may still grant.
    """
    return any(
        _named(permission.get("actions"), action) and not _named(permission.get("notActions"), action)
        for permission in permissions
    )


def _named(patterns: Iterable[str] | None, action: str) -> bool:
    return any(_matches(pattern, action) for pattern in patterns or ())


def _matches(pattern: str, action: str) -> bool:
    # A star stands for any characters, slashes as well; ARM compares without case.
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(".*".join(parts), action, re.IGNORECASE) is not None


def permissions_at(azure: Azure, scope: str) -> list[dict[str, Any]]:
    """What the signed-in identity may do at a resource or a resource group; nothing where it may not even ask."""
    where = scope.strip("/").split("/")
    client = azure.authorization(where[1]).permissions
    try:
        if len(where) == 4:
            return [wire(row) for row in client.list_for_resource_group(where[3])]
        found = parse(scope, "scope")
        path = [f"{kind}/{name}" for kind, name in zip(found.types[:-1], found.names[:-1], strict=True)]
        rows = client.list_for_resource(
            found.resource_group, found.namespace, "/".join(path), found.types[-1], found.name
        )
        return [wire(row) for row in rows]
    except service_errors() as error:
        if status_of(error) == 403 or code_of(error) == "AuthorizationFailed":
            return []
        raise


def may(azure: Azure, scope: str, action: str) -> bool:
    """Whether the signed-in identity may do this at the scope, an id of a resource or of a resource group."""
    return allows(permissions_at(azure, scope), action)
