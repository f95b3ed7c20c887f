"""Heads with matrices, drifts and potentials against exact results."""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import expm
from scipy.stats import special_ortho_group

import meanfield as mf
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import Power
from meanfield.interaction.measure import Measure
from meanfield.interaction.together import Together

from .solving import explicit, implicit, masses, moving_mean, places, settled, space, until
from .table import Table, Values

table = Table("heads")

M = np.array([[0.9, 1.1, -0.3], [-0.8, -0.4, 0.7], [0.5, -0.9, -0.5]])


def _driven(m: Array) -> Composite:
    """X = P_x(M x) alone."""
    return Composite((), "sa", 3, "sphere", drifts=(LinearDrift(m),))


def angular_gaussian(x: Array, t: float, m: Array = M) -> Array:
    """What the flow of P_x(M x) makes of the uniform density."""
    back = x @ expm(-t * m).T
    return np.asarray(np.linalg.norm(back, axis=1) ** -3 / math.exp(t * np.trace(m)))


def _linear_error(kind: str, level: int) -> float:
    on = space("sphere", level)
    make = explicit if kind == "explicit" else implicit
    solver = until(make(on, _driven(M), np.ones(on.n_owned)), 1.5)
    exact = angular_gaussian(places(on), 1.5)
    return float(solver.weights @ np.abs(solver.rho - exact))


@table.row(
    "$X = P_x(Mx)$ from the uniform density, $t = 1.5$: $L^1$ error on 642, 2 562, 10 242 "
    "vertices, explicit", "{:.3f}, {:.3f}, {:.4f}", source="angular Gaussian, closed form",
)  # fmt: skip
def linear_explicit() -> Values:
    return tuple(_linear_error("explicit", level) for level in (3, 4, 5))


@table.row("the same, implicit", "{:.3f}, {:.3f}, {:.4f}", source="the same")
def linear_implicit() -> Values:
    return tuple(_linear_error("implicit", level) for level in (3, 4, 5))


@table.row(
    "the same, characteristics of 642 points: largest relative error of $\\rho$", "{:.0e}",
    source="the same", quick=True, rough=True,
)  # fmt: skip
def linear_characteristics() -> Values:
    solver = LagrangianSolver(
        _driven(M), icosphere(3), lambda x: np.ones(len(x)), options=mf.Lagrangian(rtol=1e-12)
    )
    until(solver, 1.5)
    exact = np.log(angular_gaussian(solver.positions(), 1.5))
    return (float(np.max(np.abs(solver.log_density() - exact))),)


@table.row(
    "$A = \\beta R$, $V = R^T$, $\\beta = 4$, $R$ a rotation by 0.7: growth and frequency of the "
    "mode $(l, m) = (2, 1)$ at the uniform density",
    "{:.8f}, {:.8f}", known=(0.50135020, 0.42228144),
    source="closed form, $r_l \\cos m\\alpha$ and $r_l \\sin m\\alpha$", quick=True,
)  # fmt: skip
def waves() -> Values:
    c, s = math.cos(0.7), math.sin(0.7)
    r = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    made = Composite((HeadMatrices(4.0 * r, r.T),), "sa", 3, "sphere", accuracy=1e-11)
    grid = made.manifold.grid(40, 41)
    x, w = grid.points, grid.weights
    mode, twin = x[:, 0] * x[:, 2], x[:, 1] * x[:, 2]
    slopes = []
    for eps in (1e-4, -1e-4):
        mu = Measure(x, w * (1.0 + eps * mode), w)
        velocity, divergence = made.field(mu).velocity_and_divergence(x)
        flux = (1.0 + eps * mode) * divergence
        gradient = eps * np.stack([x[:, 2], np.zeros(len(x)), x[:, 0]], axis=1)
        slopes.append(-(flux + np.sum(velocity * gradient, axis=1)))
    change = (slopes[0] - slopes[1]) / 2e-4
    square = float(w @ mode**2)
    return float(w @ (change * mode)) / square, abs(float(w @ (change * twin)) / square)


LAM, PAIR = np.array([2.0, 1.9, -0.5]), 0.7
TANH = 2.0 * math.tanh(2.0 * PAIR)


@table.row(
    "two opposite tokens under one head, $V = A/\\beta = \\mathrm{diag}(2, 1.9, -0.5)$, "
    "$\\beta = 0.7$: growth along $e_2$ and $e_3$", "{:.6f}, {:.6f}",
    known=(1.9 - TANH, -0.5 - TANH), source="closed form", quick=True,
)  # fmt: skip
def opposite_pair() -> Values:
    made = Composite((HeadMatrices(PAIR * np.diag(LAM), np.diag(LAM)),), "sa", 3)
    found = []
    for k in (1, 2):
        x = np.zeros((2, 3))
        x[:, 0] = math.cos(1e-4), -math.cos(1e-4)
        x[:, k] = math.sin(1e-4)
        tight = mf.Particles(number=2, rtol=1e-11, atol=1e-13)
        solver = until(ParticleSolver(made, x, options=tight), 0.1)
        found.append(math.log(solver.x[0, k] / 1e-4) / 0.1)
    return tuple(found)


