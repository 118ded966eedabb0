# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resource ids. Pure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from ._errors import ModuleFailure

PROVIDER = "Microsoft.DBforPostgreSQL"


@dataclass(frozen=True)
class ResourceId:
    """The parts of an ARM resource id; `types` and `names` run from the outermost resource inwards."""

    subscription_id: str
    resource_group: str
    namespace: str
    types: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.names[-1]

    def __str__(self) -> str:
        tail = "".join(f"/{kind}/{name}" for kind, name in zip(self.types, self.names, strict=True))
        group = f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
        return f"{group}/providers/{self.namespace}{tail}"


def parse(text: str, option: str) -> ResourceId:
    """Takes an id apart; `option` names the user's option in the failure.

    A missing leading slash is forgiven, as Azure does.
    """
    parts = text.strip("/").split("/")
    lowered = [part.lower() for part in parts]
    good = (
        len(parts) >= 8
        and len(parts) % 2 == 0
        and (lowered[0], lowered[2], lowered[4]) == ("subscriptions", "resourcegroups", "providers")
        and all(parts)
    )
    if not good:
        raise ModuleFailure(
            f"{option} is not the id of an Azure resource: {text!r}. It has to look like "
            "/subscriptions/<id>/resourceGroups/<group>/providers/<namespace>/<type>/<name>."
        )
    return ResourceId(parts[1], parts[3], parts[5], tuple(parts[6::2]), tuple(parts[7::2]))


def same(one: str | None, other: str | None) -> bool:
    """Whether two ids name one resource: ARM compares without case, and clients leave the first slash out."""
    return (one or "").strip("/").lower() == (other or "").strip("/").lower()


def server_id(subscription_id: str, resource_group: str, name: str, kind: str) -> str:
    """`kind` is servers (Single Server) or flexibleServers."""
    return str(ResourceId(subscription_id, resource_group, PROVIDER, (kind,), (name,)))


# Any fixed namespace does; this one makes a repeated run arrive at the same assignment name.
_ASSIGNMENTS = uuid.UUID("6f1d2a1e-53a5-4f0e-9d2b-0f3a6f0a7c11")


def role_assignment_name(scope: str, role_definition_id: str, principal_id: str) -> str:
    role = role_definition_id.rstrip("/").rsplit("/", 1)[-1]
    return str(uuid.uuid5(_ASSIGNMENTS, "|".join((scope.strip("/"), role, principal_id)).lower()))
