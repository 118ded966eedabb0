# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PATCH does to a migration that runs: it answers a waiting state, cuts over, or cancels."""

from __future__ import annotations

from pgflex_lab.migrations.model import DatabaseState, Migration, Order, State, Substate
from pgflex_lab.migrations.wire import bad_request


def apply(migration: Migration, change: Order) -> None:
    """Inside `migration.changing()`. Everything is checked before anything is changed."""
    _check(migration, change)
    order = migration.order
    if change.cancel:
        order.cancel, order.cancel_databases = True, change.cancel_databases
        cancel(migration, change.cancel_databases)
        return
    order.databases = change.databases or order.databases
    for name in ("setup_replication", "overwrite", "start_data_migration", "migrate_roles"):
        given = getattr(change, name)
        if given is not None:
            setattr(order, name, given)
    if change.start_data_migration and migration.substate == Substate.WAITING_REPLICATION:
        # The first preview's client has this one flag for it.
        order.setup_replication = True
    if change.window_start:
        migration.window_start = change.window_start
        order.start_data_migration = True
    if change.source_password:
        order.source_password = change.source_password
    if change.target_password:
        order.target_password = change.target_password
    if change.trigger_cutover:
        order.trigger_cutover, order.cutover_databases = True, change.cutover_databases
        for item in migration.databases.values():
            item.cutover_wanted = item.cutover_wanted or item.name in (change.cutover_databases or migration.databases)


def _check(migration: Migration, change: Order) -> None:
    if change.trigger_cutover:
        _check_cutover(migration, change)
    if migration.state.final:
        raise bad_request(f"Migration '{migration.name}' has ended ({migration.state}) and cannot be updated.")
    if change.cancel:
        _known(migration, "dbsToCancelMigrationOn", change.cancel_databases)
    if change.databases is not None and migration.databases and change.databases != migration.order.databases:
        raise bad_request("The databases to migrate cannot be changed after the migration of data has started.")


def _check_cutover(migration: Migration, change: Order) -> None:
    if not migration.order.online:
        raise bad_request("603114: Cutover is not possible for an offline migration.")
    if migration.state.final:
        raise bad_request(f"603113: Migration '{migration.name}' has ended ({migration.state}); it cannot be cut over.")
    _known(migration, "dbsToTriggerCutoverOn", change.cutover_databases)
    wanted = change.cutover_databases or list(migration.databases)
    waiting = [name for name in wanted if migration.databases[name].state == DatabaseState.WAITING_CUTOVER]
    if not waiting or (change.cutover_databases and len(waiting) < len(wanted)):
        raise bad_request(
            f"Cutover of migration '{migration.name}' cannot be triggered in substate {migration.substate}; "
            f"its databases have to be in {Substate.WAITING_CUTOVER}."
        )


def _known(migration: Migration, name: str, databases: list[str] | None) -> None:
    strange = [item for item in databases or [] if item not in (migration.order.databases or [])]
    if strange:
        raise bad_request(
            f"'{name}' lists databases that migration '{migration.name}' does not have: {', '.join(strange)}."
        )


def cancel(migration: Migration, databases: list[str] | None = None) -> None:
    """The whole migration, or some of its databases while the others go on."""
    with migration.changing():
        if migration.state.final:
            raise bad_request(
                f"Migration '{migration.name}' has ended ({migration.state}); there is nothing to cancel."
            )
        active = [item for item in migration.databases.values() if not item.state.final]
        chosen = [item for item in active if not databases or item.name in databases]
        if len(chosen) == len(active):
            migration.cancel_wanted = True
            migration.state, migration.substate = State.IN_PROGRESS, Substate.CANCELING
        for item in chosen:
            item.cancel_wanted = True
            item.state = DatabaseState.CANCELING
