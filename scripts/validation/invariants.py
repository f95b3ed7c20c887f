"""What must hold whatever the accuracy: mass, sign, rest, the sign of dE, ranks."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import meanfield as mf
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver

from .solving import CASES, attention, explicit, implicit, mass_error, rough, space, until
from .table import Table, Values

table = Table("invariants", ("", "measured", "must be"))

SMALL = (("sphere", 3, 3), ("circle", 120, 2), ("zonal", 60, 8))


def _kept(solver: EulerianSolver | ImplicitSolver, steps: int) -> tuple[float, float]:
    """The largest error of the mass in so many steps, and how many values were negative."""
    wrong, negative = 0.0, 0
    for _ in range(steps):
        solver.advance(1e9)
        wrong = max(wrong, mass_error(solver))
        negative += int(np.count_nonzero(~(solver.rho >= 0.0)))
    return wrong, float(negative)


def _worst(found: Sequence[tuple[float, float]]) -> Values:
    """Of all runs: the largest error, and the number of negative values."""
    wrong, negative = zip(*found, strict=True)
    return max(wrong), sum(negative)


@table.row(
    "explicit, rough data (lognormal with $\\sigma = 3$, half empty, one vertex, a peak) on $S^2$, "
    "$S^1$, zonal $d = 8$, `sa` and `usa`, $\\beta = 1, 9$, 48 runs of 20 steps: largest "
    "$\\lvert\\mathrm{mass} - 1\\rvert$, negative values", "{:.0e}, {:.0f}", source="round-off, 0",
    rough=True, quick=True,
)  # fmt: skip
def explicit_rough() -> Values:
    found = []
    for which in SMALL:
        on = space(*which)
        for seed in range(16):
            model, beta = ("sa", "usa")[seed // 8], (1.0, 9.0)[seed // 4 % 2]
            solver = explicit(on, attention(model, beta, on), rough(on, seed))
            found.append(_kept(solver, 20))
    return _worst(found)


@table.row(
    "implicit, the same data, steps of 1e-4, 1, 1e4, $\\kappa = 0, 0.1$, 288 runs of 3 steps: "
    "largest $\\lvert\\mathrm{mass} - 1\\rvert$, negative values", "{:.0e}, {:.0f}",
    source="round-off, 0", rough=True,
)  # fmt: skip
def implicit_rough() -> Values:
    found = []
    for which in SMALL:
        on = space(*which)
        for seed in range(16):
            for kappa in (0.0, 0.1):
                for dt in (1e-4, 1.0, 1e4):
                    pulls = attention(("sa", "usa")[seed // 8], (1.0, 9.0)[seed // 4 % 2], on)
                    solver = implicit(on, pulls, rough(on, seed), kappa, dt=dt)
                    found.append(_kept(solver, 3))
    return _worst(found)


@table.row(
    "implicit, the same data, $\\beta$ and steps: of 1 296 steps, those in which $E$ (`sa`, "
    "$\\kappa = 0$) falls or $F$ (`usa`, $\\kappa = 0, 0.1$) rises; whose extrapolation does so, "
    "so that two half steps are taken in its place", "{:.0f}; {:.0f}",
    source="0, proved of half steps; the extrapolation is checked",
)  # fmt: skip
def implicit_energy() -> Values:
    wrong = lowered = 0
    for which in SMALL:
        on = space(*which)
        for seed in range(16):
            beta = (1.0, 9.0)[seed // 4 % 2]
            for model, kappa in (("sa", 0.0), ("usa", 0.0), ("usa", 0.1)):
                for dt in (1e-4, 1.0, 1e4):
                    solver = implicit(on, attention(model, beta, on), rough(on, seed), kappa, dt=dt)
                    for _ in range(3):
                        solver.advance(1e9)
                    wrong += solver.energy_violations
                    lowered += solver.lowered
    return float(wrong), float(lowered)


@table.row(
    "explicit, `sa`, $\\beta = 4$, standard density to $t = 4$, levels 3, 4, 5: steps in which $E$ "
    "falls", "{:.0f}", source="0, watched", quick=False,
)  # fmt: skip
def explicit_energy() -> Values:
    wrong = 0
    for level in (3, 4, 5):
        on = space("sphere", level)
        solver = explicit(on, attention("sa", 4.0, on), mf.standard_density())
        wrong += until(solver, 4.0).energy_violations
    return (float(wrong),)


@table.row(
    "uniform density, `sa`, $\\beta = 4$, to $t = 20$, 2 562 vertices, explicit and implicit: "
    "largest change", "{:.0e}, {:.0e}", source="0", rough=True,
)  # fmt: skip
def uniform() -> Values:
    on = space("sphere", 4)
    found = []
    for make in (explicit, implicit):
        solver = until(make(on, attention("sa", 4.0, on), np.ones(on.n_owned)), 20.0)
        found.append(float(np.max(np.abs(solver.rho - 1.0))))
    return tuple(found)


def _on_ranks(ranks: int, folder: Path) -> np.ndarray:
    """E and the mean at t = 1 of clustering.toml on level 4."""
    out = folder / f"ranks{ranks}"
    command = [
        sys.executable, "-m", "meanfield", "run", str(CASES / "clustering.toml"), "-o", str(out),
        "--set", "geometry.level=4", "--set", "time.end=1", "--set", "output.figures=false",
    ]  # fmt: skip
    if ranks > 1:
        command = ["mpiexec", "-n", str(ranks), *command]
    subprocess.run(command, check=True, capture_output=True)
    series = mf.load(out).series
    assert json.loads((out / "run.json").read_text("utf-8"))["ranks"] == ranks
    names = ("energy", "mean_1", "mean_2", "mean_3")
    return np.array([series[name][-1] for name in names])


@table.row(
    "`clustering.toml` on level 4 to $t = 1$, on 2 and 3 ranks against 1: largest relative "
    "difference of $E$ and of the mean", "{:.0e}, {:.0e}", source="round-off", rough=True,
)  # fmt: skip
def ranks() -> Values:
    with tempfile.TemporaryDirectory() as folder:
        one, two, three = (_on_ranks(n, Path(folder)) for n in (1, 2, 3))
    return tuple(float(np.max(np.abs(other / one - 1.0))) for other in (two, three))
