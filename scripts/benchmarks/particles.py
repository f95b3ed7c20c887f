"""How fast are tokens? One field evaluation against the direct sum, and a long run of many tokens.

    scripts/env python scripts/benchmarks/particles.py            # both
    scripts/env python scripts/benchmarks/particles.py --tokens 100000

First, in one process and in turns (so that both meet the same load of the machine): the velocity of
n = 10 000 tokens on S^2, softmax attention with beta = 9, by harmonic transforms and by the direct
sum over all pairs, which runs on all processors. Then the run: quantised tokens of the standard
density to t = 5, with time, evaluations, memory and the number of dark points (tokens whose Z had
to be summed directly).
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable

import numba
import numpy as np

from meanfield.case import Particles
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.tokens import initial_tokens
from meanfield.geometry.laws import standard_density
from meanfield.interaction.attention import Attention
from meanfield.interaction.contract import DarkPoints
from meanfield.interaction.direct import pair_sums
from meanfield.interaction.measure import Measure


def in_turns(first: Callable[[], object], second: Callable[[], object], times: int) -> np.ndarray:
    """Shortest wall and processor time (columns) of each of two calls (rows), which take turns."""
    best = np.full((2, 2), np.inf)
    for _ in range(times):
        for k, call in enumerate((first, second)):
            start = time.perf_counter(), time.process_time()
            call()
            best[k, 0] = min(best[k, 0], time.perf_counter() - start[0])
            best[k, 1] = min(best[k, 1], time.process_time() - start[1])
    return best


def field_against_pairs(n: int, beta: float, times: int) -> float:
    """Print and return how many times faster the transforms are."""
    x = initial_tokens(standard_density(), n, 0, "iid")
    weights = np.full(n, 1.0 / n)
    attention = Attention("sa", beta, 3, "sphere")
    assert attention.harmonics is not None
    harmonics = attention.harmonics

    def by_harmonics() -> np.ndarray:
        at = harmonics.locate(x)
        return attention.field(Measure(at, weights)).velocity(at)

    def by_pairs() -> np.ndarray:
        sums = pair_sums(x, x, weights, beta)
        mean = sums.zy / sums.z[:, None]
        return mean - np.sum(mean * x, axis=1, keepdims=True) * x

    difference = float(np.max(np.abs(by_harmonics() - by_pairs())))
    (fast, fast_work), (slow, slow_work) = in_turns(by_harmonics, by_pairs, times)
    print(
        f"velocity of {n} tokens, sa, beta = {beta:g}, S^2:\n"
        f"  harmonics  {1e3 * fast:8.2f} ms  ({1e9 * fast / n:.0f} ns a token)\n"
        f"  direct sum {1e3 * slow:8.2f} ms  ({1e9 * slow / n**2:.2f} ns a pair, "
        f"{numba.get_num_threads()} threads)\n"
        f"  ratio      {slow / fast:8.1f}; in processor time, which other programs disturb less, "
        f"{slow_work / fast_work:.1f}\n  largest difference {difference:.1e}",
        flush=True,
    )
    return slow / fast


def long_run(n: int, beta: float, end: float, rtol: float) -> None:
    """Print what a run of ``n`` tokens to ``end`` costs."""
    start = time.perf_counter()
    x = initial_tokens(standard_density(), n, 0, "quantised")
    solver = ParticleSolver(Attention("sa", beta, 3, "sphere"), x, options=Particles(rtol=rtol))
    del x
    print(f"{n} tokens, sa, beta = {beta:g}, to t = {end:g} with rtol = {rtol:g}:")
    print(f"  set-up   {time.perf_counter() - start:8.1f} s")
    start = time.perf_counter()
    while solver.t < end:
        solver.advance(end)
        if sys.stderr.isatty():
            print(f"\r  t = {solver.t:.3f}", end="", file=sys.stderr)
    field, dark = solver.field(), DarkPoints()
    field.velocity(solver.x, seen=dark)
    spent = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"\r  run      {spent:8.1f} s  ({solver.timings['field']:.1f} s in the field), "
        f"{solver.step} steps, {solver.rejected} rejected, {solver.evaluations} evaluations\n"
        f"  memory   {peak:8.2f} GB at most\n"
        f"  result   E e^-|beta| = {field.energy(scaled=True):.12g}, "
        f"|m| = {np.linalg.norm(solver.weights @ solver.x):.12g}, dark points: "
        f"{dark.most}",
        flush=True,
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, default=1_000_000, help="of the long run (0: none)")
    parser.add_argument("--pairs", type=int, default=10_000, help="tokens of the comparison")
    parser.add_argument("--beta", type=float, default=9.0)
    parser.add_argument("--end", type=float, default=5.0)
    parser.add_argument("--rtol", type=float, default=1e-6)
    parser.add_argument("--times", type=int, default=7, help="of each call of the comparison")
    arguments = parser.parse_args()
    if arguments.pairs:
        field_against_pairs(arguments.pairs, arguments.beta, arguments.times)
    if arguments.tokens:
        long_run(arguments.tokens, arguments.beta, arguments.end, arguments.rtol)


if __name__ == "__main__":
    main()
