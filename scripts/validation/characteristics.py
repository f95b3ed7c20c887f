"""Characteristics: exact results, starts and points, long metastable times."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np

import meanfield as mf
from meanfield.analysis import exact
from meanfield.collective import Alone
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.lagrangian import characteristics as started
from meanfield.geometry.laws import PoissonKernel
from meanfield.geometry.mesh import circle, icosphere, zonal_interval

from .solving import STANDARD, ZONAL, attention, moving_mean, relative, shipped, until
from .table import Table, Values

table = Table("characteristics")

TWO = "two other methods, which agree to 1e-9"


def _standard(level: int, end: float, **options: object) -> LagrangianSolver:
    mesh = icosphere(level)
    chosen = mf.Lagrangian(**options)  # type: ignore[arg-type]
    density = mf.standard_density().density
    pulls = attention("sa", 4.0, mesh)
    return until(started(pulls, mesh, density, end, options=chosen, comm=Alone()), end)


def _wrong(solver: LagrangianSolver, end: float) -> tuple[float, float]:
    """Errors of the mean and of E e^{-beta}."""
    energy, known = STANDARD[end]
    mean = float(np.linalg.norm(moving_mean(solver) - np.array(known)))
    return mean, abs(solver.energy(scaled=True) - energy)


@table.row(
    "standard density, `sa`, $\\beta = 4$, $t = 1$, 2 562 points: error of $E$ (relative), of the "
    "mean", "{:.0e}, {:.0e}", source=TWO, quick=True, rough=True,
)  # fmt: skip
def standard_at_1() -> Values:
    solver = _standard(4, 1.0, start="mesh", rtol=1e-8)
    mean, _ = _wrong(solver, 1.0)
    return relative(solver.energy(scaled=True), STANDARD[1.0][0]), mean


@table.row(
    "the same, $t = 4$, default start, levels 3, 4, 5: error of the mean",
    "{:.1e}, {:.1e}, {:.1e}", source=TWO,
)  # fmt: skip
def standard_at_4() -> Values:
    return tuple(_wrong(_standard(level, 4.0), 4.0)[0] for level in (3, 4, 5))


@table.row(
    "the same from the vertices, `start = \"mesh\"`, levels 3, 4, 5", "{:.1e}, {:.1e}, {:.1e}",
    source=TWO,
)  # fmt: skip
def vertices_at_4() -> Values:
    return tuple(_wrong(_standard(level, 4.0, start="mesh"), 4.0)[0] for level in (3, 4, 5))


@table.row(
    "the same, $t = 8$, default start, level 5: points, error of the mean, of $Ee^{-\\beta}$",
    "{:.0f}, {:.1e}, {:.0e}", source=TWO,
)  # fmt: skip
def standard_at_8() -> Values:
    solver = _standard(5, 8.0)
    return float(solver.n), *_wrong(solver, 8.0)


def _trajectory(kind: str) -> float:
    mesh = zonal_interval(129, 3) if kind == "zonal" else icosphere(5)
    law, worst = mf.Gegenbauer(3, (0.3, 0.25)), 0.0
    for model in ("sa", "usa"):
        solver = LagrangianSolver(
            attention(model, 4.0, mesh), mesh, law.density,
            options=mf.Lagrangian(rtol=1e-10, atol=1e-12),
        )  # fmt: skip
        for t, (c1, c2, energy) in ZONAL[model].items():
            z = until(solver, t).positions()[:, -1]
            wrong = (solver.mass @ z - c1, solver.mass @ (1.5 * z * z - 0.5) - c2)
            worst = max(worst, *np.abs(wrong), abs(solver.field().energy() - energy))
    return worst


@table.row(
    "$c_1$, $c_2$, $E$ of $1 + 0.3P_1 + 0.25P_2$, `sa` and `usa`, $\\beta = 4$, 129 latitudes and "
    "$S^2$, level 5: largest error", "{:.0e}, {:.0e}", source="another code, 8 to 10 digits",
    rough=True,
)  # fmt: skip
def trajectories() -> Values:
    return _trajectory("zonal"), _trajectory("sphere")


@table.row(
    "$S^1$, $1 + 0.1\\cos + 0.2\\cos 3$, `sa`, $\\beta = 4$, $t = 2$, 128 points: $c_1$ to "
    "$c_3$, $E$",
    "{:.8f}, {:.8f}, {:.8f}, {:.7f}",
    known=(0.0761058497, -0.0080259310, 0.3578231082, 1.53449016), source="another code",
    quick=True,
)  # fmt: skip
def on_the_circle() -> Values:
    mesh, law = circle(128), mf.Fourier(cos=(0.1, 0.0, 0.2))
    options = mf.Lagrangian(rtol=1e-10, atol=1e-12)
    solver = LagrangianSolver(attention("sa", 4.0, mesh), mesh, law.density, options=options)
    x = until(solver, 2.0).positions()
    angle = np.arctan2(x[:, 1], x[:, 0])
    return (*(float(solver.mass @ np.cos(k * angle)) for k in (1, 2, 3)), solver.field().energy())


@table.row(
    "conformal flow, $\\beta = 0$, $d = 8$, 257 latitudes, $t = 8$: $\\log\\rho$ at the peak",
    "{:.8f}",
    known=(7.0 * math.log((1.0 + float(exact.poisson_radius(8.0, 0.2, 8)))
                          / (1.0 - float(exact.poisson_radius(8.0, 0.2, 8)))),),
    source="closed form", quick=True,
)  # fmt: skip
def peak() -> Values:
    mesh = zonal_interval(257, 8)
    law = PoissonKernel(tuple(0.2 * np.eye(8)[-1]))
    options = mf.Lagrangian(rtol=1e-11, atol=1e-13)
    solver = LagrangianSolver(attention("sa", 0.0, mesh), mesh, law.density, options=options)
    return (float(until(solver, 8.0).log_density()[0]),)


MERGING = exact.two_dirac_time(2.0, 0.05, "sa", 9.0)


@table.row(
    "two narrow clusters 2 radians apart, `sa`, $\\beta = 9$, 2 562 points: time at which they are "
    "0.05 apart", "{:.0f}", known=(MERGING,), within=(25.0,), source="two Diracs, by quadrature",
)  # fmt: skip
def merging() -> Values:
    """The vertices see the two directions 2.000103 apart, for which Diracs take 21 384.4.

    By quadrature as by an ODE at 1e-12 it is 21 364.58 from 2 radians: an angle that is wrong by
    1e-4 changes the time by 9e-4 of itself. Steps of rtol = 1e-10 change nothing.
    """
    mesh = icosphere(4)
    axes = [(1.0, 0.0, 0.0), (math.cos(2.0), math.sin(2.0), 0.0)]
    law = mf.Mixture(tuple(mf.VonMisesFisher(axis, 200.0) for axis in axes), (0.5, 0.5))
    solver = LagrangianSolver(attention("sa", 9.0, mesh), mesh, law.density)
    start = solver.positions()
    near = start @ np.array(axes[0]) > start @ np.array(axes[1])
    one, two = np.where(near, solver.mass, 0.0), np.where(near, 0.0, solver.mass)

    def apart() -> float:
        x = solver.positions()
        a, b = one @ x, two @ x
        return math.atan2(float(np.linalg.norm(np.cross(a, b))), float(a @ b))

    before = (0.0, apart())
    while apart() > 0.05:
        before = (solver.t, apart())
        solver.advance(1e5)
    after = (solver.t, apart())
    s = math.log(before[1] / 0.05) / math.log(before[1] / after[1])
    return (before[0] + s * (after[0] - before[0]),)


def _times(**changes: object) -> Values:
    """When three clusters become two and two one, steps, seconds, of metastable.toml."""
    begun = time.perf_counter()
    case = shipped("metastable", output__figures=False, **changes)
    result = mf.run(case, progress=False)
    seconds = time.perf_counter() - begun
    t, energy = result.series["t"], result.series["energy_scaled"]
    three = float(np.exp(9.0 * (np.cos(2.0 * np.pi * np.arange(3) / 3) - 1.0)).mean()) / 18.0
    plateau = (three, 5.0 / 9.0 / 18.0, 1.0 / 18.0)
    found = []
    for low, high in itertools.pairwise(plateau):
        above = np.flatnonzero(energy > 0.5 * (low + high))
        found.append(float(t[above[0]]) if above.size else math.nan)
    return (*found, float(result.steps), seconds)


LIVES = "{:.3g}, {:.3g}; {:.0f} steps, {:.1f} s"


@table.row(
    "`metastable.toml` (three clusters on $S^1$, `sa`, $\\beta = 9$, to $t = 10^9$), 240 points: "
    "times at which three become two, two become one", LIVES, source="the next rows",
)  # fmt: skip
def metastable() -> Values:
    return _times()


@table.row("the same, 1 200 points", LIVES, source="five times as many points")
def metastable_finer() -> Values:
    return _times(geometry__vertices=1200)


@table.row("the same, 2 000 tokens", LIVES, source="another solver")
def metastable_tokens() -> Values:
    return _times(
        **{
            "geometry.type": "unmeshed", "geometry.d": 2, "solver.type": "particles",
            "solver.number": 2000, "solver.tokens": "quantised",
        }
    )  # fmt: skip


@table.row(
    "the same, implicit finite elements, which pin clusters without noise", LIVES,
    source="it is so by construction",
)  # fmt: skip
def metastable_implicit() -> Values:
    return _times(**{"solver.type": "implicit", "solver.rtol": 1e-3})
