"""What the implicit solver promises for any step and any data: mass, positivity, energy, rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builders import MESHES, meshes, rough
from parameters import slow_but

from meanfield.case import Implicit
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.linear import EdgeSystem
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.laws import Mixture, Uniform, VonMisesFisher, standard_density
from meanfield.interaction.attention import Attention

Make = Callable[..., Any]

KAPPAS = (0.0, 1e-12, 1e-3, 0.1, 2.0)
STEPS = (1e-4, 1e-2, 1.0, 1e2, 1e4)
ROUGH = ("lognormal", "holes", "hot", "cap", "peak")

# Whether a mesh resolves the kernel is no matter of positivity.
pytestmark = pytest.mark.filterwarnings("ignore:a mesh of:meanfield.errors.MeanfieldWarning")


def solver_of(
    space: Any,
    model: str,
    beta: float,
    rho: Any,
    kappa: float,
    value: int = 1,
    **choices: Any,
) -> ImplicitSolver:
    attention = Attention(model, beta, space.d, space.geometry, value)  # type: ignore[arg-type]
    if not isinstance(rho, np.ndarray):
        rho = rho.density(space.manifold.embed(space.points[: space.n_owned]))
    return ImplicitSolver(space, attention, rho, kappa, Implicit(**choices))


def mass(solver: ImplicitSolver) -> float:
    return math.fsum(solver.weights * solver.rho)


def bump(d: int) -> Mixture:
    """A smooth zonal law."""
    return Mixture((VonMisesFisher((0.0,) * (d - 1) + (1.0,), 5.0), Uniform(d)), (0.5, 0.5))


# ------------------------------------------------------------------ mass and positivity


def check_mass_and_sign(space: Any, beta: float, kappa: float, names: Any, steps: Any) -> None:
    for number, name in enumerate(names):
        for model in ("sa", "usa"):
            for dt in steps:
                limiter = ("log-muscl", "fitted")[number % 2]
                order = 1 + (number + len(model)) % 2
                solver = solver_of(
                    space, model, beta, rough(name, space), kappa, dt=dt, scheme=limiter,
                    order=order,
                )  # fmt: skip
                for _ in range(2):
                    solver.advance(1e9)
                    assert np.all(solver.rho >= 0.0)  # false for NaN, too
                    assert abs(mass(solver) - 1.0) < 1e-13
                assert solver.step == 2


@pytest.mark.parametrize("kappa", slow_but([0, 2, 4], KAPPAS))
@meshes
def test_any_step_keeps_mass_and_sign(which: Any, kappa: float, make_space: Make) -> None:
    check_mass_and_sign(make_space(*which), 4.0, kappa, ("holes", "hot"), (1e-4, 1.0, 1e4))


@pytest.mark.slow
@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("beta", [1.0, 4.0, 9.0])
@meshes
def test_any_step_keeps_mass_and_sign_of_all(
    which: Any, beta: float, kappa: float, make_space: Make
) -> None:
    check_mass_and_sign(make_space(*which), beta, kappa, ROUGH, STEPS)


@pytest.mark.parametrize("kappa", [0.0, 0.1])
@pytest.mark.parametrize("name", slow_but([1, 2], ROUGH))
@meshes
def test_repulsion_keeps_mass_sign_and_energy(
    which: Any, name: str, kappa: float, make_space: Make
) -> None:
    # The potential of repulsion is that of the new density: a fixed point. A fixed step for which
    # there is none to be found (rough data, usa, e^4 times faster) stops, others are halved.
    space = make_space(*which)
    for model in ("sa", "usa"):
        for dt in (1e-4, 1e-2, 1e4, None):
            solver = solver_of(space, model, 4.0, rough(name, space), kappa, -1, dt=dt)
            before = solver.free_energy_excess()
            for _ in range(2 if dt is not None else 8):
                rho, t = solver.rho, solver.t
                try:
                    assert solver.advance(1e9) <= (dt or 1e9) * (1.0 + 1e-11)
                except BrokenInvariantError as error:
                    assert dt == 1e4 and "the repulsive part of a fixed step of 1e+04" in str(error)
                    assert solver.rho is rho and solver.t == t
                    break
                assert np.all(solver.rho >= 0.0)
                assert abs(mass(solver) - 1.0) < 1e-13
                after = solver.free_energy_excess()
                if model == "usa" or kappa == 0.0:
                    assert after - before <= 1e-12 * max(1.0, abs(before))
                before = after
            assert solver.energy_violations == 0
            assert dt == 1e4 or (solver.refused, solver.t > 0.0) == (0, True)


def test_the_tolerance_of_the_linear_solver_spoils_neither(make_space: Make) -> None:
    # A solver that is wrong by a per cent: still positive, still of mass one.
    space = make_space("sphere", 3)
    solver = solver_of(space, "sa", 4.0, rough("lognormal", space), 0.1, tolerance=1e-2 * 1e-2)
    exact = solver_of(space, "sa", 4.0, rough("lognormal", space), 0.1, tolerance=1e-13)
    rates = solver._rates(solver.drift_of(solver.field()), solver.rho, solver.diffusion)
    good = exact._system.solve(rates, solver.rho, 0.02)
    for tolerance in (1e-1, 1e-3, 1e-6):
        system = EdgeSystem(space, solver.weights, tolerance, "ilu")
        loose = system.solve(rates, solver.rho, 0.02)
        assert np.all(loose.rho >= 0.0)
        assert math.fsum(solver.weights * loose.rho) == pytest.approx(1.0, abs=1e-14)
        # The distance from the solution is at most the residual, in the 1-norm of masses.
        distance = float(np.dot(solver.weights, np.abs(loose.rho - good.rho)))
        assert good.residual < 1e-11 < distance <= loose.residual + 1e-11
        assert loose.residual <= tolerance


@pytest.mark.parametrize("method", ["ilu", "lu", "amg"])
def test_linear_solvers_agree(method: str, make_space: Make) -> None:
    for which in MESHES:
        space = make_space(*which)
        for kappa in (0.0, 0.01, 1.0):
            solver = solver_of(space, "sa", 4.0, rough("peak", space), kappa)
            rates = solver._rates(solver.drift_of(solver.field()), solver.rho, solver.diffusion)
            for dt in (1e-3, 1e-1):
                auto = solver._system.solve(rates, solver.rho, dt)
                other = EdgeSystem(space, solver.weights, 1e-12, method)
                found = other.solve(rates, solver.rho, dt)
                assert found.method == method
                distance = np.dot(solver.weights, np.abs(found.rho - auto.rho))
                assert distance < 1e-10


def test_a_system_that_cannot_be_solved_is_an_error(make_space: Make) -> None:
    space = make_space("sphere", 5)
    solver = solver_of(space, "sa", 4.0, standard_density(), 1.0, dt=1e2, linear="ilu")
    before = solver.rho
    with pytest.raises(BrokenInvariantError, match="linear solver left"):
        solver.advance(1e9)
    assert solver.rho is before and (solver.t, solver.step) == (0.0, 0)


# ------------------------------------------------------------------ energy


def check_energy(
    space: Any, model: str, betas: Any, kappas: Any, names: Any, **choices: Any
) -> None:
    moved = 0.0
    for beta in betas:
        for kappa in kappas:
            for name in names:
                for dt in (1e-3, 1.0, 1e4):
                    solver = solver_of(
                        space, model, beta, rough(name, space), kappa, dt=dt, **choices
                    )
                    values = [solver.free_energy_excess()]
                    for _ in range(3):
                        solver.advance(1e9)
                        values.append(solver.free_energy_excess())
                    # But for round-off and the accuracy of the transforms.
                    scale = max(abs(v) for v in values) + solver.field().energy(scaled=True)
                    noise = 4.0 * solver.interaction.epsilon * abs(solver.field().energy_excess())
                    assert np.max(np.diff(values)) <= 1e-12 * scale + noise
                    assert (solver.refused, solver.energy_violations) == (0, 0)
                    moved = max(moved, values[0] - values[-1])
    assert moved > 1e-3


with_energy = pytest.mark.parametrize(("model", "kappas"), [("usa", KAPPAS), ("sa", (0.0,))])


@with_energy
@meshes
def test_energy_is_monotone_for_every_step(
    which: Any, model: str, kappas: Any, make_space: Make
) -> None:
    check_energy(make_space(*which), model, (4.0,), kappas, ("lognormal", "hot"))


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("limiter", ["log-muscl", "fitted"])
@with_energy
@meshes
def test_energy_is_monotone_for_every_step_of_all(
    which: Any, model: str, kappas: Any, limiter: str, order: int, make_space: Make
) -> None:
    names = ("lognormal", "hot", "peak")
    check_energy(
        make_space(*which), model, (1.0, 4.0, 9.0), kappas, names, scheme=limiter, order=order
    )


@pytest.mark.parametrize("kappa", [0.0, 0.2])
def test_free_energy_over_a_controlled_run(kappa: float, make_space: Make) -> None:
    solver = solver_of(make_space("sphere", 3), "usa", 4.0, standard_density(), kappa)
    values = [solver.free_energy_excess()]
    while solver.t < 10.0:
        solver.advance(10.0)
        values.append(solver.free_energy_excess())
    assert np.max(np.diff(values)) <= 1e-13 * abs(values[-1])
    assert values[0] - values[-1] > 0.01
    assert solver.energy_violations == 0
    assert solver.lowered <= 0.1 * solver.step  # the extrapolation is rarely left out


# ------------------------------------------------------------------ rest


@pytest.mark.parametrize("limiter", ["log-muscl", "fitted"])
@pytest.mark.parametrize("kappa", [0.03, 0.3, 3.0])
@meshes
def test_gibbs_states_are_at_rest(which: Any, kappa: float, limiter: str, make_space: Make) -> None:
    # In a fixed potential rho ~ exp(xi/kappa) is stationary, whatever the mesh and the step.
    space = make_space(*which)
    solver = solver_of(space, "sa", 4.0, standard_or_bump(space), kappa, scheme=limiter)
    drift = solver.drift_of(solver.field())
    xi = drift.xi
    gibbs = np.exp((xi - xi.max()) / kappa)[: space.n_owned]
    gibbs /= np.dot(solver.weights, gibbs)
    rates = solver._rates(drift, gibbs, solver.diffusion)
    for dt in STEPS:
        after = solver._system.solve(rates, gibbs, dt).rho
        # Round-off of a factorisation, 1e-16 times dt over the square of the mesh size.
        bound = 1e-12 + 1e-16 * dt * rates.fastest
        assert np.max(np.abs(after / gibbs - 1.0)) < bound


def standard_or_bump(space: Any) -> Any:
    return standard_density() if space.geometry == "sphere" else bump(space.d)


@pytest.mark.parametrize("value", [1, -1])
@pytest.mark.parametrize("kappa", [0.0, 0.1])
@meshes
def test_the_uniform_state_is_at_rest(
    which: Any, kappa: float, value: int, make_space: Make
) -> None:
    space = make_space(*which)
    solver = solver_of(space, "sa", 4.0, np.ones(space.n_owned), kappa, value)
    while solver.t < 5.0:
        solver.advance(5.0)
    assert np.max(np.abs(solver.rho - 1.0)) < 1e-11
    assert solver.speed() < 1e-11


@pytest.mark.parametrize("kappa", [0.0, 0.05])
@meshes
def test_no_round_off_grows_from_the_uniform_state(
    which: Any, kappa: float, make_space: Make
) -> None:
    # Rounding of a solve would: rates of 0.3 and more, e^{60} over this time.
    space = make_space(*which)
    for link in ("sa", "usa"):
        solver = solver_of(space, link, 4.0, np.full(space.n_owned, 1.0), kappa)
        for t in (100.0, 200.0):
            while solver.t < t:
                solver.advance(t)
        assert np.array_equal(solver.rho, np.ones(space.n_owned))
        assert set(solver.solves) == {"none"} and solver.residual == 0.0


def test_speed_is_that_of_the_total_flux(make_space: Make) -> None:
    # X - kappa grad log rho for rho = c e^{b cos theta}: -kappa b grad cos theta beside X.
    for which in (("sphere", 5, 3), ("circle", 400, 2), ("zonal", 400, 5)):
        space = make_space(*which)
        axis = (0.0,) * (space.d - 1) + (1.0,)
        kappa, b = 0.3, 2.0
        solver = solver_of(space, "sa", 0.0, VonMisesFisher(axis, b), kappa)
        x = space.manifold.embed(space.points[: space.n_owned])
        z = np.cos(space.points[: space.n_owned, 0]) if which[0] == "zonal" else x[:, -1]
        m = solver.weights * solver.rho
        mean = float(m @ z)  # X = mean grad cos theta at beta = 0
        exact = abs(mean - kappa * b) * math.sqrt(float(m @ (1.0 - z * z)))
        assert solver.speed() == pytest.approx(exact, rel=3e-3)


# ------------------------------------------------------------------ steps


def test_restart_continues_the_same_run(make_space: Make) -> None:
    space = make_space("sphere", 3)
    one = solver_of(space, "sa", 4.0, standard_density(), 0.05)
    for _ in range(8):
        one.advance(1e3)
    two = solver_of(space, "sa", 4.0, standard_density(), 0.05)
    for _ in range(4):
        two.advance(1e3)
    other = solver_of(space, "sa", 4.0, np.ones(space.n_owned), 0.05)
    other.restore(two.state())
    for _ in range(4):
        other.advance(1e3)
    assert (other.t, other.step, other.dt) == (one.t, one.step, one.dt)
    np.testing.assert_array_equal(other.rho, one.rho)


def test_steps_land_on_the_times_asked_for(make_space: Make) -> None:
    solver = solver_of(make_space("circle", 120, 2), "sa", 4.0, bump(2), 0.1)
    for t in (0.1, 0.1 + 1e-9, 1.0, 1.0 / 3.0 + 1.0):
        while solver.t < t:
            solver.advance(t)
        assert solver.t == t


def test_a_fixed_step_is_kept(make_space: Make) -> None:
    solver = solver_of(make_space("circle", 120, 2), "usa", 4.0, bump(2), 0.1, dt=0.25)
    assert [solver.advance(1.0) for _ in range(4)] == [0.25] * 4


def test_refusals(make_space: Make) -> None:
    space = make_space("circle", 120, 2)
    for kappa in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="kappa"):
            solver_of(space, "sa", 4.0, bump(2), kappa)
    for choices, words in (
        ({"scheme": "upwind"}, r"solver\.scheme"),
        ({"order": 3}, r"solver\.order: .* found 3"),
        ({"rtol": 0.0}, "rtol"),
        ({"dt": -1.0}, r"solver\.dt: .* found -1"),
        ({"linear_tolerance": 1.0}, "linear_tolerance"),
        ({"linear": "lux"}, "did you mean 'lu'"),
    ):
        with pytest.raises(InputError, match=words):
            Implicit(**choices)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="negative or not finite at 1"):
        solver_of(space, "sa", 4.0, np.eye(120)[0] * -1.0, 0.1)
