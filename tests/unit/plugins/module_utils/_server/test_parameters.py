# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure
from ansible_collections.pgflex.migrate.plugins.module_utils._server.parameters import (
    Parameter,
    Unfit,
    fitted,
    flexible_parameter,
    plan,
    same,
    single_parameter,
)

SSL = Parameter("ssl", "on", "off", "Boolean", "on,off", read_only=True)
ARRAY_NULLS = Parameter("array_nulls", "on", "on", "Boolean", "on,off")
UPPER = Parameter("metrics.autovacuum_diagnostics", "OFF", "OFF", "Boolean", "ON,OFF")
WORK_MEM = Parameter("work_mem", "4096", "4096", "Integer", "4096-2097151", unit="KB")
TIMEOUT = Parameter("statement_timeout", "0", "0", "Integer", "0-2147483647")
GAPS = Parameter("log_autovacuum_min_duration", "-1", "-1", "Integer", "-1,0,100-2147483647")
COST = Parameter("random_page_cost", "4", "4", "Numeric", "0-1.79769e+308")
SLEEP = Parameter("vacuum_cost_delay", "0", "0", "Numeric", "-1-100")
WAL_LEVEL = Parameter("wal_level", "replica", "replica", "Enumeration", "replica,logical", needs_restart=True)
SUPPORT = Parameter("azure.replication_support", "REPLICA", "OFF", "Enumeration", "OFF,REPLICA,LOGICAL")
EXTENSIONS = Parameter("azure.extensions", "pg_trgm,hstore", "", "Set", ",HSTORE,PG_TRGM,UUID-OSSP")
PRELOAD = Parameter("shared_preload_libraries", "pg_cron,pgaudit", "", "Set", "pg_cron,pgaudit,pg_stat_statements")
PRELOAD_TEXT = Parameter("shared_preload_libraries", "pg_stat_statements", "", "String", "")
PATH = Parameter("search_path", '"$user", public', '"$user", public', "String", '[a-zA-Z0-9_$," ]*')
STYLE = Parameter("DateStyle", "ISO, MDY", "ISO, MDY", "String", "(ISO|POSTGRES|SQL|GERMAN)(, (DMY|MDY|YMD))?")


@pytest.mark.parametrize(
    ("parameter", "one", "other", "equal"),
    [
        (ARRAY_NULLS, "on", "ON", True),
        (ARRAY_NULLS, "true", "on", True),
        (ARRAY_NULLS, "on", "off", False),
        (WORK_MEM, "4096", " 4096 ", True),
        (WORK_MEM, "4096", "4096.0", True),
        (WORK_MEM, "4096", "4097", False),
        (WORK_MEM, "", "0", False),
        (COST, "4", "4.00", True),
        (COST, "1e2", "100", True),
        (COST, "1.1", "1.10000001", False),
        (WAL_LEVEL, "LOGICAL", "logical", True),
        (WAL_LEVEL, "replica", "logical", False),
        (EXTENSIONS, "pg_trgm, hstore", "HSTORE,PG_TRGM", True),
        (EXTENSIONS, "pg_trgm", "pg_trgm,hstore", False),
        (PRELOAD, "pg_cron, pgaudit", "pg_cron,pgaudit", True),
        (PRELOAD, "pgaudit,pg_cron", "pg_cron,pgaudit", False),
        (PRELOAD_TEXT, "pg_stat_statements, pgaudit", "PG_STAT_STATEMENTS,pgaudit", True),
        (PATH, '"$user",public', '"$user", public', True),
        (PATH, '"Shop"', '"shop"', False),
        (STYLE, "ISO,MDY", "ISO, MDY", True),
    ],
)
def test_equal_values_by_type(parameter: Parameter, one: str, other: str, equal: bool) -> None:
    assert same(parameter, one, other) is equal


@pytest.mark.parametrize(
    ("parameter", "value", "text"),
    [
        (ARRAY_NULLS, True, "on"),
        (ARRAY_NULLS, "No", "off"),
        (UPPER, True, "ON"),
        (WORK_MEM, 8192, "8192"),
        (WORK_MEM, "8192", "8192"),
        (WORK_MEM, 8192.0, "8192"),
        (COST, 1.1, "1.1"),
        (GAPS, -1, "-1"),
        (GAPS, 100, "100"),
        (SLEEP, -0.5, "-0.5"),
        (WAL_LEVEL, "LOGICAL", "logical"),
        (SUPPORT, "logical", "LOGICAL"),
        # YAML reads off as a boolean.
        (SUPPORT, False, "OFF"),
        (EXTENSIONS, ["pg_trgm", "uuid-ossp"], "PG_TRGM,UUID-OSSP"),
        (EXTENSIONS, "", ""),
        (EXTENSIONS, [], ""),
        (PRELOAD, "pg_cron, pgaudit", "pg_cron,pgaudit"),
        (PATH, '"$user", shop', '"$user",shop'),
    ],
)
def test_values_are_written_in_the_service_s_spelling(parameter: Parameter, value: Any, text: str) -> None:
    assert fitted(parameter, value) == text


