# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs no server: the rules' table and its documentation, versions, lists, and what a person gets to read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pgflex.migrate.plugins.filter.preflight import FilterModule
from ansible_collections.pgflex.migrate.plugins.module_utils._errors import ModuleFailure
from ansible_collections.pgflex.migrate.plugins.module_utils._postgres import Server
from ansible_collections.pgflex.migrate.plugins.module_utils._preflight import look as preflight
from ansible_collections.pgflex.migrate.plugins.module_utils._preflight import resource, rules
from ansible_collections.pgflex.migrate.plugins.module_utils._preflight.extensions import lacking
from ansible_collections.pgflex.migrate.plugins.module_utils._preflight.remedies import Planner
from ansible_collections.pgflex.migrate.plugins.module_utils._preflight.schema import plain_locale
from ansible_collections.pgflex.migrate.plugins.module_utils._preflight.steps import Step, without
from ansible_collections.pgflex.migrate.plugins.module_utils._preflight.table import fleet, table
from ansible_collections.pgflex.migrate.plugins.module_utils._preflight.versions import PIECES, piece

ROOT = Path(__file__).parents[5]


def job(**more: Any) -> rules.Job:
    sides = {side: Server(side, f"{side}.example.org", "mover") for side in ("source", "target")}
    return rules.Job(**{**sides, "databases": ("shop",), **more})


def row(rule: rules.Rule) -> str:
    only = ", ".join(filter(None, (rule.mode, rule.generation)))
    cells = (
        rule.code or "",
        f"`{rule.name}`",
        rule.severity,
        rule.side,
        f"{rule.what} ({only} only)" if only else rule.what,
        rule.remedy,
        f"`{rule.can_apply}`" if rule.can_apply else "",
    )
    return f"| {' | '.join(cells)} |"


def test_every_rule_is_documented_as_it_is() -> None:
    text = (ROOT / "docs" / "PREFLIGHT.md").read_text(encoding="utf-8")
    documented = [line for line in text.splitlines() if re.match(r"\|\s*(\d{6})?\s*\| `", line)]
    assert sorted(documented) == sorted(map(row, rules.RULES.values()))


@pytest.mark.parametrize("rule", rules.RULES.values(), ids=lambda rule: rule.name)
def test_rules_are_whole(rule: rules.Rule) -> None:
    assert rule.severity in rules.SEVERITIES and rule.scope in (rules.PLAN, rules.SERVER, rules.DATABASE, rules.AZURE)
    assert rule.side in (rules.SOURCE, rules.TARGET) and rule.mode in (None, "online", "offline")
    assert rule.what and not rule.what.endswith(".") and rule.remedy.endswith(".")
    assert rule.can_apply is None or rule.can_apply in rules.REMEDIES
    assert rule.code is None or re.fullmatch(r"603\d{3}", rule.code)


def test_every_theme_is_loaded() -> None:
    folder = ROOT / "plugins" / "module_utils" / "_preflight"
    themes = {path.stem for path in folder.glob("*.py") if "@rule(" in path.read_text(encoding="utf-8")}
    assert themes == {theme.__name__.rsplit(".", 1)[-1] for theme in preflight.THEMES}


def test_every_remedy_is_some_rules_and_has_a_plan() -> None:
    assert {rule.can_apply for rule in rules.RULES.values()} - {None} == set(rules.REMEDIES)
    assert all(callable(getattr(Planner, name)) for name in rules.REMEDIES)


def test_the_references_codes_are_all_looked_for() -> None:
    reference = ROOT.parent / "shared" / "reference" / "preflight-rules.md"
    if not reference.exists():
        pytest.skip("the reference is not on this machine")
    codes = set(re.findall(r"603\d{3}", reference.read_text(encoding="utf-8")))
    documented = set(re.findall(r"603\d{3}", (ROOT / "docs" / "PREFLIGHT.md").read_text(encoding="utf-8")))
    assert codes - documented == set()


@pytest.mark.parametrize("name", PIECES)
def test_pieces_of_sql_go_from_new_to_old_and_hold_for_every_version(name: str) -> None:
    since = [version for version, _text in PIECES[name]]
    assert since == sorted(since, reverse=True) and since[-1] == 0
    assert piece(name, 180000) == PIECES[name][0][1] and piece(name, 90500)


def test_modes_and_generations_choose_the_rules() -> None:
    def names(**more: Any) -> set[str]:
        return {name for name, rule in rules.RULES.items() if rule.applies(job(**more))}

    assert "wal_level" in names(mode="online") and "wal_level" not in names(mode="offline")
    assert "writable_source" in names(mode="offline") and "writable_source" not in names(mode="online")
    assert "over_a_terabyte" in names(generation="classic") and "over_a_terabyte" not in names()


