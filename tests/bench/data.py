# SPDX-License-Identifier: GPL-3.0-or-later
"""How long moving and comparing a database takes, next to what people would type instead.

`make bench-data [SIZES="1 5"] [RUNS=3] [MAJOR=15]`. Nothing here fails because something is slow.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from dataset import DATABASE, load
from measure import BenchError, Meter, Taken, module, run
from writing import Writer

from postgres_versions.cluster import PASSWORD, SUPERUSER, Cluster, Home
from postgres_versions.programs import client_programs

JOBS = 2
# Otherwise the servers are as PostgreSQL makes them, but for fsync and what replication needs.
SETTINGS = {"full_page_writes": "on", "synchronous_commit": "on"}
ENVIRONMENT = {"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD, "PGSSLMODE": "disable", "LC_ALL": "C.UTF-8"}
SECONDS_UNDER_LOAD = 5


class Bench:
    def __init__(self, home: Home, major: int, gigabytes: float) -> None:
        self.source, self.target = (Cluster(home, major, name, SETTINGS) for name in ("source", "target"))
        for cluster in (self.source, self.target):
            cluster.create()
        self.home = home
        self.numbers = count(1)
        self.programs = client_programs(major)
        self.bytes = load(self.source, gigabytes)
        for cluster in (self.source, self.target):
            with cluster.connect("postgres") as connection:
                connection.execute("GRANT pg_write_all_data, pg_read_all_data TO mover")

    def close(self) -> None:
        for cluster in (self.source, self.target):
            cluster.stop("immediate")

    def where(self, cluster: Cluster, database: str = DATABASE) -> list[str]:
        return ["-h", cluster.host, "-p", str(cluster.port), "-U", SUPERUSER, "-d", database]

    def options(self) -> dict[str, Any]:
        return {"source": self.source.options(SUPERUSER), "target": self.target.options(SUPERUSER)}

    def empty_target(self) -> None:
        self.target.recreate_database(DATABASE, owner=SUPERUSER)
        with self.target.connect() as connection:
            connection.execute("CHECKPOINT")

    def custom_format(self, _taken: Taken) -> None:
        dump = subprocess.Popen(
            [self.programs / "pg_dump", "-Fc", *self.where(self.source)], stdout=subprocess.PIPE, env=ENVIRONMENT
        )
        run([self.programs / "pg_restore", *self.where(self.target)], ENVIRONMENT, stdin=dump.stdout)
        if dump.wait():
            raise BenchError("pg_dump failed")

    def directory_format(self, _taken: Taken) -> None:
        directory = self.home.path / "dump"
        try:
            run([self.programs / "pg_dump", "-Fd", f"-j{JOBS}", "-f", directory, *self.where(self.source)], ENVIRONMENT)
            run([self.programs / "pg_restore", f"-j{JOBS}", *self.where(self.target), directory], ENVIRONMENT)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def pgcopydb(self, _taken: Taken) -> None:
        program = shutil.which("pgcopydb")
        if program is None:
            raise BenchError("it is not installed: apt-get install pgcopydb")
        work = self.home.path / "pgcopydb"
        uris = [
            f"postgres://{SUPERUSER}@{cluster.host}:{cluster.port}/{DATABASE}" for cluster in (self.source, self.target)
        ]
        jobs = ["--table-jobs", str(JOBS), "--index-jobs", str(JOBS)]
        try:
            run(
                [program, "clone", "--source", uris[0], "--target", uris[1], "--dir", work, *jobs],
                {**ENVIRONMENT, "HOME": str(self.home.path)},
            )
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def direct_copy(self, taken: Taken) -> None:
        # A name that has succeeded is done: each run is a copy of its own.
        name = f"bench-{next(self.numbers)}"
        args = {**self.options(), "name": name, "databases": [DATABASE], "jobs": JOBS, "overwrite": True}
        module("direct_copy", args, taken)

    def validation(self, taken: Taken) -> None:
        found = module("data_validation", {**self.options(), "databases": [DATABASE], "jobs": JOBS}, taken)
        taken.remark = f"{found['validation']['rows']} rows equal"

    def measured(self, work: Callable[[Taken], None], runs: int, *, fresh: bool = True) -> Taken:
        each: list[Taken] = []
        for _run in range(runs):
            if fresh:
                self.empty_target()
            meter = Meter((self.source, self.target))
            with meter.running() as taken:
                work(taken)
            each.append(taken)
        middle = Taken(statistics.median(t.wall for t in each), statistics.median(t.cpu for t in each))
        peaks = [taken.peak_megabytes for taken in each if taken.peak_megabytes is not None]
        middle.peak_megabytes = max(peaks, default=None)
        middle.remark = each[-1].remark
        return middle

    def online(self) -> str:
        """An online copy under writes; validates what came of it, and says how long nobody could write."""
        self.empty_target()
        args = {**self.options(), "name": "online"}
        began: dict[str, Any] = {"databases": [DATABASE], "jobs": JOBS, "mode": "online", "overwrite": True}
        with Writer(self.source, self.target) as writer:
            try:
                module("direct_copy", {**args, **began})
                writer.stop.wait(SECONDS_UNDER_LOAD)
                taken = Taken()
                module("direct_copy_cutover", args, taken)
            finally:
                writer.may_move.set()
                writer.stop.set()
        found = module(
            "data_validation", {**self.options(), "databases": [DATABASE], "exclude_tables": ["public.probe"]}
        )
        rows = found["validation"]["rows"]
        return (
            f"downtime {writer.downtime:.2f} s under {writer.rate:.0f} writes/s ({writer.written} writes), "
            f"{rows} rows equal afterwards, {taken.peak_megabytes:.0f} MB"
        )


def table(bench: Bench, runs: int) -> None:
    copies = {
        "pg_dump -Fc | pg_restore": bench.custom_format,
        f"pg_dump -Fd -j{JOBS}, pg_restore -j{JOBS}": bench.directory_format,
        "pgcopydb clone": bench.pgcopydb,
        "direct_copy offline": bench.direct_copy,
    }
    rows: dict[str, Taken] = {}
    for name, work in copies.items():
        try:
            rows[name] = bench.measured(work, runs)
        except BenchError as error:
            print(f"  {name:<34} {error}", flush=True)
    best = min((row.wall for row in rows.values()), default=0.0)
    try:
        rows["data_validation"] = bench.measured(bench.validation, runs, fresh=False)
    except BenchError as error:
        print(f"  data_validation                    {error}")
    print(f"  {'':<34} {'wall s':>8} {'CPU s':>8} {'to the fastest':>15} {'peak MB':>8}")
    for name, row in rows.items():
        peak = f"{row.peak_megabytes:.0f}" if row.peak_megabytes is not None else ""
        print(
            f"  {name:<34} {row.wall:8.1f} {row.cpu:8.1f} {row.wall / best:14.2f}x {peak:>8}  {row.remark}", flush=True
        )
    try:
        print(f"  {'online cutover':<34} {bench.online()}", flush=True)
    except BenchError as error:
        print(f"  {'online cutover':<34} {error}")


def main() -> None:
    # Ended from outside it still stops its servers and takes its files away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    major = int(os.environ.get("MAJOR") or 15)
    for size in (os.environ.get("SIZES") or "1 5").split():
        runs = int(os.environ.get("RUNS") or (1 if float(size) >= 5 else 3))
        home = Home()
        bench = None
        try:
            bench = Bench(home, major, float(size))
            busy = Path("/proc/loadavg").read_text().split()[0]
            print(f"PostgreSQL {major}, {bench.bytes / 1e9:.2f} GB, median of {runs}, load average {busy}", flush=True)
            table(bench, runs)
        finally:
            if bench is not None:
                bench.close()
            home.remove()


if __name__ == "__main__":
    main()
