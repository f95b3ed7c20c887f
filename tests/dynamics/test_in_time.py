"""Parameters in time, in every solver: jumps, exact flows, orders of convergence, resumption."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from convergence import rates
from parameters import slow_but
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from meanfield.case import Eulerian, Implicit, Lagrangian, Particles
from meanfield.dynamics.eulerian import EulerianSolver, EulerianState
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.laplacian import EdgeLaplacian
from meanfield.dynamics.layers import LayerSolver, layers
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.parts import Division, advance_together
from meanfield.errors import InputError
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import (
    Composite,
    HeadMatrices,
    Moving,
    MovingDrift,
    MovingHead,
)
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.intime import (
    Combined,
    FunctionInTime,
    InTime,
    TableInTime,
    WaveInTime,
    ornstein_uhlenbeck,
)
from meanfield.interaction.measure import Measure
from meanfield.interaction.together import Together

Make = Callable[..., Any]

RNG = np.random.default_rng(8)
A, B, V, W = RNG.standard_normal((4, 3, 3))
M = np.array([[0.9, 1.1, -0.3], [-0.8, -0.4, 0.7], [0.5, -0.9, -0.5]])
TURN = np.array([[0.0, -0.8, -0.5], [0.8, 0.0, -0.3], [0.5, 0.3, 0.0]])
JUMPS = (0.11, 0.2)
PIECES = (A, B, 0.5 * A)
KEYS = (A.T @ A, np.eye(3), 0.3 * B.T @ B)  # of l2 attention; the second one changes no masses


def steps(*values: Array) -> TableInTime:
    """Values that hold from 0 and from ``JUMPS`` on."""
    return TableInTime(np.array([0.0, *JUMPS]), np.array(values))


def on(d: int) -> str:
    return "sphere" if d == 3 else "circle"


def stepwise(model: Any = "sa", geometry: str = "sphere") -> Moving:
    """A head and a drift in steps, a head that stays."""
    head = MovingHead(steps(*PIECES), steps(V, V, W), steps(*KEYS))
    drift = MovingDrift((steps(M, TURN, M),), LinearDrift)
    return Moving((head, HeadMatrices(B, V, KEYS[1])), model, 3, geometry, drifts=(drift,))


def pieces(model: Any = "sa", geometry: str = "sphere") -> list[Composite]:
    """The same, one after the other."""
    largest = (1.0 + 1e-8) * max(float(np.linalg.norm(a, 2)) for a in (A, B))
    return [
        Composite(
            (HeadMatrices(a, v, keys), HeadMatrices(B, V, KEYS[1])), model, 3, geometry,
            drifts=(LinearDrift(m),), least=largest, gradients=False,
        )
        for a, v, m, keys in zip(PIECES, (V, V, W), (M, TURN, M), KEYS, strict=True)
    ]  # fmt: skip


def ran(solver: Any, t: float) -> Any:
    while solver.t < t:
        solver.advance(t)
    return solver


def bump(x: Array) -> Array:
    return np.asarray(np.exp(x[:, 2] - 0.5 * x[:, 0]))


def solver_of(kind: str, model: AnyInteraction, make_space: Make) -> Any:
    """A solver of each kind, with few unknowns."""
    x = uniform_points(40, 3, np.random.default_rng(2))
    if kind == "tokens":
        return ParticleSolver(model, x, options=Particles(rtol=1e-8))
    if kind == "noisy":
        return ParticleSolver(model, x, kappa=0.1, seed=5)
    if kind == "layers":
        return LayerSolver(model, x, layer_step=0.01)
    if kind == "characteristics":
        return LagrangianSolver(model, icosphere(2), bump)
    space = make_space("sphere", 2)
    rho = bump(space.points[: space.n_owned])
    if kind == "implicit":
        return ImplicitSolver(space, model, rho, 0.05)
    if kind == "implicit potential":
        return ImplicitSolver(space, model, rho, 0.05, Implicit(dt=0.01, potential="implicit"))
    field: Any = {"explicit": "extrapolated", "stages": "stages"}[kind]
    return EulerianSolver(space, model, rho, Eulerian(field=field, stepper="ssprk3"))


KINDS = (
    "tokens", "noisy", "layers", "characteristics", "explicit", "stages", "implicit",
    "implicit potential",
)  # fmt: skip
every_kind = pytest.mark.parametrize("kind", KINDS)
weighing = pytest.mark.parametrize(
    "attention", ["sa", "l2", pytest.param("sinkhorn", marks=pytest.mark.slow)]
)


def content(solver: Any) -> Array:
    """What a solver moves."""
    if hasattr(solver, "positions"):
        return np.column_stack([solver.positions(), solver.log_density()])
    return np.asarray(solver.rho if hasattr(solver, "rho") else solver.x)


# ------------------------------------------------------------------ jumps


@every_kind
@weighing
def test_steps_are_runs_with_constant_parameters_one_after_the_other(
    kind: str, attention: str, make_space: Make
) -> None:
    moving = ran(solver_of(kind, stepwise(attention), make_space), 0.3)
    state: Any = None
    for model, end in zip(pieces(attention), (*JUMPS, 0.3), strict=True):
        fixed = solver_of(kind, model, make_space)
        if hasattr(fixed, "rho"):  # a bound on steps, which is that of all times
            fixed._linear_rate = moving._linear_rate
        if state is not None:
            fixed.restore(state)
        state = ran(fixed, end).state()
        if isinstance(state, EulerianState):  # of another interaction
            nothing = np.zeros((0, state.rho.size))
            state = replace(state, history=nothing, history_times=np.zeros(0), rate=0.0)
    np.testing.assert_allclose(content(moving), content(fixed), rtol=0.0, atol=1e-13)
    assert moving.step == fixed.step


@every_kind
def test_steps_end_at_jumps(kind: str, make_space: Make) -> None:
    if kind == "layers":
        return
    solver, times = solver_of(kind, stepwise(), make_space), []
    while solver.t < 0.3:
        solver.advance(0.3)
        times.append(solver.t)
    assert set(JUMPS) < set(times) and times[-1] == 0.3


@every_kind
@weighing
@pytest.mark.parametrize("stop", [0.11, 0.15])
def test_resumption_at_a_jump_and_between(
    kind: str, attention: str, stop: float, make_space: Make
) -> None:
    first = ran(solver_of(kind, stepwise(attention), make_space), stop)
    again = solver_of(kind, stepwise(attention), make_space)
    again.restore(first.state())
    ran(first, 0.3)
    ran(again, 0.3)
    if kind == "characteristics":  # log rho is a sum of changes, and begins anew
        np.testing.assert_allclose(first.log_density(), again.log_density(), rtol=0.0, atol=1e-14)
        assert np.array_equal(first.positions(), again.positions())
    else:
        assert np.array_equal(content(first), content(again))
    assert (first.t, first.step) == (again.t, again.step)


def test_each_layer_has_its_own_weights() -> None:
    """Times k/L of a table and of layers differ by round-off: no layer has those of another."""
    depth, d = 40, 4
    weights = RNG.standard_normal((depth, 2, d, d))
    times = np.arange(depth) / depth
    head = MovingHead(TableInTime(times, weights[:, 0]), TableInTime(times, weights[:, 1]))
    x = uniform_points(10, d, np.random.default_rng(3))
    found = layers(Moving((head,), "sa", d), x, depth)
    solver = ran(LayerSolver(Moving((head,), "sa", d), x, layer_step=1.0 / depth), 1.0)
    for a, v in weights:
        field = Composite((HeadMatrices(a, v),), "sa", d).field(Measure.equal(x))
        x = x + field.velocity(x) / depth
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(found[-1], x, atol=1e-13)
    np.testing.assert_allclose(solver.x, x, atol=1e-13)


def test_parts_of_a_cloud_land_on_jumps_with_it() -> None:
    x = uniform_points(64, 3, np.random.default_rng(2))
    cloud = ParticleSolver(stepwise(geometry="any"), x, kappa=0.1, seed=5)
    (halves, *_) = Division.all_of(cloud)
    advance_together(cloud, [halves], 0.3)
    assert [part.t for part in halves.parts] == [0.3, 0.3]
    assert {part.step for part in halves.parts} == {cloud.step}


@pytest.mark.parametrize("model", ["sa", "usa", "l2", "sinkhorn"])
def test_transforms_and_sums_agree_at_any_time(model: Any) -> None:
    made = stepwise(model)
    x = uniform_points(60, 3, np.random.default_rng(4))
    measure = Measure.equal(x)
    for t in (0.0, 0.15, 0.5):
        v, bend = made.field(measure, t).velocity_and_divergence(x)
        direct, direct_bend = made.direct().field(measure, t).velocity_and_divergence(x)
        size = np.abs(direct).max()
        assert np.abs(v - direct).max() <= 1e-9 * size
        assert np.abs(bend - direct_bend).max() <= 1e-8 * size
        scaled = made.direct().field(measure, t).velocity(x, scaled=True)
        assert scaled == pytest.approx(made.field(measure, t).velocity(x, scaled=True), abs=1e-9)
    assert made.at(0.0) is made.at(0.1) and made.at(0.0) is not made.at(0.15)
    assert made.at(0.0).harmonics is made.at(0.5).harmonics is made.harmonics


@pytest.mark.parametrize(("geometry", "d", "size"), [("circle", 2, 60), ("zonal", 5, 60)])
def test_other_geometries(geometry: str, d: int, size: int, make_space: Make) -> None:
    """Jumps of multiples of I, which all geometries have, against one beta after the other."""
    value = TableInTime(np.array([0.0, 0.2]), np.array([2.0 * np.eye(d), -np.eye(d)]))
    model = Moving((MovingHead(value, np.eye(d)),), "sa", d, geometry)
    space = make_space(geometry, size, d)
    rho = 1.0 + 0.5 * space.manifold.embed(space.points)[: space.n_owned, -1]
    for make in (EulerianSolver, ImplicitSolver):
        moving, expected = ran(make(space, model, rho), 0.4), rho
        for beta, end in ((2.0, 0.2), (-1.0, 0.4)):
            fixed = Composite((HeadMatrices(beta * np.eye(d), np.eye(d)),), "sa", d, geometry)
            expected = ran(make(space, fixed, expected, t=end - 0.2), end).rho
        # With potential drops there, with velocities here: to the error of the mesh.
        assert np.abs(moving.rho - expected).max() <= 2e-3
        assert np.abs(expected - rho).max() > 0.05


def test_what_does_not_change_is_made_once() -> None:
    made = stepwise()
    (_, first), (_, second) = (made.at(t).series for t in (0.0, 0.15))
    assert first is second
    assert made.at(0.05).series is made.at(0.0).series


# ------------------------------------------------------------------ linear drifts, exactly


def wave(d: int) -> InTime:
    """M + cos(5 t + .4) of another one."""
    return WaveInTime(M[:d, :d], 1.5 * V[:d, :d], 2.0 * math.pi / 5.0, 0.4)


def driven(value: InTime, d: int = 3) -> Moving:
    return Moving((), "sa", d, on(d), drifts=(MovingDrift((value,), LinearDrift),))


def propagator(value: InTime, t: float, d: int = 3) -> Array:
    """Phi' = M(t) Phi, Phi(0) = I, over each piece on its own."""
    phi, begin = np.eye(d), 0.0
    while begin < t:
        jump = value.next_jump(begin)
        end, left = min(t, jump), math.nextafter(jump, 0.0)

        def rate(s: float, y: Array, left: float = left) -> Array:
            return np.asarray(value.at(min(s, left)) @ y.reshape(d, d)).ravel()

        span = (begin, end)
        found = solve_ivp(rate, span, phi.ravel(), method="DOP853", rtol=1e-13, atol=1e-13)
        phi, begin = found.y[:, -1].reshape(d, d), end
    return np.asarray(phi)


