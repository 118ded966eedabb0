# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that awx/load.yml makes: complete, true to the playbooks and roles, and without dead ends."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible_collections.pgflex.migrate.plugins.filter.answers import YES_OR_NO
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .awx_objects import AWX, ROOT, objects, settings_of_a_host, spec_of
from .survey_rules import meaning_problems, survey_problems

CHOICE: dict[str, Any] = {
    "question_name": "A?",
    "variable": "pgflex__cutover__trigger",
    "type": "multiplechoice",
    "choices": "as in the inventory\nmanual",
    "default": "as in the inventory",
    "required": True,
}
# What a playbook that is started by hand is told by; everything else is a setting of a host, or of a role.
OF_RUN = {"pgflex_playbook", "pgflex_hosts"}


def templates() -> list[dict[str, Any]]:
    """The rows of awx_templates with what they share laid under them, as tasks/present.yml does."""
    found = objects()
    shared = {name: found[name] for name in ("awx_template_migrate",)}
    shared["awx_template_topology"] = {**found["awx_template_migrate"], "labels": ["writes", "topology"]}
    rows = []
    for row in found["awx_templates"]:
        (name,) = re.findall(r"\{\{ (\w+) \}\}", row.get("template", "{{ none }}"))
        rows.append({"survey": [], **shared.get(name, {}), **row})
    return rows


def nodes() -> dict[str, dict[str, Any]]:
    return {row["identifier"]: row for row in objects()["awx_workflow_nodes"]}


def children(node: dict[str, Any]) -> list[str]:
    return [name for kind in ("success", "failure", "always") for name in node.get(kind, [])]


def survey(names: list[str]) -> dict[str, Any]:
    return {"name": "", "description": "", "spec": [objects()["awx_questions"][name] for name in names]}


def test_every_playbook_has_a_template_and_every_template_a_playbook() -> None:
    there = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    assert {row["playbook"] for row in templates()} == there, "add a row to awx/objects/templates.yml"


def test_names_are_unique() -> None:
    names = [row["name"] for row in templates()] + [objects()["awx_workflow"]["name"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", templates(), ids=lambda row: row["name"])
def test_surveys_are_what_awx_takes_and_settings_can_be(row: dict[str, Any]) -> None:
    assert not row["survey"] or survey_problems(survey(row["survey"])) == []


def test_the_workflow_survey_is_what_awx_takes() -> None:
    assert survey_problems(survey(objects()["awx_workflow"]["survey"])) == []


@pytest.mark.parametrize("name", objects()["awx_questions"])
def test_questions_set_what_there_is(name: str) -> None:
    question = objects()["awx_questions"][name]
    if question["variable"] not in OF_RUN:
        assert meaning_problems(question, spec_of(question["variable"])) == []


def test_every_question_is_asked_somewhere() -> None:
    asked = {name for row in templates() for name in row["survey"]} | set(objects()["awx_workflow"]["survey"])
    assert asked == set(objects()["awx_questions"])


def test_remedies_are_all_that_there_are() -> None:
    choices = objects()["awx_questions"]["remedies"]["choices"].splitlines()
    assert choices == settings_of_a_host()["preflight"]["options"]["remedies"]["choices"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "choice"}, "no type choice"),
        ({"required": None}, "required has to be"),
        ({"variable": "pgflex.mode"}, "variable's name"),
        ({"variable": None}, "variable has to be text"),
        ({"choices": ""}, "nothing to choose"),
        ({"choices": ["manual"]}, "nothing to choose"),
        ({"default": "never"}, "none of the choices"),
        ({"default": "as in the inventory\nmanual"}, "none of the choices"),
        ({"type": "text"}, "choices are for"),
        ({"type": "password", "choices": None, "default": "x"}, "no default"),
        ({"type": "integer", "choices": None, "default": "5"}, "no integer"),
        ({"type": "integer", "choices": None, "default": True}, "no integer"),
        ({"type": "integer", "choices": None, "default": 5, "max": 4}, "outside"),
        ({"type": "text", "choices": None, "default": "x", "min": 2}, "outside"),
        ({"min": 0.5}, "min has to be"),
        ({"setting": "x"}, "setting is nothing"),
    ],
)
def test_survey_rules_find_what_awx_refuses(change: dict[str, Any], said: str) -> None:
    (problem,) = survey_problems({"name": "", "description": "", "spec": [{**CHOICE, **change}]})
    assert said in problem


