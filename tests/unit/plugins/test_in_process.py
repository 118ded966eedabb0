# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that runs modules inside Ansible's worker, beside the same modules run as Ansible runs others."""

from __future__ import annotations

import datetime
import enum
import json
import os
import stat
import sys
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.template import Templar
from ansible_collections.pgflex.migrate.plugins.plugin_utils import in_process
from ansible_collections.pgflex.migrate.plugins.plugin_utils.plain import plain

try:
    from ansible.template import trust_as_template
except ImportError:
    # Before ansible-core 2.19 every text is a template.
    trust_as_template = str

SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
SERVER = f"{SUB}/resourceGroups/shop-rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/shop-flex"
MIGRATION = f"{SERVER}/migrations/shop-1"
WHERE = {"resource_group": "shop-rg", "server_name": "shop-flex", "name": "shop-1"}


# Newer ansible-core shows a module's arguments only when asked to.
SHOWN = {"ansible_inject_invocation": True}


class Tagged(str):
    """As Ansible's own strings are: a subclass that JSON would not tell from a string."""


class Number(enum.IntEnum):
    ONE = 1


@pytest.fixture
def action(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Makes the action for a task; `processes` gets what would have run as an ordinary module."""
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    processes: list[dict[str, Any]] = []

    def make(module: str, args: dict[str, Any], variables: dict[str, Any] | None = None, **attributes: Any) -> Any:
        become = attributes.pop("become", False)
        transport = attributes.pop("transport", "local")
        task = Task()
        task.action, task.args = f"pgflex.migrate.{module}", args
        for name, value in {"check_mode": False, "diff": False, "async_val": 0, **attributes}.items():
            setattr(task, name, value)
        context = PlayContext()
        context.become = become
        loader = DataLoader()
        made = in_process.ActionModule(
            task=task,
            connection=SimpleNamespace(transport=transport, _shell=SimpleNamespace(tmpdir=None)),
            play_context=context,
            loader=loader,
            templar=Templar(loader=loader, variables=variables or {}),
            shared_loader_obj=None,
        )

        def execute(**options: Any) -> dict[str, Any]:
            processes.append(options)
            return {"changed": False, "ordinary": True}

        monkeypatch.setattr(made, "_execute_module", execute)
        return made.run(task_vars=variables or {})

    make.processes = processes  # type: ignore[attr-defined]
    return make


def migration(state: str = "InProgress") -> dict[str, Any]:
    return {"id": MIGRATION, "name": "shop-1", "properties": {"currentStatus": {"state": state}}}


# Values without Ansible's own types


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (False, False),
        (0, 0),
        (Number.ONE, 1),
        (1.5, 1.5),
        ("", ""),
        (Tagged("shop"), "shop"),
        (b"shop", "shop"),
        (["a", Tagged("b"), None], ["a", "b", None]),
        (("a", 1), ["a", 1]),
        (OrderedDict({Tagged("a"): {"b": Tagged("c")}}), {"a": {"b": "c"}}),
        # YAML reads an unquoted time as one; a module gets it through JSON.
        (datetime.datetime(2026, 11, 21, 2, 0, tzinfo=datetime.UTC), "2026-11-21T02:00:00+00:00"),
        (datetime.date(2026, 11, 21), "2026-11-21"),
    ],
)
def test_plain_values(value: Any, expected: Any) -> None:
    found = plain(value)
    assert found == expected and type(found) is type(expected)


def test_plain_reaches_every_depth() -> None:
    found = plain({Tagged("a"): [Tagged("b"), {"c": Tagged("d")}]})
    ((key, (first, second)),) = found.items()
    assert [type(text) for text in (key, first, second["c"])] == [str, str, str]


# Where it runs


@pytest.mark.parametrize(
    ("attributes", "variables", "in_a_process"),
    [
        ({}, {}, False),
        ({}, {"ansible_python_interpreter": sys.executable}, False),
        (
            {},
            {
                "ansible_python_interpreter": trust_as_template("{{ ansible_playbook_python }}"),
                "ansible_playbook_python": sys.executable,
            },
            False,
        ),
        ({}, {"ansible_python_interpreter": "auto_silent"}, False),
        ({}, {"ansible_python_interpreter": "/opt/other/python3"}, True),
        ({}, {"pgflex_in_process": True}, False),
        ({}, {"pgflex_in_process": False}, True),
        # As -e pgflex_in_process=false gives it.
        ({}, {"pgflex_in_process": "false"}, True),
        ({}, {"pgflex_in_process": "no"}, True),
        ({}, {"pgflex_in_process": trust_as_template("{{ not here }}"), "here": True}, True),
        ({"become": True}, {}, True),
        ({"async_val": 60}, {}, True),
        ({"transport": "ssh"}, {}, True),
        ({"transport": "community.docker.docker"}, {}, True),
    ],
)
def test_what_asks_for_a_process_of_its_own(
    action: Any, arm: Any, sign_in: Any, attributes: Any, variables: Any, in_a_process: bool
) -> None:
    if not in_a_process:
        arm.expect("GET", MIGRATION, json=migration())
    result = action("migration_info", {**sign_in, **WHERE}, variables, **attributes)
    assert bool(action.processes) == in_a_process == bool(result.get("ordinary"))


def test_an_ordinary_module_gets_variables_and_async(action: Any) -> None:
    variables = {"pgflex_in_process": False}
    action("migration_info", WHERE, variables, async_val=60)
    assert action.processes == [{"task_vars": variables, "wrap_async": 60}]


def test_an_interpreter_is_known_by_all_its_names(
    action: Any, arm: Any, sign_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not under one of another folder: a virtual environment is what its link lies in."""
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        for name in ("python", "python3"):
            (tmp_path / folder / name).symlink_to(os.path.realpath(sys.executable))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "one" / "python3"))
    arm.expect("GET", MIGRATION, json=migration())
    for folder in ("one", "other"):
        interpreter = str(tmp_path / folder / "python")
        result = action("migration_info", {**sign_in, **WHERE}, {"ansible_python_interpreter": interpreter})
        assert bool(result.get("ordinary")) is (folder == "other")