def angular_gaussian(phi: Array, x: Array) -> Array:
    """The uniform density after x -> phi x/|phi x|, at unit vectors."""
    back = np.linalg.solve(phi, x.T)
    return np.asarray(np.linalg.norm(back, axis=0) ** -len(phi) / np.linalg.det(phi))


MOTIONS: dict[str, InTime] = {
    "wave": wave(3),
    "steps": steps(M, TURN, 2.0 * M),
    "lines": TableInTime(np.array([0.0, 0.3, 0.7]), np.array([M, TURN, -M]), "linear"),
    "function": FunctionInTime(lambda t: expm(t * TURN) @ M, (3, 3), 4.0),
    "path": ornstein_uhlenbeck(M, 1.0, 0.5, 3, 1.0, 0.1),
    "product": Combined((wave(3), TURN), lambda a, b: a @ b - b @ a, (3, 3), 20.0),
}


@pytest.mark.parametrize("name", MOTIONS)
def test_tokens_follow_a_linear_drift(name: str) -> None:
    x = uniform_points(20, 3, np.random.default_rng(1))
    for method in ("dopri5", "dop853"):
        options = Particles(rtol=1e-10, atol=1e-12, method=method)  # type: ignore[arg-type]
        solver = ran(ParticleSolver(driven(MOTIONS[name]), x, options=options), 1.0)
        exact = x @ propagator(MOTIONS[name], 1.0).T
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
        assert np.abs(solver.x - exact).max() <= 1e-8