def test_survey_rules_of_the_whole() -> None:
    assert survey_problems({"name": "", "description": "", "spec": []}) == ["spec has to be a list of questions"]
    assert survey_problems({"description": "", "spec": [CHOICE]}) == ["name has to be text"]
    twice = survey_problems({"name": "", "description": "", "spec": [CHOICE, CHOICE]})
    assert twice == ["pgflex__cutover__trigger is asked twice"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"variable": "pgflex__cutover__triger"}, "no role reads"),
        ({"variable": "validate_agian"}, "no role reads"),
        ({"choices": "as in the inventory\nnever"}, "nothing that the setting can be"),
        ({"variable": "pgflex__overwrite", "choices": "as in the inventory\ntrue"}, "nothing that the setting can be"),
        ({"default": "manual"}, "overrule"),
        ({"variable": "pgflex__mode", "choices": "as in the inventory\nonline"}, "name follows"),
        ({"variable": "pgflex__migration_name", "type": "text", "choices": None}, "name follows"),
        ({"variable": "pgflex__source__password", "type": "text", "choices": None}, "type password"),
        ({"variable": "pgflex__watch__timeout", "type": "text", "choices": None}, "can not be answered"),
    ],
)
def test_meaning_rules_find_what_no_setting_can_be(change: dict[str, Any], said: str) -> None:
    question = {**CHOICE, **change}
    (problem,) = meaning_problems(question, spec_of(question["variable"]))
    assert said in problem


def test_only_what_writes_nothing_is_sliced() -> None:
    for row in templates():
        if row.get("sliced"):
            assert row["playbook"] == "status" or row.get("job_type") == "check", row["name"]
            assert row["labels"] == ["reads"]
        else:
            assert "writes" in row["labels"] or row["playbook"] == "report", row["name"]


def test_credential_type_is_what_awx_takes() -> None:
    kind = objects()["awx_credential_type"]
    fields = kind["inputs"]["fields"]
    ids = [field["id"] for field in fields]
    assert len(ids) == len(set(ids)) and "tower" not in ids
    for field in fields:
        assert set(field) <= {"id", "label", "type", "secret", "help_text", "multiline", "choices", "default"}
        assert field["id"].isidentifier() and field["label"] and field["type"] in ("string", "boolean")
        assert bool(field.get("secret")) == ("password" in field["id"] or "secret" in field["id"])
        assert not (field.get("secret") and "default" in field)
    assert set(kind["inputs"]["required"]) <= set(ids)
    assert kind["kind"] in ("cloud", "net")


def test_injectors_use_the_inputs_and_all_of_them() -> None:
    kind = objects()["awx_credential_type"]
    values = {field["id"]: f"value of {field['id']}" for field in kind["inputs"]["fields"]}
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    # ansible-runner writes the environment down among a job's artifacts.
    assert set(kind["injectors"]) == {"extra_vars"}
    flat: dict[str, str] = {}
    for name, template in kind["injectors"]["extra_vars"].items():
        flat |= (
            {f"{name}.{key}": text for key, text in template.items()}
            if isinstance(template, dict)
            else {name: template}
        )
    assert sorted(environment.from_string(text).render(values) for text in flat.values()) == sorted(values.values())
    fragment = (ROOT / "plugins" / "doc_fragments" / "_azure.py").read_text(encoding="utf-8")
    for name in kind["injectors"]["extra_vars"]["pgflex_awx_azure"]:
        assert f"\n  {name}:" in fragment
    assert set(kind["injectors"]["extra_vars"]["pgflex_awx_app"]) <= set(settings_of_a_host()["app"]["options"])
    # An extra variable would beat the inventory, also where a field is empty.
    assert not {"pgflex", "pgflex_azure"} & set(kind["injectors"]["extra_vars"])


def test_what_run_takes_from_the_credential_is_what_the_credential_gives() -> None:
    text = (AWX / "run.yml").read_text(encoding="utf-8")
    used = set(re.findall(r"\b(pgflex_\w+) \|", text)) - OF_RUN - {"pgflex_azure"}
    assert used == set(objects()["awx_credential_type"]["injectors"]["extra_vars"])


def test_variables_of_the_workflow_are_settings() -> None:
    for name in objects()["awx_workflow"]["extra_vars"]:
        assert spec_of(name) is not None, name


def test_the_workflow_migrates_and_cuts_over_as_a_fleet() -> None:
    rows = {row["name"]: row for row in templates()}
    migrate, cutover = (rows[nodes()[name]["template"]] for name in ("migrate", "cutover"))
    assert migrate["playbook"] == cutover["playbook"] == "fleet"
    assert cutover["extra_vars"] == {"cutover_now": True} and "extra_vars" not in migrate
    # The workflow's own variables decide about the cutover.
    assert set(migrate["survey"]) - {"trigger"} == set(objects()["awx_workflow"]["survey"]) <= set(cutover["survey"])


