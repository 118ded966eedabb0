# SPDX-License-Identifier: GPL-3.0-or-later
"""A database of traps, dumped from one major and restored into another: no false alarm, and no damage unseen."""

from __future__ import annotations

import subprocess
from random import Random

import corruptions
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.pgflex.migrate.plugins.module_utils._base import Runtime
from ansible_collections.pgflex.migrate.plugins.module_utils._validation import database as engine
from ansible_collections.pgflex.migrate.plugins.modules import data_validation
from traps import trapped

from postgres_versions.cluster import PASSWORD, SUPERUSER
from postgres_versions.programs import client_programs

PAIRS = [(10, 15), (10, 18), (14, 16), (15, 18), (16, 16), (18, 18)]


def copy(source, target, database, into=None):
    programs = client_programs(target.major)
    dump, restore = (
        ["-h", cluster.host, "-p", str(cluster.port), "-U", SUPERUSER, "-d", name]
        for cluster, name in ((source, database), (target, into or database))
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


@pytest.fixture(scope="module")
def copies(filled, postgres):
    """A pair of servers whose target can be made anew in a moment, as it was after a faithful copy."""
    ready = set()

    def fresh(old, new):
        source, target = filled(old), postgres(new, "target")
        if (old, new) not in ready:
            auditor(target)
            target.recreate_database(f"pristine{old}")
            copy(source, target, "traps", f"pristine{old}")
            ready.add((old, new))
        target.recreate_database("traps", more=f"TEMPLATE pristine{old}")
        return source, target

    return fresh


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(engine, "RECHECK_SECONDS", 0.01)


def told(result):
    """All names that the comparison calls different, by what they are names of."""
    (database,) = result["validation"]["databases"]
    names = {table["name"] for table in database["tables"] if not table["equal"]}
    for counts in database["objects"].values():
        names |= {*counts["missing"], *counts["extra"]} if not counts["equal"] else set()
    for part in ("definitions", "privileges"):
        names |= {row["name"] for row in database[part]["differing"]}
    names |= {sequence["name"] for sequence in database["sequences"] if not sequence["equal"]}
    return names | {str(row["oid"]) for row in database["large_objects"]["differing"]}


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_is_found_and_named(copies, seed):
    source, target = copies(*((10, 18), (16, 16))[seed % 2])
    random = Random(seed)
    with target.connect("traps") as connection:
        damage = random.choice(corruptions.RANDOM)(connection, random)
    result = run(source, target, "traps")
    assert result.get("failed"), damage.done
    assert told(result) == {damage.name}, damage.done
    if damage.column:
        examples = next(table for table in result["validation"]["databases"][0]["tables"] if not table["equal"])
        columns = examples["differing"][0].get("columns")
        assert columns in (None, [damage.column]), damage.done


OF_OBJECTS = {**corruptions.DEFINITIONS, **corruptions.DEFINITIONS_SINCE_10}


def groups(damages):
    """Damage to different objects can be done at the same time, and costs one comparison."""
    made = []
    for statement, name in damages.items():
        group = next((group for group in made if name not in group), None)
        if group is None:
            made.append(group := {})
        group[name] = statement
    return made


@pytest.mark.parametrize(
    ("old", "new", "damages"), [(10, 18, OF_OBJECTS), (16, 16, {**OF_OBJECTS, **corruptions.PRIVILEGES})]
)
def test_every_damage_to_what_objects_are_is_found_and_named(copies, old, new, damages):
    unseen = []
    for group in groups(damages):
        source, target = copies(old, new)
        with target.connect("traps") as connection:
            for statement in group.values():
                connection.execute(statement)
        found = told(run(source, target, "traps"))
        unseen += [statement for name, statement in group.items() if name not in found]
    assert not unseen, "\n".join(unseen)


def test_old_servers_are_read_in_ranges_of_keys(copies, monkeypatch):
    monkeypatch.setattr(engine, "CHUNK_BYTES", 16 * 1024)
    source, target = copies(10, 18)
    for cluster in (source, target):
        with cluster.connect("traps") as connection:
            connection.execute("ANALYZE")
    parts = []
    cut = engine.cut

    def seen(*args):
        parts.extend(cut(*args))
        return cut(*args)

    monkeypatch.setattr(engine, "cut", seen)
    assert run(source, target, "traps")["validation"]["equal"]
    conditions = {part.chunk.condition for part in parts if part.chunk.column}
    assert any(condition.startswith('"id" >= ') for condition in conditions)
    with target.connect("traps") as connection:
        connection.execute("UPDATE customers SET name = 'changed' WHERE id = 321")
    found = run(source, target, "traps")
    assert told(found) == {"public.customers"} and "id=321 in name" in found["msg"]


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=str)
def test_a_faithful_copy_raises_no_alarm(copies, old, new):
    source, target = copies(old, new)
    result = run(source, target, "traps", materialized_views="refresh")
    assert not result.get("failed"), result["msg"]
    (database,) = result["validation"]["databases"]
    assert {table["verdict"] for table in database["tables"]} == {"equal"}
    apart = {table["name"]: table["not_compared"] for table in database["tables"] if table["not_compared"]}
    assert apart == ({"public.crates": ["crate"]} if old < 12 else {})
    assert database["definitions"]["equal"] and database["definitions"]["source"] > 90
    assert [row["name"] for row in database["definitions"]["not_compared"]] == []
    assert database["privileges"]["equal"]
