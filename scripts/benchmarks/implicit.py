"""The implicit solver: time of a step by level, its split, and linear iterations against dt.

scripts/env python scripts/benchmarks/implicit.py [--levels 5 6 7] [--kappa 0 0.01 0.1]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from meanfield.case import Implicit
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.linear import EdgeSystem
from meanfield.dynamics.space import P1Space
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.laws import standard_density
from meanfield.geometry.mesh import icosphere
from meanfield.interaction.attention import Attention


def linear_solves(solver: ImplicitSolver, steps: list[float], methods: list[str]) -> None:
    """Print iterations and milliseconds of one linear solve by method and step."""
    rates = solver._rates(solver.drift_of(solver.field()), solver.rho)
    for method in methods:
        system = EdgeSystem(solver.space, solver.weights, 1e-12, method)
        cells = []
        for dt in steps:
            times = []
            try:
                for _ in range(3):
                    start = time.perf_counter()
                    solution = system.solve(rates, solver.rho, dt)
                    times.append(time.perf_counter() - start)
                what = solution.method if method == "auto" else f"{solution.iterations:3d} it"
                cells.append(f"{what} {1e3 * np.median(times):6.1f} ms")
            except BrokenInvariantError:
                cells.append("no convergence")
        print(f"    {method:5s}", " | ".join(f"{cell:>14s}" for cell in cells), flush=True)


def main() -> None:
    """Print a table for each level and kappa."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--levels", type=int, nargs="+", default=[5, 6, 7])
    parser.add_argument("--kappa", type=float, nargs="+", default=[0.0, 0.01, 0.1])
    parser.add_argument("--dt", type=float, nargs="+", default=[1e-3, 1e-1, 1e1, 1e4])
    parser.add_argument("--methods", nargs="+", default=["auto", "ilu", "lu", "amg"])
    options = parser.parse_args()
    attention = Attention("sa", 4.0, 3, "sphere")
    for level in options.levels:
        space = P1Space(icosphere(level))
        rho = standard_density().density(space.points[: space.n_owned])
        for kappa in options.kappa:
            solver = ImplicitSolver(space, attention, rho, kappa)
            while solver.t < 1.0:
                solver.advance(1.0)
            start, before = time.perf_counter(), dict(solver.timings)
            for _ in range(5):
                solver.advance(100.0)
            step = (time.perf_counter() - start) / 5
            split = ", ".join(
                f"{k} {1e3 * (v - before[k]) / 5:.1f}" for k, v in solver.timings.items()
            )
            print(
                f"level {level}, N = {space.n_global}, kappa = {kappa:g}: {1e3 * step:.1f} ms a "
                f"second-order step ({split}), {solver.step} steps to t = 1, dt = {solver.dt:.2g}"
            )
            print("    dt   ", " | ".join(f"{dt:>14g}" for dt in options.dt))
            linear_solves(solver, options.dt, options.methods)
            fixed = Implicit(dt=1e3, order=1)
            solver = ImplicitSolver(space, attention, rho, kappa, fixed)
            start = time.perf_counter()
            solver.advance(1e9)
            print(f"    one step of dt = 1000, first order: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
