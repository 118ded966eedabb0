# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own rules (CONTRIBUTING.md), counted over its source. A failure names each place."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.pgflex.migrate.plugins.module_utils._report.task_failure import SHARED

ROOT = Path(__file__).parents[3]
PLUGINS = ROOT / "plugins"
WAIT_FILE = PLUGINS / "module_utils" / "_wait.py"
CHECKS = ("ansible.builtin.assert", "ansible.builtin.fail")
TEXTS = ("DOCUMENTATION", "EXAMPLES", "RETURN")
Function = ast.FunctionDef | ast.AsyncFunctionDef

HEADER = [
    "# Copyright (c) 2026, the pgflex.migrate contributors",
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
]
FUTURE = "from __future__ import annotations"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def plugin_files() -> list[Path]:
    return sorted(PLUGINS.rglob("*.py"))


def module_files() -> list[Path]:
    return sorted((PLUGINS / "modules").glob("*.py"))


def action_modules() -> list[Path]:
    return [path for path in module_files() if not path.stem.endswith("_info")]


def info_modules() -> list[Path]:
    return [path for path in module_files() if path.stem.endswith("_info")]


def roles() -> list[Path]:
    return sorted(path for path in (ROOT / "roles").glob("*") if path.is_dir())


def functions(node: ast.AST) -> Iterator[Function]:
    return (found for found in ast.walk(node) if isinstance(found, Function))


def at(path: Path, node: ast.AST | None = None, text: str = "") -> str:
    line = f":{getattr(node, 'lineno', 0)}" if node else ""
    return f"{path.relative_to(ROOT)}{line} {text}".rstrip()


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def text_of(path: Path, name: str) -> Any:
    """The YAML of a module's DOCUMENTATION, EXAMPLES or RETURN."""
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == name for target in node.targets):
            return yaml.safe_load(ast.literal_eval(node.value))
    return None


def code_lines(path: Path) -> list[str]:
    """The lines that are neither blank nor part of the documentation."""
    texts: set[int] = set()
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in TEXTS:
            texts.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for number, line in enumerate(lines, 1) if number not in texts and line.strip()]


def called(node: ast.AST) -> str:
    """The last part of the name that a call calls."""
    target = node.func if isinstance(node, ast.Call) else None
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def none(findings: Iterable[str]) -> None:
    found = list(findings)
    assert not found, "\n" + "\n".join(found)


# What the code may do


def test_only_the_wait_file_sleeps() -> None:
    none(
        at(path, node)
        for path in plugin_files()
        if path != WAIT_FILE
        for node in ast.walk(tree(path))
        if called(node) == "sleep" or (isinstance(node, ast.ImportFrom) and any(a.name == "sleep" for a in node.names))
    )


def test_every_begun_operation_is_waited_for() -> None:
    """A poller is handed on, never dropped or asked for its result on the spot, in a file that has wait_for."""

    def dropped(node: ast.AST) -> ast.AST | None:
        return node.value if isinstance(node, ast.Expr | ast.Attribute) else None

    begun = [
        (path, node)
        for path in plugin_files()
        for node in ast.walk(tree(path))
        if called(node).startswith("begin_") or ((inner := dropped(node)) and called(inner).startswith("begin_"))
    ]
    none(at(path, node, "begun and dropped") for path, node in begun if dropped(node))
    none(at(path, node, called(node)) for path, node in begun if "wait_for" not in path.read_text(encoding="utf-8"))


def test_exceptions_are_caught_by_name() -> None:
    def is_broad(handler: ast.ExceptHandler) -> bool:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        return any(kind is None or getattr(kind, "id", "") in {"Exception", "BaseException"} for kind in kinds)

    none(
        at(path, node)
        for path in plugin_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and is_broad(node)
    )


def test_modules_leave_check_mode_to_the_base() -> None:
    none(at(path) for path in module_files() if any(re.search(r"\bcheck_mode\b", line) for line in code_lines(path)))


# What it looks like


def test_plugin_files_begin_with_licence_and_future_import() -> None:
    def header(path: Path) -> list[str]:
        lines = path.read_text(encoding="utf-8").splitlines()
        first = 1 if lines and lines[0] == "#!/usr/bin/python" else 0
        return lines[first : first + len(HEADER)]

    none(at(path) for path in plugin_files() if header(path) != HEADER)
    none(at(path) for path in plugin_files() if FUTURE not in path.read_text(encoding="utf-8").splitlines())
    none(at(path) for path in module_files() if not path.read_text(encoding="utf-8").startswith("#!/usr/bin/python\n"))


def test_functions_are_short() -> None:
    none(
        at(path, function, f"{function.name}: {length(function)} lines")
        for path in plugin_files()
        for function in functions(tree(path))
        if length(function) > 60
    )


def test_files_are_short() -> None:
    none(at(path) for path in plugin_files() if len(path.read_text(encoding="utf-8").splitlines()) > 600)


def test_modules_are_thin() -> None:
    sizes = {path: len(code_lines(path)) for path in module_files()}
    none(at(path, text=f"{size} code lines") for path, size in sizes.items() if size > 400)
    assert statistics.median([sizes[path] for path in action_modules()]) <= 110
    assert statistics.median([sizes[path] for path in info_modules()]) <= 50


def test_functions_are_typed() -> None:
    def typed(function: Function) -> bool:
        args = function.args
        named = [arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs) if arg.arg not in {"self", "cls"}]
        return function.returns is not None and all(arg.annotation is not None for arg in named)

    none(
        at(path, function, function.name)
        for path in plugin_files()
        for function in functions(tree(path))
        if not typed(function)
    )


