"""What do matrices and heads cost? The velocity of general heads against that of beta alone.

Random A with singular values between 4.5 and 9 and random V, the standard density, on an icosphere.
All are timed in turn, several times; medians of the ratios are quoted. Direct sums are timed at a
share of the targets; sigmoid attention also by sums over a grid.

    scripts/env python scripts/benchmarks/heads.py [--levels 5 6] [--heads 1 4 16] [--repeat 5]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

import meanfield as mf
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.composite.sums import head_sums
from meanfield.interaction.measure import Measure


def random_heads(count: int) -> tuple[HeadMatrices, ...]:
    """Heads whose A have singular values between 4.5 and 9."""
    rng = np.random.default_rng(1)
    heads = []
    for _ in range(count):
        left, right = (np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(2))
        heads.append(
            HeadMatrices(left @ np.diag(rng.uniform(4.5, 9.0, 3)) @ right, rng.normal(size=(3, 3)))
        )
    return tuple(heads)


def seconds(call: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Print a line for each mesh and number of heads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--levels", type=int, nargs="+", default=[5, 6])
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    for level in options.levels:
        x = icosphere(level).points
        q = np.full(len(x), 1.0 / len(x))
        m = mf.standard_density().density(x)
        m /= m.sum()
        one = Attention("sa", 9.0, 3, "sphere")
        at = one.locate(x)

        def plain(one=one, at=at, m=m, q=q) -> Array:
            return one.field(Measure(at, m, q)).velocity(at)

        plain()
        for model in ("sa", "usa", "sigmoid"):
            for count in options.heads:
                made = Composite(random_heads(count), model, 3, "sphere")

                def heads(made=made, at=at, m=m, q=q) -> Array:
                    return made.field(Measure(at, m, q)).velocity(at)

                heads()
                pairs = [(seconds(plain), seconds(heads)) for _ in range(options.repeat)]
                ratio = np.median([b / a for a, b in pairs])
                took = np.median([b for _, b in pairs])
                line = (
                    f"level {level}, N = {len(x)}: {model}, {count:2d} heads {1e3 * took:7.1f} ms"
                )
                line += f", {ratio:5.2f} times one beta"
                if model == "sa" and count == 1:
                    some = x[:: max(1, len(x) // 500)]
                    share = len(x) / len(some)
                    head_sums(made.heads[0], some, x, m, 1, made.manifold)
                    direct = share * seconds(
                        lambda some=some, x=x, m=m, made=made: head_sums(
                            made.heads[0], some, x, m, 1, made.manifold
                        )
                    )
                    line += f", direct sums {direct / took:.0f} times as long"
                if model == "sigmoid" and count == 1:
                    grid = replace(made, lasting=False)  # the way of what changes all the time
                    took_grid = seconds(
                        lambda grid=grid, at=at, m=m, q=q: grid.field(Measure(at, m, q)).velocity(
                            at
                        )
                    )
                    line += f", sums over a grid {took_grid / took:.0f} times as long"
                print(line, flush=True)


if __name__ == "__main__":
    main()
