# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens that the workers of a run share."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from ._auth import SignIn

# A token is fetched anew when it would end within this time; azure-core asks for the same margin.
MARGIN = 300


def _lasts(kept: Any) -> bool:
    return kept is not None and bool(kept[1] >= time.time() + MARGIN)


class SharedToken:
    """A credential whose tokens the workers of one run share, in a file that only this user can read.

    Without a path it keeps them in memory, which is all that an ordinary module needs.
    """

    def __init__(
        self, credential: Any, sign_in: SignIn, path: str | None, renew: Callable[[], Any] | None = None
    ) -> None:
        self._credential = credential
        # azure-identity keeps tokens of its own, which only a new credential does without.
        self._renew = renew
        # Two sign-ins never share a token; the digest keeps the secret itself out of the file.
        self._who = hashlib.sha256(repr(sign_in).encode()).hexdigest()
        self._path = path
        self._memory: dict[str, Any] = {}

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """azure-core's TokenCredential: a token for the scopes, from the file where it still lasts."""
        from azure.core.credentials import AccessToken

        key = f"{self._who} {' '.join(scopes)}"
        # A claims challenge means that the service refuses the token we have.
        refused = bool(options.get("claims"))
        kept: Any = self._memory.get(key)
        if refused or not _lasts(kept):
            with self._locked() as shared:
                kept = shared.get(key)
                if refused or not _lasts(kept):
                    kept = list(self._credential.get_token(*scopes, **options)[:2])
                    shared[key] = kept
            self._memory[key] = kept
        return AccessToken(*kept)

    def forget(self, token: str) -> None:
        """Drops a token that a service refused before its time, here and for the other workers."""
        if self._renew is not None:
            self._credential = self._renew()
        with self._locked() as shared:
            for kept in (shared, self._memory):
                for key in [key for key, row in kept.items() if row[0] == token]:
                    del kept[key]

    def close(self) -> None:
        with contextlib.suppress(AttributeError):
            self._credential.close()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[dict[str, Any]]:
        """The file's tokens under a lock, written back afterwards: one worker signs in, the others wait for it."""
        if self._path is None:
            yield self._memory
            return
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            shared: dict[str, Any] = {}
            # A worker that was killed while it wrote leaves half a file.
            with contextlib.suppress(ValueError):
                shared = json.loads(file.read())
            before = dict(shared)
            yield shared
            if shared != before:
                file.seek(0)
                file.truncate()
                json.dump(shared, file)


def authentication_policy(credential: SharedToken, scope: str) -> Any:
    """azure-core's policy, which in addition asks once for a new token when a service says that ours has expired."""
    from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

    class Renewing(ARMChallengeAuthenticationPolicy):  # type: ignore[misc]
        def on_challenge(self, request: Any, response: Any) -> bool:
            if super().on_challenge(request, response):
                return True
            credential.forget(request.http_request.headers["Authorization"].removeprefix("Bearer "))
            self.authorize_request(request, *self._scopes)
            return True

    return Renewing(credential, scope)
