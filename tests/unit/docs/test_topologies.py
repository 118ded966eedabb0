# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the topologies: complete, true to the playbooks and settings, and without dead ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.pgflex.migrate.plugins.module_utils._migration.settings import problems

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "topologies"
# Custom DNS servers are a setting on top of any topology, so they have a page and no playbook.
WITHOUT_PLAYBOOK = {"custom_dns"}
SECTIONS = [
    "What must be true",
    "Settings",
    "Permissions",
    "Downtime",
    "When a step fails",
    "How to undo",
]
ARROW = r"-->|-\.->|<-->|~~~"
EDGE = re.compile(rf'(\w+) (?:{ARROW})(?:\|"[^"]*"\|)? (\w+)')
NODE = re.compile(r"(\w+)[\[({]")
SUBGRAPH = re.compile(r'subgraph (\w+)\["[^"]*"\]')
CLOSING = {")": "(", "]": "[", "}": "{"}


def names() -> list[str]:
    return sorted(path.stem for path in PAGES.glob("*.md") if path.stem != "README")


@cache
def text(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def playbooks() -> Iterator[str]:
    """Those that are for one topology, or for a few."""
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        plays: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
        if any("network_expected" in (play.get("vars") or {}) for play in plays):
            yield path.stem


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(name), re.MULTILINE | re.DOTALL)


def section(name: str, title: str) -> str:
    return text(name).split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_sentence(words: str) -> str:
    """Up to the first full stop that ends a sentence."""
    joined = " ".join(words.split())
    return re.split(r"(?<=\.)(?: |$)", joined, maxsplit=1)[0]


def migrations() -> list[tuple[str, dict[str, Any]]]:
    """Each host of each inventory that a page shows."""
    found = []
    for name in names():
        for block in blocks(name, "yaml"):
            hosts = yaml.safe_load(block)["all"]["hosts"]
            found += [(name, host["pgflex"]) for host in hosts.values()]
    return found


@cache
def documented() -> dict[str, Any]:
    specs = yaml.safe_load((ROOT / "roles/settings/meta/argument_specs.yml").read_text(encoding="utf-8"))
    options: dict[str, Any] = specs["argument_specs"]["check"]["options"]["pgflex"]["options"]
    return options


def wrong_keys(given: dict[str, Any], options: dict[str, Any], path: str = "pgflex") -> Iterator[str]:
    """Settings that the role does not know, or whose value it would refuse."""
    for key, value in given.items():
        option = options.get(key)
        if option is None:
            yield f"{path}.{key} is unknown"
        elif isinstance(value, dict) and "options" in option:
            yield from wrong_keys(value, option["options"], f"{path}.{key}")
        elif "choices" in option and value not in option["choices"]:
            yield f"{path}.{key} may not be {value!r}"


def unbalanced(line: str) -> str | None:
    """The bracket that is wrong in a line of a diagram, outside its quotes."""
    if line.count('"') % 2:
        return '"'
    bare = re.sub(rf'"[^"]*"|{ARROW}', "", line)
    waiting: list[str] = []
    for sign in bare:
        if sign in CLOSING.values():
            waiting.append(sign)
        elif sign in CLOSING and (not waiting or waiting.pop() != CLOSING[sign]):
            return sign
    return waiting[-1] if waiting else None


def diagram_problems(block: str) -> list[str]:
    first, *lines = [line.strip() for line in block.splitlines() if line.strip()]
    found = [] if re.fullmatch(r"flowchart (LR|RL|TB|TD|BT)", first) else [f"starts with {first!r}"]
    found += [f"{sign} is unbalanced in {line!r}" for line in lines if (sign := unbalanced(line))]
    edges = [match for line in lines if (match := EDGE.fullmatch(line))]
    groups = [match[1] for line in lines if (match := SUBGRAPH.fullmatch(line))]
    nodes = [match[1] for line in lines if (match := NODE.match(line)) and not EDGE.fullmatch(line)]
    declared = [*groups, *nodes]
    used = {end for edge in edges for end in edge.groups()}
    found += [f"{name} is used and not declared" for name in sorted(used - set(declared))]
    found += [f"{name} is declared more than once" for name in sorted(set(declared)) if declared.count(name) > 1]
    if len(groups) != lines.count("end"):
        found.append(f"{len(groups)} subgraphs and {lines.count('end')} ends")
    known = len(edges) + len(groups) + len(nodes) + lines.count("end")
    if known != len(lines):
        found.append(f"{len(lines) - known} lines are neither node, edge nor subgraph")
    return found if edges else [*found, "has no edge"]


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def link_problems(name: str) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", text(name)):
        if link.startswith("https://"):
            continue
        file, _hash, anchor = link.partition("#")
        path = (PAGES / file).resolve() if file else PAGES / f"{name}.md"
        if not path.is_file():
            yield f"{link} leads to no file"
        elif anchor and anchor not in anchors(path):
            yield f"{link} leads to no heading"


