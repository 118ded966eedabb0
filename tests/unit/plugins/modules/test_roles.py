# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from types import SimpleNamespace

import psycopg
import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._roles import catalog

MARKER = "Marker-Secret-4711"
ARGS = {
    "source": {"host": "shop-old.postgres.database.azure.com", "user": "admin@shop-old", "password": MARKER},
    "target": {"host": "shop-new", "user": "boss", "password": MARKER},
    "databases": ["shop"],
}
HASH = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy"


def role(name, **more):
    known = {"bootstrap": False, "superuser": False, "inherit": True, "createrole": False, "createdb": False}
    known |= {"login": True, "replication": False, "bypassrls": False, "limit": -1, "until": None, "comment": None}
    return (name, *(known | more).values())


def table(name, owner, *grants, acl=True):
    rows = [[{"PUBLIC": 0, owner: 1}.get(who, 2), who, privilege, False] for who, privilege in grants]
    return ("table", f"public.{name}", f"public.{name}", owner, None, "public", not acl, rows or None)


class Server:
    """One side: what it answers by the question, and what was done; a rolled back statement is only tried."""

    def __init__(self, user, version):
        self.roles = [role("postgres", bootstrap=True, superuser=True), role(user, createrole=True)]
        self.answers = {
            "session_user": [(user, user, False, "scram-sha-256", None)],
            "has_column_privilege": [(False,)],
            "pg_auth_members": [],
            "setconfig": [],
            "datallowconn": [("shop",), ("postgres",)],
            "pg_parameter_acl": [],
            "pg_default_acl": [],
            "relispartition": [],
            "pg_largeobject_metadata": [],
            "pg_largeobject": [],
            "x.acl": [],
        }
        self.things = []
        self.refused = {}
        self.done, self.tried, self.trying = [], [], False
        self.info = SimpleNamespace(server_version=version, dbname="shop")
        self.pgconn = SimpleNamespace(encrypt_password=lambda password, name, method: HASH.encode())

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    @contextlib.contextmanager
    def transaction(self, force_rollback=False):
        before, self.trying = self.trying, self.trying or force_rollback
        try:
            yield
        finally:
            self.trying = before

    def execute(self, statement, values=None):
        text = statement.decode() if isinstance(statement, bytes) else statement
        rows = self._answer(text.strip())
        return Rows(rows)

    def _answer(self, text):
        if not text.startswith("SELECT"):
            for part, error in self.refused.items():
                if part in text:
                    raise error
            (self.tried if self.trying else self.done).append(text)
            return []
        if text == catalog.ROLES.strip():
            return self.roles
        if text == catalog.objects_sql(160000):
            return self.things
        if "pg_has_role" in text:
            return [(row[0], not row[1]) for row in [*self.roles, ("app", False)]]
        if "has_schema_privilege" in text:
            return [(True, "boss")]
        return next((rows for part, rows in self.answers.items() if part in text), [])


class Rows(list):
    def fetchall(self):
        return list(self)


@pytest.fixture
def source():
    found = Server("admin", 110000)
    found.roles += [role("app"), role("report", login=False, createdb=True)]
    found.answers["pg_auth_members"] = [("report", "app", False, True, True)]
    found.things = [table("orders", "app", ("app", "SELECT"), ("report", "SELECT"), ("PUBLIC", "SELECT"))]
    return found


@pytest.fixture
def target(monkeypatch, source):
    found = Server("boss", 160000)
    found.things = [table("orders", "boss", ("boss", "SELECT"), acl=False)]
    monkeypatch.setattr(psycopg, "connect", lambda **args: found if args["host"] == "shop-new" else source)
    return found


ROLES = [
    'CREATE ROLE "app" LOGIN',
    'CREATE ROLE "report" ',
    'ALTER ROLE "report" CREATEDB',
    'GRANT "report" TO "app" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE',
]


