# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m pgflex_lab start | run | stop | status | env | reset`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pgflex_lab import process
from pgflex_lab.clusters import ClusterError, remove_leftovers
from pgflex_lab.postgres_programs import ProgramFailed
from pgflex_lab.seed_networks import InvalidSeed
from pgflex_lab.settings import Settings, seed_path


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="pgflex_lab", description="A stand-in for Azure on loopback.")
    made.add_argument("command", choices=("start", "run", "stop", "status", "env", "reset"))
    made.add_argument("--home", type=Path, help="directory of this lab (PGFLEX_LAB_HOME)")
    made.add_argument("--seed", type=seed_path, help="name or file of the start state (PGFLEX_LAB_SEED)")
    made.add_argument(
        "--time-scale", type=float, help="how many of Azure's seconds go into one (PGFLEX_LAB_TIME_SCALE)"
    )
    made.add_argument("--port", type=int, help="port of ARM, Entra and Graph; 0 takes a free one (PGFLEX_LAB_PORT)")
    made.add_argument("--proxy-port", type=int, help="port of the CONNECT proxy (PGFLEX_LAB_PROXY_PORT)")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    settings = Settings.from_env(
        home=given.home.absolute() if given.home else None,
        seed=given.seed,
        time_scale=given.time_scale,
        port=given.port,
        proxy_port=given.proxy_port,
    )
    commands = {"start": start, "run": run, "stop": stop, "status": status, "env": show_env, "reset": reset}
    try:
        return commands[given.command](settings)
    except (process.LabFailed, InvalidSeed, ClusterError, ProgramFailed, OSError, ValueError) as error:
        print(f"pgflex_lab: {error}", file=sys.stderr)
        return 1


def start(settings: Settings) -> int:
    found = process.find(settings.home)
    if found is not None:
        print(f"# already running at {found.url} (pid {found.pid})")
    else:
        found = process.start(settings)
        print(f"# running at {found.url} (pid {found.pid}), proxy {found.proxy}, files in {settings.home}")
    print(found.environment_text(), end="")
    return 0


def run(settings: Settings) -> int:
    from pgflex_lab.server import run as serve

    process.prepare_home(settings.home)
    if process.find(settings.home) is not None:
        raise process.LabFailed(f"a lab runs in {settings.home} already")
    serve(settings, None)
    return 0


def stop(settings: Settings) -> int:
    found = process.find(settings.home)
    if found is not None:
        process.stop(found)
    # After a crash the clusters outlive the lab.
    remove_leftovers(settings)
    print("# stopped" if found else "# not running")
    return 0


def status(settings: Settings) -> int:
    found = process.find(settings.home)
    print(f"# running at {found.url} (pid {found.pid})" if found else "# not running")
    return 0 if found else 3


def show_env(settings: Settings) -> int:
    print(_required(settings).environment_text(), end="")
    return 0


def reset(settings: Settings) -> int:
    _required(settings).admin("POST", "reset", {"seed": str(settings.seed)})
    print("# reset")
    return 0


def _required(settings: Settings) -> process.Running:
    found = process.find(settings.home)
    if found is None:
        raise process.LabFailed(f"no lab runs in {settings.home}; start one first")
    return found


if __name__ == "__main__":
    sys.exit(main())
