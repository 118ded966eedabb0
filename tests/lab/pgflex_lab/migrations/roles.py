# SPDX-License-Identifier: GPL-3.0-or-later
"""migrateRoles: the source's roles with passwords and memberships, and whose objects become whose."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from pgflex_lab.clusters import ADMIN_GROUP, SUPERUSER
from pgflex_lab.migrations.endpoints import Endpoint

ROLES = """
SELECT rolname, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolconnlimit, rolvaliduntil,
       rolpassword
FROM pg_authid WHERE rolname NOT LIKE 'pg\\_%%' AND NOT rolsuper AND rolname <> ALL(%s) ORDER BY oid
"""
MEMBERSHIPS = """
SELECT g.rolname, m.rolname FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid
JOIN pg_roles m ON m.oid = a.member
WHERE m.rolname = ANY(%s) AND g.rolname NOT IN ('pg_signal_backend', 'azuresu')
"""


def copy_roles(source: Endpoint, target: Endpoint) -> None:
    """All but the platform's and the administrator, who exists on both sides under his own name."""
    skipped = [SUPERUSER, ADMIN_GROUP, *source.cluster.admin_roles, *target.cluster.admin_roles]
    with source.service("postgres") as connection:
        roles = connection.execute(ROLES, (skipped,)).fetchall()
        members = connection.execute(MEMBERSHIPS, ([row[0] for row in roles],)).fetchall()
    with target.service("postgres") as connection:
        known = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
        for name, inherit, createrole, createdb, login, replication, limit, until, password in roles:
            if name in known:
                continue
            flags = {"INHERIT": inherit, "CREATEROLE": createrole, "CREATEDB": createdb, "LOGIN": login}
            words = [word if on else f"NO{word}" for word, on in {**flags, "REPLICATION": replication}.items()]
            statement = sql.SQL("CREATE ROLE {} " + " ".join(words) + " CONNECTION LIMIT {} PASSWORD {}").format(
                sql.Identifier(name), sql.Literal(limit), sql.Literal(password)
            )
            if until is not None:
                statement += sql.SQL(" VALID UNTIL {}").format(sql.Literal(str(until)))
            connection.execute(statement)
            known.add(name)
        for group, member in members:
            if group in known:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(member)))


def stand_in(source: Endpoint, target: Endpoint) -> str | None:
    """The source administrator's name, made on the target for the restore when nobody has it there."""
    name = source.cluster.admin_login
    with target.service("postgres") as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
            return None
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))
    return name


def hand_over(target: Endpoint, name: str | None, owner: str, databases: Iterable[str]) -> None:
    """What the stand-in owns becomes the target user's."""
    if name is None:
        return
    role = sql.Identifier(name)
    there = set(target.cluster.databases())
    for database in there.intersection(databases):
        with target.service(database) as connection:
            connection.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(role, sql.Identifier(owner)))
            connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
    with target.service("postgres") as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(role))
