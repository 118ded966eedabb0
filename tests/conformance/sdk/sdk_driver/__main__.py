# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m sdk_driver PART...: a JSON line for each operation."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    for part in sys.argv[1:]:
        for judge in importlib.import_module(f"sdk_driver.{part}").judges():
            for operation, failure in judge.results:
                line = {
                    "client": judge.distribution,
                    "version": judge.version,
                    "operation": operation,
                    "failure": failure,
                }
                print(json.dumps(line), flush=True)


main()