def test_roles_memberships_owners_and_grants_are_made(run_module, source, target):
    result = run_module("roles", ARGS)
    found = result["roles"]
    assert result["changed"] and found["created"] == ["app", "report"] and found["passwords_unset"] == ["app"]
    assert target.done[0].startswith('CREATE ROLE "app" LOGIN') and 'ALTER ROLE "report" CREATEDB' in target.done
    assert ROLES[3] in target.done
    owned = target.done.index('ALTER TABLE public.orders OWNER TO "app"')
    granted = target.done.index('GRANT SELECT ON TABLE public.orders TO "report"')
    assert owned < target.done.index('SET LOCAL ROLE "app"') < granted
    assert found["owners"] == [{"database": "shop", "statement": 'ALTER TABLE public.orders OWNER TO "app"'}]
    assert source.done == [] == source.tried


def test_nothing_is_done_where_all_is_the_same(run_module, source, target):
    target.roles += source.roles[2:]
    target.answers["pg_auth_members"] = source.answers["pg_auth_members"]
    target.things = source.things
    result = run_module("roles", ARGS)
    assert not result["changed"] and target.done == [] and result["roles"]["created"] == []


def test_roles_that_are_there_are_altered(run_module, source, target):
    target.roles += [role("app", login=False), role("report", login=False, createdb=True)]
    target.answers["pg_auth_members"] = source.answers["pg_auth_members"]
    target.things = source.things
    result = run_module("roles", ARGS)
    assert target.done == ['ALTER ROLE "app" LOGIN'] and result["roles"]["altered"] == ["app"]


def test_check_mode_tries_and_takes_back(run_module, target):
    result = run_module("roles", ARGS, check_mode=True, diff=True)
    assert result["changed"] and target.done == [] and target.tried[0].startswith('CREATE ROLE "app" LOGIN')
    assert result["diff"]["before"] == {}
    assert 'ALTER TABLE public.orders OWNER TO "app"' in result["diff"]["after"]["database shop"]


def test_passwords_are_sent_as_hashes_and_shown_nowhere(run_module, target):
    result = run_module("roles", {**ARGS, "passwords": {"app@shop-old": MARKER}}, diff=True)
    assert f"ALTER ROLE \"app\" PASSWORD '{HASH}'" in target.done
    assert 'ALTER ROLE "app" PASSWORD ***' in result["diff"]["after"]["roles"]
    assert HASH not in result.raw_output and MARKER not in result.raw_output
    assert result["roles"]["passwords_unset"] == []


def test_what_the_target_refuses_is_left_out(run_module, target):
    target.refused["CREATEDB"] = psycopg.errors.InsufficientPrivilege("permission denied to alter role")
    found = run_module("roles", ARGS)["roles"]
    assert 'ALTER ROLE "report" CREATEDB' not in target.done
    reason = "the target refuses it: permission denied to alter role"
    assert {"what": "attribute CREATEDB of report", "reason": reason} in found["left_out"]


def test_a_user_who_may_not_make_roles(run_module, target):
    target.refused["CREATE ROLE"] = psycopg.errors.InsufficientPrivilege("permission denied to create role")
    result = run_module("roles", ARGS)
    assert result.failed and result["failure"]["code"] == "42501"
    assert result["msg"].startswith("Failed to make the role app on the target server shop-new:5432: permission denied")


def test_a_failure_tells_what_was_done(run_module, target):
    target.refused["GRANT SELECT"] = psycopg.errors.LockNotAvailable("canceling statement due to lock timeout")
    result = run_module("roles", ARGS)
    assert result.failed and result["changed"]
    assert result["roles"]["created"] == ["app", "report"] and result["roles"]["owners"] == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"databases": ["nope"]}, "UnknownDatabase"),
        ({"roles": ["nobody"]}, "UnknownRole"),
        ({"passwords": {"nobody": "x"}}, "UnknownRole"),
        ({"role_mapping": {"nobody": "x"}}, "UnknownRole"),
    ],
)
def test_what_the_source_does_not_have(run_module, target, options, code):
    result = run_module("roles", {**ARGS, **options})
    assert result.failed and result["failure"]["code"] == code and target.done == []


def test_a_server_that_does_not_answer(run_module, monkeypatch):
    def refuse(**arguments):
        raise psycopg.OperationalError("connection failed: timeout expired")

    monkeypatch.setattr(psycopg, "connect", refuse)
    result = run_module("roles", ARGS)
    assert result.failed and result["failure"]["code"] == "ConnectTimeout" and MARKER not in result.raw_output
