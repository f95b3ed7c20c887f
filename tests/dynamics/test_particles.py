"""Deterministic tokens against exact solutions and symmetries of the flow."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from convergence import rates
from scipy import integrate

from meanfield.analysis.exact import equiangular_rate, poisson_mean_length, poisson_radius
from meanfield.case import Particles
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.rungekutta import PAIRS, Control, Trial
from meanfield.dynamics.tokens import initial_tokens
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.laws import PoissonKernel, Uniform, standard_density
from meanfield.geometry.sphere import Array, geodesic_distance, random_rotation, uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.contract import DarkPoints

TIGHT: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-11}


def _geometry(d: int) -> str:
    return {2: "circle", 3: "sphere"}.get(d, "any")


def _run(solver: ParticleSolver, end: float) -> ParticleSolver:
    while solver.t < end:
        dt = solver.advance(end)
        assert 0.0 < dt and solver.t <= end and solver.dt == dt
    assert solver.t == end
    np.testing.assert_allclose(np.linalg.norm(solver.x, axis=1), 1.0, atol=4e-16)
    return solver


def _two(angle: float, d: int, rng: np.random.Generator) -> Array:
    x = np.zeros((2, d))
    x[0, 0], x[1, 0], x[1, 1] = 1.0, np.cos(angle), np.sin(angle)
    return x @ random_rotation(d, rng).T


# ------------------------------------------------------------------ two Diracs


@pytest.mark.parametrize("d", [2, 3, 8, 128])
@pytest.mark.parametrize(("model", "time"), [("usa", 2.25647157), ("sa", 5.13270974)])
def test_two_diracs_take_the_known_time(model: Any, time: float, d: int) -> None:
    x = _two(2.0, d, np.random.default_rng(d))
    for method in PAIRS:
        solver = ParticleSolver(
            Attention(model, 1.0, d, _geometry(d)), x, options=Particles(method=method, **TIGHT)
        )
        _run(solver, time)
        # Times are known to 1e-8, and the angle falls at the rate 0.05 e (usa), 0.05 (sa).
        assert geodesic_distance(*solver.x) == pytest.approx(0.05, abs=2e-9)


@pytest.mark.parametrize("harmonic", [False, True])
@pytest.mark.parametrize("mass", [0.5, 0.2])
@pytest.mark.parametrize(("model", "beta"), [("sa", 1.0), ("usa", 2.0), ("sa", 4.0), ("sa", -2.0)])
def test_two_diracs_follow_the_scalar_equation(
    model: Any, beta: float, mass: float, harmonic: bool
) -> None:
    a, b = mass, 1.0 - mass

    def slowness(gamma: float) -> float:  # dt/d gamma, verification.md 6
        pull = 1.0
        if model == "sa":
            e, g = np.exp(beta), np.exp(beta * gamma)
            pull = b / (a * e + b * g) + a / (b * e + a * g)
        return 1.0 / (np.exp(beta * gamma) * (1.0 - gamma**2) * pull)

    time = integrate.quad(slowness, np.cos(2.0), 0.9, epsabs=1e-13, epsrel=1e-13)[0]
    attention = Attention(model, beta, 3, "sphere", method="harmonics" if harmonic else "direct")
    x = _two(2.0, 3, np.random.default_rng(1))
    solver = _run(ParticleSolver(attention, x, [a, b], options=Particles(**TIGHT)), time)
    assert float(solver.x[0] @ solver.x[1]) == pytest.approx(0.9, abs=1e-8)
    # The flow turns both in their common plane.
    normal = np.cross(x[0], x[1])
    np.testing.assert_allclose(solver.x @ normal, 0.0, atol=1e-10)


def test_usa_with_velocities_of_size_e600() -> None:
    beta, start, end = 600.0, 0.1, 0.05
    x = _two(start, 3, np.random.default_rng(0))
    # angle' = -e^{beta cos angle} sin(angle): scaled by e^{-beta}, and time by e^{beta}.
    scaled = integrate.quad(
        lambda a: np.exp(-beta * (np.cos(a) - 1.0)) / np.sin(a), end, start, epsrel=1e-12
    )[0]
    time = scaled * np.exp(-beta)
    assert time < 1e-240
    solver = _run(
        ParticleSolver(Attention("usa", beta, 3, "sphere"), x, options=Particles(**TIGHT)), time
    )
    assert geodesic_distance(*solver.x) == pytest.approx(end, abs=1e-8)
    with pytest.raises(InputError, match="<= 600 expected"):
        ParticleSolver(Attention("usa", 601.0, 3, "sphere"), x)


# ------------------------------------------------------------------ equiangular tokens, Gamma curve


def _equiangular(n: int, d: int, gamma: float, rng: np.random.Generator) -> Array:
    gram = np.full((n, n), gamma)
    np.fill_diagonal(gram, 1.0)
    x = np.zeros((n, d))
    x[:, :n] = np.linalg.cholesky(gram)
    return x @ random_rotation(d, rng).T


@pytest.mark.parametrize(("n", "d"), [(2, 3), (3, 3), (8, 8), (5, 8), (40, 128), (128, 128)])
@pytest.mark.parametrize(("model", "beta"), [("sa", 1.0), ("usa", 1.0), ("sa", 9.0)])
def test_equiangular_tokens_follow_the_gamma_curve(n: int, d: int, model: Any, beta: float) -> None:
    solver = ParticleSolver(
        Attention(model, beta, d, _geometry(d)),
        _equiangular(n, d, 0.0, np.random.default_rng(n)),
        options=Particles(**TIGHT),
    )
    times = [0.5, 1.5, 4.0]
    curve = integrate.solve_ivp(
        lambda t, g: equiangular_rate(model, g, beta, n), (0.0, 4.0), [0.0], "DOP853", times,
        rtol=1e-12, atol=1e-14,
    ).y[0]  # fmt: skip
    pairs = np.triu_indices(n, 1)
    for t, gamma in zip(times, curve, strict=True):
        _run(solver, t)
        np.testing.assert_allclose((solver.x @ solver.x.T)[pairs], gamma, atol=1e-8)


# ------------------------------------------------------------------ beta = 0: a conformal flow


@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("value", [1, -1])
def test_beta_zero_moves_every_token_by_one_moebius_map(d: int, value: int) -> None:
    # x' = P_x h lifts to the light cone: (s, v)' = (<h, v>, s h), x = v/s. So all tokens move by
    # one matrix of SO(d, 1), whose own small equation is solved here.
    rng = np.random.default_rng(d)
    n, end = 60, 3.0
    x0 = uniform_points(n, d, rng)
    x0[: n // 2, 0] += 1.0
    x0 /= np.linalg.norm(x0, axis=1, keepdims=True)
    weights = rng.random(n)
    weights /= weights.sum()
    lifted = np.column_stack([np.ones(n), x0])

    def images(matrix: Array) -> Array:
        y = lifted @ matrix.T
        return y[:, 1:] / y[:, :1]

    def rate(_: float, flat: Array) -> Array:
        matrix = flat.reshape(d + 1, d + 1)
        boost = np.zeros((d + 1, d + 1))
        boost[0, 1:] = boost[1:, 0] = value * (weights @ images(matrix))
        return (boost @ matrix).ravel()

    flow = integrate.solve_ivp(
        rate, (0.0, end), np.eye(d + 1).ravel(), "DOP853", rtol=1e-12, atol=1e-12
    ).y[:, -1]
    attention = Attention("sa", 0.0, d, _geometry(d), value=value)
    solver = _run(ParticleSolver(attention, x0, weights, options=Particles(**TIGHT)), end)
    np.testing.assert_allclose(solver.x, images(flow.reshape(d + 1, d + 1)), atol=1e-8)
    # Moebius maps keep cross-ratios of chords.
    i, j, k, l = rng.permutation(n)[:40].reshape(4, 10)

    def chord(x: Array, p: Array, q: Array) -> Array:
        return np.linalg.norm(x[p] - x[q], axis=1)

    def ratio(x: Array) -> Array:
        return chord(x, i, j) * chord(x, k, l) / (chord(x, i, k) * chord(x, j, l))

    np.testing.assert_allclose(ratio(solver.x), ratio(x0), rtol=1e-7)


@pytest.mark.parametrize("d", [2, 3])
def test_beta_zero_follows_the_poisson_kernel(d: int) -> None:
    w = np.zeros(d)
    w[-1] = 0.2
    x0 = initial_tokens(PoissonKernel(w), 4000, 0, "quantised")
    solver = ParticleSolver(Attention("sa", 0.0, d, _geometry(d)), x0)
    for t in (2.0, 4.0, 8.0):
        mean = _run(solver, t).x.mean(axis=0)
        exact = poisson_mean_length(poisson_radius(t, 0.2, d), d)
        # Quantised to about 1/n, and the mean grows tenfold at first.
        assert np.linalg.norm(mean) == pytest.approx(exact, abs=5e-4)


# ------------------------------------------------------------------ symmetries, bounds, energy


@pytest.mark.parametrize("d", [2, 3, 8])
def test_rotated_tokens_move_the_same_way(d: int) -> None:
    rng = np.random.default_rng(d)
    x0, turn = uniform_points(300, d, rng), random_rotation(d, rng)
    attention = Attention("sa", 4.0, d, _geometry(d), method="auto" if d > 3 else "harmonics")
    plain = _run(ParticleSolver(attention, x0), 2.0)
    turned = _run(ParticleSolver(attention, x0 @ turn.T), 2.0)
    np.testing.assert_allclose(turned.x, plain.x @ turn.T, atol=1e-8)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize(("model", "end"), [("sa", 4.0), ("usa", 0.5)])
def test_transforms_and_direct_sums_give_the_same_trajectory(
    model: Any, end: float, d: int
) -> None:
    x0 = uniform_points(500, d, np.random.default_rng(d))
    runs = [
        _run(
            ParticleSolver(
                Attention(model, 4.0, d, _geometry(d), method=m), x0, options=Particles(**TIGHT)
            ),
            end,
        )
        for m in ("harmonics", "direct")
    ]
    np.testing.assert_allclose(runs[0].x, runs[1].x, atol=1e-9)
    with pytest.raises(InputError, match="'direct'"):
        Attention(model, 4.0, d, _geometry(d), method="directly")


@pytest.mark.parametrize("value", [1, -1])
@pytest.mark.parametrize(("model", "beta", "end"), [("sa", 4.0, 30.0), ("usa", 4.0, 2.0)])
def test_energy_moves_one_way_in_every_step(
    model: Any, beta: float, end: float, value: int
) -> None:
    x0 = initial_tokens(standard_density(), 500, 3)
    solver = ParticleSolver(Attention(model, beta, 3, "sphere", value=value), x0)
    energy = [solver.field().energy_excess()]
    while solver.t < end:
        solver.advance(end)
        energy.append(solver.field().energy_excess())
    rise = value * np.diff(energy)
    assert solver.step > 10
    assert np.min(rise) >= -1e-14
    assert np.sum(rise) > 1e-3


def test_one_token_stays() -> None:
    x0 = uniform_points(1, 3, np.random.default_rng(0))
    solver = ParticleSolver(Attention("sa", 4.0, 3, "sphere"), x0)
    assert solver.advance(100.0) == 100.0  # one step: nothing moves
    np.testing.assert_allclose(solver.x, x0, atol=3e-16)


@pytest.mark.parametrize("method", ["harmonics", "direct"])
@pytest.mark.parametrize("value", [1, -1])
def test_equal_tokens_stay_exactly_equal(method: str, value: int) -> None:
    rng = np.random.default_rng(4)
    x0 = uniform_points(60, 3, rng)[rng.integers(0, 60, 200)]
    same = np.unique(x0, axis=0, return_inverse=True)[1].reshape(-1)
    attention = Attention("sa", 4.0, 3, "sphere", method=method, value=value)
    solver = ParticleSolver(attention, x0)
    assert solver.points == same.max() + 1 < 60
    assert solver.measure().weights.sum() == pytest.approx(1.0, abs=1e-15)
    plain = ParticleSolver(attention, x0, options=Particles(merge=False))
    assert plain.points == 200
    np.testing.assert_allclose(solver.velocity(), plain.velocity(), atol=1e-12)
    _run(solver, 3.0)
    for k in range(same.max() + 1):
        assert np.all(solver.x[same == k] == solver.x[same == k][0])
    np.testing.assert_allclose(solver.x, _run(plain, 3.0).x, atol=1e-8)


# ------------------------------------------------------------------ steps


def test_steps_grow_by_orders_of_magnitude_and_tokens_keep_their_numbers() -> None:
    # Three clusters 2 rad apart merge after t = 1e5 or so; collapsing takes t = 20.
    beta, rng = 12.0, np.random.default_rng(2)
    corners = np.array([[np.cos(a), np.sin(a), 0.0] for a in (0.0, 2.0, 4.1)])
    which = np.repeat([0, 1, 2], [50, 30, 20])
    x0 = corners[which] + 0.05 * rng.standard_normal((100, 3))
    x0 /= np.linalg.norm(x0, axis=1, keepdims=True)
    solver = ParticleSolver(Attention("sa", beta, 3, "sphere"), x0)
    longest = 0.0
    while solver.t < 3e4:
        longest = max(longest, solver.advance(3e4))
    assert solver.points == 3 and solver.step < 300
    assert longest > 3e3
    for k in range(3):  # as collapsed as they were put together
        assert np.all(solver.x[which == k] == solver.x[which == k][0])
    centres, mass = solver.x[[0, 50, 80]], np.array([0.5, 0.3, 0.2])
    # The same by three tokens alone, once the others have collapsed.
    start = ParticleSolver(Attention("sa", beta, 3, "sphere"), x0, options=Particles(**TIGHT))
    _run(start, 60.0)
    assert start.points == 3
    three = ParticleSolver(
        Attention("sa", beta, 3), start.x[[0, 50, 80]], mass, options=Particles(**TIGHT), t=60.0
    )
    np.testing.assert_allclose(centres, _run(three, 3e4).x, atol=1e-6)


def test_tokens_that_part_are_not_put_together() -> None:
    # V = -I: within atol, but the flow drives them apart, and must go on doing so.
    x0 = _two(1e-6, 3, np.random.default_rng(0))
    attention = Attention("sa", 1.0, 3, "sphere", value=-1)
    solver = ParticleSolver(attention, x0, options=Particles(rtol=1e-6, atol=1e-5))
    _run(solver, 80.0)
    assert solver.points == 2
    assert geodesic_distance(*solver.x) == pytest.approx(np.pi, abs=1e-3)


@pytest.mark.parametrize("method", list(PAIRS))
def test_error_falls_with_the_tolerance(method: str) -> None:
    x0 = initial_tokens(standard_density(), 200, 0)
    attention = Attention("sa", 4.0, 3, "sphere", method="direct")
    exact = _run(
        ParticleSolver(attention, x0, options=Particles(method=method, rtol=1e-11, atol=1e-13)), 3.0
    ).x
    errors, counts = [], []
    for rtol in (1e-3, 1e-5, 1e-7):
        solver = _run(
            ParticleSolver(
                attention, x0, options=Particles(method=method, rtol=rtol, atol=1e-3 * rtol)
            ),
            3.0,
        )
        errors.append(float(np.max(np.abs(solver.x - exact))))
        counts.append(solver.evaluations)
    assert all(error < rtol for error, rtol in zip(errors, (1e-3, 1e-5, 1e-7), strict=True))
    assert counts[0] < counts[1] < counts[2] < (400 if method == "dop853" else 700)


@pytest.mark.parametrize("method", list(PAIRS))
def test_order_of_the_pairs(method: str) -> None:
    from meanfield.dynamics.rungekutta import try_step

    pair = PAIRS[method]
    x0 = initial_tokens(standard_density(), 50, 0)
    solver = ParticleSolver(Attention("sa", 4.0, 3, method="direct"), x0)
    exact = _run(
        ParticleSolver(solver.interaction, x0, options=Particles(rtol=1e-13, atol=1e-14)), 1.0
    ).x

    def error(count: int) -> float:
        x, first = x0, solver._field_at(x0, 0.0)
        for k in range(count):
            trial = try_step(pair, solver._field_at, x, first, k / count, 1.0 / count, 0.0)
            assert trial.x is not None
            # The last stage is the first of the next step, also after the retraction.
            np.testing.assert_array_equal(trial.velocity, solver._field_at(trial.x, 0.0))
            x, first = trial.x, trial.velocity
        return float(np.max(np.abs(x - exact)))

    found = rates(error, (4, 8) if method == "dopri5" else (2, 4))
    found.check(pair.order - 0.5, math.inf, 1e-6)


def test_control_rejects_and_recovers() -> None:
    control = Control(rtol=1e-6, atol=1e-9, order=5, longest=1.0)
    x = np.array([[1.0, 0.0]])
    assert not control.accepts(1.0, Trial(x, x, 1e-3, 1.0))
    assert control.rejected == 1 and 0.1 <= control.longest < 0.3
    assert not control.accepts(control.longest, Trial(None, x, np.inf, np.inf))
    assert control.rejected == 2
    short = control.longest
    assert control.accepts(short, Trial(x, x, 1e-9, 1e-3))
    assert control.longest <= short  # no growth right after a rejection
    control.longest = 50.0
    assert control.accepts(1e-3, Trial(x, x, 0.0, 0.0))
    assert control.longest == 50.0  # shortened to land: the plan stands


def test_a_step_too_small_to_move_time_is_reported() -> None:
    solver = ParticleSolver(Attention("sa", 1.0, 3), uniform_points(3, 3, np.random.default_rng(0)))
    solver.t = 1e20
    with pytest.raises(BrokenInvariantError, match="no longer moves time"):
        solver.advance(2e20)


# ------------------------------------------------------------------ restart


@pytest.mark.parametrize(("d", "n"), [(3, 600), (3, 62_000), (8, 50)])
def test_restart_gives_the_same_bits(d: int, n: int) -> None:
    x0 = uniform_points(n, d, np.random.default_rng(7))
    attention = Attention("sa", 9.0, d, _geometry(d))
    ends = [0.1, 0.25] if n > 1000 else [3.0, 24.0, 40.0]
    solver = ParticleSolver(attention, x0)
    states = [dataclasses.replace(_run(solver, end).state()) for end in ends]
    again = ParticleSolver(attention, uniform_points(n, d, np.random.default_rng(8)))
    again.restore(states[0])
    for state, end in zip(states[1:], ends[1:], strict=True):
        _run(again, end)
        assert (again.step, again.rejected) == (state.step, state.rejected)
        np.testing.assert_array_equal(again.x, state.x)
        np.testing.assert_array_equal(again.state().group, state.group)
    if (d, n) == (3, 600):
        assert again.points < n  # with tokens put together on the way
    with pytest.raises(InputError, match=f"{n} in dimension {d} expected"):
        wrong = dataclasses.replace(states[0], x=states[0].x[1:])
        again.restore(wrong)


# ------------------------------------------------------------------ what is refused


def test_refusals() -> None:
    attention, x0 = Attention("sa", 1.0, 3, "sphere"), uniform_points(4, 3, np.random.default_rng())
    for wrong, message in (
        ({"options": {"method": "dopri"}}, "did you mean 'dopri5'"),
        ({"options": {"rtol": -1.0}}, r"solver\.rtol: .* found -1"),
        ({"options": {"atol": 0.0}}, r"solver\.atol: .* found 0"),
        ({"kappa": -0.1}, "kappa = -0.1 found"),
        ({"options": {"dt": 0.1}}, "with kappa = 0"),
        ({"options": {"dt": 0.0}, "kappa": 0.1}, r"solver\.dt: expected a number above 0"),
        ({"seed": -1}, "seed = -1 found"),
        ({"weights": [1.0, 1.0]}, "one for each of 4 tokens"),
        ({"weights": [1.0, -1.0, 1.0, 1.0]}, "masses >= 0"),
        ({"weights": np.zeros(4)}, "positive sum"),
    ):
        with pytest.raises(InputError, match=message):
            options = Particles(**wrong.pop("options", {}))
            ParticleSolver(attention, x0, options=options, **wrong)
    with pytest.raises(InputError, match="geometry 'any'"):
        ParticleSolver(Attention("sa", 1.0, 3, "zonal"), x0)
    with pytest.raises(InputError, match=r"\(n, 3\) unit vectors expected"):
        ParticleSolver(attention, x0[:, :2])
    with pytest.raises(InputError, match=r"point 2 has length 1\.1"):
        ParticleSolver(attention, x0 * np.array([1.0, 1.0, 1.1, 1.0])[:, None])
    solver = ParticleSolver(attention, x0)
    with pytest.raises(InputError, match="a time after t = 0"):
        solver.advance(0.0)


def test_uniform_tokens_feel_no_dark_points() -> None:
    # Every token is in its own light: Z >= m_i e^beta, far above the noise of the transforms.
    for beta in (4.0, 9.0):
        x0 = initial_tokens(Uniform(3), 5000, 0, "quantised")
        x0[:200] = initial_tokens(standard_density(), 200, 1)
        solver = ParticleSolver(Attention("sa", beta, 3, "sphere"), x0)
        seen = DarkPoints()
        solver.field().velocity(solver.x, seen=seen)
        assert seen.most == 0
