# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a password is the one whose hash a server keeps. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata
from dataclasses import dataclass, field

SCRAM, MD5 = "scram-sha-256", "md5"
SALTED_WITH_NAME = "its hash is made with md5 from the name that the role has at the source"
MD5_REFUSED = "its hash is made with md5, and the target takes scram-sha-256 only"


@dataclass(frozen=True)
class Password:
    """What is sent for a password: always a hash, so that it is in no log of the server in clear."""

    hash: str = field(repr=False)


def method_of(hashed: str) -> str:
    return MD5 if hashed.startswith("md5") else SCRAM


def refusal(hashed: str, *, renamed: bool, methods: frozenset[str]) -> str | None:
    """Why a hash of the source is of no use at a target that takes these methods."""
    if method_of(hashed) == SCRAM:
        return None
    if renamed:
        return SALTED_WITH_NAME
    return None if MD5 in methods else MD5_REFUSED


def is_password(password: str, hashed: str, role: str) -> bool:
    """Whether this is the hash of this password."""
    if method_of(hashed) == MD5:
        made = "md5" + hashlib.md5((password + role).encode(), usedforsecurity=False).hexdigest()
        return hmac.compare_digest(made, hashed)
    _name, counted, keys = hashed.split("$")
    count, salt = counted.split(":")
    stored = base64.b64decode(keys.partition(":")[0])
    text = unicodedata.normalize("NFKC", password).encode()
    salted = hashlib.pbkdf2_hmac("sha256", text, base64.b64decode(salt), int(count))
    client = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    return hmac.compare_digest(hashlib.sha256(client).digest(), stored)
