"""Tokens: two Diracs, equiangular tokens, a conformal flow, stationary moments with noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import integrate

import meanfield as mf
from meanfield.analysis.exact import equiangular_rate
from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.sphere import Array, geodesic_distance, random_rotation
from meanfield.interaction.attention import Attention

from .solving import until
from .table import Table, Values

table = Table("tokens")

TIGHT: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-11}


def _geometry(d: int) -> str:
    return {2: "circle", 3: "sphere"}.get(d, "any")


def _tokens(model: Any, beta: float, x: Array, **more: Any) -> ParticleSolver:
    d = x.shape[1]
    options = mf.Particles(**TIGHT)
    return ParticleSolver(Attention(model, beta, d, _geometry(d)), x, options=options, **more)


@table.row(
    "two tokens 2 radians apart, $\\beta = 1$, `usa` and `sa`, $d = 128$: angle at the time at "
    "which it is 0.05", "{:.9f}, {:.9f}", known=(0.05, 0.05), source="by quadrature", quick=True,
)  # fmt: skip
def two_diracs() -> Values:
    x = np.zeros((2, 128))
    x[0, 0], x[1, 0], x[1, 1] = 1.0, math.cos(2.0), math.sin(2.0)
    x = x @ random_rotation(128, np.random.default_rng(0)).T
    found = []
    for model, t in (("usa", 2.25647157), ("sa", 5.13270974)):
        found.append(float(geodesic_distance(*until(_tokens(model, 1.0, x), t).x)))
    return tuple(found)


def _gamma(model: str, beta: float, n: int, times: list[float]) -> Array:
    """Cosine of n orthogonal tokens."""
    found = integrate.solve_ivp(
        lambda t, g: equiangular_rate(model, g, beta, n), (0.0, times[-1]), [0.0], "DOP853", times,
        rtol=1e-12, atol=1e-14,
    )  # fmt: skip
    return np.asarray(found.y[0])


@table.row(
    "orthogonal tokens, $(n, d) = (3, 3), (40, 128), (128, 128)$, `sa`, $\\beta = 9$, until "
    "$t = 4$: largest error of cosines", "{:.0e}, {:.0e}, {:.0e}",
    source="a scalar equation, by SciPy", quick=True, rough=True,
)  # fmt: skip
def equiangular() -> Values:
    found = []
    for n, d in ((3, 3), (40, 128), (128, 128)):
        x = np.eye(n, d) @ random_rotation(d, np.random.default_rng(n)).T
        solver, worst = _tokens("sa", 9.0, x), 0.0
        for t, gamma in zip((0.5, 1.5, 4.0), _gamma("sa", 9.0, n, [0.5, 1.5, 4.0]), strict=True):
            gram = until(solver, t).x @ solver.x.T
            worst = max(worst, float(np.max(np.abs(gram[np.triu_indices(n, 1)] - gamma))))
        found.append(worst)
    return tuple(found)


@table.row(
    "`usa`, $d = 3$, $V = -I$, 4, 6, 12 tokens until $t = 400$: energy relative to that of "
    "tetrahedron, octahedron, icosahedron, less 1", "{:.0e}, {:.0e}, {:.0e}",
    source="closed form", rough=True,
)  # fmt: skip
def solids() -> Values:
    found = []
    shells = {
        4: [(3, -1 / 3)], 6: [(4, 0.0), (1, -1.0)],
        12: [(5, 1 / math.sqrt(5)), (5, -1 / math.sqrt(5)), (1, -1.0)],
    }  # fmt: skip
    for n, around in shells.items():
        x = np.random.default_rng(2).normal(size=(n, 3))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        pulls = Attention("usa", 2.0, 3, "sphere", -1)
        tight = mf.Particles(rtol=1e-11, atol=1e-13)
        solver = until(ParticleSolver(pulls, x, options=tight), 400.0)
        exact = 0.25 * (math.exp(2.0) + sum(k * math.exp(2.0 * c) for k, c in around)) / n
        found.append(abs(abs(solver.field().energy()) / exact - 1.0))
    return tuple(found)


PROFILES = {2: (0.9131361279, 0.6958706442), 3: (0.8231632710, 0.5590414935)}


def _with_noise(d: int, dt: float | None) -> Values:
    """|m| and c_2 at rest, averages over 20 batches, each with its standard error."""
    x0 = mf.VonMisesFisher(tuple(np.eye(d)[0]), 5.0).sample(20_000, np.random.default_rng(1))
    pulls = Attention("sa", 4.0, d, _geometry(d))
    solver = until(ParticleSolver(pulls, x0, options=mf.Particles(dt=dt), kappa=0.1, seed=2), 12.0)
    means = np.zeros((20, 2))
    for batch in range(20):
        rows = []
        for _ in range(4):
            until(solver, solver.t + 0.5)
            mean = solver.weights @ solver.x
            length = float(np.linalg.norm(mean))
            c = solver.x @ mean / length
            rows.append((length, float(np.mean((d * c * c - 1.0) / (d - 1.0)))))
        means[batch] = np.mean(rows, axis=0)
    error = means.std(axis=0, ddof=1) / math.sqrt(20)
    first, second = means.mean(axis=0)
    return first, error[0], second, error[1]


SHOWN = "{:.4f} ± {:.4f}, {:.4f} ± {:.4f}"


@table.row(
    "20 000 tokens with noise on $S^2$, `sa`, $\\beta = 4$, $\\kappa = 0.1$, at rest: "
    "$\\lvert m\\rvert$, $c_2$ (standard errors of 20 batches)", SHOWN,
    source="0.8232, 0.5590, fixed point of the profile, another code",
)  # fmt: skip
def noise_sphere() -> Values:
    return _with_noise(3, 0.1)


@table.row(
    "the same on $S^1$", SHOWN, source="0.9131, 0.6959, fixed point of the profile, another code"
)
def noise_circle() -> Values:
    return _with_noise(2, None)
