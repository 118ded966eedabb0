#!/usr/bin/python
# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_info
short_description: Read which databases the source and the target have
version_added: "1.0.0"
description:
  - Connects to PostgreSQL itself, to the source, the target or both at once, and lists their databases with sizes.
  - A wrong password, a name that is not known or a firewall that refuses is found here in a second, days before a
    migration would fail of it.
author:
  - pgflex.migrate contributors (@pgflex)
extends_documentation_fragment:
  - pgflex.migrate._connection.optional_source
  - pgflex.migrate._connection.optional_target
  - pgflex.migrate._attributes.info
seealso:
  - module: pgflex.migrate.single_server_info
  - module: pgflex.migrate.flexible_server_info
"""

EXAMPLES = r"""
- name: See that both servers can be reached, and what they have
  pgflex.migrate.database_info:
    source:
      host: shop-single.postgres.database.azure.com
      user: pgadmin@shop-single
      password: "{{ source_password }}"
    target:
      host: shop-flex.postgres.database.azure.com
      user: pgadmin
      password: "{{ target_password }}"
  register: found

- name: Stop when the database is not at the source
  ansible.builtin.assert:
    that: "'shop' in found.databases | selectattr('side', 'eq', 'source') | map(attribute='name')"

- name: Look at one server, through a tunnel
  pgflex.migrate.database_info:
    source:
      host: shop-single.postgres.database.azure.com
      hostaddr: 127.0.0.1
      port: 15432
      user: pgadmin@shop-single
      password: "{{ source_password }}"
"""

RETURN = r"""
databases:
  description: The databases of the servers asked, without templates and without those that take no connections.
  returned: success
  type: list
  elements: dict
  contains:
    side:
      description: V(source) or V(target).
      type: str
      returned: success
      sample: source
    name:
      description: Name of the database.
      type: str
      returned: success
      sample: shop
    owner:
      description: Role that owns it.
      type: str
      returned: success
      sample: pgadmin
    size:
      description: Size in bytes; V(null) where the user may not see it.
      type: int
      returned: success
      sample: 362691943
    encoding:
      description: Character encoding.
      type: str
      returned: success
      sample: UTF8
    collation:
      description: Collation.
      type: str
      returned: success
      sample: en_US.utf8
    ctype:
      description: Character classification.
      type: str
      returned: success
      sample: en_US.utf8
servers:
  description: The servers asked.
  returned: success
  type: list
  elements: dict
  contains:
    side:
      description: V(source) or V(target).
      type: str
      returned: success
      sample: source
    version:
      description: Version of PostgreSQL.
      type: str
      returned: success
      sample: "15.18"
    user:
      description: Role that the connection works as.
      type: str
      returned: success
      sample: pgadmin
"""

from typing import Any

from ..module_utils._base import InfoModule
from ..module_utils._parallel import each
from ..module_utils._postgres import Server, connect, server_connection_spec, sql_errors
from ..module_utils._spec import ArgumentSpec

SPEC = ArgumentSpec(
    options={
        "source": server_connection_spec(required=False),
        "target": server_connection_spec(required=False),
    },
    required_one_of=(("source", "target"),),
)
SIDES = ("source", "target")
COLUMNS = ("name", "owner", "size", "encoding", "collation", "ctype")
DATABASES = """
SELECT datname::text, pg_get_userbyid(datdba)::text,
       CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) END,
       pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text
  FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"""


class DatabaseInfo(InfoModule):
    result_key = "databases"

    def results(self) -> list[dict[str, Any]]:
        asked = [side for side in SIDES if self.params[side]]
        self.servers = each(self._ask, asked)
        return [row for server in self.servers for row in server.pop("databases")]

    def extra(self) -> dict[str, Any]:
        return {"servers": self.servers}

    def _ask(self, side: str) -> dict[str, Any]:
        server = Server.from_options(side, self.params[side])
        with connect(server, "postgres") as connection, sql_errors(server, "list the databases"):
            rows = connection.execute(DATABASES).fetchall()
            (version, user) = connection.execute(
                "SELECT current_setting('server_version'), current_user::text"
            ).fetchall()[0]
        found = [{"side": side, **dict(zip(COLUMNS, row, strict=True))} for row in rows]
        return {"side": side, "version": version, "user": user, "databases": found}


MODULE = DatabaseInfo


def main() -> None:
    DatabaseInfo.main(SPEC)


if __name__ == "__main__":
    main()
