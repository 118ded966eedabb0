# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table of resource types, and the way of every ARM call through it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.ids import InvalidResourceId, ResourceId
from pgflex_lab.directory import Caller
from pgflex_lab.rbac import forbidden

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

Handler = Callable[[ArmRequest], ArmResponse]
API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-zA-Z0-9.]+)?")
RIGHTS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
PROVIDERS = "Microsoft.Resources/subscriptions/providers"


@dataclass(frozen=True)
class ResourceType:
    """One row of the table. `verbs` has GET, PUT, PATCH, DELETE, HEAD and LIST; `actions` the POSTs by name.

    `rbac` names the right asked for, without its last part; `open_to_all` is for what every signed-in caller may read;
    `paged` is false where the API knows no nextLink.
    """

    name: str
    verbs: Mapping[str, Handler] = field(default_factory=dict)
    actions: Mapping[str, Handler] = field(default_factory=dict)
    api_versions: tuple[str, ...] = ()
    rbac: str = ""
    open_to_all: bool = False
    paged: bool = True

    @property
    def right(self) -> str:
        return self.rbac or self.name


class Router:
    """Checks a call in ARM's order: form, subscription, type, authorization, provider, group; then the handler."""

    def __init__(self, lab: Lab, types: list[ResourceType]) -> None:
        self._lab = lab
        self._types = {item.name.lower(): item for item in types}

    def types(self) -> list[ResourceType]:
        return list(self._types.values())

    def dispatch(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any,
        caller: Caller,
        base_url: str,
        headers: Mapping[str, str] | None = None,
    ) -> ArmResponse:
        request, row = self._resolve(method, path, query, body, caller, base_url)
        request = replace(request, headers=headers or {})
        handler = self._handler(request, row)
        keep = self._authorize(request, row, caller)
        self._require_registration(request)
        self._require_group(request)
        response = handler(request)
        if request.id.is_collection and request.method == "GET":
            return self._page(request, row, response, keep)
        return response

    def _resolve(
        self, method: str, path: str, query: Mapping[str, str], body: Any, caller: Caller, base_url: str
    ) -> tuple[ArmRequest, ResourceType]:
        try:
            target = ResourceId.parse(path)
        except InvalidResourceId:
            raise ArmError(404, "InvalidResourcePath", f"The resource path '{path}' is invalid.") from None
        api_version = query.get("api-version", "")
        if not api_version:
            raise ArmError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        action = None
        if method == "POST":
            action = target.name
            target = ResourceId("/" + "/".join(target.segments[:-1]))
        self._require_subscription(target)
        request = ArmRequest(method, target, api_version, query, body, caller.object_id, action, base_url)
        return request, self._row(request)

    def _row(self, request: ArmRequest) -> ResourceType:
        name = type_name(request.id)
        row = self._types.get(name.lower())
        if row is None:
            raise self._unknown(request, name)
        if not API_VERSION.fullmatch(request.api_version):
            raise ArmError(400, "InvalidApiVersionParameter", f"The api-version '{request.api_version}' is invalid.")
        if row.api_versions and request.api_version not in row.api_versions:
            versions = ", ".join(row.api_versions)
            namespace, _separator, short = row.name.partition("/")
            if request.method in ("PUT", "PATCH"):
                place = request.body.get("location", "") if isinstance(request.body, dict) else ""
                raise ArmError(
                    400,
                    "NoRegisteredProviderFound",
                    f"No registered resource provider found for location '{place}' and API version "
                    f"'{request.api_version}' for "
                    f"type '{short}'. The supported api-versions are '{versions}'.",
                )
            raise ArmError(
                400,
                "InvalidResourceType",
                f"The resource type '{short}' could not be found in the namespace '{namespace}' for api version "
                f"'{request.api_version}'. The supported api-versions are '{versions}'.",
            )
        return row

    def _unknown(self, request: ArmRequest, name: str) -> ArmError:
        namespace, _separator, short = name.partition("/")
        if not self._lab.providers.is_known(namespace):
            return ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
        return ArmError(
            404,
            "InvalidResourceType",
            f"The resource type '{short}' could not be found in the namespace '{namespace}' for api version "
            f"'{request.api_version}'.",
        )

    def _handler(self, request: ArmRequest, row: ResourceType) -> Handler:
        if request.action is not None:
            by_name = {name.lower(): handler for name, handler in row.actions.items()}
            handler = by_name.get(request.action.lower())
        elif request.id.is_collection or request.id.key.endswith("/providers"):
            handler = row.verbs.get("LIST") if request.method == "GET" else None
        else:
            handler = row.verbs.get(request.method)
        if handler is None:
            raise ArmError(
                405, "HttpMethodNotAllowed", f"The requested resource does not support http method '{request.method}'."
            )
        return handler

    # Authorization

    def _authorize(self, request: ArmRequest, row: ResourceType, caller: Caller) -> Callable[[str], bool]:
        """Returns the filter for the items of a list: those the caller may read."""
        if row.open_to_all or (request.method == "GET" and not request.id.subscription_id):
            return lambda item_id: True
        right = self._right(request, row)
        if not request.id.is_collection and not request.id.key.endswith("/providers"):
            self._lab.rbac.check(caller, right, request.id)
            return lambda item_id: True
        owner = request.id.parent
        if self._lab.rbac.allows(caller.object_id, right, owner):
            return lambda item_id: True
        top_level = len(request.id.types) == 1 or request.id.namespace == "Microsoft.Resources"
        if not top_level or not self._lab.rbac.sees_something_in(caller.object_id, owner):
            raise forbidden(caller, right, owner)
        return lambda item_id: self._lab.rbac.allows(caller.object_id, right, item_id)

    def _right(self, request: ArmRequest, row: ResourceType) -> str:
        if request.action is None:
            return f"{row.right}/{RIGHTS[request.method]}"
        if row.name == PROVIDERS:
            return f"{request.id.namespace}/{request.action}/action"
        known = next((name for name in row.actions if name.lower() == request.action.lower()), request.action)
        return f"{row.right}/{known}/action"

    # What must exist

    def _require_subscription(self, target: ResourceId) -> None:
        subscription = target.subscription_id
        if not subscription:
            return
        if self._lab.store.get(ResourceId(f"/subscriptions/{subscription}")) is None:
            raise ArmError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")

    def _require_registration(self, request: ArmRequest) -> None:
        namespace = request.id.namespace
        subscription = request.id.subscription_id
        if not subscription or not request.id.types:
            return
        if not self._lab.providers.is_registered(subscription, namespace):
            raise ArmError(
                409,
                "MissingSubscriptionRegistration",
                f"The subscription is not registered to use namespace '{namespace}'. See "
                "https://aka.ms/rps-not-found for how to register subscriptions.",
            )

    def _require_group(self, request: ArmRequest) -> None:
        group = request.id.resource_group
        if group is None or request.id.namespace == "Microsoft.Resources":
            return
        group_id = ResourceId(f"/subscriptions/{request.id.subscription_id}/resourceGroups/{group}")
        if self._lab.store.get(group_id) is None:
            raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")

    # Lists

    def _page(
        self, request: ArmRequest, row: ResourceType, response: ArmResponse, keep: Callable[[str], bool]
    ) -> ArmResponse:
        if not isinstance(response.body, dict) or not isinstance(response.body.get("value"), list):
            return response
        items = [item for item in response.body["value"] if "id" not in item or keep(str(item["id"]))]
        size = self._lab.settings.page_size if row.paged else len(items)
        start = _number(request.query.get("$skiptoken", "0"))
        page = {**response.body, "value": items[start : start + size]}
        if start + size < len(items):
            query = {**request.query, "$skiptoken": str(start + size)}
            page["nextLink"] = f"{request.base_url}{quote(str(request.id))}?{urlencode(query)}"
        return replace(response, body=page)


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


def type_name(target: ResourceId) -> str:
    """The full type of a path; providers of a subscription have a name but no type in it."""
    if target.key.endswith("/providers") or (target.namespace and not target.types):
        return PROVIDERS if target.subscription_id else "Microsoft.Resources/providers"
    return target.type
