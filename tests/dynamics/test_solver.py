"""What the five solvers have in common: one clock, one landing, one watch of the energy."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import InputError
from meanfield.geometry.laws import Fourier, standard_density
from meanfield.geometry.mesh import circle, icosphere


def _density(kind: str):  # type: ignore[no-untyped-def]
    from meanfield.dynamics.eulerian import EulerianSolver
    from meanfield.dynamics.implicit import ImplicitSolver
    from meanfield.dynamics.space import P1Space

    space = P1Space(icosphere(3))
    rho = standard_density().density(space.points[: space.n_owned])
    attention = mf.Attention("sa", 4.0, 3, "sphere")
    if kind == "eulerian":
        return EulerianSolver(space, attention, rho)
    return ImplicitSolver(space, attention, rho, 0.1)


def make(kind: str):  # type: ignore[no-untyped-def]
    from meanfield.dynamics.lagrangian import LagrangianSolver
    from meanfield.dynamics.layers import LayerSolver
    from meanfield.dynamics.particles import ParticleSolver

    attention = mf.Attention("sa", 4.0, 3, "sphere")
    if kind in ("eulerian", "implicit"):
        return _density(kind)
    if kind == "lagrangian":
        return LagrangianSolver(attention, icosphere(3), standard_density().density)
    x = np.random.default_rng(5).normal(size=(12, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    if kind == "layers":
        return LayerSolver(attention, x, layer_step=0.07)
    return ParticleSolver(attention, x, kappa=0.1 if kind == "noise" else 0.0)


KINDS = ("eulerian", "implicit", "lagrangian", "particles", "noise", "layers")


@pytest.mark.parametrize("kind", KINDS)
def test_every_solver_steps_lands_and_refuses_the_past_alike(kind: str) -> None:
    solver = make(kind)
    assert (solver.t, solver.step, solver.dt) == (0.0, 0, 0.0)
    for end in (0.1, 0.3, 0.7):  # 0.1 + 0.2 is not 0.3, and 0.7 no sum of layers
        before = solver.t
        while solver.t < end:
            dt = solver.advance(end)
            assert dt == solver.dt > 0.0 and before < solver.t <= end
            before = solver.t
        assert solver.t == end  # exactly
    steps = solver.step
    for past in (0.7, 0.5, float("nan")):
        with pytest.raises(InputError, match=rf"t_end = {past:g} found, a time after t = 0.7 exp"):
            solver.advance(past)
    assert (solver.t, solver.step) == (0.7, steps)
    assert "field" in solver.timings and min(solver.timings.values()) >= 0.0
    assert solver.energy_violations == 0
    solver.check()
    assert 0.0 < solver.speed() < 10.0
    assert solver.measure().weights.sum() == pytest.approx(1.0, abs=1e-13)
    assert solver.field().mass == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_comes_back_from_its_values_and_fits_no_other_solver(kind: str) -> None:
    first, second = make(kind), make(kind)
    first.advance(0.4)
    state = first.state()
    values = state.values()
    assert {"t", "step", "dt"} <= set(values)
    again = type(state).from_values({**values, "of somebody else": 1.0})
    second.restore(again)
    assert (second.t, second.step, second.dt) == (first.t, first.step, first.dt)
    for solver in (first, second):
        while solver.t < 1.0:
            solver.advance(1.0)
    for name, value in first.state().values().items():
        found = second.state().values()[name]
        if isinstance(value, str):
            assert found == value
        else:
            np.testing.assert_allclose(found, value, rtol=1e-11, atol=1e-11)

    with pytest.raises(InputError, match="checkpoint is of another kind of run"):
        type(state).from_values({"t": 0.0})
    foreign = make("layers" if kind != "layers" else "particles").state()
    before = second.t
    with pytest.raises(InputError, match=f"a state of type {type(foreign).__name__} found"):
        second.restore(foreign)
    with pytest.raises(InputError, match="NoneType found"):
        second.restore(None)
    assert second.t == before


@pytest.mark.parametrize("kind", ["eulerian", "implicit", "lagrangian"])
def test_the_threads_of_a_process_stay_as_they_were(kind: str) -> None:
    import numba

    most = numba.config.NUMBA_NUM_THREADS
    before = numba.get_num_threads()
    try:
        for number in {1, most}:
            numba.set_num_threads(number)
            solver = make(kind)
            solver.advance(1.0)
            assert numba.get_num_threads() == number
    finally:
        numba.set_num_threads(before)


def test_loops_that_fail_give_the_threads_back() -> None:
    import numba

    from meanfield.dynamics.sweep import at_most_threads

    before = numba.get_num_threads()
    with pytest.raises(RuntimeError), at_most_threads(1):
        assert numba.get_num_threads() == 1
        raise RuntimeError
    assert numba.get_num_threads() == before


@pytest.mark.parametrize("link", ["log", "identity"])
def test_evaluations_leave_a_field_as_it_was(link: str) -> None:
    from meanfield.interaction.contract import DarkPoints
    from meanfield.interaction.measure import Measure

    y = np.array([[0.0, 0.0, 1.0]])
    attention = mf.Attention("sa" if link == "log" else "usa", 40.0, 3, "sphere")
    field = attention.field(Measure(y, np.ones(1)))
    seen = DarkPoints()
    for evaluate in (field.potential, field.velocity, field.velocity_and_divergence):
        evaluate(-y, True, seen)
    assert seen.most == (1 if link == "log" else 0)
    known = dict(vars(field))
    for evaluate in (field.potential, field.velocity, field.velocity_and_divergence):
        evaluate(-y)
    assert vars(field) == known


def test_the_noise_of_the_energy_counts_all_signs_of_a_kernel() -> None:
    """E of e^{-23 <x, y>} is a difference: its parts of odd and of even degree may cancel."""
    from meanfield.interaction.measure import Measure

    attention = mf.Attention("usa", -23.0, 3, "sphere", accuracy=1e-6)
    rng = np.random.default_rng(1)
    x = 0.3 * rng.normal(size=(2000, 3)) + [0.0, 0.0, 1.0]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    both = np.concatenate([x, -x])

    def two_clusters(odd: float):  # type: ignore[no-untyped-def]
        m = np.repeat([0.5 * (1.0 + odd), 0.5 * (1.0 - odd)], len(x)) / len(x)
        return attention.field(Measure(both, m))

    even = two_clusters(0.0).ascent()
    field = two_clusters(np.sqrt(even / (even - two_clusters(1.0).ascent())))
    parts = 0.5 * np.sum(np.abs(attention.gain * attention.multiplier) * field.moments**2)
    assert abs(field.ascent()) < 1e-6 * parts
    largest = 0.0
    for _ in range(20):  # moments that are wrong by the accuracy of the transforms
        wrong = rng.normal(size=field.moments.shape)
        wrong *= attention.epsilon * np.linalg.norm(field.moments) / np.linalg.norm(wrong)
        other = attention.field_of_moments(field.moments + wrong, field.measure, 0.0, None)
        largest = max(largest, abs(other.ascent() - field.ascent()))
    assert 1e3 * attention.epsilon * abs(field.ascent()) < largest
    assert largest < field.energy_noise() < 1e-3 * parts


@pytest.mark.parametrize("kind", ["eulerian", "implicit", "lagrangian", "particles"])
def test_a_speed_whose_square_is_no_double(kind: str) -> None:
    from meanfield.dynamics.eulerian import EulerianSolver
    from meanfield.dynamics.implicit import ImplicitSolver
    from meanfield.dynamics.lagrangian import LagrangianSolver
    from meanfield.dynamics.particles import ParticleSolver
    from meanfield.dynamics.space import P1Space

    attention, law = mf.Attention("usa", 500.0, 2, "circle"), Fourier((0.3, 0.2))
    if kind == "lagrangian":
        solver = LagrangianSolver(attention, circle(400), law.density)
    elif kind == "particles":
        solver = ParticleSolver(attention, law.sample(30, np.random.default_rng(3)))
    else:
        space = P1Space(circle(400))
        made = EulerianSolver if kind == "eulerian" else ImplicitSolver
        solver = made(space, attention, law.density(space.points))
    measure = solver.measure()
    scaled = solver.field().velocity(measure.points, scaled=True)
    size = np.sqrt(np.dot(measure.weights, np.sum(scaled**2, axis=1)))
    assert 1e-6 < size < 10.0
    assert solver.speed() / np.exp(500.0) == pytest.approx(size, rel=1e-10)
