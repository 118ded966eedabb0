# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a report: when they are written, with which rights, and what is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROWS = [
    {"host": "shop", "status": "succeeded", "downtime_seconds": 12.5, "rows": 7},
    {"host": "stock", "status": "failed", "problem": "No way."},
]


@pytest.fixture
def args(tmp_path: Path) -> dict[str, Any]:
    return {"hosts": ROWS, **{kind: str(tmp_path / f"report.{kind}") for kind in ("html", "json", "csv")}}


def contents(args: dict[str, Any]) -> list[bytes]:
    return [Path(args[kind]).read_bytes() for kind in ("html", "json", "csv")]


def test_it_writes_all_three_for_their_owner_only(args: dict[str, Any], run_module: Any) -> None:
    result = run_module("report", args)
    assert result["changed"] is True
    assert result["summary"]["statuses"] == {"failed": 1, "succeeded": 1}
    assert result["summary"]["downtime"] == {"least": 12.5, "median": 12.5, "most": 12.5}
    for row in result["report"]["files"]:
        assert (row["mode"], row["path"]) == ("0600", args[row["format"]])
        assert Path(row["path"]).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in Path(args["html"]).parent.iterdir() if path.name.startswith(".")] == []


def test_a_second_run_changes_nothing_whatever_the_clock_says(args: dict[str, Any], run_module: Any) -> None:
    run_module("report", args)
    now = json.loads(Path(args["json"]).read_text())["made_at"]
    shown = f"{now[:10]} {now[11:19]}"
    for path in (Path(args["html"]), Path(args["json"])):
        text = path.read_text().replace(now, "2001-01-01T00:00:00+00:00").replace(shown, "2001-01-01 00:00:00")
        path.write_text(text)
    before = contents(args)
    again = run_module("report", args)
    assert again["changed"] is False
    assert contents(args) == before


def test_another_state_is_written(args: dict[str, Any], run_module: Any) -> None:
    run_module("report", args)
    args["hosts"] = [ROWS[0], {"host": "stock", "status": "succeeded"}]
    result = run_module("report", args, diff=True)
    assert result["changed"] is True
    digests = [[row["digest"] for row in result["diff"][side]["files"]] for side in ("before", "after")]
    assert all(before != after for before, after in zip(*digests, strict=True))
    assert b"No way." not in b"".join(contents(args))


def test_rights_that_are_too_wide_are_taken_back(args: dict[str, Any], run_module: Any) -> None:
    run_module("report", args)
    Path(args["csv"]).chmod(0o644)
    assert run_module("report", args)["changed"] is True
    assert Path(args["csv"]).stat().st_mode & 0o777 == 0o600


def test_check_mode_writes_nothing(args: dict[str, Any], run_module: Any) -> None:
    assert run_module("report", args, check_mode=True)["changed"] is True
    assert not Path(args["html"]).exists()
    run_module("report", args)
    assert run_module("report", args, check_mode=True)["changed"] is False


def test_only_the_files_that_are_named(args: dict[str, Any], run_module: Any, tmp_path: Path) -> None:
    run_module("report", {"hosts": ROWS, "csv": args["csv"]})
    assert [path.name for path in tmp_path.iterdir()] == ["report.csv"]


def test_what_only_an_earlier_run_saw_is_kept_and_may_be_dropped(args: dict[str, Any], run_module: Any) -> None:
    run_module("report", {**args, "hosts": [{**ROWS[0], "finished_at": "2026-11-21T03:00:00Z"}, ROWS[1]]})
    run_module("report", {**args, "hosts": [ROWS[0]], "other_hosts": ["stock", "new"]})
    kept = json.loads(Path(args["json"]).read_text())["hosts"]
    assert kept["shop"]["finished_at"] == "2026-11-21T03:00:00Z"
    assert kept["stock"]["problem"] == "No way." and kept["stock"]["seen_at"]
    run_module("report", {**args, "hosts": [ROWS[0]], "other_hosts": ["stock"], "keep": False})
    fresh = json.loads(Path(args["json"]).read_text())["hosts"]
    assert list(fresh) == ["shop"] and fresh["shop"]["finished_at"] == ""


def test_a_file_that_is_no_report_is_replaced(args: dict[str, Any], run_module: Any) -> None:
    Path(args["json"]).write_text('{"hosts": {"old": {}}}')
    assert run_module("report", args)["changed"] is True
    assert set(json.loads(Path(args["json"]).read_text())["hosts"]) == {"shop", "stock"}


def test_a_directory_that_is_not_there(args: dict[str, Any], run_module: Any) -> None:
    result = run_module("report", {**args, "html": "/nowhere/report.html"})
    assert result.failed and "there is no directory /nowhere" in result["msg"]
    assert not Path(args["json"]).exists()


def test_wrong_arguments(args: dict[str, Any], run_module: Any) -> None:
    assert run_module("report", {"hosts": ROWS}).failed
    assert run_module("report", {**args, "hosts": [{"status": "failed"}]}).failed
