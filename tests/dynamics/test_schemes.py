"""Tokens in schemes of normalisation: equiangular curves, and x' of whole vectors by SciPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import integrate

from meanfield.analysis.equiangular import Equiangular, equiangular_curve, equiangular_time
from meanfield.case import Model, Particles, Unmeshed
from meanfield.case.gain import norm_of
from meanfield.case.lengths import LognormalLength
from meanfield.case.normalisation import Mix, Ngpt, Peri, Plain, Post, Pre, Sandwich, Sqrt
from meanfield.dynamics.blocks import Block
from meanfield.dynamics.equiangular import equiangular_tokens
from meanfield.dynamics.layers import LayerSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.schemes import SchemeSolver
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array, normalize, tangent_project, uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.options import made_from

TIGHT: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12, "merge": False}
ALL = [
    Post(), Pre(length=0.8), Mix(switch=0.7), Peri(length=2.0), Ngpt(alpha=0.5), Sqrt(), Sandwich(),
    Plain(length=0.7),
]  # fmt: skip


def _to(solver: ParticleSolver, t: float) -> ParticleSolver:
    while solver.t < t:
        solver.advance(t)
    return solver


def _solver(n: int, beta: float, scheme: Any, **options: Any) -> SchemeSolver:
    """From n orthogonal tokens."""
    made = Particles(**{**TIGHT, **options})
    return SchemeSolver(Attention("sa", beta, n), np.eye(n), scheme=scheme, options=made)


@pytest.mark.parametrize("scheme", ALL, ids=lambda s: s.type)
def test_orthogonal_tokens_follow_their_curve(scheme: Any) -> None:
    n, times = 12, [0.4, 1.5, 4.0]
    curve = equiangular_curve(times, Equiangular(n, 5.0, length=scheme.length), scheme)
    solver = _solver(n, 5.0, scheme)
    for t, gamma, r in zip(times, *curve, strict=True):
        _to(solver, t)
        found = (solver.x @ solver.x.T)[np.triu_indices(n, 1)]
        np.testing.assert_allclose(found, gamma, atol=1e-9)
        if solver.lengths is not None:
            np.testing.assert_allclose(solver.lengths, r, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", [Pre(), Peri()], ids=lambda s: s.type)
def test_published_times_by_256_tokens(scheme: Any) -> None:
    """At the default tolerances of a run: cosines .5, .9, .99 at their times, to 1e-6."""
    solver = _solver(256, 5.0, scheme, rtol=1e-6, atol=1e-9)
    for level in (0.5, 0.9, 0.99):
        _to(solver, equiangular_time(level, Equiangular(256, 5.0), scheme))
        found = (solver.x @ solver.x.T)[np.triu_indices(256, 1)]
        np.testing.assert_allclose(found, level, atol=1e-6)


# ------------------------------------------------------------------ any heads, against SciPy

_RNG = np.random.default_rng(8)
_D, _N, _END = 4, 9, 1.5
_Q, _K, _V = _RNG.normal(size=(3, 2, _D, _D)) / 2.0
_HEADS = [{"beta": 1.5, "Q": _Q[h], "K": _K[h], "V": _V[h]} for h in range(2)]
_X = uniform_points(_N, _D, _RNG)
_R = _RNG.uniform(0.5, 2.0, _N)
_M = _RNG.dirichlet(np.ones(_N))


def _attention(y: Array, mask: bool = False) -> Array:
    out = np.zeros_like(y)
    for h in range(2):
        e = _M * np.exp(1.5 * (y @ _Q[h].T) @ (y @ _K[h].T).T)
        e = np.tril(e) if mask else e
        out += e @ y @ _V[h].T / e.sum(axis=1, keepdims=True)
    return out


def _vectors(field: Callable[[float, Array], Array], x0: Array, end: float = _END) -> Array:
    """x(end) of x' = field(t, x), (n, d)."""
    found = integrate.solve_ivp(
        lambda t, y: field(t, y.reshape(x0.shape)).ravel(), (0.0, end), x0.ravel(), "DOP853",
        rtol=1e-11, atol=1e-12,
    )  # fmt: skip
    return np.asarray(found.y[:, -1].reshape(x0.shape))


