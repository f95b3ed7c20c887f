"""Parameters in time: orders of convergence, jumps, heads whose matrices fluctuate."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import meanfield as mf
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.composite import Moving, MovingDrift, MovingHead
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.intime import FunctionInTime, TableInTime, WaveInTime

from .solving import explicit, implicit, places, space, until, with_order
from .table import Table, Values

table = Table("time")

M = np.array([[0.9, 1.1, -0.3], [-0.8, -0.4, 0.7], [0.5, -0.9, -0.5]])
N = np.array([[0.0, -1.2, 0.3], [1.2, 0.2, 0.0], [-0.3, 0.0, -0.2]])
JUMP, END = 0.4, 1.0
"""M until 0.4, then N: the flow is e^{0.6 N} e^{0.4 M}."""


def _stepwise() -> Moving:
    values = TableInTime(np.array([0.0, JUMP]), np.array([M, N]))
    return Moving((), "sa", 3, "sphere", drifts=(MovingDrift((values,), LinearDrift),))


def _flow() -> Array:
    return np.asarray(expm((END - JUMP) * N) @ expm(JUMP * M))


def _exact(x: Array) -> Array:
    flow = _flow()
    back = x @ np.linalg.inv(flow).T
    return np.asarray(np.linalg.norm(back, axis=1) ** -3 / np.linalg.det(flow))


@table.row(
    "$X = P_x(M(t)x)$ with a jump of $M$ at $t = 0.4$: tokens at $t = 1$, largest error", "{:.0e}",
    source="matrix exponentials", quick=True, rough=True,
)  # fmt: skip
def tokens() -> Values:
    x = uniform_points(50, 3, np.random.default_rng(0))
    options = mf.Particles(rtol=1e-11, atol=1e-13)
    solver = until(ParticleSolver(_stepwise(), x, options=options), END)
    y = x @ _flow().T
    return (float(np.max(np.abs(solver.x - y / np.linalg.norm(y, axis=1, keepdims=True)))),)


@table.row(
    "the same from the uniform density, characteristics: largest relative error of $\\rho$",
    "{:.0e}", source="angular Gaussian", quick=True, rough=True,
)  # fmt: skip
def characteristics() -> Values:
    options = mf.Lagrangian(rtol=1e-11)
    solver = LagrangianSolver(_stepwise(), icosphere(3), lambda x: np.ones(len(x)), options=options)
    until(solver, END)
    exact = np.log(_exact(solver.positions()))
    return (float(np.max(np.abs(solver.log_density() - exact))),)


def _error(kind: str, level: int) -> float:
    on = space("sphere", level)
    make = explicit if kind == "explicit" else implicit
    solver = until(make(on, _stepwise(), np.ones(on.n_owned)), END)
    return float(solver.weights @ np.abs(solver.rho - _exact(places(on))))


@table.row(
    "the same, explicit, 162, 642, 2 562 vertices: $L^1$ error, order",
    "{:.3f}, {:.3f}, {:.4f}; {:.2f}", source="order 2",
)  # fmt: skip
def density_explicit() -> Values:
    return with_order(lambda level: _error("explicit", level), (2, 3, 4))


@table.row("the same, implicit", "{:.3f}, {:.3f}, {:.4f}; {:.2f}", source="order 2")
def density_implicit() -> Values:
    return with_order(lambda level: _error("implicit", level), (2, 3, 4))


@table.row(
    "$\\beta = 4 + 3\\cos(2\\pi t)$, `sa`, 12 tokens, $t = 1$: largest difference", "{:.0e}",
    source="SciPy's DOP853 on the equation written out", quick=True, rough=True,
)  # fmt: skip
def beta_in_time() -> Values:
    x = uniform_points(12, 3, np.random.default_rng(1))
    wave = WaveInTime(4.0 * np.eye(3), 3.0 * np.eye(3), 1.0)
    made = Moving((MovingHead(wave, np.eye(3)),), "sa", 3)
    options = mf.Particles(rtol=1e-11, atol=1e-13)
    solver = until(ParticleSolver(made, x, options=options), END)

    def rate(t: float, y: Array) -> Array:
        z = y.reshape(x.shape)
        w = np.exp((4.0 + 3.0 * np.cos(2.0 * np.pi * t)) * z @ z.T)
        pull = (w / w.sum(axis=1, keepdims=True)) @ z
        return np.asarray(pull - np.sum(pull * z, axis=1, keepdims=True) * z).ravel()

    exact = solve_ivp(rate, (0.0, END), x.ravel(), "DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    return (float(np.max(np.abs(solver.x.ravel() - exact))),)


@table.row(
    "rotation at $\\omega(t) = 1 + \\cos 5t$ on 642 vertices until $t = 0.5$, uniform density: "
    "largest change", "{:.0e}", source="at rest", quick=True, rough=True,
)  # fmt: skip
def rotation() -> Values:
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    path = FunctionInTime(lambda t: (1.0 + np.cos(5.0 * t)) * turn, (3, 3), 2.0)
    made = Moving((), "sa", 3, "sphere", drifts=(MovingDrift((path,), LinearDrift),))
    on = space("sphere", 3)
    solver = until(explicit(on, made, np.ones(on.n_owned)), 0.5)
    return (float(np.max(np.abs(solver.rho - 1.0))),)


@table.row(
    "heads of independent Ornstein-Uhlenbeck matrices (`scripts/studies/heads_in_time.py`, 100 "
    "tokens to $t = 10$, 10 seeds): power "
    "of $H = 1, 10, 100$ in the squared distance of the energy to that of 1 000 heads, and its "
    "standard error", "{:.2f}, {:.2f}", source="$-1$",
)  # fmt: skip
def ornstein_uhlenbeck() -> Values:
    studies = str(Path(__file__).parents[1] / "studies")
    sys.path.insert(0, studies)
    from heads_in_time import distances, slope_of

    sys.path.remove(studies)
    numbers = [1, 10, 100]
    found = distances(numbers, 1000, 10, 100, 10.0, 10, 0.05, False)
    return slope_of(numbers, found)
