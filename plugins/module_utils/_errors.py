# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every service's exception in one sentence, with a hint for the codes that people meet."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Iterator
from typing import Any

HOW_TO_SIGN_IN = (
    "Give client_id, secret and tenant, set AZURE_CLIENT_ID, AZURE_SECRET and AZURE_TENANT, "
    "write a profile into ~/.azure/credentials, or sign in with az login."
)
# What to do about the codes that people meet most; the service's own sentence stands before it.
HINTS = {
    "MissingCredentials": HOW_TO_SIGN_IN,
    "AuthorizationFailed": "Give the signed-in identity a role that allows the action named above at the scope above.",
    "InvalidAuthenticationToken": "Check the options tenant, client_id, secret and cloud_environment.",
    "LinkedAuthorizationFailed": "Give the signed-in identity a role on the linked resource named above as well.",
    "ResourceGroupNotFound": "Check the options resource_group and subscription_id.",
    "ResourceNotFound": "Check the options resource_group, server_name and subscription_id.",
    "SubscriptionNotFound": "Check the option subscription_id and that the identity has a role in that subscription.",
    "InvalidSubscriptionId": "The option subscription_id has to be the GUID of a subscription.",
    "MissingSubscriptionRegistration": "Register the provider named above with pgflex.migrate.resource_provider.",
    "PrincipalNotFound": "Azure Resource Manager does not know the new principal yet; raise wait_timeout or run again.",
    "ServerIsBusy": "Another operation runs on the server; run again when it has ended.",
    "ConflictingServerOperation": "Another operation runs on the server; run again when it has ended.",
    "ServerIsNotReady": "Start the server first, or wait until it is ready.",
    "ServerNameAlreadyExists": "A server's name is unique in all of Azure: choose another one.",
    "EmptyPrivateDnsZoneArmResourceId": "Give private_dns_zone_id together with delegated_subnet_id.",
    "PrivateDnsZoneNameNotValid": "Take a zone whose name ends with the domain of the servers and is not the server's "
    "own name, such as shop.private.postgres.database.azure.com.",
    "PrivateDnsZoneNotLinkedToVirtualNetwork": "Link the zone to the network of the subnet with "
    "pgflex.migrate.private_dns_zone_link.",
    "VirtualNetworkRuleBadRequest": "A subnet that lacks the service endpoint Microsoft.Sql gets it from "
    "pgflex.migrate.subnet with service_endpoints; it has to be in the server's region.",
    "QuotaExceeded": "Ask for more quota in the region or take a smaller size.",
    "Authorization_RequestDenied": "The signed-in identity needs the Microsoft Graph permission "
    "Application.ReadWrite.OwnedBy or Application.ReadWrite.All, or the directory role Application Developer.",
    "Request_ResourceNotFound": "A new application is not known to all of Microsoft Graph at once; run again.",
    "InvalidResourceNamespace": "Check the option namespaces.",
    "VnetAddressSpacesOverlap": "Networks with addresses in common can not be peered: change the address space of one, "
    "or make a private endpoint of the server in the other one.",
    "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet": "A network can not be peered with two that have addresses in "
    "common: change the address space of one, or make a private endpoint of the server in another network.",
    "RemoteVnetHasNoGateways": "The option use_remote_gateways needs a gateway in the other network and "
    "allow_gateway_transit on its side of the peering.",
    "RemotePeeringIsDisconnected": "The other side has to be made again: run pgflex.migrate.virtual_network_peering "
    "with both networks.",
    "AnotherPeeringAlreadyReferencesRemoteVnet": "They are peered under another name; run again to take it.",
    "AnotherOperationInProgress": "Another operation runs on the network; run again when it has ended.",
    "NetcfgSubnetRangesOverlap": "Choose another address_prefix, or leave it out to take the next free one.",
    "NetcfgSubnetRangeOutsideVnet": "Choose an address_prefix in the network's address space, or leave it out.",
    "InUseSubnetCannotBeDeleted": "Delete what is in the subnet first.",
    "SubnetDelegationsCannotChangeWhenSubnetUsedByResource": "Take another subnet: this one is in use.",
    "AADSTS7000215": "The option secret has to be the value of a client secret of client_id, not its id.",
    "AADSTS7000222": "The client secret has expired; make a new one.",
    "AADSTS700016": "The option client_id is not known in this tenant.",
    "AADSTS90002": "The option tenant is not known in this cloud.",
}


