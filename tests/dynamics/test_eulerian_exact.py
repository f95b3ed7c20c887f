"""The Eulerian solver against exact solutions: growth rates, conformal flow, reference values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
from convergence import rates
from parameters import slow_but

from meanfield.analysis import exact
from meanfield.case import Eulerian
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.geometry.laws import (
    Fourier,
    Gegenbauer,
    Harmonic,
    PoissonKernel,
    standard_density,
)
from meanfield.geometry.sphere import random_rotation

Make = Callable[..., Any]

ACCURATE = Eulerian(stepper="ssprk3", cfl=0.5, field="stages")


def run(solver: EulerianSolver, t_end: float) -> EulerianSolver:
    while solver.t < t_end:
        solver.advance(t_end)
    return solver


def at_vertices(space: Any) -> np.ndarray:
    """Unit vectors of this rank's vertices."""
    return space.manifold.embed(space.points[: space.n_owned])


def moment(solver: EulerianSolver, f: np.ndarray) -> float:
    return float((solver.weights * solver.rho) @ f)


# ------------------------------------------------------------------ linear growth


def mode(kind: str, d: int, degree: int, order: int, amplitude: float) -> Any:
    """The law 1 + amplitude * (harmonic of maximum one)."""
    if kind == "sphere":
        return Harmonic(((degree, order, amplitude),))
    if kind == "circle":
        cos = (0.0,) * (degree - 1) + (amplitude,)
        return Fourier(cos=cos) if order == 0 else Fourier(sin=cos)
    return Gegenbauer(d, (0.0,) * (degree - 1) + (amplitude,))


def measured_rate(
    make_solver: Make, space: Any, model: str, beta: float, degree: int, order: int, t_end: float
) -> float:
    """Growth rate fitted to the amplitude of a perturbation of size 1e-5, all steps to t_end."""
    kind, d = space.geometry, space.d
    shape = 2.0 * (mode(kind, d, degree, order, 0.5).density(at_vertices(space)) - 1.0)
    solver = make_solver(space, model, beta, mode(kind, d, degree, order, 1e-5))
    times, amplitudes = [0.0], [moment(solver, shape)]
    while solver.t < t_end:
        solver.advance(t_end)
        times.append(solver.t)
        amplitudes.append(moment(solver, shape))
    assert amplitudes[-1] < 2e-4  # still linear
    return float(np.polyfit(times, np.log(amplitudes), 1)[0])


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_growth_rates_on_the_sphere(
    degree: int, model: str, make_space: Make, make_solver: Make
) -> None:
    # 1 % at level 5 is asked for; 0.15 % is what it does, and the level-4 error is 4 times larger.
    t_end = 2.0 if model == "sa" else 0.4
    expected = exact.growth_rate(model, 4.0, 3, degree)
    for order in (0, degree):
        rate = measured_rate(make_solver, make_space("sphere", 5), model, 4.0, degree, order, t_end)
        assert rate == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_growth_rates_on_the_circle(
    degree: int, model: str, make_space: Make, make_solver: Make
) -> None:
    t_end = 2.0 if model == "sa" else 0.1
    expected = exact.growth_rate(model, 5.0, 2, degree)
    for order in (0, 1):
        rate = measured_rate(
            make_solver, make_space("circle", 256), model, 5.0, degree, order, t_end
        )
        assert rate == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_growth_rates_in_eight_dimensions(
    degree: int, model: str, make_space: Make, make_solver: Make
) -> None:
    t_end = 2.0 if model == "sa" else 1.0
    rate = measured_rate(make_solver, make_space("zonal", 128, 8), model, 4.0, degree, 0, t_end)
    assert rate == pytest.approx(exact.growth_rate(model, 4.0, 8, degree), rel=3e-3)