@pytest.mark.parametrize("name", MOTIONS)
def test_characteristics_follow_an_angular_gaussian(name: str) -> None:
    options = Lagrangian(rtol=1e-10, atol=1e-12)
    model = driven(MOTIONS[name])
    solver = LagrangianSolver(model, icosphere(2), lambda x: np.ones(len(x)), options=options)
    ran(solver, 1.0)
    exact = angular_gaussian(propagator(MOTIONS[name], 1.0), solver.positions())
    assert np.abs(solver.log_density() - np.log(exact)).max() <= 1e-8


@pytest.mark.parametrize("kind", ["extrapolated", "stages", "implicit"])
@pytest.mark.parametrize("name", ["wave", "steps"])
def test_densities_follow_an_angular_gaussian_to_second_order(
    kind: Any, name: str, make_space: Make
) -> None:
    value = wave(2) if name == "wave" else steps(*(2.0 * m[:2, :2] for m in (M, TURN, -M)))
    exact_map = propagator(value, 0.5, 2)

    def error(size: int) -> float:
        space = make_space("circle", size)
        model, rho = driven(value, 2), np.ones(space.n_owned)
        solver: Any
        if kind == "implicit":
            # 8, 16, 32, ... steps: neither space nor time is the coarser one.
            solver = ImplicitSolver(space, model, rho, options=Implicit(dt=4.0 / size))
        else:
            solver = EulerianSolver(space, model, rho, Eulerian(field=kind))
        ran(solver, 0.5)
        exact = angular_gaussian(exact_map, space.points[: space.n_owned])
        return float(solver.weights @ np.abs(solver.rho - exact))

    # On less than 200 vertices explicit steps are as short as the growth rate asks for.
    rates(error, (256, 512, 1024)).check(1.8, math.inf, 1e-4)


