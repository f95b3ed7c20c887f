"""Equiangular tokens in every scheme: rates against sums over tokens, and published times."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate

from meanfield.analysis.equiangular import (
    Equiangular,
    equiangular_curve,
    equiangular_rate,
    equiangular_solution,
    equiangular_time,
)
from meanfield.case.normalisation import Mix, Ngpt, Peri, Plain, Post, Pre, Sandwich, Sqrt
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

LEVELS = (0.5, 0.9, 0.99)
SCHEMES = [Post(), Pre(), Peri(), Sqrt(), Sandwich(), Ngpt(alpha=0.5), Plain(), Post(gain=1.5)]


@pytest.mark.parametrize(
    ("scheme", "times"),
    [
        (Pre(), (8.15924413, 14.84324917, 35.24951607)),
        (Peri(), (3.71410207, 9.52311700, 29.59858959)),
    ],
)
def test_published_times(scheme: Any, times: tuple[float, ...]) -> None:
    """n = 256, beta = 5, r0 = 1, orthogonal at t = 0 (arXiv 2510.22026)."""
    tokens = Equiangular(256, 5.0)
    found = [equiangular_time(level, tokens, scheme) for level in LEVELS]
    np.testing.assert_allclose(found, times, rtol=0.0, atol=1e-6)


def _derivative(scheme: Any, tokens: Equiangular, r: float) -> tuple[float, float]:
    """gamma' and r' of tokens themselves, by NumPy: the outputs, and what the scheme is."""
    n, gamma = tokens.n, tokens.gamma
    x = np.linalg.cholesky(np.full((n, n), gamma) + (1.0 - gamma) * np.eye(n))
    seen = x * (r if scheme.type == "none" else 1.0) * (scheme.gain or 1.0)
    e = np.exp(tokens.beta * seen @ seen.T)
    weights = e / e.sum(axis=1, keepdims=True) if tokens.kind == "sa" else e / n
    a = tokens.value * weights @ seen
    size, along = np.linalg.norm(a[0]), float(x[0] @ a[0])
    s, growth = {
        "post": (1.0, 0.0), "pre": (r, along), "peri": (r * size, along / size),
        "sqrt": (1.0, 0.0), "sandwich": (size, 0.0), "ngpt": (size / 0.5, 0.0), "none": (r, along),
    }[scheme.type]  # fmt: skip
    turn = (a - np.sum(a * x, axis=1, keepdims=True) * x) / s
    return float(turn[0] @ x[1] + x[0] @ turn[1]), float(growth)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: s.type)
@pytest.mark.parametrize(("kind", "value"), [("sa", 1), ("sa", -1), ("usa", 1)])
def test_rates_are_those_of_tokens(scheme: Any, kind: Any, value: int) -> None:
    tokens = Equiangular(5, 1.3, value, kind, 0.2, 1.4)
    h = 1e-5
    curve = equiangular_curve([0.0, h, 2.0 * h], tokens, scheme)
    gamma, r = ((-3.0 * c[0] + 4.0 * c[1] - c[2]) / (2.0 * h) for c in curve)
    assert (float(curve.gamma[0]), float(curve.length[0])) == pytest.approx((0.2, 1.4), abs=1e-15)
    assert (gamma, r) == pytest.approx(_derivative(scheme, tokens, 1.4), rel=1e-7, abs=1e-7)


def test_post_is_the_known_equation() -> None:
    times = [0.0, 1.0, 3.0, 6.0]

    def rate(_: float, y: Array) -> Array:
        return equiangular_rate("sa", y, 4.0, 9)

    wanted = integrate.solve_ivp(
        rate, (0.0, 6.0), [0.0], "DOP853", times, rtol=1e-12, atol=1e-14
    ).y[0]
    np.testing.assert_allclose(equiangular_solution(times, 0.0, "sa", 4.0, 9), wanted, atol=1e-11)


def test_mix_is_post_and_then_pre() -> None:
    tokens, switch = Equiangular(8, 3.0, length=1.7), 1.25
    mix = equiangular_curve([0.5, switch, 4.0], tokens, Mix(switch=switch))
    post = equiangular_curve([0.5, switch], tokens)
    after = Equiangular(8, 3.0, gamma=float(post.gamma[1]), length=1.7)
    pre = equiangular_curve(4.0 - switch, after, Pre())
    np.testing.assert_allclose(mix.gamma, [*post.gamma, pre.gamma], atol=1e-11)
    np.testing.assert_allclose(mix.length, [1.7, 1.7, pre.length], rtol=1e-11)


def test_sqrt_is_post_by_another_clock() -> None:
    tokens, times = Equiangular(8, 3.0), np.array([[0.3, 2.0], [7.0, 20.0]])
    slow = equiangular_curve(times, tokens, Sqrt()).gamma
    np.testing.assert_allclose(
        slow, equiangular_curve(2.0 * np.sqrt(times + 1.0) - 2.0, tokens).gamma, atol=1e-11
    )


@pytest.mark.filterwarnings("error")
def test_times_before_which_lengths_end_are_no_times() -> None:
    """And what overflows on the way is told by no line of the source."""
    assert math.isnan(equiangular_time(0.9, Equiangular(16, 2.0, -1), Pre()))
    assert math.isnan(equiangular_time(0.9, Equiangular(16, 2.0), Plain()))  # they grow too fast
    assert equiangular_time(0.9, Equiangular(16, 2.0, -1), Plain()) == math.inf


def test_what_is_refused() -> None:
    tokens = Equiangular(3, 1.0)
    assert equiangular_time(0.9, Equiangular(3, 1.0, -1, gamma=0.5)) == math.inf
    with pytest.raises(InputError, match="stay equiangular; expected one number as gain"):
        equiangular_curve(1.0, tokens, Pre(centre=True))
    with pytest.raises(InputError, match="a length reaches 0"):
        equiangular_curve(9.0, Equiangular(3, 1.0, -1), Pre())
    with pytest.raises(InputError, match=r"a cosine between -0\.5 and 1"):
        Equiangular(3, 1.0, gamma=-0.7)
    with pytest.raises(InputError, match="cosine = 0 found"):
        equiangular_time(0.0, tokens)
