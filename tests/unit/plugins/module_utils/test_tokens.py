# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._auth import SignIn
from ansible_collections.pgflex.migrate.plugins.module_utils._tokens import MARGIN, SharedToken
from azure.core.credentials import AccessToken

ARM = "https://management.azure.com/.default"
GRAPH = "https://graph.microsoft.com/.default"
WHO = SignIn("options", "sub", "tenant", "client", "Marker-Secret-4711", "AzureCloud")


class Issuer:
    """Counts its tokens, which last for `seconds`."""

    def __init__(self, seconds: float = 3600) -> None:
        self.seconds = seconds
        self.asked: list[tuple[tuple[str, ...], dict[str, Any]]] = []
        self.closed = False

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.asked.append((scopes, options))
        return AccessToken(f"token-{len(self.asked)}", int(time.time() + self.seconds))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "tokens.json")


def test_asks_once_without_a_file(issuer: Issuer) -> None:
    credential = SharedToken(issuer, WHO, None)
    tokens = [credential.get_token(ARM) for _each in range(3)]
    assert {token.token for token in tokens} == {"token-1"} and len(issuer.asked) == 1
    assert isinstance(tokens[2], AccessToken) and tokens[2].expires_on > time.time()


def test_two_workers_share_the_file(issuer: Issuer, path: str) -> None:
    first = SharedToken(issuer, WHO, path).get_token(ARM)
    second = SharedToken(issuer, WHO, path).get_token(ARM)
    assert first == second and len(issuer.asked) == 1


def test_each_scope_and_each_sign_in_has_its_own(issuer: Issuer, path: str) -> None:
    other = SignIn("options", "sub", "tenant", "client", "another secret", "AzureCloud")
    tokens = {SharedToken(issuer, who, path).get_token(scope).token for who in (WHO, other) for scope in (ARM, GRAPH)}
    assert len(tokens) == 4


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_user_can_read_the_file(issuer: Issuer, path: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        SharedToken(issuer, WHO, path).get_token(ARM)
    finally:
        os.umask(before)
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_the_file_holds_neither_secret_nor_ids(issuer: Issuer, path: str) -> None:
    SharedToken(issuer, WHO, path).get_token(ARM)
    text = Path(path).read_text().lower()
    assert "marker" not in text and '"client' not in text and "token-1" in text


def test_a_link_in_place_of_the_file_is_refused(issuer: Issuer, path: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    Path(path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        SharedToken(issuer, WHO, path).get_token(ARM)


@pytest.mark.parametrize(("seconds", "asked"), [(MARGIN - 10, 2), (MARGIN + 10, 1), (-5, 2)])
@pytest.mark.parametrize("shared", [True, False])
def test_a_token_that_ends_soon_is_fetched_anew(path: str, seconds: float, asked: int, shared: bool) -> None:
    issuer = Issuer(seconds)
    credential = SharedToken(issuer, WHO, path if shared else None)
    credential.get_token(ARM)
    credential.get_token(ARM)
    assert len(issuer.asked) == asked


def test_a_refused_token_is_replaced_for_all(issuer: Issuer, path: str) -> None:
    credential = SharedToken(issuer, WHO, path)
    credential.get_token(ARM)
    renewed = credential.get_token(ARM, claims="challenge", enable_cae=True)
    assert renewed.token == "token-2" and issuer.asked[1][1] == {"claims": "challenge", "enable_cae": True}
    assert credential.get_token(ARM).token == "token-2"
    assert SharedToken(issuer, WHO, path).get_token(ARM).token == "token-2"


def test_msgraphs_empty_claims_are_no_challenge(issuer: Issuer) -> None:
    credential = SharedToken(issuer, WHO, None)
    for _each in range(2):
        credential.get_token(GRAPH, claims=None, enable_cae=True)
    assert len(issuer.asked) == 1


@pytest.mark.parametrize("content", ["", "{", '{"half": ["tok'])
def test_half_a_file_is_no_obstacle(issuer: Issuer, path: str, content: str) -> None:
    Path(path).write_text(content)
    assert SharedToken(issuer, WHO, path).get_token(ARM).token == "token-1"
    assert len(json.loads(Path(path).read_text())) == 1


def test_closing(issuer: Issuer) -> None:
    SharedToken(issuer, WHO, None).close()
    SharedToken(object(), WHO, None).close()
    assert issuer.closed
