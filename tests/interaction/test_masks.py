"""Tokens that see some of the others: masks and positions, against NumPy and exact results."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.case.tokensolvers import Particles
from meanfield.dynamics.layers import layers
from meanfield.dynamics.particles import ParticleSolver
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.masked import Masked
from meanfield.interaction.masks import Alibi, Causal, GivenMask, Mask, Window
from meanfield.interaction.measure import Measure
from meanfield.interaction.rotary import RotaryHead

N, D = 23, 4


def tokens(n: int = N, d: int = D, seed: int = 0) -> Array:
    x = np.random.default_rng(seed).normal(size=(n, d))
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def random_heads(number: int = 2, d: int = D, seed: int = 1) -> tuple[HeadMatrices, ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        HeadMatrices(rng.normal(size=(d, d)), rng.normal(size=(d, d))) for _ in range(number)
    )


def simple(beta: float, d: int, value: float = 1.0, kind: str = "sa") -> Composite:
    return Composite((HeadMatrices(beta * np.eye(d), value * np.eye(d)),), kind, d)


def run(solver: ParticleSolver, end: float) -> None:
    while solver.t < end:
        solver.advance(end)


def random_factors(n: int = N) -> Array:
    rng = np.random.default_rng(5)
    found = rng.random((n, n)) * (rng.random((n, n)) < 0.4)
    found[np.arange(n), rng.integers(0, n, n)] = 1.0
    return np.asarray(found)


MASKS = {
    "causal": (Causal(), lambda i, j: 1.0 * (j <= i)),
    "window": (Window(3), lambda i, j: 1.0 * (abs(i - j) <= 3)),
    "causal window": (Window(3, causal=True), lambda i, j: 1.0 * ((j <= i) & (j >= i - 3))),
    "alibi": (Alibi(7.0), lambda i, j: (j <= i) * np.exp(-7.0 / N * (i - j))),
    "alibi both ways": (Alibi(7.0, causal=False), lambda i, j: np.exp(-7.0 / N * abs(i - j))),
    "matrix": (GivenMask(random_factors()), lambda i, j: random_factors()[i, j]),
}


def reference(
    heads: tuple[HeadMatrices, ...], x: Array, m: Array, factors: Array, normalised: bool
) -> Array:
    out = np.zeros_like(x)
    for head in heads:
        weights = m * factors * np.exp(x @ head.A.T @ x.T)
        over = weights.sum(axis=1) if normalised else (factors > 0.0) @ m
        out += (weights @ x @ head.V.T) / over[:, None]
    return np.asarray(out - np.sum(x * out, axis=1, keepdims=True) * x)


@pytest.mark.parametrize("kind", ["sa", "usa"])
@pytest.mark.parametrize("name", MASKS)
def test_heads_under_a_mask_are_those_of_plain_sums(name: str, kind: str) -> None:
    mask, formula = MASKS[name]
    i, j = np.indices((N, N))
    factors = formula(i, j)
    np.testing.assert_allclose(mask.factors(N), factors, rtol=1e-14, atol=0.0)
    m = np.random.default_rng(2).random(N)
    m /= m.sum()
    x, heads, M = tokens(), random_heads(), np.random.default_rng(3).normal(size=(D, D))
    model = Masked(Composite(heads, kind, D, drifts=(LinearDrift(M),)), mask)
    field = model.field(Measure(x, m))
    drift = x @ M.T
    expected = reference(heads, x, m, factors, kind == "sa")
    expected += drift - np.sum(x * drift, axis=1, keepdims=True) * x
    np.testing.assert_allclose(field.own_velocity(), expected, rtol=0.0, atol=3e-13)
    scaled = field.own_velocity(scaled=True) * np.exp(model.factor_log)
    np.testing.assert_allclose(scaled, expected, rtol=0.0, atol=3e-13)


@pytest.mark.parametrize("kind", ["sa", "usa"])
@pytest.mark.parametrize(
    "mask", [None, Window(N), Alibi(0.0, causal=False), GivenMask(np.ones((N, N)))]
)
def test_a_mask_that_leaves_all_is_none(mask: Mask | None, kind: str) -> None:
    whole = Composite(random_heads(), kind, D)
    measure = Measure.equal(tokens())
    found = Masked(whole, mask).field(measure).own_velocity()
    np.testing.assert_allclose(found, whole.field(measure).own_velocity(), rtol=0.0, atol=1e-12)


def test_alibi_of_slope_zero_is_causal_and_a_steep_one_sees_itself_alone() -> None:
    whole, measure = Composite(random_heads(), "sa", D), Measure.equal(tokens())
    v = [Masked(whole, m).field(measure).own_velocity() for m in (Causal(), Alibi(0.0))]
    np.testing.assert_array_equal(*v)
    steep = [Masked(whole, m).field(measure).own_velocity() for m in (Window(0), Alibi(1e5))]
    np.testing.assert_allclose(*steep, rtol=0.0, atol=1e-13)


def test_a_path_does_not_depend_on_later_tokens() -> None:
    x = tokens(40)
    model = Masked(Composite(random_heads(), "sa", D), Causal())
    paths = layers(model, x, 30, horizon=3.0)
    short = layers(model, x[:17], 30, horizon=3.0)
    np.testing.assert_allclose(short, paths[:, :17], rtol=0.0, atol=1e-12)
    later = x.copy()
    later[17:] = tokens(23, seed=9)
    np.testing.assert_array_equal(layers(model, later, 30, horizon=3.0)[:, :17], paths[:, :17])
    without = Masked(Composite(random_heads(), "sa", D))
    assert np.abs(layers(without, later, 30, horizon=3.0)[-1, :17] - paths[-1, :17]).max() > 0.1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_causal_tokens_end_at_the_first(seed: int) -> None:
    """For V = I and any Q, K (arXiv 2411.04990, theorem 4.1); the first one never moves."""
    rng = np.random.default_rng(seed)
    A = 0.5 * rng.normal(size=(3, 3)).T @ rng.normal(size=(3, 3))
    x = tokens(30, 3, seed)
    model = Masked(Composite((HeadMatrices(A, np.eye(3)),), "sa", 3), Causal())
    solver = ParticleSolver(model, x, options=Particles(rtol=1e-5))
    run(solver, 120.0)
    np.testing.assert_allclose(solver.x[0], x[0], rtol=0.0, atol=1e-15)
    assert np.linalg.norm(solver.x - x[0], axis=1).max() < 1e-4
    assert np.linalg.norm(x - x[0], axis=1).max() > 1.0


def test_equal_tokens_are_not_joined() -> None:
    """The second of two equal tokens stays with the first, those behind see both."""
    x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    solver = ParticleSolver(Masked(simple(1.0, 2), Causal()), x)
    assert solver.points == 3
    # Token 3: angle a to the two others, a' = -2 e^{cos a} sin a/(2 e^{cos a} + e).
    expected = -2.0 / (2.0 + np.e)
    np.testing.assert_allclose(solver.velocity()[2], [-expected, 0.0], rtol=0.0, atol=1e-15)
    back = ParticleSolver(Masked(simple(1.0, 2), Causal()), x[::-1])
    np.testing.assert_allclose(back.velocity()[0], 0.0, rtol=0.0, atol=0.0)


def renyi_centres(x: Array, distance: float) -> list[int]:
    """Tokens that are further than ``distance`` from all centres before them."""
    found: list[int] = []
    for i, one in enumerate(x):
        if all(np.linalg.norm(one - x[j]) > distance for j in found):
            found.append(i)
    return found


def test_renyi_centres_hold_while_others_gather_around_them() -> None:
    """n = 200, d = 2, beta = 64 (arXiv 2411.04990): clusters form at centres, which hardly move."""
    beta = 64.0
    angle = 2.0 * np.pi * np.random.default_rng(4).random(200)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    delta = 4.0 * beta**-0.5
    centres = renyi_centres(x, delta)
    solver = ParticleSolver(Masked(simple(beta, 2), Causal()), x, options=Particles(rtol=1e-5))
    run(solver, 30.0)
    assert len(centres) == 9
    moved = np.linalg.norm(solver.x[centres] - x[centres], axis=1)
    assert np.all(moved[:-1] < 1e-3) and moved[-1] < 0.05

    def near(points: Array) -> float:
        apart = np.linalg.norm(points[:, None] - solver.x[centres][None], axis=2)
        return float((apart.min(axis=1) < 0.05).mean())

    assert near(x) < 0.5 and near(solver.x) > 0.97
    # Ten clusters: one more than centres, of tokens that have found another leader between two.
    around = np.sort(np.arctan2(solver.x[:, 1], solver.x[:, 0]))
    gaps = np.diff(np.append(around, around[0] + 2.0 * np.pi))
    assert np.sum(gaps > 0.05) == np.sum(gaps > 0.2) == 10


def test_rotary_positions() -> None:
    rng = np.random.default_rng(8)
    Q, K, V = rng.normal(size=(5, D)), rng.normal(size=(5, D)), rng.normal(size=(D, D))
    x, m = tokens(), np.full(N, 1.0 / N)
    head = HeadMatrices(K.T @ Q, V)
    whole, measure = Composite((head,), "sa", D), Measure.equal(x)

    def velocity(frequencies: Array, mask: Mask | None = None) -> Array:
        model = Masked(whole, mask, (RotaryHead(Q, K, frequencies),))
        return model.field(measure).own_velocity()

    still = velocity(np.zeros(2))
    np.testing.assert_allclose(still, whole.field(measure).own_velocity(), rtol=0.0, atol=1e-12)
    theta = np.array([0.7, 0.05])
    scores = np.empty((N, N))
    for i in range(N):
        for j in range(N):  # R_i^T R_j = R_{j - i}: scores depend on i - j alone
            c, s = np.cos(theta * (j - i)), np.sin(theta * (j - i))
            R = np.eye(5)
            for k in range(2):
                R[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[c[k], -s[k]], [s[k], c[k]]]
            scores[i, j] = (Q @ x[i]) @ R @ (K @ x[j])
    for mask in (None, Causal()):
        weights = m * np.exp(scores) * (1.0 if mask is None else mask.factors(N))
        flow = weights @ x @ V.T / weights.sum(axis=1, keepdims=True)
        expected = flow - np.sum(x * flow, axis=1, keepdims=True) * x
        np.testing.assert_allclose(velocity(theta, mask), expected, rtol=0.0, atol=1e-12)
    assert np.abs(velocity(theta) - still).max() > 0.1


def test_what_sees_no_mass_stays() -> None:
    x = tokens(3)
    model = Masked(simple(1.0, D), Causal())
    v = model.field(Measure(x, np.array([0.0, 0.5, 0.5]))).own_velocity()
    np.testing.assert_array_equal(v[0], 0.0)
    np.testing.assert_array_equal(v[1], 0.0)
    assert np.linalg.norm(v[2]) > 0.1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Masked(Composite(random_heads(), "linear", D), Causal()), "sa or usa"),
        (lambda: Masked(simple(1.0, D), Causal()).by("harmonics"), "direct"),
        (lambda: Masked(simple(1.0, D), Causal()).on_mesh(100), "particles or layers"),
        (lambda: Masked(simple(1.0, D), Causal()).excluding_self(), "no sums over other tokens"),
        (lambda: Window(-1), "width = -1 found"),
        (lambda: Alibi(-1.0), "slope = -1 found"),
        (lambda: GivenMask(np.array([[1.0, 0.0], [0.0, 0.0]])), "row 1 is zero"),
        (lambda: GivenMask(np.array([[1.0, -2.0], [0.0, 1.0]])), "-2 found in row 0, column 1"),
        (lambda: Masked(simple(1.0, D), None, ()).field(Measure.equal(tokens())).velocity(
            tokens(seed=3)), "others than the tokens"),
        (lambda: ParticleSolver(Masked(simple(1.0, D), GivenMask(np.eye(3))), tokens()),
         "3 x 3 matrix found for 23 tokens"),
        (lambda: RotaryHead(np.eye(4), np.eye(4), np.zeros(3)), "3 found for 4 rows"),
        (lambda: Masked(simple(1.0, D), None, (RotaryHead(np.eye(4), np.eye(4), np.ones(2)),) * 2),
         "2 found for 1 heads"),
    ],
)  # fmt: skip
def test_refused(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(InputError, match=said):
        make()


def test_small_masses_that_are_seen_keep_their_digits() -> None:
    """usa with a window of one token: each sees itself alone, whatever stands before it."""
    m = np.array([1.0 - 3e-17, 1e-17, 1e-17, 1e-17])
    x = tokens(4)
    turn = HeadMatrices(np.eye(D), np.roll(np.eye(D), 1, axis=0))
    model = Masked(Composite((turn,), "usa", D), Window(width=0))
    found = model.field(Measure(x, m)).own_velocity()
    pull = np.e * x @ turn.V.T
    np.testing.assert_allclose(found, pull - np.sum(pull * x, 1, keepdims=True) * x, atol=1e-12)


def test_who_is_seen_is_counted_however_small_its_factor() -> None:
    factors = Alibi(5000.0).factors(4)
    np.testing.assert_array_equal(np.count_nonzero(factors, axis=1), [1, 2, 3, 4])
    np.testing.assert_allclose(factors, np.eye(4), atol=1e-200)