def test_modules_share_no_copied_functions() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in module_files():
        for function in functions(tree(path)):
            if (function.end_lineno or 0) - function.body[0].lineno + 1 >= 6:
                places["".join(map(ast.dump, function.body))].append(at(path, function, function.name))
    none(" = ".join(found) for found in places.values() if len(found) > 1)


# What belongs to each module and role


def test_every_module_has_an_action_and_every_action_a_module() -> None:
    modules = {path.stem for path in module_files()}
    actions = {path.stem for path in (PLUGINS / "action").glob("*.py")}
    assert actions == modules


def test_action_group_holds_the_modules_that_sign_in() -> None:
    def signs_in(path: Path) -> bool:
        fragments = text_of(path, "DOCUMENTATION").get("extends_documentation_fragment", [])
        return any(re.fullmatch(r"pgflex\.migrate\._?azure", name) for name in fragments)

    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]
    assert groups["azure"] == sorted(path.stem for path in module_files() if signs_in(path))


def test_modules_are_documented() -> None:
    def options(documented: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for name, option in (documented or {}).items():
            yield f"{prefix}{name}", option
            yield from options(option.get("suboptions", {}), f"{prefix}{name}.")

    findings = []
    for path in module_files():
        documentation = text_of(path, "DOCUMENTATION")
        for name, option in options(documentation.get("options", {})):
            if len(" ".join(str(part) for part in [option["description"]]).split()) < 5:
                findings.append(at(path, text=f"{name}: says too little"))
        if len(text_of(path, "EXAMPLES") or []) < 3:
            findings.append(at(path, text="fewer than 3 examples"))
        fragments = documentation.get("extends_documentation_fragment", [])
        if not any("attributes" in name for name in fragments):
            findings.append(at(path, text="no attributes fragment"))
    none(findings)


def test_every_module_has_unit_tests() -> None:
    def tests(module: str) -> int:
        path = ROOT / "tests" / "unit" / "plugins" / "modules" / f"test_{module}.py"
        return sum(f.name.startswith("test") for f in functions(tree(path))) if path.exists() else 0

    none(
        at(path, text=f"{tests(path.stem)} unit tests, 6 are the least")
        for path in module_files()
        if tests(path.stem) < 6
    )


def test_every_role_has_argument_specs_and_readme() -> None:
    none(
        at(role / wanted, text="is missing")
        for role in roles()
        for wanted in ("meta/argument_specs.yml", "README.md")
        if not (role / wanted).exists()
    )


def can_fail(tasks: Any) -> Iterator[dict[str, Any]]:
    """Tasks that run a module of the collection or check something, in blocks too."""
    for task in tasks or []:
        for part in ("block", "rescue", "always"):
            yield from can_fail(task.get(part))
        if any(name.startswith("pgflex.migrate.") or name in CHECKS for name in task):
            yield task


def test_tasks_of_roles_keep_why_they_fail() -> None:
    """What a host that fails had registered is what report and fleet say of it."""
    none(
        at(path, text=f"{task['name']}: registers {task.get('register', 'nothing')}")
        for role in roles()
        for path in sorted((role / "tasks").glob("*.yml"))
        for task in can_fail(yaml.safe_load(path.read_text(encoding="utf-8")))
        if role.name != "report"
        and not str(task.get("register", "")).startswith("__")
        and task.get("register") not in SHARED
    )


def test_roles_and_playbooks_ignore_no_errors() -> None:
    none(
        at(path)
        for folder in ("roles", "playbooks")
        for path in sorted((ROOT / folder).rglob("*.yml"))
        if re.search(r"^\s*-?\s*ignore_errors:", path.read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_plays_do_not_depend_on_the_users_configuration() -> None:
    """With another strategy run_once holds no more, and one failed host may stop the others."""
    pinned = {"strategy": "ansible.builtin.linear", "any_errors_fatal": False, "gather_facts": False}
    none(
        at(path, text=f"{play['name']}: {key}")
        for path in sorted((ROOT / "playbooks").glob("*.yml"))
        for play in yaml.safe_load(path.read_text(encoding="utf-8"))
        if "ansible.builtin.import_playbook" not in play
        for key, value in pinned.items()
        if play.get(key) != value
    )


# What is in the repository


@cache
def tracked() -> tuple[tuple[Path, str], ...]:
    """The text files that git knows or would take, with their text."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    found = []
    for name in sorted(filter(None, listed.split("\0"))):
        path = ROOT / name
        if path.is_file() and b"\0" not in (data := path.read_bytes()):
            found.append((path, data.decode("utf-8")))
    return tuple(found)


def matches(pattern: str, files: Iterable[tuple[Path, str]]) -> Iterator[str]:
    for path, text in files:
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(pattern, line):
                yield f"{path.relative_to(ROOT)}:{number} {line.strip()[:100]}"


def test_no_path_of_one_machine() -> None:
    none(matches(r"(^|[^\w.-])/(work|root|farm|home/\w+)/", tracked()))


def test_no_package_registry_is_named() -> None:
    hosts = r"pypi\.org|pythonhosted\.org|deb\.debian\.org|archive\.ubuntu\.com|registry\.npmjs"
    none(matches(hosts, tracked()))


def test_nothing_is_left_to_do() -> None:
    none(matches(r"\b(TO[D]O|FIX[M]E|X{3})\b", [item for item in tracked() if item[0].name != "LICENSE"]))


def test_sanity_ignores_nothing() -> None:
    none(at(path) for path in sorted((ROOT / "tests" / "sanity").glob("ignore*")))


def test_no_test_is_marked_as_skipped_or_failing() -> None:
    pattern = r"pytest\.mark\.(skip|xfail)\b|pytest\.xfail"
    here = Path(__file__)
    none(matches(pattern, [item for item in tracked() if item[0] != here and (ROOT / "tests") in item[0].parents]))
