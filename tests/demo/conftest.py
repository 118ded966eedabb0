# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Scripts, not packages: they find each other beside themselves, and the tests find both here.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[2] / "demo")]

from demo_servers import Server, free_port, programs  # noqa: E402


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[Server, Server]]:
    bin_dir = programs()
    if bin_dir is None:
        pytest.skip("no PostgreSQL server programs here")
    home = Path(tempfile.mkdtemp(prefix="pgflex-demo-test-", dir="/var/tmp"))
    if os.getuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(home, owner.pw_uid, owner.pw_gid)
    pair = Server(bin_dir, home, free_port()), Server(bin_dir, home, free_port())
    try:
        for server in pair:
            server.start()
        yield pair
    finally:
        for server in pair:
            server.stop()
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def shop(servers: tuple[Server, Server]) -> dict[str, Any]:
    """The sample on the first server; the tests that write use databases of their own."""
    from loader import load

    load(servers[0].admin, "shop", 12)
    return {**servers[0].admin, "dbname": "shop"}