def test_repelled_perturbations_decay(make_space: Make, make_solver: Make) -> None:
    space = make_space("sphere", 4)
    shape = 2.0 * (Harmonic(((2, 1, 0.5),)).density(space.points) - 1.0)
    solver = make_solver(space, "sa", 4.0, Harmonic(((2, 1, 1e-5),)), None, -1)
    before = moment(solver, shape)
    run(solver, 2.0)
    rate = np.log(moment(solver, shape) / before) / 2.0
    assert rate == pytest.approx(exact.growth_rate("sa", 4.0, 3, 2, value=-1), rel=5e-3)


@pytest.mark.parametrize(
    ("amplitude", "accuracy"), [(1e-3, 1e-2), (1e-5, 1e-2), (1e-7, 1e-2), (1e-10, 3e-2)]
)
def test_growth_rate_at_any_amplitude(
    amplitude: float, accuracy: float, make_space: Make, make_solver: Make
) -> None:
    # Below the noise of the transforms steps see no error: they must not grow without bound.
    space = make_space("sphere", 4)
    shape = 2.0 * (Harmonic(((2, 0, 0.5),)).density(space.points) - 1.0)
    solver = make_solver(space, "sa", 4.0, Harmonic(((2, 0, amplitude),)))
    before = moment(solver, shape)
    run(solver, 5.0)
    rate = np.log(moment(solver, shape) / before) / 5.0
    assert rate == pytest.approx(exact.growth_rate("sa", 4.0, 3, 2), rel=accuracy)


# ------------------------------------------------------------------ beta = 0: conformal flow

AXES = {"sphere": (0.5, -0.3, 0.7), "circle": (0.6, 0.8)}


def poisson(kind: str, d: int, r: float) -> PoissonKernel:
    """Off every symmetry axis of the meshes where that is possible."""
    axis = np.array(AXES.get(kind, (0.0,) * (d - 1) + (1.0,)))
    return PoissonKernel(tuple(r * axis / np.linalg.norm(axis)))


def poisson_errors(
    make_solver: Make, space: Any, t_end: float, model: str, scheme: Eulerian | None
) -> tuple[float, float, float]:
    """Errors of the density in L1(sigma), of the energy (relative), of the mean."""
    kind, d = space.geometry, space.d
    solver = run(make_solver(space, model, 0.0, poisson(kind, d, 0.2), scheme), t_end)
    r = float(exact.poisson_radius(t_end, 0.2, d))
    m = float(exact.poisson_mean_length(r, d))
    x = at_vertices(space)
    rho = poisson(kind, d, r).density(x)
    axis = np.array(AXES.get(kind, (0.0,) * (d - 1) + (1.0,)))
    mean = x.T @ (solver.weights * solver.rho)
    if kind == "zonal":
        mean[:-1] = 0.0  # the embedding is one point of each circle of latitude
    assert solver.energy_violations == 0
    return (
        float(solver.weights @ np.abs(solver.rho - rho)),
        abs(solver.field().energy() / (0.5 * m * m) - 1.0),
        float(np.linalg.norm(mean - m * axis / np.linalg.norm(axis))),
    )


CONFORMAL = [
    # kind, sizes, d, largest error in L1 at the finest
    ("sphere", (3, 4, 5), 3, 1.2e-3),
    ("circle", (64, 128, 256), 2, 1e-4),
    ("zonal", (64, 128, 256), 3, 2e-4),
    ("zonal", (64, 128, 256), 8, 3e-3),
]


@pytest.mark.parametrize(("kind", "sizes", "d", "final"), CONFORMAL)
@pytest.mark.parametrize("scheme", [None, ACCURATE], ids=["default", "accurate"])
def test_conformal_flow_converges_at_second_order(
    scheme: Eulerian | None,
    kind: str,
    sizes: tuple[int, ...],
    d: int,
    final: float,
    make_space: Make,
    make_solver: Make,
) -> None:
    # r_0 = .2 to t = 2; fitted order in L1 over three levels.
    last: tuple[float, ...] = ()

    def error(n: int) -> float:
        nonlocal last
        first, *last = poisson_errors(make_solver, make_space(kind, n, d), 2.0, "sa", scheme)
        return first

    # On the circle from 64 to 128 vertices; 1.90 to 256.
    rates(error, sizes).check(1.87 if kind == "circle" else 1.9, math.inf, final)
    assert len(last) == 2 and max(last) < 1e-3