# The same result both ways

SAME = [
    ("migration_info", WHERE, {"json": migration()}),
    ("migration_info", WHERE, {"status": 404, "json": {"error": {"code": "ResourceNotFound", "message": "None."}}}),
    ("migration_info", WHERE, {"status": 403, "json": {"error": {"code": "AuthorizationFailed", "message": "No."}}}),
    ("migration", {**WHERE, "state": "absent"}, {"json": migration("Failed")}),
    ("migration_cancel", WHERE, {"json": migration("Canceled")}),
    ("migration_cutover", {**WHERE, "writers_stopped": "yes"}, {"json": migration()}),
    ("watch", {"migrations": [WHERE]}, {"json": migration("Failed")}),
]


@pytest.mark.parametrize("diff", [False, True])
@pytest.mark.parametrize(("module", "args", "answer"), SAME)
def test_the_result_is_that_of_the_ordinary_module(
    action: Any, run_module: Any, arm: Any, sign_in: Any, module: str, args: Any, answer: Any, diff: bool
) -> None:
    results = []
    for run in (
        lambda: action(module, {**sign_in, **args}, check_mode=True, diff=diff),
        lambda: run_module(module, {**sign_in, **args}, check_mode=True, diff=diff).result,
    ):
        arm.expect("GET", MIGRATION, **answer)
        results.append(without_times(run()))
    assert results[0] == results[1]


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    for row in result.get("migrations", []):
        for timed in [row, *row.get("history", [])]:
            for name in ("at", "seconds"):
                timed.pop(name, None)
    return result


@pytest.mark.parametrize(
    ("module", "args"),
    [
        ("migration_info", {"resource_group": "shop-rg"}),
        ("migration_info", {**WHERE, "nonsense": 1}),
        ("migration_info", {**WHERE, "generation": "newest"}),
        ("migration_info", {**WHERE, "details": "perhaps"}),
        ("migration_cutover", WHERE),
        ("migration", {**WHERE, "aad_app": {"client_id": "x", "tenant_id": "y"}}),
        ("watch", {"migrations": [{"name": "shop-1"}]}),
        ("watch", {"migrations": "shop-1"}),
    ],
)
def test_wrong_arguments_are_told_in_ansibles_words(
    action: Any, run_module: Any, arm: Any, sign_in: Any, module: str, args: dict[str, Any]
) -> None:
    ordinary = run_module(module, {**sign_in, **args, "_ansible_module_name": f"pgflex.migrate.{module}"})
    with pytest.raises(AnsibleActionFail) as caught:
        action(module, {**sign_in, **args})
    assert caught.value.message == ordinary["msg"] and arm.requests == []


def test_texts_are_converted_as_for_any_module(action: Any, arm: Any, sign_in: Any) -> None:
    listing = {"value": []}
    arm.expect("GET", f"{SERVER}/migrations", json=listing, query={"migrationListFilter": "Active"})
    args = {
        **sign_in,
        "resource_group": Tagged("shop-rg"),
        "server_name": "shop-flex",
        "which": "active",
        "details": "yes",
    }
    result = action("migration_info", args, SHOWN)
    assert result["invocation"]["module_args"]["details"] is True
    assert result["invocation"]["module_args"]["resource_group"].__class__ is str


# Secrets, environment, tokens, progress


