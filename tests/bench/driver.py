# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one module of the collection in a process of its own: what it takes is then this process's, and nobody else's.

Reads {"module": name, "args": {...}} from standard input, so that no password is in its arguments.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.pgflex.migrate.plugins.module_utils._base import Runtime


def main() -> None:
    asked = json.load(sys.stdin)
    module = importlib.import_module(f"ansible_collections.pgflex.migrate.plugins.modules.{asked['module']}")
    validator = ArgumentSpecValidator(module.SPEC.options, **module.SPEC.constraints())
    checked = validator.validate(asked["args"])
    if checked.error_messages:
        result = {"failed": True, "msg": "; ".join(checked.error_messages)}
    else:
        result = module.MODULE(Runtime(params=checked.validated_parameters)).run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    json.dump({"result": result, "peak_kilobytes": peak}, sys.stdout, default=str)


if __name__ == "__main__":
    main()