class ModuleFailure(Exception):
    """A failure as the user reads it: a sentence, and beside it what a playbook can test.

    `details` are more keys of the module's result, for a failure that still has something to show.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        target: str | None = None,
        hint: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id
        self.target = target
        self.hint = hint
        self.details = details or {}

    def as_result(self) -> dict[str, Any]:
        failure = {
            "code": self.code,
            "status": self.status,
            "request_id": self.request_id,
            "target": self.target,
            "hint": self.hint,
        }
        text = self.message if not self.hint or self.hint in self.message else f"{self.message} {self.hint}"
        return {**self.details, "failed": True, "msg": text, "failure": failure}


def service_errors() -> tuple[type[Exception], ...]:
    """The exception classes of the SDKs that are installed, for an except clause.

    Looked up late: without the packages there is nothing to catch, and the file still imports.
    """
    found: list[type[Exception]] = []
    for module, name in (
        ("azure.core.exceptions", "AzureError"),
        ("kiota_abstractions.api_error", "APIError"),
        ("httpx", "HTTPError"),
    ):
        with contextlib.suppress(ImportError):
            found.append(getattr(importlib.import_module(module), name))
    return tuple(found)


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Everything a service refuses inside becomes `Failed to <what>: <its words> (<its code>)`."""
    try:
        yield
    except service_errors() as error:
        raise translate(error, what) from error


def translate(error: Exception, what: str) -> ModuleFailure:
    code, sentence = code_and_message(error)
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None) or getattr(error, "response_headers", None) or {}
    suffix = f" ({code})" if code else ""
    return ModuleFailure(
        f"Failed to {what}: {sentence.rstrip('.')}{suffix}.",
        code=code,
        status=status_of(error),
        request_id=headers.get("x-ms-request-id") or headers.get("request-id"),
        target=_odata(error, "target"),
        hint=HINTS.get(code or "", _hint_by_kind(error)),
    )


def status_of(error: Exception) -> int | None:
    """The HTTP status that a service's exception carries, if there was an answer at all."""
    status = getattr(error, "status_code", None) or getattr(error, "response_status_code", None)
    return int(status) if status else None


def code_of(error: Exception) -> str | None:
    return code_and_message(error)[0]


def code_and_message(error: Exception) -> tuple[str | None, str]:
    """(code, sentence) of an ARM error, a Graph error, a sign-in error or a broken connection."""
    inner = getattr(error, "error", None)
    code = getattr(inner, "code", None)
    # httpx has exceptions without a word.
    text = getattr(inner, "message", None) or getattr(error, "message", None) or str(error) or type(error).__name__
    sign_in = re.search(r"(AADSTS\d+).*", text)
    if sign_in:
        return sign_in[1], " ".join(sign_in[0].split())
    if not code and type(error).__name__ == "ResourceNotFoundError":
        code = "ResourceNotFound"
    if type(error).__name__ == "CredentialUnavailableError":
        code = "MissingCredentials"
    return code, " ".join(text.split())


def _odata(error: Exception, name: str) -> str | None:
    value = getattr(getattr(error, "error", None), name, None)
    return value if isinstance(value, str) else None


def _hint_by_kind(error: Exception) -> str | None:
    kind = type(error).__name__
    if kind in ("ServiceRequestError", "ConnectError", "ServiceRequestTimeoutError", "ConnectTimeout"):
        return "The endpoint could not be reached: check the option cloud_environment, the proxy and the network."
    if kind in ("ServiceResponseError", "ReadTimeout", "ReadError", "RemoteProtocolError", "IncompleteReadError"):
        return "The connection broke while the service answered; nothing more is known of the request: run again."
    return None
