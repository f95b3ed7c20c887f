"""Time of the characteristics against their error: the standard density, sa, beta = 4.

For each mesh and tolerance the best of some runs to T = 1 and T = 4, the number of field
evaluations and the error of the mean (verification values of the standard density). Set-up (mesh,
nodal weights, compilation) is not counted.

    scripts/env python scripts/benchmarks/lagrangian.py
"""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import numpy as np

from meanfield.case import Lagrangian
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.geometry.laws import standard_density
from meanfield.geometry.mesh import icosphere
from meanfield.interaction.attention import Attention

_DATA = Path(__file__).parents[2] / "tests" / "data" / "standard_sa.toml"
STANDARD_SA = tomllib.loads(_DATA.read_text("utf-8"))["points"]

# level, method, rtol, accuracy of the transforms (None: what the case would take)
RUNS = (
    (3, "dopri5", 1e-3, 1e-6),
    (3, "dop853", 1e-8, None),
    (4, "dop853", 1e-8, None),
    (5, "dop853", 1e-4, 1e-8),
    (5, "dop853", 1e-8, None),
    (6, "dop853", 1e-8, None),
)
REPEATS = 3


def once(level: int, method: str, rtol: float, accuracy: float | None) -> list[str]:
    """One row for each time of the reference."""
    attention = Attention("sa", 4.0, 3, "sphere", accuracy=accuracy)
    best = np.full(len(STANDARD_SA), np.inf)
    for _ in range(REPEATS):
        solver = LagrangianSolver(
            attention, icosphere(level), standard_density().density,
            options=Lagrangian(method=method, rtol=rtol, atol=1e-2 * rtol),
        )  # fmt: skip
        begun, errors, evaluations = time.perf_counter(), [], []
        for k, point in enumerate(STANDARD_SA):
            while solver.t < point["t"]:
                solver.advance(point["t"])
            best[k] = min(best[k], time.perf_counter() - begun)
            mean = solver.mass @ solver.positions()
            errors.append(float(np.max(np.abs(mean - point["mean"]))))
            evaluations.append(solver.evaluations)
    return [
        f"{level:>5} {solver.n:>7} {method:>7} {rtol:>7.0e} {point['t']:>3g} {best[k]:>9.3f} "
        f"{evaluations[k]:>6} {errors[k]:>10.1e}"
        for k, point in enumerate(STANDARD_SA)
    ]


def main() -> None:
    print("level vertices method    rtol   T   seconds fields  mean error")
    for run in RUNS:
        print("\n".join(once(*run)), flush=True)


if __name__ == "__main__":
    main()
