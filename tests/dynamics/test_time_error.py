"""What steps of the explicit solver add to the error of its mesh: rates of growth, trajectories."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import reference
from convergence import rates

from meanfield.case import Eulerian
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.stepping import STEPPERS, History, Pace, of_mesh, shares
from meanfield.errors import InputError
from meanfield.geometry.laws import Fourier, Gegenbauer, Harmonic, VonMisesFisher
from meanfield.interaction.attention import Attention
from meanfield.interaction.diffusion import Diffusion

Make = Callable[..., Any]

# ------------------------------------------------------------------ the rule of the stages


def cubic(t: float) -> np.ndarray:
    """A polynomial of degree 3 in two components, three values each."""
    return np.array([[1.0, -2.0, 0.5 * t], [t * t, 3.0 * t**3 - t, 4.0 - t**3]])


@pytest.mark.parametrize("name", STEPPERS)
def test_shares_are_the_weights_of_the_method(name: str) -> None:
    expected = {"euler": (1.0,), "ssprk2": (0.5, 0.5), "ssprk3": (1 / 6, 1 / 6, 2 / 3)}
    assert shares(STEPPERS[name]) == pytest.approx(expected[name], abs=1e-15)


@pytest.mark.parametrize("name", STEPPERS)
def test_the_mean_of_the_stages_is_that_of_the_polynomial(name: str) -> None:
    history = History()
    for t in (0.3, 0.45, 0.5, 0.8):
        assert not history.full
        history.append(t, cubic(t))
    assert history.full
    np.testing.assert_allclose(history.at(1.1), cubic(1.1), rtol=1e-12)
    assert history.at(0.5) is history.entries()[2][1]
    stages, dt = STEPPERS[name], 0.37
    values = [history.combined(weights) for weights in history.stage_weights(stages, 0.8, dt)]
    mean = sum(share * value for share, value in zip(shares(stages), values, strict=True))
    fine = np.linspace(0.8, 0.8 + dt, 100_001)
    middle = np.mean([cubic(float(t)) for t in 0.5 * (fine[1:] + fine[:-1])], axis=0)
    np.testing.assert_allclose(mean, middle, rtol=1e-9)
    # One shift for all stages; none for ssprk3, whose rule is exact for cubics.
    shifts = [
        value - cubic(0.8 + stage.offset * dt) for value, stage in zip(values, stages, strict=True)
    ]
    for shift in shifts:
        np.testing.assert_allclose(shift, shifts[0], atol=1e-12)
    assert (np.abs(shifts[0]).max() < 1e-12) == (name == "ssprk3")


def test_histories_of_constants_are_constant() -> None:
    history = History()
    for t in (0.0, 1e-3, 2.0, 2.1):
        history.append(t, np.full((1, 700), 7.0))  # longer than a block
    stage = history.combined(history.stage_weights(STEPPERS["ssprk2"], 2.1, 0.2)[1])
    np.testing.assert_allclose(stage, np.full((1, 700), 7.0), rtol=1e-12)


def test_the_accuracy_of_a_mesh_and_the_pace() -> None:
    assert (of_mesh(1.0), of_mesh(1e-2)) == (1e-4, pytest.approx(3e-5))
    assert Pace(1e-4, 4, 2.0).first == pytest.approx(0.05)
    assert Pace(1e-8, 4, 2.0).first == pytest.approx(0.005)
    assert Pace(1.0, 2, 2.0).first == 0.05
    pace = Pace(1e-8, 4, 2.0)
    # As wrong as allowed; 16 times as wrong; not wrong at all; unseen.
    assert pace.next(0.01, 1e-8, 1.0, 1e-12) == pytest.approx(0.009, rel=1e-3)
    assert pace.next(0.01, 16e-8, 1.0, 1e-12) == pytest.approx(0.0045, rel=1e-3)
    assert pace.next(0.2, 0.0, 1.0, 1e-12) == 0.25
    assert pace.next(0.2, 0.0, 1e-5, 1e-12) == pace.first


# ------------------------------------------------------------------ growth


def law(space: Any, degree: int, amplitude: float) -> Any:
    """1 + amplitude * a harmonic of maximum one."""
    if space.geometry == "sphere":
        return Harmonic(((degree, 0, amplitude),))
    before = (0.0,) * (degree - 1)
    if space.geometry == "circle":
        return Fourier(cos=(*before, amplitude))
    return Gegenbauer(space.d, (*before, amplitude))


def wrong_rate(
    space: Any, attention: Attention, degree: int = 2, times: tuple[float, float] = (1.0, 2.0),
    options: Eulerian | None = None, kappa: float = 0.0, amplitude: float = 1e-7,
) -> float:  # fmt: skip
    """Relative error of the growth rate between two times, of a small perturbation."""
    x = space.manifold.embed(space.points[: space.n_owned])
    shape = 2.0 * (law(space, degree, 0.5).density(x) - 1.0)
    rho = law(space, degree, amplitude).density(x)
    solver = EulerianSolver(space, attention, rho, options, diffusion=Diffusion(kappa))
    found = []
    for t in times:
        while solver.t < t:
            solver.advance(t)
        found.append(float((solver.weights * (solver.rho - 1.0)) @ shape))
    eigenvalue = degree * (degree + space.d - 2)
    exact = float(attention.uniform_rates(degree)[degree]) - kappa * eigenvalue
    assert solver.energy_violations == 0
    return math.log(found[1] / found[0]) / (times[1] - times[0]) / exact - 1.0


GROWTH = {400: 4e-5, 1600: 3e-6, 6400: 3e-7}


@pytest.mark.parametrize(
    ("model", "beta", "value", "end"),
    [
        ("sa", 4.0, 1, 2.0),
        ("usa", 4.0, 1, 0.3),
        ("sa", 4.0, -1, 2.0),
        ("usa", 4.0, -1, 0.3),
        ("sa", -4.0, 1, 2.0),
        ("usa", -4.0, 1, 0.3),
    ],
)
def test_growth_rates_are_of_second_order_in_axial_symmetry(
    model: Any, beta: float, value: int, end: float, make_space: Make
) -> None:
    # Before, 4.5e-4 on all three meshes: what the trapezoidal rule makes of growth by .09 a step.
    attention = Attention(model, beta, 3, "zonal", value)
    errors = [wrong_rate(make_space("zonal", n), attention, times=(0.5 * end, end)) for n in GROWTH]
    assert np.all(np.abs(errors) <= list(GROWTH.values())), errors
    orders = np.log2(np.abs(errors[:-1]) / np.abs(errors[1:])) / 2.0
    assert np.all(orders >= 1.9), orders


def test_growth_rates_of_the_third_mode(make_space: Make) -> None:
    attention = Attention("sa", 4.0, 3, "zonal")
    rates(lambda n: abs(wrong_rate(make_space("zonal", n), attention, 3)), (400, 800, 1600)).check(
        1.9, 2.2, 4e-6, each=True
    )


@pytest.mark.parametrize("model", ["sa", "usa"])
def test_growth_rates_on_the_circle(model: Any, make_space: Make) -> None:
    attention = Attention(model, 4.0, 2, "circle")
    times = (1.0, 2.0) if model == "sa" else (0.1, 0.2)
    rates(
        lambda n: abs(wrong_rate(make_space("circle", n), attention, times=times)),
        (500, 1000, 2000),
    ).check(1.9, 2.3, 4e-6, each=True)


@pytest.mark.slow
@pytest.mark.parametrize(("beta", "value"), [(4.0, 1), (4.0, -1), (-4.0, 1)])
def test_growth_rates_on_the_sphere(beta: float, value: int, make_space: Make) -> None:
    # Before: -2.2e-3, -2.0e-4, +2.9e-4.
    attention = Attention("sa", beta, 3, "sphere", value)
    rates(lambda level: abs(wrong_rate(make_space("sphere", level), attention)), (4, 5, 6)).check(
        1.8, 2.1, 2.1e-4, each=True
    )


@pytest.mark.parametrize("kappa", [0.05, 0.2])
def test_growth_less_diffusion(kappa: float, make_space: Make) -> None:
    # .655 - 6 kappa: growth, and decay.
    attention = Attention("sa", 4.0, 3, "zonal")

    def error(n: int) -> float:
        return abs(wrong_rate(make_space("zonal", n), attention, times=(0.3, 0.6), kappa=kappa))

    rates(error, (100, 200)).check(1.9, 2.1, 9e-5)


@pytest.mark.parametrize("amplitude", [1e-10, 1e-5])
def test_growth_rates_do_not_hang_on_the_amplitude(amplitude: float, make_space: Make) -> None:
    # Also below what the transforms are known to.
    attention = Attention("sa", 4.0, 3, "zonal")
    error = wrong_rate(make_space("zonal", 1600), attention, amplitude=amplitude)
    assert abs(error) < (4e-6 if amplitude < 1e-6 else 1e-5)


# ------------------------------------------------------------------ solver.accuracy


def test_accuracy_is_the_error_of_growth_rates(make_space: Make) -> None:
    space, attention = make_space("zonal", 3200), Attention("sa", 4.0, 3, "zonal")
    for accuracy in (1e-4, 1e-5, 1e-6):
        error = abs(wrong_rate(space, attention, options=Eulerian(accuracy=accuracy)))
        assert 0.05 * accuracy < error < accuracy + 5e-7  # what the mesh adds


def test_accuracy_of_a_field_at_every_stage(make_space: Make) -> None:
    space, attention = make_space("zonal", 3200), Attention("sa", 4.0, 3, "zonal")

    def error(accuracy: float) -> float:
        options = Eulerian(stepper="ssprk3", field="stages", accuracy=accuracy)
        return abs(wrong_rate(space, attention, options=options))

    # z^3/24 of the method.
    assert error(1e-4) == pytest.approx(1e-4 / 24.0, rel=0.2)
    assert error(1e-5) < 1e-6


@pytest.mark.parametrize("accuracy", [None, 1e-2, 1e-3])
@pytest.mark.parametrize("field", ["extrapolated", "stages"])
@pytest.mark.parametrize("stepper", ["euler", "ssprk2", "ssprk3"])
def test_accuracy_is_kept_by_every_stepper(
    stepper: Any, field: Any, accuracy: float | None, make_space: Make
) -> None:
    """Given, it is kept; left out, it is what the text says."""
    space, attention = make_space("zonal", 400), Attention("sa", 4.0, 3, "zonal")
    options = Eulerian(stepper=stepper, field=field, accuracy=accuracy)
    times = (0.5, 1.0)
    error = abs(wrong_rate(space, attention, options=options, times=times))
    order = {"euler": 1, "ssprk2": 2, "ssprk3": 3}[stepper]
    mesh = 4e-5
    if accuracy is not None:
        assert error < accuracy + mesh
    elif field == "stages" or order == 1:  # z^k/(k + 1)! of growth by z = .1 in a step
        assert 0.1 * (left := 0.1**order / math.factorial(order + 1)) < error + mesh
        assert error < left + mesh
    else:
        assert error < 1e-4 + mesh


@pytest.mark.parametrize("value", [0.0, -1e-3, 0.5])
def test_accuracies_that_cannot_be(value: float) -> None:
    with pytest.raises(InputError, match="accuracy"):
        Eulerian(accuracy=value)


# ------------------------------------------------------------------ trajectories


@pytest.mark.parametrize(("n", "most"), [(512, 6e-6), (1024, 1.3e-6), (2048, 3e-7)])
def test_zonal_trajectory(n: int, most: float, make_space: Make, make_solver: Make) -> None:
    solver = make_solver(make_space("zonal", n), "sa", 4.0, Gegenbauer(3, (0.3, 0.25)))
    x = np.cos(solver.space.points[:, 0])
    point = reference.ZONAL_SA[-1]
    while solver.t < point.t:
        solver.advance(point.t)
    mass = solver.weights * solver.rho
    found = (mass @ x, mass @ (1.5 * x * x - 0.5))
    assert np.abs(np.subtract(found, point.moments)).max() <= most
    assert solver.energy_violations == 0


def test_circle_trajectory_is_of_second_order(make_space: Make, make_solver: Make) -> None:
    # Before: 1.5e-6 at 1000 and 4.6e-6 at 2000 vertices, as signs would have it.
    point = reference.CIRCLE_SA

    def error(n: int) -> float:
        space = make_space("circle", n, 2)
        solver = make_solver(space, "sa", 4.0, Fourier(cos=(0.1, 0.0, 0.2)))
        while solver.t < point.t:
            solver.advance(point.t)
        angle = np.arctan2(space.points[:, 1], space.points[:, 0])
        mass = solver.weights * solver.rho
        return max(abs(mass @ np.cos(l * angle) - c) for l, c in enumerate(point.moments, 1))

    rates(error, (500, 1000, 2000)).check(1.9, 2.3, 2.4e-6, each=True)


# ------------------------------------------------------------------ start, jumps, checkpoints


def test_the_first_step_knows_the_rates_of_its_first_stage(make_space: Make) -> None:
    # Growth of perturbations would allow more than what positivity does.
    space = make_space("sphere", 4)
    rho = VonMisesFisher((0.0, 0.0, 1.0), 60.0).density(space.points)
    options = Eulerian(accuracy=0.1, cfl=0.5)
    solver = EulerianSolver(space, Attention("usa", 4.0, 3, "sphere"), rho, options)
    solver._sweep._emit(solver.rho, solver.drift_of(solver.field()), 0.0, True)
    rate = float(np.max(solver._sweep._outrate))
    emitted, sweep = 0, solver._sweep._emit

    def counted(*given: Any) -> None:
        nonlocal emitted
        emitted += 1
        sweep(*given)

    solver._sweep._emit = counted  # type: ignore[method-assign]
    assert 0.5 / rate < solver._pace.first
    assert solver.advance(1e9) == pytest.approx(0.5 / rate, rel=1e-12)
    assert emitted == 1 + 3  # the first stage of a step that was too long


@pytest.mark.parametrize("what", ["too long", "for its energy"])
def test_steps_that_are_dropped_leave_nothing_behind(what: str, make_space: Make) -> None:
    """The curvatures of their stages: a step that is right at once leads to the same."""
    space = make_space("sphere", 3)
    rho = VonMisesFisher((0.0, 0.0, 1.0), 20.0).density(space.points)
    one, two = (
        EulerianSolver(space, Attention("usa", 1.0, 3, "sphere", -1), rho) for _ in range(2)
    )
    start = one.rho
    for solver in (one, two):
        solver.advance(1e9)
    dropped, stepped = [], one._stepped

    def dropping(rows: Any, dt: float) -> Any:
        found, rate = stepped(rows, dt)
        dropped.append(dt)
        if len(dropped) > 1:
            return found, rate
        if what == "too long":
            return None, rate
        assert found is not None
        return start, rate  # where the energy was

    one._stepped = dropping  # type: ignore[method-assign]
    assert one._tries > 1
    dt = one.advance(1e9)
    assert len(dropped) == 2 and dropped[0] > dt
    assert one.refused == (what == "for its energy")
    assert two.advance(two.t + dt) == pytest.approx(dt, rel=1e-12)
    np.testing.assert_allclose(one.rho, two.rho, rtol=1e-11)


@pytest.mark.parametrize("kind", [("sphere", 3, 3), ("zonal", 100, 3)])
@pytest.mark.parametrize("before", [1, 3, 4, 9])
def test_resumption_to_the_last_bit(before: int, kind: Any, make_space: Make) -> None:
    space = make_space(*kind)
    attention = Attention("sa", 4.0, 3, kind[0])
    x = space.manifold.embed(space.points[: space.n_owned])
    one = EulerianSolver(space, attention, law(space, 2, 1e-3).density(x))
    for _ in range(before):
        one.advance(1e3)
    state = one.state()
    assert state is not None and len(state.history) == min(before, 4)
    two = EulerianSolver(space, attention, np.ones(space.n_owned))
    two.restore(state)
    for _ in range(6):
        assert two.advance(1e3) == one.advance(1e3)
        assert np.array_equal(two.rho, one.rho)


def test_three_rows_of_an_earlier_version_are_enough(make_space: Make) -> None:
    # With that of the current time there are four: no start.
    space = make_space("sphere", 3)
    attention = Attention("sa", 4.0, 3, "sphere")
    one = EulerianSolver(space, attention, law(space, 2, 0.1).density(space.points))
    for _ in range(9):
        one.advance(1e3)
    state = one.state()
    assert state is not None
    two = EulerianSolver(space, attention, np.ones(space.n_owned))
    two.restore(replace(state, history=state.history[1:], history_times=state.history_times[1:]))
    fields, known = 0, two._field_of

    def counted(*given: Any) -> Any:
        nonlocal fields
        fields += 1
        return known(*given)

    two._field_of = counted  # type: ignore[method-assign]
    end = one.t + 0.5
    while two.t < end:
        two.advance(end)
        assert fields == two.step - 9
    while one.t < end:
        one.advance(end)
    np.testing.assert_allclose(two.rho, one.rho, rtol=1e-4)


def test_what_is_left_behind_begins_again(make_space: Make) -> None:
    space = make_space("zonal", 200)
    attention = Attention("sa", 4.0, 3, "zonal")
    x = space.manifold.embed(space.points)
    solver = EulerianSolver(space, attention, law(space, 2, 1e-3).density(x))
    fields, known = 0, solver._field_of

    def counted(*given: Any) -> Any:
        nonlocal fields
        fields += 1
        return known(*given)

    solver._field_of = counted  # type: ignore[method-assign]
    for _ in range(2):  # three steps of three fields, then one each
        found = []
        for _ in range(5):
            last = fields
            solver.advance(1e9)
            found.append(fields - last)
        assert found == [3, 3, 3, 1, 1]
        solver._leave_behind()
