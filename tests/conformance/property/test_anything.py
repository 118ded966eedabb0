# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that no description allows: any method, path, query, header and bytes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from conformance_table import tried
from wire import Wire

METHODS = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND"]
GROUP = "/subscriptions/{subscription}/resourceGroups/shop-rg"
SERVICE = f"{GROUP}/providers/Microsoft.DBforPostgreSQL"
# None of these is deleted or stopped by a request that has no more than this path.
PATHS = [
    "/subscriptions/{subscription}",
    f"{GROUP}/resources",
    f"{SERVICE}/servers/shop-single/configurations/work_mem",
    f"{SERVICE}/flexibleServers/shop-flex/configurations/azure.extensions",
    f"{SERVICE}/flexibleServers/shop-flex/firewallRules/any",
    f"{SERVICE}/flexibleServers/shop-flex/databases/any",
    f"{SERVICE}/flexibleServers/shop-flex/migrations/any",
    f"{SERVICE}/flexibleServers/shop-flex/migrations/any/cancel",
    f"{SERVICE}/flexibleServers/shop-flex/checkMigrationNameAvailability",
    f"{SERVICE}/flexibleServers/no-server",
    f"{SERVICE}/servers/shop-single/updateConfigurations",
    f"{GROUP}/providers/Microsoft.Resources/tags/default",
    f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/0d5ff4d0-0000-4000-8000-000000000001",
    "/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/0d5ff4d0-0000-4000-8000-000000000001",
    "/subscriptions/{subscription}/providers/Microsoft.DBforPostgreSQL/checkNameAvailability",
    "/subscriptions/{subscription}/providers/Microsoft.DataMigration/register",
    "/v1.0/applications",
    "/v1.0/servicePrincipals(appId='any')",
    "/v1.0/applications/any/addPassword",
    "/v1.0/users",
    "/{tenant}/oauth2/v2.0/token",
    "/{tenant}/oauth2/token",
    "/common/discovery/instance",
    "/metadata/endpoints",
    "/metadata/identity/oauth2/token",
]
WORDS = ["subscriptions", "resourceGroups", "providers", "shop-rg", "Microsoft.DBforPostgreSQL", "servers", "locations"]
WORDS += ["Microsoft.Resources", "Microsoft.Authorization", "flexibleServers", "shop-flex", "migrations", "default"]
WORDS += ["v1.0", "applications", "oauth2", "token", "tenants", ".well-known", "..", ".", " ", "%", "\x00", "\r\n", "ü"]
API_VERSIONS = ["2022-09-01", "2024-08-01", "2025-08-01", "2017-12-01", "2022-05-01-privatepreview", "", "1.0", "ü"]
FILTERS = [
    *("displayName eq 'x'", "tags/any(t: t eq 'x')", "displayName/any(t:t eq 1)", "startswith(tags,'x')", "(((", "'"),
    *(
        "not",
        "a eq",
        "a gt 1",
        "startswith(",
        "any",
        "contains(id,null)",
        "atScope()",
        "principalId eq '",
        "id eq 1 or",
    ),
    *("(" * 3000, "not " * 3000, "roleName eq ''''", "tagName eq 'x' and tagValue eq ''", "web/any(w:w eq null)"),
]
NUMBERS = ["0", "-1", "²", "1" * 5000, "1.5", "x", "", "99999999999999999999"]
BODIES = [
    *(
        b"",
        b" ",
        b"{",
        b"[]",
        b"null",
        b"true",
        b"0",
        b'""',
        b"\xff\xfe",
        b"{'a': 1}",
        b'{"a": 1}{',
        b"NaN",
        b"\xef\xbb\xbf{}",
    ),
    *(b'{"properties": NaN}', b'{"properties": {"value": Infinity}}', b"1" * 5000, b'{"a": ' + b"1" * 5000 + b"}"),
    *(b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"properties":' * 900 + b"{}" + b"}" * 900),
    *(b'{"properties": {"value": "\\ud800"}}', b'{"location": "\\u0000", "properties": {}}', b'{"a": 1, "a": 2}'),
    *(b'{"displayName": "\\ud800"}', b'{"tags": {"\\ud800": "\\ud800"}}', b"a=b&c", b"client_id=%ff&grant_type=%00"),
    b"grant_type=client_credentials&client_id=x&client_secret=y&scope=%F0%9F%92%A9",
]
CONTENT_TYPES = [
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "",
    "x",
    "application/json; charset=utf-16",
]

keys = st.sampled_from(
    [
        "properties",
        "location",
        "tags",
        "sku",
        "name",
        "value",
        "displayName",
        "passwordCredential",
        "storage",
        "operation",
    ]
) | st.text(max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
bodies = st.sampled_from(BODIES) | st.dictionaries(keys, json_values, max_size=5).map(
    lambda value: json.dumps(value).encode()
)
segments = st.sampled_from(WORDS) | st.text(min_size=1, max_size=12)
paths = st.sampled_from(PATHS) | st.lists(segments, max_size=9).map(lambda parts: "/" + "/".join(parts))
queries = st.fixed_dictionaries(
    {},
    optional={
        "api-version": st.sampled_from(API_VERSIONS) | st.text(max_size=12),
        "$filter": st.sampled_from(FILTERS) | st.text(max_size=30),
        "$top": st.sampled_from(NUMBERS),
        "$skiptoken": st.sampled_from(NUMBERS),
        "$select": st.text(max_size=10),
        "migrationListFilter": st.text(max_size=5),
        "resource": st.text(max_size=10),
    },
)
chosen = settings(
    max_examples=400, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


def filled(path: str, wire: Wire) -> str:
    tenant = wire.lab.environment()["AZURE_TENANT"]
    return path.replace("{subscription}", wire.subscription).replace("{tenant}", tenant)


def target(path: str, query: dict[str, str]) -> str:
    """Percent-encoded as a client has to, whatever is in it."""
    asked = urlencode(query, errors="surrogatepass")
    return quote(path, errors="surrogatepass") + (f"?{asked}" if asked else "")


@seed(20261121)
@chosen
@given(method=st.sampled_from(METHODS), path=paths, query=queries, body=bodies, media=st.sampled_from(CONTENT_TYPES))
def send_anything(wire: Wire, method: str, path: str, query: dict[str, str], body: bytes, media: str) -> None:
    where = filled(path, wire)
    headers = {"Authorization": f"Bearer {wire.token(where)}", "Content-Type": media}
    wire.judged(method, target(where, query), body, headers)


def test_any_method_path_query_and_body_is_answered(wire: Wire) -> None:
    with tried("hypothesis", hypothesis.__version__, "any method, path, query and body"):
        send_anything(wire)


@pytest.mark.parametrize("path", PATHS)
def test_any_body_is_answered(path: str, wire: Wire) -> None:
    where = filled(path, wire)
    token = {"Authorization": f"Bearer {wire.token(where)}"}
    with tried("hypothesis", hypothesis.__version__, f"bodies for {path}"):
        for body in BODIES:
            for method in ("PUT", "PATCH", "POST"):
                for version in ("2024-08-01", "2017-12-01"):
                    headers = {**token, "Content-Type": "application/json"}
                    wire.judged(method, target(where, {"api-version": version}), body, headers)


@pytest.mark.parametrize(
    "path", ["/v1.0/applications", "/v1.0/servicePrincipals", "/v1.0/users", *PATHS[:2], PATHS[11]]
)
def test_any_list_option_is_answered(path: str, wire: Wire) -> None:
    with tried("hypothesis", hypothesis.__version__, f"list options for {path}"):
        for name, values in {"$filter": FILTERS, "$top": NUMBERS, "$skiptoken": NUMBERS}.items():
            for value in values:
                wire.ask("GET", filled(path, wire), api_version="2022-09-01", query={name: value})


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer x", "Bearer a.b.c", "Basic eDp5", "Bearer " + "x" * 9000, "Bearer e30.e30.e30", "\xff"],
)
def test_any_token_is_answered_with_401(authorization: str, wire: Wire) -> None:
    with tried("hypothesis", hypothesis.__version__, f"token {authorization[:12]!r}"):
        for path in ("/subscriptions", "/v1.0/applications"):
            headers: dict[str, Any] = {"Authorization": authorization.encode("latin-1")}
            answer = wire.judged("GET", f"{path}?api-version=2022-09-01", None, headers)
            assert answer.status == 401 and "www-authenticate" in answer.headers
