"""Funk-Hecke coefficients of a function by quadrature: composite Gauss-Legendre in the angle.

    lam_l = int W(<x, y>) P_l(<x, y>) dsigma(y),    P_l(1) = 1

Panels are graded towards both ends and towards every break, by factors of two, so that kinks and
integrable singularities there cost no digits; none is longer than 8/L or 4/sqrt(d) radians. Errors
are of the size of round-off of the largest value, for any d.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from meanfield.geometry.sphere import Array, harmonic_dimension

__all__ = ["angles_of", "project"]

_NODES = 16  # of a panel
_NOISE = 3e-15  # of the largest possible term; grows with the degree as the recurrence does

Profile = Callable[[Array, Array], Array]
"""W(t, u) with u = 1 - t, which keeps its digits next to t = 1."""


@lru_cache(maxsize=32)
def _panels(breaks: tuple[float, ...], levels: int, longest: float) -> tuple[Array, Array]:
    """Nodes and weights for int_0^pi dtheta, graded towards 0, pi and the breaks (cosines)."""
    marks = sorted({0.0, math.pi, *(math.acos(t) for t in breaks)})
    ends: set[float] = set(marks)
    for low, high in itertools.pairwise(marks):
        parts = (high - low) * 0.5 ** np.arange(1, levels)
        ends |= {*(low + parts).tolist(), *(high - parts).tolist()}
    edges: list[float] = []
    known = sorted(ends)
    for low, high in itertools.pairwise(known):
        count = max(1, math.ceil((high - low) / longest))
        edges += np.linspace(low, high, count, endpoint=False).tolist()
    border = np.array([*edges, math.pi])
    x, w = np.polynomial.legendre.leggauss(_NODES)
    half = 0.5 * np.diff(border)
    middle = 0.5 * (border[1:] + border[:-1])
    return (middle[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()


def angles_of(u: Array) -> Array:
    """theta of u = 1 - cos theta, to round-off at both ends."""
    return 2.0 * np.arctan2(np.sqrt(0.5 * u), np.sqrt(np.maximum(1.0 - 0.5 * u, 0.0)))


def project(
    profile: Profile, degree: int, d: int, breaks: Sequence[float] = (), levels: int = 48
) -> Array:
    """lam_0..lam_degree of W on S^{d-1}.

    Args:
        profile: W(t, u), u = 1 - t > 0, both (n,).
        degree: largest degree.
        d: dimension of the ambient space.
        breaks: values of t in (-1, 1) where W or a derivative of it jumps.
        levels: halvings of the panels towards ends and breaks; about 24 for a W that knows t alone
            (beyond, t is rounded to 1).

    Returns:
        (degree + 1,) coefficients. What is below round-off of the largest term of the series is
        zero (odd ones of an even W among them).
    """
    longest = min(8.0 / max(degree, 8), 4.0 / math.sqrt(d))  # the measure's width is 1/sqrt(d)
    theta, weights = _panels(tuple(float(t) for t in breaks), levels, longest)
    t, u = np.cos(theta), 2.0 * np.sin(0.5 * theta) ** 2
    measure = weights * np.sin(theta) ** (d - 2)
    values = measure / measure.sum() * profile(t, u)  # the sum, too, is exact to round-off
    size = float(np.sum(np.abs(values)))
    with np.errstate(over="ignore"):
        root = np.sqrt(harmonic_dimension(degree, d))
    # Orthonormal polynomials sqrt(dim H_l) P_l: none is large where the measure is.
    k = np.arange(2.0, degree + 2)
    square = k * (k + d - 3) / ((2 * k + d - 2) * (2 * k + d - 4))
    b = np.sqrt(np.concatenate([[1.0 / d], square]))
    out = np.zeros(degree + 1)
    before, p = np.zeros_like(t), np.ones_like(t)
    for l in range(degree + 1):
        out[l] = p @ values
        before, p = p, (t * p - (b[l - 1] if l else 0.0) * before) / b[l]
    out[np.abs(out) < _NOISE * (1.0 + np.arange(degree + 1) / 32.0) * size] = 0.0
    return out / root
