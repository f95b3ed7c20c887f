"""Gegenbauer polynomials of S^{d-1}, their quadrature, and the parts of harmonics along an axis.

NumPy and SciPy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["gauss_gegenbauer", "gegenbauer", "gegenbauer_sum", "zonal_functions"]


def gegenbauer(t: Array, d: int, degree: int) -> Array:
    """P_0..P_degree of S^{d-1} at t, (degree + 1, n), P_l(1) = 1.

    By (l + d - 2) P_{l+1} = (2l + d - 2) t P_l - l P_{l-1}.
    """
    p = np.empty((degree + 1, t.size))
    p[0] = 1.0
    if degree >= 1:
        p[1] = t
    for l in range(1, degree):
        p[l + 1] = ((2 * l + d - 2) * t * p[l] - l * p[l - 1]) / (l + d - 2)
    return p


def gegenbauer_sum(coefficients: Sequence[float] | Array, t: Array, d: int) -> Array:
    """Sum over l >= 1 of a_l P_l(t), P_l the Gegenbauer polynomial of S^{d-1} with P_l(1) = 1.

    ``coefficients`` holds a_1, a_2, ...; ``t`` any shape, in [-1, 1]. For d = 2 these are the
    Chebyshev, for d = 3 the Legendre polynomials. Three-term recurrence, stable on [-1, 1].
    """
    before, here = np.ones_like(t), np.array(t, dtype=np.float64)
    total = np.zeros_like(here)
    for degree, a in enumerate(coefficients, start=1):
        total += a * here
        before, here = (
            here,
            ((2 * degree + d - 2) * t * here - degree * before) / (degree + d - 2),
        )
    return total


def _recurrence(dimension: int, n: int) -> Array:
    """b_1..b_n of t p_k = b_{k+1} p_{k+1} + b_k p_{k-1}, p_k orthonormal for (1 - t^2)^{(D-3)/2}.

    The weight is normalised to a probability: the law of one coordinate on S^{D-1}.
    """
    k = np.arange(2.0, n + 1)
    squares = k * (k + dimension - 3) / ((2 * k + dimension - 2) * (2 * k + dimension - 4))
    return np.sqrt(np.concatenate([[1.0 / dimension], squares]))[:n]


def _orthonormal(dimension: int, degree: int, t: Array) -> tuple[Array, Array]:
    """p_0..p_degree and their derivatives by t, each (degree + 1, n)."""
    b = _recurrence(dimension, degree + 1)
    p, dp = np.zeros((2, degree + 1, t.size))
    p[0] = 1.0
    if degree >= 1:
        p[1], dp[1] = t / b[0], 1.0 / b[0]
    for k in range(1, degree):
        p[k + 1] = (t * p[k] - b[k - 1] * p[k - 1]) / b[k]
        dp[k + 1] = (p[k] + t * dp[k] - b[k - 1] * dp[k - 1]) / b[k]
    return p, dp


@lru_cache(maxsize=32)
def gauss_gegenbauer(d: int, n: int) -> tuple[Array, Array]:
    """Gauss-Gegenbauer nodes t = cos(theta), descending, and weights (sum 1) on S^{d-1}.

    Nodes are the eigenvalues of the Jacobi matrix; weights come from the Christoffel function,
    which keeps their digits at the ends and needs no Gamma functions: any d.
    """
    from scipy.linalg import eigvalsh_tridiagonal  # 0.2 s: where a grid is needed

    nodes = eigvalsh_tridiagonal(np.zeros(n), _recurrence(d, n - 1)) if n > 1 else [0.0]
    t = np.asarray(nodes)
    t = 0.5 * (t - t[::-1])[::-1]  # exactly symmetric
    b = _recurrence(d, max(n - 1, 1))
    before, p = np.zeros(n), np.ones(n)
    total = np.ones(n)
    for k in range(n - 1):
        before, p = p, (t * p - (b[k - 1] if k else 0.0) * before) / b[k]
        total += p * p
    w = 1.0 / total
    w = 0.5 * (w + w[::-1])
    return t, w / w.sum()


def zonal_functions(d: int, order: int, degree: int, t: Array) -> tuple[Array, Array]:
    """theta-parts F_l of orthonormal harmonics F_l(theta) Y_order(omega) on S^{d-1}.

    x = (sin(theta) omega, cos(theta)), Y_order a harmonic of that degree on S^{d-2} with mean
    square 1. F_l = c sin^order(theta) times a Gegenbauer polynomial of degree l - order.

    Args:
        d: dimension; for d = 2 there are the orders 0 (cosines) and 1 (sines).
        order: azimuthal order m >= 0.
        degree: largest l; rows are l = order..degree.
        t: cos(theta), (n,).

    Returns:
        F and dF/dtheta, each (degree - order + 1, n).
    """
    p, dp = _orthonormal(d + 2 * order, degree - order, t)
    s = np.sqrt((1.0 - t) * (1.0 + t))
    if order == 0:
        return p, -s * dp
    # int sin^{2m} dsigma = B((d-1)/2 + m, 1/2)/B((d-1)/2, 1/2)
    half = 0.5 * (d - 1)
    log_norm = (
        math.lgamma(half + order)
        - math.lgamma(half + order + 0.5)
        - math.lgamma(half)
        + math.lgamma(half + 0.5)
    )
    c = math.exp(-0.5 * log_norm)
    return c * s**order * p, c * (order * s ** (order - 1) * t * p - s ** (order + 1) * dp)