@pytest.mark.parametrize("levels", slow_but([0], [(2, 3, 4), (3, 4, 5)]))
@pytest.mark.parametrize("way", ["extrapolated", "stages", "implicit"])
def test_densities_on_the_sphere_follow_an_angular_gaussian_to_second_order(
    way: Any, levels: tuple[int, ...], make_space: Make
) -> None:
    exact_map = propagator(wave(3), 0.5)

    def error(level: int) -> float:
        space = make_space("sphere", level)
        model, rho = driven(wave(3)), np.ones(space.n_owned)
        solver: Any
        if way == "implicit":
            solver = ImplicitSolver(space, model, rho, options=Implicit(dt=0.25 / 2**level))
        else:
            solver = EulerianSolver(space, model, rho, Eulerian(field=way))
        exact = angular_gaussian(exact_map, space.points[: space.n_owned])
        return float(solver.weights @ np.abs(ran(solver, 0.5).rho - exact))

    rates(error, levels).check(1.8, math.inf, 1e-2)


# ------------------------------------------------------------------ orders in time


def beating() -> Moving:
    """beta(t) = 2 + 1.5 cos(7 t + .3), and a value that turns."""
    beta = WaveInTime(2.0 * np.eye(2), 1.5 * np.eye(2), 2.0 * math.pi / 7.0, 0.3)
    spin = np.array([[0.0, -1.0], [1.0, 0.0]])
    value = FunctionInTime(lambda t: expm(1.5 * t * spin), (2, 2), 1.0)
    return Moving((MovingHead(beta, value),), "sa", 2, "circle")