@pytest.mark.parametrize(("kind", "size", "d"), [("sphere", 4, 3), ("circle", 128, 2)])
def test_sa_and_usa_are_the_same_at_beta_zero(
    kind: str, size: int, d: int, make_space: Make, make_solver: Make
) -> None:
    space = make_space(kind, size, d)
    one = run(make_solver(space, "sa", 0.0, poisson(kind, d, 0.2)), 1.0)
    two = run(make_solver(space, "usa", 0.0, poisson(kind, d, 0.2)), 1.0)
    np.testing.assert_allclose(one.rho, two.rho, rtol=1e-12)


def test_conformal_flow_backwards(make_space: Make, make_solver: Make) -> None:
    # V = -I: the Poisson kernel spreads to the uniform measure.
    space = make_space("sphere", 4)
    solver = run(make_solver(space, "sa", 0.0, poisson("sphere", 3, 0.5), None, -1), 3.0)
    r = float(exact.poisson_radius(3.0, 0.5, 3, value=-1))
    rho = poisson("sphere", 3, r).density(space.points)
    assert solver.weights @ np.abs(solver.rho - rho) < 2e-3
    assert solver.energy_violations == 0


@pytest.mark.parametrize("d", [3, 8])
def test_conformal_flow_at_the_poles(d: int, make_space: Make, make_solver: Make) -> None:
    # Clusters sit at the pole of the zonal geometry, where cells have almost no mass: pointwise.
    errors = []
    for n in (128, 256):
        space = make_space("zonal", n, d)
        solver = run(make_solver(space, "sa", 0.0, poisson("zonal", d, 0.2)), 2.0)
        r = float(exact.poisson_radius(2.0, 0.2, d))
        rho = poisson("zonal", d, r).density(at_vertices(space))
        errors.append(np.max(np.abs(solver.rho - rho)) / rho.max())
    assert errors[1] < (1e-3 if d == 3 else 5e-2)
    assert errors[0] / errors[1] > 3.0


# ------------------------------------------------------------------ the standard density


