# SPDX-License-Identifier: GPL-3.0-or-later
"""A database of traps, dumped from one major and restored into another: equal, with every column compared."""

from __future__ import annotations

import subprocess

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.pgflex.migrate.plugins.module_utils import _validation_database as engine
from ansible_collections.pgflex.migrate.plugins.module_utils._base import Runtime
from ansible_collections.pgflex.migrate.plugins.modules import data_validation
from traps import trapped

from postgres_versions.cluster import PASSWORD, SUPERUSER
from postgres_versions.programs import client_programs

PAIRS = [(10, 15), (10, 18), (14, 16), (15, 18), (16, 16), (18, 18)]


def copy(source, target, database):
    programs = client_programs(target.major)
    dump, restore = (
        [*("-h", cluster.host, "-p", str(cluster.port), "-U", SUPERUSER, "-d", database)]
        for cluster in (source, target)
    )
    environment = {"PATH": "/usr/bin:/bin", "PGPASSWORD": PASSWORD, "PGSSLMODE": "disable", "LC_ALL": "C.UTF-8"}
    dumped = subprocess.run([programs / "pg_dump", "-Fc", *dump], capture_output=True, env=environment, check=True)
    subprocess.run(
        [programs / "pg_restore", "--exit-on-error", *restore],
        input=dumped.stdout,
        env=environment,
        check=True,
        capture_output=True,
    )


def run(source, target, database, **options):
    args = {
        "source": source.options(SUPERUSER),
        "target": target.options(SUPERUSER),
        "databases": [database],
        "settle_timeout": 0,
        "privileges": "compare",
        **options,
    }
    validator = ArgumentSpecValidator(data_validation.SPEC.options, **data_validation.SPEC.constraints())
    checked = validator.validate(args)
    assert not checked.error_messages, checked.error_messages
    return data_validation.MODULE(Runtime(params=checked.validated_parameters)).run()


def auditor(cluster):
    with cluster.connect() as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'auditor'").fetchone():
            connection.execute("CREATE ROLE auditor")


def make(cluster, database):
    auditor(cluster)
    cluster.recreate_database(database)
    with cluster.connect(database) as connection:
        for script in trapped(cluster.major):
            connection.execute(script)


@pytest.fixture(scope="module")
def filled(postgres):
    """A server of a major with the database of traps in it, made once."""
    made = {}

    def fill(major):
        if major not in made:
            made[major] = postgres(major)
            make(made[major], "traps")
        return made[major]

    return fill


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=lambda major: str(major))
def test_a_faithful_copy_raises_no_alarm(filled, postgres, monkeypatch, old, new):
    monkeypatch.setattr(engine, "RECHECK_SECONDS", 0.1)
    source, target = filled(old), postgres(new, "target")
    auditor(target)
    target.recreate_database("traps")
    copy(source, target, "traps")
    result = run(source, target, "traps", materialized_views="refresh")
    assert not result.get("failed"), result["msg"]
    (database,) = result["validation"]["databases"]
    assert {table["verdict"] for table in database["tables"]} == {"equal"}
    apart = {table["name"]: table["not_compared"] for table in database["tables"] if table["not_compared"]}
    assert apart == ({"public.crates": ["crate"]} if old < 12 else {})
    assert database["definitions"]["equal"] and database["definitions"]["source"] > 90
    assert [row["name"] for row in database["definitions"]["not_compared"]] == []
    assert database["privileges"]["equal"]
