# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the options and Azure tell, without a session: the way to the source, and the target as a resource."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

from .._migration.states import FINAL, GOOD
from .rules import AZURE, PLAN, SERVER, SOURCE, TARGET, Hit, Look, rule

GIB = 1024**3
# What the service's documentation asks for.
HEADROOM = 1.25
PORTS = (5432, 6432)


@rule(
    SOURCE,
    PLAN,
    "blocks",
    "a source that has only IPv6 addresses",
    "Give the source an IPv4 address: the service does not speak IPv6.",
)
def only_ipv6(look: Look) -> Iterator[Hit]:
    host = look.job.source.host
    if not look.job.in_azure and addresses(host) == {socket.AF_INET6}:
        yield Hit(host, f"The source's host {host} has only IPv6 addresses.")


def addresses(host: str) -> set[int]:
    """The families of a host's addresses; none for a name that is not known here."""
    try:
        return {socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET}
    except ValueError:
        pass
    try:
        return {row[0] for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return set()


@rule(
    SOURCE,
    PLAN,
    "warns",
    "a source on another port than 5432 or 6432",
    "Open that port on the way from the target to the source: firewalls and network security groups know 5432.",
)
def unusual_port(look: Look) -> Iterator[Hit]:
    port = look.job.source.port
    if port not in PORTS:
        yield Hit(str(port), f"The source listens on port {port}.")


@rule(
    TARGET,
    AZURE,
    "blocks",
    "a target whose storage is less than 1.25 times the source's databases",
    "Enlarge the target's storage.",
    both=True,
)
def small_storage(look: Look) -> Iterator[Hit]:
    storage = (look.azure.server or {}).get("storage_gb")
    found = [look.source.databases[name].size or 0 for name in look.job.databases if name in look.source.databases]
    if storage and sum(found) * HEADROOM > storage * GIB:
        text = f"The databases have {sum(found) / GIB:.1f} GiB; the target's storage of {storage} GiB is less than"
        yield Hit("storage", f"{text} 1.25 times that.")


@rule(
    TARGET,
    AZURE,
    "warns",
    "a Burstable target",
    "Scale it to General Purpose for the migration: its credits run out in a long copy.",
)
def burstable(look: Look) -> Iterator[Hit]:
    server = look.azure.server or {}
    if str(server.get("tier")).lower() == "burstable":
        yield Hit(str(server["sku"]), f"The target's size {server['sku']} is Burstable.")


@rule(
    TARGET,
    AZURE,
    "blocks",
    "a target that is not ready",
    "Start it, or wait until what is being done with it has ended.",
)
def target_not_ready(look: Look) -> Iterator[Hit]:
    state = (look.azure.server or {}).get("state")
    if state and state != "Ready":
        yield Hit(str(state), f"The target's state is {state}.")


@rule(
    TARGET,
    AZURE,
    "blocks",
    "another active migration on the target",
    "Wait for it or cancel it: one migration or validation at a time runs to a target.",
)
def active_migration(look: Look) -> Iterator[Hit]:
    for row in look.azure.active or []:
        if row["state"] not in FINAL and row["name"] != look.job.migration_name:
            yield Hit(row["name"], f"The migration {row['name']} runs to the target ({row['state']}).")


@rule(
    TARGET,
    AZURE,
    "blocks",
    "the migration of this name has ended",
    "Give another name: the service takes each name once, and has no cutover for a migration that has ended.",
    code=603113,
)
def migration_ended(look: Look) -> Iterator[Hit]:
    found = look.azure.migration
    if found and found["state"] in FINAL:
        severity = "informs" if found["state"] in GOOD else None
        yield Hit(found["name"], f"The migration {found['name']} has ended already ({found['state']}).", severity)


@rule(
    TARGET,
    SERVER,
    "informs",
    "the target's size and storage are not known without its resource",
    "Name the target's resource, and sign in to Azure, to have storage, size and active migrations checked.",
)
def azure_not_asked(look: Look) -> Iterator[Hit]:
    if look.azure.server is None and "azure.extensions" in look.here.settings:
        yield Hit("", "The target's storage, size and active migrations were not looked at.")
