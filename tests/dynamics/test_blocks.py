"""Layers as they are built: one against NumPy, many against the flows, one-layer studies."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from convergence import rates
from scipy.integrate import solve_ivp

from meanfield.case.normalisation import (
    SCHEMES,
    Mix,
    Ngpt,
    Normalisation,
    Peri,
    Plain,
    Post,
    Pre,
    Sandwich,
    Sqrt,
)
from meanfield.dynamics.blocks import Block
from meanfield.dynamics.layers import LayerSolver, layers
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.drifts import LinearDrift, Perceptron
from meanfield.interaction.intime import TableInTime
from meanfield.interaction.masked import Masked
from meanfield.interaction.masks import Causal

_RNG = np.random.default_rng(7)
N, D = 12, 4
X = uniform_points(N, D, _RNG)
M = _RNG.dirichlet(np.ones(N))
A, V, W, B = _RNG.normal(size=(4, D, D))
HEADS = (HeadMatrices(A, V), HeadMatrices(B, W))
MODEL = Composite(HEADS, "sa", D)
LENGTH, RATE, SWITCH = 1.7, 0.6, 0.8

BUILT: dict[str, Normalisation] = {
    "post": Post(),
    "pre": Pre(length=LENGTH),
    "mix": Mix(switch=SWITCH, length=LENGTH),
    "peri": Peri(length=LENGTH),
    "ngpt": Ngpt(alpha=RATE),
    "sqrt": Sqrt(),
    "sandwich": Sandwich(),
    "none": Plain(length=LENGTH),
}


def unit(y: Array) -> Array:
    return np.asarray(y / np.linalg.norm(y, axis=1, keepdims=True))


def output(x: Array, seen: Array | None = None) -> Array:
    """The two heads of sa before any projection."""
    out = np.zeros_like(x)
    for head in HEADS:
        e = M * np.exp(x @ head.A.T @ x.T)
        e = e if seen is None else e * seen
        out += (e @ x @ head.V.T) / e.sum(axis=1, keepdims=True)
    return out


def layer(name: str, y: Array, a: Callable[[Array], Array], weights: Array, t: float) -> Array:
    """One block for tokens ``y`` of any length, written as in the papers; alpha, gamma."""
    alpha, gamma = weights
    x = unit(y)
    match name:
        case "post":
            return unit(alpha * x + gamma * a(x))
        case "sqrt":
            return unit(alpha * x + gamma / math.sqrt(t + 1.0) * a(x))
        case "sandwich":
            return unit(alpha * x + gamma * unit(a(x)))
        case "ngpt":
            return unit(alpha * x + gamma * RATE * (unit(a(x)) - x))
        case "pre":
            return alpha * y + gamma * a(x)
        case "peri":
            return alpha * y + gamma * unit(a(x))
        case "mix" if t < SWITCH:
            return LENGTH * unit(alpha * x + gamma * a(x))
        case "mix":
            return alpha * y + gamma * a(x)
    return alpha * y + gamma * a(y)


def first_length(name: str) -> float:
    return LENGTH if BUILT[name].has_length else 1.0


def test_every_scheme_has_its_layer() -> None:
    assert BUILT.keys() == SCHEMES.keys()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", BUILT)
def test_layers_are_those_of_plain_formulas(name: str, masked: bool) -> None:
    model = Masked(MODEL, Causal()) if masked else MODEL
    seen = np.tril(np.ones((N, N))) if masked else None
    block = Block(BUILT[name], residual=0.9, step=0.3)
    solver = LayerSolver(model, X, M, layer_step=0.4, block=block)
    y = X * first_length(name)
    for k in range(5):  # three layers before the switch of mix, two from then on
        y = layer(name, y, lambda x: output(x, seen), np.array([0.9, 0.3]), 0.4 * k)
        solver.advance(10.0)
        np.testing.assert_allclose(solver.x, unit(y), rtol=0.0, atol=1e-12)
        if solver.lengths is not None:
            np.testing.assert_allclose(solver.lengths, np.linalg.norm(y, axis=1), rtol=1e-12)
    assert (solver.lengths is not None) == (name in ("pre", "mix", "peri", "none"))


def flow(name: str, end: float) -> Array:
    """Directions of theta' = P A/s, r' by a Runge-Kutta method of order 8."""

    def rate(t: float, packed: Array) -> Array:
        x, r = packed[: N * D].reshape(N, D), packed[N * D :]
        a = output(r[:, None] * x if name == "none" else x)
        size, along = np.linalg.norm(a, axis=1), np.sum(a * x, axis=1)
        s, growth = {
            "post": (np.ones(N), np.zeros(N)),
            "pre": (r, along),
            "mix": (np.ones(N), np.zeros(N)) if t < SWITCH else (r, along),
            "peri": (r * size, along / size),
            "ngpt": (size / RATE, np.zeros(N)),
            "sqrt": (np.full(N, math.sqrt(t + 1.0)), np.zeros(N)),
            "sandwich": (size, np.zeros(N)),
            "none": (r, along),
        }[name]
        return np.append((a - along[:, None] * x) / s[:, None], growth)

    packed = np.append(X, np.full(N, first_length(name)))
    stops = [SWITCH - 1e-13, end] if name == "mix" else [end]
    begin = 0.0
    for stop in stops:
        found = solve_ivp(rate, (begin, stop), packed, "DOP853", rtol=1e-11, atol=1e-12)
        packed, begin = found.y[:, -1], stop + (2e-13 if stop < end else 0.0)
    return np.asarray(packed[: N * D].reshape(N, D))


@pytest.mark.parametrize("name", BUILT)
def test_schemes_converge_to_their_flows_at_first_order(name: str) -> None:
    want, block = flow(name, 1.6), Block(BUILT[name])

    def error(depth: int) -> float:
        found = layers(MODEL, X, depth, weights=M, horizon=1.6, block=block)[-1]
        return float(np.max(np.linalg.norm(found - want, axis=1)))

    rates(error, (100, 200, 400, 800)).check(0.85, 1.15, 0.02)


@pytest.mark.parametrize("name", BUILT)
def test_velocity_is_that_of_the_flow(name: str) -> None:
    solver = LayerSolver(MODEL, X, M, layer_step=1e-6, block=Block(BUILT[name]))
    velocity = solver.velocity()
    solver.advance(1.0)
    np.testing.assert_allclose((solver.x - X) / 1e-6, velocity, atol=1e-4)


def test_without_a_block_a_layer_is_what_it_was_to_the_last_bit() -> None:
    attention = Attention("sa", 4.0, 3, "sphere")
    x0 = uniform_points(60, 3, _RNG)
    solver = LayerSolver(attention, x0, layer_step=0.1)
    y = attention.manifold.retracted(solver.x + 0.1 * solver.field().own_velocity())
    solver.advance(1.0)
    np.testing.assert_array_equal(solver.x, y)
    other = LayerSolver(attention, x0, layer_step=0.1, block=Block(whole=False))
    other.advance(1.0)
    np.testing.assert_array_equal(solver.x, other.x)


def test_projected_outputs_with_weights() -> None:
    block = Block(Sqrt(), residual=0.5, step=0.3, whole=False)
    got = layers(MODEL, X, 2, weights=M, horizon=2.0, block=block)
    x = X
    for k in range(2):
        a = output(x)
        a -= np.sum(a * x, axis=1, keepdims=True) * x
        x = unit(0.5 * x + 0.3 / math.sqrt(k + 1.0) * a)
        np.testing.assert_allclose(got[k + 1], x, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("name", ["post", "pre", "peri", "sandwich"])
def test_a_perceptron_as_a_sublayer(name: str) -> None:
    b = np.linspace(-0.5, 0.5, D)
    mlp = Composite((), "sa", D, drifts=(Perceptron(W, B, b, "tanh"),))
    block = Block(BUILT[name], residual=0.8, step=0.4, sublayers=(MODEL, mlp))
    both = Composite(HEADS, "sa", D, drifts=(Perceptron(W, B, b, "tanh"),))
    solver = LayerSolver(both, X, M, layer_step=0.5, block=block)
    y = X * first_length(name)
    for k in range(3):
        y = layer(name, y, output, np.array([0.8, 0.4]), 0.5 * k)
        y = layer(name, y, lambda x: np.tanh(x @ B.T + b) @ W.T, np.array([1.0, 0.4]), 0.5 * k)
        solver.advance(10.0)
        np.testing.assert_allclose(solver.x, unit(y), rtol=0.0, atol=1e-12)


def one_layer(n: int, rho: float, beta: float) -> float:
    """Cosine of two outputs of sa of n equiangular tokens (arXiv 2510.05554)."""
    other = math.exp(beta * (rho - 1.0))
    s, o = np.array([1.0, other]) / (1.0 + (n - 1) * other)
    between = rho * s * s + 2.0 * s * o * (1.0 + (n - 2) * rho)
    between += o * o * ((n - 2) + ((n - 1) ** 2 - (n - 2)) * rho)
    alone = s * s + 2.0 * s * o * (n - 1) * rho + o * o * (n - 1) * (1.0 + (n - 2) * rho)
    return float(between / alone)


@pytest.mark.parametrize(("gamma", "cosine"), [(1.5, 0.977942), (2.0, 0.800280)])
def test_one_layer_of_equiangular_tokens(gamma: float, cosine: float) -> None:
    n, rho = 1000, 0.5
    beta = gamma * math.log(n)
    assert one_layer(n, rho, beta) == pytest.approx(cosine, abs=5e-7)
    x = np.hstack([math.sqrt(1.0 - rho) * np.eye(n), np.full((n, 1), math.sqrt(rho))])
    found = layers(Attention("sa", beta, n + 1), x, 1, block=Block(residual=0.0))[-1]
    cosines = (found @ found.T)[np.triu_indices(n, 1)]
    np.testing.assert_allclose(cosines, one_layer(n, rho, beta), rtol=0.0, atol=1e-11)


# ------------------------------------------------------------------ noise


@pytest.mark.parametrize("d", [2, 3, 6])
def test_free_tokens_diffuse(d: int) -> None:
    n, kappa = 40_000, 0.3
    free = Composite((), "sa", d, drifts=(LinearDrift(np.zeros((d, d))),))
    x0 = uniform_points(n, d, np.random.default_rng(1))
    solver = LayerSolver(free, x0, layer_step=0.1, kappa=kappa, seed=3)
    while solver.t < 1.0:
        solver.advance(1.0)
    cosines = np.sum(solver.x * x0, axis=1)
    want = math.exp(-kappa * (d - 1) * 1.0)
    assert abs(cosines.mean() - want) < 4.0 * cosines.std() / math.sqrt(n)
    assert cosines.std() / math.sqrt(n) < 0.004


@pytest.mark.parametrize("name", ["post", "sandwich"])
def test_noise_goes_on_along_the_same_path(name: str) -> None:
    def made(seed: int) -> LayerSolver:
        return LayerSolver(
            MODEL, X, M, layer_step=0.1, block=Block(BUILT[name]), kappa=0.2, seed=seed
        )

    one, other = made(5), made(0)
    for _ in range(3):
        one.advance(9.0)
    other.restore(one.state())
    for _ in range(3):
        one.advance(9.0)
        other.advance(9.0)
    np.testing.assert_array_equal(one.x, other.x)
    third = made(6)
    third.advance(9.0)
    assert np.abs(third.x - X).max() > 1e-2


# ------------------------------------------------------------------ parts of layers, refusals


@pytest.mark.parametrize(
    ("block", "kappa"),
    [(Block(), 0.0), (Block(step=0.5, whole=False), 0.0), (Block(Sandwich()), 0.0),
     (Block(residual=0.0, whole=False), 0.0), (None, 0.1)],
)  # fmt: skip
def test_only_plain_layers_have_parts(block: Block | None, kappa: float) -> None:
    """Two parts of another one are another network."""
    LayerSolver(MODEL, X, M, layer_step=0.2).advance(0.1)
    with pytest.raises(InputError, match=r"0\.1 within a layer found.*multiples of 0\.2"):
        LayerSolver(MODEL, X, M, layer_step=0.2, block=block, kappa=kappa).advance(0.1)


def test_noise_in_time_is_that_of_the_beginning_of_a_layer() -> None:
    """None until 0.3, a sum of three steps of 0.1: from the fourth layer on there is some."""
    kappa = TableInTime([0.0, 0.3], [0.0, 0.2])
    noisy = LayerSolver(MODEL, X, M, layer_step=0.1, kappa=kappa, seed=1)
    still = LayerSolver(MODEL, X, M, layer_step=0.1)
    for k in range(4):
        for solver in (noisy, still):
            solver.advance(9.0)
        assert np.array_equal(noisy.x, still.x) == (k < 3)


def test_lengths_go_on_after_a_restart() -> None:
    one, other = (LayerSolver(MODEL, X, M, layer_step=0.1, block=Block(Pre())) for _ in range(2))
    one.advance(9.0)
    other.restore(one.state())
    for solver in (one, other):
        solver.advance(9.0)
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(np.asarray(one.lengths), np.asarray(other.lengths))
    assert np.ptp(np.asarray(one.lengths)) > 1e-3


def test_a_switch_at_a_sum_of_steps() -> None:
    """Eight times 0.1 is less than 0.8 in doubles: the ninth layer is "pre" all the same."""
    solver = LayerSolver(MODEL, X, M, layer_step=0.1, block=Block(Mix(switch=0.8)))
    for k in range(9):
        assert np.ptp(np.asarray(solver.lengths)) == 0.0
        solver.advance(2.0)
        assert solver.step == k + 1
    assert np.ptp(np.asarray(solver.lengths)) > 1e-3


def test_many_layers_leave_no_sliver() -> None:
    """Of 30 000 steps of 1e-3 the sum is off by more than 1e-9 of a step: the last is whole."""
    x = uniform_points(2, 2, np.random.default_rng(0))
    block = Block(residual=0.5, step=1e-3)
    still = Composite((), "sa", 2, drifts=(LinearDrift(np.zeros((2, 2))),))
    solver = LayerSolver(still, x, layer_step=1e-3, block=block)
    while solver.t < 30.0:
        solver.advance(30.0)
    assert solver.step == 30_000 and solver.t == 30.0
    assert abs(float(np.sum(np.full(30_000, 1e-3).cumsum()[-1:])) - 30.0) > 1e-12


def test_lengths_that_overflow_are_told() -> None:
    solver = LayerSolver(MODEL, X, layer_step=1.0, block=Block(Pre(), residual=1e6))
    with pytest.raises(BrokenInvariantError, match=r"no direction .*e\+\d+ long .* smaller step$"):
        for _ in range(100):
            solver.advance(1e9)


def test_refusals() -> None:
    leaves_out = Composite(HEADS, "sa", D).excluding_self()
    with pytest.raises(InputError, match="leaves own terms out"):
        LayerSolver(leaves_out, X, layer_step=0.1, block=Block())
    for scheme in (Pre(gain=3.0), Sandwich(centre=True)):
        with pytest.raises(InputError, match=r"^scheme: found .*mf\.Model\(normalisation="):
            Block(scheme)
    assert Pre(gain=3.0, centre=True, length=2.0).without_heads() == Pre(length=2.0)
    with pytest.raises(InputError, match="residual = -1 found"):
        Block(residual=-1.0)
    with pytest.raises(InputError, match="step = 0 found"):
        Block(step=0.0)
    with pytest.raises(InputError, match="whole: False found with normalisation 'pre'"):
        Block(Pre(), whole=False)
    with pytest.raises(InputError, match="nGPT: a rate of 3 found"):
        LayerSolver(MODEL, X, layer_step=0.5, block=Block(Ngpt(alpha=3.0)))
    with pytest.raises(InputError, match="normalisation 'none'"):
        LayerSolver(MODEL, X, layer_step=0.5, block=Block(Plain()), kappa=0.1)
    with pytest.raises(InputError, match="seed = -1 found"):
        LayerSolver(MODEL, X, layer_step=0.5, seed=-1)
    state = LayerSolver(MODEL, X, layer_step=0.5).state()
    values = {k: v for k, v in state.values().items() if k not in ("length", "seed")}
    earlier = type(state).from_values(values)
    np.testing.assert_array_equal(earlier.length, np.ones(N))
    with pytest.raises(InputError, match="another kind of run"):
        type(state).from_values({"t": 0.0})
    assert replace(earlier, seed=3).seed == 3
