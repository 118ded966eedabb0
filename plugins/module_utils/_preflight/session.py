# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions of the preflight, which can not write."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .._errors import ModuleFailure
from .._postgres import Server, connect, connection_failure, load_psycopg, one_line
from .rules import SOURCE, AzureFacts, DatabaseFacts, Facts, Finding, Job, Look, Rule
from .versions import piece

if TYPE_CHECKING:
    import psycopg

MAINTENANCE = "postgres"
# One slow statement must not hold up the others; a rule that takes longer is told as not checked.
STATEMENT_SECONDS = 20
# What is no setting of PostgreSQL's own and is not in pg_settings until it is asked for by its name.
PLACEHOLDERS = ("azure.extensions", "azure.enable_temp_tablespaces_on_local_ssd")
# Faults of one database, after which another one can still be tried.
ELSEWHERE = frozenset({"UnknownDatabase", "NotAllowed"})
# Failures of connecting that the service has a code of its own for.
CODES = {
    "AuthenticationFailed": "603100",
    "PasswordMissing": "603100",
    "TlsRefused": "603001",
    "UnknownDatabase": "603102",
}
SQLSTATE = 5
# Failures of this machine's, which say nothing about a server.
OURS = frozenset({"PackageMissing", "CertificateRefused"})

DATABASES = """
SELECT datname::text,
       CASE WHEN datname = ANY (%s) AND has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) END,
       pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text, {database_locale}
  FROM pg_database WHERE datallowconn"""
ROLE = "SELECT session_user::text, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
SETTINGS = "SELECT name::text, coalesce(reset_val, '') FROM pg_settings"
GUARDED = "SELECT lower(name) FROM pg_settings WHERE context <> 'user' AND NOT {may_set}"
EXTENSIONS = "SELECT name::text, default_version FROM pg_available_extensions"
COLLATIONS = "SELECT collname::text, collcollate::text, {icu_locale} FROM pg_collation"


@contextlib.contextmanager
def session(server: Server, database: str) -> Iterator[psycopg.Connection[Any]]:
    """A session that can not write, and does not wait for locks or for ever."""
    connection = connect(server, database)
    with connection:
        try:
            connection.execute(
                "SELECT set_config('default_transaction_read_only', 'on', false), "
                f"set_config('statement_timeout', '{STATEMENT_SECONDS}s', false), "
                "set_config('lock_timeout', '2s', false), set_config('search_path', 'pg_catalog', false)".encode()
            )
        except load_psycopg().Error as error:
            raise connection_failure(server, database, str(error)) from error
        yield connection


@contextlib.contextmanager
def maintenance_session(server: Server, databases: tuple[str, ...]) -> Iterator[psycopg.Connection[Any]]:
    """In postgres, or where there is none or it is closed to the user, in one of the databases."""
    with contextlib.ExitStack() as stack:
        yield _first_open(stack, server, [MAINTENANCE, *databases])


def _first_open(stack: contextlib.ExitStack, server: Server, databases: list[str]) -> psycopg.Connection[Any]:
    try:
        return stack.enter_context(session(server, databases[0]))
    except ModuleFailure as failure:
        if failure.code not in ELSEWHERE or not databases[1:]:
            raise
    return _first_open(stack, server, databases[1:])


def read_facts(connection: psycopg.Connection[Any], databases: tuple[str, ...], *, target: bool) -> Facts:
    """Sizes are asked for the named databases alone: a size takes a look at every file."""
    version = connection.info.server_version

    def ask(sql: str, *values: Any) -> list[tuple[Any, ...]]:
        pieces = {name: piece(name, version) for name in ("database_locale", "icu_locale", "may_set")}
        found: list[tuple[Any, ...]] = connection.execute(sql.format(**pieces).encode(), values or None).fetchall()
        return found

    ((user, superuser),) = ask(ROLE)
    facts = Facts(version=version, user=user, superuser=bool(superuser))
    facts.settings = dict(ask(SETTINGS))
    for name in PLACEHOLDERS:
        ((value,),) = ask(f"SELECT {piece('current_setting', version).format(name=repr(name))}")
        facts.settings |= {} if value is None else {name: value}
    for name, size, encoding, *collations in ask(DATABASES, list(databases)):
        facts.databases[name] = DatabaseFacts(size, encoding, tuple(text for text in collations if text))
    facts.roles = frozenset(name for (name,) in ask("SELECT rolname::text FROM pg_roles"))
    if target:
        facts.guarded = frozenset(name for (name,) in ask(GUARDED))
        facts.extensions = dict(ask(EXTENSIONS))
        collations_there = ask(COLLATIONS)
        facts.collations = frozenset(name for name, *_locales in collations_there)
        facts.locales = frozenset(text for row in collations_there for text in row if text)
    return facts


def unreachable(side: str, failure: ModuleFailure, database: str | None = None) -> Finding:
    """Why there is no session, as a finding."""
    # Refused by a server that was reached: such a failure has PostgreSQL's own code, of five characters.
    reached = len(failure.code or "") == SQLSTATE
    return Finding(
        code=None if reached else CODES.get(failure.code or "", "603000"),
        rule="no_session",
        severity="blocks",
        side=side,
        database=database,
        object=database or "",
        message=failure.message,
        remedy=failure.hint or "See that the server is started and lets this machine in.",
    )


def not_checked(rule: Rule, look: Look, why: str) -> Finding:
    return Finding(
        code=None,
        rule=rule.name,
        severity="warns",
        side=rule.side,
        database=look.database,
        object="",
        message=f"Not checked whether there is {rule.what}: {why}.",
        remedy="Grant the user what is missing, migrate as another one, or look at it by hand.",
    )


def check(rules: list[Rule], look: Look) -> list[Finding]:
    """What the rules find; one that PostgreSQL refuses to answer is told, and does not keep the others from looking."""
    driver = load_psycopg()
    found: list[Finding] = []
    for rule in rules:
        try:
            found += rule.findings(look)
        except driver.Error as error:
            if look.connection is not None and look.connection.closed:
                lost = connection_failure(look.job.server(look.side), look.database or MAINTENANCE, str(error))
                return [*found, unreachable(look.side, lost, look.database)]
            found.append(not_checked(rule, look, one_line(str(error)).rstrip(".")))
    return found


def look_at_database(
    rules: list[Rule], job: Job, facts: dict[str, Facts], azure: AzureFacts, name: str
) -> list[Finding]:
    try:
        with session(job.source, name) as connection:
            return check(rules, Look(job, facts, azure, SOURCE, name, connection))
    except ModuleFailure as failure:
        if failure.code in OURS:
            raise
        return [unreachable(SOURCE, failure, name)]
