# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._validation import privileges
from ansible_collections.pgflex.migrate.plugins.module_utils._validation.privileges import Access, Judge, Side

ROLES = {"admin": False, "alice": False, "store": False, "postgres": True}


def judge(source=150000, target=150000, mapping=None, roles=None):
    return Judge(Side(source, "shopadmin", {"postgres": True}), Side(target, "admin", roles or ROLES), mapping or {})


def table(owner="alice", *grants, kind="table", name="public.t"):
    return Access(kind, name, owner, frozenset(grants))


SELECT = ("store", "SELECT", False)


@pytest.mark.parametrize(
    ("source", "target", "missing", "extra"),
    [
        (table("alice", SELECT), table("alice", SELECT), None, None),
        (table("alice", SELECT), table("alice"), ["SELECT for store"], []),
        (table("alice"), table("alice", SELECT), [], ["SELECT for store"]),
        (table("alice", ("store", "SELECT", True)), table("alice", SELECT),
         ["SELECT for store with grant option"], ["SELECT for store"]),
        (table("alice"), table("store"), ["owner alice"], ["owner store"]),
        (table("shopadmin"), table("admin"), None, None),
        (table("alice", ("shopadmin", "SELECT", False)), table("alice", ("admin", "SELECT", False)), None, None),
        (table("postgres"), table("admin"), None, None),
        (table("alice", ("azure_pg_admin", "SELECT", False)), table("alice"), None, None),
        (table("alice", SELECT), table("store"), ["owner alice"], ["owner store"]),
    ],
)  # fmt: skip
def test_owners_and_grants(source, target, missing, extra):
    found = judge().compare("table", "public.t", source, target)
    wanted = {"kind": "table", "name": "public.t", "missing": missing, "extra": extra}
    assert found == (wanted if missing is not None else None)


def test_what_is_left_out_is_named():
    someone = judge()
    assert someone.compare("table", "t", table("postgres", ("pg_monitor", "SELECT", False)), table("admin")) is None
    assert dict(someone.left_out) == {
        "ownership of postgres, a superuser or a role of the platform": 1,
        "privileges of pg_monitor, a role of the platform": 1,
    }


def test_names_can_be_mapped():
    assert judge(mapping={"bob": "alice"}).compare("table", "t", table("bob"), table("alice")) is None


def test_a_role_that_the_target_lacks_is_told_once():
    someone = judge()
    for name in ("t", "u"):
        assert someone.compare("table", name, table("alice", ("bob", "SELECT", False)), table("alice")) is None
    (found,) = someone.lost_roles()
    assert found["name"] == "bob" and found["missing"] == ["the role itself, and with it 2 privileges or ownerships"]


def test_public_changed_with_15_and_maintain_came_with_17():
    grant = ("PUBLIC", "CREATE", False)
    ours, theirs = (Access("schema", "public", owner, grants) for owner, grants in (
        ("postgres", frozenset({grant})), ("pg_database_owner", frozenset())))  # fmt: skip
    assert judge(140000, 160000).compare("schema", "public", ours, theirs) is None
    assert judge(150000, 160000).compare("schema", "public", ours, theirs)["missing"] == ["CREATE for PUBLIC"]
    newer = table("alice", ("the owner", "MAINTAIN", False))
    assert judge(160000, 180000).compare("table", "t", table("alice"), newer) is None
    assert judge(180000, 180000).compare("table", "t", table("alice"), newer) is not None


def test_default_privileges_belong_to_who_makes_objects():
    ours = [Access("default privileges", "tables", "shopadmin", frozenset({SELECT}))]
    theirs = [Access("default privileges", "tables", "admin", frozenset({SELECT}))]
    assert list(judge().differences(ours, theirs)) == []
    (found,) = judge().differences(ours, [])
    assert found["name"] == "tables made by admin" and found["missing"] == ["SELECT for store"]
    (found,) = judge().differences([], theirs)
    assert found["extra"] == ["SELECT for store"]


def test_objects_of_one_side_are_told_elsewhere_but_columns_are_compared():
    column = Access("column", "public.t.a", None, frozenset({SELECT}))
    (found,) = judge().differences([table("alice", name="gone"), column], [])
    assert found["kind"] == "column" and found["missing"] == ["SELECT for store"]


def test_rows_become_grants():
    assert privileges.grants_of([["store", "SELECT", True]]) == {("store", "SELECT", True)}
    assert privileges.grants_of(None) == frozenset()
