# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._postgres import Server
from ansible_collections.pgflex.migrate.plugins.module_utils._source.replication import Facts, lacking, not_ready

READY = Facts("logical", 10, 0, 10, 0, 60000, "migrator", may_replicate=True)
SERVER = Server("source", "db1.example.com", "migrator")


@pytest.mark.parametrize(
    ("changes", "databases", "names"),
    [
        ({}, 1, []),
        ({}, 9, []),
        # The service wants more slots than databases.
        ({}, 10, ["max_replication_slots", "max_wal_senders"]),
        ({"wal_level": "replica"}, 1, ["wal_level"]),
        ({"used_replication_slots": 9}, 1, []),
        ({"used_replication_slots": 9}, 2, ["max_replication_slots", "max_wal_senders"]),
        ({"max_wal_senders": 20, "used_replication_slots": 9}, 2, ["max_replication_slots"]),
        ({"active_wal_senders": 8}, 3, ["max_wal_senders"]),
        ({"max_wal_senders": 9}, 1, ["max_wal_senders"]),
        ({"may_replicate": False}, 1, ["the user migrator"]),
        ({"wal_sender_timeout": 0}, 1, []),
    ],
)
def test_what_is_lacking(changes: dict[str, Any], databases: int, names: list[str]) -> None:
    assert [lack.name for lack in lacking(replace(READY, **changes), databases)] == names


@pytest.mark.parametrize(
    ("cloud", "wal_level", "senders", "user"),
    [
        (
            None,
            "ALTER SYSTEM SET wal_level = logical;",
            "ALTER SYSTEM SET max_wal_senders = 10;",
            'ALTER ROLE "migrator" REPLICATION;',
        ),
        (
            "azure.extensions",
            "set wal_level to logical with pgflex.migrate.server_parameters",
            "set max_wal_senders to 10 with pgflex.migrate.server_parameters",
            'ALTER ROLE "migrator" REPLICATION;',
        ),
        (
            "rds.logical_replication",
            "set rds.logical_replication to 1 in the parameter group",
            "set max_wal_senders to 10 in the parameter group",
            'GRANT rds_replication TO "migrator";',
        ),
        (
            "cloudsql.logical_decoding",
            "set the flag cloudsql.logical_decoding to on",
            "set the flag max_wal_senders to 10",
            'ALTER ROLE "migrator" REPLICATION;',
        ),
    ],
)
def test_each_cloud_has_its_own_remedy(cloud: str | None, wal_level: str, senders: str, user: str) -> None:
    facts = replace(READY, wal_level="replica", max_wal_senders=5, may_replicate=False, cloud=cloud)
    assert [lack.remedy for lack in lacking(facts, 1)] == [wal_level, senders, user]


def test_one_sentence_for_each_thing() -> None:
    facts = replace(READY, wal_level="replica", used_replication_slots=9, max_wal_senders=20, may_replicate=False)
    failure = not_ready(SERVER, lacking(facts, 3))
    assert failure.message == (
        "the source server db1.example.com:5432 is not set up for logical replication, nothing was changed. "
        "wal_level is replica, needed is logical: ALTER SYSTEM SET wal_level = logical. "
        "max_replication_slots is 10 (9 in use), needed is 12 or more: "
        "ALTER SYSTEM SET max_replication_slots = 12; or drop slots that nobody uses. "
        'the user migrator is without REPLICATION, needed is the right to it: ALTER ROLE "migrator" REPLICATION. '
        "Then restart the server."
    )
    assert [row["name"] for row in failure.details["lacking"]] == [
        "wal_level",
        "max_replication_slots",
        "the user migrator",
    ]


def test_a_right_needs_no_restart() -> None:
    failure = not_ready(SERVER, lacking(replace(READY, may_replicate=False), 1))
    assert "restart" not in failure.message