def _made(scheme: Any, **keys: Any) -> SchemeSolver:
    table = {"attention": "sa", "heads": _HEADS, "normalisation": scheme, **keys}
    model = made_from(Model, table)
    norm = norm_of(scheme, _D)
    x = _X if norm is None else norm.directions(_X)
    made = model.on(Unmeshed(d=_D))
    bare, options = scheme.without_heads(), Particles(**TIGHT)
    solver = SchemeSolver(made, x, _M, scheme=bare, options=options)
    state = solver.state()
    object.__setattr__(state, "log_length", np.log(_R if scheme.has_length else np.ones(_N)))
    solver.restore(state)
    return solver


def _close(solver: SchemeSolver, x: Array) -> None:
    """Directions, and lengths where there are some, are those of vectors."""
    np.testing.assert_allclose(solver.x, normalize(x), atol=1e-9)
    if solver.lengths is not None:
        np.testing.assert_allclose(solver.lengths, np.linalg.norm(x, axis=1), rtol=1e-9)


@pytest.mark.parametrize("mask", [None, "causal"])
@pytest.mark.parametrize("scheme", [Pre(), Peri(), Plain()], ids=lambda s: s.type)
def test_lengths_and_directions_are_vectors(scheme: Any, mask: str | None) -> None:
    """x' = A(N x), A(N x)/|A| and A(x), of lengths that differ."""

    def field(t: float, x: Array) -> Array:
        a = _attention(x if scheme.type == "none" else normalize(x), mask is not None)
        return normalize(a) if scheme.type == "peri" else a

    solver = _made(scheme, **({} if mask is None else {"mask": mask}))
    _close(_to(solver, _END), _vectors(field, _R[:, None] * _X))  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", [Sqrt(), Ngpt(alpha=0.7), Sandwich()], ids=lambda s: s.type)
def test_directions_alone(scheme: Any) -> None:
    def field(t: float, x: Array) -> Array:
        y = normalize(x)
        a = _attention(y)
        if scheme.type == "sqrt":
            return tangent_project(y, a) / math.sqrt(t + 1.0)
        return (0.7 if scheme.type == "ngpt" else 1.0) * tangent_project(y, normalize(a))

    _close(_to(_made(scheme), _END), _vectors(field, _X))  # type: ignore[arg-type]


def test_mix_ends_a_step_at_its_switch() -> None:
    switch, times = 0.8, [0.0]
    solver = _made(Mix(switch=switch))
    while solver.t < _END:
        solver.advance(_END)
        times.append(solver.t)
    assert switch in times
    middle = _vectors(
        lambda t, x: tangent_project(normalize(x), _attention(normalize(x))), _X, switch
    )
    start = _R[:, None] * normalize(middle)
    _close(solver, _vectors(lambda t, x: _attention(normalize(x)), start, _END - switch))


@pytest.mark.parametrize("gain", [1.7, (0.5, 1.0, 1.5, 2.0)])
@pytest.mark.parametrize("scheme", [Pre, Peri, Post])
def test_gain_is_attention_on_an_ellipsoid(scheme: Any, gain: Any) -> None:
    g = np.array(gain)

    def field(t: float, x: Array) -> Array:
        a = _attention(g * normalize(x))
        if scheme is Post:
            return tangent_project(normalize(x), a)
        return a if scheme is Pre else normalize(a)

    start = _X if scheme is Post else _R[:, None] * _X
    _close(_to(_made(scheme(gain=gain)), _END), _vectors(field, start))  # type: ignore[arg-type]


