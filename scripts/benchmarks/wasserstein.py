"""Certified Wasserstein distances on S^2: time, gap of the bounds, and the error where one knows.

scripts/env python scripts/benchmarks/wasserstein.py [--points 10000 30000] [-p 2 1] [--rtol 1e-4]
scripts/env python scripts/benchmarks/wasserstein.py --points 100000 -p 2 --cases clouds nodes near
scripts/env python scripts/benchmarks/wasserstein.py --bracket --points 1000000 --others 100000

Cases: clouds (independent draws, uniform and von Mises-Fisher's kappa = 4, equal weights), nodes
(a Fibonacci lattice of equal weights, and one weighted by that density: W_2 = .9837408392 + 2.52 /
n for n = m), near (both weighted by kappa = 8, turned by .035 rad).
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np

from meanfield.analysis.wasserstein import Effort, wasserstein
from meanfield.geometry.laws import VonMisesFisher
from meanfield.geometry.sphere import Array, normalize, uniform_points
from meanfield.interaction.measure import Measure

CASES = ("clouds", "nodes", "near")


def lattice(n: int, turn: float = 0.0) -> Array:
    """Fibonacci's points."""
    k = np.arange(n) + 0.5
    z, angle = 1.0 - 2.0 * k / n, math.pi * (1.0 + math.sqrt(5.0)) * k + turn
    r = np.sqrt(1.0 - z * z)
    return np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)


def weighted(x: Array, axis: tuple[float, ...], kappa: float) -> Measure:
    """Nodes with the weights of von Mises-Fisher's density."""
    w = np.exp(kappa * (x @ normalize(np.array(axis)) - 1.0))
    return Measure(x, w / w.sum())


def measures(case: str, n: int, m: int) -> tuple[Measure, Measure]:
    """The two measures of a case, of n and m points."""
    turned = np.ascontiguousarray(lattice(m, 0.7)[:, [2, 0, 1]])
    if case == "nodes":
        return Measure.equal(lattice(n)), weighted(turned, (1.0, 2.0, 3.0), 4.0)
    if case == "near":
        return weighted(lattice(n), (0, 0, 1), 8.0), weighted(turned, (0.0, 0.035, 1.0), 8.0)
    rng = np.random.default_rng(0)
    cloud = VonMisesFisher((0, 0, 1), 4.0).sample(m, rng)
    return Measure.equal(uniform_points(n, 3, rng)), Measure.equal(cloud)


def main() -> None:
    """Print one line for each case, number of points and exponent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[10_000, 30_000])
    parser.add_argument("--others", type=int, help="points of the second measure")
    parser.add_argument("-p", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--cases", nargs="+", default=CASES, choices=CASES)
    parser.add_argument("--rtol", type=float, default=1e-4)
    parser.add_argument("--bracket", action="store_true", help="two bounds by blocks only")
    parser.add_argument("--blocks", type=int, default=16_384)
    options = parser.parse_args()
    method = "bracket" if options.bracket else "columns"
    effort = Effort(rtol=options.rtol, blocks=options.blocks)
    for p in options.p:
        wasserstein(*measures("clouds", 3_000, 3_000), p, method, effort=effort)  # compile
    for case in options.cases:
        for n in options.points:
            m = options.others or n
            for p in options.p:
                a, b = measures(case, n, m)
                wall, cpu = time.perf_counter(), time.process_time()
                found = wasserstein(a, b, p, method, effort=effort)
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                gap = 1.0 - (found.lower / found.upper) ** p
                print(
                    f"{case:6} {n} x {m} p = {p}: W in [{found.lower:.8f}, {found.upper:.8f}], "
                    f"relative gap of W^p {gap:.1e}, {wall:.1f} s, CPU {cpu:.1f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
