# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills the home folder that ansible-test's sanity run gets.

usage: sanity_home.py FOLDER

ansible-test makes virtual environments without pip and fetches pip's bootstrap script from a server of its own; Python
brings the same along. And it hides the caller's environment from pip, so pip's settings have to be in a file.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

from ansible_test._internal.python_requirements import get_venv_packages
from ansible_test._util.target.common.constants import CONTROLLER_PYTHON_VERSIONS

BOOTSTRAP = """\
import ensurepip
ensurepip.bootstrap(default_pip=True)
"""


class _Python:
    """As much of ansible-test's PythonConfig as its table of packages asks for."""

    def __init__(self, version: str) -> None:
        self.version = version


def write_bootstrap(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    for version in CONTROLLER_PYTHON_VERSIONS:
        pip = get_venv_packages(_Python(version))["pip"].replace(".", "_")
        (cache / f"get_pip_{pip}.py").write_text(BOOTSTRAP, encoding="utf-8")


def write_pip_settings(path: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    settings = RawConfigParser()
    for line in listed.splitlines():
        name, value = line.split("=", 1)
        section, key = name.rsplit(".", 1)
        # Settings from the environment are listed last, as they win.
        section = "global" if section == ":env:" else section
        if not settings.has_section(section):
            settings.add_section(section)
        settings.set(section, key, str(ast.literal_eval(value)))
    path.parent.mkdir(parents=True, exist_ok=True)
    # An index's address can hold a password.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        settings.write(file)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    home = Path(sys.argv[1])
    write_bootstrap(home / ".ansible" / "test" / "cache")
    write_pip_settings(home / ".config" / "pip" / "pip.conf")


if __name__ == "__main__":
    main()
