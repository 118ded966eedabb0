# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which parameters of one server are worth having on another. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .parameters import Parameter, Unfit, fitted, same

PATHS = "it is a path or a command of the machine that the server runs on"
MEMORY = "it is sized by the server's memory"
CORES = "it is sized by the server's vCores"
CONNECTIONS = "it is sized by the server's memory, which connections take"
REPLICATION = "it is about replication and write-ahead log, which the service and the migration set as they need them"
LOGS = "where and how logs are written is the service's"
NETWORK = "how clients connect is the service's"
OTHER_PRODUCT = "it is a parameter of another product of Azure"
LIBRARIES = "libraries come with the extensions that the target allows; the preflight says which are missing"
TABLESPACES = "there are no tablespaces in Azure"
READ_ONLY_SOURCE = "a source is made read-only for its migration"

# The first pattern that fits the whole name tells why a parameter is never copied.
BLOCKED: tuple[tuple[str, str], ...] = (
    (r"azure\..*|pgbouncer\..*|metrics\..*|require_secure_transport|connection_throttl.*|backup_.*", OTHER_PRODUCT),
    (r".*preload_libraries|jit_provider", LIBRARIES),
    (r".*_tablespaces?", TABLESPACES),
    (r"default_transaction_read_only|transaction_read_only", READ_ONLY_SOURCE),
    (r"log_(destination|directory|filename|file_mode|rotation_.*|truncate_on_rotation|line_prefix)", LOGS),
    (r"logfiles\..*|logging_collector|log_retention_days|syslog_.*|event_source|update_process_title", LOGS),
    (r"listen_addresses|port|bonjour.*|unix_socket_.*|ssl|ssl_.*|gss_.*|krb_.*|password_encryption", NETWORK),
    (r"db_user_namespace|oauth_.*|cluster_name|reserved_connections|.*reserved_connections", NETWORK),
    (r"wal_buffers|(min_)?dynamic_shared_memory.*|shared_memory_type|min_dynamic_shared_memory", MEMORY),
    (r"wal_.*|(min|max)_wal_.*|max_slot_wal_.*|max_replication_slots|.*replication.*|summarize_wal", REPLICATION),
    (r"synchron(ous|ized)_standby.*|synchronous_commit|hot_standby.*|primary_.*|max_standby_.*", REPLICATION),
    (r"max_logical_.*|max_sync_workers.*|sync_replication_slots|track_commit_timestamp|fsync", REPLICATION),
    (r"full_page_writes|recovery_.*|vacuum_defer_cleanup_age|promote_.*|logical_decoding_work_mem", REPLICATION),
    (r"data_directory.*|config_file|.*_file|.*_directory|.*_command|.*_library|.*_path|archive_.*", PATHS),
    (r"shared_buffers|effective_cache_size|(maintenance|autovacuum)_work_mem|huge_page.*", MEMORY),
    (r".*_buffers", MEMORY),
    (r"max_connections|max_prepared_transactions|max_files_per_process", CONNECTIONS),
    (r"max_worker_processes|max_parallel_.*|autovacuum_max_workers|io_.*|effective_io_.*|autovacuum_worker_.*", CORES),
)  # fmt: skip
# A search path is none of the machine's.
FREE = frozenset({"search_path"})
SAME_PRODUCT = frozenset({"azure.extensions"})

TYPES = {"bool": "Boolean", "integer": "Integer", "real": "Numeric", "enum": "Enumeration"}
SETTINGS = """
SELECT name::text, reset_val, boot_val, vartype::text
  FROM pg_settings
 WHERE source IN ('configuration file', 'command line', 'environment variable', 'global')"""


@dataclass
class Copied:
    """Values by parameter, and what is left out with the reason."""

    values: dict[str, Any] = field(default_factory=dict)
    left_out: list[dict[str, str]] = field(default_factory=list)


def setting(row: Sequence[Any]) -> Parameter:
    """A row of SETTINGS, of a server that Azure knows nothing of."""
    name, value, default, kind = row
    return Parameter(name=name, value=value or "", default=default or "", data_type=TYPES.get(kind, "String"))


def blocked(name: str, *, same_product: bool = False) -> str | None:
    """Why a parameter is never copied."""
    key = name.lower()
    if key in FREE or (same_product and key in SAME_PRODUCT):
        return None
    return next((reason for pattern, reason in BLOCKED if re.fullmatch(pattern, key)), None)


def copied(source: Iterable[Parameter], target: Iterable[Parameter], *, same_product: bool = False) -> Copied:
    """What somebody has set at the source and the target can take."""
    there = {parameter.key: parameter for parameter in target}
    found = Copied()
    for parameter in source:
        if same(parameter, parameter.value, parameter.default):
            continue
        theirs = there.get(parameter.key)
        if theirs and same(theirs, theirs.value, parameter.value):
            if not theirs.read_only and not blocked(parameter.name, same_product=same_product):
                found.values[theirs.name] = parameter.value
            continue
        reason = _reason(parameter, theirs, same_product)
        if theirs and not reason:
            found.values[theirs.name] = parameter.value
        else:
            found.left_out.append({"name": parameter.name, "value": parameter.value, "reason": reason or ""})
    return found


def _reason(parameter: Parameter, theirs: Parameter | None, same_product: bool) -> str | None:
    reason = blocked(parameter.name, same_product=same_product)
    if reason:
        return reason
    if theirs is None:
        return "the target does not know it"
    if theirs.read_only:
        return f"it is read-only at the target, where it is {theirs.value!r}"
    try:
        fitted(theirs, parameter.value)
    except Unfit as unfit:
        return f"at the target it {unfit}"
    return None
