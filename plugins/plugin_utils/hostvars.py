# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from jinja2 import Undefined
from jinja2.exceptions import TemplateError

from .plain import plain


def look(known: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """A value of a host's variables; None where it is not there, or where its template can not be evaluated."""
    value: Any = known
    try:
        for name in path:
            if not isinstance(value, Mapping) or name not in value:
                return None
            value = value[name]
        return None if isinstance(value, Undefined) else plain(value)
    except (AnsibleError, TemplateError):
        return None
