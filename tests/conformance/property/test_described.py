# SPDX-License-Identifier: GPL-3.0-or-later
"""schemathesis reads the lab's own description and tries every operation in it, with fitting and unfitting values."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from conformance_table import tried
from wire import Answer, Wire, judge

EXAMPLES = 2
CHECKS = [not_a_server_error, response_schema_conformance, status_code_conformance]
GUID = "0d5ff4d0-0000-4000-8000-000000000001"
ODD = ["ü-名前", "a b", "%2e%2e", "x" * 300]
NAMES: dict[str, list[str]] = {
    "resourceGroupName": ["shop-rg", "no-rg"],
    "serverName": ["shop-single", "no-server", *ODD],
    "flexibleServerName": ["shop-flex", "no-server", *ODD],
    "configurationName": ["work_mem", "azure.extensions", "shared_preload_libraries", "nothing", *ODD],
    "databaseName": ["postgres", "new", 'quo"te', *ODD],
    "firewallRuleName": ["AllowAllAzureIps", "new", *ODD],
    "migrationName": ["one", "-", *ODD],
    "roleAssignmentName": [GUID, *ODD],
    "roleDefinitionName": [GUID, "b24988ac-6180-42a0-ab88-20f7382dd24c", *ODD],
    "resourceProviderNamespace": ["Microsoft.KeyVault", "Microsoft.Nothing", *ODD],
    "locationName": ["eastus", "nowhere", *ODD],
    "id": [GUID, "appId=", *ODD],
}
ENDS_SOMETHING = ("delete", "stop")


@pytest.fixture(scope="module")
def schema(wire: Wire) -> Any:
    """The description, with names in it that are there beside names that are not."""
    described = wire.lab.admin("GET", "openapi.json")
    names = {**NAMES, "subscriptionId": [wire.subscription], "tenant": [wire.lab.environment()["AZURE_TENANT"]]}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            ends = method in ENDS_SOMETHING or path.endswith(ENDS_SOMETHING)
            for parameter in operation["parameters"]:
                if parameter["in"] == "path" and parameter["name"] in names:
                    known = names[parameter["name"]]
                    parameter["schema"] = {"type": "string", "enum": _spared(parameter["name"], path, known, ends)}
    return schemathesis.openapi.from_dict(described)


def _spared(name: str, path: str, known: list[str], ends: bool) -> list[str]:
    """What other operations need is neither deleted nor stopped."""
    last = path.removesuffix("/stop").endswith(f"{{{name}}}")
    return known[1:] if ends and last and name in ("resourceGroupName", "serverName", "flexibleServerName") else known


def operations(schema: Any) -> list[Any]:
    found = [item.ok() for item in schema.get_all_operations()]
    return sorted(found, key=lambda item: item.method in ENDS_SOMETHING)


def call(wire: Wire, session: requests.Session, case: Case) -> None:
    headers = {"Authorization": f"Bearer {wire.token(case.path)}"}
    response = case.call(base_url=wire.lab.url, session=session, headers=headers, verify=str(wire.lab.facts["ca"]))
    case.validate_response(response, checks=CHECKS)
    kept = {name.lower(): value[0] for name, value in response.headers.items()}
    judge(case.method.upper(), case.path, Answer(response.status_code, kept, response.content))


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_described_operation_takes_anything(mode: GenerationMode, schema: Any, wire: Wire) -> None:
    version = schemathesis.__version__
    failures: list[BaseException] = []
    with requests.Session() as session:
        for operation in operations(schema):
            label = f"{operation.label} ({mode.value})"

            @seed(20261121)
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def attempt(case: Case) -> None:
                call(wire, session, case)

            try:
                with tried("schemathesis", version, label):
                    attempt()
            except Exception as failure:  # noqa: BLE001 - all failures are shown, not only the first
                failures.append(failure)
    assert not failures, "\n\n".join(map(str, failures))
