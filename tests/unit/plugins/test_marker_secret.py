# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret in every secret option of every module, and a service that repeats it: it is printed nowhere."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# It connects to nothing and is given no secret; its own tests look for those of the settings in what it writes.
LOCAL = {"report"}
MODULES = sorted({path.stem for path in (Path(__file__).parents[3] / "plugins" / "modules").glob("*.py")} - LOCAL)
MARKER = "Marker-Secret-4711"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
NETWORK = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop-rg/providers/Microsoft.Network/virtualNetworks/shop"
# What the sign-in and the modules' own checks need to let a request pass.
KNOWN = {
    "subscription_id": SUBSCRIPTION,
    "tenant": "33333333-3333-3333-3333-333333333333",
    "client_id": "22222222-2222-2222-2222-222222222222",
    "host": "127.0.0.1",
    # Nothing listens there.
    "port": 1,
    "connect_timeout": 2,
    "server_type": "flexible_server",
    "scopes": [f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop-rg"],
    "parameters": {"work_mem": "8192"},
    "generation": "classic",
    "start_ip_address": "203.0.113.4",
    "subnet_id": f"{NETWORK}/subnets/shop",
    "virtual_network_id": NETWORK,
    "remote_virtual_network_id": f"{NETWORK}-hub",
    "virtual_network_ids": [NETWORK],
    "zone_id": NETWORK.replace("virtualNetworks/shop", "privateDnsZones/shop.example"),
}
VALUES: dict[str, Any] = {"int": 1, "float": 1.0, "bool": False, "dict": {"key": "value"}, "path": "/nowhere/ca.pem"}


def spec_of(module: str) -> Any:
    return importlib.import_module(f"ansible_collections.pgflex.migrate.plugins.modules.{module}").SPEC


def secret_paths(options: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, option in options.items():
        if option.get("no_log"):
            yield f"{above}{name}"
        yield from secret_paths(option.get("options", {}), f"{above}{name}.")


def value_of(name: str, option: dict[str, Any], planted: list[str]) -> Any:
    """A value for an option; a secret gets the marker and is noted."""
    if option.get("no_log"):
        planted.append(name)
        return {"key": MARKER} if option["type"] == "dict" else MARKER
    if option.get("options"):
        inner = args_of(option["options"], planted)
        return [inner] if option["type"] == "list" else inner
    if name in KNOWN and (name != "generation" or "classic" in option["choices"]):
        return KNOWN[name]
    if option.get("choices"):
        return option["choices"][0]
    if option["type"] == "list":
        return ["shop"]
    return VALUES.get(option["type"], "shop")


def args_of(options: dict[str, Any], planted: list[str]) -> dict[str, Any]:
    """The options that are needed, that hold a secret, or that the request could not be made without."""
    wanted = {
        name: option
        for name, option in options.items()
        if option.get("required") or name in KNOWN or list(secret_paths({name: option}))
    }
    return {name: value_of(name, option, planted) for name, option in wanted.items()}


def args_for(spec: Any, planted: list[str]) -> dict[str, Any]:
    args = args_of(spec.options, planted)
    needed = [group[0] for group in spec.required_one_of if not set(group) & set(args)]
    needed += [name for group in spec.required_together if set(group) & {*args, *needed} for name in group]
    needed += [
        name for option, value, names in spec.required_if if given(spec, args, option) == value for name in names
    ]
    return args | {name: value_of(name, spec.options[name], planted) for name in needed if name not in args}


def given(spec: Any, args: dict[str, Any], option: str) -> Any:
    return args.get(option, spec.options[option].get("default"))


def listed(module: str) -> list[str]:
    return [path.rsplit(".", 1)[-1] for path in secret_paths(spec_of(module).options)]


def named_like_a_secret(options: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, option in options.items():
        if any(word in name for word in ("secret", "password", "token", "key")):
            yield name, option
        yield from named_like_a_secret(option.get("options", {}))


@pytest.mark.parametrize("module", MODULES)
def test_options_that_are_named_like_a_secret_say_whether_they_are_one(module: str) -> None:
    options = named_like_a_secret(spec_of(module).options)
    assert [name for name, option in options if "no_log" not in option] == []


def test_every_module_that_connects_has_a_secret_option() -> None:
    assert MODULES and [name for name in MODULES if not listed(name)] == []


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize(
    ("module", "state"),
    [
        (module, state)
        for module in MODULES
        for state in spec_of(module).options.get("state", {}).get("choices", [None])
    ],
)
def test_marker_secret_is_never_printed(module: str, state: Any, status: int, run_module: Any, arm: Any) -> None:
    planted: list[str] = []
    spec = spec_of(module)
    args = args_for(spec, planted)
    args |= {"state": state} if state else {}
    arm.fail_everything(status=status, message=f"The password {MARKER} of {MARKER}@shop is wrong.")
    result = run_module(module, args, diff=True)
    assert sorted(planted) == sorted(listed(module))
    # Arguments that Ansible itself refuses have no `failure`: nothing of ours would have run.
    # A look at many servers goes on when one of them refuses, which its row tells.
    told = [row for row in result.result.get("migrations", []) if row.get("error")]
    assert (result.failed and "failure" in result) or told, result.result
    assert MARKER.lower() not in result.raw_output.lower()
    assert arm.requests or {"source", "target"} & set(spec.options), "it failed before its first request"