@pytest.mark.parametrize(
    ("parameter", "value", "why"),
    [
        (ARRAY_NULLS, "maybe", "has to be on or off"),
        (ARRAY_NULLS, "", "has to be on or off"),
        (WORK_MEM, "64MB", "has to be an integer, in units of KB"),
        (WORK_MEM, 1.5, "has to be an integer, in units of KB"),
        (WORK_MEM, 1, "has to be in 4096-2097151"),
        (TIMEOUT, -1, "has to be in 0-2147483647"),
        (TIMEOUT, "nan", "has to be an integer"),
        (GAPS, 50, "has to be in -1,0,100-2147483647"),
        (COST, "cheap", "has to be a number"),
        (SLEEP, 101, "has to be in -1-100"),
        (WAL_LEVEL, "minimal", "has to be one of replica, logical"),
        (PRELOAD, "pg_cron,evil", "has to be made of pg_cron, pgaudit, pg_stat_statements"),
        (WORK_MEM, {"a": 1}, "has to be one value or a list, not a mapping"),
    ],
)
def test_values_that_can_not_be(parameter: Parameter, value: Any, why: str) -> None:
    with pytest.raises(Unfit) as caught:
        fitted(parameter, value)
    assert str(caught.value) == why


def test_ranges_that_nobody_understands_are_left_to_the_service() -> None:
    assert fitted(Parameter("x", "1", data_type="Integer", allowed="1 to 5"), 9) == "9"


def test_only_differences_are_planned() -> None:
    asked = {"WORK_MEM": "4096", "wal_level": "logical", "datestyle": "ISO,MDY"}
    changes = plan([WORK_MEM, WAL_LEVEL, STYLE], asked, "shop")
    assert [(change.name, change.value) for change in changes] == [("wal_level", "logical")]
    assert changes[0].properties == {"value": "logical", "source": "user-override"}


def test_null_goes_back_to_the_default() -> None:
    (change,) = plan([EXTENSIONS], {"azure.extensions": None}, "shop")
    assert change.properties == {"value": "", "source": "system-default"}
    assert plan([WORK_MEM], {"work_mem": None}, "shop") == []


def test_an_empty_string_is_a_value() -> None:
    (change,) = plan([EXTENSIONS], {"azure.extensions": ""}, "shop")
    assert change.properties == {"value": "", "source": "user-override"}


def test_a_read_only_parameter_may_be_asked_for_as_it_is() -> None:
    assert plan([SSL], {"ssl": True}, "shop") == []


def test_one_failure_names_everything() -> None:
    asked = {"wal_levl": "logical", "ssl": "off", "work_mem": "64MB", "array_nulls": "off"}
    with pytest.raises(ModuleFailure) as caught:
        plan([WORK_MEM, WAL_LEVEL, SSL, ARRAY_NULLS], asked, "shop in rg")
    assert caught.value.message == (
        "Failed to set parameters of shop in rg, nothing was changed: "
        "wal_levl is not a parameter of this server (is wal_level meant?); "
        "ssl is read-only, its value is 'on'; "
        "work_mem is '64MB' and has to be an integer, in units of KB."
    )
    assert caught.value.details == {"invalid_parameters": ["wal_levl", "ssl", "work_mem"]}


def test_what_a_flexible_server_answers() -> None:
    row = {
        "name": "max_connections",
        "properties": {
            "value": "859",
            "defaultValue": "859",
            "dataType": "Integer",
            "allowedValues": "25-5000",
            "isDynamicConfig": False,
            "isReadOnly": False,
            "isConfigPendingRestart": True,
            "unit": "",
        },
    }
    expected = Parameter(
        "max_connections", "859", "859", "Integer", "25-5000", needs_restart=True, pending_restart=True
    )
    assert flexible_parameter(row) == expected


def test_a_single_server_does_not_say_what_needs_a_restart() -> None:
    properties = {
        "value": "OFF",
        "defaultValue": "OFF",
        "dataType": "Enumeration",
        "allowedValues": "OFF,REPLICA,LOGICAL",
    }
    assert single_parameter({"name": "azure.replication_support", "properties": properties}).needs_restart
    assert not single_parameter({"name": "work_mem", "properties": {"value": None}}).needs_restart
