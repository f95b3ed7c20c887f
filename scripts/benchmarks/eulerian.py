"""The Eulerian solver: solve time, split and error on the standard density, memory by level.

scripts/env python scripts/benchmarks/eulerian.py [--levels 5 6] [--end 1 4] [--repeat 3]
scripts/env python scripts/benchmarks/eulerian.py --levels 5 6 7 8 --steps 10
"""

from __future__ import annotations

import argparse
import resource
import time
import tomllib
from pathlib import Path

import numpy as np

from meanfield.case import Eulerian
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.space import P1Space
from meanfield.geometry.laws import standard_density
from meanfield.geometry.mesh import icosphere
from meanfield.interaction.attention import Attention

_DATA = Path(__file__).parents[2] / "tests" / "data" / "standard_sa.toml"
STANDARD_SA = tomllib.loads(_DATA.read_text("utf-8"))["points"]


def main() -> None:
    """Print one line for each level and end time (or for each level with ``--steps``)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--levels", type=int, nargs="+", default=[5, 6])
    parser.add_argument("--end", type=float, nargs="+", default=[1.0, 4.0])
    parser.add_argument(
        "--steps", type=int, help="time this many steps instead of running to an end"
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--stepper", default="ssprk2")
    parser.add_argument("--scheme", default="log-muscl")
    options = parser.parse_args()
    attention = Attention("sa", 4.0, 3, "sphere")
    scheme = Eulerian(scheme=options.scheme, stepper=options.stepper)
    per_step: list[float] = []
    for level in options.levels:
        start = time.perf_counter()
        space = P1Space(icosphere(level))
        rho = standard_density().density(space.points[: space.n_owned])
        solver = EulerianSolver(space, attention, rho, scheme)
        setup = time.perf_counter() - start
        for _ in range(4):
            solver.advance(100.0)  # compile, fill the history
        if options.steps:
            start = time.perf_counter()
            for _ in range(options.steps):
                solver.advance(100.0)
            per_step.append((time.perf_counter() - start) / options.steps)
            growth = f", x {per_step[-1] / per_step[-2]:.2f}" if len(per_step) > 1 else ""
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(
                f"level {level}, N = {space.n_global}: {1e3 * per_step[-1]:.2f} ms a step{growth}, "
                f"set-up {setup:.1f} s, peak memory {peak:.2f} GB"
            )
            continue
        for end in options.end:
            runs = []
            for _ in range(options.repeat):
                solver = EulerianSolver(space, attention, rho, scheme)
                start = time.perf_counter()
                while solver.t < end:
                    solver.advance(end)
                runs.append((time.perf_counter() - start, *solver.timings.values()))
            total, field, _ = np.median(np.array(runs), axis=0)
            m = solver.weights * solver.rho
            mean = m @ space.points[: space.n_owned]
            error = ""
            for reference in (point for point in STANDARD_SA if point["t"] == end):
                error = f", error of the mean {np.linalg.norm(mean - reference['mean']):.1e}"
            print(
                f"level {level}, N = {space.n_global}, T = {end:g}: {total:.3f} s, "
                f"{solver.step} steps, field {field:.3f} s, all else {total - field:.3f} s "
                f"({(total - field) / field:.2f} of the field){error}, set-up {setup:.1f} s"
            )


if __name__ == "__main__":
    main()
