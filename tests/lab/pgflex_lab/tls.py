# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's certificate authority: one for the API's port and for all PostgreSQL servers."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from pathlib import Path

import trustme

PUBLIC_HOSTS = ("management.azure.com", "login.microsoftonline.com", "graph.microsoft.com")
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class Authority:
    """Writes ca.pem for clients and a private server.pem into the lab's home."""

    def __init__(self, home: Path, ca_file: Path) -> None:
        self._authority = trustme.CA(organization_name="pgflex lab")
        self._authority.cert_pem.write_to_path(ca_file)
        ca_file.chmod(0o644)
        leaf = self._authority.issue_cert(*LOCAL_NAMES, *PUBLIC_HOSTS)
        self.server_file = home / "server.pem"
        with os.fdopen(os.open(self.server_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
            handle.write(leaf.private_key_and_cert_chain_pem.bytes())

    def issue(self, names: Sequence[str]) -> tuple[bytes, bytes]:
        """Private key and certificate chain for a server with these names and addresses."""
        made = self._authority.issue_cert(*names)
        return made.private_key_pem.bytes(), b"".join(item.bytes() for item in made.cert_chain_pems)


def client_context(ca_file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca_file))
