"""Numbers of kernels in time: linear growth, constants one after the other, resumption."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from meanfield.case import Implicit, Particles
from meanfield.dynamics.eulerian import EulerianSolver, EulerianState
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.composite import Composite, Moving, MovingDrift
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.intime import FunctionInTime, TableInTime, WaveInTime
from meanfield.interaction.kernels import Exponential, Gaussian, Power, Series
from meanfield.interaction.measure import Measure
from meanfield.interaction.movingkernel import MovingKernel
from meanfield.interaction.together import Together

Make = Callable[..., Any]

# Whether a mesh resolves the kernel is no matter here.
pytestmark = pytest.mark.filterwarnings("ignore:a mesh of:meanfield.errors.MeanfieldWarning")

JUMPS = (0.11, 0.2)
STRENGTHS, WIDTHS = (1.0, -0.5, 2.0), (0.6, 1.0, 0.8)
STILL = np.array([[0.0, -0.8, 0.0], [0.8, 0.0, 0.0], [0.0, 0.0, 0.0]])


def steps(values: tuple[float, ...]) -> TableInTime:
    return TableInTime(np.array([0.0, *JUMPS]), np.array(values))


def ran(solver: Any, t: float) -> Any:
    while solver.t < t:
        solver.advance(t)
    return solver


def bump(x: Array) -> Array:
    return np.asarray(np.exp(x[:, 2] - 0.5 * x[:, 0]))


def stepwise(beside: bool = False) -> AnyInteraction:
    numbers = {"strength": steps(STRENGTHS), "width": steps(WIDTHS)}
    kernel = MovingKernel(Gaussian(width=0.7), numbers, 3, "sphere")
    return with_drift(kernel) if beside else kernel


def with_drift(kernel: AnyInteraction) -> Together:
    return Together((kernel, Composite((), "sa", 3, "sphere", drifts=(LinearDrift(STILL),))))


def solver_of(kind: str, model: AnyInteraction, make_space: Make) -> Any:
    if kind == "tokens":
        x = uniform_points(40, 3, np.random.default_rng(2))
        return ParticleSolver(model, x, options=Particles(rtol=1e-8))
    if kind == "noisy":
        x = uniform_points(40, 3, np.random.default_rng(2))
        return ParticleSolver(model, x, options=Particles(dt=0.02), kappa=0.1, seed=5)
    if kind == "characteristics":
        return LagrangianSolver(model, icosphere(2), bump)
    space = make_space("sphere", 2)
    rho = bump(space.points[: space.n_owned])
    if kind == "implicit":
        return ImplicitSolver(space, model, rho, 0.05)
    return EulerianSolver(space, model, rho)


KINDS = ("tokens", "noisy", "characteristics", "explicit", "implicit")
every_kind = pytest.mark.parametrize("kind", KINDS)


def content(solver: Any) -> Array:
    if hasattr(solver, "positions"):
        return np.column_stack([solver.positions(), solver.log_density()])
    return np.asarray(solver.rho if hasattr(solver, "rho") else solver.x)


@every_kind
@pytest.mark.parametrize("beside", [False, True])
def test_steps_are_runs_with_constant_numbers_one_after_the_other(
    beside: bool, kind: str, make_space: Make
) -> None:
    whole = stepwise()
    assert isinstance(whole, MovingKernel)
    moving = ran(solver_of(kind, stepwise(beside), make_space), 0.3)
    state: Any = None
    for begin, end in zip((0.0, *JUMPS), (*JUMPS, 0.3), strict=True):
        one: AnyInteraction = whole.at(begin)
        fixed = solver_of(kind, with_drift(one) if beside else one, make_space)
        if hasattr(fixed, "rho"):  # a bound on steps, which is that of all times
            fixed._linear_rate = moving._linear_rate
            if kind == "explicit":
                fixed._tries = 1  # no energy is watched in time
            else:
                fixed._watched = False
                fixed._implicit = np.zeros_like(fixed._implicit)
                fixed._one_way = False
        if state is not None:
            fixed.restore(state)
        state = ran(fixed, end).state()
        if isinstance(state, EulerianState):  # of another interaction
            nothing = np.zeros((0, state.rho.size))
            state = replace(state, history=nothing, history_times=np.zeros(0), rate=0.0)
    tolerance = 1e-7 if kind == "characteristics" else 1e-11  # steps by errors of their accuracy
    np.testing.assert_allclose(content(moving), content(fixed), rtol=0.0, atol=tolerance)


@every_kind
@pytest.mark.parametrize("stop", [0.11, 0.15])
def test_resumption_at_a_jump_and_between(stop: float, kind: str, make_space: Make) -> None:
    first = ran(solver_of(kind, stepwise(), make_space), stop)
    again = solver_of(kind, stepwise(), make_space)
    again.restore(first.state())
    ran(first, 0.3)
    ran(again, 0.3)
    if kind == "characteristics":
        assert np.array_equal(first.positions(), again.positions())
    else:
        assert np.array_equal(content(first), content(again))


@pytest.mark.parametrize(("geometry", "size", "d"), [("circle", 80, 2), ("zonal", 80, 5)])
def test_linear_growth_is_the_integral_of_the_rates(
    geometry: str, size: int, d: int, make_space: Make
) -> None:
    """W = t with strength h(t): e^{(d - 1) int (h/d - kappa) dt} of the first mode."""
    h, kappa, end = WaveInTime(np.array(2.0), np.array(1.5), 0.9, 0.3), 0.05, 1.0
    model = MovingKernel(Power(k=1), {"strength": h}, d, geometry)
    space = make_space(geometry, size, d)
    x = space.manifold.embed(space.points[: space.n_owned])[:, -1]
    rate = quad(lambda s: (d - 1.0) * (float(h.at(s)) / d - kappa), 0.0, end)[0]
    solver = ImplicitSolver(space, model, 1.0 + 1e-5 * x, kappa, Implicit(rtol=1e-6))
    before = float((solver.weights * solver.rho) @ x)
    after = float((ran(solver, end).weights * solver.rho) @ x)
    assert math.log(after / before) == pytest.approx(rate, rel=3e-3)
    assert abs(rate - (d - 1.0) * (float(h.at(0.0)) / d - kappa)) > 0.3


def test_transforms_are_those_of_the_sharpest_kernel() -> None:
    whole = stepwise().on_mesh(2562)
    assert isinstance(whole, MovingKernel)
    assert whole.harmonics is not None and whole.at(0.0) is whole.at(0.1)
    assert whole.at(0.0).harmonics is whole.at(0.15).harmonics is whole.harmonics
    assert whole.harmonics.degree == max(
        Interaction(Gaussian(width=w), 3, "sphere", most=whole.most).truncation.degree  # type: ignore
        for w in WIDTHS
    )
    x = uniform_points(60, 3, np.random.default_rng(4))
    measure = Measure.equal(x)
    for t in (0.0, 0.15, 0.5):
        v, one = whole.field(measure, t).velocity(x), whole.at(t)
        alone = replace(one, carried=None).field(measure).velocity(x)
        assert np.abs(v - alone).max() <= 1e-9 * np.abs(alone).max()
    later = FunctionInTime(lambda t: np.array(1.0 + t * (t > 20.0)), (), 51.0)
    found = MovingKernel(Exponential(beta=1.0), {"beta": later}, 3, "sphere")
    with pytest.warns(MeanfieldWarning, match=r"^exponential, .* sharper at t = 30 than") as told:
        assert found.at(30.0).harmonics is found.harmonics  # cut there
        assert found.at(40.0).truncation is not None and not found.at(40.0).truncation.exact
        _ = found.at(1.0), found.at(0.0), found.at(50.0), found.at(30.0)
    assert len(told) == 1


def test_no_warning_where_the_transforms_carry_all_times() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", MeanfieldWarning)
        wave = WaveInTime(np.array(0.8), np.array(0.3), 1.0, 0.2)  # no sample is at its ends
        for method in ("harmonics", "direct"):
            found = MovingKernel(Gaussian(width=1.0), {"width": wave}, 3, "sphere", method)
            for t in np.linspace(0.0, 1.0, 41):
                found.at(float(t))
        coarse = stepwise().on_mesh(162)
        assert coarse.truncation is not None and not coarse.truncation.exact
        for t in (0.0, 0.15, 0.5):
            coarse.at(t)


def flat(values: tuple[float, ...]) -> TableInTime:
    return TableInTime(np.linspace(0.0, 1000.0, len(values)), np.array(values), "linear")


REPELLING = Interaction(Power(k=1, strength=-1.0), 2, "circle")
TURNS = Composite((), "sa", 2, "circle", drifts=(LinearDrift(np.array([[0, -0.8], [0.8, 0.0]])),))
PUSHED = MovingDrift((flat((0.0, 0.0)),), lambda h: LinearDrift(float(h) * np.eye(2)))


@pytest.mark.parametrize(
    "model",
    [
        REPELLING,
        MovingKernel(Power(k=1), {"strength": flat((-1.0, -1.0))}, 2, "circle"),
        MovingKernel(Power(k=1), {"strength": flat((-1.0, -0.9, -1.0))}, 2, "circle"),
        Together((REPELLING, TURNS)),
        Together((REPELLING, Moving((), "sa", 2, "circle", drifts=(PUSHED,)))),
        Together((MovingKernel(Power(k=1), {"strength": flat((-1, -1))}, 2, "circle"), TURNS)),
    ],
    ids=["constant", "table", "slow", "beside", "in time beside", "both"],
)
def test_repulsion_is_implicit_also_without_energy(model: AnyInteraction, make_space: Make) -> None:
    """With the potential of its own time such a step, 10 of rate 1/2, goes far beyond uniform."""
    space = make_space("circle", 80, 2)
    x = space.manifold.embed(space.points[: space.n_owned])
    start = np.exp(3.0 * x[:, 0]) / np.i0(3.0)
    solver = ImplicitSolver(space, model, start, 0.01, Implicit(dt=10.0))
    assert np.array_equal(solver._implicit, solver.interaction.metric > 0.0)
    ran(solver, 300.0)
    assert math.hypot(*((solver.weights * solver.rho) @ x)) < 1e-8 and solver.rho.max() < 1.001


def test_what_repels_does_at_all_times() -> None:
    """sum_l a_l P_l, by its signs at each time."""
    one = Series(coefficients=[0.0, -1.0, 0.5])
    for values, convexity, repelled in (
        ((1.0, 2.0), "mixed", [1]),
        ((1.0, -2.0), "mixed", []),
        ((1.0, 0.0), "mixed", [1]),  # where nothing acts nothing attracts
        ((-1.0, -2.0), "mixed", [2]),
    ):
        found = MovingKernel(one, {"strength": flat(values)}, 3, "sphere")
        assert found.convexity == convexity and found.harmonics is not None
        assert set(found.harmonics.degrees[found.repels]) == set(repelled)
    for beta, convexity in ((flat((-1.0, -2.0)), "mixed"), (flat((1.0, 5.0)), "positive")):
        found = MovingKernel(Exponential(beta=1.0), {"beta": beta}, 3, "sphere")
        assert found.convexity == convexity and found.repels.any() == (convexity == "mixed")
        log = MovingKernel(Exponential(beta=1.0, link="log"), {"beta": beta}, 3, "sphere")
        assert log.repels.shape == log.metric.shape and not log.repels.any()
    sharper = {"beta": flat((1.0, 9.0)), "strength": flat((-1.0, -2.0))}
    found = MovingKernel(Exponential(beta=1.0), sharper, 3, "sphere")
    assert found.convexity == "negative"
    assert np.array_equal(found.repels, found.at(1000.0).repels)
    assert 3 < found.at(0.0).repels.sum() < found.repels.sum() == found.repels.size - 1


def test_parts_all_in_time() -> None:
    drift = MovingDrift((WaveInTime(STILL, STILL, 1.0),), LinearDrift)
    both = Together((stepwise(), Moving((), "sa", 3, "sphere", drifts=(drift,))))
    assert both.moves and not both.piecewise and both.next_jump(0.0) == JUMPS[0]
    assert both.energy_kind is None and "in time" in both.describe()


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="width"):
        MovingKernel(Gaussian(width=1.0), {"width": steps((1.0, -1.0, 1.0))}, 3, "sphere")
    with pytest.raises(InputError, match="wdth"):
        MovingKernel(Gaussian(width=1.0), {"wdth": steps((1.0, 1.0, 1.0))}, 3, "sphere")
    with pytest.raises(InputError, match=r"strength: values of shape \(2,\) found"):
        vector = WaveInTime(np.ones(2), np.ones(2), 1.0)
        MovingKernel(Gaussian(width=1.0), {"strength": vector}, 3, "sphere")
