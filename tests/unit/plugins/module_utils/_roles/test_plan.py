# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._roles.catalog import PIECES, piece
from ansible_collections.pgflex.migrate.plugins.module_utils._roles.names import LeftOut, plain
from ansible_collections.pgflex.migrate.plugins.module_utils._roles.password import is_password, refusal
from ansible_collections.pgflex.migrate.plugins.module_utils._roles.plan import setting_value
from ansible_collections.pgflex.migrate.plugins.module_utils._validation.privileges import PLATFORM


@pytest.mark.parametrize(
    ("parameter", "value", "written"),
    [
        ("work_mem", "64MB", "'64MB'"),
        ("search_path", '"$user", public', "'$user', 'public'"),
        ("search_path", '"a, b","c""d",e', "'a, b', 'c\"d', 'e'"),
        ("search_path", '""', "''"),
        ("my.tenant", "it's", "'it''s'"),
    ],
)
def test_values_of_settings(parameter, value, written):
    assert setting_value(parameter, value) == written


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("app@shop-old", {"app"}, "app"),
        ("app@shop-old", {"app@shop-old"}, "app@shop-old"),
        ("app@other", {"app"}, "app@other"),
        ("app", {"app"}, "app"),
    ],
)
def test_names_of_a_single_server(name, known, expected):
    assert plain(name, "shop-old.postgres.database.azure.com", known) == expected


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        *(("rdsadmin", True), ("rds_superuser", True), ("cloudsqliamuser", True), ("cloudsqlsuperuser", True)),
        *(("azuresu", True), ("pg_monitor", True), ("azure_pg_admin", True)),
        *(("rdsync", False), ("rds", False), ("cloudsqlapp", False), ("azuresuper", False)),
    ],
)
def test_roles_of_platforms(name, theirs):
    assert bool(PLATFORM.match(name)) == theirs


def test_hashes_of_passwords():
    md5 = "md5" + hashlib.md5(b"secretapp", usedforsecurity=False).hexdigest()
    assert is_password("secret", md5, "app") and not is_password("secret", md5, "other")
    both = frozenset({"md5", "scram-sha-256"})
    assert refusal(md5, renamed=False, methods=both) is None
    assert "the name that the role has" in (refusal(md5, renamed=True, methods=both) or "")
    assert "takes scram-sha-256 only" in (refusal(md5, renamed=False, methods=frozenset({"scram-sha-256"})) or "")
    assert refusal("SCRAM-SHA-256$4096:c2FsdA==$a:b", renamed=True, methods=both) is None


def test_what_is_left_out_is_told_once_for_a_reason():
    left = LeftOut()
    for number in range(7):
        left.add("ownership of postgres", "because", f"table t{number}")
    left.add("role x", "because")
    told = [row["what"] for row in left.as_result()]
    assert told == ["ownership of postgres: table t0, table t1, table t2, table t3, table t4 and 2 more", "role x"]


@pytest.mark.parametrize("version", [90500, 100000, 150000, 160000, 180000])
@pytest.mark.parametrize("name", sorted(PIECES))
def test_every_version_has_each_piece(name, version):
    assert isinstance(piece(name, version), str)