@pytest.mark.parametrize("potential", ["explicit", "implicit"])
def test_implicit_steps_are_of_second_order(potential: Any, make_space: Make) -> None:
    space = make_space("circle", 64)
    start = 1.0 + 0.6 * space.points[: space.n_owned, 0]

    def after(count: int) -> Array:
        options = Implicit(dt=1.0 / count, potential=potential, linear_tolerance=1e-13, rtol=1e-6)
        return np.asarray(ran(ImplicitSolver(space, beating(), start, 0.1, options), 1.0).rho)

    reference = after(640)
    rates(lambda n: float(np.abs(after(n) - reference).max()), (20, 40, 80)).check(1.8, 2.5, 2e-3)


@pytest.mark.parametrize("field", ["extrapolated", "stages"])
def test_explicit_steps_are_of_second_order(field: Any, make_space: Make) -> None:
    space = make_space("circle", 48)
    start = 1.0 + 0.6 * space.points[: space.n_owned, 0]

    def after(count: int) -> Array:
        options = Eulerian(field=field, scheme="upwind", accuracy=0.1)
        solver = EulerianSolver(space, beating(), start, options)
        for t in np.arange(1, count + 1) / count:  # as long as that, if nothing else bounds them
            ran(solver, float(t))
        assert solver.step == count
        return np.asarray(solver.rho)

    reference = after(1600)
    rates(lambda n: float(np.abs(after(n) - reference).max()), (100, 200, 400)).check(
        1.8, 2.4, 1e-4
    )


def test_tokens_follow_beta_in_time() -> None:
    x = uniform_points(12, 2, np.random.default_rng(3))
    options = Particles(rtol=1e-10, atol=1e-12, merge=False)
    solver = ran(ParticleSolver(beating(), x, options=options), 1.0)

    def rate(t: float, y: Array) -> Array:
        y = y.reshape(-1, 2)
        beta, turn = 2.0 + 1.5 * math.cos(7.0 * t + 0.3), 1.5 * t
        e = np.exp(beta * y @ y.T)
        value = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        v = (e @ y) / e.sum(axis=1, keepdims=True) @ value.T
        return np.asarray(v - np.sum(v * y, axis=1, keepdims=True) * y).ravel()

    found = solve_ivp(rate, (0.0, 1.0), x.ravel(), method="DOP853", rtol=1e-12, atol=1e-12)
    assert np.abs(solver.x.ravel() - found.y[:, -1]).max() <= 1e-8


def test_densities_stay_positive_where_a_drift_begins_from_nothing(make_space: Make) -> None:
    """No speed at t = .05 gives no bound on the next step, in which a drift sets in."""
    space = make_space("circle", 800)
    times = np.array([0.05, 0.0502])
    drift = TableInTime(times, np.array([np.zeros((2, 2)), 200.0 * M[:2, :2]]), "linear")
    start = np.zeros(space.n_owned)
    start[::50] = 1.0
    solver = EulerianSolver(space, driven(drift, 2), start)
    solver._linear_rate = 1.0  # nothing else bounds it
    ran(solver, 0.05019)
    state = solver.state()
    assert state is not None and state.rate * solver.dt <= 1.0
    assert np.all(solver.rho >= 0.0)


