# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that the modules direct_copy share."""

from __future__ import annotations

from typing import Any

from .._postgres import server_connection_spec
from .._spec import ArgumentSpec

FROM = ArgumentSpec(options={"source": server_connection_spec()})
FROM_IF_GIVEN = ArgumentSpec(options={"source": server_connection_spec(required=False)})
TO = ArgumentSpec(options={"target": server_connection_spec()})
READING = ArgumentSpec(options={"maintenance_database": {"type": "str", "default": "postgres"}})
COPY = READING.merge(ArgumentSpec(options={"name": {"type": "str", "required": True}, "programs": {"type": "path"}}))
# How one server gets to the other where this machine's way is not its own.
WAY: dict[str, Any] = {
    "type": "dict",
    "options": {
        "host": {"type": "str"},
        "hostaddr": {"type": "str"},
        "port": {"type": "int"},
        "sslmode": {"type": "str"},
        "sslrootcert": {"type": "str"},
    },
}
