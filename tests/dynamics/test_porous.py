"""Nonlinear diffusion: what holds for any step and any data, and exact solutions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builders import meshes, rough
from parameters import slow_but

from meanfield.analysis.exact import growth_rate
from meanfield.analysis.porous import (
    barenblatt_circle,
    barenblatt_front,
    porous_edge,
    porous_mean,
)
from meanfield.case import Eulerian, Implicit
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.limiters import mean
from meanfield.dynamics.linear import EdgeSystem
from meanfield.errors import InputError
from meanfield.geometry.laws import VonMisesFisher
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import Power, Series

Make = Callable[..., Any]

EXPONENTS = (0.5, 1.5, 2.0, 3.0)

# Whether a mesh resolves the kernel is no matter of positivity.
pytestmark = pytest.mark.filterwarnings("ignore:a mesh of:meanfield.errors.MeanfieldWarning")


def linear(space: Any) -> Interaction:
    """W = <x, y>."""
    return Interaction(Power(k=1), space.d, space.geometry)


def nothing(space: Any) -> Interaction:
    """Nobody pulls."""
    return Interaction(Series(coefficients=(0.0, 0.0)), space.d, space.geometry)


def implicit(
    interaction: AnyInteraction, space: Any, rho: Any, diffusion: Diffusion, **choices: Any
) -> ImplicitSolver:
    return ImplicitSolver(space, interaction, rho, diffusion, Implicit(**choices))


def gathered(space: Any, concentration: float = 2.0) -> np.ndarray:
    """A density about an axis that no mesh prefers (zonal: about e_d)."""
    axis = (0.0,) * (space.d - 1) + (1.0,) if space.geometry == "zonal" else (0.48, 0.36, 0.8)
    x = space.manifold.embed(space.points[: space.n_owned])
    return VonMisesFisher(axis[-space.d :], concentration).density(x)


def length(solver: Any) -> float:
    """|m|."""
    x = solver.space.manifold.moments_of(solver.space.points[: solver.space.n_owned])
    return float(np.linalg.norm((solver.weights * solver.rho) @ x))


def mass(solver: Any) -> float:
    return math.fsum(solver.weights * solver.rho)


def settled(solver: Any, speed: float, most: float = 1e6) -> Any:
    while solver.speed() > speed:
        assert solver.t < most
        solver.advance(most)
    return solver


# ------------------------------------------------------------------ the entropy


@pytest.mark.parametrize("m", [0.3, 0.5, 1.0, 1.0 + 1e-9, 1.5, 2.0, 3.0])
def test_one_entropy(m: float) -> None:
    # H'' = rho^{m-2}, H(1) = 0, H'(1) = 1 for m -> 1; the limit is rho log rho.
    of, rho, step = Diffusion(0.3, m), np.geomspace(1e-3, 1e3, 25), 1e-4
    up, down = rho * (1.0 + step), rho * (1.0 - step)
    slope = (of.entropy(up) - of.entropy(down)) / (up - down)
    pressure = of.pressure(rho) / 0.3
    offset = float((slope - pressure)[12])  # H' is told up to a constant
    np.testing.assert_allclose(slope, pressure + offset, rtol=3e-7, atol=3e-7)
    np.testing.assert_allclose(of.stiffness(rho), 0.3 * rho ** (m - 2.0), rtol=1e-12)
    bend = (of.pressure(up) - of.pressure(down)) / (up - down)
    np.testing.assert_allclose(bend, of.stiffness(rho), rtol=1e-6)
    assert float(of.entropy(np.ones(1))[0]) == 0.0
    np.testing.assert_allclose(of.mobility(rho), 0.3 * rho ** (m - 1.0), rtol=1e-12)
    if abs(m - 1.0) < 1e-6:
        np.testing.assert_allclose(of.entropy(rho), rho * np.log(rho), rtol=1e-7)


@pytest.mark.parametrize("m", EXPONENTS)
def test_finite_where_nothing_is(m: float) -> None:
    of, rho = Diffusion(1.0, m), np.array([0.0, 5e-324, 1e-300, 1.0, 1e12])
    for values in (of.entropy(rho), of.pressure(rho), of.stiffness(rho), of.mobility(rho)):
        assert np.all(np.isfinite(values))
    assert float(of.entropy(rho)[0]) == 0.0


def test_bad_diffusion() -> None:
    for bad in ((-0.1, 2.0), (math.inf, 2.0), (0.1, 0.0), (0.1, math.nan)):
        with pytest.raises(InputError, match="found"):
            Diffusion(*bad)


def test_explicit_steps_of_fast_diffusion_are_refused(make_space: Make) -> None:
    space = make_space("circle", 40, 2)
    with pytest.raises(InputError, match="exponent of 1 or more"):
        EulerianSolver(space, linear(space), np.ones(40), diffusion=Diffusion(0.1, 0.5))
    assert EulerianSolver(space, linear(space), np.ones(40), diffusion=Diffusion(0.0, 0.5)).t == 0.0


# ------------------------------------------------------------------ explicit, linear


def test_explicit_linear_diffusion_is_exact_to_the_mesh(make_space: Make) -> None:
    errors = []
    for n in (26, 51, 101):
        space = make_space("zonal", n, 3)
        x = np.cos(space.points[:, 0])
        second = 1.5 * x * x - 0.5
        solver = EulerianSolver(space, nothing(space), 1.0 + 0.5 * x + 0.3 * second, diffusion=0.5)
        while solver.t < 0.3:
            solver.advance(0.3)
        exact = 1.0 + 0.5 * math.exp(-0.3) * x + 0.3 * math.exp(-0.9) * second
        errors.append(float(solver.weights @ np.abs(solver.rho - exact)))
        assert solver.energy_violations == 0
    assert math.log2(errors[0] / errors[1]) > 1.9 and math.log2(errors[1] / errors[2]) > 1.9
    assert errors[2] < 3e-5


def test_explicit_and_implicit_linear_diffusion_agree(make_space: Make) -> None:
    apart = []
    for n in (26, 51):
        space = make_space("zonal", n, 3)
        pulls = Attention("usa", 2.0, 3, "zonal", 1)
        rho = gathered(space)
        solvers: list[Any] = [
            EulerianSolver(space, pulls, rho, diffusion=0.2),
            implicit(pulls, space, rho, Diffusion(0.2), rtol=1e-5),
        ]
        for solver in solvers:
            while solver.t < 0.3:
                solver.advance(0.3)
        apart.append(float(solvers[0].weights @ np.abs(solvers[0].rho - solvers[1].rho)))
    assert apart[0] < 2e-4 and apart[1] < 0.2 * apart[0]  # the same in space; dt is h^2


@pytest.mark.parametrize("name", ["holes", "hot", "peak"])
@pytest.mark.parametrize("which", [("zonal", 60, 3), ("sphere", 2), ("circle", 64, 2)])
def test_explicit_linear_diffusion_of_rough_data(which: Any, name: str, make_space: Make) -> None:
    space = make_space(*which)
    pulls = Attention("usa", 2.0, space.d, space.geometry, 1)
    solver = EulerianSolver(space, pulls, rough(name, space), diffusion=0.05)
    before = solver.free_energy_excess()
    for _ in range(30):
        solver.advance(1e9)
        after = solver.free_energy_excess()
        assert np.all(solver.rho >= 0.0) and abs(mass(solver) - 1.0) < 1e-14
        assert after <= before + 1e-13 * (abs(before) + 1.0)
        before = after
    assert solver.energy_violations == 0


# ------------------------------------------------------------------ any step, any data


def check_any_step(space: Any, m: float, names: Any, steps: Any) -> None:
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        lam = (0.0, *rng.random(6).tolist())  # attraction: the proof needs no more
        kappa = 0.01 + 0.3 * float(rng.random())
        interaction = Interaction(Series(coefficients=lam), space.d, space.geometry)
        for dt in steps:
            solver = implicit(
                interaction, space, rough(name, space), Diffusion(kappa, m), dt=dt,
                order=1 + number % 2, scheme=("log-muscl", "fitted")[number % 3 // 2],
            )  # fmt: skip
            before = solver.free_energy_excess()
            for _ in range(3):
                solver.advance(1e9)
                after = solver.free_energy_excess()
                assert np.all(solver.rho >= 0.0)  # false for NaN, too
                assert abs(mass(solver) - 1.0) < 3e-15
                assert after - before <= 1e-13 * (abs(after) + abs(before)) + 1e-14
                before = after
            assert solver.step == 3 and solver.energy_violations == 0


@pytest.mark.parametrize("m", EXPONENTS)
@meshes
def test_free_energy_falls(which: Any, m: float, make_space: Make) -> None:
    check_any_step(make_space(*which), m, ("holes", "peak"), (1e-3, 1.0, 1e3))


@pytest.mark.slow
@pytest.mark.parametrize("m", EXPONENTS)
@meshes
def test_free_energy_falls_on_rough_data(which: Any, m: float, make_space: Make) -> None:
    names = ("lognormal", "holes", "hot", "two", "cap", "peak")
    check_any_step(make_space(*which), m, names, (1e-3, 1e-1, 10.0, 1e3))


@pytest.mark.parametrize("m", slow_but([1], [0.5, 2.0]))
def test_repulsion_takes_the_new_potential(m: float, make_space: Make) -> None:
    # The old one holds back nothing: F would rise by a multiple of itself.
    space = make_space("zonal", 60, 3)
    interaction = Interaction(Series(coefficients=(0.0, -1.0, 0.3)), 3, "zonal")
    solver = implicit(interaction, space, gathered(space), Diffusion(0.01, m), dt=10.0, order=1)
    energies = [solver.free_energy_excess()]
    for _ in range(10):
        solver.advance(1e9)
        energies.append(solver.free_energy_excess())
    assert np.max(np.diff(energies)) <= 1e-14
    assert solver.energy_violations == 0


def test_without_a_potential(make_space: Make) -> None:
    # A rotation: drops that are no differences. The density turns and spreads as at rest.
    space = make_space("sphere", 3)
    turn = np.array([[0.0, -0.7, 0.0], [0.7, 0.0, 0.0], [0.0, 0.0, 0.0]])
    still = Composite((), "sa", 3, "sphere", drifts=(LinearDrift(np.zeros((3, 3))),))
    turning = Composite((), "sa", 3, "sphere", drifts=(LinearDrift(turn),))
    rho = gathered(space, 3.0)
    solvers: list[Any] = [
        implicit(turning, space, rho, Diffusion(0.3, 2.0), rtol=1e-4),
        EulerianSolver(space, turning, rho, diffusion=Diffusion(0.3, 2.0)),
    ]
    reference = implicit(still, space, rho, Diffusion(0.3, 2.0), rtol=1e-4)
    for solver in (*solvers, reference):
        while solver.t < 1.0:
            solver.advance(1.0)
    for solver in solvers:
        assert abs(mass(solver) - 1.0) < 1e-13
        assert length(solver) == pytest.approx(length(reference), rel=4e-3)
        mean = (solver.weights * solver.rho) @ space.points[: space.n_owned]
        angle = math.atan2(mean[1], mean[0]) - math.atan2(0.36, 0.48)
        assert angle == pytest.approx(0.7, abs=0.01)


def test_a_shorter_step_leads_to_a_longer_one(make_space: Make) -> None:
    # Newton's method alone finds no root here: ||G|| grows from 1e10 to 1e18.
    space = make_space("zonal", 60, 8)
    check_any_step(space, 3.0, ("lognormal",), (1e3,))
    interaction = Interaction(Series(coefficients=(0.0, 0.6, 0.3)), 8, "zonal")
    solver = implicit(interaction, space, rough("lognormal", space), Diffusion(0.02, 3.0), dt=1e3)
    newton = solver._newton
    assert newton is not None
    pull = newton.pull(solver.drift_of(solver.field()), solver.rho, solver.diffusion)
    assert newton.solve(pull, 1e3, None, patient=False) is None
    found = newton.solve(pull, 1e3, None, patient=True)
    assert found is not None and found.residual < 1e-6


@pytest.mark.parametrize("method", ["lu", "ilu", "amg"])
def test_corrections_of_any_sign(method: str, make_space: Make) -> None:
    space = make_space("sphere", 3)
    solver = implicit(linear(space), space, gathered(space), Diffusion(0.2, 2.0))
    newton = solver._newton
    assert newton is not None
    rates = newton.rates(newton.pull(solver.drift_of(solver.field()), solver.rho, solver.diffusion))
    right = solver.weights * np.random.default_rng(5).standard_normal(space.n_owned)
    correction = EdgeSystem(space, solver.weights, method=method).correct(rates, right, 0.05)
    assert correction is not None
    delta, stars = correction.delta, space.stars
    around = np.sum(rates.arriving * delta[stars.neighbour], axis=0)
    left = right - solver.weights * delta - 0.05 * (rates.leaving * delta - around)
    assert np.sum(np.abs(left)) < 1e-6 * np.sum(np.abs(right))
    # Columns sum to w: what is added is the right side.
    assert float(solver.weights @ delta) == pytest.approx(float(np.sum(right)), abs=1e-6)
    assert np.min(delta) < 0.0 < np.max(delta)


@pytest.mark.parametrize("m", slow_but([1], [1.5, 2.0, 3.0]))
@meshes
def test_explicit_steps_on_rough_data(which: Any, m: float, make_space: Make) -> None:
    space = make_space(*which)
    for name in ("holes", "cap", "peak"):
        solver = EulerianSolver(
            space, linear(space), rough(name, space), diffusion=Diffusion(0.1, m)
        )
        before = solver.free_energy_excess()
        for _ in range(25):
            solver.advance(1e9)
            after = solver.free_energy_excess()
            assert np.all(solver.rho >= 0.0)
            assert abs(mass(solver) - 1.0) < 1e-13
            assert after <= before + 1e-13 * abs(before)
            before = after
        assert solver.energy_violations == 0


def test_edges_have_the_mean_density() -> None:
    down = np.array([0.0, 0.2, 1.0, 2.5, 3.0, 100.0])  # upwind: 1
    p = np.empty(6)
    forward = np.clip(np.log(np.maximum(down, 1e-9)), -20.0, 20.0)
    mean(forward, *np.zeros((4, 6)), p)
    np.testing.assert_allclose(np.exp(0.5 * p), np.minimum(0.5 * (1.0 + down), 2.0), rtol=1e-8)


# ------------------------------------------------------------------ stationary states


def test_exact_means() -> None:
    for kappa, found in ((0.25, 0.550901214889), (0.2, 0.621954051432), (0.1, 0.757828339273)):
        assert porous_mean(kappa, 2.0) == pytest.approx(found, abs=1e-11)
        s = porous_edge(kappa, 2.0)
        assert (1.0 - s) ** 2 * (2.0 + s) == pytest.approx(12.0 * kappa, rel=1e-11)
    assert porous_mean(1.0 / 3.0 - 1e-9, 2.0) == pytest.approx(1.0 / 3.0, abs=1e-4)  # a jump
    assert porous_mean(1.0 / 3.0, 2.0) == 0.0
    for kappa, found in ((0.3, 0.3806483813674), (0.25, 0.5909142686083), (0.2, 0.7319862617251)):
        assert porous_mean(kappa, 0.5) == pytest.approx(found, abs=1e-11)
    with pytest.raises(InputError, match="exponent = 3 found"):
        porous_mean(0.2, 3.0)


@pytest.mark.parametrize("state", slow_but([0, 2], [(2.0, 0.2), (2.0, 0.1), (0.5, 0.2)]))
def test_stationary_means_of_order_two(state: tuple[float, float], make_space: Make) -> None:
    m, kappa = state
    exact, errors = porous_mean(kappa, m), []
    for size in (51, 101, 201):
        space = make_space("zonal", size, 3)
        solver = implicit(linear(space), space, gathered(space), Diffusion(kappa, m))
        settled(solver, 1e-6)
        errors.append(abs(length(solver) - exact))
        if m == 2.0:  # affine where it is not 0, which is beyond the edge
            t = np.cos(space.points[:, 0])
            inside = t > porous_edge(kappa, m) + 0.1
            slope, level = np.polyfit(t[inside], solver.rho[inside], 1)
            assert -level / slope == pytest.approx(porous_edge(kappa, m), abs=3000.0 / size**3)
            assert np.max(solver.rho[t < porous_edge(kappa, m) - 0.1]) < 1e-9
    assert errors[2] < 2e-5
    assert errors[2] < errors[0] / 12.0


@pytest.mark.parametrize("state", slow_but([0], [(2.0, 0.2), (0.5, 0.2)]))
def test_stationary_mean_on_the_sphere(state: tuple[float, float], make_space: Make) -> None:
    m, kappa = state
    # The direction is left to the mesh, so do not wait for it.
    errors = []
    for level in (3, 4):
        space = make_space("sphere", level)
        solver = implicit(linear(space), space, gathered(space), Diffusion(kappa, m))
        errors.append(
            abs(length(settled(solver, 2e-5 * 4.0 ** (4 - level))) - porous_mean(kappa, m))
        )
    assert errors[1] < 1e-4
    assert errors[1] < errors[0] / 3.0


@pytest.mark.parametrize("kappa", [0.32, 0.35])
def test_jump_at_one_third(kappa: float, make_space: Make) -> None:
    # m = 2: no state between 0 and 1/3 is stable but at kappa = 1/3 itself.
    space = make_space("zonal", 101, 3)
    solver = settled(implicit(linear(space), space, gathered(space), Diffusion(kappa, 2.0)), 1e-8)
    expected = porous_mean(kappa, 2.0)
    assert length(solver) == pytest.approx(expected, abs=2e-4)
    assert expected == 0.0 or expected > 1.0 / 3.0


# ------------------------------------------------------------------ in time


@pytest.mark.parametrize("m", [0.5, 1.0, 2.0, 3.0])
def test_the_uniform_state_has_the_same_rates(m: float, make_space: Make) -> None:
    # l (l + d - 2) (lam_l - kappa): l = 1, d = 3, W = t (beta = 0, usa: lam_1 = 1/3).
    space = make_space("zonal", 201, 3)
    rho = 1.0 + 1e-6 * np.cos(space.points[: space.n_owned, 0])
    solver = implicit(linear(space), space, rho, Diffusion(0.2, m), rtol=1e-5)
    start = length(solver)
    while solver.t < 1.0:
        solver.advance(1.0)
    rate = math.log(length(solver) / start)
    expected = float(growth_rate("usa", 0.0, 3, 1, 0.2))
    assert expected == pytest.approx(2.0 * (1.0 / 3.0 - 0.2))
    assert rate == pytest.approx(expected, rel=2e-4)


def spread(solver: Any, m: float, size: int) -> float:
    """L1 error of the spreading from s = 0.002 to 0.02 on the circle (kappa = 1)."""
    end = 0.018 * m
    while solver.t < end:
        solver.advance(end)
    x = solver.space.points[: solver.space.n_owned]
    exact = barenblatt_circle(np.arctan2(x[:, 1], x[:, 0]), 0.02, m)
    assert abs(mass(solver) - 1.0) < 1e-13
    assert solver.energy_violations == 0
    return float(solver.weights @ np.abs(solver.rho - exact))


def orders(make: Callable[[Any, Any, int], Any], m: float, make_space: Make) -> np.ndarray:
    errors = []
    for size in (64, 128, 256):
        space = make_space("circle", size, 2)
        x = space.points[: space.n_owned]
        rho = barenblatt_circle(np.arctan2(x[:, 1], x[:, 0]), 0.002, m)
        errors.append(spread(make(space, rho, size), m, size))
    assert errors[-1] < 1.5e-3
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


def test_barenblatt_profile() -> None:
    assert barenblatt_front(0.002, 2.0) == pytest.approx(0.483597586, abs=1e-9)
    assert barenblatt_front(0.02, 2.0) == pytest.approx(1.041879416, abs=1e-9)
    angle = np.linspace(-math.pi, math.pi, 20001)
    for m in (1.5, 2.0, 3.0):
        assert np.mean(barenblatt_circle(angle, 0.01, m)) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("m", [1.5, 2.0, 3.0])
@pytest.mark.parametrize("order", [1, 2])
def test_barenblatt_by_implicit_steps(m: float, order: int, make_space: Make) -> None:
    def make(space: Any, rho: Any, size: int) -> ImplicitSolver:
        steps = {"dt": 0.018 * m / (2 * size), "order": order}
        return implicit(nothing(space), space, rho, Diffusion(1.0, m), **steps)

    assert np.all(orders(make, m, make_space) >= (1.2 if order == 1 else 1.5))


@pytest.mark.parametrize("m", slow_but([1], [1.5, 2.0, 3.0]))
def test_barenblatt_by_explicit_steps(m: float, make_space: Make) -> None:
    def make(space: Any, rho: Any, size: int) -> EulerianSolver:
        return EulerianSolver(space, nothing(space), rho, diffusion=Diffusion(1.0, m))

    assert np.all(orders(make, m, make_space) >= 1.5)


def test_explicit_and_implicit_agree(make_space: Make) -> None:
    space = make_space("sphere", 3)
    diffusion, rho = Diffusion(0.2, 2.0), gathered(space)
    solvers: list[Any] = [
        EulerianSolver(space, linear(space), rho, diffusion=diffusion),
        implicit(linear(space), space, rho, diffusion, rtol=1e-5),
    ]
    for solver in solvers:
        while solver.t < 1.0:
            solver.advance(1.0)
    one, other = (solver.rho for solver in solvers)
    assert float(solvers[0].weights @ np.abs(one - other)) < 1e-4
    assert solvers[0].free_energy_excess() == pytest.approx(
        solvers[1].free_energy_excess(), abs=1e-5
    )
    assert solvers[0].speed() == pytest.approx(solvers[1].speed(), rel=1e-3)
    assert solvers[0].energy_violations == 0


@pytest.mark.parametrize("steps", [Implicit(), Eulerian()], ids=["implicit", "explicit"])
def test_goes_on_where_it_was(steps: Any, make_space: Make) -> None:
    space = make_space("circle", 64, 2)
    diffusion, rho = Diffusion(0.1, 2.0), gathered(space)

    def fresh() -> Any:
        if isinstance(steps, Implicit):
            return ImplicitSolver(space, linear(space), rho, diffusion, steps)
        return EulerianSolver(space, linear(space), rho, steps, diffusion=diffusion)

    straight = fresh()
    for _ in range(12):
        straight.advance(10.0)
    first = fresh()
    for _ in range(5):
        first.advance(10.0)
    second = fresh()
    second.restore(first.state())
    for _ in range(7):
        second.advance(10.0)
    assert second.t == straight.t
    np.testing.assert_array_equal(second.rho, straight.rho)


@pytest.mark.parametrize(("kappa", "m", "d"), [(0.01, 0.5, 8), (0.001, 0.05, 3)])
def test_no_edge_where_mass_gathers_in_a_point(kappa: float, m: float, d: int) -> None:
    with pytest.raises(InputError, match="mass gathers in a point"):
        porous_edge(kappa, m, d)
