"""How long until a run runs, and what it holds: first and second runs, set-ups, memory of ranks.

A first run compiles its kernels, in a cache that is empty; after `meanfield warm-up` it should be
as quick as a second one. A set-up is all between the case and the first step, without the imports.
Times of the processors stand beside the wall times: on a busy machine, compare these.

    scripts/env python scripts/benchmarks/startup.py [--levels 6 7 8] [--ranks 1 2] [--warm-up]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASE = Path(__file__).parents[1] / "cases" / "clustering.toml"
SET_UP = "--of-one-rank"


def timed(command: list[str], cache: Path) -> tuple[float, float]:
    """Wall and processor time (s) of a command that keeps its kernels in ``cache``."""
    used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    wall, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def first_runs(case: Path = CASE, warm_up: bool = False) -> dict[str, tuple[float, float]]:
    """Wall and processor times of runs of a case, one after the other, from an empty cache."""
    meanfield = [sys.executable, "-m", "meanfield"]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "cache")
        cache.mkdir()
        if warm_up:
            found["warm-up"] = timed([*meanfield, "warm-up"], cache)
            found["warm-up again"] = timed([*meanfield, "warm-up"], cache)
        for name in ("first run", "second run"):
            out = str(Path(folder, name))
            found[name] = timed([*meanfield, "run", str(case), "--output", out], cache)
    return found


def set_up(level: int, ranks: int) -> list[dict[str, float]]:
    """Times (s) of the set-up and of a step, and the most memory (GB), of each rank."""
    own = [sys.executable, __file__, SET_UP, str(level)]
    launcher = [shutil.which("mpiexec") or "mpiexec", "-n", str(ranks)] if ranks > 1 else []
    told = subprocess.run([*launcher, *own], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in told.splitlines() if line.startswith("{")]


def one_rank(level: int) -> dict[str, float]:
    """The set-up of clustering.toml at another level, on this rank."""
    from meanfield.case import Case
    from meanfield.runs.tracks import make_track
    from meanfield.software import load_dolfinx, load_mpi

    load_dolfinx()
    comm = load_mpi().COMM_WORLD
    case = Case.from_toml(CASE, overrides=[f"geometry.level={level}"])
    start = time.perf_counter(), time.process_time()
    track = make_track(case, comm)
    if comm.rank == 0:
        track.about()  # what run.json tells of the mesh
    middle = time.perf_counter(), time.process_time()
    track.solver.advance(case.time.end)  # the first one loads kernels
    step = time.perf_counter()
    for _ in range(5):
        track.solver.advance(case.time.end)
    return {
        "rank": comm.rank,
        "wall": middle[0] - start[0],
        "cpu": middle[1] - start[1],
        "step": (time.perf_counter() - step) / 5,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
    }


def main() -> None:
    """Print a line for each run, and for each rank of each set-up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--levels", type=int, nargs="*", default=[6, 7, 8])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--warm-up", action="store_true", help="before the first run")
    parser.add_argument(SET_UP, type=int, metavar="LEVEL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.of_one_rank is not None:
        sys.stdout.write(json.dumps(one_rank(options.of_one_rank)) + "\n")
        return
    for name, (wall, cpu) in first_runs(warm_up=options.warm_up).items():
        print(f"{name:14s} {wall:6.2f} s, {cpu:6.2f} s of processors")
    for level in options.levels:
        for ranks in options.ranks:
            for of in sorted(set_up(level, ranks), key=lambda rank: rank["rank"]):
                print(
                    f"level {level}, rank {of['rank']:.0f} of {ranks}: set-up {of['wall']:.2f} s "
                    f"({of['cpu']:.2f} s of the processor), step {of['step']:.3f} s, "
                    f"{of['memory']:.2f} GB"
                )


if __name__ == "__main__":
    main()