def test_every_topology_has_a_playbook_and_a_page():
    assert set(names()) - WITHOUT_PLAYBOOK == set(playbooks())
    assert set(names()) >= WITHOUT_PLAYBOOK


@pytest.mark.parametrize("name", sorted(playbooks()))
def test_page_and_playbook_begin_with_the_same_sentence(name):
    lines = (ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8").splitlines()
    header = next(line for line in lines if line.startswith("# ")).removeprefix("# ")
    title, paragraph = text(name).split("\n\n", 2)[:2]
    assert title.startswith("# ")
    assert first_sentence(paragraph) == first_sentence(header)


@pytest.mark.parametrize("name", names())
def test_page_has_every_section_in_order(name):
    found = re.findall(r"^## (.+)$", text(name), re.MULTILINE)
    assert found[: len(SECTIONS)] == SECTIONS
    assert text(name).index("```mermaid") < text(name).index(f"## {SECTIONS[0]}")


@pytest.mark.parametrize("name", names())
def test_page_says_how_to_run_and_to_undo(name):
    playbook = "migrate" if name in WITHOUT_PLAYBOOK else name
    assert f"pgflex.migrate.{playbook} --check --diff" in section(name, "Settings")
    assert "603000" in section(name, "When a step fails")
    assert "Offline:" in section(name, "Downtime") and "Online:" in section(name, "Downtime")
    undo = section(name, "How to undo")
    assert "pgflex.migrate.rollback" in undo and "pgflex.network.remove" in undo and "After the cutover" in undo


@pytest.mark.parametrize("name", names())
def test_page_tells_what_is_made_from_what_is_yours(name):
    must = section(name, "What must be true")
    assert "- *Yours" in must and "*made*" in must.lower()


@pytest.mark.parametrize(("name", "pgflex"), migrations())
def test_inventory_is_right(name, pgflex):
    assert problems(pgflex) == []
    assert list(wrong_keys(pgflex, documented())) == []


@pytest.mark.parametrize("name", names())
def test_page_shows_an_inventory(name):
    assert name in {page for page, _pgflex in migrations()}
    assert all(block in section(name, "Settings") for block in blocks(name, "yaml"))


@pytest.mark.parametrize("name", names())
def test_settings_named_in_the_text_exist(name):
    for setting in re.findall(r"`pgflex\.((?!migrate\.)[a-z_.]+)[`:]", text(name)):
        options = documented()
        for part in setting.split("."):
            assert part in options, f"pgflex.{setting}"
            options = options[part].get("options") or {}


@pytest.mark.parametrize("name", names())
def test_diagram_is_one(name):
    found = blocks(name, "mermaid")
    assert len(found) == 1
    assert diagram_problems(found[0]) == []


@pytest.mark.parametrize("name", names())
def test_diagram_shows_both_generations(name):
    (diagram,) = blocks(name, "mermaid")
    assert "classic" in diagram and "current" in diagram


@pytest.mark.parametrize("name", [*names(), "README"])
def test_links_lead_somewhere(name):
    assert list(link_problems(name)) == []


@pytest.mark.parametrize("name", [*names(), "README"])
def test_lines_are_short_and_plain(name):
    lines = [line for line in text(name).splitlines() if not line.startswith("|")]
    assert max(len(line) for line in lines) <= 120
    assert not {"\N{EM DASH}", "\N{EN DASH}", "\N{NO-BREAK SPACE}"} & set(text(name))


def test_overview_leads_to_every_page():
    assert [name for name in names() if f"]({name}.md" not in text("README")] == []


@pytest.mark.parametrize(
    ("diagram", "problem"),
    [
        ('graph LR\na["x"]\na --> a', "starts with"),
        ('flowchart LR\na["x"\na --> a', "unbalanced"),
        ('flowchart LR\na[("x"])\na --> a', "unbalanced"),
        ('flowchart LR\na["x]\na --> a', "unbalanced"),
        ('flowchart LR\na["x"]\na --> b', "not declared"),
        ('flowchart LR\na["x"]\na("y")\na --> a', "more than once"),
        ('flowchart LR\nsubgraph g["x"]\na["x"]\na --> g', "1 subgraphs and 0 ends"),
        ('flowchart LR\na["x"]\na -> a', "neither node"),
        ('flowchart LR\na["x"]', "no edge"),
    ],
)
def test_a_broken_diagram_is_found(diagram, problem):
    assert problem in " ".join(diagram_problems(diagram))


def test_a_wrong_setting_is_found():
    given = {"source": {"hots": "db1"}, "mode": "now", "tags": {"any": "thing"}}
    assert list(wrong_keys(given, documented())) == ["pgflex.source.hots is unknown", "pgflex.mode may not be 'now'"]
