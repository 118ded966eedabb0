# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a migration depends on and Azure does not tell: it is stated, or shows when the service connects. Pure."""

from __future__ import annotations

from .._ids import same
from .facts import Facts, Server, subnet_words
from .plan import Missing
from .reach import wrong_with_peering
from .worker import Worker, endpoint_network


def on_trust(facts: Facts, worker: Worker) -> list[Missing]:
    if not worker.placed:
        return []
    found = _routed(facts, worker)
    source = facts.source
    if source.kind != "outside":
        return found
    if source.route in ("vpn", "expressroute"):
        message = (
            f"That {source.route} leads to {source.host} is what pgflex.source.route says: whether the tunnel is up, "
            "and the other side routes back, can not be seen."
        )
        found.append(Missing("route", "source", message))
    if source.name_resolves:
        message = f"That the name {source.host} leads to the source is what pgflex.source.name_resolves says."
        found.append(Missing("custom_dns", "source", message))
    message = (
        f"Whether the firewall and pg_hba.conf of {source.host} admit {_from(facts, worker)} can not be read: if they "
        "do not, the migration fails with 603000."
    )
    return [*found, Missing("source_firewall", "source", message)]


def _from(facts: Facts, worker: Worker) -> str:
    if worker.subnet_id and not facts.source.public:
        prefixes = f" ({', '.join(worker.subnet.prefixes)})" if worker.subnet else ""
        return f"the subnet {subnet_words(worker.subnet_id)}{prefixes}"
    return facts.wishes.public_address or "the public address from which the migration connects"


def _routed(facts: Facts, worker: Worker) -> list[Missing]:
    if not facts.wishes.routed or worker.network_id is None:
        return []
    here = facts.network(worker.network_id)
    return [
        Missing(
            "route",
            side,
            f"That {here.name} and {facts.network(network_id).name} reach each other is what pgflex.network.routed "
            "says: routes, and what a firewall in between lets through, are not looked at.",
        )
        for side, server in (("source", facts.source), ("target", facts.target))
        if (network_id := _elsewhere(server, here.id)) and wrong_with_peering(here, facts.network(network_id))
    ]


def _elsewhere(server: Server, network_id: str) -> str | None:
    found = endpoint_network(server)
    return None if found and same(found, network_id) else found
