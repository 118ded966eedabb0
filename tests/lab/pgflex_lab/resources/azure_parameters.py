# SPDX-License-Identifier: GPL-3.0-or-later
"""Server parameters that Azure adds to PostgreSQL's, and what it does with PostgreSQL's own."""

from __future__ import annotations

from dataclasses import dataclass

EXTENSIONS = (
    "address_standardizer,address_standardizer_data_us,amcheck,anon,azure_ai,azure_local_ai,azure_storage,bloom,btree_gin,"
    "btree_gist,citext,credcheck,cube,dblink,dict_int,dict_xsyn,earthdistance,fuzzystrmatch,hstore,hypopg,intagg,intarray,"
    "isn,lo,login_hook,ltree,oracle_fdw,orafce,pageinspect,pg_buffercache,pg_cron,pg_diskann,pg_freespacemap,pg_hint_plan,"
    "pg_partman,pg_prewarm,pg_repack,pg_squeeze,pg_stat_statements,pg_trgm,pg_visibility,pgaudit,pgcrypto,pglogical,pgrouting,"
    "pgrowlocks,pgstattuple,plpgsql,plv8,postgis,postgis_raster,postgis_sfcgal,postgis_tiger_geocoder,postgis_topology,"
    "postgres_fdw,semver,session_variable,sslinfo,tablefunc,tdigest,tds_fdw,timescaledb,topn,tsm_system_rows,tsm_system_time,"
    "unaccent,uuid-ossp,vector"
)
PRELOAD_FLEXIBLE = (
    "anon,auto_explain,azure_storage,credcheck,login_hook,pg_cron,pg_failover_slots,pg_hint_plan,pg_partman_bgw,pg_prewarm,"
    "pg_squeeze,pg_stat_statements,pgaudit,pglogical,timescaledb,wal2json"
)
PRELOAD_SINGLE = "pg_prewarm,pg_stat_statements,pgaudit,timescaledb,postgis-2.5"


@dataclass(frozen=True)
class AzureParameter:
    """`data_type` as the newer API calls it; `allowed` is `a,b`, `low-high`, or a pattern."""

    name: str
    default: str
    data_type: str
    allowed: str
    description: str
    dynamic: bool = True
    read_only: bool = False
    unit: str = ""


def _boolean(name: str, default: str, description: str, *, dynamic: bool = True) -> AzureParameter:
    return AzureParameter(name, default, "Boolean", "on,off", description, dynamic)