def test_layer_norm_centres_directions_and_outputs() -> None:
    """x' = A(LN x) of whole vectors, whose means are seen by nobody; the drift sees LN x, too."""
    gain = np.array([0.5, 1.0, 1.5, 2.0])
    drift = _RNG.normal(size=(_D, _D))

    def norm(x: Array) -> Array:
        return normalize(x - x.mean(axis=1, keepdims=True))

    def field(t: float, x: Array) -> Array:
        y = gain * norm(x)
        return _attention(y) + y @ drift.T

    start = _R[:, None] * norm(_X) + _RNG.normal(size=(_N, 1))
    end = _vectors(field, start)
    solver = _made(Pre(gain=tuple(gain), centre=True), drift={"matrix": drift})
    _close(_to(solver, _END), end - end.mean(axis=1, keepdims=True))  # type: ignore[arg-type]
    np.testing.assert_allclose(solver.x.sum(axis=1), 0.0, atol=1e-12)


def test_perceptron_and_positions_see_the_gain() -> None:
    w, b = _RNG.normal(size=(_D, 3)), _RNG.normal(size=(3, _D))
    shifts = [0.1, -0.2, 0.3]
    g = np.array([0.5, 1.0, 1.5, 2.0])
    table = {
        "attention": "sa", "heads": _HEADS, "rope": {"frequencies": [0.3, 0.1]},
        "perceptron": {"W": w, "B": b, "b": shifts, "activation": "tanh"},
    }  # fmt: skip
    plain = made_from(Model, table).on(Unmeshed(d=_D))
    seen = made_from(Model, {**table, "normalisation": Post(gain=tuple(g))}).on(Unmeshed(d=_D))
    np.testing.assert_allclose(seen.outputs(_X, _M), plain.outputs(g * _X, _M), rtol=1e-12)


# ------------------------------------------------------------------ limits, merging, noise


def test_rescaled_tokens_without_normalisation() -> None:
    """Of one head, |e^{-tV} x| stays within the hull of the first tokens (2305.05465)."""
    solver = _to(_solver(10, 1.0, Plain()), 6.0)
    rescaled = solver.rescaled()  # type: ignore[attr-defined]
    assert solver.lengths is not None and solver.lengths.min() > 100.0
    np.testing.assert_allclose(rescaled, math.exp(-6.0) * solver.lengths[:, None] * solver.x)
    assert np.linalg.norm(rescaled, axis=1).max() < 1.0
    # All coordinates stay above 0 with the sum 1: the means of the weights are convex.
    np.testing.assert_allclose(rescaled.sum(axis=1), 1.0, rtol=1e-8)


def test_a_length_that_ends_is_told_with_its_time() -> None:
    interaction = Attention("sa", 1.0, 3, value=-1)
    one = SchemeSolver(interaction, np.eye(3)[:1], scheme=Pre(length=1.25))
    with pytest.raises(BrokenInvariantError, match=r"length of token 0 reaches 0 at t = 1.25"):
        _to(one, 3.0)
    few = SchemeSolver(interaction, uniform_points(6, 3, np.random.default_rng(1)), scheme=Pre())
    with pytest.raises(BrokenInvariantError, match=r"the length of token \d reaches 0 at t = "):
        _to(few, 9.0)


def test_tokens_without_end_are_told() -> None:
    solver = SchemeSolver(Attention("usa", 1.0, 3), np.eye(3), scheme=Plain(length=2.0))
    with pytest.raises(BrokenInvariantError, match=r"tokens of length .* outputs are no doubles"):
        _to(solver, 9.0)


@pytest.mark.parametrize("scheme", [Peri(), Ngpt(), Sandwich()], ids=lambda s: s.type)
def test_an_output_of_zero_is_refused(scheme: Any) -> None:
    x = np.array([[0.0, 1.0], [0.0, -1.0]])
    with pytest.raises(BrokenInvariantError, match=f"token 0 is 0 .* '{scheme.type}' divides"):
        SchemeSolver(Attention("sa", 0.0, 2), x, scheme=scheme)
    with pytest.raises(BrokenInvariantError, match=f"token 0 is 0 .* '{scheme.type}' divides"):
        LayerSolver(Attention("sa", 0.0, 2), x, layer_step=1.0, block=Block(scheme)).advance(1.0)


