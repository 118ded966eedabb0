# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs az commands one after the other in this process, which pays for Python's start and the CLI's imports once.

Runs in the CLI's own virtual environment. A line of standard input is a JSON list of arguments, and the line that
answers has what a process of `az` would have left behind: exit code, standard output, standard error.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import IO


def content(file: IO[str]) -> str:
    """What was written to the file's descriptor, by whatever, and empties it for the next command."""
    file.flush()
    file.seek(0)
    text = file.read()
    file.seek(0)
    file.truncate()
    return text


def main() -> None:
    commands = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)

        # The CLI takes hold of the standard streams when it is imported.
        from azure.cli.core import get_default_cli

        for line in commands:
            try:
                # One for each command: it keeps the cloud that was active when it was made.
                code = get_default_cli().invoke(json.loads(line))
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            sys.stdout.flush()
            sys.stderr.flush()
            answers.write(json.dumps({"code": code, "out": content(out), "err": content(err)}) + "\n")


if __name__ == "__main__":
    main()
