"""kappa in time: exact decay, jumps, the free energy, resumption, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from convergence import rates
from scipy.integrate import quad

from meanfield.case import Eulerian, Implicit, Particles
from meanfield.dynamics.eulerian import EulerianSolver, EulerianState
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.movingdiffusion import AnyDiffusion, MovingDiffusion
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.parts import Division, advance_together
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.intime import (
    EndlessPath,
    FunctionInTime,
    InTime,
    TableInTime,
    WaveInTime,
)
from meanfield.interaction.kernels import Exponential, Power, Series

Make = Callable[..., Any]

JUMPS = (0.11, 0.2)
KAPPAS = (0.3, 0.0, 0.1)

# Whether a mesh resolves the kernel is no matter here.
pytestmark = pytest.mark.filterwarnings("ignore:a mesh of:meanfield.errors.MeanfieldWarning")


def wave(mean: float = 0.4, amplitude: float = 0.3, period: float = 0.9) -> WaveInTime:
    return WaveInTime(np.array(mean), np.array(amplitude), period, 0.5)


def steps(*values: float) -> TableInTime:
    return TableInTime(np.array([0.0, *JUMPS]), np.array(values))


def integral(kappa: InTime, t: float) -> float:
    return float(quad(lambda s: float(kappa.at(s)), 0.0, t, epsabs=1e-13, limit=200)[0])


def nothing(d: int, geometry: str) -> Interaction:
    """Nobody pulls."""
    return Interaction(Series(coefficients=(0.0, 0.0)), d, geometry)


def ran(solver: Any, t: float) -> Any:
    while solver.t < t:
        solver.advance(t)
    return solver


def first_moment(solver: Any) -> float:
    """Of the last coordinate."""
    x = solver.space.manifold.embed(solver.space.points[: solver.space.n_owned])
    return float((solver.weights * solver.rho) @ x[:, -1])


# ------------------------------------------------------------------ exact decay


def alone(space: Any, kappa: Any, kind: str = "implicit", **choices: Any) -> Any:
    """A solver of 1 + x_d/100 that only diffuses."""
    x = space.manifold.embed(space.points[: space.n_owned])
    rho = 1.0 + 0.01 * x[:, -1]
    model = nothing(space.d, space.geometry)
    if kind == "explicit":
        return EulerianSolver(space, model, rho, Eulerian(**choices), diffusion=kappa)
    return ImplicitSolver(space, model, rho, kappa, Implicit(**choices))


def decayed(space: Any, kappa: Any, kind: str = "implicit", **choices: Any) -> float:
    """<x_d> of 1 + x_d/100 at t = 1, over that at t = 0."""
    solver = alone(space, kappa, kind, **choices)
    before = first_moment(solver)
    return first_moment(ran(solver, 1.0)) / before


@pytest.mark.parametrize(
    ("geometry", "size", "d"), [("circle", 40, 2), ("sphere", 2, 3), ("zonal", 40, 5)]
)
@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_modes_decay_by_the_integral_of_kappa(
    geometry: str, size: int, d: int, exponent: float, make_space: Make
) -> None:
    """exp(-l(l + d - 2) int kappa dt) of l = 1: in time of second order, for any m."""
    space, kappa = make_space(geometry, size, d), wave(1.0, 0.8, 1.7)
    tight: dict[str, Any] = {"linear_tolerance": 1e-13}
    # The eigenvalue of the mesh, from a constant kappa.
    one = Diffusion(1.0, exponent)
    eigenvalue = -math.log(decayed(space, one, dt=1.0 / 640.0, **tight))
    expected = math.exp(-eigenvalue * integral(kappa, 1.0))
    moving = MovingDiffusion(kappa, exponent)
    found = rates(
        lambda n: abs(decayed(space, moving, dt=1.0 / n, **tight) - expected), (20, 40, 80)
    )
    found.check(1.75, 2.2, 2e-4)
    assert eigenvalue == pytest.approx(d - 1.0, rel=0.02)
    assert abs(math.exp(-eigenvalue * float(kappa.at(0.0))) - expected) > 0.05
    # Steps by their error follow kappa.
    assert decayed(space, moving, rtol=1e-5, **tight) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("which", [("circle", 40, 2), ("sphere", 2, 3), ("zonal", 16, 3)])
@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_modes_decay_by_explicit_steps(which: Any, exponent: float, make_space: Make) -> None:
    """The same where steps are shares of what is stable at each time."""
    space, kappa = make_space(*which), wave(1.0, 0.8, 1.7)
    eigenvalue = -math.log(decayed(space, Diffusion(1.0, exponent), "explicit", cfl=0.05))
    expected = math.exp(-eigenvalue * integral(kappa, 1.0))
    moving = MovingDiffusion(kappa, exponent)
    found = rates(
        lambda n: abs(decayed(space, moving, "explicit", cfl=16.0 / n) - expected), (20, 40, 80)
    )
    found.check(1.7, 2.2, 1e-4)
    assert eigenvalue == pytest.approx(space.d - 1.0, rel=0.02)


@pytest.mark.parametrize("exponent", [1.0, 2.0])
@pytest.mark.parametrize("kind", ["implicit", "explicit"])
def test_nothing_moves_while_kappa_is_zero(kind: str, exponent: float, make_space: Make) -> None:
    """0, 2, 0: a density that only diffuses rests, decays and rests."""
    space = make_space("circle", 40)
    tight: dict[str, Any] = {"cfl": 0.05} if kind == "explicit" else {"dt": 4e-3}
    moving = MovingDiffusion(steps(0.0, 2.0, 0.0), exponent)
    solver = alone(space, moving, kind, **tight)
    first = solver.rho.copy(), first_moment(solver)
    ran(solver, JUMPS[0])
    np.testing.assert_allclose(solver.rho, first[0], atol=1e-15)
    ran(solver, JUMPS[1])
    later = solver.rho.copy(), first_moment(solver)
    ran(solver, 0.5)
    np.testing.assert_allclose(solver.rho, later[0], atol=1e-15)
    assert solver.energy_violations == 0
    rate = -math.log(decayed(space, Diffusion(1.0, exponent), kind, **tight))
    assert later[1] / first[1] == pytest.approx(math.exp(-rate * 0.18), rel=1e-4)


@pytest.mark.parametrize("pull", [0.0, 1e-4, 0.05])
@pytest.mark.parametrize("exponent", [1.0, 2.0])
@pytest.mark.parametrize("kind", ["implicit", "explicit"])
def test_oscillations_between_outputs_are_met(
    kind: str, exponent: float, pull: float, make_space: Make
) -> None:
    """kappa is 0 at all outputs; nothing else keeps steps from being as long as between them."""
    space = make_space("circle", 40)
    model = Interaction(Series(coefficients=(0.0, pull)), 2, "circle")
    x = space.manifold.embed(space.points[:40])
    kappa = WaveInTime(np.array(0.3), np.array(-0.3), 0.5)
    found = []
    for diffusion in (MovingDiffusion(kappa, exponent), Diffusion(0.3, exponent)):
        rho = 1.0 + 0.5 * x[:, -1]
        solver: Any = (
            EulerianSolver(space, model, rho, diffusion=diffusion)
            if kind == "explicit"
            else ImplicitSolver(space, model, rho, diffusion)
        )
        for t in (1.0, 2.0, 3.0):
            ran(solver, t)
        found.append(first_moment(solver))
        assert solver.step < 600 and solver.energy_violations == 0
    assert found[0] == pytest.approx(found[1], rel=1e-2)  # that of the mean of kappa
    assert found[1] < 0.5 * 0.25


def test_tokens_forget_where_they_were_by_the_integral_of_kappa() -> None:
    """E<x, x_0> = exp(-(d - 1) int kappa dt), also with a kappa that oscillates fast."""
    n, d = 5_000, 3
    x = uniform_points(n, d, np.random.default_rng(4))
    for kappa in (wave(), wave(0.5, 0.5, 0.02), steps(0.0, 0.9, 0.2)):
        solver = ran(ParticleSolver(nothing(d, "sphere"), x, kappa=kappa, seed=3), 0.5)
        cosines = np.sum(solver.x * x, axis=1)
        error = float(cosines.std()) / math.sqrt(n)
        expected = math.exp(-(d - 1) * integral(kappa, 0.5))
        assert abs(cosines.mean() - expected) < 3.5 * error, (cosines.mean(), expected, error)
        assert abs(math.exp(-(d - 1) * 0.5 * float(kappa.at(0.0))) - expected) > 10.0 * error
        assert solver.step < 2000


# ------------------------------------------------------------------ jumps


KINDS = ("implicit", "porous", "fast", "potential", "explicit", "explicit linear", "tokens")
every_kind = pytest.mark.parametrize("kind", KINDS)
EXPONENT = {"porous": 2.0, "fast": 0.5, "explicit": 2.0}


def solver_of(kind: str, kappa: AnyDiffusion | InTime | float, make_space: Make) -> Any:
    """A solver of each kind, with few unknowns."""
    model = Interaction(Exponential(beta=1.0), 3, "sphere")
    if kind == "tokens":
        x = uniform_points(40, 3, np.random.default_rng(2))
        return ParticleSolver(model, x, kappa=kappa, seed=5)
    space, m = make_space("sphere", 2), EXPONENT.get(kind, 1.0)
    x = space.points[: space.n_owned]
    rho = np.exp(x[:, 2] - 0.5 * x[:, 0])
    if isinstance(kappa, InTime):
        kappa = MovingDiffusion(kappa, m)
    elif not isinstance(kappa, MovingDiffusion):
        kappa = Diffusion(kappa, m)
    if kind.startswith("explicit"):
        return EulerianSolver(space, model, rho, Eulerian(stepper="ssprk3"), diffusion=kappa)
    way: Any = "implicit" if kind == "potential" else "auto"
    return ImplicitSolver(space, model, rho, kappa, Implicit(potential=way))


def content(solver: Any) -> Array:
    """What a solver moves."""
    return np.asarray(solver.rho if hasattr(solver, "rho") else solver.x)


@every_kind
def test_steps_are_runs_with_constant_kappa_one_after_the_other(
    kind: str, make_space: Make
) -> None:
    # These go by another method where kappa is 0 at all times.
    kappas = KAPPAS if kind in ("implicit", "porous", "fast", "potential") else (0.3, 0.5, 0.1)
    moving, times = solver_of(kind, steps(*kappas), make_space), []
    while moving.t < 0.3:
        moving.advance(0.3)
        times.append(moving.t)
    assert set(JUMPS) < set(times) and times[-1] == 0.3
    state: Any = None
    for kappa, end in zip(kappas, (*JUMPS, 0.3), strict=True):
        fixed = solver_of(kind, kappa, make_space)
        if state is not None:
            fixed.restore(state)
        state = ran(fixed, end).state()
        if isinstance(state, EulerianState):  # the bound on steps is of another kappa
            nothing_known = np.zeros((0, state.rho.size))
            state = replace(state, history=nothing_known, history_times=np.zeros(0), rate=0.0)
    np.testing.assert_allclose(content(moving), content(fixed), rtol=0.0, atol=1e-12)
    assert moving.step == fixed.step
    assert moving.energy_violations == 0


@every_kind
@pytest.mark.parametrize("stop", [0.11, 0.15])
@pytest.mark.parametrize("form", ["steps", "wave", "path"])
def test_resumption_at_a_jump_and_between(
    form: str, stop: float, kind: str, make_space: Make
) -> None:
    kappa = {
        "steps": steps(*KAPPAS),
        "wave": wave(period=0.1),
        "path": EndlessPath(np.array(0.5), 1.0, 4e-3, seed=1),
    }[form]
    first = ran(solver_of(kind, kappa, make_space), stop)
    again = solver_of(kind, kappa, make_space)
    again.restore(first.state())
    ran(first, 0.22)
    ran(again, 0.22)
    assert np.array_equal(content(first), content(again))
    assert (first.t, first.step) == (again.t, again.step)


def test_parts_of_a_cloud_have_its_kappa() -> None:
    x = uniform_points(64, 3, np.random.default_rng(2))
    cloud = ParticleSolver(nothing(3, "any"), x, kappa=wave(), seed=5)
    (halves, *_) = Division.all_of(cloud)
    advance_together(cloud, [halves], 0.3)
    np.testing.assert_allclose(halves.x, cloud.x, atol=1e-14)  # nobody pulls: the same noise


# ------------------------------------------------------------------ the free energy


@pytest.mark.parametrize("exponent", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("dt", [0.02, 0.5, None])
def test_what_a_step_adds_to_the_free_energy_is_bounded(
    exponent: float, dt: float | None, make_space: Make
) -> None:
    """F_2 <= F_1 + (kappa_2 - kappa_1) H, for any step: no step is refused or a violation."""
    space = make_space("sphere", 2)
    model = Interaction(Exponential(beta=2.0), 3, "sphere")
    rho = np.random.default_rng(7).lognormal(0.0, 1.5, space.n_owned)
    kappa = MovingDiffusion(wave(0.5, 0.49, 0.7), exponent)
    solver = ImplicitSolver(space, model, rho, kappa, Implicit(dt=dt, scheme="fitted"))
    excess = [solver.free_energy_excess()]
    while solver.t < 1.5:
        solver.advance(1.5)
        excess.append(solver.free_energy_excess())
    assert solver.energy_violations == 0 and solver.refused == 0
    assert max(np.diff(excess)) > 1e-3  # F itself rises with kappa


def test_a_bound_without_what_kappa_adds_would_refuse(make_space: Make) -> None:
    """The bound is sharp enough to mean something: that of a constant kappa does not hold."""
    space = make_space("sphere", 2)
    model = Interaction(Exponential(beta=2.0), 3, "sphere")
    rho = np.random.default_rng(7).lognormal(0.0, 1.0, space.n_owned)
    rises = TableInTime(np.array([0.0, 1.0]), np.array([0.0, 5.0]), "linear")
    solver = ImplicitSolver(space, model, rho, rises, Implicit(dt=0.01))
    before = solver._functional(solver.rho, solver.field(), Diffusion(0.0))
    solver.advance(1.0)
    assert solver.free_energy_excess() > before + 1e-3
    assert solver.energy_violations == solver.refused == 0


def test_where_kappa_ends_up_the_state_does(make_space: Make) -> None:
    """Modes that relax within a step end at the state of the last kappa."""
    space = make_space("zonal", 40, 3)
    model = Interaction(Power(k=1), 3, "zonal")
    t = space.manifold.embed(space.points)[: space.n_owned, -1]
    table = TableInTime(np.array([0.0, 200.0]), np.array([0.25, 0.2]), "linear")
    moving = ran(ImplicitSolver(space, model, np.exp(t), table), 400.0)
    fixed = ran(ImplicitSolver(space, model, np.exp(t), 0.2), 400.0)
    np.testing.assert_allclose(moving.rho, fixed.rho, atol=1e-8)
    assert moving.speed() < 1e-7 and fixed.speed() < 1e-7


# ------------------------------------------------------------------ what is refused


def test_what_is_refused(make_space: Make) -> None:
    for kappa in (steps(0.1, -0.2, 0.1), wave(0.1, 0.3), EndlessPath(np.array(0.1), 1.0, 1.0)):
        with pytest.raises(InputError, match=r"kappa: values down to -\S+ found, numbers >= 0 exp"):
            MovingDiffusion(kappa)
    with pytest.raises(InputError, match=r"kappa: values of shape \(2,\) found"):
        MovingDiffusion(WaveInTime(np.ones(2), np.ones(2), 1.0))
    space = make_space("circle", 40)
    fast = MovingDiffusion(wave(), 0.5)
    with pytest.raises(InputError, match=r"a kappa in time with exponent 0\.5 found, exp"):
        EulerianSolver(space, nothing(2, "circle"), np.ones(40), diffusion=fast)
    x = uniform_points(5, 3, np.random.default_rng(2))
    with pytest.raises(InputError, match="exponent = 2 found, 1 expected"):
        ParticleSolver(nothing(3, "any"), x, kappa=MovingDiffusion(wave(), 2.0))
    never = steps(0.0, 0.0, 0.0)
    with pytest.raises(InputError, match=r"dt = 0\.1 found with kappa = 0"):
        ParticleSolver(nothing(3, "any"), x, kappa=never, options=Particles(dt=0.1))
    assert EulerianSolver(space, nothing(2, "circle"), np.ones(40), diffusion=never).kappa == 0.0


def test_a_function_that_falls_below_zero_ends_the_run(make_space: Make) -> None:
    falls = FunctionInTime(lambda t: np.array(0.1 - t), (), 1.0)
    solver = solver_of("implicit", falls, make_space)
    with pytest.raises(InputError, match=r"^kappa: -\S+ found at t = 0\.\S+, a number >= 0 exp"):
        ran(solver, 0.3)
    assert 0.0 < solver.t < 0.1


@pytest.mark.parametrize("exponent", [1.0, 2.0])
@pytest.mark.parametrize("coefficients", [(0.0, 1.0), (0.0, 1.0, -0.5)])
def test_a_kappa_that_is_zero_at_first(
    coefficients: tuple[float, ...], exponent: float, make_space: Make
) -> None:
    """What it lowers of E is no fault of a step, whatever the signs of the series."""
    space = make_space("sphere", 2)
    x = space.points[: space.n_owned]
    rho = np.exp(0.5 * x[:, 2])
    kappa = MovingDiffusion(
        TableInTime(np.array([0.0, 0.1, 0.2]), np.array([0.0, 2.0, 0.0])), exponent
    )
    pull = Interaction(Series(coefficients=coefficients), 3, "sphere")
    solver = EulerianSolver(space, pull, rho, diffusion=kappa)
    while solver.t < 0.25:
        solver.advance(0.25)
    assert solver.energy_violations == 0 and solver.refused == 0 and solver.step < 2000