def test_without_the_other_server_rules_that_compare_are_not_asked() -> None:
    asked = [rule.name for rule in preflight.rules_for(job(), rules.SERVER, rules.SOURCE, both=False)]
    assert "not_owner" in asked and "target_older" not in asked


def test_many_hits_are_counted() -> None:
    def check(look: rules.Look) -> list[rules.Hit]:
        return [rules.Hit(str(n), "no.") for n in range(25)]

    rule = rules.Rule("many", check, None, "source", "server", "warns", "many", "Less.", "timeouts")
    found = rule.findings(rules.Look(job(), {}, rules.AzureFacts(), "source"))
    assert len(found) == 21 and found[-1].message == "5 more of the same." and found[0].can_apply == "timeouts"


def test_lists_of_parameters() -> None:
    assert lacking("hstore, PG_TRGM", ["pg_trgm", "citext"]) == ["citext"]
    assert lacking("", ["citext"]) == ["citext"] and lacking(None, ["citext"]) == []
    step = Step("allow_extensions", "parameter", "target", None, "azure.extensions", "hstore", "hstore,citext")
    assert without(step, "hstore,citext,postgis") == "hstore,postgis" and without(step, "hstore") == "hstore"


def test_locales_are_one_in_both_spellings() -> None:
    assert plain_locale("en_US.UTF-8") == plain_locale("en_US.utf8") != plain_locale("de_DE.utf8")


@pytest.mark.parametrize(
    ("host", "count"), [("::1", 1), ("127.0.0.1", 0), ("no-such-host.invalid", 0), ("localhost", 0)]
)
def test_a_host_without_ipv4(host: str, count: int) -> None:
    asked = job(source=Server("source", host, "mover"))
    look = rules.Look(asked, {}, rules.AzureFacts(), "source")
    assert len(list(resource.only_ipv6(look))) == count


def test_versions_are_called_by_their_names() -> None:
    names = [rules.Facts(version, "mover", False).major for version in (90624, 100023, 180000)]
    assert names == ["9.6", "10", "18"]


def test_a_stored_change_has_to_be_whole() -> None:
    step = Step("timeouts", "role_setting", "source", None, "mover.statement_timeout", None, "0")
    assert Step.from_result(step.as_result()) == step
    for broken in ({"kind": "shell"}, {"side": "elsewhere"}):
        with pytest.raises(ModuleFailure, match=r"preflight\.previous|known kind"):
            Step.from_result({**step.as_result(), **broken})


def finding(severity: str = "blocks", **more: Any) -> dict[str, Any]:
    plain = rules.Finding("603107", "wal_level", severity, "source", "shop", "wal_level", "It is not.", "Set it.")
    return {**plain.as_result(), **more}


def test_the_table_is_readable_in_80_columns() -> None:
    long = finding(message="word " * 60, database="a-database-with-a-rather-long-name", can_apply="timeouts")
    lines = table([finding(), long, finding("informs", code=None, database=None)])
    # Indented by 8, quoted, with a comma, as the task debug shows them.
    assert all(len(line) + 11 <= 80 and line == line.rstrip() for line in lines)
    assert lines[2].split() == ["blocks", "603107", "source", "shop", "It", "is", "not."]
    assert lines[3].strip() == "> Set it." and lines.count(lines[3]) == 3
    assert lines[-1] == "2 blocking, 0 warnings, 1 note"
    text = " ".join(line[33:].strip() for line in lines)
    assert text.count("word") == 60
    assert "> pgflex.preflight.remedies: [timeouts] does it." in " ".join(text.split())


def test_a_table_without_findings_is_a_sentence() -> None:
    assert FilterModule().filters()["preflight_table"]([]) == [
        "Nothing was found that stands in the way of the migration."
    ]


def test_the_fleet_goes_or_does_not() -> None:
    fine = preflight.summary([])
    bad = {**fine, "blocks": 2, "findings": [finding(), finding(code=None, rule="no_key"), finding()]}
    lines = FilterModule().filters()["preflight_summary"]({"shop": fine, "a-long-name": bad, "gone": None})
    assert lines[1] == "a-long-name  NO-GO         2      0        0  603107, no_key"
    assert lines[2].endswith("it failed before the preflight") and lines[3].split()[:2] == ["shop", "GO"]
    tried = "They are tried all the same; pgflex.preflight.strict stops them."
    failed = "1 of 3 hosts failed before the preflight: gone."
    assert lines[-3:] == [failed, "1 of 3 hosts has blocking findings: a-long-name.", tried]
    stopped = FilterModule().filters()["preflight_summary"]({"shop": bad, "stock": bad}, ["stock"])
    assert stopped[-2:] == ["2 of 2 hosts have blocking findings: shop, stock.", "pgflex.preflight.strict stops stock."]
    assert fleet({"shop": fine})[-1] == "1 of 1 host can be migrated."
