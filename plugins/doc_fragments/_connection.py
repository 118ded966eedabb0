# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # How to connect to the server that the data comes from.
    SOURCE = r"""
options:
  source:
    description:
      - How to connect to the source server.
    type: dict
    required: true
    suboptions:
      host:
        description:
          - DNS name of the server; with O(source.sslmode=verify-full) the certificate has to be made out to it.
        type: str
        required: true
      hostaddr:
        description:
          - Address to connect to instead of the one that DNS gives for O(source.host).
        type: str
      port:
        description:
          - TCP port that the server listens on.
        type: int
        default: 5432
      user:
        description:
          - User to sign in as; on an Azure Single Server in the form C(name@server).
        type: str
        required: true
      password:
        description:
          - Password of O(source.user).
          - Left out, libpq looks in E(PGPASSWORD) and in its password file.
        type: str
      sslmode:
        description:
          - How much TLS to insist on, in the words of libpq.
          - V(require) encrypts without looking at the certificate, V(verify-full) checks it against
            O(source.sslrootcert).
        type: str
        choices:
          - disable
          - allow
          - prefer
          - require
          - verify-ca
          - verify-full
        default: require
      sslrootcert:
        description:
          - File with the certificates of the authorities to trust, needed for V(verify-ca) and V(verify-full).
          - Left out, libpq uses C(~/.postgresql/root.crt).
        type: path
      connect_timeout:
        description:
          - Seconds to wait for a connection at most.
        type: int
        default: 15
requirements:
  - python >= 3.11
  - psycopg >= 3.2
"""

    # How to connect to the server that the data goes to: the same options under another name.
    # Annotated, since ansible-test takes a plain assignment here for a literal.
    TARGET: str = SOURCE.replace("source", "target")

    # The same where a module can do without.
    OPTIONAL_SOURCE: str = SOURCE.replace("    required: true\n    suboptions", "    suboptions", 1)
    OPTIONAL_TARGET: str = OPTIONAL_SOURCE.replace("source", "target")