def test_secrets_are_masked_wherever_they_appear(action: Any, arm: Any, sign_in: Any) -> None:
    secret = sign_in["secret"]
    refusal = {"error": {"code": "AuthorizationFailed", "message": f"The password {secret} is wrong."}}
    arm.expect("GET", MIGRATION, status=403, json=refusal)
    result = action("migration", {**sign_in, **WHERE, "source_server_password": "Other-Secret-1"}, SHOWN, diff=True)
    assert result["failed"] and "is wrong" in result["msg"]
    assert secret not in json.dumps(result) and "Other-Secret-1" not in json.dumps(result)
    assert result["invocation"]["module_args"]["secret"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


def test_the_tasks_environment_reaches_the_module_and_goes_with_it(action: Any, arm: Any, sign_in: Any) -> None:
    layers = [
        {"AZURE_SUBSCRIPTION_ID": "from the play", "AZURE_TENANT": trust_as_template("{{ tenant }}")},
        {"AZURE_SUBSCRIPTION_ID": sign_in["subscription_id"], "AZURE_CLIENT_ID": "c", "AZURE_SECRET": "s"},
    ]
    arm.expect("GET", MIGRATION, json=migration())
    before = dict(os.environ)
    result = action("migration_info", WHERE, {"tenant": sign_in["tenant"]}, environment=layers)
    assert not result.get("failed") and dict(os.environ) == before


def test_the_environment_is_put_back_after_a_failure(action: Any, arm: Any, sign_in: Any) -> None:
    before = dict(os.environ)
    with pytest.raises(AnsibleActionFail):
        action("migration_info", {}, environment=[{"AZURE_TENANT": "x"}])
    assert dict(os.environ) == before


def test_workers_share_a_token_in_a_file_of_the_run(
    action: Any, arm: Any, sign_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.identity import ClientSecretCredential

    asked = []
    get_token = ClientSecretCredential.get_token

    def count(*args: Any, **options: Any) -> Any:
        asked.append(args[1:])
        return get_token(*args, **options)

    monkeypatch.setattr(ClientSecretCredential, "get_token", count)
    for _each in range(3):
        arm.expect("GET", MIGRATION, json=migration())
        assert not action("migration_info", {**sign_in, **WHERE}).get("failed")
    file = tmp_path / "pgflex-tokens.json"
    assert len(asked) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "scripted-token" in file.read_text() and sign_in["secret"] not in file.read_text()


def test_another_identity_does_not_get_the_token(action: Any, arm: Any, sign_in: Any, tmp_path: Path) -> None:
    for secret in ("one", "another"):
        arm.expect("GET", MIGRATION, json=migration())
        action("migration_info", {**sign_in, **WHERE, "secret": secret})
    assert len(json.loads((tmp_path / "pgflex-tokens.json").read_text())) == 2


def test_progress_is_shown_while_it_runs(action: Any, arm: Any, sign_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(in_process.display, "display", lines.append)
    arm.expect("GET", MIGRATION, json=migration("Succeeded"))
    action("watch", {**sign_in, "migrations": [{**WHERE, "label": "the shop"}]})
    assert lines == ["the shop: Succeeded, 0:00 elapsed"]


@pytest.mark.parametrize(
    ("option", "variable", "wanted"),
    [
        (None, None, "auto"),
        ("plain", None, "plain"),
        (None, "plain", "plain"),
        (None, trust_as_template("{{ how }}"), "live"),
        ("live", "plain", "live"),
        (None, "fancy", "auto"),
    ],
)
def test_how_progress_is_shown_is_the_options_the_variables_or_ansibles_choice(
    action: Any, arm: Any, sign_in: Any, monkeypatch: pytest.MonkeyPatch, option: Any, variable: Any, wanted: str
) -> None:
    asked: list[tuple[str, int]] = []
    warned: list[str] = []
    monkeypatch.setattr(in_process, "terminal_for", lambda said, task, hosts: asked.append((said, hosts)))
    monkeypatch.setattr(in_process.display, "warning", warned.append)
    arm.expect("GET", MIGRATION, json=migration("Succeeded"))
    args = {**sign_in, "migrations": [WHERE], **({"progress": option} if option else {})}
    variables = {"how": "live", "ansible_play_batch": ["a", "b"]}
    result = action("watch", args, {**variables, **({"pgflex_progress": variable} if variable else {})})
    assert not result.get("failed") and asked == [(wanted, 2)]
    assert warned == (["pgflex_progress is auto, plain or live, and not fancy."] if variable == "fancy" else [])


def test_all_that_a_worker_needs_is_loaded_before_it_is_forked() -> None:
    """Each import that is left to the workers is paid again for each host and task."""
    for module in ("modules.migration", "module_utils._topology.reason", "module_utils._validation.database"):
        assert f"ansible_collections.pgflex.migrate.plugins.{module}" in sys.modules
    assert {"azure.identity", "httpx", "psycopg"} <= set(sys.modules)
