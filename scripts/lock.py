# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/requirements/constraints.txt: what dev.txt installs today, for several Pythons in one file.

usage: lock.py PYTHON [PYTHON ...]      the interpreters to lock for, such as python3.11 python3.12
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "tests" / "requirements"
HEADER = """\
# Written by `make lock`; what `make venv` installs exactly.
# A marker stands where the Pythons locked for ({pythons}) have different versions.
"""


def frozen(python: str) -> tuple[str, dict[str, str]]:
    """The interpreter's version as 3.x, and the packages that a new virtual environment of it gets."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip"]
        subprocess.run([*pip, "install", "-qq", "-r", REQUIREMENTS / "dev.txt"], check=True)
        listed = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout
        version = subprocess.run(
            [f"{folder}/bin/python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    return version, dict(line.split("==", 1) for line in listed.splitlines() if "==" in line)


def order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def lines(name: str, locked: dict[str, dict[str, str]]) -> list[str]:
    """One line for the package where all Pythons agree, else one for each run of Pythons that do."""
    pythons = list(locked)
    runs: list[tuple[str | None, list[str]]] = []
    for python in pythons:
        version = locked[python].get(name)
        if runs and runs[-1][0] == version:
            runs[-1][1].append(python)
        else:
            runs.append((version, [python]))
    result = []
    for version, members in runs:
        if version is None:
            continue
        bounds = []
        if members[0] != pythons[0]:
            bounds.append(f'python_version >= "{members[0]}"')
        if members[-1] != pythons[-1]:
            after = pythons[pythons.index(members[-1]) + 1]
            bounds.append(f'python_version < "{after}"')
        marker = f"; {' and '.join(bounds)}" if bounds else ""
        result.append(f"{name}=={version}{marker}")
    return result


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    locked = dict(sorted(map(frozen, sys.argv[1:]), key=lambda pair: order(pair[0])))
    names = sorted({name for packages in locked.values() for name in packages}, key=str.lower)
    body = [line for name in names for line in lines(name, locked)]
    text = HEADER.format(pythons=", ".join(locked)) + "\n".join(body) + "\n"
    (REQUIREMENTS / "constraints.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
