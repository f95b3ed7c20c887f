"""Ensembles with noise, and noise that tokens have in common: laws, orders, exact exponents."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from parameters import slow_but
from scipy.linalg import expm

import meanfield as mf
from meanfield.case import Particles
from meanfield.dynamics.ensembles import Outcome, Watch
from meanfield.dynamics.ensembles.noisy import advance_noisy
from meanfield.dynamics.noise import step_generator
from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.brownian import brownian_step, brownian_steps, common_step
from meanfield.geometry.sphere import Array, geodesic_distance, uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.batched import BatchedHead, BatchedModel
from meanfield.interaction.composite import Composite, HeadMatrices

Z = 4.0  # standard errors: a right code fails one number in 16 000


def _start(number: int, n: int, d: int) -> Array:
    rng = np.random.default_rng(100 * d + n)
    return np.stack([uniform_points(n, d, rng) for _ in range(number)])


def _free(n: int, d: int) -> BatchedModel:
    """Tokens that nobody pulls."""
    return BatchedModel(n, d, False, heads=(BatchedHead(np.zeros((d, d)), np.zeros((d, d))),))


def _ended(times: list[float]) -> Watch:
    return Watch(np.array(times), np.arange(len(times)), states=True)


def _states(found: Outcome) -> Array:
    assert found.states is not None and not found.failed.any()
    return found.states


def _z(values: Array, expected: float) -> float:
    error = values.std(ddof=1) / math.sqrt(len(values))
    return float((values.mean() - expected) / error)


# ------------------------------------------------------------------ the steps of ParticleSolver


@pytest.mark.parametrize(
    ("kappa", "common", "dt"), [(0.1, 0.0, None), (0.1, 0.05, None), (0.0, 0.1, 0.05)]
)
@pytest.mark.parametrize("d", slow_but([0, 1], [2, 3, 8]))
def test_a_system_is_a_run_of_particles(
    d: int, kappa: float, common: float, dt: float | None
) -> None:
    rng, n = np.random.default_rng(d), 12
    A, V = rng.standard_normal((2, d, d)) / math.sqrt(d)
    x, watch = _start(4, n, d), _ended([0.0, 0.7, 1.5])
    pairs: list[tuple[BatchedModel, Any]] = [
        (BatchedModel(n, d, True, beta=3.0), Attention("sa", 3.0, d)),
        (
            BatchedModel(n, d, False, heads=(BatchedHead(A, V),)),
            Composite((HeadMatrices(A, V),), "usa", d),
        ),
    ]
    for model, interaction in pairs:
        found = advance_noisy(model, x, watch, kappa, common, seeds=np.arange(4) + 7, dt=dt)
        states = _states(found)
        alone = advance_noisy(model, x[2:3], watch, kappa, common, seeds=np.array([9]), dt=dt)
        np.testing.assert_array_equal(_states(alone)[0], states[2])
        for r in (0, 3):
            options = Particles(dt=dt, common_noise=common)
            solver = ParticleSolver(interaction, x[r], options=options, kappa=kappa, seed=7 + r)
            for k, end in enumerate(watch.times[1:], 1):
                while solver.t < end:
                    solver.advance(end)
                np.testing.assert_allclose(states[r, k], solver.x, atol=1e-11)
            assert found.calls[r] == solver.evaluations


def test_steps_of_many_systems_are_those_of_each() -> None:
    for d in (2, 3, 8):
        x = _start(5, 6, d)
        taus = [0.0, 1e-3, 0.1, 0.1, 2.0]
        moved = brownian_steps(x, taus, [step_generator(k, 3) for k in range(5)])
        np.testing.assert_array_equal(moved[0], x[0])
        for k in range(5):
            alone = brownian_step(x[k], taus[k], step_generator(k, 3))
            np.testing.assert_array_equal(moved[k], alone)


def test_random_numbers_in_common_are_their_own() -> None:
    own, of_all = step_generator(3, 5), step_generator(3, 5, 1)
    assert np.intersect1d(own.random(1000), of_all.random(1000)).size == 0


# ------------------------------------------------------------------ laws


@pytest.mark.parametrize(("kappa", "common"), [(0.3, 0.0), (0.0, 0.3), (0.1, 0.2)])
@pytest.mark.parametrize("d", slow_but([1, 2], [2, 3, 6]))
def test_each_token_is_a_brownian_motion(d: int, kappa: float, common: float) -> None:
    x, watch = _start(2000, 1, d), _ended([0.0, 0.5, 1.0])
    states = _states(
        advance_noisy(_free(1, d), x, watch, kappa, common, seeds=np.arange(2000), dt=0.1)
    )
    np.testing.assert_allclose(np.linalg.norm(states, axis=3), 1.0, atol=1e-15)
    for k, t in enumerate(watch.times[1:], 1):
        turned = np.sum(states[:, 0] * states[:, k], axis=(1, 2))
        decay = (kappa + common) * t
        assert abs(_z(turned, math.exp(-(d - 1) * decay))) < Z
        second = (d * turned**2 - 1.0) / (d - 1)
        assert abs(_z(second, math.exp(-2 * d * decay))) < Z


def _mean_product(g0: float, time: float, d: int, size: int) -> float:
    """E <x, y> of two tokens that have their noise in common, kappa_0 = 1.

    g = <x, y> is a diffusion of its own: its generator, from (x_k + y_k)(1 - g) = V_k g, is
    2 (1 - g)(d - 2 - g) d/dg + 2 (1 + g)(1 - g)^2 d^2/dg^2.
    """
    nodes = np.cos(np.pi * np.arange(size + 1) / size)
    ends = np.ones(size + 1)
    ends[[0, -1]] = 2.0
    ends *= (-1.0) ** np.arange(size + 1)
    apart = nodes[:, None] - nodes + np.eye(size + 1)
    derivative = np.outer(ends, 1.0 / ends) / apart
    derivative -= np.diag(derivative.sum(axis=1))
    first, second = 2.0 * (1.0 - nodes) * (d - 2 - nodes), 2.0 * (1 + nodes) * (1 - nodes) ** 2
    generator = first[:, None] * derivative + second[:, None] * (derivative @ derivative)
    values = expm(time * generator) @ nodes
    weights = 1.0 / ends / np.where(g0 == nodes, 1e-300, g0 - nodes)
    return float(weights @ values / weights.sum())


@pytest.mark.parametrize("d", [3, 6])
def test_two_tokens_with_their_noise_in_common(d: int) -> None:
    number, g0, common, time = 8000, -0.2, 0.25, 0.8
    expected = _mean_product(g0, common * time, d, 40)
    assert expected == pytest.approx(_mean_product(g0, common * time, d, 56), abs=1e-6)
    assert abs(expected - g0) > 0.05
    pair = np.zeros((2, d))
    pair[0, 0], pair[1, 0], pair[1, 1] = 1.0, g0, math.sqrt(1.0 - g0**2)
    found = advance_noisy(
        _free(2, d), np.tile(pair, (number, 1, 1)), Watch(np.array([0.0, time]), np.array([1])),
        0.0, common, seeds=np.arange(number), dt=0.1,
    )  # fmt: skip
    assert abs(_z(found.columns["inner_product"][:, 1], expected)) < Z


@pytest.mark.parametrize("d", [2, 3, 6])
def test_tokens_synchronise_at_the_exact_exponent(d: int) -> None:
    # The flow is conformal: d log|delta| = -sqrt(2 k) <x, o dW> = -k (d - 1) dt + sqrt(2 k) dB.
    number, common, time = 2000, 0.5, 2.0
    pair = np.zeros((2, d))
    pair[:, 0], pair[1, 1] = 1.0, 1e-6
    pair /= np.linalg.norm(pair, axis=1, keepdims=True)
    states = _states(
        advance_noisy(
            _free(2, d), np.tile(pair, (number, 1, 1)), _ended([0.0, time]), 0.0, common,
            seeds=np.arange(number), dt=0.05,
        )
    )  # fmt: skip
    grown = np.log(geodesic_distance(states[:, 1, 0], states[:, 1, 1]) / 1e-6)
    assert abs(_z(grown, -common * (d - 1) * time)) < Z
    assert abs(_z((grown + common * (d - 1) * time) ** 2, 2.0 * common * time)) < Z


def _exact_step(x: Array, w: Array) -> Array:
    """The flow of P_x w for a constant w: a boost along w."""
    size = np.linalg.norm(w, axis=1)[:, None, None]
    axis = w[:, None, :] / size
    u = np.sum(x * axis, axis=2, keepdims=True)
    c, s = np.cosh(size), np.sinh(size)
    return (x + (c * u + s - u) * axis) / (c + s * u)


def test_a_step_in_common_is_a_flow() -> None:
    rng = np.random.default_rng(5)
    x = _start(4, 7, 4)
    w = np.zeros((4, 4))
    w[np.arange(4), np.arange(4)] = [0.3, -1.2, 2.0, 0.01]
    forward = common_step(x, w, np.array([False, True, False, True]))
    np.testing.assert_allclose(forward, _exact_step(x, w), atol=1e-14)  # along one axis
    w = rng.standard_normal((4, 4))
    there = common_step(x, w, np.zeros(4, dtype=bool))
    back = common_step(there, -w, np.ones(4, dtype=bool))
    np.testing.assert_allclose(back, x, atol=1e-13)
    small = 1e-4 * w
    np.testing.assert_allclose(
        common_step(x, small, np.zeros(4, dtype=bool)), _exact_step(x, small), atol=1e-7
    )


def test_order_of_steps_in_common() -> None:
    """E <x, y> after a step, by quadrature over the normal law: wrong by O(dt^3) on average."""

    def wrong(h: float) -> float:
        nodes, weights = np.polynomial.hermite_e.hermegauss(12)
        grid = np.stack([g.ravel() for g in np.meshgrid(*[nodes] * 3, indexing="ij")], axis=1)
        mass = np.prod([g.ravel() for g in np.meshgrid(*[weights] * 3, indexing="ij")], axis=0)
        mass /= mass.sum()
        pair = np.array([[1.0, 0.0, 0.0], [-0.2, math.sqrt(0.96), 0.0]])
        x = np.tile(pair, (len(grid), 1, 1))
        product = 0.0
        for backward in (False, True):
            moved = common_step(x, math.sqrt(2.0 * h) * grid, np.full(len(grid), backward))
            product += 0.5 * float(mass @ np.sum(moved[:, 0] * moved[:, 1], axis=1))
        return abs(product - _mean_product(-0.2, h, 3, 40))

    # Measured 2.83; each order of the coordinates alone is of weak order 1 and has 2 here.
    assert 2.7 < math.log2(wrong(0.00625) / wrong(0.003125)) < 3.1


# ------------------------------------------------------------------ one path for many starts


def test_one_path_for_many_starts() -> None:
    d, x0 = 3, _start(1, 4, 3)[0]
    x = np.stack([x0, x0, x0[::-1]])
    watch = _ended([0.0, 1.0])
    rest = {"seeds": np.array([1, 2, 3]), "dt": 0.1}
    model = BatchedModel(4, d, True, beta=2.0)
    shared = _states(advance_noisy(model, x, watch, 0.0, 0.2, common_seed=5, **rest))
    np.testing.assert_allclose(shared[0, 1], shared[1, 1], atol=1e-14)
    np.testing.assert_allclose(shared[0, 1], shared[2, 1, ::-1], atol=1e-13)
    apart = _states(advance_noisy(model, x, watch, 0.0, 0.2, **rest))
    assert np.abs(apart[0, 1] - apart[1, 1]).max() > 0.05
    solver = ParticleSolver(
        Attention("sa", 2.0, d), x0, seed=77,
        options=Particles(dt=0.1, common_noise=0.2, common_seed=5),
    )  # fmt: skip
    while solver.t < 1.0:
        solver.advance(1.0)
    np.testing.assert_allclose(solver.x, shared[0, 1], atol=1e-13)


def test_equal_tokens_stay_equal_under_common_noise_alone() -> None:
    x0 = np.tile([[0.0, 0.0, 1.0]], (5, 1))
    solver = ParticleSolver(Attention("sa", 2.0, 3), x0, options=Particles(common_noise=0.3))
    assert solver.diffuses and solver.kappa == 0.0
    while solver.t < 0.5:
        solver.advance(0.5)
    assert np.ptp(solver.x, axis=0).max() < 1e-14 and np.abs(solver.x - x0).max() > 0.05


def test_a_restart_goes_on_with_the_common_noise() -> None:
    x0 = _start(1, 10, 3)[0]
    options = Particles(common_noise=0.1)

    def made(seed: int) -> ParticleSolver:
        return ParticleSolver(Attention("sa", 2.0, 3), x0, options=options, kappa=0.05, seed=seed)

    solver, again = made(4), made(0)
    while solver.t < 0.5:
        solver.advance(0.5)
    again.restore(solver.state())
    for one in (solver, again):
        while one.t < 1.0:
            one.advance(1.0)
    np.testing.assert_array_equal(again.x, solver.x)


# ------------------------------------------------------------------ stationary moments


def test_stationary_mean_of_few_tokens() -> None:
    # beta = 0 on the circle: X is the gradient of n |m|^2/2, and the law tends to the Gibbs law
    # e^{n |m|^2/(2 kappa)} of all angles, whose E |m|^2 is by quadrature for n = 2: I_1/I_0.
    kappa, number = 0.4, 4000
    c = 1.0 / (2.0 * kappa)  # n |m|^2 / (2 kappa) = (1 + cos)/(2 kappa)
    angle = 2.0 * np.pi * np.arange(256) / 256
    mass = np.exp(c * np.cos(angle))
    expected = float(np.sum(np.cos(angle) * mass) / np.sum(mass))
    found = advance_noisy(
        BatchedModel(2, 2, False), _start(number, 2, 2), Watch(np.array([0.0, 5.0]), np.array([1])),
        kappa, seeds=np.arange(number), dt=0.1,
    )  # fmt: skip
    products = found.columns["inner_product"][:, 1]
    assert expected > 0.4 and abs(_z(products, expected)) < Z
    norm = found.columns["mean_norm"][:, 1]
    np.testing.assert_allclose(norm**2, 0.5 * (1.0 + products), atol=1e-12)


# ------------------------------------------------------------------ what users give


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kappa": 0.0}, "kappa = 0 and common = 0 found"),
        ({"common": -1.0}, "common = -1 found"),
        ({"common_seed": 3}, "common_seed = 3 found, expected with it common > 0"),
        ({"common": 1.0, "common_seed": 3}, "expected with it dt"),
        ({"seeds": np.arange(2)}, "2 seeds found, one for each of 3 systems"),
    ],
)
def test_noise_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"kappa": 0.1, "seeds": np.arange(3), **changes}
    with pytest.raises(mf.InputError, match=words):
        advance_noisy(BatchedModel(4, 3, True), _start(3, 4, 3), _ended([0.0, 1.0]), **given)


def _table(**solver: object) -> dict[str, Any]:
    return {
        "geometry": {"type": "unmeshed", "d": 3},
        "initial": {"type": "uniform"},
        "model": {"attention": "sa", "beta": 2.0},
        "solver": {"type": "particles", "number": 8, **solver},
        "time": {"end": 0.5},
    }


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        ({"common_noise": -0.1}, "solver.common_noise"),
        ({"common_seed": 3}, "solver.common_seed: found 3 with common_noise = 0"),
        ({"common_noise": 0.1, "common_seed": 3}, "expected solver.dt"),
        ({"type": "layers", "layers": 5, "common_noise": 0.1}, "the noise of layers is that of"),
    ],
)
def test_common_noise_of_a_case(solver: dict[str, object], words: str) -> None:
    with pytest.raises(mf.InputError, match=words):
        mf.Case.from_dict(_table(**solver))
