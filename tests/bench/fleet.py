# SPDX-License-Identifier: GPL-3.0-or-later
"""What many migrations cost the machine that Ansible runs on, beside a shell script of az commands for the same work.

`make bench-fleet [SIZES="1 10 100"] [EMPTY=1000] [AZ="1 10"]`. EMPTY migrations only validate, and copy no data.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from fleet_world import INTERVAL, SECONDS_A_REQUEST, Fleet, FleetError, Run, World

from pgflex_lab.testing import TIME_SCALE, running_lab

MOST_REQUESTS = 20
LEAST_RATIO = 10
MOST_MEGABYTES = 500
# What the whole of the tree may be late or early by, as the lab's clock sees it.
JITTER = 0.3
HEADER = (
    f"{'migrations':>10} {'with':<13} {'CPU s':>8} {'each':>7} {'wall s':>7} {'requests':>9} {'polls':>7} {'MB':>5}"
)
SIMULATED = f"""Simulated: Azure is the lab, each request takes {SECONDS_A_REQUEST:g} s, a second stands for
{TIME_SCALE:g} of Azure's. Each migration has two servers in Azure; behind all sources is one PostgreSQL cluster, behind
all targets another. With data: a database of two tables for each migration, moved and compared. Without: option
Validate, which copies nothing.
CPU: user and system of the command and all it starts, without lab and PostgreSQL. Requests and polls are those of one
migration; polls are looks at it after it was made, requests all others but the sign-in. MB: the most memory at one
time, a page that processes share counted once.
fleet: the playbook, in rounds of 8 where no option says otherwise.
az: the requests of a migration, each asked once, then show every {INTERVAL} s until the end. It neither looks into the
databases nor compares them."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 10, 100])
    parser.add_argument("--empty", type=int, default=1000, help="migrations without data; 0 for none")
    parser.add_argument("--az", type=int, nargs="*", default=[1, 10])
    parser.add_argument("--playbook", default="fleet", help="the one that migrates, without pgflex.migrate.")
    parser.add_argument("--kinds", action="store_true", help="what was asked for, by kind")
    parser.add_argument("--profile", action="store_true", help="what each task cost")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="for ansible-playbook")
    return parser.parse_args()


def line(count: int, what: str, run: Run) -> str:
    used, asked = run.used, run.asked
    return (
        f"{count:>10} {what:<13} {used.cpu:>8.1f} {used.cpu / count:>7.2f} {used.wall:>7.1f} "
        f"{asked.requests / count:>9.1f} {asked.polls / count:>7.1f} {used.megabytes:>5.0f}"
    )


def tasks(profile: Path, count: int) -> str:
    """The tasks by what they cost for each migration, in milliseconds: Ansible itself, its workers."""
    rows = [row.split(maxsplit=3) for row in profile.read_text().splitlines()]
    costs = [(float(own) + float(workers), float(own), float(workers), name) for own, workers, _wall, name in rows]
    ordered = sorted(costs, reverse=True)
    return "\n".join(
        f"{'':>10} {1000 * own / count:7.1f} {1000 * workers / count:7.1f}  {name}"
        for _all, own, workers, name in ordered
    )


class Bench:
    def __init__(self, world: World, options: argparse.Namespace) -> None:
        self.world, self.options = world, options
        self.az_each: dict[int, float] = {}
        self.met = True

    def run(self) -> bool:
        print(SIMULATED, HEADER, sep="\n\n")
        for count in self.options.az:
            made, waited = self.world.shell_script(Fleet(f"az{count}-", count, data=True))
            self.az_each[count] = (made.used.cpu + waited.used.cpu) / count
            print(line(count, "az", made), line(count, "az, waits", waited), sep="\n", flush=True)
        for count in self.options.sizes:
            self.playbook(Fleet(f"data{count}-", count, data=True))
        if self.options.empty:
            self.playbook(Fleet(f"empty{self.options.empty}-", self.options.empty, data=False))
        return self.met

    def playbook(self, fleet: Fleet) -> None:
        profile = self.world.folder / f"{fleet.prefix}tasks" if self.options.profile else None
        run = self.world.playbook(fleet, self.options.playbook, *self.options.options, profile=profile)
        print(line(fleet.count, self.options.playbook if fleet.data else "no data", run), flush=True)
        if self.options.kinds:
            for kind, times in run.asked.work.most_common():
                print(f"{'':>10}   {times / fleet.count:6.2f} {kind}")
        if profile:
            print(tasks(profile, fleet.count))
        self.judge(fleet, run)

    def judge(self, fleet: Fleet, run: Run) -> None:
        each = run.used.cpu / fleet.count
        if self.az_each:
            known = fleet.count in self.az_each
            az = self.az_each[fleet.count if known else max(self.az_each)]
            guess = "" if known else f" (extrapolated from {max(self.az_each)})"
            self.expect(
                az / each >= LEAST_RATIO, f"az takes {az / each:.1f} times the CPU{guess}, {LEAST_RATIO} wanted"
            )
        requests = run.asked.requests / fleet.count
        self.expect(requests <= MOST_REQUESTS, f"{requests:.1f} requests a migration, at most {MOST_REQUESTS} wanted")
        between = run.asked.least_between
        if between is not None:
            self.expect(between >= INTERVAL - JITTER, f"{between:.1f} s between two looks, {INTERVAL} wanted")
        self.expect(run.used.megabytes < MOST_MEGABYTES, f"{run.used.megabytes:.0f} MB, under {MOST_MEGABYTES} wanted")

    def expect(self, good: bool, sentence: str) -> None:
        self.met = self.met and good
        print(f"{'':>10} {'ok ' if good else 'NOT'} {sentence}", flush=True)


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="pgflex-bench-") as folder, running_lab() as lab:
        try:
            return 0 if Bench(World(lab, Path(folder)), options).run() else 1
        except FleetError as error:
            print(error)
            return 2


if __name__ == "__main__":
    sys.exit(main())
