# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a source lacks for logical replication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._errors import ModuleFailure
from .._postgres import Server, connect, identifier, sql_errors

# The migration service takes no older sources.
OLDEST = 90500
# PostgreSQL's own default. A sender that is given less is cut off while the other side builds an index.
SHORT_TIMEOUT_MS = 60000


@dataclass(frozen=True)
class Facts:
    """What decides whether a server can be the source of an online migration."""

    wal_level: str
    max_replication_slots: int
    used_replication_slots: int
    max_wal_senders: int
    active_wal_senders: int
    wal_sender_timeout: int
    user: str
    may_replicate: bool
    # A setting that only one cloud's servers have, None for a server that takes ALTER SYSTEM.
    cloud: str | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "wal_level": self.wal_level,
            "max_replication_slots": self.max_replication_slots,
            "max_wal_senders": self.max_wal_senders,
            "wal_sender_timeout": self.wal_sender_timeout,
        }


@dataclass(frozen=True)
class Lack:
    """One thing that is missing: what it is now, what it has to be, and how to make it so."""

    name: str
    value: str
    needed: str
    remedy: str
    restart: bool = True

    def __str__(self) -> str:
        return f"{self.name} is {self.value}, needed is {self.needed}: {self.remedy}"

    def as_result(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value, "needed": self.needed, "remedy": self.remedy}


# How each cloud's users set a parameter: the setting that tells the cloud, logical WAL, any other.
CLOUDS = {
    "azure.extensions": (
        "set wal_level to logical with pgflex.migrate.server_parameters",
        "set {name} to {value} with pgflex.migrate.server_parameters",
    ),
    "rds.logical_replication": (
        "set rds.logical_replication to 1 in the parameter group",
        "set {name} to {value} in the parameter group",
    ),
    "cloudsql.logical_decoding": (
        "set the flag cloudsql.logical_decoding to on",
        "set the flag {name} to {value}",
    ),
    "alloydb.logical_decoding": (
        "set the flag alloydb.logical_decoding to on",
        "set the flag {name} to {value}",
    ),
}

_FACTS = """
SELECT current_setting('wal_level'),
       current_setting('max_replication_slots')::int,
       (SELECT count(*) FROM pg_catalog.pg_replication_slots)::int,
       current_setting('max_wal_senders')::int,
       (SELECT count(*) FROM pg_catalog.pg_stat_replication)::int,
       (SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'),
       session_user::text,
       (SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user)
           OR EXISTS (SELECT 1 FROM pg_catalog.pg_roles
                      WHERE rolname = 'rds_replication' AND pg_has_role(session_user, oid, 'MEMBER')),
       (SELECT min(name) FROM pg_catalog.pg_settings WHERE name = ANY (%s))
"""


def read_facts(server: Server, database: str) -> Facts:
    with connect(server, database) as connection, sql_errors(server, "read the replication settings"):
        version = connection.info.server_version
        if version < OLDEST:
            raise ModuleFailure(
                f"{server} runs PostgreSQL {version // 10000}.{version // 100 % 100}, which can not be migrated.",
                code="VersionTooOld",
                target=server.option,
                hint="Upgrade it to 9.5 or newer first, or copy it with pg_dump and pg_restore.",
            )
        row = connection.execute(_FACTS, [list(CLOUDS)]).fetchone()
    return Facts(*row) if row else _no_row(server)


def _no_row(server: Server) -> Facts:
    raise ModuleFailure(f"{server} gave no answer to a query for its replication settings.", code="ConnectionLost")


def lacking(facts: Facts, databases: int) -> list[Lack]:
    """All that an online migration of so many databases misses; each takes one slot and one sender."""
    slots = max(facts.used_replication_slots + databases, databases + 1)
    # The service refuses a server with more slots than senders.
    senders = max(facts.active_wal_senders + databases, facts.max_replication_slots, slots)
    found = []
    if facts.wal_level != "logical":
        found.append(Lack("wal_level", facts.wal_level, "logical", _remedy(facts, "wal_level", "logical")))
    if facts.max_replication_slots < slots:
        value = f"{facts.max_replication_slots} ({facts.used_replication_slots} in use)"
        remedy = f"{_remedy(facts, 'max_replication_slots', str(slots))} or drop slots that nobody uses"
        found.append(Lack("max_replication_slots", value, f"{slots} or more", remedy))
    if facts.max_wal_senders < senders:
        value = f"{facts.max_wal_senders} ({facts.active_wal_senders} in use)"
        found.append(
            Lack("max_wal_senders", value, f"{senders} or more", _remedy(facts, "max_wal_senders", str(senders)))
        )
    if not facts.may_replicate:
        grant = f"GRANT rds_replication TO {identifier(facts.user)};"
        remedy = grant if _is_rds(facts) else f"ALTER ROLE {identifier(facts.user)} REPLICATION;"
        found.append(Lack(f"the user {facts.user}", "without REPLICATION", "the right to it", remedy, restart=False))
    return found


def _is_rds(facts: Facts) -> bool:
    return facts.cloud == "rds.logical_replication"


def _remedy(facts: Facts, name: str, value: str) -> str:
    ours = (f"ALTER SYSTEM SET {name} = {value};",) * 2
    logical, other = CLOUDS.get(facts.cloud or "", ours)
    return logical if name == "wal_level" else other.format(name=name, value=value)


def not_ready(
    server: Server, lacks: list[Lack], hint: str = "Do this at the server and run again, or migrate offline."
) -> ModuleFailure:
    restart = " Then restart the server." if any(lack.restart for lack in lacks) else ""
    return ModuleFailure(
        f"{server} is not set up for logical replication, nothing was changed. "
        f"{'. '.join(str(lack).rstrip(';') for lack in lacks)}.{restart}",
        code="ReplicationNotReady",
        target=server.option,
        hint=hint,
        details={"lacking": [lack.as_result() for lack in lacks]},
    )
