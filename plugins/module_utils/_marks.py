# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the collection's own things are named. Pure."""

from __future__ import annotations

import hashlib

# What the collection made for itself is known by its name and, where it can have tags, by a tag.
PREFIX = "pgflex-"
TAGS = {"pgflex-made": "migrate"}


def made_name(name: str, resource_id: str) -> str:
    """The name for what leads to another resource; equal names in other groups and subscriptions stay apart."""
    digest = hashlib.sha256(resource_id.strip("/").lower().encode()).hexdigest()[:8]
    # 80 characters are the most for peerings and links, 64 for the network's own name.
    return f"{PREFIX}{name[:64].rstrip('.-')}-{digest}"


def is_made(name: str | None) -> bool:
    return (name or "").lower().startswith(PREFIX)
