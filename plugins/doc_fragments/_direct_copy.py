# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Where copies are noted.
    READING = r"""
options:
  maintenance_database:
    description:
      - Database of the target that holds the table C(pgflex.copies), in which the state of copies is noted, and from
        which other databases are made and dropped.
    type: str
    default: postgres
"""

    # Which copy, and with what.
    DOCUMENTATION: str = (
        READING
        + r"""
  name:
    description:
      - Name of the copy, under which it is noted on the target.
    type: str
    required: true
  programs:
    description:
      - Directory of C(pg_dump), C(pg_restore) and C(psql) on this machine.
      - Left out, the distribution's directories and E(PATH) are searched for programs of the target's version, or of
        another one that suits both servers.
    type: path
"""
    )
