"""Kernels in every solver: growth rates, two Diracs, energies, the Onsager state on S^2."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernels import ONE_OF_EACH
from parameters import slow_but
from scipy import integrate

from meanfield.case import Eulerian, Implicit, Lagrangian, Particles
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.layers import LayerSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.laws import Gegenbauer, VonMisesFisher
from meanfield.geometry.manifolds import Latitudes
from meanfield.geometry.mesh import circle, icosphere
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import (
    Exponential,
    Gaussian,
    Kernel,
    Log,
    Onsager,
    Power,
    Riesz,
    Series,
)
from meanfield.steady.equation import Equation
from meanfield.steady.newton import find_stationary

Make = Callable[..., Any]

KERNELS: dict[str, Kernel] = {
    **ONE_OF_EACH,
    "log link": Series(legendre=(1.2, 1.0), link="log", strength=0.7),
    "repulsive": Gaussian(width=0.4, strength=-1.0),
}
every_kernel = pytest.mark.parametrize("name", KERNELS)


# ------------------------------------------------------------------ linear growth


def growth(kernel: Kernel, d: int, degree: int, kappa: float) -> float:
    """l(l + d - 2)(link' strength lam_l - kappa)."""
    lam = kernel.lam(degree, d) * math.exp(kernel.log_scale)
    slope = 1.0 if kernel.link == "identity" else 1.0 / lam[0]
    return degree * (degree + d - 2) * (kernel.strength * slope * lam[degree] - kappa)


@pytest.mark.parametrize("name", slow_but([0, 3, 6, 11], list(KERNELS)))
@pytest.mark.parametrize("solver", ["eulerian", "implicit", "lagrangian"])
def test_growth_rates_at_the_uniform_state(solver: str, name: str, make_space: Make) -> None:
    kernel, d, size = KERNELS[name], 2, 1e-5
    model = Interaction(kernel, d, "circle")
    for degree in (1, 2, 3):

        def density(x: Array, degree: int = degree) -> Array:
            return 1.0 + size * np.cos(degree * np.arctan2(x[:, 1], x[:, 0]))

        kappa = 0.05 if solver == "implicit" else 0.0
        rate = growth(kernel, d, degree, kappa)
        end = 0.2 / max(abs(rate), 1.0)
        if solver == "lagrangian":
            moving = LagrangianSolver(
                model, circle(200), density, options=Lagrangian(rtol=1e-10, atol=1e-13)
            )
            while moving.t < end:
                moving.advance(end)
            x, m = moving.positions(), moving.mass
        else:
            space = make_space("circle", 400)
            x = space.points
            if solver == "eulerian":
                fixed: Any = EulerianSolver(space, model, density(x), Eulerian(field="stages"))
            else:
                options = Implicit(dt=end / 40)
                fixed = ImplicitSolver(space, model, density(x), kappa, options)
            while fixed.t < end * (1.0 - 1e-12):
                fixed.advance(end)
            m = fixed.weights * fixed.rho
        angle = np.arctan2(x[:, 1], x[:, 0])
        amplitude = 2.0 * float(m @ np.cos(degree * angle)) / size
        assert math.log(amplitude) / end == pytest.approx(rate, abs=2e-3 * max(abs(rate), 1.0))


# ------------------------------------------------------------------ two Diracs


def two_diracs(kernel: Kernel, angle: float, end: float, d: int) -> float:
    """Angle between two equal Diracs: theta' = -strength W'(cos theta) sin theta (link: over Z)."""

    def rate(_: float, y: Array) -> Array:
        u = np.array([2.0 * math.sin(0.5 * y[0]) ** 2])
        scale = math.exp(kernel.log_scale)
        slope = float(kernel.dw(1.0 - u, u, d)[0]) * kernel.unit * scale
        if kernel.link == "log":
            here = float(kernel.w(np.ones(1), np.zeros(1), d)[0])
            slope /= 0.5 * (here + float(kernel.w(1.0 - u, u, d)[0])) * scale
        return np.array([-kernel.strength * slope * math.sin(y[0])])

    found = integrate.solve_ivp(rate, (0.0, end), [angle], rtol=1e-12, atol=1e-13, method="DOP853")
    return float(found.y[0, -1])


@every_kernel
@pytest.mark.parametrize("d", [2, 3, 7])
def test_two_diracs(name: str, d: int) -> None:
    kernel, angle, end = KERNELS[name], 1.1, 0.3
    x = np.zeros((2, d))
    x[0, 0], x[1, 0], x[1, 1] = 1.0, math.cos(angle), math.sin(angle)
    tokens = ParticleSolver(Interaction(kernel, d), x, options=Particles(rtol=1e-11, atol=1e-12))
    while tokens.t < end:
        tokens.advance(end)
    wanted = two_diracs(kernel, angle, end, d)
    a, b = tokens.x
    found = 2.0 * math.atan2(float(np.linalg.norm(a - b)), float(np.linalg.norm(a + b)))
    loose = 1e-7 if name == "function" else 1e-9
    assert found == pytest.approx(wanted, abs=loose)
    assert abs(wanted - angle) > 0.01


def test_singular_kernels_among_many_tokens() -> None:
    # 70 tokens take the table, 40 the sums themselves: the same flow of pairs.
    rng = np.random.default_rng(5)
    x = uniform_points(70, 3, rng)
    for kernel in (Log(strength=-1.0), Onsager(strength=-1.0), Riesz(s=1.0, strength=-0.2)):
        solver = ParticleSolver(
            Interaction(kernel, 3, "sphere"), x, options=Particles(rtol=1e-9, atol=1e-11)
        )
        energies = [solver.field().energy()]
        while solver.t < 0.5:
            solver.advance(0.5)
            energies.append(solver.field().energy())
        assert np.all(np.diff(energies) > 0.0)  # E = -1/2 iint |W| rises: they spread
        gap = np.linalg.norm(solver.x[:, None] - solver.x[None], axis=2) + 2.0 * np.eye(70)
        first = np.linalg.norm(x[:, None] - x[None], axis=2) + 2.0 * np.eye(70)
        assert gap.min() > first.min()


def test_layers_take_kernels() -> None:
    x = uniform_points(50, 4, np.random.default_rng(1))
    solver = LayerSolver(Interaction(Gaussian(width=0.5), 4), x, layer_step=0.01)
    before = solver.field().energy()
    while solver.t < 1.0:
        solver.advance(1.0)
    assert solver.field().energy() > before


# ------------------------------------------------------------------ energies


@every_kernel
@pytest.mark.parametrize("dt", [0.1, 10.0])
def test_free_energy_falls_with_every_kernel(name: str, dt: float, make_space: Make) -> None:
    kernel = KERNELS[name]
    space = make_space("zonal", 80, 3)
    kappa = 0.0 if kernel.link == "log" else 0.05
    law = Gegenbauer(3, (0.4, -0.2, 0.1))
    rho = law.density(Latitudes(3).embed(space.points))
    options = Implicit(dt=dt)
    solver = ImplicitSolver(space, Interaction(kernel, 3, "zonal"), rho, kappa, options)
    values = [solver.free_energy_excess()]
    for _ in range(6):
        solver.advance(1e9)
        values.append(solver.free_energy_excess())
        assert np.all(solver.rho >= 0.0)
        assert math.fsum(solver.weights * solver.rho) == pytest.approx(1.0, abs=1e-13)
    assert np.max(np.diff(values)) <= 1e-11 * max(abs(v) for v in values)
    assert (solver.refused, solver.energy_violations) == (0, 0)
    assert values[-1] < values[0] - 1e-5


@pytest.mark.parametrize("geometry", ["zonal", "sphere"])
def test_repulsion_falls_to_rest_at_any_step(geometry: str, make_space: Make) -> None:
    # W = -t, kappa = .01, dt = 10: with the old potential F rose in 16 of 30 steps.
    space = make_space(geometry, 200 if geometry == "zonal" else 3)
    law = VonMisesFisher((0.0, 0.0, 1.0), 3.0)
    rho = law.density(space.manifold.embed(space.points))
    for order in (1, 2):
        options = Implicit(dt=10.0, order=order)
        model = Interaction(Power(k=1, strength=-1.0), 3, geometry)
        solver = ImplicitSolver(space, model, rho, 0.01, options)
        values = [solver.free_energy_excess()]
        for _ in range(30):
            assert solver.advance(1e9) == pytest.approx(10.0)
            values.append(solver.free_energy_excess())
        assert np.max(np.diff(values)) <= 1e-12
        assert values[-1] == pytest.approx(0.0, abs=1e-12)  # uniform, from which F is counted
        assert (solver.refused, solver.energy_violations, solver.failed) == (0, 0, 0)


@pytest.mark.parametrize("solver", ["eulerian", "implicit", "lagrangian"])
def test_nothing_is_wrong_at_rest(solver: str, make_space: Make) -> None:
    # lam_0 = 0: E itself goes to 0, and round-off is all that is left of it.
    model = Interaction(Power(k=1, strength=-1.0), 3, "sphere")
    law = VonMisesFisher((0.0, 0.6, 0.8), 2.0)
    if solver == "lagrangian":
        found: Any = LagrangianSolver(model, icosphere(2), law.density)
    else:
        space = make_space("sphere", 2)
        rho = law.density(space.points)
        kind: Any = EulerianSolver if solver == "eulerian" else ImplicitSolver
        found = kind(space, model, rho)
    while found.t < 200.0:
        found.advance(200.0)
    assert found.energy_violations == 0
    assert abs(found.field().energy()) < 1e-12


def test_a_fixed_step_without_a_fixed_point_stops_in_one_line(make_space: Make) -> None:
    space = make_space("circle", 120)
    rho = np.full(120, 1e-6)
    rho[3] = 1.0
    model = Interaction(Exponential(beta=4.0, strength=-1.0), 2, "circle")
    solver = ImplicitSolver(space, model, rho, 0.0, Implicit(dt=1e4))
    with pytest.raises(BrokenInvariantError, match="the repulsive part of a fixed step") as caught:
        for _ in range(3):
            solver.advance(1e9)
    assert "\n" not in str(caught.value)
    free = ImplicitSolver(space, model, rho, 0.0)
    for _ in range(5):
        free.advance(1e9)
    assert free.t > 0.0 and free.energy_violations == 0


# ------------------------------------------------------------------ Onsager on S^2


def order_parameter(solver: ImplicitSolver) -> float:
    x = solver.space.points[: solver.space.n_owned]
    m = solver.weights * solver.rho
    values = np.linalg.eigvalsh((x * m[:, None]).T @ x)
    return float(1.5 * values[-1] - 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [(3, 4), (4, 5)])
def test_time_stepping_reaches_the_onsager_state(levels: Any, make_space: Make) -> None:
    kappa = 0.08
    exact = find_stationary(Equation(Onsager(), kappa, 3), Gegenbauer(3, (0.0, 0.8)), "zonal").c2
    axis = np.array([0.36, 0.48, 0.8])
    errors = []
    for level in levels:
        space = make_space("sphere", level)
        t = space.points @ axis
        rho = 1.0 + 0.8 * (1.5 * t * t - 0.5)
        solver = ImplicitSolver(space, Interaction(Onsager(), 3, "sphere"), rho, kappa)
        # Not to rest: the axis turns for ever slower towards a place that the mesh prefers.
        while solver.t < 300.0:
            solver.advance(300.0)
        assert solver.energy_violations == 0 and solver.speed() < 1e-3
        errors.append(order_parameter(solver) - exact)
    assert abs(errors[-1]) < 2e-3 * 4.0 ** (4 - levels[-1])
    # Second order in h, or better: the state at rest is exact up to the quadrature of the weights,
    # which are balanced to a higher degree on the finer mesh.
    assert abs(errors[0] / errors[1]) > 3.3
