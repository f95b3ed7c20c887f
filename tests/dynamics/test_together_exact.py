"""A kernel beside a potential and beside heads, in time, against exact results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from convergence import rates
from drifts import angular_gaussian

from meanfield.case import Eulerian, Implicit, Lagrangian, Particles
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.solver import Solver
from meanfield.dynamics.space import P1Space
from meanfield.geometry.mesh import icosphere, zonal_interval
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.drifts.given import FunctionPotential
from meanfield.interaction.drifts.potential import Potential
from meanfield.interaction.drifts.potentials import LinearPotential, UnitsPotential
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import Power
from meanfield.interaction.together import Together

M = np.array([[0.9, 1.1, -0.3], [-0.8, -0.4, 0.7], [0.5, -0.9, -0.5]])


def until(solver: Solver, t: float) -> None:
    while solver.t < t:
        solver.advance(t)


def magnet(geometry: str, h: float, strength: float = 1.0) -> Together:
    """W = strength t, U = -h t."""
    field = LinearPotential(field=(0.0, 0.0, h)).on(3)
    return Together((
        Interaction(Power(k=1, strength=strength), 3, geometry),
        Composite((), "sa", 3, geometry, drifts=(field,)),
    ))  # fmt: skip


def idle(geometry: str) -> Interaction:
    return Interaction(Power(k=1, strength=0.0), 3, geometry)


@pytest.mark.parametrize(
    ("geometry", "h", "kappa", "m", "last"),
    [
        ("zonal", 0.1, 0.3, 0.58109724043929, 6e-5),
        ("zonal", 0.05, 0.4, 0.21342484768587, 4e-5),
        ("sphere", 0.1, 0.3, 0.58109724043929, 1.2e-5),
        ("sphere", 0.05, 0.4, 0.21342484768587, 1e-7),
    ],
)
def test_magnet_comes_to_rest_at_langevins_mean(
    geometry: str, h: float, kappa: float, m: float, last: float
) -> None:
    """|m| = A((m + h)/kappa), A(k) = coth k - 1/k; F never rises."""
    assert m == pytest.approx(1.0 / math.tanh((m + h) / kappa) - kappa / (m + h), abs=1e-13)

    def error(level: int) -> float:
        on = geometry == "zonal"
        space = P1Space(zonal_interval(20 * 2**level, 3) if on else icosphere(level))
        solver = ImplicitSolver(space, magnet(geometry, h), np.ones(space.n_owned), kappa)
        until(solver, 400.0)
        assert solver.energy_violations == 0 and solver.refused == 0
        heights = space.manifold.moments_of(space.points)[:, -1]
        found = float(solver.weights * solver.rho @ heights)
        return abs(found - m)

    rates(error, (1, 2, 3)).check(1.9, 2.2, last)


def hill(x: Array) -> Array:
    return np.asarray(-(np.maximum(x[:, 2], 0.0) ** 2))


def hill_slope(x: Array) -> Array:
    out = np.zeros_like(x)
    out[:, 2] = -2.0 * np.maximum(x[:, 2], 0.0)
    return out


@pytest.mark.parametrize(
    "potential",
    [
        UnitsPotential(directions=((0.0, 0.0, 1.0),), weights=(2.0,)),
        FunctionPotential(function=hill, slope=hill_slope),
    ],
    ids=["units", "function"],
)
def test_units_of_a_squared_relu_at_rest(potential: Potential) -> None:
    """U = -(omega/2)(a.x)_+^2, omega = 2, kappa = .2: <a.x> = .7836887665 of Gibbs' measure."""

    def error(n: int) -> float:
        space = P1Space(zonal_interval(n, 3))
        model = Composite((), "sa", 3, "zonal", drifts=(potential.on(3),))
        solver = ImplicitSolver(space, model, np.ones(space.n_owned), 0.2)
        until(solver, 60.0)
        assert solver.energy_violations == 0
        return abs(float(solver.weights * solver.rho @ np.cos(space.points[:, 0])) - 0.7836887665)

    rates(error, (40, 80, 160)).check(1.9, 2.2, 3e-5)


def test_repulsion_in_a_field_is_implicit() -> None:
    """W = -t, U = -.3 t, kappa = .01 by steps of 10: F falls to its minimum and stays there."""
    space = P1Space(zonal_interval(160, 3))
    solver = ImplicitSolver(
        space, magnet("zonal", 0.3, -1.0), np.ones(space.n_owned), 0.01,
        Implicit(dt=10.0, order=1),
    )  # fmt: skip
    before = solver.free_energy_excess()
    for _ in range(30):
        solver.advance(solver.t + 10.0)
        after = solver.free_energy_excess()
        assert after <= before + 1e-14
        before = after
    # The stationary state: m = A((.3 - m)/.01).
    m = 0.25
    for _ in range(200):
        k = (0.3 - m) / 0.01
        m += 0.01 * (1.0 / math.tanh(k) - 1.0 / k - m)
    k = (0.3 - m) / 0.01
    free = -0.01 * math.log(math.sinh(k) / k) - 0.5 * m * m
    assert before == pytest.approx(free, abs=1e-4) and free == pytest.approx(-0.043655, abs=1e-6)


def test_linear_field_beside_a_kernel_that_does_nothing() -> None:
    """The density of P_x(M x), by characteristics and by edges, through the sum of two."""
    mesh = icosphere(3)

    def model() -> AnyInteraction:
        drift = Composite((), "sa", 3, "sphere", drifts=(LinearDrift(M),))
        return Together((idle("sphere"), drift))

    moving = LagrangianSolver(
        model(), mesh, lambda x: np.ones(len(x)), options=Lagrangian(rtol=1e-11, atol=1e-13)
    )
    until(moving, 1.0)
    exact = angular_gaussian(M, 1.0, moving.positions())
    assert np.exp(moving.log_density()) == pytest.approx(exact, rel=1e-9)

    def error(level: int) -> float:
        space = P1Space(icosphere(level))
        solver = EulerianSolver(space, model(), np.ones(space.n_owned), Eulerian())
        until(solver, 0.5)
        return float(solver.weights @ np.abs(solver.rho - angular_gaussian(M, 0.5, space.points)))

    rates(error, (2, 3, 4)).check(1.8, math.inf, 3e-3)


def test_two_halves_are_one() -> None:
    """usa as half a kernel and half a head, tokens in R^5: those of the whole."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 5))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    head = HeadMatrices(2.0 * np.eye(5), 0.5 * np.eye(5))
    half = Composite((head,), "usa", 5)
    ends: list[Array] = []
    for model in (Attention("usa", 2.0, 5), Together((half, half))):
        solver = ParticleSolver(model, x, options=Particles(number=30, rtol=1e-11, atol=1e-13))
        until(solver, 0.5)
        ends.append(solver.x)
        assert solver.energy_violations == 0
    assert ends[0] == pytest.approx(ends[1], abs=1e-9)