def test_an_implicit_step_takes_the_parameters_where_it_ends(make_space: Make) -> None:
    """V = 0 at the begin: the old field would leave everything, and its moments, as they are."""
    space = make_space("circle", 64)
    start = 1.0 + 0.6 * space.points[: space.n_owned, 0]
    value = WaveInTime(np.eye(2), -np.eye(2), 1.0)
    model = Moving((MovingHead(np.eye(2), value),), "sa", 2, "circle")
    options = Implicit(dt=0.2, order=1, potential="implicit")
    solver = ImplicitSolver(space, model, start, options=options)
    solver.advance(1.0)
    at_end = ImplicitSolver(space, model.at(0.2), start, options=options)
    at_end.advance(1.0)
    assert np.abs(at_end.rho - start).max() > 0.02
    assert np.abs(solver.rho - at_end.rho).max() <= 1e-3


def test_steps_are_bounded_anew_after_a_jump(make_space: Make) -> None:
    space = make_space("circle", 200)
    model = driven(steps(*(size * M[:2, :2] for size in (0.1, 6.0, 0.1))), 2)
    solver = ran(EulerianSolver(space, model, np.ones(space.n_owned)), JUMPS[0])
    slow = solver.dt
    solver.advance(1.0)
    state = solver.state()
    assert state is not None and state.rate * solver.dt <= 0.91
    assert solver.dt < 0.2 * slow
    fast = ran(solver, JUMPS[1]).dt
    solver.advance(1.0)
    assert solver.dt > 1.5 * fast  # and not by what holds no more


# ------------------------------------------------------------------ at rest


def test_turning_at_any_speed_leaves_the_uniform_state(make_space: Make) -> None:
    speed = Combined(
        (WaveInTime(np.array(1.0), np.array(3.0), 0.3),), lambda s: s * TURN, (3, 3), 5.0
    )
    moving = LagrangianSolver(driven(speed), icosphere(2), lambda x: np.ones(len(x)))
    ran(moving, 1.0)
    assert np.abs(moving.log_density()).max() <= 1e-12
    assert np.abs(moving.positions() - icosphere(2).points).max() > 0.1
    # In steps, the drops along edges are those of a rotation, too.
    space = make_space("sphere", 2)
    for kind in (EulerianSolver, ImplicitSolver):
        solver = kind(space, driven(steps(TURN, M - M.T, -2.0 * TURN)), np.ones(space.n_owned))
        ran(solver, 0.5)
        assert np.abs(solver.rho - 1.0).max() <= 1e-12


EVERY_WAY: dict[str, Make] = {
    "extrapolated": lambda space, model, rho: EulerianSolver(space, model, rho),
    "stages": lambda space, model, rho: EulerianSolver(
        space, model, rho, Eulerian(field="stages", stepper="ssprk3")
    ),
    "implicit": lambda space, model, rho: ImplicitSolver(space, model, rho),
    "noise": lambda space, model, rho: ImplicitSolver(space, model, rho, 0.3),
    "implicit potential": lambda space, model, rho: ImplicitSolver(
        space, model, rho, 0.1, Implicit(dt=0.05, potential="implicit")
    ),
}
every_way = pytest.mark.parametrize("way", EVERY_WAY)


def turning(d: int = 3) -> Moving:
    """A rotation about an axis, and at a speed, that change all the time."""
    axis = TURN[:d, :d]
    other = (M - M.T)[:d, :d]
    return driven(WaveInTime(axis, 1.5 * other, 0.7, 0.4), d)


@every_way
@pytest.mark.parametrize(
    ("mesh", "size", "d"), [("sphere", 3, 3), ("unstructured", 400, 3), ("circle", 100, 2)]
)
def test_the_uniform_state_rests_while_it_is_turned_in_another_way_all_the_time(
    way: str, mesh: str, size: int, d: int, make_space: Make
) -> None:
    space = make_space(mesh, size)
    solver = EVERY_WAY[way](space, turning(d), np.ones(space.n_owned))
    assert np.abs(ran(solver, 2.0).rho - 1.0).max() <= 1e-12
    assert solver.speed() > 0.3 or solver.diffusion.acts