@pytest.mark.parametrize(
    ("level", "at_one", "at_four"),
    [
        (4, 9.1e-5, 3.0e-3),
        (5, 1.9e-5, 4e-4),
        pytest.param(6, 5e-6, 9e-5, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("scheme", slow_but([0], [None, ACCURATE]), ids=["default", "accurate"])
def test_standard_density(
    scheme: Eulerian | None,
    level: int,
    at_one: float,
    at_four: float,
    make_space: Make,
    make_solver: Make,
) -> None:
    # Errors of the mean: what is asked of the limiter with a bound (measured: T = 1 7.3e-5, 1.4e-5,
    # 3.3e-6, T = 4 2.8e-3, 3.2e-4, 7.8e-5). Of energies nothing is: what was measured, rounded up.
    space = make_space("sphere", level)
    solver = make_solver(space, "sa", 4.0, standard_density(), scheme)
    h2 = 4.0 ** (4 - level)
    bounds = ((at_one, 1.1e-3 * h2), (at_four, 4.5e-3 * h2))
    for point, (mean_error, energy_error) in zip(reference.STANDARD_SA, bounds, strict=True):
        run(solver, point.t)
        mean = space.points.T @ (solver.weights * solver.rho)
        assert np.linalg.norm(mean - point.mean) < mean_error
        energy = solver.field().energy(scaled=True)
        assert energy == pytest.approx(point.energy_scaled, rel=energy_error)
    assert solver.energy_violations == 0


def test_upwinding_is_first_order(make_space: Make, make_solver: Make) -> None:
    def error(level: int) -> float:
        space = make_space("sphere", level)
        solver = make_solver(space, "sa", 4.0, standard_density(), Eulerian(scheme="upwind"))
        run(solver, 1.0)
        mean = space.points.T @ (solver.weights * solver.rho)
        return float(np.linalg.norm(mean - reference.STANDARD_SA[0].mean))

    rates(error, (3, 4, 5)).check(0.85, 1.15, 3.1e-3)


def test_rotation_changes_less_than_refinement(make_space: Make, make_solver: Make) -> None:
    law = standard_density()
    rng = np.random.default_rng(11)
    times = (0.5, 1.0, 2.0, 4.0)

    def energies(level: int, rotation: np.ndarray) -> np.ndarray:
        space = make_space("sphere", level)
        solver = make_solver(space, "sa", 4.0, law.density(space.points @ rotation))
        return np.array([run(solver, t).field().energy(scaled=True) for t in times])

    plain, finer = energies(4, np.eye(3)), energies(5, np.eye(3))
    for _ in range(3):
        turned = energies(4, random_rotation(3, rng))
        assert np.all(np.abs(turned - plain) < 0.6 * np.abs(finer - plain))


# ------------------------------------------------------------------ reference trajectories

ZONAL_START = Gegenbauer(3, (0.3, 0.25))
TRAJECTORIES = {"sa": reference.ZONAL_SA, "usa": reference.ZONAL_USA}


def trajectory_errors(
    solver: EulerianSolver, points: tuple[reference.TrajectoryPoint, ...]
) -> np.ndarray:
    """(times, 3): errors of c_1, c_2 and (relative) of E."""
    x = at_vertices(solver.space)[:, -1]
    errors = []
    for point in points:
        run(solver, point.t)
        c1, c2 = moment(solver, x), moment(solver, 1.5 * x * x - 0.5)
        relative = solver.field().energy() / point.energy - 1.0
        errors.append((c1 - point.moments[0], c2 - point.moments[1], relative))
    return np.abs(errors)


@pytest.mark.parametrize("model", ["sa", "usa"])
def test_zonal_trajectories(model: str, make_space: Make, make_solver: Make) -> None:
    solver = make_solver(make_space("zonal", 512), model, 4.0, ZONAL_START)
    assert trajectory_errors(solver, TRAJECTORIES[model]).max() < 5e-5


@pytest.mark.parametrize("model", ["sa", "usa"])
def test_zonal_trajectories_on_a_level_five_sphere(
    model: str, make_space: Make, make_solver: Make
) -> None:
    # Second order; the 1e-4 that is asked for needs finer meshes, see below. That of space alone,
    # with steps as short as one likes, is 9.3e-4 in E of usa.
    solver = make_solver(make_space("sphere", 5), model, 4.0, ZONAL_START)
    assert trajectory_errors(solver, TRAJECTORIES[model]).max() < (
        6e-4 if model == "sa" else 9.5e-4
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_zonal_trajectories_on_the_sphere(model: str, make_space: Make, make_solver: Make) -> None:
    # The error of E is of second order: 1.2e-4 at level 6.
    solver = make_solver(make_space("sphere", 7), model, 4.0, ZONAL_START)
    assert trajectory_errors(solver, TRAJECTORIES[model]).max() < 1e-4


@pytest.mark.parametrize(("kind", "size"), [("circle", 512), ("zonal", 512)])
def test_circle_trajectory(kind: str, size: int, make_space: Make, make_solver: Make) -> None:
    # Fourier counts phi from e_1, the zonal geometry theta from e_2: cos(l angle) in both.
    space = make_space(kind, size, 2)
    law = Fourier(cos=(0.1, 0.0, 0.2)) if kind == "circle" else Gegenbauer(2, (0.1, 0.0, 0.2))
    point = reference.CIRCLE_SA
    solver = run(make_solver(space, "sa", 4.0, law), point.t)
    p = space.points
    angle = np.arctan2(p[:, 1], p[:, 0]) if kind == "circle" else p[:, 0]
    for l, expected in enumerate(point.moments, start=1):
        assert moment(solver, np.cos(l * angle)) == pytest.approx(expected, abs=1e-4)
    assert solver.field().energy() == pytest.approx(point.energy, rel=1e-4)


# ------------------------------------------------------------------ bounds and symmetries


def test_bounds_that_hold_for_every_solution(make_space: Make, make_solver: Make) -> None:
    # sa: |X| <= 1, max rho <= e^{2 t} max rho_0; lam_0/(2 beta) <= E <= e^beta/(2 beta).
    space = make_space("sphere", 4)
    solver = make_solver(space, "sa", 4.0, standard_density())
    top = solver.rho.max()
    low, high = exact.energy_bounds(4.0, 3)
    for t in (0.5, 1.0, 2.0, 4.0, 8.0):
        run(solver, t)
        assert np.linalg.norm(solver.velocity(), axis=1).max() <= 1.0
        assert solver.rho.max() <= np.exp(2.0 * t) * top
        assert low <= solver.field().energy() <= high


def test_energy_grows_at_the_rate_of_its_dissipation(make_space: Make, make_solver: Make) -> None:
    # dE/dt = int Z |X|^2 dmu (sa), int |X|^2 dmu (usa).
    space = make_space("sphere", 5)
    for model, dt in (("sa", 0.02), ("usa", 0.004)):
        solver = make_solver(space, model, 4.0, standard_density(), ACCURATE)
        run(solver, 10.0 * dt)
        speed2 = np.sum(solver.velocity() ** 2, axis=1)
        if model == "sa":
            speed2 *= np.exp(solver.field().log_partition(space.points))
        rate, before = moment(solver, speed2), solver.field().energy()
        run(solver, 11.0 * dt)
        speed2 = np.sum(solver.velocity() ** 2, axis=1)
        if model == "sa":
            speed2 *= np.exp(solver.field().log_partition(space.points))
        rate = 0.5 * (rate + moment(solver, speed2))
        assert (solver.field().energy() - before) / dt == pytest.approx(rate, rel=5e-3)


def test_usa_keeps_the_torque_free(make_space: Make, make_solver: Make) -> None:
    # usa, any d: int x ^ X dmu = 0, so that d/dt of the mean direction has no rotation part.
    space = make_space("sphere", 4)
    solver = make_solver(space, "usa", 4.0, standard_density())
    run(solver, 0.3)
    mass = (solver.weights * solver.rho)[:, None]
    torque = np.sum(mass * np.cross(space.points, solver.velocity()), axis=0)
    # Up to what the mesh's weights leave of the uniform measure at high degree (3e-7).
    assert np.linalg.norm(torque) < 1e-6
    assert np.linalg.norm(np.sum(mass * solver.velocity(), axis=0)) > 1e-2


def test_meshes_agree(make_space: Make, make_solver: Make) -> None:
    # Icosphere, irregular Delaunay mesh and zonal interval: one solution.
    points = reference.ZONAL_SA[:2]
    for which, bound in ((("sphere", 4, 3), 1.2e-3), (("unstructured", 2500, 3), 3e-3)):
        solver = make_solver(make_space(*which), "sa", 4.0, ZONAL_START)
        assert trajectory_errors(solver, points).max() < bound


def test_reflected_data_stay_reflected(make_space: Make, make_solver: Make) -> None:
    # theta -> pi - theta on an even mesh: the scheme knows no direction.
    space = make_space("zonal", 101, 3)
    flip = np.argsort(space.points[:, 0])[::-1]
    order = np.argsort(space.points[:, 0])
    one = run(make_solver(space, "sa", 4.0, Gegenbauer(3, (0.3, 0.25))), 2.0)
    two = run(make_solver(space, "sa", 4.0, Gegenbauer(3, (-0.3, 0.25))), 2.0)
    np.testing.assert_allclose(one.rho[order], two.rho[flip], rtol=1e-9)