@table.row(
    "conformal flow, $A = 0$, any $V$, a field and a rotation: mean at $t = 1$ (642 points)",
    "{:.7f}, {:.7f}, {:.7f}", known=(0.17839544, 0.58969330, -0.12332039),
    source="an equation for one vector", quick=True,
)  # fmt: skip
def conformal() -> Values:
    v = np.array([[0.9, -0.4, 0.2], [0.5, 0.7, -0.3], [0.0, 0.4, 0.8]])
    turn = np.array([[0.0, -0.8, -0.5], [0.8, 0.0, -0.3], [0.5, 0.3, 0.0]])
    start = np.array([0.2, 0.1, -0.3])

    def poisson(x: Array) -> Array:
        square = start @ start
        return np.asarray(((1.0 - square) / (1.0 + square - 2.0 * x @ start)) ** 2)

    drifts = (LinearDrift(turn), mf.LinearPotential(field=(0.1, -0.2, 0.05)).on(3))
    made = Composite((HeadMatrices(np.zeros((3, 3)), v),), "sa", 3, "sphere", drifts=drifts)
    solver = LagrangianSolver(made, icosphere(3), poisson, options=mf.Lagrangian(rtol=1e-10))
    return tuple(moving_mean(until(solver, 1.0)))


@table.row(
    "$U = -\\langle x, e\\rangle_+^2$ alone, $\\kappa = 0.2$, levels 2, 3, 4: "
    "$\\langle e, x\\rangle$",
    "{:.5f}, {:.5f}, {:.5f}", known=(0.7836887665,) * 3,
    within=(2e-4, 5e-5, 2e-5), source="Gibbs' measure, by quadrature",
    quick=True,
)  # fmt: skip
def cap() -> Values:
    found = []
    for level in (2, 3, 4):
        on = space("sphere", level)
        drift = mf.CapPotential(axis=(0.0, 0.0, 1.0), strength=2.0).on(3)
        made = Composite((), "sa", 3, "sphere", drifts=(drift,))
        solver = until(implicit(on, made, np.ones(on.n_owned), 0.2), 1e4)
        found.append(float(masses(solver) @ places(on)[:, 2]))
    return tuple(found)


@table.row(
    "$W = t$ beside $U = -t/10$, $\\kappa = 0.3$, at rest on 162, 642, 2 562 vertices: "
    "$\\lvert m\\rvert$ less the exact one", "{:.1e}, {:.1e}, {:.1e}",
    source="0.58109724043929, root of $A_3((m + h)/\\kappa) = m$",
)  # fmt: skip
def magnet() -> Values:
    found = []
    for level in (2, 3, 4):
        on = space("sphere", level)
        drift = mf.LinearPotential(field=(0.0, 0.0, 0.1)).on(3)
        alone = Composite((), "sa", 3, "sphere", drifts=(drift,))
        pulls = Together((Interaction(Power(k=1), 3, "sphere"), alone))
        solver = settled(implicit(on, pulls, np.ones(on.n_owned), 0.3), 1e-9)
        m = masses(solver) @ places(on)
        found.append(float(np.linalg.norm(m)) - 0.58109724043929)
    return tuple(found)


@table.row(
    "uniform density under $V = 3A^{-1}$, singular values 9, 4.5, 1.5, until $t = 20$: largest "
    "change, explicit, implicit, characteristics", "{:.0e}, {:.0e}, {:.0e}", source="at rest",
    rough=True,
)  # fmt: skip
def resting() -> Values:
    left, right = (special_ortho_group.rvs(3, random_state=seed) for seed in (3, 4))
    a = left @ np.diag([9.0, 4.5, 1.5]) @ right
    made = Composite((HeadMatrices(a, 3.0 * np.linalg.inv(a)),), "sa", 3, "sphere")
    on = space("sphere", 4)
    found = [
        float(np.max(np.abs(until(make(on, made, np.ones(on.n_owned)), 20.0).rho - 1.0)))
        for make in (explicit, implicit)
    ]
    moving = until(LagrangianSolver(made, icosphere(4), lambda x: np.ones(len(x))), 20.0)
    return (*found, float(np.max(np.abs(moving.log_density()))))