def test_it_rests_beside_a_kernel_too(make_space: Make) -> None:
    """A potential, velocities and a level: rows of every kind."""
    space = make_space("sphere", 3)
    both = Together((Attention("usa", 0.5, 3, "sphere"), turning()))
    for make in (EVERY_WAY["extrapolated"], EVERY_WAY["implicit"]):
        solver = make(space, both, np.ones(space.n_owned))
        assert np.abs(ran(solver, 2.0).rho - 1.0).max() <= 1e-12


def test_a_level_is_made_once_for_each_time_and_each_matrix_once(
    make_space: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights: list[Array] = []
    fills: list[int] = []
    solve, fill = EdgeLaplacian.potential, EdgeLaplacian._fill

    def counted(self: EdgeLaplacian, right: Array) -> Array:
        rights.append(right)
        return solve(self, right)

    def filled(self: EdgeLaplacian, *given: Array) -> None:
        fills.append(1)
        fill(self, *given)

    monkeypatch.setattr(EdgeLaplacian, "potential", counted)
    monkeypatch.setattr(EdgeLaplacian, "_fill", filled)
    space = make_space("sphere", 3)
    solver = EulerianSolver(space, turning(), bump(space.points))
    for _ in range(8):
        solver.advance(1e9)
    # Where each step begins; the first three, with no history, have looked at their ends before,
    # and at their middles.
    assert (len(rights), len(fills)) == (8 + 3, 1)
    # Where values times keys stay there is nothing to be solved for.
    monkeypatch.setattr(EdgeLaplacian, "potential", None)
    for make in (EVERY_WAY["extrapolated"], EVERY_WAY["implicit"]):
        ran(make(space, inverse(), bump(space.points)), 0.2)


@every_way
def test_resumption_while_everything_changes(way: str, make_space: Make) -> None:
    space = make_space("sphere", 2)
    head = MovingHead(WaveInTime(A, 0.5 * B, 0.9, 0.2), V)
    drift = MovingDrift((wave(3),), LinearDrift)
    model = Moving((head,), "sa", 3, "sphere", drifts=(drift,))
    one = EVERY_WAY[way](space, model, bump(space.points))
    for _ in range(5):
        one.advance(1e9)
    state = one.state()
    if isinstance(state, EulerianState):  # no level is written
        assert state.history.shape == (4, 3, space.n_owned)
    two = EVERY_WAY[way](space, model, np.ones(space.n_owned))
    two.restore(type(state).from_values(state.values()))
    for _ in range(4):
        one.advance(1e9)
        two.advance(1e9)
    assert (two.t, two.step, two.dt) == (one.t, one.step, one.dt)
    assert np.array_equal(two.rho, one.rho)


def inverse() -> Moving:
    """V(t) = c A(t)^-1 with A that beats and turns."""
    sizes = np.diag([2.0, 1.5, 1.0])
    a = FunctionInTime(
        lambda t: expm(t * TURN) @ (sizes * (1.0 + 0.4 * math.cos(4.0 * t))), (3, 3), 2.8 + 1e-9
    )
    v = Combined((a,), lambda m: 2.0 * np.linalg.inv(m), (3, 3), 3.4)
    return Moving((MovingHead(a, v),), "sa", 3, "sphere")


@pytest.mark.parametrize("kind", [EulerianSolver, ImplicitSolver, LagrangianSolver])
def test_uniform_densities_rest_while_values_times_keys_stay(kind: Any, make_space: Make) -> None:
    model = inverse()
    if kind is LagrangianSolver:
        moving = LagrangianSolver(model, icosphere(4), lambda x: np.ones(len(x)))
        assert np.abs(ran(moving, 2.0).log_density()).max() <= 1e-12
        return
    space = make_space("sphere", 3)
    solver = kind(space, model, np.ones(space.n_owned))
    assert np.abs(ran(solver, 2.0).rho - 1.0).max() <= 1e-12


# ------------------------------------------------------------------ what is told, and refused


def test_there_is_no_energy(make_space: Make) -> None:
    model = stepwise()
    assert model.energy_kind is None and model.convexity is None
    assert model.why_no_energy == "its parameters change in time"
    assert "in time" in model.describe()
    assert (model.moves, model.piecewise, driven(wave(3)).piecewise) == (True, True, False)
    fixed = pieces()[0]
    assert (fixed.moves, fixed.at(3.0), fixed.next_jump(0.0)) == (False, fixed, math.inf)
    one = Moving((MovingHead(steps(np.eye(3), V, W), np.eye(3)),), "usa", 3)
    x = uniform_points(9, 3, np.random.default_rng(0))
    alone = Composite((HeadMatrices(np.eye(3), np.eye(3)),), "usa", 3)
    # At one time there may be one.
    assert one.at(0.0).field(Measure.equal(x)).energy() == pytest.approx(
        alone.field(Measure.equal(x)).energy()
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MovingHead(steps(A, B, A), np.eye(2)), "V: a matrix of shape (2, 2)"),
        (lambda: MovingHead(WaveInTime(np.ones(3), np.ones(3), 1.0), A), "A: values of shape (3,)"),
        (lambda: Moving((MovingHead(steps(A, B, A), A),), "sa", 2), "heads[0]: 3 x 3 matrices"),
        (lambda: Moving((MovingHead(steps(A, 1e4 * B, A), A),), "sa", 3), "heads[0]: |A| up to"),
        (lambda: Moving((3,), "sa", 3), "heads[0]: found 3, expected HeadMatrices(A, V) or"),  # type: ignore[arg-type]
        (lambda: Moving((), "softmax", 3), "attention 'softmax' found"),  # type: ignore[arg-type]
        (lambda: MovingDrift((steps(A, B, A),), lambda m: m), "made: found an array of shape"),
        (lambda: driven(steps(A, B, A), 2), "drifts[0]: one of dimension 3 found, 2 expected"),
        (
            lambda: Moving((MovingHead(steps(A, B, A), A),), "sa", 3, "zonal"),
            "heads[0]",
        ),
        (lambda: driven(wave(3)).at(0.0) and stepwise("sa", "shpere"), "shpere"),
    ],
)
def test_bad_input_is_one_line(make: Callable[[], object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert said in str(caught.value) and "\n" not in str(caught.value)


# ------------------------------------------------------------------ beside other things


def test_hardmax_in_time_is_that_of_tokens_however_many() -> None:
    x = uniform_points(600, 3, np.random.default_rng(3))
    a = np.random.default_rng(4).normal(size=(3, 3))
    head = MovingHead(TableInTime([0.0], a[None]), a)
    solver = ParticleSolver(Moving((head,), "hardmax", 3, "sphere"), x)
    best = x[np.argmax(x @ a.T @ x.T, axis=1)] @ a.T
    wanted = best - np.sum(best * x, axis=1, keepdims=True) * x
    assert np.abs(solver.velocity() - wanted).max() < 1e-12
    fixed = Composite((HeadMatrices(a, a),), "hardmax", 3, "sphere")
    for name in ("series_ends", "exact_sums", "compiled_sums"):
        assert getattr(solver.interaction, name) == getattr(fixed, name)


@pytest.mark.parametrize("kind", ["linear", "hardmax", "sigmoid"])
def test_kinds_in_time_refuse_sums_over_others(kind: str) -> None:
    moving = Moving((MovingHead(TableInTime([0.0], np.eye(3)[None]), np.eye(3)),), kind, 3)
    with pytest.raises(InputError, match="no sums over other tokens"):
        moving.excluding_self()


def test_a_function_need_not_be_known_after_the_end() -> None:
    def known(t: float) -> Array:
        if t > 1.0:
            raise ValueError("only known to t = 1")
        return np.eye(3) * (1.0 + t)

    head = MovingHead(FunctionInTime(known, (3, 3), 3.0), np.eye(3))
    model = Moving((head,), "sa", 3, "sphere")
    assert model.fastest_rate(4) > 0.0
    assert not model.is_external
    assert Moving((), "sa", 3, drifts=(LinearDrift(np.eye(3)),)).is_external
