# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What there is in a database beside extensions: whether there is anything, and taking it away again."""

from __future__ import annotations

from .._postgres import Server, connect, sql_errors
from .catalog import configured, fetch, has_rows
from .job import Job, run_each

# (type, identity, owner, schema) of all objects that have an owner, but those of extensions and of the collection.
OWNED = """
SELECT (i).type, (i).identity, owner, schema FROM (
    SELECT pg_identify_object(o.catalog, o.oid, 0) AS i, r.rolname::text AS owner, n.nspname::text AS schema FROM (
        SELECT 'pg_class'::regclass::oid AS catalog, c.oid, c.relowner AS owner, c.relnamespace AS n FROM pg_class c
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (
               SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND c.relkind = 'S' AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass)
        UNION ALL SELECT 'pg_proc'::regclass, p.oid, p.proowner, p.pronamespace FROM pg_proc p
        UNION ALL SELECT 'pg_type'::regclass, t.oid, t.typowner, t.typnamespace FROM pg_type t
         WHERE t.typelem = 0 AND t.typtype <> 'm' AND (t.typrelid = 0 OR EXISTS (
               SELECT 1 FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
        UNION ALL SELECT 'pg_operator'::regclass, o.oid, o.oprowner, o.oprnamespace FROM pg_operator o
        UNION ALL SELECT 'pg_opclass'::regclass, o.oid, o.opcowner, o.opcnamespace FROM pg_opclass o
        UNION ALL SELECT 'pg_opfamily'::regclass, o.oid, o.opfowner, o.opfnamespace FROM pg_opfamily o
        UNION ALL SELECT 'pg_collation'::regclass, o.oid, o.collowner, o.collnamespace FROM pg_collation o
        UNION ALL SELECT 'pg_conversion'::regclass, o.oid, o.conowner, o.connamespace FROM pg_conversion o
        UNION ALL SELECT 'pg_ts_dict'::regclass, o.oid, o.dictowner, o.dictnamespace FROM pg_ts_dict o
        UNION ALL SELECT 'pg_ts_config'::regclass, o.oid, o.cfgowner, o.cfgnamespace FROM pg_ts_config o
        <own_statistics>
        UNION ALL SELECT 'pg_namespace'::regclass, n.oid, n.nspowner, n.oid FROM pg_namespace n
         WHERE n.nspname <> 'public'
        UNION ALL SELECT 'pg_foreign_server'::regclass, s.oid, s.srvowner, 0 FROM pg_foreign_server s
        UNION ALL SELECT 'pg_largeobject'::regclass, l.oid, l.lomowner, 0 FROM pg_largeobject_metadata l
    ) o JOIN pg_roles r ON r.oid = o.owner LEFT JOIN pg_namespace n ON n.oid = o.n
    WHERE (n.oid IS NULL OR (n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgflex')))
      AND r.rolname <> ALL(%s)
      AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = o.catalog AND e.objid = o.oid
                         AND e.deptype IN ('e', 'i'))
) x"""
# A schema that holds an extension may have been made for it beforehand.
CONTENT = f"""
SELECT type, identity FROM ({OWNED}) o
 WHERE type <> 'schema' OR schema NOT IN (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n
                                                       ON n.oid = e.extnamespace)"""
WITHOUT_OWNERS = "SELECT EXISTS (SELECT 1 FROM pg_default_acl) OR EXISTS (SELECT 1 FROM pg_publication)"


def is_empty(target: Server, database: str) -> bool:
    with connect(target, database) as connection, sql_errors(target, f"look into the database {database}"):
        if fetch(connection, CONTENT, [[]]) or fetch(connection, WITHOUT_OWNERS)[0][0]:
            return False
        kept = [table for table in configured(connection) if table.kind == "r" and table.readable]
        return not any(has_rows(connection, table) for table in kept)


# As they are where nobody has changed them: in a schema nobody gets anything, elsewhere what PostgreSQL gives.
DEFAULT_PRIVILEGES = """
WITH d AS (
    SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I ', pg_get_userbyid(d.defaclrole))
           || coalesce('IN SCHEMA ' || quote_ident(n.nspname) || ' ', '') AS head, k.kind, d.defaclacl,
           n.oid IS NULL AS everywhere,
           acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole) AS usual
      FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
      JOIN (VALUES ('r', 'TABLES'), ('S', 'SEQUENCES'), ('f', 'ROUTINES'), ('T', 'TYPES'), ('n', 'SCHEMAS'),
                   ('L', 'LARGE OBJECTS')) k(letter, kind) ON k.letter = d.defaclobjtype)
SELECT DISTINCT 1 AS turn, format('%sREVOKE ALL ON %s FROM %s', d.head, d.kind,
                CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
  FROM d, aclexplode(d.defaclacl) a
UNION ALL
SELECT 2, format('%sGRANT %s ON %s TO %s', d.head, a.privilege_type, d.kind,
                CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
  FROM d, aclexplode(d.usual) a WHERE d.everywhere
ORDER BY 1"""
WORDS = {"statistics object": "STATISTICS", "function": "ROUTINE", "procedure": "ROUTINE", "aggregate": "ROUTINE"}


def word(kind: str) -> str:
    """What ALTER and DROP call an object; an aggregate's identity is only good for a routine."""
    return WORDS.get(kind, kind.upper())


def drop_statement(kind: str, identity: str) -> str:
    if kind == "large object":
        return f"SELECT lo_unlink({identity})"
    return f"DROP {word(kind)} IF EXISTS {identity} CASCADE"


def empty(job: Job) -> None:
    """Takes away what an earlier run of this copy has made in a database that was there, and was empty."""
    with job.on_target() as target:
        with sql_errors(job.target, f"look into the database {job.name}"):
            privileges = [row[1] for row in fetch(target, DEFAULT_PRIVILEGES)]
            found = sorted(fetch(target, CONTENT, [[]]), key=lambda row: row[0] == "schema")
        run_each(
            target,
            [*privileges, *(drop_statement(kind, identity) for kind, identity in found)],
            job.target,
            f"empty the database {job.name}",
        )
