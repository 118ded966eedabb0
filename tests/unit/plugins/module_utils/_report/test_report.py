# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows from facts, and their texts: what is said, what is escaped, and what is never in there."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.module_utils._report.gather import reports
from ansible_collections.pgflex.migrate.plugins.module_utils._report.html import COLUMNS, as_html
from ansible_collections.pgflex.migrate.plugins.module_utils._report.merge import earlier_rows, merged
from ansible_collections.pgflex.migrate.plugins.module_utils._report.row import EMPTY, row_of
from ansible_collections.pgflex.migrate.plugins.module_utils._report.text import as_csv, as_json, summary
from ansible_collections.pgflex.migrate.plugins.module_utils._report.words import duration, moment, size, span

from .worlds import (
    FINDING,
    MADE_AT,
    MARKER,
    NASTY,
    facts,
    failed,
    given,
    migration,
    nasty,
    settings,
    states,
    validation,
)

VOID = {"meta", "br", "link", "input", "hr", "img"}


class Page(HTMLParser):
    """What a page is made of; fails on a tag that is not closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.heads: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def texts(rows: list[dict[str, Any]]) -> list[str]:
    return [as_html(rows, "Fleet", MADE_AT), as_json(rows, "Fleet", MADE_AT), as_csv(rows)]


def look(known: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        known = known.get(name) if isinstance(known, dict) else None
    return known


def test_a_migration_that_went_well() -> None:
    row = row_of(facts(), "shop")
    assert set(row) == set(EMPTY)
    assert (row["status"], row["problem"], row["remedy"]) == ("succeeded", "", "")
    # It is seen before it begins with a database.
    assert (row["started_at"], row["ended_at"]) == ("2026-11-21T02:00:00.000+00:00", "2026-11-21T03:12:00.7654321Z")
    assert (row["seconds"], row["copy_seconds"], row["estimate_seconds"]) == (4320.8, 3600.0, 2100.0)
    assert (row["downtime_seconds"], row["rows"], row["bytes"]) == (210.0, 5300, 50_000_000_000)
    assert row["connection_strings"] == {"shop": "postgresql://boss@shop-flex.example.org:5432/shop?sslmode=require"}
    assert row["changes"] == [
        {"text": "Target parameter work_mem: 4096 became 8192.", "put_back": True},
        {"text": "Peering of hub and spoke.", "put_back": False},
        {"text": "The source's databases shop were made read-only.", "put_back": False},
    ]


def test_a_direct_copy_has_the_downtime_that_its_cutover_measured() -> None:
    known = facts(cutover={"finished_at": "2026-11-21T03:12:00Z", "downtime_seconds": "1.3"})
    row = row_of(known, "shop")
    assert row["downtime_seconds"] == 1.3
    (kept,) = merged([row_of(facts(cutover=None), "shop")], earlier_rows(as_json([row], "F", MADE_AT)), [])
    assert kept["downtime_seconds"] == 1.3


def offline(**more: Any) -> dict[str, Any]:
    """One that prepares for three minutes, and whose end is looked for a minute too late."""
    known = facts(cutover=None, states=[*states(2), {**states()[-1], "at": "2026-11-21T03:13:00+00:00"}], **more)
    known["settings"]["mode"] = "offline"
    known["migration"]["databases"][0]["started_on"] = "2026-11-21T02:03:01Z"
    return known


def test_the_source_of_an_offline_migration_is_at_rest_all_the_time() -> None:
    row = row_of(offline(), "shop")
    assert row["started_at"] == row["states"][0]["at"]
    assert row["downtime_seconds"] == row["seconds"] == 4320.8
    # Neither is longer than the whole.
    assert row["copy_seconds"] == 4140.8
    seen = row_of(offline(read_only_since="2026-11-21T01:59:00Z"), "shop")
    assert (seen["downtime_seconds"], seen["seconds"]) == (4380.8, 4320.8)

    later = row_of(offline() | {"states": [{**states()[-1], "at": "2026-11-22T08:00:00+00:00"}]}, "shop")
    (kept,) = merged([later], earlier_rows(as_json([seen], "F", MADE_AT)), [])
    assert kept == seen


@pytest.mark.parametrize(
    ("more", "status", "message", "remedy"),
    [
        ({"validation": validation(equal=False)}, "differs", "1 table differs", "validate_again"),
        ({"migration": migration(state="Canceled")}, "canceled", "no reason", "another pgflex.migration_name"),
        (
            {
                "result": {"outcome": "waiting"},
                "migration": migration(
                    state="WaitingForUserAction", substate="WaitingForTargetDBOverwriteConfirmation"
                ),
            },
            "waiting",
            "leave to overwrite",
            "pgflex.overwrite",
        ),
        (
            {
                "result": {"outcome": "ready"},
                "migration": migration(state="WaitingForUserAction", substate="WaitingForCutoverTrigger"),
            },
            "ready",
            "",
            "pgflex.migrate.cutover",
        ),
        (
            {
                "result": {"outcome": "timeout", "message": "Not there."},
                "migration": migration(state="InProgress", substate="MigratingData"),
            },
            "running",
            "Not there.",
            "go on watching",
        ),
        (
            {"failure": {"message": "No rights. Get them.", "hint": "Get them.", "task": "Do it"}},
            "failed",
            "The migration succeeded; after it: No rights.",
            "Get them.",
        ),
    ],
)
def test_how_it_stands_and_what_to_do(more: dict[str, Any], status: str, message: str, remedy: str) -> None:
    row = row_of(facts(**more), "shop")
    assert row["status"] == status
    assert message in row["problem"] and remedy in row["remedy"]


def test_a_failure_of_the_service_gets_the_remedy_of_the_preflight() -> None:
    row = row_of(failed(), "shop")
    assert row["status"] == "failed" and row["problem"] == "603107: wal_level is replica."
    assert row["remedy"].startswith(FINDING["remedy"]) and "another pgflex.migration_name" in row["remedy"]
    assert row["downtime_seconds"] is None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, True),
        ({"mode": "online"}, False),
        ({"option": "Validate"}, False),
        ({"cutover": {"source_read_only": False}}, False),
    ],
)
def test_it_says_that_the_applications_can_not_write(more: dict[str, Any], told: bool) -> None:
    known = settings(**{"mode": "offline", **more})
    ended = row_of(failed(settings=known), "shop")["remedy"]
    refused = row_of({"settings": known, "failure": {"message": "No."}, "read_only_since": MADE_AT}, "shop")["remedy"]
    early = row_of({"settings": known, "failure": {"message": "No."}}, "shop")["remedy"]
    assert ["The source is read-only until then" in remedy for remedy in (ended, refused, early)] == [told, told, False]


def test_a_host_that_knows_nothing() -> None:
    row = row_of({"failure": {"message": "pgflex.target is missing."}}, "shop")
    assert (row["status"], row["problem"]) == ("failed", "pgflex.target is missing.")
    assert row_of({}, "shop")["status"] == "not started"
    assert len(texts([row, row_of({}, "other")])) == 3


def test_hosts_with_the_same_files_share_a_report() -> None:
    night = {"html": "/n.html", "json": "/n.json"}
    omitted = {"html": object(), "json": f"__omit_place_holder__{'0' * 40}", "csv": ""}
    variables = {
        "a": {"pgflex": given(report=night), "settings_run": facts()["settings"]},
        "b": {"pgflex": given(report={**night, "csv": None})},
        "c": {"pgflex": {"source": {"name": "x"}}},
        "d": {"pgflex": given(report=omitted)},
        "e": {"pgflex": given(report={**omitted, "json": "/e.json"})},
    }
    found = reports(variables, ["a", "b", "c", "d", "e"], ["b"], {"csv": "/rest.csv"}, look)
    assert [{**report, "hosts": [row["host"] for row in report["hosts"]]} for report in found] == [
        {**night, "hosts": ["a", "b"]},
        {"csv": "/rest.csv", "hosts": ["c", "d"]},
        {"json": "/e.json", "hosts": ["e"]},
    ]
    stopped = found[0]["hosts"][1]
    assert stopped["status"] == "failed" and "whose output says why" in stopped["problem"]
    assert stopped["source"]["name"] == "shop-single"


def test_a_host_with_several_migrations_is_one_row() -> None:
    kept = {**row_of(facts(), "a"), "databases": ["stock"], "status": "succeeded"}
    known = {"pgflex": given(report={"json": "/r.json"}, databases=["stock", "shop"]), "report_parts": [kept]}
    (report,) = reports({"a": {**known, "settings_run": facts()["settings"]}}, ["a"], [], {}, look)
    (row,) = report["hosts"]
    assert (row["databases"], row["status"]) == (["stock", "shop"], "not started")


def test_a_host_that_stopped_says_what_its_roles_had_found() -> None:
    missing = [{"message": "vnet1 has no gateway.", "remedy": "by_hand"}, {"message": "no", "remedy": "apply"}]
    known = {"pgflex": given(report={"json": "/r.json"}), "network_topology": {"missing": missing}}
    (report,) = reports({"a": known}, ["a"], ["a"], {}, look)
    assert report["hosts"][0]["problem"] == "vnet1 has no gateway."
    failure = {"failed": True, "msg": "There is no server x. Check it.", "failure": {"hint": "Check it."}}
    (report,) = reports({"a": {**known, "__settings_source": failure}}, ["a"], ["a"], {}, look)
    assert (report["hosts"][0]["problem"], report["hosts"][0]["remedy"]) == ("There is no server x.", "Check it.")


def test_no_secret_is_in_any_text() -> None:
    known = failed(secrets=[f"{MARKER}-azure"])
    known["migration"]["error"] = f"password {MARKER}-target of boss and {MARKER}-azure refused"
    known["result"]["message"] = known["migration"]["error"]
    known["failure"] = {"message": f"{MARKER}-app", "hint": MARKER, "task": MARKER}
    variables = {
        "a": {
            "pgflex": given(report={"html": "/x"}),
            "pgflex_azure": {"secret": f"{MARKER}-azure"},
            "identity_app": {"client_secret": f"{MARKER}-made"},
            "settings_run": known["settings"],
            "report_failure": {"message": f"{MARKER}-made and {MARKER}"},
        }
    }
    (report,) = reports(variables, ["a"], [], {}, look)
    for text in [*texts([row_of(known, "shop")]), *texts(report["hosts"])]:
        assert MARKER not in text and "********" in text


def test_names_can_not_break_out_of_the_page() -> None:
    text = as_html([nasty()], NASTY, MADE_AT)
    page = Page(text)
    assert len(page.named("script")) == 1
    assert "alert('x')" in "".join(page.words)
    assert all(not name.startswith("on") for _tag, attributes in page.tags for name in attributes)
    assert "\x00" not in text and "\x1b" not in text


def test_the_page_needs_nothing_else_and_has_its_headers() -> None:
    page = Page(as_html([row_of(facts(), "shop"), row_of(failed(), "stock"), nasty()], "Fleet", MADE_AT))
    for tag, attributes in page.tags:
        assert not {"src", "srcset", "action", "style"} & set(attributes), tag
        assert tag not in ("link", "img", "iframe", "form", "object")
        assert (attributes.get("href") or "#").startswith("#")
    ids = [attributes["id"] for _tag, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {href[1:] for attributes in page.named("a") if (href := attributes.get("href"))}
    assert targets <= set(ids)
    for attributes in page.named("th"):
        assert attributes["scope"] in ("col", "row")
    named = [table for table in page.named("table") if "aria-labelledby" in table]
    assert len(page.named("table")) == len(named) + len(page.named("caption"))
    assert page.named("html")[0]["lang"] == "en"
    words = " ".join(page.words)
    told = (
        "In short",
        "Over time",
        "1:12:00 h",
        "35:00 min",
        "3:30 min",
        "equal, 2 tables",
        "Peering of hub and spoke",
    )
    for said in (*told, "Succeeded / Completed", "Public access to both servers. Migrates from"):
        assert said in words, said
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", as_html([row_of(facts(), "shop")], "F", MADE_AT))


def test_what_asks_for_somebody_is_before_ones_eyes() -> None:
    rows = [row_of(failed(), f"stock{place}") for place in range(11)]
    rows += [row_of(facts(validation=validation(equal=False)), "billing"), row_of(facts(), "shop")]
    page = Page(as_html(rows, "Fleet", MADE_AT))
    assert COLUMNS[:3] == ("Host", "State", "Problem and remedy")
    assert ["open" in each for each in page.named("details")] == [True] * 10 + [False] * 3
    assert len([tile for tile in page.named("div") if tile.get("class") == "b"]) == 2


def test_the_legend_has_what_is_drawn_in_the_order_of_time() -> None:
    def legend(*rows: dict[str, Any]) -> list[str | None]:
        page = Page(as_html(list(rows), "Fleet", MADE_AT))
        return [drawn["class"] for drawn in page.named("rect") if drawn.get("width") == "14"]

    assert legend(row_of(failed(), "stock")) == ["p", "c"]
    assert legend(row_of(facts(), "shop"), row_of(facts(states=[]), "orders")) == ["p", "c", "w1", "x", "r", "d"]


def test_one_downtime_is_no_spread_and_an_old_validation_has_its_time() -> None:
    row = row_of(facts(validation=None), "shop") | {"validated_at": "2026-11-21T03:15:00Z"}
    words = " ".join(Page(as_html([row], "Fleet", MADE_AT)).words)
    assert "3:30 min 1 migration" in words and "equal, 2026-11-21 03:15" in words
    (line,) = csv.DictReader(io.StringIO(as_csv([row]).removeprefix("\ufeff")))
    times = [line[key] for key in ("started_at", "ended_at", "read_only_since", "finished_at", "validated_at")]
    assert times == [f"2026-11-21 {at}" for at in ("02:00:00", "03:12:00", "03:09:00", "03:12:30", "03:15:00")]


def test_the_timeline_has_a_bar_for_each_state_and_the_downtime() -> None:
    page = Page(as_html([row_of(facts(), "shop")], "Fleet", MADE_AT))
    bars = [attributes for attributes in page.named("rect") if "%" in (attributes.get("x") or "")]
    assert [drawn["class"] for drawn in bars] == ["p", "c", "w1", "x", "d"]
    x = [float((drawn["x"] or "").rstrip("%")) for drawn in bars]
    ends = [round(x[place] + float((drawn["width"] or "").rstrip("%")), 1) for place, drawn in enumerate(bars)]
    assert x == sorted(x[:4]) + x[4:] and ends[-1] == 100.0


def test_a_migration_whose_states_nobody_saw_is_one_bar() -> None:
    page = Page(as_html([row_of(facts(states=[states()[-1]]), "shop")], "Fleet", MADE_AT))
    assert [drawn["class"] for drawn in page.named("rect") if "%" in (drawn.get("x") or "")] == ["r", "d"]


def test_the_csv_holds_no_formula() -> None:
    text = as_csv([nasty(), {**EMPTY, "host": "-1+1", "problem": "@SUM(1)", "remedy": "\t=1"}])
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert rows[1]["host"] == "'-1+1" and rows[1]["problem"] == "'@SUM(1)" and rows[1]["remedy"] == "'\t=1"
    first = re.compile(r"^[ \t\r]*[=+\-@]")
    assert not [cell for row in rows for cell in row.values() if first.match(cell)]


def test_the_json_has_its_version_and_the_fleets_numbers() -> None:
    rows = [row_of(facts(), "shop"), row_of(failed(), "stock")]
    document = json.loads(as_json(rows, "Fleet", MADE_AT))
    assert (document["schema"], document["version"], document["made_at"]) == ("pgflex.migrate.report", 1, MADE_AT)
    assert document["hosts"]["shop"] == rows[0]
    assert document["summary"] == summary(rows)
    assert document["summary"]["downtime"] == {"least": 210.0, "median": 210.0, "most": 210.0}
    assert document["summary"]["statuses"] == {"failed": 1, "succeeded": 1}
    assert (
        json.loads(as_json([{**EMPTY, "host": "a\ud800"}], "x", "")) and as_csv([{**EMPTY, "host": "\ud800"}]).encode()
    )


def test_a_later_run_keeps_what_only_the_first_saw() -> None:
    first = row_of(facts(), "shop")
    later = [{**states()[-1], "at": "2026-11-22T08:00:00+00:00"}]
    second = row_of(facts(states=later, cutover=None, validation=None, preflight=None), "shop")
    (row,) = merged([second], earlier_rows(as_json([first], "F", MADE_AT)), [])
    assert row == first
    moved = {**second, "migration_id": "another"}
    assert merged([moved], earlier_rows(as_json([first], "F", MADE_AT)), []) == [moved]
    assert earlier_rows("[]") == earlier_rows("no") == earlier_rows('{"schema": "other"}') == {}


def test_a_run_with_a_limit_keeps_the_others() -> None:
    rows = {name: row_of(facts(), name) for name in ("a", "b", "gone")}
    found = merged([rows["a"]], rows, ["a", "b"])
    assert [row["host"] for row in found] == ["a", "b"]


def test_words() -> None:
    assert [size(number) for number in (None, 0, 999, 1500, 4.2e9, 123e9)] == [
        "\u2013",
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "4.2 GB",
        "123 GB",
    ]
    assert [duration(seconds) for seconds in (None, 0.8, 75, 3723)] == ["\u2013", "0.8 s", "1:15 min", "1:02:03 h"]
    assert span("2026-11-21T02:00Z", "2026-11-21T03:00Z") == "2026-11-21 02:00 to 03:00"
    assert moment("nonsense") is None and moment("2026-11-21T02:00:00") == moment("2026-11-21T03:00:00+01:00")


@pytest.mark.parametrize("number", [1, 8])
def test_a_thousand_hosts_stay_small_and_quick(number: int) -> None:
    rows = [row_of(failed() if place % 10 == 0 else facts(), f"shop-{place:04}") for place in range(1000)]
    for row in rows:
        row["preflight"]["findings"] = [FINDING] * 4 * number
        row["progress"] *= number
        if row["validation"]:
            row["validation"]["databases"] *= number
    before = time.process_time()
    page, document, table = texts(rows)
    assert time.process_time() - before < 6
    assert len(page.encode()) < 5_000_000 and len(table.splitlines()) == 1001
    assert len(json.loads(document)["hosts"]) == 1000


def test_a_browser_runs_its_script_and_fits_it_on_a_telephone(tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("neither Chromium nor Chrome is installed")
    rows = [row_of(facts(), "shop"), row_of(failed(), "stock"), nasty()]
    (tmp_path / "report.html").write_text(as_html(rows, "Fleet", MADE_AT), encoding="utf-8")
    # Headless Chromium makes no window as narrow as a telephone, a frame it does.
    (tmp_path / "phone.html").write_text(
        '<iframe id="f" src="report.html" style="width:390px;height:800px;border:0"></iframe><p id="w"></p><script>'
        'document.getElementById("f").onload = function () { var page = this.contentDocument;'
        'document.getElementById("w").textContent = page.documentElement.scrollWidth + " " + '
        'page.querySelectorAll("thead button").length; };</script>'
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
    command = [browser, *options, f"--user-data-dir={tmp_path}/profile", f"file://{tmp_path}/phone.html"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = re.search(r'<p id="w">(\d+) 11</p>', done.stdout)
    assert found and int(found[1]) <= 390, done.stdout