def test_what_templates_give_is_what_roles_take() -> None:
    for row in templates():
        for name in row.get("extra_vars", {}) if isinstance(row.get("extra_vars"), dict) else {}:
            assert spec_of(name) is not None, row["name"]


def test_the_cutover_is_approved_while_azure_keeps_the_migrations() -> None:
    hours = objects()["awx_cutover_approval_timeout"] / 3600
    assert 0 < hours < 72


def test_workflow_nodes_name_what_there_is() -> None:
    known = {row["name"] for row in templates()} | {"{{ awx_inventory }}", "{{ awx_inventory_project }}"}
    for node in nodes().values():
        assert ("template" in node) != ("approval" in node), node["identifier"]
        assert node.get("template", "{{ awx_inventory }}") in known
        assert set(children(node)) <= set(nodes())
        # AWX takes a child once only, and `always` excludes the two others.
        assert len(children(node)) == len(set(children(node)))
        assert not (node.get("always") and (node.get("success") or node.get("failure")))
    assert len(nodes()) == len(objects()["awx_workflow_nodes"])


def test_workflow_has_one_beginning_no_circle_and_an_end_for_every_path() -> None:
    rows = nodes()
    below = {child for node in rows.values() for child in children(node)}
    assert [name for name in rows if name not in below] == ["project"]
    # Otherwise the sync of the inventory would read the project as it was synced last.
    assert rows["project"]["template"] == "{{ awx_inventory_project }}" and rows["project"]["success"] == ["inventory"]
    # Parents come first in the file, so load.yml, which goes the other way, finds every child made.
    order = list(rows)
    for name, node in rows.items():
        assert all(order.index(child) > order.index(name) for child in children(node)), name
    ends = {name for name, node in rows.items() if not children(node)}
    assert ends == {"finish", "cancel"}


def test_nothing_is_written_before_an_approval() -> None:
    rows, seen = nodes(), set()
    approved = [("project", False)]
    writing = {row["name"] for row in templates() if "writes" in row["labels"]}
    while approved:
        name, after = approved.pop()
        seen.add(name)
        if rows[name].get("template") in writing:
            assert after, name
        # Each approval is for the next job that writes, not for all that follow.
        now = "approval" in rows[name] or (after and rows[name].get("template") not in writing)
        approved += [(child, now) for child in children(rows[name])]
    assert seen == set(rows)


def test_a_workflow_job_can_be_started_without_anybody_there_to_answer() -> None:
    surveys = {row["name"]: row["survey"] for row in templates()}
    for node in nodes().values():
        for name in surveys.get(node.get("template", ""), []):
            question = objects()["awx_questions"][name]
            assert "default" in question or not question["required"], (node["identifier"], name)


def test_no_file_holds_a_secret() -> None:
    for path in AWX.rglob("*.yml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            found = re.search(r"(?:password|secret|token): +(\S.*)$", line, re.IGNORECASE)
            assert not found or "{{" in found.group(1) or found.group(1) == "true", f"{path.name}: {line}"


def test_release_branch_image_and_requirement_are_of_this_version() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    settings = objects()
    assert settings["awx_project_branch"] == version
    assert settings["awx_image"].endswith(f":{version}")
    (wanted,) = yaml.safe_load((AWX / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    assert wanted["name"] == "pgflex.migrate" and f">={version.split('.')[0]}.0.0" in wanted["version"]


def test_defaults_of_questions_are_those_of_the_roles() -> None:
    words = {**YES_OR_NO, "": None}
    for question in objects()["awx_questions"].values():
        if not question["variable"].startswith(("pgflex_",)):
            default = question["default"]
            assert words.get(default, default) == spec_of(question["variable"])["default"], question["variable"]


def test_what_undoes_asks_for_which_hosts() -> None:
    for row in templates():
        if row["playbook"] in ("rollback", "settle"):
            assert row["survey"][0] == "hosts"
            assert "default" not in objects()["awx_questions"]["hosts"]


def test_hosts_are_what_every_playbook_is_told_by() -> None:
    for path in (ROOT / "playbooks").glob("*.yml"):
        for play in yaml.safe_load(path.read_text(encoding="utf-8")):
            assert "import_playbook" in "".join(play) or "pgflex_hosts" in play["hosts"], path.name
