# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between versions of PostgreSQL in the catalogs that the preflight reads. Pure."""

from __future__ import annotations

# The migration service takes no older sources.
OLDEST_SOURCE = 90500
# From this version on there are no tables WITH OIDS.
WITHOUT_OIDS = 120000

# For each piece of SQL, from which version on it reads how, newest first; an older server has the empty text.
PIECES: dict[str, tuple[tuple[int, str], ...]] = {
    "current_setting": ((90600, "current_setting({name}, true)"), (0, "NULL::text")),
    "bypass_rls": ((90500, "rolbypassrls"), (0, "false")),
    "database_locale": ((170000, "datlocale"), (150000, "daticulocale"), (0, "NULL::text")),
    "icu_locale": ((170000, "colllocale"), (150000, "colliculocale"), (0, "NULL::text")),
    "may_set": (
        (150000, "(context = 'superuser' AND has_parameter_privilege(name, 'SET'))"),
        (0, "(context = 'superuser' AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))"),
    ),
    # Whether somebody is at work for a subscription.
    "applying": (
        (100000, "SELECT s.subname::text FROM pg_stat_subscription s JOIN pg_stat_activity a ON a.pid = s.pid "
                 "WHERE s.relid IS NULL AND a.datname = current_database() ORDER BY 1"),
        (0, "SELECT NULL::text WHERE false"),
    ),
    "has_oids": ((WITHOUT_OIDS, "false"), (0, "c.relhasoids")),
    "is_identity": ((100000, "a.attidentity <> ''"), (0, "false")),
    "is_generated": ((120000, "a.attgenerated <> ''"), (0, "false")),
    "is_client": ((100000, "a.backend_type = 'client backend'"), (0, "true")),
    "initial_privileges": (
        (90600, "SELECT i.initprivs FROM pg_init_privs i WHERE i.classoid = 'pg_class'::regclass AND i.objoid = c.oid"
                " AND i.objsubid = 0"),
        (0, "SELECT NULL::aclitem[]"),
    ),
}  # fmt: skip


def piece(name: str, version: int) -> str:
    return next((text for since, text in PIECES[name] if version >= since), "")