@pytest.mark.parametrize("scheme", [Peri(), Ngpt(), Sandwich()], ids=lambda s: s.type)
def test_what_round_off_leaves_of_an_output_is_zero(scheme: Any) -> None:
    """A simplex has the mean 0 but for 1e-17; small outputs that do not cancel are none of it."""
    simplex = equiangular_tokens(4, 3, -1.0 / 3.0, np.random.default_rng(1))
    assert np.abs(simplex.mean(axis=0)).max() > 0.0
    said, block = f"is 0 .* '{scheme.type}' divides", Block(scheme)
    for factor in (1.0, 1e-6):
        flat = Composite((HeadMatrices(np.zeros((3, 3)), factor * np.eye(3)),), "sa", 3)
        with pytest.raises(BrokenInvariantError, match=said):
            SchemeSolver(flat, simplex, scheme=scheme)
        with pytest.raises(BrokenInvariantError, match=said):
            LayerSolver(flat, simplex, layer_step=1.0, block=block).advance(1.0)
    small = Attention("usa", -40.0, 3)
    near = normalize(np.array([[1.0, 0.0, 0.0], [1.0, 0.1, 0.0]]))
    assert np.abs(small.outputs(near, np.array([0.5, 0.5]))).max() < 1e-16
    assert np.isfinite(SchemeSolver(small, near, scheme=scheme).velocity()).all()
    LayerSolver(small, near, layer_step=0.1, block=block).advance(0.1)


def test_only_tokens_without_lengths_become_one() -> None:
    x = uniform_points(20, 8, np.random.default_rng(2))
    interaction = Attention("sa", 1.0, 8)
    joined = _to(SchemeSolver(interaction, x, scheme=Sandwich()), 40.0)
    alone = _to(SchemeSolver(interaction, x, scheme=Pre()), 40.0)
    assert (joined.points, alone.points) == (1, 20)
    twins = np.concatenate([x, x[:1]])
    law = LognormalLength(sigma=0.5)
    solver = _to(SchemeSolver(interaction, twins, scheme=Pre(length=law), seed=4), 1.0)
    assert np.linalg.norm(solver.x[0] - solver.x[20]) > 1e-3  # their lengths differ


def test_lengths_are_drawn_by_the_seed() -> None:
    x = uniform_points(4000, 3, np.random.default_rng(2))

    def lengths(seed: int) -> Array:
        scheme = Pre(length=LognormalLength(sigma=0.5, median=2.0))
        found = SchemeSolver(Attention("sa", 1.0, 3), x, scheme=scheme, seed=seed).lengths
        assert found is not None
        return found

    one = lengths(5)
    np.testing.assert_array_equal(one, lengths(5))
    assert not np.array_equal(one, lengths(6))
    logs = np.log(one)
    assert abs(logs.mean() - math.log(2.0)) < 4.0 * 0.5 / math.sqrt(4000)
    assert abs(logs.std() - 0.5) < 4.0 * 0.5 / math.sqrt(8000)


def test_noise_is_of_directions() -> None:
    x, interaction = uniform_points(30, 4, np.random.default_rng(2)), Attention("sa", 2.0, 4)
    options = Particles(dt=0.05)
    plain = ParticleSolver(interaction, x, options=options, kappa=0.1, seed=3)
    post = SchemeSolver(interaction, x, scheme=Post(), options=options, kappa=0.1, seed=3)
    np.testing.assert_allclose(_to(post, 1.0).x, _to(plain, 1.0).x, atol=1e-12)
    slow = SchemeSolver(interaction, x, scheme=Sqrt(), options=options, kappa=0.1, seed=3)
    assert np.abs(_to(slow, 1.0).x - plain.x).max() > 1e-3
    with pytest.raises(InputError, match="'pre' with noise"):
        SchemeSolver(interaction, x, scheme=Pre(), kappa=0.1)
    with pytest.raises(InputError, match=r"^scheme: found a gain"):
        SchemeSolver(interaction, x, scheme=Pre(gain=2.0))
