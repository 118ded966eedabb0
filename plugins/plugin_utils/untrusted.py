# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from .plain import plain

try:
    # Since ansible-core 2.19 only text that says so is a template, and plain text says nothing.
    from ansible.template import trust_as_template
except ImportError:
    trust_as_template = None


def template(text: str) -> Any:
    """Text of this collection's own that is to be evaluated."""
    return text if trust_as_template is None else trust_as_template(text)


def untrusted(value: Any) -> Any:
    """The value as data from elsewhere: text in it is never taken for a template, whichever ansible-core runs."""
    if trust_as_template is not None:
        return plain(value)
    from ansible.utils.unsafe_proxy import wrap_var

    return wrap_var(plain(value))
