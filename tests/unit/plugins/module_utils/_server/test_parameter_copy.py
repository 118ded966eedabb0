# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._server.parameter_copy import blocked, copied, setting
from ansible_collections.pgflex.migrate.plugins.module_utils._server.parameters import Parameter


def one(name, value, default="", **more):
    return Parameter(name, value, default, **more)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("data_directory", "path"), ("archive_command", "path"), ("dynamic_library_path", "path"),
        ("shared_buffers", "memory"), ("effective_cache_size", "memory"), ("maintenance_work_mem", "memory"),
        ("huge_pages", "memory"), ("wal_buffers", "memory"), ("max_connections", "memory"),
        ("max_parallel_workers", "vCores"), ("autovacuum_max_workers", "vCores"), ("io_method", "vCores"),
        ("wal_level", "replication"), ("max_wal_size", "replication"), ("max_replication_slots", "replication"),
        ("hot_standby_feedback", "replication"), ("azure.replication_support", "product"), ("fsync", "replication"),
        ("log_destination", "logs"), ("logging_collector", "logs"), ("log_line_prefix", "logs"),
        ("listen_addresses", "connect"), ("port", "connect"), ("ssl_cert_file", "connect"), ("SSL", "connect"),
        ("azure.extensions", "product"), ("pgbouncer.enabled", "product"), ("connection_throttling", "product"),
        ("shared_preload_libraries", "libraries"), ("temp_tablespaces", "tablespaces"),
        ("default_transaction_read_only", "read-only"),
    ],
)  # fmt: skip
def test_what_is_never_copied(name, word):
    assert word in (blocked(name) or "")


@pytest.mark.parametrize(
    "name",
    ["work_mem", "statement_timeout", "log_min_duration_statement", "random_page_cost", "search_path", "TimeZone",
     "autovacuum_vacuum_scale_factor", "checkpoint_timeout", "log_statement", "deadlock_timeout", "tcp_keepalives_idle",
     "default_statistics_target", "idle_in_transaction_session_timeout", "pg_stat_statements.track", "lc_messages"],
)  # fmt: skip
def test_what_is_the_users_own(name):
    assert blocked(name) is None


def test_extensions_are_those_of_the_same_product():
    assert blocked("azure.extensions", same_product=True) is None
    assert blocked("azure.accepted_password_auth_method", same_product=True)


def memory(value, name="work_mem"):
    return one(name, value, "4096", data_type="Integer", allowed="64-2097151")


@pytest.mark.parametrize(
    ("source", "target", "values", "reason"),
    [
        (memory("8192"), memory("4096"), {"work_mem": "8192"}, None),
        # Nobody has set it at the source; what the target has is its own.
        (memory("4096"), memory("9999"), {}, None),
        (memory("8192"), memory("8192"), {"work_mem": "8192"}, None),
        (memory("8192", "Work_Mem"), memory("1"), {"work_mem": "8192"}, None),
        (memory("1"), memory("4096"), {}, "has to be in 64-2097151"),
        (one("array_nulls", "off", "on", data_type="Boolean"), one("array_nulls", "on", "on", data_type="Boolean"),
         {"array_nulls": "off"}, None),
        (one("gone", "1", "0"), one("other", "1", "0"), {}, "the target does not know it"),
        (one("x", "1", "0"), one("x", "0", "0", read_only=True), {}, "read-only at the target, where it is '0'"),
        (one("x", "1", "0"), one("x", "1", "0", read_only=True), {}, None),
        (one("shared_buffers", "1", "0"), one("shared_buffers", "2", "0"), {}, "sized by the server's memory"),
        (one("shared_buffers", "1", "0"), one("shared_buffers", "1", "0"), {}, None),
        (one("shared_buffers", "1", "1"), one("shared_buffers", "2", "0"), {}, None),
    ],
)  # fmt: skip
def test_what_is_copied_and_why_not(source, target, values, reason):
    found = copied([source], [target])
    assert found.values == values
    assert [row["name"] for row in found.left_out] == ([source.name] if reason else [])
    assert all(reason in row["reason"] and row["value"] == source.value for row in found.left_out)


def test_settings_of_a_server_outside_azure():
    assert setting(("work_mem", "8192", "4096", "integer")) == one("work_mem", "8192", "4096", data_type="Integer")
    assert setting(("ssl", None, None, "string")) == one("ssl", "")
