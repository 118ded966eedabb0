# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the caller may do at a scope."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._clients import Azure, wire
from ._errors import ModuleFailure, code_of, service_errors, status_of
from ._ids import parse
from ._parallel import each


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


def missing(azure: Azure, needs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the needs, each a scope and an action, that the signed-in identity lacks; one request for a scope."""
    wanted = list(dict.fromkeys(needs))
    scopes = list(dict.fromkeys(scope for scope, _action in wanted))
    found = dict(zip(scopes, each(lambda scope: permissions_at(azure, scope), scopes), strict=True))
    return [(scope, action) for scope, action in wanted if not allows(found[scope], action)]


def require(azure: Azure, needs: Iterable[tuple[str, str]]) -> None:
    """Raises, before anything is written, when the signed-in identity lacks one of the needs."""
    lacking = missing(azure, needs)
    if lacking:
        named = ", ".join(f"{action} at {scope}" for scope, action in lacking)
        raise ModuleFailure(
            f"The signed-in identity lacks {named}. Nothing was changed.",
            code="AuthorizationFailed",
            target=lacking[0][0],
            hint="Give it a role there that allows this, such as Network Contributor; a role of your own needs "
            "Microsoft.Authorization/permissions/read as well.",
        )
