"""Kinds of attention other than softmax: linear, hardmax, sinkhorn, sigmoid, l2."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

import meanfield as mf
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.mesh import circle, icosphere
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.composite import KINDS, Composite, HeadMatrices
from meanfield.interaction.composite.kinds.sinkhorn import Sinkhorn
from meanfield.interaction.measure import Measure

from .solving import explicit, implicit, masses, places, space, until, with_order
from .table import Table, Values

table = Table("attention")

START = 1.5  # axis ratio q of the angular Gaussian at t = 0


def _end(t: float) -> float:
    """q at t: (q - 1)^2/q grows by e^t."""
    c = (START - 1.0) ** 2 / START * math.exp(t)
    return 1.0 + 0.5 * c + math.sqrt(c + 0.25 * c * c)


def _narrow(x: Array) -> Array:
    return np.asarray(1.0 / (START * (x[:, 0] ** 2 / START**2 + x[:, 1] ** 2)))


def _linear(geometry: str) -> Composite:
    return Composite((HeadMatrices(np.eye(2), np.eye(2)),), "linear", 2, geometry)


def _ratio(weights: Array, x: Array) -> float:
    square = float(weights @ x[:, 0] ** 2)
    return square / (1.0 - square)


@table.row(
    "`linear`, $S^1$: axis ratio $q$ of an angular Gaussian from 1.5 to $t = 4$, 256 tokens and "
    "256 characteristics", "{:.7f}, {:.7f}", known=(_end(4.0),) * 2,
    source="closed form, $(q - 1)^2/q \\sim e^t$", quick=True,
)  # fmt: skip
def linear() -> Values:
    phi = (np.arange(256) + 0.5) * (2.0 * math.pi / 256)
    x = np.stack([START * np.cos(phi), np.sin(phi)], axis=1)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    tight = mf.Particles(number=256, rtol=1e-11, atol=1e-13)
    tokens = until(ParticleSolver(_linear("any"), x, options=tight), 4.0)
    options = mf.Lagrangian(rtol=1e-10)
    moving = until(LagrangianSolver(_linear("circle"), circle(256), _narrow, options=options), 4.0)
    return _ratio(np.full(256, 1 / 256), tokens.x), _ratio(moving.mass, moving.positions())


@table.row(
    "the same, explicit, 64, 128, 256 vertices: relative error of $q$, order",
    "{:.1e}, {:.1e}, {:.1e}; {:.1f}", source="order 2", quick=True,
)  # fmt: skip
def linear_explicit() -> Values:
    def error(size: int) -> float:
        on = space("circle", size)
        solver = until(explicit(on, _linear("circle"), _narrow(places(on))), 4.0)
        return abs(_ratio(masses(solver), places(on)) / _end(4.0) - 1.0)

    return with_order(error, (64, 128, 256))


M = np.array([[0.9, 1.1, -0.3], [-0.8, -0.4, 0.7], [0.5, -0.9, -0.5]])
LIMIT = np.array([0.511803392, -0.023768299, 0.043844259, 0.241773532, -0.023407436, 0.246423076])


def _seconds(mass: Array, x: Array) -> Array:
    return np.asarray(np.einsum("i,ij,ik->jk", mass, x, x)[np.triu_indices(3)])


@table.row(
    "`hardmax`, $A = 2R$, $V = MR^T$, uniform density, $t = 0.5$: largest error of second moments, "
    "characteristics, explicit, implicit (2 562 points)", "{:.0e}, {:.1e}, {:.1e}",
    source="angular Gaussian of $X = P_x(Mx)$",
)  # fmt: skip
def hardmax() -> Values:
    c, s = math.cos(0.9), math.sin(0.9)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    made = Composite((HeadMatrices(2.0 * turn, M @ turn.T),), "hardmax", 3, "sphere")
    options = mf.Lagrangian(rtol=1e-9)
    moving = LagrangianSolver(made, icosphere(4), lambda x: np.ones(len(x)), options=options)
    until(moving, 0.5)
    found = [float(np.max(np.abs(_seconds(moving.mass, moving.positions()) - LIMIT)))]
    on = space("sphere", 4)
    for make in (explicit, implicit):
        solver = until(make(on, made, np.ones(on.n_owned)), 0.5)
        found.append(float(np.max(np.abs(_seconds(masses(solver), places(on)) - LIMIT))))
    return tuple(found)


def _sinkhorn_rates() -> Values:
    """l(l + 1) a_l/(beta (1 + a_l)), a_l = lam_l/lam_0."""
    l = np.arange(1, 6)
    a = special.spherical_in(l, 4.0) / special.spherical_in(0, 4.0)
    return tuple(l * (l + 1) * a / (4.0 * (1.0 + a)))


@table.row(
    "`sinkhorn`, $\\beta = 4$: growth at the uniform density on $S^2$, $l = 1, \\dots, 5$",
    "{:.8f}, {:.8f}, {:.8f}, {:.8f}, {:.8f}", known=_sinkhorn_rates(),
    source="closed form, $l(l + 1)a_l/(\\beta(1 + a_l))$, $a_l = \\lambda_l/\\lambda_0$",
    quick=True,
)  # fmt: skip
def sinkhorn() -> Values:
    head = HeadMatrices(4.0 * np.eye(3), np.eye(3))
    made = Composite((head,), Sinkhorn(1e-13), 3, "sphere", accuracy=1e-12)
    grid = made.manifold.grid(30, 61)
    found = []
    for l in range(1, 6):
        y = np.polynomial.legendre.Legendre.basis(l)(grid.points[:, 2])
        grown = []
        for eps in (1e-5, -1e-5):
            mu = Measure(grid.points, grid.weights * (1.0 + eps * y), grid.weights)
            divergence = made.field(mu).velocity_and_divergence(grid.points)[1]
            grown.append(-float(np.sum(grid.weights * divergence * y)))
        found.append((grown[0] - grown[1]) / (2e-5 * float(grid.weights @ y**2)))
    return tuple(found)


@table.row(
    "`sigmoid`, `l2`, `sinkhorn`, general $A$ of norm 3, 2 562 points: velocity by transforms less "
    "that by sums over all pairs, largest", "{:.0e}, {:.0e}, {:.0e}",
    source="the same sums, written out pair by pair", rough=True,
)  # fmt: skip
def transforms() -> Values:
    rng = np.random.default_rng(4)
    a = rng.normal(size=(3, 3))
    a *= 3.0 / np.linalg.norm(a, 2)
    head = HeadMatrices(a, rng.normal(size=(3, 3)), np.eye(3))
    x = icosphere(4).points
    m = mf.standard_density().density(x)
    at = uniform_points(200, 3, rng)
    found = []
    for name in ("sigmoid", "l2", "sinkhorn"):
        made = [
            Composite((head,), KINDS[name](), 3, "sphere", method, accuracy=1e-10)
            for method in ("auto", "direct")
        ]
        one, other = (each.field(Measure(x, m / m.sum())).velocity(at) for each in made)
        found.append(float(np.max(np.abs(one - other))))
    return tuple(found)
