"""Densities along fields that are no gradients, against exact results."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builders import rough
from convergence import rates
from drifts import M2, M3, Driven, angular_gaussian, driven, spin
from parameters import slow_but

from meanfield.case import Eulerian, Implicit, Lagrangian
from meanfield.dynamics.density import DensitySolver
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.layers import LayerSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.mesh import circle, icosphere
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.composite.field import CompositeField
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.drifts import LinearDrift

Make = Callable[..., Any]


def linear(m: Any) -> Composite:
    """X = P_x(M x) and no heads, on S^2 or S^1."""
    m = np.asarray(m, dtype=np.float64)
    return Composite(
        (), "sa", len(m), "sphere" if len(m) == 3 else "circle", drifts=(LinearDrift(m),)
    )


def several(model: Any = "sa") -> Composite:
    """A head with a potential, one without and a drift with a turn: rows of every kind."""
    rng = np.random.default_rng(8)
    a, b, v = rng.standard_normal((3, 3, 3))
    return Composite(
        (HeadMatrices(a, 0.5 * a.T), HeadMatrices(b, v)),
        model,
        3,
        "sphere",
        drifts=(LinearDrift(M3),),
    )


def ran(solver: Any, t: float) -> Any:
    while solver.t < t:
        solver.advance(t)
    return solver


def explicit(space: Any, model: AnyInteraction, rho: Any, **choices: Any) -> EulerianSolver:
    return EulerianSolver(space, model, rho, Eulerian(**choices))


def implicit(
    space: Any, model: AnyInteraction, rho: Any, kappa: float = 0.0, **choices: Any
) -> ImplicitSolver:
    return ImplicitSolver(space, model, rho, kappa, Implicit(**choices))


def distance(solver: DensitySolver, exact: Array) -> float:
    """In L^1."""
    return float(solver.weights @ np.abs(solver.rho - exact))


# ------------------------------------------------------------------ the linear field


@pytest.mark.parametrize("levels", slow_but([0], [(3, 4, 5), (3, 4, 5, 6)]))
@pytest.mark.parametrize(
    ("make", "choices", "last"),
    [(explicit, {}, 3.5e-3), (implicit, {"rtol": 1e-4}, 3.5e-3)],
    ids=["explicit", "implicit"],
)
def test_the_angular_gaussian(
    make: Make, choices: Any, last: float, levels: Any, make_space: Make
) -> None:
    # max rho is 32 at the end. A limiter that keeps within van Leer's bounds leaves .10, .027,
    # .0068, .0017 at these levels.
    def error(level: int) -> float:
        space = make_space("sphere", level)
        solver = ran(make(space, linear(M3), np.ones(space.n_owned), **choices), 1.5)
        assert abs(float(solver.weights @ solver.rho) - 1.0) < 1e-14 * math.sqrt(solver.step)
        assert float(np.min(solver.rho)) > 0.085  # exactly .0901
        return distance(solver, angular_gaussian(M3, 1.5, space.points[: space.n_owned]))

    rates(error, levels).check(1.9, 2.6, last if len(levels) == 3 else 0.3 * last)


@pytest.mark.parametrize(
    ("make", "choices"),
    [(explicit, {}), pytest.param(implicit, {"rtol": 1e-5}, marks=pytest.mark.slow)],
    ids=["explicit", "implicit"],
)
def test_the_angular_gaussian_on_the_circle(make: Make, choices: Any, make_space: Make) -> None:
    def error(vertices: int) -> float:
        space = make_space("circle", vertices)
        solver = ran(make(space, linear(M2), np.ones(vertices), **choices), 1.2)
        return distance(solver, angular_gaussian(M2, 1.2, space.points))

    rates(error, (64, 128, 256)).check(1.9, 2.8, 1e-3)


@pytest.mark.parametrize(
    ("mesh", "m", "t"), [(icosphere(2), M3, 1.5), (circle(50), M2, 1.2)], ids=["sphere", "circle"]
)
def test_characteristics_of_the_linear_field(mesh: Any, m: Any, t: float) -> None:
    options = Lagrangian(rtol=1e-11, atol=1e-12)
    solver = LagrangianSolver(linear(m), mesh, lambda x: np.ones(len(x)), options=options)
    exact = angular_gaussian(m, t, ran(solver, t).positions())
    assert np.max(np.abs(np.exp(solver.log_density()) / exact - 1.0)) < 1e-9
    assert solver.energy_violations == 0


def test_tokens_in_the_linear_field() -> None:
    from scipy.linalg import expm

    x = np.random.default_rng(2).standard_normal((20, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    model = Composite((), "sa", 3, drifts=(LinearDrift(M3),))
    exact = x @ expm(1.5 * M3).T
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(ran(ParticleSolver(model, x), 1.5).x, exact, atol=1e-6)
    errors = [
        np.max(np.abs(ran(LayerSolver(model, x, layer_step=h), 1.5).x - exact))
        for h in (0.02, 0.01)
    ]
    assert errors[1] < 0.03 and errors[0] / errors[1] == pytest.approx(2.0, abs=0.2)


# ------------------------------------------------------------------ rest and steady states

WAYS: Any = pytest.mark.parametrize(
    ("make", "kappa"), [(explicit, None), (implicit, 0.0), (implicit, 0.3)],
    ids=["explicit", "implicit", "noise"],
)  # fmt: skip


def made(make: Make, kappa: float | None, space: Any, model: Any, rho: Any) -> DensitySolver:
    found: DensitySolver = make(space, model, rho, **({} if kappa is None else {"kappa": kappa}))
    return found


@WAYS
@pytest.mark.parametrize(
    ("which", "m"),
    [
        (("sphere", 3), spin((0.3, -0.5, 0.8))),
        (("unstructured", 400), spin((0.3, -0.5, 0.8))),
        (("circle", 100), spin(1.7)),
    ],
    ids=["sphere", "unstructured", "circle"],
)
def test_a_rotation_of_the_uniform_state_leaves_no_imprint(
    which: Any, m: Any, make: Make, kappa: float | None, make_space: Make
) -> None:
    space = make_space(*which)
    solver = made(make, kappa, space, linear(m), np.ones(space.n_owned))
    ran(solver, 2.0)
    assert np.max(np.abs(solver.rho - 1.0)) < 1e-13


def test_heads_that_leave_the_uniform_state_alone(make_space: Make) -> None:
    # V A = -3 I: X of the uniform measure is 0, exactly.
    rng = np.random.default_rng(6)
    u, v = (np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(2))
    a = u @ np.diag([3.0, 1.5, 0.5]) @ v
    model = Composite((HeadMatrices(a, -3.0 * np.linalg.inv(a)),), "sa", 3, "sphere")
    space = make_space("sphere", 3)
    solver = ran(explicit(space, model, np.ones(space.n_owned)), 20.0)
    assert np.max(np.abs(solver.rho - 1.0)) < 1e-12


def test_a_steady_current(make_space: Make) -> None:
    # P_x(S x) = grad z^2/2 turns with nothing: rho ~ e^{z^2/(2 kappa)} goes round.
    kappa, turn = 0.3, 2.0
    m = np.diag([0.2, 0.2, 1.2]) + spin((0.0, 0.0, turn))

    def error(level: int) -> float:
        space = make_space("sphere", level)
        solver = ran(implicit(space, linear(m), np.ones(space.n_owned), kappa), 300.0)
        z, w = space.points[: space.n_owned, 2], solver.weights
        exact = np.exp(z * z / (2.0 * kappa))
        exact /= w @ exact
        speed = turn * math.sqrt(w @ (exact * (1.0 - z * z)))
        assert solver.speed() == pytest.approx(speed, rel=0.03)
        assert abs(float(w @ solver.rho) - 1.0) < 1e-13
        return float(np.max(np.abs(solver.rho / exact - 1.0)))

    rates(error, (2, 3, 4)).check(1.8, 2.2, 5e-3)


def tilted(om: float, b: float) -> Driven:
    """X = om - b sin phi on the circle."""

    def flow(x: Array) -> tuple[Array, Array]:
        speed = om - b * x[:, 1]
        return speed[:, None] * np.stack([-x[:, 1], x[:, 0]], axis=1), -b * x[:, 0]

    return driven("circle", 2, flow)


def tilted_density(om: float, b: float, kappa: float, phi: Array) -> Array:
    """Its steady state: e^{-V} int_0^{2 pi} e^{V(phi + s)} ds, V = -(om phi + b cos phi)/kappa."""

    def potential(angle: Array) -> Array:
        return -(om * angle + b * np.cos(angle)) / kappa

    nodes, weights = np.polynomial.legendre.leggauss(200)
    s, weights = np.pi * (1.0 + nodes), np.pi * weights

    def shape(at: Array) -> Array:
        return np.exp(potential(at[:, None] + s) - potential(at)[:, None]) @ weights

    even = np.arange(400) * (2.0 * np.pi / 400)
    return shape(phi) / float(np.mean(shape(even)))


@pytest.mark.parametrize("dt", [None, 1e3])
def test_the_tilted_circle(dt: float | None, make_space: Make) -> None:
    om, b, kappa = 0.6, 1.0, 0.3

    def error(vertices: int) -> float:
        space = make_space("circle", vertices)
        solver = implicit(space, tilted(om, b), np.ones(vertices), kappa, dt=dt)
        ran(solver, 5e3)
        phi = np.arctan2(space.points[:, 1], space.points[:, 0])
        exact = tilted_density(om, b, kappa, phi)
        wrong = np.max(np.abs(solver.rho / exact - 1.0))
        assert abs(float(solver.weights @ solver.rho) - 1.0) < 1e-13
        return float(wrong)

    rates(error, (32, 64, 128)).check(1.9, 2.1, 2e-3)


# ------------------------------------------------------------------ positivity and mass


@pytest.mark.parametrize("which", [("sphere", 3), ("unstructured", 400), ("circle", 120)])
def test_explicit_steps_keep_rough_data_positive(which: Any, make_space: Make) -> None:
    space = make_space(*which)
    n = space.n_owned
    model = linear((M3 if space.d == 3 else M2) + 3.0 * np.eye(space.d))
    for seed in range(5):
        rho = np.exp(6.0 * np.random.default_rng(seed).standard_normal(n))
        solver = explicit(space, model, rho, cfl=1.0, stepper="euler")
        for _ in range(4):
            solver.advance(1e9)
            assert np.all(solver.rho >= 0.0)
            assert abs(float(solver.weights @ solver.rho) - 1.0) < 1e-14 * (1 + solver.step)


def test_the_step_of_upwinding_is_too_long_for_limited_fluxes(make_space: Make) -> None:
    # What a vertex would emit in it, were it not held to what it holds.
    space = make_space("sphere", 3)
    rho = np.exp(6.0 * np.random.default_rng(0).standard_normal(space.n_owned))
    solver = explicit(space, linear(M3), rho)
    drift = solver.drift_of(solver.field())
    solver._sweep._emit(solver.rho, drift, 0.0, True)
    free, held = solver._sweep._outflow.copy(), solver.weights * solver.rho
    dt = 0.999 / float(np.max(solver._sweep._outrate))
    assert np.max(dt * free / held) > 10.0
    solver._sweep._emit(solver.rho, drift, dt, True)
    assert np.all(dt * solver._sweep._outflow <= held * (1.0 + 1e-14))
    untouched = dt * free < held
    assert 0 < np.count_nonzero(untouched) < untouched.size
    assert np.array_equal(solver._sweep._outflow[untouched], free[untouched])


@pytest.mark.parametrize("kappa", [0.0, 0.3])
@pytest.mark.parametrize("dt", [0.01, 50.0])
def test_implicit_steps_keep_rough_data_positive(kappa: float, dt: float, make_space: Make) -> None:
    for which, m in ((("sphere", 3), M3), (("circle", 120), M2)):
        space = make_space(*which)
        for name in ("lognormal", "hot", "holes"):
            solver = implicit(space, linear(m), rough(name, space) ** 2, kappa, dt=dt)
            for _ in range(3):
                solver.advance(1e9)
                assert np.all(solver.rho >= 0.0)
                assert abs(float(solver.weights @ solver.rho) - 1.0) < 1e-14 * (1 + solver.step)


def test_mass_may_go_round_without_noise(make_space: Make) -> None:
    # No order of the vertices follows a rotation: no sweep. A gradient has one.
    space = make_space("sphere", 3)
    turning = implicit(space, linear(spin((0.0, 0.0, 1.0))), rough("peak", space), dt=0.1)
    rising = implicit(space, linear(np.diag([0.0, 0.0, 1.0])), rough("peak", space), dt=0.1)
    assert "sweep" not in ran(turning, 0.3).solves
    assert set(ran(rising, 0.3).solves) == {"sweep"}


# ------------------------------------------------------------------ energy


def test_what_has_no_energy_is_asked_for_none(
    make_space: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*given: Any, **more: Any) -> float:
        raise AssertionError("there is no energy")

    for name in ("energy", "energy_excess", "ascent", "energy_noise"):
        monkeypatch.setattr(CompositeField, name, none)
    model, space = several(), make_space("sphere", 3)
    assert model.energy_kind is None
    x = space.points
    solvers = (
        explicit(space, model, np.ones(len(x))),
        implicit(space, model, np.ones(len(x))),
        implicit(space, model, np.ones(len(x)), 0.2),
        LagrangianSolver(model, icosphere(2), lambda y: np.ones(len(y))),
        ParticleSolver(model, x[:30]),
    )
    for solver in solvers:
        before = solver.speed()
        for _ in range(3):
            solver.advance(0.5)
        assert solver.energy_violations == 0 and before > 0.0


@pytest.mark.parametrize(
    "choices",
    [{}, {"stepper": "euler", "scheme": "upwind", "cfl": 0.99}, {"field": "stages", "cfl": 0.9}],
    ids=["default", "euler", "stages"],
)
@pytest.mark.parametrize("composite", [False, True])
def test_a_step_that_lowers_the_energy_is_tried_again(
    composite: bool, choices: Any, make_space: Make
) -> None:
    # V = -I with A = -4 I near the uniform state: the longest stable step grows like 1/|X|.
    model: AnyInteraction = Attention("sa", -4.0, 3, "sphere", -1)
    if composite:
        model = Composite((HeadMatrices(-4.0 * np.eye(3), -np.eye(3)),), "sa", 3, "sphere")
    space = make_space("sphere", 3)

    def run(tries: int | None) -> EulerianSolver:
        solver = explicit(space, model, 1.0 + 1e-3 * space.points[:, 2], **choices)
        solver.__dict__["_linear_rate"] = 0.0  # what else bounds such steps
        solver._tries = solver._tries if tries is None else tries
        for _ in range(12):
            solver.advance(1e9)
        solver._see_energy(solver.field())
        return solver

    plain, mended = run(1), run(None)
    assert plain.energy_violations > 0 and plain.refused == 0
    assert mended.energy_violations == 0 and 0 < mended.refused < 12 * 12


def test_tries_end(make_space: Make) -> None:
    space = make_space("sphere", 2)
    solver = explicit(space, Attention("sa", 4.0, 3, "sphere", -1), rough("peak", space))
    solver._energy.lost = lambda field: True  # type: ignore[method-assign]
    for step in (1, 2):
        solver.advance(1e9)
        assert solver.refused == step * (solver._tries - 1)
    assert solver.energy_violations == 2  # looked at before each step


@pytest.mark.parametrize("value", [1, -1])
def test_no_energy_costs_a_field(value: int, make_space: Make) -> None:
    space = make_space("sphere", 3)
    solver = explicit(space, Attention("sa", 4.0, 3, "sphere", value), rough("peak", space))
    count, known = 0, solver._field_of

    def counted(*given: Any) -> Any:
        nonlocal count
        count += 1
        return known(*given)

    solver._field_of = counted  # type: ignore[method-assign]
    for _ in range(8):
        solver.advance(1e9)
    solver.field()
    # Three stages in the first three steps, while there is no history to extrapolate from.
    assert (count, solver.refused) == (8 + 1 + 2 * 3, 0)


# ------------------------------------------------------------------ restart


@pytest.mark.parametrize("make", [explicit, implicit])
@pytest.mark.parametrize("model", [linear(M3), several()], ids=["velocity", "all rows"])
def test_a_resumed_run_is_one_long_run(make: Make, model: Composite, make_space: Make) -> None:
    space = make_space("sphere", 3)
    rho = rough("peak", space)
    one = make(space, model, rho)
    for _ in range(5):
        one.advance(1e9)
    state = one.state()
    two = make(space, model, np.ones(space.n_owned))
    two.restore(type(state).from_values(state.values()))
    for _ in range(4):
        one.advance(1e9)
        two.advance(1e9)
    assert (two.t, two.step, two.dt) == (one.t, one.step, one.dt)
    assert np.array_equal(two.rho, one.rho)


def test_what_a_checkpoint_holds_of_the_past(make_space: Make) -> None:
    space = make_space("sphere", 2)
    n = space.n_owned
    shapes = []
    for model in (Attention("sa", 4.0, 3, "sphere"), linear(M3), several()):
        solver = explicit(space, model, rough("peak", space))
        assert solver.state().history.shape == (0, n)  # type: ignore[union-attr]
        for _ in range(5):
            solver.advance(1e9)
        shapes.append(solver.state().history.shape)  # type: ignore[union-attr]
    assert shapes == [(4, n), (4, 3, n), (4, 4, n)]


# ------------------------------------------------------------------ solvers agree


@pytest.mark.parametrize("model", ["sa", "usa"])
def test_all_solvers_find_the_same_of_heads(model: Any, make_space: Make) -> None:
    t, start = 0.3, lambda x: np.exp(x @ [0.5, 0.2, -0.4])
    both = several(model)
    found = LagrangianSolver(both, icosphere(4), start)
    x = ran(found, t).positions()
    exact = np.concatenate([found.mass @ x, (x.T * found.mass @ x)[np.triu_indices(3)]])

    def error(make: Make, level: int) -> float:
        space = make_space("sphere", level)
        solver = ran(make(space, both, start(space.points)), t)
        y, m = space.points, solver.weights * solver.rho
        seen = np.concatenate([m @ y, (y.T * m @ y)[np.triu_indices(3)]])
        return float(np.max(np.abs(seen - exact)))

    for make in (explicit, implicit):
        rates(functools.partial(error, make), (3, 4)).check(1.3, 4.0, 5e-3)


def test_heads_about_an_axis(make_space: Make) -> None:
    # One velocity along the meridians, which no solver is told to be a gradient.
    head = HeadMatrices(np.diag([3.0, 3.0, -2.0]), np.diag([1.0, 1.0, -0.5]))
    model = Composite((head,), "sa", 3, "zonal")
    assert not model.has_potential

    def start(c: Array) -> Array:
        return np.exp(1.2 * c + 0.5 * c * c)

    exact = LagrangianSolver(
        Composite((head,), "sa", 3, "sphere"), icosphere(4), lambda x: start(x[:, -1])
    )
    z = ran(exact, 1.5).positions()[:, -1]

    def error(vertices: int, make: Make = explicit, **choices: Any) -> float:
        space = make_space("zonal", vertices, 3)
        c = np.cos(space.points[:, 0])
        solver = ran(make(space, model, start(c), **choices), 1.5)
        m = solver.weights * solver.rho
        return float(abs(m @ (c * c) - exact.mass @ (z * z)))

    rates(error, (33, 65, 129)).check(1.6, 2.4, 3e-5)
    assert error(65, implicit, rtol=1e-4) < 1e-4


@pytest.mark.slow
def test_an_implicit_drift_leads_to_the_same_steady_current(make_space: Make) -> None:
    space = make_space("sphere", 3)
    ends = []
    for potential in ("explicit", "implicit"):
        solver = implicit(space, several(), np.ones(space.n_owned), 0.3, potential=potential)
        ends.append(ran(solver, 60.0))
        assert solver.failed <= 0.1 * solver.step
    assert distance(ends[0], ends[1].rho) < 1e-5
    for solver in ends:
        assert solver.speed() > 0.1
        assert solver.speed() == pytest.approx(ends[0].speed(), rel=1e-5)


@pytest.mark.parametrize("kappa", [0.0, 0.1])
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_the_energy_of_an_indefinite_head(model: Any, kappa: float, make_space: Make) -> None:
    space = make_space("sphere", 3)
    a = np.diag([3.0, 1.0, -2.0])
    head = Composite((HeadMatrices(a, 0.5 * a),), model, 3, "sphere")
    solver = implicit(space, head, rough("peak", space), kappa)
    watched = model == "usa" or kappa == 0.0
    values = [solver.free_energy_excess()]
    while solver.t < 8.0:
        solver.advance(8.0)
        values.append(solver.free_energy_excess())
    assert solver.energy_violations == 0 and values[0] - values[-1] > 0.01
    if watched:
        assert np.max(np.diff(values)) <= 1e-11 * max(map(abs, values))
