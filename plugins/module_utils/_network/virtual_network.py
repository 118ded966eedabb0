# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual networks with their subnets."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from .._clients import Azure, body, raw
from .._errors import ModuleFailure, doing
from .._ids import ResourceId, parse
from .._wait import Deadline, Poller, retry_on, wait_for
from .private_endpoint import there

# A network takes one operation at a time, its peerings and subnets included, and so does a zone.
BUSY = frozenset({"AnotherOperationInProgress", "ReferencedResourceNotProvisioned", "RetryableError"})
# A server that was deleted keeps its association with its subnet for some minutes, and nobody can delete that.
HELD = frozenset({"InUseSubnetCannotBeDeleted"})
HELD_SECONDS = 900.0


def resource_id(text: str, option: str, namespace: str, *types: str) -> ResourceId:
    """The parts of an id that has to be of this type; `option` names the user's option in the failure."""
    found = parse(text, option)
    if (found.namespace.lower(), *map(str.lower, found.types)) != (namespace.lower(), *map(str.lower, types)):
        wanted = "/".join((namespace, *types))
        raise ModuleFailure(
            f"{option} is not the id of a {wanted}, but of a {'/'.join((found.namespace, *found.types))}: {text!r}.",
            code="WrongResourceType",
        )
    return found


def network_id(text: str, option: str) -> ResourceId:
    return resource_id(text, option, "Microsoft.Network", "virtualNetworks")


def wait_for_operation(
    begin: Callable[[], Poller], what: str, deadline: Deadline, wait: bool = True, held: frozenset[str] = frozenset()
) -> Any:
    """The result of an operation that is begun again while Azure is busy with another one; None without `wait`.

    The codes `held` pass as well, but not for longer than `HELD_SECONDS`.
    """

    def attempt() -> Any:
        poller = begin()
        # Asked for the result of an operation that was only accepted, the SDK fails on the empty answer.
        return wait_for(poller, what, deadline.left) if wait else None

    with doing(what):
        return retry_on(
            held, lambda: retry_on(BUSY, attempt, timeout=deadline.left), timeout=min(deadline.left, HELD_SECONDS)
        )


class VirtualNetwork:
    """One network in the subscription of its own id; its JSON has its subnets and its side of its peerings."""

    def __init__(self, azure: Azure, where: ResourceId, option: str) -> None:
        self.azure = azure
        self.where = where
        self.option = option

    def __str__(self) -> str:
        return f"{self.where.name} in {self.where.resource_group}"

    @property
    def id(self) -> str:
        return str(self.where)

    @property
    def address(self) -> tuple[str, str]:
        return self.where.resource_group, self.where.name

    @cached_property
    def client(self) -> Any:
        return self.azure.network(self.where.subscription_id)

    def find(self) -> dict[str, Any] | None:
        with doing(f"read the virtual network {self}"):
            found: dict[str, Any] | None = there(lambda: self.client.virtual_networks.get(*self.address, cls=raw))
        return found

    def require(self) -> dict[str, Any]:
        found = self.find()
        if found is None:
            raise ModuleFailure(
                f"There is no virtual network {self} (subscription {self.where.subscription_id}).",
                code="ResourceNotFound",
                status=404,
                target=self.id,
                hint=f"Check the option {self.option}.",
            )
        return found

    def put_peering(self, name: str, content: dict[str, Any], deadline: Deadline, *, sync: bool, wait: bool) -> Any:
        """`sync` takes over the other network's address space as it is now."""
        more = {"sync_remote_address_space": "true"} if sync else {}
        peerings = self.client.virtual_network_peerings

        def begin() -> Poller:
            poller: Poller = peerings.begin_create_or_update(
                *self.address, name, body(content), cls=raw, polling=wait, **more
            )
            return poller

        return wait_for_operation(begin, f"write the peering {name} of {self}", deadline, wait)

    def delete_peering(self, name: str, deadline: Deadline, wait: bool = True) -> None:
        peerings = self.client.virtual_network_peerings

        def begin() -> Poller:
            poller: Poller = peerings.begin_delete(*self.address, name, polling=wait)
            return poller

        wait_for_operation(begin, f"delete the peering {name} of {self}", deadline, wait)

    def put_subnet(self, name: str, content: dict[str, Any], wait: bool) -> Poller:
        poller: Poller = self.client.subnets.begin_create_or_update(
            *self.address, name, body(content), cls=raw, polling=wait
        )
        return poller

    def delete_subnet(self, name: str, deadline: Deadline, wait: bool = True, *, vacated: bool = False) -> None:
        """A `vacated` one has nobody in it whom its user could delete, so that it is free after a while."""
        subnets = self.client.subnets

        def begin() -> Poller:
            poller: Poller = subnets.begin_delete(*self.address, name, polling=wait)
            return poller

        held = HELD if vacated else frozenset[str]()
        wait_for_operation(begin, f"delete the subnet {name} of {self}", deadline, wait, held)


def address_space(network: dict[str, Any]) -> list[str]:
    found: list[str] = (network["properties"].get("addressSpace") or {}).get("addressPrefixes") or []
    return found
