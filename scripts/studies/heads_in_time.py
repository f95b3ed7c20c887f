"""How much do heads in time fluctuate, and does it average out over heads? (arXiv 2605.18870)

Unnormalised attention with A_h = beta D_h(t), V_h = D_h(t)/H: tokens on S^2, D_h symmetric with
Ornstein-Uhlenbeck entries (rate 1, variance 2) about a common mean. The energy of the moment,

    E(t) = 1/H sum_h 1/(2 beta) iint e^{beta <x, D_h(t) y>} dmu dmu,

is compared with that of very many heads: the mean over t of the squared distance, and the mean over
seeds, falls like 1/H where all heads are independent, and stays where all of them have one path.

    scripts/env python scripts/studies/heads_in_time.py [--heads 1 10 100] [--reference 1000]
        [--seeds 20] [--tokens 200] [--end 20] [--layers 10] [--beta 0.05] [--common]

The mean has a gap above the width of the entries, and tokens begin around its axis, so that they
become one cluster whatever H is: where one head may have one cluster and many have two, distances
are those of these two states, and fall faster.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import meanfield as mf
from meanfield.dynamics.layers import LayerSolver
from meanfield.geometry.sphere import Array

MEAN = np.diag([6.0, 0.0, 0.0])
START = mf.VonMisesFisher((1.0, 0.0, 0.0), 2.0)


def heads_in_time(number: int, beta: float, end: float, first_seed: int, common: bool) -> mf.Moving:
    """So many heads, of their own paths or of one."""
    heads = []
    for k in range(number):
        seed = first_seed if common else first_seed + k
        path = mf.ornstein_uhlenbeck(MEAN, 1.0, 2.0, seed, end, 0.1, symmetric=True)
        a = mf.Combined((path,), lambda d: beta * d, (3, 3), beta * path.largest)
        v = mf.Combined((path,), lambda d: d / number, (3, 3), path.largest / number)
        heads.append(mf.MovingHead(a, v))
    return mf.Moving(tuple(heads), "usa", 3)


def energies(interaction: mf.Moving, x: Array, end: float, layers: int) -> Array:
    """(k,) the energy after each layer, and before the first one."""
    solver = LayerSolver(interaction, x, layer_step=1.0 / layers)
    found = []
    for k in range(round(end * layers) + 1):
        if k:
            solver.advance(k / layers)
        field = interaction.at(solver.t).field(solver.measure(), solver.t)
        found.append(field.energy())
    return np.array(found)


def distances(
    numbers: list[int], reference: int, seeds: int, tokens: int, end: float, layers: int,
    beta: float, common: bool,
) -> Array:  # fmt: skip
    """(numbers, seeds) mean over t of the squared distance to the energy of the reference."""
    x = START.sample(tokens, np.random.default_rng(0))
    far = 10**6  # seeds of the reference: independent of all others
    known = energies(heads_in_time(reference, beta, end, far, False), x, end, layers)
    out = np.empty((len(numbers), seeds))
    for i, number in enumerate(numbers):
        for seed in range(seeds):
            moving = heads_in_time(number, beta, end, 1000 * (seed + 1), common)
            apart = energies(moving, x, end, layers) - known
            out[i, seed] = float(np.mean(apart**2))
    return out


def slope_of(numbers: list[int], found: Array) -> tuple[float, float]:
    """Of the means over seeds, log-log; and its standard error, by leaving out each seed."""
    logs = np.log(np.array(numbers, dtype=float))

    def fitted(means: Array) -> float:
        return float(np.polyfit(logs, np.log(means), 1)[0])

    n = found.shape[1]
    if n < 2:
        return fitted(found.mean(axis=1)), float("nan")
    others = np.array([fitted(np.delete(found, k, axis=1).mean(axis=1)) for k in range(n)])
    return fitted(found.mean(axis=1)), float(np.sqrt((n - 1) * np.var(others)))


def main() -> None:
    """Print the mean squared distances, and how they fall with the number of heads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--reference", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--end", type=float, default=20.0)
    parser.add_argument("--layers", type=int, default=10, help="in a unit of time")
    parser.add_argument("--beta", type=float, default=0.05)
    parser.add_argument("--common", action="store_true", help="one path for all heads")
    given = parser.parse_args()
    begun = time.perf_counter()
    found = distances(
        given.heads, given.reference, given.seeds, given.tokens, given.end, given.layers,
        given.beta, given.common,
    )  # fmt: skip
    for number, row in zip(given.heads, found, strict=True):
        print(f"H = {number:4}: {row.mean():.4g} (over seeds: {row.min():.3g} to {row.max():.3g})")
    slope, error = slope_of(given.heads, found)
    print(f"slope {slope:.3f} +- {error:.3f}; {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
