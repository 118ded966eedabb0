# SPDX-License-Identifier: GPL-3.0-or-later
"""awx/load.yml against a stand-in for awx.awx that takes what those modules take, and refuses what names nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .awx_objects import AWX, MODULES, Loaded, load, objects
from .survey_rules import survey_problems

MARKER = "Marker-Secret-4711"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not MODULES.exists():
        pytest.skip("the reference of awx.awx's modules is not on this machine")
    return tmp_path_factory.mktemp("awx")


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Loaded:
    done = load(folder, SOURCE_PASSWORD=MARKER, AZURE_SECRET=MARKER)
    assert done.code == 0, done.output
    return done


def test_takes_every_option_that_it_gives(loaded: Loaded) -> None:
    used = {call["module"] for call in loaded.calls}
    assert used == {
        "credential",
        "credential_type",
        "execution_environment",
        "inventory",
        "inventory_source",
        "job_template",
        "label",
        "organization",
        "project",
        "workflow_job_template",
        "workflow_job_template_node",
    }
    assert MARKER not in loaded.output


def test_a_second_run_changes_nothing(loaded: Loaded, folder: Path) -> None:
    again = load(folder, SOURCE_PASSWORD=MARKER, AZURE_SECRET=MARKER)
    assert again.code == 0, again.output
    assert again.changed == 0
    assert again.calls == loaded.calls


def test_a_credential_gets_what_is_exported_and_is_left_alone_afterwards(loaded: Loaded) -> None:
    (credential,) = loaded.of("credential")
    assert credential["inputs"] == {"source_password": MARKER, "secret": MARKER}
    assert (credential["state"], credential["update_secrets"]) == ("exists", False)


def test_injectors_reach_awx_unevaluated(loaded: Loaded) -> None:
    (kind,) = loaded.of("credential_type")
    assert kind["injectors"] == objects()["awx_credential_type"]["injectors"]
    assert kind["inputs"] == objects()["awx_credential_type"]["inputs"]


def test_templates_name_a_playbook_of_the_project_and_what_it_runs(loaded: Loaded) -> None:
    rows = loaded.of("job_template")
    assert len(rows) == len(objects()["awx_templates"])
    for row in rows:
        assert (AWX.parent / row["playbook"]).is_file()
        assert row["extra_vars"]["pgflex_playbook"]
        assert row["use_fact_cache"] is row["become_enabled"] is row["ask_variables_on_launch"] is False
        assert row["survey_enabled"] == bool(row["survey_spec"])
        assert not row["survey_spec"] or survey_problems(row["survey_spec"]) == []


def test_slices_are_locked_to_one_where_a_job_writes(loaded: Loaded) -> None:
    sliced = {row["name"] for row in objects()["awx_templates"] if row.get("sliced")}
    for row in loaded.of("job_template"):
        reads = row["name"] in sliced
        assert not reads or "reads" in row["labels"]
        # Templates are text on ansible-core 2.17; the module of AWX makes a number of it.
        assert int(row["job_slice_count"]) == (4 if reads else 1)
        assert row["ask_job_slice_count_on_launch"] is reads
        assert row["allow_simultaneous"] is reads
        # A sliced job that is started in check mode stays in it.
        assert row["ask_job_type_on_launch"] is not reads


def test_nodes_come_after_their_children(loaded: Loaded) -> None:
    seen: set[str] = set()
    for node in loaded.of("workflow_job_template_node"):
        for kind in ("success_nodes", "failure_nodes", "always_nodes"):
            assert set(node[kind]) <= seen
        assert ("approval_node" in node) != ("unified_job_template" in node)
        assert node["state"] == "present"
        seen.add(node["identifier"])
    assert seen == {row["identifier"] for row in objects()["awx_workflow_nodes"]}


def test_a_node_of_an_earlier_release_goes(loaded: Loaded, folder: Path) -> None:
    kept = folder / "objects.json"
    there = json.loads(kept.read_text(encoding="utf-8"))
    nodes = there["workflow_job_template_node"]
    nodes["old"] = {**nodes["migrate"], "identifier": "old"}
    nodes["another"] = {**nodes["migrate"], "identifier": "another", "workflow_job_template": "somebody else's"}
    kept.write_text(json.dumps(there), encoding="utf-8")
    again = load(folder)
    assert (again.code, again.changed) == (0, 1), again.output
    gone = [row["identifier"] for row in again.of("workflow_job_template_node") if row.get("state") == "absent"]
    assert gone == ["old"]


def test_what_differs_between_one_awx_and_another(folder: Path, tmp_path: Path) -> None:
    ours: dict[str, Any] = {
        "awx_azure_credential": "Azure of ours",
        "awx_slices": 7,
        "awx_grants": [{"role": "approval", "teams": ["DBA"], "workflows": ["pgflex migrate fleet"]}],
    }
    done = load(tmp_path, "-e", json.dumps(ours))
    assert done.code == 0, done.output
    assert {tuple(row["credentials"]) for row in done.of("job_template")} == {("pgflex servers", "Azure of ours")}
    assert {int(row["job_slice_count"]) for row in done.of("job_template")} == {1, 7}
    (source,) = done.of("inventory_source")
    assert source["credential"] == "Azure of ours"
    (grant,) = done.of("role")
    assert grant["teams"] == ["DBA"] and "users" not in grant


def test_takes_all_of_it_away_and_finds_nothing_the_second_time(loaded: Loaded, folder: Path) -> None:
    gone = load(folder, "-e", "awx_state=absent")
    assert gone.code == 0, gone.output
    left = json.loads((folder / "objects.json").read_text(encoding="utf-8"))
    # AWX takes away by itself what is in a workflow or an inventory.
    inside = {"workflow_job_template_node", "inventory_source"}
    assert {kind for kind, rows in left.items() if rows} - inside == {"organization", "label", "credential"}
    assert set(left["credential"]) == {"Azure of ours"}
    again = load(folder, "-e", "awx_state=absent")
    assert again.code == 0 and again.changed == 0, again.output


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"awx_inventory_cache": "soon"}, "is no int"),
        ({"awx_image": ["one", "two"]}, "is no str"),
        ({"awx_grants": [{"role": "king"}]}, "king"),
        ({"awx_azure_credential": "nobody's"}, "there is no credential"),
        ({"awx_state": "gone"}, "awx_state is gone; it has to be present or absent."),
    ],
)
def test_what_is_wrong_is_refused(wrong: dict[str, Any], said: str, folder: Path, tmp_path: Path) -> None:
    done = load(tmp_path, "-e", json.dumps(wrong))
    assert done.code == 2 and said in done.output
