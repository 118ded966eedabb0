# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import (
    HINTS,
    ModuleFailure,
    code_and_message,
    doing,
    service_errors,
    status_of,
    translate,
)
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import CredentialUnavailableError
from kiota_abstractions.api_error import APIError
from msgraph.generated.models.o_data_errors.main_error import MainError
from msgraph.generated.models.o_data_errors.o_data_error import ODataError

DENIED = "The client 'x' does not have authorization to perform action 'y' over scope 'z'."
EXPIRED = (
    "Authentication failed: AADSTS7000215: Invalid client secret provided.\nTrace ID: 1\nCorrelation ID: 2\n"
    "Timestamp: 2026-01-01"
)


class Response:
    """As much of an HTTP answer as azure-core's exceptions look at."""

    reason = "reason"
    content_type = "application/json"
    request = None

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.status_code = status
        self.headers = headers or {}
        self._text = body if isinstance(body, str) else json.dumps(body)

    def text(self, encoding: str | None = None) -> str:
        return self._text

    def body(self) -> bytes:
        return self._text.encode()


def arm(
    status: int, code: str, message: str, kind: type[HttpResponseError] = HttpResponseError, **more: Any
) -> HttpResponseError:
    answer = Response(status, {"error": {"code": code, "message": message, **more}}, {"x-ms-request-id": "r-1"})
    return kind(response=answer)  # type: ignore[arg-type]


def graph(status: int, code: str, message: str) -> ODataError:
    error = ODataError(error=MainError(code=code, message=message))
    error.response_status_code = status
    error.response_headers = {"request-id": "g-1"}
    return error


@pytest.mark.parametrize(
    ("error", "code", "status", "sentence"),
    [
        (arm(403, "AuthorizationFailed", DENIED), "AuthorizationFailed", 403, DENIED.rstrip(".")),
        (
            arm(404, "ResourceNotFound", "No such\n  server.", ResourceNotFoundError),
            "ResourceNotFound",
            404,
            "No such server",
        ),
        (
            ResourceNotFoundError(message="(None) gone", response=Response(404, "")),  # type: ignore[arg-type]
            "ResourceNotFound",
            404,
            "(None) gone",
        ),
        (graph(403, "Authorization_RequestDenied", "Too few."), "Authorization_RequestDenied", 403, "Too few"),
        (APIError("no body", 502, {}), None, 502, "no body"),
        (
            ClientAuthenticationError(message=EXPIRED),
            "AADSTS7000215",
            None,
            "AADSTS7000215: Invalid client secret provided",
        ),
        (ClientAuthenticationError(message="x AADSTS90002 y"), "AADSTS90002", None, "AADSTS90002 y"),
        (ServiceRequestError("Name or service not known"), None, None, "Name or service not known"),
        (ServiceResponseError("Connection aborted."), None, None, "Connection aborted"),
        (httpx.ConnectError("All connection attempts failed"), None, None, "All connection attempts failed"),
        (httpx.ReadTimeout(""), None, None, "ReadTimeout"),
        (
            CredentialUnavailableError(message="Please run 'az login'"),
            "MissingCredentials",
            None,
            "Please run 'az login'",
        ),
    ],
)
def test_code_status_and_sentence(error: Exception, code: str | None, status: int | None, sentence: str) -> None:
    failure = translate(error, "read shop")
    suffix = f" ({code})" if code else ""
    assert failure.message == f"Failed to read shop: {sentence}{suffix}."
    assert (failure.code, failure.status, status_of(error)) == (code, status, status)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (arm(403, "AuthorizationFailed", DENIED), "role"),
        (graph(403, "Authorization_RequestDenied", "Too few."), "Application.ReadWrite.OwnedBy"),
        (ClientAuthenticationError(message=EXPIRED), "option secret"),
        (ServiceRequestError("refused"), "cloud_environment"),
        (httpx.ConnectError("refused"), "cloud_environment"),
        (httpx.ConnectTimeout("slow"), "cloud_environment"),
        (ServiceResponseError("aborted"), "connection broke"),
        (httpx.RemoteProtocolError("half an answer"), "connection broke"),
        (CredentialUnavailableError(message="no"), "sign in with az login"),
    ],
)
def test_the_way_out(error: Exception, words: str) -> None:
    result = translate(error, "read shop").as_result()
    assert words in result["failure"]["hint"] and result["msg"].endswith(result["failure"]["hint"])


def test_an_unknown_code_has_no_hint() -> None:
    result = translate(arm(409, "Odd", "Odd."), "read shop").as_result()
    assert result["failure"]["hint"] is None and result["msg"] == "Failed to read shop: Odd (Odd)."


def test_what_a_playbook_can_test() -> None:
    assert translate(arm(400, "Bad", "Bad.", target="sku"), "x").as_result()["failure"] == {
        "code": "Bad",
        "status": 400,
        "request_id": "r-1",
        "target": "sku",
        "hint": None,
    }
    assert translate(graph(400, "Bad", "Bad."), "x").request_id == "g-1"


@pytest.mark.parametrize("error", [ServiceRequestError("x"), graph(400, "a", "b"), httpx.ReadError("x")])
def test_doing_names_what_failed(error: Exception) -> None:
    with pytest.raises(ModuleFailure, match=r"^Failed to make shop: ") as caught, doing("make shop"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ValueError("ours"), ModuleFailure("already said")])
def test_doing_leaves_the_rest_alone(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, doing("make shop"):
        raise error
    assert caught.value is error


def test_the_classes_of_all_three_clients_are_caught() -> None:
    kinds = service_errors()
    for kind in (HttpResponseError, ServiceRequestError, ClientAuthenticationError, ODataError, httpx.ConnectError):
        assert issubclass(kind, kinds)


def test_a_package_that_is_missing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    assert httpx.HTTPError not in service_errors() and len(service_errors()) == 2


def test_a_failure_with_something_to_show() -> None:
    result = ModuleFailure("No.", details={"migrations": [1]}, hint="Look at it.").as_result()
    assert (result["failed"], result["msg"], result["migrations"]) == (True, "No. Look at it.", [1])


def test_a_hint_that_the_message_has_is_not_repeated() -> None:
    assert ModuleFailure("No. Look at it.", hint="Look at it.").as_result()["msg"] == "No. Look at it."


def test_the_code_of_a_secret_that_expired() -> None:
    assert code_and_message(ClientAuthenticationError(message=EXPIRED.replace("215", "222")))[0] == "AADSTS7000222"


@pytest.mark.parametrize(("code", "hint"), HINTS.items())
def test_hints_are_sentences(code: str, hint: str) -> None:
    assert hint.endswith(".") and hint[0].isupper() and "  " not in hint, code