FLEXIBLE_PARAMETERS = (
    AzureParameter(
        "azure.extensions", "", "Set", EXTENSIONS, "Specifies which extensions are allowed to be created in the server."
    ),
    AzureParameter(
        "azure.accepted_password_auth_method",
        "md5",
        "Set",
        "md5,scram-sha-256",
        "Specifies which authentication methods are accepted by server.",
    ),
    _boolean(
        "azure.enable_temp_tablespaces_on_local_ssd",
        "on",
        "If set to on, it enables the temporary tablespace on local SSD.",
    ),
    _boolean(
        "azure.single_to_flex_migration",
        "off",
        "Specifies if this is a server created for migrating from Single Server to Flexible Server.",
    ),
    _boolean(
        "azure.migration_copy_with_binary",
        "off",
        "When set to on, this parameter will enable the use of the binary format for copying data during migration.",
    ),
    _boolean(
        "azure.migration_skip_analyze",
        "off",
        "When set to on, this parameter will skip the analyze phase (vacuumdb --analyze-only) during the migration.",
    ),
    _boolean(
        "azure.migration_skip_extensions",
        "off",
        "When set to on, this parameter will skip the migration of extensions.",
    ),
    _boolean(
        "azure.migration_skip_large_objects",
        "off",
        "When set to on, this parameter will skip the migration of large objects such as BLOBs.",
    ),
    _boolean(
        "azure.migration_skip_role_user",
        "off",
        "When set to on, this parameter will exclude user roles from the migration process.",
    ),
    AzureParameter(
        "azure.migration_table_split_size",
        "20480",
        "Integer",
        "1-204800",
        "When set, this parameter specifies the size at which tables will be partitioned during migration.",
        unit="MB",
    ),
    AzureParameter(
        "azure.service_principal_id",
        "",
        "String",
        r"[A-Za-z0-9._-]*",
        "A unique identifier for a service principal associated with the Azure tenant.",
        read_only=True,
    ),
    AzureParameter(
        "azure.service_principal_tenant_id",
        "",
        "String",
        r"[A-Za-z0-9._-]*",
        "A unique identifier for the tenant of the service principal.",
        read_only=True,
    ),
    _boolean(
        "require_secure_transport",
        "on",
        "Whether client connections to the server are required to use some form of secure transport.",
    ),
    _boolean("pgbouncer.enabled", "false", "Denotes if pgBouncer service is enabled.", dynamic=True),
    _boolean("logfiles.download_enable", "off", "Enables or disables server logs functionality."),
    AzureParameter(
        "logfiles.retention_days",
        "3",
        "Integer",
        "1-7",
        "Sets the retention period window in days for server logs.",
        unit="days",
    ),
    _boolean(
        "metrics.collector_database_activity", "off", "Enables enhanced metrics collection for database activity."
    ),
    AzureParameter(
        "pg_qs.query_capture_mode",
        "none",
        "Enumeration",
        "top,all,none",
        "Specifies which statements are captured by query store.",
    ),
    AzureParameter(
        "pgms_wait_sampling.query_capture_mode",
        "none",
        "Enumeration",
        "all,none",
        "Selects which statements are tracked by the pgms_wait_sampling extension.",
    ),
)
SINGLE_PARAMETERS = (
    AzureParameter(
        "azure.replication_support",
        "REPLICA",
        "Enumeration",
        "OFF,REPLICA,LOGICAL",
        "Enables replication support on the server.",
        dynamic=False,
    ),
    _boolean(
        "connection_throttling",
        "on",
        "Enables temporary connection throttling per IP for too many invalid password login failures.",
    ),
    AzureParameter("log_retention_days", "3", "Integer", "1-7", "Sets how many days a log file is saved for."),
    AzureParameter(
        "pg_qs.query_capture_mode",
        "none",
        "Enumeration",
        "top,all,none",
        "Selects which statements are tracked by pg_qs.",
    ),
    AzureParameter(
        "pgms_wait_sampling.query_capture_mode",
        "none",
        "Enumeration",
        "all,none",
        "Selects which statements are tracked by the pgms_wait_sampling extension.",
    ),
)
REPLICATION_SUPPORT = {"OFF": "replica", "REPLICA": "replica", "LOGICAL": "logical"}
"""What wal_level becomes at the next restart; PostgreSQL's own minimum is more than OFF promises."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


HIDDEN = _names(
    "allow_system_table_mods archive_cleanup_command archive_command archive_library archive_mode bonjour bonjour_name "
    "cluster_name config_file data_directory data_directory_mode debug_assertions dynamic_shared_memory_type "
    "event_source "
    "external_pid_file fsync full_page_writes hba_file ident_file ignore_checksum_failure in_hot_standby "
    "ignore_invalid_pages "
    "ignore_system_indexes jit_debugging_support jit_dump_bitcode jit_profiling_support jit_provider krb_caseins_users "
    "krb_server_keyfile listen_addresses log_directory log_file_mode log_filename post_auth_delay pre_auth_delay "
    "primary_conninfo promote_trigger_file recovery_end_command recovery_init_sync_method recovery_prefetch "
    "remove_temp_files_after_crash restore_command shared_memory_type ssl_ca_file ssl_cert_file ssl_crl_dir "
    "ssl_crl_file "
    "ssl_dh_params_file ssl_ecdh_curve ssl_key_file ssl_passphrase_command ssl_passphrase_command_supports_reload "
    "syslog_facility syslog_ident trace_recovery_messages trace_sort unix_socket_directories unix_socket_group "
    "unix_socket_permissions zero_damaged_pages"
)
READ_ONLY = _names(
    "autovacuum_freeze_max_age block_size data_checksums hot_standby lc_collate lc_ctype integer_datetimes "
    "max_function_args "
    "max_identifier_length max_index_keys port segment_size server_encoding server_version server_version_num "
    "shared_memory_size shared_memory_size_in_huge_pages ssl ssl_library superuser_reserved_connections wal_block_size "
    "wal_segment_size"
)
SINGLE_READ_ONLY = frozenset({"wal_level", "shared_buffers", "max_connections"})
