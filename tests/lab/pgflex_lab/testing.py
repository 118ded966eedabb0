# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of one's own for tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pgflex_lab import process
from pgflex_lab.clusters import remove_leftovers
from pgflex_lab.settings import Settings, seed_path

TIME_SCALE = 600.0


@contextmanager
def running_lab(seed: str = "public_access", **settings: object) -> Iterator[process.Running]:
    """Starts a lab in a directory of its own, on free ports, and removes all of it.

    The directory's path is short, because sockets are in it.
    """
    home = Path(tempfile.mkdtemp(prefix="pgflex-lab-", dir="/var/tmp"))
    chosen = Settings.from_env(
        **{"home": home, "seed": seed_path(seed), "port": 0, "proxy_port": 0, "time_scale": TIME_SCALE} | settings
    )
    try:
        running = process.start(chosen)
        try:
            yield running
        finally:
            process.stop(running)
    finally:
        remove_leftovers(chosen)
        shutil.rmtree(home, ignore_errors=True)
