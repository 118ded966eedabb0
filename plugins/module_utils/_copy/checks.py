# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be said before anything is made: whether a copy can be made at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .._errors import ModuleFailure
from .._postgres import Server, connect, sql_errors
from .._source.replication import OLDEST, lacking, not_ready, read_facts
from .catalog import UNREADABLE, DatabaseFacts, Table, database_facts, fetch, incomparable, schemas, tables
from .choice import Choice, Chosen, check_patterns, choose
from .content import is_empty
from .job import session
from .ledger import Copy, DatabaseCopy, Ledger
from .programs import Programs, find_programs
from .rows import unreadable
from .schema import fail_missing_extensions, missing_extensions
from .stream import OLDEST_PUBLISHER

OLDEST_TARGET = 140000
OLDEST_SUBSCRIBER = 150000


@dataclass(frozen=True)
class Plan:
    programs: Programs
    facts: dict[str, DatabaseFacts]
    chosen: dict[str, Chosen]


def make_plan(
    source: Server, target: Server, ledger: Ledger, names: Sequence[str], params: dict[str, Any], earlier: Copy | None
) -> Plan:
    with connect(source, names[0]) as connection:
        version = connection.info.server_version
        facts = database_facts(connection, list(names))
    unknown = [name for name in names if name not in facts]
    if unknown:
        raise ModuleFailure(
            f"{source} has no database {', '.join(unknown)}.",
            code="UnknownDatabase",
            target="source",
            hint="Check the option databases; names are case-sensitive.",
        )
    check_versions(source, version, target, ledger.connection.info.server_version, params["mode"])
    programs = find_programs(params["programs"], version // 10000, ledger.connection.info.server_version // 10000)
    choice = Choice.from_options(params)
    found: dict[str, tuple[list[str], list[Table]]] = {}
    missing: dict[str, list[str]] = {}
    hidden: dict[str, list[tuple[Any, ...]]] = {}
    for name in names:
        with session(source, name) as connection, sql_errors(source, f"read the definitions of the database {name}"):
            found[name] = schemas(connection), tables(connection)
            hidden[name] = fetch(connection, UNREADABLE)
            missing[name] = missing_extensions(connection, ledger.connection, tuple(params["skip_extensions"]))
    check_patterns(choice, found)
    chosen = {name: choose(choice, *found[name]) for name in names}
    for name in names:
        if missing[name]:
            raise fail_missing_extensions(name, missing[name], target)
        refused = unreadable(name, chosen[name], hidden[name])
        if refused:
            raise refused
    _check_targets(target, ledger, names, overwrite=bool(params["overwrite"]), earlier=earlier)
    return Plan(programs, facts, chosen)


def check_versions(source: Server, source_version: int, target: Server, target_version: int, mode: str) -> None:
    if source_version < OLDEST:
        raise _version(source, source_version, "sources are copied from 9.5 on")
    if target_version < OLDEST_TARGET:
        raise _version(target, target_version, "targets have to be of version 14 or later")
    if target_version // 10000 < source_version // 10000:
        raise _version(target, target_version, f"the source has {source_version // 10000}, which is newer")
    if mode == "online" and source_version < OLDEST_PUBLISHER:
        raise _version(source, source_version, "logical replication begins with 10; copy it with mode offline")
    if mode == "online" and target_version < OLDEST_SUBSCRIBER:
        raise _version(target, target_version, "before 15 it does not tell what it refuses; copy with mode offline")


def _version(server: Server, version: int, why: str) -> ModuleFailure:
    number = str(version // 10000) if version >= 100000 else f"{version // 10000}.{version // 100 % 100}"
    return ModuleFailure(f"{server} runs PostgreSQL {number}: {why}.", code="WrongVersion", target=server.option)


def _check_targets(
    target: Server, ledger: Ledger, names: Sequence[str], *, overwrite: bool, earlier: Copy | None
) -> None:
    if ledger.database in names:
        raise ModuleFailure(
            f"The database {ledger.database} on {target} holds the table of copies; nothing can be copied into it.",
            code="TargetNotEmpty",
            target="target",
            hint="Leave it out, or name another database of the target in maintenance_database.",
        )
    ours = {row.name for row in earlier.databases if row.step != "new"} if earlier else set()
    with sql_errors(target, "read the databases"):
        there = {row[0] for row in fetch(ledger.connection, "SELECT datname::text FROM pg_database")}
    full = [name for name in names if name in there and name not in ours and not is_empty(target, name)]
    if full and not overwrite:
        raise ModuleFailure(
            f"There is something in {', '.join(full)} on {target} already; nothing was made.",
            code="TargetNotEmpty",
            target="target",
            hint="Drop these databases, or set overwrite to true, with which everything in them is lost.",
        )


def check_online(source: Server, target: Server, plan: Plan, rows: Sequence[DatabaseCopy], ledger: Ledger) -> None:
    names = [row.name for row in rows]
    lacks = lacking(read_facts(source, names[0]), len(names))
    if lacks:
        raise not_ready(source, lacks)
    for name in names:
        _check_publishing(source, name, plan.chosen[name].tables)
    _check_room(target, ledger, len(names))


# What each setting has to be for one more subscription at a time, beside what is in use: a worker for each database
# that is followed and one that copies tables, the launcher, and for each worker a record of how far it has come.
ROOM = """
SELECT s.name, s.setting::int, s.needed FROM (
    SELECT p.name, p.setting, CASE p.name WHEN 'max_logical_replication_workers' THEN w.busy + %(many)s + 1
                                          WHEN 'max_worker_processes' THEN w.busy + %(many)s + 2
                                          ELSE o.used + %(many)s + w.at_once END AS needed
      FROM pg_settings p, (SELECT count(*)::int AS used FROM pg_replication_origin) o,
           (SELECT count(*)::int AS busy, current_setting('max_sync_workers_per_subscription')::int AS at_once
              FROM pg_stat_subscription WHERE pid IS NOT NULL) w
     WHERE p.name IN ('max_logical_replication_workers', 'max_worker_processes', <origins>)) s
 WHERE s.setting::int < s.needed ORDER BY 1"""


def _check_room(target: Server, ledger: Ledger, many: int) -> None:
    with sql_errors(target, "read the settings for replication"):
        lacks = fetch(ledger.connection, ROOM, {"many": many})
    if lacks:
        told = ", ".join(f"{name} is {value} and has to be {needed}" for name, value, needed in lacks)
        raise ModuleFailure(
            f"{target} has no room for {many} more subscriptions: {told}; nothing was made.",
            code="TooFewWorkers",
            target="target",
            hint="Set this and restart the target, or copy fewer databases at once.",
        )


def _check_publishing(source: Server, name: str, found: Sequence[Table]) -> None:
    _check_comparable(source, name, [table.oid for table in found if table.matched_whole])
    foreign = [table.label for table in found if table.replicated and not table.owned]
    if foreign:
        more = f" and {len(foreign) - 10} more" if len(foreign) > 10 else ""
        raise ModuleFailure(
            f"The user of the option source does not own {', '.join(foreign[:10])}{more} in the database {name}, and "
            "only owners may publish tables; nothing was made.",
            code="NotOwner",
            target="source",
            hint="Make the user a member of the owners' roles, or copy with mode offline.",
        )
    with connect(source, name) as connection, sql_errors(source, "look for the right to publish"):
        allowed = fetch(connection, "SELECT has_database_privilege(current_database(), 'CREATE')")[0][0]
    if not allowed:
        raise ModuleFailure(
            f"The user of the option source may not make a publication in the database {name}; nothing was made.",
            code="PermissionDenied",
            target="source",
            hint="GRANT CREATE ON DATABASE to the user, or copy with mode offline.",
        )


def _check_comparable(source: Server, name: str, oids: list[int]) -> None:
    """Without a key the target looks for a row that is equal in all columns."""
    with connect(source, name) as connection, sql_errors(source, "look for types without equality"):
        rows = fetch(connection, incomparable("c.oid = ANY(ARRAY[" + ", ".join(map(str, oids)) + "]::oid[])"))
    if rows:
        told = ", ".join(f"{column} ({kind})" for column, kind in rows[:10])
        raise ModuleFailure(
            f"Tables of the database {name} have no key, and columns of types without equality: {told}. Their updates "
            "and deletes would be refused by the target; nothing was made.",
            code="NoEquality",
            target="source",
            hint="Add primary keys, or unique indexes on columns that are NOT NULL; or leave the tables out with "
            "exclude_tables, or copy with mode offline.",
        )
