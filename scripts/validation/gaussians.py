"""Narrow Gaussians against finer meshes and tokens."""

from __future__ import annotations

import math
import time

import numpy as np

import meanfield as mf
from meanfield.case.gaussians import clusters_of
from meanfield.dynamics.gaussians import GaussianSolver
from meanfield.geometry.sphere import Array

from .solving import attention, implicit, masses, places, shipped, space, until
from .table import Table, Values

table = Table("gaussians")


def _second(weights: Array, x: Array) -> float:
    """The largest eigenvalue but one of int x x^T dmu: across."""
    return float(np.linalg.eigvalsh((x * weights[:, None]).T @ x)[-2])


def _gaussian(law: object, d: int, kappa: float, beta: float = 9.0) -> GaussianSolver:
    pulls = mf.Model(attention="sa", beta=beta).on(mf.Unmeshed(d=d))
    return GaussianSolver(pulls, *clusters_of(law), kappa=kappa)  # type: ignore[arg-type]


MERGED = (0.127701, 0.104266, 0.049223, 0.014057, 0.004923, 0.003126)
TIMES = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0)


@table.row(
    "two clusters on $S^1$ at an angle of 0.8, concentration 300, `sa`, $\\beta = 9$, "
    "$\\kappa = 0.003$: second moment across at $t = 0.5, 1, 2, 3, 4, 6$",
    "{:.5f}, {:.5f}, {:.5f}, {:.5f}, {:.5f}, {:.5f}", known=MERGED,
    within=(3e-5, 1e-4, 2e-4, 1e-4, 2e-5, 1e-5),
    source="implicit, from 2 000 and 4 000 vertices", quick=True,
)  # fmt: skip
def two_clusters() -> Values:
    a = 0.4
    centres = ((-math.sin(a), math.cos(a)), (math.sin(a), math.cos(a)))
    law = mf.Mixture([mf.VonMisesFisher(n, 300.0) for n in centres], [0.6, 0.4])
    solver = _gaussian(law, 2, 3e-3)
    return tuple(_second(until(solver, t).weights, solver.x) for t in TIMES)


def _one(d: int, kappa: float) -> Values:
    """Relative differences of the variance of one cluster at t = 1, 2, 3."""
    law = mf.VonMisesFisher((0.0,) * (d - 1) + (1.0,), 20.0)
    solver = _gaussian(law, d, kappa)
    on = space("circle", 1000, 2) if d == 2 else space("zonal", 600, 3)
    fine = implicit(on, attention("sa", 9.0, on), law, kappa, rtol=1e-4)
    found = []
    for t in (1.0, 2.0, 3.0):
        until(solver, t)
        until(fine, t)
        c = places(on)[:, -1]
        exact = (1.0 - float(masses(fine) @ (c * c))) / (d - 1)
        found.append(_second(solver.weights, solver.x) / exact - 1.0)
    return tuple(found)


@table.row(
    "one cluster on $S^1$, concentration 20, $\\beta = 9$, $\\kappa = 0.02$: relative difference "
    "of the variance at $t = 1, 2, 3$", "{:.1e}, {:.1e}, {:.1e}",
    source="implicit, 1 000 vertices",
)  # fmt: skip
def one_circle() -> Values:
    return _one(2, 0.02)


@table.row("the same on $S^2$", "{:.1e}, {:.1e}, {:.1e}", source="implicit, 600 latitudes")
def one_sphere() -> Values:
    return _one(3, 0.02)


def _passing(solver: object, second: object) -> Values:
    """When the second moment across falls below 0.01 and below 3 kappa: every 0.25, between."""
    before, found, goals = (0.0, second()), [], [0.01, 3e-3]  # type: ignore[operator]
    while goals:
        t = before[0] + 0.25
        until(solver, t)
        now = (t, second())  # type: ignore[operator]
        while goals and now[1] < goals[0]:
            goal = math.log(goals.pop(0))
            a, b = math.log(before[1]), math.log(now[1])
            found.append(before[0] + 0.25 * (goal - a) / (b - a))
        before = now
    return tuple(found)


@table.row(
    "`small_noise.toml` (three clusters, `sa`, $\\beta = 9$, $\\kappa = 0.001$): times at which "
    "the second moment across falls below 0.01, below $3\\kappa$; seconds",
    "{:.3f}, {:.3f}; {:.2f} s", source="next row",
)  # fmt: skip
def small_noise() -> Values:
    case = shipped("small_noise")
    begun = time.perf_counter()
    solver = _gaussian(case.initial, 3, 1e-3)
    times = _passing(solver, lambda: _second(solver.weights, solver.x))
    return (*times, time.perf_counter() - begun)


@table.row(
    "the same, $10^5$ tokens, steps of 0.05", "{:.3f}, {:.3f}; {:.0f} s", source="another solver"
)
def small_noise_tokens() -> Values:
    from meanfield.dynamics.particles import ParticleSolver

    case = shipped("small_noise")
    x = case.initial.sample(100_000, np.random.default_rng(0))
    pulls = mf.Model(attention="sa", beta=9.0).on(mf.Unmeshed(d=3))
    begun = time.perf_counter()
    solver = ParticleSolver(pulls, x, options=mf.Particles(dt=0.05), kappa=1e-3, seed=1)
    times = _passing(solver, lambda: _second(solver.weights, solver.x))
    return (*times, time.perf_counter() - begun)


@table.row(
    "one cluster at rest under $W = t$: variance over $\\kappa$, less 1, $\\kappa = 0.01, 0.005, "
    "0.0025$", "{:.1e}, {:.1e}, {:.1e}", source="0 to first order in $\\kappa$ (closed form)",
    quick=True,
)  # fmt: skip
def at_rest() -> Values:
    pulls = mf.Model(interaction={"type": "power", "k": 1}).on(mf.Unmeshed(d=3))  # type: ignore[arg-type]
    tight, found = mf.Gaussians(rtol=1e-11, atol=1e-13), []
    for kappa in (0.01, 0.005, 0.0025):
        start = np.array([kappa])
        solver = GaussianSolver(pulls, np.eye(3)[:1], start, options=tight, kappa=kappa)
        found.append(float(until(solver, 30.0).variances.max()) / kappa - 1.0)
    return tuple(found)
