"""How much faster than all pairs? One evaluation of Z and velocity, transforms against direct sums.

The direct sum is the best one here: blocked, vectorised (its own exponential), all threads, about
1.3 ns a pair on two cores. Both ways are timed in turn, several times, and the median ratio quoted.

    scripts/env python scripts/benchmarks/field.py [--levels 5 6] [--beta 4] [--repeat 5]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from meanfield.geometry.mesh import icosphere
from meanfield.interaction.attention import Attention
from meanfield.interaction.direct import pair_sums
from meanfield.interaction.measure import Measure


def main() -> None:
    """Print one line for each mesh."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--levels", type=int, nargs="+", default=[5, 6])
    parser.add_argument("--beta", type=float, default=4.0)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    for level in options.levels:
        x = icosphere(level).points
        n = len(x)
        m = np.random.default_rng(0).dirichlet(np.ones(n))
        attention = Attention("sa", options.beta, 3, "sphere")
        assert attention.harmonics is not None
        at = attention.harmonics.locate(x)

        def transforms(attention=attention, at=at, m=m) -> np.ndarray:
            return attention.field(Measure(at, m)).velocity(at)  # Z is computed on the way

        def direct(x=x, m=m) -> np.ndarray:
            sums = pair_sums(x, x, m, options.beta)
            v = sums.zy / sums.z[:, None]
            return v - np.sum(v * x, axis=1, keepdims=True) * x

        error = np.max(np.abs(transforms() - direct()))
        pairs: list[tuple[float, float]] = []
        for _ in range(options.repeat):
            start = time.perf_counter()
            direct()
            middle = time.perf_counter()
            for _ in range(5):
                transforms()
            pairs.append((middle - start, (time.perf_counter() - middle) / 5))
        slow, fast = np.median(np.array(pairs), axis=0)
        ratio = np.median([a / b for a, b in pairs])
        print(
            f"level {level}, N = {n}: direct {1e3 * slow:.1f} ms ({1e9 * slow / n**2:.2f} ns a "
            f"pair), transforms {1e3 * fast:.2f} ms ({1e9 * fast / n:.0f} ns a node), "
            f"ratio {ratio:.0f}, difference {error:.1e}"
        )


if __name__ == "__main__":
    main()
