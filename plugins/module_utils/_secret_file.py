# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that only its owner can read."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ._errors import ModuleFailure

MODE = 0o600


@dataclass(frozen=True)
class SecretFile:
    """A file on this host that only its owner can read; `option` names it to the user, `code` its failures."""

    path: Path
    option: str
    code: str = "SecretFile"

    def check(self) -> None:
        """Raises before anything is made whose only copy could then not be kept."""
        folder = self.path.parent
        if self.path.is_dir():
            raise self._failure("is a directory")
        if not folder.is_dir():
            raise self._failure(f"can not be written: there is no directory {folder}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise self._failure(f"can not be written: the directory {folder} is not writable")

    def text(self) -> str:
        """What is in it, empty where it is not there."""
        try:
            return self.path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise self._failure(f"can not be read: {type(error).__name__}") from error

    def mode(self) -> str | None:
        """Its permissions as in chmod, None where it is not there."""
        try:
            return f"{stat.S_IMODE(self.path.stat().st_mode):04o}"
        except FileNotFoundError:
            return None

    def private(self) -> bool:
        """Whether it is there and nobody but its owner may do anything with it."""
        mode = self.mode()
        return mode is not None and int(mode, 8) & 0o077 == 0

    def tighten(self) -> None:
        try:
            self.path.chmod(MODE)
        except OSError as error:
            raise self._failure(f"can not get mode {MODE:04o}: {error.strerror}") from error

    @contextlib.contextmanager
    def replacing(self) -> Iterator[Callable[[str], None]]:
        """Gives a function that puts a new text in place at once: readers see the old one or the new one, never a part.

        The space is asked for on entering, so that what can fail has failed before there is a secret to lose.
        """
        try:
            # mkstemp makes the file with mode 0600 whatever the umask says.
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        except OSError as error:
            raise self._failure(f"can not be written: {error.strerror}") from error

        def write(text: str) -> None:
            try:
                os.write(handle, text.encode())
                os.fsync(handle)
                os.replace(name, self.path)
            except OSError as error:
                raise self._failure(f"can not be written: {error.strerror}") from error

        try:
            yield write
        finally:
            os.close(handle)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)

    def _failure(self, why: str) -> ModuleFailure:
        return ModuleFailure(f"{self.option} {self.path} {why}.", code=self.code)
